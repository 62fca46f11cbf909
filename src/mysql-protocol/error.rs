//! The one error of decoding. It names what was being read and where, never a row's value.

/// Why bytes could not be decoded. Offsets count from the start of the slice that was handed in
/// (an event, a cell, a packet payload); callers add the position of that slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the thing does.
    #[error("{what} is cut short at byte {at}: {need} more bytes expected, {have} left")]
    Short {
        /// What was being read.
        what: &'static str,
        /// Offset at which the missing part starts.
        at: usize,
        /// How many bytes the part has.
        need: usize,
        /// How many bytes were left.
        have: usize,
    },
    /// The thing ends before the bytes do.
    #[error("{what} has {left} unexpected bytes after its end at byte {at}")]
    Leftover {
        /// What was read.
        what: &'static str,
        /// Offset of the first byte too many.
        at: usize,
        /// How many bytes are too many.
        left: usize,
    },
    /// A value the format does not allow.
    #[error("{what} is not valid at byte {at}: {reason}")]
    Invalid {
        /// What was being read.
        what: &'static str,
        /// Offset of the offending part.
        at: usize,
        /// Which rule is broken.
        reason: &'static str,
    },
    /// A code (event type, column type, auth method number) that this crate does not know how to read.
    #[error("{what} {code} is not supported")]
    UnknownCode {
        /// What the code stands for.
        what: &'static str,
        /// The code as sent.
        code: u64,
    },
    /// The CRC32 at the end of an event does not match its bytes.
    #[error("event checksum mismatch: the event says {stored:08x}, its bytes give {computed:08x}")]
    Checksum {
        /// The checksum written at the end of the event.
        stored: u32,
        /// The checksum of the bytes before it.
        computed: u32,
    },
}

/// Shorthand for results of this crate.
pub type Result<T, E = DecodeError> = std::result::Result<T, E>;
