//! The connector as the engine drives it: checks at the start, what to do from a stored position, snapshot, stream.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use engine::{
    error::TaskError,
    metrics::ConnectorMetrics,
    port::SchemaHistory,
    sender::BatchSender,
    source::{Limits, Source, StartPlan},
};
use model::{OffsetMap, TableId};
use mysql_protocol::{event::EventDecoder, gtid::GtidSet};
use record::{RecordSettings, SourceShape, envelope};

use crate::{
    catalog::{self, Facts},
    client::Client,
    config::{LimitAction, MySqlConfig, SnapshotMode},
    dump::{DumpFrom, DumpSettings, DumpStream},
    emitter::{Emitter, EmitterSettings},
    position::MySqlPosition,
    preflight,
    schema::SchemaTracker,
    server::Server,
    shape::ShapeBuilder,
    snapshot::Snapshot,
    streaming::{Events, Streamer},
};

/// The version reported in `source.version`, in plugin lists and statuses.
pub const REPORTED_VERSION: &str = "3.6.1.Final";

/// One incarnation of a MySQL connector.
pub(crate) struct MySqlSource {
    config: Arc<MySqlConfig>,
    server: Server,
    partition: OffsetMap,
    history: Arc<dyn SchemaHistory>,
    metrics: Arc<ConnectorMetrics>,
    source: Arc<SourceShape>,
    emitter: Emitter,
    started: Option<Started>,
}

/// What the checks at the start found.
struct Started {
    facts: Facts,
    schema: SchemaTracker,
    snapshot_taken: bool,
}

impl MySqlSource {
    pub(crate) fn new(
        config: MySqlConfig,
        partition: OffsetMap,
        history: Arc<dyn SchemaHistory>,
        settings: RecordSettings,
        metrics: Arc<ConnectorMetrics>,
    ) -> Self {
        let config = Arc::new(config);
        let server = Server::new(&config);
        let settings = Arc::new(settings);
        let source = Arc::new(envelope::mysql_source_shape(REPORTED_VERSION, "mysql", &config.prefix));
        let names = config.topic_names();
        let names = EmitterSettings {
            prefix: config.prefix.clone(),
            schema_change_topic: names.schema_changes,
            transaction_topic: names.transactions,
            heartbeat_topic: names.heartbeats,
            heartbeat_interval: config.heartbeat.as_ref().map(|heartbeat| heartbeat.interval).unwrap_or_default(),
            heartbeat_query: config.heartbeat.as_ref().and_then(|heartbeat| heartbeat.query.clone()),
        };
        let emitter = Emitter::new(names, server.clone(), source.clone(), settings);
        Self { config, server, partition, history, metrics, source, emitter, started: None }
    }

    fn takes_data(&self) -> bool {
        matches!(self.config.snapshot.mode, SnapshotMode::Initial | SnapshotMode::InitialOnly)
    }

    fn streams(&self) -> bool {
        self.config.snapshot.mode != SnapshotMode::InitialOnly
    }

    fn missing_start() -> TaskError {
        TaskError::definite("the source was used before its checks; this is a defect of afterimage")
    }

    /// Looks at the captured tables: warns when there are none, which is usually a typo and never a reason to stop,
    /// and keeps to `guardrail.collections.max`.
    async fn look_at_captured(&self, client: &mut Client) -> Result<(), TaskError> {
        let mut captured = Vec::new();
        for database in catalog::databases(client).await? {
            if self.config.tables.captures_namespace(&database.name) {
                let tables = catalog::tables(client, &database.name).await?;
                let ids = tables.iter().map(|table| TableId::new(database.name.as_str(), table.as_str()));
                captured.extend(ids.filter(|id| self.config.tables.captures(id)).map(|id| id.to_string()));
            }
        }
        if captured.is_empty() {
            tracing::warn!(
                "no table of the server matches database.include.list and table.include.list: nothing is captured until one \
                 is created"
            );
        }
        self.check_guardrail(captured.len())?;
        if let Ok(mut shown) = self.metrics.captured.lock() {
            *shown = captured;
        }
        Ok(())
    }

    fn check_guardrail(&self, captured: usize) -> Result<(), TaskError> {
        let Some((most, action)) = self.config.limits.tables.filter(|(most, _)| captured > *most) else {
            return Ok(());
        };
        let text = format!(
            "{captured} tables are captured, and guardrail.collections.max allows {most}: narrow the include lists or raise the limit"
        );
        match action {
            LimitAction::Fail => Err(TaskError::definite(text)),
            LimitAction::Warn => {
                tracing::warn!("{text}");
                Ok(())
            }
        }
    }

    /// A model of no tables.
    fn no_tables(&self, lower_case_names: bool) -> SchemaTracker {
        SchemaTracker::new(
            self.config.clone(),
            self.server.clone(),
            self.partition.clone(),
            self.history.clone(),
            ShapeBuilder::new(self.config.clone(), self.source.clone()),
            lower_case_names,
        )
    }

