//! A row costs no allocation once the buffers have grown.

use std::sync::Arc;

use model::{MetaSlot, Op, RowArena};
use record::{
    EncodeContext, Mapper, RecordBuffer, RecordPlan, RecordSettings, Schema, Type, Value, Write, envelope, json,
};

use crate::support::{decimal, double, field, int, row, shape, str, table, wire};

#[test]
fn rows_are_encoded_without_allocating() {
    let optional = |ty| Schema::new(ty).optional(true);
    let decimals = |name: &str| optional(Type::Bytes).named(json::DECIMAL, Some(1)).parameter("scale", name);
    let mut fields = vec![
        field("id", 0, Schema::new(Type::Int64), Write::Integer, Value::Int(0)),
        field("name", 1, optional(Type::String), Write::Text, Value::Null),
        field("price", 2, decimals("2"), Write::Decimal { scale: 2 }, Value::Null),
        field("big", 3, decimals("30"), Write::Decimal { scale: 30 }, Value::Null),
        field("x", 4, optional(Type::Float64), Write::Float64, Value::Null),
        field("at", 5, optional(Type::String), Write::ZonedTimestamp { fsp: 6 }, Value::Null),
        field("bytes", 6, optional(Type::Bytes), Write::Bytes { pad: 20 }, Value::Null),
        field("hashed", 7, optional(Type::String), Write::Text, Value::Null),
    ];
    fields[7].mapper = Mapper::hash("SHA-256", "salz", false, None).expect("a digest");
    let names = ["id", "name", "price", "big", "x", "at", "bytes", "hashed"];
    let table = table("db", "t", &names);
    let source = Arc::new(envelope::mysql_source_shape("3.6.1.Final", "mysql", "m"));
    let shape = shape("m.db.t", fields, &[0], source);
    let cells = |id| {
        let digits = "-12345678901234567890123456789012345678901234567890:30";
        let mut cells = vec![int(id), str("näme \"quoted\" 😀\n"), decimal("-1299:2"), decimal(digits), double(1e-9)];
        cells.extend([wire(b'n', &1_577_836_800_120_000i64.to_le_bytes()), wire(b'x', &[1, 2, 3]), str("secret")]);
        cells
    };
    let mut arena = RowArena::default();
    let file = arena.text("binlog.000001").expect("room");
    let slots = [MetaSlot::Int(1), MetaSlot::Null, MetaSlot::Text(file), MetaSlot::Int(4)];
    let mut heads = Vec::new();
    for id in 0..50 {
        heads.push(row(&mut arena, Op::Create, None, Some(&cells(id)), &slots));
        heads.push(row(&mut arena, Op::Update, Some(&cells(id)), Some(&cells(id + 1)), &slots));
        heads.push(row(&mut arena, Op::Delete, Some(&cells(id)), None, &slots));
    }
    let context_headers = vec![("h".into(), "v".into())];
    let plan = RecordPlan::compile(&table, &shape, &RecordSettings { context_headers, ..RecordSettings::default() });
    let plan = plan.expect("a plan");
    let (mut ctx, mut out) = (EncodeContext::new(), RecordBuffer::default());
    let mut encode = || {
        out.clear();
        for head in &heads {
            plan.encode_row(&table, &arena, head, &mut ctx, &mut out).expect("records");
        }
        assert_eq!(out.records().len(), 50 * 6);
    };
    encode();
    let counted = allocation_counter::measure(encode);
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
