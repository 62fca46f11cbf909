//! The worker's configuration: from the text of a worker file to typed settings.
//!
//! Everything that cannot be honoured is refused here, all problems at once, before anything is opened.
//! Holds secrets (client settings), and therefore never prints itself.

mod https;
mod keys;
mod listener;
mod policy;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

pub use https::ServerTls;
pub use listener::Listener;

use crate::{
    access::Users,
    converters::{self, Converter, Known, Role},
    error::StartError,
    headers::{self, HeaderRule},
    properties,
    providers::Providers,
};

/// One of the three internal topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalTopic {
    /// Name.
    pub name: String,
    /// Partitions at creation; -1 is the broker's default.
    pub partitions: i32,
    /// Replication factor at creation; -1 is the broker's default.
    pub replication: i32,
    /// Further topic settings at creation.
    pub settings: BTreeMap<String, String>,
}

/// `connector.client.config.override.policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverridePolicy {
    /// Every key.
    All,
    /// No key.
    None,
    /// Security keys only.
    Principal,
    /// The keys of the list.
    Allowlist(Vec<String>),
}

impl OverridePolicy {
    /// Name as in answers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::All => "All",
            Self::None => "None",
            Self::Principal => "Principal",
            Self::Allowlist(_) => "Allowlist",
        }
    }

    /// Whether a connector may set the client setting `key` (without prefix).
    pub fn allows(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Principal => ["sasl.jaas.config", "sasl.mechanism", "security.protocol"].contains(&key),
            Self::Allowlist(keys) => keys.iter().any(|allowed| allowed == key),
        }
    }
}

/// Where `/admin` is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminPaths {
    /// On the main listeners.
    Main,
    /// Nowhere.
    Disabled,
    /// On listeners of their own.
    Own(Vec<Listener>),
}

/// CORS of the REST API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    /// `access.control.allow.origin`; empty is off.
    pub origins: Vec<String>,
    /// `access.control.allow.methods`; empty is `GET,POST,HEAD`.
    pub methods: String,
}

/// A worker's settings.
#[derive(Clone)]
pub struct WorkerConfig {
    /// All keys with placeholders resolved; client settings are taken from here by prefix. Holds secrets.
    pub raw: BTreeMap<String, String>,
    /// `bootstrap.servers`.
    pub bootstrap_servers: String,
    /// `offset.storage.file.filename`, in standalone mode: where it is set and `group.id` is not.
    pub offset_file: Option<PathBuf>,
    /// `group.id`; empty in standalone mode, as are the names of the topics.
    pub group_id: String,
    /// `client.id`, empty when not set.
    pub client_id: String,
    /// `config.storage.*`.
    pub config_topic: InternalTopic,
    /// `offset.storage.*`.
    pub offset_topic: InternalTopic,
    /// `status.storage.*`.
    pub status_topic: InternalTopic,
    /// Converter of keys.
    pub key_converter: Converter,
    /// Converter of values.
    pub value_converter: Converter,
    /// Converter of headers.
    pub header_converter: Converter,
    /// `task.shutdown.graceful.timeout.ms`.
    pub task_shutdown_timeout: Duration,
    /// `offset.flush.interval.ms`.
    pub flush_interval: Duration,
    /// `offset.flush.timeout.ms`.
    pub flush_timeout: Duration,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// Which client settings connectors may set.
    pub override_policy: OverridePolicy,
    /// `topic.creation.enable`.
    pub topic_creation: bool,
    /// `topic.tracking.enable`.
    pub topic_tracking: bool,
    /// `topic.tracking.allow.reset`.
    pub topic_tracking_reset: bool,
    /// `listeners`.
    pub listeners: Vec<Listener>,
    /// `admin.listeners` of Connect.
    pub admin_paths: AdminPaths,
    /// `rest.advertised.host.name`.
    pub advertised_host: Option<String>,
    /// `rest.advertised.port`.
    pub advertised_port: Option<u16>,
    /// `rest.advertised.listener`: whether it is https.
    pub advertised_https: Option<bool>,
    /// CORS.
    pub cors: Cors,
    /// Config providers.
    pub providers: Providers,
    /// `afterimage.state.dir`; the daemon's folder is `connect` below it.
    pub state_dir: PathBuf,
    /// `afterimage.memory.limit` in bytes.
    pub memory_limit: usize,
    /// `afterimage.admin.listeners`.
    pub admin_listeners: Vec<Listener>,
    /// TLS of `listeners`, where one is https.
    pub listeners_tls: Option<ServerTls>,
    /// TLS of `admin.listeners`, where one is https.
    pub admin_paths_tls: Option<ServerTls>,
    /// TLS of `afterimage.admin.listeners`, where one is https.
    pub admin_listeners_tls: Option<ServerTls>,
    /// Who may use the REST API; everybody when there is none.
    pub users: Option<Users>,
    /// Whether the admin port asks for the same users (`afterimage.admin.authentication=basic`).
    pub admin_authentication: bool,
    /// `response.http.headers.config`.
    pub response_headers: Vec<HeaderRule>,
    /// `afterimage.encoder.threads`.
    pub encoder_threads: usize,
    /// `afterimage.shutdown.timeout.ms`: how long a task may drain when it is stopped.
    pub shutdown_timeout: Duration,
}

