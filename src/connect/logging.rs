//! The log as Kafka Connect writes it, and its levels as `/admin/loggers` changes them.
//!
//! One line per event: `[2026-11-21 00:48:38,298] INFO [f1|task-0] message (logger)`, in local time. The logger's name
//! is the Java class name that people know, where one exists; else the module path with dots.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{Layer, layer::Context};

/// Module paths with the Java logger names that people set, longest first.
const NAMES: &[(&str, &str)] = &[
    ("connect::rest", "org.apache.kafka.connect.runtime.rest.RestServer"),
    ("connect::http", "org.apache.kafka.connect.runtime.rest.RestServer"),
    ("connect::herder", "org.apache.kafka.connect.runtime.distributed.DistributedHerder"),
    ("connect::task", "org.apache.kafka.connect.runtime.WorkerSourceTask"),
    ("connect::daemon", "org.apache.kafka.connect.runtime.Connect"),
    ("connect::validate", "org.apache.kafka.connect.runtime.AbstractHerder"),
    ("connect::status", "org.apache.kafka.connect.storage.KafkaStatusBackingStore"),
    ("connect", "org.apache.kafka.connect.runtime.Worker"),
    ("engine", "org.apache.kafka.connect.runtime.AbstractWorkerSourceTask"),
    ("mysql::history", "io.debezium.relational.history"),
    ("mysql", "io.debezium.connector.mysql"),
    ("postgres", "io.debezium.connector.postgresql"),
    ("kafka", "org.apache.kafka.clients"),
    ("rdkafka", "org.apache.kafka.clients"),
    ("librdkafka", "org.apache.kafka.clients"),
];

/// Whether a setting's value is a secret, by its key: the rule that Debezium uses for its logs.
pub fn secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    const ENDS: &[&str] =
        &["secret", "password", "sasl.jaas.config", "credentials.json", "connectionstring", "connection.string"];
    const PARTS: &[&str] = &["basic.auth.user.info", "registry.auth.client-secret", "ssl.keystore.key"];
    ENDS.iter().any(|end| key.ends_with(end)) || PARTS.iter().any(|part| key.contains(part))
}

/// The logger name of a module path.
fn logger_name(target: &str) -> String {
    let belongs =
        |module: &str| target.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    let known = NAMES.iter().find(|(module, _)| belongs(module));
    known.map_or_else(|| target.replace("::", "."), |(_, name)| (*name).to_owned())
}

/// A level in the words of log4j; `OFF` has no level.
type Threshold = Option<Level>;

/// The word for a threshold.
fn word(threshold: Threshold) -> &'static str {
    match threshold {
        None => "OFF",
        Some(Level::ERROR) => "ERROR",
        Some(Level::WARN) => "WARN",
        Some(Level::INFO) => "INFO",
        Some(Level::DEBUG) => "DEBUG",
        Some(Level::TRACE) => "TRACE",
    }
}

/// Reads a log4j level, in any case.
fn threshold(word: &str) -> Option<Threshold> {
    Some(match word.to_ascii_uppercase().as_str() {
        "OFF" => None,
        "FATAL" | "ERROR" => Some(Level::ERROR),
        "WARN" => Some(Level::WARN),
        "INFO" => Some(Level::INFO),
        "DEBUG" => Some(Level::DEBUG),
        "TRACE" | "ALL" => Some(Level::TRACE),
        _ => return None,
    })
}

#[derive(Debug, Clone, Copy)]
struct Setting {
    threshold: Threshold,
    modified_ms: Option<i64>,
}

#[derive(Debug)]
struct Levels {
    root: Setting,
    /// Loggers with a level of their own.
    own: BTreeMap<String, Setting>,
}

impl Levels {
    /// The setting that counts for a logger: its own or that of its nearest ancestor.
    fn of(&self, name: &str) -> Setting {
        let mut name = name;
        loop {
            if let Some(setting) = self.own.get(name) {
                return *setting;
            }
            match name.rfind(['.', '$']).and_then(|at| name.get(..at)) {
                Some(parent) => name = parent,
                None => return self.root,
            }
        }
    }
}

/// The levels of all loggers. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Loggers {
    levels: Arc<RwLock<Levels>>,
}

/// One logger in answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggerLevel {
    /// log4j's word.
    pub level: &'static str,
    /// When it was last changed through the API, milliseconds since the epoch.
    pub last_modified: Option<i64>,
}

impl From<Setting> for LoggerLevel {
    fn from(setting: Setting) -> Self {
        Self { level: word(setting.threshold), last_modified: setting.modified_ms }
    }
}

impl Loggers {
    /// Loggers with a level for all.
    pub fn new(root: Level) -> Self {
        let root = Setting { threshold: Some(root), modified_ms: None };
        Self { levels: Arc::new(RwLock::new(Levels { root, own: BTreeMap::new() })) }
    }

    fn read(&self) -> RwLockReadGuard<'_, Levels> {
        self.levels.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All loggers by name, `root` among them.
    pub fn all(&self) -> BTreeMap<String, LoggerLevel> {
        let levels = self.read();
        let known = NAMES.iter().map(|(_, name)| (*name).to_owned());
        let mut all: BTreeMap<_, _> = known
            .chain(["org.apache.kafka.connect".to_owned(), "io.debezium".to_owned()])
            .chain(levels.own.keys().cloned())
            .map(|name| (name.clone(), levels.of(&name).into()))
            .collect();
        all.insert("root".to_owned(), levels.root.into());
        all
    }

