//! Epochs: how a Redis that lost writes is made trustworthy again without any message being sent twice.
//!
//! Redis decides who announces an order (the set `sent`), Kafka holds what was announced. When Redis comes back empty,
//! or may have lost its last writes (another server process answers), `sent` is read again from the output topic before
//! anyone may claim. A worker whose claim Redis forgot may still be about to commit its message; therefore
//!
//! 1. the rebuilder closes the epoch *first*, then notes the ends of the output topic's partitions, then waits until
//!    everything below them is committed or aborted, then reads it, then opens a new epoch;
//! 2. a worker produces its messages, waits until the broker has them, *then* checks that its epoch is still open, and
//!    only then commits.
//!
//! Either the worker's check comes before the closing, and its messages lie below the noted ends; or it comes after,
//! and the worker aborts. A dead worker's open transaction ends by `transaction.timeout.ms`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
};
use redis::{Commands, Connection};

use super::{
    book::{Book, Epoch, NAMESPACE, key},
    config::Config,
};
use crate::runtime::{Error, Shutdown, kafka, redis::unlink_matching};

/// A rebuilder that is silent for so long is taken for dead.
const LOCK_MS: i64 = 15_000;

/// Returns the open epoch, rebuilding the bookkeeping first where needed; `None` when asked to stop.
/// `distrusted` is an epoch under which something was found missing.
pub(crate) fn ensure_epoch(
    book: &mut Book,
    client: &ClientConfig,
    config: &Config,
    distrusted: Option<&str>,
    shutdown: &Shutdown,
) -> Result<Option<String>, Error> {
    let token = uuid::Uuid::new_v4().to_string();
    loop {
        if let Epoch::Ready(epoch) = book.epoch()?
            && book.is_of_this_server(&epoch)
            && distrusted != Some(epoch.as_str())
        {
            return Ok(Some(epoch));
        }
        let locked: Option<String> = redis::cmd("SET")
            .arg(key("recovery"))
            .arg(&token)
            .arg("NX")
            .arg("PX")
            .arg(LOCK_MS)
            .query(book.bookkeeping())?;
        if locked.is_some() {
            // Another may have finished between the look and the lock.
            let state = book.epoch()?;
            let done = matches!(&state, Epoch::Ready(epoch)
                if book.is_of_this_server(epoch) && distrusted != Some(epoch.as_str()));
            let result = if done { Ok(true) } else { rebuild(book, client, config, &state, &token, shutdown) };
            release(book, &token)?;
            if !result? {
                return Ok(None);
            }
        } else if !shutdown.pause(Duration::from_millis(200)) {
            return Ok(None);
        }
    }
}

fn rebuild(
    book: &mut Book,
    client: &ClientConfig,
    config: &Config,
    state: &Epoch,
    token: &str,
    shutdown: &Shutdown,
) -> Result<bool, Error> {
    let visible: Option<i64> = book.bookkeeping().hget(key("meta"), "visible")?;
    let data_keys: i64 = redis::cmd("DBSIZE").query(book.data())?;
    let data_lost = visible.unwrap_or(0) > 0 && data_keys == 0;
    let full = data_lost || matches!(state, Epoch::Missing | Epoch::Recovering { full: true });
    let word = if full { "full" } else { "part" };
    let _: () = book.bookkeeping().set(key("epoch"), format!("recovering:{word}:{token}"))?;
    let first = matches!(state, Epoch::Missing) && data_keys == 0;
    match (full, first) {
        (true, true) => tracing::info!("Redis holds nothing of this pipeline: building it from the topics"),
        (true, false) => tracing::warn!("Redis lost this pipeline's keys: building them again from the topics"),
        (false, _) => tracing::warn!("Redis was restarted or fell back: checking what it still holds"),
    }
    if full {
        let _: () =
            book.bookkeeping().del(
                &[
                    key("positions"),
                    key("state"),
                    key("lines"),
                    key("meta"),
                    key("sent"),
                    key("ready"),
                    key("barriers"),
                ][..],
            )?;
        for pattern in ["outbox:*", "products:*"] {
            unlink_matching(book.bookkeeping(), &key(pattern), |connection| renew_on(connection, token))?;
        }
    }
    let Some(sent) = read_sent(book, client, &config.output.ready_topic, token, shutdown)? else { return Ok(false) };
    for (topic, group) in [
        (&config.input.orders_topic, &config.input.orders_group),
        (&config.input.order_details_topic, &config.input.order_details_group),
    ] {
        set_barriers(book, client, topic, group)?;
    }
    renew(book, token)?;
    let epoch = format!("{}:{}", uuid::Uuid::new_v4(), book.run_id);
    let _: () = book.bookkeeping().set(key("epoch"), epoch)?;
    tracing::info!(announced_before = sent, "Redis can be trusted again");
    Ok(true)
}

/// Notes how far each partition had come, where Redis holds less; see `fold.lua`. A partition whose offset was set back
/// by an unfinished rebuilding keeps its barrier.
fn set_barriers(book: &mut Book, client: &ClientConfig, topic: &str, group: &str) -> Result<(), Error> {
    let consumer: BaseConsumer = client
        .clone()
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .create()?;
    for (partition, (low, end)) in kafka::ends(&consumer, topic)? {
        let name = format!("{topic}/{partition}");
        let Some(committed) = kafka::committed(&consumer, topic, partition)? else { continue };
        let known: Option<i64> = book.bookkeeping().hget(key("barriers"), &name)?;
        let barrier = committed.max(known.unwrap_or(0));
        let begin = book.position(&name)?.unwrap_or(low).max(low);
        if barrier > begin && barrier <= end {
            let _: () = book.bookkeeping().hset(key("barriers"), &name, barrier)?;
        } else if known.is_some() {
            book.remove_barrier(&name)?;
        }
    }
    Ok(())
}

