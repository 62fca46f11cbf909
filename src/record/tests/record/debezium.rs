//! Records made by Debezium 3.6.1 in Kafka Connect 4.3 (JsonConverter with schemas, SimpleHeaderConverter) from a
//! MySQL 8.0.15, against what a plan makes of the same cells. Every byte counts: keys, values, headers, schemas.
//! Clock readings and positions are taken from the record; Debezium reads its clock once per record, a plan's rows
//! share their event's, so the second record of a key change is compared with the first one's reading.

use std::sync::Arc;

use model::{MetaSlot, MetaValue, Op, RowArena, SnapshotMarker, TableId};
use record::{
    DynamicRecord, EncodeContext, FieldShape, Mapper, RecordBuffer, RecordPlan, RecordSettings, Value, Write,
    envelope::{self, SourceEvent, TransactionMark},
    schema_change::{ChangeKind, ColumnDescription, SchemaChange, SchemaChangeSchemas, TableChange, TableDescription},
};
use serde_json::Value as Json;

use crate::support::{RowCells, decimal, double, field, int, row, same, schema_of, shape, str, table, texts, wire};

/// Headers, key, value.
pub(crate) type Recorded = (Vec<(String, String)>, Option<String>, Option<String>);

pub(crate) fn recorded(lines: &str) -> Vec<Recorded> {
    // Recorded on Java 17, which prints some doubles with more digits than needed; from Java 19 on it does not.
    lines
        .lines()
        .map(|line| line.replace("9.999999999999999E22", "1.0E23"))
        .map(|line| {
            let record: Json = serde_json::from_str(&line).expect("a recorded line");
            let text = |value: &Json| value.as_str().map(str::to_owned);
            let headers = record["headers"].as_array().expect("headers").iter();
            let headers = headers.filter_map(|header| Some((text(&header[0])?, text(&header[1])?))).collect();
            (headers, text(&record["key"]), text(&record["value"]))
        })
        .collect()
}

fn payload(value: &str) -> Json {
    let value: Json = serde_json::from_str(value).expect("JSON");
    value["payload"].clone()
}

/// A column: how it is written, its fallback, its rule.
type Column = (Write, Value, Mapper);

fn column(write: Write, fallback: Value) -> Column {
    (write, fallback, Mapper::None)
}

struct Case {
    lines: &'static str,
    table: &'static str,
    columns: Vec<Column>,
    key: Vec<usize>,
    /// Before and after, and how many records came of it.
    rows: Vec<(Option<RowCells>, Option<RowCells>, usize)>,
}

/// Field shapes with the recorded schemas of the row struct.
fn fields(case: &Case, recorded: &[Recorded]) -> Vec<FieldShape> {
    let value = recorded.iter().find_map(|(_, _, value)| value.as_deref()).expect("a value");
    let value: Json = serde_json::from_str(value).expect("JSON");
    let fields = value["schema"]["fields"][0]["fields"].as_array().expect("fields").clone();
    assert_eq!(fields.len(), case.columns.len());
    fields
        .iter()
        .zip(&case.columns)
        .enumerate()
        .map(|(i, (schema, (write, fallback, mapper)))| {
            let name = schema["field"].as_str().expect("a name");
            FieldShape { mapper: mapper.clone(), ..field(name, i, schema_of(schema), *write, fallback.clone()) }
        })
        .collect()
}

/// `ts_ms`, `ts_us`, `ts_ns` at the end of a value, which the second record of a key change reads anew.
fn without_clock(value: &str) -> &str {
    value.rsplit_once("\",\"ts_ms\":").map_or(value, |(value, _)| value)
}

