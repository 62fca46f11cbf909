//! Statuses and active topics: the view that answers show at once, and the writer that brings it to the
//! status topic.
//!
//! A slow Kafka never holds a connector up: writes wait in a map where the newest value of a key wins.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::backing::{State, Status, StatusBacking, StatusKey, StatusValue, StoredStatuses};

/// Statuses of one connector.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectorStatus {
    /// The connector's own.
    pub connector: Option<Status>,
    /// Its tasks', by number.
    pub tasks: BTreeMap<u32, Status>,
}

#[derive(Default)]
struct View {
    statuses: BTreeMap<String, ConnectorStatus>,
    topics: BTreeMap<String, BTreeSet<String>>,
    pending: BTreeMap<StatusKey, StatusValue>,
    writing: bool,
}

/// The status board of a worker.
pub struct StatusBoard {
    worker_id: String,
    view: Mutex<View>,
    changed: Notify,
    written: Notify,
}

impl StatusBoard {
    /// A board that starts with what the topic holds.
    pub fn new(worker_id: String, stored: StoredStatuses) -> Self {
        let mut view = View { topics: stored.topics, ..View::default() };
        for (connector, status) in stored.connectors {
            view.statuses.entry(connector).or_default().connector = Some(status);
        }
        for ((connector, task), status) in stored.tasks {
            view.statuses.entry(connector).or_default().tasks.insert(task, status);
        }
        Self { worker_id, view: Mutex::new(view), changed: Notify::new(), written: Notify::new() }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self, state: State, trace: Option<String>, version: Option<&str>) -> Status {
        Status { state, trace, worker_id: self.worker_id.clone(), version: version.map(str::to_owned) }
    }

    /// Sets a connector's state.
    pub fn connector(&self, connector: &str, state: State, trace: Option<String>, version: Option<&str>) {
        let status = self.status(state, trace, version);
        let mut view = self.view();
        view.statuses.entry(connector.to_owned()).or_default().connector = Some(status.clone());
        view.pending.insert(StatusKey::Connector(connector.to_owned()), StatusValue::Status(status));
        drop(view);
        self.changed.notify_one();
    }

    /// Sets a task's state.
    pub fn task(&self, connector: &str, task: u32, state: State, trace: Option<String>, version: Option<&str>) {
        let status = self.status(state, trace, version);
        let mut view = self.view();
        view.statuses.entry(connector.to_owned()).or_default().tasks.insert(task, status.clone());
        view.pending.insert(StatusKey::Task(connector.to_owned(), task), StatusValue::Status(status));
        drop(view);
        self.changed.notify_one();
    }

    /// Removes a task's status.
    pub fn remove_task(&self, connector: &str, task: u32) {
        let mut view = self.view();
        if view.statuses.get_mut(connector).and_then(|status| status.tasks.remove(&task)).is_some() {
            view.pending.insert(StatusKey::Task(connector.to_owned(), task), StatusValue::Gone);
        }
        drop(view);
        self.changed.notify_one();
    }

    /// Removes all statuses and active topics of a connector.
    pub fn remove_connector(&self, connector: &str) {
        self.reset_topics(connector);
        let mut view = self.view();
        if let Some(status) = view.statuses.remove(connector) {
            view.pending.insert(StatusKey::Connector(connector.to_owned()), StatusValue::Gone);
            for task in status.tasks.into_keys() {
                view.pending.insert(StatusKey::Task(connector.to_owned(), task), StatusValue::Gone);
            }
        }
        drop(view);
        self.changed.notify_one();
    }

    /// A task wrote to a topic.
    pub fn topic_used(&self, connector: &str, task: u32, topic: &str) {
        let mut view = self.view();
        if view.topics.get(connector).is_some_and(|topics| topics.contains(topic)) {
            return;
        }
        view.topics.entry(connector.to_owned()).or_default().insert(topic.to_owned());
        let key = StatusKey::Topic { connector: connector.to_owned(), topic: topic.to_owned() };
        let discovered_ms = jiff::Timestamp::now().as_millisecond();
        view.pending.insert(key, StatusValue::Topic { task, discovered_ms });
        drop(view);
        self.changed.notify_one();
    }

    /// Empties a connector's active topics.
    pub fn reset_topics(&self, connector: &str) {
        let mut view = self.view();
        for topic in view.topics.remove(connector).unwrap_or_default() {
            view.pending.insert(StatusKey::Topic { connector: connector.to_owned(), topic }, StatusValue::Gone);
        }
        drop(view);
        self.changed.notify_one();
    }

    /// A connector's statuses, if it has any.
    pub fn of(&self, connector: &str) -> Option<ConnectorStatus> {
        self.view().statuses.get(connector).cloned()
    }

    /// Names of all connectors with a status or an active topic.
    pub fn names(&self) -> BTreeSet<String> {
        let view = self.view();
        view.statuses.keys().chain(view.topics.keys()).cloned().collect()
    }

    /// A connector's active topics.
    pub fn topics(&self, connector: &str) -> Vec<String> {
        self.view().topics.get(connector).map(|topics| topics.iter().cloned().collect()).unwrap_or_default()
    }

    /// Writes changes until the end of the process; a failed write is tried again after a second.
    pub async fn write(self: Arc<Self>, topic: Arc<dyn StatusBacking>) {
        loop {
            let next = {
                let mut view = self.view();
                let next = view.pending.pop_first();
                view.writing = next.is_some();
                next
            };
            let Some((key, value)) = next else {
                self.written.notify_waiters();
                self.changed.notified().await;
                continue;
            };
            if let Err(error) = topic.put(&key, &value).await {
                tracing::warn!("could not write a status, it is tried again: {error}");
                self.view().pending.entry(key).or_insert(value);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Waits until all changes are in the topic, at most `timeout`.
    pub async fn flush(&self, timeout: Duration) {
        let done = async {
            loop {
                let written = self.written.notified();
                tokio::pin!(written);
                written.as_mut().enable();
                {
                    let view = self.view();
                    if view.pending.is_empty() && !view.writing {
                        return;
                    }
                }
                written.await;
            }
        };
        if tokio::time::timeout(timeout, done).await.is_err() {
            tracing::warn!("not all statuses could be written to the status topic before the end");
        }
    }
}
