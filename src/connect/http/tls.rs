//! Connections over TLS: handshakes side by side, so that a slow client holds up nobody.

use std::{future::pending, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::serve::Listener;
use openssl::ssl::Ssl;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_openssl::SslStream;

use super::Nagle;
use crate::worker::ServerTls;

/// How long a client may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at the same time; more clients wait to be accepted.
const HANDSHAKES: usize = 128;

/// A listener that gives out connections whose handshake is done.
pub(super) struct TlsListener {
    ready: mpsc::Receiver<(SslStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl TlsListener {
    pub(super) fn new(listener: TcpListener, address: SocketAddr, tls: ServerTls) -> Self {
        let (done, ready) = mpsc::channel(HANDSHAKES);
        Self { ready, address, accepting: tokio::spawn(accept(listener, tls, done)) }
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for TlsListener {
    type Io = SslStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The accepting task has ended, which it does only when this listener is dropped.
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Nagle for SslStream<TcpStream> {
    fn send_at_once(&self) {
        self.get_ref().send_at_once();
    }
}

async fn accept(listener: TcpListener, tls: ServerTls, done: mpsc::Sender<(SslStream<TcpStream>, SocketAddr)>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a client that has gone again.
                tracing::debug!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (tls, done) = (tls.clone(), done.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, handshake(&tls, stream)).await {
                Ok(Ok(stream)) => drop(done.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!("TLS handshake with {peer} failed: {error}"),
                Err(_) => tracing::debug!("TLS handshake with {peer} took too long"),
            }
            drop(place);
        });
    }
}

async fn handshake(tls: &ServerTls, stream: TcpStream) -> Result<SslStream<TcpStream>, String> {
    let ssl = Ssl::new(tls.acceptor().context()).map_err(|error| error.to_string())?;
    let mut stream = SslStream::new(ssl, stream).map_err(|error| error.to_string())?;
    Pin::new(&mut stream).accept().await.map_err(|error| error.to_string())?;
    Ok(stream)
}
