//! Settings: a TOML file, overridden by environment variables, with secrets from files.
//!
//! `AFTERIMAGE_<PIPELINE>__<SECTION>__<KEY>` sets `section.key`; a value that reads as TOML (a number, a boolean, an
//! array) is taken as such where the setting is not a text. Unknown settings are refused by name, so that a
//! misspelt one is not silently the default.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use rdkafka::ClientConfig;
use serde::{Deserialize, de::DeserializeOwned};

use super::Error;

/// A text that is never printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the client that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The secret itself, or what the file beside it holds (without a line end).
pub(crate) fn secret(name: &str, value: &Secret, file: Option<&PathBuf>) -> Result<Option<Secret>, Error> {
    match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Error::Config(format!("{name}_file: cannot read {}: {e}", path.display())))?;
            Ok(Some(Secret(text.trim_end_matches(['\r', '\n']).to_owned())))
        }
        None if value.0.is_empty() => Ok(None),
        None => Ok(Some(value.clone())),
    }
}

/// Reads settings of type `T` for `pipeline` from the text of a file and from environment variables.
///
/// # Errors
/// [`Error::Config`] names the line or the variable that is wrong.
pub fn load<T: DeserializeOwned>(
    pipeline: &str,
    file: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T, Error> {
    let mut table: toml::Table = file.parse().map_err(|e: toml::de::Error| {
        let before = e.span().and_then(|span| file.get(..span.start)).unwrap_or_default();
        Error::Config(format!("line {}: {}", before.matches('\n').count() + 1, e.message()))
    })?;
    let prefix = format!("AFTERIMAGE_{}__", pipeline.to_uppercase());
    let mut overrides: Vec<(String, String)> =
        environment.filter(|(name, _)| name.to_uppercase().starts_with(&prefix)).collect();
    overrides.sort();
    for (name, text) in &overrides {
        let path: Vec<String> =
            name.get(prefix.len()..).unwrap_or_default().to_lowercase().split("__").map(str::to_owned).collect();
        let typed = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
        let value = match typed {
            // A text that looks like a number (a password of digits) stays a text where the file has one; the
            // deserializer below is asked first with the typed value.
            Some(value @ (toml::Value::Integer(_) | toml::Value::Boolean(_) | toml::Value::Float(_))) => {
                let mut tried = table.clone();
                set(&mut tried, &path, value.clone(), name)?;
                if T::deserialize(tried).is_ok() { value } else { toml::Value::String(text.clone()) }
            }
            Some(value @ toml::Value::Array(_)) => value,
            Some(toml::Value::String(inner)) => toml::Value::String(inner),
            _ => toml::Value::String(text.clone()),
        };
        set(&mut table, &path, value, name)?;
    }
    // The path names the setting; toml's own rendering would quote the line, which may hold a secret.
    serde_path_to_error::deserialize(table).map_err(|e| {
        let (path, message) = (e.path().to_string(), e.inner().message());
        Error::Config(if path == "." { message.to_owned() } else { format!("{path}: {message}") })
    })
}

fn set(table: &mut toml::Table, path: &[String], value: toml::Value, name: &str) -> Result<(), Error> {
    match path {
        [] => Ok(()),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let entry = table.entry(first.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            match entry {
                toml::Value::Table(inner) => set(inner, rest, value, name),
                _ => Err(Error::Config(format!("{name}: {first} is not a section"))),
            }
        }
    }
}

/// How to reach Kafka.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// Comma-separated `host:port`.
    pub bootstrap_servers: String,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: String,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: String,
    /// User of SASL.
    pub sasl_username: String,
    /// Password of SASL.
    pub sasl_password: Secret,
    /// File with the password of SASL.
    pub sasl_password_file: Option<PathBuf>,
    /// PEM file with the certificate authorities to trust; empty for the system's.
    pub ssl_ca_file: Option<PathBuf>,
    /// PEM file with this client's certificate.
    pub ssl_certificate_file: Option<PathBuf>,
    /// PEM file with this client's key.
    pub ssl_key_file: Option<PathBuf>,
    /// Password of that key.
    pub ssl_key_password: Secret,
    /// File with the password of that key.
    pub ssl_key_password_file: Option<PathBuf>,
    /// Whether the broker's certificate must name the host connected to.
    pub ssl_verify_hostname: bool,
    /// Any further client setting, under librdkafka's name.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            bootstrap_servers: "localhost:9092".into(),
            security_protocol: "plaintext".into(),
            sasl_mechanism: "PLAIN".into(),
            sasl_username: String::new(),
            sasl_password: Secret::default(),
            sasl_password_file: None,
            ssl_ca_file: None,
            ssl_certificate_file: None,
            ssl_key_file: None,
            ssl_key_password: Secret::default(),
            ssl_key_password_file: None,
            ssl_verify_hostname: true,
            properties: BTreeMap::new(),
        }
    }
}

