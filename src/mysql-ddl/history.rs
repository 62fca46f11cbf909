//! Debezium's schema history document: one record of the history topic.
//!
//! The record of a statement holds the statement and, in `tableChanges`, the definition of each table it changed. A
//! start reads all records up to the stored offset and so has the tables as they were at that position. The members
//! and their order are those Debezium 3.6.1 writes; the Kafka topic holds the pretty form, files hold the one-line
//! form.

use crate::apply::{ChangeKind, Context, Effect, TableChange};
use crate::model::{Column, DefaultText, Table, TableId};
use crate::statement::{self, AlterClause, ParseError, Statement};
use crate::tables::Tables;
use serde_json::{Map, Value, json};
use std::io;
use std::sync::Arc;

/// A record of the schema history.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// `source`: `{"server": <topic prefix>}`.
    pub source: Map<String, Value>,
    /// `position`: the offset at that moment.
    pub position: Map<String, Value>,
    /// `ts_ms`: the connector's clock, in milliseconds since 1970.
    pub ts_ms: i64,
    /// `databaseName`.
    pub database: Option<String>,
    /// `schemaName`; MySQL has none, and the member is then left out.
    pub schema: Option<String>,
    /// `ddl`: the text of the statement.
    pub ddl: Option<String>,
    /// `tableChanges`.
    pub changes: Vec<TableChange>,
}

/// A document that is no schema history record.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It is no JSON object.
    #[error("a schema history record is not a JSON document: {0}")]
    Json(#[from] serde_json::Error),
    /// A member is missing or has another type.
    #[error("a schema history record has no valid member '{0}'")]
    Member(&'static str),
}

impl Record {
    /// The form of the Kafka topic, over several lines.
    pub fn to_pretty(&self) -> String {
        let mut bytes = Vec::with_capacity(1024);
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Pretty::default());
        // A tree of strings and numbers written to memory: neither the tree nor the writer can fail.
        let _ = serde::Serialize::serialize(&self.to_value(), &mut serializer);
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// The form of a file, on one line.
    pub fn to_line(&self) -> String {
        let mut bytes = Vec::with_capacity(1024);
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Compact);
        let _ = serde::Serialize::serialize(&self.to_value(), &mut serializer);
        String::from_utf8(bytes).unwrap_or_default()
    }

    fn to_value(&self) -> Value {
        let mut document = Map::new();
        document.insert("source".to_owned(), Value::Object(self.source.clone()));
        document.insert("position".to_owned(), Value::Object(self.position.clone()));
        document.insert("ts_ms".to_owned(), self.ts_ms.into());
        let texts = [("databaseName", &self.database), ("schemaName", &self.schema), ("ddl", &self.ddl)];
        for (name, text) in texts {
            if let Some(text) = text {
                document.insert(name.to_owned(), text.as_str().into());
            }
        }
        document.insert("tableChanges".to_owned(), self.changes.iter().map(change_to_value).collect());
        Value::Object(document)
    }

    /// Reads a document of either form.
    ///
    /// # Errors
    /// The text is no JSON object, or lacks a member that every record has.
    pub fn parse(text: &str) -> Result<Self, HistoryError> {
        let mut document: Map<String, Value> = serde_json::from_str(text)?;
        let mut object = |name: &'static str| match document.remove(name) {
            Some(Value::Object(object)) => Ok(object),
            _ => Err(HistoryError::Member(name)),
        };
        let (source, position) = (object("source")?, object("position")?);
        let string = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        let changes = match document.get("tableChanges") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(changes)) => changes.iter().map(change_from_value).collect::<Result<_, _>>()?,
            Some(_) => return Err(HistoryError::Member("tableChanges")),
        };
        Ok(Self {
            source,
            position,
            // Records of old versions have no time.
            ts_ms: document.get("ts_ms").and_then(Value::as_i64).unwrap_or(0),
            database: string("databaseName"),
            schema: string("schemaName"),
            ddl: string("ddl"),
            changes,
        })
    }
}

