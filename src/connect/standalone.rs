//! What a standalone worker keeps: configurations, target states and statuses in memory, gone with the process, and
//! offsets in the file that Connect's standalone worker uses.
//!
//! The file is the one place of positions: no checkpoint is kept beside it, so that a file put in its place by hand, or
//! written by a Java worker, counts.

mod java;
mod offset_file;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use engine::{
    error::{Failure, TaskError},
    port::{CheckpointStore, SavedCheckpoint},
};
use futures_util::future::{self, BoxFuture, FutureExt};
use model::OffsetMap;

pub(crate) use offset_file::OffsetFile;

use crate::{
    RawConfig,
    backing::{ConfigBacking, StatusBacking, StatusKey, StatusValue, StoredConnector, StoredStatuses, TargetState},
    lock,
};

/// Configurations and statuses. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    connectors: Arc<Mutex<BTreeMap<String, StoredConnector>>>,
    statuses: Arc<Mutex<StoredStatuses>>,
}

fn done() -> BoxFuture<'static, Result<(), Failure>> {
    future::ready(Ok(())).boxed()
}

impl ConfigBacking for Memory {
    fn load(&self) -> BoxFuture<'_, Result<BTreeMap<String, StoredConnector>, Failure>> {
        future::ready(Ok(lock(&self.connectors).clone())).boxed()
    }

    fn put_connector<'a>(
        &'a self,
        connector: &'a str,
        config: Option<&'a RawConfig>,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        let mut all = lock(&self.connectors);
        match config {
            Some(config) => all.entry(connector.to_owned()).or_default().config = config.clone(),
            None => drop(all.remove(connector)),
        }
        done()
    }

    fn put_target<'a>(&'a self, connector: &'a str, target: TargetState) -> BoxFuture<'a, Result<(), Failure>> {
        lock(&self.connectors).entry(connector.to_owned()).or_default().target = target;
        done()
    }

    fn put_tasks<'a>(&'a self, connector: &'a str, tasks: &'a [RawConfig]) -> BoxFuture<'a, Result<(), Failure>> {
        if let Some(stored) = lock(&self.connectors).get_mut(connector) {
            stored.tasks = Some(tasks.to_vec());
        }
        done()
    }

    fn put_restart<'a>(&'a self, _: &'a str, _: bool, _: bool) -> BoxFuture<'a, Result<(), Failure>> {
        // Nobody else reads it.
        done()
    }
}

impl StatusBacking for Memory {
    fn load(&self) -> BoxFuture<'_, Result<StoredStatuses, Failure>> {
        future::ready(Ok(lock(&self.statuses).clone())).boxed()
    }

    fn put<'a>(&'a self, key: &'a StatusKey, value: &'a StatusValue) -> BoxFuture<'a, Result<(), Failure>> {
        let mut all = lock(&self.statuses);
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
        done()
    }
}

/// Keeps no checkpoints.
pub(crate) struct NoCheckpoints;

impl CheckpointStore for NoCheckpoints {
    fn load(&self, _: &str, _: &OffsetMap) -> Result<Option<SavedCheckpoint>, TaskError> {
        Ok(None)
    }

    fn save(&self, _: &str, _: &OffsetMap, _: &SavedCheckpoint) -> Result<(), TaskError> {
        Ok(())
    }

    fn remove(&self, _: &str, _: &OffsetMap) -> Result<(), TaskError> {
        Ok(())
    }
}
