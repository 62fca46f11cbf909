//! Integers, floats, BIT, YEAR, ENUM and SET.

use crate::error::{DecodeError, Result};

/// A cell of the wrong length.
#[cold]
pub(super) fn wrong_length(what: &'static str, cell: &[u8]) -> DecodeError {
    DecodeError::Invalid { what, at: cell.len(), reason: "a cell of this type never has this length" }
}

/// A signed integer of 1, 2, 3, 4 or 8 bytes, little-endian.
///
/// # Errors
/// Any other length.
#[inline]
pub fn signed(cell: &[u8]) -> Result<i64> {
    Ok(match *cell {
        [a] => i64::from(i8::from_le_bytes([a])),
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        // The three bytes go to the top, so that the shift back extends the sign.
        [a, b, c] => i64::from(i32::from_le_bytes([0, a, b, c]) >> 8),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => return Err(wrong_length("integer", cell)),
    })
}

/// An unsigned integer of 1, 2, 3, 4 or 8 bytes, little-endian.
///
/// # Errors
/// Any other length.
#[inline]
pub fn unsigned(cell: &[u8]) -> Result<u64> {
    Ok(match *cell {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => return Err(wrong_length("integer", cell)),
    })
}

/// FLOAT: 4 bytes, little-endian.
///
/// # Errors
/// Any other length.
#[inline]
pub fn float(cell: &[u8]) -> Result<f32> {
    match cell.first_chunk::<4>() {
        Some(bytes) if cell.len() == 4 => Ok(f32::from_le_bytes(*bytes)),
        _ => Err(wrong_length("FLOAT", cell)),
    }
}

/// DOUBLE: 8 bytes, little-endian.
///
/// # Errors
/// Any other length.
#[inline]
pub fn double(cell: &[u8]) -> Result<f64> {
    match cell.first_chunk::<8>() {
        Some(bytes) if cell.len() == 8 => Ok(f64::from_le_bytes(*bytes)),
        _ => Err(wrong_length("DOUBLE", cell)),
    }
}

/// BIT as a number: 1 to 8 bytes, big-endian.
///
/// # Errors
/// Any other length.
#[inline]
pub fn bit(cell: &[u8]) -> Result<u64> {
    if cell.is_empty() || cell.len() > 8 {
        return Err(wrong_length("BIT", cell));
    }
    Ok(cell.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

/// YEAR: 0, or 1901 to 2155.
///
/// # Errors
/// Any length but one.
#[inline]
pub fn year(cell: &[u8]) -> Result<u16> {
    match cell {
        [0] => Ok(0),
        [n] => Ok(u16::from(*n).saturating_add(1900)),
        _ => Err(wrong_length("YEAR", cell)),
    }
}

/// ENUM: the option's index from 1; 0 stands for the empty text of an invalid value.
///
/// # Errors
/// Any length but one or two.
#[inline]
pub fn enum_index(cell: &[u8]) -> Result<u16> {
    match *cell {
        [a] => Ok(u16::from(a)),
        [a, b] => Ok(u16::from_le_bytes([a, b])),
        _ => Err(wrong_length("ENUM", cell)),
    }
}

/// SET: a bit per member, the first in bit 0. 1 to 8 bytes, little-endian.
///
/// # Errors
/// Any other length.
#[inline]
pub fn set_mask(cell: &[u8]) -> Result<u64> {
    if cell.is_empty() || cell.len() > 8 {
        return Err(wrong_length("SET", cell));
    }
    Ok(cell.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}
