//! FORMAT_DESCRIPTION, the checksum, and the decoder that remembers both.

use super::{
    CHECKSUM_LEN, Event, EventBody, EventHeader, EventType, GtidEvent, HEADER_LEN, Heartbeat, Incident, IntVar,
    QueryEvent, Rotate, TableMapEvent, TransactionPayload, UserVar, XaPrepare,
};
use crate::cursor::{Cursor, to_usize};
use crate::error::{DecodeError, Result};
use crate::rows::RowsEvent;

/// How events end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// Without a checksum.
    None,
    /// With four bytes of CRC32 (the one of zlib) over everything before them.
    Crc32,
}

/// What a FORMAT_DESCRIPTION event says.
#[derive(Clone, Copy, Debug)]
pub struct FormatDescription<'a> {
    /// Always 4.
    pub binlog_version: u16,
    /// The server's version text, such as `8.0.15`.
    pub server_version: &'a [u8],
    /// Seconds since 1970 at which the file was begun; 0 unless the server had just started.
    pub created: u32,
    /// Length of each type's fixed part; the type's code minus one is the index.
    pub post_header_lengths: &'a [u8],
    /// How the events that follow end.
    pub checksum: ChecksumAlgorithm,
}

/// The first release that writes a checksum algorithm (5.6.1; MariaDB since 5.3.0 has the same place).
fn has_checksum_field(server_version: &[u8]) -> bool {
    let mut parts = [0u32; 3];
    let mut digits = server_version.split(|b| !b.is_ascii_digit());
    for part in &mut parts {
        *part = digits.next().and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| d.parse().ok()).unwrap_or(0);
    }
    let first = if server_version.windows(7).any(|w| w == b"MariaDB") { [5, 3, 0] } else { [5, 6, 1] };
    parts >= first
}

impl<'a> FormatDescription<'a> {
    /// `body` starts after the common header and still has its checksum, if there is one, which the answer says.
    fn parse(body: &'a [u8]) -> Result<(Self, bool)> {
        const WHAT: &str = "FORMAT_DESCRIPTION event";
        let mut c = Cursor::new(body, WHAT);
        let binlog_version = c.u16()?;
        if binlog_version != 4 {
            return Err(c.invalid("binlog version is not 4"));
        }
        let version = c.take(50)?;
        let server_version = version.split(|b| *b == 0).next().unwrap_or(version);
        let created = c.u32()?;
        if usize::from(c.u8()?) != HEADER_LEN {
            return Err(c.invalid("the common header has another length than 19"));
        }
        let rest = c.take_rest();
        // 5.5, the last release without checksums, lists 27 types. A longer list tells even where the version is damaged.
        let has_checksum = rest.len() > 32 || has_checksum_field(server_version);
        let (post_header_lengths, checksum) = if has_checksum {
            let Some((lengths, [algorithm, ..])) = rest.split_last_chunk::<5>() else {
                return Err(DecodeError::Short { what: WHAT, at: c.at(), need: 5, have: rest.len() });
            };
            let checksum = match algorithm {
                0 | 255 => ChecksumAlgorithm::None,
                1 => ChecksumAlgorithm::Crc32,
                other => {
                    return Err(DecodeError::UnknownCode { what: "checksum algorithm", code: u64::from(*other) });
                }
            };
            (lengths, checksum)
        } else {
            (rest, ChecksumAlgorithm::None)
        };
        let format = FormatDescription { binlog_version, server_version, created, post_header_lengths, checksum };
        Ok((format, has_checksum))
    }
}

/// Turns whole events into views, remembering what FORMAT_DESCRIPTION says about those after it.
///
/// A replication stream starts with a ROTATE before the first FORMAT_DESCRIPTION; whether that one has a checksum
/// depends on what the session set `@master_binlog_checksum` to, so [`EventDecoder::new`] is told.
#[derive(Clone, Debug)]
pub struct EventDecoder {
    checksum: ChecksumAlgorithm,
    verify: bool,
    /// FORMAT_DESCRIPTION has a valid checksum even where it says that events have none. True in files; a server that
    /// leaves checksums out of a dump changes the event and not its checksum.
    is_file: bool,
    post_header_lengths: Vec<u8>,
}

