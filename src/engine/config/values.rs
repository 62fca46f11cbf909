//! Typed reading of a configuration, with the defaults of its rows.

use std::{fmt, time::Duration};

use super::{ConfigDef, check::parse_bool};
use crate::{filter::RegexList, plugin::ConfigMap};

/// What is wrong with one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Key.
    pub name: String,
    /// What is wrong, without the key.
    pub problem: String,
}

impl ConfigError {
    /// An error of the option `name`.
    pub fn new(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { name: name.into(), problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The '{}' value is invalid: {}", self.name, self.problem)
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for (String, String) {
    fn from(error: ConfigError) -> Self {
        let text = error.to_string();
        (error.name, text)
    }
}

/// An option whose value is one of a few names.
pub trait Choice: Copy + 'static {
    /// The names, in the order in which errors list them.
    const NAMES: &'static [&'static str];

    /// The case of a name in lower case.
    fn from_name(name: &str) -> Option<Self>;
}

/// A value that must not be shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

/// A configuration read through its rows: what is set, else the row's default.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    def: &'a ConfigDef,
    config: &'a ConfigMap,
}

impl<'a> Values<'a> {
    /// The values of `config` by the rows of `def`.
    pub fn new(def: &'a ConfigDef, config: &'a ConfigMap) -> Self {
        Self { def, config }
    }

    /// The whole configuration.
    pub fn map(&self) -> &'a ConfigMap {
        self.config
    }

    /// The value that is set, as it was sent.
    pub fn given(&self, name: &str) -> Option<&'a str> {
        self.config.get(name).map(String::as_str)
    }

    /// Whether a value is set that is not blank.
    pub fn text_given(&self, name: &str) -> bool {
        self.given(name).is_some_and(|text| !text.trim().is_empty())
    }

    /// The value that is set, or the default.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.given(name).or_else(|| self.def.option(name).and_then(|option| option.default))
    }

    /// The trimmed value; `None` also when it is blank.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// A text that has to be there.
    ///
    /// # Errors
    /// It is not set or blank.
    pub fn required(&self, name: &str) -> Result<&'a str, ConfigError> {
        self.text(name).ok_or_else(|| ConfigError::new(name, "A value is required"))
    }

    /// A boolean; false when it has neither value nor default.
    ///
    /// # Errors
    /// Not `true` or `false`.
    pub fn bool(&self, name: &str) -> Result<bool, ConfigError> {
        let Some(text) = self.get(name) else { return Ok(false) };
        parse_bool(text).ok_or_else(|| ConfigError::new(name, "Either 'true' or 'false' is expected"))
    }

    /// An integer of 32 bits.
    ///
    /// # Errors
    /// Not an integer.
    pub fn int(&self, name: &str) -> Result<Option<i32>, ConfigError> {
        self.get(name)
            .map(|text| text.trim().parse().map_err(|_| ConfigError::new(name, "An integer is expected")))
            .transpose()
    }

    /// An integer of 64 bits.
    ///
    /// # Errors
    /// Not an integer.
    pub fn long(&self, name: &str) -> Result<Option<i64>, ConfigError> {
        self.get(name)
            .map(|text| text.trim().parse().map_err(|_| ConfigError::new(name, "A long value is expected")))
            .transpose()
    }

    /// A count: an integer not below zero; 0 when it has neither value nor default.
    ///
    /// # Errors
    /// Not such an integer.
    pub fn count(&self, name: &str) -> Result<u64, ConfigError> {
        let n = self.long(name)?.unwrap_or(0);
        u64::try_from(n).map_err(|_| ConfigError::new(name, "A non-negative long value is expected"))
    }

    /// A duration given in milliseconds.
    ///
    /// # Errors
    /// Not an integer, or below zero.
    pub fn millis(&self, name: &str) -> Result<Duration, ConfigError> {
        self.count(name).map(Duration::from_millis)
    }

    /// A duration given in milliseconds, where 0 stands for none.
    ///
    /// # Errors
    /// Not an integer, or below zero.
    pub fn millis_if_set(&self, name: &str) -> Result<Option<Duration>, ConfigError> {
        Ok(Some(self.millis(name)?).filter(|duration| !duration.is_zero()))
    }

    /// One of a few names, any case.
    ///
    /// # Errors
    /// None of them.
    pub fn choice<T: Choice>(&self, name: &str) -> Result<T, ConfigError> {
        let text = self.get(name).unwrap_or_default().trim().to_ascii_lowercase();
        T::from_name(&text)
            .ok_or_else(|| ConfigError::new(name, format!("Value must be one of {}", T::NAMES.join(", "))))
    }

    /// A list: split at commas, blanks around items dropped, empty items left out.
    pub fn list(&self, name: &str) -> Vec<&'a str> {
        let items = self.get(name).unwrap_or_default().split(',');
        items.map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    /// A list of regular expressions; `None` when it is not set or blank.
    ///
    /// # Errors
    /// One of them is not valid.
    pub fn regex_list(&self, name: &str) -> Result<Option<RegexList>, ConfigError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        RegexList::parse(text).map(Some).map_err(|problem| {
            let text = format!("A comma-separated list of valid regular expressions is expected, but {problem}");
            ConfigError::new(name, text)
        })
    }

    /// A secret; `None` when it is not set.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).map(Secret::new)
    }
}
