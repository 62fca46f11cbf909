//! What a statement changes, and in which records Debezium tells of it.

use crate::edit;
use crate::model::{Table, TableId};
use crate::statement::{
    self, AlterClause, Assignment, Certainty, CharsetName, CreateTable, Key, KeyColumns, ParseError, Parsed, Rename,
    Statement, TableName,
};
use crate::tables::Tables;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The session a statement ran in, as the binlog's query event tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The current database; empty or `None` if there was none.
    pub database: Option<&'a str>,
    /// The `sql_mode` flags that matter to the tokenizer.
    pub lexing: crate::token::Lexing,
}

/// What happened to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Create,
    /// It has another definition or another name.
    Alter,
    /// It is gone.
    Drop,
}

/// A change of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableChange {
    /// What happened.
    pub kind: ChangeKind,
    /// The table, by its name after the change.
    pub id: TableId,
    /// Its name before, if RENAME TABLE gave it another.
    pub previous_id: Option<TableId>,
    /// Its definition after the change; `None` if it is gone.
    pub table: Option<Arc<Table>>,
}

/// One schema change as it is recorded: one record of the history topic and of the schema change topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DdlChange {
    /// `databaseName` of the record: the database of the table, else the current one; may be empty.
    pub database: String,
    /// `ddl` of the record: the statement's text, or the rewritten part of it that speaks of this one table.
    pub ddl: String,
    /// The table changes: none or one.
    pub changes: Vec<TableChange>,
    /// All tables of this database that the statement touches, for `source.table` (`t2,t3`).
    pub tables: Arc<[TableId]>,
}

/// What applying one statement came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The model follows the statement, or the statement touches no definition. The records to write, in order.
    Applied(Vec<DdlChange>),
    /// `TRUNCATE TABLE`: the rows are gone, the definition is as it was. No record.
    Truncated(TableId),
    /// Not understood, so the model stays as it was.
    Unsure {
        /// The bytes of the statement in the text.
        range: Range<usize>,
        /// Why, for a person.
        reason: String,
        /// The tables whose definition is now unknown.
        tables: Vec<TableId>,
    },
}

impl Tables {
    /// Applies a text of one or more statements.
    ///
    /// A statement that is not understood leaves the model as it was and comes back as [`Effect::Unsure`]; so does one
    /// that speaks of a table or column the model does not know.
    ///
    /// # Errors
    /// The text does not parse. Then nothing of it is applied.
    pub fn apply(&mut self, ddl: &str, context: &Context<'_>) -> Result<Vec<Effect>, ParseError> {
        let statements = statement::parse(ddl, context.lexing)?;
        let mut database = context.database.unwrap_or("").to_owned();
        let mut effects = Vec::with_capacity(statements.len());
        let alone = statements.len() == 1;
        for parsed in statements {
            let text = statement::recorded_text(ddl, parsed.range.clone(), context.lexing);
            if let Statement::Use(name) = &parsed.statement {
                database.clone_from(name);
            }
            effects.push(Step { tables: self, ddl, text: &text, database: &database, source: &parsed, alone }.run());
        }
        Ok(effects)
    }
}

/// One statement on its way into the model.
struct Step<'a> {
    tables: &'a mut Tables,
    ddl: &'a str,
    text: &'a str,
    database: &'a str,
    source: &'a Parsed,
    /// Whether this is the only statement of the text.
    alone: bool,
}

