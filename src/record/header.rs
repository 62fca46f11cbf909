//! Headers: `org.apache.kafka.connect.storage.SimpleHeaderConverter`.
//!
//! Top-level text and base64 of bytes are written raw; inside a struct, list or map they and names are quoted and
//! only `\` and `"` are escaped; decimals and Connect's Date, Time and Timestamp are bare.
//!
//! Connect chooses the form of all three temporal types by the number of milliseconds alone: below one day the time
//! of day, a multiple of a day the date. A Timestamp at midnight is therefore a date, here too. A Date or Timestamp
//! before 1970-01-02 would lose its date and a Time of 24:00:00 become a date; those are written in full.

use base64::engine::general_purpose::STANDARD;

use crate::{
    ConvertError, HeaderConverter, Schema, Type, Value,
    calendar::{self, Fraction},
    json, number,
};

/// Appends a header's value as its converter writes it.
///
/// # Errors
/// The value does not fit the schema.
pub fn to_header(
    converter: &HeaderConverter,
    schema: &Schema,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<(), ConvertError> {
    match (converter, value) {
        (HeaderConverter::Json(settings), _) => json::to_json(Some(schema), value, settings, out),
        (HeaderConverter::Simple, Value::Text(text)) => {
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
        (HeaderConverter::Simple, Value::Bytes(bytes)) => {
            json::base64(&STANDARD, bytes, out);
            Ok(())
        }
        (HeaderConverter::Simple, value) => write_nested(Some(schema), value, out),
    }
}

/// Appends a text in quotes, with `\` and `"` escaped and all else raw.
pub(crate) fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Appends a value as it stands inside a struct, list or map.
///
/// # Errors
/// The value does not fit the schema.
pub(crate) fn write_nested(schema: Option<&Schema>, value: &Value, out: &mut Vec<u8>) -> Result<(), ConvertError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Int(n) => integer(schema, *n, out),
        Value::Float(x) => number::float(*x, out),
        Value::Double(x) => number::double(*x, out),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Text(text) => quoted(text, out),
        Value::Bytes(bytes) => json::base64_text(bytes, out),
        Value::Decimal { unscaled, scale } => {
            let (negative, digits) = number::digits_of(unscaled);
            number::decimal(negative, digits.as_bytes(), i64::from(*scale), out);
        }
        Value::Array(items) => {
            let element = schema.and_then(|schema| schema.items.as_deref());
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_nested(element, item, out)?;
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            let keys = schema.and_then(|schema| schema.keys.as_deref());
            let items = schema.and_then(|schema| schema.items.as_deref());
            out.push(b'{');
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_nested(keys, key, out)?;
                out.push(b':');
                write_nested(items, value, out)?;
            }
            out.push(b'}');
        }
        Value::Struct(values) => {
            let schema = schema.ok_or(ConvertError::Mismatch(Type::Struct))?;
            if values.len() != schema.fields.len() {
                let name = schema.name.clone().unwrap_or_else(|| "".into());
                return Err(ConvertError::Fields { name, fields: schema.fields.len(), values: values.len() });
            }
            out.push(b'{');
            for (i, (field, value)) in schema.fields.iter().zip(values).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                quoted(&field.name, out);
                out.push(b':');
                write_field(&field.schema, value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Appends the value of a struct's field: a struct gives the default of a field that is unset.
///
/// # Errors
/// The value does not fit the schema.
pub(crate) fn write_field(schema: &Schema, value: &Value, out: &mut Vec<u8>) -> Result<(), ConvertError> {
    match (value, &schema.default) {
        (Value::Null, Some(default)) => write_nested(Some(schema), default, out),
        _ => write_nested(Some(schema), value, out),
    }
}

/// Appends Connect's Date: days since the epoch.
pub(crate) fn connect_date(days: i32, out: &mut Vec<u8>) {
    let (year, month, day) = calendar::civil(i64::from(days));
    calendar::date(year, month, day, out);
}

/// Appends Connect's Time: milliseconds of the day.
pub(crate) fn connect_time(millis: i64, out: &mut Vec<u8>) {
    calendar::time(millis.clamp(0, 86_400_000) * 1000, Fraction::Exactly(3), out);
    out.push(b'Z');
}

/// Appends Connect's Timestamp: milliseconds since the epoch.
pub(crate) fn connect_timestamp(millis: i64, out: &mut Vec<u8>) {
    const DAY: i64 = 86_400_000;
    match i32::try_from(millis.div_euclid(DAY)) {
        Ok(days) if millis.rem_euclid(DAY) == 0 => connect_date(days, out),
        _ => calendar::instant(millis.saturating_mul(1000), Fraction::Exactly(3), out),
    }
}

fn integer(schema: Option<&Schema>, n: i64, out: &mut Vec<u8>) {
    let name = schema.and_then(|schema| schema.name.as_deref());
    match name.and_then(|name| name.strip_prefix("org.apache.kafka.connect.data.")) {
        Some("Date") => match i32::try_from(n) {
            Ok(days) => connect_date(days, out),
            Err(_) => json::integer(n, out),
        },
        Some("Time") => connect_time(n, out),
        Some("Timestamp") => connect_timestamp(n, out),
        _ => json::integer(n, out),
    }
}
