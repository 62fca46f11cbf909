//! Compression of record batches in the forms that Java's consumers and brokers read.
//!
//! LZ4 frames consist of independent blocks without checksums of their own (Kafka's reader refuses dependent ones);
//! snappy is framed as by xerial's stream; gzip and zstd are the plain formats.

use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

/// How a batch's records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    /// Level 1 to 9; `None` is the library's default.
    Gzip(Option<u32>),
    Snappy,
    /// Always the fast compressor: a level has no effect.
    Lz4,
    /// Level 1 to 22; `None` is the library's default.
    Zstd(Option<i32>),
}

impl Codec {
    /// The batch attribute's bits.
    pub(crate) fn attribute(self) -> i16 {
        match self {
            Codec::None => 0,
            Codec::Gzip(_) => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd(_) => 4,
        }
    }
}

/// Magic number; version 1, independent blocks, no checksums, no content size; blocks of 64 KiB; the descriptor's
/// checksum (second byte of its xxh32).
const LZ4_HEAD: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const LZ4_BLOCK: usize = 64 << 10;
/// A block's length with this bit: stored as it is.
const LZ4_STORED: u32 = 1 << 31;
/// xerial's magic, version and lowest compatible version.
const SNAPPY_HEAD: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const SNAPPY_BLOCK: usize = 32 << 10;

/// A codec with its working memory.
pub(crate) struct Compressor {
    codec: Codec,
    lz4: Option<CompressTable>,
    snappy: Option<snap::raw::Encoder>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    pub(crate) fn new(codec: Codec) -> Self {
        Self { codec, lz4: None, snappy: None, zstd: None }
    }

    /// What it compresses with.
    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends `input`, compressed, to `out`; `false` when there is nothing to be gained (no codec, or the library
    /// refused), and what `out` holds then is of no use.
    pub(crate) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> bool {
        match self.codec {
            Codec::None => false,
            Codec::Gzip(level) => {
                let level = level.map_or_else(Compression::default, Compression::new);
                let mut encoder = GzEncoder::new(out, level);
                encoder.write_all(input).is_ok() && encoder.finish().is_ok()
            }
            Codec::Snappy => self.snappy(input, out),
            Codec::Lz4 => self.lz4(input, out),
            Codec::Zstd(level) => self.zstd(level, input, out),
        }
    }

    fn lz4(&mut self, input: &[u8], out: &mut Vec<u8>) -> bool {
        let table = self.lz4.get_or_insert_with(CompressTable::default);
        let mut block = [0u8; 4];
        out.extend_from_slice(&LZ4_HEAD);
        for chunk in input.chunks(LZ4_BLOCK) {
            let head = out.len();
            out.extend_from_slice(&block);
            let start = out.len();
            out.resize(start + get_maximum_output_size(chunk.len()), 0);
            let Some(room) = out.get_mut(start..) else { return false };
            let length = match compress_into_with_table(chunk, room, table) {
                Ok(length) if length < chunk.len() => {
                    out.truncate(start + length);
                    length as u32
                }
                _ => {
                    out.truncate(start);
                    out.extend_from_slice(chunk);
                    chunk.len() as u32 | LZ4_STORED
                }
            };
            block = length.to_le_bytes();
            if let Some(room) = out.get_mut(head..start) {
                room.copy_from_slice(&block);
            }
        }
        out.extend_from_slice(&[0; 4]);
        true
    }

    fn snappy(&mut self, input: &[u8], out: &mut Vec<u8>) -> bool {
        let encoder = self.snappy.get_or_insert_with(snap::raw::Encoder::new);
        out.extend_from_slice(&SNAPPY_HEAD);
        for chunk in input.chunks(SNAPPY_BLOCK) {
            let start = out.len() + 4;
            out.resize(start + snap::raw::max_compress_len(chunk.len()), 0);
            let Some(room) = out.get_mut(start..) else { return false };
            let Ok(length) = encoder.compress(chunk, room) else { return false };
            out.truncate(start + length);
            if let Some(room) = out.get_mut(start - 4..start) {
                room.copy_from_slice(&(length as u32).to_be_bytes());
            }
        }
        true
    }

    fn zstd(&mut self, level: Option<i32>, input: &[u8], out: &mut Vec<u8>) -> bool {
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Compressor::new(level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL)).ok();
        }
        let Some(encoder) = &mut self.zstd else { return false };
        let start = out.len();
        out.resize(start + zstd::zstd_safe::compress_bound(input.len()), 0);
        let Some(room) = out.get_mut(start..) else { return false };
        let Ok(length) = encoder.compress_to_buffer(input, room) else { return false };
        out.truncate(start + length);
        true
    }
}

/// Undoes [`Compressor::compress`] for a batch of our own; `length` is what must come out.
pub(crate) fn decompress(codec: Codec, input: &[u8], length: usize) -> Option<Vec<u8>> {
    let out = match codec {
        Codec::None => input.to_vec(),
        Codec::Gzip(_) => {
            let mut out = Vec::with_capacity(length);
            GzDecoder::new(input).take(length as u64 + 1).read_to_end(&mut out).ok()?;
            out
        }
        Codec::Zstd(_) => zstd::bulk::decompress(input, length).ok()?,
        Codec::Snappy => blocks(input.strip_prefix(&SNAPPY_HEAD)?, u32::from_be_bytes, |_, block, out| {
            let start = out.len();
            out.resize(start + snap::raw::decompress_len(block).ok().filter(|n| *n <= SNAPPY_BLOCK)?, 0);
            snap::raw::Decoder::new().decompress(block, out.get_mut(start..)?).ok().map(drop)
        })?,
        Codec::Lz4 => blocks(input.strip_prefix(&LZ4_HEAD)?, u32::from_le_bytes, |head, block, out| {
            if head & LZ4_STORED != 0 {
                out.extend_from_slice(block);
                return Some(());
            }
            out.extend_from_slice(&lz4_flex::block::decompress(block, LZ4_BLOCK).ok()?);
            Some(())
        })?,
    };
    (out.len() == length).then_some(out)
}

/// Walks blocks that begin with their length; a length of zero ends them.
fn blocks(
    mut input: &[u8],
    number: fn([u8; 4]) -> u32,
    each: impl Fn(u32, &[u8], &mut Vec<u8>) -> Option<()>,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    while let Some((head, rest)) = input.split_first_chunk::<4>() {
        let head = number(*head);
        let (block, rest) = rest.split_at_checked((head & !LZ4_STORED) as usize)?;
        if head == 0 {
            break;
        }
        each(head, block, &mut out)?;
        input = rest;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_comes_back() {
        let text: Vec<u8> = (0..40_000u32).flat_map(|n| format!("{{\"column\":{}}}", n % 977).into_bytes()).collect();
        let noise: Vec<u8> = (0..200_000u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        for codec in [
            Codec::Gzip(None),
            Codec::Gzip(Some(1)),
            Codec::Snappy,
            Codec::Lz4,
            Codec::Zstd(None),
            Codec::Zstd(Some(1)),
        ] {
            let mut compressor = Compressor::new(codec);
            for input in [&text[..], &noise[..], b"", b"x", &text[..64 << 10]] {
                let mut out = Vec::new();
                assert!(compressor.compress(input, &mut out), "{codec:?}");
                assert_eq!(decompress(codec, &out, input.len()).as_deref(), Some(input), "{codec:?}");
                assert_eq!(decompress(codec, &out, input.len() + 1), None);
            }
        }
        let mut out = Vec::new();
        Compressor::new(Codec::Lz4).compress(&text, &mut out);
        assert!(out.len() * 3 < text.len());
    }
}
