//! TABLE_MAP: number, name and columns of the table that the next row events change.

use crate::column::ColumnType;
use crate::cursor::Cursor;
use crate::error::{DecodeError, Result};

/// A table has at most this many columns (`MAX_FIELDS`).
const COLUMNS_MAX: usize = 4096;
const WHAT: &str = "TABLE_MAP event";
const OPTIONAL: &str = "TABLE_MAP optional metadata";

/// A table as the server names it for the row events that follow.
///
/// Only the parts are checked when the event is decoded; columns are decoded on demand, so a column type this crate
/// does not know matters only to readers of that table. Equal `(schema, table, types, metadata, nullable, optional)`
/// mean equal columns: compare these slices to keep what was resolved before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableMapEvent<'a> {
    /// The number that row events use; valid until the end of the statement.
    pub table_id: u64,
    /// Flags; 0 or 1.
    pub flags: u16,
    /// The database, in UTF-8.
    pub schema: &'a [u8],
    /// The table, in UTF-8.
    pub table: &'a [u8],
    /// One type code per column.
    pub types: &'a [u8],
    /// The types' metadata, one after the other.
    pub metadata: &'a [u8],
    /// One bit per column: it may be NULL.
    pub nullable: &'a [u8],
    /// Optional metadata (8.0 and later); empty if there is none.
    pub optional: &'a [u8],
}

impl<'a> TableMapEvent<'a> {
    pub(super) fn parse(body: &'a [u8], short_table_id: bool) -> Result<Self> {
        let mut c = Cursor::new(body, WHAT);
        let table_id = if short_table_id { u64::from(c.u32()?) } else { c.u48()? };
        let flags = c.u16()?;
        let schema = name(&mut c)?;
        let table = name(&mut c)?;
        let count = c.lenenc_len()?;
        if count > COLUMNS_MAX {
            return Err(c.invalid("more columns than a table can have"));
        }
        let types = c.take(count)?;
        let metadata = c.lenenc_bytes()?;
        let nullable = c.take(count.div_ceil(8))?;
        Ok(TableMapEvent { table_id, flags, schema, table, types, metadata, nullable, optional: c.take_rest() })
    }

    /// Number of columns.
    pub fn column_count(&self) -> usize {
        self.types.len()
    }

    /// Decodes the columns' types into `out`, which is emptied first.
    ///
    /// # Errors
    /// A type this crate does not know ([`DecodeError::UnknownCode`]), or metadata that does not fit the types.
    pub fn columns(&self, out: &mut Vec<ColumnType>) -> Result<()> {
        out.clear();
        out.reserve(self.types.len());
        let mut metadata = Cursor::new(self.metadata, "TABLE_MAP column metadata");
        for code in self.types {
            out.push(ColumnType::parse(*code, &mut metadata)?);
        }
        metadata.finish()
    }

    /// Whether the column may be NULL.
    pub fn is_nullable(&self, column: usize) -> bool {
        bit_le(self.nullable, column)
    }

    /// Splits the optional metadata into its fields; unknown fields are passed over.
    ///
    /// # Errors
    /// A field is cut short.
    pub fn optional_metadata(&self) -> Result<OptionalMetadata<'a>> {
        OptionalMetadata::parse(self.optional)
    }
}

/// A name: length, bytes, NUL.
fn name<'a>(c: &mut Cursor<'a>) -> Result<&'a [u8]> {
    let len = c.lenenc_len()?;
    let name = c.take(len)?;
    if c.u8()? != 0 { Err(c.invalid("name without its closing NUL")) } else { Ok(name) }
}

/// Bit `index` counted from the lowest bit of the first byte.
pub(crate) fn bit_le(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// Bit `index` counted from the highest bit of the first byte.
fn bit_be(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8).is_some_and(|byte| byte << (index % 8) & 0x80 != 0)
}

/// A column of a primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrimaryKeyPart {
    /// The column, from 0.
    pub column: usize,
    /// How many characters of it are in the key; 0 is all.
    pub prefix: u64,
}

/// The fields of a table map's optional metadata, undecoded. `None` is a field that was not sent.
///
/// `binlog_row_metadata=MINIMAL` (the default) sends signedness, charsets and geometry types; `FULL` sends all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptionalMetadata<'a> {
    signedness: Option<&'a [u8]>,
    default_charset: Option<&'a [u8]>,
    column_charset: Option<&'a [u8]>,
    names: Option<&'a [u8]>,
    set_values: Option<&'a [u8]>,
    enum_values: Option<&'a [u8]>,
    geometry_types: Option<&'a [u8]>,
    simple_key: Option<&'a [u8]>,
    prefixed_key: Option<&'a [u8]>,
    enum_default_charset: Option<&'a [u8]>,
    enum_column_charset: Option<&'a [u8]>,
    visibility: Option<&'a [u8]>,
    vector_dimensions: Option<&'a [u8]>,
}

