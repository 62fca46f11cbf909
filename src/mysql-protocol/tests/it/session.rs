//! A recorded connection: greeting, login, text and binary results, a binlog dump. Fed whole and at every split point.

use mysql_protocol::event::{ChecksumAlgorithm, EventDecoder};
use mysql_protocol::packet::auth::{Auth, Step};
use mysql_protocol::packet::result::{ColumnDefinition, PrepareOk, ResultReader, ResultStep, binary_cells, text_cells};
use mysql_protocol::packet::{Capabilities, DumpPacket, Handshake, HandshakeResponse, OkPacket, PacketReader};
use mysql_protocol::rows::CellRange;
use mysql_protocol::value;

/// The packets of a recording, fed up to a split point and then beyond it.
struct Server<'w> {
    pieces: std::vec::IntoIter<&'w [u8]>,
    reader: PacketReader,
}

impl Server<'_> {
    fn packet(&mut self) -> Vec<u8> {
        loop {
            if let Some(packet) = self.reader.poll().expect("packet") {
                return packet.payload.to_vec();
            }
            self.reader.feed(self.pieces.next().expect("the recording is longer than this"));
        }
    }

    /// The answer to a command starts with sequence number 1.
    fn command(&mut self) {
        self.reader.expect_sequence(1);
    }

    fn result(&mut self, binary: bool) -> (Vec<ColumnDefinition>, Vec<Vec<String>>) {
        let mut result = ResultReader::new(true);
        let (mut rows, mut cells) = (Vec::new(), Vec::new());
        loop {
            let packet = self.packet();
            match result.on_packet(&packet).expect("result") {
                ResultStep::Next => {}
                ResultStep::Row(row) => {
                    if binary {
                        binary_cells(row, result.columns(), &mut cells).expect("row");
                    } else {
                        text_cells(row, result.columns().len(), &mut cells).expect("row");
                    }
                    let text = |(c, d): (&CellRange, &ColumnDefinition)| {
                        c.of(row).map_or("NULL".to_owned(), |cell| if binary { typed(d, cell) } else { text(cell) })
                    };
                    rows.push(cells.iter().zip(result.columns()).map(text).collect());
                }
                ResultStep::Ok(_) => return (Vec::new(), rows),
                ResultStep::End { more } => {
                    assert!(!more);
                    return (result.columns().to_vec(), rows);
                }
                ResultStep::Error(e) => panic!("{e}"),
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A binary cell by its column's type code.
fn typed(column: &ColumnDefinition, cell: &[u8]) -> String {
    match column.type_code {
        1 | 2 | 3 | 8 | 9 | 13 if column.is_unsigned() => value::unsigned(cell).expect("integer").to_string(),
        1 | 2 | 3 | 8 | 9 => value::signed(cell).expect("integer").to_string(),
        4 => value::float(cell).expect("FLOAT").to_string(),
        5 => value::double(cell).expect("DOUBLE").to_string(),
        7 | 10 | 12 => {
            let t = value::result::datetime(cell).expect("DATETIME");
            format!("{} {:02}:{:02}:{:02}.{:06}", t.date, t.hour, t.minute, t.second, t.micros)
        }
        11 => value::result::time(cell).expect("TIME").total_micros().to_string(),
        16 => value::bit(cell).expect("BIT").to_string(),
        _ => text(cell),
    }
}

fn converse(pieces: Vec<&[u8]>) {
    let mut server = Server { pieces: pieces.into_iter(), reader: PacketReader::new(1 << 20) };
    let hello = Handshake::parse(&server.packet()).expect("greeting");
    assert_eq!((hello.server_version.as_str(), hello.auth_plugin.as_str()), ("8.0.15", "caching_sha2_password"));
    assert_eq!(hello.scramble.len(), 20);
    assert!(hello.capabilities.contains(HandshakeResponse::CAPABILITIES | Capabilities::SSL));

    let mut auth = Auth::new(&hello.auth_plugin, &hello.scramble, b"n", false, false);
    assert_eq!(auth.initial().expect("answer").len(), 32);
    server.reader.expect_sequence(2);
    let Ok(Step::Send(answer)) = auth.on_packet(&server.packet()) else { panic!("a switch of methods was recorded") };
    assert_eq!((auth.method().name(), answer.len()), ("mysql_native_password", 20));
    server.reader.expect_sequence(4);
    assert!(matches!(auth.on_packet(&server.packet()), Ok(Step::Done(_))));

    server.command();
    OkPacket::parse(&server.packet()).expect("answer to the ping");
    server.command();
    let (columns, rows) = server.result(false);
    assert_eq!(rows, [["1", "NULL", "x", "0", "8.0.15"]]);
    assert_eq!(columns[4].name, "@@version");
    server.command();
    let (columns, rows) = server.result(false);
    assert_eq!(rows, [["1", "one"], ["2", "NULL"], ["3", ""]]);
    let c = &columns[1];
    assert_eq!(
        (c.schema.as_str(), c.org_table.as_str(), c.org_name.as_str(), c.type_code, c.length),
        ("fx", "s", "v", 253, 80)
    );

    server.command();
    let prepared = PrepareOk::parse(&server.packet()).expect("answer to the prepare");
    assert_eq!((prepared.columns, prepared.parameters), (27, 0));
    for _ in 0..prepared.packets_following(true) {
        server.packet();
    }
    server.command();
    let (columns, rows) = server.result(true);
    assert_eq!(columns.len(), 27);
    let first = [
        "1",
        "one",
        "255",
        "-2",
        "-3",
        "18446744073709551615",
        "1.5",
        "-2.25",
        "1999",
        "-12.340",
        "2020-02-03 04:05:06.000007",
        "2020-02-03 04:05:06.000000",
        "-1500000",
        "b",
        "257",
        "\0\u{fffd}",
        "{\"a\": 1}",
    ];
    assert_eq!(rows[0][..17], first);
    assert!(rows[1][1..17].iter().all(|cell| cell == "NULL"));
    let third = [
        "3",
        "",
        "0",
        "0",
        "0",
        "0",
        "0",
        "0",
        "0",
        "0.000",
        "0001-01-01 00:00:00.000000",
        "NULL",
        "0",
        "a",
        "0",
        "",
        "[]",
    ];
    assert_eq!(rows[2][..17], third);
    let literals = [
        "-5",
        "1.5",
        "12.340",
        "NULL",
        "-122706500000",
        "2020-01-02 03:04:05.678000",
        "0001-01-01 00:00:00.000000",
        "text",
        "2020-01-02 00:00:00.000000",
        "0",
    ];
    assert!(rows.iter().all(|row| row[17..] == literals), "{rows:?}");

    for _ in 0..2 {
        server.command();
        server.result(false);
    }
    server.command();
    assert_eq!(server.result(false).1[0][0], "binlog.000002");
    server.command();
    OkPacket::parse(&server.packet()).expect("registered");
    server.command();
    let mut decoder = EventDecoder::new(ChecksumAlgorithm::Crc32);
    let mut types = Vec::new();
    loop {
        match DumpPacket::parse(&server.packet()).expect("packet of the dump") {
            DumpPacket::Event(event) => types.push(decoder.decode(event).expect("event").header.event_type.to_string()),
            DumpPacket::End => break,
            DumpPacket::Error(e) => panic!("{e}"),
        }
    }
    assert_eq!(types[..3], ["ROTATE", "FORMAT_DESCRIPTION", "PREVIOUS_GTIDS"]);
    assert_eq!(types[types.len() - 3..], ["TABLE_MAP", "WRITE_ROWS", "XID"]);
    assert!(server.reader.is_empty() && server.pieces.next().is_none_or(<[u8]>::is_empty));
}

#[test]
fn a_recorded_connection_at_every_split_point() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto-fixtures/mysql/8.0.15/session/wire.bin");
    let wire = std::fs::read(path).expect("recording");
    converse(vec![&wire]);
    for split in 0..=wire.len() {
        converse(vec![&wire[..split], &wire[split..]]);
    }
    converse(wire.chunks(1).collect());
}
