//! Statements: a tolerant descent over the tokens of a text.
//!
//! Everything that decides a column (names, order, types, keys, character sets) is parsed strictly; everything that
//! cannot (engine options, partitions, indexes, foreign keys, privileges) is recognised and passed over. Between the
//! two there is no third case: a clause the parser does not know makes its statement [`Certainty::Unsure`].

mod alter;
mod column;
mod create;
mod cursor;
mod data_type;
mod default;
mod other;

use crate::model::DefaultText;
use crate::token::{Kind, Lexing, Token, tokenize};
use cursor::{Cursor, single_quoted};
use std::fmt;
use std::ops::Range;

/// A table name as written: the database only where the statement names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The database, if the name is qualified.
    pub database: Option<String>,
    /// The table.
    pub table: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.database {
            Some(database) => write!(f, "{database}.{}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

/// Whether a statement was understood in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Every clause that can touch a column was understood.
    Sure,
    /// A clause that may touch columns was not understood.
    Unsure {
        /// What and where, for a person: `unknown clause 'FROBNICATE' at byte 31`.
        reason: String,
        /// The tables whose columns are in doubt.
        tables: Vec<TableName>,
    },
}

/// One statement of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Its bytes in the text: from its first token to its last, without the semicolon.
    pub range: Range<usize>,
    /// What it does.
    pub statement: Statement,
    /// Whether that is all it does.
    pub certainty: Certainty,
}

/// Text that is no statement this crate knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct ParseError {
    /// Where understanding ended.
    pub offset: usize,
    /// Why.
    pub reason: String,
    /// The tables the statement names, as far as they could be made out.
    pub tables: Vec<TableName>,
}

/// What a statement does to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `CREATE TABLE t (...)`.
    CreateTable(CreateTable),
    /// `CREATE TABLE t LIKE s`.
    CreateTableLike {
        /// The new table.
        name: TableName,
        /// The table whose definition is copied.
        source: TableName,
        /// `IF NOT EXISTS` was said.
        if_not_exists: bool,
    },
    /// `ALTER TABLE t ...`.
    AlterTable {
        /// The table.
        name: TableName,
        /// The clauses that touch the model, in order. Others are left out.
        clauses: Vec<AlterClause>,
    },
    /// `RENAME TABLE a TO b, ...`, in order.
    RenameTables(Vec<Rename>),
    /// `DROP TABLE a, b`.
    DropTables {
        /// The tables.
        names: Vec<TableName>,
        /// `IF EXISTS` was said.
        if_exists: bool,
        /// The words behind the names: `CASCADE`, `RESTRICT`.
        suffix: Option<String>,
    },
    /// `TRUNCATE [TABLE] t`: rows only.
    Truncate(TableName),
    /// `CREATE DATABASE` or `ALTER DATABASE`.
    Database {
        /// The database; `None` is the current one (`ALTER DATABASE CHARACTER SET x`).
        name: Option<String>,
        /// The default character set it names.
        charset: Option<CharsetName>,
        /// `CREATE`, not `ALTER`.
        create: bool,
        /// `IF NOT EXISTS` was said.
        if_not_exists: bool,
    },
    /// `DROP DATABASE d`.
    DropDatabase(String),
    /// `USE d`.
    Use(String),
    /// `CREATE [UNIQUE] INDEX ... ON t (...)`.
    CreateIndex {
        /// The table.
        table: TableName,
        /// The key, if the index is unique.
        unique: Option<KeyColumns>,
    },
    /// `DROP INDEX i ON t`.
    DropIndex {
        /// The table.
        table: TableName,
    },
    /// `SET name = value, ...`: the assignments in order.
    Set(Vec<Assignment>),
    /// A statement that cannot touch the model; the text names its kind, for example `CREATE VIEW`.
    Ignored(&'static str),
}

/// One pair of `RENAME TABLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The table.
    pub from: TableName,
    /// Its new name.
    pub to: TableName,
    /// The text of the pair, `a TO b`, as bytes of the source.
    pub range: Range<usize>,
}

/// `CREATE TABLE t (...)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTable {
    /// The table.
    pub name: TableName,
    /// `IF NOT EXISTS` was said.
    pub if_not_exists: bool,
    /// The columns in order.
    pub columns: Vec<ColumnDefinition>,
    /// PRIMARY KEY and UNIQUE of the table (not of a column), in order.
    pub keys: Vec<Key>,
    /// The table's default character set.
    pub charset: Option<CharsetName>,
    /// The COMMENT text between its quotes, as written.
    pub comment: Option<String>,
}

/// A table level key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// PRIMARY KEY, not UNIQUE.
    pub primary: bool,
    /// Its columns.
    pub columns: KeyColumns,
}

/// The columns of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyColumns {
    /// Plain columns (prefix lengths and order are left out).
    Plain(Vec<String>),
    /// At least one part is an expression, so the key cannot name a row by its columns.
    Expression,
}

/// A character set, said directly or through a collation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CharsetName {
    /// Its MySQL name.
    Named(String),
    /// `DEFAULT`: that of the level above.
    Default,
}

/// Where a column goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it is, or at the end if new.
    Unsaid,
    /// `FIRST`.
    First,
    /// `AFTER column`.
    After(String),
}

