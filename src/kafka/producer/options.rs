//! What the producer takes from [`Settings`]: librdkafka's names and values become numbers and durations.

use std::{str::FromStr, time::Duration};

use crate::{
    io::{address::Address, security::Security},
    settings::Settings,
    wire::compress::Codec,
};

/// Largest batch unless `batch.size` says otherwise, bytes before compression: a broker's default limit
/// (`message.max.bytes`, 1,048,588) counts the compressed bytes, of which there are never more.
const BATCH_BYTES: usize = 1 << 20;

/// A producer's options.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) bootstrap: Vec<Address>,
    pub(crate) client: String,
    /// -1 is all.
    pub(crate) acks: i16,
    pub(crate) idempotent: bool,
    /// Most unanswered Produce requests of a connection.
    pub(crate) in_flight: usize,
    pub(crate) codec: Codec,
    pub(crate) linger: Duration,
    /// A batch is closed before it passes this many bytes, header included.
    pub(crate) batch_bytes: usize,
    /// A record whose batch would be larger is refused.
    pub(crate) max_request: usize,
    /// Bound of records waiting and in flight.
    pub(crate) queue_bytes: usize,
    /// How long a record may wait; `None` is without end.
    pub(crate) delivery_timeout: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) request_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retry_backoff: Backoff,
    pub(crate) reconnect_backoff: Backoff,
    pub(crate) metadata_age: Duration,
    /// A connection without traffic for so long is closed; `None` is never.
    pub(crate) connection_idle: Option<Duration>,
    pub(crate) send_buffer: u32,
    /// Whether keys do not choose the partition.
    pub(crate) ignore_keys: bool,
    pub(crate) security: Security,
}

/// A pause that grows from `first` to `most`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
}

impl Backoff {
    /// The pause after the `failures`-th failure in a row (from 1): doubled each time, a fifth more or less by
    /// chance, so that clients of a broker that was away do not come back together.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let pause = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.most.max(self.first));
        pause.mul_f64(0.8 + rand::random::<f64>() * 0.4)
    }
}

impl Options {
    /// Reads them; values that [`Settings`] has let pass are right or have their default.
    ///
    /// # Errors
    /// A text for the user: a server's address or a key file cannot be used.
    pub(crate) fn read(settings: &Settings) -> Result<Self, String> {
        let ms = |key: &str, default: u64| Duration::from_millis(number(settings, key).unwrap_or(default));
        let flag = |key: &str| settings.get(key) == Some("true");
        let max_request = number(settings, "message.max.bytes").unwrap_or(BATCH_BYTES);
        let queue_bytes = number::<usize>(settings, "queue.buffering.max.kbytes").unwrap_or(32 << 10) << 10;
        let batch_bytes = match number(settings, "batch.size") {
            Some(size) => max_request.min(size),
            // Several must fit the queue, so that one is filled while others are on their way.
            None => max_request.min(BATCH_BYTES).min(queue_bytes / 4),
        };
        let idle = ms("connections.max.idle.ms", 540_000);
        Ok(Self {
            bootstrap: Address::parse_list(settings.get("bootstrap.servers").unwrap_or_default())?,
            client: settings.get("client.id").unwrap_or("afterimage").to_owned(),
            acks: match settings.get("acks") {
                Some("0") => 0,
                Some("1") => 1,
                _ => -1,
            },
            idempotent: flag("enable.idempotence"),
            in_flight: number(settings, "max.in.flight.requests.per.connection").unwrap_or(5).clamp(1, 1000),
            codec: codec(settings),
            linger: ms("linger.ms", 0),
            batch_bytes,
            max_request,
            queue_bytes,
            delivery_timeout: Some(ms("message.timeout.ms", 0)).filter(|limit| !limit.is_zero()),
            retries: number(settings, "message.send.max.retries").unwrap_or(u32::MAX),
            request_timeout: ms("request.timeout.ms", 30_000),
            connect_timeout: ms("socket.connection.setup.timeout.ms", 10_000),
            retry_backoff: Backoff { first: ms("retry.backoff.ms", 100), most: ms("retry.backoff.max.ms", 1000) },
            reconnect_backoff: Backoff {
                first: ms("reconnect.backoff.ms", 50),
                most: ms("reconnect.backoff.max.ms", 1000),
            },
            metadata_age: ms("topic.metadata.refresh.interval.ms", 300_000),
            connection_idle: Some(idle).filter(|idle| !idle.is_zero()),
            send_buffer: number(settings, "socket.send.buffer.bytes").unwrap_or(0),
            ignore_keys: settings.get("partitioner") == Some("random"),
            security: Security::read(settings)?,
        })
    }
}

fn number<T: FromStr>(settings: &Settings, key: &str) -> Option<T> {
    settings.get(key).and_then(|value| value.parse().ok())
}

fn codec(settings: &Settings) -> Codec {
    // Below zero is the library's default; so is Java's own default of gzip.
    let level = number::<i32>(settings, "compression.level").filter(|level| *level > 0);
    match settings.get("compression.type") {
        Some("gzip") => Codec::Gzip(level.map(|level| level.unsigned_abs().min(9))),
        Some("snappy") => Codec::Snappy,
        Some("lz4") => Codec::Lz4,
        Some("zstd") => Codec::Zstd(level),
        _ => Codec::None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::settings::Role;

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut java: BTreeMap<String, String> =
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        java.entry("bootstrap.servers".into()).or_insert_with(|| "a:1".into());
        let mut settings = Settings::translate(Role::Producer, &java).unwrap_or_else(|p| panic!("{p:?}"));
        settings.bound_queue(10 << 20);
        Options::read(&settings).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn defaults_are_connects_with_idempotence() {
        let o = options(&[]);
        assert_eq!((o.acks, o.idempotent, o.in_flight, o.codec), (-1, true, 5, Codec::None));
        assert_eq!((o.batch_bytes, o.max_request, o.queue_bytes), (1 << 20, 1 << 20, 10 << 20));
        assert_eq!((o.delivery_timeout, o.retries, o.linger), (None, u32::MAX, Duration::ZERO));
        assert_eq!((o.request_timeout, o.connect_timeout), (Duration::from_secs(30), Duration::from_secs(10)));
    }

    #[test]
    fn settings_are_taken() {
        let o = options(&[
            ("acks", "1"),
            ("batch.size", "16384"),
            ("linger.ms", "7"),
            ("compression.type", "zstd"),
            ("compression.zstd.level", "9"),
            ("delivery.timeout.ms", "5000"),
            ("retries", "3"),
            ("max.request.size", "5000000"),
            ("partitioner.ignore.keys", "true"),
        ]);
        assert_eq!((o.acks, o.idempotent, o.in_flight, o.codec), (1, false, 1, Codec::Zstd(Some(9))));
        assert_eq!((o.batch_bytes, o.max_request, o.linger.as_millis()), (16384, 5_000_000, 7));
        assert_eq!((o.delivery_timeout, o.retries, o.ignore_keys), (Some(Duration::from_secs(5)), 3, true));
        assert_eq!(options(&[("batch.size", "9000000")]).batch_bytes, 1 << 20);
        assert_eq!(options(&[("max.request.size", "9000000")]).batch_bytes, 1 << 20);
    }

    #[test]
    fn pauses_grow_to_their_limit() {
        let backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(1) };
        for (failures, ms) in [(1, 50.0), (2, 100.0), (5, 800.0), (6, 1000.0), (60, 1000.0)] {
            let pause = backoff.pause(failures).as_secs_f64() * 1000.0;
            assert!((ms * 0.79..ms * 1.21).contains(&pause), "{failures}: {pause}");
        }
    }
}
