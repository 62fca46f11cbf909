//! Settings of the `orders` pipeline; `examples/pipelines/orders.toml` holds every default with its explanation.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::change::Columns;
use crate::runtime::{
    Error,
    settings::{ConnectSettings, KafkaSettings, MysqlSettings, RedisSettings},
};

/// Everything a run needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Tells this process from others of the same pipeline: own state folder, own transactional ids.
    pub instance: String,
    /// Consumers per input topic.
    pub workers: usize,
    /// Folder of all state; this pipeline uses `<state_dir>/pipelines/orders/<instance>`.
    pub state_dir: PathBuf,
    /// Write `order:{id}` and `order:{id}:products` too.
    pub legacy_keys: bool,
    /// Changes taken in one step (one transaction when it completes orders).
    pub batch_changes_max: usize,
    /// Lag up to which `/ready` says yes.
    pub ready_lag_max: i64,
    /// Topics and groups read.
    pub input: Input,
    /// Topics written.
    pub output: Output,
    /// Overrides of declared columns.
    pub columns: ColumnOverrides,
    /// HTTP endpoints.
    pub http: Http,
    /// The story log.
    pub log: Log,
    /// Kafka.
    pub kafka: KafkaSettings,
    /// Redis.
    pub redis: RedisSettings,
    /// MySQL, for `generate` and `test`.
    pub mysql: MysqlSettings,
    /// The daemon, for the connector.
    pub connect: ConnectSettings,
}

/// Topics and groups read.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// Changes of the table `orders`.
    pub orders_topic: String,
    /// Changes of the table `order_details`.
    pub order_details_topic: String,
    /// Consumer group of the first.
    pub orders_group: String,
    /// Consumer group of the second.
    pub order_details_group: String,
}

/// Topics written.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// One message for each complete order.
    pub ready_topic: String,
    /// What could not be processed.
    pub dead_letter_topic: String,
    /// Partitions of either when it is created.
    pub partitions: i32,
    /// Copies of either when it is created; -1 for the broker's default.
    pub replication: i32,
}

/// Overrides of declared columns: name to `decimal(SCALE)` or `time(ms|us|ns)`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnOverrides {
    /// Of the table `orders`.
    pub orders: BTreeMap<String, String>,
    /// Of the table `order_details`.
    pub order_details: BTreeMap<String, String>,
}

/// HTTP endpoints.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// `host:port`, or empty for none.
    pub listen: String,
}

/// The story log.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Its file; empty for none.
    pub file: PathBuf,
    /// Size at which it is turned over to `<file>.1`; 0 for never.
    pub file_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            instance: "0".into(),
            workers: 3,
            state_dir: "./state".into(),
            legacy_keys: true,
            batch_changes_max: 1_000,
            ready_lag_max: 0,
            input: Input::default(),
            output: Output::default(),
            columns: ColumnOverrides::default(),
            http: Http::default(),
            log: Log::default(),
            kafka: KafkaSettings::default(),
            redis: RedisSettings::default(),
            mysql: MysqlSettings::default(),
            connect: ConnectSettings::default(),
        }
    }
}

impl Default for Input {
    fn default() -> Self {
        Self {
            orders_topic: "mysql.project_db.orders".into(),
            order_details_topic: "mysql.project_db.order_details".into(),
            orders_group: "order-consumer-group".into(),
            order_details_group: "order-details-consumer-group".into(),
        }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self {
            ready_topic: "order_ready_for_checking".into(),
            dead_letter_topic: "dl-orders".into(),
            partitions: 3,
            replication: -1,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: super::DEFAULT_LISTEN.into() }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { file: "logs/real-time.log".into(), file_bytes_max: 100 << 20 }
    }
}

impl Config {
    /// Reads the text of a configuration file, then the environment (`AFTERIMAGE_ORDERS__SECTION__KEY`), and checks
    /// the result. `STATE_DIRECTORY` (of systemd) replaces the default state folder.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting.
    pub fn load(file: &str, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let environment: Vec<(String, String)> = environment.collect();
        let state = environment.iter().find(|(name, _)| name == "STATE_DIRECTORY").map(|(_, value)| value.clone());
        let mut config: Self = crate::runtime::settings::load("orders", file, environment.into_iter())?;
        if let (Some(state), true) = (state, config.state_dir == Self::default().state_dir) {
            config.state_dir = state.into();
        }
        config.check()?;
        Ok(config)
    }

