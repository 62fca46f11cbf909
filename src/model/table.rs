//! One version of a table as rows of it arrive: column names and how to decode their cells.

use std::{fmt::Debug, sync::Arc};

use crate::{Datum, Scratch, TableId, ValueError};

/// Turns the wire form of one column's cell into a [`Datum`].
///
/// Implementations are chosen once per table version, know the column's type, charset and options, and
/// neither allocate per call (results go to `scratch`) nor panic on any bytes.
pub trait CellDecoder: Debug + Send + Sync {
    /// Decodes `bytes`, which is never a NULL.
    ///
    /// # Errors
    /// The bytes are not a value of the column's type.
    fn decode<'a>(&'a self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Result<Datum<'a>, ValueError>;
}

/// One column of a row image.
#[derive(Debug)]
pub struct WireColumn {
    /// The column's name.
    pub name: Arc<str>,
    /// How its cells are decoded.
    pub decoder: Box<dyn CellDecoder>,
}

/// A table's columns at one point of the stream, in one wire format (row image of the log, or result
/// set of a snapshot). A change of schema makes a new version with a new number.
#[derive(Debug)]
pub struct TableVersion {
    /// The table.
    pub id: TableId,
    /// Unique within the process: what compiled plans are cached by.
    pub number: u64,
    /// The columns, in the order of cells in a row image.
    pub columns: Box<[WireColumn]>,
}
