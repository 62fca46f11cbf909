//! Schemas and values of change events and of the records about a stream: heartbeats and transaction marks.
//!
//! Names, order, optional flags and versions are those of Debezium 3.6.1. Schema names given to the functions are
//! final: `schema.name.adjustment.mode` has been applied.

use std::sync::Arc;

use model::{MetaValue, SnapshotMarker};

use crate::{Schema, SourceField, SourceShape, Type, Value};

pub(crate) fn required(ty: Type) -> Schema {
    Schema::new(ty)
}

pub(crate) fn optional(ty: Type) -> Schema {
    Schema::new(ty).optional(true)
}

/// The envelope, `<T>.Envelope` v2, around a row struct and a source block.
pub fn envelope_schema(name: impl Into<Arc<str>>, row: &Arc<Schema>, source: &Arc<Schema>) -> Schema {
    required(Type::Struct)
        .named(name, Some(2))
        .field("before", row.clone())
        .field("after", row.clone())
        .field("source", source.clone())
        .field("transaction", transaction_block_schema())
        .field("op", required(Type::String))
        .field("ts_ms", optional(Type::Int64))
        .field("ts_us", optional(Type::Int64))
        .field("ts_ns", optional(Type::Int64))
}

/// The envelope of an event without row images, as a truncate (`t`) has.
pub fn truncate_value(source: Value, read_ns: i64) -> Value {
    Value::Struct(vec![
        Value::Null,
        Value::Null,
        source,
        Value::Null,
        Value::text("t"),
        Value::Int(read_ns.div_euclid(1_000_000)),
        Value::Int(read_ns.div_euclid(1_000)),
        Value::Int(read_ns),
    ])
}

/// `event.block` v1, the `transaction` field of an envelope.
pub fn transaction_block_schema() -> Schema {
    optional(Type::Struct)
        .named("event.block", Some(1))
        .field("id", required(Type::String))
        .field("total_order", required(Type::Int64))
        .field("data_collection_order", required(Type::Int64))
}

/// `io.debezium.data.Enum` v1 with its options joined by commas.
pub fn enum_schema(allowed: impl Into<Arc<str>>) -> Schema {
    Schema::new(Type::String).named("io.debezium.data.Enum", Some(1)).parameter("allowed", allowed)
}

const SNAPSHOT_ALLOWED: &str = "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental";

/// The fields every connector's source block begins with, and where they come from.
fn common_source(
    schema_name: String,
    version: &str,
    connector: &str,
    name: &str,
    db: SourceField,
    sequence: SourceField,
) -> (Schema, Vec<SourceField>) {
    let schema = required(Type::Struct)
        .named(schema_name, Some(1))
        .field("version", required(Type::String))
        .field("connector", required(Type::String))
        .field("name", required(Type::String))
        .field("ts_ms", required(Type::Int64))
        .field("snapshot", enum_schema(SNAPSHOT_ALLOWED).optional(true).default_value(Some(Value::text("false"))))
        .field("db", required(Type::String))
        .field("sequence", optional(Type::String))
        .field("ts_us", optional(Type::Int64))
        .field("ts_ns", optional(Type::Int64));
    let fields = vec![
        SourceField::Constant(Value::text(version)),
        SourceField::Constant(Value::text(connector)),
        SourceField::Constant(Value::text(name)),
        SourceField::TimeMillis,
        SourceField::Snapshot,
        db,
        sequence,
        SourceField::TimeMicros,
        SourceField::TimeNanos,
    ];
    (schema, fields)
}

/// Numbers of a MySQL or MariaDB event's slots, as [`mysql_source_shape`] reads them.
pub mod mysql_slot {
    /// `server_id`, an integer; required.
    pub const SERVER_ID: usize = 0;
    /// `gtid`, text or null.
    pub const GTID: usize = 1;
    /// `file`, text; required.
    pub const FILE: usize = 2;
    /// `pos`, an integer; required.
    pub const POS: usize = 3;
    /// `thread`, an integer or null.
    pub const THREAD: usize = 4;
    /// `query`, text or null.
    pub const QUERY: usize = 5;
}

/// The source block of MySQL (`connector` = `mysql`) and MariaDB (`mariadb`): `version` is the connector version
/// reported, `name` is `topic.prefix`. `db` and `table` come from the table's id; the other values are slots of the
/// event, numbered by [`mysql_slot`].
pub fn mysql_source_shape(version: &str, connector: &str, name: &str) -> SourceShape {
    use mysql_slot::{FILE, GTID, POS, QUERY, SERVER_ID, THREAD};
    let (schema, mut fields) = common_source(
        format!("io.debezium.connector.{connector}.Source"),
        version,
        connector,
        name,
        SourceField::Namespace,
        SourceField::Constant(Value::Null),
    );
    let schema = schema
        .field("table", optional(Type::String))
        .field("server_id", required(Type::Int64))
        .field("gtid", optional(Type::String))
        .field("file", required(Type::String))
        .field("pos", required(Type::Int64))
        .field("row", required(Type::Int32))
        .field("thread", optional(Type::Int64))
        .field("query", optional(Type::String));
    fields.extend([
        SourceField::Table,
        SourceField::Slot(SERVER_ID),
        SourceField::Slot(GTID),
        SourceField::Slot(FILE),
        SourceField::Slot(POS),
        SourceField::Ordinal,
        SourceField::Slot(THREAD),
        SourceField::Slot(QUERY),
    ]);
    SourceShape { schema: schema.into(), fields }
}

