//! What a source connector implements to be driven by the engine.

use std::future::Future;

use model::Position;

use crate::{
    error::TaskError,
    sender::{BatchSender, Stopped},
};

/// What a source does after its checks.
#[derive(Debug, Clone, PartialEq)]
pub enum StartPlan<P> {
    /// Take a snapshot, then stream from its position if `stream`.
    Snapshot {
        /// Whether streaming follows.
        stream: bool,
    },
    /// Stream from here.
    Stream(P),
    /// Nothing is left to do; the task stays RUNNING and idle.
    Idle,
}

/// How much a source lets wait on the way to Kafka, as its user set it; the byte budget bounds it in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most rows of a batch (`max.batch.size`), above zero.
    pub batch_rows: usize,
    /// Most rows that wait for an encoder (`max.queue.size`).
    pub queue_rows: usize,
    /// Most bytes that wait for an encoder (`max.queue.size.in.bytes`), when set.
    pub queue_bytes: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch_rows: 2048, queue_rows: 8192, queue_bytes: None }
    }
}

/// A source of changes: one object per task incarnation, used by one task.
///
/// Each method ends early with [`crate::sender::Stopped`] turned into `Ok` by the driver when the sender says so.
pub trait Source: Send + 'static {
    /// Its resumable place.
    type Position: Position;

    /// How much may wait on the way to Kafka.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Connects, checks the server, recovers the schema history and decides what is to be done, given the stored
    /// position. Moves nothing: a failure here leaves every offset as it was.
    fn prepare(
        &mut self,
        stored: Option<Self::Position>,
    ) -> impl Future<Output = Result<StartPlan<Self::Position>, TaskError>> + Send;

    /// Reads a consistent snapshot; gives the position from which streaming goes on.
    fn snapshot(
        &mut self,
        out: &mut BatchSender<Self::Position>,
    ) -> impl Future<Output = Result<Self::Position, TaskError>> + Send;

    /// Streams from a position until stopped or failed.
    fn stream(
        &mut self,
        from: Self::Position,
        out: &mut BatchSender<Self::Position>,
    ) -> impl Future<Output = Result<(), TaskError>> + Send;
}

/// The reader of one task: snapshot, then stream, as planned. `announce`: the position to stream from goes through the
/// pipeline as an empty batch first, because Kafka does not know it. The end of the pipeline ends the reader without an
/// error.
///
/// # Errors
/// The source's.
pub async fn read<S: Source>(
    mut source: S,
    plan: StartPlan<S::Position>,
    mut out: BatchSender<S::Position>,
    announce: bool,
) -> Result<(), TaskError> {
    let result = async {
        out.ready().await?;
        let from = match plan {
            StartPlan::Stream(from) => {
                if announce {
                    out.dispatch(from.clone()).await?;
                }
                from
            }
            StartPlan::Snapshot { stream } => {
                let end = source.snapshot(&mut out).await?;
                if !stream {
                    return Ok(());
                }
                end
            }
            StartPlan::Idle => return Ok(()),
        };
        source.stream(from, &mut out).await
    }
    .await;
    match result {
        Err(error) if Stopped::is(&error) => Ok(()),
        other => other,
    }
}
