//! The proleptic Gregorian calendar and ISO-8601 texts.

use model::DateTime;

/// Days from 1970-01-01 to a day that exists, or `None` for one that does not (2020-02-31, month 0).
pub(crate) fn epoch_days(year: i64, month: u8, day: u8) -> Option<i64> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    // Years begin in March here, so that the leap day is the last of its year.
    let shifted = if month > 2 { year } else { year - 1 };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of a day counted from 1970-01-01.
pub(crate) fn civil(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u8;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The year with two-digit years moved to 1970..=2069.
pub(crate) fn adjusted_year(year: i64, adjust: bool) -> i64 {
    match year {
        0..=69 if adjust => year + 2000,
        70..=99 if adjust => year + 1900,
        _ => year,
    }
}

/// Whether a part of the date is zero: such values stand for "no date".
pub(crate) fn is_zero_date(value: &DateTime) -> bool {
    value.year == 0 || value.month == 0 || value.day == 0
}

/// Microseconds since midnight, or `None` when a part is out of range.
pub(crate) fn micros_of_day(value: &DateTime) -> Option<i64> {
    if value.hour > 23 || value.minute > 59 || value.second > 59 || value.micros > 999_999 {
        return None;
    }
    let seconds = i64::from(value.hour) * 3600 + i64::from(value.minute) * 60 + i64::from(value.second);
    Some(seconds * 1_000_000 + i64::from(value.micros))
}

/// Appends `2020-02-03`. Years outside 0..=9999 get a sign, as ISO-8601 and Java's formatters write them.
pub(crate) fn date(year: i64, month: u8, day: u8, out: &mut Vec<u8>) {
    if year < 0 {
        out.push(b'-');
    } else if year > 9999 {
        out.push(b'+');
    }
    padded(year.unsigned_abs(), 4, out);
    out.push(b'-');
    padded(u64::from(month), 2, out);
    out.push(b'-');
    padded(u64::from(day), 2, out);
}

/// How many digits the fraction of a second gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fraction {
    /// As many as needed, none for zero.
    Minimal,
    /// Exactly so many, 0..=6.
    Exactly(u8),
}

/// Appends `12:34:56.5` for microseconds since midnight.
pub(crate) fn time(micros_of_day: i64, fraction: Fraction, out: &mut Vec<u8>) {
    let micros = micros_of_day.rem_euclid(1_000_000).unsigned_abs();
    let seconds = micros_of_day.div_euclid(1_000_000).unsigned_abs();
    padded(seconds / 3600, 2, out);
    out.push(b':');
    padded(seconds / 60 % 60, 2, out);
    out.push(b':');
    padded(seconds % 60, 2, out);
    let digits = match fraction {
        Fraction::Exactly(digits) => digits.min(6),
        Fraction::Minimal => {
            let (mut digits, mut rest) = (6, micros);
            while digits > 0 && rest % 10 == 0 {
                digits -= 1;
                rest /= 10;
            }
            digits
        }
    };
    if digits > 0 {
        out.push(b'.');
        padded(micros / 10u64.pow(u32::from(6 - digits)), usize::from(digits), out);
    }
}

/// Appends `2020-01-01T00:00:00.5Z` for microseconds since the epoch.
pub(crate) fn instant(micros: i64, fraction: Fraction, out: &mut Vec<u8>) {
    const DAY: i64 = 86_400_000_000;
    let (year, month, day) = civil(micros.div_euclid(DAY));
    date(year, month, day, out);
    out.push(b'T');
    time(micros.rem_euclid(DAY), fraction, out);
    out.push(b'Z');
}

fn padded(value: u64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    for _ in digits.len()..width {
        out.push(b'0');
    }
    out.extend_from_slice(digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_counts_up_by_one() {
        let mut expected = epoch_days(0, 1, 1).expect("a day");
        assert_eq!(expected, -719_528);
        for year in 0..=9999 {
            for month in 1..=12u8 {
                for day in 1..=31u8 {
                    if let Some(days) = epoch_days(year, month, day) {
                        assert_eq!(days, expected);
                        assert_eq!(civil(days), (year, month, day));
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(expected, 2_932_897);
        assert_eq!(epoch_days(2020, 2, 31), None);
        assert_eq!(epoch_days(1900, 2, 29), None);
        assert_eq!(epoch_days(2000, 2, 29), Some(11_016));
    }

    #[test]
    fn texts() {
        let text = |micros, fraction| {
            let mut out = Vec::new();
            instant(micros, fraction, &mut out);
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!(text(0, Fraction::Minimal), "1970-01-01T00:00:00Z");
        assert_eq!(text(500_000, Fraction::Exactly(3)), "1970-01-01T00:00:00.500Z");
        assert_eq!(text(-1, Fraction::Minimal), "1969-12-31T23:59:59.999999Z");
        assert_eq!(text(1_577_836_800_120_000, Fraction::Minimal), "2020-01-01T00:00:00.12Z");
    }
}
