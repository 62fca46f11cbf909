//! The second half of a batch: messages, dead letters and offsets in one Kafka transaction.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use rdkafka::{
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedHeaders,
    producer::{BaseRecord, Producer},
};

use super::{Halt, Session};
use crate::{
    orders::{book::Epoch, change::Claim},
    runtime::{deadletter::DeadLetter, kafka::ANSWER_WITHIN},
};

/// A transaction's failure: the next session finds out whether it was committed.
pub(super) fn transaction_halt(error: KafkaError) -> Halt {
    let fenced = match &error {
        KafkaError::Transaction(e) => {
            matches!(
                e.code(),
                RDKafkaErrorCode::Fenced | RDKafkaErrorCode::InvalidProducerEpoch | RDKafkaErrorCode::ProducerFenced
            )
        }
        _ => false,
    };
    if fenced {
        // Also what a transaction that took too long looks like.
        return Halt::Again(Some(
            "Kafka: the transaction timed out, or another process has the same `instance`".to_owned(),
        ));
    }
    Halt::from(error)
}

impl Session<'_> {
    /// Messages, dead letters and offsets, all or none.
    pub(super) fn transaction(
        &mut self,
        claims: &[(i32, i64, Claim)],
        dead: &[DeadLetter],
        offsets: &rdkafka::TopicPartitionList,
    ) -> Result<(), Halt> {
        let metadata =
            self.consumer.group_metadata().ok_or_else(|| Halt::Again(Some("Kafka: no group membership".into())))?;
        self.producer.begin_transaction().map_err(transaction_halt)?;
        let result = self.fill_and_commit(claims, dead, offsets, &metadata);
        if result.is_err() {
            // The next session's producer would abort it too; doing it now spares readers the wait.
            if let Err(error) = self.producer.abort_transaction(ANSWER_WITHIN) {
                tracing::debug!(%error, "aborting a transaction");
            }
        } else {
            self.shared.progress.transactions.add(1);
        }
        result
    }

    fn fill_and_commit(
        &mut self,
        claims: &[(i32, i64, Claim)],
        dead: &[DeadLetter],
        offsets: &rdkafka::TopicPartitionList,
        metadata: &rdkafka::consumer::ConsumerGroupMetadata,
    ) -> Result<(), Halt> {
        let output = &self.shared.config.output;
        for (_, _, claim) in claims {
            self.send(&output.ready_topic, Some(claim.order_id.as_bytes()), Some(claim.message.as_bytes()), None)?;
        }
        for letter in dead {
            self.send(
                &output.dead_letter_topic,
                letter.key.as_deref(),
                letter.value.as_deref(),
                Some(letter.headers.clone()),
            )?;
        }
        let deadline = Instant::now() + ANSWER_WITHIN;
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(5));
            if Instant::now() > deadline {
                return Err(Halt::Again(Some("Kafka: the broker did not acknowledge the messages in time".into())));
            }
        }
        let failed = self.producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = failed {
            return Err(Halt::from(error));
        }
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            return Err(Halt::Again(Some(format!("Kafka: {code}: {reason}"))));
        }
        // The messages are in the log now; see `recovery` for why the epoch is looked at here.
        if self.book.epoch()? != Epoch::Ready(self.epoch.clone()) {
            return Err(Halt::Again(None));
        }
        self.producer.send_offsets_to_transaction(offsets, metadata, ANSWER_WITHIN).map_err(transaction_halt)?;
        loop {
            match self.producer.commit_transaction(ANSWER_WITHIN) {
                Ok(()) => return Ok(()),
                // The answer may have been lost: asking again tells.
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !self.shared.shutdown.is_triggered() => {
                    tracing::debug!(error = %error.string(), "committing again");
                }
                Err(error) => return Err(transaction_halt(error)),
            }
        }
    }

    fn send(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) -> Result<(), Halt> {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        if let Some(key) = key {
            record = record.key(key);
        }
        if let Some(value) = value {
            record = record.payload(value);
        }
        if let Some(headers) = headers {
            record = record.headers(headers);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(50));
                }
                Err((error, _)) => return Err(Halt::from(error)),
            }
        }
    }
}
