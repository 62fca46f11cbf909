//! One value: from a decoded cell to the bytes of its field.

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use model::{DateTime, Datum, Decimal, ValueError};
use openssl::hash::MessageDigest;

use crate::{
    DecimalFormat, JsonSettings, Mapper, Schema, Type, Write,
    calendar::{self, Fraction},
    context::Work,
    escape, header,
    json::{self, quoted_unless},
    mapper::{self, Hash},
    number,
};

/// The text form a value is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `JsonConverter`.
    Json(JsonSettings),
    /// Inside a struct of `SimpleHeaderConverter`: fewer escapes, decimals and Connect's temporals bare.
    Header,
}

/// What came of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Its bytes are in the output.
    Value,
    /// It stands for null (a zero date): nothing was written.
    Null,
}

/// A column rule, ready.
#[derive(Debug, Clone)]
enum Rule {
    None,
    Truncate(u32),
    /// The finished field value.
    Mask(Box<[u8]>),
    Hash(Box<Hash>),
}

/// How one column's values become field bytes.
#[derive(Debug, Clone)]
pub(crate) struct CellWriter {
    write: Write,
    format: Format,
    ty: Type,
    rule: Rule,
    adjust_years: bool,
    /// A Date, Time or Timestamp of Connect itself, which headers show as text.
    connect_temporal: bool,
}

const OUT_OF_RANGE: &str = "the value is outside the range of its field's type";
const NOT_A_DAY: &str = "the date does not exist in the calendar";
const NOT_A_TIME: &str = "the time of day is out of range";
const TIME_RANGE: &str = "the time is outside 00:00:00 to 24:00:00, which time.precision.mode connect and isostring \
                          cannot hold; use adaptive_time_microseconds, microseconds or nanoseconds";
const NANO_RANGE: &str = "the date is outside 1677-09-21 to 2262-04-11, which nanoseconds cannot hold; use another \
                          time.precision.mode";
const KIND: &str = "the value is of another kind than its column's type";

impl CellWriter {
    /// A writer for a field of `schema`.
    ///
    /// # Errors
    /// The way of writing does not give values of the schema, or a rule cannot be applied; the text says which.
    pub(crate) fn compile(
        write: Write,
        mapper: &Mapper,
        schema: &Schema,
        format: Format,
        adjust_years: bool,
    ) -> Result<Self, String> {
        if !gives(write, schema.ty) {
            return Err(format!("{write:?} does not give values of type {:?}", schema.ty));
        }
        let text = schema.ty == Type::String;
        // Rules act on text (a cut also on bytes); values of other types pass unchanged.
        let rule = match mapper {
            Mapper::Truncate(limit) if text || schema.ty == Type::Bytes && matches!(write, Write::Bytes { .. }) => {
                Rule::Truncate(*limit)
            }
            Mapper::Mask(mask) if text => {
                let mut bytes = Vec::new();
                quote(format, mask, &mut bytes);
                Rule::Mask(bytes.into())
            }
            Mapper::Hash { algorithm, salt, plain, length } if text => {
                let digest =
                    MessageDigest::from_name(algorithm).ok_or_else(|| format!("no digest named {algorithm}"))?;
                let salt = salt.as_bytes().into();
                Rule::Hash(Box::new(Hash { digest, salt, plain: *plain, length: *length }))
            }
            _ => Rule::None,
        };
        let name = schema.name.as_deref().unwrap_or("");
        let connect_temporal =
            matches!(name.strip_prefix("org.apache.kafka.connect.data."), Some("Date" | "Time" | "Timestamp"));
        Ok(Self { write, format, ty: schema.ty, rule, adjust_years, connect_temporal })
    }