    /// One logger.
    pub fn get(&self, name: &str) -> Option<LoggerLevel> {
        if name.eq_ignore_ascii_case("root") {
            return Some(self.read().root.into());
        }
        self.all().remove(name)
    }

    /// Sets the level of a logger and of all below it. Gives the names whose level changed, or `None` for a word that
    /// is no level.
    pub fn set(&self, name: &str, level: &str) -> Option<Vec<String>> {
        let threshold = threshold(level)?;
        let setting = Setting { threshold, modified_ms: Some(jiff::Timestamp::now().as_millisecond()) };
        let root = name.eq_ignore_ascii_case("root");
        let before = self.all();
        {
            let mut levels = self.levels.write().unwrap_or_else(PoisonError::into_inner);
            if root {
                levels.root = setting;
                levels.own.clear();
            } else {
                levels.own.retain(|own, _| !own.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', '$'])));
                levels.own.insert(name.to_owned(), setting);
            }
        }
        tracing::callsite::rebuild_interest_cache();
        let after = self.all();
        let changed = |name: &String, level: &LoggerLevel| before.get(name).is_none_or(|old| old.level != level.level);
        Some(after.iter().filter(|(name, level)| changed(name, level)).map(|(name, _)| name.clone()).collect())
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let threshold = self.read().of(&logger_name(metadata.target())).threshold;
        threshold.is_some_and(|threshold| *metadata.level() <= threshold)
    }

    /// A layer that writes lines to `out`.
    pub fn layer<W: std::io::Write + Send + 'static>(&self, out: W) -> Lines<W> {
        Lines { loggers: self.clone(), out: Mutex::new(out) }
    }
}

/// Writes events as lines.
pub struct Lines<W> {
    loggers: Loggers,
    out: Mutex<W>,
}

impl<S: Subscriber, W: std::io::Write + Send + 'static> Layer<S> for Lines<W> {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.loggers.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.loggers.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Levels change at any time; the callsite cache is what keeps disabled events cheap.
        Some(LevelFilter::TRACE)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line::default();
        event.record(&mut line);
        let time = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string();
        let logger = logger_name(metadata.target());
        let level = word(Some(*metadata.level()));
        let context = match (line.connector.is_empty(), metadata.target()) {
            (true, _) => String::new(),
            (false, target) if target.starts_with("connect::herder") => format!("[{}|worker] ", line.connector),
            (false, _) => format!("[{}|task-0] ", line.connector),
        };
        let text = format!("[{time}] {level} {context}{}{} ({logger}:0)\n", line.message, line.fields);
        let _ = crate::lock(&self.out).write_all(text.as_bytes());
    }
}

/// An event's parts.
#[derive(Default)]
struct Line {
    message: String,
    connector: String,
    fields: String,
}

impl Line {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let _ = match field.name() {
            "message" => self.message.write_fmt(value),
            "connector" => self.connector.write_fmt(value),
            name => write!(self.fields, ", {name}={value}"),
        };
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            crate::lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_have_connects_layout_and_levels_can_change() {
        let (loggers, buffer) = (Loggers::new(Level::INFO), Buffer::default());
        let subscriber = tracing_subscriber::registry().with(loggers.layer(buffer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "connect::task", connector = "f1", "Stopping task f1-0");
            tracing::debug!(target: "mysql::streaming", "hidden");
            loggers.set("io.debezium", "debug").unwrap();
            tracing::debug!(target: "mysql::streaming", rows = 3, "seen");
        });
        let text = String::from_utf8(crate::lock(&buffer.0).clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0].ends_with(
                "] INFO [f1|task-0] Stopping task f1-0 (org.apache.kafka.connect.runtime.WorkerSourceTask:0)"
            )
        );
        assert!(lines[1].ends_with("] DEBUG seen, rows=3 (io.debezium.connector.mysql:0)"), "{text}");
        assert_eq!(lines[0].find(']'), Some("[2026-11-21 00:48:38,298".len()));
    }

    #[test]
    fn setting_a_logger_reaches_those_below() {
        let loggers = Loggers::new(Level::INFO);
        let changed = loggers.set("io.debezium", "WARN").unwrap();
        assert!(changed.contains(&"io.debezium.connector.mysql".to_owned()), "{changed:?}");
        assert_eq!(loggers.set("io.debezium", "WARN").unwrap(), Vec::<String>::new());
        assert_eq!(loggers.get("io.debezium.connector.mysql").unwrap().level, "WARN");
        assert_eq!(loggers.get("ROOT").unwrap(), LoggerLevel { level: "INFO", last_modified: None });
        assert_eq!(loggers.get("nobody"), None);
        assert_eq!(loggers.set("x", "LOUD"), None);
        assert!(loggers.set("nobody", "all").is_some() && loggers.get("nobody").unwrap().level == "TRACE");
    }

    #[test]
    fn secrets_are_known_by_their_keys() {
        for key in ["database.password", "producer.override.sasl.jaas.config", "ssl.truststore.PASSWORD", "x.secret"] {
            assert!(secret(key), "{key}");
        }
        assert!(!secret("database.user") && !secret("password.validator"));
    }
}
