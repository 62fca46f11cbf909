//! PKCS12 archives, as OpenSSL and newer Java write them.

use std::sync::OnceLock;

use openssl::{
    pkcs12::{ParsedPkcs12_2, Pkcs12},
    provider::Provider,
    x509::X509,
};

use crate::{Identity, reason};

/// Key and certificates.
pub(crate) fn identity(bytes: &[u8], password: &str) -> Result<Identity, String> {
    let parsed = open(bytes, password)?;
    let key = parsed.pkey.ok_or("holds no private key")?;
    Identity::join(key, parsed.cert.into_iter().chain(parsed.ca.into_iter().flatten()).collect())
}

/// All certificates.
pub(crate) fn certificates(bytes: &[u8], password: &str) -> Result<Vec<X509>, String> {
    let parsed = open(bytes, password)?;
    Ok(parsed.ca.into_iter().flatten().chain(parsed.cert).collect())
}

fn open(bytes: &[u8], password: &str) -> Result<ParsedPkcs12_2, String> {
    let archive = Pkcs12::from_der(bytes).map_err(|_| "is not a PKCS12 file, or a broken one".to_owned())?;
    let Err(error) = archive.parse2(password) else {
        return archive.parse2(password).map_err(|error| reason(&error));
    };
    let reasons = reason(&error);
    if reasons.contains("mac verify failure") {
        return Err("does not open with the password given".to_owned());
    }
    // Java up to 8 encrypts certificates with RC2, which OpenSSL keeps aside.
    if with_old_ciphers()
        && let Ok(parsed) = archive.parse2(password)
    {
        return Ok(parsed);
    }
    Err(format!(
        "cannot be opened ({reasons}); if it was written with old ciphers (RC2), write it anew with: openssl pkcs12 \
         -legacy -in STORE -nodes -out STORE.pem"
    ))
}

/// Loads OpenSSL's old ciphers beside the usual ones, once. TLS itself has no use for them.
fn with_old_ciphers() -> bool {
    static OLD: OnceLock<Option<Provider>> = OnceLock::new();
    OLD.get_or_init(|| Provider::try_load(None, "legacy", true).ok()).is_some()
}
