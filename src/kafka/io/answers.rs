//! What the error codes of answers mean for a batch (<https://kafka.apache.org/protocol#protocol_error_codes>).

use rdkafka::{error::RDKafkaErrorCode, types::RDKafkaRespErr};

use crate::client::{Meaning, meaning};

/// A batch's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in Kafka, now or since an earlier attempt.
    Delivered,
    /// It is not, and may be sent again; `moved` when the partition's leader may be another.
    Again { code: RDKafkaErrorCode, moved: bool },
    /// Too large as it is.
    TooLarge(RDKafkaErrorCode),
    /// The broker's memory of this producer and ours do not agree.
    OutOfSequence(RDKafkaErrorCode),
    /// It is not, and sending it again gives the same.
    Dead(RDKafkaErrorCode),
}

/// Kafka's code as librdkafka names it, so that texts are the same for all clients of this program.
pub(crate) fn error_code(code: i16) -> RDKafkaErrorCode {
    RDKafkaRespErr::try_from(i32::from(code)).map_or(RDKafkaErrorCode::Unknown, RDKafkaErrorCode::from)
}

/// Sorts a code of a Produce or InitProducerId answer.
pub(crate) fn outcome(code: i16) -> Outcome {
    use RDKafkaErrorCode as E;
    let code = match error_code(code) {
        E::NoError | E::DuplicateSequenceNumber => return Outcome::Delivered,
        code => code,
    };
    match code {
        E::OutOfOrderSequenceNumber | E::UnknownProducerId | E::InvalidProducerEpoch | E::ProducerFenced => {
            Outcome::OutOfSequence(code)
        }
        E::MessageSizeTooLarge | E::MessageBatchTooLarge => Outcome::TooLarge(code),
        E::UnknownTopicOrPartition
        | E::NotLeaderForPartition
        | E::LeaderNotAvailable
        | E::ReplicaNotAvailable
        | E::FencedLeaderEpoch
        | E::UnknownLeaderEpoch
        | E::KafkaStorageError => Outcome::Again { code, moved: true },
        // A checksum that does not fit: what came is not what was sent.
        E::InvalidMessage | E::ConcurrentTransactions => Outcome::Again { code, moved: false },
        code if meaning(code) == Meaning::Retriable => Outcome::Again { code, moved: false },
        code => Outcome::Dead(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_as_the_protocol_lists_them() {
        let again = |code| matches!(outcome(code), Outcome::Again { moved: false, .. });
        let moved = |code| matches!(outcome(code), Outcome::Again { moved: true, .. });
        assert!([0, 46].iter().all(|code| outcome(*code) == Outcome::Delivered));
        assert!([2, 7, 8, 13, 14, 15, 19, 20].iter().all(|code| again(*code)));
        assert!([3, 5, 6, 9, 56, 74, 75].iter().all(|code| moved(*code)));
        assert!([10, 18].iter().all(|code| matches!(outcome(*code), Outcome::TooLarge(_))));
        assert!([45, 47, 59, 90].iter().all(|code| matches!(outcome(*code), Outcome::OutOfSequence(_))));
        assert!([-1, 29, 31, 87, 32_000, -32_000].iter().all(|code| matches!(outcome(*code), Outcome::Dead(_))));
    }
}
