//! Connections to Redis, and the removal of many keys.

use std::time::Duration;

use redis::Connection;

use super::{Error, settings::RedisSettings};

/// Keys looked at in one step of a scan.
const SCAN_COUNT: usize = 1_000;

/// A connection to database `db`, or to the URL's own.
///
/// # Errors
/// [`Error::Config`] for settings that cannot be, [`Error::Redis`] when the server does not answer or refuses.
pub fn connect(settings: &RedisSettings, db: Option<i64>) -> Result<Connection, Error> {
    let mut info = settings.connection()?;
    if let Some(db) = db {
        info.redis.db = db;
    }
    let connection = redis::Client::open(info)?
        .get_connection_with_timeout(Duration::from_millis(settings.connect_timeout_ms.max(1)))
        .map_err(|e| Error::Redis(format!("no connection to {}: {e}", settings.place())))?;
    let wait = Duration::from_millis(settings.response_timeout_ms.max(1));
    connection.set_read_timeout(Some(wait))?;
    connection.set_write_timeout(Some(wait))?;
    Ok(connection)
}

/// Removes all keys that match `pattern`, without blocking the server for long. `between` is called after each step
/// and may end it. Returns how many there were.
///
/// # Errors
/// What Redis or `between` said.
pub fn unlink_matching(
    connection: &mut Connection,
    pattern: &str,
    mut between: impl FnMut(&mut Connection) -> Result<(), Error>,
) -> Result<u64, Error> {
    let (mut cursor, mut removed) = (0_u64, 0_u64);
    loop {
        let (next, found): (u64, Vec<String>) =
            redis::cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_COUNT).query(connection)?;
        if !found.is_empty() {
            removed = removed.saturating_add(redis::cmd("UNLINK").arg(found).query(connection)?);
        }
        between(connection)?;
        cursor = next;
        if cursor == 0 {
            return Ok(removed);
        }
    }
}
