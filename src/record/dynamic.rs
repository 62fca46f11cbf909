//! Records that are rare: a Connect schema with a value.

use std::sync::Arc;

use crate::{
    ConvertError, JsonSettings, RecordBuffer, RecordRef, RecordSettings, Schema, Value, buffer::Full, json,
    plan::context_headers,
};

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

/// A rare record that cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DynamicError {
    /// Key or value does not fit its schema.
    #[error("a record for topic {topic} cannot be converted: {reason}")]
    Convert {
        /// The topic.
        topic: Arc<str>,
        /// Why.
        reason: ConvertError,
    },
    /// The records of one batch would pass 4 GiB.
    #[error("the records of one batch pass 4 GiB at a record for topic {0}")]
    TooLarge(Arc<str>),
}

impl DynamicRecord {
    /// Appends the record.
    ///
    /// # Errors
    /// Key or value does not fit its schema; `out` is then as before.
    pub fn encode(&self, settings: &RecordSettings, out: &mut RecordBuffer) -> Result<(), DynamicError> {
        let mark = out.mark();
        self.append(settings, out).inspect_err(|_| out.rollback(mark))
    }

    fn append(&self, settings: &RecordSettings, out: &mut RecordBuffer) -> Result<(), DynamicError> {
        let context = if self.context_headers { context_headers(settings) } else { Box::default() };
        let known = out.add_topic(&self.topic, &context).map_err(|Full| self.too_large())?;
        let key = self.part(self.key.as_ref(), &settings.key, out)?;
        let value = self.part(self.value.as_ref(), &settings.value, out)?;
        let (topic, first_header, headers) = (known.topic, known.first_header, known.headers);
        out.records.push(RecordRef { topic, partition: self.partition, key, value, first_header, headers });
        Ok(())
    }

    fn part(
        &self,
        part: Option<&(Arc<Schema>, Value)>,
        settings: &JsonSettings,
        out: &mut RecordBuffer,
    ) -> Result<Option<(u32, u32)>, DynamicError> {
        let Some((schema, value)) = part else { return Ok(None) };
        let start = out.bytes.len();
        json::to_json(Some(schema), value, settings, &mut out.bytes)
            .map_err(|reason| DynamicError::Convert { topic: self.topic.clone(), reason })?;
        out.since(start).map(Some).map_err(|Full| self.too_large())
    }

    fn too_large(&self) -> DynamicError {
        DynamicError::TooLarge(self.topic.clone())
    }
}