impl Tables {
    /// Brings the model to where a history record says it was: the recorded definitions if there are any, else the
    /// statement. A statement that is not understood comes back as [`Effect::Unsure`].
    ///
    /// # Errors
    /// The record has no table changes and its statement does not parse.
    pub fn apply_record(&mut self, record: &Record) -> Result<Vec<Effect>, ParseError> {
        let context = Context { database: record.database.as_deref(), ..Context::default() };
        if record.changes.is_empty() {
            let Some(ddl) = record.ddl.as_deref() else { return Ok(Vec::new()) };
            // Debezium writes CREATE UNIQUE INDEX without its first word.
            let cut = ddl.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("unique "));
            return if cut { self.apply(&format!("CREATE {ddl}"), &context) } else { self.apply(ddl, &context) };
        }
        for change in &record.changes {
            let previous = change.previous_id.clone().or_else(|| renamed(record, change));
            if let Some(previous) = previous {
                self.remove(&previous);
            }
            match &change.table {
                Some(table) => self.put(Arc::clone(table)),
                None => {
                    self.remove(&change.id);
                }
            }
        }
        Ok(Vec::new())
    }
}

/// The name a table had before `ALTER TABLE ... RENAME TO`: Debezium's record names the new one only.
fn renamed(record: &Record, change: &TableChange) -> Option<TableId> {
    let ddl = record.ddl.as_deref().filter(|_| change.kind == ChangeKind::Alter)?;
    let statements = statement::parse(ddl, crate::token::Lexing::default()).ok()?;
    statements.into_iter().find_map(|parsed| match parsed.statement {
        Statement::AlterTable { name, clauses }
            if clauses.iter().any(|clause| matches!(clause, AlterClause::RenameTo(_))) =>
        {
            // The record's database is that of the new name; a bare old name is of the same one unless the statement
            // moved the table, which nobody can tell from the record.
            let database = name.database.or_else(|| record.database.clone())?;
            Some(TableId::new(database, name.table)).filter(|id| *id != change.id)
        }
        _ => None,
    })
}

fn change_to_value(change: &TableChange) -> Value {
    let mut value = Map::new();
    let kind = match change.kind {
        ChangeKind::Create => "CREATE",
        ChangeKind::Alter => "ALTER",
        ChangeKind::Drop => "DROP",
    };
    value.insert("type".to_owned(), kind.into());
    value.insert("id".to_owned(), change.id.quoted().into());
    if let Some(previous) = &change.previous_id {
        value.insert("previousId".to_owned(), previous.quoted().into());
    }
    if let Some(table) = &change.table {
        value.insert("table".to_owned(), table_to_value(table));
        value.insert("comment".to_owned(), table.comment.clone().into());
    }
    Value::Object(value)
}

fn table_to_value(table: &Table) -> Value {
    json!({
        "defaultCharsetName": table.default_charset,
        "primaryKeyColumnNames": table.primary_key,
        "columns": table.columns.iter().enumerate().map(|(n, column)| column_to_value(column, n + 1)).collect::<Vec<_>>(),
        "attributes": [],
    })
}

fn column_to_value(column: &Column, position: usize) -> Value {
    let mut value = Map::new();
    let mut put = |name: &str, member: Value| value.insert(name.to_owned(), member);
    put("name", column.name.as_str().into());
    put("jdbcType", column.jdbc_type.into());
    put("typeName", column.type_name.as_str().into());
    put("typeExpression", column.type_name.as_str().into());
    put("charsetName", column.charset.clone().into());
    if let Some(length) = column.length {
        put("length", length.into());
    }
    if let Some(scale) = column.scale {
        put("scale", scale.into());
    }
    put("position", position.into());
    put("optional", column.optional.into());
    put("autoIncremented", column.auto_incremented.into());
    put("generated", column.generated.into());
    put("comment", column.comment.clone().into());
    put("hasDefaultValue", (column.default != DefaultText::Absent).into());
    if let DefaultText::Text(text) = &column.default {
        put("defaultValueExpression", text.as_str().into());
    }
    put("enumValues", column.enum_options.clone().into());
    Value::Object(value)
}

fn change_from_value(value: &Value) -> Result<TableChange, HistoryError> {
    let id_of = |name: &'static str| {
        value.get(name).and_then(Value::as_str).map(|text| TableId::from_quoted(text).ok_or(HistoryError::Member(name)))
    };
    let kind = match value.get("type").and_then(Value::as_str) {
        Some("CREATE") => ChangeKind::Create,
        Some("ALTER") => ChangeKind::Alter,
        Some("DROP") => ChangeKind::Drop,
        _ => return Err(HistoryError::Member("type")),
    };
    let id = id_of("id").ok_or(HistoryError::Member("id"))??;
    let table = match (kind, value.get("table")) {
        (ChangeKind::Drop, _) => None,
        (_, Some(table @ Value::Object(_))) => {
            let comment = value.get("comment").and_then(Value::as_str).map(str::to_owned);
            Some(Arc::new(table_from_value(id.clone(), table, comment)?))
        }
        _ => return Err(HistoryError::Member("table")),
    };
    Ok(TableChange { kind, id, previous_id: id_of("previousId").transpose()?, table })
}

