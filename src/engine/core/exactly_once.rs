//! The transactional half of the core: which batches share a transaction, when it is committed, and what follows from
//! each answer. Kafka allows one open transaction per producer, so batches read while one is being committed wait.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use model::{Position, Seq};

use super::{Action, Core, Mark, seq};
use crate::{
    error::{Failure, TaskError},
    port::{CommitError, Place, StoredOffset},
    rules::Rules,
};

/// How much one transaction holds (`transaction.boundary`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// What was read: one small batch when the source is idle, many under backlog.
    Poll,
    /// Everything within this time.
    Interval(Duration),
}

/// Rows of one `poll` transaction under backlog: a commit costs milliseconds and must be rare beside its records.
const ROWS: u64 = 50_000;
/// Batches of at least this many rows mean backlog: the reader fills them without waiting.
const BACKLOG: u64 = 1_000;
/// Small batches join a `poll` transaction for this long, so that a steady trickle cannot hold it open.
const SPAN: Duration = Duration::from_millis(5);
/// Nothing joins a `poll` transaction later than this, however slowly Kafka takes it.
const LONGEST: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Open {
    last: Seq,
    rows: u64,
    since: Instant,
    closed: bool,
}

/// Transactions of one task.
#[derive(Debug)]
pub(super) struct Transactional<P> {
    boundary: Boundary,
    /// Read and in no transaction yet: number and rows.
    waiting: VecDeque<(Seq, u64)>,
    open: Option<Open>,
    admitted: Option<Seq>,
    committing: Option<Mark<P>>,
    recovering: Option<Mark<P>>,
    committed: Option<Mark<P>>,
    known: Option<Place>,
    /// The open transaction cannot be committed.
    pub(super) spoiled: bool,
}

impl<P> Transactional<P> {
    pub(super) fn new(boundary: Boundary, known: Option<Place>) -> Self {
        Self {
            boundary,
            waiting: VecDeque::new(),
            open: None,
            admitted: None,
            committing: None,
            recovering: None,
            committed: None,
            known,
            spoiled: false,
        }
    }

    /// A batch was read.
    pub(super) fn wait(&mut self, seq: Seq, rows: u64) {
        self.waiting.push_back((seq, rows));
    }

    pub(super) fn committed(&self) -> &Option<Mark<P>> {
        &self.committed
    }

    /// The last batch that may be produced.
    pub(super) fn admitted(&self) -> Option<Seq> {
        self.admitted
    }

    /// Nothing is asked of Kafka that it has not answered.
    pub(super) fn idle(&self) -> bool {
        self.committing.is_none() && self.recovering.is_none()
    }

    /// A commit is not answered yet.
    pub(super) fn committing(&self) -> bool {
        self.committing.is_some()
    }

    /// Nothing is left to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty()
    }

    /// Whether there is a transaction to abort, which this makes be no more. One being committed is none: what
    /// becomes of it is for Kafka to say.
    pub(super) fn abort(&mut self) -> bool {
        self.idle() && self.open.take().is_some()
    }

    /// Lets waiting batches into the open transaction, or opens one.
    fn admit(&mut self, now: Instant) -> Option<Seq> {
        let before = self.admitted;
        while let Some((seq, rows)) = self.waiting.front().copied() {
            let open = self.open.get_or_insert(Open { last: seq, rows: 0, since: now, closed: false });
            // Positions alone wait for records to travel with.
            let empty = open.rows == 0;
            let joins = empty
                || !open.closed
                    && match self.boundary {
                        Boundary::Interval(interval) => now < open.since + interval,
                        Boundary::Poll => {
                            let small = rows < BACKLOG && now >= open.since + SPAN;
                            open.rows.saturating_add(rows) <= ROWS && !small && now < open.since + LONGEST
                        }
                    };
            if !joins {
                open.closed = true;
                break;
            }
            if empty && rows > 0 {
                open.since = now;
            }
            open.last = seq;
            open.rows = open.rows.saturating_add(rows);
            self.waiting.pop_front();
            self.admitted = Some(seq);
        }
        self.admitted.filter(|_| self.admitted != before)
    }

    /// When the open transaction is to be committed, all of it being delivered.
    fn due_at(&self, empty_interval: Duration) -> Option<Instant> {
        let open = self.open.as_ref()?;
        let wait = match self.boundary {
            _ if open.rows == 0 => empty_interval,
            _ if open.closed => Duration::ZERO,
            Boundary::Poll => Duration::ZERO,
            Boundary::Interval(interval) => interval,
        };
        Some(open.since + wait)
    }
}

