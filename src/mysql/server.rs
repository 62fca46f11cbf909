//! Where the database server is and how to log in, and what its errors mean.
//!
//! Owns no connection; knows nothing of tables.

use std::{fmt, path::PathBuf, time::Duration};

use engine::error::{Failure, TaskError};

/// How the connection is encrypted (`database.ssl.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// When the server offers it; the certificate is not checked.
    #[default]
    Preferred,
    /// Always; the certificate is not checked.
    Required,
    /// Always; the certificate must come from a known authority.
    VerifyCa,
    /// The same, and it must name the host.
    VerifyIdentity,
}

/// TLS settings.
#[derive(Clone, Default)]
pub struct Tls {
    /// When.
    pub mode: TlsMode,
    /// PEM file of authorities; the system's when unset.
    pub authorities: Option<PathBuf>,
    /// PKCS#12 file with certificate and key of the client.
    pub identity: Option<PathBuf>,
    /// Its password.
    pub identity_password: String,
}

/// How to reach and log in to a server.
#[derive(Clone)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// TLS.
    pub tls: Tls,
    /// `connect.timeout.ms`.
    pub connect_timeout: Duration,
    /// `database.query.timeout.ms`; zero for none.
    pub query_timeout: Duration,
    /// `database.initial.statements`.
    pub initial_statements: Vec<String>,
    /// `connect.keep.alive`.
    pub keep_alive: bool,
    /// `database.connectionTimeZone`, as `time_zone` of the session; UTC when unset.
    pub time_zone: Option<String>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, authorities, identity, .. } = self;
        f.debug_struct("Tls").field("mode", mode).field("authorities", authorities).field("identity", identity).finish()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self} as {:?}, {:?})", self.user, self.tls)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// MySQL server error numbers that repeat themselves until a person acts: wrong password, missing privilege,
/// unknown database, table or column, broken SQL, a log position the server cannot serve.
/// <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>
const DEFINITE: &[u16] = &[
    1044, 1045, 1049, 1054, 1064, 1103, 1115, 1142, 1143, 1146, 1193, 1227, 1236, 1298, 1370, 1410, 1419, 1698, 1820,
    1862, 3118,
];

/// Login was refused.
const LOGIN: &[u16] = &[1045, 1698, 1820, 1862, 3118, 1251, 2059];

impl Server {
    /// What an error of a query or a connection means: what was being done, what the server said, what to do.
    pub fn failure(&self, doing: &str, code: Option<u16>, said: impl fmt::Display) -> TaskError {
        let Self { user, .. } = self;
        let failure = match code {
            Some(code) if LOGIN.contains(&code) => Failure::new(format!(
                "Failed to authenticate to the database at {self} with user '{user}'; check database.user and \
                 database.password"
            )),
            Some(1142 | 1143 | 1227 | 1044 | 1370) => Failure::new(format!(
                "{doing} needs a privilege that user '{user}' does not have at {self}; usually: GRANT SELECT, RELOAD, \
                 SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES ON *.* TO '{user}'"
            )),
            Some(_) => Failure::new(format!("{doing} failed at {self}")),
            None => Failure::new(format!("Unable to connect to the database at {self} with user '{user}' ({doing})")),
        };
        let failure = match code {
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
            self.user
        ))
    }
}
