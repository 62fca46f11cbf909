//! Where the database server is and how to log in, and what its errors mean.
//!
//! Owns no connection; knows nothing of tables.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use engine::error::{Failure, TaskError};

use mysql_async::DriverError;

use crate::config::{ConnectionConfig, MySqlConfig, SslMode, TlsConfig};

/// How to reach and log in to a server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    config: ConnectionConfig,
    keep_alive: bool,
    /// TLS was preferred and could not be spoken with this server.
    plain: Arc<AtomicBool>,
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
    1862, 3118, 3159,
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
        Self { config: config.connection.clone(), keep_alive: config.streaming.keep_alive, plain: Arc::default() }
    }

    /// Host, user, limits.
    pub(crate) fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    /// TLS settings.
    pub(crate) fn tls(&self) -> &TlsConfig {
        &self.config.tls
    }

    /// Whether TLS is tried first and left out when it cannot be had.
    pub(crate) fn prefers_tls(&self) -> bool {
        self.config.tls.mode == SslMode::Preferred
    }

    /// Whether a connection is to begin with TLS.
    pub(crate) fn tries_tls(&self) -> bool {
        self.config.tls.enabled() && !self.plain.load(Ordering::Relaxed)
    }

    /// A TLS handshake failed. Where TLS is only preferred, this and later connections do without.
    ///
    /// # Errors
    /// TLS is required: what was wrong and what to do.
    pub(crate) fn tls_failed(&self, said: &str) -> Result<(), TaskError> {
        if self.prefers_tls() {
            self.plain.store(true, Ordering::Relaxed);
            tracing::warn!(
                "connections to the database at {self} are not encrypted: the TLS handshake failed ({said}) and \
                 database.ssl.mode=preferred allows to do without; set it to required to forbid that, or to disabled"
            );
            return Ok(());
        }
        let advice = if said.contains("certificate verify failed") || said.contains("mismatch") {
            "the server's certificate is not trusted: database.ssl.truststore must hold the authority that signed it, and \
             with database.ssl.mode=verify_identity it must be made for the name in database.hostname (verify_ca does \
             not look at the name)"
        } else if said.contains("alert") {
            "the server did not accept this client's side: check the certificate in database.ssl.keystore, and that the \
             server's ssl_ca holds the authority that signed it"
        } else if ["protocol", "renegotiation", "too small", "no shared cipher"].iter().any(|word| said.contains(word))
        {
            "the server speaks no TLS that is still considered safe (1.2 or newer): upgrade it, or set \
             database.ssl.mode=disabled and protect the network otherwise"
        } else {
            return Err(self.failure("the TLS handshake", None, said));
        };
        let failure = Failure::new(format!("Unable to connect to the database at {self} by TLS: {advice}"));
        Err(TaskError::Definite(failure.caused_by(said)))
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
                 database.password, and database.ssl.mode and database.ssl.keystore if the account requires TLS or a \
                 certificate"
            )),
            // 1045 after the login: COM_REGISTER_SLAVE without REPLICATION SLAVE says it like this.
            Some(1142 | 1143 | 1227 | 1044 | 1045 | 1370) => Failure::new(format!(
                "{doing} needs a privilege that user '{user}' does not have at {self}; usually: GRANT SELECT, RELOAD, \
                 SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES ON *.* TO '{user}'"
            )),
            Some(3159) => Failure::new(format!(
                "The database at {self} takes connections with TLS only (require_secure_transport); set \
                 database.ssl.mode=required"
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
            mysql_async::Error::Driver(DriverError::UnknownAuthPlugin { name }) => TaskError::definite(format!(
                "Failed to authenticate to the database at {self} with user '{}': the account uses the authentication \
                 method {name}, which is not supported; give it another one with ALTER USER '{}' IDENTIFIED WITH \
                 caching_sha2_password (MySQL 8) or mysql_native_password BY '...'",
                self.config.user, self.config.user
            )),
            mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => self.no_tls(),
            other => self.failure(doing, None, other),
        }
    }

    /// TLS is required and not offered.
    pub(crate) fn no_tls(&self) -> TaskError {
        TaskError::definite(format!(
            "database.ssl.mode asks for TLS, but the server at {self} does not offer it: give the server a certificate \
             (ssl_cert, ssl_key), or set database.ssl.mode=disabled"
        ))
    }

    /// A connection or query that took too long.
    pub(crate) fn timed_out(&self, seconds: u64) -> TaskError {
        TaskError::transient(format!(
            "Timed out after {seconds} seconds while waiting to connect to database at {self} with user '{}'",
            self.config.user
        ))
    }
}
