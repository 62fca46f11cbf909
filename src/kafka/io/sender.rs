//! The producer's thread: takes batches from the queue, sends each to its partition's leader and settles it by the
//! answer.
//!
//! One loop on a runtime of its own. A step looks at everything that may have changed and does what is due; between
//! steps the thread sleeps until an event, a word from the task's thread, or the next deadline. It never guesses: an
//! answer that leaves open whether records are missing ends the producer.

mod settle;

use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use engine::error::{Failure, TaskError};
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::mpsc::{Receiver, channel};

use crate::{
    io::{
        connection::{Event, Lost, LostKind, Outgoing, Piece},
        lane::{Lane, Turn},
        network::{Item, Network, Question, Request},
        topology::Topology,
    },
    producer::{
        SEND_FAILED,
        failure::delivery_failed,
        options::Options,
        queue::{Queue, Shared},
    },
    wire::{
        batch::{Batch, ProducerId},
        compress::{Codec, Compressor},
        messages::{self, INIT_PRODUCER_ID, METADATA, PRODUCE},
    },
};

/// Longest sleep when nothing is due.
const DAY: Duration = Duration::from_secs(86_400);
/// Events that may wait while the loop is busy.
const EVENTS: usize = 256;
/// Buffers are kept this long without use.
const KEEP_BUFFERS: Duration = Duration::from_secs(10);

/// What the broker's check of sequence numbers goes by.
enum Identity {
    /// The producer is not idempotent.
    None,
    /// To be asked for, not before this time.
    Wanted(Option<Instant>, u32),
    Asked,
    Known(ProducerId),
}

/// The loop's state.
pub(crate) struct Sender {
    shared: Arc<Shared>,
    options: Options,
    network: Network,
    events: Receiver<Event>,
    topology: Topology,
    lanes: Vec<Lane>,
    /// Lanes where something waits or is on its way.
    active: Vec<usize>,
    compressor: Compressor,
    identity: Identity,
    batches: u64,
    correlation: i32,
    /// When the next step is due if nothing happens.
    due: Instant,
    logged_in: bool,
    refused_since: Option<Instant>,
    buffers_until: Option<Instant>,
}

/// Ends the producer when its thread ends, however it does.
struct LastWord(Arc<Shared>);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.die(|| TaskError::transient("the Kafka producer's thread has ended"));
    }
}

/// Starts the thread. It ends after [`Shared::stop`], or when the producer has died.
///
/// # Errors
/// The system gives no thread or no event queue.
pub(crate) fn start(shared: Arc<Shared>, options: Options, allow_creation: bool) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    std::thread::Builder::new().name("kafka-producer".into()).spawn(move || {
        let _last = LastWord(shared.clone());
        let (events_to, events) = channel(EVENTS);
        let identity = if options.idempotent { Identity::Wanted(None, 0) } else { Identity::None };
        let sender = Sender {
            network: Network::new(&options, events_to),
            topology: Topology::new(&options, allow_creation),
            compressor: Compressor::new(options.codec),
            shared,
            options,
            events,
            lanes: Vec::new(),
            active: Vec::new(),
            identity,
            batches: 0,
            correlation: 0,
            due: Instant::now(),
            logged_in: false,
            refused_since: None,
            buffers_until: None,
        };
        runtime.block_on(sender.run());
        // A name that is being resolved is not waited for.
        runtime.shutdown_background();
    })
}

impl Sender {
    async fn run(mut self) {
        while !self.shared.stopped() && !self.shared.outstanding.ended() {
            if self.step(Instant::now()) {
                // What was handed over is written before the next batch is compressed.
                tokio::task::yield_now().await;
                self.take_events();
                continue;
            }
            let event = tokio::select! {
                biased;
                event = self.events.recv() => event,
                () = self.shared.wake.notified() => None,
                () = tokio::time::sleep_until(self.due.into()) => None,
            };
            if let Some(event) = event {
                self.on_event(event, Instant::now());
            }
            self.take_events();
        }
    }

