//! Which statement a text is, and the statements that are not about the columns of one table.

use super::alter::alter_table;
use super::create::{create_table, key_columns};
use super::cursor::{Cursor, is_symbol};
use super::data_type::{charset_clause, collate_clause, word_or_string};
use super::{Assignment, CharsetName, Rename, Statement, TableName, Unexpected};
use crate::token::{Kind, Token, unquoted};

/// The tokens of the first statement, without the `;` behind it. The body of a stored program keeps its semicolons:
/// it is the rest of the text.
pub(super) fn statement_length(source: &str, tokens: &[Token]) -> usize {
    let end = tokens.iter().position(|token| is_symbol(token, ';')).unwrap_or(tokens.len());
    let head = Cursor::new(source, tokens.get(..end).unwrap_or(tokens));
    let stored_program = head.is_any(&["CREATE", "ALTER"])
        && (1..16)
            .map_while(|n| head.word(n).or_else(|| head.ahead(n).map(|_| "")))
            .take_while(|word| !is_one_of(word, &["TABLE", "TABLES", "INDEX", "VIEW", "DATABASE", "SCHEMA", "USER"]))
            .any(|word| is_one_of(word, &["PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE"]));
    if stored_program || head.are(&["BEGIN", "NOT", "ATOMIC"]) { tokens.len() } else { end }
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|one| word.eq_ignore_ascii_case(one))
}

/// Parses one statement, to its last token.
pub(super) fn statement(cursor: &mut Cursor<'_>) -> Result<Statement, Unexpected> {
    // MariaDB: SET STATEMENT a = 1, b = 2 FOR <statement>.
    if cursor.accept_all(&["SET", "STATEMENT"]) {
        while !cursor.accept("FOR") {
            cursor.next().ok_or(Unexpected)?;
        }
    }
    let statement = dispatch(cursor)?;
    if cursor.at_end() || matches!(statement, Statement::Ignored(_)) { Ok(statement) } else { Err(Unexpected) }
}

fn dispatch(cursor: &mut Cursor<'_>) -> Result<Statement, Unexpected> {
    let word = cursor.word(0).map(str::to_ascii_uppercase);
    match word.as_deref() {
        Some("CREATE") => create(cursor),
        Some("ALTER") => alter(cursor),
        Some("DROP") => drop(cursor),
        Some("RENAME") => rename(cursor),
        Some("TRUNCATE") => {
            cursor.next();
            cursor.accept("TABLE");
            let name = cursor.table_name()?;
            // MariaDB: WAIT n, NOWAIT.
            cursor.skip_rest();
            Ok(Statement::Truncate(name))
        }
        Some("USE") => {
            cursor.next();
            Ok(Statement::Use(cursor.name()?))
        }
        Some("SET") => {
            cursor.next();
            set(cursor)
        }
        Some(word) => {
            IGNORED.iter().find(|known| **known == word).map(|known| Statement::Ignored(known)).ok_or(Unexpected)
        }
        None => Err(Unexpected),
    }
}

/// First words of statements that never touch a table's definition.
const IGNORED: &[&str] = &[
    "ANALYZE",
    "BEGIN",
    "BINLOG",
    "CACHE",
    "CALL",
    "CHANGE",
    "CHECK",
    "CHECKSUM",
    "CLONE",
    "COMMIT",
    "DEALLOCATE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DO",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FLUSH",
    "GET",
    "GRANT",
    "HANDLER",
    "HELP",
    "IMPORT",
    "INSERT",
    "INSTALL",
    "KILL",
    "LOAD",
    "LOCK",
    "OPTIMIZE",
    "PREPARE",
    "PURGE",
    "RELEASE",
    "REPAIR",
    "REPLACE",
    "RESET",
    "RESIGNAL",
    "RESTART",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SHOW",
    "SHUTDOWN",
    "SIGNAL",
    "START",
    "STOP",
    "TABLE",
    "UNINSTALL",
    "UNLOCK",
    "UPDATE",
    "VALUES",
    "WITH",
    "XA",
];

