//! Backings in memory, for tests: they keep what is written, in order.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use engine::{
    batch::Ack,
    error::{Failure, TaskError},
    port::{CheckpointStore, OffsetTopic, SavedCheckpoint, SchemaHistory, SchemaHistoryOpener, Sink, StoredOffset},
};
use futures_util::future::{self, BoxFuture, FutureExt};
use model::OffsetMap;
use record::RecordBuffer;
use serde_json::Value;

use crate::{RawConfig, backing::*, error::StartError};

type Offsets = Vec<(String, OffsetMap, Option<OffsetMap>)>;

/// Everything, and a log of the keys written.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) connectors: Mutex<BTreeMap<String, StoredConnector>>,
    pub(crate) statuses: Mutex<StoredStatuses>,
    pub(crate) offsets: Mutex<Offsets>,
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) broken: AtomicBool,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    fn write(&self, text: String) -> Result<(), Failure> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Failure::new("Kafka is away"));
        }
        lock(&self.log).push(text);
        Ok(())
    }
}

/// A handle that can be given out as each trait.
#[derive(Clone, Default)]
pub(crate) struct InMemory(pub(crate) Arc<Memory>);

impl ConfigBacking for InMemory {
    fn load(&self) -> BoxFuture<'_, Result<BTreeMap<String, StoredConnector>, Failure>> {
        future::ready(Ok(lock(&self.0.connectors).clone())).boxed()
    }

    fn put_connector<'a>(
        &'a self,
        connector: &'a str,
        config: Option<&'a RawConfig>,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        let mark = if config.is_some() { "" } else { " tombstone" };
        let result = self.0.write(format!("connector-{connector}{mark}"));
        if result.is_ok() {
            let mut all = lock(&self.0.connectors);
            match config {
                Some(config) => all.entry(connector.to_owned()).or_default().config = config.clone(),
                None => drop(all.remove(connector)),
            }
        }
        future::ready(result).boxed()
    }

    fn put_target<'a>(&'a self, connector: &'a str, target: TargetState) -> BoxFuture<'a, Result<(), Failure>> {
        let result = self.0.write(format!("target-state-{connector} {}", target.word()));
        if result.is_ok() {
            lock(&self.0.connectors).entry(connector.to_owned()).or_default().target = target;
        }
        future::ready(result).boxed()
    }

    fn put_tasks<'a>(&'a self, connector: &'a str, tasks: &'a [RawConfig]) -> BoxFuture<'a, Result<(), Failure>> {
        let result = self.0.write(format!("commit-{connector} {}", tasks.len()));
        if result.is_ok()
            && let Some(stored) = lock(&self.0.connectors).get_mut(connector)
        {
            stored.tasks = Some(tasks.to_vec());
        }
        future::ready(result).boxed()
    }

    fn put_restart<'a>(&'a self, connector: &'a str, tasks: bool, failed: bool) -> BoxFuture<'a, Result<(), Failure>> {
        future::ready(self.0.write(format!("restart-connector-{connector} {tasks} {failed}"))).boxed()
    }
}

impl StatusBacking for InMemory {
    fn load(&self) -> BoxFuture<'_, Result<StoredStatuses, Failure>> {
        future::ready(Ok(lock(&self.0.statuses).clone())).boxed()
    }

    fn put<'a>(&'a self, key: &'a StatusKey, value: &'a StatusValue) -> BoxFuture<'a, Result<(), Failure>> {
        if self.0.broken.load(Ordering::Relaxed) {
            return future::ready(Err(Failure::new("Kafka is away"))).boxed();
        }
        let mut all = lock(&self.0.statuses);
        match (key, value) {
            (StatusKey::Connector(c), StatusValue::Status(s)) => drop(all.connectors.insert(c.clone(), s.clone())),
            (StatusKey::Connector(c), _) => drop(all.connectors.remove(c)),
            (StatusKey::Task(c, t), StatusValue::Status(s)) => drop(all.tasks.insert((c.clone(), *t), s.clone())),
            (StatusKey::Task(c, t), _) => drop(all.tasks.remove(&(c.clone(), *t))),
            (StatusKey::Topic { connector, topic }, StatusValue::Topic { .. }) => {
                all.topics.entry(connector.clone()).or_default().insert(topic.clone());
            }
            (StatusKey::Topic { connector, topic }, _) => {
                all.topics.entry(connector.clone()).or_default().remove(topic);
            }
        }
        future::ready(Ok(())).boxed()
    }
}

