//! The stream: events of the log become rows of batches, statements become schema changes.
//!
//! Never skips silently: an event that may hold a change and cannot be decoded ends the stream with its place and
//! name. What concerns no captured table is passed over and counted.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use engine::{
    error::{Failure, TaskError},
    metrics::ConnectorMetrics,
    sender::{BatchSender, Reading},
};
use model::{Cell, EventRef, Image, MetaSlot, Op, RowHead, SnapshotMarker};
use mysql_protocol::{
    event::{Disposition, Event, EventBody, EventDecoder, EventHeader, QueryEvent, Rotate, TableMapEvent},
    rows::{CellRange, RowCells, RowsEvent, RowsKind},
};

use crate::{
    config::MySqlConfig,
    emitter::Emitter,
    position::{MySqlPosition, TransactionContext},
    progress::Progress,
    schema::SchemaTracker,
    statements::Statements,
    table_maps::{MappedTable, Mapping, TableMaps},
};

/// Between two dispatches of nothing but a moved position.
const IDLE_POSITION: Duration = Duration::from_secs(1);

/// Where events come from.
pub(crate) trait Events: Send {
    /// The next event that is there whole.
    fn poll_event(&mut self) -> Result<Option<&[u8]>, TaskError>;

    /// Waits for more bytes; `false` when there will be none.
    fn receive(&mut self) -> impl Future<Output = Result<bool, TaskError>> + Send;
}

/// Reads events from one place until that fails or ends, or the task stops.
pub(crate) struct Streamer<'s> {
    pub(crate) config: &'s MySqlConfig,
    pub(crate) schema: &'s mut SchemaTracker,
    pub(crate) emitter: &'s mut Emitter,
    pub(crate) gtid_mode: bool,
    pub(crate) metrics: Arc<ConnectorMetrics>,
    pub(crate) progress: Progress,
    pub(crate) decoder: EventDecoder,
    maps: TableMaps,
    cells: RowCells,
    types: Vec<mysql_protocol::column::ColumnType>,
    query: Option<String>,
    now_ns: i64,
    dispatched_ns: i64,
    moved: bool,
}

impl<'s> Streamer<'s> {
    pub(crate) fn new(
        config: &'s MySqlConfig,
        schema: &'s mut SchemaTracker,
        emitter: &'s mut Emitter,
        metrics: Arc<ConnectorMetrics>,
        gtid_mode: bool,
        from: &MySqlPosition,
        decoder: EventDecoder,
    ) -> Self {
        let now_ns = now_ns();
        Self {
            config,
            schema,
            emitter,
            gtid_mode,
            metrics,
            progress: Progress::new(from),
            decoder,
            maps: TableMaps::default(),
            cells: RowCells::default(),
            types: Vec::new(),
            query: None,
            now_ns,
            dispatched_ns: now_ns,
            moved: false,
        }
    }

    /// Handles events until there are no more or the task is stopped.
    pub(crate) async fn run(
        &mut self,
        events: &mut impl Events,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        loop {
            if out.reading() != Reading::Go {
                self.dispatch(out, 0).await?;
                out.ready().await?;
            }
            let Some(bytes) = events.poll_event()? else {
                let idle_position = self.moved && self.now_ns - self.dispatched_ns > IDLE_POSITION.as_nanos() as i64;
                if !out.is_empty() || idle_position {
                    self.dispatch(out, 0).await?;
                }
                tokio::select! {
                    biased;
                    () = out.changed() => {}
                    more = events.receive() => if !more? {
                        return Ok(());
                    },
                    () = tokio::time::sleep(IDLE_POSITION), if self.moved => self.now_ns = now_ns(),
                }
                continue;
            };
            self.now_ns = now_ns();
            self.metrics.bytes_read.add(bytes.len() as i64);
            self.handle(bytes, out).await?;
            if self.emitter.heartbeat_due(self.now_ns) {
                self.emitter.heartbeat(self.now_ns, out).await?;
            }
        }
    }

    async fn dispatch(&mut self, out: &mut BatchSender<MySqlPosition>, rows: u64) -> Result<(), TaskError> {
        if out.is_empty() && !self.moved {
            return Ok(());
        }
        let position = self.progress.position(rows);
        self.publish_position(&position);
        out.dispatch(position).await?;
        self.moved = false;
        self.dispatched_ns = self.now_ns;
        Ok(())
    }

    fn publish_position(&self, position: &MySqlPosition) {
        if let Ok(mut shown) = self.metrics.position.lock() {
            shown.clear();
            shown.push(("file".into(), position.file.to_string()));
            shown.push(("pos".into(), self.progress.event_start().to_string()));
            if let Some(gtids) = &position.gtids {
                shown.push(("gtids".into(), gtids.to_string()));
            }
        }
    }

