//! The reader's end of the pipeline: an open batch that grows within the budget and is dispatched with the
//! position after it.

use std::sync::{Arc, Mutex};

use model::{RowArena, Seq};
use record::{CapturedTable, DynamicRecord};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::{
    batch::{ChangeBatch, Dispatched},
    budget::{Budget, Permit},
    error::TaskError,
    source::Limits,
};

/// Batches in flight between reader and settlement: enough for Kafka's round trip at full rate, few enough that
/// queues stay short. Also the capacity of every channel of the pipeline.
pub const IN_FLIGHT_MAX: usize = 256;
/// Rows of a batch at most, whatever the source allows: later ones would only wait longer.
const BATCH_ROWS_MAX: usize = 8192;
/// Batches waiting for an encoder at most: further ahead the reader gains nothing.
const ENCODER_QUEUE_MAX: usize = 16;

/// The pipeline takes no more: the task was asked to stop, or has failed further down.
///
/// It travels through a source as an error and is not one: whoever drives the source turns it into its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// Marks the failure that stands for [`Stopped`] inside a [`TaskError`].
const STOPPED: &str = "stopped";

impl From<Stopped> for TaskError {
    fn from(_: Stopped) -> Self {
        TaskError::transient(STOPPED)
    }
}

impl Stopped {
    /// Whether an error is only the word that the task stops.
    pub fn is(error: &TaskError) -> bool {
        matches!(error, TaskError::Transient(failure) if failure.message == STOPPED && failure.causes.is_empty())
    }
}

/// Buffers that go round between reader and encoders.
pub type Pool<T> = Arc<Mutex<Vec<T>>>;

/// Sizes of batches.
#[derive(Debug, Clone, Copy)]
pub struct BatchSettings {
    /// A batch is closed when its records are estimated at this many bytes.
    pub bytes: usize,
    /// Or when it has this many rows.
    pub rows: usize,
    /// Bytes of record per wire byte of a row and per row, for the estimate that memory is charged by.
    pub row_overhead: usize,
}

/// Estimated bytes of a finished record per byte of its cells: names, quotes, base64, both images.
const EXPANSION: usize = 2;
/// Each batch exists up to three times: as cells, as records, and in the client's queue.
const COPIES: usize = 3;

/// A sender and the ends of what leads out of it.
pub struct Feed<P> {
    /// For the source.
    pub sender: BatchSender<P>,
    /// Batches, for the encoders.
    pub batches: mpsc::Receiver<ChangeBatch>,
    /// The same batches as the core hears of them, each before the batch itself can be taken.
    pub reads: mpsc::Receiver<Dispatched<P>>,
    /// Tells the source whether to read.
    pub reading: watch::Sender<Reading>,
    /// Arenas that encoders are done with.
    pub arenas: Pool<RowArena>,
}

impl<P> Feed<P> {
    /// A sender that takes its memory from `budget` and lets as much wait as `limits` say.
    pub fn new(limits: Limits, budget: Budget) -> Self {
        let (settings, queue) = sizes(limits, budget.limit());
        let (reading, reading_from) = watch::channel(Reading::Go);
        let (encoders, batches) = mpsc::channel(queue);
        let (reads_to, reads) = mpsc::channel(IN_FLIGHT_MAX);
        let arenas = Pool::<RowArena>::default();
        let slots = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        let pool = Arc::clone(&arenas);
        let sender = BatchSender::new(settings, budget, slots, encoders, reads_to, reading_from, pool);
        Self { sender, batches, reads, reading, arenas }
    }
}

/// Sizes of batches, and how many of them may wait for an encoder.
fn sizes(limits: Limits, budget: usize) -> (BatchSettings, usize) {
    let rows = limits.batch_rows.clamp(1, BATCH_ROWS_MAX);
    // A quarter of the share in all its copies, so that reading, encoding and sending overlap; small shares make small batches.
    let mut bytes = (budget / 12).clamp(16 << 10, 1 << 20);
    let mut queue = (limits.queue_rows / rows).clamp(1, ENCODER_QUEUE_MAX);
    if let Some(most) = limits.queue_bytes {
        // One batch grows while another waits.
        bytes = bytes.min(most / 2).max(1);
        queue = queue.min(most / bytes).max(1);
    }
    (BatchSettings { bytes, rows, row_overhead: 512 }, queue)
}

