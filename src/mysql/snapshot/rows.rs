//! Rows of a snapshot: one SELECT a table, in one consistent view, copied from row packets into batches.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use engine::{
    error::TaskError,
    metrics::TableProgress,
    sender::{BatchSender, Reading},
};
use model::{EventRef, MetaSlot, Op, RowHead, SnapshotMarker, TableId};
use mysql_protocol::{packet::result::binary_cells, rows::CellRange};
use record::CapturedTable;

use super::{Lock, Snapshot, Structure, report::Reporter};
use crate::{
    catalog::{self, quote},
    client::{self, Client},
    config::RowCountOrder,
    link::{Link, Polled, Rows},
    position::MySqlPosition,
    streaming::now_ns,
};

/// Between two signs of life on the connection that holds locks.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(30);

impl Snapshot<'_> {
    /// The rows of all captured tables.
    pub(super) async fn rows(
        &mut self,
        client: &mut Client,
        link: &mut Link,
        structure: &Structure,
        lock: Lock,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        if !self.data {
            return Ok(());
        }
        let mut tables = Vec::new();
        for id in structure.captured.iter().filter(|id| self.config.snapshot.reads(id)) {
            tables.push((id, catalog::estimated_rows(client, id.namespace(), id.name()).await?));
        }
        sort_by_rows(&mut tables, self.config.snapshot.order);
        let progress = tables
            .iter()
            .map(|(id, estimate)| TableProgress { table: id.to_string(), rows: 0, estimate: *estimate, done: false })
            .collect();
        if let Ok(mut shown) = self.metrics.tables.lock() {
            *shown = progress;
        }
        let mut reporter = Reporter::new(self.metrics.clone());
        for (index, (id, _)) in tables.iter().enumerate() {
            let keeper = (lock != Lock::None).then_some(&mut *client);
            self.table(index, id, link, keeper, structure, &mut reporter, out).await?;
            reporter.finish_table(index);
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "one call site; each is a separate thing that is borrowed")]
    async fn table(
        &mut self,
        index: usize,
        id: &TableId,
        link: &mut Link,
        mut keeper: Option<&mut Client>,
        structure: &Structure,
        reporter: &mut Reporter,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let Some(select) = self.select(id) else { return Ok(()) };
        let seconds = link.value("SELECT UNIX_TIMESTAMP()").await?.and_then(|text| text.parse::<f64>().ok());
        let source_us = seconds.map_or_else(|| now_ns() / 1000, |seconds| seconds as i64 * 1_000_000);
        let limit = client::limit(self.server);
        let selected = tokio::time::timeout(limit, link.select(&select)).await;
        let mut rows =
            selected.unwrap_or_else(|_| Err(client::too_slow(self.server, &format!("the SELECT of {id}"))))?;
        let table = self.schema.snapshot_table(id, rows.columns())?;
        let columns = rows.columns().to_vec();
        let mut copier =
            Copier { table, columns, cells: Vec::new(), source_us, position: &structure.position, open: None };
        let mut count = 0u64;
        let mut kept_alive = Instant::now();
        if let Some(first) = rows.take_first() {
            let marker = if index == 0 { SnapshotMarker::First } else { SnapshotMarker::FirstInCollection };
            copier.row(&first, marker, out).await?;
            count += 1;
            self.rest(&mut rows, &mut copier, &mut count, &mut keeper, &mut kept_alive, index, reporter, out).await?;
            if let Some(row) = out.rows().last_row_mut()
                && row.snapshot != SnapshotMarker::First
            {
                row.snapshot = SnapshotMarker::LastInCollection;
            }
        }
        self.metrics.rows_read.add(1.min(count as i64));
        reporter.rows(index, count);
        rows.close().await
    }

    #[allow(clippy::too_many_arguments, reason = "one call site; each is a separate thing that is borrowed")]
    async fn rest(
        &mut self,
        rows: &mut Rows<'_>,
        copier: &mut Copier<'_>,
        count: &mut u64,
        keeper: &mut Option<&mut Client>,
        kept_alive: &mut Instant,
        index: usize,
        reporter: &mut Reporter,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        loop {
            match rows.poll()? {
                Polled::Row(row) => {
                    copier.row(row, SnapshotMarker::True, out).await?;
                    *count += 1;
                    if (*count).is_multiple_of(1024) {
                        self.metrics.rows_read.add(1024);
                        reporter.rows(index, *count);
                    }
                }
                Polled::End => {
                    self.metrics.rows_read.add((*count % 1024) as i64);
                    return Ok(());
                }
                Polled::Pending => {
                    if let Some(client) = keeper.as_deref_mut()
                        && kept_alive.elapsed() > KEEP_ALIVE_EVERY
                    {
                        client.run("SELECT 1").await?;
                        *kept_alive = Instant::now();
                    }
                    tokio::select! {
                        biased;
                        () = out.changed() => {
                            if out.reading() == Reading::Stop {
                                return Err(engine::sender::Stopped.into());
                            }
                        }
                        received = rows.receive() => received?,
                    }
                }
            }
        }
    }

    /// The statement that reads a table's rows.
    fn select(&self, id: &TableId) -> Option<String> {
        if let Some(statement) = self.config.snapshot.select_override(id) {
            return Some(statement.to_owned());
        }
        let table = self.schema.table(id)?;
        let columns: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
        Some(format!("SELECT {} FROM {}.{}", columns.join(", "), quote(id.namespace()), quote(id.name())))
    }
}

