//! Options as a table: one row per option, from which parsing, validation, documentation and forms come.
//!
//! A [`ConfigDef`] holds the rows, [`ConfigDef::check`] applies them to a configuration in the texts of
//! Debezium's validators, and [`Values`] reads typed values with the rows' defaults. What concerns several
//! options at once beyond a [`Check::Custom`] is the plugin's own business.

mod check;
mod values;

pub use check::{Check, is_java_class_name, one_of};
pub use values::{Choice, ConfigError, Secret, Values};

use crate::plugin::{ConfigErrors, ConfigMap};

/// Connect's configuration types (`ConfigDef.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `BOOLEAN`
    Boolean,
    /// `STRING`
    String,
    /// `INT`
    Int,
    /// `SHORT`
    Short,
    /// `LONG`
    Long,
    /// `DOUBLE`
    Double,
    /// `LIST`
    List,
    /// `CLASS`
    Class,
    /// `PASSWORD`
    Password,
}

/// Importance of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// `HIGH`
    High,
    /// `MEDIUM`
    Medium,
    /// `LOW`
    Low,
}

/// Width of an option's field in a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// `NONE`
    None,
    /// `SHORT`
    Short,
    /// `MEDIUM`
    Medium,
    /// `LONG`
    Long,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct ConfigOption {
    /// Key.
    pub name: &'static str,
    /// Type.
    pub ty: ConfigType,
    /// Default as text.
    pub default: Option<&'static str>,
    /// Importance.
    pub importance: Importance,
    /// Group of the form.
    pub group: &'static str,
    /// Order in the group.
    pub order: i32,
    /// Width of the field.
    pub width: Width,
    /// Display name.
    pub display: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Checks of its value, each giving its own error.
    pub checks: &'static [Check],
    /// Values to offer.
    pub recommended: &'static [&'static str],
    /// Options that depend on this one.
    pub dependents: &'static [&'static str],
}

impl ConfigOption {
    /// An option without default, check or place in a form.
    pub const fn new(name: &'static str, ty: ConfigType, doc: &'static str) -> Self {
        Self {
            name,
            ty,
            default: None,
            importance: Importance::Low,
            group: "",
            order: -1,
            width: Width::None,
            display: name,
            doc,
            checks: &[],
            recommended: &[],
            dependents: &[],
        }
    }

    /// Sets the default.
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// Sets how it is shown in a form.
    pub const fn form(
        mut self,
        display: &'static str,
        group: &'static str,
        order: i32,
        width: Width,
        importance: Importance,
    ) -> Self {
        self.display = display;
        self.group = group;
        self.order = order;
        self.width = width;
        self.importance = importance;
        self
    }

    /// Sets the checks.
    pub const fn checks(mut self, checks: &'static [Check]) -> Self {
        self.checks = checks;
        self
    }

    /// Sets the values to offer.
    pub const fn recommended(mut self, values: &'static [&'static str]) -> Self {
        self.recommended = values;
        self
    }

    /// Sets the options that depend on this one.
    pub const fn dependents(mut self, names: &'static [&'static str]) -> Self {
        self.dependents = names;
        self
    }
}

/// A plugin's options.
#[derive(Debug, Clone, Copy)]
pub struct ConfigDef {
    /// The rows, in the order of forms and answers.
    pub options: &'static [ConfigOption],
    /// Rows that are read and checked but shown in no form or answer, as Debezium does not list them either.
    pub unlisted: &'static [ConfigOption],
}

impl ConfigDef {
    /// The row of a key, listed or not.
    pub fn option(&self, name: &str) -> Option<&'static ConfigOption> {
        self.options.iter().chain(self.unlisted).find(|option| option.name == name)
    }

    /// Applies the checks of all rows: one error per failed check, in the order of the rows, in Debezium's form
    /// `The '<name>' value is invalid: <problem>`.
    pub fn check(&self, config: &ConfigMap) -> ConfigErrors {
        let values = Values::new(self, config);
        let mut errors = ConfigErrors::new();
        for option in self.options.iter().chain(self.unlisted) {
            let mut problems = Vec::new();
            option.checks.iter().for_each(|check| check.apply(option.name, &values, &mut problems));
            errors.extend(problems.into_iter().map(|problem| ConfigError::new(option.name, problem).into()));
        }
        errors
    }
}
