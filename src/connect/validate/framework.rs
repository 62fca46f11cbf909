//! The keys that every source connector has, whatever its plugin: names, types, defaults, groups and order of
//! Kafka Connect 4.3, and their checks in Connect's texts.

use engine::config::{ConfigOption, ConfigType, Importance, Width};

use crate::converters;

/// A check of one framework key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// Anything of its type.
    Any,
    /// A connector's name.
    Name,
    /// At least this; a value that is no number is reported twice, as Connect does.
    AtLeast(i64),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// One of these in any case, as Connect lists them.
    AnyCase(&'static [&'static str]),
    /// Not the empty text.
    NonEmpty,
    /// No alias twice.
    Aliases,
}

/// One framework key.
pub(super) struct Row {
    pub(super) option: ConfigOption,
    pub(super) required: bool,
    pub(super) check: Check,
}

const fn row(option: ConfigOption, check: Check) -> Row {
    Row { option, required: false, check }
}

const fn required(option: ConfigOption, check: Check) -> Row {
    Row { option, required: true, check }
}

use ConfigType::{Boolean, Class, Int, List, Long, String};
use Importance::{High, Low, Medium};

const COMMON: &str = "Common";
const ERRORS: &str = "Error Handling";
const EXACTLY_ONCE: &str = "Exactly Once Support";

