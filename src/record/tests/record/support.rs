//! A wire format for tests: one tag byte, then the value.

use std::sync::Arc;

use model::{
    Cell, CellDecoder, DateTime, Datum, Decimal, Image, MetaSlot, Op, RowArena, RowHead, Scratch, SnapshotMarker,
    TableId, TableVersion, ValueError, WireColumn,
};
use record::{
    FieldShape, KeyField, KeyShape, Mapper, RecordBuffer, Schema, SourceShape, TableShape, Type, Value, Write, envelope,
};

#[derive(Debug)]
pub(crate) struct Tagged;

impl CellDecoder for Tagged {
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let (tag, rest) = bytes.split_first().ok_or(ValueError::fixed("empty cell"))?;
        let i64_of = |rest: &[u8]| rest.try_into().map(i64::from_le_bytes).map_err(|_| ValueError::fixed("cut"));
        let text = |rest: &'a [u8]| std::str::from_utf8(rest).map_err(|_| ValueError::fixed("not UTF-8"));
        Ok(match tag {
            b'i' => Datum::Int(i64_of(rest)?),
            b'u' => Datum::UInt(i64_of(rest)? as u64),
            b'd' => Datum::Double(f64::from_bits(i64_of(rest)? as u64)),
            b'f' => Datum::Float(f64::from_bits(i64_of(rest)? as u64) as f32),
            b'b' => Datum::Bool(i64_of(rest)? != 0),
            b's' => Datum::Str(text(rest)?),
            b'j' => Datum::Json(text(rest)?),
            b'x' => Datum::Bytes(rest),
            b't' => Datum::Time(i64_of(rest)?),
            b'n' => Datum::Instant(i64_of(rest)?),
            b'z' => Datum::ZeroInstant,
            b'y' => Datum::Year(i64_of(rest)? as i32),
            b'D' | b'T' => {
                let mut parts = text(rest)?.split(',').map(|part| part.parse::<u32>().unwrap_or(0));
                let mut next = || parts.next().unwrap_or(0);
                let value = DateTime {
                    year: next() as u16,
                    month: next() as u8,
                    day: next() as u8,
                    hour: next() as u8,
                    minute: next() as u8,
                    second: next() as u8,
                    micros: next(),
                };
                if *tag == b'D' { Datum::Date(value) } else { Datum::DateTime(value) }
            }
            b'c' => {
                let (number, scale) = text(rest)?.split_once(':').ok_or(ValueError::fixed("no scale"))?;
                let scale = scale.parse().map_err(|_| ValueError::fixed("scale"))?;
                match number.parse::<i128>() {
                    Ok(unscaled) => Datum::Decimal(Decimal::Small { unscaled, scale }),
                    Err(_) => {
                        scratch.text.clear();
                        scratch.text.push_str(number.trim_start_matches('-'));
                        let negative = number.starts_with('-');
                        Datum::Decimal(Decimal::Big { negative, digits: &scratch.text, scale })
                    }
                }
            }
            _ => return Err(ValueError::fixed("unknown tag")),
        })
    }
}

/// A cell in the test format.
pub(crate) fn wire(tag: u8, payload: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(payload);
    Some(bytes)
}

pub(crate) fn int(n: i64) -> Option<Vec<u8>> {
    wire(b'i', &n.to_le_bytes())
}

pub(crate) fn double(x: f64) -> Option<Vec<u8>> {
    wire(b'd', &x.to_bits().to_le_bytes())
}

pub(crate) fn str(text: &str) -> Option<Vec<u8>> {
    wire(b's', text.as_bytes())
}

pub(crate) fn decimal(text: &str) -> Option<Vec<u8>> {
    wire(b'c', text.as_bytes())
}

pub(crate) fn table(db: &str, name: &str, columns: &[&str]) -> TableVersion {
    let column = |name: &&str| WireColumn { name: Arc::from(*name), decoder: Box::new(Tagged) };
    TableVersion { id: TableId::new(db, name), number: 1, columns: columns.iter().map(column).collect() }
}

pub(crate) fn field(name: &str, column: usize, schema: Schema, write: Write, fallback: Value) -> FieldShape {
    FieldShape { name: name.into(), column, schema: schema.into(), write, mapper: Mapper::None, fallback }
}

