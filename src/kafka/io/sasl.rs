//! SASL PLAIN (RFC 4616) and SCRAM (RFC 5802, 7677) as messages; sending them is [`crate::io::connection`]'s.

use std::fmt;

use openssl::{base64, hash::MessageDigest, memcmp, pkcs5::pbkdf2_hmac, pkey::PKey, rand::rand_bytes, sign::Signer};

use crate::settings::Settings;

/// Fewest iterations that Java's clients accept of a server.
const ITERATIONS_MIN: usize = 4096;
/// More would be an attack on our time.
const ITERATIONS_MAX: usize = 10_000_000;

/// Mechanism, user and password.
#[derive(Clone)]
pub(crate) struct Credentials {
    mechanism: Mechanism,
    user: String,
    password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    Plain,
    Sha256,
    Sha512,
}

impl Credentials {
    /// Reads them from settings.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn read(settings: &Settings) -> Result<Self, String> {
        let mechanism = match settings.get("sasl.mechanisms") {
            Some("PLAIN") => Mechanism::Plain,
            Some("SCRAM-SHA-256") => Mechanism::Sha256,
            Some("SCRAM-SHA-512") => Mechanism::Sha512,
            other => return Err(format!("sasl.mechanism {} cannot be used", other.unwrap_or("is missing and"))),
        };
        let text = |key: &str| settings.get(key).map(str::to_owned).ok_or("sasl.jaas.config is missing".to_owned());
        Ok(Self { mechanism, user: text("sasl.username")?, password: text("sasl.password")? })
    }

    /// The mechanism's name.
    pub(crate) fn mechanism(&self) -> &'static str {
        match self.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::Sha256 => "SCRAM-SHA-256",
            Mechanism::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// A conversation with one server.
    ///
    /// # Errors
    /// No random numbers are to be had.
    pub(crate) fn begin(&self) -> Result<Conversation<'_>, String> {
        let mut random = [0; 24];
        rand_bytes(&mut random).map_err(|e| format!("no random number for SCRAM: {e}"))?;
        Ok(Conversation { credentials: self, nonce: base64::encode_block(&random), state: State::First })
    }

    fn digest(&self) -> MessageDigest {
        if self.mechanism == Mechanism::Sha512 { MessageDigest::sha512() } else { MessageDigest::sha256() }
    }
}

/// The client's side of one authentication.
pub(crate) struct Conversation<'a> {
    credentials: &'a Credentials,
    nonce: String,
    state: State,
}

enum State {
    First,
    Second,
    Last { signature: Vec<u8> },
    Done,
}

impl Conversation<'_> {
    /// The next token for the server after its `answer` (empty at first); `None` when the server has proved itself.
    ///
    /// # Errors
    /// The server's answer is wrong.
    pub(crate) fn next(&mut self, answer: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let (token, state) = match &self.state {
            State::First if self.credentials.mechanism == Mechanism::Plain => {
                let token = format!("\0{}\0{}", self.credentials.user, self.credentials.password);
                (Some(token.into_bytes()), State::Done)
            }
            State::First => (Some(format!("n,,{}", self.bare()).into_bytes()), State::Second),
            State::Second => {
                let (token, signature) = self.proof(text(answer)?)?;
                (Some(token), State::Last { signature })
            }
            State::Last { signature } => {
                let answer = text(answer)?;
                if let Some(error) = field(answer, 'e') {
                    return Err(format!("the server refused the login: {error}"));
                }
                let said = field(answer, 'v').and_then(|v| base64::decode_block(v).ok()).unwrap_or_default();
                if said.len() != signature.len() || !memcmp::eq(&said, signature) {
                    return Err("the server could not prove that it knows the password".into());
                }
                (None, State::Done)
            }
            State::Done => (None, State::Done),
        };
        self.state = state;
        Ok(token)
    }

    fn bare(&self) -> String {
        let user = self.credentials.user.replace('=', "=3D").replace(',', "=2C");
        format!("n={user},r={}", self.nonce)
    }

    /// The proof of the password for the server's challenge, and the signature that the server must answer with.
    fn proof(&self, challenge: &str) -> Result<(Vec<u8>, Vec<u8>), String> {
        let wrong = || "the server's SCRAM challenge is malformed".to_owned();
        if let Some(error) = field(challenge, 'e') {
            return Err(format!("the server refused the login: {error}"));
        }
        let nonce = field(challenge, 'r').filter(|r| r.starts_with(&self.nonce)).ok_or_else(wrong)?;
        let salt = field(challenge, 's').and_then(|s| base64::decode_block(s).ok()).ok_or_else(wrong)?;
        let iterations: usize = field(challenge, 'i').and_then(|i| i.parse().ok()).ok_or_else(wrong)?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(format!(
                "the server asks for {iterations} SCRAM iterations; {ITERATIONS_MIN} to {ITERATIONS_MAX} are accepted"
            ));
        }
        let digest = self.credentials.digest();
        let compute = || {
            let mut salted = vec![0; digest.size()];
            pbkdf2_hmac(self.credentials.password.as_bytes(), &salt, iterations, digest, &mut salted)?;
            let client_key = hmac(digest, &salted, b"Client Key")?;
            let stored_key = openssl::hash::hash(digest, &client_key)?;
            let last = format!("c=biws,r={nonce}");
            let message = format!("{},{challenge},{last}", self.bare());
            let client_signature = hmac(digest, &stored_key, message.as_bytes())?;
            let proof: Vec<u8> = client_key.iter().zip(&client_signature).map(|(a, b)| a ^ b).collect();
            let server_key = hmac(digest, &salted, b"Server Key")?;
            let signature = hmac(digest, &server_key, message.as_bytes())?;
            Ok((format!("{last},p={}", base64::encode_block(&proof)).into_bytes(), signature))
        };
        compute().map_err(|e: openssl::error::ErrorStack| format!("SCRAM cannot be computed: {e}"))
    }
}

