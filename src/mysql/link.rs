//! A connection that speaks MySQL's protocol itself: for the dump of the binary log and for the rows of a snapshot,
//! where the borrowed client would copy each row.

use std::{io, time::Duration};

use engine::error::TaskError;
use mysql_protocol::{
    DecodeError,
    packet::{
        Capabilities, ErrPacket, Handshake, HandshakeResponse, PacketReader,
        auth::{Auth, AuthError, Step},
        command,
        result::{ColumnDefinition, PrepareOk, ResultReader, ResultStep, text_cells},
        write_packet,
    },
};
use openssl::{encrypt::Encrypter, hash::MessageDigest, pkey::PKey, rsa::Padding};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::{LOGGING_IN, Server};

/// Largest packet taken: the server's own limit (`max_allowed_packet` is at most 1 GiB).
const PACKET_MAX: usize = 1 << 30;
/// Bytes asked of the socket at once.
const RECEIVE: usize = 256 << 10;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A logged-in connection.
pub(crate) struct Link {
    server: Server,
    stream: Box<dyn Stream>,
    reader: PacketReader,
    deprecate_eof: bool,
}

impl Link {
    /// Connects and logs in.
    pub(crate) async fn connect(server: &Server) -> Result<Self, TaskError> {
        Self::connect_with(server, false).await
    }

    /// The same, for a connection whose closing does not wait for bytes that are still unsent.
    pub(crate) async fn connect_nongraceful(server: &Server) -> Result<Self, TaskError> {
        Self::connect_with(server, true).await
    }

    async fn connect_with(server: &Server, nongraceful: bool) -> Result<Self, TaskError> {
        let limit = server.config().connect_timeout;
        let connecting = async {
            match Self::log_in(server, server.tries_tls(), nongraceful).await? {
                Some(link) => Ok(link),
                None => Self::log_in(server, false, nongraceful).await?.ok_or_else(|| server.no_tls()),
            }
        };
        let mut link =
            tokio::time::timeout(limit, connecting).await.map_err(|_| server.timed_out(limit.as_secs()))??;
        link.run("SET NAMES utf8mb4").await?;
        Ok(link)
    }

