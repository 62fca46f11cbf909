//! Column rules: cutting, masking and hashing of text.

use openssl::{hash::Hasher, hash::MessageDigest, nid::Nid};

use crate::Mapper;

impl Mapper {
    /// A hash rule from a JCA algorithm name (`SHA-256`, `MD5`).
    ///
    /// # Errors
    /// No such digest is known here.
    pub fn hash(algorithm: &str, salt: &str, plain: bool, length: Option<u32>) -> Result<Self, UnknownDigest> {
        let digest = digest_name(algorithm).ok_or_else(|| UnknownDigest(algorithm.to_owned()))?;
        Ok(Mapper::Hash { algorithm: digest.into(), salt: salt.into(), plain, length })
    }
}

/// A digest that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the digest {0} is not known; use one of MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512, SHA3-256, SHA3-512")]
pub struct UnknownDigest(pub String);

/// OpenSSL's name of a digest that Java's `MessageDigest` knows, case-insensitive.
fn digest_name(jca: &str) -> Option<&'static str> {
    const NAMES: &[(&str, &str)] = &[
        ("MD5", "MD5"),
        ("SHA", "SHA1"),
        ("SHA1", "SHA1"),
        ("SHA-1", "SHA1"),
        ("SHA-224", "SHA224"),
        ("SHA224", "SHA224"),
        ("SHA-256", "SHA256"),
        ("SHA256", "SHA256"),
        ("SHA-384", "SHA384"),
        ("SHA384", "SHA384"),
        ("SHA-512", "SHA512"),
        ("SHA512", "SHA512"),
        ("SHA-512/224", "SHA512-224"),
        ("SHA512/224", "SHA512-224"),
        ("SHA-512/256", "SHA512-256"),
        ("SHA512/256", "SHA512-256"),
        ("SHA3-224", "SHA3-224"),
        ("SHA3-256", "SHA3-256"),
        ("SHA3-384", "SHA3-384"),
        ("SHA3-512", "SHA3-512"),
    ];
    let (_, name) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(jca))?;
    MessageDigest::from_name(name).map(|_| *name)
}

/// `text` cut to `limit` UTF-16 units. A pair that would be cut in half is left out whole: half a character is no text.
pub(crate) fn truncated(text: &str, limit: u32) -> &str {
    let limit = limit as usize;
    if text.len() <= limit {
        return text;
    }
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > limit {
            return text.get(..at).unwrap_or(text);
        }
    }
    text
}

/// A digest ready to be applied.
#[derive(Clone)]
pub(crate) struct Hash {
    pub(crate) digest: MessageDigest,
    pub(crate) salt: Box<[u8]>,
    pub(crate) plain: bool,
    pub(crate) length: Option<u32>,
}

impl std::fmt::Debug for Hash {
    /// Without the salt, which is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hash").field("plain", &self.plain).field("length", &self.length).finish_non_exhaustive()
    }
}

impl Hash {
    /// Appends the hex digest of `text` to `out`.
    ///
    /// # Errors
    /// The text OpenSSL gives for a digest it refuses (a FIPS policy, for one).
    pub(crate) fn apply(
        &self,
        text: &str,
        hashers: &mut Vec<(Nid, Hasher)>,
        work: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), openssl::error::ErrorStack> {
        let nid = self.digest.type_();
        let at = match hashers.iter().position(|(known, _)| *known == nid) {
            Some(at) => at,
            None => {
                hashers.push((nid, Hasher::new(self.digest)?));
                hashers.len() - 1
            }
        };
        let Some((_, hasher)) = hashers.get_mut(at) else { return Ok(()) };
        let digest = match self.digest_of(text, hasher, work) {
            Ok(digest) => digest,
            Err(error) => {
                // A hasher that failed half-way has swallowed bytes.
                hashers.clear();
                return Err(error);
            }
        };
        let limit = self.length.map_or(usize::MAX, |length| length as usize);
        out.extend(hex(&digest).take(limit));
        Ok(())
    }

    fn digest_of(
        &self,
        text: &str,
        hasher: &mut Hasher,
        work: &mut Vec<u8>,
    ) -> Result<openssl::hash::DigestBytes, openssl::error::ErrorStack> {
        hasher.update(&self.salt)?;
        if self.plain {
            hasher.update(text.as_bytes())?;
        } else {
            work.clear();
            java_serialized(text, work);
            hasher.update(work)?;
        }
        hasher.finish()
    }
}

/// Lower-case hex digits of bytes.
pub(crate) fn hex(bytes: &[u8]) -> impl Iterator<Item = u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
}

/// Appends what Java's `ObjectOutputStream` writes for a string: stream magic, then TC_STRING with a two-byte length
/// or TC_LONGSTRING with eight, then modified UTF-8 (NUL as two bytes, surrogates as three bytes each).
pub(crate) fn java_serialized(text: &str, out: &mut Vec<u8>) {
    let length: usize = text
        .chars()
        .map(|c| match c {
            '\0' => 2,
            c if c.len_utf16() == 2 => 6,
            c => c.len_utf8(),
        })
        .sum();
    out.extend_from_slice(&[0xac, 0xed, 0x00, 0x05]);
    match u16::try_from(length) {
        Ok(length) => {
            out.push(0x74);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.push(0x7c);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    for c in text.chars() {
        if c == '\0' {
            out.extend_from_slice(&[0xC0, 0x80]);
        } else if c.len_utf16() == 2 {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                let (high, middle, low) = (*unit >> 12, (*unit >> 6) & 0x3F, *unit & 0x3F);
                out.extend_from_slice(&[0xE0 | high as u8, 0x80 | middle as u8, 0x80 | low as u8]);
            }
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}