/// What the optional metadata says about one column. `None` and empty mean that it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnMetadata<'a> {
    /// The name, in UTF-8.
    pub name: Option<&'a [u8]>,
    /// Whether a numeric column is UNSIGNED. In a table with a YEAR column it may be unknown for columns after that one:
    /// releases differ in whether YEAR takes a bit of the list, and the list does not say.
    pub unsigned: Option<bool>,
    /// Number of the collation of a text, ENUM or SET column; 63 is binary.
    pub collation: Option<u64>,
    /// Options of an ENUM or SET, in the column's character set.
    pub options: Vec<&'a [u8]>,
    /// Kind of geometry: 0 GEOMETRY, 1 POINT, 2 LINESTRING, 3 POLYGON, 4 to 6 the MULTI forms, 7 GEOMETRYCOLLECTION.
    pub geometry_type: Option<u64>,
    /// Number of elements of a VECTOR.
    pub vector_dimensions: Option<u64>,
    /// Whether `SELECT *` shows the column.
    pub visible: Option<bool>,
}

impl<'a> OptionalMetadata<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut c = Cursor::new(bytes, OPTIONAL);
        let mut m = OptionalMetadata::default();
        while !c.is_empty() {
            let field = c.u8()?;
            let value = Some(c.lenenc_bytes()?);
            match field {
                1 => m.signedness = value,
                2 => m.default_charset = value,
                3 => m.column_charset = value,
                4 => m.names = value,
                5 => m.set_values = value,
                6 => m.enum_values = value,
                7 => m.geometry_types = value,
                8 => m.simple_key = value,
                9 => m.prefixed_key = value,
                10 => m.enum_default_charset = value,
                11 => m.enum_column_charset = value,
                12 => m.visibility = value,
                13 => m.vector_dimensions = value,
                _ => {}
            }
        }
        Ok(m)
    }

    /// Whether column names are there (`binlog_row_metadata=FULL`).
    pub fn has_names(&self) -> bool {
        self.names.is_some()
    }

    /// Spreads the fields over the columns.
    ///
    /// # Errors
    /// A field is cut short or has entries for more columns than there are.
    pub fn columns(&self, types: &[ColumnType]) -> Result<Vec<ColumnMetadata<'a>>> {
        let mut out = vec![ColumnMetadata::default(); types.len()];
        let mut columns: Vec<(ColumnType, &mut ColumnMetadata<'a>)> =
            types.iter().copied().zip(out.iter_mut()).collect();

        if let Some(bits) = self.signedness {
            signedness(&mut columns, bits);
        }
        if let Some(bits) = self.visibility {
            for (n, (_, column)) in columns.iter_mut().enumerate() {
                column.visible = Some(bit_be(bits, n));
            }
        }
        if let Some(names) = self.names {
            let mut c = Cursor::new(names, OPTIONAL);
            for (_, column) in &mut columns {
                column.name = Some(c.lenenc_bytes()?);
            }
            c.finish()?;
        }
        charsets(&mut columns, self.default_charset, self.column_charset, ColumnType::has_charset)?;
        charsets(&mut columns, self.enum_default_charset, self.enum_column_charset, ColumnType::is_enum_or_set)?;
        options(&mut columns, self.enum_values, |t| matches!(t, ColumnType::Enum { .. }))?;
        options(&mut columns, self.set_values, |t| matches!(t, ColumnType::Set { .. }))?;
        let mut numbers =
            |list: Option<&'a [u8]>, of: fn(ColumnType) -> bool, set: fn(&mut ColumnMetadata<'a>, u64)| {
                let mut c = Cursor::new(list.unwrap_or(&[]), OPTIONAL);
                for (_, column) in columns.iter_mut().filter(|(t, _)| of(*t)) {
                    if !c.is_empty() {
                        set(column, c.lenenc()?);
                    }
                }
                c.finish()
            };
        numbers(
            self.geometry_types,
            |t| matches!(t, ColumnType::Geometry { .. }),
            |column, kind| column.geometry_type = Some(kind),
        )?;
        numbers(
            self.vector_dimensions,
            |t| matches!(t, ColumnType::Vector { .. }),
            |column, dimensions| column.vector_dimensions = Some(dimensions),
        )?;
        Ok(out)
    }

    /// The primary key's columns in key order; `None` if the event does not say (no key, or metadata MINIMAL).
    ///
    /// # Errors
    /// The field is cut short or names a column that does not exist.
    pub fn primary_key(&self, column_count: usize) -> Result<Option<Vec<PrimaryKeyPart>>> {
        let (list, with_prefix) = match (self.simple_key, self.prefixed_key) {
            (_, Some(list)) => (list, true),
            (Some(list), None) => (list, false),
            (None, None) => return Ok(None),
        };
        let mut c = Cursor::new(list, OPTIONAL);
        let mut parts = Vec::new();
        while !c.is_empty() {
            let column = usize::try_from(c.lenenc()?).ok().filter(|n| *n < column_count);
            let column = column.ok_or_else(|| c.invalid("primary key names a column that does not exist"))?;
            let prefix = if with_prefix { c.lenenc()? } else { 0 };
            parts.push(PrimaryKeyPart { column, prefix });
        }
        Ok(Some(parts))
    }
}

