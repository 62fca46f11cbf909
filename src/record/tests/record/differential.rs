//! The compiled plan against the reference interpreter, over random shapes, settings and rows.

use std::sync::Arc;

use model::{Cell, MetaSlot, Op, RowArena, SnapshotMarker};
use proptest::prelude::*;
use record::{
    ConversionFailure, DecimalFormat, EncodeContext, FieldShape, HeaderConverter, JsonSettings, Mapper, RecordBuffer,
    RecordPlan, RecordSettings, Schema, Type, Value, Write, envelope, reference,
};

use crate::support::{double, image, int, shape, table, wire};

const CONNECT: &str = "org.apache.kafka.connect.data.";

/// A way of writing with schema type, semantic name, and a value for default and fallback.
type Written = (Write, Type, Option<String>, Value);

fn writes() -> impl Strategy<Value = Written> {
    let plain = |write, ty, value: Value| Just((write, ty, None, value)).boxed();
    let text = |write| plain(write, Type::String, Value::text("d\"é😀x"));
    let named =
        |write, ty, name: &str| Just((write, ty, Some(format!("{CONNECT}{name}")), Value::Int(86_400_000))).boxed();
    let pads = prop_oneof![Just(0u32), 1u32..9];
    prop_oneof![
        prop_oneof![Just(Type::Int8), Just(Type::Int16), Just(Type::Int32), Just(Type::Int64)].prop_map(|ty| (
            Write::Integer,
            ty,
            None,
            Value::Int(7)
        )),
        plain(Write::Boolean, Type::Boolean, Value::Bool(true)),
        plain(Write::Float32, Type::Float32, Value::Float(1.5)),
        plain(Write::Float64, Type::Float64, Value::Double(f64::NAN)),
        (0u16..40).prop_map(|scale| {
            let value = Value::Decimal { unscaled: [1, 44].into(), scale: i32::from(scale) };
            (Write::Decimal { scale }, Type::Bytes, Some(format!("{CONNECT}Decimal")), value)
        }),
        plain(Write::DecimalDouble, Type::Float64, Value::Double(1e10)),
        prop_oneof![text(Write::DecimalText), text(Write::Text), text(Write::Text), text(Write::Json)],
        (pads, 0..4).prop_map(|(pad, kind)| {
            let write = match kind {
                0 => return (Write::Bytes { pad }, Type::Bytes, None, Value::Bytes([1, 2, 3, 4, 5, 6].into())),
                1 => Write::BytesBase64 { pad },
                2 => Write::BytesBase64Url { pad },
                _ => Write::BytesHex { pad },
            };
            (write, Type::String, None, Value::text(""))
        }),
        prop_oneof![plain(Write::EpochDays, Type::Int32, Value::Int(0)), named(Write::EpochDays, Type::Int32, "Date")],
        prop_oneof![text(Write::IsoDate), text(Write::IsoTime), text(Write::IsoTimestamp)],
        (0u8..7).prop_map(|fsp| (Write::ZonedTimestamp { fsp }, Type::String, None, Value::text("1970"))),
        prop_oneof![
            plain(Write::TimeMicros, Type::Int64, Value::Int(0)),
            plain(Write::TimeNanos, Type::Int64, Value::Int(0)),
            plain(Write::TimeMillisOfDay, Type::Int32, Value::Int(0)),
            named(Write::TimeMillisOfDay, Type::Int32, "Time"),
        ],
        prop_oneof![
            plain(Write::TimestampMillis, Type::Int64, Value::Int(0)),
            named(Write::TimestampMillis, Type::Int64, "Timestamp"),
            plain(Write::TimestampMicros, Type::Int64, Value::Int(0)),
            plain(Write::TimestampNanos, Type::Int64, Value::Int(0)),
        ],
        plain(Write::Year, Type::Int32, Value::Int(0)),
    ]
}

