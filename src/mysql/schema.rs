//! The schemas of tables over time: the model that statements change, its recorded history, and from both what the
//! rows of a table look like at this point of the log.

use std::{collections::HashSet, sync::Arc};

use engine::{
    error::{Failure, TaskError},
    port::SchemaHistory,
};
use model::{OffsetMap, Position, TableId};
use mysql_ddl::{
    ChangeKind, Context, DdlChange, Effect, Lexing, ParseError, Table, TableChange, Tables, history::Record,
};
use mysql_protocol::{column::ColumnType, packet::result::ColumnDefinition};
use record::CapturedTable;

use crate::{
    catalog,
    client::Client,
    config::{FailureMode, MySqlConfig},
    emitter::{at, table_id},
    fit::{Misfit, fits},
    position::MySqlPosition,
    server::Server,
    shape::ShapeBuilder,
};

/// Documents of the history on their way at the same time.
const HISTORY_AT_ONCE: usize = 500;

/// The model of all tables and its history.
pub(crate) struct SchemaTracker {
    config: Arc<MySqlConfig>,
    server: Server,
    partition: OffsetMap,
    history: Arc<dyn SchemaHistory>,
    tables: Tables,
    shapes: ShapeBuilder,
    /// Tables whose definition was read from the server because a statement was not understood: the next rows decide
    /// whether it is the right one.
    unproven: HashSet<TableId>,
}

impl SchemaTracker {
    pub(crate) fn new(
        config: Arc<MySqlConfig>,
        server: Server,
        partition: OffsetMap,
        history: Arc<dyn SchemaHistory>,
        shapes: ShapeBuilder,
        lower_case_names: bool,
    ) -> Self {
        let tables = Tables::new(lower_case_names);
        Self { config, server, partition, history, tables, shapes, unproven: HashSet::new() }
    }

    /// Applies a statement to the model.
    pub(crate) fn apply(
        &mut self,
        sql: &str,
        database: Option<&str>,
        lexing: Lexing,
    ) -> Result<Vec<Effect>, ParseError> {
        self.tables.apply(sql, &Context { database, lexing })
    }

    /// The model of a table.
    pub(crate) fn table(&self, id: &TableId) -> Option<&Arc<Table>> {
        self.tables.get(&mysql_ddl::TableId::new(id.namespace(), id.name()))
    }

    /// Creates the history's storage when it is not there.
    pub(crate) async fn ensure_history(&self) -> Result<(), TaskError> {
        self.history.ensure().await
    }

    /// Rebuilds the model from the history, up to a stored position.
    ///
    /// # Errors
    /// There is no history, or a document of it cannot be read.
    pub(crate) async fn recover(&mut self, stored: &MySqlPosition) -> Result<(), TaskError> {
        let missing = || {
            TaskError::definite(
                "The db history topic is missing. You may attempt to recover it by reconfiguring the connector to recovery.",
            )
        };
        let documents = self.history.read().await?.filter(|documents| !documents.is_empty()).ok_or_else(missing)?;
        let mut applied = 0usize;
        for document in &documents {
            let record = Record::parse(document).map_err(|error| {
                TaskError::Definite(Failure::from_error("a document of the schema history cannot be read", &error))
            })?;
            if record.source != self.partition {
                continue;
            }
            let position = MySqlPosition::from_offset(&record.position).map_err(|error| {
                TaskError::Definite(Failure::from_error("a position in the schema history cannot be read", &error))
            })?;
            if position.is_at_or_before(stored) {
                self.restore(&record);
                applied += 1;
            }
        }
        tracing::info!(
            "recovered the schema history: {applied} of {} documents, {} tables",
            documents.len(),
            self.tables.len()
        );
        Ok(())
    }

    /// What cannot be understood was reported when it was recorded, and the rows of its tables are checked anyway.
    fn restore(&mut self, record: &Record) {
        let reason = match self.tables.apply_record(record) {
            Ok(effects) => effects.into_iter().find_map(|effect| match effect {
                Effect::Unsure { reason, .. } => Some(reason),
                _ => None,
            }),
            Err(error) => Some(error.reason),
        };
        if let Some(reason) = reason {
            tracing::debug!("a statement of the schema history was passed over: {reason}");
        }
    }

    /// Records a change in the history, durably, if the configuration wants it there.
    pub(crate) async fn record(
        &mut self,
        change: &DdlChange,
        position: &MySqlPosition,
        now_ms: i64,
    ) -> Result<(), TaskError> {
        if !self.is_recorded(change) {
            return Ok(());
        }
        self.history.append(&self.document(change, position, now_ms)).await
    }

    /// Records many changes: all are on their way before the first is awaited, in order.
    pub(crate) async fn record_all(
        &mut self,
        changes: &[DdlChange],
        position: &MySqlPosition,
        now_ms: i64,
    ) -> Result<(), TaskError> {
        let recorded: Vec<&DdlChange> = changes.iter().filter(|change| self.is_recorded(change)).collect();
        for part in recorded.chunks(HISTORY_AT_ONCE) {
            let documents: Vec<String> = part.iter().map(|change| self.document(change, position, now_ms)).collect();
            futures_util::future::try_join_all(documents.iter().map(|document| self.history.append(document))).await?;
        }
        Ok(())
    }

