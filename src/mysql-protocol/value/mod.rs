//! Cells to values: one plain function per type, and [`decode`], which picks the function by column type.
//!
//! Functions take the bytes that [`CellRange`](crate::rows::CellRange) points at and return plain values that borrow
//! at most the cell or a scratch buffer of the caller. Errors never hold a value.

mod decimal;
mod number;
pub mod result;
mod temporal;

pub use decimal::{Decimal, DecimalScratch, decimal, decimal_i128};
pub use number::{bit, double, enum_index, float, set_mask, signed, unsigned, year};
pub use temporal::{
    Date, DateTime, Time, Timestamp, date, datetime, old_datetime, old_time, old_timestamp, packed_datetime,
    packed_time, time, timestamp,
};

use crate::column::ColumnType;
use crate::error::Result;

/// A decoded cell.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL.
    Decimal(Decimal<'a>),
    /// YEAR: 0 or 1901 to 2155.
    Year(u16),
    /// DATE.
    Date(Date),
    /// TIME.
    Time(Time),
    /// DATETIME.
    DateTime(DateTime),
    /// TIMESTAMP.
    Timestamp(Timestamp),
    /// BIT, as a number.
    Bit(u64),
    /// Index of an ENUM's option, from 1; 0 is the empty text of an invalid value.
    Enum(u16),
    /// Bit mask of a SET's members, the first in bit 0.
    Set(u64),
    /// CHAR, VARCHAR, TEXT and their binary kin, in the column's character set. BINARY has lost its trailing zeros.
    Bytes(&'a [u8]),
    /// JSON as text, see [`crate::json`].
    Json(&'a str),
    /// GEOMETRY: four bytes of SRID, then WKB.
    Geometry(&'a [u8]),
    /// VECTOR: 32-bit floats, little-endian.
    Vector(&'a [u8]),
    /// A column of type NULL.
    Null,
}

/// Buffers that decoding writes to; kept by the caller so that no cell allocates.
#[derive(Debug, Default)]
pub struct Scratch {
    decimal: DecimalScratch,
    json: String,
}

/// Decodes a cell. `is_unsigned` matters to integer columns only.
///
/// # Errors
/// The cell has another length than its type demands or holds what the type cannot.
pub fn decode<'a>(
    column: ColumnType,
    is_unsigned: bool,
    cell: &'a [u8],
    scratch: &'a mut Scratch,
) -> Result<Value<'a>> {
    Ok(match column {
        ColumnType::Tiny | ColumnType::Short | ColumnType::Int24 | ColumnType::Long | ColumnType::LongLong => {
            if is_unsigned {
                Value::UInt(unsigned(cell)?)
            } else {
                Value::Int(signed(cell)?)
            }
        }
        ColumnType::Float => Value::Float(float(cell)?),
        ColumnType::Double => Value::Double(double(cell)?),
        ColumnType::Decimal { precision, scale } => {
            Value::Decimal(decimal(cell, precision, scale, &mut scratch.decimal)?)
        }
        ColumnType::Year => Value::Year(year(cell)?),
        ColumnType::Date => Value::Date(date(cell)?),
        ColumnType::OldTime => Value::Time(old_time(cell)?),
        ColumnType::OldDateTime => Value::DateTime(old_datetime(cell)?),
        ColumnType::OldTimestamp => Value::Timestamp(old_timestamp(cell)?),
        ColumnType::Time { fsp } => Value::Time(time(cell, fsp)?),
        ColumnType::DateTime { fsp } => Value::DateTime(datetime(cell, fsp)?),
        ColumnType::Timestamp { fsp } => Value::Timestamp(timestamp(cell, fsp)?),
        ColumnType::Bit { .. } => Value::Bit(bit(cell)?),
        ColumnType::Enum { .. } => Value::Enum(enum_index(cell)?),
        ColumnType::Set { .. } => Value::Set(set_mask(cell)?),
        ColumnType::VarChar { .. } | ColumnType::Char { .. } | ColumnType::Blob { .. } => Value::Bytes(cell),
        ColumnType::Json { .. } => {
            scratch.json.clear();
            crate::json::append_text(cell, &mut scratch.json)?;
            Value::Json(&scratch.json)
        }
        ColumnType::Geometry { .. } => Value::Geometry(cell),
        ColumnType::Vector { .. } => Value::Vector(cell),
        ColumnType::Null => Value::Null,
    })
}
