//! Questions to and orders for the cluster: who it is, which topics there are, create, describe, delete.
//!
//! Calls block; call them from a thread that may wait. A [`Cluster`] is opened for a few calls and dropped:
//! it holds connections.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use engine::error::{Failure, TaskError};
use rdkafka::{
    ClientContext,
    admin::{AdminClient, AdminOptions, ResourceSpecifier, TopicReplication},
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    client::{LogContext, Meaning, connection_refused, is_refusal, log_line, meaning},
    settings::Settings,
};

/// A topic to create; -1 partitions or replication means the broker's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Replication factor.
    pub replication: i32,
    /// Topic settings.
    pub configs: BTreeMap<String, String>,
}

/// The text that Connect shows.
impl fmt::Display for NewTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: i32| if n == -1 { "default".to_owned() } else { n.to_string() };
        let configs: Vec<String> = self.configs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        write!(
            f,
            "(name={}, numPartitions={}, replicationFactor={}, replicasAssignments=null, configs={{{}}})",
            self.name,
            number(self.partitions),
            number(self.replication),
            configs.join(", ")
        )
    }
}

/// What became of an order to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was created.
    New,
    /// It was there.
    Existed,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Kafka's code.
    pub code: Option<RDKafkaErrorCode>,
    /// Text.
    pub text: String,
}

impl Refusal {
    pub(crate) fn of(error: &KafkaError) -> Self {
        Self { code: error.rdkafka_error_code(), text: error.to_string() }
    }

    fn of_code(code: RDKafkaErrorCode) -> Self {
        Self { code: Some(code), text: code.to_string() }
    }

    /// What it means.
    pub fn meaning(&self) -> Meaning {
        self.code.map_or(Meaning::Retriable, meaning)
    }

    /// As a task's failure under a message of the caller's.
    pub fn into_error(self, message: impl Into<String>) -> TaskError {
        let failure = Failure::new(message).caused_by(&self.text);
        match self.meaning() {
            Meaning::Retriable => TaskError::Transient(failure),
            _ => TaskError::Definite(failure),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Remembers the last thing that went wrong on the connections.
#[derive(Debug, Clone, Default)]
struct Noted {
    last: Arc<Mutex<Option<(RDKafkaErrorCode, String)>>>,
}

impl Noted {
    fn get(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Noted {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        // The first seconds of a start with the broker away would fill the log; the reason is in the error.
        let level = match level {
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => RDKafkaLogLevel::Info,
            other => other,
        };
        log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            // "all brokers are down" says less than what brought them down.
            if code != RDKafkaErrorCode::AllBrokersDown || last.is_none() {
                *last = Some((code, reason.to_owned()));
            }
        }
    }
}

impl ConsumerContext for Noted {}

/// A connection to a cluster for questions and orders.
pub struct Cluster {
    settings: Settings,
    /// A consumer without a group: it asks for metadata without creating the topics it asks about, and its
    /// poll serves log lines and errors, which librdkafka's admin client never does.
    asker: BaseConsumer<Noted>,
    noted: Noted,
}

/// How long one question may take before it is asked again.
const QUESTION: Duration = Duration::from_secs(10);

impl Cluster {
    /// Opens a connection with settings of [`crate::settings::Role::Admin`]; nothing is sent yet.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn open(settings: &Settings) -> Result<Self, TaskError> {
        let noted = Noted::default();
        let asker = settings.client(noted.clone()).map_err(|e| creation_failed(&e))?;
        Ok(Self { settings: settings.clone(), asker, noted })
    }

    /// The servers, for messages.
    pub fn servers(&self) -> &str {
        self.settings.get("bootstrap.servers").unwrap_or("(no bootstrap.servers)")
    }

    /// Waits until a broker answers, at most `limit`; gives the cluster's id. Wrong credentials end the wait.
    ///
    /// # Errors
    /// Nobody answered (transient) or the credentials are wrong (definite), with what to do.
    pub fn reach(&self, limit: Duration) -> Result<Option<String>, TaskError> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let metadata =
                self.asker.client().fetch_metadata(Some("__consumer_offsets"), left.min(Duration::from_secs(1)));
            self.serve();
            if metadata.is_ok() {
                return Ok(self.asker.client().fetch_cluster_id(QUESTION));
            }
            self.refused()?;
            if Instant::now() >= end {
                let message = format!(
                    "Kafka did not answer at {} within {} s. Check bootstrap.servers, that a broker listens there, and \
                     security.protocol",
                    self.servers(),
                    limit.as_secs()
                );
                let cause = self.noted.get().map_or_else(|| "no answer".to_owned(), |(_, reason)| reason);
                return Err(TaskError::Transient(Failure::new(message).caused_by(cause)));
            }
        }
    }

