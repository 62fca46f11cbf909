//! The story log: the lines people used to follow their scripts by, in a file and in the process's log.
//!
//! Lines name ids, partitions and offsets, never other values. The file is turned over once (`.1`) at a size.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::Error;

/// Where the story goes. Shared by all workers.
#[derive(Debug)]
pub struct Story {
    file: Option<Mutex<Open>>,
    bytes_max: u64,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    writer: BufWriter<File>,
    bytes: u64,
    failed: bool,
}

impl Story {
    /// Opens the file and its folder; an empty path means the process's log alone.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, Error> {
        if path.as_os_str().is_empty() {
            return Ok(Self { file: None, bytes_max });
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|e| Error::io(format_args!("log.file: creating {}", folder.display()), &e))?;
        }
        let open = Open::new(path.to_owned())
            .map_err(|e| Error::io(format_args!("log.file: opening {}", path.display()), &e))?;
        Ok(Self { file: Some(Mutex::new(open)), bytes_max })
    }

    /// Adds lines, in this order and together. A full disk is told once and stops nothing.
    pub fn tell(&self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        for line in lines {
            tracing::info!(target: "afterimage::story", "{line}");
        }
        let Some(file) = &self.file else { return };
        let mut open = file.lock().unwrap_or_else(PoisonError::into_inner);
        let result = open.write(lines, self.bytes_max);
        if let Err(error) = result
            && !std::mem::replace(&mut open.failed, true)
        {
            tracing::warn!(file = %open.path.display(), %error, "the story log cannot be written; going on without");
        }
    }
}

impl Open {
    fn new(path: PathBuf) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, writer: BufWriter::new(file), bytes, failed: false })
    }

    fn write(&mut self, lines: &[String], bytes_max: u64) -> std::io::Result<()> {
        if bytes_max > 0 && self.bytes > bytes_max {
            self.writer.flush()?;
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.path, old)?;
            *self = Self::new(self.path.clone())?;
        }
        let now = jiff::Timestamp::now();
        for line in lines {
            let text = format!("{now:.3} {line}\n");
            self.writer.write_all(text.as_bytes())?;
            self.bytes = self.bytes.saturating_add(text.len().try_into().unwrap_or(u64::MAX));
        }
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_the_file_turned_over() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("logs/real-time.log");
        let story = Story::open(&path, 60).expect("opens");
        story.tell(&["Connected to Kafka: t".into(), "Order 1: Saved to Redis".into()]);
        story.tell(&["Order 2: Saved to Redis".into()]);
        let new = std::fs::read_to_string(&path).expect("new file");
        let old = std::fs::read_to_string(folder.path().join("logs/real-time.log.1")).expect("old file");
        assert!(old.contains("Connected to Kafka: t") && new.contains("Order 2") && !new.contains("Order 1"));
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("a"), "").expect("file");
        assert!(Story::open(&folder.path().join("a/b/c.log"), 0).is_err());
    }
}
