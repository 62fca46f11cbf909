//! The dump of the binary log: registers as a replica, asks for events from a place, hands them out one by one.

use std::time::Duration;

use engine::error::{Failure, TaskError};
use mysql_protocol::{
    event::{ChecksumAlgorithm, EventDecoder},
    gtid::GtidSet,
    packet::{DumpPacket, command},
};

use crate::{link::Link, position::MySqlPosition, server::Server, streaming::Events};

/// Seconds the server may wait for us to take bytes: we stop reading while Kafka is slow or away.
const NET_WRITE_TIMEOUT_SECONDS: u64 = 7 * 86_400;

/// Where a dump starts.
#[derive(Debug, Clone)]
pub(crate) enum DumpFrom {
    /// At a place in a file.
    Place(MySqlPosition),
    /// After the transactions of a set.
    Gtids(GtidSet),
}

/// How to register and keep the connection alive.
#[derive(Debug, Clone)]
pub(crate) struct DumpSettings {
    /// `database.server.id`.
    pub(crate) server_id: u32,
    /// `connect.keep.alive.interval.ms`: the server is asked for a heartbeat at 0.8 of it.
    pub(crate) keep_alive: Duration,
    /// `connect.keep.alive`: a server that is silent for too long is taken for dead.
    pub(crate) watched: bool,
    /// `use.nongraceful.disconnect`: closing drops what is unsent at once.
    pub(crate) nongraceful_disconnect: bool,
    /// `binlog.net.write.timeout`, seconds; 0 for ours.
    pub(crate) net_write_timeout: u64,
    /// `binlog.net.read.timeout`, seconds; 0 leaves the server's.
    pub(crate) net_read_timeout: u64,
}

/// A running dump.
pub(crate) struct DumpStream {
    server: Server,
    link: Link,
    silence_max: Option<Duration>,
}

impl DumpStream {
    /// Starts the dump; gives the decoder that knows how its first events end.
    pub(crate) async fn start(
        server: &Server,
        settings: &DumpSettings,
        from: &DumpFrom,
    ) -> Result<(Self, EventDecoder), TaskError> {
        let mut link = if settings.nongraceful_disconnect {
            Link::connect_nongraceful(server).await?
        } else {
            Link::connect(server).await?
        };
        let write_timeout =
            if settings.net_write_timeout > 0 { settings.net_write_timeout } else { NET_WRITE_TIMEOUT_SECONDS };
        link.run(&format!("SET SESSION net_write_timeout = {write_timeout}")).await?;
        if settings.net_read_timeout > 0 {
            link.run(&format!("SET SESSION net_read_timeout = {}", settings.net_read_timeout)).await?;
        }
        // Without it the server cuts the checksums off, or refuses when it writes them.
        link.run("SET @master_binlog_checksum = @@global.binlog_checksum").await?;
        link.run("SET @source_binlog_checksum = @@global.binlog_checksum").await?;
        let checksum = match link.value("SELECT @@global.binlog_checksum").await?.as_deref() {
            Some("CRC32") => ChecksumAlgorithm::Crc32,
            _ => ChecksumAlgorithm::None,
        };
        // On the same connection before the dump: without it a start by GTIDs makes one heartbeat per skipped event.
        let heartbeat = settings.keep_alive.mul_f64(0.8).max(Duration::from_millis(100)).as_nanos();
        link.run(&format!("SET @master_heartbeat_period = {heartbeat}")).await?;
        link.run(&format!("SET @source_heartbeat_period = {heartbeat}")).await?;
        link.run("SET @slave_uuid = UUID(), @replica_uuid = @slave_uuid").await?;
        link.command(|out| command::register_replica(out, settings.server_id, "", 0)).await?;
        let mut stream =
            Self { server: server.clone(), link, silence_max: settings.watched.then_some(settings.keep_alive * 2) };
        stream.link.expect_ok("registering as a replica").await?;
        match from {
            DumpFrom::Gtids(seen) => {
                stream
                    .link
                    .command(|out| command::binlog_dump_gtid(out, settings.server_id, "", 4, Some(seen), true))
                    .await?;
            }
            DumpFrom::Place(position) => {
                let (file, pos) = (position.file.as_str(), position.pos);
                stream
                    .link
                    .command(|out| {
                        if !command::binlog_dump(out, settings.server_id, file, pos, true) {
                            out.clear();
                            command::binlog_dump_gtid(out, settings.server_id, file, pos, None, true);
                        }
                    })
                    .await?;
            }
        }
        // A fresh dump begins with an artificial ROTATE, which ends as the session agreed: without checksum before
        // 5.6.1, with the server's algorithm since. The FORMAT_DESCRIPTION that follows says it for the rest.
        Ok((stream, EventDecoder::new(checksum)))
    }
}

impl Events for DumpStream {
    fn poll_event(&mut self) -> Result<Option<&[u8]>, TaskError> {
        let Self { server, link, .. } = self;
        let Some(payload) = link.poll()? else { return Ok(None) };
        match DumpPacket::parse(payload) {
            Ok(DumpPacket::Event(event)) => Ok(Some(event)),
            Ok(DumpPacket::End) => Err(TaskError::transient(format!("the server at {server} ended the binlog dump"))),
            Ok(DumpPacket::Error(error)) => Err(ended(server, error.code, &error.message)),
            Err(error) => Err(server.failure("reading the binlog dump", None, error)),
        }
    }

    /// A server that is silent for longer than its heartbeats allow is taken for dead.
    async fn receive(&mut self) -> Result<bool, TaskError> {
        let Some(silence_max) = self.silence_max else { return self.link.receive().await.map(|()| true) };
        match tokio::time::timeout(silence_max, self.link.receive()).await {
            Ok(received) => received.map(|()| true),
            Err(_) => Err(TaskError::transient(format!(
                "the server at {} sent neither events nor heartbeats for {} s; reconnecting",
                self.server,
                silence_max.as_secs()
            ))),
        }
    }
}

/// Why the server ends a dump: another replica with our id, a place it does not have.
fn ended(server: &Server, code: u16, message: &str) -> TaskError {
    match code {
        1236 if message.contains("same server_uuid/server_id") || message.contains("server_id as this") => {
            TaskError::Definite(
                Failure::new(
                    "another replica registered with the same database.server.id; give each connector and replica an id of \
                     its own",
                )
                .caused_by(format!("server error {code}: {message}")),
            )
        }
        1236 => TaskError::Definite(
            Failure::new(
                "the server cannot send the binary log from the stored position: it was purged or belongs to another server. \
                 Take a new snapshot: stop the connector, DELETE its offsets, resume",
            )
            .caused_by(format!("server error {code}: {message}")),
        ),
        _ => server.failure("reading the binlog dump", Some(code), message),
    }
}
