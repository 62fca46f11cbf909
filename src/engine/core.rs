//! The pure core: what is committed, stored, published and confirmed when. No I/O, no clock of its own.
//!
//! Inputs go in with the time, actions come out, and the driver carries them out in order. The invariant that
//! everything hangs on, asserted at each step:
//! - at-least-once: `confirmed <= published <= stored <= delivered <= read`. Records are delivered, then the position is
//!   stored (synced), then the offset record is written, then the source is told;
//! - exactly-once: `confirmed <= stored <= committed <= delivered <= admitted <= read`. Records and offset record are in one
//!   Kafka transaction; the store is a cache of what was committed, and the source is told last.

use std::time::{Duration, Instant};

use model::{Position, Seq};

use crate::{
    error::TaskError,
    ledger::Ledger,
    plugin::Control,
    port::{CommitError, Place, StoredOffset},
    rules::{Rules, Sound},
};

mod exactly_once;

pub use exactly_once::Boundary;
use exactly_once::Transactional;

/// Something that happened.
#[derive(Debug)]
pub enum Input<P> {
    /// A batch was read from the source and dispatched.
    Read {
        /// Its number.
        seq: Seq,
        /// Where the source goes on.
        end: P,
        /// Rows and other records it holds; 0 when only the position moves.
        rows: u64,
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
    /// The transaction up to batch `seq` has ended, as far as is known.
    Committed {
        /// Its last batch.
        seq: Seq,
        /// Where its offset record stands, or what is known instead.
        result: Result<Place, CommitError>,
    },
    /// What the offsets topic holds after [`Action::Recover`].
    Recovered {
        /// The last batch of the transaction in question.
        seq: Seq,
        /// The newest committed offset record, read after the session was renewed.
        result: Result<Option<StoredOffset>, TaskError>,
    },
    /// Whether Kafka answers requests, when that changes.
    Kafka {
        /// It does.
        answers: bool,
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
    /// Exactly-once: batches up to here belong to the open transaction and may be produced. (At-least-once produces
    /// whatever is encoded.)
    Produce {
        /// The last one.
        upto: Seq,
    },
    /// Commit the open transaction with this position as its offset record; answered by [`Input::Committed`].
    Commit {
        /// Its last batch.
        seq: Seq,
        /// The position after it.
        position: P,
    },
    /// Renew the session and read the offset record back; answered by [`Input::Recovered`].
    Recover {
        /// The last batch of the transaction whose commit was not answered.
        seq: Seq,
    },
    /// Abort the open transaction. Not answered.
    Abort,
    /// Save the position, synced; answered by [`Input::Stored`].
    Store {
        /// Up to this batch.
        seq: Seq,
        /// The position.
        position: P,
        /// Exactly-once: the place of the committed record that carries it.
        at: Option<Place>,
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

/// How records and positions reach Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Records, then the position.
    #[default]
    AtLeastOnce,
    /// Both in one transaction.
    ExactlyOnce {
        /// How much one transaction holds.
        boundary: Boundary,
        /// The newest record of the offsets topic that the start knew, to tell a record of our own from it.
        known: Option<Place>,
    },
}

/// Intervals of the core.
#[derive(Debug, Clone, Copy)]
pub struct CoreSettings {
    /// Shortest time between two stores.
    pub store_interval: Duration,
    /// Time between two offset records (`offset.flush.interval.ms`); with exactly-once between two that carry no record.
    pub publish_interval: Duration,
    /// How long draining may take once a stop was asked for.
    pub shutdown_timeout: Duration,
    /// How long the oldest batch may wait for its delivery while Kafka answers (`delivery.timeout.ms`); `None`: for ever.
    pub delivery_timeout: Option<Duration>,
    /// How records and positions reach Kafka.
    pub delivery: Delivery,
}

/// A position with the batch it belongs to.
#[derive(Debug, Clone)]
struct Mark<P> {
    seq: Seq,
    position: P,
    /// Where the committed record with this position stands.
    at: Option<Place>,
}

fn seq<P>(mark: &Option<Mark<P>>) -> Option<Seq> {
    mark.as_ref().map(|mark| mark.seq)
}

/// The state of one task's delivery.
#[derive(Debug)]
pub struct Core<P, R = Sound> {
    settings: CoreSettings,
    ledger: Ledger<P, R>,
    read: Option<Mark<P>>,
    delivered: Option<Mark<P>>,
    stored: Option<Mark<P>>,
    published: Option<Seq>,
    confirmed: Option<Seq>,
    storing: Option<Mark<P>>,
    publishing: Option<Mark<P>>,
    /// Exactly-once only.
    transactional: Option<Transactional<P>>,
    last_store: Option<Instant>,
    last_publish: Instant,
    control: Control,
    source_ended: bool,
    /// Since when the oldest batch on its way to Kafka has been the oldest.
    head_since: Option<Instant>,
    answering_since: Option<Instant>,
    /// The store refused a position: the task ends, and it is not asked again.
    store_failed: bool,
    /// Positions contradict each other: none of them goes anywhere any more.
    broken: bool,
    stop_by: Option<Instant>,
    failure: Option<TaskError>,
    /// Batches in flight can still be delivered: nothing has failed on their way.
    deliverable: bool,
    exited: bool,
}

impl<P: Position, R: Rules> Core<P, R> {
    /// A core at the start of a task.
    pub fn new(settings: CoreSettings, now: Instant) -> Self {
        let transactional = match settings.delivery {
            Delivery::AtLeastOnce => None,
            Delivery::ExactlyOnce { boundary, known } => Some(Transactional::new(boundary, known)),
        };
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
            transactional,
            last_store: None,
            last_publish: now,
            control: Control::Run,
            source_ended: false,
            head_since: None,
            answering_since: None,
            store_failed: false,
            broken: false,
            stop_by: None,
            failure: None,
            deliverable: true,
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
            Input::Read { seq, end, rows } => match self.ledger.dispatch(seq, end.clone()) {
                Ok(()) => {
                    self.read = Some(Mark { seq, position: end, at: None });
                    if let Some(transactional) = &mut self.transactional {
                        transactional.wait(seq, rows);
                    }
                }
                Err(error) => self.undelivered(now, TaskError::definite(error.to_string()), out),
            },
            Input::Settled { seq, result: Ok(()) } => match self.ledger.deliver(seq) {
                Ok(Some((seq, position))) => {
                    self.delivered = Some(Mark { seq, position, at: None });
                    self.head_since = None;
                }
                Ok(None) => {}
                Err(error) => self.undelivered(now, TaskError::definite(error.to_string()), out),
            },
            Input::Settled { result: Err(error), .. } => self.undelivered(now, error, out),
            Input::Stored { seq, result } => self.stored(now, seq, result, out),
            Input::Published { seq, result } => self.published(now, seq, result, out),
            Input::Committed { seq, result } => self.committed(now, seq, result, out),
            Input::Recovered { seq, result } => self.recovered(now, seq, result, out),
            Input::Kafka { answers: true } => drop(self.answering_since.get_or_insert(now)),
            Input::Kafka { answers: false } => self.answering_since = None,
            Input::SourceEnded(result) => {
                self.source_ended = true;
                if let Err(error) = result {
                    self.fail(now, error, out);
                }
            }
            Input::Control(control) => self.control(now, control, out),
            Input::Tick => {}
        }
        self.check(now, out);
        if self.incident_at().is_some_and(|at| now >= at) {
            self.undelivered(now, self.incident(), out);
        }
        self.advance(now, out);
        self.check(now, out);
        self.watch_head(now);
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
        if let Some(due) = self.commit_at() {
            at = at.min(due);
        }
        if let Some(incident) = self.incident_at() {
            at = at.min(incident);
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

    /// Fails in a way that makes waiting for the batches in flight useless; an open transaction cannot be committed.
    fn undelivered(&mut self, now: Instant, error: TaskError, out: &mut Vec<Action<P>>) {
        self.deliverable = false;
        if let Some(transactional) = &mut self.transactional {
            transactional.spoiled = true;
        }
        self.fail(now, error, out);
    }

    fn ending(&self) -> bool {
        self.failure.is_some() || self.control == Control::Stop
    }

    /// Nothing follows soon: whatever may be made durable is, without waiting for an interval.
    fn at_once(&self) -> bool {
        let drained = self.source_ended && self.ledger.is_empty();
        self.ending() || drained || self.control == Control::Pause
    }

    fn stored(&mut self, now: Instant, seq: Seq, result: Result<(), TaskError>, out: &mut Vec<Action<P>>) {
        let Some(mark) = self.storing.take().filter(|mark| mark.seq == seq) else { return };
        match result {
            Ok(()) => {
                if self.transactional.is_some() {
                    self.confirmed = Some(seq);
                    out.push(Action::Confirm(mark.position.clone()));
                }
                self.stored = Some(mark);
            }
            Err(error) => {
                self.store_failed = true;
                // A transaction that is open can be committed all the same: Kafka holds the position then.
                self.deliverable &= self.transactional.is_some();
                self.fail(now, error, out);
            }
        }
    }

    fn published(&mut self, now: Instant, seq: Seq, result: Result<(), TaskError>, out: &mut Vec<Action<P>>) {
        let Some(mark) = self.publishing.take().filter(|mark| mark.seq == seq) else { return };
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

    /// The newest position that may be stored.
    fn storable(&self) -> &Option<Mark<P>> {
        match &self.transactional {
            None => &self.delivered,
            Some(transactional) => transactional.committed(),
        }
    }

    fn store_due(&self) -> bool {
        let more = seq(self.storable()) > seq(&self.stored);
        self.storing.is_none() && !self.store_failed && !self.broken && more
    }

    fn publish_due(&self) -> bool {
        let at_least_once = self.transactional.is_none() && !self.broken;
        at_least_once && self.publishing.is_none() && seq(&self.stored) > self.published
    }

    fn advance(&mut self, now: Instant, out: &mut Vec<Action<P>>) {
        self.advance_transaction(now, out);
        let at_once = self.at_once();
        let interval_over = self.last_store.is_none_or(|last| now >= last + self.settings.store_interval);
        if self.store_due()
            && (at_once || interval_over)
            && let Some(mark) = self.released(self.storable().clone())
        {
            out.push(Action::Store { seq: mark.seq, position: mark.position.clone(), at: mark.at });
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

    /// The mark with the position that goes out for it: its own, as long as the rules hold.
    fn released(&self, mark: Option<Mark<P>>) -> Option<Mark<P>> {
        let mark = mark?;
        let early = if R::DELIVERED_ONLY { None } else { self.read.as_ref() };
        Some(match early {
            Some(read) => Mark { position: read.position.clone(), ..mark },
            None => mark,
        })
    }

    fn maybe_exit(&mut self, now: Instant, out: &mut Vec<Action<P>>) {
        if !self.ending() {
            return;
        }
        let overdue = self.stop_by.is_some_and(|by| now >= by);
        let done = match &self.transactional {
            None => {
                let quiet = self.storing.is_none() && self.publishing.is_none();
                let settled = !self.store_due() && (!self.publish_due() || self.failure.is_some());
                // Batches that a failed source leaves in flight are waited for, because delivering and storing them
                // saves repeats; not so when one of them or the store has failed.
                let drained = self.source_ended && (self.ledger.is_empty() || !self.deliverable);
                drained && quiet && settled
            }
            Some(transactional) => {
                let quiet = self.storing.is_none() && !self.store_due();
                let drained = self.ledger.is_empty() && transactional.is_empty();
                self.source_ended && quiet && transactional.idle() && (drained || transactional.spoiled)
            }
        };
        if overdue || done {
            if self.transactional.as_mut().is_some_and(Transactional::abort) {
                out.push(Action::Abort);
            }
            self.exited = true;
            out.push(Action::Exit(self.failure.take().map_or(Ok(()), Err)));
        }
    }

    /// The oldest batch on its way to Kafka, if there is one, may wait until then. A task that ends has its own deadline.
    fn incident_at(&self) -> Option<Instant> {
        if self.failure.is_some() {
            return None;
        }
        let (since, answering) = (self.head_since?, self.answering_since?);
        Some(since.max(answering) + self.settings.delivery_timeout?)
    }

    /// Since when the oldest batch waits for Kafka, or a transaction for its commit.
    fn watch_head(&mut self, now: Instant) {
        let waiting = match &self.transactional {
            None => !self.ledger.is_empty(),
            Some(transactional) => transactional.admitted() > seq(&self.delivered) || transactional.committing(),
        };
        self.head_since = if waiting { self.head_since.or(Some(now)) } else { None };
    }

    fn incident(&self) -> TaskError {
        let timeout = self.settings.delivery_timeout.unwrap_or_default().as_millis();
        TaskError::transient(format!(
            "Kafka answers, but the oldest batch was not delivered and committed within {timeout} ms (delivery.timeout.ms). \
             Look at the leaders and in-sync replicas of the connector's topics and of the offsets topic"
        ))
    }

    fn check(&mut self, now: Instant, out: &mut Vec<Action<P>>) {
        let (read, delivered, stored) = (seq(&self.read), seq(&self.delivered), seq(&self.stored));
        let ordered = match &self.transactional {
            None => self.confirmed <= self.published && self.published <= stored && stored <= delivered,
            Some(transactional) => {
                let committed = seq(transactional.committed());
                let admitted = transactional.admitted();
                self.confirmed <= stored && stored <= committed && committed <= delivered && delivered <= admitted
            }
        };
        let holds = ordered && delivered <= read;
        if !holds && !self.broken {
            self.broken = true;
            let text = "the order of read, delivered, committed, stored and confirmed positions was broken; this is a \
                        defect of afterimage. No position was moved by it";
            self.undelivered(now, TaskError::definite(text), out);
        }
    }
}

#[cfg(test)]
mod tests;
