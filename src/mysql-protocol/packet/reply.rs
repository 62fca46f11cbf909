//! OK, ERR and EOF packets, and what a binlog dump sends.

use crate::cursor::Cursor;
use crate::error::Result;

/// The server did it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OkPacket {
    /// Rows the statement changed.
    pub affected_rows: u64,
    /// The last number AUTO_INCREMENT gave.
    pub last_insert_id: u64,
    /// `SERVER_STATUS_*` bits.
    pub status: u16,
    /// Number of warnings.
    pub warnings: u16,
}

impl OkPacket {
    /// Another result follows.
    pub const MORE_RESULTS: u16 = 0x08;

    /// Reads an OK packet (first byte `0x00`, or `0xfe` in the place of EOF).
    ///
    /// # Errors
    /// Cut short or another packet.
    pub fn parse(payload: &[u8]) -> Result<OkPacket> {
        let mut c = Cursor::new(payload, "OK packet");
        if !matches!(c.u8()?, 0x00 | 0xfe) {
            return Err(c.invalid("another packet was sent"));
        }
        Ok(OkPacket { affected_rows: c.lenenc()?, last_insert_id: c.lenenc()?, status: c.u16()?, warnings: c.u16()? })
    }
}

/// The server refuses. Display is MySQL's own form: `ERROR 1045 (28000): Access denied ...`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ERROR {code} ({state}): {message}")]
pub struct ErrPacket {
    /// The error's number.
    pub code: u16,
    /// SQLSTATE; `HY000` if none was sent.
    pub state: String,
    /// The server's text.
    pub message: String,
}

impl ErrPacket {
    /// Whether a payload is an ERR packet.
    pub fn is(payload: &[u8]) -> bool {
        payload.first() == Some(&0xff)
    }

    /// Reads an ERR packet (first byte `0xff`).
    ///
    /// # Errors
    /// Cut short or another packet.
    pub fn parse(payload: &[u8]) -> Result<ErrPacket> {
        let mut c = Cursor::new(payload, "ERR packet");
        if c.u8()? != 0xff {
            return Err(c.invalid("another packet was sent"));
        }
        let code = c.u16()?;
        let mut state = "HY000".to_owned();
        // Before the login the protocol version is not agreed and no state is sent.
        if let Some((&[b'#', a, b, d, e, f], _)) = c.rest().split_first_chunk::<6>() {
            state = String::from_utf8_lossy(&[a, b, d, e, f]).into_owned();
            c.take(6)?;
        }
        Ok(ErrPacket { code, state, message: String::from_utf8_lossy(c.take_rest()).into_owned() })
    }
}

/// The end of a list of columns or rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EofPacket {
    /// Number of warnings.
    pub warnings: u16,
    /// `SERVER_STATUS_*` bits.
    pub status: u16,
}

impl EofPacket {
    /// Whether a payload is an EOF packet and not a row that begins with a length of eight bytes.
    pub fn is(payload: &[u8]) -> bool {
        payload.first() == Some(&0xfe) && payload.len() < 9
    }

    /// Reads an EOF packet (first byte `0xfe`).
    ///
    /// # Errors
    /// Cut short or another packet.
    pub fn parse(payload: &[u8]) -> Result<EofPacket> {
        let mut c = Cursor::new(payload, "EOF packet");
        if c.u8()? != 0xfe {
            return Err(c.invalid("another packet was sent"));
        }
        Ok(EofPacket { warnings: c.u16()?, status: c.u16()? })
    }
}

/// A packet of a binlog dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DumpPacket<'a> {
    /// One event, for [`EventDecoder::decode`](crate::event::EventDecoder::decode).
    Event(&'a [u8]),
    /// The end of the last file; only of dumps that do not block.
    End,
    /// The server ends the dump.
    Error(ErrPacket),
}

impl<'a> DumpPacket<'a> {
    /// Tells the packets of a dump apart.
    ///
    /// # Errors
    /// An empty packet or one of no known kind.
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        match payload {
            [0x00, event @ ..] => Ok(DumpPacket::Event(event)),
            [0xff, ..] => Ok(DumpPacket::Error(ErrPacket::parse(payload)?)),
            _ if EofPacket::is(payload) => Ok(DumpPacket::End),
            _ => Err(Cursor::new(payload, "packet of a binlog dump").invalid("neither event, end nor error")),
        }
    }
}