fn check(case: &Case) {
    let recorded = recorded(case.lines);
    let fields = fields(case, &recorded);
    let names: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
    let table = table("record_db", case.table, &names);
    let source = Arc::new(envelope::mysql_source_shape("3.6.1.Final", "mysql", "recordgold"));
    let topic = format!("recordgold.record_db.{}", case.table);
    let shape = shape(&topic, fields, &case.key, source);
    let context = recorded[0].0.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
    let settings = RecordSettings { context_headers: context, ..RecordSettings::default() };
    let plan = RecordPlan::compile(&table, &shape, &settings).expect("a plan");

    let mut ctx = EncodeContext::new();
    let mut expected = recorded.iter();
    for (before, after, count) in &case.rows {
        let expected: Vec<_> = expected.by_ref().take(*count).collect();
        let value = payload(expected[0].2.as_deref().expect("a value"));
        let source = &value["source"];
        let mut arena = RowArena::default();
        let mut text = |name: &str| {
            source[name].as_str().map_or(MetaSlot::Null, |text| MetaSlot::Text(arena.text(text).expect("room")))
        };
        let int = |name: &str| source[name].as_i64().map_or(MetaSlot::Null, MetaSlot::Int);
        let slots = [int("server_id"), text("gtid"), text("file"), int("pos"), int("thread"), text("query")];
        let time = |of: &Json, name: &str| of[name].as_i64().expect("a time");
        let event = arena.push_event(time(source, "ts_us"), time(&value, "ts_ns"), &slots);
        let op = match (before, after) {
            (None, _) => Op::Create,
            (_, None) => Op::Delete,
            _ => Op::Update,
        };
        let mut head = row(&mut arena, op, before.as_ref(), after.as_ref(), &[]);
        head.event = event;
        head.ordinal = source["row"].as_i64().expect("a row number") as u32;
        let id = arena.text(value["transaction"]["id"].as_str().expect("an id")).expect("room");
        let order = |name: &str| value["transaction"][name].as_i64().expect("an order");
        head.tx = Some(arena.push_transaction(id, order("total_order"), order("data_collection_order")));

        let mut out = RecordBuffer::default();
        let outcome = plan.encode_row(&table, &arena, &head, &mut ctx, &mut out).expect("records");
        assert_eq!((outcome.records as usize, outcome.failures), (*count, 0));
        for (i, (found, (headers, key, value))) in texts(&out).iter().zip(&expected).enumerate() {
            assert_eq!(found.0, topic);
            assert_eq!(&found.1, key, "key");
            assert_eq!(&found.3, headers, "headers");
            match (i, &found.2, value) {
                (1.., Some(found), Some(value)) => {
                    same(Some(without_clock(found)), Some(without_clock(value)), "value")
                }
                (_, found, value) => same(found.as_deref(), value.as_deref(), "value"),
            }
        }
    }
    assert!(expected.next().is_none(), "records without a row");
}

fn long(tag: u8, n: i64) -> Option<Vec<u8>> {
    wire(tag, &n.to_le_bytes())
}

fn float(x: f64) -> Option<Vec<u8>> {
    wire(b'f', &x.to_bits().to_le_bytes())
}

#[test]
fn numbers_enums_and_key_changes() {
    let text = || Value::text("");
    let columns = vec![
        column(Write::Integer, Value::Int(0)),
        column(Write::Integer, Value::Int(0)),
        column(Write::Integer, Value::Int(0)),
        column(Write::Float32, Value::Float(0.0)),
        column(Write::Float64, Value::Double(0.0)),
        column(Write::Float64, Value::Double(0.0)),
        column(Write::Decimal { scale: 2 }, Value::Null),
        column(Write::Decimal { scale: 30 }, Value::Null),
        column(Write::Boolean, Value::Bool(false)),
        column(Write::Bytes { pad: 0 }, Value::Null),
        column(Write::Text, text()),
        column(Write::Text, text()),
    ];
    let first = vec![
        long(b'u', -1),
        int(-128),
        int(4_294_967_295),
        float(1.1),
        float(1.1),
        double(1e23),
        decimal("1230:2"),
        decimal("-12345678901234567890123456789012345000000000000000000000000000001:30"),
        long(b'b', 1),
        wire(b'x', &[5, 0, 0]),
        str("d"),
        str("x,z"),
    ];
    let nulls = |id, u32, f: Option<Vec<u8>>, fm, d| {
        let mut cells = vec![long(b'u', id), None, int(u32), f, fm, double(d), None, None];
        cells.extend([None, None, None, None]);
        cells
    };
    let one = |u32, d| nulls(1, u32, float(1e10), float(123.456), d);
    let defaults =
        vec![long(b'u', 5), None, int(5), None, None, double(5.0), decimal("150:2"), None, None, None, str("a"), None];
    check(&Case {
        lines: include_str!("golden/debezium-nums.jsonl"),
        table: "nums",
        columns,
        key: vec![0, 2],
        rows: vec![
            (None, Some(first), 1),
            (None, Some(one(8, 0.0)), 1),
            (Some(one(8, 0.0)), Some(one(9, 1e-5)), 3),
            (Some(one(9, 1e-5)), None, 2),
            (None, Some(defaults), 1),
        ],
    });
}

