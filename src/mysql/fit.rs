//! Whether a table of the schema model can be the table that a TABLE_MAP event describes.
//!
//! The statement decides what a table looks like; the event checks it. A model that does not fit must never be used
//! to read a row: its values would be another column's.

use mysql_ddl::{ColumnType as Declared, Table};
use mysql_protocol::column::ColumnType as Wire;

/// Why a model does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Another number of columns.
    Count {
        /// Columns of the model.
        model: usize,
        /// Columns of the rows.
        rows: usize,
    },
    /// A column of another type or name.
    Column(String),
}

/// Compares model and event; `names` are the event's column names, where the server sends them.
pub(crate) fn fits(table: &Table, wire: &[Wire], names: &[Option<&[u8]>]) -> Result<(), Misfit> {
    if table.columns.len() != wire.len() {
        return Err(Misfit::Count { model: table.columns.len(), rows: wire.len() });
    }
    for (index, (column, wire)) in table.columns.iter().zip(wire).enumerate() {
        if !column.column_type().is_none_or(|declared| stores_as(declared, *wire)) {
            return Err(Misfit::Column(format!(
                "column {} is {} in the schema and {} in the rows",
                column.name,
                column.type_name,
                wire.name()
            )));
        }
        if let Some(Some(name)) = names.get(index) {
            let name = String::from_utf8_lossy(name);
            if !same_name(&name, &column.name) {
                return Err(Misfit::Column(format!(
                    "column {} of the schema is called {name} in the rows",
                    column.name
                )));
            }
        }
    }
    Ok(())
}

fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

/// Whether a declared type is stored in rows as this wire type (`sql/field.cc`, `Field::type` and `real_type`).
fn stores_as(declared: Declared, wire: Wire) -> bool {
    use Declared as D;
    match wire {
        Wire::Tiny => matches!(declared, D::TinyInt | D::Bool),
        Wire::Short => declared == D::SmallInt,
        Wire::Int24 => declared == D::MediumInt,
        Wire::Long => declared == D::Int,
        Wire::LongLong => declared == D::BigInt,
        Wire::Float => matches!(declared, D::Float | D::Real),
        // FLOAT(p) with p > 24 is stored as DOUBLE, and so is REAL.
        Wire::Double => matches!(declared, D::Double | D::Real | D::Float),
        Wire::Decimal { .. } => declared == D::Decimal,
        Wire::Year => declared == D::Year,
        Wire::Date => declared == D::Date,
        Wire::Time { .. } | Wire::OldTime => declared == D::Time,
        Wire::DateTime { .. } | Wire::OldDateTime => declared == D::DateTime,
        Wire::Timestamp { .. } | Wire::OldTimestamp => declared == D::Timestamp,
        Wire::Bit { .. } => declared == D::Bit,
        Wire::VarChar { .. } => matches!(declared, D::VarChar | D::NVarChar | D::VarBinary),
        Wire::Char { .. } => matches!(declared, D::Char | D::NChar | D::Binary | D::Uuid | D::Inet4 | D::Inet6),
        Wire::Enum { .. } => declared == D::Enum,
        Wire::Set { .. } => declared == D::Set,
        Wire::Blob { .. } => matches!(
            declared,
            D::TinyText
                | D::Text
                | D::MediumText
                | D::LongText
                | D::TinyBlob
                | D::Blob
                | D::MediumBlob
                | D::LongBlob
                // MariaDB stores JSON as text.
                | D::Json
                // A VARCHAR or VARBINARY too long for its type becomes TEXT or BLOB in non-strict mode.
                | D::VarChar
                | D::VarBinary
                | D::NVarChar
        ),
        Wire::Json { .. } => declared == D::Json,
        Wire::Geometry { .. } => matches!(
            declared,
            D::Geometry
                | D::Point
                | D::LineString
                | D::Polygon
                | D::MultiPoint
                | D::MultiLineString
                | D::MultiPolygon
                | D::GeometryCollection
        ),
        Wire::Vector { .. } => declared == D::Vector,
        Wire::Null => true,
    }
}

#[cfg(test)]
mod tests {
    use mysql_ddl::{Context, Tables};

    use super::*;

    fn table(ddl: &str) -> std::sync::Arc<Table> {
        let mut tables = Tables::new(false);
        let context = Context { database: Some("d"), ..Default::default() };
        tables.apply(ddl, &context).expect("parses");
        tables.iter().next().expect("a table").clone()
    }

    #[test]
    fn count_type_and_name_are_compared() {
        let table = table("CREATE TABLE t (id INT, name VARCHAR(10), at TIMESTAMP(3) NULL)");
        let wire = [Wire::Long, Wire::VarChar { max_len: 40 }, Wire::Timestamp { fsp: 3 }];
        assert_eq!(fits(&table, &wire, &[]), Ok(()));
        assert_eq!(fits(&table, &wire, &[Some(b"ID"), Some(b"name"), None]), Ok(()));
        assert_eq!(fits(&table, &wire[..2], &[]), Err(Misfit::Count { model: 3, rows: 2 }));
        let swapped = [wire[1], wire[0], wire[2]];
        assert!(matches!(fits(&table, &swapped, &[]), Err(Misfit::Column(_))));
        assert!(matches!(fits(&table, &wire, &[None, Some(b"other"), None]), Err(Misfit::Column(_))));
    }
}
