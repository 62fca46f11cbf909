//! Where a newly assigned partition begins.

use rdkafka::consumer::{CommitMode, Consumer};

use super::{Halt, session::Session};
use crate::runtime::{
    kafka::{self, ANSWER_WITHIN},
    progress::Place,
};

impl Session<'_> {
    /// Agrees on where a newly assigned partition begins: with Kafka's committed offset, unless Redis holds less.
    /// Returns whether the group's offset was set back, so that the consumer must begin again.
    pub(super) fn prepare(&mut self, partition: i32) -> Result<bool, Halt> {
        let topic = &self.worker.topic;
        let name = format!("{topic}/{partition}");
        let committed = kafka::committed(&self.consumer, topic, partition)?;
        let (low, end) = self.consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN)?;
        let applied = self.book.position(&name)?;
        tracing::debug!(partition = %name, ?committed, ?applied, low, end, "partition assigned");
        let back_to = match (committed, applied) {
            (Some(committed), Some(applied)) if applied >= committed && committed <= end => {
                if committed < low {
                    tracing::warn!(
                        partition = %name,
                        committed,
                        low,
                        "the topic dropped records before they were read: take a new snapshot \
                         (stop the connector, DELETE its offsets, resume)"
                    );
                }
                self.known.insert(partition, committed);
                self.shared.progress.run.place(topic, partition, Place { position: committed, end });
                return Ok(false);
            }
            // Nothing was ever committed: a first start, or a topic that was deleted and created anew (the broker
            // forgets its offsets with it), whose position in Redis means nothing any more.
            (None, _) => low,
            (Some(committed), _) if committed > end => {
                tracing::warn!(partition = %name, committed, end, "the topic is shorter than what was read of it: reading it anew");
                low
            }
            (Some(_), Some(_)) if !self.doubt_settled => return Err(Halt::Doubt(self.epoch.clone())),
            (Some(_), applied) => {
                let back_to = applied.unwrap_or(low).max(low);
                if applied.unwrap_or(0) < low {
                    tracing::warn!(
                        partition = %name,
                        low,
                        "Redis must be filled again, but the topic no longer holds its beginning: \
                         take a new snapshot (stop the connector, DELETE its offsets, resume)"
                    );
                }
                tracing::info!(partition = %name, offset = back_to, "going back to what Redis holds");
                back_to
            }
        };
        // Redis first: were the offset committed first, a crash between would look like a loss.
        self.book.set_position(&name, back_to)?;
        self.consumer.commit(&kafka::offsets_of(topic, [(partition, back_to)])?, CommitMode::Sync)?;
        if committed.is_none() {
            // The consumer starts there by itself.
            self.known.insert(partition, back_to);
            self.shared.progress.run.place(topic, partition, Place { position: back_to, end });
            return Ok(false);
        }
        Ok(true)
    }
}
