//! Compared with what a worker running Debezium answers: `testdata/record.py` records it.

use engine::config::{ConfigType, Importance, Width};
use serde_json::Value;

use super::*;

fn config(line: &Value) -> ConfigMap {
    let mut config: ConfigMap = [
        ("topic.prefix", "p"),
        ("database.hostname", "127.0.0.1"),
        ("database.port", "3306"),
        ("database.user", "u"),
        ("database.password", "secret"),
        ("database.server.id", "5001"),
        ("schema.history.internal.kafka.topic", "h"),
        ("schema.history.internal.kafka.bootstrap.servers", "b:9092"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for name in line["unset"].as_array().into_iter().flatten() {
        config.remove(name.as_str().unwrap());
    }
    for (name, value) in line["set"].as_object().into_iter().flatten() {
        config.insert(name.clone(), value.as_str().unwrap().to_owned());
    }
    config
}

#[test]
fn rows_are_those_of_debezium() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("testdata/options.json")).unwrap();
    let recommended: Value = serde_json::from_str(include_str!("testdata/recommended.json")).unwrap();
    assert_eq!(rows.len(), DEF.options.len());
    for (row, ours) in rows.iter().zip(DEF.options) {
        let ty = match ours.ty {
            ConfigType::Boolean => "BOOLEAN",
            ConfigType::String => "STRING",
            ConfigType::Int => "INT",
            ConfigType::Short => "SHORT",
            ConfigType::Long => "LONG",
            ConfigType::Double => "DOUBLE",
            ConfigType::List => "LIST",
            ConfigType::Class => "CLASS",
            ConfigType::Password => "PASSWORD",
        };
        let importance = match ours.importance {
            Importance::High => "HIGH",
            Importance::Medium => "MEDIUM",
            Importance::Low => "LOW",
        };
        let width = match ours.width {
            Width::None => "NONE",
            Width::Short => "SHORT",
            Width::Medium => "MEDIUM",
            Width::Long => "LONG",
        };
        let shown = serde_json::json!({
            "name": ours.name, "type": ty, "required": false, "default_value": ours.default, "importance": importance,
            "group": ours.group, "order_in_group": ours.order, "width": width, "display_name": ours.display,
            "dependents": ours.dependents,
        });
        assert_eq!(row, &shown);
        assert!(ours.doc.ends_with('.'), "{}", ours.name);
        let offered = recommended.get(ours.name).cloned().unwrap_or_else(|| serde_json::json!([]));
        assert_eq!(offered, serde_json::json!(ours.recommended), "{}", ours.name);
    }
}

#[test]
fn errors_are_those_of_debezium() {
    let mut wrong = Vec::new();
    let (mut same, mut refused) = (0, 0);
    for line in include_str!("testdata/validate.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let config = config(&line);
        let ours = check(&config);
        if line.get("status").is_some() {
            // The worker's answer is an internal error there; ours has to be an error of an option.
            assert!(!ours.is_empty(), "{line}");
            refused += 1;
            continue;
        }
        let recorded =
            line["errors"].as_array().unwrap().iter().map(|e| (e[0].as_str().unwrap(), e[1].as_str().unwrap()));
        // What its connection test found is left to ours.
        let connection =
            |text: &str| text.starts_with("Error during connection") || text.starts_with("Unable to connect");
        let expected: Vec<(&str, &str)> = recorded.filter(|(_, text)| !connection(text)).collect();
        let ours: Vec<(&str, &str)> = ours.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        if ours == expected {
            same += 1;
            continue;
        }
        // Ours may only be stricter: every recorded error is there, in order, and the others are refusals.
        let mut rest = expected.iter().peekable();
        let additional: Vec<&(&str, &str)> = ours.iter().filter(|error| rest.next_if_eq(error).is_none()).collect();
        if rest.peek().is_some() || !additional.iter().all(|(_, text)| is_refusal(text)) {
            wrong.push(format!("{}\n  theirs {expected:?}\n  ours   {ours:?}", line["set"]));
        }
        refused += 1;
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(same > 300, "{same} same, {refused} refused");
}

fn is_refusal(text: &str) -> bool {
    [
        "cannot be honoured",
        "not supported",
        "has no effect",
        "out of range",
        "too small",
        "A value is required",
        "Only a single connector task",
        "go together",
        "not readable",
        "no such rule",
        "the option's name",
        "is not known",
        "has to be above 0",
        "no longer supported",
        "A comma-separated list",
        "has invalid format",
        "Value must be one of",
        "Either 'true' or 'false'",
        "An integer is expected",
    ]
    .iter()
    .any(|part| text.contains(part))
}
