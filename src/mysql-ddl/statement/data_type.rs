//! The type of a column.

use super::cursor::{Cursor, single_quoted};
use super::{CharsetName, DataType, Unexpected};
use crate::token::{Kind, unquoted};

/// What may follow the words of a type.
enum Shape {
    /// Nothing.
    Plain,
    /// `(n)` or `(n,m)`, then SIGNED, UNSIGNED, ZEROFILL.
    Number,
    /// `(n)`.
    Sized,
    /// `(n)`, then BINARY, ASCII, UNICODE, BYTE, a character set.
    Text,
    /// `('a','b')`, then as text.
    Options,
}

/// `java.sql.Types` codes, and the two Debezium gives TIMESTAMP and spatial types.
mod jdbc {
    pub(super) const NVARCHAR: i32 = -9;
    pub(super) const NCHAR: i32 = -15;
    pub(super) const BIT: i32 = -7;
    pub(super) const BIGINT: i32 = -5;
    pub(super) const VARBINARY: i32 = -3;
    pub(super) const BINARY: i32 = -2;
    pub(super) const CHAR: i32 = 1;
    pub(super) const NUMERIC: i32 = 2;
    pub(super) const DECIMAL: i32 = 3;
    pub(super) const INTEGER: i32 = 4;
    pub(super) const SMALLINT: i32 = 5;
    pub(super) const FLOAT: i32 = 6;
    pub(super) const REAL: i32 = 7;
    pub(super) const DOUBLE: i32 = 8;
    pub(super) const VARCHAR: i32 = 12;
    pub(super) const BOOLEAN: i32 = 16;
    pub(super) const DATE: i32 = 91;
    pub(super) const TIME: i32 = 92;
    pub(super) const TIMESTAMP: i32 = 93;
    pub(super) const OTHER: i32 = 1111;
    pub(super) const BLOB: i32 = 2004;
    pub(super) const TIMESTAMP_WITH_TIMEZONE: i32 = 2014;
}

/// Parses a type. A type this crate does not know raises a doubt and passes the rest of the column.
pub(super) fn data_type(cursor: &mut Cursor<'_>) -> Result<DataType, Unexpected> {
    let word = cursor.word(0).ok_or(Unexpected)?;
    let mut words = vec![word.to_ascii_uppercase()];
    let first = words.first().cloned().unwrap_or_default();
    let Some((jdbc_type, shape)) = known(&first) else {
        cursor.doubt_here("unknown type");
        cursor.skip_element()?;
        return Ok(DataType { name: first, jdbc_type: jdbc::OTHER, ..DataType::default() });
    };
    cursor.next();
    let mut data_type = DataType { jdbc_type, ..DataType::default() };
    national_and_long(cursor, &first, &mut words, &mut data_type.jdbc_type);
    match shape {
        Shape::Plain => {}
        Shape::Number => {
            dimensions(cursor, &mut data_type)?;
            let mut suffixes = [("SIGNED", false), ("UNSIGNED", false), ("ZEROFILL", false)];
            while let Some((_, seen)) = suffixes.iter_mut().find(|(suffix, _)| cursor.is(suffix)) {
                *seen = true;
                cursor.next();
            }
            // ZEROFILL implies UNSIGNED.
            let [_, (_, unsigned), (_, zerofill)] = &mut suffixes;
            *unsigned |= *zerofill;
            words.extend(suffixes.iter().filter(|(_, seen)| *seen).map(|(suffix, _)| (*suffix).to_owned()));
        }
        Shape::Sized => dimensions(cursor, &mut data_type)?,
        Shape::Text => {
            dimensions(cursor, &mut data_type)?;
            text_attributes(cursor, &mut words, &mut data_type)?;
        }
        Shape::Options => {
            options(cursor, &mut data_type)?;
            text_attributes(cursor, &mut words, &mut data_type)?;
        }
    }
    data_type.name = words.join(" ");
    imply(&first, &mut data_type);
    Ok(data_type)
}

