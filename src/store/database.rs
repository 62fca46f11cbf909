//! Opening RocksDB small, and the few ways in which the rest of the crate uses it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Options, WriteBatch,
    WriteOptions,
};

use crate::{
    error::{StoreError, StoreErrorKind},
    frame,
    lock::FolderLock,
};

/// Column families: what is kept apart.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
pub(crate) const HISTORY: &str = "history";
pub(crate) const CONFIGS: &str = "configs";
pub(crate) const CONSUMERS: &str = "consumers";
const FAMILIES: [&str; 4] = [CHECKPOINTS, HISTORY, CONFIGS, CONSUMERS];

/// Memory that a store may take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Cache of blocks read, all families together.
    pub block_cache: usize,
    /// Writes held in memory before they go to a file, all families together.
    pub write_buffer: usize,
}

/// Enough for a daemon: a few kilobytes a second of checkpoints.
impl Default for Limits {
    fn default() -> Self {
        Self { block_cache: 2 << 20, write_buffer: 4 << 20 }
    }
}

/// A store folder, held by this process until dropped.
pub struct Store {
    pub(crate) db: DB,
    dir: PathBuf,
    // Dropped after `db`: the folder is free when RocksDB has closed.
    _lock: FolderLock,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or creates the store in the folder `dir`.
    ///
    /// # Errors
    /// The folder is in use (the text names the process), not writable, full or unreadable.
    pub fn open(dir: &Path, limits: Limits) -> Result<Self, StoreError> {
        let lock = FolderLock::take(dir)?;
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_db_write_buffer_size(limits.write_buffer);
        options.set_max_total_wal_size(limits.write_buffer.saturating_mul(4) as u64);
        options.set_max_background_jobs(2);
        options.set_max_open_files(64);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(256 * 1024);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        let cache = Cache::new_lru_cache(limits.block_cache);
        let family = |name: &str| ColumnFamilyDescriptor::new(name, family_options(&cache, limits));
        let db = DB::open_cf_descriptors(&options, dir.join("db"), FAMILIES.iter().map(|name| family(name)))
            .map_err(|e| StoreError::rocks(dir, "opening it", &e))?;
        Ok(Self { db, dir: dir.to_owned(), _lock: lock })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn family(&self, name: &'static str) -> Result<&ColumnFamily, StoreError> {
        // All families are made at opening.
        self.db.cf_handle(name).ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::Failed,
                format!("the state folder {} has no column family {name}", self.dir.display()),
            )
        })
    }

    pub(crate) fn failed(&self, doing: &str, error: &rocksdb::Error) -> StoreError {
        StoreError::rocks(&self.dir, doing, error)
    }

    /// A value with its frame taken off.
    pub(crate) fn get(&self, family: &'static str, key: &[u8], doing: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.db.get_pinned_cf(self.family(family)?, key).map_err(|e| self.failed(doing, &e))?;
        found.map(|bytes| self.unframe(&bytes, doing).map(<[u8]>::to_vec)).transpose()
    }

    pub(crate) fn unframe<'a>(&self, bytes: &'a [u8], doing: &str) -> Result<&'a [u8], StoreError> {
        match frame::open(bytes) {
            Ok((_, payload)) => Ok(payload),
            Err((StoreErrorKind::TooNew, text)) => {
                let text = format!("the state folder {} cannot be read ({doing}): {text}", self.dir.display());
                Err(StoreError::new(StoreErrorKind::TooNew, text))
            }
            Err((_, text)) => Err(StoreError::corrupt(self.dir.display(), doing, &text)),
        }
    }

    /// Writes a batch, synced to disk or not at all.
    pub(crate) fn write_synced(&self, batch: WriteBatch, doing: &str) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options).map_err(|e| self.failed(doing, &e))
    }
}

fn family_options(cache: &Cache, limits: Limits) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size((limits.write_buffer / 2).max(64 * 1024));
    // Without it RocksDB takes an arena of an eighth of the write buffer per family at once.
    options.set_arena_block_size(64 * 1024);
    options.set_max_write_buffer_number(2);
    options.set_compression_type(DBCompressionType::None);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_serves_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let store = Store::open(dir.path(), Limits::default()).unwrap_or_else(|e| panic!("{e}"));
        let second = Store::open(dir.path(), Limits::default()).err().unwrap_or_else(|| panic!("opened twice"));
        assert!(second.kind == StoreErrorKind::InUse && second.text.contains("in use by process"), "{second}");
        drop(store);
        assert!(Store::open(dir.path(), Limits::default()).is_ok());
    }

    #[test]
    fn broken_files_are_said() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        drop(Store::open(dir.path(), Limits::default()).unwrap_or_else(|e| panic!("{e}")));
        let current = dir.path().join("db/CURRENT");
        std::fs::write(&current, b"nonsense").unwrap_or_else(|e| panic!("{e}"));
        let error = Store::open(dir.path(), Limits::default()).err().unwrap_or_else(|| panic!("opened"));
        assert!(error.kind == StoreErrorKind::Corrupt && error.text.contains("moving the folder away"), "{error}");
    }
}
