//! The vocabulary every other crate speaks: table names, positions, rows as an arena of wire-form
//! cells, and the borrowed values a cell decodes to.
//!
//! Owns names and layouts only. Never does I/O, never knows a database product or Kafka.

mod datum;
mod ids;
mod position;
mod row;
mod table;

pub use datum::{DateTime, Datum, Decimal, Scratch, ValueError};
pub use ids::{Incarnation, Op, Seq, SnapshotMarker, TableId};
pub use position::{OffsetError, OffsetMap, Position};
pub use row::{Cell, EventHead, EventRef, Image, MetaSlot, MetaValue, RowArena, RowHead, TxBlock, TxRef};
pub use table::{CellDecoder, TableVersion, WireColumn};
