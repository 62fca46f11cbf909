//! The configuration of the MySQL connector: its options, what is wrong with a configuration, and the typed form.
//!
//! Reads text and the files of TLS stores; never opens a connection. What a setting asks for and the connector does
//! not do is an error here, with the reason, and never ignored.

mod checks;
mod ddl_filter;
mod modes;
mod options;
mod parse;
mod refuse;
mod rules;
mod tls;

use std::{sync::Arc, time::Duration};

use engine::{
    config::{ConfigError, Secret, Values},
    filter::{ColumnFilter, RegexList, TableFilter},
    plugin::{ConfigErrors, ConfigMap},
    regex::JavaRegex,
};
use record::naming::TopicNaming;

pub(crate) use ddl_filter::DdlFilter;
pub(crate) use modes::{
    BinaryMode, DecimalMode, FailureMode, FieldAdjustment, LimitAction, LockingMode, NameAdjustment, RowCountOrder,
    SnapshotMode, SslMode, TimeMode, UnsignedMode,
};
pub(crate) use options::DEF;
pub(crate) use rules::{ColumnRule, ColumnRules, KeyColumns};
pub(crate) use tls::{Store, TlsConfig};

/// Databases of the server itself, left out while `table.ignore.builtin` is true.
pub(crate) const BUILTIN_DATABASES: &[&str] = &["mysql", "performance_schema", "sys", "information_schema"];

/// Checks a configuration without touching the network: first what Debezium's validation finds, in its texts, then
/// what is refused here. In the order of the options; keys that are no listed option come last.
pub(crate) fn check(config: &ConfigMap) -> ConfigErrors {
    let mut errors = DEF.check(config);
    let values = Values::new(&DEF, config);
    let reported: Vec<String> = errors.iter().map(|(name, _)| name.clone()).collect();
    let mut refused = refuse::refusals(&values);
    refused.retain(|error| !reported.contains(&error.name));
    errors.extend(refused.into_iter().map(Into::into));
    if errors.is_empty() {
        errors.extend(MySqlConfig::build(&values).err().map(Into::into));
    }
    if errors.is_empty() {
        errors.extend(parse::stores(&values).into_iter().map(Into::into));
    }
    let place = |name: &str| DEF.options.iter().position(|option| option.name == name).unwrap_or(usize::MAX);
    errors.sort_by_key(|(name, _)| place(name));
    errors
}

/// Everything the connector does by its configuration, resolved.
#[derive(Debug, Clone)]
pub(crate) struct MySqlConfig {
    /// `topic.prefix`, the logical name of the server.
    pub(crate) prefix: Arc<str>,
    /// Server, user, TLS, timeouts.
    pub(crate) connection: ConnectionConfig,
    /// Snapshots.
    pub(crate) snapshot: SnapshotConfig,
    /// Reading the log.
    pub(crate) streaming: StreamingConfig,
    /// Captured tables.
    pub(crate) tables: TableFilter,
    /// Columns in record values.
    pub(crate) columns: ColumnFilter,
    /// Rules on columns.
    pub(crate) rules: ColumnRules,
    /// `message.key.columns`.
    pub(crate) keys: KeyColumns,
    /// How values are represented.
    pub(crate) values: ValueConfig,
    /// Names of topics, schemas and fields.
    pub(crate) naming: NamingConfig,
    /// Which records there are.
    pub(crate) events: EventConfig,
    /// Heartbeats; `None` when they are off.
    pub(crate) heartbeat: Option<HeartbeatConfig>,
    /// Schema history.
    pub(crate) history: HistoryConfig,
    /// Queue, batches, tables.
    pub(crate) limits: LimitConfig,
    /// What a user should know and nothing fails of.
    pub(crate) warnings: Vec<String>,
    /// Options that were set and change nothing, with the reason.
    pub(crate) without_effect: Vec<(&'static str, &'static str)>,
}

