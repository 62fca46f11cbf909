//! Binlog events as borrowed views: the common header, the checksum, and one view per event type.
//!
//! [`EventDecoder`] holds what a FORMAT_DESCRIPTION event says about the events after it (checksum algorithm, lengths of
//! fixed parts). It never keeps table maps, positions or transactions: those belong to whoever reads the stream.

mod format;
mod gtid;
mod misc;
mod payload;
mod query;
mod table_map;

pub use format::{ChecksumAlgorithm, EventDecoder, FormatDescription};
pub use gtid::GtidEvent;
pub use misc::{Heartbeat, Incident, IntVar, Rotate, UserVar, XaPrepare};
pub use payload::TransactionPayload;
pub use query::{QueryEvent, QueryStatus};
pub use table_map::{ColumnMetadata, OptionalMetadata, PrimaryKeyPart, TableMapEvent};

use crate::rows::RowsEvent;

/// Bytes of the common event header.
pub const HEADER_LEN: usize = 19;
/// Bytes of the checksum at an event's end.
pub const CHECKSUM_LEN: usize = 4;

/// Event type codes (`Log_event_type`). Any byte is a valid value; unknown ones have no name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventType(pub u8);

macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl EventType {
            $($(#[$doc])* pub const $name: EventType = EventType($code);)*

            /// The type's name in MySQL's notation, or `None` for a code this crate does not know.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(EventType::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

event_types! {
    /// Statement-based event of MySQL 3 and 4.
    START_V3 = 1;
    /// A statement, or BEGIN, COMMIT, ROLLBACK and XA boundaries.
    QUERY = 2;
    /// The server wrote its last event before a clean stop.
    STOP = 3;
    /// The stream goes on in another file.
    ROTATE = 4;
    /// LAST_INSERT_ID or INSERT_ID of the statement that follows.
    INTVAR = 5;
    /// LOAD DATA of MySQL 3.
    LOAD = 6;
    /// Never written.
    SLAVE = 7;
    /// LOAD DATA of MySQL 4.
    CREATE_FILE = 8;
    /// A block of the file of a LOAD DATA statement.
    APPEND_BLOCK = 9;
    /// LOAD DATA of MySQL 4.
    EXEC_LOAD = 10;
    /// The file of a failed LOAD DATA statement is dropped.
    DELETE_FILE = 11;
    /// LOAD DATA of MySQL 4.
    NEW_LOAD = 12;
    /// Seeds of RAND() for the statement that follows.
    RAND = 13;
    /// A user variable of the statement that follows.
    USER_VAR = 14;
    /// Format of the events that follow.
    FORMAT_DESCRIPTION = 15;
    /// A transaction of a transactional engine is committed.
    XID = 16;
    /// First block of the file of a LOAD DATA statement.
    BEGIN_LOAD_QUERY = 17;
    /// LOAD DATA as a statement.
    EXECUTE_LOAD_QUERY = 18;
    /// Number, name and columns of a table.
    TABLE_MAP = 19;
    /// Row event of MySQL 5.1 before its release.
    PRE_GA_WRITE_ROWS = 20;
    /// Row event of MySQL 5.1 before its release.
    PRE_GA_UPDATE_ROWS = 21;
    /// Row event of MySQL 5.1 before its release.
    PRE_GA_DELETE_ROWS = 22;
    /// Inserted rows, 5.1 to 5.5, and MariaDB.
    WRITE_ROWS_V1 = 23;
    /// Updated rows, 5.1 to 5.5, and MariaDB.
    UPDATE_ROWS_V1 = 24;
    /// Deleted rows, 5.1 to 5.5, and MariaDB.
    DELETE_ROWS_V1 = 25;
    /// Something happened that may have lost events.
    INCIDENT = 26;
    /// The server has nothing to send.
    HEARTBEAT = 27;
    /// Carries something a reader may pass over.
    IGNORABLE = 28;
    /// The statement whose rows follow.
    ROWS_QUERY = 29;
    /// Inserted rows.
    WRITE_ROWS = 30;
    /// Updated rows.
    UPDATE_ROWS = 31;
    /// Deleted rows.
    DELETE_ROWS = 32;
    /// Begins a transaction that has a GTID.
    GTID = 33;
    /// Begins a transaction that has none.
    ANONYMOUS_GTID = 34;
    /// GTIDs of all earlier files.
    PREVIOUS_GTIDS = 35;
    /// Group replication's certification data.
    TRANSACTION_CONTEXT = 36;
    /// Group replication's membership change.
    VIEW_CHANGE = 37;
    /// The prepared half of an XA transaction ends.
    XA_PREPARE = 38;
    /// Updated rows with partial JSON values.
    PARTIAL_UPDATE_ROWS = 39;
    /// A compressed transaction.
    TRANSACTION_PAYLOAD = 40;
    /// The server has nothing to send; positions over 4 GiB.
    HEARTBEAT_V2 = 41;
    /// Begins a transaction that has a GTID with a tag.
    GTID_TAGGED = 42;
    /// MariaDB: the statement whose rows follow.
    MARIADB_ANNOTATE_ROWS = 160;
    /// MariaDB: a checkpoint of the binlog.
    MARIADB_BINLOG_CHECKPOINT = 161;
    /// MariaDB: begins a transaction.
    MARIADB_GTID = 162;
    /// MariaDB: GTIDs of earlier files.
    MARIADB_GTID_LIST = 163;
    /// MariaDB: the events that follow are encrypted.
    MARIADB_START_ENCRYPTION = 164;
    /// MariaDB: a compressed statement.
    MARIADB_QUERY_COMPRESSED = 165;
    /// MariaDB: compressed inserted rows.
    MARIADB_WRITE_ROWS_COMPRESSED_V1 = 166;
    /// MariaDB: compressed updated rows.
    MARIADB_UPDATE_ROWS_COMPRESSED_V1 = 167;
    /// MariaDB: compressed deleted rows.
    MARIADB_DELETE_ROWS_COMPRESSED_V1 = 168;
}

impl std::fmt::Display for EventType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "event type {}", self.0),
        }
    }
}

