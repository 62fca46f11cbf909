//! The model producer of one process, with the rules that a real one keeps: sequences without gaps, repeats of what was
//! not answered, a commit that is never repeated, nothing after a refusal.

use std::collections::{BTreeMap, VecDeque};

use engine::{
    batch::Ack,
    error::{Failure, TaskError},
    port::{CommitError, StoredOffset},
};
use model::{OffsetMap, Seq};

use crate::{
    broker::{OFFSETS, Payload, Pid, Reply, Request},
    database::Rec,
    net::{Event, MS, Micros, Net, S},
    process::Wake,
};

/// How long an answer is waited for.
const PATIENCE: Micros = 400 * MS;
/// Without an answer for so long Kafka is said not to answer.
const SILENCE: Micros = S;
/// What a fenced producer says.
pub(crate) const FENCED: &str = "INVALID_PRODUCER_EPOCH";

/// What a session or an offset is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Start,
    Recover(Seq),
}

/// What the client has to say.
#[derive(Debug)]
pub(crate) enum Said {
    Session(Purpose),
    Refused(Purpose, TaskError),
    Newest(Purpose, Option<StoredOffset>),
    Committed(Seq, Result<(i32, i64), CommitError>),
    Published(Seq, OffsetMap, Result<(i32, i64), TaskError>),
    Answers(bool),
}

#[derive(Debug, Clone)]
enum Call {
    Init(Purpose, Request),
    Read(Purpose),
    End(Seq, i64),
    Append(Seq, OffsetMap, u32),
}

#[derive(Debug)]
struct Sent {
    seq: u32,
    payload: Payload,
    batch: Option<Seq>,
    at: Micros,
}

#[derive(Debug, Default)]
struct Line {
    next: u32,
    queue: VecDeque<Sent>,
    due: Option<Micros>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    Fenced,
    TimedOut,
}

