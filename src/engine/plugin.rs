//! A source connector as the worker sees it, and what the worker gives to a task of one.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures_util::future::BoxFuture;
use model::OffsetMap;
use record::RecordSettings;
use tokio::sync::watch;

use crate::{
    budget::Budget,
    config::ConfigDef,
    core::Boundary,
    error::TaskError,
    metrics::ConnectorMetrics,
    port::{CheckpointStore, OffsetTopic, SchemaHistoryOpener, Sink},
};

/// A connector's configuration as it was sent, placeholders resolved.
pub type ConfigMap = BTreeMap<String, String>;

/// Errors of validation: per key, in the order found.
pub type ConfigErrors = Vec<(String, String)>;

/// A kind of source connector.
pub trait ConnectorPlugin: Send + Sync {
    /// The class name users write, e.g. `io.debezium.connector.mysql.MySqlConnector`.
    fn class(&self) -> &'static str;

    /// The version reported, `3.6.1.Final`.
    fn version(&self) -> &'static str;

    /// Class name of its tasks, written into task configurations.
    fn task_class(&self) -> &'static str;

    /// Its own options.
    fn config(&self) -> &'static ConfigDef;

    /// Checks across options, without touching the network: refused options, combinations.
    fn check(&self, config: &ConfigMap) -> ConfigErrors;

    /// Connects to the database and checks it; called only when nothing else is wrong.
    fn check_connection<'a>(&'a self, config: &'a ConfigMap) -> BoxFuture<'a, ConfigErrors>;

    /// The partition its offsets are kept under, `{"server":"<topic.prefix>"}`.
    fn partition(&self, config: &ConfigMap) -> OffsetMap;

    /// Checks an offset that a user wants to set.
    ///
    /// # Errors
    /// The text for the user.
    fn check_offset(&self, partition: &OffsetMap, offset: Option<&OffsetMap>) -> Result<(), String>;

    /// Runs one task until `control` says stop (`Ok`) or it fails.
    fn run(&self, task: TaskContext) -> BoxFuture<'static, Result<(), TaskError>>;
}

/// What a task is to do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Read and deliver.
    Run,
    /// Keep connections, read nothing.
    Pause,
    /// Stop reading, drain, commit, end.
    Stop,
}

/// Everything one task is given.
pub struct TaskContext {
    /// Connector name.
    pub connector: String,
    /// Its configuration.
    pub config: ConfigMap,
    /// Converters and headers.
    pub records: RecordSettings,
    /// Where records go.
    pub sink: Box<dyn Sink>,
    /// The offsets topic.
    pub offsets: Arc<dyn OffsetTopic>,
    /// The local store.
    pub store: Arc<dyn CheckpointStore>,
    /// Opens schema histories.
    pub history: Arc<dyn SchemaHistoryOpener>,
    /// The connector's share of memory.
    pub budget: Budget,
    /// What to do.
    pub control: watch::Receiver<Control>,
    /// Counters.
    pub metrics: Arc<ConnectorMetrics>,
    /// Called once when the task has started (RUNNING).
    pub started: Box<dyn FnOnce() + Send>,
    /// Called with a topic's name at its first record.
    pub topic_used: Box<dyn Fn(&str) + Send + Sync>,
    /// Set to make a blocked [`Sink::produce`] return.
    pub abort: Arc<AtomicBool>,
    /// `offset.flush.interval.ms`.
    pub flush_interval: Duration,
    /// `offset.flush.timeout.ms`.
    pub flush_timeout: Duration,
    /// How long a stop may take to drain.
    pub shutdown_timeout: Duration,
    /// `afterimage.encoder.threads`.
    pub encoder_threads: usize,
    /// At-least-once, or in transactions of which size; the sink has to have transactions then.
    pub boundary: Option<Boundary>,
    /// `delivery.timeout.ms` where it has an end: how long a batch may wait while Kafka answers.
    pub delivery_timeout: Option<Duration>,
    /// Kafka's cluster id, to recognise a checkpoint of another cluster.
    pub cluster: Option<String>,
}
