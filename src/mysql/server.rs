//! Where the database server is and how to log in, and what its errors mean.
//!
//! Owns no connection; knows nothing of tables.

use std::{fmt, time::Duration};

use engine::error::{Failure, TaskError};

use crate::config::{ConnectionConfig, MySqlConfig, SslMode, TlsConfig};

/// How to reach and log in to a server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    config: ConnectionConfig,
    keep_alive: bool,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.config.host, self.config.port)
    }
}

/// MySQL server error numbers that repeat themselves until a person acts: wrong password, missing privilege,
/// unknown database, table or column, broken SQL, a log position the server cannot serve.
/// <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>
const DEFINITE: &[u16] = &[
    1044, 1045, 1049, 1054, 1064, 1103, 1115, 1142, 1143, 1146, 1193, 1227, 1236, 1298, 1370, 1410, 1419, 1698, 1820,
    1862, 3118,
];

/// Errors whose text quotes values: duplicates, values that do not convert or fit, what a SIGNAL says. Statements of users
/// (`heartbeat.action.query`, `database.initial.statements`) meet them, and row values belong into no log.
const QUOTES_VALUES: &[u16] = &[
    1062, 1292, 1300, 1366, 1367, 1411, 1525, 1526, 1586, 1644, 1690, 1761, 1762, 1859, 3140, 3141, 3156, 3157, 3854,
    3903,
];

/// What is being done while a user logs in, in [`Server::failure`].
pub(crate) const LOGGING_IN: &str = "logging in";

/// Login was refused.
const LOGIN: &[u16] = &[1045, 1698, 1820, 1862, 3118, 1251, 2059];

impl Server {
    /// The server of a connector's configuration.
    pub(crate) fn new(config: &MySqlConfig) -> Self {
        Self { config: config.connection.clone(), keep_alive: config.streaming.keep_alive }
    }

    /// Host, user, limits.
    pub(crate) fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    /// TLS settings.
    pub(crate) fn tls(&self) -> &TlsConfig {
        &self.config.tls
    }

    /// Whether TLS is tried first and left out when the server does not offer it.
    pub(crate) fn prefers_tls(&self) -> bool {
        self.config.tls.mode == SslMode::Preferred
    }

    /// The interval of TCP's own probes.
    pub(crate) fn tcp_keep_alive(&self) -> Option<Duration> {
        self.keep_alive.then_some(Duration::from_secs(60))
    }

    /// What an error of a query or a connection means: what was being done, what the server said, what to do.
    pub(crate) fn failure(&self, doing: &str, code: Option<u16>, said: impl fmt::Display) -> TaskError {
        let user = &self.config.user;
        let failure = match code {
            Some(code) if LOGIN.contains(&code) && doing == LOGGING_IN => Failure::new(format!(
                "Failed to authenticate to the database at {self} with user '{user}'; check database.user and \
                 database.password"
            )),
            // 1045 after the login: COM_REGISTER_SLAVE without REPLICATION SLAVE says it like this.
            Some(1142 | 1143 | 1227 | 1044 | 1045 | 1370) => Failure::new(format!(
                "{doing} needs a privilege that user '{user}' does not have at {self}; usually: GRANT SELECT, RELOAD, \
                 SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES ON *.* TO '{user}'"
            )),
            Some(_) => Failure::new(format!("{doing} failed at {self}")),
            None => Failure::new(format!("Unable to connect to the database at {self} with user '{user}' ({doing})")),
        };
        let failure = match code {
            Some(code) if QUOTES_VALUES.contains(&code) => failure.caused_by(format!(
                "server error {code}, whose text quotes values and is left out; run it by hand to see it"
            )),
            Some(code) => failure.caused_by(format!("server error {code}: {said}")),
            None => failure.caused_by(said),
        };
        match code {
            Some(code) if DEFINITE.contains(&code) => TaskError::Definite(failure),
            _ => TaskError::Transient(failure),
        }
    }

    /// The same for an error of mysql_async.
    pub(crate) fn client_failure(&self, doing: &str, error: &mysql_async::Error) -> TaskError {
        match error {
            mysql_async::Error::Server(error) => self.failure(doing, Some(error.code), &error.message),
            other => self.failure(doing, None, other),
        }
    }

    /// A connection or query that took too long.
    pub(crate) fn timed_out(&self, seconds: u64) -> TaskError {
        TaskError::transient(format!(
            "Timed out after {seconds} seconds while waiting to connect to database at {self} with user '{}'",
            self.config.user
        ))
    }
}
