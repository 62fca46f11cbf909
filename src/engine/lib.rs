//! The pipeline between a source and a sink: ports, batches, byte budget, the pure core that decides
//! what is stored and confirmed when, and the driver that carries its decisions out.
//!
//! Never names a database product, Kafka or RocksDB; sources, sinks and stores point at the traits here.

pub mod batch;
pub mod budget;
pub mod config;
pub mod core;
pub mod driver;
mod encoder;
pub mod error;
pub mod filter;
pub mod keeper;
pub mod lane;
pub mod ledger;
pub mod metrics;
pub mod plugin;
pub mod port;
pub mod rules;
pub mod sender;
pub mod source;
pub mod start;

pub use record::regex;
