//! Values at the edges that no recorded case has.

use mysql_protocol::json;
use mysql_protocol::value::{self, DecimalScratch, Time};
use proptest::prelude::*;

/// Packs digits as the server does, straight from the description of the format.
fn pack(negative: bool, integer: &str, fraction: &str) -> Vec<u8> {
    let bytes = [0usize, 1, 1, 2, 2, 3, 3, 4, 4, 4];
    let mut out = Vec::new();
    let mut group = |digits: &str| {
        let n: u32 = digits.parse().unwrap_or(0);
        out.extend_from_slice(&n.to_be_bytes()[4 - bytes[digits.len()]..]);
    };
    let odd = integer.len() % 9;
    group(&integer[..odd]);
    (odd..integer.len()).step_by(9).for_each(|i| group(&integer[i..i + 9]));
    (0..fraction.len()).step_by(9).for_each(|i| group(&fraction[i..fraction.len().min(i + 9)]));
    out[0] ^= 0x80;
    if negative {
        out.iter_mut().for_each(|b| *b ^= 0xff);
    }
    out
}

proptest! {
    #[test]
    fn decimals(precision in 1u8..=65, scale in 0u8..=30, negative: bool, digits in "[0-9]{65}") {
        let scale = scale.min(precision);
        let split = usize::from(precision - scale);
        let (integer, fraction) = digits[..usize::from(precision)].split_at(split);
        let packed = pack(negative, integer, fraction);
        let mut scratch = DecimalScratch::default();
        let decimal = value::decimal(&packed, precision, scale, &mut scratch).expect("decimal");
        let trimmed = integer.trim_start_matches('0');
        prop_assert_eq!(decimal.integer, if trimmed.is_empty() { "0" } else { trimmed });
        prop_assert_eq!(decimal.fraction, fraction);
        let zero = digits[..usize::from(precision)].bytes().all(|b| b == b'0');
        prop_assert_eq!(decimal.negative, negative && !zero);
        let unscaled = value::decimal_i128(&packed, precision, scale).expect("decimal");
        if precision <= 38 {
            let expected: i128 = digits[..usize::from(precision)].parse().expect("digits");
            prop_assert_eq!(unscaled, Some(if negative { -expected } else { expected }));
        } else {
            prop_assert_eq!(unscaled, None);
        }
    }

    #[test]
    fn doubles_in_json_keep_their_value(bits: u64) {
        let double = f64::from_bits(bits);
        let mut cell = vec![0x0b];
        cell.extend_from_slice(&double.to_le_bytes());
        let mut text = String::new();
        let result = json::append_text(&cell, &mut text);
        prop_assert_eq!(result.is_ok(), double.is_finite());
        if double.is_finite() {
            prop_assert!(!text.contains(['e', 'E']));
            prop_assert_eq!(text.parse::<f64>().expect("number").to_bits(), bits);
            if double == 0.0 || (0.001..1e7).contains(&double.abs()) {
                prop_assert!(text.contains('.'));
            } else {
                // Exact: no shorter or longer than what the double is.
                prop_assert!(!text.contains('.') || text.ends_with('5'));
            }
        }
    }

    #[test]
    fn server_text_of_strings_and_numbers(s in "\\PC*|[\\x00-\\x7f]{0,20}", n: i64, m: u64) {
        let doc = serde_json::json!({"s": s, "n": [n, m, null, true, {}]});
        let spaced = serde_json::to_string_pretty(&doc).expect("JSON");
        let mut text = String::new();
        json::append_server_text(&spaced, &mut text).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), doc);
        let mut again = String::new();
        json::append_server_text(&text, &mut again).expect("JSON");
        prop_assert_eq!(again, text);
    }

    #[test]
    fn times_of_every_precision(negative: bool, h in 0u16..=838, m in 0u8..60, s in 0u8..60, micros in 0u32..1_000_000) {
        // The server's own packing: the number of the parts, complemented as a whole for negative values.
        for (fsp, unit) in [(0u8, 1_000_000u32), (2, 10_000), (4, 100), (6, 1)] {
            let frac = micros / unit;
            let frac_bits = u32::from(fsp.div_ceil(2)) * 8;
            let magnitude = (u64::from(h) << 12 | u64::from(m) << 6 | u64::from(s)) << frac_bits | u64::from(if fsp == 0 { 0 } else { frac });
            let zero = 0x80_0000u64 << frac_bits;
            let stored = if negative { zero - magnitude } else { zero + magnitude };
            let cell = &stored.to_be_bytes()[8 - 3 - usize::from(fsp.div_ceil(2))..];
            let got = value::time(cell, fsp).expect("time");
            let micros = if fsp == 0 { 0 } else { frac * unit };
            prop_assert_eq!(got, Time { negative: negative && magnitude > 0, hours: h, minutes: m, seconds: s, micros });
        }
    }
}

