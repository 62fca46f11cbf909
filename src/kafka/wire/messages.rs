//! The requests that the producer makes, and their answers (<https://kafka.apache.org/protocol>).
//!
//! One version of each is spoken, the newest that Kafka 2.8 to 4.3 all know and that is not written in the flexible
//! form; [`supported`] compares them with what a broker offers.

use crate::wire::codec::{Malformed, Reader, put_compact_string, put_i16, put_i32, put_nullable_string, put_string};

/// A request of the protocol: number and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Api {
    pub(crate) name: &'static str,
    pub(crate) key: i16,
    pub(crate) version: i16,
}

const fn api(name: &'static str, key: i16, version: i16) -> Api {
    Api { name, key, version }
}

pub(crate) const PRODUCE: Api = api("Produce", 0, 8);
pub(crate) const METADATA: Api = api("Metadata", 3, 7);
pub(crate) const SASL_HANDSHAKE: Api = api("SaslHandshake", 17, 1);
pub(crate) const API_VERSIONS: Api = api("ApiVersions", 18, 3);
pub(crate) const INIT_PRODUCER_ID: Api = api("InitProducerId", 22, 1);
pub(crate) const SASL_AUTHENTICATE: Api = api("SaslAuthenticate", 36, 1);

/// A request's length (four bytes, filled in by [`finish`]) and header.
pub(crate) fn begin(api: Api, correlation: i32, client: &str) -> Vec<u8> {
    let mut out = vec![0; 4];
    put_i16(&mut out, api.key);
    put_i16(&mut out, api.version);
    put_i32(&mut out, correlation);
    put_nullable_string(&mut out, Some(client));
    if api == API_VERSIONS {
        // The only flexible request has tagged fields in its header.
        out.push(0);
    }
    out
}

/// Fills in the length of a request of which `rest` more bytes follow.
pub(crate) fn finish(request: &mut [u8], rest: usize) {
    let length = (request.len() + rest).saturating_sub(4) as i32;
    if let Some(head) = request.first_chunk_mut::<4>() {
        *head = length.to_be_bytes();
    }
}

/// Body of an ApiVersions request.
pub(crate) fn put_api_versions(out: &mut Vec<u8>) {
    put_compact_string(out, "afterimage");
    put_compact_string(out, env!("CARGO_PKG_VERSION"));
    out.push(0);
}

/// Kafka's UNSUPPORTED_VERSION.
const UNSUPPORTED_VERSION: i16 = 35;

/// Reads an ApiVersions answer: what keeps this broker from being used, if anything.
pub(crate) fn supported(answer: &[u8], needed: &[Api]) -> Result<Option<String>, Malformed> {
    let mut reader = Reader::new(answer);
    let code = reader.i16()?;
    if code == UNSUPPORTED_VERSION {
        return Ok(Some("the broker is older than Kafka 2.4".into()));
    }
    if code != 0 {
        return Ok(Some(format!("the broker does not say what it speaks (error {code})")));
    }
    let mut offered = Vec::new();
    for _ in 0..reader.compact_count(7)? {
        offered.push((reader.i16()?, reader.i16()?, reader.i16()?));
        reader.skip_tags()?;
    }
    let unfit = needed.iter().find_map(|api| match offered.iter().find(|(key, _, _)| *key == api.key) {
        None => Some(format!("the broker does not know {} requests", api.name)),
        Some((_, least, most)) => (!(*least..=*most).contains(&api.version)).then(|| {
            format!("the broker speaks {} in versions {least} to {most}, version {} is needed", api.name, api.version)
        }),
    });
    Ok(unfit)
}

/// Body of a Metadata request.
pub(crate) fn put_metadata<'a>(
    out: &mut Vec<u8>,
    topics: impl ExactSizeIterator<Item = &'a str>,
    allow_creation: bool,
) {
    put_i32(out, topics.len() as i32);
    topics.for_each(|topic| put_string(out, topic));
    out.push(u8::from(allow_creation));
}

/// Answer to a Metadata request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) brokers: Vec<BrokerAddress>,
    pub(crate) topics: Vec<TopicMetadata>,
}

/// A broker and where it listens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BrokerAddress {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What a broker says of a topic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TopicMetadata {
    /// Kafka's error code, 0 for none.
    pub(crate) code: i16,
    pub(crate) name: String,
    pub(crate) partitions: Vec<PartitionMetadata>,
}