    /// Stands in for the checks where there is no server: tables are learnt from the statements of the log.
    pub(crate) fn prepare_offline(&mut self) {
        let facts = Facts { gtid_mode: true, ..Facts::default() };
        self.started = Some(Started { facts, schema: self.no_tables(false), snapshot_taken: false });
    }

    /// Turns events into rows until they end.
    pub(crate) async fn stream_events(
        &mut self,
        events: &mut impl Events,
        decoder: EventDecoder,
        from: &MySqlPosition,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let started = self.started.as_mut().ok_or_else(Self::missing_start)?;
        let mut streamer = Streamer::new(
            &self.config,
            &mut started.schema,
            &mut self.emitter,
            self.metrics.clone(),
            started.facts.gtid_mode,
            from,
            decoder,
        );
        streamer.run(events, out).await
    }

    fn dump_settings(&self) -> DumpSettings {
        DumpSettings {
            server_id: self.config.connection.server_id,
            keep_alive: self.config.streaming.keep_alive_interval,
            watched: self.config.streaming.keep_alive,
            nongraceful_disconnect: self.config.streaming.nongraceful_disconnect,
            net_write_timeout: self.config.streaming.net_write_timeout.unwrap_or(0),
            net_read_timeout: self.config.streaming.net_read_timeout.unwrap_or(0),
        }
    }

    /// Where the dump starts: by GTIDs where both sides have them, else by file and position.
    async fn dump_from(&self, facts: &Facts, from: &MySqlPosition) -> Result<DumpFrom, TaskError> {
        let Some(stored) = from.gtids.as_deref().filter(|_| facts.gtid_mode && !self.config.streaming.gtid_ignored)
        else {
            return Ok(DumpFrom::Place(from.clone()));
        };
        let mut client = Client::connect(&self.server).await?;
        let (_, purged) = catalog::gtid_sets(&mut client).await?;
        client.close().await;
        let purged: GtidSet =
            purged.parse().map_err(|_| TaskError::definite("the server's gtid_purged is not a GTID set"))?;
        Ok(DumpFrom::Gtids(preflight::start_set(stored, &purged, &self.config.streaming.gtid_sources)))
    }
}

impl Source for MySqlSource {
    type Position = MySqlPosition;

    fn limits(&self) -> Limits {
        let limits = &self.config.limits;
        Limits { batch_rows: limits.batch_records, queue_rows: limits.queue_records, queue_bytes: limits.queue_bytes }
    }

    async fn prepare(&mut self, stored: Option<MySqlPosition>) -> Result<StartPlan<MySqlPosition>, TaskError> {
        for warning in &self.config.warnings {
            tracing::warn!("{warning}");
        }
        for (option, reason) in &self.config.without_effect {
            tracing::info!("{option} is set and changes nothing here: {reason}");
        }
        let mut client = Client::connect(&self.server).await?;
        let facts = catalog::facts(&mut client).await?;
        if self.streams() {
            preflight::check_variables(&facts)?;
        }
        self.look_at_captured(&mut client).await?;
        let mut schema = self.no_tables(facts.lower_case_table_names != 0);
        let plan = match stored.filter(|position| position.snapshot.is_none()) {
            Some(position) => {
                self.metrics.snapshot_skipped.store(true, Relaxed);
                if self.streams() {
                    if self.config.streaming.position_check {
                        preflight::check_position(&mut client, &facts, &position, &self.config.streaming).await?;
                    }
                    schema.recover(&position).await?;
                    StartPlan::Stream(position)
                } else {
                    StartPlan::Idle
                }
            }
            None => {
                schema.ensure_history().await?;
                StartPlan::Snapshot { stream: self.streams() }
            }
        };
        client.close().await;
        self.started = Some(Started { facts, schema, snapshot_taken: false });
        Ok(plan)
    }

    async fn snapshot(&mut self, out: &mut BatchSender<MySqlPosition>) -> Result<MySqlPosition, TaskError> {
        let data = self.takes_data();
        let started = self.started.as_mut().ok_or_else(Self::missing_start)?;
        started.snapshot_taken = true;
        let mut snapshot = Snapshot {
            config: &self.config,
            server: &self.server,
            facts: &started.facts,
            schema: &mut started.schema,
            emitter: &mut self.emitter,
            metrics: self.metrics.clone(),
            data,
        };
        snapshot.take(out).await
    }

    async fn stream(&mut self, from: MySqlPosition, out: &mut BatchSender<MySqlPosition>) -> Result<(), TaskError> {
        let started = self.started.as_ref().ok_or_else(Self::missing_start)?;
        if started.snapshot_taken {
            tokio::time::sleep(self.config.snapshot.streaming_delay).await;
        }
        let dump_from = self.dump_from(&started.facts, &from).await?;
        let (mut dump, decoder) = DumpStream::start(&self.server, &self.dump_settings(), &dump_from).await?;
        tracing::info!("Connected to binlog at {}, starting from {from}", self.server);
        self.metrics.connected.store(true, Relaxed);
        let result = self.stream_events(&mut dump, decoder, &from, out).await;
        self.metrics.connected.store(false, Relaxed);
        self.metrics.disconnects.add(1);
        result
    }
}
