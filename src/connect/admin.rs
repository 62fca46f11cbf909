//! The admin port: metrics, health, readiness and progress, for operators. Reads counters and decides nothing.

mod families;
mod metrics;
mod progress;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use crate::{
    access::{REFUSED, Users},
    backing::State as TaskState,
    herder::ConnectorView,
    rest::Api,
};

/// What the admin port is made from.
#[derive(Clone)]
struct Admin {
    api: Api,
    began: Instant,
    started_ms: i64,
    stalls: Arc<Stalls>,
}

/// The newest number of delivered records of all connectors, and when it last moved.
#[derive(Default)]
struct Stalls {
    settled: AtomicI64,
    moved_ms: AtomicI64,
}

/// A connector with records in flight whose deliveries have not moved for so long is not ready.
const STALL_MS: i64 = 60_000;

/// The router of the admin port.
pub fn router(api: Api, users: Option<Users>) -> Router {
    let admin = Admin {
        api,
        began: Instant::now(),
        started_ms: jiff::Timestamp::now().as_millisecond(),
        stalls: Arc::default(),
    };
    let router = Router::new()
        .route("/", get(root))
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/api/connectors/{connector}/progress", get(progress))
        .with_state(admin);
    match users {
        Some(users) => router.layer(middleware::from_fn_with_state(users, authenticate)),
        None => router,
    }
}

/// Lets only the users pass. Unlike the REST API, whose answers are Connect's, this one tells a browser to ask.
async fn authenticate(State(users): State<Users>, request: Request, next: Next) -> Response {
    if users.admits(request.headers()) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"afterimage\"")], REFUSED).into_response()
}

impl Admin {
    fn view(&self) -> Vec<ConnectorView> {
        self.api.herder().map(|herder| herder.view()).unwrap_or_default()
    }
}

async fn root() -> Response {
    Json(json!({"name": "afterimage", "version": env!("CARGO_PKG_VERSION")})).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let text = metrics::page(&admin.view(), admin.started_ms);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// The process answers.
async fn health(State(admin): State<Admin>) -> Response {
    Json(json!({"status": "up", "uptime_seconds": admin.began.elapsed().as_secs()})).into_response()
}

/// The worker has started, no task has failed, and positions move or there is nothing to do.
async fn ready(State(admin): State<Admin>) -> Response {
    let view = admin.view();
    let mut reasons = Vec::new();
    if admin.api.herder().is_none() {
        reasons.push("the worker is still starting".to_owned());
    }
    let failed = |name: &str, state: TaskState| (state == TaskState::Failed).then(|| format!("{name} is FAILED"));
    for connector in &view {
        let own = connector.status.connector.iter().filter_map(|status| failed(&connector.name, status.state));
        let tasks = &connector.status.tasks;
        let tasks = tasks.iter().filter_map(|(n, status)| failed(&format!("{}-{n}", connector.name), status.state));
        reasons.extend(own.chain(tasks));
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let numbers = || view.iter().filter_map(|connector| connector.metrics.as_deref());
    let settled: i64 = numbers().map(|metrics| metrics.records_delivered.get()).sum();
    let waiting: i64 = numbers().map(|metrics| metrics.batches_in_flight.get()).sum();
    if waiting == 0 || admin.stalls.settled.swap(settled, Ordering::Relaxed) != settled {
        admin.stalls.moved_ms.store(now, Ordering::Relaxed);
    }
    let still = now - admin.stalls.moved_ms.load(Ordering::Relaxed);
    if still > STALL_MS {
        reasons.push(format!("{waiting} batches are in flight and none was delivered for {} s", still / 1000));
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": reasons.is_empty(), "reasons": reasons}))).into_response()
}

async fn progress(State(admin): State<Admin>, Path(connector): Path<String>) -> Response {
    match admin.view().into_iter().find(|view| view.name == connector) {
        Some(view) => Json(progress::of(&view)).into_response(),
        None => {
            let message = format!("Connector {connector} not found");
            (StatusCode::NOT_FOUND, Json(json!({"error_code": 404, "message": message}))).into_response()
        }
    }
}

/// A running snapshot's progress as one line.
pub(crate) fn progress_line(view: &ConnectorView) -> Option<String> {
    let metrics = view.metrics.as_ref().filter(|metrics| metrics.snapshot_running.load(Ordering::Relaxed))?;
    let totals = progress::totals(&crate::lock(&metrics.tables));
    let seconds = progress::seconds(metrics);
    let of = totals.expected.map(|expected| format!(" of about {expected}")).unwrap_or_default();
    let eta = progress::eta_seconds(&totals, seconds).map(|eta| format!(", about {eta} s left")).unwrap_or_default();
    Some(format!(
        "snapshot: {} rows{of}, {} of {} tables done, {seconds} s{eta}",
        totals.rows,
        totals.tables - totals.remaining,
        totals.tables
    ))
}
