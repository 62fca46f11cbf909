//! Reading binary JSON.
//!
//! A value is a type byte and a payload. Objects and arrays hold a count, their size, and entries whose offsets count
//! from the container's start, so a hostile document can point many entries at the same bytes. A valid one never does:
//! the parts of a value are disjoint. Each part read is therefore charged to a budget of the document's own length,
//! which bounds the work and the output.

use super::{DEPTH_MAX, number, push_quoted};
use crate::column::code;
use crate::cursor::{Cursor, to_usize};
use crate::error::{DecodeError, Result};
use crate::value::{DecimalScratch, decimal, double, packed_datetime, packed_time};
use base64::Engine as _;
use std::fmt::Write as _;

const WHAT: &str = "JSON";

const SMALL_OBJECT: u8 = 0x00;
const LARGE_OBJECT: u8 = 0x01;
const SMALL_ARRAY: u8 = 0x02;
const LARGE_ARRAY: u8 = 0x03;
const LITERAL: u8 = 0x04;
const INT16: u8 = 0x05;
const UINT16: u8 = 0x06;
const INT32: u8 = 0x07;
const UINT32: u8 = 0x08;
const INT64: u8 = 0x09;
const UINT64: u8 = 0x0a;
const DOUBLE: u8 = 0x0b;
const STRING: u8 = 0x0c;
const OPAQUE: u8 = 0x0f;

/// Appends the text of a binary JSON value. On an error nothing is appended.
///
/// # Errors
/// The value is cut short, nested too deeply, not of the format, or empty (a server writes an empty value for a
/// NOT NULL column that got none; callers decide what that means before they call).
pub fn append_text(cell: &[u8], out: &mut String) -> Result<()> {
    let start = out.len();
    let mut writer = Writer { out, budget: cell.len() };
    let written = match cell.split_first() {
        Some((kind, payload)) => writer.charge(1).and_then(|()| writer.value(*kind, payload, DEPTH_MAX)),
        None => Err(DecodeError::Short { what: WHAT, at: 0, need: 1, have: 0 }),
    };
    if written.is_err() {
        out.truncate(start);
    }
    written
}

struct Writer<'o> {
    out: &'o mut String,
    budget: usize,
}

fn invalid(at: usize, reason: &'static str) -> DecodeError {
    DecodeError::Invalid { what: WHAT, at, reason }
}