/// `snapshot.tables.order.by.row.count`, by the server's estimates; tables of equal size stay in their order.
fn sort_by_rows(tables: &mut [(&TableId, Option<u64>)], order: RowCountOrder) {
    match order {
        RowCountOrder::Disabled => {}
        RowCountOrder::Ascending => tables.sort_by_key(|(_, rows)| rows.unwrap_or(0)),
        RowCountOrder::Descending => tables.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.unwrap_or(0))),
    }
}

/// Copies row packets into batches.
struct Copier<'a> {
    table: Arc<CapturedTable>,
    columns: Vec<mysql_protocol::packet::result::ColumnDefinition>,
    cells: Vec<CellRange>,
    source_us: i64,
    position: &'a MySqlPosition,
    open: Option<(EventRef, u16)>,
}

impl Copier<'_> {
    /// Adds a row. The batch before it is dispatched only now, when its last row is known not to be the last of all.
    async fn row(
        &mut self,
        packet: &[u8],
        marker: SnapshotMarker,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        out.ready().await?;
        let id = &self.table.version.id;
        let describe = || format!("table {id}, snapshot");
        if out.is_full() || !(out.has_room(packet.len()) || out.make_room(packet.len(), describe).await?) {
            out.dispatch(self.position.clone()).await?;
            self.open = None;
            out.make_room(packet.len(), describe).await?;
        }
        let broken =
            |error: &dyn std::fmt::Display| TaskError::definite(format!("a row of table {id} cannot be read: {error}"));
        binary_cells(packet, &self.columns, &mut self.cells).map_err(|error| broken(&error))?;
        let (event, table) = match self.open {
            Some(open) if !out.rows().is_empty() => open,
            _ => {
                let table = out.table(&self.table);
                let rows = out.rows();
                let file = rows.text(self.position.file.as_str()).map_or(MetaSlot::Null, MetaSlot::Text);
                let pos = MetaSlot::Int(self.position.pos as i64);
                let slots = [MetaSlot::Int(0), MetaSlot::Null, file, pos, MetaSlot::Null, MetaSlot::Null];
                let event = rows.push_event(self.source_us, now_ns(), &slots);
                *self.open.insert((event, table))
            }
        };
        let rows = out.rows();
        let base = rows.append(packet).ok_or_else(|| broken(&"it is larger than 4 GB"))?;
        let after = Some(rows.push_cells(self.cells.iter().map(|cell| match cell.get() {
            Some((offset, len)) => model::Cell::at(base.wrapping_add(offset), len),
            None if cell.is_null() => model::Cell::NULL,
            None => model::Cell::ABSENT,
        })));
        rows.push_row(RowHead {
            table,
            op: Op::Read,
            snapshot: marker,
            before: None,
            after,
            event,
            ordinal: 0,
            tx: None,
        });
        out.count_row(packet.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_ordered_by_the_servers_estimates() {
        let ids = ["a", "b", "c", "d"].map(|name| TableId::new("s", name));
        let order = |order| {
            let mut tables: Vec<_> = ids.iter().zip([Some(5), None, Some(9), Some(5)]).collect();
            sort_by_rows(&mut tables, order);
            tables.iter().map(|(id, _)| id.name()).collect::<String>()
        };
        assert_eq!(order(RowCountOrder::Disabled), "abcd");
        assert_eq!(order(RowCountOrder::Ascending), "badc");
        assert_eq!(order(RowCountOrder::Descending), "cadb");
    }
}
