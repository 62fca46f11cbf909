//! From text to the typed configuration, once the checks have passed.

use std::time::Duration;

use engine::{
    config::{ConfigError, Values},
    filter::{ColumnFilter, ListFilter, TableFilter},
};
use record::{
    naming::{NameAdjustment as Adjustment, TopicNaming, TopicRewrite, TopicStrategy},
    regex::Rewrite,
};

use super::{
    BUILTIN_DATABASES, ColumnRules, ConnectionConfig, DdlFilter, EventConfig, FailureMode, FieldAdjustment,
    GtidSources, HeartbeatConfig, HistoryConfig, KeyColumns, LimitConfig, MySqlConfig, NameAdjustment, NamingConfig,
    NamingKind, SkippedOperations, SnapshotConfig, Store, StreamingConfig, TlsConfig, ValueConfig, checks, naming_kind,
    refuse::KEPT,
};

const DDL_FILTER: &str = "internal.schema.history.internal.ddl.filter";

type Result<T> = std::result::Result<T, ConfigError>;

impl MySqlConfig {
    /// Reads all options. The first error ends it: the checks have reported them all before.
    pub(super) fn build(values: &Values<'_>) -> Result<Self> {
        let mut warnings = Vec::new();
        let builtin: &[&str] = if values.bool("table.ignore.builtin")? { BUILTIN_DATABASES } else { &[] };
        let filter = |include: &str, exclude: &str| -> Result<ListFilter> {
            Ok(ListFilter::new(values.regex_list(include)?, values.regex_list(exclude)?))
        };
        let config = Self {
            prefix: values.required("topic.prefix")?.into(),
            connection: connection(values)?,
            snapshot: snapshot(values, &mut warnings)?,
            streaming: streaming(values, &mut warnings)?,
            tables: TableFilter {
                namespaces: filter("database.include.list", "database.exclude.list")?,
                tables: filter("table.include.list", "table.exclude.list")?,
                builtin,
            },
            columns: ColumnFilter { columns: filter("column.include.list", "column.exclude.list")? },
            rules: ColumnRules::parse(values).map_err(|errors| {
                errors.into_iter().next().unwrap_or_else(|| ConfigError::new("column.mask", "not readable"))
            })?,
            keys: match values.given("message.key.columns") {
                None => KeyColumns::default(),
                Some(text) => KeyColumns::parse(text).map_err(|p| ConfigError::new("message.key.columns", p))?,
            },
            values: value_modes(values)?,
            naming: naming(values)?,
            events: events(values)?,
            heartbeat: heartbeat(values, &mut warnings)?,
            history: HistoryConfig {
                skip_unparseable: values.bool("schema.history.internal.skip.unparseable.ddl")?,
                captured_tables_only: values.bool("schema.history.internal.store.only.captured.tables.ddl")?,
                captured_databases_only: values.bool("schema.history.internal.store.only.captured.databases.ddl")?,
                ddl_filter: match values.text(DDL_FILTER) {
                    None => DdlFilter::default(),
                    Some(text) => DdlFilter::parse(text).map_err(|problem| ConfigError::new(DDL_FILTER, problem))?,
                },
            },
            limits: limits(values)?,
            warnings,
            without_effect: KEPT.iter().filter(|(name, _)| values.text_given(name)).copied().collect(),
        };
        Ok(config)
    }
}

fn text(values: &Values<'_>, name: &str) -> Option<String> {
    values.text(name).map(str::to_owned)
}

/// A number that fits its type; the checks keep to the type's range where they know it.
fn fit<N: TryFrom<u64>>(values: &Values<'_>, name: &str) -> Result<N> {
    let n = values.count(name)?;
    N::try_from(n).map_err(|_| ConfigError::new(name, format!("{n} is out of range")))
}

fn above_zero<N: TryFrom<u64> + Default + PartialOrd>(values: &Values<'_>, name: &str) -> Result<Option<N>> {
    Ok(Some(fit::<N>(values, name)?).filter(|n| *n > N::default()))
}

fn connection(values: &Values<'_>) -> Result<ConnectionConfig> {
    Ok(ConnectionConfig {
        host: values.required("database.hostname")?.to_owned(),
        port: fit(values, "database.port")?,
        user: values.required("database.user")?.to_owned(),
        password: values.secret("database.password").unwrap_or_default(),
        tls: tls(values)?,
        server_id: fit(values, "database.server.id")?,
        connect_timeout: values.millis("connect.timeout.ms")?,
        query_timeout: values.millis_if_set("database.query.timeout.ms")?,
        validation_timeout: values.millis("connection.validation.timeout.ms")?,
        initial_statements: statements(values.get("database.initial.statements").unwrap_or_default()),
    })
}

