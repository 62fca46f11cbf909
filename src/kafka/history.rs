//! Schema history in a Kafka topic of its own (`schema.history.internal.kafka.*`): one partition, kept without
//! end, null keys, one JSON document a record.
//!
//! Its clients have settings of their own (`schema.history.internal.producer.*`, `.consumer.*`), independent of
//! the worker's. Documents are text here.
//!
//! A cache holds what was read last. Kafka is right: the copy counts only while the topic still holds its last document
//! in its place, and what follows is read from there.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use engine::{
    error::{Failure, TaskError},
    port::{HistoryCache, HistoryDocument, SchemaHistory, SchemaHistoryOpener},
};
use futures_util::future::BoxFuture;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio::sync::OnceCell;

use crate::{
    client::{LogContext, Meaning, meaning, without_prefix},
    cluster::{Cluster, NewTopic, Refusal, creation_failed},
    settings::{Problem, ProblemKind, Role, Settings},
    topics::blocking,
    writer::Writer,
};

const PREFIX: &str = "schema.history.internal.";
const CLASS: &str = "io.debezium.storage.kafka.history.KafkaSchemaHistory";

/// Settings of one history, checked.
#[derive(Debug, Clone)]
struct HistoryConfig {
    topic: String,
    producer: Settings,
    consumer: Settings,
    admin: Settings,
    poll_interval: Duration,
    attempts: u32,
    query_timeout: Duration,
}

impl HistoryConfig {
    fn parse(config: &BTreeMap<String, String>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let required = |name: &str, problems: &mut Vec<Problem>| match config.get(&format!("{PREFIX}{name}")) {
            Some(value) if !value.trim().is_empty() => value.trim().to_owned(),
            _ => {
                let text = "A value is required".to_owned();
                problems.push(Problem { key: format!("{PREFIX}{name}"), kind: ProblemKind::Invalid, text });
                String::new()
            }
        };
        let number = |name: &str, default: u64, problems: &mut Vec<Problem>| {
            let key = format!("{PREFIX}{name}");
            match config.get(&key).map_or(Ok(default), |value| value.trim().parse::<u64>()) {
                Ok(n) => n,
                Err(_) => {
                    let text = "A whole number of at least 0 is expected".to_owned();
                    problems.push(Problem { key, kind: ProblemKind::Invalid, text });
                    default
                }
            }
        };
        let topic = required("kafka.topic", &mut problems);
        let servers = required("kafka.bootstrap.servers", &mut problems);
        let poll_interval = Duration::from_millis(number("kafka.recovery.poll.interval.ms", 100, &mut problems));
        let attempts = number("kafka.recovery.attempts", 100, &mut problems).clamp(1, u64::from(u32::MAX)) as u32;
        let query_timeout = Duration::from_millis(number("kafka.query.timeout.ms", 3000, &mut problems).max(1));
        let server = config.get("topic.prefix").map_or("", String::as_str);
        let client_id = format!("{server}-schemahistory");
        let mut client = |role: Role, prefix: &str, base: &[(&str, &str)]| {
            let mut java = BTreeMap::from([
                ("bootstrap.servers".to_owned(), servers.clone()),
                ("client.id".to_owned(), client_id.clone()),
            ]);
            java.extend(base.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
            let mut own = without_prefix(config, prefix);
            if role == Role::Admin {
                // As Debezium: the admin client is configured with the producer's settings, security above all.
                own.retain(|key, _| crate::settings::is_client_key(Role::Admin, key));
            }
            java.extend(own);
            Settings::translate(role, &java).map_err(|found| {
                problems.extend(found.into_iter().map(|p| Problem { key: format!("{prefix}{}", p.key), ..p }));
            })
        };
        let producer = client(
            Role::Producer,
            "schema.history.internal.producer.",
            &[("delivery.timeout.ms", "120000"), ("linger.ms", "0")],
        );
        let consumer = client(
            Role::Consumer,
            "schema.history.internal.consumer.",
            &[("group.id", &client_id), ("auto.offset.reset", "earliest")],
        );
        let admin = client(Role::Admin, "schema.history.internal.producer.", &[]);
        match (producer, consumer, admin) {
            (Ok(mut producer), Ok(mut consumer), Ok(admin)) if problems.is_empty() => {
                producer.bound_queue(4 << 20);
                consumer.put("enable.partition.eof", "true");
                consumer.put("enable.auto.commit", "false");
                consumer.bound_fetch(4 << 20);
                Ok(Self { topic, producer, consumer, admin, poll_interval, attempts, query_timeout })
            }
            _ => {
                // The admin client repeats the producer's mistakes.
                problems.dedup();
                Err(problems)
            }
        }
    }
}

/// Checks a connector's schema-history settings; texts per key.
pub fn check(config: &BTreeMap<String, String>) -> Vec<Problem> {
    HistoryConfig::parse(config).err().unwrap_or_default()
}

/// Opens histories in Kafka.
#[derive(Clone, Default)]
pub struct KafkaHistories {
    cache: Option<Arc<dyn HistoryCache>>,
}

impl KafkaHistories {
    /// With copies in a cache.
    pub fn cached(cache: Arc<dyn HistoryCache>) -> Self {
        Self { cache: Some(cache) }
    }
}

impl fmt::Debug for KafkaHistories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaHistories").field("cached", &self.cache.is_some()).finish()
    }
}

