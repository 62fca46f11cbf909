//! Reading for pipelines: committed records of assigned or subscribed partitions, from offsets that the
//! reader keeps itself, with bounded memory; and the producer of their Kafka transactions.
//!
//! Offsets are never committed by the consumer: they live with the reader's state or in its transactions.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use engine::error::{Failure, TaskError};
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

use crate::{
    client::{JavaSettings, Meaning, log_line},
    cluster::{Refusal, creation_failed},
    settings::{Problem, Role, Settings},
};

/// A topic's partition.
pub type TopicPartition = (String, i32);

/// A change of what this consumer reads, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// Partitions are ours; they are paused until [`PipelineConsumer::resume_at`].
    Assigned(Vec<TopicPartition>),
    /// Partitions are no longer ours.
    Revoked(Vec<TopicPartition>),
}

#[derive(Default)]
struct Changes {
    queue: Mutex<Vec<Assignment>>,
}

impl Changes {
    fn lock(&self) -> MutexGuard<'_, Vec<Assignment>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect()
}

impl ClientContext for Changes {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka::client", %error, reason, "consumer error");
    }
}

impl ConsumerContext for Changes {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            self.lock().push(Assignment::Revoked(partitions(list)));
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            // Nothing is read before the reader has said from where.
            if let Err(error) = consumer.pause(list) {
                tracing::warn!(%error, "assigned partitions could not be paused");
            }
            self.lock().push(Assignment::Assigned(partitions(list)));
        }
    }
}

/// A consumer whose offsets belong to its reader.
pub struct PipelineConsumer {
    consumer: BaseConsumer<Changes>,
}

impl fmt::Debug for PipelineConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineConsumer").finish_non_exhaustive()
    }
}

/// Consumer settings of a pipeline: `java` over committed reads, cooperative rebalancing, no commits, and at
/// most about `fetch_bytes` fetched ahead.
///
/// # Errors
/// Keys that cannot be used.
pub fn pipeline_settings(java: &JavaSettings, group: &str, fetch_bytes: u64) -> Result<Settings, Vec<Problem>> {
    let mut all = JavaSettings::from([
        ("group.id".to_owned(), group.to_owned()),
        ("isolation.level".to_owned(), "read_committed".to_owned()),
        ("auto.offset.reset".to_owned(), "earliest".to_owned()),
    ]);
    all.extend(java.clone());
    let mut settings = Settings::translate(Role::Consumer, &all)?;
    settings.put("enable.auto.commit", "false");
    settings.put("enable.auto.offset.store", "false");
    settings.put("enable.partition.eof", "true");
    settings.put("partition.assignment.strategy", "cooperative-sticky");
    settings.bound_fetch(fetch_bytes);
    Ok(settings)
}

/// What a poll gives.
#[derive(Debug)]
pub enum Polled<'a> {
    /// A record.
    Record(BorrowedMessage<'a>),
    /// A partition is read to its present end.
    End(i32),
    /// Nothing within the time.
    Nothing,
}

impl PipelineConsumer {
    /// A consumer; nothing is sent yet.
    ///
    /// # Errors
    /// The settings are refused.
    pub fn new(settings: &Settings) -> Result<Self, TaskError> {
        let consumer = settings.client(Changes::default()).map_err(|e| creation_failed(&e))?;
        Ok(Self { consumer })
    }

    /// Joins the group for these topics; see [`Self::take_changes`].
    ///
    /// # Errors
    /// Kafka's refusal.
    pub fn subscribe(&self, topics: &[&str]) -> Result<(), TaskError> {
        self.consumer.subscribe(topics).map_err(|e| failed("Topics cannot be subscribed to", &e))
    }

    /// Reads exactly these partitions, each from the given offset or, without one, from the beginning.
    ///
    /// # Errors
    /// Kafka's refusal.
    pub fn assign(&self, from: &[(TopicPartition, Option<i64>)]) -> Result<(), TaskError> {
        let mut list = TopicPartitionList::with_capacity(from.len());
        for ((topic, partition), offset) in from {
            let offset = offset.map_or(Offset::Beginning, Offset::Offset);
            list.add_partition_offset(topic, *partition, offset)
                .map_err(|e| failed("Partitions cannot be assigned", &e))?;
        }
        self.consumer.assign(&list).map_err(|e| failed("Partitions cannot be assigned", &e))
    }

