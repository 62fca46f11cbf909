//! Equal to Debezium: the scenarios of `connectors-compat/` replayed against a live server, record by record, byte by
//! byte.
//!
//! Normalised are only clocks of envelope and source, the run's id, the connection number and the server's UUID. Where
//! we differ on purpose a named rule changes the expectation (`RULES`); no field is ever dropped.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    daemon::Daemon,
    mysql::sql,
    servers::{Servers, root},
    topics::{self, Record},
};

#[derive(Deserialize)]
struct Line<'a> {
    topic: String,
    #[serde(borrow)]
    headers: Vec<(String, &'a RawValue)>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// A record as compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Compared {
    topic: String,
    key: String,
    value: String,
    headers: Vec<(String, String)>,
}

/// Which records of a scenario a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Snapshot,
    Stream,
    Both,
}

impl Phase {
    fn covers(self, record: &Compared) -> bool {
        let streamed = record.value.contains("\"snapshot\":\"false\"");
        match self {
            Phase::Snapshot => !streamed,
            Phase::Stream => streamed,
            Phase::Both => true,
        }
    }
}

/// A deliberate difference: its entry in DIFFERENCES.md, the scenarios and records it touches, and what stands there
/// instead of Debezium's text. In each of its scenarios the rule must change something.
struct Rule {
    name: &'static str,
    cases: &'static [&'static str],
    phase: Phase,
    debezium: &'static str,
    ours: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        name: "binary-default",
        cases: &["binary-hex"],
        phase: Phase::Both,
        debezium: r#""default":"61625c305c30","field":"nb"}"#,
        ours: r#""default":"61620000","field":"nb"}"#,
    },
    Rule {
        name: "text-default",
        cases: &["nulls-defaults", "nulls-defaults-plain"],
        phase: Phase::Both,
        debezium: r#""it''s \"q\"""#,
        ours: r#""it's \"q\"""#,
    },
    Rule {
        name: "shortest-digits",
        cases: &["decimals-double", "decimals-precise", "decimals-string", "mysql57-decimals-string"],
        phase: Phase::Both,
        debezium: r#""f":-3.25000008E10,"#,
        ours: r#""f":-3.25E10,"#,
    },
    Rule {
        name: "double-digits",
        cases: &["decimals-double", "decimals-precise", "decimals-string", "mysql57-decimals-string"],
        phase: Phase::Snapshot,
        debezium: r#""r":-1.0E-4,"#,
        ours: r#""r":-9.999999999998899E-5,"#,
    },
    Rule {
        name: "enum-escape",
        cases: &["enum-set", "enum-set-schemas"],
        phase: Phase::Stream,
        debezium: r#""eq":"back\\\\slash""#,
        ours: r#""eq":"back\\slash""#,
    },
    Rule {
        name: "year-zero",
        cases: &["integers", "integers-schemas", "zero-dates", "zero-dates-schemas"],
        phase: Phase::Stream,
        debezium: r#""y":1900,"#,
        ours: r#""y":2000,"#,
    },
    Rule {
        name: "timestamp-digits",
        cases: &["strings-in-keys"],
        phase: Phase::Snapshot,
        debezium: r#""ts":"2020-01-01T00:00:00.12Z""#,
        ours: r#""ts":"2020-01-01T00:00:00.120Z""#,
    },
    Rule {
        name: "json-text",
        cases: &["json"],
        phase: Phase::Snapshot,
        debezium: r#""j":"{\"a\": 1, \"b\": [true, false, null], \"c\": {\"d\": \"e\"}}""#,
        ours: r#""j":"{\"a\":1,\"b\":[true,false,null],\"c\":{\"d\":\"e\"}}""#,
    },
];

fn cases() -> Vec<PathBuf> {
    let folder = root().join("connectors-compat/debezium/3.6.1/mysql");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the scenarios")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("expect.jsonl").exists())
        .collect();
    cases.sort();
    assert!(cases.len() >= 12, "at least twelve scenarios are recorded");
    let only = std::env::var("COMPAT_CASE").unwrap_or_default();
    cases.retain(|case| only.is_empty() || only.split(',').any(|only| case.ends_with(only)));
    assert!(!cases.is_empty(), "COMPAT_CASE={only} names no scenario");
    cases
}

fn raw(value: Option<&RawValue>) -> String {
    value.map_or("null", RawValue::get).to_owned()
}