    /// The constant every value of this column becomes, when it is masked.
    pub(crate) fn constant(&self) -> Option<&[u8]> {
        match &self.rule {
            Rule::Mask(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether two different values may come out equal.
    pub(crate) fn lossy(&self) -> bool {
        !matches!(self.rule, Rule::None)
    }

    /// Bytes as a cutting rule leaves them.
    pub(crate) fn cut<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        match self.rule {
            Rule::Truncate(limit) => bytes.get(..limit as usize).unwrap_or(bytes),
            _ => bytes,
        }
    }

    /// Applies the column rule to a text that does not come from a row (a default, a fallback) and quotes it.
    pub(crate) fn literal_text(&self, text: &str, work: &mut Work, out: &mut Vec<u8>) -> Result<(), ValueError> {
        self.put_text(text, &mut work.bytes, &mut work.hashers, out)
    }

    /// Appends the field's bytes for `datum`. On an error, `out` may hold a part of them.
    ///
    /// # Errors
    /// The value cannot be one of the field's type; the text never contains it.
    pub(crate) fn put(&self, datum: Datum<'_>, work: &mut Work, out: &mut Vec<u8>) -> Result<Written, ValueError> {
        if matches!(datum, Datum::Null | Datum::ZeroInstant) {
            return Ok(Written::Null);
        }
        match self.write {
            Write::Integer | Write::Year => self.integer(datum, out)?,
            Write::Boolean => out.extend_from_slice(if truth(datum)? { b"true" } else { b"false" }),
            Write::Float32 => {
                let value = float(datum)? as f32;
                self.number(value.is_finite(), out, |out| number::float(value, out));
            }
            Write::Float64 => {
                let value = float(datum)?;
                self.number(value.is_finite(), out, |out| number::double(value, out));
            }
            Write::Decimal { scale } => self.decimal(datum, scale, work, out)?,
            Write::DecimalText => {
                work.text.clear();
                decimal_text(datum, &mut work.text)?;
                self.put_ascii(work, out)?;
            }
            Write::DecimalDouble => {
                let value = decimal_double(datum, &mut work.text)?;
                self.number(value.is_finite(), out, |out| number::double(value, out));
            }
            Write::Text => self.text(datum, work, out)?,
            Write::Json => match datum {
                Datum::Json(text) | Datum::Str(text) => self.put_text(text, &mut work.bytes, &mut work.hashers, out)?,
                _ => return Err(ValueError::fixed(KIND)),
            },
            Write::Bytes { pad } => {
                let bytes = padded(raw(datum)?, pad, &mut work.bytes);
                json::base64_text(self.cut(bytes), out);
            }
            Write::BytesBase64 { pad } => {
                work.text.clear();
                json::base64(&STANDARD, padded(raw(datum)?, pad, &mut work.bytes), &mut work.text);
                self.put_ascii(work, out)?;
            }
            Write::BytesBase64Url { pad } => {
                work.text.clear();
                json::base64(&URL_SAFE, padded(raw(datum)?, pad, &mut work.bytes), &mut work.text);
                self.put_ascii(work, out)?;
            }
            Write::BytesHex { pad } => {
                work.text.clear();
                work.text.extend(mapper::hex(padded(raw(datum)?, pad, &mut work.bytes)));
                self.put_ascii(work, out)?;
            }
            _ => return self.temporal(datum, work, out),
        }
        Ok(Written::Value)
    }

    fn temporal(&self, datum: Datum<'_>, work: &mut Work, out: &mut Vec<u8>) -> Result<Written, ValueError> {
        match self.write {
            Write::EpochDays | Write::IsoDate => {
                let (Datum::Date(value) | Datum::DateTime(value)) = datum else { return Err(ValueError::fixed(KIND)) };
                if calendar::is_zero_date(&value) {
                    return Ok(Written::Null);
                }
                let (year, days) = self.day(&value)?;
                if self.write == Write::IsoDate {
                    work.text.clear();
                    calendar::date(year, value.month, value.day, &mut work.text);
                    work.text.push(b'Z');
                    self.put_ascii(work, out)?;
                } else if self.bare_temporal() {
                    calendar::date(year, value.month, value.day, out);
                } else {
                    json::integer(days, out);
                }
            }
            Write::TimestampMillis | Write::TimestampMicros | Write::TimestampNanos | Write::IsoTimestamp => {
                let (Datum::Date(value) | Datum::DateTime(value)) = datum else { return Err(ValueError::fixed(KIND)) };
                if calendar::is_zero_date(&value) {
                    return Ok(Written::Null);
                }
                let (_, days) = self.day(&value)?;
                let time = calendar::micros_of_day(&value).ok_or(ValueError::fixed(NOT_A_TIME))?;
                self.timestamp(days * 86_400_000_000 + time, work, out)?;
            }
            Write::TimeMicros | Write::TimeNanos | Write::TimeMillisOfDay | Write::IsoTime => {
                let Datum::Time(micros) = datum else { return Err(ValueError::fixed(KIND)) };
                self.time(micros, work, out)?;
            }
            Write::ZonedTimestamp { fsp } => {
                let Datum::Instant(micros) = datum else { return Err(ValueError::fixed(KIND)) };
                work.text.clear();
                calendar::instant(micros, Fraction::Exactly(fsp), &mut work.text);
                self.put_ascii(work, out)?;
            }
            _ => return Err(ValueError::fixed(KIND)),
        }
        Ok(Written::Value)
    }

    fn timestamp(&self, micros: i64, work: &mut Work, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match self.write {
            Write::TimestampMillis if self.bare_temporal() => header::connect_timestamp(micros.div_euclid(1000), out),
            Write::TimestampMillis => json::integer(micros.div_euclid(1000), out),
            Write::TimestampMicros => json::integer(micros, out),
            Write::TimestampNanos => {
                let nanos = micros.checked_mul(1000).ok_or(ValueError::fixed(NANO_RANGE))?;
                json::integer(nanos, out);
            }
            _ => {
                work.text.clear();
                calendar::instant(micros, Fraction::Minimal, &mut work.text);
                return self.put_ascii(work, out);
            }
        }
        Ok(())
    }

    fn time(&self, micros: i64, work: &mut Work, out: &mut Vec<u8>) -> Result<(), ValueError> {
        const DAY: i64 = 86_400_000_000;
        match self.write {
            Write::TimeMicros => json::integer(micros, out),
            Write::TimeNanos => {
                let nanos = micros.checked_mul(1000).ok_or(ValueError::fixed(OUT_OF_RANGE))?;
                json::integer(nanos, out);
            }
            _ if !(0..=DAY).contains(&micros) => return Err(ValueError::fixed(TIME_RANGE)),
            Write::TimeMillisOfDay if self.bare_temporal() => header::connect_time(micros / 1000, out),
            Write::TimeMillisOfDay => json::integer(micros / 1000, out),
            _ => {
                work.text.clear();
                calendar::time(micros.rem_euclid(DAY), Fraction::Minimal, &mut work.text);
                work.text.push(b'Z');
                return self.put_ascii(work, out);
            }
        }
        Ok(())
    }

    /// Adjusted year and days since the epoch.
    fn day(&self, value: &DateTime) -> Result<(i64, i64), ValueError> {
        // The day must exist in the year as stored, before two-digit years move.
        let stored = i64::from(value.year);
        let days = calendar::epoch_days(stored, value.month, value.day).ok_or(ValueError::fixed(NOT_A_DAY))?;
        let year = calendar::adjusted_year(stored, self.adjust_years);
        if year == stored {
            return Ok((year, days));
        }
        let days = calendar::epoch_days(year, value.month, value.day).ok_or(ValueError::fixed(NOT_A_DAY))?;
        Ok((year, days))
    }

    fn integer(&self, datum: Datum<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
        let value = match datum {
            Datum::Int(n) => n,
            // Wraps above i64::MAX: what `bigint.unsigned.handling.mode=long` means.
            Datum::UInt(n) => n as i64,
            Datum::Bool(b) => i64::from(b),
            Datum::Year(year) if self.write == Write::Year => {
                calendar::adjusted_year(i64::from(year), self.adjust_years)
            }
            Datum::Year(year) => i64::from(year),
            _ => return Err(ValueError::fixed(KIND)),
        };
        let in_range = match self.ty {
            Type::Int8 => i8::try_from(value).is_ok(),
            Type::Int16 => i16::try_from(value).is_ok(),
            Type::Int32 => i32::try_from(value).is_ok(),
            _ => true,
        };
        if !in_range {
            return Err(ValueError::fixed(OUT_OF_RANGE));
        }
        json::integer(value, out);
        Ok(())
    }

    fn text(&self, datum: Datum<'_>, work: &mut Work, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match datum {
            Datum::Str(text) | Datum::Json(text) => self.put_text(text, &mut work.bytes, &mut work.hashers, out),
            Datum::Bytes(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| ValueError::fixed("the bytes are not UTF-8 text"))?;
                self.put_text(text, &mut work.bytes, &mut work.hashers, out)
            }
            _ => Err(ValueError::fixed(KIND)),
        }
    }

