//! Time, the network and chance: one queue of events, and a weather that loses, delays and doubles messages.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fmt::Write,
};

use crate::{
    broker::{Reply, Request, Upkeep},
    coverage::Coverage,
    process::Wake,
    rng::Rng,
    world::Fault,
};

/// Microseconds since the world began.
pub(crate) type Micros = u64;

/// Milliseconds.
pub(crate) const MS: Micros = 1000;
/// Seconds.
pub(crate) const S: Micros = 1000 * MS;

/// Something that happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request reaches the broker.
    Arrive { from: u32, id: u64, request: Request },
    /// An answer reaches its process.
    Reply { to: u32, id: u64, reply: Reply },
    /// A process has something to do.
    Wake { process: u32, wake: Wake },
    /// The broker has something to do by itself.
    Upkeep(Upkeep),
    /// The world interferes.
    Fault(Fault),
}

struct Scheduled {
    at: Micros,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// How bad things are, in cases of a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) late: u64,
    /// Nothing gets through until then.
    pub(crate) outage_until: Micros,
}

/// The queue and what decides about it.
pub(crate) struct Net {
    pub(crate) now: Micros,
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    pub(crate) coverage: Coverage,
    pub(crate) trace: Option<String>,
    /// What processes asked of sink, offsets topic and store, in order; kept in rehearsals.
    pub(crate) calls: Vec<&'static str>,
    /// Rehearsals: the answer to the next commit is lost.
    pub(crate) lose_commit: bool,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    requests: u64,
    arrivals: BTreeMap<u32, Micros>,
}

impl Net {
    pub(crate) fn new(rng: Rng, weather: Weather, trace: bool) -> Self {
        Self {
            now: 0,
            rng,
            weather,
            coverage: Coverage::default(),
            trace: trace.then(String::new),
            calls: Vec::new(),
            lose_commit: false,
            queue: BinaryHeap::new(),
            order: 0,
            requests: 0,
            arrivals: BTreeMap::new(),
        }
    }

    /// Adds a line to the trace.
    pub(crate) fn trace(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            // Writing to a string does not fail.
            let _ = writeln!(trace, "{:>10} us  {}", self.now, line());
        }
    }

    /// Lets an event happen later.
    pub(crate) fn after(&mut self, delay: Micros, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled { at: self.now + delay, order: self.order, event }));
    }

    /// The next event; time moves to it.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse(next) = self.queue.pop()?;
        self.now = self.now.max(next.at);
        Some(next.event)
    }

    fn lost(&mut self) -> bool {
        let outage = self.now < self.weather.outage_until;
        if outage {
            self.coverage.hit("broker away");
        }
        let loss = self.weather.loss;
        outage || self.rng.chance(loss)
    }

    fn delay(&mut self) -> (Micros, bool) {
        let late = self.weather.late;
        if self.rng.chance(late) { (self.rng.range(20 * MS, 4 * S), true) } else { (self.rng.range(50, 600), false) }
    }

    /// Sends a request; gives its number. Requests of one process keep their order unless one is late.
    pub(crate) fn send(&mut self, from: u32, request: Request) -> u64 {
        self.requests += 1;
        let id = self.requests;
        if self.lost() {
            self.coverage.hit("request lost");
            self.trace(|| format!("process {from} request {id} LOST {request:?}"));
            return id;
        }
        let (delay, late) = self.delay();
        if late {
            self.coverage.hit("request late");
            self.after(delay, Event::Arrive { from, id, request });
            return id;
        }
        let arrival = self.arrivals.entry(from).or_default();
        *arrival = (*arrival).max(self.now + delay);
        let delay = *arrival - self.now;
        self.after(delay, Event::Arrive { from, id, request });
        id
    }

    /// Sends an answer back.
    pub(crate) fn reply(&mut self, to: u32, id: u64, reply: Reply) {
        let unheard = reply == Reply::Ended && std::mem::take(&mut self.lose_commit);
        if unheard || self.lost() {
            self.coverage.hit("reply lost");
            self.trace(|| format!("process {to} reply {id} LOST {reply:?}"));
            return;
        }
        let (delay, late) = self.delay();
        if late {
            self.coverage.hit("reply late");
        }
        self.after(delay, Event::Reply { to, id, reply });
    }
}
