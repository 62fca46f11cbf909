//! GTID, ANONYMOUS_GTID and GTID_TAGGED: the event each transaction begins with.

use super::EventType;
use crate::cursor::Cursor;
use crate::error::{DecodeError, Result};

/// How a transaction is named, and when it was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GtidEvent<'a> {
    /// Whether the transaction has a name. ANONYMOUS_GTID has none and leaves the next three fields zero or empty.
    pub anonymous: bool,
    /// UUID of the server that committed the transaction first.
    pub uuid: [u8; 16],
    /// The tag between UUID and number (8.3 and later), lower case, empty if there is none.
    pub tag: &'a [u8],
    /// The transaction's number, from 1 on.
    pub number: u64,
    /// Bit 0: the transaction may have statements in it (`FLAG_MAY_HAVE_SBR`).
    pub flags: u8,
    /// Logical timestamp of the last transaction this one depends on (5.7 and later).
    pub last_committed: Option<i64>,
    /// Logical timestamp of this transaction.
    pub sequence_number: Option<i64>,
    /// Microseconds since 1970 of the commit on the server that sends the event (8.0 and later).
    pub immediate_commit_timestamp: Option<u64>,
    /// Microseconds since 1970 of the commit on the first server (8.0 and later).
    pub original_commit_timestamp: Option<u64>,
    /// Bytes of the whole transaction, this event included (8.0 and later).
    pub transaction_length: Option<u64>,
    /// Version of the server that sends the event, such as 80015 (8.0.14 and later).
    pub immediate_server_version: Option<u32>,
    /// Version of the first server (8.0.14 and later).
    pub original_server_version: Option<u32>,
}

const HAS_ORIGINAL_TIMESTAMP: u64 = 1 << 55;
const HAS_ORIGINAL_VERSION: u32 = 1 << 31;

impl<'a> GtidEvent<'a> {
    fn empty() -> Self {
        GtidEvent {
            anonymous: false,
            uuid: [0; 16],
            tag: &[],
            number: 0,
            flags: 0,
            last_committed: None,
            sequence_number: None,
            immediate_commit_timestamp: None,
            original_commit_timestamp: None,
            transaction_length: None,
            immediate_server_version: None,
            original_server_version: None,
        }
    }

    /// Fields were added from release to release; the event ends where the writer's release did.
    pub(super) fn parse(kind: EventType, body: &'a [u8]) -> Result<Self> {
        let mut c = Cursor::new(body, "GTID event");
        let mut gtid = GtidEvent::empty();
        gtid.anonymous = kind == EventType::ANONYMOUS_GTID;
        gtid.flags = c.u8()?;
        gtid.uuid = c.array()?;
        gtid.number = c.u64()?;
        if !gtid.anonymous && (gtid.number == 0 || gtid.number >= crate::gtid::NUMBER_END) {
            return Err(c.invalid("transaction number out of range"));
        }
        // 2 is the only logical clock type ever written.
        if c.is_empty() || c.u8()? != 2 {
            return Ok(gtid);
        }
        gtid.last_committed = Some(c.u64()?.cast_signed());
        gtid.sequence_number = Some(c.u64()?.cast_signed());
        if c.is_empty() {
            return Ok(gtid);
        }
        let immediate = c.u56()?;
        let original = if immediate & HAS_ORIGINAL_TIMESTAMP != 0 { c.u56()? } else { immediate };
        gtid.immediate_commit_timestamp = Some(immediate & !HAS_ORIGINAL_TIMESTAMP);
        gtid.original_commit_timestamp = Some(original);
        if c.is_empty() {
            return Ok(gtid);
        }
        gtid.transaction_length = Some(c.lenenc()?);
        if c.is_empty() {
            return Ok(gtid);
        }
        let immediate = c.u32()?;
        let original = if immediate & HAS_ORIGINAL_VERSION != 0 { c.u32()? } else { immediate };
        gtid.immediate_server_version = Some(immediate & !HAS_ORIGINAL_VERSION);
        gtid.original_server_version = Some(original);
        // What may follow (commit group ticket) concerns no reader.
        Ok(gtid)
    }

