//! The model database: a log of committed transactions, which is the truth, and a source that reads it through the
//! engine's own sender.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use engine::{
    batch::ChangeBatch,
    error::TaskError,
    sender::BatchSender,
    source::{Source, StartPlan},
};
use model::{Image, OffsetError, OffsetMap, Op, Position, RowHead, SnapshotMarker};

use crate::rng::Rng;

/// Tables of the model.
pub(crate) const TABLES: u8 = 3;
/// Data partitions: two for each table.
pub(crate) const PARTITIONS: usize = TABLES as usize * 2;
const KEYS: u64 = 7;

/// Table and key of a row.
pub(crate) type Key = (u8, u16);

/// An entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Begin,
    End,
    /// A table that is not captured: only the position moves.
    Foreign,
    /// The table has this schema from here on.
    Ddl {
        table: u8,
        version: u32,
    },
    Insert(Key),
    Update(Key),
    Delete(Key),
    /// The row gets another key.
    Move(Key, u16),
}

/// What a record says, without the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Body {
    /// The snapshot saw the row.
    Read,
    /// The change at this place of the log; a delete and a move make more than one record.
    Change { index: u64, part: u8 },
}

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rec {
    pub(crate) key: Key,
    pub(crate) body: Body,
    /// The schema it was written with.
    pub(crate) version: u32,
}

impl Rec {
    /// The partition it belongs into.
    pub(crate) fn partition(&self) -> usize {
        usize::from(self.key.0) * 2 + usize::from(self.key.1 % 2)
    }
}

/// A resumable place: entries of the log that are done, and how many rows of a snapshot taken there.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Place {
    pub(crate) pos: u64,
    pub(crate) snapshot: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.snapshot {
            Some(rows) => write!(f, "snapshot at {} ({rows} rows)", self.pos),
            None => write!(f, "{}", self.pos),
        }
    }
}

impl Position for Place {
    fn to_offset(&self) -> OffsetMap {
        [("pos".to_owned(), self.pos.into()), ("snapshot".to_owned(), self.snapshot.into())].into_iter().collect()
    }

    fn from_offset(map: &OffsetMap) -> Result<Self, OffsetError> {
        let pos = map.get("pos").and_then(serde_json::Value::as_u64).ok_or(OffsetError("no pos".into()))?;
        Ok(Self { pos, snapshot: map.get("snapshot").and_then(serde_json::Value::as_u64) })
    }
}

/// Everything that was committed, and what readers of it leave behind.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) log: Vec<Entry>,
    initial: Vec<Key>,
    state: BTreeMap<Key, ()>,
    versions: [u32; TABLES as usize],
    /// The schema history, which the source writes: place, table, version.
    history: Vec<(u64, u8, u32)>,
    /// What each process has read up to.
    pub(crate) cursors: BTreeMap<u32, u64>,
    /// Processes whose connection is cut.
    pub(crate) cut: Vec<u32>,
}

