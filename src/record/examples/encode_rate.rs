//! Nanoseconds per encoded row: inserts of seven columns, without and with schemas.
//!
//! `cargo run --release -p record --example encode_rate`
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::{sync::Arc, time::Instant};

use model::{
    CellDecoder, Datum, Decimal, Image, MetaSlot, Op, RowArena, RowHead, Scratch, SnapshotMarker, TableId,
    TableVersion, ValueError, WireColumn,
};
use record::{
    EncodeContext, FieldShape, JsonSettings, KeyField, KeyShape, Mapper, RecordBuffer, RecordPlan, RecordSettings,
    Schema, TableShape, Type, Value, Write, envelope,
};

#[derive(Debug)]
enum Column {
    Long,
    Text,
    Cents,
    Micros,
}

impl CellDecoder for Column {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let long = || bytes.try_into().map(i64::from_le_bytes).map_err(|_| ValueError::fixed("length"));
        Ok(match self {
            Column::Long => Datum::Int(long()?),
            Column::Text => Datum::Str(std::str::from_utf8(bytes).map_err(|_| ValueError::fixed("UTF-8"))?),
            Column::Cents => Datum::Decimal(Decimal::Small { unscaled: i128::from(long()?), scale: 2 }),
            Column::Micros => Datum::Instant(long()?),
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let optional = |ty| Schema::new(ty).optional(true);
    let decimal = optional(Type::Bytes).named("org.apache.kafka.connect.data.Decimal", Some(1)).parameter("scale", "2");
    let columns = vec![
        ("id", Column::Long, Schema::new(Type::Int64), Write::Integer),
        ("customer", Column::Long, optional(Type::Int64), Write::Integer),
        ("name", Column::Text, optional(Type::String), Write::Text),
        ("note", Column::Text, optional(Type::String), Write::Text),
        ("price", Column::Cents, decimal, Write::Decimal { scale: 2 }),
        ("quantity", Column::Long, optional(Type::Int32), Write::Integer),
        ("at", Column::Micros, optional(Type::String), Write::ZonedTimestamp { fsp: 0 }),
    ];
    let mut fields = Vec::new();
    let mut wire = Vec::new();
    for (i, (name, decoder, schema, write)) in columns.into_iter().enumerate() {
        let (name, schema): (Arc<str>, Arc<Schema>) = (name.into(), schema.into());
        wire.push(WireColumn { name: name.clone(), decoder: Box::new(decoder) });
        fields.push(FieldShape { name, column: i, schema, write, mapper: Mapper::None, fallback: Value::Null });
    }
    let table = TableVersion { id: TableId::new("db", "t"), number: 1, columns: wire.into() };
    let row_schema = Schema::new(Type::Struct).named("m.db.t.Value", None).optional(true);
    let row_schema: Arc<Schema> =
        fields.iter().fold(row_schema, |s, field| s.field(field.name.clone(), field.schema.clone())).into();
    let id = fields.first().cloned().ok_or("no field")?;
    let key_schema = Schema::new(Type::Struct).named("m.db.t.Key", None).field("id", id.schema.clone());
    let source = Arc::new(envelope::mysql_source_shape("3.6.1.Final", "mysql", "m"));
    let shape = TableShape {
        topic: "m.db.t".into(),
        key: Some(KeyShape { schema: key_schema.into(), fields: vec![KeyField::Column(id)] }),
        envelope: envelope::envelope_schema("m.db.t.Envelope", &row_schema, &source.schema).into(),
        row: row_schema,
        fields,
        source,
    };

    let mut arena = RowArena::default();
    let texts = ["11111111-2222-3333-4444-555555555555:15", "binlog.000001"].map(|text| arena.text(text));
    let text = |i: usize| texts.get(i).copied().flatten().map_or(MetaSlot::Null, MetaSlot::Text);
    let slots = [MetaSlot::Int(1), text(0), text(1), MetaSlot::Int(4), MetaSlot::Int(18), MetaSlot::Null];
    let mut event = arena.push_event(1_760_000_594_123_456, 1_760_000_600_200_871_555, &slots);
    let mut heads = Vec::new();
    for i in 0..10_000i64 {
        // 25 rows to an event, as 8 KiB of them hold.
        if i % 25 == 0 {
            event = arena.push_event(1_760_000_594_123_456 + i, 1_760_000_600_200_871_555, &slots);
        }
        let first = arena.next_cell();
        let long = |n: i64| n.to_le_bytes();
        let note = b"a note of some forty characters, or so...";
        let cells: [&[u8]; 7] = [
            &long(i),
            &long(i % 977),
            b"customer name",
            note,
            &long(129_900 + i),
            &long(i % 9),
            &long(1_760_000_594_000_000),
        ];
        for cell in cells {
            arena.push_bytes(cell).ok_or("the arena is full")?;
        }
        let (snapshot, ordinal) = (SnapshotMarker::Streamed, (i % 25) as u32);
        let after = Some(Image { first, count: 7 });
        heads.push(RowHead { table: 0, op: Op::Create, snapshot, before: None, after, event, ordinal, tx: None });
    }

    for schemas_enable in [false, true] {
        let json = JsonSettings { schemas_enable, ..JsonSettings::default() };
        let settings = RecordSettings { key: json, value: json, ..RecordSettings::default() };
        let plan = RecordPlan::compile(&table, &shape, &settings)?;
        let (mut ctx, mut out) = (EncodeContext::new(), RecordBuffer::default());
        let mut best = f64::MAX;
        for _ in 0..30 {
            let start = Instant::now();
            for chunk in heads.chunks(1000) {
                out.clear();
                for head in chunk {
                    plan.encode_row(&table, &arena, head, &mut ctx, &mut out)?;
                }
            }
            best = best.min(start.elapsed().as_nanos() as f64 / heads.len() as f64);
        }
        let bytes = out.size() / out.records().len();
        println!("schemas {schemas_enable}: {best:.0} ns a row, {bytes} bytes a record");
    }
    Ok(())
}
