//! Connect's offsets topic: keys `["<connector>",{partition}]`, values offset objects or tombstones.
//!
//! Java workers and compaction compare keys as bytes; we compare them as values when reading and write a
//! partition under the bytes it already has. Keys that are not such pairs belong to nobody and are left alone.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use engine::{
    error::TaskError,
    port::{OffsetTopic, StoredOffset},
};
use futures_util::future::BoxFuture;
use model::OffsetMap;
use serde_json::Value;

use crate::{
    json,
    topics::{CompactedLog, LogClients, LogRecord, LogTopic},
};

#[derive(Debug)]
struct Entry {
    partition: OffsetMap,
    /// The key's bytes in its newest record.
    key: Vec<u8>,
    stored: StoredOffset,
}

/// All offsets in the topic, by connector.
#[derive(Debug, Default)]
struct Offsets {
    connectors: HashMap<String, Vec<Entry>>,
}

/// The key bytes that Connect's converter gives.
pub fn offset_key(connector: &str, partition: &OffsetMap) -> Vec<u8> {
    let mut key = vec![b'['];
    record::escape::quoted(connector, &mut key);
    key.push(b',');
    json::write_object(partition, &mut key);
    key.push(b']');
    key
}

/// Connector and partition of a key.
fn parse_key(key: &[u8]) -> Option<(String, OffsetMap)> {
    match serde_json::from_slice(key).ok()? {
        Value::Array(parts) => match <[Value; 2]>::try_from(parts).ok()? {
            [Value::String(connector), Value::Object(partition)] => Some((connector, partition)),
            _ => None,
        },
        _ => None,
    }
}

impl Offsets {
    fn apply(&mut self, record: LogRecord<'_>) {
        let place = (record.partition, record.offset);
        let Some(key) = record.key else { return };
        let Some((connector, partition)) = parse_key(key) else {
            tracing::warn!(
                ?place,
                "a record of the offsets topic has a key that is no [connector, partition] pair; it is passed over"
            );
            return;
        };
        let offset = match record.value.map(serde_json::from_slice) {
            None => None,
            Some(Ok(Value::Object(offset))) => Some(offset),
            Some(_) => {
                tracing::warn!(?place, connector, "an offset record's value is no JSON object; it is passed over");
                return;
            }
        };
        let stored = StoredOffset { offset, at: place };
        let entries = self.connectors.entry(connector).or_default();
        match entries.iter_mut().find(|entry| entry.partition == partition) {
            Some(entry) => {
                entry.stored = stored;
                if entry.key != key {
                    entry.key = key.to_vec();
                }
            }
            None => entries.push(Entry { partition, key: key.to_vec(), stored }),
        }
    }

    fn find(&self, connector: &str, partition: &OffsetMap) -> Option<&Entry> {
        self.connectors.get(connector)?.iter().find(|entry| entry.partition == *partition)
    }
}

/// The worker's offsets topic.
pub struct OffsetStore {
    log: CompactedLog,
    offsets: Arc<Mutex<Offsets>>,
}

impl fmt::Debug for OffsetStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetStore").field("topic", &self.log.topic()).finish_non_exhaustive()
    }
}

impl OffsetStore {
    /// Opens the topic and reads it.
    ///
    /// # Errors
    /// As [`CompactedLog::open`].
    pub async fn open(topic: LogTopic, clients: LogClients) -> Result<Self, TaskError> {
        let offsets = Arc::new(Mutex::new(Offsets::default()));
        let state = offsets.clone();
        let on_record = Box::new(move |record: LogRecord<'_>| lock(&state).apply(record));
        Ok(Self { log: CompactedLog::open(topic, clients, on_record).await?, offsets })
    }

    /// All offsets of a connector: partition and offset, tombstones left out, the topic read to its present end.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub async fn list(&self, connector: &str) -> Result<Vec<(OffsetMap, OffsetMap)>, TaskError> {
        self.log.read_to_end().await?;
        let offsets = lock(&self.offsets);
        let entries = offsets.connectors.get(connector).into_iter().flatten();
        Ok(entries.filter_map(|e| Some((e.partition.clone(), e.stored.offset.clone()?))).collect())
    }