impl Database {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut initial: Vec<Key> = Vec::new();
        for table in 0..TABLES {
            initial.extend((0..KEYS as u16).filter(|_| rng.chance(400)).map(|key| (table, key)));
        }
        Self {
            log: Vec::new(),
            state: initial.iter().map(|key| (*key, ())).collect(),
            initial,
            versions: [1; TABLES as usize],
            history: Vec::new(),
            cursors: BTreeMap::new(),
            cut: Vec::new(),
        }
    }

    /// Commits a transaction of chance.
    pub(crate) fn transact(&mut self, rng: &mut Rng) {
        self.log.push(Entry::Begin);
        let rows = if rng.chance(100) { rng.range(20, 120) } else { rng.range(0, 8) };
        for _ in 0..rows {
            let table = rng.below(u64::from(TABLES)) as u8;
            let key = rng.below(KEYS) as u16;
            let entry = match (self.state.contains_key(&(table, key)), rng.below(20)) {
                (_, 0) => Entry::Foreign,
                (_, 1) => {
                    let version = self.versions.iter().max().map_or(1, |newest| newest + 1);
                    if let Some(current) = self.versions.get_mut(usize::from(table)) {
                        *current = version;
                    }
                    Entry::Ddl { table, version }
                }
                (false, _) => {
                    self.state.insert((table, key), ());
                    Entry::Insert((table, key))
                }
                (true, 2..=4) => {
                    self.state.remove(&(table, key));
                    Entry::Delete((table, key))
                }
                (true, 5..=7) => match (0..KEYS as u16).find(|to| !self.state.contains_key(&(table, *to))) {
                    Some(to) => {
                        self.state.remove(&(table, key));
                        self.state.insert((table, to), ());
                        Entry::Move((table, key), to)
                    }
                    None => Entry::Update((table, key)),
                },
                (true, _) => Entry::Update((table, key)),
            };
            self.log.push(entry);
        }
        self.log.push(Entry::End);
    }

    /// Commits a transaction of one row.
    #[cfg(test)]
    pub(crate) fn change(&mut self) {
        let known = self.state.insert((0, 0), ()).is_some();
        let row = if known { Entry::Update((0, 0)) } else { Entry::Insert((0, 0)) };
        self.log.extend([Entry::Begin, row, Entry::End]);
    }

    /// Where the log ends.
    pub(crate) fn end(&self) -> u64 {
        self.log.len() as u64
    }

    fn entry(&self, index: u64) -> Option<Entry> {
        self.log.get(usize::try_from(index).ok()?).copied()
    }

    /// The truth's schema of a table at a place.
    fn version_at(&self, table: u8, pos: u64) -> u32 {
        let before = self.log.iter().take(pos as usize).rev();
        let ddl = before.filter_map(|entry| match entry {
            Entry::Ddl { table: changed, version } if *changed == table => Some(*version),
            _ => None,
        });
        ddl.into_iter().next().unwrap_or(1)
    }

    /// The records that the rows at a place must become.
    pub(crate) fn snapshot(&self, pos: u64) -> Vec<Rec> {
        let mut rows: BTreeMap<Key, ()> = self.initial.iter().map(|key| (*key, ())).collect();
        for entry in self.log.iter().take(pos as usize) {
            match *entry {
                Entry::Insert(key) => drop(rows.insert(key, ())),
                Entry::Delete(key) => drop(rows.remove(&key)),
                Entry::Move(from, to) => {
                    rows.remove(&from);
                    rows.insert((from.0, to), ());
                }
                _ => {}
            }
        }
        let versions: Vec<u32> = (0..TABLES).map(|table| self.version_at(table, pos)).collect();
        let version = |key: &Key| versions.get(usize::from(key.0)).copied().unwrap_or(0);
        rows.keys().map(|key| Rec { key: *key, body: Body::Read, version: version(key) }).collect()
    }

    /// The records that the entries between two places must become.
    pub(crate) fn changes(&self, from: u64, to: u64) -> Vec<Rec> {
        let mut versions: Vec<u32> = (0..TABLES).map(|table| self.version_at(table, from)).collect();
        let mut records = Vec::new();
        for index in from..to {
            match self.entry(index) {
                Some(Entry::Ddl { table, version }) => {
                    if let Some(current) = versions.get_mut(usize::from(table)) {
                        *current = version;
                    }
                }
                Some(entry) => {
                    let table = usize::from(entry.key().map_or(0, |key| key.0));
                    records.extend(entry.records(index, versions.get(table).copied().unwrap_or(0)));
                }
                None => {}
            }
        }
        records
    }
}

impl Entry {
    fn key(self) -> Option<Key> {
        match self {
            Self::Insert(key) | Self::Update(key) | Self::Delete(key) | Self::Move(key, _) => Some(key),
            _ => None,
        }
    }

    /// The records of a row's entry: a delete is followed by a tombstone, a change of key is a delete and a create.
    fn records(self, index: u64, version: u32) -> Vec<Rec> {
        let rec = |key, part| Rec { key, body: Body::Change { index, part }, version };
        match self {
            Self::Insert(key) | Self::Update(key) => vec![rec(key, 0)],
            Self::Delete(key) => vec![rec(key, 0), rec(key, 1)],
            Self::Move(from, to) => vec![rec(from, 0), rec(from, 1), rec((from.0, to), 2)],
            _ => Vec::new(),
        }
    }
}

/// The database as its readers share it.
pub(crate) type Shared = Arc<Mutex<Database>>;

pub(crate) fn lock(database: &Shared) -> MutexGuard<'_, Database> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reader of the log.
pub(crate) struct Reader {
    pub(crate) database: Shared,
    pub(crate) process: u32,
    pub(crate) rng: Rng,
    /// Rows of a batch at most.
    pub(crate) rows: u64,
    versions: [u32; TABLES as usize],
}

impl Reader {
    pub(crate) fn new(database: Shared, process: u32, mut rng: Rng) -> Self {
        let rows = rng.pick(&[1, 3, 10, 1000]).unwrap_or(10);
        Self { database, process, rng, rows, versions: [1; TABLES as usize] }
    }

    fn learn(&mut self, upto: u64) {
        for (at, table, version) in &lock(&self.database).history {
            if let (true, Some(known)) = (*at < upto, self.versions.get_mut(usize::from(*table))) {
                *known = *version;
            }
        }
    }

    fn version(&self, table: u8) -> u32 {
        self.versions.get(usize::from(table)).copied().unwrap_or(0)
    }

