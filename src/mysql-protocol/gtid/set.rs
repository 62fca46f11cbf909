//! Sets of GTIDs: per source, intervals of numbers.

use super::{Gtid, GtidError, NUMBER_END, Source, TAG_LEN_MAX, Tag, parse_number, parse_uuid};
use crate::cursor::Cursor;
use crate::error::{DecodeError, Result};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Numbers from `start` to `end` without `end`; never empty inside a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The first number.
    pub start: u64,
    /// The number after the last.
    pub end: u64,
}

/// A set of GTIDs. Ordered by inclusion: two sets of which neither holds the other have no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet {
    /// Intervals are sorted, disjoint and not adjacent; no list is empty.
    sources: BTreeMap<Source, Vec<Interval>>,
}

impl GtidSet {
    /// The empty set.
    pub fn new() -> Self {
        GtidSet::default()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The sources and their intervals, in order.
    pub fn sources(&self) -> impl Iterator<Item = (&Source, &[Interval])> {
        self.sources.iter().map(|(source, intervals)| (source, intervals.as_slice()))
    }

    /// How many GTIDs the set has.
    pub fn count(&self) -> u64 {
        self.sources.values().flatten().fold(0, |n, i| n.saturating_add(i.end.saturating_sub(i.start)))
    }

    /// Adds one GTID. Following numbers of one source cost a look-up and an addition.
    pub fn add(&mut self, gtid: Gtid) {
        let Some(end) = gtid.number.checked_add(1) else { return };
        let intervals = self.sources.entry(gtid.source).or_default();
        match intervals.last_mut() {
            Some(last) if last.end == gtid.number => last.end = end,
            _ => insert(intervals, Interval { start: gtid.number, end }),
        }
    }

    /// Adds the numbers of an interval of one source; does nothing for an empty interval.
    pub fn add_interval(&mut self, source: Source, interval: Interval) {
        if interval.start < interval.end {
            insert(self.sources.entry(source).or_default(), interval);
        }
    }

    /// Whether the GTID is in the set.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.sources.get(&gtid.source).is_some_and(|intervals| {
            let before = intervals.partition_point(|i| i.end <= gtid.number);
            intervals.get(before).is_some_and(|i| i.start <= gtid.number)
        })
    }

    /// Whether every GTID of this set is in `other`.
    pub fn is_subset(&self, other: &GtidSet) -> bool {
        self.sources.iter().all(|(source, intervals)| {
            let theirs = other.sources.get(source).map_or(&[][..], Vec::as_slice);
            intervals.iter().all(|i| {
                let before = theirs.partition_point(|t| t.end <= i.start);
                theirs.get(before).is_some_and(|t| t.start <= i.start && i.end <= t.end)
            })
        })
    }

    /// Adds all of `other`.
    pub fn union(&mut self, other: &GtidSet) {
        for (source, intervals) in &other.sources {
            let mine = self.sources.entry(*source).or_default();
            for interval in intervals {
                insert(mine, *interval);
            }
        }
    }

    /// Takes all of `other` away.
    pub fn subtract(&mut self, other: &GtidSet) {
        for (source, gone) in &other.sources {
            if let Some(mine) = self.sources.get_mut(source) {
                *mine = difference(mine, gone);
            }
        }
        self.sources.retain(|_, intervals| !intervals.is_empty());
    }

    /// Keeps the sources that `keep` says yes to.
    pub fn retain_sources(&mut self, mut keep: impl FnMut(&Source) -> bool) {
        self.sources.retain(|source, _| keep(source));
    }

    /// Appends the set as COM_BINLOG_DUMP_GTID and PREVIOUS_GTIDS have it. Sets with tags use the format of 8.3 and
    /// later, others the one that every server reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let tagged = self.sources.keys().any(|s| !s.tag.is_empty());
        let count = u64::try_from(self.sources.len()).unwrap_or(u64::MAX);
        // With tags the count stands between two bytes of 1; a reader that does not know them sees an absurd count.
        let head = if tagged { 1 << 56 | count << 8 | 1 } else { count };
        out.extend_from_slice(&head.to_le_bytes());
        for (source, intervals) in &self.sources {
            out.extend_from_slice(&source.uuid);
            if tagged {
                // A length below 64 in the variable-length form of GTID_TAGGED: shifted left by one.
                out.push(source.tag.len << 1);
                out.extend_from_slice(source.tag.as_str().as_bytes());
            }
            out.extend_from_slice(&u64::try_from(intervals.len()).unwrap_or(u64::MAX).to_le_bytes());
            for interval in intervals {
                out.extend_from_slice(&interval.start.to_le_bytes());
                out.extend_from_slice(&interval.end.to_le_bytes());
            }
        }
    }

    /// Reads what [`GtidSet::encode`] writes.
    ///
    /// # Errors
    /// The bytes are cut short, too many, or hold an interval that is empty or out of range.
    pub fn decode(bytes: &[u8]) -> Result<GtidSet> {
        let mut c = Cursor::new(bytes, "GTID set");
        let head = c.u64()?;
        let (tagged, count) = match head.to_le_bytes() {
            [1, .., 1] => (true, head << 8 >> 16),
            [.., 0] => (false, head),
            _ => return Err(DecodeError::UnknownCode { what: "GTID set format", code: head >> 56 }),
        };
        let mut set = GtidSet::new();
        for _ in 0..count {
            let uuid = c.array()?;
            let mut tag = Tag::default();
            if tagged {
                let len = usize::from(c.u8()? >> 1);
                if len > TAG_LEN_MAX {
                    return Err(c.invalid("tag of more than 32 characters"));
                }
                tag = Tag::new(c.take(len)?).ok_or_else(|| c.invalid("not a tag"))?;
            }
            for _ in 0..c.u64()? {
                let (start, end) = (c.u64()?, c.u64()?);
                if start == 0 || start >= end || end > NUMBER_END {
                    return Err(c.invalid("an interval that is empty or out of range"));
                }
                set.add_interval(Source { uuid, tag }, Interval { start, end });
            }
        }
        c.finish()?;
        Ok(set)
    }
}

