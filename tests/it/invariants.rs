//! The invariant checker every stream test ends in: no gap, no repeat beyond what was promised, order per key, final
//! state equal to the database.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::topics::Record;

/// One change of one key, as the writer committed it and as a topic shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The row has this content from now on.
    Row(String),
    /// The row is gone.
    Gone,
    /// The snapshot shows the row with this content; only in topics, never committed.
    Read(String),
}

/// Changes per key in commit order.
pub type History = HashMap<String, Vec<Change>>;

/// How a key's changes in a topic fail the promises.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation(pub String);

/// What a topic holds for each key, tombstones left out: they are part of the delete before them.
pub fn observed(records: &[Record]) -> Result<History, Violation> {
    let mut history = History::new();
    let mut after_delete: HashMap<String, bool> = HashMap::new();
    for record in records {
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or(b"null")).into_owned();
        let Some(value) = &record.value else {
            if !after_delete.remove(&key).unwrap_or(false) {
                return Err(Violation(format!("key {key}: a tombstone at offset {} without a delete", record.offset)));
            }
            continue;
        };
        let value: Value = serde_json::from_slice(value).map_err(|error| Violation(format!("key {key}: {error}")))?;
        let value = if value.get("payload").is_some() { &value["payload"] } else { &value };
        let change = match value["op"].as_str() {
            Some("d") => Change::Gone,
            Some("c" | "u") => Change::Row(value["after"].to_string()),
            Some("r") => Change::Read(value["after"].to_string()),
            other => return Err(Violation(format!("key {key}: op {other:?} at offset {}", record.offset))),
        };
        after_delete.insert(key.clone(), change == Change::Gone);
        history.entry(key).or_default().push(change);
    }
    Ok(history)
}

/// Checks a topic against what was committed.
///
/// At-least-once: each key shows its changes in order and without gap; going back is allowed once per restart, to
/// a place already seen, and everything is shown again from there. A snapshot shows each key at one place of its
/// changes, and everything after it follows; a key that it does not show had no row at that moment.
pub fn check(committed: &History, observed: &History, restarts: usize, snapshot: bool) -> Result<Summary, Violation> {
    let mut summary = Summary::default();
    for (key, expected) in committed {
        let seen = observed.get(key).map_or(&[][..], Vec::as_slice);
        let repeats = check_key(key, expected, seen, restarts, snapshot)?;
        summary.changes += expected.len();
        summary.repeats += repeats;
    }
    if let Some((key, _)) = observed.iter().find(|(key, _)| !committed.contains_key(*key)) {
        return Err(Violation(format!("key {key} was never committed")));
    }
    summary.keys = committed.len();
    Ok(summary)
}

/// What a check counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub keys: usize,
    pub changes: usize,
    pub repeats: usize,
}

fn check_key(
    key: &str,
    expected: &[Change],
    seen: &[Change],
    restarts: usize,
    snapshot: bool,
) -> Result<usize, Violation> {
    // Where the reader of this key can be: equal changes make several places possible. It begins where the key has
    // no row.
    let begins = (0..=expected.len()).filter(|place| *place == 0 || expected[*place - 1] == Change::Gone);
    let begins = begins.filter(|place| *place == 0 || snapshot);
    let mut places: BTreeMap<usize, usize> = begins.map(|place| (place, 0)).collect();
    for (index, change) in seen.iter().enumerate() {
        let mut next = BTreeMap::new();
        let mut reach = |place: usize, rewinds: usize| {
            let least = next.entry(place).or_insert(rewinds);
            *least = rewinds.min(*least);
        };
        if let Change::Read(row) = change {
            // Each snapshot is a run of its own, and sees at least what those before it saw.
            for (place, rewinds) in &places {
                for (at, committed) in expected.iter().enumerate() {
                    if snapshot && at + 1 >= *place && matches!(committed, Change::Row(content) if content == row) {
                        reach(at + 1, *rewinds);
                    }
                }
            }
        }
        for (place, rewinds) in &places {
            if expected.get(*place) == Some(change) {
                reach(place + 1, *rewinds);
            }
            if *rewinds < restarts {
                for (back, earlier) in expected.iter().enumerate().take(*place) {
                    if earlier == change {
                        reach(back + 1, rewinds + 1);
                    }
                }
            }
        }
        if next.is_empty() {
            return Err(Violation(format!(
                "key {key}: change {index} in the topic ({change:?}) is neither the next one committed nor a repeat; places \
                 {places:?} of {}",
                expected.len()
            )));
        }
        places = next;
    }
    if !places.contains_key(&expected.len()) {
        return Err(Violation(format!(
            "key {key}: the topic ends at change {:?} of {} committed",
            places.keys().next_back(),
            expected.len()
        )));
    }
    Ok(seen.len().saturating_sub(expected.len()))
}

