//! One simulated life of a connector: a database, a broker, two hosts, and everything that goes wrong between them, from
//! a seed. Faults end; then everything has to come to rest with nothing lost.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use engine::{
    core::Boundary,
    error::TaskError,
    plugin::Control,
    rules::{Rules, Sound},
};
use model::Position;

use crate::{
    broker::{Broker, OFFSETS},
    client::FENCED,
    coverage::Coverage,
    database::{Database, Place, Shared, lock},
    disk::{Disk, FULL},
    net::{Event, MS, Micros, Net, S, Weather},
    oracle::Oracle,
    process::{Process, Setup, World},
    rng::Rng,
};

/// Faults come before this.
const TROUBLE: Micros = 12 * S;
/// From here on all is well.
const CALM: Micros = 20 * S;
/// By then everything has to be delivered, a transaction that hangs until its timeout included.
const REST: Micros = CALM + 30 * S;

/// What happens to the world from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    Transact,
    Start(usize),
    Crash,
    Freeze {
        takeover: bool,
        thaw: Micros,
    },
    Thaw(u32),
    Kill(u32),
    Cut,
    Outage(Micros),
    Leaderless(usize, Micros),
    Full(usize, bool),
    Control(Control),
    Resume {
        rewrite: Rewrite,
    },
    Foreign(bool),
    Calm,
    Rest,
    End,
    #[cfg(test)]
    Usurp,
    #[cfg(test)]
    Change,
}

/// What somebody does to the offset of a stopped connector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rewrite {
    Nothing,
    Back,
    Delete,
}

/// How a run is to be done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Keep a line for everything that happens.
    pub trace: bool,
    /// A fault of our own to be noticed: new sessions fence nobody.
    pub unfenced: bool,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// The seed that repeats it.
    pub seed: u64,
    /// What was wrong; empty is well.
    pub violations: Vec<String>,
    /// What was met.
    pub coverage: Coverage,
    /// Everything that happened, when asked for.
    pub trace: Option<String>,
}

struct Sim<R> {
    net: Net,
    broker: Broker,
    database: Shared,
    oracle: Oracle,
    disks: [Arc<Disk>; 2],
    processes: BTreeMap<u32, Box<Process<R>>>,
    next: u32,
    setup: Setup,
    crashes: u32,
    control: Control,
    options: Options,
    start_due: bool,
    disk_was_full: bool,
    loss: u64,
    leaderless_until: Micros,
    ending: bool,
    rules: PhantomData<R>,
}

/// Runs a seed with the engine's rules as they are.
pub fn run(seed: u64, options: Options) -> Outcome {
    run_with::<Sound>(seed, options)
}

/// Runs a seed with other rules than the engine's, to show that their absence is noticed.
pub fn run_with<R: Rules>(seed: u64, options: Options) -> Outcome {
    let mut sim = Sim::<R>::new(seed, options);
    sim.plan();
    while let Some(event) = sim.net.next() {
        if event == Stop::EVENT || !sim.oracle.violations.is_empty() {
            break;
        }
        sim.event(event);
    }
    if sim.oracle.violations.is_empty() {
        let database = lock(&sim.database);
        sim.oracle.judge(sim.setup.boundary.is_some(), &sim.broker, &database);
    }
    let Sim { net, oracle, .. } = sim;
    Outcome { seed, violations: oracle.violations, coverage: net.coverage, trace: net.trace }
}

/// The event that ends a run.
struct Stop;

impl Stop {
    const EVENT: Fault = Fault::End;
}

impl PartialEq<Fault> for Event {
    fn eq(&self, other: &Fault) -> bool {
        matches!(self, Event::Fault(fault) if fault == other)
    }
}

/// Something small without chance, to be compared with the real driver.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Script {
    /// Three batches.
    AtLeastOnce,
    ExactlyOnce,
    /// The answer to the first commit is lost.
    Unknown,
    /// Another producer takes over before the third batch.
    Fenced,
}

