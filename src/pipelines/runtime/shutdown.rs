//! One signal that threads and tasks both wait on.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// A request to stop, shared by clones. Once triggered it stays triggered.
#[derive(Debug, Clone)]
pub struct Shutdown {
    flag: Arc<(Mutex<bool>, Condvar)>,
    channel: watch::Sender<bool>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { flag: Arc::default(), channel: watch::Sender::new(false) }
    }
}

impl Shutdown {
    /// A signal that nobody has triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop.
    pub fn trigger(&self) {
        let (flag, wake) = &*self.flag;
        *flag.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
        self.channel.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_triggered(&self) -> bool {
        *self.channel.borrow()
    }

    /// Ends when somebody asks.
    pub async fn wait(&self) {
        // The sender lives in self, so the channel cannot close while this waits.
        let _ = self.channel.subscribe().wait_for(|stop| *stop).await;
    }

    /// Pauses this thread for `time`, or less when asked to stop. Returns whether to go on.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let (flag, wake) = &*self.flag;
        let stopped = flag.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, _) =
            wake.wait_timeout_while(stopped, time, |stopped| !*stopped).unwrap_or_else(PoisonError::into_inner);
        !*stopped
    }
}
