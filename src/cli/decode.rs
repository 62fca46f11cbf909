//! `afterimage decode`: what is in binlog files, as JSON lines. Needs neither a server nor Kafka.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use mysql_protocol::{
    column::ColumnType,
    event::{Event, EventBody, TableMapEvent},
    file::{FileError, FileReader},
    gtid::GtidSet,
    rows::{CellRange, RowCells, RowsEvent, RowsKind},
    value::{self, Scratch, Value as Cell},
};
use serde_json::{Map, Value, json};

use crate::Failed;

/// Largest event taken: the server's limit of a packet.
const EVENT_MAX: u32 = 1 << 30;

/// Prints the events of files, one JSON object a line.
pub(crate) fn run(files: &[PathBuf], out: &mut dyn Write) -> Result<(), Failed> {
    let mut out = BufWriter::new(out);
    for file in files {
        let result = print(file, &mut out);
        out.flush().map_err(|error| Failed::new(1, format!("the output cannot be written: {error}")))?;
        result?;
    }
    Ok(())
}

fn print(path: &Path, out: &mut impl Write) -> Result<(), Failed> {
    let name = path.display();
    let mut file = File::open(path).map_err(|error| Failed::new(1, format!("{name} cannot be opened: {error}")))?;
    let mut reader = FileReader::new(EVENT_MAX);
    let mut printer = Printer::default();
    let mut buffer = vec![0; 1 << 20];
    let broken = |error: FileError| Failed::new(1, format!("{name}: {error}"));
    loop {
        let read = file.read(&mut buffer).map_err(|error| Failed::new(1, format!("{name} cannot be read: {error}")))?;
        if read == 0 {
            return reader.finish().map_err(broken);
        }
        reader.feed(buffer.get(..read).unwrap_or(&[]));
        while let Some(event) = reader.poll().map_err(broken)? {
            let line = printer.describe(event.at, &event.event).map_err(|error| {
                Failed::new(1, format!("{name}: the event at byte {} cannot be read: {error}", event.at))
            })?;
            serde_json::to_writer(&mut *out, &line)
                .map_err(std::io::Error::from)
                .and_then(|()| out.write_all(b"\n"))
                .map_err(|error| Failed::new(1, format!("the output cannot be written: {error}")))?;
        }
    }
}

/// What the file itself says about a table.
struct Table {
    name: String,
    types: Vec<ColumnType>,
    columns: Vec<Column>,
}

struct Column {
    name: Option<String>,
    unsigned: bool,
    binary: bool,
    options: Vec<String>,
}

#[derive(Default)]
struct Printer {
    tables: HashMap<u64, Table>,
    cells: RowCells,
    scratch: Scratch,
}

impl Printer {
    fn describe(&mut self, at: u64, event: &Event<'_>) -> Result<Value, mysql_protocol::DecodeError> {
        let header = &event.header;
        let mut line = Map::new();
        line.insert("pos".into(), at.into());
        line.insert("event".into(), header.event_type.to_string().into());
        line.insert("time".into(), header.timestamp.into());
        line.insert("server_id".into(), header.server_id.into());
        let mut put = |key: &str, value: Value| drop(line.insert(key.to_owned(), value));
        let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes).into_owned());
        match &event.body {
            EventBody::FormatDescription(format) => {
                put("server_version", text(format.server_version));
                put("checksum", format!("{:?}", format.checksum).into());
            }
            EventBody::Rotate(rotate) => {
                put("file", text(rotate.file));
                put("position", rotate.position.into());
            }
            EventBody::Gtid(gtid) => {
                put("gtid", gtid.gtid().map_or(Value::Null, |gtid| gtid.to_string().into()));
                put("original_commit_us", gtid.original_commit_timestamp.map_or(Value::Null, Value::from));
            }
            EventBody::Query(query) => {
                put("database", text(query.schema));
                put("thread", query.thread_id.into());
                put("sql", text(query.sql));
            }
            EventBody::RowsQuery(sql) => put("sql", text(sql)),
            EventBody::Xid(xid) => put("xid", (*xid).into()),
            EventBody::PreviousGtids(set) => put("gtids", GtidSet::decode(set)?.to_string().into()),
            EventBody::TableMap(map) => {
                let table = Table::new(map)?;
                put("table", table.name.as_str().into());
                put("table_number", map.table_id.into());
                self.tables.insert(map.table_id, table);
            }
            EventBody::Rows(rows) => {
                let table = self.tables.get(&rows.table_id);
                put("table_number", rows.table_id.into());
                put("table", table.map_or(Value::Null, |table| table.name.as_str().into()));
                if let Some(table) = table {
                    put("rows", rows_of(rows, table, &mut self.cells, &mut self.scratch)?);
                }
            }
            EventBody::Unsupported(body) => put("bytes", body.len().into()),
            _ => {}
        }
        Ok(Value::Object(line))
    }
}

