//! The model broker: partitions with producer sequences, one transactional id with epochs and a coordinator whose
//! markers take their time, the offsets topic.
//!
//! Rules of Kafka it keeps: a batch is appended only behind the sequence before it, a repeated one is acknowledged and not
//! appended; a commit is decided when the coordinator says so and seen when the marker is in each partition; a new
//! session waits for that; a reader of committed records sees nothing behind the first open transaction.

use std::collections::BTreeMap;

use model::{OffsetMap, Position};

use crate::{
    database::{PARTITIONS, Place, Rec},
    net::{Event, MS, Micros, Net, S},
};

/// The offsets topic's partition.
pub(crate) const OFFSETS: usize = PARTITIONS;
/// `transaction.timeout.ms`.
const TRANSACTION_TIMEOUT: Micros = 5 * S;

/// Producer id and epoch.
pub(crate) type Pid = (u64, u32);

/// What a record batch holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Payload {
    Rows(Vec<Rec>),
    /// Our connector's offset record; `None` is a tombstone.
    Offset(Option<OffsetMap>),
    /// Another connector's.
    Foreign,
}

#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// A session: with the transactional id, or only a producer id. `keep`: of the epoch held.
    Init {
        transactional: bool,
        keep: Option<Pid>,
    },
    /// The session as it is, without taking it over. No client does that: it is one of the planted faults.
    Peek,
    Produce {
        partition: usize,
        pid: Pid,
        seq: u32,
        payload: Payload,
        transactional: bool,
    },
    End {
        pid: Pid,
        commit: bool,
    },
    /// An offset record outside of transactions.
    Append {
        offset: OffsetMap,
    },
    /// The newest offset record, the topic read to its end.
    Read {
        committed: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    Session {
        pid: Pid,
        next: Vec<u32>,
    },
    /// Appended, or had been: where.
    Appended {
        at: i64,
    },
    Ended,
    Newest {
        stored: Option<(Option<OffsetMap>, i64)>,
    },
    /// To be asked again: a transaction is being ended, a leader is missing, a batch came before its predecessor.
    Again,
    Fenced,
    TimedOut,
    /// There is no such transaction.
    Invalid,
}

/// What the broker does without being asked.
#[derive(Debug)]
pub(crate) enum Upkeep {
    /// A marker reaches a partition.
    Mark {
        transaction: usize,
        partition: usize,
    },
    Timeout {
        transaction: usize,
    },
    /// A read waits for the end it saw.
    Read {
        from: u32,
        id: u64,
        end: usize,
    },
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) payload: Payload,
    /// The process that wrote it; none for what others wrote.
    pub(crate) by: Option<u32>,
    transaction: Option<usize>,
}

#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) log: Vec<Entry>,
    /// Place of each sequence of each session.
    places: BTreeMap<Pid, Vec<i64>>,
    /// Transactions that are marked here: committed or not.
    marks: BTreeMap<usize, bool>,
    pub(crate) leaderless_until: Micros,
}

#[derive(Debug)]
struct Transaction {
    partitions: Vec<usize>,
    decided: Option<bool>,
    unmarked: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Broker {
    pub(crate) partitions: Vec<Partition>,
    transactions: Vec<Transaction>,
    /// The transaction of our transactional id that is open or being ended.
    current: Option<usize>,
    session: Option<Pid>,
    /// Who took the session over last.
    pub(crate) owner: Option<u32>,
    /// Who opened the last session, whether or not it has fenced itself since.
    opener: Option<u32>,
    timed_out: bool,
    /// The epoch that the session at hand was renewed from, and one that is being renewed.
    renewed: Option<Pid>,
    renewing: Option<Pid>,
    pids: u64,
    foreign: Option<usize>,
}

impl Broker {
    pub(crate) fn new() -> Self {
        Self { partitions: (0..=OFFSETS).map(|_| Partition::default()).collect(), ..Self::default() }
    }

