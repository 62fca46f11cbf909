//! The slow and obvious way from a row to its records: decode everything into [`Value`]s, build the envelope as a
//! value, write it with the plain converters.
//!
//! [`crate::RecordPlan`] must give the same bytes for every shape; nothing here is fast, nothing is shared with the
//! plan but the converters.

use model::{Cell, DateTime, Datum, Decimal, EventHead, Image, Op, RowArena, RowHead, Scratch, TableVersion};

use crate::{
    ConversionFailure, ConvertError, EncodeError, FieldShape, KeyField, Mapper, RecordSettings, Schema, SourceField,
    TableShape, Type, Value, Write,
    envelope::SourceEvent,
    fields::required_null,
    header, json,
    mapper::{hex, java_serialized},
    number,
};

/// A record in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceRecord {
    /// Key; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// Value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The records of a row, as [`crate::RecordPlan::encode_row`] describes them.
///
/// # Errors
/// As there.
pub fn records(
    table: &TableVersion,
    shape: &TableShape,
    settings: &RecordSettings,
    arena: &RowArena,
    row: &RowHead,
) -> Result<Vec<ReferenceRecord>, EncodeError> {
    Reference { table, shape, settings, arena, row }.records()
}

struct Reference<'a> {
    table: &'a TableVersion,
    shape: &'a TableShape,
    settings: &'a RecordSettings,
    arena: &'a RowArena,
    row: &'a RowHead,
}

