//! The MySQL source connector: configuration, checks, snapshot, and the stream of the binary log.
//!
//! Reads and decides positions; never produces, never stores, never retries on a policy of its own.

pub mod catalog;
pub mod client;
pub mod config;
mod dump;
mod link;
pub mod position;
mod progress;
pub mod server;
mod table_maps;
mod fit;