/// The code and the shape of the type that begins with this word.
fn known(word: &str) -> Option<(i32, Shape)> {
    Some(match word {
        "TINYINT" | "INT1" | "SMALLINT" | "INT2" => (jdbc::SMALLINT, Shape::Number),
        "MEDIUMINT" | "INT3" | "MIDDLEINT" | "INT" | "INTEGER" | "INT4" => (jdbc::INTEGER, Shape::Number),
        "BIGINT" | "INT8" => (jdbc::BIGINT, Shape::Number),
        "REAL" => (jdbc::REAL, Shape::Number),
        "DOUBLE" | "FLOAT8" => (jdbc::DOUBLE, Shape::Number),
        "FLOAT" | "FLOAT4" => (jdbc::FLOAT, Shape::Number),
        "DECIMAL" | "DEC" | "FIXED" | "NUMBER" => (jdbc::DECIMAL, Shape::Number),
        "NUMERIC" => (jdbc::NUMERIC, Shape::Number),
        "YEAR" => (jdbc::INTEGER, Shape::Number),
        "SERIAL" => (jdbc::BIGINT, Shape::Plain),
        "BOOL" | "BOOLEAN" => (jdbc::BOOLEAN, Shape::Plain),
        "BIT" => (jdbc::BIT, Shape::Sized),
        "DATE" => (jdbc::DATE, Shape::Plain),
        "TIME" => (jdbc::TIME, Shape::Sized),
        "DATETIME" => (jdbc::TIMESTAMP, Shape::Sized),
        "TIMESTAMP" => (jdbc::TIMESTAMP_WITH_TIMEZONE, Shape::Sized),
        "BINARY" => (jdbc::BINARY, Shape::Sized),
        "VARBINARY" | "RAW" => (jdbc::VARBINARY, Shape::Sized),
        "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" => (jdbc::BLOB, Shape::Plain),
        "BLOB" => (jdbc::BLOB, Shape::Sized),
        "CHAR" | "CHARACTER" => (jdbc::CHAR, Shape::Text),
        "VARCHAR" | "VARCHARACTER" | "VARCHAR2" => (jdbc::VARCHAR, Shape::Text),
        "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" | "LONG" | "CLOB" => (jdbc::VARCHAR, Shape::Text),
        "NCHAR" | "NATIONAL" => (jdbc::NCHAR, Shape::Text),
        "NVARCHAR" => (jdbc::NVARCHAR, Shape::Text),
        "ENUM" | "SET" => (jdbc::CHAR, Shape::Options),
        "JSON" | "GEOMETRY" | "POINT" | "LINESTRING" | "POLYGON" | "MULTIPOINT" | "MULTILINESTRING"
        | "MULTIPOLYGON" | "GEOMETRYCOLLECTION" | "GEOMCOLLECTION" | "UUID" | "INET4" | "INET6" => {
            (jdbc::OTHER, Shape::Plain)
        }
        "VECTOR" => (jdbc::OTHER, Shape::Sized),
        _ => return None,
    })
}

/// The second and third word of `NATIONAL ...`, `NCHAR ...`, `LONG ...`, `CHAR VARYING`, `DOUBLE PRECISION`.
fn national_and_long(cursor: &mut Cursor<'_>, first: &str, words: &mut Vec<String>, jdbc_type: &mut i32) {
    let mut take = |cursor: &mut Cursor<'_>, options: &[&str]| {
        let found = cursor.word(0).filter(|_| cursor.is_any(options)).map(str::to_ascii_uppercase)?;
        cursor.next();
        words.push(found.clone());
        Some(found)
    };
    match first {
        "NATIONAL" => {
            let second = take(cursor, &["CHAR", "CHARACTER", "VARCHAR", "VARCHARACTER"]);
            let varying = take(cursor, &["VARYING"]).is_some();
            if varying || second.is_some_and(|word| word.starts_with("VAR")) {
                *jdbc_type = jdbc::NVARCHAR;
            }
        }
        "NCHAR" if take(cursor, &["VARYING", "VARCHAR", "VARCHARACTER"]).is_some() => *jdbc_type = jdbc::NVARCHAR,
        "CHAR" | "CHARACTER" if take(cursor, &["VARYING"]).is_some() => *jdbc_type = jdbc::VARCHAR,
        "LONG" => {
            if take(cursor, &["VARBINARY"]).is_some() {
                *jdbc_type = jdbc::BLOB;
            } else if take(cursor, &["VARCHAR", "VARCHARACTER"]).is_none()
                && take(cursor, &["CHAR", "CHARACTER"]).is_some()
            {
                take(cursor, &["VARYING"]);
            }
        }
        "DOUBLE" | "FLOAT8" => {
            take(cursor, &["PRECISION"]);
        }
        _ => {}
    }
}

/// `(n)` or `(n,m)`; nothing is fine.
fn dimensions(cursor: &mut Cursor<'_>, data_type: &mut DataType) -> Result<(), Unexpected> {
    if !cursor.accept_sym('(') {
        return Ok(());
    }
    data_type.length = Some(dimension(cursor)?);
    if cursor.accept_sym(',') {
        data_type.scale = Some(dimension(cursor)?);
    }
    cursor.expect_sym(')')
}

/// An unsigned number, cut off at the largest 32-bit one. A fraction (`DECIMAL(10.2)`) is left out.
fn dimension(cursor: &mut Cursor<'_>) -> Result<i32, Unexpected> {
    let token = cursor.peek().filter(|token| token.kind == Kind::Number).ok_or(Unexpected)?;
    let digits = cursor.text(token).split('.').next().unwrap_or("");
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Unexpected);
    }
    cursor.next();
    // Too long for i32 can only be too large: nothing but digits is left.
    Ok(if digits.is_empty() { 0 } else { digits.parse().unwrap_or(i32::MAX) })
}