impl Reference<'_> {
    fn records(&self) -> Result<Vec<ReferenceRecord>, EncodeError> {
        let image = |image: Option<Image>| image.ok_or_else(|| self.row_error("an image is missing".into()));
        match self.row.op {
            Op::Create | Op::Read => {
                let after = image(self.row.after)?;
                Ok(vec![self.event(self.row.op, None, Some(after), 0, None)?])
            }
            Op::Delete => {
                let before = image(self.row.before)?;
                Ok(self.with_tombstone(self.event(Op::Delete, Some(before), None, 0, None)?))
            }
            Op::Update => {
                let after = image(self.row.after)?;
                let Some(before) = self.row.before else {
                    return Ok(vec![self.event(Op::Update, None, Some(after), 0, None)?]);
                };
                if self.settings.skip_unchanged && same(&self.row_value(before)?, &self.row_value(after)?) {
                    return Ok(Vec::new());
                }
                match (self.key_value(before)?, self.key_value(after)?) {
                    (Some(old), Some(new)) if !same(&old, &new) => {
                        let header = Some(("__debezium.newkey", &new));
                        let delete = self.event(Op::Delete, Some(before), None, 0, header)?;
                        let mut records = self.with_tombstone(delete);
                        let header = Some(("__debezium.oldkey", &old));
                        records.push(self.event(Op::Create, None, Some(after), 1, header)?);
                        Ok(records)
                    }
                    _ => Ok(vec![self.event(Op::Update, Some(before), Some(after), 0, None)?]),
                }
            }
        }
    }

    fn with_tombstone(&self, delete: ReferenceRecord) -> Vec<ReferenceRecord> {
        let tombstone = ReferenceRecord { value: None, ..delete.clone() };
        if self.settings.tombstones { vec![delete, tombstone] } else { vec![delete] }
    }

    fn event(
        &self,
        op: Op,
        before: Option<Image>,
        after: Option<Image>,
        shift: i64,
        header: Option<(&str, &Value)>,
    ) -> Result<ReferenceRecord, EncodeError> {
        let event = self.arena.event(self.row.event).ok_or_else(|| self.row_error("no event".into()))?;
        let image = |image: Option<Image>| image.map_or(Ok(Value::Null), |image| self.row_value(image));
        let transaction = self.row.tx.and_then(|tx| self.arena.transaction(tx)).map_or(Value::Null, |(id, block)| {
            let orders = [block.total_order, block.data_collection_order].map(|n| Value::Int(n.saturating_add(shift)));
            Value::Struct([Value::text(id)].into_iter().chain(orders).collect())
        });
        let value = Value::Struct(vec![
            image(before)?,
            image(after)?,
            self.source(event),
            transaction,
            Value::text(op.letter()),
            Value::Int(event.read_ns.div_euclid(1_000_000)),
            Value::Int(event.read_ns.div_euclid(1_000)),
            Value::Int(event.read_ns),
        ]);
        let key = match (after.or(before), &self.shape.key) {
            (Some(image), Some(shape)) => {
                let key = self.key_value(image)?.unwrap_or(Value::Null);
                Some(self.bytes(|out| json::to_json(Some(&shape.schema), &key, &self.settings.key, out))?)
            }
            _ => None,
        };
        let envelope = Some(&*self.shape.envelope);
        let value = self.bytes(|out| json::to_json(envelope, &value, &self.settings.value, out))?;
        let mut headers = Vec::new();
        if let (Some((name, other)), Some(shape)) = (header, &self.shape.key) {
            let bytes = self.bytes(|out| header::to_header(&self.settings.header, &shape.schema, other, out))?;
            headers.push((name.to_owned(), bytes));
        }
        for (name, text) in &self.settings.context_headers {
            let (schema, text) = (Schema::new(Type::String), Value::Text(text.clone()));
            let bytes = self.bytes(|out| header::to_header(&self.settings.header, &schema, &text, out))?;
            headers.push((name.to_string(), bytes));
        }
        Ok(ReferenceRecord { key, value: Some(value), headers })
    }

    fn bytes(&self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), ConvertError>) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        write(&mut out).map_err(|error| self.row_error(error.to_string()))?;
        Ok(out)
    }

    fn row_error(&self, reason: String) -> EncodeError {
        EncodeError::Row { table: self.table.id.clone(), reason }
    }

    fn source(&self, event: &EventHead) -> Value {
        let slots: Vec<_> = self.arena.slots(event).collect();
        let mut value = self.shape.source.value(&SourceEvent {
            source_us: event.source_us,
            snapshot: self.row.snapshot,
            ordinal: self.row.ordinal,
            namespace: self.table.id.namespace(),
            table: Some(self.table.id.name()),
            slots: &slots,
        });
        if let Value::Struct(values) = &mut value {
            for (value, field) in values.iter_mut().zip(&self.shape.source.fields) {
                if *field == SourceField::Ordinal {
                    *value = Value::Int(i64::from(self.row.ordinal));
                }
            }
        }
        value
    }

    fn row_value(&self, image: Image) -> Result<Value, EncodeError> {
        let values = self.shape.fields.iter().map(|field| self.field(field, image));
        values.collect::<Result<_, _>>().map(Value::Struct)
    }

    fn key_value(&self, image: Image) -> Result<Option<Value>, EncodeError> {
        let Some(key) = &self.shape.key else { return Ok(None) };
        let value = |field: &KeyField| match field {
            KeyField::Column(field) => self.field(field, image),
            KeyField::Constant { value, .. } => Ok(value.clone()),
        };
        key.fields.iter().map(value).collect::<Result<_, _>>().map(|values| Some(Value::Struct(values)))
    }

    fn field(&self, field: &FieldShape, image: Image) -> Result<Value, EncodeError> {
        let column = self.table.columns.get(field.column).ok_or_else(|| self.row_error("no column".into()))?;
        if let (Mapper::Mask(mask), Type::String) = (&field.mapper, field.schema.ty) {
            return Ok(Value::Text(mask.clone()));
        }
        let cell = self.arena.image(image).get(field.column).copied().unwrap_or(Cell::ABSENT);
        if cell.is_absent() {
            return Err(EncodeError::Absent { table: self.table.id.clone(), column: column.name.clone() });
        }
        let mut scratch = Scratch::default();
        let decoded = match cell.is_null() {
            true => Ok(Datum::Null),
            false => column.decoder.decode(self.arena.bytes(cell), &mut scratch),
        };
        let value = decoded.map_err(|error| error.to_string()).and_then(|datum| match is_null(&datum) {
            true => Ok(None),
            false => convert(field.write, datum, field.schema.ty, self.settings.adjust_years).map(Some),
        });
        let failed =
            |reason: String| EncodeError::Value { table: self.table.id.clone(), column: column.name.clone(), reason };
        match value {
            Ok(Some(value)) => Ok(mapped(&field.mapper, value)),
            Ok(None) if field.schema.optional => Ok(Value::Null),
            Ok(None) => {
                let value = field.schema.default.clone().unwrap_or(field.fallback.clone());
                Ok(mapped(&field.mapper, value))
            }
            Err(reason) if self.settings.conversion_failure == ConversionFailure::Fail => Err(failed(reason)),
            Err(_) if field.schema.optional || field.schema.default.is_some() => Ok(Value::Null),
            Err(_) => Err(failed(required_null(&field.name, field.schema.ty))),
        }
    }
}