impl std::fmt::Debug for EventType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The 19 bytes before every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHeader {
    /// Seconds since 1970 at which the statement started; 0 for events made up for the stream.
    pub timestamp: u32,
    /// What the event is.
    pub event_type: EventType,
    /// `server_id` of the server that wrote the event first.
    pub server_id: u32,
    /// Length of the event, this header and the checksum included.
    pub event_length: u32,
    /// Offset of the next event in the file, modulo 2^32; 0 for events made up for the stream.
    pub next_position: u32,
    /// `LOG_EVENT_*_F` bits.
    pub flags: u16,
}

impl EventHeader {
    /// The file is still written to (FORMAT_DESCRIPTION only).
    pub const FLAG_BINLOG_IN_USE: u16 = 0x01;
    /// The event was made up for the stream and is in no file.
    pub const FLAG_ARTIFICIAL: u16 = 0x20;
    /// A reader that does not know the event may pass it over.
    pub const FLAG_IGNORABLE: u16 = 0x80;

    /// Reads the header of an event.
    ///
    /// # Errors
    /// Fewer than 19 bytes, or a length smaller than the header itself.
    pub fn parse(event: &[u8]) -> crate::error::Result<EventHeader> {
        let mut c = crate::cursor::Cursor::new(event, "event header");
        let header = EventHeader {
            timestamp: c.u32()?,
            event_type: EventType(c.u8()?),
            server_id: c.u32()?,
            event_length: c.u32()?,
            next_position: c.u32()?,
            flags: c.u16()?,
        };
        if crate::cursor::to_usize(header.event_length) < HEADER_LEN {
            return Err(c.invalid("the event's length is smaller than its header"));
        }
        Ok(header)
    }

