//! The worker's outside in production: Kafka for configurations, statuses, offsets, histories and records, RocksDB for
//! checkpoints. Translates between this crate's words and those of the `kafka` and `store` crates, and nothing else.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use engine::{
    error::{Failure, TaskError},
    plugin::{ConfigErrors, ConfigMap},
    port::{CheckpointStore, OffsetTopic, SchemaHistoryOpener, Sink},
};
use futures_util::future::{BoxFuture, FutureExt};
use kafka::{
    client::{connector_client, worker_client},
    config_topic::{self, ConfigTopic, Properties},
    creation::TopicCreation,
    group::{MemberSettings, Membership},
    history::KafkaHistories,
    offsets::OffsetStore,
    producer::KafkaSink,
    settings::{Problem, Role, Settings},
    status_topic::{self, StatusTopic},
    topics::{LogClients, LogTopic},
};
use model::OffsetMap;
use serde_json::Value;
use store::{Limits, Store, StoreErrorKind};

use crate::{
    RawConfig,
    backing::{
        Cluster, ConfigBacking, OffsetBacking, Services, SinkRequest, State, Status, StatusBacking, StatusKey,
        StatusValue, StoredConnector, StoredStatuses, TargetState,
    },
    error::StartError,
    lock,
    standalone::{Memory, NoCheckpoints, OffsetFile},
    worker::WorkerConfig,
};

/// How long the first broker may take to answer.
const REACH: Duration = Duration::from_secs(60);
/// The generation of status records: one worker that never rebalances.
const GENERATION: i64 = 0;

/// The real cluster.
#[derive(Debug, Clone, Copy, Default)]
pub struct KafkaCluster;

/// Everything opened.
struct KafkaServices {
    worker: Arc<WorkerConfig>,
    cluster_id: Option<String>,
    configs: Arc<dyn ConfigBacking>,
    statuses: Arc<dyn StatusBacking>,
    offsets: Arc<dyn OffsetBacking>,
    checkpoints: Arc<dyn CheckpointStore>,
    store: Arc<Store>,
    membership: Mutex<Option<Membership>>,
}

impl Cluster for KafkaCluster {
    fn open(
        &self,
        worker: Arc<WorkerConfig>,
        worker_id: String,
    ) -> BoxFuture<'_, Result<Arc<dyn Services>, StartError>> {
        async move {
            let services = match worker.offset_file.clone() {
                Some(file) => open_standalone(worker, &file).await?,
                None => open(worker, &worker_id).await?,
            };
            Ok(Arc::new(services) as Arc<dyn Services>)
        }
        .boxed()
    }

    fn check_clients(&self, worker: &WorkerConfig, config: &ConfigMap) -> ConfigErrors {
        let error = |problem: Problem| {
            let text = format!("The '{}' value is invalid: {}", problem.key, problem.text);
            (problem.key, text)
        };
        let mut errors = ConfigErrors::new();
        let name = config.get("name").map(String::as_str).unwrap_or_default();
        let mut client = |role| {
            let problems = connector_client(role, &worker.raw, config, name, 0).err().unwrap_or_default();
            errors.extend(problems.into_iter().map(error));
        };
        client(Role::Producer);
        if config.keys().any(|key| key.starts_with("topic.creation.")) {
            client(Role::Admin);
            errors.extend(TopicCreation::parse(config).err().unwrap_or_default());
        }
        if config.keys().any(|key| key.starts_with("schema.history.internal.")) {
            errors.extend(kafka::history::check(config).into_iter().map(error));
        }
        errors
    }
}

fn refused(problems: Vec<Problem>) -> StartError {
    StartError::Refused(problems.iter().map(ToString::to_string).collect())
}

fn blocked(error: tokio::task::JoinError) -> StartError {
    StartError::Failed(format!("a thread of the start broke down: {error}"))
}

/// What the worker says to all connectors' clients, translated before anything is opened, so that a wrong setting changes
/// nothing.
fn check_worker(worker: &WorkerConfig) -> Result<(), StartError> {
    let nothing = BTreeMap::new();
    let problems = |role| connector_client(role, &worker.raw, &nothing, "c", 0).err().unwrap_or_default();
    let all: Vec<Problem> = [Role::Producer, Role::Admin].into_iter().flat_map(problems).collect();
    if all.is_empty() { Ok(()) } else { Err(refused(all)) }
}

fn open_store(dir: &Path) -> Result<Store, StartError> {
    Store::open(dir, Limits::default()).map_err(|error| match error.kind {
        StoreErrorKind::InUse => StartError::InUse(error.to_string()),
        _ => StartError::Failed(error.to_string()),
    })
}

