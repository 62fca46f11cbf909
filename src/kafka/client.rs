//! Which settings a client of which purpose gets, and what librdkafka's errors mean.
//!
//! Precedence as Connect's worker: our base, then the worker's `producer.`, `consumer.` or `admin.` keys, then
//! the connector's `producer.override.` (..) keys. Connector clients do not inherit the worker's unprefixed
//! security keys, admin clients do; clients of the internal topics use the unprefixed ones.

use std::collections::BTreeMap;

use engine::error::{Failure, TaskError};
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::settings::{Problem, Role, Settings, is_client_key};

/// Java settings by name.
pub type JavaSettings = BTreeMap<String, String>;

/// The keys of `from` that start with `prefix`, without it.
pub fn without_prefix(from: &JavaSettings, prefix: &str) -> JavaSettings {
    from.iter().filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.to_owned(), v.clone()))).collect()
}

/// The worker's unprefixed keys that are settings of a client of this role.
pub fn unprefixed(worker: &JavaSettings, role: Role) -> JavaSettings {
    // A worker file's group.id, session.timeout.ms and the like describe the worker's own membership.
    let membership = ["group.id", "session.timeout.ms", "heartbeat.interval.ms", "group.instance.id", "group.protocol"];
    let used = |key: &str| is_client_key(role, key) && !membership.contains(&key) && key != "client.id";
    worker.iter().filter(|(k, _)| used(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn start(worker: &JavaSettings, client_id: &str) -> JavaSettings {
    let mut java = JavaSettings::new();
    if let Some(servers) = worker.get("bootstrap.servers") {
        java.insert("bootstrap.servers".into(), servers.clone());
    }
    java.insert("client.id".into(), client_id.to_owned());
    java
}

fn prefixes(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Producer => ("producer.", "producer.override."),
        Role::Consumer => ("consumer.", "consumer.override."),
        Role::Admin => ("admin.", "admin.override."),
    }
}

/// Settings of a client of connector `name`'s task `task`: `connector-producer-<c>-<t>`,
/// `connector-consumer-<c>-<t>` or `connector-adminclient-<c>-<t>` unless `client.id` says otherwise.
///
/// # Errors
/// Keys that cannot be used. Those of the connector carry their prefix, those of the worker too.
pub fn connector_client(
    role: Role,
    worker: &JavaSettings,
    connector: &JavaSettings,
    name: &str,
    task: u32,
) -> Result<Settings, Vec<Problem>> {
    let kind = match role {
        Role::Producer => "producer",
        Role::Consumer => "consumer",
        Role::Admin => "adminclient",
    };
    let mut java = start(worker, &format!("connector-{kind}-{name}-{task}"));
    if role == Role::Admin {
        java.extend(unprefixed(worker, role));
    }
    let (worker_prefix, override_prefix) = prefixes(role);
    let mut of_worker = without_prefix(worker, worker_prefix);
    // `admin.listeners` and what belongs to it are the worker's own.
    of_worker.retain(|key, _| key != "listeners" && !key.starts_with("listeners."));
    let of_connector = without_prefix(connector, override_prefix);
    java.extend(of_worker.clone());
    java.extend(of_connector.clone());
    Settings::translate(role, &java).map_err(|problems| {
        let prefix = |key: &str| match () {
            () if of_connector.contains_key(key) => override_prefix,
            () if of_worker.contains_key(key) => worker_prefix,
            () => "",
        };
        problems.into_iter().map(|p| Problem { key: format!("{}{}", prefix(&p.key), p.key), ..p }).collect()
    })
}

/// Settings of a client of the worker's own topics: unprefixed worker keys, then `fixed`.
///
/// # Errors
/// Keys that cannot be used.
pub fn worker_client(
    role: Role,
    worker: &JavaSettings,
    client_id: &str,
    fixed: &[(&str, &str)],
) -> Result<Settings, Vec<Problem>> {
    let mut java = start(worker, client_id);
    java.extend(unprefixed(worker, role));
    java.extend(fixed.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    Settings::translate(role, &java)
}

/// Takes librdkafka's log lines and client errors into our log. Lines carry addresses and topics, no data.
#[derive(Debug, Clone, Default)]
pub struct LogContext;

/// Writes a librdkafka log line.
pub(crate) fn log_line(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "kafka::client", facility, "{line}");
        }
        // A broker that is away is no error of ours until somebody's wait has an end.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "kafka::client", facility, "{line}");
        }
        _ => tracing::debug!(target: "kafka::client", facility, "{line}"),
    }
}

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka::client", %error, reason, "client error");
    }
}

