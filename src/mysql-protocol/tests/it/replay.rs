//! Applies decoded events to tables in memory and compares what is left with what the server printed (`server.tsv`).

use crate::render::{Table, Tables, hex, remember};
use mysql_protocol::column::ColumnType;
use mysql_protocol::event::EventBody;
use mysql_protocol::json;
use mysql_protocol::rows::{CellRange, RowCells, RowsEvent};
use mysql_protocol::value::{self, Scratch, Value};
use std::collections::BTreeMap;

/// A cell with all that is needed to decode it.
#[derive(Clone, Debug)]
struct Stored {
    column: ColumnType,
    unsigned: Option<bool>,
    bytes: Option<Vec<u8>>,
}

type Row = Vec<Stored>;

/// A change: the table, the key it finds its row by, the images.
struct Change {
    table: String,
    before: Option<Vec<Option<Stored>>>,
    after: Option<Vec<Option<Stored>>>,
}

#[derive(Default)]
pub(crate) struct Replay {
    tables: Tables,
    rows: BTreeMap<String, Vec<Row>>,
    open: Vec<Change>,
    prepared: BTreeMap<String, Vec<Change>>,
}

impl Replay {
    pub(crate) fn event(&mut self, body: &EventBody<'_>) {
        match body {
            EventBody::TableMap(map) => remember(&mut self.tables, map),
            EventBody::Rows(rows) => self.collect(rows),
            EventBody::Xid(_) => self.commit(),
            EventBody::XaPrepare(x) if x.one_phase => self.commit(),
            EventBody::XaPrepare(x) => {
                let xid = format!("X'{}',X'{}',{}", hex(x.global_id), hex(x.branch_id), x.format_id).to_lowercase();
                self.prepared.insert(xid, std::mem::take(&mut self.open));
            }
            EventBody::Query(q) => self.query(q.sql_utf8().expect("UTF-8")),
            _ => {}
        }
    }

    fn query(&mut self, sql: &str) {
        let words: Vec<&str> = sql.split_whitespace().collect();
        match *words {
            ["BEGIN"] | ["XA", "START" | "END", ..] => {}
            ["COMMIT"] => self.commit(),
            ["XA", "COMMIT", xid] => {
                self.open = self.prepared.remove(&xid.to_lowercase()).expect("prepared transaction");
                self.commit();
            }
            ["XA", "ROLLBACK", xid] => drop(self.prepared.remove(&xid.to_lowercase()).expect("prepared transaction")),
            ["TRUNCATE" | "DROP", "TABLE", name, ..] => {
                self.rows.remove(&format!("fx.{}", name.trim_matches(['`', '"'])));
            }
            _ => {}
        }
    }

    fn collect(&mut self, rows: &RowsEvent<'_>) {
        let table = self.tables.get(&rows.table_id).expect("table map");
        let mut reader = rows.reader(&table.types).expect("row reader");
        let mut cells = RowCells::default();
        while reader.next_row(&mut cells).expect("row") {
            let image = |cells: &[CellRange]| (!cells.is_empty()).then(|| image(table, cells, rows.data));
            self.open.push(Change {
                table: table.name.clone(),
                before: image(&cells.before),
                after: image(&cells.after),
            });
        }
    }

    fn commit(&mut self) {
        for change in std::mem::take(&mut self.open) {
            let rows = self.rows.entry(change.table).or_default();
            let old = change.before.map(|before| {
                let at = rows.iter().position(|row| is_row(row, &before));
                rows.remove(at.expect("a change must find the row its before image names"))
            });
            if let Some(after) = change.after {
                let mut old = old.into_iter().flatten();
                let row = after.into_iter().map(|cell| {
                    let old = old.next();
                    cell.or(old).unwrap_or(Stored { column: ColumnType::Null, unsigned: None, bytes: None })
                });
                rows.push(row.collect());
            }
        }
    }

    /// Panics unless the rows are those of `server.tsv`; returns how many cells were compared.
    pub(crate) fn compare(&self, server: &str, old_server: bool) -> usize {
        let mut left: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for (table, rows) in &self.rows {
            left.insert(table, rows.iter().collect());
        }
        let mut compared = 0;
        for line in server.lines() {
            let mut fields = line.split('\t');
            let table = fields.next().expect("table");
            let fields: Vec<&str> = fields.collect();
            let rows = left.get_mut(table).unwrap_or_else(|| panic!("{table}: no row event"));
            let at = rows
                .iter()
                .position(|row| same(&row[0], fields[0], false))
                .unwrap_or_else(|| panic!("no row for {line:.200}"));
            let row = rows.remove(at);
            assert_eq!(row.len(), fields.len(), "{table}");
            for (n, (cell, field)) in row.iter().zip(&fields).enumerate() {
                let by_want = table == "fx.opaque" && n == 1;
                assert!(
                    by_want || same(cell, field, old_server),
                    "{table} {} column {n}: decoded {cell:?}, server {field:.200}",
                    fields[0]
                );
            }
            if ["fx.docs", "fx.opaque", "fx.large"].contains(&table) {
                assert_eq!(
                    row[1].json(),
                    row[2].bytes.as_ref().map(|b| String::from_utf8_lossy(b).into_owned()),
                    "{line:.200}"
                );
            }
            compared += row.len();
        }
        for (table, rows) in left {
            assert!(rows.is_empty(), "{table}: rows the server does not have");
        }
        compared
    }
}