    /// Logs in; `None` when the TLS handshake failed and need not succeed.
    async fn log_in(server: &Server, may_encrypt: bool, nongraceful: bool) -> Result<Option<Self>, TaskError> {
        let lost = |error: &dyn std::fmt::Display| server.failure("connecting", None, error);
        let socket =
            TcpStream::connect((server.config().host.as_str(), server.config().port)).await.map_err(|e| lost(&e))?;
        socket.set_nodelay(true).map_err(|e| lost(&e))?;
        if nongraceful {
            socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).map_err(|e| lost(&e))?;
        }
        if let Some(time) = server.tcp_keep_alive() {
            let keep_alive = socket2::TcpKeepalive::new().with_time(time);
            socket2::SockRef::from(&socket).set_tcp_keepalive(&keep_alive).map_err(|e| lost(&e))?;
        }
        let mut link = Link {
            server: server.clone(),
            stream: Box::new(socket),
            reader: PacketReader::new(PACKET_MAX),
            deprecate_eof: false,
        };
        let greeting = link.packet().await?;
        if ErrPacket::is(&greeting) {
            return Err(link.refused("connecting", &greeting));
        }
        let greeting = Handshake::parse(&greeting).map_err(|e| link.broken(&e))?;
        let mut wanted = HandshakeResponse::CAPABILITIES;
        let tls = may_encrypt && greeting.capabilities.contains(Capabilities::SSL);
        if !tls && server.tls().required() {
            return Err(server.no_tls());
        }
        if tls {
            wanted = wanted | Capabilities::SSL;
        }
        let capabilities = wanted & greeting.capabilities;
        link.deprecate_eof = capabilities.contains(Capabilities::DEPRECATE_EOF);
        let mut auth = Auth::new(
            &greeting.auth_plugin,
            &greeting.scramble,
            server.config().password.expose().as_bytes(),
            tls,
            true,
        );
        let auth_data = auth.initial().map_err(|e| link.auth_failure(e))?;
        let response = HandshakeResponse {
            capabilities,
            max_packet: PACKET_MAX as u32,
            collation: 45,
            user: server.config().user.as_bytes(),
            auth_data: &auth_data,
            database: None,
            auth_plugin: auth.method().name(),
            attributes: &[("program_name", "afterimage")],
        };
        let mut payload = Vec::new();
        if tls {
            response.write_ssl_request(&mut payload);
            link.send(&payload).await?;
            payload.clear();
            match link.encrypt().await? {
                Some(encrypted) => link = encrypted,
                None => return Ok(None),
            }
        }
        response.write(&mut payload);
        link.send(&payload).await?;
        loop {
            let answer = link.packet().await?;
            match auth.on_packet(&answer).map_err(|e| link.auth_failure(e))? {
                Step::Send(payload) => link.send(&payload).await?,
                Step::Encrypt { public_key, password } => {
                    let encrypted = encrypt_password(&public_key, &password).map_err(|e| link.broken(&e))?;
                    link.send(&encrypted).await?;
                }
                Step::Wait => {}
                Step::Done(_) => return Ok(Some(link)),
            }
        }
    }

    async fn encrypt(self) -> Result<Option<Self>, TaskError> {
        let Self { server, stream, reader, deprecate_eof } = self;
        if !reader.is_empty() {
            return Err(server.failure("switching to TLS", None, "the server sent bytes before the TLS handshake"));
        }
        let connector = server.tls().connector().map_err(TaskError::definite)?;
        let connector = tokio_native_tls::TlsConnector::from(connector);
        match connector.connect(&server.config().host, stream).await {
            Ok(stream) => Ok(Some(Self { server, stream: Box::new(stream), reader, deprecate_eof })),
            Err(error) => server.tls_failed(&error.to_string()).map(|()| None),
        }
    }

    fn auth_failure(&self, error: AuthError) -> TaskError {
        match error {
            AuthError::Refused(refused) => self.server.failure(LOGGING_IN, Some(refused.code), refused.message),
            other => TaskError::definite(format!(
                "Failed to authenticate to the database at {} with user '{}': {other}",
                self.server,
                self.server.config().user
            )),
        }
    }

    fn refused(&self, doing: &str, payload: &[u8]) -> TaskError {
        match ErrPacket::parse(payload) {
            Ok(error) => self.server.failure(doing, Some(error.code), error.message),
            Err(error) => self.broken(&error),
        }
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> TaskError {
        self.server.failure("reading the server's answer", None, error)
    }

    /// Sends a payload as the next packet of the exchange.
    async fn send(&mut self, payload: &[u8]) -> Result<(), TaskError> {
        let mut frames = Vec::with_capacity(payload.len() + 4);
        let sequence = write_packet(&mut frames, self.reader.next_sequence(), payload);
        self.reader.expect_sequence(sequence);
        let written = async {
            self.stream.write_all(&frames).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| self.server.failure("sending a command", None, error))
    }

    /// Starts a new exchange with a command.
    pub(crate) async fn command(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), TaskError> {
        let mut payload = Vec::new();
        write(&mut payload);
        self.reader.expect_sequence(0);
        self.send(&payload).await
    }

    /// Waits for more bytes of the server.
    pub(crate) async fn receive(&mut self) -> Result<(), TaskError> {
        let read = self.stream.read(self.reader.room(RECEIVE)).await;
        let error = match read {
            Ok(n) if n > 0 => {
                self.reader.received(n);
                return Ok(());
            }
            Ok(_) => io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"),
            Err(error) => error,
        };
        Err(self.server.failure("reading", None, error))
    }

    /// The next packet that has arrived whole.
    pub(crate) fn poll(&mut self) -> Result<Option<&[u8]>, TaskError> {
        match self.reader.poll() {
            Ok(packet) => Ok(packet.map(|packet| packet.payload)),
            Err(error) => Err(self.server.failure("reading the server's answer", None, error)),
        }
    }

    async fn packet(&mut self) -> Result<Vec<u8>, TaskError> {
        loop {
            if let Some(payload) = self.poll()? {
                return Ok(payload.to_vec());
            }
            self.receive().await?;
        }
    }

    /// Runs a statement and drops its rows.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), TaskError> {
        self.command(|out| command::query(out, sql)).await?;
        let mut result = ResultReader::new(self.deprecate_eof);
        loop {
            let payload = self.packet().await?;
            match result.on_packet(&payload).map_err(|error| self.broken(&error))? {
                ResultStep::Ok(_) | ResultStep::End { more: false } => return Ok(()),
                ResultStep::Next | ResultStep::Row(_) | ResultStep::End { more: true } => {}
                ResultStep::Error(error) => {
                    return Err(self.server.failure(&format!("`{sql}`"), Some(error.code), error.message));
                }
            }
        }
    }

    /// The first column of the first row of a query, as text.
    pub(crate) async fn value(&mut self, sql: &str) -> Result<Option<String>, TaskError> {
        self.command(|out| command::query(out, sql)).await?;
        let mut result = ResultReader::new(self.deprecate_eof);
        let mut value = None;
        loop {
            let payload = self.packet().await?;
            match result.on_packet(&payload).map_err(|error| self.broken(&error))? {
                ResultStep::Row(row) if value.is_none() => {
                    let mut cells = Vec::new();
                    let columns = 1;
                    text_cells(row, columns, &mut cells).map_err(|error| self.broken(&error))?;
                    let cell = cells.first().and_then(|cell| cell.of(row));
                    value = Some(cell.map(|cell| String::from_utf8_lossy(cell).into_owned()));
                }
                ResultStep::Ok(_) | ResultStep::End { more: false } => return Ok(value.flatten()),
                ResultStep::Next | ResultStep::Row(_) | ResultStep::End { more: true } => {}
                ResultStep::Error(error) => {
                    return Err(self.server.failure(&format!("`{sql}`"), Some(error.code), error.message));
                }
            }
        }
    }

    /// Waits for the OK of a command that has no rows.
    pub(crate) async fn expect_ok(&mut self, doing: &str) -> Result<(), TaskError> {
        let answer = self.packet().await?;
        if ErrPacket::is(&answer) {
            return Err(self.refused(doing, &answer));
        }
        Ok(())
    }

    /// Prepares and starts a SELECT; its rows come in the binary protocol, by [`Rows::next`].
    pub(crate) async fn select(&mut self, sql: &str) -> Result<Rows<'_>, TaskError> {
        let doing = format!("`{}`", sql.chars().take(200).collect::<String>());
        self.command(|out| command::prepare(out, sql)).await?;
        let answer = self.packet().await?;
        if ErrPacket::is(&answer) {
            return Err(self.refused(&doing, &answer));
        }
        let prepared = PrepareOk::parse(&answer).map_err(|error| self.broken(&error))?;
        for _ in 0..prepared.packets_following(self.deprecate_eof) {
            self.packet().await?;
        }
        self.command(|out| command::execute(out, prepared.statement)).await?;
        let result = ResultReader::new(self.deprecate_eof);
        let mut rows = Rows { link: self, statement: prepared.statement, result, doing, first: None, ended: false };
        // The columns are complete with the first row or the end.
        rows.first = rows.advance().await?;
        Ok(rows)
    }
}

