//! Structure in a snapshot: which tables there are, and the statements that rebuild them, as schema changes and in the
//! history.

use engine::{error::TaskError, sender::BatchSender};
use model::{SnapshotMarker, TableId};
use mysql_ddl::{ChangeKind, DdlChange, Effect, Lexing, TableChange};

use super::{Snapshot, Structure};
use crate::{
    catalog::{self, Database, quote},
    client::Client,
    emitter::{ChangePlace, table_id},
    position::MySqlPosition,
    streaming::now_ns,
};

impl Snapshot<'_> {
    pub(super) async fn databases(&self, client: &mut Client) -> Result<Vec<Database>, TaskError> {
        let mut databases = catalog::databases(client).await?;
        databases.retain(|database| {
            let name = &database.name;
            let history = &self.config.history;
            let limited = history.captured_tables_only || history.captured_databases_only;
            !self.config.tables.is_builtin(name) && (!limited || self.config.tables.captures_namespace(name))
        });
        Ok(databases)
    }

    /// Whether a table goes into the model and the history.
    pub(super) fn is_modelled(&self, id: &TableId) -> bool {
        !self.config.history.captured_tables_only || self.config.tables.captures(id)
    }

    /// The captured tables in the order their rows are read.
    pub(super) async fn captured(
        &self,
        client: &mut Client,
        databases: &[Database],
    ) -> Result<Vec<TableId>, TaskError> {
        let mut captured = Vec::new();
        for database in databases {
            if !self.config.tables.captures_namespace(&database.name) {
                continue;
            }
            let tables = catalog::tables(client, &database.name).await?;
            let ids = tables.iter().map(|table| TableId::new(database.name.as_str(), table.as_str()));
            captured.extend(ids.filter(|id| self.config.tables.captures(id)));
        }
        self.config.tables.sort(&mut captured);
        if let Ok(mut shown) = self.metrics.captured.lock() {
            *shown = captured.iter().map(TableId::to_string).collect();
        }
        Ok(captured)
    }

    /// The statements that rebuild the structure, as schema changes and in the history.
    pub(super) async fn structure_records(
        &mut self,
        structure: &Structure,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let (charset, collation) = (&self.facts.character_set, &self.facts.collation);
        let server = format!("SET character_set_server={charset}, collation_server={collation}");
        let mut changes = Vec::new();
        self.change(&server, None, &mut changes)?;
        for (id, _) in &structure.statements {
            let ddl = format!("DROP TABLE IF EXISTS {}.{}", quote(id.namespace()), quote(id.name()));
            let name = mysql_ddl::TableId::new(id.namespace(), id.name());
            changes.push(DdlChange {
                database: id.namespace().to_owned(),
                ddl,
                tables: [name.clone()].into(),
                changes: vec![TableChange { kind: ChangeKind::Drop, id: name, previous_id: None, table: None }],
            });
        }
        for database in &structure.databases {
            let name = quote(&database.name);
            let tables: Vec<_> =
                structure.statements.iter().filter(|(id, _)| id.namespace() == database.name).collect();
            if tables.is_empty() {
                continue;
            }
            self.change(&format!("DROP DATABASE IF EXISTS {name}"), Some(&database.name), &mut changes)?;
            let create = format!("CREATE DATABASE {name} CHARSET {} COLLATE {}", database.charset, database.collation);
            self.change(&create, Some(&database.name), &mut changes)?;
            changes.push(DdlChange {
                database: database.name.clone(),
                ddl: format!("USE {name}"),
                changes: Vec::new(),
                tables: [].into(),
            });
            for (_, statement) in tables {
                self.change(statement, Some(&database.name), &mut changes)?;
            }
        }
        let (file, pos) = (structure.position.file.to_string(), structure.position.pos);
        for (index, change) in changes.iter().enumerate() {
            out.ready().await?;
            if self.config.events.schema_changes && self.is_published(change) {
                let now_ns = now_ns();
                let place = ChangePlace {
                    // Without rows the last statement is the last record of the snapshot.
                    snapshot: match self.data || index + 1 < changes.len() {
                        true => SnapshotMarker::True,
                        false => SnapshotMarker::Last,
                    },
                    source_us: now_ns / 1000,
                    now_ns,
                    server_id: 0,
                    gtid: None,
                    file: &file,
                    pos,
                    row: 0,
                };
                self.emitter.schema_change(change, self.config.events.comments, &place, out);
                if out.is_full() {
                    out.dispatch(structure.position.clone()).await?;
                }
            }
        }
        self.schema.record_all(&changes, &structure.position, now_ns() / 1_000_000).await
    }

    fn is_published(&self, change: &DdlChange) -> bool {
        change.changes.is_empty()
            || !self.config.history.captured_tables_only
            || change.changes.iter().any(|change| self.config.tables.captures(&table_id(&change.id)))
    }

    fn change(&mut self, ddl: &str, database: Option<&str>, changes: &mut Vec<DdlChange>) -> Result<(), TaskError> {
        let unreadable = |reason: &str| {
            let text: String = ddl.chars().take(300).collect();
            TaskError::definite(format!("a definition given by the server could not be understood: {reason}: {text}"))
        };
        let effects = self.schema.apply(ddl, database, Lexing::default()).map_err(|error| unreadable(&error.reason))?;
        for effect in effects {
            match effect {
                Effect::Applied(applied) => changes.extend(applied.into_iter().map(|mut change| {
                    change.ddl = ddl.to_owned();
                    change
                })),
                Effect::Unsure { reason, tables, .. } => {
                    // A table that nobody captures may stay unknown.
                    if tables.iter().any(|id| self.config.tables.captures(&table_id(id))) {
                        return Err(unreadable(&reason));
                    }
                    tracing::warn!("the definition of a table that is not captured was not understood: {reason}");
                }
                _ => {}
            }
        }
        Ok(())
    }
}
