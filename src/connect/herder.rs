//! The herder: what users want of each connector, kept in the config topic, and the calls that change it.
//!
//! There is one worker, so it is its own leader and never rebalances. A call returns when Kafka has the new desired
//! state; bringing the connector there happens afterwards, per connector, always from the newest desired state
//! (`apply`), so that the order in which changes are noticed does not matter.

mod apply;
mod offsets;

pub use offsets::OffsetChange;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use engine::{
    error::Failure,
    metrics::ConnectorMetrics,
    plugin::{ConfigMap, ConnectorPlugin},
};
use serde_json::Value;

use crate::{
    RawConfig,
    backing::{Services, State, StoredConnector, TargetState},
    error::StartError,
    lock,
    share::Pool,
    status::{ConnectorStatus, StatusBoard},
    task::{Task, Workshop},
    text,
    validate::{ValidationError, Validator},
    worker::WorkerConfig,
};

/// Longest time a call waits.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// Why a call was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HerderError {
    /// There is no such connector, task or status.
    #[error("{0}")]
    NotFound(String),
    /// It exists already, or cannot be done at the moment.
    #[error("{0}")]
    Conflict(String),
    /// The request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// It is switched off.
    #[error("{0}")]
    Forbidden(String),
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
}

impl From<Failure> for HerderError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.to_string())
    }
}

impl From<ValidationError> for HerderError {
    fn from(error: ValidationError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// A connector in answers.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorInfo {
    /// Name.
    pub name: String,
    /// Configuration as it was sent.
    pub config: RawConfig,
    /// Task configurations, by number.
    pub tasks: Vec<RawConfig>,
    /// Whether its class is known: then it is a source.
    pub known: bool,
}

/// What the metrics page shows of a connector.
#[derive(Clone)]
pub struct ConnectorView {
    /// Name.
    pub name: String,
    /// Plugin.
    pub plugin: Option<Arc<dyn ConnectorPlugin>>,
    /// Source's logical name (`topic.prefix`).
    pub logical_name: String,
    /// Counters of the present or last task.
    pub metrics: Option<Arc<ConnectorMetrics>>,
    /// Statuses.
    pub status: ConnectorStatus,
}

/// One connector: wanted state, and what runs.
struct Connector {
    name: String,
    /// `None` once it was deleted.
    desired: Mutex<Option<StoredConnector>>,
    /// What runs; held while it is changed.
    slot: tokio::sync::Mutex<Option<Task>>,
    incarnation: Arc<AtomicU64>,
    metrics: Mutex<Option<Arc<ConnectorMetrics>>>,
}

impl Connector {
    fn new(name: &str, desired: Option<StoredConnector>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            desired: Mutex::new(desired),
            slot: tokio::sync::Mutex::new(None),
            incarnation: Arc::default(),
            metrics: Mutex::new(None),
        })
    }

    fn desired(&self) -> Option<StoredConnector> {
        lock(&self.desired).clone()
    }

    fn change(&self, change: impl FnOnce(&mut StoredConnector)) {
        if let Some(desired) = lock(&self.desired).as_mut() {
            change(desired);
        }
    }
}

struct Inner {
    shop: Arc<Workshop>,
    validator: Arc<Validator>,
    connectors: Mutex<BTreeMap<String, Arc<Connector>>>,
    /// Creation, update and deletion go one at a time, as through Connect's leader.
    writes: tokio::sync::Mutex<()>,
    closing: AtomicBool,
}

/// The herder. Cheap to clone.
#[derive(Clone)]
pub struct Herder {
    inner: Arc<Inner>,
}

