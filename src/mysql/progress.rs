//! Where the reader of the log is: file, byte position, open transaction, and from them the position from which the
//! log can be read again. Pure bookkeeping; decides nothing about rows.

use std::sync::Arc;

use mysql_protocol::{
    event::{EventHeader, GtidEvent},
    gtid::{BinlogFile, Gtid, GtidSet},
};

use crate::position::{MySqlPosition, TransactionContext};

/// What is left of a transaction that was half done when its position was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skip {
    /// Events of the transaction that are done, BEGIN included.
    pub(crate) events: u64,
    /// Rows of the next event that are done.
    pub(crate) rows: u64,
}

/// A transaction between its BEGIN and its end.
#[derive(Debug)]
pub(crate) struct OpenTransaction {
    /// Start of the BEGIN event.
    pub(crate) begin: u64,
    /// Connection that ran it; unknown for transactions begun otherwise.
    pub(crate) thread: Option<u32>,
    /// Events finished so far, BEGIN included.
    pub(crate) events: u64,
    /// Transaction metadata, when it is provided.
    pub(crate) context: Option<TransactionContext>,
}

/// The reader's place.
#[derive(Debug)]
pub(crate) struct Progress {
    file: BinlogFile,
    start: u64,
    end: u64,
    completed: Option<Arc<GtidSet>>,
    gtid: Option<(Gtid, Arc<str>)>,
    commit_us: Option<i64>,
    transaction: Option<OpenTransaction>,
    skip: Option<Skip>,
    skip_next: Option<Skip>,
    restored: Option<Arc<TransactionContext>>,
    server_id: Option<u32>,
    event_seconds: Option<i64>,
    row: u32,
}

impl Progress {
    /// A reader that starts at a stored position.
    pub(crate) fn new(from: &MySqlPosition) -> Self {
        let skip = Skip { events: from.event, rows: from.row };
        Self {
            file: from.file.clone(),
            start: from.pos,
            end: from.pos,
            completed: from.gtids.clone(),
            gtid: None,
            commit_us: None,
            transaction: None,
            skip: None,
            skip_next: (skip.events > 0 || skip.rows > 0).then_some(skip),
            restored: from.transaction.clone(),
            server_id: from.server_id,
            event_seconds: from.ts_sec,
            row: 0,
        }
    }

    /// The file being read.
    pub(crate) fn file(&self) -> &BinlogFile {
        &self.file
    }

    /// Number, in its rows event, of the last row that was published: Debezium leaves it in the source block of
    /// statements that follow.
    pub(crate) fn last_row(&self) -> u32 {
        self.row
    }

    /// Rows of an event were published, `row` the last of them.
    pub(crate) fn published_row(&mut self, row: u32) {
        self.row = row;
    }

    /// Start of the event being handled.
    pub(crate) fn event_start(&self) -> u64 {
        self.start
    }

    /// The open transaction.
    pub(crate) fn transaction(&mut self) -> Option<&mut OpenTransaction> {
        self.transaction.as_mut()
    }

    /// The present transaction's GTID.
    pub(crate) fn gtid(&self) -> Option<&Arc<str>> {
        self.gtid.as_ref().map(|(_, text)| text)
    }

    /// When the present transaction was committed on its first server, microseconds since the epoch.
    pub(crate) fn commit_us(&self) -> Option<i64> {
        self.commit_us
    }

    /// Moves to the next event. Positions are counted from event sizes, because headers have 32 bits of them only.
    pub(crate) fn advance(&mut self, header: &EventHeader) {
        if header.is_artificial() || header.next_position == 0 {
            return;
        }
        let length = u64::from(header.event_length);
        let low = u64::from(header.next_position);
        let counted = self.end.saturating_add(length);
        // The header is right about the low bits also where events in between were not sent (a start in the middle,
        // transactions the server skipped): the file has grown by less than 4 GiB since.
        let mut end = (self.end & !0xffff_ffff) | low;
        if end < self.end {
            end += 1 << 32;
        }
        self.end = if counted & 0xffff_ffff == low { counted } else { end };
        self.start = self.end.saturating_sub(length);
        self.server_id = Some(header.server_id);
        if header.timestamp != 0 {
            self.event_seconds = Some(i64::from(header.timestamp));
        }
    }

    /// The stream goes on in another file (or says which one it starts in).
    pub(crate) fn rotate(&mut self, file: BinlogFile, position: u64) {
        self.file = file;
        self.start = position;
        self.end = position;
    }

    /// A transaction (or a single statement) with or without a name begins.
    pub(crate) fn begin_group(&mut self, event: &GtidEvent<'_>, gtid_mode: bool) {
        // Another name says that what had the last one is over, however it ended.
        if self.gtid.is_some() {
            self.complete();
        }
        self.gtid = event.gtid().map(|gtid| {
            let text = gtid.to_string();
            (gtid, text.into())
        });
        // Without GTIDs the header's seconds are used, as Debezium does.
        self.commit_us = event
            .original_commit_timestamp
            .filter(|_| gtid_mode && !event.anonymous)
            .and_then(|us| i64::try_from(us).ok())
            .filter(|us| *us > 0);
    }

