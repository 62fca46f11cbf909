//! `org.apache.kafka.connect.json.JsonConverter`: schemas and values of Connect's data model as JSON.
//!
//! Works on any [`Schema`] and [`Value`]; rows take the compiled way of [`crate::RecordPlan`], which must give
//! the same bytes.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{ConvertError, DecimalFormat, JsonSettings, Schema, Type, Value, escape, number};

/// Name of Connect's Decimal.
pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";

/// Appends `value` as the converter sends it, with or without its schema around it.
///
/// Kafka's null (null value *and* null schema) is the caller's: it has no bytes.
///
/// # Errors
/// The value does not fit the schema; `out` is then as it was.
pub fn to_json(
    schema: Option<&Schema>,
    value: &Value,
    settings: &JsonSettings,
    out: &mut Vec<u8>,
) -> Result<(), ConvertError> {
    let start = out.len();
    if settings.schemas_enable {
        out.extend_from_slice(b"{\"schema\":");
        match schema {
            Some(schema) => write_schema(schema, None, settings, out).inspect_err(|_| out.truncate(start))?,
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"payload\":");
    }
    write_value(schema, value, settings, out).inspect_err(|_| out.truncate(start))?;
    if settings.schemas_enable {
        out.push(b'}');
    }
    Ok(())
}

/// Appends the bytes before a payload that is wrapped into its schema: `{"schema":..,"payload":`.
///
/// # Errors
/// A default of the schema does not fit it.
pub fn write_schema_prefix(schema: &Schema, settings: &JsonSettings, out: &mut Vec<u8>) -> Result<(), ConvertError> {
    out.extend_from_slice(b"{\"schema\":");
    write_schema(schema, None, settings, out)?;
    out.extend_from_slice(b",\"payload\":");
    Ok(())
}

/// Appends a schema node; `field` is its name inside a struct.
///
/// # Errors
/// A default does not fit its schema.
pub fn write_schema(
    schema: &Schema,
    field: Option<&str>,
    settings: &JsonSettings,
    out: &mut Vec<u8>,
) -> Result<(), ConvertError> {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(type_name(schema.ty).as_bytes());
    out.push(b'"');
    match schema.ty {
        Type::Array => {
            out.extend_from_slice(b",\"items\":");
            write_schema(schema.items.as_deref().ok_or(ConvertError::NoElement)?, None, settings, out)?;
        }
        Type::Map => {
            out.extend_from_slice(b",\"keys\":");
            write_schema(schema.keys.as_deref().ok_or(ConvertError::NoElement)?, None, settings, out)?;
            out.extend_from_slice(b",\"values\":");
            write_schema(schema.items.as_deref().ok_or(ConvertError::NoElement)?, None, settings, out)?;
        }
        Type::Struct => {
            out.extend_from_slice(b",\"fields\":[");
            for (i, field) in schema.fields.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_schema(&field.schema, Some(&field.name), settings, out)?;
            }
            out.push(b']');
        }
        _ => {}
    }
    out.extend_from_slice(if schema.optional { b",\"optional\":true" } else { b",\"optional\":false" });
    if let Some(name) = &schema.name {
        out.extend_from_slice(b",\"name\":");
        escape::quoted(name, out);
    }
    if let Some(version) = schema.version {
        out.extend_from_slice(b",\"version\":");
        integer(i64::from(version), out);
    }
    if let Some(doc) = &schema.doc {
        out.extend_from_slice(b",\"doc\":");
        escape::quoted(doc, out);
    }
    if !schema.parameters.is_empty() {
        out.extend_from_slice(b",\"parameters\":{");
        for (i, (key, value)) in schema.parameters.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            escape::quoted(key, out);
            out.push(b':');
            escape::quoted(value, out);
        }
        out.push(b'}');
    }
    if let Some(default) = &schema.default {
        out.extend_from_slice(b",\"default\":");
        write_value(Some(schema), default, settings, out)?;
    }
    if let Some(field) = field {
        out.extend_from_slice(b",\"field\":");
        escape::quoted(field, out);
    }
    out.push(b'}');
    Ok(())
}

fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Int8 => "int8",
        Type::Int16 => "int16",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Float32 => "float",
        Type::Float64 => "double",
        Type::Boolean => "boolean",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Array => "array",
        Type::Map => "map",
        Type::Struct => "struct",
    }
}