/// Bytes in the form the recorder writes: JSON of one line as it is, other text inside an object.
fn shown(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "null".to_owned() };
    let text = String::from_utf8_lossy(bytes).into_owned();
    let json = serde_json::from_str::<&RawValue>(&text).is_ok() && !text.contains(['\n', '\r']);
    if json { text } else { serde_json::json!({ "text": text }).to_string() }
}

/// Replaces the number after each `"name"` and `separator` by 0.
fn zero(text: &mut String, name: &str, separator: &str) {
    let needle = format!("\"{name}\"{separator}");
    let mut from = 0;
    while let Some(found) = text[from..].find(&needle) {
        let start = from + found + needle.len();
        let digits = text[start..].bytes().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 {
            text.replace_range(start..start + digits, "0");
        }
        from = start;
    }
}

fn normalise(mut record: Compared, uuid: &str) -> Compared {
    for text in [&mut record.key, &mut record.value] {
        ["ts_ms", "ts_us", "ts_ns", "thread"].iter().for_each(|name| zero(text, name, ":"));
        *text = text.replace(uuid, "SERVER-UUID");
    }
    for (name, value) in &mut record.headers {
        *value = value.replace(uuid, "SERVER-UUID");
        if name == "__debezium.context.runId" {
            // A header converter may put quotes around it.
            let id = value.trim_matches(['"', '\\']).to_owned();
            assert!(id.len() == 36 && id.as_bytes()[14] == b'7', "runId {value} is a time-ordered UUID");
            *value = value.replace(&id, "RUN-ID");
        }
    }
    record
}

fn name_of(case: &Path) -> &str {
    case.file_name().and_then(|name| name.to_str()).expect("a name")
}

/// The recorded lines of a file of a scenario, and the UUID of the server they came from.
fn recorded(case: &Path, file: &str) -> (Vec<Compared>, String) {
    let provenance = std::fs::read_to_string(case.join("PROVENANCE")).expect("PROVENANCE");
    let uuid = provenance.lines().find_map(|line| line.strip_prefix("mysql-server-uuid: ")).expect("a UUID");
    let text = std::fs::read_to_string(case.join(file)).expect("a recorded file");
    let lines = text.lines().map(|line| {
        let line: Line<'_> = serde_json::from_str(line).expect("a recorded line");
        let headers = line.headers.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect();
        Compared { topic: line.topic, key: raw(line.key), value: raw(line.value), headers }
    });
    (lines.collect(), uuid.to_owned())
}

fn expected(case: &Path) -> Vec<Compared> {
    let (lines, uuid) = recorded(case, "expect.jsonl");
    let mut records: Vec<Compared> = lines.into_iter().map(|record| normalise(record, &uuid)).collect();
    for rule in RULES.iter().filter(|rule| rule.cases.contains(&name_of(case))) {
        let mut changed = 0;
        for record in records.iter_mut().filter(|record| rule.phase.covers(record)) {
            for text in [&mut record.key, &mut record.value] {
                changed += text.matches(rule.debezium).count();
                *text = text.replace(rule.debezium, rule.ours);
            }
        }
        assert!(changed > 0, "rule {} changes nothing in {}", rule.name, case.display());
    }
    records
}

/// The schema history as recorded: the documents' texts.
fn expected_history(case: &Path) -> Vec<Compared> {
    let (lines, uuid) = recorded(case, "history.jsonl");
    let document = |record: Compared| {
        let value: serde_json::Value = serde_json::from_str(&record.value).expect("a recorded document");
        let value = value["text"].as_str().expect("a document over several lines").to_owned();
        normalise_history(Compared { value, ..record }, &uuid)
    };
    lines.into_iter().map(document).collect()
}

/// Of a document of the schema history only clocks and the server's UUID are normalised; positions are compared.
fn normalise_history(mut record: Compared, uuid: &str) -> Compared {
    ["ts_sec", "ts_ms"].iter().for_each(|name| zero(&mut record.value, name, " : "));
    record.value = record.value.replace(uuid, "SERVER-UUID");
    record
}

fn compared(record: &Record, uuid: &str) -> Compared {
    let text = |value: Option<&[u8]>| match value {
        Some(value) => serde_json::Value::from(String::from_utf8_lossy(value)).to_string(),
        None => "null".to_owned(),
    };
    let headers = record.headers.iter().map(|(name, value)| (name.clone(), text(value.as_deref()))).collect();
    let record = Compared {
        topic: record.topic.clone(),
        key: shown(record.key.as_deref()),
        value: shown(record.value.as_deref()),
        headers,
    };
    normalise(record, uuid)
}