impl Herder {
    /// Reads the internal topics; nothing is started.
    ///
    /// # Errors
    /// A topic cannot be read.
    pub async fn open(
        worker: Arc<WorkerConfig>,
        worker_id: String,
        services: Arc<dyn Services>,
        validator: Arc<Validator>,
    ) -> Result<Self, StartError> {
        let failed = |what: &str, e: Failure| StartError::Failed(format!("could not read the {what} topic: {e}"));
        let stored = services.configs().load().await.map_err(|e| failed("config", e))?;
        let statuses = services.statuses().load().await.map_err(|e| failed("status", e))?;
        let board = Arc::new(StatusBoard::new(worker_id, statuses));
        for gone in board.names().iter().filter(|name| !stored.contains_key(*name)) {
            board.remove_connector(gone);
        }
        tokio::spawn(board.clone().write(services.statuses()));
        // Half of the limit is for batches and producer queues; the rest is for the store, the caches of table
        // schemas and the program itself.
        let memory = Pool::new(worker.memory_limit / 2);
        let shop = Arc::new(Workshop { worker, services, board, memory });
        let connectors =
            stored.into_iter().map(|(name, stored)| (name.clone(), Connector::new(&name, Some(stored)))).collect();
        let inner = Inner {
            shop,
            validator,
            connectors: Mutex::new(connectors),
            writes: tokio::sync::Mutex::new(()),
            closing: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The status board.
    pub fn board(&self) -> &Arc<StatusBoard> {
        &self.inner.shop.board
    }

    fn get(&self, name: &str) -> Option<(Arc<Connector>, StoredConnector)> {
        let connector = lock(&self.inner.connectors).get(name).cloned()?;
        let desired = connector.desired()?;
        Some((connector, desired))
    }

    fn find(&self, name: &str) -> Result<(Arc<Connector>, StoredConnector), HerderError> {
        self.get(name).ok_or_else(|| HerderError::NotFound(format!("Connector {name} not found")))
    }

    fn plugin(&self, config: &RawConfig) -> Option<Arc<dyn ConnectorPlugin>> {
        self.inner.validator.plugin(text(config, "connector.class")?)
    }

    /// Carries a call out in a task of its own, so that it is finished even when the client goes away.
    async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<T, HerderError>> + Send + 'static,
    ) -> Result<T, HerderError> {
        if self.inner.closing.load(Ordering::SeqCst) {
            return Err(HerderError::Conflict("the worker is shutting down".to_owned()));
        }
        let began = jiff::Timestamp::now();
        match tokio::time::timeout(CALL_TIMEOUT, tokio::spawn(call)).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(HerderError::Failed(format!("{what} failed: {error}"))),
            Err(_) => Err(HerderError::Failed(format!(
                "Request timed out. The worker is currently {what}, which began at {began}."
            ))),
        }
    }

    /// Names of all connectors.
    pub fn names(&self) -> Vec<String> {
        let all = lock(&self.inner.connectors);
        all.values().filter(|c| lock(&c.desired).is_some()).map(|c| c.name.clone()).collect()
    }

    fn describe(&self, name: &str, desired: StoredConnector) -> ConnectorInfo {
        let known = self.plugin(&desired.config).is_some();
        let tasks = desired.tasks.unwrap_or_default();
        ConnectorInfo { name: name.to_owned(), config: desired.config, tasks, known }
    }

    /// One connector.
    ///
    /// # Errors
    /// There is none.
    pub fn info(&self, name: &str) -> Result<ConnectorInfo, HerderError> {
        let (_, desired) = self.find(name)?;
        Ok(self.describe(name, desired))
    }

    /// A connector's statuses and whether its class is known.
    ///
    /// # Errors
    /// It has none.
    pub fn status(&self, name: &str) -> Result<(ConnectorStatus, bool), HerderError> {
        let status = self.board().of(name).filter(|status| status.connector.is_some());
        let status = status.ok_or_else(|| HerderError::NotFound(format!("No status found for connector {name}")))?;
        let known = self.get(name).is_some_and(|(_, desired)| self.plugin(&desired.config).is_some());
        Ok((status, known))
    }

    /// For the metrics and progress pages.
    pub fn view(&self) -> Vec<ConnectorView> {
        let all: Vec<_> = lock(&self.inner.connectors).values().cloned().collect();
        let view = |connector: Arc<Connector>| {
            let desired = connector.desired()?;
            let plugin = self.plugin(&desired.config);
            let config: ConfigMap = desired
                .config
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect();
            let logical_name =
                plugin.as_deref().map(|plugin| crate::task::logical_name(plugin, &config)).unwrap_or_default();
            Some(ConnectorView {
                name: connector.name.clone(),
                plugin,
                logical_name,
                metrics: lock(&connector.metrics).clone(),
                status: self.board().of(&connector.name).unwrap_or_default(),
            })
        };
        all.into_iter().filter_map(view).collect()
    }

