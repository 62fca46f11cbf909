//! Column types as TABLE_MAP writes them: type code and metadata together, enough to find the end of a cell and
//! to decode it. Names, signedness and charsets are not part of the type; they come from the optional metadata or
//! from the caller's schema.

use crate::cursor::Cursor;
use crate::error::{DecodeError, Result};

/// A column's type with its metadata.
///
/// Source: MySQL's `Field::save_field_metadata` and `table_def::calc_field_size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// TINYINT, BOOL.
    Tiny,
    /// SMALLINT.
    Short,
    /// MEDIUMINT.
    Int24,
    /// INT.
    Long,
    /// BIGINT.
    LongLong,
    /// FLOAT, 4 bytes.
    Float,
    /// DOUBLE, 8 bytes.
    Double,
    /// DECIMAL.
    Decimal {
        /// Digits in all, 1 to 65.
        precision: u8,
        /// Digits after the point, at most `precision`; MySQL allows 30, MariaDB 38.
        scale: u8,
    },
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// TIME of servers before 5.6, 3 bytes.
    OldTime,
    /// DATETIME of servers before 5.6, 8 bytes.
    OldDateTime,
    /// TIMESTAMP of servers before 5.6, 4 bytes.
    OldTimestamp,
    /// TIME.
    Time {
        /// Fractional digits, 0 to 6.
        fsp: u8,
    },
    /// DATETIME.
    DateTime {
        /// Fractional digits, 0 to 6.
        fsp: u8,
    },
    /// TIMESTAMP.
    Timestamp {
        /// Fractional digits, 0 to 6.
        fsp: u8,
    },
    /// BIT.
    Bit {
        /// Declared bits, 1 to 64.
        bits: u8,
    },
    /// VARCHAR, VARBINARY.
    VarChar {
        /// Largest length in bytes.
        max_len: u16,
    },
    /// CHAR, BINARY.
    Char {
        /// Largest length in bytes.
        max_len: u16,
    },
    /// ENUM.
    Enum {
        /// Bytes of the index: 1 or 2.
        bytes: u8,
    },
    /// SET.
    Set {
        /// Bytes of the bit mask: 1 to 8.
        bytes: u8,
    },
    /// TINYTEXT to LONGTEXT, TINYBLOB to LONGBLOB.
    Blob {
        /// Bytes of the length before the data: 1 to 4.
        len_bytes: u8,
    },
    /// JSON in its binary form.
    Json {
        /// Bytes of the length before the data: 1 to 4.
        len_bytes: u8,
    },
    /// GEOMETRY and its kin.
    Geometry {
        /// Bytes of the length before the data: 1 to 4.
        len_bytes: u8,
    },
    /// VECTOR (9.0 and later).
    Vector {
        /// Bytes of the length before the data: 1 to 4.
        len_bytes: u8,
    },
    /// A column of type NULL: no bytes.
    Null,
}

/// How a cell's length is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Always this many bytes.
    Fixed(u8),
    /// A little-endian length of this many bytes (1 to 4), then the data.
    Prefixed(u8),
}

/// Wire codes of `enum_field_types`.
pub(crate) mod code {
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const NULL: u8 = 6;
    pub(crate) const TIMESTAMP: u8 = 7;
    pub(crate) const LONGLONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME: u8 = 11;
    pub(crate) const DATETIME: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const NEWDATE: u8 = 14;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const TIMESTAMP2: u8 = 17;
    pub(crate) const DATETIME2: u8 = 18;
    pub(crate) const TIME2: u8 = 19;
    pub(crate) const VECTOR: u8 = 242;
    pub(crate) const JSON: u8 = 245;
    pub(crate) const NEWDECIMAL: u8 = 246;
    pub(crate) const ENUM: u8 = 247;
    pub(crate) const SET: u8 = 248;
    pub(crate) const TINY_BLOB: u8 = 249;
    pub(crate) const MEDIUM_BLOB: u8 = 250;
    pub(crate) const LONG_BLOB: u8 = 251;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const VAR_STRING: u8 = 253;
    pub(crate) const STRING: u8 = 254;
    pub(crate) const GEOMETRY: u8 = 255;
}

