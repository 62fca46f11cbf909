//! Supervision of one connector task: built anew for each run, contained when it panics, restarted after transient
//! failures, FAILED after definite ones.
//!
//! Decides nothing about rows or offsets; a run shares nothing with the one before it but the counters.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use engine::{
    error::{Failure, TaskError},
    metrics::ConnectorMetrics,
    plugin::{ConfigMap, ConnectorPlugin, Control, TaskContext},
};
use futures_util::FutureExt;
use record::{ConversionFailure, ProcessingFailure, RecordSettings};
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    RawConfig,
    backing::{Services, SinkRequest, State},
    converters::{self, Converter, Known, Role},
    share::{Pool, Share},
    status::StatusBoard,
    worker::WorkerConfig,
};

/// Longest pause between two restarts, unless `retriable.restart.connector.wait.ms` is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long an abandoned task may take to notice that its calls return early.
const ABANDON: Duration = Duration::from_secs(1);

/// What every task of a worker is built from.
pub(crate) struct Workshop {
    pub(crate) worker: Arc<WorkerConfig>,
    pub(crate) services: Arc<dyn Services>,
    pub(crate) board: Arc<StatusBoard>,
    pub(crate) memory: Arc<Pool>,
}

/// A task that was started.
pub(crate) struct Task {
    control: watch::Sender<Control>,
    abort: Arc<Mutex<Arc<AtomicBool>>>,
    join: JoinHandle<()>,
    pub(crate) metrics: Arc<ConnectorMetrics>,
}

/// What a task is started with.
pub(crate) struct Start {
    pub(crate) connector: String,
    pub(crate) plugin: Arc<dyn ConnectorPlugin>,
    pub(crate) config: RawConfig,
    pub(crate) control: Control,
    /// Counts the connector's incarnations; a run whose number is not the newest reports nothing.
    pub(crate) incarnation: Arc<AtomicU64>,
    /// Connectors that are about to start as well.
    pub(crate) waiting: usize,
}

impl Task {
    /// Starts a task.
    pub(crate) fn start(workshop: Arc<Workshop>, start: Start) -> Self {
        let (control, receiver) = watch::channel(start.control);
        let (abort, metrics) = (Arc::default(), Arc::new(ConnectorMetrics::default()));
        metrics.behind_ms.set(-1);
        let run = Run {
            workshop,
            number: start.incarnation.fetch_add(1, Ordering::SeqCst) + 1,
            start,
            control: receiver,
            abort: Arc::clone(&abort),
            metrics: metrics.clone(),
        };
        Self { control, abort, join: tokio::spawn(run.supervise()), metrics }
    }

    /// Whether it has ended, by itself or because it was told to.
    pub(crate) fn ended(&self) -> bool {
        self.join.is_finished()
    }

    /// Tells it what to do.
    pub(crate) fn control(&self, control: Control) {
        self.control.send_replace(control);
    }

    /// Ends it: drains for at most `timeout`, then abandons it. What an abandoned task still says is not heard.
    pub(crate) async fn stop(self, connector: &str, timeout: Duration, incarnation: &AtomicU64) {
        self.control(Control::Stop);
        let mut join = self.join;
        if tokio::time::timeout(timeout, &mut join).await.is_ok() {
            return;
        }
        tracing::warn!(
            connector,
            "Graceful stop of task {connector}-0 failed: it did not end within {} ms and is abandoned",
            timeout.as_millis()
        );
        incarnation.fetch_add(1, Ordering::SeqCst);
        crate::lock(&self.abort).store(true, Ordering::SeqCst);
        if tokio::time::timeout(ABANDON, &mut join).await.is_err() {
            join.abort();
        }
    }
}

struct Run {
    workshop: Arc<Workshop>,
    number: u64,
    start: Start,
    control: watch::Receiver<Control>,
    /// The flag of the run at hand. Each run has its own: what is left of one that ended must stay stopped.
    abort: Arc<Mutex<Arc<AtomicBool>>>,
    metrics: Arc<ConnectorMetrics>,
}

