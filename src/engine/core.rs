//! The pure core: what is stored, published and confirmed when. No I/O, no clock of its own.
//!
//! Inputs go in with the time, actions come out, and the driver carries them out in order. The invariant that
//! everything hangs on, asserted at each step: `confirmed <= published <= stored <= delivered <= read`.
//! At-least-once: records are delivered, then the position is stored (synced), then the offset record is written,
//! then the source is told.

use std::time::{Duration, Instant};

use model::{Position, Seq};

use crate::{error::TaskError, ledger::Ledger, plugin::Control};

/// Something that happened.
#[derive(Debug)]
pub enum Input<P> {
    /// A batch was read from the source and dispatched.
    Read {
        /// Its number.
        seq: Seq,
        /// Where the source goes on.
        end: P,
    },
    /// A batch was delivered, or will never be.
    Settled {
        /// Its number.
        seq: Seq,
        /// How it ended.
        result: Result<(), TaskError>,
    },
    /// The store has the position of batch `seq`, or could not take it.
    Stored {
        /// Up to this batch.
        seq: Seq,
        /// How it went.
        result: Result<(), TaskError>,
    },
    /// The offsets topic has the position of batch `seq`, or could not take it.
    Published {
        /// Up to this batch.
        seq: Seq,
        /// How it went.
        result: Result<(), TaskError>,
    },
    /// The source's reader has ended: `Ok` after [`Action::StopReading`] or when nothing is left to read.
    SourceEnded(Result<(), TaskError>),
    /// What the task is to do from now on.
    Control(Control),
    /// Time has passed.
    Tick,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action<P> {
    /// Let the reader read (`true`) or hold it (`false`).
    Reading(bool),
    /// End the reader.
    StopReading,
    /// Save the position, synced; answered by [`Input::Stored`].
    Store {
        /// Up to this batch.
        seq: Seq,
        /// The position.
        position: P,
    },
    /// Write the offset record; answered by [`Input::Published`].
    Publish {
        /// Up to this batch.
        seq: Seq,
        /// The position.
        position: P,
    },
    /// Tell the source that it may forget everything up to here.
    Confirm(P),
    /// The task is over.
    Exit(Result<(), TaskError>),
}

/// Shortest time between two offset records, also while stopping with Kafka away.
const SPACING: Duration = Duration::from_millis(100);

/// Intervals of the core.
#[derive(Debug, Clone, Copy)]
pub struct CoreSettings {
    /// Shortest time between two stores.
    pub store_interval: Duration,
    /// Time between two offset records (`offset.flush.interval.ms`).
    pub publish_interval: Duration,
    /// How long draining may take once a stop was asked for.
    pub shutdown_timeout: Duration,
}

/// A position with the batch it belongs to.
#[derive(Debug, Clone)]
struct Mark<P> {
    seq: Seq,
    position: P,
}

/// The state of one task's delivery.
#[derive(Debug)]
pub struct Core<P> {
    settings: CoreSettings,
    ledger: Ledger<P>,
    read: Option<Seq>,
    delivered: Option<Mark<P>>,
    stored: Option<Mark<P>>,
    published: Option<Seq>,
    confirmed: Option<Seq>,
    storing: Option<Mark<P>>,
    publishing: Option<Mark<P>>,
    last_store: Option<Instant>,
    last_publish: Instant,
    control: Control,
    source_ended: bool,
    stop_by: Option<Instant>,
    failure: Option<TaskError>,
    /// Batches in flight can still be delivered: nothing has failed on their way.
    deliverable: bool,
    /// The store takes positions.
    storable: bool,
    exited: bool,
}

impl<P: Position> Core<P> {
    /// A core at the start of a task.
    pub fn new(settings: CoreSettings, now: Instant) -> Self {
        Self {
            settings,
            ledger: Ledger::default(),
            read: None,
            delivered: None,
            stored: None,
            published: None,
            confirmed: None,
            storing: None,
            publishing: None,
            last_store: None,
            last_publish: now,
            control: Control::Run,
            source_ended: false,
            stop_by: None,
            failure: None,
            deliverable: true,
            storable: true,
            exited: false,
        }
    }

    /// Batches in flight.
    pub fn in_flight(&self) -> usize {
        self.ledger.len()
    }

