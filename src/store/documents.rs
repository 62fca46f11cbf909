//! Lists of documents per connector: the schema history as it stands in Kafka, and the connector's last
//! known configuration. Caches: Kafka holds the original.

use engine::{
    error::TaskError,
    port::{HistoryCache, HistoryDocument},
};
use rocksdb::{Direction, IteratorMode, ReadOptions, WriteBatch};

use crate::{
    database::{CONFIGS, HISTORY, Store},
    error::StoreError,
    frame,
};

/// `<owner> 00 <offset, big-endian with the sign flipped>`: in order within an owner, and no owner is a prefix
/// of another one's keys (names hold no zero byte; one that did would be cut off by the length check).
fn key(owner: &str, at: i64) -> Vec<u8> {
    let mut key = prefix(owner);
    key.extend((at as u64 ^ (1 << 63)).to_be_bytes());
    key
}

fn prefix(owner: &str) -> Vec<u8> {
    let mut key = owner.as_bytes().to_vec();
    key.push(0);
    key
}

fn offset_of(key: &[u8], prefix: &[u8]) -> Option<i64> {
    let rest: [u8; 8] = key.strip_prefix(prefix)?.try_into().ok()?;
    Some((u64::from_be_bytes(rest) ^ (1 << 63)) as i64)
}

impl HistoryCache for Store {
    fn load(&self, owner: &str) -> Result<Vec<HistoryDocument>, TaskError> {
        let doing = format!("reading the schema history of {owner}");
        let prefix = prefix(owner);
        let mut read = ReadOptions::default();
        read.fill_cache(false);
        let from = IteratorMode::From(&prefix, Direction::Forward);
        let mut out = Vec::new();
        for entry in self.db.iterator_cf_opt(self.family(HISTORY)?, read, from) {
            let (key, value) = entry.map_err(|e| self.failed(&doing, &e))?;
            if !key.starts_with(&prefix) {
                break;
            }
            let Some(at) = offset_of(&key, &prefix) else { continue };
            let text = std::str::from_utf8(self.unframe(&value, &doing)?)
                .map_err(|e| StoreError::corrupt(self.dir().display(), &doing, &e.to_string()))?;
            out.push(HistoryDocument { at, text: text.to_owned() });
        }
        Ok(out)
    }

    /// One at the same offset is replaced. Not synced: what a crash takes away is read from Kafka again.
    fn append(&self, owner: &str, documents: &[HistoryDocument]) -> Result<(), TaskError> {
        let mut batch = WriteBatch::default();
        self.put_documents(&mut batch, owner, documents)?;
        let doing = format!("keeping the schema history of {owner}");
        Ok(self.db.write(batch).map_err(|e| self.failed(&doing, &e))?)
    }

    /// At once and synced.
    fn replace(&self, owner: &str, documents: &[HistoryDocument]) -> Result<(), TaskError> {
        let mut batch = WriteBatch::default();
        let prefix = prefix(owner);
        let mut end = prefix.clone();
        end.pop();
        end.push(1);
        batch.delete_range_cf(self.family(HISTORY)?, prefix, end);
        self.put_documents(&mut batch, owner, documents)?;
        Ok(self.write_synced(batch, &format!("keeping the schema history of {owner}"))?)
    }
}

impl Store {
    fn put_documents(
        &self,
        batch: &mut WriteBatch,
        owner: &str,
        documents: &[HistoryDocument],
    ) -> Result<(), StoreError> {
        let family = self.family(HISTORY)?;
        for document in documents {
            batch.put_cf(family, key(owner, document.at), frame::seal(document.text.as_bytes()));
        }
        Ok(())
    }

    /// The cached text under `name` (a connector's configuration, the group instance id, ..).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn config(&self, name: &str) -> Result<Option<String>, StoreError> {
        let doing = format!("reading the entry {name}");
        let bytes = self.get(CONFIGS, name.as_bytes(), &doing)?;
        bytes
            .map(String::from_utf8)
            .transpose()
            .map_err(|e| StoreError::corrupt(self.dir().display(), &doing, &e.to_string()))
    }

    /// Keeps a text under `name`, synced; `None` removes it.
    ///
    /// # Errors
    /// The disk is full or broken; nothing was changed.
    pub fn set_config(&self, name: &str, text: Option<&str>) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        let family = self.family(CONFIGS)?;
        match text {
            Some(text) => batch.put_cf(family, name.as_bytes(), frame::seal(text.as_bytes())),
            None => batch.delete_cf(family, name.as_bytes()),
        }
        self.write_synced(batch, &format!("keeping the entry {name}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::Limits;

    use super::*;

    fn document(at: i64) -> HistoryDocument {
        HistoryDocument { at, text: format!("{{\"ddl\":\"{at}\"}}") }
    }

    #[test]
    fn history_is_ordered_and_apart_by_owner() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let open = || Store::open(dir.path(), Limits::default()).unwrap_or_else(|e| panic!("{e}"));
        let store = open();
        let put = |owner: &str, at: &[i64]| {
            let documents: Vec<_> = at.iter().map(|at| document(*at)).collect();
            store.append(owner, &documents).unwrap_or_else(|e| panic!("{e}"));
        };
        put("a", &[300, 2, 256]);
        put("ab", &[1]);
        put("a", &[2, 70_000]);
        let at = |store: &Store, owner: &str| -> Vec<i64> {
            store.load(owner).unwrap_or_else(|e| panic!("{e}")).iter().map(|d| d.at).collect()
        };
        assert_eq!((at(&store, "a"), at(&store, "ab"), at(&store, "b")), (vec![2, 256, 300, 70_000], vec![1], vec![]));
        store.replace("a", &[document(5)]).unwrap_or_else(|e| panic!("{e}"));
        drop(store);
        let store = open();
        assert_eq!((at(&store, "a"), at(&store, "ab")), (vec![5], vec![1]));
        assert_eq!(store.load("a").ok().and_then(|d| d.into_iter().next()), Some(document(5)));
    }

    #[test]
    fn entries_are_kept_and_removed() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let store = Store::open(dir.path(), Limits::default()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(store.config("c"), Ok(None));
        assert_eq!(store.set_config("c", Some("{}")), Ok(()));
        assert_eq!(store.config("c"), Ok(Some("{}".into())));
        assert_eq!(store.set_config("c", None), Ok(()));
        assert_eq!(store.config("c"), Ok(None));
    }
}