/// How restarts after transient failures are done.
struct Retries {
    wait: Duration,
    most: Option<u64>,
    done: u64,
}

impl Retries {
    fn new(config: &ConfigMap) -> Self {
        let number = |key: &str, default: i64| config.get(key).and_then(|v| v.trim().parse().ok()).unwrap_or(default);
        let wait = u64::try_from(number("retriable.restart.connector.wait.ms", 10_000)).unwrap_or_default();
        Self { wait: Duration::from_millis(wait), most: u64::try_from(number("errors.max.retries", -1)).ok(), done: 0 }
    }

    /// The pause before the next try, or `None` when none is left. Doubles from try to try, with up to a tenth more
    /// by chance, so that connectors that failed together do not come back together.
    fn next(&mut self) -> Option<Duration> {
        if self.most.is_some_and(|most| self.done >= most) {
            return None;
        }
        let factor = 1u32 << self.done.min(10);
        self.done += 1;
        let pause = self.wait.saturating_mul(factor).min(LONGEST_PAUSE.max(self.wait));
        Some(pause.mul_f64(1.0 + rand::random::<f64>() / 10.0))
    }
}

impl Run {
    fn name(&self) -> &str {
        &self.start.connector
    }

    fn current(&self) -> bool {
        self.start.incarnation.load(Ordering::SeqCst) == self.number
    }