fn create(cursor: &mut Cursor<'_>) -> Result<Statement, Unexpected> {
    cursor.next();
    // What the statement creates takes the place of what is there anyway: the server let it happen.
    cursor.accept_all(&["OR", "REPLACE"]);
    if cursor.accept_all(&["TEMPORARY", "TABLE"]) {
        // Another session never sees it, and row images never come from it.
        return Ok(Statement::Ignored("CREATE TEMPORARY TABLE"));
    }
    if cursor.accept("TABLE") {
        return create_table(cursor);
    }
    if cursor.accept_any(&["DATABASE", "SCHEMA"]) {
        let if_not_exists = cursor.if_not_exists();
        let name = Some(cursor.name()?);
        return Ok(Statement::Database { name, charset: database_options(cursor)?, create: true, if_not_exists });
    }
    let start = cursor.position();
    cursor.accept_any(&["ONLINE", "OFFLINE"]);
    let unique = cursor.accept("UNIQUE");
    cursor.accept_any(&["FULLTEXT", "SPATIAL", "VECTOR"]);
    if cursor.accept("INDEX") {
        cursor.if_not_exists();
        while !cursor.accept("ON") {
            cursor.name()?;
        }
        let table = cursor.table_name()?;
        let columns = key_columns(cursor)?;
        cursor.skip_rest();
        return Ok(Statement::CreateIndex { table, unique: unique.then_some(columns) });
    }
    cursor.rewind(start);
    named_object(cursor, "CREATE")
}

fn alter(cursor: &mut Cursor<'_>) -> Result<Statement, Unexpected> {
    cursor.next();
    let start = cursor.position();
    cursor.accept_any(&["ONLINE", "OFFLINE"]);
    cursor.accept("IGNORE");
    if cursor.accept("TABLE") {
        return alter_table(cursor);
    }
    cursor.rewind(start);
    if cursor.accept_any(&["DATABASE", "SCHEMA"]) {
        let options_follow = cursor.at_end()
            || cursor.are(&["CHARACTER", "SET"])
            || cursor.is_any(&["CHARSET", "COLLATE", "DEFAULT", "ENCRYPTION", "COMMENT"])
            || cursor.are(&["READ", "ONLY"]);
        let name = if options_follow { None } else { Some(cursor.name()?) };
        return Ok(Statement::Database {
            name,
            charset: database_options(cursor)?,
            create: false,
            if_not_exists: false,
        });
    }
    named_object(cursor, "ALTER")
}

fn drop(cursor: &mut Cursor<'_>) -> Result<Statement, Unexpected> {
    cursor.next();
    if cursor.accept_all(&["TEMPORARY", "TABLE"]) || cursor.accept_all(&["TEMPORARY", "TABLES"]) {
        return Ok(Statement::Ignored("DROP TEMPORARY TABLE"));
    }
    if cursor.accept_any(&["TABLE", "TABLES"]) {
        let if_exists = cursor.if_exists();
        let mut names = vec![cursor.table_name()?];
        while cursor.accept_sym(',') {
            names.push(cursor.table_name()?);
        }
        if cursor.accept("WAIT") {
            cursor.next();
        } else {
            cursor.accept("NOWAIT");
        }
        let suffix = cursor.word(0).filter(|word| is_one_of(word, &["CASCADE", "RESTRICT"])).map(str::to_owned);
        cursor.accept_any(&["CASCADE", "RESTRICT"]);
        return Ok(Statement::DropTables { names, if_exists, suffix });
    }
    if cursor.accept_any(&["DATABASE", "SCHEMA"]) {
        cursor.if_exists();
        return Ok(Statement::DropDatabase(cursor.name()?));
    }
    let start = cursor.position();
    cursor.accept_any(&["ONLINE", "OFFLINE"]);
    if cursor.accept("INDEX") {
        cursor.if_exists();
        cursor.name()?;
        cursor.expect("ON")?;
        let table = cursor.table_name()?;
        cursor.skip_rest();
        return Ok(Statement::DropIndex { table });
    }
    cursor.rewind(start);
    named_object(cursor, "DROP")
}

