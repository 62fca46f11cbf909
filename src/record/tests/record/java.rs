//! Java itself as the judge: numbers of a JDK 25, and what Kafka Connect 4.3's converters make of known values. The
//! files under `java/` are the output of `java/Fixtures.java`.

use record::{
    ConvertError, DecimalFormat, HeaderConverter, JsonSettings, Schema, Type, Value, header,
    json::{self, DECIMAL},
    number,
};

use crate::support::same;

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn numbers_are_javas() {
    let mut counts = [0; 3];
    for line in include_str!("java/numbers.txt").lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        match parts.as_slice() {
            ["d", bits, expected] => {
                let value = f64::from_bits(u64::from_str_radix(bits, 16).expect("hex"));
                assert_eq!(text(|out| number::double(value, out)), *expected, "double {bits}");
                counts[0] += 1;
            }
            ["f", bits, expected] => {
                let value = f32::from_bits(u32::from_str_radix(bits, 16).expect("hex"));
                assert_eq!(text(|out| number::float(value, out)), *expected, "float {bits}");
                counts[1] += 1;
            }
            ["n", integer, scale, base64, shown, plain] => {
                let (negative, digits) = (integer.starts_with('-'), integer.trim_start_matches('-').as_bytes());
                let scale: i64 = scale.parse().expect("a scale");
                assert_eq!(text(|out| number::decimal(negative, digits, scale, out)), *shown, "{line}");
                if let Ok(scale) = usize::try_from(scale) {
                    assert_eq!(text(|out| number::plain_decimal(negative, digits, scale, out)), *plain, "{line}");
                }
                let mut unscaled = Vec::new();
                number::twos_complement_of_digits(negative, digits, &mut Vec::new(), &mut unscaled);
                let encode = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
                assert_eq!(encode(&unscaled), *base64, "{line}");
                if let Ok(small) = integer.parse::<i128>() {
                    let (bytes, len) = number::twos_complement(small);
                    assert_eq!(encode(&bytes[16 - len..]), *base64, "{line}");
                }
                let (back_negative, back) = number::digits_of(&unscaled);
                assert_eq!((back_negative, back.as_bytes()), (negative, digits), "{line}");
                counts[2] += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(counts.iter().all(|count| *count > 500), "{counts:?}");
}

fn of(ty: Type) -> Schema {
    Schema::new(ty)
}

fn optional(ty: Type) -> Schema {
    Schema::new(ty).optional(true)
}

fn connect(name: &str, ty: Type) -> Schema {
    optional(ty).named(format!("org.apache.kafka.connect.data.{name}"), Some(1))
}

fn defaulted() -> Schema {
    optional(Type::String).default_value(Some(Value::text("dflt")))
}

fn decimal(unscaled: i128, scale: i32) -> Value {
    let (bytes, len) = number::twos_complement(unscaled);
    Value::Decimal { unscaled: bytes[16 - len..].into(), scale }
}

fn key_schema() -> Schema {
    let decimal = of(Type::Bytes).named(DECIMAL, Some(1)).parameter("scale", "2");
    of(Type::Struct)
        .named("k", None)
        .field("a", of(Type::Int32))
        .field("s", optional(Type::String))
        .field("d", defaulted())
        .field("dec", decimal.parameter("connect.decimal.precision", "10"))
        .field("day", connect("Date", Type::Int32))
        .field("time", connect("Time", Type::Int32))
        .field("ts", connect("Timestamp", Type::Int64))
        .field("x", of(Type::Float64))
        .field("f", optional(Type::Float32))
        .field("b", optional(Type::Bytes))
        .field("t", optional(Type::Boolean))
        .field("l", Schema::array(optional(Type::String)).optional(true))
}

fn map(keys: Schema, items: Schema) -> Schema {
    Schema { keys: Some(keys.into()), items: Some(items.into()), ..of(Type::Map) }
}

/// The values of `Fixtures.java`.
fn case(name: &str) -> (Schema, Value) {
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.into());
    let null = || Value::Null;
    let strings = || vec![(Value::text("b"), Value::Int(1)), (Value::text("a"), Value::Null)];
    match name {
        "key" => {
            let list = Value::Array(vec![Value::text("x\""), Value::Null]);
            let text = Value::text("a\"b\\c\n\té😀/\u{7f}\u{2028}\u{1f}");
            let mut values = vec![Value::Int(20), text, null(), decimal(150, 2), Value::Int(18262)];
            values.extend([Value::Int(3_600_500), Value::Int(1_577_836_800_500), Value::Double(1e10)]);
            values.extend([Value::Float(1.1), bytes(&[1, 2, 255]), Value::Bool(true), list]);
            (key_schema(), Value::Struct(values))
        }
        "key2" => {
            let mut values = vec![Value::Int(20), null(), Value::text("d"), decimal(-1, 2), Value::Int(-1)];
            values.extend([Value::Int(0), Value::Int(-1), Value::Double(f64::NAN), Value::Float(f32::INFINITY)]);
            values.extend([bytes(&[]), null(), null()]);
            (key_schema(), Value::Struct(values))
        }
        "key3" => {
            let mut values = vec![Value::Int(20), Value::text(""), Value::text(""), decimal(0, 2), null()];
            values.extend([Value::Int(86_399_999), Value::Int(253_402_300_799_999), Value::Double(-0.0)]);
            values.extend([null(), null(), Value::Bool(false), Value::Array(vec![])]);
            (key_schema(), Value::Struct(values))
        }
        "text" => (of(Type::String), Value::text("raw \"text\" é")),
        "int" => (of(Type::Int64), Value::Int(i64::MIN)),
        "map" => (map(of(Type::String), optional(Type::Int32)), Value::Map(strings())),
        "optmap" => (map(optional(Type::String), optional(Type::Int32)), Value::Map(strings())),
        "intmap" => {
            let schema = map(of(Type::Int32), optional(Type::String));
            let schema = Schema { doc: Some("a \"doc\"".into()), version: Some(3), ..schema };
            let entries = vec![(Value::Int(5), Value::text("five")), (Value::Int(1), Value::Null)];
            (schema, Value::Map(entries))
        }
        "array" => {
            let schema = Schema { name: Some("list".into()), ..Schema::array(defaulted()) };
            (schema, Value::Array(vec![Value::text("x"), Value::Null]))
        }
        "nulls" => {
            let required = of(Type::String).default_value(Some(Value::text("dflt")));
            let schema = of(Type::Struct).field("o", optional(Type::String)).field("od", defaulted());
            (schema.field("rd", required), Value::Struct(vec![null(), null(), null()]))
        }
        "optnulls" => {
            let schema = of(Type::Struct).field("o", optional(Type::String)).field("od", defaulted());
            (schema, Value::Struct(vec![null(), null()]))
        }
        "decimals" => {
            let decimals = optional(Type::Bytes).named(DECIMAL, Some(1)).parameter("scale", "2");
            let decimals = decimals.default_value(Some(decimal(-150, 2)));
            let schema = of(Type::Struct).field("a", decimals.clone()).field("b", decimals);
            (schema, Value::Struct(vec![decimal(1_844_674_407_370_955_161_500, 2), null()]))
        }
        other => panic!("no case {other}"),
    }
}

#[test]
fn converters_are_connects() {
    let lines = include_str!("java/converters.txt").replace("\\N", "\n");
    // A converted line may contain a line break of its own: a new case starts with a known name.
    let mut cases: Vec<(String, String)> = Vec::new();
    for line in lines.split('\n').filter(|line| !line.is_empty()) {
        let (name, _) = line.split_once([' ', '=']).unwrap_or((line, ""));
        let known = line.contains(" = ") || line.contains(" ! ");
        match cases.last_mut() {
            Some((_, text)) if !(known && name.chars().all(|c| c.is_ascii_alphanumeric())) => {
                text.push('\n');
                text.push_str(line);
            }
            _ => cases.push((name.to_owned(), line.to_owned())),
        }
    }
    assert_eq!(cases.len(), 12 * 9);
    for (name, line) in cases {
        let at = line.find(" = ").into_iter().chain(line.find(" ! ")).min().expect("a result");
        let (call, result) = line.split_at(at);
        let (schema, value) = case(&name);
        let mut out = Vec::new();
        let found = match call.split(' ').collect::<Vec<_>>().as_slice() {
            [_, "header"] => header::to_header(&HeaderConverter::Simple, &schema, &value, &mut out),
            [_, schemas, format, replace] => {
                let settings = JsonSettings {
                    schemas_enable: *schemas == "true",
                    decimal_format: if *format == "NUMERIC" { DecimalFormat::Numeric } else { DecimalFormat::Base64 },
                    replace_null_with_default: *replace == "true",
                };
                json::to_json(Some(&schema), &value, &settings, &mut out)
            }
            other => panic!("{other:?}"),
        };
        let found = match found {
            Ok(()) => format!(" = {}", String::from_utf8(out).expect("UTF-8")),
            Err(error) => {
                assert_eq!(error, ConvertError::RequiredNull);
                format!(" ! {error}")
            }
        };
        // Dates before 1970-01-02 lose their date in Connect's headers; here they keep it.
        let result = result
            .replace("\"day\":00:00:00.000Z", "\"day\":1969-12-31")
            .replace("\"ts\":23:59:59.999Z", "\"ts\":1969-12-31T23:59:59.999Z");
        same(Some(&found), Some(&result), call);
    }
}
