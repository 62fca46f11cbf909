//! How far a connector's snapshot is, and when it may end.

use std::sync::atomic::Ordering::Relaxed;

use engine::metrics::{ConnectorMetrics, TableProgress};
use serde_json::{Value, json};

use crate::{herder::ConnectorView, lock};

/// Sums over the tables of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Totals {
    pub(crate) rows: u64,
    /// Rows expected, where the server has an estimate for every table; never less than what was read.
    pub(crate) expected: Option<u64>,
    pub(crate) remaining: usize,
    pub(crate) tables: usize,
}

pub(crate) fn totals(tables: &[TableProgress]) -> Totals {
    let expected = |table: &TableProgress| match table.done {
        true => Some(table.rows),
        false => table.estimate.map(|estimate| estimate.max(table.rows)),
    };
    Totals {
        rows: tables.iter().map(|table| table.rows).sum(),
        expected: if tables.is_empty() { None } else { tables.iter().map(expected).sum() },
        remaining: tables.iter().filter(|table| !table.done).count(),
        tables: tables.len(),
    }
}

/// Seconds since the snapshot began, or how long it took.
pub(crate) fn seconds(metrics: &ConnectorMetrics) -> u64 {
    let (began, ended) = (metrics.snapshot_started_ms.load(Relaxed), metrics.snapshot_ended_ms.load(Relaxed));
    if began == 0 {
        return 0;
    }
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    (if ended >= began { ended } else { now }).saturating_sub(began) / 1000
}

/// Seconds that are left at the rate so far.
pub(crate) fn eta_seconds(totals: &Totals, seconds: u64) -> Option<u64> {
    let left = totals.expected?.checked_sub(totals.rows)?;
    if left == 0 {
        return Some(0);
    }
    if totals.rows == 0 || seconds == 0 {
        return None;
    }
    Some((left as f64 * seconds as f64 / totals.rows as f64).ceil() as u64)
}

fn percent(rows: u64, expected: Option<u64>) -> Option<f64> {
    let expected = expected?;
    let share = if expected == 0 { 100.0 } else { rows as f64 * 100.0 / expected as f64 };
    Some((share * 10.0).round() / 10.0)
}

/// The progress page.
pub(super) fn of(view: &ConnectorView) -> Value {
    let state = view.status.tasks.get(&0).or(view.status.connector.as_ref()).map(|status| status.state.word());
    let Some(metrics) = &view.metrics else {
        return json!({"connector": view.name, "state": state, "snapshot": null});
    };
    let tables = lock(&metrics.tables).clone();
    let (totals, seconds) = (totals(&tables), seconds(metrics));
    let running = metrics.snapshot_running.load(Relaxed);
    let phase = match () {
        () if running => "running",
        () if metrics.snapshot_completed.load(Relaxed) => "completed",
        () if metrics.snapshot_aborted.load(Relaxed) => "aborted",
        () if metrics.snapshot_skipped.load(Relaxed) => "skipped",
        () => "not started",
    };
    let table = |table: &TableProgress| {
        let expected = if table.done { Some(table.rows) } else { table.estimate.map(|n| n.max(table.rows)) };
        json!({
            "table": table.table,
            "rows": table.rows,
            "estimate": table.estimate,
            "percent": percent(table.rows, expected),
            "done": table.done,
        })
    };
    let position: serde_json::Map<_, _> =
        lock(&metrics.position).iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect();
    json!({
        "connector": view.name,
        "state": state,
        "snapshot": {
            "phase": phase,
            "tables": totals.tables,
            "tables_remaining": totals.remaining,
            "rows": totals.rows,
            "rows_expected": totals.expected,
            "percent": percent(totals.rows, totals.expected),
            "seconds": seconds,
            "rows_per_second": totals.rows.checked_div(seconds),
            "eta_seconds": if running { eta_seconds(&totals, seconds) } else { None },
            "by_table": tables.iter().map(table).collect::<Vec<_>>(),
        },
        "streaming": {
            "connected": metrics.connected.load(Relaxed),
            "behind_ms": metrics.behind_ms.get(),
            "position": position,
        },
        "records_delivered": metrics.records_delivered.get(),
        "restarts": metrics.restarts.get(),
        "last_error": lock(&metrics.last_error).clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: u64, estimate: Option<u64>, done: bool) -> TableProgress {
        TableProgress { table: "d.t".to_owned(), rows, estimate, done }
    }

    #[test]
    fn estimates_what_is_left() {
        let sums = totals(&[table(100, Some(90), true), table(50, Some(150), false), table(0, Some(50), false)]);
        assert_eq!(sums, Totals { rows: 150, expected: Some(300), remaining: 2, tables: 3 });
        assert_eq!(eta_seconds(&sums, 10), Some(10));
        assert_eq!(eta_seconds(&sums, 0), None);
        assert_eq!(percent(sums.rows, sums.expected), Some(50.0));
        let unknown = totals(&[table(1, None, false)]);
        assert_eq!((unknown.expected, eta_seconds(&unknown, 5)), (None, None));
        assert_eq!(eta_seconds(&totals(&[table(7, Some(3), false)]), 5), Some(0));
    }
}
