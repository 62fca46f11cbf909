//! What must hold, judged from the truth in the database and from what a reader of committed records sees.
//!
//! Exactly-once: each partition holds, record for record, what each run had to deliver between where it started and where its
//! last committed offset says it stopped, and each run starts at the newest committed offset. At-least-once: whatever
//! lies before a run's start is in the topics, and each run's records are a beginning of what it had to deliver.

use std::collections::{BTreeMap, BTreeSet};

use engine::port::SavedCheckpoint;
use model::{OffsetMap, Position};

use crate::{
    broker::{Broker, OFFSETS, Payload},
    database::{Database, Entry, PARTITIONS, Place, Rec},
    net::Net,
};

/// A start of a task that got as far as a position.
#[derive(Debug)]
struct Run {
    process: u32,
    from: Option<Place>,
    /// The first position it read to: where its snapshot stands, if it takes one.
    first: Option<Place>,
}

impl Run {
    fn snapshots(&self) -> bool {
        self.from.is_none_or(|from| from.snapshot.is_some())
    }

    /// What it has to deliver up to a position, in order.
    fn owes(&self, upto: Place, database: &Database) -> Vec<Rec> {
        if !self.snapshots() {
            return database.changes(self.from.map_or(0, |from| from.pos), upto.pos);
        }
        let Some(first) = self.first else { return Vec::new() };
        let mut records = database.snapshot(first.pos);
        match upto.snapshot {
            Some(done) => records.truncate(done as usize),
            None => records.extend(database.changes(first.pos, upto.pos)),
        }
        records
    }
}

/// The judge.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    runs: Vec<Run>,
    /// What was found wrong.
    pub(crate) violations: Vec<String>,
}

impl Oracle {
    pub(crate) fn violate(&mut self, what: String) {
        self.violations.push(what);
    }

    /// A process starts from a position; `cached` is what its disk held.
    pub(crate) fn started(
        &mut self,
        process: u32,
        exactly_once: bool,
        from: Option<Place>,
        cached: Option<&SavedCheckpoint>,
        broker: &Broker,
        database: &Database,
    ) {
        let newest = broker.truth(exactly_once);
        let place = newest.as_ref().map(|(_, at)| (0, *at));
        // The disk counts as long as nobody has written to the topic behind its back.
        let right: Option<OffsetMap> = match cached {
            Some(cached) if !exactly_once && cached.published_at == place => Some(cached.offset.clone()),
            _ => newest.and_then(|(offset, _)| offset),
        };
        if from.as_ref().map(Position::to_offset) != right {
            self.violate(format!("process {process} starts from {from:?}; right is {right:?}"));
        }
        if let (false, Some(from)) = (exactly_once, from) {
            self.covered(from, broker, database);
        }
        self.runs.push(Run { process, from, first: None });
    }

