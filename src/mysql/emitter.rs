//! Records that are not rows: heartbeats, transaction marks, schema changes, truncates.

use std::{sync::Arc, time::Duration};

use engine::{
    error::{Failure, TaskError},
    sender::BatchSender,
};
use model::{MetaValue, RowArena, RowHead, SnapshotMarker, TableId};
use mysql_ddl::{ChangeKind, DdlChange, Table};
use record::{
    CapturedTable, DynamicRecord, EncodeContext, RecordSettings, SourceShape,
    envelope::{self, SourceEvent, TransactionMark},
    schema_change::{self, ColumnDescription, SchemaChange, SchemaChangeSchemas, TableDescription},
};

use crate::{
    client::{Client, Refused},
    hash_order,
    position::{MySqlPosition, TransactionContext},
    server::Server,
};

/// SQL states of a `heartbeat.action.query` that will never do anything: wrong or not allowed, no database chosen.
const HOPELESS: &[&str] = &["42000", "3D000"];

/// Names and schemas of the rare records of one connector.
pub(crate) struct Emitter {
    prefix: Arc<str>,
    schema_change_topic: Arc<str>,
    transaction_topic: Arc<str>,
    heartbeat_topic: Arc<str>,
    heartbeat_interval: Duration,
    heartbeat_query: Option<String>,
    heartbeat_client: Option<Client>,
    last_heartbeat_ns: i64,
    server: Server,
    source: Arc<SourceShape>,
    schemas: SchemaChangeSchemas,
    settings: Arc<RecordSettings>,
    context: EncodeContext,
}

/// Names the emitter is made with.
pub(crate) struct EmitterSettings {
    pub(crate) prefix: Arc<str>,
    pub(crate) schema_change_topic: Arc<str>,
    pub(crate) transaction_topic: Arc<str>,
    pub(crate) heartbeat_topic: Arc<str>,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) heartbeat_query: Option<String>,
}

/// Where a schema change stands in the log, for its source block.
#[derive(Debug, Clone)]
pub(crate) struct ChangePlace<'a> {
    pub(crate) snapshot: SnapshotMarker,
    pub(crate) source_us: i64,
    pub(crate) now_ns: i64,
    pub(crate) server_id: u32,
    pub(crate) gtid: Option<&'a str>,
    pub(crate) file: &'a str,
    pub(crate) pos: u64,
    pub(crate) row: u32,
}

impl ChangePlace<'_> {
    fn slots(&self) -> [MetaValue<'_>; 6] {
        [
            MetaValue::Int(i64::from(self.server_id)),
            self.gtid.map_or(MetaValue::Null, MetaValue::Text),
            MetaValue::Text(self.file),
            MetaValue::Int(self.pos as i64),
            MetaValue::Null,
            MetaValue::Null,
        ]
    }
}

impl Emitter {
    pub(crate) fn new(
        names: EmitterSettings,
        server: Server,
        source: Arc<SourceShape>,
        settings: Arc<RecordSettings>,
    ) -> Self {
        Self {
            prefix: names.prefix,
            schema_change_topic: names.schema_change_topic,
            transaction_topic: names.transaction_topic,
            heartbeat_topic: names.heartbeat_topic,
            heartbeat_interval: names.heartbeat_interval,
            heartbeat_query: names.heartbeat_query,
            heartbeat_client: None,
            last_heartbeat_ns: 0,
            server,
            schemas: SchemaChangeSchemas::new("mysql", &source.schema),
            source,
            settings,
            context: EncodeContext::new(),
        }
    }

    /// Whether an update changes its record key.
    pub(crate) fn key_changes(
        &mut self,
        table: &CapturedTable,
        rows: &RowArena,
        head: &RowHead,
    ) -> Result<bool, TaskError> {
        let failed = |error: &dyn std::fmt::Display| {
            TaskError::definite(format!("the key of table {} cannot be read: {error}", table.version.id))
        };
        let plan = table.plan(&self.settings).map_err(|error| failed(&error))?;
        plan.key_changes(&table.version, rows, head, &mut self.context).map_err(|error| failed(&error))
    }

    /// Whether a heartbeat is due.
    pub(crate) fn heartbeat_due(&self, now_ns: i64) -> bool {
        !self.heartbeat_interval.is_zero()
            && now_ns.saturating_sub(self.last_heartbeat_ns) >= self.heartbeat_interval.as_nanos() as i64
    }

