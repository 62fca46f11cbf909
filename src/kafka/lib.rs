//! Kafka for the rest of the program: the connectors' producer, which speaks the protocol itself ([`producer`]), and on
//! librdkafka the worker's internal topics, schema-history topics, group membership, consumers and transactions.
//!
//! Records and positions are bytes and offset maps here: nothing in this crate knows a database or the
//! contents of a record. Whoever asks gets [`engine::error::TaskError`]s that say whether waiting helps.

pub mod client;
pub mod cluster;
pub mod config_topic;
pub mod consumer;
pub mod creation;
pub mod group;
pub mod history;
mod io;
pub mod jaas;
pub mod json;
pub mod offsets;
mod outstanding;
pub mod partitioner;
pub mod producer;
pub mod settings;
pub mod status_topic;
mod tls;
pub mod topics;
mod wire;
mod writer;
