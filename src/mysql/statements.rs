//! Statements in the log: schema changes, truncates, and row changes logged as text.

use std::sync::Arc;

use engine::{
    error::{Failure, TaskError},
    sender::BatchSender,
};
use model::SnapshotMarker;
use mysql_ddl::{ChangeKind, DdlChange, Effect, Lexing, TableChange};
use mysql_protocol::event::QueryEvent;

use crate::{
    config::MySqlConfig,
    emitter::{ChangePlace, Emitter, table_id},
    position::MySqlPosition,
    progress::Progress,
    row_statements::changed_tables,
    schema::SchemaTracker,
    streaming::by_mode,
};

/// `sql_mode` bits of a query event's status (`sql/query_options.h`).
const MODE_ANSI_QUOTES: u64 = 4;
const MODE_NO_BACKSLASH_ESCAPES: u64 = 0x10_0000;

/// What a statement came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handled {
    /// The model has changed: what was resolved before no longer holds.
    pub(crate) schema_changed: bool,
    /// The statement meant something here.
    pub(crate) is_statement: bool,
}

/// Handles one statement of the log.
pub(crate) struct Statements<'a> {
    pub(crate) config: &'a MySqlConfig,
    pub(crate) schema: &'a mut SchemaTracker,
    pub(crate) emitter: &'a mut Emitter,
    pub(crate) progress: &'a Progress,
    pub(crate) server_id: u32,
    pub(crate) source_us: i64,
    pub(crate) now_ns: i64,
}