    /// When the next heartbeat is due, from `now_ns` on; `None` when they are off.
    pub(crate) fn heartbeat_in(&self, now_ns: i64) -> Option<Duration> {
        if self.heartbeat_interval.is_zero() {
            return None;
        }
        let due = self.last_heartbeat_ns.saturating_add(self.heartbeat_interval.as_nanos() as i64);
        Some(Duration::from_nanos(due.saturating_sub(now_ns).max(0) as u64))
    }

    /// Emits a heartbeat, then runs `heartbeat.action.query`.
    ///
    /// # Errors
    /// The statement is wrong or not allowed: whoever set it wants to know that it does nothing.
    pub(crate) async fn heartbeat<P>(&mut self, now_ns: i64, out: &mut BatchSender<P>) -> Result<(), TaskError> {
        self.last_heartbeat_ns = now_ns;
        let [key, value] = envelope::heartbeat(&self.prefix, now_ns / 1_000_000);
        out.push_dynamic(DynamicRecord {
            topic: self.heartbeat_topic.clone(),
            partition: Some(0),
            key: Some(key),
            value: Some(value),
            context_headers: false,
        });
        self.heartbeat_action().await
    }

    async fn heartbeat_action(&mut self) -> Result<(), TaskError> {
        let Some(query) = self.heartbeat_query.clone() else { return Ok(()) };
        let client = match self.heartbeat_client.take() {
            Some(client) => Ok(client),
            None => Client::connect(&self.server).await,
        };
        let mut client = match client {
            Ok(client) => client,
            // Reading the log goes on, or notices by itself that the server is away.
            Err(error) => {
                tracing::warn!("Could not execute heartbeat action: {error}");
                return Ok(());
            }
        };
        match client.run_for_user("heartbeat.action.query", &query).await {
            Ok(()) => self.heartbeat_client = Some(client),
            Err(Refused { state: Some(state), error }) => {
                if HOPELESS.contains(&state.as_str()) {
                    let failure = Failure::new(format!(
                        "Could not execute heartbeat action query (Error: {state}). Correct heartbeat.action.query, or grant \
                         the connector's user what it needs"
                    ));
                    return Err(TaskError::Definite(failure.caused_by(error)));
                }
                tracing::warn!("Could not execute heartbeat action (Error: {state}): {error}");
                self.heartbeat_client = Some(client);
            }
            // Tried anew with another connection.
            Err(Refused { state: None, error }) => tracing::warn!("Could not execute heartbeat action: {error}"),
        }
        Ok(())
    }

    /// A transaction's BEGIN record.
    pub(crate) fn transaction_begin<P>(&self, id: &str, source_ms: i64, out: &mut BatchSender<P>) {
        self.transaction(envelope::transaction_mark(id, TransactionMark::Begin, source_ms), out);
    }

    /// A transaction's END record.
    pub(crate) fn transaction_end<P>(&self, context: &TransactionContext, source_ms: i64, out: &mut BatchSender<P>) {
        let mut collections: Vec<_> = context.collections().collect();
        hash_order::sort(&mut collections, |(name, _)| hash_order::hash(&[name]));
        let mark = TransactionMark::End { events: context.total(), collections: &collections };
        self.transaction(envelope::transaction_mark(context.id(), mark, source_ms), out);
    }

    fn transaction<P>(&self, [key, value]: [(Arc<record::Schema>, record::Value); 2], out: &mut BatchSender<P>) {
        out.push_dynamic(DynamicRecord {
            topic: self.transaction_topic.clone(),
            partition: None,
            key: Some(key),
            value: Some(value),
            context_headers: false,
        });
    }

