//! What all pipelines share: settings, clients of Kafka, reading of change events, dead letters, HTTP, the story log.
//!
//! Never knows what a pipeline does with a change.

pub mod columns;
pub mod connector;
pub mod deadletter;
pub mod envelope;
mod error;
pub mod http;
pub mod kafka;
pub mod metrics;
pub mod settings;
mod shutdown;
pub mod story;

pub use error::Error;
pub use shutdown::Shutdown;
