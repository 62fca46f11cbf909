//! Bytes to and from MySQL's protocol: packets, authentication, result sets, binlog events, row images, cell values,
//! binary JSON and GTID sets.
//!
//! Bytes go in, borrowed views and small values come out. The crate opens no socket, waits for nothing, reads no clock,
//! logs nothing and allocates nothing whose size a peer dictates. Whatever bytes it is given it answers with a value or
//! with a [`DecodeError`] that says what was being read and where; it never panics.
//!
//! - [`packet`]: framing, handshake, authentication, commands, result sets.
//! - [`event`]: binlog events; [`rows`]: cells of row events; [`mod@column`]: column types of TABLE_MAP.
//! - [`value`]: cells to values; [`json`]: binary JSON to text.
//! - [`gtid`]: transaction names and sets of them; [`mod@file`]: binlog files.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::panic,
        clippy::unreachable
    )
)]

pub mod column;
mod cursor;
mod error;
pub mod event;
pub mod file;
pub mod gtid;
pub mod json;
pub mod packet;
pub mod rows;
pub mod value;

pub use error::{DecodeError, Result};
