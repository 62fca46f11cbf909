//! Options of the group `Events`: what is captured and what records look like.

use engine::config::{
    Check::{Boolean, ClassName, Integer, KeyValues, Long, NonNegativeInteger, NotWith, PositiveInteger, RegexList},
    ConfigOption, ConfigType as T, Importance as I, Width as W, one_of,
};

use super::super::checks::{GTID_EXCLUDES, KEY_COLUMNS, NOTIFICATION_TOPIC, SIGNAL_TABLE};
use super::super::modes::{FailureMode, RowCountOrder};

const GROUP: &str = "Events";

/// The rows.
pub(super) const OPTIONS: &[ConfigOption] = &[
    ConfigOption::new("converters", T::String, "Names of custom value converters.").form("List of prefixes defining custom values converters.", GROUP, 1, W::Medium, I::Low),
    ConfigOption::new("post.processors", T::String, "Names of post-processors of change events.").form("List of change event post processors.", GROUP, 2, W::Medium, I::Low),
    ConfigOption::new("tombstones.on.delete", T::Boolean, "Whether a delete is followed by a record without value, which lets Kafka compact the key away.").default("true").form("Change the behaviour of Debezium with regards to delete operations", GROUP, 3, W::Short, I::Medium).checks(&[Boolean, Boolean]),
    ConfigOption::new("heartbeat.interval.ms", T::Int, "Period of heartbeat records, in milliseconds; 0 for none.").default("0").form("Connector heartbeat interval (milli-seconds)", GROUP, 4, W::Medium, I::Medium).checks(&[Integer, NonNegativeInteger]),
    ConfigOption::new("heartbeat.topics.prefix", T::String, "Older name of topic.heartbeat.prefix.").default("__debezium-heartbeat").form("A prefix used for naming of heartbeat topics", GROUP, 5, W::Medium, I::Low),
    ConfigOption::new("signal.data.collection", T::List, "Table through which the connector is given signals, as db.table.").form("Signaling data collection", GROUP, 6, W::Medium, I::Medium).checks(&[SIGNAL_TABLE]),
    ConfigOption::new("signal.poll.interval.ms", T::Long, "Period at which signal channels are looked at, in milliseconds.").default("5000").form("Signal processor poll interval", GROUP, 7, W::Short, I::Medium).checks(&[Long, PositiveInteger]),
    ConfigOption::new("signal.enabled.channels", T::List, "Channels through which signals are taken.").default("source").form("Enabled channels names", GROUP, 8, W::Long, I::Medium),
    ConfigOption::new("topic.naming.strategy", T::Class, "Class that names topics: DefaultTopicNamingStrategy, DefaultRegexTopicNamingStrategy or DefaultUnicodeTopicNamingStrategy of io.debezium.schema.").default("io.debezium.schema.SchemaTopicNamingStrategy").form("Topic naming strategy class", GROUP, 9, W::Medium, I::Medium).checks(&[ClassName]),
    ConfigOption::new("notification.enabled.channels", T::List, "Channels through which notifications are sent.").form("Enabled notification channels names", GROUP, 10, W::Long, I::Medium),
    ConfigOption::new("notification.sink.topic.name", T::String, "Topic of notifications for the channel sink.").form("Notification topic name", GROUP, 11, W::Long, I::High).checks(&[NOTIFICATION_TOPIC]),
    ConfigOption::new("transaction.metadata.factory", T::Class, "Class that builds transaction metadata.").default("io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory").form("Factory class to create transaction context & transaction struct maker classes", GROUP, 12, W::Medium, I::Low).checks(&[ClassName]),
    ConfigOption::new("custom.metric.tags", T::List, "Tags added to metrics, as key=value pairs.").form("Customize metric tags", GROUP, 13, W::Medium, I::Low).checks(&[KeyValues]),
    ConfigOption::new("column.include.list", T::List, "Columns, as regular expressions on db.table.column, that record values contain; all when not set.").form("Include Columns", GROUP, 14, W::Long, I::Medium).checks(&[RegexList]),
    ConfigOption::new("column.exclude.list", T::List, "Columns, as regular expressions on db.table.column, that record values leave out.").form("Exclude Columns", GROUP, 15, W::Long, I::Medium).checks(&[NotWith("column.include.list"), RegexList]),
    ConfigOption::new("table.include.list", T::List, "Tables, as regular expressions on db.table, that are captured; their order is the order of a snapshot.").form("Include Tables", GROUP, 16, W::Long, I::High).checks(&[RegexList, RegexList]),
    ConfigOption::new("table.exclude.list", T::List, "Tables, as regular expressions on db.table, that are not captured.").form("Exclude Tables", GROUP, 17, W::Long, I::Medium).checks(&[NotWith("table.include.list"), RegexList]),
    ConfigOption::new("message.key.columns", T::String, "Key columns of tables, as <expression on db.table>:<column>,<column>;..., in place of the primary key.").form("Columns PK mapping", GROUP, 18, W::Long, I::Medium).checks(&[KEY_COLUMNS]),
    ConfigOption::new("snapshot.select.statement.overrides", T::String, "Tables, as db.table, whose snapshot uses the statement of snapshot.select.statement.overrides.<db.table>.").form("List of tables where the default select statement used during snapshotting should be overridden.", GROUP, 19, W::Long, I::Medium),
    ConfigOption::new("column.mask.hash.([^.]+).with.salt.(.+)", T::String, "Columns whose text is replaced by a salted hash; the option's name holds algorithm and salt.").form("Mask Columns Using Hash and Salt", GROUP, 20, W::Long, I::Medium),
    ConfigOption::new("column.mask.with.(d+).chars", T::String, "Columns whose text is replaced by asterisks; the option's name holds their number.").form("Mask Columns With n Asterisks", GROUP, 21, W::None, I::Medium),
    ConfigOption::new("column.truncate.to.(d+).chars", T::Int, "Columns whose text is cut; the option's name holds the length.").form("Truncate Columns To n Characters", GROUP, 22, W::None, I::Medium),
    ConfigOption::new("include.schema.changes", T::Boolean, "Whether changes of table structures are published to the topic named topic.prefix.").default("true").form("Include database schema changes", GROUP, 23, W::Short, I::Medium).checks(&[Boolean]),
    ConfigOption::new("include.schema.comments", T::Boolean, "Whether comments of tables and columns are kept and published.").default("false").form("Include Table and Column Comments", GROUP, 24, W::Short, I::Medium).checks(&[Boolean, Boolean]),
    ConfigOption::new("column.propagate.source.type", T::List, "Columns, as regular expressions on db.table.column, whose schemas carry the column's type, length and scale.").form("Propagate Source Types by Columns", GROUP, 25, W::None, I::Medium).checks(&[RegexList]),
    ConfigOption::new("datatype.propagate.source.type", T::List, "Types, as regular expressions on db.table.TYPE, whose columns' schemas carry the column's type, length and scale.").form("Propagate Source Types by Data Type", GROUP, 26, W::None, I::Medium).checks(&[RegexList]),
    ConfigOption::new("internal.snapshot.scan.all.columns.force", T::Boolean, "Kept for compatibility; structures are read for the tables that need it.").default("false").form("Snapshot force scan all columns of all tables", GROUP, 27, W::Short, I::Low).checks(&[Boolean]),
    ConfigOption::new("snapshot.tables.order.by.row.count", T::String, "Order of tables in a snapshot by their number of rows: disabled, ascending or descending.").default("disabled").form("Initial snapshot tables order by row count", GROUP, 28, W::None, I::Medium).checks(&[one_of::<RowCountOrder>()]).recommended(&["ascending", "descending", "disabled"]),
    ConfigOption::new("heartbeat.action.query", T::String, "Statement that is run at every heartbeat.").form("An optional query to execute with every heartbeat", GROUP, 29, W::Medium, I::Low),
    ConfigOption::new("include.query", T::Boolean, "Whether records carry the statement that made the change; the server has to log it (binlog_rows_query_log_events).").default("false").form("Include original SQL query with in change events", GROUP, 30, W::Short, I::Medium).checks(&[Boolean]),
    ConfigOption::new("table.ignore.builtin", T::Boolean, "Whether the server's own databases are left out.").default("true").form("Ignore system databases", GROUP, 31, W::Short, I::Low).checks(&[Boolean, Boolean]).dependents(&["database.include.list"]),
    ConfigOption::new("database.include.list", T::List, "Databases, as regular expressions, that are captured.").form("Include Databases", GROUP, 32, W::Long, I::High).checks(&[RegexList]).dependents(&["table.include.list"]),
    ConfigOption::new("database.exclude.list", T::List, "Databases, as regular expressions, that are not captured.").form("Exclude Databases", GROUP, 33, W::Long, I::Medium).checks(&[NotWith("database.include.list"), RegexList]),
    ConfigOption::new("binlog.buffer.size", T::Int, "Events of a transaction held back until its end is known; 0 for none.").default("0").form("Binlog reader buffer size", GROUP, 34, W::Medium, I::Medium).checks(&[Integer, NonNegativeInteger]),
    ConfigOption::new("event.deserialization.failure.handling.mode", T::String, "Older name of event.processing.failure.handling.mode.").default("fail").form("Event deserialization failure handling", GROUP, 35, W::Short, I::Medium).checks(&[one_of::<FailureMode>()]).recommended(&["fail", "ignore", "skip", "warn"]),
    ConfigOption::new("inconsistent.schema.handling.mode", T::String, "What a row of a captured table whose structure is not known does: fail stops the connector, warn and skip pass over it with and without a warning.").default("fail").form("Inconsistent schema failure handling", GROUP, 36, W::Short, I::Medium).checks(&[one_of::<FailureMode>()]).recommended(&["fail", "ignore", "skip", "warn"]),
    ConfigOption::new("gtid.source.filter.dml.events", T::Boolean, "Whether rows of GTID sources that are left out are not published.").default("true").form("Filter DML events", GROUP, 37, W::Short, I::Medium).checks(&[Boolean]),
    ConfigOption::new("gtid.ignore.on.recovery", T::Boolean, "Whether a start uses file and position though GTIDs are stored.").default("false").form("Ignore GTID on recovery", GROUP, 38, W::Short, I::Low).checks(&[Boolean]),
    ConfigOption::new("gtid.source.includes", T::List, "GTID sources, as UUIDs or regular expressions on them, by which the start position is found.").form("Include GTID sources", GROUP, 39, W::Long, I::High).dependents(&["table.include.list"]),
    ConfigOption::new("gtid.source.excludes", T::String, "GTID sources, as UUIDs or regular expressions on them, that are left out when the start position is found.").form("Exclude GTID sources", GROUP, 40, W::Long, I::Medium).checks(&[GTID_EXCLUDES]),
    ConfigOption::new("sourceinfo.struct.maker", T::Class, "Class that builds the source block of records.").default("io.debezium.connector.mysql.MySqlSourceInfoStructMaker").form("Source info struct maker class", GROUP, 41, W::Medium, I::Low).checks(&[ClassName]),
];