/// Server, user, TLS, timeouts.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionConfig {
    /// Host name or address.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
    /// User.
    pub(crate) user: String,
    /// Password, empty for none.
    pub(crate) password: Secret,
    /// TLS.
    pub(crate) tls: TlsConfig,
    /// `database.server.id`: the replica id of the log connection.
    pub(crate) server_id: u32,
    /// Time to connect.
    pub(crate) connect_timeout: Duration,
    /// Time for a statement; `None` for no limit.
    pub(crate) query_timeout: Option<Duration>,
    /// Time for the connection test of a validation.
    pub(crate) validation_timeout: Duration,
    /// Statements for each new connection but the log's.
    pub(crate) initial_statements: Vec<String>,
}

/// Snapshots.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotConfig {
    /// When and what.
    pub(crate) mode: SnapshotMode,
    /// Locks.
    pub(crate) locking: LockingMode,
    /// Wait for locks.
    pub(crate) lock_timeout: Duration,
    /// Pause before.
    pub(crate) delay: Duration,
    /// Pause between a snapshot and streaming.
    pub(crate) streaming_delay: Duration,
    /// Tables whose rows are read; `None` for all captured ones.
    pub(crate) include: Option<RegexList>,
    /// Statements in place of the usual one, by `db.table`.
    pub(crate) overrides: Vec<(String, String)>,
    /// Order by number of rows.
    pub(crate) order: RowCountOrder,
}

impl SnapshotConfig {
    /// Whether a snapshot reads the rows of a captured table. Matched as `db.table` and in backticks.
    pub(crate) fn reads(&self, table: &model::TableId) -> bool {
        self.include.as_ref().is_none_or(|list| {
            let quoted = format!("`{}`.`{}`", table.namespace(), table.name());
            list.matches(&table.to_string(), true) || list.matches(&quoted, true)
        })
    }

    /// The statement that replaces a table's usual one.
    pub(crate) fn select_override(&self, table: &model::TableId) -> Option<&str> {
        let name = table.to_string();
        self.overrides.iter().find(|(table, _)| *table == name).map(|(_, statement)| statement.as_str())
    }
}

/// Reading the log.
#[derive(Debug, Clone)]
pub(crate) struct StreamingConfig {
    /// Whether a dead connection is noticed and opened again.
    pub(crate) keep_alive: bool,
    /// Longest silence on the connection.
    pub(crate) keep_alive_interval: Duration,
    /// Close without waiting for unsent data.
    pub(crate) nongraceful_disconnect: bool,
    /// `net_write_timeout` of the session in seconds, when set.
    pub(crate) net_write_timeout: Option<u64>,
    /// `net_read_timeout` of the session in seconds, when set.
    pub(crate) net_read_timeout: Option<u64>,
    /// GTID sources.
    pub(crate) gtid_sources: GtidSources,
    /// Whether rows of sources that are left out are dropped.
    pub(crate) gtid_filter_rows: bool,
    /// Start by file and position though GTIDs are stored.
    pub(crate) gtid_ignored: bool,
    /// Check at the start that the stored position is still there.
    pub(crate) position_check: bool,
    /// An event that cannot be processed.
    pub(crate) processing_failure: FailureMode,
    /// A row of a captured table without known structure.
    pub(crate) schema_failure: FailureMode,
}

/// Which GTID sources count, by source UUID.
#[derive(Debug, Clone, Default)]
pub(crate) enum GtidSources {
    /// All.
    #[default]
    All,
    /// Those that an item matches.
    Include(Vec<JavaRegex>),
    /// Those that no item matches.
    Exclude(Vec<JavaRegex>),
}

impl GtidSources {
    /// Whether no source is left out.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether a source counts.
    pub(crate) fn accepts(&self, uuid: &str) -> bool {
        let any = |list: &[JavaRegex], unknown| list.iter().any(|item| item.matches(uuid).unwrap_or(unknown));
        match self {
            Self::All => true,
            Self::Include(list) => any(list, true),
            Self::Exclude(list) => !any(list, false),
        }
    }
}

