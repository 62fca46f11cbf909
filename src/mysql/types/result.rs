//! Cells of a snapshot: result sets of the binary protocol, on a connection whose character set is utf8mb4 and whose
//! time zone is UTC.

use model::{CellDecoder, Datum, Decimal, Scratch, ValueError};
use mysql_ddl::Column;
use mysql_protocol::{json, value};

use super::{
    Kind, UnsupportedType, kind,
    log::{Bit, Bytes, Double, Float, Integer, Text, failure},
    options, time,
};
use crate::{charset::Charset, config::ValueConfig};

/// The decoder of a column's cells in results.
///
/// # Errors
/// The type is not supported.
pub fn result_decoder(column: &Column, modes: &ValueConfig) -> Result<Box<dyn CellDecoder>, UnsupportedType> {
    let bits = column.length.and_then(|n| u8::try_from(n).ok()).unwrap_or(1);
    let escape = modes.escape_enums;
    Ok(match kind(column)? {
        Kind::Integer(_) => Box::new(Integer { unsigned: column.is_unsigned() }),
        Kind::Boolean if column.type_name.starts_with("BIT") => Box::new(Bit { bits }),
        Kind::Boolean => Box::new(Integer { unsigned: false }),
        Kind::Bits => Box::new(Bit { bits }),
        Kind::Decimal => Box::new(Number),
        // FLOAT of more than 24 bits and REAL are DOUBLE to the server.
        Kind::Float32 | Kind::Float64 => Box::new(FloatOrDouble),
        Kind::Text => Box::new(Text { charset: Charset::Utf8 }),
        Kind::Enum | Kind::Set if escape => Box::new(EscapedOption {
            values: options::values(column, false),
            escaped: options::values(column, true),
            set: kind(column)? == Kind::Set,
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