impl Table {
    fn new(map: &TableMapEvent<'_>) -> Result<Self, mysql_protocol::DecodeError> {
        let mut types = Vec::new();
        map.columns(&mut types)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let columns = map.optional_metadata()?.columns(&types)?;
        let columns = columns.into_iter().map(|column| Column {
            name: column.name.map(text),
            unsigned: column.unsigned.unwrap_or(false),
            binary: column.collation == Some(63),
            options: column.options.into_iter().map(text).collect(),
        });
        let name = format!("{}.{}", text(map.schema), text(map.table));
        Ok(Self { name, columns: columns.collect(), types })
    }
}

fn rows_of(
    event: &RowsEvent<'_>,
    table: &Table,
    cells: &mut RowCells,
    scratch: &mut Scratch,
) -> Result<Value, mysql_protocol::DecodeError> {
    let mut reader = event.reader(&table.types)?;
    let mut rows = Vec::new();
    while reader.next_row(cells)? {
        let before = image(event, &cells.before, table, scratch)?;
        let after = image(event, &cells.after, table, scratch)?;
        rows.push(match event.kind {
            RowsKind::Write => json!({ "after": after }),
            RowsKind::Delete => json!({ "before": before }),
            RowsKind::Update => json!({ "before": before, "after": after }),
        });
    }
    Ok(Value::Array(rows))
}

fn image(
    event: &RowsEvent<'_>,
    cells: &[CellRange],
    table: &Table,
    scratch: &mut Scratch,
) -> Result<Value, mysql_protocol::DecodeError> {
    let mut fields = Map::new();
    for (index, (cell, (ty, column))) in cells.iter().zip(table.types.iter().zip(&table.columns)).enumerate() {
        if cell.is_absent() {
            continue;
        }
        let name = column.name.clone().unwrap_or_else(|| format!("@{}", index + 1));
        let value = match cell.of(event.data) {
            None => Value::Null,
            Some(bytes) => rendered(value::decode(*ty, column.unsigned, bytes, scratch)?, column),
        };
        fields.insert(name, value);
    }
    Ok(Value::Object(fields))
}

/// A value in JSON: numbers as numbers, decimals and times as MySQL prints them, binary as hexadecimal.
fn rendered(value: Cell<'_>, column: &Column) -> Value {
    match value {
        Cell::Int(n) => n.into(),
        Cell::UInt(n) | Cell::Bit(n) => n.into(),
        Cell::Float(x) => serde_json::Number::from_f64(f64::from(x)).map_or(Value::Null, |_| json!(x)),
        Cell::Double(x) => json!(x),
        Cell::Year(year) => year.into(),
        Cell::Enum(index) => match usize::from(index).checked_sub(1).and_then(|index| column.options.get(index)) {
            Some(option) => option.as_str().into(),
            None => index.into(),
        },
        Cell::Set(mask) if !column.options.is_empty() => {
            let members = column.options.iter().enumerate().filter(|(bit, _)| *bit < 64 && mask >> bit & 1 == 1);
            members.map(|(_, option)| option.as_str()).collect::<Vec<_>>().join(",").into()
        }
        Cell::Set(mask) => mask.into(),
        Cell::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !column.binary => text.into(),
            _ => hex(bytes).into(),
        },
        Cell::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Cell::Geometry(bytes) | Cell::Vector(bytes) => hex(bytes).into(),
        Cell::Null => Value::Null,
        Cell::Decimal(decimal) => decimal.to_string().into(),
        Cell::Date(date) => date.to_string().into(),
        Cell::Time(time) => clock(time).into(),
        Cell::DateTime(at) => {
            format!("{} {:02}:{:02}:{:02}{}", at.date, at.hour, at.minute, at.second, fraction(at.micros)).into()
        }
        Cell::Timestamp(at) => instant(at).into(),
        _ => Value::Null,
    }
}

fn clock(time: value::Time) -> String {
    let sign = if time.negative { "-" } else { "" };
    format!("{sign}{:02}:{:02}:{:02}{}", time.hours, time.minutes, time.seconds, fraction(time.micros))
}

/// Seconds since the epoch, in UTC.
fn instant(at: value::Timestamp) -> String {
    match jiff::Timestamp::from_second(i64::from(at.seconds)) {
        Ok(second) => format!("{}{}Z", second.strftime("%Y-%m-%dT%H:%M:%S"), fraction(at.micros)),
        Err(_) => at.seconds.to_string(),
    }
}

fn fraction(micros: u32) -> String {
    if micros == 0 { String::new() } else { format!(".{micros:06}") }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |mut text, byte| {
        use std::fmt::Write;
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