impl SchemaHistoryOpener for KafkaHistories {
    fn open(&self, connector: &str, config: &BTreeMap<String, String>) -> Result<Arc<dyn SchemaHistory>, TaskError> {
        let class = config.get("schema.history.internal").map_or(CLASS, |class| class.trim());
        if class != CLASS {
            return Err(TaskError::definite(format!("schema.history.internal: {class} is not built in; use {CLASS}")));
        }
        let config = HistoryConfig::parse(config).map_err(|problems| {
            let mut failure =
                Failure::new(format!("The schema history settings of connector {connector} cannot be used"));
            failure.causes.extend(problems.iter().map(ToString::to_string));
            TaskError::Definite(failure)
        })?;
        let copy = self.cache.clone().map(|cache| Copy { owner: format!("{connector} {}", config.topic), cache });
        Ok(Arc::new(KafkaSchemaHistory { config: Arc::new(config), copy, producer: OnceCell::new() }))
    }
}

/// One history.
pub struct KafkaSchemaHistory {
    config: Arc<HistoryConfig>,
    copy: Option<Copy>,
    /// Made at the first append: most starts only read.
    producer: OnceCell<Writer>,
}

impl fmt::Debug for KafkaSchemaHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSchemaHistory").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The copy of one history.
#[derive(Clone)]
struct Copy {
    owner: String,
    cache: Arc<dyn HistoryCache>,
}

impl Copy {
    /// What it holds; nothing when it cannot be read: the original is there.
    fn load(&self) -> Vec<HistoryDocument> {
        self.cache.load(&self.owner).unwrap_or_else(|error| {
            tracing::warn!("the copy of the schema history is not used: {error}");
            Vec::new()
        })
    }

    /// Keeps what was read: `known` documents of it are in the copy already.
    fn keep(&self, documents: &[HistoryDocument], known: usize) {
        let new = documents.get(known..).unwrap_or(&[]);
        let kept = match known {
            0 => self.cache.replace(&self.owner, documents),
            _ if new.is_empty() => Ok(()),
            _ => self.cache.append(&self.owner, new),
        };
        if let Err(error) = kept {
            tracing::warn!("the schema history could not be kept beside Kafka: {error}");
        }
    }
}

impl HistoryConfig {
    fn partitions(&self, cluster: &Cluster) -> Result<Option<i32>, TaskError> {
        // Connecting takes its time once; the query timeout is for the answer.
        cluster.reach(self.query_timeout.max(Duration::from_secs(30)))?;
        let found = cluster.partitions(&self.topic).map_err(|refusal| {
            refusal.into_error(format!("The schema history topic '{}' cannot be looked at", self.topic))
        })?;
        match found {
            Some(n) if n > 1 => {
                tracing::warn!(
                    "The schema history topic '{}' has {n} partitions; only partition 0 is used",
                    self.topic
                );
                Ok(found)
            }
            found => Ok(found),
        }
    }

    fn create(&self) -> Result<(), TaskError> {
        let cluster = Cluster::open(&self.admin)?;
        if self.partitions(&cluster)?.is_some() {
            return Ok(());
        }
        let configs =
            [("cleanup.policy", "delete"), ("retention.ms", "9223372036854775807"), ("retention.bytes", "-1")];
        let topic = NewTopic {
            name: self.topic.clone(),
            partitions: 1,
            replication: -1,
            configs: configs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        };
        cluster.create(&topic).map_err(|refusal| {
            refusal.into_error(format!(
                "Creation of the schema history topic {topic} failed, please create the topic manually"
            ))
        })?;
        tracing::info!("Schema history topic '{topic}' created");
        Ok(())
    }

    fn read(&self, copy: Option<&Copy>) -> Result<Option<Vec<String>>, TaskError> {
        let cluster = Cluster::open(&self.admin)?;
        if self.partitions(&cluster)?.is_none() {
            return Ok(None);
        }
        let mut documents = copy.map(Copy::load).unwrap_or_default();
        let mut known = documents.len();
        let last = documents.pop();
        let mut rest = self.read_from(last.as_ref().map(|document| document.at))?;
        if let Some(last) = last {
            if rest.first() == Some(&last) {
                tracing::debug!("{known} documents of the schema history were kept from before");
            } else {
                tracing::info!(
                    "the schema history topic '{}' is not the one that was read before; it is read again",
                    self.topic
                );
                (known, documents) = (0, Vec::new());
                rest = self.read_from(None)?;
            }
        }
        documents.append(&mut rest);
        if let Some(copy) = copy {
            copy.keep(&documents, known);
        }
        Ok(Some(documents.into_iter().map(|document| document.text).collect()))
    }