impl<P: Position, R: Rules> Core<P, R> {
    /// When the open transaction can be committed, unless something is missing to it.
    pub(super) fn commit_at(&self) -> Option<Instant> {
        let transactional = self.transactional.as_ref()?;
        let whole = transactional.open.as_ref().is_some_and(|open| seq(&self.delivered) >= Some(open.last));
        if !whole || !transactional.idle() || transactional.spoiled {
            return None;
        }
        transactional.due_at(self.settings.publish_interval)
    }

    pub(super) fn advance_transaction(&mut self, now: Instant, out: &mut Vec<Action<P>>) {
        let Some(transactional) = &mut self.transactional else { return };
        if !transactional.idle() {
            return;
        }
        if transactional.spoiled {
            if transactional.abort() {
                out.push(Action::Abort);
            }
            return;
        }
        if let Some(upto) = transactional.admit(now) {
            out.push(Action::Produce { upto });
        }
        let due = self.commit_at().is_some_and(|at| self.at_once() || now >= at);
        if !due {
            return;
        }
        let mark = self.released(self.delivered.clone());
        let Some(transactional) = &mut self.transactional else { return };
        if let Some(mark) = mark {
            transactional.open = None;
            out.push(Action::Commit { seq: mark.seq, position: mark.position.clone() });
            transactional.committing = Some(mark);
        }
    }

    pub(super) fn committed(
        &mut self,
        now: Instant,
        seq: Seq,
        result: Result<Place, CommitError>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(transactional) = &mut self.transactional else { return };
        let Some(mark) = transactional.committing.take_if(|mark| mark.seq == seq) else { return };
        self.head_since = None;
        match result {
            Ok(at) => {
                transactional.known = Some(at);
                transactional.committed = Some(Mark { at: Some(at), ..mark });
            }
            Err(CommitError::Unknown(_)) => {
                transactional.recovering = Some(mark);
                out.push(Action::Recover { seq });
            }
            Err(CommitError::Fenced(cause)) => self.undelivered(now, fenced(&cause), out),
            Err(CommitError::Aborted(error)) => self.undelivered(now, error, out),
        }
    }

    pub(super) fn recovered(
        &mut self,
        now: Instant,
        seq: Seq,
        result: Result<Option<StoredOffset>, TaskError>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(transactional) = &mut self.transactional else { return };
        let Some(mark) = transactional.recovering.take_if(|mark| mark.seq == seq) else { return };
        match result {
            Ok(Some(StoredOffset { offset: Some(offset), at }))
                if transactional.known != Some(at) && offset == mark.position.to_offset() =>
            {
                transactional.known = Some(at);
                transactional.committed = Some(Mark { at: Some(at), ..mark });
            }
            // Whatever stands there instead is the truth that the next start continues from.
            Ok(_) => {
                let text = "the answer to a commit was lost, and Kafka does not hold the transaction; the task is restarted \
                            from the committed offset";
                self.undelivered(now, TaskError::transient(text), out);
            }
            Err(error) => self.undelivered(now, error, out),
        }
    }
}

fn fenced(cause: &Failure) -> TaskError {
    let mut failure = Failure::new(
        "another producer has taken over this task's transactional.id: a second worker runs the same connector with the same \
         group.id. Nothing of the open transaction was made visible. Stop one of the two, then restart this task",
    )
    .class("org.apache.kafka.common.errors.ProducerFencedException")
    .caused_by(&cause.message);
    failure.causes.extend(cause.causes.iter().cloned());
    TaskError::Definite(failure)
}