/// A shape with the default names; `key` are indexes into `fields`.
pub(crate) fn shape(topic: &str, fields: Vec<FieldShape>, key: &[usize], source: Arc<SourceShape>) -> TableShape {
    let struct_of = |name: String, fields: &[FieldShape]| {
        let schema = Schema::new(Type::Struct).named(name, None);
        fields.iter().fold(schema, |schema, field| schema.field(field.name.clone(), field.schema.clone()))
    };
    let row = Arc::new(struct_of(format!("{topic}.Value"), &fields).optional(true));
    let key_fields: Vec<_> = key.iter().map(|i| FieldShape { mapper: Mapper::None, ..fields[*i].clone() }).collect();
    let key = (!key.is_empty()).then(|| KeyShape {
        schema: struct_of(format!("{topic}.Key"), &key_fields).into(),
        fields: key_fields.into_iter().map(KeyField::Column).collect(),
    });
    let envelope = envelope::envelope_schema(format!("{topic}.Envelope"), &row, &source.schema).into();
    TableShape { topic: topic.into(), key, row, fields, envelope, source }
}

pub(crate) type RowCells = Vec<Option<Vec<u8>>>;

pub(crate) fn image(arena: &mut RowArena, cells: &RowCells) -> Image {
    for cell in cells.iter().flatten() {
        assert!(!cell.is_empty());
    }
    let first = arena.next_cell();
    for cell in cells {
        match cell {
            Some(bytes) => {
                arena.push_bytes(bytes).expect("room");
            }
            None => arena.push_cell(Cell::NULL),
        }
    }
    Image { first, count: cells.len() as u32 }
}

/// A row of an event of its own.
pub(crate) fn row(
    arena: &mut RowArena,
    op: Op,
    before: Option<&RowCells>,
    after: Option<&RowCells>,
    slots: &[MetaSlot],
) -> RowHead {
    let event = arena.push_event(1_760_000_594_000_000, 1_760_000_600_200_871_555, slots);
    let before = before.map(|cells| image(arena, cells));
    let after = after.map(|cells| image(arena, cells));
    let row = RowHead { table: 0, op, snapshot: SnapshotMarker::Streamed, before, after, event, ordinal: 0, tx: None };
    arena.push_row(row);
    row
}

/// Topic, key, value and headers of a record as text.
pub(crate) type Texts = (String, Option<String>, Option<String>, Vec<(String, String)>);

/// Every record as text.
pub(crate) fn texts(buffer: &RecordBuffer) -> Vec<Texts> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    buffer
        .records()
        .iter()
        .map(|record| {
            let headers = buffer
                .headers(record)
                .map(|(name, value)| (name.to_owned(), value.map(text).unwrap_or_else(|| "<null>".into())))
                .collect();
            (buffer.topic(record).to_string(), buffer.key(record).map(text), buffer.value(record).map(text), headers)
        })
        .collect()
}

/// Reads a schema node back from its JSON form.
pub(crate) fn schema_of(json: &serde_json::Value) -> Schema {
    let ty = match json["type"].as_str().expect("a type") {
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "float" => Type::Float32,
        "double" => Type::Float64,
        "boolean" => Type::Boolean,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        other => panic!("type {other}"),
    };
    let mut schema = Schema::new(ty).optional(json["optional"].as_bool().expect("optional"));
    schema.name = json["name"].as_str().map(Arc::from);
    schema.version = json["version"].as_i64().map(|version| version as i32);
    for (key, value) in json["parameters"].as_object().into_iter().flatten() {
        schema = schema.parameter(key.as_str(), value.as_str().expect("text"));
    }
    schema.default = json.get("default").map(|default| match (default, ty) {
        (serde_json::Value::String(text), Type::Bytes) => {
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).expect("base64");
            match json["parameters"]["scale"].as_str() {
                Some(scale) => Value::Decimal { unscaled: bytes.into(), scale: scale.parse().expect("a scale") },
                None => Value::Bytes(bytes.into()),
            }
        }
        (serde_json::Value::String(text), _) => Value::text(text.as_str()),
        (serde_json::Value::Number(n), Type::Float64) => Value::Double(n.as_f64().expect("a number")),
        (serde_json::Value::Number(n), _) => Value::Int(n.as_i64().expect("an integer")),
        (other, _) => panic!("default {other}"),
    });
    schema
}

/// Compares two texts and shows the place where they part.
#[track_caller]
pub(crate) fn same(found: Option<&str>, expected: Option<&str>, what: &str) {
    if let (Some(found), Some(expected)) = (found, expected) {
        let at = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
        let near = |text: &str| {
            String::from_utf8_lossy(text.as_bytes().get(at.saturating_sub(60)..).unwrap_or(b""))
                .chars()
                .take(160)
                .collect::<String>()
        };
        assert!(found == expected, "{what} parts at {at}:\n found    {}\n expected {}", near(found), near(expected));
    }
    assert_eq!(found.is_some(), expected.is_some(), "{what}");
}
