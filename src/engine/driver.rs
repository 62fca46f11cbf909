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
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    batch::{Dispatched, Settled},
    budget::Budget,
    core::{Action, Core, CoreSettings, Delivery, Input},
    encoder::{Encoders, Producer},
    error::{Failure, TaskError},
    keeper::Keeper,
    lane::{Command, Gate},
    metrics::ConnectorMetrics,
    plugin::{Control, TaskContext},
    port::{CommitError, OffsetTopic, Place, Sink, StoredOffset},
    sender::{Feed, IN_FLIGHT_MAX, Reading},
    source::{Source, read},
};

/// Shortest time between two synced stores.
const STORE_INTERVAL: Duration = Duration::from_millis(100);

/// Runs one task of a source until it is stopped or fails.
///
/// # Errors
/// What ended the task, to be restarted (transient) or shown as FAILED (definite).
pub async fn run<S: Source>(mut source: S, partition: OffsetMap, task: TaskContext) -> Result<(), TaskError> {
    let keeper = Keeper::new(task.connector.clone(), partition, task.store.clone(), task.cluster.clone());
    let mut sink = task.sink;
    if task.boundary.is_some() {
        sink = take_over(sink).await?;
    }
    // Only now: what an older producer left open has ended.
    let newest = task.offsets.read(keeper.connector(), keeper.partition()).await?;
    let resumed = keeper.resume::<S::Position>(newest.as_ref())?;
    let mut control = task.control.clone();
    let plan = tokio::select! {
        plan = source.prepare(resumed.position) => plan?,
        _ = control.wait_for(|control| *control == Control::Stop) => return Ok(()),
    };
    (task.started)();

    let feed = Feed::new(source.limits(), task.budget.clone());
    let (settled_to, settled) = mpsc::channel(IN_FLIGHT_MAX * 2);
    let (encoded_to, encoded) = std::sync::mpsc::sync_channel(feed.batches.max_capacity());
    let buffers = Arc::default();
    let gate = task.boundary.map(|_| Arc::new(Gate::default()));
    let answering = sink.answering();
    let settings = Arc::new(task.records);
    let encoders = Arc::new(Encoders {
        batches: Mutex::new(feed.batches),
        encoded: encoded_to,
        settings,
        arenas: feed.arenas,
        buffers: Arc::clone(&buffers),
        metrics: task.metrics.clone(),
    });
    let producer = Producer {
        encoded,
        settled: settled_to,
        sink,
        buffers,
        metrics: task.metrics.clone(),
        abort: task.abort.clone(),
        topic_used: task.topic_used,
        flush_timeout: task.flush_timeout,
        gate: gate.clone(),
    };
    let mut threads = Vec::new();
    for n in 0..task.encoder_threads.max(1) {
        let encoders = encoders.clone();
        threads.push(spawn(format!("encode-{n}"), move || encoders.run())?);
    }
    drop(encoders);
    threads.push(spawn("produce".to_owned(), move || producer.run())?);

    let reader = tokio::spawn(read(source, plan, feed.sender, resumed.unpublished));

    let now = Instant::now();
    let core = Core::new(
        CoreSettings {
            store_interval: STORE_INTERVAL,
            publish_interval: task.flush_interval,
            shutdown_timeout: task.shutdown_timeout,
            delivery_timeout: task.delivery_timeout,
            delivery: match task.boundary {
                Some(boundary) => Delivery::ExactlyOnce { boundary, known: keeper.known() },
                None => Delivery::AtLeastOnce,
            },
        },
        now,
    );
    let hands =
        Hands { keeper, offsets: task.offsets, gate: gate.clone(), reading: feed.reading, pending: Pending::default() };
    let metrics = task.metrics;
    metrics.moved_ms.set(now_ms());
    let budget = task.budget;
    let pump = Pump { core, hands, reads: feed.reads, settled, answering, budget, metrics: metrics.clone() };
    let result = pump.run(reader, control).await;
    // What was in flight when a run failed is read again by the next one.
    metrics.batches_in_flight.set(0);
    metrics.bytes_in_flight.set(0);
    if let Some(gate) = gate {
        gate.close();
    }
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

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, TaskError> {
    std::thread::Builder::new()
        .name(name)
        .spawn(body)
        .map_err(|error| TaskError::Transient(Failure::from_error("a thread could not be started", &error)))
}

/// Begins the sink's session, on a thread that can wait.
async fn take_over(mut sink: Box<dyn Sink>) -> Result<Box<dyn Sink>, TaskError> {
    blocking(move || {
        let Some(transactions) = sink.transactions() else {
            return Err(TaskError::definite("exactly-once delivery was asked of a sink without transactions"));
        };
        transactions.take_over()?;
        Ok(sink)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TaskError> + Send + 'static,
) -> Result<T, TaskError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(TaskError::Transient(Failure::from_error("work on a thread of its own did not finish", &error)))
        }
    }
}

/// An answer under way, with the batch it is about.
type Answer<T> = Option<BoxFuture<'static, (Seq, T)>>;

/// What was begun and not answered: one of each at most.
#[derive(Default)]
struct Pending {
    store: Answer<Result<(), TaskError>>,
    publish: Answer<Result<(), TaskError>>,
    commit: Answer<Result<Place, CommitError>>,
    recovery: Answer<Result<Option<StoredOffset>, TaskError>>,
}

/// Carries actions out.
struct Hands {
    keeper: Keeper,
    offsets: Arc<dyn OffsetTopic>,
    gate: Option<Arc<Gate>>,
    reading: watch::Sender<Reading>,
    pending: Pending,
}

