//! Records that were accepted and are not on their way yet: one growing batch and full ones behind it for each
//! partition, bounded together.
//!
//! The task's thread appends, the sender's thread takes; both under one lock, held for a hand-over of records or for
//! the choice of what goes next, never for compression or I/O. Decides which partition a record goes to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use engine::error::TaskError;
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Notify;

use crate::{
    outstanding::Outstanding,
    partitioner,
    wire::batch::{Batch, HEADER, HeaderBlock, size_added},
};

/// Buffers kept for the next batches.
const SPARE_MAX: usize = 8;

/// What the task's thread and the sender's share.
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    /// Room was made, a topic became known, or the producer died.
    changed: Condvar,
    /// The sender has something to do.
    pub(crate) wake: Notify,
    pub(crate) outstanding: Outstanding,
    stop: AtomicBool,
}

impl Shared {
    pub(crate) fn new(limit: usize, batch_bytes: usize) -> Self {
        Self {
            queue: Mutex::new(Queue::new(limit, batch_bytes)),
            changed: Condvar::new(),
            wake: Notify::new(),
            outstanding: Outstanding::new(),
            stop: AtomicBool::new(false),
        }
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change of the queue, at most `limit`.
    pub(crate) fn wait<'a>(&self, queue: MutexGuard<'a, Queue>, limit: Duration) -> MutexGuard<'a, Queue> {
        match self.changed.wait_timeout(queue, limit) {
            Ok((queue, _)) => queue,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    /// Wakes whoever waits in [`Self::wait`].
    pub(crate) fn tell(&self) {
        self.changed.notify_all();
    }

    /// The producer is of no more use: every batch that is not settled fails with the first cause.
    pub(crate) fn die(&self, error: impl FnOnce() -> TaskError) {
        self.outstanding.die(error);
        self.outstanding.end();
        // Under the lock, so that nobody misses it between a look and the wait.
        drop(self.queue());
        self.tell();
    }

    /// Asks the sender to end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// What is known of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicState {
    /// No broker has been asked yet, or none has answered.
    Asked,
    /// It is there.
    Known,
    /// The last answer was this refusal.
    Refused(RDKafkaErrorCode),
}

/// A topic and the places of its partitions among the [`Queue::lanes`].
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) state: TopicState,
    pub(crate) lanes: Vec<usize>,
    /// Records without a key go here until its batch is closed.
    sticky: usize,
    /// A batch of it is closed before it passes this many bytes.
    pub(crate) batch_bytes: usize,
}

/// What waits for one partition.
pub(crate) struct Waiting {
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    open: Option<Batch>,
    full: VecDeque<Batch>,
    /// The sender knows that something waits here.
    listed: bool,
    /// Whether somebody leads the partition at present.
    pub(crate) led: bool,
}

/// All topics and what waits for them.
pub(crate) struct Queue {
    pub(crate) topics: Vec<Topic>,
    by_name: HashMap<Arc<str>, usize>,
    pub(crate) lanes: Vec<Waiting>,
    /// Lanes that got something and were empty before.
    pub(crate) woken: Vec<usize>,
    /// Topics that a broker has to be asked about.
    pub(crate) unasked: bool,
    /// Nothing more comes before what is here has gone: waiting for larger batches is of no use.
    pub(crate) hurry: bool,
    used: usize,
    limit: usize,
    batch_bytes: usize,
    spare: Vec<Vec<u8>>,
}

/// Why a record was not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue is full.
    Full,
    /// The topic has no such partition.
    NoPartition,
}

/// A record on its way into the queue.
pub(crate) struct NewRecord<'a> {
    /// Slot of its hand-over.
    pub(crate) slot: usize,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a HeaderBlock,
}

impl Queue {
    fn new(limit: usize, batch_bytes: usize) -> Self {
        Self {
            topics: Vec::new(),
            by_name: HashMap::new(),
            lanes: Vec::new(),
            woken: Vec::new(),
            unasked: false,
            hurry: false,
            used: 0,
            limit,
            batch_bytes,
            spare: Vec::new(),
        }
    }

    /// A topic's place; a new one is asked about.
    pub(crate) fn topic(&mut self, name: &Arc<str>) -> usize {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let place = self.topics.len();
        self.by_name.insert(name.clone(), place);
        let (batch_bytes, state) = (self.batch_bytes, TopicState::Asked);
        self.topics.push(Topic { name: name.clone(), state, lanes: Vec::new(), sticky: place, batch_bytes });
        self.unasked = true;
        place
    }

    /// The place of a topic that was named before.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// A topic's name.
    pub(crate) fn name(&self, topic: usize) -> Arc<str> {
        self.topics.get(topic).map_or_else(|| "".into(), |topic| topic.name.clone())
    }