/// Where a source puts what it reads.
pub struct BatchSender<P> {
    pub(crate) settings: BatchSettings,
    pub(crate) budget: Budget,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) encoders: mpsc::Sender<ChangeBatch>,
    pub(crate) reads: mpsc::Sender<Dispatched<P>>,
    pub(crate) reading: watch::Receiver<Reading>,
    pub(crate) pool: Pool<RowArena>,
    seq: Seq,
    rows: RowArena,
    tables: Vec<Arc<CapturedTable>>,
    dynamic: Vec<(u32, DynamicRecord)>,
    estimate: usize,
    permit: Permit,
}

/// What the reader may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Read.
    Go,
    /// Hold.
    Hold,
    /// End.
    Stop,
}

impl<P> BatchSender<P> {
    fn new(
        settings: BatchSettings,
        budget: Budget,
        slots: Arc<Semaphore>,
        encoders: mpsc::Sender<ChangeBatch>,
        reads: mpsc::Sender<Dispatched<P>>,
        reading: watch::Receiver<Reading>,
        pool: Pool<RowArena>,
    ) -> Self {
        Self {
            settings,
            budget,
            slots,
            encoders,
            reads,
            reading,
            pool,
            seq: Seq(0),
            rows: RowArena::default(),
            tables: Vec::new(),
            dynamic: Vec::new(),
            estimate: 0,
            permit: Permit::none(),
        }
    }

    /// The open batch's rows, to be appended to.
    pub fn rows(&mut self) -> &mut RowArena {
        &mut self.rows
    }

    /// Index of a table in the open batch, for [`model::RowHead::table`]. Ask again after each dispatch.
    pub fn table(&mut self, table: &Arc<CapturedTable>) -> u16 {
        // Almost always the last one or one of few: a scan beats a map.
        if let Some(index) = self.tables.iter().rposition(|known| Arc::ptr_eq(known, table)) {
            return index as u16;
        }
        self.tables.push(table.clone());
        (self.tables.len() - 1) as u16
    }

    /// Adds a rare record at this point of the order.
    pub fn push_dynamic(&mut self, record: DynamicRecord) {
        self.estimate += 4096;
        self.dynamic.push((self.rows.rows().len() as u32, record));
    }

    /// Counts a row whose cells have `wire` bytes towards the batch's size.
    pub fn count_row(&mut self, wire: usize) {
        self.estimate += self.settings.row_overhead + wire.saturating_mul(EXPANSION);
    }

    /// Whether the batch should be dispatched before more is added.
    pub fn is_full(&self) -> bool {
        self.estimate >= self.settings.bytes
            || self.rows.rows().len() >= self.settings.rows
            || self.tables.len() >= usize::from(u16::MAX)
    }

