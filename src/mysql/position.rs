//! A place in a MySQL server's binary log from which it can be read again, and its form as a Debezium offset.

use std::{cmp::Ordering, fmt, sync::Arc};

use indexmap::IndexMap;
use model::{OffsetError, OffsetMap, Position};
use mysql_protocol::gtid::{BinlogFile, GtidSet};
use serde_json::Value;

/// The transaction metadata that survives a restart inside a transaction (`provide.transaction.metadata`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TransactionContext {
    id: String,
    collections: IndexMap<String, i64>,
    total: i64,
}

impl TransactionContext {
    /// A transaction without captured events so far.
    pub(crate) fn new(id: String) -> Self {
        Self { id, ..Self::default() }
    }

    /// The transaction's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Captured events so far, per `db.table`, in the order the tables came up.
    pub(crate) fn collections(&self) -> impl Iterator<Item = (&str, i64)> {
        self.collections.iter().map(|(name, events)| (name.as_str(), *events))
    }

    /// Captured events so far, over all tables.
    pub(crate) fn total(&self) -> i64 {
        self.total
    }

    /// Counts events of a table; gives the first one's number over all tables and in its own.
    pub(crate) fn count(&mut self, collection: &str, events: i64) -> (i64, i64) {
        let order = match self.collections.get_mut(collection) {
            Some(order) => order,
            None => self.collections.entry(collection.to_owned()).or_insert(0),
        };
        let numbers = (self.total + 1, *order + 1);
        *order += events;
        self.total += events;
        numbers
    }
}

/// Which snapshot a position belongs to, while it is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotKind {
    /// The initial one.
    Initial,
}

/// A resumable place: the start of a transaction and how much of it is done, or a place between transactions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MySqlPosition {
    /// Log file.
    pub(crate) file: BinlogFile,
    /// BEGIN of the open transaction, or the end of the last event outside one.
    pub(crate) pos: u64,
    /// GTIDs completed before the open transaction; `None` without GTIDs.
    pub(crate) gtids: Option<Arc<GtidSet>>,
    /// Events of the open transaction that are done, BEGIN included.
    pub(crate) event: u64,
    /// Rows of the next event that are done.
    pub(crate) row: u64,
    /// `server_id` of the last event's writer.
    pub(crate) server_id: Option<u32>,
    /// Source time in seconds; informational.
    pub(crate) ts_sec: Option<i64>,
    /// Set while a snapshot is not finished: such a position is not resumable.
    pub(crate) snapshot: Option<SnapshotKind>,
    /// Transaction metadata of the open transaction.
    pub(crate) transaction: Option<Arc<TransactionContext>>,
}

impl MySqlPosition {
    /// A place between transactions.
    pub(crate) fn new(file: BinlogFile, pos: u64, gtids: Option<Arc<GtidSet>>) -> Self {
        Self { file, pos, gtids, event: 0, row: 0, server_id: None, ts_sec: None, snapshot: None, transaction: None }
    }

    /// Whether a schema history record made at `self` belongs to the schema at `stored`: it is at or before it.
    ///
    /// By GTID set where both have one, by file and position where neither has (`runtime` behaviour of Debezium's
    /// history comparator).
    pub(crate) fn is_at_or_before(&self, stored: &MySqlPosition) -> bool {
        match (&self.gtids, &stored.gtids) {
            (Some(mine), Some(theirs)) if mine == theirs => {
                if self.snapshot.is_none() && stored.snapshot.is_some() {
                    return false;
                }
                (self.event, self.row) <= (stored.event, stored.row)
            }
            (Some(mine), Some(theirs)) => mine.is_subset(theirs),
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (None, None) => {
                if let (Some(mine), Some(theirs)) = (self.server_id, stored.server_id)
                    && mine != theirs
                {
                    return self.ts_sec <= stored.ts_sec;
                }
                self.place() <= stored.place()
            }
        }
    }

    fn place(&self) -> (u64, u64, u64, u64) {
        (self.file.number(), self.pos, self.event, self.row)
    }
}

impl fmt::Display for MySqlPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.pos)?;
        if self.event > 0 || self.row > 0 {
            write!(f, " event {} row {}", self.event, self.row)?;
        }
        match &self.gtids {
            Some(gtids) => write!(f, " GTIDs {gtids}"),
            None => Ok(()),
        }
    }
}

impl PartialOrd for MySqlPosition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let within = || (self.event, self.row).cmp(&(other.event, other.row));
        match (&self.gtids, &other.gtids) {
            (Some(mine), Some(theirs)) => mine.partial_cmp(theirs).map(|order| order.then_with(within)),
            (None, None) => Some(self.place().cmp(&other.place())),
            _ => None,
        }
    }
}

const TX_ID: &str = "transaction_id";
const TX_COLLECTION: &str = "transaction_data_collection_order_";

impl Position for MySqlPosition {
    fn to_offset(&self) -> OffsetMap {
        let mut map = OffsetMap::new();
        if let Some(transaction) = &self.transaction {
            map.insert(TX_ID.into(), transaction.id.clone().into());
            for (collection, order) in transaction.collections() {
                map.insert(format!("{TX_COLLECTION}{collection}"), order.into());
            }
        }
        if let Some(ts_sec) = self.ts_sec {
            map.insert("ts_sec".into(), ts_sec.into());
        }
        map.insert("file".into(), self.file.as_str().into());
        map.insert("pos".into(), self.pos.into());
        if let Some(gtids) = &self.gtids {
            map.insert("gtids".into(), gtids.to_string().into());
        }
        match self.snapshot {
            Some(SnapshotKind::Initial) => {
                map.insert("snapshot".into(), "INITIAL".into());
            }
            None => {
                if self.row > 0 {
                    map.insert("row".into(), self.row.into());
                }
                if self.event > 0 {
                    map.insert("event".into(), self.event.into());
                }
                if let Some(server_id) = self.server_id {
                    map.insert("server_id".into(), server_id.into());
                }
            }
        }
        map
    }

