//! `ALTER TABLE`.

use super::column::{column_definition, place};
use super::create::{option, table_constraint};
use super::cursor::Cursor;
use super::data_type::{charset_clause, collate_clause};
use super::default::default_value;
use super::{AlterClause, CharsetName, Statement, Unexpected};

/// Parses what follows `ALTER [ONLINE] [IGNORE] TABLE`.
pub(super) fn alter_table(cursor: &mut Cursor<'_>) -> Result<Statement, Unexpected> {
    cursor.if_exists();
    let name = cursor.table_name()?;
    let mut clauses = Vec::new();
    // MariaDB: how long to wait for the lock.
    if cursor.accept("WAIT") {
        cursor.next();
    } else {
        cursor.accept("NOWAIT");
    }
    while !cursor.at_end() {
        let start = cursor.position();
        clause(cursor, &mut clauses)?;
        if !cursor.accept_sym(',') && cursor.position() == start {
            return Err(Unexpected);
        }
    }
    Ok(Statement::AlterTable { name, clauses })
}

/// One clause; the comma behind it stays.
fn clause(cursor: &mut Cursor<'_>, clauses: &mut Vec<AlterClause>) -> Result<(), Unexpected> {
    if partition_clause(cursor) {
        skip_last(cursor)?;
    } else if cursor.accept("ADD") {
        add(cursor, clauses)?;
    } else if cursor.accept("DROP") {
        drop(cursor, clauses)?;
    } else if cursor.accept("MODIFY") {
        cursor.accept("COLUMN");
        let if_exists = cursor.if_exists();
        let column = column_definition(cursor)?;
        clauses.push(AlterClause::ModifyColumn { column, place: place(cursor)?, if_exists });
    } else if cursor.accept("CHANGE") {
        cursor.accept("COLUMN");
        let if_exists = cursor.if_exists();
        let old = cursor.column_name()?;
        let column = column_definition(cursor)?;
        clauses.push(AlterClause::ChangeColumn { old, column, place: place(cursor)?, if_exists });
    } else if cursor.accept("RENAME") {
        rename(cursor, clauses)?;
    } else if cursor.accept("ALTER") {
        alter(cursor, clauses)?;
    } else if cursor.accept_all(&["CONVERT", "TO"]) {
        let charset = charset_clause(cursor)?.ok_or(Unexpected)?;
        let collation = collate_clause(cursor)?;
        clauses.push(AlterClause::Convert(match (charset, collation) {
            // CONVERT TO CHARACTER SET DEFAULT COLLATE latin1_bin
            (CharsetName::Default, Some(named)) => named,
            (charset, _) => charset,
        }));
    } else if cursor.accept_all(&["ORDER", "BY"]) {
        skip_last(cursor)?;
    } else {
        table_option(cursor, clauses)?;
    }
    Ok(())
}

/// Clauses about partitions. They stand alone or last, and have commas of their own.
fn partition_clause(cursor: &Cursor<'_>) -> bool {
    const VERBS: &[&str] = &[
        "ADD",
        "DROP",
        "DISCARD",
        "IMPORT",
        "TRUNCATE",
        "COALESCE",
        "REORGANIZE",
        "EXCHANGE",
        "ANALYZE",
        "CHECK",
        "OPTIMIZE",
        "REBUILD",
        "REPAIR",
        "CONVERT",
    ];
    cursor.are(&["PARTITION", "BY"])
        || cursor.are(&["REMOVE", "PARTITIONING"])
        || cursor.are(&["UPGRADE", "PARTITIONING"])
        || (cursor.is_any(VERBS) && cursor.is_at(1, "PARTITION"))
}