    async fn supervise(mut self) {
        let mut retries: Option<Retries> = None;
        let mut delivered = 0;
        tracing::info!(connector = self.name(), "Creating task {}-0", self.name());
        loop {
            let result = self.once(&mut retries).await;
            let stopping = *self.control.borrow() == Control::Stop;
            let error = match result {
                Ok(()) if stopping => break,
                // A source that has nothing more to read (a snapshot without a stream) stays RUNNING until it is
                // stopped, as its Java task does.
                Ok(()) => {
                    while *self.control.borrow() != Control::Stop && self.control.changed().await.is_ok() {}
                    break;
                }
                Err(error) => error,
            };
            *crate::lock(&self.metrics.last_error) = Some(error.failure().message.clone());
            if stopping {
                tracing::warn!(connector = self.name(), "task {}-0 failed while it was stopped: {error}", self.name());
                break;
            }
            let now = self.metrics.records_delivered.get();
            let retries = retries.get_or_insert_with(|| Retries::new(&ConfigMap::new()));
            if now != delivered {
                (delivered, retries.done) = (now, 0);
            }
            let pause = if error.is_transient() { retries.next() } else { None };
            let Some(pause) = pause else {
                self.metrics.retrying_since_ms.set(0);
                self.fail(error);
                break;
            };
            self.metrics.restarts.add(1);
            if self.metrics.retrying_since_ms.get() == 0 {
                self.metrics.retrying_since_ms.set(jiff::Timestamp::now().as_millisecond());
            }
            tracing::warn!(
                connector = self.name(),
                "task {}-0 is restarted in {} ms from the stored offset: {error}",
                self.name(),
                pause.as_millis()
            );
            let stop =
                async { while *self.control.borrow() != Control::Stop && self.control.changed().await.is_ok() {} };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop => break,
            }
        }
        self.metrics.connected.store(false, Ordering::Relaxed);
    }

    /// One run, from building to end. A panic is a definite failure of this connector.
    async fn once(&mut self, retries: &mut Option<Retries>) -> Result<(), TaskError> {
        let share = self.workshop.memory.lend(self.start.waiting).ok_or_else(|| {
            TaskError::definite(
                "no memory is left for this connector: raise afterimage.memory.limit or run fewer connectors on this worker",
            )
        })?;
        self.start.waiting = 0;
        let config = self.resolved()?;
        if retries.is_none() {
            *retries = Some(Retries::new(&config));
        }
        let context = self.context(config, &share)?;
        let plugin = self.start.plugin.clone();
        let run = AssertUnwindSafe(async move { plugin.run(context).await }).catch_unwind();
        let result = run.await;
        drop(share);
        result.unwrap_or_else(|_| Err(TaskError::definite(PANIC)))
    }

    fn resolved(&self) -> Result<ConfigMap, TaskError> {
        self.workshop
            .worker
            .providers
            .resolve_config(&self.start.config)
            .map_err(|e| TaskError::definite(e.to_string()))
    }

    fn context(&self, config: ConfigMap, share: &Share) -> Result<TaskContext, TaskError> {
        let worker = &self.workshop.worker;
        let services = &self.workshop.services;
        let records = record_settings(worker, &*self.start.plugin, &config).map_err(TaskError::definite)?;
        let queue_bytes = share.queue();
        let abort = Arc::new(AtomicBool::new(false));
        *crate::lock(&self.abort) = abort.clone();
        let request = SinkRequest { connector: self.name(), config: &config, queue_bytes, abort: abort.clone() };
        let sink = services.sink(request)?;
        let (board, connector, plugin) =
            (self.workshop.board.clone(), self.name().to_owned(), self.start.plugin.clone());
        let (incarnation, number) = (self.start.incarnation.clone(), self.number);
        let (control, metrics) = (self.control.clone(), self.metrics.clone());
        let started = Box::new(move || {
            metrics.retrying_since_ms.set(0);
            if incarnation.load(Ordering::SeqCst) == number {
                let state = if *control.borrow() == Control::Pause { State::Paused } else { State::Running };
                tracing::info!(
                    connector,
                    "WorkerSourceTask{{id={connector}-0}} Source task finished initialization and start"
                );
                board.task(&connector, 0, state, None, Some(plugin.version()));
            }
        });
        let (board, connector) = (self.workshop.board.clone(), self.name().to_owned());
        let tracking = worker.topic_tracking;
        let topic_used = Box::new(move |topic: &str| {
            if tracking {
                board.topic_used(&connector, 0, topic);
            }
        });
        Ok(TaskContext {
            connector: self.name().to_owned(),
            config,
            records,
            sink,
            offsets: services.offsets().topic(),
            store: services.store(),
            history: services.history(),
            budget: share.budget(),
            control: self.control.clone(),
            metrics: self.metrics.clone(),
            started,
            topic_used,
            abort,
            flush_interval: worker.flush_interval,
            flush_timeout: worker.flush_timeout,
            shutdown_timeout: worker.shutdown_timeout,
            encoder_threads: worker.encoder_threads,
            boundary: None,
            delivery_timeout: None,
            cluster: services.cluster_id(),
        })
    }

    fn fail(&self, error: TaskError) {
        if !self.current() {
            return;
        }
        let connector = self.name();
        let failure = match error {
            TaskError::Transient(failure) => {
                let text = "An exception occurred in the change event producer. This connector will be stopped.";
                let mut outer = Failure::new(text).caused_by(format!("{}: {}", failure.class, failure.message));
                outer.causes.extend(failure.causes);
                outer
            }
            TaskError::Definite(failure) => failure,
        };
        let trace = failure.trace();
        tracing::error!(
            connector,
            "WorkerSourceTask{{id={connector}-0}} Task threw an uncaught and unrecoverable exception. Task is being \
             killed and will not recover until manually restarted\n{}",
            trace.trim_end()
        );
        self.workshop.board.task(connector, 0, State::Failed, Some(trace), Some(self.start.plugin.version()));
    }
}

/// A panic's own text may quote what was being worked on, rows included, so it stays out of traces.
const PANIC: &str = "the connector's task broke down on a fault of this program. No offset was moved by it. Please \
                     report it with the lines that were written to standard error, after looking through them for data";

