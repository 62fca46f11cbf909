//! Kafka Connect's REST API: parse, call the herder, render.
//!
//! Holds no state of a connector. What is not Kafka Connect's is on the admin port.

mod answer;
mod body;
mod connectors;
mod loggers;
mod plugins;
mod route;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
    time::Instant,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
};
use serde_json::json;

use crate::{
    headers,
    herder::{Herder, HerderError},
    lock,
    logging::Loggers,
    validate::{ValidationError, Validator},
    worker::WorkerConfig,
};
use answer::Answer;
use route::{Route, Routed};

/// The Kafka Connect version whose behaviour this is, reported by `GET /`.
pub const CONNECT_VERSION: &str = "4.3.0";
/// The commit that goes with it.
const COMMIT: &str = concat!("afterimage-", env!("CARGO_PKG_VERSION"));
/// Largest request body.
const BODY_LIMIT: usize = 8 << 20;

/// Which paths a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paths {
    /// Everything.
    All,
    /// Everything but `/admin`.
    NoAdmin,
    /// Only `/admin`.
    AdminOnly,
}

/// An error of a request: the status and the message of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RestError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl RestError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn router(status: StatusCode) -> Self {
        Self::new(status, format!("HTTP {} {}", status.as_u16(), status.canonical_reason().unwrap_or_default()))
    }
}

