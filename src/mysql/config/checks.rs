//! Checks of the MySQL connector's own options that look at more than one value or have a grammar of their own.

use engine::{
    config::{Check, Values},
    regex::JavaRegex,
};

use super::rules::KeyColumns;

/// `topic.prefix`: a plain name; Debezium reports an empty one here too.
pub(super) const TOPIC_NAME: Check = Check::Custom(|values, problems| {
    if values.given("topic.prefix") == Some("") {
        problems.push(
            " has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)".to_owned(),
        );
    }
    Check::PlainName.apply("topic.prefix", values, problems);
});

/// `database.hostname`: a plain name; a blank one is only reported as missing.
pub(super) const HOST_NAME: Check = Check::Custom(|values, problems| {
    if values.text("database.hostname").is_some() {
        Check::PlainName.apply("database.hostname", values, problems);
    }
});

/// `max.queue.size`: larger than `max.batch.size`.
pub(super) const QUEUE_SIZE: Check = Check::Custom(|values, problems| {
    let number = |name: &str| values.get(name).and_then(|text| text.parse::<i32>().ok());
    let queue = number("max.queue.size").unwrap_or(8192);
    let batch = number("max.batch.size").unwrap_or(2048);
    if queue <= 0 {
        problems.push("A positive queue size is required".to_owned());
    }
    if queue <= batch {
        problems.push("Must be larger than the maximum batch size".to_owned());
    }
});

/// `skipped.operations`: letters, or `none` alone.
pub(super) const SKIPPED_OPERATIONS: Check = Check::Custom(|values, problems| {
    let Some(text) = values.given("skipped.operations") else { return };
    let items: Vec<&str> = text.split(',').map(str::trim).collect();
    if items.iter().any(|item| !matches!(*item, "c" | "u" | "d" | "t" | "r" | "none")) {
        problems.push("Invalid operation".to_owned());
    } else if items.len() > 1 && items.contains(&"none") {
        problems.push("'none' cannot be specified with other skipped operation types".to_owned());
    }
});

/// Names of plug-ins that the `custom` modes need.
fn custom_name(values: &Values<'_>, mode: &str, problems: &mut Vec<String>) {
    let custom = values.get(mode).is_some_and(|text| text.trim().eq_ignore_ascii_case("custom"));
    if custom && values.text(&format!("{mode}.custom.name")).is_none() {
        problems.push(format!("{mode}.custom.name cannot be empty when {mode} 'custom' is defined"));
    }
}

/// `snapshot.mode.custom.name`.
pub(super) const CUSTOM_MODE: Check = Check::Custom(|values, problems| custom_name(values, "snapshot.mode", problems));

/// `snapshot.query.mode.custom.name`.
pub(super) const CUSTOM_QUERY: Check =
    Check::Custom(|values, problems| custom_name(values, "snapshot.query.mode", problems));

/// `time.precision.mode`, the removed name included, which has a text of its own.
pub(super) const TIME_MODE: Check =
    Check::OneOf(&["adaptive", "adaptive_time_microseconds", "isostring", "microseconds", "nanoseconds", "connect"]);

/// The removed `time.precision.mode`.
pub(super) const NO_ADAPTIVE: Check = Check::Custom(|values, problems| {
    if values.text("time.precision.mode").is_some_and(|text| text.eq_ignore_ascii_case("adaptive")) {
        problems.push("The 'adaptive' time.precision.mode is no longer supported".to_owned());
    }
});

/// All names of `snapshot.locking.mode`.
pub(super) const LOCKING_MODES: &[&str] =
    &["minimal", "minimal_percona", "custom", "none", "minimal_percona_no_table_locks", "extended"];

/// `snapshot.locking.mode`, reported twice by Debezium.
pub(super) const LOCKING_MODE: Check = Check::Custom(|values, problems| {
    let Some(text) = values.given("snapshot.locking.mode") else { return };
    if !LOCKING_MODES.iter().any(|name| name.eq_ignore_ascii_case(text.trim())) {
        problems.push("Must be a valid snapshot.locking.mode value".to_owned());
    }
});

/// `signal.data.collection`: one table.
pub(super) const SIGNAL_TABLE: Check = Check::Custom(|values, problems| {
    if values.list("signal.data.collection").len() > 1 {
        problems.push("For single task connector only one signal data collection is permitted.".to_owned());
    }
});

/// `notification.sink.topic.name`: needed by the channel `sink`.
pub(super) const NOTIFICATION_TOPIC: Check = Check::Custom(|values, problems| {
    let sink = values.list("notification.enabled.channels").contains(&"sink");
    if sink && values.given("notification.sink.topic.name").is_none() {
        let text = "Notification topic name must be provided when kafka notification channel is enabled";
        problems.push(text.to_owned());
    }
});

/// `message.key.columns`.
pub(super) const KEY_COLUMNS: Check = Check::Custom(|values, problems| {
    let Some(text) = values.given("message.key.columns") else { return };
    if text.is_empty() {
        problems.push("Must not be empty".to_owned());
    }
    problems.extend(KeyColumns::parse(text).err());
});

/// `gtid.source.excludes`: not together with includes.
pub(super) const GTID_EXCLUDES: Check = Check::Custom(|values, problems| {
    if values.given("gtid.source.excludes").is_some() && values.given("gtid.source.includes").is_some() {
        problems.push("Cannot specify GTID excludes when includes are provided.".to_owned());
    }
});

/// A list of GTID sources: UUIDs or expressions.
pub(super) fn gtid_sources(items: &[&str]) -> Result<Vec<JavaRegex>, String> {
    items.iter().map(|item| JavaRegex::new(item, true)).collect()
}
