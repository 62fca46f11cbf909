//! Batches on their way from the reader to the sink, and the word that comes back.

use std::sync::{Arc, mpsc::SyncSender};

use model::{RowArena, Seq};
use record::{CapturedTable, DynamicRecord, RecordBuffer};

use crate::{budget::Permit, error::TaskError};

/// Rows read from a source, up to a position from which the source can be read again.
#[derive(Debug)]
pub struct ChangeBatch<P> {
    /// Its number.
    pub seq: Seq,
    /// Rows.
    pub rows: RowArena,
    /// Tables the rows refer to by index.
    pub tables: Vec<Arc<CapturedTable>>,
    /// Rare records, each placed before the row of that index, in order.
    pub dynamic: Vec<(u32, DynamicRecord)>,
    /// Where to go on after the batch.
    pub end: P,
    /// Memory charged for it.
    pub permit: Permit,
}

/// Records of a batch, ready to be produced.
#[derive(Debug)]
pub struct EncodedBatch {
    /// Its number.
    pub seq: Seq,
    /// The records.
    pub records: RecordBuffer,
    /// Source rows they came from.
    pub rows: u64,
    /// Memory charged for it, released when the batch is settled.
    pub permit: Permit,
}

/// What became of a batch.
#[derive(Debug)]
pub enum Settled {
    /// Every record is in Kafka.
    Delivered(Seq),
    /// At least one record is not.
    Failed(Seq, TaskError),
}

/// The right and duty to report one batch's fate. Dropped without a word it reports *not delivered*.
#[derive(Debug)]
pub struct Ack {
    seq: Seq,
    to: Option<SyncSender<Settled>>,
    permit: Option<Permit>,
}

impl Ack {
    /// An ack for batch `seq`, reporting to `to`; the permit is released with the report.
    pub fn new(seq: Seq, to: SyncSender<Settled>, permit: Permit) -> Self {
        Self { seq, to: Some(to), permit: Some(permit) }
    }

    /// The batch.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// All records of the batch are in Kafka.
    pub fn delivered(mut self) {
        self.settle(Settled::Delivered(self.seq));
    }

    /// A record of the batch is not in Kafka and will not be.
    pub fn failed(mut self, error: TaskError) {
        self.settle(Settled::Failed(self.seq, error));
    }

    fn settle(&mut self, settled: Settled) {
        self.permit.take();
        if let Some(to) = self.to.take() {
            // The receiver is gone only when the task has ended already.
            let _ = to.send(settled);
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if self.to.is_some() {
            let seq = self.seq;
            self.settle(Settled::Failed(seq, TaskError::transient("a batch was dropped before Kafka confirmed it")));
        }
    }
}
