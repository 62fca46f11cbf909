//! Loads, saves and publishes the positions of one connector partition: the checkpoint in the local store and the
//! record in the offsets topic, each knowing of the other.
//!
//! Waits for nothing: whoever calls brings what Kafka said and may move the calls to a thread that can block.

use std::sync::{Arc, Mutex};

use model::{OffsetMap, Position};

use crate::{
    error::TaskError,
    port::{CheckpointStore, OffsetRecord, Place, SavedCheckpoint, StoredOffset},
    start::{Origin, origin},
};

/// Where a task starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Resumed<P> {
    /// The position; `None` when there is none yet.
    pub position: Option<P>,
    /// The offsets topic does not hold it: a position that was stored and not published before the end. Unless it
    /// is announced, a source at rest would leave Kafka behind for ever.
    pub unpublished: bool,
}

/// The keeper of one connector partition's positions. Clones share what is known.
#[derive(Clone)]
pub struct Keeper {
    connector: String,
    partition: OffsetMap,
    store: Arc<dyn CheckpointStore>,
    cluster: Option<String>,
    published_at: Arc<Mutex<Option<Place>>>,
}

impl Keeper {
    /// A keeper for `partition` of `connector`; `cluster` is Kafka's cluster id.
    pub fn new(
        connector: String,
        partition: OffsetMap,
        store: Arc<dyn CheckpointStore>,
        cluster: Option<String>,
    ) -> Self {
        Self { connector, partition, store, cluster, published_at: Arc::default() }
    }

    /// The connector's name.
    pub fn connector(&self) -> &str {
        &self.connector
    }

    /// The source partition.
    pub fn partition(&self) -> &OffsetMap {
        &self.partition
    }

    /// The record that publishes `offset`.
    pub fn record(&self, offset: OffsetMap) -> OffsetRecord {
        OffsetRecord { connector: self.connector.clone(), partition: self.partition.clone(), offset }
    }

    /// Where the task starts, given the newest record of the offsets topic, which was read after older producers were
    /// fenced. A checkpoint that Kafka knows better is repaired.
    ///
    /// # Errors
    /// The checkpoint is ahead of Kafka (a question for a person), the store fails, or the position is unreadable.
    pub fn resume<P: Position>(&self, kafka: Option<&StoredOffset>) -> Result<Resumed<P>, TaskError> {
        let saved = self.store.load(&self.connector, &self.partition)?;
        let offset = match origin(&self.connector, saved.as_ref(), kafka, self.cluster.as_deref())? {
            Origin::Nothing => {
                self.know(kafka.map(|stored| stored.at))?;
                return Ok(Resumed { position: None, unpublished: false });
            }
            Origin::Checkpoint(offset) => {
                self.know(saved.and_then(|saved| saved.published_at))?;
                offset
            }
            Origin::Kafka(offset, at) => {
                self.save(offset.clone(), Some(at))?;
                offset
            }
            Origin::Deleted => {
                self.know(kafka.map(|stored| stored.at))?;
                self.store.remove(&self.connector, &self.partition)?;
                return Ok(Resumed { position: None, unpublished: false });
            }
        };
        let position = P::from_offset(&offset).map_err(|error| {
            TaskError::definite(format!(
                "{error}; correct it with PATCH /connectors/{0}/offsets, or forget it with DELETE /connectors/{0}/offsets \
                 while the connector is stopped",
                self.connector
            ))
        })?;
        let unpublished = kafka.and_then(|stored| stored.offset.as_ref()) != Some(&offset);
        Ok(Resumed { position: Some(position), unpublished })
    }

    /// The newest record of the offsets topic that this keeper knows to be its own or has adopted.
    pub fn known(&self) -> Option<Place> {
        self.published_at.lock().ok().and_then(|known| *known)
    }

    fn know(&self, at: Option<Place>) -> Result<(), TaskError> {
        *self.lock()? = at;
        Ok(())
    }

    fn lock(&self) -> Result<std::sync::MutexGuard<'_, Option<Place>>, TaskError> {
        self.published_at.lock().map_err(|_| TaskError::transient("a checkpoint save panicked"))
    }

    /// Saves a position. `at` is the place of the record that carries this very position, when a transaction has put
    /// it there; `None` keeps the place known so far.
    ///
    /// # Errors
    /// The store cannot take it.
    pub fn save(&self, offset: OffsetMap, at: Option<Place>) -> Result<(), TaskError> {
        // Held over the save: a store and a publish under way at the same time must not undo each other.
        let mut known = self.lock()?;
        let published_at = at.or(*known);
        let checkpoint = SavedCheckpoint { offset, published_at, cluster: self.cluster.clone() };
        self.store.save(&self.connector, &self.partition, &checkpoint)?;
        *known = published_at;
        Ok(())
    }

    /// The offset record with `offset` stands at `at`: the checkpoint learns which record is its own, so that a newer one
    /// is recognised.
    ///
    /// # Errors
    /// The store cannot take it.
    pub fn save_published(&self, offset: OffsetMap, at: Place) -> Result<(), TaskError> {
        let mut known = self.lock()?;
        *known = Some(at);
        let offset = self.store.load(&self.connector, &self.partition)?.map_or(offset, |newest| newest.offset);
        let checkpoint = SavedCheckpoint { offset, published_at: Some(at), cluster: self.cluster.clone() };
        self.store.save(&self.connector, &self.partition, &checkpoint)
    }
}
