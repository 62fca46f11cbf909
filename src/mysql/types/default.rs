//! Defaults: from the text of a DEFAULT clause to the default of a schema, in the form values have.
//!
//! Text that is no literal of its type gives no default, as in Debezium; escapes of text literals are resolved, so
//! that the default is what the server stores.

use model::DateTime;
use mysql_ddl::{Column, DefaultText};
use record::{Value, Write};

use super::{Kind, Mapping, decimal_digits, time};
use crate::config::ValueConfig;

/// The default of a column's schema.
pub(super) fn default_value(column: &Column, kind: Kind, modes: &ValueConfig, mapping: &Mapping) -> Option<Value> {
    let DefaultText::Text(text) = &column.default else { return None };
    match kind {
        Kind::Integer(bits) => integer(text.trim(), bits, column, &mapping.write),
        Kind::Boolean => boolean(text.trim()),
        Kind::Bits => bits(text.trim(), column.length.unwrap_or(1)),
        Kind::Decimal => {
            let (_, scale) = decimal_digits(column);
            let unscaled = scaled(text.trim(), scale)?;
            match mapping.write {
                Write::DecimalText => Some(Value::text(plain(unscaled, scale))),
                Write::DecimalDouble => plain(unscaled, scale).parse().ok().map(Value::Double),
                _ => Some(decimal(unscaled, scale)),
            }
        }
        Kind::Float32 => text.trim().parse().ok().filter(|value: &f32| value.is_finite()).map(Value::Float),
        Kind::Float64 => text.trim().parse().ok().filter(|value: &f64| value.is_finite()).map(Value::Double),
        Kind::Text | Kind::Enum | Kind::Set => Some(Value::text(unescaped(text))),
        Kind::Binary(_) => Some(binary(unescaped(text).into_bytes(), mapping)),
        Kind::Json => None,
        Kind::Year => {
            let year = time::number(text.trim()).and_then(|year| u16::try_from(year).ok())?;
            Some(Value::Int(i64::from(time::adjusted_year(year, modes.adjust_years))))
        }
        Kind::Date | Kind::DateTime | Kind::Timestamp => date_or_time(text.trim(), column, kind, modes, mapping),
        Kind::Time => match time::parse_time(text.trim()) {
            Some(micros) => clock(micros, mapping.write),
            None if column.optional => None,
            None => Some(mapping.fallback.clone()),
        },
    }
}

/// The value of a text literal, escapes resolved:
/// <https://dev.mysql.com/doc/refman/8.0/en/string-literals.html>.
fn unescaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                value.push('\'');
            }
            '\\' => value.push(match chars.next() {
                Some('0') => '\0',
                Some('b') => '\u{8}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('Z') => '\u{1a}',
                Some(other) => other,
                None => '\\',
            }),
            c => value.push(c),
        }
    }
    value
}

fn integer(text: &str, bits: u8, column: &Column, write: &Write) -> Option<Value> {
    let number = match text.to_ascii_lowercase().as_str() {
        "true" => 1,
        "false" => 0,
        lower => match lower.strip_prefix("0x") {
            Some(hex) => i128::from_str_radix(hex, 16).ok()?,
            None => scaled(text, 0)?,
        },
    };
    if let Write::Decimal { scale } = write {
        return Some(decimal(number, *scale));
    }
    let fits = |low: i128, high: i128| (low..=high).contains(&number);
    let in_range = match (bits, column.is_unsigned()) {
        // Above the range of int64 Debezium keeps its largest value.
        (64, true) => return Some(Value::Int(i64::try_from(number).unwrap_or(i64::MAX))),
        (bits, true) => fits(0, (1 << bits) - 1),
        (bits, false) => fits(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
    };
    in_range.then(|| i64::try_from(number).ok()).flatten().map(Value::Int)
}

fn boolean(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        digits => time::number(digits).map(|n| Value::Bool(n != 0)),
    }
}

/// Binary digits as little-endian bytes, as many as the column has.
fn bits(text: &str, length: i32) -> Option<Value> {
    let number = u64::from_str_radix(text, 2).ok()?;
    let bytes = usize::try_from(length).ok()?.clamp(1, 64).div_ceil(8);
    Some(Value::Bytes(number.to_le_bytes().get(..bytes)?.into()))
}

/// A decimal literal, exponent included, as an integer of so many digits after the point, rounded half up (away
/// from zero).
fn scaled(text: &str, scale: u16) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Digits to add behind, or to cut when below zero.
    let shift = i64::from(exponent) + i64::from(scale) - i64::try_from(fraction.len()).ok()?;
    let value = match u32::try_from(shift) {
        Ok(more) => digits.parse::<i128>().ok()?.checked_mul(10i128.checked_pow(more)?)?,
        Err(_) => {
            let keep = i64::try_from(digits.len()).ok()?.checked_add(shift)?;
            let Ok(keep) = usize::try_from(keep) else { return Some(0) };
            let (kept, cut) = digits.split_at_checked(keep)?;
            let value = if kept.is_empty() { 0 } else { kept.parse::<i128>().ok()? };
            value + i128::from(cut.starts_with(['5', '6', '7', '8', '9']))
        }
    };
    Some(if negative { -value } else { value })
}