impl KafkaSettings {
    /// The settings every client starts from.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown protocol or an unreadable secret.
    pub fn client(&self) -> Result<ClientConfig, Error> {
        let protocol = self.security_protocol.to_lowercase();
        if !matches!(protocol.as_str(), "plaintext" | "ssl" | "sasl_plaintext" | "sasl_ssl") {
            return Err(Error::Config(format!(
                "kafka.security_protocol: {} is none of plaintext, ssl, sasl_plaintext, sasl_ssl",
                self.security_protocol
            )));
        }
        if self.bootstrap_servers.trim().is_empty() {
            return Err(Error::Config("kafka.bootstrap_servers: name at least one host:port".into()));
        }
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "afterimage-pipeline")
            .set("security.protocol", &protocol)
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("topic.metadata.propagation.max.ms", "3000")
            .set("reconnect.backoff.max.ms", "2000");
        if protocol.starts_with("sasl") {
            client.set("sasl.mechanism", &self.sasl_mechanism).set("sasl.username", &self.sasl_username);
            if let Some(password) =
                secret("kafka.sasl_password", &self.sasl_password, self.sasl_password_file.as_ref())?
            {
                client.set("sasl.password", password.reveal());
            }
        }
        if protocol.ends_with("ssl") {
            for (key, file) in [
                ("ssl.ca.location", &self.ssl_ca_file),
                ("ssl.certificate.location", &self.ssl_certificate_file),
                ("ssl.key.location", &self.ssl_key_file),
            ] {
                if let Some(path) = file {
                    client.set(key, path.to_string_lossy());
                }
            }
            if let Some(password) =
                secret("kafka.ssl_key_password", &self.ssl_key_password, self.ssl_key_password_file.as_ref())?
            {
                client.set("ssl.key.password", password.reveal());
            }
            if !self.ssl_verify_hostname {
                client.set("ssl.endpoint.identification.algorithm", "none");
            }
        }
        for (key, value) in &self.properties {
            client.set(key, value);
        }
        // Names and values that the client does not take are found here, and not by the first worker.
        client.create_native_config()?;
        Ok(client)
    }
}

/// How to reach Redis.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://host:port/db` or `rediss://` for TLS; the path is the database of the keys people read.
    pub url: String,
    /// ACL user, if the URL has none.
    pub username: String,
    /// Password, if the URL has none.
    pub password: Secret,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Database of the pipeline's own bookkeeping; must differ from the URL's.
    pub bookkeeping_db: i64,
    /// How long a connection attempt may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub response_timeout_ms: u64,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: "redis://localhost:6379/0".into(),
            username: String::new(),
            password: Secret::default(),
            password_file: None,
            bookkeeping_db: 1,
            connect_timeout_ms: 5_000,
            response_timeout_ms: 30_000,
        }
    }
}

impl RedisSettings {
    /// What a client connects with.
    ///
    /// # Errors
    /// [`Error::Config`] for a URL that is none, or a bookkeeping database that is the data's.
    pub fn connection(&self) -> Result<redis::ConnectionInfo, Error> {
        use redis::IntoConnectionInfo;
        // The URL may hold a password: it is not repeated.
        let mut info = self
            .url
            .as_str()
            .into_connection_info()
            .map_err(|_| Error::Config("redis.url: not a redis:// or rediss:// URL".into()))?;
        if !self.username.is_empty() {
            info.redis.username = Some(self.username.clone());
        }
        if let Some(password) = secret("redis.password", &self.password, self.password_file.as_ref())? {
            info.redis.password = Some(password.reveal().to_owned());
        }
        if info.redis.db == self.bookkeeping_db {
            return Err(Error::Config(format!(
                "redis.bookkeeping_db: {} is also the database of redis.url; choose another",
                self.bookkeeping_db
            )));
        }
        Ok(info)
    }

    /// Where Redis is, without credentials, for messages.
    pub fn place(&self) -> String {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.rsplit_once('@').map_or(rest, |(_, host)| host).to_owned()
    }
}

