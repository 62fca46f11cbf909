//! The two Redis databases: the keys people read, and the bookkeeping that makes every change count once.
//!
//! One script applies a change, moves the position of its partition and runs the completion check; so Redis always
//! reflects exactly the changes below the positions it holds. What it holds under the bookkeeping's namespace:
//! `epoch` (see `recovery`), `positions` (next offset by partition), `state`, `lines`, `products:{order}` (the rows'
//! index), `sent` (orders whose message was claimed), `outbox:{partition}` (the message claimed by an offset, until its
//! transaction is known to be committed), `ready` (how far `sent` was read from the output topic), `barriers` (while
//! rebuilding: how far each partition must come again).

use redis::{Commands, Connection, RedisError, RedisResult, Script, Value};

use super::change::Operation;
use crate::runtime::{Error, redis::connect, settings::RedisSettings};

const FOLD: &str = include_str!("fold.lua");
/// Of all bookkeeping keys.
pub(crate) const NAMESPACE: &str = "afterimage:orders";

/// One change with the place it came from.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    /// `topic/partition`
    pub(crate) partition: &'a str,
    /// What the caller knows Redis to hold already, at least.
    pub(crate) expected: i64,
    pub(crate) offset: i64,
    pub(crate) operation: &'a Operation,
}

/// What the script answered to one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied {
        order: String,
        /// Distinct products in the set now.
        products: i64,
        /// `num_products`, when the order itself is known.
        wanted: Option<i64>,
        /// The message to send, as stored in the outbox.
        claim: Option<String>,
        complete: bool,
    },
    /// Applied by an earlier try, with the message that try claimed.
    Old { claim: Option<String> },
    /// Redis no longer holds what this worker knows it held.
    Lost,
    /// This partition is rebuilt, another is not yet.
    Wait,
    /// The bookkeeping was rebuilt, or is being, under another epoch.
    OtherEpoch,
}

/// Who may write: see `recovery`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Epoch {
    Ready(String),
    /// Somebody rebuilds or died while rebuilding; `full` when everything was being forgotten.
    Recovering {
        full: bool,
    },
    Missing,
}

/// Connections of one worker to both databases.
pub(crate) struct Book {
    data: Connection,
    book: Connection,
    script: Script,
    data_db: String,
    book_db: String,
    /// Identity of the server process: a restarted Redis may have lost its last writes.
    pub(crate) run_id: String,
    legacy: &'static str,
}

pub(crate) fn key(name: &str) -> String {
    format!("{NAMESPACE}:{name}")
}

impl Book {
    pub(crate) fn open(settings: &RedisSettings, legacy_keys: bool) -> Result<Self, Error> {
        let data_db = settings.connection()?.redis.db.to_string();
        let book_db = settings.bookkeeping_db.to_string();
        let mut data = connect(settings, None)?;
        let mut book = connect(settings, Some(settings.bookkeeping_db))?;
        let server: String = redis::cmd("INFO").arg("server").query(&mut book)?;
        let run_id =
            server.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or("unknown").trim().to_owned();
        let script = Script::new(FOLD);
        script.prepare_invoke().load(&mut data)?;
        Ok(Self { data, book, script, data_db, book_db, run_id, legacy: if legacy_keys { "1" } else { "0" } })
    }

    /// The connection to the bookkeeping database.
    pub(crate) fn bookkeeping(&mut self) -> &mut Connection {
        &mut self.book
    }

    /// The connection to the database of the keys people read.
    pub(crate) fn data(&mut self) -> &mut Connection {
        &mut self.data
    }

    pub(crate) fn epoch(&mut self) -> RedisResult<Epoch> {
        let text: Option<String> = self.book.get(key("epoch"))?;
        Ok(match text {
            None => Epoch::Missing,
            Some(text) if text.starts_with("recovering:") => {
                Epoch::Recovering { full: !text.starts_with("recovering:part:") }
            }
            Some(text) => Epoch::Ready(text),
        })
    }

    /// Whether an epoch was opened on this very server process.
    pub(crate) fn is_of_this_server(&self, epoch: &str) -> bool {
        epoch.rsplit_once(':').is_some_and(|(_, run_id)| run_id == self.run_id)
    }

    pub(crate) fn position(&mut self, partition: &str) -> RedisResult<Option<i64>> {
        self.book.hget(key("positions"), partition)
    }

    pub(crate) fn set_position(&mut self, partition: &str, offset: i64) -> RedisResult<()> {
        self.book.hset(key("positions"), partition, offset)
    }

    /// Lets a partition pass its barrier, because it has no more records.
    pub(crate) fn remove_barrier(&mut self, partition: &str) -> RedisResult<()> {
        self.book.hdel(key("barriers"), partition)
    }

    /// Applies steps in their order, in one round trip.
    pub(crate) fn apply(&mut self, epoch: &str, steps: &[Step<'_>]) -> RedisResult<Vec<Outcome>> {
        let mut pipeline = redis::pipe();
        for step in steps {
            let mut command = self.call(epoch, step.partition, step.expected, step.offset);
            for argument in step.operation.arguments() {
                command.arg(argument);
            }
            pipeline.add_command(command);
        }
        let answers: Vec<Value> = pipeline.query(&mut self.data)?;
        if answers.len() != steps.len() {
            return Err(unexpected("another number of answers than of questions"));
        }
        answers.into_iter().map(outcome).collect()
    }

    /// Asks whether Redis still holds what is known of a partition.
    pub(crate) fn probe(&mut self, epoch: &str, partition: &str, expected: i64) -> RedisResult<Outcome> {
        let mut command = self.call(epoch, partition, expected, expected);
        outcome(command.arg("probe").query(&mut self.data)?)
    }

    /// A call of the script up to the operation.
    fn call(&self, epoch: &str, partition: &str, expected: i64, offset: i64) -> redis::Cmd {
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(self.script.get_hash())
            .arg(0)
            .arg(NAMESPACE)
            .arg(&self.data_db)
            .arg(&self.book_db)
            .arg(epoch)
            .arg(partition)
            .arg(expected)
            .arg(offset)
            .arg(self.legacy);
        command
    }

    /// Forgets claims whose transaction is committed. Failing to is harmless: nobody asks for them again.
    pub(crate) fn forget_claims(&mut self, partition: &str, offsets: &[i64]) -> RedisResult<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        self.book.hdel(key(&format!("outbox:{partition}")), offsets)
    }
}

fn unexpected(what: &'static str) -> RedisError {
    RedisError::from((redis::ErrorKind::TypeError, what))
}

fn outcome(value: Value) -> RedisResult<Outcome> {
    let parts: Vec<Value> = redis::from_redis_value(&value)?;
    let text = |index: usize| -> RedisResult<String> {
        redis::from_redis_value(parts.get(index).ok_or_else(|| unexpected("a short answer of the script"))?)
    };
    let optional = |index: usize| text(index).map(|t| if t.is_empty() { None } else { Some(t) });
    match text(0)?.as_str() {
        "epoch" => Ok(Outcome::OtherEpoch),
        "lost" => Ok(Outcome::Lost),
        "wait" => Ok(Outcome::Wait),
        "old" => Ok(Outcome::Old { claim: optional(1)? }),
        "ok" => Ok(Outcome::Applied {
            order: text(2)?,
            products: text(3)?.parse().map_err(|_| unexpected("a count that is none"))?,
            wanted: optional(4)?.and_then(|wanted| wanted.parse().ok()),
            claim: optional(5)?,
            complete: text(6)? == "1",
        }),
        _ => Err(unexpected("an unknown answer of the script")),
    }
}
