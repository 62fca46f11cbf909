//! The MySQL source connector: configuration, checks, snapshot, and the stream of the binary log.
//!
//! Reads and decides positions; never produces, never stores, never retries on a policy of its own.

pub mod catalog;
pub mod charset;
pub mod client;
pub mod config;
pub mod position;
pub(crate) mod progress;
pub mod server;
pub mod types;