/// The rows of a running SELECT.
pub(crate) struct Rows<'l> {
    link: &'l mut Link,
    statement: u32,
    result: ResultReader,
    doing: String,
    first: Option<Vec<u8>>,
    ended: bool,
}

/// What a poll of rows gives.
pub(crate) enum Polled<'a> {
    /// A row packet, for [`mysql_protocol::packet::result::binary_cells`].
    Row(&'a [u8]),
    /// More bytes are needed: call [`Rows::receive`].
    Pending,
    /// No more rows.
    End,
}

impl Rows<'_> {
    /// The columns of the result.
    pub(crate) fn columns(&self) -> &[ColumnDefinition] {
        self.result.columns()
    }

    /// The first row, which was read together with the columns.
    pub(crate) fn take_first(&mut self) -> Option<Vec<u8>> {
        self.first.take()
    }

    /// The next row that has arrived.
    pub(crate) fn poll(&mut self) -> Result<Polled<'_>, TaskError> {
        if self.ended {
            return Ok(Polled::End);
        }
        // Split borrows: the payload lives in the link, errors need its server.
        let Self { link, result, doing, ended, .. } = self;
        let Link { server, reader, .. } = &mut **link;
        let failed = |error: DecodeError| server.failure("reading the server's answer", None, error);
        let Some(packet) = reader.poll().map_err(failed)? else { return Ok(Polled::Pending) };
        match result.on_packet(packet.payload).map_err(failed)? {
            ResultStep::Row(row) => Ok(Polled::Row(row)),
            ResultStep::Ok(_) | ResultStep::End { .. } => {
                *ended = true;
                Ok(Polled::End)
            }
            ResultStep::Next => Ok(Polled::Pending),
            ResultStep::Error(error) => Err(server.failure(doing, Some(error.code), error.message)),
        }
    }

    /// Waits for more bytes if none are left to be polled.
    pub(crate) async fn receive(&mut self) -> Result<(), TaskError> {
        self.link.receive().await
    }

    async fn advance(&mut self) -> Result<Option<Vec<u8>>, TaskError> {
        loop {
            let payload = self.link.packet().await?;
            match self.result.on_packet(&payload).map_err(|error| self.link.broken(&error))? {
                ResultStep::Row(row) => return Ok(Some(row.to_vec())),
                ResultStep::Ok(_) | ResultStep::End { .. } => {
                    self.ended = true;
                    return Ok(None);
                }
                ResultStep::Next => {}
                ResultStep::Error(error) => {
                    return Err(self.link.server.failure(&self.doing, Some(error.code), error.message));
                }
            }
        }
    }

    /// Forgets the statement; only after the end.
    pub(crate) async fn close(self) -> Result<(), TaskError> {
        let statement = self.statement;
        self.link.command(|out| command::close(out, statement)).await
    }
}

/// RSA with OAEP, as `caching_sha2_password` and `sha256_password` want it.
fn encrypt_password(public_key: &[u8], password: &[u8]) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let key = PKey::public_key_from_pem(public_key)?;
    let mut encrypter = Encrypter::new(&key)?;
    encrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
    encrypter.set_rsa_oaep_md(MessageDigest::sha1())?;
    let mut encrypted = vec![0; encrypter.encrypt_len(password)?];
    let length = encrypter.encrypt(password, &mut encrypted)?;
    encrypted.truncate(length);
    Ok(encrypted)
}