fn mappers() -> impl Strategy<Value = Mapper> {
    prop_oneof![
        6 => Just(Mapper::None),
        1 => (0u32..6).prop_map(Mapper::Truncate),
        1 => Just(Mapper::Mask("*\"*".into())),
        1 => (any::<bool>(), proptest::option::of(0u32..80)).prop_map(|(plain, length)| {
            Mapper::hash("SHA-256", "salz", plain, length).expect("a digest")
        }),
    ]
}

fn fields() -> impl Strategy<Value = Vec<FieldShape>> {
    let field = (writes(), mappers(), any::<bool>(), any::<bool>(), any::<bool>());
    proptest::collection::vec(field, 1..5).prop_map(|fields| {
        let field = |(column, field): (usize, (Written, Mapper, bool, bool, bool))| {
            let ((write, ty, name, value), mapper, optional, default, fallback) = field;
            let mut schema = Schema::new(ty).optional(optional);
            schema.name = name.map(Arc::from);
            schema.default = default.then(|| value.clone());
            let fallback = if fallback { value } else { Value::Null };
            FieldShape { name: format!("f{column}\"é").into(), column, schema: schema.into(), write, mapper, fallback }
        };
        fields.into_iter().enumerate().map(field).collect()
    })
}

/// A datum that fits the way of writing, most of the time.
fn cell(write: Write) -> BoxedStrategy<Option<Vec<u8>>> {
    let long = |tag: u8, range: std::ops::RangeInclusive<i64>| range.prop_map(move |n| wire(tag, &n.to_le_bytes()));
    let numbers = prop_oneof![
        (-200i64..200).prop_map(int),
        any::<i64>().prop_map(int),
        long(b'u', i64::MIN..=i64::MAX),
        long(b'b', 0..=1)
    ];
    let decimals = prop_oneof![
        (any::<i64>(), 0u16..30).prop_map(|(n, scale)| wire(b'c', format!("{n}:{scale}").as_bytes())),
        (any::<i128>(), 0u16..40).prop_map(|(n, scale)| wire(b'c', format!("{n}:{scale}").as_bytes())),
        ("-?[0-9]{1,70}", 0u16..60).prop_map(|(n, scale)| wire(b'c', format!("{n}:{scale}").as_bytes())),
        Just(wire(b'c', b"0:5")),
        Just(wire(b'c', b"-1000000000000000000000000000000000000000000000:45")),
    ];
    let texts = prop_oneof![
        "\\PC{0,20}".prop_map(|text| wire(b's', text.as_bytes())),
        "[a-z\"\\\\\u{0}-\u{1f}😀é]{0,12}".prop_map(|text| wire(b's', text.as_bytes())),
        "\\PC{0,9}".prop_map(|text| wire(b'j', text.as_bytes())),
    ];
    let bytes = proptest::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| wire(b'x', &bytes));
    let dates = || {
        let date = (0u32..10000, 0u32..14, 0u32..33, 0u32..25, 0u32..61, 0u32..61, 0u32..1_000_001);
        let likely = (0u32..120, 1u32..13, 1u32..29, 0u32..24, 0u32..60, 0u32..60, 0u32..1_000_000);
        (prop_oneof![date.boxed(), likely.boxed()], any::<bool>()).prop_map(|((y, m, d, h, i, s, us), date)| {
            let tag = if date { b'D' } else { b'T' };
            wire(tag, format!("{y},{m},{d},{h},{i},{s},{us}").as_bytes())
        })
    };
    let times = prop_oneof![
        long(b't', 0..=86_400_000_000),
        long(b't', -3_020_399_000_000..=3_020_399_999_999),
        Just(wire(b't', &86_400_000_000i64.to_le_bytes())),
    ];
    let instants = prop_oneof![long(b'n', -9_000_000_000_000_000..=9_000_000_000_000_000), Just(wire(b'z', &[]))];
    let floats = prop_oneof![any::<f64>().prop_map(double), (-1e4f64..1e4).prop_map(double)];
    let fitting = match write {
        Write::Integer | Write::Boolean => prop_oneof![numbers, long(b'y', 0..=2155)].boxed(),
        Write::Year => long(b'y', 0..=2155).boxed(),
        Write::Float32 | Write::Float64 => prop_oneof![floats, numbers].boxed(),
        Write::Decimal { .. } | Write::DecimalText | Write::DecimalDouble => prop_oneof![decimals, numbers].boxed(),
        Write::Text | Write::Json => texts.boxed(),
        Write::Bytes { .. } | Write::BytesBase64 { .. } | Write::BytesBase64Url { .. } | Write::BytesHex { .. } => {
            bytes.boxed()
        }
        Write::EpochDays | Write::IsoDate => dates().boxed(),
        Write::TimeMicros | Write::TimeNanos | Write::TimeMillisOfDay | Write::IsoTime => times.boxed(),
        Write::ZonedTimestamp { .. } => instants.boxed(),
        _ => dates().boxed(),
    };
    let odd = prop_oneof![Just(wire(b'?', &[])), Just(wire(b's', b"odd")), Just(int(3)), Just(wire(b'x', &[0xff]))];
    prop_oneof![20 => fitting, 4 => Just(None), 1 => odd].boxed()
}

