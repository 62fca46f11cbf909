//! Character sets of MySQL: bytes of the log to text.
//!
//! A character is what MySQL itself takes a byte sequence for; sequences it knows nothing of become U+FFFD. The
//! single-byte tables were written by asking a server for each byte.

mod exceptions;
mod tables;

use encoding_rs::Encoding;

/// How bytes of a character set are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Charset {
    /// UTF-8 of up to three or four bytes.
    Utf8,
    /// One byte per character, by a table.
    Bytes(&'static [char; 256]),
    /// UTF-16, big-endian: `ucs2`, `utf16`.
    Utf16Be,
    /// UTF-16, little-endian: `utf16le`.
    Utf16Le,
    /// UTF-32, big-endian.
    Utf32,
    /// Several bytes per character.
    Multi(MultiByte),
}

/// A multi-byte set: an encoding of the Encoding Standard, and where MySQL has other characters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MultiByte {
    encoding: &'static Encoding,
    /// Sorted by the bytes.
    exceptions: &'static [(u32, char)],
    lead: Lead,
}

/// How many bytes a character has by its first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// Two from 0x81 on; four bytes of GB18030 are two pairs.
    Pairs,
    /// As `Pairs`, but one for half-width katakana.
    ShiftJis,
    /// Two from 0x80 on, three after 0x8f; rows from 0xf5 on are private use.
    Euc,
}

impl Charset {
    /// The character set of a MySQL name; UTF-8 for none and for unknown ones.
    pub(crate) fn of(name: Option<&str>) -> Self {
        let Some(name) = name else { return Self::Utf8 };
        let name = name.to_ascii_lowercase();
        if let Some((_, table)) = tables::SINGLE.iter().find(|(known, _)| *known == name) {
            return Self::Bytes(table);
        }
        match name.as_str() {
            "ucs2" | "utf16" => Self::Utf16Be,
            "utf16le" => Self::Utf16Le,
            "utf32" => Self::Utf32,
            "big5" => multi(encoding_rs::BIG5, exceptions::BIG5, Lead::Pairs),
            "gb2312" => multi(encoding_rs::GBK, exceptions::GB2312, Lead::Pairs),
            "gbk" => multi(encoding_rs::GBK, &[], Lead::Pairs),
            "gb18030" => multi(encoding_rs::GB18030, exceptions::GB18030, Lead::Pairs),
            "euckr" => multi(encoding_rs::EUC_KR, &[], Lead::Pairs),
            "sjis" => multi(encoding_rs::SHIFT_JIS, exceptions::SJIS, Lead::ShiftJis),
            "cp932" => multi(encoding_rs::SHIFT_JIS, &[], Lead::ShiftJis),
            "ujis" => multi(encoding_rs::EUC_JP, exceptions::UJIS, Lead::Euc),
            "eucjpms" => multi(encoding_rs::EUC_JP, exceptions::EUCJPMS, Lead::Euc),
            _ => Self::Utf8,
        }
    }

    /// The text of `bytes`: borrowed when it is UTF-8 already, else left in `room`.
    pub(crate) fn decode<'a>(&self, bytes: &'a [u8], room: &'a mut String) -> &'a str {
        room.clear();
        // Most text of most character sets is ASCII. Not in the wide ones, nor where a table gives ASCII bytes
        // another meaning.
        match self {
            Self::Utf8 => match std::str::from_utf8(bytes) {
                Ok(text) => return text,
                Err(_) => bytes.utf8_chunks().for_each(|chunk| {
                    room.push_str(chunk.valid());
                    if !chunk.invalid().is_empty() {
                        room.push('\u{fffd}');
                    }
                }),
            },
            Self::Bytes(table) => {
                room.extend(bytes.iter().map(|byte| table.get(usize::from(*byte)).copied().unwrap_or('\u{fffd}')));
            }
            Self::Utf16Be => utf16(bytes, u16::from_be_bytes, room),
            Self::Utf16Le => utf16(bytes, u16::from_le_bytes, room),
            Self::Utf32 => {
                let (units, rest) = bytes.as_chunks::<4>();
                room.extend(units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit)).unwrap_or('\u{fffd}')));
                if !rest.is_empty() {
                    room.push('\u{fffd}');
                }
            }
            Self::Multi(set) => set.decode(bytes, room),
        }
        room
    }
}

fn multi(encoding: &'static Encoding, exceptions: &'static [(u32, char)], lead: Lead) -> Charset {
    Charset::Multi(MultiByte { encoding, exceptions, lead })
}

impl MultiByte {
    fn decode(&self, bytes: &[u8], room: &mut String) {
        if self.exceptions.is_empty() {
            return self.standard(bytes, room);
        }
        let (mut start, mut at) = (0, 0);
        while let Some(first) = bytes.get(at) {
            let length = self.lead.length(*first);
            let sequence = bytes.get(at..at + length).unwrap_or_default();
            if let Some(other) = self.exception(sequence) {
                self.standard(bytes.get(start..at).unwrap_or_default(), room);
                room.push(other);
                start = at + length;
            }
            at += length;
        }
        self.standard(bytes.get(start..).unwrap_or_default(), room);
    }

    /// The character that MySQL alone has for a sequence.
    fn exception(&self, sequence: &[u8]) -> Option<char> {
        if sequence.len() < 2 {
            return None;
        }
        let number = sequence.iter().fold(0, |n: u32, byte| n << 8 | u32::from(*byte));
        if let Ok(place) = self.exceptions.binary_search_by_key(&number, |(bytes, _)| *bytes) {
            return self.exceptions.get(place).map(|(_, c)| *c);
        }
        // User-defined characters: ten rows of 94 in the plane of two bytes, then ten in that of three.
        let (base, row, cell) = match sequence {
            [row, cell] => (0xe000, *row, *cell),
            [0x8f, row, cell] => (0xe3ac, *row, *cell),
            _ => return None,
        };
        let user_defined = self.lead == Lead::Euc && (0xf5..=0xfe).contains(&row) && (0xa1..=0xfe).contains(&cell);
        let code = || base + u32::from(row - 0xf5) * 94 + u32::from(cell - 0xa1);
        user_defined.then(code).and_then(char::from_u32)
    }

    fn standard(&self, bytes: &[u8], room: &mut String) {
        if bytes.is_empty() {
            return;
        }
        let mut decoder = self.encoding.new_decoder_without_bom_handling();
        // Enough for any input, so that one call reads it all.
        room.reserve(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len().saturating_mul(3)));
        let _ = decoder.decode_to_string(bytes, room, true);
    }
}

impl Lead {
    fn length(self, first: u8) -> usize {
        match (self, first) {
            (_, 0..=0x7f) | (Self::ShiftJis, 0xa0..=0xdf) => 1,
            (Self::Euc, 0x8f) => 3,
            _ => 2,
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, room: &mut String) {
    let (units, rest) = bytes.as_chunks::<2>();
    let chars = char::decode_utf16(units.iter().map(|bytes| unit(*bytes)));
    room.extend(chars.map(|c| c.unwrap_or('\u{fffd}')));
    if !rest.is_empty() {
        room.push('\u{fffd}');
    }
}

#[cfg(test)]
mod tests;