fn options(cursor: &mut Cursor<'_>, data_type: &mut DataType) -> Result<(), Unexpected> {
    cursor.expect_sym('(')?;
    loop {
        // An introducer (`_utf8'x'`) is one of the words in front of the literal.
        if cursor.word(0).is_some_and(|word| word.starts_with('_')) {
            cursor.next();
        }
        let token = cursor.next().filter(|t| matches!(t.kind, Kind::Str | Kind::Hex | Kind::Bit)).ok_or(Unexpected)?;
        data_type.options.push(single_quoted(cursor.text(token)).into_owned());
        if !cursor.accept_sym(',') {
            return cursor.expect_sym(')');
        }
    }
}

/// What may stand between a text type and the attributes of its column.
fn text_attributes(
    cursor: &mut Cursor<'_>,
    words: &mut Vec<String>,
    data_type: &mut DataType,
) -> Result<(), Unexpected> {
    // BINARY (the binary collation) is part of the type's name unless ASCII, UNICODE or BYTE is there too. Of ENUM and
    // SET it is left out: it would hide the type.
    let (mut binary, mut hidden) = (false, !data_type.options.is_empty());
    loop {
        hidden |= cursor.is_any(&["ASCII", "UNICODE", "BYTE"]);
        if cursor.accept("BINARY") {
            binary = true;
        } else if cursor.accept("ASCII") {
            data_type.charset = Some(CharsetName::Named("latin1".to_owned()));
        } else if cursor.accept("UNICODE") {
            data_type.charset = Some(CharsetName::Named("ucs2".to_owned()));
        } else if cursor.accept("BYTE") {
            // The server makes it BINARY; Debezium leaves it the text type it is called.
        } else if let Some(charset) = charset_clause(cursor)? {
            data_type.charset = Some(charset);
        } else {
            break;
        }
    }
    if binary && !hidden {
        words.push("BINARY".to_owned());
    }
    Ok(())
}

/// `CHARACTER SET x`, `CHAR SET x` or `CHARSET x`, with an optional `=`.
pub(super) fn charset_clause(cursor: &mut Cursor<'_>) -> Result<Option<CharsetName>, Unexpected> {
    if !cursor.accept_all(&["CHARACTER", "SET"]) && !cursor.accept_all(&["CHAR", "SET"]) && !cursor.accept("CHARSET") {
        return Ok(None);
    }
    cursor.accept_sym('=');
    Ok(Some(match word_or_string(cursor)? {
        name if name.eq_ignore_ascii_case("DEFAULT") => CharsetName::Default,
        name => CharsetName::Named(name),
    }))
}

/// `COLLATE x`, with an optional `=`: the character set is the collation's name up to the first `_`.
pub(super) fn collate_clause(cursor: &mut Cursor<'_>) -> Result<Option<CharsetName>, Unexpected> {
    if !cursor.accept("COLLATE") {
        return Ok(None);
    }
    cursor.accept_sym('=');
    let collation = word_or_string(cursor)?;
    if collation.eq_ignore_ascii_case("DEFAULT") {
        return Ok(Some(CharsetName::Default));
    }
    Ok(Some(CharsetName::Named(collation.split('_').next().unwrap_or("").to_owned())))
}

/// A word, quoted identifier or string.
pub(super) fn word_or_string(cursor: &mut Cursor<'_>) -> Result<String, Unexpected> {
    match cursor.next() {
        Some(token) if matches!(token.kind, Kind::Word | Kind::Quoted | Kind::Str) => {
            Ok(unquoted(cursor.text(token)).to_owned())
        }
        _ => Err(Unexpected),
    }
}

/// Lengths and scales that a type has though it does not say them.
fn imply(first: &str, data_type: &mut DataType) {
    match first {
        "DECIMAL" | "DEC" | "FIXED" | "NUMERIC" | "NUMBER" => {
            // DECIMAL(0) is DECIMAL(10).
            data_type.length = data_type.length.filter(|length| *length > 0).or(Some(10));
            data_type.scale = data_type.scale.or(Some(0));
        }
        "BIT" => data_type.length = data_type.length.or(Some(1)),
        "VECTOR" => data_type.length = data_type.length.or(Some(2048)),
        "ENUM" => data_type.length = Some(1),
        // The options and the commas between them.
        "SET" => {
            let options = i32::try_from(data_type.options.len()).unwrap_or(i32::MAX);
            data_type.length = Some(options.saturating_mul(2).saturating_sub(1).max(0));
        }
        _ => {}
    }
}