fn json_settings() -> impl Strategy<Value = JsonSettings> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(schemas_enable, numeric, replace)| JsonSettings {
        schemas_enable,
        decimal_format: if numeric { DecimalFormat::Numeric } else { DecimalFormat::Base64 },
        replace_null_with_default: replace,
    })
}

fn settings() -> impl Strategy<Value = RecordSettings> {
    let header = prop_oneof![Just(HeaderConverter::Simple), json_settings().prop_map(HeaderConverter::Json)];
    let mode = prop_oneof![Just(ConversionFailure::Fail), Just(ConversionFailure::Warn), Just(ConversionFailure::Skip)];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (json_settings(), json_settings(), header, mode, flags).prop_map(
        |(key, value, header, conversion_failure, (tombstones, skip_unchanged, adjust_years, context))| {
            RecordSettings {
                key,
                value,
                header,
                tombstones,
                skip_unchanged,
                conversion_failure,
                processing_failure: Default::default(),
                adjust_years,
                context_headers: if context { vec![("h".into(), "v\"é".into())] } else { vec![] },
            }
        },
    )
}

type Cells = Vec<Option<Vec<u8>>>;

#[derive(Debug, Clone)]
struct Row {
    op: Op,
    before: Option<Cells>,
    after: Option<Cells>,
    absent: bool,
    slots: bool,
    ordinal: u32,
    transaction: bool,
    snapshot: SnapshotMarker,
}

fn rows(fields: &[FieldShape]) -> impl Strategy<Value = Row> + use<> {
    let image = || fields.iter().map(|field| cell(field.write)).collect::<Vec<_>>();
    let op = prop_oneof![Just(Op::Create), Just(Op::Read), Just(Op::Delete), Just(Op::Update), Just(Op::Update)];
    let copied = proptest::collection::vec(any::<bool>(), fields.len());
    let snapshot = prop_oneof![Just(SnapshotMarker::Streamed), Just(SnapshotMarker::Last)];
    let rest =
        (copied, proptest::bool::weighted(0.1), proptest::bool::weighted(0.03), 0u32..3, any::<bool>(), snapshot);
    (op, image(), image(), rest).prop_map(|(op, before, mut after, rest)| {
        let (copied, no_before, absent, ordinal, transaction, snapshot) = rest;
        for ((after, before), copied) in after.iter_mut().zip(&before).zip(copied) {
            if copied {
                after.clone_from(before);
            }
        }
        let before = (op == Op::Delete || (op == Op::Update && !no_before)).then_some(before);
        let after = (op != Op::Delete).then_some(after);
        Row { op, before, after, absent, slots: ordinal != 2, ordinal, transaction, snapshot }
    })
}