/// Equal as Java's `equals` sees it: NaN is itself, -0.0 is not 0.0. The debug form tells exactly these apart.
fn same(left: &Value, right: &Value) -> bool {
    format!("{left:?}") == format!("{right:?}")
}

fn is_null(datum: &Datum<'_>) -> bool {
    match datum {
        Datum::Null | Datum::ZeroInstant => true,
        Datum::Date(value) | Datum::DateTime(value) => value.year == 0 || value.month == 0 || value.day == 0,
        _ => false,
    }
}

fn mapped(mapper: &Mapper, value: Value) -> Value {
    match (mapper, value) {
        (Mapper::Truncate(limit), Value::Text(text)) => {
            let mut cut = String::new();
            for c in text.chars() {
                if cut.encode_utf16().count() + c.len_utf16() > *limit as usize {
                    break;
                }
                cut.push(c);
            }
            Value::text(cut)
        }
        (Mapper::Truncate(limit), Value::Bytes(bytes)) => {
            Value::Bytes(bytes.iter().take(*limit as usize).copied().collect())
        }
        (Mapper::Mask(mask), Value::Text(_)) => Value::Text(mask.clone()),
        (Mapper::Hash { algorithm, salt, plain, length }, Value::Text(text)) => {
            let mut input = salt.as_bytes().to_vec();
            if *plain {
                input.extend_from_slice(text.as_bytes())
            } else {
                java_serialized(&text, &mut input)
            }
            let digest = openssl::hash::MessageDigest::from_name(algorithm)
                .and_then(|digest| openssl::hash::hash(digest, &input).ok());
            let digits = digest.iter().flat_map(|digest| hex(digest)).map(char::from);
            Value::text(digits.take(length.map_or(usize::MAX, |length| length as usize)).collect::<String>())
        }
        (_, value) => value,
    }
}

