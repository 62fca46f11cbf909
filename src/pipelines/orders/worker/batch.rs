//! A batch: its changes into Redis, then its messages and offsets into Kafka.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, TopicPartitionList,
    consumer::{CommitMode, Consumer},
};

use super::{
    Halt,
    lines::tell,
    session::{Input, Session},
};
use crate::{
    orders::{
        book::{Epoch, Outcome, Step},
        change::Claim,
    },
    runtime::{deadletter::DeadLetter, kafka, transaction::Record},
};

/// Steps sent to Redis in one round trip.
const PIPELINE_STEPS_MAX: usize = 500;

impl Session<'_> {
    pub(super) fn process(&mut self, batch: &[Input]) -> Result<(), Halt> {
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
                        self.shared.progress.run.repeats.add(1);
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
            self.announce(&claims, &dead, &offsets)?;
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
            progress.run.moved(&self.worker.topic, *partition, *end);
        }
        progress.completed.add(claims.len());
        progress.run.dead_letters.add(dead.len());
        progress.run.changed(self.worker.table.name(), batch.len());
        self.shared.story.tell(&lines);
        Ok(())
    }

    /// Messages, dead letters and offsets, all or none.
    fn announce(
        &mut self,
        claims: &[(i32, i64, Claim)],
        dead: &[DeadLetter],
        offsets: &TopicPartitionList,
    ) -> Result<(), Halt> {
        let group =
            self.consumer.group_metadata().ok_or_else(|| Halt::Again(Some("Kafka: no group membership".into())))?;
        let output = &self.shared.config.output;
        let messages = claims.iter().map(|(_, _, claim)| Record {
            topic: &output.ready_topic,
            key: Some(claim.order_id.as_bytes()),
            value: Some(claim.message.as_bytes()),
            ..Record::default()
        });
        let letters = dead.iter().map(|letter| Record {
            topic: &output.dead_letter_topic,
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            headers: Some(letter.headers.clone()),
            ..Record::default()
        });
        let (book, epoch) = (&mut self.book, &self.epoch);
        // The messages are in the log then; see `recovery` for why the epoch is looked at there.
        self.producer.commit(messages.chain(letters).collect(), Some((offsets, &group)), || {
            if book.epoch()? == Epoch::Ready(epoch.clone()) { Ok(()) } else { Err(Halt::Again(None)) }
        })?;
        self.shared.progress.run.transactions.add(1);
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