/// Bytes that hold 0 to 9 decimal digits.
const DIGIT_BYTES: [u8; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// Bytes of a group of at most nine digits.
#[inline]
pub(crate) fn digit_bytes(digits: u8) -> u8 {
    DIGIT_BYTES.get(usize::from(digits % 10)).copied().unwrap_or(4)
}

/// Bytes of a DECIMAL cell.
#[inline]
pub(crate) fn decimal_bytes(precision: u8, scale: u8) -> u8 {
    let integer = precision.saturating_sub(scale);
    // At most 65 digits: 8 groups of 4 bytes and the rest, far below 256.
    let whole = (integer / 9).saturating_add(scale / 9).saturating_mul(4);
    whole.saturating_add(digit_bytes(integer % 9)).saturating_add(digit_bytes(scale % 9))
}

fn fsp_bytes(fsp: u8) -> u8 {
    fsp.saturating_add(1) / 2
}

impl ColumnType {
    #[inline]
    pub(crate) fn width(self) -> Width {
        match self {
            ColumnType::Null => Width::Fixed(0),
            ColumnType::Tiny | ColumnType::Year => Width::Fixed(1),
            ColumnType::Short => Width::Fixed(2),
            ColumnType::Int24 | ColumnType::Date | ColumnType::OldTime => Width::Fixed(3),
            ColumnType::Long | ColumnType::Float | ColumnType::OldTimestamp => Width::Fixed(4),
            ColumnType::LongLong | ColumnType::Double | ColumnType::OldDateTime => Width::Fixed(8),
            ColumnType::Decimal { precision, scale } => Width::Fixed(decimal_bytes(precision, scale)),
            ColumnType::Time { fsp } => Width::Fixed(fsp_bytes(fsp).saturating_add(3)),
            ColumnType::DateTime { fsp } => Width::Fixed(fsp_bytes(fsp).saturating_add(5)),
            ColumnType::Timestamp { fsp } => Width::Fixed(fsp_bytes(fsp).saturating_add(4)),
            ColumnType::Bit { bits } => Width::Fixed(bits.div_ceil(8)),
            ColumnType::Enum { bytes } | ColumnType::Set { bytes } => Width::Fixed(bytes),
            ColumnType::VarChar { max_len } | ColumnType::Char { max_len } => {
                Width::Prefixed(if max_len > 255 { 2 } else { 1 })
            }
            ColumnType::Blob { len_bytes }
            | ColumnType::Json { len_bytes }
            | ColumnType::Geometry { len_bytes }
            | ColumnType::Vector { len_bytes } => Width::Prefixed(len_bytes),
        }
    }

    /// The type's name as a person would write it, for messages.
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Tiny => "TINYINT",
            ColumnType::Short => "SMALLINT",
            ColumnType::Int24 => "MEDIUMINT",
            ColumnType::Long => "INT",
            ColumnType::LongLong => "BIGINT",
            ColumnType::Float => "FLOAT",
            ColumnType::Double => "DOUBLE",
            ColumnType::Decimal { .. } => "DECIMAL",
            ColumnType::Year => "YEAR",
            ColumnType::Date => "DATE",
            ColumnType::OldTime | ColumnType::Time { .. } => "TIME",
            ColumnType::OldDateTime | ColumnType::DateTime { .. } => "DATETIME",
            ColumnType::OldTimestamp | ColumnType::Timestamp { .. } => "TIMESTAMP",
            ColumnType::Bit { .. } => "BIT",
            ColumnType::VarChar { .. } => "VARCHAR",
            ColumnType::Char { .. } => "CHAR",
            ColumnType::Enum { .. } => "ENUM",
            ColumnType::Set { .. } => "SET",
            ColumnType::Blob { .. } => "BLOB",
            ColumnType::Json { .. } => "JSON",
            ColumnType::Geometry { .. } => "GEOMETRY",
            ColumnType::Vector { .. } => "VECTOR",
            ColumnType::Null => "NULL",
        }
    }

    /// Whether the optional metadata's signedness bits count this column (MySQL's `is_numeric_type`).
    pub fn has_sign(self) -> bool {
        matches!(
            self,
            ColumnType::Tiny
                | ColumnType::Short
                | ColumnType::Int24
                | ColumnType::Long
                | ColumnType::LongLong
                | ColumnType::Float
                | ColumnType::Double
                | ColumnType::Decimal { .. }
        )
    }

    /// Whether the optional metadata's charset lists count this column (MySQL's `is_character_type`).
    pub fn has_charset(self) -> bool {
        matches!(self, ColumnType::VarChar { .. } | ColumnType::Char { .. } | ColumnType::Blob { .. })
    }

    /// Whether the optional metadata's ENUM and SET charset lists count this column.
    pub fn is_enum_or_set(self) -> bool {
        matches!(self, ColumnType::Enum { .. } | ColumnType::Set { .. })
    }

    /// Reads one column: its code from `code`, its metadata from `metadata`.
    pub(crate) fn parse(code: u8, metadata: &mut Cursor<'_>) -> Result<ColumnType> {
        let column = match code {
            code::TINY => ColumnType::Tiny,
            code::SHORT => ColumnType::Short,
            code::INT24 => ColumnType::Int24,
            code::LONG => ColumnType::Long,
            code::LONGLONG => ColumnType::LongLong,
            code::NULL => ColumnType::Null,
            code::YEAR => ColumnType::Year,
            code::DATE | code::NEWDATE => ColumnType::Date,
            code::TIME => ColumnType::OldTime,
            code::DATETIME => ColumnType::OldDateTime,
            code::TIMESTAMP => ColumnType::OldTimestamp,
            code::FLOAT => match metadata.u8()? {
                4 => ColumnType::Float,
                _ => return Err(metadata.invalid("FLOAT must have 4 bytes")),
            },
            code::DOUBLE => match metadata.u8()? {
                8 => ColumnType::Double,
                _ => return Err(metadata.invalid("DOUBLE must have 8 bytes")),
            },
            code::NEWDECIMAL => {
                let (precision, scale) = (metadata.u8()?, metadata.u8()?);
                if !(1..=65).contains(&precision) || scale > precision || scale > 38 {
                    return Err(metadata.invalid("impossible DECIMAL precision and scale"));
                }
                ColumnType::Decimal { precision, scale }
            }
            code::TIME2 => ColumnType::Time { fsp: fsp(metadata)? },
            code::DATETIME2 => ColumnType::DateTime { fsp: fsp(metadata)? },
            code::TIMESTAMP2 => ColumnType::Timestamp { fsp: fsp(metadata)? },
            code::BIT => {
                let (odd, whole) = (metadata.u8()?, metadata.u8()?);
                let bits = whole.checked_mul(8).and_then(|b| b.checked_add(odd));
                match bits {
                    Some(bits @ 1..=64) if odd < 8 => ColumnType::Bit { bits },
                    _ => return Err(metadata.invalid("BIT must have 1 to 64 bits")),
                }
            }
            code::VARCHAR | code::VAR_STRING => ColumnType::VarChar { max_len: metadata.u16()? },
            code::TINY_BLOB => blob(metadata)?,
            code::BLOB | code::MEDIUM_BLOB | code::LONG_BLOB => blob(metadata)?,
            code::JSON => ColumnType::Json { len_bytes: len_bytes(metadata)? },
            code::GEOMETRY => ColumnType::Geometry { len_bytes: len_bytes(metadata)? },
            code::VECTOR => ColumnType::Vector { len_bytes: len_bytes(metadata)? },
            code::STRING | code::ENUM | code::SET => string(metadata)?,
            other => return Err(DecodeError::UnknownCode { what: "column type", code: u64::from(other) }),
        };
        Ok(column)
    }
}

