//! Events as JSON lines: the form of `expect.jsonl`.

use mysql_protocol::column::ColumnType;
use mysql_protocol::event::{Event, EventBody, GtidEvent, QueryEvent, TableMapEvent};
use mysql_protocol::file::FileEvent;
use mysql_protocol::rows::{CellRange, RowCells, RowsEvent};
use mysql_protocol::value::{self, Scratch, Value};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// What a table map said, kept for the row events after it.
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) types: Vec<ColumnType>,
    /// `None` where the server does not say.
    pub(crate) unsigned: Vec<Option<bool>>,
}

pub(crate) type Tables = BTreeMap<u64, Table>;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

/// Remembers a table map.
pub(crate) fn remember(tables: &mut Tables, map: &TableMapEvent<'_>) {
    let mut types = Vec::new();
    map.columns(&mut types).expect("column types");
    let columns = map.optional_metadata().expect("metadata").columns(&types).expect("metadata of columns");
    let unsigned = columns.iter().map(|c| c.unsigned).collect();
    tables.insert(map.table_id, Table { name: format!("{}.{}", text(map.schema), text(map.table)), types, unsigned });
}

/// One line of `expect.jsonl`.
pub(crate) fn line(tables: &mut Tables, at: &FileEvent<'_>) -> Json {
    let Event { header, body } = &at.event;
    let mut out = json!({"at": at.at, "type": header.event_type.to_string(), "timestamp": header.timestamp, "server_id": header.server_id,
        "next": header.next_position, "flags": header.flags, "disposition": format!("{:?}", body.disposition())});
    let more = match body {
        EventBody::FormatDescription(f) => {
            json!({"version": text(f.server_version), "checksum": format!("{:?}", f.checksum), "post_header_lengths": f.post_header_lengths})
        }
        EventBody::Rotate(r) => json!({"file": text(r.file), "position": r.position}),
        EventBody::TableMap(map) => {
            remember(tables, map);
            table_map(map)
        }
        EventBody::Rows(rows) => rows_line(tables, rows),
        EventBody::Query(q) => query(q),
        EventBody::Xid(xid) => json!({"xid": xid}),
        EventBody::Gtid(g) => gtid(g),
        EventBody::Heartbeat(h) => json!({"file": text(h.file), "position": h.position}),
        EventBody::XaPrepare(x) => {
            json!({"one_phase": x.one_phase, "format": x.format_id, "global": text(x.global_id), "branch": text(x.branch_id)})
        }
        EventBody::PreviousGtids(bytes) => {
            json!({"set": mysql_protocol::gtid::GtidSet::decode(bytes).expect("GTID set").to_string()})
        }
        EventBody::IntVar(v) => json!({"kind": v.kind, "value": v.value}),
        EventBody::Rand(a, b) => json!({"seeds": [a, b]}),
        EventBody::UserVar(v) => json!({"name": text(v.name), "value": v.value.map(hex)}),
        EventBody::RowsQuery(sql) => json!({"sql": text(sql)}),
        EventBody::Stop => json!({}),
        other => panic!("a scenario has made an event without a rendering: {other:?}"),
    };
    let (Some(out_map), Json::Object(more)) = (out.as_object_mut(), more) else { unreachable!() };
    out_map.extend(more);
    out
}

fn table_map(map: &TableMapEvent<'_>) -> Json {
    let mut types = Vec::new();
    map.columns(&mut types).expect("column types");
    let optional = map.optional_metadata().expect("metadata");
    let columns: Vec<Json> = types
        .iter()
        .zip(optional.columns(&types).expect("metadata of columns"))
        .enumerate()
        .map(|(n, (t, m))| {
            let mut column = json!({"type": format!("{t:?}"), "nullable": map.is_nullable(n)});
            let mut set =
                |key: &str, value: Json| column.as_object_mut().expect("object").insert(key.to_owned(), value);
            m.name.map(|v| set("name", json!(text(v))));
            m.unsigned.map(|v| set("unsigned", json!(v)));
            m.collation.map(|v| set("collation", json!(v)));
            m.geometry_type.map(|v| set("geometry", json!(v)));
            m.visible.map(|v| set("visible", json!(v)));
            if !m.options.is_empty() {
                set("options", json!(m.options.iter().map(|o| text(o)).collect::<Vec<_>>()));
            }
            column
        })
        .collect();
    let key = optional
        .primary_key(types.len())
        .expect("key")
        .map(|parts| parts.iter().map(|p| json!([p.column, p.prefix])).collect::<Vec<_>>());
    json!({"table_id": map.table_id, "schema": text(map.schema), "table": text(map.table), "columns": columns, "primary_key": key})
}

