//! Framing at every split point and over 16 MiB.

use mysql_protocol::packet::{PacketReader, write_packet};

fn collect(reader: &mut PacketReader, out: &mut Vec<Vec<u8>>) {
    while let Some(packet) = reader.poll().expect("packet") {
        out.push(packet.payload.to_vec());
    }
}

#[test]
fn every_split_point() {
    let payloads: Vec<Vec<u8>> = vec![vec![], vec![1], vec![2; 300], b"abc".to_vec()];
    let mut wire = Vec::new();
    let mut sequence = 250;
    for payload in &payloads {
        sequence = write_packet(&mut wire, sequence, payload);
    }
    for split in 0..=wire.len() {
        let mut reader = PacketReader::new(1 << 20);
        reader.expect_sequence(250);
        let mut got = Vec::new();
        reader.feed(&wire[..split]);
        collect(&mut reader, &mut got);
        reader.feed(&wire[split..]);
        collect(&mut reader, &mut got);
        assert_eq!(got, payloads);
        assert!(reader.is_empty());
        assert_eq!(reader.next_sequence(), sequence);
    }
}

#[test]
fn payloads_around_the_frame_limit() {
    for len in [0xff_fffe, 0xff_ffff, 0x100_0000, 2 * 0xff_ffff, 2 * 0xff_ffff + 5] {
        let payload: Vec<u8> = (0..len).map(|n: usize| n.to_le_bytes()[0] ^ n.to_le_bytes()[2]).collect();
        let mut wire = Vec::new();
        write_packet(&mut wire, 0, &payload);
        write_packet(&mut wire, u8::try_from(len / 0xff_ffff + 1).expect("frames"), b"next");
        let mut reader = PacketReader::new(1 << 26);
        let mut got = Vec::new();
        for piece in wire.chunks(1_000_003) {
            reader.feed(piece);
            collect(&mut reader, &mut got);
        }
        assert!(got == [payload, b"next".to_vec()], "{len}");
    }
}

#[test]
fn limits_and_order() {
    let mut wire = Vec::new();
    write_packet(&mut wire, 0, &[0; 100]);
    let mut reader = PacketReader::new(99);
    reader.feed(&wire);
    assert!(reader.poll().is_err());
    let mut reader = PacketReader::new(100);
    reader.expect_sequence(1);
    reader.feed(&wire);
    assert!(reader.poll().is_err());
}
