//! The last stretch before the sink: batches in their order again, and, where records go in transactions, only as far as
//! the core lets them. Knows no sink.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use model::Seq;
use tokio::sync::oneshot;

use crate::{
    error::TaskError,
    port::{CommitError, OffsetRecord, Place},
};

/// Batches that were encoded out of order, given out in order.
#[derive(Debug)]
pub struct Lane<T> {
    next: Seq,
    waiting: BTreeMap<Seq, T>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { next: Seq(0), waiting: BTreeMap::new() }
    }
}

impl<T> Lane<T> {
    /// The number of the batch that [`Self::pop`] gives next.
    pub fn next(&self) -> Seq {
        self.next
    }

    /// Adds a batch.
    pub fn push(&mut self, seq: Seq, batch: T) {
        self.waiting.insert(seq, batch);
    }

    /// The next batch in order, if it is here.
    pub fn pop(&mut self) -> Option<(Seq, T)> {
        let batch = self.waiting.remove(&self.next)?;
        let seq = self.next;
        self.next = seq.next();
        Some((seq, batch))
    }
}

/// What the producer thread does for the core beside producing; each is answered once, or its answer's sender is
/// dropped when the thread is gone.
#[derive(Debug)]
pub(crate) enum Command {
    /// Commit the open transaction with this offset.
    Commit(OffsetRecord, oneshot::Sender<Result<Place, CommitError>>),
    /// Take a new epoch.
    Renew(oneshot::Sender<Result<(), TaskError>>),
    /// Abort the open transaction.
    Abort,
}

/// What the producer thread turns to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The next batch may be produced; it was read, so it is on its way here.
    Produce,
    /// Something else comes first.
    Do(Command),
    /// The task is over.
    End,
}

#[derive(Debug, Default)]
struct State {
    /// The first batch that may not be produced yet.
    below: Option<Seq>,
    commands: VecDeque<Command>,
    closed: bool,
    gone: bool,
}

/// Between the core and the producer thread of an exactly-once task. Nothing here waits on the core's side.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Batches up to `upto` may be produced.
    pub(crate) fn admit(&self, upto: Seq) {
        let mut state = self.lock();
        state.below = state.below.max(Some(upto.next()));
        self.changed.notify_one();
    }

    /// Has a command carried out behind the batches admitted so far. With the thread gone it is dropped, answer and all.
    pub(crate) fn ask(&self, command: Command) {
        let mut state = self.lock();
        if !state.gone {
            state.commands.push_back(command);
            self.changed.notify_one();
        }
    }

    /// Nothing follows.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// What the producer thread does next, `next` being the batch it would produce. Blocks.
    pub(crate) fn turn(&self, next: Seq) -> Turn {
        let mut state = self.lock();
        loop {
            if state.below.is_some_and(|below| next < below) && !state.closed {
                return Turn::Produce;
            }
            if let Some(command) = state.commands.pop_front() {
                return Turn::Do(command);
            }
            if state.closed {
                return Turn::End;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The producer thread ends: what was asked and not done is dropped, as is whatever is asked from now on.
    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        state.gone = true;
        state.commands.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_restored() {
        let mut lane = Lane::default();
        lane.push(Seq(1), 'b');
        assert_eq!(lane.pop(), None);
        lane.push(Seq(0), 'a');
        assert_eq!(lane.pop(), Some((Seq(0), 'a')));
        assert_eq!(lane.pop(), Some((Seq(1), 'b')));
        assert_eq!((lane.pop(), lane.next()), (None, Seq(2)));
    }

    #[test]
    fn admitted_batches_come_before_a_command_and_the_end_comes_last() {
        let gate = Gate::default();
        gate.admit(Seq(0));
        gate.ask(Command::Abort);
        assert!(matches!(gate.turn(Seq(0)), Turn::Produce));
        assert!(matches!(gate.turn(Seq(1)), Turn::Do(Command::Abort)));
        gate.ask(Command::Abort);
        gate.admit(Seq(1));
        gate.close();
        // What was never committed need not be produced.
        assert!(matches!(gate.turn(Seq(1)), Turn::Do(Command::Abort)));
        assert!(matches!(gate.turn(Seq(1)), Turn::End));
    }

    #[test]
    fn a_command_that_nobody_will_do_is_answered_by_its_absence() {
        let gate = Gate::default();
        let (before, mut dropped) = oneshot::channel();
        gate.ask(Command::Renew(before));
        gate.leave();
        assert!(dropped.try_recv().is_err());
        let (after, mut dropped) = oneshot::channel();
        gate.ask(Command::Renew(after));
        assert!(dropped.try_recv().is_err());
    }
}
