//! Recorded bytes of real servers, decoded whole and in pieces, held against what the servers themselves say.

mod events;
mod fixtures;
mod gtid;
mod packets;
mod render;
mod replay;
mod session;
mod values;