impl From<HerderError> for RestError {
    fn from(error: HerderError) -> Self {
        let status = match &error {
            HerderError::NotFound(_) => StatusCode::NOT_FOUND,
            HerderError::Conflict(_) => StatusCode::CONFLICT,
            HerderError::Invalid(_) => StatusCode::BAD_REQUEST,
            HerderError::Forbidden(_) => StatusCode::FORBIDDEN,
            HerderError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<ValidationError> for RestError {
    fn from(error: ValidationError) -> Self {
        Self::bad(error.to_string())
    }
}

/// The API of one worker. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    worker: Arc<WorkerConfig>,
    validator: Arc<Validator>,
    loggers: Loggers,
    cluster_id: OnceLock<Option<String>>,
    herder: OnceLock<Herder>,
    /// What the worker is doing, and since when.
    stage: Mutex<(&'static str, jiff::Timestamp)>,
}

impl Api {
    /// An API that says "starting" until [`Api::ready`].
    pub fn new(worker: Arc<WorkerConfig>, validator: Arc<Validator>, loggers: Loggers) -> Self {
        let stage = Mutex::new(("starting", jiff::Timestamp::now()));
        let (cluster_id, herder) = (OnceLock::new(), OnceLock::new());
        Self { inner: Arc::new(Inner { worker, validator, loggers, cluster_id, herder, stage }) }
    }

    /// Says what the worker is doing, for those who ask for its health.
    pub fn stage(&self, stage: &'static str) {
        *lock(&self.inner.stage) = (stage, jiff::Timestamp::now());
    }

    /// The worker has started.
    pub fn ready(&self, herder: Herder, cluster_id: Option<String>) {
        let _ = self.inner.cluster_id.set(cluster_id);
        let _ = self.inner.herder.set(herder);
    }

    /// The herder, once the worker has started.
    pub fn herder(&self) -> Option<&Herder> {
        self.inner.herder.get()
    }

    /// The router for one kind of listener.
    pub fn router(&self, paths: Paths) -> Router {
        Router::new().fallback(serve).with_state((self.clone(), paths))
    }

    fn running(&self) -> Result<&Herder, RestError> {
        self.inner.herder.get().ok_or_else(|| {
            RestError::new(
                StatusCode::CONFLICT,
                "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent \
                 config change)",
            )
        })
    }

    async fn handle(&self, request: Request, paths: Paths) -> Answer {
        let path = request.uri().path().to_owned();
        let (route, methods) = match route::find(&path, paths) {
            Routed::Found(route, methods) => (route, methods),
            Routed::Broken => return Answer::from(RestError::bad("the path is not valid percent-encoded UTF-8")),
            Routed::Unknown => return Answer::from(RestError::router(StatusCode::NOT_FOUND)),
        };
        if request.method() == Method::OPTIONS {
            return if self.admits(&route, &request) {
                Answer::options(methods)
            } else {
                Answer::refused("text/plain")
            };
        }
        if !methods.split(',').any(|method| method == request.method().as_str()) {
            return Answer::from(RestError::router(StatusCode::METHOD_NOT_ALLOWED));
        }
        if let Err(error) = body::acceptable(&request) {
            return Answer::from(error);
        }
        if !self.admits(&route, &request) {
            return Answer::refused("application/json");
        }
        let result = self.dispatch(route, request).await;
        result.unwrap_or_else(|error| {
            if error.status.is_server_error() {
                tracing::error!("Uncaught exception in REST call to {path}: {}", error.message);
            }
            Answer::from(error)
        })
    }

    /// Whether the request may pass. As in Connect users are asked for after it is known what the path is, and not on the
    /// way from worker to worker, which is signed.
    fn admits(&self, route: &Route, request: &Request) -> bool {
        let between_workers =
            *route == Route::Internal || (matches!(route, Route::Tasks(_)) && request.method() == Method::POST);
        between_workers || self.inner.worker.users.as_ref().is_none_or(|users| users.admits(request.headers()))
    }

    async fn dispatch(&self, route: Route, request: Request) -> Result<Answer, RestError> {
        let method = request.method().clone();
        match (route, method) {
            (Route::Root, _) => Ok(Answer::json(&json!({
                "version": CONNECT_VERSION,
                "commit": COMMIT,
                "kafka_cluster_id": self.inner.cluster_id.get().cloned().flatten(),
            }))),
            (Route::Health, _) => Ok(self.health()),
            (Route::Loggers, _) => Ok(self.loggers()),
            (Route::Logger(name), Method::PUT) => self.set_logger(&name, request).await,
            (Route::Logger(name), _) => self.logger(&name),
            (Route::Plugins, _) => Ok(self.plugins(&request)),
            (Route::PluginConfig(plugin), _) => self.plugin_config(&plugin, &request),
            (Route::Validate(plugin), _) => self.validate(&plugin, request).await,
            (Route::Internal, _) => Err(RestError::bad("Internal request missing required signature")),
            (Route::Tasks(_), Method::POST) => Err(RestError::bad("Internal request missing required signature")),
            (route, method) => connectors::dispatch(self, self.running()?, route, &method, request).await,
        }
    }

    fn health(&self) -> Answer {
        if self.inner.herder.get().is_some() {
            return Answer::json(&json!({
                "status": "healthy",
                "message": "Worker has completed startup and is ready to handle requests.",
            }));
        }
        let (stage, since) = *lock(&self.inner.stage);
        Answer::json(&json!({
            "status": "starting",
            "message": format!("Worker is still starting up. The worker is currently {stage}, which began at {since}."),
        }))
        .status(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// CORS headers for a request with an `Origin`.
    fn cors(&self, origin: Option<&HeaderValue>, preflight: bool, response: &mut Response) {
        let cors = &self.inner.worker.cors;
        if cors.origins.is_empty() {
            return;
        }
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = origin else { return };
        let text = origin.to_str().unwrap_or_default();
        let matches = |allowed: &String| {
            allowed == "*"
                || allowed == text
                || allowed.split_once("*.").is_some_and(|(scheme, domain)| {
                    text.starts_with(scheme) && text.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
                })
        };
        if !cors.origins.iter().any(matches) {
            return;
        }
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if preflight {
            let methods = if cors.methods.is_empty() { "GET,POST,HEAD" } else { &cors.methods };
            if let Ok(methods) = HeaderValue::from_str(methods) {
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            }
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type"));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("60"));
        }
    }
}

/// One request from end to end, with its line in the access log.
async fn serve(State((api, paths)): State<(Api, Paths)>, request: Request) -> Response {
    let began = Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) && method == Method::OPTIONS;
    let agent =
        request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("-").to_owned();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_string());
    let answer = api.handle(request, paths).await;
    let length = answer.body.len();
    let mut response = answer.into_response(method == Method::HEAD);
    api.cors(origin.as_ref(), preflight, &mut response);
    headers::apply(&api.inner.worker.response_headers, response.headers_mut());
    tracing::info!(
        "{} - - [{}] \"{method} {uri} HTTP/1.1\" {} {length} \"\" \"{agent}\" {}",
        peer.as_deref().unwrap_or("-"),
        jiff::Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000"),
        response.status().as_u16(),
        began.elapsed().as_millis()
    );
    response.map(Body::new)
}

#[cfg(test)]
pub(crate) mod tests;