impl Statements<'_> {
    /// `word` is the statement's first word in upper case.
    pub(crate) async fn handle(
        &mut self,
        word: &str,
        query: &QueryEvent<'_>,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<Handled, TaskError> {
        let nothing = Handled { schema_changed: false, is_statement: false };
        let sql = String::from_utf8_lossy(query.sql);
        let database = String::from_utf8_lossy(query.schema);
        let lexing = lexing(query);
        if word == "ROLLBACK" {
            if self.progress.has_transaction() {
                tracing::warn!("a transaction at {} was rolled back after its rows were logged", self.place_text());
            }
            return Ok(nothing);
        }
        if matches!(word, "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD")
            && !self.config.history.ddl_filter.drops(&sql)
        {
            self.row_change_as_text(&sql, &database, lexing)?;
            return Ok(nothing);
        }
        if self.config.history.ddl_filter.drops(&sql) && word != "TRUNCATE" {
            return Ok(nothing);
        }
        let effects = match self.schema.apply(&sql, Some(&database), lexing) {
            Ok(effects) => effects,
            Err(error) => {
                let tables = error.tables.iter().map(|name| {
                    mysql_ddl::TableId::new(name.database.as_deref().unwrap_or(&database), name.table.as_str())
                });
                let tables: Vec<_> = tables.collect();
                let text = sql.trim().to_owned();
                self.not_understood(&text, &database, &error.reason, tables, out).await?;
                return Ok(Handled { schema_changed: true, is_statement: true });
            }
        };
        let mut handled = nothing;
        for effect in effects {
            match effect {
                Effect::Applied(changes) => {
                    handled = Handled { schema_changed: true, is_statement: true };
                    for change in &changes {
                        self.emit(change, out).await?;
                    }
                }
                Effect::Truncated(id) => {
                    handled.is_statement = true;
                    self.truncate(&table_id(&id), out)?;
                }
                Effect::Unsure { range, reason, tables } => {
                    handled = Handled { schema_changed: true, is_statement: true };
                    let text = sql.get(range).unwrap_or(&sql).trim().to_owned();
                    self.not_understood(&text, &database, &reason, tables, out).await?;
                }
            }
        }
        Ok(handled)
    }

    /// The schema-change record, then the history, before any row that uses the new schema can be produced.
    async fn emit(&mut self, change: &DdlChange, out: &mut BatchSender<MySqlPosition>) -> Result<(), TaskError> {
        if self.config.events.schema_changes && self.is_published(change) {
            let place = self.place();
            self.emitter.schema_change(change, self.config.events.comments, &place, out);
        }
        let position = self.progress.statement_position();
        self.schema.record(change, &position, self.now_ns / 1_000_000).await
    }

    /// Which statements the schema-change topic gets: by the same rules as the history.
    fn is_published(&self, change: &DdlChange) -> bool {
        let filter = &self.config.tables;
        if change.database.is_empty() {
            return true;
        }
        if filter.is_builtin(&change.database) {
            return false;
        }
        if self.config.history.captured_tables_only {
            // Of a statement about several tables, the part of a captured one.
            let mut changed = change.changes.iter().map(|change| &change.id);
            let captures = |id: &mysql_ddl::TableId| filter.captures(&table_id(id));
            return changed.any(captures) || (change.changes.is_empty() && change.tables.iter().any(captures));
        }
        !self.config.history.captured_databases_only || filter.captures_namespace(&change.database)
    }

    /// A statement whose effect on columns is not certain. Captured tables are read from the server again, to be
    /// proven by their next rows; what concerns none is recorded as text.
    async fn not_understood(
        &mut self,
        text: &str,
        database: &str,
        reason: &str,
        tables: Vec<mysql_ddl::TableId>,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let captured: Vec<_> = tables.iter().filter(|id| self.config.tables.captures(&table_id(id))).cloned().collect();
        if captured.is_empty() && tables.is_empty() && mentions_table(text) && !self.config.history.skip_unparseable {
            // It may be about any table: nothing that is published may rest on a guess.
            tracing::warn!(
                "DDL statement couldn't be parsed at {}: {reason}. It is recorded as text; rows that do not fit the schema \
                 any more will stop the connector",
                self.place_text()
            );
        } else if captured.is_empty() {
            tracing::warn!(
                "Ignoring unparseable DDL statement at {} that touches no captured table: {reason}",
                self.place_text()
            );
        }
        let mut changes = Vec::new();
        for id in &captured {
            tracing::warn!(
                "a statement about table {id} at {} was not understood ({reason}); reading the table again",
                self.place_text()
            );
            let change = match self.schema.reread(&table_id(id)).await? {
                Some(change) => change,
                None => TableChange { kind: ChangeKind::Drop, id: id.clone(), previous_id: None, table: None },
            };
            changes.push(change);
        }
        let of_one = |change: TableChange| DdlChange {
            database: change.id.database.clone(),
            ddl: text.to_owned(),
            tables: [change.id.clone()].into(),
            changes: vec![change],
        };
        let mut records: Vec<DdlChange> = changes.into_iter().map(of_one).collect();
        if records.is_empty() {
            let database = tables.first().map_or(database, |id| &id.database).to_owned();
            records.push(DdlChange { database, ddl: text.to_owned(), changes: Vec::new(), tables: tables.into() });
        }
        for change in &records {
            self.emit(change, out).await?;
        }
        Ok(())
    }

    fn truncate(&mut self, id: &model::TableId, out: &mut BatchSender<MySqlPosition>) -> Result<(), TaskError> {
        if !self.config.tables.captures(id) || self.config.events.skipped.truncate {
            return Ok(());
        }
        if let Some(table) = self.schema.described(id) {
            let table: Arc<record::CapturedTable> = table?;
            let place = self.place();
            self.emitter.truncate(&table, &place, out);
        }
        Ok(())
    }

    /// Rows changed by a statement that was logged as text (`binlog_format` STATEMENT or MIXED): of a captured table
    /// they would be lost.
    fn row_change_as_text(&self, sql: &str, database: &str, lexing: Lexing) -> Result<(), TaskError> {
        let targets = changed_tables(sql, database, lexing);
        let harmless = !targets.is_empty() && targets.iter().all(|id| !self.config.tables.captures(&table_id(id)));
        if harmless {
            tracing::warn!(
                "a row change was logged as a statement at {}; no captured table is concerned",
                self.place_text()
            );
            return Ok(());
        }
        let error = TaskError::Definite(
            Failure::new(format!(
                "a change of rows was logged as a statement at {}: its rows are not in the log. The sessions that write \
                 captured tables need binlog_format=ROW; set it globally, reconnect the writers, then take a new snapshot",
                self.place_text()
            ))
            .caused_by("binlog_format of that session is STATEMENT or MIXED"),
        );
        by_mode(self.config.streaming.processing_failure, error)
    }

    fn place(&self) -> ChangePlace<'_> {
        ChangePlace {
            snapshot: SnapshotMarker::Streamed,
            source_us: self.source_us,
            now_ns: self.now_ns,
            server_id: self.server_id,
            gtid: self.progress.gtid().map(|gtid| &**gtid),
            file: self.progress.file().as_str(),
            pos: self.progress.event_start(),
            row: self.progress.last_row(),
        }
    }

    fn place_text(&self) -> String {
        format!("{}:{}", self.progress.file(), self.progress.event_start())
    }
}

fn mentions_table(text: &str) -> bool {
    text.split_ascii_whitespace().take(4).any(|word| word.eq_ignore_ascii_case("TABLE"))
}

fn lexing(query: &QueryEvent<'_>) -> Lexing {
    let mode = query.status().ok().and_then(|status| status.sql_mode).unwrap_or(0);
    Lexing { ansi_quotes: mode & MODE_ANSI_QUOTES != 0, no_backslash_escapes: mode & MODE_NO_BACKSLASH_ESCAPES != 0 }
}
