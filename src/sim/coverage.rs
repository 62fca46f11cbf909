//! How often each fault and each boundary of an action was met.

use std::{collections::BTreeMap, fmt};

use engine::core::Action;

use crate::database::Place;

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, u64>);

/// Everything a run of many seeds must have met at least once.
pub(crate) const EXPECTED: &[&str] = &[
    "a source transaction over several Kafka transactions",
    "answer to a commit lost",
    "another connector's transaction in the offsets topic",
    "broker away",
    "cache repaired from Kafka",
    "commit found committed",
    "commit found missing",
    "crash",
    "crash after Abort",
    "crash after Commit",
    "crash after Confirm",
    "crash after Exit",
    "crash after Produce",
    "crash after Publish",
    "crash after Reading",
    "crash after Recover",
    "crash after StopReading",
    "crash after Store",
    "crash before Abort",
    "crash before Commit",
    "crash before Confirm",
    "crash before Exit",
    "crash before Produce",
    "crash before Publish",
    "crash before Reading",
    "crash before Recover",
    "crash before StopReading",
    "crash before Store",
    "crash during the start",
    "crash in a snapshot",
    "deliveries out of order",
    "disk full",
    "fenced",
    "frozen",
    "offset deleted by somebody else",
    "offset rewritten by somebody else",
    "partition without a leader",
    "paused",
    "reply late",
    "reply lost",
    "request late",
    "request lost",
    "schema change within a batch",
    "source disconnected",
    "started on another host",
    "stopped and started",
    "stuck batch noticed",
    "thawed as a zombie",
    "transaction timed out",
    "unsynced write forgotten",
    "unsynced write kept",
];

impl Coverage {
    pub(crate) fn hit(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// How often something was met.
    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// What should have been met and was not.
    pub fn missing(&self) -> Vec<&'static str> {
        EXPECTED.iter().copied().filter(|what| self.count(what) == 0).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, count)| writeln!(f, "  {count:>9}  {what}"))
    }
}

/// The names of an action's boundaries and how often a crash happens there, in cases of a thousand.
pub(crate) fn boundaries(action: &Action<Place>) -> (&'static str, &'static str, u64) {
    match action {
        Action::Reading(_) => ("crash before Reading", "crash after Reading", 100),
        Action::StopReading => ("crash before StopReading", "crash after StopReading", 60),
        Action::Produce { .. } => ("crash before Produce", "crash after Produce", 8),
        Action::Commit { .. } => ("crash before Commit", "crash after Commit", 10),
        Action::Recover { .. } => ("crash before Recover", "crash after Recover", 150),
        Action::Abort => ("crash before Abort", "crash after Abort", 150),
        Action::Store { .. } => ("crash before Store", "crash after Store", 15),
        Action::Publish { .. } => ("crash before Publish", "crash after Publish", 20),
        Action::Confirm(_) => ("crash before Confirm", "crash after Confirm", 15),
        Action::Exit(_) => ("crash before Exit", "crash after Exit", 100),
    }
}