    /// One event of the log.
    async fn handle(&mut self, bytes: &[u8], out: &mut BatchSender<MySqlPosition>) -> Result<(), TaskError> {
        let event = match self.decoder.decode(bytes) {
            Ok(event) => event,
            Err(error) => return Err(self.undecodable(bytes, &error)),
        };
        if !matches!(event.body, EventBody::Heartbeat(_)) {
            self.progress.advance(&event.header);
        }
        match &event.body {
            EventBody::Rows(rows) => self.rows(&event.header, rows, out).await?,
            EventBody::TableMap(map) => {
                if !self.maps.is_known(map) {
                    self.table_map(map).await?;
                }
                self.progress.event_done();
            }
            EventBody::Gtid(gtid) => self.progress.begin_group(gtid, self.gtid_mode),
            EventBody::Query(query) => self.query(&event, query, out).await?,
            EventBody::Xid(_) | EventBody::XaPrepare(_) => self.complete(&event.header, out)?,
            EventBody::Rotate(rotate) => self.rotate(rotate)?,
            EventBody::Heartbeat(_) => self.metrics.behind_ms.set(0),
            EventBody::FormatDescription(_) => {}
            EventBody::RowsQuery(text) => {
                if self.config.events.include_query {
                    self.query = Some(String::from_utf8_lossy(text).into_owned());
                }
                self.passed_over();
            }
            other => match other.disposition() {
                Disposition::Unsupported => return Err(self.unsupported(&event)),
                _ => self.passed_over(),
            },
        }
        // Events at a file's start and between transactions are no progress of their own.
        self.moved |= matches!(
            event.body,
            EventBody::Rows(_)
                | EventBody::TableMap(_)
                | EventBody::Query(_)
                | EventBody::Xid(_)
                | EventBody::XaPrepare(_)
        );
        Ok(())
    }

    fn passed_over(&mut self) {
        self.metrics.events_skipped.add(1);
        self.progress.event_done();
    }

    fn rotate(&mut self, rotate: &Rotate<'_>) -> Result<(), TaskError> {
        let name = String::from_utf8_lossy(rotate.file);
        let file = name
            .parse()
            .map_err(|_| TaskError::definite(format!("the server names a binlog file {name:?} that has no number")))?;
        self.progress.rotate(file, rotate.position);
        self.maps.clear_numbers();
        Ok(())
    }

    async fn table_map(&mut self, event: &TableMapEvent<'_>) -> Result<(), TaskError> {
        let (database, table) = (String::from_utf8_lossy(event.schema), String::from_utf8_lossy(event.table));
        let id = model::TableId::new(database.as_ref(), table.as_ref());
        if !self.config.tables.captures(&id) {
            self.maps.insert(event, Mapping::Ignored);
            return Ok(());
        }
        let place = self.place().to_string();
        let undecodable = |error: mysql_protocol::DecodeError| {
            TaskError::definite(format!("table {id} cannot be read at {place}: {error}"))
        };
        event.columns(&mut self.types).map_err(undecodable)?;
        let names =
            event.optional_metadata().and_then(|metadata| metadata.columns(&self.types)).map_err(undecodable)?;
        let names: Vec<Option<&[u8]>> = names.iter().map(|column| column.name).collect();
        let at = self.progress.statement_position();
        let mapping = match self.schema.resolve(&id, &self.types, &names, &at, self.now_ns / 1_000_000).await? {
            Some(table) => {
                let collection = id.to_string().into();
                Mapping::Captured(Arc::new(MappedTable { table, columns: self.types.clone(), collection }))
            }
            None => Mapping::Ignored,
        };
        self.maps.insert(event, mapping);
        Ok(())
    }

