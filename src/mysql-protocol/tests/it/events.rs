//! Events that the recorded servers do not write, built from the descriptions of their formats.

use mysql_protocol::DecodeError;
use mysql_protocol::column::ColumnType;
use mysql_protocol::event::{ChecksumAlgorithm, Disposition, Event, EventBody, EventDecoder, EventType};
use mysql_protocol::rows::{CellRange, RowCells};

/// An event without checksum.
fn event(event_type: EventType, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut event = vec![0, 0, 0, 0, event_type.0, 1, 0, 0, 0];
    event.extend(u32::try_from(19 + body.len()).expect("length").to_le_bytes());
    event.extend(77u32.to_le_bytes());
    event.extend(flags.to_le_bytes());
    event.extend(body);
    event
}

fn decode(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    EventDecoder::new(ChecksumAlgorithm::None).decode(bytes)
}

/// The variable-length numbers of GTID_TAGGED.
fn varint(value: u64) -> Vec<u8> {
    for more in 0..8u32 {
        let bits = 7 + 7 * more;
        if value < 1 << bits {
            let n = value << (more + 1) | ((1 << more) - 1);
            return n.to_le_bytes()[..usize::try_from(more).expect("count") + 1].to_vec();
        }
    }
    let mut all = vec![0xff];
    all.extend(value.to_le_bytes());
    all
}

#[test]
fn tagged_gtids() {
    let uuid: Vec<u8> = (0..16).map(|n| n * 17).collect();
    for (number, version) in [(1u64, 80300u64), (9_223_372_036_854_775_806, 90100)] {
        let mut fields = vec![];
        let mut field = |id: u64, values: &[Vec<u8>]| {
            fields.extend(varint(id));
            values.iter().for_each(|v| fields.extend(v));
        };
        field(0, &[varint(1)]);
        field(1, &uuid.iter().map(|b| varint(u64::from(*b))).collect::<Vec<_>>());
        field(2, &[varint(number << 1)]);
        field(3, &[varint(4), b"blue".to_vec()]);
        field(4, &[varint(5 << 1)]);
        // -1: its complement, shifted, with the sign bit.
        field(5, &[varint(1)]);
        field(6, &[varint(1_700_000_000_000_000)]);
        field(8, &[varint(300)]);
        field(9, &[varint(version)]);
        // A field of a later release, which this one may pass over.
        field(30, &[varint(1)]);
        let mut body = [varint(1), varint(u64::try_from(fields.len()).expect("length")), varint(0)].concat();
        body.extend(fields);
        let bytes = event(EventType::GTID_TAGGED, 0, &body);
        let EventBody::Gtid(gtid) = decode(&bytes).expect("event").body else { panic!("no GTID") };
        let name = format!("00112233-4455-6677-8899-aabbccddeeff:blue:{number}");
        assert_eq!(gtid.gtid().expect("GTID").to_string(), name);
        assert_eq!((gtid.last_committed, gtid.sequence_number), (Some(5), Some(-1)));
        assert_eq!(gtid.original_commit_timestamp, Some(1_700_000_000_000_000));
        assert_eq!(gtid.original_server_version.map(u64::from), Some(version));
        for cut in 0..bytes.len() - 3 {
            let cut = event(EventType::GTID_TAGGED, 0, body.get(..cut).unwrap_or(&body[..body.len() - 1]));
            let _ = decode(&cut);
        }
    }
}

#[test]
fn heartbeats() {
    let first = event(EventType::HEARTBEAT, 0, b"binlog.000003");
    let EventBody::Heartbeat(h) = decode(&first).expect("event").body else { panic!("no heartbeat") };
    assert_eq!((h.file, h.position), (&b"binlog.000003"[..], 77));
    let mut body = vec![1, 13];
    body.extend(b"binlog.000003");
    body.extend([2, 9, 0xfe]);
    body.extend(5_000_000_000u64.to_le_bytes());
    body.push(0);
    let second = event(EventType::HEARTBEAT_V2, 0, &body);
    let EventBody::Heartbeat(h) = decode(&second).expect("event").body else { panic!("no heartbeat") };
    assert_eq!((h.file, h.position), (&b"binlog.000003"[..], 5_000_000_000));
}

