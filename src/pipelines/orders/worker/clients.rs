//! What the Kafka clients report while they are polled: rebalances, ends of partitions, failed deliveries.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Mutex, PoisonError},
};

use rdkafka::{
    ClientContext, Statistics,
    consumer::{BaseConsumer, ConsumerContext, Rebalance},
    error::KafkaError,
    message::DeliveryResult,
    producer::ProducerContext,
};

#[derive(Default)]
pub(super) struct GroupEvents {
    pub(super) revoked: Mutex<BTreeSet<i32>>,
    pub(super) assigned: Mutex<BTreeSet<i32>>,
    /// Where the client last came to the end of a partition. Behind the last record there may be markers of
    /// transactions, which it passes over silently: only this number counts them in.
    pub(super) ends: Mutex<BTreeMap<i32, i64>>,
}

impl ClientContext for GroupEvents {
    fn stats(&self, statistics: Statistics) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for partition in statistics.topics.values().flat_map(|topic| topic.partitions.values()) {
            if partition.partition >= 0 && partition.eof_offset > 0 {
                ends.insert(partition.partition, partition.eof_offset);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka consumer");
    }
}

impl ConsumerContext for GroupEvents {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let (set, list) = match rebalance {
            Rebalance::Assign(list) => (&self.assigned, list),
            Rebalance::Revoke(list) => (&self.revoked, list),
            Rebalance::Error(error) => {
                tracing::warn!(%error, "rebalance failed");
                return;
            }
        };
        let partitions = list.elements().iter().map(|e| e.partition()).collect::<Vec<_>>();
        let revoke = matches!(rebalance, Rebalance::Revoke(_));
        if revoke {
            self.assigned.lock().unwrap_or_else(PoisonError::into_inner).retain(|p| !partitions.contains(p));
        }
        set.lock().unwrap_or_else(PoisonError::into_inner).extend(partitions);
    }
}

impl GroupEvents {
    pub(super) fn take(set: &Mutex<BTreeSet<i32>>) -> BTreeSet<i32> {
        mem::take(&mut *set.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The first failure of a delivery since it was last asked for.
#[derive(Default)]
pub(super) struct Deliveries {
    pub(super) failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.clone());
        }
    }
}
