//! The daemon from start to stop.
//!
//! Start: listeners are bound (a port in use is found before anything is written), the REST API answers, then state
//! folder, cluster, internal topics and group are opened, then connectors start. Stop: REST closes, tasks stop reading,
//! drain and commit, statuses become UNASSIGNED, the group is left.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use engine::plugin::ConnectorPlugin;
use serde_json::Value;

use crate::{
    RawConfig, admin,
    backing::{Cluster, TargetState},
    error::StartError,
    herder::{Herder, HerderError},
    http::{self, Served},
    logging::Loggers,
    properties,
    rest::{Api, Paths},
    validate::Validator,
    worker::{AdminPaths, ReadWorker},
};

/// Time between two log lines on a snapshot's progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// What a daemon is made from.
pub struct Daemon {
    /// The worker file, read.
    pub worker: ReadWorker,
    /// Connectors that run here.
    pub plugins: Vec<Arc<dyn ConnectorPlugin>>,
    /// Kafka and the local store.
    pub cluster: Arc<dyn Cluster>,
    /// Log levels.
    pub loggers: Loggers,
    /// Connector files to create where they are absent.
    pub connector_files: Vec<PathBuf>,
}

impl Daemon {
    /// Runs until `shutdown` ends, then stops in order.
    ///
    /// # Errors
    /// It could not start, or lost its place in the group; the error says which exit code that is.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        let connectors = self.connector_files.iter().map(read_connector).collect::<Result<Vec<_>, _>>()?;
        let worker = Arc::new(self.worker.config);
        for warning in &self.worker.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!("Kafka version: {}", crate::rest::CONNECT_VERSION);
        let main = http::bind("listeners", &worker.listeners, worker.listeners_tls.as_ref()).await?;
        let own = match &worker.admin_paths {
            AdminPaths::Own(listeners) => {
                http::bind("admin.listeners", listeners, worker.admin_paths_tls.as_ref()).await?
            }
            _ => Vec::new(),
        };
        let tls = worker.admin_listeners_tls.as_ref();
        let admin = http::bind("afterimage.admin.listeners", &worker.admin_listeners, tls).await?;
        let worker_id = worker.worker_id(main.first().map(|bound| bound.address.port()));
        let checks = self.cluster.clone();
        let clients = Arc::new(move |worker: &_, config: &_| checks.check_clients(worker, config));
        let validator = Arc::new(Validator::new(worker.clone(), self.plugins, clients));
        let api = Api::new(worker.clone(), validator.clone(), self.loggers);
        let paths = if worker.admin_paths == AdminPaths::Main { Paths::All } else { Paths::NoAdmin };
        for bound in &main {
            tracing::info!("REST API listens on {}://{}", bound.scheme(), bound.address);
        }
        for bound in &admin {
            tracing::info!("metrics, health and progress on {}://{}", bound.scheme(), bound.address);
        }
        let rest = [http::serve(main, api.router(paths)), http::serve(own, api.router(Paths::AdminOnly))];
        let users = worker.users.clone().filter(|_| worker.admin_authentication);
        let admin = http::serve(admin, admin::router(api.clone(), users));
        tracing::info!("REST resources initialized; server is started and ready to handle requests");
        tokio::pin!(shutdown);
        let started = async {
            api.stage("opening the state folder, the Kafka cluster and the internal topics");
            let services = self.cluster.open(worker.clone(), worker_id.clone()).await?;
            api.stage("reading the internal topics");
            let herder = Herder::open(worker.clone(), worker_id, services.clone(), validator).await?;
            Ok::<_, StartError>((services, herder))
        };
        let (services, herder) = tokio::select! {
            started = started => match started {
                Ok(started) => started,
                Err(error) => {
                    close_all(rest, admin).await;
                    return Err(error);
                }
            },
            () = &mut shutdown => {
                close_all(rest, admin).await;
                return Ok(());
            }
        };
        herder.start_all();
        tracing::info!("Finished starting connectors and tasks");
        tracing::info!("Herder started");
        api.ready(herder.clone(), services.cluster_id());
        tracing::info!("Kafka Connect started");
        let progress = tokio::spawn(report_progress(herder.clone()));
        let created = create_absent(&herder, connectors).await;
        let result = match created {
            Ok(()) => {
                tokio::select! {
                    () = &mut shutdown => Ok(()),
                    lost = services.lost() => Err(lost),
                }
            }
            Err(error) => Err(error),
        };
        tracing::info!("Kafka Connect stopping");
        progress.abort();
        for served in rest {
            served.close().await;
        }
        herder.close().await;
        tracing::info!("Herder stopped");
        services.close().await;
        admin.close().await;
        tracing::info!("Kafka Connect stopped");
        result
    }
}

