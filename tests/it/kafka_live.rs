//! The Kafka crate against a real broker: delivery, topics, internal topics, schema history, group, transactions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use engine::{
    batch::{Ack, Settled},
    budget::Permit,
    error::TaskError,
    port::{HistoryCache, OffsetTopic, SchemaHistoryOpener, Sink},
};
use kafka::{
    client::{JavaSettings, connector_client},
    cluster::{Cluster, NewTopic},
    config_topic::{ConfigEvent, ConfigTopic, TargetState},
    consumer::{PipelineConsumer, Polled, TransactionalProducer, pipeline_settings},
    creation::TopicCreation,
    group::{MemberSettings, Membership},
    history::KafkaHistories,
    offsets::{OffsetStore, offset_key},
    partitioner::partition,
    producer::{KafkaSink, SEND_FAILED},
    settings::{Role, Settings},
    status_topic::{State, Status, StatusTopic},
    topics::{LogClients, LogTopic},
};
use model::{OffsetMap, Seq};
use rdkafka::{Message, message::Headers};
use record::RecordBuffer;
use serde_json::json;
use tokio::sync::mpsc;

use crate::servers::Servers;

pub fn broker() -> &'static Servers {
    static BROKER: OnceLock<Servers> = OnceLock::new();
    BROKER.get_or_init(|| Servers::start(&["kafka"], &[]))
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn worker(bootstrap: &str, group: &str) -> JavaSettings {
    let mut worker = map(&[("bootstrap.servers", bootstrap), ("group.id", group), ("session.timeout.ms", "6000")]);
    worker.insert("heartbeat.interval.ms".into(), "1000".into());
    for kind in ["config", "offset", "status"] {
        worker.insert(format!("{kind}.storage.topic"), format!("{group}-{kind}s"));
        worker.insert(format!("{kind}.storage.replication.factor"), "1".into());
    }
    worker
}

pub fn cluster(bootstrap: &str) -> Cluster {
    let settings = Settings::translate(Role::Admin, &map(&[("bootstrap.servers", bootstrap)])).expect("settings");
    Cluster::open(&settings).expect("a cluster")
}

pub fn new_topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> NewTopic {
    NewTopic { name: name.into(), partitions, replication: 1, configs: map(configs) }
}

pub struct Harness {
    pub sink: KafkaSink,
    to: mpsc::Sender<Settled>,
    settled: mpsc::Receiver<Settled>,
    abort: Arc<AtomicBool>,
    next: u64,
}

impl Harness {
    pub fn new(bootstrap: &str, connector: &[(&str, &str)], queue_bytes: u64) -> Self {
        let (worker, connector) = (map(&[("bootstrap.servers", bootstrap)]), map(connector));
        let settings = connector_client(Role::Producer, &worker, &connector, "c", 0).expect("producer settings");
        let admin = connector_client(Role::Admin, &worker, &connector, "c", 0).expect("admin settings");
        let creation = TopicCreation::parse(&connector).expect("rules").map(|rules| (rules, admin));
        let abort = Arc::new(AtomicBool::new(false));
        let sink = KafkaSink::new(settings, queue_bytes, creation, abort.clone()).expect("a sink");
        let (to, settled) = mpsc::channel(2048);
        Self { sink, to, settled, abort, next: 0 }
    }

    pub fn produce(&mut self, records: &RecordBuffer) -> Result<(), TaskError> {
        let seq = Seq(self.next);
        self.next += 1;
        self.sink.produce(records, Ack::new(seq, self.to.clone(), Permit::none(), None))
    }

    pub fn results(&mut self) -> Vec<Result<(), TaskError>> {
        std::iter::from_fn(|| self.settled.try_recv().ok().map(|settled| settled.result)).collect()
    }
}