/// Statements separated by `;`, where `;;` is a semicolon of a statement.
fn statements(text: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ';' && chars.peek() != Some(&';') {
            statements.push(String::new());
            continue;
        }
        if c == ';' {
            chars.next();
        }
        if let Some(statement) = statements.last_mut() {
            statement.push(c);
        }
    }
    statements.retain_mut(|statement| {
        *statement = statement.trim().to_owned();
        !statement.is_empty()
    });
    statements
}

fn tls(values: &Values<'_>) -> Result<TlsConfig> {
    let store = |path: &str, password: &str| {
        let secret = values.secret(password).unwrap_or_default();
        text(values, path).map(|path| Store { path, password: secret })
    };
    Ok(TlsConfig {
        mode: values.choice("database.ssl.mode")?,
        keystore: store("database.ssl.keystore", "database.ssl.keystore.password"),
        truststore: store("database.ssl.truststore", "database.ssl.truststore.password"),
    })
}

/// What is wrong with the files of keys and certificates.
pub(super) fn stores(values: &Values<'_>) -> Vec<ConfigError> {
    let Ok(tls) = tls(values) else { return Vec::new() };
    if !tls.enabled() {
        return Vec::new();
    }
    let keystore = tls.identity().err().map(|problem| ConfigError::new("database.ssl.keystore", problem));
    let truststore = tls.authorities().err().map(|problem| ConfigError::new("database.ssl.truststore", problem));
    keystore.into_iter().chain(truststore).collect()
}

fn snapshot(values: &Values<'_>, warnings: &mut Vec<String>) -> Result<SnapshotConfig> {
    let mut overrides = Vec::new();
    let name = "snapshot.select.statement.overrides";
    for table in values.list(name) {
        match text(values, &format!("{name}.{table}")) {
            Some(statement) => overrides.push((table.to_owned(), statement)),
            None => warnings.push(format!(
                "{name} lists '{table}' and there is no {name}.{table}: the whole table is read as usual"
            )),
        }
    }
    Ok(SnapshotConfig {
        mode: values.choice("snapshot.mode")?,
        locking: values.choice("snapshot.locking.mode")?,
        lock_timeout: values.millis("snapshot.lock.timeout.ms")?,
        delay: values.millis("snapshot.delay.ms")?,
        streaming_delay: values.millis("streaming.delay.ms")?,
        include: values.regex_list("snapshot.include.collection.list")?,
        overrides,
        order: values.choice("snapshot.tables.order.by.row.count")?,
    })
}

fn streaming(values: &Values<'_>, warnings: &mut Vec<String>) -> Result<StreamingConfig> {
    let sources = |name: &str| -> Result<Option<Vec<_>>> {
        let items = values.list(name);
        let parsed = checks::gtid_sources(&items).map_err(|problem| ConfigError::new(name, problem))?;
        Ok(Some(parsed).filter(|items| !items.is_empty()))
    };
    let (processing, deserialization) =
        ("event.processing.failure.handling.mode", "event.deserialization.failure.handling.mode");
    let mut processing_failure: FailureMode = values.choice(processing)?;
    if values.given(deserialization).is_some() {
        warnings.push(format!("{deserialization} is the old name of {processing}"));
        if values.given(processing).is_none() {
            processing_failure = values.choice(deserialization)?;
        }
    }
    Ok(StreamingConfig {
        keep_alive: values.bool("connect.keep.alive")?,
        keep_alive_interval: values.millis("connect.keep.alive.interval.ms")?,
        nongraceful_disconnect: values.bool("use.nongraceful.disconnect")?,
        net_write_timeout: above_zero(values, "binlog.net.write.timeout")?,
        net_read_timeout: above_zero(values, "binlog.net.read.timeout")?,
        gtid_sources: match (sources("gtid.source.includes")?, sources("gtid.source.excludes")?) {
            (Some(include), _) => GtidSources::Include(include),
            (None, Some(exclude)) => GtidSources::Exclude(exclude),
            (None, None) => GtidSources::All,
        },
        gtid_filter_rows: values.bool("gtid.source.filter.dml.events")?,
        gtid_ignored: values.bool("gtid.ignore.on.recovery")?,
        position_check: values.bool("internal.log.position.check.enable")?,
        processing_failure,
        schema_failure: values.choice("inconsistent.schema.handling.mode")?,
    })
}

