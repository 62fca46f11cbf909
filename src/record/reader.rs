//! Change events read back: what a consumer makes of a record's value.
//!
//! Takes every form the converters emit: with and without schema, whole envelopes and rows unwrapped from them,
//! tombstones. Decimals and times are given in one unit each; what they mean is in the schema where the record has
//! one, else the reader says it by [`Hint`].

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value as Json};

use crate::json::DECIMAL;

/// A value that is no change event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not JSON; the place is line and column.
    #[error("the value is not JSON (line {line}, column {column})")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// JSON, but neither an envelope nor a row.
    #[error("the value is not a change event: {0}")]
    Shape(&'static str),
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `c`.
    Create,
    /// `r`, a row of a snapshot.
    Read,
    /// `u`.
    Update,
    /// `d`.
    Delete,
    /// `t`.
    Truncate,
    /// A row without envelope: it is there now, whether it was before is not known.
    Upsert,
    /// A tombstone: the key is gone.
    Tombstone,
}

/// A parsed value.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    change: Change,
    payload: Json,
    schema: Option<Json>,
    envelope: bool,
}

/// What a value without schema means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Decimals have so many digits after the point.
    Scale(u16),
    /// Times are counted in milliseconds.
    Millis,
    /// Times are counted in microseconds.
    Micros,
    /// Times are counted in nanoseconds.
    Nanos,
    /// Times are whole days.
    Days,
}

impl Event {
    /// Reads a record's value; `None` is Kafka's null.
    ///
    /// # Errors
    /// The bytes are not JSON, or not a change event.
    pub fn parse(value: Option<&[u8]>) -> Result<Self, ReadError> {
        let tombstone = Self { change: Change::Tombstone, payload: Json::Null, schema: None, envelope: false };
        let Some(bytes) = value else { return Ok(tombstone) };
        let json: Json = serde_json::from_slice(bytes)
            .map_err(|error| ReadError::Json { line: error.line(), column: error.column() })?;
        let (schema, payload) = match json {
            Json::Object(mut map) if map.len() == 2 && map.contains_key("schema") && map.contains_key("payload") => {
                let schema = map.remove("schema").filter(Json::is_object);
                (schema, map.remove("payload").unwrap_or(Json::Null))
            }
            json => (None, json),
        };
        let fields = match &payload {
            Json::Null => return Ok(tombstone),
            Json::Object(fields) => fields,
            _ => return Err(ReadError::Shape("the payload is not an object")),
        };
        // A row may have a column `op` of its own; an envelope has the three together.
        let envelope = fields.contains_key("op") && fields.contains_key("source") && fields.contains_key("after");
        let change = match (envelope, fields.get("op").and_then(Json::as_str)) {
            (false, _) if fields.get("__deleted").is_some_and(|flag| *flag == true || *flag == "true") => {
                Change::Delete
            }
            (false, _) => Change::Upsert,
            (true, Some("c")) => Change::Create,
            (true, Some("r")) => Change::Read,
            (true, Some("u")) => Change::Update,
            (true, Some("d")) => Change::Delete,
            (true, Some("t")) => Change::Truncate,
            (true, _) => return Err(ReadError::Shape("its op is not one of c, r, u, d, t")),
        };
        Ok(Self { change, payload, schema, envelope })
    }

    /// What happened.
    pub fn change(&self) -> Change {
        self.change
    }

    /// The row before; `None` where the event has none.
    pub fn before(&self) -> Option<Row<'_>> {
        if self.envelope {
            return self.image("before");
        }
        // An unwrapped delete that was rewritten holds the deleted row.
        (self.change == Change::Delete).then(|| self.unwrapped()).flatten()
    }

    /// The row after; `None` where the event has none.
    pub fn after(&self) -> Option<Row<'_>> {
        if self.envelope {
            return self.image("after");
        }
        (self.change == Change::Upsert).then(|| self.unwrapped()).flatten()
    }

    /// A field of the source block.
    pub fn source(&self, field: &str) -> Option<&Json> {
        self.payload.get("source").filter(|_| self.envelope)?.get(field).filter(|value| !value.is_null())
    }

    /// Time of the change at the source, milliseconds since the epoch.
    pub fn source_ms(&self) -> Option<i64> {
        self.source("ts_ms").and_then(Json::as_i64)
    }

    /// `db.table` of the change.
    pub fn table(&self) -> Option<(&str, &str)> {
        let text = |field| self.source(field).and_then(Json::as_str);
        Some((text("schema").or_else(|| text("db"))?, text("table")?))
    }

    /// The row of an unwrapped value.
    fn unwrapped(&self) -> Option<Row<'_>> {
        Some(Row { fields: self.payload.as_object()?, schema: self.schema.as_ref() })
    }

    fn image(&self, name: &str) -> Option<Row<'_>> {
        let fields = self.payload.get(name)?.as_object()?;
        Some(Row { fields, schema: self.schema.as_ref().and_then(|schema| field_schema(schema, name)) })
    }
}

