//! One process per folder: an advisory lock on a file that names its holder.
//!
//! The lock is the system's (released when the process dies, however it dies), the file's content only tells
//! whom to look for.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use crate::error::{StoreError, StoreErrorKind};

/// The held lock; dropping it frees the folder.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

/// Name of the file in the folder.
pub(crate) const FILE: &str = "afterimage.pid";

impl FolderLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let not_writable = |e: std::io::Error| {
            StoreError::new(
                StoreErrorKind::NotWritable,
                format!(
                    "the state folder {} cannot be used: {e}. Give this user the right to write there, or set afterimage.state.dir",
                    dir.display()
                ),
            )
        };
        std::fs::create_dir_all(dir).map_err(not_writable)?;
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(not_writable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // What cannot be read names nobody; the lock itself has answered.
                let _ = (&file).take(256).read_to_string(&mut holder);
                return Err(in_use(dir, holder.trim()));
            }
            Err(TryLockError::Error(e)) => return Err(not_writable(e)),
        }
        let name = std::env::current_exe().ok().and_then(|exe| Some(exe.file_name()?.to_string_lossy().into_owned()));
        let text = format!("{} {}\n", std::process::id(), name.unwrap_or_default());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.flush())
            .map_err(not_writable)?;
        Ok(Self { _file: file })
    }
}

fn in_use(dir: &Path, holder: &str) -> StoreError {
    let (pid, name) = holder.split_once(' ').unwrap_or((holder, ""));
    let who = match (pid.is_empty(), name.is_empty()) {
        (true, _) => "another process".to_owned(),
        (false, true) => format!("process {pid}"),
        (false, false) => format!("process {pid} ({name})"),
    };
    StoreError::new(
        StoreErrorKind::InUse,
        format!(
            "the state folder {} is in use by {who}. Stop it, or give this one a folder of its own with afterimage.state.dir",
            dir.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_named() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let held = FolderLock::take(dir.path()).unwrap_or_else(|e| panic!("{e}"));
        let error = FolderLock::take(dir.path()).err().unwrap_or_else(|| panic!("taken twice"));
        assert_eq!(error.kind, StoreErrorKind::InUse);
        assert!(error.text.contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        assert!(FolderLock::take(dir.path()).is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_said() {
        let error = FolderLock::take(Path::new("/proc/no/such")).err().unwrap_or_else(|| panic!("made"));
        assert!(error.kind == StoreErrorKind::NotWritable && error.text.contains("afterimage.state.dir"), "{error}");
    }
}