struct Pump<P> {
    core: Core<P>,
    hands: Hands,
    reads: mpsc::Receiver<Dispatched<P>>,
    settled: mpsc::Receiver<Settled>,
    answering: Option<watch::Receiver<bool>>,
    budget: Budget,
    metrics: Arc<ConnectorMetrics>,
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
        self.answering.as_mut().map(watch::Receiver::mark_changed);
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
                Some(Dispatched { seq, end, rows }) = self.reads.recv() => Input::Read { seq, end, rows },
                Some(word) = self.settled.recv() => {
                    settled = Some(word);
                    Input::Tick
                }
                (seq, result) = maybe(&mut self.hands.pending.commit) => {
                    self.hands.pending.commit = None;
                    self.metrics.offsets_committed.add(i64::from(result.is_ok()));
                    if let Err(error) = &result {
                        tracing::warn!(connector = self.hands.keeper.connector(), "a transaction was not committed: {error}");
                    }
                    Input::Committed { seq, result }
                }
                (seq, result) = maybe(&mut self.hands.pending.recovery) => {
                    self.hands.pending.recovery = None;
                    Input::Recovered { seq, result }
                }
                answers = change(&mut self.answering) => Input::Kafka { answers },
                (seq, result) = maybe(&mut self.hands.pending.store) => {
                    self.hands.pending.store = None;
                    self.metrics.checkpoints_stored.add(i64::from(result.is_ok()));
                    Input::Stored { seq, result }
                }
                (seq, result) = maybe(&mut self.hands.pending.publish) => {
                    self.hands.pending.publish = None;
                    if let Err(error) = &result {
                        tracing::warn!(connector = self.hands.keeper.connector(), "Failed to flush offsets to storage: {error}");
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
            self.metrics.bytes_in_flight.set(self.budget.taken() as i64);
            for action in actions.drain(..) {
                if let Some(result) = self.hands.act(action) {
                    reader.abort();
                    return result;
                }
            }
        }
    }

    fn drain_reads(&mut self, actions: &mut Vec<Action<P>>) {
        let now = Instant::now();
        while let Ok(Dispatched { seq, end, rows }) = self.reads.try_recv() {
            self.core.step(now, Input::Read { seq, end, rows }, actions);
        }
    }
}

impl Hands {
    /// Begins what an action asks for. Gives the task's result when it is over.
    fn act<P: Position>(&mut self, action: Action<P>) -> Option<Result<(), TaskError>> {
        match action {
            Action::Reading(go) => {
                self.reading.send_if_modified(|reading| {
                    let wanted = if go { Reading::Go } else { Reading::Hold };
                    let change = *reading != Reading::Stop && *reading != wanted;
                    if change {
                        *reading = wanted;
                    }
                    change
                });
            }
            Action::StopReading => {
                self.reading.send_replace(Reading::Stop);
            }
            Action::Produce { upto } => {
                if let Some(gate) = &self.gate {
                    gate.admit(upto);
                }
            }
            Action::Commit { seq, position } => {
                let (answer_to, answer) = oneshot::channel();
                self.ask(Command::Commit(self.keeper.record(position.to_offset()), answer_to));
                let lost = || CommitError::Unknown(Failure::new("the producer ended before Kafka's answer came"));
                self.pending.commit =
                    Some(Box::pin(async move { (seq, answer.await.unwrap_or_else(|_| Err(lost()))) }));
            }
            Action::Recover { seq } => {
                let (answer_to, answer) = oneshot::channel();
                self.ask(Command::Renew(answer_to));
                let (keeper, offsets) = (self.keeper.clone(), self.offsets.clone());
                let read_back = async move {
                    answer.await.unwrap_or_else(|_| Err(TaskError::transient("the producer has ended")))?;
                    // After the renewal only: what was open has ended.
                    offsets.read(keeper.connector(), keeper.partition()).await
                };
                self.pending.recovery = Some(Box::pin(async move { (seq, read_back.await) }));
            }
            Action::Abort => self.ask(Command::Abort),
            Action::Store { seq, position, at } => {
                let (keeper, offset) = (self.keeper.clone(), position.to_offset());
                self.pending.store =
                    Some(Box::pin(async move { (seq, blocking(move || keeper.save(offset, at)).await) }));
            }
            Action::Publish { seq, position } => {
                let publish = publish(self.keeper.clone(), self.offsets.clone(), position.to_offset());
                self.pending.publish = Some(Box::pin(async move { (seq, publish.await) }));
            }
            // No source of ours needs to be told yet: a binlog keeps nothing for its readers.
            Action::Confirm(_) => {}
            Action::Exit(result) => return Some(result),
        }
        None
    }

    fn ask(&self, command: Command) {
        // Without a gate the command is dropped, which answers it: the core asks such things in exactly-once tasks only.
        if let Some(gate) = &self.gate {
            gate.ask(command);
        }
    }
}

async fn publish(keeper: Keeper, offsets: Arc<dyn OffsetTopic>, offset: OffsetMap) -> Result<(), TaskError> {
    let at = offsets.write(keeper.connector(), keeper.partition(), Some(&offset)).await?;
    blocking(move || keeper.save_published(offset, at)).await
}

/// The next word on whether Kafka answers.
async fn change(answering: &mut Option<watch::Receiver<bool>>) -> bool {
    if let Some(receiver) = answering
        && receiver.changed().await.is_ok()
    {
        return *receiver.borrow_and_update();
    }
    std::future::pending().await
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
