//! Checks of single values, in the texts of Debezium's validators.

use super::values::{Choice, Values};
use crate::{filter::RegexList, regex::JavaRegex};

/// A check of one option's value. Several checks of one option each add their own problem, as Debezium's do.
/// All but `Required` and `Custom` pass when the option is not set.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// Set and not blank.
    Required,
    /// `true` or `false` in any case, blanks around allowed.
    Boolean,
    /// 32-bit integer, no blanks.
    Integer,
    /// 32-bit integer above zero.
    PositiveInteger,
    /// 32-bit integer not below zero.
    NonNegativeInteger,
    /// 64-bit integer.
    Long,
    /// 64-bit integer above zero.
    PositiveLong,
    /// 64-bit integer not below zero.
    NonNegativeLong,
    /// One of these, any case, blanks around allowed; listed in this order in the error.
    OneOf(&'static [&'static str]),
    /// List of regular expressions, see [`RegexList`].
    RegexList,
    /// A regular expression.
    Regex,
    /// Letters, digits, dots, hyphens and underscores of ASCII.
    PlainName,
    /// A Java class name by its form.
    ClassName,
    /// `k=v,k=v`.
    KeyValues,
    /// Not together with the named include list.
    NotWith(&'static str),
    /// Anything else: adds its problems.
    Custom(fn(&Values<'_>, &mut Vec<String>)),
}

impl Check {
    /// Adds the problems of the option `name`.
    pub fn apply(&self, name: &str, values: &Values<'_>, problems: &mut Vec<String>) {
        let given = values.given(name);
        let problem = match (self, given) {
            (Check::Custom(check), _) => return check(values, problems),
            (Check::Required, None) => Some("A value is required".to_owned()),
            (Check::NotWith(include), Some(_)) => {
                values.given(include).map(|_| format!("\"{include}\" is already specified"))
            }
            (_, None) => None,
            (_, Some(text)) => self.problem(text),
        };
        problems.extend(problem);
    }

    fn problem(&self, text: &str) -> Option<String> {
        let integer = || text.parse::<i32>().ok();
        let long = || text.parse::<i64>().ok();
        let (passed, problem) = match self {
            Check::Required => (!text.trim().is_empty(), "A value is required"),
            Check::Boolean => (parse_bool(text).is_some(), "Either 'true' or 'false' is expected"),
            Check::Integer => (integer().is_some(), "An integer is expected"),
            Check::PositiveInteger => {
                (integer().is_some_and(|n| n > 0), "A positive, non-zero integer value is expected")
            }
            Check::NonNegativeInteger => (integer().is_some_and(|n| n >= 0), "An non-negative integer is expected"),
            Check::Long => (long().is_some(), "A long value is expected"),
            Check::PositiveLong => (long().is_some_and(|n| n > 0), "A positive, non-zero long value is expected"),
            Check::NonNegativeLong => (long().is_some_and(|n| n >= 0), "A non-negative long value is expected"),
            Check::OneOf(names) => {
                let passed = names.iter().any(|name| name.eq_ignore_ascii_case(text.trim()));
                return (!passed).then(|| format!("Value must be one of {}", names.join(", ")));
            }
            Check::RegexList => {
                let parsed = RegexList::parse(text);
                return parsed.err().map(|problem| {
                    format!("A comma-separated list of valid regular expressions is expected, but {problem}")
                });
            }
            Check::Regex => {
                let parsed = JavaRegex::new(text, false);
                return parsed.err().map(|problem| format!("A valid regular expressions is expected, but {problem}"));
            }
            Check::PlainName => {
                let passed = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
                return (!passed).then(|| {
                    format!(
                        "{text} has invalid format \
                         (only the underscore, hyphen, dot and alphanumeric characters are allowed)"
                    )
                });
            }
            Check::ClassName => (is_java_class_name(text), "A Java class name is expected"),
            Check::KeyValues => (
                key_values(text),
                "A equivalent-separated map of valid key/value pairs is expected, for example: k1=v1,k2=v2",
            ),
            Check::NotWith(_) | Check::Custom(_) => return None,
        };
        (!passed).then(|| problem.to_owned())
    }
}

/// The check that a value is one of an enumeration's.
pub const fn one_of<T: Choice>() -> Check {
    Check::OneOf(T::NAMES)
}

/// Debezium's reading of a boolean.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    let text = text.trim();
    match () {
        () if text.eq_ignore_ascii_case("true") => Some(true),
        () if text.eq_ignore_ascii_case("false") => Some(false),
        () => None,
    }
}

/// Whether a text has the form of a Java class name: identifiers joined by dots.
pub fn is_java_class_name(text: &str) -> bool {
    text.split('.').all(|part| {
        let mut chars = part.chars();
        let start = |c: char| c.is_alphabetic() || c == '_' || c == '$';
        chars.next().is_some_and(start) && chars.all(|c| start(c) || c.is_numeric())
    })
}

/// `k=v` pairs joined by commas, the way Java splits them: empty parts at the end do not count, and a pair has
/// exactly one `=` with something behind it.
fn key_values(text: &str) -> bool {
    let text = text.trim_end_matches(',');
    text.is_empty()
        || text.split(',').all(|pair| {
            let parts: Vec<&str> = pair.trim_end_matches('=').split('=').collect();
            parts.len() == 2
        })
}
