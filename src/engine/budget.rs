//! The byte budget: one per process, with a share for each connector that follows the number of connectors.
//!
//! A permit rides in its batch from the socket until the batch is settled, so that a slow Kafka stops the
//! socket read and memory stays within `afterimage.memory.limit`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Bytes per unit of the semaphore: permits are counted in KiB, so that 4 TiB fit.
const UNIT: usize = 1024;

/// A share of the process's memory, in bytes. Clones are the same share.
#[derive(Debug, Clone)]
pub struct Budget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    units: Arc<Semaphore>,
    /// Units of the whole share; whoever waits for more than is left of it after a change asks for less.
    total: watch::Sender<usize>,
    /// Units that were taken from the share while they were held: they do not come back.
    debt: Mutex<usize>,
}

/// A part of the budget, given back when dropped.
#[derive(Debug, Default)]
pub struct Permit {
    held: Option<OwnedSemaphorePermit>,
    of: Option<Arc<Inner>>,
}

fn units(bytes: usize) -> usize {
    (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize))
}

impl Inner {
    fn debt(&self) -> MutexGuard<'_, usize> {
        self.debt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(self: &Arc<Self>, held: OwnedSemaphorePermit) -> Permit {
        Permit { held: Some(held), of: Some(Arc::clone(self)) }
    }
}

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        let total = units(bytes);
        let inner =
            Inner { units: Arc::new(Semaphore::new(total)), total: watch::Sender::new(total), debt: Mutex::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// Makes it larger or smaller. What is held beyond a smaller size stays held until it is given back.
    pub fn resize(&self, bytes: usize) {
        let new = units(bytes);
        let mut debt = self.inner.debt();
        let old = self.inner.total.send_replace(new);
        if let Some(more) = new.checked_sub(old) {
            let paid = more.min(*debt);
            *debt -= paid;
            self.inner.units.add_permits(more - paid);
        } else {
            let less = old - new;
            *debt += less - self.inner.units.forget_permits(less);
        }
    }

    /// Size in bytes.
    pub fn limit(&self) -> usize {
        *self.inner.total.borrow() * UNIT
    }

    /// Bytes not taken at the moment.
    pub fn available(&self) -> usize {
        self.inner.units.available_permits() * UNIT
    }

    /// Bytes taken at the moment; after the budget was made smaller they may be more than it has.
    pub fn taken(&self) -> usize {
        let debt = self.inner.debt();
        (self.limit() + *debt * UNIT).saturating_sub(self.available())
    }

    /// Waits for `bytes`. A request larger than the whole budget waits for all of it: whoever needs more than
    /// the budget must refuse before asking.
    pub async fn take(&self, bytes: usize) -> Permit {
        let mut total = self.inner.total.subscribe();
        loop {
            let units = bytes.div_ceil(UNIT).clamp(1, *total.borrow_and_update()) as u32;
            tokio::select! {
                held = self.inner.units.clone().acquire_many_owned(units) => match held {
                    Ok(held) => return self.inner.permit(held),
                    // The semaphore is never closed.
                    Err(_) => return Permit::none(),
                },
                // Its sender lives as long as this budget.
                _ = total.changed() => {}
            }
        }
    }

    /// Takes `bytes` if they are free now.
    pub fn try_take(&self, bytes: usize) -> Option<Permit> {
        let units = bytes.div_ceil(UNIT).clamp(1, *self.inner.total.borrow()) as u32;
        let held = self.inner.units.clone().try_acquire_many_owned(units).ok()?;
        Some(self.inner.permit(held))
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
    pub fn merge(&mut self, mut other: Permit) {
        match (&mut self.held, other.held.take()) {
            (Some(held), Some(more)) => held.merge(more),
            (held @ None, more) => {
                *held = more;
                self.of = other.of.take();
            }
            (Some(_), None) => {}
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (Some(held), Some(of)) = (&mut self.held, &self.of) else { return };
        let mut debt = of.debt();
        let paid = held.num_permits().min(*debt);
        if let Some(part) = held.split(paid) {
            part.forget();
            *debt -= paid;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(budget: &Budget, bytes: usize) -> Option<Permit> {
        use std::{future::Future, pin::pin, task::Context};
        let mut context = Context::from_waker(std::task::Waker::noop());
        match pin!(budget.take(bytes)).poll(&mut context) {
            std::task::Poll::Ready(permit) => Some(permit),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn what_is_held_beyond_a_smaller_size_does_not_come_back() {
        let budget = Budget::new(100 * UNIT);
        let (large, small) = (budget.try_take(60 * UNIT).unwrap(), budget.try_take(10 * UNIT).unwrap());
        budget.resize(40 * UNIT);
        assert_eq!((budget.limit(), budget.available(), budget.taken()), (40 * UNIT, 0, 70 * UNIT));
        drop(small);
        assert_eq!((budget.available(), budget.taken()), (0, 60 * UNIT));
        assert!(budget.try_take(UNIT).is_none() && ready(&budget, UNIT).is_none());
        budget.resize(50 * UNIT);
        assert_eq!((budget.available(), budget.taken()), (0, 60 * UNIT));
        drop(large);
        assert_eq!((budget.available(), budget.taken()), (50 * UNIT, 0));
        budget.resize(70 * UNIT);
        assert_eq!(budget.available(), 70 * UNIT);
        assert_eq!(budget.try_take(1000 * UNIT).map(|permit| permit.bytes()), Some(70 * UNIT), "all there is");
    }

    #[tokio::test]
    async fn who_waits_for_more_than_a_smaller_size_has_asks_for_less() {
        let budget = Budget::new(100 * UNIT);
        let first = budget.take(50 * UNIT).await;
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.take(90 * UNIT).await.bytes() }
        });
        tokio::task::yield_now().await;
        budget.resize(30 * UNIT);
        drop(first);
        assert_eq!(waiting.await.unwrap(), 30 * UNIT);
        assert_eq!((budget.available(), budget.taken()), (30 * UNIT, 0));
    }
}
