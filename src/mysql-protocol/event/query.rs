//! QUERY: a statement, and what of its session is needed to understand it.

use crate::cursor::Cursor;
use crate::error::{DecodeError, Result};

/// A statement as the server logged it.
#[derive(Clone, Copy, Debug)]
pub struct QueryEvent<'a> {
    /// The connection that ran it.
    pub thread_id: u32,
    /// Seconds it took.
    pub exec_time: u32,
    /// The error it ended with, 0 for none.
    pub error_code: u16,
    /// The default database, in UTF-8; empty if there was none.
    pub schema: &'a [u8],
    /// The statement, in the character set of [`QueryStatus::client_charset`].
    pub sql: &'a [u8],
    status: &'a [u8],
}

/// What the session of a statement was set to. Fields are `None` where the server does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStatus<'a> {
    /// OPTION_* bits of the session.
    pub flags2: Option<u32>,
    /// `sql_mode` as a bit mask.
    pub sql_mode: Option<u64>,
    /// Collation number of `character_set_client`.
    pub client_charset: Option<u16>,
    /// Number of `collation_connection`.
    pub connection_collation: Option<u16>,
    /// Number of `collation_server`.
    pub server_collation: Option<u16>,
    /// Number of `collation_database`.
    pub database_collation: Option<u16>,
    /// Number of `default_collation_for_utf8mb4`.
    pub utf8mb4_collation: Option<u16>,
    /// `time_zone`.
    pub time_zone: Option<&'a [u8]>,
    /// Microseconds of the statement's start, to be added to the event's seconds.
    pub microseconds: Option<u32>,
    /// Number of databases the statement changed; 254 means more than are listed.
    pub updated_db_count: Option<u8>,
    /// Their names, each with its closing NUL.
    updated_dbs: &'a [u8],
    /// `explicit_defaults_for_timestamp`.
    pub explicit_defaults_for_timestamp: Option<bool>,
    /// Transaction number of an atomic DDL statement.
    pub ddl_xid: Option<u64>,
}

impl<'a> QueryStatus<'a> {
    /// Names of the databases the statement changed, in UTF-8.
    pub fn updated_dbs(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let names = self.updated_dbs.strip_suffix(&[0]);
        names.into_iter().flat_map(|names| names.split(|b| *b == 0))
    }
}

impl<'a> QueryEvent<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self> {
        let mut c = Cursor::new(body, "QUERY event");
        let thread_id = c.u32()?;
        let exec_time = c.u32()?;
        let schema_len = c.u8()?;
        let error_code = c.u16()?;
        let status_len = c.u16()?;
        let status = c.take(usize::from(status_len))?;
        let schema = c.take(usize::from(schema_len))?;
        if c.u8()? != 0 {
            return Err(c.invalid("database name without its closing NUL"));
        }
        Ok(QueryEvent { thread_id, exec_time, error_code, schema, sql: c.take_rest(), status })
    }

    /// Decodes the status variables. They carry no lengths, so reading ends at the first unknown one; those known to
    /// this crate come before any that later releases add.
    ///
    /// # Errors
    /// A known variable is cut short.
    pub fn status(&self) -> Result<QueryStatus<'a>> {
        const WHAT: &str = "QUERY status variables";
        let mut c = Cursor::new(self.status, WHAT);
        let mut s = QueryStatus::default();
        while !c.is_empty() {
            match c.u8()? {
                0 => s.flags2 = Some(c.u32()?),
                1 => s.sql_mode = Some(c.u64()?),
                // Catalog, with a closing NUL.
                2 => {
                    c.bytes8()?;
                    c.u8()?;
                }
                // auto_increment_increment and auto_increment_offset.
                3 => {
                    c.u32()?;
                }
                4 => {
                    s.client_charset = Some(c.u16()?);
                    s.connection_collation = Some(c.u16()?);
                    s.server_collation = Some(c.u16()?);
                }
                5 => s.time_zone = Some(c.bytes8()?),
                // Catalog, without a closing NUL.
                6 => {
                    c.bytes8()?;
                }
                // lc_time_names.
                7 => {
                    c.u16()?;
                }
                8 => s.database_collation = Some(c.u16()?),
                // Tables updated, a bit mask.
                9 => {
                    c.u64()?;
                }
                // Bytes written on the first server.
                10 => {
                    c.u32()?;
                }
                // Invoker: user and host.
                11 => {
                    c.bytes8()?;
                    c.bytes8()?;
                }
                12 => {
                    let count = c.u8()?;
                    s.updated_db_count = Some(count);
                    // 254 names are "too many" and not listed.
                    let start = c.rest();
                    let from = c.at();
                    if count < 254 {
                        for _ in 0..count {
                            c.until_nul()?;
                        }
                    }
                    s.updated_dbs = start.get(..c.at().saturating_sub(from)).unwrap_or(&[]);
                }
                13 => s.microseconds = Some(c.u24()?),
                16 => s.explicit_defaults_for_timestamp = Some(c.u8()? != 0),
                17 => s.ddl_xid = Some(c.u64()?),
                18 => s.utf8mb4_collation = Some(c.u16()?),
                // sql_require_primary_key, default_table_encryption.
                19 | 20 => {
                    c.u8()?;
                }
                // MariaDB: microseconds.
                128 => s.microseconds = Some(c.u24()?),
                // MariaDB: transaction number of DDL.
                129 => s.ddl_xid = Some(c.u64()?),
                _ => break,
            }
        }
        Ok(s)
    }

    /// The status variables as sent.
    pub fn status_bytes(&self) -> &'a [u8] {
        self.status
    }

    /// The statement if it is UTF-8.
    ///
    /// # Errors
    /// The bytes are not UTF-8: the session's character set is another one, see [`QueryStatus::client_charset`].
    pub fn sql_utf8(&self) -> Result<&'a str> {
        std::str::from_utf8(self.sql).map_err(|e| DecodeError::Invalid {
            what: "QUERY statement",
            at: e.valid_up_to(),
            reason: "not UTF-8",
        })
    }
}