impl fmt::Debug for WorkerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerConfig").field("group_id", &self.group_id).finish_non_exhaustive()
    }
}

/// A worker file read: the settings and what is to be said about keys without effect.
#[derive(Debug, Clone)]
pub struct ReadWorker {
    /// Settings.
    pub config: WorkerConfig,
    /// One line per key without effect.
    pub warnings: Vec<String>,
}

/// Collects problems while settings are read.
struct Reader {
    map: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Reader {
    fn get(&self, key: &str) -> Option<&str> {
        self.map.get(key).map(|value| value.trim())
    }

    fn required(&mut self, key: &str) -> String {
        match self.get(key).filter(|value| !value.is_empty()).map(str::to_owned) {
            Some(value) => value,
            None => {
                self.problems.push(format!("Missing required configuration \"{key}\" which has no default value."));
                String::new()
            }
        }
    }

    fn number<T: std::str::FromStr + PartialOrd + fmt::Display>(
        &mut self,
        key: &str,
        default: T,
        least: T,
        ty: &str,
    ) -> T {
        let Some(text) = self.get(key).map(str::to_owned) else { return default };
        let why = match text.parse::<T>() {
            Ok(value) if value >= least => return value,
            Ok(_) => format!("Value must be at least {least}"),
            Err(_) => format!("Not a number of type {ty}"),
        };
        self.problems.push(format!("Invalid value {text} for configuration {key}: {why}"));
        default
    }

    fn millis(&mut self, key: &str, default: u64) -> Duration {
        Duration::from_millis(self.number(key, default, 0, "LONG"))
    }

    fn boolean(&mut self, key: &str, default: bool) -> bool {
        let Some(text) = self.get(key).map(str::to_owned) else { return default };
        converters::parse_bool(&text).unwrap_or_else(|| {
            let why = "Expected value to be either true or false";
            self.problems.push(format!("Invalid value {text} for configuration {key}: {why}"));
            default
        })
    }

    fn listeners(&mut self, key: &str, default: &str) -> Vec<Listener> {
        let text = self.get(key).unwrap_or(default).to_owned();
        Listener::parse_list(&text).unwrap_or_else(|error| {
            self.problems.push(format!("{key}: {error}"));
            Vec::new()
        })
    }

    /// TLS for listeners, where one of them is https.
    fn tls(&mut self, listeners: &[Listener], prefix: &str) -> Option<ServerTls> {
        if !listeners.iter().any(|listener| listener.https) {
            return None;
        }
        ServerTls::read(&self.map, prefix).map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn topic(&mut self, kind: &str, partitions: i32) -> InternalTopic {
        let prefix = format!("{kind}.storage.");
        let name = self.required(&format!("{prefix}topic"));
        let partitions = match kind {
            "config" => 1,
            _ => self.positive_or_default(&format!("{prefix}partitions"), partitions),
        };
        let replication = self.positive_or_default(&format!("{prefix}replication.factor"), 3);
        let mut settings = BTreeMap::new();
        for (key, value) in &self.map {
            match key.strip_prefix(&prefix) {
                None | Some("topic" | "partitions" | "replication.factor" | "file.filename") => {}
                Some("cleanup.policy") => {
                    tracing::warn!("{key} is ignored: the topic's cleanup policy is always compact");
                }
                Some(setting) => {
                    settings.insert(setting.to_owned(), value.trim().to_owned());
                }
            }
        }
        InternalTopic { name, partitions, replication, settings }
    }

    fn positive_or_default(&mut self, key: &str, default: i32) -> i32 {
        let value = self.number(key, default, -1, "INT");
        if value == 0 {
            let why = "Value must be -1 (the broker's default) or at least 1";
            self.problems.push(format!("Invalid value 0 for configuration {key}: {why}"));
        }
        value
    }

    fn converter(&mut self, role: Role) -> Converter {
        let default = Converter::Simple;
        let name = match role {
            Role::Header => self.get(role.key()).unwrap_or(converters::SIMPLE).to_owned(),
            _ => self.required(role.key()),
        };
        if name.is_empty() {
            return default;
        }
        match converters::known(role, &name) {
            Known::Here(class) => converters::read(class, role.key(), &self.map).unwrap_or_else(|errors| {
                self.problems.extend(errors.into_iter().map(|(key, error)| format!("{key}: {error}")));
                default
            }),
            Known::Elsewhere => {
                self.problems.push(converters::refusal(role, &name));
                default
            }
            Known::Nowhere => {
                let key = role.key();
                self.problems
                    .push(format!("Invalid value {name} for configuration {key}: Class {name} could not be found."));
                default
            }
        }
    }
}

impl WorkerConfig {
    /// Reads a worker file.
    ///
    /// # Errors
    /// The file cannot be read, or holds something that cannot be honoured.
    pub fn load(path: &Path) -> Result<ReadWorker, StartError> {
        let bytes = std::fs::read(path)
            .map_err(|e| StartError::refused(format!("could not read the worker file {}: {e}", path.display())))?;
        let map = properties::parse(&properties::decode(&bytes))
            .map_err(|e| StartError::refused(format!("worker file {}, {e}", path.display())))?;
        Self::from_map(map)
    }

    /// Reads a worker's keys.
    ///
    /// # Errors
    /// Everything that cannot be honoured, one text each.
    pub fn from_map(map: BTreeMap<String, String>) -> Result<ReadWorker, StartError> {
        let providers = Providers::from_worker(&map).map_err(StartError::Refused)?;
        let mut resolved = BTreeMap::new();
        for (key, value) in map {
            let value = match key.as_str() {
                "plugin.path" => value,
                _ => providers.resolve(&value).map_err(|e| StartError::refused(format!("{key}: {e}")))?,
            };
            resolved.insert(key, value);
        }
        let warnings = resolved.keys().filter_map(|key| keys::remark(key)).collect();
        let mut r = Reader { map: resolved, problems: Vec::new() };
        let config = Self::read(&mut r, providers);
        match r.problems.is_empty() {
            true => Ok(ReadWorker { config: Self { raw: r.map, ..config }, warnings }),
            false => Err(StartError::Refused(r.problems)),
        }
    }

    fn read(r: &mut Reader, providers: Providers) -> Self {
        policy::refuse(r);
        let offset_file = r.get("offset.storage.file.filename").filter(|path| !path.is_empty()).map(PathBuf::from);
        let offset_file = offset_file.filter(|_| r.get("group.id").is_none());
        let standalone = offset_file.is_some();
        let group_id = if standalone { String::new() } else { r.required("group.id") };
        let topic = |r: &mut Reader, kind: &str, partitions: i32| match standalone {
            true => InternalTopic { name: String::new(), partitions, replication: 1, settings: BTreeMap::new() },
            false => r.topic(kind, partitions),
        };
        let config_topic = topic(r, "config", 1);
        let offset_topic = topic(r, "offset", 25);
        let status_topic = topic(r, "status", 5);
        let names = [&config_topic.name, &offset_topic.name, &status_topic.name];
        let same =
            (0..3).any(|i| (0..i).any(|j| names.get(i) == names.get(j) && names.get(i).is_some_and(|n| !n.is_empty())));
        if same {
            r.problems.push(
                "config.storage.topic, offset.storage.topic and status.storage.topic must name three different topics"
                    .to_owned(),
            );
        }
        let task_shutdown_timeout = r.millis("task.shutdown.graceful.timeout.ms", 5000);
        let shutdown_timeout = match r.get("afterimage.shutdown.timeout.ms") {
            Some(_) => r.millis("afterimage.shutdown.timeout.ms", 5000),
            None => task_shutdown_timeout,
        };
        let listeners = r.listeners("listeners", "http://:8083");
        if listeners.is_empty() && r.problems.is_empty() {
            r.problems.push("listeners must name at least one address, such as http://:8083".to_owned());
        }
        let admin_paths = match r.get("admin.listeners") {
            None => AdminPaths::Main,
            Some("") => AdminPaths::Disabled,
            Some(_) => AdminPaths::Own(r.listeners("admin.listeners", "")),
        };
        let advertised_https = match r.get("rest.advertised.listener").map(str::to_ascii_lowercase).as_deref() {
            None | Some("") => None,
            Some("http") => Some(false),
            Some("https") => Some(true),
            Some(other) => {
                r.problems.push(format!(
                    "Invalid value {other} for configuration rest.advertised.listener: String must be one of: http, https"
                ));
                None
            }
        };
        let admin_listeners = r.listeners("afterimage.admin.listeners", "http://127.0.0.1:8086");
        let listeners_tls = r.tls(&listeners, "listeners.https.");
        let own_admin: &[Listener] = if let AdminPaths::Own(listeners) = &admin_paths { listeners } else { &[] };
        let admin_paths_tls = r.tls(own_admin, "admin.listeners.https.");
        let admin_listeners_tls = r.tls(&admin_listeners, "afterimage.admin.listeners.https.");
        let users = policy::users(r);
        let admin_authentication = policy::admin_authentication(r, users.is_some());
        let response_headers = match headers::rules(r.get("response.http.headers.config").unwrap_or_default()) {
            Ok(rules) => rules,
            Err(error) => {
                r.problems.push(format!("response.http.headers.config: {error}"));
                Vec::new()
            }
        };
        let state_dir = r.get("afterimage.state.dir").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let systemd = || std::env::var_os("STATE_DIRECTORY").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
        let csv = |text: &str| text.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
        Self {
            raw: BTreeMap::new(),
            bootstrap_servers: r.get("bootstrap.servers").unwrap_or("localhost:9092").to_owned(),
            offset_file,
            group_id,
            client_id: r.get("client.id").unwrap_or_default().to_owned(),
            config_topic,
            offset_topic,
            status_topic,
            key_converter: r.converter(Role::Key),
            value_converter: r.converter(Role::Value),
            header_converter: r.converter(Role::Header),
            task_shutdown_timeout,
            flush_interval: r.millis("offset.flush.interval.ms", 60_000),
            flush_timeout: r.millis("offset.flush.timeout.ms", 5000),
            session_timeout: r.millis("session.timeout.ms", 10_000),
            override_policy: policy::overrides(r),
            topic_creation: r.boolean("topic.creation.enable", true),
            topic_tracking: r.boolean("topic.tracking.enable", true),
            topic_tracking_reset: r.boolean("topic.tracking.allow.reset", true),
            listeners,
            admin_paths,
            advertised_host: r.get("rest.advertised.host.name").filter(|h| !h.is_empty()).map(str::to_owned),
            advertised_port: r
                .get("rest.advertised.port")
                .is_some()
                .then(|| r.number("rest.advertised.port", 8083u16, 0, "INT"))
                .filter(|port| *port > 0),
            advertised_https,
            cors: Cors {
                origins: csv(r.get("access.control.allow.origin").unwrap_or_default()),
                methods: r.get("access.control.allow.methods").unwrap_or_default().to_owned(),
            },
            providers,
            state_dir: state_dir.or_else(systemd).unwrap_or_else(|| PathBuf::from("state")),
            memory_limit: r.number("afterimage.memory.limit", 128 << 20, 16 << 20, "LONG"),
            admin_listeners,
            listeners_tls,
            admin_paths_tls,
            admin_listeners_tls,
            users,
            admin_authentication,
            response_headers,
            encoder_threads: r.number("afterimage.encoder.threads", cpus.min(4), 1, "INT"),
            shutdown_timeout,
        }
    }

    /// `<advertised host>:<advertised port>`, which stands in statuses; `bound` is the port of the first listener
    /// once it is bound.
    pub fn worker_id(&self, bound: Option<u16>) -> String {
        let https = self.advertised_https.unwrap_or_else(|| self.listeners.iter().all(|listener| listener.https));
        let listener = self.listeners.iter().find(|listener| listener.https == https).or(self.listeners.first());
        let host = self.advertised_host.clone().or_else(|| {
            let host = listener.map(|listener| listener.host.as_str()).unwrap_or_default();
            (!["", "0.0.0.0", "::"].contains(&host)).then(|| host.to_owned())
        });
        let port = self.advertised_port.or(listener.map(|l| l.port).filter(|port| *port > 0)).or(bound).unwrap_or(8083);
        format!("{}:{port}", host.unwrap_or_else(own_address))
    }
}

/// The address of the interface that leads outside, as Java's `InetAddress.getLocalHost` gives on most machines.
fn own_address() -> String {
    let route = || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
        // Nothing is sent: connecting a UDP socket only chooses the interface.
        socket.connect("192.0.2.1:9").ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    route().filter(|ip| !ip.is_unspecified()).map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worker file that Kafka ships.
    pub(crate) const SAMPLE: &str = "bootstrap.servers=localhost:9092\ngroup.id=connect-cluster\n\
        key.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter=org.apache.kafka.connect.json.JsonConverter\n\
        key.converter.schemas.enable=true\nvalue.converter.schemas.enable=false\noffset.storage.topic=connect-offsets\n\
        offset.storage.replication.factor=1\nconfig.storage.topic=connect-configs\nconfig.storage.replication.factor=1\n\
        status.storage.topic=connect-status\nstatus.storage.replication.factor=1\noffset.flush.interval.ms=10000\n";

    fn read(text: &str) -> Result<ReadWorker, StartError> {
        WorkerConfig::from_map(properties::parse(text).unwrap())
    }

    fn problems(more: &str) -> Vec<String> {
        match read(&format!("{SAMPLE}{more}")) {
            Err(StartError::Refused(problems)) => problems,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_the_sample_file() {
        let worker = read(&format!("{SAMPLE}gruop=x\noffset.storage.min.insync.replicas=2\n")).unwrap();
        assert_eq!(worker.warnings, ["gruop is not a known worker setting and has no effect"]);
        let config = worker.config;
        assert_eq!(config.flush_interval, Duration::from_secs(10));
        assert!(!config.value_converter.json().schemas_enable);
        assert_eq!(config.offset_topic.partitions, 25);
        assert_eq!(config.offset_topic.settings["min.insync.replicas"], "2");
        assert_eq!(config.listeners, Listener::parse_list("http://:8083").unwrap());
        assert!(config.worker_id(None).ends_with(":8083"));
        assert_eq!(config.shutdown_timeout, Duration::from_secs(5));
    }

    #[test]
    fn refuses_what_it_cannot_honour_with_the_reason() {
        for (more, part) in [
            ("exactly.once.source.support=enabled", "exactly.once.source.support=enabled is not supported yet"),
            (
                "value.converter=io.confluent.connect.avro.AvroConverter",
                "only org.apache.kafka.connect.json.JsonConverter runs",
            ),
            ("value.converter=Foo", "Class Foo could not be found."),
            (
                "offset.flush.interval.ms=soon",
                "Invalid value soon for configuration offset.flush.interval.ms: Not a number of type LONG",
            ),
            ("listeners=8083", "listeners: '8083' is not a listener"),
            ("topic.creation.enable=maybe", "Expected value to be either true or false"),
            ("status.storage.topic=connect-configs", "three different topics"),
            ("rest.extension.classes=a.B", "a.B cannot be honoured"),
            ("rest.extension.classes=BasicAuthSecurityRestExtension", "afterimage.auth.login.config"),
            ("response.http.headers.config=put X: y", "response.http.headers.config: Invalid header config action"),
            ("listeners=https://:8443", "ssl.keystore.location: is missing"),
            ("afterimage.admin.listeners=https://:8444", "ssl.keystore.location: is missing"),
            ("afterimage.admin.authentication=basic", "needs users"),
            ("config.storage.replication.factor=0", "Invalid value 0"),
            ("connector.client.config.override.policy=my.Policy", "use All, None, Principal or Allowlist"),
        ] {
            let problems = problems(more);
            assert!(problems.len() == 1 && problems[0].contains(part), "{more}: {problems:?}");
        }
        let converters = "key.converter=JsonConverter\nvalue.converter=JsonConverter\n";
        let standalone = read(&format!("{converters}offset.storage.file.filename=/tmp/x\n")).unwrap().config;
        assert_eq!(standalone.offset_file.as_deref(), Some(Path::new("/tmp/x")));
        let both = read(&format!("{SAMPLE}offset.storage.file.filename=/tmp/x\n")).unwrap().config;
        assert_eq!(both.offset_file, None, "group.id decides");
        assert_eq!(read("").unwrap_err().exit_code(), 3);
    }

    #[test]
    fn policies_allow_what_they_name() {
        let policy = |more: &str| {
            read(&format!("{SAMPLE}connector.client.config.override.policy={more}")).unwrap().config.override_policy
        };
        assert!(policy("All").allows("linger.ms"));
        assert!(!policy("None").allows("linger.ms"));
        assert!(policy("Principal").allows("sasl.mechanism") && !policy("Principal").allows("linger.ms"));
        let list = policy("Allowlist\nconnector.client.config.override.allowlist=linger.ms, acks");
        assert!(list.allows("acks") && !list.allows("batch.size"));
    }

    #[test]
    fn advertised_names_come_first() {
        let config = read(&format!("{SAMPLE}rest.advertised.host.name=w1\nrest.advertised.port=99")).unwrap().config;
        assert_eq!(config.worker_id(Some(1)), "w1:99");
        let config = read(&format!("{SAMPLE}listeners=http://127.0.0.1:0")).unwrap().config;
        assert_eq!(config.worker_id(Some(4567)), "127.0.0.1:4567");
    }
}
