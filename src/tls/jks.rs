//! Java's own key store format, JKS, and the certificates of its cousin JCEKS.
//!
//! A file is: magic, version, number of entries; entries of a tag (1 a key with its chain, 2 a certificate), an alias, a
//! time and DER; at the end SHA-1 over password, a fixed phrase and everything before. All numbers are big-endian. A key
//! is encrypted by XOR with a stream of chained SHA-1 sums, salted, and followed by the sum of password and key
//! (`sun.security.provider.KeyProtector`).

use openssl::{
    pkey::{PKey, Private},
    sha::Sha1,
    x509::X509,
};

use crate::{Identity, reason};

const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const JCEKS: [u8; 4] = [0xce, 0xce, 0xce, 0xce];
/// What is mixed into the sum at the end of a store.
const PHRASE: &[u8] = b"Mighty Aphrodite";
const SUM: usize = 20;
const CUT: &str = "is a broken Java key store: it ends early";

/// Whether bytes begin like a store of Java's.
pub(crate) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(&JKS) || bytes.starts_with(&JCEKS)
}

/// A store's entries; keys are still encrypted.
pub(crate) struct JavaStore<'a> {
    keys: Vec<(&'a [u8], Vec<&'a [u8]>)>,
    certificates: Vec<&'a [u8]>,
    jceks: bool,
}

/// Takes a file apart; the sum at its end is checked when there is a password, as Java does.
pub(crate) fn read<'a>(bytes: &'a [u8], password: Option<&str>) -> Result<JavaStore<'a>, String> {
    let mut reader = Reader(bytes);
    let jceks = reader.take(4)? == JCEKS;
    let version = reader.number()?;
    if !(1..=2).contains(&version) {
        return Err(format!("is a Java key store of version {version}, which is not known"));
    }
    let entries = reader.number()?;
    let mut store = JavaStore { keys: Vec::new(), certificates: Vec::new(), jceks };
    for _ in 0..entries {
        let tag = reader.number()?;
        reader.text()?;
        reader.take(8)?;
        match tag {
            1 => {
                let key = reader.block()?;
                let mut chain = Vec::new();
                for _ in 0..reader.number()? {
                    chain.push(reader.certificate(version)?);
                }
                store.keys.push((key, chain));
            }
            2 => store.certificates.push(reader.certificate(version)?),
            _ => return Err("holds an entry that is neither a certificate nor a private key".to_owned()),
        }
    }
    let body = bytes.get(..bytes.len() - reader.0.len()).unwrap_or_default();
    let sum = reader.take(SUM)?;
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        let mut expected = Sha1::new();
        expected.update(&utf16(password));
        expected.update(PHRASE);
        expected.update(body);
        if expected.finish() != sum {
            return Err("does not open with the password given, or is damaged".to_owned());
        }
    }
    Ok(store)
}

impl JavaStore<'_> {
    /// The store's only key.
    pub(crate) fn identity(&self, password: Option<&str>) -> Result<Identity, String> {
        let [(key, chain)] = self.keys.as_slice() else {
            return Err(match self.keys.len() {
                0 => "holds no private key".to_owned(),
                keys => format!("holds {keys} private keys: which one is meant is not said; keep one in a store"),
            });
        };
        if self.jceks {
            return Err("is of the type JCEKS, whose keys are not readable here; convert it with: keytool \
                        -importkeystore -srckeystore STORE -srcstoretype JCEKS -destkeystore STORE.p12 -deststoretype \
                        PKCS12"
                .to_owned());
        }
        let key = decrypt(key, password.unwrap_or_default())?;
        Identity::join(key, parse(chain)?)
    }

    /// Its trusted certificates, and those of its keys.
    pub(crate) fn certificates(&self) -> Result<Vec<X509>, String> {
        let mut all = parse(&self.certificates)?;
        for (_, chain) in &self.keys {
            all.extend(parse(chain)?);
        }
        Ok(all)
    }
}

fn parse(certificates: &[&[u8]]) -> Result<Vec<X509>, String> {
    let parsed = certificates.iter().map(|der| X509::from_der(der)).collect::<Result<_, _>>();
    parsed.map_err(|error| format!("holds a certificate that is not readable: {}", reason(&error)))
}

/// Java characters of a password.
fn utf16(password: &str) -> Vec<u8> {
    password.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn decrypt(entry: &[u8], password: &str) -> Result<PKey<Private>, String> {
    let broken = || "holds a private key in a form that is not known".to_owned();
    // EncryptedPrivateKeyInfo: a sequence of the algorithm and an octet string.
    let (outer, _) = der(entry, 0x30).ok_or_else(broken)?;
    let (_, rest) = der(outer, 0x30).ok_or_else(broken)?;
    let (sealed, _) = der(rest, 0x04).ok_or_else(broken)?;
    let (salt, rest) = sealed.split_at_checked(SUM).ok_or_else(broken)?;
    let (text, check) = rest.split_at_checked(rest.len().saturating_sub(SUM)).ok_or_else(broken)?;
    let password = utf16(password);
    let chained = |parts: &[&[u8]]| {
        let mut sum = Sha1::new();
        parts.iter().for_each(|part| sum.update(part));
        sum.finish()
    };
    let mut plain = Vec::with_capacity(text.len());
    let mut stream = chained(&[&password, salt]);
    for block in text.chunks(SUM) {
        plain.extend(block.iter().zip(stream).map(|(byte, mix)| byte ^ mix));
        stream = chained(&[&password, &stream]);
    }
    if chained(&[&password, &plain]) != check {
        return Err("holds a private key that does not open with the password given".to_owned());
    }
    PKey::private_key_from_pkcs8(&plain).map_err(|_| broken())
}

/// The content of a DER element with this tag at the beginning, and what follows it.
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(2)?;
    let [found, length] = *head else { return None };
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            (digits.iter().fold(0, |all, digit| all << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, String> {
        Ok(self.take(4)?.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)))
    }

    /// Text of Java's `writeUTF`: two bytes of length.
    fn text(&mut self) -> Result<&'a [u8], String> {
        let length = self.take(2)?.iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
        self.take(length)
    }

    fn block(&mut self) -> Result<&'a [u8], String> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| CUT)?)
    }

    fn certificate(&mut self, version: u32) -> Result<&'a [u8], String> {
        if version == 2 && self.text()? != b"X.509" {
            return Err("holds a certificate that is not of the type X.509".to_owned());
        }
        self.block()
    }
}