    /// Reads to the present end, from an offset on or from the beginning. An offset that is not there any more gives
    /// the beginning.
    fn read_from(&self, offset: Option<i64>) -> Result<Vec<HistoryDocument>, TaskError> {
        let consumer: BaseConsumer<LogContext> = self.consumer.client(LogContext).map_err(|e| creation_failed(&e))?;
        let mut from = TopicPartitionList::new();
        let start = offset.map_or(Offset::Beginning, Offset::Offset);
        from.add_partition_offset(&self.topic, 0, start).map_err(|e| creation_failed(&e))?;
        consumer.assign(&from).map_err(|e| creation_failed(&e))?;
        let (mut documents, mut empty, mut last) = (Vec::new(), 0, None);
        // Connecting and the first fetch are not held against the attempts.
        let patience = Instant::now() + Duration::from_secs(10);
        loop {
            match consumer.poll(self.poll_interval.max(Duration::from_millis(1))) {
                Some(Ok(message)) => {
                    empty = 0;
                    let Some(bytes) = message.payload() else { continue };
                    match std::str::from_utf8(bytes) {
                        Ok(text) => documents.push(HistoryDocument { at: message.offset(), text: text.to_owned() }),
                        Err(_) => {
                            return Err(TaskError::definite(format!(
                                "The record at offset {} of the schema history topic '{}' is no text; the topic belongs to \
                                 something else or is damaged",
                                message.offset(),
                                self.topic
                            )));
                        }
                    }
                }
                // The first end is the end of what was there when the reading began.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(documents),
                Some(Err(error)) if error.rdkafka_error_code().map(meaning) == Some(Meaning::Authentication) => {
                    let failure = Failure::new(format!(
                        "The schema history topic '{}' cannot be read: check schema.history.internal.consumer.* \
                         (security.protocol, sasl.*, ssl.*)",
                        self.topic
                    ));
                    return Err(TaskError::Definite(failure.caused_by(error)));
                }
                Some(Err(error)) => last = Some(error),
                None if Instant::now() < patience => {}
                None => empty += 1,
            }
            if empty > self.attempts {
                let failure = Failure::new(
                    "The database schema history couldn't be recovered. Consider to increase the value for \
                     schema.history.internal.kafka.recovery.poll.interval.ms",
                );
                return Err(TaskError::Transient(match last {
                    Some(error) => failure.caused_by(error),
                    None => failure,
                }));
            }
        }
    }
}

impl SchemaHistory for KafkaSchemaHistory {
    fn ensure(&self) -> BoxFuture<'_, Result<(), TaskError>> {
        let config = self.config.clone();
        Box::pin(blocking(move || config.create()))
    }

    fn read(&self) -> BoxFuture<'_, Result<Option<Vec<String>>, TaskError>> {
        let (config, copy) = (self.config.clone(), self.copy.clone());
        Box::pin(blocking(move || config.read(copy.as_ref())))
    }

    fn append<'a>(&'a self, document: &'a str) -> BoxFuture<'a, Result<(), TaskError>> {
        Box::pin(async move {
            let producer = self.producer.get_or_try_init(|| async { Writer::open(&self.config.producer) }).await?;
            match producer.write(&self.config.topic, Some(0), None, Some(document.as_bytes())).await {
                Ok(_) => Ok(()),
                Err(error) => Err(Refusal::of(&error).into_error(format!(
                    "A schema change could not be recorded in the schema history topic '{}'",
                    self.config.topic
                ))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn settings_of_a_history() {
        let config = HistoryConfig::parse(&map(&[
            ("topic.prefix", "srv"),
            ("schema.history.internal.kafka.topic", "h"),
            ("schema.history.internal.kafka.bootstrap.servers", "b:9092"),
            ("schema.history.internal.producer.compression.type", "gzip"),
            ("schema.history.internal.producer.security.protocol", "SSL"),
            ("schema.history.internal.consumer.security.protocol", "SSL"),
        ]))
        .unwrap_or_else(|p| panic!("{p:?}"));
        assert_eq!(config.producer.get("client.id"), Some("srv-schemahistory"));
        assert_eq!(config.producer.get("compression.type"), Some("gzip"));
        assert_eq!(config.admin.get("security.protocol"), Some("ssl"));
        assert_eq!((config.topic.as_str(), config.attempts), ("h", 100));
    }

    #[test]
    fn mistakes_are_named_by_key() {
        let problems = check(&map(&[
            ("schema.history.internal.kafka.topic", "h"),
            ("schema.history.internal.kafka.recovery.attempts", "many"),
            ("schema.history.internal.producer.acks", "9"),
        ]));
        let keys: Vec<_> = problems.iter().map(|p| p.key.trim_start_matches(PREFIX)).collect();
        assert!(keys.contains(&"kafka.bootstrap.servers") && keys.contains(&"kafka.recovery.attempts"), "{keys:?}");
        assert!(keys.contains(&"producer.acks"), "{keys:?}");
        let opened = KafkaHistories::default()
            .open("c", &map(&[("schema.history.internal", "io.debezium.storage.file.history.FileSchemaHistory")]));
        assert!(opened.is_err_and(|e| e.to_string().contains("FileSchemaHistory is not built in")));
    }
}