fn fsp(metadata: &mut Cursor<'_>) -> Result<u8> {
    match metadata.u8()? {
        fsp @ 0..=6 => Ok(fsp),
        _ => Err(metadata.invalid("more than six fractional digits")),
    }
}

fn len_bytes(metadata: &mut Cursor<'_>) -> Result<u8> {
    match metadata.u8()? {
        n @ 1..=4 => Ok(n),
        _ => Err(metadata.invalid("a length must have 1 to 4 bytes")),
    }
}

fn blob(metadata: &mut Cursor<'_>) -> Result<ColumnType> {
    Ok(ColumnType::Blob { len_bytes: len_bytes(metadata)? })
}

/// CHAR, ENUM and SET share one code; the metadata's first byte holds the real one. CHAR of more than 255 bytes keeps
/// the two high bits of its length, inverted, in bits 4 and 5 of that byte.
fn string(metadata: &mut Cursor<'_>) -> Result<ColumnType> {
    let (real, len) = (metadata.u8()?, metadata.u8()?);
    match real {
        code::ENUM => match len {
            1 | 2 => Ok(ColumnType::Enum { bytes: len }),
            _ => Err(metadata.invalid("ENUM must have 1 or 2 bytes")),
        },
        code::SET => match len {
            1..=8 => Ok(ColumnType::Set { bytes: len }),
            _ => Err(metadata.invalid("SET must have 1 to 8 bytes")),
        },
        _ if real | 0x30 == code::STRING || real | 0x30 == code::VAR_STRING => {
            let high = u16::from((real & 0x30) ^ 0x30) << 4;
            Ok(ColumnType::Char { max_len: high | u16::from(len) })
        }
        other => Err(DecodeError::UnknownCode { what: "column type", code: u64::from(other) }),
    }
}