/// A partition and its leader, if it has one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PartitionMetadata {
    pub(crate) index: usize,
    pub(crate) leader: Option<i32>,
}

pub(crate) fn metadata(answer: &[u8]) -> Result<Metadata, Malformed> {
    let mut reader = Reader::new(answer);
    reader.i32()?;
    let mut brokers = Vec::new();
    for _ in 0..reader.count(12)? {
        let (id, host, port) = (reader.i32()?, reader.string()?.to_owned(), reader.i32()?);
        reader.nullable_string()?;
        let port = u16::try_from(port).map_err(|_| Malformed("a broker's port is no port"))?;
        brokers.push(BrokerAddress { id, host, port });
    }
    reader.nullable_string()?;
    reader.i32()?;
    let mut topics = Vec::new();
    for _ in 0..reader.count(9)? {
        let (code, name) = (reader.i16()?, reader.string()?.to_owned());
        reader.byte()?;
        let mut partitions = Vec::new();
        for _ in 0..reader.count(26)? {
            let (_, index, leader) = (reader.i16()?, reader.i32()?, reader.i32()?);
            reader.i32()?;
            (0..3).try_for_each(|_| reader.skip_i32s())?;
            let index = usize::try_from(index).map_err(|_| Malformed("a partition's number is negative"))?;
            partitions.push(PartitionMetadata { index, leader: (leader >= 0).then_some(leader) });
        }
        topics.push(TopicMetadata { code, name, partitions });
    }
    Ok(Metadata { brokers, topics })
}

/// Body of an InitProducerId request without transactions.
pub(crate) fn put_init_producer_id(out: &mut Vec<u8>) {
    put_nullable_string(out, None);
    put_i32(out, i32::MAX);
}

/// Answer to InitProducerId: error code, id, epoch.
pub(crate) fn producer_id(answer: &[u8]) -> Result<(i16, i64, i16), Malformed> {
    let mut reader = Reader::new(answer);
    reader.i32()?;
    Ok((reader.i16()?, reader.i64()?, reader.i16()?))
}

/// Body of a Produce request up to its topics. Then come, for each topic, [`put_produce_topic`] and, for each of its
/// partitions, [`put_produce_partition`] followed by the batch.
pub(crate) fn put_produce(out: &mut Vec<u8>, acks: i16, timeout_ms: i32, topics: usize) {
    put_nullable_string(out, None);
    put_i16(out, acks);
    put_i32(out, timeout_ms);
    put_i32(out, topics as i32);
}

pub(crate) fn put_produce_topic(out: &mut Vec<u8>, topic: &str, partitions: usize) {
    put_string(out, topic);
    put_i32(out, partitions as i32);
}

pub(crate) fn put_produce_partition(out: &mut Vec<u8>, partition: i32, batch_bytes: usize) {
    put_i32(out, partition);
    put_i32(out, batch_bytes as i32);
}

/// What became of one batch of a Produce request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Produced<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    /// Kafka's error code, 0 for none.
    pub(crate) code: i16,
}

/// Answer to a Produce request: `each` batch's fate, then how long the broker wants nothing, ms.
pub(crate) fn produced<'a>(answer: &'a [u8], mut each: impl FnMut(Produced<'a>)) -> Result<i32, Malformed> {
    let mut reader = Reader::new(answer);
    for _ in 0..reader.count(6)? {
        let topic = reader.string()?;
        for _ in 0..reader.count(36)? {
            let (partition, code) = (reader.i32()?, reader.i16()?);
            reader.take(24)?;
            for _ in 0..reader.count(6)? {
                reader.i32()?;
                reader.nullable_string()?;
            }
            reader.nullable_string()?;
            each(Produced { topic, partition, code });
        }
    }
    reader.i32()
}

/// Body of a SaslHandshake request.
pub(crate) fn put_sasl_handshake(out: &mut Vec<u8>, mechanism: &str) {
    put_string(out, mechanism);
}

/// Answer to SaslHandshake: error code and the mechanisms that the broker offers.
pub(crate) fn sasl_handshake(answer: &[u8]) -> Result<(i16, Vec<&str>), Malformed> {
    let mut reader = Reader::new(answer);
    let code = reader.i16()?;
    let offered = (0..reader.count(2)?).map(|_| reader.string()).collect::<Result<_, _>>()?;
    Ok((code, offered))
}

