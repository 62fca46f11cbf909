//! TRANSACTION_PAYLOAD: the wrapper of a compressed transaction. Decompression is the caller's.

use crate::cursor::Cursor;
use crate::error::Result;

/// A transaction's events, compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionPayload<'a> {
    /// 0 is zstd, 255 is none.
    pub compression: u64,
    /// Bytes after decompression, as the server says; not to be trusted for allocation.
    pub uncompressed_size: Option<u64>,
    /// The compressed events.
    pub payload: &'a [u8],
}

impl<'a> TransactionPayload<'a> {
    /// A list of (type, length, value): 1 is the payload's size, 2 the compression, 3 the size after decompression,
    /// 0 ends the list; the payload follows.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self> {
        let mut c = Cursor::new(body, "TRANSACTION_PAYLOAD event");
        let (mut compression, mut size, mut uncompressed_size) = (255, None, None);
        loop {
            let field = c.lenenc()?;
            if field == 0 {
                break;
            }
            let value = c.lenenc_bytes()?;
            let mut value = Cursor::new(value, "TRANSACTION_PAYLOAD field");
            match field {
                1 => size = Some(value.lenenc()?),
                2 => compression = value.lenenc()?,
                3 => uncompressed_size = Some(value.lenenc()?),
                _ => {}
            }
        }
        let payload = match size {
            Some(n) => c.take(usize::try_from(n).unwrap_or(usize::MAX))?,
            None => c.take_rest(),
        };
        Ok(TransactionPayload { compression, uncompressed_size, payload })
    }
}
