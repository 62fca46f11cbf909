//! `monitor`: changes and announced orders as they come, a line each, with ids and without the rows.

use std::time::{Duration, Instant};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::BorrowedMessage,
};

use super::{
    change::{Columns, Operation, Table},
    config::Config,
};
use crate::runtime::{
    Error, Shutdown, kafka,
    output::{Out, say},
};

/// How often topics that are not there yet are looked for.
const LOOK: Duration = Duration::from_secs(3);

/// A topic, and a reader of it once it exists.
struct Watched<'a> {
    topic: &'a str,
    /// `None` for the announced orders.
    table: Option<Table>,
    reader: Option<BaseConsumer>,
}

/// Prints what comes until shutdown; of topics that come into being meanwhile, everything.
///
/// # Errors
/// Refused configuration, or Kafka's refusal.
pub async fn monitor(config: &Config, shutdown: &Shutdown, out: Out<'_>) -> Result<(), Error> {
    config.check()?;
    let columns = config.column_types()?;
    let mut watched = [
        (config.input.orders_topic.as_str(), Some(Table::Orders)),
        (config.input.order_details_topic.as_str(), Some(Table::Details)),
        (config.output.ready_topic.as_str(), None),
    ]
    .map(|(topic, table)| Watched { topic, table, reader: None });
    let mut start = Offset::End;
    let mut looked = None;
    while !shutdown.is_triggered() {
        if looked.is_none_or(|at: Instant| at.elapsed() > LOOK) {
            for one in watched.iter_mut().filter(|one| one.reader.is_none()) {
                one.reader = reader(config, one.topic, start)?;
                if one.reader.is_none() && looked.is_none() {
                    say(&mut *out, format_args!("waiting for topic {}", one.topic))?;
                }
            }
            looked = Some(Instant::now());
            start = Offset::Beginning;
        }
        let mut any = false;
        for one in &watched {
            let Some(reader) = &one.reader else { continue };
            match reader.poll(Duration::from_millis(20)) {
                Some(Ok(message)) => {
                    any = true;
                    say(&mut *out, format_args!("{}", line(&message, one.table, &columns)))?;
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(KafkaError::MessageConsumption(code))) if kafka::is_passing(code) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
        if !any {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

fn reader(config: &Config, topic: &str, start: Offset) -> Result<Option<BaseConsumer>, Error> {
    let consumer = kafka::reader(&config.kafka.client()?, "read_committed")?;
    let mut list = TopicPartitionList::new();
    for partition in kafka::partitions(&consumer, topic)? {
        list.add_partition_offset(topic, partition, start)?;
    }
    if list.count() == 0 {
        return Ok(None);
    }
    consumer.assign(&list)?;
    Ok(Some(consumer))
}

fn line(message: &BorrowedMessage<'_>, table: Option<Table>, columns: &Columns) -> String {
    let place = format!("{}/{}@{}", message.topic(), message.partition(), message.offset());
    let at = message
        .timestamp()
        .to_millis()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| "-".to_owned(), |t| format!("{t:.3}"));
    let Some(table) = table else {
        let id = message.key().map(String::from_utf8_lossy).unwrap_or_default();
        return format!("{at} {place} order {id} is ready for checking");
    };
    let what = match columns.interpret(table, message.key(), message.payload()) {
        Ok(Operation::PutOrder { id, num_products, .. }) => {
            format!("order {id} wants {} products", if num_products.is_empty() { "?" } else { &num_products })
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
    format!("{at} {place} {what}")
}