    /// GTID_TAGGED is written by MySQL's serialization library: a version, the size of the whole, the number of the
    /// last field that a reader must know, then fields, each with its number before it. Numbers are of variable length:
    /// as many low one-bits as there are further bytes.
    pub(super) fn parse_tagged(body: &'a [u8]) -> Result<Self> {
        let mut c = Cursor::new(body, "GTID_TAGGED event");
        let version = varint(&mut c)?;
        if version != 1 && version != 0 {
            return Err(DecodeError::UnknownCode { what: "GTID_TAGGED format", code: version });
        }
        let _size = varint(&mut c)?;
        let last_needed = varint(&mut c)?;
        let mut gtid = GtidEvent::empty();
        let mut next = 0;
        while !c.is_empty() {
            let field = varint(&mut c)?;
            if field < next {
                return Err(c.invalid("fields out of order"));
            }
            next = field.saturating_add(1);
            match field {
                0 => gtid.flags = u8::try_from(varint(&mut c)?).map_err(|_| c.invalid("flags out of range"))?,
                1 => {
                    for byte in &mut gtid.uuid {
                        *byte = u8::try_from(varint(&mut c)?).map_err(|_| c.invalid("UUID byte out of range"))?;
                    }
                }
                2 => {
                    gtid.number = u64::try_from(signed_varint(&mut c)?)
                        .ok()
                        .filter(|n| (1..crate::gtid::NUMBER_END).contains(n))
                        .ok_or_else(|| c.invalid("transaction number out of range"))?;
                }
                3 => {
                    let len = usize::try_from(varint(&mut c)?).unwrap_or(usize::MAX);
                    if len > crate::gtid::TAG_LEN_MAX {
                        return Err(c.invalid("tag of more than 32 characters"));
                    }
                    gtid.tag = c.take(len)?;
                }
                4 => gtid.last_committed = Some(signed_varint(&mut c)?),
                5 => gtid.sequence_number = Some(signed_varint(&mut c)?),
                6 => gtid.immediate_commit_timestamp = Some(varint(&mut c)?),
                7 => gtid.original_commit_timestamp = Some(varint(&mut c)?),
                8 => gtid.transaction_length = Some(varint(&mut c)?),
                9 => gtid.immediate_server_version = Some(server_version(&mut c)?),
                10 => gtid.original_server_version = Some(server_version(&mut c)?),
                // The commit group ticket concerns no reader.
                11 => {
                    varint(&mut c)?;
                }
                // The last_needed number tells readers which later fields they may pass over; those come last.
                _ if field > last_needed => break,
                other => return Err(DecodeError::UnknownCode { what: "GTID_TAGGED field", code: other }),
            }
        }
        if gtid.number == 0 {
            return Err(c.invalid("no transaction number"));
        }
        gtid.original_commit_timestamp = gtid.original_commit_timestamp.or(gtid.immediate_commit_timestamp);
        gtid.original_server_version = gtid.original_server_version.or(gtid.immediate_server_version);
        Ok(gtid)
    }
}

fn server_version(c: &mut Cursor<'_>) -> Result<u32> {
    u32::try_from(varint(c)?).map_err(|_| c.invalid("server version out of range"))
}

/// An unsigned number of 1 to 9 bytes: n one-bits at the low end of the first byte announce n further bytes, then a
/// zero-bit (but for n = 8), then the value, little-endian.
fn varint(c: &mut Cursor<'_>) -> Result<u64> {
    let first = c.u8()?;
    let more = first.trailing_ones();
    let mut tail = [0u8; 8];
    let rest = c.take(usize::try_from(more).unwrap_or(8))?;
    for (to, from) in tail.iter_mut().zip(rest) {
        *to = *from;
    }
    let high = u64::from_le_bytes(tail);
    if more >= 7 {
        // The first byte is all marker.
        return Ok(high);
    }
    let low_bits = 7u32.saturating_sub(more);
    Ok(u64::from(first) >> more.saturating_add(1) | high << low_bits)
}

/// A signed number: the low bit is the sign; negative values are stored as their complement.
fn signed_varint(c: &mut Cursor<'_>) -> Result<i64> {
    let raw = varint(c)?;
    let magnitude = (raw >> 1).cast_signed();
    Ok(if raw & 1 == 1 { !magnitude } else { magnitude })
}
