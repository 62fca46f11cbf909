//! The definition of a column: its type and the attributes behind it.

use super::cursor::Cursor;
use super::data_type::{charset_clause, collate_clause, data_type};
use super::default::default_value;
use super::{ColumnDefinition, Place, Unexpected};
use crate::token::Kind;

/// Parses `name type attributes`, up to a `,` or `)` of the list around it, FIRST, AFTER or the end.
pub(super) fn column_definition(cursor: &mut Cursor<'_>) -> Result<ColumnDefinition, Unexpected> {
    let name = cursor.column_name()?;
    let mut column = ColumnDefinition {
        name,
        data_type: data_type(cursor)?,
        optional: None,
        default: None,
        auto_increment: false,
        on_update: false,
        primary_key: false,
        unique: false,
        comment: None,
    };
    if column.data_type.name == "SERIAL" {
        // BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE
        column.data_type.name = "BIGINT UNSIGNED".to_owned();
        serial(&mut column);
    }
    while attribute(cursor, &mut column)? {}
    Ok(column)
}

fn serial(column: &mut ColumnDefinition) {
    column.optional = Some(false);
    column.auto_increment = true;
    column.unique = true;
}

/// Passes one attribute; false if there is none.
fn attribute(cursor: &mut Cursor<'_>, column: &mut ColumnDefinition) -> Result<bool, Unexpected> {
    if cursor.at_end() || cursor.is_sym(',') || cursor.is_sym(')') || place_follows(cursor) {
        return Ok(false);
    }
    if cursor.accept_all(&["NOT", "NULL"]) {
        column.optional = Some(false);
    } else if cursor.accept("NULL") {
        column.optional = Some(true);
    } else if cursor.accept("DEFAULT") {
        column.default = Some(default_value(cursor)?);
    } else if cursor.accept_all(&["SERIAL", "DEFAULT", "VALUE"]) {
        serial(column);
    } else if cursor.accept("AUTO_INCREMENT") {
        column.auto_increment = true;
    } else if cursor.accept("UNIQUE") {
        cursor.accept("KEY");
        column.unique = true;
    } else if cursor.accept_all(&["PRIMARY", "KEY"]) || cursor.accept("KEY") {
        column.primary_key = true;
    } else if cursor.accept("COMMENT") {
        column.comment = Some(cursor.string()?);
    } else if let Some(charset) = collate_clause(cursor)? {
        // An explicit character set is the one the collation belongs to.
        column.data_type.charset.get_or_insert(charset);
    } else if let Some(charset) = charset_clause(cursor)? {
        column.data_type.charset = Some(charset);
    } else if cursor.accept_all(&["ON", "UPDATE"]) {
        cursor.name()?;
        if cursor.is_sym('(') {
            cursor.skip_parens()?;
        }
        column.on_update = true;
    } else if cursor.accept_all(&["GENERATED", "ALWAYS", "AS"]) || cursor.accept("AS") {
        if cursor.accept_all(&["ROW", "START"]) || cursor.accept_all(&["ROW", "END"]) {
            // MariaDB system versioning with named columns.
        } else {
            cursor.skip_parens()?;
        }
    } else {
        return inert(cursor);
    }
    Ok(true)
}

/// Attributes that say nothing about names, types and keys. Anything else is a doubt.
fn inert(cursor: &mut Cursor<'_>) -> Result<bool, Unexpected> {
    const ALONE: &[&str] =
        &["VIRTUAL", "STORED", "PERSISTENT", "VISIBLE", "INVISIBLE", "ENFORCED", "SECONDARY", "HIDDEN", "COMPRESSED"];
    const WITH_VALUE: &[&str] = &["COLUMN_FORMAT", "STORAGE", "SRID", "REF_SYSTEM_ID"];
    const WITH_TEXT: &[&str] = &["ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE"];
    if cursor.accept_any(ALONE) {
        if cursor.accept_sym('=') {
            cursor.next();
        }
    } else if cursor.accept_all(&["NOT", "ENFORCED"])
        || cursor.accept_all(&["NOT", "SECONDARY"])
        || cursor.accept_all(&["WITH", "SYSTEM", "VERSIONING"])
        || cursor.accept_all(&["WITHOUT", "SYSTEM", "VERSIONING"])
    {
    } else if cursor.accept_any(WITH_VALUE) {
        cursor.accept_sym('=');
        cursor.next().ok_or(Unexpected)?;
    } else if cursor.accept_any(WITH_TEXT) {
        cursor.accept_sym('=');
        cursor.string()?;
    } else if cursor.accept("CONSTRAINT") {
        if !cursor.is("CHECK") {
            cursor.name()?;
        }
    } else if cursor.accept("CHECK") {
        cursor.skip_parens()?;
    } else if cursor.accept("REFERENCES") {
        references(cursor)?;
    } else if is_known_option(cursor) {
        // MariaDB engines take any `name=value` on a column.
        cursor.next();
        cursor.next();
        cursor.next().ok_or(Unexpected)?;
    } else {
        cursor.doubt_here("unknown column attribute");
        cursor.skip_element()?;
        return Ok(false);
    }
    Ok(true)
}

/// `name = value` with a single literal or word.
fn is_known_option(cursor: &Cursor<'_>) -> bool {
    cursor.word(0).is_some()
        && cursor.sym_at(1, '=')
        && cursor.ahead(2).is_some_and(|t| matches!(t.kind, Kind::Word | Kind::Str | Kind::Number | Kind::Quoted))
}

/// `REFERENCES t (a, b) MATCH FULL ON DELETE CASCADE ON UPDATE SET NULL`, the first word passed.
pub(super) fn references(cursor: &mut Cursor<'_>) -> Result<(), Unexpected> {
    cursor.table_name()?;
    if cursor.is_sym('(') {
        cursor.skip_parens()?;
    }
    loop {
        if cursor.accept("MATCH") {
            cursor.name()?;
        } else if cursor.accept_all(&["ON", "DELETE"]) || cursor.accept_all(&["ON", "UPDATE"]) {
            if !(cursor.accept_all(&["SET", "NULL"])
                || cursor.accept_all(&["SET", "DEFAULT"])
                || cursor.accept_all(&["NO", "ACTION"])
                || cursor.accept_any(&["CASCADE", "RESTRICT"]))
            {
                return Err(Unexpected);
            }
        } else {
            return Ok(());
        }
    }
}

/// Whether the definition ends here: at its place, or at the partitions that ALTER TABLE may name without a comma.
fn place_follows(cursor: &Cursor<'_>) -> bool {
    cursor.is_any(&["FIRST", "AFTER"]) || cursor.are(&["PARTITION", "BY"]) || cursor.are(&["REMOVE", "PARTITIONING"])
}

/// `FIRST`, `AFTER column` or nothing.
pub(super) fn place(cursor: &mut Cursor<'_>) -> Result<Place, Unexpected> {
    if cursor.accept("FIRST") {
        Ok(Place::First)
    } else if cursor.accept("AFTER") {
        Ok(Place::After(cursor.column_name()?))
    } else {
        Ok(Place::Unsaid)
    }
}