    /// Checks that a configuration's name fits, and adds it where it is missing.
    fn named(name: &str, mut config: RawConfig) -> Result<RawConfig, HerderError> {
        match config.get("name") {
            Some(Value::String(own)) if own == name => {}
            Some(Value::String(own)) => {
                return Err(HerderError::Invalid(format!(
                    "Connector name configuration ({own}) doesn't match connector name in the URL ({name})"
                )));
            }
            _ => {
                config.insert("name".to_owned(), Value::String(name.to_owned()));
            }
        }
        Ok(config)
    }

    /// Creates a connector.
    ///
    /// # Errors
    /// It exists, its configuration is refused, or Kafka did not take it.
    pub async fn create(
        &self,
        name: &str,
        config: RawConfig,
        target: Option<TargetState>,
    ) -> Result<ConnectorInfo, HerderError> {
        let config = Self::named(name, config)?;
        let (herder, name) = (self.clone(), name.to_owned());
        self.call("creating a connector", async move {
            herder.inner.validator.accept(&config).await?;
            let _one = herder.inner.writes.lock().await;
            if herder.get(&name).is_some() {
                return Err(HerderError::Conflict(format!("Connector {name} already exists")));
            }
            let stored = StoredConnector { config, target: target.unwrap_or_default(), tasks: None };
            let configs = herder.inner.shop.services.configs();
            if let Some(target) = target {
                configs.put_target(&name, target).await?;
            }
            configs.put_connector(&name, Some(&stored.config)).await?;
            tracing::info!(connector = name, "Connector {name} config updated");
            let connector = {
                let mut all = lock(&herder.inner.connectors);
                let connector = all.entry(name.clone()).or_insert_with(|| Connector::new(&name, None)).clone();
                *lock(&connector.desired) = Some(stored.clone());
                connector
            };
            let info = herder.describe(&name, stored);
            herder.later(connector, |herder, connector| async move { herder.apply_config(&connector, 0).await });
            Ok(info)
        })
        .await
    }

    /// Creates a connector or replaces its configuration; `true` when it was created.
    ///
    /// # Errors
    /// As [`Herder::create`].
    pub async fn put_config(&self, name: &str, config: RawConfig) -> Result<(ConnectorInfo, bool), HerderError> {
        if self.get(name).is_none() {
            return Ok((self.create(name, config, None).await?, true));
        }
        let config = Self::named(name, config)?;
        let (herder, name) = (self.clone(), name.to_owned());
        let update = async move {
            herder.inner.validator.accept(&config).await?;
            let _one = herder.inner.writes.lock().await;
            herder.update(&name, config).await
        };
        Ok((self.call("updating a connector", update).await?, false))
    }

    async fn update(&self, name: &str, config: RawConfig) -> Result<ConnectorInfo, HerderError> {
        let (connector, mut desired) = self.find(name)?;
        self.inner.shop.services.configs().put_connector(name, Some(&config)).await?;
        tracing::info!(connector = name, "Connector {name} config updated");
        connector.change(|desired| desired.config = config.clone());
        desired.config = config;
        self.later(connector, |herder, connector| async move { herder.apply_config(&connector, 0).await });
        Ok(self.describe(name, desired))
    }

    /// Merges a patch into a connector's configuration: strings are set, nulls remove their key.
    ///
    /// # Errors
    /// There is no such connector, or the merged configuration is refused.
    pub async fn patch_config(&self, name: &str, patch: RawConfig) -> Result<ConnectorInfo, HerderError> {
        let (herder, name) = (self.clone(), name.to_owned());
        self.call("updating a connector", async move {
            loop {
                let (_, before) = herder.find(&name)?;
                let mut config = before.config.clone();
                for (key, value) in &patch {
                    match value {
                        Value::Null => drop(config.shift_remove(key)),
                        value => drop(config.insert(key.clone(), value.clone())),
                    }
                }
                let config = Self::named(&name, config)?;
                // Takes its time (it connects to the source), so nobody else waits for it; somebody else's change in
                // the meantime is merged into anew.
                herder.inner.validator.accept(&config).await?;
                let _one = herder.inner.writes.lock().await;
                if herder.find(&name)?.1.config == before.config {
                    return herder.update(&name, config).await;
                }
            }
        })
        .await
    }