    fn decimal(&self, datum: Datum<'_>, scale: u16, work: &mut Work, out: &mut Vec<u8>) -> Result<(), ValueError> {
        let small = match datum {
            Datum::Decimal(Decimal::Small { unscaled, scale }) => Some((unscaled, scale)),
            Datum::Int(n) => Some((i128::from(n), 0)),
            Datum::UInt(n) => Some((i128::from(n), 0)),
            Datum::Decimal(Decimal::Big { .. }) => None,
            _ => return Err(ValueError::fixed(KIND)),
        };
        // The number at the column's scale, when 128 bits hold it.
        let fitting = match small {
            Some((unscaled, from)) => rescaled(unscaled, from, scale)?,
            None => None,
        };
        let base64 = matches!(self.format, Format::Json(JsonSettings { decimal_format: DecimalFormat::Base64, .. }));
        if let (true, Some(unscaled)) = (base64, fitting) {
            let (bytes, len) = number::twos_complement(unscaled);
            json::base64_text(bytes.get(16 - len..).unwrap_or(&bytes), out);
            return Ok(());
        }
        work.text.clear();
        let negative = match (fitting, small, datum) {
            (Some(unscaled), ..) => {
                digits(unscaled, &mut work.text);
                unscaled < 0
            }
            (None, Some((unscaled, from)), _) => {
                digits(unscaled, &mut work.text);
                work.text.resize(work.text.len() + usize::from(scale.saturating_sub(from)), b'0');
                unscaled < 0
            }
            (None, None, Datum::Decimal(Decimal::Big { negative, digits, scale: from })) => {
                big_rescaled(digits.as_bytes(), from, scale, &mut work.text)?;
                negative
            }
            (None, None, _) => return Err(ValueError::fixed(KIND)),
        };
        if base64 {
            work.bytes.clear();
            number::twos_complement_of_digits(negative, &work.text, &mut work.limbs, &mut work.bytes);
            json::base64_text(&work.bytes, out);
        } else {
            number::decimal(negative, &work.text, i64::from(scale), out);
        }
        Ok(())
    }

