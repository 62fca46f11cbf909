//! What the server says about itself and its tables: variables, log files, positions, CREATE statements.

use std::collections::BTreeMap;

use engine::error::TaskError;

use crate::client::Client;

/// Facts about the server that do not change while it runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Whether `gtid_mode` is ON.
    pub(crate) gtid_mode: bool,
    /// `lower_case_table_names`.
    pub(crate) lower_case_table_names: u8,
    /// `character_set_server`.
    pub(crate) character_set: String,
    /// `collation_server`.
    pub(crate) collation: String,
    /// `binlog_format`, `binlog_row_image`, `binlog_row_value_options`, `log_bin` as the server prints them.
    pub(crate) variables: BTreeMap<String, String>,
}

const VARIABLES: &[&str] = &[
    "binlog_format",
    "binlog_row_image",
    "binlog_row_value_options",
    "log_bin",
    "gtid_mode",
    "lower_case_table_names",
    "character_set_server",
    "collation_server",
];

/// A place in the log as the server reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogStatus {
    /// File name.
    pub(crate) file: String,
    /// Byte position.
    pub(crate) position: u64,
    /// Executed GTID set, without blanks and line feeds; empty without GTIDs.
    pub(crate) gtids: String,
}

/// A database and its default character set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// Name.
    pub(crate) name: String,
    /// Default character set.
    pub(crate) charset: String,
    /// Default collation.
    pub(crate) collation: String,
}

/// Reads the facts.
pub(crate) async fn facts(client: &mut Client) -> Result<Facts, TaskError> {
    let names = VARIABLES.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",");
    let rows: Vec<(String, String)> =
        client.rows(&format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")).await?;
    let variables: BTreeMap<String, String> =
        rows.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let get = |name: &str| variables.get(name).cloned().unwrap_or_default();
    Ok(Facts {
        gtid_mode: get("gtid_mode").eq_ignore_ascii_case("on"),
        lower_case_table_names: get("lower_case_table_names").parse().unwrap_or(0),
        character_set: get("character_set_server"),
        collation: get("collation_server"),
        variables,
    })
}

/// The present end of the log.
///
/// # Errors
/// The server keeps no binary log, or the user may not ask.
pub(crate) async fn log_status(client: &mut Client) -> Result<LogStatus, TaskError> {
    // 8.4 renamed the statement; 8.2 and later know the new name.
    let (statement, row) = match client.texts("SHOW BINARY LOG STATUS").await {
        Ok(row) => ("SHOW BINARY LOG STATUS", row),
        Err(_) => ("SHOW MASTER STATUS", client.texts("SHOW MASTER STATUS").await?),
    };
    let mut columns = row.unwrap_or_default().into_iter();
    let (file, position) = (columns.next().flatten(), columns.next().flatten());
    let gtids = columns.nth(2).flatten().unwrap_or_default();
    match (file, position.and_then(|text| text.parse().ok())) {
        (Some(file), Some(position)) => Ok(LogStatus { file, position, gtids: gtids.replace([' ', '\n', '\r'], "") }),
        _ => Err(TaskError::definite(format!(
            "Cannot read the binlog filename and position via '{statement}'. Make sure your server is correctly configured \
             (log_bin must be on)"
        ))),
    }
}

/// Names and sizes of the log files the server still has.
pub(crate) async fn log_files(client: &mut Client) -> Result<Vec<(String, u64)>, TaskError> {
    let rows: Vec<mysql_async::Row> = client.rows("SHOW BINARY LOGS").await?;
    Ok(rows.iter().filter_map(|row| Some((row.get_opt(0)?.ok()?, row.get_opt(1)?.ok()?))).collect())
}

/// `@@GLOBAL.gtid_executed` and `@@GLOBAL.gtid_purged`, without blanks.
pub(crate) async fn gtid_sets(client: &mut Client) -> Result<(String, String), TaskError> {
    let row: Option<(String, String)> = client.first("SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged").await?;
    let (executed, purged) = row.unwrap_or_default();
    let clean = |set: String| set.replace([' ', '\n', '\r'], "");
    Ok((clean(executed), clean(purged)))
}

/// All databases, by name.
pub(crate) async fn databases(client: &mut Client) -> Result<Vec<Database>, TaskError> {
    let rows: Vec<(String, String, String)> = client
        .rows(
            "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA \
             ORDER BY SCHEMA_NAME",
        )
        .await?;
    Ok(rows.into_iter().map(|(name, charset, collation)| Database { name, charset, collation }).collect())
}

/// The base tables of a database, by name.
pub(crate) async fn tables(client: &mut Client, database: &str) -> Result<Vec<String>, TaskError> {
    let sql = format!("SHOW FULL TABLES IN {} WHERE Table_Type = 'BASE TABLE'", quote(database));
    let rows: Vec<(String, String)> = client.rows(&sql).await?;
    let mut names: Vec<String> = rows.into_iter().map(|(name, _)| name).collect();
    names.sort();
    Ok(names)
}

/// The CREATE TABLE statement of a table; `None` when it is gone.
pub(crate) async fn create_table(
    client: &mut Client,
    database: &str,
    table: &str,
) -> Result<Option<String>, TaskError> {
    let sql = format!("SHOW CREATE TABLE {}.{}", quote(database), quote(table));
    match client.first::<(String, String)>(&sql).await {
        Ok(row) => Ok(row.map(|(_, statement)| statement)),
        Err(error) if error.failure().causes.iter().any(|cause| cause.starts_with("server error 1146")) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The server's estimate of a table's rows.
pub(crate) async fn estimated_rows(client: &mut Client, database: &str, table: &str) -> Result<Option<u64>, TaskError> {
    let sql = format!(
        "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        literal(database),
        literal(table)
    );
    Ok(client.first::<Option<u64>>(&sql).await?.flatten())
}

/// An identifier in backticks.
pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
