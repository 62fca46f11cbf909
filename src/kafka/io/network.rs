//! The connections of one producer: by address, opened when they are needed, with the requests that are unanswered.
//!
//! Knows which broker listens where and when an address may be tried again. Which request goes out is
//! [`crate::io::sender`]'s business.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::Sender;

use crate::{
    io::{
        address::Address,
        connection::{self, Dial, Event, Handle, Lost, LostKind, Outgoing},
    },
    producer::options::Options,
    wire::messages::BrokerAddress,
};

/// Requests beside those for records that a connection may have under way: metadata and a producer id.
const OTHER_REQUESTS: usize = 2;

/// A batch in a request: its partition's place and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) lane: usize,
    pub(crate) number: u64,
}

/// What was asked.
#[derive(Debug)]
pub(crate) enum Question {
    Metadata,
    ProducerId,
    Produce(Vec<Item>),
}

/// A request without an answer yet.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) correlation: i32,
    pub(crate) question: Question,
    pub(crate) deadline: Instant,
}

/// An open connection, or one that is being opened.
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) throttled: Option<Instant>,
    ready: bool,
    handle: Handle,
    unanswered: VecDeque<Request>,
    produces: usize,
    used: Instant,
}

impl Connection {
    /// Unanswered Produce requests.
    pub(crate) fn produces(&self) -> usize {
        self.produces
    }

    /// Sends a request.
    pub(crate) fn send(&mut self, request: Request, outgoing: Outgoing, now: Instant) {
        self.used = now;
        self.produces += usize::from(matches!(request.question, Question::Produce(_)));
        self.unanswered.push_back(request);
        self.handle.send(outgoing);
    }
}

/// An address and how it went there.
#[derive(Default)]
struct Link {
    connection: Option<Connection>,
    failures: u32,
    not_before: Option<Instant>,
}

/// All connections.
pub(crate) struct Network {
    dial: Arc<Dial>,
    options: Options,
    events: Sender<Event>,
    links: HashMap<Address, Link>,
    brokers: HashMap<i32, Address>,
    opened: u64,
    /// Whose turn it is when any broker will do.
    turn: usize,
}

/// A connection that is gone.
pub(crate) struct Gone {
    pub(crate) address: Address,
    /// What it leaves unanswered.
    pub(crate) unanswered: Vec<Request>,
    pub(crate) was_ready: bool,
    /// Losses in a row at this address, this one included; 0 for one that nobody misses.
    pub(crate) failures: u32,
}

impl Network {
    pub(crate) fn new(options: &Options, events: Sender<Event>) -> Self {
        let dial = Dial {
            client: options.client.clone(),
            security: options.security.clone(),
            connect_timeout: options.connect_timeout,
            login_timeout: options.request_timeout,
            send_buffer: options.send_buffer,
        };
        Self {
            dial: Arc::new(dial),
            options: options.clone(),
            events,
            links: HashMap::new(),
            brokers: HashMap::new(),
            opened: 0,
            turn: 0,
        }
    }

    /// Takes the cluster's members as a broker tells them.
    pub(crate) fn set_brokers(&mut self, brokers: Vec<BrokerAddress>) {
        self.brokers = brokers.into_iter().map(|b| (b.id, Address { host: b.host, port: b.port })).collect();
        let (brokers, bootstrap) = (&self.brokers, &self.options.bootstrap);
        let wanted = |address: &Address| bootstrap.contains(address) || brokers.values().any(|known| known == address);
        self.links.retain(|address, link| wanted(address) || link.connection.is_some());
    }

    /// Where a broker listens.
    pub(crate) fn broker(&self, id: i32) -> Option<&Address> {
        self.brokers.get(&id)
    }

    /// The connection to an address when it is ready; otherwise it is opened, and `Err` says when to look again if
    /// no event will.
    pub(crate) fn connection(&mut self, address: &Address, now: Instant) -> Result<&mut Connection, Option<Instant>> {
        let link = self.links.entry(address.clone()).or_default();
        if link.connection.is_none() {
            if let Some(at) = link.not_before.filter(|at| *at > now) {
                return Err(Some(at));
            }
            self.opened += 1;
            let (number, requests) = (self.opened, self.options.in_flight + OTHER_REQUESTS);
            let handle = connection::open(address.clone(), self.dial.clone(), number, requests, self.events.clone());
            link.connection = Some(Connection {
                number,
                throttled: None,
                ready: false,
                handle,
                unanswered: VecDeque::new(),
                produces: 0,
                used: now,
            });
        }
        match &mut link.connection {
            Some(connection) if connection.ready => Ok(connection),
            _ => Err(None),
        }
    }