    /// Notes that a topic cannot be used, or not yet.
    pub(crate) fn refuse(&mut self, topic: usize, code: RDKafkaErrorCode) {
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.state = TopicState::Refused(code);
        }
    }

    pub(crate) fn state(&self, topic: usize) -> TopicState {
        self.topics.get(topic).map_or(TopicState::Asked, |topic| topic.state)
    }

    /// Notes how many partitions a topic has; there never are fewer than before.
    pub(crate) fn set_partitions(&mut self, topic: usize, count: usize) {
        let Some(entry) = self.topics.get_mut(topic) else { return };
        entry.state = TopicState::Known;
        while entry.lanes.len() < count {
            let partition = entry.lanes.len() as i32;
            entry.lanes.push(self.lanes.len());
            let (open, full) = (None, VecDeque::new());
            self.lanes.push(Waiting { topic, partition, open, full, listed: false, led: true });
        }
    }

    /// Appends a record to its partition's batch.
    pub(crate) fn push(
        &mut self,
        topic: usize,
        keyed: bool,
        record: &NewRecord<'_>,
        now: Instant,
    ) -> Result<(), Refused> {
        let size = size_added(record.key, record.value, record.headers);
        if self.used > 0 && self.used + size > self.limit {
            return Err(Refused::Full);
        }
        let Some(entry) = self.topics.get_mut(topic) else { return Err(Refused::NoPartition) };
        let count = entry.lanes.len();
        let index = match (record.partition, record.key.filter(|_| keyed)) {
            (Some(partition), _) => usize::try_from(partition).map_err(|_| Refused::NoPartition)?,
            (None, Some(key)) => partitioner::partition(key, count as i32).unsigned_abs() as usize,
            (None, None) => entry.sticky.checked_rem(count).ok_or(Refused::NoPartition)?,
        };
        let Some(place) = entry.lanes.get(index).copied() else { return Err(Refused::NoPartition) };
        let batch_bytes = entry.batch_bytes;
        let Some(lane) = self.lanes.get_mut(place) else { return Err(Refused::NoPartition) };
        if let Some(full) = lane.open.take_if(|open| open.count > 0 && open.bytes.len() + size > batch_bytes) {
            lane.full.push_back(full);
            entry.move_on(&self.lanes, index);
        }
        let Some(lane) = self.lanes.get_mut(place) else { return Err(Refused::NoPartition) };
        let spare = &mut self.spare;
        let open = lane.open.get_or_insert_with(|| Batch::new(spare.pop().unwrap_or_default(), record.timestamp, now));
        // Twice as large each time, but not beyond what a batch can need.
        let needed = open.bytes.len() + size;
        if needed > open.bytes.capacity() {
            let target = (open.bytes.capacity() * 2).clamp(4096, batch_bytes.max(4096)).max(needed);
            open.bytes.reserve_exact(target - open.bytes.len());
        }
        let before = open.bytes.len();
        open.push(record.slot, record.timestamp, record.key, record.value, record.headers);
        self.used += open.bytes.len() - before;
        if !lane.listed {
            lane.listed = true;
            self.woken.push(place);
        }
        Ok(())
    }

    /// The next batch of a lane, if one may go: a full one; or the growing one when nothing of the partition is on
    /// its way and it has waited for `linger`, or when there is a hurry. `Err` says when to ask again.
    pub(crate) fn next(
        &mut self,
        place: usize,
        idle: bool,
        linger: Duration,
        now: Instant,
    ) -> Result<Option<Batch>, Instant> {
        let hurry = self.hurry;
        let Some(lane) = self.lanes.get_mut(place) else { return Ok(None) };
        if let Some(batch) = lane.full.pop_front() {
            return Ok(Some(batch));
        }
        let Some(open) = &lane.open else { return Ok(None) };
        let due = open.since + linger;
        if !hurry && !idle {
            return Ok(None);
        }
        if !hurry && due > now {
            return Err(due);
        }
        let taken = lane.open.take();
        let (topic, index) = (lane.topic, lane.partition.unsigned_abs() as usize);
        if let Some(entry) = self.topics.get_mut(topic) {
            entry.move_on(&self.lanes, index);
        }
        Ok(taken)
    }

    /// Whether nothing waits in a lane.
    pub(crate) fn is_empty(&self, place: usize) -> bool {
        self.lanes.get(place).is_none_or(|lane| lane.open.is_none() && lane.full.is_empty())
    }

    /// When the oldest record that waits in a lane came.
    pub(crate) fn oldest(&self, place: usize) -> Option<Instant> {
        let lane = self.lanes.get(place)?;
        lane.full.front().or(lane.open.as_ref()).map(|batch| batch.since)
    }

    /// The sender has looked at a lane and found nothing more: the next record will be announced.
    pub(crate) fn unlist(&mut self, place: usize) {
        if let Some(lane) = self.lanes.get_mut(place) {
            lane.listed = false;
        }
    }

    /// Memory of a buffer for reuse, if one is there.
    pub(crate) fn spare(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer that is not needed any more.
    pub(crate) fn give_back(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && buffer.capacity() > 0 && buffer.capacity() <= 2 * self.batch_bytes {
            self.spare.push(buffer);
        }
    }

    /// Frees buffers that nobody uses.
    pub(crate) fn drop_spare(&mut self) {
        self.spare = Vec::new();
    }

    /// `from` bytes that were counted are now `to`: compressed, or (0) delivered.
    pub(crate) fn recount(&mut self, from: usize, to: usize) {
        self.used = (self.used + to).saturating_sub(from);
    }

    /// Bytes of records that are counted for a batch.
    pub(crate) fn charge(batch: &Batch) -> usize {
        batch.bytes.len().saturating_sub(HEADER)
    }
}