    /// Whether a broker refused the connection, or we its certificate: waiting does not help.
    ///
    /// # Errors
    /// It did; what to do.
    pub fn refused(&self) -> Result<(), TaskError> {
        match self.noted.get() {
            Some((code, reason)) if is_refusal(code, &reason) => Err(connection_refused(self.servers(), code, &reason)),
            _ => Ok(()),
        }
    }

    /// Serves log lines and errors that have come in.
    fn serve(&self) {
        // Without time to wait a poll ends at the first log line, and errors behind it are never seen.
        while self.asker.poll(Duration::from_millis(2)).is_some() {}
    }

    /// Number of partitions of a topic; `None` when there is no such topic.
    ///
    /// # Errors
    /// No answer, or no right to see it.
    pub fn partitions(&self, topic: &str) -> Result<Option<i32>, Refusal> {
        let answer = self.asker.client().fetch_metadata(Some(topic), QUESTION);
        self.serve();
        let metadata = answer.map_err(|e| Refusal::of(&e))?;
        let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX))),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Some(code) => Err(Refusal::of_code(code)),
        }
    }

    fn admin(&self) -> Result<AdminClient<LogContext>, Refusal> {
        self.settings.client(LogContext).map_err(|e| Refusal::of(&e))
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// Kafka's refusal.
    pub fn create(&self, topic: &NewTopic) -> Result<Created, Refusal> {
        let admin = self.admin()?;
        let mut new =
            rdkafka::admin::NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(topic.replication));
        for (key, value) in &topic.configs {
            new = new.set(key, value);
        }
        let results = wait(admin.create_topics([&new], &options())).map_err(|e| Refusal::of(&e))?;
        match results.into_iter().next() {
            Some(Ok(_)) => Ok(Created::New),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(Created::Existed),
            Some(Err((_, code))) => Err(Refusal::of_code(code)),
            None => Err(Refusal { code: None, text: "the broker's answer names no topic".into() }),
        }
    }

    /// Deletes a topic; whether it was there.
    ///
    /// # Errors
    /// Kafka's refusal.
    pub fn delete(&self, topic: &str) -> Result<bool, Refusal> {
        let admin = self.admin()?;
        let results = wait(admin.delete_topics(&[topic], &options())).map_err(|e| Refusal::of(&e))?;
        match results.into_iter().next() {
            Some(Ok(_)) => Ok(true),
            Some(Err((_, RDKafkaErrorCode::UnknownTopicOrPartition))) => Ok(false),
            Some(Err((_, code))) => Err(Refusal::of_code(code)),
            None => Err(Refusal { code: None, text: "the broker's answer names no topic".into() }),
        }
    }

    /// A topic's settings.
    ///
    /// # Errors
    /// Kafka's refusal; the right to describe configurations is often missing.
    pub fn topic_configs(&self, topic: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let admin = self.admin()?;
        let resource = ResourceSpecifier::Topic(topic);
        let results = wait(admin.describe_configs([&resource], &options())).map_err(|e| Refusal::of(&e))?;
        match results.into_iter().next() {
            Some(Ok(found)) => {
                Ok(found.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
            }
            Some(Err(code)) => Err(Refusal::of_code(code)),
            None => Err(Refusal { code: None, text: "the broker's answer names no topic".into() }),
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn options() -> AdminOptions {
    let limit = Some(Duration::from_secs(30));
    AdminOptions::new().request_timeout(limit).operation_timeout(limit)
}

/// librdkafka did not make a client; text for the user.
pub(crate) fn creation_failed(error: &KafkaError) -> TaskError {
    TaskError::Definite(Failure::new("The Kafka client's settings were refused").caused_by(error))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future of librdkafka's on this thread; they need no runtime. They end by their own timeouts.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_reads_as_connect_writes_it() {
        let topic = NewTopic {
            name: "t".into(),
            partitions: -1,
            replication: 2,
            configs: [("cleanup.policy".to_owned(), "compact".to_owned())].into(),
        };
        assert_eq!(
            topic.to_string(),
            "(name=t, numPartitions=default, replicationFactor=2, replicasAssignments=null, configs={cleanup.policy=compact})"
        );
    }
}
