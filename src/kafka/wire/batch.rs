//! Record batches of format 2 (<https://kafka.apache.org/documentation/#recordbatch>).
//!
//! A batch grows in one buffer whose first [`HEADER`] bytes wait for the header; [`Batch::encode`] compresses what
//! follows and fills the header in. A record's headers are encoded once for all consecutive records that share them.

use std::time::Instant;

use crate::wire::{
    codec::{put_varint, varint_size},
    compress::{Codec, Compressor},
};

/// Bytes of a batch's header.
pub(crate) const HEADER: usize = 61;
/// Where the checksum stands, and the first byte it covers.
const CHECKSUM: usize = 17;
const COVERED: usize = 21;
/// Bytes of a record besides key, value and headers, at most: length, attributes, both deltas, both lengths.
const RECORD_OVERHEAD: usize = 5 + 1 + 10 + 5 + 5 + 5;

/// Who sends, for the broker's check of sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerId {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// Records of one hand-over that went into a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Slot in [`crate::outstanding::Outstanding`].
    pub(crate) slot: usize,
    pub(crate) records: u32,
}

/// Records of one partition, not compressed yet.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Room for the header, then the records.
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: u32,
    /// Key and value bytes.
    pub(crate) payload: u64,
    first_timestamp: i64,
    max_timestamp: i64,
    pub(crate) parts: Vec<Part>,
    /// When its first record came.
    pub(crate) since: Instant,
}

/// A record's headers as the batch has them: their count, then name and value of each.
#[derive(Debug, Default)]
pub(crate) struct HeaderBlock {
    bytes: Vec<u8>,
}

impl HeaderBlock {
    /// Encodes `headers`, reusing the block's memory.
    pub(crate) fn set<'a>(&mut self, headers: impl ExactSizeIterator<Item = (&'a str, Option<&'a [u8]>)>) {
        self.bytes.clear();
        put_varint(&mut self.bytes, headers.len() as i64);
        for (name, value) in headers {
            put_varint(&mut self.bytes, name.len() as i64);
            self.bytes.extend_from_slice(name.as_bytes());
            put_bytes(&mut self.bytes, value);
        }
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varint(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => put_varint(out, -1),
    }
}

/// Bytes that a record takes at most, alone in its batch: what `max.request.size` is compared with.
pub(crate) fn size_alone(key: Option<&[u8]>, value: Option<&[u8]>, headers: &HeaderBlock) -> usize {
    HEADER + size_added(key, value, headers)
}

/// Bytes that a record adds to a batch at most.
pub(crate) fn size_added(key: Option<&[u8]>, value: Option<&[u8]>, headers: &HeaderBlock) -> usize {
    RECORD_OVERHEAD + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers.bytes.len()
}

impl Batch {
    /// An empty batch in `bytes`, whose content is dropped.
    pub(crate) fn new(mut bytes: Vec<u8>, timestamp: i64, since: Instant) -> Self {
        bytes.clear();
        bytes.resize(HEADER, 0);
        let (first_timestamp, max_timestamp) = (timestamp, i64::MIN);
        Self { bytes, count: 0, payload: 0, first_timestamp, max_timestamp, parts: Vec::new(), since }
    }

    /// Appends a record; `timestamp` in milliseconds since 1970.
    pub(crate) fn push(
        &mut self,
        slot: usize,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &HeaderBlock,
    ) {
        self.push_raw(timestamp.saturating_sub(self.first_timestamp), key, value, &headers.bytes);
        match self.parts.last_mut() {
            Some(part) if part.slot == slot => part.records += 1,
            _ => self.parts.push(Part { slot, records: 1 }),
        }
    }

    /// Appends a record with its time as a difference to the batch's first and its headers as bytes.
    pub(crate) fn push_raw(&mut self, delta: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[u8]) {
        let offset = i64::from(self.count);
        let field = |bytes: Option<&[u8]>| bytes.map_or(1, |b| varint_size(b.len() as i64) + b.len());
        let length = 1 + varint_size(delta) + varint_size(offset) + field(key) + field(value) + headers.len();
        let out = &mut self.bytes;
        out.reserve(length + 10);
        put_varint(out, length as i64);
        out.push(0);
        put_varint(out, delta);
        put_varint(out, offset);
        put_bytes(out, key);
        put_bytes(out, value);
        out.extend_from_slice(headers);
        self.count += 1;
        self.payload += (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64;
        self.max_timestamp = self.max_timestamp.max(self.first_timestamp.saturating_add(delta));
    }

    /// The time of the batch's first record.
    pub(crate) fn first_timestamp(&self) -> i64 {
        self.first_timestamp
    }

    /// Finishes the batch: the bytes of a Produce request, and the codec that was used (none when compression would
    /// have made the batch larger). `spare` is memory to compress into; what is not needed of both buffers is
    /// given back.
    pub(crate) fn encode(
        &mut self,
        compressor: &mut Compressor,
        mut spare: Vec<u8>,
        producer: Option<ProducerId>,
        sequence: i32,
    ) -> (Vec<u8>, Vec<u8>, Codec) {
        let plain = std::mem::take(&mut self.bytes);
        spare.clear();
        spare.resize(HEADER, 0);
        let records = plain.get(HEADER..).unwrap_or(&[]);
        let smaller = compressor.compress(records, &mut spare) && spare.len() < plain.len();
        let (mut bytes, unused, codec) = match smaller {
            true => (spare, plain, compressor.codec()),
            false => (plain, spare, Codec::None),
        };
        self.fill(&mut bytes, codec, producer, sequence);
        (bytes, unused, codec)
    }

    fn fill(&self, bytes: &mut [u8], codec: Codec, producer: Option<ProducerId>, sequence: i32) {
        let producer = producer.unwrap_or(ProducerId { id: -1, epoch: -1 });
        let length = bytes.len().saturating_sub(12) as i32;
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(&0i64.to_be_bytes());
        header.extend_from_slice(&length.to_be_bytes());
        header.extend_from_slice(&(-1i32).to_be_bytes());
        header.push(2);
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(&codec.attribute().to_be_bytes());
        header.extend_from_slice(&(self.count as i32).wrapping_sub(1).to_be_bytes());
        header.extend_from_slice(&self.first_timestamp.to_be_bytes());
        header.extend_from_slice(&self.max_timestamp.to_be_bytes());
        header.extend_from_slice(&producer.id.to_be_bytes());
        header.extend_from_slice(&producer.epoch.to_be_bytes());
        header.extend_from_slice(&sequence.to_be_bytes());
        header.extend_from_slice(&(self.count as i32).to_be_bytes());
        if let Some(room) = bytes.get_mut(..HEADER) {
            room.copy_from_slice(&header);
        }
        let checksum = crc32c::crc32c(bytes.get(COVERED..).unwrap_or(&[]));
        if let Some(room) = bytes.get_mut(CHECKSUM..COVERED) {
            room.copy_from_slice(&checksum.to_be_bytes());
        }
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
pub(crate) mod tests;
