//! Carries out what the core decides: starts the reader, encoder and producer of one task, moves words between
//! them and the core, and ends when the core says so. Holds no policy.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use model::{OffsetMap, Position, Seq};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::{
    batch::Settled,
    budget::Budget,
    core::{Action, Core, CoreSettings, Input},
    encoder::{Encoders, Producer},
    error::{Failure, TaskError},
    metrics::ConnectorMetrics,
    plugin::{Control, TaskContext},
    port::{CheckpointStore, OffsetTopic, SavedCheckpoint},
    sender::{BatchSender, BatchSettings, Reading, Stopped},
    source::{Limits, Source, StartPlan},
    start::{Origin, origin},
};

/// Batches in flight between reader and settlement: enough for Kafka's round trip at full rate, few enough that
/// queues stay short. Also the capacity of every channel of the pipeline.
const IN_FLIGHT_MAX: usize = 256;
/// Rows of a batch at most, whatever the source allows: later ones would only wait longer.
const BATCH_ROWS_MAX: usize = 8192;
/// Batches waiting for an encoder at most: further ahead the reader gains nothing.
const ENCODER_QUEUE_MAX: usize = 16;
/// Shortest time between two synced stores.
const STORE_INTERVAL: Duration = Duration::from_millis(100);

/// Runs one task of a source until it is stopped or fails.
///
/// # Errors
/// What ended the task, to be restarted (transient) or shown as FAILED (definite).
pub async fn run<S: Source>(mut source: S, partition: OffsetMap, task: TaskContext) -> Result<(), TaskError> {
    let keeper = Keeper {
        connector: task.connector.clone(),
        partition,
        store: task.store.clone(),
        offsets: task.offsets.clone(),
        cluster: task.cluster.clone(),
        published_at: Arc::new(Mutex::new(None)),
    };
    let stored = keeper.load::<S::Position>().await?;
    let mut control = task.control.clone();
    let plan = tokio::select! {
        plan = source.prepare(stored) => plan?,
        _ = control.wait_for(|control| *control == Control::Stop) => return Ok(()),
    };
    (task.started)();

    let (batch, queue) = sizes(source.limits(), task.budget.limit());
    let (reading_to, reading) = watch::channel(Reading::Go);
    let (batches_to, batches) = mpsc::channel(queue);
    let (reads_to, reads) = mpsc::channel(IN_FLIGHT_MAX);
    let (settled_to, settled) = mpsc::channel(IN_FLIGHT_MAX * 2);
    let (encoded_to, encoded) = std::sync::mpsc::sync_channel(queue);
    let (arenas, buffers) = (Default::default(), Default::default());
    let settings = Arc::new(task.records);
    let encoders = Arc::new(Encoders {
        batches: Mutex::new(batches),
        encoded: encoded_to,
        settings,
        arenas: Arc::clone(&arenas),
        buffers: Arc::clone(&buffers),
        metrics: task.metrics.clone(),
    });
    let producer = Producer {
        encoded,
        settled: settled_to,
        sink: task.sink,
        buffers,
        metrics: task.metrics.clone(),
        abort: task.abort.clone(),
        topic_used: task.topic_used,
        flush_timeout: task.flush_timeout,
    };
    let mut threads = Vec::new();
    for n in 0..task.encoder_threads.max(1) {
        let encoders = encoders.clone();
        threads.push(spawn(format!("encode-{n}"), move || encoders.run())?);
    }
    drop(encoders);
    threads.push(spawn("produce".to_owned(), move || producer.run())?);

    let slots = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let out = BatchSender::new(batch, task.budget.clone(), slots, batches_to, reads_to, reading, arenas);
    let reader = tokio::spawn(read(source, plan, out));

    let now = Instant::now();
    let core = Core::new(
        CoreSettings {
            store_interval: STORE_INTERVAL,
            publish_interval: task.flush_interval,
            shutdown_timeout: task.shutdown_timeout,
        },
        now,
    );
    let metrics = task.metrics;
    metrics.moved_ms.set(now_ms());
    let pump = Pump {
        core,
        keeper,
        reads,
        settled,
        reading: reading_to,
        metrics: metrics.clone(),
        budget: task.budget,
        pending: Pending::default(),
    };
    let result = pump.run(reader, control).await;
    // What was in flight when a run failed is read again by the next one.
    metrics.batches_in_flight.set(0);
    metrics.bytes_in_flight.set(0);
    // Whatever still blocks in the client returns now.
    task.abort.store(true, Ordering::Relaxed);
    let (joined_to, joined) = oneshot::channel();
    std::thread::spawn(move || {
        threads.into_iter().for_each(|thread| drop(thread.join()));
        // Nobody listens any more when the wait below was given up.
        let _ = joined_to.send(());
    });
    let _ = tokio::time::timeout(task.flush_timeout, joined).await;
    result
}

