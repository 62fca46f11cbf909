//! Cells of a snapshot: result sets of the binary protocol, on a connection whose character set is utf8mb4 and whose
//! time zone is UTC.

use model::{CellDecoder, Datum, Decimal, Scratch, ValueError};
use mysql_ddl::Column;
use mysql_protocol::{json, packet::result::ColumnDefinition, value};

use super::{
    Kind, UnsupportedType, kind,
    log::{Bit, Bytes, Double, Float, Integer, Text, failure},
    options, time,
};
use crate::{charset::Charset, config::ValueConfig};

/// The decoder of a column's cells in results, which `sent` describes.
///
/// # Errors
/// The type is not supported, or the statement gives values of a type that is not the column's.
pub(crate) fn result_decoder(
    column: &Column,
    sent: &ColumnDefinition,
    modes: &ValueConfig,
) -> Result<Box<dyn CellDecoder>, ResultMismatch> {
    let bits = column.length.and_then(|n| u8::try_from(n).ok()).unwrap_or(1);
    let escape = modes.escape_enums;
    let kind = kind(column)?;
    if !sends(kind, sent.type_code) {
        let (column, model) = (column.name.clone(), column.type_name.clone());
        return Err(ResultMismatch::Different { column, model, code: sent.type_code });
    }
    let unsigned = sent.flags & ColumnDefinition::FLAG_UNSIGNED != 0;
    Ok(match kind {
        Kind::Integer(_) => Box::new(Integer { unsigned }),
        Kind::Boolean if sent.type_code == BIT => Box::new(Bit { bits }),
        Kind::Boolean => Box::new(Integer { unsigned }),
        Kind::Bits => Box::new(Bit { bits }),
        Kind::Decimal => Box::new(Number),
        // FLOAT of more than 24 bits and REAL are DOUBLE to the server.
        Kind::Float32 | Kind::Float64 => Box::new(FloatOrDouble),
        Kind::Text => Box::new(Text { charset: Charset::Utf8 }),
        Kind::Enum | Kind::Set if escape => Box::new(EscapedOption {
            values: options::values(column, false),
            escaped: options::values(column, true),
            set: kind == Kind::Set,
        }),
        Kind::Enum | Kind::Set => Box::new(Text { charset: Charset::Utf8 }),
        Kind::Binary(_) => Box::new(Bytes),
        Kind::Json => Box::new(Json),
        Kind::Date => Box::new(Date),
        Kind::Time => Box::new(Time),
        Kind::DateTime => Box::new(DateTime),
        Kind::Timestamp => Box::new(Timestamp),
        Kind::Year => Box::new(Year),
    })
}

/// A column of a result is not the column of the table that it is named after.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResultMismatch {
    /// The type is not supported.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedType),
    /// The values have another type.
    #[error("column {column} is {model} in the table, and the snapshot's SELECT gives values of the type code {code}")]
    Different {
        /// The column.
        column: String,
        /// The model's type in words.
        model: String,
        /// `enum_field_types` of the result.
        code: u8,
    },
}

const BIT: u8 = 16;

/// Whether values of a kind come as this type (`enum_field_types`).
fn sends(kind: Kind, code: u8) -> bool {
    let integer = matches!(code, 1 | 2 | 3 | 8 | 9);
    let text = matches!(code, 15 | 249..=254);
    match kind {
        Kind::Integer(_) => integer,
        Kind::Boolean => integer || code == BIT,
        Kind::Bits => code == BIT,
        Kind::Decimal => matches!(code, 0 | 246),
        Kind::Float32 | Kind::Float64 => matches!(code, 4 | 5),
        Kind::Text | Kind::Binary(_) => text,
        Kind::Enum | Kind::Set => text || matches!(code, 247 | 248),
        Kind::Json => code == 245,
        Kind::Date => matches!(code, 10 | 14),
        Kind::Time => matches!(code, 11 | 19),
        Kind::DateTime => matches!(code, 12 | 18),
        Kind::Timestamp => matches!(code, 7 | 17),
        Kind::Year => code == 13,
    }
}

/// DECIMAL, which results carry as text.
#[derive(Debug)]
struct Number;

