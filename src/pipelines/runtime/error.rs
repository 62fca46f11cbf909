//! The one error type that callers of a pipeline get.

use std::fmt;

use rdkafka::error::KafkaError;

use super::kafka::is_away;

/// Why a pipeline could not start or go on. The text says what to do; it never holds a secret or a row value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is refused before anything was touched.
    #[error("configuration: {0}")]
    Config(String),
    /// Another process holds what this one needs: the state folder, the port, the transactional id.
    #[error("{0}")]
    InUse(String),
    /// Kafka refused or could not be reached.
    #[error("Kafka: {0}")]
    Kafka(String),
    /// Redis refused or could not be reached.
    #[error("Redis: {0}")]
    Redis(String),
    /// A database refused or could not be reached.
    #[error("{0}")]
    Database(String),
    /// The daemon's REST interface refused or could not be reached.
    #[error("Connect: {0}")]
    Connect(String),
    /// A file or folder could not be used.
    #[error("{0}")]
    Io(String),
    /// A check of `test` did not see what it waited for.
    #[error("{0}")]
    Check(String),
}

impl Error {
    /// An I/O failure with what was being done.
    pub(crate) fn io(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::Io(format!("{doing}: {error}"))
    }

    /// Whether the command line should report refused configuration (exit code 3) rather than a failure.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Config(_) | Self::InUse(_))
    }
}

impl From<KafkaError> for Error {
    fn from(error: KafkaError) -> Self {
        let code = match &error {
            // The value may be a secret.
            KafkaError::ClientConfig(_, problem, setting, _) => {
                return Self::Config(format!("kafka.properties: {setting}: {problem}"));
            }
            KafkaError::ClientCreation(problem) => return Self::Config(format!("kafka: {problem}")),
            KafkaError::AdminOp(code) => Some(*code),
            _ => error.rdkafka_error_code(),
        };
        match code {
            Some(code) if is_away(code) => {
                Self::Kafka(format!("no broker answers ({code}): does it run, and is kafka.bootstrap_servers right?"))
            }
            _ => Self::Kafka(error.to_string()),
        }
    }
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Self {
        if error.is_io_error() || error.is_timeout() {
            return Self::Redis(format!("no answer ({error}): does it run, and is redis.url right?"));
        }
        Self::Redis(error.to_string())
    }
}

/// Errors of MySQL whose texts name users, databases and privileges: access denied, unknown database, no privilege.
const TOLD: &[u16] = &[1044, 1045, 1049, 1142, 1143, 1227, 1698];

impl From<mysql_async::Error> for Error {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(server) if TOLD.contains(&server.code) => {
                Self::Database(format!("MySQL error {}: {}", server.code, server.message))
            }
            // Other texts may quote a value ("Duplicate entry ..."): the code says enough.
            mysql_async::Error::Server(server) => {
                Self::Database(format!("MySQL error {} (SQLSTATE {})", server.code, server.state))
            }
            mysql_async::Error::Io(error) => {
                Self::Database(format!("MySQL: no answer ({error}): does it run, and is mysql.url right?"))
            }
            other => Self::Database(format!("MySQL: {other}")),
        }
    }
}