    /// A ready connection to any broker; otherwise one is opened to the next of those known and then of
    /// `bootstrap.servers`, one at a time.
    pub(crate) fn any(&mut self, now: Instant) -> Result<&mut Connection, Option<Instant>> {
        let ready = self.links.iter().filter(|(_, link)| link.connection.as_ref().is_some_and(|c| c.ready));
        let least = ready.min_by_key(|(_, link)| link.connection.as_ref().map_or(0, |c| c.unanswered.len()));
        if let Some(address) = least.map(|(address, _)| address.clone()) {
            return self.connection(&address, now);
        }
        if self.links.values().any(|link| link.connection.is_some()) {
            return Err(None);
        }
        let mut known: Vec<Address> = self.brokers.values().cloned().collect();
        known.sort();
        known.extend(self.options.bootstrap.iter().filter(|a| !self.brokers.values().any(|b| b == *a)).cloned());
        let mut soonest: Option<Instant> = None;
        for step in 0..known.len() {
            let Some(address) = known.get((self.turn + step) % known.len()) else { break };
            match self.links.get(address).and_then(|link| link.not_before).filter(|at| *at > now) {
                Some(at) => soonest = Some(soonest.map_or(at, |soonest| soonest.min(at))),
                None => {
                    self.turn = (self.turn + step + 1) % known.len();
                    return self.connection(address, now);
                }
            }
        }
        Err(soonest)
    }

    /// A connection is ready for use; its address, and how often it had failed there.
    pub(crate) fn ready(&mut self, number: u64) -> Option<(Address, u32)> {
        let (address, link) = self.by_number(number)?;
        let failures = std::mem::take(&mut link.failures);
        link.not_before = None;
        link.connection.as_mut()?.ready = true;
        Some((address, failures))
    }

    /// The request that an answer belongs to; `None` for an answer to something else than was asked.
    pub(crate) fn answered(&mut self, number: u64, correlation: i32) -> Option<Request> {
        let (_, link) = self.by_number(number)?;
        let connection = link.connection.as_mut()?;
        connection.unanswered.front().filter(|request| request.correlation == correlation)?;
        let request = connection.unanswered.pop_front()?;
        connection.produces -= usize::from(matches!(request.question, Question::Produce(_)));
        Some(request)
    }

    /// A broker wants no requests for a while.
    pub(crate) fn throttle(&mut self, number: u64, until: Instant) {
        if let Some(connection) = self.get(number) {
            connection.throttled = Some(until);
        }
    }

    /// Forgets a connection. `None` when it was forgotten before.
    pub(crate) fn lost(&mut self, number: u64, lost: &Lost, now: Instant) -> Option<Gone> {
        let backoff = self.options.reconnect_backoff;
        let (address, link) = self.by_number(number)?;
        let connection = link.connection.take()?;
        // Brokers close what is idle; that says nothing about the next connection.
        let missed = !(connection.ready && connection.unanswered.is_empty() && lost.kind == LostKind::Closed);
        link.failures = if missed { link.failures.saturating_add(1) } else { 0 };
        link.not_before = missed.then(|| now + backoff.pause(link.failures));
        let failures = link.failures;
        Some(Gone { address, unanswered: connection.unanswered.into(), was_ready: connection.ready, failures })
    }

    /// Connections whose oldest request has waited too long, and when the next one will have.
    pub(crate) fn overdue(&self, now: Instant) -> (Vec<u64>, Option<Instant>) {
        let (mut late, mut next) = (Vec::new(), None::<Instant>);
        for connection in self.links.values().filter_map(|link| link.connection.as_ref()) {
            let Some(deadline) = connection.unanswered.front().map(|request| request.deadline) else { continue };
            if deadline <= now {
                late.push(connection.number);
            } else {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
        }
        (late, next)
    }

    /// Closes connections without traffic for `idle`; when the next one will be closed.
    pub(crate) fn close_idle(&mut self, idle: Duration, now: Instant) -> Option<Instant> {
        let mut next = None::<Instant>;
        for link in self.links.values_mut() {
            let Some(connection) = link.connection.as_ref().filter(|c| c.ready && c.unanswered.is_empty()) else {
                continue;
            };
            let end = connection.used + idle;
            if end <= now {
                link.connection = None;
            } else {
                next = Some(next.map_or(end, |next| next.min(end)));
            }
        }
        next
    }

    /// A connection by its number.
    pub(crate) fn get(&mut self, number: u64) -> Option<&mut Connection> {
        self.by_number(number)?.1.connection.as_mut()
    }

    fn by_number(&mut self, number: u64) -> Option<(Address, &mut Link)> {
        let found = |link: &Link| link.connection.as_ref().is_some_and(|connection| connection.number == number);
        self.links.iter_mut().find(|(_, link)| found(link)).map(|(address, link)| (address.clone(), link))
    }
}
