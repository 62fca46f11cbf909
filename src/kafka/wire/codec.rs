//! The protocol's primitive types (<https://kafka.apache.org/protocol#protocol_types>), big-endian, plus the zigzag
//! variable-length numbers of record batches.

/// An answer that is not what the protocol says; the text names the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed answer: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Reads an answer's fields in order.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes not read yet.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.bytes.split_at_checked(n).ok_or(Malformed("it ends too early"))?;
        self.bytes = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed("it ends too early"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// `NULLABLE_STRING`.
    pub(crate) fn nullable_string(&mut self) -> Result<Option<&'a str>, Malformed> {
        let Ok(length) = usize::try_from(self.i16()?) else { return Ok(None) };
        std::str::from_utf8(self.take(length)?).map(Some).map_err(|_| Malformed("a text is not UTF-8"))
    }

    /// `STRING`.
    pub(crate) fn string(&mut self) -> Result<&'a str, Malformed> {
        self.nullable_string()?.ok_or(Malformed("a text is null"))
    }

    /// `BYTES`.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.i32()?).map_err(|_| Malformed("a length is negative"))?;
        self.take(length)
    }

    /// The count of an `ARRAY` whose elements have at least `least` bytes each; null counts as none.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.i32()?).unwrap_or(0);
        self.fits(count, least)
    }

    /// The count of a `COMPACT_ARRAY`.
    pub(crate) fn compact_count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.unsigned_varint()?).unwrap_or(usize::MAX).saturating_sub(1);
        self.fits(count, least)
    }

    fn fits(&self, count: usize, least: usize) -> Result<usize, Malformed> {
        match count.saturating_mul(least.max(1)) <= self.left() {
            true => Ok(count),
            false => Err(Malformed("a list is longer than the answer")),
        }
    }

    /// Passes over an array of 32-bit numbers.
    pub(crate) fn skip_i32s(&mut self) -> Result<(), Malformed> {
        let count = self.count(4)?;
        self.take(count * 4).map(drop)
    }

    /// `UNSIGNED_VARINT`.
    pub(crate) fn unsigned_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a number has too many bytes"))
    }

    /// `VARINT` and `VARLONG`.
    pub(crate) fn varint(&mut self) -> Result<i64, Malformed> {
        let raw = self.unsigned_varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Passes over the tagged fields at the end of a flexible structure.
    pub(crate) fn skip_tags(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let length = usize::try_from(self.unsigned_varint()?).map_err(|_| Malformed("a length is too large"))?;
            self.take(length)?;
        }
        Ok(())
    }
}

pub(crate) fn put_i16(out: &mut Vec<u8>, value: i16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// `NULLABLE_STRING`; what does not fit 32767 bytes is cut at a character (names that long do not exist).
pub(crate) fn put_nullable_string(out: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else { return put_i16(out, -1) };
    let end = (0..=text.len().min(i16::MAX as usize)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let text = text.get(..end).unwrap_or_default();
    put_i16(out, text.len() as i16);
    out.extend_from_slice(text.as_bytes());
}

/// `STRING`.
pub(crate) fn put_string(out: &mut Vec<u8>, text: &str) {
    put_nullable_string(out, Some(text));
}

/// `COMPACT_STRING`.
pub(crate) fn put_compact_string(out: &mut Vec<u8>, text: &str) {
    put_unsigned_varint(out, text.len() as u64 + 1);
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn put_unsigned_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// `VARINT` and `VARLONG`: zigzag, least significant group first.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_unsigned_varint(out, zigzag(value));
}

/// Bytes that [`put_varint`] takes.
pub(crate) fn varint_size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_numbers_round_trip_at_their_edges() {
        for value in
            [0, -1, 1, 63, 64, -64, -65, 8191, 8192, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN]
        {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_size(value), "{value}");
            assert_eq!(Reader::new(&out).varint(), Ok(value));
        }
        assert_eq!(Reader::new(&[0x80; 10]).varint(), Err(Malformed("a number has too many bytes")));
        assert!(Reader::new(&[0x80]).varint().is_err());
    }

    #[test]
    fn lengths_are_checked_before_they_are_used() {
        assert!(Reader::new(&[0x7f, 0xff, 0xff, 0xff, 1]).bytes().is_err());
        assert!(Reader::new(&[0xff, 0xff, 0xff, 0xff]).bytes().is_err());
        assert!(Reader::new(&[0x7f, 0xff, 0xff, 0xff, 1]).count(1).is_err());
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff]).count(4), Ok(0));
        assert!(Reader::new(&[0, 2, 0xc3, 0x28]).string().is_err(), "not UTF-8");
        assert_eq!(Reader::new(&[0xff, 0xff]).nullable_string(), Ok(None));
        assert!(Reader::new(&[0xff, 0xff]).string().is_err());
        assert!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]).compact_count(1).is_err());
    }
}