    async fn rows(
        &mut self,
        header: &EventHeader,
        event: &RowsEvent<'_>,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let mapped = match self.maps.get(event.table_id) {
            Some(Mapping::Captured(mapped)) => Arc::clone(mapped),
            Some(Mapping::Ignored) => {
                self.metrics.events_filtered.add(1);
                self.progress.event_done();
                return Ok(());
            }
            None => {
                return Err(TaskError::definite(format!(
                    "rows of table number {} at {} come without the TABLE_MAP event that names their table",
                    event.table_id,
                    self.place()
                )));
            }
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
            return Err(TaskError::definite(format!(
                "table {} has a row image that leaves columns out, at {}: this connector needs binlog_row_image=FULL. \
                 Set it globally and in the sessions that write, then take a new snapshot of the table",
                mapped.collection,
                self.place()
            )));
        }
        let skip = self.progress.rows_to_skip();
        let source_us = self.progress.commit_us().unwrap_or(i64::from(header.timestamp) * 1_000_000);
        self.observe(source_us);
        let mut cells = std::mem::take(&mut self.cells);
        let result = self.copy_rows(header, event, &mapped, op, skip, source_us, &mut cells, out).await;
        self.cells = cells;
        result?;
        self.progress.event_done();
        if out.is_full() {
            self.dispatch(out, 0).await?;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "one call site; the loop's state, kept out of `self` to be borrowed")]
    async fn copy_rows(
        &mut self,
        header: &EventHeader,
        event: &RowsEvent<'_>,
        mapped: &MappedTable,
        op: Op,
        skip: u64,
        source_us: i64,
        cells: &mut RowCells,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let mut reader = event.reader(&mapped.columns).map_err(|error| self.bad_row(mapped, &error))?;
        let mut open: Option<(EventRef, u16)> = None;
        let mut ordinal = 0u32;
        let mut sent = 0i64;
        while reader.next_row(cells).map_err(|error| self.bad_row(mapped, &error))? {
            let row = u64::from(ordinal);
            ordinal += 1;
            if row < skip {
                continue;
            }
            let data = event.data.get(cells.start..cells.end).unwrap_or(&[]);
            if out.is_full() || !out.make_room(data.len(), || self.describe(mapped)).await? {
                open = None;
                self.moved = true;
                self.dispatch(out, row).await?;
                out.make_room(data.len(), || self.describe(mapped)).await?;
            }
            let (event_ref, table) = match open {
                Some(open) => open,
                None => {
                    let table = out.table(&mapped.table);
                    let event_ref = self.push_event(header, source_us, out)?;
                    *open.insert((event_ref, table))
                }
            };
            let rows = out.rows();
            let base = rows.append(data).ok_or_else(|| self.too_large(mapped))?;
            let before = push_image(rows, &cells.before, base, cells.start);
            let after = push_image(rows, &cells.after, base, cells.start);
            let head = RowHead {
                table,
                op,
                snapshot: SnapshotMarker::Streamed,
                before,
                after,
                event: event_ref,
                ordinal: row as u32,
                tx: None,
            };
            let head = self.with_transaction(head, mapped, out)?;
            out.rows().push_row(head);
            out.count_row(data.len());
            sent += 1;
        }
        self.metrics.rows_read.add(sent);
        match op {
            Op::Create => self.metrics.creates.add(sent),
            Op::Update => self.metrics.updates.add(sent),
            _ => self.metrics.deletes.add(sent),
        }
        Ok(())
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

    fn describe(&self, mapped: &MappedTable) -> String {
        format!("table {} at {}", mapped.collection, self.place())
    }

    /// The row's place in its transaction, when transaction metadata is provided.
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
        let total = context.total();
        let order = match context.collections.get_mut(&*mapped.collection) {
            Some(order) => order,
            None => context.collections.entry(mapped.collection.to_string()).or_insert(0),
        };
        let first = *order + 1;
        *order += events;
        let id = out.rows().text(&context.id).ok_or_else(|| TaskError::definite("a transaction id is too long"))?;
        head.tx = Some(out.rows().push_transaction(id, total + 1, first));
        Ok(head)
    }

    /// The source block's values that all rows of an event share; numbering as in `record::envelope::mysql_slot`.
    fn push_event(
        &mut self,
        header: &EventHeader,
        source_us: i64,
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
        let slots = [MetaSlot::Int(i64::from(header.server_id)), gtid, file, pos, thread, query];
        Ok(rows.push_event(source_us, self.now_ns, &slots))
    }

    async fn query(
        &mut self,
        event: &Event<'_>,
        query: &QueryEvent<'_>,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let word = leading_words(query.sql);
        match word.as_str() {
            "BEGIN" => {
                self.progress.begin(Some(query.thread_id));
                return self.begin_metadata(&event.header, out);
            }
            "XA START" | "XA BEGIN" => {
                self.progress.begin(None);
                return Ok(());
            }
            "COMMIT" => return self.complete(&event.header, out),
            "XA COMMIT" | "XA ROLLBACK" => {
                self.progress.complete();
                return Ok(());
            }
            "XA END" | "SAVEPOINT" => {
                self.passed_over();
                return Ok(());
            }
            _ => {}
        }
        if self.progress.skips_event() {
            self.progress.event_done();
            return Ok(());
        }
        let source_us = self.progress.commit_us().unwrap_or(i64::from(event.header.timestamp) * 1_000_000);
        self.observe(source_us);
        let mut statements = Statements {
            config: self.config,
            schema: self.schema,
            emitter: self.emitter,
            progress: &self.progress,
            server_id: event.header.server_id,
            source_us,
            now_ns: self.now_ns,
        };
        let handled = statements.handle(&word, query, out).await?;
        if handled.schema_changed {
            self.maps.clear();
        }
        if !handled.is_statement {
            self.metrics.events_skipped.add(1);
        }
        if self.progress.transaction().is_some() {
            self.progress.event_done();
        } else {
            self.progress.complete();
        }
        Ok(())
    }

    fn begin_metadata(&mut self, header: &EventHeader, out: &mut BatchSender<MySqlPosition>) -> Result<(), TaskError> {
        if !self.config.events.transaction_metadata {
            return Ok(());
        }
        let id = match self.progress.gtid() {
            Some(gtid) => gtid.to_string(),
            None => format!("file={},pos={}", self.progress.file(), self.progress.event_start()),
        };
        let restored = self.progress.restored_context().filter(|context| context.id == id);
        if restored.is_none() {
            let ms = self.progress.commit_us().map_or(i64::from(header.timestamp) * 1000, |us| us / 1000);
            self.emitter.transaction_begin(&id, ms, out);
        }
        let context = restored.unwrap_or(TransactionContext { id, ..Default::default() });
        if let Some(transaction) = self.progress.transaction() {
            transaction.context = Some(context);
        }
        Ok(())
    }

    fn complete(&mut self, header: &EventHeader, out: &mut BatchSender<MySqlPosition>) -> Result<(), TaskError> {
        let ms = self.progress.commit_us().map_or(i64::from(header.timestamp) * 1000, |us| us / 1000);
        if let Some(context) = self.progress.complete().and_then(|transaction| transaction.context) {
            self.emitter.transaction_end(&context, ms, out);
        }
        self.query = None;
        self.metrics.transactions.add(1);
        Ok(())
    }

    fn observe(&mut self, source_us: i64) {
        let now_ms = self.now_ns / 1_000_000;
        self.metrics.last_event_source_us.set(source_us);
        self.metrics.last_event_ms.set(now_ms);
        self.metrics.behind_ms.set((now_ms - source_us / 1000).max(0));
        self.metrics.connected.store(true, Relaxed);
    }

    fn place(&self) -> Place<'_> {
        Place(&self.progress)
    }

    fn bad_row(&self, mapped: &MappedTable, error: &mysql_protocol::DecodeError) -> TaskError {
        TaskError::Definite(Failure::from_error(
            format!(
                "Error while deserializing binlog event at offset {}: rows of table {}",
                self.place(),
                mapped.collection
            ),
            error,
        ))
    }

    fn too_large(&self, mapped: &MappedTable) -> TaskError {
        TaskError::definite(format!("a row of table {} at {} is larger than 4 GB", mapped.collection, self.place()))
    }

    fn undecodable(&self, bytes: &[u8], error: &mysql_protocol::DecodeError) -> TaskError {
        let kind =
            EventHeader::parse(bytes).map_or_else(|_| "an event".to_owned(), |header| header.event_type.to_string());
        let failure = Failure::from_error(
            format!(
                "Error while deserializing binlog event at offset {}: {kind} after this place cannot be read",
                self.place()
            ),
            error,
        );
        match error {
            // Bytes damaged on the way may arrive whole the next time.
            mysql_protocol::DecodeError::Checksum { .. } => TaskError::Transient(failure),
            _ => TaskError::Definite(failure),
        }
    }

    fn unsupported(&self, event: &Event<'_>) -> TaskError {
        TaskError::definite(format!(
            "binlog event {} at {} is not supported by this version: it may hold changes, so the connector stops instead of \
             passing it over",
            event.header.event_type,
            self.place()
        ))
    }
}

