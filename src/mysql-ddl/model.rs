//! A table as the statements describe it: the names and types that row images lack.
//!
//! The words follow Debezium's relational model, because the history topic stores exactly these facts: what is not
//! in here does not survive a restart, so nothing else may decide how a value is written.

use crate::column_type::ColumnType;
use std::fmt;

/// The name of a table. Displayed as `db.table`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
}

impl TableId {
    /// The table `table` of the database `database`.
    pub fn new(database: impl Into<String>, table: impl Into<String>) -> Self {
        Self { database: database.into(), table: table.into() }
    }

    /// The form used in history and schema change records: `"db"."table"`, double quotes inside a name doubled.
    pub fn quoted(&self) -> String {
        format!("\"{}\".\"{}\"", self.database.replace('"', "\"\""), self.table.replace('"', "\"\""))
    }

    /// Reads the form that [`TableId::quoted`] writes; `None` if the text is not of that form.
    pub fn from_quoted(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let mut name = String::new();
            rest = rest.strip_prefix('"')?;
            loop {
                let end = rest.find('"')?;
                name.push_str(rest.get(..end)?);
                rest = rest.get(end + 1..)?;
                match rest.strip_prefix('"') {
                    Some(after) => {
                        name.push('"');
                        rest = after;
                    }
                    None => break,
                }
            }
            parts.push(name);
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return None,
            }
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(database), Some(table), None) => Some(Self { database, table }),
            _ => None,
        }
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// The default of a column, as text.
///
/// Three states and no more: this is what the history topic can tell apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DefaultText {
    /// No default: the column is NOT NULL and has no DEFAULT clause.
    #[default]
    Absent,
    /// The default is NULL: said so, implied by a nullable column without DEFAULT, or computed by an expression
    /// (`(uuid())`), whose value nobody but the server knows.
    Null,
    /// The text of the DEFAULT clause: quotes, introducer and `COLLATE` removed, escapes as written (`it''s`),
    /// `b'101'` as `101`, the functions of the current time as `1970-01-01 00:00:00`.
    Text(String),
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name as declared. Names are equal regardless of case.
    pub name: String,
    /// The `java.sql.Types` code Debezium gives the type, for example 4 for INT and 2014 for TIMESTAMP.
    pub jdbc_type: i32,
    /// The words of the type as written, in upper case, without dimensions: `INT UNSIGNED ZEROFILL`.
    pub type_name: String,
    /// Length, precision, display width or digits of the fraction (TIME, DATETIME, TIMESTAMP), as written or implied.
    pub length: Option<i32>,
    /// Scale, as written or implied.
    pub scale: Option<i32>,
    /// The MySQL name of the character set; `None` for types without one.
    pub charset: Option<String>,
    /// Whether the column takes NULL.
    pub optional: bool,
    /// AUTO_INCREMENT; also set for `ON UPDATE CURRENT_TIMESTAMP`, as Debezium does.
    pub auto_incremented: bool,
    /// Set together with `auto_incremented`. Says nothing about `GENERATED ALWAYS AS` columns.
    pub generated: bool,
    /// The COMMENT text between its quotes, escapes as written.
    pub comment: Option<String>,
    /// The default.
    pub default: DefaultText,
    /// The options of ENUM and SET with their quotes, as written: `'b,c'`, `'d''e'`. Empty for other types.
    pub enum_options: Vec<String>,
}

impl Column {
    /// What the type is, whatever synonym named it. `None` for a type this crate does not know, which can only come
    /// from a history topic written by something else.
    pub fn column_type(&self) -> Option<ColumnType> {
        ColumnType::of(&self.type_name)
    }

    /// Whether the type is unsigned. ZEROFILL implies it.
    pub fn is_unsigned(&self) -> bool {
        self.type_name.split(' ').skip(1).any(|word| word == "UNSIGNED" || word == "ZEROFILL")
    }

    /// Digits of the fraction of a TIME, DATETIME or TIMESTAMP: 0 to 6.
    pub fn fraction_digits(&self) -> u8 {
        self.length.and_then(|n| u8::try_from(n).ok()).unwrap_or(0).min(6)
    }

    /// The options of ENUM and SET as values: quotes removed, `''` and escapes resolved.
    ///
    /// `no_backslash_escapes` is the `sql_mode` flag the statement was written under.
    pub fn option_values(&self, no_backslash_escapes: bool) -> Vec<String> {
        self.enum_options.iter().map(|option| unescape(option, no_backslash_escapes)).collect()
    }

    /// The JDBC type codes of text: the columns that have a character set.
    pub(crate) fn uses_charset(&self) -> bool {
        !matches!(self.column_type(), None | Some(ColumnType::Json)) && is_text(self.jdbc_type)
    }
}

/// Whether a JDBC type code is one of CHAR, VARCHAR, NCHAR, NVARCHAR (ENUM, SET and TEXT share them).
pub(crate) fn is_text(jdbc_type: i32) -> bool {
    matches!(jdbc_type, 1 | 12 | -15 | -9)
}

/// The value of a string literal, quotes included in `literal`.
fn unescape(literal: &str, no_backslash_escapes: bool) -> String {
    let quote = literal.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let inner = crate::token::unquoted(literal);
    let mut value = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        if Some(c) == quote && chars.peek() == Some(&c) {
            chars.next();
            value.push(c);
        } else if c == '\\' && !no_backslash_escapes {
            // https://dev.mysql.com/doc/refman/8.0/en/string-literals.html, "Special Character Escape Sequences".
            match chars.next() {
                Some('0') => value.push('\0'),
                Some('b') => value.push('\u{8}'),
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some('Z') => value.push('\u{1a}'),
                Some(other) => value.push(other),
                None => value.push('\\'),
            }
        } else {
            value.push(c);
        }
    }
    value
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub id: TableId,
    /// The character set of columns that name none.
    pub default_charset: Option<String>,
    /// The columns in order; position 1 first. A row image has exactly these cells.
    pub columns: Vec<Column>,
    /// The names of the key columns in key order; a promoted unique index if there is no primary key; may be empty.
    pub primary_key: Vec<String>,
    /// The COMMENT text between its quotes, escapes as written.
    pub comment: Option<String>,
}

impl Table {
    /// A table without columns.
    pub fn new(id: TableId) -> Self {
        Self { id, default_charset: None, columns: Vec::new(), primary_key: Vec::new(), comment: None }
    }

    /// The index of the column of this name, case ignored.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| same_name(&column.name, name))
    }

    /// The column of this name, case ignored.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| same_name(&column.name, name))
    }
}

/// Whether two column names are the same to the server: compared without regard to case.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
        || (!(a.is_ascii() && b.is_ascii())
            && a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase)))
}
