//! What one connector task counts. Updated per batch or event with relaxed atomics, read by the status,
//! progress and metrics pages; nothing is ever decided by these numbers.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
};

/// A counter or gauge.
#[derive(Debug, Default)]
pub struct Number(AtomicI64);

impl Number {
    /// Adds.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }
    /// Sets.
    pub fn set(&self, n: i64) {
        self.0.store(n, Relaxed);
    }
    /// Reads.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Progress of one table in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableProgress {
    /// `db.table`.
    pub table: String,
    /// Rows read so far.
    pub rows: u64,
    /// The server's estimate, if it has one.
    pub estimate: Option<u64>,
    /// Whether it is finished.
    pub done: bool,
}

/// Numbers of one connector task, in the words of Debezium's MBeans where it has them.
#[derive(Debug, Default)]
pub struct ConnectorMetrics {
    /// Whether the log connection stands.
    pub connected: AtomicBool,
    /// Rows read from snapshot and stream.
    pub rows_read: Number,
    /// By kind: creates, updates, deletes.
    pub creates: Number,
    /// Updates.
    pub updates: Number,
    /// Deletes.
    pub deletes: Number,
    /// Log events passed over.
    pub events_skipped: Number,
    /// Rows of tables that are not captured.
    pub events_filtered: Number,
    /// Values that could not be converted.
    pub erroneous: Number,
    /// Log bytes read.
    pub bytes_read: Number,
    /// Transactions seen to their end.
    pub transactions: Number,
    /// Records accepted by the sink.
    pub records_produced: Number,
    /// Records Kafka has confirmed.
    pub records_delivered: Number,
    /// Records handed to the sink and not settled.
    pub records_active: Number,
    /// Batches read and not settled.
    pub batches_in_flight: Number,
    /// Bytes of batches read and not settled.
    pub bytes_in_flight: Number,
    /// Our clock when a batch was last delivered or nothing was in flight, milliseconds since the epoch: while batches
    /// are in flight, the time since then is how long Kafka keeps them waiting.
    pub moved_ms: Number,
    /// Our clock when the first of a row of runs failed that did not get as far as running, milliseconds since the
    /// epoch; 0 while the task runs.
    pub retrying_since_ms: Number,
    /// Offsets stored locally.
    pub checkpoints_stored: Number,
    /// Offset records written.
    pub offsets_committed: Number,
    /// Source time of the last event, microseconds since the epoch; 0 before the first.
    pub last_event_source_us: Number,
    /// Our clock at the last event, milliseconds since the epoch; 0 before the first.
    pub last_event_ms: Number,
    /// Milliseconds behind the source at the last event; -1 unknown.
    pub behind_ms: Number,
    /// Reconnects of the log connection.
    pub disconnects: Number,
    /// Restarts after transient failures.
    pub restarts: Number,
    /// Snapshot flags: running.
    pub snapshot_running: AtomicBool,
    /// Finished.
    pub snapshot_completed: AtomicBool,
    /// Aborted.
    pub snapshot_aborted: AtomicBool,
    /// Not needed at this start.
    pub snapshot_skipped: AtomicBool,
    /// Clock at the snapshot's start and end, milliseconds since the epoch; 0 not yet.
    pub snapshot_started_ms: AtomicU64,
    /// End.
    pub snapshot_ended_ms: AtomicU64,
    /// Whether the global read lock is held.
    pub holding_global_lock: AtomicBool,
    /// Per table, in snapshot order.
    pub tables: Mutex<Vec<TableProgress>>,
    /// Captured tables.
    pub captured: Mutex<Vec<String>>,
    /// The last position read, as text pairs (`file`, `pos`, `gtids`, ..).
    pub position: Mutex<Vec<(String, String)>>,
    /// The last failure's message.
    pub last_error: Mutex<Option<String>>,
}
