//! Finished records: one growing buffer, ranges per record.

use std::{collections::HashMap, ops::Range, sync::Arc};

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
    /// What the buffer holds already of each plan used since it was emptied, by the plan's number.
    plans: HashMap<u64, Known>,
    last: Option<(u64, Known)>,
}

/// A plan's topic and context headers in a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) topic: u32,
    pub(crate) first_header: u32,
    pub(crate) headers: u32,
}

/// Name and rendered value of a header that all records of a connector carry.
pub(crate) type ContextHeader = (Arc<str>, Box<[u8]>);

/// A place to roll back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    bytes: usize,
    records: usize,
    headers: usize,
    topics: usize,
}

/// The buffer has passed 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl RecordBuffer {
    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.headers.clear();
        self.topics.clear();
        self.plans.clear();
        self.last = None;
    }

    /// The records in order.
    pub fn records(&self) -> &[RecordRef] {
        &self.records
    }

    /// Number of payload bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Room allocated, used or not: what a pool decides by when it gives memory back.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.records.capacity() * size_of::<RecordRef>()
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

    /// Appends a finished record: for records that are copied, not made (dead letters, replays, benchmarks).
    /// Whether it fitted; a buffer that would pass 4 GiB is left as it was.
    pub fn push(
        &mut self,
        topic: &Arc<str>,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> bool {
        let mark = self.mark();
        self.try_push(topic, partition, key, value, headers).inspect_err(|_| self.rollback(mark)).is_ok()
    }

    fn try_push(
        &mut self,
        topic: &Arc<str>,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> Result<(), Full> {
        let topic = match self.topics.iter().rposition(|known| Arc::ptr_eq(known, topic)) {
            Some(known) => index(known)?,
            None => self.add_topic(topic, &[])?.topic,
        };
        let first_header = index(self.headers.len())?;
        for (name, value) in headers {
            let name = self.append(name.as_bytes())?;
            let value = value.map(|value| self.append(value)).transpose()?;
            self.headers.push((name, value));
        }
        let mut part = |part: Option<&[u8]>| {
            part.map(|bytes| self.append(bytes)).transpose().map(|range| range.map(|range| (range.start, range.end)))
        };
        let (key, value) = (part(key)?, part(value)?);
        let headers = index(headers.len())?;
        self.records.push(RecordRef { topic, partition, key, value, first_header, headers });
        Ok(())
    }

    /// Topic and context headers of a plan, put into the buffer at its first use.
    pub(crate) fn known(&mut self, plan: u64, topic: &Arc<str>, context: &[ContextHeader]) -> Result<Known, Full> {
        if let Some((last, known)) = self.last
            && last == plan
        {
            return Ok(known);
        }
        let known = match self.plans.get(&plan) {
            Some(known) => *known,
            None => {
                let mark = self.mark();
                let known = self.add_topic(topic, context).inspect_err(|_| self.rollback(mark))?;
                self.plans.insert(plan, known);
                known
            }
        };
        self.last = Some((plan, known));
        Ok(known)
    }

    /// Puts a topic and context headers into the buffer.
    pub(crate) fn add_topic(&mut self, topic: &Arc<str>, context: &[ContextHeader]) -> Result<Known, Full> {
        let known = Known {
            topic: index(self.topics.len())?,
            first_header: index(self.headers.len())?,
            headers: index(context.len())?,
        };
        self.topics.push(topic.clone());
        for (name, value) in context {
            let name = self.append(name.as_bytes())?;
            let value = self.append(value)?;
            self.headers.push((name, Some(value)));
        }
        Ok(known)
    }

    /// Copies the headers at `from` to the end, after headers of a record's own.
    pub(crate) fn repeat_headers(&mut self, known: Known) {
        for i in known.first_header..known.first_header.saturating_add(known.headers) {
            if let Some(header) = self.headers.get(i as usize).cloned() {
                self.headers.push(header);
            }
        }
    }

    /// Appends bytes and gives their range.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<Range<u32>, Full> {
        let start = index(self.bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(start..index(self.bytes.len())?)
    }

    /// The range from `start` to the present end.
    pub(crate) fn since(&self, start: usize) -> Result<(u32, u32), Full> {
        Ok((index(start)?, index(self.bytes.len())?))
    }

    pub(crate) fn mark(&self) -> Mark {
        let (records, headers) = (self.records.len(), self.headers.len());
        Mark { bytes: self.bytes.len(), records, headers, topics: self.topics.len() }
    }

    /// Makes the buffer what it was at `mark`. Nothing a plan was noted for may lie behind the mark.
    pub(crate) fn rollback(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.records.truncate(mark.records);
        self.headers.truncate(mark.headers);
        self.topics.truncate(mark.topics);
    }
}

/// A place or count as the records hold it.
pub(crate) fn index(n: usize) -> Result<u32, Full> {
    u32::try_from(n).map_err(|_| Full)
}