    /// Whether the event was made up for the stream (a ROTATE or FORMAT_DESCRIPTION at its start, a heartbeat).
    pub fn is_artificial(&self) -> bool {
        self.flags & Self::FLAG_ARTIFICIAL != 0
    }

    /// Whether a reader that does not know the event may pass it over.
    pub fn is_ignorable(&self) -> bool {
        self.flags & Self::FLAG_IGNORABLE != 0
    }
}

/// One event: its header and a view of its body.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// The common header.
    pub header: EventHeader,
    /// What the event says.
    pub body: EventBody<'a>,
}

/// What an event says. Views borrow the event's bytes and decode on demand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventBody<'a> {
    /// Format of what follows.
    FormatDescription(FormatDescription<'a>),
    /// The stream goes on elsewhere.
    Rotate(Rotate<'a>),
    /// A table's number, name and columns.
    TableMap(TableMapEvent<'a>),
    /// Inserted, updated or deleted rows.
    Rows(RowsEvent<'a>),
    /// A statement.
    Query(QueryEvent<'a>),
    /// Commit, with the storage engine's transaction number.
    Xid(u64),
    /// Begins a transaction: GTID, ANONYMOUS_GTID or GTID_TAGGED.
    Gtid(GtidEvent<'a>),
    /// Nothing new.
    Heartbeat(Heartbeat<'a>),
    /// The prepared half of an XA transaction ends here.
    XaPrepare(XaPrepare<'a>),
    /// GTIDs of all earlier files, in the encoding of [`GtidSet::decode`](crate::gtid::GtidSet::decode).
    PreviousGtids(&'a [u8]),
    /// The server stopped cleanly.
    Stop,
    /// LAST_INSERT_ID or INSERT_ID of a statement.
    IntVar(IntVar),
    /// Seeds of RAND() of a statement.
    Rand(u64, u64),
    /// A user variable of a statement.
    UserVar(UserVar<'a>),
    /// Text of the statement whose rows follow.
    RowsQuery(&'a [u8]),
    /// Group replication's membership change; not decoded.
    ViewChange(&'a [u8]),
    /// Group replication's certification data; not decoded.
    TransactionContext(&'a [u8]),
    /// The server says events may be missing.
    Incident(Incident<'a>),
    /// A compressed transaction.
    TransactionPayload(TransactionPayload<'a>),
    /// Flagged as ignorable and of no known meaning.
    Ignorable(&'a [u8]),
    /// Anything else; its type is in the header.
    Unsupported(&'a [u8]),
}

/// What a reader of row changes has to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Means something for row changes, schemas or positions.
    Handled,
    /// Means nothing for them; count it.
    PassedOver,
    /// May hold changes this crate cannot decode: stop, and name it.
    Unsupported,
}

impl EventBody<'_> {
    /// Whether the event is to be handled, passed over, or a reason to stop.
    ///
    /// INCIDENT is [`Disposition::Unsupported`]: it says that changes may be missing. So are the events of LOAD DATA
    /// in statement format and whatever has an unknown type and no ignorable flag.
    pub fn disposition(&self) -> Disposition {
        match self {
            EventBody::FormatDescription(_)
            | EventBody::Rotate(_)
            | EventBody::TableMap(_)
            | EventBody::Rows(_)
            | EventBody::Query(_)
            | EventBody::Xid(_)
            | EventBody::Gtid(_)
            | EventBody::Heartbeat(_)
            | EventBody::XaPrepare(_) => Disposition::Handled,
            EventBody::PreviousGtids(_)
            | EventBody::Stop
            | EventBody::IntVar(_)
            | EventBody::Rand(..)
            | EventBody::UserVar(_)
            | EventBody::RowsQuery(_)
            | EventBody::ViewChange(_)
            | EventBody::TransactionContext(_)
            | EventBody::Ignorable(_) => Disposition::PassedOver,
            EventBody::Incident(_) | EventBody::TransactionPayload(_) | EventBody::Unsupported(_) => {
                Disposition::Unsupported
            }
        }
    }
}
