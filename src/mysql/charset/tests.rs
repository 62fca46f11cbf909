//! Compared with what MySQL 8.0 converts the same bytes to.

use super::*;

fn decoded(name: &str, bytes: &[u8]) -> String {
    let mut room = String::new();
    Charset::of(Some(name)).decode(bytes, &mut room).to_owned()
}

/// `testdata/server.tsv`: every 13th sequence and all exceptions, with `CONVERT(CONVERT(x USING set) USING utf8mb4)`.
#[test]
fn multi_byte_sets_are_the_servers() {
    let mut wrong = Vec::new();
    let lines = include_str!("testdata/server.tsv").lines();
    for line in lines {
        let mut parts = line.split('\t');
        let (name, hex, server) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let bytes: Vec<u8> =
            (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        let ours = decoded(name, &bytes);
        if ours != server {
            wrong.push(format!("{name} {hex}: server {server:?}, ours {ours:?}"));
        }
        // Between other characters too.
        let around = [b"a".as_slice(), &bytes, &bytes, b"z"].concat();
        let expected = format!("a{server}{server}z");
        if ours == server && decoded(name, &around) != expected {
            wrong.push(format!("{name} {hex} in context"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn single_byte_sets() {
    assert_eq!(decoded("latin1", b"\x80\xe9\x81"), "€é\u{81}");
    assert_eq!(decoded("swe7", b"[{"), "Ää");
    assert_eq!(decoded("cp850", b"\x80\xff"), "Ç\u{a0}");
    assert_eq!(decoded("koi8u", b"\xa4"), "є");
    assert_eq!(decoded("binary", b"A\xff"), "Aÿ");
    assert_eq!(decoded("ascii", b"a\x80"), "a\u{fffd}");
}

#[test]
fn wide_sets_and_broken_text() {
    assert_eq!(decoded("utf8mb4", "aé😀".as_bytes()), "aé😀");
    assert_eq!(decoded("utf8", b"a\xffb\xe2\x82"), "a\u{fffd}b\u{fffd}");
    assert_eq!(decoded("ucs2", b"\x00a\x20\xac"), "a€");
    assert_eq!(decoded("utf16", b"\xd8\x3d\xde\x00\x00"), "😀\u{fffd}");
    assert_eq!(decoded("utf16le", b"a\x00"), "a");
    assert_eq!(decoded("utf32", b"\x00\x01\xf6\x00"), "😀");
    assert_eq!(decoded("no_such_set", b"\xc3\xa9"), "é");
    for name in ["sjis", "ujis", "big5", "eucjpms", "gb18030"] {
        for cut in [b"\x8f".as_slice(), b"\x8f\xa2", b"\xa1", b"\xff\xff\xff", b""] {
            decoded(name, cut);
        }
    }
}
