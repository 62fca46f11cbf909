//! SIGTERM and SIGINT: the first asks for an orderly stop, the second ends the process at once.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::Failed;

/// Resolves at the first signal; from then on a second one ends the process with 128 and its number.
pub(crate) fn shutdown() -> Result<impl Future<Output = ()>, Failed> {
    let watch = |kind| signal(kind).map_err(|error| Failed::new(1, format!("signals cannot be received: {error}")));
    let mut terminate = watch(SignalKind::terminate())?;
    let mut interrupt = watch(SignalKind::interrupt())?;
    Ok(async move {
        let first = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!("{first} received, stopping; a second signal ends at once");
        tokio::spawn(async move {
            let code = tokio::select! {
                _ = terminate.recv() => 143,
                _ = interrupt.recv() => 130,
            };
            std::process::exit(code);
        });
    })
}
