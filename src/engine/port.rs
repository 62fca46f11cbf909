//! What the engine asks of the outside: a sink for records, a place for offsets, a store for
//! checkpoints, a schema history. Rows and positions are bytes and offset maps to all of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use model::OffsetMap;
use record::RecordBuffer;

use tokio::sync::watch;

use crate::{
    batch::Ack,
    error::{Failure, TaskError},
};

/// Where a record stands in the offsets topic: partition and offset.
pub type Place = (i32, i64);

/// Where records go; one per connector task, used from one thread.
///
/// `Ok` from `produce` means *accepted*, not delivered: that is what the [`Ack`] reports, once for all
/// records of the batch.
pub trait Sink: Send {
    /// Hands over all records of a batch in order. Blocks while the client's queue is full; returns early with
    /// a transient error when `stop` was requested. Topics are checked and created before their first record.
    ///
    /// # Errors
    /// The batch cannot be accepted: a record is too large, a topic cannot be made, the client is dead. The ack has
    /// been settled with the same error then.
    fn produce(&mut self, records: &RecordBuffer, ack: Ack) -> Result<(), TaskError>;

    /// Waits until all accepted records are delivered or failed, at most `timeout`.
    fn flush(&mut self, timeout: Duration);

    /// Topics that got their first record since the last call, for the active-topics list.
    fn take_new_topics(&mut self) -> Vec<Arc<str>>;

    /// The transactional side, when the sink was made with a transactional id.
    fn transactions(&mut self) -> Option<&mut dyn Transactions> {
        None
    }

    /// Whether Kafka answers requests at the moment, kept current by the sink. A batch that waits while nothing
    /// answers is an outage, which is waited out; without this word every wait counts as one.
    fn answering(&self) -> Option<watch::Receiver<bool>> {
        None
    }
}

/// The offset record that a transaction carries.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetRecord {
    /// Connector name, the first element of the record's key.
    pub connector: String,
    /// Source partition, the second.
    pub partition: OffsetMap,
    /// The value.
    pub offset: OffsetMap,
}

/// A sink whose records become visible in transactions.
///
/// A transaction opens by itself with the first record or offset after [`Self::take_over`], [`Self::renew`] or the end of
/// the one before; Kafka has one open transaction for each transactional id. Every call blocks until Kafka has
/// answered or the task is told to abort, and is made from the thread that calls [`Sink::produce`].
pub trait Transactions {
    /// Begins a session: fences every producer that used the transactional id before and waits until what it left
    /// open is aborted and what it had begun to commit is committed (InitProducerId without an epoch). Offsets are
    /// read after this, never before.
    ///
    /// # Errors
    /// Kafka refuses the id, or the wait was given up.
    fn take_over(&mut self) -> Result<(), TaskError>;

    /// Takes a new epoch for the session at hand after [`CommitError::Unknown`]: as [`Self::take_over`], but refused when
    /// somebody else has begun a session since (InitProducerId with the epoch held, KIP-360). Nothing is in flight then;
    /// answers that still come for the epoch before, refusals above all, mean nothing.
    ///
    /// # Errors
    /// Definite when another session exists.
    fn renew(&mut self) -> Result<(), TaskError>;

    /// Appends the offset record behind everything produced, waits until all of it is acknowledged and commits. Gives the
    /// place of the offset record.
    ///
    /// # Errors
    /// See [`CommitError`]; what may or may not have happened is its type.
    fn commit(&mut self, record: &OffsetRecord) -> Result<Place, CommitError>;

    /// Drops what was not acknowledged, its acks reporting *not delivered*, and aborts the open transaction, so that readers
    /// do not wait for the next session to do it. Best effort, within a moment and also when the task was told to abort: the
    /// next session does it in any case.
    fn abort(&mut self);
}

/// Why a commit did not succeed, by what Kafka holds now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another producer has taken the transactional id over: nothing of the transaction will be seen, and this
    /// session is over.
    #[error("another producer with the same transactional id has taken over: {0}")]
    Fenced(Failure),
    /// The transaction is aborted: nothing of it will be seen. Also when Kafka gave it up after `transaction.timeout.ms`.
    #[error("the transaction was aborted: {0}")]
    Aborted(TaskError),
    /// The answer was lost: the transaction may be committed, may be aborted, may be open. Never to be repeated:
    /// renew the session, then read back.
    #[error("it is not known whether the transaction was committed: {0}")]
    Unknown(Failure),
}

