//! A checked reader over borrowed bytes. Every read either succeeds whole or is an error with the offset.

use crate::error::{DecodeError, Result};

/// A position in a slice, and the name of the thing being read for error messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    all: &'a [u8],
    at: usize,
    what: &'static str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(all: &'a [u8], what: &'static str) -> Self {
        Cursor { all, at: 0, what }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The bytes not yet read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.all.get(self.at..).unwrap_or(&[])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.all.len()
    }

    pub(crate) fn short(&self, need: usize) -> DecodeError {
        DecodeError::Short { what: self.what, at: self.at, need, have: self.rest().len() }
    }

    pub(crate) fn invalid(&self, reason: &'static str) -> DecodeError {
        DecodeError::Invalid { what: self.what, at: self.at, reason }
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.rest().get(..n) {
            Some(bytes) => {
                self.at = self.at.saturating_add(n);
                Ok(bytes)
            }
            None => Err(self.short(n)),
        }
    }

    /// Everything that is left.
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest();
        self.at = self.all.len();
        rest
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest().first_chunk::<N>() {
            Some(bytes) => {
                self.at = self.at.saturating_add(N);
                Ok(*bytes)
            }
            None => Err(self.short(N)),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u24(&mut self) -> Result<u32> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u48(&mut self) -> Result<u64> {
        let [a, b, c, d, e, f] = self.array()?;
        Ok(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    pub(crate) fn u56(&mut self) -> Result<u64> {
        let [a, b, c, d, e, f, g] = self.array()?;
        Ok(u64::from_le_bytes([a, b, c, d, e, f, g, 0]))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A length-encoded integer. `0xfb` (NULL in a text row) and `0xff` are errors here.
    pub(crate) fn lenenc(&mut self) -> Result<u64> {
        match self.u8()? {
            n @ 0..=0xfa => Ok(u64::from(n)),
            0xfc => Ok(u64::from(self.u16()?)),
            0xfd => Ok(u64::from(self.u24()?)),
            0xfe => self.u64(),
            _ => Err(self.invalid("not a length-encoded integer")),
        }
    }

    /// A length-encoded integer that counts bytes or things of at least one byte: never more than what is left.
    pub(crate) fn lenenc_len(&mut self) -> Result<usize> {
        let n = usize::try_from(self.lenenc()?).unwrap_or(usize::MAX);
        if n > self.rest().len() { Err(self.short(n)) } else { Ok(n) }
    }

    /// Bytes with a length-encoded length before them.
    pub(crate) fn lenenc_bytes(&mut self) -> Result<&'a [u8]> {
        let n = self.lenenc_len()?;
        self.take(n)
    }

    /// Bytes up to a NUL, which is skipped.
    pub(crate) fn until_nul(&mut self) -> Result<&'a [u8]> {
        match self.rest().iter().position(|b| *b == 0) {
            Some(n) => {
                let bytes = self.take(n)?;
                self.take(1)?;
                Ok(bytes)
            }
            None => Err(self.invalid("text without its closing NUL")),
        }
    }

    /// Bytes with a one-byte length before them.
    pub(crate) fn bytes8(&mut self) -> Result<&'a [u8]> {
        let n = self.u8()?;
        self.take(usize::from(n))
    }

    /// Must be at the end.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.rest().len() {
            0 => Ok(()),
            left => Err(DecodeError::Leftover { what: self.what, at: self.at, left }),
        }
    }
}

/// Widening of a wire length; the platforms this runs on have pointers of at least 32 bits.
pub(crate) fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
