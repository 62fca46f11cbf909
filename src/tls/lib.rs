//! Key stores and trust stores, as Java's tools and OpenSSL's write them: PEM, PKCS12 and JKS files to certificates and
//! private keys.
//!
//! Whoever speaks TLS here (database, Kafka, REST) takes its certificates from this crate. It opens no connection, and
//! no error of it holds a password or a key.

mod jks;
mod pem;
mod pkcs12;

use std::fmt;

use openssl::{
    error::ErrorStack,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    stack::Stack,
    x509::X509,
};

/// What a store file holds. Java's store type says little (its `JKS` opens PKCS12 files too), so the file's first bytes
/// decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text with `-----BEGIN ...-----` blocks.
    Pem,
    /// DER, taken for PKCS12.
    Pkcs12,
    /// Java's own format, and its cousin JCEKS.
    Jks,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Pem => "PEM",
            Format::Pkcs12 => "PKCS12",
            Format::Jks => "JKS",
        })
    }
}

/// A private key with its certificate.
pub struct Identity {
    /// The certificate of the key.
    pub certificate: X509,
    /// The certificates between it and an authority, as the store lists them.
    pub chain: Vec<X509>,
    /// The key.
    pub key: PKey<Private>,
}

impl fmt::Debug for Identity {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// The largest store file that is read, bytes: bundles of all public authorities have less than one MiB.
const LARGEST: u64 = 16 << 20;

/// Reads a key store. `password` opens the store, `key_password` the key when it has one of its own.
///
/// # Errors
/// What is wrong with the file and what to do, naming the file.
pub fn identity(path: &str, password: Option<&str>, key_password: Option<&str>) -> Result<Identity, String> {
    let bytes = read(path)?;
    let found = match format_of(&bytes) {
        Some(Format::Pem) => pem::identity(&bytes, key_password.or(password)),
        Some(Format::Pkcs12) => pkcs12::identity(&bytes, password.unwrap_or_default()),
        Some(Format::Jks) => jks::read(&bytes, password).and_then(|store| store.identity(key_password.or(password))),
        None => Err(UNKNOWN.to_owned()),
    };
    found.map_err(|why| format!("the key store {path} {why}"))
}

/// Reads a trust store: at least one certificate.
///
/// # Errors
/// What is wrong with the file and what to do, naming the file.
pub fn authorities(path: &str, password: Option<&str>) -> Result<Vec<X509>, String> {
    let bytes = read(path)?;
    let found = match format_of(&bytes) {
        Some(Format::Pem) => pem::certificates(&bytes),
        Some(Format::Pkcs12) => pkcs12::certificates(&bytes, password.unwrap_or_default()),
        Some(Format::Jks) => jks::read(&bytes, password).and_then(|store| store.certificates()),
        None => Err(UNKNOWN.to_owned()),
    };
    match found {
        Ok(certificates) if certificates.is_empty() => Err(format!("the trust store {path} holds no certificate")),
        other => other.map_err(|why| format!("the trust store {path} {why}")),
    }
}

/// Certificates written as PEM text, one after the other. A text whose lines were joined by blanks, as property files
/// with continued lines give it, is read too.
///
/// # Errors
/// The text holds no certificate, or a broken one.
pub fn certificates_from_pem(text: &str) -> Result<Vec<X509>, String> {
    pem::certificates(pem::lines(text).as_bytes())
}

/// A key and its certificates written as PEM texts; see [`certificates_from_pem`].
///
/// # Errors
/// A text is broken, the key does not open, or key and certificate do not belong together.
pub fn identity_from_pem(certificates: &str, key: &str, key_password: Option<&str>) -> Result<Identity, String> {
    pem::identity_of(pem::lines(certificates).as_bytes(), pem::lines(key).as_bytes(), key_password)
}

/// What a store file holds.
///
/// # Errors
/// It cannot be read, or is none.
pub fn format(path: &str) -> Result<Format, String> {
    format_of(&read(path)?).ok_or_else(|| format!("the file {path} {UNKNOWN}"))
}

/// Drops what another library has left in OpenSSL's list of errors of this thread. OpenSSL looks at that list to tell
/// "wait" from "broken": with something old in it, the next read of a healthy connection of this thread fails.
pub fn forget_errors() {
    drop(ErrorStack::get());
}

/// Certificates as PEM text.
///
/// # Errors
/// OpenSSL could not write one.
pub fn to_pem(certificates: &[X509]) -> Result<String, String> {
    let mut text = Vec::new();
    for certificate in certificates {
        text.extend(certificate.to_pem().map_err(|error| error.to_string())?);
    }
    String::from_utf8(text).map_err(|error| error.to_string())
}

impl Identity {
    /// The certificate and its chain as PEM text.
    ///
    /// # Errors
    /// OpenSSL could not write one.
    pub fn certificates_pem(&self) -> Result<String, String> {
        Ok(to_pem(std::slice::from_ref(&self.certificate))? + &to_pem(&self.chain)?)
    }

    /// The key as PEM text, not encrypted.
    ///
    /// # Errors
    /// OpenSSL could not write it.
    pub fn key_pem(&self) -> Result<String, String> {
        let text = self.key.private_key_to_pem_pkcs8().map_err(|error| error.to_string())?;
        String::from_utf8(text).map_err(|error| error.to_string())
    }

    /// Key and certificates as a PKCS12 archive.
    ///
    /// # Errors
    /// OpenSSL could not write it.
    pub fn archive(&self, password: &str) -> Result<Vec<u8>, String> {
        let build = || {
            let mut chain = Stack::new()?;
            for certificate in &self.chain {
                chain.push(certificate.clone())?;
            }
            let mut builder = Pkcs12::builder();
            builder.name("identity").pkey(&self.key).cert(&self.certificate).ca(chain);
            builder.build2(password)?.to_der()
        };
        build().map_err(|error: ErrorStack| error.to_string())
    }

    /// Joins a key with the certificates of a store; the one that belongs to the key comes first.
    fn join(key: PKey<Private>, certificates: Vec<X509>) -> Result<Self, String> {
        let belongs = |certificate: &X509| certificate.public_key().is_ok_and(|public| public.public_eq(&key));
        let (mut own, chain): (Vec<_>, Vec<_>) = certificates.into_iter().partition(belongs);
        if own.is_empty() {
            return Err("holds no certificate that belongs to its private key".to_owned());
        }
        Ok(Self { certificate: own.remove(0), chain, key })
    }
}

const UNKNOWN: &str = "is neither PEM nor PKCS12 nor a Java key store (JKS)";

fn read(path: &str) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("the file {path} cannot be read: {error}");
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST {
        return Err(format!("the file {path} has {size} bytes, which is too large for a key or trust store"));
    }
    std::fs::read(path).map_err(failed)
}

fn format_of(bytes: &[u8]) -> Option<Format> {
    if jks::is(bytes) {
        return Some(Format::Jks);
    }
    if bytes.first() == Some(&0x30) {
        return Some(Format::Pkcs12);
    }
    bytes.windows(11).any(|window| window == b"-----BEGIN ").then_some(Format::Pem)
}

/// OpenSSL's reasons without the places in its source.
fn reason(error: &ErrorStack) -> String {
    let reasons: Vec<&str> = error.errors().iter().filter_map(|error| error.reason()).collect();
    if reasons.is_empty() { "no reason given".to_owned() } else { reasons.join(", ") }
}

#[cfg(test)]
mod tests;