/// The converter for a role: the connector's own with its own options, or the worker's with the worker's.
pub(crate) fn converter(worker: &WorkerConfig, role: Role, config: &ConfigMap) -> Result<Converter, String> {
    let own = match role {
        Role::Key => worker.key_converter,
        Role::Value => worker.value_converter,
        Role::Header => worker.header_converter,
    };
    let Some(name) = config.get(role.key()) else { return Ok(own) };
    match converters::known(role, name.trim()) {
        Known::Here(class) => converters::read(class, role.key(), config)
            .map_err(|errors| errors.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ")),
        _ => Err(converters::refusal(role, name.trim())),
    }
}

/// `mysql`, `mariadb` or `postgresql`: the plugin's name as Debezium's headers and metrics give it.
pub(crate) fn plugin_name(plugin: &dyn ConnectorPlugin) -> &'static str {
    plugin.class().rsplit('.').nth(1).unwrap_or_else(|| plugin.class())
}

/// `topic.prefix`, the logical name of the source.
pub(crate) fn logical_name(plugin: &dyn ConnectorPlugin, config: &ConfigMap) -> String {
    match plugin.partition(config).get("server") {
        Some(Value::String(name)) => name.clone(),
        _ => config.get("topic.prefix").cloned().unwrap_or_default(),
    }
}

fn record_settings(
    worker: &WorkerConfig,
    plugin: &dyn ConnectorPlugin,
    config: &ConfigMap,
) -> Result<RecordSettings, String> {
    let flag = |key: &str, default| config.get(key).and_then(|v| converters::parse_bool(v)).unwrap_or(default);
    let mut settings = RecordSettings {
        key: converter(worker, Role::Key, config)?.json(),
        value: converter(worker, Role::Value, config)?.json(),
        header: converter(worker, Role::Header, config)?.header(),
        tombstones: flag("tombstones.on.delete", true),
        skip_unchanged: flag("skip.messages.without.change", false),
        adjust_years: flag("enable.time.adjuster", true),
        ..RecordSettings::default()
    };
    let mode = config.get("event.converting.failure.handling.mode").map(|mode| mode.trim().to_ascii_lowercase());
    settings.conversion_failure = match mode.as_deref() {
        Some("fail") => ConversionFailure::Fail,
        Some("skip") => ConversionFailure::Skip,
        _ => ConversionFailure::Warn,
    };
    // The older name counts while the newer one is not set.
    let mode = ["event.processing.failure.handling.mode", "event.deserialization.failure.handling.mode"]
        .iter()
        .find_map(|name| config.get(*name))
        .map(|mode| mode.trim().to_ascii_lowercase());
    settings.processing_failure = match mode.as_deref() {
        Some("warn") => ProcessingFailure::Warn,
        Some("skip" | "ignore") => ProcessingFailure::Skip,
        _ => ProcessingFailure::Fail,
    };
    if flag("extended.headers.enabled", true) {
        let logical = logical_name(plugin, config);
        let run = uuid::Uuid::now_v7().to_string();
        settings.context_headers = [
            ("connectorLogicalName", logical.as_str()),
            ("taskId", "0"),
            ("connectorName", plugin_name(plugin)),
            ("runId", run.as_str()),
        ]
        .into_iter()
        .map(|(name, value)| (format!("__debezium.context.{name}").into(), value.into()))
        .collect();
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_end() {
        let config = |max: &str| ConfigMap::from([("errors.max.retries".to_owned(), max.to_owned())]);
        let mut retries = Retries::new(&config("3"));
        let pauses: Vec<_> = std::iter::from_fn(|| retries.next()).map(|pause| pause.as_secs()).collect();
        assert!(matches!(pauses[..], [10 | 11, 20..=22, 40..=44]), "{pauses:?}");
        assert!(Retries::new(&config("0")).next().is_none());
        let mut endless = Retries::new(&config("-1"));
        assert!((0..100).all(|_| endless.next().is_some_and(|pause| pause <= Duration::from_secs(66))));
    }
}
