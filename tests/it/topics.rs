//! Topics as any consumer sees them.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

fn consumer(bootstrap: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "test-reader")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true")
        .create()
        .expect("a consumer")
}

/// Names and partition counts of all topics.
pub fn list(bootstrap: &str) -> Vec<(String, usize)> {
    let metadata = consumer(bootstrap).fetch_metadata(None, Duration::from_secs(20)).expect("metadata");
    metadata.topics().iter().map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect()
}

/// How many records were written to a topic's only partition so far; 0 when there is no such topic.
pub fn count(bootstrap: &str, topic: &str) -> i64 {
    ends(&consumer(bootstrap), topic).1
}

/// The value of the newest record of a topic's only partition, as text.
pub fn last(bootstrap: &str, topic: &str) -> String {
    let consumer = consumer(bootstrap);
    let (low, high) = ends(&consumer, topic);
    assert!(high > low, "topic {topic} is empty");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(high - 1)).expect("an offset");
    consumer.assign(&list).expect("assigned");
    let message = consumer.poll(Duration::from_secs(20)).expect("a record in time").expect("a record");
    String::from_utf8_lossy(message.payload().unwrap_or(b"null")).into_owned()
}

fn ends(consumer: &BaseConsumer, topic: &str) -> (i64, i64) {
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20)).expect("metadata");
    match metadata.topics().first().map_or(0, |topic| topic.partitions().len()) {
        0 => (0, 0),
        1 => consumer.fetch_watermarks(topic, 0, Duration::from_secs(20)).expect("watermarks"),
        more => panic!("topic {topic} has {more} partitions"),
    }
}

/// All records of a topic, by partition and offset; none when there is no such topic.
pub fn read(bootstrap: &str, topic: &str) -> Vec<Record> {
    let mut records = Vec::new();
    scan(bootstrap, topic, |message| {
        let headers = message
            .headers()
            .map(|headers| headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect());
        records.push(Record {
            topic: topic.to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        });
    });
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

/// Shows every record that a topic has now, in order within a partition, without keeping it.
pub fn scan(bootstrap: &str, topic: &str, mut each: impl FnMut(&BorrowedMessage<'_>)) {
    let consumer = consumer(bootstrap);
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20)).expect("metadata");
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len() as i32);
    let mut list = TopicPartitionList::new();
    let mut ends = Vec::new();
    for partition in 0..partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(20)).expect("watermarks");
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
        ends.push(if high > low { high } else { 0 });
    }
    if ends.iter().all(|end| *end == 0) {
        return;
    }
    consumer.assign(&list).expect("assigned");
    let deadline = Instant::now() + Duration::from_secs(180);
    let mut open: Vec<bool> = ends.iter().map(|end| *end > 0).collect();
    while open.iter().any(|open| *open) {
        assert!(Instant::now() < deadline, "topic {topic} cannot be read to its end");
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            let message = message.expect("a record");
            let partition = message.partition() as usize;
            if message.offset() < ends[partition] {
                each(&message);
            }
            open[partition] &= message.offset() + 1 < ends[partition];
            continue;
        }
        // Transaction markers take offsets too: the position tells where the reader is.
        let position = consumer.position().expect("a position");
        for element in position.elements_for_topic(topic) {
            if let Offset::Offset(offset) = element.offset() {
                let partition = element.partition() as usize;
                open[partition] &= offset < ends[partition];
            }
        }
    }
}

/// Creates a topic of one partition.
pub fn create(bootstrap: &str, topic: &str) {
    let admin: rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("an admin client");
    let new = rdkafka::admin::NewTopic::new(topic, 1, rdkafka::admin::TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let results = runtime.block_on(admin.create_topics([&new], &rdkafka::admin::AdminOptions::new()));
    assert!(results.expect("an answer").iter().all(Result::is_ok), "{topic} is not created");
}
