//! What events mean for the batches that are on their way.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use engine::error::{Failure, TaskError};
use rdkafka::error::RDKafkaErrorCode;

use super::{Identity, Sender};
use crate::{
    io::{
        answers::{Outcome, outcome},
        connection::{Event, Lost, LostKind},
        lane::{Fate, Lane},
        network::{Item, Question, Request},
    },
    producer::{
        SEND_FAILED,
        failure::{delivery_failed, out_of_sequence, refused},
        queue::Queue,
    },
    wire::{batch::ProducerId, messages},
};

/// How long logins may be refused once they have worked: brokers that start do not know all users at once.
const LOGIN_PATIENCE: Duration = Duration::from_secs(60);

impl Sender {
    pub(super) fn on_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Ready(number) => {
                self.logged_in = true;
                self.refused_since = None;
                if let Some((address, failures)) = self.network.ready(number) {
                    match failures {
                        0 => tracing::debug!(target: "kafka::client", "connected to {address}"),
                        _ => tracing::info!(target: "kafka::client", "The producer is connected to {address} again"),
                    }
                }
            }
            Event::Written(number, correlation) => {
                if let Some(Request { question: Question::Produce(items), .. }) =
                    self.network.answered(number, correlation)
                {
                    items.into_iter().for_each(|item| self.settle(item, 0, now));
                }
            }
            Event::Lost(number, lost) => self.on_lost(number, lost, now),
            Event::Answer(number, correlation, body) => {
                let Some(request) = self.network.answered(number, correlation) else {
                    let reason = "the broker answered something else than it was asked".into();
                    return self.on_lost(number, Lost { kind: LostKind::Network, reason }, now);
                };
                if let Err(reason) = self.on_answer(number, &request, &body, now) {
                    self.unanswered(vec![request], now);
                    self.on_lost(number, Lost { kind: LostKind::Network, reason }, now);
                }
            }
        }
    }

    /// Takes an answer; `Err` when it cannot be read, and then nothing of it was used.
    fn on_answer(&mut self, number: u64, request: &Request, body: &[u8], now: Instant) -> Result<(), String> {
        match &request.question {
            Question::Metadata => {
                let metadata = messages::metadata(body).map_err(|e| e.to_string())?;
                let waiting = |queue: &Queue, lanes: &[Lane], place: usize| {
                    !queue.is_empty(place) || lanes.get(place).is_some_and(|lane| !lane.is_empty())
                };
                let mut queue = self.shared.queue();
                let dead = self.topology.learn(metadata, &mut queue, &mut self.lanes, &mut self.network, now, waiting);
                drop(queue);
                self.shared.tell();
                if let Some(error) = dead {
                    self.die(error);
                }
            }
            Question::ProducerId => {
                let (code, id, epoch) = messages::producer_id(body).map_err(|e| e.to_string())?;
                self.on_producer_id(code, ProducerId { id, epoch }, now);
            }
            Question::Produce(items) => {
                let mut results = Vec::with_capacity(items.len());
                let throttle = messages::produced(body, |result| results.push(result)).map_err(|e| e.to_string())?;
                let mut codes = Vec::with_capacity(items.len());
                {
                    let queue = self.shared.queue();
                    for (index, item) in items.iter().enumerate() {
                        let Some(lane) = self.lanes.get(item.lane) else { continue };
                        let topic = queue.name(lane.topic);
                        let fits = |result: &&messages::Produced<'_>| {
                            result.partition == lane.partition && result.topic == &*topic
                        };
                        // Brokers answer in the order of the request, but need not.
                        let found = results.get(index).filter(fits).or_else(|| results.iter().find(fits));
                        codes.push(found.ok_or("an answer lacks a partition that was sent")?.code);
                    }
                }
                for (item, code) in items.iter().zip(codes) {
                    self.settle(*item, code, now);
                }
                if throttle > 0 {
                    self.network.throttle(number, now + Duration::from_millis(throttle.unsigned_abs().into()));
                }
            }
        }
        Ok(())
    }

    fn on_producer_id(&mut self, code: i16, id: ProducerId, now: Instant) {
        match outcome(code) {
            Outcome::Delivered => {
                tracing::debug!(target: "kafka::client", id = id.id, epoch = id.epoch, "producer id");
                self.identity = Identity::Known(id);
            }
            Outcome::Again { .. } | Outcome::OutOfSequence(_) => {
                self.identity = Identity::Wanted(Some(now + self.options.retry_backoff.pause(1)), 1);
            }
            Outcome::TooLarge(code) | Outcome::Dead(code) => {
                let cause = format!(
                    "the broker gives no producer id: {code}. Give the producer's user IDEMPOTENT_WRITE on the cluster \
                     (brokers before 3.0), or set producer.override.enable.idempotence=false"
                );
                self.die(TaskError::Definite(Failure::new(SEND_FAILED).caused_by(cause)));
            }
        }
    }

    /// A batch's fate by the broker's code.
    fn settle(&mut self, item: Item, code: i16, now: Instant) {
        let Some(lane) = self.lanes.get_mut(item.lane) else { return };
        let Some(sent) = lane.find(item.number) else { return };
        let (topic, size, single) = (lane.topic, sent.batch.payload, sent.batch.count == 1);
        let name = self.shared.queue().name(topic);
        let mut result = outcome(code);
        if matches!(result, Outcome::OutOfSequence(_)) && lane.follows_failure(item.number) {
            // The batch before it failed and goes again first.
            result = Outcome::Again { code: RDKafkaErrorCode::OutOfOrderSequenceNumber, moved: false };
        }
        match result {
            Outcome::Delivered => {
                let Some(sent) = lane.settle(item.number, Fate::Delivered, now, None) else { return };
                let mut queue = self.shared.queue();
                queue.recount(sent.bytes.len(), 0);
                if let Ok(buffer) = Arc::try_unwrap(sent.bytes) {
                    queue.give_back(buffer);
                }
                drop(queue);
                for part in sent.batch.parts {
                    self.shared.outstanding.done(part.slot, part.records);
                }
                self.shared.tell();
            }
            Outcome::Again { code, moved } => {
                if sent.attempts >= self.options.retries {
                    return self.die(delivery_failed(code, &name, size, self.options.max_request as u64));
                }
                lane.failures = lane.failures.saturating_add(1);
                tracing::debug!(target: "kafka::client", topic = %name, partition = lane.partition, %code, "sent again");
                let retry_at = now + self.options.retry_backoff.pause(lane.failures);
                lane.settle(item.number, Fate::Again, now, Some(retry_at));
                if moved {
                    self.topology.want();
                }
            }
            Outcome::TooLarge(_) if !single => {
                let length = sent.uncompressed();
                lane.settle(item.number, Fate::Halves, now, None);
                let mut queue = self.shared.queue();
                if let Some(topic) = queue.topics.get_mut(topic) {
                    topic.batch_bytes = topic.batch_bytes.min(length / 2).max(1024);
                }
            }
            Outcome::TooLarge(code) | Outcome::Dead(code) => {
                self.die(delivery_failed(code, &name, size, self.options.max_request as u64));
            }
            Outcome::OutOfSequence(code) => self.die(out_of_sequence(code, &name)),
        }
    }

    pub(super) fn on_lost(&mut self, number: u64, lost: Lost, now: Instant) {
        let Some(gone) = self.network.lost(number, &lost, now) else { return };
        let (address, reason) = (&gone.address, &lost.reason);
        match (gone.failures, gone.was_ready) {
            (0, _) => tracing::debug!(target: "kafka::client", "{address}: {reason}"),
            (1, true) => {
                tracing::warn!(target: "kafka::client", "The producer lost its connection to {address}: {reason}")
            }
            (1, false) => tracing::warn!(target: "kafka::client", "The producer cannot connect to {address}: {reason}"),
            _ => tracing::debug!(target: "kafka::client", "{address}: {reason}"),
        }
        match lost.kind {
            LostKind::Unsupported => return self.die(refused(address, &lost)),
            LostKind::Authentication => {
                let since = *self.refused_since.get_or_insert(now);
                if !self.logged_in || now.duration_since(since) >= LOGIN_PATIENCE {
                    return self.die(refused(address, &lost));
                }
            }
            LostKind::Network | LostKind::Closed => {}
        }
        self.topology.want();
        self.unanswered(gone.unanswered, now);
    }

    /// Requests whose answers will never come.
    fn unanswered(&mut self, requests: Vec<Request>, now: Instant) {
        for request in requests {
            match request.question {
                Question::Metadata => self.topology.unanswered(now),
                Question::ProducerId => self.identity = Identity::Wanted(None, 1),
                Question::Produce(items) => {
                    for item in items {
                        self.lost_batch(item, now);
                    }
                }
            }
        }
    }

    /// A batch went out and nobody knows whether it arrived.
    fn lost_batch(&mut self, item: Item, now: Instant) {
        let Some(lane) = self.lanes.get_mut(item.lane) else { return };
        let Some(sent) = lane.find(item.number) else { return };
        if sent.attempts >= self.options.retries {
            let name = self.shared.queue().name(lane.topic);
            return self.die(delivery_failed(RDKafkaErrorCode::BrokerTransportFailure, &name, 0, 0));
        }
        lane.settle(item.number, Fate::Again, now, None);
    }
}