    /// A schema change for the schema-change topic.
    pub(crate) fn schema_change<P>(
        &self,
        change: &DdlChange,
        include_comments: bool,
        place: &ChangePlace<'_>,
        out: &mut BatchSender<P>,
    ) {
        let slots = place.slots();
        let tables = table_names(change);
        let source = self.source.value(&SourceEvent {
            source_us: place.source_us,
            snapshot: place.snapshot,
            ordinal: place.row,
            namespace: &change.database,
            table: tables.as_deref(),
            slots: &slots,
        });
        let ids: Vec<TableId> = change.changes.iter().map(|change| table_id(&change.id)).collect();
        let tables: Vec<schema_change::TableChange<'_>> = change
            .changes
            .iter()
            .zip(&ids)
            .map(|(change, id)| schema_change::TableChange {
                kind: match change.kind {
                    ChangeKind::Create => schema_change::ChangeKind::Create,
                    ChangeKind::Alter => schema_change::ChangeKind::Alter,
                    ChangeKind::Drop => schema_change::ChangeKind::Drop,
                },
                id,
                table: change.table.as_deref().map(|table| describe(table, include_comments)),
            })
            .collect();
        let ts_ms = place.now_ns / 1_000_000;
        let [key, value] = self.schemas.record(&SchemaChange {
            source,
            ts_ms,
            database: &change.database,
            ddl: &change.ddl,
            tables: &tables,
        });
        out.push_dynamic(DynamicRecord {
            topic: self.schema_change_topic.clone(),
            partition: Some(0),
            key: Some(key),
            value: Some(value),
            context_headers: true,
        });
    }

    /// A truncate event of a captured table.
    pub(crate) fn truncate<P>(&self, table: &CapturedTable, place: &ChangePlace<'_>, out: &mut BatchSender<P>) {
        let slots = place.slots();
        let id = &table.version.id;
        let source = self.source.value(&SourceEvent {
            source_us: place.source_us,
            snapshot: place.snapshot,
            ordinal: place.row,
            namespace: id.namespace(),
            table: Some(id.name()),
            slots: &slots,
        });
        out.push_dynamic(DynamicRecord {
            topic: table.shape.topic.clone(),
            partition: None,
            key: None,
            value: Some((table.shape.envelope.clone(), envelope::truncate_value(source, place.now_ns))),
            context_headers: true,
        });
    }
}

/// `source.table` of a schema change: null for statements about databases, empty for those that change no table.
fn table_names(change: &DdlChange) -> Option<String> {
    let word = change.ddl.split_ascii_whitespace().next().unwrap_or_default();
    let second = change.ddl.split_ascii_whitespace().nth(1).unwrap_or_default();
    let about_database = ["DATABASE", "SCHEMA"].iter().any(|name| second.eq_ignore_ascii_case(name))
        && ["CREATE", "DROP"].iter().any(|name| word.eq_ignore_ascii_case(name));
    if about_database || ["SET", "USE"].iter().any(|name| word.eq_ignore_ascii_case(name)) {
        return None;
    }
    let mut tables: Vec<&mysql_ddl::TableId> = change.tables.iter().collect();
    hash_order::sort(&mut tables, |id| hash_order::hash(&[&id.database, ".", &id.table]));
    let names: Vec<&str> = tables.iter().map(|id| id.table.as_str()).collect();
    Some(names.join(","))
}

/// A table's name in the words of the model.
pub(crate) fn table_id(id: &mysql_ddl::TableId) -> TableId {
    TableId::new(id.database.as_str(), id.table.as_str())
}

fn describe(table: &Table, include_comments: bool) -> TableDescription<'_> {
    let comment = |comment: &'_ Option<String>| comment.is_some() && include_comments;
    let columns = table.columns.iter().zip(1..).map(|(column, position)| ColumnDescription {
        name: &column.name,
        jdbc_type: column.jdbc_type,
        native_type: None,
        type_name: &column.type_name,
        type_expression: Some(&column.type_name),
        charset: column.charset.as_deref(),
        length: column.length,
        scale: column.scale,
        position,
        optional: Some(column.optional),
        auto_incremented: Some(column.auto_incremented),
        generated: Some(column.generated),
        comment: if comment(&column.comment) { column.comment.as_deref() } else { None },
        default_expression: match &column.default {
            mysql_ddl::DefaultText::Text(text) => Some(text),
            _ => None,
        },
        enum_values: (!column.enum_options.is_empty())
            .then(|| column.enum_options.iter().map(String::as_str).collect()),
    });
    TableDescription {
        charset: table.default_charset.as_deref(),
        primary_key: table.primary_key.iter().map(String::as_str).collect(),
        columns: columns.collect(),
        comment: if comment(&table.comment) { table.comment.as_deref() } else { None },
    }
}

/// The position a change is recorded at, for messages.
pub(crate) fn at(position: &MySqlPosition) -> String {
    format!("{}:{}", position.file, position.pos)
}
