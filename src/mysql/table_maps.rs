//! Table numbers of the log: which captured table, with which columns, the rows of a number belong to.
//!
//! Every transaction maps its tables anew; what was resolved before is found again by comparing bytes.

use std::{collections::HashMap, sync::Arc};

use mysql_protocol::{column::ColumnType, event::TableMapEvent};
use record::CapturedTable;

/// Table numbers kept; more than this many and all are forgotten, which costs resolving them again.
const NUMBERS_MAX: usize = 100_000;

/// A captured table as rows events of one number describe it.
#[derive(Debug)]
pub(crate) struct MappedTable {
    /// What its records look like.
    pub(crate) table: Arc<CapturedTable>,
    /// The columns of its row images.
    pub(crate) columns: Vec<ColumnType>,
    /// `db.table`, for transaction metadata.
    pub(crate) collection: Arc<str>,
}

/// What rows of a table number are.
#[derive(Debug, Clone)]
pub(crate) enum Mapping {
    /// Of a table that is not captured.
    Ignored,
    /// Of a captured one.
    Captured(Arc<MappedTable>),
}

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    mapping: Mapping,
}

/// The numbers in use.
#[derive(Debug, Default)]
pub(crate) struct TableMaps {
    numbers: HashMap<u64, Entry>,
    /// The last resolution of each table: numbers change when the server reopens a table, tables seldom do.
    names: HashMap<Box<[u8]>, Mapping>,
    key: Vec<u8>,
}

impl TableMaps {
    /// The mapping of a number.
    pub(crate) fn get(&self, number: u64) -> Option<&Mapping> {
        self.numbers.get(&number).map(|entry| &entry.mapping)
    }

    /// Whether the event says what is known already; remembers the number if only that is new.
    pub(crate) fn is_known(&mut self, event: &TableMapEvent<'_>) -> bool {
        write_key(event, &mut self.key);
        if let Some(entry) = self.numbers.get(&event.table_id)
            && *entry.key == *self.key
        {
            return true;
        }
        let Some(mapping) = self.names.get(&*self.key) else { return false };
        let entry = Entry { key: self.key.as_slice().into(), mapping: mapping.clone() };
        self.numbers.insert(event.table_id, entry);
        true
    }

    /// Remembers what an event was resolved to.
    pub(crate) fn insert(&mut self, event: &TableMapEvent<'_>, mapping: Mapping) {
        if self.numbers.len() >= NUMBERS_MAX || self.names.len() >= NUMBERS_MAX {
            self.clear();
        }
        write_key(event, &mut self.key);
        self.names.insert(self.key.as_slice().into(), mapping.clone());
        self.numbers.insert(event.table_id, Entry { key: self.key.as_slice().into(), mapping });
    }

    /// Forgets everything: a table may have another definition now.
    pub(crate) fn clear(&mut self) {
        self.numbers.clear();
        self.names.clear();
    }

    /// Forgets the numbers: another file, other numbers.
    pub(crate) fn clear_numbers(&mut self) {
        self.numbers.clear();
    }
}

/// All that decides the mapping, each part behind its length so that no two events share a key.
fn write_key(event: &TableMapEvent<'_>, key: &mut Vec<u8>) {
    key.clear();
    for part in [event.schema, event.table, event.types, event.metadata, event.nullable, event.optional] {
        key.extend_from_slice(&(part.len() as u64).to_le_bytes());
        key.extend_from_slice(part);
    }
}
