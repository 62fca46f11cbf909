//! One incarnation of a task: the engine's own core, ledger, keeper, sender, reader and lane, and an executor that
//! carries actions out as the engine's driver does, in the world's time.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use engine::{
    batch::{Ack, Settled},
    budget::{Budget, Permit},
    core::{Action, Boundary, Core, CoreSettings, Delivery, Input},
    error::TaskError,
    keeper::{Keeper, Resumed},
    lane::Lane,
    metrics::ConnectorMetrics,
    plugin::Control,
    port::StoredOffset,
    rules::Rules,
    sender::{Feed, IN_FLIGHT_MAX, Reading},
    source::{Source, StartPlan, read},
};
use model::{OffsetMap, Position, Seq};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{
    broker::Broker,
    client::{Client, Purpose, Said},
    coverage::boundaries,
    database::{Place, Reader, Rec, Shared, encode, lock},
    disk::Disk,
    net::{Event, MS, Micros, Net},
    oracle::Oracle,
};

/// What a process wakes up for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wake {
    Core(Micros),
    Reader,
    Encoded(Seq),
    Line { partition: usize, due: Micros },
    Timeout(u64),
    Write(u64),
    Synced(u64),
}

/// Work on the disk.
#[derive(Debug, Clone)]
enum Job {
    Save(Seq, OffsetMap, Option<(i32, i64)>),
    Published(Seq, OffsetMap, (i32, i64)),
}

/// What a process reaches of the world.
pub(crate) struct World<'a> {
    pub(crate) net: &'a mut Net,
    pub(crate) broker: &'a Broker,
    pub(crate) database: &'a Shared,
    pub(crate) oracle: &'a mut Oracle,
    /// Crashes at the boundaries of actions that may still happen.
    pub(crate) crashes: &'a mut u32,
    pub(crate) control: Control,
    /// The planted fault: nobody is fenced.
    pub(crate) unfenced: bool,
}

/// How tasks are set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) boundary: Option<Boundary>,
    pub(crate) memory: usize,
    /// The time that the cores' clock counts from.
    pub(crate) base: Instant,
}

type Encoded = (Vec<Rec>, Permit, Option<OwnedSemaphorePermit>);

/// The reader, while it runs.
type Running = Pin<Box<dyn Future<Output = Result<(), TaskError>> + Send>>;

/// An incarnation.
pub(crate) struct Process<R> {
    pub(crate) id: u32,
    pub(crate) host: usize,
    pub(crate) client: Client,
    setup: Setup,
    keeper: Keeper,
    disk: Arc<Disk>,
    core: Option<Core<Place, R>>,
    feed: Option<Ends>,
    reader: Option<Running>,
    reader_due: bool,
    encoding: BTreeMap<Seq, Encoded>,
    lane: Lane<Encoded>,
    admitted: Option<Seq>,
    outstanding: BTreeMap<Seq, u64>,
    settled_to: mpsc::Sender<Settled>,
    settled: mpsc::Receiver<Settled>,
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    core_due: Option<Micros>,
    budget: Budget,
    metrics: Arc<ConnectorMetrics>,
    pub(crate) snapshotting: bool,
    /// Events held back while the process is stopped.
    pub(crate) frozen: Option<Vec<Event>>,
    pub(crate) was_frozen: bool,
    pub(crate) ended: Option<Result<(), TaskError>>,
    pub(crate) crashed: bool,
}

struct Ends {
    batches: mpsc::Receiver<engine::batch::ChangeBatch>,
    reads: mpsc::Receiver<engine::batch::Dispatched<Place>>,
    reading: tokio::sync::watch::Sender<Reading>,
}

