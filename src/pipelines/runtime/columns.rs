//! What a pipeline expects of a column, and the reading of its value in every form a connector can emit.
//!
//! A record without a schema does not say which scale its base64 decimals have or which unit its times are in; the
//! declaration does. A record with a schema says so itself, and its word is taken.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::Error;

/// The declared type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Characters.
    Text,
    /// A whole number that fits 64 bits.
    Int,
    /// An exact number with so many digits after the point.
    Decimal(u8),
    /// A point in time; without a schema the number counts this unit since 1970.
    Time(TimeUnit),
}

/// What a number counts in a column of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// 1/1,000 s
    Millis,
    /// 1/1,000,000 s
    Micros,
    /// 1/1,000,000,000 s
    Nanos,
}

/// A value as pipelines work with it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Characters.
    Text(String),
    /// A whole number.
    Int(i64),
    /// `unscaled / 10^scale`
    Decimal {
        /// All digits.
        unscaled: i128,
        /// How many of them stand after the point.
        scale: u8,
    },
    /// Milliseconds since 1970.
    Time(i64),
}

impl ColumnType {
    /// Reads `text`, `int`, `decimal(S)`, `time(ms)`, `time(us)` or `time(ns)`.
    ///
    /// # Errors
    /// [`Error::Config`] names the forms.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim().to_lowercase();
        let scale = text.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
        match (text.as_str(), scale.map(|s| s.trim().parse::<u8>())) {
            ("text", _) => Ok(Self::Text),
            ("int", _) => Ok(Self::Int),
            ("time(ms)", _) => Ok(Self::Time(TimeUnit::Millis)),
            ("time(us)", _) => Ok(Self::Time(TimeUnit::Micros)),
            ("time(ns)", _) => Ok(Self::Time(TimeUnit::Nanos)),
            (_, Some(Ok(scale))) if scale <= 30 => Ok(Self::Decimal(scale)),
            _ => Err(Error::Config(format!(
                "columns: {text} is none of text, int, decimal(SCALE), time(ms), time(us), time(ns)"
            ))),
        }
    }

    /// The value as this type says, NULL as `None`. `schema` is the field's own, where the record carries one.
    /// `Err` says what was expected, never what was there.
    pub fn read(self, value: &Value, schema: Option<&Value>) -> Result<Option<Cell>, &'static str> {
        if value.is_null() {
            return Ok(None);
        }
        match self {
            Self::Text => match value {
                Value::String(text) => Ok(Some(Cell::Text(text.clone()))),
                // A key that became a number keeps its digits.
                Value::Number(number) => Ok(Some(Cell::Text(number.to_string()))),
                _ => Err("a text"),
            },
            Self::Int => value.as_i64().map(|n| Some(Cell::Int(n))).ok_or("a whole number"),
            Self::Decimal(scale) => decimal(value, schema_scale(schema).unwrap_or(scale)).map(Some),
            Self::Time(unit) => time(value, schema_unit(schema).unwrap_or(unit)).map(Some),
        }
    }
}

fn schema_name(schema: Option<&Value>) -> Option<&str> {
    schema?.get("name")?.as_str()
}

fn schema_scale(schema: Option<&Value>) -> Option<u8> {
    schema?.get("parameters")?.get("scale")?.as_str()?.parse().ok()
}

fn schema_unit(schema: Option<&Value>) -> Option<TimeUnit> {
    match schema_name(schema)? {
        "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => Some(TimeUnit::Millis),
        "io.debezium.time.MicroTimestamp" => Some(TimeUnit::Micros),
        "io.debezium.time.NanoTimestamp" => Some(TimeUnit::Nanos),
        _ => None,
    }
}

/// `decimal.handling.mode` decides the form: a number (`double`), digits (`string`) or base64 of the unscaled number
/// in two's complement (`precise`).
fn decimal(value: &Value, scale: u8) -> Result<Cell, &'static str> {
    const EXPECTED: &str = "a decimal number";
    match value {
        Value::Number(number) => digits(&number.to_string(), None).ok_or(EXPECTED),
        Value::String(text) => {
            // Digits have exactly `scale` places behind the point; base64 of the same look has not, but for scale 0,
            // where digits are the likelier reading.
            if let Some(cell) = digits(text, Some(scale)) {
                return Ok(cell);
            }
            let bytes = STANDARD.decode(text).map_err(|_| EXPECTED)?;
            let first = *bytes.first().ok_or(EXPECTED)?;
            if bytes.len() > 16 {
                return Err("a decimal number of at most 38 digits");
            }
            let start: i128 = if first & 0x80 != 0 { -1 } else { 0 };
            let unscaled = bytes.iter().fold(start, |n, byte| (n << 8) | i128::from(*byte));
            Ok(Cell::Decimal { unscaled, scale })
        }
        // The struct form of a decimal without fixed scale.
        Value::Object(object) => {
            let scale = object.get("scale").and_then(Value::as_u64).and_then(|s| u8::try_from(s).ok());
            match (scale, object.get("value")) {
                (Some(scale), Some(inner @ Value::String(_))) => decimal(inner, scale),
                _ => Err(EXPECTED),
            }
        }
        _ => Err(EXPECTED),
    }
}

