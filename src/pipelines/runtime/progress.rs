//! What a run of any pipeline knows about itself, for its HTTP endpoints: counters, lag by partition, what it waits for,
//! the last error. What only one pipeline counts is that pipeline's business.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde::Serialize;
use serde_json::{Value, json};

use super::metrics::Page;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it.
    pub fn add(&self, n: usize) {
        self.0.fetch_add(n.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    /// What it is now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a partition stands.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Place {
    /// Next offset to process.
    pub position: i64,
    /// Last stable offset.
    pub end: i64,
}

/// What one worker does, in words.
#[derive(Debug, Clone, Serialize)]
pub struct Worker {
    /// What it reads.
    pub topic: String,
    /// [`RUNNING`], or what it waits for.
    pub doing: String,
}

/// Shared by all workers of a run.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    ready_lag_max: i64,
    /// Changes met again after an interruption.
    pub repeats: Count,
    /// Records that could not be processed.
    pub dead_letters: Count,
    /// Kafka transactions committed.
    pub transactions: Count,
    /// Times a worker began again after a failure.
    pub restarts: Count,
    tables: &'static [&'static str],
    changes: Mutex<BTreeMap<&'static str, u64>>,
    places: Mutex<BTreeMap<(String, i32), Place>>,
    workers: Mutex<BTreeMap<String, Worker>>,
    last_error: Mutex<Option<(jiff::Timestamp, String)>>,
}

/// What a worker does when all is well.
pub const RUNNING: &str = "running";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    /// Of a pipeline that counts the changes of these tables, ready up to this lag.
    pub fn new(tables: &'static [&'static str], ready_lag_max: i64) -> Self {
        Self {
            started: Instant::now(),
            ready_lag_max,
            tables,
            changes: Mutex::default(),
            repeats: Count::default(),
            dead_letters: Count::default(),
            transactions: Count::default(),
            restarts: Count::default(),
            places: Mutex::default(),
            workers: Mutex::default(),
            last_error: Mutex::default(),
        }
    }

    /// Changes of a table were applied.
    pub fn changed(&self, table: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let mut changes = lock(&self.changes);
        let total = changes.entry(table).or_default();
        *total = total.saturating_add(count);
    }

    fn changes(&self) -> BTreeMap<&'static str, u64> {
        let mut changes: BTreeMap<&'static str, u64> = self.tables.iter().map(|table| (*table, 0)).collect();
        changes.extend(lock(&self.changes).iter());
        changes
    }

    /// Where a partition stands now.
    pub fn place(&self, topic: &str, partition: i32, place: Place) {
        lock(&self.places).insert((topic.to_owned(), partition), place);
    }

    /// A partition was worked off up to `position`.
    pub fn moved(&self, topic: &str, partition: i32, position: i64) {
        if let Some(place) = lock(&self.places).get_mut(&(topic.to_owned(), partition)) {
            place.position = position;
            place.end = place.end.max(position);
        }
    }

    /// A partition is not ours any more.
    pub fn forget(&self, topic: &str, partition: i32) {
        lock(&self.places).remove(&(topic.to_owned(), partition));
    }

    /// What a worker does, in words; [`RUNNING`] when it waits for nothing but records.
    pub fn doing(&self, worker: &str, topic: &str, doing: impl Into<String>) {
        lock(&self.workers).insert(worker.to_owned(), Worker { topic: topic.to_owned(), doing: doing.into() });
    }

    /// A worker has ended its work.
    pub fn done(&self, worker: &str) {
        lock(&self.workers).remove(worker);
    }

    /// Keeps the last error.
    pub fn error(&self, text: &str) {
        *lock(&self.last_error) = Some((jiff::Timestamp::now(), text.to_owned()));
    }

    fn lag(&self) -> i64 {
        lock(&self.places).values().map(|place| (place.end - place.position).max(0)).sum()
    }

    /// Whether all workers run and have caught up, with the lag and what keeps it from being ready.
    pub fn ready(&self) -> (bool, Value) {
        let lag = self.lag();
        let waiting: Vec<String> = lock(&self.workers)
            .iter()
            .filter(|(_, worker)| worker.doing != RUNNING)
            .map(|(name, worker)| format!("{name} ({}): {}", worker.topic, worker.doing))
            .collect();
        let any = !lock(&self.workers).is_empty();
        let ready = any && waiting.is_empty() && lag <= self.ready_lag_max;
        (ready, json!({"ready": ready, "lag": lag, "waiting": waiting}))
    }

    /// Everything, for the page and `status`.
    pub fn describe(&self) -> Value {
        let (ready, _) = self.ready();
        let partitions: Vec<Value> = lock(&self.places)
            .iter()
            .map(|((topic, partition), place)| {
                json!({"topic": topic, "partition": partition, "position": place.position, "end": place.end,
                       "lag": (place.end - place.position).max(0)})
            })
            .collect();
        let error = lock(&self.last_error).clone();
        json!({
            "ready": ready,
            "uptime_s": self.started.elapsed().as_secs(),
            "lag": self.lag(),
            "changes": self.changes(),
            "dead_letters": self.dead_letters.get(),
            "restarts": self.restarts.get(),
            "workers": &*lock(&self.workers),
            "partitions": partitions,
            "last_error": error.map(|(at, text)| json!({"at": at.to_string(), "message": text})),
        })
    }

    /// The metrics that every pipeline has.
    pub fn metrics(&self, page: &mut Page) {
        page.metric(
            "afterimage_pipeline_changes_total",
            "counter",
            "Changes applied, by table.",
            self.changes().into_iter().map(|(table, count)| (vec![("table", table.to_owned())], count)),
        );
        for (name, help, count) in [
            (
                "afterimage_pipeline_repeats_total",
                "Changes met again after an interruption; they changed nothing.",
                &self.repeats,
            ),
            ("afterimage_pipeline_dead_letters_total", "Records that could not be processed.", &self.dead_letters),
            ("afterimage_pipeline_transactions_total", "Kafka transactions committed.", &self.transactions),
            ("afterimage_pipeline_restarts_total", "Times a worker began again after a failure.", &self.restarts),
        ] {
            page.metric(name, "counter", help, [(vec![], count.get())]);
        }
        let places = lock(&self.places).clone();
        page.metric(
            "afterimage_pipeline_lag",
            "gauge",
            "Records not yet processed, by partition.",
            places.iter().map(|((topic, partition), place)| {
                (
                    vec![("topic", topic.clone()), ("partition", partition.to_string())],
                    (place.end - place.position).max(0),
                )
            }),
        );
        page.metric("afterimage_pipeline_ready", "gauge", "1 when caught up.", [(vec![], u8::from(self.ready().0))]);
    }
}
