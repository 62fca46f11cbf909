//! Binlog files: the magic number, then events. Bytes go in, whole events with their offsets come out.

use crate::cursor::to_usize;
use crate::error::DecodeError;
use crate::event::{Event, EventDecoder, EventHeader, EventType, HEADER_LEN};

/// The first four bytes of every binlog file.
pub const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];
/// The first four bytes of an encrypted binlog file (`binlog_encryption=ON`).
pub const MAGIC_ENCRYPTED: [u8; 4] = [0xfd, b'b', b'i', b'n'];

/// Why a file cannot be read on, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file starts with something else.
    #[error("not a binlog file: it does not start with the four bytes fe 62 69 6e")]
    NotBinlog,
    /// The file is encrypted.
    #[error("the binlog file is encrypted (binlog_encryption=ON): read it through the server")]
    Encrypted,
    /// The file ends inside an event.
    #[error("the file ends inside the event at byte {at}: {need} bytes expected, {have} there")]
    Cut {
        /// Offset of the event.
        at: u64,
        /// Bytes the event has.
        need: u64,
        /// Bytes that are there.
        have: u64,
    },
    /// An event is damaged.
    #[error("the event at byte {at} cannot be read: {error}")]
    Event {
        /// Offset of the event.
        at: u64,
        /// What is wrong.
        error: DecodeError,
    },
    /// An event is larger than the caller allows.
    #[error("the event at byte {at} says it has {length} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Offset of the event.
        at: u64,
        /// Its length as written.
        length: u32,
        /// The limit.
        limit: u32,
    },
}

/// An event of a file and where it lies.
#[derive(Clone, Debug)]
pub struct FileEvent<'a> {
    /// Offset of the event's first byte in the file.
    pub at: u64,
    /// The event as it lies in the file: header, body and checksum.
    pub bytes: &'a [u8],
    /// The decoded event.
    pub event: Event<'a>,
}

/// Reads a file that is fed in pieces of any size. After an error there is no next event.
#[derive(Clone, Debug)]
pub struct FileReader {
    decoder: EventDecoder,
    /// Fed bytes; those before `start` are done with.
    buffer: Vec<u8>,
    start: usize,
    /// Offset in the file of the byte at `start`.
    at: u64,
    seen_magic: bool,
    event_max: u32,
    failed: Option<FileError>,
}

impl FileReader {
    /// A reader that refuses events of more than `event_max` bytes. Memory grows with the bytes fed, not with the
    /// lengths that events announce.
    pub fn new(event_max: u32) -> Self {
        FileReader {
            decoder: EventDecoder::for_file(),
            buffer: Vec::new(),
            start: 0,
            at: 0,
            seen_magic: false,
            event_max,
            failed: None,
        }
    }

    /// Takes the next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Offset of the next event.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The decoder, for the state of the stream at this point.
    pub fn decoder(&self) -> &EventDecoder {
        &self.decoder
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or(&[])
    }

    /// The length of the next event if it is there whole.
    fn whole(&mut self) -> Result<Option<usize>, FileError> {
        if !self.seen_magic {
            let Some((magic, _)) = self.rest().split_first_chunk::<4>() else { return Ok(None) };
            match *magic {
                MAGIC => {}
                MAGIC_ENCRYPTED => return Err(FileError::Encrypted),
                _ => return Err(FileError::NotBinlog),
            }
            self.seen_magic = true;
            self.start = self.start.saturating_add(4);
            self.at = 4;
        }
        let rest = self.rest();
        if rest.len() < HEADER_LEN {
            return Ok(None);
        }
        let header = EventHeader::parse(rest).map_err(|error| FileError::Event { at: self.at, error })?;
        if self.at == 4 && header.event_type != EventType::FORMAT_DESCRIPTION {
            let reason = "a binlog file begins with a FORMAT_DESCRIPTION event";
            return Err(FileError::Event { at: 4, error: DecodeError::Invalid { what: "event type", at: 4, reason } });
        }
        if header.event_length > self.event_max {
            return Err(FileError::TooLarge { at: self.at, length: header.event_length, limit: self.event_max });
        }
        let length = to_usize(header.event_length);
        Ok(if rest.len() < length { None } else { Some(length) })
    }

    /// The next event, or `None` if more bytes are needed (or the file is at its end: see [`FileReader::finish`]).
    ///
    /// # Errors
    /// The file is no binlog file or an event is damaged; the error names the offset, and comes again on every later
    /// call.
    pub fn poll(&mut self) -> Result<Option<FileEvent<'_>>, FileError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let length = match self.whole() {
            Ok(Some(length)) => length,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.failed = Some(error);
                return Err(error);
            }
        };
        let at = self.at;
        let start = self.start;
        self.start = start.saturating_add(length);
        self.at = at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let bytes = self.buffer.get(start..self.start).unwrap_or(&[]);
        match self.decoder.decode(bytes) {
            Ok(event) => Ok(Some(FileEvent { at, bytes, event })),
            Err(error) => {
                let error = FileError::Event { at, error };
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    /// Says that the file has no more bytes.
    ///
    /// # Errors
    /// The file ends inside an event, or before its first.
    pub fn finish(&self) -> Result<(), FileError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let rest = self.rest();
        let have = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        if !self.seen_magic {
            // Even an empty binlog has its magic number.
            return if MAGIC.starts_with(rest) {
                Err(FileError::Cut { at: 0, need: 4, have })
            } else {
                Err(FileError::NotBinlog)
            };
        }
        if rest.is_empty() {
            return Ok(());
        }
        let need = match EventHeader::parse(rest) {
            Ok(header) => u64::from(header.event_length),
            Err(_) => u64::try_from(HEADER_LEN).unwrap_or(u64::MAX),
        };
        Err(FileError::Cut { at: self.at, need, have })
    }
}
