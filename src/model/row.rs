//! Rows as an arena: one byte buffer, cells as ranges into it, one head per row.
//!
//! Filled by a source's reader (the only copy of a row's bytes), read by the encoders, then cleared and
//! reused; nothing here allocates per row once the buffers have grown.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{Op, SnapshotMarker};

/// The place of one cell's bytes in the arena; two reserved lengths stand for NULL and ABSENT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    offset: u32,
    len: u32,
}

impl Cell {
    /// SQL NULL.
    pub const NULL: Cell = Cell { offset: 0, len: u32::MAX };
    /// Not in the row image.
    pub const ABSENT: Cell = Cell { offset: 0, len: u32::MAX - 1 };

    /// A cell of `len` bytes at `offset` of the arena.
    pub fn at(offset: u32, len: u32) -> Self {
        Self { offset, len }
    }

    /// Whether the cell is NULL.
    pub fn is_null(self) -> bool {
        self.len == u32::MAX
    }

    /// Whether the cell is not in the image.
    pub fn is_absent(self) -> bool {
        self.len == u32::MAX - 1
    }

    /// Where its bytes are, unless it is NULL or ABSENT.
    pub fn range(self) -> Option<Range<usize>> {
        if self.len >= u32::MAX - 1 {
            return None;
        }
        let start = self.offset as usize;
        Some(start..start + self.len as usize)
    }
}

/// A row image: `count` cells starting at cell `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Index of the first cell.
    pub first: u32,
    /// Number of cells.
    pub count: u32,
}

/// A source-block value shared by the rows of one event; its meaning (which `source` field) is given by
/// the source's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaSlot {
    /// Null.
    Null,
    /// An integer.
    Int(i64),
    /// Text: a range of the arena.
    Text(Cell),
}

/// A source-block value, resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaValue<'a> {
    /// Null.
    Null,
    /// An integer.
    Int(i64),
    /// Text.
    Text(&'a str),
}

/// Index of an event in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRef(pub u32);

/// What the rows of one log event have in common.
#[derive(Debug, Clone, Copy)]
pub struct EventHead {
    /// Time of the change at the source, microseconds since the epoch (`source.ts_us`).
    pub source_us: i64,
    /// The connector's clock when the event was read, nanoseconds since the epoch (`ts_ns`).
    pub read_ns: i64,
    /// First of its slots.
    first_slot: u32,
    /// Number of slots.
    slots: u32,
}

/// Index of a transaction block in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxRef(pub u32);

/// The envelope's `transaction` block of one row.
#[derive(Debug, Clone, Copy)]
pub struct TxBlock {
    id: Cell,
    /// 1-based, over all captured events of the transaction.
    pub total_order: i64,
    /// 1-based, per table.
    pub data_collection_order: i64,
}

/// One row change.
#[derive(Debug, Clone, Copy)]
pub struct RowHead {
    /// Index into the batch's list of tables.
    pub table: u16,
    /// What happened.
    pub op: Op,
    /// Snapshot marker of the source block.
    pub snapshot: SnapshotMarker,
    /// The row before the change.
    pub before: Option<Image>,
    /// The row after the change.
    pub after: Option<Image>,
    /// The event it belongs to.
    pub event: EventRef,
    /// 0-based index of the row inside its event.
    pub ordinal: u32,
    /// Its transaction block, when transaction metadata is provided.
    pub tx: Option<TxRef>,
}

/// The rows of one batch.
#[derive(Debug)]
pub struct RowArena {
    filling: u64,
    bytes: Vec<u8>,
    cells: Vec<Cell>,
    rows: Vec<RowHead>,
    events: Vec<EventHead>,
    slots: Vec<MetaSlot>,
    transactions: Vec<TxBlock>,
}

impl Default for RowArena {
    fn default() -> Self {
        Self {
            filling: next_filling(),
            bytes: Vec::new(),
            cells: Vec::new(),
            rows: Vec::new(),
            events: Vec::new(),
            slots: Vec::new(),
            transactions: Vec::new(),
        }
    }
}

