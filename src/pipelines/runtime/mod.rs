//! What all pipelines share: settings, clients of Kafka and of databases, transactions, reading of change events, dead
//! letters, progress and HTTP, the state folder, the story log.
//!
//! Never knows what a pipeline does with a change.

pub mod clients;
pub mod columns;
pub mod connector;
pub mod deadletter;
pub mod envelope;
mod error;
pub mod http;
pub mod kafka;
pub mod metrics;
pub mod mysql;
pub mod output;
pub mod progress;
pub mod redis;
pub mod replay;
pub mod settings;
mod shutdown;
pub mod state;
pub mod status;
pub mod story;
pub mod transaction;

pub use error::Error;
pub use shutdown::Shutdown;
