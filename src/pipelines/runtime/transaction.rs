//! Kafka transactions: records and the input offsets they come from, all or none.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, TopicPartitionList,
    consumer::ConsumerGroupMetadata,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};

use super::{Error, Shutdown, kafka::ANSWER_WITHIN};

/// After this a dead process's open transaction is aborted by the coordinator.
const TRANSACTION_MS: &str = "15000";
/// How long the coordinator may take to let a transactional id in: it waits for an open transaction's end.
const ADMITTED_WITHIN: Duration = Duration::from_secs(30);

/// A record to be written.
#[derive(Debug, Clone, Default)]
pub struct Record<'a> {
    /// Where to.
    pub topic: &'a str,
    /// Which partition; `None` for the key's.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` makes a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Option<OwnedHeaders>,
}

/// The first failure of a delivery since it was last asked for.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.clone());
        }
    }
}

/// A transactional producer. After any error it is to be dropped: the next one with its id finds out what was
/// committed.
pub struct Transactions {
    producer: BaseProducer<Deliveries>,
    shutdown: Shutdown,
}

impl Transactions {
    /// Takes the transactional id over from whoever had it; `None` when asked to stop meanwhile.
    ///
    /// # Errors
    /// [`Error::Kafka`] when the broker does not answer or refuses.
    pub fn open(client: &ClientConfig, id: &str, shutdown: &Shutdown) -> Result<Option<Self>, Error> {
        let producer: BaseProducer<Deliveries> = client
            .clone()
            .set("transactional.id", id)
            .set("transaction.timeout.ms", TRANSACTION_MS)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .create_with_context(Deliveries::default())?;
        let deadline = Instant::now() + ADMITTED_WITHIN;
        loop {
            // In short steps, so that a stop need not wait for a broker that is away.
            match producer.init_transactions(Duration::from_secs(1)) {
                Ok(()) => return Ok(Some(Self { producer, shutdown: shutdown.clone() })),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                    if shutdown.is_triggered() {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Lets the client work off what it was told by the broker.
    pub fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Writes records and, where given, commits a group's offsets with them. `may_commit` is asked when the broker has
    /// the records and nothing is decided yet.
    ///
    /// # Errors
    /// [`Error::Kafka`] when it is not known to be committed, or what `may_commit` said; then it is aborted if it can be.
    pub fn commit<E: From<Error>>(
        &self,
        records: Vec<Record<'_>>,
        offsets: Option<(&TopicPartitionList, &ConsumerGroupMetadata)>,
        may_commit: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        self.producer.begin_transaction().map_err(failed)?;
        let result = self.write(records).map_err(E::from).and_then(|()| may_commit()).and_then(|()| {
            if let Some((offsets, group)) = offsets {
                self.producer.send_offsets_to_transaction(offsets, group, ANSWER_WITHIN).map_err(failed)?;
            }
            Ok(self.end()?)
        });
        if result.is_err() {
            // The next producer of this id would abort it too; doing it now spares readers the wait.
            if let Err(error) = self.producer.abort_transaction(Duration::from_secs(2)) {
                tracing::debug!(%error, "aborting a transaction");
            }
        }
        result
    }

    /// Hands the records over and waits until the broker has them.
    fn write(&self, records: Vec<Record<'_>>) -> Result<(), Error> {
        for record in records {
            self.send(record)?;
        }
        let deadline = Instant::now() + ANSWER_WITHIN;
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(5));
            if Instant::now() > deadline {
                return Err(Error::Kafka("the broker did not acknowledge the records in time".into()));
            }
        }
        if let Some(error) = self.producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error.into());
        }
        // A producer that was fenced reports success everywhere else.
        match self.producer.client().fatal_error() {
            Some((code, reason)) => Err(Error::Kafka(format!("{code}: {reason}"))),
            None => Ok(()),
        }
    }

    fn send(&self, record: Record<'_>) -> Result<(), Error> {
        let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(record.topic);
        if let Some(partition) = record.partition {
            next = next.partition(partition);
        }
        if let Some(key) = record.key {
            next = next.key(key);
        }
        if let Some(value) = record.value {
            next = next.payload(value);
        }
        if let Some(headers) = record.headers {
            next = next.headers(headers);
        }
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    next = back;
                    self.producer.poll(Duration::from_millis(50));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    fn end(&self) -> Result<(), Error> {
        loop {
            match self.producer.commit_transaction(ANSWER_WITHIN) {
                Ok(()) => return Ok(()),
                // The answer may have been lost: asking again tells.
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !self.shutdown.is_triggered() => {
                    tracing::debug!(error = %error.string(), "committing again");
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn failed(error: KafkaError) -> Error {
    match &error {
        // Also what a transaction that took too long looks like.
        KafkaError::Transaction(cause)
            if matches!(
                cause.code(),
                RDKafkaErrorCode::Fenced | RDKafkaErrorCode::InvalidProducerEpoch | RDKafkaErrorCode::ProducerFenced
            ) =>
        {
            Error::Kafka("the transaction timed out, or another process has the same `instance`".into())
        }
        _ => error.into(),
    }
}
