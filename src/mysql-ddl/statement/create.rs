//! `CREATE TABLE`.

use super::column::{column_definition, references};
use super::cursor::Cursor;
use super::data_type::{charset_clause, collate_clause};
use super::{CharsetName, CreateTable, Key, KeyColumns, Statement, Unexpected};
use crate::token::Kind;

/// No table of any server has more columns.
pub(crate) const MOST_COLUMNS: usize = 4096;

/// Parses what follows `CREATE [OR REPLACE] TABLE`.
pub(super) fn create_table(cursor: &mut Cursor<'_>) -> Result<Statement, Unexpected> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.table_name()?;
    if let Some(statement) = like(cursor, &name, if_not_exists)? {
        return Ok(statement);
    }
    let mut table =
        CreateTable { name, if_not_exists, columns: Vec::new(), keys: Vec::new(), charset: None, comment: None };
    // `CREATE TABLE t (SELECT ...)` has no column list.
    if cursor.is_sym('(') && !matches!(cursor.word(1), Some(word) if begins_query(word)) && !cursor.sym_at(1, '(') {
        cursor.next();
        loop {
            element(cursor, &mut table)?;
            if !cursor.accept_sym(',') {
                break;
            }
        }
        cursor.expect_sym(')')?;
    }
    options(cursor, &mut table)?;
    if table.columns.is_empty() && cursor.doubt().is_none() {
        cursor.doubt_here("no column list before");
    }
    Ok(Statement::CreateTable(table))
}

/// `LIKE s`, bare or in parentheses.
fn like(
    cursor: &mut Cursor<'_>,
    name: &super::TableName,
    if_not_exists: bool,
) -> Result<Option<Statement>, Unexpected> {
    let parens = cursor.is_sym('(') && cursor.is_at(1, "LIKE");
    if !parens && !cursor.is("LIKE") {
        return Ok(None);
    }
    if parens {
        cursor.next();
    }
    cursor.next();
    let source = cursor.table_name()?;
    if parens {
        cursor.expect_sym(')')?;
    }
    if !cursor.at_end() {
        return Err(Unexpected);
    }
    Ok(Some(Statement::CreateTableLike { name: name.clone(), source, if_not_exists }))
}

fn begins_query(word: &str) -> bool {
    ["SELECT", "WITH", "TABLE", "VALUES"].iter().any(|first| word.eq_ignore_ascii_case(first))
}

