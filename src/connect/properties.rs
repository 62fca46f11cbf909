//! Java `.properties` text, as worker and connector files are written.
//!
//! Reads what `java.util.Properties.load` reads, from UTF-8 text (bytes that are not UTF-8 are taken as ISO-8859-1,
//! as Java took them before version 9). Knows nothing of any key.

use std::collections::BTreeMap;

/// A malformed file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct PropertiesError {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: &'static str,
}

/// Decodes the file's bytes: UTF-8, else ISO-8859-1.
pub fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

/// Reads all pairs; the last one of a key wins. Blanks at the end of a value are kept.
///
/// # Errors
/// A `\u` that four hexadecimal digits do not follow.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, PropertiesError> {
    let mut pairs = BTreeMap::new();
    let mut lines = text.split(['\n', '\r']).enumerate().peekable();
    // A line feed of a CR LF makes an empty line here, which is passed over; line numbers count LF only.
    let mut number = 1;
    let starts: Vec<usize> = line_numbers(text);
    while let Some((index, line)) = lines.next() {
        number = starts.get(index).copied().unwrap_or(number);
        let line = line.trim_start_matches([' ', '\t', '\u{c}']);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = line.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            let Some((_, mut next)) = lines.next() else { break };
            if next.is_empty() && starts.get(index + 1) == starts.get(index) {
                // The LF of a CR LF.
                let Some((_, after)) = lines.next() else { break };
                next = after;
            }
            logical.push_str(next.trim_start_matches([' ', '\t', '\u{c}']));
        }
        let (key, value) = split(&logical);
        let error = |problem| PropertiesError { line: number, problem };
        pairs.insert(unescape(key).map_err(error)?, unescape(value).map_err(error)?);
    }
    Ok(pairs)
}

/// Line number of each piece between CR or LF characters, where CR LF counts once.
fn line_numbers(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut numbers = vec![1];
    let mut line = 1;
    for (i, b) in bytes.iter().enumerate() {
        match b {
            b'\r' if bytes.get(i + 1) == Some(&b'\n') => numbers.push(line),
            b'\r' | b'\n' => {
                line += 1;
                numbers.push(line);
            }
            _ => {}
        }
    }
    numbers
}

fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Splits at the first unescaped `=`, `:` or blank.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if matches!(c, '=' | ':' | ' ' | '\t' | '\u{c}') {
            let (key, rest) = line.split_at(at);
            let rest = rest.trim_start_matches([' ', '\t', '\u{c}']);
            let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (key, rest.trim_start_matches([' ', '\t', '\u{c}']));
        }
    }
    (line, "")
}

fn unescape(text: &str) -> Result<String, &'static str> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let mut pair = [0; 2];
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut pair));
            continue;
        }
        match chars.next() {
            Some('u') => {
                let mut unit = 0u16;
                for _ in 0..4 {
                    let digit = chars.next().and_then(|c| c.to_digit(16));
                    let digit = digit.ok_or("\\u must be followed by four hexadecimal digits")?;
                    unit = unit << 4 | digit as u16;
                }
                units.push(unit);
            }
            Some(c) => {
                let c = match c {
                    't' => '\t',
                    'n' => '\n',
                    'r' => '\r',
                    'f' => '\u{c}',
                    other => other,
                };
                units.extend_from_slice(c.encode_utf16(&mut pair));
            }
            None => {}
        }
    }
    Ok(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, String) {
        parse(text).unwrap().into_iter().next().unwrap()
    }

    #[test]
    fn reads_what_java_reads() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("a = b ", "a", "b "),
            ("  a:b", "a", "b"),
            ("a b c", "a", "b c"),
            ("a\t= b", "a", "b"),
            ("a", "a", ""),
            ("a==b", "a", "=b"),
            ("a\\=b=c", "a=b", "c"),
            ("a\\ b c", "a b", "c"),
            ("a=1\\\n   2", "a", "12"),
            ("a=1\\\r\n   2", "a", "12"),
            ("a=1\\\\", "a", "1\\"),
            ("a=\\u00e9\\ud83d\\ude00", "a", "é😀"),
            ("a=x\\ty\\qz", "a", "x\tyqz"),
            ("# c\n! d\n\n a=b\r\n", "a", "b"),
            ("a=1\na=2", "a", "2"),
        ] {
            assert_eq!(one(text), (key.to_owned(), value.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn names_the_line_of_a_broken_escape() {
        let error = parse("a=1\r\nb=2\r\nc=\\u12x4").unwrap_err();
        assert_eq!(error.line, 3);
    }

    #[test]
    fn takes_latin_1_where_it_is_not_utf_8() {
        assert_eq!(decode(b"a=\xe9"), "a=é");
        assert_eq!(decode("\u{feff}a=é".as_bytes()), "a=é");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[\\\\a=:u0-9 \r\n#é]{0,40}") {
            let _ = parse(&text);
        }
    }
}
