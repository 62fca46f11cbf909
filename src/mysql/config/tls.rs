//! TLS towards the database: modes, and key and trust stores read from PEM and PKCS12 files.
//!
//! Java's own store format (JKS) is refused with the command that converts it.

use std::path::Path;

use engine::config::Secret;
use openssl::{pkcs12::Pkcs12, pkey::PKey, stack::Stack, x509::X509};

use super::modes::SslMode;

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

    /// Reads the key store.
    ///
    /// # Errors
    /// What is wrong with the file and what to do.
    pub(crate) fn identity(&self) -> Result<Option<(Vec<u8>, Secret)>, String> {
        let Some(store) = &self.keystore else { return Ok(None) };
        let bytes = read(store)?;
        if is_pem(&bytes) {
            let archive = pem_identity(store, &bytes)?;
            return Ok(Some((archive, Secret::new("archive"))));
        }
        let parsed = open_archive(store, &bytes)?;
        if parsed.pkey.is_none() || parsed.cert.is_none() {
            return Err(format!("{} holds no private key with a certificate", store.path));
        }
        Ok(Some((bytes, store.password.clone())))
    }

    /// Reads the trust store.
    ///
    /// # Errors
    /// What is wrong with the file and what to do.
    pub(crate) fn authorities(&self) -> Result<Vec<Vec<u8>>, String> {
        let Some(store) = &self.truststore else { return Ok(Vec::new()) };
        let bytes = read(store)?;
        let certificates: Vec<X509> = if is_pem(&bytes) {
            X509::stack_from_pem(&bytes).map_err(|error| format!("{} is not readable as PEM: {error}", store.path))?
        } else {
            let parsed = open_archive(store, &bytes)?;
            parsed.ca.into_iter().flatten().chain(parsed.cert).collect()
        };
        if certificates.is_empty() {
            return Err(format!("{} holds no certificate", store.path));
        }
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

fn read(store: &Store) -> Result<Vec<u8>, String> {
    let bytes =
        std::fs::read(Path::new(&store.path)).map_err(|error| format!("{} is not readable: {error}", store.path))?;
    // The magic of JKS and of JCEKS.
    if bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) || bytes.starts_with(&[0xce, 0xce, 0xce, 0xce]) {
        let path = &store.path;
        return Err(format!(
            "{path} is a Java key store (JKS), which is not supported; convert it with: keytool -importkeystore \
             -srckeystore {path} -destkeystore {path}.p12 -deststoretype PKCS12"
        ));
    }
    Ok(bytes)
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).take(1 << 16).any(|window| window == b"-----BEGIN ")
}

fn open_archive(store: &Store, bytes: &[u8]) -> Result<openssl::pkcs12::ParsedPkcs12_2, String> {
    let archive = Pkcs12::from_der(bytes).map_err(|_| format!("{} is neither a PEM nor a PKCS12 file", store.path))?;
    archive.parse2(store.password.expose()).map_err(|error| {
        format!(
            "{} cannot be opened as PKCS12 with the password given ({error}); an archive with old ciphers (RC2) has to \
             be written anew with: openssl pkcs12 -legacy -in {0} -nodes -out store.pem",
            store.path
        )
    })
}

/// Certificate chain and key of a PEM file as an archive, which is the form both MySQL connections take.
fn pem_identity(store: &Store, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let problem = |what: &str| format!("{} {what}", store.path);
    let mut chain = X509::stack_from_pem(bytes).map_err(|_| problem("is not readable as PEM"))?.into_iter();
    let certificate = chain.next().ok_or_else(|| problem("holds no certificate"))?;
    let key = PKey::private_key_from_pem_passphrase(bytes, store.password.expose().as_bytes())
        .map_err(|_| problem("holds no private key that opens with database.ssl.keystore.password"))?;
    let mut build = || {
        let mut rest = Stack::new()?;
        chain.try_for_each(|certificate| rest.push(certificate))?;
        let mut builder = Pkcs12::builder();
        builder.name("client").pkey(&key).cert(&certificate).ca(rest);
        builder.build2("archive")?.to_der()
    };
    build().map_err(|error: openssl::error::ErrorStack| problem(&format!("cannot be used: {error}")))
}