impl<R: Rules> Process<R> {
    /// A process on a host begins: older sessions are ended first, offsets are read after that.
    pub(crate) fn start(world: &mut World<'_>, id: u32, host: usize, disk: Arc<Disk>, setup: Setup) -> Self {
        let partition = [("server".to_owned(), "sim".into())].into_iter().collect();
        let (settled_to, settled) = mpsc::channel(IN_FLIGHT_MAX * 2);
        let mut client = Client::new(id, setup.boundary.is_some(), world.net.now);
        if setup.boundary.is_some() {
            world.net.calls.push("take over");
        }
        client.take_over(world.net, world.unfenced && setup.boundary.is_some());
        Self {
            id,
            host,
            client,
            setup,
            keeper: Keeper::new("sim".into(), partition, disk.clone(), None),
            disk,
            core: None,
            feed: None,
            reader: None,
            reader_due: false,
            encoding: BTreeMap::new(),
            lane: Lane::default(),
            admitted: None,
            outstanding: BTreeMap::new(),
            settled_to,
            settled,
            jobs: BTreeMap::new(),
            next_job: 0,
            core_due: None,
            budget: Budget::new(setup.memory),
            metrics: Arc::default(),
            snapshotting: false,
            frozen: None,
            was_frozen: false,
            ended: None,
            crashed: false,
        }
    }

    /// Nothing more comes from it.
    pub(crate) fn over(&self) -> bool {
        self.crashed || self.ended.is_some()
    }

    /// Whether it has got through its start.
    pub(crate) fn running(&self) -> bool {
        self.core.is_some()
    }

    /// It is gone without a word. Writes that were not synced happened or did not.
    pub(crate) fn crash(&mut self, world: &mut World<'_>) {
        self.crashed = true;
        world.net.trace(|| format!("process {} CRASHES", self.id));
        world.net.coverage.hit("crash");
        if self.core.is_none() {
            world.net.coverage.hit("crash during the start");
        }
        if self.snapshotting {
            world.net.coverage.hit("crash in a snapshot");
        }
        let kept = world.net.rng.chance(500);
        if kept && let Some(job) = self.jobs.values().next().cloned() {
            // It was on its way; a full disk refuses it as before.
            let _ = self.write(&job);
        }
        if self.disk.crash(kept) {
            world.net.coverage.hit(if kept { "unsynced write kept" } else { "unsynced write forgotten" });
        }
        self.close();
    }

    fn close(&mut self) {
        self.reader = None;
        self.feed = None;
        self.encoding.clear();
        self.lane = Lane::default();
        self.client.close();
        while self.settled.try_recv().is_ok() {}
    }

    /// An event for this process.
    pub(crate) fn event(&mut self, world: &mut World<'_>, event: Event) {
        if let Some(held) = &mut self.frozen {
            held.push(event);
            return;
        }
        match event {
            Event::Reply { id, reply, .. } => self.client.reply(world.net, id, reply),
            Event::Wake { wake, .. } => self.wake(world, wake),
            _ => {}
        }
        self.pump(world);
        self.arrange(world);
    }

    fn wake(&mut self, world: &mut World<'_>, wake: Wake) {
        match wake {
            Wake::Core(due) => {
                if self.core_due == Some(due) {
                    self.core_due = None;
                    self.input(world, Input::Tick);
                    self.check_rest(world);
                }
            }
            Wake::Reader => {
                self.reader_due = false;
                self.poll_reader(world);
            }
            Wake::Encoded(seq) => {
                if let Some(encoded) = self.encoding.remove(&seq) {
                    self.lane.push(seq, encoded);
                }
                self.produce(world);
                self.take_batches(world);
            }
            Wake::Line { partition, due } => self.client.line(world.net, partition, due),
            Wake::Timeout(id) => self.client.timeout(world.net, id),
            Wake::Write(number) => {
                let Some(job) = self.jobs.get(&number).cloned() else { return };
                world.net.calls.push("save");
                match self.write(&job) {
                    Ok(()) => {
                        let delay = world.net.rng.range(100, 3 * MS);
                        world.net.after(delay, Event::Wake { process: self.id, wake: Wake::Synced(number) });
                    }
                    Err(error) => {
                        self.jobs.remove(&number);
                        self.written(world, job, Err(error));
                    }
                }
            }
            Wake::Synced(number) => {
                self.disk.sync();
                if let Some(job) = self.jobs.remove(&number) {
                    self.written(world, job, Ok(()));
                }
            }
        }
    }