    fn from_offset(map: &OffsetMap) -> Result<Self, OffsetError> {
        let number = |key: &str| -> Result<Option<u64>, OffsetError> {
            match map.get(key) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::Number(n)) if n.as_u64().is_some() => Ok(n.as_u64()),
                Some(Value::String(text)) if text.parse::<u64>().is_ok() => Ok(text.parse().ok()),
                Some(_) => Err(OffsetError(format!("member {key} is not a number"))),
            }
        };
        let file = match map.get("file") {
            Some(Value::String(file)) => {
                file.parse().map_err(|_| OffsetError(format!("member file ({file:?}) is not a binlog file name")))?
            }
            _ => return Err(OffsetError("member file (the binlog file's name) is missing".into())),
        };
        let pos = number("pos")?.ok_or_else(|| OffsetError("member pos (the place in the file) is missing".into()))?;
        let gtids = match map.get("gtids") {
            Some(Value::String(text)) => {
                Some(Arc::new(text.parse().map_err(|_| OffsetError("member gtids is not a GTID set".into()))?))
            }
            None | Some(Value::Null) => None,
            Some(_) => return Err(OffsetError("member gtids is not a text".into())),
        };
        let snapshot = match map.get("snapshot") {
            None | Some(Value::Null | Value::Bool(false)) => None,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => None,
            Some(_) => Some(SnapshotKind::Initial),
        };
        let transaction = map.get(TX_ID).and_then(Value::as_str).map(|id| {
            let mut context = TransactionContext::new(id.to_owned());
            for (key, value) in map {
                if let (Some(collection), Some(order)) = (key.strip_prefix(TX_COLLECTION), value.as_i64()) {
                    context.count(collection, order);
                }
            }
            Arc::new(context)
        });
        Ok(Self {
            file,
            pos,
            gtids,
            event: number("event")?.unwrap_or(0),
            row: number("row")?.unwrap_or(0),
            server_id: number("server_id")?.and_then(|id| u32::try_from(id).ok()),
            ts_sec: map.get("ts_sec").and_then(Value::as_i64),
            snapshot,
            transaction,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<MySqlPosition, OffsetError> {
        let map: OffsetMap = serde_json::from_str(json).expect("JSON");
        MySqlPosition::from_offset(&map)
    }

    fn at(json: &str) -> MySqlPosition {
        parse(json).expect("an offset")
    }

    const UUID: &str = "11111111-2222-3333-4444-555555555555";

    #[test]
    fn offsets_round_trip_in_debeziums_form() {
        for json in [
            r#"{"ts_sec":1795222905,"file":"binlog.000001","pos":10503,"gtids":"11111111-2222-3333-4444-555555555555:1-32","snapshot":"INITIAL"}"#,
            r#"{"file":"binlog.000001","pos":700,"row":1,"event":2,"server_id":77}"#,
            r#"{"transaction_id":"x:1","transaction_data_collection_order_s.t":3,"file":"b.9","pos":4}"#,
        ] {
            assert_eq!(serde_json::to_string(&at(json).to_offset()).expect("JSON"), json);
        }
        assert_eq!(at(r#"{"file":"b.1","pos":5,"unknown":[1]}"#).pos, 5);
    }

    #[test]
    fn unreadable_offsets_say_what_is_wrong() {
        for (json, word) in [
            (r#"{"pos":5}"#, "file"),
            (r#"{"file":"b.1"}"#, "pos"),
            (r#"{"file":"b.1","pos":"x"}"#, "pos"),
            (r#"{"file":"b.1","pos":1,"gtids":"nonsense"}"#, "gtids"),
            (r#"{"file":"b","pos":1}"#, "file"),
        ] {
            let text = parse(json).expect_err("refused").to_string();
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn events_of_a_transaction_are_numbered_across_restarts() {
        let mut context = TransactionContext::new("x:1".to_owned());
        assert_eq!(context.count("s.a", 1), (1, 1));
        assert_eq!(context.count("s.b", 2), (2, 1));
        assert_eq!(context.count("s.a", 1), (4, 2));
        let mut position = at(r#"{"file":"b.1","pos":4}"#);
        position.transaction = Some(Arc::new(context));
        let restored = MySqlPosition::from_offset(&position.to_offset()).expect("an offset");
        assert_eq!(restored, position);
        let mut context = restored.transaction.map(Arc::unwrap_or_clone).expect("a transaction");
        assert_eq!(context.count("s.b", 1), (5, 3));
        assert_eq!(context.total(), 5);
    }

    #[test]
    fn order_is_by_file_number_or_by_inclusion_of_gtids() {
        assert!(at(r#"{"file":"b.999999","pos":9}"#) < at(r#"{"file":"b.1000000","pos":4}"#));
        assert!(at(r#"{"file":"b.1","pos":9,"event":2}"#) < at(r#"{"file":"b.1","pos":9,"event":2,"row":1}"#));
        let with = |set: &str| at(&format!(r#"{{"file":"b.1","pos":9,"gtids":"{UUID}:{set}"}}"#));
        assert!(with("1-5") < with("1-6"));
        assert_eq!(with("1-5").partial_cmp(&with("2-6")), None);
        assert!(with("1-5").is_at_or_before(&with("1-7")));
        assert!(!with("1-8").is_at_or_before(&with("1-7")));
        assert_eq!(with("1").partial_cmp(&at(r#"{"file":"b.1","pos":9}"#)), None);
    }
}
