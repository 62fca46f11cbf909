//! A compacted topic as a log that one process reads whole and then follows: what Connect keeps its
//! configurations, offsets and statuses in.
//!
//! A thread reads from the beginning and hands every record to a callback, in offset order per partition, for
//! as long as the log is open. Written records come back the same way. While brokers are away the thread
//! waits; calls have limits.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use engine::error::{Failure, TaskError};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::watch;

use crate::{
    client::{JavaSettings, LogContext, Meaning, worker_client},
    cluster::{Cluster, NewTopic, Refusal, creation_failed},
    settings::{Problem, Role, Settings},
    writer::Writer,
};

/// How long a call waits for brokers, Connect's `default.api.timeout.ms`.
pub const CALL_LIMIT: Duration = Duration::from_secs(60);

/// One record.
#[derive(Debug, Clone, Copy)]
pub struct LogRecord<'a> {
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
}

/// Which topic, and how it is made when it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTopic {
    /// Name, partitions and settings; `cleanup.policy=compact` is added.
    pub topic: NewTopic,
    /// The worker setting that names it, for messages.
    pub setting: &'static str,
    /// What is lost when it is not compacted, for messages.
    pub purpose: &'static str,
    /// Whether it must have one partition.
    pub single: bool,
}

impl LogTopic {
    /// The worker's topic of `<prefix>.topic`, `<prefix>.partitions` and so on, where `prefix` is
    /// `config.storage`, `offset.storage` or `status.storage`.
    ///
    /// # Errors
    /// A setting is missing or wrong.
    pub fn of_worker(worker: &JavaSettings, prefix: &str) -> Result<Self, Vec<Problem>> {
        let (setting, purpose, partitions) = match prefix {
            "config.storage" => ("config.storage.topic", "connector configurations", Some(1)),
            "offset.storage" => ("offset.storage.topic", "source connector offsets", None),
            _ => ("status.storage.topic", "connector and task statuses", None),
        };
        let mut problems = Vec::new();
        let mut number = |name: &str, default: i32| {
            let key = format!("{prefix}.{name}");
            let value = worker.get(&key).map(|text| text.trim().parse::<i32>());
            match value.unwrap_or(Ok(default)) {
                Ok(n) if n >= 1 || n == -1 => n,
                _ => {
                    let text = "must be at least 1, or -1 for the broker's default".to_owned();
                    problems.push(Problem { key, kind: crate::settings::ProblemKind::Invalid, text });
                    default
                }
            }
        };
        let replication = number("replication.factor", 3);
        let partitions = match partitions {
            Some(fixed) => fixed,
            None => number("partitions", if prefix == "offset.storage" { 25 } else { 5 }),
        };
        let name = worker.get(setting).map(|name| name.trim().to_owned()).unwrap_or_default();
        if name.is_empty() {
            let text = format!("Missing required configuration \"{setting}\" which has no default value.");
            problems.push(Problem { key: setting.into(), kind: crate::settings::ProblemKind::Invalid, text });
        }
        let mut configs = BTreeMap::new();
        for (key, value) in worker {
            match key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')) {
                None | Some("topic" | "partitions" | "replication.factor") => {}
                Some("cleanup.policy") => {
                    tracing::warn!("{key} is ignored: the topic '{name}' has to be compacted");
                }
                Some(config) => {
                    configs.insert(config.to_owned(), value.clone());
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let topic = NewTopic { name, partitions, replication, configs };
        Ok(Self { topic, setting, purpose, single: prefix == "config.storage" })
    }
}

/// Settings of the clients of one internal topic.
#[derive(Debug, Clone)]
pub struct LogClients {
    /// Writes.
    pub producer: Settings,
    /// Reads.
    pub consumer: Settings,
    /// Creates and checks.
    pub admin: Settings,
}

impl LogClients {
    /// The worker's clients for an internal topic, called `client_id` by the broker
    /// (`<group.id>-configs`, `-offsets`, `-statuses`).
    ///
    /// # Errors
    /// Worker settings that cannot be used.
    pub fn of_worker(worker: &JavaSettings, client_id: &str) -> Result<Self, Vec<Problem>> {
        let group = worker.get("group.id").map_or("connect", String::as_str);
        // As Connect: no idempotence, so that no more rights are needed than the topic's own.
        let fixed = [
            ("enable.idempotence", "false"),
            ("acks", "all"),
            ("delivery.timeout.ms", "2147483647"),
            ("linger.ms", "0"),
        ];
        let producer = worker_client(Role::Producer, worker, client_id, &fixed)?;
        // librdkafka assigns partitions only to a consumer with a group; it never joins it nor commits.
        let fixed = [("group.id", group), ("isolation.level", "read_committed"), ("auto.offset.reset", "earliest")];
        let mut consumer = worker_client(Role::Consumer, worker, client_id, &fixed)?;
        consumer.put("enable.partition.eof", "true");
        consumer.put("enable.auto.offset.store", "false");
        consumer.bound_fetch(1 << 20);
        // A fetch that waits at an empty partition holds up those assigned after it: at most this long at the start.
        if consumer.get("fetch.wait.max.ms").is_none() {
            consumer.put("fetch.wait.max.ms", "100");
        }
        let mut producer = producer;
        producer.bound_queue(4 << 20);
        Ok(Self { producer, consumer, admin: worker_client(Role::Admin, worker, client_id, &[])? })
    }
}

/// What is done with each record. Runs on the reading thread; it must not wait.
pub type OnRecord = Box<dyn FnMut(LogRecord<'_>) + Send>;

/// An open log.
pub struct CompactedLog {
    topic: Arc<str>,
    producer: Writer,
    consumer: Arc<BaseConsumer<LogContext>>,
    /// Next offset per partition, as far as read.
    positions: watch::Receiver<Vec<i64>>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl fmt::Debug for CompactedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompactedLog").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl CompactedLog {
    /// Creates the topic when it is not there, checks it, and reads it to its present end.
    ///
    /// # Errors
    /// No answer within [`CALL_LIMIT`], no right, or a topic that is not fit; the text says what to do.
    pub async fn open(topic: LogTopic, clients: LogClients, on_record: OnRecord) -> Result<Self, TaskError> {
        let (log, opened) = blocking(move || {
            let partitions = prepare(&topic, &clients.admin)?;
            Self::start(&topic.topic.name, partitions, &clients, on_record).map(|log| (log, Instant::now()))
        })
        .await?;
        log.read_to_end().await?;
        tracing::debug!(topic = %log.topic, elapsed_ms = opened.elapsed().as_millis() as u64, "read to its end");
        Ok(log)
    }

    fn start(topic: &str, partitions: i32, clients: &LogClients, on_record: OnRecord) -> Result<Self, TaskError> {
        let producer = Writer::open(&clients.producer)?;
        let consumer: BaseConsumer<LogContext> =
            clients.consumer.client(LogContext).map_err(|e| creation_failed(&e))?;
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition, Offset::Beginning).map_err(|e| creation_failed(&e))?;
        }
        consumer.assign(&all).map_err(|e| creation_failed(&e))?;
        let consumer = Arc::new(consumer);
        let stop = Arc::new(AtomicBool::new(false));
        let (advanced, positions) = watch::channel(vec![0; usize::try_from(partitions).unwrap_or(0)]);
        let reader = {
            let (topic, consumer, stop) = (topic.to_owned(), consumer.clone(), stop.clone());
            std::thread::Builder::new()
                .name("kafka-topic".into())
                .spawn(move || follow(&topic, &consumer, &stop, &advanced, on_record))
                .map_err(|e| TaskError::transient(format!("no thread for reading a topic could be started: {e}")))?
        };
        Ok(Self { topic: topic.into(), producer, consumer, positions, stop, reader: Some(reader) })
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Waits until everything that is in the topic now was handed to the callback.
    ///
    /// # Errors
    /// Not within [`CALL_LIMIT`].
    pub async fn read_to_end(&self) -> Result<(), TaskError> {
        let end = Instant::now() + CALL_LIMIT;
        let (topic, consumer) = (self.topic.clone(), self.consumer.clone());
        let partitions = self.positions.borrow().len();
        // Each question waits behind the reader's long poll: asked together they wait once.
        let ends = blocking(move || {
            std::thread::scope(|scope| {
                let (consumer, topic) = (&*consumer, &*topic);
                let ask = |p| scope.spawn(move || end_offset(consumer, topic, p, end));
                let asked: Vec<_> = (0..i32::try_from(partitions).unwrap_or(i32::MAX)).map(ask).collect();
                let broken = |_| Err(TaskError::transient("a thread that asked for an end broke down"));
                asked.into_iter().map(|thread| thread.join().unwrap_or_else(broken)).collect()
            })
        })
        .await;
        let ends: Vec<i64> = ends.map_err(|cause: TaskError| self.behind(&cause.to_string()))?;
        let reached = |at: &Vec<i64>| at.iter().zip(&ends).all(|(at, end)| at >= end);
        self.wait(end, reached).await
    }

    async fn wait(&self, end: Instant, reached: impl FnMut(&Vec<i64>) -> bool) -> Result<(), TaskError> {
        let mut positions = self.positions.clone();
        match tokio::time::timeout_at(end.into(), positions.wait_for(reached)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(self.behind("its reader has ended")),
            Err(_) => Err(self.behind("no broker delivered the rest")),
        }
    }

    fn behind(&self, cause: &str) -> TaskError {
        let message = format!("Topic '{}' could not be read to its end within {} s", self.topic, CALL_LIMIT.as_secs());
        TaskError::Transient(Failure::new(message).caused_by(cause))
    }

    /// Writes a record, placed as Java's client places it, and waits until Kafka has it. Gives its partition
    /// and offset. Without end while brokers are away: a caller that gives up does not take the record back,
    /// later writes still follow it in order.
    ///
    /// # Errors
    /// Kafka refused it.
    pub async fn write(&self, key: &[u8], value: Option<&[u8]>) -> Result<(i32, i64), TaskError> {
        match self.producer.write(&self.topic, None, Some(key), value).await {
            Ok(place) => Ok(place),
            Err(error) => {
                Err(Refusal::of(&error).into_error(format!("A record could not be written to topic '{}'", self.topic)))
            }
        }
    }

    /// Writes a record and waits until it has come back through the callback, at most `limit` for both.
    ///
    /// # Errors
    /// As [`Self::write`], or not within the limit, in which case the record may still be written later.
    pub async fn write_seen(&self, key: &[u8], value: Option<&[u8]>, limit: Duration) -> Result<(i32, i64), TaskError> {
        let end = Instant::now() + limit;
        let (partition, offset) =
            tokio::time::timeout_at(end.into(), self.write(key, value)).await.map_err(|_| {
                TaskError::transient(format!(
                    "A record for topic '{}' was not confirmed within {} s; it may be written later",
                    self.topic,
                    limit.as_secs()
                ))
            })??;
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        self.wait(end, |at| at.get(index).is_none_or(|at| *at > offset)).await?;
        Ok((partition, offset))
    }
}

impl Drop for CompactedLog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // A panic in it has been reported by its own thread.
            let _ = reader.join();
        }
    }
}

