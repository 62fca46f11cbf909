//! The keys a worker file may hold, so that a misspelt one can be named.

/// Keys that are used or accepted without an effect here.
const KEYS: &[&str] = &[
    "access.control.allow.methods",
    "access.control.allow.origin",
    "admin.listeners",
    "afterimage.admin.authentication",
    "afterimage.admin.listeners",
    "afterimage.auth.login.config",
    "afterimage.encoder.threads",
    "afterimage.errors.deadletterqueue.topic.name",
    "afterimage.memory.limit",
    "afterimage.shutdown.timeout.ms",
    "afterimage.state.dir",
    "auto.include.jmx.reporter",
    "bootstrap.servers",
    "client.dns.lookup",
    "client.id",
    "config.providers",
    "config.storage.topic",
    "connect.protocol",
    "connections.max.idle.ms",
    "connector.client.config.override.allowlist",
    "connector.client.config.override.policy",
    "default.api.timeout.ms",
    "exactly.once.source.support",
    "group.id",
    "header.converter",
    "heartbeat.interval.ms",
    "inter.worker.key.generation.algorithm",
    "inter.worker.key.size",
    "inter.worker.key.ttl.ms",
    "inter.worker.signature.algorithm",
    "inter.worker.verification.algorithms",
    "key.converter",
    "listeners",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "offset.flush.interval.ms",
    "offset.flush.timeout.ms",
    "offset.storage.file.filename",
    "offset.storage.partitions",
    "offset.storage.topic",
    "plugin.discovery",
    "plugin.path",
    "rebalance.timeout.ms",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "response.http.headers.config",
    "rest.advertised.host.name",
    "rest.advertised.listener",
    "rest.advertised.port",
    "rest.extension.classes",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "scheduled.rebalance.max.delay.ms",
    "security.protocol",
    "security.providers",
    "send.buffer.bytes",
    "session.timeout.ms",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
    "status.storage.partitions",
    "status.storage.topic",
    "task.shutdown.graceful.timeout.ms",
    "topic.creation.enable",
    "topic.tracking.allow.reset",
    "topic.tracking.enable",
    "value.converter",
    "worker.sync.timeout.ms",
    "worker.unsync.backoff.ms",
];

/// Beginnings of families of keys.
const FAMILIES: &[&str] = &[
    "producer.",
    "consumer.",
    "admin.",
    "ssl.",
    "sasl.",
    "listeners.https.",
    "admin.listeners.https.",
    "afterimage.admin.listeners.https.",
    "config.providers.",
    "config.storage.",
    "offset.storage.",
    "status.storage.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "metrics.context.",
];

/// Keys that older files carry and that have no effect any more.
const REMOVED: &[&str] =
    &["internal.key.converter", "internal.value.converter", "rest.host.name", "rest.port", "rebalance.timeout"];

/// What is to be said about a key that is not read, if anything.
pub(super) fn remark(key: &str) -> Option<String> {
    if REMOVED.iter().any(|removed| key == *removed || key.starts_with(&format!("{removed}."))) {
        let instead = if key.starts_with("rest.") { ": use listeners" } else { "" };
        return Some(format!("{key} was removed from Kafka Connect and has no effect{instead}"));
    }
    let known = KEYS.binary_search(&key).is_ok() || FAMILIES.iter().any(|family| key.starts_with(family));
    (!known).then(|| format!("{key} is not a known worker setting and has no effect"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_order() {
        assert!(KEYS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn names_strangers_and_the_removed() {
        assert_eq!(remark("group.id"), None);
        assert_eq!(remark("producer.linger.ms"), None);
        assert!(remark("gruop.id").unwrap().contains("gruop.id"));
        assert!(remark("rest.port").unwrap().contains("listeners"));
        assert!(remark("internal.key.converter.schemas.enable").unwrap().contains("removed"));
    }
}