pub type Read = (i32, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

/// All committed records of a topic, in order per partition.
pub fn read_all(bootstrap: &str, topic: &str) -> Vec<Read> {
    let count = cluster(bootstrap).partitions(topic).expect("metadata").expect("the topic is there");
    let settings = pipeline_settings(&map(&[("bootstrap.servers", bootstrap)]), "readers", 4 << 20).expect("settings");
    let consumer = PipelineConsumer::new(&settings).expect("a consumer");
    let from: Vec<_> = (0..count).map(|p| ((topic.to_owned(), p), None)).collect();
    consumer.assign(&from).expect("assigned");
    let (mut out, mut ended) = (Vec::new(), 0);
    let end = Instant::now() + Duration::from_secs(30);
    while ended < count {
        assert!(Instant::now() < end, "{topic} was not read to its end");
        match consumer.poll(Duration::from_millis(200)).expect("a record") {
            Polled::Record(m) => {
                let headers =
                    m.headers().map(|h| h.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect());
                out.push((
                    m.partition(),
                    m.key().map(<[u8]>::to_vec),
                    m.payload().map(<[u8]>::to_vec),
                    headers.unwrap_or_default(),
                ));
            }
            Polled::End(_) => ended += 1,
            Polled::Nothing => {}
        }
    }
    out
}

#[test]
fn records_arrive_where_java_puts_them_with_headers_and_tombstones() {
    let bootstrap = broker().bootstrap();
    let rules = [
        ("topic.creation.default.partitions", "5"),
        ("topic.creation.default.replication.factor", "1"),
        ("topic.creation.default.cleanup.policy", "compact"),
        ("topic.creation.groups", "marks"),
        ("topic.creation.marks.include", ".*-marks"),
        ("producer.override.compression.type", "lz4"),
    ];
    let mut harness = Harness::new(bootstrap, &rules, 8 << 20);
    let (data, marks): (Arc<str>, Arc<str>) = ("live-data".into(), "live-marks".into());
    let mut sent = 0;
    for batch in 0..20 {
        let mut records = RecordBuffer::default();
        for n in 0..100 {
            let key = format!("{{\"id\":{n}}}");
            let value = format!("{batch}");
            let headers = [("__debezium.newkey", Some(key.as_bytes())), ("empty", Some(&b""[..])), ("null", None)];
            assert!(records.push(&data, None, Some(key.as_bytes()), Some(value.as_bytes()), &headers));
            assert!(records.push(&marks, Some(0), None, (n % 2 == 0).then_some(&b"v"[..]), &[]));
            sent += 2;
        }
        harness.produce(&records).expect("accepted");
    }
    harness.sink.flush(Duration::from_secs(20));
    let results = harness.results();
    assert_eq!(results.len(), 20);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let topics: Vec<String> = harness.sink.take_new_topics().iter().map(|t| t.to_string()).collect();
    assert_eq!(topics, ["live-data", "live-marks"]);
    assert!(harness.sink.take_new_topics().is_empty());

    assert_eq!(
        cluster(bootstrap).topic_configs("live-data").expect("configs").get("cleanup.policy").map(String::as_str),
        Some("compact")
    );
    let found = read_all(bootstrap, "live-data");
    let mut last: HashMap<Vec<u8>, i64> = HashMap::new();
    for (at, key, value, headers) in &found {
        let key = key.as_deref().expect("a key");
        assert_eq!(*at, partition(key, 5));
        let value: i64 =
            std::str::from_utf8(value.as_deref().expect("a value")).expect("text").parse().expect("a number");
        let before = last.insert(key.to_vec(), value);
        assert_eq!(before.unwrap_or(-1) + 1, value, "in order per key");
        let expected: Vec<(String, Option<Vec<u8>>)> = vec![
            ("__debezium.newkey".into(), Some(key.to_vec())),
            ("empty".into(), Some(vec![])),
            ("null".into(), None),
        ];
        assert_eq!(*headers, expected);
    }
    let marks = read_all(bootstrap, "live-marks");
    assert_eq!(found.len() + marks.len(), sent);
    assert!(marks.iter().all(|(at, key, _, _)| *at == 0 && key.is_none()));
    assert_eq!(marks.iter().filter(|(_, _, value, _)| value.is_none()).count(), 1000);
}

#[test]
fn a_record_that_is_too_large_ends_the_sink_with_the_remedy() {
    let mut harness = Harness::new(broker().bootstrap(), &[], 8 << 20);
    let topic: Arc<str> = "live-large".into();
    let mut records = RecordBuffer::default();
    let large = vec![b'x'; 1_100_000];
    records.push(&topic, None, None, Some(b"small"), &[]);
    records.push(&topic, None, None, Some(&large), &[]);
    let error = harness.produce(&records).expect_err("too large");
    harness.sink.flush(Duration::from_secs(10));
    let text = error.to_string();
    assert!(text.starts_with(SEND_FAILED) && text.contains("live-large") && text.contains("1100000"), "{text}");
    assert!(text.contains("producer.override.max.request.size") && !error.is_transient(), "{text}");
    assert_eq!(harness.results(), [Err(error.clone())]);
    assert_eq!(harness.produce(&RecordBuffer::default()), Err(error.clone()), "of no more use");
    assert_eq!(harness.results(), [Err(error)]);

    // Our client lets it pass, the topic does not.
    cluster(broker().bootstrap())
        .create(&new_topic("live-narrow", 1, &[("max.message.bytes", "2000")]))
        .expect("created");
    let mut harness = Harness::new(broker().bootstrap(), &[("producer.override.max.request.size", "2000000")], 8 << 20);
    let mut records = RecordBuffer::default();
    records.push(&"live-narrow".into(), None, None, Some(&large), &[]);
    harness.produce(&records).expect("accepted");
    harness.sink.flush(Duration::from_secs(10));
    let results = harness.results();
    assert!(
        matches!(results.as_slice(), [Err(TaskError::Definite(f))] if f.to_string().contains("max.message.bytes")),
        "{results:?}"
    );
}

#[test]
fn a_topic_that_cannot_be_created_is_named() {
    let rules = [("topic.creation.default.partitions", "1"), ("topic.creation.default.replication.factor", "7")];
    let mut harness = Harness::new(broker().bootstrap(), &rules, 8 << 20);
    let mut records = RecordBuffer::default();
    records.push(&"live-impossible".into(), None, None, Some(b"v"), &[]);
    let error = harness.produce(&records).expect_err("seven brokers");
    let start = "Task failed to create new topic (name=live-impossible, numPartitions=1, replicationFactor=7, \
                 replicasAssignments=null, configs={}). Ensure that the task is authorized to create topics";
    assert!(error.to_string().starts_with(start) && !error.is_transient(), "{error}");
}

#[test]
fn records_wait_for_a_broker_that_is_away() {
    let servers = Servers::start(&["kafka"], &[]);
    let mut harness = Harness::new(servers.bootstrap(), &[("producer.override.request.timeout.ms", "2000")], 2 << 20);
    let topic: Arc<str> = "live-outage".into();
    let batch = |first: u32| {
        let mut records = RecordBuffer::default();
        for n in first..first + 100 {
            records.push(&topic, Some(0), None, Some(format!("{n:0>1000}").as_bytes()), &[]);
        }
        records
    };
    harness.produce(&batch(0)).expect("accepted");
    harness.sink.flush(Duration::from_secs(10));
    assert_eq!(harness.results(), [Ok(())]);
    servers.tell("kill", "kafka");

    // The queue takes two megabytes and then blocks; a stop gets through.
    let abort = harness.abort.clone();
    let stopper = std::thread::spawn(move || {
        std::thread::park_timeout(Duration::from_secs(3));
        abort.store(true, Ordering::Relaxed);
    });
    let mut accepted = 100;
    let error = loop {
        match harness.produce(&batch(accepted)) {
            Ok(()) => accepted += 100,
            Err(error) => break error,
        }
        assert!(accepted < 10_000, "the queue has no bound");
    };
    stopper.join().expect("stopper");
    assert!(error.is_transient() && error.to_string().contains("stopped while it waited"), "{error}");
    assert!((1000..3000).contains(&accepted), "{accepted}");
    assert!(harness.results().is_empty(), "nothing is said before Kafka has spoken");

    servers.tell("start", "kafka");
    harness.sink.flush(Duration::from_secs(60));
    let results = harness.results();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), (accepted as usize - 100) / 100);
    let found = read_all(servers.bootstrap(), "live-outage");
    let numbers: Vec<u32> =
        found.iter().filter_map(|(_, _, value, _)| std::str::from_utf8(value.as_deref()?).ok()?.parse().ok()).collect();
    assert!(numbers.len() >= accepted as usize, "{} of {accepted}", numbers.len());
    assert!(numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "gaps or repeats");
}

