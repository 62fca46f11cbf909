//! TLS towards the database: modes, and key and trust stores (PEM, PKCS12 and JKS files).

use engine::config::Secret;

use super::modes::SslMode;

/// The password of archives that never leave this process's memory.
const ARCHIVE: &str = "archive";

/// TLS settings as they were configured.
#[derive(Debug, Clone)]
pub(crate) struct TlsConfig {
    /// `database.ssl.mode`.
    pub(crate) mode: SslMode,
    /// `database.ssl.keystore`: client certificate and key.
    pub(crate) keystore: Option<Store>,
    /// `database.ssl.truststore`: authorities.
    pub(crate) truststore: Option<Store>,
}

/// A file of keys or certificates.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// Its path.
    pub(crate) path: String,
    /// Its password.
    pub(crate) password: Secret,
}

impl Store {
    fn password(&self) -> Option<&str> {
        Some(self.password.expose()).filter(|password| !password.is_empty())
    }
}

/// Keys and certificates, loaded.
#[derive(Default)]
pub(crate) struct TlsMaterial {
    /// Client certificate and key as a PKCS12 archive, with its password.
    pub(crate) identity: Option<(Vec<u8>, Secret)>,
    /// Authorities to trust, each as DER; none for the system's.
    pub(crate) authorities: Vec<Vec<u8>>,
}

impl std::fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let authorities = self.authorities.len();
        f.debug_struct("TlsMaterial")
            .field("identity", &self.identity.is_some())
            .field("authorities", &authorities)
            .finish()
    }
}

impl TlsConfig {
    /// Whether connections may use TLS.
    pub(crate) fn enabled(&self) -> bool {
        self.mode != SslMode::Disabled
    }

    /// Whether nothing may be sent in the clear.
    pub(crate) fn required(&self) -> bool {
        matches!(self.mode, SslMode::Required | SslMode::VerifyCa | SslMode::VerifyIdentity)
    }

    /// Reads the key store.
    ///
    /// # Errors
    /// What is wrong with the file and what to do.
    pub(crate) fn identity(&self) -> Result<Option<(Vec<u8>, Secret)>, String> {
        let Some(store) = &self.keystore else { return Ok(None) };
        let identity = tls::identity(&store.path, store.password(), None)?;
        // An archive in memory is the form that both MySQL connections take.
        Ok(Some((identity.archive(ARCHIVE)?, Secret::new(ARCHIVE))))
    }

    /// Reads the trust store.
    ///
    /// # Errors
    /// What is wrong with the file and what to do.
    pub(crate) fn authorities(&self) -> Result<Vec<Vec<u8>>, String> {
        let Some(store) = &self.truststore else { return Ok(Vec::new()) };
        let certificates = tls::authorities(&store.path, store.password())?;
        let der = certificates.iter().map(|certificate| certificate.to_der()).collect::<Result<_, _>>();
        der.map_err(|error| format!("{}: {error}", store.path))
    }

    /// Reads both stores.
    ///
    /// # Errors
    /// As for each of them.
    pub(crate) fn load(&self) -> Result<TlsMaterial, String> {
        Ok(TlsMaterial { identity: self.identity()?, authorities: self.authorities()? })
    }

    /// A connector for a stream to `native_tls`, checking what the mode says.
    ///
    /// # Errors
    /// A store cannot be read or is not accepted.
    pub(crate) fn connector(&self) -> Result<native_tls::TlsConnector, String> {
        let material = self.load()?;
        let mut builder = native_tls::TlsConnector::builder();
        if let Some((archive, password)) = &material.identity {
            let identity = native_tls::Identity::from_pkcs12(archive, password.expose());
            builder.identity(identity.map_err(|error| format!("the client certificate is not accepted: {error}"))?);
        }
        for der in &material.authorities {
            let certificate = native_tls::Certificate::from_der(der);
            builder
                .add_root_certificate(certificate.map_err(|error| format!("an authority is not accepted: {error}"))?);
        }
        if !material.authorities.is_empty() {
            builder.disable_built_in_roots(true);
        }
        builder.danger_accept_invalid_certs(matches!(self.mode, SslMode::Preferred | SslMode::Required));
        builder.danger_accept_invalid_hostnames(self.mode != SslMode::VerifyIdentity);
        builder.build().map_err(|error| format!("TLS cannot be set up: {error}"))
    }
}
