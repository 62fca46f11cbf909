//! The HTTP endpoints every pipeline has: `/health`, `/ready`, `/metrics`, `/api/status` and a page at `/`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse},
    routing::get,
};
use serde_json::Value;

use super::{Error, Shutdown};

/// What a pipeline shows.
pub trait Report: Send + Sync + 'static {
    /// Whether it is caught up, and the body that says so.
    fn ready(&self) -> (bool, Value);
    /// Everything about it.
    fn status(&self) -> Value;
    /// Prometheus text.
    fn metrics(&self) -> String;
    /// The page.
    fn page(&self) -> &'static str;
}

/// An open port, not yet serving.
#[derive(Debug)]
pub struct Listener(tokio::net::TcpListener);

/// Opens the port.
///
/// # Errors
/// [`Error::InUse`] names a port that is taken.
pub async fn bind(address: &str) -> Result<Listener, Error> {
    let parsed: SocketAddr =
        address.parse().map_err(|_| Error::Config(format!("http.listen: {address} is no address and port")))?;
    match tokio::net::TcpListener::bind(parsed).await {
        Ok(listener) => Ok(Listener(listener)),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Err(Error::InUse(format!(
            "port {} is in use: stop what listens there, or choose another with http.listen or --listen",
            parsed.port()
        ))),
        Err(e) => Err(Error::io(format_args!("listening on {address}"), &e)),
    }
}

impl Listener {
    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Serves until shutdown.
    pub async fn serve(self, report: Arc<dyn Report>, shutdown: Shutdown) -> Result<(), Error> {
        let router = Router::new()
            .route("/", get(|State(report): State<Arc<dyn Report>>| async move { Html(report.page()) }))
            .route("/health", get(|| async { Json(serde_json::json!({"status": "UP"})) }))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .route("/api/status", get(|State(report): State<Arc<dyn Report>>| async move { Json(report.status()) }))
            .with_state(report);
        axum::serve(self.0, router)
            .with_graceful_shutdown(async move { shutdown.wait().await })
            .await
            .map_err(|e| Error::io("serving HTTP", &e))
    }
}

async fn ready(State(report): State<Arc<dyn Report>>) -> impl IntoResponse {
    let (ready, body) = report.ready();
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}

async fn metrics(State(report): State<Arc<dyn Report>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], report.metrics())
}
