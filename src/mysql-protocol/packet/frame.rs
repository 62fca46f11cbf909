//! Framing: three bytes of length, one of sequence number, payload. A payload of 2^24 - 1 bytes goes on in the next
//! packet.

use crate::cursor::to_usize;
use crate::error::{DecodeError, Result};

/// The largest payload of one frame; a frame of just this size is followed by another of the same packet.
const FRAME_MAX: usize = 0xff_ffff;
const HEADER: usize = 4;
/// Buffers that a large packet made grow are given back above this size.
const KEEP: usize = 1 << 20;

/// One packet: its frames joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The sequence number of its last frame.
    pub sequence: u8,
    /// The payload.
    pub payload: &'a [u8],
}

/// Turns bytes into packets. The payload of a packet of one frame is a slice of the receive buffer.
#[derive(Clone, Debug)]
pub struct PacketReader {
    /// Received bytes are those from `start` to `end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Frames of a packet of several, joined.
    joined: Vec<u8>,
    /// Whether more frames belong to `joined`.
    joining: bool,
    sequence: u8,
    payload_max: usize,
}

impl PacketReader {
    /// A reader that refuses packets of more than `payload_max` bytes. Memory grows with the bytes received, never with
    /// the length a header announces, but for the current frame (at most 16 MiB).
    pub fn new(payload_max: usize) -> Self {
        PacketReader {
            buffer: Vec::new(),
            start: 0,
            end: 0,
            joined: Vec::new(),
            joining: false,
            sequence: 0,
            payload_max,
        }
    }

    /// The sequence number the next frame must have. Sending a command starts a new exchange: the command has 0, the
    /// answer starts with 1.
    pub fn expect_sequence(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// The sequence number the next frame, received or sent, must have.
    pub fn next_sequence(&self) -> u8 {
        self.sequence
    }

    /// Whether no received byte is waiting. Must hold when a connection switches to TLS: bytes sent in clear after that
    /// point are not the server's.
    pub fn is_empty(&self) -> bool {
        self.start == self.end && !self.joining
    }

    /// Room for at least `min` bytes, to be received into and then accounted for with [`PacketReader::received`].
    pub fn room(&mut self, min: usize) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buffer.len() > KEEP.max(min) {
                self.buffer.truncate(KEEP.max(min));
                self.buffer.shrink_to_fit();
            }
        }
        let needed = self.end.saturating_add(min);
        if self.buffer.len() < needed && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        let needed = self.end.saturating_add(min);
        if self.buffer.len() < needed {
            // Twice the size at least, so that a large frame is not moved once per read.
            self.buffer.resize(needed.max(self.buffer.len().saturating_mul(2)), 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or(&mut [])
    }

    /// Says that `n` bytes were received into [`PacketReader::room`].
    pub fn received(&mut self, n: usize) {
        self.end = self.end.saturating_add(n).min(self.buffer.len());
    }

    /// Takes received bytes by copying them.
    pub fn feed(&mut self, bytes: &[u8]) {
        for (to, from) in self.room(bytes.len()).iter_mut().zip(bytes) {
            *to = *from;
        }
        self.received(bytes.len());
    }

    /// The next packet, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// A frame is out of sequence or the packet is larger than allowed. The stream is of no use after that.
    pub fn poll(&mut self) -> Result<Option<Packet<'_>>> {
        const WHAT: &str = "packet";
        if !self.joining {
            self.joined.clear();
            if self.joined.capacity() > KEEP {
                self.joined.shrink_to(KEEP);
            }
        }
        loop {
            let Some(received) = self.buffer.get(self.start..self.end) else { return Ok(None) };
            let Some((&[a, b, c, sequence], rest)) = received.split_first_chunk::<HEADER>() else { return Ok(None) };
            let len = to_usize(u32::from_le_bytes([a, b, c, 0]));
            if sequence != self.sequence {
                return Err(DecodeError::Invalid { what: WHAT, at: 3, reason: "sequence number out of order" });
            }
            if self.joined.len().saturating_add(len) > self.payload_max {
                return Err(DecodeError::Invalid { what: WHAT, at: 0, reason: "larger than the limit" });
            }
            let Some(frame) = rest.get(..len) else { return Ok(None) };
            let payload_start = self.start.saturating_add(HEADER);
            let payload_end = payload_start.saturating_add(len);
            if self.joining || len == FRAME_MAX {
                self.joined.extend_from_slice(frame);
            }
            self.start = payload_end;
            self.sequence = sequence.wrapping_add(1);
            if len == FRAME_MAX {
                self.joining = true;
                continue;
            }
            let payload =
                if self.joining { Some(&self.joined[..]) } else { self.buffer.get(payload_start..payload_end) };
            self.joining = false;
            return Ok(payload.map(|payload| Packet { sequence, payload }));
        }
    }
}

/// Appends a packet: the payload in as many frames as it takes. Returns the sequence number after the last frame.
pub fn write_packet(out: &mut Vec<u8>, mut sequence: u8, payload: &[u8]) -> u8 {
    let mut rest = payload;
    loop {
        let (frame, after) = rest.split_at_checked(FRAME_MAX).unwrap_or((rest, &[]));
        // At most 2^24 - 1, so three bytes hold it.
        let [a, b, c, ..] = frame.len().to_le_bytes();
        out.extend_from_slice(&[a, b, c, sequence]);
        out.extend_from_slice(frame);
        sequence = sequence.wrapping_add(1);
        if frame.len() < FRAME_MAX {
            return sequence;
        }
        rest = after;
    }
}
