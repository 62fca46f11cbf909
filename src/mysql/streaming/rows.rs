//! Row events: the one copy of each row, from the event into the batch's arena.

use std::sync::Arc;

use engine::{error::TaskError, sender::BatchSender};
use model::{Cell, EventRef, Image, MetaSlot, Op, RowHead, SnapshotMarker};
use mysql_protocol::{
    DecodeError,
    event::{EventHeader, TableMapEvent},
    rows::{CellRange, RowCells, RowsEvent, RowsKind},
};

use super::{Streamer, failures::by_mode};
use crate::{
    position::MySqlPosition,
    table_maps::{MappedTable, Mapping},
};

/// What the rows of one event have in common while they are copied.
struct Copying<'a> {
    header: &'a EventHeader,
    event: &'a RowsEvent<'a>,
    mapped: &'a MappedTable,
    op: Op,
    /// Rows at the start that were done before the restart.
    skip: u64,
    source_us: i64,
}

impl Streamer<'_> {
    pub(super) async fn table_map(&mut self, event: &TableMapEvent<'_>) -> Result<(), TaskError> {
        let (database, table) = (String::from_utf8_lossy(event.schema), String::from_utf8_lossy(event.table));
        let id = model::TableId::new(database.as_ref(), table.as_ref());
        if !self.config.tables.captures(&id) {
            self.maps.insert(event, Mapping::Ignored);
            return Ok(());
        }
        let mapping = match self.mapping(&id, event).await {
            Ok(mapping) => mapping,
            Err(error) => {
                by_mode(self.config.streaming.processing_failure, error)?;
                self.metrics.erroneous.add(1);
                Mapping::Ignored
            }
        };
        self.maps.insert(event, mapping);
        Ok(())
    }

    async fn mapping(&mut self, id: &model::TableId, event: &TableMapEvent<'_>) -> Result<Mapping, TaskError> {
        let place = self.place().to_string();
        let undecodable =
            |error: DecodeError| TaskError::definite(format!("table {id} cannot be read at {place}: {error}"));
        event.columns(&mut self.types).map_err(undecodable)?;
        let names =
            event.optional_metadata().and_then(|metadata| metadata.columns(&self.types)).map_err(undecodable)?;
        let names: Vec<Option<&[u8]>> = names.iter().map(|column| column.name).collect();
        let at = self.progress.statement_position();
        Ok(match self.schema.resolve(id, &self.types, &names, &at).await? {
            Some(table) => {
                let collection = id.to_string().into();
                Mapping::Captured(Arc::new(MappedTable { table, columns: self.types.clone(), collection }))
            }
            None => Mapping::Ignored,
        })
    }

    pub(super) async fn rows(
        &mut self,
        header: &EventHeader,
        event: &RowsEvent<'_>,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let mapped = match self.maps.get(event.table_id) {
            Some(Mapping::Captured(_)) if self.source_left_out => None,
            Some(Mapping::Captured(mapped)) => Some(Arc::clone(mapped)),
            Some(Mapping::Ignored) => None,
            None => {
                let error = TaskError::definite(format!(
                    "rows of table number {} at {} come without the TABLE_MAP event that names their table",
                    event.table_id,
                    self.place()
                ));
                return self.pass_over(error);
            }
        };
        let Some(mapped) = mapped else {
            self.metrics.events_filtered.add(1);
            self.progress.event_done();
            return Ok(());
        };
        let op = match event.kind {
            RowsKind::Write => Op::Create,
            RowsKind::Update => Op::Update,
            RowsKind::Delete => Op::Delete,
        };
        if self.progress.skips_event() || self.skips(op) {
            self.progress.event_done();
            return Ok(());
        }
        if !event.is_full() {
            let error = TaskError::definite(format!(
                "table {} has a row image that leaves columns out, at {}: this connector needs binlog_row_image=FULL. \
                 Set it globally and in the sessions that write, then take a new snapshot of the table",
                mapped.collection,
                self.place()
            ));
            return self.pass_over(error);
        }
        let source_us = self.progress.commit_us().unwrap_or(i64::from(header.timestamp) * 1_000_000);
        self.observe(source_us);
        let mut cells = std::mem::take(&mut self.cells);
        let skip = self.progress.rows_to_skip();
        let copying = Copying { header, event, mapped: &mapped, op, skip, source_us };
        let result = self.copy_rows(&copying, &mut cells, out).await;
        self.cells = cells;
        match result? {
            Ok(()) => self.progress.event_done(),
            Err(error) => self.pass_over(error)?,
        }
        if out.is_full() {
            self.dispatch(out, 0).await?;
        }
        Ok(())
    }

    /// Copies the rows of an event. The inner error is of the event alone: its rows before that place are copied.
    async fn copy_rows(
        &mut self,
        copying: &Copying<'_>,
        cells: &mut RowCells,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<Result<(), TaskError>, TaskError> {
        let &Copying { event, mapped, op, skip, .. } = copying;
        let mut reader = match event.reader(&mapped.columns) {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(self.bad_row(mapped, &error))),
        };
        let mut open: Option<(EventRef, u16)> = None;
        let (mut ordinal, mut sent) = (0u32, 0i64);
        let whole = loop {
            match reader.next_row(cells) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(self.bad_row(mapped, &error)),
            }
            let row = u64::from(ordinal);
            ordinal += 1;
            if row < skip {
                continue;
            }
            let data = event.data.get(cells.start..cells.end).unwrap_or(&[]);
            if out.is_full()
                || !(out.has_room(data.len()) || out.make_room(data.len(), || self.describe(mapped)).await?)
            {
                open = None;
                self.moved = true;
                self.dispatch(out, row).await?;
                out.make_room(data.len(), || self.describe(mapped)).await?;
            }
            let (event_ref, table) = match open {
                Some(open) => open,
                None => {
                    let table = out.table(&mapped.table);
                    let event_ref = self.push_event(copying, out)?;
                    *open.insert((event_ref, table))
                }
            };
            let rows = out.rows();
            let base = rows.append(data).ok_or_else(|| self.too_large(mapped))?;
            let before = push_image(rows, &cells.before, base, cells.start);
            let after = push_image(rows, &cells.after, base, cells.start);
            let mut head = RowHead {
                table,
                op,
                snapshot: SnapshotMarker::Streamed,
                before,
                after,
                event: event_ref,
                ordinal: row as u32,
                tx: None,
            };
            if self.config.events.transaction_metadata {
                head = self.with_transaction(head, mapped, out)?;
            }
            out.rows().push_row(head);
            out.count_row(data.len());
            sent += 1;
        };
        if sent > 0 {
            self.progress.published_row(ordinal.saturating_sub(1));
        }
        self.metrics.rows_read.add(sent);
        match op {
            Op::Create => self.metrics.creates.add(sent),
            Op::Update => self.metrics.updates.add(sent),
            _ => self.metrics.deletes.add(sent),
        }
        Ok(whole)
    }

    fn skips(&self, op: Op) -> bool {
        let skipped = &self.config.events.skipped;
        match op {
            Op::Create => skipped.create,
            Op::Update => skipped.update,
            Op::Delete => skipped.delete,
            Op::Read => false,
        }
    }

    /// The row's place in its transaction.
    fn with_transaction(
        &mut self,
        mut head: RowHead,
        mapped: &MappedTable,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<RowHead, TaskError> {
        let Some(context) = self.progress.transaction().and_then(|tx| tx.context.as_mut()) else { return Ok(head) };
        // A change of the key is a delete and a create: two events of the transaction.
        let events =
            if head.op == Op::Update && self.emitter.key_changes(&mapped.table, out.rows(), &head)? { 2 } else { 1 };
        let (total, order) = context.count(&mapped.collection, events);
        let id = out.rows().text(context.id()).ok_or_else(|| TaskError::definite("a transaction id is too long"))?;
        head.tx = Some(out.rows().push_transaction(id, total, order));
        Ok(head)
    }

    /// The source block's values that all rows of an event share; numbering as in `record::envelope::mysql_slot`.
    fn push_event(
        &mut self,
        copying: &Copying<'_>,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<EventRef, TaskError> {
        let full = || TaskError::definite("a batch passed 4 GB; lower afterimage.memory.limit");
        let rows = out.rows();
        let gtid = match self.progress.gtid() {
            Some(gtid) => MetaSlot::Text(rows.text(gtid).ok_or_else(full)?),
            None => MetaSlot::Null,
        };
        let file = MetaSlot::Text(rows.text(self.progress.file().as_str()).ok_or_else(full)?);
        let query = match &self.query {
            Some(query) => MetaSlot::Text(rows.text(query).ok_or_else(full)?),
            None => MetaSlot::Null,
        };
        let pos = MetaSlot::Int(self.progress.event_start() as i64);
        let thread = match self.progress.transaction().and_then(|tx| tx.thread) {
            Some(thread) => MetaSlot::Int(i64::from(thread)),
            None => MetaSlot::Null,
        };
        let slots = [MetaSlot::Int(i64::from(copying.header.server_id)), gtid, file, pos, thread, query];
        Ok(rows.push_event(copying.source_us, self.now_ns, &slots))
    }
}

fn push_image(rows: &mut model::RowArena, cells: &[CellRange], base: u32, start: usize) -> Option<Image> {
    if cells.is_empty() {
        return None;
    }
    // Offsets count from the event's first row, the arena holds this row alone.
    let shift = base.wrapping_sub(start as u32);
    Some(rows.push_cells(cells.iter().map(|cell| match cell.get() {
        Some((offset, len)) => Cell::at(offset.wrapping_add(shift), len),
        None if cell.is_null() => Cell::NULL,
        None => Cell::ABSENT,
    })))
}
