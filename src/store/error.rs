//! What can be wrong with the store, and what to do.

use std::{fmt, path::Path};

use engine::error::TaskError;

/// Kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Another process holds the folder.
    InUse,
    /// The folder cannot be made, read or written.
    NotWritable,
    /// No space left.
    Full,
    /// What is stored cannot be read.
    Corrupt,
    /// Written by a newer version.
    TooNew,
    /// Any other failure of the disk or of RocksDB.
    Failed,
}

/// A failure of the store, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    /// Kind.
    pub kind: StoreErrorKind,
    /// Text for the user.
    pub text: String,
}

impl StoreError {
    pub(crate) fn new(kind: StoreErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// A failure of RocksDB under the folder `dir`. RocksDB passes the system's error text on.
    pub(crate) fn rocks(dir: &Path, doing: &str, error: &rocksdb::Error) -> Self {
        let text = error.to_string();
        let dir = dir.display();
        let has = |part: &str| text.contains(part);
        match () {
            () if has("No space left") || has("Disk quota exceeded") || has("file too large") => Self::new(
                StoreErrorKind::Full,
                format!(
                    "the disk under the state folder {dir} is full ({doing}); free space there and restart. Nothing was changed: {text}"
                ),
            ),
            () if error.kind() == rocksdb::ErrorKind::Corruption => Self::corrupt(dir, doing, &text),
            () if has("Permission denied") || has("Read-only file system") => Self::new(
                StoreErrorKind::NotWritable,
                format!(
                    "the state folder {dir} is not writable ({doing}); give this user the right to write there, or set afterimage.state.dir: {text}"
                ),
            ),
            () => Self::new(StoreErrorKind::Failed, format!("the state folder {dir} failed ({doing}): {text}")),
        }
    }

    pub(crate) fn corrupt(dir: impl fmt::Display, doing: &str, text: &str) -> Self {
        Self::new(
            StoreErrorKind::Corrupt,
            format!(
                "the state folder {dir} holds something unreadable ({doing}): {text}. Check the disk; moving the folder away \
                 makes the daemon start from what Kafka holds"
            ),
        )
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for StoreError {}

/// No failure of the store mends itself: a person frees space or mends the disk.
impl From<StoreError> for TaskError {
    fn from(error: StoreError) -> Self {
        TaskError::definite(error.text)
    }
}
