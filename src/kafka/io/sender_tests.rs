//! The producer against brokers in this process: what it does when answers are lost, late, wrong or refusals.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use engine::{
    batch::{Ack, Settled},
    budget::Permit,
    error::TaskError,
    port::Sink,
};
use model::Seq;
use proptest::prelude::*;
use record::RecordBuffer;
use tokio::sync::mpsc;

use crate::{
    io::fake::{Fake, Fault},
    producer::KafkaSink,
    settings::{Role, Settings},
};

struct Harness {
    sink: KafkaSink,
    to: mpsc::Sender<Settled>,
    settled: mpsc::Receiver<Settled>,
    seq: u64,
    topic: Arc<str>,
}

impl Harness {
    fn new(fake: &Fake, more: &[(&str, &str)]) -> Self {
        let mut java: BTreeMap<String, String> = more.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        java.insert("bootstrap.servers".into(), fake.bootstrap());
        for (key, value) in [("retry.backoff.ms", "5"), ("retry.backoff.max.ms", "20"), ("reconnect.backoff.ms", "5")] {
            java.entry(key.into()).or_insert_with(|| value.into());
        }
        let settings = Settings::translate(Role::Producer, &java).expect("settings");
        let sink = KafkaSink::new(settings, 8 << 20, None, Arc::new(AtomicBool::new(false))).expect("a sink");
        let (to, settled) = mpsc::channel(20_000);
        Self { sink, to, settled, seq: 0, topic: "t".into() }
    }

    /// Produces numbers `first..end`, to partition n % `partitions`.
    fn produce(&mut self, first: u32, end: u32, partitions: u32) -> Result<(), TaskError> {
        let mut records = RecordBuffer::default();
        for n in first..end {
            records.push(
                &self.topic,
                Some((n % partitions) as i32),
                None,
                Some(n.to_string().as_bytes()),
                &[("h", None)],
            );
        }
        self.seq += 1;
        self.sink.produce(&records, Ack::new(Seq(self.seq), self.to.clone(), Permit::none(), None))
    }

    fn results(&mut self) -> Vec<Result<(), TaskError>> {
        std::iter::from_fn(|| self.settled.try_recv().ok().map(|settled| settled.result)).collect()
    }

    /// Flushes and checks that all batches were delivered, each once.
    fn delivered(&mut self) {
        self.sink.flush(Duration::from_secs(20));
        let results = self.results();
        let failed = results.iter().find_map(|result| result.clone().err());
        assert_eq!(failed, None);
        assert_eq!(results.len() as u64, self.seq);
    }

    /// The failure that ends the producer.
    fn failure(&mut self) -> TaskError {
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            self.sink.flush(Duration::from_millis(100));
            if let Some(Err(error)) = self.results().into_iter().next() {
                return error;
            }
        }
        panic!("nothing failed");
    }
}

/// Every number once and in order, over all partitions.
fn complete(fake: &Fake, end: u32, partitions: u32) {
    for partition in 0..partitions {
        let expected: Vec<String> = (0..end).filter(|n| n % partitions == partition).map(|n| n.to_string()).collect();
        assert_eq!(fake.log("t", partition as i32), expected, "partition {partition}");
    }
}

/// Hands over ten numbers at a time, far enough apart for several requests.
fn load(harness: &mut Harness, end: u32, partitions: u32) {
    for first in (0..end).step_by(10) {
        harness.produce(first, first + 10, partitions).expect("accepted");
        std::thread::park_timeout(Duration::from_micros(300));
    }
}

#[test]
fn lost_answers_and_lost_requests_leave_no_gap_and_no_repeat() {
    let fake = Fake::start(1, 1);
    let mut harness = Harness::new(&fake, &[]);
    use Fault::*;
    fake.state().faults =
        [None, AnswerLost, None, RequestLost, AnswerLost, AnswerLost, None, Garbage, WrongQuestion].into();
    let mut end = 0;
    while end < 100 || !fake.state().faults.is_empty() {
        harness.produce(end, end + 10, 1).expect("accepted");
        end += 10;
        std::thread::park_timeout(Duration::from_micros(300));
        assert!(end < 100_000, "all of it happens");
    }
    harness.delivered();
    complete(&fake, end, 1);
    assert_eq!(fake.state().producer_ids, 1, "a connection that is lost is no new producer");
}

