//! Reading a change event from a record's key and value, in every form the daemon and Debezium emit.
//!
//! Forms: envelope with or without `schema`, the row alone (`ExtractNewRecordState`, with its `__op` and `__deleted`),
//! tombstone. Snapshot reads (`op=r`) are upserts. Never decides what a change means.

use serde_json::{Map, Value};

use super::columns::{Cell, ColumnType};

/// What cannot be read, with a class for dead letters and a text without row values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// Short name of the kind of error, for filtering.
    pub class: &'static str,
    /// What is wrong and where.
    pub message: String,
}

impl Malformed {
    pub(crate) fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

/// Columns of one row image (or of a key), with their schemas where the record carries them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Values by column name.
    pub columns: Map<String, Value>,
    fields: Option<Vec<Value>>,
}

impl Row {
    /// The value of a column as declared; absent columns are `None` like NULL.
    ///
    /// # Errors
    /// The column's name and what was expected.
    pub fn read(&self, name: &str, column: ColumnType) -> Result<Option<Cell>, Malformed> {
        let Some(value) = self.columns.get(name) else { return Ok(None) };
        let schema =
            self.fields.as_ref().and_then(|fields| fields.iter().find(|f| f.get("field") == Some(&Value::from(name))));
        column.read(value, schema).map_err(|expected| {
            Malformed::new("InvalidValue", format!("column {name}: expected {expected}, found {}", kind(value)))
        })
    }
}

/// One change of one row, or of all.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The row is as given from now on.
    Upsert(Row),
    /// The row is gone. Holds what is known of it: the whole old image, or the key's columns.
    Delete(Row),
    /// All rows of the table are gone.
    Truncate,
    /// Nothing about rows (a logical message).
    Nothing,
}

/// Reads a record.
///
/// # Errors
/// [`Malformed`] when it is no change event.
pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Change, Malformed> {
    let Some(value) = value else {
        let key = key.ok_or_else(|| Malformed::new("NoKey", "a tombstone without a key"))?;
        return Ok(Change::Delete(read_key(key)?));
    };
    let parsed: Value = serde_json::from_slice(value).map_err(|e| {
        Malformed::new("InvalidJson", format!("value is not JSON (line {}, column {})", e.line(), e.column()))
    })?;
    let (schema, payload) = split_schema(parsed);
    let mut object = match payload {
        Value::Object(object) => object,
        // A tombstone with `schemas.enable=true` may be {"schema":null,"payload":null}.
        Value::Null => {
            let key = key.ok_or_else(|| Malformed::new("NoKey", "a tombstone without a key"))?;
            return Ok(Change::Delete(read_key(key)?));
        }
        other => return Err(Malformed::new("InvalidValue", format!("value is {}, not an object", kind(&other)))),
    };
    let is_envelope = object.get("op").is_some_and(Value::is_string)
        && (object.contains_key("after") || object.contains_key("before") || object.contains_key("source"));
    if !is_envelope {
        let deleted = match object.remove("__deleted") {
            Some(Value::String(text)) => text == "true",
            Some(Value::Bool(deleted)) => deleted,
            _ => false,
        } || object.get("__op").and_then(Value::as_str) == Some("d");
        let row = Row { columns: object, fields: fields(schema.as_ref()) };
        return Ok(if deleted { Change::Delete(row) } else { Change::Upsert(row) });
    }
    let op = object.get("op").and_then(Value::as_str).unwrap_or_default().to_owned();
    match op.as_str() {
        "c" | "u" | "r" => image(&mut object, schema.as_ref(), "after")?
            .map(Change::Upsert)
            .ok_or_else(|| Malformed::new("NoRow", format!("op {op} without an after image"))),
        "d" => match (image(&mut object, schema.as_ref(), "before")?, key) {
            (Some(row), _) => Ok(Change::Delete(row)),
            (None, Some(key)) => Ok(Change::Delete(read_key(key)?)),
            (None, None) => Err(Malformed::new("NoRow", "op d without a before image and without a key")),
        },
        "t" => Ok(Change::Truncate),
        "m" => Ok(Change::Nothing),
        _ => Err(Malformed::new("UnknownOperation", "op is none of c, u, r, d, t, m")),
    }
}

fn image(object: &mut Map<String, Value>, schema: Option<&Value>, name: &str) -> Result<Option<Row>, Malformed> {
    match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(columns)) => {
            let inner = schema
                .and_then(|s| s.get("fields")?.as_array()?.iter().find(|f| f.get("field") == Some(&Value::from(name))));
            Ok(Some(Row { columns, fields: fields(inner) }))
        }
        Some(other) => Err(Malformed::new("InvalidValue", format!("{name} is {}, not an object", kind(&other)))),
    }
}

fn fields(schema: Option<&Value>) -> Option<Vec<Value>> {
    schema?.get("fields")?.as_array().cloned()
}

