use crate::error::Failure;

use super::*;

fn produce(n: u64) -> Action<Place> {
    Action::Produce { upto: Seq(n) }
}

fn commit(n: u64) -> Action<Place> {
    Action::Commit { seq: Seq(n), position: Place(n) }
}

fn store_at(n: u64, at: i64) -> Action<Place> {
    Action::Store { seq: Seq(n), position: Place(n), at: Some((0, at)) }
}

fn unknown(rig: &mut Rig, n: u64) -> Vec<Action<Place>> {
    let result = Err(CommitError::Unknown(Failure::new("no answer")));
    rig.step(1, Input::Committed { seq: Seq(n), result })
}

fn read_back(n: u64, at: i64) -> Input<Place> {
    let stored = StoredOffset { offset: Some(Place(n).to_offset()), at: (0, at) };
    Input::Recovered { seq: Seq(1), result: Ok(Some(stored)) }
}

#[test]
fn committed_then_stored_with_its_place_then_confirmed() {
    let mut rig = Rig::exactly_once(Boundary::Poll);
    assert_eq!(rig.read(0), [produce(0)]);
    assert_eq!(rig.delivered(0), [commit(0)]);
    assert_eq!(rig.committed(0, 7), [store_at(0, 7)]);
    assert_eq!(rig.step(1, Input::Stored { seq: Seq(0), result: Ok(()) }), [Action::Confirm(Place(0))]);
}

#[test]
fn what_is_read_during_a_commit_waits_for_the_next_transaction() {
    let mut rig = Rig::exactly_once(Boundary::Poll);
    rig.read(0);
    rig.read(1);
    assert!(rig.delivered(0).is_empty(), "batch 1 joined and is missing");
    assert_eq!(rig.delivered(1), [commit(1)]);
    assert!(rig.read(2).is_empty());
    assert!(rig.read(3).is_empty());
    assert_eq!(rig.committed(1, 7), [produce(3), store_at(1, 7)]);
}

#[test]
fn a_poll_transaction_takes_a_backlog_up_to_its_limit_and_a_trickle_for_a_moment() {
    let mut rig = Rig::exactly_once(Boundary::Poll);
    for n in 0..6 {
        assert_eq!(rig.rows(n, 8192), [produce(n)], "{n}");
        rig.now += Duration::from_millis(20);
    }
    assert!(rig.rows(6, 8192).is_empty(), "57,344 rows");
    (0..5).for_each(|n| assert!(rig.delivered(n).is_empty()));
    assert_eq!(rig.delivered(5), [commit(5)]);
    assert_eq!(rig.committed(5, 7), [produce(6), store_at(5, 7)]);
    assert_eq!(rig.read(7), [produce(7)]);
    assert!(rig.step(5, Input::Tick).is_empty());
    assert!(rig.read(8).is_empty(), "a small batch after 5 ms");
    rig.delivered(6);
    assert_eq!(rig.delivered(7), [commit(7)]);
}

#[test]
fn an_interval_transaction_is_held_open_until_its_time_and_cut_by_a_pause() {
    let mut rig = Rig::exactly_once(Boundary::Interval(Duration::from_secs(1)));
    rig.read(0);
    assert!(rig.delivered(0).is_empty());
    assert_eq!(rig.core.wake_at(rig.start + rig.now), rig.start + Duration::from_secs(1));
    assert_eq!(rig.step(999, Input::Tick), []);
    assert_eq!(rig.step(1, Input::Tick), [commit(0)]);
    assert_eq!(rig.committed(0, 7), [store_at(0, 7)]);
    assert_eq!(rig.read(1), [produce(1)]);
    rig.delivered(1);
    assert_eq!(rig.step(5, Input::Control(Control::Pause)), [Action::Reading(false), commit(1)]);
}

#[test]
fn a_position_without_records_waits_for_the_flush_interval_or_for_records() {
    let mut rig = Rig::exactly_once(Boundary::Poll);
    assert_eq!(rig.rows(0, 0), [produce(0)]);
    assert!(rig.delivered(0).is_empty());
    assert_eq!(rig.step(60_000, Input::Tick), [commit(0)]);
    rig.committed(0, 7);
    assert_eq!(rig.rows(1, 0), [produce(1)]);
    rig.delivered(1);
    assert_eq!(rig.rows(2, 3), [produce(2)]);
    assert_eq!(rig.delivered(2), [commit(2)]);
}

#[test]
fn an_unknown_commit_is_read_back_and_never_repeated() {
    let mut rig = Rig::exactly_once(Boundary::Poll);
    (0..2).for_each(|n| drop(rig.read(n)));
    (0..2).for_each(|n| drop(rig.delivered(n)));
    assert_eq!(unknown(&mut rig, 1), [Action::Recover { seq: Seq(1) }]);
    assert!(rig.read(2).is_empty(), "nothing goes out before it is resolved");
    // It was committed: the session goes on.
    assert_eq!(rig.step(1, read_back(1, 5)), [produce(2), store_at(1, 5)]);
}

