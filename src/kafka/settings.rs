//! Java client settings translated into librdkafka's, from one table.
//!
//! What users have in worker files and connectors are the names of Java's clients. Each is a row of
//! [`TABLE`]: a librdkafka name and the form of its value, a setting that has no meaning here, or a refusal
//! with its reason. A key without a row is unknown, never passed on and never silently dropped.
//! Values are not shown in errors when the key can hold a secret.

use std::{collections::BTreeMap, fmt, time::Duration};

use rdkafka::{ClientConfig, ClientContext, config::FromClientConfigAndContext, error::KafkaResult};

use crate::{jaas::LoginModule, tls};

/// A client's job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Writes records.
    Producer,
    /// Reads records.
    Consumer,
    /// Creates, describes and deletes topics.
    Admin,
}

impl Role {
    fn bit(self) -> u8 {
        match self {
            Role::Producer => P,
            Role::Consumer => C,
            Role::Admin => A,
        }
    }
}

const P: u8 = 1;
const C: u8 = 2;
const A: u8 = 4;
const ALL: u8 = P | C | A;

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// No client setting of this name.
    Unknown,
    /// A setting of Java's clients that cannot be honoured.
    Unsupported,
    /// The value is wrong.
    Invalid,
}

/// A key that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key as translated, without prefix.
    pub key: String,
    /// Kind.
    pub kind: ProblemKind,
    /// Text for the user; holds no secret.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// Settings of one client, ready for librdkafka.
#[derive(Clone)]
pub struct Settings {
    role: Role,
    native: BTreeMap<String, String>,
    /// Java's `max.block.ms`: how long a full queue may block a send; `None` is without end.
    pub max_block: Option<Duration>,
    /// Java's `buffer.memory`, bytes, when it was set.
    pub buffer_memory: Option<u64>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.native.iter().map(|(k, v)| (k, if is_secret(k) { "[hidden]" } else { v.as_str() }));
        f.debug_map().entries(shown).finish()
    }
}

