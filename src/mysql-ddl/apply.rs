//! What a statement changes, and in which records Debezium tells of it.

use crate::model::{Table, TableId};
use std::ops::Range;
use std::sync::Arc;

/// The session a statement ran in, as the binlog's query event tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The current database; empty or `None` if there was none.
    pub database: Option<&'a str>,
    /// The `sql_mode` flags that matter to the tokenizer.
    pub lexing: crate::token::Lexing,
}

/// What happened to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Create,
    /// It has another definition or another name.
    Alter,
    /// It is gone.
    Drop,
}

/// A change of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableChange {
    /// What happened.
    pub kind: ChangeKind,
    /// The table, by its name after the change.
    pub id: TableId,
    /// Its name before, if RENAME TABLE gave it another.
    pub previous_id: Option<TableId>,
    /// Its definition after the change; `None` if it is gone.
    pub table: Option<Arc<Table>>,
}

/// One schema change as it is recorded: one record of the history topic and of the schema change topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DdlChange {
    /// `databaseName` of the record: the database of the table, else the current one; may be empty.
    pub database: String,
    /// `ddl` of the record: the statement's text, or the rewritten part of it that speaks of this one table.
    pub ddl: String,
    /// The table changes: none or one.
    pub changes: Vec<TableChange>,
    /// All tables of this database that the statement touches, for `source.table` (`t2,t3`).
    pub tables: Vec<TableId>,
}

/// What applying one statement came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The model follows the statement. The records to write, in order.
    Applied(Vec<DdlChange>),
    /// `TRUNCATE TABLE`: the rows are gone, the definition is as it was. No record.
    Truncated(TableId),
    /// `USE`: the current database of the statements behind it.
    Use(String),
    /// The statement cannot touch a table and leaves no record; the text names its kind.
    Ignored(&'static str),
    /// Not understood, so the model stays as it was.
    Unsure {
        /// The bytes of the statement in the text.
        range: Range<usize>,
        /// Why, for a person.
        reason: String,
        /// The tables whose definition is now unknown.
        tables: Vec<TableId>,
    },
}
