//! Recorded records read back.

use record::reader::{Change, Event, ExactDecimal, Hint, ReadError};

use crate::debezium::recorded;

fn parse(value: &str) -> Event {
    Event::parse(Some(value.as_bytes())).expect("an event")
}

#[test]
fn recorded_events_with_schemas_read_back() {
    let changes: Vec<Change> = recorded(include_str!("golden/debezium-nums.jsonl"))
        .iter()
        .map(|(_, _, value)| Event::parse(value.as_deref().map(str::as_bytes)).expect("an event").change())
        .collect();
    use Change::{Create, Delete, Tombstone};
    assert_eq!(changes, [Create, Create, Delete, Tombstone, Create, Delete, Tombstone, Create]);

    let nums = recorded(include_str!("golden/debezium-nums.jsonl"));
    let event = parse(nums[0].2.as_deref().expect("a value"));
    let row = event.after().expect("a row");
    assert!(event.before().is_none());
    assert_eq!(row.integer("u32"), Some(4_294_967_295));
    assert_eq!(row.decimal("dec1", None), Some(ExactDecimal { unscaled: 1230, scale: 2 }));
    assert_eq!(row.decimal("dec2", None), None, "more than 128 bits");
    assert_eq!(event.table(), Some(("record_db", "nums")));
    assert!(event.source_ms().is_some());

    let times = recorded(include_str!("golden/debezium-times.jsonl"));
    let event = parse(times[0].2.as_deref().expect("a value"));
    let row = event.after().expect("a row");
    assert_eq!(row.micros("d", None), Some(18_295 * 86_400_000_000));
    assert_eq!(row.micros("t", None), Some(-3_020_399_000_000));
    assert_eq!(row.micros("dt", None), Some(1_577_836_800_000_000));
    assert_eq!(row.micros("dt6", None), Some(1_577_836_800_123_456));
    assert_eq!(row.text("ts"), Some("2020-01-01T00:00:00Z"));
}

#[test]
fn forms_without_schema_need_hints() {
    let event = parse(
        r#"{"before":null,"after":{"p":"AJY=","q":1.5,"r":"-2.50","s":"1E+2","t":1000,"u":"x"},"source":{"db":"d","table":"t"},"op":"r"}"#,
    );
    assert_eq!(event.change(), Change::Read);
    let row = event.after().expect("a row");
    let scale = Some(Hint::Scale(2));
    assert_eq!(row.decimal("p", scale), Some(ExactDecimal { unscaled: 150, scale: 2 }));
    assert_eq!(row.decimal("p", None), None);
    assert_eq!(row.decimal("q", scale), Some(ExactDecimal { unscaled: 15, scale: 1 }));
    assert_eq!(row.decimal("r", scale), Some(ExactDecimal { unscaled: -250, scale: 2 }));
    assert_eq!(row.decimal("s", None), Some(ExactDecimal { unscaled: 100, scale: 0 }));
    assert_eq!(row.micros("t", Some(Hint::Millis)), Some(1_000_000));
    assert_eq!((row.micros("t", None), row.micros("u", Some(Hint::Days))), (None, None));
    assert_eq!(row.fields().count(), 6);
}

#[test]
fn rows_tombstones_and_truncates() {
    let row = parse(r#"{"id":1,"op":"sell"}"#);
    assert_eq!((row.change(), row.after().and_then(|row| row.integer("id"))), (Change::Upsert, Some(1)));
    let deleted = parse(r#"{"id":1,"__deleted":"true"}"#);
    assert_eq!(deleted.change(), Change::Delete);
    assert!(deleted.after().is_none() && deleted.before().is_some());
    for tombstone in [None, Some(b"null".as_slice()), Some(br#"{"schema":null,"payload":null}"#)] {
        assert_eq!(Event::parse(tombstone).expect("an event").change(), Change::Tombstone);
    }
    let truncate = parse(r#"{"before":null,"after":null,"source":{"db":"d","table":"t"},"op":"t"}"#);
    assert_eq!((truncate.change(), truncate.table()), (Change::Truncate, Some(("d", "t"))));
}

#[test]
fn what_is_no_event_says_why() {
    assert_eq!(Event::parse(Some(b"{\"a\":\n oops")), Err(ReadError::Json { line: 2, column: 2 }));
    assert!(matches!(Event::parse(Some(b"[1]")), Err(ReadError::Shape(_))));
    assert!(matches!(Event::parse(Some(br#"{"op":"x","source":{},"after":null}"#)), Err(ReadError::Shape(_))));
}
