//! Names of transactions: [`Gtid`], sets of them, and [`BinlogFile`] names, which are ordered by number.

mod file_name;
mod set;

pub use file_name::BinlogFile;
pub use set::{GtidSet, Interval};

use std::fmt;
use std::str::FromStr;

/// Transaction numbers are below this (2^63 - 1).
pub const NUMBER_END: u64 = i64::MAX.cast_unsigned();
/// A tag has at most this many characters.
pub(crate) const TAG_LEN_MAX: usize = 32;

/// Why a text is not a GTID, a GTID set or a binlog file name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} in {text:?}")]
pub struct GtidError {
    text: String,
    reason: &'static str,
}

impl GtidError {
    fn new(text: &str, reason: &'static str) -> Self {
        GtidError { text: text.chars().take(100).collect(), reason }
    }
}

/// The tag of a GTID (8.3 and later): lower-case letters, digits and underscores, at most 32; empty is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tag {
    bytes: [u8; TAG_LEN_MAX],
    len: u8,
}

impl Tag {
    /// A tag from its bytes; upper-case letters become lower-case. `None` if they cannot be a tag.
    pub fn new(tag: &[u8]) -> Option<Tag> {
        let first_ok = tag.first().is_none_or(|b| b.is_ascii_alphabetic() || *b == b'_');
        if !first_ok || !tag.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            return None;
        }
        let mut bytes = [0; TAG_LEN_MAX];
        let room = bytes.get_mut(..tag.len())?;
        room.copy_from_slice(tag);
        room.make_ascii_lowercase();
        Some(Tag { bytes, len: u8::try_from(tag.len()).ok()? })
    }

    /// The tag's text; empty for none.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.len)).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
    }

    /// Whether there is no tag.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Where transactions come from: a server, and a tag if there is one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// `server_uuid`.
    pub uuid: [u8; 16],
    /// The tag, empty for none.
    pub tag: Tag,
}

impl Source {
    /// The UUID as text, lower case.
    pub fn uuid_text(&self) -> UuidText<'_> {
        UuidText(&self.uuid)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uuid_text())?;
        if self.tag.is_empty() { Ok(()) } else { write!(f, ":{}", self.tag.as_str()) }
    }
}

/// Prints a UUID as `8-4-4-4-12` lower-case digits.
#[derive(Clone, Copy, Debug)]
pub struct UuidText<'a>(pub &'a [u8; 16]);

impl fmt::Display for UuidText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Reads a UUID of 32 hexadecimal digits, with or without dashes between its five parts.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let dashed =
        text.len() == 36 && text.bytes().enumerate().all(|(i, b)| (b == b'-') == matches!(i, 8 | 13 | 18 | 23));
    if !dashed && (text.len() != 32 || text.contains('-')) {
        return None;
    }
    let mut digits = text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()));
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    Some(uuid)
}

/// Reads a transaction number.
fn parse_number(text: &str) -> Option<u64> {
    let digits = text.trim();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|n| (1..NUMBER_END).contains(n))
}

/// The name of one transaction: `uuid:number` or `uuid:tag:number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtid {
    /// The server and tag.
    pub source: Source,
    /// The transaction's number, from 1 on.
    pub number: u64,
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}", self.source, self.number)
    }
}

impl FromStr for Gtid {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let error = |reason| GtidError::new(text, reason);
        let (uuid, rest) = text.trim().split_once(':').ok_or_else(|| error("no transaction number"))?;
        let uuid = parse_uuid(uuid.trim()).ok_or_else(|| error("no valid UUID"))?;
        let (tag, number) = match rest.split_once(':') {
            Some((tag, number)) => {
                let tag = Tag::new(tag.trim().as_bytes()).filter(|t| !t.is_empty());
                (tag.ok_or_else(|| error("no valid tag"))?, number)
            }
            None => (Tag::default(), rest),
        };
        let number = parse_number(number).ok_or_else(|| error("no valid transaction number"))?;
        Ok(Gtid { source: Source { uuid, tag }, number })
    }
}

impl crate::event::GtidEvent<'_> {
    /// The transaction's name; `None` for anonymous ones and for a tag that cannot be one.
    pub fn gtid(&self) -> Option<Gtid> {
        if self.anonymous {
            return None;
        }
        Some(Gtid { source: Source { uuid: self.uuid, tag: Tag::new(self.tag)? }, number: self.number })
    }
}
