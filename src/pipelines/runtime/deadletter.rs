//! Dead letters: records that cannot be processed, kept whole with the reason in headers, and taken back in.

use rdkafka::{
    Message,
    message::{Header, Headers, OwnedHeaders, OwnedMessage},
};

use super::{envelope::Malformed, kafka};

/// Topic the record came from.
pub const TOPIC: &str = "__connect.errors.topic";
/// Partition it came from.
pub const PARTITION: &str = "__connect.errors.partition";
/// Offset it came from.
pub const OFFSET: &str = "__connect.errors.offset";
/// Kind of error, for filtering.
pub const CLASS: &str = "__connect.errors.exception.class.name";
/// What is wrong, without row values.
pub const MESSAGE: &str = "__connect.errors.exception.message";
/// How often the record was tried, beginning with 1.
pub const ATTEMPT: &str = "__connect.errors.attempt";

const OURS: &[&str] = &[TOPIC, PARTITION, OFFSET, CLASS, MESSAGE, ATTEMPT];

/// A record and why it could not be processed.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The record as it came.
    pub key: Option<Vec<u8>>,
    /// The record as it came.
    pub value: Option<Vec<u8>>,
    /// Its own headers and the six above.
    pub headers: OwnedHeaders,
}

impl DeadLetter {
    /// Wraps a record.
    pub fn new(message: &OwnedMessage, error: &Malformed) -> Self {
        let attempt = kafka::header(message.headers(), ATTEMPT).and_then(|text| text.parse::<u32>().ok()).unwrap_or(1);
        let (partition, offset) = (message.partition().to_string(), message.offset().to_string());
        let attempt = attempt.to_string();
        let mut headers = kafka::headers_without(message.headers(), |name| OURS.contains(&name));
        for (key, value) in [
            (TOPIC, message.topic()),
            (PARTITION, &partition),
            (OFFSET, &offset),
            (CLASS, error.class),
            (MESSAGE, &error.message),
            (ATTEMPT, &attempt),
        ] {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        Self { key: message.key().map(<[u8]>::to_vec), value: message.payload().map(<[u8]>::to_vec), headers }
    }
}

/// The headers of a dead letter that is tried again: its own, and the number of the coming attempt.
pub fn headers_of_next_attempt<H: Headers>(headers: Option<&H>, own: Option<&OwnedHeaders>) -> OwnedHeaders {
    let attempt = kafka::header(headers, ATTEMPT).and_then(|text| text.parse::<u32>().ok()).unwrap_or(1);
    let next = attempt.saturating_add(1).to_string();
    kafka::headers_without(own, |name| OURS.contains(&name)).insert(Header { key: ATTEMPT, value: Some(&next) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::Timestamp;

    fn message(headers: OwnedHeaders) -> OwnedMessage {
        OwnedMessage::new(
            Some(b"value".to_vec()),
            Some(b"key".to_vec()),
            "t".into(),
            Timestamp::NotAvailable,
            3,
            42,
            Some(headers),
        )
    }

    #[test]
    fn a_letter_says_where_from_and_why() {
        let own = OwnedHeaders::new().insert(Header { key: "mine", value: Some("x") });
        let letter = DeadLetter::new(&message(own), &Malformed::new("InvalidJson", "value is not JSON"));
        let read = |name| kafka::header(Some(&letter.headers), name).map(str::to_owned);
        assert_eq!(read("mine").as_deref(), Some("x"));
        assert_eq!(read(TOPIC).as_deref(), Some("t"));
        assert_eq!(read(PARTITION).as_deref(), Some("3"));
        assert_eq!(read(OFFSET).as_deref(), Some("42"));
        assert_eq!(read(CLASS).as_deref(), Some("InvalidJson"));
        assert_eq!(read(MESSAGE).as_deref(), Some("value is not JSON"));
        assert_eq!(read(ATTEMPT).as_deref(), Some("1"));
    }

    #[test]
    fn attempts_are_counted_through_replays() {
        let first = DeadLetter::new(&message(OwnedHeaders::new()), &Malformed::new("A", "a"));
        let again = headers_of_next_attempt(Some(&first.headers), Some(&first.headers));
        let second = DeadLetter::new(&message(again), &Malformed::new("A", "a"));
        assert_eq!(kafka::header(Some(&second.headers), ATTEMPT), Some("2"));
        assert_eq!(second.headers.iter().filter(|h| h.key == TOPIC).count(), 1);
    }
}
