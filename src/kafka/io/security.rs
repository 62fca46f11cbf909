//! TLS and SASL of a client, from its settings. Stores were opened and keys decrypted when the settings were read; here
//! are texts in PEM.

use std::fmt;

use native_tls::{Certificate, Identity, Protocol, TlsConnector};

use crate::{io::sasl::Credentials, settings::Settings};

/// How a connection is secured.
#[derive(Clone)]
pub(crate) struct Security {
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) sasl: Option<Credentials>,
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").field("tls", &self.tls.is_some()).field("sasl", &self.sasl.is_some()).finish()
    }
}

impl Security {
    /// Reads the settings of `security.protocol`, `sasl.*` and `ssl.*`.
    ///
    /// # Errors
    /// What cannot be used and why; no secret.
    pub(crate) fn read(settings: &Settings) -> Result<Self, String> {
        let protocol = settings.get("security.protocol").unwrap_or("plaintext");
        let tls = protocol.ends_with("ssl").then(|| connector(settings)).transpose()?;
        let sasl = protocol.starts_with("sasl").then(|| Credentials::read(settings)).transpose()?;
        Ok(Self { tls, sasl })
    }
}

fn connector(settings: &Settings) -> Result<TlsConnector, String> {
    let unusable = |what: &str, e: native_tls::Error| format!("{what} cannot be used: {e}");
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    if let Some(pem) = settings.get("ssl.ca.pem") {
        // A trust store of one's own is the only one that counts, as for Java's clients.
        builder.disable_built_in_roots(true);
        for certificate in Certificate::stack_from_pem(pem.as_bytes()).map_err(|e| unusable("the trust store", e))? {
            builder.add_root_certificate(certificate);
        }
    }
    if let (Some(chain), Some(key)) = (settings.get("ssl.certificate.pem"), settings.get("ssl.key.pem")) {
        let identity = Identity::from_pkcs8(chain.as_bytes(), key.as_bytes());
        builder.identity(identity.map_err(|e| unusable("the client certificate and its key", e))?);
    }
    if settings.get("ssl.endpoint.identification.algorithm") == Some("none") {
        builder.danger_accept_invalid_hostnames(true);
    }
    builder.build().map_err(|e| unusable("the ssl.* settings", e))
}
