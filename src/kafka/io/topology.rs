//! Which topics and leaders the cluster has, as far as this producer needs to know, and when to ask again.

use std::time::{Duration, Instant};

use engine::error::TaskError;
use rdkafka::error::RDKafkaErrorCode;

use crate::{
    client::{Meaning, meaning},
    io::{answers::error_code, lane::Lane, network::Network},
    producer::{
        failure::delivery_failed,
        options::{Backoff, Options},
        queue::{Queue, TopicState},
    },
    wire::messages::Metadata,
};

/// How long a topic with waiting records may be unknown before it counts as deleted: brokers learn of a new topic one
/// after the other.
const UNKNOWN_PATIENCE: Duration = Duration::from_secs(10);

/// When to ask for metadata.
pub(crate) struct Topology {
    age: Duration,
    backoff: Backoff,
    allow_creation: bool,
    wanted: bool,
    asked: bool,
    /// Answers in a row that left something open.
    open: u32,
    not_before: Option<Instant>,
    last: Option<Instant>,
    /// By topic: since when it has been unknown.
    unknown: Vec<Option<Instant>>,
}

impl Topology {
    pub(crate) fn new(options: &Options, allow_creation: bool) -> Self {
        Self {
            age: options.metadata_age,
            backoff: options.retry_backoff,
            allow_creation,
            wanted: false,
            asked: false,
            open: 0,
            not_before: None,
            last: None,
            unknown: Vec::new(),
        }
    }

    /// Whether brokers may create the topics they are asked about.
    pub(crate) fn allow_creation(&self) -> bool {
        self.allow_creation
    }

    /// Something seems to have changed; whether that is news.
    pub(crate) fn want(&mut self) -> bool {
        !self.asked && !std::mem::replace(&mut self.wanted, true)
    }

    /// There is something that no broker was asked about yet.
    pub(crate) fn want_now(&mut self) {
        self.wanted = true;
        self.not_before = None;
    }

    /// A question is under way.
    pub(crate) fn asked(&mut self) {
        self.asked = true;
        self.wanted = false;
    }

    /// The question that was under way got no answer.
    pub(crate) fn unanswered(&mut self, now: Instant) {
        self.asked = false;
        self.wanted = true;
        self.not_before = Some(now + self.backoff.pause(1));
    }

    /// Whether to ask now; `Err` says when it will be time, if a time is known.
    pub(crate) fn is_due(&self, now: Instant) -> Result<(), Option<Instant>> {
        if self.asked {
            return Err(None);
        }
        let old = self.last.map(|last| last + self.age);
        let due = match self.wanted {
            true => self.not_before.unwrap_or(now),
            false => old.ok_or(None)?,
        };
        if due <= now { Ok(()) } else { Err(Some(due)) }
    }

    /// Takes an answer into the queue and the lanes. Gives the failure that ends the producer: a topic with waiting
    /// records (`waiting`) is gone or forbidden.
    pub(crate) fn learn(
        &mut self,
        metadata: Metadata,
        queue: &mut Queue,
        lanes: &mut Vec<Lane>,
        network: &mut Network,
        now: Instant,
        waiting: impl Fn(&Queue, &[Lane], usize) -> bool,
    ) -> Option<TaskError> {
        self.asked = false;
        self.last = Some(now);
        network.set_brokers(metadata.brokers);
        let (mut complete, mut dead) = (true, None);
        for told in metadata.topics {
            let Some(topic) = queue.find(&told.name) else { continue };
            let code = error_code(told.code);
            let mut lost = None;
            if code == RDKafkaErrorCode::NoError {
                let count = told.partitions.iter().map(|p| p.index + 1).max().unwrap_or(0);
                if count == 0 || count > told.partitions.len() {
                    complete = false;
                    continue;
                }
                queue.set_partitions(topic, count);
                lanes.extend(queue.lanes.iter().skip(lanes.len()).map(|w| Lane::new(w.topic, w.partition)));
            } else {
                match queue.state(topic) {
                    TopicState::Known => lost = Some(code),
                    _ => {
                        complete &= !matches!(meaning(code), Meaning::Retriable | Meaning::UnknownTopic);
                        queue.refuse(topic, code);
                    }
                }
            }
            let places = queue.topics.get(topic).map(|topic| topic.lanes.clone()).unwrap_or_default();
            let mut missing = false;
            for (index, place) in places.iter().enumerate() {
                let leader = told.partitions.iter().find(|p| p.index == index);
                let leader = leader.filter(|_| lost.is_none()).and_then(|partition| partition.leader);
                let used = waiting(queue, lanes, *place);
                missing |= told.partitions.len() <= index && used;
                // A partition that nobody uses may stay without a leader.
                complete &= leader.is_some() || !used;
                if let Some(lane) = lanes.get_mut(*place) {
                    lane.leader = leader;
                }
                if let Some(lane) = queue.lanes.get_mut(*place) {
                    lane.led = leader.is_some();
                }
            }
            if lost.is_none() && missing {
                lost = Some(RDKafkaErrorCode::UnknownTopicOrPartition);
            }
            let used = places.iter().any(|place| waiting(queue, lanes, *place));
            if let Some(code) = self.gone(topic, lost, used, now) {
                dead = dead.or_else(|| Some(delivery_failed(code, &told.name, 0, 0)));
            }
        }
        if complete {
            (self.open, self.not_before) = (0, None);
        } else {
            self.open = self.open.saturating_add(1);
            (self.wanted, self.not_before) = (true, Some(now + self.backoff.pause(self.open)));
        }
        dead
    }

    /// Whether a known topic that is refused now, and is `used`, is to be given up.
    fn gone(
        &mut self,
        topic: usize,
        lost: Option<RDKafkaErrorCode>,
        used: bool,
        now: Instant,
    ) -> Option<RDKafkaErrorCode> {
        if self.unknown.len() <= topic {
            self.unknown.resize(topic + 1, None);
        }
        let since = self.unknown.get_mut(topic)?;
        let Some(code) = lost.filter(|code| meaning(*code) != Meaning::Retriable) else {
            *since = None;
            return None;
        };
        let since = *since.get_or_insert(now);
        let patience = if meaning(code) == Meaning::UnknownTopic { UNKNOWN_PATIENCE } else { Duration::ZERO };
        (used && now.duration_since(since) >= patience).then_some(code)
    }
}
