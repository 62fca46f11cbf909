//! Names and counters.

use std::{fmt, sync::Arc};

/// A table's name: `database.table` in MySQL and MariaDB, `schema.table` in PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId {
    namespace: Arc<str>,
    name: Arc<str>,
}

impl TableId {
    /// A table `name` in the database or schema `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The database (MySQL) or schema (PostgreSQL).
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The bare table name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The form of Debezium's schema history: each part in double quotes, `"db"."table"`.
    pub fn double_quoted(&self) -> String {
        format!("\"{}\".\"{}\"", self.namespace.replace('"', "\"\""), self.name.replace('"', "\"\""))
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

/// Number of a batch within one [`Incarnation`]: dense, starting at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u64);

impl Seq {
    /// The number after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One life of a connector task, from its start to its stop or failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u64);

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Inserted (`c`).
    Create,
    /// Updated (`u`).
    Update,
    /// Deleted (`d`).
    Delete,
    /// Read by a snapshot (`r`).
    Read,
}

impl Op {
    /// The envelope's `op` letter.
    pub fn letter(self) -> &'static str {
        match self {
            Op::Create => "c",
            Op::Update => "u",
            Op::Delete => "d",
            Op::Read => "r",
        }
    }
}

/// The `source.snapshot` marker of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum SnapshotMarker {
    /// A streamed event: the field is left unset and the schema's default `false` shows.
    #[default]
    Streamed,
    /// A snapshot row that carries none of the special markers.
    True,
    /// First row of the first table.
    First,
    /// First row of a later table.
    FirstInCollection,
    /// Last row of a table that is not the last.
    LastInCollection,
    /// The very last row of the snapshot.
    Last,
    /// A row of an incremental snapshot.
    Incremental,
}

impl SnapshotMarker {
    /// The marker's text, or `None` where the record leaves the field unset.
    pub fn text(self) -> Option<&'static str> {
        Some(match self {
            SnapshotMarker::Streamed => return None,
            SnapshotMarker::True => "true",
            SnapshotMarker::First => "first",
            SnapshotMarker::FirstInCollection => "first_in_data_collection",
            SnapshotMarker::LastInCollection => "last_in_data_collection",
            SnapshotMarker::Last => "last",
            SnapshotMarker::Incremental => "incremental",
        })
    }
}
