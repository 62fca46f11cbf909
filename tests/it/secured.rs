//! Secured servers: a broker with TLS, SASL and ACLs, databases with TLS and each way to log in.

use std::{
    process::Command,
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{daemon::Daemon, mysql::sql, servers::Servers, topics};

mod kafka;
mod listeners;
mod mysql;

/// JSON without schemas, and a short session so that a test's next worker need not wait.
const WORKER: &str = "key.converter.schemas.enable=false\nvalue.converter.schemas.enable=false\n\
                      session.timeout.ms=6000\nheartbeat.interval.ms=2000\n";

/// A broker with ACLs and TLS, and both MySQL versions with TLS. The broker's user `worker` may do what a Connect worker
/// must be able to do with topics and groups whose names begin with `sec-`, and nothing else.
fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let options = ["kafka.secured=on", "mysql8.tls=on", "mysql8.performance-schema=ON", "mysql57.tls=on"];
        let servers = Servers::start(&["kafka", "mysql8", "mysql57"], &options);
        let topic = ["--topic", "sec-", "--resource-pattern-type", "prefixed"];
        let operations = ["Read", "Write", "Describe", "Create", "DescribeConfigs"];
        let operations: Vec<&str> = operations.iter().flat_map(|operation| ["--operation", operation]).collect();
        acl(&servers, &[&["--add", "--allow-principal", "User:worker"][..], &operations, &topic].concat());
        let group = ["--operation", "Read", "--group", "sec-", "--resource-pattern-type", "prefixed"];
        acl(&servers, &[&["--add", "--allow-principal", "User:worker"][..], &group].concat());
        servers
    })
}

/// Changes ACLs as the broker's administrator.
fn acl(servers: &Servers, arguments: &[&str]) {
    let jars = servers.info("kafka")["jars"].as_str().expect("the broker's jars");
    let output = Command::new("java")
        .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &format!("{jars}/*")])
        .args(["org.apache.kafka.tools.AclCommand", "--bootstrap-server", servers.bootstrap(), "--force"])
        .args(arguments)
        .output()
        .expect("java runs: is `make deps` done?");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// A file of the servers' certificates.
fn certificate(name: &str) -> String {
    let folder = servers().info("kafka")["certificates"].as_str().expect("a folder of certificates");
    format!("{folder}/{name}")
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

/// The daemon's last words, without the log lines before it.
fn last_words(log: &str) -> &str {
    log.find("afterimage: ").and_then(|at| log.get(at..)).unwrap_or_else(|| panic!("no error is told:\n{log}"))
}

/// A connector that reads database `name` of a server into topics `sec-<name>.*`.
fn connector(name: &str, server: &str, more: &Value) -> Value {
    let mut config = json!({
        "connector.class": "io.debezium.connector.mysql.MySqlConnector", "tasks.max": "1",
        "database.hostname": "127.0.0.1", "database.port": servers().port(server).to_string(),
        "database.user": "cdc", "database.password": "cdc",
        "database.server.id": (200_000 + name.bytes().fold(0, |all, byte| all * 7 % 99_991 + u32::from(byte))).to_string(),
        "topic.prefix": format!("sec-{name}"), "database.include.list": name,
        "schema.history.internal.kafka.bootstrap.servers": servers().bootstrap(),
        "schema.history.internal.kafka.topic": format!("sec-{name}-history"),
        "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
        "retriable.restart.connector.wait.ms": "300", "errors.max.retries": "3",
    });
    for (key, value) in more.as_object().expect("an object") {
        config[key] = value.clone();
    }
    json!({ "name": name, "config": config })
}

/// A database with one row.
fn table(server: &str, name: &str) {
    let server = servers().info(server);
    sql(server, &format!("CREATE DATABASE `{name}`; CREATE TABLE `{name}`.t (id INT PRIMARY KEY);"));
    insert(server, name, 1);
}

fn insert(server: &Value, name: &str, id: u32) {
    sql(server, &format!("INSERT INTO `{name}`.t VALUES ({id})"));
}

/// Waits until a topic holds these records, by their keys' text, in this order and no other.
fn wait_keys(daemon: &Daemon, topic: &str, ids: &[u32]) {
    let wanted: Vec<String> = ids.iter().map(|id| format!("{{\"id\":{id}}}")).collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let records = topics::read(servers().bootstrap(), topic);
        let found: Vec<String> = records
            .iter()
            .map(|record| String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned())
            .collect();
        if found == wanted {
            return;
        }
        assert!(found.len() <= wanted.len(), "{topic} holds more than {wanted:?}: {found:?}");
        assert!(Instant::now() < deadline, "{topic} holds {found:?}, not {wanted:?}\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn offsets(daemon: &Daemon, name: &str) -> Value {
    daemon.get(&format!("/connectors/{name}/offsets")).expect("offsets").1
}

fn restart_task(daemon: &Daemon, name: &str) {
    let path = format!("/connectors/{name}/restart?includeTasks=true");
    let (code, answer) = daemon.send("POST", &path, None);
    assert!((200..300).contains(&code), "{answer}");
}
