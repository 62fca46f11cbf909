//! What is refused: settings that would not be honoured, old names, values Debezium only trips over at the start.

use engine::{
    config::{ConfigError, Values},
    plugin::ConfigMap,
};

/// What is said of a setting that waits for its feature.
const NOT_YET: &str = "is not supported yet; remove it";

/// Options that have to stay at their default, with the reason.
const AT_DEFAULT: &[(&str, &str)] = &[
    ("snapshot.max.threads", "a snapshot is read by one thread"),
    ("snapshot.max.threads.multiplier", "a snapshot is read by one thread"),
    ("legacy.snapshot.max.threads", "a snapshot is read by one thread"),
    ("internal.legacy.snapshot.max.threads", "a snapshot is read by one thread"),
    ("snapshot.query.mode", "snapshots select the captured columns; use snapshot.select.statement.overrides instead"),
    ("incremental.snapshot.chunk.size", "incremental snapshots are not supported yet"),
    ("incremental.snapshot.allow.schema.changes", "incremental snapshots are not supported yet"),
    ("incremental.snapshot.watermarking.strategy", "incremental snapshots are not supported yet"),
    ("signal.poll.interval.ms", "signals are not supported yet"),
    ("internal.advanced.metrics.enable", "metrics per table are not supported yet"),
    ("openlineage.integration.enabled", "OpenLineage is not supported"),
    ("binlog.buffer.size", "a transaction is not held back until its end"),
    ("sourceinfo.struct.maker", "the source block is the default one"),
    ("transaction.metadata.factory", "transaction metadata is the default one"),
    ("schema.history.internal", "the schema history is kept in its Kafka topic"),
];

/// Options that are accepted and change nothing here, with the reason why whoever sets them still gets what they are for.
pub(super) const KEPT: &[(&str, &str)] = &[
    ("custom.sanitize.pattern", "no value of a configuration is logged"),
    (
        "database.connectionTimeZone",
        "a hint for a driver; snapshots read points in time in UTC, and literals of TIMESTAMP defaults are taken as UTC",
    ),
    ("database.jdbc.driver", "no JDBC driver is involved"),
    ("database.protocol", "no JDBC address is involved"),
    ("database.server.id.offset", "the log is read by one connection"),
    ("ddl.parser.type", "there is one parser, and what it does not understand is read from the server"),
    ("executor.shutdown.timeout.ms", "reading stops at once; the worker's timeout bounds the rest"),
    ("internal.snapshot.scan.all.columns.force", "structures come from the tables' definitions"),
    ("memory.management.schemas.class", "Java's memory is not involved"),
    ("memory.management.tables.class", "Java's memory is not involved"),
    (
        "min.row.count.to.stream.results",
        "rows are taken one by one as the server sends them, whatever the table's size",
    ),
    ("openlineage.integration.config.file.path", "used with openlineage.integration.enabled, which is refused"),
    (
        "openlineage.integration.dataset.kafka.bootstrap.servers",
        "used with openlineage.integration.enabled, which is refused",
    ),
    ("openlineage.integration.job.description", "used with openlineage.integration.enabled, which is refused"),
    ("openlineage.integration.job.namespace", "used with openlineage.integration.enabled, which is refused"),
    ("openlineage.integration.job.owners", "used with openlineage.integration.enabled, which is refused"),
    ("openlineage.integration.job.tags", "used with openlineage.integration.enabled, which is refused"),
    ("poll.interval.ms", "records are handed over as soon as no more are there"),
    ("query.fetch.size", "rows are taken one by one as the server sends them"),
    ("read.only", "nothing is written to the source"),
    ("schema.history.internal.kafka.buffer.batch.size", "documents are written one by one"),
    ("schema.history.internal.kafka.create.timeout.ms", "creation is given its default time"),
    ("schema.history.internal.name", "the name of the history in logs"),
    ("snapshot.fetch.size", "rows are taken one by one as the server sends them"),
    ("snapshot.locking.mode.custom.name", "used with snapshot.locking.mode=custom, which is refused"),
    (
        "snapshot.mode.configuration.based.snapshot.data",
        "used with snapshot.mode=configuration_based, which is refused",
    ),
    (
        "snapshot.mode.configuration.based.snapshot.on.data.error",
        "used with snapshot.mode=configuration_based, which is refused",
    ),
    (
        "snapshot.mode.configuration.based.snapshot.on.schema.error",
        "used with snapshot.mode=configuration_based, which is refused",
    ),
    (
        "snapshot.mode.configuration.based.snapshot.schema",
        "used with snapshot.mode=configuration_based, which is refused",
    ),
    ("snapshot.mode.configuration.based.start.stream", "used with snapshot.mode=configuration_based, which is refused"),
    ("snapshot.mode.custom.name", "used with snapshot.mode=custom, which is refused"),
    ("snapshot.query.mode.custom.name", "used with snapshot.query.mode=custom, which is refused"),
    ("statistics.metrics.enabled", "the lag is reported as it is, without its distribution"),
    ("topic.cache.size", "topic names are kept with their tables"),
];

