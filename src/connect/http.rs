//! Listening: binds addresses with clear errors, serves a router on each, plain or over TLS, until told to stop.

mod tls;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    serve::{Listener as Accepting, ListenerExt},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    error::StartError,
    worker::{Listener, ServerTls},
};

/// How long open requests may take once the listener closes.
const DRAIN: Duration = Duration::from_secs(5);

/// An address that is bound.
pub(crate) struct Bound {
    listener: TcpListener,
    tls: Option<ServerTls>,
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// Binds all addresses of a setting; those of https with `tls`.
///
/// # Errors
/// One cannot be bound: taken by another process, or not ours.
pub(crate) async fn bind(
    setting: &str,
    listeners: &[Listener],
    tls: Option<&ServerTls>,
) -> Result<Vec<Bound>, StartError> {
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        let tls = tls.filter(|_| listener.https).cloned();
        if listener.https && tls.is_none() {
            return Err(StartError::refused(format!("{setting}: {listener} has no key store")));
        }
        let host = listener.bind_host();
        let socket = TcpListener::bind((host, listener.port)).await.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => StartError::InUse(format!(
                "port {} of {listener} is in use by another process: stop it, or choose another port with {setting}",
                listener.port
            )),
            _ => StartError::InUse(format!("could not listen on {listener} ({setting}): {error}")),
        })?;
        let address = socket.local_addr().map_err(|e| StartError::Failed(format!("{listener}: {e}")))?;
        bound.push(Bound { listener: socket, tls, address });
    }
    Ok(bound)
}

/// A served router; dropping it does not stop it.
pub(crate) struct Served {
    stop: Arc<watch::Sender<bool>>,
    joins: Vec<JoinHandle<()>>,
}

/// Serves a router on bound addresses.
pub(crate) fn serve(bound: Vec<Bound>, router: Router) -> Served {
    let stop = Arc::new(watch::channel(false).0);
    let joins = bound
        .into_iter()
        .map(|Bound { listener, tls, address }| {
            let (router, stopped) = (router.clone(), stop.subscribe());
            match tls {
                Some(tls) => tokio::spawn(run(tls::TlsListener::new(listener, address, tls), router, stopped)),
                None => tokio::spawn(run(listener, router, stopped)),
            }
        })
        .collect();
    Served { stop, joins }
}

async fn run<L: Accepting<Addr = SocketAddr>>(listener: L, router: Router, mut stopped: watch::Receiver<bool>)
where
    L::Io: Nagle,
{
    let address = listener.local_addr();
    // Answers are small and are to be sent at once.
    let listener = listener.tap_io(|stream| stream.send_at_once());
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service)
        .with_graceful_shutdown(async move { while !*stopped.borrow() && stopped.changed().await.is_ok() {} });
    if let Err(error) = served.await {
        tracing::error!("listener {address:?} ended: {error}");
    }
}

/// A stream whose small pieces the system may hold back.
trait Nagle {
    /// Switches that off, as well as it goes.
    fn send_at_once(&self);
}

impl Nagle for tokio::net::TcpStream {
    fn send_at_once(&self) {
        drop(self.set_nodelay(true));
    }
}

impl Served {
    /// Takes no more requests and waits a little for those that are open.
    pub(crate) async fn close(self) {
        self.stop.send_replace(true);
        for mut join in self.joins {
            if tokio::time::timeout(DRAIN, &mut join).await.is_err() {
                join.abort();
            }
        }
    }
}