/// A worker alone: nothing of its own is in Kafka, and there is no group.
async fn open_standalone(worker: Arc<WorkerConfig>, file: &Path) -> Result<KafkaServices, StartError> {
    check_worker(&worker)?;
    let client_id = if worker.client_id.is_empty() { "connect-standalone" } else { &worker.client_id };
    let admin = worker_client(Role::Admin, &worker.raw, &format!("{client_id}-shared-admin"), &[]).map_err(refused)?;
    let (dir, file) = (worker.state_dir.join("connect"), file.to_owned());
    // The store is opened for the copy of the schema history, and so that nobody else works in the folder.
    let opened = move || Ok::<_, StartError>((open_store(&dir)?, OffsetFile::open(&file)?));
    let (store, offsets) = tokio::task::spawn_blocking(opened).await.map_err(blocked)??;
    let cluster_id = reach(admin).await?;
    let memory = Memory::default();
    Ok(KafkaServices {
        worker,
        cluster_id,
        configs: Arc::new(memory.clone()),
        statuses: Arc::new(memory),
        offsets: Arc::new(offsets),
        checkpoints: Arc::new(NoCheckpoints),
        store: Arc::new(store),
        membership: Mutex::new(None),
    })
}

async fn open(worker: Arc<WorkerConfig>, worker_id: &str) -> Result<KafkaServices, StartError> {
    let raw = &worker.raw;
    let base = match worker.client_id.as_str() {
        "" => worker.group_id.clone(),
        id => format!("{}-{id}", worker.group_id),
    };
    check_worker(&worker)?;
    let log = |prefix: &str, suffix: &str| {
        let topic = LogTopic::of_worker(raw, prefix)?;
        Ok((topic, LogClients::of_worker(raw, &format!("{base}-{suffix}"))?))
    };
    let configs = log("config.storage", "configs").map_err(refused)?;
    let statuses = log("status.storage", "statuses").map_err(refused)?;
    let offsets = log("offset.storage", "offsets").map_err(refused)?;
    let admin = worker_client(Role::Admin, raw, &format!("{base}-shared-admin"), &[]).map_err(refused)?;

    let dir = worker.state_dir.join("connect");
    let (store, instance) = tokio::task::spawn_blocking(move || {
        let store = open_store(&dir)?;
        let instance = instance_id(&dir)?;
        Ok::<_, StartError>((store, instance))
    })
    .await
    .map_err(blocked)??;
    let cluster_id = reach(admin).await?;
    let failed = |error: TaskError| match error {
        TaskError::Definite(failure) => StartError::Failed(failure.to_string()),
        TaskError::Transient(failure) => StartError::Unreachable(failure.to_string()),
    };
    let member = MemberSettings::of_worker(raw, &format!("connect-{worker_id}"), &instance, &worker.config_topic.name);
    let member = member.map_err(refused)?;
    let (configs, statuses, offsets) = tokio::try_join!(
        ConfigTopic::open(configs.0, configs.1),
        StatusTopic::open(statuses.0, statuses.1),
        OffsetStore::open(offsets.0, offsets.1),
    )
    .map_err(failed)?;
    let membership = Membership::join(member).await.map_err(|error| match error {
        TaskError::Definite(failure) => StartError::InUse(failure.to_string()),
        TaskError::Transient(failure) => StartError::Unreachable(failure.to_string()),
    })?;
    let store = Arc::new(store);
    tracing::info!("Joined group at generation {GENERATION}");
    Ok(KafkaServices {
        worker,
        cluster_id,
        configs: Arc::new(Configs(configs)),
        statuses: Arc::new(Statuses(statuses)),
        offsets: Arc::new(Offsets(Arc::new(offsets))),
        checkpoints: store.clone(),
        store,
        membership: Mutex::new(Some(membership)),
    })
}

/// Waits for the first broker; gives the cluster's id.
async fn reach(admin: Settings) -> Result<Option<String>, StartError> {
    let reached = tokio::task::spawn_blocking(move || kafka::cluster::Cluster::open(&admin)?.reach(REACH)).await;
    reached.map_err(blocked)?.map_err(|error| match error {
        TaskError::Definite(failure) => StartError::Failed(failure.to_string()),
        TaskError::Transient(failure) => StartError::Unreachable(failure.to_string()),
    })
}

