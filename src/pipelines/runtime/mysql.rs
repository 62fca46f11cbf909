//! Connections to MySQL, for sample data and checks.

use mysql_async::{Conn, prelude::Queryable};

use super::{Error, settings::MysqlSettings};

/// A connection to the database, which is created if absent.
///
/// # Errors
/// [`Error::Config`] for a URL that is none, [`Error::Database`] with the place when the server refuses.
pub async fn connect(settings: &MysqlSettings) -> Result<Conn, Error> {
    let (options, database) = settings.options()?;
    let place = format!("{}:{}", options.ip_or_hostname(), options.tcp_port());
    let mut connection = Conn::new(options).await.map_err(|e| match Error::from(e) {
        Error::Database(text) => Error::Database(format!("connecting to {place}: {text}")),
        other => other,
    })?;
    let quoted = database.replace('`', "``");
    // Creating needs a privilege that using does not.
    if connection.query_drop(format!("USE `{quoted}`")).await.is_err() {
        connection.query_drop(format!("CREATE DATABASE IF NOT EXISTS `{quoted}`")).await?;
        connection.query_drop(format!("USE `{quoted}`")).await?;
    }
    Ok(connection)
}
