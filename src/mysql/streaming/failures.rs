//! Events that cannot be processed: what is said of them, and what `event.processing.failure.handling.mode` makes of
//! it. Passing over never touches an event that moves the position or begins or ends a transaction.

use std::fmt;

use engine::error::{Failure, TaskError};
use mysql_protocol::{
    DecodeError,
    event::{Event, EventHeader, EventType},
};

use super::Streamer;
use crate::{config::FailureMode, progress::Progress, table_maps::MappedTable};

/// Events whose loss is a loss of rows alone.
const ROWS: &[EventType] = &[
    EventType::TABLE_MAP,
    EventType::WRITE_ROWS,
    EventType::UPDATE_ROWS,
    EventType::DELETE_ROWS,
    EventType::WRITE_ROWS_V1,
    EventType::UPDATE_ROWS_V1,
    EventType::DELETE_ROWS_V1,
];

/// Events that may hold whole transactions: nobody could say from where to go on.
const WHOLE_TRANSACTIONS: &[EventType] = &[EventType::TRANSACTION_PAYLOAD];

/// What the mode makes of a definite failure.
///
/// # Errors
/// The failure, in mode `fail`, and one that may pass in any mode.
pub(crate) fn by_mode(mode: FailureMode, error: TaskError) -> Result<(), TaskError> {
    match mode {
        _ if error.is_transient() => Err(error),
        FailureMode::Fail => Err(error),
        FailureMode::Warn => {
            tracing::warn!("{error}; it is passed over");
            Ok(())
        }
        FailureMode::Skip | FailureMode::Ignore => {
            tracing::debug!("{error}; it is passed over");
            Ok(())
        }
    }
}

impl Streamer<'_> {
    /// The event at hand cannot be processed: the end of the stream, or its end alone.
    pub(super) fn pass_over(&mut self, error: TaskError) -> Result<(), TaskError> {
        by_mode(self.config.streaming.processing_failure, error)?;
        self.metrics.erroneous.add(1);
        self.progress.event_done();
        Ok(())
    }

    pub(super) fn undecodable(&mut self, bytes: &[u8], error: &DecodeError) -> Result<(), TaskError> {
        let header = EventHeader::parse(bytes);
        let kind = header.as_ref().map_or_else(|_| "an event".to_owned(), |header| header.event_type.to_string());
        let failure = Failure::from_error(
            format!(
                "Error while deserializing binlog event at offset {}: {kind} after this place cannot be read",
                self.place()
            ),
            error,
        );
        match (error, header) {
            // Bytes damaged on the way may arrive whole the next time.
            (DecodeError::Checksum { .. }, _) => Err(TaskError::Transient(failure)),
            (_, Ok(header)) if ROWS.contains(&header.event_type) => {
                self.progress.advance(&header);
                self.pass_over(TaskError::Definite(failure))
            }
            _ => Err(TaskError::Definite(failure)),
        }
    }

    pub(super) fn unsupported(&mut self, event: &Event<'_>) -> Result<(), TaskError> {
        let error = TaskError::definite(format!(
            "binlog event {} at {} is not supported by this version: it may hold changes, so the connector stops instead of \
             passing it over",
            event.header.event_type,
            self.place()
        ));
        if WHOLE_TRANSACTIONS.contains(&event.header.event_type) { Err(error) } else { self.pass_over(error) }
    }

    pub(super) fn bad_row(&self, mapped: &MappedTable, error: &DecodeError) -> TaskError {
        TaskError::Definite(Failure::from_error(
            format!(
                "Error while deserializing binlog event at offset {}: rows of table {}",
                self.place(),
                mapped.collection
            ),
            error,
        ))
    }

    pub(super) fn too_large(&self, mapped: &MappedTable) -> TaskError {
        TaskError::definite(format!("a row of table {} at {} is larger than 4 GB", mapped.collection, self.place()))
    }

    pub(super) fn describe(&self, mapped: &MappedTable) -> String {
        format!("table {} at {}", mapped.collection, self.place())
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place(&self.progress)
    }
}

/// `file:position` of the event at hand.
pub(super) struct Place<'a>(&'a Progress);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.file(), self.0.event_start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_definite_failures_are_passed_over() {
        let (definite, transient) = (TaskError::definite("broken"), TaskError::transient("away"));
        for mode in [FailureMode::Warn, FailureMode::Skip, FailureMode::Ignore] {
            assert_eq!(by_mode(mode, definite.clone()), Ok(()));
            assert_eq!(by_mode(mode, transient.clone()), Err(transient.clone()));
        }
        assert_eq!(by_mode(FailureMode::Fail, definite.clone()), Err(definite));
    }
}
