//! Places in a source's log, and their form in Connect's offsets topic.

use std::fmt::{Debug, Display};

/// A source offset as Connect stores it: a flat JSON object of strings, integers, booleans and nulls.
pub type OffsetMap = serde_json::Map<String, serde_json::Value>;

/// A stored offset that a source cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored offset is not readable: {0}")]
pub struct OffsetError(pub String);

/// A resumable place in one source's log.
///
/// The order is partial: GTID sets of two histories are not comparable, and positions of two different
/// sources are different types. Whoever restarts at a position reads everything after it.
pub trait Position: Clone + PartialEq + PartialOrd + Debug + Display + Send + Sync + 'static {
    /// The Debezium-shaped JSON object that the offsets topic holds.
    fn to_offset(&self) -> OffsetMap;

    /// Reads such an object; unknown members are ignored.
    ///
    /// # Errors
    /// A required member is missing or of the wrong type.
    fn from_offset(map: &OffsetMap) -> Result<Self, OffsetError>;
}
