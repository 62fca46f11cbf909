//! Batches that were handed over and are not settled, counted without a lock per record.
//!
//! What is sent to Kafka notes how many records of which slot it holds. A slot's count starts at the batch's records plus one,
//! the producer's own hold, so that a batch cannot settle while it is still being sent.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use engine::{batch::Ack, error::TaskError};

/// Most batches in flight of one producer.
pub(crate) const SLOTS: usize = 1024;

#[derive(Default)]
struct Slot {
    remaining: AtomicU32,
    failed: AtomicBool,
    ack: Mutex<Option<Ack>>,
}

/// The slots, and the first failure of the producer's life.
pub(crate) struct Outstanding {
    slots: Box<[Slot]>,
    free: Mutex<Vec<u32>>,
    changed: Condvar,
    dead: AtomicBool,
    /// Nothing more will be delivered.
    ended: AtomicBool,
    failure: Mutex<Option<TaskError>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outstanding {
    pub(crate) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            free: Mutex::new((0..SLOTS as u32).rev().collect()),
            changed: Condvar::new(),
            dead: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Takes a slot for a batch of `records`; gives the ack back when none is free.
    pub(crate) fn begin(&self, records: u32, ack: Ack) -> Result<usize, Ack> {
        let Some(index) = lock(&self.free).pop() else { return Err(ack) };
        let Some(slot) = self.slots.get(index as usize) else { return Err(ack) };
        *lock(&slot.ack) = Some(ack);
        slot.failed.store(false, Ordering::Relaxed);
        slot.remaining.store(records + 1, Ordering::Release);
        Ok(index as usize)
    }

    /// `n` records of a slot have their fate.
    pub(crate) fn done(&self, index: usize, n: u32) {
        let Some(slot) = self.slots.get(index) else { return };
        if slot.remaining.fetch_sub(n, Ordering::AcqRel) != n {
            return;
        }
        let ack = lock(&slot.ack).take();
        let failed = slot.failed.load(Ordering::Acquire);
        if let Some(ack) = ack {
            match self.failure().filter(|_| failed) {
                Some(error) => ack.failed(error),
                None if failed => drop(ack),
                None => ack.delivered(),
            }
        }
        lock(&self.free).push(index as u32);
        self.changed.notify_all();
    }

    /// A record of the slot will not be delivered. The slot's count is left to [`Self::done`].
    pub(crate) fn fail(&self, index: usize, error: impl FnOnce() -> TaskError) {
        self.die(error);
        if let Some(slot) = self.slots.get(index) {
            slot.failed.store(true, Ordering::Release);
        }
    }

    /// The producer takes no more. The first cause stays; what was accepted before may still be delivered.
    pub(crate) fn die(&self, error: impl FnOnce() -> TaskError) {
        let mut failure = lock(&self.failure);
        if failure.is_none() {
            *failure = Some(error());
        }
        drop(failure);
        self.dead.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    /// Nothing more will be delivered: settles every batch that is not with the first failure. For use after
    /// [`Self::die`]: a batch that begins later is failed by whoever begins it.
    pub(crate) fn end(&self) {
        let Some(error) = self.failure() else { return };
        self.ended.store(true, Ordering::Release);
        for slot in &self.slots {
            if let Some(ack) = lock(&slot.ack).take() {
                ack.failed(error.clone());
            }
        }
        self.changed.notify_all();
    }

    /// Whether nothing more will be delivered.
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// The first failure.
    pub(crate) fn failure(&self) -> Option<TaskError> {
        if self.dead.load(Ordering::Acquire) { lock(&self.failure).clone() } else { None }
    }

    /// Waits until something settles or fails, at most `limit`.
    pub(crate) fn wait_change(&self, limit: Duration) {
        let guard = lock(&self.free);
        drop(self.changed.wait_timeout(guard, limit));
    }

    /// Waits until all batches are settled or nothing more will be delivered; whether all are.
    pub(crate) fn wait_idle(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut free = lock(&self.free);
        while free.len() < SLOTS {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.ended() {
                return false;
            }
            free = match self.changed.wait_timeout(free, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use engine::{batch::Settled, budget::Permit};
    use model::Seq;
    use tokio::sync::mpsc::{Sender, channel};

    use super::*;

    fn ack(seq: u64, to: &Sender<Settled>) -> Ack {
        Ack::new(Seq(seq), to.clone(), Permit::none(), None)
    }

    #[test]
    fn a_batch_settles_once_after_its_last_record() {
        let (to, mut from) = channel(8);
        let all = Outstanding::new();
        let slot = all.begin(2, ack(0, &to)).unwrap_or_else(|_| panic!("no slot"));
        all.done(slot, 1);
        all.done(slot, 1);
        assert!(from.try_recv().is_err(), "still being sent");
        all.done(slot, 1);
        assert!(from.try_recv().is_ok_and(|settled| settled.seq == Seq(0) && settled.result.is_ok()));
        let slot = all.begin(2, ack(1, &to)).unwrap_or_else(|_| panic!("no slot"));
        all.fail(slot, || TaskError::definite("first"));
        all.fail(slot, || TaskError::definite("second"));
        all.done(slot, 3);
        match from.try_recv() {
            Ok(Settled { seq: Seq(1), result, .. }) => assert_eq!(result, Err(TaskError::definite("first"))),
            other => panic!("{other:?}"),
        }
        assert!(from.try_recv().is_err() && all.wait_idle(Duration::ZERO));
        assert_eq!(all.failure(), Some(TaskError::definite("first")));
        let slot = all.begin(2, ack(2, &to)).unwrap_or_else(|_| panic!("no slot"));
        all.end();
        assert!(from.try_recv().is_ok_and(|settled| settled.result == Err(TaskError::definite("first"))));
        all.done(slot, 3);
        assert!(from.try_recv().is_err(), "settled once");
    }

    #[test]
    fn slots_are_bounded_and_come_back() {
        let (to, _from) = channel(SLOTS + 1);
        let all = Outstanding::new();
        for n in 0..SLOTS {
            assert!(all.begin(0, ack(n as u64, &to)).is_ok());
        }
        assert!(all.begin(0, ack(9999, &to)).is_err_and(|ack| ack.seq() == Seq(9999)));
        assert!(!all.wait_idle(Duration::from_millis(1)));
        (0..SLOTS).for_each(|slot| all.done(slot, 1));
        assert!(all.wait_idle(Duration::ZERO));
    }
}
