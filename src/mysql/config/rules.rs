//! Rules on columns: truncate, mask, hash, source type parameters, and which columns make the key.

use std::sync::Arc;

use engine::{
    config::{ConfigError, Values},
    filter::RegexList,
    regex::JavaRegex,
};
use model::TableId;

/// What a rule does to the columns it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnRule {
    /// Text and bytes longer than this are cut (`column.truncate.to.N.chars`).
    Truncate(u32),
    /// Text becomes this one (`column.mask.with.N.chars`).
    Mask(Arc<str>),
    /// Text becomes a salted hash (`column.mask.hash..`).
    Hash {
        /// Digest name as OpenSSL knows it.
        algorithm: Arc<str>,
        /// Salt.
        salt: Arc<str>,
        /// Whether the digest is over the plain text (`v2`) instead of its Java serialisation.
        plain: bool,
    },
    /// The schema carries the column's source type (`column.` and `datatype.propagate.source.type`).
    PropagateSourceType,
}

/// What a rule's expressions are matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Column,
    Type,
}

/// All rules in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnRules {
    rules: Vec<(Subject, RegexList, ColumnRule)>,
}

impl ColumnRules {
    /// Reads the rules. A key that looks like a rule and is none is an error: a mask that does not mask would
    /// publish what it was meant to hide.
    ///
    /// # Errors
    /// Each bad rule.
    pub(super) fn parse(values: &Values<'_>) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut found = Vec::new();
        for (name, text) in values.map() {
            match rule_of(name) {
                Ok(None) => continue,
                Ok(Some((order, subject, rule))) => match RegexList::parse(text) {
                    Ok(list) => found.push((order, subject, list, rule)),
                    Err(problem) => {
                        let form = "A comma-separated list of valid regular expressions is expected";
                        errors.push(ConfigError::new(name, format!("{form}, but {problem}")));
                    }
                },
                Err(problem) => errors.push(ConfigError::new(name, problem)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        // Stable: within one kind in the order of keys.
        found.sort_by_key(|(order, ..)| *order);
        let rules = found.into_iter().map(|(_, subject, list, rule)| (subject, list, rule)).collect();
        Ok(Self { rules })
    }

    /// The first rule for a column; later ones do not count. `type_name` is the column's type in words, upper case.
    pub(crate) fn rule(&self, table: &TableId, column: &str, type_name: &str) -> Option<&ColumnRule> {
        if self.rules.is_empty() {
            return None;
        }
        let column = format!("{table}.{column}");
        let type_name = format!("{table}.{type_name}");
        let matched = self.rules.iter().find(|(subject, list, _)| {
            list.matches(if *subject == Subject::Column { &column } else { &type_name }, true)
        });
        matched.map(|(_, _, rule)| rule)
    }
}

/// The rule a key names, with the place of its kind; `None` for other keys.
fn rule_of(name: &str) -> Result<Option<(u8, Subject, ColumnRule)>, String> {
    match name {
        "column.propagate.source.type" => return Ok(Some((2, Subject::Column, ColumnRule::PropagateSourceType))),
        "datatype.propagate.source.type" => return Ok(Some((3, Subject::Type, ColumnRule::PropagateSourceType))),
        _ => {}
    }
    let between = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".chars"));
    let length = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u32>().ok().filter(|n| digits && *n <= i32::MAX as u32).ok_or_else(|| {
            "the option's name has to hold a number, as in column.mask.with.10.chars and column.truncate.to.20.chars"
                .to_owned()
        })
    };
    if let Some(text) = between("column.truncate.to.") {
        // Debezium refuses a length of 0 at the start of the task.
        let length = length(text)?;
        if length == 0 {
            return Err("the length in the option's name has to be above 0".to_owned());
        }
        return Ok(Some((0, Subject::Column, ColumnRule::Truncate(length))));
    }
    if let Some(text) = between("column.mask.with.") {
        let length = length(text)?;
        if length > 1 << 20 {
            return Err("a mask has at most 1048576 characters".to_owned());
        }
        let mask = "*".repeat(length as usize);
        return Ok(Some((1, Subject::Column, ColumnRule::Mask(mask.into()))));
    }
    if let Some(rest) = name.strip_prefix("column.mask.hash.") {
        let (plain, rest) = match rest.strip_prefix("v2.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let Some((algorithm, salt)) =
            rest.split_once(".with.salt.").filter(|(a, s)| !a.is_empty() && !a.contains('.') && !s.is_empty())
        else {
            return Err("the option's name has the form column.mask.hash.<algorithm>.with.salt.<salt>".to_owned());
        };
        let Some(digest) = digest_name(algorithm) else {
            return Err(format!(
                "the digest '{algorithm}' is not known; there are MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512, \
                 SHA-512/224, SHA-512/256, SHA3-224, SHA3-256, SHA3-384 and SHA3-512"
            ));
        };
        let rule = ColumnRule::Hash { algorithm: digest.into(), salt: salt.into(), plain };
        return Ok(Some((if plain { 5 } else { 4 }, Subject::Column, rule)));
    }
    let looks_like_a_rule = ["column.mask.", "column.truncate."].iter().any(|prefix| name.starts_with(prefix));
    if looks_like_a_rule {
        return Err(
            "no such rule; there are column.mask.with.<n>.chars, column.mask.hash.<algorithm>.with.salt.<salt>, \
                    column.mask.hash.v2.<algorithm>.with.salt.<salt> and column.truncate.to.<n>.chars"
                .to_owned(),
        );
    }
    Ok(None)
}

/// OpenSSL's name of a digest of the Java Cryptography Architecture, which compares names without case.
fn digest_name(jca: &str) -> Option<&'static str> {
    Some(match jca.to_ascii_uppercase().as_str() {
        "MD5" => "MD5",
        "SHA" | "SHA1" | "SHA-1" => "SHA1",
        "SHA-224" | "SHA224" => "SHA224",
        "SHA-256" | "SHA256" => "SHA256",
        "SHA-384" | "SHA384" => "SHA384",
        "SHA-512" | "SHA512" => "SHA512",
        "SHA-512/224" | "SHA512/224" => "SHA512-224",
        "SHA-512/256" | "SHA512/256" => "SHA512-256",
        "SHA3-224" => "SHA3-224",
        "SHA3-256" => "SHA3-256",
        "SHA3-384" => "SHA3-384",
        "SHA3-512" => "SHA3-512",
        _ => return None,
    })
}

