//! State of consumers: whatever a pipeline keeps under its keys, and the input offsets it has worked off,
//! changed together in one batch, so that repeating input changes nothing.

use rocksdb::{Direction, IteratorMode, WriteBatch};

use crate::{
    database::{CONSUMERS, Store},
    error::StoreError,
    frame,
};

/// Changes of consumer state that become visible together.
#[derive(Default)]
pub struct Batch {
    puts: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.puts.push((key.to_vec(), Some(frame::seal(value))));
    }

    /// Removes a value.
    pub fn delete(&mut self, key: &[u8]) {
        self.puts.push((key.to_vec(), None));
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty()
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("changes", &self.puts.len()).finish()
    }
}

impl Store {
    /// A value of consumer state.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn consumer_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(CONSUMERS, key, "reading consumer state")
    }

    /// Calls `each` with every key that starts with `prefix` and its value, in key order, until it gives `false`.
    ///
    /// # Errors
    /// Something stored cannot be read.
    pub fn consumer_scan(&self, prefix: &[u8], mut each: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreError> {
        let doing = "reading consumer state";
        let from = IteratorMode::From(prefix, Direction::Forward);
        for entry in self.db.iterator_cf(self.family(CONSUMERS)?, from) {
            let (key, value) = entry.map_err(|e| self.failed(doing, &e))?;
            if !key.starts_with(prefix) || !each(&key, self.unframe(&value, doing)?) {
                break;
            }
        }
        Ok(())
    }

    /// Writes a batch, synced to disk or not at all.
    ///
    /// # Errors
    /// The disk is full or broken; nothing was changed.
    pub fn consumer_write(&self, batch: Batch) -> Result<(), StoreError> {
        let family = self.family(CONSUMERS)?;
        let mut write = WriteBatch::default();
        for (key, value) in batch.puts {
            match value {
                Some(value) => write.put_cf(family, key, value),
                None => write.delete_cf(family, key),
            }
        }
        self.write_synced(write, "writing consumer state")
    }
}

#[cfg(test)]
mod tests {
    use crate::Limits;

    use super::*;

    #[test]
    fn a_batch_is_seen_whole_and_scans_are_bounded_by_the_prefix() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let store = Store::open(dir.path(), Limits::default()).unwrap_or_else(|e| panic!("{e}"));
        let mut batch = Batch::new();
        for key in ["a/1", "a/2", "b/1"] {
            batch.put(key.as_bytes(), key.as_bytes());
        }
        assert_eq!(store.consumer_write(batch), Ok(()));
        let mut batch = Batch::new();
        batch.delete(b"a/1");
        batch.put(b"a/3", b"");
        assert_eq!(store.consumer_write(batch), Ok(()));
        let mut seen = Vec::new();
        let scanned = store.consumer_scan(b"a/", |key, value| {
            seen.push((String::from_utf8_lossy(key).into_owned(), value.len()));
            true
        });
        assert_eq!((scanned, seen), (Ok(()), vec![("a/2".into(), 3), ("a/3".into(), 0)]));
        assert_eq!(store.consumer_get(b"a/1"), Ok(None));
    }
}
