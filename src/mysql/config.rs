//! The configuration of the MySQL connector: its options, what is wrong with a configuration, and the typed form.
//!
//! Reads text and the files of TLS stores; never opens a connection. What a setting asks for and the connector does
//! not do is an error here, with the reason, and never ignored.

mod checks;
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
use record::{ConversionFailure, naming::TopicNaming};

pub use modes::{
    BinaryMode, ConversionMode, DecimalMode, FailureMode, FieldAdjustment, LimitAction, LockingMode, NameAdjustment,
    RowCountOrder, SnapshotMode, SslMode, TimeMode, UnsignedMode,
};
pub use options::DEF;
pub use rules::{ColumnRule, ColumnRules, KeyColumns};
pub use tls::{Store, TlsConfig, TlsMaterial};

/// Databases of the server itself, left out while `table.ignore.builtin` is true.
pub const BUILTIN_DATABASES: &[&str] = &["mysql", "performance_schema", "sys", "information_schema"];

/// Checks a configuration without touching the network: first what Debezium's validation finds, in its texts, then
/// what is refused here. In the order of the options; keys that are no listed option come last.
pub fn check(config: &ConfigMap) -> ConfigErrors {
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
pub struct MySqlConfig {
    /// `topic.prefix`, the logical name of the server.
    pub prefix: Arc<str>,
    /// Server, user, TLS, timeouts.
    pub connection: ConnectionConfig,
    /// Snapshots.
    pub snapshot: SnapshotConfig,
    /// Reading the log.
    pub streaming: StreamingConfig,
    /// Captured tables.
    pub tables: TableFilter,
    /// Columns in record values.
    pub columns: ColumnFilter,
    /// Rules on columns.
    pub rules: ColumnRules,
    /// `message.key.columns`.
    pub keys: KeyColumns,
    /// How values are represented.
    pub values: ValueConfig,
    /// Names of topics, schemas and fields.
    pub naming: NamingConfig,
    /// Which records there are.
    pub events: EventConfig,
    /// Heartbeats; `None` when they are off.
    pub heartbeat: Option<HeartbeatConfig>,
    /// Schema history.
    pub history: HistoryConfig,
    /// Queue, batches, retries.
    pub limits: LimitConfig,
    /// What a user should know and nothing fails of.
    pub warnings: Vec<String>,
}

/// Server, user, TLS, timeouts.
#[derive(Debug, Clone)]
pub struct ConnectionConfig {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password, empty for none.
    pub password: Secret,
    /// TLS.
    pub tls: TlsConfig,
    /// `database.server.id`: the replica id of the log connection.
    pub server_id: u32,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for a statement; `None` for no limit.
    pub query_timeout: Option<Duration>,
    /// Time for the connection test of a validation.
    pub validation_timeout: Duration,
    /// Statements for each new connection but the log's.
    pub initial_statements: Vec<String>,
    /// Session time zone that was asked for, as text.
    pub time_zone: Option<String>,
}

/// Snapshots.
#[derive(Debug, Clone)]
pub struct SnapshotConfig {
    /// When and what.
    pub mode: SnapshotMode,
    /// Locks.
    pub locking: LockingMode,
    /// Wait for locks.
    pub lock_timeout: Duration,
    /// Pause before.
    pub delay: Duration,
    /// Pause between a snapshot and streaming.
    pub streaming_delay: Duration,
    /// Rows per fetch, when set above zero.
    pub fetch_size: Option<u32>,
    /// Tables whose rows are read; `None` for all captured ones.
    pub include: Option<RegexList>,
    /// Statements in place of the usual one, by `db.table`.
    pub overrides: Vec<(String, String)>,
    /// Order by number of rows.
    pub order: RowCountOrder,
    /// Rows from which on a table is streamed; 0 for always.
    pub min_rows_to_stream: u64,
}

impl SnapshotConfig {
    /// Whether a snapshot reads the rows of a captured table. Matched as `db.table` and in backticks.
    pub fn reads(&self, table: &model::TableId) -> bool {
        self.include.as_ref().is_none_or(|list| {
            let quoted = format!("`{}`.`{}`", table.namespace(), table.name());
            list.matches(&table.to_string(), true) || list.matches(&quoted, true)
        })
    }

    /// The statement that replaces a table's usual one.
    pub fn select_override(&self, table: &model::TableId) -> Option<&str> {
        let name = table.to_string();
        self.overrides.iter().find(|(table, _)| *table == name).map(|(_, statement)| statement.as_str())
    }
}

/// Reading the log.
#[derive(Debug, Clone)]
pub struct StreamingConfig {
    /// Whether a dead connection is noticed and opened again.
    pub keep_alive: bool,
    /// Longest silence on the connection.
    pub keep_alive_interval: Duration,
    /// Close without waiting for unsent data.
    pub nongraceful_disconnect: bool,
    /// `net_write_timeout` of the session in seconds, when set.
    pub net_write_timeout: Option<u64>,
    /// `net_read_timeout` of the session in seconds, when set.
    pub net_read_timeout: Option<u64>,
    /// GTID sources.
    pub gtid_sources: GtidSources,
    /// Whether rows of sources that are left out are dropped.
    pub gtid_filter_rows: bool,
    /// Start by file and position though GTIDs are stored.
    pub gtid_ignored: bool,
    /// Check at the start that the stored position is still there.
    pub position_check: bool,
    /// An event that cannot be processed.
    pub processing_failure: FailureMode,
    /// A row of a captured table without known structure.
    pub schema_failure: FailureMode,
}

/// Which GTID sources count, by source UUID.
#[derive(Debug, Clone, Default)]
pub enum GtidSources {
    /// All.
    #[default]
    All,
    /// Those that an item matches.
    Include(Vec<JavaRegex>),
    /// Those that no item matches.
    Exclude(Vec<JavaRegex>),
}

impl GtidSources {
    /// Whether a source counts.
    pub fn accepts(&self, uuid: &str) -> bool {
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
pub struct ValueConfig {
    /// DECIMAL.
    pub decimal: DecimalMode,
    /// Dates and times.
    pub time: TimeMode,
    /// BIGINT UNSIGNED.
    pub unsigned: UnsignedMode,
    /// Binary columns.
    pub binary: BinaryMode,
    /// Years below 100 become 1970 to 2069.
    pub adjust_years: bool,
    /// Commas in ENUM and SET values keep Debezium's backslash.
    pub escape_enums: bool,
    /// Values that cannot be converted.
    pub failure: ConversionFailure,
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
pub struct NamingConfig {
    /// Topics.
    pub topics: TopicNaming,
    /// Schema names.
    pub schemas: record::naming::NameAdjustment,
    /// Field names.
    pub fields: record::naming::NameAdjustment,
}

/// Operations that are not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SkippedOperations {
    /// Inserts while streaming; snapshots are not touched.
    pub create: bool,
    /// Updates.
    pub update: bool,
    /// Deletes.
    pub delete: bool,
    /// TRUNCATE.
    pub truncate: bool,
}

/// Which records there are.
#[derive(Debug, Clone)]
pub struct EventConfig {
    /// A tombstone after each delete.
    pub tombstones: bool,
    /// Operations left out.
    pub skipped: SkippedOperations,
    /// Updates that change nothing are left out.
    pub skip_unchanged: bool,
    /// Transaction topic and blocks.
    pub transaction_metadata: bool,
    /// `source.query`.
    pub include_query: bool,
    /// The schema change topic.
    pub schema_changes: bool,
    /// Comments in schemas and history.
    pub comments: bool,
    /// The context headers.
    pub context_headers: bool,
}

/// Heartbeats.
#[derive(Debug, Clone)]
pub struct HeartbeatConfig {
    /// Period, above zero.
    pub interval: Duration,
    /// A statement to run each time.
    pub query: Option<String>,
}

/// Schema history. Its Kafka settings are read by whoever opens it.
#[derive(Debug, Clone)]
pub struct HistoryConfig {
    /// A statement that cannot be understood is passed over.
    pub skip_unparseable: bool,
    /// Only statements on captured tables are kept.
    pub captured_tables_only: bool,
    /// Only statements on databases with captured tables are kept.
    pub captured_databases_only: bool,
    /// Expressions on statements that are ignored, when other than the usual ones.
    pub ddl_filter: Option<String>,
}

/// Queue, batches, retries.
#[derive(Debug, Clone)]
pub struct LimitConfig {
    /// Records per batch.
    pub batch_records: usize,
    /// Records waiting.
    pub queue_records: usize,
    /// Bytes waiting, when limited.
    pub queue_bytes: Option<usize>,
    /// Longest pause before waiting records are handed over.
    pub poll_interval: Duration,
    /// Restarts in a row; `None` for any number.
    pub retries: Option<u32>,
    /// Pause before a restart.
    pub retry_wait: Duration,
    /// Most captured tables, and what more of them do.
    pub tables: Option<(usize, LimitAction)>,
}

impl MySqlConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What [`check`] finds.
    pub fn parse(config: &ConfigMap) -> Result<Self, ConfigErrors> {
        let errors = check(config);
        if !errors.is_empty() {
            return Err(errors);
        }
        Self::build(&Values::new(&DEF, config)).map_err(|error: ConfigError| vec![error.into()])
    }
}

#[cfg(test)]
mod tests;
