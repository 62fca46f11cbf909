//! The stream: events of the log become rows of batches, statements become schema changes.
//!
//! Owns the loop and the order of events; what one kind of event means is in the modules below. Never skips silently:
//! an event that may hold a change and cannot be decoded ends the stream with its place and name, unless
//! `event.processing.failure.handling.mode` says otherwise. What concerns no captured table is passed over and counted.

mod failures;
mod rows;
mod transactions;

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use engine::{
    error::TaskError,
    metrics::ConnectorMetrics,
    sender::{BatchSender, Reading},
};
use mysql_protocol::{
    column::ColumnType,
    event::{Disposition, EventBody, EventDecoder, GtidEvent, Rotate},
    rows::RowCells,
};

pub(crate) use failures::by_mode;

use crate::{
    config::MySqlConfig, emitter::Emitter, position::MySqlPosition, progress::Progress, schema::SchemaTracker,
    table_maps::TableMaps,
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
    config: &'s MySqlConfig,
    schema: &'s mut SchemaTracker,
    emitter: &'s mut Emitter,
    gtid_mode: bool,
    metrics: Arc<ConnectorMetrics>,
    progress: Progress,
    decoder: EventDecoder,
    maps: TableMaps,
    cells: RowCells,
    types: Vec<ColumnType>,
    query: Option<String>,
    /// The transaction comes from a GTID source whose rows are left out.
    source_left_out: bool,
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
            source_left_out: false,
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
                if !self.idle(events, out).await? {
                    return Ok(());
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

    /// No event is there: what was read goes on its way, and the next thing is waited for. `false` when no event will
    /// come any more.
    async fn idle(
        &mut self,
        events: &mut impl Events,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<bool, TaskError> {
        let idle_position = self.moved && self.now_ns - self.dispatched_ns > IDLE_POSITION.as_nanos() as i64;
        if !out.is_empty() || idle_position {
            self.dispatch(out, 0).await?;
        }
        let position = self.moved.then_some(IDLE_POSITION);
        let heartbeat = self.emitter.heartbeat_in(now_ns());
        let pause = position.into_iter().chain(heartbeat).min();
        tokio::select! {
            biased;
            () = out.changed() => {}
            more = events.receive() => return more,
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {
                self.now_ns = now_ns();
                if self.emitter.heartbeat_due(self.now_ns) {
                    self.emitter.heartbeat(self.now_ns, out).await?;
                }
            }
        }
        Ok(true)
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
            Err(error) => return self.undecodable(bytes, &error),
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
            EventBody::Gtid(gtid) => self.gtid(gtid),
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
                Disposition::Unsupported => self.unsupported(&event)?,
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

    fn gtid(&mut self, event: &GtidEvent<'_>) {
        self.progress.begin_group(event, self.gtid_mode);
        let streaming = &self.config.streaming;
        let accepted =
            |gtid: mysql_protocol::gtid::Gtid| streaming.gtid_sources.accepts(&gtid.source.uuid_text().to_string());
        self.source_left_out = streaming.gtid_filter_rows
            && !streaming.gtid_sources.is_all()
            && event.gtid().is_some_and(|gtid| !accepted(gtid));
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

    fn observe(&mut self, source_us: i64) {
        let now_ms = self.now_ns / 1_000_000;
        self.metrics.last_event_source_us.set(source_us);
        self.metrics.last_event_ms.set(now_ms);
        self.metrics.behind_ms.set((now_ms - source_us / 1000).max(0));
        self.metrics.connected.store(true, Relaxed);
    }
}

/// The connector's clock, nanoseconds since the epoch.
pub(crate) fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
