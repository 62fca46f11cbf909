//! Records whose bytes are known from Debezium.

use std::sync::Arc;

use model::{MetaSlot, Op, RowArena};
use record::{
    EncodeContext, EncodeError, JsonSettings, RecordBuffer, RecordPlan, RecordSettings, Schema, SourceField,
    SourceShape, Type, Value, Write, envelope, json,
};

use crate::support::{decimal, field, int, row, shape, str as text, table, texts};

fn plain() -> JsonSettings {
    JsonSettings { schemas_enable: false, ..JsonSettings::default() }
}

fn settings(json: JsonSettings) -> RecordSettings {
    let context = |name: &str, value: &str| (Arc::from(format!("__debezium.context.{name}")), Arc::from(value));
    RecordSettings {
        key: json,
        value: json,
        context_headers: vec![context("connectorLogicalName", "m"), context("taskId", "0")],
        ..RecordSettings::default()
    }
}

fn mysql_slots(arena: &mut RowArena) -> Vec<MetaSlot> {
    let gtid = arena.text("11111111-2222-3333-4444-555555555555:15").expect("room");
    let file = arena.text("binlog.000001").expect("room");
    vec![
        MetaSlot::Int(77),
        MetaSlot::Text(gtid),
        MetaSlot::Text(file),
        MetaSlot::Int(6620),
        MetaSlot::Int(18),
        MetaSlot::Null,
    ]
}

const MYSQL_SOURCE: &str = r#"{"version":"3.6.1.Final","connector":"mysql","name":"m","ts_ms":1760000594000,"snapshot":"false","db":"s","sequence":null,"ts_us":1760000594000000,"ts_ns":1760000594000000000,"table":"p","server_id":77,"gtid":"11111111-2222-3333-4444-555555555555:15","file":"binlog.000001","pos":6620,"row":0,"thread":18,"query":null}"#;
const TIMES: &str = r#""ts_ms":1760000600200,"ts_us":1760000600200871,"ts_ns":1760000600200871555"#;

fn two_ints() -> Vec<record::FieldShape> {
    vec![
        field("a", 0, Schema::new(Type::Int32), Write::Integer, Value::Int(0)),
        field("b", 1, Schema::new(Type::Int32), Write::Integer, Value::Int(0)),
    ]
}