    fn document(&self, change: &DdlChange, position: &MySqlPosition, now_ms: i64) -> String {
        let record = Record {
            source: self.partition.clone(),
            position: position.to_offset(),
            ts_ms: now_ms,
            database: Some(change.database.clone()),
            schema: None,
            ddl: Some(change.ddl.clone()),
            changes: change.changes.iter().map(|change| self.without_comments(change)).collect(),
        };
        record.to_pretty()
    }

    /// Comments are in the history only when they are in schemas.
    fn without_comments(&self, change: &TableChange) -> TableChange {
        let mut change = change.clone();
        if let (false, Some(table)) = (self.config.events.comments, &mut change.table) {
            let table = Arc::make_mut(table);
            table.comment = None;
            table.columns.iter_mut().for_each(|column| column.comment = None);
        }
        change
    }

    /// `store.only.captured.*`: which statements the history holds.
    fn is_recorded(&self, change: &DdlChange) -> bool {
        let filter = &self.config.tables;
        if filter.is_builtin(&change.database) {
            return false;
        }
        if self.config.history.captured_tables_only {
            let set = change.ddl.split_ascii_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("SET"));
            let captures = |id: &mysql_ddl::TableId| filter.captures(&table_id(id));
            // Of a statement about several tables, the part of a captured one.
            let mut changed = change.changes.iter().flat_map(|c| std::iter::once(&c.id).chain(&c.previous_id));
            return set || changed.any(captures) || (change.changes.is_empty() && change.tables.iter().any(captures));
        }
        if self.config.history.captured_databases_only {
            return change.database.is_empty() || filter.captures_namespace(&change.database);
        }
        true
    }

    /// Reads a table's definition from the server into the model. `None`: the table is gone.
    pub(crate) async fn reread(&mut self, id: &TableId) -> Result<Option<TableChange>, TaskError> {
        let mut client = Client::connect(&self.server).await?;
        let statement = catalog::create_table(&mut client, id.namespace(), id.name()).await?;
        client.close().await;
        let name = mysql_ddl::TableId::new(id.namespace(), id.name());
        let known = self.tables.remove(&name).is_some();
        let Some(statement) = statement else {
            self.unproven.remove(id);
            return Ok(None);
        };
        self.apply(&statement, Some(id.namespace()), Lexing::default()).map_err(|error| {
            TaskError::definite(format!(
                "the server's own definition of table {id} could not be understood: {} (at character {} of SHOW CREATE TABLE)",
                error.reason, error.offset
            ))
        })?;
        let table = self.tables.get(&name).cloned();
        self.unproven.insert(id.clone());
        let kind = if known { ChangeKind::Alter } else { ChangeKind::Create };
        Ok(table.map(|table| TableChange { kind, id: name, previous_id: None, table: Some(table) }))
    }

    /// What rows of a captured table look like, given the columns the log describes.
    ///
    /// # Errors
    /// The table is unknown (by `inconsistent.schema.handling.mode`), the model does not fit the rows, or a column's
    /// type is not supported.
    pub(crate) async fn resolve(
        &mut self,
        id: &TableId,
        wire: &[ColumnType],
        names: &[Option<&[u8]>],
        position: &MySqlPosition,
    ) -> Result<Option<Arc<CapturedTable>>, TaskError> {
        let Some(table) = self.table(id).cloned() else {
            let text = format!(
                "Encountered change event for table {id} whose schema isn't known to this connector, at {}. Its CREATE TABLE \
                 is older than the schema history, or was not recorded",
                at(position)
            );
            return match self.config.streaming.schema_failure {
                FailureMode::Fail => Err(TaskError::definite(text)),
                FailureMode::Warn => {
                    tracing::warn!("{text}; its rows are passed over");
                    Ok(None)
                }
                FailureMode::Skip | FailureMode::Ignore => Ok(None),
            };
        };
        if let Err(misfit) = fits(&table, wire, names) {
            let reason = match misfit {
                Misfit::Count { model, rows } => format!(
                    "Error processing row in {}, internal schema size {model}, but row size {rows} , restart connector with \
                     schema recovery mode.",
                    id.name()
                ),
                Misfit::Column(reason) => format!("the schema of table {id} does not fit its rows: {reason}"),
            };
            let origin = if self.unproven.contains(id) {
                " The definition was read from the server, because a statement about the table was not understood, and is \
                 newer than these rows."
            } else {
                ""
            };
            return Err(TaskError::definite(format!("{reason} (at {}).{origin}", at(position))));
        }
        if self.unproven.remove(id) {
            tracing::info!("the definition of table {id} read from the server fits its rows");
        }
        self.shapes.for_log(id, &table, wire).map(|table| Some(Arc::new(table)))
    }

    /// What the rows of a snapshot's SELECT look like.
    pub(crate) fn snapshot_table(
        &mut self,
        id: &TableId,
        columns: &[ColumnDefinition],
    ) -> Result<Arc<CapturedTable>, TaskError> {
        let table = self.table(id).cloned().ok_or_else(|| {
            TaskError::definite(format!("table {id} has rows to read but no definition was read from the server"))
        })?;
        self.shapes.for_snapshot(id, &table, columns).map(Arc::new)
    }

    /// A captured table's records without rows at hand, for truncates.
    pub(crate) fn described(&mut self, id: &TableId) -> Option<Result<Arc<CapturedTable>, TaskError>> {
        let table = self.table(id).cloned()?;
        Some(self.shapes.without_rows(id, &table).map(Arc::new))
    }
}