/// Passes a clause that has commas of its own and that the server takes only as the last one.
fn skip_last(cursor: &mut Cursor<'_>) -> Result<(), Unexpected> {
    cursor.next();
    loop {
        cursor.skip_element()?;
        if !cursor.accept_sym(',') {
            return Ok(());
        }
        if cursor.is_any(&["ADD", "DROP", "MODIFY", "CHANGE", "RENAME", "ALTER", "CONVERT"]) {
            cursor.doubt_here("a clause where none can be,");
        }
    }
}

fn add(cursor: &mut Cursor<'_>, clauses: &mut Vec<AlterClause>) -> Result<(), Unexpected> {
    if cursor.accept_all(&["SYSTEM", "VERSIONING"]) {
        return Ok(());
    }
    if !cursor.is("COLUMN")
        && let Some(key) = table_constraint(cursor)?
    {
        clauses.extend(key.map(AlterClause::AddKey));
        return Ok(());
    }
    cursor.accept("COLUMN");
    let if_not_exists = cursor.if_not_exists();
    if !cursor.accept_sym('(') {
        let column = column_definition(cursor)?;
        clauses.push(AlterClause::AddColumn { column, place: place(cursor)?, if_not_exists });
        return Ok(());
    }
    loop {
        if let Some(key) = table_constraint(cursor)? {
            clauses.extend(key.map(AlterClause::AddKey));
        } else {
            let column = column_definition(cursor)?;
            clauses.push(AlterClause::AddColumn { column, place: place(cursor)?, if_not_exists });
        }
        if !cursor.accept_sym(',') {
            break;
        }
    }
    cursor.expect_sym(')')
}

fn drop(cursor: &mut Cursor<'_>, clauses: &mut Vec<AlterClause>) -> Result<(), Unexpected> {
    if cursor.accept_all(&["PRIMARY", "KEY"]) {
        clauses.push(AlterClause::DropPrimaryKey);
    } else if cursor.accept_any(&["INDEX", "KEY", "CHECK", "CONSTRAINT"]) || cursor.accept_all(&["FOREIGN", "KEY"]) {
        cursor.if_exists();
        cursor.name()?;
    } else if cursor.accept_all(&["SYSTEM", "VERSIONING"]) {
        return Ok(());
    } else if cursor.accept_all(&["PERIOD", "FOR"]) {
        cursor.name()?;
    } else {
        cursor.accept("COLUMN");
        let if_exists = cursor.if_exists();
        clauses.push(AlterClause::DropColumn { name: cursor.column_name()?, if_exists });
        cursor.accept_any(&["RESTRICT", "CASCADE"]);
    }
    Ok(())
}

fn rename(cursor: &mut Cursor<'_>, clauses: &mut Vec<AlterClause>) -> Result<(), Unexpected> {
    if cursor.accept_any(&["INDEX", "KEY"]) {
        cursor.if_exists();
        cursor.name()?;
        cursor.expect("TO")?;
        cursor.name()?;
    } else if cursor.accept("COLUMN") {
        let if_exists = cursor.if_exists();
        let old = cursor.column_name()?;
        cursor.expect("TO")?;
        clauses.push(AlterClause::RenameColumn { old, new: cursor.name()?, if_exists });
    } else {
        if !cursor.accept_any(&["TO", "AS"]) {
            cursor.accept_sym('=');
        }
        clauses.push(AlterClause::RenameTo(cursor.table_name()?));
    }
    Ok(())
}

/// `ALTER [COLUMN] c SET DEFAULT x | DROP DEFAULT | SET VISIBLE`, `ALTER INDEX`, `ALTER CHECK`.
fn alter(cursor: &mut Cursor<'_>, clauses: &mut Vec<AlterClause>) -> Result<(), Unexpected> {
    if cursor.is_any(&["INDEX", "KEY", "CHECK", "CONSTRAINT"]) {
        return cursor.skip_element();
    }
    cursor.accept("COLUMN");
    cursor.if_exists();
    let name = cursor.column_name()?;
    if cursor.accept_all(&["SET", "DEFAULT"]) {
        clauses.push(AlterClause::SetDefault { name, default: Some(default_value(cursor)?) });
    } else if cursor.accept_all(&["DROP", "DEFAULT"]) {
        clauses.push(AlterClause::SetDefault { name, default: None });
    } else if cursor.accept("SET") {
        cursor.accept_any(&["VISIBLE", "INVISIBLE"]);
    } else {
        cursor.doubt_here("unknown column clause");
        cursor.skip_element()?;
    }
    Ok(())
}