/// Goes through a script; gives what the process asked of sink, offsets topic and store, in order.
#[cfg(test)]
pub(crate) fn rehearse(script: Script) -> Vec<&'static str> {
    let mut sim = Sim::<Sound>::new(5, Options::default());
    (sim.net.weather, sim.loss, sim.crashes) = (Weather::default(), 0, 0);
    sim.setup.boundary = (script != Script::AtLeastOnce).then_some(Boundary::Poll);
    sim.setup.memory = 64 << 20;
    sim.net.lose_commit = script == Script::Unknown;
    sim.later(0, Fault::Start(0));
    (1..=2).for_each(|n| sim.later(n * 3 * S, Fault::Change));
    if script == Script::Fenced {
        sim.later(5 * S, Fault::Usurp);
    }
    let end = if script == Script::Fenced { 6 * S + 500 * MS } else { 9 * S };
    sim.later(end, Fault::End);
    while let Some(event) = sim.net.next() {
        if event == Stop::EVENT {
            break;
        }
        sim.event(event);
    }
    assert!(sim.oracle.violations.is_empty() || script == Script::Fenced, "{:?}", sim.oracle.violations);
    sim.net.calls
}

impl<R: Rules> Sim<R> {
    fn new(seed: u64, options: Options) -> Self {
        let mut rng = Rng::new(seed);
        let boundary = match rng.below(20) {
            0..=7 => Some(Boundary::Poll),
            8..=10 => Some(Boundary::Interval(Duration::from_millis(rng.range(1, 900)))),
            _ => None,
        };
        let memory = rng.pick(&[96, 160, 512]).unwrap_or(160) << 10;
        let weather = Weather {
            loss: rng.pick(&[0, 0, 5, 30, 150]).unwrap_or(0),
            late: rng.pick(&[0, 0, 10, 50]).unwrap_or(0),
            outage_until: 0,
        };
        let database = Arc::new(Mutex::new(Database::new(&mut rng)));
        let crashes = rng.pick(&[0, 1, 2, 5]).unwrap_or(0);
        Self {
            net: Net::new(rng, weather, options.trace),
            broker: Broker::new(),
            database,
            oracle: Oracle::default(),
            disks: [Arc::default(), Arc::default()],
            processes: BTreeMap::new(),
            next: 1,
            setup: Setup { boundary, memory, base: Instant::now() },
            crashes,
            control: Control::Run,
            options,
            start_due: false,
            disk_was_full: false,
            loss: weather.loss,
            leaderless_until: 0,
            ending: false,
            rules: PhantomData,
        }
    }

    fn later(&mut self, at: Micros, fault: Fault) {
        let delay = at.saturating_sub(self.net.now);
        self.net.after(delay, Event::Fault(fault));
    }

    /// Decides what will go wrong, and when.
    fn plan(&mut self) {
        self.later(0, Fault::Start(0));
        let transactions = self.net.rng.range(3, 60);
        let burst = self.net.rng.chance(300);
        for _ in 0..transactions {
            let at = if burst { 2 * S + self.net.rng.below(50 * MS) } else { self.net.rng.below(TROUBLE) };
            self.later(at, Fault::Transact);
        }
        for _ in 0..self.net.rng.range(0, 7) {
            let at = self.net.rng.below(TROUBLE);
            self.trouble(at);
        }
        self.later(CALM, Fault::Calm);
        self.later(REST, Fault::Rest);
    }

