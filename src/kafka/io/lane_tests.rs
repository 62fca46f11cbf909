//! Order and sequence numbers of one partition, without a network.

use super::*;
use crate::wire::batch::{HeaderBlock, tests::read};

const PRODUCER: Option<ProducerId> = Some(ProducerId { id: 9, epoch: 0 });

fn batch(records: u32) -> Batch {
    let mut batch = Batch::new(Vec::new(), 1, Instant::now());
    let mut headers = HeaderBlock::default();
    headers.set(std::iter::empty());
    for n in 0..records {
        batch.push(3, 1, None, Some(n.to_string().as_bytes()), &headers);
    }
    batch
}

fn lane(records: &[u32]) -> (Lane, Compressor) {
    let (mut lane, mut compressor) = (Lane::new(0, 0), Compressor::new(Codec::None));
    for (n, records) in records.iter().enumerate() {
        lane.add(batch(*records), &mut compressor, Vec::new(), PRODUCER, n as u64);
    }
    (lane, compressor)
}

fn sequences(lane: &Lane) -> Vec<(i32, usize)> {
    let read = |sent: &Sent| read(&sent.bytes).expect("a batch").expect("a checksum");
    lane.sent.iter().map(read).map(|batch| (batch.sequence, batch.records.len())).collect()
}

#[test]
fn after_a_failure_all_goes_again_in_order_once_the_wire_is_silent() {
    let now = Instant::now();
    let (mut lane, mut compressor) = lane(&[2, 3, 4]);
    lane.proven = Some(now);
    for number in 0..3 {
        assert_eq!(lane.turn(7, 5, now), Turn::Again(number));
        assert!(lane.send(number, 7).is_some());
    }
    assert_eq!(lane.turn(7, 5, now), Turn::Fresh);
    assert_eq!(lane.turn(7, 3, now), Turn::Wait(None), "as many as may be on their way");
    assert_eq!(lane.turn(8, 5, now), Turn::Wait(None), "another connection would overtake");
    let later = now + std::time::Duration::from_secs(1);
    assert!(!lane.follows_failure(1));
    lane.settle(0, Fate::Again, now, Some(later));
    assert!(lane.follows_failure(1) && !lane.follows_failure(0));
    assert_eq!(lane.turn(7, 5, now), Turn::Wait(None), "answers are outstanding");
    lane.settle(1, Fate::Again, now, None);
    // The second was appended although the first one's answer said no: it is out of the way.
    assert!(lane.settle(2, Fate::Delivered, now, None).is_some_and(|sent| sent.batch.count == 4));
    lane.settle(0, Fate::Again, now, Some(later));
    assert_eq!(lane.turn(8, 5, now), Turn::Wait(Some(later)));
    assert!(lane.repair(&mut compressor, PRODUCER, || 99).is_ok());
    assert_eq!(sequences(&lane), [(0, 2), (2, 3)]);
    for number in 0..2 {
        assert_eq!(lane.turn(8, 5, later), Turn::Again(number));
        lane.send(number, 8);
        assert_eq!(lane.turn(8, 5, later), Turn::Wait(None), "one at a time until one is acknowledged");
        assert!(lane.settle(number, Fate::Delivered, later, None).is_some());
        lane.proven = lane.proven.filter(|_| number == 1);
    }
    assert_eq!(lane.turn(8, 5, later + FORGOTTEN), Turn::Fresh);
    assert!(lane.settle(1, Fate::Delivered, now, None).is_none() && lane.is_empty());
}

#[test]
fn halves_take_the_place_of_the_whole() {
    let now = Instant::now();
    let (mut lane, mut compressor) = lane(&[1, 5, 2]);
    (0..3).for_each(|number| drop(lane.send(number, 1)));
    lane.settle(0, Fate::Delivered, now, None);
    lane.settle(1, Fate::Halves, now, None);
    lane.settle(2, Fate::Again, now, None);
    let mut name = 9;
    let (from, to) = lane
        .repair(&mut compressor, PRODUCER, || {
            name += 1;
            name
        })
        .expect("halves");
    assert!(from > 0 && to > from, "two headers");
    assert_eq!(sequences(&lane), [(1, 2), (3, 3), (6, 2)]);
    let parts: Vec<_> = [10, 11].iter().filter_map(|n| lane.find(*n)).map(|sent| sent.batch.parts.clone()).collect();
    assert_eq!(parts.concat().iter().map(|part| (part.slot, part.records)).collect::<Vec<_>>(), [(3, 2), (3, 3)]);
    for number in [10, 11, 2] {
        assert_eq!(lane.turn(1, 5, now), Turn::Again(number));
        lane.send(number, 1);
        assert!(lane.settle(number, Fate::Delivered, now, None).is_some());
    }
    assert!(lane.is_empty());
}

#[test]
fn sequence_numbers_begin_again_after_the_largest() {
    assert_eq!(advance(i32::MAX, 1), 0);
    assert_eq!(advance(i32::MAX - 1, 5), 3);
    let (mut lane, mut compressor) = lane(&[]);
    lane.next_sequence = i32::MAX - 1;
    lane.add(batch(3), &mut compressor, Vec::new(), PRODUCER, 1);
    lane.add(batch(1), &mut compressor, Vec::new(), PRODUCER, 2);
    lane.add(batch(1), &mut compressor, Vec::new(), None, 3);
    assert_eq!(sequences(&lane), [(i32::MAX - 1, 3), (1, 1), (-1, 1)]);
}