    /// Adds a row; `at` is where the batch ends if it has to be sent before.
    async fn row(
        &mut self,
        out: &mut BatchSender<Place>,
        op: Op,
        (number, table): (u64, u8),
        at: Place,
    ) -> Result<(), TaskError> {
        let wire = self.rng.range(20, 1500) as usize;
        if out.is_full() || out.rows().rows().len() as u64 >= self.rows {
            self.send(out, at).await?;
        }
        while !out.make_room(wire, || at.to_string()).await? {
            self.send(out, at).await?;
        }
        let mut bytes = Vec::from(number.to_le_bytes());
        bytes.extend(self.version(table).to_le_bytes());
        bytes.extend((wire as u32).to_le_bytes());
        let rows = out.rows();
        let event = rows.push_event(0, 0, &[]);
        let image = Image { first: rows.next_cell(), count: 1 };
        if rows.push_bytes(&bytes).is_none() {
            return Err(TaskError::definite("the arena is full"));
        }
        rows.push_row(RowHead {
            table: 0,
            op,
            snapshot: SnapshotMarker::Streamed,
            before: None,
            after: Some(image),
            event,
            ordinal: 0,
            tx: None,
        });
        out.count_row(wire);
        Ok(())
    }

    async fn send(&mut self, out: &mut BatchSender<Place>, at: Place) -> Result<(), TaskError> {
        out.dispatch(at).await?;
        // The cursor counts what has left the reader; the world lets it go on when it likes.
        if at.snapshot.is_none() {
            lock(&self.database).cursors.insert(self.process, at.pos);
        }
        breathe().await;
        Ok(())
    }
}

impl Source for Reader {
    type Position = Place;

    async fn prepare(&mut self, stored: Option<Place>) -> Result<StartPlan<Place>, TaskError> {
        Ok(match stored {
            Some(place) if place.snapshot.is_none() => StartPlan::Stream(place),
            _ => StartPlan::Snapshot { stream: true },
        })
    }

    async fn snapshot(&mut self, out: &mut BatchSender<Place>) -> Result<Place, TaskError> {
        let (pos, rows) = {
            let mut database = lock(&self.database);
            let pos = database.end();
            for table in 0..TABLES {
                let version = database.version_at(table, pos);
                if let Some(known) = self.versions.get_mut(usize::from(table)) {
                    *known = version;
                }
                database.history.push((pos, table, version));
            }
            (pos, database.snapshot(pos))
        };
        for (done, row) in rows.iter().enumerate() {
            out.ready().await?;
            let number = u64::from(row.key.0) << 16 | u64::from(row.key.1);
            let at = Place { pos, snapshot: Some(done as u64) };
            self.row(out, Op::Read, (number, row.key.0), at).await?;
        }
        let end = Place { pos, snapshot: None };
        self.send(out, end).await?;
        Ok(end)
    }

    async fn stream(&mut self, from: Place, out: &mut BatchSender<Place>) -> Result<(), TaskError> {
        self.versions = [1; TABLES as usize];
        // What a snapshot at this very place wrote counts as well.
        self.learn(from.pos + 1);
        let (mut next, mut sent) = (from.pos, from.pos);
        lock(&self.database).cursors.insert(self.process, next);
        loop {
            out.ready().await?;
            let entry = {
                let database = lock(&self.database);
                if database.cut.contains(&self.process) {
                    return Err(TaskError::transient("the server closed the connection"));
                }
                database.entry(next)
            };
            let at = Place { pos: next, snapshot: None };
            match entry {
                Some(Entry::Ddl { table, version }) => {
                    if let Some(known) = self.versions.get_mut(usize::from(table)) {
                        *known = version;
                    }
                    let mut database = lock(&self.database);
                    // Before any row that uses it can leave.
                    if !database.history.contains(&(next, table, version)) {
                        database.history.push((next, table, version));
                        database.history.sort_by_key(|(at, ..)| *at);
                    }
                }
                Some(entry) => {
                    if let Some((table, _)) = entry.key() {
                        self.row(out, Op::Update, (next, table), at).await?;
                    }
                }
                None => {
                    if next > sent || !out.is_empty() {
                        self.send(out, at).await?;
                        sent = next;
                    }
                    breathe().await;
                    continue;
                }
            }
            next += 1;
            if entry == Some(Entry::End) && self.rng.chance(300) {
                self.send(out, Place { pos: next, snapshot: None }).await?;
                sent = next;
            }
        }
    }
}

/// Gives the word back to the world once.
async fn breathe() {
    let mut asked = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// What an encoder makes of a batch: its records, and the bytes that its rows have on the wire.
pub(crate) fn encode(batch: &ChangeBatch, database: &Shared) -> (Vec<Rec>, u64) {
    let (mut records, mut wire) = (Vec::new(), 0);
    for row in batch.rows.rows() {
        let cell = row.after.and_then(|image| batch.rows.image(image).first().copied());
        let Some(bytes) = cell.map(|cell| batch.rows.bytes(cell)) else { continue };
        let number = |from: usize, len: usize| {
            let field = bytes.get(from..from + len).unwrap_or_default();
            field.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte))
        };
        let (id, version) = (number(0, 8), number(8, 4) as u32);
        wire += number(12, 4);
        if row.op == Op::Read {
            records.push(Rec { key: ((id >> 16) as u8, id as u16), body: Body::Read, version });
        } else if let Some(entry) = lock(database).entry(id) {
            records.extend(entry.records(id, version));
        }
    }
    (records, wire)
}