/// Runs a call that blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, TaskError> + Send + 'static,
) -> Result<T, TaskError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(e) => Err(TaskError::transient(format!("a call to Kafka was broken off: {e}"))),
    }
}

/// Makes sure that the topic is there and fit; gives its number of partitions.
fn prepare(spec: &LogTopic, admin: &Settings) -> Result<i32, TaskError> {
    let cluster = Cluster::open(admin)?;
    let end = Instant::now() + CALL_LIMIT;
    let (name, setting) = (&spec.topic.name, spec.setting);
    let mut new = spec.topic.clone();
    new.configs.insert("cleanup.policy".into(), "compact".into());
    let partitions = loop {
        let refusal = match cluster.partitions(name) {
            Ok(Some(partitions)) => break partitions,
            Ok(None) => match cluster.create(&new) {
                // Metadata may lag behind the creation: ask again.
                Ok(created) => {
                    tracing::debug!(topic = name, ?created, "internal topic");
                    None
                }
                Err(refusal) => Some(refusal),
            },
            Err(refusal) => Some(refusal),
        };
        cluster.refused()?;
        let patient = refusal.as_ref().is_none_or(|refusal| {
            // Too few brokers are up yet: they may come.
            refusal.meaning() == Meaning::Retriable || refusal.code == Some(RDKafkaErrorCode::InvalidReplicationFactor)
        });
        if !patient || Instant::now() >= end {
            let remedy = match refusal.as_ref().map(Refusal::meaning) {
                Some(Meaning::Authorization) => {
                    "give the worker's user DESCRIBE, READ, WRITE and CREATE on the topic".to_owned()
                }
                _ => {
                    let prefix = setting.trim_end_matches(".topic");
                    format!("set {prefix}.replication.factor to a number of brokers that are up")
                }
            };
            let advice = format!(
                "Topic '{name}' ({setting}) could not be found or created as {new}. Create it by hand, or {remedy}"
            );
            return Err(match refusal {
                Some(refusal) => refusal.into_error(advice),
                None => TaskError::transient(advice),
            });
        }
        std::thread::park_timeout(Duration::from_millis(200));
    };
    if spec.single && partitions != 1 {
        return Err(TaskError::definite(format!(
            "Topic '{name}' supplied via the '{setting}' property is required to have a single partition in order to \
             guarantee consistency of {}, but found {partitions} partitions.",
            spec.purpose
        )));
    }
    check_policy(spec, &cluster)?;
    Ok(partitions)
}

