//! `afterimage connect`: logging, signals and exit codes around the daemon.

use std::{sync::Arc, time::Duration};

use ::connect::{cluster::KafkaCluster, daemon::Daemon, logging::Loggers, worker::WorkerConfig};
use engine::plugin::ConnectorPlugin;
use mysql::MySqlPlugin;
use tracing_subscriber::layer::SubscriberExt;

use crate::{Failed, args::ConnectArgs, signals};

/// Runs the daemon until a signal.
pub(crate) fn run(args: &ConnectArgs) -> Result<(), Failed> {
    let level = args.log_level.parse().map_err(|_| {
        Failed::new(2, format!("--log-level {}: expected error, warn, info, debug or trace", args.log_level))
    })?;
    let loggers = Loggers::new(level);
    let subscriber = tracing_subscriber::registry().with(loggers.layer(std::io::stdout()));
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Failed::new(1, format!("logging cannot be set up: {error}")))?;
    let failed = |error: ::connect::error::StartError| Failed::new(error.exit_code(), error.to_string());
    let worker = WorkerConfig::load(&args.worker).map_err(failed)?;
    let plugins: Vec<Arc<dyn ConnectorPlugin>> = vec![Arc::new(MySqlPlugin)];
    let daemon =
        Daemon { worker, plugins, cluster: Arc::new(KafkaCluster), loggers, connector_files: args.connectors.clone() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::new(1, format!("no threads could be started: {error}")))?;
    let ended = runtime.block_on(async {
        let shutdown = signals::shutdown()?;
        daemon.run(shutdown).await.map_err(failed)
    });
    // A thread that still waits for a broker, because the start was broken off, is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(2));
    ended
}
