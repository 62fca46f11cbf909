//! `test`: one order through the whole flow, from the database to Redis and the output topic, and out again.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use mysql_async::{Conn, prelude::Queryable};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use redis::Commands;

use super::{
    book::Book,
    change::{Operation, Table},
    config::Config,
};
use crate::runtime::{
    Error, Shutdown, kafka, mysql,
    output::{Out, say},
};

/// How long each stop may take.
const STEP: Duration = Duration::from_secs(60);

/// The rows of a sample.
struct Sample {
    order: String,
    lines: [String; 2],
    products: [String; 2],
}

/// Sends a sample through the whole flow and checks each stop, printing what it saw. Whatever comes of it, the sample's
/// rows are deleted from the database.
///
/// # Errors
/// [`Error::Check`] names the first stop where it did not arrive, with what to look at; or when asked to stop.
pub async fn test(config: &Config, shutdown: &Shutdown, out: Out<'_>) -> Result<(), Error> {
    config.check()?;
    let consumer = kafka::reader(&config.kafka.client()?, "read_committed")?;
    let mut list = TopicPartitionList::new();
    for topic in [&config.input.orders_topic, &config.input.order_details_topic, &config.output.ready_topic] {
        // The present end as a number: an end that is looked up later could lie behind the sample.
        for (partition, (_, end)) in kafka::ends(&consumer, topic)? {
            list.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
    }
    consumer.assign(&list)?;
    let mut book = Book::open(&config.redis, config.legacy_keys)?;
    let mut database = mysql::connect(&config.mysql).await?;
    let new = || uuid::Uuid::new_v4().to_string();
    let sample = Sample { order: new(), lines: [new(), new()], products: [new(), new()] };
    let result = match insert(&mut database, &sample).await {
        Ok(()) => say(&mut *out, format_args!("1 MySQL: inserted order {} with 2 lines", sample.order))
            .and_then(|()| follow(config, &consumer, &list, &sample, shutdown, &mut *out))
            .and_then(|()| check_keys(&mut book, &sample, &mut *out)),
        Err(error) => Err(error),
    };
    let deleted = delete(&mut database, &sample).await;
    database.disconnect().await?;
    result?;
    deleted?;
    gone(&mut book, &sample, shutdown).await?;
    say(out, format_args!("5 MySQL and Redis: the sample is deleted, and so are its keys"))
}

async fn insert(database: &mut Conn, sample: &Sample) -> Result<(), Error> {
    let Sample { order, lines: [first, second], products: [a, b] } = sample;
    let statement =
        "INSERT INTO orders (id, customer_id, store_id, payment_method_id, num_products) VALUES (?, 1, 1, 2, 2)";
    database.exec_drop(statement, (order,)).await?;
    let statement =
        "INSERT INTO order_details (id, order_id, product_id, quantity, price) VALUES (?,?,?,1,9.99),(?,?,?,2,5.00)";
    Ok(database.exec_drop(statement, (first, order, a, second, order, b)).await?)
}

async fn delete(database: &mut Conn, sample: &Sample) -> Result<(), Error> {
    database.exec_drop("DELETE FROM order_details WHERE order_id = ?", (&sample.order,)).await?;
    Ok(database.exec_drop("DELETE FROM orders WHERE id = ?", (&sample.order,)).await?)
}

/// Waits for the sample in the topics of the tables, and then for its message.
fn follow(
    config: &Config,
    consumer: &BaseConsumer,
    topics: &TopicPartitionList,
    sample: &Sample,
    shutdown: &Shutdown,
    out: Out<'_>,
) -> Result<(), Error> {
    let (input, ready_topic) = (&config.input, &config.output.ready_topic);
    // Topics that come into being only with the sample cannot be looked at.
    let exists = |topic: &String| !topics.elements_for_topic(topic).is_empty();
    let topics_exist = exists(&input.orders_topic) && exists(&input.order_details_topic);
    let columns = config.column_types()?;
    let (mut seen_order, mut seen_lines, mut ready) = (false, 0, None);
    let mut at_topics = false;
    let deadline = Instant::now() + STEP;
    while ready.is_none() || (topics_exist && !at_topics) {
        if shutdown.is_triggered() {
            return Err(Error::Check("interrupted".into()));
        }
        if Instant::now() > deadline {
            let (step, advice) = if topics_exist && !at_topics {
                ("2 Kafka: the changes did not reach their topics".to_owned(), "look at the connector's status")
            } else {
                (format!("3 Kafka: no message in {ready_topic}"), "does the pipeline run? look at its status")
            };
            return Err(Error::Check(format!("{step} within {} s: {advice}", STEP.as_secs())));
        }
        let Some(message) = next(consumer)? else { continue };
        if message.topic() == ready_topic {
            if message.key() == Some(sample.order.as_bytes()) {
                ready = Some(format!("{}/{}@{}", message.topic(), message.partition(), message.offset()));
            }
        } else if *message.topic() == input.orders_topic {
            let read = columns.interpret(Table::Orders, message.key(), message.payload());
            seen_order |= matches!(read, Ok(Operation::PutOrder { id, .. }) if id == sample.order);
        } else {
            let read = columns.interpret(Table::Details, message.key(), message.payload());
            let ours = matches!(read, Ok(Operation::PutLine { order_id, .. }) if order_id == sample.order);
            seen_lines += usize::from(ours);
        }
        // Each may come more than once: the connector delivers at least once.
        if seen_order && seen_lines >= 2 && !std::mem::replace(&mut at_topics, true) {
            say(&mut *out, format_args!("2 Kafka: the order and both lines are in their topics"))?;
        }
    }
    if !at_topics {
        say(&mut *out, format_args!("2 Kafka: the topics of the tables were only created now; not looked at"))?;
    }
    say(out, format_args!("3 Kafka: announced at {}", ready.unwrap_or_default()))
}

fn check_keys(book: &mut Book, sample: &Sample, out: Out<'_>) -> Result<(), Error> {
    let order = &sample.order;
    let wanted: Option<i64> = book.data().hget(format!("order_info:{order}"), "num_products")?;
    let products: BTreeSet<String> = book.data().smembers(format!("ordered_products:{order}"))?;
    let status: Option<String> = book.data().get(format!("order_status:{order}"))?;
    let expected: BTreeSet<String> = sample.products.iter().cloned().collect();
    if wanted != Some(2) || products != expected || status.as_deref() != Some("checking") {
        return Err(Error::Check(format!("4 Redis: the keys of order {order} are not what they should be")));
    }
    say(out, format_args!("4 Redis: order_info, ordered_products and order_status are right"))
}

/// Waits until the keys of the deleted order are gone.
async fn gone(book: &mut Book, sample: &Sample, shutdown: &Shutdown) -> Result<(), Error> {
    let keys = ["order_info", "ordered_products", "order_status"].map(|name| format!("{name}:{}", sample.order));
    let deadline = Instant::now() + STEP;
    loop {
        let left: i64 = book.data().exists(&keys[..])?;
        if left == 0 {
            return Ok(());
        }
        if Instant::now() > deadline || shutdown.is_triggered() {
            let order = &sample.order;
            return Err(Error::Check(format!("5 Redis: {left} keys of the deleted order {order} are still there")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn next(consumer: &BaseConsumer) -> Result<Option<rdkafka::message::OwnedMessage>, Error> {
    match consumer.poll(Duration::from_millis(200)) {
        None | Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => Ok(None),
        Some(Ok(message)) => Ok(Some(message.detach())),
        Some(Err(rdkafka::error::KafkaError::MessageConsumption(code))) if kafka::is_passing(code) => Ok(None),
        Some(Err(error)) => Err(error.into()),
    }
}