fn check_policy(spec: &LogTopic, cluster: &Cluster) -> Result<(), TaskError> {
    let (name, setting, purpose) = (&spec.topic.name, spec.setting, spec.purpose);
    let policy = match cluster.topic_configs(name) {
        Ok(configs) => configs.get("cleanup.policy").cloned(),
        Err(refusal) => {
            tracing::info!("the cleanup policy of topic '{name}' cannot be read and is not checked: {refusal}");
            None
        }
    };
    match policy.as_deref().map(str::trim) {
        None | Some("compact") => Ok(()),
        Some(policy) => Err(TaskError::definite(format!(
            "Topic '{name}' supplied via the '{setting}' property is required to have 'cleanup.policy=compact' to guarantee \
             consistency and durability of {purpose}, but found the topic currently has 'cleanup.policy={policy}'. \
             Continuing would likely result in eventually losing {purpose} and problems restarting this Connect cluster in \
             the future. Change the '{setting}' property in the Connect worker configurations to use a topic with \
             'cleanup.policy=compact'."
        ))),
    }
}

/// The present end of a partition for a reader of committed records; 0 when there is nothing to read.
fn end_offset(
    consumer: &BaseConsumer<LogContext>,
    topic: &str,
    partition: i32,
    end: Instant,
) -> Result<i64, TaskError> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match consumer.fetch_watermarks(topic, partition, left.clamp(Duration::from_millis(1), Duration::from_secs(5)))
        {
            Ok((low, high)) => return Ok(if low < high { high } else { 0 }),
            Err(error) => {
                let refusal = Refusal::of(&error);
                if refusal.meaning() != Meaning::Retriable || left.is_zero() {
                    return Err(refusal.into_error(format!("The end of topic '{topic}' is not known")));
                }
                std::thread::park_timeout(Duration::from_millis(100).min(left));
            }
        }
    }
}