    /// Takes a request and answers it, at once or later.
    pub(crate) fn handle(&mut self, net: &mut Net, from: u32, id: u64, request: Request) {
        net.trace(|| format!("broker: {id} of process {from}: {request:?}"));
        let reply = match request {
            Request::Init { transactional: false, .. } => {
                self.pids += 1;
                Some(Reply::Session { pid: (self.pids, 0), next: vec![0; OFFSETS + 1] })
            }
            Request::Init { keep, .. } => Some(self.init(net, from, keep)),
            Request::Peek => Some(self.peek()),
            Request::Produce { partition, pid, seq, payload, transactional } => {
                Some(self.produce(net, from, partition, pid, seq, payload, transactional))
            }
            Request::End { pid, commit } => Some(match self.fits(pid) {
                Err(refusal) => refusal,
                Ok(()) => self.end(net, commit),
            }),
            Request::Append { offset } => {
                let entry = Entry { payload: Payload::Offset(Some(offset)), by: Some(from), transaction: None };
                self.append(OFFSETS, entry).map(|at| Reply::Appended { at })
            }
            Request::Read { committed } => {
                let end = self.partitions.get(OFFSETS).map_or(0, |partition| partition.log.len());
                if committed {
                    self.read(net, from, id, end);
                    None
                } else {
                    Some(Reply::Newest { stored: self.last_written() })
                }
            }
        };
        if let Some(reply) = reply {
            net.trace(|| format!("broker: {id} answered {reply:?}"));
            net.reply(from, id, reply);
        }
    }

    pub(crate) fn upkeep(&mut self, net: &mut Net, upkeep: Upkeep) {
        match upkeep {
            Upkeep::Mark { transaction, partition } => self.mark(transaction, partition),
            Upkeep::Timeout { transaction } => {
                let open = self.transactions.get(transaction).is_some_and(|open| open.decided.is_none());
                if open && self.current == Some(transaction) {
                    net.coverage.hit("transaction timed out");
                    net.trace(|| "broker: the transaction timed out".into());
                    self.decide(net, transaction, false);
                    self.session = self.session.map(|(pid, epoch)| (pid, epoch + 1));
                    self.timed_out = true;
                }
            }
            Upkeep::Read { from, id, end } => self.read(net, from, id, end),
        }
    }

    fn init(&mut self, net: &mut Net, from: u32, keep: Option<Pid>) -> Reply {
        if let Some(keep) = keep {
            // A repeated renewal gets what the first one made.
            if let (true, Some(pid)) = (self.renewed == Some(keep), self.session) {
                return Reply::Session { pid, next: vec![0; OFFSETS + 1] };
            }
            let held = self.session == Some(keep) || self.renewing == Some(keep) || self.timed_out;
            if self.owner != Some(from) || !held {
                return Reply::Fenced;
            }
        }
        if let Some(current) = self.current {
            let decided = self.transactions.get(current).and_then(|current| current.decided);
            if decided.is_none() {
                self.decide(net, current, false);
                // The producer that opened it is fenced here and now.
                self.session = self.session.map(|(pid, epoch)| (pid, epoch + 1));
                self.timed_out = false;
                self.renewing = keep;
                if keep.is_none() {
                    self.owner = None;
                }
            }
            // What is being ended is waited for.
            return Reply::Again;
        }
        if self.session.is_none() {
            self.pids += 1;
        }
        let pid = self.session.map_or((self.pids, 0), |(pid, epoch)| (pid, epoch + 1));
        (self.renewed, self.renewing) = (keep, None);
        // A session that begins twice, by a request that came late, fences its own client.
        let again = keep.is_none() && self.opener.replace(from) == Some(from);
        (self.session, self.owner, self.timed_out) = (Some(pid), Some(from).filter(|_| !again), false);
        Reply::Session { pid, next: vec![0; OFFSETS + 1] }
    }

    fn peek(&mut self) -> Reply {
        if self.session.is_none() {
            self.pids += 1;
        }
        let pid = *self.session.get_or_insert((self.pids, 0));
        let next = self.partitions.iter().map(|partition| partition.places.get(&pid).map_or(0, |p| p.len() as u32));
        Reply::Session { pid, next: next.collect() }
    }

