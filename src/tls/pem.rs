//! PEM text: certificates, and keys with or without a password.

use openssl::{
    pkey::{PKey, Private},
    x509::X509,
};

use crate::{Identity, reason};

/// All certificates of a text.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<X509>, String> {
    X509::stack_from_pem(text).map_err(|error| format!("holds a certificate that is not readable: {}", reason(&error)))
}

/// Key and certificates of one text.
pub(crate) fn identity(text: &[u8], password: Option<&str>) -> Result<Identity, String> {
    identity_of(text, text, password)
}

/// Key and certificates of two texts.
pub(crate) fn identity_of(certificates_text: &[u8], key: &[u8], password: Option<&str>) -> Result<Identity, String> {
    let key = private_key(key, password)?;
    let certificates = certificates(certificates_text)?;
    if certificates.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    Identity::join(key, certificates)
}

fn private_key(text: &[u8], password: Option<&str>) -> Result<PKey<Private>, String> {
    let has = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    if !has(b"PRIVATE KEY-----") {
        return Err("holds no private key".to_owned());
    }
    let encrypted = has(b"ENCRYPTED");
    // With a callback OpenSSL never asks the terminal.
    let password = password.unwrap_or_default().as_bytes();
    PKey::private_key_from_pem_passphrase(text, password).map_err(|error| match encrypted {
        true => "holds a private key that does not open with the password given".to_owned(),
        false => format!("holds a private key that is not readable: {}", reason(&error)),
    })
}

/// Puts what stands between BEGIN and END marks on lines of its own, as OpenSSL wants it. Blocks with headers (old
/// encrypted keys) are left as they are.
pub(crate) fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("-----BEGIN ") {
        let block = after.split_once("-----").and_then(|(label, after)| {
            let (body, after) = after.split_once("-----END ")?;
            Some((label, body, after.split_once("-----")?.1))
        });
        let Some((label, body, after)) = block.filter(|(_, body, _)| !body.contains(':')) else { break };
        out.push_str(before);
        out.push_str(&format!("\n-----BEGIN {label}-----\n"));
        let digits: Vec<char> = body.chars().filter(|c| !c.is_whitespace()).collect();
        for line in digits.chunks(64) {
            out.extend(line);
            out.push('\n');
        }
        out.push_str(&format!("-----END {label}-----\n"));
        rest = after;
    }
    out.push_str(rest);
    out
}