/// One bit per numeric column. 8.0.15 gives YEAR none and other releases are said to give it one, so both readings are
/// tried and a column is decided where they agree or where the list's length leaves only one.
fn signedness(columns: &mut Columns<'_, '_>, bits: &[u8]) {
    let count = |of: fn(ColumnType) -> bool| columns.iter().filter(|(t, _)| of(*t)).count();
    let numeric = count(ColumnType::has_sign);
    let years = count(|t| t == ColumnType::Year);
    let fits = |n: usize| n.div_ceil(8) == bits.len();
    let (without, with) = (fits(numeric), fits(numeric.saturating_add(years)));
    let (mut index, mut years_before) = (0usize, 0usize);
    for (column, metadata) in columns.iter_mut() {
        if *column == ColumnType::Year {
            years_before = years_before.saturating_add(1);
        }
        if column.has_sign() {
            let plain = bit_be(bits, index);
            let shifted = bit_be(bits, index.saturating_add(years_before));
            metadata.unsigned = match (without, with) {
                (true, false) => Some(plain),
                (false, true) => Some(shifted),
                _ => (plain == shifted).then_some(plain),
            };
            index = index.saturating_add(1);
        }
    }
}

type Columns<'a, 'm> = [(ColumnType, &'m mut ColumnMetadata<'a>)];

/// Charsets come as a default with exceptions, or as one per column; either list counts only columns that have one.
fn charsets<'a>(
    columns: &mut Columns<'a, '_>,
    default: Option<&'a [u8]>,
    each: Option<&'a [u8]>,
    of: fn(ColumnType) -> bool,
) -> Result<()> {
    if let Some(list) = each {
        let mut c = Cursor::new(list, OPTIONAL);
        for (_, column) in columns.iter_mut().filter(|(t, _)| of(*t)) {
            column.collation = Some(c.lenenc()?);
        }
        return c.finish();
    }
    let Some(list) = default else { return Ok(()) };
    let mut c = Cursor::new(list, OPTIONAL);
    let default = c.lenenc()?;
    let mut exception = next_pair(&mut c)?;
    let mut index: u64 = 0;
    for (_, column) in columns.iter_mut().filter(|(t, _)| of(*t)) {
        column.collation = Some(default);
        if let Some((at, collation)) = exception
            && at == index
        {
            column.collation = Some(collation);
            exception = next_pair(&mut c)?;
        }
        index = index.saturating_add(1);
    }
    match exception {
        None => Ok(()),
        Some(_) => Err(DecodeError::Invalid {
            what: OPTIONAL,
            at: c.at(),
            reason: "a charset for a column that does not exist or is out of order",
        }),
    }
}

fn next_pair(c: &mut Cursor<'_>) -> Result<Option<(u64, u64)>> {
    if c.is_empty() { Ok(None) } else { Ok(Some((c.lenenc()?, c.lenenc()?))) }
}

/// Options: for each ENUM (or SET) column a count, then the texts.
fn options<'a>(columns: &mut Columns<'a, '_>, list: Option<&'a [u8]>, of: fn(ColumnType) -> bool) -> Result<()> {
    let Some(list) = list else { return Ok(()) };
    let mut c = Cursor::new(list, OPTIONAL);
    for (_, column) in columns.iter_mut().filter(|(t, _)| of(*t)) {
        // Each text has at least its length byte, so the count is at most the bytes left.
        let count = c.lenenc_len()?;
        let mut options = Vec::with_capacity(count);
        for _ in 0..count {
            options.push(c.lenenc_bytes()?);
        }
        column.options = options;
    }
    c.finish()
}