/// The name under which this state folder is a member of the group, made once: with it, a restart takes over the place
/// of a process that was killed.
fn instance_id(dir: &Path) -> Result<String, StartError> {
    let path = dir.join("group.instance.id");
    let failed = |error: std::io::Error| StartError::Failed(format!("{}: {error}", path.display()));
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Ok(_) => new_instance_id(&path).map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => new_instance_id(&path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn new_instance_id(path: &Path) -> std::io::Result<String> {
    let id = format!("afterimage-{}", uuid::Uuid::new_v4());
    let unfinished = path.with_extension("new");
    std::fs::write(&unfinished, &id)?;
    std::fs::rename(&unfinished, path)?;
    Ok(id)
}

impl Services for KafkaServices {
    fn configs(&self) -> Arc<dyn ConfigBacking> {
        self.configs.clone()
    }

    fn statuses(&self) -> Arc<dyn StatusBacking> {
        self.statuses.clone()
    }

    fn offsets(&self) -> Arc<dyn OffsetBacking> {
        self.offsets.clone()
    }

    fn store(&self) -> Arc<dyn CheckpointStore> {
        self.checkpoints.clone()
    }

    fn history(&self) -> Arc<dyn SchemaHistoryOpener> {
        Arc::new(KafkaHistories::cached(self.store.clone()))
    }

    fn cluster_id(&self) -> Option<String> {
        self.cluster_id.clone()
    }

    fn sink(&self, request: SinkRequest<'_>) -> Result<Box<dyn Sink>, TaskError> {
        let wrong = |texts: Vec<String>| {
            let mut failure =
                Failure::new(format!("The client settings of connector {} cannot be used", request.connector));
            failure.causes = texts;
            TaskError::Definite(failure)
        };
        let client = |role| {
            connector_client(role, &self.worker.raw, request.config, request.connector, 0)
                .map_err(|problems| wrong(problems.iter().map(ToString::to_string).collect()))
        };
        let creation = match self.worker.topic_creation {
            true => TopicCreation::parse(request.config)
                .map_err(|errors| wrong(errors.into_iter().map(|(_, text)| text).collect()))?,
            false => None,
        };
        let creation = creation.map(|creation| Ok::<_, TaskError>((creation, client(Role::Admin)?))).transpose()?;
        let sink = KafkaSink::new(client(Role::Producer)?, request.queue_bytes as u64, creation, request.abort)?;
        Ok(Box::new(sink))
    }

    fn lost(&self) -> BoxFuture<'static, StartError> {
        let lost = lock(&self.membership).as_ref().map(Membership::lost);
        async move {
            let Some(mut lost) = lost else { return std::future::pending().await };
            loop {
                if let Some(reason) = lost.borrow_and_update().clone() {
                    return StartError::InUse(reason);
                }
                if lost.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let membership = lock(&self.membership).take();
        async move {
            // Leaving waits for the member's thread.
            let _ = tokio::task::spawn_blocking(move || drop(membership)).await;
        }
        .boxed()
    }
}

struct Configs(ConfigTopic);

fn properties(config: &RawConfig) -> Properties {
    config.iter().map(|(key, value)| (key.clone(), value.as_str().map(str::to_owned))).collect()
}

fn raw(properties: &Properties) -> RawConfig {
    let value = |value: &Option<String>| value.clone().map_or(Value::Null, Value::String);
    properties.iter().map(|(key, text)| (key.clone(), value(text))).collect()
}

fn to_topic(target: TargetState) -> config_topic::TargetState {
    match target {
        TargetState::Started => config_topic::TargetState::Started,
        TargetState::Paused => config_topic::TargetState::Paused,
        TargetState::Stopped => config_topic::TargetState::Stopped,
    }
}

fn from_topic(target: config_topic::TargetState) -> TargetState {
    match target {
        config_topic::TargetState::Started => TargetState::Started,
        config_topic::TargetState::Paused => TargetState::Paused,
        config_topic::TargetState::Stopped => TargetState::Stopped,
    }
}

fn failure(error: TaskError) -> Failure {
    error.failure().clone()
}

impl ConfigBacking for Configs {
    fn load(&self) -> BoxFuture<'_, Result<BTreeMap<String, StoredConnector>, Failure>> {
        async move {
            let state = self.0.refresh().await.map_err(failure)?;
            let stored = |found: &config_topic::ConnectorConfig| StoredConnector {
                config: found.properties.as_ref().map(raw).unwrap_or_default(),
                target: from_topic(found.target),
                tasks: (!found.inconsistent).then(|| found.tasks.iter().map(raw).collect()),
            };
            Ok(state.connectors().map(|(name, found)| (name.to_owned(), stored(found))).collect())
        }
        .boxed()
    }

    fn put_connector<'a>(
        &'a self,
        connector: &'a str,
        config: Option<&'a RawConfig>,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            match config {
                Some(config) => self.0.put_connector(connector, &properties(config), None).await,
                None => self.0.remove_connector(connector).await,
            }
            .map_err(failure)
        }
        .boxed()
    }

    fn put_target<'a>(&'a self, connector: &'a str, target: TargetState) -> BoxFuture<'a, Result<(), Failure>> {
        async move { self.0.put_target(connector, to_topic(target)).await.map_err(failure) }.boxed()
    }

    fn put_tasks<'a>(&'a self, connector: &'a str, tasks: &'a [RawConfig]) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let tasks: Vec<_> = tasks.iter().map(properties).collect();
            self.0.put_tasks(connector, &tasks).await.map_err(failure)
        }
        .boxed()
    }

    fn put_restart<'a>(
        &'a self,
        connector: &'a str,
        include_tasks: bool,
        only_failed: bool,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        async move { self.0.put_restart(connector, include_tasks, only_failed).await.map_err(failure) }.boxed()
    }
}

