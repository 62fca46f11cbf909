//! Batches on their way from the reader to the sink, and the word that comes back.

use std::sync::Arc;

use model::{RowArena, Seq};
use record::{CapturedTable, DynamicRecord, RecordBuffer};
use tokio::sync::{OwnedSemaphorePermit, mpsc::Sender};

use crate::{budget::Permit, error::TaskError, metrics::ConnectorMetrics};

/// Rows read from a source, up to a position (known to the core) from which the source can be read again.
#[derive(Debug)]
pub struct ChangeBatch {
    /// Its number.
    pub seq: Seq,
    /// Rows.
    pub rows: RowArena,
    /// Tables the rows refer to by index.
    pub tables: Vec<Arc<CapturedTable>>,
    /// Rare records, each placed before the row of that index, in order.
    pub dynamic: Vec<(u32, DynamicRecord)>,
    /// Memory charged for it.
    pub permit: Permit,
    /// Its place among the batches in flight.
    pub slot: Option<OwnedSemaphorePermit>,
}

/// What the core hears of a batch when it leaves the reader.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatched<P> {
    /// Its number.
    pub seq: Seq,
    /// Where the source goes on after it.
    pub end: P,
    /// Rows and rare records it holds; 0 when only the position moves.
    pub rows: u64,
}

/// Records of a batch, ready to be produced.
#[derive(Debug)]
pub struct EncodedBatch {
    /// Its number.
    pub seq: Seq,
    /// The records.
    pub records: RecordBuffer,
    /// Memory charged for it, released when the batch is settled.
    pub permit: Permit,
    /// Its place among the batches in flight.
    pub slot: Option<OwnedSemaphorePermit>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Settled {
    /// The batch.
    pub seq: Seq,
    /// `Ok` when every record is in Kafka.
    pub result: Result<(), TaskError>,
    /// How many records it had.
    pub records: u64,
    /// The batch's place among those in flight, free again once this word was heard; the channel holds as many
    /// words as there are places, so that reporting never waits.
    _slot: Option<OwnedSemaphorePermit>,
}

/// The right and duty to report one batch's fate. Dropped without a word it reports *not delivered*.
#[derive(Debug)]
pub struct Ack {
    seq: Seq,
    records: u64,
    to: Option<Sender<Settled>>,
    slot: Option<OwnedSemaphorePermit>,
    permit: Option<Permit>,
    counted_in: Option<Arc<ConnectorMetrics>>,
}

impl Ack {
    /// An ack for batch `seq`, reporting to `to`; memory and place are released with the report.
    pub fn new(seq: Seq, to: Sender<Settled>, permit: Permit, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self { seq, records: 0, to: Some(to), slot, permit: Some(permit), counted_in: None }
    }

    /// Says how many records the batch has. They count as active in `metrics` until the batch is settled, whatever
    /// becomes of it.
    pub fn of(mut self, records: u64, metrics: &Arc<ConnectorMetrics>) -> Self {
        self.records = records;
        metrics.records_active.add(i64::try_from(records).unwrap_or(i64::MAX));
        self.counted_in = Some(Arc::clone(metrics));
        self
    }

    /// The batch.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// All records of the batch are in Kafka.
    pub fn delivered(mut self) {
        self.settle(Ok(()));
    }

    /// A record of the batch is not in Kafka and will not be.
    pub fn failed(mut self, error: TaskError) {
        self.settle(Err(error));
    }

    fn settle(&mut self, result: Result<(), TaskError>) {
        self.permit.take();
        if let Some(metrics) = self.counted_in.take() {
            metrics.records_active.add(-i64::try_from(self.records).unwrap_or(i64::MAX));
        }
        if let Some(to) = self.to.take() {
            // Fails only when the task has ended already: nobody is left to be told.
            let _ = to.try_send(Settled { seq: self.seq, result, records: self.records, _slot: self.slot.take() });
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if self.to.is_some() {
            self.settle(Err(TaskError::transient("a batch was dropped before Kafka confirmed it")));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::channel;

    use super::*;

    #[test]
    fn records_are_active_until_their_batch_is_settled_in_any_way() {
        let metrics = Arc::new(ConnectorMetrics::default());
        let (to, mut from) = channel(8);
        let ack = |records| Ack::new(Seq(0), to.clone(), Permit::none(), None).of(records, &metrics);
        let (delivered, failed, dropped) = (ack(5), ack(7), ack(11));
        assert_eq!(metrics.records_active.get(), 23);
        delivered.delivered();
        failed.failed(TaskError::transient("Kafka is away"));
        assert_eq!(metrics.records_active.get(), 11);
        drop(dropped);
        assert_eq!(metrics.records_active.get(), 0);
        let late = ack(3);
        let results: Vec<bool> = std::iter::from_fn(|| from.try_recv().ok()).map(|word| word.result.is_ok()).collect();
        assert_eq!(results, [true, false, false]);
        // Nobody listens any more: the task has ended.
        drop(from);
        late.delivered();
        assert_eq!(metrics.records_active.get(), 0);
    }
}