    fn write(&self, job: &Job) -> Result<(), TaskError> {
        match job {
            Job::Save(_, offset, at) => self.keeper.save(offset.clone(), *at),
            Job::Published(_, offset, at) => self.keeper.save_published(offset.clone(), *at),
        }
    }

    fn written(&mut self, world: &mut World<'_>, job: Job, result: Result<(), TaskError>) {
        let input = match job {
            Job::Save(seq, ..) => Input::Stored { seq, result },
            Job::Published(seq, ..) => Input::Published { seq, result },
        };
        self.input(world, input);
    }

    fn begin(&mut self, world: &mut World<'_>, job: Job) {
        let number = self.next_job;
        self.next_job += 1;
        self.jobs.insert(number, job);
        let delay =
            if world.net.rng.chance(50) { world.net.rng.range(0, 800 * MS) } else { world.net.rng.range(0, MS) };
        world.net.after(delay, Event::Wake { process: self.id, wake: Wake::Write(number) });
    }

    /// Hands on what parts of the process have to say to each other, reads before settlements.
    fn pump(&mut self, world: &mut World<'_>) {
        while !self.over() {
            if let Some(read) = self.feed.as_mut().and_then(|feed| feed.reads.try_recv().ok()) {
                self.snapshotting = read.end.snapshot.is_some();
                world.oracle.read(self.id, read.end);
                self.input(world, Input::Read { seq: read.seq, end: read.end, rows: read.rows });
                continue;
            }
            if let Ok(settled) = self.settled.try_recv() {
                self.settled(world, settled);
                continue;
            }
            if self.client.said.is_empty() {
                return;
            }
            let said = self.client.said.remove(0);
            self.said(world, said);
        }
    }

    fn settled(&mut self, world: &mut World<'_>, settled: Settled) {
        if settled.result.is_ok() && self.outstanding.keys().next() != Some(&settled.seq) {
            world.net.coverage.hit("deliveries out of order");
        }
        self.outstanding.remove(&settled.seq);
        let Settled { seq, result, .. } = settled;
        self.input(world, Input::Settled { seq, result });
    }

    fn said(&mut self, world: &mut World<'_>, said: Said) {
        world.net.trace(|| format!("process {} hears {said:?}", self.id));
        match said {
            Said::Session(purpose) => {
                world.net.calls.push("read");
                self.client.read(world.net, purpose);
            }
            Said::Refused(Purpose::Recover(seq), error) => {
                self.input(world, Input::Recovered { seq, result: Err(error) });
            }
            Said::Refused(Purpose::Start, error) => self.ended = Some(Err(error)),
            Said::Newest(Purpose::Recover(seq), stored) => {
                self.input(world, Input::Recovered { seq, result: Ok(stored) });
                let continued = self.core.is_some() && self.ended.is_none();
                world.net.coverage.hit(if continued { "commit found committed" } else { "commit found missing" });
            }
            Said::Newest(Purpose::Start, stored) => self.resume(world, stored),
            Said::Committed(seq, result) => self.input(world, Input::Committed { seq, result }),
            Said::Published(seq, offset, Ok(at)) => self.begin(world, Job::Published(seq, offset, at)),
            Said::Published(seq, _, Err(error)) => self.input(world, Input::Published { seq, result: Err(error) }),
            Said::Answers(answers) => self.input(world, Input::Kafka { answers }),
        }
    }

