//! Cells of result sets in the binary protocol (prepared statements). Integers, FLOAT and DOUBLE are as in row events;
//! DECIMAL is text; dates and times have structures of their own, in which trailing zero parts are left out.

use super::number::wrong_length;
use super::temporal::{Date, DateTime, Time};
use crate::cursor::Cursor;
use crate::error::{DecodeError, Result};

/// DATE, DATETIME or TIMESTAMP: 0, 4, 7 or 11 bytes. A TIMESTAMP is in the session's time zone.
///
/// # Errors
/// Any other length, or a part out of range.
pub fn datetime(cell: &[u8]) -> Result<DateTime> {
    const WHAT: &str = "DATETIME of a result";
    let mut c = Cursor::new(cell, WHAT);
    let mut value = DateTime::default();
    if !matches!(cell.len(), 0 | 4 | 7 | 11) {
        return Err(wrong_length(WHAT, cell));
    }
    if cell.len() >= 4 {
        value.date = Date { year: c.u16()?, month: c.u8()?, day: c.u8()? };
    }
    if cell.len() >= 7 {
        (value.hour, value.minute, value.second) = (c.u8()?, c.u8()?, c.u8()?);
    }
    if cell.len() >= 11 {
        value.micros = c.u32()?;
    }
    let d = value.date;
    if d.year > 9999
        || d.month > 12
        || d.day > 31
        || value.hour > 23
        || value.minute > 59
        || value.second > 59
        || value.micros > 999_999
    {
        return Err(DecodeError::Invalid { what: WHAT, at: 0, reason: "a part is out of range" });
    }
    Ok(value)
}

/// TIME: 0, 8 or 12 bytes: sign, days, hours of the day, minutes, seconds, microseconds.
///
/// # Errors
/// Any other length, or a part out of range.
pub fn time(cell: &[u8]) -> Result<Time> {
    const WHAT: &str = "TIME of a result";
    let mut c = Cursor::new(cell, WHAT);
    if cell.is_empty() {
        return Ok(Time::default());
    }
    if !matches!(cell.len(), 8 | 12) {
        return Err(wrong_length(WHAT, cell));
    }
    let negative = c.u8()? != 0;
    let days = c.u32()?;
    let (hours, minutes, seconds) = (c.u8()?, c.u8()?, c.u8()?);
    let micros = if cell.len() == 12 { c.u32()? } else { 0 };
    let total = days.checked_mul(24).and_then(|h| h.checked_add(u32::from(hours)));
    match total.and_then(|h| u16::try_from(h).ok()) {
        Some(hours @ 0..=838) if minutes <= 59 && seconds <= 59 && micros <= 999_999 => {
            Ok(Time { negative, hours, minutes, seconds, micros })
        }
        _ => Err(DecodeError::Invalid { what: WHAT, at: 0, reason: "a part is out of range" }),
    }
}