impl Death {
    fn error(self) -> TaskError {
        match self {
            Self::Fenced => TaskError::definite(FENCED),
            Self::TimedOut => TaskError::transient("Kafka aborted the transaction after transaction.timeout.ms"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Client {
    me: u32,
    exactly_once: bool,
    pid: Option<Pid>,
    lines: Vec<Line>,
    batches: BTreeMap<Seq, (usize, Ack)>,
    calls: BTreeMap<u64, Call>,
    produced: BTreeMap<u64, (usize, Pid, u32)>,
    committing: Option<(Seq, u32)>,
    dead: Option<Death>,
    heard: Micros,
    answers: bool,
    pub(crate) said: Vec<Said>,
}

impl Client {
    pub(crate) fn new(me: u32, exactly_once: bool, now: Micros) -> Self {
        Self {
            me,
            exactly_once,
            pid: None,
            lines: (0..=OFFSETS).map(|_| Line::default()).collect(),
            batches: BTreeMap::new(),
            calls: BTreeMap::new(),
            produced: BTreeMap::new(),
            committing: None,
            dead: None,
            heard: now,
            answers: false,
            said: Vec::new(),
        }
    }

    fn call(&mut self, net: &mut Net, request: Request, call: Call) {
        let id = net.send(self.me, request);
        self.calls.insert(id, call);
        net.after(PATIENCE, Event::Wake { process: self.me, wake: Wake::Timeout(id) });
    }

    /// Begins a session. `peek` takes the one that is there without fencing it.
    pub(crate) fn take_over(&mut self, net: &mut Net, peek: bool) {
        let init = Request::Init { transactional: self.exactly_once, keep: None };
        let request = if peek { Request::Peek } else { init };
        self.call(net, request.clone(), Call::Init(Purpose::Start, request));
    }

    pub(crate) fn renew(&mut self, net: &mut Net, seq: Seq) {
        // What is still answered to the epoch before, a refusal above all, means nothing any more.
        self.produced.clear();
        let request = Request::Init { transactional: true, keep: self.pid };
        self.call(net, request.clone(), Call::Init(Purpose::Recover(seq), request));
    }

    pub(crate) fn read(&mut self, net: &mut Net, purpose: Purpose) {
        self.call(net, Request::Read { committed: self.exactly_once }, Call::Read(purpose));
    }

    pub(crate) fn publish(&mut self, net: &mut Net, seq: Seq, offset: OffsetMap) {
        self.call(net, Request::Append { offset: offset.clone() }, Call::Append(seq, offset, 0));
    }

    /// Hands over the records of a batch.
    pub(crate) fn produce(&mut self, net: &mut Net, records: Vec<Rec>, ack: Ack) {
        if let Some(death) = self.dead {
            ack.failed(death.error());
            return;
        }
        let mut parts: BTreeMap<usize, Vec<Rec>> = BTreeMap::new();
        for record in records {
            parts.entry(record.partition()).or_default().push(record);
        }
        if parts.is_empty() {
            ack.delivered();
            return;
        }
        let batch = ack.seq();
        self.batches.insert(batch, (parts.len(), ack));
        for (partition, records) in parts {
            self.push(net, partition, Payload::Rows(records), Some(batch));
        }
    }

    fn push(&mut self, net: &mut Net, partition: usize, payload: Payload, batch: Option<Seq>) -> u32 {
        let Some(line) = self.lines.get_mut(partition) else { return 0 };
        let seq = line.next;
        line.next += 1;
        line.queue.push_back(Sent { seq, payload, batch, at: net.now });
        let first = line.queue.len().saturating_sub(1);
        self.resend(net, partition, first);
        seq
    }

    /// Sends what stands in a line from an index on, and looks again later.
    fn resend(&mut self, net: &mut Net, partition: usize, first: usize) {
        let (Some(pid), Some(line)) = (self.pid, self.lines.get_mut(partition)) else { return };
        for sent in line.queue.iter_mut().skip(first) {
            sent.at = net.now;
            let id = net.send(
                self.me,
                Request::Produce {
                    partition,
                    pid,
                    seq: sent.seq,
                    payload: sent.payload.clone(),
                    transactional: self.exactly_once,
                },
            );
            self.produced.insert(id, (partition, pid, sent.seq));
        }
        if line.due.is_none() {
            self.look_again(net, partition, PATIENCE);
        }
    }

    fn look_again(&mut self, net: &mut Net, partition: usize, delay: Micros) {
        if let Some(line) = self.lines.get_mut(partition) {
            let due = net.now + delay;
            line.due = Some(due);
            net.after(delay, Event::Wake { process: self.me, wake: Wake::Line { partition, due } });
        }
    }

    /// A line's time has come.
    pub(crate) fn line(&mut self, net: &mut Net, partition: usize, due: Micros) {
        let Some(line) = self.lines.get_mut(partition).filter(|line| line.due == Some(due)) else { return };
        line.due = None;
        let Some(oldest) = line.queue.front().map(|sent| sent.at) else { return };
        self.silence(net);
        // A refusal sets the oldest one's time to zero.
        if oldest == 0 || oldest + PATIENCE <= net.now {
            self.resend(net, partition, 0);
        } else {
            self.look_again(net, partition, oldest + PATIENCE - net.now);
        }
    }

    fn silence(&mut self, net: &Net) {
        if self.answers && self.heard + SILENCE <= net.now {
            self.answers = false;
            self.said.push(Said::Answers(false));
        }
    }

    /// Commits: the offset record behind everything, then the end of the transaction.
    pub(crate) fn commit(&mut self, net: &mut Net, seq: Seq, offset: OffsetMap) {
        self.committing = Some((seq, 0));
        if let Some(death) = self.dead {
            self.die(death);
            return;
        }
        let line_seq = self.push(net, OFFSETS, Payload::Offset(Some(offset)), None);
        self.committing = Some((seq, line_seq));
    }

    /// Aborts and forgets what was not acknowledged.
    pub(crate) fn abort(&mut self, net: &mut Net) {
        if let (Some(pid), None) = (self.pid, self.dead) {
            net.send(self.me, Request::End { pid, commit: false });
        }
        self.lines.iter_mut().for_each(|line| line.queue.clear());
        self.batches.clear();
    }

    /// Acks of everything in flight, to be dropped by whoever ends the process.
    pub(crate) fn close(&mut self) {
        self.lines.clear();
        self.calls.clear();
        self.batches.clear();
    }

    fn die(&mut self, death: Death) {
        self.dead = Some(death);
        self.lines.iter_mut().for_each(|line| line.queue.clear());
        for (_, (_, ack)) in std::mem::take(&mut self.batches) {
            ack.failed(death.error());
        }
        if let Some((seq, _)) = self.committing.take() {
            let error = match death {
                Death::Fenced => CommitError::Fenced(Failure::new(FENCED)),
                Death::TimedOut => CommitError::Aborted(death.error()),
            };
            self.said.push(Said::Committed(seq, Err(error)));
        }
    }

    /// A call was not answered in time.
    pub(crate) fn timeout(&mut self, net: &mut Net, id: u64) {
        let Some(call) = self.calls.remove(&id) else { return };
        self.silence(net);
        match call {
            Call::Init(purpose, request) => self.call(net, request.clone(), Call::Init(purpose, request)),
            Call::Read(purpose) => self.read(net, purpose),
            Call::End(seq, _) => {
                net.coverage.hit("answer to a commit lost");
                self.committing = None;
                self.said.push(Said::Committed(seq, Err(CommitError::Unknown(Failure::new("no answer came")))));
            }
            Call::Append(seq, offset, tries) if tries < 8 => {
                self.call(net, Request::Append { offset: offset.clone() }, Call::Append(seq, offset, tries + 1));
            }
            Call::Append(seq, offset, _) => {
                let error = TaskError::transient("the offset record was not acknowledged");
                self.said.push(Said::Published(seq, offset, Err(error)));
            }
        }
    }

    /// An answer came.
    pub(crate) fn reply(&mut self, net: &mut Net, id: u64, reply: Reply) {
        self.heard = net.now;
        if !self.answers {
            self.answers = true;
            self.said.push(Said::Answers(true));
        }
        if let Some((partition, pid, seq)) = self.produced.remove(&id) {
            if self.pid == Some(pid) && self.dead.is_none() {
                self.produced(net, partition, seq, reply);
            }
            return;
        }
        let Some(call) = self.calls.remove(&id) else { return };
        match (call, reply) {
            (Call::Init(purpose, _), Reply::Session { pid, next }) => {
                self.pid = Some(pid);
                for (line, next) in self.lines.iter_mut().zip(next) {
                    *line = Line { next, ..Line::default() };
                }
                self.said.push(Said::Session(purpose));
            }
            (Call::Init(purpose, _), Reply::Fenced) => {
                self.said.push(Said::Refused(purpose, TaskError::definite(FENCED)));
            }
            (call @ Call::Init(..), _) => {
                // Asked again in a moment, by way of its timeout.
                self.calls.insert(id, call);
                net.after(5 * MS, Event::Wake { process: self.me, wake: Wake::Timeout(id) });
            }
            (Call::Read(purpose), Reply::Newest { stored }) => {
                let stored = stored.map(|(offset, at)| StoredOffset { offset, at: (0, at) });
                self.said.push(Said::Newest(purpose, stored));
            }
            (Call::End(seq, at), Reply::Ended) => {
                self.committing = None;
                self.said.push(Said::Committed(seq, Ok((0, at))));
            }
            (Call::End(..), Reply::Fenced) => self.die(Death::Fenced),
            (Call::End(..), _) => self.die(Death::TimedOut),
            (Call::Append(seq, offset, _), Reply::Appended { at }) => {
                self.said.push(Said::Published(seq, offset, Ok((0, at))));
            }
            (call, _) => drop(self.calls.insert(id, call)),
        }
    }

    fn produced(&mut self, net: &mut Net, partition: usize, seq: u32, reply: Reply) {
        let Some(line) = self.lines.get_mut(partition) else { return };
        match reply {
            Reply::Appended { at } => {
                // One that is acknowledged has all before it in the log.
                while line.queue.front().is_some_and(|sent| sent.seq <= seq) {
                    let Some(sent) = line.queue.pop_front() else { break };
                    let Some(batch) = sent.batch else { continue };
                    let done = self.batches.get_mut(&batch).is_some_and(|(left, _)| {
                        *left -= 1;
                        *left == 0
                    });
                    if done && let Some((_, ack)) = self.batches.remove(&batch) {
                        ack.delivered();
                    }
                }
                let ends = partition == OFFSETS && self.committing.is_some_and(|(_, line_seq)| line_seq == seq);
                let under_way = self.calls.values().any(|call| matches!(call, Call::End(..)));
                if let (true, false, Some((batch, _)), Some(pid)) = (ends, under_way, self.committing, self.pid) {
                    self.call(net, Request::End { pid, commit: true }, Call::End(batch, at));
                }
            }
            Reply::Fenced => self.die(Death::Fenced),
            Reply::TimedOut => self.die(Death::TimedOut),
            _ => {
                if let Some(sent) = line.queue.front_mut() {
                    sent.at = 0;
                    let delay = net.rng.range(MS, 8 * MS);
                    self.look_again(net, partition, delay);
                }
            }
        }
    }
}
