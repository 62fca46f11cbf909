//! Which converter a worker or connector names, and its options.
//!
//! A connector that names its own converter gets only its own options; the worker's are never merged in.

use engine::plugin::ConfigMap;
use record::{DecimalFormat, HeaderConverter, JsonSettings};

/// Class of the JSON converter.
pub const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
/// Class of the default header converter.
pub const SIMPLE: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

/// The part of a record that a converter writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `key.converter`
    Key,
    /// `value.converter`
    Value,
    /// `header.converter`
    Header,
}

impl Role {
    /// All three, in Connect's order.
    pub const ALL: [Self; 3] = [Self::Key, Self::Value, Self::Header];

    /// The configuration key.
    pub fn key(self) -> &'static str {
        match self {
            Self::Key => "key.converter",
            Self::Value => "value.converter",
            Self::Header => "header.converter",
        }
    }

    /// Word in `converter.type`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
            Self::Header => "header",
        }
    }
}

/// A converter that runs here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Converter {
    /// JsonConverter.
    Json(JsonSettings),
    /// SimpleHeaderConverter.
    Simple,
}

impl Converter {
    /// Its class.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Json(_) => JSON,
            Self::Simple => SIMPLE,
        }
    }

    /// Settings of a key or value converter.
    pub fn json(&self) -> JsonSettings {
        match self {
            Self::Json(settings) => *settings,
            Self::Simple => JsonSettings::default(),
        }
    }

    /// As the header converter.
    pub fn header(&self) -> HeaderConverter {
        match self {
            Self::Json(settings) => HeaderConverter::Json(*settings),
            Self::Simple => HeaderConverter::Simple,
        }
    }
}

/// What a class name is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It runs here.
    Here(&'static str),
    /// It exists in Connect, Debezium or at Confluent, and does not run here yet.
    Elsewhere,
    /// Nobody knows it.
    Nowhere,
}

/// Converters of the usual installations that do not run here yet: the full names.
const ELSEWHERE: &[&str] = &[
    "org.apache.kafka.connect.storage.StringConverter",
    "org.apache.kafka.connect.converters.ByteArrayConverter",
    "org.apache.kafka.connect.converters.LongConverter",
    "org.apache.kafka.connect.converters.IntegerConverter",
    "org.apache.kafka.connect.converters.ShortConverter",
    "org.apache.kafka.connect.converters.FloatConverter",
    "org.apache.kafka.connect.converters.DoubleConverter",
    "org.apache.kafka.connect.converters.BooleanConverter",
    "io.confluent.connect.avro.AvroConverter",
    "io.confluent.connect.protobuf.ProtobufConverter",
    "io.confluent.connect.json.JsonSchemaConverter",
    "io.debezium.converters.CloudEventsConverter",
    "io.debezium.converters.BinaryDataConverter",
    "io.debezium.converters.ByteArrayConverter",
    "io.apicurio.registry.utils.converter.AvroConverter",
    "io.apicurio.registry.utils.converter.ExtJsonConverter",
];

/// Whether `name` is the class `class`, by its full name, simple name or alias.
pub fn names(name: &str, class: &str, suffix: &str) -> bool {
    let simple = class.rsplit('.').next().unwrap_or(class);
    name == class || name == simple || simple.strip_suffix(suffix).is_some_and(|alias| alias == name)
}

/// Looks a converter class up.
pub fn known(role: Role, name: &str) -> Known {
    if names(name, JSON, "Converter") {
        Known::Here(JSON)
    } else if role == Role::Header && names(name, SIMPLE, "HeaderConverter") {
        Known::Here(SIMPLE)
    } else if ELSEWHERE.iter().any(|class| names(name, class, "Converter")) {
        Known::Elsewhere
    } else {
        Known::Nowhere
    }
}

/// Classes to offer for a role.
pub fn offered(role: Role) -> &'static [&'static str] {
    match role {
        Role::Header => &[JSON, SIMPLE],
        _ => &[JSON],
    }
}

/// The text for a converter that does not run here.
pub fn refusal(role: Role, name: &str) -> String {
    format!(
        "{}={name} is not supported yet: only {} {} here",
        role.key(),
        offered(role).join(" and "),
        if offered(role).len() > 1 { "run" } else { "runs" }
    )
}

/// Reads the options of a converter of class `class` from the keys `<prefix>.*`.
///
/// # Errors
/// Pairs of full key and text, one per broken option.
pub fn read(class: &'static str, prefix: &str, config: &ConfigMap) -> Result<Converter, Vec<(String, String)>> {
    if class == SIMPLE {
        return Ok(Converter::Simple);
    }
    let (mut settings, mut errors) = (JsonSettings::default(), Vec::new());
    let option = |name: &str| config.get(&format!("{prefix}.{name}")).map(|value| value.trim());
    let mut boolean = |name: &str, to: &mut bool| {
        if let Some(value) = option(name) {
            match parse_bool(value) {
                Some(value) => *to = value,
                None => errors.push((
                    format!("{prefix}.{name}"),
                    format!(
                        "Invalid value {value} for configuration {name}: Expected value to be either true or false"
                    ),
                )),
            }
        }
    };
    boolean("schemas.enable", &mut settings.schemas_enable);
    boolean("replace.null.with.default", &mut settings.replace_null_with_default);
    if let Some(value) = option("decimal.format") {
        match value.to_ascii_uppercase().as_str() {
            "BASE64" => settings.decimal_format = DecimalFormat::Base64,
            "NUMERIC" => settings.decimal_format = DecimalFormat::Numeric,
            _ => errors.push((
                format!("{prefix}.decimal.format"),
                format!(
                    "Invalid value {value} for configuration decimal.format: String must be one of (case \
                     insensitive): NUMERIC, BASE64"
                ),
            )),
        }
    }
    if let Some(value) = option("schemas.cache.size").filter(|value| value.parse::<i32>().is_err()) {
        errors.push((
            format!("{prefix}.schemas.cache.size"),
            format!("Invalid value {value} for configuration schemas.cache.size: Not a number of type INT"),
        ));
    }
    if errors.is_empty() { Ok(Converter::Json(settings)) } else { Err(errors) }
}

/// Connect's reading of a boolean: any case, blanks around it.
pub fn parse_bool(value: &str) -> Option<bool> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_classes_by_alias() {
        for name in [JSON, "JsonConverter", "Json"] {
            assert_eq!(known(Role::Value, name), Known::Here(JSON));
        }
        assert_eq!(known(Role::Header, "Simple"), Known::Here(SIMPLE));
        assert_eq!(known(Role::Value, "Simple"), Known::Nowhere);
        assert_eq!(known(Role::Value, "io.confluent.connect.avro.AvroConverter"), Known::Elsewhere);
        assert_eq!(known(Role::Value, "Foo"), Known::Nowhere);
    }

    #[test]
    fn reads_options_and_reports_broken_ones() {
        let config = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let read_json = |pairs: &[(&str, &str)]| read(JSON, "value.converter", &config(pairs));
        let json =
            read_json(&[("value.converter.schemas.enable", " FALSE"), ("value.converter.decimal.format", "numeric")]);
        let Ok(Converter::Json(json)) = json else { panic!("{json:?}") };
        assert!(!json.schemas_enable);
        assert_eq!(json.decimal_format, DecimalFormat::Numeric);
        let errors = read_json(&[("value.converter.schemas.enable", "x")]).unwrap_err();
        assert_eq!(
            errors[0].1,
            "Invalid value x for configuration schemas.enable: Expected value to be either true or false"
        );
    }
}