#[test]
fn texts_bytes_and_json() {
    let columns = vec![
        column(Write::Integer, Value::Int(0)),
        column(Write::Text, Value::text("")),
        column(Write::Text, Value::text("")),
        column(Write::Bytes { pad: 5 }, Value::Null),
        column(Write::Bytes { pad: 0 }, Value::Null),
        column(Write::Json, Value::text("{}")),
    ];
    let moved = |id, n| vec![int(id), str("dflt"), n, None, None, None];
    let first = vec![
        int(1),
        str("a\"b\\c/d\n\t\r é 漢 😀 <>&"),
        str("x"),
        wire(b'x', &[0x41]),
        wire(b'x', &[0, 0xff, 0xfe]),
        wire(b'j', "{\"a\":[1,\"q\\\"😀\"]}".as_bytes()),
    ];
    let second = vec![int(2), str("\0\u{1a} "), str(""), None, wire(b'x', &[]), None];
    check(&Case {
        lines: include_str!("golden/debezium-texts.jsonl"),
        table: "texts",
        columns,
        key: vec![0],
        rows: vec![
            (None, Some(first), 1),
            (None, Some(second), 1),
            (None, Some(moved(10, None)), 1),
            (None, Some(moved(11, None)), 1),
            (Some(moved(10, None)), Some(moved(12, str("moved"))), 3),
        ],
    });
}

#[test]
fn dates_and_times() {
    let day = |tag, text: &str| wire(tag, text.as_bytes());
    let columns = vec![
        column(Write::Integer, Value::Int(0)),
        column(Write::EpochDays, Value::Int(0)),
        column(Write::TimeMicros, Value::Int(0)),
        column(Write::TimestampMillis, Value::Int(0)),
        column(Write::TimestampMicros, Value::Int(0)),
        column(Write::ZonedTimestamp { fsp: 0 }, Value::text("1970-01-01T00:00:00Z")),
        column(Write::ZonedTimestamp { fsp: 3 }, Value::text("1970-01-01T00:00:00Z")),
        column(Write::ZonedTimestamp { fsp: 6 }, Value::text("1970-01-01T00:00:00Z")),
        column(Write::Year, Value::Int(0)),
    ];
    let rows = vec![
        vec![
            int(1),
            day(b'D', "2020,2,3"),
            long(b't', -3_020_399_000_000),
            day(b'T', "2020,1,1,0,0,0,0"),
            day(b'T', "2020,1,1,0,0,0,123456"),
            long(b'n', 1_577_836_800_000_000),
            long(b'n', 1_577_836_800_120_000),
            long(b'n', 1_577_836_800_100_000),
            long(b'y', 2024),
        ],
        vec![
            int(2),
            day(b'D', "0,0,0"),
            long(b't', 45_296_789_000),
            day(b'T', "0,0,0,0,0,0,0"),
            day(b'T', "9999,12,31,23,59,59,999999"),
            wire(b'z', &[]),
            wire(b'z', &[]),
            None,
            None,
        ],
        vec![
            int(3),
            day(b'D', "1,1,1"),
            long(b't', 0),
            day(b'T', "69,12,31,23,59,59,0"),
            day(b'T', "1000,1,1,0,0,0,1"),
            None,
            long(b'n', 2_147_483_647_999_000),
            None,
            long(b'y', 1901),
        ],
    ];
    check(&Case {
        lines: include_str!("golden/debezium-times.jsonl"),
        table: "times",
        columns,
        key: vec![0],
        rows: rows.into_iter().map(|cells| (None, Some(cells), 1)).collect(),
    });
}

