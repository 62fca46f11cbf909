//! Validation of connector configurations: the framework's keys, the plugin's keys, converters, client overrides, and
//! what this worker cannot honour.
//!
//! A setting that would be ignored is an error here. Answers never hold a resolved placeholder of the plugin's keys or
//! a password.

mod framework;
mod infos;
mod renamed;

use std::{fmt, sync::Arc};

use engine::{
    config::{ConfigOption, ConfigType, Importance, Width},
    plugin::{ConfigErrors, ConfigMap, ConnectorPlugin},
};
use serde_json::Value;

pub use infos::{ConfigInfo, ConfigInfos, KeyInfo, ValueInfo};

use crate::{
    RawConfig,
    converters::{self, Known, Role},
    text,
    worker::WorkerConfig,
};

/// Text for a null.
const NULL: &str = "Null value can not be supplied as the configuration value.";
/// The version that Connect's own plugins report.
const CONNECT_VERSION: &str = crate::rest::CONNECT_VERSION;

/// Why a configuration was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValidationError {
    /// It could not be validated at all.
    Unusable(String),
    /// These errors were found.
    Errors(Vec<String>),
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(text) => f.write_str(text),
            Self::Errors(errors) => write!(
                f,
                "Connector configuration is invalid and contains the following {} error(s):\n{}\nYou can also find the \
                 above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
                errors.len(),
                errors.join("\n")
            ),
        }
    }
}

/// Checks the client settings of a connector (`producer.override.*`, `topic.creation.*`) against the client in use.
pub type ClientCheck = Arc<dyn Fn(&WorkerConfig, &ConfigMap) -> ConfigErrors + Send + Sync>;

/// Validates configurations of the connectors that run here.
pub struct Validator {
    worker: Arc<WorkerConfig>,
    plugins: Vec<Arc<dyn ConnectorPlugin>>,
    clients: ClientCheck,
}

impl Validator {
    /// A validator for a worker and its plugins.
    pub fn new(worker: Arc<WorkerConfig>, plugins: Vec<Arc<dyn ConnectorPlugin>>, clients: ClientCheck) -> Self {
        Self { worker, plugins, clients }
    }

    /// The connectors that run here.
    pub fn plugins(&self) -> &[Arc<dyn ConnectorPlugin>] {
        &self.plugins
    }

    /// Finds a connector by its full class name, simple name or alias.
    pub fn plugin(&self, class: &str) -> Option<Arc<dyn ConnectorPlugin>> {
        self.plugins.iter().find(|plugin| converters::names(class.trim(), plugin.class(), "Connector")).cloned()
    }

    /// Connect's text for a class that is not there.
    pub fn unknown_class(&self, class: &str) -> String {
        let known: Vec<_> = self
            .plugins
            .iter()
            .map(|plugin| {
                let (class, version) = (plugin.class(), plugin.version());
                format!(
                    "PluginDesc{{klass=class {class}, name='{class}', version='{version}', encodedVersion={version}, \
                     type=source, typeName='source', location='classpath'}}"
                )
            })
            .collect();
        format!(
            "Failed to find any class that implements Connector and which name matches {class}, available connectors \
             are: {}",
            known.join(", ")
        )
    }

    /// Definitions of a plugin: of a connector its own keys and the framework's, of a converter its options.
    pub fn definitions(&self, plugin: &str) -> Option<Vec<KeyInfo>> {
        if let Some(plugin) = self.plugin(plugin) {
            let own = plugin.config().options;
            let framework =
                framework::ROWS.iter().filter(|row| own.iter().all(|option| option.name != row.option.name));
            return Some(
                own.iter()
                    .map(|option| infos::key_info(option, false))
                    .chain(framework.map(|row| infos::key_info(&row.option, row.required)))
                    .collect(),
            );
        }
        match converters::known(Role::Header, plugin) {
            Known::Here(converters::JSON) => {
                Some(JSON_OPTIONS.iter().map(|(option, required)| infos::key_info(option, *required)).collect())
            }
            Known::Here(_) => Some(Vec::new()),
            _ => None,
        }
    }

