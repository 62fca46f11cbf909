//! Edits of one table: what the clauses of CREATE TABLE and ALTER TABLE do to its columns and its key.

use crate::model::{Column, DefaultText, Table, is_text, same_name};
use crate::statement::{AlterClause, CharsetName, ColumnDefinition, CreateTable, Key, KeyColumns, MOST_COLUMNS, Place};
use std::collections::BTreeSet;

/// Why a clause does not fit the table, for a person.
pub(crate) type Misfit = String;

/// Fills an empty table from CREATE TABLE. `inherited` is the character set of the level above.
pub(crate) fn create(table: &mut Table, definition: &CreateTable, inherited: Option<&str>) {
    table.default_charset = match &definition.charset {
        Some(CharsetName::Named(charset)) => Some(charset.clone()),
        _ => inherited.map(str::to_owned),
    };
    table.comment.clone_from(&definition.comment);
    let mut keys = Vec::new();
    for column in &definition.columns {
        keys.extend(column_key(column));
        let column = column_of(column, table.default_charset.as_deref());
        table.columns.push(column);
    }
    keys.extend(definition.keys.iter().cloned());
    add_keys(table, &keys);
}

/// A table in the course of ALTER TABLE.
///
/// All clauses of one statement name the columns as they were before it (`RENAME COLUMN a TO b, RENAME COLUMN b TO a`
/// swaps two names); only AFTER and keys speak of the columns as they are to be. So each column carries the name it
/// had, and keys wait until all columns are in place.
pub(crate) struct Alteration {
    table: Table,
    /// The names before the statement, one for each column; `None` for a new one.
    originals: Vec<Option<String>>,
    /// DROP PRIMARY KEY was said.
    drop_key: bool,
    keys: Vec<Key>,
}

impl Alteration {
    pub(crate) fn new(table: Table) -> Self {
        let originals = table.columns.iter().map(|column| Some(column.name.clone())).collect();
        Self { table, originals, drop_key: false, keys: Vec::new() }
    }

    /// The index of the column that had this name before the statement.
    fn index(&self, name: &str) -> Result<usize, Misfit> {
        let had = |original: &Option<String>| original.as_deref().is_some_and(|original| same_name(original, name));
        self.originals.iter().position(had).ok_or_else(|| missing(name))
    }

    fn column(&mut self, name: &str) -> Result<&mut Column, Misfit> {
        let index = self.index(name)?;
        self.table.columns.get_mut(index).ok_or_else(|| missing(name))
    }

    /// Carries out one clause, renaming of the table apart. `inherited` is the character set of the level above.
    pub(crate) fn clause(&mut self, clause: &AlterClause, inherited: Option<&str>) -> Result<(), Misfit> {
        match clause {
            AlterClause::AddColumn { column, if_not_exists: true, .. } if self.table.column(&column.name).is_some() => {
            }
            AlterClause::AddColumn { .. } if self.table.columns.len() >= MOST_COLUMNS => {
                return Err(format!("the table would have more than {MOST_COLUMNS} columns"));
            }
            AlterClause::AddColumn { column, place, .. } => {
                let new = column_of(column, self.table.default_charset.as_deref());
                self.table.columns.push(new);
                self.originals.push(None);
                self.keys.extend(column_key(column));
                self.place(self.originals.len().saturating_sub(1), place)?;
            }
            AlterClause::ModifyColumn { column, place, if_exists } => {
                self.change(&column.name, column, place, *if_exists)?;
            }
            AlterClause::ChangeColumn { old, column, place, if_exists } => {
                self.change(old, column, place, *if_exists)?
            }
            AlterClause::RenameColumn { old, if_exists: true, .. } if self.index(old).is_err() => {}
            AlterClause::RenameColumn { old, new, .. } => self.column(old)?.name.clone_from(new),
            AlterClause::DropColumn { name, if_exists: true } if self.index(name).is_err() => {}
            AlterClause::DropColumn { name, .. } => {
                let index = self.index(name)?;
                self.table.columns.remove(index);
                self.originals.remove(index);
            }
            AlterClause::SetDefault { name, default } => {
                let column = self.column(name)?;
                column.default = match default {
                    Some(default) => default.clone(),
                    None if column.optional => DefaultText::Null,
                    None => DefaultText::Absent,
                };
            }
            AlterClause::AddKey(key) => self.keys.push(key.clone()),
            AlterClause::DropPrimaryKey => self.drop_key = true,
            AlterClause::Convert(charset) => convert(&mut self.table, charset, inherited)?,
            AlterClause::DefaultCharset(charset) => self.table.default_charset = named(charset, inherited),
            AlterClause::Comment(comment) => self.table.comment = Some(comment.clone()),
            AlterClause::RenameTo(_) => {}
        }
        Ok(())
    }

    /// Puts the definition in the place of the column that had the name `old`.
    fn change(&mut self, old: &str, definition: &ColumnDefinition, to: &Place, if_exists: bool) -> Result<(), Misfit> {
        let index = match self.index(old) {
            Ok(index) => index,
            Err(_) if if_exists => return Ok(()),
            Err(misfit) => return Err(misfit),
        };
        let column = column_of(definition, self.table.default_charset.as_deref());
        if let Some(slot) = self.table.columns.get_mut(index) {
            *slot = column;
        }
        self.keys.extend(column_key(definition));
        self.place(index, to)
    }