/// Options that must not be set, with the reason.
const UNSET: &[(&str, &str)] = &[
    ("signal.data.collection", "signals are not supported yet"),
    ("notification.enabled.channels", "notifications are not supported yet"),
    ("notification.sink.topic.name", "notifications are not supported yet"),
    ("converters", "custom converters are not supported yet"),
    ("post.processors", "post-processors are not supported yet"),
    ("custom.metric.tags", "tags on metrics are not supported yet"),
    ("internal.custom.retriable.exception", "errors are told apart by their kind, not by their text"),
];

/// Old names and what they are called now.
const OLD_NAMES: &[(&str, &str)] = &[
    ("database.server.name", "topic.prefix"),
    ("database.whitelist", "database.include.list"),
    ("database.blacklist", "database.exclude.list"),
    ("table.whitelist", "table.include.list"),
    ("table.blacklist", "table.exclude.list"),
    ("column.whitelist", "column.include.list"),
    ("column.blacklist", "column.exclude.list"),
    ("snapshot.new.tables", "signal.data.collection"),
    ("gtid.new.channel.position", "snapshot.mode"),
    ("connector.adapter", "connector.class=io.debezium.connector.mariadb.MariaDbConnector"),
];

/// Old prefixes and what they are now.
const OLD_PREFIXES: &[(&str, &str)] = &[("database.history.", "schema.history.internal.")];

/// Everything that is refused although Debezium's validation passes it.
pub(super) fn refusals(values: &Values<'_>) -> Vec<ConfigError> {
    let mut errors = old_names(values.map());
    let mut refuse = |name: &str, problem: String| errors.push(ConfigError::new(name, problem));
    for (name, reason) in AT_DEFAULT {
        if let Some(text) = values.text(name).filter(|_| !is_default(values, name)) {
            refuse(name, format!("'{text}' cannot be honoured: {reason}"));
        }
    }
    for (name, reason) in UNSET {
        if values.text(name).is_some() {
            refuse(name, format!("it cannot be honoured: {reason}; remove it"));
        }
    }
    mode(values, "snapshot.mode", &["initial", "initial_only", "no_data"], &mut refuse);
    mode(values, "snapshot.locking.mode", &["minimal", "extended", "none"], &mut refuse);
    for channel in values.list("signal.enabled.channels").iter().filter(|channel| **channel != "source") {
        refuse("signal.enabled.channels", format!("the channel '{channel}' {NOT_YET}"));
    }
    naming(values, &mut refuse);
    ranges(values, &mut refuse);
    for name in ["schema.history.internal.kafka.topic", "schema.history.internal.kafka.bootstrap.servers"] {
        if values.text(name).is_none() {
            refuse(name, "A value is required".to_owned());
        }
    }
    let prefix = values.text("heartbeat.topics.prefix");
    if prefix.is_some()
        && !is_default(values, "heartbeat.topics.prefix")
        && prefix != values.text("topic.heartbeat.prefix")
    {
        refuse("heartbeat.topics.prefix", "this old name has no effect; use topic.heartbeat.prefix".to_owned());
    }
    if let Err(problems) = super::rules::ColumnRules::parse(values) {
        // The lists of the rows were checked there already.
        errors.extend(problems.into_iter().filter(|error| !error.name.ends_with(".propagate.source.type")));
    }
    errors
}

