//! Kafka's protocol as bytes: what the producer says and what it is answered.
//!
//! In go values, out come bytes, and the other way round. Nothing here opens a socket, waits or logs; every length
//! that a broker sends is checked against the bytes that are there before it is used.

pub(crate) mod batch;
pub(crate) mod codec;
pub(crate) mod compress;
pub(crate) mod messages;
pub(crate) mod split;
