//! The small events.

use super::EventHeader;
use crate::cursor::{Cursor, to_usize};
use crate::error::Result;

/// The stream goes on in another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate<'a> {
    /// Offset in that file; 4 unless the event was made up for the start of a stream.
    pub position: u64,
    /// The file's name, such as `binlog.000002`.
    pub file: &'a [u8],
}

impl<'a> Rotate<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self> {
        let mut c = Cursor::new(body, "ROTATE event");
        let position = c.u64()?;
        let file = c.take_rest();
        if file.is_empty() {
            return Err(c.invalid("no file name"));
        }
        Ok(Rotate { position, file })
    }
}

/// The server has sent everything up to here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// The file the server stands in.
    pub file: &'a [u8],
    /// The offset it stands at.
    pub position: u64,
}

impl<'a> Heartbeat<'a> {
    /// The first version keeps the offset in the header, modulo 2^32.
    pub(super) fn parse(header: &EventHeader, body: &'a [u8]) -> Self {
        Heartbeat { file: body, position: u64::from(header.next_position) }
    }

    /// The second version is a list of (type, length, value): 1 is the file, 2 the offset, 0 the end.
    pub(super) fn parse_v2(body: &'a [u8]) -> Result<Self> {
        let mut c = Cursor::new(body, "HEARTBEAT_V2 event");
        let mut heartbeat = Heartbeat { file: &[], position: 0 };
        while !c.is_empty() {
            match c.u8()? {
                0 => break,
                field => {
                    let value = c.lenenc_bytes()?;
                    match field {
                        1 => heartbeat.file = value,
                        2 => heartbeat.position = Cursor::new(value, "HEARTBEAT_V2 position").lenenc()?,
                        _ => {}
                    }
                }
            }
        }
        Ok(heartbeat)
    }
}

/// LAST_INSERT_ID() or INSERT_ID of the statement that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntVar {
    /// 1 is LAST_INSERT_ID, 2 is INSERT_ID.
    pub kind: u8,
    /// The variable's value.
    pub value: u64,
}

impl IntVar {
    pub(super) fn parse(body: &[u8]) -> Result<Self> {
        let mut c = Cursor::new(body, "INTVAR event");
        Ok(IntVar { kind: c.u8()?, value: c.u64()? })
    }
}

/// A user variable of the statement that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserVar<'a> {
    /// Its name without the `@`.
    pub name: &'a [u8],
    /// Type, collation and bytes, undecoded; `None` is NULL.
    pub value: Option<&'a [u8]>,
}

impl<'a> UserVar<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self> {
        let mut c = Cursor::new(body, "USER_VAR event");
        let len = to_usize(c.u32()?);
        let name = c.take(len)?;
        let value = if c.u8()? == 0 { Some(c.take_rest()) } else { None };
        Ok(UserVar { name, value })
    }
}

/// The prepared half of an XA transaction ends here (or, with `one_phase`, the whole of it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XaPrepare<'a> {
    /// Prepared and committed in one step: `XA COMMIT ... ONE PHASE`.
    pub one_phase: bool,
    /// The format part of the XA identifier.
    pub format_id: u32,
    /// The global part of the XA identifier.
    pub global_id: &'a [u8],
    /// The branch part of the XA identifier.
    pub branch_id: &'a [u8],
}

impl<'a> XaPrepare<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self> {
        let mut c = Cursor::new(body, "XA_PREPARE event");
        let one_phase = c.u8()? != 0;
        let format_id = c.u32()?;
        let (global, branch) = (c.u32()?, c.u32()?);
        Ok(XaPrepare {
            one_phase,
            format_id,
            global_id: c.take(to_usize(global))?,
            branch_id: c.take(to_usize(branch))?,
        })
    }
}

/// The server says that events may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident<'a> {
    /// 1 is LOST_EVENTS.
    pub kind: u16,
    /// The server's message.
    pub message: &'a [u8],
}

impl<'a> Incident<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self> {
        let mut c = Cursor::new(body, "INCIDENT event");
        Ok(Incident { kind: c.u16()?, message: c.bytes8()? })
    }
}
