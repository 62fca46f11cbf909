//! Dead letters taken back in: written to the topics they came from, each once.
//!
//! A record and a marker in the dead-letter topic are in one transaction; letters with a marker are passed over. Letters
//! are never held in memory beyond a transaction's worth.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::{
    ClientConfig, Message,
    message::{Header, OwnedHeaders, OwnedMessage},
};

use super::{
    Error, Shutdown, deadletter, kafka,
    output::{Out, say},
    transaction::{Record, Transactions},
};

/// On a marker in the dead-letter topic: `partition:offset` of the letter that was replayed.
const REPLAYED: &str = "afterimage.replayed";
/// Letters of one transaction.
const AT_ONCE: usize = 500;

/// Which dead letters to take back in.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Only those whose error class, message or origin (`topic/partition@offset`) contains this text.
    pub filter: Option<String>,
    /// Show them only.
    pub dry_run: bool,
}

/// What a replay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Letters that matched and had not been replayed.
    pub matched: usize,
    /// Of these, written back to their topics.
    pub written: usize,
    /// Letters passed over, because the filter did not match or they had been replayed before.
    pub passed: usize,
}

/// Replays the letters of `topic` that came from one of `origins`, and says what it does.
///
/// # Errors
/// [`Error::Kafka`]; then nothing of the unfinished transaction counts.
pub fn replay(
    client: &ClientConfig,
    topic: &str,
    origins: &[&str],
    options: &Replay,
    out: Out<'_>,
) -> Result<Replayed, Error> {
    let ends = kafka::ends(&kafka::reader(client, "read_committed")?, topic)?;
    let from: BTreeMap<i32, i64> = ends.iter().map(|(partition, (low, _))| (*partition, *low)).collect();
    let mut done: BTreeSet<String> = BTreeSet::new();
    kafka::read_to_end(
        client,
        topic,
        &from,
        || true,
        |message| {
            done.extend(kafka::header(message.headers(), REPLAYED).map(str::to_owned));
            Ok(())
        },
    )?;
    let producer =
        if options.dry_run { None } else { Transactions::open(client, &format!("{topic}-replay"), &Shutdown::new())? };
    let mut result = Replayed::default();
    let mut letters: Vec<Letter> = Vec::new();
    kafka::read_to_end(
        client,
        topic,
        &from,
        || true,
        |message| {
            // What came since the start is not looked at: the markers, and letters that have just failed again.
            let is_new = ends.get(&message.partition()).is_none_or(|(_, end)| message.offset() >= *end);
            if is_new || kafka::header(message.headers(), REPLAYED).is_some() {
                return Ok(());
            }
            let letter = Letter::new(message.detach());
            if done.contains(&letter.place) || !letter.is_wanted(origins, options) {
                result.passed += 1;
                return Ok(());
            }
            result.matched += 1;
            say(&mut *out, format_args!("{letter}"))?;
            if let Some(producer) = &producer {
                letters.push(letter);
                if letters.len() >= AT_ONCE {
                    result.written += write(producer, topic, &letters)?;
                    letters.clear();
                }
            }
            Ok(())
        },
    )?;
    if let Some(producer) = &producer
        && !letters.is_empty()
    {
        result.written += write(producer, topic, &letters)?;
    }
    say(
        out,
        format_args!(
            "{} dead letters matched, {} written back, {} passed over{}",
            result.matched,
            result.written,
            result.passed,
            if options.dry_run { " (dry run)" } else { "" }
        ),
    )?;
    Ok(result)
}

fn write(producer: &Transactions, topic: &str, letters: &[Letter]) -> Result<usize, Error> {
    let mut records = Vec::with_capacity(letters.len().saturating_mul(2));
    for letter in letters {
        let headers = letter.message.headers();
        records.push(Record {
            topic: &letter.origin,
            // Where it came from, so that it stays behind the earlier changes of its row.
            partition: letter.partition,
            key: letter.message.key(),
            value: letter.message.payload(),
            headers: Some(deadletter::headers_of_next_attempt(headers, headers)),
        });
        records.push(Record {
            topic,
            partition: Some(letter.message.partition()),
            key: Some(letter.place.as_bytes()),
            value: None,
            headers: Some(OwnedHeaders::new().insert(Header { key: REPLAYED, value: Some(&letter.place) })),
        });
    }
    producer.commit::<Error>(records, None, || Ok(()))?;
    Ok(letters.len())
}

struct Letter {
    message: OwnedMessage,
    /// `partition:offset` in the dead-letter topic.
    place: String,
    origin: String,
    partition: Option<i32>,
}

impl Letter {
    fn new(message: OwnedMessage) -> Self {
        let place = format!("{}:{}", message.partition(), message.offset());
        let mut letter = Self { message, place, origin: String::new(), partition: None };
        letter.origin = letter.header(deadletter::TOPIC).to_owned();
        letter.partition = letter.header(deadletter::PARTITION).parse().ok();
        letter
    }

    fn header(&self, name: &str) -> &str {
        kafka::header(self.message.headers(), name).unwrap_or_default()
    }

    fn is_wanted(&self, origins: &[&str], options: &Replay) -> bool {
        let matches = options.filter.as_ref().is_none_or(|text| self.to_string().contains(text));
        origins.contains(&self.origin.as_str()) && matches
    }
}

impl std::fmt::Display for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let attempt = self.header(deadletter::ATTEMPT);
        write!(
            f,
            "{} from {}/{}@{} ({}, attempt {}): {}",
            self.place,
            self.origin,
            self.header(deadletter::PARTITION),
            self.header(deadletter::OFFSET),
            self.header(deadletter::CLASS),
            if attempt.is_empty() { "1" } else { attempt },
            self.header(deadletter::MESSAGE),
        )
    }
}