/// The columns of a key. A bare value (a key transform, StringConverter) stands under the name `""`.
fn read_key(key: &[u8]) -> Result<Row, Malformed> {
    let parsed: Value = match serde_json::from_slice(key) {
        Ok(parsed) => parsed,
        Err(_) => match std::str::from_utf8(key) {
            Ok(text) => Value::from(text),
            Err(_) => return Err(Malformed::new("InvalidKey", "key is neither JSON nor text")),
        },
    };
    let (schema, payload) = split_schema(parsed);
    match payload {
        Value::Object(columns) => Ok(Row { columns, fields: fields(schema.as_ref()) }),
        bare @ (Value::String(_) | Value::Number(_)) => {
            Ok(Row { columns: Map::from_iter([(String::new(), bare)]), fields: None })
        }
        other => Err(Malformed::new("InvalidKey", format!("key is {}", kind(&other)))),
    }
}

/// `{"schema":..,"payload":..}` and nothing else is the converter's wrapping.
fn split_schema(value: Value) -> (Option<Value>, Value) {
    match value {
        Value::Object(mut object)
            if object.len() == 2 && object.contains_key("schema") && object.contains_key("payload") =>
        {
            let schema = object.remove("schema");
            (schema, object.remove("payload").unwrap_or(Value::Null))
        }
        other => (None, other),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(key: Option<&Value>, value: Option<&Value>) -> Result<Change, Malformed> {
        let (key, value) = (key.map(Value::to_string), value.map(Value::to_string));
        read(key.as_deref().map(str::as_bytes), value.as_deref().map(str::as_bytes))
    }

    fn row(value: &Value) -> Row {
        Row { columns: value.as_object().cloned().unwrap_or_default(), fields: None }
    }

    #[test]
    fn every_form_of_an_upsert() {
        let after = json!({"id": "a", "n": 1});
        for op in ["c", "u", "r"] {
            let event = json!({"before": null, "after": after, "source": {}, "op": op, "ts_ms": 1});
            assert_eq!(change(None, Some(&event)), Ok(Change::Upsert(row(&after))));
        }
        let with_schema = json!({"schema": {"type": "struct", "fields": [
            {"type": "struct", "field": "after", "fields": [{"type": "int64", "field": "n",
             "name": "io.debezium.time.MicroTimestamp"}]}]},
            "payload": {"before": null, "after": {"id": "a", "n": 5000}, "op": "c"}});
        let Ok(Change::Upsert(read)) = change(None, Some(&with_schema)) else { panic!("an upsert") };
        let ms = ColumnType::Time(crate::runtime::columns::TimeUnit::Millis);
        assert_eq!(read.read("n", ms), Ok(Some(Cell::Time(5))));
        assert_eq!(change(None, Some(&after)), Ok(Change::Upsert(row(&after))), "the row alone");
        let flat = json!({"schema": {"type": "struct", "fields": []}, "payload": after});
        assert!(matches!(change(None, Some(&flat)), Ok(Change::Upsert(_))));
    }

    #[test]
    fn every_form_of_a_delete() {
        let before = json!({"id": "a"});
        let event = json!({"before": before, "after": null, "op": "d"});
        assert_eq!(change(None, Some(&event)), Ok(Change::Delete(row(&before))));
        assert_eq!(change(Some(&before), None), Ok(Change::Delete(row(&before))), "tombstone");
        let key = json!({"schema": {"type": "struct"}, "payload": before});
        assert_eq!(change(Some(&key), None), Ok(Change::Delete(row(&before))), "tombstone, key with schema");
        assert_eq!(change(Some(&json!("a")), None), Ok(Change::Delete(row(&json!({"": "a"})))), "bare key");
        let flat = json!({"id": "a", "__deleted": "true"});
        assert_eq!(change(None, Some(&flat)), Ok(Change::Delete(row(&before))));
        let no_image = json!({"before": null, "after": null, "op": "d"});
        assert_eq!(change(Some(&before), Some(&no_image)), Ok(Change::Delete(row(&before))));
    }

    #[test]
    fn a_row_with_a_column_called_op_is_no_envelope() {
        let flat = json!({"id": "a", "op": "sale"});
        assert_eq!(change(None, Some(&flat)), Ok(Change::Upsert(row(&flat))));
    }

    #[test]
    fn truncate_and_message() {
        assert_eq!(change(None, Some(&json!({"op": "t", "source": {}}))), Ok(Change::Truncate));
        assert_eq!(change(None, Some(&json!({"op": "m", "source": {}}))), Ok(Change::Nothing));
    }

    #[test]
    fn what_is_none_is_refused_by_class_without_its_values() {
        let class = |key: Option<&[u8]>, value: Option<&[u8]>| read(key, value).expect_err("refused").class;
        assert_eq!(class(None, Some(b"{\"id\": ")), "InvalidJson");
        assert_eq!(class(None, Some(b"\xff\xfe")), "InvalidJson");
        assert_eq!(class(None, Some(b"7")), "InvalidValue");
        assert_eq!(class(None, None), "NoKey");
        assert_eq!(class(Some(b"\xff"), None), "InvalidKey");
        assert_eq!(class(None, Some(br#"{"op":"c","after":null}"#)), "NoRow");
        assert_eq!(class(None, Some(br#"{"op":"x","after":null}"#)), "UnknownOperation");
        assert_eq!(class(None, Some(br#"{"op":"c","after":"secret"}"#)), "InvalidValue");
    }
}