    fn take_events(&mut self) {
        let now = Instant::now();
        while let Ok(event) = self.events.try_recv() {
            self.on_event(event, now);
        }
    }

    /// Does what is due; whether there may be more right away.
    fn step(&mut self, now: Instant) -> bool {
        self.due = now + DAY;
        self.look();
        self.expire(now);
        self.repair();
        self.ask_metadata(now);
        let sent = self.send(now);
        self.ask_identity(now);
        self.rest(now);
        sent
    }

    fn at(&mut self, due: Option<Instant>) {
        self.due = due.map_or(self.due, |due| self.due.min(due));
    }

    /// Takes what the task's thread has announced.
    fn look(&mut self) {
        let mut queue = self.shared.queue();
        self.active.append(&mut queue.woken);
        if std::mem::take(&mut queue.unasked) {
            self.topology.want_now();
        }
    }

    /// Gives up connections and records whose time is over.
    fn expire(&mut self, now: Instant) {
        let (late, next) = self.network.overdue(now);
        self.at(next);
        for number in late {
            let ms = self.options.request_timeout.as_millis();
            let reason = format!("the broker did not answer a request within {ms} ms (request.timeout.ms)");
            self.on_lost(number, Lost { kind: LostKind::Network, reason }, now);
        }
        let Some(limit) = self.options.delivery_timeout else { return };
        let (mut next, mut dead) = (None::<Instant>, None);
        let queue = self.shared.queue();
        for place in &self.active {
            let Some(lane) = self.lanes.get(*place) else { continue };
            let Some(since) = lane.oldest().map(|sent| sent.batch.since).or_else(|| queue.oldest(*place)) else {
                continue;
            };
            if since + limit <= now {
                dead = Some(queue.name(lane.topic));
            }
            next = Some(next.map_or(since + limit, |next| next.min(since + limit)));
        }
        drop(queue);
        self.at(next);
        if let Some(topic) = dead {
            self.die(delivery_failed(RDKafkaErrorCode::MessageTimedOut, &topic, 0, 0));
        }
    }

    fn die(&self, error: TaskError) {
        self.shared.die(|| error);
    }

    fn known(&self) -> Option<ProducerId> {
        match self.identity {
            Identity::Known(id) => Some(id),
            _ => None,
        }
    }

    fn repair(&mut self) {
        let producer = self.known();
        let (mut from, mut to) = (0, 0);
        for place in &self.active {
            let Some(lane) = self.lanes.get_mut(*place) else { continue };
            let name = || {
                self.batches += 1;
                self.batches
            };
            match lane.repair(&mut self.compressor, producer, name) {
                Ok((less, more)) => (from, to) = (from + less, to + more),
                Err(error) => {
                    let failure = Failure::new(SEND_FAILED).caused_by(error);
                    return self.shared.die(|| TaskError::Definite(failure));
                }
            }
        }
        if from > 0 {
            self.shared.queue().recount(from, to);
        }
    }

    fn next_correlation(&mut self) -> i32 {
        self.correlation = self.correlation.wrapping_add(1) & i32::MAX;
        self.correlation
    }

    fn ask_metadata(&mut self, now: Instant) {
        if let Err(due) = self.topology.is_due(now) {
            return self.at(due);
        }
        let correlation = self.next_correlation();
        let connection = match self.network.any(now) {
            Ok(connection) => connection,
            Err(due) => return self.at(due),
        };
        let mut request = messages::begin(METADATA, correlation, &self.options.client);
        {
            let queue = self.shared.queue();
            let topics = queue.topics.iter().map(|topic| &*topic.name);
            messages::put_metadata(&mut request, topics, self.topology.allow_creation());
        }
        messages::finish(&mut request, 0);
        self.topology.asked();
        let deadline = now + self.options.request_timeout;
        let asked = Request { correlation, question: Question::Metadata, deadline };
        connection.send(asked, Outgoing { pieces: vec![Piece::Own(request)], written: None }, now);
        self.at(Some(deadline));
    }

