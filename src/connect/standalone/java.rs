//! The one Java object that an offset file holds: a serialized `HashMap<byte[], byte[]>`.
//!
//! <https://docs.oracle.com/en/java/javase/17/docs/specs/serialization/protocol.html>. A file of any other shape is
//! refused, never guessed at.

/// Keys and values; a value may be null.
pub(super) type Pairs = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Stream header, object, class `java.util.HashMap` with its two fields, no superclass.
const HEAD: &[u8] =
    b"\xac\xed\0\x05sr\0\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16\x60\xd1\x03\0\x02F\0\x0aloadFactor\
    I\0\x09thresholdxp";
/// The class of `byte[]`, no superclass.
const BYTES: &[u8] = b"r\0\x02[B\xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\0\0xp";
/// Block data of eight bytes: capacity and number of entries.
const BLOCK: &[u8] = b"w\x08";
const LOAD_FACTOR: [u8; 4] = 0.75f32.to_be_bytes();
const NULL: u8 = b'p';
const ARRAY: u8 = b'u';
const REFERENCE: u8 = b'q';
const END: u8 = b'x';
/// Numbers of what a stream has named: the map's class, the map, the class of arrays, then the arrays.
const ARRAY_CLASS: u32 = 0x7e_0002;
const FIRST_ARRAY: u32 = 0x7e_0003;

struct Reader<'a> {
    rest: &'a [u8],
    arrays: Vec<Vec<u8>>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("it ends early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn expect(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        if self.take(bytes.len())? == bytes { Ok(()) } else { Err("it holds no java.util.HashMap of byte arrays") }
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        Ok(self.take(4)?.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)))
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        self.take(1).map(|bytes| bytes.first().copied().unwrap_or_default())
    }

    fn array(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        match self.byte()? {
            NULL => Ok(None),
            ARRAY => {
                if self.rest.first() == Some(&REFERENCE) {
                    self.byte()?;
                    if self.number()? != ARRAY_CLASS {
                        return Err("it holds an array of another class");
                    }
                } else {
                    self.expect(BYTES)?;
                }
                let length = self.number()?;
                let bytes = self.take(usize::try_from(length).map_err(|_| "it ends early")?)?.to_vec();
                self.arrays.push(bytes.clone());
                Ok(Some(bytes))
            }
            REFERENCE => {
                let index = self.number()?.checked_sub(FIRST_ARRAY).and_then(|index| usize::try_from(index).ok());
                let found = index.and_then(|index| self.arrays.get(index));
                found.cloned().map(Some).ok_or("it refers to an object that is no array before")
            }
            _ => Err("it holds an entry that is no byte array"),
        }
    }
}

/// Reads a file's content; an empty one holds nothing.
pub(super) fn read(bytes: &[u8]) -> Result<Pairs, &'static str> {
    if bytes.is_empty() {
        return Ok(Pairs::new());
    }
    let mut reader = Reader { rest: bytes, arrays: Vec::new() };
    reader.expect(HEAD)?;
    // Load factor and threshold are of no use to a reader.
    reader.take(8)?;
    reader.expect(BLOCK)?;
    reader.take(4)?;
    let entries = reader.number()?;
    let mut pairs = Pairs::new();
    for _ in 0..entries {
        let key = reader.array()?.ok_or("it holds an entry without a key")?;
        pairs.push((key, reader.array()?));
    }
    reader.expect(&[END])?;
    Ok(pairs)
}

/// Writes a file's content as Java would.
pub(super) fn write(pairs: &Pairs) -> Vec<u8> {
    let entries = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
    let mut capacity: u32 = 16;
    while u64::from(entries) * 4 > u64::from(capacity) * 3 {
        capacity = capacity.saturating_mul(2);
    }
    let mut out = HEAD.to_vec();
    out.extend(LOAD_FACTOR);
    out.extend((capacity / 4 * 3).to_be_bytes());
    out.extend(BLOCK);
    out.extend(capacity.to_be_bytes());
    out.extend(entries.to_be_bytes());
    let mut first = true;
    for part in pairs.iter().flat_map(|(key, value)| [Some(key), value.as_ref()]) {
        let Some(bytes) = part else {
            out.push(NULL);
            continue;
        };
        out.push(ARRAY);
        if std::mem::take(&mut first) {
            out.extend(BYTES);
        } else {
            out.push(REFERENCE);
            out.extend(ARRAY_CLASS.to_be_bytes());
        }
        out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(bytes);
    }
    out.push(END);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by a JVM: two entries, the second without a value.
    fn of_java() -> Vec<u8> {
        let mut bytes =
            b"\xac\xed\0\x05\x73\x72\0\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16\x60\xd1\x03\0\x02\x46\0\x0a\
            loadFactor\x49\0\x09threshold\x78\x70\x3f\x40\0\0\0\0\0\x0c\x77\x08\0\0\0\x10\0\0\0\x02\x75\x72\0\x02[B\
            \xac\xf3\x17\xf8\x06\x08\x54\xe0\x02\0\0\x78\x70\0\0\0\x21"
                .to_vec();
        bytes.extend(br#"["f1",{"filename":"/tmp/in.txt"}]"#);
        bytes.extend(b"\x75\x71\0\x7e\0\x02\0\0\0\x0f");
        bytes.extend(br#"{"position":10}"#);
        bytes.extend(b"\x75\x71\0\x7e\0\x02\0\0\0\x18");
        bytes.extend(br#"["inv",{"server":"srv"}]"#);
        bytes.extend(b"\x70\x78");
        bytes
    }

    #[test]
    fn reads_and_writes_javas_bytes() {
        let pairs = read(&of_java()).unwrap();
        assert_eq!(pairs.len(), 2);
        assert_eq!(pairs[0].1.as_deref(), Some(&br#"{"position":10}"#[..]));
        assert_eq!((pairs[1].0.as_slice(), &pairs[1].1), (&br#"["inv",{"server":"srv"}]"#[..], &None));
        assert_eq!(write(&pairs), of_java());
        assert_eq!(read(b""), Ok(Pairs::new()));
        assert_eq!(read(&write(&Pairs::new())), Ok(Pairs::new()));
    }

    #[test]
    fn nothing_else_is_taken_for_offsets() {
        let good = of_java();
        for length in 1..good.len() {
            assert!(read(&good[..length]).is_err(), "{length} bytes");
        }
        assert!(read(b"offsets").is_err());
        // A value that is the same object as the first key.
        let shared = write(&vec![(b"k".to_vec(), None)]);
        let mut shared = shared[..shared.len() - 2].to_vec();
        shared.extend(b"\x71\0\x7e\0\x03\x78");
        assert_eq!(read(&shared), Ok(vec![(b"k".to_vec(), Some(b"k".to_vec()))]));
        shared.splice(shared.len() - 2.., [9, END]);
        assert!(read(&shared).is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(pairs: Pairs) {
            proptest::prop_assert_eq!(read(&write(&pairs)), Ok(pairs));
        }

        #[test]
        fn no_bytes_panic(at in 0usize..220, byte: u8, cut in 0usize..220) {
            let mut bytes = of_java();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
