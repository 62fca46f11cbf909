//! The `orders` pipeline: orders and their lines, each from a topic of its own, are assembled in Redis; each order that
//! has all its products is announced once, in a topic.
//!
//! Owns the commands people run. `change` says what a record means, `fold.lua` what it does to Redis, `worker` how it
//! gets there exactly once, `recovery` what happens when Redis forgets.

mod book;
mod change;
mod commands;
mod config;
mod monitor;
mod progress;
mod recovery;
mod sample;
mod worker;

use std::{sync::Arc, time::Duration};

pub use commands::{replay, reset, status};
pub use config::{ColumnOverrides, Config, Http, Input, Log, Output};
pub use monitor::monitor;
pub use sample::test;
pub use worker::AfterRedis;

use crate::runtime::{
    Error, Shutdown, connector, http,
    kafka::{self, TopicPlan},
    output::{Out, say},
    state,
    story::Story,
};
use change::Table;
use progress::Progress;
use worker::{Shared, Worker};

/// The configuration with every default written and explained.
pub const EXAMPLE_CONFIG: &str = include_str!("../../../examples/pipelines/orders.toml");
/// Where HTTP listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:19090";
/// The connector that feeds the pipeline.
const CONNECTOR: &str = include_str!("../../../examples/pipelines/orders-connector.json");

/// Runs the pipeline until shutdown. Waits for whatever is not there yet, and says what it waits for.
///
/// # Errors
/// Refused configuration, a state folder or port in use; nothing that time can mend.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    run_with(config, shutdown, None).await
}

/// As [`run`], telling `after_redis` between each batch's two halves; for crash tests.
///
/// # Errors
/// As [`run`].
pub async fn run_with(config: Config, shutdown: Shutdown, after_redis: Option<AfterRedis>) -> Result<(), Error> {
    config.check()?;
    let _lock = state::lock(&config.state_folder())?;
    let listener = match config.http.listen.as_str() {
        "" => None,
        address => Some(http::bind(address).await?),
    };
    let progress = Arc::new(Progress::new(config.ready_lag_max));
    let shared = Arc::new(Shared {
        client: config.kafka.client()?,
        columns: config.column_types()?,
        progress: Arc::clone(&progress),
        story: Story::open(&config.log.file, config.log.file_bytes_max)?,
        shutdown: shutdown.clone(),
        after_redis,
        config,
    });
    let server = listener.map(|listener| {
        if let Some(address) = listener.address() {
            tracing::info!(%address, "HTTP");
        }
        tokio::spawn(listener.serve(progress, shutdown.clone()))
    });
    let result = work(&shared).await;
    shutdown.trigger();
    if let Some(server) = server {
        // Nothing waits for slow readers of a page.
        let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
    }
    result
}

async fn work(shared: &Arc<Shared>) -> Result<(), Error> {
    if !create_topics_patiently(shared).await? {
        return Ok(());
    }
    let connector = {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            // The topics may be fed by something else: a refusal is told, and the pipeline reads on.
            if let Err(error) = connector::ensure_patiently(&shared.config.connect, CONNECTOR, &shared.shutdown).await {
                tracing::error!(%error, "the connector could not be looked after");
                shared.progress.run.error(&error.to_string());
            }
        })
    };
    let mut threads = Vec::new();
    for table in [Table::Orders, Table::Details] {
        for number in 0..shared.config.workers {
            let worker = Worker::new(Arc::clone(shared), table, number);
            let shutdown = shared.shutdown.clone();
            threads.push(tokio::task::spawn_blocking(move || {
                let result = worker.run();
                if result.is_err() {
                    shutdown.trigger();
                }
                result
            }));
        }
    }
    let mut result = Ok(());
    for thread in threads {
        let ended = thread.await.unwrap_or_else(|e| Err(Error::Io(format!("a worker ended unexpectedly: {e}"))));
        if ended.is_err() {
            shared.shutdown.trigger();
        }
        result = result.and(ended);
    }
    connector.abort();
    result
}

fn topic_plans(config: &Config) -> [TopicPlan<'_>; 2] {
    let plan = |name, settings| TopicPlan {
        name,
        partitions: config.output.partitions,
        replication: config.output.replication,
        settings,
    };
    [
        // Which orders were announced is read back from here when Redis has forgotten: it must never shrink.
        plan(&config.output.ready_topic, &[("cleanup.policy", "compact")]),
        plan(&config.output.dead_letter_topic, &[("retention.ms", "-1")]),
    ]
}

async fn create_topics(config: &Config) -> Result<(), Error> {
    let client = config.kafka.client()?;
    for name in kafka::create_topics(&client, &topic_plans(config)).await? {
        tracing::info!(topic = %name, "created");
    }
    let ready = &config.output.ready_topic;
    let policy = kafka::topic_setting(&client, ready, "cleanup.policy").await;
    let retention = kafka::topic_setting(&client, ready, "retention.ms").await;
    if policy.as_deref() == Some("delete") && retention.as_deref() != Some("-1") {
        tracing::warn!(
            topic = %ready,
            "the topic drops old messages: should Redis ever be lost, orders announced before then could be announced \
             again; set its cleanup.policy to compact, or retention.ms to -1"
        );
    }
    Ok(())
}

/// As [`create_topics`], waiting for Kafka; `false` when asked to stop meanwhile.
async fn create_topics_patiently(shared: &Shared) -> Result<bool, Error> {
    const WORKER: &str = "start";
    let progress = &shared.progress.run;
    let place = &shared.config.kafka.bootstrap_servers;
    progress.doing(WORKER, &shared.config.output.ready_topic, format!("waiting for Kafka at {place}"));
    let mut told = false;
    loop {
        let result = tokio::select! {
            () = shared.shutdown.wait() => return Ok(false),
            result = create_topics(&shared.config) => result,
        };
        match result {
            Ok(()) => {
                progress.done(WORKER);
                return Ok(true);
            }
            Err(Error::Kafka(reason)) => {
                progress.error(&reason);
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%reason, "waiting for Kafka at {place}");
                }
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = shared.shutdown.wait() => return Ok(false),
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
    }
}

/// Creates the topics written to, and the connector if asked for; `run` does the same.
///
/// # Errors
/// What Kafka or the daemon refused; neither is waited for.
pub async fn init(config: &Config, out: Out<'_>) -> Result<(), Error> {
    config.check()?;
    create_topics(config).await?;
    let output = &config.output;
    say(out, format_args!("topics: {} and {} are there", output.ready_topic, output.dead_letter_topic))?;
    let (name, found) = connector::ensure(&config.connect, CONNECTOR).await?;
    let line = match found {
        connector::Found::Existing => "exists and is left alone",
        connector::Found::Created => "created",
        connector::Found::Absent => "is not there yet: post its file to /connectors, or set connect.create",
        connector::Found::NotAsked => "not asked for (connect.url is empty)",
        connector::Found::Unanswered(reason) => return Err(Error::Connect(reason)),
    };
    say(out, format_args!("connector {name}: {line}"))
}