impl Writer<'_> {
    fn charge(&mut self, bytes: usize) -> Result<()> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(invalid(0, "parts of the document overlap")),
        }
    }

    /// A value whose payload starts at the start of `payload`.
    fn value(&mut self, kind: u8, payload: &[u8], depth: u8) -> Result<()> {
        let mut c = Cursor::new(payload, WHAT);
        match kind {
            SMALL_OBJECT => return self.container(payload, false, true, depth),
            LARGE_OBJECT => return self.container(payload, true, true, depth),
            SMALL_ARRAY => return self.container(payload, false, false, depth),
            LARGE_ARRAY => return self.container(payload, true, false, depth),
            LITERAL => self.literal(c.u8()?)?,
            INT16 => self.integer(i16::from_le_bytes(c.array()?)),
            UINT16 => self.integer(c.u16()?),
            INT32 => self.integer(i32::from_le_bytes(c.array()?)),
            UINT32 => self.integer(c.u32()?),
            INT64 => self.integer(i64::from_le_bytes(c.array()?)),
            UINT64 => self.integer(c.u64()?),
            DOUBLE => {
                if !number::push_double(self.out, double(c.take(8)?)?) {
                    return Err(invalid(0, "a number that is not finite"));
                }
            }
            STRING => {
                let len = var_len(&mut c)?;
                let text = c.take(len)?;
                self.charge(c.at())?;
                self.text(text);
                return Ok(());
            }
            OPAQUE => {
                let kind = c.u8()?;
                let len = var_len(&mut c)?;
                let bytes = c.take(len)?;
                self.charge(c.at())?;
                return self.opaque(kind, bytes);
            }
            other => return Err(DecodeError::UnknownCode { what: "JSON value type", code: u64::from(other) }),
        }
        self.charge(c.at())
    }

    fn literal(&mut self, value: u8) -> Result<()> {
        self.out.push_str(match value {
            0 => "null",
            1 => "true",
            2 => "false",
            other => return Err(DecodeError::UnknownCode { what: "JSON literal", code: u64::from(other) }),
        });
        Ok(())
    }

    fn integer(&mut self, value: impl itoa::Integer) {
        self.out.push_str(itoa::Buffer::new().format(value));
    }

    /// Text is UTF-8; bytes that are not become U+FFFD.
    fn text(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => push_quoted(self.out, text),
            Err(_) => push_quoted(self.out, &String::from_utf8_lossy(bytes)),
        }
    }

    fn container(&mut self, all: &[u8], large: bool, object: bool, depth: u8) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else { return Err(invalid(0, "nested too deeply")) };
        let number = |c: &mut Cursor<'_>| if large { c.u32().map(to_usize) } else { c.u16().map(usize::from) };
        let mut header = Cursor::new(all, WHAT);
        let count = number(&mut header)?;
        let size = number(&mut header)?;
        let Some(all) = all.get(..size) else { return Err(header.short(size)) };
        let mut header = Cursor::new(all, WHAT);
        header.take(if large { 8 } else { 4 })?;
        let (key_len, value_len) = if large { (6, 5) } else { (4, 3) };
        let mut keys = Cursor::new(if object { header.take(count.saturating_mul(key_len))? } else { &[] }, WHAT);
        let mut values = Cursor::new(header.take(count.saturating_mul(value_len))?, WHAT);
        self.charge(header.at())?;
        self.out.push(if object { '{' } else { '[' });
        for index in 0..count {
            if index > 0 {
                self.out.push(',');
            }
            if object {
                let offset = number(&mut keys)?;
                let len = usize::from(keys.u16()?);
                let Some(key) = all.get(offset..).and_then(|rest| rest.get(..len)) else {
                    return Err(invalid(offset, "a key lies outside its object"));
                };
                self.charge(len)?;
                self.text(key);
                self.out.push(':');
            }
            let kind = values.u8()?;
            let inline = values.take(if large { 4 } else { 2 })?;
            let mut c = Cursor::new(inline, WHAT);
            match kind {
                LITERAL => self.literal(c.u8()?)?,
                INT16 => self.integer(i16::from_le_bytes(c.array()?)),
                UINT16 => self.integer(c.u16()?),
                INT32 if large => self.integer(i32::from_le_bytes(c.array()?)),
                UINT32 if large => self.integer(c.u32()?),
                _ => {
                    let offset = number(&mut c)?;
                    let Some(payload) = all.get(offset..) else {
                        return Err(invalid(offset, "a value lies outside its container"));
                    };
                    self.value(kind, payload, depth)?;
                }
            }
        }
        self.out.push(if object { '}' } else { ']' });
        Ok(())
    }

    fn opaque(&mut self, kind: u8, bytes: &[u8]) -> Result<()> {
        // Writing to a String cannot fail.
        match kind {
            code::NEWDECIMAL => {
                let Some((&[precision, scale], digits)) = bytes.split_first_chunk::<2>() else {
                    return Err(invalid(0, "a DECIMAL without precision and scale"));
                };
                let mut scratch = DecimalScratch::default();
                let value = decimal(digits, precision, scale, &mut scratch)?;
                let _ = write!(self.out, "{value}");
            }
            code::DATE => {
                let _ = write!(self.out, "\"{}\"", packed_datetime(packed(bytes)?)?.date);
            }
            code::DATETIME | code::TIMESTAMP => {
                let t = packed_datetime(packed(bytes)?)?;
                let _ = write!(self.out, "\"{} {:02}:{:02}:{:02}", t.date, t.hour, t.minute, t.second);
                self.fraction(t.micros);
            }
            code::TIME => {
                let t = packed_time(packed(bytes)?)?;
                let sign = if t.negative { "-" } else { "" };
                let _ = write!(self.out, "\"{sign}{:02}:{:02}:{:02}", t.hours, t.minutes, t.seconds);
                self.fraction(t.micros);
            }
            _ => {
                self.out.push('"');
                base64::engine::general_purpose::STANDARD.encode_string(bytes, self.out);
                self.out.push('"');
            }
        }
        Ok(())
    }

    /// The fraction without its trailing zeros, and the closing quote.
    fn fraction(&mut self, micros: u32) {
        if micros > 0 {
            let _ = write!(self.out, ".{micros:06}");
            self.out.truncate(self.out.trim_end_matches('0').len());
        }
        self.out.push('"');
    }
}

fn packed(bytes: &[u8]) -> Result<i64> {
    match bytes.first_chunk::<8>() {
        Some(packed) if bytes.len() == 8 => Ok(i64::from_le_bytes(*packed)),
        _ => Err(invalid(0, "a date or time that has not 8 bytes")),
    }
}

/// A length in groups of seven bits, the lowest first; the top bit says that another follows. At most five bytes.
fn var_len(c: &mut Cursor<'_>) -> Result<usize> {
    let mut len = 0u64;
    for shift in [0, 7, 14, 21, 28] {
        let byte = c.u8()?;
        len |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(usize::try_from(len).unwrap_or(usize::MAX));
        }
    }
    Err(c.invalid("a length of more than five bytes"))
}
