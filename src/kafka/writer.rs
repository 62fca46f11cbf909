//! A producer for the rare records of internal topics: each is waited for, and between them nothing runs.
//!
//! rdkafka's own threaded producer polls ten times a second and spins through the last millisecond of each poll,
//! a percent of a core for a client that is idle nearly all the time. This one polls while something is on its way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use engine::error::TaskError;
use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};
use tokio::sync::oneshot;

use crate::{client::LogContext, cluster::creation_failed, settings::Settings};

/// How often a client with nothing on its way serves its log lines.
const IDLE: Duration = Duration::from_secs(5);
/// How long a poll lasts while something is on its way; reports are served as they come.
const POLL: Duration = Duration::from_millis(100);

type Report = oneshot::Sender<Result<(i32, i64), KafkaError>>;

struct Reports {
    log: LogContext,
    pending: AtomicUsize,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.log.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Self::DeliveryOpaque) {
        let result = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        self.pending.fetch_sub(1, Ordering::AcqRel);
        // Whoever asked may have given up.
        let _ = report.send(result);
    }
}

/// Writes records one by one.
pub(crate) struct Writer {
    producer: Arc<BaseProducer<Reports>>,
    stop: Arc<AtomicBool>,
    poller: Option<JoinHandle<()>>,
}

impl Writer {
    /// A producer with `settings`.
    ///
    /// # Errors
    /// librdkafka refuses the settings, or no thread can be started.
    pub(crate) fn open(settings: &Settings) -> Result<Self, TaskError> {
        let reports = Reports { log: LogContext, pending: AtomicUsize::new(0) };
        let producer: BaseProducer<Reports> = settings.client(reports).map_err(|e| creation_failed(&e))?;
        let (producer, stop) = (Arc::new(producer), Arc::new(AtomicBool::new(false)));
        let poller = {
            let (producer, stop) = (producer.clone(), stop.clone());
            std::thread::Builder::new()
                .name("kafka-writer".into())
                .spawn(move || {
                    while !stop.load(Ordering::Acquire) {
                        if producer.context().pending.load(Ordering::Acquire) > 0 {
                            producer.poll(POLL);
                        } else {
                            producer.poll(Duration::ZERO);
                            std::thread::park_timeout(IDLE);
                        }
                    }
                })
                .map_err(|e| TaskError::transient(format!("no thread for a Kafka producer could be started: {e}")))?
        };
        Ok(Self { producer, stop, poller: Some(poller) })
    }

    /// Writes a record and waits until Kafka has it; gives its partition and offset. A caller that gives up does not
    /// take the record back.
    ///
    /// # Errors
    /// Kafka refused it.
    pub(crate) async fn write(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(i32, i64), KafkaError> {
        loop {
            let (report, written) = oneshot::channel();
            let record: BaseRecord<'_, [u8], [u8], Box<Report>> = BaseRecord {
                topic,
                partition,
                payload: value,
                key,
                timestamp: None,
                headers: None,
                delivery_opaque: Box::new(report),
            };
            let pending = &self.producer.context().pending;
            pending.fetch_add(1, Ordering::AcqRel);
            match self.producer.send(record) {
                Ok(()) => {
                    if let Some(poller) = &self.poller {
                        poller.thread().unpark();
                    }
                    // The producer reports every record, at the latest when it is dropped.
                    return written.await.unwrap_or(Err(KafkaError::Canceled));
                }
                Err((error, _)) => {
                    pending.fetch_sub(1, Ordering::AcqRel);
                    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                        return Err(error);
                    }
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(poller) = self.poller.take() {
            poller.thread().unpark();
            // A panic in it has been reported by its own thread.
            let _ = poller.join();
        }
    }
}