    /// The last part of the start: where to begin, then reader and core.
    fn resume(&mut self, world: &mut World<'_>, stored: Option<StoredOffset>) {
        let cached = self.disk.durable();
        let resumed = self.keeper.resume::<Place>(stored.as_ref());
        self.disk.sync();
        let Resumed { position, unpublished } = match resumed {
            Ok(resumed) => resumed,
            Err(error) => {
                self.ended = Some(Err(error));
                return;
            }
        };
        if cached.is_some() && cached != self.disk.durable() {
            world.net.coverage.hit("cache repaired from Kafka");
        }
        world.net.trace(|| format!("process {} starts from {position:?}", self.id));
        let exactly_once = self.setup.boundary.is_some();
        let database = lock(world.database);
        world.oracle.started(self.id, exactly_once, position, cached.as_ref(), world.broker, &database);
        drop(database);
        let mut reader = Reader::new(world.database.clone(), self.id, world.net.rng.fork());
        let plan = match ready(reader.prepare(position)) {
            Some(Ok(plan)) => plan,
            Some(Err(error)) => {
                self.ended = Some(Err(error));
                return;
            }
            None => StartPlan::Idle,
        };
        self.snapshotting = matches!(plan, StartPlan::Snapshot { .. });
        let feed = Feed::new(reader.limits(), self.budget.clone());
        self.reader = Some(Box::pin(read(reader, plan, feed.sender, unpublished)));
        self.feed = Some(Ends { batches: feed.batches, reads: feed.reads, reading: feed.reading });
        let settings = CoreSettings {
            store_interval: Duration::from_millis(100),
            publish_interval: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(5),
            delivery_timeout: Some(Duration::from_secs(4)),
            delivery: match self.setup.boundary {
                Some(boundary) => Delivery::ExactlyOnce { boundary, known: self.keeper.known() },
                None => Delivery::AtLeastOnce,
            },
        };
        self.core = Some(Core::new(settings, self.now(world)));
        self.input(world, Input::Kafka { answers: true });
        self.input(world, Input::Control(world.control));
    }

    /// The task is told what to do.
    pub(crate) fn control(&mut self, world: &mut World<'_>, control: Control) {
        if self.core.is_some() {
            self.input(world, Input::Control(control));
            self.pump(world);
            self.arrange(world);
        } else if control == Control::Stop {
            self.ended = Some(Ok(()));
            self.close();
        }
    }

    fn now(&self, world: &World<'_>) -> Instant {
        self.setup.base + Duration::from_micros(world.net.now)
    }

    fn input(&mut self, world: &mut World<'_>, input: Input<Place>) {
        let now = self.now(world);
        let Some(core) = &mut self.core else { return };
        if self.crashed || self.ended.is_some() {
            return;
        }
        world.net.trace(|| format!("process {} core <- {input:?}", self.id));
        let mut actions = Vec::new();
        core.step(now, input, &mut actions);
        for action in actions {
            let (before, after, permille) = boundaries(&action);
            if self.dies(world, before, permille) {
                return;
            }
            world.net.trace(|| format!("process {} core -> {action:?}", self.id));
            self.act(world, action);
            if self.dies(world, after, permille) {
                return;
            }
        }
    }

    fn dies(&mut self, world: &mut World<'_>, place: &'static str, permille: u64) -> bool {
        let dies = *world.crashes > 0 && world.net.rng.chance(permille);
        if dies {
            *world.crashes -= 1;
            world.net.coverage.hit(place);
            world.net.trace(|| format!("process {}: {place}", self.id));
            self.crash(world);
        }
        dies
    }

    /// Carries out an action, as the driver's hands do.
    fn act(&mut self, world: &mut World<'_>, action: Action<Place>) {
        match action {
            Action::Reading(go) => {
                if let Some(feed) = &self.feed {
                    feed.reading.send_if_modified(|reading| {
                        let wanted = if go { Reading::Go } else { Reading::Hold };
                        let change = *reading != Reading::Stop && *reading != wanted;
                        if change {
                            *reading = wanted;
                        }
                        change
                    });
                }
                self.call_reader(world, true);
            }
            Action::StopReading => {
                if let Some(feed) = &self.feed {
                    feed.reading.send_replace(Reading::Stop);
                }
                self.call_reader(world, true);
            }
            Action::Produce { upto } => {
                self.admitted = self.admitted.max(Some(upto));
                self.produce(world);
            }
            Action::Commit { seq, position } => {
                world.oracle.commit(position, &lock(world.database), world.net);
                world.net.calls.push("commit");
                self.client.commit(world.net, seq, position.to_offset());
            }
            Action::Recover { seq } => {
                world.net.calls.push("renew");
                self.client.renew(world.net, seq);
            }
            Action::Abort => {
                world.net.calls.push("abort");
                self.client.abort(world.net);
            }
            Action::Store { seq, position, at } => self.begin(world, Job::Save(seq, position.to_offset(), at)),
            Action::Publish { seq, position } => {
                world.net.calls.push("publish");
                self.client.publish(world.net, seq, position.to_offset());
            }
            Action::Confirm(position) => {
                world.oracle.confirmed(self.id, position, self.disk.durable().as_ref(), world.broker);
            }
            Action::Exit(result) => {
                self.ended = Some(result);
                self.close();
            }
        }
    }