/// `CREATE`, `ALTER` or `DROP` of something that is no table: found by the first word that names a kind of object.
fn named_object(cursor: &mut Cursor<'_>, verb: &str) -> Result<Statement, Unexpected> {
    const OBJECTS: &[(&str, [&str; 3])] = &[
        ("VIEW", ["CREATE VIEW", "ALTER VIEW", "DROP VIEW"]),
        ("PROCEDURE", ["CREATE PROCEDURE", "ALTER PROCEDURE", "DROP PROCEDURE"]),
        ("FUNCTION", ["CREATE FUNCTION", "ALTER FUNCTION", "DROP FUNCTION"]),
        ("TRIGGER", ["CREATE TRIGGER", "ALTER TRIGGER", "DROP TRIGGER"]),
        ("EVENT", ["CREATE EVENT", "ALTER EVENT", "DROP EVENT"]),
        ("USER", ["CREATE USER", "ALTER USER", "DROP USER"]),
        ("ROLE", ["CREATE ROLE", "ALTER ROLE", "DROP ROLE"]),
        ("SERVER", ["CREATE SERVER", "ALTER SERVER", "DROP SERVER"]),
        ("TABLESPACE", ["CREATE TABLESPACE", "ALTER TABLESPACE", "DROP TABLESPACE"]),
        ("LOGFILE", ["CREATE LOGFILE GROUP", "ALTER LOGFILE GROUP", "DROP LOGFILE GROUP"]),
        ("RESOURCE", ["CREATE RESOURCE GROUP", "ALTER RESOURCE GROUP", "DROP RESOURCE GROUP"]),
        ("SPATIAL", ["CREATE SPATIAL REFERENCE SYSTEM", "ALTER SPATIAL", "DROP SPATIAL REFERENCE SYSTEM"]),
        ("INSTANCE", ["CREATE INSTANCE", "ALTER INSTANCE", "DROP INSTANCE"]),
        ("PACKAGE", ["CREATE PACKAGE", "ALTER PACKAGE", "DROP PACKAGE"]),
        ("SEQUENCE", ["CREATE SEQUENCE", "ALTER SEQUENCE", "DROP SEQUENCE"]),
        ("LIBRARY", ["CREATE LIBRARY", "ALTER LIBRARY", "DROP LIBRARY"]),
        ("PREPARE", ["CREATE PREPARE", "ALTER PREPARE", "DROP PREPARE"]),
    ];
    let which = match verb {
        "CREATE" => 0,
        "ALTER" => 1,
        _ => 2,
    };
    // DEFINER = `a`@`b`, ALGORITHM = MERGE, SQL SECURITY and UNDO, AGGREGATE may stand in front.
    let start = cursor.position();
    for _ in 0..16 {
        let Some(token) = cursor.peek() else { break };
        if token.kind == Kind::Word
            && let Some((_, names)) = OBJECTS.iter().find(|(object, _)| cursor.is(object))
        {
            return Ok(Statement::Ignored(names.get(which).copied().unwrap_or("")));
        }
        cursor.next();
    }
    cursor.rewind(start);
    Err(Unexpected)
}

fn rename(cursor: &mut Cursor<'_>) -> Result<Statement, Unexpected> {
    cursor.next();
    if cursor.accept("USER") {
        return Ok(Statement::Ignored("RENAME USER"));
    }
    if !cursor.accept_any(&["TABLE", "TABLES"]) {
        return Err(Unexpected);
    }
    cursor.if_exists();
    let mut renames = Vec::new();
    loop {
        let start = cursor.offset();
        let from = cursor.table_name()?;
        // MariaDB: WAIT n, NOWAIT.
        if cursor.accept("WAIT") {
            cursor.next();
        } else {
            cursor.accept("NOWAIT");
        }
        cursor.expect("TO")?;
        let to = cursor.table_name()?;
        renames.push(Rename { from, to, range: start..cursor.previous_end() });
        if !cursor.accept_sym(',') {
            return Ok(Statement::RenameTables(renames));
        }
    }
}

/// `[DEFAULT] CHARACTER SET x`, `[DEFAULT] COLLATE x`, ENCRYPTION, READ ONLY, COMMENT.
fn database_options(cursor: &mut Cursor<'_>) -> Result<Option<CharsetName>, Unexpected> {
    let mut charset = None;
    let mut collation = None;
    while !cursor.at_end() {
        cursor.accept("DEFAULT");
        if let Some(named) = charset_clause(cursor)? {
            charset = Some(named);
        } else if let Some(named) = collate_clause(cursor)? {
            collation = Some(named);
        } else if cursor.accept_all(&["READ", "ONLY"]) || cursor.accept_any(&["ENCRYPTION", "COMMENT"]) {
            cursor.accept_sym('=');
            cursor.next().ok_or(Unexpected)?;
        } else {
            cursor.accept_all(&["UPGRADE", "DATA", "DIRECTORY", "NAME"]);
            return Ok(charset.or(collation));
        }
    }
    Ok(charset.or(collation))
}