impl CellDecoder for Number {
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        const WRONG: ValueError = ValueError(std::borrow::Cow::Borrowed("DECIMAL of a result is not a number"));
        let (negative, digits) = match bytes.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, bytes),
        };
        scratch.text.clear();
        let mut scale = None;
        for byte in digits {
            match (byte, scale.as_mut()) {
                (b'.', None) => scale = Some(0u16),
                (b'0'..=b'9', count) => {
                    // Zeros in front are no digits.
                    if *byte != b'0' || !scratch.text.is_empty() || count.is_some() {
                        scratch.text.push(char::from(*byte));
                    }
                    if let Some(count) = count {
                        *count = count.saturating_add(1);
                    }
                }
                _ => return Err(WRONG),
            }
        }
        if digits.is_empty() {
            return Err(WRONG);
        }
        let scale = scale.unwrap_or(0);
        if scratch.text.is_empty() {
            scratch.text.push('0');
        }
        if scratch.text.len() <= 38 {
            let unscaled: i128 = scratch.text.parse().map_err(|_| WRONG)?;
            let unscaled = if negative { -unscaled } else { unscaled };
            return Ok(Datum::Decimal(Decimal::Small { unscaled, scale }));
        }
        let negative = negative && scratch.text.bytes().any(|b| b != b'0');
        Ok(Datum::Decimal(Decimal::Big { negative, digits: &scratch.text, scale }))
    }
}

#[derive(Debug)]
struct FloatOrDouble;

impl CellDecoder for FloatOrDouble {
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        match bytes.len() {
            4 => Float.decode(bytes, scratch).map(detached),
            _ => Double.decode(bytes, scratch).map(detached),
        }
    }
}

/// A number, which borrows nothing.
fn detached<'a>(datum: Datum<'_>) -> Datum<'a> {
    match datum {
        Datum::Float(value) => Datum::Float(value),
        Datum::Double(value) => Datum::Double(value),
        _ => Datum::Null,
    }
}

/// ENUM and SET in the escapes Debezium streams.
#[derive(Debug)]
struct EscapedOption {
    values: Vec<Box<str>>,
    escaped: Vec<Box<str>>,
    set: bool,
}

impl CellDecoder for EscapedOption {
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ValueError::fixed("ENUM or SET of a result is not UTF-8"))?;
        scratch.text.clear();
        // A member of a SET has no comma, so that commas separate.
        for (index, item) in text.split(if self.set { ',' } else { '\0' }).enumerate() {
            if index > 0 {
                scratch.text.push(',');
            }
            let place = self.values.iter().position(|value| **value == *item);
            let escaped = place.and_then(|place| self.escaped.get(place));
            scratch.text.push_str(escaped.map_or(item, |escaped| escaped));
        }
        Ok(Datum::Str(&scratch.text))
    }
}

/// JSON, which results carry as the server's text; rendered as the log's.
#[derive(Debug)]
struct Json;

impl CellDecoder for Json {
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ValueError::fixed("JSON of a result is not UTF-8"))?;
        scratch.text.clear();
        json::append_server_text(text, &mut scratch.text).map_err(failure)?;
        Ok(Datum::Json(&scratch.text))
    }
}

#[derive(Debug)]
struct Date;

impl CellDecoder for Date {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        value::result::datetime(bytes).map(|value| Datum::Date(time::date(value.date))).map_err(failure)
    }
}

#[derive(Debug)]
struct Time;

impl CellDecoder for Time {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        value::result::time(bytes).map(|time| Datum::Time(time.total_micros())).map_err(failure)
    }
}

#[derive(Debug)]
struct DateTime;

impl CellDecoder for DateTime {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        value::result::datetime(bytes).map(|value| Datum::DateTime(time::datetime(value))).map_err(failure)
    }
}

/// TIMESTAMP, in the session's zone, which is UTC.
#[derive(Debug)]
struct Timestamp;

impl CellDecoder for Timestamp {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let value = value::result::datetime(bytes).map_err(failure)?;
        if value == value::DateTime::default() {
            return Ok(Datum::ZeroInstant);
        }
        let micros = time::epoch_micros(&time::datetime(value));
        micros.map(Datum::Instant).ok_or(ValueError::fixed("TIMESTAMP of a result is no point in time"))
    }
}

#[derive(Debug)]
struct Year;

impl CellDecoder for Year {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let year = value::unsigned(bytes).map_err(failure)?;
        i32::try_from(year).map(Datum::Year).map_err(|_| ValueError::fixed("YEAR of a result is out of range"))
    }
}
