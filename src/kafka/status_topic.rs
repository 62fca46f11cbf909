//! Connect's status topic: states of connectors and tasks, and the topics each connector has written to.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use engine::error::TaskError;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    config_topic::WRITE_LIMIT,
    json,
    topics::{CompactedLog, LogClients, LogRecord, LogTopic},
};

/// States of connectors and tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not run by any worker.
    Unassigned,
    /// Runs.
    Running,
    /// Paused.
    Paused,
    /// Failed.
    Failed,
    /// Removed; never kept.
    Destroyed,
    /// Is being restarted.
    Restarting,
    /// Stopped.
    Stopped,
}

impl State {
    const ALL: [State; 7] = [
        State::Unassigned,
        State::Running,
        State::Paused,
        State::Failed,
        State::Destroyed,
        State::Restarting,
        State::Stopped,
    ];

    /// Connect's word.
    pub fn text(self) -> &'static str {
        match self {
            State::Unassigned => "UNASSIGNED",
            State::Running => "RUNNING",
            State::Paused => "PAUSED",
            State::Failed => "FAILED",
            State::Destroyed => "DESTROYED",
            State::Restarting => "RESTARTING",
            State::Stopped => "STOPPED",
        }
    }
}

/// Status of a connector or a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// State.
    pub state: State,
    /// Why it failed.
    pub trace: Option<String>,
    /// Host and port of the worker.
    pub worker_id: String,
    /// The group's generation.
    pub generation: i64,
    /// The plugin's version.
    pub version: Option<String>,
}

impl Status {
    fn parse(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let state = text("state")?;
        Some(Self {
            state: State::ALL.into_iter().find(|known| known.text() == state)?,
            trace: text("trace").map(str::to_owned),
            worker_id: text("worker_id")?.to_owned(),
            generation: value.get("generation").and_then(Value::as_i64).unwrap_or(0),
            version: text("version").map(str::to_owned),
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "state": self.state.text(),
            "trace": self.trace,
            "worker_id": self.worker_id,
            "generation": self.generation,
            "version": self.version,
        })
    }

    /// A late message of a task's previous owner.
    fn is_stale_after(&self, known: &Status) -> bool {
        self.state == State::Unassigned && known.state == State::Running && self.generation <= known.generation
    }

    /// Whether another worker of a newer generation has spoken: what is left of this one is silent then.
    fn is_overruled_by(&self, known: &Status) -> bool {
        matches!(self.state, State::Unassigned | State::Failed)
            && known.worker_id != self.worker_id
            && known.generation > self.generation
    }
}

/// A topic that a connector has written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveTopic {
    /// Task that wrote first.
    pub task: u32,
    /// When, milliseconds since the epoch.
    pub discovered_ms: i64,
}

/// What the topic says about one connector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectorStatus {
    /// The connector itself.
    pub connector: Option<Status>,
    /// Its tasks.
    pub tasks: BTreeMap<u32, Status>,
    /// Its active topics, by name.
    pub topics: BTreeMap<String, ActiveTopic>,
}

/// What the topic says, by connector.
pub type Statuses = BTreeMap<String, ConnectorStatus>;

fn apply(statuses: &mut Statuses, record: LogRecord<'_>) {
    let Some(key) = record.key.and_then(|key| std::str::from_utf8(key).ok()) else { return };
    let value: Option<Value> = match record.value.map(serde_json::from_slice) {
        None => None,
        Some(Ok(value)) => Some(value),
        Some(Err(_)) => return malformed(key, record.offset),
    };
    if let Some(rest) = key.strip_prefix("status-topic-") {
        let Some((topic, connector)) = rest.split_once(":connector-") else { return malformed(key, record.offset) };
        let topics = &mut statuses.entry(connector.to_owned()).or_default().topics;
        match value {
            None => {
                topics.remove(topic);
            }
            Some(value) => {
                let about = value.get("topic");
                let number = |name: &str| about.and_then(|about| about.get(name)).and_then(Value::as_i64);
                let task = number("task").and_then(|task| u32::try_from(task).ok()).unwrap_or(0);
                let discovered_ms = number("discoverTimestamp").unwrap_or(0);
                topics.insert(topic.to_owned(), ActiveTopic { task, discovered_ms });
            }
        }
        return forget_if_empty(statuses, connector);
    }
    let (name, task) = if let Some(rest) = key.strip_prefix("status-task-") {
        match rest.rsplit_once('-').and_then(|(name, id)| Some((name, id.parse::<u32>().ok()?))) {
            Some((name, id)) => (name, Some(id)),
            None => return malformed(key, record.offset),
        }
    } else if let Some(name) = key.strip_prefix("status-connector-") {
        (name, None)
    } else {
        return malformed(key, record.offset);
    };
    let status = match value.as_ref().map(Status::parse) {
        None => None,
        Some(Some(status)) => Some(status),
        Some(None) => return malformed(key, record.offset),
    };
    let entry = statuses.entry(name.to_owned()).or_default();
    match (task, status) {
        (None, status) => entry.connector = status,
        (Some(id), None) => {
            entry.tasks.remove(&id);
        }
        (Some(id), Some(status)) => {
            if !entry.tasks.get(&id).is_some_and(|known| status.is_stale_after(known)) {
                entry.tasks.insert(id, status);
            }
        }
    }
    forget_if_empty(statuses, name);
}

