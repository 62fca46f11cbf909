//! Row events: where each cell of each row lies. Nothing is decoded and nothing is copied here.

use crate::column::{ColumnType, Width};
use crate::cursor::{Cursor, to_usize};
use crate::error::{DecodeError, Result};
use crate::event::EventType;

/// What happened to the rows of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsKind {
    /// Rows were inserted: after images only.
    Write,
    /// Rows were updated: before and after images.
    Update,
    /// Rows were deleted: before images only.
    Delete,
}

/// A row event. The table's columns come from the TABLE_MAP event with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsEvent<'a> {
    /// Insert, update or delete.
    pub kind: RowsKind,
    /// The table map's number.
    pub table_id: u64,
    /// `*_F` bits.
    pub flags: u16,
    /// Number of columns of the table.
    pub column_count: usize,
    /// One bit per column: it is in the before image (in the only image for inserts and deletes).
    pub columns_before: &'a [u8],
    /// One bit per column: it is in the after image.
    pub columns_after: &'a [u8],
    /// The rows. Offsets of [`CellRange`] count from here.
    pub data: &'a [u8],
    /// Offset of `data` in the event's body, for messages.
    pub data_offset: usize,
}

impl<'a> RowsEvent<'a> {
    /// The statement's last row event: table maps may be forgotten.
    pub const FLAG_STATEMENT_END: u16 = 0x01;

    pub(crate) fn parse(event_type: EventType, body: &'a [u8], short_table_id: bool) -> Result<Self> {
        let (kind, version_2) = match event_type {
            EventType::WRITE_ROWS => (RowsKind::Write, true),
            EventType::UPDATE_ROWS => (RowsKind::Update, true),
            EventType::DELETE_ROWS => (RowsKind::Delete, true),
            EventType::WRITE_ROWS_V1 => (RowsKind::Write, false),
            EventType::UPDATE_ROWS_V1 => (RowsKind::Update, false),
            EventType::DELETE_ROWS_V1 => (RowsKind::Delete, false),
            EventType(code) => return Err(DecodeError::UnknownCode { what: "row event type", code: u64::from(code) }),
        };
        let mut c = Cursor::new(body, "row event");
        let table_id = if short_table_id { u64::from(c.u32()?) } else { c.u48()? };
        let flags = c.u16()?;
        if version_2 {
            // Extra data of NDB and of partitions concerns no reader. Its length counts itself.
            let extra = c.u16()?;
            let Some(extra) = extra.checked_sub(2) else {
                return Err(c.invalid("length of extra data below 2"));
            };
            c.take(usize::from(extra))?;
        }
        let column_count = usize::try_from(c.lenenc()?).unwrap_or(usize::MAX);
        let bitmap = column_count.div_ceil(8);
        let columns_before = c.take(bitmap)?;
        let columns_after = if kind == RowsKind::Update { c.take(bitmap)? } else { columns_before };
        let data_offset = c.at();
        Ok(RowsEvent {
            kind,
            table_id,
            flags,
            column_count,
            columns_before,
            columns_after,
            data: c.take_rest(),
            data_offset,
        })
    }

    /// Whether every column is in every image (`binlog_row_image=FULL`).
    pub fn is_full(&self) -> bool {
        count_ones(self.columns_before, self.column_count) == self.column_count
            && count_ones(self.columns_after, self.column_count) == self.column_count
    }

    /// Whether this is the statement's last row event.
    pub fn is_statement_end(&self) -> bool {
        self.flags & Self::FLAG_STATEMENT_END != 0
    }

    /// Starts reading rows with the columns of the table map.
    ///
    /// # Errors
    /// The event has another number of columns than `columns`, or an event that has row bytes has no column in its
    /// images (its rows could not be told apart).
    pub fn reader<'c>(&self, columns: &'c [ColumnType]) -> Result<RowReader<'a, 'c>> {
        if columns.len() != self.column_count {
            return Err(DecodeError::Invalid {
                what: "row event",
                at: 0,
                reason: "its number of columns is not that of its TABLE_MAP event",
            });
        }
        let before = count_ones(self.columns_before, self.column_count);
        let after = count_ones(self.columns_after, self.column_count);
        let reader = RowReader {
            kind: self.kind,
            columns,
            before: Image { present: self.columns_before, count: before, full: before == self.column_count },
            after: Image { present: self.columns_after, count: after, full: after == self.column_count },
            data: self.data,
            base: self.data_offset,
            at: 0,
        };
        if !self.data.is_empty() && before == 0 && after == 0 {
            return Err(reader.invalid(0, "rows without columns"));
        }
        Ok(reader)
    }
}

fn count_ones(bits: &[u8], count: usize) -> usize {
    let whole: u32 = bits.iter().take(count / 8).map(|b| b.count_ones()).fold(0, u32::saturating_add);
    let rest = match count % 8 {
        0 => 0,
        odd => bits.get(count / 8).map_or(0, |b| (b & !(0xffu8 << odd)).count_ones()),
    };
    to_usize(whole.saturating_add(rest))
}

/// Where a cell's bytes lie, counted from the start of [`RowsEvent::data`] (or of a row packet), or that it has none.
///
/// The bytes are the value alone; a length before it is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CellRange {
    offset: u32,
    len: u32,
}

impl CellRange {
    /// The cell is NULL.
    pub const NULL: CellRange = CellRange { offset: 0, len: u32::MAX };
    /// The column is not in the image.
    pub const ABSENT: CellRange = CellRange { offset: 0, len: u32::MAX - 1 };

    pub(crate) fn new(offset: usize, len: usize) -> Option<Self> {
        let (offset, len) = (u32::try_from(offset).ok()?, u32::try_from(len).ok()?);
        if len >= Self::ABSENT.len { None } else { Some(CellRange { offset, len }) }
    }