#[test]
fn a_leader_that_moves_is_followed() {
    let fake = Fake::start(2, 3);
    let mut harness = Harness::new(&fake, &[]);
    for round in 0..6 {
        for first in (round * 90..(round + 1) * 90).step_by(9) {
            harness.produce(first, first + 9, 3).expect("accepted");
        }
        fake.lead("t", 1, 1 + (round as i32 % 2));
        fake.lead("t", 2, 2 - (round as i32 % 2));
    }
    harness.delivered();
    complete(&fake, 540, 3);
}

#[test]
fn batches_that_a_topic_finds_too_large_are_halved() {
    let fake = Fake::start(1, 1);
    fake.state().largest = 400;
    let mut harness = Harness::new(&fake, &[]);
    for first in (0..900).step_by(300) {
        harness.produce(first, first + 300, 1).expect("accepted");
    }
    harness.delivered();
    complete(&fake, 900, 1);
    // One record that is too large is the user's to know.
    fake.state().largest = 70;
    harness.produce(900, 901, 1).expect("accepted");
    let error = harness.failure();
    assert!(!error.is_transient() && error.to_string().contains("max.message.bytes"), "{error}");
}

#[test]
fn a_broker_that_contradicts_the_order_ends_the_producer() {
    for code in [45, 47, 59, 90] {
        let fake = Fake::start(1, 1);
        let mut harness = Harness::new(&fake, &[]);
        fake.state().faults = [Fault::None, Fault::Refused(code)].into();
        harness.produce(0, 10, 1).expect("accepted");
        harness.sink.flush(Duration::from_secs(5));
        let _ = harness.produce(10, 20, 1);
        let results = [harness.results(), vec![Err(harness.failure_or_last())]].concat();
        let failure = results.iter().find_map(|result| result.clone().err()).expect("a failure");
        assert!(failure.is_transient() && failure.to_string().contains("not certain"), "{code}: {failure}");
        assert!(harness.produce(20, 30, 1).is_err(), "of no more use");
        complete(&fake, 10, 1);
    }
}

#[test]
fn refusals_are_told_as_they_are() {
    for (code, transient, text) in [
        (29, false, "Not authorized to access topics: [t]"),
        (87, false, "message.key.columns"),
        (-1, false, "topic 't'"),
    ] {
        let fake = Fake::start(1, 1);
        let mut harness = Harness::new(&fake, &[]);
        fake.state().faults = [Fault::Refused(code)].into();
        harness.produce(0, 10, 1).expect("accepted");
        let error = harness.failure();
        assert_eq!(error.is_transient(), transient, "{code}: {error}");
        assert!(error.to_string().contains(text), "{code}: {error}");
        assert_eq!(fake.log("t", 0).len(), 0);
    }
}

