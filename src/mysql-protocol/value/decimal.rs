//! DECIMAL in its packed form: nine digits in four bytes, big-endian, the incomplete groups at both outer ends.
//!
//! The sign is the inverted top bit of the first byte; a negative number has all its other bits inverted as well.

use super::number::wrong_length;
use crate::column::{decimal_bytes, digit_bytes};
use crate::error::{DecodeError, Result};

/// The most digits of a packed value: nine groups of nine. A column has at most 65, but values inside JSON count their
/// integer digits in whole groups and so have up to 81.
const DIGITS_MAX: usize = 81;

/// A DECIMAL as digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal<'a> {
    /// Below zero; never set for zero.
    pub negative: bool,
    /// Digits before the point, without leading zeros; `0` if there are none.
    pub integer: &'a str,
    /// Digits after the point, as many as the scale.
    pub fraction: &'a str,
}

impl std::fmt::Display for Decimal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        f.write_str(self.integer)?;
        if !self.fraction.is_empty() {
            f.write_str(".")?;
            f.write_str(self.fraction)?;
        }
        Ok(())
    }
}

/// Room for the digits of one DECIMAL.
#[derive(Clone, Debug)]
pub struct DecimalScratch {
    digits: [u8; DIGITS_MAX],
}

impl Default for DecimalScratch {
    fn default() -> Self {
        DecimalScratch { digits: [b'0'; DIGITS_MAX] }
    }
}

/// The groups of a cell in order, as (digits, value).
struct Groups<'a> {
    bytes: &'a [u8],
    /// Bits of a negative number are turned back by this mask.
    mask: u8,
    first: bool,
    /// Digits of each group still to come: the odd one, whole ones, whole ones, the odd one.
    plan: [(u8, u8); 4],
}

impl<'a> Groups<'a> {
    fn new(cell: &'a [u8], precision: u8, scale: u8) -> Result<(bool, Self)> {
        let integer = match precision.checked_sub(scale) {
            Some(integer) if usize::from(precision) <= DIGITS_MAX => integer,
            _ => return Err(wrong_length("DECIMAL", cell)),
        };
        let negative = match cell.first() {
            Some(first) if cell.len() == usize::from(decimal_bytes(precision, scale)) => first & 0x80 == 0,
            _ => return Err(wrong_length("DECIMAL", cell)),
        };
        let plan = [(integer % 9, 1), (9, integer / 9), (9, scale / 9), (scale % 9, 1)];
        Ok((negative, Groups { bytes: cell, mask: if negative { 0xff } else { 0 }, first: true, plan }))
    }
}

impl Iterator for Groups<'_> {
    type Item = Result<(u8, u32)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (digits, count) = self.plan.iter_mut().find(|(digits, count)| *digits > 0 && *count > 0)?;
        let digits = *digits;
        *count = count.saturating_sub(1);
        let (group, rest) = self.bytes.split_at_checked(usize::from(digit_bytes(digits)))?;
        self.bytes = rest;
        let mut value = 0u32;
        for byte in group {
            let mut byte = byte ^ self.mask;
            if self.first {
                byte ^= 0x80;
                self.first = false;
            }
            value = value << 8 | u32::from(byte);
        }
        let end = 10u32.pow(u32::from(digits));
        Some(if value < end {
            Ok((digits, value))
        } else {
            Err(DecodeError::Invalid { what: "DECIMAL", at: 0, reason: "a group of digits out of range" })
        })
    }
}

/// Decodes a DECIMAL to digits.
///
/// # Errors
/// The cell's length is not that of the precision and scale, or a group of digits is out of range.
pub fn decimal<'s>(cell: &[u8], precision: u8, scale: u8, scratch: &'s mut DecimalScratch) -> Result<Decimal<'s>> {
    let (negative, groups) = Groups::new(cell, precision, scale)?;
    let mut len = 0usize;
    let mut zero = true;
    for group in groups {
        let (digits, mut value) = group?;
        zero &= value == 0;
        let end = len.saturating_add(usize::from(digits));
        for place in scratch.digits.get_mut(len..end).unwrap_or(&mut []).iter_mut().rev() {
            let digit = u8::try_from(value % 10).unwrap_or(0);
            *place = digit.saturating_add(b'0');
            value /= 10;
        }
        len = end;
    }
    let all = scratch.digits.get(..len).and_then(|d| std::str::from_utf8(d).ok()).unwrap_or("");
    let (integer, fraction) = all.split_at_checked(len.saturating_sub(usize::from(scale))).unwrap_or((all, ""));
    let integer = match integer.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    Ok(Decimal { negative: negative && !zero, integer, fraction })
}

/// Decodes a DECIMAL to its unscaled value, `None` if the precision is over 38 digits and so may not fit.
///
/// # Errors
/// As [`decimal`].
#[inline]
pub fn decimal_i128(cell: &[u8], precision: u8, scale: u8) -> Result<Option<i128>> {
    if precision > 38 {
        return Ok(None);
    }
    let (negative, groups) = Groups::new(cell, precision, scale)?;
    if precision <= 18 {
        // Nearly every column: 64 bits do.
        let mut unscaled = 0i64;
        for group in groups {
            let (digits, value) = group?;
            unscaled = unscaled.wrapping_mul(i64::from(10u32.pow(u32::from(digits)))).wrapping_add(i64::from(value));
        }
        return Ok(Some(i128::from(if negative { unscaled.wrapping_neg() } else { unscaled })));
    }
    let mut unscaled = 0i128;
    for group in groups {
        let (digits, value) = group?;
        // At most 38 digits: below 2^127.
        unscaled = unscaled.wrapping_mul(i128::from(10u32.pow(u32::from(digits)))).wrapping_add(i128::from(value));
    }
    Ok(Some(if negative { unscaled.wrapping_neg() } else { unscaled }))
}
