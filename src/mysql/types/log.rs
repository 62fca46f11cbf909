//! Cells of the binary log.

use model::{CellDecoder, Datum, Decimal, Scratch, ValueError};
use mysql_ddl::Column;
use mysql_protocol::{DecodeError, column::ColumnType as Wire, json, value};

use super::{Kind, UnsupportedType, kind, options, time};
use crate::{charset::Charset, config::ValueConfig};

/// The table model and the log disagree about a column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TypeMismatch {
    /// The type is not supported.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedType),
    /// The log has another type than the model.
    #[error("column {column} is {model} in the schema history and {wire} in the binary log")]
    Different {
        /// The column.
        column: String,
        /// The model's type in words.
        model: String,
        /// The log's type in words.
        wire: &'static str,
    },
}

/// The decoder of a column's cells in row events whose TABLE_MAP gives it the type `wire`.
///
/// # Errors
/// The type is not supported, or the two types do not belong together: the table model is of another time.
pub(crate) fn log_decoder(
    column: &Column,
    wire: Wire,
    modes: &ValueConfig,
) -> Result<Box<dyn CellDecoder>, TypeMismatch> {
    let kind = kind(column)?;
    let unsigned = column.is_unsigned();
    let decoder: Box<dyn CellDecoder> = match (kind, wire) {
        (Kind::Integer(8) | Kind::Boolean, Wire::Tiny)
        | (Kind::Integer(16), Wire::Short)
        | (Kind::Integer(24), Wire::Int24)
        | (Kind::Integer(32), Wire::Long)
        | (Kind::Integer(64), Wire::LongLong) => Box::new(Integer { unsigned }),
        (Kind::Boolean | Kind::Bits, Wire::Bit { bits }) => Box::new(Bit { bits }),
        (Kind::Decimal, Wire::Decimal { precision, scale }) => Box::new(Number { precision, scale }),
        (Kind::Float32 | Kind::Float64, Wire::Float) => Box::new(Float),
        (Kind::Float32 | Kind::Float64, Wire::Double) => Box::new(Double),
        (Kind::Text, Wire::VarChar { .. } | Wire::Char { .. } | Wire::Blob { .. }) => {
            Box::new(Text { charset: Charset::of(column.charset.as_deref()) })
        }
        (Kind::Binary(_), Wire::VarChar { .. } | Wire::Char { .. } | Wire::Blob { .. }) => Box::new(Bytes),
        (Kind::Enum, Wire::Enum { .. }) => Box::new(Enum { options: options::values(column, modes.escape_enums) }),
        (Kind::Set, Wire::Set { .. }) => Box::new(Set { options: options::values(column, modes.escape_enums) }),
        (Kind::Json, Wire::Json { .. }) => Box::new(Json),
        (Kind::Date, Wire::Date) => Box::new(Date),
        (Kind::Time, Wire::Time { fsp }) => Box::new(Time { fsp: Some(fsp) }),
        (Kind::Time, Wire::OldTime) => Box::new(Time { fsp: None }),
        (Kind::DateTime, Wire::DateTime { fsp }) => Box::new(DateTime { fsp: Some(fsp) }),
        (Kind::DateTime, Wire::OldDateTime) => Box::new(DateTime { fsp: None }),
        (Kind::Timestamp, Wire::Timestamp { fsp }) => Box::new(Timestamp { fsp: Some(fsp) }),
        (Kind::Timestamp, Wire::OldTimestamp) => Box::new(Timestamp { fsp: None }),
        (Kind::Year, Wire::Year) => Box::new(Year),
        _ => {
            let (column, model) = (column.name.clone(), column.type_name.clone());
            return Err(TypeMismatch::Different { column, model, wire: wire.name() });
        }
    };
    Ok(decoder)
}

/// A protocol error as a value's: it names types and offsets, no values.
pub(super) fn failure(error: DecodeError) -> ValueError {
    ValueError::new(error.to_string())
}

/// Integers; row events and results of the binary protocol store them alike.
#[derive(Debug)]
pub(super) struct Integer {
    pub(super) unsigned: bool,
}

impl CellDecoder for Integer {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        if self.unsigned {
            value::unsigned(bytes).map(Datum::UInt).map_err(failure)
        } else {
            value::signed(bytes).map(Datum::Int).map_err(failure)
        }
    }
}

/// BIT, big-endian on the wire.
#[derive(Debug)]
pub(super) struct Bit {
    pub(super) bits: u8,
}

impl CellDecoder for Bit {
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let number = value::bit(bytes).map_err(failure)?;
        scratch.bytes.clear();
        scratch.bytes.extend_from_slice(&number.to_le_bytes());
        scratch.bytes.truncate(usize::from(self.bits.clamp(1, 64)).div_ceil(8));
        Ok(Datum::Bits(&scratch.bytes))
    }
}

#[derive(Debug)]
struct Number {
    precision: u8,
    scale: u8,
}

