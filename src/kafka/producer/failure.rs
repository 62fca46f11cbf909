//! How a producer's failures read: the texts that users and their scripts know.

use engine::error::{Failure, TaskError};
use rdkafka::error::RDKafkaErrorCode;

use crate::{
    client::{self, Meaning, meaning},
    io::{
        address::Address,
        connection::{Lost, LostKind},
    },
    producer::SEND_FAILED,
};

/// A topic that Kafka does not let this producer use.
pub(crate) fn topic_refused(topic: &str, code: RDKafkaErrorCode) -> TaskError {
    let advice = match meaning(code) {
        Meaning::Authorization => "Give the producer's user WRITE and DESCRIBE on the topic",
        _ => "Check the topic's name and the producer's settings",
    };
    let cause = format!("topic '{topic}' cannot be used: {code}. {advice}");
    TaskError::Definite(Failure::new(SEND_FAILED).caused_by(cause))
}

/// Why a record was not delivered. Sizes and names only, never data.
pub(crate) fn delivery_failed(code: RDKafkaErrorCode, topic: &str, size: u64, max_request: u64) -> TaskError {
    let (definite, cause) = match meaning(code) {
        Meaning::TooLarge => (
            true,
            format!(
                "org.apache.kafka.common.errors.RecordTooLargeException: a record of {size} bytes for topic '{topic}' is \
                 larger than {max_request}, the producer's max.request.size, or than the topic's max.message.bytes. Raise \
                 producer.override.max.request.size of the connector and max.message.bytes of the topic"
            ),
        ),
        Meaning::Authorization => (
            true,
            format!(
                "org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [{topic}]. \
                 Give the producer's user WRITE and DESCRIBE on the topic"
            ),
        ),
        Meaning::Definite if code == RDKafkaErrorCode::InvalidRecord => (
            true,
            format!(
                "org.apache.kafka.common.InvalidRecordException: topic '{topic}' refused a record. A compacted topic takes \
                 no records without a key: set message.key.columns for a table that has none, or cleanup.policy=delete"
            ),
        ),
        // Deleted while in use: a restart creates it again or says how.
        Meaning::UnknownTopic => (false, format!("topic '{topic}' or its partition does not exist: {code}")),
        Meaning::Retriable | Meaning::Fenced => (false, format!("topic '{topic}': {code}")),
        Meaning::Authentication | Meaning::Definite => (true, format!("topic '{topic}': {code}")),
    };
    let failure = Failure::new(SEND_FAILED).caused_by(cause);
    if definite { TaskError::Definite(failure) } else { TaskError::Transient(failure) }
}

/// The broker's memory of the producer and the producer's own do not agree: whether records are missing is unknown, so
/// the task starts again where it knows that none are.
pub(crate) fn out_of_sequence(code: RDKafkaErrorCode, topic: &str) -> TaskError {
    let cause = format!("topic '{topic}': {code}. What Kafka has of the last records is not certain");
    TaskError::Transient(Failure::new(SEND_FAILED).caused_by(cause))
}

/// A broker that refuses this producer's connections, with what to do.
pub(crate) fn refused(address: &Address, lost: &Lost) -> TaskError {
    let code = match lost.kind {
        LostKind::Unsupported => RDKafkaErrorCode::UnsupportedVersion,
        _ => RDKafkaErrorCode::Authentication,
    };
    let cause = client::connection_refused(&address.to_string(), code, &lost.reason);
    TaskError::Definite(Failure::new(SEND_FAILED).caused_by(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_what_to_do() {
        let failed = |code| delivery_failed(code, "srv.db.t", 2_000_000, 1_048_576);
        let large = failed(RDKafkaErrorCode::MessageSizeTooLarge);
        let text = large.to_string();
        for part in [SEND_FAILED, "srv.db.t", "2000000", "1048576", "producer.override.max.request.size"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!large.is_transient());
        assert!(!failed(RDKafkaErrorCode::TopicAuthorizationFailed).is_transient());
        assert!(failed(RDKafkaErrorCode::MessageTimedOut).is_transient());
        assert!(out_of_sequence(RDKafkaErrorCode::OutOfOrderSequenceNumber, "t").is_transient());
    }
}