    /// Whether the open batch holds nothing.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.dynamic.is_empty()
    }

    /// Whether the open batch has the memory for a row of `wire` bytes already.
    pub fn has_room(&self, wire: usize) -> bool {
        self.memory_with(wire).1 <= self.permit.bytes()
    }

    /// Memory of a row of `wire` bytes, and of the open batch with it.
    fn memory_with(&self, wire: usize) -> (usize, usize) {
        let row = (self.settings.row_overhead + wire.saturating_mul(EXPANSION)).saturating_mul(COPIES);
        (row, self.estimate.saturating_mul(COPIES).saturating_add(row))
    }

    /// Makes room for a row of `wire` bytes that is about to be added: takes memory from the budget, waiting for it
    /// while others hold it. Returns `false` when the batch must be dispatched first.
    ///
    /// # Errors
    /// [`Stopped`], or a definite failure for a row larger than the whole budget (`describe` names table and place).
    pub async fn make_room(&mut self, wire: usize, describe: impl FnOnce() -> String) -> Result<bool, TaskError> {
        let (row, needed) = self.memory_with(wire);
        if needed <= self.permit.bytes() {
            return Ok(true);
        }
        if row > self.budget.limit() {
            return Err(TaskError::definite(format!(
                "{}: a row of {wire} bytes needs about {row} bytes of memory, more than this connector's share of {} bytes; \
                 raise afterimage.memory.limit",
                describe(),
                self.budget.limit()
            )));
        }
        // Room for a whole batch at once, so that waiting happens once per batch.
        let want = needed.max(self.settings.bytes.saturating_mul(COPIES).min(self.budget.limit()));
        let more = want - self.permit.bytes();
        if self.permit.bytes() == 0 {
            self.permit = self.wait_for(more).await?;
            return Ok(true);
        }
        match self.budget.try_take(more) {
            Some(permit) => self.permit.merge(permit),
            // Holding part of the budget while waiting for the rest could wait for ever.
            None if !self.is_empty() => return Ok(false),
            None => {
                self.permit = Permit::none();
                self.permit = self.wait_for(want).await?;
            }
        }
        Ok(true)
    }

    async fn wait_for(&mut self, bytes: usize) -> Result<Permit, Stopped> {
        tokio::select! {
            permit = self.budget.take(bytes) => Ok(permit),
            () = stopped(&mut self.reading) => Err(Stopped),
        }
    }

    /// Waits while the task is paused.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn ready(&mut self) -> Result<(), Stopped> {
        loop {
            match *self.reading.borrow_and_update() {
                Reading::Go => return Ok(()),
                Reading::Stop => return Err(Stopped),
                Reading::Hold => {}
            }
            self.reading.changed().await.map_err(|_| Stopped)?;
        }
    }

    /// Whether the reader may go on right now.
    pub fn reading(&self) -> Reading {
        *self.reading.borrow()
    }

    /// Resolves when the reader's permission changes.
    pub async fn changed(&mut self) {
        if self.reading.changed().await.is_err() {
            // The driver is gone: `ready` reports it.
            std::future::pending().await
        }
    }

    /// Sends the open batch on; `end` is where the source goes on after it. An empty batch is sent too, when only
    /// the position moves.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn dispatch(&mut self, end: P) -> Result<(), Stopped> {
        let slot = tokio::select! {
            slot = self.slots.clone().acquire_owned() => slot.map_err(|_| Stopped)?,
            () = stopped(&mut self.reading) => return Err(Stopped),
        };
        let rows = (self.rows.rows().len() + self.dynamic.len()) as u64;
        let fresh = self.pool.lock().ok().and_then(|mut pool| pool.pop()).unwrap_or_default();
        let batch = ChangeBatch {
            seq: self.seq,
            rows: std::mem::replace(&mut self.rows, fresh),
            tables: std::mem::take(&mut self.tables),
            dynamic: std::mem::take(&mut self.dynamic),
            permit: std::mem::take(&mut self.permit),
            slot: Some(slot),
        };
        self.estimate = 0;
        // The core hears of the batch before anyone can settle it.
        self.reads.send(Dispatched { seq: self.seq, end, rows }).await.map_err(|_| Stopped)?;
        self.seq = self.seq.next();
        self.encoders.send(batch).await.map_err(|_| Stopped)
    }
}

/// Resolves when the reader is told to end.
async fn stopped(reading: &mut watch::Receiver<Reading>) {
    // An error means the driver is gone, which ends the reader as well.
    let _ = reading.wait_for(|reading| *reading == Reading::Stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_and_queue_follow_the_limits() {
        let size = |batch_rows, queue_rows, queue_bytes| {
            let (batch, queue) = sizes(Limits { batch_rows, queue_rows, queue_bytes }, 128 << 20);
            (batch.rows, batch.bytes, queue)
        };
        assert_eq!(size(2048, 8192, None), (2048, 1 << 20, 4));
        assert_eq!(size(100, 150, None), (100, 1 << 20, 1));
        assert_eq!(size(1_000_000, 2_000_000, None), (BATCH_ROWS_MAX, 1 << 20, ENCODER_QUEUE_MAX));
        assert_eq!(size(2048, 8192, Some(512 << 10)), (2048, 256 << 10, 2));
        assert_eq!(size(1, 2, Some(1)), (1, 1, 1));
    }
}