/// Shape, key columns, settings, rows.
fn cases() -> impl Strategy<Value = (Vec<FieldShape>, Vec<usize>, RecordSettings, Vec<Row>)> {
    fields().prop_flat_map(|fields| {
        let rows = proptest::collection::vec(rows(&fields), 1..6);
        let key = proptest::sample::subsequence((0..fields.len()).collect::<Vec<_>>(), 0..=fields.len());
        (Just(fields), key, settings(), rows)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn plan_and_reference_agree((fields, key, settings, rows) in cases()) {
        let names: Vec<String> = (0..fields.len()).map(|i| format!("c{i}")).collect();
        let table = table("db", "t", &names.iter().map(String::as_str).collect::<Vec<_>>());
        let source = Arc::new(envelope::mysql_source_shape("3.6.1.Final", "mysql", "m"));
        let shape = shape("m.db.t", fields, &key, source);
        let mut arena = RowArena::default();
        let file = arena.text("binlog.000001").expect("room");
        let mut slots = vec![MetaSlot::Int(1), MetaSlot::Null, MetaSlot::Text(file), MetaSlot::Int(4)];
        let event = arena.push_event(1_760_000_594_123_456, 1_760_000_600_200_871_555, &slots);
        slots[0] = MetaSlot::Int(2);
        let other = arena.push_event(-1_760_000_594_123_456, -1, &slots);
        let mut heads = Vec::new();
        for row in &rows {
            let before = row.before.as_ref().map(|cells| image(&mut arena, cells));
            let mut after = row.after.as_ref().map(|cells| image(&mut arena, cells));
            if row.absent && let Some(image) = &mut after {
                // An image that leaves its last column out.
                let cells = arena.image(*image).to_vec();
                image.first = arena.next_cell();
                for cell in cells.iter().take(cells.len() - 1) {
                    arena.push_cell(*cell);
                }
                arena.push_cell(Cell::ABSENT);
            }
            let id = arena.text("tx\"1").expect("room");
            let tx = row.transaction.then(|| arena.push_transaction(id, 5, 2));
            let event = if row.slots { event } else { other };
            let (snapshot, op, ordinal) = (row.snapshot, row.op, row.ordinal);
            heads.push(model::RowHead { table: 0, op, snapshot, before, after, event, ordinal, tx });
        }
        let plan = match RecordPlan::compile(&table, &shape, &settings) {
            Ok(plan) => plan,
            // Defaults that do not fit have no place in a shape; these all fit.
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let (mut ctx, mut out) = (EncodeContext::new(), RecordBuffer::default());
        for head in &heads {
            let before = out.records().len();
            let found = plan.encode_row(&table, &arena, head, &mut ctx, &mut out);
            let expected = reference::records(&table, &shape, &settings, &arena, head);
            match (&found, &expected) {
                (Ok(outcome), Ok(expected)) => {
                    let found: Vec<_> = out.records()[before..].iter().map(|record| reference::ReferenceRecord {
                        key: out.key(record).map(<[u8]>::to_vec),
                        value: out.value(record).map(<[u8]>::to_vec),
                        headers: out
                            .headers(record)
                            .map(|(name, value)| (name.to_owned(), value.unwrap_or(b"").to_vec()))
                            .collect(),
                    }).collect();
                    prop_assert_eq!(outcome.records as usize, found.len());
                    prop_assert_eq!(outcome.skipped, expected.is_empty());
                    for (found, expected) in found.iter().zip(expected) {
                        let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(|b| String::from_utf8_lossy(b).into_owned());
                        prop_assert_eq!(text(&found.key), text(&expected.key));
                        prop_assert_eq!(text(&found.value), text(&expected.value));
                        let texts = |record: &reference::ReferenceRecord| record.headers.iter()
                            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value))).collect::<Vec<_>>();
                        prop_assert_eq!(texts(found), texts(expected));
                    }
                    prop_assert_eq!(&found, expected);
                }
                // A row that is dropped because nothing changed is not converted at all.
                (Ok(outcome), Err(_)) if outcome.skipped => {}
                // Values are compared as they are written: what cannot be written stops even an update without change.
                (Err(_), Ok(expected)) if expected.is_empty() => {}
                (Err(_), Err(_)) => prop_assert_eq!(out.records().len(), before),
                _ => return Err(TestCaseError::fail(format!("{found:?} against {expected:?}"))),
            }
        }
    }
}
