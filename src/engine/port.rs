//! What the engine asks of the outside: a sink for records, a place for offsets, a store for
//! checkpoints, a schema history. Rows and positions are bytes and offset maps to all of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use model::OffsetMap;
use record::RecordBuffer;

use crate::{batch::Ack, error::TaskError};

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
}

/// A stored offset and where in the offsets topic it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredOffset {
    /// The offset; `None` is a tombstone.
    pub offset: Option<OffsetMap>,
    /// Its place: partition and offset of the record in the offsets topic.
    pub at: (i32, i64),
}

/// Connect's offsets topic, seen from one connector.
pub trait OffsetTopic: Send + Sync {
    /// The newest record of `["<connector>",partition]`, after reading the topic to its present end.
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
    ) -> BoxFuture<'a, Result<(i32, i64), TaskError>>;
}

/// What the store keeps for one connector partition.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedCheckpoint {
    /// The newest position that was delivered and synced.
    pub offset: OffsetMap,
    /// Place in the offsets topic of the last record we wrote or adopted, if any.
    pub published_at: Option<(i32, i64)>,
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
