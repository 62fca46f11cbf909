//! JSON strings as Jackson's byte generator writes them, which is what `JsonConverter` sends.
//!
//! Escaped are `"`, `\`, the five short forms, other characters below 0x20 as `\u00XX` (upper-case hex), and
//! characters above the BMP as a surrogate pair of `\uXXXX`. Everything else goes out as it is.

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// What a byte of UTF-8 needs: 0 nothing, 1 a lead byte of four, else the letter after the backslash (`u`: hex form).
const CLASS: [u8; 256] = {
    let mut class = [0u8; 256];
    let mut i = 0;
    while i < 0x20 {
        class[i] = b'u';
        i += 1;
    }
    class[8] = b'b';
    class[9] = b't';
    class[10] = b'n';
    class[12] = b'f';
    class[13] = b'r';
    class[b'"' as usize] = b'"';
    class[b'\\' as usize] = b'\\';
    i = 0xF0;
    while i < 0x100 {
        class[i] = 1;
        i += 1;
    }
    class
};

/// Appends `text` as a JSON string with its quotes.
pub fn quoted(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    escaped(text, out);
    out.push(b'"');
}

/// Appends `text` escaped, without quotes.
pub fn escaped(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = first_special(rest.as_bytes()) {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.extend_from_slice(plain.as_bytes());
        let mut chars = tail.chars();
        let Some(special) = chars.next() else { return };
        escape_char(special, out);
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

fn escape_char(special: char, out: &mut Vec<u8>) {
    let code = u32::from(special);
    if code > 0xFFFF {
        let mut units = [0u16; 2];
        for unit in special.encode_utf16(&mut units) {
            hex_unit(*unit, out);
        }
        return;
    }
    let class = usize::try_from(code).ok().and_then(|i| CLASS.get(i)).copied().unwrap_or(0);
    match class {
        b'u' => hex_unit((code & 0xFFFF) as u16, out),
        letter => out.extend_from_slice(&[b'\\', letter]),
    }
}

fn hex_unit(unit: u16, out: &mut Vec<u8>) {
    let digit = |shift: u16| HEX[usize::from((unit >> shift) & 15)];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

/// Index of the first byte that is not copied as it is. Eight bytes are tested at a time: exact per byte, because
/// no test borrows from a neighbour unless a lower byte has already matched, and the slow loop then decides.
fn first_special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    let (chunks, _) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * 0x22);
        let quote = quote.wrapping_sub(ONES) & !quote;
        let slash = word ^ (ONES * 0x5C);
        let slash = slash.wrapping_sub(ONES) & !slash;
        // 0xF0..=0xFF: the four high bits are set.
        let four = word & (word << 1) & (word << 2) & (word << 3);
        if (below_space | quote | slash | four) & HIGH != 0 {
            break;
        }
        at += 8;
    }
    let tail = bytes.get(at..)?;
    tail.iter().position(|byte| CLASS[usize::from(*byte)] != 0).map(|i| at + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        quoted(text, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn escapes_are_jacksons() {
        assert_eq!(json("a\"b\\c/d"), r#""a\"b\\c/d""#);
        assert_eq!(json("\u{8}\u{c}\n\r\t\u{1f}\u{0}\u{7f}"), "\"\\b\\f\\n\\r\\t\\u001F\\u0000\u{7f}\"");
        assert_eq!(json("é\u{2028}ß漢"), "\"é\u{2028}ß漢\"");
        assert_eq!(json("x😀y"), r#""x\uD83D\uDE00y""#);
        assert_eq!(json(""), "\"\"");
    }

    #[test]
    fn every_position_of_a_special_byte_is_found() {
        for len in 0..40 {
            for at in 0..len {
                for special in ["\"", "\\", "\n", "\u{1}", "😀"] {
                    let text = format!("{}{}{}", "é".repeat(at / 2), special, "z".repeat(len - at));
                    let parsed: String = serde_json::from_str(&json(&text)).expect("valid JSON");
                    assert_eq!(parsed, text);
                    assert_eq!(first_special(text.as_bytes()), Some("é".repeat(at / 2).len()));
                }
            }
            assert_eq!(first_special("ÿ".repeat(len).as_bytes()), None);
        }
    }
}