/// Statements of a scenario file without its comment lines.
fn statements(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a scenario file");
    text.lines().filter(|line| !line.starts_with("--")).map(|line| format!("{line}\n")).collect()
}

fn wait(what: &str, seconds: u64, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about within {seconds} s");
        std::thread::sleep(Duration::from_millis(40));
    }
}

struct Run<'a> {
    servers: &'a Servers,
    daemon: &'a Daemon,
    /// The launcher's name of the MySQL server.
    mysql: &'a str,
    uuid: String,
}

/// The server a scenario runs on, by its name.
fn server_of(case: &Path) -> &'static str {
    if name_of(case).starts_with("mysql57-") { "mysql57" } else { "mysql8" }
}

impl Run<'_> {
    fn sql(&self, text: &str) -> String {
        sql(self.servers.info(self.mysql), text)
    }

    fn streams(&self) -> bool {
        self.sql("SHOW PROCESSLIST").contains("Master has sent all binlog")
    }

    fn contents(&self, prefix: &str, history: &str) -> Vec<Record> {
        let mut topics: Vec<String> =
            topics::list(self.servers.bootstrap()).into_iter().map(|(name, _)| name).collect();
        topics.retain(|name| {
            name != history
                && (name == prefix
                    || name.starts_with(&format!("{prefix}."))
                    || name == &format!("__debezium-heartbeat.{prefix}"))
        });
        topics.sort();
        topics.iter().flat_map(|topic| topics::read(self.servers.bootstrap(), topic)).collect()
    }

    /// Replays one scenario; gives what differs.
    fn case(&self, case: &Path) -> Vec<String> {
        for database in self.sql("SHOW DATABASES").split_whitespace() {
            if !["information_schema", "mysql", "performance_schema", "sys"].contains(&database) {
                self.sql(&format!("DROP DATABASE `{database}`"));
            }
        }
        self.sql("RESET MASTER");
        self.sql(&statements(&case.join("before.sql")));
        let mysql = self.servers.info(self.mysql);
        let config = std::fs::read_to_string(case.join("config.json")).expect("config.json");
        let config = config
            .replace("${MYSQL_HOST}", mysql["host"].as_str().unwrap_or("127.0.0.1"))
            .replace("${MYSQL_PORT}", &self.servers.port(self.mysql).to_string())
            .replace("${KAFKA}", self.servers.bootstrap());
        let body: serde_json::Value = serde_json::from_str(&config).expect("config.json is JSON");
        let (name, config) = (body["name"].as_str().expect("name"), &body["config"]);
        let prefix = config["topic.prefix"].as_str().expect("topic.prefix");
        let history = config["schema.history.internal.kafka.topic"].as_str().expect("history topic");
        self.daemon.create(&body);
        wait(&format!("{name}: streaming"), 60, || {
            let (_, status) = self.daemon.get(&format!("/connectors/{name}/status")).expect("status");
            assert_ne!(status["tasks"][0]["state"], "FAILED", "{name}: {}", status["tasks"][0]["trace"]);
            self.streams()
        });
        self.sql(&statements(&case.join("scenario.sql")));
        let expected = expected(case);
        let heartbeats = format!("__debezium-heartbeat.{prefix}");
        let is_data = |topic: &str| topic != heartbeats;
        let wanted = expected.iter().filter(|record| is_data(&record.topic)).count();
        let deadline = Instant::now() + Duration::from_secs(20);
        let got = loop {
            let got = self.contents(prefix, history);
            let (_, status) = self.daemon.get(&format!("/connectors/{name}/status")).expect("status");
            let failed = status["tasks"][0]["state"] == "FAILED";
            if failed {
                break Err(format!("{name} failed: {}", status["tasks"][0]["trace"].as_str().unwrap_or_default()));
            }
            if got.iter().filter(|record| is_data(&record.topic)).count() >= wanted || Instant::now() > deadline {
                // Whatever comes too much would come now.
                std::thread::sleep(Duration::from_millis(150));
                break Ok(self.contents(prefix, history));
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let (code, _) = self.daemon.send("DELETE", &format!("/connectors/{name}"), None);
        assert_eq!(code, 204);
        wait(&format!("{name}: its end"), 30, || {
            let threads = self.sql("SHOW PROCESSLIST");
            let dumps = threads.lines().filter(|line| line.contains("Binlog Dump"));
            dumps.filter_map(|line| line.split('\t').next()).map(|id| self.sql(&format!("KILL {id}"))).count() == 0
        });
        let got: Vec<Compared> = match got {
            Ok(got) => got.iter().map(|record| compared(record, &self.uuid)).collect(),
            Err(failure) => return vec![failure],
        };
        let mut found = differences(name, &expected, &got, &heartbeats);
        let documents = topics::read(self.servers.bootstrap(), history);
        let documents: Vec<Compared> = documents
            .iter()
            .map(|record| {
                let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or(b"null")).into_owned();
                let headers = record.headers.iter().map(|(name, value)| (name.clone(), format!("{value:?}"))).collect();
                let key = shown(record.key.as_deref());
                normalise_history(Compared { topic: record.topic.clone(), key, value, headers }, &self.uuid)
            })
            .collect();
        found.extend(differences(name, &expected_history(case), &documents, &heartbeats));
        found
    }
}

