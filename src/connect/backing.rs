//! What the worker keeps outside itself: configurations, target states, statuses and offsets, and what it takes
//! from outside to run a task.
//!
//! The daemon runs on the worker's three Kafka topics; everything above this module knows only the traits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicBool},
};

use engine::{
    error::{Failure, TaskError},
    plugin::{ConfigErrors, ConfigMap},
    port::{CheckpointStore, OffsetTopic, SchemaHistoryOpener, Sink},
};
use futures_util::future::BoxFuture;
use model::OffsetMap;

use crate::{RawConfig, error::StartError, worker::WorkerConfig};

/// What a user wants of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetState {
    /// It runs.
    #[default]
    Started,
    /// It keeps its connections and reads nothing.
    Paused,
    /// It has no tasks.
    Stopped,
}

impl TargetState {
    /// The word of the config topic: `STARTED`, `PAUSED`, `STOPPED`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
        }
    }
}

/// State of a connector or task as statuses show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// `RUNNING`
    Running,
    /// `PAUSED`
    Paused,
    /// `STOPPED`; connectors only.
    Stopped,
    /// `FAILED`
    Failed,
    /// `UNASSIGNED`
    Unassigned,
    /// `RESTARTING`
    Restarting,
}

impl State {
    /// The word in answers and in the status topic.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Unassigned => "UNASSIGNED",
            Self::Restarting => "RESTARTING",
        }
    }

    /// Reads the word; `None` for `DESTROYED` and words of later versions.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Running, Self::Paused, Self::Stopped, Self::Failed, Self::Unassigned, Self::Restarting]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// A status record. The generation is always 0: there is one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The state.
    pub state: State,
    /// Why it failed.
    pub trace: Option<String>,
    /// `<advertised host>:<port>`.
    pub worker_id: String,
    /// The plugin's version.
    pub version: Option<String>,
}

/// A connector as the config topic holds it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoredConnector {
    /// Its configuration, placeholders unresolved.
    pub config: RawConfig,
    /// Its target state.
    pub target: TargetState,
    /// Its task configurations; `None` when no complete set was committed.
    pub tasks: Option<Vec<RawConfig>>,
}

/// The config topic (`config.storage.topic`). A write returns when Kafka has it.
pub trait ConfigBacking: Send + Sync {
    /// All connectors, after reading the topic to its present end.
    fn load(&self) -> BoxFuture<'_, Result<BTreeMap<String, StoredConnector>, Failure>>;

    /// Writes `connector-<c>`; `None` writes tombstones for it and for `target-state-<c>`.
    fn put_connector<'a>(
        &'a self,
        connector: &'a str,
        config: Option<&'a RawConfig>,
    ) -> BoxFuture<'a, Result<(), Failure>>;

    /// Writes `target-state-<c>` with `state` and `state.v2`.
    fn put_target<'a>(&'a self, connector: &'a str, target: TargetState) -> BoxFuture<'a, Result<(), Failure>>;

    /// Writes `task-<c>-<t>` for each task, then `commit-<c>`.
    fn put_tasks<'a>(&'a self, connector: &'a str, tasks: &'a [RawConfig]) -> BoxFuture<'a, Result<(), Failure>>;

    /// Writes `restart-connector-<c>`.
    fn put_restart<'a>(
        &'a self,
        connector: &'a str,
        include_tasks: bool,
        only_failed: bool,
    ) -> BoxFuture<'a, Result<(), Failure>>;
}

/// What the status topic holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoredStatuses {
    /// By connector.
    pub connectors: BTreeMap<String, Status>,
    /// By connector and task.
    pub tasks: BTreeMap<(String, u32), Status>,
    /// Active topics by connector.
    pub topics: BTreeMap<String, BTreeSet<String>>,
}

/// One record of the status topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusKey {
    /// `status-connector-<c>`
    Connector(String),
    /// `status-task-<c>-<t>`
    Task(String, u32),
    /// `status-topic-<topic>:connector-<c>`
    Topic {
        /// The connector.
        connector: String,
        /// The topic.
        topic: String,
    },
}

/// Its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusValue {
    /// Tombstone.
    Gone,
    /// A status.
    Status(Status),
    /// An active topic.
    Topic {
        /// Task that wrote to it first.
        task: u32,
        /// When, milliseconds since the epoch.
        discovered_ms: i64,
    },
}

/// The status topic (`status.storage.topic`).
pub trait StatusBacking: Send + Sync {
    /// All statuses, after reading the topic to its present end.
    fn load(&self) -> BoxFuture<'_, Result<StoredStatuses, Failure>>;

    /// Writes one record and waits until Kafka has it.
    fn put<'a>(&'a self, key: &'a StatusKey, value: &'a StatusValue) -> BoxFuture<'a, Result<(), Failure>>;
}

/// The offsets topic (`offset.storage.topic`).
pub trait OffsetBacking: Send + Sync {
    /// Single records.
    fn topic(&self) -> Arc<dyn OffsetTopic>;

    /// All partitions of a connector with their offsets, after reading the topic to its present end.
    fn list<'a>(&'a self, connector: &'a str) -> BoxFuture<'a, Result<Vec<(OffsetMap, OffsetMap)>, Failure>>;
}

/// What a task's sink is made from.
pub struct SinkRequest<'a> {
    /// Connector name.
    pub connector: &'a str,
    /// Its configuration, placeholders resolved: producer overrides and `topic.creation.*` are in it.
    pub config: &'a ConfigMap,
    /// Bytes that the producer's own queue may hold.
    pub queue_bytes: usize,
    /// Set to make a blocked call return.
    pub abort: Arc<AtomicBool>,
}

/// Everything outside, opened.
pub trait Services: Send + Sync {
    /// The config topic.
    fn configs(&self) -> Arc<dyn ConfigBacking>;
    /// The status topic.
    fn statuses(&self) -> Arc<dyn StatusBacking>;
    /// The offsets topic.
    fn offsets(&self) -> Arc<dyn OffsetBacking>;
    /// The local store.
    fn store(&self) -> Arc<dyn CheckpointStore>;
    /// Schema histories.
    fn history(&self) -> Arc<dyn SchemaHistoryOpener>;
    /// Kafka's cluster id.
    fn cluster_id(&self) -> Option<String>;

    /// A sink for one task.
    ///
    /// # Errors
    /// A client setting is wrong, or the cluster refuses.
    fn sink(&self, request: SinkRequest<'_>) -> Result<Box<dyn Sink>, TaskError>;

    /// Ends when this process has lost the right to write: another member is in the group.
    fn lost(&self) -> BoxFuture<'static, StartError>;

    /// Leaves the group and closes what is open.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Opens [`Services`] for a worker: state folder, cluster, internal topics, group, in that order.
pub trait Cluster: Send + Sync {
    /// Opens everything; gives up after the time the product allows for an unreachable broker.
    fn open(
        &self,
        worker: Arc<WorkerConfig>,
        worker_id: String,
    ) -> BoxFuture<'_, Result<Arc<dyn Services>, StartError>>;

    /// Checks a connector's client settings (`producer.override.*`, `topic.creation.*`), without touching the network:
    /// pairs of key and complete text.
    fn check_clients(&self, worker: &WorkerConfig, config: &ConfigMap) -> ConfigErrors;
}
