//! Commands beside `run`: status, replay of dead letters, reset. All print for people.
//!
//! They ask Kafka and Redis from the calling thread; a command line has nothing else to do meanwhile.

use std::time::{Duration, Instant};

use redis::Commands;

use super::{
    CONNECTOR,
    book::{Book, Epoch, key},
    config::Config,
    recovery,
};
use crate::runtime::{
    Error, connector, kafka,
    output::{Out, say},
    replay::{self, Replay, Replayed},
    state, status,
};

/// Says what runs, how far behind it is, what Redis holds and the last error. Each part that does not answer says so.
///
/// # Errors
/// Refused configuration only.
pub async fn status(config: &Config, out: Out<'_>) -> Result<(), Error> {
    config.check()?;
    let (name, _) = connector::template(&config.connect, CONNECTOR)?;
    if !config.connect.url.is_empty() {
        match connector::state(&config.connect, &name).await {
            Ok(state) => say(out, format_args!("connector {name}: {state}"))?,
            Err(error) => say(out, format_args!("connector {name}: {error}"))?,
        }
    }
    let counts = [("orders_completed", "orders completed"), ("dead_letters", "dead letters")];
    status::instance(&config.instance, &config.http.listen, &counts, out).await?;
    let client = config.kafka.client()?;
    for (topic, group) in [
        (&config.input.orders_topic, &config.input.orders_group),
        (&config.input.order_details_topic, &config.input.order_details_group),
    ] {
        match status::group_lag(&client, topic, group) {
            Ok(lines) => {
                for line in lines {
                    say(out, format_args!("{line}"))?;
                }
            }
            Err(error) => say(out, format_args!("group {group}: {error}"))?,
        }
    }
    let place = config.redis.place();
    match redis_counts(config) {
        Ok(line) => say(out, format_args!("Redis {place}: {line}")),
        Err(error) => say(out, format_args!("Redis {place}: {error}")),
    }
}

fn redis_counts(config: &Config) -> Result<String, Error> {
    let mut book = Book::open(&config.redis, config.legacy_keys)?;
    let epoch = match book.epoch()? {
        Epoch::Missing => return Ok("holds nothing of this pipeline".into()),
        Epoch::Recovering { .. } => "being rebuilt",
        Epoch::Ready(_) => "in use",
    };
    let connection = book.bookkeeping();
    let orders: i64 = connection.hlen(key("state"))?;
    let lines: i64 = connection.hlen(key("lines"))?;
    let announced: i64 = connection.scard(key("sent"))?;
    Ok(format!("{epoch}, {orders} orders met, {lines} lines, {announced} orders announced"))
}

/// Writes dead letters back to the topics they came from, each once.
///
/// # Errors
/// Refused configuration, or Kafka's refusal; then nothing of the unfinished transaction counts.
pub fn replay(config: &Config, options: &Replay, out: Out<'_>) -> Result<Replayed, Error> {
    config.check()?;
    let origins = [config.input.orders_topic.as_str(), config.input.order_details_topic.as_str()];
    replay::replay(&config.kafka.client()?, &config.output.dead_letter_topic, &origins, options, out)
}

/// Forgets state and offsets: the pipeline's keys in Redis, its groups' offsets, its state folder. What was announced
/// stays known, because the output topic still holds it. The pipeline must not run.
///
/// # Errors
/// [`Error::InUse`] while the pipeline runs.
pub async fn reset(config: &Config, out: Out<'_>) -> Result<(), Error> {
    config.check()?;
    let lock = state::lock(&config.state_folder())?;
    let (orders, details) = (config.input.orders_group.as_str(), config.input.order_details_group.as_str());
    let client = config.kafka.client()?;
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        match kafka::delete_groups(&client, &[orders, details]).await {
            // A stopped process stays a member until its session ends, so that a restart finds its partitions.
            Err(Error::InUse(_)) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(500)).await,
            result => break result?,
        }
    }
    say(out, format_args!("offsets of {orders} and {details} forgotten"))?;
    let mut book = Book::open(&config.redis, config.legacy_keys)?;
    let keys = recovery::forget_all(&mut book)?;
    say(out, format_args!("{keys} keys removed from Redis {}", config.redis.place()))?;
    drop(lock);
    let folder = config.state_folder();
    std::fs::remove_dir_all(&folder).map_err(|e| Error::io(format_args!("removing {}", folder.display()), &e))?;
    say(
        out,
        format_args!(
            "the next run builds everything again from the topics; orders already in {} are not announced again \
             (delete that topic if they should be)",
            config.output.ready_topic
        ),
    )
}
