//! No option is ignored: each one changes the typed configuration, is refused, is read by another crate, or stands in
//! the list of those that are accepted without effect, with its reason.
//!
//! That the typed configuration is used in turn is seen to by the compiler, which reports fields that nobody reads.

use std::path::Path;

use engine::config::{ConfigOption, ConfigType};

use super::{refuse::KEPT, *};

/// Options read elsewhere, and the file that reads them.
const READ_ELSEWHERE: &[(&str, &str)] = &[
    ("errors.max.retries", "connect/task.rs"),
    ("event.converting.failure.handling.mode", "connect/task.rs"),
    ("extended.headers.enabled", "connect/task.rs"),
    ("retriable.restart.connector.wait.ms", "connect/task.rs"),
    ("schema.history.internal.kafka.bootstrap.servers", "kafka/history.rs"),
    ("schema.history.internal.kafka.query.timeout.ms", "kafka/history.rs"),
    ("schema.history.internal.kafka.recovery.attempts", "kafka/history.rs"),
    ("schema.history.internal.kafka.recovery.poll.interval.ms", "kafka/history.rs"),
    ("schema.history.internal.kafka.topic", "kafka/history.rs"),
    ("skip.messages.without.change", "connect/task.rs"),
    ("tombstones.on.delete", "connect/task.rs"),
];

type Others = &'static [(&'static str, &'static str)];

/// Values other than the default, where the type alone does not give one, and what else has to be set.
const VALUES: &[(&str, &str, Others)] = &[
    ("binary.handling.mode", "hex", &[]),
    ("database.ssl.keystore", "/nowhere.pem", &[]),
    ("database.ssl.keystore.password", "other", &[("database.ssl.keystore", "/nowhere.pem")]),
    ("database.ssl.truststore", "/nowhere.pem", &[]),
    ("database.ssl.truststore.password", "other", &[("database.ssl.truststore", "/nowhere.pem")]),
    ("event.deserialization.failure.handling.mode", "warn", &[]),
    ("event.processing.failure.handling.mode", "warn", &[]),
    ("field.name.adjustment.mode", "avro", &[]),
    ("guardrail.collections.limit.action", "fail", &[("guardrail.collections.max", "3")]),
    ("heartbeat.action.query", "SELECT 1", &[("heartbeat.interval.ms", "1000")]),
    ("inconsistent.schema.handling.mode", "warn", &[]),
    ("message.key.columns", "a.b:c", &[]),
    ("openlineage.integration.job.owners", "a=b", &[]),
    ("openlineage.integration.job.tags", "a=b", &[]),
    ("skipped.operations", "c", &[]),
    ("snapshot.locking.mode", "none", &[]),
    ("snapshot.mode", "no_data", &[]),
    ("topic.key.enforce.uniqueness", "false", REGEX_TOPICS),
    ("topic.key.field.name", "other", REGEX_TOPICS),
    (
        "topic.key.field.regex",
        "(.*)",
        &[REGEX_TOPICS[0], REGEX_TOPICS[1], REGEX_TOPICS[2], ("topic.key.field.replacement", "x")],
    ),
    (
        "topic.key.field.replacement",
        "other",
        &[REGEX_TOPICS[0], REGEX_TOPICS[1], REGEX_TOPICS[2], ("topic.key.field.regex", "(.*)")],
    ),
    ("topic.naming.strategy", "io.debezium.schema.DefaultUnicodeTopicNamingStrategy", &[]),
    ("topic.regex", "(.*)y", REGEX_TOPICS),
    ("topic.replacement", "other", REGEX_TOPICS),
];

const REGEX_TOPICS: Others = &[
    ("topic.naming.strategy", "io.debezium.schema.DefaultRegexTopicNamingStrategy"),
    ("topic.regex", "(.*)x"),
    ("topic.replacement", "$1"),
];

fn base() -> ConfigMap {
    [
        ("topic.prefix", "p"),
        ("database.hostname", "127.0.0.1"),
        ("database.user", "u"),
        ("database.password", "secret"),
        ("database.server.id", "5001"),
        ("schema.history.internal.kafka.topic", "h"),
        ("schema.history.internal.kafka.bootstrap.servers", "b:9092"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn other_value(option: &ConfigOption) -> String {
    let default = option.default.unwrap_or_default();
    if let Some(other) = option.recommended.iter().find(|value| !value.eq_ignore_ascii_case(default)) {
        return (*other).to_owned();
    }
    match option.ty {
        ConfigType::Boolean => (default != "true").to_string(),
        ConfigType::Int | ConfigType::Short | ConfigType::Long | ConfigType::Double => {
            default.parse::<i64>().map_or(7, |n| n + 1).to_string()
        }
        ConfigType::Class => "com.example.Other".to_owned(),
        ConfigType::String | ConfigType::List | ConfigType::Password => "other".to_owned(),
    }
}

/// The typed configuration as text, the hidden parts included.
fn shown(config: &ConfigMap) -> Result<String, ConfigErrors> {
    let built = MySqlConfig::build(&Values::new(&DEF, config)).map_err(|error| vec![error.into()])?;
    let stores = [&built.connection.tls.keystore, &built.connection.tls.truststore];
    let secrets = stores.map(|store| store.as_ref().map(|store| store.password.expose().to_owned()));
    Ok(format!("{built:?} {} {secrets:?}", built.connection.password.expose()))
}

#[test]
fn every_option_is_acted_on() {
    let mut ignored = Vec::new();
    for option in DEF.options.iter().chain(DEF.unlisted) {
        let name = option.name;
        let kept = KEPT.iter().any(|(kept, _)| *kept == name);
        let elsewhere = READ_ELSEWHERE.iter().find(|(read, _)| *read == name);
        let known = VALUES.iter().find(|(known, ..)| *known == name);
        let mut config = base();
        for (name, value) in known.map_or(&[][..], |(_, _, with)| with) {
            config.insert((*name).to_owned(), (*value).to_owned());
        }
        let before = shown(&config).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        config.insert(name.to_owned(), known.map_or_else(|| other_value(option), |(_, value, _)| (*value).to_owned()));
        let refused = check(&config).iter().any(|(key, text)| key == name && !text.contains("cannot be read"));
        let changed = shown(&config).is_ok_and(|after| {
            // Being told of an option is not acting on it.
            let told = format!("without_effect: [(\"{name}\"");
            after != before && !after.contains(&told)
        });
        if let Some((_, file)) = elsewhere {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
            let text = std::fs::read_to_string(path).expect("a file of another crate");
            let short = name.strip_prefix("schema.history.internal.").unwrap_or(name);
            assert!(text.contains(&format!("\"{short}\"")), "{file} does not read {name}");
        }
        if kept == (changed || refused || elsewhere.is_some()) {
            ignored.push(format!("{name}: kept {kept}, changed {changed}, refused {refused}"));
        }
    }
    assert!(ignored.is_empty(), "{}", ignored.join("\n"));
    let known = |name: &str| DEF.option(name).is_some();
    assert!(KEPT.iter().all(|(name, _)| known(name)) && VALUES.iter().all(|(name, ..)| known(name)));
    assert!(READ_ELSEWHERE.iter().all(|(name, _)| known(name)));
}
