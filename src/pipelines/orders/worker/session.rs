//! A session: from joining the group to the first trouble. Collects records, follows the group's changes, looks after
//! itself once a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::{Duration, Instant},
};

use rdkafka::{
    Message,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedMessage,
};

use super::{Halt, Shared, Worker};
use crate::{
    orders::{
        book::{Book, Outcome, Step},
        change::Operation,
    },
    runtime::{
        Error,
        clients::GroupEvents,
        envelope::Malformed,
        kafka,
        progress::{Place, RUNNING},
        transaction::Transactions,
    },
};

pub(super) struct Session<'a> {
    pub(super) worker: &'a Worker,
    pub(super) shared: &'a Shared,
    pub(super) book: Book,
    pub(super) epoch: String,
    pub(super) consumer: BaseConsumer<GroupEvents>,
    pub(super) producer: Transactions,
    /// By partition: what Redis is known to hold at least.
    pub(super) known: BTreeMap<i32, i64>,
    /// Partition names as the bookkeeping has them.
    pub(super) names: BTreeMap<i32, String>,
    pub(super) doubt_settled: bool,
    /// Partitions whose end was reached, with nothing after it so far.
    exhausted: BTreeSet<i32>,
    /// Came together with a change of the group's: it belongs behind that change.
    held: Option<Input>,
    /// The last collecting waited and found nothing.
    idle: bool,
    told_waiting: bool,
}

/// A record and what it means.
pub(super) struct Input {
    pub(super) message: OwnedMessage,
    pub(super) operation: Operation,
    pub(super) malformed: Option<Malformed>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        worker: &'a Worker,
        shared: &'a Shared,
        book: Book,
        epoch: String,
        consumer: BaseConsumer<GroupEvents>,
        producer: Transactions,
        doubt_settled: bool,
    ) -> Self {
        Self {
            worker,
            shared,
            book,
            epoch,
            consumer,
            producer,
            known: BTreeMap::new(),
            names: BTreeMap::new(),
            doubt_settled,
            exhausted: BTreeSet::new(),
            held: None,
            idle: false,
            told_waiting: false,
        }
    }

    pub(super) fn work(&mut self) -> Result<(), Halt> {
        let mut looked = Instant::now();
        loop {
            if self.shared.shutdown.is_triggered() {
                return Ok(());
            }
            // Taken before a look into the queue that finds it empty: then everything below these ends was handed over.
            let ends = self.consumer.context().take_ends();
            let mut batch = self.collect()?;
            let empty = batch.is_empty() && self.idle;
            let changed = self.follow_group(&mut batch)?;
            if !batch.is_empty() {
                self.process(&batch)?;
            }
            if empty && !changed {
                self.pass_markers(&ends)?;
            }
            if looked.elapsed() > Duration::from_secs(1) {
                looked = Instant::now();
                self.look()?;
            }
        }
    }

    /// What this session showed of its partitions is true no longer.
    pub(super) fn forget_places(&self) {
        for partition in self.known.keys() {
            self.shared.progress.run.forget(&self.worker.topic, *partition);
        }
    }

    /// Polls until a batch is full, the topic has no more just now, or partitions came or went.
    fn collect(&mut self) -> Result<Vec<Input>, Halt> {
        let mut batch: Vec<Input> = self.held.take().into_iter().collect();
        let mut wait = if batch.is_empty() { Duration::from_millis(100) } else { Duration::ZERO };
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
                    let input = Input { message: message.detach(), operation, malformed };
                    if self.consumer.context().changed() {
                        self.held = Some(input);
                        break;
                    }
                    batch.push(input);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.exhausted.insert(partition);
                }
                Some(Err(error)) => {
                    self.judge(error)?;
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        Ok(batch)
    }

    /// Errors of the consumer that it mends by itself are told, the others end the session.
    fn judge(&mut self, error: KafkaError) -> Result<(), Halt> {
        match error {
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic,
            ) if self.known.is_empty() => {
                if !mem::replace(&mut self.told_waiting, true) {
                    let waits = format!("waiting for topic {} (its connector creates it)", self.worker.topic);
                    tracing::info!(worker = %self.worker.name, "{waits}");
                    self.worker.doing(waits);
                }
                Ok(())
            }
            KafkaError::MessageConsumption(code) if kafka::is_passing(code) => {
                self.shared.progress.run.error(&format!("Kafka: {code}; the client keeps trying"));
                Ok(())
            }
            KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::FencedInstanceId) => {
                Err(Halt::Fatal(Error::InUse(format!(
                    "another process works as {}: give each process its own `instance`",
                    self.worker.transactional_id
                ))))
            }
            error => Err(error.into()),
        }
    }

    /// Drops what came from partitions that went, and prepares those that came. Returns whether there were any.
    fn follow_group(&mut self, batch: &mut Vec<Input>) -> Result<bool, Halt> {
        let events = self.consumer.context();
        let (revoked, assigned) = events.take_changes();
        if events.take_joined() && mem::take(&mut self.told_waiting) {
            self.worker.doing(RUNNING);
        }
        if revoked.is_empty() && assigned.is_empty() {
            return Ok(false);
        }
        batch.retain(|input| !revoked.contains(&input.message.partition()));
        for partition in &revoked {
            self.exhausted.remove(partition);
            self.known.remove(partition);
            self.shared.progress.run.forget(&self.worker.topic, *partition);
        }
        let mut set_back = false;
        for partition in assigned {
            set_back |= self.prepare(partition)?;
        }
        if set_back { Err(Halt::Again(None)) } else { Ok(true) }
    }

    pub(super) fn name(&mut self, partition: i32) -> String {
        self.names.entry(partition).or_insert_with(|| format!("{}/{partition}", self.worker.topic)).clone()
    }

    /// Once a second: is Redis still what it was, and how far behind are we?
    fn look(&mut self) -> Result<(), Halt> {
        self.producer.poll();
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
                let place = Place { position: expected, end };
                self.shared.progress.run.place(&self.worker.topic, partition, place);
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
            self.shared.progress.run.moved(&self.worker.topic, *partition, *end);
        }
        Ok(())
    }
}
