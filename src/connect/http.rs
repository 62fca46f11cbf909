//! Listening: binds addresses with clear errors, serves a router on each, plain or over TLS, until told to stop.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{error::StartError, worker::Listener};

/// How long open requests may take once the listener closes.
const DRAIN: Duration = Duration::from_secs(5);

/// An address that is bound.
pub(crate) struct Bound {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Binds all addresses of a setting.
///
/// # Errors
/// One cannot be bound: taken by another process, or not ours.
pub(crate) async fn bind(setting: &str, listeners: &[Listener]) -> Result<Vec<Bound>, StartError> {
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        if listener.https {
            return Err(StartError::refused(format!(
                "{setting}: {listener} asks for TLS, which the REST API does not serve yet: use http:// and put a \
                 proxy in front"
            )));
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
        bound.push(Bound { listener: socket, address });
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
        .map(|bound| {
            let (router, mut stopped) = (router.clone(), stop.subscribe());
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            // Answers are small and are to be sent at once.
            let listener = bound.listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            tokio::spawn(async move {
                let served = axum::serve(listener, service).with_graceful_shutdown(async move {
                    while !*stopped.borrow() && stopped.changed().await.is_ok() {}
                });
                if let Err(error) = served.await {
                    tracing::error!("listener {} ended: {error}", bound.address);
                }
            })
        })
        .collect();
    Served { stop, joins }
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
