//! Connect's configuration topic: connector and task configurations, target states and restart requests.
//!
//! Task configurations become valid with the commit record that follows them; until then they are held back.
//! Session keys, logger levels and whatever else Java workers keep here is passed over.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use engine::error::TaskError;
use serde_json::{Map, Value, json};
use tokio::sync::{broadcast, watch};

use crate::{
    json,
    topics::{CompactedLog, LogClients, LogRecord, LogTopic},
};

/// A configuration: values may be null.
pub type Properties = BTreeMap<String, Option<String>>;

/// How long a write may take, Connect's total for writing and reading back.
pub const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// What a connector is meant to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetState {
    /// Run.
    #[default]
    Started,
    /// Keep tasks, read nothing.
    Paused,
    /// No tasks.
    Stopped,
}

impl TargetState {
    /// Connect's word.
    pub fn text(self) -> &'static str {
        match self {
            TargetState::Started => "STARTED",
            TargetState::Paused => "PAUSED",
            TargetState::Stopped => "STOPPED",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Started, Self::Paused, Self::Stopped].into_iter().find(|state| state.text() == text)
    }
}

/// What the topic says about one connector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectorConfig {
    /// Its configuration; `None` when only other records of it are there.
    pub properties: Option<Properties>,
    /// Its target state; without a record, started.
    pub target: TargetState,
    /// Task configurations of the last complete round.
    pub tasks: Vec<Properties>,
    /// A round was committed of which records are missing: `tasks` must not be used.
    pub inconsistent: bool,
    /// Producers that may be alive in a cluster with exactly-once, from `tasks-fencing-`.
    pub fencing_tasks: Option<i64>,
    /// Tasks of a round that is not committed.
    pending: BTreeMap<u32, Properties>,
}

/// What the topic says, up to some offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigState {
    connectors: BTreeMap<String, ConnectorConfig>,
    /// Offset after the last record read.
    pub next_offset: i64,
}

impl ConfigState {
    /// Connectors that have a configuration, by name.
    pub fn connectors(&self) -> impl Iterator<Item = (&str, &ConnectorConfig)> {
        self.connectors.iter().filter(|(_, c)| c.properties.is_some()).map(|(name, c)| (name.as_str(), c))
    }

    /// A connector that has a configuration.
    pub fn connector(&self, name: &str) -> Option<&ConnectorConfig> {
        self.connectors.get(name).filter(|c| c.properties.is_some())
    }
}

/// A change seen in the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigEvent {
    /// A connector was created or changed.
    Changed(String),
    /// A connector was deleted.
    Removed(String),
    /// A target state was written, possibly the same.
    Target(String),
    /// Task configurations were committed.
    Tasks(String),
    /// A restart was asked for. Only ever live, never from the topic's past.
    Restart {
        /// The connector.
        connector: String,
        /// With its tasks.
        include_tasks: bool,
        /// Only what has failed.
        only_failed: bool,
    },
}

fn properties(value: &Value) -> Option<Properties> {
    let text = |value: &Value| match value {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone())),
        // Connect writes strings only; a tool's number or boolean means its text.
        Value::Bool(_) | Value::Number(_) => Some(Some(value.to_string())),
        _ => None,
    };
    value.get("properties")?.as_object()?.iter().map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}

impl ConfigState {
    /// Takes a record in; gives the event it means. Unknown and malformed records change nothing.
    fn apply(&mut self, record: LogRecord<'_>) -> Option<ConfigEvent> {
        self.next_offset = self.next_offset.max(record.offset + 1);
        let key = std::str::from_utf8(record.key?).ok()?;
        let value: Option<Value> = match record.value.map(serde_json::from_slice) {
            None => None,
            Some(Ok(value)) => Some(value),
            Some(Err(_)) => return malformed(key, record.offset),
        };
        if let Some(name) = key.strip_prefix("target-state-") {
            return self.target(name, value.as_ref()).or_else(|| malformed(key, record.offset));
        }
        if let Some(name) = key.strip_prefix("connector-") {
            return self.connector_record(name, value.as_ref()).or_else(|| malformed(key, record.offset));
        }
        if let Some(rest) = key.strip_prefix("task-") {
            let (name, id) = rest.rsplit_once('-')?;
            let (Ok(id), Some(value)) = (id.parse(), value) else { return None };
            let Some(properties) = properties(&value) else { return malformed(key, record.offset) };
            self.connectors.entry(name.to_owned()).or_default().pending.insert(id, properties);
            return None;
        }
        if let Some(name) = key.strip_prefix("commit-") {
            let tasks = value?.get("tasks").and_then(Value::as_u64);
            return match tasks {
                Some(tasks) => self.commit(name, tasks),
                None => malformed(key, record.offset),
            };
        }
        if let Some(connector) = key.strip_prefix("restart-connector-") {
            let value = value?;
            let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
            let (include_tasks, only_failed) = (flag("include-tasks"), flag("only-failed"));
            return Some(ConfigEvent::Restart { connector: connector.to_owned(), include_tasks, only_failed });
        }
        if let Some(name) = key.strip_prefix("tasks-fencing-") {
            let count = value.as_ref().and_then(|value| value.get("task-count")).and_then(Value::as_i64);
            self.connectors.entry(name.to_owned()).or_default().fencing_tasks = count;
        }
        None
    }

