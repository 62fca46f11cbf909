//! What a run knows about itself, for the HTTP endpoints: counters, lag by partition, what it waits for, the last error.

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

use crate::runtime::metrics::Page;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a partition stands.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Place {
    /// Next offset to process.
    pub(crate) position: i64,
    /// Last stable offset.
    pub(crate) end: i64,
}

/// What one worker does, in words.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Worker {
    pub(crate) topic: String,
    pub(crate) doing: String,
}

#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    ready_lag_max: i64,
    pub(crate) changes_orders: Count,
    pub(crate) changes_details: Count,
    pub(crate) repeats: Count,
    pub(crate) completed: Count,
    pub(crate) dead_letters: Count,
    pub(crate) transactions: Count,
    pub(crate) restarts: Count,
    places: Mutex<BTreeMap<(String, i32), Place>>,
    workers: Mutex<BTreeMap<String, Worker>>,
    last_error: Mutex<Option<(jiff::Timestamp, String)>>,
}

pub(crate) const RUNNING: &str = "running";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    pub(crate) fn new(ready_lag_max: i64) -> Self {
        Self {
            started: Instant::now(),
            ready_lag_max,
            changes_orders: Count::default(),
            changes_details: Count::default(),
            repeats: Count::default(),
            completed: Count::default(),
            dead_letters: Count::default(),
            transactions: Count::default(),
            restarts: Count::default(),
            places: Mutex::default(),
            workers: Mutex::default(),
            last_error: Mutex::default(),
        }
    }

    pub(crate) fn place(&self, topic: &str, partition: i32, place: Place) {
        lock(&self.places).insert((topic.to_owned(), partition), place);
    }

    pub(crate) fn moved(&self, topic: &str, partition: i32, position: i64) {
        if let Some(place) = lock(&self.places).get_mut(&(topic.to_owned(), partition)) {
            place.position = position;
            place.end = place.end.max(position);
        }
    }

    pub(crate) fn forget(&self, topic: &str, partition: i32) {
        lock(&self.places).remove(&(topic.to_owned(), partition));
    }

    pub(crate) fn doing(&self, worker: &str, topic: &str, doing: impl Into<String>) {
        lock(&self.workers).insert(worker.to_owned(), Worker { topic: topic.to_owned(), doing: doing.into() });
    }

    pub(crate) fn error(&self, text: &str) {
        *lock(&self.last_error) = Some((jiff::Timestamp::now(), text.to_owned()));
    }

    fn lag(&self) -> i64 {
        lock(&self.places).values().map(|place| (place.end - place.position).max(0)).sum()
    }

    /// Whether all workers run and have caught up, with the lag and what keeps it from being ready.
    pub(crate) fn ready(&self) -> (bool, Value) {
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
    pub(crate) fn describe(&self) -> Value {
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
            "orders_completed": self.completed.get(),
            "changes": {"orders": self.changes_orders.get(), "order_details": self.changes_details.get()},
            "dead_letters": self.dead_letters.get(),
            "restarts": self.restarts.get(),
            "workers": &*lock(&self.workers),
            "partitions": partitions,
            "last_error": error.map(|(at, text)| json!({"at": at.to_string(), "message": text})),
        })
    }

    pub(crate) fn metrics(&self) -> String {
        let mut page = Page::default();
        let label = |name: &'static str, value: &str| vec![(name, value.to_owned())];
        page.metric(
            "afterimage_pipeline_changes_total",
            "counter",
            "Changes applied, by table.",
            [
                (label("table", "orders"), self.changes_orders.get()),
                (label("table", "order_details"), self.changes_details.get()),
            ],
        );
        for (name, help, count) in [
            (
                "afterimage_pipeline_repeats_total",
                "Changes met again after an interruption; they changed nothing.",
                &self.repeats,
            ),
            ("afterimage_pipeline_orders_completed_total", "Orders announced.", &self.completed),
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
        page.finish()
    }
}