#[test]
fn a_login_that_is_refused_is_definite_and_shows_no_secret() {
    let fake = Fake::start(1, 1);
    fake.state().login = 58;
    let jaas =
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"topsecret\";";
    let security = [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", jaas)];
    let error = Harness::new(&fake, &security).produce(0, 1, 1).expect_err("refused");
    let text = error.to_string();
    assert!(!error.is_transient() && text.contains("Invalid username or password"), "{text}");
    assert!(text.contains("sasl.jaas.config") && !text.contains("topsecret"), "{text}");
    fake.state().login = 0;
    let mut harness = Harness::new(&fake, &security);
    harness.produce(0, 10, 1).expect("accepted");
    harness.delivered();
    let scram = [("sasl.mechanism", "SCRAM-SHA-256"), security[0], security[2]];
    let error = Harness::new(&fake, &scram).produce(0, 1, 1).expect_err("refused");
    assert!(!error.is_transient(), "{error}");
}

#[test]
fn a_broker_that_is_too_old_is_named() {
    let fake = Fake::start(1, 1);
    fake.state().produce_versions = (0, 7);
    let error = Harness::new(&fake, &[]).produce(0, 1, 1).expect_err("too old");
    assert!(!error.is_transient() && error.to_string().contains("Produce in versions 0 to 7"), "{error}");
}

#[test]
fn silence_is_answered_by_another_connection_and_ends_by_delivery_timeout() {
    let fake = Fake::start(1, 1);
    let mut harness = Harness::new(&fake, &[("request.timeout.ms", "200")]);
    fake.state().faults = [Fault::Silence, Fault::None, Fault::Late(100)].into();
    load(&mut harness, 100, 1);
    harness.delivered();
    complete(&fake, 100, 1);

    let fake = Fake::start(1, 1);
    let mut harness = Harness::new(&fake, &[("request.timeout.ms", "200"), ("delivery.timeout.ms", "500")]);
    fake.state().faults = [Fault::Silence; 100].into();
    harness.produce(0, 10, 1).expect("accepted");
    let error = harness.failure();
    assert!(error.is_transient() && error.to_string().contains("MessageTimedOut"), "{error}");
}

#[test]
fn weaker_acks_are_kept_to() {
    let fake = Fake::start(1, 2);
    let mut harness = Harness::new(&fake, &[("acks", "1")]);
    fake.state().faults = [Fault::None, Fault::Refused(19), Fault::RequestLost].into();
    load(&mut harness, 200, 2);
    harness.delivered();
    complete(&fake, 200, 2);
    assert_eq!(fake.state().producer_ids, 0);

    let fake = Fake::start(1, 2);
    let mut harness = Harness::new(&fake, &[("acks", "0")]);
    load(&mut harness, 200, 2);
    harness.delivered();
    let end = Instant::now() + Duration::from_secs(5);
    while fake.log("t", 0).len() + fake.log("t", 1).len() < 200 && Instant::now() < end {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    complete(&fake, 200, 2);
    assert!(Harness::new(&fake, &[("acks", "1"), ("retries", "0")]).retries_end(&fake));
}

#[test]
fn a_dropped_producer_delivers_nothing_more_and_says_so() {
    let fake = Fake::start(1, 1);
    let mut harness = Harness::new(&fake, &[]);
    harness.produce(0, 10, 1).expect("accepted");
    harness.sink.flush(Duration::from_secs(5));
    fake.state().faults = [Fault::Silence; 10].into();
    harness.produce(10, 20, 1).expect("accepted");
    let Harness { sink, mut settled, .. } = harness;
    let begun = Instant::now();
    drop(sink);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let results: Vec<_> = std::iter::from_fn(|| settled.try_recv().ok()).map(|s| s.result.is_ok()).collect();
    assert_eq!(results, [true, false]);
}

impl Harness {
    /// The failure, if the producer has died and its batches were settled already.
    fn failure_or_last(&mut self) -> TaskError {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(Err(error)) = self.results().into_iter().find(Result::is_err) {
                return error;
            }
            if let Err(error) = self.produce(20, 21, 1) {
                return error;
            }
            assert!(Instant::now() < end, "nothing failed");
        }
    }

    /// Whether a refusal that could be tried again ends a producer that must not.
    fn retries_end(mut self, fake: &Fake) -> bool {
        fake.state().faults = [Fault::Refused(19)].into();
        self.produce(200, 202, 2).expect("accepted");
        self.failure().is_transient()
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        2 => Just(Fault::AnswerLost),
        1 => Just(Fault::RequestLost),
        2 => prop::sample::select(vec![5i16, 6, 7, 19, 3, 2, 56]).prop_map(Fault::Refused),
        1 => prop::sample::select(vec![7i16, 20]).prop_map(Fault::TakenAndRefused),
        1 => (1..8u64).prop_map(Fault::Late),
        1 => Just(Fault::Garbage),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_happens_every_record_is_there_once_and_in_order(
        faults in prop::collection::vec(fault(), 1..40),
        moves in prop::collection::vec((0..3i32, 1..3i32), 0..6),
        largest in prop::option::of(150..2000usize),
    ) {
        let fake = Fake::start(2, 3);
        fake.state().faults = faults.into();
        fake.state().largest = largest.unwrap_or(usize::MAX);
        let mut harness = Harness::new(&fake, &[]);
        let mut moves = moves.into_iter();
        for first in (0..600).step_by(12) {
            harness.produce(first, first + 12, 3).expect("accepted");
            std::thread::park_timeout(Duration::from_micros(200));
            if first % 96 == 0 && let Some((partition, leader)) = moves.next() {
                fake.lead("t", partition, leader);
            }
        }
        harness.delivered();
        complete(&fake, 600, 3);
    }
}
