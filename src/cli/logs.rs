//! Logging of the commands that are not the daemon: plain lines on the standard error.

use tracing_subscriber::{EnvFilter, fmt};

use crate::Failed;

/// Sets it up, at a level for everything.
pub(crate) fn plain(level: &str) -> Result<(), Failed> {
    let filter = EnvFilter::try_new(level)
        .map_err(|_| Failed::new(2, format!("--log-level {level}: expected error, warn, info, debug or trace")))?;
    fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    Ok(())
}