impl Step<'_> {
    fn run(&mut self) -> Effect {
        let statement = &self.source.statement;
        if let Certainty::Unsure { reason, tables } = &self.source.certainty {
            let tables = tables.iter().map(|name| self.id(name)).collect();
            return self.unsure(reason.clone(), tables);
        }
        match statement {
            Statement::CreateTable(definition) => self.create(definition),
            Statement::CreateTableLike { name, source, if_not_exists } => {
                self.create_like(name, source, *if_not_exists)
            }
            Statement::AlterTable { name, clauses } => self.alter(name, clauses),
            Statement::RenameTables(renames) => self.rename(renames),
            Statement::DropTables { names, if_exists, suffix } => self.drop(names, *if_exists, suffix.as_deref()),
            Statement::Truncate(name) => Effect::Truncated(self.id(name)),
            Statement::Database { name, charset, create, if_not_exists } => {
                let name = name.as_deref().unwrap_or(self.database).to_owned();
                if !(*if_not_exists && self.tables.has_database(&name)) {
                    self.set_database_charset(&name, charset.as_ref(), *create);
                }
                self.unchanged(&name)
            }
            Statement::DropDatabase(name) => {
                self.tables.remove_database(name);
                self.unchanged(name)
            }
            Statement::CreateIndex { table, unique } => self.create_index(table, unique.as_ref()),
            Statement::DropIndex { table } => {
                let id = self.id(table);
                self.unchanged(&id.database)
            }
            Statement::Set(assignments) => self.set(assignments),
            Statement::Use(_) => self.unchanged(self.database),
            Statement::Ignored(_) => self.untouched(self.database),
        }
    }

    fn id(&self, name: &TableName) -> TableId {
        TableId::new(name.database.as_deref().unwrap_or(self.database), name.table.as_str())
    }

    fn unsure(&self, reason: String, tables: Vec<TableId>) -> Effect {
        Effect::Unsure { range: self.source.range.clone(), reason, tables }
    }

    /// A record without table changes.
    fn unchanged(&self, database: &str) -> Effect {
        Effect::Applied(vec![DdlChange {
            database: database.to_owned(),
            ddl: self.text.to_owned(),
            changes: Vec::new(),
            tables: Arc::default(),
        }])
    }

    /// The record of a statement that is about no table: Debezium writes its text with all comments.
    fn untouched(&self, database: &str) -> Effect {
        Effect::Applied(vec![DdlChange {
            database: database.to_owned(),
            ddl: if self.alone { self.ddl.to_owned() } else { self.text.to_owned() },
            changes: Vec::new(),
            tables: Arc::default(),
        }])
    }

    fn changed(&self, kind: ChangeKind, table: Arc<Table>) -> Effect {
        let id = table.id.clone();
        Effect::Applied(vec![DdlChange {
            database: id.database.clone(),
            ddl: self.text.to_owned(),
            changes: vec![TableChange { kind, id: id.clone(), previous_id: None, table: Some(table) }],
            tables: Arc::from([id]),
        }])
    }

    fn create(&mut self, definition: &CreateTable) -> Effect {
        let id = self.id(&definition.name);
        if self.tables.get(&id).is_some() && definition.if_not_exists {
            return self.untouched(&id.database);
        }
        let inherited = self.tables.charset_for_new_table(&id.database);
        let mut table = Table::new(id.clone());
        edit::create(&mut table, definition, inherited);
        self.put(ChangeKind::Create, table)
    }

    fn put(&mut self, kind: ChangeKind, table: Table) -> Effect {
        let table = Arc::new(table);
        self.tables.put(Arc::clone(&table));
        self.changed(kind, table)
    }

    fn create_like(&mut self, name: &TableName, source: &TableName, if_not_exists: bool) -> Effect {
        let id = self.id(name);
        if self.tables.get(&id).is_some() && if_not_exists {
            return self.unchanged(&id.database);
        }
        let source = self.id(source);
        match self.tables.get(&source).cloned() {
            Some(table) => self.put(ChangeKind::Create, Table { id, comment: None, ..Table::clone(&table) }),
            None => self.unsure(format!("no definition of table {source} is known"), vec![id]),
        }
    }

    fn alter(&mut self, name: &TableName, clauses: &[AlterClause]) -> Effect {
        let id = self.id(name);
        let target = clauses.iter().rev().find_map(|clause| match clause {
            AlterClause::RenameTo(to) => Some(self.id(to)),
            _ => None,
        });
        let involved = || std::iter::once(id.clone()).chain(target.clone()).collect();
        let Some(table) = self.tables.get(&id) else {
            return self.unsure(format!("no definition of table {id} is known"), involved());
        };
        let mut alteration = edit::Alteration::new(Table::clone(table));
        let inherited = self.tables.charset_for_new_table(&id.database);
        let applied = clauses.iter().try_for_each(|clause| alteration.clause(clause, inherited));
        let mut table = match applied.and_then(|()| alteration.finish()) {
            Ok(table) => table,
            Err(misfit) => return self.unsure(format!("{misfit} (table {id})"), involved()),
        };
        if let Some(target) = target {
            self.tables.remove(&id);
            table.id = target;
        }
        self.put(ChangeKind::Alter, table)
    }

    fn create_index(&mut self, name: &TableName, unique: Option<&KeyColumns>) -> Effect {
        let id = self.id(name);
        if let Some(columns) = unique
            && let Some(table) = self.tables.get(&id)
        {
            let mut table = Table::clone(table);
            edit::add_key(&mut table, &Key { primary: false, columns: columns.clone() });
            self.tables.put(Arc::new(table));
        }
        self.unchanged(&id.database)
    }

    /// One record per table, in order. The swap of online schema tools, `t TO _t_del, _t_new TO t`, works because
    /// each pair sees what the one in front of it did.
    fn rename(&mut self, renames: &[Rename]) -> Effect {
        let mut changes = Vec::with_capacity(renames.len());
        let mut done: Vec<(TableId, Arc<Table>)> = Vec::with_capacity(renames.len());
        for rename in renames {
            let (from, to) = (self.id(&rename.from), self.id(&rename.to));
            let Some(before) = self.tables.remove(&from) else {
                for (to, before) in done.into_iter().rev() {
                    self.tables.remove(&to);
                    self.tables.put(before);
                }
                let involved = renames.iter().flat_map(|r| [self.id(&r.from), self.id(&r.to)]).collect();
                return self.unsure(format!("no definition of table {from} is known"), involved);
            };
            let table = Arc::new(Table { id: to.clone(), ..Table::clone(&before) });
            self.tables.put(Arc::clone(&table));
            done.push((to.clone(), before));
            let pair = self.ddl.get(rename.range.clone()).unwrap_or("");
            changes.push(DdlChange {
                database: to.database.clone(),
                ddl: format!("{}{pair}", self.leading_words(renames)),
                changes: vec![TableChange {
                    kind: ChangeKind::Alter,
                    id: to,
                    previous_id: Some(from),
                    table: Some(table),
                }],
                tables: Arc::default(),
            });
        }
        let mut changes = with_tables(changes);
        // The records show the tables as they are behind the whole statement; a name that was only passed through has
        // a record without a change.
        for change in &mut changes {
            change.changes.retain_mut(|change| {
                change.table = self.tables.get(&change.id).cloned();
                change.table.is_some()
            });
        }
        Effect::Applied(changes)
    }

    /// The words in front of the first pair: `rename table `.
    fn leading_words(&self, renames: &[Rename]) -> &str {
        let first = renames.first().map_or(0, |rename| rename.range.start);
        self.ddl.get(self.source.range.start..first).unwrap_or("")
    }

    fn drop(&mut self, names: &[TableName], if_exists: bool, suffix: Option<&str>) -> Effect {
        let changes = names.iter().map(|name| {
            let id = self.id(name);
            self.tables.remove(&id);
            let if_exists = if if_exists { "IF EXISTS " } else { "" };
            let suffix = suffix.map(|word| format!(" {word}")).unwrap_or_default();
            DdlChange {
                database: id.database.clone(),
                ddl: format!(
                    "DROP TABLE {if_exists}`{}`.`{}`{suffix}",
                    id.database.replace('`', "``"),
                    id.table.replace('`', "``")
                ),
                changes: vec![TableChange { kind: ChangeKind::Drop, id, previous_id: None, table: None }],
                tables: Arc::default(),
            }
        });
        Effect::Applied(with_tables(changes.collect()))
    }

    fn set_database_charset(&mut self, database: &str, charset: Option<&CharsetName>, create: bool) {
        match charset {
            Some(CharsetName::Named(charset)) => self.tables.set_database_charset(database, charset.as_str()),
            // A new database without one has the server's, now and later.
            Some(CharsetName::Default) => self.tables.inherit_database_charset(database),
            None if create => self.tables.inherit_database_charset(database),
            None => {}
        }
    }

    /// The variables that decide the character set of new databases and tables.
    fn set(&mut self, assignments: &[Assignment]) -> Effect {
        let named = |wanted: &str| {
            assignments.iter().rev().find(|a| a.name == wanted && !a.value.eq_ignore_ascii_case("DEFAULT"))
        };
        let charset = |charset: &str, collation: &str| {
            named(charset)
                .map(|a| a.value.clone())
                .or_else(|| named(collation).map(|a| a.value.split('_').next().unwrap_or("").to_owned()))
        };
        if let Some(charset) = charset("character_set_server", "collation_server") {
            self.tables.set_server_charset(charset);
        }
        if let Some(charset) = charset("character_set_database", "collation_database") {
            self.tables.set_database_charset(self.database, charset);
        }
        self.unchanged(self.database)
    }
}

/// Notes in each record all tables of the same database that the statement touches.
fn with_tables(mut changes: Vec<DdlChange>) -> Vec<DdlChange> {
    let mut by_database: BTreeMap<String, Vec<TableId>> = BTreeMap::new();
    for change in changes.iter().flat_map(|change| &change.changes) {
        let tables = by_database.entry(change.id.database.clone()).or_default();
        tables.push(change.id.clone());
    }
    let by_database: BTreeMap<String, Arc<[TableId]>> =
        by_database.into_iter().map(|(database, tables)| (database, tables.into())).collect();
    for change in &mut changes {
        change.tables = by_database.get(&change.database).cloned().unwrap_or_default();
    }
    changes
}
