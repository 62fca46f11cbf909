//! The borrowed value that one cell decodes to.

/// Reusable buffers of a decoder, one set per encoder thread. A decoder may leave its result here and
/// borrow it into the [`Datum`]; the next decode overwrites it.
#[derive(Debug, Default)]
pub struct Scratch {
    /// For text results (converted charsets, rendered JSON, decimal digits).
    pub text: String,
    /// For byte results.
    pub bytes: Vec<u8>,
}

/// A cell whose bytes are not a value of its column's type. Carries no row value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(pub std::borrow::Cow<'static, str>);

impl ValueError {
    /// An error with a fixed text.
    pub fn fixed(text: &'static str) -> Self {
        Self(text.into())
    }

    /// An error with a composed text, which must not contain the row's value.
    pub fn new(text: String) -> Self {
        Self(text.into())
    }
}

/// An exact decimal: `unscaled * 10^-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal<'a> {
    /// Up to 38 digits.
    Small {
        /// The signed unscaled integer.
        unscaled: i128,
        /// Digits after the point.
        scale: u16,
    },
    /// Any number of digits.
    Big {
        /// Below zero.
        negative: bool,
        /// ASCII digits of the unscaled magnitude, most significant first, no sign, no point.
        digits: &'a str,
        /// Digits after the point.
        scale: u16,
    },
}

/// A calendar date and time without zone, years 0 to 9999, not necessarily a day that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// Year, 0..=9999.
    pub year: u16,
    /// Month, 0..=12 (0 in MySQL's partly zero dates).
    pub month: u8,
    /// Day, 0..=31.
    pub day: u8,
    /// Hour, 0..=23.
    pub hour: u8,
    /// Minute, 0..=59.
    pub minute: u8,
    /// Second, 0..=59.
    pub second: u8,
    /// Microseconds, 0..=999_999.
    pub micros: u32,
}

/// One value, borrowed from the arena or from [`Scratch`].
///
/// Temporal kinds that a calendar cannot hold have cases of their own, so that every writer answers for them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Datum<'a> {
    /// SQL NULL.
    Null,
    /// Not in the row image (an unchanged TOAST value, a column left out by a partial row image).
    Absent,
    /// A truth value.
    Bool(bool),
    /// Any signed integer.
    Int(i64),
    /// Any unsigned integer.
    UInt(u64),
    /// Single precision.
    Float(f32),
    /// Double precision.
    Double(f64),
    /// Exact decimal.
    Decimal(Decimal<'a>),
    /// Text, already UTF-8.
    Str(&'a str),
    /// Bytes as stored.
    Bytes(&'a [u8]),
    /// A bit string, little-endian, `ceil(n/8)` bytes.
    Bits(&'a [u8]),
    /// A JSON document, rendered as the stream renders it.
    Json(&'a str),
    /// A date (the time part is zero). Year 0..=9999; may be zero or impossible, see [`DateTime`].
    Date(DateTime),
    /// A signed time of day or duration, microseconds.
    Time(i64),
    /// A date and time without zone; may be zero or impossible.
    DateTime(DateTime),
    /// A point in time, microseconds since 1970-01-01T00:00:00Z.
    Instant(i64),
    /// The zero value of a point-in-time type (MySQL `0000-00-00 00:00:00` in a TIMESTAMP).
    ZeroInstant,
    /// A year.
    Year(i32),
}