struct Statuses(StatusTopic);

fn to_record(status: &Status) -> status_topic::Status {
    status_topic::Status {
        state: match status.state {
            State::Running => status_topic::State::Running,
            State::Paused => status_topic::State::Paused,
            State::Stopped => status_topic::State::Stopped,
            State::Failed => status_topic::State::Failed,
            State::Unassigned => status_topic::State::Unassigned,
            State::Restarting => status_topic::State::Restarting,
        },
        trace: status.trace.clone(),
        worker_id: status.worker_id.clone(),
        generation: GENERATION,
        version: status.version.clone(),
    }
}

fn from_record(status: &status_topic::Status) -> Option<Status> {
    Some(Status {
        state: match status.state {
            status_topic::State::Running => State::Running,
            status_topic::State::Paused => State::Paused,
            status_topic::State::Stopped => State::Stopped,
            status_topic::State::Failed => State::Failed,
            status_topic::State::Unassigned => State::Unassigned,
            status_topic::State::Restarting => State::Restarting,
            status_topic::State::Destroyed => return None,
        },
        trace: status.trace.clone(),
        worker_id: status.worker_id.clone(),
        version: status.version.clone(),
    })
}

impl StatusBacking for Statuses {
    fn load(&self) -> BoxFuture<'_, Result<StoredStatuses, Failure>> {
        let mut stored = StoredStatuses::default();
        for (name, status) in self.0.snapshot().iter() {
            if let Some(own) = status.connector.as_ref().and_then(from_record) {
                stored.connectors.insert(name.clone(), own);
            }
            for (task, status) in &status.tasks {
                if let Some(status) = from_record(status) {
                    stored.tasks.insert((name.clone(), *task), status);
                }
            }
            if !status.topics.is_empty() {
                stored.topics.insert(name.clone(), status.topics.keys().cloned().collect());
            }
        }
        std::future::ready(Ok(stored)).boxed()
    }

    fn put<'a>(&'a self, key: &'a StatusKey, value: &'a StatusValue) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let status = match value {
                StatusValue::Status(status) => Some(to_record(status)),
                _ => None,
            };
            match (key, value) {
                (StatusKey::Connector(name), _) => self.0.put_connector(name, status.as_ref()).await,
                (StatusKey::Task(name, task), _) => self.0.put_task(name, *task, status.as_ref()).await,
                (StatusKey::Topic { connector, topic }, StatusValue::Topic { task, discovered_ms }) => {
                    self.0.put_topic(connector, topic, *task, *discovered_ms).await
                }
                (StatusKey::Topic { connector, topic }, _) => self.0.remove_topic(connector, topic).await,
            }
            .map_err(failure)
        }
        .boxed()
    }
}

struct Offsets(Arc<OffsetStore>);

impl OffsetBacking for Offsets {
    fn topic(&self) -> Arc<dyn OffsetTopic> {
        self.0.clone()
    }

    fn list<'a>(&'a self, connector: &'a str) -> BoxFuture<'a, Result<Vec<(OffsetMap, OffsetMap)>, Failure>> {
        async move { self.0.list(connector).await.map_err(failure) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = instance_id(dir.path()).unwrap();
        assert!(first.starts_with("afterimage-"));
        assert_eq!(instance_id(dir.path()), Ok(first));
        assert!(instance_id(&dir.path().join("none")).is_err());
    }

    #[test]
    fn configurations_keep_their_nulls() {
        let config = RawConfig::from_iter([("a".to_owned(), Value::Null), ("b".to_owned(), Value::from("x"))]);
        assert_eq!(raw(&properties(&config)), config);
    }
}
