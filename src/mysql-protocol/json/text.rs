//! Server text to the form of this crate.

use super::{DEPTH_MAX, number, push_escaped};
use crate::error::{DecodeError, Result};

/// Appends JSON text as a server prints it (`{"a": 1, "b": [1, 2]}`) in the form of [`append_text`](super::append_text):
/// without spaces, and with DOUBLE numbers as that function writes them. On an error nothing is appended.
///
/// The text no longer says of which type a number or string was. A number with a point or an exponent is taken for a
/// DOUBLE if a server would print that DOUBLE so, else for a DECIMAL, which stays as it is. Strings keep their
/// characters: the text of a TIME or BLOB inside JSON cannot be told from a string that looks like one.
///
/// # Errors
/// The text is not JSON, or nested too deeply.
pub fn append_server_text(text: &str, out: &mut String) -> Result<()> {
    let start = out.len();
    let mut reader = Reader { text, rest: text, out };
    let read = reader.value(DEPTH_MAX).and_then(|()| {
        reader.space();
        if reader.rest.is_empty() { Ok(()) } else { Err(reader.invalid("text after the value")) }
    });
    if read.is_err() {
        out.truncate(start);
    }
    read
}

struct Reader<'t, 'o> {
    text: &'t str,
    rest: &'t str,
    out: &'o mut String,
}

impl<'t> Reader<'t, '_> {
    #[cold]
    fn invalid(&self, reason: &'static str) -> DecodeError {
        DecodeError::Invalid { what: "JSON text", at: self.text.len().saturating_sub(self.rest.len()), reason }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes a punctuation character, if it is next, and appends it.
    fn take(&mut self, wanted: char) -> bool {
        self.space();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                self.out.push(wanted);
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: u8) -> Result<()> {
        let Some(depth) = depth.checked_sub(1) else { return Err(self.invalid("nested too deeply")) };
        if self.take('{') {
            if self.take('}') {
                return Ok(());
            }
            loop {
                if !self.take('"') {
                    return Err(self.invalid("a key was expected"));
                }
                self.string()?;
                if !self.take(':') {
                    return Err(self.invalid("a colon was expected"));
                }
                self.value(depth)?;
                if self.take('}') {
                    return Ok(());
                }
                if !self.take(',') {
                    return Err(self.invalid("a comma or the object's end was expected"));
                }
            }
        }
        if self.take('[') {
            if self.take(']') {
                return Ok(());
            }
            loop {
                self.value(depth)?;
                if self.take(']') {
                    return Ok(());
                }
                if !self.take(',') {
                    return Err(self.invalid("a comma or the array's end was expected"));
                }
            }
        }
        if self.take('"') {
            return self.string();
        }
        for literal in ["null", "true", "false"] {
            if let Some(rest) = self.rest.strip_prefix(literal) {
                self.rest = rest;
                self.out.push_str(literal);
                return Ok(());
            }
        }
        self.number()
    }

    fn number(&mut self) -> Result<()> {
        let end = self.rest.bytes().position(|b| !matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        let (number, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len())).unwrap_or((self.rest, ""));
        let digits = number.strip_prefix('-').unwrap_or(number);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.invalid("a value was expected"));
        }
        let value: f64 = number.parse().map_err(|_| self.invalid("not a number"))?;
        let is_double = number.contains(['e', 'E']) || (number.contains('.') && is_shortest(number, value));
        if is_double {
            if !number::push_double(self.out, value) {
                return Err(self.invalid("a number that is not finite"));
            }
        } else {
            self.out.push_str(number);
        }
        self.rest = rest;
        Ok(())
    }

    /// The rest of a string whose opening quote has been taken.
    fn string(&mut self) -> Result<()> {
        loop {
            let Some(at) = self.rest.bytes().position(|b| b == b'"' || b == b'\\') else {
                return Err(self.invalid("a string without its end"));
            };
            let (plain, special) = self.rest.split_at_checked(at).unwrap_or((self.rest, ""));
            push_escaped(self.out, plain);
            self.rest = special;
            if let Some(rest) = special.strip_prefix('"') {
                self.rest = rest;
                self.out.push('"');
                return Ok(());
            }
            let c = self.escape()?;
            let mut utf8 = [0; 4];
            push_escaped(self.out, c.encode_utf8(&mut utf8));
        }
    }

    /// The character of an escape sequence.
    fn escape(&mut self) -> Result<char> {
        let mut chars = self.rest.chars();
        chars.next();
        let c = match chars.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                self.rest = chars.as_str();
                let first = self.hex4()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                let Some(rest) = self.rest.strip_prefix("\\u") else { return Ok(char::REPLACEMENT_CHARACTER) };
                self.rest = rest;
                let second = self.hex4()?;
                let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400);
                let code = low.map(|low| 0x1_0000 + ((first & 0x3ff) << 10 | low));
                return Ok(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            _ => return Err(self.invalid("an unknown escape sequence")),
        };
        self.rest = chars.as_str();
        Ok(c)
    }

    fn hex4(&mut self) -> Result<u32> {
        let digits = self.rest.split_at_checked(4).filter(|(d, _)| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some((digits, rest)) = digits else { return Err(self.invalid("four hexadecimal digits were expected")) };
        self.rest = rest;
        u32::from_str_radix(digits, 16).map_err(|_| self.invalid("four hexadecimal digits were expected"))
    }
}

/// Whether a number without exponent has just the digits a server prints for that DOUBLE: the fewest that identify it,
/// and `.0` if it is whole.
fn is_shortest(number: &str, value: f64) -> bool {
    // Rust's Display is the shortest form without exponent.
    let shortest = format!("{value}");
    match number.strip_suffix(".0") {
        Some(whole) => whole == shortest,
        None => number == shortest,
    }
}