/// Appends a value by its schema; without one (a schemaless value) by its own kind.
///
/// # Errors
/// The value does not fit the schema.
pub fn write_value(
    schema: Option<&Schema>,
    value: &Value,
    settings: &JsonSettings,
    out: &mut Vec<u8>,
) -> Result<(), ConvertError> {
    if let Value::Null = value {
        return write_null(schema, settings, out);
    }
    if schema.is_some_and(|schema| !fits(schema.ty, value)) {
        return Err(schema.map_or(ConvertError::RequiredNull, |schema| ConvertError::Mismatch(schema.ty)));
    }
    match value {
        Value::Null => {}
        Value::Int(n) => integer(*n, out),
        Value::Float(x) => quoted_unless(x.is_finite(), out, |out| number::float(*x, out)),
        Value::Double(x) => quoted_unless(x.is_finite(), out, |out| number::double(*x, out)),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Text(text) => escape::quoted(text, out),
        Value::Bytes(bytes) => base64_text(bytes, out),
        Value::Decimal { unscaled, scale } => match settings.decimal_format {
            DecimalFormat::Base64 => base64_text(number::minimal(unscaled), out),
            DecimalFormat::Numeric => {
                let (negative, digits) = number::digits_of(unscaled);
                number::decimal(negative, digits.as_bytes(), i64::from(*scale), out);
            }
        },
        Value::Array(items) => {
            let element = schema.and_then(|schema| schema.items.as_deref());
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(element, item, settings, out)?;
            }
            out.push(b']');
        }
        Value::Map(entries) => write_map(schema, entries, settings, out)?,
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
                escape::quoted(&field.name, out);
                out.push(b':');
                write_value(Some(&field.schema), value, settings, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// A null: the default where the converter replaces nulls, even for an optional field.
fn write_null(schema: Option<&Schema>, settings: &JsonSettings, out: &mut Vec<u8>) -> Result<(), ConvertError> {
    match schema {
        Some(Schema { default: Some(default), .. })
            if settings.replace_null_with_default && *default != Value::Null =>
        {
            write_value(schema, default, settings, out)
        }
        Some(schema) if !schema.optional => Err(ConvertError::RequiredNull),
        _ => {
            out.extend_from_slice(b"null");
            Ok(())
        }
    }
}

/// String keys make an object, others an array of pairs.
fn write_map(
    schema: Option<&Schema>,
    entries: &[(Value, Value)],
    settings: &JsonSettings,
    out: &mut Vec<u8>,
) -> Result<(), ConvertError> {
    let keys = schema.and_then(|schema| schema.keys.as_deref());
    let items = schema.and_then(|schema| schema.items.as_deref());
    let object = match keys {
        Some(keys) => keys.ty == Type::String,
        None => entries.iter().all(|(key, _)| matches!(key, Value::Text(_))),
    };
    out.push(if object { b'{' } else { b'[' });
    for (i, (key, value)) in entries.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if !object {
            out.push(b'[');
        }
        if object && *key == Value::Null {
            return Err(ConvertError::RequiredNull);
        }
        write_value(keys, key, settings, out)?;
        out.push(if object { b':' } else { b',' });
        write_value(items, value, settings, out)?;
        if !object {
            out.push(b']');
        }
    }
    out.push(if object { b'}' } else { b']' });
    Ok(())
}

fn fits(ty: Type, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Int(n) => match ty {
            Type::Int8 => i8::try_from(*n).is_ok(),
            Type::Int16 => i16::try_from(*n).is_ok(),
            Type::Int32 => i32::try_from(*n).is_ok(),
            Type::Int64 => true,
            _ => false,
        },
        Value::Float(_) => ty == Type::Float32,
        Value::Double(_) => ty == Type::Float64,
        Value::Bool(_) => ty == Type::Boolean,
        Value::Text(_) => ty == Type::String,
        Value::Bytes(_) | Value::Decimal { .. } => ty == Type::Bytes,
        Value::Array(_) => ty == Type::Array,
        Value::Map(_) => ty == Type::Map,
        Value::Struct(_) => ty == Type::Struct,
    }
}

/// Appends an integer.
pub(crate) fn integer(n: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// JSON has no infinities: such numbers become strings.
pub(crate) fn quoted_unless(finite: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if !finite {
        out.push(b'"');
    }
    write(out);
    if !finite {
        out.push(b'"');
    }
}

/// Appends bytes as a string of standard base64 with padding.
pub(crate) fn base64_text(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if bytes.len() <= SHORT {
        short_base64(bytes, out);
    } else {
        base64(&STANDARD, bytes, out);
    }
    out.push(b'"');
}

/// Decimals are short, and for them the set-up of a general encoder costs more than the encoding.
const SHORT: usize = 16;

fn short_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| chunk.get(i).map_or(0, |byte| u32::from(*byte));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |shift: u32| ALPHABET[(word >> shift & 63) as usize];
        let third = if chunk.len() > 1 { digit(6) } else { b'=' };
        let fourth = if chunk.len() > 2 { digit(0) } else { b'=' };
        out.extend_from_slice(&[digit(18), digit(12), third, fourth]);
    }
}

/// Appends bytes in a base64 alphabet, padded.
pub(crate) fn base64(engine: &impl Engine, bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = out.get_mut(start..).and_then(|room| engine.encode_slice(bytes, room).ok()).unwrap_or(0);
    out.truncate(start + written);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_encoded_as_long_ones_are() {
        let bytes: Vec<u8> = (0..=255).rev().collect();
        for len in 0..=SHORT + 2 {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for part in bytes.chunks(len.max(1)) {
                base64_text(part.get(..len).unwrap_or(part), &mut ours);
                theirs.push(b'"');
                base64(&STANDARD, part.get(..len).unwrap_or(part), &mut theirs);
                theirs.push(b'"');
            }
            assert_eq!(ours, theirs);
        }
    }
}
