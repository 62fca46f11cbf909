use std::fmt;

use model::{OffsetError, OffsetMap};

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Place(u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Position for Place {
    fn to_offset(&self) -> OffsetMap {
        [("place".to_owned(), self.0.into())].into_iter().collect()
    }
    fn from_offset(_: &OffsetMap) -> Result<Self, OffsetError> {
        Ok(Place(0))
    }
}

struct Rig {
    core: Core<Place>,
    start: Instant,
    now: Duration,
}

impl Rig {
    fn new() -> Self {
        Self::with(Delivery::AtLeastOnce)
    }

    fn exactly_once(boundary: Boundary) -> Self {
        Self::with(Delivery::ExactlyOnce { boundary, known: Some((0, 4)) })
    }

    fn with(delivery: Delivery) -> Self {
        let start = Instant::now();
        let settings = CoreSettings {
            store_interval: Duration::from_millis(100),
            publish_interval: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(10),
            delivery_timeout: Some(Duration::from_secs(120)),
            delivery,
        };
        Self { core: Core::new(settings, start), start, now: Duration::ZERO }
    }

    fn step(&mut self, after_ms: u64, input: Input<Place>) -> Vec<Action<Place>> {
        self.now += Duration::from_millis(after_ms);
        let mut out = Vec::new();
        self.core.step(self.start + self.now, input, &mut out);
        out
    }

    fn read(&mut self, n: u64) -> Vec<Action<Place>> {
        self.rows(n, 1)
    }

    fn rows(&mut self, n: u64, rows: u64) -> Vec<Action<Place>> {
        self.step(0, Input::Read { seq: Seq(n), end: Place(n), rows })
    }

    fn committed(&mut self, n: u64, at: i64) -> Vec<Action<Place>> {
        self.step(1, Input::Committed { seq: Seq(n), result: Ok((0, at)) })
    }

    fn delivered(&mut self, n: u64) -> Vec<Action<Place>> {
        self.step(0, Input::Settled { seq: Seq(n), result: Ok(()) })
    }
}

fn store(n: u64) -> Action<Place> {
    Action::Store { seq: Seq(n), position: Place(n), at: None }
}

fn publish(n: u64) -> Action<Place> {
    Action::Publish { seq: Seq(n), position: Place(n) }
}

#[test]
fn delivered_then_stored_then_published_then_confirmed() {
    let mut rig = Rig::new();
    assert!(rig.read(0).is_empty());
    assert!(rig.read(1).is_empty());
    assert!(rig.delivered(1).is_empty());
    assert_eq!(rig.delivered(0), [store(1)]);
    assert!(rig.step(0, Input::Stored { seq: Seq(1), result: Ok(()) }).is_empty());
    assert_eq!(rig.step(60_000, Input::Tick), [publish(1)]);
    assert_eq!(rig.step(5, Input::Published { seq: Seq(1), result: Ok(()) }), [Action::Confirm(Place(1))]);
}

#[test]
fn stores_are_spaced() {
    let mut rig = Rig::new();
    (0..3).for_each(|n| drop(rig.read(n)));
    assert_eq!(rig.delivered(0), [store(0)]);
    assert!(rig.step(1, Input::Stored { seq: Seq(0), result: Ok(()) }).is_empty());
    assert!(rig.delivered(1).is_empty());
    assert!(rig.delivered(2).is_empty());
    assert_eq!(rig.step(100, Input::Tick), [store(2)]);
}

#[test]
fn a_stop_drains_stores_publishes_and_exits() {
    let mut rig = Rig::new();
    rig.read(0);
    assert_eq!(rig.step(200, Input::Control(Control::Stop)), [Action::StopReading]);
    assert!(rig.step(0, Input::SourceEnded(Ok(()))).is_empty());
    assert_eq!(rig.delivered(0), [store(0)]);
    assert_eq!(rig.step(1, Input::Stored { seq: Seq(0), result: Ok(()) }), [publish(0)]);
    let last = rig.step(1, Input::Published { seq: Seq(0), result: Ok(()) });
    assert_eq!(last, [Action::Confirm(Place(0)), Action::Exit(Ok(()))]);
}

#[test]
fn a_stop_does_not_wait_past_its_deadline() {
    let mut rig = Rig::new();
    rig.read(0);
    rig.step(0, Input::Control(Control::Stop));
    rig.step(0, Input::SourceEnded(Ok(())));
    assert_eq!(rig.step(10_000, Input::Tick), [Action::Exit(Ok(()))]);
}

#[test]
fn an_undelivered_batch_ends_the_task_and_is_never_stored() {
    let mut rig = Rig::new();
    (0..2).for_each(|n| drop(rig.read(n)));
    let error = TaskError::transient("gone");
    let failed = rig.step(0, Input::Settled { seq: Seq(0), result: Err(error.clone()) });
    assert_eq!(failed, [Action::StopReading]);
    assert!(rig.delivered(1).is_empty());
    assert_eq!(rig.step(0, Input::SourceEnded(Ok(()))), [Action::Exit(Err(error))]);
}

#[test]
fn what_a_failed_source_leaves_in_flight_is_delivered_and_stored() {
    let mut rig = Rig::new();
    rig.read(0);
    rig.read(1);
    let error = TaskError::transient("the server went away");
    assert_eq!(rig.step(0, Input::SourceEnded(Err(error.clone()))), []);
    assert_eq!(rig.delivered(0), [store(0)]);
    assert_eq!(rig.step(1, Input::Stored { seq: Seq(0), result: Ok(()) }), []);
    assert_eq!(rig.delivered(1), [store(1)]);
    let out = rig.step(1, Input::Stored { seq: Seq(1), result: Ok(()) });
    assert_eq!(out, [Action::Exit(Err(error.clone()))]);
    // Kafka is away as well: it is not waited for longer than a few seconds.
    let mut rig = Rig::new();
    rig.read(0);
    assert_eq!(rig.step(0, Input::SourceEnded(Err(error.clone()))), []);
    assert_eq!(rig.step(4_000, Input::Tick), []);
    assert_eq!(rig.step(1_000, Input::Tick), [Action::Exit(Err(error))]);
}

#[test]
fn a_store_that_fails_is_not_tried_again() {
    let mut rig = Rig::new();
    rig.read(0);
    rig.read(1);
    assert_eq!(rig.delivered(0), [store(0)]);
    let error = TaskError::definite("the disk is full");
    let out = rig.step(1, Input::Stored { seq: Seq(0), result: Err(error.clone()) });
    assert_eq!(out, [Action::StopReading]);
    assert_eq!(rig.delivered(1), []);
    assert_eq!(rig.step(0, Input::SourceEnded(Ok(()))), [Action::Exit(Err(error))]);
}

#[test]
fn a_gap_between_batches_is_a_definite_failure() {
    let mut rig = Rig::new();
    rig.read(0);
    assert_eq!(rig.read(2), [Action::StopReading]);
    let out = rig.step(0, Input::SourceEnded(Ok(())));
    assert!(matches!(&out[..], [Action::Exit(Err(TaskError::Definite(_)))]), "{out:?}");
}

#[test]
fn pausing_holds_the_reader_and_stores_at_once() {
    let mut rig = Rig::new();
    rig.read(0);
    assert_eq!(rig.step(200, Input::Control(Control::Pause)), [Action::Reading(false)]);
    assert_eq!(rig.delivered(0), [store(0)]);
    assert_eq!(rig.step(1, Input::Stored { seq: Seq(0), result: Ok(()) }), [publish(0)]);
    assert_eq!(rig.step(1, Input::Control(Control::Run)), [Action::Reading(true)]);
}

#[test]
fn a_batch_that_waits_is_an_incident_only_while_kafka_answers() {
    let mut rig = Rig::new();
    rig.read(0);
    assert!(rig.step(600_000, Input::Tick).is_empty(), "nobody says that Kafka answers");
    assert!(rig.step(0, Input::Kafka { answers: true }).is_empty());
    assert!(rig.step(60_000, Input::Kafka { answers: false }).is_empty());
    assert!(rig.step(600_000, Input::Kafka { answers: true }).is_empty(), "an outage is waited out");
    assert!(rig.step(119_999, Input::Tick).is_empty());
    assert_eq!(rig.step(1, Input::Tick), [Action::StopReading]);
    let out = rig.step(0, Input::SourceEnded(Ok(())));
    assert!(matches!(&out[..], [Action::Exit(Err(TaskError::Transient(_)))]), "{out:?}");
}

#[test]
fn progress_of_the_oldest_batch_begins_the_wait_anew() {
    let mut rig = Rig::new();
    (0..2).for_each(|n| drop(rig.read(n)));
    rig.step(0, Input::Kafka { answers: true });
    assert_eq!(rig.step(100_000, Input::Settled { seq: Seq(0), result: Ok(()) }), [store(0)]);
    assert!(!rig.step(100_000, Input::Tick).contains(&Action::StopReading));
    assert!(rig.step(20_000, Input::Tick).contains(&Action::StopReading));
}

mod exactly_once;