impl EventDecoder {
    /// A decoder for a stream whose first events end as `checksum` says.
    pub fn new(checksum: ChecksumAlgorithm) -> Self {
        EventDecoder { checksum, verify: true, is_file: false, post_header_lengths: Vec::new() }
    }

    /// A decoder for the events of a file.
    pub fn for_file() -> Self {
        EventDecoder { is_file: true, ..EventDecoder::new(ChecksumAlgorithm::None) }
    }

    /// Whether checksums are compared (the default). They are cut off either way.
    pub fn verify_checksums(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// How events end at this point of the stream.
    pub fn checksum(&self) -> ChecksumAlgorithm {
        self.checksum
    }

    /// Length of the fixed part of events of a type, `None` before the first FORMAT_DESCRIPTION or for types it does
    /// not list.
    pub fn post_header_length(&self, event_type: EventType) -> Option<u8> {
        let index = usize::from(event_type.0).checked_sub(1)?;
        self.post_header_lengths.get(index).copied()
    }

    /// Decodes one whole event: header, body and checksum, nothing before or after.
    ///
    /// # Errors
    /// The length in the header is not that of `event`; the checksum is wrong; the body does not fit its format.
    /// Offsets in errors count from the body's start, after the 19 bytes of header, for errors of the body.
    pub fn decode<'a>(&mut self, event: &'a [u8]) -> Result<Event<'a>> {
        let header = EventHeader::parse(event)?;
        let length = to_usize(header.event_length);
        if length > event.len() {
            return Err(DecodeError::Short { what: "event", at: event.len(), need: length, have: event.len() });
        }
        if length < event.len() {
            return Err(DecodeError::Leftover { what: "event", at: length, left: event.len().saturating_sub(length) });
        }
        let whole_body = event.get(HEADER_LEN..).unwrap_or(&[]);
        if header.event_type == EventType::FORMAT_DESCRIPTION {
            let (format, has_checksum) = FormatDescription::parse(whole_body)?;
            let is_valid = format.checksum == ChecksumAlgorithm::Crc32 || (self.is_file && has_checksum);
            if is_valid && self.verify {
                // While the file is written to, the flag is set in place after the checksum was computed without it.
                check_crc(event, header.flags & EventHeader::FLAG_BINLOG_IN_USE != 0)?;
            }
            self.checksum = format.checksum;
            self.post_header_lengths.clear();
            self.post_header_lengths.extend_from_slice(format.post_header_lengths);
            return Ok(Event { header, body: EventBody::FormatDescription(format) });
        }
        let body = match self.checksum {
            ChecksumAlgorithm::None => whole_body,
            ChecksumAlgorithm::Crc32 => {
                let Some(end) = whole_body.len().checked_sub(CHECKSUM_LEN) else {
                    return Err(DecodeError::Short {
                        what: "event checksum",
                        at: HEADER_LEN,
                        need: CHECKSUM_LEN,
                        have: whole_body.len(),
                    });
                };
                if self.verify {
                    check_crc(event, false)?;
                }
                whole_body.get(..end).unwrap_or(&[])
            }
        };
        Ok(Event { header, body: self.body(&header, body)? })
    }

    /// Decodes an event out of a decompressed TRANSACTION_PAYLOAD: those have no checksum of their own.
    ///
    /// # Errors
    /// As [`EventDecoder::decode`].
    pub fn decode_inner<'a>(&self, event: &'a [u8]) -> Result<Event<'a>> {
        let header = EventHeader::parse(event)?;
        let length = to_usize(header.event_length);
        if length != event.len() {
            return Err(DecodeError::Short { what: "event", at: event.len(), need: length, have: event.len() });
        }
        Ok(Event { header, body: self.body(&header, event.get(HEADER_LEN..).unwrap_or(&[]))? })
    }

    fn body<'a>(&self, header: &EventHeader, body: &'a [u8]) -> Result<EventBody<'a>> {
        let kind = header.event_type;
        // Row and table-map events of 5.1.4 and before have table numbers of four bytes and so six of fixed part.
        let short_table_id = self.post_header_length(kind) == Some(6);
        Ok(match kind {
            EventType::ROTATE => EventBody::Rotate(Rotate::parse(body)?),
            EventType::TABLE_MAP => EventBody::TableMap(TableMapEvent::parse(body, short_table_id)?),
            EventType::WRITE_ROWS
            | EventType::UPDATE_ROWS
            | EventType::DELETE_ROWS
            | EventType::WRITE_ROWS_V1
            | EventType::UPDATE_ROWS_V1
            | EventType::DELETE_ROWS_V1 => EventBody::Rows(RowsEvent::parse(kind, body, short_table_id)?),
            EventType::QUERY => EventBody::Query(QueryEvent::parse(body)?),
            EventType::XID => {
                let mut c = Cursor::new(body, "XID event");
                EventBody::Xid(c.u64()?)
            }
            EventType::GTID | EventType::ANONYMOUS_GTID => EventBody::Gtid(GtidEvent::parse(kind, body)?),
            EventType::GTID_TAGGED => EventBody::Gtid(GtidEvent::parse_tagged(body)?),
            EventType::HEARTBEAT => EventBody::Heartbeat(Heartbeat::parse(header, body)),
            EventType::HEARTBEAT_V2 => EventBody::Heartbeat(Heartbeat::parse_v2(body)?),
            EventType::XA_PREPARE => EventBody::XaPrepare(XaPrepare::parse(body)?),
            EventType::PREVIOUS_GTIDS => EventBody::PreviousGtids(body),
            EventType::STOP => EventBody::Stop,
            EventType::INTVAR => EventBody::IntVar(IntVar::parse(body)?),
            EventType::RAND => {
                let mut c = Cursor::new(body, "RAND event");
                EventBody::Rand(c.u64()?, c.u64()?)
            }
            EventType::USER_VAR => EventBody::UserVar(UserVar::parse(body)?),
            // The byte before the text is the text's length cut to eight bits, so it says nothing.
            EventType::ROWS_QUERY => EventBody::RowsQuery(body.get(1..).unwrap_or(&[])),
            EventType::VIEW_CHANGE => EventBody::ViewChange(body),
            EventType::TRANSACTION_CONTEXT => EventBody::TransactionContext(body),
            EventType::INCIDENT => EventBody::Incident(Incident::parse(body)?),
            EventType::TRANSACTION_PAYLOAD => EventBody::TransactionPayload(TransactionPayload::parse(body)?),
            _ if header.is_ignorable() => EventBody::Ignorable(body),
            _ => EventBody::Unsupported(body),
        })
    }
}

fn check_crc(event: &[u8], in_use: bool) -> Result<()> {
    let Some((bytes, stored)) = event.split_last_chunk::<CHECKSUM_LEN>() else {
        return Err(DecodeError::Short { what: "event checksum", at: 0, need: CHECKSUM_LEN, have: event.len() });
    };
    let stored = u32::from_le_bytes(*stored);
    let mut crc = crc32fast::Hasher::new();
    match bytes.split_at_checked(17) {
        // The low byte of the flags is the 18th.
        Some((before, [flags, after @ ..])) if in_use => {
            crc.update(before);
            crc.update(&[*flags & 0xfe]);
            crc.update(after);
        }
        _ => crc.update(bytes),
    }
    let computed = crc.finalize();
    if computed == stored { Ok(()) } else { Err(DecodeError::Checksum { stored, computed }) }
}
