//! `offset.storage.file.filename`: all offsets of a standalone worker, in one file that Connect reads and writes too.
//!
//! Each write replaces the file as a whole and is on disk when it returns. Entries that are no offsets of a connector
//! are kept as they are.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use engine::{
    error::{Failure, TaskError},
    port::{OffsetTopic, StoredOffset},
};
use futures_util::future::{BoxFuture, FutureExt};
use model::OffsetMap;
use serde_json::Value;

use super::java::{self, Pairs};
use crate::{backing::OffsetBacking, error::StartError, lock};

/// The file's content, which is written with each change. Cheap to clone.
#[derive(Clone)]
pub(crate) struct OffsetFile(Arc<Shared>);

struct Shared {
    path: PathBuf,
    pairs: Mutex<Pairs>,
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

fn is_of(key: &[u8], connector: &str, partition: &OffsetMap) -> bool {
    parse_key(key).is_some_and(|(c, p)| c == connector && p == *partition)
}

fn parse_offset(value: Option<&[u8]>) -> Option<OffsetMap> {
    match serde_json::from_slice(value?).ok()? {
        Value::Object(offset) => Some(offset),
        _ => None,
    }
}

impl OffsetFile {
    /// Reads the file; none is the same as an empty one.
    ///
    /// # Errors
    /// It cannot be read or written, or holds something else.
    pub(crate) fn open(path: &Path) -> Result<Self, StartError> {
        let failed = |error: &dyn std::fmt::Display| {
            StartError::Failed(format!(
                "the file {} (offset.storage.file.filename) cannot be used: {error}",
                path.display()
            ))
        };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(&error)),
        };
        let pairs = java::read(&bytes).map_err(|why| {
            failed(&format!("{why}. Name another file, or move this one away to begin without offsets"))
        })?;
        // Whether it can be written is to be known before the first offset.
        replace(path, &java::write(&pairs)).map_err(|error| failed(&error))?;
        Ok(Self(Arc::new(Shared { path: path.to_owned(), pairs: Mutex::new(pairs) })))
    }
}

/// Puts a new content in the place of the old one; a crash leaves one of both.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

impl Shared {
    fn find(&self, connector: &str, partition: &OffsetMap) -> Option<StoredOffset> {
        let pairs = lock(&self.pairs);
        let at = pairs.iter().position(|(key, _)| is_of(key, connector, partition))?;
        let offset = pairs.get(at).and_then(|(_, value)| parse_offset(value.as_deref()));
        Some(StoredOffset { offset, at: (0, i64::try_from(at).unwrap_or(i64::MAX)) })
    }

    fn put(&self, connector: &str, partition: &OffsetMap, offset: Option<&OffsetMap>) -> Result<(i32, i64), TaskError> {
        let value = offset.map(|offset| {
            let mut bytes = Vec::new();
            kafka::json::write_object(offset, &mut bytes);
            bytes
        });
        let mut pairs = lock(&self.pairs);
        let mut changed = pairs.clone();
        let at = match changed.iter().position(|(key, _)| is_of(key, connector, partition)) {
            Some(at) => at,
            None => {
                changed.push((kafka::offsets::offset_key(connector, partition), None));
                changed.len() - 1
            }
        };
        if let Some(entry) = changed.get_mut(at) {
            entry.1 = value;
        }
        replace(&self.path, &java::write(&changed)).map_err(|error| {
            let text = format!("offsets cannot be written to {}; is the disk full?", self.path.display());
            TaskError::Definite(Failure::new(text).caused_by(error))
        })?;
        *pairs = changed;
        Ok((0, i64::try_from(at).unwrap_or(i64::MAX)))
    }
}

impl OffsetTopic for OffsetFile {
    fn read<'a>(
        &'a self,
        connector: &'a str,
        partition: &'a OffsetMap,
    ) -> BoxFuture<'a, Result<Option<StoredOffset>, TaskError>> {
        async move { Ok(self.0.find(connector, partition)) }.boxed()
    }

    fn write<'a>(
        &'a self,
        connector: &'a str,
        partition: &'a OffsetMap,
        offset: Option<&'a OffsetMap>,
    ) -> BoxFuture<'a, Result<(i32, i64), TaskError>> {
        let (shared, connector) = (self.0.clone(), connector.to_owned());
        let (partition, offset) = (partition.clone(), offset.cloned());
        async move {
            // The disk may take its time.
            let written =
                tokio::task::spawn_blocking(move || shared.put(&connector, &partition, offset.as_ref())).await;
            written.unwrap_or_else(|error| Err(TaskError::transient(format!("offsets were not written: {error}"))))
        }
        .boxed()
    }
}

impl OffsetBacking for OffsetFile {
    fn topic(&self) -> Arc<dyn OffsetTopic> {
        Arc::new(self.clone())
    }

    fn list<'a>(&'a self, connector: &'a str) -> BoxFuture<'a, Result<Vec<(OffsetMap, OffsetMap)>, Failure>> {
        async move {
            let pairs = lock(&self.0.pairs);
            let of = pairs.iter().filter_map(|(key, value)| {
                let (owner, partition) = parse_key(key)?;
                (owner == connector).then_some((partition, parse_offset(value.as_deref())?))
            });
            Ok(of.collect())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> OffsetMap {
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn offsets_outlive_the_worker() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("offsets");
        let file = OffsetFile::open(&path).unwrap();
        let (one, two) = (map(r#"{"server":"a"}"#), map(r#"{"server":"b"}"#));
        assert_eq!(file.read("c", &one).await, Ok(None));
        file.write("c", &one, Some(&map(r#"{"pos":4}"#))).await.unwrap();
        file.write("c", &two, Some(&map(r#"{"pos":5}"#))).await.unwrap();
        file.write("c", &one, Some(&map(r#"{"pos":9}"#))).await.unwrap();
        file.write("c", &two, None).await.unwrap();
        let again = OffsetFile::open(&path).unwrap();
        assert_eq!(again.list("c").await.unwrap(), [(one.clone(), map(r#"{"pos":9}"#))]);
        assert_eq!(again.read("c", &two).await.unwrap().unwrap().offset, None);
        assert_eq!(again.list("d").await.unwrap(), []);
        assert_eq!(java::read(&std::fs::read(&path).unwrap()).unwrap()[0].0, br#"["c",{"server":"a"}]"#);
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes");
        std::fs::write(&path, "my notes").unwrap();
        let error = OffsetFile::open(&path).err().unwrap();
        assert!(error.to_string().contains("offset.storage.file.filename"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"my notes");
        assert!(OffsetFile::open(Path::new("/no/such/folder/offsets")).is_err());
    }
}
