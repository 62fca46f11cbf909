//! Types: what a MySQL column is in a record, and how its cells are read.
//!
//! [`map`] turns a column of the table model into a Connect schema with its default, a way of writing and the value
//! that stands for an impossible NULL. [`log_decoder`] and [`result_decoder`] read the cells of the binary log and of
//! a snapshot's result set into the same values, so that both are written alike. Nothing here looks at a server.

mod default;
mod log;
mod options;
mod result;
mod time;

use std::sync::Arc;

use model::CellDecoder;
use mysql_ddl::{Column, ColumnType as Native};
use record::{Schema, Type, Value, Write};

use crate::config::{BinaryMode, DecimalMode, TimeMode, UnsignedMode, ValueConfig};

pub(crate) use log::log_decoder;
pub(crate) use result::result_decoder;

/// A column's place in records.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mapping {
    /// Connect schema: type, name, parameters, optional, default. Documentation and parameters of column rules
    /// are added by the shape.
    pub(crate) schema: Schema,
    /// How values are written.
    pub(crate) write: Write,
    /// What a NULL of a NOT NULL column without default becomes (zero dates and the like).
    pub(crate) fallback: Value,
}

/// A column type that cannot be represented yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "column {column} has the type {type_name}, which is not supported yet; leave the table out with table.exclude.list"
)]
pub(crate) struct UnsupportedType {
    /// The column.
    pub(crate) column: String,
    /// Its type in words.
    pub(crate) type_name: String,
}

impl UnsupportedType {
    fn of(column: &Column) -> Self {
        Self { column: column.name.clone(), type_name: column.type_name.clone() }
    }
}

/// What kind of value a column holds: one row per native type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An integer of so many bits.
    Integer(u8),
    Boolean,
    Bits,
    Decimal,
    Float32,
    Float64,
    Text,
    /// Whether it is of fixed length, padded with zero bytes.
    Binary(bool),
    Enum,
    Set,
    Json,
    Date,
    Time,
    DateTime,
    Timestamp,
    Year,
}

fn kind(column: &Column) -> Result<Kind, UnsupportedType> {
    Ok(match column.column_type() {
        Some(Native::TinyInt) => Kind::Integer(8),
        Some(Native::SmallInt) => Kind::Integer(16),
        Some(Native::MediumInt) => Kind::Integer(24),
        Some(Native::Int) => Kind::Integer(32),
        Some(Native::BigInt) => Kind::Integer(64),
        // The word survives in statements only; the server stores TINYINT(1).
        Some(Native::Bool) => Kind::Boolean,
        Some(Native::Bit) if column.length.unwrap_or(1) <= 1 => Kind::Boolean,
        Some(Native::Bit) => Kind::Bits,
        Some(Native::Decimal) => Kind::Decimal,
        // FLOAT4 is double for Debezium; so is a FLOAT with digits after the point, and one of more than 24 bits,
        // which the server stores as DOUBLE.
        Some(Native::Float) if column.type_name.starts_with("FLOAT4") => Kind::Float64,
        Some(Native::Float) if column.scale.is_some() || column.length.unwrap_or(0) > 24 => Kind::Float64,
        Some(Native::Float | Native::Real) => Kind::Float32,
        Some(Native::Double) => Kind::Float64,
        Some(
            Native::Char
            | Native::VarChar
            | Native::NChar
            | Native::NVarChar
            | Native::TinyText
            | Native::Text
            | Native::MediumText
            | Native::LongText,
        ) => Kind::Text,
        Some(Native::Binary) => Kind::Binary(true),
        Some(Native::VarBinary | Native::TinyBlob | Native::Blob | Native::MediumBlob | Native::LongBlob) => {
            Kind::Binary(false)
        }
        Some(Native::Enum) => Kind::Enum,
        Some(Native::Set) => Kind::Set,
        Some(Native::Json) => Kind::Json,
        Some(Native::Date) => Kind::Date,
        Some(Native::Time) => Kind::Time,
        Some(Native::DateTime) => Kind::DateTime,
        Some(Native::Timestamp) => Kind::Timestamp,
        Some(Native::Year) => Kind::Year,
        Some(
            Native::Geometry
            | Native::Point
            | Native::LineString
            | Native::Polygon
            | Native::MultiPoint
            | Native::MultiLineString
            | Native::MultiPolygon
            | Native::GeometryCollection
            | Native::Vector
            | Native::Uuid
            | Native::Inet4
            | Native::Inet6,
        )
        | None => return Err(UnsupportedType::of(column)),
    })
}