    fn produce(&mut self, world: &mut World<'_>) {
        // At-least-once takes whatever is there.
        while self.setup.boundary.is_none() || self.admitted >= Some(self.lane.next()) {
            let Some((seq, (records, permit, slot))) = self.lane.pop() else { return };
            if !records.is_empty() {
                world.net.calls.push("produce");
            }
            let ack = Ack::new(seq, self.settled_to.clone(), permit, slot).of(records.len() as u64, &self.metrics);
            self.client.produce(world.net, records, ack);
        }
    }

    fn take_batches(&mut self, world: &mut World<'_>) {
        while self.encoding.len() < 3 {
            let Some(batch) = self.feed.as_mut().and_then(|feed| feed.batches.try_recv().ok()) else { return };
            let (records, wire) = encode(&batch, world.database);
            self.outstanding.insert(batch.seq, wire);
            let held: u64 = self.outstanding.values().sum();
            if held > self.budget.limit() as u64 || self.outstanding.len() > IN_FLIGHT_MAX {
                world.oracle.violate(format!(
                    "process {} holds {held} bytes in {} batches, more than its memory of {}",
                    self.id,
                    self.outstanding.len(),
                    self.budget.limit()
                ));
            }
            world.oracle.batch(&records, world.net);
            self.encoding.insert(batch.seq, (records, batch.permit, batch.slot));
            let delay = world.net.rng.range(10, 700);
            world.net.after(delay, Event::Wake { process: self.id, wake: Wake::Encoded(batch.seq) });
        }
    }

    fn poll_reader(&mut self, world: &mut World<'_>) {
        let Some(reader) = &mut self.reader else { return };
        if let Poll::Ready(result) = reader.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.reader = None;
            self.take_batches(world);
            self.pump(world);
            self.input(world, Input::SourceEnded(result));
        } else {
            self.take_batches(world);
        }
    }

    /// Lets the reader go on soon: it has something to read, or `now` something to hear.
    pub(crate) fn call_reader(&mut self, world: &mut World<'_>, now: bool) {
        if self.reader_due || self.reader.is_none() {
            return;
        }
        let behind = {
            let database = lock(world.database);
            let cut = database.cut.contains(&self.id);
            cut || database.cursors.get(&self.id).is_none_or(|cursor| *cursor < database.end())
        };
        if behind || now {
            self.reader_due = true;
            let delay = world.net.rng.range(20, 1500);
            world.net.after(delay, Event::Wake { process: self.id, wake: Wake::Reader });
        }
    }

    /// Arranges the next wakes.
    pub(crate) fn arrange(&mut self, world: &mut World<'_>) {
        if self.over() {
            return;
        }
        self.call_reader(world, false);
        let now = self.now(world);
        let Some(core) = &self.core else { return };
        let at = core.wake_at(now).saturating_duration_since(self.setup.base).as_micros() as u64;
        let due = at.max(world.net.now);
        if self.core_due.is_none_or(|other| other > due) && due < world.net.now + 3000 * crate::net::S {
            self.core_due = Some(due);
            let delay = due - world.net.now;
            world.net.after(delay, Event::Wake { process: self.id, wake: Wake::Core(due) });
        }
    }

    /// After a tick the core must be content to wait.
    fn check_rest(&mut self, world: &mut World<'_>) {
        let now = self.now(world);
        if let (Some(core), false) = (&self.core, self.over())
            && core.wake_at(now) <= now
        {
            world.oracle.violate(format!("process {} is woken again and again without doing anything", self.id));
        }
    }

    /// After its end: whether all its memory came back.
    pub(crate) fn memory_is_back(&self) -> bool {
        self.budget.available() == self.budget.limit()
    }
}

/// The result of a future that does not wait.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}
