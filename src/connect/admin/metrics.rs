//! The metrics page: Debezium's MBean attributes under the names that its users chart, Connect's usual families, our
//! own, and the process.

use std::sync::atomic::Ordering::Relaxed;

use engine::metrics::ConnectorMetrics;

use super::{
    families::{Families, Kind::*},
    progress,
};
use crate::{backing::State, herder::ConnectorView, lock, task::plugin_name};

/// Kernel ticks a second, in which /proc counts CPU time on Linux.
const TICKS: f64 = 100.0;
/// Bytes of a page, in which /proc counts memory on x86-64.
const PAGE: f64 = 4096.0;

/// The whole page.
pub(super) fn page(connectors: &[ConnectorView], started_ms: i64) -> String {
    let mut out = Families::default();
    out.add(Gauge, "afterimage_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    worker(&mut out, connectors);
    for connector in connectors {
        status(&mut out, connector);
        if let Some(metrics) = &connector.metrics {
            own(&mut out, &connector.name, metrics);
            connect(&mut out, &connector.name, metrics);
            debezium(&mut out, connector, metrics);
        }
    }
    process(&mut out, started_ms);
    out.text()
}

fn number(n: impl TryInto<i64>) -> f64 {
    n.try_into().map_or(f64::NAN, |n| n as f64)
}

fn flag(flag: &std::sync::atomic::AtomicBool) -> f64 {
    f64::from(u8::from(flag.load(Relaxed)))
}

fn worker(out: &mut Families, connectors: &[ConnectorView]) {
    out.add(Gauge, "kafka_connect_worker_connector_count", &[], number(connectors.len()));
    let tasks: usize = connectors.iter().map(|connector| connector.status.tasks.len()).sum();
    out.add(Gauge, "kafka_connect_worker_task_count", &[], number(tasks));
}

fn status(out: &mut Families, view: &ConnectorView) {
    let name = view.name.as_str();
    if let Some(status) = &view.status.connector {
        let state = status.state.word().to_ascii_lowercase();
        out.add(Gauge, "kafka_connect_connector_status", &[("connector", name), ("status", &state)], 1);
    }
    for (task, status) in &view.status.tasks {
        let (task, state) = (task.to_string(), status.state.word().to_ascii_lowercase());
        let labels = [("connector", name), ("task", task.as_str()), ("status", state.as_str())];
        out.add(Gauge, "kafka_connect_connector_task_status", &labels, 1);
    }
    let in_state = |state| number(view.status.tasks.values().filter(|status| status.state == state).count());
    for (word, state) in [
        ("running", State::Running),
        ("paused", State::Paused),
        ("failed", State::Failed),
        ("unassigned", State::Unassigned),
        ("restarting", State::Restarting),
    ] {
        let family = format!("kafka_connect_worker_connector_{word}_task_count");
        out.add(Gauge, &family, &[("connector", name)], in_state(state));
    }
}

/// Our own counters.
fn own(out: &mut Families, connector: &str, m: &ConnectorMetrics) {
    let labels = [("connector", connector)];
    for (name, value) in [
        ("afterimage_rows_read_total", &m.rows_read),
        ("afterimage_log_bytes_read_total", &m.bytes_read),
        ("afterimage_log_events_skipped_total", &m.events_skipped),
        ("afterimage_rows_filtered_total", &m.events_filtered),
        ("afterimage_values_unconvertible_total", &m.erroneous),
        ("afterimage_transactions_total", &m.transactions),
        ("afterimage_records_produced_total", &m.records_produced),
        ("afterimage_records_delivered_total", &m.records_delivered),
        ("afterimage_checkpoints_stored_total", &m.checkpoints_stored),
        ("afterimage_offsets_committed_total", &m.offsets_committed),
        ("afterimage_source_disconnects_total", &m.disconnects),
        ("afterimage_task_restarts_total", &m.restarts),
    ] {
        out.add(Counter, name, &labels, number(value.get()));
    }
    for (name, value) in
        [("afterimage_batches_in_flight", &m.batches_in_flight), ("afterimage_in_flight_bytes", &m.bytes_in_flight)]
    {
        out.add(Gauge, name, &labels, number(value.get()));
    }
    out.add(Gauge, "afterimage_source_connected", &labels, flag(&m.connected));
    let tables = lock(&m.tables).clone();
    let (totals, seconds) = (progress::totals(&tables), progress::seconds(m));
    out.add(Gauge, "afterimage_snapshot_running", &labels, flag(&m.snapshot_running));
    out.add(Gauge, "afterimage_snapshot_rows", &labels, number(totals.rows));
    if let Some(expected) = totals.expected.filter(|_| totals.tables > 0) {
        out.add(Gauge, "afterimage_snapshot_rows_expected", &labels, number(expected));
        if m.snapshot_running.load(Relaxed)
            && let Some(eta) = progress::eta_seconds(&totals, seconds)
        {
            out.add(Gauge, "afterimage_snapshot_eta_seconds", &labels, number(eta));
        }
    }
}

/// Kafka Connect's task metrics.
fn connect(out: &mut Families, connector: &str, m: &ConnectorMetrics) {
    let labels = [("connector", connector), ("task", "0")];
    let name = |attribute: &str| format!("kafka_connect_source_task_source_record_{attribute}");
    out.add(Counter, &name("poll_total"), &labels, number(m.records_produced.get()));
    out.add(Counter, &name("write_total"), &labels, number(m.records_delivered.get()));
    out.add(Gauge, &name("active_count"), &labels, number(m.records_active.get()));
    out.add(Counter, "kafka_connect_task_error_total_record_errors", &labels, number(m.erroneous.get()));
}

/// Debezium's attributes, per context.
fn debezium(out: &mut Families, view: &ConnectorView, m: &ConnectorMetrics) {
    let plugin = view.plugin.as_deref().map(plugin_name).unwrap_or_default();
    // Debezium's MBeans call PostgreSQL `postgres`, its headers `postgresql`.
    let plugin = if plugin == "postgresql" { "postgres" } else { plugin };
    let server = view.logical_name.as_str();
    let mut put = |context: &str, attribute: &str, value: f64| {
        let labels = [("context", context), ("name", server), ("server", server), ("plugin", plugin)];
        out.add(Gauge, &format!("debezium_metrics_{attribute}"), &labels, value);
    };
    let last_ms = m.last_event_ms.get();
    let since = if last_ms == 0 { -1 } else { (jiff::Timestamp::now().as_millisecond() - last_ms).max(0) };
    let changes = [m.creates.get(), m.updates.get(), m.deletes.get()];
    let tables = lock(&m.tables).clone();
    let totals = progress::totals(&tables);
    // Rows of the snapshot are reads, which Debezium counts in its snapshot context only.
    for (context, seen) in [("snapshot", number(totals.rows)), ("streaming", number(changes.iter().sum::<i64>()))] {
        put(context, "TotalNumberOfEventsSeen", seen);
        put(context, "MilliSecondsSinceLastEvent", number(since));
        put(context, "NumberOfEventsFiltered", number(m.events_filtered.get()));
        put(context, "NumberOfErroneousEvents", number(m.erroneous.get()));
        put(context, "CurrentQueueSizeInBytes", number(m.bytes_in_flight.get()));
    }
    for (attribute, value) in ["Create", "Update", "Delete"].into_iter().zip(changes) {
        put("streaming", &format!("TotalNumberOf{attribute}EventsSeen"), number(value));
    }
    put("snapshot", "TotalTableCount", number(totals.tables));
    put("snapshot", "RemainingTableCount", number(totals.remaining));
    put("snapshot", "SnapshotRunning", flag(&m.snapshot_running));
    put("snapshot", "SnapshotCompleted", flag(&m.snapshot_completed));
    put("snapshot", "SnapshotAborted", flag(&m.snapshot_aborted));
    put("snapshot", "SnapshotSkipped", flag(&m.snapshot_skipped));
    put("snapshot", "SnapshotPaused", 0.0);
    put("snapshot", "SnapshotDurationInSeconds", number(progress::seconds(m)));
    put("snapshot", "HoldingGlobalLock", flag(&m.holding_global_lock));
    put("streaming", "Connected", flag(&m.connected));
    put("streaming", "MilliSecondsBehindSource", number(m.behind_ms.get()));
    put("streaming", "NumberOfCommittedTransactions", number(m.transactions.get()));
    put("streaming", "NumberOfSkippedEvents", number(m.events_skipped.get()));
    put("streaming", "NumberOfDisconnects", number(m.disconnects.get()));
    let position = lock(&m.position).clone();
    if let Some(pos) = position.iter().find(|(key, _)| key == "pos").and_then(|(_, pos)| pos.parse::<i64>().ok()) {
        put("streaming", "BinlogPosition", number(pos));
    }
    for table in &tables {
        let labels = [
            ("context", "snapshot"),
            ("name", server),
            ("server", server),
            ("plugin", plugin),
            ("table", table.table.as_str()),
        ];
        out.add(Gauge, "debezium_metrics_RowsScanned", &labels, number(table.rows));
    }
}

/// The process, under Prometheus's usual names.
fn process(out: &mut Families, started_ms: i64) {
    let field = |text: &str, at: usize| text.split_ascii_whitespace().nth(at).and_then(|n| n.parse::<f64>().ok());
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    for (name, at) in [("process_virtual_memory_bytes", 0), ("process_resident_memory_bytes", 1)] {
        if let Some(pages) = field(&statm, at) {
            out.add(Gauge, name, &[], pages * PAGE);
        }
    }
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks; the fields after it begin with the state, field 3 of proc(5).
    let after = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    if let (Some(user), Some(system)) = (field(after, 11), field(after, 12)) {
        out.add(Counter, "process_cpu_seconds_total", &[], (user + system) / TICKS);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        out.add(Gauge, "process_open_fds", &[], number(files.count()));
    }
    out.add(Gauge, "process_start_time_seconds", &[], started_ms as f64 / 1000.0);
}
