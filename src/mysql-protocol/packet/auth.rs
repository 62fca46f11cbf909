//! Authentication: what to answer to each packet until the server says OK or ERR.
//!
//! Encryption with the server's RSA key is the caller's part ([`Step::Encrypt`]), so this crate needs no library for it.
//! A password goes out in clear only over a connection that the caller calls secure.

use super::{ErrPacket, OkPacket};
use crate::cursor::Cursor;
use crate::error::DecodeError;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// An authentication method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `mysql_native_password`.
    Native,
    /// `caching_sha2_password`.
    CachingSha2,
    /// `sha256_password`.
    Sha256,
    /// `mysql_clear_password`.
    Clear,
}

impl Method {
    /// The method's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Method::Native => "mysql_native_password",
            Method::CachingSha2 => "caching_sha2_password",
            Method::Sha256 => "sha256_password",
            Method::Clear => "mysql_clear_password",
        }
    }

    /// The method of a name, `None` if it is not built in.
    pub fn of_name(name: &str) -> Option<Method> {
        [Method::Native, Method::CachingSha2, Method::Sha256, Method::Clear].into_iter().find(|m| m.name() == name)
    }
}

/// Why a login cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The server refuses the user.
    #[error(transparent)]
    Refused(#[from] ErrPacket),
    /// The account uses a method that is not built in.
    #[error(
        "the account uses the authentication method {0:?}, which is not supported; \
         create the user with caching_sha2_password or mysql_native_password"
    )]
    UnknownMethod(String),
    /// The password would go out in clear.
    #[error("the authentication method {0} sends the password in clear; switch TLS on")]
    NeedsTls(&'static str),
    /// The server's key may not be asked for.
    #[error(
        "the authentication method {0} needs TLS, or permission to ask the server for its public key over the \
         unprotected connection"
    )]
    NeedsPublicKey(&'static str),
    /// The server does not follow the protocol.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// What to do after a packet of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this payload and read the next packet.
    Send(Vec<u8>),
    /// Encrypt `password` with the RSA key `public_key` (PEM) and OAEP padding (SHA-1), send the result, read the next
    /// packet.
    Encrypt {
        /// The server's key.
        public_key: Vec<u8>,
        /// The password, already mixed with the server's random bytes.
        password: Vec<u8>,
    },
    /// Read the next packet.
    Wait,
    /// Logged in.
    Done(OkPacket),
}

/// The authentication part of one login.
pub struct Auth<'p> {
    password: &'p [u8],
    method: Method,
    scramble: Vec<u8>,
    is_secure: bool,
    may_ask_key: bool,
    asked_key: bool,
    switched: bool,
}

impl std::fmt::Debug for Auth<'_> {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("method", &self.method).field("is_secure", &self.is_secure).finish_non_exhaustive()
    }
}

impl<'p> Auth<'p> {
    /// Starts with the method and random bytes of the greeting. A greeting with an unknown method is answered with
    /// `mysql_native_password`: the server then switches to the account's.
    ///
    /// `is_secure`: the connection is in TLS or a Unix socket. `may_ask_key`: on one that is not, the server may be asked
    /// for its public key (who sits in between can answer with his own).
    pub fn new(plugin: &str, scramble: &[u8], password: &'p [u8], is_secure: bool, may_ask_key: bool) -> Self {
        let method = Method::of_name(plugin).unwrap_or(Method::Native);
        // A greeting may not ask for the password in clear; an explicit switch may.
        let method = if method == Method::Clear { Method::Native } else { method };
        let scramble = scramble.to_vec();
        Auth { password, method, scramble, is_secure, may_ask_key, asked_key: false, switched: false }
    }

    /// The method in use.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The data to send with the answer to the greeting, or after a switch of methods.
    ///
    /// # Errors
    /// The method would send the password in clear, or needs a key that may not be asked for.
    pub fn initial(&mut self) -> Result<Vec<u8>, AuthError> {
        match self.method {
            Method::Native => Ok(native(self.password, &self.scramble)),
            Method::CachingSha2 => Ok(caching_sha2(self.password, &self.scramble)),
            Method::Sha256 if self.password.is_empty() => Ok(vec![0]),
            Method::Sha256 if self.is_secure => Ok(self.clear()),
            Method::Sha256 => self.ask_key(1),
            Method::Clear if self.is_secure => Ok(self.clear()),
            Method::Clear => Err(AuthError::NeedsTls(self.method.name())),
        }
    }

    fn clear(&self) -> Vec<u8> {
        let mut clear = self.password.to_vec();
        clear.push(0);
        clear
    }

    fn ask_key(&mut self, request: u8) -> Result<Vec<u8>, AuthError> {
        if !self.may_ask_key {
            return Err(AuthError::NeedsPublicKey(self.method.name()));
        }
        self.asked_key = true;
        Ok(vec![request])
    }