/// The last content of each key that still has one.
pub fn final_state(history: &History) -> BTreeMap<String, String> {
    let last = history.iter().filter_map(|(key, changes)| match changes.last() {
        Some(Change::Row(row) | Change::Read(row)) => Some((key.clone(), row.clone())),
        _ => None,
    });
    last.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(numbers: &[u32]) -> Vec<Change> {
        numbers.iter().map(|n| Change::Row(n.to_string())).collect()
    }

    fn verdict(expected: &[u32], seen: &[u32], restarts: usize) -> Result<usize, Violation> {
        check_key("k", &rows(expected), &rows(seen), restarts, false)
    }

    #[test]
    fn a_snapshot_shows_one_place_and_everything_after_it() {
        let read = |n: u32| Change::Read(n.to_string());
        let with = |before: Change, seen: &[u32]| [&[before], &rows(seen)[..]].concat();
        let snapshot = |seen: &[Change]| check_key("k", &rows(&[1, 2, 3]), seen, 0, true);
        assert!(snapshot(&with(read(2), &[3])).is_ok());
        assert!(snapshot(&with(read(1), &[3])).is_err(), "a gap after the snapshot");
        assert!(snapshot(&[read(2), read(1)]).is_err(), "a later snapshot that sees less");
        assert!(snapshot(&with(read(7), &[3])).is_err(), "a row that never was");
        assert!(snapshot(&rows(&[3])).is_err(), "the key had a row, which the snapshot did not show");
        let gone = [Change::Row("1".into()), Change::Gone, Change::Row("3".into())];
        assert!(check_key("k", &gone, &rows(&[3]), 0, true).is_ok(), "no row at the snapshot");
        assert!(check_key("k", &gone, &rows(&[3]), 0, false).is_err());
        assert!(check_key("k", &rows(&[1]), &[read(1)], 0, false).is_err(), "a snapshot that was not to be");
    }

    #[test]
    fn order_and_completeness_are_demanded() {
        assert_eq!(verdict(&[1, 2, 3], &[1, 2, 3], 0), Ok(0));
        assert!(verdict(&[1, 2, 3], &[1, 3], 0).is_err(), "a gap");
        assert!(verdict(&[1, 2, 3], &[1, 2], 0).is_err(), "a lost end");
        assert!(verdict(&[1, 2, 3], &[2, 1, 3], 3).is_err(), "another order");
        assert!(verdict(&[1], &[], 5).is_err(), "nothing");
    }

    #[test]
    fn repeats_need_a_restart_and_start_from_a_place_seen() {
        assert!(verdict(&[1, 2, 3], &[1, 2, 2, 3], 0).is_err());
        assert_eq!(verdict(&[1, 2, 3], &[1, 2, 1, 2, 3], 1), Ok(2));
        assert!(verdict(&[1, 2, 3], &[1, 2, 1, 3], 1).is_err(), "a repeat with a gap");
        assert!(verdict(&[1, 2, 3], &[1, 2, 1, 2, 1, 2, 3], 1).is_err(), "two repeats of one restart");
        assert_eq!(verdict(&[1, 2, 1, 2], &[1, 2, 1, 2], 0), Ok(0));
    }
}