#[test]
fn a_key_change_is_a_delete_a_tombstone_and_a_create() {
    let source = Arc::new(envelope::mysql_source_shape("3.6.1.Final", "mysql", "m"));
    let (table, shape) = (table("s", "p", &["a", "b"]), shape("m.s.p", two_ints(), &[0, 1], source));
    let plan = RecordPlan::compile(&table, &shape, &settings(plain())).expect("plan");
    let mut arena = RowArena::default();
    let slots = mysql_slots(&mut arena);
    let (old, new) = (vec![int(20), int(21)], vec![int(20), int(22)]);
    let head = row(&mut arena, Op::Update, Some(&old), Some(&new), &slots);
    let (mut ctx, mut out) = (EncodeContext::new(), RecordBuffer::default());
    assert_eq!(plan.key_changes(&table, &arena, &head, &mut ctx), Ok(true));
    let outcome = plan.encode_row(&table, &arena, &head, &mut ctx, &mut out).expect("records");
    assert_eq!(outcome.records, 3);

    let (old, new) = (r#"{"a":20,"b":21}"#, r#"{"a":20,"b":22}"#);
    let headers = |name: &str, value: &str| {
        vec![
            (name.to_owned(), value.to_owned()),
            ("__debezium.context.connectorLogicalName".to_owned(), "m".to_owned()),
            ("__debezium.context.taskId".to_owned(), "0".to_owned()),
        ]
    };
    let value = |before: &str, after: &str, op: &str| {
        let value = format!(
            r#"{{"before":{before},"after":{after},"source":{MYSQL_SOURCE},"transaction":null,"op":"{op}",{TIMES}}}"#
        );
        Some(value)
    };
    let topic = "m.s.p".to_owned();
    assert_eq!(
        texts(&out),
        vec![
            (topic.clone(), Some(old.into()), value(old, "null", "d"), headers("__debezium.newkey", new)),
            (topic.clone(), Some(old.into()), None, headers("__debezium.newkey", new)),
            (topic, Some(new.into()), value("null", new, "c"), headers("__debezium.oldkey", old)),
        ]
    );
}

#[test]
fn both_records_of_a_key_change_have_numbers_in_their_transaction() {
    let source = Arc::new(envelope::mysql_source_shape("3.6.1.Final", "mysql", "m"));
    let (table, shape) = (table("s", "p", &["a", "b"]), shape("m.s.p", two_ints(), &[0], source));
    let plan = RecordPlan::compile(&table, &shape, &settings(plain())).expect("plan");
    let mut arena = RowArena::default();
    let slots = mysql_slots(&mut arena);
    let mut head = row(&mut arena, Op::Update, Some(&vec![int(1), int(2)]), Some(&vec![int(3), int(2)]), &slots);
    let id = arena.text("g:1").expect("room");
    head.tx = Some(arena.push_transaction(id, 7, 4));
    let (mut ctx, mut out) = (EncodeContext::new(), RecordBuffer::default());
    plan.encode_row(&table, &arena, &head, &mut ctx, &mut out).expect("records");
    let blocks: Vec<_> = texts(&out)
        .into_iter()
        .filter_map(|(_, _, value, _)| serde_json::from_str::<serde_json::Value>(&value?).ok())
        .map(|value| value["transaction"].to_string())
        .collect();
    assert_eq!(
        blocks,
        [
            r#"{"id":"g:1","total_order":7,"data_collection_order":4}"#,
            r#"{"id":"g:1","total_order":8,"data_collection_order":5}"#
        ]
    );
}

#[test]
fn deletes_updates_and_keyless_tables() {
    let source = Arc::new(envelope::mysql_source_shape("3.6.1.Final", "mysql", "m"));
    let (table, shape) = (table("s", "p", &["a", "b"]), shape("m.s.p", two_ints(), &[], source));
    let mut settings = settings(plain());
    let mut arena = RowArena::default();
    let slots = mysql_slots(&mut arena);
    let (old, new) = (vec![int(20), int(21)], vec![int(20), int(22)]);
    let update = row(&mut arena, Op::Update, Some(&old), Some(&new), &slots);
    let delete = row(&mut arena, Op::Delete, Some(&old), None, &slots);
    let same = row(&mut arena, Op::Update, Some(&old), Some(&old), &slots);
    let mut ctx = EncodeContext::new();
    for (tombstones, expected) in
        [(true, vec![(None, true), (None, true), (None, false)]), (false, vec![(None, true); 2])]
    {
        settings.tombstones = tombstones;
        settings.skip_unchanged = true;
        let plan = RecordPlan::compile(&table, &shape, &settings).expect("plan");
        let mut out = RecordBuffer::default();
        for head in [update, delete, same] {
            let outcome = plan.encode_row(&table, &arena, &head, &mut ctx, &mut out).expect("records");
            assert_eq!(outcome.skipped, head.before.is_some() && head.event == same.event);
        }
        let found: Vec<_> = texts(&out).into_iter().map(|(_, key, value, _)| (key, value.is_some())).collect();
        assert_eq!(found, expected);
    }
}

fn postgres_source() -> SourceShape {
    // The source block of another database, spelled out: nothing in the plan knows MySQL.
    let mysql = envelope::mysql_source_shape("3.6.1.Final", "postgresql", "w");
    let common = mysql.schema.fields.iter().take(9).cloned();
    let mut schema = Schema::new(Type::Struct).named("io.debezium.connector.postgresql.Source", Some(1));
    for field in common {
        schema = schema.field(field.name, field.schema);
    }
    let text = |optional| Schema::new(Type::String).optional(optional);
    let long = || Schema::new(Type::Int64).optional(true);
    let schema = schema
        .field("schema", text(false))
        .field("table", text(false))
        .field("txId", long())
        .field("lsn", long())
        .field("xmin", long())
        .field("origin", text(true))
        .field("origin_lsn", long());
    let mut fields: Vec<_> = mysql.fields.iter().take(9).cloned().collect();
    fields[5] = SourceField::Constant(Value::text("shopdb"));
    fields[6] = SourceField::Slot(0);
    fields.extend([SourceField::Namespace, SourceField::Table]);
    fields.extend((1..6).map(SourceField::Slot));
    SourceShape { schema: schema.into(), fields }
}

const PG_VALUE: &str = include_str!("golden/postgres-insert.json");

#[test]
fn an_insert_with_schemas_is_the_documented_one() {
    let precise = Schema::new(Type::Bytes)
        .optional(true)
        .named(json::DECIMAL, Some(1))
        .parameter("scale", "2")
        .parameter("connect.decimal.precision", "8");
    let fields = vec![
        field("id", 0, Schema::new(Type::Int32), Write::Integer, Value::Int(0)),
        field("price", 1, precise, Write::Decimal { scale: 2 }, Value::Null),
        field("note", 2, Schema::new(Type::String).optional(true), Write::Text, Value::Null),
    ];
    let table = table("shop", "item", &["id", "price", "note"]);
    let shape = shape("w.shop.item", fields, &[0], Arc::new(postgres_source()));
    let plan = RecordPlan::compile(&table, &shape, &settings(JsonSettings::default())).expect("plan");
    let mut arena = RowArena::default();
    let sequence = arena.text("[\"25000000\",\"25000104\"]").expect("room");
    let slots = [MetaSlot::Text(sequence), MetaSlot::Int(900), MetaSlot::Int(25000104)];
    let event = arena.push_event(1_760_000_000_123_456, 1_760_000_000_200_871_555, &slots);
    let cells = vec![int(7), decimal("1230:2"), text("blue")];
    let mut head = row(&mut arena, Op::Create, None, Some(&cells), &[]);
    head.event = event;
    let (mut ctx, mut out) = (EncodeContext::new(), RecordBuffer::default());
    plan.encode_row(&table, &arena, &head, &mut ctx, &mut out).expect("records");
    let expected: String = PG_VALUE.lines().map(str::trim_start).collect();
    let [(_, key, value, _)] = texts(&out).try_into().expect("one record");
    assert_eq!(value.expect("a value"), expected);
    assert_eq!(
        key.expect("a key"),
        r#"{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false,"name":"w.shop.item.Key"},"payload":{"id":7}}"#
    );
}

#[test]
fn a_row_that_cannot_be_encoded_leaves_no_trace() {
    let source = Arc::new(envelope::mysql_source_shape("3.6.1.Final", "mysql", "m"));
    let (table, shape) = (table("s", "p", &["a", "b"]), shape("m.s.p", two_ints(), &[0], source));
    let plan = RecordPlan::compile(&table, &shape, &settings(plain())).expect("plan");
    let mut arena = RowArena::default();
    let slots = mysql_slots(&mut arena);
    let good = row(&mut arena, Op::Create, None, Some(&vec![int(1), int(2)]), &slots);
    let bad = row(&mut arena, Op::Create, None, Some(&vec![int(1), text("secret")]), &slots);
    let (mut ctx, mut out) = (EncodeContext::new(), RecordBuffer::default());
    let error = plan.encode_row(&table, &arena, &bad, &mut ctx, &mut out).expect_err("not a number");
    assert_eq!(
        error.to_string(),
        "table s.p, column b: Invalid value: null used for required field: \"b\", schema type: INT32"
    );
    assert!(out.records().is_empty());
    plan.encode_row(&table, &arena, &good, &mut ctx, &mut out).expect("records");
    let size = out.size();
    assert!(matches!(plan.encode_row(&table, &arena, &bad, &mut ctx, &mut out), Err(EncodeError::Value { .. })));
    assert_eq!((out.size(), out.records().len()), (size, 1));
}
