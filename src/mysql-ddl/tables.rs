//! The tables of a server at one point of its binlog, and the character sets that new ones inherit.

use crate::model::{Table, TableId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The model of all known tables. Tables are shared: a clone of an [`Arc`] taken before a change stays as it was.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    tables: BTreeMap<TableId, Arc<Table>>,
    database_charsets: BTreeMap<String, String>,
    server_charset: Option<String>,
    lower_case_names: bool,
}

impl Tables {
    /// An empty model. `lower_case_names` is `lower_case_table_names != 0` of the server: then the names of tables
    /// and databases are the same regardless of case.
    pub fn new(lower_case_names: bool) -> Self {
        Self { lower_case_names, ..Self::default() }
    }

    fn key(&self, id: &TableId) -> TableId {
        if self.lower_case_names {
            TableId::new(id.database.to_lowercase(), id.table.to_lowercase())
        } else {
            id.clone()
        }
    }

    fn database_key(&self, database: &str) -> String {
        if self.lower_case_names { database.to_lowercase() } else { database.to_owned() }
    }

    /// The table of this name.
    pub fn get(&self, id: &TableId) -> Option<&Arc<Table>> {
        if self.lower_case_names { self.tables.get(&self.key(id)) } else { self.tables.get(id) }
    }

    /// All tables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// The number of tables.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there is no table.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Puts a table in, in place of one of the same name.
    pub fn put(&mut self, table: Arc<Table>) {
        self.tables.insert(self.key(&table.id), table);
    }

    /// Takes a table out.
    pub fn remove(&mut self, id: &TableId) -> Option<Arc<Table>> {
        self.tables.remove(&self.key(id))
    }

    /// Takes all tables of a database and its character set out.
    pub fn remove_database(&mut self, database: &str) {
        let database = self.database_key(database);
        self.database_charsets.remove(&database);
        self.tables.retain(|id, _| id.database != database);
    }

    /// The character set of the server (`character_set_server`), for databases that name none.
    pub fn server_charset(&self) -> Option<&str> {
        self.server_charset.as_deref()
    }

    /// Sets the character set of the server.
    pub fn set_server_charset(&mut self, charset: impl Into<String>) {
        self.server_charset = Some(charset.into());
    }

    /// The character set a new table of this database has if it names none.
    pub fn charset_for_new_table(&self, database: &str) -> Option<&str> {
        self.database_charsets.get(&self.database_key(database)).map(String::as_str).or(self.server_charset())
    }

    /// Sets the default character set of a database.
    pub fn set_database_charset(&mut self, database: &str, charset: impl Into<String>) {
        self.database_charsets.insert(self.database_key(database), charset.into());
    }

    /// Gives a database the character set of the server, now and whenever that changes.
    pub fn inherit_database_charset(&mut self, database: &str) {
        self.database_charsets.remove(&self.database_key(database));
    }

    /// Whether the database has tables or a character set of its own.
    pub fn has_database(&self, database: &str) -> bool {
        let database = self.database_key(database);
        self.database_charsets.contains_key(&database) || self.tables.keys().any(|id| id.database == database)
    }
}
