//! One worker: a consumer of one input topic, a transactional producer and Redis, in one thread.
//!
//! Why every complete order is announced exactly once, wherever the process dies:
//! - A change is applied to Redis once: the script moves the partition's position with it and passes over offsets
//!   below (`fold.lua`). Whether an order is announced is decided there, and the message is kept under the offset that
//!   completed it.
//! - That message and the offset's commit are in one Kafka transaction. So the message of offset `o` is in the topic if
//!   and only if the group's committed offset is above `o`: a worker starts at the committed offset, and gets from the
//!   script the messages whose transaction did not commit. A worker that lost its partition cannot commit, for the
//!   coordinator knows the group's generation.
//! - Redis is applied before offsets are committed, hence `committed <= position`. When it is not so, Redis lost
//!   something: `recovery` makes it trustworthy, and the group's offset is set back to Redis's position.
//!
//! On any trouble the worker drops its clients and begins again from there; nothing is kept in memory that matters.

mod clients;
mod lines;
mod transaction;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedMessage,
    producer::{BaseProducer, Producer},
};

use clients::{Deliveries, GroupEvents};
use lines::tell;
use transaction::transaction_halt;

use super::{
    book::{Book, Outcome, Step},
    change::{Claim, Columns, Operation, Table},
    config::Config,
    progress::{Place, Progress, RUNNING},
    recovery,
};
use crate::runtime::{
    Error, Shutdown,
    deadletter::DeadLetter,
    envelope::Malformed,
    kafka::{self, ANSWER_WITHIN},
    story::Story,
};

/// How long a worker's session outlives its process; also the longest wait for a vanished one's partitions.
const SESSION_MS: &str = "10000";
/// After this a dead worker's open transaction is aborted by the coordinator.
const TRANSACTION_MS: &str = "15000";
/// Steps sent to Redis in one round trip.
const PIPELINE_STEPS_MAX: usize = 500;

/// Called when Redis has a batch and Kafka has not, with the number of orders it completes; for crash tests.
pub type AfterRedis = Arc<dyn Fn(usize) + Send + Sync>;

/// What all workers of a run share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) client: ClientConfig,
    pub(crate) columns: Columns,
    pub(crate) progress: Arc<Progress>,
    pub(crate) story: Story,
    pub(crate) shutdown: Shutdown,
    pub(crate) after_redis: Option<AfterRedis>,
}

pub(crate) struct Worker {
    shared: Arc<Shared>,
    name: String,
    table: Table,
    topic: String,
    group: String,
    transactional_id: String,
    distrust: Distrust,
}

/// Whether the next session must doubt the bookkeeping.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Distrust {
    No,
    /// Something was missing under this epoch.
    Of(String),
    /// The doubt was settled: positions below the committed offsets are the truth.
    Settled,
}

/// Why a session ended.
enum Halt {
    Stop,
    /// Begin again from the committed offsets; `None` when that is routine.
    Again(Option<String>),
    /// Begin again and doubt the bookkeeping of this epoch.
    Doubt(String),
    Fatal(Error),
}

impl From<redis::RedisError> for Halt {
    fn from(error: redis::RedisError) -> Self {
        Self::Again(Some(format!("Redis: {error}")))
    }
}

impl From<KafkaError> for Halt {
    fn from(error: KafkaError) -> Self {
        // The group shares its partitions out anew: routine, and what was not committed is done again.
        if let KafkaError::ConsumerCommit(
            RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::UnknownMemberId,
        ) = error
        {
            tracing::debug!(%error, "the group changed meanwhile");
            return Self::Again(None);
        }
        Self::from(Error::from(error))
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        if error.is_refused() { Self::Fatal(error) } else { Self::Again(Some(error.to_string())) }
    }
}

struct Session<'a> {
    worker: &'a Worker,
    shared: &'a Shared,
    book: Book,
    epoch: String,
    consumer: BaseConsumer<GroupEvents>,
    producer: BaseProducer<Deliveries>,
    /// By partition: what Redis is known to hold at least.
    known: BTreeMap<i32, i64>,
    /// Partition names as the bookkeeping has them.
    names: BTreeMap<i32, String>,
    doubt_settled: bool,
    /// Partitions whose end was reached, with nothing after it so far.
    exhausted: BTreeSet<i32>,
    /// The last collecting waited and found nothing.
    idle: bool,
}

