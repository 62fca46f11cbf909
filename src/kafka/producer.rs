//! The producer of one connector task: [`engine::port::Sink`] on librdkafka.
//!
//! Records are copied into librdkafka's queue, which is bounded; delivery is counted per batch. One thread of
//! the producer's own serves delivery reports. While the broker is away records wait without end, as
//! Connect's do (`delivery.timeout.ms` at its maximum), and [`Sink::produce`] blocks when the queue is full.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use engine::{
    batch::Ack,
    error::{Failure, TaskError},
    port::Sink,
};
use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig},
};
use record::{RecordBuffer, RecordRef};

use crate::{
    client::{Meaning, connection_refused, is_refusal, log_line, meaning},
    cluster::{Cluster, Created, creation_failed},
    creation::TopicCreation,
    outstanding::Outstanding,
    settings::Settings,
};

/// The message that Connect's traces begin with when a record is not delivered.
pub const SEND_FAILED: &str = "Unrecoverable exception from producer send callback";

/// How long a topic may take to appear by the broker's automatic creation.
const AUTO_CREATION: Duration = Duration::from_secs(60);

struct Reports {
    servers: String,
    outstanding: Outstanding,
    max_request: u64,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka::client", %error, reason, "producer error");
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.outstanding.die(|| TaskError::Transient(Failure::new(SEND_FAILED).caused_by(reason)));
        } else if let Some(code) = error.rdkafka_error_code().filter(|code| is_refusal(*code, reason)) {
            let refused = connection_refused(&self.servers, code, reason);
            self.outstanding.die(|| TaskError::Definite(Failure::new(SEND_FAILED).caused_by(refused)));
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: usize) {
        if let Err((error, message)) = result {
            let size = message.key_len() + message.payload_len();
            self.outstanding.fail(slot, || delivery_failed(error, message.topic(), size as u64, self.max_request));
        }
        self.outstanding.done(slot, 1);
    }
}

/// Records of one connector task on their way to Kafka.
pub struct KafkaSink {
    producer: Arc<BaseProducer<Reports>>,
    stop: Arc<AtomicBool>,
    poller: Option<JoinHandle<()>>,
    abort: Arc<AtomicBool>,
    max_block: Option<Duration>,
    creation: Option<(TopicCreation, Settings)>,
    known: HashSet<Arc<str>>,
    new: Vec<Arc<str>>,
    checked: Vec<bool>,
}

impl fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSink").field("known", &self.known).finish_non_exhaustive()
    }
}

