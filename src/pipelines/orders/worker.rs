//! One worker: a consumer of one input topic, a transactional producer and Redis, in one thread.
//!
//! Why every complete order is announced exactly once, wherever the process dies:
//! - A change is applied to Redis once: the script moves the partition's position with it and passes over offsets
//!   below (`fold.lua`). Whether an order is announced is decided there, and the message is kept under the offset that
//!   completed it.
//! - That message and the offset's commit are in one Kafka transaction. So the message of offset `o` is in the topic if
//!   and only if the group's committed offset is above `o`: a worker starts at the committed offset, and gets from the
//!   script the messages whose transaction did not commit. A worker that lost its partition cannot commit, for the
//!   coordinator knows the group's generation.
//! - Redis is applied before offsets are committed, hence `committed <= position`. When it is not so, Redis lost
//!   something: `recovery` makes it trustworthy, and the group's offset is set back to Redis's position.
//!
//! What an order is found complete by is Redis, and so what came until then from both topics, which are not ordered
//! against each other: a change of the order and one of its lines may be met in another order than they were made in.
//!
//! On any trouble the worker drops its clients and begins again from there; nothing is kept in memory that matters.

mod assigned;
mod batch;
mod lines;
mod session;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
};

use session::Session;

use super::{
    book::Book,
    change::{Columns, Table},
    config::Config,
    progress::Progress,
    recovery,
};
use crate::runtime::{Error, Shutdown, clients, progress::RUNNING, story::Story, transaction::Transactions};

/// Called when Redis has a batch and Kafka has not, with the number of orders it completes; for crash tests.
pub type AfterRedis = Arc<dyn Fn(usize) + Send + Sync>;

/// What all workers of a run share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) client: ClientConfig,
    pub(crate) columns: Columns,
    pub(crate) progress: Arc<Progress>,
    pub(crate) story: Story,
    pub(crate) shutdown: Shutdown,
    pub(crate) after_redis: Option<AfterRedis>,
}

pub(crate) struct Worker {
    shared: Arc<Shared>,
    name: String,
    table: Table,
    topic: String,
    group: String,
    transactional_id: String,
    distrust: Distrust,
}

/// Whether the next session must doubt the bookkeeping.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Distrust {
    No,
    /// Something was missing under this epoch.
    Of(String),
    /// The doubt was settled: positions below the committed offsets are the truth.
    Settled,
}

/// Why a session ended.
enum Halt {
    Stop,
    /// Begin again from the committed offsets; `None` when that is routine.
    Again(Option<String>),
    /// Begin again and doubt the bookkeeping of this epoch.
    Doubt(String),
    Fatal(Error),
}

impl From<redis::RedisError> for Halt {
    fn from(error: redis::RedisError) -> Self {
        Self::from(Error::from(error))
    }
}

impl From<KafkaError> for Halt {
    fn from(error: KafkaError) -> Self {
        // The group shares its partitions out anew: routine, and what was not committed is done again.
        if let KafkaError::ConsumerCommit(
            RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::UnknownMemberId,
        ) = error
        {
            tracing::debug!(%error, "the group changed meanwhile");
            return Self::Again(None);
        }
        Self::from(Error::from(error))
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        if error.is_refused() { Self::Fatal(error) } else { Self::Again(Some(error.to_string())) }
    }
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, table: Table, number: usize) -> Self {
        let input = &shared.config.input;
        let (topic, group) = match table {
            Table::Orders => (input.orders_topic.clone(), input.orders_group.clone()),
            Table::Details => (input.order_details_topic.clone(), input.order_details_group.clone()),
        };
        let name = format!("{}-{number}", table.name());
        let transactional_id = format!("{group}-{}-{number}", shared.config.instance);
        Self { shared, name, table, topic, group, transactional_id, distrust: Distrust::No }
    }

    fn doing(&self, doing: impl Into<String>) {
        self.shared.progress.run.doing(&self.name, &self.topic, doing);
    }

    /// Works until asked to stop; an error is one that beginning again cannot mend.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let progress = &shared.progress.run;
        let mut failures = 0_u32;
        let mut told = String::new();
        loop {
            self.doing("starting");
            let began = Instant::now();
            let halt = match self.session() {
                Ok(()) => return Ok(()),
                Err(halt) => halt,
            };
            if shared.shutdown.is_triggered() && !matches!(halt, Halt::Fatal(_)) {
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(30) {
                failures = 0;
                told.clear();
            }
            let reason = match halt {
                Halt::Stop => return Ok(()),
                Halt::Fatal(error) => {
                    progress.error(&error.to_string());
                    return Err(error);
                }
                Halt::Again(None) => continue,
                Halt::Again(Some(reason)) => reason,
                Halt::Doubt(epoch) => {
                    self.distrust = Distrust::Of(epoch);
                    continue;
                }
            };
            failures = failures.saturating_add(1);
            progress.restarts.add(1);
            progress.error(&reason);
            self.doing(format!("waiting to try again: {reason}"));
            // What does not answer is told once, not at every try.
            if reason != told {
                tracing::warn!(worker = %self.name, %reason, "beginning again from the committed offsets");
                told = reason;
            }
            let wait = Duration::from_millis(100_u64.saturating_mul(1 << failures.min(6)).min(5_000));
            if !shared.shutdown.pause(wait) {
                return Ok(());
            }
        }
    }

    fn session(&mut self) -> Result<(), Halt> {
        let shared = Arc::clone(&self.shared);
        let (config, shutdown) = (&shared.config, &shared.shutdown);
        self.doing(format!("waiting for Redis at {}", config.redis.place()));
        let mut book = Book::open(&config.redis, config.legacy_keys)?;
        self.doing("waiting for the bookkeeping to be rebuilt");
        let distrusted = match &self.distrust {
            Distrust::Of(epoch) => Some(epoch.as_str()),
            _ => None,
        };
        let epoch = recovery::ensure_epoch(&mut book, &shared.client, config, distrusted, shutdown)?;
        let epoch = epoch.ok_or(Halt::Stop)?;
        if distrusted.is_some() {
            self.distrust = Distrust::Settled;
        }
        self.doing(format!("waiting for Kafka at {}", config.kafka.bootstrap_servers));
        let producer = Transactions::open(&shared.client, &self.transactional_id, shutdown)?.ok_or(Halt::Stop)?;
        let consumer = clients::join(&shared.client, &self.group, &self.transactional_id, &self.topic)?;
        shared.story.tell(&[
            format!("Connected to Kafka: {}", self.topic),
            format!("Subscribed to topic(s): ['{}']", self.topic),
        ]);
        self.doing(RUNNING);
        let doubt_settled = std::mem::replace(&mut self.distrust, Distrust::No) == Distrust::Settled;
        let mut session = Session::new(self, &shared, book, epoch, consumer, producer, doubt_settled);
        let result = session.work();
        session.forget_places();
        result
    }
}
