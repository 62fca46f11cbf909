//! The connectors' producer and a real broker on bad days: paused, killed and restarted under load; every form of
//! compression read back by another client.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use engine::port::Sink;
use record::RecordBuffer;

use crate::{
    kafka_live::{Harness, broker, cluster, new_topic, read_all},
    servers::Servers,
};

const PARTITIONS: i32 = 6;
const KEYS: u32 = 50;

/// A batch of 100 records whose values count up per key.
fn batch(topic: &Arc<str>, number: u32) -> RecordBuffer {
    let mut records = RecordBuffer::default();
    for n in 0..100 {
        let (key, value) = (format!("key-{}", n % KEYS), (number * 100 + n) / KEYS);
        let value = format!("{value} {}", "x".repeat(200));
        assert!(records.push(topic, None, Some(key.as_bytes()), Some(value.as_bytes()), &[("h", Some(b"v"))]));
    }
    records
}

/// What a broker that comes and goes leaves behind: each key's values in order, each once.
fn complete(bootstrap: &str, topic: &str, batches: u32) {
    let mut next: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    let mut partitions = BTreeMap::new();
    for (partition, key, value, _) in read_all(bootstrap, topic) {
        *partitions.entry(partition).or_insert(0) += 1;
        let value = value.expect("a value");
        let text = std::str::from_utf8(&value).expect("text");
        let number: u32 = text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        let expected = next.entry(key.expect("a key")).or_default();
        assert_eq!(number, *expected, "a gap, a repeat or another order");
        *expected += 1;
    }
    assert_eq!(partitions.len(), PARTITIONS as usize, "all partitions are used");
    assert_eq!(next.len(), KEYS as usize);
    assert!(next.values().all(|count| *count == batches * 100 / KEYS), "{next:?}");
}

#[test]
fn a_broker_that_is_paused_killed_and_restarted_under_load_gets_every_record_once() {
    let servers = Servers::start(&["kafka"], &[]);
    let topic: Arc<str> = "bad-days".into();
    cluster(servers.bootstrap()).create(&new_topic(&topic, PARTITIONS, &[])).expect("created");
    let settings = [
        ("producer.override.request.timeout.ms", "1500"),
        ("producer.override.compression.type", "lz4"),
        ("producer.override.batch.size", "8192"),
    ];
    let mut harness = Harness::new(servers.bootstrap(), &settings, 4 << 20);
    let done = std::sync::atomic::AtomicBool::new(false);
    let (mut number, mut settled) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let wait = |ms| std::thread::sleep(Duration::from_millis(ms));
            for (what, ms) in [
                ("pause", 500),
                ("resume", 500),
                // Longer than a request may take: connections are given up while the broker still has their requests.
                ("pause", 4000),
                ("resume", 1000),
                ("kill", 700),
                ("start", 1500),
                ("kill", 100),
                ("start", 1500),
                ("restart", 1500),
            ] {
                wait(300);
                servers.tell(what, "kafka");
                wait(ms);
            }
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        while !done.load(std::sync::atomic::Ordering::Acquire) {
            harness.produce(&batch(&topic, number)).expect("accepted");
            number += 1;
            // Load never pauses for long, and the topic stays small enough to be read back.
            std::thread::sleep(Duration::from_millis(3));
            for result in harness.results() {
                result.expect("delivered");
                settled += 1;
            }
        }
    });
    harness.sink.flush(Duration::from_secs(60));
    for result in harness.results() {
        result.expect("delivered");
        settled += 1;
    }
    assert_eq!(settled, number, "every batch is settled, and as delivered");
    complete(servers.bootstrap(), &topic, number);
}

#[test]
fn every_compression_is_read_back_with_large_records_among_small_ones() {
    let bootstrap = broker().bootstrap();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic: Arc<str> = format!("codec-{codec}").into();
        cluster(bootstrap).create(&new_topic(&topic, PARTITIONS, &[])).expect("created");
        let mut harness = Harness::new(bootstrap, &[("producer.override.compression.type", codec)], 8 << 20);
        let mut expected = BTreeMap::new();
        for round in 0..4u32 {
            let mut records = RecordBuffer::default();
            for n in 0..300u32 {
                let key = format!("{round}-{n}");
                // Text that compresses, noise that does not, nothing, and nearly a megabyte of either.
                let size = match n {
                    150 => 900_000,
                    n if n % 7 == 0 => 0,
                    n => n as usize * 10,
                };
                let byte = |at: usize| match round {
                    0 | 2 => b"{\"column\":0123456789,"[at % 21],
                    _ => ((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8,
                };
                let value = (n % 5 != 4).then(|| (0..size).map(byte).collect::<Vec<u8>>());
                assert!(records.push(&topic, None, Some(key.as_bytes()), value.as_deref(), &[]));
                expected.insert(key.into_bytes(), value);
            }
            harness.produce(&records).expect("accepted");
        }
        harness.sink.flush(Duration::from_secs(30));
        let results = harness.results();
        assert!(results.len() == 4 && results.iter().all(Result::is_ok), "{codec}: {results:?}");
        let found: BTreeMap<_, _> =
            read_all(bootstrap, &topic).into_iter().map(|(_, key, value, _)| (key.expect("a key"), value)).collect();
        assert!(found == expected, "{codec}: something else was read back");
    }
}

#[test]
fn a_topic_that_takes_small_batches_only_gets_them_in_order() {
    let bootstrap = broker().bootstrap();
    let topic: Arc<str> = "bad-days-narrow".into();
    cluster(bootstrap).create(&new_topic(&topic, PARTITIONS, &[("max.message.bytes", "3000")])).expect("created");
    let mut harness = Harness::new(bootstrap, &[], 8 << 20);
    for number in 0..100 {
        harness.produce(&batch(&topic, number)).expect("accepted");
    }
    harness.sink.flush(Duration::from_secs(30));
    let results = harness.results();
    assert!(results.len() == 100 && results.iter().all(Result::is_ok), "{results:?}");
    complete(bootstrap, &topic, 100);
}

#[test]
fn a_topic_that_is_deleted_while_records_go_there_ends_the_producer_for_a_restart() {
    let bootstrap = broker().bootstrap();
    let topic: Arc<str> = "bad-days-deleted".into();
    let rules = [("topic.creation.default.partitions", "6"), ("topic.creation.default.replication.factor", "1")];
    let mut harness = Harness::new(bootstrap, &rules, 8 << 20);
    harness.produce(&batch(&topic, 0)).expect("accepted");
    harness.sink.flush(Duration::from_secs(10));
    assert_eq!(harness.results(), [Ok(())]);
    assert_eq!(cluster(bootstrap).delete(&topic), Ok(true));
    harness.produce(&batch(&topic, 1)).expect("accepted");
    harness.sink.flush(Duration::from_secs(40));
    let results = harness.results();
    let [Err(error)] = results.as_slice() else { panic!("{results:?}") };
    assert!(error.is_transient() && error.to_string().contains("'bad-days-deleted' or its partition does not exist"));
}
