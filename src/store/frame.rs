//! The frame around each stored value: magic, version, CRC-32, payload.
//!
//! ```text
//! 41 46 | version u16 LE | crc32 u32 LE of version and payload | payload
//! ```
//! Version N + 1 reads what version N wrote; what a newer version wrote is refused, not guessed.

use crate::error::StoreErrorKind;

const MAGIC: [u8; 2] = *b"AF";
const HEAD: usize = 8;

/// The version written.
pub(crate) const VERSION: u16 = 1;

fn checksum(version: u16, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Puts a frame around a payload.
pub(crate) fn seal(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + payload.len());
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend(checksum(VERSION, payload).to_le_bytes());
    out.extend(payload);
    out
}

/// Takes the frame off; gives version and payload.
pub(crate) fn open(bytes: &[u8]) -> Result<(u16, &[u8]), (StoreErrorKind, String)> {
    let corrupt = |text: &str| Err((StoreErrorKind::Corrupt, text.to_owned()));
    let Some((head, payload)) = bytes.split_first_chunk::<HEAD>() else {
        return corrupt("a value is shorter than its frame");
    };
    let [m0, m1, v0, v1, c0, c1, c2, c3] = *head;
    if [m0, m1] != MAGIC {
        return corrupt("a value does not begin with the magic of this store");
    }
    let version = u16::from_le_bytes([v0, v1]);
    if version > VERSION {
        let text = format!(
            "a value has format version {version}, this program knows versions up to {VERSION}; use the newer program"
        );
        return Err((StoreErrorKind::TooNew, text));
    }
    if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(version, payload) {
        return corrupt("a value's checksum is wrong");
    }
    Ok((version, payload))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_sealed_opens(payload: Vec<u8>) {
            let sealed = seal(&payload);
            prop_assert_eq!(open(&sealed), Ok((VERSION, payload.as_slice())));
        }

        #[test]
        fn a_changed_byte_is_seen(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8u8) {
            let mut sealed = seal(&payload);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open(&sealed).is_err());
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = open(&bytes);
        }
    }

    #[test]
    fn a_newer_version_is_said() {
        let mut sealed = seal(b"x");
        sealed[2] = 9;
        assert!(open(&sealed).is_err_and(|(kind, text)| kind == StoreErrorKind::TooNew && text.contains('9')));
    }
}
