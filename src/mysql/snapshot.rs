//! The snapshot: a short lock, the position, the structure, then the rows of one consistent view.
//!
//! Order and statements follow Debezium's, so that the schema-change topic and the history hold the same records.

mod report;
mod rows;
mod structure;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use engine::{error::TaskError, metrics::ConnectorMetrics, sender::BatchSender};
use model::{SnapshotMarker, TableId};

use crate::{
    catalog::{self, Database, Facts, LogStatus, quote},
    client::Client,
    config::{LockingMode, MySqlConfig},
    emitter::Emitter,
    link::Link,
    position::{MySqlPosition, SnapshotKind},
    schema::SchemaTracker,
    server::Server,
    streaming::now_ns,
};

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
        for statement in &self.server.config().initial_statements {
            link.run(statement).await?;
        }
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
}