/// The reading thread.
fn follow(
    topic: &str,
    consumer: &BaseConsumer<LogContext>,
    stop: &AtomicBool,
    advanced: &watch::Sender<Vec<i64>>,
    mut on_record: OnRecord,
) {
    let advance = |partition: i32, to: i64| {
        advanced.send_if_modified(|positions| {
            match usize::try_from(partition).ok().and_then(|p| positions.get_mut(p)) {
                Some(at) if *at < to => {
                    *at = to;
                    true
                }
                _ => false,
            }
        });
    };
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => {
                let (partition, offset) = (message.partition(), message.offset());
                on_record(LogRecord {
                    key: message.key(),
                    value: message.payload(),
                    partition,
                    offset,
                    timestamp: message.timestamp().to_millis(),
                });
                advance(partition, offset + 1);
            }
            // The end may lie behind records that are not shown: marks of transactions.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                let position = consumer.position().ok();
                let found = position.as_ref().and_then(|p| p.find_partition(topic, partition)).map(|p| p.offset());
                if let Some(Offset::Offset(offset)) = found {
                    advance(partition, offset);
                }
            }
            Some(Err(error)) => tracing::warn!(topic, %error, "reading is interrupted, waiting for the broker"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> JavaSettings {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_worker_names_its_topics() {
        let worker = map(&[
            ("offset.storage.topic", "connect-offsets"),
            ("offset.storage.replication.factor", "1"),
            ("offset.storage.cleanup.policy", "delete"),
            ("offset.storage.min.insync.replicas", "2"),
            ("config.storage.topic", "connect-configs"),
            ("config.storage.partitions", "7"),
        ]);
        let offsets = LogTopic::of_worker(&worker, "offset.storage").unwrap_or_else(|p| panic!("{p:?}"));
        let expected = NewTopic {
            name: "connect-offsets".into(),
            partitions: 25,
            replication: 1,
            configs: map(&[("min.insync.replicas", "2")]),
        };
        assert_eq!((offsets.topic, offsets.single), (expected, false));
        let configs = LogTopic::of_worker(&worker, "config.storage");
        assert!(configs.is_ok_and(|t| t.single && t.topic.partitions == 1 && t.topic.replication == 3));
        let problems = LogTopic::of_worker(&map(&[("status.storage.partitions", "0")]), "status.storage").err();
        let keys: Vec<_> = problems.unwrap_or_default().into_iter().map(|p| p.key).collect();
        assert_eq!(keys, ["status.storage.partitions", "status.storage.topic"]);
    }

    #[test]
    fn internal_clients_keep_the_order_without_idempotence() {
        let worker = map(&[("bootstrap.servers", "b:1"), ("group.id", "g"), ("compression.type", "lz4")]);
        let clients = LogClients::of_worker(&worker, "g-offsets").unwrap_or_else(|p| panic!("{p:?}"));
        assert_eq!(clients.producer.get("enable.idempotence"), Some("false"));
        assert_eq!(clients.producer.get("max.in.flight.requests.per.connection"), Some("1"));
        assert_eq!(clients.producer.get("client.id"), Some("g-offsets"));
        assert_eq!(clients.producer.get("message.timeout.ms"), Some("0"));
        assert_eq!(clients.consumer.get("group.id"), Some("g"));
    }
}