impl KafkaSink {
    /// A producer with `settings` (see [`crate::client::connector_client`]), its queue bounded to
    /// `queue_bytes`. `creation` has the connector's topic rules and the settings of the admin client that
    /// carries them out; without it topics come from the broker's automatic creation. `abort` makes a
    /// blocked [`Sink::produce`] return.
    ///
    /// # Errors
    /// The settings are refused, or no thread can be started.
    pub fn new(
        mut settings: Settings,
        queue_bytes: u64,
        creation: Option<(TopicCreation, Settings)>,
        abort: Arc<AtomicBool>,
    ) -> Result<Self, TaskError> {
        settings.bound_queue(queue_bytes);
        let max_request = settings.get("message.max.bytes").and_then(|n| n.parse().ok()).unwrap_or(0);
        let servers = settings.get("bootstrap.servers").unwrap_or_default().to_owned();
        let reports = Reports { servers, outstanding: Outstanding::new(), max_request };
        let producer: BaseProducer<Reports> = settings.client(reports).map_err(|e| creation_failed(&e))?;
        let producer = Arc::new(producer);
        let stop = Arc::new(AtomicBool::new(false));
        let poller = {
            let (producer, stop) = (producer.clone(), stop.clone());
            std::thread::Builder::new()
                .name("kafka-reports".into())
                .spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        producer.poll(Duration::from_millis(100));
                        if producer.context().outstanding.failure().is_some() {
                            // Records that wait for a connection are not delivered: their batches are to hear of it.
                            producer.purge(PurgeConfig::default().queue().inflight());
                        }
                    }
                })
                .map_err(|e| TaskError::transient(format!("no thread for the Kafka producer could be started: {e}")))?
        };
        Ok(Self {
            producer,
            stop,
            poller: Some(poller),
            abort,
            max_block: settings.max_block,
            creation,
            known: HashSet::new(),
            new: Vec::new(),
            checked: Vec::new(),
        })
    }

    fn outstanding(&self) -> &Outstanding {
        &self.producer.context().outstanding
    }

    fn aborted(&self) -> Result<(), TaskError> {
        if self.abort.load(Ordering::Relaxed) {
            return Err(TaskError::transient("the task was stopped while it waited for Kafka"));
        }
        Ok(())
    }

    /// The failure that ended this producer.
    fn dead(&self) -> Result<(), TaskError> {
        self.outstanding().failure().map_or(Ok(()), Err)
    }

    /// Waits a little, longer each time.
    fn pause(&self, step: &mut Duration, since: Instant) -> Result<(), TaskError> {
        self.outstanding().wait_change(*step);
        *step = (*step * 2).min(Duration::from_millis(50));
        self.aborted()?;
        self.dead()?;
        match self.max_block {
            Some(limit) if since.elapsed() >= limit => {
                let text = format!("Kafka took no record for {} ms (max.block.ms)", limit.as_millis());
                Err(TaskError::Transient(Failure::new(SEND_FAILED).caused_by(text)))
            }
            _ => Ok(()),
        }
    }

    fn check_topics(&mut self, records: &RecordBuffer) -> Result<(), TaskError> {
        self.checked.clear();
        for record in records.records() {
            let index = record.topic as usize;
            if self.checked.get(index) == Some(&true) {
                continue;
            }
            let topic = records.topic(record);
            if !self.known.contains(topic) {
                let topic = topic.clone();
                self.prepare_topic(&topic)?;
                self.known.insert(topic.clone());
                self.new.push(topic);
            }
            if self.checked.len() <= index {
                self.checked.resize(index + 1, false);
            }
            if let Some(checked) = self.checked.get_mut(index) {
                *checked = true;
            }
        }
        Ok(())
    }

    /// Makes sure that a topic is there before its first record.
    fn prepare_topic(&self, topic: &str) -> Result<(), TaskError> {
        tracing::info!(
            "The task will send records to topic '{topic}' for the first time. Checking whether topic exists"
        );
        match &self.creation {
            Some((rules, admin)) => self.create_topic(topic, rules, admin),
            None => self.await_topic(topic),
        }
    }

    fn create_topic(&self, topic: &str, rules: &TopicCreation, admin: &Settings) -> Result<(), TaskError> {
        let cluster = Cluster::open(admin)?;
        let (mut step, since) = (Duration::from_millis(10), Instant::now());
        let Some((new, group)) = rules.topic(topic) else {
            return Err(TaskError::definite(format!("no topic.creation group takes topic '{topic}'")));
        };
        loop {
            let refusal = match cluster.partitions(topic) {
                Ok(Some(_)) => {
                    tracing::info!("Topic '{topic}' already exists.");
                    return Ok(());
                }
                Ok(None) => match cluster.create(&new) {
                    Ok(made) => {
                        if made == Created::New {
                            tracing::info!("Created topic '{new}' using creation group {group}");
                        }
                        return Ok(());
                    }
                    Err(refusal) => refusal,
                },
                Err(refusal) => refusal,
            };
            if refusal.meaning() != Meaning::Retriable {
                return Err(refusal.into_error(format!(
                    "Task failed to create new topic {new}. Ensure that the task is authorized to create topics or that \
                     the topic exists and restart the task"
                )));
            }
            cluster.refused()?;
            self.pause(&mut step, since)?;
        }
    }

    /// Asks for a topic in a way that lets the broker create it, until it is there.
    fn await_topic(&self, topic: &str) -> Result<(), TaskError> {
        let (mut step, since) = (Duration::from_millis(5), Instant::now());
        let mut answered: Option<Instant> = None;
        loop {
            let answer = self.producer.client().fetch_metadata(Some(topic), Duration::from_secs(1));
            let code = match &answer {
                Ok(metadata) => match metadata.topics().iter().find(|t| t.name() == topic) {
                    Some(found) => found.error().map(RDKafkaErrorCode::from),
                    None => Some(RDKafkaErrorCode::UnknownTopicOrPartition),
                },
                Err(e) => e.rdkafka_error_code(),
            };
            match (&answer, code) {
                (Ok(_), None) => return Ok(()),
                (_, Some(code)) => match meaning(code) {
                    Meaning::Retriable => answered = None,
                    Meaning::UnknownTopic => {
                        // The broker answers so both while it creates the topic and when it never will.
                        if answered.get_or_insert_with(Instant::now).elapsed() >= AUTO_CREATION {
                            return Err(TaskError::definite(format!(
                                "Topic '{topic}' does not exist and the broker does not create it \
                                 (auto.create.topics.enable). Create it, or let the connector do so with \
                                 topic.creation.default.partitions and topic.creation.default.replication.factor"
                            )));
                        }
                    }
                    _ => return Err(topic_refused(topic, code)),
                },
                (Err(_), None) => answered = None,
            }
            self.pause(&mut step, since)?;
        }
    }

    fn send(&self, records: &RecordBuffer, record: &RecordRef, slot: usize) -> Result<(), TaskError> {
        let topic = records.topic(record);
        let (key, value) = (records.key(record), records.value(record));
        let mut message = BaseRecord {
            topic,
            partition: record.partition,
            payload: value,
            key,
            timestamp: None,
            headers: headers(records, record),
            delivery_opaque: slot,
        };
        let (mut step, since) = (Duration::from_millis(1), Instant::now());
        loop {
            let (error, unsent) = match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                let size = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
                let fatal = self.producer.client().fatal_error();
                return Err(match fatal {
                    Some((code, text)) => {
                        TaskError::Transient(Failure::new(SEND_FAILED).caused_by(format!("{code}: {text}")))
                    }
                    None => delivery_failed(&error, topic, size as u64, self.producer.context().max_request),
                });
            }
            message = unsent;
            self.pause(&mut step, since)?;
        }
    }
}

