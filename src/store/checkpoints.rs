//! The newest synced position of each connector partition.
//!
//! Key: the connector's name and the partition, both as a JSON array (as in the offsets topic); value: a JSON
//! object with the offset, its place in the offsets topic and the cluster.

use engine::{
    error::TaskError,
    port::{CheckpointStore, SavedCheckpoint},
};
use model::OffsetMap;
use rocksdb::WriteBatch;
use serde_json::{Value, json};

use crate::{
    database::{CHECKPOINTS, Store},
    error::StoreError,
    frame,
};

fn key(connector: &str, partition: &OffsetMap) -> Vec<u8> {
    json!([connector, partition]).to_string().into_bytes()
}

fn encode(checkpoint: &SavedCheckpoint) -> Vec<u8> {
    let place = checkpoint.published_at.map(|(partition, offset)| json!([partition, offset]));
    json!({"offset": checkpoint.offset, "published_at": place, "cluster": checkpoint.cluster}).to_string().into_bytes()
}

fn decode(bytes: &[u8]) -> Option<SavedCheckpoint> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    let object = value.as_object_mut()?;
    let published_at = match object.get("published_at")? {
        Value::Null => None,
        place => Some((i32::try_from(place.get(0)?.as_i64()?).ok()?, place.get(1)?.as_i64()?)),
    };
    let cluster = match object.get("cluster")? {
        Value::Null => None,
        cluster => Some(cluster.as_str()?.to_owned()),
    };
    match object.remove("offset")? {
        Value::Object(offset) => Some(SavedCheckpoint { offset, published_at, cluster }),
        _ => None,
    }
}

impl CheckpointStore for Store {
    fn load(&self, connector: &str, partition: &OffsetMap) -> Result<Option<SavedCheckpoint>, TaskError> {
        let doing = format!("reading the checkpoint of connector {connector}");
        let Some(bytes) = self.get(CHECKPOINTS, &key(connector, partition), &doing)? else { return Ok(None) };
        match decode(&bytes) {
            Some(checkpoint) => Ok(Some(checkpoint)),
            None => Err(StoreError::corrupt(self.dir().display(), &doing, "it is not a checkpoint").into()),
        }
    }

    fn save(&self, connector: &str, partition: &OffsetMap, checkpoint: &SavedCheckpoint) -> Result<(), TaskError> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(CHECKPOINTS)?, key(connector, partition), frame::seal(&encode(checkpoint)));
        Ok(self.write_synced(batch, &format!("saving the checkpoint of connector {connector}"))?)
    }

    fn remove(&self, connector: &str, partition: &OffsetMap) -> Result<(), TaskError> {
        let mut batch = WriteBatch::default();
        batch.delete_cf(self.family(CHECKPOINTS)?, key(connector, partition));
        Ok(self.write_synced(batch, &format!("removing the checkpoint of connector {connector}"))?)
    }
}

#[cfg(test)]
mod tests {
    use crate::Limits;

    use super::*;

    fn object(value: Value) -> OffsetMap {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_is_saved_is_loaded_after_reopening() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let partition = object(json!({"server": "srv"}));
        let saved = SavedCheckpoint {
            offset: object(
                json!({"file": "binlog.000002", "pos": 9_007_199_254_740_993_u64, "gtids": null, "x": true}),
            ),
            published_at: Some((24, 17)),
            cluster: Some("abc".into()),
        };
        let open = || Store::open(dir.path(), Limits::default()).unwrap_or_else(|e| panic!("{e}"));
        let store = open();
        assert_eq!(store.load("c", &partition), Ok(None));
        assert_eq!(store.save("c", &partition, &saved), Ok(()));
        drop(store);
        let store = open();
        assert_eq!(store.load("c", &partition), Ok(Some(saved)));
        assert_eq!(store.load("c", &object(json!({"server": "other"}))), Ok(None));
        assert_eq!(store.remove("c", &partition), Ok(()));
        assert_eq!(store.load("c", &partition), Ok(None));
    }

    #[test]
    fn a_damaged_value_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let store = Store::open(dir.path(), Limits::default()).unwrap_or_else(|e| panic!("{e}"));
        let partition = object(json!({"server": "srv"}));
        let family = store.family(CHECKPOINTS).unwrap_or_else(|e| panic!("{e}"));
        for bytes in [b"".to_vec(), b"garbage!garbage!".to_vec(), frame::seal(b"{\"offset\":1}"), frame::seal(b"[")] {
            store.db.put_cf(family, key("orders", &partition), bytes).unwrap_or_else(|e| panic!("{e}"));
            let error = store.load("orders", &partition).err().unwrap_or_else(|| panic!("loaded"));
            assert!(error.to_string().contains("connector orders") && !error.is_transient(), "{error}");
        }
    }
}
