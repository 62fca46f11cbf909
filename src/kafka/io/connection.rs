//! One connection to a broker: TCP, TLS, version check, login, then requests out and answers in.
//!
//! Carries bytes for [`crate::io::sender`] and decides nothing: whatever goes wrong ends the connection with a reason.

use std::{fmt, io::IoSlice, sync::Arc, time::Duration};

use rdkafka::error::RDKafkaErrorCode;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream, lookup_host},
    sync::mpsc::{Receiver, Sender, channel},
    task::AbortHandle,
    time::timeout,
};

use crate::{
    client,
    io::{address::Address, security::Security},
    wire::{
        codec::{Malformed, Reader},
        messages::{self, API_VERSIONS, Api, INIT_PRODUCER_ID, METADATA, PRODUCE, SASL_AUTHENTICATE, SASL_HANDSHAKE},
    },
};

/// Largest answer that is read: the metadata of every topic of a very large cluster is less.
const ANSWER_MAX: usize = 64 << 20;
/// Kafka's error codes of a login.
const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// What every connection of a producer is made with.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    pub(crate) client: String,
    pub(crate) security: Security,
    /// For one address, TCP only.
    pub(crate) connect_timeout: Duration,
    /// For what follows until the connection is ready.
    pub(crate) login_timeout: Duration,
    pub(crate) send_buffer: u32,
}

/// A finished request.
pub(crate) struct Outgoing {
    /// Its bytes, in pieces: our own, and batches that stay with the sender until they are acknowledged.
    pub(crate) pieces: Vec<Piece>,
    /// Set for a request that is never answered: say when it has been written.
    pub(crate) written: Option<i32>,
}

/// A part of a request.
pub(crate) enum Piece {
    Own(Vec<u8>),
    Batch(Arc<Vec<u8>>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Own(bytes) => bytes,
            Piece::Batch(bytes) => bytes,
        }
    }
}

/// What a connection tells; `u64` is its number.
pub(crate) enum Event {
    /// It may be used.
    Ready(u64),
    /// An answer: correlation id and body.
    Answer(u64, i32, Vec<u8>),
    /// A request without an answer is out.
    Written(u64, i32),
    /// It is gone.
    Lost(u64, Lost),
}

/// Why a connection is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) kind: LostKind,
    /// For people; no secret.
    pub(crate) reason: String,
}

/// What may be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LostKind {
    /// The broker or the network is away.
    Network,
    /// The broker closed a connection without saying anything.
    Closed,
    /// Login, certificates.
    Authentication,
    /// The broker does not speak our versions.
    Unsupported,
}

impl Lost {
    fn network(reason: impl fmt::Display) -> Self {
        Self { kind: LostKind::Network, reason: reason.to_string() }
    }

    fn authentication(reason: impl fmt::Display) -> Self {
        Self { kind: LostKind::Authentication, reason: reason.to_string() }
    }
}

impl From<std::io::Error> for Lost {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Self { kind: LostKind::Closed, reason: "the broker closed the connection".into() }
            }
            // Its view of our certificate is told by an alert, after the handshake has ended for us.
            _ if client::is_refusal(RDKafkaErrorCode::BrokerTransportFailure, &error.to_string()) => {
                Self::authentication(error)
            }
            _ => Self::network(error),
        }
    }
}

impl From<Malformed> for Lost {
    fn from(error: Malformed) -> Self {
        Self::network(error)
    }
}

/// The sender's end of a connection; it ends when this is dropped.
pub(crate) struct Handle {
    requests: Sender<Outgoing>,
    task: AbortHandle,
}