    fn place(&mut self, index: usize, place: &Place) -> Result<(), Misfit> {
        let to = match place {
            Place::Unsaid => return Ok(()),
            Place::First => 0,
            Place::After(name) => {
                let after = self.table.column_index(name).ok_or_else(|| missing(name))?;
                // Taking the column out moves those behind it to the front by one.
                if after < index { after + 1 } else { after }
            }
        };
        if index < self.table.columns.len() && to < self.table.columns.len() {
            let column = self.table.columns.remove(index);
            self.table.columns.insert(to, column);
            let original = self.originals.remove(index);
            self.originals.insert(to, original);
        }
        Ok(())
    }

    /// The table after all clauses.
    pub(crate) fn finish(mut self) -> Result<Table, Misfit> {
        let mut names = BTreeSet::new();
        if let Some(twice) = self.table.columns.iter().find(|column| !names.insert(column.name.to_lowercase())) {
            return Err(format!("the table would have two columns {}", twice.name));
        }
        let old_key = std::mem::take(&mut self.table.primary_key);
        if !self.drop_key {
            // The key follows its columns: renamed with them, without those that are gone. A new definition that does
            // not repeat NOT NULL makes the column optional here as in Debezium, though the server keeps it NOT NULL.
            let columns = old_key.iter().filter_map(|name| self.table.columns.get(self.index(name).ok()?));
            self.table.primary_key = columns.map(|column| column.name.clone()).collect();
        }
        add_keys(&mut self.table, &self.keys);
        Ok(self.table)
    }
}

fn missing(column: &str) -> Misfit {
    format!("the table has no column {column}")
}

fn named(charset: &CharsetName, inherited: Option<&str>) -> Option<String> {
    match charset {
        CharsetName::Named(name) => Some(name.clone()),
        CharsetName::Default => inherited.map(str::to_owned),
    }
}

/// The column a definition makes in a table with this default character set.
fn column_of(definition: &ColumnDefinition, table_charset: Option<&str>) -> Column {
    let data_type = &definition.data_type;
    let optional = definition.optional.unwrap_or(true) && !definition.primary_key;
    let default = match &definition.default {
        Some(default) => default.clone(),
        None if optional => DefaultText::Null,
        None => DefaultText::Absent,
    };
    let charset = match (data_type.jdbc_type, &data_type.charset) {
        // NCHAR and NVARCHAR are utf8 whatever else is said.
        (-15 | -9, _) => Some("utf8".to_owned()),
        (code, charset) if is_text(code) => {
            charset.as_ref().map_or_else(|| table_charset.map(str::to_owned), |charset| named(charset, table_charset))
        }
        _ => None,
    };
    Column {
        name: definition.name.clone(),
        jdbc_type: data_type.jdbc_type,
        type_name: data_type.name.clone(),
        length: data_type.length,
        scale: data_type.scale,
        charset,
        optional,
        auto_incremented: definition.auto_increment || definition.on_update,
        generated: definition.auto_increment || definition.on_update,
        comment: definition.comment.clone(),
        default,
        enum_options: data_type.options.clone(),
    }
}

/// The key a column makes by itself.
fn column_key(column: &ColumnDefinition) -> Option<Key> {
    (column.primary_key || column.unique)
        .then(|| Key { primary: column.primary_key, columns: KeyColumns::Plain(vec![column.name.clone()]) })
}

/// Adds keys in order: the primary one if there is one, else unique ones.
fn add_keys(table: &mut Table, keys: &[Key]) {
    match keys.iter().find(|key| key.primary) {
        Some(primary) => add_key(table, primary),
        None => keys.iter().for_each(|key| add_key(table, key)),
    }
}

/// A primary key replaces what is there. A unique one takes the place of a missing key, if all of its columns are
/// plain and NOT NULL.
pub(crate) fn add_key(table: &mut Table, key: &Key) {
    let KeyColumns::Plain(names) = &key.columns else { return };
    if key.primary {
        for column in table.columns.iter_mut().filter(|c| names.iter().any(|name| same_name(name, &c.name))) {
            require(column);
        }
    } else if !table.primary_key.is_empty() || !names.iter().all(|name| table.column(name).is_some_and(is_required)) {
        return;
    }
    let declared = |name: &String| table.column(name).map_or_else(|| name.clone(), |column| column.name.clone());
    table.primary_key = names.iter().map(declared).collect();
}

/// Whether a column never holds NULL: it says so, or counts by itself, which the server takes for NOT NULL.
fn is_required(column: &Column) -> bool {
    let number = matches!(column.jdbc_type, -5 | 4 | 5 | 6 | 8);
    !column.optional || (column.auto_incremented && number)
}

/// Makes a column NOT NULL; a default of NULL goes with it.
fn require(column: &mut Column) {
    if column.optional {
        column.optional = false;
        if column.default == DefaultText::Null {
            column.default = DefaultText::Absent;
        }
    }
}

/// `CONVERT TO CHARACTER SET`: the table and all its text.
fn convert(table: &mut Table, charset: &CharsetName, inherited: Option<&str>) -> Result<(), Misfit> {
    let charset = named(charset, inherited);
    if charset.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("binary")) {
        return Err("CONVERT TO CHARACTER SET binary makes text columns binary".to_owned());
    }
    for column in table.columns.iter_mut().filter(|column| column.uses_charset()) {
        column.charset.clone_from(&charset);
    }
    table.default_charset = charset;
    Ok(())
}
