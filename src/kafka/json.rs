//! JSON text as Connect's converter writes it: no blanks, its escapes, Java's numbers.

use record::{escape, number};
use serde_json::Value;

/// Appends `value`.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Number(n) if n.is_f64() => number::double(n.as_f64().unwrap_or_default(), out),
        Value::Number(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Value::String(text) => escape::quoted(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(members, out),
    }
}

/// Appends an object, members in their order.
pub fn write_object(members: &serde_json::Map<String, Value>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (name, member)) in members.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        escape::quoted(name, out);
        out.push(b':');
        write(member, out);
    }
    out.push(b'}');
}

/// The text of `value`.
pub fn to_bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_as_connect_does() {
        let value = json!({"server": "a/b\u{1f600}ä\"\u{1}", "pos": 18_446_744_073_709_551_615_u64, "d": 1.0, "n": null, "l": [true, -1]});
        assert_eq!(
            String::from_utf8_lossy(&to_bytes(&value)),
            "{\"server\":\"a/b\\uD83D\\uDE00ä\\\"\\u0001\",\"pos\":18446744073709551615,\"d\":1.0,\"n\":null,\"l\":[true,-1]}"
        );
    }
}
