//! The snapshot: a short lock, the position, the structure, then the rows of one consistent view.
//!
//! Order and statements follow Debezium's, so that the schema-change topic and the history hold the same records.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use engine::{
    error::TaskError,
    metrics::{ConnectorMetrics, TableProgress},
    sender::{BatchSender, Reading},
};
use model::{EventRef, Image, MetaSlot, Op, RowHead, SnapshotMarker, TableId};
use mysql_ddl::{ChangeKind, DdlChange, Effect, Lexing, TableChange};
use mysql_protocol::{packet::result::binary_cells, rows::CellRange};
use record::CapturedTable;

use crate::{
    catalog::{self, Database, Facts, LogStatus, quote},
    client::Client,
    config::{LockingMode, MySqlConfig},
    emitter::{ChangePlace, Emitter, table_id},
    link::{Link, Polled, Rows},
    position::{MySqlPosition, SnapshotKind},
    schema::SchemaTracker,
    server::Server,
    streaming::now_ns,
};

/// Between two lines about progress in the log.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Between two signs of life on the connection that holds locks.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(30);

/// Takes one snapshot.
pub(crate) struct Snapshot<'s> {
    pub(crate) config: &'s MySqlConfig,
    pub(crate) server: &'s Server,
    pub(crate) facts: &'s Facts,
    pub(crate) schema: &'s mut SchemaTracker,
    pub(crate) emitter: &'s mut Emitter,
    pub(crate) metrics: Arc<ConnectorMetrics>,
    /// Whether rows are read (`initial`, `initial_only`) or structure only (`no_data`).
    pub(crate) data: bool,
}

/// Which locks are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    None,
    Global,
    Tables,
}

/// What the locked part found.
struct Structure {
    position: MySqlPosition,
    databases: Vec<Database>,
    /// `SHOW CREATE TABLE` of every table that goes into the model, database by database.
    statements: Vec<(TableId, String)>,
    captured: Vec<TableId>,
}

