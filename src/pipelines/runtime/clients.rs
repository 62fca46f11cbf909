//! The two Kafka clients of a worker: a member of a consumer group, and what it reports while it is polled.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult},
};

/// How long a member's session outlives its process; also the longest wait for a vanished one's partitions.
const SESSION_MS: &str = "10000";

/// Joins `group` for one topic. `instance` names the member: a restart, also after a kill, takes its own partitions
/// over at once. Nothing is committed but what the caller commits.
///
/// The assignment is eager. A cooperative one moves a partition in two rounds, and a named member that restarts between
/// them is given its old place without a second round: the partition would have no owner.
///
/// # Errors
/// A setting that the client refuses.
pub fn join(client: &ClientConfig, group: &str, instance: &str, topic: &str) -> KafkaResult<BaseConsumer<GroupEvents>> {
    let consumer: BaseConsumer<GroupEvents> = client
        .clone()
        .set("group.id", group)
        .set("group.instance.id", instance)
        .set("session.timeout.ms", SESSION_MS)
        .set("heartbeat.interval.ms", "3000")
        .set("partition.assignment.strategy", "range")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("enable.partition.eof", "true")
        .set("statistics.interval.ms", "1000")
        .set("fetch.wait.max.ms", "100")
        // Per consumer; the default of 64 MiB is more than a whole process should take.
        .set("queued.max.messages.kbytes", "4096")
        .create_with_context(GroupEvents::default())?;
    consumer.subscribe(&[topic])?;
    Ok(consumer)
}

/// What happened to a member of a group since it was last asked.
#[derive(Debug, Default)]
pub struct GroupEvents {
    revoked: Mutex<BTreeSet<i32>>,
    assigned: Mutex<BTreeSet<i32>>,
    ends: Mutex<BTreeMap<i32, i64>>,
    joined: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GroupEvents {
    /// Whether partitions came or went.
    pub fn changed(&self) -> bool {
        !lock(&self.revoked).is_empty() || !lock(&self.assigned).is_empty()
    }

    /// Partitions that went, and those that came and are still there; one may be in both.
    pub fn take_changes(&self) -> (BTreeSet<i32>, BTreeSet<i32>) {
        (mem::take(&mut *lock(&self.revoked)), mem::take(&mut *lock(&self.assigned)))
    }

    /// Whether the group gave this member its share, which may be empty.
    pub fn take_joined(&self) -> bool {
        self.joined.swap(false, Ordering::Relaxed)
    }

    /// Where the client last came to the end of a partition. Behind the last record there may be markers of
    /// transactions, which it passes over silently: only this number counts them in.
    pub fn take_ends(&self) -> BTreeMap<i32, i64> {
        mem::take(&mut *lock(&self.ends))
    }
}

impl ClientContext for GroupEvents {
    fn stats(&self, statistics: Statistics) {
        let mut ends = lock(&self.ends);
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
        let partitions = |list: &rdkafka::TopicPartitionList| -> BTreeSet<i32> {
            list.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
        };
        match rebalance {
            Rebalance::Assign(list) => {
                lock(&self.assigned).extend(partitions(list));
                self.joined.store(true, Ordering::Relaxed);
            }
            Rebalance::Revoke(list) => {
                let gone = partitions(list);
                lock(&self.assigned).retain(|partition| !gone.contains(partition));
                lock(&self.revoked).extend(gone);
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}