/// How a Java setting becomes ours.
enum To {
    /// Same meaning, copied under this name.
    Copy(&'static str),
    /// A whole number under this name, clamped into librdkafka's range.
    Int(&'static str, i64, i64),
    /// `true` or `false`.
    Bool(&'static str),
    /// Has no meaning outside a JVM or is done elsewhere; accepted without effect.
    NoEffect,
    /// Only the given value (Java's default) is possible.
    Only(&'static [&'static str], &'static str),
    /// Cannot be honoured.
    Refused(&'static str),
    /// Needs code: [`special`].
    Special,
}

const JVM: &str = "it names Java code, and there is no JVM here";
const KERBEROS: &str = "Kerberos (GSSAPI) is not built in; use SASL PLAIN, SCRAM or TLS client certificates";
const OAUTH: &str = "OAUTHBEARER is not built in; use SASL PLAIN, SCRAM or TLS client certificates";
const INT_MAX: i64 = i32::MAX as i64;

struct Row(&'static str, u8, To);

const TABLE: &[Row] = &[
    Row("bootstrap.servers", ALL, To::Special),
    Row("client.id", ALL, To::Copy("client.id")),
    Row("client.rack", ALL, To::Copy("client.rack")),
    Row("client.dns.lookup", ALL, To::Copy("client.dns.lookup")),
    Row("metadata.max.age.ms", ALL, To::Int("topic.metadata.refresh.interval.ms", 10, 3_600_000)),
    Row("metadata.max.idle.ms", P, To::NoEffect),
    Row("metadata.recovery.strategy", ALL, To::Copy("metadata.recovery.strategy")),
    Row(
        "metadata.recovery.rebootstrap.trigger.ms",
        ALL,
        To::Int("metadata.recovery.rebootstrap.trigger.ms", 0, INT_MAX),
    ),
    Row("connections.max.idle.ms", ALL, To::Int("connections.max.idle.ms", 0, INT_MAX)),
    Row("reconnect.backoff.ms", ALL, To::Int("reconnect.backoff.ms", 0, 3_600_000)),
    Row("reconnect.backoff.max.ms", ALL, To::Int("reconnect.backoff.max.ms", 0, 3_600_000)),
    Row("retry.backoff.ms", ALL, To::Int("retry.backoff.ms", 1, 300_000)),
    Row("retry.backoff.max.ms", ALL, To::Int("retry.backoff.max.ms", 1, 300_000)),
    Row("request.timeout.ms", ALL, To::Special),
    Row("default.api.timeout.ms", C | A, To::NoEffect),
    Row("socket.connection.setup.timeout.ms", ALL, To::Int("socket.connection.setup.timeout.ms", 1000, INT_MAX)),
    Row("socket.connection.setup.timeout.max.ms", ALL, To::NoEffect),
    Row("send.buffer.bytes", ALL, To::Int("socket.send.buffer.bytes", 0, 100_000_000)),
    Row("receive.buffer.bytes", ALL, To::Int("socket.receive.buffer.bytes", 0, 100_000_000)),
    Row("enable.metrics.push", ALL, To::Bool("enable.metrics.push")),
    Row("metric.reporters", ALL, To::NoEffect),
    Row("metrics.num.samples", ALL, To::NoEffect),
    Row("metrics.recording.level", ALL, To::NoEffect),
    Row("metrics.sample.window.ms", ALL, To::NoEffect),
    Row("auto.include.jmx.reporter", ALL, To::NoEffect),
    Row("interceptor.classes", P | C, To::Only(&[""], JVM)),
    Row("security.protocol", ALL, To::Special),
    Row("security.providers", ALL, To::Refused(JVM)),
    Row("sasl.mechanism", ALL, To::Special),
    Row("sasl.jaas.config", ALL, To::Special),
    Row("sasl.client.callback.handler.class", ALL, To::Refused(JVM)),
    Row("sasl.login.callback.handler.class", ALL, To::Refused(JVM)),
    Row("sasl.login.class", ALL, To::Refused(JVM)),
    Row("sasl.login.connect.timeout.ms", ALL, To::NoEffect),
    Row("sasl.login.read.timeout.ms", ALL, To::NoEffect),
    Row("sasl.login.refresh.buffer.seconds", ALL, To::NoEffect),
    Row("sasl.login.refresh.min.period.seconds", ALL, To::NoEffect),
    Row("sasl.login.refresh.window.factor", ALL, To::NoEffect),
    Row("sasl.login.refresh.window.jitter", ALL, To::NoEffect),
    Row("sasl.login.retry.backoff.ms", ALL, To::NoEffect),
    Row("sasl.login.retry.backoff.max.ms", ALL, To::NoEffect),
    Row("sasl.kerberos.service.name", ALL, To::Refused(KERBEROS)),
    Row("sasl.kerberos.kinit.cmd", ALL, To::NoEffect),
    Row("sasl.kerberos.min.time.before.relogin", ALL, To::NoEffect),
    Row("sasl.kerberos.ticket.renew.jitter", ALL, To::NoEffect),
    Row("sasl.kerberos.ticket.renew.window.factor", ALL, To::NoEffect),
    Row("sasl.oauthbearer.token.endpoint.url", ALL, To::Refused(OAUTH)),
    Row("ssl.truststore.type", ALL, To::Special),
    Row("ssl.truststore.location", ALL, To::Special),
    Row("ssl.truststore.certificates", ALL, To::Special),
    Row("ssl.truststore.password", ALL, To::NoEffect),
    Row("ssl.keystore.type", ALL, To::Special),
    Row("ssl.keystore.location", ALL, To::Special),
    Row("ssl.keystore.password", ALL, To::NoEffect),
    Row("ssl.keystore.key", ALL, To::Special),
    Row("ssl.keystore.certificate.chain", ALL, To::NoEffect),
    Row("ssl.key.password", ALL, To::NoEffect),
    Row("ssl.endpoint.identification.algorithm", ALL, To::Special),
    Row("ssl.cipher.suites", ALL, To::Only(&[""], "Java's names of cipher suites are not OpenSSL's; leave it out")),
    Row("ssl.protocol", ALL, To::Only(&["TLS", "TLSv1.2", "TLSv1.3"], "only TLSv1.2 and TLSv1.3 are spoken")),
    Row("ssl.enabled.protocols", ALL, To::Special),
    Row("ssl.provider", ALL, To::Refused(JVM)),
    Row("ssl.engine.factory.class", ALL, To::Refused(JVM)),
    Row("ssl.keymanager.algorithm", ALL, To::NoEffect),
    Row("ssl.trustmanager.algorithm", ALL, To::NoEffect),
    Row("ssl.secure.random.implementation", ALL, To::NoEffect),
    Row("acks", P, To::Special),
    Row("enable.idempotence", P, To::Bool("enable.idempotence")),
    Row("max.in.flight.requests.per.connection", P, To::Int("max.in.flight.requests.per.connection", 1, 1_000_000)),
    Row("compression.type", P, To::Copy("compression.type")),
    Row("compression.gzip.level", P, To::Special),
    Row("compression.lz4.level", P, To::Special),
    Row("compression.zstd.level", P, To::Special),
    Row("linger.ms", P, To::Int("linger.ms", 0, 900_000)),
    Row("batch.size", P, To::Int("batch.size", 1, INT_MAX)),
    Row("max.request.size", P, To::Int("message.max.bytes", 1000, 1_000_000_000)),
    Row("buffer.memory", P, To::Special),
    Row("delivery.timeout.ms", P, To::Special),
    Row("max.block.ms", P, To::Special),
    Row("retries", P, To::Int("message.send.max.retries", 0, INT_MAX)),
    Row(
        "partitioner.class",
        P,
        To::Only(
            &["", "null", "org.apache.kafka.clients.producer.internals.DefaultPartitioner"],
            "only Java's default partitioning (murmur2 of the key) is possible",
        ),
    ),
    Row("partitioner.ignore.keys", P, To::Special),
    Row("partitioner.adaptive.partitioning.enable", P, To::NoEffect),
    Row("partitioner.availability.timeout.ms", P, To::NoEffect),
    Row("transactional.id", P, To::Refused("transactions are begun by the worker; see exactly.once.source.support")),
    Row("transaction.timeout.ms", P, To::Int("transaction.timeout.ms", 1000, INT_MAX)),
    Row("transaction.two.phase.commit.enable", P, To::Only(&["false"], "two-phase commit is not possible")),
    Row("key.serializer", P, To::Only(SERIALIZERS, "keys are bytes made by the converter")),
    Row("value.serializer", P, To::Only(SERIALIZERS, "values are bytes made by the converter")),
    Row("key.deserializer", C, To::NoEffect),
    Row("value.deserializer", C, To::NoEffect),
    Row("group.id", C, To::Copy("group.id")),
    Row("group.instance.id", C, To::Copy("group.instance.id")),
    Row("group.protocol", C, To::Copy("group.protocol")),
    Row("group.remote.assignor", C, To::Copy("group.remote.assignor")),
    Row("session.timeout.ms", C, To::Int("session.timeout.ms", 1, 3_600_000)),
    Row("heartbeat.interval.ms", C, To::Int("heartbeat.interval.ms", 1, 3_600_000)),
    Row("max.poll.interval.ms", C, To::Int("max.poll.interval.ms", 1, 86_400_000)),
    Row("max.poll.records", C, To::NoEffect),
    Row("enable.auto.commit", C, To::Bool("enable.auto.commit")),
    Row("auto.commit.interval.ms", C, To::Int("auto.commit.interval.ms", 0, 86_400_000)),
    Row("auto.offset.reset", C, To::Special),
    Row("isolation.level", C, To::Copy("isolation.level")),
    Row("fetch.min.bytes", C, To::Int("fetch.min.bytes", 1, 100_000_000)),
    Row("fetch.max.bytes", C, To::Int("fetch.max.bytes", 0, 2_147_483_135)),
    Row("fetch.max.wait.ms", C, To::Int("fetch.wait.max.ms", 0, 300_000)),
    Row("max.partition.fetch.bytes", C, To::Int("max.partition.fetch.bytes", 1, 1_000_000_000)),
    Row("check.crcs", C, To::Bool("check.crcs")),
    Row("allow.auto.create.topics", C, To::Bool("allow.auto.create.topics")),
    Row("exclude.internal.topics", C, To::NoEffect),
    Row("partition.assignment.strategy", C, To::NoEffect),
];

const SERIALIZERS: &[&str] = &["", "org.apache.kafka.common.serialization.ByteArraySerializer"];

/// Whether `key` is a setting of a Java client of this role.
pub fn is_client_key(role: Role, key: &str) -> bool {
    row(role, key).is_some()
}

/// Whether a setting's value must never be shown.
pub fn is_secret(key: &str) -> bool {
    key.contains("password")
        || key.contains("jaas")
        || key.contains("secret")
        || key.contains("key.pem")
        || key == "ssl.keystore.key"
}

fn row(role: Role, key: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.0 == key && row.1 & role.bit() != 0)
}

impl Settings {
    /// Translates the merged Java settings of one client. Gives all problems, not only the first.
    ///
    /// # Errors
    /// The keys that cannot be used.
    pub fn translate(role: Role, java: &BTreeMap<String, String>) -> Result<Self, Vec<Problem>> {
        let mut settings = Self { role, native: BTreeMap::new(), max_block: None, buffer_memory: None };
        let mut problems = Vec::new();
        settings.base();
        for (key, value) in java {
            if let Err((kind, text)) = settings.apply(java, key, value.trim()) {
                problems.push(Problem { key: key.clone(), kind, text });
            }
        }
        if let Err((key, text)) = settings.agree(java) {
            problems.push(Problem { key: key.into(), kind: ProblemKind::Invalid, text });
        }
        if problems.is_empty()
            && let Err(e) = settings.to_native().create_native_config()
        {
            problems.push(native_problem(&e));
        }
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// What Connect's producers are by default, with idempotence added: it costs nothing and keeps the order
    /// with five requests in flight, where Connect's own choice is one request and none.
    fn base(&mut self) {
        let base: &[(&str, &str)] = match self.role {
            Role::Producer => &[
                ("acks", "all"),
                ("enable.idempotence", "true"),
                ("max.in.flight.requests.per.connection", "5"),
                ("partitioner", "murmur2_random"),
                // 0 is without end, Connect's Integer.MAX_VALUE milliseconds: records wait for the broker.
                ("message.timeout.ms", "0"),
                // Java's max.request.size.
                ("message.max.bytes", "1048576"),
                ("batch.num.messages", "100000"),
            ],
            // An explicit value: otherwise a producer-like client creates the topics it asks about.
            Role::Admin => &[("allow.auto.create.topics", "false")],
            Role::Consumer => &[("enable.auto.commit", "false"), ("enable.partition.eof", "false")],
        };
        for (key, value) in base {
            self.native.insert((*key).into(), (*value).into());
        }
    }

    fn apply(&mut self, java: &BTreeMap<String, String>, key: &str, value: &str) -> Result<(), (ProblemKind, String)> {
        let Some(row) = row(self.role, key) else {
            let text = if row_any(key) {
                format!("not a setting of a {} client", self.role)
            } else {
                "unknown Kafka client setting; remove it or correct its name".to_owned()
            };
            return Err((ProblemKind::Unknown, text));
        };
        let invalid = |text: String| (ProblemKind::Invalid, text);
        match &row.2 {
            To::Copy(name) => self.put(name, value),
            To::Int(name, min, max) => {
                let number = number(value).map_err(invalid)?;
                self.put(name, &number.clamp(*min, *max).to_string());
            }
            To::Bool(name) => match value.to_ascii_lowercase().as_str() {
                flag @ ("true" | "false") => self.put(name, flag),
                _ => return Err(invalid(format!("expected true or false, got '{value}'"))),
            },
            To::NoEffect => {}
            To::Only(values, why) if values.contains(&value) => {
                tracing::debug!(key, why, "setting has its default meaning");
            }
            To::Only(_, why) | To::Refused(why) => {
                return Err((ProblemKind::Unsupported, format!("cannot be honoured: {why}")));
            }
            To::Special => self.special(java, key, value)?,
        }
        Ok(())
    }

    fn special(
        &mut self,
        java: &BTreeMap<String, String>,
        key: &str,
        value: &str,
    ) -> Result<(), (ProblemKind, String)> {
        let invalid = |text: String| (ProblemKind::Invalid, text);
        let unsupported = |text: &str| (ProblemKind::Unsupported, format!("cannot be honoured: {text}"));
        match key {
            "bootstrap.servers" => {
                // Java takes `PROTOCOL://host:port` too; librdkafka uses the same form.
                if value.split(',').all(|server| server.trim().is_empty()) {
                    return Err(invalid("no server is given; expected host:port[,host:port...]".into()));
                }
                self.put(key, value);
            }
            "request.timeout.ms" => {
                let ms = number(value).map_err(invalid)?;
                self.put("socket.timeout.ms", &ms.clamp(10, 300_000).to_string());
                if self.role == Role::Producer {
                    self.put("request.timeout.ms", &ms.clamp(1, 900_000).to_string());
                }
            }
            "security.protocol" => match value.to_ascii_uppercase().as_str() {
                name @ ("PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL") => {
                    self.put(key, &name.to_ascii_lowercase())
                }
                _ => return Err(invalid(format!("'{value}' is not one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"))),
            },
            "sasl.mechanism" => match value {
                "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => self.put("sasl.mechanisms", value),
                // Java's default value, without meaning unless the protocol is SASL (checked in `agree`).
                "GSSAPI" if !uses_sasl(java) => {}
                "GSSAPI" => return Err(unsupported(KERBEROS)),
                "OAUTHBEARER" => return Err(unsupported(OAUTH)),
                _ => return Err(invalid(format!("'{value}' is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"))),
            },
            "sasl.jaas.config" => self.jaas(value)?,
            "ssl.truststore.type" | "ssl.keystore.type" => match value.to_ascii_uppercase().as_str() {
                "PEM" | "PKCS12" | "JKS" => {}
                _ => return Err(unsupported("only the store types PEM, PKCS12 and JKS are known")),
            },
            // Passwords and the certificates of a key are taken together with what they belong to.
            "ssl.truststore.location" => {
                self.put("ssl.ca.pem", &tls::authorities(java, value).map_err(invalid)?);
            }
            "ssl.truststore.certificates" => {
                self.put("ssl.ca.pem", &tls::authorities_of_text(value).map_err(invalid)?);
            }
            "ssl.keystore.location" => self.identity(tls::identity(java, value).map_err(invalid)?),
            "ssl.keystore.key" => self.identity(tls::identity_of_texts(java, value).map_err(invalid)?),
            "ssl.endpoint.identification.algorithm" => match value.to_ascii_lowercase().as_str() {
                "" | "none" => self.put(key, "none"),
                "https" => self.put(key, "https"),
                _ => return Err(invalid(format!("'{value}' is neither https nor empty"))),
            },
            "ssl.enabled.protocols" => {
                let has = |name: &str| value.split(',').any(|p| p.trim() == name);
                if !(has("TLSv1.2") && has("TLSv1.3")) {
                    return Err(unsupported("TLSv1.2 and TLSv1.3 are both offered, the list must name both"));
                }
            }
            "acks" => match value {
                "all" | "-1" => self.put("acks", "all"),
                "0" | "1" => {
                    self.put("acks", value);
                    self.put("enable.idempotence", "false");
                }
                _ => return Err(invalid(format!("'{value}' is not one of all, -1, 0, 1"))),
            },
            "compression.gzip.level" | "compression.lz4.level" | "compression.zstd.level" => {
                let level = number(value).map_err(invalid)?;
                let codec = java.get("compression.type").map(|c| c.trim());
                if key.split('.').nth(1) == codec {
                    self.put("compression.level", &level.clamp(-1, 12).to_string());
                }
            }
            "buffer.memory" => self.buffer_memory = Some(number(value).map_err(invalid)?.max(0) as u64),
            "delivery.timeout.ms" => {
                let ms = number(value).map_err(invalid)?;
                self.put("message.timeout.ms", &(if ms >= INT_MAX { 0 } else { ms.max(1) }).to_string());
            }
            "max.block.ms" => {
                let ms = number(value).map_err(invalid)?;
                // A year is "without end" for a queue; Connect's default is Long.MAX_VALUE.
                self.max_block = u64::try_from(ms).ok().filter(|ms| *ms < 31_536_000_000).map(Duration::from_millis);
            }
            "partitioner.ignore.keys" => match value.to_ascii_lowercase().as_str() {
                "false" => {}
                "true" => self.put("partitioner", "random"),
                _ => return Err(invalid(format!("expected true or false, got '{value}'"))),
            },
            "auto.offset.reset" => match value {
                "earliest" | "latest" => self.put(key, value),
                "none" => self.put(key, "error"),
                _ => return Err(invalid(format!("'{value}' is not one of earliest, latest, none"))),
            },
            // Every `Special` row has its arm above; a test walks the table.
            _ => return Err((ProblemKind::Unsupported, "cannot be honoured".into())),
        }
        Ok(())
    }

    fn identity(&mut self, identity: tls::ClientIdentity) {
        self.put("ssl.certificate.pem", &identity.certificates);
        self.put("ssl.key.pem", &identity.key);
    }

    fn jaas(&mut self, value: &str) -> Result<(), (ProblemKind, String)> {
        let module = LoginModule::parse(value).map_err(|e| (ProblemKind::Invalid, e))?;
        match module.short_class() {
            "PlainLoginModule" | "ScramLoginModule" => {}
            "Krb5LoginModule" => return Err((ProblemKind::Unsupported, format!("cannot be honoured: {KERBEROS}"))),
            "OAuthBearerLoginModule" => return Err((ProblemKind::Unsupported, format!("cannot be honoured: {OAUTH}"))),
            class => {
                let text =
                    format!("the login module {class} cannot be used; PlainLoginModule and ScramLoginModule can");
                return Err((ProblemKind::Unsupported, text));
            }
        }
        for (option, name) in [("username", "sasl.username"), ("password", "sasl.password")] {
            match module.options.get(option) {
                Some(value) => self.put(name, value),
                None => return Err((ProblemKind::Invalid, format!("the login module has no option '{option}'"))),
            }
        }
        Ok(())
    }

    /// Rules across keys.
    fn agree(&mut self, java: &BTreeMap<String, String>) -> Result<(), (&'static str, String)> {
        if uses_sasl(java) {
            if !self.native.contains_key("sasl.mechanisms") && !java.contains_key("sasl.mechanism") {
                return Err(("sasl.mechanism", format!("is missing, and Java's default cannot be used: {KERBEROS}")));
            }
            if !java.contains_key("sasl.jaas.config") {
                return Err((
                    "sasl.jaas.config",
                    "is missing: with a SASL security.protocol it must name the login module, user and password".into(),
                ));
            }
        }
        if self.role == Role::Producer && self.get("enable.idempotence") == Some("true") {
            if self.get("acks") != Some("all") {
                return Err(("acks", "must be all when enable.idempotence is true".into()));
            }
            let in_flight = self.get("max.in.flight.requests.per.connection").and_then(|n| n.parse::<i64>().ok());
            if in_flight.is_some_and(|n| n > 5) {
                let key = "max.in.flight.requests.per.connection";
                return Err((
                    key,
                    "must be at most 5 with an idempotent producer; set enable.idempotence=false for more".into(),
                ));
            }
            if self.get("message.send.max.retries") == Some("0") {
                return Err((
                    "retries",
                    "must not be 0 with an idempotent producer; set enable.idempotence=false for that".into(),
                ));
            }
        } else if self.role == Role::Producer && !java.contains_key("max.in.flight.requests.per.connection") {
            // Without idempotence a retry may overtake; Connect's base avoids it the same way.
            self.put("max.in.flight.requests.per.connection", "1");
        }
        Ok(())
    }

    /// Sets a librdkafka setting.
    pub fn put(&mut self, native: &str, value: &str) {
        self.native.insert(native.to_owned(), value.to_owned());
    }

    /// A librdkafka setting.
    pub fn get(&self, native: &str) -> Option<&str> {
        self.native.get(native).map(String::as_str)
    }

    /// The client's job.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Bounds the producer's queue to `bytes`, or to `buffer.memory` when that is less. A queued record costs
    /// about 320 bytes beside its payload (librdkafka's message and its list of headers), which the byte
    /// bound of librdkafka does not count: the number of records is bounded for it.
    pub fn bound_queue(&mut self, bytes: u64) {
        let bytes = self.buffer_memory.unwrap_or(bytes).min(bytes).max(1024 * 1024);
        self.put("queue.buffering.max.kbytes", &(bytes / 1024).clamp(1, INT_MAX as u64).to_string());
        self.put("queue.buffering.max.messages", &(bytes / 320).clamp(1000, INT_MAX as u64).to_string());
    }

    /// Bounds a consumer's fetched and not yet read records to about `bytes`.
    pub fn bound_fetch(&mut self, bytes: u64) {
        let kbytes = (bytes / 1024).clamp(64, 2_097_151);
        self.put("queued.max.messages.kbytes", &kbytes.to_string());
        self.put("queued.min.messages", "1000");
        let fetch = (kbytes * 1024 / 2).clamp(64 * 1024, 50 * 1024 * 1024);
        self.native.entry("fetch.max.bytes".into()).or_insert_with(|| fetch.to_string());
        // librdkafka refuses a fetch.max.bytes below message.max.bytes.
        self.native.entry("message.max.bytes".into()).or_insert_with(|| fetch.min(1_000_000).to_string());
        self.native.entry("max.partition.fetch.bytes".into()).or_insert_with(|| fetch.min(1024 * 1024).to_string());
    }

    /// A client with these settings.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn client<C: ClientContext, T: FromClientConfigAndContext<C>>(&self, context: C) -> KafkaResult<T> {
        let made = self.to_native().create_with_context(context);
        // librdkafka reads certificates until there is no more, and leaves that as an error to this thread.
        ::tls::forget_errors();
        made
    }

    /// The settings as librdkafka's configuration.
    pub fn to_native(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in &self.native {
            config.set(key, value);
        }
        // Whatever is lost is said in errors and reports; librdkafka's own lines go to the log at their level.
        config.set_log_level(rdkafka::config::RDKafkaLogLevel::Info);
        config
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Producer => "producer",
            Role::Consumer => "consumer",
            Role::Admin => "admin",
        })
    }
}

fn row_any(key: &str) -> bool {
    TABLE.iter().any(|row| row.0 == key)
}

fn uses_sasl(java: &BTreeMap<String, String>) -> bool {
    java.get("security.protocol").is_some_and(|p| p.trim().to_ascii_uppercase().starts_with("SASL"))
}

fn number(value: &str) -> Result<i64, String> {
    value.parse::<i64>().map_err(|_| format!("expected a whole number, got '{value}'"))
}

/// librdkafka's refusal of a setting, under its own name; the value is left out.
fn native_problem(error: &rdkafka::error::KafkaError) -> Problem {
    match error {
        rdkafka::error::KafkaError::ClientConfig(_, text, key, value) => {
            // librdkafka repeats the value in its text.
            let text =
                if is_secret(key) { "the value is not accepted".into() } else { format!("{text} (value '{value}')") };
            Problem { key: key.clone(), kind: ProblemKind::Invalid, text }
        }
        other => Problem { key: "configuration".into(), kind: ProblemKind::Invalid, text: other.to_string() },
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
