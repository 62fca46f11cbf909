//! Binlog files read as a connector's stream, without a server: the whole way from bytes to records, for measuring and
//! for looking at logs that no server has any more.
//!
//! Tables are known from the statements in the files, so a file must begin before its tables were created. Never
//! connects: a statement that would need the server's answer ends the replay with the failed connection.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::{
    driver,
    error::{Failure, TaskError},
    plugin::{ConfigMap, ConnectorPlugin, TaskContext},
    sender::BatchSender,
    source::{Limits, Source, StartPlan},
};
use model::OffsetMap;
use mysql_protocol::{
    event::{EventDecoder, EventHeader, HEADER_LEN},
    file::MAGIC,
    gtid::{BinlogFile, GtidSet},
};

use crate::{MySqlPlugin, config::MySqlConfig, connector::MySqlSource, position::MySqlPosition, streaming::Events};

/// Bytes read from a file at once, as much as a dump connection takes.
const CHUNK: usize = 256 << 10;

/// Runs a connector over `file` as if a server had sent it; afterwards the task is idle until it is told to stop.
/// Every file of a server is replayed as the first of its log, with no GTID seen before.
///
/// # Errors
/// As a connector's task; or the file cannot be read, or ends inside an event.
pub async fn run(file: PathBuf, task: TaskContext) -> Result<(), TaskError> {
    let partition: OffsetMap = MySqlPlugin.partition(&task.config);
    let config = parse(&task.config)?;
    let history = task.history.open(&task.connector, &task.config)?;
    let source = MySqlSource::new(config, partition.clone(), history, task.records.clone(), task.metrics.clone());
    driver::run(Replay { source, file }, partition, task).await
}

fn parse(config: &ConfigMap) -> Result<MySqlConfig, TaskError> {
    MySqlConfig::parse(config).map_err(|errors| {
        let problems: Vec<String> = errors.into_iter().map(|(name, problem)| format!("{name}: {problem}")).collect();
        TaskError::definite(problems.join("; "))
    })
}

/// A connector that streams from a file.
struct Replay {
    source: MySqlSource,
    file: PathBuf,
}

impl Source for Replay {
    type Position = MySqlPosition;

    fn limits(&self) -> Limits {
        self.source.limits()
    }

    async fn prepare(&mut self, _: Option<MySqlPosition>) -> Result<StartPlan<MySqlPosition>, TaskError> {
        self.source.prepare_offline();
        let name = self.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let file: BinlogFile = name.parse().map_err(|_| {
            TaskError::definite(format!("{}: a binlog file's name ends with a number", self.file.display()))
        })?;
        Ok(StartPlan::Stream(MySqlPosition::new(file, MAGIC.len() as u64, Some(Arc::new(GtidSet::default())))))
    }

    async fn snapshot(&mut self, _: &mut BatchSender<MySqlPosition>) -> Result<MySqlPosition, TaskError> {
        Err(TaskError::definite("a file has no tables to take a snapshot of"))
    }

    async fn stream(&mut self, from: MySqlPosition, out: &mut BatchSender<MySqlPosition>) -> Result<(), TaskError> {
        let mut events = FileEvents::open(&self.file)?;
        self.source.stream_events(&mut events, EventDecoder::for_file(), &from, out).await
    }
}

/// The events of a file.
struct FileEvents {
    file: File,
    name: PathBuf,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

impl FileEvents {
    fn open(name: &Path) -> Result<Self, TaskError> {
        let unreadable = |error: &(dyn std::error::Error + 'static)| Self::failure(name, error);
        let mut file = File::open(name).map_err(|error| unreadable(&error))?;
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic).map_err(|error| unreadable(&error))?;
        if magic != MAGIC {
            return Err(TaskError::definite(format!("{} is not a binlog file", name.display())));
        }
        Ok(Self { file, name: name.to_owned(), buffer: Vec::new(), start: 0, ended: false })
    }

    fn failure(name: &Path, error: &(dyn std::error::Error + 'static)) -> TaskError {
        TaskError::Definite(Failure::from_error(format!("{} cannot be read", name.display()), error))
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or(&[])
    }
}

impl Events for FileEvents {
    fn poll_event(&mut self) -> Result<Option<&[u8]>, TaskError> {
        let rest = self.rest();
        if rest.len() < HEADER_LEN {
            return Ok(None);
        }
        let header = EventHeader::parse(rest).map_err(|error| Self::failure(&self.name, &error))?;
        let start = self.start;
        let end = start.saturating_add(header.event_length as usize);
        let Some(event) = self.buffer.get(start..end) else { return Ok(None) };
        self.start = end;
        Ok(Some(event))
    }

    async fn receive(&mut self) -> Result<bool, TaskError> {
        if self.ended {
            return if self.rest().is_empty() {
                Ok(false)
            } else {
                Err(TaskError::definite(format!("{} ends inside an event", self.name.display())))
            };
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let read = (&self.file).take(CHUNK as u64).read_to_end(&mut self.buffer);
        let read = read.map_err(|error| Self::failure(&self.name, &error))?;
        self.ended = read == 0;
        Ok(true)
    }
}
