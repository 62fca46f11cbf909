//! The local store: checkpoints, schema history, connector configurations and consumer state in RocksDB.
//!
//! Everything in it but the newest synced position can be had from Kafka again. Values are framed (magic,
//! version, checksum), writes that matter are synced, and one process at a time holds a folder.
//! It never interprets an offset: positions are JSON objects to it.

mod checkpoints;
mod consumers;
mod database;
mod documents;
mod error;
mod frame;
#[cfg(test)]
mod kill_tests;
mod lock;

pub use consumers::Batch;
pub use database::{Limits, Store};
pub use error::{StoreError, StoreErrorKind};