fn headers(records: &RecordBuffer, record: &RecordRef) -> Option<OwnedHeaders> {
    if record.headers == 0 {
        return None;
    }
    let headers = records.headers(record);
    let new = OwnedHeaders::new_with_capacity(headers.len());
    Some(headers.fold(new, |all, (key, value)| all.insert(Header { key, value })))
}

impl Sink for KafkaSink {
    fn produce(&mut self, records: &RecordBuffer, ack: Ack) -> Result<(), TaskError> {
        if let Err(error) = self.dead().and_then(|()| self.check_topics(records)) {
            ack.failed(error.clone());
            return Err(error);
        }
        let count = records.records().len() as u32;
        let (mut ack, mut step, since) = (ack, Duration::from_millis(1), Instant::now());
        let slot = loop {
            match self.outstanding().begin(count, ack) {
                Ok(slot) => break slot,
                Err(unused) => ack = unused,
            }
            if let Err(error) = self.pause(&mut step, since) {
                ack.failed(error.clone());
                return Err(error);
            }
        };
        for (sent, record) in records.records().iter().enumerate() {
            if let Err(error) = self.send(records, record, slot) {
                self.outstanding().fail(slot, || error.clone());
                self.outstanding().done(slot, count - sent as u32 + 1);
                return Err(error);
            }
        }
        self.outstanding().done(slot, 1);
        Ok(())
    }

    fn flush(&mut self, timeout: Duration) {
        self.outstanding().wait_idle(timeout);
    }

    fn take_new_topics(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.new)
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(poller) = self.poller.take() {
            // A panic in it has been reported by its own thread; undelivered batches report through their acks.
            let _ = poller.join();
        }
    }
}

fn topic_refused(topic: &str, code: RDKafkaErrorCode) -> TaskError {
    let advice = match meaning(code) {
        Meaning::Authorization => "Give the producer's user WRITE and DESCRIBE on the topic",
        _ => "Check the topic's name and the producer's settings",
    };
    let cause = format!("topic '{topic}' cannot be used: {code}. {advice}");
    TaskError::Definite(Failure::new(SEND_FAILED).caused_by(cause))
}

/// Why a record was not delivered. Sizes and names only, never data.
fn delivery_failed(error: &KafkaError, topic: &str, size: u64, max_request: u64) -> TaskError {
    let Some(code) = error.rdkafka_error_code() else {
        return TaskError::Definite(Failure::new(SEND_FAILED).caused_by(format!("topic '{topic}': {error}")));
    };
    let (definite, cause) = match meaning(code) {
        Meaning::TooLarge => (
            true,
            format!(
                "org.apache.kafka.common.errors.RecordTooLargeException: a record of {size} bytes for topic '{topic}' is \
                 larger than {max_request}, the producer's max.request.size, or than the topic's max.message.bytes. Raise \
                 producer.override.max.request.size of the connector and max.message.bytes of the topic"
            ),
        ),
        Meaning::Authorization => (
            true,
            format!(
                "org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [{topic}]. \
                 Give the producer's user WRITE and DESCRIBE on the topic"
            ),
        ),
        Meaning::Definite if code == RDKafkaErrorCode::InvalidRecord => (
            true,
            format!(
                "org.apache.kafka.common.InvalidRecordException: topic '{topic}' refused a record. A compacted topic takes \
                 no records without a key: set message.key.columns for a table that has none, or cleanup.policy=delete"
            ),
        ),
        // Deleted while in use: a restart creates it again or says how.
        Meaning::UnknownTopic => (false, format!("topic '{topic}' or its partition does not exist: {code}")),
        Meaning::Retriable | Meaning::Fenced => (false, format!("topic '{topic}': {code}")),
        Meaning::Authentication | Meaning::Definite => (true, format!("topic '{topic}': {code}")),
    };
    let failure = Failure::new(SEND_FAILED).caused_by(cause);
    if definite { TaskError::Definite(failure) } else { TaskError::Transient(failure) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_what_to_do() {
        let failed = |code| delivery_failed(&KafkaError::MessageProduction(code), "srv.db.t", 2_000_000, 1_048_576);
        let large = failed(RDKafkaErrorCode::MessageSizeTooLarge);
        let text = large.to_string();
        for part in [SEND_FAILED, "srv.db.t", "2000000", "1048576", "producer.override.max.request.size"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!large.is_transient());
        assert!(!failed(RDKafkaErrorCode::TopicAuthorizationFailed).is_transient());
        assert!(failed(RDKafkaErrorCode::MessageTimedOut).is_transient());
    }
}