fn value_modes(values: &Values<'_>) -> Result<ValueConfig> {
    Ok(ValueConfig {
        decimal: values.choice("decimal.handling.mode")?,
        time: values.choice("time.precision.mode")?,
        unsigned: values.choice("bigint.unsigned.handling.mode")?,
        binary: values.choice("binary.handling.mode")?,
        adjust_years: values.bool("enable.time.adjuster")?,
        escape_enums: values.bool("afterimage.compat.enum.escape")?,
    })
}

fn naming(values: &Values<'_>) -> Result<NamingConfig> {
    // The default that Debezium lists is another class than the one its MySQL connector uses.
    let class = values.given("topic.naming.strategy").map(str::trim);
    let kind = class.map_or(Some(NamingKind::Plain), naming_kind);
    let strategy = match kind {
        None => return Err(ConfigError::new("topic.naming.strategy", "the class is not supported")),
        Some(NamingKind::Plain) => TopicStrategy::Default,
        Some(NamingKind::Unicode) => TopicStrategy::Unicode,
        Some(NamingKind::Regex) => {
            let rewrite = |regex: &str, replacement: &str| -> Result<Rewrite> {
                let to = values.given(replacement).unwrap_or_default();
                Rewrite::new(values.required(regex)?, to).map_err(|problem| ConfigError::new(regex, problem))
            };
            let unique = values.bool("topic.key.enforce.uniqueness")?;
            let key_value = values
                .text("topic.key.field.regex")
                .map(|_| rewrite("topic.key.field.regex", "topic.key.field.replacement"));
            TopicStrategy::Regex(Box::new(TopicRewrite {
                topic: rewrite("topic.regex", "topic.replacement")?,
                key_field: values.text("topic.key.field.name").filter(|_| unique).map(Into::into),
                key_value: key_value.transpose()?,
            }))
        }
    };
    let or = |name: &str, default: &str| values.get(name).unwrap_or(default).to_owned();
    let topics = TopicNaming {
        delimiter: or("topic.delimiter", "."),
        strategy,
        transaction: or("topic.transaction", "transaction"),
        heartbeat_prefix: or("topic.heartbeat.prefix", "__debezium-heartbeat"),
        heartbeat_name: text(values, "topic.heartbeat.name"),
        ..TopicNaming::new(values.required("topic.prefix")?)
    };
    Ok(NamingConfig {
        topics,
        schemas: match values.choice("schema.name.adjustment.mode")? {
            NameAdjustment::None => Adjustment::None,
            NameAdjustment::Avro => Adjustment::Avro,
            NameAdjustment::AvroUnicode => Adjustment::AvroUnicode,
        },
        fields: match values.choice("field.name.adjustment.mode")? {
            FieldAdjustment::None => Adjustment::None,
            FieldAdjustment::Avro => Adjustment::Avro,
            FieldAdjustment::AvroUnicode => Adjustment::AvroUnicode,
        },
    })
}

fn events(values: &Values<'_>) -> Result<EventConfig> {
    let skipped = values.list("skipped.operations");
    let skips = |letter: &str| skipped.contains(&letter);
    Ok(EventConfig {
        skipped: SkippedOperations { create: skips("c"), update: skips("u"), delete: skips("d"), truncate: skips("t") },
        transaction_metadata: values.bool("provide.transaction.metadata")?,
        include_query: values.bool("include.query")?,
        schema_changes: values.bool("include.schema.changes")?,
        comments: values.bool("include.schema.comments")?,
    })
}

fn heartbeat(values: &Values<'_>, warnings: &mut Vec<String>) -> Result<Option<HeartbeatConfig>> {
    let query = text(values, "heartbeat.action.query");
    let interval: Option<Duration> = values.millis_if_set("heartbeat.interval.ms")?;
    if query.is_some() && interval.is_none() {
        warnings
            .push("heartbeat.action.query is never run: heartbeat.interval.ms is 0, so there are no heartbeats".into());
    }
    Ok(interval.map(|interval| HeartbeatConfig { interval, query }))
}

fn limits(values: &Values<'_>) -> Result<LimitConfig> {
    let most = above_zero(values, "guardrail.collections.max")?;
    let action = values.choice("guardrail.collections.limit.action")?;
    Ok(LimitConfig {
        batch_records: fit(values, "max.batch.size")?,
        queue_records: fit(values, "max.queue.size")?,
        queue_bytes: above_zero(values, "max.queue.size.in.bytes")?,
        tables: most.map(|most| (most, action)),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn statements_are_split_at_single_semicolons() {
        assert_eq!(super::statements("SET a=1; SELECT ';;' ;; x;"), ["SET a=1", "SELECT ';' ; x"]);
        assert!(super::statements(" ; ").is_empty());
    }
}
