//! From a row change to the bytes of a Kafka record: shape, then plan, then bytes.
//!
//! A source describes each captured table by a [`TableShape`]: topic, key, value and source block as
//! expressions over the cells of a row image. [`RecordPlan::compile`] lowers a shape with the
//! connector's converters to a flat list of steps; encoding a row is a walk over that list with no
//! lookup and no allocation. Records that are rare (schema changes, heartbeats, transaction marks)
//! are [`DynamicRecord`]s: a Connect schema with a value, encoded by the plain interpreter.
//!
//! Never does I/O, never knows which source made a row, reads no clock.

mod buffer;
mod calendar;
mod cell;
mod context;
mod dynamic;
pub mod envelope;
mod error;
pub mod escape;
mod fields;
pub mod header;
pub mod json;
mod mapper;
pub mod naming;
pub mod number;
mod plan;
pub mod reader;
pub mod reference;
pub mod regex;
mod schema;
pub mod schema_change;
mod settings;
mod shape;
mod source;

pub use buffer::{RecordBuffer, RecordRef};
pub(crate) use cell::Format;
pub use context::{EncodeContext, ValueFailure};
pub use dynamic::{DynamicError, DynamicRecord};
pub use error::{CompileError, ConvertError, EncodeError};
pub use mapper::UnknownDigest;
pub use plan::{RecordPlan, RowOutcome};
pub use schema::{Field, Schema, Type, Value};
pub use settings::{
    ConversionFailure, DecimalFormat, HeaderConverter, JsonSettings, ProcessingFailure, RecordSettings,
};
pub use shape::{CapturedTable, FieldShape, KeyField, KeyShape, Mapper, SourceField, SourceShape, TableShape, Write};