    fn target(&mut self, name: &str, value: Option<&Value>) -> Option<ConfigEvent> {
        let target = match value {
            None => TargetState::Started,
            Some(value) => {
                let text = |key: &str| value.get(key).and_then(Value::as_str);
                TargetState::parse(text("state.v2").or_else(|| text("state"))?)?
            }
        };
        let connector = self.connectors.entry(name.to_owned()).or_default();
        connector.target = target;
        let known = connector.properties.is_some();
        if value.is_none() && !known {
            self.forget_if_empty(name);
        }
        Some(ConfigEvent::Target(name.to_owned()))
    }

    fn connector_record(&mut self, name: &str, value: Option<&Value>) -> Option<ConfigEvent> {
        let Some(value) = value else {
            // Deleted: its task configurations are meaningless, the target state has a tombstone of its own.
            let connector = self.connectors.entry(name.to_owned()).or_default();
            let target = connector.target;
            *connector =
                ConnectorConfig { target, fencing_tasks: connector.fencing_tasks, ..ConnectorConfig::default() };
            self.forget_if_empty(name);
            return Some(ConfigEvent::Removed(name.to_owned()));
        };
        let properties = properties(value)?;
        self.connectors.entry(name.to_owned()).or_default().properties = Some(properties);
        Some(ConfigEvent::Changed(name.to_owned()))
    }

    fn forget_if_empty(&mut self, name: &str) {
        if self.connectors.get(name).is_some_and(|c| *c == ConnectorConfig::default()) {
            self.connectors.remove(name);
        }
    }

    fn commit(&mut self, name: &str, tasks: u64) -> Option<ConfigEvent> {
        let connector = self.connectors.entry(name.to_owned()).or_default();
        let mut pending = std::mem::take(&mut connector.pending);
        if connector.properties.is_none() {
            // Committed for a connector that is gone.
            self.forget_if_empty(name);
            return None;
        }
        // Never more rounds than records: a count from the topic is not to be trusted with memory.
        let complete = pending.len() as u64 >= tasks;
        let round: Option<Vec<Properties>> =
            if complete { (0..tasks as u32).map(|id| pending.remove(&id)).collect() } else { None };
        connector.inconsistent = round.is_none();
        connector.tasks = round.unwrap_or_default();
        Some(ConfigEvent::Tasks(name.to_owned()))
    }
}

fn malformed(key: &str, offset: i64) -> Option<ConfigEvent> {
    tracing::warn!(key, offset, "a record of the configuration topic is malformed; it is passed over");
    None
}

struct Shared {
    state: ConfigState,
    /// Whether the topic's past is behind us.
    live: bool,
}

/// The worker's configuration topic.
pub struct ConfigTopic {
    log: CompactedLog,
    snapshot: watch::Receiver<Arc<ConfigState>>,
    events: broadcast::Sender<ConfigEvent>,
}

impl fmt::Debug for ConfigTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigTopic").field("topic", &self.log.topic()).finish_non_exhaustive()
    }
}

/// Events kept for a slow listener; one that falls behind further reads the snapshot anew.
const EVENTS: usize = 1024;