    /// Validates, connects to the source where nothing else is wrong, and gives all keys with their errors.
    ///
    /// # Errors
    /// There is no usable class, or a config provider failed.
    pub async fn validate(&self, raw: &RawConfig) -> Result<ConfigInfos, ValidationError> {
        let config =
            self.worker.providers.resolve_config(raw).map_err(|error| ValidationError::Unusable(error.to_string()))?;
        let class = text(raw, "connector.class").filter(|class| !class.trim().is_empty()).ok_or_else(|| {
            let keys: Vec<_> = raw.iter().map(|(key, value)| shown(key, value)).collect();
            ValidationError::Unusable(format!("Connector config {{{}}} contains no connector type", keys.join(", ")))
        })?;
        let resolved = config.get("connector.class").map_or(class, String::as_str);
        let plugin = self.plugin(resolved).ok_or_else(|| ValidationError::Unusable(self.unknown_class(resolved)))?;
        let nulls = || raw.iter().filter(|(_, value)| value.is_null()).map(|(key, _)| (key.clone(), NULL.to_owned()));
        let mut configs: Vec<_> = framework::ROWS.iter().map(|row| self.framework(row, &*plugin, &config)).collect();
        let options = plugin.config().options;
        configs.extend(options.iter().map(|option| ConfigInfo {
            definition: Some(infos::key_info(option, false)),
            // Debezium's validation answers give no values, set or not.
            value: value_info(option.name, None, option.recommended.iter().copied().map(str::to_owned), Vec::new()),
        }));
        self.overrides(raw, &mut configs);
        for role in [Role::Header, Role::Key, Role::Value] {
            self.converter(role, &config, &mut configs);
        }
        let mut strays: ConfigErrors = nulls().collect();
        strays.extend(plugin.config().check(&config));
        strays.extend(plugin.check(&config));
        strays.extend((self.clients)(&self.worker, &config));
        strays.extend(config.keys().filter_map(|key| Some((key.clone(), renamed::error(key)?))));
        let clean = strays.is_empty() && configs.iter().all(|config| config.value.errors.is_empty());
        if clean {
            strays.extend(plugin.check_connection(&config).await);
        }
        Ok(ConfigInfos::new(class.to_owned(), configs, strays))
    }

    /// Validates a configuration that is to be stored.
    ///
    /// # Errors
    /// It is refused; the text is Connect's.
    pub async fn accept(&self, config: &RawConfig) -> Result<(), ValidationError> {
        let infos = self.validate(config).await?;
        if infos.error_count > 0 {
            return Err(ValidationError::Errors(infos.errors().into_iter().map(str::to_owned).collect()));
        }
        self.warn_about_strangers(config, &infos);
        Ok(())
    }

    /// Keys that nobody reads are accepted, as Connect accepts them, but not silently.
    fn warn_about_strangers(&self, config: &RawConfig, infos: &ConfigInfos) {
        const FAMILIES: &[&str] = &[
            "topic.creation.",
            "producer.override.",
            "consumer.override.",
            "admin.override.",
            "key.converter.",
            "value.converter.",
            "header.converter.",
        ];
        let plugin = text(config, "connector.class").and_then(|class| self.plugin(class));
        let known = |key: &str| {
            infos.configs.iter().any(|info| info.value.name == key)
                || FAMILIES.iter().any(|family| key.starts_with(family))
                || plugin.as_ref().is_some_and(|plugin| {
                    let def = plugin.config();
                    // Driver settings and settings of the history's clients are open families.
                    def.option(key).is_some()
                        || key.starts_with("database.")
                        || key.starts_with("driver.")
                        || key.starts_with("schema.history.internal.")
                })
        };
        let strangers: Vec<_> = config.keys().map(String::as_str).filter(|key| !known(key)).collect();
        if !strangers.is_empty() {
            let name = text(config, "name").unwrap_or_default();
            tracing::warn!(
                "connector {name}: these settings are not known and have no effect: {}",
                strangers.join(", ")
            );
        }
    }