impl OffsetTopic for InMemory {
    fn read<'a>(
        &'a self,
        connector: &'a str,
        partition: &'a OffsetMap,
    ) -> BoxFuture<'a, Result<Option<StoredOffset>, TaskError>> {
        let all = lock(&self.0.offsets);
        let at = all.iter().position(|(c, p, _)| c == connector && p == partition);
        let found = at.map(|i| StoredOffset { offset: all[i].2.clone(), at: (0, i as i64) });
        future::ready(Ok(found)).boxed()
    }

    fn write<'a>(
        &'a self,
        connector: &'a str,
        partition: &'a OffsetMap,
        offset: Option<&'a OffsetMap>,
    ) -> BoxFuture<'a, Result<(i32, i64), TaskError>> {
        let mut all = lock(&self.0.offsets);
        let at = match all.iter().position(|(c, p, _)| c == connector && p == partition) {
            Some(at) => at,
            None => {
                all.push((connector.to_owned(), partition.clone(), None));
                all.len() - 1
            }
        };
        all[at].2 = offset.cloned();
        future::ready(Ok((0, at as i64))).boxed()
    }
}

impl OffsetBacking for InMemory {
    fn topic(&self) -> Arc<dyn OffsetTopic> {
        Arc::new(self.clone())
    }

    fn list<'a>(&'a self, connector: &'a str) -> BoxFuture<'a, Result<Vec<(OffsetMap, OffsetMap)>, Failure>> {
        let all = lock(&self.0.offsets);
        let of = all.iter().filter(|(c, _, _)| c == connector);
        future::ready(Ok(of.filter_map(|(_, p, o)| Some((p.clone(), o.clone()?))).collect())).boxed()
    }
}

impl CheckpointStore for InMemory {
    fn load(&self, _: &str, _: &OffsetMap) -> Result<Option<SavedCheckpoint>, TaskError> {
        Ok(None)
    }
    fn save(&self, _: &str, _: &OffsetMap, _: &SavedCheckpoint) -> Result<(), TaskError> {
        Ok(())
    }
    fn remove(&self, connector: &str, partition: &OffsetMap) -> Result<(), TaskError> {
        lock(&self.0.log).push(format!("checkpoint-{connector}{} removed", Value::Object(partition.clone())));
        Ok(())
    }
}

impl SchemaHistoryOpener for InMemory {
    fn open(&self, _: &str, _: &BTreeMap<String, String>) -> Result<Arc<dyn SchemaHistory>, TaskError> {
        Err(TaskError::definite("there is no schema history in memory"))
    }
}

/// Confirms every batch at once.
struct Null;

impl Sink for Null {
    fn produce(&mut self, _: &RecordBuffer, ack: Ack) -> Result<(), TaskError> {
        ack.delivered();
        Ok(())
    }
    fn flush(&mut self, _: Duration) {}
    fn take_new_topics(&mut self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

impl Services for InMemory {
    fn configs(&self) -> Arc<dyn ConfigBacking> {
        Arc::new(self.clone())
    }
    fn statuses(&self) -> Arc<dyn StatusBacking> {
        Arc::new(self.clone())
    }
    fn offsets(&self) -> Arc<dyn OffsetBacking> {
        Arc::new(self.clone())
    }
    fn store(&self) -> Arc<dyn CheckpointStore> {
        Arc::new(self.clone())
    }
    fn history(&self) -> Arc<dyn SchemaHistoryOpener> {
        Arc::new(self.clone())
    }
    fn cluster_id(&self) -> Option<String> {
        Some("cluster".to_owned())
    }
    fn sink(&self, _: SinkRequest<'_>) -> Result<Box<dyn Sink>, TaskError> {
        Ok(Box::new(Null))
    }
    fn lost(&self) -> BoxFuture<'static, StartError> {
        future::pending().boxed()
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        future::ready(()).boxed()
    }
}

impl Cluster for InMemory {
    fn open(
        &self,
        _: Arc<crate::worker::WorkerConfig>,
        _: String,
    ) -> BoxFuture<'_, Result<Arc<dyn Services>, StartError>> {
        future::ready(Ok(Arc::new(self.clone()) as Arc<dyn Services>)).boxed()
    }

    fn check_clients(&self, _: &crate::worker::WorkerConfig, _: &BTreeMap<String, String>) -> Vec<(String, String)> {
        Vec::new()
    }
}