impl ConfigTopic {
    /// Opens the topic and reads it.
    ///
    /// # Errors
    /// As [`CompactedLog::open`].
    pub async fn open(topic: LogTopic, clients: LogClients) -> Result<Self, TaskError> {
        let shared = Arc::new(Mutex::new(Shared { state: ConfigState::default(), live: false }));
        let (publish, snapshot) = watch::channel(Arc::new(ConfigState::default()));
        let publish = Arc::new(publish);
        let (events, _) = broadcast::channel(EVENTS);
        let on_record = {
            let (shared, publish, events) = (shared.clone(), publish.clone(), events.clone());
            Box::new(move |record: LogRecord<'_>| {
                let mut shared = lock(&shared);
                let event = shared.state.apply(record);
                if shared.live {
                    publish.send_replace(Arc::new(shared.state.clone()));
                    // Without a listener the snapshot says it all.
                    event.map(|event| events.send(event));
                }
            })
        };
        let log = CompactedLog::open(topic, clients, on_record).await?;
        {
            let mut shared = lock(&shared);
            shared.live = true;
            publish.send_replace(Arc::new(shared.state.clone()));
        }
        Ok(Self { log, snapshot, events })
    }

    /// The state as far as read.
    pub fn snapshot(&self) -> Arc<ConfigState> {
        self.snapshot.borrow().clone()
    }

    /// The state and its changes.
    pub fn watch(&self) -> watch::Receiver<Arc<ConfigState>> {
        self.snapshot.clone()
    }

    /// Changes from now on. A lagged receiver has missed some: read [`Self::snapshot`] then.
    pub fn events(&self) -> broadcast::Receiver<ConfigEvent> {
        self.events.subscribe()
    }

    /// Reads the topic to its present end.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub async fn refresh(&self) -> Result<Arc<ConfigState>, TaskError> {
        self.log.read_to_end().await?;
        Ok(self.snapshot())
    }

    async fn put(&self, key: String, value: Option<Value>) -> Result<(), TaskError> {
        let value = value.map(|value| json::to_bytes(&value));
        self.log.write_seen(key.as_bytes(), value.as_deref(), WRITE_LIMIT).await.map(|_| ())
    }

    /// Creates or changes a connector, with an initial target state if given. The snapshot has it on return.
    ///
    /// # Errors
    /// Not written, or not confirmed within [`WRITE_LIMIT`].
    pub async fn put_connector(
        &self,
        name: &str,
        config: &Properties,
        target: Option<TargetState>,
    ) -> Result<(), TaskError> {
        if let Some(target) = target {
            self.put_target(name, target).await?;
        }
        self.put(format!("connector-{name}"), Some(json!({"properties": config}))).await
    }

    /// Deletes a connector's configuration and target state.
    ///
    /// # Errors
    /// As [`Self::put_connector`].
    pub async fn remove_connector(&self, name: &str) -> Result<(), TaskError> {
        self.put(format!("connector-{name}"), None).await?;
        self.put(format!("target-state-{name}"), None).await
    }

    /// Sets a target state.
    ///
    /// # Errors
    /// As [`Self::put_connector`].
    pub async fn put_target(&self, name: &str, target: TargetState) -> Result<(), TaskError> {
        // Workers before 3.5 know no STOPPED; they pause.
        let old = if target == TargetState::Stopped { TargetState::Paused } else { target };
        let value = json!({"state": old.text(), "state.v2": target.text()});
        self.put(format!("target-state-{name}"), Some(value)).await
    }

    /// Writes task configurations and commits them.
    ///
    /// # Errors
    /// As [`Self::put_connector`]; without the commit the old round stays valid.
    pub async fn put_tasks(&self, name: &str, tasks: &[Properties]) -> Result<(), TaskError> {
        for (id, config) in tasks.iter().enumerate() {
            self.put(format!("task-{name}-{id}"), Some(json!({"properties": config}))).await?;
        }
        self.put(format!("commit-{name}"), Some(json!({"tasks": tasks.len()}))).await
    }

    /// Asks for a restart; every worker that follows the topic sees it.
    ///
    /// # Errors
    /// As [`Self::put_connector`].
    pub async fn put_restart(&self, name: &str, include_tasks: bool, only_failed: bool) -> Result<(), TaskError> {
        let value: Map<String, Value> =
            [("include-tasks".to_owned(), include_tasks.into()), ("only-failed".to_owned(), only_failed.into())]
                .into_iter()
                .collect();
        self.put(format!("restart-connector-{name}"), Some(Value::Object(value))).await
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(state: &mut ConfigState, key: &str, value: Option<&str>) -> Option<ConfigEvent> {
        let offset = state.next_offset;
        let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
        state.apply(LogRecord { key, value, partition: 0, offset, timestamp: None })
    }

    const X: &str = r#"{"properties":{"name":"x","connector.class":"C","empty":null}}"#;

    #[test]
    fn a_create_with_one_task_as_connect_writes_it() {
        let mut state = ConfigState::default();
        assert_eq!(apply(&mut state, "session-key", Some(r#"{"key":"a"}"#)), None);
        assert_eq!(apply(&mut state, "connector-x", Some(X)), Some(ConfigEvent::Changed("x".into())));
        assert_eq!(apply(&mut state, "task-x-0", Some(r#"{"properties":{"task.class":"T"}}"#)), None);
        assert!(state.connector("x").is_some_and(|c| c.tasks.is_empty()), "not committed");
        assert_eq!(apply(&mut state, "commit-x", Some(r#"{"tasks":1}"#)), Some(ConfigEvent::Tasks("x".into())));
        let x = state.connector("x").unwrap_or_else(|| panic!("no connector"));
        assert_eq!(x.tasks, [BTreeMap::from([("task.class".to_owned(), Some("T".to_owned()))])]);
        assert_eq!(x.properties.as_ref().and_then(|p| p.get("empty")), Some(&None));
        assert_eq!((x.target, x.inconsistent, state.next_offset), (TargetState::Started, false, 4));
    }

    #[test]
    fn a_round_with_missing_tasks_is_inconsistent() {
        let mut state = ConfigState::default();
        apply(&mut state, "connector-a-b", Some(X));
        apply(&mut state, "task-a-b-1", Some(r#"{"properties":{}}"#));
        apply(&mut state, "commit-a-b", Some(r#"{"tasks":18446744073709551615}"#));
        assert!(state.connector("a-b").is_some_and(|c| c.inconsistent && c.tasks.is_empty() && c.pending.is_empty()));
        apply(&mut state, "commit-gone", Some(r#"{"tasks":0}"#));
        assert_eq!(state.connectors().count(), 1);
    }

    #[test]
    fn target_states_old_and_new_and_before_the_connector() {
        let mut state = ConfigState::default();
        apply(&mut state, "target-state-x", Some(r#"{"state":"PAUSED","state.v2":"STOPPED"}"#));
        assert!(state.connector("x").is_none());
        apply(&mut state, "connector-x", Some(X));
        let target = |state: &ConfigState| state.connector("x").map(|c| c.target);
        assert_eq!(target(&state), Some(TargetState::Stopped));
        apply(&mut state, "target-state-x", Some(r#"{"state":"PAUSED"}"#));
        assert_eq!(target(&state), Some(TargetState::Paused));
        apply(&mut state, "target-state-x", Some(r#"{"state":"SLEEPING"}"#));
        assert_eq!(target(&state), Some(TargetState::Paused));
        apply(&mut state, "target-state-x", None);
        assert_eq!(target(&state), Some(TargetState::Started));
        assert_eq!(apply(&mut state, "connector-x", None), Some(ConfigEvent::Removed("x".into())));
        assert!(state.connectors.is_empty());
    }

    #[test]
    fn restart_requests_are_events() {
        let mut state = ConfigState::default();
        let event = apply(&mut state, "restart-connector-x", Some(r#"{"include-tasks":true,"only-failed":false}"#));
        let expected = ConfigEvent::Restart { connector: "x".into(), include_tasks: true, only_failed: false };
        assert_eq!(event, Some(expected));
    }

    #[test]
    fn anything_malformed_changes_nothing() {
        let mut state = ConfigState::default();
        for (key, value) in [
            ("connector-x", Some("{")),
            ("connector-x", Some("[]")),
            ("connector-x", Some(r#"{"properties":{"a":[]}}"#)),
            ("task-x-y", Some(X)),
            ("task-x", Some(X)),
            ("commit-x", Some("{}")),
            ("target-state-x", Some("3")),
            ("nonsense", Some("{}")),
            ("", None),
        ] {
            assert_eq!(apply(&mut state, key, value), None, "{key}");
        }
        assert_eq!(state.connectors().count(), 0);
    }
}
