//! Takes a finished batch apart into two: what a broker's refusal of its size is answered with.
//!
//! Sequence numbers count records, so the two halves take the place of the whole and later batches keep theirs.

use crate::wire::{
    batch::{Batch, HEADER, Part},
    codec::{Malformed, Reader},
    compress::{Codec, decompress},
};

/// The two halves of `whole`, whose finished `bytes` `codec` made from `length` bytes of records.
pub(crate) fn halves(bytes: &[u8], codec: Codec, length: usize, whole: &Batch) -> Result<(Batch, Batch), Malformed> {
    let body = bytes.get(HEADER..).ok_or(Malformed("a batch has no records"))?;
    let body = decompress(codec, body, length).ok_or(Malformed("a batch of our own cannot be read"))?;
    let middle = whole.count / 2;
    let empty = || Batch::new(Vec::new(), whole.first_timestamp(), whole.since);
    let (mut first, mut second) = (empty(), empty());
    let mut reader = Reader::new(&body);
    for n in 0..whole.count {
        let length = usize::try_from(reader.varint()?).map_err(|_| Malformed("a record's length is negative"))?;
        let mut record = Reader::new(reader.take(length)?);
        record.byte()?;
        let delta = record.varint()?;
        record.varint()?;
        let key = field(&mut record)?;
        let value = field(&mut record)?;
        let headers = record.take(record.left())?;
        let half = if n < middle { &mut first } else { &mut second };
        half.push_raw(delta, key, value, headers);
    }
    let mut left = middle;
    for part in &whole.parts {
        let records = part.records.min(left);
        left -= records;
        for (half, records) in [(&mut first, records), (&mut second, part.records - records)] {
            if records > 0 {
                half.parts.push(Part { slot: part.slot, records });
            }
        }
    }
    Ok((first, second))
}

fn field<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    match usize::try_from(reader.varint()?) {
        Ok(length) => reader.take(length).map(Some),
        Err(_) => Ok(None),
    }
}