/// Numbers of fillings, unique within the process.
fn next_filling() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl RowArena {
    /// Empties the arena and keeps its buffers.
    pub fn clear(&mut self) {
        self.filling = next_filling();
        self.bytes.clear();
        self.cells.clear();
        self.rows.clear();
        self.events.clear();
        self.slots.clear();
        self.transactions.clear();
    }

    /// Number of this filling, unique within the process and new after each [`RowArena::clear`]: with it, an
    /// [`EventRef`] names an event for caches that outlive the arena's content.
    pub fn filling(&self) -> u64 {
        self.filling
    }

    /// Bytes of payload held: what the memory budget is charged.
    pub fn size(&self) -> usize {
        self.bytes.len()
            + self.cells.len() * size_of::<Cell>()
            + self.rows.len() * size_of::<RowHead>()
            + self.events.len() * size_of::<EventHead>()
            + self.slots.len() * size_of::<MetaSlot>()
            + self.transactions.len() * size_of::<TxBlock>()
    }

    /// Room allocated, used or not: what a pool decides by when it gives memory back.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.cells.capacity() * size_of::<Cell>() + self.rows.capacity() * size_of::<RowHead>()
    }

    /// The rows, in source order.
    pub fn rows(&self) -> &[RowHead] {
        &self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Copies `bytes` into the arena; cells of them are then made with [`Cell::at`] relative to the
    /// returned offset. `None` when the arena would pass 4 GB.
    pub fn append(&mut self, bytes: &[u8]) -> Option<u32> {
        let offset = u32::try_from(self.bytes.len()).ok()?;
        u32::try_from(self.bytes.len().checked_add(bytes.len())?).ok().filter(|end| *end < u32::MAX - 1)?;
        self.bytes.extend_from_slice(bytes);
        Some(offset)
    }

    /// Index that the next pushed cell gets: the start of an [`Image`].
    pub fn next_cell(&self) -> u32 {
        self.cells.len() as u32
    }

    /// Adds a cell.
    pub fn push_cell(&mut self, cell: Cell) {
        self.cells.push(cell);
    }

    /// Adds the cells of an image, which holds at least one.
    pub fn push_cells(&mut self, cells: impl ExactSizeIterator<Item = Cell>) -> Image {
        let image = Image { first: self.next_cell(), count: cells.len() as u32 };
        self.cells.extend(cells);
        image
    }

    /// Copies `bytes` and adds them as a cell. `None` when the arena would pass 4 GB.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Option<Cell> {
        let offset = self.append(bytes)?;
        let cell = Cell::at(offset, bytes.len() as u32);
        self.cells.push(cell);
        Some(cell)
    }

    /// Copies a text for a slot or transaction id.
    pub fn text(&mut self, text: &str) -> Option<Cell> {
        let offset = self.append(text.as_bytes())?;
        Some(Cell::at(offset, text.len() as u32))
    }

    /// Adds an event with its source-block slots.
    pub fn push_event(&mut self, source_us: i64, read_ns: i64, slots: &[MetaSlot]) -> EventRef {
        let first_slot = self.slots.len() as u32;
        self.slots.extend_from_slice(slots);
        self.events.push(EventHead { source_us, read_ns, first_slot, slots: slots.len() as u32 });
        EventRef(self.events.len() as u32 - 1)
    }

    /// Adds a transaction block; `id` comes from [`RowArena::text`].
    pub fn push_transaction(&mut self, id: Cell, total_order: i64, data_collection_order: i64) -> TxRef {
        self.transactions.push(TxBlock { id, total_order, data_collection_order });
        TxRef(self.transactions.len() as u32 - 1)
    }

    /// Adds a row whose cells, event and transaction block are in the arena already.
    pub fn push_row(&mut self, row: RowHead) {
        self.rows.push(row);
    }

    /// The last row, to relabel its snapshot marker once it is known to be the last.
    pub fn last_row_mut(&mut self) -> Option<&mut RowHead> {
        self.rows.last_mut()
    }

    /// The cells of an image.
    pub fn image(&self, image: Image) -> &[Cell] {
        let start = image.first as usize;
        self.cells.get(start..start + image.count as usize).unwrap_or(&[])
    }

    /// The bytes of a cell; empty for NULL and ABSENT.
    pub fn bytes(&self, cell: Cell) -> &[u8] {
        cell.range().and_then(|range| self.bytes.get(range)).unwrap_or(&[])
    }

    /// The event of a row.
    pub fn event(&self, event: EventRef) -> Option<&EventHead> {
        self.events.get(event.0 as usize)
    }

    /// The source-block slots of an event, by the source's own numbering.
    pub fn slots(&self, event: &EventHead) -> impl Iterator<Item = MetaValue<'_>> {
        let start = event.first_slot as usize;
        let slots = self.slots.get(start..start + event.slots as usize).unwrap_or(&[]);
        slots.iter().map(|slot| self.resolve(*slot))
    }

    /// One slot of an event; null when it has no such slot.
    pub fn slot(&self, event: &EventHead, index: usize) -> MetaValue<'_> {
        if index >= event.slots as usize {
            return MetaValue::Null;
        }
        self.slots.get(event.first_slot as usize + index).map_or(MetaValue::Null, |slot| self.resolve(*slot))
    }

    /// The transaction block of a row and its id.
    pub fn transaction(&self, tx: TxRef) -> Option<(&str, &TxBlock)> {
        let block = self.transactions.get(tx.0 as usize)?;
        Some((std::str::from_utf8(self.bytes(block.id)).unwrap_or(""), block))
    }

    fn resolve(&self, slot: MetaSlot) -> MetaValue<'_> {
        match slot {
            MetaSlot::Null => MetaValue::Null,
            MetaSlot::Int(n) => MetaValue::Int(n),
            MetaSlot::Text(cell) => MetaValue::Text(std::str::from_utf8(self.bytes(cell)).unwrap_or("")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_events_and_rows_read_back() {
        let mut arena = RowArena::default();
        let file = arena.text("binlog.000001").map(MetaSlot::Text).unwrap_or(MetaSlot::Null);
        let event = arena.push_event(5, 6, &[file, MetaSlot::Int(42), MetaSlot::Null]);
        let first = arena.next_cell();
        arena.push_bytes(b"abc");
        arena.push_cell(Cell::NULL);
        arena.push_cell(Cell::ABSENT);
        let after = Some(Image { first, count: 3 });
        let (op, snapshot) = (Op::Create, SnapshotMarker::Streamed);
        arena.push_row(RowHead { table: 0, op, snapshot, before: None, after, event, ordinal: 0, tx: None });

        let row = arena.rows()[0];
        let cells = arena.image(row.after.unwrap_or(Image { first: 0, count: 0 }));
        assert_eq!(arena.bytes(cells[0]), b"abc");
        assert!(cells[1].is_null() && !cells[1].is_absent());
        assert!(cells[2].is_absent() && cells[2].range().is_none());
        let head = arena.event(row.event).copied();
        let head = head.as_ref().map(|h| arena.slots(h).collect::<Vec<_>>());
        assert_eq!(head, Some(vec![MetaValue::Text("binlog.000001"), MetaValue::Int(42), MetaValue::Null]));
        assert!(arena.size() > 3);
        arena.clear();
        assert!(arena.is_empty() && arena.size() == 0);
    }

    #[test]
    fn an_image_outside_the_arena_is_empty() {
        let arena = RowArena::default();
        assert!(arena.image(Image { first: 3, count: 9 }).is_empty());
        assert!(arena.bytes(Cell::at(10, 4)).is_empty());
    }
}
