//! The producer of one connector task: [`engine::port::Sink`] over Kafka's own protocol.
//!
//! Records are written straight into the batches that will be sent ([`queue`]); one thread of the producer's own
//! compresses, sends and settles them ([`crate::io::sender`]). Delivery is counted per hand-over, not per record. While
//! the broker is away records wait without end, as Connect's do (`delivery.timeout.ms` at its maximum), and
//! [`Sink::produce`] blocks when the queue is full.

pub(crate) mod failure;
pub(crate) mod options;
pub(crate) mod queue;

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use engine::{
    batch::Ack,
    error::{Failure, TaskError},
    port::Sink,
};
use rdkafka::error::RDKafkaErrorCode;
use record::RecordBuffer;

use crate::{
    client::{Meaning, meaning},
    cluster::{Cluster, Created},
    creation::TopicCreation,
    io::sender,
    producer::{
        failure::{delivery_failed, topic_refused},
        options::Options,
        queue::{NewRecord, Queue, Refused, Shared, TopicState},
    },
    settings::Settings,
    wire::batch::{HeaderBlock, size_alone},
};

/// The message that Connect's traces begin with when a record is not delivered.
pub const SEND_FAILED: &str = "Unrecoverable exception from producer send callback";

/// How long a topic may take to appear by the broker's automatic creation.
const AUTO_CREATION: Duration = Duration::from_secs(60);
/// How often a blocked hand-over looks whether it was told to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Records of one connector task on their way to Kafka.
pub struct KafkaSink {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    abort: Arc<AtomicBool>,
    max_block: Option<Duration>,
    max_request: usize,
    ignore_keys: bool,
    creation: Option<(TopicCreation, Settings)>,
    known: HashSet<Arc<str>>,
    new: Vec<Arc<str>>,
    /// By a buffer's topic: its place in the queue.
    places: Vec<Option<usize>>,
    headers: HeaderBlock,
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
    /// blocked [`Sink::produce`] return. Nothing is sent before the first record.
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
        let options = Options::read(&settings)
            .map_err(|e| TaskError::Definite(Failure::new("The Kafka client's settings were refused").caused_by(e)))?;
        let shared = Arc::new(Shared::new(options.queue_bytes, options.batch_bytes));
        let (max_request, ignore_keys) = (options.max_request, options.ignore_keys);
        let thread = sender::start(shared.clone(), options, creation.is_none())
            .map_err(|e| TaskError::transient(format!("no thread for the Kafka producer could be started: {e}")))?;
        Ok(Self {
            shared,
            thread: Some(thread),
            abort,
            max_block: settings.max_block,
            max_request,
            ignore_keys,
            creation,
            known: HashSet::new(),
            new: Vec::new(),
            places: Vec::new(),
            headers: HeaderBlock::default(),
        })
    }

    /// The failure that ended this producer, the word to stop, or the end of the time a wait may take.
    fn may_wait(&self, since: Instant) -> Result<(), TaskError> {
        if self.abort.load(Ordering::Relaxed) {
            return Err(TaskError::transient("the task was stopped while it waited for Kafka"));
        }
        self.dead()?;
        match self.max_block {
            Some(limit) if since.elapsed() >= limit => {
                let text = format!("Kafka took no record for {} ms (max.block.ms)", limit.as_millis());
                Err(TaskError::Transient(Failure::new(SEND_FAILED).caused_by(text)))
            }
            _ => Ok(()),
        }
    }

    fn dead(&self) -> Result<(), TaskError> {
        self.shared.outstanding.failure().map_or(Ok(()), Err)
    }

    /// Finds the places of a buffer's topics; new ones are made sure of first.
    fn check_topics(&mut self, records: &RecordBuffer) -> Result<(), TaskError> {
        self.places.clear();
        for record in records.records() {
            let index = record.topic as usize;
            if self.places.get(index).is_some_and(Option::is_some) {
                continue;
            }
            let topic = records.topic(record);
            if !self.known.contains(topic) {
                let topic = topic.clone();
                self.prepare_topic(&topic)?;
                self.known.insert(topic.clone());
                self.new.push(topic);
            }
            if self.places.len() <= index {
                self.places.resize(index + 1, None);
            }
            if let Some(place) = self.places.get_mut(index) {
                *place = Some(self.shared.queue().topic(topic));
            }
        }
        Ok(())
    }

    /// Makes sure that a topic is there before its first record.
    fn prepare_topic(&self, topic: &Arc<str>) -> Result<(), TaskError> {
        tracing::info!(
            "The task will send records to topic '{topic}' for the first time. Checking whether topic exists"
        );
        if let Some((rules, admin)) = &self.creation {
            self.create_topic(topic, rules, admin)?;
        }
        self.await_topic(topic)
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
            drop(self.shared.wait(self.shared.queue(), step));
            step = (step * 2).min(LOOK);
            self.may_wait(since)?;
        }
    }

    /// Asks for a topic, in a way that lets the broker create it unless the connector does, until it is there.
    fn await_topic(&self, topic: &Arc<str>) -> Result<(), TaskError> {
        let since = Instant::now();
        let mut answered: Option<Instant> = None;
        let mut queue = self.shared.queue();
        let place = queue.topic(topic);
        self.shared.wake.notify_one();
        loop {
            match queue.state(place) {
                TopicState::Known => return Ok(()),
                TopicState::Asked => answered = None,
                TopicState::Refused(code) => match meaning(code) {
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
            }
            self.may_wait(since)?;
            queue = self.shared.wait(queue, LOOK);
        }
    }

    /// Takes a slot for the batch; `Err` when the ack was settled with the failure.
    fn begin(&self, count: u32, mut ack: Ack) -> Result<usize, TaskError> {
        let since = Instant::now();
        loop {
            let wait = match self.shared.outstanding.begin(count, ack) {
                Ok(slot) => return Ok(slot),
                Err(unused) => {
                    ack = unused;
                    self.may_wait(since)
                }
            };
            if let Err(error) = wait {
                ack.failed(error.clone());
                return Err(error);
            }
            self.shared.outstanding.wait_change(LOOK);
        }
    }

    /// Puts all records of a batch into the queue. Gives how many were put there when it fails.
    fn append(&mut self, records: &RecordBuffer, slot: usize) -> Result<(), (u32, TaskError)> {
        let mut headers = std::mem::take(&mut self.headers);
        let result = self.append_with(records, slot, &mut headers);
        self.headers = headers;
        self.shared.wake.notify_one();
        result
    }

    fn append_with(
        &self,
        records: &RecordBuffer,
        slot: usize,
        headers: &mut HeaderBlock,
    ) -> Result<(), (u32, TaskError)> {
        let now = Instant::now();
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let mut encoded: Option<(u32, u32)> = None;
        let mut queue = self.shared.queue();
        for (sent, record) in records.records().iter().enumerate() {
            let failed = |error| (sent as u32, error);
            // Records of one table share their headers' place.
            let of = (record.first_header, record.headers);
            if encoded != Some(of) {
                headers.set(records.headers(record));
                encoded = Some(of);
            }
            let (key, value) = (records.key(record), records.value(record));
            let payload = (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64;
            let refused = |code| failed(delivery_failed(code, records.topic(record), payload, self.max_request as u64));
            if size_alone(key, value, headers) > self.max_request {
                return Err(refused(RDKafkaErrorCode::MessageSizeTooLarge));
            }
            let Some(place) = self.places.get(record.topic as usize).copied().flatten() else {
                return Err(refused(RDKafkaErrorCode::UnknownTopic));
            };
            let partition = record.partition;
            let new = NewRecord { slot, partition, timestamp, key, value, headers };
            match queue.push(place, !self.ignore_keys, &new, now) {
                Ok(()) => {}
                Err(Refused::NoPartition) => return Err(refused(RDKafkaErrorCode::UnknownPartition)),
                Err(Refused::Full) => queue = self.push_waiting(queue, place, &new).map_err(failed)?,
            }
        }
        drop(queue);
        self.dead().map_err(|error| (records.records().len() as u32, error))
    }

    /// Waits for room and appends a record.
    fn push_waiting<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        place: usize,
        record: &NewRecord<'_>,
    ) -> Result<MutexGuard<'a, Queue>, TaskError> {
        let since = Instant::now();
        loop {
            queue.hurry = true;
            self.shared.wake.notify_one();
            queue = self.shared.wait(queue, LOOK);
            if let Err(error) = self.may_wait(since) {
                queue.hurry = false;
                return Err(error);
            }
            if queue.push(place, !self.ignore_keys, record, Instant::now()) != Err(Refused::Full) {
                queue.hurry = false;
                return Ok(queue);
            }
        }
    }
}

impl Sink for KafkaSink {
    fn produce(&mut self, records: &RecordBuffer, ack: Ack) -> Result<(), TaskError> {
        if let Err(error) = self.dead().and_then(|()| self.check_topics(records)) {
            ack.failed(error.clone());
            return Err(error);
        }
        let count = records.records().len() as u32;
        let slot = self.begin(count, ack)?;
        if let Err((sent, error)) = self.append(records, slot) {
            self.shared.outstanding.fail(slot, || error.clone());
            self.shared.outstanding.done(slot, count - sent + 1);
            return Err(error);
        }
        self.shared.outstanding.done(slot, 1);
        Ok(())
    }

    fn flush(&mut self, timeout: Duration) {
        self.shared.queue().hurry = true;
        self.shared.wake.notify_one();
        self.shared.outstanding.wait_idle(timeout);
        self.shared.queue().hurry = false;
    }

    fn take_new_topics(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.new)
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by its own thread; undelivered batches report through their acks.
            let _ = thread.join();
        }
    }
}