fn image(table: &Table, cells: &[CellRange], data: &[u8]) -> Vec<Option<Stored>> {
    let stored = cells.iter().enumerate().map(|(n, cell)| {
        let stored =
            Stored { column: table.types[n], unsigned: table.unsigned[n], bytes: cell.of(data).map(<[u8]>::to_vec) };
        (!cell.is_absent()).then_some(stored)
    });
    stored.collect()
}

/// Whether a before image, as far as it goes, is this row.
fn is_row(row: &Row, before: &[Option<Stored>]) -> bool {
    row.iter().zip(before).all(|(cell, before)| before.as_ref().is_none_or(|b| b.bytes == cell.bytes))
}

impl Stored {
    fn json(&self) -> Option<String> {
        let mut out = String::new();
        json::append_text(self.bytes.as_ref()?, &mut out).expect("JSON");
        Some(out)
    }
}

/// A fraction of exactly `fsp` digits.
fn fraction(micros: u32, fsp: u8) -> String {
    let digits = format!("{micros:06}");
    if fsp == 0 { String::new() } else { format!(".{}", &digits[..usize::from(fsp)]) }
}

/// A document with all its numbers as floats.
fn numbers(json: &str) -> serde_json::Value {
    fn walk(v: &mut serde_json::Value) {
        match v {
            serde_json::Value::Number(n) => *v = format!("{:?}", n.as_f64().expect("number")).into(),
            serde_json::Value::Array(list) => list.iter_mut().for_each(walk),
            serde_json::Value::Object(map) => map.values_mut().for_each(walk),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(json).expect("JSON");
    walk(&mut value);
    value
}

/// Whether a decoded cell is what the server printed.
fn same(cell: &Stored, server: &str, old_server: bool) -> bool {
    let Some(bytes) = &cell.bytes else { return server == "\\N" };
    let mut scratch = Scratch::default();
    let decode = |unsigned| format!("{:?}", value::decode(cell.column, unsigned, bytes, &mut Scratch::default()));
    match (value::decode(cell.column, cell.unsigned.unwrap_or(false), bytes, &mut scratch).expect("cell"), cell.column)
    {
        (Value::Int(_) | Value::UInt(_), _) => {
            let number: i128 = server.parse().expect("number");
            let wanted =
                |unsigned: bool| if unsigned { format!("Ok(UInt({number}))") } else { format!("Ok(Int({number}))") };
            match cell.unsigned {
                Some(unsigned) => decode(unsigned) == wanted(unsigned),
                // 5.7 does not say; one of both must be it.
                None => [false, true].iter().any(|unsigned| decode(*unsigned) == wanted(*unsigned)),
            }
        }
        (Value::Float(v), _) => {
            server.parse::<f64>().is_ok_and(|s| s.to_bits() == f64::from(v).to_bits() || s == f64::from(v))
        }
        (Value::Double(v), _) => server.parse::<f64>().is_ok_and(|s| s == v),
        (Value::Decimal(v), _) => v.to_string() == server,
        (Value::Year(v), _) => format!("{v:04}") == server,
        (Value::Date(v), _) => v.to_string() == server,
        (Value::Time(v), ColumnType::Time { fsp }) => {
            let sign = if v.negative { "-" } else { "" };
            format!("{sign}{:02}:{:02}:{:02}{}", v.hours, v.minutes, v.seconds, fraction(v.micros, fsp)) == server
        }
        (Value::DateTime(v), ColumnType::DateTime { fsp }) => {
            format!("{} {:02}:{:02}:{:02}{}", v.date, v.hour, v.minute, v.second, fraction(v.micros, fsp)) == server
        }
        (Value::Timestamp(v), ColumnType::Timestamp { fsp }) => {
            format!("{}{}", v.seconds, fraction(v.micros, fsp)) == server
                || (v == Default::default() && server.parse() == Ok(0.0))
        }
        (Value::Bit(v) | Value::Set(v), _) => v.to_string() == server,
        (Value::Enum(v), _) => v.to_string() == server,
        // BINARY loses trailing zeros in row events.
        (Value::Bytes(v), ColumnType::Char { .. }) => {
            let mut padded = hex(v);
            while padded.len() < server.len() {
                padded.push_str("00");
            }
            padded == server
        }
        (Value::Bytes(v) | Value::Geometry(v), _) => hex(v) == server,
        (Value::Json(v), _) => {
            let mut text = String::new();
            json::append_server_text(server, &mut text).expect("JSON of the server");
            // 5.7.22 prints a whole DOUBLE like an integer, so its text says less; the numbers are equal all the same.
            text == v || (old_server && numbers(&text) == numbers(v))
        }
        (other, _) => panic!("no comparison for {other:?}"),
    }
}