    /// Takes a packet of the server.
    ///
    /// # Errors
    /// The server refuses ([`AuthError::Refused`]), wants what cannot be done, or breaks the protocol.
    pub fn on_packet(&mut self, payload: &[u8]) -> Result<Step, AuthError> {
        let mut c = Cursor::new(payload, "authentication packet");
        match c.u8()? {
            0x00 => Ok(Step::Done(OkPacket::parse(payload)?)),
            0xff => Err(AuthError::Refused(ErrPacket::parse(payload)?)),
            0xfe if c.is_empty() => Err(AuthError::UnknownMethod("mysql_old_password".to_owned())),
            0xfe => {
                if self.switched {
                    return Err(AuthError::Decode(c.invalid("a second switch of methods")));
                }
                self.switched = true;
                let name = String::from_utf8_lossy(c.until_nul()?).into_owned();
                self.method = Method::of_name(&name).ok_or(AuthError::UnknownMethod(name))?;
                let scramble = c.take_rest();
                self.scramble = scramble.strip_suffix(&[0]).unwrap_or(scramble).to_vec();
                self.asked_key = false;
                self.initial().map(Step::Send)
            }
            0x01 => self.on_more_data(c),
            _ => Err(AuthError::Decode(c.invalid("an unknown packet"))),
        }
    }

    fn on_more_data(&mut self, mut c: Cursor<'_>) -> Result<Step, AuthError> {
        if self.asked_key {
            self.asked_key = false;
            let mut password = self.clear();
            if self.scramble.is_empty() {
                return Err(AuthError::Decode(c.invalid("no random bytes to mix the password with")));
            }
            for (byte, mix) in password.iter_mut().zip(self.scramble.iter().cycle()) {
                *byte ^= mix;
            }
            return Ok(Step::Encrypt { public_key: c.take_rest().to_vec(), password });
        }
        match (self.method, c.u8()?) {
            // The server knew the password's hash.
            (Method::CachingSha2, 3) => Ok(Step::Wait),
            // It did not, and wants the password.
            (Method::CachingSha2, 4) if self.is_secure => Ok(Step::Send(self.clear())),
            (Method::CachingSha2, 4) => self.ask_key(2).map(Step::Send),
            _ => Err(AuthError::Decode(c.invalid("unexpected authentication data"))),
        }
    }
}

fn xor<const N: usize>(mut a: [u8; N], b: [u8; N]) -> Vec<u8> {
    for (a, b) in a.iter_mut().zip(b) {
        *a ^= b;
    }
    a.to_vec()
}

/// SHA1(password) XOR SHA1(scramble + SHA1(SHA1(password))); nothing for an empty password.
fn native(password: &[u8], scramble: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once: [u8; 20] = Sha1::digest(password).into();
    let twice = Sha1::digest(once);
    let mixed: [u8; 20] = Sha1::new().chain_update(scramble).chain_update(twice).finalize().into();
    xor(once, mixed)
}

/// SHA256(password) XOR SHA256(SHA256(SHA256(password)) + scramble); nothing for an empty password.
fn caching_sha2(password: &[u8], scramble: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once: [u8; 32] = Sha256::digest(password).into();
    let twice = Sha256::digest(once);
    let mixed: [u8; 32] = Sha256::new().chain_update(twice).chain_update(scramble).finalize().into();
    xor(once, mixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn nothing_goes_out_in_clear_without_tls() {
        let scramble = [7; 20];
        let switch_to_clear = b"\xfemysql_clear_password\0";
        let mut auth = Auth::new("mysql_native_password", &scramble, b"secret", false, true);
        assert_eq!(auth.on_packet(switch_to_clear), Err(AuthError::NeedsTls("mysql_clear_password")));
        let mut auth = Auth::new("mysql_native_password", &scramble, b"secret", true, true);
        assert_eq!(auth.on_packet(switch_to_clear), Ok(Step::Send(b"secret\0".to_vec())));
        let mut auth = Auth::new("caching_sha2_password", &scramble, b"secret", false, false);
        assert_eq!(auth.on_packet(&[1, 4]), Err(AuthError::NeedsPublicKey("caching_sha2_password")));
        assert!(!format!("{auth:?}").contains("secret"));
    }

    #[test]
    fn the_password_is_mixed_before_it_is_encrypted() {
        let mut auth = Auth::new("caching_sha2_password", &[0x20; 20], b"secret", false, true);
        assert_eq!(auth.on_packet(&[1, 4]), Ok(Step::Send(vec![2])));
        let step = auth.on_packet(b"\x01PEM").expect("key");
        assert_eq!(step, Step::Encrypt { public_key: b"PEM".to_vec(), password: b"SECRET\x20".to_vec() });
    }

    #[test]
    fn digests_of_known_input() {
        // Computed with Python's hashlib from the formulas of the MySQL manual.
        let scramble: Vec<u8> = (1..=20).collect();
        assert_eq!(hex(&native(b"cdc", &scramble)), "77fb3b222ccefdbd09041732b757fee9139ca45b");
        assert_eq!(
            hex(&caching_sha2(b"cdc", &scramble)),
            "9066e654bcaae3fcd8e9c7495b98451fecc43df7278c148864a721912a176297"
        );
        assert!(native(b"", &scramble).is_empty() && caching_sha2(b"", &scramble).is_empty());
    }
}