    /// A process has read to a position.
    pub(crate) fn read(&mut self, process: u32, end: Place) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.process == process) {
            run.first.get_or_insert(end);
        }
    }

    /// Where the newest snapshot before a position stands, or that position.
    pub(crate) fn snapshot_before(&self, pos: u64) -> u64 {
        let firsts = self.runs.iter().filter(|run| run.snapshots()).filter_map(|run| run.first);
        firsts.map(|first| first.pos).filter(|first| *first <= pos).max().unwrap_or(pos)
    }

    /// Counts what is worth knowing about a batch.
    pub(crate) fn batch(&mut self, records: &[Rec], net: &mut Net) {
        let mut versions: BTreeMap<u8, u32> = BTreeMap::new();
        if records.iter().any(|record| *versions.entry(record.key.0).or_insert(record.version) != record.version) {
            net.coverage.hit("schema change within a batch");
        }
    }

    /// A commit goes out.
    pub(crate) fn commit(&mut self, position: Place, database: &Database, net: &mut Net) {
        let before = position.pos.checked_sub(1).and_then(|index| database.log.get(index as usize));
        if position.snapshot.is_none() && before.is_some_and(|entry| *entry != Entry::End) {
            net.coverage.hit("a source transaction over several Kafka transactions");
        }
    }

    /// The source was told to forget.
    pub(crate) fn confirmed(
        &mut self,
        process: u32,
        position: Place,
        durable: Option<&SavedCheckpoint>,
        broker: &Broker,
    ) {
        let stored = durable.and_then(|durable| Place::from_offset(&durable.offset).ok());
        if stored.is_none_or(|stored| stored.pos < position.pos) {
            self.violate(format!("process {process} confirmed {position}, and its disk holds {stored:?}"));
        }
        if !broker.holds(Some(process), &position.to_offset()) {
            self.violate(format!("process {process} confirmed {position}, which Kafka does not hold"));
        }
    }

    /// At-least-once: everything before a position is in the topics.
    fn covered(&mut self, upto: Place, broker: &Broker, database: &Database) {
        if upto.snapshot.is_some() {
            return;
        }
        let seen: BTreeSet<(u32, Rec)> = broker.partitions.iter().flat_map(|partition| partition.records()).collect();
        let complete = self.runs.iter().filter(|run| run.snapshots()).filter_map(|run| {
            let first = run.first.filter(|first| first.pos <= upto.pos)?;
            let whole = database.snapshot(first.pos).iter().all(|row| seen.contains(&(run.process, *row)));
            whole.then_some(first.pos)
        });
        let Some(base) = complete.max() else {
            self.violate(format!("a start from {upto} with no complete snapshot before it"));
            return;
        };
        let changes: BTreeSet<Rec> = seen.iter().map(|(_, record)| *record).collect();
        let lost = database.changes(base, upto.pos).into_iter().find(|change| !changes.contains(change));
        if let Some(lost) = lost {
            self.violate(format!("{lost:?} lies before the position {upto} and is in no topic: lost"));
        }
    }

    /// The end: faults are over, everything is at rest.
    pub(crate) fn judge(&mut self, exactly_once: bool, broker: &Broker, database: &Database) {
        let end = Place { pos: database.end(), snapshot: None };
        if exactly_once { self.exactly_once(broker, database) } else { self.at_least_once(end, broker, database) }
    }

    fn exactly_once(&mut self, broker: &Broker, database: &Database) {
        let mut expected: Vec<Vec<(u32, Rec)>> = vec![Vec::new(); PARTITIONS];
        for run in &self.runs {
            let Some(upto) = broker.last_of(run.process) else { continue };
            for record in run.owes(upto, database) {
                if let Some(partition) = expected.get_mut(record.partition()) {
                    partition.push((run.process, record));
                }
            }
        }
        for (number, (expected, partition)) in expected.iter().zip(&broker.partitions).enumerate() {
            let seen: Vec<_> = partition.records().collect();
            if seen == *expected {
                continue;
            }
            let same = seen.iter().zip(expected).take_while(|(seen, expected)| seen == expected).count();
            self.violate(format!(
                "partition {number}: record {same} is {:?}, expected {:?} ({} records seen, {} expected)",
                seen.get(same),
                expected.get(same),
                seen.len(),
                expected.len()
            ));
        }
    }

    fn at_least_once(&mut self, end: Place, broker: &Broker, database: &Database) {
        self.covered(end, broker, database);
        let mut wrong = Vec::new();
        for run in &self.runs {
            let owed = run.owes(end, database);
            for (number, partition) in broker.partitions.iter().enumerate().take(PARTITIONS) {
                let expected = owed.iter().filter(|record| record.partition() == number);
                let seen = partition.records().filter(|(by, _)| *by == run.process).map(|(_, record)| record);
                let mut expected = expected.copied();
                for record in seen {
                    let next = expected.next();
                    if next != Some(record) {
                        wrong.push(format!(
                            "partition {number}: process {} wrote {record:?} where {next:?} was next",
                            run.process
                        ));
                        break;
                    }
                }
            }
        }
        self.violations.extend(wrong);
    }
}

impl Broker {
    /// Whether an offset record of a process, or of any, with this offset is, or is decided to become, visible.
    pub(crate) fn holds(&self, process: Option<u32>, offset: &OffsetMap) -> bool {
        let Some(offsets) = self.partitions.get(OFFSETS) else { return false };
        offsets.log.iter().any(|entry| {
            let by = process.is_none() || entry.by == process;
            let same = by && entry.payload == Payload::Offset(Some(offset.clone()));
            same && self.decided(entry)
        })
    }
}