fn differences(name: &str, expected: &[Compared], got: &[Compared], heartbeats: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut topics: Vec<&str> = expected.iter().chain(got).map(|record| record.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    for topic in topics {
        let of = |records: &[Compared]| -> Vec<Compared> {
            records.iter().filter(|record| record.topic == topic).cloned().collect()
        };
        let (mut want, mut have) = (of(expected), of(got));
        if topic == heartbeats {
            // How many there are is a matter of time; each is the same.
            want.dedup();
            have.dedup();
        }
        if want.len() != have.len() {
            found.push(format!("{name}: {topic} has {} records, expected {}", have.len(), want.len()));
        }
        for (index, (want, have)) in want.iter().zip(&have).enumerate() {
            if want != have {
                found.push(format!("{name}: {topic} record {index}:\n{}", difference(want, have)));
            }
        }
    }
    found
}

fn difference(want: &Compared, have: &Compared) -> String {
    let part = |what: &str, want: &str, have: &str| {
        if want == have {
            return String::new();
        }
        let same = want.bytes().zip(have.bytes()).take_while(|(a, b)| a == b).count();
        let cut = |text: &str| {
            let bytes = text.as_bytes();
            let start = same.saturating_sub(60);
            String::from_utf8_lossy(&bytes[start..bytes.len().min(same + 120)]).into_owned()
        };
        format!("  {what} differs at byte {same}\n    expected ..{}\n    got      ..{}\n", cut(want), cut(have))
    };
    let headers = |record: &Compared| format!("{:?}", record.headers);
    [
        part("key", &want.key, &have.key),
        part("value", &want.value, &have.value),
        part("headers", &headers(want), &headers(have)),
    ]
    .concat()
}

#[test]
fn records_equal_debeziums() {
    let cases = cases();
    let mut names: Vec<&str> = cases.iter().map(|case| server_of(case)).collect();
    names.sort_unstable();
    names.dedup();
    let servers = Servers::start(&[&names[..], &["kafka"]].concat(), &[]);
    let daemon = Daemon::start(&servers.dir().join("daemon"), servers.bootstrap(), "compat", "");
    let uuid = |name: &str| sql(servers.info(name), "SELECT @@server_uuid").trim().to_owned();
    let run = |mysql| Run { servers: &servers, daemon: &daemon, mysql, uuid: uuid(mysql) };
    let mut failed = Vec::new();
    for case in &cases {
        let found = run(server_of(case)).case(case);
        println!("{}: {}", case.display(), if found.is_empty() { "equal" } else { "DIFFERENT" });
        found.iter().take(6).for_each(|found| println!("{found}"));
        if !found.is_empty() {
            failed.push(case.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned());
        }
    }
    assert!(failed.is_empty(), "{} of {} scenarios differ: {}", failed.len(), cases.len(), failed.join(", "));
}

#[test]
fn every_rule_is_listed_with_the_differences() {
    let text = std::fs::read_to_string(root().join("connectors-compat/DIFFERENCES.md")).expect("DIFFERENCES.md");
    for rule in RULES {
        let entry = format!("| `{}` |", rule.name);
        assert!(text.contains(&entry), "rule {} is not in DIFFERENCES.md", rule.name);
        assert!(!rule.cases.is_empty());
    }
}