struct Input {
    message: OwnedMessage,
    operation: Operation,
    malformed: Option<Malformed>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, table: Table, number: usize) -> Self {
        let input = &shared.config.input;
        let (topic, group) = match table {
            Table::Orders => (input.orders_topic.clone(), input.orders_group.clone()),
            Table::Details => (input.order_details_topic.clone(), input.order_details_group.clone()),
        };
        let name = format!("{}-{number}", if table == Table::Orders { "orders" } else { "order_details" });
        let transactional_id = format!("{group}-{}-{number}", shared.config.instance);
        Self { shared, name, table, topic, group, transactional_id, distrust: Distrust::No }
    }

    /// Works until asked to stop; an error is one that beginning again cannot mend.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let mut failures = 0_u32;
        loop {
            self.shared.progress.doing(&self.name, &self.topic, "starting");
            let began = Instant::now();
            let halt = match self.session() {
                Ok(()) => return Ok(()),
                Err(halt) => halt,
            };
            if shared.shutdown.is_triggered() && !matches!(halt, Halt::Fatal(_)) {
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(30) {
                failures = 0;
            }
            let reason = match halt {
                Halt::Stop => return Ok(()),
                Halt::Fatal(error) => {
                    shared.progress.error(&error.to_string());
                    return Err(error);
                }
                Halt::Again(None) => continue,
                Halt::Again(Some(reason)) => reason,
                Halt::Doubt(epoch) => {
                    self.distrust = Distrust::Of(epoch);
                    continue;
                }
            };
            failures = failures.saturating_add(1);
            shared.progress.restarts.add(1);
            shared.progress.error(&reason);
            shared.progress.doing(&self.name, &self.topic, format!("waiting to try again: {reason}"));
            tracing::warn!(worker = %self.name, %reason, failures, "beginning again from the committed offsets");
            let wait = Duration::from_millis(100_u64.saturating_mul(1 << failures.min(6)).min(5_000));
            if !shared.shutdown.pause(wait) {
                return Ok(());
            }
        }
    }

    fn session(&mut self) -> Result<(), Halt> {
        let shared = Arc::clone(&self.shared);
        let progress = &shared.progress;
        let place = shared.config.redis.place();
        progress.doing(&self.name, &self.topic, format!("waiting for Redis at {place}"));
        let mut book = Book::open(&shared.config.redis, shared.config.legacy_keys)?;
        progress.doing(&self.name, &self.topic, "waiting for the bookkeeping to be rebuilt");
        let distrusted = match &self.distrust {
            Distrust::Of(epoch) => Some(epoch.as_str()),
            _ => None,
        };
        let epoch = recovery::ensure_epoch(&mut book, &shared.client, &shared.config, distrusted, &shared.shutdown)?
            .ok_or(Halt::Stop)?;
        if distrusted.is_some() {
            self.distrust = Distrust::Settled;
        }
        progress.doing(
            &self.name,
            &self.topic,
            format!("waiting for Kafka at {}", shared.config.kafka.bootstrap_servers),
        );
        let producer: BaseProducer<Deliveries> = shared
            .client
            .clone()
            .set("transactional.id", &self.transactional_id)
            .set("transaction.timeout.ms", TRANSACTION_MS)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .create_with_context(Deliveries::default())?;
        producer.init_transactions(Duration::from_secs(30)).map_err(transaction_halt)?;
        let consumer: BaseConsumer<GroupEvents> = shared
            .client
            .clone()
            .set("group.id", &self.group)
            // A restart, also after a kill, takes its own partitions over at once.
            .set("group.instance.id", &self.transactional_id)
            .set("session.timeout.ms", SESSION_MS)
            .set("heartbeat.interval.ms", "3000")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            .set("enable.partition.eof", "true")
            .set("statistics.interval.ms", "1000")
            .set("fetch.wait.max.ms", "100")
            .create_with_context(GroupEvents::default())?;
        consumer.subscribe(&[&self.topic])?;
        shared.story.tell(&[
            format!("Connected to Kafka: {}", self.topic),
            format!("Subscribed to topic(s): ['{}']", self.topic),
        ]);
        progress.doing(&self.name, &self.topic, RUNNING);
        let doubt_settled = mem::replace(&mut self.distrust, Distrust::No) == Distrust::Settled;
        let mut session = Session {
            worker: self,
            shared: &shared,
            book,
            epoch,
            consumer,
            producer,
            known: BTreeMap::new(),
            names: BTreeMap::new(),
            doubt_settled,
            exhausted: BTreeSet::new(),
            idle: false,
        };
        let result = session.work();
        for partition in session.known.keys() {
            progress.forget(&session.worker.topic, *partition);
        }
        result
    }
}

