//! Records that are rare: a Connect schema with a value.

use std::sync::Arc;

use crate::{Schema, Value};

/// A record given as schema and value: schema changes, heartbeats, transaction marks, truncates.
#[derive(Debug, Clone)]
pub struct DynamicRecord {
    /// Kafka topic.
    pub topic: Arc<str>,
    /// Partition, when the connector sets it.
    pub partition: Option<i32>,
    /// Key; `None` is null key with null schema.
    pub key: Option<(Arc<Schema>, Value)>,
    /// Value; `None` is a tombstone.
    pub value: Option<(Arc<Schema>, Value)>,
    /// Whether the four context headers are added.
    pub context_headers: bool,
}
