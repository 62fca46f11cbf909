//! The shapes of validation answers: definitions, values, and both for each key.

use std::collections::BTreeMap;

use engine::config::{ConfigOption, ConfigType, Importance, Width};
use serde::Serialize;

/// One option's definition (`ConfigKeyInfo`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyInfo {
    /// Key.
    pub name: String,
    /// `STRING`, `INT`, ..
    pub r#type: &'static str,
    /// Whether it has no default.
    pub required: bool,
    /// Default as text.
    pub default_value: Option<String>,
    /// `HIGH`, `MEDIUM`, `LOW`.
    pub importance: &'static str,
    /// What it means.
    pub documentation: String,
    /// Group of the form.
    pub group: Option<String>,
    /// Order in the group, under the name that releases before 4.3 used.
    pub order: i32,
    /// Order in the group, -1 if it has none.
    pub order_in_group: i32,
    /// Width of the field.
    pub width: &'static str,
    /// Display name.
    pub display_name: String,
    /// Options that depend on it.
    pub dependents: Vec<String>,
}

/// One option's value (`ConfigValueInfo`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueInfo {
    /// Key.
    pub name: String,
    /// Parsed value as text.
    pub value: Option<String>,
    /// Values to offer.
    pub recommended_values: Vec<String>,
    /// What is wrong with it.
    pub errors: Vec<String>,
    /// Whether forms show it.
    pub visible: bool,
}

/// Both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigInfo {
    /// Definition; `None` for a key without one.
    pub definition: Option<KeyInfo>,
    /// Value.
    pub value: ValueInfo,
}

/// A validation's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigInfos {
    /// `connector.class` as it was sent.
    pub name: String,
    /// Number of error texts.
    pub error_count: usize,
    /// Groups in order of first use.
    pub groups: Vec<String>,
    /// Keys.
    pub configs: Vec<ConfigInfo>,
}

impl ConfigInfos {
    /// Puts an answer together; errors are those of keys that have no row of their own among `configs` as well.
    pub(super) fn new(name: String, mut configs: Vec<ConfigInfo>, strays: Vec<(String, String)>) -> Self {
        let mut unplaced: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, error) in strays {
            match configs.iter_mut().find(|config| config.value.name == key) {
                Some(config) if config.value.errors.contains(&error) => {}
                Some(config) => config.value.errors.push(error),
                None => unplaced.entry(key).or_default().push(error),
            }
        }
        configs.extend(unplaced.into_iter().map(|(name, errors)| ConfigInfo {
            definition: None,
            value: ValueInfo { name, value: None, recommended_values: Vec::new(), errors, visible: true },
        }));
        let mut groups: Vec<String> = Vec::new();
        for group in configs.iter().filter_map(|config| config.definition.as_ref()?.group.as_ref()) {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        let error_count = configs.iter().map(|config| config.value.errors.len()).sum();
        Self { name, error_count, groups, configs }
    }

    /// All error texts in the order of the answer.
    pub fn errors(&self) -> Vec<&str> {
        self.configs.iter().flat_map(|config| config.value.errors.iter().map(String::as_str)).collect()
    }
}

/// Connect's word for a type.
pub(super) fn type_word(ty: ConfigType) -> &'static str {
    match ty {
        ConfigType::Boolean => "BOOLEAN",
        ConfigType::String => "STRING",
        ConfigType::Int => "INT",
        ConfigType::Short => "SHORT",
        ConfigType::Long => "LONG",
        ConfigType::Double => "DOUBLE",
        ConfigType::List => "LIST",
        ConfigType::Class => "CLASS",
        ConfigType::Password => "PASSWORD",
    }
}

/// The definition of a row; `required` where Connect wants a value and has no default.
pub(super) fn key_info(option: &ConfigOption, required: bool) -> KeyInfo {
    KeyInfo {
        name: option.name.to_owned(),
        r#type: type_word(option.ty),
        required,
        default_value: option.default.map(str::to_owned),
        importance: match option.importance {
            Importance::High => "HIGH",
            Importance::Medium => "MEDIUM",
            Importance::Low => "LOW",
        },
        documentation: option.doc.to_owned(),
        group: Some(option.group).filter(|group| !group.is_empty()).map(str::to_owned),
        order: option.order,
        order_in_group: option.order,
        width: match option.width {
            Width::None => "NONE",
            Width::Short => "SHORT",
            Width::Medium => "MEDIUM",
            Width::Long => "LONG",
        },
        display_name: option.display.to_owned(),
        dependents: option.dependents.iter().map(|name| (*name).to_owned()).collect(),
    }
}