/// A value by its way of writing; the error says nothing of the value.
fn convert(write: Write, datum: Datum<'_>, ty: Type, adjust: bool) -> Result<Value, String> {
    let wrong = || Err("kind".to_owned());
    let bits = match ty {
        Type::Int8 => 8,
        Type::Int16 => 16,
        Type::Int32 => 32,
        _ => 64,
    };
    let integer = |n: i64| match bits < 64 && (n < -(1i64 << (bits - 1)) || n >= 1i64 << (bits - 1)) {
        true => Err("range".to_owned()),
        false => Ok(Value::Int(n)),
    };
    Ok(match (write, datum) {
        (Write::Integer | Write::Year, Datum::Int(n)) => integer(n)?,
        (Write::Integer | Write::Year, Datum::UInt(n)) => integer(n as i64)?,
        (Write::Integer | Write::Year, Datum::Bool(b)) => Value::Int(i64::from(b)),
        (Write::Year, Datum::Year(year)) => Value::Int(adjusted(i64::from(year), adjust)),
        (Write::Integer, Datum::Year(year)) => integer(i64::from(year))?,
        (Write::Boolean, datum) => Value::Bool(truth(datum)?),
        (Write::Float32, datum) => Value::Float(float(datum)? as f32),
        (Write::Float64, datum) => Value::Double(float(datum)?),
        (Write::Decimal { scale }, datum) => decimal(datum, usize::from(scale))?,
        (Write::DecimalText, datum) => Value::text(decimal_text(datum)?),
        (Write::DecimalDouble, Datum::Float(x)) => Value::Double(f64::from(x)),
        (Write::DecimalDouble, Datum::Double(x)) => Value::Double(x),
        (Write::DecimalDouble, datum) => {
            Value::Double(decimal_text(datum)?.parse().map_err(|_| "not a number".to_owned())?)
        }
        (Write::Text | Write::Json, Datum::Str(text) | Datum::Json(text)) => Value::text(text),
        (Write::Text, Datum::Bytes(bytes)) => {
            Value::text(String::from_utf8(bytes.to_vec()).map_err(|_| "UTF-8".to_owned())?)
        }
        (Write::Bytes { pad }, datum) => Value::Bytes(padded(datum, pad)?.into()),
        (Write::BytesBase64 { pad }, datum) => Value::text(base64(padded(datum, pad)?, "+/")),
        (Write::BytesBase64Url { pad }, datum) => Value::text(base64(padded(datum, pad)?, "-_")),
        (Write::BytesHex { pad }, datum) => {
            Value::text(padded(datum, pad)?.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        (Write::EpochDays, Datum::Date(value) | Datum::DateTime(value)) => Value::Int(days(&value, adjust)?),
        (Write::IsoDate, Datum::Date(value) | Datum::DateTime(value)) => {
            days(&value, adjust)?;
            let year = adjusted(i64::from(value.year), adjust);
            Value::text(format!("{year:04}-{:02}-{:02}Z", value.month, value.day))
        }
        (Write::TimeMicros, Datum::Time(micros)) => Value::Int(micros),
        (Write::TimeNanos, Datum::Time(micros)) => Value::Int(micros.checked_mul(1000).ok_or("range")?),
        (Write::TimeMillisOfDay, Datum::Time(micros @ 0..=86_400_000_000)) => Value::Int(micros / 1000),
        (Write::IsoTime, Datum::Time(micros @ 0..=86_400_000_000)) => {
            Value::text(format!("{}Z", clock(micros % 86_400_000_000, None)))
        }
        (Write::TimestampMillis, datum) => Value::Int(micros(datum, adjust)?.div_euclid(1000)),
        (Write::TimestampMicros, datum) => Value::Int(micros(datum, adjust)?),
        (Write::TimestampNanos, datum) => Value::Int(micros(datum, adjust)?.checked_mul(1000).ok_or("range")?),
        (Write::IsoTimestamp, datum @ (Datum::Date(value) | Datum::DateTime(value))) => {
            let time = micros(datum, adjust)?.rem_euclid(86_400_000_000);
            let year = adjusted(i64::from(value.year), adjust);
            Value::text(format!("{year:04}-{:02}-{:02}T{}Z", value.month, value.day, clock(time, None)))
        }
        (Write::ZonedTimestamp { fsp }, Datum::Instant(micros)) => {
            let (mut year, mut day) = (1970, micros.div_euclid(86_400_000_000));
            while day < 0 {
                year -= 1;
                day += 365 + i64::from(leap(year));
            }
            while day >= 365 + i64::from(leap(year)) {
                day -= 365 + i64::from(leap(year));
                year += 1;
            }
            let mut month = 1;
            while day >= month_days(year, month) {
                day -= month_days(year, month);
                month += 1;
            }
            let clock = clock(micros.rem_euclid(86_400_000_000), Some(usize::from(fsp)));
            Value::text(format!("{year:04}-{month:02}-{:02}T{clock}Z", day + 1))
        }
        _ => return wrong(),
    })
}

fn adjusted(year: i64, adjust: bool) -> i64 {
    if !adjust || !(0..100).contains(&year) {
        return year;
    }
    if year < 70 { 2000 + year } else { 1900 + year }
}

fn leap(year: i64) -> bool {
    year % 400 == 0 || (year % 4 == 0 && year % 100 != 0)
}

fn month_days(year: i64, month: usize) -> i64 {
    let february = 28 + i64::from(leap(year));
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].get(month.wrapping_sub(1)).copied().unwrap_or(0)
}

/// Days since 1970-01-01, counted one year and one month at a time.
fn days(value: &DateTime, adjust: bool) -> Result<i64, String> {
    let (stored, month) = (i64::from(value.year), usize::from(value.month));
    if month == 0 || value.day == 0 || i64::from(value.day) > month_days(stored, month) {
        return Err("no such day".into());
    }
    let year = adjusted(stored, adjust);
    let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    let before: i64 = (year..1970).map(|year| 365 + i64::from(leap(year))).sum();
    let months: i64 = (1..month).map(|month| month_days(year, month)).sum();
    Ok(years - before + months + i64::from(value.day) - 1)
}

fn micros(datum: Datum<'_>, adjust: bool) -> Result<i64, String> {
    let (Datum::Date(value) | Datum::DateTime(value)) = datum else { return Err("kind".into()) };
    if value.hour > 23 || value.minute > 59 || value.second > 59 || value.micros > 999_999 {
        return Err("no such time".into());
    }
    let hours = days(&value, adjust)? * 24 + i64::from(value.hour);
    let seconds = (hours * 60 + i64::from(value.minute)) * 60 + i64::from(value.second);
    Ok(seconds * 1_000_000 + i64::from(value.micros))
}

fn clock(micros: i64, digits: Option<usize>) -> String {
    let seconds = micros / 1_000_000;
    let fraction = format!("{:06}", micros % 1_000_000);
    let fraction = match digits {
        Some(digits) => fraction.get(..digits.min(6)).unwrap_or("").to_owned(),
        None => fraction.trim_end_matches('0').to_owned(),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{:02}:{:02}:{:02}{point}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn truth(datum: Datum<'_>) -> Result<bool, String> {
    match datum {
        Datum::Bool(b) => Ok(b),
        Datum::Bits(bits) => Ok(bits.iter().any(|byte| *byte != 0)),
        Datum::Float(x) => Ok(x != 0.0),
        Datum::Double(x) => Ok(x != 0.0),
        datum => decimal_text(datum).map(|text| text.bytes().any(|byte| (b'1'..=b'9').contains(&byte))),
    }
}

fn float(datum: Datum<'_>) -> Result<f64, String> {
    match datum {
        Datum::Float(x) => Ok(f64::from(x)),
        Datum::Double(x) => Ok(x),
        Datum::Int(n) => Ok(n as f64),
        Datum::UInt(n) => Ok(n as f64),
        _ => Err("kind".into()),
    }
}

/// Sign, digits and scale of any exact number.
fn exact(datum: Datum<'_>) -> Result<(bool, String, usize), String> {
    match datum {
        Datum::Int(n) => Ok((n < 0, n.unsigned_abs().to_string(), 0)),
        Datum::UInt(n) => Ok((false, n.to_string(), 0)),
        Datum::Decimal(Decimal::Small { unscaled, scale }) => {
            Ok((unscaled < 0, unscaled.unsigned_abs().to_string(), usize::from(scale)))
        }
        Datum::Decimal(Decimal::Big { negative, digits, scale }) if digits.bytes().all(|d| d.is_ascii_digit()) => {
            Ok((negative, digits.to_owned(), usize::from(scale)))
        }
        _ => Err("kind".into()),
    }
}

fn decimal_text(datum: Datum<'_>) -> Result<String, String> {
    let (negative, digits, scale) = exact(datum)?;
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let zero = digits.bytes().all(|digit| digit == b'0');
    let sign = if negative && !zero { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    Ok(format!("{sign}{whole}{point}{fraction}"))
}

fn decimal(datum: Datum<'_>, scale: usize) -> Result<Value, String> {
    let (negative, mut digits, from) = exact(datum)?;
    for _ in from..scale {
        digits.push('0');
    }
    for _ in scale..from {
        if digits.pop().is_some_and(|digit| digit != '0') {
            return Err("scale".into());
        }
    }
    let mut unscaled = Vec::new();
    number::twos_complement_of_digits(negative, digits.as_bytes(), &mut Vec::new(), &mut unscaled);
    Ok(Value::Decimal { unscaled: unscaled.into(), scale: scale as i32 })
}

fn padded(datum: Datum<'_>, pad: u32) -> Result<Vec<u8>, String> {
    let mut bytes = match datum {
        Datum::Bytes(bytes) | Datum::Bits(bytes) => bytes.to_vec(),
        Datum::Str(text) => text.as_bytes().to_vec(),
        _ => return Err("kind".into()),
    };
    while bytes.len() < pad as usize {
        bytes.push(0);
    }
    Ok(bytes)
}

/// Base64 with padding; `last` are the two characters in which the alphabets differ.
fn base64(bytes: Vec<u8>, last: &str) -> String {
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(last.chars()).collect();
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = alphabet.get((bits >> (18 - 6 * i) & 63) as usize).copied().unwrap_or('=');
            out.push(if i > chunk.len() { '=' } else { digit });
        }
    }
    out
}