/// The schema of a struct's field.
fn field_schema<'a>(schema: &'a Json, name: &str) -> Option<&'a Json> {
    schema.get("fields")?.as_array()?.iter().find(|field| field.get("field").and_then(Json::as_str) == Some(name))
}

/// An exact decimal of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExactDecimal {
    /// The number without its point.
    pub unscaled: i128,
    /// Digits after the point.
    pub scale: u16,
}

/// A row image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    fields: &'a Map<String, Json>,
    schema: Option<&'a Json>,
}

impl<'a> Row<'a> {
    /// A field's value as it stands; `None` for null and for a field that is not there.
    pub fn get(&self, field: &str) -> Option<&'a Json> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// Names of all fields.
    pub fn fields(&self) -> impl Iterator<Item = &'a str> {
        self.fields.keys().map(String::as_str)
    }

    /// Text.
    pub fn text(&self, field: &str) -> Option<&'a str> {
        self.get(field)?.as_str()
    }

    /// An integer, also as text of one.
    pub fn integer(&self, field: &str) -> Option<i64> {
        match self.get(field)? {
            Json::String(text) => text.parse().ok(),
            value => value.as_i64(),
        }
    }

    /// A decimal in any of its forms: base64 (the scale is in the schema or given by the hint), a number, text.
    pub fn decimal(&self, field: &str, hint: Option<Hint>) -> Option<ExactDecimal> {
        let value = self.get(field)?;
        let schema = self.field_schema(field);
        let named = schema.and_then(|schema| schema.get("name")).and_then(Json::as_str);
        let scale = match (named, hint) {
            (Some(DECIMAL), _) => schema?.get("parameters")?.get("scale")?.as_str()?.parse().ok(),
            (None, Some(Hint::Scale(scale))) if schema.is_none() => Some(scale),
            _ => None,
        };
        match (value, scale) {
            (Json::String(text), Some(scale)) if !is_decimal_text(text) || named == Some(DECIMAL) => {
                let bytes = STANDARD.decode(text).ok()?;
                Some(ExactDecimal { unscaled: twos_complement(&bytes)?, scale })
            }
            (Json::String(text), _) => decimal_of_text(text),
            (Json::Number(number), _) => decimal_of_text(&number.to_string()),
            _ => None,
        }
    }

    /// A date, time or timestamp in microseconds: since the epoch, or since midnight for times. The unit is in the
    /// schema or given by the hint.
    pub fn micros(&self, field: &str, hint: Option<Hint>) -> Option<i64> {
        let value = self.get(field)?.as_i64()?;
        let named = self.field_schema(field).and_then(|schema| schema.get("name")).and_then(Json::as_str);
        let unit = match named.and_then(|name| name.rsplit_once('.')).map(|(_, name)| name) {
            Some("Date") => Some(Hint::Days),
            Some("Timestamp" | "Time") => Some(Hint::Millis),
            Some("MicroTimestamp" | "MicroTime") => Some(Hint::Micros),
            Some("NanoTimestamp" | "NanoTime") => Some(Hint::Nanos),
            _ => hint,
        };
        match unit? {
            Hint::Days => value.checked_mul(86_400_000_000),
            Hint::Millis => value.checked_mul(1000),
            Hint::Micros => Some(value),
            Hint::Nanos => Some(value.div_euclid(1000)),
            Hint::Scale(_) => None,
        }
    }

    fn field_schema(&self, field: &str) -> Option<&'a Json> {
        self.schema.and_then(|schema| field_schema(schema, field))
    }
}

/// Whether a text can only be a decimal in plain digits: with a point, which base64 does not have.
fn is_decimal_text(text: &str) -> bool {
    text.contains('.') && decimal_of_text(text).is_some()
}

fn twos_complement(bytes: &[u8]) -> Option<i128> {
    let first = bytes.first()?;
    let mut number = [if *first >= 0x80 { 0xFF } else { 0 }; 16];
    let start = 16usize.checked_sub(bytes.len())?;
    number.get_mut(start..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(number))
}

/// Reads `-12.50`, `7`, `1E-3`.
fn decimal_of_text(text: &str) -> Option<ExactDecimal> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let ascii = digits.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !ascii || digits.is_empty() {
        return None;
    }
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    match u16::try_from(scale) {
        Ok(scale) => Some(ExactDecimal { unscaled, scale }),
        Err(_) if scale < 0 => {
            let factor = 10i128.checked_pow(scale.unsigned_abs())?;
            Some(ExactDecimal { unscaled: unscaled.checked_mul(factor)?, scale: 0 })
        }
        Err(_) => None,
    }
}