    fn fits(&self, pid: Pid) -> Result<(), Reply> {
        match self.session {
            Some(session) if session == pid => Ok(()),
            Some((id, epoch)) if self.timed_out && (id, epoch) == (pid.0, pid.1 + 1) => Err(Reply::TimedOut),
            _ => Err(Reply::Fenced),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one request")]
    fn produce(
        &mut self,
        net: &mut Net,
        from: u32,
        partition: usize,
        pid: Pid,
        seq: u32,
        payload: Payload,
        transactional: bool,
    ) -> Reply {
        if transactional && let Err(refusal) = self.fits(pid) {
            return refusal;
        }
        let Some(target) = self.partitions.get_mut(partition) else { return Reply::Invalid };
        if net.now < target.leaderless_until {
            net.coverage.hit("partition without a leader");
            return Reply::Again;
        }
        let places = target.places.entry(pid).or_default();
        if let Some(at) = places.get(seq as usize) {
            return Reply::Appended { at: *at };
        }
        if seq as usize > places.len() {
            return Reply::Again;
        }
        let transaction = if transactional {
            match self.open(net, partition) {
                Some(transaction) => Some(transaction),
                None => return Reply::Again,
            }
        } else {
            None
        };
        let Some(at) = self.append(partition, Entry { payload, by: Some(from), transaction }) else {
            return Reply::Invalid;
        };
        if let Some(target) = self.partitions.get_mut(partition) {
            target.places.entry(pid).or_default().push(at);
        }
        Reply::Appended { at }
    }

    /// The open transaction, with the partition in it. `None` while one is being ended.
    fn open(&mut self, net: &mut Net, partition: usize) -> Option<usize> {
        let number = match self.current {
            Some(number) => number,
            None => {
                let number = self.transactions.len();
                self.transactions.push(Transaction { partitions: Vec::new(), decided: None, unmarked: 0 });
                net.after(TRANSACTION_TIMEOUT, Event::Upkeep(Upkeep::Timeout { transaction: number }));
                self.current = Some(number);
                number
            }
        };
        let open = self.transactions.get_mut(number).filter(|open| open.decided.is_none())?;
        if !open.partitions.contains(&partition) {
            open.partitions.push(partition);
        }
        Some(number)
    }

    fn append(&mut self, partition: usize, entry: Entry) -> Option<i64> {
        let target = self.partitions.get_mut(partition)?;
        target.log.push(entry);
        Some(target.log.len() as i64 - 1)
    }

    fn end(&mut self, net: &mut Net, commit: bool) -> Reply {
        let Some(current) = self.current else { return Reply::Invalid };
        match self.transactions.get(current).and_then(|current| current.decided) {
            Some(decided) if decided == commit => return Reply::Ended,
            Some(_) => return Reply::Invalid,
            None => self.decide(net, current, commit),
        }
        Reply::Ended
    }

    /// The outcome stands from here on; the partitions hear of it one by one.
    fn decide(&mut self, net: &mut Net, number: usize, commit: bool) {
        let Some(transaction) = self.transactions.get_mut(number) else { return };
        transaction.decided = Some(commit);
        transaction.unmarked = transaction.partitions.len();
        let slow = net.rng.chance(30);
        for partition in transaction.partitions.clone() {
            let delay = if slow { net.rng.range(0, 500 * MS) } else { net.rng.range(0, 3 * MS) };
            net.after(delay, Event::Upkeep(Upkeep::Mark { transaction: number, partition }));
        }
        if self.transactions.get(number).is_some_and(|transaction| transaction.unmarked == 0) {
            self.current = self.current.filter(|current| *current != number);
        }
    }

    fn mark(&mut self, number: usize, partition: usize) {
        let Some(transaction) = self.transactions.get_mut(number) else { return };
        let (Some(outcome), Some(target)) = (transaction.decided, self.partitions.get_mut(partition)) else { return };
        if target.marks.insert(number, outcome).is_some() {
            return;
        }
        transaction.unmarked -= 1;
        if transaction.unmarked == 0 {
            self.current = self.current.filter(|current| *current != number);
        }
    }

    fn read(&mut self, net: &mut Net, from: u32, id: u64, end: usize) {
        let stable = self.partitions.get(OFFSETS).map_or(0, Partition::stable);
        if stable < end {
            net.after(MS, Event::Upkeep(Upkeep::Read { from, id, end }));
            return;
        }
        let stored = self.newest();
        net.trace(|| format!("broker: {id} answered with offset {stored:?}"));
        net.reply(from, id, Reply::Newest { stored });
    }

    /// The newest offset record of ours that a reader of committed records can see, and its place.
    fn newest(&self) -> Option<(Option<OffsetMap>, i64)> {
        let offsets = self.partitions.get(OFFSETS)?;
        let mut visible = offsets.visible().collect::<Vec<_>>();
        visible.reverse();
        visible.into_iter().find_map(|(at, entry)| match &entry.payload {
            Payload::Offset(offset) => Some((offset.clone(), at as i64)),
            _ => None,
        })
    }

    /// The newest offset record of ours for a reader that takes every record: what another connector holds open
    /// does not stand in its way.
    fn last_written(&self) -> Option<(Option<OffsetMap>, i64)> {
        let log = self.partitions.get(OFFSETS)?.log.iter().enumerate().rev();
        let mut ours = log.filter_map(|(at, entry)| match &entry.payload {
            Payload::Offset(offset) => Some((offset.clone(), at as i64)),
            _ => None,
        });
        ours.next()
    }

    /// The newest offset record of ours as the connector's kind of worker reads it.
    pub(crate) fn truth(&self, exactly_once: bool) -> Option<(Option<OffsetMap>, i64)> {
        if exactly_once { self.newest() } else { self.last_written() }
    }

    /// The last position that a process has published or committed.
    pub(crate) fn last_of(&self, process: u32) -> Option<Place> {
        let offsets = self.partitions.get(OFFSETS)?;
        let ours = offsets.visible().filter(|(_, entry)| entry.by == Some(process));
        let positions = ours.filter_map(|(_, entry)| match &entry.payload {
            Payload::Offset(Some(offset)) => Place::from_offset(offset).ok(),
            _ => None,
        });
        positions.last()
    }

    /// Whether an entry is committed, seen or not yet.
    pub(crate) fn decided(&self, entry: &Entry) -> bool {
        let outcome = |number| self.transactions.get(number).and_then(|transaction: &Transaction| transaction.decided);
        entry.transaction.is_none_or(|number| outcome(number) == Some(true))
    }

    /// Somebody with the right to do so writes our offset: whatever is open under the transactional id ends first, and
    /// its session with it.
    pub(crate) fn rewrite(&mut self, net: &mut Net, offset: Option<OffsetMap>) {
        if let Some(current) = self.current {
            let open = self.transactions.get(current).is_some_and(|current| current.decided.is_none());
            if open {
                self.decide(net, current, false);
            }
            for partition in 0..=OFFSETS {
                let part = self.transactions.get(current).is_some_and(|t| t.partitions.contains(&partition));
                if part {
                    self.mark(current, partition);
                }
            }
        }
        self.session = self.session.map(|(pid, epoch)| (pid, epoch + 1));
        (self.owner, self.timed_out) = (None, false);
        let _ = self.append(OFFSETS, Entry { payload: Payload::Offset(offset), by: None, transaction: None });
    }

    /// Somebody else takes the session over, here and now.
    #[cfg(test)]
    pub(crate) fn usurp(&mut self) {
        self.session = self.session.map(|(pid, epoch)| (pid, epoch + 1));
        self.owner = None;
    }

    /// Another connector opens (`true`) or commits a transaction of its own in the offsets topic.
    pub(crate) fn foreign(&mut self, open: bool) {
        if open && self.foreign.is_none() {
            let number = self.transactions.len();
            let decided = Some(true);
            self.transactions.push(Transaction { partitions: vec![OFFSETS], decided, unmarked: 1 });
            self.foreign = Some(number);
            let entry = Entry { payload: Payload::Foreign, by: None, transaction: Some(number) };
            let _ = self.append(OFFSETS, entry);
        } else if !open && let Some(number) = self.foreign.take() {
            self.mark(number, OFFSETS);
        }
    }
}

impl Partition {
    /// The last stable offset: the first record of a transaction that is not marked, or the end.
    fn stable(&self) -> usize {
        let open = |entry: &Entry| entry.transaction.is_some_and(|number| !self.marks.contains_key(&number));
        self.log.iter().position(open).unwrap_or(self.log.len())
    }

    /// What a reader of committed records sees.
    pub(crate) fn visible(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let committed = |entry: &Entry| entry.transaction.is_none_or(|number| self.marks.get(&number) == Some(&true));
        self.log.iter().enumerate().take(self.stable()).filter(move |(_, entry)| committed(entry))
    }

    /// The records that such a reader sees, and who wrote them.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u32, Rec)> {
        self.visible().flat_map(|(_, entry)| {
            let records = match &entry.payload {
                Payload::Rows(records) => records.as_slice(),
                _ => &[],
            };
            records.iter().map(|record| (entry.by.unwrap_or(0), *record))
        })
    }
}