impl ConsumerContext for LogContext {}

/// What an error of Kafka means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The broker or its answer is missing; asking again may help.
    Retriable,
    /// No right.
    Authorization,
    /// Wrong user, password or certificate.
    Authentication,
    /// A record or batch is too large.
    TooLarge,
    /// The topic or partition does not exist.
    UnknownTopic,
    /// Another incarnation took over.
    Fenced,
    /// Asking again gives the same.
    Definite,
}

/// Whether what a client reports about a connection will not change by waiting: a login or certificate was refused, by
/// the broker or by us. A broker tells its view of our certificate by an alert, after the handshake has ended for us.
pub(crate) fn is_refusal(code: RDKafkaErrorCode, reason: &str) -> bool {
    meaning(code) == Meaning::Authentication || (reason.contains("SSL routines") && reason.contains("alert"))
}

/// A refused connection, with what to do.
pub(crate) fn connection_refused(servers: &str, code: RDKafkaErrorCode, reason: &str) -> TaskError {
    let advice = if reason.contains("SASL") || reason.contains("sasl.") && !reason.contains("SSL") {
        "Authentication failed: check sasl.mechanism, and user and password in sasl.jaas.config"
    } else if reason.contains("alert") {
        "It did not accept this client's certificate: check ssl.keystore.location, and that the broker trusts the \
         authority that signed the certificate"
    } else if reason.contains("certificate verify failed") {
        "Its certificate is not signed by an authority in ssl.truststore.location, or is not made for the name in \
         bootstrap.servers (ssl.endpoint.identification.algorithm)"
    } else {
        "Check security.protocol, sasl.mechanism, sasl.jaas.config and the ssl.* settings"
    };
    // What follows are names of librdkafka's own settings.
    let reason = reason.split(": broker certificate could not be verified").next().unwrap_or(reason);
    let failure = Failure::new(format!("Kafka at {servers} refused the connection. {advice}"));
    TaskError::Definite(failure.caused_by(format!("{code}: {reason}")))
}