#[test]
fn a_commit_that_kafka_does_not_hold_ends_the_task_for_a_restart() {
    // The record of the transaction before, and one of somebody else.
    for (place, at) in [(1, 4), (0, 9)] {
        let mut rig = Rig::exactly_once(Boundary::Poll);
        (0..2).for_each(|n| drop(rig.read(n)));
        (0..2).for_each(|n| drop(rig.delivered(n)));
        unknown(&mut rig, 1);
        assert_eq!(rig.step(1, read_back(place, at)), [Action::StopReading]);
        let out = rig.step(1, Input::SourceEnded(Ok(())));
        assert!(matches!(&out[..], [Action::Exit(Err(TaskError::Transient(_)))]), "{out:?}");
    }
}

#[test]
fn a_fenced_task_is_a_definite_failure_that_says_why() {
    let mut rig = Rig::exactly_once(Boundary::Poll);
    rig.read(0);
    rig.delivered(0);
    let result = Err(CommitError::Fenced(Failure::new("INVALID_PRODUCER_EPOCH")));
    assert_eq!(rig.step(1, Input::Committed { seq: Seq(0), result }), [Action::StopReading]);
    let out = rig.step(1, Input::SourceEnded(Ok(())));
    let [Action::Exit(Err(TaskError::Definite(failure)))] = &out[..] else { panic!("{out:?}") };
    assert!(failure.message.contains("group.id") && failure.class.ends_with("ProducerFencedException"));
}

#[test]
fn an_undelivered_batch_aborts_the_transaction() {
    let mut rig = Rig::exactly_once(Boundary::Poll);
    (0..2).for_each(|n| drop(rig.read(n)));
    rig.delivered(0);
    let error = TaskError::transient("gone");
    let failed = rig.step(0, Input::Settled { seq: Seq(1), result: Err(error.clone()) });
    assert_eq!(failed, [Action::StopReading, Action::Abort]);
    assert_eq!(rig.step(0, Input::SourceEnded(Ok(()))), [Action::Exit(Err(error))]);
}

#[test]
fn a_source_that_fails_has_what_it_read_committed_first() {
    let mut rig = Rig::exactly_once(Boundary::Interval(Duration::from_secs(60)));
    rig.read(0);
    let error = TaskError::transient("the server went away");
    assert!(rig.step(200, Input::SourceEnded(Err(error.clone()))).is_empty());
    assert_eq!(rig.delivered(0), [commit(0)]);
    assert_eq!(rig.committed(0, 7), [store_at(0, 7)]);
    let out = rig.step(1, Input::Stored { seq: Seq(0), result: Ok(()) });
    assert_eq!(out, [Action::Confirm(Place(0)), Action::Exit(Err(error))]);
}

#[test]
fn a_stop_commits_everything_and_at_its_deadline_aborts_what_is_open() {
    let mut rig = Rig::exactly_once(Boundary::Interval(Duration::from_secs(60)));
    rig.read(0);
    assert_eq!(rig.step(1, Input::Control(Control::Stop)), [Action::StopReading]);
    rig.step(1, Input::SourceEnded(Ok(())));
    assert_eq!(rig.delivered(0), [commit(0)]);
    assert_eq!(rig.committed(0, 7), [store_at(0, 7)]);
    let out = rig.step(1, Input::Stored { seq: Seq(0), result: Ok(()) });
    assert_eq!(out, [Action::Confirm(Place(0)), Action::Exit(Ok(()))]);

    let mut rig = Rig::exactly_once(Boundary::Poll);
    rig.read(0);
    rig.step(1, Input::Control(Control::Stop));
    assert_eq!(rig.step(10_000, Input::Tick), [Action::Abort, Action::Exit(Ok(()))]);
}

#[test]
fn a_commit_under_way_at_the_deadline_is_not_aborted() {
    let mut rig = Rig::exactly_once(Boundary::Poll);
    rig.read(0);
    rig.delivered(0);
    rig.step(1, Input::Control(Control::Stop));
    rig.step(1, Input::SourceEnded(Ok(())));
    assert_eq!(rig.step(10_000, Input::Tick), [Action::Exit(Ok(()))]);
}

#[test]
fn a_commit_that_waits_while_kafka_answers_is_an_incident() {
    let mut rig = Rig::exactly_once(Boundary::Poll);
    rig.step(0, Input::Kafka { answers: true });
    rig.read(0);
    assert_eq!(rig.step(100_000, Input::Settled { seq: Seq(0), result: Ok(()) }), [commit(0)]);
    assert!(rig.step(119_999, Input::Tick).is_empty());
    // It may have been made: nothing is aborted, and the next start finds out.
    assert_eq!(rig.step(1, Input::Tick), [Action::StopReading]);
    assert!(rig.step(1, Input::SourceEnded(Ok(()))).is_empty());
    let out = rig.step(5_000, Input::Tick);
    assert!(matches!(&out[..], [Action::Exit(Err(TaskError::Transient(_)))]), "{out:?}");
}
