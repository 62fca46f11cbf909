//! The model disk of one host: a checkpoint store whose writes survive a crash only once they are synced.

use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::{
    error::TaskError,
    port::{CheckpointStore, SavedCheckpoint},
};
use model::OffsetMap;

/// What the full disk answers.
pub(crate) const FULL: &str = "No space left on device";

#[derive(Debug, Default, Clone)]
struct State {
    written: Option<SavedCheckpoint>,
    durable: Option<SavedCheckpoint>,
    full: bool,
}

/// One host's disk.
#[derive(Debug, Default)]
pub(crate) struct Disk(Mutex<State>);

impl Disk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written is durable from here on.
    pub(crate) fn sync(&self) {
        let mut state = self.lock();
        state.durable = state.written.clone();
    }

    /// The host's process is gone: unsynced writes happened or did not. Says whether there were any.
    pub(crate) fn crash(&self, kept: bool) -> bool {
        let mut state = self.lock();
        let unsynced = state.written != state.durable;
        if kept {
            state.durable = state.written.clone();
        } else {
            state.written = state.durable.clone();
        }
        unsynced
    }

    pub(crate) fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    /// What a crash leaves for certain.
    pub(crate) fn durable(&self) -> Option<SavedCheckpoint> {
        self.lock().durable.clone()
    }

    fn put(&self, checkpoint: Option<SavedCheckpoint>) -> Result<(), TaskError> {
        let mut state = self.lock();
        if state.full {
            return Err(TaskError::definite(FULL));
        }
        state.written = checkpoint;
        Ok(())
    }
}

impl CheckpointStore for Disk {
    fn load(&self, _: &str, _: &OffsetMap) -> Result<Option<SavedCheckpoint>, TaskError> {
        Ok(self.lock().written.clone())
    }

    fn save(&self, _: &str, _: &OffsetMap, checkpoint: &SavedCheckpoint) -> Result<(), TaskError> {
        self.put(Some(checkpoint.clone()))
    }

    fn remove(&self, _: &str, _: &OffsetMap) -> Result<(), TaskError> {
        self.put(None)
    }
}