/// Sizes of batches, and how many of them may wait for an encoder.
fn sizes(limits: Limits, budget: usize) -> (BatchSettings, usize) {
    let rows = limits.batch_rows.clamp(1, BATCH_ROWS_MAX);
    // A third of the share, so that reading, encoding and sending overlap; small shares make small batches.
    let mut bytes = (budget / 12).clamp(16 << 10, 1 << 20);
    let mut queue = (limits.queue_rows / rows).clamp(1, ENCODER_QUEUE_MAX);
    if let Some(most) = limits.queue_bytes {
        // One batch grows while another waits.
        bytes = bytes.min(most / 2).max(1);
        queue = queue.min(most / bytes).max(1);
    }
    (BatchSettings { bytes, rows, row_overhead: 512 }, queue)
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, TaskError> {
    std::thread::Builder::new()
        .name(name)
        .spawn(body)
        .map_err(|error| TaskError::Transient(Failure::from_error("a thread could not be started", &error)))
}

/// The reader task: snapshot, then stream.
async fn read<S: Source>(
    mut source: S,
    plan: StartPlan<S::Position>,
    mut out: BatchSender<S::Position>,
) -> Result<(), TaskError> {
    let result = async {
        out.ready().await?;
        let from = match plan {
            StartPlan::Stream(from) => from,
            StartPlan::Snapshot { stream } => {
                let end = source.snapshot(&mut out).await?;
                if !stream {
                    return Ok(());
                }
                end
            }
            StartPlan::Idle => return Ok(()),
        };
        source.stream(from, &mut out).await
    }
    .await;
    match result {
        Err(error) if Stopped::is(&error) => Ok(()),
        other => other,
    }
}

/// Loads, saves and publishes positions of one connector partition.
#[derive(Clone)]
struct Keeper {
    connector: String,
    partition: OffsetMap,
    store: Arc<dyn CheckpointStore>,
    offsets: Arc<dyn OffsetTopic>,
    cluster: Option<String>,
    published_at: Arc<Mutex<Option<(i32, i64)>>>,
}

impl Keeper {
    async fn load<P: Position>(&self) -> Result<Option<P>, TaskError> {
        let kafka = self.offsets.read(&self.connector, &self.partition).await?;
        let saved = self.store.load(&self.connector, &self.partition)?;
        let offset = match origin(&self.connector, saved.as_ref(), kafka.as_ref(), self.cluster.as_deref())? {
            Origin::Nothing => return Ok(None),
            Origin::Checkpoint(offset) => {
                self.know(saved.and_then(|saved| saved.published_at));
                offset
            }
            Origin::Kafka(offset, at) => {
                self.know(Some(at));
                self.save(offset.clone())?;
                offset
            }
            Origin::Deleted => {
                self.store.remove(&self.connector, &self.partition)?;
                return Ok(None);
            }
        };
        let position = P::from_offset(&offset).map_err(|error| {
            TaskError::definite(format!(
                "{error}; correct it with PATCH /connectors/{0}/offsets, or forget it with DELETE /connectors/{0}/offsets \
                 while the connector is stopped",
                self.connector
            ))
        })?;
        Ok(Some(position))
    }

    fn know(&self, at: Option<(i32, i64)>) {
        if let Ok(mut known) = self.published_at.lock() {
            *known = at;
        }
    }

    fn save(&self, offset: OffsetMap) -> Result<(), TaskError> {
        // Held over the save: a store and a publish under way at the same time must not undo each other.
        let published_at = self.published_at.lock().map_err(|_| TaskError::transient("a checkpoint save panicked"))?;
        let checkpoint = SavedCheckpoint { offset, published_at: *published_at, cluster: self.cluster.clone() };
        self.store.save(&self.connector, &self.partition, &checkpoint)
    }

    fn save_published(&self, offset: OffsetMap, at: (i32, i64)) -> Result<(), TaskError> {
        let mut published_at =
            self.published_at.lock().map_err(|_| TaskError::transient("a checkpoint save panicked"))?;
        *published_at = Some(at);
        let offset = self.store.load(&self.connector, &self.partition)?.map_or(offset, |newest| newest.offset);
        let checkpoint = SavedCheckpoint { offset, published_at: Some(at), cluster: self.cluster.clone() };
        self.store.save(&self.connector, &self.partition, &checkpoint)
    }

    async fn publish(&self, offset: OffsetMap) -> Result<(), TaskError> {
        let at = self.offsets.write(&self.connector, &self.partition, Some(&offset)).await?;
        let keeper = self.clone();
        // The checkpoint learns which record is its own, so that a newer one is recognised.
        blocking(move || keeper.save_published(offset, at)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TaskError> + Send + 'static,
) -> Result<T, TaskError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(TaskError::Transient(Failure::from_error("storing a checkpoint did not finish", &error))),
    }
}

/// Stores and publishes under way: one of each at most.
#[derive(Default)]
struct Pending {
    store: Option<BoxFuture<'static, (Seq, Result<(), TaskError>)>>,
    publish: Option<BoxFuture<'static, (Seq, Result<(), TaskError>)>>,
}

struct Pump<P> {
    core: Core<P>,
    keeper: Keeper,
    reads: mpsc::Receiver<(Seq, P)>,
    settled: mpsc::Receiver<Settled>,
    reading: watch::Sender<Reading>,
    metrics: Arc<ConnectorMetrics>,
    budget: Budget,
    pending: Pending,
}

impl<P: Position> Pump<P> {
    async fn run(
        mut self,
        mut reader: tokio::task::JoinHandle<Result<(), TaskError>>,
        mut control: watch::Receiver<Control>,
    ) -> Result<(), TaskError> {
        let mut actions = Vec::new();
        let mut reader_done = false;
        let mut controlled = true;
        control.mark_changed();
        loop {
            let now = Instant::now();
            let wake_at = self.core.wake_at(now);
            let mut settled = None;
            let input = tokio::select! {
                biased;
                changed = control.changed(), if controlled => {
                    // A worker that is gone wants the task stopped.
                    controlled = changed.is_ok();
                    let wanted = if controlled { *control.borrow_and_update() } else { Control::Stop };
                    Input::Control(wanted)
                }
                Some((seq, end)) = self.reads.recv() => Input::Read { seq, end },
                Some(word) = self.settled.recv() => {
                    settled = Some(word);
                    Input::Tick
                }
                (seq, result) = maybe(&mut self.pending.store) => {
                    self.pending.store = None;
                    self.metrics.checkpoints_stored.add(i64::from(result.is_ok()));
                    Input::Stored { seq, result }
                }
                (seq, result) = maybe(&mut self.pending.publish) => {
                    self.pending.publish = None;
                    if let Err(error) = &result {
                        tracing::warn!(connector = %self.keeper.connector, "Failed to flush offsets to storage: {error}");
                    } else {
                        self.metrics.offsets_committed.add(1);
                    }
                    Input::Published { seq, result }
                }
                ended = &mut reader, if !reader_done => {
                    reader_done = true;
                    // What the reader sent last is in the channel still.
                    self.drain_reads(&mut actions);
                    Input::SourceEnded(ended.unwrap_or_else(|error| Err(panicked(error))))
                }
                () = tokio::time::sleep_until(wake_at.into()) => Input::Tick,
            };
            if settled.is_some() {
                // A batch's Read is in its channel before the batch can be settled.
                self.drain_reads(&mut actions);
            }
            let mut words = Vec::new();
            let mut moved = self.core.in_flight() == 0;
            while let Some(word) = settled.take() {
                if word.result.is_ok() {
                    moved = true;
                    self.metrics.records_delivered.add(word.records as i64);
                }
                words.push((word.seq, word.result));
                settled = self.settled.try_recv().ok();
            }
            let now = Instant::now();
            if words.is_empty() {
                self.core.step(now, input, &mut actions);
            }
            for (seq, result) in words {
                self.drain_reads(&mut actions);
                self.core.step(now, Input::Settled { seq, result }, &mut actions);
            }
            if moved {
                self.metrics.moved_ms.set(now_ms());
            }
            self.metrics.batches_in_flight.set(self.core.in_flight() as i64);
            self.metrics.bytes_in_flight.set((self.budget.limit() - self.budget.available()) as i64);
            for action in actions.drain(..) {
                if let Some(result) = Self::act(&mut self.pending, &self.keeper, &self.reading, action) {
                    reader.abort();
                    return result;
                }
            }
        }
    }

    fn drain_reads(&mut self, actions: &mut Vec<Action<P>>) {
        let now = Instant::now();
        while let Ok((seq, end)) = self.reads.try_recv() {
            self.core.step(now, Input::Read { seq, end }, actions);
        }
    }

    fn act(
        pending: &mut Pending,
        keeper: &Keeper,
        reading: &watch::Sender<Reading>,
        action: Action<P>,
    ) -> Option<Result<(), TaskError>> {
        match action {
            Action::Reading(go) => {
                reading.send_if_modified(|reading| {
                    let wanted = if go { Reading::Go } else { Reading::Hold };
                    let change = *reading != Reading::Stop && *reading != wanted;
                    if change {
                        *reading = wanted;
                    }
                    change
                });
            }
            Action::StopReading => {
                reading.send_replace(Reading::Stop);
            }
            Action::Store { seq, position } => {
                let keeper = keeper.clone();
                let offset = position.to_offset();
                pending.store = Some(Box::pin(async move { (seq, blocking(move || keeper.save(offset)).await) }));
            }
            Action::Publish { seq, position } => {
                let keeper = keeper.clone();
                pending.publish = Some(Box::pin(async move { (seq, keeper.publish(position.to_offset()).await) }));
            }
            // No source of ours needs to be told yet: a binlog keeps nothing for its readers.
            Action::Confirm(_) => {}
            Action::Exit(result) => return Some(result),
        }
        None
    }
}

/// Our clock, milliseconds since the epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

async fn maybe<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn panicked(error: tokio::task::JoinError) -> TaskError {
    TaskError::Transient(Failure::from_error("the reader ended unexpectedly; this is a defect of afterimage", &error))
}

/// A flag that makes a blocked sink return, shared between the driver and the sink's maker.
pub fn abort_flag() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_and_queue_follow_the_limits() {
        let size = |batch_rows, queue_rows, queue_bytes| {
            let (batch, queue) = sizes(Limits { batch_rows, queue_rows, queue_bytes }, 128 << 20);
            (batch.rows, batch.bytes, queue)
        };
        assert_eq!(size(2048, 8192, None), (2048, 1 << 20, 4));
        assert_eq!(size(100, 150, None), (100, 1 << 20, 1));
        assert_eq!(size(1_000_000, 2_000_000, None), (BATCH_ROWS_MAX, 1 << 20, ENCODER_QUEUE_MAX));
        assert_eq!(size(2048, 8192, Some(512 << 10)), (2048, 256 << 10, 2));
        assert_eq!(size(1, 2, Some(1)), (1, 1, 1));
    }
}