/// A framework option without default.
const fn option(
    name: &'static str,
    ty: ConfigType,
    place: (&'static str, i32),
    look: (Importance, Width, &'static str),
    doc: &'static str,
) -> ConfigOption {
    ConfigOption::new(name, ty, doc).form(look.2, place.0, place.1, look.1, look.0)
}

/// All of them, in the order of answers.
pub(super) const ROWS: &[Row] = &[
    required(
        option(
            "name",
            String,
            (COMMON, 1),
            (High, Width::Medium, "Connector name"),
            "The connector's name, unique in this worker.",
        ),
        Check::Name,
    ),
    required(
        option(
            "connector.class",
            String,
            (COMMON, 2),
            (High, Width::Long, "Connector class"),
            "The connector's class: its full name, its simple name, or the simple name without 'Connector'.",
        ),
        Check::Any,
    ),
    row(
        option(
            "connector.plugin.version",
            String,
            (COMMON, 3),
            (Medium, Width::Medium, "Connector version"),
            "The version of the connector's class.",
        ),
        Check::Any,
    ),
    row(
        option(
            "tasks.max",
            Int,
            (COMMON, 4),
            (High, Width::Short, "Tasks max"),
            "The most tasks the connector may have.",
        )
        .default("1"),
        Check::AtLeast(1),
    ),
    row(
        option(
            "tasks.max.enforce",
            Boolean,
            (COMMON, 5),
            (Low, Width::Short, "Enforce tasks max"),
            "Deprecated. Whether a connector with more tasks than tasks.max fails.",
        )
        .default("true"),
        Check::Any,
    ),
    row(
        option(
            "key.converter",
            Class,
            (COMMON, 6),
            (Low, Width::Short, "Key converter class"),
            "The converter of record keys; without it the worker's converter with the worker's options is used.",
        ),
        Check::Any,
    ),
    row(
        option(
            "key.converter.plugin.version",
            String,
            (COMMON, 7),
            (Low, Width::Short, "Key converter version"),
            "The version of the key converter.",
        ),
        Check::Any,
    ),
    row(
        option(
            "value.converter",
            Class,
            (COMMON, 8),
            (Low, Width::Short, "Value converter class"),
            "The converter of record values; without it the worker's converter with the worker's options is used.",
        ),
        Check::Any,
    ),
    row(
        option(
            "value.converter.plugin.version",
            String,
            (COMMON, 9),
            (Low, Width::Short, "Value converter version"),
            "The version of the value converter.",
        ),
        Check::Any,
    ),
    row(
        option(
            "header.converter",
            Class,
            (COMMON, 10),
            (Low, Width::Short, "Header converter class"),
            "The converter of header values; without it the worker's converter is used.",
        ),
        Check::Any,
    ),
    row(
        option(
            "header.converter.plugin.version",
            String,
            (COMMON, 11),
            (Low, Width::Short, "Header converter version"),
            "The version of the header converter.",
        ),
        Check::Any,
    ),
    row(
        option(
            "transforms",
            List,
            ("Transforms", 12),
            (Low, Width::Long, "Transforms"),
            "Names of transforms, in order.",
        )
        .default(""),
        Check::Aliases,
    ),
    row(
        option(
            "predicates",
            List,
            ("Predicates", 13),
            (Low, Width::Long, "Predicates"),
            "Names of predicates of transforms.",
        )
        .default(""),
        Check::Aliases,
    ),
    row(
        option(
            "config.action.reload",
            String,
            (COMMON, 14),
            (Low, Width::Medium, "Reload Action"),
            "What happens when a value from a config provider runs out.",
        )
        .default("restart"),
        Check::OneOf(&["none", "restart"]),
    ),
    row(
        option(
            "errors.retry.timeout",
            Long,
            (ERRORS, 1),
            (Medium, Width::Medium, "Retry Timeout for Errors"),
            "How long, in milliseconds, a failed conversion is tried again; -1 is for ever.",
        )
        .default("0"),
        Check::Any,
    ),
    row(
        option(
            "errors.retry.delay.max.ms",
            Long,
            (ERRORS, 2),
            (Medium, Width::Medium, "Maximum Delay Between Retries for Errors"),
            "The longest pause, in milliseconds, between two tries.",
        )
        .default("60000"),
        Check::Any,
    ),
    row(
        option(
            "errors.tolerance",
            String,
            (ERRORS, 3),
            (Medium, Width::Short, "Error Tolerance"),
            "What a record that cannot be converted does: 'none' stops the task.",
        )
        .default("none"),
        Check::OneOf(&["none", "all"]),
    ),
    row(
        option(
            "errors.log.enable",
            Boolean,
            (ERRORS, 4),
            (Medium, Width::Short, "Log Errors"),
            "Whether each tolerated failure is logged.",
        )
        .default("false"),
        Check::Any,
    ),
    row(
        option(
            "errors.log.include.messages",
            Boolean,
            (ERRORS, 5),
            (Medium, Width::Short, "Log Error Details"),
            "Whether the log line of a failure names the record. Values of rows are never logged.",
        )
        .default("false"),
        Check::Any,
    ),
    row(
        option(
            "topic.creation.groups",
            List,
            ("Topic Creation", 1),
            (Low, Width::Long, "Topic Creation Groups"),
            "Names of groups of topics that are created with settings of their own.",
        )
        .default(""),
        Check::Aliases,
    ),
    row(
        option(
            "exactly.once.support",
            String,
            (EXACTLY_ONCE, 2),
            (Medium, Width::Short, "Exactly once support"),
            "'required' refuses the connector where it cannot deliver exactly once.",
        )
        .default("requested"),
        Check::AnyCase(&["REQUIRED", "REQUESTED"]),
    ),
    row(
        option(
            "transaction.boundary",
            String,
            (EXACTLY_ONCE, 3),
            (Medium, Width::Short, "Transaction Boundary"),
            "Where producer transactions end when delivery is exactly once.",
        )
        .default("poll"),
        Check::AnyCase(&["INTERVAL", "POLL", "CONNECTOR"]),
    ),
    row(
        option(
            "transaction.boundary.interval.ms",
            Long,
            (EXACTLY_ONCE, 4),
            (Low, Width::Short, "Transaction boundary interval"),
            "The time between two ends, in milliseconds, with transaction.boundary=interval.",
        ),
        Check::AtLeast(0),
    ),
    row(
        option(
            "offsets.storage.topic",
            String,
            ("offsets.topic", 1),
            (Low, Width::Long, "Offsets topic"),
            "An offsets topic for this connector alone.",
        ),
        Check::NonEmpty,
    ),
];

/// A value after parsing: its text for answers, and what is wrong with it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    pub(super) value: Option<std::string::String>,
    pub(super) errors: Vec<std::string::String>,
}

/// Parses and checks the value of a row (`None`: not given and without default).
pub(super) fn parse(row: &Row, given: Option<&str>) -> Parsed {
    let name = row.option.name;
    let invalid = |shown: &str, why: &str| format!("Invalid value {shown} for configuration {name}: {why}");
    let Some(given) = given else {
        let errors = match row.required {
            true => vec![format!("Missing required configuration \"{name}\" which has no default value.")],
            false => Vec::new(),
        };
        return Parsed { value: None, errors };
    };
    let trimmed = given.trim();
    let number = |ty: &str, parsed: Option<i64>| match parsed {
        Some(n) => Ok(n.to_string()),
        None => Err(format!("Not a number of type {ty}")),
    };
    let value = match row.option.ty {
        Boolean => converters::parse_bool(given)
            .map(|value| value.to_string())
            .ok_or_else(|| "Expected value to be either true or false".to_owned()),
        Int => number("INT", trimmed.parse::<i32>().ok().map(i64::from)),
        Long => number("LONG", trimmed.parse::<i64>().ok()),
        List => Ok(items(given).join(",")),
        _ => Ok(given.to_owned()),
    };
    let value = match value {
        Ok(value) => value,
        Err(why) => {
            let mut errors = vec![invalid(given, &why)];
            if matches!(row.check, Check::AtLeast(_)) {
                errors.push(invalid("null", "Value must be non-null"));
            }
            return Parsed { value: None, errors };
        }
    };
    let error = match row.check {
        Check::Any => None,
        Check::Name if value.is_empty() => Some(invalid("", "String may not be empty")),
        Check::Name => {
            let codes: Vec<_> =
                value.chars().filter(|c| u32::from(*c) < 32).map(|c| u32::from(c).to_string()).collect();
            let why = "String may not contain control sequences but had the following ASCII chars:";
            (!codes.is_empty()).then(|| invalid(&value, &format!("{why} {}", codes.join(", "))))
        }
        Check::AtLeast(least) => {
            let low = value.parse::<i64>().is_ok_and(|n| n < least);
            low.then(|| invalid(&value, &format!("Value must be at least {least}")))
        }
        Check::OneOf(words) => {
            let why = || format!("String must be one of: {}", words.join(", "));
            (!words.contains(&value.as_str())).then(|| invalid(&value, &why()))
        }
        Check::AnyCase(words) => {
            let known = words.iter().any(|word| word.eq_ignore_ascii_case(&value));
            let why = || format!("String must be one of (case insensitive): {}", words.join(", "));
            (!known).then(|| invalid(&value, &why()))
        }
        Check::NonEmpty => trimmed.is_empty().then(|| invalid(&value, "String must be non-empty")),
        Check::Aliases => {
            let items = items(given);
            let twice = items.iter().enumerate().any(|(i, item)| items.iter().take(i).any(|other| other == item));
            twice.then(|| invalid(&format!("[{}]", items.join(", ")), "Duplicate alias provided."))
        }
    };
    Parsed { value: Some(value), errors: error.into_iter().collect() }
}

/// The items of a LIST.
pub(super) fn items(text: &str) -> Vec<&str> {
    if text.trim().is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(name: &str, value: Option<&str>) -> Vec<std::string::String> {
        let row = ROWS.iter().find(|row| row.option.name == name).unwrap();
        parse(row, value).errors
    }

    #[test]
    fn speaks_in_connects_texts() {
        for (name, value, expected) in [
            ("name", None, vec!["Missing required configuration \"name\" which has no default value."]),
            ("name", Some(""), vec!["Invalid value  for configuration name: String may not be empty"]),
            (
                "tasks.max",
                Some("abc"),
                vec![
                    "Invalid value abc for configuration tasks.max: Not a number of type INT",
                    "Invalid value null for configuration tasks.max: Value must be non-null",
                ],
            ),
            ("tasks.max", Some("0"), vec!["Invalid value 0 for configuration tasks.max: Value must be at least 1"]),
            ("tasks.max", Some(" 2 "), vec![]),
            (
                "errors.tolerance",
                Some("foo"),
                vec!["Invalid value foo for configuration errors.tolerance: String must be one of: none, all"],
            ),
            (
                "exactly.once.support",
                Some("xx"),
                vec![
                    "Invalid value xx for configuration exactly.once.support: String must be one of (case insensitive): \
                     REQUIRED, REQUESTED",
                ],
            ),
            (
                "transforms",
                Some("a,a"),
                vec!["Invalid value [a, a] for configuration transforms: Duplicate alias provided."],
            ),
            (
                "tasks.max.enforce",
                Some("q"),
                vec!["Invalid value q for configuration tasks.max.enforce: Expected value to be either true or false"],
            ),
        ] {
            assert_eq!(errors(name, value), expected, "{name}={value:?}");
        }
    }
}
