//! Small pieces around the Kafka clients that pipelines share: offsets as numbers, topics, ends of partitions.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{Headers, OwnedHeaders},
};

use super::Error;

/// How long one question to the brokers may take.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A list with one topic's partitions at given offsets.
pub fn offsets_of(topic: &str, offsets: impl IntoIterator<Item = (i32, i64)>) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    Ok(list)
}

/// The group's committed offset, waiting out open transactions; `None` when it has none.
/// The consumer must be `read_committed`, for only then the coordinator answers with stable offsets.
pub fn committed<C: ConsumerContext, R: Consumer<C>>(
    consumer: &R,
    topic: &str,
    partition: i32,
) -> KafkaResult<Option<i64>> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    let answer = consumer.committed_offsets(list, ANSWER_WITHIN)?;
    let Some(element) = answer.find_partition(topic, partition) else { return Ok(None) };
    element.error()?;
    Ok(match element.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    })
}

/// The partitions of a topic; empty when there is no such topic.
pub fn partitions<C: ConsumerContext, R: Consumer<C>>(consumer: &R, topic: &str) -> KafkaResult<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN)?;
    let mut found: Vec<i32> = metadata
        .topics()
        .iter()
        .filter(|t| t.name() == topic)
        .flat_map(|t| t.partitions().iter().map(rdkafka::metadata::MetadataPartition::id))
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// First offset and end of each partition of a topic. Through a `read_committed` consumer the end is the last stable
/// offset, through a `read_uncommitted` one the high watermark.
pub fn ends<C: ConsumerContext, R: Consumer<C>>(consumer: &R, topic: &str) -> KafkaResult<BTreeMap<i32, (i64, i64)>> {
    partitions(consumer, topic)?
        .into_iter()
        .map(|partition| Ok((partition, consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN)?)))
        .collect()
}

/// A consumer of no group, for reading and asking.
pub fn reader(client: &ClientConfig, isolation: &str) -> KafkaResult<BaseConsumer> {
    client
        .clone()
        .set("group.id", "afterimage-pipeline-reader")
        .set("enable.auto.commit", "false")
        .set("isolation.level", isolation)
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        .create()
}

/// Reads `topic` from given offsets to its present end (the last stable offset) and hands every record over.
/// `go_on` is asked regularly; `false` ends the reading with `Ok(false)`.
pub fn read_to_end(
    client: &ClientConfig,
    topic: &str,
    from: &BTreeMap<i32, i64>,
    mut go_on: impl FnMut() -> bool,
    mut record: impl FnMut(&rdkafka::message::BorrowedMessage<'_>) -> Result<(), Error>,
) -> Result<bool, Error> {
    if from.is_empty() {
        return Ok(true);
    }
    let consumer = reader(client, "read_committed")?;
    consumer.assign(&offsets_of(topic, from.iter().map(|(p, o)| (*p, *o)))?)?;
    let mut open: std::collections::BTreeSet<i32> = from.keys().copied().collect();
    while !open.is_empty() {
        if !go_on() {
            return Ok(false);
        }
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => record(&message)?,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(KafkaError::MessageConsumption(code))) if is_passing(code) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Nobody answers at the addresses known.
pub fn is_away(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut
    )
}

/// Errors the client mends by itself.
pub fn is_passing(code: RDKafkaErrorCode) -> bool {
    is_away(code)
        || matches!(
            code,
            RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
}

/// A topic a pipeline writes to.
#[derive(Debug, Clone, Copy)]
pub struct TopicPlan<'a> {
    /// Its name.
    pub name: &'a str,
    /// Partitions when it is created.
    pub partitions: i32,
    /// Copies when it is created; -1 for the broker's default.
    pub replication: i32,
    /// `cleanup.policy` and the like when it is created.
    pub settings: &'a [(&'a str, &'a str)],
}

/// Creates what is absent. Returns the names that were created.
pub async fn create_topics(client: &ClientConfig, plans: &[TopicPlan<'_>]) -> Result<Vec<String>, Error> {
    let admin: AdminClient<DefaultClientContext> = client.create()?;
    let topics: Vec<NewTopic<'_>> = plans
        .iter()
        .map(|plan| {
            let mut topic = NewTopic::new(plan.name, plan.partitions, TopicReplication::Fixed(plan.replication));
            for (key, value) in plan.settings {
                topic = topic.set(key, value);
            }
            topic
        })
        .collect();
    let options = AdminOptions::new().request_timeout(Some(ANSWER_WITHIN)).operation_timeout(Some(ANSWER_WITHIN));
    let mut created = Vec::new();
    for result in admin.create_topics(&topics, &options).await? {
        match result {
            Ok(name) => created.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(Error::Kafka(format!("creating topic {name}: {code}"))),
        }
    }
    Ok(created)
}

/// One setting of an existing topic; `None` when it cannot be told (no permission to ask).
pub async fn topic_setting(client: &ClientConfig, topic: &str, setting: &str) -> Option<String> {
    let admin: AdminClient<DefaultClientContext> = client.create().ok()?;
    let options = AdminOptions::new().request_timeout(Some(ANSWER_WITHIN));
    let answers = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await.ok()?;
    let resource = answers.into_iter().next()?.ok()?;
    resource.get(setting)?.value.clone()
}

/// Forgets groups. Absent ones are no error.
pub async fn delete_groups(client: &ClientConfig, groups: &[&str]) -> Result<(), Error> {
    let admin: AdminClient<DefaultClientContext> = client.create()?;
    for result in admin.delete_groups(groups, &AdminOptions::new().request_timeout(Some(ANSWER_WITHIN))).await? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => {}
            Err((group, RDKafkaErrorCode::NonEmptyGroup)) => {
                return Err(Error::InUse(format!(
                    "group {group} still has members: stop every instance of the pipeline first"
                )));
            }
            Err((group, code)) => return Err(Error::Kafka(format!("deleting group {group}: {code}"))),
        }
    }
    Ok(())
}

/// The text of a header, the newest of its name.
pub fn header<'a, H: Headers>(headers: Option<&'a H>, name: &str) -> Option<&'a str> {
    headers?
        .iter()
        .filter(|header| header.key == name)
        .last()
        .and_then(|header| std::str::from_utf8(header.value?).ok())
}

/// A copy of headers without those of given names.
pub fn headers_without(headers: Option<&OwnedHeaders>, dropped: impl Fn(&str) -> bool) -> OwnedHeaders {
    let mut copy = OwnedHeaders::new();
    if let Some(headers) = headers {
        for header in headers.iter().filter(|header| !dropped(header.key)) {
            copy = copy.insert(header);
        }
    }
    copy
}