    /// Deletes a connector; its offsets stay.
    ///
    /// # Errors
    /// There is none, or Kafka did not take it.
    pub async fn delete(&self, name: &str) -> Result<(), HerderError> {
        let (herder, name) = (self.clone(), name.to_owned());
        self.call("deleting a connector", async move {
            let _one = herder.inner.writes.lock().await;
            let (connector, _) = herder.find(&name)?;
            herder.inner.shop.services.configs().put_connector(&name, None).await?;
            *lock(&connector.desired) = None;
            tracing::info!(connector = name, "Successfully processed removal of connector '{name}'");
            herder.later(connector, |herder, connector| async move { herder.apply_delete(&connector).await });
            Ok(())
        })
        .await
    }

    /// Pauses, resumes or stops a connector.
    ///
    /// # Errors
    /// There is none, or Kafka did not take it.
    pub async fn set_target(&self, name: &str, target: TargetState) -> Result<(), HerderError> {
        let (herder, name) = (self.clone(), name.to_owned());
        self.call("changing a connector's target state", async move {
            let _one = herder.inner.writes.lock().await;
            let unknown = || HerderError::NotFound(format!("Unknown connector {name}"));
            let (connector, _) = herder.get(&name).ok_or_else(unknown)?;
            let configs = herder.inner.shop.services.configs();
            if target == TargetState::Stopped {
                configs.put_tasks(&name, &[]).await?;
            }
            configs.put_target(&name, target).await?;
            connector.change(|desired| {
                desired.target = target;
                if target == TargetState::Stopped {
                    desired.tasks = Some(Vec::new());
                }
            });
            tracing::info!(connector = name, "Connector {name} target state change");
            herder.later(connector, |herder, connector| async move { herder.apply_target(&connector).await });
            Ok(())
        })
        .await
    }

    /// Restarts the connector instance, or with one of the flags the parts they choose; then the answer is the plan.
    ///
    /// # Errors
    /// There is no such connector.
    pub async fn restart(
        &self,
        name: &str,
        include_tasks: bool,
        only_failed: bool,
    ) -> Result<Option<(ConnectorStatus, bool)>, HerderError> {
        let (herder, name) = (self.clone(), name.to_owned());
        self.call("restarting a connector", async move {
            let unknown = || HerderError::NotFound(format!("Unknown connector: {name}"));
            let (connector, desired) = herder.get(&name).ok_or_else(unknown)?;
            if !include_tasks && !only_failed {
                herder.apply_restart(&connector, true, false).await;
                return Ok(None);
            }
            let unknown = || HerderError::NotFound(format!("Status for connector {name} not found"));
            let mut plan = herder.board().of(&name).filter(|s| s.connector.is_some()).ok_or_else(unknown)?;
            let chosen = |state: State| !only_failed || state == State::Failed;
            let instance = plan.connector.as_ref().is_some_and(|status| chosen(status.state));
            let task = include_tasks && plan.tasks.values().any(|status| chosen(status.state));
            if let Some(status) = plan.connector.as_mut().filter(|_| instance) {
                status.state = State::Restarting;
            }
            for status in plan.tasks.values_mut().filter(|_| task) {
                status.state = State::Restarting;
            }
            herder.inner.shop.services.configs().put_restart(&name, include_tasks, only_failed).await?;
            if instance || task {
                let apply = move |herder: Herder, connector: Arc<Connector>| async move {
                    herder.apply_restart(&connector, instance, task).await;
                };
                herder.later(connector, apply);
            }
            Ok(Some((plan, herder.plugin(&desired.config).is_some())))
        })
        .await
    }

    /// Restarts one task; returns when it was started again.
    ///
    /// # Errors
    /// There is no such connector or task.
    pub async fn restart_task(&self, name: &str, task: u32) -> Result<(), HerderError> {
        let (herder, name) = (self.clone(), name.to_owned());
        self.call("restarting a task", async move {
            let unknown = || HerderError::NotFound(format!("Unknown connector: {name}"));
            let (connector, desired) = herder.get(&name).ok_or_else(unknown)?;
            if desired.tasks.is_none_or(|tasks| tasks.len() <= task as usize) {
                return Err(HerderError::NotFound(format!("Unknown task: {name}-{task}")));
            }
            herder.apply_restart(&connector, false, true).await;
            Ok(())
        })
        .await
    }
}