/// Adds an interval to a sorted list, joining those it touches.
fn insert(intervals: &mut Vec<Interval>, new: Interval) {
    let first = intervals.partition_point(|i| i.end < new.start);
    let last = intervals.partition_point(|i| i.start <= new.end);
    let joined = intervals
        .get(first..last)
        .unwrap_or(&[])
        .iter()
        .fold(new, |joined, i| Interval { start: joined.start.min(i.start), end: joined.end.max(i.end) });
    intervals.splice(first..last.max(first), [joined]);
}

/// What of `mine` is not in `gone`.
fn difference(mine: &[Interval], gone: &[Interval]) -> Vec<Interval> {
    let mut left = Vec::new();
    for interval in mine {
        let mut start = interval.start;
        let overlapping = gone.iter().skip(gone.partition_point(|g| g.end <= interval.start));
        for g in overlapping.take_while(|g| g.start < interval.end) {
            if start < g.start {
                left.push(Interval { start, end: g.start });
            }
            start = start.max(g.end);
        }
        if start < interval.end {
            left.push(Interval { start, end: interval.end });
        }
    }
    left
}

impl PartialOrd for GtidSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.is_subset(other), other.is_subset(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }
}

impl fmt::Display for GtidSet {
    /// MySQL's notation without line breaks: `uuid:1-5:7,uuid:1-3`; tags of one UUID follow each other
    /// (`uuid:1-5:tag:1-2`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut previous: Option<&[u8; 16]> = None;
        for (source, intervals) in &self.sources {
            if previous != Some(&source.uuid) {
                if previous.is_some() {
                    f.write_str(",")?;
                }
                write!(f, "{}", source.uuid_text())?;
                previous = Some(&source.uuid);
            }
            if !source.tag.is_empty() {
                write!(f, ":{}", source.tag.as_str())?;
            }
            for Interval { start, end } in intervals {
                match end.saturating_sub(1) {
                    last if last == *start => write!(f, ":{start}")?,
                    last => write!(f, ":{start}-{last}")?,
                }
            }
        }
        Ok(())
    }
}

impl FromStr for GtidSet {
    type Err = GtidError;

    /// Reads MySQL's notation: spaces, line breaks, upper case, repeated sources and empty parts are allowed.
    fn from_str(text: &str) -> Result<Self, GtidError> {
        let mut set = GtidSet::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let error = |reason| GtidError::new(part, reason);
            let mut fields = part.split(':').map(str::trim);
            let uuid = fields.next().and_then(parse_uuid).ok_or_else(|| error("no valid UUID"))?;
            let mut source = Source { uuid, tag: Tag::default() };
            for field in fields {
                if field.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    source.tag = Tag::new(field.as_bytes()).ok_or_else(|| error("no valid tag"))?;
                    continue;
                }
                let (first, last) = field.split_once('-').unwrap_or((field, field));
                let interval = parse_number(first).zip(parse_number(last));
                let (start, last) = interval.ok_or_else(|| error("no valid interval"))?;
                // MySQL takes an interval that ends before it starts as empty.
                set.add_interval(source, Interval { start, end: last.saturating_add(1) });
            }
        }
        Ok(set)
    }
}
