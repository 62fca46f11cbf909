//! The server's side of TLS: the `ssl.*` keys of a worker file, as they count for one kind of listener.
//!
//! As in Connect a prefix takes all or nothing: where one key begins with it, those without it do not count for these
//! listeners.

use std::{collections::BTreeMap, fmt};

use openssl::{
    error::ErrorStack,
    ssl::{SslAcceptor, SslAcceptorBuilder, SslMethod, SslVerifyMode, SslVersion},
    x509::{X509, store::X509StoreBuilder},
};

/// `ssl.client.auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientAuth {
    None,
    Requested,
    Required,
}

/// TLS of listeners, ready to accept connections.
#[derive(Clone)]
pub struct ServerTls(SslAcceptor);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// The keys for listeners with a prefix, without it, and the prefix that counts for messages.
fn keys<'a>(worker: &'a BTreeMap<String, String>, prefix: &'a str) -> (BTreeMap<&'a str, &'a str>, &'a str) {
    let of = |prefix: &'a str| -> BTreeMap<&'a str, &'a str> {
        let stripped = worker.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value.trim())));
        stripped.filter(|(key, value)| key.starts_with("ssl.") && !value.is_empty()).collect()
    };
    let own = of(prefix);
    if own.is_empty() { (of(""), "") } else { (own, prefix) }
}

impl ServerTls {
    /// Reads the keys of the listeners with `prefix` (`listeners.https.` and the like) and the files they name.
    ///
    /// # Errors
    /// Each key that cannot be used, and why.
    pub fn read(worker: &BTreeMap<String, String>, prefix: &str) -> Result<Self, Vec<String>> {
        let (keys, prefix) = keys(worker, prefix);
        let get = |key: &str| keys.get(key).copied();
        let mut problems = Vec::new();
        let refused = |key: &str, why: &str| format!("{prefix}{key}: {why}");
        for key in ["ssl.provider", "ssl.engine.factory.class"].iter().filter(|key| keys.contains_key(*key)) {
            problems.push(refused(key, "cannot be honoured: it names Java code, and there is no JVM here"));
        }
        if get("ssl.cipher.suites").is_some() {
            let why = "cannot be honoured: Java's names of cipher suites are not OpenSSL's; leave it out";
            problems.push(refused("ssl.cipher.suites", why));
        }
        let auth = match get("ssl.client.auth").unwrap_or("none") {
            "none" => ClientAuth::None,
            "requested" => ClientAuth::Requested,
            "required" => ClientAuth::Required,
            other => {
                let why = format!("'{other}' is not one of none, requested, required");
                problems.push(refused("ssl.client.auth", &why));
                ClientAuth::Required
            }
        };
        let versions = versions(get("ssl.enabled.protocols").unwrap_or("TLSv1.2,TLSv1.3"))
            .map_err(|why| problems.push(refused("ssl.enabled.protocols", &why)))
            .ok();
        let password = get("ssl.keystore.password");
        let identity = match (get("ssl.keystore.location"), get("ssl.keystore.key")) {
            (Some(path), _) => tls::identity(path, password, get("ssl.key.password"))
                .map_err(|why| problems.push(refused("ssl.keystore.location", &why))),
            (None, Some(key)) => {
                let chain = get("ssl.keystore.certificate.chain").unwrap_or_default();
                tls::identity_from_pem(chain, key, get("ssl.key.password"))
                    .map_err(|why| problems.push(refused("ssl.keystore.key", &why)))
            }
            (None, None) => {
                let why = "is missing: an https listener needs a key store (PEM, PKCS12 or JKS) with its certificate";
                problems.push(refused("ssl.keystore.location", why));
                Err(())
            }
        };
        let authorities = match (get("ssl.truststore.location"), get("ssl.truststore.certificates")) {
            (Some(path), _) => tls::authorities(path, get("ssl.truststore.password"))
                .map_err(|why| problems.push(refused("ssl.truststore.location", &why))),
            (None, Some(text)) => tls::certificates_from_pem(text)
                .map_err(|why| problems.push(refused("ssl.truststore.certificates", &why))),
            (None, None) => Ok(Vec::new()),
        };
        match (identity, authorities, versions) {
            (Ok(identity), Ok(authorities), Some(versions)) if problems.is_empty() => {
                let built = acceptor(&identity, &authorities, auth, versions);
                built.map(Self).map_err(|error| vec![format!("{prefix}ssl.*: TLS cannot be set up: {error}")])
            }
            _ => Err(problems),
        }
    }

    /// What accepts connections.
    pub(crate) fn acceptor(&self) -> &SslAcceptor {
        &self.0
    }
}

/// The lowest and the highest version of a list.
fn versions(list: &str) -> Result<(SslVersion, SslVersion), String> {
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    match (names.contains(&"TLSv1.2"), names.contains(&"TLSv1.3")) {
        (true, true) => Ok((SslVersion::TLS1_2, SslVersion::TLS1_3)),
        (true, false) => Ok((SslVersion::TLS1_2, SslVersion::TLS1_2)),
        (false, true) => Ok((SslVersion::TLS1_3, SslVersion::TLS1_3)),
        (false, false) => Err("must name TLSv1.2, TLSv1.3 or both: older ones are not spoken".to_owned()),
    }
}

fn acceptor(
    identity: &tls::Identity,
    authorities: &[X509],
    auth: ClientAuth,
    (lowest, highest): (SslVersion, SslVersion),
) -> Result<SslAcceptor, ErrorStack> {
    let mut builder: SslAcceptorBuilder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_min_proto_version(Some(lowest))?;
    builder.set_max_proto_version(Some(highest))?;
    builder.set_private_key(&identity.key)?;
    builder.set_certificate(&identity.certificate)?;
    for certificate in &identity.chain {
        builder.add_extra_chain_cert(certificate.clone())?;
    }
    builder.check_private_key()?;
    // Without it a resumed session with a client certificate is refused.
    builder.set_session_id_context(b"afterimage")?;
    match auth {
        ClientAuth::None => builder.set_verify(SslVerifyMode::NONE),
        ClientAuth::Requested => builder.set_verify(SslVerifyMode::PEER),
        ClientAuth::Required => builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT),
    }
    if authorities.is_empty() {
        builder.set_default_verify_paths()?;
    } else {
        let mut store = X509StoreBuilder::new()?;
        for authority in authorities {
            store.add_cert(authority.clone())?;
            builder.add_client_ca(authority)?;
        }
        builder.set_verify_cert_store(store.build())?;
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
        let worker = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ServerTls::read(&worker, "listeners.https.").unwrap_err()
    }

    #[test]
    fn a_prefix_takes_all_or_nothing() {
        let unprefixed = ("ssl.keystore.location", "/no/such/store");
        let found = problems(&[unprefixed]);
        assert!(found[0].starts_with("ssl.keystore.location: ") && found[0].contains("/no/such/store"), "{found:?}");
        let found = problems(&[unprefixed, ("listeners.https.ssl.client.auth", "none")]);
        assert!(found[0].starts_with("listeners.https.ssl.keystore.location: is missing"), "{found:?}");
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let found = problems(&[
            ("ssl.client.auth", "sometimes"),
            ("ssl.enabled.protocols", "TLSv1.1"),
            ("ssl.cipher.suites", "TLS_X"),
            ("ssl.provider", "BC"),
            ("ssl.truststore.location", "/no/such/trust"),
        ]);
        for key in ["client.auth", "enabled.protocols", "cipher.suites", "provider", "truststore", "keystore"] {
            assert!(found.iter().any(|problem| problem.contains(key)), "{key}: {found:?}");
        }
    }
}