/// Reads the announced orders that `sent` may lack. Returns how many were read, `None` when asked to stop.
fn read_sent(
    book: &mut Book,
    client: &ClientConfig,
    topic: &str,
    token: &str,
    shutdown: &Shutdown,
) -> Result<Option<usize>, Error> {
    let ends = kafka::ends(&kafka::reader(client, "read_uncommitted")?, topic)?;
    let stable = kafka::reader(client, "read_committed")?;
    let mut from = BTreeMap::new();
    let waiting_since = Instant::now();
    let mut told = false;
    for (partition, (low, high)) in &ends {
        loop {
            let (_, last_stable) = stable.fetch_watermarks(topic, *partition, kafka::ANSWER_WITHIN)?;
            if last_stable >= *high {
                break;
            }
            if !told && waiting_since.elapsed() > Duration::from_secs(2) {
                told = true;
                tracing::info!(
                    topic,
                    partition,
                    "waiting for open transactions to end before reading what was announced"
                );
            }
            renew(book, token)?;
            if !shutdown.pause(Duration::from_millis(100)) {
                return Ok(None);
            }
        }
        let known: Option<i64> = book.bookkeeping().hget(key("ready"), partition)?;
        // A topic that was created anew is shorter than what is known of it.
        let start = known.filter(|known| known <= high).unwrap_or(*low).max(*low);
        if start < *high {
            from.insert(*partition, start);
        }
    }
    let mut ids: Vec<String> = Vec::new();
    let mut count = 0_usize;
    let mut last_renewal = Instant::now();
    let go_on = || !shutdown.is_triggered();
    let finished = kafka::read_to_end(client, topic, &from, go_on, |message| {
        if let Some(id) = announced_order(message.key(), message.payload()) {
            ids.push(id);
            count = count.saturating_add(1);
        }
        if ids.len() >= 1_000 || last_renewal.elapsed() > Duration::from_secs(3) {
            last_renewal = Instant::now();
            renew(book, token)?;
            add_sent(book, &mut ids)?;
        }
        Ok(())
    })?;
    if !finished {
        return Ok(None);
    }
    add_sent(book, &mut ids)?;
    for (partition, (_, high)) in &ends {
        let _: () = book.bookkeeping().hset(key("ready"), partition, high)?;
    }
    Ok(Some(count))
}

fn add_sent(book: &mut Book, ids: &mut Vec<String>) -> Result<(), Error> {
    if !ids.is_empty() {
        let _: () = book.bookkeeping().sadd(key("sent"), &ids[..])?;
        ids.clear();
    }
    Ok(())
}

/// The order a message of the output topic is about: its key, or what its value says (older producers wrote no key).
fn announced_order(message_key: Option<&[u8]>, value: Option<&[u8]>) -> Option<String> {
    let from_value = || {
        let value: serde_json::Value = serde_json::from_slice(value?).ok()?;
        value.get("order_id")?.as_str().map(str::to_owned)
    };
    from_value().or_else(|| {
        let text = std::str::from_utf8(message_key?).ok()?;
        Some(text.trim_matches('"').to_owned()).filter(|text| !text.is_empty())
    })
}

/// Keeps the lock; an error when another took it meanwhile.
fn renew(book: &mut Book, token: &str) -> Result<(), Error> {
    renew_on(book.bookkeeping(), token)
}

fn renew_on(bookkeeping: &mut Connection, token: &str) -> Result<(), Error> {
    let holder: Option<String> = bookkeeping.get(key("recovery"))?;
    if holder.as_deref() != Some(token) {
        return Err(Error::Redis("another worker took over the rebuilding".into()));
    }
    let _: () = bookkeeping.pexpire(key("recovery"), LOCK_MS)?;
    Ok(())
}

fn release(book: &mut Book, token: &str) -> Result<(), Error> {
    let holder: Option<String> = book.bookkeeping().get(key("recovery"))?;
    if holder.as_deref() == Some(token) {
        let _: () = book.bookkeeping().del(key("recovery"))?;
    }
    Ok(())
}

/// Forgets everything this pipeline wrote to Redis, in both databases. Returns the number of keys.
pub(crate) fn forget_all(book: &mut Book) -> Result<u64, Error> {
    let mut removed = unlink_matching(book.bookkeeping(), &format!("{NAMESPACE}:*"), |_| Ok(()))?;
    for pattern in ["order_info:*", "ordered_products:*", "order_status:*", "order:*"] {
        removed = removed.saturating_add(unlink_matching(book.data(), pattern, |_| Ok(()))?);
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::announced_order;

    #[test]
    fn messages_of_older_producers_count_too() {
        let value = br#"{"order_id":"o1","customer_id":1}"#;
        assert_eq!(announced_order(None, Some(value)).as_deref(), Some("o1"));
        assert_eq!(announced_order(Some(b"o2"), None).as_deref(), Some("o2"));
        assert_eq!(announced_order(Some(b"\"o3\""), Some(b"not json")).as_deref(), Some("o3"));
        assert_eq!(announced_order(None, Some(b"{}")), None);
    }
}