/// A column, a key or a constraint.
fn element(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<(), Unexpected> {
    if let Some(key) = table_constraint(cursor)? {
        table.keys.extend(key);
    } else if table.columns.len() < MOST_COLUMNS {
        table.columns.push(column_definition(cursor)?);
    } else {
        return Err(Unexpected);
    }
    Ok(())
}

/// A key or constraint of a table. `None`: it is none, and nothing was passed. `Some(None)`: one that does not matter.
pub(super) fn table_constraint(cursor: &mut Cursor<'_>) -> Result<Option<Option<Key>>, Unexpected> {
    if cursor.accept("CONSTRAINT") && !cursor.is_any(&["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"]) {
        cursor.name()?;
    }
    if cursor.accept_all(&["PRIMARY", "KEY"]) {
        // A name in front of the columns is accepted and means nothing.
        index_head(cursor)?;
        let columns = key_columns(cursor)?;
        cursor.skip_element()?;
        return Ok(Some(Some(Key { primary: true, columns })));
    }
    if cursor.accept("UNIQUE") {
        cursor.accept_any(&["KEY", "INDEX"]);
        index_head(cursor)?;
        let columns = key_columns(cursor)?;
        cursor.skip_element()?;
        return Ok(Some(Some(Key { primary: false, columns })));
    }
    if cursor.accept_any(&["FULLTEXT", "SPATIAL"]) {
        cursor.accept_any(&["KEY", "INDEX"]);
        cursor.skip_element()?;
        return Ok(Some(None));
    }
    if cursor.accept_any(&["KEY", "INDEX"]) {
        cursor.skip_element()?;
        return Ok(Some(None));
    }
    // MariaDB 11.7: VECTOR INDEX (v). VECTOR may also be a column's name.
    if cursor.is("VECTOR") && (cursor.is_at(1, "INDEX") || cursor.is_at(1, "KEY")) {
        cursor.skip_element()?;
        return Ok(Some(None));
    }
    if cursor.accept_all(&["FOREIGN", "KEY"]) {
        cursor.if_not_exists();
        if !cursor.is_sym('(') {
            cursor.name()?;
        }
        cursor.skip_parens()?;
        cursor.expect("REFERENCES")?;
        references(cursor)?;
        return Ok(Some(None));
    }
    if cursor.accept("CHECK") {
        cursor.skip_parens()?;
        cursor.accept("NOT");
        cursor.accept("ENFORCED");
        return Ok(Some(None));
    }
    // MariaDB: PERIOD FOR SYSTEM_TIME (a, b).
    if cursor.are(&["PERIOD", "FOR"]) {
        cursor.skip_element()?;
        return Ok(Some(None));
    }
    Ok(None)
}

/// `[IF NOT EXISTS] [name] [USING BTREE]` in front of the columns of an index.
fn index_head(cursor: &mut Cursor<'_>) -> Result<(), Unexpected> {
    cursor.if_not_exists();
    while !cursor.is_sym('(') {
        cursor.name()?;
    }
    Ok(())
}

/// `(a, b(10) DESC, (expression))`.
pub(super) fn key_columns(cursor: &mut Cursor<'_>) -> Result<KeyColumns, Unexpected> {
    cursor.expect_sym('(')?;
    let mut columns = Vec::new();
    let mut expression = false;
    loop {
        if cursor.is_sym('(') {
            cursor.skip_parens()?;
            expression = true;
        } else {
            columns.push(cursor.column_name()?);
            if cursor.is_sym('(') {
                cursor.skip_parens()?;
            }
        }
        cursor.accept_any(&["ASC", "DESC"]);
        // MariaDB: UNIQUE (id, p WITHOUT OVERLAPS) names a period, not a column.
        if cursor.accept_all(&["WITHOUT", "OVERLAPS"]) {
            expression = true;
        }
        if !cursor.accept_sym(',') {
            break;
        }
    }
    cursor.expect_sym(')')?;
    Ok(if expression { KeyColumns::Expression } else { KeyColumns::Plain(columns) })
}

/// What follows the column list: table options, then partitions, then a query.
fn options(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<(), Unexpected> {
    let mut collation: Option<CharsetName> = None;
    while !cursor.at_end() {
        let start = cursor.position();
        cursor.accept("DEFAULT");
        if let Some(charset) = charset_clause(cursor)? {
            table.charset = Some(charset);
            continue;
        }
        if let Some(charset) = collate_clause(cursor)? {
            collation = Some(charset);
            continue;
        }
        cursor.rewind(start);
        if cursor.accept("COMMENT") {
            cursor.accept_sym('=');
            table.comment = Some(cursor.string()?);
        } else if cursor.is_any(&["SELECT", "AS", "IGNORE", "REPLACE", "VALUES", "TABLE"])
            || (cursor.is("WITH") && !cursor.is_at(1, "SYSTEM"))
            || cursor.is_sym('(')
        {
            // The columns of the query are not in the text.
            cursor.doubt_here("columns from a query,");
            cursor.skip_rest();
        } else if cursor.are(&["PARTITION", "BY"]) {
            partitions(cursor)?;
        } else {
            option(cursor)?;
        }
    }
    if table.charset.is_none() {
        table.charset = collation;
    }
    Ok(())
}

/// Any option of a table: `NAME [=] value`, `NAME NAME [=] value`, `UNION = (a, b)`.
pub(super) fn option(cursor: &mut Cursor<'_>) -> Result<(), Unexpected> {
    cursor.accept_sym(',');
    cursor.accept("DEFAULT");
    if cursor.accept_all(&["DATA", "DIRECTORY"])
        || cursor.accept_all(&["INDEX", "DIRECTORY"])
        || cursor.accept_all(&["WITH", "SYSTEM", "VERSIONING"])
        || cursor.accept_all(&["START", "TRANSACTION"])
    {
    } else {
        cursor.name()?;
    }
    cursor.accept_sym('=');
    cursor.accept_sym('-');
    if cursor.is_sym('(') {
        return cursor.skip_parens();
    }
    match cursor.peek() {
        Some(token) if matches!(token.kind, Kind::Str | Kind::Number | Kind::Hex) => {
            cursor.next();
        }
        Some(token) if matches!(token.kind, Kind::Word | Kind::Quoted) && value_follows(cursor) => {
            cursor.next();
        }
        _ => {}
    }
    Ok(())
}

/// Whether the word under the cursor is the value of the option in front of it: either `=` was between them, or no
/// option begins with it.
fn value_follows(cursor: &Cursor<'_>) -> bool {
    const OPTIONS: &[&str] = &[
        "AUTO_INCREMENT",
        "AVG_ROW_LENGTH",
        "CHARACTER",
        "CHARSET",
        "CHECKSUM",
        "COLLATE",
        "COMMENT",
        "COMPRESSION",
        "CONNECTION",
        "DATA",
        "DEFAULT",
        "DELAY_KEY_WRITE",
        "ENCRYPTION",
        "ENGINE",
        "INDEX",
        "INSERT_METHOD",
        "KEY_BLOCK_SIZE",
        "MAX_ROWS",
        "MIN_ROWS",
        "PACK_KEYS",
        "PARTITION",
        "PASSWORD",
        "ROW_FORMAT",
        "SELECT",
        "STATS_AUTO_RECALC",
        "STATS_PERSISTENT",
        "STATS_SAMPLE_PAGES",
        "STORAGE",
        "TABLESPACE",
        "UNION",
        "WITH",
        "AS",
        "IGNORE",
        "REPLACE",
        "START",
    ];
    let equals =
        cursor.position().checked_sub(1).is_some_and(|_| cursor.slice(0, cursor.previous_end()).ends_with('='));
    equals || !(cursor.is_any(OPTIONS))
}

/// `PARTITION BY ...` with its definitions, up to the end or a query.
fn partitions(cursor: &mut Cursor<'_>) -> Result<(), Unexpected> {
    while !cursor.at_end() && !cursor.is_any(&["SELECT", "AS", "IGNORE", "REPLACE", "WITH"]) {
        if cursor.is_sym('(') {
            cursor.skip_parens()?;
        } else {
            cursor.next();
        }
    }
    Ok(())
}