/// What one source block says, for records that are not rows of a batch.
#[derive(Debug, Clone, Copy)]
pub struct SourceEvent<'a> {
    /// Time of the change at the source, microseconds since the epoch.
    pub source_us: i64,
    /// Snapshot marker.
    pub snapshot: SnapshotMarker,
    /// Row number inside the event; 0 for events without rows.
    pub ordinal: u32,
    /// The database or schema.
    pub namespace: &'a str,
    /// The table or tables.
    pub table: Option<&'a str>,
    /// Slots by the source's numbering; missing ones are null.
    pub slots: &'a [MetaValue<'a>],
}

impl SourceShape {
    /// The block as a dynamic value.
    pub fn value(&self, event: &SourceEvent<'_>) -> Value {
        let text = |text: Option<&str>| text.map_or(Value::Null, Value::text);
        let field = |field: &SourceField| match field {
            SourceField::Constant(value) => value.clone(),
            SourceField::TimeMillis => Value::Int(event.source_us.div_euclid(1000)),
            SourceField::TimeMicros => Value::Int(event.source_us),
            SourceField::TimeNanos => Value::Int(event.source_us.saturating_mul(1000)),
            SourceField::Snapshot => text(event.snapshot.text()),
            SourceField::Ordinal => Value::Int(i64::from(event.ordinal)),
            SourceField::Namespace => Value::text(event.namespace),
            SourceField::Table => text(event.table),
            SourceField::Slot(slot) => match event.slots.get(*slot) {
                Some(MetaValue::Int(n)) => Value::Int(*n),
                Some(MetaValue::Text(value)) => Value::text(*value),
                Some(MetaValue::Null) | None => Value::Null,
            },
        };
        Value::Struct(self.fields.iter().map(field).collect())
    }
}

/// Key and value of a heartbeat: `{serverName}` and `{ts_ms}`, schemas included.
pub fn heartbeat(prefix: &str, now_ms: i64) -> [(Arc<Schema>, Value); 2] {
    let key = required(Type::Struct)
        .named("io.debezium.connector.common.ServerNameKey", Some(1))
        .field("serverName", required(Type::String));
    let value = required(Type::Struct)
        .named("io.debezium.connector.common.Heartbeat", Some(1))
        .field("ts_ms", required(Type::Int64));
    [(key.into(), Value::Struct(vec![Value::text(prefix)])), (value.into(), Value::Struct(vec![Value::Int(now_ms)]))]
}

/// A mark at an end of a transaction.
#[derive(Debug, Clone, Copy)]
pub enum TransactionMark<'a> {
    /// Its first event follows.
    Begin,
    /// It is complete.
    End {
        /// Number of captured events.
        events: i64,
        /// Tables with their numbers of events.
        collections: &'a [(&'a str, i64)],
    },
}

/// Key and value of a transaction record: the source's id of the transaction and its commit time in milliseconds.
pub fn transaction_mark(id: &str, mark: TransactionMark<'_>, source_ms: i64) -> [(Arc<Schema>, Value); 2] {
    let key = required(Type::Struct)
        .named("io.debezium.connector.common.TransactionMetadataKey", Some(1))
        .field("id", required(Type::String));
    let collection = optional(Type::Struct)
        .named("event.collection", Some(1))
        .field("data_collection", required(Type::String))
        .field("event_count", required(Type::Int64));
    let value = required(Type::Struct)
        .named("io.debezium.connector.common.TransactionMetadataValue", Some(1))
        .field("status", required(Type::String))
        .field("id", required(Type::String))
        .field("event_count", optional(Type::Int64))
        .field("data_collections", Schema::array(collection).optional(true))
        .field("ts_ms", required(Type::Int64));
    let (status, events, collections) = match mark {
        TransactionMark::Begin => ("BEGIN", Value::Null, Value::Null),
        TransactionMark::End { events, collections } => {
            let count = |(name, events): &(&str, i64)| Value::Struct(vec![Value::text(*name), Value::Int(*events)]);
            ("END", Value::Int(events), Value::Array(collections.iter().map(count).collect()))
        }
    };
    let fields = vec![Value::text(status), Value::text(id), events, collections, Value::Int(source_ms)];
    [(key.into(), Value::Struct(vec![Value::text(id)])), (value.into(), Value::Struct(fields))]
}
