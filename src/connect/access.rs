//! Who may use the REST API: Connect's extension for basic authentication, with its users in a property file.
//!
//! Users configure it as for Connect: a JAAS file with an entry `KafkaConnect`, whose module names the file of users
//! and passwords. Knows nothing of paths; no message or log line holds a name from a request or a password.

use std::{collections::BTreeMap, fmt, sync::Arc};

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use kafka::jaas;

use crate::properties;

/// The worker key that names the JAAS file, of our own: there is no JVM whose system property could.
pub(crate) const LOGIN_CONFIG: &str = "afterimage.auth.login.config";
/// The system property that does so for Connect, read from `KAFKA_OPTS`.
const SYSTEM_PROPERTY: &str = "-Djava.security.auth.login.config=";
/// The entry of the JAAS file.
const ENTRY: &str = "KafkaConnect";
const MODULE: &str = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule";

/// What is said to those who may not.
pub(crate) const REFUSED: &str = "User cannot access the resource.";

/// Users and their passwords. Cheap to clone.
#[derive(Clone)]
pub struct Users(Arc<BTreeMap<String, String>>);

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("count", &self.0.len()).finish()
    }
}

impl Users {
    /// Reads the users from the file that the JAAS file names. That one is `configured`, else the one that `options`
    /// (the text of `KAFKA_OPTS`) gives to Java.
    ///
    /// # Errors
    /// What is missing or wrong, and what to do.
    pub fn open(configured: Option<&str>, options: &str) -> Result<Self, String> {
        let of_java = options.split_whitespace().find_map(|option| option.strip_prefix(SYSTEM_PROPERTY));
        let configured = configured.filter(|path| !path.is_empty());
        let path = configured.or(of_java.map(|path| path.trim_matches(['"', '\'']))).ok_or_else(|| {
            format!(
                "rest.extension.classes asks for basic authentication, which needs a JAAS file with an entry {ENTRY}: name \
                 it with {LOGIN_CONFIG}, or with {SYSTEM_PROPERTY}FILE in the environment variable KAFKA_OPTS"
            )
        })?;
        let read = |what: &str, path: &str| {
            std::fs::read(path).map_err(|error| format!("the {what} {path} cannot be read: {error}"))
        };
        let text = properties::decode(&read("JAAS file", path)?);
        let module = jaas::entry(&text, ENTRY).map_err(|why| format!("the JAAS file {path}: {why}"))?;
        if module.class != MODULE {
            return Err(format!(
                "the JAAS file {path}: the login module {} cannot be used, {MODULE} can",
                module.class
            ));
        }
        let file = module.options.get("file").filter(|file| !file.is_empty());
        let file = file.ok_or_else(|| format!("the JAAS file {path}: the login module has no option 'file'"))?;
        let text = properties::decode(&read("file of users", file)?);
        let users = properties::parse(&text).map_err(|error| format!("the file of users {file}, {error}"))?;
        if users.is_empty() {
            // For Connect such a file lets everybody in.
            return Err(format!(
                "the file of users {file} is empty: write a line USER=PASSWORD for each, or remove \
                 rest.extension.classes to let everybody in"
            ));
        }
        Ok(Self(Arc::new(users)))
    }

    /// Whether a request with these headers comes from one of the users.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some((user, password)) =
            headers.get(header::AUTHORIZATION).and_then(|value| credentials(value.to_str().ok()?))
        else {
            return false;
        };
        let expected = self.0.get(&user).map(|password| password.as_bytes()).unwrap_or_default();
        // Compared in a time that does not tell how much of it is right.
        let same = expected.len() == password.len() && openssl::memcmp::eq(expected, password.as_bytes());
        same && self.0.contains_key(&user)
    }
}

/// User and password of an `Authorization: Basic ...`.
fn credentials(value: &str) -> Option<(String, String)> {
    let (scheme, digits) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(digits.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str, jaas: &str) -> Result<Users, String> {
        let dir = tempfile::tempdir().unwrap();
        let (file, config) = (dir.path().join("users.properties"), dir.path().join("jaas.conf"));
        std::fs::write(&file, text).unwrap();
        std::fs::write(&config, jaas.replace("FILE", &file.to_string_lossy())).unwrap();
        Users::open(None, &format!("-Xmx1g {SYSTEM_PROPERTY}{} -Da=b", config.display()))
    }

    fn jaas() -> String {
        format!("// users\n{ENTRY} {{\n  {MODULE} required\n  file=\"FILE\";\n}};\n")
    }

    #[test]
    fn admits_users_with_their_passwords_only() {
        let users = users("alice=alice-secret\nbob: pass word \nempty=\n", &jaas()).unwrap();
        let admits = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            users.admits(&headers)
        };
        let basic = |text: &str| admits(&format!("Basic {}", STANDARD.encode(text)));
        assert!(basic("alice:alice-secret") && basic("bob:pass word ") && basic("empty:"));
        assert!(admits(&format!("basic {}", STANDARD.encode("alice:alice-secret"))));
        for wrong in ["alice:wrong", "alice:alice-secret:", "alice:", "alice", "nobody:", ":", "bob:pass word"] {
            assert!(!basic(wrong), "{wrong}");
        }
        for wrong in ["Basic", "Basic ", "Bearer YTpi", "Basic !!", ""] {
            assert!(!admits(wrong), "{wrong}");
        }
        assert!(!users.admits(&HeaderMap::new()));
        assert!(!format!("{users:?}").contains("alice"));
    }

    #[test]
    fn says_what_is_missing_and_no_password() {
        let other = jaas().replace(MODULE, "com.example.LdapLoginModule");
        for (text, jaas, part) in [
            ("", jaas(), "is empty"),
            ("a=planted", "Other { x.Y required; };".to_owned(), "no entry KafkaConnect"),
            ("a=planted", other, "com.example.LdapLoginModule cannot be used"),
            ("a=planted", jaas().replace("file=\"FILE\"", ""), "no option 'file'"),
            ("a=planted", jaas().replace("FILE", "/no/such/users"), "/no/such/users"),
            ("a=planted\\u12", jaas(), "line 1"),
        ] {
            let error = users(text, &jaas).unwrap_err();
            assert!(error.contains(part) && !error.contains("planted"), "{part}: {error}");
        }
        assert!(Users::open(None, "-Xmx1g").unwrap_err().contains(LOGIN_CONFIG));
        assert!(Users::open(Some("/no/such/jaas"), "").unwrap_err().contains("/no/such/jaas"));
    }
}