    /// Writes offsets (`None`: tombstones) of several partitions of a connector and waits until Kafka has all.
    ///
    /// # Errors
    /// Kafka refused one; those before it are written.
    pub async fn alter(&self, connector: &str, changes: &[(OffsetMap, Option<OffsetMap>)]) -> Result<(), TaskError> {
        for (partition, offset) in changes {
            self.write(connector, partition, offset.as_ref()).await?;
        }
        self.log.read_to_end().await
    }

    /// Writes tombstones for all offsets of a connector; gives the partitions that had one.
    ///
    /// # Errors
    /// As [`Self::alter`].
    pub async fn reset(&self, connector: &str) -> Result<Vec<OffsetMap>, TaskError> {
        let all: Vec<_> = self.list(connector).await?.into_iter().map(|(partition, _)| (partition, None)).collect();
        self.alter(connector, &all).await?;
        Ok(all.into_iter().map(|(partition, _)| partition).collect())
    }
}

fn lock(offsets: &Mutex<Offsets>) -> MutexGuard<'_, Offsets> {
    offsets.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OffsetTopic for OffsetStore {
    fn read<'a>(
        &'a self,
        connector: &'a str,
        partition: &'a OffsetMap,
    ) -> BoxFuture<'a, Result<Option<StoredOffset>, TaskError>> {
        Box::pin(async move {
            self.log.read_to_end().await?;
            Ok(lock(&self.offsets).find(connector, partition).map(|entry| entry.stored.clone()))
        })
    }

    fn write<'a>(
        &'a self,
        connector: &'a str,
        partition: &'a OffsetMap,
        offset: Option<&'a OffsetMap>,
    ) -> BoxFuture<'a, Result<(i32, i64), TaskError>> {
        Box::pin(async move {
            let known = lock(&self.offsets).find(connector, partition).map(|entry| entry.key.clone());
            let key = known.unwrap_or_else(|| offset_key(connector, partition));
            let value = offset.map(|offset| {
                let mut value = Vec::new();
                json::write_object(offset, &mut value);
                value
            });
            self.log.write(&key, value.as_deref()).await
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> OffsetMap {
        value.as_object().cloned().unwrap_or_default()
    }

    fn record<'a>(key: &'a [u8], value: Option<&'a [u8]>, at: (i32, i64)) -> LogRecord<'a> {
        LogRecord { key: Some(key), value, partition: at.0, offset: at.1, timestamp: None }
    }

    #[test]
    fn keys_have_the_bytes_of_connect() {
        let key = offset_key("in\"v", &object(json!({"server": "s/ä\u{1f600}"})));
        assert_eq!(String::from_utf8_lossy(&key), "[\"in\\\"v\",{\"server\":\"s/ä\\uD83D\\uDE00\"}]");
    }

    #[test]
    fn newest_record_of_a_partition_counts_and_its_key_bytes_are_kept() {
        let mut offsets = Offsets::default();
        let server = object(json!({"server": "srv"}));
        let spaced: &[u8] = b"[\"inv\", {\"server\": \"srv\"}]";
        offsets.apply(record(spaced, Some(b"{\"lsn\":1}"), (3, 7)));
        let found = offsets.find("inv", &server).unwrap_or_else(|| panic!("not found"));
        assert_eq!((found.key.as_slice(), found.stored.at), (spaced, (3, 7)));
        offsets.apply(record(b"[\"inv\",{\"server\":\"srv\"}]", None, (3, 8)));
        offsets.apply(record(b"[\"other\",{\"server\":\"srv\"}]", Some(b"{\"lsn\":5}"), (3, 9)));
        let found = offsets.find("inv", &server).unwrap_or_else(|| panic!("not found"));
        assert_eq!(found.stored, StoredOffset { offset: None, at: (3, 8) });
        assert_eq!(found.key, offset_key("inv", &server));
        assert_eq!(offsets.find("inv", &object(json!({"server": "x"}))).map(|e| e.stored.at), None);
    }

    #[test]
    fn foreign_keys_and_values_are_passed_over() {
        let mut offsets = Offsets::default();
        for key in [&b"\xff"[..], b"[]", b"[1,{}]", b"[\"c\",null]", b"[\"c\",{},3]", b"{}", b""] {
            offsets.apply(record(key, Some(b"{}"), (0, 1)));
        }
        offsets.apply(record(b"[\"c\",{}]", Some(b"3"), (0, 2)));
        assert!(offsets.connectors.is_empty());
    }
}
