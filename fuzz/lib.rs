//! Fuzz targets as plain functions: each takes any bytes, must not panic, and holds what it decodes against itself.
//! `tests/corpus.rs` replays the corpora through them on the stable toolchain.

use mysql_protocol::column::ColumnType;
use mysql_protocol::event::{ChecksumAlgorithm, Event, EventBody, EventDecoder, EventHeader};
use mysql_protocol::file::FileReader;
use mysql_protocol::gtid::{BinlogFile, Gtid, GtidSet};
use mysql_protocol::json;
use mysql_protocol::packet::auth::{Auth, Step};
use mysql_protocol::packet::result::{ColumnDefinition, PrepareOk, ResultReader, ResultStep, binary_cells, text_cells};
use mysql_protocol::packet::{DumpPacket, EofPacket, ErrPacket, Handshake, OkPacket, PacketReader, write_packet};
use mysql_protocol::rows::RowCells;
use mysql_protocol::value::{self, Scratch};
use std::collections::HashMap;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All targets by name, for the replay of corpora.
pub const TARGETS: [(&str, Target); 4] =
    [("binlog_events", binlog_events), ("packets", packets), ("jsonb", jsonb), ("gtid", gtid)];

/// A binlog file, first as the reader of files takes it, whole and in two pieces, then event by event with checksums
/// ignored, so that changed bytes get past them.
pub fn binlog_events(data: &[u8]) {
    let whole = read_file(&[data]);
    let split = data.first().map_or(0, |b| usize::from(*b) * data.len() / 256);
    assert_eq!(whole, read_file(&[&data[..split], &data[split..]]));

    let mut decoder = EventDecoder::new(ChecksumAlgorithm::Crc32).verify_checksums(false);
    let mut tables = HashMap::new();
    let mut scratch = Scratch::default();
    let mut rest = data.get(4..).unwrap_or(&[]);
    while let Ok(header) = EventHeader::parse(rest) {
        let length = header.event_length as usize;
        let Some(bytes) = rest.get(..length) else { break };
        rest = &rest[length..];
        if let Ok(event) = decoder.decode(bytes) {
            event_parts(&event, &mut tables, &mut scratch);
        }
    }
}

/// Offsets and types of all events, and how the file ends.
fn read_file(pieces: &[&[u8]]) -> (Vec<(u64, u8)>, String) {
    let mut reader = FileReader::new(1 << 24);
    let mut events = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.poll() {
                Ok(Some(event)) => events.push((event.at, event.event.header.event_type.0)),
                Ok(None) => break,
                Err(e) => return (events, e.to_string()),
            }
        }
    }
    (events, format!("{:?}", reader.finish()))
}

/// Everything that can be asked of an event.
fn event_parts(event: &Event<'_>, tables: &mut HashMap<u64, Vec<ColumnType>>, scratch: &mut Scratch) {
    let _ = event.body.disposition();
    match &event.body {
        EventBody::TableMap(map) => {
            let mut types = Vec::new();
            if map.columns(&mut types).is_ok() {
                assert_eq!(types.len(), map.column_count());
                if let Ok(optional) = map.optional_metadata() {
                    if let Ok(columns) = optional.columns(&types) {
                        assert_eq!(columns.len(), types.len());
                    }
                    let _ = optional.primary_key(types.len());
                }
                tables.insert(map.table_id, types);
            }
        }
        EventBody::Rows(rows) => {
            let Some(types) = tables.get(&rows.table_id) else { return };
            let Ok(mut reader) = rows.reader(types) else { return };
            let mut row = RowCells::default();
            let mut end = 0;
            while let Ok(true) = reader.next_row(&mut row) {
                assert_eq!(row.start, end);
                assert!(row.end > row.start, "a row takes bytes");
                end = row.end;
                for image in [&row.before, &row.after] {
                    assert!(image.is_empty() || image.len() == types.len());
                    for (cell, column) in image.iter().zip(types) {
                        if cell.get().is_some() {
                            let bytes = cell.of(rows.data).expect("a cell lies in its row event");
                            let _ = value::decode(*column, false, bytes, scratch);
                            let _ = value::decode(*column, true, bytes, scratch);
                        }
                    }
                }
            }
        }
        EventBody::Query(query) => {
            let _ = query.sql_utf8();
            if let Ok(status) = query.status() {
                let _ = status.updated_dbs().count();
            }
        }
        EventBody::Gtid(gtid) => {
            if let Some(gtid) = gtid.gtid() {
                assert_eq!(gtid.to_string().parse::<Gtid>().expect("own notation"), gtid);
            }
        }
        EventBody::PreviousGtids(bytes) => {
            let _ = GtidSet::decode(bytes);
        }
        EventBody::Rotate(rotate) => {
            let _ = std::str::from_utf8(rotate.file).map(str::parse::<BinlogFile>);
        }
        _ => {}
    }
}