fn old_names(config: &ConfigMap) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for name in config.keys() {
        let exact = OLD_NAMES.iter().find(|(old, _)| old == name).map(|(_, new)| (*new).to_owned());
        let prefixed = || {
            let (old, new) = OLD_PREFIXES.iter().find(|(old, _)| name.starts_with(old))?;
            name.strip_prefix(old).map(|rest| format!("{new}{rest}"))
        };
        if let Some(new) = exact.or_else(prefixed) {
            errors.push(ConfigError::new(name, format!("this old name has no effect; use {new}")));
        }
    }
    errors
}

/// Whether an option has its default, letter case aside where the value is a name.
fn is_default(values: &Values<'_>, name: &str) -> bool {
    let default = super::options::DEF.option(name).and_then(|option| option.default);
    match (values.text(name), default) {
        (Some(text), Some(default)) => {
            text.eq_ignore_ascii_case(default)
                || matches!((text.parse::<i64>(), default.parse::<i64>()), (Ok(a), Ok(b)) if a == b)
        }
        (None, _) => true,
        (Some(_), None) => false,
    }
}

fn mode(values: &Values<'_>, name: &str, supported: &[&str], refuse: &mut impl FnMut(&str, String)) {
    let text = values.text(name).unwrap_or_default().to_ascii_lowercase();
    if !supported.contains(&text.as_str()) {
        refuse(name, format!("'{text}' is not supported yet; use {}", supported.join(", ")));
    }
}

fn naming(values: &Values<'_>, refuse: &mut impl FnMut(&str, String)) {
    let name = "topic.naming.strategy";
    let Some(class) = values.given(name).map(str::trim) else { return };
    match super::naming_kind(class) {
        None => refuse(
            name,
            format!(
                "the class '{class}' is not supported; use DefaultTopicNamingStrategy, DefaultRegexTopicNamingStrategy \
                 or DefaultUnicodeTopicNamingStrategy of io.debezium.schema"
            ),
        ),
        Some(super::NamingKind::Regex) => {
            for name in ["topic.regex", "topic.replacement"] {
                if values.text(name).is_none() {
                    refuse(name, "A value is required".to_owned());
                }
            }
            let (regex, replacement) = ("topic.key.field.regex", "topic.key.field.replacement");
            if values.text(regex).is_some() != values.given(replacement).is_some() {
                refuse(replacement, format!("{regex} and {replacement} go together: set both or none"));
            }
        }
        Some(_) => {}
    }
}

/// Numbers that are accepted as numbers and cannot work.
fn ranges(values: &Values<'_>, refuse: &mut impl FnMut(&str, String)) {
    let number = |name: &str| values.get(name).and_then(|text| text.trim().parse::<i64>().ok());
    let limits: &[(&str, i64, i64)] = &[
        ("database.port", 1, 65_535),
        ("database.server.id", 1, 4_294_967_295),
        ("database.query.timeout.ms", 0, i64::MAX),
        ("snapshot.lock.timeout.ms", 0, i64::MAX),
        ("errors.max.retries", -1, i64::MAX),
        ("tasks.max", 1, 1),
    ];
    for (name, low, high) in limits {
        let Some(n) = number(name).filter(|n| n < low || n > high) else { continue };
        let problem = match (*name, *high) {
            ("tasks.max", _) if n < 1 => continue,
            ("tasks.max", _) => "Only a single connector task may be started".to_owned(),
            (_, i64::MAX) => format!("{n} is too small; it has to be at least {low}"),
            _ => format!("{n} is out of range; it has to be from {low} to {high}"),
        };
        refuse(name, problem);
    }
}
