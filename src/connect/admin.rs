//! The admin port: metrics, health, readiness and progress, for operators. Reads counters and decides nothing.

mod families;
mod metrics;
mod progress;

use std::{sync::atomic::Ordering, time::Instant};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use engine::metrics::ConnectorMetrics;
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
}

/// A connector that has waited for so long, for Kafka or for its database, is not ready.
const STALL_MS: i64 = 60_000;

/// The router of the admin port.
pub fn router(api: Api, users: Option<Users>) -> Router {
    let admin = Admin { api, began: Instant::now(), started_ms: jiff::Timestamp::now().as_millisecond() };
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
    let mut waiting = serde_json::Map::new();
    for connector in &view {
        let Some(wait) = connector.metrics.as_deref().and_then(|metrics| Wait::of(metrics, now)) else { continue };
        if wait.ms > STALL_MS {
            reasons.push(wait.reason(&connector.name));
        }
        waiting.insert(connector.name.clone(), json!({"for": wait.whom.word(), "seconds": wait.ms as f64 / 1000.0}));
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": reasons.is_empty(), "reasons": reasons, "waiting": waiting}))).into_response()
}

/// Whom a connector waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// Batches are in flight and none is confirmed.
    Kafka(i64),
    /// The task was restarted after a transient failure and has not come to running yet.
    Restart,
}

impl Whom {
    fn word(self) -> &'static str {
        match self {
            Self::Kafka(_) => "kafka",
            Self::Restart => "restart",
        }
    }
}

/// A connector that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wait {
    whom: Whom,
    ms: i64,
}

impl Wait {
    fn of(metrics: &ConnectorMetrics, now_ms: i64) -> Option<Self> {
        let retrying = metrics.retrying_since_ms.get();
        if retrying > 0 {
            return Some(Self { whom: Whom::Restart, ms: (now_ms - retrying).max(0) });
        }
        let batches = metrics.batches_in_flight.get();
        (batches > 0).then(|| Self { whom: Whom::Kafka(batches), ms: (now_ms - metrics.moved_ms.get()).max(0) })
    }

    fn reason(self, connector: &str) -> String {
        let seconds = self.ms / 1000;
        match self.whom {
            Whom::Kafka(batches) => {
                format!("{connector}: {batches} batches are in flight and none was delivered for {seconds} s")
            }
            Whom::Restart => format!("{connector}: its task is restarted without success for {seconds} s"),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_that_waits_says_for_whom_and_how_long() {
        let metrics = ConnectorMetrics::default();
        metrics.moved_ms.set(1_000);
        assert_eq!(Wait::of(&metrics, 500_000), None, "nothing to do");
        metrics.batches_in_flight.set(3);
        let wait = Wait::of(&metrics, 63_500).unwrap();
        assert_eq!(wait, Wait { whom: Whom::Kafka(3), ms: 62_500 });
        assert_eq!(wait.reason("shop"), "shop: 3 batches are in flight and none was delivered for 62 s");
        metrics.retrying_since_ms.set(2_000);
        let wait = Wait::of(&metrics, 63_500).unwrap();
        assert_eq!(wait.reason("shop"), "shop: its task is restarted without success for 61 s");
        metrics.retrying_since_ms.set(0);
        metrics.batches_in_flight.set(0);
        assert_eq!(Wait::of(&metrics, 63_500), None);
    }
}
