//! Edits of one table: what the clauses of CREATE TABLE and ALTER TABLE do to its columns and its key.

use crate::model::{Column, DefaultText, Table, is_text, same_name};
use crate::statement::{AlterClause, CharsetName, ColumnDefinition, CreateTable, Key, KeyColumns, Place};

/// Why a clause does not fit the table, for a person.
pub(crate) type Misfit = String;

/// Fills an empty table from CREATE TABLE. `inherited` is the character set of the level above.
pub(crate) fn create(table: &mut Table, definition: &CreateTable, inherited: Option<&str>) {
    table.default_charset = match &definition.charset {
        Some(CharsetName::Named(charset)) => Some(charset.clone()),
        _ => inherited.map(str::to_owned),
    };
    table.comment.clone_from(&definition.comment);
    let mut column_keys = Vec::new();
    for column in &definition.columns {
        column_keys.extend(column_key(column));
        let column = column_of(column, table.default_charset.as_deref());
        table.columns.push(column);
    }
    set_first_key(table, column_keys.iter().chain(&definition.keys));
}

/// Carries out one clause of ALTER TABLE, renaming of the table apart.
pub(crate) fn alter(table: &mut Table, clause: &AlterClause, inherited: Option<&str>) -> Result<(), Misfit> {
    match clause {
        AlterClause::AddColumn { column, place, if_not_exists } => {
            if table.column_index(&column.name).is_some() {
                return if *if_not_exists {
                    Ok(())
                } else {
                    Err(format!("the table has a column {} already", column.name))
                };
            }
            let new = column_of(column, table.default_charset.as_deref());
            table.columns.push(new);
            let last = table.columns.len().saturating_sub(1);
            move_column(table, last, place)?;
            add_column_key(table, column);
        }
        AlterClause::ModifyColumn { column, place, if_exists } => {
            change_column(table, &column.name, column, place, *if_exists)?;
        }
        AlterClause::ChangeColumn { old, column, place, if_exists } => {
            change_column(table, old, column, place, *if_exists)?;
        }
        AlterClause::RenameColumn { old, new, if_exists } => {
            match table.columns.iter_mut().find(|c| same_name(&c.name, old)) {
                Some(column) => {
                    column.name.clone_from(new);
                    rename_in_key(table, old, new);
                }
                None if *if_exists => {}
                None => return Err(missing(old)),
            }
        }
        AlterClause::DropColumn { name, if_exists } => match table.column_index(name) {
            Some(index) => {
                table.columns.remove(index);
                table.primary_key.retain(|key| !same_name(key, name));
            }
            None if *if_exists => {}
            None => return Err(missing(name)),
        },
        AlterClause::SetDefault { name, default } => {
            let column = table.columns.iter_mut().find(|c| same_name(&c.name, name)).ok_or_else(|| missing(name))?;
            column.default = match default {
                Some(default) => default.clone(),
                None if column.optional => DefaultText::Null,
                None => DefaultText::Absent,
            };
        }
        AlterClause::AddKey(key) => add_key(table, key),
        AlterClause::DropPrimaryKey => table.primary_key.clear(),
        AlterClause::Convert(charset) => convert(table, charset, inherited)?,
        AlterClause::DefaultCharset(charset) => table.default_charset = named(charset, inherited),
        AlterClause::Comment(comment) => table.comment = Some(comment.clone()),
        AlterClause::RenameTo(_) => {}
    }
    Ok(())
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

/// Puts the definition in the place of the column `old`.
fn change_column(
    table: &mut Table,
    old: &str,
    definition: &ColumnDefinition,
    place: &Place,
    if_exists: bool,
) -> Result<(), Misfit> {
    let Some(index) = table.column_index(old) else {
        return if if_exists { Ok(()) } else { Err(missing(old)) };
    };
    let mut column = column_of(definition, table.default_charset.as_deref());
    // A key column stays NOT NULL though the new definition does not repeat it.
    if table.primary_key.iter().any(|key| same_name(key, old)) {
        require(&mut column);
    }
    if let Some(slot) = table.columns.get_mut(index) {
        *slot = column;
    }
    rename_in_key(table, old, &definition.name);
    move_column(table, index, place)?;
    add_column_key(table, definition);
    Ok(())
}

fn move_column(table: &mut Table, index: usize, place: &Place) -> Result<(), Misfit> {
    let to = match place {
        Place::Unsaid => return Ok(()),
        Place::First => 0,
        Place::After(name) => {
            let after = table.column_index(name).ok_or_else(|| missing(name))?;
            // Taking the column out moves those behind it to the front by one.
            if after < index { after + 1 } else { after }
        }
    };
    if index < table.columns.len() && to < table.columns.len() {
        let column = table.columns.remove(index);
        table.columns.insert(to, column);
    }
    Ok(())
}

fn rename_in_key(table: &mut Table, old: &str, new: &str) {
    for key in table.primary_key.iter_mut().filter(|key| same_name(key, old)) {
        *key = new.to_owned();
    }
}

/// The key a column makes by itself.
fn column_key(column: &ColumnDefinition) -> Option<Key> {
    (column.primary_key || column.unique)
        .then(|| Key { primary: column.primary_key, columns: KeyColumns::Plain(vec![column.name.clone()]) })
}

fn add_column_key(table: &mut Table, column: &ColumnDefinition) {
    if let Some(key) = column_key(column) {
        add_key(table, &key);
    }
}

/// The key of a new table: the primary one, else the first unique one that can name every row.
fn set_first_key<'a>(table: &mut Table, keys: impl Iterator<Item = &'a Key> + Clone) {
    if let Some(primary) = keys.clone().find(|key| key.primary) {
        add_key(table, primary);
        return;
    }
    for key in keys {
        add_key(table, key);
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
    } else if !table.primary_key.is_empty() || !names.iter().all(|name| table.column(name).is_some_and(|c| !c.optional))
    {
        return;
    }
    table.primary_key.clone_from(names);
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
