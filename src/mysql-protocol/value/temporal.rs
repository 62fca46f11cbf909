//! Dates and times in their stored forms. No calendar is consulted: zero and impossible dates come out as stored.

use super::number::{signed, unsigned, wrong_length};
use crate::error::{DecodeError, Result};

/// A DATE as stored. Each part may be zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// 0 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
}

/// A TIME: a signed span, not a time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Time {
    /// Below zero; the other fields are its magnitude.
    pub negative: bool,
    /// 0 to 838.
    pub hours: u16,
    /// 0 to 59.
    pub minutes: u8,
    /// 0 to 59.
    pub seconds: u8,
    /// 0 to 999999.
    pub micros: u32,
}

impl Time {
    /// The span in microseconds.
    pub fn total_micros(self) -> i64 {
        let seconds = i64::from(self.hours) * 3600 + i64::from(self.minutes) * 60 + i64::from(self.seconds);
        let micros = seconds * 1_000_000 + i64::from(self.micros);
        if self.negative { -micros } else { micros }
    }
}

/// A DATETIME as stored: no time zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    /// The date; each part may be zero.
    pub date: Date,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999999.
    pub micros: u32,
}

/// A TIMESTAMP: an instant. Second 0 without fraction stands for `0000-00-00 00:00:00`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub seconds: u32,
    /// 0 to 999999.
    pub micros: u32,
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cold]
fn out_of_range(what: &'static str) -> DecodeError {
    DecodeError::Invalid { what, at: 0, reason: "a part is out of range" }
}

/// The low bits of a number, as a byte.
#[inline]
fn bits(n: u64, shift: u32, mask: u8) -> u8 {
    let [low, ..] = (n >> shift).to_le_bytes();
    low & mask
}

#[inline]
fn date_parts(what: &'static str, year: u64, month: u8, day: u8) -> Result<Date> {
    match u16::try_from(year) {
        Ok(year @ 0..=9999) if month <= 12 && day <= 31 => Ok(Date { year, month, day }),
        _ => Err(out_of_range(what)),
    }
}

#[inline]
fn datetime_parts(date: Date, hour: u8, minute: u8, second: u8, micros: u32) -> Result<DateTime> {
    if hour > 23 || minute > 59 || second > 59 || micros > 999_999 {
        return Err(out_of_range("DATETIME"));
    }
    Ok(DateTime { date, hour, minute, second, micros })
}

#[inline]
fn time_parts(negative: bool, hours: u64, minutes: u8, seconds: u8, micros: u32) -> Result<Time> {
    match u16::try_from(hours) {
        Ok(hours @ 0..=838) if minutes <= 59 && seconds <= 59 && micros <= 999_999 => {
            Ok(Time { negative, hours, minutes, seconds, micros })
        }
        _ => Err(out_of_range("TIME")),
    }
}

/// DATE: 3 bytes, little-endian: 15 bits of year, 4 of month, 5 of day.
///
/// # Errors
/// Another length, month over 12, year over 9999.
#[inline]
pub fn date(cell: &[u8]) -> Result<Date> {
    if cell.len() != 3 {
        return Err(wrong_length("DATE", cell));
    }
    let n = unsigned(cell)?;
    date_parts("DATE", n >> 9, bits(n, 5, 0x0f), bits(n, 0, 0x1f))
}

/// Fraction bytes of TIME, DATETIME and TIMESTAMP: big-endian, in hundredths, ten-thousandths or millionths.
#[inline]
fn fraction(what: &'static str, bytes: &[u8], fsp: u8) -> Result<u32> {
    let (n, unit) = match (bytes, fsp) {
        ([], 0) => (0, 1),
        ([a], 1 | 2) => (u32::from(*a), 10_000),
        ([a, b], 3 | 4) => (u32::from(u16::from_be_bytes([*a, *b])), 100),
        ([a, b, c], 5 | 6) => (u32::from_be_bytes([0, *a, *b, *c]), 1),
        _ => return Err(DecodeError::Invalid { what, at: 0, reason: "a cell of this type never has this length" }),
    };
    match n.checked_mul(unit) {
        Some(micros @ 0..=999_999) => Ok(micros),
        _ => Err(out_of_range(what)),
    }
}

/// TIME with `fsp` fractional digits: 3 bytes and those of the fraction, big-endian: a sign bit that is set for
/// positive values, an unused bit, 10 bits of hours, 6 of minutes, 6 of seconds. A negative value is the complement of
/// the whole, fraction included.
///
/// # Errors
/// A length that does not fit `fsp`, or a part out of range.
#[inline]
pub fn time(cell: &[u8], fsp: u8) -> Result<Time> {
    let frac_len = match (fsp, cell.len()) {
        (0, 3) => 0,
        (1 | 2, 4) => 1,
        (3 | 4, 5) => 2,
        (5 | 6, 6) => 3,
        _ => return Err(wrong_length("TIME", cell)),
    };
    let whole = cell.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let frac_bits = frac_len * 8;
    // The sign is the top bit of the three bytes; zero is stored as exactly that bit.
    let zero = 0x80_0000u64 << frac_bits;
    let negative = whole < zero;
    let magnitude = whole.abs_diff(zero);
    let hms = magnitude >> frac_bits;
    let [a, b, c, ..] = magnitude.to_le_bytes();
    let micros = match frac_len {
        0 => 0,
        1 => fraction("TIME", &[a], fsp)?,
        2 => fraction("TIME", &[b, a], fsp)?,
        _ => fraction("TIME", &[c, b, a], fsp)?,
    };
    time_parts(negative, hms >> 12, bits(hms, 6, 0x3f), bits(hms, 0, 0x3f), micros)
}