/// The place of a column in records.
///
/// # Errors
/// The type is not supported.
pub(crate) fn map(column: &Column, modes: &ValueConfig) -> Result<Mapping, UnsupportedType> {
    let kind = kind(column)?;
    let (schema, write, fallback) = base(column, kind, modes);
    let schema = schema.optional(column.optional);
    let mut mapping = Mapping { schema, write, fallback };
    mapping.schema.default = default::default_value(column, kind, modes, &mapping);
    Ok(mapping)
}

fn base(column: &Column, kind: Kind, modes: &ValueConfig) -> (Schema, Write, Value) {
    let plain = |ty, write, fallback| (Schema::new(ty), write, fallback);
    match kind {
        Kind::Integer(64) if column.is_unsigned() && modes.unsigned == UnsignedMode::Precise => {
            (decimal_schema(0, 20), Write::Decimal { scale: 0 }, zero(0))
        }
        Kind::Integer(bits) => {
            let ty = match (bits, column.is_unsigned()) {
                (8, _) | (16, false) => Type::Int16,
                (16, true) | (24, _) | (32, false) => Type::Int32,
                _ => Type::Int64,
            };
            plain(ty, Write::Integer, Value::Int(0))
        }
        Kind::Boolean => plain(Type::Boolean, Write::Boolean, Value::Bool(false)),
        Kind::Bits => {
            let length = column.length.unwrap_or(1).to_string();
            let schema = Schema::new(Type::Bytes).named("io.debezium.data.Bits", Some(1)).parameter("length", length);
            (schema, Write::Bytes { pad: 0 }, Value::Bytes(Arc::from([])))
        }
        Kind::Decimal => {
            let (precision, scale) = decimal_digits(column);
            match modes.decimal {
                DecimalMode::Precise => (decimal_schema(scale, precision), Write::Decimal { scale }, zero(scale)),
                DecimalMode::String => plain(Type::String, Write::DecimalText, Value::text(zero_text(scale))),
                DecimalMode::Double => plain(Type::Float64, Write::DecimalDouble, Value::Double(0.0)),
            }
        }
        Kind::Float32 => plain(Type::Float32, Write::Float32, Value::Float(0.0)),
        Kind::Float64 => plain(Type::Float64, Write::Float64, Value::Double(0.0)),
        Kind::Text => plain(Type::String, Write::Text, Value::text("")),
        Kind::Binary(fixed) => {
            let pad = if fixed { column.length.and_then(|n| u32::try_from(n).ok()).unwrap_or(0) } else { 0 };
            let text = |write| plain(Type::String, write, Value::text(""));
            match modes.binary {
                BinaryMode::Bytes => plain(Type::Bytes, Write::Bytes { pad }, Value::Bytes(Arc::from([]))),
                BinaryMode::Base64 => text(Write::BytesBase64 { pad }),
                BinaryMode::Base64UrlSafe => text(Write::BytesBase64Url { pad }),
                BinaryMode::Hex => text(Write::BytesHex { pad }),
            }
        }
        Kind::Enum | Kind::Set => {
            let name = if kind == Kind::Enum { "io.debezium.data.Enum" } else { "io.debezium.data.EnumSet" };
            let schema = Schema::new(Type::String).named(name, Some(1));
            (schema.parameter("allowed", options::allowed(column)), Write::Text, Value::text(""))
        }
        Kind::Json => {
            let schema = Schema::new(Type::String).named("io.debezium.data.Json", Some(1));
            (schema, Write::Json, Value::text("{}"))
        }
        Kind::Year => (Schema::new(Type::Int32).named("io.debezium.time.Year", Some(1)), Write::Year, Value::Int(0)),
        Kind::Date | Kind::Time | Kind::DateTime | Kind::Timestamp => temporal(column, kind, modes.time),
    }
}

