//! Encoder threads and the producer thread: batches may be encoded out of order, never produced so.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
    mpsc::{Receiver, SyncSender},
};

use model::{RowArena, Seq};
use record::{CapturedTable, EncodeContext, EncodeError, ProcessingFailure, RecordBuffer, RecordSettings};
use tokio::sync::mpsc;

use crate::{
    batch::{Ack, ChangeBatch, EncodedBatch, Settled},
    error::{Failure, TaskError},
    lane::{Command, Gate, Lane, Turn},
    metrics::ConnectorMetrics,
    port::{CommitError, Sink},
    sender::Pool,
};

/// A pooled buffer larger than this is given back to the allocator.
const POOLED_BYTES_MAX: usize = 16 << 20;
/// Buffers kept per pool.
const POOLED_MAX: usize = 4;

/// What encoder threads share.
pub(crate) struct Encoders {
    pub(crate) batches: Mutex<mpsc::Receiver<ChangeBatch>>,
    pub(crate) encoded: SyncSender<Result<EncodedBatch, (Seq, TaskError)>>,
    pub(crate) settings: Arc<RecordSettings>,
    pub(crate) arenas: Pool<RowArena>,
    pub(crate) buffers: Pool<RecordBuffer>,
    pub(crate) metrics: Arc<ConnectorMetrics>,
}

/// Puts a buffer back unless it has grown beyond what is worth keeping.
pub(crate) fn give_back<T>(pool: &Pool<T>, buffer: T, size: usize) {
    if let (true, Ok(mut pool)) = (size <= POOLED_BYTES_MAX, pool.lock())
        && pool.len() < POOLED_MAX
    {
        pool.push(buffer);
    }
}

impl Encoders {
    /// The body of one encoder thread; ends when the reader's side is closed.
    pub(crate) fn run(&self) {
        let mut context = EncodeContext::default();
        loop {
            let batch = match self.batches.lock() {
                Ok(mut batches) => batches.blocking_recv(),
                Err(_) => None,
            };
            let Some(mut batch) = batch else { return };
            let mut records = self.buffers.lock().ok().and_then(|mut pool| pool.pop()).unwrap_or_default();
            let encoded = self.encode(&batch, &mut context, &mut records);
            let (seq, permit, slot) = (batch.seq, batch.permit, batch.slot);
            let arena_bytes = batch.rows.capacity();
            batch.rows.clear();
            give_back(&self.arenas, batch.rows, arena_bytes);
            let result = match encoded {
                Ok(()) => Ok(EncodedBatch { seq, records, permit, slot }),
                Err(error) => Err((seq, error)),
            };
            if self.encoded.send(result).is_err() {
                return;
            }
        }
    }

    fn encode(
        &self,
        batch: &ChangeBatch,
        context: &mut EncodeContext,
        out: &mut RecordBuffer,
    ) -> Result<(), TaskError> {
        let mut dynamic = batch.dynamic.iter().peekable();
        let mut warn = WarnOnce::default();
        for (index, row) in batch.rows.rows().iter().enumerate() {
            while let Some((_, record)) = dynamic.next_if(|(at, _)| *at as usize <= index) {
                record.encode(&self.settings, out).map_err(|error| {
                    TaskError::Definite(Failure::from_error("a record could not be converted", &error))
                })?;
            }
            let Some(table) = batch.tables.get(usize::from(row.table)) else {
                return Err(TaskError::definite("a row names a table that is not in its batch"));
            };
            let plan = table.plan(&self.settings).map_err(|error| {
                TaskError::Definite(Failure::from_error(
                    format!("the records of table {} cannot be laid out", table.version.id),
                    &error,
                ))
            })?;
            let outcome = match plan.encode_row(&table.version, &batch.rows, row, context, out) {
                Ok(outcome) => outcome,
                Err(error) => {
                    self.unprocessed(table, error)?;
                    continue;
                }
            };
            if outcome.failures > 0 {
                self.metrics.erroneous.add(i64::from(outcome.failures));
                warn.value(&table.version.id, context);
            }
        }
        for (_, record) in dynamic {
            record
                .encode(&self.settings, out)
                .map_err(|error| TaskError::Definite(Failure::from_error("a record could not be converted", &error)))?;
        }
        Ok(())
    }
}

impl Encoders {
    /// A row whose records cannot be made: by `event.processing.failure.handling.mode` the end of the task, or a word
    /// about it.
    fn unprocessed(&self, table: &CapturedTable, error: EncodeError) -> Result<(), TaskError> {
        let text = format!("Error while processing a change of table {}", table.version.id);
        // A batch that is too large is no fault of the row.
        let too_large = matches!(error, EncodeError::TooLarge { .. });
        match self.settings.processing_failure {
            ProcessingFailure::Warn if !too_large => tracing::warn!("{text}; it is passed over: {error}"),
            ProcessingFailure::Skip if !too_large => tracing::debug!("{text}; it is passed over: {error}"),
            _ => return Err(TaskError::Definite(Failure::from_error(text, &error))),
        }
        self.metrics.erroneous.add(1);
        Ok(())
    }
}