impl CellDecoder for Number {
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let scale = u16::from(self.scale);
        if let Some(unscaled) = value::decimal_i128(bytes, self.precision, self.scale).map_err(failure)? {
            return Ok(Datum::Decimal(Decimal::Small { unscaled, scale }));
        }
        let mut room = value::DecimalScratch::default();
        let decimal = value::decimal(bytes, self.precision, self.scale, &mut room).map_err(failure)?;
        scratch.text.clear();
        scratch.text.push_str(decimal.integer);
        scratch.text.push_str(decimal.fraction);
        Ok(Datum::Decimal(Decimal::Big { negative: decimal.negative, digits: &scratch.text, scale }))
    }
}

#[derive(Debug)]
pub(super) struct Float;

impl CellDecoder for Float {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        value::float(bytes).map(Datum::Float).map_err(failure)
    }
}

#[derive(Debug)]
pub(super) struct Double;

impl CellDecoder for Double {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        value::double(bytes).map(Datum::Double).map_err(failure)
    }
}

/// Text in a character set.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) charset: Charset,
}

impl CellDecoder for Text {
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        Ok(Datum::Str(self.charset.decode(bytes, &mut scratch.text)))
    }
}

#[derive(Debug)]
pub(super) struct Bytes;

impl CellDecoder for Bytes {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        Ok(Datum::Bytes(bytes))
    }
}

#[derive(Debug)]
struct Enum {
    options: Vec<Box<str>>,
}

impl CellDecoder for Enum {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let index = usize::from(value::enum_index(bytes).map_err(failure)?);
        // 0 is the empty text that stands for an invalid value.
        let Some(index) = index.checked_sub(1) else { return Ok(Datum::Str("")) };
        let option = self.options.get(index).ok_or(ValueError::fixed("the ENUM has no option of that index"))?;
        Ok(Datum::Str(option))
    }
}

#[derive(Debug)]
struct Set {
    options: Vec<Box<str>>,
}

impl CellDecoder for Set {
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let mask = value::set_mask(bytes).map_err(failure)?;
        if self.options.len() < 64 && mask >> self.options.len() != 0 {
            return Err(ValueError::fixed("the SET has no member of that bit"));
        }
        scratch.text.clear();
        for (bit, option) in self.options.iter().enumerate().take(64) {
            if mask >> bit & 1 == 1 {
                if mask & ((1 << bit) - 1) != 0 {
                    scratch.text.push(',');
                }
                scratch.text.push_str(option);
            }
        }
        Ok(Datum::Str(&scratch.text))
    }
}

#[derive(Debug)]
struct Json;

impl CellDecoder for Json {
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        // What the server writes for a column that got no value.
        if bytes.is_empty() {
            return Ok(Datum::Null);
        }
        scratch.text.clear();
        json::append_text(bytes, &mut scratch.text).map_err(failure)?;
        Ok(Datum::Json(&scratch.text))
    }
}

#[derive(Debug)]
struct Date;

impl CellDecoder for Date {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        value::date(bytes).map(|date| Datum::Date(time::date(date))).map_err(failure)
    }
}

/// TIME; without digits the 3-byte form of servers before 5.6.
#[derive(Debug)]
struct Time {
    fsp: Option<u8>,
}

impl CellDecoder for Time {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let time = self.fsp.map_or_else(|| value::old_time(bytes), |fsp| value::time(bytes, fsp));
        time.map(|time| Datum::Time(time.total_micros())).map_err(failure)
    }
}

/// DATETIME; without digits the 8-byte form of servers before 5.6.
#[derive(Debug)]
struct DateTime {
    fsp: Option<u8>,
}

impl CellDecoder for DateTime {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let value = self.fsp.map_or_else(|| value::old_datetime(bytes), |fsp| value::datetime(bytes, fsp));
        value.map(|value| Datum::DateTime(time::datetime(value))).map_err(failure)
    }
}

/// TIMESTAMP; without digits the 4-byte form of servers before 5.6.
#[derive(Debug)]
struct Timestamp {
    fsp: Option<u8>,
}

impl CellDecoder for Timestamp {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        let value = self.fsp.map_or_else(|| value::old_timestamp(bytes), |fsp| value::timestamp(bytes, fsp));
        let value::Timestamp { seconds, micros } = value.map_err(failure)?;
        Ok(match (seconds, micros) {
            (0, 0) => Datum::ZeroInstant,
            _ => Datum::Instant(i64::from(seconds) * 1_000_000 + i64::from(micros)),
        })
    }
}

#[derive(Debug)]
struct Year;

impl CellDecoder for Year {
    fn decode<'a>(&'a self, bytes: &'a [u8], _: &'a mut Scratch) -> Result<Datum<'a>, ValueError> {
        value::year(bytes).map(|year| Datum::Year(i32::from(year))).map_err(failure)
    }
}
