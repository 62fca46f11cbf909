//! The shape of a captured table's records: what goes where, before any converter is chosen.

use std::sync::{Arc, OnceLock};

use model::TableVersion;

use crate::{CompileError, RecordPlan, RecordSettings, Schema, Value};

/// How a [`model::Datum`] becomes a value of a field's schema. The schema's base type and semantic name
/// must fit; both are chosen together by the source's type mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Int/UInt/Bool/Year as an integer (a UInt above `i64::MAX` comes out negative, Debezium's `long` mode).
    Integer,
    /// Bool, or any number: not zero is true. Bits of one bit.
    Boolean,
    /// Float (or Double, narrowed) as float32.
    Float32,
    /// Float, widened, or Double, as float64.
    Float64,
    /// Decimal, Int or UInt as Connect Decimal of this scale.
    Decimal {
        /// Digits after the point.
        scale: u16,
    },
    /// Decimal as plain notation with the full scale.
    DecimalText,
    /// Decimal as the nearest double.
    DecimalDouble,
    /// Str, or bytes that are text, as string.
    Text,
    /// Json as string.
    Json,
    /// Bytes or Bits as bytes; right-padded with zero bytes to `pad` (BINARY(n)), 0 for none.
    Bytes {
        /// Length to pad to.
        pad: u32,
    },
    /// Bytes as standard base64 text, padded first.
    BytesBase64 {
        /// Length to pad to.
        pad: u32,
    },
    /// Bytes as URL-safe base64 text (padding kept), padded first.
    BytesBase64Url {
        /// Length to pad to.
        pad: u32,
    },
    /// Bytes as lower-case hex text, padded first.
    BytesHex {
        /// Length to pad to.
        pad: u32,
    },
    /// Date as days since the epoch (`io.debezium.time.Date`, `org.apache.kafka.connect.data.Date`).
    EpochDays,
    /// Date as `2020-02-03Z`.
    IsoDate,
    /// Time as microseconds.
    TimeMicros,
    /// Time as nanoseconds.
    TimeNanos,
    /// Time as milliseconds of the day (`org.apache.kafka.connect.data.Time`); outside 0..=24 h is a failure.
    TimeMillisOfDay,
    /// Time as `12:34:56.5Z`; outside 0..=24 h is a failure.
    IsoTime,
    /// DateTime, taken as UTC, as milliseconds (`io.debezium.time.Timestamp`, Connect's Timestamp).
    TimestampMillis,
    /// DateTime as microseconds.
    TimestampMicros,
    /// DateTime as nanoseconds; outside the range of i64 is a failure.
    TimestampNanos,
    /// DateTime as `2020-01-01T00:00:00.123456Z`, minimal fraction digits.
    IsoTimestamp,
    /// Instant as `2020-01-01T00:00:00.120Z` with exactly `fsp` fraction digits.
    ZonedTimestamp {
        /// Fraction digits, 0..=6.
        fsp: u8,
    },
    /// Year as integer, adjusted.
    Year,
}

/// A column rule of the configuration that rewrites the value (`column.truncate.to..`, `column.mask..`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mapper {
    /// None.
    #[default]
    None,
    /// Text longer than this many UTF-16 units (bytes: bytes) is cut.
    Truncate(u32),
    /// Every value, NULL included, becomes this text.
    Mask(Arc<str>),
    /// Lower-case hex of a salted digest of the text, cut to the column length; NULL stays.
    Hash {
        /// A digest name as OpenSSL knows it (`SHA256`).
        algorithm: Arc<str>,
        /// Salt.
        salt: Arc<str>,
        /// `true`: over salt and UTF-8 text (v2); `false`: over salt and the Java-serialised string.
        plain: bool,
        /// Column length to cut to.
        length: Option<u32>,
    },
}

/// One field of a key or row struct that comes from a column.
#[derive(Debug, Clone)]
pub struct FieldShape {
    /// Field name, adjusted already.
    pub name: Arc<str>,
    /// Index of the column in [`TableVersion::columns`].
    pub column: usize,
    /// Its Connect schema, default and parameters included.
    pub schema: Arc<Schema>,
    /// How its values are written.
    pub write: Write,
    /// Column rule.
    pub mapper: Mapper,
    /// What a NULL (or zero date) of a required column without default becomes: the type's fallback.
    pub fallback: Value,
}

/// One field of a key.
#[derive(Debug, Clone)]
pub enum KeyField {
    /// From a column.
    Column(FieldShape),
    /// A constant (the surrogate of the regex topic naming strategies).
    Constant {
        /// Field name.
        name: Arc<str>,
        /// Schema.
        schema: Arc<Schema>,
        /// Value.
        value: Value,
    },
}

/// The record key of a table.
#[derive(Debug, Clone)]
pub struct KeyShape {
    /// The key struct's schema, `<T>.Key`; its fields match `fields`.
    pub schema: Arc<Schema>,
    /// Its fields in order.
    pub fields: Vec<KeyField>,
}

/// Where one field of the source block comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceField {
    /// Always this value.
    Constant(Value),
    /// The event's source time in milliseconds.
    TimeMillis,
    /// The same in microseconds.
    TimeMicros,
    /// The same in nanoseconds.
    TimeNanos,
    /// The row's snapshot marker; unset for streamed rows.
    Snapshot,
    /// The row's index inside its event.
    Ordinal,
    /// The database or schema of the table.
    Namespace,
    /// The table's name.
    Table,
    /// A slot of the event, by the source's numbering.
    Slot(usize),
}

/// The envelope's `source` block: schema and origin of each field.
#[derive(Debug, Clone)]
pub struct SourceShape {
    /// The struct's schema.
    pub schema: Arc<Schema>,
    /// One per field of the schema.
    pub fields: Vec<SourceField>,
}

/// Everything a captured table's records consist of.
#[derive(Debug, Clone)]
pub struct TableShape {
    /// Kafka topic.
    pub topic: Arc<str>,
    /// Key; `None` for a table without one.
    pub key: Option<KeyShape>,
    /// Schema of the row struct, `<T>.Value`, optional; its fields match `fields`.
    pub row: Arc<Schema>,
    /// Fields of the row struct.
    pub fields: Vec<FieldShape>,
    /// Schema of the envelope, `<T>.Envelope` v2, made by [`crate::Schema`] of row and source.
    pub envelope: Arc<Schema>,
    /// Source block.
    pub source: Arc<SourceShape>,
}

/// A table version together with its shape: what rows of a batch refer to. The compiled plan is kept here
/// by the first encoder that needs it.
#[derive(Debug)]
pub struct CapturedTable {
    /// How rows arrive.
    pub version: TableVersion,
    /// What their records look like.
    pub shape: TableShape,
    plan: OnceLock<RecordPlan>,
}

impl CapturedTable {
    /// A table to capture.
    pub fn new(version: TableVersion, shape: TableShape) -> Self {
        Self { version, shape, plan: OnceLock::new() }
    }

    /// The compiled plan. The settings of the first call stay in force: a captured table belongs to one connector task.
    ///
    /// # Errors
    /// The shape cannot be lowered.
    pub fn plan(&self, settings: &RecordSettings) -> Result<&RecordPlan, CompileError> {
        if let Some(plan) = self.plan.get() {
            return Ok(plan);
        }
        let plan = RecordPlan::compile(&self.version, &self.shape, settings)?;
        Ok(self.plan.get_or_init(|| plan))
    }
}
