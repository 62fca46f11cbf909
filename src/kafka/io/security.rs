//! TLS and SASL settings of a client, read once: stores are opened and keys decrypted here, so that a wrong file or
//! password is said when the client is made.

use std::fs;

use native_tls::{Certificate, Identity, Protocol, TlsConnector};
use openssl::{pkey::PKey, x509::X509};

use crate::{io::sasl::Credentials, settings::Settings};

/// How a connection is secured.
#[derive(Clone)]
pub(crate) struct Security {
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) sasl: Option<Credentials>,
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security").field("tls", &self.tls.is_some()).field("sasl", &self.sasl.is_some()).finish()
    }
}

impl Security {
    /// Reads the settings of `security.protocol`, `sasl.*` and `ssl.*`.
    ///
    /// # Errors
    /// Which store cannot be used and why; no secret.
    pub(crate) fn read(settings: &Settings) -> Result<Self, String> {
        let protocol = settings.get("security.protocol").unwrap_or("plaintext");
        let tls = protocol.ends_with("ssl").then(|| connector(settings)).transpose()?;
        let sasl = protocol.starts_with("sasl").then(|| Credentials::read(settings)).transpose()?;
        Ok(Self { tls, sasl })
    }
}

fn connector(settings: &Settings) -> Result<TlsConnector, String> {
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    if let Some((what, pem)) = text(settings, "ssl.ca.location", "ssl.ca.pem", "ssl.truststore.certificates")? {
        let refused = |e: &dyn std::fmt::Display| format!("{what} holds no usable certificates: {e}");
        let stack = X509::stack_from_pem(&pem).map_err(|e| refused(&e))?;
        if stack.is_empty() {
            return Err(refused(&"it has none"));
        }
        // A trust store of one's own is the only one that counts, as for Java's clients.
        builder.disable_built_in_roots(true);
        for certificate in stack {
            let der = certificate.to_der().map_err(|e| refused(&e))?;
            builder.add_root_certificate(Certificate::from_der(&der).map_err(|e| refused(&e))?);
        }
    }
    if let Some(identity) = identity(settings)? {
        builder.identity(identity);
    }
    if settings.get("ssl.endpoint.identification.algorithm") == Some("none") {
        builder.danger_accept_invalid_hostnames(true);
    }
    builder.build().map_err(|e| format!("TLS cannot be set up with the ssl.* settings: {e}"))
}

/// The content of a setting that is a file's name or the text itself, and what to call it.
fn text(settings: &Settings, file: &str, inline: &str, name: &str) -> Result<Option<(String, Vec<u8>)>, String> {
    if let Some(pem) = settings.get(inline) {
        return Ok(Some((name.to_owned(), pem.as_bytes().to_vec())));
    }
    let Some(path) = settings.get(file) else { return Ok(None) };
    let bytes = fs::read(path).map_err(|e| format!("the file {path} cannot be read: {e}"))?;
    Ok(Some((format!("the file {path}"), bytes)))
}

fn identity(settings: &Settings) -> Result<Option<Identity>, String> {
    if let Some(path) = settings.get("ssl.keystore.location") {
        let der = fs::read(path).map_err(|e| format!("the file {path} cannot be read: {e}"))?;
        let password = settings.get("ssl.keystore.password").unwrap_or_default();
        let identity = Identity::from_pkcs12(&der, password)
            .map_err(|e| format!("the key store {path} cannot be opened with ssl.keystore.password: {e}"))?;
        return Ok(Some(identity));
    }
    let key = text(settings, "ssl.key.location", "ssl.key.pem", "ssl.keystore.key")?;
    let chain = text(settings, "ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.certificate.chain")?;
    let (Some((key_name, key)), Some((chain_name, chain))) = (key, chain) else { return Ok(None) };
    let password = settings.get("ssl.key.password").unwrap_or_default();
    let key = PKey::private_key_from_pem_passphrase(&key, password.as_bytes())
        .and_then(|key| key.private_key_to_pem_pkcs8())
        .map_err(|_| format!("{key_name} holds no private key that ssl.key.password opens"))?;
    let refused = |e: &dyn std::fmt::Display| format!("{chain_name} holds no usable certificate chain: {e}");
    let mut pem = Vec::new();
    for certificate in X509::stack_from_pem(&chain).map_err(|e| refused(&e))? {
        pem.extend(certificate.to_pem().map_err(|e| refused(&e))?);
    }
    Identity::from_pkcs8(&pem, &key).map(Some).map_err(|e| refused(&e))
}
