//! MySQL's binary JSON to text, in the one form this crate writes: no spaces, object keys in stored order, numbers as
//! a Java binlog client prints them.
//!
//! | value | text |
//! |---|---|
//! | DOUBLE from 0.001 to 10,000,000, and zero | shortest digits, at least one after the point: `1.0`, `-0.0` |
//! | other DOUBLE | its exact value without exponent: `10000000000`, `0.00000009999...` |
//! | DECIMAL | plain digits with its scale: `12.340` |
//! | DATE, TIME, DATETIME, TIMESTAMP | quoted, fraction without trailing zeros: `"12:34:56.5"` |
//! | other values without a JSON form (BIT, BLOB) | quoted base64 |
//!
//! [`append_text`] reads row events; [`append_server_text`] brings the text a server sends in a result to the same form.

mod binary;
mod number;
mod text;

pub use binary::append_text;
pub use text::append_server_text;

/// The server refuses documents nested deeper than 100; a little more does no harm and keeps the stack small.
const DEPTH_MAX: u8 = 110;

/// Appends text quoted and escaped: `"`, `\` and characters below space, nothing else.
fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

fn push_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| b < b' ' || b == b'"' || b == b'\\') {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\t') => out.push_str("\\t"),
            Some('\n') => out.push_str("\\n"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\r') => out.push_str("\\r"),
            Some(other) => {
                out.push_str("\\u00");
                for nibble in [u32::from(other) >> 4 & 0xf, u32::from(other) & 0xf] {
                    out.extend(char::from_digit(nibble, 16).map(|c| c.to_ascii_uppercase()));
                }
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}