    fn trouble(&mut self, at: Micros) {
        let rng = &mut self.net.rng;
        let long = rng.chance(200);
        match rng.below(12) {
            0 | 1 => self.later(at, Fault::Crash),
            2 | 3 => {
                let (takeover, thaw) = (rng.chance(700), if long { 7 * S } else { rng.range(10 * MS, 6 * S) });
                self.later(at, Fault::Freeze { takeover, thaw });
            }
            4 => self.later(at, Fault::Cut),
            5 => {
                let length = if long { 8 * S } else { rng.range(50 * MS, 5 * S) };
                self.later(at, Fault::Outage(length));
            }
            6 => {
                let (partition, length) = (rng.below(OFFSETS as u64 + 1) as usize, if long { 9 * S } else { 2 * S });
                self.later(at, Fault::Leaderless(partition, length));
            }
            7 => {
                let length = rng.range(10 * MS, 3 * S);
                (0..2).for_each(|host| self.later(at, Fault::Full(host, true)));
                (0..2).for_each(|host| self.later(at + length, Fault::Full(host, false)));
            }
            8 => {
                let length = rng.range(MS, 2 * S);
                self.later(at, Fault::Control(Control::Pause));
                self.later(at + length, Fault::Control(Control::Run));
            }
            9 | 10 => {
                let rewrite = rng.pick(&[Rewrite::Nothing, Rewrite::Nothing, Rewrite::Back, Rewrite::Delete]);
                self.later(at, Fault::Control(Control::Stop));
                self.later(at + 500 * MS, Fault::Resume { rewrite: rewrite.unwrap_or(Rewrite::Nothing) });
            }
            _ => {
                let length = rng.range(MS, 5 * S);
                self.later(at, Fault::Foreign(true));
                self.later(at + length, Fault::Foreign(false));
            }
        }
    }

