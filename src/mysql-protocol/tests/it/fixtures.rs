//! Each recorded case: decoded whole it equals `expect.jsonl` and what the server says; fed in two pieces it gives the
//! same; cut or damaged anywhere it gives an error and no panic.

use crate::render::{Tables, line};
use crate::replay::Replay;
use mysql_protocol::file::{FileError, FileReader};
use std::fs;
use std::path::{Path, PathBuf};

const EVENT_MAX: u32 = 1 << 30;

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/mysql");
    let list = |dir: &Path| -> Vec<PathBuf> {
        let mut paths: Vec<_> = fs::read_dir(dir).expect("fixtures").map(|e| e.expect("entry").path()).collect();
        paths.sort();
        paths
    };
    let cases: Vec<_> =
        list(&root).iter().flat_map(|v| list(v)).filter(|case| case.join("scenario.sql").exists()).collect();
    assert!(cases.len() >= 20, "only {} recorded cases found", cases.len());
    cases
}

fn read(case: &Path, file: &str) -> Vec<u8> {
    fs::read(case.join(file)).unwrap_or_else(|e| panic!("{}/{file}: {e}", case.display()))
}

/// All events as lines; the reader's error at the end, if there is one.
fn drain(reader: &mut FileReader, tables: &mut Tables, lines: &mut Vec<String>) -> Result<(), FileError> {
    while let Some(event) = reader.poll()? {
        lines.push(line(tables, &event).to_string());
    }
    Ok(())
}

#[test]
fn decoded_whole_equals_the_expectation() {
    for case in cases() {
        let (mut reader, mut lines) = (FileReader::new(EVENT_MAX), Vec::new());
        reader.feed(&read(&case, "wire.bin"));
        drain(&mut reader, &mut Tables::new(), &mut lines).unwrap_or_else(|e| panic!("{}: {e}", case.display()));
        reader.finish().expect("whole file");
        let got = lines.join("\n") + "\n";
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            fs::write(case.join("expect.jsonl"), &got).expect("write");
        }
        let expected = String::from_utf8(read(&case, "expect.jsonl")).expect("UTF-8");
        for (n, (got, expected)) in got.lines().zip(expected.lines()).enumerate() {
            assert_eq!(got, expected, "{} line {}", case.display(), n + 1);
        }
        assert_eq!(got.lines().count(), expected.lines().count(), "{}", case.display());
    }
}

#[test]
fn replayed_rows_are_those_of_the_server() {
    let mut compared = 0;
    for case in cases() {
        let wire = read(&case, "wire.bin");
        let mut reader = FileReader::new(EVENT_MAX);
        reader.feed(&wire);
        let mut replay = Replay::default();
        while let Some(event) = reader.poll().expect("event") {
            replay.event(&event.event.body);
        }
        let old_server = case.to_string_lossy().contains("5.7.");
        compared += replay.compare(std::str::from_utf8(&read(&case, "server.tsv")).expect("UTF-8"), old_server);
    }
    assert!(compared > 1000, "only {compared} cells compared");
}

/// A split inside an event concerns that event alone, so each event is tried at each of its bytes with a reader that has
/// seen all before it. Events over 4 KiB are tried at every byte of both ends and at every 61st in between.
#[test]
fn fed_at_every_split_point_gives_the_same() {
    for case in cases() {
        let wire = read(&case, "wire.bin");
        let mut whole = FileReader::new(EVENT_MAX);
        let mut tables = Tables::new();
        let mut at = 0;
        whole.feed(&wire[..0]);
        loop {
            let before = whole.clone();
            let mut probe = before.clone();
            probe.feed(&wire[at..]);
            let (next, expected) = match probe.poll().expect("event") {
                Some(event) => {
                    (usize::try_from(event.at).expect("offset") + event.bytes.len(), line(&mut tables, &event))
                }
                None => break,
            };
            for split in at..=next {
                let inside = split - at;
                if next - at > 4096 && inside > 512 && next - split > 512 && inside % 61 != 0 {
                    continue;
                }
                let mut reader = before.clone();
                reader.feed(&wire[at..split]);
                if split < next {
                    assert!(reader.poll().expect("part of an event").is_none(), "{} at {split}", case.display());
                    reader.feed(&wire[split..next]);
                }
                let event = reader.poll().expect("event").expect("whole event");
                assert_eq!(line(&mut tables, &event), expected, "{} at {split}", case.display());
            }
            whole.feed(&wire[at..next]);
            whole.poll().expect("event");
            at = next;
        }
        assert_eq!(at, wire.len());
    }
}

/// Byte by byte: the other way to feed.
#[test]
fn fed_byte_by_byte_gives_the_same() {
    for case in cases() {
        let (mut reader, mut lines, mut tables) = (FileReader::new(EVENT_MAX), Vec::new(), Tables::new());
        for byte in read(&case, "wire.bin") {
            reader.feed(&[byte]);
            drain(&mut reader, &mut tables, &mut lines).expect("events");
        }
        let expected = String::from_utf8(read(&case, "expect.jsonl")).expect("UTF-8");
        assert_eq!(lines, expected.lines().collect::<Vec<_>>(), "{}", case.display());
    }
}

#[test]
fn a_cut_file_names_the_offset_of_the_cut_event() {
    for case in cases() {
        let wire = read(&case, "wire.bin");
        let mut reader = FileReader::new(EVENT_MAX);
        let mut start = 0;
        for cut in 0..wire.len() {
            let finished = reader.finish();
            if u64::try_from(cut).expect("offset") == start && cut >= 4 {
                assert_eq!(finished, Ok(()), "{} at {cut}", case.display());
            } else {
                let at = if cut < 4 { 0 } else { start };
                let have = u64::try_from(cut).expect("offset") - at;
                assert!(
                    matches!(finished, Err(FileError::Cut { at: a, have: h, .. }) if a == at && h == have),
                    "{} at {cut}: {finished:?}",
                    case.display()
                );
            }
            reader.feed(&wire[cut..=cut]);
            while reader.poll().expect("event").is_some() {}
            start = reader.position();
        }
    }
}

/// A flipped bit anywhere in a file with checksums is found; in one without, decoding ends in an error or in values, never
/// in a panic. A flip concerns its own event, so each event is damaged with a reader that has seen all before it.
#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    for case in cases().iter().filter(|c| !c.ends_with("json")) {
        let wire = read(case, "wire.bin");
        let has_checksums = !case.ends_with("no_checksum");
        let mut whole = FileReader::new(EVENT_MAX);
        let mut start = 0;
        while start < wire.len() {
            let before = whole.clone();
            whole.feed(&wire[start..]);
            let event = whole.poll().expect("event").expect("whole event");
            let end = usize::try_from(event.at).expect("offset") + event.bytes.len();
            whole = before.clone();
            whole.feed(&wire[start..end]);
            whole.poll().expect("event");
            for at in start..end {
                for flip in [0x01u8, 0x80] {
                    let mut damaged = wire[start..end].to_vec();
                    damaged[at - start] ^= flip;
                    let mut reader = before.clone();
                    reader.feed(&damaged);
                    let read = reader.poll().map(|_| ()).and_then(|()| reader.finish());
                    // The flag of a file that was not closed, which the checksum leaves out: offset 4 + 17, bit 0.
                    if has_checksums && !(at == 21 && flip == 1) {
                        assert!(read.is_err(), "{}: bit {flip:02x} of byte {at} flipped unseen", case.display());
                    }
                }
            }
            start = end;
        }
    }
}