async fn close_all(rest: [Served; 2], admin: Served) {
    for served in rest {
        served.close().await;
    }
    admin.close().await;
}

/// A connector named on the command line.
struct ConnectorFile {
    name: String,
    config: RawConfig,
    target: Option<TargetState>,
    path: PathBuf,
}

/// Reads a connector file: a flat JSON map with `name`, the body of `POST /connectors`, or properties.
fn read_connector(path: &PathBuf) -> Result<ConnectorFile, StartError> {
    let refused = |why: String| StartError::refused(format!("connector file {}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| refused(format!("could not be read: {e}")))?;
    let scalar = |key: String, value: Value| match value {
        Value::String(_) => Ok((key, value)),
        Value::Bool(_) | Value::Number(_) => Ok((key, Value::String(value.to_string()))),
        _ => Err(refused(format!("the value of {key} must be a string, a number or a boolean"))),
    };
    let text = properties::decode(&bytes);
    let (mut target, mut outer_name) = (None, None);
    let config: RawConfig = if text.trim_start().starts_with('{') {
        let map = match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(map)) => map,
            Ok(_) => return Err(refused("must be a JSON object".to_owned())),
            Err(error) => return Err(refused(format!("is not valid JSON: {error}"))),
        };
        let map = match map.get("config") {
            Some(Value::Object(config)) => {
                outer_name = map.get("name").and_then(Value::as_str).map(str::to_owned);
                target = match map.get("initial_state").and_then(Value::as_str).map(str::to_ascii_uppercase).as_deref()
                {
                    None => None,
                    Some("RUNNING") => Some(TargetState::Started),
                    Some("PAUSED") => Some(TargetState::Paused),
                    Some("STOPPED") => Some(TargetState::Stopped),
                    Some(_) => return Err(refused("initial_state must be one of RUNNING, PAUSED, STOPPED".to_owned())),
                };
                config.clone()
            }
            _ => map,
        };
        map.into_iter().map(|(key, value)| scalar(key, value)).collect::<Result<_, _>>()?
    } else {
        let pairs = properties::parse(&text).map_err(|e| refused(e.to_string()))?;
        pairs.into_iter().map(|(key, value)| (key, Value::String(value.trim().to_owned()))).collect()
    };
    let name = outer_name.or_else(|| crate::text(&config, "name").map(str::to_owned)).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| refused("has no 'name'".to_owned()))?;
    Ok(ConnectorFile { name, config, target, path: path.clone() })
}

/// Creates the connectors of the command line that are not there yet.
async fn create_absent(herder: &Herder, files: Vec<ConnectorFile>) -> Result<(), StartError> {
    for file in files {
        let shown = file.path.display();
        match herder.create(&file.name, file.config, file.target).await {
            Ok(_) => tracing::info!("Created connector {} from {shown}", file.name),
            Err(HerderError::Conflict(_)) => {
                tracing::info!("connector {} exists already, {shown} is left aside", file.name)
            }
            Err(error @ HerderError::Invalid(_)) => {
                return Err(StartError::refused(format!("connector file {shown}: {error}")));
            }
            Err(error) => return Err(StartError::Failed(format!("connector file {shown}: {error}"))),
        }
    }
    Ok(())
}

/// Logs how far running snapshots are.
async fn report_progress(herder: Herder) {
    loop {
        tokio::time::sleep(PROGRESS).await;
        for view in herder.view() {
            if let Some(line) = admin::progress_line(&view) {
                tracing::info!(connector = view.name, "{line}");
            }
        }
    }
}

#[cfg(test)]
mod tests;