    /// Checks what can be checked without asking a server.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::Config(text));
        if self.workers == 0 || self.workers > 256 {
            return refuse(format!("workers: {} is not between 1 and 256", self.workers));
        }
        if self.batch_changes_max == 0 || self.batch_changes_max > 100_000 {
            return refuse(format!("batch_changes_max: {} is not between 1 and 100000", self.batch_changes_max));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.instance.is_empty() || self.instance.starts_with('.') || !self.instance.chars().all(plain) {
            return refuse("instance: use letters, digits, '-', '_' and '.' only".into());
        }
        let topics = [
            ("input.orders_topic", &self.input.orders_topic),
            ("input.order_details_topic", &self.input.order_details_topic),
            ("output.ready_topic", &self.output.ready_topic),
            ("output.dead_letter_topic", &self.output.dead_letter_topic),
        ];
        for (index, (name, topic)) in topics.iter().enumerate() {
            if topic.is_empty() || topic.len() > 249 || !topic.chars().all(plain) {
                return refuse(format!("{name}: not a topic name"));
            }
            if let Some((other, _)) = topics.iter().take(index).find(|(_, earlier)| earlier == topic) {
                return refuse(format!("{name}: is also {other}"));
            }
        }
        if self.input.orders_group.is_empty() || self.input.orders_group == self.input.order_details_group {
            return refuse("input.orders_group and input.order_details_group: two different names are needed".into());
        }
        if self.output.partitions < 1 {
            return refuse("output.partitions: at least 1".into());
        }
        if !self.http.listen.is_empty() && self.http.listen.parse::<std::net::SocketAddr>().is_err() {
            return refuse(format!(
                "http.listen: {} is no address and port, such as {}",
                self.http.listen,
                super::DEFAULT_LISTEN
            ));
        }
        self.kafka.client()?;
        self.redis.connection()?;
        self.column_types()?;
        Ok(())
    }

    pub(crate) fn column_types(&self) -> Result<Columns, Error> {
        Columns::new(&self.columns.orders, &self.columns.order_details)
    }

    /// This instance's own folder.
    pub fn state_folder(&self) -> PathBuf {
        self.state_dir.join("pipelines").join("orders").join(&self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_holds_exactly_the_defaults() {
        let example = Config::load(super::super::EXAMPLE_CONFIG, std::iter::empty()).expect("the example is valid");
        // Secrets print as ***, everything else in full.
        assert_eq!(format!("{example:?}"), format!("{:?}", Config::default()));
        let table: toml::Table = super::super::EXAMPLE_CONFIG.parse().expect("TOML");
        for (section, keys) in [
            ("input", 4),
            ("output", 4),
            ("http", 1),
            ("log", 2),
            ("kafka", 8),
            ("redis", 6),
            ("mysql", 4),
            ("connect", 2),
        ] {
            let written = table.get(section).and_then(toml::Value::as_table).map_or(0, toml::Table::len);
            assert!(written >= keys, "section {section} writes {written} of its defaults");
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        for (text, name) in [
            ("workers = 0", "workers"),
            ("instance = '../x'", "instance"),
            ("[input]\norders_topic = 'dl-orders'", "output.dead_letter_topic"),
            ("[input]\norders_group = 'order-details-consumer-group'", "orders_group"),
            ("[http]\nlisten = 'nowhere'", "http.listen"),
            ("[kafka]\nsecurity_protocol = 'tls'", "kafka.security_protocol"),
            ("[redis]\nurl = 'localhost'", "redis.url"),
            ("[columns.orders]\nnothing = 'int'", "columns.orders"),
            ("workers = 3\n[kafka", "line 2"),
            ("[kafka.properties]\nnothing = '1'", "kafka.properties: nothing"),
            ("wrokers = 3", "wrokers"),
            ("workers = 'three'", "workers: "),
            ("[redis]\nbookkeeping_db = 'one'", "redis.bookkeeping_db: "),
        ] {
            let error = Config::load(text, std::iter::empty()).expect_err(text).to_string();
            assert!(error.contains(name), "{text}: {error}");
        }
    }

    #[test]
    fn systemd_names_the_state_folder() {
        let env = [("STATE_DIRECTORY".to_owned(), "/var/lib/afterimage".to_owned())];
        let config = Config::load("", env.into_iter()).expect("loads");
        assert!(config.state_folder().starts_with("/var/lib/afterimage/pipelines/orders"));
    }
}