/// Body of a SaslAuthenticate request.
pub(crate) fn put_sasl_authenticate(out: &mut Vec<u8>, token: &[u8]) {
    put_i32(out, token.len() as i32);
    out.extend_from_slice(token);
}

/// Answer to SaslAuthenticate: error code, its text, the server's token.
pub(crate) fn sasl_authenticate(answer: &[u8]) -> Result<(i16, Option<&str>, &[u8]), Malformed> {
    let mut reader = Reader::new(answer);
    Ok((reader.i16()?, reader.nullable_string()?, reader.bytes()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::put_unsigned_varint;

    #[test]
    fn a_request_is_as_the_protocol_guide_has_it() {
        let mut request = begin(METADATA, 7, "c");
        put_metadata(&mut request, ["t"].into_iter(), true);
        finish(&mut request, 0);
        let expected = [
            0, 0, 0, 19, // length
            0, 3, 0, 7, 0, 0, 0, 7, 0, 1, b'c', // header
            0, 0, 0, 1, 0, 1, b't', 1, // one topic, may be created
        ];
        assert_eq!(request, expected);
    }

    fn metadata_answer() -> Vec<u8> {
        let mut out = vec![0, 0, 0, 0];
        put_i32(&mut out, 1);
        put_i32(&mut out, 3);
        put_string(&mut out, "::1");
        put_i32(&mut out, 9092);
        put_nullable_string(&mut out, None);
        put_nullable_string(&mut out, Some("cluster"));
        put_i32(&mut out, 3);
        put_i32(&mut out, 1);
        put_i16(&mut out, 0);
        put_string(&mut out, "t");
        out.push(0);
        put_i32(&mut out, 2);
        for (index, leader) in [(0, 3), (1, -1)] {
            put_i16(&mut out, 0);
            put_i32(&mut out, index);
            put_i32(&mut out, leader);
            put_i32(&mut out, 5);
            for replicas in [1, 1, 0] {
                put_i32(&mut out, replicas);
                (0..replicas).for_each(|_| put_i32(&mut out, 3));
            }
        }
        out
    }

    #[test]
    fn answers_are_read_and_cut_ones_are_refused() {
        let answer = metadata_answer();
        let read = metadata(&answer).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read.brokers, [BrokerAddress { id: 3, host: "::1".into(), port: 9092 }]);
        let partitions =
            vec![PartitionMetadata { index: 0, leader: Some(3) }, PartitionMetadata { index: 1, leader: None }];
        assert_eq!(read.topics, [TopicMetadata { code: 0, name: "t".into(), partitions }]);
        for end in 0..answer.len() {
            assert!(metadata(&answer[..end]).is_err(), "cut at {end}");
        }
        let mut answer = vec![0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 5, 0, 6];
        answer.extend_from_slice(&[0; 24]);
        answer.extend_from_slice(&[0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 9]);
        let mut seen = Vec::new();
        assert_eq!(produced(&answer, |p| seen.push(p)), Ok(9));
        assert_eq!(seen, [Produced { topic: "t", partition: 5, code: 6 }]);
        for end in 0..answer.len() {
            assert!(produced(&answer[..end], |_| {}).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn what_a_broker_does_not_speak_is_named() {
        let answer = |entries: &[(i16, i16, i16)]| {
            let mut out = vec![0, 0];
            put_unsigned_varint(&mut out, entries.len() as u64 + 1);
            for (key, least, most) in entries {
                [key, least, most].iter().for_each(|n| put_i16(&mut out, **n));
                out.push(0);
            }
            put_i32(&mut out, 0);
            out.push(0);
            out
        };
        assert_eq!(supported(&answer(&[(0, 3, 12), (3, 0, 13)]), &[PRODUCE, METADATA]), Ok(None));
        let text = |entries: &[(i16, i16, i16)]| supported(&answer(entries), &[PRODUCE]).ok().flatten();
        assert_eq!(
            text(&[(0, 0, 7)]).as_deref(),
            Some("the broker speaks Produce in versions 0 to 7, version 8 is needed")
        );
        assert_eq!(text(&[(3, 0, 7)]).as_deref(), Some("the broker does not know Produce requests"));
        assert!(supported(&[0, 35, 0, 0, 0, 0], &[PRODUCE]).ok().flatten().is_some());
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = (metadata(&bytes), produced(&bytes, |_| {}), producer_id(&bytes));
            let _ = (sasl_handshake(&bytes), sasl_authenticate(&bytes), supported(&bytes, &[PRODUCE]));
        }
    }
}
