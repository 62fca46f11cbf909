//! What a type is, whatever words name it.

/// A column type of MySQL or MariaDB, synonyms resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `TINYINT`, `INT1`: 1 byte.
    TinyInt,
    /// `SMALLINT`, `INT2`: 2 bytes.
    SmallInt,
    /// `MEDIUMINT`, `INT3`, `MIDDLEINT`: 3 bytes.
    MediumInt,
    /// `INT`, `INTEGER`, `INT4`: 4 bytes.
    Int,
    /// `BIGINT`, `INT8`, `SERIAL`: 8 bytes.
    BigInt,
    /// `BOOL`, `BOOLEAN`: the server stores TINYINT(1); the word survives in streamed statements only.
    Bool,
    /// `BIT(length)`.
    Bit,
    /// `DECIMAL`, `DEC`, `FIXED`, `NUMERIC`; MariaDB `NUMBER`.
    Decimal,
    /// `FLOAT`, `FLOAT4`. The server stores FLOAT(p) with p > 24 and no scale as DOUBLE.
    Float,
    /// `REAL`: the server stores DOUBLE; the word survives in streamed statements only.
    Real,
    /// `DOUBLE`, `DOUBLE PRECISION`, `FLOAT8`.
    Double,
    /// `CHAR`, `CHARACTER`.
    Char,
    /// `VARCHAR`, `CHAR VARYING`, `CHARACTER VARYING`.
    VarChar,
    /// `NCHAR`, `NATIONAL CHAR`, `NATIONAL CHARACTER`: character set utf8.
    NChar,
    /// `NVARCHAR`, `NATIONAL VARCHAR`, `NCHAR VARYING` and the like: character set utf8.
    NVarChar,
    /// `TINYTEXT`.
    TinyText,
    /// `TEXT`.
    Text,
    /// `MEDIUMTEXT`, `LONG`, `LONG VARCHAR`.
    MediumText,
    /// `LONGTEXT`.
    LongText,
    /// `BINARY(length)`.
    Binary,
    /// `VARBINARY(length)`.
    VarBinary,
    /// `TINYBLOB`.
    TinyBlob,
    /// `BLOB`.
    Blob,
    /// `MEDIUMBLOB`, `LONG VARBINARY`.
    MediumBlob,
    /// `LONGBLOB`.
    LongBlob,
    /// `DATE`.
    Date,
    /// `TIME`, with fraction digits.
    Time,
    /// `DATETIME`, with fraction digits.
    DateTime,
    /// `TIMESTAMP`, with fraction digits.
    Timestamp,
    /// `YEAR`.
    Year,
    /// `ENUM`.
    Enum,
    /// `SET`.
    Set,
    /// `JSON`.
    Json,
    /// `GEOMETRY`.
    Geometry,
    /// `POINT`.
    Point,
    /// `LINESTRING`.
    LineString,
    /// `POLYGON`.
    Polygon,
    /// `MULTIPOINT`.
    MultiPoint,
    /// `MULTILINESTRING`.
    MultiLineString,
    /// `MULTIPOLYGON`.
    MultiPolygon,
    /// `GEOMETRYCOLLECTION`, `GEOMCOLLECTION`.
    GeometryCollection,
    /// `VECTOR(length)`: 4-byte floats.
    Vector,
    /// MariaDB `UUID`.
    Uuid,
    /// MariaDB `INET4`.
    Inet4,
    /// MariaDB `INET6`.
    Inet6,
}

impl ColumnType {
    /// The type that a type name of the model means. Case is that of the model: upper.
    pub fn of(type_name: &str) -> Option<Self> {
        let mut words = type_name.split(' ');
        let first = words.next().unwrap_or("");
        let second = words.next().unwrap_or("");
        let third = words.next().unwrap_or("");
        Some(match (first, second) {
            ("TINYINT" | "INT1", _) => Self::TinyInt,
            ("SMALLINT" | "INT2", _) => Self::SmallInt,
            ("MEDIUMINT" | "INT3" | "MIDDLEINT", _) => Self::MediumInt,
            ("INT" | "INTEGER" | "INT4", _) => Self::Int,
            ("BIGINT" | "INT8" | "SERIAL", _) => Self::BigInt,
            ("BOOL" | "BOOLEAN", _) => Self::Bool,
            ("BIT", _) => Self::Bit,
            ("DECIMAL" | "DEC" | "FIXED" | "NUMERIC" | "NUMBER", _) => Self::Decimal,
            ("FLOAT" | "FLOAT4", _) => Self::Float,
            ("REAL", _) => Self::Real,
            ("DOUBLE" | "FLOAT8", _) => Self::Double,
            ("CHAR" | "CHARACTER", "VARYING") | ("VARCHAR" | "VARCHAR2" | "VARCHARACTER", _) => Self::VarChar,
            ("CHAR" | "CHARACTER", _) => Self::Char,
            ("NCHAR", "VARYING" | "VARCHAR" | "VARCHARACTER") | ("NVARCHAR", _) => Self::NVarChar,
            ("NATIONAL", "VARCHAR" | "VARCHARACTER") => Self::NVarChar,
            ("NATIONAL", _) if third == "VARYING" => Self::NVarChar,
            ("NCHAR" | "NATIONAL", _) => Self::NChar,
            ("TINYTEXT", _) => Self::TinyText,
            ("TEXT", _) => Self::Text,
            ("LONG", "VARBINARY") => Self::MediumBlob,
            ("MEDIUMTEXT" | "LONG", _) => Self::MediumText,
            ("LONGTEXT" | "CLOB", _) => Self::LongText,
            ("BINARY", _) => Self::Binary,
            ("VARBINARY" | "RAW", _) => Self::VarBinary,
            ("TINYBLOB", _) => Self::TinyBlob,
            ("BLOB", _) => Self::Blob,
            ("MEDIUMBLOB", _) => Self::MediumBlob,
            ("LONGBLOB", _) => Self::LongBlob,
            ("DATE", _) => Self::Date,
            ("TIME", _) => Self::Time,
            ("DATETIME", _) => Self::DateTime,
            ("TIMESTAMP", _) => Self::Timestamp,
            ("YEAR", _) => Self::Year,
            ("ENUM", _) => Self::Enum,
            ("SET", _) => Self::Set,
            ("JSON", _) => Self::Json,
            ("GEOMETRY", _) => Self::Geometry,
            ("POINT", _) => Self::Point,
            ("LINESTRING", _) => Self::LineString,
            ("POLYGON", _) => Self::Polygon,
            ("MULTIPOINT", _) => Self::MultiPoint,
            ("MULTILINESTRING", _) => Self::MultiLineString,
            ("MULTIPOLYGON", _) => Self::MultiPolygon,
            ("GEOMETRYCOLLECTION" | "GEOMCOLLECTION", _) => Self::GeometryCollection,
            ("VECTOR", _) => Self::Vector,
            ("UUID", _) => Self::Uuid,
            ("INET4", _) => Self::Inet4,
            ("INET6", _) => Self::Inet6,
            _ => return None,
        })
    }
}
