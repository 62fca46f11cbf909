//! Reading and changing the stored offsets of a connector.

use model::OffsetMap;
use serde_json::{Number, Value};

use super::{Herder, HerderError};
use crate::backing::TargetState;

/// One partition and its offset; `None` deletes it.
pub type OffsetChange = (OffsetMap, Option<OffsetMap>);

impl Herder {
    /// All partitions of a connector with their committed offsets.
    ///
    /// # Errors
    /// There is no such connector, or the offsets topic cannot be read.
    pub async fn offsets(&self, name: &str) -> Result<Vec<(OffsetMap, OffsetMap)>, HerderError> {
        self.find(name)?;
        let (herder, name) = (self.clone(), name.to_owned());
        self.call("reading offsets", async move { Ok(herder.inner.shop.services.offsets().list(&name).await?) }).await
    }

    /// Sets or deletes offsets of a stopped connector.
    ///
    /// # Errors
    /// It is not stopped, or an offset is refused; then nothing was changed.
    pub async fn alter_offsets(&self, name: &str, changes: Vec<OffsetChange>) -> Result<(), HerderError> {
        let (herder, name) = (self.clone(), name.to_owned());
        self.call("altering offsets", async move { herder.write_offsets(&name, Some(changes)).await }).await
    }

    /// Deletes all offsets of a stopped connector.
    ///
    /// # Errors
    /// It is not stopped, or Kafka did not take it.
    pub async fn reset_offsets(&self, name: &str) -> Result<(), HerderError> {
        let (herder, name) = (self.clone(), name.to_owned());
        self.call("resetting offsets", async move { herder.write_offsets(&name, None).await }).await
    }

    async fn write_offsets(&self, name: &str, changes: Option<Vec<OffsetChange>>) -> Result<(), HerderError> {
        let (connector, _) = self.find(name)?;
        // Waits for a task that is still draining: what it commits last must not come after the new offset. A resume
        // that comes now waits in turn.
        let _slot = connector.slot.lock().await;
        let (_, desired) = self.find(name)?;
        let stopped = desired.target == TargetState::Stopped && desired.tasks.is_none_or(|tasks| tasks.is_empty());
        if !stopped {
            return Err(HerderError::Invalid(format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the \
                 specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            )));
        }
        let services = &self.inner.shop.services;
        let topic = services.offsets().topic();
        let changes = match changes {
            Some(changes) => {
                let plugin = self.plugin(&desired.config);
                let mut checked = Vec::with_capacity(changes.len());
                for (partition, offset) in changes {
                    let partition = normal(partition)?;
                    let offset = offset.map(normal).transpose()?;
                    if let Some(plugin) = &plugin {
                        plugin.check_offset(&partition, offset.as_ref()).map_err(HerderError::Failed)?;
                    }
                    checked.push((partition, offset));
                }
                checked
            }
            None => services.offsets().list(name).await?.into_iter().map(|(partition, _)| (partition, None)).collect(),
        };
        for (partition, offset) in &changes {
            let failed = |e: engine::error::TaskError| HerderError::Failed(e.to_string());
            topic.write(name, partition, offset.as_ref()).await.map_err(failed)?;
            // The record in Kafka is newer and wins anyway; without the cache nothing is left to compare.
            services.store().remove(name, partition).map_err(failed)?;
        }
        Ok(())
    }
}

/// Only primitive values; integers beyond 64 bits and other numbers become doubles, as after Java's JSON round trip.
fn normal(map: OffsetMap) -> Result<OffsetMap, HerderError> {
    map.into_iter()
        .map(|(key, value)| {
            let value = match value {
                Value::Array(_) => return Err(complex(&key, "ARRAY")),
                Value::Object(_) => return Err(complex(&key, "MAP")),
                Value::Number(n) if n.as_i64().is_none() => {
                    n.as_f64().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
                }
                value => value,
            };
            Ok((key, value))
        })
        .collect()
}

fn complex(key: &str, kind: &str) -> HerderError {
    HerderError::Failed(format!("Offsets may only contain primitive types as values, but field {key} contains {kind}"))
}