#[test]
fn column_rules_on_a_table_without_key() {
    let text = |mapper| (Write::Text, Value::text(""), mapper);
    let serialized = |length| Mapper::hash("SHA-256", "pepper.1", false, Some(length)).expect("a digest");
    let columns = vec![
        text(Mapper::Truncate(4)),
        (Write::Bytes { pad: 0 }, Value::Null, Mapper::Truncate(4)),
        text(Mapper::Mask("*****".into())),
        text(Mapper::Mask("*****".into())),
        text(serialized(100)),
        text(serialized(10)),
        text(serialized(80)),
        text(Mapper::hash("MD5", "salz", true, Some(100)).expect("a digest")),
    ];
    let bytes = |text: &str| wire(b'x', text.as_bytes());
    let first = |cut| {
        let hashed = [str("hash é😀"), str("hash"), str("nn"), str("hash é😀")];
        let mut cells = vec![str(cut), bytes("abcdefgh"), str("secret"), None];
        cells.extend(hashed);
        cells
    };
    let second = || vec![str("ab😀c"), None, str(""), None, None, None, str(""), str("")];
    check(&Case {
        lines: include_str!("golden/debezium-rules.jsonl"),
        table: "rules",
        columns,
        key: vec![],
        rows: vec![
            (None, Some(first("abcdefgh")), 1),
            (None, Some(second()), 1),
            (Some(first("abcdefgh")), Some(first("abcdefgXX")), 1),
            (Some(second()), None, 2),
        ],
    });
}

/// Encodes dynamic records and compares them with recorded ones.
fn check_dynamic(records: Vec<DynamicRecord>, expected: &[Recorded]) {
    let context = expected[0].0.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
    let settings = RecordSettings { context_headers: context, ..RecordSettings::default() };
    let mut out = RecordBuffer::default();
    for record in &records {
        record.encode(&settings, &mut out).expect("a record");
    }
    let found = texts(&out);
    assert_eq!(found.len(), expected.len());
    for ((_, key, value, headers), expected) in found.iter().zip(expected) {
        assert_eq!(headers, &expected.0);
        same(key.as_deref(), expected.1.as_deref(), "key");
        same(value.as_deref(), expected.2.as_deref(), "value");
    }
}

fn dynamic([key, value]: [(Arc<record::Schema>, Value); 2], context_headers: bool) -> DynamicRecord {
    DynamicRecord { topic: "t".into(), partition: Some(0), key: Some(key), value: Some(value), context_headers }
}

#[test]
fn heartbeats_and_transaction_marks() {
    let expected = recorded(include_str!("golden/debezium-heartbeat.jsonl"));
    let time = payload(expected[0].2.as_deref().expect("a value"))["ts_ms"].as_i64().expect("a time");
    check_dynamic(vec![dynamic(envelope::heartbeat("recordgold", time), false)], &expected);

    let expected = recorded(include_str!("golden/debezium-transaction.jsonl"));
    let records = expected.iter().map(|(_, _, value)| {
        let value = payload(value.as_deref().expect("a value"));
        let collections: Vec<(String, i64)> = value["data_collections"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|c| (c["data_collection"].as_str().unwrap_or("").into(), c["event_count"].as_i64().unwrap_or(0)))
            .collect();
        let collections: Vec<(&str, i64)> = collections.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let mark = match value["event_count"].as_i64() {
            None => TransactionMark::Begin,
            Some(events) => TransactionMark::End { events, collections: &collections },
        };
        let id = value["id"].as_str().expect("an id");
        dynamic(envelope::transaction_mark(id, mark, value["ts_ms"].as_i64().expect("a time")), false)
    });
    check_dynamic(records.collect(), &expected);
}

