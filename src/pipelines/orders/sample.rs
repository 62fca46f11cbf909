//! `test`: one order through the whole flow, from the database to Redis and the output topic, and out again.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use mysql_async::prelude::Queryable;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use redis::Commands;

use super::{
    book::Book,
    change::{Operation, Table},
    commands::say,
    config::Config,
};
use crate::{
    generate,
    runtime::{Error, kafka},
};

/// How long each stop may take.
const STEP: Duration = Duration::from_secs(60);

/// Sends a sample through the whole flow and checks each stop, printing what it saw.
///
/// # Errors
/// [`Error::Check`] names the first stop where it did not arrive, with what to look at.
pub async fn test(config: &Config, out: &mut (dyn Write + Send)) -> Result<(), Error> {
    config.check()?;
    let client = config.kafka.client()?;
    let consumer = kafka::reader(&client, "read_committed")?;
    let topics = [&config.input.orders_topic, &config.input.order_details_topic, &config.output.ready_topic];
    let mut list = TopicPartitionList::new();
    for topic in topics {
        // The present end as a number: an end that is looked up later could lie behind the sample.
        for (partition, (_, end)) in kafka::ends(&consumer, topic)? {
            list.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
    }
    consumer.assign(&list)?;
    // Topics that come into being only with the sample cannot be looked at.
    let topics_exist = !list.elements_for_topic(topics[0]).is_empty() && !list.elements_for_topic(topics[1]).is_empty();
    let mut book = Book::open(&config.redis, config.legacy_keys)?;
    let mut mysql = generate::connect(&config.mysql).await?;
    let [order, first, second, product_a, product_b] = [(); 5].map(|()| uuid::Uuid::new_v4().to_string());
    mysql
        .exec_drop(
            "INSERT INTO orders (id, customer_id, store_id, payment_method_id, num_products) VALUES (?, 1, 1, 2, 2)",
            (&order,),
        )
        .await?;
    mysql
        .exec_drop(
            "INSERT INTO order_details (id, order_id, product_id, quantity, price) VALUES (?,?,?,1,9.99),(?,?,?,2,5.00)",
            (&first, &order, &product_a, &second, &order, &product_b),
        )
        .await?;
    say(out, format_args!("1 MySQL: inserted order {order} with 2 lines"))?;

    let columns = config.column_types()?;
    let (mut seen_order, mut seen_lines, mut ready) = (false, 0, None);
    let mut at_topics = false;
    let deadline = Instant::now() + STEP;
    while (ready.is_none() || (topics_exist && !at_topics)) && Instant::now() < deadline {
        let Some(message) = next(&consumer)? else { continue };
        if message.topic() == config.output.ready_topic {
            if message.key() == Some(order.as_bytes()) {
                ready = Some(format!("{}/{}@{}", message.topic(), message.partition(), message.offset()));
            }
        } else if message.topic() == config.input.orders_topic {
            let read = columns.interpret(Table::Orders, message.key(), message.payload());
            seen_order |= matches!(read, Ok(Operation::PutOrder { id, .. }) if id == order);
        } else {
            let read = columns.interpret(Table::Details, message.key(), message.payload());
            seen_lines += usize::from(matches!(read, Ok(Operation::PutLine { order_id, .. }) if order_id == order));
        }
        if seen_order && seen_lines == 2 && !std::mem::replace(&mut at_topics, true) {
            say(out, format_args!("2 Kafka: the order and both lines are in their topics"))?;
        }
    }
    let Some(place) = ready.filter(|_| at_topics || !topics_exist) else {
        return Err(Error::Check(if topics_exist && !at_topics {
            format!(
                "2 Kafka: the changes did not reach their topics within {} s: look at the connector's status",
                STEP.as_secs()
            )
        } else {
            format!(
                "3 Kafka: no message in {} within {} s: does the pipeline run? look at its status",
                config.output.ready_topic,
                STEP.as_secs()
            )
        }));
    };
    if !at_topics {
        say(out, format_args!("2 Kafka: the topics of the tables were only created now; not looked at"))?;
    }
    say(out, format_args!("3 Kafka: announced at {place}"))?;

    let wanted: Option<i64> = book.data().hget(format!("order_info:{order}"), "num_products")?;
    let mut products: Vec<String> = book.data().smembers(format!("ordered_products:{order}"))?;
    products.sort();
    let status: Option<String> = book.data().get(format!("order_status:{order}"))?;
    let mut expected = vec![product_a, product_b];
    expected.sort();
    if wanted != Some(2) || products != expected || status.as_deref() != Some("checking") {
        return Err(Error::Check(format!("4 Redis: the keys of order {order} are not what they should be")));
    }
    say(out, format_args!("4 Redis: order_info, ordered_products and order_status are right"))?;

    mysql.exec_drop("DELETE FROM order_details WHERE order_id = ?", (&order,)).await?;
    mysql.exec_drop("DELETE FROM orders WHERE id = ?", (&order,)).await?;
    mysql.disconnect().await?;
    let deadline = Instant::now() + STEP;
    let keys = [format!("order_info:{order}"), format!("ordered_products:{order}"), format!("order_status:{order}")];
    loop {
        let left: i64 = book.data().exists(&keys[..])?;
        if left == 0 {
            break;
        }
        if Instant::now() > deadline {
            return Err(Error::Check(format!("5 Redis: {left} keys of the deleted order {order} are still there")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    say(out, format_args!("5 MySQL and Redis: the sample is deleted, and so are its keys"))
}

fn next(consumer: &BaseConsumer) -> Result<Option<rdkafka::message::OwnedMessage>, Error> {
    match consumer.poll(Duration::from_millis(200)) {
        None | Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => Ok(None),
        Some(Ok(message)) => Ok(Some(message.detach())),
        Some(Err(rdkafka::error::KafkaError::MessageConsumption(code))) if kafka::is_passing(code) => Ok(None),
        Some(Err(error)) => Err(error.into()),
    }
}
