//! What can go wrong on the way to a record. No text here ever contains a value of a row.

use std::sync::Arc;

use model::TableId;

/// A shape that cannot be lowered: a fault of whoever built it, found before the first row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the records of table {table} cannot be built: {reason}")]
pub struct CompileError {
    /// The table.
    pub table: TableId,
    /// What does not fit.
    pub reason: String,
}

/// A row that cannot become records. The output buffer is as it was before the row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// One value cannot be converted and the connector is configured to stop, or its field cannot be left unset.
    #[error("table {table}, column {column}: {reason}")]
    Value {
        /// The table.
        table: TableId,
        /// The column.
        column: Arc<str>,
        /// Why, without the value.
        reason: String,
    },
    /// A captured column is not in the row image.
    #[error(
        "table {table}, column {column}: the row image leaves the column out; set binlog_row_image=FULL on the server"
    )]
    Absent {
        /// The table.
        table: TableId,
        /// The column.
        column: Arc<str>,
    },
    /// The row as a whole does not fit its table.
    #[error("table {table}: {reason}")]
    Row {
        /// The table.
        table: TableId,
        /// What does not fit.
        reason: String,
    },
    /// The records of one batch would pass 4 GiB.
    #[error("table {table}: the records of one batch pass 4 GiB")]
    TooLarge {
        /// The table.
        table: TableId,
    },
}

/// A dynamic value that does not fit its schema. The texts are those of Connect's `DataException`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// Null where the schema requires a value and has no default.
    #[error("Conversion error: null value for field that is required and has no default value")]
    RequiredNull,
    /// The value is of another type than the schema.
    #[error("Invalid Java object for schema with type {0:?}")]
    Mismatch(crate::Type),
    /// A struct value with more or fewer values than its schema has fields.
    #[error("the struct {name} has {fields} fields, the value {values}")]
    Fields {
        /// Name of the struct.
        name: Arc<str>,
        /// Fields in the schema.
        fields: usize,
        /// Values given.
        values: usize,
    },
    /// A collection schema without element schema.
    #[error("the schema of a collection lacks its element schema")]
    NoElement,
}