#[test]
fn what_a_reader_does_with_an_event() {
    const IGNORABLE: u16 = 0x80;
    for (event_type, flags, body, disposition) in [
        (EventType::STOP, 0, &[][..], Disposition::PassedOver),
        (EventType::VIEW_CHANGE, 0, &[1; 60], Disposition::PassedOver),
        (EventType::TRANSACTION_CONTEXT, 0, &[1; 30], Disposition::PassedOver),
        (EventType(200), IGNORABLE, b"future", Disposition::PassedOver),
        (EventType(200), 0, b"future", Disposition::Unsupported),
        (EventType::PARTIAL_UPDATE_ROWS, 0, &[0; 20], Disposition::Unsupported),
        (EventType::INCIDENT, 0, &[1, 0, 4, b'l', b'o', b's', b't'], Disposition::Unsupported),
        (EventType::EXECUTE_LOAD_QUERY, 0, &[0; 40], Disposition::Unsupported),
        (EventType::MARIADB_GTID, 0, &[0; 20], Disposition::Unsupported),
        (EventType::TRANSACTION_PAYLOAD, 0, &[2, 1, 0, 1, 1, 2, 0, 7, 8], Disposition::Unsupported),
    ] {
        let bytes = event(event_type, flags, body);
        assert_eq!(decode(&bytes).expect("event").body.disposition(), disposition, "{event_type}");
    }
    assert_eq!(EventType::PARTIAL_UPDATE_ROWS.to_string(), "PARTIAL_UPDATE_ROWS");
    assert_eq!(EventType(200).to_string(), "event type 200");
}

#[test]
fn rows_with_absent_columns_leftovers_and_cuts() {
    let columns = [ColumnType::Long, ColumnType::VarChar { max_len: 300 }, ColumnType::Tiny];
    // Update: before image has columns 0 and 2, after image column 1 only.
    let mut body = vec![9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 0b101, 0b010];
    let data_at = body.len();
    body.extend([0b10, 7, 0, 0, 0, 0b0, 2, 0, b'h', b'i']);
    let bytes = event(EventType::UPDATE_ROWS, 0, &body);
    let EventBody::Rows(rows) = decode(&bytes).expect("event").body else { panic!("no rows") };
    assert!(!rows.is_full() && rows.is_statement_end());
    let mut row = RowCells::default();
    let mut reader = rows.reader(&columns).expect("reader");
    assert!(reader.next_row(&mut row).expect("row"));
    assert_eq!(row.before[0].of(rows.data), Some(&[7, 0, 0, 0][..]));
    assert_eq!((row.before[1], row.before[2]), (CellRange::ABSENT, CellRange::NULL));
    assert_eq!((row.after[0], row.after[2]), (CellRange::ABSENT, CellRange::ABSENT));
    assert_eq!(row.after[1].of(rows.data), Some(&b"hi"[..]));
    assert!(!reader.next_row(&mut row).expect("end"));
    // Cut anywhere inside the row, or with bytes after it: an error that names a place inside the row, then the end.
    for (len, extra) in (1..body.len() - data_at).map(|n| (data_at + n, 0)).chain([(body.len(), 1)]) {
        let mut changed = body[..len].to_vec();
        changed.extend(vec![0xff; extra]);
        let bytes = event(EventType::UPDATE_ROWS, 0, &changed);
        let EventBody::Rows(rows) = decode(&bytes).expect("event").body else { panic!("no rows") };
        let mut reader = rows.reader(&columns).expect("reader");
        let error = (0..2).find_map(|_| reader.next_row(&mut row).err()).expect("an error");
        assert!(
            matches!(error, DecodeError::Short { at, .. } if at >= data_at && at <= changed.len()),
            "{len}: {error}"
        );
        assert_eq!(reader.next_row(&mut row), Ok(false));
    }
    assert!(rows.reader(&columns[..2]).is_err());
}

#[test]
fn checksums_and_lengths() {
    let mut bytes = event(EventType::XID, 0, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut decoder = EventDecoder::new(ChecksumAlgorithm::Crc32);
    assert!(matches!(decoder.decode(&bytes), Err(DecodeError::Checksum { .. })));
    let end = bytes.len() - 4;
    let crc = crc32fast::hash(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&crc);
    assert!(matches!(decoder.decode(&bytes).expect("event").body, EventBody::Xid(1)));
    assert!(matches!(decoder.decode(&bytes[..end]), Err(DecodeError::Short { .. })));
    bytes.push(0);
    assert!(matches!(decoder.decode(&bytes), Err(DecodeError::Leftover { left: 1, .. })));
    for len in 0..19 {
        assert!(decoder.decode(&bytes[..len]).is_err());
    }
}