impl Handle {
    /// Hands over a request; there is room for as many as may be unanswered. On a connection that is gone it is dropped:
    /// the loss is on its way as an event.
    pub(crate) fn send(&self, request: Outgoing) {
        let _ = self.requests.try_send(request);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens a connection on the current runtime, for at most `requests` unanswered requests at a time, and reports to
/// `events` under `number`.
pub(crate) fn open(address: Address, dial: Arc<Dial>, number: u64, requests: usize, events: Sender<Event>) -> Handle {
    let (requests, outgoing) = channel(requests.max(1));
    let task = tokio::spawn(async move {
        let Err(lost) = run(&address, &dial, number, outgoing, &events).await;
        // The sender may have gone first.
        let _ = events.send(Event::Lost(number, lost)).await;
    });
    Handle { requests, task: task.abort_handle() }
}

async fn run(
    address: &Address,
    dial: &Dial,
    number: u64,
    outgoing: Receiver<Outgoing>,
    events: &Sender<Event>,
) -> Result<std::convert::Infallible, Lost> {
    let stream = connect(address, dial).await?;
    let Some(tls) = &dial.security.tls else { return serve(stream, dial, number, outgoing, events).await };
    let connector = tokio_native_tls::TlsConnector::from(tls.clone());
    let stream = timeout(dial.login_timeout, connector.connect(&address.host, stream))
        .await
        .map_err(|_| Lost::network("the broker did not answer the TLS greeting; does it expect TLS there?"))?
        .map_err(|e| tls_refused(&e))?;
    serve(stream, dial, number, outgoing, events).await
}

/// A wrong certificate stays wrong; a connection that breaks in the handshake may be a broker that starts.
fn tls_refused(error: &native_tls::Error) -> Lost {
    let text = format!("the TLS handshake failed: {error}");
    match text.contains("certificate verify failed") || text.contains("alert") || text.contains("wrong version number")
    {
        true => Lost::authentication(text),
        false => Lost::network(text),
    }
}

async fn connect(address: &Address, dial: &Dial) -> Result<TcpStream, Lost> {
    let found = timeout(dial.connect_timeout, lookup_host((address.host.as_str(), address.port)))
        .await
        .map_err(|_| Lost::network("its name was not resolved in time"))?
        .map_err(|e| Lost::network(format!("its name cannot be resolved: {e}")))?;
    let mut last = Lost::network("its name has no address");
    for target in found {
        let socket = if target.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
        if dial.send_buffer > 0 {
            socket.set_send_buffer_size(dial.send_buffer)?;
        }
        match timeout(dial.connect_timeout, socket.connect(target)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(e)) => last = Lost::network(e),
            Err(_) => last = Lost::network("no connection in time (socket.connection.setup.timeout.ms)"),
        }
    }
    Err(last)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    dial: &Dial,
    number: u64,
    outgoing: Receiver<Outgoing>,
    events: &Sender<Event>,
) -> Result<std::convert::Infallible, Lost> {
    timeout(dial.login_timeout, greet(&mut stream, dial))
        .await
        .map_err(|_| Lost::network("the broker did not answer in time (request.timeout.ms)"))??;
    let _ = events.send(Event::Ready(number)).await;
    let (reading, writing) = tokio::io::split(stream);
    // Each runs to its end only by failing: neither is ever started anew in the middle of a message.
    tokio::select! {
        lost = read(reading, number, events) => lost,
        lost = write(writing, number, outgoing, events) => lost,
    }
}

/// Versions and login.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, dial: &Dial) -> Result<(), Lost> {
    let mut needed = vec![PRODUCE, METADATA, INIT_PRODUCER_ID];
    if dial.security.sasl.is_some() {
        needed.extend([SASL_HANDSHAKE, SASL_AUTHENTICATE]);
    }
    let answer = ask(stream, dial, API_VERSIONS, messages::put_api_versions).await?;
    if let Some(reason) = messages::supported(&answer, &needed)? {
        return Err(Lost { kind: LostKind::Unsupported, reason });
    }
    let Some(credentials) = &dial.security.sasl else { return Ok(()) };
    let mechanism = credentials.mechanism();
    let answer = ask(stream, dial, SASL_HANDSHAKE, |out| messages::put_sasl_handshake(out, mechanism)).await?;
    let (code, offered) = messages::sasl_handshake(&answer)?;
    if code == UNSUPPORTED_SASL_MECHANISM {
        let text = format!("the broker does not offer SASL mechanism {mechanism}, but {}", offered.join(", "));
        return Err(Lost::authentication(text));
    }
    if code != 0 {
        return Err(Lost::authentication(format!("the broker refused the SASL handshake (error {code})")));
    }
    let mut talk = credentials.begin().map_err(Lost::network)?;
    let mut said = Vec::new();
    let failed = |e| Lost::authentication(format!("SASL authentication error: {e}"));
    while let Some(token) = talk.next(&said).map_err(failed)? {
        let answer = ask(stream, dial, SASL_AUTHENTICATE, |out| messages::put_sasl_authenticate(out, &token)).await?;
        let (code, text, bytes) = messages::sasl_authenticate(&answer)?;
        match code {
            0 => said = bytes.to_vec(),
            SASL_AUTHENTICATION_FAILED => {
                let text = text.unwrap_or("the broker refused the login");
                return Err(Lost::authentication(format!("SASL authentication error: {text}")));
            }
            code => return Err(Lost::network(format!("the login failed (error {code})"))),
        }
    }
    Ok(())
}