/// What a server sends, in two pieces; every payload through every parser.
pub fn packets(data: &[u8]) {
    let split = data.len() / 2;
    let mut reader = PacketReader::new(1 << 20);
    let mut payloads = Vec::new();
    'pieces: for piece in [&data[..split], &data[split..]] {
        reader.feed(piece);
        loop {
            match reader.poll() {
                Ok(Some(packet)) => payloads.push(packet.payload.to_vec()),
                Ok(None) => break,
                Err(_) => break 'pieces,
            }
        }
    }
    payloads.push(data.to_vec());

    let mut results = [ResultReader::new(false), ResultReader::new(true)];
    let mut auths: Vec<_> = ["mysql_native_password", "caching_sha2_password", "sha256_password", "other"]
        .iter()
        .flat_map(|m| [true, false].map(|secure| Auth::new(m, b"01234567890123456789", b"password", secure, true)))
        .collect();
    let mut columns = Vec::new();
    let mut cells = Vec::new();
    for payload in &payloads {
        let _ =
            (Handshake::parse(payload), OkPacket::parse(payload), ErrPacket::parse(payload), EofPacket::parse(payload));
        let _ = (DumpPacket::parse(payload), PrepareOk::parse(payload));
        for auth in &mut auths {
            let step = auth.on_packet(payload);
            assert!(!matches!(step, Ok(Step::Encrypt { password, .. }) if password.starts_with(b"password")));
        }
        columns.extend(ColumnDefinition::parse(payload));
        columns.truncate(64);
        for count in [0, 1, columns.len()] {
            if text_cells(payload, count, &mut cells).is_ok() {
                assert!(cells.iter().all(|c| c.is_null() || c.of(payload).is_some()));
            }
        }
        if binary_cells(payload, &columns, &mut cells).is_ok() {
            for cell in cells.iter().filter_map(|c| c.of(payload)) {
                let _ = (value::result::datetime(cell), value::result::time(cell), value::signed(cell));
            }
        }
        for result in &mut results {
            if let Ok(ResultStep::Row(row)) = result.on_packet(payload) {
                let _ = text_cells(row, result.columns().len(), &mut cells);
                let _ = binary_cells(row, result.columns(), &mut cells);
            }
        }
        let mut wire = Vec::new();
        write_packet(&mut wire, 0, payload);
        let mut back = PacketReader::new(1 << 24);
        back.feed(&wire);
        assert_eq!(back.poll().expect("own framing").expect("whole packet").payload, payload.as_slice());
    }
}

/// Binary JSON to text, which must be JSON of bounded size; and server text, whose form must be stable.
pub fn jsonb(data: &[u8]) {
    let mut text = String::new();
    if json::append_text(data, &mut text).is_ok() {
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON comes out");
        // The longest text for its bytes is a subnormal DOUBLE: nine bytes, 1,077 characters.
        assert!(text.len() <= data.len() * 1100);
    } else {
        assert!(text.is_empty());
    }
    let mut text = String::new();
    if let Ok(input) = std::str::from_utf8(data)
        && json::append_server_text(input, &mut text).is_ok()
    {
        let mut again = String::new();
        json::append_server_text(&text, &mut again).expect("own form");
        assert_eq!(text, again);
    }
}

/// GTID sets from bytes and from text, there and back.
pub fn gtid(data: &[u8]) {
    let decoded = GtidSet::decode(data).ok();
    let parsed = std::str::from_utf8(data).ok().and_then(|text| text.parse::<GtidSet>().ok());
    for set in [decoded, parsed].into_iter().flatten() {
        let mut bytes = Vec::new();
        set.encode(&mut bytes);
        assert_eq!(GtidSet::decode(&bytes).as_ref(), Ok(&set));
        assert_eq!(set.to_string().parse::<GtidSet>().as_ref(), Ok(&set));
        let mut union = set.clone();
        union.union(&set);
        assert_eq!(union, set);
        assert!(set.is_subset(&union));
        union.subtract(&set);
        assert!(union.is_empty());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = text.parse::<BinlogFile>();
        if let Ok(gtid) = text.parse::<Gtid>() {
            assert_eq!(gtid.to_string().parse::<Gtid>().as_ref(), Ok(&gtid));
        }
    }
}