    fn framework(&self, row: &framework::Row, plugin: &dyn ConnectorPlugin, config: &ConfigMap) -> ConfigInfo {
        let name = row.option.name;
        let mut definition = infos::key_info(&row.option, row.required);
        let worker = [self.worker.key_converter, self.worker.value_converter, self.worker.header_converter];
        let mut recommended: Vec<String> = Vec::new();
        for (role, own) in Role::ALL.into_iter().zip(worker) {
            if name == role.key() {
                definition.default_value = Some(own.class().to_owned());
                recommended = converters::offered(role).iter().map(|class| (*class).to_owned()).collect();
            } else if name.strip_prefix(role.key()) == Some(".plugin.version") {
                let class = config.get(role.key()).map_or(own.class(), |class| class.trim());
                if !matches!(converters::known(role, class), Known::Here(_)) {
                    let value = ValueInfo { visible: false, ..value_info(name, None, [], Vec::new()) };
                    return ConfigInfo { definition: Some(definition), value };
                }
                definition.default_value = Some(CONNECT_VERSION.to_owned());
                recommended.push(CONNECT_VERSION.to_owned());
            }
        }
        if name == "connector.plugin.version" {
            definition.default_value = Some(plugin.version().to_owned());
            recommended.push(plugin.version().to_owned());
        }
        let given = config.get(name).map(String::as_str).or(definition.default_value.as_deref());
        let mut parsed = framework::parse(row, given);
        if let (Some(role), Some(class)) = (Role::ALL.into_iter().find(|role| role.key() == name), given) {
            match converters::known(role, class.trim()) {
                Known::Here(class) => parsed.value = Some(class.to_owned()),
                Known::Elsewhere => parsed.errors.push(converters::refusal(role, class.trim())),
                Known::Nowhere => {
                    parsed.value = None;
                    parsed.errors.push(format!(
                        "Invalid value {class} for configuration {name}: Class {class} could not be found."
                    ));
                }
            }
        }
        parsed.errors.extend(refusal(name, given.unwrap_or_default()).filter(|_| config.contains_key(name)));
        ConfigInfo { definition: Some(definition), value: value_info(name, parsed.value, recommended, parsed.errors) }
    }

    /// Client settings that the connector sets, against the worker's policy.
    fn overrides(&self, raw: &RawConfig, configs: &mut Vec<ConfigInfo>) {
        let policy = &self.worker.override_policy;
        for prefix in ["producer.override.", "consumer.override.", "admin.override."] {
            for (key, value) in raw.iter().filter(|(key, _)| key.starts_with(prefix)) {
                let name = key.strip_prefix(prefix).unwrap_or(key);
                let mut errors = Vec::new();
                if !policy.allows(name) {
                    errors.push(format!(
                        "The '{}' policy does not allow '{name}' to be overridden in the connector configuration.",
                        policy.name()
                    ));
                }
                // As it was sent: a placeholder is not resolved in answers.
                let shown = value.as_str().map(|value| if crate::logging::secret(key) { HIDDEN } else { value });
                let value = value_info(key, shown.map(str::to_owned), [], errors);
                configs.push(ConfigInfo { definition: None, value });
            }
        }
    }