impl Snapshot<'_> {
    /// Reads structure and rows; gives the position from which the log goes on.
    pub(crate) async fn take(&mut self, out: &mut BatchSender<MySqlPosition>) -> Result<MySqlPosition, TaskError> {
        let metrics = self.metrics.clone();
        metrics.snapshot_running.store(true, Relaxed);
        metrics.snapshot_completed.store(false, Relaxed);
        metrics.snapshot_aborted.store(false, Relaxed);
        metrics.snapshot_started_ms.store((now_ns() / 1_000_000) as u64, Relaxed);
        metrics.snapshot_ended_ms.store(0, Relaxed);
        let result = self.steps(out).await;
        metrics.holding_global_lock.store(false, Relaxed);
        metrics.snapshot_running.store(false, Relaxed);
        metrics.snapshot_ended_ms.store((now_ns() / 1_000_000) as u64, Relaxed);
        match &result {
            Ok(_) => metrics.snapshot_completed.store(true, Relaxed),
            Err(_) => metrics.snapshot_aborted.store(true, Relaxed),
        }
        result
    }

    async fn steps(&mut self, out: &mut BatchSender<MySqlPosition>) -> Result<MySqlPosition, TaskError> {
        tokio::time::sleep(self.config.snapshot.delay).await;
        let mut client = Client::connect(self.server).await?;
        let mut link = Link::connect(self.server).await?;
        // TIMESTAMP cells are points in time only in a zone that is known: they are read as UTC, whatever zone
        // `connectionTimeZone` names, which tells a JDBC driver the same thing.
        link.run("SET SESSION time_zone = '+00:00'").await?;
        // Rows are taken as slowly as Kafka takes records.
        link.run("SET SESSION net_write_timeout = 604800").await?;
        let (structure, lock) = self.locked_part(&mut client, &mut link).await?;
        self.structure_records(&structure, out).await?;
        self.rows(&mut client, &mut link, &structure, lock, out).await?;
        if lock != Lock::None && (lock == Lock::Tables || self.config.snapshot.locking == LockingMode::Extended) {
            client.run("UNLOCK TABLES").await?;
        }
        link.run("ROLLBACK").await?;
        client.close().await;
        let mut end = structure.position;
        end.snapshot = None;
        if self.emitter.heartbeat_in(now_ns()).is_some() {
            self.emitter.heartbeat(now_ns(), out).await?;
        }
        // The last row is known to be the last only now.
        if let Some(row) = out.rows().last_row_mut() {
            row.snapshot = SnapshotMarker::Last;
        }
        out.dispatch(end.clone()).await?;
        Ok(end)
    }

    /// From the lock to the structure; releases a global lock that is not wanted any longer.
    async fn locked_part(&mut self, client: &mut Client, link: &mut Link) -> Result<(Structure, Lock), TaskError> {
        let seconds = self.config.snapshot.lock_timeout.as_secs().max(1);
        client.run(&format!("SET SESSION lock_wait_timeout = {seconds}")).await?;
        client.run(&format!("SET SESSION innodb_lock_wait_timeout = {seconds}")).await?;
        link.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        let locking = self.config.snapshot.locking;
        // Which tables there are is needed for table locks and does not change the position.
        let databases = self.databases(client).await?;
        let captured = self.captured(client, &databases).await?;
        let mut lock = Lock::None;
        if locking != LockingMode::None {
            match client.run("FLUSH TABLES WITH READ LOCK").await {
                Ok(()) => {
                    lock = Lock::Global;
                    self.metrics.holding_global_lock.store(true, Relaxed);
                }
                Err(error) if !error.is_transient() => {
                    tracing::info!("Unable to flush and acquire global read lock, will use table read locks: {error}");
                    self.lock_tables(client, &captured).await?;
                    lock = Lock::Tables;
                }
                Err(error) => return Err(error),
            }
        }
        if locking == LockingMode::None {
            link.run("START TRANSACTION").await?;
        } else {
            link.run("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
        }
        let status = catalog::log_status(client).await?;
        let position = self.position(&status)?;
        let mut statements = Vec::new();
        for database in &databases {
            for table in catalog::tables(client, &database.name).await? {
                let id = TableId::new(database.name.as_str(), table.as_str());
                if self.is_modelled(&id)
                    && let Some(statement) = catalog::create_table(client, id.namespace(), id.name()).await?
                {
                    statements.push((id, statement));
                }
            }
        }
        if lock == Lock::Global && locking == LockingMode::Minimal {
            client.run("UNLOCK TABLES").await?;
            self.metrics.holding_global_lock.store(false, Relaxed);
            lock = Lock::None;
        }
        Ok((Structure { position, databases, statements, captured }, lock))
    }

    async fn databases(&self, client: &mut Client) -> Result<Vec<Database>, TaskError> {
        let mut databases = catalog::databases(client).await?;
        databases.retain(|database| {
            let name = &database.name;
            let history = &self.config.history;
            let limited = history.captured_tables_only || history.captured_databases_only;
            !self.config.tables.is_builtin(name) && (!limited || self.config.tables.captures_namespace(name))
        });
        Ok(databases)
    }

    /// Whether a table goes into the model and the history.
    fn is_modelled(&self, id: &TableId) -> bool {
        !self.config.history.captured_tables_only || self.config.tables.captures(id)
    }

    /// The captured tables in the order their rows are read.
    async fn captured(&self, client: &mut Client, databases: &[Database]) -> Result<Vec<TableId>, TaskError> {
        let mut captured = Vec::new();
        for database in databases {
            if !self.config.tables.captures_namespace(&database.name) {
                continue;
            }
            let tables = catalog::tables(client, &database.name).await?;
            let ids = tables.iter().map(|table| TableId::new(database.name.as_str(), table.as_str()));
            captured.extend(ids.filter(|id| self.config.tables.captures(id)));
        }
        self.config.tables.sort(&mut captured);
        if let Ok(mut shown) = self.metrics.captured.lock() {
            *shown = captured.iter().map(TableId::to_string).collect();
        }
        Ok(captured)
    }

    async fn lock_tables(&self, client: &mut Client, captured: &[TableId]) -> Result<(), TaskError> {
        if captured.is_empty() {
            return Ok(());
        }
        let names: Vec<String> =
            captured.iter().map(|id| format!("{}.{}", quote(id.namespace()), quote(id.name()))).collect();
        client.run(&format!("FLUSH TABLES {} WITH READ LOCK", names.join(","))).await.map_err(|error| {
            if error.is_transient() {
                return error;
            }
            TaskError::definite(format!(
                "User does not have the 'LOCK TABLES' privilege required to obtain a consistent snapshot by preventing \
                 concurrent writes to tables. Grant RELOAD, or LOCK TABLES, or set snapshot.locking.mode=none: {error}"
            ))
        })
    }

    fn position(&self, status: &LogStatus) -> Result<MySqlPosition, TaskError> {
        let unreadable = |what: &str| TaskError::definite(format!("the server reports a log position with {what}"));
        let file = status.file.parse().map_err(|_| unreadable("a file name that has no number"))?;
        let gtids = match self.facts.gtid_mode {
            true => Some(Arc::new(status.gtids.parse().map_err(|_| unreadable("an unreadable GTID set"))?)),
            false => None,
        };
        let mut position = MySqlPosition::new(file, status.position, gtids);
        position.ts_sec = Some(now_ns() / 1_000_000_000);
        position.snapshot = Some(SnapshotKind::Initial);
        Ok(position)
    }

    /// The statements that rebuild the structure, as schema changes and in the history.
    async fn structure_records(
        &mut self,
        structure: &Structure,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let (charset, collation) = (&self.facts.character_set, &self.facts.collation);
        let server = format!("SET character_set_server={charset}, collation_server={collation}");
        let mut changes = Vec::new();
        self.change(&server, None, &mut changes)?;
        for (id, _) in &structure.statements {
            let ddl = format!("DROP TABLE IF EXISTS {}.{}", quote(id.namespace()), quote(id.name()));
            let name = mysql_ddl::TableId::new(id.namespace(), id.name());
            changes.push(DdlChange {
                database: id.namespace().to_owned(),
                ddl,
                tables: [name.clone()].into(),
                changes: vec![TableChange { kind: ChangeKind::Drop, id: name, previous_id: None, table: None }],
            });
        }
        for database in &structure.databases {
            let name = quote(&database.name);
            let tables: Vec<_> =
                structure.statements.iter().filter(|(id, _)| id.namespace() == database.name).collect();
            if tables.is_empty() {
                continue;
            }
            self.change(&format!("DROP DATABASE IF EXISTS {name}"), Some(&database.name), &mut changes)?;
            let create = format!("CREATE DATABASE {name} CHARSET {} COLLATE {}", database.charset, database.collation);
            self.change(&create, Some(&database.name), &mut changes)?;
            changes.push(DdlChange {
                database: database.name.clone(),
                ddl: format!("USE {name}"),
                changes: Vec::new(),
                tables: [].into(),
            });
            for (_, statement) in tables {
                self.change(statement, Some(&database.name), &mut changes)?;
            }
        }
        let (file, pos) = (structure.position.file.to_string(), structure.position.pos);
        for (index, change) in changes.iter().enumerate() {
            out.ready().await?;
            if self.config.events.schema_changes && self.is_published(change) {
                let now_ns = now_ns();
                let place = ChangePlace {
                    // Without rows the last statement is the last record of the snapshot.
                    snapshot: match self.data || index + 1 < changes.len() {
                        true => SnapshotMarker::True,
                        false => SnapshotMarker::Last,
                    },
                    source_us: now_ns / 1000,
                    now_ns,
                    server_id: 0,
                    gtid: None,
                    file: &file,
                    pos,
                    row: 0,
                };
                self.emitter.schema_change(change, self.config.events.comments, &place, out);
                if out.is_full() {
                    out.dispatch(structure.position.clone()).await?;
                }
            }
        }
        self.schema.record_all(&changes, &structure.position, now_ns() / 1_000_000).await
    }

    fn is_published(&self, change: &DdlChange) -> bool {
        change.changes.is_empty()
            || !self.config.history.captured_tables_only
            || change.changes.iter().any(|change| self.config.tables.captures(&table_id(&change.id)))
    }

    fn change(&mut self, ddl: &str, database: Option<&str>, changes: &mut Vec<DdlChange>) -> Result<(), TaskError> {
        let unreadable = |reason: &str| {
            let text: String = ddl.chars().take(300).collect();
            TaskError::definite(format!("a definition given by the server could not be understood: {reason}: {text}"))
        };
        let effects = self.schema.apply(ddl, database, Lexing::default()).map_err(|error| unreadable(&error.reason))?;
        for effect in effects {
            match effect {
                Effect::Applied(applied) => changes.extend(applied.into_iter().map(|mut change| {
                    change.ddl = ddl.to_owned();
                    change
                })),
                Effect::Unsure { reason, tables, .. } => {
                    // A table that nobody captures may stay unknown.
                    if tables.iter().any(|id| self.config.tables.captures(&table_id(id))) {
                        return Err(unreadable(&reason));
                    }
                    tracing::warn!("the definition of a table that is not captured was not understood: {reason}");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The rows of all captured tables.
    async fn rows(
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
        let tables: Vec<&TableId> = structure.captured.iter().filter(|id| self.config.snapshot.reads(id)).collect();
        let mut progress = Vec::with_capacity(tables.len());
        for id in &tables {
            let estimate = catalog::estimated_rows(client, id.namespace(), id.name()).await?;
            progress.push(TableProgress { table: id.to_string(), rows: 0, estimate, done: false });
        }
        if let Ok(mut shown) = self.metrics.tables.lock() {
            *shown = progress;
        }
        let mut reporter = Reporter::new(self.metrics.clone());
        for (index, id) in tables.iter().enumerate() {
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
        let mut rows = link.select(&select).await?;
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
        if out.is_full() || !out.make_room(packet.len(), describe).await? {
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
        let first = rows.next_cell();
        for cell in &self.cells {
            rows.push_cell(match cell.get() {
                Some((offset, len)) => model::Cell::at(base + offset, len),
                None if cell.is_null() => model::Cell::NULL,
                None => model::Cell::ABSENT,
            });
        }
        let after = Some(Image { first, count: self.cells.len() as u32 });
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

/// Shows progress: in the metrics, and every ten seconds in the log, with the time left by the server's estimate.
struct Reporter {
    metrics: Arc<ConnectorMetrics>,
    started: Instant,
    said: Instant,
}

impl Reporter {
    fn new(metrics: Arc<ConnectorMetrics>) -> Self {
        Self { metrics, started: Instant::now(), said: Instant::now() }
    }

    fn rows(&mut self, index: usize, rows: u64) {
        if let Ok(mut tables) = self.metrics.tables.lock()
            && let Some(table) = tables.get_mut(index)
        {
            table.rows = rows;
        }
        if self.said.elapsed() >= PROGRESS_EVERY {
            self.said = Instant::now();
            self.say(index);
        }
    }

    fn finish_table(&mut self, index: usize) {
        if let Ok(mut tables) = self.metrics.tables.lock()
            && let Some(table) = tables.get_mut(index)
        {
            table.done = true;
            tracing::info!("Finished exporting {} records for table '{}'", table.rows, table.table);
        }
    }

    fn say(&self, index: usize) {
        let Ok(tables) = self.metrics.tables.lock() else { return };
        let done: u64 = tables.iter().map(|table| table.rows).sum();
        let total: u64 = tables.iter().map(|table| table.estimate.unwrap_or(0).max(table.rows)).sum();
        let seconds = self.started.elapsed().as_secs_f64();
        let left = if done > 0 { (total - done) as f64 * seconds / done as f64 } else { 0.0 };
        if let Some(table) = tables.get(index) {
            tracing::info!(
                "snapshot: {} rows of table {} ({} of {} tables), {done} of about {total} rows in all, {:.0} rows/s, about {} left",
                table.rows,
                table.table,
                index + 1,
                tables.len(),
                done as f64 / seconds.max(0.001),
                duration(left)
            );
        }
    }
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}
