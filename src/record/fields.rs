//! A struct of cells, compiled: one literal and one cell per field.

use std::sync::Arc;

use model::{Cell, RowArena, TableVersion};

use crate::{
    ConversionFailure, ConvertError, EncodeError, FieldShape, Format, KeyField, RecordSettings, Schema, Type, Value,
    cell::{CellWriter, Written, quote},
    context::{EncodeContext, ValueFailure, Work},
    header, json,
};

/// Bytes a field gets without a value of its own, or why it cannot be without one.
#[derive(Debug, Clone)]
enum Fixed {
    Bytes(Box<[u8]>),
    Error(Box<str>),
}

/// One field: the literal before its value, then where the value comes from.
#[derive(Debug)]
struct Field {
    /// `{"id":`, `,"name":`, constants in between included.
    prefix: Box<[u8]>,
    column: usize,
    name: Arc<str>,
    writer: CellWriter,
    /// NULL in the database, zero dates.
    null: Fixed,
    /// A value that could not be converted.
    unset: Fixed,
    optional: bool,
}

/// A compiled struct.
#[derive(Debug)]
pub(crate) struct Fields {
    fields: Box<[Field]>,
    /// `}` and constants before it.
    suffix: Box<[u8]>,
}

/// What is being encoded, for errors and failures.
#[derive(Clone, Copy)]
pub(crate) struct RowOf<'a> {
    pub(crate) table: &'a TableVersion,
    pub(crate) arena: &'a RowArena,
}

impl Fields {
    /// Compiles the row struct.
    pub(crate) fn row(
        table: &TableVersion,
        schema: &Schema,
        fields: &[FieldShape],
        settings: &RecordSettings,
        format: Format,
    ) -> Result<Self, String> {
        let mut builder = Builder::new(table, settings, format, schema, fields.len())?;
        for field in fields {
            builder.column(field)?;
        }
        Ok(builder.finish())
    }

    /// Compiles a key struct.
    pub(crate) fn key(
        table: &TableVersion,
        schema: &Schema,
        fields: &[KeyField],
        settings: &RecordSettings,
        format: Format,
    ) -> Result<Self, String> {
        let mut builder = Builder::new(table, settings, format, schema, fields.len())?;
        for field in fields {
            match field {
                KeyField::Column(field) => builder.column(field)?,
                KeyField::Constant { name, schema, value } => builder.constant(name, schema, value)?,
            }
        }
        Ok(builder.finish())
    }

    /// Appends the struct for an image and leaves the indexes of its null fields in the context.
    ///
    /// # Errors
    /// A cell is missing or cannot be converted; `out` then holds a part of the struct.
    pub(crate) fn put(
        &self,
        of: RowOf<'_>,
        cells: &[Cell],
        mode: ConversionFailure,
        ctx: &mut EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        ctx.nulls.clear();
        for (index, field) in self.fields.iter().enumerate() {
            out.extend_from_slice(&field.prefix);
            if let Some(mask) = field.writer.constant() {
                out.extend_from_slice(mask);
                continue;
            }
            let cell = cells.get(field.column).copied().unwrap_or(Cell::ABSENT);
            if cell.is_absent() {
                return Err(EncodeError::Absent { table: of.table.id.clone(), column: field.name.clone() });
            }
            if cell.is_null() {
                field.null(of.table, index, ctx, out)?;
                continue;
            }
            let Some(column) = of.table.columns.get(field.column) else {
                return Err(EncodeError::Absent { table: of.table.id.clone(), column: field.name.clone() });
            };
            let start = out.len();
            let written = match column.decoder.decode(of.arena.bytes(cell), &mut ctx.scratch) {
                Ok(model::Datum::Absent) => {
                    return Err(EncodeError::Absent { table: of.table.id.clone(), column: field.name.clone() });
                }
                Ok(datum) => field.writer.put(datum, &mut ctx.work, out),
                Err(error) => Err(error),
            };
            match written {
                Ok(Written::Value) => {}
                Ok(Written::Null) => field.null(of.table, index, ctx, out)?,
                Err(error) => {
                    out.truncate(start);
                    let reason = error.to_string();
                    if mode == ConversionFailure::Fail {
                        return Err(field.error(of.table, reason));
                    }
                    ctx.failures = ctx.failures.saturating_add(1);
                    ctx.last_failure = Some(ValueFailure { column: field.name.clone(), reason });
                    ctx.nulls.push(index);
                    field.fixed(of.table, &field.unset, out)?;
                }
            }
        }
        out.extend_from_slice(&self.suffix);
        Ok(())
    }

    /// Whether the two images have the same stored bytes in every field that shows them.
    pub(crate) fn same_cells(&self, arena: &RowArena, before: &[Cell], after: &[Cell]) -> bool {
        self.fields.iter().filter(|field| field.writer.constant().is_none()).all(|field| {
            match (before.get(field.column), after.get(field.column)) {
                (Some(old), Some(new)) => {
                    old.is_null() == new.is_null()
                        && old.is_absent() == new.is_absent()
                        && arena.bytes(*old) == arena.bytes(*new)
                }
                _ => false,
            }
        })
    }
}

impl Field {
    fn null(
        &self,
        table: &TableVersion,
        index: usize,
        ctx: &mut EncodeContext,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if self.optional {
            ctx.nulls.push(index);
        }
        self.fixed(table, &self.null, out)
    }

    fn fixed(&self, table: &TableVersion, fixed: &Fixed, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match fixed {
            Fixed::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            Fixed::Error(reason) => Err(self.error(table, reason.to_string())),
        }
    }

