//! The byte budget: one per process, with a guaranteed share for each connector.
//!
//! A permit rides in its batch from the socket until the batch is settled, so that a slow Kafka stops the
//! socket read and memory stays within `afterimage.memory.limit`.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes per unit of the semaphore: permits are counted in KiB, so that 4 TiB fit.
const UNIT: usize = 1024;

/// A share of the process's memory, in bytes.
#[derive(Debug, Clone)]
pub struct Budget {
    units: Arc<Semaphore>,
    total: usize,
}

/// A part of the budget, given back when dropped.
#[derive(Debug, Default)]
pub struct Permit {
    held: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self { units: Arc::new(Semaphore::new(units)), total: units }
    }

    /// Size in bytes.
    pub fn limit(&self) -> usize {
        self.total * UNIT
    }

    /// Bytes not taken at the moment.
    pub fn available(&self) -> usize {
        self.units.available_permits() * UNIT
    }

    /// Waits for `bytes`. A request larger than the whole budget waits for all of it: whoever needs more than
    /// the budget must refuse before asking.
    pub async fn take(&self, bytes: usize) -> Permit {
        let units = bytes.div_ceil(UNIT).clamp(1, self.total) as u32;
        // The semaphore is never closed.
        Permit { held: self.units.clone().acquire_many_owned(units).await.ok() }
    }

    /// Takes `bytes` if they are free now.
    pub fn try_take(&self, bytes: usize) -> Option<Permit> {
        let units = bytes.div_ceil(UNIT).clamp(1, self.total) as u32;
        self.units.clone().try_acquire_many_owned(units).ok().map(|held| Permit { held: Some(held) })
    }
}

impl Permit {
    /// A permit for nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.num_permits() * UNIT)
    }

    /// Joins another permit of the same budget.
    pub fn merge(&mut self, other: Permit) {
        match (&mut self.held, other.held) {
            (Some(held), Some(more)) => held.merge(more),
            (held @ None, more) => *held = more,
            (Some(_), None) => {}
        }
    }
}