    /// Changes of the assignment since the last call. Look after every [`Self::poll`], before using its record.
    pub fn take_changes(&self) -> Vec<Assignment> {
        std::mem::take(&mut self.consumer.context().lock())
    }

    /// Starts reading assigned partitions, each from the given offset or, without one, from the beginning.
    ///
    /// # Errors
    /// Kafka's refusal; the partitions stay paused.
    pub fn resume_at(&self, from: &[(TopicPartition, Option<i64>)]) -> Result<(), TaskError> {
        let mut list = TopicPartitionList::with_capacity(from.len());
        for ((topic, partition), offset) in from {
            let offset = offset.map_or(Offset::Beginning, Offset::Offset);
            list.add_partition_offset(topic, *partition, offset).map_err(|e| failed("Reading cannot begin", &e))?;
        }
        let sought = self.consumer.seek_partitions(list, Duration::from_secs(10));
        let sought = sought.map_err(|e| failed("Reading cannot begin", &e))?;
        for element in sought.elements() {
            element.error().map_err(|e| failed("Reading cannot begin", &e))?;
        }
        self.consumer.resume(&sought).map_err(|e| failed("Reading cannot begin", &e))
    }

    /// The next record, the end of a partition, or nothing within `limit`. Interruptions are waited out.
    ///
    /// # Errors
    /// The client is of no more use, or there is no right to read.
    pub fn poll(&self, limit: Duration) -> Result<Polled<'_>, TaskError> {
        match self.consumer.poll(limit) {
            None => Ok(Polled::Nothing),
            Some(Ok(record)) => Ok(Polled::Record(record)),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(Polled::End(partition)),
            Some(Err(error)) => {
                let refusal = Refusal::of(&error);
                if matches!(error, KafkaError::MessageConsumptionFatal(_))
                    || !matches!(refusal.meaning(), Meaning::Retriable | Meaning::UnknownTopic)
                {
                    return Err(failed("Reading has ended", &error));
                }
                tracing::warn!(%error, "reading is interrupted, waiting for the broker");
                Ok(Polled::Nothing)
            }
        }
    }

    /// First offset kept and offset after the last committed record of a partition.
    ///
    /// # Errors
    /// No answer within `limit`.
    pub fn bounds(&self, topic: &str, partition: i32, limit: Duration) -> Result<(i64, i64), TaskError> {
        let bounds = self.consumer.fetch_watermarks(topic, partition, limit);
        bounds.map_err(|e| failed(&format!("The bounds of {topic}-{partition} are not known"), &e))
    }
}

fn failed(message: &str, error: &KafkaError) -> TaskError {
    Refusal::of(error).into_error(message)
}

#[derive(Default)]
struct TransactionReports {
    failure: Mutex<Option<(String, KafkaError)>>,
}

impl ClientContext for TransactionReports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka::client", %error, reason, "producer error");
    }
}

impl ProducerContext for TransactionReports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            // Purged records are what an abort or a fatal error leaves, not its cause.
            let purged = [Some(RDKafkaErrorCode::PurgeQueue), Some(RDKafkaErrorCode::PurgeInflight)];
            if purged.contains(&error.rdkafka_error_code()) {
                return;
            }
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| (rdkafka::Message::topic(message).to_owned(), error.clone()));
        }
    }
}

/// A producer of transactions under a stable id; opening it ends what an earlier holder of the id left open.
///
/// A commit waits for the records itself, in short polls: rdkafka 0.39 would flush in polls of 100 ms, to which
/// the native commit (2 to 15 ms) adds little.
pub struct TransactionalProducer {
    producer: BaseProducer<TransactionReports>,
}

impl fmt::Debug for TransactionalProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionalProducer").finish_non_exhaustive()
    }
}

const TRANSACTION_LIMIT: Duration = Duration::from_secs(60);

