//! Laws of GTID sets, against a plain set of numbers.

use mysql_protocol::gtid::{BinlogFile, Gtid, GtidSet, Interval, Source, Tag};
use proptest::prelude::*;
use std::collections::BTreeSet;

const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

fn set(text: &str) -> GtidSet {
    text.parse().expect("GTID set")
}

#[test]
fn notation() {
    for (input, output) in [
        (String::new(), String::new()),
        (format!("{A}:1"), format!("{A}:1")),
        (format!("{B}:1-3,\n{}:5-9:7-12:1-2", A.to_uppercase()), format!("{A}:1-2:5-12,{B}:1-3")),
        (format!("{A}:1-2,{A}:3"), format!("{A}:1-3")),
        (format!("{}:7", A.replace('-', "")), format!("{A}:7")),
        (format!("{A}:5-4"), String::new()),
        (format!("{A}:1-5:Tag_1:3:1-2:other:9, {B}:x:1"), format!("{A}:1-5:other:9:tag_1:1-3,{B}:x:1")),
    ] {
        assert_eq!(set(&input).to_string(), output, "{input}");
    }
    for bad in [
        "x",
        "3e11fa47:1",
        &format!("{A}:0"),
        &format!("{A}:a b:1"),
        &format!("{A}:9223372036854775807"),
        &format!("{A}:1-"),
        &format!("{A}:-1"),
    ] {
        assert!(bad.parse::<GtidSet>().is_err(), "{bad}");
    }
    for good in [format!("{A}:1"), format!("{A}:tag:9")] {
        assert_eq!(good.parse::<Gtid>().expect("GTID").to_string(), good);
    }
    assert!(format!("{A}:1-2").parse::<Gtid>().is_err());
}

#[test]
fn order_is_inclusion() {
    use std::cmp::Ordering::*;
    let (small, large, other) = (set(&format!("{A}:1-5")), set(&format!("{A}:1-7,{B}:1")), set(&format!("{B}:1-2")));
    assert_eq!(small.partial_cmp(&large), Some(Less));
    assert_eq!(large.partial_cmp(&small), Some(Greater));
    assert_eq!(small.partial_cmp(&small.clone()), Some(Equal));
    assert_eq!(large.partial_cmp(&other), None);
}

#[test]
fn files_are_ordered_by_number() {
    let file = |name: &str| name.parse::<BinlogFile>().expect("file name");
    assert!(file("binlog.999999") < file("binlog.1000000"));
    assert!(file("my.host-bin.000010") > file("my.host-bin.000009"));
    assert_eq!(file("binlog.000001").partial_cmp(&file("other.000002")), None);
    assert_eq!(file("a.b.000012").number(), 12);
    for bad in ["", "binlog", "binlog.", ".000001", "binlog.00000x", "binlog.99999999999999999999"] {
        assert!(bad.parse::<BinlogFile>().is_err(), "{bad}");
    }
}

#[test]
fn encoding_of_a_known_set() {
    let mut bytes = Vec::new();
    set(&format!("{A}:1-5:7")).encode(&mut bytes);
    let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0];
    expected.extend([0x3e, 0x11, 0xfa, 0x47, 0x71, 0xca, 0x11, 0xe1, 0x9e, 0x33, 0xc8, 0x0a, 0xa9, 0x42, 0x95, 0x62]);
    for n in [2u64, 1, 6, 7, 8] {
        expected.extend(n.to_le_bytes());
    }
    assert_eq!(bytes, expected);
}

/// Sources by small numbers, transactions by small numbers: dense enough for every kind of overlap.
type Model = BTreeSet<(u8, u64)>;

fn source(n: u8) -> Source {
    let tag = if n % 2 == 1 { Tag::new(b"t").expect("tag") } else { Tag::default() };
    Source { uuid: [n / 2; 16], tag }
}

fn of_model(model: &Model) -> GtidSet {
    let mut set = GtidSet::new();
    for (s, number) in model {
        set.add(Gtid { source: source(*s), number: *number });
    }
    set
}

fn models() -> impl Strategy<Value = Model> {
    prop::collection::btree_set((0u8..4, 1u64..24), 0..40)
}

proptest! {
    #[test]
    fn algebra(a in models(), b in models(), intervals in prop::collection::vec((0u8..4, 1u64..30, 0u64..8), 0..10)) {
        let (sa, sb) = (of_model(&a), of_model(&b));
        let mut union = sa.clone();
        union.union(&sb);
        prop_assert_eq!(&union, &of_model(&a.union(&b).copied().collect()));
        let mut rest = sa.clone();
        rest.subtract(&sb);
        prop_assert_eq!(&rest, &of_model(&a.difference(&b).copied().collect()));
        prop_assert_eq!(sa.is_subset(&sb), a.is_subset(&b));
        prop_assert_eq!(sa.count(), u64::try_from(a.len()).expect("count"));
        for s in 0..4 {
            for number in 1..24 {
                prop_assert_eq!(sa.contains(&Gtid { source: source(s), number }), a.contains(&(s, number)));
            }
        }
        prop_assert_eq!(&sa.to_string().parse::<GtidSet>().expect("own notation"), &sa);
        let mut bytes = Vec::new();
        sa.encode(&mut bytes);
        prop_assert_eq!(&GtidSet::decode(&bytes).expect("own encoding"), &sa);
        for cut in 0..bytes.len() {
            prop_assert!(GtidSet::decode(&bytes[..cut]).is_err());
        }
        let (mut by_interval, mut by_number) = (sa.clone(), a.clone());
        for (s, start, len) in intervals {
            by_interval.add_interval(source(s), Interval { start, end: start + len });
            by_number.extend((start..start + len).map(|n| (s, n)));
        }
        prop_assert_eq!(by_interval, of_model(&by_number));
    }

    #[test]
    fn any_order_of_adding(mut numbers in prop::collection::vec(1u64..60, 0..60)) {
        let add = |numbers: &[u64]| {
            let mut set = GtidSet::new();
            numbers.iter().for_each(|n| set.add(Gtid { source: source(0), number: *n }));
            set
        };
        let shuffled = add(&numbers);
        numbers.sort_unstable();
        prop_assert_eq!(shuffled, add(&numbers));
    }
}