    fn ask_identity(&mut self, now: Instant) {
        let Identity::Wanted(not_before, failures) = self.identity else { return };
        if self.active.is_empty() {
            return;
        }
        if not_before.is_some_and(|at| at > now) {
            return self.at(not_before);
        }
        let correlation = self.next_correlation();
        let connection = match self.network.any(now) {
            Ok(connection) => connection,
            Err(due) => return self.at(due),
        };
        let mut request = messages::begin(INIT_PRODUCER_ID, correlation, &self.options.client);
        messages::put_init_producer_id(&mut request);
        messages::finish(&mut request, 0);
        tracing::debug!(target: "kafka::client", failures, "asking for a producer id");
        self.identity = Identity::Asked;
        let deadline = now + self.options.request_timeout;
        let asked = Request { correlation, question: Question::ProducerId, deadline };
        connection.send(asked, Outgoing { pieces: vec![Piece::Own(request)], written: None }, now);
        self.at(Some(deadline));
    }

    /// Sends one request for records, to the first broker that can take one; whether it did.
    fn send(&mut self, now: Instant) -> bool {
        let producer = self.known();
        if producer.is_none() && self.options.idempotent {
            return false;
        }
        let mut items = Vec::new();
        let Some(number) = self.choose(now, &mut items) else { return false };
        let mut changes = Vec::new();
        for (place, choice) in &mut items {
            let Choice::Fresh(batch, spare) = choice else { continue };
            let (Some(batch), Some(lane)) = (batch.take(), self.lanes.get_mut(*place)) else { continue };
            self.batches += 1;
            let before = Queue::charge(&batch);
            let unused = lane.add(batch, &mut self.compressor, std::mem::take(spare), producer, self.batches);
            changes.push((before, lane.find(self.batches).map_or(0, |sent| sent.bytes.len()), unused));
            *choice = Choice::Again(self.batches);
        }
        if !changes.is_empty() {
            let mut queue = self.shared.queue();
            for (before, after, unused) in changes {
                queue.recount(before, after);
                queue.give_back(unused);
            }
            drop(queue);
            self.shared.tell();
        }
        let items: Vec<Item> = items
            .into_iter()
            .filter_map(|(lane, choice)| match choice {
                Choice::Again(number) => Some(Item { lane, number }),
                Choice::Fresh(..) => None,
            })
            .collect();
        self.produce(number, items, now);
        self.buffers_until = Some(now + KEEP_BUFFERS);
        true
    }

