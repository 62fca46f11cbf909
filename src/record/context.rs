//! What one encoder thread keeps between rows: buffers, and the source block of the event it is in.

use std::sync::Arc;

use model::{Scratch, SnapshotMarker};
use openssl::hash::Hasher;

/// Reusable buffers and caches of one encoder thread. Nothing here belongs to a table or a batch: one context
/// serves any number of plans and arenas.
#[derive(Default)]
pub struct EncodeContext {
    pub(crate) scratch: Scratch,
    pub(crate) work: Work,
    pub(crate) event: EventCache,
    pub(crate) failures: u32,
    pub(crate) last_failure: Option<ValueFailure>,
    /// Indexes of the null fields of the struct rendered last: a null shows as a default where there is one, and is
    /// not the same as a value that equals the default.
    pub(crate) nulls: Vec<usize>,
    /// The same of the struct before it, to compare.
    pub(crate) left_nulls: Vec<usize>,
    /// Two renderings of one struct, to compare.
    pub(crate) left: Vec<u8>,
    pub(crate) right: Vec<u8>,
}

impl EncodeContext {
    /// A new context.
    pub fn new() -> Self {
        Self::default()
    }

    /// The newest value that was left unset because it could not be converted, for a rate-limited warning.
    pub fn take_failure(&mut self) -> Option<ValueFailure> {
        self.last_failure.take()
    }
}

impl std::fmt::Debug for EncodeContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncodeContext").finish_non_exhaustive()
    }
}

/// A value that was left unset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueFailure {
    /// The column.
    pub column: Arc<str>,
    /// Why, without the value.
    pub reason: String,
}

/// Buffers of a cell writer, apart from the decoder's own, which the value may borrow from.
#[derive(Default)]
pub(crate) struct Work {
    /// Text before quoting, digits.
    pub(crate) text: Vec<u8>,
    /// Padded bytes, digests.
    pub(crate) bytes: Vec<u8>,
    /// Limbs of a large decimal.
    pub(crate) limbs: Vec<u64>,
    /// One hasher per digest in use.
    pub(crate) hashers: Vec<(openssl::nid::Nid, Hasher)>,
}

/// Which event the rendered pieces below belong to. An arena's number is unique per filling, a plan's per process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventKey {
    pub(crate) arena: u64,
    pub(crate) plan: u64,
    pub(crate) event: u32,
    pub(crate) snapshot: SnapshotMarker,
}

/// The parts of a value that all rows of one event of one table share.
#[derive(Default)]
pub(crate) struct EventCache {
    pub(crate) key: Option<EventKey>,
    /// `,"source":{..` up to the row's ordinal.
    pub(crate) head: Vec<u8>,
    /// After the ordinal, up to `,"transaction":`.
    pub(crate) tail: Vec<u8>,
    /// After the op letter: `","ts_ms":..}` to the end of the value.
    pub(crate) times: Vec<u8>,
}