/// One warning per batch about values that were left unset: a column that never converts must not flood the log.
#[derive(Default)]
struct WarnOnce(bool);

impl WarnOnce {
    fn value(&mut self, table: &model::TableId, context: &mut EncodeContext) {
        if let (false, Some(failure)) = (self.0, context.take_failure()) {
            self.0 = true;
            tracing::warn!(%table, column = %failure.column, "a value was left unset: {}", failure.reason);
        }
    }
}

/// The producer thread: restores the order and hands batches to the sink.
pub(crate) struct Producer {
    pub(crate) encoded: Receiver<Result<EncodedBatch, (Seq, TaskError)>>,
    pub(crate) settled: mpsc::Sender<Settled>,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) buffers: Pool<RecordBuffer>,
    pub(crate) metrics: Arc<ConnectorMetrics>,
    pub(crate) abort: Arc<AtomicBool>,
    pub(crate) topic_used: Box<dyn Fn(&str) + Send + Sync>,
    pub(crate) flush_timeout: std::time::Duration,
    /// Exactly-once: what the core lets through.
    pub(crate) gate: Option<Arc<Gate>>,
}

/// What encoders give on.
type Encoded = Result<EncodedBatch, TaskError>;

impl Producer {
    /// The body of the thread; ends after a flush when all encoders have, or when the gate is closed.
    pub(crate) fn run(mut self) {
        let (mut lane, mut dead) = (Lane::default(), false);
        loop {
            match self.gate.as_ref().map(|gate| gate.turn(lane.next())) {
                Some(Turn::Do(command)) => {
                    self.carry_out(command);
                    continue;
                }
                Some(Turn::End) => break,
                Some(Turn::Produce) | None => {}
            }
            let Some((seq, batch)) = self.receive(&mut lane) else { break };
            // After a failure later batches must not overtake the lost one.
            dead = dead || self.abort.load(Ordering::Relaxed) || !self.produce(seq, batch);
            if dead {
                self.abort.store(true, Ordering::Relaxed);
            }
        }
        if let Some(gate) = &self.gate {
            gate.leave();
        } else if !dead {
            self.sink.flush(self.flush_timeout);
        }
    }

    /// The next batch in order; `None` when all encoders have ended.
    fn receive(&mut self, lane: &mut Lane<Encoded>) -> Option<(Seq, Encoded)> {
        loop {
            if let Some(next) = lane.pop() {
                return Some(next);
            }
            match self.encoded.recv().ok()? {
                Ok(batch) => lane.push(batch.seq, Ok(batch)),
                Err((seq, error)) => lane.push(seq, Err(error)),
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        let missing = || Failure::new("the sink has no transactions; this is a defect of afterimage");
        let transactions = self.sink.transactions();
        // Whoever no longer listens for an answer has ended.
        match (command, transactions) {
            (Command::Commit(record, answer), Some(transactions)) => drop(answer.send(transactions.commit(&record))),
            (Command::Renew(answer), Some(transactions)) => drop(answer.send(transactions.renew())),
            (Command::Abort, Some(transactions)) => transactions.abort(),
            (Command::Commit(_, answer), None) => {
                drop(answer.send(Err(CommitError::Aborted(TaskError::Definite(missing())))))
            }
            (Command::Renew(answer), None) => drop(answer.send(Err(TaskError::Definite(missing())))),
            (Command::Abort, None) => {}
        }
    }

    fn produce(&mut self, seq: Seq, batch: Encoded) -> bool {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                Ack::new(seq, self.settled.clone(), Default::default(), None).failed(error);
                return false;
            }
        };
        let count = batch.records.records().len() as i64;
        let ack = Ack::new(seq, self.settled.clone(), batch.permit, batch.slot).of(count as u64, &self.metrics);
        let accepted = if count == 0 {
            ack.delivered();
            Ok(())
        } else {
            self.sink.produce(&batch.records, ack)
        };
        for topic in self.sink.take_new_topics() {
            (self.topic_used)(&topic);
        }
        let mut records = batch.records;
        let size = records.capacity();
        records.clear();
        give_back(&self.buffers, records, size);
        // A sink that refuses a batch has settled its ack with the reason already.
        if accepted.is_ok() {
            self.metrics.records_produced.add(count);
        }
        accepted.is_ok()
    }
}
