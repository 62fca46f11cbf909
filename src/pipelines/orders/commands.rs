//! Commands beside `run`: status, monitor, replay of dead letters, reset. All print for people.
//!
//! They ask Kafka and Redis from the calling thread; a command line has nothing else to do meanwhile.

use std::{
    collections::{BTreeMap, HashSet},
    io::Write,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::Consumer,
    message::Header,
    producer::{BaseProducer, BaseRecord, Producer},
};
use redis::Commands;

use super::{
    CONNECTOR,
    book::{Book, Epoch, key},
    change::{Operation, Table},
    config::Config,
    recovery,
};
use crate::runtime::{Error, Shutdown, connector, deadletter, kafka};

type Out<'a> = &'a mut (dyn Write + Send);

pub(super) fn say(out: Out<'_>, line: std::fmt::Arguments<'_>) -> Result<(), Error> {
    writeln!(out, "{line}").map_err(|e| Error::io("writing output", &e))
}

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
    instance(config, out).await?;
    for (topic, group) in [
        (&config.input.orders_topic, &config.input.orders_group),
        (&config.input.order_details_topic, &config.input.order_details_group),
    ] {
        match group_lag(config, topic, group) {
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

async fn instance(config: &Config, out: Out<'_>) -> Result<(), Error> {
    if config.http.listen.is_empty() {
        return say(out, format_args!("instance {}: has no HTTP port to ask", config.instance));
    }
    let url = format!("http://{}/api/status", config.http.listen);
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).no_proxy().build();
    let answer = match client {
        Ok(client) => client.get(&url).send().await,
        Err(error) => Err(error),
    };
    let Ok(answer) = answer else {
        return say(
            out,
            format_args!("instance {}: not running (nothing answers on {})", config.instance, config.http.listen),
        );
    };
    let body: serde_json::Value = answer.json().await.unwrap_or_default();
    let number = |name: &str| body.get(name).and_then(serde_json::Value::as_i64).unwrap_or(0);
    let ready = body.get("ready").and_then(serde_json::Value::as_bool).unwrap_or(false);
    say(
        out,
        format_args!(
            "instance {}: running for {} s, {}, lag {}, {} orders completed, {} dead letters",
            config.instance,
            number("uptime_s"),
            if ready { "caught up" } else { "catching up" },
            number("lag"),
            number("orders_completed"),
            number("dead_letters"),
        ),
    )?;
    if let Some(workers) = body.get("workers").and_then(serde_json::Value::as_object) {
        for (worker, state) in workers {
            let doing = state.get("doing").and_then(serde_json::Value::as_str).unwrap_or("?");
            say(out, format_args!("  {worker}: {doing}"))?;
        }
    }
    if let Some(error) = body.get("last_error").filter(|error| !error.is_null()) {
        let text = |name: &str| error.get(name).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
        say(out, format_args!("  last error, {}: {}", text("at"), text("message")))?;
    }
    Ok(())
}

fn group_lag(config: &Config, topic: &str, group: &str) -> Result<Vec<String>, Error> {
    let mut client = config.kafka.client()?;
    client.set("group.id", group).set("isolation.level", "read_committed").set("enable.auto.commit", "false");
    let consumer: rdkafka::consumer::BaseConsumer = client.create()?;
    let ends = kafka::ends(&consumer, topic)?;
    let groups = consumer.fetch_group_list(Some(group), kafka::ANSWER_WITHIN)?;
    let members: usize = groups.groups().iter().map(|g| g.members().len()).sum();
    let mut lines = Vec::new();
    let mut total = 0_i64;
    for (partition, (low, end)) in &ends {
        let committed = kafka::committed(&consumer, topic, *partition)?;
        let lag = (end - committed.unwrap_or(*low)).max(0);
        total = total.saturating_add(lag);
        let at = committed.map_or_else(|| "nothing yet".to_owned(), |offset| offset.to_string());
        lines.push(format!("  {topic}/{partition}: committed {at} of {end}, lag {lag}"));
    }
    let head = if ends.is_empty() {
        format!("group {group}: topic {topic} does not exist yet (its connector creates it)")
    } else {
        format!("group {group}: {members} members, lag {total}")
    };
    lines.insert(0, head);
    Ok(lines)
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

/// Prints changes and announced orders as they come, until shutdown. Prints ids, not the rows.
///
/// # Errors
/// Refused configuration, or Kafka's refusal.
pub async fn monitor(config: &Config, shutdown: &Shutdown, out: Out<'_>) -> Result<(), Error> {
    config.check()?;
    let columns = config.column_types()?;
    let consumer = kafka::reader(&config.kafka.client()?, "read_committed")?;
    let topics = [&config.input.orders_topic, &config.input.order_details_topic, &config.output.ready_topic];
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let partitions = kafka::partitions(&consumer, topic)?;
        if partitions.is_empty() {
            say(out, format_args!("topic {topic} does not exist yet"))?;
        }
        for partition in partitions {
            list.add_partition_offset(topic, partition, Offset::End)?;
        }
    }
    consumer.assign(&list)?;
    while !shutdown.is_triggered() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let place = format!("{}/{}@{}", message.topic(), message.partition(), message.offset());
                let at = message
                    .timestamp()
                    .to_millis()
                    .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
                    .map_or_else(|| "-".to_owned(), |t| format!("{t:.3}"));
                if message.topic() == config.output.ready_topic {
                    let id = message.key().map(String::from_utf8_lossy).unwrap_or_default();
                    say(out, format_args!("{at} {place} order {id} is ready for checking"))?;
                    continue;
                }
                let table = if message.topic() == config.input.orders_topic { Table::Orders } else { Table::Details };
                let what = match columns.interpret(table, message.key(), message.payload()) {
                    Ok(Operation::PutOrder { id, num_products, .. }) => {
                        format!(
                            "order {id} wants {} products",
                            if num_products.is_empty() { "?" } else { &num_products }
                        )
                    }
                    Ok(Operation::DeleteOrder { id }) => format!("order {id} deleted"),
                    Ok(Operation::PutLine { id, order_id, product_id }) => {
                        format!("line {id}: product {product_id} for order {order_id}")
                    }
                    Ok(Operation::DeleteLine { id }) => format!("line {id} deleted"),
                    Ok(Operation::TruncateOrders) => "all orders deleted".into(),
                    Ok(Operation::TruncateLines) => "all lines deleted".into(),
                    Ok(Operation::Skip) => "nothing about rows".into(),
                    Err(error) => format!("cannot be read: {error}"),
                };
                say(out, format_args!("{at} {place} {what}"))?;
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) | None => tokio::task::yield_now().await,
            Some(Err(rdkafka::error::KafkaError::MessageConsumption(code))) if kafka::is_passing(code) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Which dead letters to take back in.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Only of this error class.
    pub class: Option<String>,
    /// Only from this topic.
    pub topic: Option<String>,
    /// Only tried at most so often.
    pub attempts_max: Option<u32>,
    /// Show them only.
    pub dry_run: bool,
}