impl Session<'_> {
    fn work(&mut self) -> Result<(), Halt> {
        let mut looked = Instant::now();
        let mut told_waiting = false;
        loop {
            if self.shared.shutdown.is_triggered() {
                return Ok(());
            }
            // Taken before a look into the queue that finds it empty: then everything below these ends was handed over.
            let ends = mem::take(&mut *self.consumer.context().ends.lock().unwrap_or_else(PoisonError::into_inner));
            let mut batch = self.collect(&mut told_waiting)?;
            let empty = batch.is_empty() && self.idle;
            let events = self.consumer.context();
            let revoked = GroupEvents::take(&events.revoked);
            let assigned = GroupEvents::take(&events.assigned);
            if !revoked.is_empty() {
                batch.retain(|input| !revoked.contains(&input.message.partition()));
                for partition in &revoked {
                    self.exhausted.remove(partition);
                    self.known.remove(partition);
                    self.shared.progress.forget(&self.worker.topic, *partition);
                }
            }
            // Taken away and given back within one round: the records in between are not at hand any more.
            if assigned.intersection(&revoked).next().is_some() {
                return Err(Halt::Again(None));
            }
            let assigned_none = assigned.is_empty() && revoked.is_empty();
            let mut set_back = false;
            for partition in assigned {
                set_back |= self.prepare(partition)?;
            }
            if set_back {
                return Err(Halt::Again(None));
            }
            if !batch.is_empty() {
                self.process(&batch)?;
            }
            if empty && assigned_none {
                self.pass_markers(&ends)?;
            }
            if looked.elapsed() > Duration::from_secs(1) {
                looked = Instant::now();
                self.look()?;
            }
        }
    }

    /// Polls until a batch is full or the topic has no more just now.
    fn collect(&mut self, told_waiting: &mut bool) -> Result<Vec<Input>, Halt> {
        let mut batch = Vec::new();
        let mut wait = Duration::from_millis(100);
        self.idle = false;
        while batch.len() < self.shared.config.batch_changes_max {
            match self.consumer.poll(wait) {
                None => {
                    self.idle = wait > Duration::ZERO;
                    break;
                }
                Some(Ok(message)) => {
                    let read = self.shared.columns.interpret(self.worker.table, message.key(), message.payload());
                    let (operation, malformed) = match read {
                        Ok(operation) => (operation, None),
                        Err(malformed) => (Operation::Skip, Some(malformed)),
                    };
                    self.exhausted.remove(&message.partition());
                    batch.push(Input { message: message.detach(), operation, malformed });
                    if mem::take(told_waiting) {
                        self.shared.progress.doing(&self.worker.name, &self.worker.topic, RUNNING);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.exhausted.insert(partition);
                }
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic,
                ))) => {
                    if !mem::replace(told_waiting, true) {
                        let waits = format!("waiting for topic {} (its connector creates it)", self.worker.topic);
                        tracing::info!(worker = %self.worker.name, "{waits}");
                        self.shared.progress.doing(&self.worker.name, &self.worker.topic, waits);
                    }
                    break;
                }
                Some(Err(KafkaError::MessageConsumption(code))) if kafka::is_passing(code) => {
                    self.shared.progress.error(&format!("Kafka: {code}; the client keeps trying"));
                    break;
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    return Err(if code == RDKafkaErrorCode::FencedInstanceId {
                        Halt::Fatal(Error::InUse(format!(
                            "another process works as {}: give each process its own `instance`",
                            self.worker.transactional_id
                        )))
                    } else {
                        Halt::Again(Some(format!("Kafka: {code}")))
                    });
                }
                Some(Err(error)) => return Err(error.into()),
            }
            wait = Duration::ZERO;
        }
        Ok(batch)
    }

    fn name(&mut self, partition: i32) -> String {
        self.names.entry(partition).or_insert_with(|| format!("{}/{partition}", self.worker.topic)).clone()
    }

    /// Agrees on where a newly assigned partition begins: with Kafka's committed offset, unless Redis holds less.
    /// Returns whether the group's offset was set back, so that the consumer must begin again.
    fn prepare(&mut self, partition: i32) -> Result<bool, Halt> {
        let topic = &self.worker.topic;
        let name = format!("{topic}/{partition}");
        let committed = kafka::committed(&self.consumer, topic, partition)?;
        let (low, end) = self.consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN)?;
        let applied = self.book.position(&name)?;
        tracing::debug!(partition = %name, ?committed, ?applied, low, end, "partition assigned");
        let back_to = match (committed, applied) {
            (Some(committed), Some(applied)) if applied >= committed && committed <= end => {
                if committed < low {
                    tracing::warn!(
                        partition = %name,
                        committed,
                        low,
                        "the topic dropped records before they were read: take a new snapshot \
                         (stop the connector, DELETE its offsets, resume)"
                    );
                }
                self.known.insert(partition, committed);
                self.shared.progress.place(topic, partition, Place { position: committed, end });
                return Ok(false);
            }
            // Nothing was ever committed: a first start, or a topic that was deleted and created anew (the broker
            // forgets its offsets with it), whose position in Redis means nothing any more.
            (None, _) => low,
            (Some(committed), _) if committed > end => {
                tracing::warn!(partition = %name, committed, end, "the topic is shorter than what was read of it: reading it anew");
                low
            }
            (Some(_), Some(_)) if !self.doubt_settled => return Err(Halt::Doubt(self.epoch.clone())),
            (Some(_), applied) => {
                let back_to = applied.unwrap_or(low).max(low);
                if applied.unwrap_or(0) < low {
                    tracing::warn!(
                        partition = %name,
                        low,
                        "Redis must be filled again, but the topic no longer holds its beginning: \
                         take a new snapshot (stop the connector, DELETE its offsets, resume)"
                    );
                }
                tracing::info!(partition = %name, offset = back_to, "going back to what Redis holds");
                back_to
            }
        };
        // Redis first: were the offset committed first, a crash between would look like a loss.
        self.book.set_position(&name, back_to)?;
        self.consumer.commit(&kafka::offsets_of(topic, [(partition, back_to)])?, CommitMode::Sync)?;
        if committed.is_none() {
            // The consumer starts there by itself.
            self.known.insert(partition, back_to);
            self.shared.progress.place(topic, partition, Place { position: back_to, end });
            return Ok(false);
        }
        Ok(true)
    }

    /// Once a second: is Redis still what it was, and how far behind are we?
    fn look(&mut self) -> Result<(), Halt> {
        self.producer.poll(Duration::ZERO);
        let known: Vec<(i32, i64)> = self.known.iter().map(|(p, k)| (*p, *k)).collect();
        for (partition, expected) in known {
            let name = self.name(partition);
            match self.book.probe(&self.epoch, &name, expected)? {
                Outcome::Lost => return Err(Halt::Doubt(self.epoch.clone())),
                Outcome::OtherEpoch => return Err(Halt::Again(None)),
                Outcome::Applied { .. } | Outcome::Old { .. } | Outcome::Wait => {}
            }
            if self.exhausted.contains(&partition) {
                self.book.remove_barrier(&name)?;
            }
            // An answer that does not come leaves the last known end.
            if let Ok((_, end)) =
                self.consumer.fetch_watermarks(&self.worker.topic, partition, Duration::from_millis(500))
            {
                self.shared.progress.place(&self.worker.topic, partition, Place { position: expected, end });
            }
        }
        Ok(())
    }

    /// Moves over the markers of transactions at the end of a partition, so that its lag becomes 0.
    fn pass_markers(&mut self, ends: &BTreeMap<i32, i64>) -> Result<(), Halt> {
        for (partition, end) in ends {
            let Some(known) = self.known.get(partition).copied() else { continue };
            if known >= *end || !self.exhausted.contains(partition) {
                continue;
            }
            let name = self.name(*partition);
            let step =
                Step { partition: &name, expected: known, offset: end.saturating_sub(1), operation: &Operation::Skip };
            match self.book.apply(&self.epoch, &[step])?.first() {
                Some(Outcome::Applied { .. } | Outcome::Old { .. }) => {}
                Some(Outcome::Lost) => return Err(Halt::Doubt(self.epoch.clone())),
                Some(Outcome::Wait) => continue,
                Some(Outcome::OtherEpoch) | None => return Err(Halt::Again(None)),
            }
            self.consumer.commit(&kafka::offsets_of(&self.worker.topic, [(*partition, *end)])?, CommitMode::Sync)?;
            self.known.insert(*partition, *end);
            self.shared.progress.moved(&self.worker.topic, *partition, *end);
        }
        Ok(())
    }

    fn process(&mut self, batch: &[Input]) -> Result<(), Halt> {
        let mut claims: Vec<(i32, i64, Claim)> = Vec::new();
        let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
        let mut lines = Vec::new();
        for part in batch.chunks(PIPELINE_STEPS_MAX) {
            let outcomes = self.apply(part)?;
            for (input, outcome) in part.iter().zip(outcomes) {
                let (partition, offset) = (input.message.partition(), input.message.offset());
                ends.insert(partition, offset.saturating_add(1));
                lines.push(format!("Processing message from partition {partition}, offset {offset}"));
                let claim = match outcome {
                    Outcome::OtherEpoch | Outcome::Wait => return Err(Halt::Again(None)),
                    Outcome::Lost => return Err(Halt::Doubt(self.epoch.clone())),
                    Outcome::Old { claim } => {
                        self.shared.progress.repeats.add(1);
                        claim
                    }
                    Outcome::Applied { order, products, wanted, claim, complete } => {
                        tell(&mut lines, &input.operation, &order, products, wanted, claim.is_some(), complete);
                        claim
                    }
                };
                if let Some(stored) = claim {
                    let claim = Claim::read(&stored).ok_or_else(|| {
                        Halt::Again(Some(format!(
                            "Redis: the claim kept for partition {partition}, offset {offset} cannot be read"
                        )))
                    })?;
                    claims.push((partition, offset, claim));
                }
            }
        }
        let dead: Vec<DeadLetter> = batch
            .iter()
            .filter_map(|input| {
                let malformed = input.malformed.as_ref()?;
                tracing::warn!(
                    topic = %self.worker.topic,
                    partition = input.message.partition(),
                    offset = input.message.offset(),
                    class = malformed.class,
                    error = %malformed,
                    "dead letter"
                );
                Some(DeadLetter::new(&input.message, malformed))
            })
            .collect();
        if let Some(after_redis) = &self.shared.after_redis {
            after_redis(claims.len());
        }
        let offsets = kafka::offsets_of(&self.worker.topic, ends.iter().map(|(p, o)| (*p, *o)))?;
        if claims.is_empty() && dead.is_empty() {
            self.consumer.commit(&offsets, CommitMode::Sync)?;
        } else {
            self.transaction(&claims, &dead, &offsets)?;
            let mut by_partition: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
            for (partition, offset, _) in &claims {
                by_partition.entry(*partition).or_default().push(*offset);
            }
            for (partition, offsets) in by_partition {
                let name = self.name(partition);
                self.book.forget_claims(&name, &offsets)?;
            }
        }
        let progress = &self.shared.progress;
        for (partition, end) in &ends {
            progress.moved(&self.worker.topic, *partition, *end);
        }
        progress.completed.add(claims.len());
        progress.dead_letters.add(dead.len());
        match self.worker.table {
            Table::Orders => progress.changes_orders.add(batch.len()),
            Table::Details => progress.changes_details.add(batch.len()),
        }
        self.shared.story.tell(&lines);
        Ok(())
    }

    fn apply(&mut self, inputs: &[Input]) -> Result<Vec<Outcome>, Halt> {
        let mut expected = Vec::with_capacity(inputs.len());
        for input in inputs {
            let (partition, offset) = (input.message.partition(), input.message.offset());
            self.name(partition);
            let known = self.known.get_mut(&partition).ok_or_else(|| {
                Halt::Again(Some(format!("a record of partition {partition} came before its assignment")))
            })?;
            if offset < *known {
                return Err(Halt::Again(Some(format!(
                    "partition {partition} went back to offset {offset}: the topic was created anew"
                ))));
            }
            expected.push(*known);
            *known = offset.saturating_add(1);
        }
        let steps: Vec<Step<'_>> = inputs
            .iter()
            .zip(expected)
            .filter_map(|(input, expected)| {
                let partition = self.names.get(&input.message.partition())?;
                Some(Step { partition, expected, offset: input.message.offset(), operation: &input.operation })
            })
            .collect();
        let mut done: Vec<Outcome> = Vec::with_capacity(steps.len());
        let began = Instant::now();
        loop {
            let rest = steps.get(done.len()..).unwrap_or_default();
            let mut outcomes = self.book.apply(&self.epoch, rest)?;
            // What stands behind a step that must wait is asked again; where it was applied, the answer is "old".
            let Some(first) = outcomes.iter().position(|outcome| *outcome == Outcome::Wait) else {
                done.append(&mut outcomes);
                return Ok(done);
            };
            done.extend(outcomes.drain(..first));
            // Long before the group takes this consumer for dead.
            if began.elapsed() > Duration::from_secs(60) {
                return Err(Halt::Again(None));
            }
            if !self.shared.shutdown.pause(Duration::from_millis(100)) {
                return Err(Halt::Stop);
            }
        }
    }
}