fn object(value: serde_json::Value) -> OffsetMap {
    value.as_object().cloned().expect("an object")
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_written_read_and_reset_beside_other_connectors() {
    let worker = worker(broker().bootstrap(), "live-offsets");
    let open = || async {
        let topic = LogTopic::of_worker(&worker, "offset.storage").expect("topic");
        OffsetStore::open(topic, LogClients::of_worker(&worker, "live-offsets").expect("clients")).await.expect("open")
    };
    let store = open().await;
    let server = object(json!({"server": "srv"}));
    let first = object(json!({"file": "binlog.000001", "pos": 4, "gtids": null}));
    let second = object(json!({"file": "binlog.000002", "pos": 18_446_744_073_709_551_615_u64}));
    assert_eq!(store.read("c", &server).await, Ok(None));
    let at = store.write("c", &server, Some(&first)).await.expect("written");
    assert_eq!(at.0, partition(&offset_key("c", &server), 25));
    store.write("other", &server, Some(&second)).await.expect("written");
    let at = store.write("c", &server, Some(&second)).await.expect("written");
    let found = store.read("c", &server).await.expect("read").expect("an offset");
    assert_eq!((found.offset.as_ref(), found.at), (Some(&second), at));

    let again = open().await;
    assert_eq!(again.read("c", &server).await.expect("read").expect("an offset"), found);
    assert_eq!(again.list("c").await, Ok(vec![(server.clone(), second.clone())]));
    assert_eq!(again.reset("c").await, Ok(vec![server.clone()]));
    let gone = store.read("c", &server).await.expect("read").expect("a tombstone");
    assert_eq!(gone.offset, None);
    assert_eq!(store.list("c").await, Ok(vec![]));
    assert_eq!(store.list("other").await.expect("read").len(), 1);
    let values: Vec<_> = read_all(broker().bootstrap(), "live-offsets-offsets")
        .into_iter()
        .filter(|(_, key, _, _)| key.as_deref() == Some(b"[\"c\",{\"server\":\"srv\"}]"))
        .map(|(_, _, value, headers)| (value.map(|v| String::from_utf8_lossy(&v).into_owned()), headers.len()))
        .collect();
    let expected = [
        (Some(r#"{"file":"binlog.000001","pos":4,"gtids":null}"#.to_owned()), 0),
        (Some(r#"{"file":"binlog.000002","pos":18446744073709551615}"#.to_owned()), 0),
        (None, 0),
    ];
    assert_eq!(values, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_ends_in_marks_of_transactions_is_read_to_its_end() {
    let bootstrap = broker().bootstrap();
    let mut worker = worker(bootstrap, "live-marked");
    worker.insert("offset.storage.partitions".into(), "1".into());
    let topic = worker["offset.storage.topic"].clone();
    let java = map(&[("bootstrap.servers", bootstrap)]);
    let (name, server) = (topic.clone(), object(json!({"server": "srv"})));
    let key = offset_key("c", &server);
    tokio::task::spawn_blocking(move || {
        cluster(broker().bootstrap()).create(&new_topic(&name, 1, &[("cleanup.policy", "compact")])).expect("created");
        let producer = TransactionalProducer::open(&java, "live-marked-1", 1 << 20).expect("a producer");
        for (value, commit) in [(&b"{\"n\":0}"[..], true), (b"{\"n\":1}", true), (b"{\"n\":2}", false)] {
            producer.begin().expect("begun");
            producer.send(&name, Some(0), Some(&key), Some(value)).expect("sent");
            if commit { producer.commit() } else { producer.abort() }.expect("ended");
        }
        // Compacted topics take no record without a key.
        producer.begin().expect("begun");
        producer.send(&name, Some(0), None, Some(b"x")).expect("sent");
        let refused = producer.commit().expect_err("no key").to_string();
        assert!(refused.contains(&name) && refused.contains("InvalidRecord"), "{refused}");
        drop(producer);
        let producer = TransactionalProducer::open(&java, "live-marked-1", 1 << 20).expect("a producer");
        // A second holder of the id fences the first, whose commit must not succeed.
        producer.begin().expect("begun");
        producer.send(&name, Some(0), Some(&key), Some(b"{\"n\":3}")).expect("sent");
        let _second = TransactionalProducer::open(&java, "live-marked-1", 1 << 20).expect("a producer");
        let fenced = producer.commit().expect_err("fenced");
        assert!(fenced.to_string().to_lowercase().contains("fenced"), "{fenced}");
    })
    .await
    .expect("transactions");
    let clients = LogClients::of_worker(&worker, "live-marked-offsets").expect("clients");
    let begun = Instant::now();
    let store =
        OffsetStore::open(LogTopic::of_worker(&worker, "offset.storage").expect("topic"), clients).await.expect("open");
    let found = store.read("c", &server).await.expect("read").expect("an offset");
    assert_eq!(found.offset, Some(object(json!({"n": 1}))));
    assert!(begun.elapsed() < Duration::from_secs(10), "waited for what never comes");
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_and_statuses_survive_and_are_announced() {
    let worker = worker(broker().bootstrap(), "live-configs");
    let clients = || LogClients::of_worker(&worker, "live-configs-configs").expect("clients");
    let open = || async {
        ConfigTopic::open(LogTopic::of_worker(&worker, "config.storage").expect("topic"), clients())
            .await
            .expect("open")
    };
    let topic = open().await;
    let mut events = topic.events();
    let config =
        BTreeMap::from([("name".to_owned(), Some("c".to_owned())), ("p".to_owned(), Some("${file:x:y}".to_owned()))]);
    topic.put_connector("c", &config, Some(TargetState::Stopped)).await.expect("put");
    let seen = topic.snapshot();
    let c = seen.connector("c").expect("in the snapshot at once");
    assert_eq!((c.properties.as_ref(), c.target), (Some(&config), TargetState::Stopped));
    topic.put_tasks("c", std::slice::from_ref(&config)).await.expect("put");
    topic.put_restart("c", true, false).await.expect("put");
    topic.put_target("c", TargetState::Started).await.expect("put");
    let restart = ConfigEvent::Restart { connector: "c".into(), include_tasks: true, only_failed: false };
    let (target, tasks) = (ConfigEvent::Target("c".into()), ConfigEvent::Tasks("c".into()));
    for expected in [target.clone(), ConfigEvent::Changed("c".into()), tasks, restart, target] {
        assert_eq!(events.recv().await, Ok(expected));
    }
    let again = open().await;
    assert_eq!(again.snapshot(), topic.snapshot());
    assert_eq!(
        again.snapshot().connector("c").map(|c| (c.target, c.tasks.clone())),
        Some((TargetState::Started, vec![config]))
    );
    topic.remove_connector("c").await.expect("removed");
    assert_eq!(again.refresh().await.expect("read").connectors().count(), 0);

    let open = || async {
        StatusTopic::open(LogTopic::of_worker(&worker, "status.storage").expect("topic"), clients())
            .await
            .expect("open")
    };
    let statuses = open().await;
    let failed = Status {
        state: State::Failed,
        trace: Some("org.apache.kafka.connect.errors.ConnectException: no\n".into()),
        worker_id: "127.0.0.1:8083".into(),
        generation: 0,
        version: Some("3.6.1.Final".into()),
    };
    statuses.put_connector("c", Some(&failed)).await.expect("put");
    statuses.put_task("c", 0, Some(&failed)).await.expect("put");
    statuses.put_topic("c", "t", 0, 1_795_222_210_659).await.expect("put");
    let again = open().await.snapshot();
    assert_eq!(again, statuses.snapshot());
    assert_eq!(again.get("c").and_then(|c| c.tasks.get(&0)), Some(&failed));
    statuses.reset_topics("c").await.expect("reset");
    assert!(statuses.snapshot().get("c").is_some_and(|c| c.topics.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_topics_that_are_not_fit_are_refused() {
    let bootstrap = broker().bootstrap();
    let worker = worker(bootstrap, "live-unfit");
    tokio::task::spawn_blocking(move || {
        let cluster = cluster(bootstrap);
        cluster.create(&new_topic("live-unfit-configs", 3, &[("cleanup.policy", "compact")])).expect("created");
        cluster.create(&new_topic("live-unfit-offsets", 3, &[("cleanup.policy", "compact,delete")])).expect("created");
    })
    .await
    .expect("topics");
    let clients = || LogClients::of_worker(&worker, "live-unfit").expect("clients");
    let error = ConfigTopic::open(LogTopic::of_worker(&worker, "config.storage").expect("topic"), clients()).await;
    let text = error.expect_err("three partitions").to_string();
    assert!(text.contains("required to have a single partition") && text.contains("found 3 partitions"), "{text}");
    let error = OffsetStore::open(LogTopic::of_worker(&worker, "offset.storage").expect("topic"), clients()).await;
    let text = error.expect_err("not compacted alone").to_string();
    assert!(text.contains("'offset.storage.topic'") && text.contains("'cleanup.policy=compact,delete'"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_history_is_made_appended_and_read() {
    let config = map(&[
        ("topic.prefix", "live"),
        ("schema.history.internal.kafka.topic", "live-history"),
        ("schema.history.internal.kafka.bootstrap.servers", broker().bootstrap()),
    ]);
    let history = KafkaHistories::default().open("c", &config).expect("open");
    assert_eq!(history.read().await, Ok(None));
    history.ensure().await.expect("made");
    history.ensure().await.expect("there");
    assert_eq!(history.read().await, Ok(Some(vec![])));
    let documents: Vec<String> =
        (0..300).map(|n| format!("{{\n  \"ddl\" : \"{n} {}\"\n}}", "ä".repeat(n * 10))).collect();
    for document in &documents {
        history.append(document).await.expect("appended");
    }
    assert_eq!(history.read().await, Ok(Some(documents)));
    let configs = tokio::task::spawn_blocking(|| cluster(broker().bootstrap()).topic_configs("live-history")).await;
    let configs = configs.expect("a thread").expect("configs");
    for (key, value) in
        [("cleanup.policy", "delete"), ("retention.ms", "9223372036854775807"), ("retention.bytes", "-1")]
    {
        assert_eq!(configs.get(key).map(String::as_str), Some(value), "{key}");
    }
}

/// The copy of a schema history saves reading, and never decides.
#[tokio::test(flavor = "multi_thread")]
async fn schema_history_is_copied_and_kafka_is_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(store::Store::open(folder.path(), store::Limits::default()).expect("a store"));
    let config = map(&[
        ("topic.prefix", "copied"),
        ("schema.history.internal.kafka.topic", "copied-history"),
        ("schema.history.internal.kafka.bootstrap.servers", broker().bootstrap()),
    ]);
    let open = || KafkaHistories::cached(store.clone()).open("c", &config).expect("open");
    let copy = || HistoryCache::load(&*store, "c copied-history").expect("a copy");
    let text = |numbers: std::ops::Range<u32>| numbers.map(|n| format!("document {n}")).collect::<Vec<_>>();
    let append = async |numbers: std::ops::Range<u32>| {
        let history = open();
        history.ensure().await.expect("made");
        for document in text(numbers) {
            history.append(&document).await.expect("appended");
        }
    };
    append(0..5).await;
    assert_eq!(open().read().await, Ok(Some(text(0..5))));
    assert_eq!(copy().len(), 5);

    // What is in the copy is not read again; what is not, is.
    let mut changed = copy();
    changed[2].text = "from the copy".to_owned();
    HistoryCache::replace(&*store, "c copied-history", &changed).expect("replaced");
    append(5..8).await;
    let mut expected = text(0..8);
    expected[2] = "from the copy".to_owned();
    assert_eq!(open().read().await, Ok(Some(expected)));
    assert_eq!(copy().len(), 8);
    assert_eq!(open().read().await.map(|read| read.map(|documents| documents.len())), Ok(Some(8)));

    // Another topic of the name, shorter or longer: the copy is dropped.
    for numbers in [100..103, 200..220] {
        let deleted = tokio::task::spawn_blocking(|| {
            let cluster = cluster(broker().bootstrap());
            assert!(cluster.delete("copied-history").expect("deleted"));
            let deadline = Instant::now() + Duration::from_secs(30);
            while cluster.partitions("copied-history").expect("an answer").is_some() {
                assert!(Instant::now() < deadline, "the topic is there still");
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        deleted.await.expect("deleted");
        append(numbers.clone()).await;
        assert_eq!(open().read().await, Ok(Some(text(numbers.clone()))));
        assert_eq!(copy().len(), numbers.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_and_no_other() {
    let worker = worker(broker().bootstrap(), "live-group");
    let store = LogTopic::of_worker(&worker, "config.storage").expect("topic");
    let _topic =
        ConfigTopic::open(store, LogClients::of_worker(&worker, "live-group").expect("clients")).await.expect("open");
    let member = |instance: &str| {
        MemberSettings::of_worker(&worker, &format!("connect-{instance}:8083"), instance, "live-group-configs")
            .expect("settings")
    };
    let first = Membership::join(member("b")).await.expect("alone");
    let begun = Instant::now();
    let error = Membership::join(member("a")).await.expect_err("two");
    assert!(begun.elapsed() >= Duration::from_secs(6), "a ghost is given its session timeout");
    let text = error.to_string();
    assert!(
        text.contains("'live-group' is in use by another Connect worker") && text.contains("connect-b:8083"),
        "{text}"
    );
    assert_eq!(*first.lost().borrow(), None);

    // The same instance takes over at once; the one before is told.
    let mut lost = first.lost();
    let begun = Instant::now();
    let second = Membership::join(member("b")).await.expect("its own ghost");
    assert!(begun.elapsed() < Duration::from_secs(6), "took {:?}", begun.elapsed());
    let told = tokio::time::timeout(Duration::from_secs(20), lost.wait_for(Option::is_some)).await;
    let told = told.expect("told").expect("told").clone().unwrap_or_default();
    assert!(told.contains("in use by another Connect worker"), "{told}");
    assert_eq!(*second.lost().borrow(), None);
}

#[test]
fn a_broker_that_is_not_there_is_said() {
    let begun = Instant::now();
    let error = cluster("127.0.0.1:1").reach(Duration::from_secs(2)).expect_err("nobody listens");
    assert!(error.is_transient() && begun.elapsed() < Duration::from_secs(5), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("127.0.0.1:1") && text.contains("within 2 s") && text.contains("bootstrap.servers"),
        "{text}"
    );
    let id = cluster(broker().bootstrap()).reach(Duration::from_secs(10)).expect("reached");
    assert!(id.is_some_and(|id| !id.is_empty()));
}