impl TransactionalProducer {
    /// Opens the producer and fences an earlier one with the same id.
    ///
    /// # Errors
    /// The settings are refused, no answer, or no right to the id.
    pub fn open(java: &JavaSettings, transactional_id: &str, queue_bytes: u64) -> Result<Self, TaskError> {
        let mut settings = Settings::translate(Role::Producer, java).map_err(|problems| {
            let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
            TaskError::definite(format!("The producer's settings cannot be used: {}", text.join("; ")))
        })?;
        settings.put("transactional.id", transactional_id);
        // Within a transaction a record cannot wait longer than the transaction itself.
        if settings.get("message.timeout.ms") == Some("0") {
            settings.put("message.timeout.ms", "60000");
        }
        settings.bound_queue(queue_bytes);
        let producer: BaseProducer<TransactionReports> =
            settings.client(TransactionReports::default()).map_err(|e| creation_failed(&e))?;
        producer
            .init_transactions(TRANSACTION_LIMIT)
            .map_err(|e| failed(&format!("Transactions of '{transactional_id}' cannot begin"), &e))?;
        Ok(Self { producer })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// Another producer has the id now, or the client is of no more use.
    pub fn begin(&self) -> Result<(), TaskError> {
        self.alive()?;
        self.producer.begin_transaction().map_err(|e| failed("A transaction cannot begin", &e))
    }

    /// A fenced producer's first calls succeed: the fatal error tells.
    fn alive(&self) -> Result<(), TaskError> {
        match self.producer.client().fatal_error() {
            Some((code, text)) => Err(TaskError::Transient(
                Failure::new("The producer of transactions has ended").caused_by(format!("{code}: {text}")),
            )),
            None => Ok(()),
        }
    }

    /// Adds a record to the transaction; waits while the queue is full.
    ///
    /// # Errors
    /// The record is refused; abort the transaction.
    pub fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), TaskError> {
        let mut record =
            BaseRecord { topic, partition, payload: value, key, timestamp: None, headers: None, delivery_opaque: () };
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, unsent)) => {
                    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                        return Err(failed(&format!("A record for topic '{topic}' was refused"), &error));
                    }
                    record = unsent;
                    self.alive()?;
                    self.producer.poll(Duration::from_millis(10));
                }
            }
        }
    }

    /// Commits the transaction: on `Ok` all its records are visible to committed readers.
    ///
    /// # Errors
    /// The transaction is not known to be committed. Drop the producer and open it again, read back what is
    /// there, and go on from that.
    pub fn commit(&self) -> Result<(), TaskError> {
        let end = Instant::now() + TRANSACTION_LIMIT;
        // With nothing in flight rdkafka's own flush returns at once. What is late is its to report.
        while self.producer.in_flight_count() > 0 && Instant::now() < end {
            self.producer.poll(Duration::from_millis(1));
        }
        let committed = self.producer.commit_transaction(TRANSACTION_LIMIT);
        self.alive()?;
        let refused = self.producer.context().failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (committed, refused) {
            (Ok(()), None) => Ok(()),
            (_, Some((topic, error))) => {
                Err(failed(&format!("A record for topic '{topic}' was not delivered"), &error))
            }
            (Err(error), None) => Err(failed("A transaction was not committed", &error)),
        }
    }

    /// Aborts a transaction of which no call has failed: none of its records will be visible. After a failure
    /// open the producer anew, which aborts too: librdkafka's numbering of records may have a gap then.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn abort(&self) -> Result<(), TaskError> {
        // librdkafka purges the records and waits until their reports are served: by another thread.
        let done = AtomicBool::new(false);
        let aborted = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    self.producer.poll(Duration::from_millis(1));
                }
            });
            let aborted = self.producer.abort_transaction(TRANSACTION_LIMIT);
            done.store(true, Ordering::Release);
            aborted
        });
        self.producer.context().failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        aborted.map_err(|e| failed("A transaction was not aborted", &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_committed_records_and_never_commit() {
        let java = JavaSettings::from([("bootstrap.servers".to_owned(), "b:1".to_owned())]);
        let settings = pipeline_settings(&java, "p", 8 << 20).unwrap_or_else(|p| panic!("{p:?}"));
        for (key, value) in [
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("queued.max.messages.kbytes", "8192"),
        ] {
            assert_eq!(settings.get(key), Some(value), "{key}");
        }
        assert!(settings.to_native().create_native_config().is_ok());
    }
}