/// `SET a = 1, @@global.b = 'x', NAMES utf8`, the first word passed.
fn set(cursor: &mut Cursor<'_>) -> Result<Statement, Unexpected> {
    let scoped = cursor.is_any(&["GLOBAL", "SESSION", "LOCAL"]) && cursor.is_at(1, "TRANSACTION");
    let other = cursor.is_any(&["PASSWORD", "TRANSACTION", "ROLE", "RESOURCE"]) || cursor.are(&["DEFAULT", "ROLE"]);
    if scoped || other {
        return Ok(Statement::Ignored("SET"));
    }
    let mut assignments = Vec::new();
    loop {
        let mut global = false;
        if let Some(charset) = charset_clause(cursor)? {
            let value = match charset {
                CharsetName::Named(name) => name,
                CharsetName::Default => "DEFAULT".to_owned(),
            };
            assignments.push(Assignment { name: "character set".to_owned(), global, value });
        } else if cursor.is("NAMES") && !cursor.sym_at(1, '=') {
            cursor.next();
            let value = word_or_string(cursor)?;
            collate_clause(cursor)?;
            assignments.push(Assignment { name: "names".to_owned(), global, value });
        } else {
            // A second variable of the same statement may name its scope again.
            if cursor.accept_any(&["GLOBAL", "PERSIST", "PERSIST_ONLY"]) {
                global = true;
            } else {
                cursor.accept_any(&["SESSION", "LOCAL"]);
            }
            let user_variable = cursor.is_sym('@') && !cursor.sym_at(1, '@');
            while cursor.accept_sym('@') {}
            let mut name = word_or_string(cursor)?;
            while cursor.accept_sym('.') {
                global |= is_one_of(&name, &["GLOBAL", "PERSIST", "PERSIST_ONLY"]);
                name = word_or_string(cursor)?;
            }
            cursor.accept_sym(':');
            cursor.expect_sym('=')?;
            let value = value(cursor)?;
            if !user_variable {
                assignments.push(Assignment { name: name.to_lowercase(), global, value });
            }
        }
        if !cursor.accept_sym(',') {
            return Ok(Statement::Set(assignments));
        }
    }
}

/// The value of an assignment: a literal without its quotes, or the text of an expression.
fn value(cursor: &mut Cursor<'_>) -> Result<String, Unexpected> {
    let first = *cursor.peek().ok_or(Unexpected)?;
    let start = cursor.position();
    cursor.skip_element()?;
    if cursor.is_sym(')') {
        return Err(Unexpected);
    }
    let text = cursor.slice(first.start, cursor.previous_end());
    let single = cursor.position() == start + 1;
    Ok(if single && first.kind == Kind::Str { unquoted(text).to_owned() } else { text.to_owned() })
}

/// The tables a statement names.
pub(super) fn tables_of(statement: &Statement) -> Vec<TableName> {
    match statement {
        Statement::CreateTable(table) => vec![table.name.clone()],
        Statement::CreateTableLike { name, .. } | Statement::Truncate(name) => vec![name.clone()],
        Statement::AlterTable { name, clauses } => {
            let renamed = clauses.iter().filter_map(|clause| match clause {
                super::AlterClause::RenameTo(name) => Some(name.clone()),
                _ => None,
            });
            std::iter::once(name.clone()).chain(renamed).collect()
        }
        Statement::RenameTables(renames) => {
            renames.iter().flat_map(|rename| [rename.from.clone(), rename.to.clone()]).collect()
        }
        Statement::DropTables { names, .. } => names.clone(),
        Statement::CreateIndex { table, .. } | Statement::DropIndex { table } => vec![table.clone()],
        Statement::Database { .. }
        | Statement::DropDatabase(_)
        | Statement::Use(_)
        | Statement::Set(_)
        | Statement::Ignored(_) => Vec::new(),
    }
}

/// The tables that a text which does not parse seems to touch: the name behind each TABLE, and the names of a list
/// behind it.
pub(super) fn guess_tables(cursor: &Cursor<'_>) -> Vec<TableName> {
    const MOST: usize = 64;
    let mut tables = Vec::new();
    let mut n = 0;
    while let Some(token) = cursor.ahead(n) {
        n += 1;
        if token.kind != Kind::Word || !is_one_of(cursor.text(token), &["TABLE", "TABLES", "TO", "RENAME"]) {
            continue;
        }
        let mut place = cursor.from(n);
        place.if_not_exists();
        place.if_exists();
        // A text that names more tables than this is no statement anybody wrote.
        for _ in 0..MOST {
            let Ok(name) = place.table_name() else { break };
            if !tables.contains(&name) {
                tables.push(name);
            }
            if !place.accept_sym(',') {
                break;
            }
        }
        if tables.len() >= MOST {
            break;
        }
    }
    tables
}