fn query(q: &QueryEvent<'_>) -> Json {
    let s = q.status().expect("status variables");
    json!({"thread": q.thread_id, "exec_time": q.exec_time, "error": q.error_code, "schema": text(q.schema), "sql": text(q.sql),
        "sql_mode": s.sql_mode, "client_charset": s.client_charset, "connection_collation": s.connection_collation,
        "server_collation": s.server_collation, "database_collation": s.database_collation, "utf8mb4_collation": s.utf8mb4_collation,
        "time_zone": s.time_zone.map(text), "microseconds": s.microseconds, "explicit_defaults_for_timestamp": s.explicit_defaults_for_timestamp,
        "ddl_xid": s.ddl_xid, "dbs": s.updated_dbs().map(text).collect::<Vec<_>>()})
}

fn gtid(g: &GtidEvent<'_>) -> Json {
    json!({"gtid": g.gtid().map(|g| g.to_string()), "sbr": g.flags, "last_committed": g.last_committed, "sequence_number": g.sequence_number,
        "immediate": g.immediate_commit_timestamp, "original": g.original_commit_timestamp, "length": g.transaction_length,
        "immediate_version": g.immediate_server_version, "original_version": g.original_server_version})
}

fn rows_line(tables: &Tables, rows: &RowsEvent<'_>) -> Json {
    let table = tables.get(&rows.table_id).expect("a table map before its rows");
    let mut reader = rows.reader(&table.types).expect("row reader");
    let mut cells = RowCells::default();
    let mut scratch = Scratch::default();
    let mut list = Vec::new();
    while reader.next_row(&mut cells).expect("row") {
        let mut image = |cells: &[CellRange]| -> Vec<Json> {
            cells.iter().enumerate().map(|(n, c)| cell(table, n, *c, rows.data, &mut scratch)).collect()
        };
        let (before, after) = (image(&cells.before), image(&cells.after));
        list.push(match (before.is_empty(), after.is_empty()) {
            (true, _) => json!({"after": after}),
            (_, true) => json!({"before": before}),
            _ => json!({"before": before, "after": after}),
        });
    }
    json!({"table": table.name, "kind": format!("{:?}", rows.kind), "end": rows.is_statement_end(), "full": rows.is_full(), "rows": list})
}

fn cell(table: &Table, n: usize, cell: CellRange, data: &[u8], scratch: &mut Scratch) -> Json {
    if cell.is_absent() {
        return json!({"absent": true});
    }
    let Some(bytes) = cell.of(data) else { return Json::Null };
    match value::decode(table.types[n], table.unsigned[n].unwrap_or(false), bytes, scratch).expect("cell") {
        Value::Int(v) => json!(v),
        Value::UInt(v) => json!(v),
        Value::Float(v) => json!(format!("{v:?}")),
        Value::Double(v) => json!(format!("{v:?}")),
        Value::Decimal(v) => json!(v.to_string()),
        Value::Year(v) => json!(v),
        Value::Date(v) => json!(v.to_string()),
        Value::Time(v) => {
            let sign = if v.negative { "-" } else { "" };
            json!(format!("{sign}{:02}:{:02}:{:02}.{:06}", v.hours, v.minutes, v.seconds, v.micros))
        }
        Value::DateTime(v) => {
            json!(format!("{} {:02}:{:02}:{:02}.{:06}", v.date, v.hour, v.minute, v.second, v.micros))
        }
        Value::Timestamp(v) => json!(format!("{}.{:06}", v.seconds, v.micros)),
        Value::Bit(v) | Value::Set(v) => json!(v),
        Value::Enum(v) => json!(v),
        Value::Bytes(v) => match std::str::from_utf8(v) {
            Ok(text) if !text.contains(|c: char| c.is_control()) => json!(text),
            _ => json!({"hex": hex(v)}),
        },
        Value::Json(v) if v.len() > 2000 => json!({"json_len": v.len(), "crc": crc32fast::hash(v.as_bytes())}),
        Value::Json(v) => json!({"json": v}),
        Value::Geometry(v) | Value::Vector(v) => json!({"hex": hex(v)}),
        other => panic!("a value without a rendering: {other:?}"),
    }
}