/// DATETIME with `fsp` fractional digits: 5 bytes and those of the fraction, big-endian: a set sign bit, 17 bits of
/// year * 13 + month, 5 of day, 5 of hour, 6 of minute, 6 of second.
///
/// # Errors
/// A length that does not fit `fsp`, or a part out of range.
#[inline]
pub fn datetime(cell: &[u8], fsp: u8) -> Result<DateTime> {
    let Some(([a, b, c, d, e], frac)) = cell.split_first_chunk::<5>() else {
        return Err(wrong_length("DATETIME", cell));
    };
    let n = u64::from_be_bytes([0, 0, 0, *a, *b, *c, *d, *e]);
    let Some(n) = n.checked_sub(0x80_0000_0000) else { return Err(out_of_range("DATETIME")) };
    let micros = fraction("DATETIME", frac, fsp)?;
    unpack_datetime(n, micros)
}

/// The 40 bits that DATETIME cells and packed values share.
#[inline]
fn unpack_datetime(n: u64, micros: u32) -> Result<DateTime> {
    let year_month = n >> 22;
    let month = u8::try_from(year_month % 13).unwrap_or(u8::MAX);
    let date = date_parts("DATETIME", year_month / 13, month, bits(n, 17, 0x1f))?;
    datetime_parts(date, bits(n, 12, 0x1f), bits(n, 6, 0x3f), bits(n, 0, 0x3f), micros)
}

/// TIMESTAMP with `fsp` fractional digits: 4 bytes of seconds and those of the fraction, big-endian.
///
/// # Errors
/// A length that does not fit `fsp`, or a fraction out of range.
#[inline]
pub fn timestamp(cell: &[u8], fsp: u8) -> Result<Timestamp> {
    let Some((seconds, frac)) = cell.split_first_chunk::<4>() else {
        return Err(wrong_length("TIMESTAMP", cell));
    };
    Ok(Timestamp { seconds: u32::from_be_bytes(*seconds), micros: fraction("TIMESTAMP", frac, fsp)? })
}

/// Splits digits such as 235959 into their last three pairs and the rest.
#[inline]
fn digit_pairs(n: u64) -> (u64, u8, u8, u8) {
    let pair = |n: u64| u8::try_from(n % 100).unwrap_or(u8::MAX);
    (n / 1_000_000, pair(n / 10_000), pair(n / 100), pair(n))
}

/// TIME of servers before 5.6: 3 bytes, little-endian, signed, the digits of hhhmmss as a number.
///
/// # Errors
/// Another length, or a part out of range.
pub fn old_time(cell: &[u8]) -> Result<Time> {
    if cell.len() != 3 {
        return Err(wrong_length("TIME", cell));
    }
    let n = signed(cell)?;
    let magnitude = n.unsigned_abs();
    let (_, _, minutes, seconds) = digit_pairs(magnitude);
    time_parts(n < 0, magnitude / 10_000, minutes, seconds, 0)
}

/// DATETIME of servers before 5.6: 8 bytes, little-endian, the digits of YYYYMMDDhhmmss as a number.
///
/// # Errors
/// Another length, or a part out of range.
pub fn old_datetime(cell: &[u8]) -> Result<DateTime> {
    if cell.len() != 8 {
        return Err(wrong_length("DATETIME", cell));
    }
    let (days, hour, minute, second) = digit_pairs(unsigned(cell)?);
    let (_, _, month, day) = digit_pairs(days);
    datetime_parts(date_parts("DATETIME", days / 10_000, month, day)?, hour, minute, second, 0)
}

/// TIMESTAMP of servers before 5.6: 4 bytes of seconds, little-endian.
///
/// # Errors
/// Another length.
pub fn old_timestamp(cell: &[u8]) -> Result<Timestamp> {
    match *cell {
        [a, b, c, d] => Ok(Timestamp { seconds: u32::from_le_bytes([a, b, c, d]), micros: 0 }),
        _ => Err(wrong_length("TIMESTAMP", cell)),
    }
}

/// A date and time packed into 64 bits as binary JSON keeps it: the bits of a DATETIME cell, then 24 of microseconds.
///
/// # Errors
/// A part out of range.
pub fn packed_datetime(packed: i64) -> Result<DateTime> {
    let packed = packed.unsigned_abs();
    let micros = u32::try_from(packed & 0xff_ffff).unwrap_or(u32::MAX);
    unpack_datetime(packed >> 24, micros)
}

/// A TIME packed into 64 bits as binary JSON keeps it: the bits of a TIME cell, then 24 of microseconds, the whole
/// negated for negative values.
///
/// # Errors
/// A part out of range.
pub fn packed_time(packed: i64) -> Result<Time> {
    let negative = packed < 0;
    let packed = packed.unsigned_abs();
    let micros = u32::try_from(packed & 0xff_ffff).unwrap_or(u32::MAX);
    let hms = packed >> 24;
    time_parts(negative, hms >> 12, bits(hms, 6, 0x3f), bits(hms, 0, 0x3f), micros)
}