#[test]
fn schema_changes() {
    let expected = recorded(include_str!("golden/debezium-schema-change.jsonl"));
    let source = envelope::mysql_source_shape("3.6.1.Final", "mysql", "recordgold");
    let schemas = SchemaChangeSchemas::new("mysql", &source.schema);
    let mut records = Vec::new();
    for (_, _, value) in &expected {
        let value = payload(value.as_deref().expect("a value"));
        let from = &value["source"];
        let slot = |name: &str| match &from[name] {
            Json::String(text) => MetaValue::Text(text),
            Json::Number(n) => MetaValue::Int(n.as_i64().expect("an integer")),
            _ => MetaValue::Null,
        };
        let slots = ["server_id", "gtid", "file", "pos", "thread", "query"].map(slot);
        let source = source.value(&SourceEvent {
            source_us: from["ts_us"].as_i64().expect("a time"),
            snapshot: if from["snapshot"] == "true" { SnapshotMarker::True } else { SnapshotMarker::Streamed },
            ordinal: 0,
            namespace: from["db"].as_str().expect("a database"),
            table: from["table"].as_str(),
            slots: &slots,
        });
        let ids: Vec<TableId> = (value["tableChanges"].as_array().into_iter().flatten())
            .map(|change| {
                change["id"].as_str().expect("an id").trim_matches('"').split_once("\".\"").expect("two parts")
            })
            .map(|(namespace, name)| TableId::new(namespace, name))
            .collect();
        let tables: Vec<_> = (value["tableChanges"].as_array().into_iter().flatten())
            .zip(&ids)
            .map(|(change, id)| TableChange {
                kind: match change["type"].as_str() {
                    Some("CREATE") => ChangeKind::Create,
                    Some("ALTER") => ChangeKind::Alter,
                    _ => ChangeKind::Drop,
                },
                id,
                table: change["table"].is_object().then(|| describe(&change["table"])),
            })
            .collect();
        records.push(dynamic(
            schemas.record(&SchemaChange {
                source,
                ts_ms: value["ts_ms"].as_i64().expect("a time"),
                database: value["databaseName"].as_str().expect("a database"),
                ddl: value["ddl"].as_str().expect("a statement"),
                tables: &tables,
            }),
            true,
        ));
    }
    assert_eq!(records.len(), 6);
    check_dynamic(records, &expected);
}

fn describe(table: &Json) -> TableDescription<'_> {
    fn strs(value: &Json) -> Vec<&str> {
        value.as_array().into_iter().flatten().filter_map(Json::as_str).collect()
    }
    let number = |value: &Json| value.as_i64().map(|n| n as i32);
    let columns = table["columns"].as_array().into_iter().flatten();
    TableDescription {
        charset: table["defaultCharsetName"].as_str(),
        primary_key: strs(&table["primaryKeyColumnNames"]),
        comment: table["comment"].as_str(),
        columns: columns
            .map(|column| ColumnDescription {
                name: column["name"].as_str().unwrap_or(""),
                jdbc_type: number(&column["jdbcType"]).unwrap_or(0),
                native_type: number(&column["nativeType"]),
                type_name: column["typeName"].as_str().unwrap_or(""),
                type_expression: column["typeExpression"].as_str(),
                charset: column["charsetName"].as_str(),
                length: number(&column["length"]),
                scale: number(&column["scale"]),
                position: number(&column["position"]).unwrap_or(0),
                optional: column["optional"].as_bool(),
                auto_incremented: column["autoIncremented"].as_bool(),
                generated: column["generated"].as_bool(),
                comment: column["comment"].as_str(),
                default_expression: column["defaultValueExpression"].as_str(),
                enum_values: column["enumValues"].is_array().then(|| strs(&column["enumValues"])),
            })
            .collect(),
    }
}