fn decimal(unscaled: i128, scale: u16) -> Value {
    let bytes = unscaled.to_be_bytes();
    // The fewest bytes that keep the sign.
    let sign = if unscaled < 0 { 0xff } else { 0 };
    let redundant = bytes
        .windows(2)
        .take_while(|pair| matches!(pair, [first, second] if *first == sign && (second ^ sign) & 0x80 == 0));
    let start = redundant.count();
    Value::Decimal { unscaled: bytes.get(start..).unwrap_or(&bytes).into(), scale: i32::from(scale) }
}

/// Plain notation with all digits of the scale.
fn plain(unscaled: i128, scale: u16) -> String {
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

fn binary(mut bytes: Vec<u8>, mapping: &Mapping) -> Value {
    let (Write::Bytes { pad } | Write::BytesBase64 { pad } | Write::BytesBase64Url { pad } | Write::BytesHex { pad }) =
        mapping.write
    else {
        return Value::Bytes(bytes.into());
    };
    if bytes.len() < pad as usize {
        bytes.resize(pad as usize, 0);
    }
    use std::fmt::Write as _;
    match mapping.write {
        Write::BytesBase64 { .. } => Value::text(openssl::base64::encode_block(&bytes)),
        Write::BytesBase64Url { .. } => {
            Value::text(openssl::base64::encode_block(&bytes).replace('+', "-").replace('/', "_"))
        }
        Write::BytesHex { .. } => Value::text(bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })),
        _ => Value::Bytes(bytes.into()),
    }
}

fn date_or_time(text: &str, column: &Column, kind: Kind, modes: &ValueConfig, mapping: &Mapping) -> Option<Value> {
    let fallback = || (!column.optional).then(|| mapping.fallback.clone());
    if text == "0" {
        return fallback();
    }
    let Some(mut value) = time::parse_datetime(text) else {
        // Another notation: no default for a TIMESTAMP even when it is NOT NULL.
        return if kind == Kind::Timestamp { None } else { fallback() };
    };
    if value.year == 0 || value.month == 0 || value.day == 0 {
        return fallback();
    }
    value.year = time::adjusted_year(value.year, modes.adjust_years);
    let Some(days) = time::epoch_days(&value) else { return fallback() };
    let micros = time::epoch_micros(&value)?;
    Some(match mapping.write {
        Write::EpochDays => Value::Int(days),
        Write::IsoDate => Value::text(format!("{}Z", date_text(&value))),
        Write::TimestampMillis => Value::Int(micros.div_euclid(1000)),
        Write::TimestampMicros => Value::Int(micros),
        Write::TimestampNanos => Value::Int(micros.checked_mul(1000)?),
        Write::IsoTimestamp => Value::text(instant_text(&value, None)),
        // What stands for the current time has no digits; a nullable column has no such default.
        Write::ZonedTimestamp { .. } if micros == 0 => return fallback(),
        Write::ZonedTimestamp { fsp } => Value::text(instant_text(&value, Some(usize::from(fsp)))),
        _ => return None,
    })
}

fn clock(micros: i64, write: Write) -> Option<Value> {
    const DAY: i64 = 86_400_000_000;
    let of_day = Some(micros).filter(|micros| (0..=DAY).contains(micros));
    Some(match write {
        Write::TimeMicros => Value::Int(micros),
        Write::TimeNanos => Value::Int(micros * 1000),
        Write::TimeMillisOfDay => Value::Int(of_day? / 1000),
        Write::IsoTime => {
            let micros = of_day? % DAY;
            let seconds = micros / 1_000_000;
            let fraction = fraction_text(micros % 1_000_000, None);
            Value::text(format!("{:02}:{:02}:{:02}{fraction}Z", seconds / 3600, seconds / 60 % 60, seconds % 60))
        }
        _ => return None,
    })
}

fn date_text(value: &DateTime) -> String {
    format!("{:04}-{:02}-{:02}", value.year, value.month, value.day)
}

fn instant_text(value: &DateTime, digits: Option<usize>) -> String {
    let fraction = fraction_text(i64::from(value.micros), digits);
    format!("{}T{:02}:{:02}:{:02}{fraction}Z", date_text(value), value.hour, value.minute, value.second)
}

/// The fraction with its point: so many digits, or as few as needed.
fn fraction_text(micros: i64, digits: Option<usize>) -> String {
    let text = format!("{micros:06}");
    let kept = match digits {
        Some(digits) => text.get(..digits).unwrap_or(&text),
        None => text.trim_end_matches('0'),
    };
    if kept.is_empty() { String::new() } else { format!(".{kept}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_half_up() {
        assert_eq!(scaled("1.5", 2), Some(150));
        assert_eq!(scaled("-1.255", 2), Some(-126));
        assert_eq!(scaled("1e2", 0), Some(100));
        assert_eq!(scaled("12.5e-1", 1), Some(13));
        assert_eq!(scaled("0.04", 0), Some(0));
        assert_eq!(scaled("x", 0), None);
        assert_eq!(scaled("", 0), None);
        assert_eq!(plain(-5, 2), "-0.05");
        assert_eq!(plain(1230, 2), "12.30");
        let Value::Decimal { unscaled, .. } = decimal(150, 2) else { panic!() };
        assert_eq!(*unscaled, [0, 150]);
        let Value::Decimal { unscaled, .. } = decimal(-128, 0) else { panic!() };
        assert_eq!(*unscaled, [0x80]);
        let Value::Decimal { unscaled, .. } = decimal(0, 0) else { panic!() };
        assert_eq!(*unscaled, [0]);
    }
}
