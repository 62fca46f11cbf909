//! Batches are read back by a reader that knows only the format's definition.

use proptest::prelude::*;

use super::*;
use crate::wire::{
    codec::{Malformed, Reader},
    split,
};

/// A record as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadRecord {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A batch as it is read back.
#[derive(Debug)]
pub(crate) struct ReadBatch {
    pub(crate) producer: ProducerId,
    pub(crate) sequence: i32,
    pub(crate) records: Vec<ReadRecord>,
}

fn codec_of(attributes: i16) -> Codec {
    [Codec::None, Codec::Gzip(None), Codec::Snappy, Codec::Lz4, Codec::Zstd(None)]
        .into_iter()
        .find(|codec| codec.attribute() == attributes)
        .expect("a codec")
}

/// Reads a batch, checking everything in it; `None` when its checksum does not fit.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<ReadBatch>, Malformed> {
    let mut reader = Reader::new(bytes);
    assert_eq!(reader.i64()?, 0, "base offset");
    assert_eq!(reader.i32()? as usize, bytes.len() - 12, "length");
    assert_eq!((reader.i32()?, reader.byte()?), (-1, 2), "leader epoch and magic");
    let checksum = reader.i32()? as u32;
    if checksum != crc32c::crc32c(&bytes[COVERED..]) {
        return Ok(None);
    }
    let codec = codec_of(reader.i16()?);
    let (last, first_timestamp, max_timestamp) = (reader.i32()?, reader.i64()?, reader.i64()?);
    let producer = ProducerId { id: reader.i64()?, epoch: reader.i16()? };
    let (sequence, count) = (reader.i32()?, reader.i32()?);
    assert_eq!(last, count - 1, "last offset");
    let body = decompress_any(codec, &bytes[HEADER..]).ok_or(Malformed("records"))?;
    let mut reader = Reader::new(&body);
    let mut records = Vec::new();
    for offset in 0..count {
        let length = reader.varint()? as usize;
        let mut record = Reader::new(reader.take(length)?);
        assert_eq!(record.byte()?, 0, "attributes");
        let timestamp = first_timestamp + record.varint()?;
        assert_eq!(record.varint()?, i64::from(offset), "offset");
        let key = bytes_of(&mut record)?;
        let value = bytes_of(&mut record)?;
        let mut headers = Vec::new();
        for _ in 0..record.varint()? {
            let name = bytes_of(&mut record)?.expect("a name");
            headers.push((String::from_utf8(name).expect("UTF-8"), bytes_of(&mut record)?));
        }
        assert_eq!(record.left(), 0, "nothing more in a record");
        records.push(ReadRecord { timestamp, key, value, headers });
    }
    assert_eq!(reader.left(), 0, "nothing more in a batch");
    assert_eq!(records.iter().map(|r| r.timestamp).max(), Some(max_timestamp));
    Ok(Some(ReadBatch { producer, sequence, records }))
}

fn bytes_of(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, Malformed> {
    match reader.varint()? {
        -1 => Ok(None),
        length => Ok(Some(reader.take(length as usize)?.to_vec())),
    }
}

fn decompress_any(codec: Codec, bytes: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut out = Vec::new();
    match codec {
        Codec::None => out = bytes.to_vec(),
        Codec::Gzip(_) => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).ok()?),
        Codec::Zstd(_) => out = zstd::decode_all(bytes).ok()?,
        // Tests that read batches back use the codecs above; these two are read by a real consumer.
        Codec::Snappy | Codec::Lz4 => return None,
    }
    Some(out)
}

fn block(headers: &[(String, Option<Vec<u8>>)]) -> HeaderBlock {
    let mut block = HeaderBlock::default();
    block.set(headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
    block
}

fn records() -> impl Strategy<Value = Vec<ReadRecord>> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80));
    let headers = proptest::collection::vec(("[a-zä]{0,9}", bytes()), 0..4);
    let record = (0..5000i64, bytes(), bytes(), headers).prop_map(|(late, key, value, headers)| ReadRecord {
        timestamp: 1_700_000_000_000 + late,
        key,
        value,
        headers,
    });
    proptest::collection::vec(record, 1..40)
}

fn build(records: &[ReadRecord]) -> Batch {
    let mut batch = Batch::new(vec![1, 2, 3], records[0].timestamp, Instant::now());
    for (n, r) in records.iter().enumerate() {
        let headers = block(&r.headers);
        let before = batch.bytes.len();
        batch.push(n / 7, r.timestamp, r.key.as_deref(), r.value.as_deref(), &headers);
        let bound = size_added(r.key.as_deref(), r.value.as_deref(), &headers);
        assert!(batch.bytes.len() - before <= bound, "a bound that does not hold");
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_in_is_read_back(records in records(), level in 0..3usize, sequence in 0..i32::MAX) {
        let codec = [Codec::None, Codec::Gzip(None), Codec::Zstd(Some(1))][level];
        let producer = ProducerId { id: 77, epoch: 3 };
        let mut batch = build(&records);
        let (bytes, _, _) = batch.encode(&mut Compressor::new(codec), Vec::new(), Some(producer), sequence);
        let read = read(&bytes).expect("a batch").expect("a checksum");
        prop_assert_eq!((read.producer, read.sequence), (producer, sequence));
        prop_assert_eq!(read.records, records);
    }

    #[test]
    fn halves_are_the_whole(records in records().prop_filter("two", |r| r.len() > 1), which in 0..5usize) {
        let codec = [Codec::None, Codec::Gzip(None), Codec::Snappy, Codec::Lz4, Codec::Zstd(None)][which];
        let mut batch = build(&records);
        let length = batch.bytes.len() - HEADER;
        let mut compressor = Compressor::new(codec);
        let (bytes, _, used) = batch.encode(&mut compressor, Vec::new(), None, -1);
        let (mut first, mut second) = split::halves(&bytes, used, length, &batch).expect("two halves");
        prop_assert_eq!(first.count + second.count, batch.count);
        let mut parts = first.parts.clone();
        for part in &second.parts {
            match parts.last_mut() {
                Some(last) if last.slot == part.slot => last.records += part.records,
                _ => parts.push(*part),
            }
        }
        prop_assert_eq!(&parts, &batch.parts);
        let mut back = Vec::new();
        for half in [&mut first, &mut second] {
            let (bytes, _, _) = half.encode(&mut Compressor::new(Codec::None), Vec::new(), None, -1);
            back.extend(read(&bytes).expect("a batch").expect("a checksum").records);
        }
        prop_assert_eq!(back, records);
        for cut in 0..bytes.len().min(200) {
            let _ = split::halves(&bytes[..cut], used, length, &batch);
        }
    }
}