/// A clause of ALTER TABLE that touches the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterClause {
    /// `ADD [COLUMN]`.
    AddColumn {
        /// The column.
        column: ColumnDefinition,
        /// Where.
        place: Place,
        /// `IF NOT EXISTS` (MariaDB).
        if_not_exists: bool,
    },
    /// `MODIFY [COLUMN]`.
    ModifyColumn {
        /// The new definition.
        column: ColumnDefinition,
        /// Where.
        place: Place,
        /// `IF EXISTS` (MariaDB).
        if_exists: bool,
    },
    /// `CHANGE [COLUMN]`.
    ChangeColumn {
        /// The present name.
        old: String,
        /// The new definition with the new name.
        column: ColumnDefinition,
        /// Where.
        place: Place,
        /// `IF EXISTS` (MariaDB).
        if_exists: bool,
    },
    /// `RENAME COLUMN a TO b`.
    RenameColumn {
        /// The present name.
        old: String,
        /// The new name.
        new: String,
        /// `IF EXISTS` (MariaDB).
        if_exists: bool,
    },
    /// `DROP [COLUMN]`.
    DropColumn {
        /// The name.
        name: String,
        /// `IF EXISTS` (MariaDB).
        if_exists: bool,
    },
    /// `ALTER [COLUMN] c SET DEFAULT ...` or `DROP DEFAULT` (`None`).
    SetDefault {
        /// The column.
        name: String,
        /// The new default.
        default: Option<DefaultText>,
    },
    /// `ADD PRIMARY KEY`, `ADD UNIQUE`.
    AddKey(Key),
    /// `DROP PRIMARY KEY`.
    DropPrimaryKey,
    /// `RENAME [TO|AS] t`.
    RenameTo(TableName),
    /// `CONVERT TO CHARACTER SET x`.
    Convert(CharsetName),
    /// `[DEFAULT] CHARACTER SET x`, `[DEFAULT] COLLATE x`.
    DefaultCharset(CharsetName),
    /// `COMMENT 'x'`: the text between the quotes, as written.
    Comment(String),
}

/// A column as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// `NULL` (true) or `NOT NULL` (false), if said.
    pub optional: Option<bool>,
    /// The DEFAULT clause, if there is one.
    pub default: Option<DefaultText>,
    /// `AUTO_INCREMENT`, or `SERIAL`.
    pub auto_increment: bool,
    /// `ON UPDATE CURRENT_TIMESTAMP`.
    pub on_update: bool,
    /// `PRIMARY KEY` or `KEY`.
    pub primary_key: bool,
    /// `UNIQUE`.
    pub unique: bool,
    /// The COMMENT text between its quotes, as written.
    pub comment: Option<String>,
}

/// A type as declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataType {
    /// Its words in upper case, without dimensions.
    pub name: String,
    /// The `java.sql.Types` code.
    pub jdbc_type: i32,
    /// Length, written or implied.
    pub length: Option<i32>,
    /// Scale, written or implied.
    pub scale: Option<i32>,
    /// The character set, if said.
    pub charset: Option<CharsetName>,
    /// ENUM and SET options with their quotes.
    pub options: Vec<String>,
}

/// One assignment of SET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The variable in lower case without `@@` and scope; `names` for SET NAMES, `character set` for that form.
    pub name: String,
    /// Whether GLOBAL, PERSIST or `@@global.` was said.
    pub global: bool,
    /// The value: quotes removed from a single literal, else the text as written.
    pub value: String,
}

/// The text of one statement as the records of a schema change have it: strings in single quotes, as Debezium writes
/// them.
pub(crate) fn recorded_text(source: &str, range: Range<usize>, mode: Lexing) -> String {
    let text = source.get(range).unwrap_or("");
    if mode.ansi_quotes || !text.contains('"') {
        return text.to_owned();
    }
    let mut written = String::with_capacity(text.len());
    let mut end = 0;
    for token in tokenize(text, mode).unwrap_or_default() {
        if token.kind == Kind::Str {
            written.push_str(text.get(end..token.start).unwrap_or(""));
            written.push_str(&single_quoted(token.text(text)));
            end = token.end;
        }
    }
    written.push_str(text.get(end..).unwrap_or(""));
    written
}

/// Parses a text of one or more statements.
///
/// # Errors
/// The text does not tokenize, or a statement is not one this crate knows. The error says where, and names the tables
/// the statement seems to touch.
pub fn parse(source: &str, mode: Lexing) -> Result<Vec<Parsed>, ParseError> {
    let tokens = tokenize(source, mode).map_err(|error| ParseError {
        offset: error.offset,
        reason: format!("{} does not end", error.what),
        tables: other::guess_tables(&Cursor::new(source, &error.before)),
    })?;
    let mut statements = Vec::new();
    let mut rest: &[Token] = &tokens;
    loop {
        while let Some((first, after)) = rest.split_first()
            && cursor::is_symbol(first, ';')
        {
            rest = after;
        }
        if rest.is_empty() {
            return Ok(statements);
        }
        let (statement, after) = rest.split_at(other::statement_length(source, rest));
        statements.push(parse_one(source, statement)?);
        rest = after;
    }
}

fn parse_one(source: &str, tokens: &[Token]) -> Result<Parsed, ParseError> {
    let mut cursor = Cursor::new(source, tokens);
    let range = cursor.start()..tokens.last().map_or(0, |token| token.end);
    match other::statement(&mut cursor) {
        Ok(statement) => {
            let certainty = match cursor.doubt() {
                None => Certainty::Sure,
                Some(reason) => Certainty::Unsure { reason, tables: other::tables_of(&statement) },
            };
            Ok(Parsed { range, statement, certainty })
        }
        Err(Unexpected) => Err(ParseError {
            offset: cursor.offset(),
            reason: cursor.unexpected(),
            tables: other::guess_tables(&Cursor::new(source, tokens)),
        }),
    }
}

/// The token under the cursor does not fit. The cursor says where that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unexpected;

pub(crate) use create::MOST_COLUMNS;
