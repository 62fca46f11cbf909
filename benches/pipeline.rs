//! The whole pipeline of a connector over a recorded binlog file: decode, assemble, encode, hand over.
//!
//! `cargo bench --bench pipeline -- FILE [BOOTSTRAP] [RUNS] [QUEUE_BYTES]`: to a sink that drops everything, and with BOOTSTRAP to a
//! real broker, as the daemon does it: same engine, same shares of memory, lz4. The file must hold its tables' CREATE
//! statements; `benches/backlog DIR` makes one. Without FILE, as under a plain `cargo bench`, it says so and ends.
//! Prints rows/s, CPU us/row (user and system time of this process) and the process's peak memory.
#![allow(clippy::print_stdout, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a program of its own: its main thread may wait")]

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use engine::{
    batch::Ack,
    budget::Budget,
    error::TaskError,
    metrics::ConnectorMetrics,
    plugin::{ConfigMap, Control, TaskContext},
    port::{CheckpointStore, OffsetTopic, SavedCheckpoint, SchemaHistory, SchemaHistoryOpener, Sink, StoredOffset},
};
use futures_util::future::BoxFuture;
use kafka::{
    producer::KafkaSink,
    settings::{Role, Settings},
};
use model::OffsetMap;
use mysql_protocol::{event::EventBody, file::FileReader, rows::RowCells};
use record::{JsonSettings, RecordBuffer, RecordSettings};
use tokio::sync::watch;

/// What one connector alone gets of the default `afterimage.memory.limit` of 128 MiB: half of it is for batches, and
/// half of that is kept back for connectors that come later.
const SHARE: usize = 32 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(file) = args.next().map(PathBuf::from) else {
        println!("pipeline: name a binlog file, made with benches/backlog DIR");
        return Ok(());
    };
    let bootstrap = args.next();
    let runs: usize = args.next().map_or(Ok(3), |n| n.parse())?;
    let queue: u64 = args.next().map_or(Ok(SHARE as u64 / 3), |n| n.parse())?;
    let rows = count_rows(&file)?;
    println!("{}: {rows} rows, {} MB", file.display(), fs::metadata(&file)?.len() >> 20);
    for _ in 0..runs {
        let delivered = Arc::new(AtomicI64::new(0));
        measure("null sink", &file, rows, delivered.clone(), Box::new(NullSink { delivered }))?;
    }
    if let Some(bootstrap) = bootstrap {
        for _ in 0..runs {
            let delivered = Arc::new(AtomicI64::new(0));
            let settings = producer(&bootstrap)?;
            let sink = KafkaSink::new(settings, queue, None, Arc::new(AtomicBool::new(false)))?;
            let sink = Box::new(CountingSink { sink, delivered: delivered.clone() });
            measure("broker, lz4", &file, rows, delivered, sink)?;
        }
    }
    Ok(())
}

fn producer(bootstrap: &str) -> Result<Settings, Box<dyn Error>> {
    let java: BTreeMap<String, String> = [("bootstrap.servers", bootstrap), ("compression.type", "lz4")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    Settings::translate(Role::Producer, &java).map_err(|problems| format!("{problems:?}").into())
}

/// The row changes of a file, which is what the sink must get.
fn count_rows(file: &Path) -> Result<i64, Box<dyn Error>> {
    let mut reader = FileReader::new(1 << 30);
    reader.feed(&fs::read(file)?);
    let (mut rows, mut cells, mut columns) = (0, RowCells::default(), Vec::new());
    while let Some(event) = reader.poll()? {
        match event.event.body {
            EventBody::TableMap(map) => map.columns(&mut columns)?,
            EventBody::Rows(event) => {
                let mut walk = event.reader(&columns)?;
                while walk.next_row(&mut cells)? {
                    rows += 1;
                }
            }
            _ => {}
        }
    }
    Ok(rows)
}

fn measure(
    name: &str,
    file: &Path,
    rows: i64,
    delivered: Arc<AtomicI64>,
    sink: Box<dyn Sink>,
) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (control_to, control) = watch::channel(Control::Run);
    let task = task(control, sink);
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    let running = runtime.spawn(mysql::replay::run(file.to_owned(), task));
    while delivered.load(Relaxed) < rows && !running.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    control_to.send_replace(Control::Stop);
    runtime.block_on(running)??;
    println!(
        "{name:12} {:9.0} rows/s  {:.2} us CPU a row  {:4} MB peak",
        rows as f64 / elapsed,
        cpu * 1e6 / rows as f64,
        peak_megabytes()?
    );
    Ok(())
}

