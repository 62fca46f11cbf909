//! The Connect worker: desired state, supervision of connector tasks, the REST API of Kafka Connect, the admin port.
//!
//! Owns what a connector is to be (herder), makes it so (task), and answers for it (rest, admin). Never touches a row,
//! and knows a database only as a [`engine::plugin::ConnectorPlugin`].

pub mod access;
pub mod admin;
pub mod backing;
pub mod cluster;
pub mod converters;
pub mod daemon;
pub mod error;
pub mod headers;
pub mod herder;
mod http;
pub mod logging;
#[cfg(test)]
mod memory;
pub mod properties;
pub mod providers;
pub mod rest;
pub mod share;
mod standalone;
pub mod status;
mod task;
pub mod validate;
pub mod worker;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A connector's configuration as it was sent: strings (and nulls of older records), placeholders unresolved, in the
/// order of the request.
pub type RawConfig = serde_json::Map<String, serde_json::Value>;

/// Locks a mutex whose content is valid at every moment, so that another thread's panic does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value of a configuration as text.
fn text<'a>(config: &'a RawConfig, key: &str) -> Option<&'a str> {
    config.get(key).and_then(serde_json::Value::as_str)
}