/// Plain digits with an optional sign and point; `places` says how many must stand behind the point.
fn digits(text: &str, places: Option<u8>) -> Option<Cell> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        // 1.0E10 and the like of doubles.
        let number: f64 = if places.is_none() { text.parse().ok()? } else { return None };
        let plain = format!("{number}");
        return if number.is_finite() && !plain.contains(['e', 'E']) && plain != text {
            digits(&plain, None)
        } else {
            None
        };
    }
    let scale = u8::try_from(fraction.len()).ok()?;
    if places.is_some_and(|places| places != scale) {
        return None;
    }
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    Some(Cell::Decimal { unscaled: if negative { -unscaled } else { unscaled }, scale })
}

fn time(value: &Value, unit: TimeUnit) -> Result<Cell, &'static str> {
    const EXPECTED: &str = "a time";
    match value {
        Value::Number(number) => {
            let n = number.as_i64().ok_or(EXPECTED)?;
            Ok(Cell::Time(match unit {
                TimeUnit::Millis => n,
                TimeUnit::Micros => n.div_euclid(1_000),
                TimeUnit::Nanos => n.div_euclid(1_000_000),
            }))
        }
        Value::String(text) => {
            let instant = text.parse::<jiff::Timestamp>().or_else(|_| {
                text.parse::<jiff::civil::DateTime>()
                    .and_then(|local| local.to_zoned(jiff::tz::TimeZone::UTC))
                    .map(|zoned| zoned.timestamp())
            });
            instant.map(|t| Cell::Time(t.as_millisecond())).map_err(|_| EXPECTED)
        }
        _ => Err(EXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dec(unscaled: i128, scale: u8) -> Result<Option<Cell>, &'static str> {
        Ok(Some(Cell::Decimal { unscaled, scale }))
    }

    #[test]
    fn decimals_in_all_three_forms() {
        let two = ColumnType::Decimal(2);
        assert_eq!(two.read(&json!(12.5), None), dec(125, 1));
        assert_eq!(two.read(&json!("12.30"), None), dec(1230, 2));
        assert_eq!(two.read(&json!("-0.07"), None), dec(-7, 2));
        assert_eq!(two.read(&json!("BM4="), None), dec(1230, 2));
        assert_eq!(two.read(&json!("/w=="), None), dec(-1, 2));
        // Looks like digits, but a text of scale 2 would have a point: it is base64.
        assert_eq!(two.read(&json!("1234"), None), dec(0xd7_6d_f8 - 0x100_0000, 2));
        assert_eq!(ColumnType::Decimal(0).read(&json!("1234"), None), dec(1234, 0));
        assert_eq!(two.read(&json!({"scale": 3, "value": "BM4="}), None), dec(1230, 3));
    }

    #[test]
    fn the_schema_knows_better_than_the_declaration() {
        let schema = json!({"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"4"}});
        assert_eq!(ColumnType::Decimal(2).read(&json!("BM4="), Some(&schema)), dec(1230, 4));
        let micros = json!({"type":"int64","name":"io.debezium.time.MicroTimestamp"});
        let ms = ColumnType::Time(TimeUnit::Millis);
        assert_eq!(ms.read(&json!(1_736_265_600_000_123_i64), Some(&micros)), Ok(Some(Cell::Time(1_736_265_600_000))));
        assert_eq!(ms.read(&json!(1_736_265_600_000_i64), None), Ok(Some(Cell::Time(1_736_265_600_000))));
        assert_eq!(ms.read(&json!("2025-01-07T16:00:00Z"), None), Ok(Some(Cell::Time(1_736_265_600_000))));
    }

    #[test]
    fn what_fits_none_is_an_error_without_the_value() {
        for (column, value) in [
            (ColumnType::Int, json!("five")),
            (ColumnType::Int, json!(1.5)),
            (ColumnType::Text, json!([1])),
            (ColumnType::Decimal(2), json!("not base64!")),
            (ColumnType::Decimal(2), json!("")),
            (ColumnType::Decimal(2), json!(true)),
            (ColumnType::Time(TimeUnit::Millis), json!("yesterday")),
            (ColumnType::Time(TimeUnit::Millis), json!(1.5)),
        ] {
            let error = column.read(&value, None).expect_err("refused");
            assert!(!error.contains("five") && !error.contains("yesterday"));
        }
        assert_eq!(ColumnType::Int.read(&Value::Null, None), Ok(None));
    }

    #[test]
    fn declarations_are_checked() {
        assert_eq!(ColumnType::parse(" decimal( 3 ) ").expect("parses"), ColumnType::Decimal(3));
        assert!(ColumnType::parse("decimal(x)").is_err());
        assert!(ColumnType::parse("number").is_err());
    }
}