/// Options of the table, and verbs that leave its columns as they are.
fn table_option(cursor: &mut Cursor<'_>, clauses: &mut Vec<AlterClause>) -> Result<(), Unexpected> {
    const INERT: &[&str] = &[
        "ALGORITHM",
        "AUTOEXTEND_SIZE",
        "AUTO_INCREMENT",
        "AVG_ROW_LENGTH",
        "CHECKSUM",
        "COMPRESSION",
        "CONNECTION",
        "DATA",
        "DELAY_KEY_WRITE",
        "DISABLE",
        "DISCARD",
        "ENABLE",
        "ENCRYPTED",
        "ENCRYPTION",
        "ENCRYPTION_KEY_ID",
        "ENGINE",
        "ENGINE_ATTRIBUTE",
        "FORCE",
        "IETF_QUOTES",
        "IMPORT",
        "INDEX",
        "INSERT_METHOD",
        "KEY_BLOCK_SIZE",
        "LOCK",
        "MAX_ROWS",
        "MIN_ROWS",
        "NODEGROUP",
        "NOWAIT",
        "PACK_KEYS",
        "PAGE_CHECKSUM",
        "PAGE_COMPRESSED",
        "PAGE_COMPRESSION_LEVEL",
        "PASSWORD",
        "RAID_TYPE",
        "ROW_FORMAT",
        "SECONDARY_ENGINE",
        "SECONDARY_ENGINE_ATTRIBUTE",
        "SECONDARY_LOAD",
        "SECONDARY_UNLOAD",
        "SEQUENCE",
        "STATS_AUTO_RECALC",
        "STATS_PERSISTENT",
        "STATS_SAMPLE_PAGES",
        "STORAGE",
        "TABLESPACE",
        "TRANSACTIONAL",
        "TYPE",
        "UNION",
        "WAIT",
        "WITH",
        "WITHOUT",
    ];
    let start = cursor.position();
    cursor.accept("DEFAULT");
    if let Some(charset) = charset_clause(cursor)? {
        // A collation in the same clause belongs to the character set.
        collate_clause(cursor)?;
        clauses.push(AlterClause::DefaultCharset(charset));
        return Ok(());
    }
    if let Some(charset) = collate_clause(cursor)? {
        clauses.push(AlterClause::DefaultCharset(charset));
        return Ok(());
    }
    cursor.rewind(start);
    if cursor.accept("COMMENT") {
        cursor.accept_sym('=');
        clauses.push(AlterClause::Comment(cursor.string()?));
        return Ok(());
    }
    if cursor.accept_any(&["DISABLE", "ENABLE"]) {
        return cursor.expect("KEYS");
    }
    if cursor.accept_any(&["DISCARD", "IMPORT"]) {
        return cursor.expect("TABLESPACE");
    }
    if cursor.accept_any(&["WITH", "WITHOUT"]) {
        return cursor.expect("VALIDATION");
    }
    if cursor.accept_any(&["FORCE", "SECONDARY_LOAD", "SECONDARY_UNLOAD"]) {
        return Ok(());
    }
    if cursor.is_any(INERT) || (cursor.word(0).is_some() && cursor.sym_at(1, '=')) {
        return option(cursor);
    }
    cursor.doubt_here("unknown clause");
    cursor.skip_element()?;
    // What is behind an unknown clause is not looked at if it ends in the middle of something.
    if cursor.is_sym(')') {
        cursor.skip_rest();
    }
    Ok(())
}