#[test]
fn formats_of_servers_before_5_6() {
    let time = value::old_time(&(-8385958i32).to_le_bytes()[..3]).expect("time");
    assert_eq!((time.negative, time.hours, time.minutes, time.seconds), (true, 838, 59, 58));
    let datetime = value::old_datetime(&20200203040506u64.to_le_bytes()).expect("datetime");
    assert_eq!(
        (datetime.date.to_string(), datetime.hour, datetime.minute, datetime.second),
        ("2020-02-03".to_owned(), 4, 5, 6)
    );
    assert_eq!(value::old_timestamp(&7u32.to_le_bytes()).expect("timestamp").seconds, 7);
    assert!(value::old_time(&[0xff, 0xff, 0x7f]).is_err());
}

#[test]
fn cells_of_a_wrong_length_are_errors() {
    for len in 0..12 {
        let cell = vec![0x80u8; len];
        assert_eq!(value::signed(&cell).is_ok(), matches!(len, 1 | 2 | 3 | 4 | 8));
        assert_eq!(value::float(&cell).is_ok(), len == 4);
        assert_eq!(value::double(&cell).is_ok(), len == 8);
        assert!(value::date(&cell).is_err(), "year 16448 and lengths other than 3");
        assert!(value::time(&cell, 6).is_err());
        assert!(value::timestamp(&cell, 3).is_err(), "a fraction of 32896 ten-thousandths and other lengths");
        assert!(value::decimal_i128(&cell, 20, 7).is_err());
    }
}

#[test]
fn hostile_json_is_bounded() {
    // Each array holds 1,000 entries that all point at the next one: text of 1000^100 values from a few bytes.
    let mut array = vec![0x02];
    let body: Vec<u8> = (0..1000u16).flat_map(|_| [0x02, 0, 0]).collect();
    array.extend(1000u16.to_le_bytes());
    array.extend(u16::try_from(body.len() + 4).expect("size").to_le_bytes());
    array.extend(&body);
    let mut text = "kept".to_owned();
    assert!(json::append_text(&array, &mut text).is_err());
    assert_eq!(text, "kept");
    // Depth: an array whose only entry is itself.
    let loops = [0x02, 1, 0, 7, 0, 0x02, 0, 0];
    assert!(json::append_text(&loops, &mut text).is_err());
    assert!(json::append_server_text(&"[".repeat(100_000), &mut text).is_err());
    assert!(json::append_server_text("{\"a\": 1, }", &mut text).is_err());
    assert!(json::append_text(&[], &mut text).is_err());
    assert_eq!(text, "kept");
}

#[test]
fn server_text_in_streaming_form() {
    for (server, streaming) in [
        (r#"{"a": 1, "b": [1, 2]}"#, r#"{"a":1,"b":[1,2]}"#),
        (
            r#"[10000000000.0, 1e300, 1.5, 12345678.9]"#,
            &format!("[10000000000,{:.0},1.5,12345678.90000000037252902984619140625]", 1e300),
        ),
        ("12.340", "12.340"),
        ("99999999999999999999.000", "99999999999999999999.000"),
        (r#""\u001f\u0041 / é""#, r#""\u001FA / é""#),
        (r#""12:34:56.000000""#, r#""12:34:56.000000""#),
    ] {
        let mut text = String::new();
        json::append_server_text(server, &mut text).expect("JSON");
        assert_eq!(text, streaming);
    }
}
