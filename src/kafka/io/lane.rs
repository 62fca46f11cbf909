//! One partition's batches between the queue and their acknowledgement: order, sequence numbers, what is sent again.
//!
//! The rules of an idempotent producer are here and nowhere else. A batch keeps its bytes, its boundaries and its
//! sequence number until it is acknowledged. After a failure nothing of the partition is sent until everything that
//! is on the wire has been answered or its connection is gone; then all of it goes again in order. The broker knows the
//! last five batches of a producer and takes those it has for delivered.
//!
//! A broker without memory of a producer takes any sequence number for its first. A partition therefore has one batch
//! on its way until one was acknowledged: in the beginning, after a failure, and after a long silence.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::wire::{
    batch::{Batch, HEADER, ProducerId},
    codec::Malformed,
    compress::{Codec, Compressor},
    split,
};

/// After this long without a batch the broker may have forgotten the producer (`producer.id.expiration.ms` is a day by
/// default, retention may be quicker).
const FORGOTTEN: Duration = Duration::from_secs(600);

/// A batch that has its sequence number.
pub(crate) struct Sent {
    /// Its name among all batches of this producer.
    pub(crate) number: u64,
    /// What is known of it; its bytes are in `bytes`.
    pub(crate) batch: Batch,
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) attempts: u32,
    codec: Codec,
    /// Bytes of its records before compression.
    length: usize,
    sequence: i32,
    on_wire: bool,
    /// The broker found it too large.
    too_large: bool,
}

/// What a partition may send next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A batch that was sent before.
    Again(u64),
    /// A new batch from the queue.
    Fresh,
    /// Nothing before this time, or before an answer comes.
    Wait(Option<Instant>),
}

/// What an answer means for the partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    /// The batch is sent again.
    Again,
    /// Like `Again`, in two halves.
    Halves,
}

/// A partition.
pub(crate) struct Lane {
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    pub(crate) leader: Option<i32>,
    sent: VecDeque<Sent>,
    next_sequence: i32,
    on_wire: usize,
    /// The connection that carries what is on the wire.
    connection: u64,
    broken: bool,
    /// When the broker last acknowledged a batch, if it is known to remember it.
    proven: Option<Instant>,
    retry_at: Option<Instant>,
    /// Failures since the last delivery.
    pub(crate) failures: u32,
}

/// Sequence numbers count records and begin again at 0 after 2^31 - 1.
fn advance(sequence: i32, records: u32) -> i32 {
    ((i64::from(sequence) + i64::from(records)) & i64::from(i32::MAX)) as i32
}

impl Lane {
    pub(crate) fn new(topic: usize, partition: i32) -> Self {
        Self {
            topic,
            partition,
            leader: None,
            sent: VecDeque::new(),
            next_sequence: 0,
            on_wire: 0,
            connection: 0,
            broken: false,
            proven: None,
            retry_at: None,
            failures: 0,
        }
    }

    /// Whether nothing waits for an acknowledgement.
    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// The oldest batch without acknowledgement.
    pub(crate) fn oldest(&self) -> Option<&Sent> {
        self.sent.front()
    }

    /// A batch by its name.
    pub(crate) fn find(&self, number: u64) -> Option<&Sent> {
        self.sent.iter().find(|sent| sent.number == number)
    }

    /// What may go over `connection` now, with at most `most` batches on their way.
    pub(crate) fn turn(&self, connection: u64, most: usize, now: Instant) -> Turn {
        if self.on_wire > 0 && (self.broken || self.connection != connection) {
            return Turn::Wait(None);
        }
        if let Some(at) = self.retry_at.filter(|at| *at > now) {
            return Turn::Wait(Some(at));
        }
        let proven = self.proven.is_some_and(|at| now.duration_since(at) < FORGOTTEN);
        if self.on_wire > 0 && !proven {
            return Turn::Wait(None);
        }
        match self.sent.iter().find(|sent| !sent.on_wire) {
            Some(sent) => Turn::Again(sent.number),
            None if self.sent.len() < most => Turn::Fresh,
            None => Turn::Wait(None),
        }
    }

