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
mod dynamic;
mod schema;
mod settings;
mod shape;

pub use buffer::{RecordBuffer, RecordRef};
pub use dynamic::DynamicRecord;
pub use schema::{Field, Schema, Type, Value};
pub use settings::{ConversionFailure, DecimalFormat, HeaderConverter, JsonSettings, RecordSettings};
pub use shape::{CapturedTable, FieldShape, KeyField, KeyShape, Mapper, SourceField, SourceShape, TableShape, Write};