    /// BEGIN was read.
    pub(crate) fn begin(&mut self, thread: Option<u32>) {
        self.transaction = Some(OpenTransaction { begin: self.start, thread, events: 1, context: None });
        self.skip = self.skip_next.take();
    }

    /// Metadata of the transaction that was open when the position was stored, if this is the one.
    pub(crate) fn restored_context(&mut self) -> Option<TransactionContext> {
        self.skip?;
        self.restored.take().map(Arc::unwrap_or_clone)
    }

    /// Whether the event at hand was done before the restart.
    pub(crate) fn skips_event(&self) -> bool {
        let done = self.transaction.as_ref().map_or(0, |tx| tx.events);
        self.skip.is_some_and(|skip| done < skip.events)
    }

    /// Rows at the start of the rows event at hand that were done before the restart.
    pub(crate) fn rows_to_skip(&self) -> u64 {
        let done = self.transaction.as_ref().map_or(0, |tx| tx.events);
        self.skip.filter(|skip| done == skip.events).map_or(0, |skip| skip.rows)
    }

    /// An event inside a transaction is done.
    pub(crate) fn event_done(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.events += 1;
            if self.skip.is_some_and(|skip| transaction.events > skip.events) {
                self.skip = None;
            }
        }
    }

    /// The transaction, or the single statement, is complete.
    pub(crate) fn complete(&mut self) -> Option<OpenTransaction> {
        if let Some((gtid, _)) = self.gtid.take() {
            // A position without GTIDs stays one: a set that begins in the middle would ask for the log's beginning.
            if let Some(completed) = &mut self.completed {
                Arc::make_mut(completed).add(gtid);
            }
        }
        self.skip = None;
        self.commit_us = None;
        self.transaction.take()
    }

    /// From here the log can be read again, with `rows` rows of the event at hand done.
    pub(crate) fn position(&self, rows: u64) -> MySqlPosition {
        let (pos, event) = match &self.transaction {
            Some(transaction) => (transaction.begin, transaction.events),
            None => (self.end, 0),
        };
        let context = self.transaction.as_ref().and_then(|tx| tx.context.clone()).map(Arc::new);
        let mut position = MySqlPosition::new(self.file.clone(), pos, self.completed.clone());
        position.event = event;
        position.row = rows;
        position.server_id = self.server_id;
        position.ts_sec = self.commit_us.map(|us| us / 1_000_000).or(self.event_seconds);
        position.transaction = context;
        position
    }

    /// The position of a statement outside transactions: its end, its own GTID not yet included.
    pub(crate) fn statement_position(&self) -> MySqlPosition {
        let mut position = self.position(0);
        if self.transaction.is_none() {
            position.pos = self.end;
        }
        position
    }
}

#[cfg(test)]
mod tests {
    use mysql_protocol::event::EventType;

    use super::*;

    fn header(length: u32, next: u32) -> EventHeader {
        let event_type = EventType::QUERY;
        EventHeader { timestamp: 7, event_type, server_id: 1, event_length: length, next_position: next, flags: 0 }
    }

    fn progress(pos: u64) -> Progress {
        Progress::new(&MySqlPosition::new("b.000001".parse().expect("a name"), pos, None))
    }

    #[test]
    fn a_position_inside_a_transaction_is_its_begin_and_what_is_done() {
        let mut progress = progress(4);
        progress.advance(&header(100, 104));
        progress.begin(Some(9));
        progress.advance(&header(50, 154));
        progress.event_done();
        progress.advance(&header(50, 204));
        let position = progress.position(3);
        assert_eq!((position.pos, position.event, position.row), (4, 2, 3));
        assert_eq!(progress.event_start(), 154);
        progress.complete();
        let position = progress.position(0);
        assert_eq!((position.pos, position.event, position.row), (204, 0, 0));
    }

    #[test]
    fn positions_pass_four_gigabytes() {
        let mut progress = progress(0xffff_fff0);
        progress.advance(&header(0x20, 0x10));
        assert_eq!((progress.event_start(), progress.position(0).pos), (0xffff_fff0, 0x1_0000_0010));
        progress.advance(&header(0x10, 0x20));
        assert_eq!(progress.position(0).pos, 0x1_0000_0020);
    }

    #[test]
    fn what_was_done_before_a_restart_is_skipped_once() {
        let mut from = MySqlPosition::new("b.000001".parse().expect("a name"), 4, None);
        (from.event, from.row) = (2, 5);
        let mut progress = Progress::new(&from);
        progress.advance(&header(10, 14));
        progress.begin(None);
        // Event 1 after BEGIN (a table map) was done; of event 2 five rows were.
        assert!(progress.skips_event());
        progress.event_done();
        assert!(!progress.skips_event());
        assert_eq!(progress.rows_to_skip(), 5);
        progress.event_done();
        assert_eq!(progress.rows_to_skip(), 0);
        progress.complete();
        progress.begin(None);
        assert!(!progress.skips_event());
        assert_eq!(progress.rows_to_skip(), 0);
    }
}