    /// Makes what failed ready to go again. Call it before [`Self::turn`] has its say; `name` gives new batches names.
    /// Gives the bytes of batches that were taken apart, and those of their halves.
    ///
    /// # Errors
    /// A batch of our own cannot be taken apart: a defect.
    pub(crate) fn repair(
        &mut self,
        compressor: &mut Compressor,
        producer: Option<ProducerId>,
        mut name: impl FnMut() -> u64,
    ) -> Result<(usize, usize), Malformed> {
        let (mut from, mut to) = (0, 0);
        if !self.broken || self.on_wire > 0 {
            return Ok((from, to));
        }
        self.broken = false;
        while let Some(index) = self.sent.iter().position(|sent| sent.too_large) {
            let Some(whole) = self.sent.remove(index) else { break };
            from += whole.bytes.len();
            let (first, second) = split::halves(&whole.bytes, whole.codec, whole.length, &whole.batch)?;
            let sequences = (whole.sequence, advance(whole.sequence, first.count));
            for (n, (half, sequence)) in [(first, sequences.0), (second, sequences.1)].into_iter().enumerate() {
                let sequence = if producer.is_some() { sequence } else { -1 };
                let (mut sent, _) = Sent::make(half, compressor, Vec::new(), producer, sequence, name());
                sent.attempts = whole.attempts;
                to += sent.bytes.len();
                self.sent.insert(index + n, sent);
            }
        }
        Ok((from, to))
    }

    /// Takes a batch from the queue under its sequence number. Gives its name, and memory that is not needed.
    pub(crate) fn add(
        &mut self,
        batch: Batch,
        compressor: &mut Compressor,
        spare: Vec<u8>,
        producer: Option<ProducerId>,
        number: u64,
    ) -> Vec<u8> {
        let sequence = if producer.is_some() { self.next_sequence } else { -1 };
        self.next_sequence = advance(self.next_sequence, batch.count);
        let (sent, unused) = Sent::make(batch, compressor, spare, producer, sequence, number);
        self.sent.push_back(sent);
        unused
    }

    /// A batch goes over `connection`: its bytes.
    pub(crate) fn send(&mut self, number: u64, connection: u64) -> Option<Arc<Vec<u8>>> {
        let sent = self.sent.iter_mut().find(|sent| sent.number == number)?;
        sent.on_wire = true;
        self.on_wire += 1;
        self.connection = connection;
        Some(sent.bytes.clone())
    }

    /// Whether a batch that is refused as out of order is so because one before it failed.
    pub(crate) fn follows_failure(&self, number: u64) -> bool {
        self.broken && self.sent.front().is_some_and(|first| first.number != number)
    }

    /// What became of a batch that was on the wire; a delivered one is handed out.
    pub(crate) fn settle(&mut self, number: u64, fate: Fate, now: Instant, retry_at: Option<Instant>) -> Option<Sent> {
        let index = self.sent.iter().position(|sent| sent.number == number)?;
        let sent = self.sent.get_mut(index)?;
        if std::mem::take(&mut sent.on_wire) {
            self.on_wire = self.on_wire.saturating_sub(1);
        }
        if fate == Fate::Delivered {
            if !self.broken {
                (self.failures, self.retry_at, self.proven) = (0, None, Some(now));
            }
            return self.sent.remove(index);
        }
        sent.attempts = sent.attempts.saturating_add(1);
        sent.too_large = fate == Fate::Halves;
        (self.broken, self.proven) = (true, None);
        self.retry_at = self.retry_at.max(retry_at);
        None
    }
}

impl Sent {
    /// Bytes of the batch before compression.
    pub(crate) fn uncompressed(&self) -> usize {
        HEADER + self.length
    }

    fn make(
        mut batch: Batch,
        compressor: &mut Compressor,
        spare: Vec<u8>,
        producer: Option<ProducerId>,
        sequence: i32,
        number: u64,
    ) -> (Self, Vec<u8>) {
        let length = batch.bytes.len().saturating_sub(HEADER);
        let (bytes, unused, codec) = batch.encode(compressor, spare, producer, sequence);
        let (on_wire, too_large, attempts, bytes) = (false, false, 0, Arc::new(bytes));
        (Self { number, batch, bytes, attempts, codec, length, sequence, on_wire, too_large }, unused)
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