/// How values are represented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueConfig {
    /// DECIMAL.
    pub(crate) decimal: DecimalMode,
    /// Dates and times.
    pub(crate) time: TimeMode,
    /// BIGINT UNSIGNED.
    pub(crate) unsigned: UnsignedMode,
    /// Binary columns.
    pub(crate) binary: BinaryMode,
    /// Years below 100 become 1970 to 2069.
    pub(crate) adjust_years: bool,
    /// Commas in ENUM and SET values keep Debezium's backslash.
    pub(crate) escape_enums: bool,
}

/// Which naming strategy a class stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamingKind {
    Plain,
    Regex,
    Unicode,
}

/// The strategy of a class name.
pub(crate) fn naming_kind(class: &str) -> Option<NamingKind> {
    Some(match class {
        "io.debezium.schema.DefaultTopicNamingStrategy" => NamingKind::Plain,
        "io.debezium.schema.DefaultRegexTopicNamingStrategy" => NamingKind::Regex,
        "io.debezium.schema.DefaultUnicodeTopicNamingStrategy" => NamingKind::Unicode,
        _ => return None,
    })
}

/// Names of topics, schemas and fields.
#[derive(Debug, Clone)]
pub(crate) struct NamingConfig {
    /// Topics.
    pub(crate) topics: TopicNaming,
    /// Schema names.
    pub(crate) schemas: record::naming::NameAdjustment,
    /// Field names.
    pub(crate) fields: record::naming::NameAdjustment,
}

/// Operations that are not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SkippedOperations {
    /// Inserts while streaming; snapshots are not touched.
    pub(crate) create: bool,
    /// Updates.
    pub(crate) update: bool,
    /// Deletes.
    pub(crate) delete: bool,
    /// TRUNCATE.
    pub(crate) truncate: bool,
}

/// Which records there are.
#[derive(Debug, Clone)]
pub(crate) struct EventConfig {
    /// Operations left out.
    pub(crate) skipped: SkippedOperations,
    /// Transaction topic and blocks.
    pub(crate) transaction_metadata: bool,
    /// `source.query`.
    pub(crate) include_query: bool,
    /// The schema change topic.
    pub(crate) schema_changes: bool,
    /// Comments in schemas and history.
    pub(crate) comments: bool,
}

/// Heartbeats.
#[derive(Debug, Clone)]
pub(crate) struct HeartbeatConfig {
    /// Period, above zero.
    pub(crate) interval: Duration,
    /// A statement to run each time.
    pub(crate) query: Option<String>,
}

/// Schema history. Its Kafka settings are read by whoever opens it.
#[derive(Debug, Clone)]
pub(crate) struct HistoryConfig {
    /// A statement that cannot be understood is passed over.
    pub(crate) skip_unparseable: bool,
    /// Only statements on captured tables are kept.
    pub(crate) captured_tables_only: bool,
    /// Only statements on databases with captured tables are kept.
    pub(crate) captured_databases_only: bool,
    /// Statements that are not looked at.
    pub(crate) ddl_filter: DdlFilter,
}

/// Queue, batches, tables.
#[derive(Debug, Clone)]
pub(crate) struct LimitConfig {
    /// Records per batch.
    pub(crate) batch_records: usize,
    /// Records waiting.
    pub(crate) queue_records: usize,
    /// Bytes waiting, when limited.
    pub(crate) queue_bytes: Option<usize>,
    /// Most captured tables, and what more of them do.
    pub(crate) tables: Option<(usize, LimitAction)>,
}

impl MySqlConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What [`check`] finds.
    pub(crate) fn parse(config: &ConfigMap) -> Result<Self, ConfigErrors> {
        let errors = check(config);
        if !errors.is_empty() {
            return Err(errors);
        }
        Self::build(&Values::new(&DEF, config)).map_err(|error: ConfigError| vec![error.into()])
    }
}

#[cfg(test)]
mod acted_on;
#[cfg(test)]
mod tests;