fn temporal(column: &Column, kind: Kind, mode: TimeMode) -> (Schema, Write, Value) {
    let named = |ty, name: &str| Schema::new(ty).named(name, Some(1));
    let number = |ty, name: &str, write| (named(ty, name), write, Value::Int(0));
    let text = |name: &str, write, fallback: &str| (named(Type::String, name), write, Value::text(fallback));
    let micros = || number(Type::Int64, "io.debezium.time.MicroTimestamp", Write::TimestampMicros);
    match (kind, mode) {
        (Kind::Timestamp, _) => {
            let write = Write::ZonedTimestamp { fsp: column.fraction_digits() };
            text("io.debezium.time.ZonedTimestamp", write, time::EPOCH_INSTANT)
        }
        (Kind::Date, TimeMode::Connect) => number(Type::Int32, "org.apache.kafka.connect.data.Date", Write::EpochDays),
        (Kind::Date, TimeMode::IsoString) => text("io.debezium.time.IsoDate", Write::IsoDate, "1970-01-01Z"),
        (Kind::Date, _) => number(Type::Int32, "io.debezium.time.Date", Write::EpochDays),
        (Kind::Time, TimeMode::Connect) => {
            number(Type::Int32, "org.apache.kafka.connect.data.Time", Write::TimeMillisOfDay)
        }
        (Kind::Time, TimeMode::IsoString) => text("io.debezium.time.IsoTime", Write::IsoTime, "00:00:00Z"),
        (Kind::Time, TimeMode::Nanoseconds) => number(Type::Int64, "io.debezium.time.NanoTime", Write::TimeNanos),
        (Kind::Time, _) => number(Type::Int64, "io.debezium.time.MicroTime", Write::TimeMicros),
        (_, TimeMode::Connect) => {
            number(Type::Int64, "org.apache.kafka.connect.data.Timestamp", Write::TimestampMillis)
        }
        (_, TimeMode::IsoString) => text("io.debezium.time.IsoTimestamp", Write::IsoTimestamp, time::EPOCH_INSTANT),
        (_, TimeMode::Nanoseconds) => number(Type::Int64, "io.debezium.time.NanoTimestamp", Write::TimestampNanos),
        (_, TimeMode::Microseconds) => micros(),
        (_, TimeMode::AdaptiveTimeMicroseconds) if column.fraction_digits() > 3 => micros(),
        (_, TimeMode::AdaptiveTimeMicroseconds) => {
            number(Type::Int64, "io.debezium.time.Timestamp", Write::TimestampMillis)
        }
    }
}

/// Precision and scale of a DECIMAL.
fn decimal_digits(column: &Column) -> (u16, u16) {
    let digits = |n: Option<i32>, default| n.and_then(|n| u16::try_from(n).ok()).unwrap_or(default);
    (digits(column.length, 10), digits(column.scale, 0))
}

/// The decoder of cells that no record uses: their bytes as they are.
pub(crate) fn raw_decoder() -> Box<dyn CellDecoder> {
    Box::new(log::Bytes)
}

fn decimal_schema(scale: u16, precision: u16) -> Schema {
    Schema::new(Type::Bytes)
        .named("org.apache.kafka.connect.data.Decimal", Some(1))
        .parameter("scale", scale.to_string())
        .parameter("connect.decimal.precision", precision.to_string())
}

fn zero(scale: u16) -> Value {
    Value::Decimal { unscaled: Arc::from([0]), scale: i32::from(scale) }
}

fn zero_text(scale: u16) -> String {
    if scale == 0 { "0".to_owned() } else { format!("0.{}", "0".repeat(usize::from(scale))) }
}

#[cfg(test)]
mod tests;