fn task(control: watch::Receiver<Control>, sink: Box<dyn Sink>) -> TaskContext {
    let config: ConfigMap = [
        ("topic.prefix", "pipeline"),
        ("database.hostname", "nowhere.invalid"),
        ("database.user", "nobody"),
        ("database.server.id", "1"),
        ("include.schema.changes", "false"),
        ("schema.history.internal.kafka.bootstrap.servers", "nowhere.invalid:9092"),
        ("schema.history.internal.kafka.topic", "history"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let json = JsonSettings { schemas_enable: false, ..JsonSettings::default() };
    // As many as the daemon's records have.
    let context =
        [("connectorLogicalName", "pipeline"), ("taskId", "0"), ("connectorName", "mysql"), ("connectorId", "p")];
    let context_headers =
        context.map(|(name, value)| (format!("__debezium.context.{name}").into(), value.into())).to_vec();
    let records = RecordSettings { key: json, value: json, context_headers, ..RecordSettings::default() };
    TaskContext {
        connector: "pipeline".into(),
        config,
        records,
        sink,
        offsets: Arc::new(Forgetful::default()),
        store: Arc::new(Forgetful::default()),
        history: Arc::new(Forgetful::default()),
        budget: Budget::new(SHARE - SHARE / 3),
        control,
        metrics: Arc::new(ConnectorMetrics::default()),
        started: Box::new(|| {}),
        topic_used: Box::new(|_| {}),
        abort: Arc::new(AtomicBool::new(false)),
        flush_interval: Duration::from_secs(1),
        flush_timeout: Duration::from_secs(5),
        shutdown_timeout: Duration::from_secs(5),
        encoder_threads: 1,
        boundary: None,
        delivery_timeout: None,
        cluster: None,
    }
}

/// Drops records and reports them delivered at once.
struct NullSink {
    delivered: Arc<AtomicI64>,
}

impl Sink for NullSink {
    fn produce(&mut self, records: &RecordBuffer, ack: Ack) -> Result<(), TaskError> {
        ack.delivered();
        self.delivered.fetch_add(records.records().len() as i64, Relaxed);
        Ok(())
    }

    fn flush(&mut self, _: Duration) {}

    fn take_new_topics(&mut self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

/// Kafka, with the records counted once they are accepted; the rest is waited for at the end.
struct CountingSink {
    sink: KafkaSink,
    delivered: Arc<AtomicI64>,
}

impl Sink for CountingSink {
    fn produce(&mut self, records: &RecordBuffer, ack: Ack) -> Result<(), TaskError> {
        self.sink.produce(records, ack)?;
        self.delivered.fetch_add(records.records().len() as i64, Relaxed);
        Ok(())
    }

    fn flush(&mut self, timeout: Duration) {
        self.sink.flush(timeout);
    }

    fn take_new_topics(&mut self) -> Vec<Arc<str>> {
        self.sink.take_new_topics()
    }
}

/// Stores that are empty and stay so.
#[derive(Default)]
struct Forgetful {
    offset: AtomicU64,
}

impl OffsetTopic for Forgetful {
    fn read<'a>(&'a self, _: &'a str, _: &'a OffsetMap) -> BoxFuture<'a, Result<Option<StoredOffset>, TaskError>> {
        Box::pin(async { Ok(None) })
    }

    fn write<'a>(
        &'a self,
        _: &'a str,
        _: &'a OffsetMap,
        _: Option<&'a OffsetMap>,
    ) -> BoxFuture<'a, Result<(i32, i64), TaskError>> {
        Box::pin(async { Ok((0, self.offset.fetch_add(1, Relaxed) as i64)) })
    }
}

impl CheckpointStore for Forgetful {
    fn load(&self, _: &str, _: &OffsetMap) -> Result<Option<SavedCheckpoint>, TaskError> {
        Ok(None)
    }

    fn save(&self, _: &str, _: &OffsetMap, _: &SavedCheckpoint) -> Result<(), TaskError> {
        Ok(())
    }

    fn remove(&self, _: &str, _: &OffsetMap) -> Result<(), TaskError> {
        Ok(())
    }
}

impl SchemaHistory for Forgetful {
    fn ensure(&self) -> BoxFuture<'_, Result<(), TaskError>> {
        Box::pin(async { Ok(()) })
    }

    fn read(&self) -> BoxFuture<'_, Result<Option<Vec<String>>, TaskError>> {
        Box::pin(async { Ok(None) })
    }

    fn append<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), TaskError>> {
        Box::pin(async { Ok(()) })
    }
}

impl SchemaHistoryOpener for Forgetful {
    fn open(&self, _: &str, _: &ConfigMap) -> Result<Arc<dyn SchemaHistory>, TaskError> {
        Ok(Arc::new(Forgetful::default()))
    }
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) / 100.0)
}

fn peak_megabytes() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or("0").parse::<u64>()? >> 10)
}