/// How to reach MySQL (sample data and `test` only: the pipeline itself reads topics).
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MysqlSettings {
    /// `mysql://user:password@host:port/database`.
    pub url: Secret,
    /// Password, if the URL has none.
    pub password: Secret,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Whether to insist on TLS.
    pub tls: bool,
    /// Whether the server's certificate must be trusted and name the host.
    pub tls_verify: bool,
    /// PEM file with the certificate authorities to trust.
    pub tls_ca_file: Option<PathBuf>,
}

impl Default for MysqlSettings {
    fn default() -> Self {
        Self {
            url: Secret("mysql://admin:admin@localhost:3306/project_db".into()),
            password: Secret::default(),
            password_file: None,
            tls: false,
            tls_verify: true,
            tls_ca_file: None,
        }
    }
}

impl MysqlSettings {
    /// What a client connects with, without choosing the database, and the database's name.
    ///
    /// # Errors
    /// [`Error::Config`] for a URL that is none or names no database.
    pub fn options(&self) -> Result<(mysql_async::Opts, String), Error> {
        let refused = || Error::Config("mysql.url: expected mysql://user:password@host:port/database".into());
        let opts = mysql_async::Opts::from_url(self.url.reveal()).map_err(|_| refused())?;
        let database = opts.db_name().filter(|name| !name.is_empty()).ok_or_else(refused)?.to_owned();
        let mut builder = mysql_async::OptsBuilder::from_opts(opts).db_name(None::<String>);
        if let Some(password) = secret("mysql.password", &self.password, self.password_file.as_ref())? {
            builder = builder.pass(Some(password.reveal()));
        }
        if self.tls {
            let mut tls = mysql_async::SslOpts::default();
            if let Some(ca) = &self.tls_ca_file {
                tls = tls.with_root_certs(vec![ca.clone().into()]);
            }
            if !self.tls_verify {
                tls = tls.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
            }
            builder = builder.ssl_opts(tls);
        }
        Ok((builder.into(), database))
    }
}

/// The daemon that captures the tables.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectSettings {
    /// Its REST address; empty when there is none to ask.
    pub url: String,
    /// Whether to create the connector when it is absent.
    pub create: bool,
    /// A connector file (`{"name":..,"config":{..}}`) to create it from instead of the built-in one.
    pub template: Option<PathBuf>,
}

impl Default for ConnectSettings {
    fn default() -> Self {
        Self { url: "http://localhost:8083".into(), create: false, template: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[derive(Default)]
    struct Sample {
        redis: RedisSettings,
        kafka: KafkaSettings,
    }

    fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let sample: Sample = load(
            "orders",
            "[redis]\nurl = 'redis://a/0'\nbookkeeping_db = 3\n",
            env(&[
                ("AFTERIMAGE_ORDERS__REDIS__URL", "redis://b/0"),
                ("AFTERIMAGE_ORDERS__REDIS__BOOKKEEPING_DB", "7"),
                ("AFTERIMAGE_KPI__REDIS__URL", "redis://c/0"),
            ]),
        )
        .expect("loads");
        assert_eq!((sample.redis.url.as_str(), sample.redis.bookkeeping_db), ("redis://b/0", 7));
    }

    #[test]
    fn a_password_of_digits_stays_a_text() {
        let sample: Sample =
            load("orders", "", env(&[("AFTERIMAGE_ORDERS__REDIS__PASSWORD", "12345")])).expect("loads");
        assert_eq!(sample.redis.password.reveal(), "12345");
        assert!(!format!("{sample:?}").contains("12345"));
    }

    #[test]
    fn a_misspelt_setting_is_refused_by_name() {
        let error = load::<Sample>("orders", "[redis]\nurll = 'x'\n", env(&[])).expect_err("refused");
        assert!(error.to_string().contains("urll"), "{error}");
    }

    #[test]
    fn one_database_for_data_and_bookkeeping_is_refused() {
        let settings = RedisSettings { url: "redis://h:1/4".into(), bookkeeping_db: 4, ..Default::default() };
        assert!(settings.connection().expect_err("refused").to_string().contains("bookkeeping_db"));
    }

    #[test]
    fn credentials_are_not_part_of_the_place() {
        let settings = RedisSettings { url: "redis://u:secret@h:6379/0".into(), ..Default::default() };
        assert_eq!(settings.place(), "h:6379/0");
    }

    #[test]
    fn the_protocol_is_checked() {
        let sample: Sample = load("orders", "[kafka]\nsecurity_protocol = 'tls'", env(&[])).expect("loads");
        assert!(sample.kafka.client().expect_err("refused").to_string().contains("sasl_ssl"));
    }
}