    /// What goes into the next request and over which connection.
    fn choose(&mut self, now: Instant, items: &mut Vec<(usize, Choice)>) -> Option<u64> {
        let mut target: Option<(i32, u64)> = None;
        let mut bytes = 0;
        let (mut due, mut leaderless) = (None::<Instant>, false);
        let mut sooner = |at: Option<Instant>| due = due.into_iter().chain(at).min();
        let mut queue = self.shared.queue();
        self.active.retain(|place| {
            let Some(lane) = self.lanes.get(*place) else { return true };
            if lane.is_empty() && queue.is_empty(*place) {
                queue.unlist(*place);
                return false;
            }
            let Some(leader) = lane.leader else {
                leaderless = true;
                return true;
            };
            if target.is_some_and(|(broker, _)| broker != leader) || bytes >= self.options.max_request {
                return true;
            }
            let Some(address) = self.network.broker(leader).cloned() else {
                leaderless = true;
                return true;
            };
            let connection = match self.network.connection(&address, now) {
                Ok(connection) => connection,
                Err(at) => {
                    sooner(at);
                    return true;
                }
            };
            if let Some(until) = connection.throttled.filter(|until| *until > now) {
                sooner(Some(until));
                return true;
            }
            if connection.produces() >= self.options.in_flight {
                return true;
            }
            let number = connection.number;
            let choice = match lane.turn(number, self.options.in_flight, now) {
                Turn::Again(name) => {
                    bytes += lane.find(name).map_or(0, |sent| sent.bytes.len());
                    Choice::Again(name)
                }
                Turn::Fresh => match queue.next(*place, lane.is_empty(), self.options.linger, now) {
                    Ok(Some(batch)) => {
                        // Compressed it will be a fraction, but which is not known yet.
                        bytes += batch.bytes.len() / if self.options.codec == Codec::None { 1 } else { 4 };
                        let spare = if self.options.codec == Codec::None { Vec::new() } else { queue.spare() };
                        Choice::Fresh(Some(batch), spare)
                    }
                    Ok(None) => return true,
                    Err(at) => {
                        sooner(Some(at));
                        return true;
                    }
                },
                Turn::Wait(at) => {
                    sooner(at);
                    return true;
                }
            };
            target = Some((leader, number));
            items.push((*place, choice));
            true
        });
        drop(queue);
        if leaderless && self.topology.want() {
            self.at(Some(now));
        }
        self.at(due);
        // The next request begins with somebody else.
        if let Some(first) = self.active.first().copied().filter(|_| self.active.len() > 1) {
            self.active.remove(0);
            self.active.push(first);
        }
        target.map(|(_, number)| number)
    }

    /// Builds and sends a Produce request of batches that have their sequence numbers.
    fn produce(&mut self, number: u64, mut items: Vec<Item>, now: Instant) {
        let topic_of = |lanes: &[Lane], item: &Item| lanes.get(item.lane).map_or(0, |lane| lane.topic);
        items.sort_by_key(|item| topic_of(&self.lanes, item));
        let correlation = self.next_correlation();
        let timeout = i32::try_from(self.options.request_timeout.as_millis()).unwrap_or(i32::MAX);
        let groups: Vec<&[Item]> =
            items.chunk_by(|a, b| topic_of(&self.lanes, a) == topic_of(&self.lanes, b)).collect();
        let mut head = messages::begin(PRODUCE, correlation, &self.options.client);
        messages::put_produce(&mut head, self.options.acks, timeout, groups.len());
        let (mut pieces, mut rest) = (Vec::new(), 0);
        for group in groups {
            let topic = group.first().map_or(0, |item| topic_of(&self.lanes, item));
            messages::put_produce_topic(&mut head, &self.shared.queue().name(topic), group.len());
            for item in group {
                let Some(lane) = self.lanes.get_mut(item.lane) else { continue };
                let Some(batch) = lane.send(item.number, number) else { continue };
                messages::put_produce_partition(&mut head, lane.partition, batch.len());
                if !pieces.is_empty() {
                    rest += head.len();
                }
                rest += batch.len();
                pieces.extend([Piece::Own(std::mem::take(&mut head)), Piece::Batch(batch)]);
            }
        }
        if let Some(Piece::Own(first)) = pieces.first_mut() {
            messages::finish(first, rest);
        }
        let deadline = now + self.options.request_timeout;
        let written = (self.options.acks == 0).then_some(correlation);
        let Some(connection) = self.network.get(number) else { return };
        let asked = Request { correlation, question: Question::Produce(items), deadline };
        connection.send(asked, Outgoing { pieces, written }, now);
        self.at(Some(deadline));
    }

    /// Frees what an idle producer does not need.
    fn rest(&mut self, now: Instant) {
        if let Some(idle) = self.options.connection_idle {
            let next = self.network.close_idle(idle, now);
            self.at(next);
        }
        match self.buffers_until {
            Some(until) if until <= now => {
                self.buffers_until = None;
                self.shared.queue().drop_spare();
            }
            until => self.at(until),
        }
    }
}

/// What a partition puts into a request.
enum Choice {
    Again(u64),
    /// A new batch, and memory to compress it into.
    Fresh(Option<Batch>, Vec<u8>),
}