    /// Takes a process out, does something with it, and puts it back or buries it.
    fn with(&mut self, id: u32, act: impl FnOnce(&mut Process<R>, &mut World<'_>)) {
        let Some(mut process) = self.processes.remove(&id) else { return };
        let mut world = World {
            net: &mut self.net,
            broker: &self.broker,
            database: &self.database,
            oracle: &mut self.oracle,
            crashes: &mut self.crashes,
            control: self.control,
            unfenced: self.options.unfenced,
        };
        act(&mut process, &mut world);
        if process.over() {
            self.bury(process);
        } else {
            self.processes.insert(id, process);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Arrive { from, id, request } => self.broker.handle(&mut self.net, from, id, request),
            Event::Upkeep(upkeep) => self.broker.upkeep(&mut self.net, upkeep),
            Event::Reply { to, .. } => self.with(to, |process, world| process.event(world, event)),
            Event::Wake { process, .. } => self.with(process, |process, world| process.event(world, event)),
            Event::Fault(fault) => self.fault(fault),
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.net.trace(|| format!("world: {fault:?}"));
        match fault {
            Fault::Transact => {
                lock(&self.database).transact(&mut self.net.rng);
                for id in self.ids(|_| true) {
                    self.with(id, |process, world| process.call_reader(world, false));
                }
            }
            Fault::Start(host) => self.start(host),
            Fault::Crash => {
                for id in self.ids(|process| process.frozen.is_none()) {
                    self.with(id, |process, world| process.crash(world));
                }
            }
            Fault::Freeze { takeover, thaw } => self.freeze(takeover, thaw),
            Fault::Thaw(id) => self.thaw(id),
            Fault::Kill(id) => self.with(id, |process, world| process.crash(world)),
            Fault::Cut => {
                for id in self.ids(|process| process.running()) {
                    self.net.coverage.hit("source disconnected");
                    lock(&self.database).cut.push(id);
                    self.with(id, |process, world| process.call_reader(world, true));
                }
            }
            Fault::Outage(length) => self.net.weather.outage_until = self.net.now + length,
            Fault::Leaderless(number, length) => {
                let until = self.net.now + length;
                if let Some(partition) = self.broker.partitions.get_mut(number) {
                    partition.leaderless_until = until;
                }
                self.leaderless_until = self.leaderless_until.max(until);
            }
            Fault::Full(host, full) => {
                self.disk_was_full = true;
                if let Some(disk) = self.disks.get(host) {
                    disk.fill(full);
                }
            }
            Fault::Control(control) => self.tell(control),
            Fault::Resume { rewrite } => self.resume(rewrite),
            Fault::Foreign(open) => {
                self.net.coverage.hit("another connector's transaction in the offsets topic");
                self.broker.foreign(open);
            }
            Fault::Calm => self.calm(),
            Fault::Rest => self.rest(),
            Fault::End => {}
            #[cfg(test)]
            Fault::Usurp => self.broker.usurp(),
            #[cfg(test)]
            Fault::Change => {
                lock(&self.database).change();
                self.ids(|_| true).into_iter().for_each(|id| self.with(id, |p, world| p.call_reader(world, false)));
            }
        }
    }

    fn ids(&self, which: impl Fn(&Process<R>) -> bool) -> Vec<u32> {
        self.processes.iter().filter(|(_, process)| which(process)).map(|(id, _)| *id).collect()
    }

    fn tell(&mut self, control: Control) {
        // Stopped stays stopped until it is resumed.
        if self.control == Control::Stop {
            return;
        }
        self.control = control;
        self.net.coverage.hit(match control {
            Control::Pause => "paused",
            _ => "stopped and started",
        });
        for id in self.ids(|process| process.frozen.is_none()) {
            self.with(id, |process, world| process.control(world, control));
        }
    }

    fn start(&mut self, host: usize) {
        self.start_due = false;
        if self.control == Control::Stop || !self.ids(|process| process.frozen.is_none()).is_empty() {
            return;
        }
        // A frozen process holds its host's folder.
        let taken = self.processes.values().any(|process| process.host == host);
        let host = if taken { 1 - host } else { host };
        if self.processes.values().any(|process| process.host == host) {
            return;
        }
        self.launch(host);
    }

    fn launch(&mut self, host: usize) {
        let Some(disk) = self.disks.get(host).cloned() else { return };
        let (id, setup) = (self.next, self.setup);
        self.next += 1;
        if host == 1 {
            self.net.coverage.hit("started on another host");
        }
        self.net.trace(|| format!("world: process {id} on host {host}"));
        let mut world = World {
            net: &mut self.net,
            broker: &self.broker,
            database: &self.database,
            oracle: &mut self.oracle,
            crashes: &mut self.crashes,
            control: self.control,
            unfenced: self.options.unfenced,
        };
        let process = Process::start(&mut world, id, host, disk, setup);
        self.processes.insert(id, Box::new(process));
    }

    fn start_soon(&mut self, least: Micros, most: Micros) {
        if self.start_due || self.control == Control::Stop {
            return;
        }
        self.start_due = true;
        let host = usize::from(self.net.rng.chance(150));
        let delay = self.net.rng.range(least, most);
        self.net.after(delay, Event::Fault(Fault::Start(host)));
    }

    /// A process is gone: the supervisor, or an operator, starts another one; unless it should not have gone.
    fn bury(&mut self, process: Box<Process<R>>) {
        let id = process.id;
        lock(&self.database).cut.retain(|cut| *cut != id);
        let result = match &process.ended {
            None => return self.start_soon(10 * MS, S),
            Some(result) => result.clone(),
        };
        self.net.trace(|| format!("world: process {id} ended with {result:?}"));
        match result {
            Ok(()) if self.control == Control::Stop => {
                if self.ending && !process.memory_is_back() {
                    self.oracle.violate(format!("process {id} ended well and did not give its memory back"));
                }
            }
            Ok(()) => self.oracle.violate(format!("process {id} ended without being told to")),
            Err(TaskError::Transient(failure)) => {
                if failure.message.contains("delivery.timeout.ms") {
                    self.net.coverage.hit("stuck batch noticed");
                    // An answer that comes late in an outage looks like a Kafka that answers.
                    let trouble = self.leaderless_until.max(self.net.weather.outage_until);
                    if self.net.now > trouble + 6 * S && !process.was_frozen && self.loss < 100 {
                        self.oracle.violate(format!("process {id}: {}", failure.message));
                    }
                }
                self.start_soon(10 * MS, 2 * S);
            }
            Err(TaskError::Definite(failure)) => {
                let text = failure.to_string();
                if text.contains(FENCED) {
                    self.net.coverage.hit("fenced");
                    if self.broker.owner == Some(id) {
                        self.oracle.violate(format!("process {id} was fenced by nobody"));
                    }
                } else if self.disk_was_full && text.contains(FULL) {
                    self.net.coverage.hit("disk full");
                } else {
                    self.oracle.violate(format!("process {id} failed for good: {text}"));
                }
                // An operator looks at it.
                self.start_soon(S, 2 * S);
            }
        }
    }

    fn freeze(&mut self, takeover: bool, thaw: Micros) {
        let Some(id) = self.ids(|process| process.frozen.is_none()).first().copied() else { return };
        self.net.coverage.hit("frozen");
        if let Some(process) = self.processes.get_mut(&id) {
            process.frozen = Some(Vec::new());
            process.was_frozen = true;
        }
        let at = (self.net.now + thaw).min(CALM - S);
        self.later(at, Fault::Thaw(id));
        if takeover {
            let delay = self.net.rng.range(MS, thaw);
            self.net.after(delay, Event::Fault(Fault::Start(1)));
        }
    }

    fn thaw(&mut self, id: u32) {
        let zombie = self.processes.len() > 1;
        let Some(process) = self.processes.get_mut(&id) else { return };
        let Some(held) = process.frozen.take() else { return };
        for event in held {
            self.net.after(0, event);
        }
        let control = self.control;
        self.with(id, |process, world| process.control(world, control));
        if zombie {
            self.net.coverage.hit("thawed as a zombie");
            // The group has another member by now; it notices in the end.
            let delay = self.net.rng.range(100 * MS, 4 * S);
            self.net.after(delay, Event::Fault(Fault::Kill(id)));
        }
    }

    /// The connector was stopped; somebody may change its offset before it goes on.
    fn resume(&mut self, rewrite: Rewrite) {
        if self.control != Control::Stop || self.ending {
            return;
        }
        if !self.processes.is_empty() {
            return self.later(self.net.now + 300 * MS, Fault::Resume { rewrite });
        }
        match rewrite {
            Rewrite::Nothing => {}
            Rewrite::Delete => {
                self.net.coverage.hit("offset deleted by somebody else");
                self.broker.rewrite(&mut self.net, None);
            }
            Rewrite::Back => {
                let newest = self.broker.truth(self.setup.boundary.is_some()).and_then(|(offset, _)| offset);
                let place = newest.and_then(|offset| Place::from_offset(&offset).ok());
                // A place that the connector has seen, after its last snapshot.
                if let Some(place) = place.filter(|place| place.snapshot.is_none()) {
                    let base = self.oracle.snapshot_before(place.pos);
                    let pos = self.net.rng.range(base, place.pos);
                    self.net.coverage.hit("offset rewritten by somebody else");
                    self.broker.rewrite(&mut self.net, Some(Place { pos, snapshot: None }.to_offset()));
                }
            }
        }
        self.control = Control::Run;
        self.start_soon(MS, 500 * MS);
    }

    /// Everything works again.
    fn calm(&mut self) {
        self.net.weather = Weather::default();
        self.crashes = 0;
        self.broker.foreign(false);
        self.broker.partitions.iter_mut().for_each(|partition| partition.leaderless_until = 0);
        self.disks.iter().for_each(|disk| disk.fill(false));
        for id in self.ids(|process| process.frozen.is_some()) {
            self.thaw(id);
        }
        if self.control == Control::Pause {
            self.tell(Control::Run);
        }
        if self.processes.is_empty() {
            self.start_soon(MS, S);
        }
    }

    /// Faults ended long ago: the connector stands at the end of the log and stops cleanly.
    fn rest(&mut self) {
        let end = Place { pos: lock(&self.database).end(), snapshot: None };
        let live = self.ids(|process| process.running() && process.frozen.is_none());
        let [id] = live[..] else {
            return self.oracle.violate(format!("faults ended long ago, and {} processes run", live.len()));
        };
        // Without transactions a request that comes late, or a zombie's, may stand behind the last one: repeats for the
        // next start.
        let last = self.broker.truth(self.setup.boundary.is_some());
        let known = last.as_ref().is_some_and(|(offset, _)| *offset == Some(end.to_offset()));
        if !known && (self.setup.boundary.is_some() || !self.broker.holds(None, &end.to_offset())) {
            return self
                .oracle
                .violate(format!("the log ends at {end}, and process {id} came no further than {last:?}"));
        }
        self.ending = true;
        self.tell(Control::Stop);
        self.later(self.net.now + 10 * S, Fault::End);
    }
}
