//! Java's key and trust stores, as far as a client without a JVM can use them.
//!
//! Java's store type says little (its `JKS` also opens PKCS12 files), so the file's first bytes decide.

use std::{fmt, fs::File, io::Read, path::Path};

/// What a store file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreFormat {
    /// Text with `-----BEGIN ...-----` blocks.
    Pem,
    /// DER, taken for PKCS12.
    Pkcs12,
    /// Java's own format.
    Jks,
}

impl fmt::Display for StoreFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreFormat::Pem => "PEM",
            StoreFormat::Pkcs12 => "PKCS12",
            StoreFormat::Jks => "JKS",
        })
    }
}

/// Looks at the first bytes of a store file.
pub(crate) fn detect(path: &str) -> Result<StoreFormat, String> {
    let mut head = Vec::new();
    File::open(Path::new(path))
        .and_then(|file| file.take(64 * 1024).read_to_end(&mut head))
        .map_err(|e| format!("the file {path} cannot be read: {e}"))?;
    if head.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) || head.starts_with(&[0xce, 0xce, 0xce, 0xce]) {
        return Ok(StoreFormat::Jks);
    }
    if head.first() == Some(&0x30) {
        return Ok(StoreFormat::Pkcs12);
    }
    if head.windows(11).any(|window| window == b"-----BEGIN ") {
        return Ok(StoreFormat::Pem);
    }
    Err(format!("the file {path} is neither PEM nor a PKCS12 key store"))
}

/// The commands that turn a trust store into PEM.
pub(crate) fn convert_truststore(path: &str, format: StoreFormat) -> String {
    format!(
        "{path} is a {format} trust store, which needs a JVM to be read. Write its certificates as PEM with \
         `keytool -list -rfc -keystore {path} > {path}.pem`, then set ssl.truststore.type=PEM and \
         ssl.truststore.location={path}.pem"
    )
}

/// The commands that turn a Java key store into PKCS12.
pub(crate) fn convert_keystore(path: &str) -> String {
    format!(
        "{path} is a Java key store (JKS), which needs a JVM to be read. Convert it with `keytool -importkeystore \
         -srckeystore {path} -destkeystore {path}.p12 -deststoretype PKCS12`, then set ssl.keystore.type=PKCS12 and \
         ssl.keystore.location={path}.p12"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        for (name, bytes, expected) in [
            ("a.jks", &[0xfe, 0xed, 0xfe, 0xed, 0, 0][..], Some(StoreFormat::Jks)),
            ("b.jks", &[0x30, 0x82, 1, 1][..], Some(StoreFormat::Pkcs12)),
            ("c.pem", b"subject=/CN=x\n-----BEGIN CERTIFICATE-----\n", Some(StoreFormat::Pem)),
            ("d", b"hello", None),
            ("e", b"", None),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(detect(&path.to_string_lossy()).ok(), expected, "{name}");
        }
        assert!(detect("/no/such/store").is_err_and(|e| e.contains("/no/such/store")));
    }
}