fn forget_if_empty(statuses: &mut Statuses, name: &str) {
    if statuses.get(name).is_some_and(|status| *status == ConnectorStatus::default()) {
        statuses.remove(name);
    }
}

fn malformed(key: &str, offset: i64) {
    tracing::warn!(key, offset, "a record of the status topic is malformed; it is passed over");
}

/// The worker's status topic.
pub struct StatusTopic {
    log: CompactedLog,
    snapshot: watch::Receiver<Arc<Statuses>>,
}

impl fmt::Debug for StatusTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusTopic").field("topic", &self.log.topic()).finish_non_exhaustive()
    }
}

impl StatusTopic {
    /// Opens the topic and reads it.
    ///
    /// # Errors
    /// As [`CompactedLog::open`].
    pub async fn open(topic: LogTopic, clients: LogClients) -> Result<Self, TaskError> {
        let shared = Arc::new(Mutex::new((Statuses::new(), false)));
        let (publish, snapshot) = watch::channel(Arc::new(Statuses::new()));
        let publish = Arc::new(publish);
        let on_record = {
            let (shared, publish) = (shared.clone(), publish.clone());
            Box::new(move |record: LogRecord<'_>| {
                let mut shared = lock(&shared);
                let (statuses, live) = &mut *shared;
                apply(statuses, record);
                if *live {
                    publish.send_replace(Arc::new(statuses.clone()));
                }
            })
        };
        let log = CompactedLog::open(topic, clients, on_record).await?;
        {
            let mut shared = lock(&shared);
            shared.1 = true;
            publish.send_replace(Arc::new(shared.0.clone()));
        }
        Ok(Self { log, snapshot })
    }

    /// All statuses as far as read.
    pub fn snapshot(&self) -> Arc<Statuses> {
        self.snapshot.borrow().clone()
    }

    /// The statuses and their changes.
    pub fn watch(&self) -> watch::Receiver<Arc<Statuses>> {
        self.snapshot.clone()
    }

    async fn put(&self, key: String, value: Option<Value>) -> Result<(), TaskError> {
        let value = value.map(|value| json::to_bytes(&value));
        self.log.write_seen(key.as_bytes(), value.as_deref(), WRITE_LIMIT).await.map(|_| ())
    }

    /// Writes a connector's status (`None`: removes it). The snapshot has it on return. Not written when another
    /// worker of a newer generation has spoken and this is only a failure or the end.
    ///
    /// # Errors
    /// Not written, or not confirmed within [`WRITE_LIMIT`].
    pub async fn put_connector(&self, name: &str, status: Option<&Status>) -> Result<(), TaskError> {
        let known = self.snapshot().get(name).and_then(|known| known.connector.clone());
        if let (Some(status), Some(known)) = (status, known)
            && status.is_overruled_by(&known)
        {
            return Ok(());
        }
        self.put(format!("status-connector-{name}"), status.map(Status::to_json)).await
    }

    /// Writes a task's status, as [`Self::put_connector`].
    ///
    /// # Errors
    /// As [`Self::put_connector`].
    pub async fn put_task(&self, name: &str, task: u32, status: Option<&Status>) -> Result<(), TaskError> {
        let known = self.snapshot().get(name).and_then(|known| known.tasks.get(&task).cloned());
        if let (Some(status), Some(known)) = (status, known)
            && status.is_overruled_by(&known)
        {
            return Ok(());
        }
        self.put(format!("status-task-{name}-{task}"), status.map(Status::to_json)).await
    }

    /// Notes that a connector has written to a topic; nothing when that is known.
    ///
    /// # Errors
    /// As [`Self::put_connector`].
    pub async fn put_topic(&self, connector: &str, topic: &str, task: u32, now_ms: i64) -> Result<(), TaskError> {
        if self.snapshot().get(connector).is_some_and(|known| known.topics.contains_key(topic)) {
            return Ok(());
        }
        let value =
            json!({"topic": {"name": topic, "connector": connector, "task": task, "discoverTimestamp": now_ms}});
        self.put(format!("status-topic-{topic}:connector-{connector}"), Some(value)).await
    }

    /// Forgets one active topic of a connector.
    ///
    /// # Errors
    /// As [`Self::put_connector`].
    pub async fn remove_topic(&self, connector: &str, topic: &str) -> Result<(), TaskError> {
        self.put(format!("status-topic-{topic}:connector-{connector}"), None).await
    }

    /// Forgets a connector's active topics.
    ///
    /// # Errors
    /// As [`Self::put_connector`].
    pub async fn reset_topics(&self, connector: &str) -> Result<(), TaskError> {
        let known = self.snapshot();
        for topic in known.get(connector).into_iter().flat_map(|known| known.topics.keys()) {
            self.put(format!("status-topic-{topic}:connector-{connector}"), None).await?;
        }
        Ok(())
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(statuses: &mut Statuses, key: &str, value: Option<&str>) {
        let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
        apply(statuses, LogRecord { key, value, partition: 0, offset: 0, timestamp: None });
    }

    const RUNNING: &str =
        r#"{"state":"RUNNING","trace":null,"worker_id":"127.0.0.1:8083","generation":5,"version":"4.3.0"}"#;

    #[test]
    fn records_of_connect_are_read_and_written_alike() {
        let mut all = Statuses::new();
        put(&mut all, "status-connector-f-1", Some(RUNNING));
        put(&mut all, "status-task-f-1-0", Some(r#"{"state":"FAILED","trace":"x\n","worker_id":"w","generation":6}"#));
        put(
            &mut all,
            "status-topic-t1:connector-f-1",
            Some(r#"{"topic":{"name":"t1","connector":"f-1","task":0,"discoverTimestamp":1795222210659}}"#),
        );
        let f = all.get("f-1").unwrap_or_else(|| panic!("none"));
        let connector = f.connector.as_ref().unwrap_or_else(|| panic!("none"));
        assert_eq!(String::from_utf8_lossy(&json::to_bytes(&connector.to_json())), RUNNING);
        assert_eq!(f.tasks.get(&0).map(|t| (t.state, t.version.clone())), Some((State::Failed, None)));
        assert_eq!(f.topics.get("t1").map(|t| t.discovered_ms), Some(1_795_222_210_659));
        for key in ["status-connector-f-1", "status-task-f-1-0", "status-topic-t1:connector-f-1"] {
            put(&mut all, key, None);
        }
        assert!(all.is_empty());
    }

    #[test]
    fn a_late_unassigned_of_the_previous_owner_is_ignored() {
        let mut all = Statuses::new();
        put(&mut all, "status-task-c-0", Some(RUNNING));
        let unassigned =
            |generation: i64| format!(r#"{{"state":"UNASSIGNED","worker_id":"old","generation":{generation}}}"#);
        let state = |all: &Statuses| all.get("c").and_then(|c| c.tasks.get(&0)).map(|t| t.state);
        put(&mut all, "status-task-c-0", Some(&unassigned(5)));
        assert_eq!(state(&all), Some(State::Running));
        put(&mut all, "status-task-c-0", Some(&unassigned(6)));
        assert_eq!(state(&all), Some(State::Unassigned));
    }

    #[test]
    fn a_worker_of_an_older_generation_is_overruled() {
        let status = |state, worker: &str, generation| Status {
            state,
            trace: None,
            worker_id: worker.into(),
            generation,
            version: None,
        };
        let known = status(State::Running, "new", 7);
        assert!(status(State::Failed, "old", 6).is_overruled_by(&known));
        assert!(!status(State::Failed, "new", 6).is_overruled_by(&known));
        assert!(!status(State::Running, "old", 6).is_overruled_by(&known));
    }

    #[test]
    fn malformed_records_are_passed_over() {
        let mut all = Statuses::new();
        for (key, value) in [
            ("status-connector-c", "{"),
            ("status-connector-c", r#"{"state":"SLEEPING","worker_id":"w"}"#),
            ("status-task-c", RUNNING),
            ("status-task-c-x", RUNNING),
            ("status-topic-t", RUNNING),
            ("other", RUNNING),
        ] {
            put(&mut all, key, Some(value));
        }
        assert!(all.is_empty());
    }
}
