//! SQL connections: catalogue queries, locks, checks. Rows of snapshots do not pass here.

use std::time::Duration;

use engine::error::TaskError;
use mysql_async::{
    ClientIdentity, Conn, DriverError, Opts, OptsBuilder, Row, SslOpts,
    prelude::{FromRow, Queryable},
};

use crate::server::{Server, TlsMode};

/// A connection with its server, for errors that name it.
pub struct Client {
    server: Server,
    conn: Conn,
}

impl Client {
    /// Logs in and sets up the session.
    ///
    /// # Errors
    /// Login refused or a bad statement of `database.initial.statements` (definite), server away (transient).
    pub async fn connect(server: &Server) -> Result<Self, TaskError> {
        let limit = server.connect_timeout;
        let connecting = async {
            let preferred = server.tls.mode == TlsMode::Preferred;
            match Conn::new(options(server, server.tls.mode != TlsMode::Disabled)).await {
                Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer)) if preferred => {
                    Conn::new(options(server, false)).await
                }
                other => other,
            }
        };
        let conn = tokio::time::timeout(limit, connecting)
            .await
            .map_err(|_| server.timed_out(limit.as_secs()))?
            .map_err(|error| server.client_failure("logging in", &error))?;
        let mut client = Self { server: server.clone(), conn };
        client.run("SET NAMES utf8mb4").await?;
        client.run("SET SESSION sql_mode = REPLACE(REPLACE(@@sql_mode, 'ANSI_QUOTES', ''), 'ANSI', '')").await?;
        for statement in &server.initial_statements {
            client.run(statement).await?;
        }
        Ok(client)
    }

    /// The server it is connected to.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Runs a statement and drops its result.
    pub async fn run(&mut self, sql: &str) -> Result<(), TaskError> {
        let limit = limit(&self.server);
        let done = tokio::time::timeout(limit, self.conn.query_drop(sql)).await;
        finish(&self.server, sql, done)
    }

    /// All rows of a query.
    pub async fn rows<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Vec<T>, TaskError> {
        let limit = limit(&self.server);
        let done = tokio::time::timeout(limit, self.conn.query::<T, _>(sql)).await;
        finish(&self.server, sql, done)
    }

    /// The first row of a query.
    pub async fn first<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Option<T>, TaskError> {
        let limit = limit(&self.server);
        let done = tokio::time::timeout(limit, self.conn.query_first::<T, _>(sql)).await;
        finish(&self.server, sql, done)
    }

    /// The first row as text by column position; NULL and missing columns are `None`.
    pub async fn texts(&mut self, sql: &str) -> Result<Option<Vec<Option<String>>>, TaskError> {
        let row = self.first::<Row>(sql).await?;
        Ok(row.map(|row| {
            let values = row.unwrap_raw().into_iter();
            values
                .map(|value| value.and_then(|v| mysql_async::from_value_opt::<Option<String>>(v).ok().flatten()))
                .collect()
        }))
    }

    /// Ends the connection politely.
    pub async fn close(self) {
        // It is going away either way.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.conn.disconnect()).await;
    }
}

fn limit(server: &Server) -> Duration {
    if server.query_timeout.is_zero() { Duration::from_secs(365 * 86_400) } else { server.query_timeout }
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
        Err(_) => {
            Err(TaskError::transient(format!("{doing} did not finish within database.query.timeout.ms at {server}")))
        }
    }
}

fn options(server: &Server, tls: bool) -> Opts {
    let mut builder = OptsBuilder::default()
        .ip_or_hostname(server.host.clone())
        .tcp_port(server.port)
        .user(Some(server.user.clone()))
        .pass(Some(server.password.clone()))
        .prefer_socket(false)
        .tcp_keepalive(server.keep_alive.then_some(Duration::from_secs(60)))
        .stmt_cache_size(0);
    if tls {
        let verify = matches!(server.tls.mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity);
        let mut ssl = SslOpts::default()
            .with_danger_accept_invalid_certs(!verify)
            .with_danger_skip_domain_validation(server.tls.mode != TlsMode::VerifyIdentity);
        if let Some(path) = &server.tls.authorities {
            ssl = ssl.with_root_certs(vec![path.clone().into()]);
        }
        if let Some(path) = &server.tls.identity {
            let identity = ClientIdentity::new(path.clone().into()).with_password(server.tls.identity_password.clone());
            ssl = ssl.with_client_identity(Some(identity));
        }
        builder = builder.ssl_opts(ssl);
    }
    builder.into()
}