/// One request and its answer on a connection that nothing else uses yet.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    dial: &Dial,
    api: Api,
    body: impl FnOnce(&mut Vec<u8>),
) -> Result<Vec<u8>, Lost> {
    let mut request = messages::begin(api, 0, &dial.client);
    body(&mut request);
    messages::finish(&mut request, 0);
    stream.write_all(&request).await?;
    stream.flush().await?;
    let (correlation, answer) = receive(stream).await?;
    if correlation != 0 {
        return Err(Lost::network("the broker answered another question"));
    }
    Ok(answer)
}

/// Correlation id and body of the next answer.
async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(i32, Vec<u8>), Lost> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).await?;
    let mut reader = Reader::new(&head);
    let (length, correlation) = (reader.i32()?, reader.i32()?);
    let Some(body) = usize::try_from(length).ok().and_then(|n| n.checked_sub(4)).filter(|n| *n <= ANSWER_MAX) else {
        // A TLS alert or an HTTP answer, read as a length.
        return Err(Lost::network(
            "what listens there does not answer as a Kafka broker; check the port and security.protocol",
        ));
    };
    // Grows with what comes, not with what is promised.
    let mut answer = Vec::with_capacity(body.min(64 << 10));
    if stream.take(body as u64).read_to_end(&mut answer).await? < body {
        return Err(Lost { kind: LostKind::Closed, reason: "the broker closed the connection in an answer".into() });
    }
    Ok((correlation, answer))
}

async fn read<S: AsyncRead + Unpin>(
    mut stream: S,
    number: u64,
    events: &Sender<Event>,
) -> Result<std::convert::Infallible, Lost> {
    loop {
        let (correlation, answer) = receive(&mut stream).await?;
        let _ = events.send(Event::Answer(number, correlation, answer)).await;
    }
}

async fn write<S: AsyncWrite + Unpin>(
    mut stream: S,
    number: u64,
    mut outgoing: Receiver<Outgoing>,
    events: &Sender<Event>,
) -> Result<std::convert::Infallible, Lost> {
    while let Some(request) = outgoing.recv().await {
        write_pieces(&mut stream, &request.pieces).await?;
        stream.flush().await?;
        if let Some(correlation) = request.written {
            let _ = events.send(Event::Written(number, correlation)).await;
        }
    }
    Err(Lost::network("the connection is not needed any more"))
}

/// Writes all pieces, many with one call.
async fn write_pieces<S: AsyncWrite + Unpin>(stream: &mut S, pieces: &[Piece]) -> std::io::Result<()> {
    /// More pieces than this are taken in turns.
    const AT_ONCE: usize = 16;
    for pieces in pieces.chunks(AT_ONCE) {
        let mut slices = [IoSlice::new(&[]); AT_ONCE];
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece.bytes());
        }
        let mut left = &mut slices[..];
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match stream.write_vectored(left).await? {
                0 => return Err(std::io::ErrorKind::WriteZero.into()),
                n => IoSlice::advance_slices(&mut left, n),
            }
        }
    }
    Ok(())
}
