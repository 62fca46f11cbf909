//! How far a snapshot is: in the metrics, and as lines in the log.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use engine::metrics::ConnectorMetrics;

/// Between two lines about progress in the log.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Shows progress: in the metrics, and every ten seconds in the log, with the time left by the server's estimate.
pub(super) struct Reporter {
    metrics: Arc<ConnectorMetrics>,
    started: Instant,
    said: Instant,
}

impl Reporter {
    pub(super) fn new(metrics: Arc<ConnectorMetrics>) -> Self {
        Self { metrics, started: Instant::now(), said: Instant::now() }
    }

    pub(super) fn rows(&mut self, index: usize, rows: u64) {
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

    pub(super) fn finish_table(&mut self, index: usize) {
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
