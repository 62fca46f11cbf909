//! Options that Debezium reads without listing or validating them, and options of our own.

use engine::config::{
    Check::{Boolean, Integer, Long, OneOf, PlainName, PositiveLong, Regex},
    ConfigOption, ConfigType as T, one_of,
};

use super::super::modes::{BinaryMode, ConversionMode, FieldAdjustment};

/// The rows.
#[rustfmt::skip]
pub(super) const OPTIONS: &[ConfigOption] = &[
    ConfigOption::new("binary.handling.mode", T::String, "How binary columns are represented: bytes, base64, base64-url-safe or hex.").default("bytes").checks(&[one_of::<BinaryMode>()]),
    ConfigOption::new("event.converting.failure.handling.mode", T::String, "What a value that cannot be converted does: warn and skip leave the field unset with and without a warning, fail stops the connector.").default("warn").checks(&[one_of::<ConversionMode>()]),
    ConfigOption::new("field.name.adjustment.mode", T::String, "How characters in field names that the converter cannot take are replaced: none, avro or avro_unicode.").default("none").checks(&[one_of::<FieldAdjustment>()]),
    ConfigOption::new("skip.messages.without.change", T::Boolean, "Whether updates that change no captured column are left out.").default("false").checks(&[Boolean]),
    ConfigOption::new("read.only", T::Boolean, "Whether nothing may be written to the source.").default("false").checks(&[Boolean]),
    ConfigOption::new("snapshot.locking.mode.custom.name", T::String, "Name of the Java plug-in for snapshot.locking.mode=custom; not available here."),
    ConfigOption::new("database.connectionTimeZone", T::String, "Time zone of the sessions that read snapshots."),
    ConfigOption::new("topic.delimiter", T::String, "Text between the parts of a topic name.").default(".").checks(&[PlainName]),
    ConfigOption::new("topic.cache.size", T::Int, "Kept for compatibility; topic names are kept with their tables.").default("10000").checks(&[Integer]),
    ConfigOption::new("topic.transaction", T::String, "Last part of the name of the topic of transaction metadata.").default("transaction").checks(&[PlainName]),
    ConfigOption::new("topic.heartbeat.prefix", T::String, "First part of the name of the heartbeat topic.").default("__debezium-heartbeat").checks(&[PlainName]),
    ConfigOption::new("topic.heartbeat.name", T::String, "Whole name of the heartbeat topic, in place of prefix and topic.prefix.").checks(&[PlainName]),
    ConfigOption::new("topic.regex", T::String, "For the regex naming strategy: expression on the whole topic name.").checks(&[Regex]),
    ConfigOption::new("topic.replacement", T::String, "For the regex naming strategy: what a matching topic name becomes."),
    ConfigOption::new("topic.key.enforce.uniqueness", T::Boolean, "For the regex naming strategy: whether keys get a field that tells the tables apart.").default("true").checks(&[Boolean]),
    ConfigOption::new("topic.key.field.name", T::String, "For the regex naming strategy: name of that field.").default("__dbz__physicalTableIdentifier"),
    ConfigOption::new("topic.key.field.regex", T::String, "For the regex naming strategy: expression on the original topic name.").checks(&[Regex]),
    ConfigOption::new("topic.key.field.replacement", T::String, "For the regex naming strategy: value of that field for a matching name."),
    ConfigOption::new("schema.history.internal.kafka.topic", T::String, "Topic of the schema history; one per connector."),
    ConfigOption::new("schema.history.internal.kafka.bootstrap.servers", T::String, "Kafka address of the schema history."),
    ConfigOption::new("schema.history.internal.kafka.recovery.poll.interval.ms", T::Int, "Longest wait for a record while the schema history is read, in milliseconds.").default("100").checks(&[Integer]),
    ConfigOption::new("schema.history.internal.kafka.recovery.attempts", T::Int, "Waits without a record after which reading the schema history fails.").default("100").checks(&[Integer]),
    ConfigOption::new("schema.history.internal.kafka.query.timeout.ms", T::Long, "How long a question to Kafka about the history topic may take, in milliseconds.").default("3000").checks(&[Long, PositiveLong]),
    ConfigOption::new("schema.history.internal.kafka.create.timeout.ms", T::Long, "How long the creation of the history topic may take, in milliseconds.").default("30000").checks(&[Long, PositiveLong]),
    ConfigOption::new("schema.history.internal.kafka.buffer.batch.size", T::Int, "Kept for compatibility; documents are written one by one.").default("1024").checks(&[Integer]),
    ConfigOption::new("schema.history.internal.name", T::String, "Kept for compatibility; the name of the history in logs."),
    ConfigOption::new("internal.schema.history.internal.ddl.filter", T::String, "Statements, as regular expressions, that are not looked at, instead of the usual ones."),
    ConfigOption::new("queue.provider.type", T::String, "Kept for compatibility; the queue is in memory.").default("memory").checks(&[OneOf(&["memory"])]),
    ConfigOption::new("afterimage.compat.enum.escape", T::Boolean, "Whether commas in ENUM and SET values are escaped by a backslash, as Debezium does while streaming.").default("false").checks(&[Boolean]),
];