/// `message.key.columns`: which columns make the key of which tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyColumns {
    /// One per column named, on `db.table.column`.
    columns: Vec<JavaRegex>,
}

impl KeyColumns {
    /// Reads `<table expression>:<column>,<column>;<table expression>:..`.
    ///
    /// # Errors
    /// The part that has another form, or the expression that is not valid.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut columns = Vec::new();
        let parts: Vec<&str> =
            if text.is_empty() { vec![text] } else { text.trim_end_matches(';').split(';').collect() };
        // Nothing but semicolons is no part at all.
        let parts = if !text.is_empty() && text.bytes().all(|b| b == b';') { Vec::new() } else { parts };
        for part in parts {
            let form = || format!(r"{part} has an invalid format (expecting '^\s*([^:]+):([^:,]+(,[^:,]+)*)\s*$')");
            let (table, names) = part.split_once(':').ok_or_else(form)?;
            if table.is_empty() || names.contains(':') || names.split(',').any(str::is_empty) {
                return Err(form());
            }
            for name in names.split(',') {
                columns.push(JavaRegex::new(&format!("{}.{}", table.trim(), name.trim()), true)?);
            }
        }
        Ok(Self { columns })
    }

    /// The key of a table as indexes of its columns, in the order of the option; `None` when no entry matches, so
    /// that the primary key counts. A column that two entries match is there once.
    pub(crate) fn of<'c>(&self, table: &TableId, names: impl Iterator<Item = &'c str>) -> Option<Vec<usize>> {
        if self.columns.is_empty() {
            return None;
        }
        let names: Vec<String> = names.map(|name| format!("{table}.{name}")).collect();
        let mut key = Vec::new();
        for pattern in &self.columns {
            for (index, name) in names.iter().enumerate() {
                if pattern.matches(name).unwrap_or(true) && !key.contains(&index) {
                    key.push(index);
                }
            }
        }
        (!key.is_empty()).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_order_of_the_option() {
        let keys = KeyColumns::parse(r"shop\.o.*:c, a ;(.*).x:pk\d;").unwrap();
        let of = |db: &str, table: &str, names: &[&str]| keys.of(&TableId::new(db, table), names.iter().copied());
        assert_eq!(of("shop", "orders", &["a", "b", "c"]), Some(vec![2, 0]));
        assert_eq!(of("any", "x", &["pk1", "a", "pk2"]), Some(vec![0, 2]));
        assert_eq!(of("any", "orders", &["a"]), None);
    }

    #[test]
    fn rules_are_read_from_key_names() {
        let rule = |name: &str| rule_of(name).map(|found| found.map(|(order, _, rule)| (order, rule)));
        assert_eq!(rule("column.truncate.to.20.chars"), Ok(Some((0, ColumnRule::Truncate(20)))));
        assert_eq!(rule("column.mask.with.3.chars"), Ok(Some((1, ColumnRule::Mask("***".into())))));
        assert_eq!(rule("column.mask.with.0.chars"), Ok(Some((1, ColumnRule::Mask("".into())))));
        let hash = |plain| ColumnRule::Hash { algorithm: "SHA256".into(), salt: "a.b".into(), plain };
        assert_eq!(rule("column.mask.hash.SHA-256.with.salt.a.b"), Ok(Some((4, hash(false)))));
        assert_eq!(rule("column.mask.hash.v2.sha-256.with.salt.a.b"), Ok(Some((5, hash(true)))));
        assert_eq!(rule("column.include.list"), Ok(None));
        for wrong in [
            "column.mask.with.x.chars",
            "column.mask.with.-1.chars",
            "column.mask.with.99999999999.chars",
            "column.truncate.to.0.chars",
            "column.mask.hash.NOPE.with.salt.x",
            "column.mask.hash.MD5",
            "column.mask.x",
        ] {
            assert!(rule(wrong).is_err(), "{wrong}");
        }
    }
}