    /// Numbers without a JSON form are strings in JSON and bare in headers.
    fn number(&self, finite: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        quoted_unless(finite || self.format == Format::Header, out, write);
    }

    fn bare_temporal(&self) -> bool {
        self.connect_temporal && self.format == Format::Header
    }

    /// Puts `work.text`, which is ASCII without characters that need escapes.
    fn put_ascii(&self, work: &mut Work, out: &mut Vec<u8>) -> Result<(), ValueError> {
        if let Rule::None = self.rule {
            out.push(b'"');
            out.extend_from_slice(&work.text);
            out.push(b'"');
            return Ok(());
        }
        let text = std::str::from_utf8(&work.text).map_err(|_| ValueError::fixed("the text is not UTF-8"))?;
        self.put_text(text, &mut work.bytes, &mut work.hashers, out)
    }

    fn put_text(
        &self,
        text: &str,
        bytes: &mut Vec<u8>,
        hashers: &mut Vec<(openssl::nid::Nid, openssl::hash::Hasher)>,
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        match &self.rule {
            Rule::None => quote(self.format, text, out),
            Rule::Truncate(limit) => quote(self.format, mapper::truncated(text, *limit), out),
            Rule::Mask(mask) => out.extend_from_slice(mask),
            Rule::Hash(hash) => {
                out.push(b'"');
                hash.apply(text, hashers, bytes, out)
                    .map_err(|error| ValueError::new(format!("the digest of the masking rule failed: {error}")))?;
                out.push(b'"');
            }
        }
        Ok(())
    }
}

/// Whether a way of writing gives values of a base type.
fn gives(write: Write, ty: Type) -> bool {
    let integer = matches!(ty, Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64);
    match write {
        Write::Integer => integer,
        Write::Boolean => ty == Type::Boolean,
        Write::Float32 => ty == Type::Float32,
        Write::Float64 | Write::DecimalDouble => ty == Type::Float64,
        Write::Decimal { .. } | Write::Bytes { .. } => ty == Type::Bytes,
        Write::EpochDays | Write::TimeMillisOfDay | Write::Year => ty == Type::Int32,
        Write::TimeMicros
        | Write::TimeNanos
        | Write::TimestampMillis
        | Write::TimestampMicros
        | Write::TimestampNanos => ty == Type::Int64,
        Write::DecimalText
        | Write::Text
        | Write::Json
        | Write::BytesBase64 { .. }
        | Write::BytesBase64Url { .. }
        | Write::BytesHex { .. }
        | Write::IsoDate
        | Write::IsoTime
        | Write::IsoTimestamp
        | Write::ZonedTimestamp { .. } => ty == Type::String,
    }
}

/// Appends a string as the format quotes it.
pub(crate) fn quote(format: Format, text: &str, out: &mut Vec<u8>) {
    match format {
        Format::Json(_) => escape::quoted(text, out),
        Format::Header => header::quoted(text, out),
    }
}

