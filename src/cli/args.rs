//! The command line: every command, every option with a sentence, every command with an example. Help, completions
//! and man pages come from these definitions alone.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Captures changes from MySQL into Kafka, compatible with Debezium, in one binary.
#[derive(Debug, Parser)]
#[command(name = "afterimage", version, about, long_about = None, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the daemon: takes the place of a Kafka Connect worker with Debezium's connectors.
    #[command(
        after_help = "Example:\n  afterimage connect examples/worker.properties\n  afterimage connect worker.properties \
                            examples/mysql-src-connector.json\n\nExit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong \
                            usage, 3 configuration refused."
    )]
    Connect(ConnectArgs),
    /// Prints what is in binlog files as JSON lines; needs neither a server nor Kafka.
    #[command(
        after_help = "Example:\n  afterimage decode /var/lib/mysql/binlog.000042 | jq 'select(.table == \"shop.orders\")'"
    )]
    Decode(DecodeArgs),
    /// Runs one of the bundled pipelines, or looks after it.
    #[command(
        after_help = "Example:\n  afterimage pipeline orders --config examples/pipelines/orders.toml\n  afterimage pipeline \
                            orders status\n\nExit codes: 0 done, or stopped by SIGTERM or SIGINT, 1 failed, 2 wrong usage, 3 \
                            configuration refused; a second signal ends at once with 143 or 130."
    )]
    Pipeline(PipelineArgs),
    /// Makes sample data and load.
    #[command(
        after_help = "Example:\n  afterimage generate orders --mysql mysql://admin:admin@localhost:3306/project_db --count \
                            25000 --lines 47000"
    )]
    Generate(GenerateArgs),
    /// Shows and moves the positions of connectors.
    #[command(
        after_help = "Example:\n  afterimage offsets show mysql-source-connector --worker examples/worker.properties"
    )]
    Offsets(OffsetsArgs),
    /// Prints completions for a shell.
    #[command(after_help = "Example:\n  afterimage completions bash > /etc/bash_completion.d/afterimage")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Writes manual pages into a folder.
    #[command(after_help = "Example:\n  afterimage man /usr/local/share/man/man1")]
    Man {
        /// The folder; made when it is not there.
        folder: PathBuf,
    },
}

/// Arguments of `connect`.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// The worker's properties file, as for `connect-distributed`.
    pub worker: PathBuf,
    /// Connectors to create when they are absent: JSON as for POST /connectors, or properties.
    pub connectors: Vec<PathBuf>,
    /// How much is logged: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "AFTERIMAGE_LOG")]
    pub log_level: String,
}

/// Arguments of `decode`.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// Binlog files, in the order to print them.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Arguments of `pipeline`.
#[derive(Debug, Args)]
pub struct PipelineArgs {
    /// Which one: orders.
    pub name: String,
    /// What to do with it.
    #[arg(value_enum, default_value_t = PipelineAction::Run)]
    pub action: PipelineAction,
    /// Settings; without it all defaults hold. `examples/pipelines/NAME.toml` explains each.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Consumers per topic.
    #[arg(long, value_name = "N")]
    pub workers: Option<u16>,
    /// Name of this instance: each has a state folder and a port of its own.
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// Address of its HTTP endpoints and page.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// For `reset`: do not ask.
    #[arg(long)]
    pub yes: bool,
    /// For `replay`: show what would be done and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// For `replay`: only dead letters whose error, or TOPIC/PARTITION@OFFSET they came from, contains this text.
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// How much is logged: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "AFTERIMAGE_LOG")]
    pub log_level: String,
}

/// What `pipeline` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PipelineAction {
    /// Runs it in the foreground.
    Run,
    /// Creates its topics, and its connector if asked for; `run` does the same.
    Init,
    /// Says what runs, how far behind it is, and its last error.
    Status,
    /// Sends a sample through the whole flow and checks each stop.
    Test,
    /// Shows changes and announced orders as they come.
    Monitor,
    /// Sends dead letters through it again.
    Replay,
    /// Forgets state and positions.
    Reset,
}

/// Arguments of `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// For which pipeline: orders.
    pub name: String,
    /// The database to fill, as mysql://user:password@host:port/database. Without it that of the settings holds:
    /// mysql://admin:admin@localhost:3306/project_db unless they say otherwise.
    #[arg(long, value_name = "URL", env = "AFTERIMAGE_MYSQL", hide_env_values = true)]
    pub mysql: Option<String>,
    /// Settings of the pipeline, for its section [mysql]: password file, TLS.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Orders to insert at once.
    #[arg(long, value_name = "N", default_value_t = 25_000, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub count: u64,
    /// Lines of those orders.
    #[arg(long, value_name = "N", default_value_t = 47_000)]
    pub lines: u64,
    /// Afterwards, changes per second: inserts, updates and deletes. 0 for none.
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    pub live_rate: f64,
    /// How long the live changes go on, in seconds; until interrupted without it.
    #[arg(long, value_name = "SECONDS")]
    pub live_seconds: Option<u64>,
    /// Share of the orders, from 0 to 1, that never get all their lines.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub incomplete: f64,
    /// Same seed, same data, ids included: once per database. A new one each time without it; it is printed.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Arguments of `offsets`.
#[derive(Debug, Args)]
pub struct OffsetsArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: OffsetsAction,
}

/// What `offsets` does.
#[derive(Debug, Subcommand)]
pub enum OffsetsAction {
    /// Prints a connector's positions: what Kafka holds and what the local checkpoint holds.
    Show {
        /// The connector.
        connector: String,
        /// The worker's properties file, for Kafka and the state folder.
        #[arg(long, value_name = "FILE", default_value = "worker.properties")]
        worker: PathBuf,
    },
    /// Says which position is right when the local checkpoint is ahead of Kafka. The daemon must not run.
    Set {
        /// The connector.
        connector: String,
        /// The position that is right.
        #[arg(long, value_enum)]
        from: OffsetsFrom,
        /// The worker's properties file, for Kafka and the state folder.
        #[arg(long, value_name = "FILE", default_value = "worker.properties")]
        worker: PathBuf,
    },
}

/// Which position is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OffsetsFrom {
    /// The local checkpoint: Kafka gets it.
    Cache,
    /// Kafka's: the local checkpoint is forgotten.
    Kafka,
}