/// A stored offset and where in the offsets topic it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredOffset {
    /// The offset; `None` is a tombstone.
    pub offset: Option<OffsetMap>,
    /// Its place.
    pub at: Place,
}

/// Connect's offsets topic, seen from one connector.
pub trait OffsetTopic: Send + Sync {
    /// The newest record of `["<connector>",partition]`, after reading the topic to its present end. A reader of committed
    /// records reads to the end as well and not to the last stable offset: a transaction that somebody else holds open
    /// may stand before a committed record of ours, and is waited for.
    fn read<'a>(
        &'a self,
        connector: &'a str,
        partition: &'a OffsetMap,
    ) -> BoxFuture<'a, Result<Option<StoredOffset>, TaskError>>;

    /// Writes a record (`None`: a tombstone) and waits until Kafka has it. Gives its place.
    fn write<'a>(
        &'a self,
        connector: &'a str,
        partition: &'a OffsetMap,
        offset: Option<&'a OffsetMap>,
    ) -> BoxFuture<'a, Result<Place, TaskError>>;
}

/// What the store keeps for one connector partition.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedCheckpoint {
    /// The newest position that was delivered and synced.
    pub offset: OffsetMap,
    /// Place in the offsets topic of the last record we wrote or adopted, if any.
    pub published_at: Option<Place>,
    /// Kafka cluster id it belongs to.
    pub cluster: Option<String>,
}

/// The local checkpoint store. Calls are short and synchronous; `save` is durable (synced) when it returns.
pub trait CheckpointStore: Send + Sync {
    /// The saved checkpoint of a connector's partition.
    ///
    /// # Errors
    /// The store cannot be read; the text says what to do.
    fn load(&self, connector: &str, partition: &OffsetMap) -> Result<Option<SavedCheckpoint>, TaskError>;

    /// Saves it, synced to disk.
    ///
    /// # Errors
    /// The disk is full or broken; nothing was changed.
    fn save(&self, connector: &str, partition: &OffsetMap, checkpoint: &SavedCheckpoint) -> Result<(), TaskError>;

    /// Forgets it.
    ///
    /// # Errors
    /// As `save`.
    fn remove(&self, connector: &str, partition: &OffsetMap) -> Result<(), TaskError>;
}

/// One source's schema history (`schema.history.internal.*`).
pub trait SchemaHistory: Send + Sync {
    /// Creates the storage when it is not there.
    fn ensure(&self) -> BoxFuture<'_, Result<(), TaskError>>;

    /// All documents in order; `None` when the storage does not exist.
    fn read(&self) -> BoxFuture<'_, Result<Option<Vec<String>>, TaskError>>;

    /// Appends a document and waits until it is durable.
    fn append<'a>(&'a self, document: &'a str) -> BoxFuture<'a, Result<(), TaskError>>;
}

/// A document of a schema history and where its original stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryDocument {
    /// Offset of the original's record.
    pub at: i64,
    /// The text.
    pub text: String,
}

/// Copies of schema histories as they stood when they were read last. It decides nothing: whoever uses a copy
/// compares it with the original, which is right.
pub trait HistoryCache: Send + Sync {
    /// The copy that `owner` has, in order; empty when there is none.
    ///
    /// # Errors
    /// It cannot be read.
    fn load(&self, owner: &str) -> Result<Vec<HistoryDocument>, TaskError>;

    /// Adds documents at the end.
    ///
    /// # Errors
    /// The disk is full or broken; nothing was changed.
    fn append(&self, owner: &str, documents: &[HistoryDocument]) -> Result<(), TaskError>;

    /// Puts documents in the place of whatever was there.
    ///
    /// # Errors
    /// As `append`.
    fn replace(&self, owner: &str, documents: &[HistoryDocument]) -> Result<(), TaskError>;
}

/// Opens schema histories from a connector's configuration.
pub trait SchemaHistoryOpener: Send + Sync {
    /// The history that a connector's `schema.history.internal.*` keys describe.
    ///
    /// # Errors
    /// A setting is wrong.
    fn open(&self, connector: &str, config: &BTreeMap<String, String>) -> Result<Arc<dyn SchemaHistory>, TaskError>;
}