/// `file:position` of the event at hand.
struct Place<'a>(&'a Progress);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.0.file(), self.0.event_start())
    }
}

fn push_image(rows: &mut model::RowArena, cells: &[CellRange], base: u32, start: usize) -> Option<Image> {
    if cells.is_empty() {
        return None;
    }
    let first = rows.next_cell();
    for cell in cells {
        rows.push_cell(match cell.get() {
            // Offsets count from the event's first row, the arena holds this row alone.
            Some((offset, len)) => Cell::at(base + (offset - start as u32), len),
            None if cell.is_null() => Cell::NULL,
            None => Cell::ABSENT,
        });
    }
    Some(Image { first, count: cells.len() as u32 })
}

/// The first words of a statement in upper case, blanks made one: enough to tell BEGIN, COMMIT and the XA statements.
fn leading_words(sql: &[u8]) -> String {
    let text = String::from_utf8_lossy(sql.get(..sql.len().min(64)).unwrap_or(sql));
    let mut words = text.split(|c: char| c.is_ascii_whitespace() || c == ';').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_ascii_uppercase();
    match first.as_str() {
        "XA" => format!("XA {}", words.next().unwrap_or_default().to_ascii_uppercase()),
        _ => first,
    }
}

/// The connector's clock, nanoseconds since the epoch.
pub(crate) fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