fn hmac(digest: MessageDigest, key: &[u8], data: &[u8]) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(digest, &key)?;
    signer.update(data)?;
    signer.sign_to_vec()
}

fn text(answer: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(answer).map_err(|_| "the server's SCRAM message is not UTF-8".to_owned())
}

/// The value of `name=` among the comma-separated attributes.
fn field(message: &str, name: char) -> Option<&str> {
    message.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(mechanism: Mechanism, user: &str, password: &str) -> Credentials {
        Credentials { mechanism, user: user.into(), password: password.into() }
    }

    /// The exchange of RFC 7677, section 3.
    #[test]
    fn scram_is_as_the_standard_shows_it() {
        let pencil = credentials(Mechanism::Sha256, "user", "pencil");
        let mut talk = Conversation { credentials: &pencil, nonce: "rOprNGfwEbeRWgbNEkqO".into(), state: State::First };
        assert_eq!(talk.next(b"").ok().flatten().as_deref(), Some(&b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"[..]));
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(talk.next(challenge).ok().flatten().as_deref(), Some(expected.as_bytes()));
        assert_eq!(talk.next(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(None));
    }

    #[test]
    fn a_server_that_proves_nothing_is_refused() {
        let who = credentials(Mechanism::Sha512, "a,b=c", "topsecret");
        let mut talk = who.begin().unwrap_or_else(|e| panic!("{e}"));
        let first = talk.next(b"").ok().flatten().unwrap_or_default();
        assert!(first.starts_with(b"n,,n=a=2Cb=3Dc,r="));
        let nonce = talk.nonce.clone();
        for wrong in ["", "r=other,s=AAAA,i=4096", "e=unknown-user", &format!("r={nonce}x,s=AAAA,i=1"), "\u{0}"] {
            let error = talk.next(wrong.as_bytes()).err().unwrap_or_default();
            assert!(!error.is_empty() && !error.contains("topsecret"), "{wrong}");
        }
        assert!(talk.next(format!("r={nonce}x,s=AAAA,i=4096").as_bytes()).is_ok());
        assert!(talk.next(b"v=AAAA").is_err_and(|e| e.contains("prove")));
        assert!(talk.next(b"e=invalid-proof").is_err_and(|e| e.contains("invalid-proof")));
    }

    #[test]
    fn plain_is_one_message() {
        let who = credentials(Mechanism::Plain, "u", "p");
        let mut talk = who.begin().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(talk.next(b""), Ok(Some(b"\0u\0p".to_vec())));
        assert_eq!(talk.next(b""), Ok(None));
    }
}