fn table_from_value(id: TableId, value: &Value, comment: Option<String>) -> Result<Table, HistoryError> {
    let mut columns = value
        .get("columns")
        .and_then(Value::as_array)
        .ok_or(HistoryError::Member("columns"))?
        .iter()
        .map(column_from_value)
        .collect::<Result<Vec<_>, _>>()?;
    columns.sort_by_key(|(position, _)| *position);
    Ok(Table {
        id,
        default_charset: value.get("defaultCharsetName").and_then(Value::as_str).map(str::to_owned),
        columns: columns.into_iter().map(|(_, column)| column).collect(),
        primary_key: strings(value, "primaryKeyColumnNames")?,
        comment,
    })
}

/// A column and its position.
fn column_from_value(value: &Value) -> Result<(i64, Column), HistoryError> {
    let text = |name: &'static str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let flag = |name: &'static str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    let number = |name: &'static str| match value.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(found) => {
            let small = found.as_i64().and_then(|n| i32::try_from(n).ok());
            small.map(Some).ok_or(HistoryError::Member(name))
        }
    };
    let position = value.get("position").and_then(Value::as_i64).ok_or(HistoryError::Member("position"))?;
    let default = match (flag("hasDefaultValue"), text("defaultValueExpression")) {
        (_, Some(text)) => DefaultText::Text(text),
        (true, None) => DefaultText::Null,
        (false, None) => DefaultText::Absent,
    };
    let column = Column {
        name: text("name").ok_or(HistoryError::Member("name"))?,
        jdbc_type: number("jdbcType")?.ok_or(HistoryError::Member("jdbcType"))?,
        type_name: text("typeName").ok_or(HistoryError::Member("typeName"))?,
        length: number("length")?,
        scale: number("scale")?,
        charset: text("charsetName"),
        optional: flag("optional"),
        auto_incremented: flag("autoIncremented"),
        generated: flag("generated"),
        comment: text("comment"),
        default,
        enum_options: strings(value, "enumValues")?,
    };
    Ok((position, column))
}

/// An array of strings; empty if the member is missing or null.
fn strings(value: &Value, name: &'static str) -> Result<Vec<String>, HistoryError> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or(HistoryError::Member(name))).collect()
        }
        Some(_) => Err(HistoryError::Member(name)),
    }
}

/// One line without spaces.
struct Compact;

impl serde_json::ser::Formatter for Compact {
    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: serde_json::ser::CharEscape,
    ) -> io::Result<()> {
        write_escape(writer, escape)
    }
}

/// The layout of the Java writer: members on lines of their own, arrays on the line they begin on, ` : ` between
/// name and value.
#[derive(Default)]
struct Pretty {
    depth: usize,
    has_value: bool,
}

impl Pretty {
    fn line<W: ?Sized + io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl serde_json::ser::Formatter for Pretty {
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if self.has_value {
            self.line(writer)?
        } else {
            writer.write_all(b" ")?
        }
        self.has_value = true;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.line(writer)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" : ")
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"[")
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b" " } else { b", " })
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" ]")
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: serde_json::ser::CharEscape,
    ) -> io::Result<()> {
        write_escape(writer, escape)
    }
}

/// Control characters as the Java writer has them: hexadecimal digits in upper case.
fn write_escape<W: ?Sized + io::Write>(writer: &mut W, escape: serde_json::ser::CharEscape) -> io::Result<()> {
    use serde_json::ser::CharEscape;
    let text: &[u8] = match escape {
        CharEscape::Quote => b"\\\"",
        CharEscape::ReverseSolidus => b"\\\\",
        CharEscape::Solidus => b"/",
        CharEscape::Backspace => b"\\b",
        CharEscape::FormFeed => b"\\f",
        CharEscape::LineFeed => b"\\n",
        CharEscape::CarriageReturn => b"\\r",
        CharEscape::Tab => b"\\t",
        CharEscape::AsciiControl(byte) => return write!(writer, "\\u{byte:04X}"),
    };
    writer.write_all(text)
}