    /// Takes one input and appends what is to be done.
    pub fn step(&mut self, now: Instant, input: Input<P>, out: &mut Vec<Action<P>>) {
        if self.exited {
            return;
        }
        match input {
            Input::Read { seq, end } => match self.ledger.dispatch(seq, end) {
                Ok(()) => self.read = Some(seq),
                Err(error) => self.undelivered(now, TaskError::definite(error.to_string()), out),
            },
            Input::Settled { seq, result: Ok(()) } => match self.ledger.deliver(seq) {
                Ok(Some((seq, position))) => self.delivered = Some(Mark { seq, position }),
                Ok(None) => {}
                Err(error) => self.undelivered(now, TaskError::definite(error.to_string()), out),
            },
            Input::Settled { result: Err(error), .. } => self.undelivered(now, error, out),
            Input::Stored { seq, result } => {
                if let Some(mark) = self.storing.take().filter(|mark| mark.seq == seq) {
                    match result {
                        Ok(()) => self.stored = Some(mark),
                        Err(error) => {
                            self.storable = false;
                            self.undelivered(now, error, out);
                        }
                    }
                }
            }
            Input::Published { seq, result } => {
                if let Some(mark) = self.publishing.take().filter(|mark| mark.seq == seq) {
                    match result {
                        Ok(()) => {
                            self.published = Some(seq);
                            self.confirmed = Some(seq);
                            out.push(Action::Confirm(mark.position));
                        }
                        // Kafka is asked again at the next interval; records are not lost because of it.
                        Err(error) if !error.is_transient() => self.fail(now, error, out),
                        Err(_) => {}
                    }
                }
            }
            Input::SourceEnded(result) => {
                self.source_ended = true;
                if let Err(error) = result {
                    self.fail(now, error, out);
                }
            }
            Input::Control(control) => self.control(now, control, out),
            Input::Tick => {}
        }
        self.advance(now, out);
        self.check();
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn wake_at(&self, now: Instant) -> Instant {
        let mut at = now + Duration::from_secs(3600);
        if self.store_due() {
            at = at.min(self.last_store.map_or(now, |last| last + self.settings.store_interval));
        }
        if self.publish_due() {
            let wait = if self.ending() { SPACING } else { self.settings.publish_interval };
            at = at.min(self.last_publish + wait);
        }
        if let Some(stop_by) = self.stop_by {
            at = at.min(stop_by);
        }
        at
    }

    fn control(&mut self, now: Instant, control: Control, out: &mut Vec<Action<P>>) {
        if self.control == control || self.control == Control::Stop {
            return;
        }
        self.control = control;
        match control {
            Control::Run => out.push(Action::Reading(true)),
            Control::Pause => out.push(Action::Reading(false)),
            Control::Stop => {
                out.push(Action::StopReading);
                self.stop_by.get_or_insert(now + self.settings.shutdown_timeout);
            }
        }
    }

    fn fail(&mut self, now: Instant, error: TaskError, out: &mut Vec<Action<P>>) {
        // The first failure is the cause; later ones follow from it.
        if self.failure.is_none() {
            self.failure = Some(error);
            if !self.source_ended {
                out.push(Action::StopReading);
            }
            // What was delivered is stored before the end, so that the next start repeats little.
            self.stop_by.get_or_insert(now + self.settings.shutdown_timeout.min(Duration::from_secs(5)));
        }
    }

    /// Fails in a way that makes waiting for the batches in flight useless.
    fn undelivered(&mut self, now: Instant, error: TaskError, out: &mut Vec<Action<P>>) {
        self.deliverable = false;
        self.fail(now, error, out);
    }

    fn ending(&self) -> bool {
        self.failure.is_some() || self.control == Control::Stop
    }

    fn store_due(&self) -> bool {
        let delivered = self.delivered.as_ref().map(|mark| mark.seq);
        self.storable && self.storing.is_none() && delivered > self.stored.as_ref().map(|mark| mark.seq)
    }

    fn publish_due(&self) -> bool {
        self.publishing.is_none() && self.stored.as_ref().map(|mark| mark.seq) > self.published
    }

    fn advance(&mut self, now: Instant, out: &mut Vec<Action<P>>) {
        let drained = self.source_ended && self.ledger.is_empty();
        let at_once = self.ending() || drained || self.control == Control::Pause;
        let interval_over = self.last_store.is_none_or(|last| now >= last + self.settings.store_interval);
        if self.store_due()
            && (at_once || interval_over)
            && let Some(mark) = self.delivered.clone()
        {
            out.push(Action::Store { seq: mark.seq, position: mark.position.clone() });
            self.storing = Some(mark);
            self.last_store = Some(now);
        }
        let publish_now = at_once && now >= self.last_publish + SPACING;
        if self.publish_due()
            && (publish_now || now >= self.last_publish + self.settings.publish_interval)
            && let Some(mark) = self.stored.clone()
        {
            out.push(Action::Publish { seq: mark.seq, position: mark.position.clone() });
            self.publishing = Some(mark);
            self.last_publish = now;
        }
        self.maybe_exit(now, out);
    }

    fn maybe_exit(&mut self, now: Instant, out: &mut Vec<Action<P>>) {
        if !self.ending() {
            return;
        }
        let overdue = self.stop_by.is_some_and(|by| now >= by);
        let quiet = self.storing.is_none() && self.publishing.is_none();
        let settled = !self.store_due() && (!self.publish_due() || self.failure.is_some());
        // Batches that a failed source leaves in flight are waited for, because delivering and storing them saves
        // repeats; not so when one of them or the store has failed.
        let drained = self.source_ended && (self.ledger.is_empty() || !self.deliverable);
        if overdue || (drained && quiet && settled) {
            self.exited = true;
            let result = match self.failure.take() {
                Some(error) => Err(error),
                None => Ok(()),
            };
            out.push(Action::Exit(result));
        }
    }

    fn check(&mut self) {
        let delivered = self.delivered.as_ref().map(|mark| mark.seq);
        let stored = self.stored.as_ref().map(|mark| mark.seq);
        let ordered = self.confirmed <= self.published
            && self.published <= stored
            && stored <= delivered
            && delivered <= self.read;
        debug_assert!(ordered, "confirmed <= published <= stored <= delivered <= read");
        if !ordered && self.failure.is_none() {
            self.failure = Some(TaskError::definite(
                "the order of read, delivered, stored and confirmed positions was broken; this is a defect of afterimage",
            ));
        }
    }
}

#[cfg(test)]
mod tests;
