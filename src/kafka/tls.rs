//! Java's `ssl.*` keys to certificates and keys as PEM text, which is the one form our clients take.
//!
//! Files are read when a client is made, so that a renewed certificate counts at the connector's next start.

use std::collections::BTreeMap;

use tls::Identity;

/// A client's own certificate with chain, and its key, as PEM texts; the key is not encrypted.
pub(crate) struct ClientIdentity {
    pub(crate) certificates: String,
    pub(crate) key: String,
}

fn of<'a>(java: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    java.get(key).map(String::as_str).filter(|value| !value.is_empty())
}

/// The authorities of a trust store file.
pub(crate) fn authorities(java: &BTreeMap<String, String>, path: &str) -> Result<String, String> {
    tls::to_pem(&tls::authorities(path, of(java, "ssl.truststore.password"))?)
}

/// Authorities given as text.
pub(crate) fn authorities_of_text(text: &str) -> Result<String, String> {
    match tls::certificates_from_pem(text)? {
        found if found.is_empty() => Err("holds no certificate".to_owned()),
        found => tls::to_pem(&found),
    }
}

/// The key store of a file.
pub(crate) fn identity(java: &BTreeMap<String, String>, path: &str) -> Result<ClientIdentity, String> {
    texts(tls::identity(path, of(java, "ssl.keystore.password"), of(java, "ssl.key.password"))?)
}

/// Key and certificates given as texts.
pub(crate) fn identity_of_texts(java: &BTreeMap<String, String>, key: &str) -> Result<ClientIdentity, String> {
    let chain = of(java, "ssl.keystore.certificate.chain")
        .ok_or("needs the key's certificates in ssl.keystore.certificate.chain")?;
    texts(tls::identity_from_pem(chain, key, of(java, "ssl.key.password"))?)
}

fn texts(identity: Identity) -> Result<ClientIdentity, String> {
    Ok(ClientIdentity { certificates: identity.certificates_pem()?, key: identity.key_pem()? })
}
