//! Finished records: one growing buffer, ranges per record.

use std::{ops::Range, sync::Arc};

/// One finished record in a [`RecordBuffer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef {
    /// Index into the buffer's topics.
    pub topic: u32,
    /// Partition, when the connector sets it.
    pub partition: Option<i32>,
    /// Key bytes; `None` is Kafka's null.
    pub key: Option<(u32, u32)>,
    /// Value bytes; `None` is a tombstone.
    pub value: Option<(u32, u32)>,
    /// First of its headers.
    pub first_header: u32,
    /// Number of headers.
    pub headers: u32,
}

/// Encoded records of one batch, reused from batch to batch.
#[derive(Debug, Default)]
pub struct RecordBuffer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<RecordRef>,
    /// (name start, name end, value range or null).
    pub(crate) headers: Vec<(Range<u32>, Option<Range<u32>>)>,
    pub(crate) topics: Vec<Arc<str>>,
}

impl RecordBuffer {
    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.headers.clear();
        self.topics.clear();
    }

    /// The records in order.
    pub fn records(&self) -> &[RecordRef] {
        &self.records
    }

    /// Number of payload bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// A record's topic.
    pub fn topic(&self, record: &RecordRef) -> &Arc<str> {
        static NONE: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| Arc::from(""));
        self.topics.get(record.topic as usize).unwrap_or(&NONE)
    }

    /// A record's key.
    pub fn key(&self, record: &RecordRef) -> Option<&[u8]> {
        record.key.and_then(|(start, end)| self.bytes.get(start as usize..end as usize))
    }

    /// A record's value.
    pub fn value(&self, record: &RecordRef) -> Option<&[u8]> {
        record.value.and_then(|(start, end)| self.bytes.get(start as usize..end as usize))
    }

    /// A record's headers in order; a null value is `None`.
    pub fn headers(&self, record: &RecordRef) -> impl ExactSizeIterator<Item = (&str, Option<&[u8]>)> {
        let start = record.first_header as usize;
        let headers = self.headers.get(start..start + record.headers as usize).unwrap_or(&[]);
        headers.iter().map(|(name, value)| {
            let name = self.bytes.get(name.start as usize..name.end as usize).unwrap_or(&[]);
            let value = value.as_ref().map(|v| self.bytes.get(v.start as usize..v.end as usize).unwrap_or(&[]));
            (std::str::from_utf8(name).unwrap_or(""), value)
        })
    }
}
