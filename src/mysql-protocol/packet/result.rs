//! Results: column definitions, and where each cell lies in a text or binary row.

use super::{EofPacket, ErrPacket, OkPacket};
use crate::column::code;
use crate::cursor::Cursor;
use crate::error::{DecodeError, Result};
use crate::rows::CellRange;

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// The database of the column's table; empty for expressions.
    pub schema: String,
    /// The table's alias.
    pub table: String,
    /// The column's alias.
    pub name: String,
    /// The table's name.
    pub org_table: String,
    /// The column's name.
    pub org_name: String,
    /// Number of the collation cells are sent in; 63 is binary.
    pub collation: u16,
    /// Largest length of a cell as text, in bytes.
    pub length: u32,
    /// The type's code (`enum_field_types`).
    pub type_code: u8,
    /// `*_FLAG` bits.
    pub flags: u16,
    /// Digits after the point; 31 for FLOAT and DOUBLE without.
    pub decimals: u8,
}

impl ColumnDefinition {
    /// Bit of `flags`: UNSIGNED.
    pub const FLAG_UNSIGNED: u16 = 0x20;

    /// Whether the column is UNSIGNED.
    pub fn is_unsigned(&self) -> bool {
        self.flags & Self::FLAG_UNSIGNED != 0
    }

    /// Reads a column definition packet.
    ///
    /// # Errors
    /// Cut short.
    pub fn parse(payload: &[u8]) -> Result<ColumnDefinition> {
        let mut c = Cursor::new(payload, "column definition");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // The catalog, always "def".
        c.lenenc_bytes()?;
        let schema = text(c.lenenc_bytes()?);
        let table = text(c.lenenc_bytes()?);
        let org_table = text(c.lenenc_bytes()?);
        let name = text(c.lenenc_bytes()?);
        let org_name = text(c.lenenc_bytes()?);
        let fixed = c.lenenc_bytes()?;
        let mut c = Cursor::new(fixed, "column definition");
        Ok(ColumnDefinition {
            schema,
            table,
            name,
            org_table,
            org_name,
            collation: c.u16()?,
            length: c.u32()?,
            type_code: c.u8()?,
            flags: c.u16()?,
            decimals: c.u8()?,
        })
    }
}

/// The first packet of the answer to a prepare; definitions of parameters and columns follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareOk {
    /// The statement's number.
    pub statement: u32,
    /// Number of its columns.
    pub columns: u16,
    /// Number of its parameters.
    pub parameters: u16,
}

impl PrepareOk {
    /// Reads the packet; a failure is an [`ErrPacket`].
    ///
    /// # Errors
    /// Cut short or another packet.
    pub fn parse(payload: &[u8]) -> Result<PrepareOk> {
        let mut c = Cursor::new(payload, "answer to a prepare");
        if c.u8()? != 0 {
            return Err(c.invalid("another packet was sent"));
        }
        Ok(PrepareOk { statement: c.u32()?, columns: c.u16()?, parameters: c.u16()? })
    }

    /// How many packets follow before the next command may be sent: one per definition, and without
    /// [`DEPRECATE_EOF`](super::Capabilities::DEPRECATE_EOF) one EOF packet after each list that is not empty.
    pub fn packets_following(&self, deprecate_eof: bool) -> u32 {
        let list = |n: u16| if n == 0 || deprecate_eof { u32::from(n) } else { u32::from(n).saturating_add(1) };
        list(self.parameters).saturating_add(list(self.columns))
    }
}

/// What a packet of a result is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultStep<'a> {
    /// Read on; nothing to show yet.
    Next,
    /// A statement without rows is done.
    Ok(OkPacket),
    /// A row: the packet's payload.
    Row(&'a [u8]),
    /// After the last row. `more` says that another result follows.
    End {
        /// Another result follows.
        more: bool,
    },
    /// The statement failed.
    Error(ErrPacket),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Columns { left: u64 },
    ColumnsEof,
    Rows,
}

/// Follows the packets of one result.
#[derive(Clone, Debug)]
pub struct ResultReader {
    state: State,
    columns: Vec<ColumnDefinition>,
    deprecate_eof: bool,
}

impl ResultReader {
    /// A reader for the answer to a query or an execute. `deprecate_eof`: the connection agreed on
    /// [`DEPRECATE_EOF`](super::Capabilities::DEPRECATE_EOF).
    pub fn new(deprecate_eof: bool) -> Self {
        ResultReader { state: State::Start, columns: Vec::new(), deprecate_eof }
    }

    /// The columns; complete once the first row or the end has come.
    pub fn columns(&self) -> &[ColumnDefinition] {
        &self.columns
    }

