//! Dates and times as text and as numbers, for defaults; and what both wire forms share.

use model::DateTime;
use mysql_protocol::value;

/// The epoch as ZonedTimestamp and IsoTimestamp print it.
pub(super) const EPOCH_INSTANT: &str = "1970-01-01T00:00:00Z";

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar; `None` for a day that does not exist.
pub(super) fn epoch_days(date: &DateTime) -> Option<i64> {
    let (year, month, day) =
        (i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?);
    let date = jiff::civil::Date::new(year, month, day).ok()?;
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    Some(i64::from(date.since(epoch).ok()?.get_days()))
}

/// Microseconds since the epoch, the date and time taken as UTC.
pub(super) fn epoch_micros(value: &DateTime) -> Option<i64> {
    let seconds = i64::from(value.hour) * 3600 + i64::from(value.minute) * 60 + i64::from(value.second);
    Some((epoch_days(value)? * 86_400 + seconds) * 1_000_000 + i64::from(value.micros))
}

/// A date without time as the protocol gives it.
pub(super) fn date(date: value::Date) -> DateTime {
    DateTime { year: date.year, month: date.month, day: date.day, hour: 0, minute: 0, second: 0, micros: 0 }
}

/// A date and time as the protocol gives it.
pub(super) fn datetime(value: value::DateTime) -> DateTime {
    let value::DateTime { date, hour, minute, second, micros } = value;
    DateTime { year: date.year, month: date.month, day: date.day, hour, minute, second, micros }
}

/// `2020-01-01`, `2020-01-01 00:00:00` with up to six fraction digits, as the server writes them. Impossible days
/// are read too; anything else is `None`.
pub(super) fn parse_datetime(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    let mut parts = date.split('-');
    let mut part = |digits: usize| parts.next().filter(|text| text.len() == digits).and_then(number);
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if parts.next().is_some() || month > 12 || day > 31 {
        return None;
    }
    let micros = if time.is_empty() { 0 } else { clock(time, 2)? };
    let seconds = micros / 1_000_000;
    if seconds >= 86_400 {
        return None;
    }
    Some(DateTime {
        year: u16::try_from(year).ok()?,
        month: u8::try_from(month).ok()?,
        day: u8::try_from(day).ok()?,
        hour: u8::try_from(seconds / 3600).ok()?,
        minute: u8::try_from(seconds / 60 % 60).ok()?,
        second: u8::try_from(seconds % 60).ok()?,
        micros: u32::try_from(micros % 1_000_000).ok()?,
    })
}

/// `12:34:56.5`, `-100:00:00`, or the time part of a date and time, in microseconds.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let text = text.split_once(' ').map_or(text, |(_, time)| time);
    match text.strip_prefix('-') {
        Some(text) => Some(-i64::try_from(clock(text, 3)?).ok()?),
        None => i64::try_from(clock(text, 3)?).ok(),
    }
}

/// `h:mm:ss[.ffffff]` in microseconds; hours of at most `hour_digits`.
fn clock(text: &str, hour_digits: usize) -> Option<u64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let hours = parts.next().filter(|text| (2..=hour_digits).contains(&text.len())).and_then(number)?;
    let mut sixtieth = || parts.next().filter(|text| text.len() == 2).and_then(number).filter(|n| *n < 60);
    let (minutes, seconds) = (sixtieth()?, sixtieth()?);
    if parts.next().is_some() || fraction.len() > 6 {
        return None;
    }
    let scale = 10u64.pow(u32::try_from(6 - fraction.len()).ok()?);
    let micros = if fraction.is_empty() { 0 } else { number(fraction)? * scale };
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

/// Digits and nothing else.
pub(super) fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Years below 100 as Debezium's adjuster moves them.
pub(super) fn adjusted_year(year: u16, adjust: bool) -> u16 {
    match year {
        0..=69 if adjust => year + 2000,
        70..=99 if adjust => year + 1900,
        _ => year,
    }
}