impl Topic {
    /// Records without a key go on to another partition, one that is led if there is one.
    fn move_on(&mut self, lanes: &[Waiting], closed: usize) {
        let count = self.lanes.len();
        if count < 2 || self.sticky.checked_rem(count) != Some(closed) {
            return;
        }
        let led =
            |index: &usize| self.lanes.get(*index).and_then(|place| lanes.get(*place)).is_some_and(|lane| lane.led);
        let others = (1..count).map(|step| (closed + step) % count);
        self.sticky = others.clone().find(led).or(others.min()).unwrap_or(closed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(key: Option<&'a [u8]>, value: &'a [u8], headers: &'a HeaderBlock) -> NewRecord<'a> {
        NewRecord { slot: 0, partition: None, timestamp: 1, key, value: Some(value), headers }
    }

    fn queue(limit: usize, batch: usize, partitions: usize) -> (Queue, usize) {
        let mut queue = Queue::new(limit, batch);
        let topic = queue.topic(&"t".into());
        queue.set_partitions(topic, partitions);
        (queue, topic)
    }

    #[test]
    fn keys_choose_as_java_and_others_stay_until_a_batch_is_closed() {
        let (mut queue, topic) = queue(1 << 20, 1 << 16, 5);
        let (headers, now) = (HeaderBlock::default(), Instant::now());
        queue.push(topic, true, &record(Some(b"foobar"), b"v", &headers), now).unwrap_or_else(|e| panic!("{e:?}"));
        assert!(!queue.is_empty(partitioner::partition(b"foobar", 5) as usize));
        let mut used = std::collections::BTreeSet::new();
        for _ in 0..5 {
            let before: Vec<bool> = (0..5).map(|lane| queue.is_empty(lane)).collect();
            for _ in 0..3 {
                assert_eq!(queue.push(topic, true, &record(None, b"v", &headers), now), Ok(()));
            }
            let new: Vec<usize> =
                (0..5).filter(|lane| before.get(*lane) == Some(&true) && !queue.is_empty(*lane)).collect();
            for lane in new {
                used.insert(lane);
            }
            for lane in 0..5 {
                let _ = queue.next(lane, true, Duration::ZERO, now);
            }
        }
        assert!(used.len() > 2, "{used:?}");
        let mut placed = record(None, b"v", &headers);
        placed.partition = Some(5);
        assert_eq!(queue.push(topic, true, &placed, now), Err(Refused::NoPartition));
        placed.partition = Some(-1);
        assert_eq!(queue.push(topic, true, &placed, now), Err(Refused::NoPartition));
    }

    #[test]
    fn a_full_queue_takes_nothing_and_one_large_record_always_fits() {
        let (mut queue, topic) = queue(3000, 1 << 20, 1);
        let (headers, now) = (HeaderBlock::default(), Instant::now());
        let large = vec![0; 10_000];
        assert_eq!(queue.push(topic, true, &record(None, &large, &headers), now), Ok(()));
        assert_eq!(queue.push(topic, true, &record(None, b"v", &headers), now), Err(Refused::Full));
        let batch = queue.next(0, true, Duration::ZERO, now).ok().flatten().unwrap_or_else(|| panic!("no batch"));
        queue.recount(Queue::charge(&batch), 0);
        assert_eq!(queue.push(topic, true, &record(None, b"v", &headers), now), Ok(()));
    }

    #[test]
    fn small_batches_wait_while_others_are_on_their_way() {
        let (mut queue, topic) = queue(1 << 20, 2000, 1);
        let (headers, now) = (HeaderBlock::default(), Instant::now());
        let linger = Duration::from_millis(5);
        assert_eq!(queue.push(topic, true, &record(None, b"v", &headers), now), Ok(()));
        assert_eq!(std::mem::take(&mut queue.woken), [0]);
        assert!(queue.next(0, false, Duration::ZERO, now).is_ok_and(|b| b.is_none()));
        assert!(queue.next(0, true, linger, now).is_err_and(|due| due == now + linger));
        assert_eq!(queue.push(topic, true, &record(None, &[0; 2500], &headers), now), Ok(()));
        assert!(queue.woken.is_empty());
        assert!(queue.next(0, false, linger, now).is_ok_and(|b| b.is_some_and(|b| b.count == 1)), "a full one goes");
        queue.hurry = true;
        assert!(queue.next(0, false, linger, now).is_ok_and(|b| b.is_some()));
        assert!(queue.is_empty(0));
    }
}