fn truth(datum: Datum<'_>) -> Result<bool, ValueError> {
    Ok(match datum {
        Datum::Bool(b) => b,
        Datum::Int(n) => n != 0,
        Datum::UInt(n) => n != 0,
        Datum::Float(x) => x != 0.0,
        Datum::Double(x) => x != 0.0,
        Datum::Decimal(Decimal::Small { unscaled, .. }) => unscaled != 0,
        Datum::Decimal(Decimal::Big { digits, .. }) => digits.bytes().any(|digit| digit != b'0'),
        Datum::Bits(bits) => bits.iter().any(|byte| *byte != 0),
        _ => return Err(ValueError::fixed(KIND)),
    })
}

fn float(datum: Datum<'_>) -> Result<f64, ValueError> {
    Ok(match datum {
        Datum::Float(x) => f64::from(x),
        Datum::Double(x) => x,
        Datum::Int(n) => n as f64,
        Datum::UInt(n) => n as f64,
        _ => return Err(ValueError::fixed(KIND)),
    })
}

fn raw(datum: Datum<'_>) -> Result<&[u8], ValueError> {
    match datum {
        Datum::Bytes(bytes) | Datum::Bits(bytes) => Ok(bytes),
        Datum::Str(text) => Ok(text.as_bytes()),
        _ => Err(ValueError::fixed(KIND)),
    }
}

/// `bytes` filled up with zero bytes to `pad`, in `buffer` when there is anything to fill.
fn padded<'a>(bytes: &'a [u8], pad: u32, buffer: &'a mut Vec<u8>) -> &'a [u8] {
    if bytes.len() >= pad as usize {
        return bytes;
    }
    buffer.clear();
    buffer.extend_from_slice(bytes);
    buffer.resize(pad as usize, 0);
    buffer
}

/// `unscaled` at another scale; `None` when it needs more than 128 bits.
fn rescaled(unscaled: i128, from: u16, to: u16) -> Result<Option<i128>, ValueError> {
    if to == from {
        return Ok(Some(unscaled));
    }
    if to > from {
        return Ok(10i128.checked_pow(u32::from(to - from)).and_then(|factor| unscaled.checked_mul(factor)));
    }
    match 10i128.checked_pow(u32::from(from - to)) {
        Some(factor) if unscaled % factor == 0 => Ok(Some(unscaled / factor)),
        None if unscaled == 0 => Ok(Some(0)),
        _ => Err(ValueError::fixed("the decimal has more digits after the point than its column")),
    }
}

fn big_rescaled(digits: &[u8], from: u16, to: u16, out: &mut Vec<u8>) -> Result<(), ValueError> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(ValueError::fixed("the decimal is not made of digits"));
    }
    let kept = digits.len().saturating_sub(usize::from(from.saturating_sub(to)));
    let (kept, cut) = digits.split_at_checked(kept).unwrap_or((digits, b""));
    if cut.iter().any(|digit| *digit != b'0') {
        return Err(ValueError::fixed("the decimal has more digits after the point than its column"));
    }
    out.extend_from_slice(kept);
    out.resize(out.len() + usize::from(to.saturating_sub(from)), b'0');
    if out.is_empty() {
        out.push(b'0');
    }
    Ok(())
}

fn digits(unscaled: i128, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(unscaled.unsigned_abs()).as_bytes());
}

fn decimal_text(datum: Datum<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let mut buffer = itoa::Buffer::new();
    let (negative, digits, scale) = match datum {
        Datum::Decimal(Decimal::Small { unscaled, scale }) => {
            (unscaled < 0, buffer.format(unscaled.unsigned_abs()), scale)
        }
        Datum::Decimal(Decimal::Big { negative, digits, scale }) => (negative, digits, scale),
        Datum::Int(n) => (n < 0, buffer.format(n.unsigned_abs()), 0),
        Datum::UInt(n) => (false, buffer.format(n), 0),
        _ => return Err(ValueError::fixed(KIND)),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(ValueError::fixed("the decimal is not made of digits"));
    }
    number::plain_decimal(negative, digits.as_bytes(), usize::from(scale), out);
    Ok(())
}

/// The nearest double, found by reading the exact decimal text.
fn decimal_double(datum: Datum<'_>, text: &mut Vec<u8>) -> Result<f64, ValueError> {
    match datum {
        Datum::Double(x) => return Ok(x),
        Datum::Float(x) => return Ok(f64::from(x)),
        _ => {}
    }
    text.clear();
    decimal_text(datum, text)?;
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(ValueError::fixed(KIND))
}