    /// Takes the next packet. After `Ok`, `End` or `Error` the reader stands at the start again.
    ///
    /// # Errors
    /// The packet does not fit the place. A `LOCAL INFILE` request is an error.
    pub fn on_packet<'a>(&mut self, payload: &'a [u8]) -> Result<ResultStep<'a>> {
        if ErrPacket::is(payload) {
            self.state = State::Start;
            return Ok(ResultStep::Error(ErrPacket::parse(payload)?));
        }
        match self.state {
            State::Start => {
                self.columns.clear();
                match payload.first() {
                    Some(0x00) => return Ok(ResultStep::Ok(OkPacket::parse(payload)?)),
                    Some(0xfb) => {
                        return Err(DecodeError::Invalid {
                            what: "result",
                            at: 0,
                            reason: "the server asks for a local file",
                        });
                    }
                    _ => {}
                }
                let mut c = Cursor::new(payload, "number of columns");
                let left = c.lenenc()?;
                c.finish()?;
                self.state = State::Columns { left };
                Ok(ResultStep::Next)
            }
            State::Columns { left } => {
                self.columns.push(ColumnDefinition::parse(payload)?);
                let left = left.saturating_sub(1);
                self.state = match left {
                    0 if self.deprecate_eof => State::Rows,
                    0 => State::ColumnsEof,
                    left => State::Columns { left },
                };
                Ok(ResultStep::Next)
            }
            State::ColumnsEof => {
                EofPacket::parse(payload)?;
                self.state = State::Rows;
                Ok(ResultStep::Next)
            }
            State::Rows => {
                let status = match payload.first() {
                    // A row that starts with 0xfe starts with a length of over 2^24.
                    Some(0xfe) if self.deprecate_eof && payload.len() < 0xff_ffff => OkPacket::parse(payload)?.status,
                    _ if !self.deprecate_eof && EofPacket::is(payload) => EofPacket::parse(payload)?.status,
                    _ => return Ok(ResultStep::Row(payload)),
                };
                self.state = State::Start;
                Ok(ResultStep::End { more: status & OkPacket::MORE_RESULTS != 0 })
            }
        }
    }
}

fn push_rest(c: &mut Cursor<'_>, len: usize, out: &mut Vec<CellRange>) -> Result<()> {
    let at = c.at();
    c.take(len)?;
    out.push(CellRange::new(at, len).ok_or_else(|| c.invalid("cell beyond 4 GiB"))?);
    Ok(())
}

/// Finds the cells of a text row into `out`, which is emptied first. Ranges count from the start of the payload.
///
/// # Errors
/// The row has fewer or more cells than `columns`.
pub fn text_cells(payload: &[u8], columns: usize, out: &mut Vec<CellRange>) -> Result<()> {
    out.clear();
    let mut c = Cursor::new(payload, "text row");
    for _ in 0..columns {
        if c.rest().first() == Some(&0xfb) {
            c.take(1)?;
            out.push(CellRange::NULL);
        } else {
            let len = c.lenenc_len()?;
            push_rest(&mut c, len, out)?;
        }
    }
    c.finish()
}

/// Finds the cells of a binary row into `out`, which is emptied first. Ranges count from the start of the payload and
/// leave lengths out: an integer's cell is its 1 to 8 bytes, a date's the bytes of its structure.
///
/// # Errors
/// The row does not fit the columns.
pub fn binary_cells(payload: &[u8], columns: &[ColumnDefinition], out: &mut Vec<CellRange>) -> Result<()> {
    out.clear();
    let mut c = Cursor::new(payload, "binary row");
    if c.u8()? != 0 {
        return Err(c.invalid("another packet was sent"));
    }
    // The bitmap's first two bits are unused.
    let nulls = c.take(columns.len().saturating_add(9) / 8)?;
    for (index, column) in columns.iter().enumerate() {
        let bit = index.saturating_add(2);
        if nulls.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1) {
            out.push(CellRange::NULL);
            continue;
        }
        let len = match column.type_code {
            code::NULL => {
                out.push(CellRange::NULL);
                continue;
            }
            code::TINY => 1,
            code::SHORT | code::YEAR => 2,
            // MEDIUMINT is widened.
            code::LONG | code::INT24 | code::FLOAT => 4,
            code::LONGLONG | code::DOUBLE => 8,
            code::DATE | code::TIME | code::DATETIME | code::TIMESTAMP => usize::from(c.u8()?),
            _ => c.lenenc_len()?,
        };
        push_rest(&mut c, len, out)?;
    }
    c.finish()
}