    /// Whether the cell is NULL.
    pub fn is_null(self) -> bool {
        self.len == Self::NULL.len
    }

    /// Whether the column is not in the image.
    pub fn is_absent(self) -> bool {
        self.len == Self::ABSENT.len
    }

    /// Offset and length in bytes, `None` for NULL and absent cells.
    pub fn get(self) -> Option<(u32, u32)> {
        if self.len >= Self::ABSENT.len { None } else { Some((self.offset, self.len)) }
    }

    /// The cell's bytes in `data`, `None` for NULL and absent cells.
    pub fn of(self, data: &[u8]) -> Option<&[u8]> {
        let (offset, len) = self.get()?;
        data.get(to_usize(offset)..)?.get(..to_usize(len))
    }
}

/// The cells of one row; kept by the caller and filled again for each row, so that no row allocates.
#[derive(Clone, Debug, Default)]
pub struct RowCells {
    /// Cells of the before image in column order; empty for inserts.
    pub before: Vec<CellRange>,
    /// Cells of the after image in column order; empty for deletes.
    pub after: Vec<CellRange>,
    /// First byte of the row in [`RowsEvent::data`].
    pub start: usize,
    /// First byte after the row.
    pub end: usize,
}

/// Bitmaps and counts of one image, the same for all rows of an event.
#[derive(Clone, Copy, Debug)]
struct Image<'a> {
    present: &'a [u8],
    count: usize,
    full: bool,
}

/// Walks the rows of one event.
#[derive(Clone, Debug)]
pub struct RowReader<'a, 'c> {
    kind: RowsKind,
    columns: &'c [ColumnType],
    before: Image<'a>,
    after: Image<'a>,
    data: &'a [u8],
    base: usize,
    at: usize,
}

impl RowReader<'_, '_> {
    /// Finds the cells of the next row; `false` after the last.
    ///
    /// # Errors
    /// The row is cut short. Offsets count from the start of the event's body. After an error there is no next row.
    pub fn next_row(&mut self, row: &mut RowCells) -> Result<bool> {
        row.before.clear();
        row.after.clear();
        row.start = self.at;
        row.end = self.at;
        if self.at >= self.data.len() {
            return Ok(false);
        }
        let walked = match self.kind {
            RowsKind::Write => self.image(self.after, &mut row.after),
            RowsKind::Delete => self.image(self.before, &mut row.before),
            RowsKind::Update => {
                self.image(self.before, &mut row.before).and_then(|()| self.image(self.after, &mut row.after))
            }
        };
        if let Err(e) = walked {
            self.at = self.data.len();
            return Err(e);
        }
        row.end = self.at;
        Ok(true)
    }

    fn image(&mut self, image: Image<'_>, out: &mut Vec<CellRange>) -> Result<()> {
        let data = self.data;
        let nulls_at = self.at;
        let nulls_len = image.count.div_ceil(8);
        let Some(nulls) = data.get(nulls_at..).and_then(|rest| rest.get(..nulls_len)) else {
            return Err(self.short(nulls_at, nulls_len));
        };
        let mut at = nulls_at.saturating_add(nulls_len);
        let mut in_image = 0usize;
        // Filled with NULL first, so that the loop writes in place and touches only cells that have bytes.
        out.resize(self.columns.len(), CellRange::NULL);
        for (index, (column, cell)) in self.columns.iter().zip(out.iter_mut()).enumerate() {
            if !image.full && !bit(image.present, index) {
                *cell = CellRange::ABSENT;
                continue;
            }
            let is_null = bit(nulls, in_image);
            in_image = in_image.wrapping_add(1);
            if is_null {
                continue;
            }
            let len = match column.width() {
                Width::Fixed(n) => usize::from(n),
                Width::Prefixed(n) => {
                    let Some((len, prefix)) = data.get(at..).and_then(|rest| prefix_len(rest, n)) else {
                        return Err(self.short(at, usize::from(n)));
                    };
                    at = at.saturating_add(prefix);
                    len
                }
            };
            let end = at.saturating_add(len);
            if end > data.len() {
                return Err(self.short(at, len));
            }
            match CellRange::new(at, len) {
                Some(range) => *cell = range,
                None => return Err(self.invalid(at, "cell beyond 4 GiB")),
            }
            at = end;
        }
        self.at = at;
        Ok(())
    }

    #[cold]
    fn short(&self, at: usize, need: usize) -> DecodeError {
        let have = self.data.len().saturating_sub(at);
        DecodeError::Short { what: "row", at: self.base.saturating_add(at), need, have }
    }

    #[cold]
    fn invalid(&self, at: usize, reason: &'static str) -> DecodeError {
        DecodeError::Invalid { what: "row", at: self.base.saturating_add(at), reason }
    }
}

#[inline]
fn bit(bits: &[u8], index: usize) -> bool {
    bits.get(index >> 3).is_some_and(|byte| byte >> (index & 7) & 1 == 1)
}

/// A little-endian length of `n` bytes, and `n`.
#[inline]
fn prefix_len(bytes: &[u8], n: u8) -> Option<(usize, usize)> {
    match n {
        1 => bytes.first().map(|b| (usize::from(*b), 1)),
        2 => bytes.first_chunk::<2>().map(|b| (usize::from(u16::from_le_bytes(*b)), 2)),
        3 => bytes.first_chunk::<3>().map(|[a, b, c]| (to_usize(u32::from_le_bytes([*a, *b, *c, 0])), 3)),
        _ => bytes.first_chunk::<4>().map(|b| (to_usize(u32::from_le_bytes(*b)), 4)),
    }
}
