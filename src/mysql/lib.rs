//! The MySQL source connector: configuration, checks, snapshot, and the stream of the binary log.
//!
//! Reads and decides positions; never produces, never stores, never retries on a policy of its own.

mod catalog;
mod charset;
mod client;
mod config;
mod connector;
mod dump;
mod emitter;
mod fit;
mod hash_order;
mod link;
mod plugin;
mod position;
mod preflight;
mod progress;
pub mod replay;
mod row_statements;
mod schema;
mod server;
mod shape;
mod snapshot;
mod statements;
mod streaming;
mod table_maps;
mod types;

pub use connector::REPORTED_VERSION;
pub use plugin::MySqlPlugin;