/// Sorts an error code.
pub fn meaning(code: RDKafkaErrorCode) -> Meaning {
    use RDKafkaErrorCode as E;
    match code {
        E::TopicAuthorizationFailed
        | E::GroupAuthorizationFailed
        | E::ClusterAuthorizationFailed
        | E::TransactionalIdAuthorizationFailed => Meaning::Authorization,
        E::Authentication | E::SaslAuthenticationFailed | E::SSL => Meaning::Authentication,
        E::MessageSizeTooLarge | E::InvalidMessageSize => Meaning::TooLarge,
        E::UnknownTopic | E::UnknownTopicOrPartition | E::UnknownPartition => Meaning::UnknownTopic,
        E::Fenced | E::ProducerFenced | E::InvalidProducerEpoch | E::FencedInstanceId => Meaning::Fenced,
        E::BrokerTransportFailure
        | E::AllBrokersDown
        | E::OperationTimedOut
        | E::TimedOutQueue
        | E::MessageTimedOut
        | E::RequestTimedOut
        | E::NetworkException
        | E::LeaderNotAvailable
        | E::NotLeaderForPartition
        | E::BrokerNotAvailable
        | E::ReplicaNotAvailable
        | E::CoordinatorLoadInProgress
        | E::CoordinatorNotAvailable
        | E::NotCoordinator
        | E::NotController
        | E::NotEnoughReplicas
        | E::NotEnoughReplicasAfterAppend
        | E::KafkaStorageError
        | E::Resolve
        | E::WaitingForCoordinator
        | E::Retry
        | E::RebalanceInProgress
        | E::PurgeQueue
        | E::PurgeInflight => Meaning::Retriable,
        _ => Meaning::Definite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> JavaSettings {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn connector_clients_inherit_prefixed_keys_only() {
        let worker = map(&[
            ("bootstrap.servers", "b:9092"),
            ("security.protocol", "SSL"),
            ("group.id", "g"),
            ("rest.port", "1"),
            ("producer.linger.ms", "7"),
            ("producer.compression.type", "gzip"),
        ]);
        let connector = map(&[("name", "c"), ("producer.override.compression.type", "lz4")]);
        let s = connector_client(Role::Producer, &worker, &connector, "c", 0).unwrap_or_else(|p| panic!("{p:?}"));
        assert_eq!(s.get("client.id"), Some("connector-producer-c-0"));
        assert_eq!((s.get("linger.ms"), s.get("compression.type")), (Some("7"), Some("lz4")));
        assert_eq!(s.get("security.protocol"), None);
        let s = connector_client(Role::Admin, &worker, &connector, "c", 0).unwrap_or_else(|p| panic!("{p:?}"));
        assert_eq!((s.get("security.protocol"), s.get("client.id")), (Some("ssl"), Some("connector-adminclient-c-0")));
        let worker = map(&[("admin.listeners", "https://:1"), ("admin.listeners.https.ssl.client.auth", "none")]);
        assert!(connector_client(Role::Admin, &worker, &map(&[]), "c", 0).is_ok());
    }

    #[test]
    fn a_refused_connection_says_what_to_do() {
        use RDKafkaErrorCode as E;
        for (code, reason, part) in [
            (E::Authentication, "sasl_ssl://b:1/bootstrap: SASL authentication error: no", "sasl.jaas.config"),
            (
                E::SSL,
                "SSL handshake failed: error:0A:SSL routines::certificate verify failed: x",
                "ssl.truststore.location",
            ),
            (E::BrokerTransportFailure, "error:0A:SSL routines::sslv3 alert bad certificate", "ssl.keystore.location"),
            (E::SSL, "wrong version number", "security.protocol"),
        ] {
            assert!(is_refusal(code, reason), "{reason}");
            let error = connection_refused("b:1", code, reason);
            assert!(!error.is_transient() && error.to_string().contains(part), "{error}");
        }
        assert!(!is_refusal(E::BrokerTransportFailure, "Connection refused"));
    }

    #[test]
    fn internal_clients_use_unprefixed_keys() {
        let worker = map(&[
            ("bootstrap.servers", "b:1"),
            ("security.protocol", "SSL"),
            ("group.id", "g"),
            ("plugin.path", "/p"),
        ]);
        let s = worker_client(Role::Consumer, &worker, "g-offsets", &[("isolation.level", "read_committed")])
            .unwrap_or_else(|p| panic!("{p:?}"));
        assert_eq!((s.get("security.protocol"), s.get("client.id")), (Some("ssl"), Some("g-offsets")));
        assert_eq!(s.get("group.id"), None);
    }

    #[test]
    fn problems_name_the_key_the_user_wrote() {
        let worker = map(&[("bootstrap.servers", "b:1"), ("producer.lingr.ms", "1")]);
        let connector = map(&[("producer.override.acks", "7")]);
        let problems = connector_client(Role::Producer, &worker, &connector, "c", 0).err().unwrap_or_default();
        let keys: Vec<_> = problems.iter().map(|p| p.key.as_str()).collect();
        assert_eq!(keys, ["producer.override.acks", "producer.lingr.ms"]);
    }
}