    /// Options of a converter that the connector names itself.
    fn converter(&self, role: Role, config: &ConfigMap, configs: &mut Vec<ConfigInfo>) {
        let Some(name) = config.get(role.key()) else { return };
        if converters::known(role, name.trim()) != Known::Here(converters::JSON) {
            return;
        }
        let errors = converters::read(converters::JSON, role.key(), config).err().unwrap_or_default();
        for (option, required) in JSON_OPTIONS {
            let full = format!("{}.{}", role.key(), option.name);
            let mut definition = infos::key_info(option, *required);
            definition.name = full.clone();
            let errors: Vec<_> = errors.iter().filter(|(key, _)| *key == full).map(|(_, text)| text.clone()).collect();
            let given =
                if option.name == "converter.type" { Some(role.word()) } else { config.get(&full).map(String::as_str) };
            let value = given.or(option.default).filter(|_| errors.is_empty()).map(str::to_owned);
            configs.push(ConfigInfo { definition: Some(definition), value: value_info(&full, value, [], errors) });
        }
    }
}

/// What stands in place of a password.
const HIDDEN: &str = "[hidden]";

fn value_info(
    name: &str,
    value: Option<String>,
    recommended: impl IntoIterator<Item = String>,
    errors: Vec<String>,
) -> ValueInfo {
    let recommended_values = recommended.into_iter().collect();
    ValueInfo { name: name.to_owned(), value, recommended_values, errors, visible: true }
}

/// `key=value` as an error text may show it.
fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::String(_) if crate::logging::secret(key) => format!("{key}={HIDDEN}"),
        Value::String(value) => format!("{key}={value}"),
        _ => format!("{key}=null"),
    }
}

/// What cannot be honoured among the framework's keys, with the reason.
fn refusal(name: &str, value: &str) -> Option<String> {
    let value = value.trim();
    let not_yet = |what: &str| {
        let items = framework::items(value).join(", ");
        (!items.is_empty()).then(|| format!("Invalid value [{items}] for configuration {name}: {what}"))
    };
    match name {
        "transforms" => not_yet("transforms are not supported yet: remove the setting, or transform in the consumer"),
        "predicates" => not_yet("predicates are not supported yet, as transforms are not: remove the setting"),
        "exactly.once.support" if value.eq_ignore_ascii_case("required") => {
            Some("This worker does not have exactly-once source support enabled.".to_owned())
        }
        "offsets.storage.topic" if !value.is_empty() => Some(format!(
            "Invalid value {value} for configuration {name}: an offsets topic of its own is not supported yet: remove \
             the setting, the worker's offset.storage.topic is used"
        )),
        "errors.tolerance" if value == "all" => Some(format!(
            "Invalid value all for configuration {name}: records that cannot be converted or sent are not skipped yet: \
             set it to none; for single values see event.converting.failure.handling.mode"
        )),
        _ => None,
    }
}

/// Options of the JSON converter, with whether one is required, in the order of answers.
const JSON_OPTIONS: &[(ConfigOption, bool)] =
    &[
        (
            ConfigOption::new("decimal.format", ConfigType::String, "How decimals are written: BASE64 or NUMERIC.")
                .default("BASE64")
                .form("Decimal Format", "Serialization", 0, Width::Medium, Importance::Low),
            false,
        ),
        (
            ConfigOption::new(
                "converter.type",
                ConfigType::String,
                "What the converter is used for: key, value or header.",
            ),
            true,
        ),
        (
            ConfigOption::new("schemas.cache.size", ConfigType::Int, "Schemas kept; without effect here.")
                .default("1000")
                .form("Schema Cache Size", "Schemas", 1, Width::Medium, Importance::High),
            false,
        ),
        (
            ConfigOption::new(
                "replace.null.with.default",
                ConfigType::Boolean,
                "Whether a null is written as the schema's default, where it has one.",
            )
            .default("true")
            .form("Replace null with default", "Serialization", 1, Width::Medium, Importance::Low),
            false,
        ),
        (
            ConfigOption::new("schemas.enable", ConfigType::Boolean, "Whether each record carries its schema.")
                .default("true")
                .form("Enable Schemas", "Schemas", 0, Width::Medium, Importance::High),
            false,
        ),
        (
            ConfigOption::new("schema.content", ConfigType::String, "A schema for sinks; without effect on sources.")
                .form("Schema Content", "Schemas", 2, Width::Medium, Importance::High),
            false,
        ),
    ];