/// What `replay` did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Letters that matched and had not been replayed.
    pub matched: usize,
    /// Of these, written back to their topics.
    pub written: usize,
    /// Letters passed over, because the filter did not match or they had been replayed before.
    pub passed: usize,
}

/// On a marker in the dead-letter topic: `partition:offset` of the letter that was replayed.
const REPLAYED: &str = "afterimage.replayed";

/// Writes dead letters back to the topics they came from, each once: the record and a marker in the dead-letter topic
/// are in one transaction.
///
/// # Errors
/// Refused configuration, or Kafka's refusal; then nothing of the unfinished transaction counts.
pub async fn replay(config: &Config, options: &Replay, out: Out<'_>) -> Result<Replayed, Error> {
    config.check()?;
    let client = config.kafka.client()?;
    let topic = &config.output.dead_letter_topic;
    let ends = kafka::ends(&kafka::reader(&client, "read_committed")?, topic)?;
    let from: BTreeMap<i32, i64> = ends.iter().map(|(partition, (low, _))| (*partition, *low)).collect();
    let mut letters = Vec::new();
    let mut replayed: HashSet<String> = HashSet::new();
    kafka::read_to_end(
        &client,
        topic,
        &from,
        || true,
        |message| {
            match kafka::header(message.headers(), REPLAYED) {
                Some(place) => {
                    replayed.insert(place.to_owned());
                }
                None => letters.push(message.detach()),
            }
            Ok(())
        },
    )?;
    let mut result = Replayed::default();
    let mut chosen = Vec::new();
    for letter in letters {
        let read = |name| kafka::header(letter.headers(), name).map(str::to_owned);
        let place = format!("{}:{}", letter.partition(), letter.offset());
        let (origin, class) = (read(deadletter::TOPIC), read(deadletter::CLASS));
        let attempt = read(deadletter::ATTEMPT).and_then(|a| a.parse::<u32>().ok()).unwrap_or(1);
        let ours = [&config.input.orders_topic, &config.input.order_details_topic];
        let Some(origin) = origin.filter(|origin| ours.contains(&origin)) else {
            result.passed += 1;
            continue;
        };
        let matches = options.class.as_ref().is_none_or(|wanted| class.as_ref() == Some(wanted))
            && options.topic.as_ref().is_none_or(|wanted| &origin == wanted)
            && options.attempts_max.is_none_or(|most| attempt <= most);
        if replayed.contains(&place) || !matches {
            result.passed += 1;
            continue;
        }
        result.matched += 1;
        say(
            out,
            format_args!(
                "{place} from {origin}/{}@{} ({}, attempt {attempt}): {}",
                read(deadletter::PARTITION).unwrap_or_default(),
                read(deadletter::OFFSET).unwrap_or_default(),
                class.unwrap_or_default(),
                read(deadletter::MESSAGE).unwrap_or_default(),
            ),
        )?;
        chosen.push((place, origin, letter));
    }
    if !options.dry_run && !chosen.is_empty() {
        let producer: BaseProducer = client
            .clone()
            .set("transactional.id", format!("{topic}-replay"))
            .set("partitioner", "murmur2_random")
            .create()?;
        producer.init_transactions(Duration::from_secs(30))?;
        producer.begin_transaction()?;
        for (place, origin, letter) in &chosen {
            let headers = deadletter::headers_of_next_attempt(letter.headers(), letter.headers());
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(origin).headers(headers);
            if let Some(bytes) = letter.key() {
                record = record.key(bytes);
            }
            if let Some(bytes) = letter.payload() {
                record = record.payload(bytes);
            }
            // Where it came from, so that it stays behind the earlier changes of its row.
            if let Some(partition) = kafka::header(letter.headers(), deadletter::PARTITION).and_then(|p| p.parse().ok())
            {
                record = record.partition(partition);
            }
            producer.send(record).map_err(|(error, _)| error)?;
            let marker = rdkafka::message::OwnedHeaders::new().insert(Header { key: REPLAYED, value: Some(place) });
            let record: BaseRecord<'_, str, [u8]> =
                BaseRecord::to(topic).partition(letter.partition()).key(place.as_str()).headers(marker);
            producer.send(record).map_err(|(error, _)| error)?;
            producer.poll(Duration::ZERO);
            result.written += 1;
        }
        producer.commit_transaction(Duration::from_secs(60))?;
    }
    say(
        out,
        format_args!(
            "{} dead letters matched, {} written back, {} passed over{}",
            result.matched,
            result.written,
            result.passed,
            if options.dry_run { " (dry run)" } else { "" }
        ),
    )?;
    Ok(result)
}

/// Forgets state and offsets: the pipeline's keys in Redis, its groups' offsets, its state folder. What was announced
/// stays known, because the output topic still holds it. The pipeline must not run.
///
/// # Errors
/// [`Error::InUse`] while the pipeline runs.
pub async fn reset(config: &Config, out: Out<'_>) -> Result<(), Error> {
    config.check()?;
    let lock = super::lock_state(config)?;
    let groups = [config.input.orders_group.as_str(), config.input.order_details_group.as_str()];
    let client = config.kafka.client()?;
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        match kafka::delete_groups(&client, &groups).await {
            // A stopped process stays a member until its session ends, so that a restart finds its partitions.
            Err(Error::InUse(_)) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(500)).await,
            result => break result?,
        }
    }
    say(out, format_args!("offsets of {} and {} forgotten", groups[0], groups[1]))?;
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