    fn error(&self, table: &TableVersion, reason: String) -> EncodeError {
        EncodeError::Value { table: table.id.clone(), column: self.name.clone(), reason }
    }
}

/// Collects literals between cells.
struct Builder<'a> {
    table: &'a TableVersion,
    settings: &'a RecordSettings,
    format: Format,
    schema: &'a Schema,
    fields: Vec<Field>,
    literal: Vec<u8>,
    count: usize,
}

impl<'a> Builder<'a> {
    fn new(
        table: &'a TableVersion,
        settings: &'a RecordSettings,
        format: Format,
        schema: &'a Schema,
        fields: usize,
    ) -> Result<Self, String> {
        let name = schema.name.as_deref().unwrap_or("");
        if schema.ty != Type::Struct || schema.fields.len() != fields {
            return Err(format!("the schema {name} does not have the {fields} fields of its shape"));
        }
        Ok(Self { table, settings, format, schema, fields: Vec::new(), literal: b"{".to_vec(), count: 0 })
    }

    fn name(&mut self, name: &str, schema: &Arc<Schema>) -> Result<(), String> {
        let known = self.schema.fields.get(self.count);
        if known.is_none_or(|field| *field.name != *name || !same(&field.schema, schema)) {
            return Err(format!("the field {name} is not field {} of its struct's schema", self.count));
        }
        if self.count > 0 {
            self.literal.push(b',');
        }
        quote(self.format, name, &mut self.literal);
        self.literal.push(b':');
        self.count += 1;
        Ok(())
    }

    fn constant(&mut self, name: &str, schema: &Arc<Schema>, value: &Value) -> Result<(), String> {
        self.name(name, schema)?;
        write(self.format, schema, value, &mut self.literal).map_err(|error| format!("the field {name}: {error}"))
    }

    fn column(&mut self, field: &FieldShape) -> Result<(), String> {
        self.name(&field.name, &field.schema)?;
        let column = self.table.columns.get(field.column);
        let column = column.ok_or_else(|| format!("the field {} has no column {}", field.name, field.column))?;
        let writer =
            CellWriter::compile(field.write, &field.mapper, &field.schema, self.format, self.settings.adjust_years)
                .map_err(|reason| format!("the field {}: {reason}", field.name))?;
        let null = self.null(field, &writer);
        let unset = self.unset(&field.schema, &field.name);
        let (prefix, name) = (std::mem::take(&mut self.literal).into(), column.name.clone());
        let optional = field.schema.optional;
        self.fields.push(Field { prefix, column: field.column, name, writer, null, unset, optional });
        Ok(())
    }

    /// What a NULL becomes: nothing for an optional field, else default or fallback, which pass the column rule.
    fn null(&self, field: &FieldShape, writer: &CellWriter) -> Fixed {
        if field.schema.optional {
            return self.unset(&field.schema, &field.name);
        }
        let value = field.schema.default.as_ref().unwrap_or(&field.fallback);
        let mut out = Vec::new();
        let written = match value {
            Value::Null => Err(required_null(&field.name, field.schema.ty)),
            Value::Text(text) if writer.lossy() => {
                writer.literal_text(text, &mut Work::default(), &mut out).map_err(|error| error.to_string())
            }
            Value::Bytes(bytes) if writer.lossy() => {
                json::base64_text(writer.cut(bytes), &mut out);
                Ok(())
            }
            value => write(self.format, &field.schema, value, &mut out).map_err(|error| error.to_string()),
        };
        match written {
            Ok(()) => Fixed::Bytes(out.into()),
            Err(reason) => Fixed::Error(reason.into()),
        }
    }

    /// What a field without value becomes.
    fn unset(&self, schema: &Schema, name: &str) -> Fixed {
        if !schema.optional && schema.default.is_none() {
            return Fixed::Error(required_null(name, schema.ty).into());
        }
        let mut out = Vec::new();
        match write(self.format, schema, &Value::Null, &mut out) {
            Ok(()) => Fixed::Bytes(out.into()),
            Err(error) => Fixed::Error(error.to_string().into()),
        }
    }

    fn finish(mut self) -> Fields {
        self.literal.push(b'}');
        Fields { fields: self.fields.into(), suffix: self.literal.into() }
    }
}

/// Equal schemas; the same one is equal to itself even with a default of NaN.
fn same(left: &Arc<Schema>, right: &Arc<Schema>) -> bool {
    Arc::ptr_eq(left, right) || left == right
}

/// Appends a value in either format.
fn write(format: Format, schema: &Schema, value: &Value, out: &mut Vec<u8>) -> Result<(), ConvertError> {
    match format {
        Format::Json(settings) => json::write_value(Some(schema), value, &settings, out),
        Format::Header => header::write_field(schema, value, out),
    }
}

/// Connect's text for a required field left unset.
pub(crate) fn required_null(field: &str, ty: Type) -> String {
    let ty = match ty {
        Type::Int8 => "INT8",
        Type::Int16 => "INT16",
        Type::Int32 => "INT32",
        Type::Int64 => "INT64",
        Type::Float32 => "FLOAT32",
        Type::Float64 => "FLOAT64",
        Type::Boolean => "BOOLEAN",
        Type::String => "STRING",
        Type::Bytes => "BYTES",
        Type::Array => "ARRAY",
        Type::Map => "MAP",
        Type::Struct => "STRUCT",
    };
    format!("Invalid value: null used for required field: \"{field}\", schema type: {ty}")
}
