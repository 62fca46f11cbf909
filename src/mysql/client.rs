//! SQL connections: catalogue queries, locks, checks. Rows of snapshots do not pass here.

use std::time::Duration;

use engine::error::TaskError;
use mysql_async::{
    ClientIdentity, Conn, DriverError, IoError, Opts, OptsBuilder, Row, SslOpts,
    prelude::{FromRow, Queryable},
};

use crate::{
    config::SslMode,
    server::{LOGGING_IN, Server},
};

/// A connection with its server, for errors that name it.
pub(crate) struct Client {
    server: Server,
    conn: Conn,
}

/// A statement that was not carried out.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The server's SQL state; `None` when there was no answer.
    pub(crate) state: Option<String>,
    /// What happened.
    pub(crate) error: TaskError,
}

impl Client {
    /// Logs in and sets up the session.
    ///
    /// # Errors
    /// Login refused or a bad statement of `database.initial.statements` (definite), server away (transient).
    pub(crate) async fn connect(server: &Server) -> Result<Self, TaskError> {
        let limit = server.config().connect_timeout;
        let connecting = async {
            let failed = |error: mysql_async::Error| server.client_failure(LOGGING_IN, &error);
            match Conn::new(options(server, server.tries_tls())?).await {
                Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer)) if server.prefers_tls() => {}
                Err(mysql_async::Error::Io(IoError::Tls(error))) => server.tls_failed(&error.to_string())?,
                other => return other.map_err(failed),
            }
            Conn::new(options(server, false)?).await.map_err(failed)
        };
        let conn = tokio::time::timeout(limit, connecting).await.map_err(|_| server.timed_out(limit.as_secs()))??;
        let mut client = Self { server: server.clone(), conn };
        client.run("SET NAMES utf8mb4").await?;
        client.run("SET SESSION sql_mode = REPLACE(REPLACE(@@sql_mode, 'ANSI_QUOTES', ''), 'ANSI', '')").await?;
        for statement in &server.config().initial_statements {
            client.run(statement).await?;
        }
        Ok(client)
    }

    /// Runs a statement and drops its result.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), TaskError> {
        let limit = limit(&self.server);
        let done = tokio::time::timeout(limit, self.conn.query_drop(sql)).await;
        finish(&self.server, sql, done)
    }

    /// Runs a statement of the user's; an answer of the server is told from a broken connection by its SQL state.
    pub(crate) async fn run_for_user(&mut self, option: &str, sql: &str) -> Result<(), Refused> {
        match tokio::time::timeout(limit(&self.server), self.conn.query_drop(sql)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let state = match &error {
                    mysql_async::Error::Server(error) => Some(error.state.clone()),
                    _ => None,
                };
                Err(Refused { state, error: self.server.client_failure(option, &error) })
            }
            Err(_) => Err(Refused { state: None, error: too_slow(&self.server, option) }),
        }
    }

    /// All rows of a query.
    pub(crate) async fn rows<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Vec<T>, TaskError> {
        let limit = limit(&self.server);
        let done = tokio::time::timeout(limit, self.conn.query::<T, _>(sql)).await;
        finish(&self.server, sql, done)
    }

    /// The first row of a query.
    pub(crate) async fn first<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Option<T>, TaskError> {
        let limit = limit(&self.server);
        let done = tokio::time::timeout(limit, self.conn.query_first::<T, _>(sql)).await;
        finish(&self.server, sql, done)
    }

    /// The first row as text by column position; NULL and missing columns are `None`.
    pub(crate) async fn texts(&mut self, sql: &str) -> Result<Option<Vec<Option<String>>>, TaskError> {
        let row = self.first::<Row>(sql).await?;
        Ok(row.map(|row| {
            let values = row.unwrap_raw().into_iter();
            values
                .map(|value| value.and_then(|v| mysql_async::from_value_opt::<Option<String>>(v).ok().flatten()))
                .collect()
        }))
    }

    /// Ends the connection politely.
    pub(crate) async fn close(self) {
        // It is going away either way.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.conn.disconnect()).await;
    }
}

/// How long a statement may take.
pub(crate) fn limit(server: &Server) -> Duration {
    server.config().query_timeout.unwrap_or(Duration::from_secs(365 * 86_400))
}

fn finish<T>(
    server: &Server,
    sql: &str,
    done: Result<Result<T, mysql_async::Error>, tokio::time::error::Elapsed>,
) -> Result<T, TaskError> {
    // Statements of ours only; the user's own (overrides, initial statements) may be long.
    let doing = format!("`{}`", sql.chars().take(200).collect::<String>());
    match done {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => Err(server.client_failure(&doing, &error)),
        Err(_) => Err(too_slow(server, &doing)),
    }
}

/// A statement that took too long.
pub(crate) fn too_slow(server: &Server, doing: &str) -> TaskError {
    TaskError::transient(format!("{doing} did not finish within database.query.timeout.ms at {server}"))
}

fn options(server: &Server, tls: bool) -> Result<Opts, TaskError> {
    let config = server.config();
    let mut builder = OptsBuilder::default()
        .ip_or_hostname(config.host.clone())
        .tcp_port(config.port)
        .user(Some(config.user.clone()))
        .pass(Some(config.password.expose().to_owned()))
        .prefer_socket(false)
        .tcp_keepalive(server.tcp_keep_alive())
        .stmt_cache_size(0);
    if tls {
        let mode = server.tls().mode;
        let verify = matches!(mode, SslMode::VerifyCa | SslMode::VerifyIdentity);
        let material = server.tls().load().map_err(TaskError::definite)?;
        let authorities: Vec<_> = material.authorities.into_iter().map(Into::into).collect();
        let mut ssl = SslOpts::default()
            .with_danger_accept_invalid_certs(!verify)
            .with_danger_skip_domain_validation(mode != SslMode::VerifyIdentity)
            .with_disable_built_in_roots(!authorities.is_empty())
            .with_root_certs(authorities);
        if let Some((archive, password)) = material.identity {
            let identity = ClientIdentity::new(archive.into()).with_password(password.expose().to_owned());
            ssl = ssl.with_client_identity(Some(identity));
        }
        builder = builder.ssl_opts(ssl);
    }
    Ok(builder.into())
}
