//! The client/server protocol: framing, login, commands, results, and the packets of a binlog dump.
//!
//! Nothing here reads or writes a connection. [`PacketReader`] takes bytes and gives packets; everything that is sent is
//! appended to a buffer of the caller and framed by [`write_packet`].

pub mod auth;
pub mod command;
mod frame;
mod handshake;
mod reply;
pub mod result;

pub use frame::{Packet, PacketReader, write_packet};
pub use handshake::{Capabilities, Handshake, HandshakeResponse};
pub use reply::{DumpPacket, EofPacket, ErrPacket, OkPacket};
