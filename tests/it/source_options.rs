//! Options of the MySQL connector that decide what happens, each seen to do so on real servers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{daemon::Daemon, mysql::sql, servers::Servers, topics};

const WORKER: &str = "key.converter.schemas.enable=false\nvalue.converter.schemas.enable=false\n";

struct Stage {
    servers: &'static Servers,
    daemon: Daemon,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new(group: &str) -> Self {
        let servers = Servers::shared();
        let folder = tempfile::tempdir().expect("a folder");
        let daemon = Daemon::start(folder.path(), servers.bootstrap(), group, WORKER);
        Self { servers, daemon, _folder: folder }
    }

    fn sql(&self, text: &str) -> String {
        sql(self.servers.info("mysql8"), text)
    }

    fn create(&self, name: &str, more: Value) {
        let (code, answer) = self.daemon.send("POST", "/connectors", Some(&self.config(name, more)));
        assert_eq!(code, 201, "{answer}");
    }

    fn config(&self, name: &str, more: Value) -> Value {
        let mut config = json!({
            "connector.class": "io.debezium.connector.mysql.MySqlConnector", "tasks.max": "1",
            "database.hostname": "127.0.0.1", "database.port": self.servers.port("mysql8").to_string(),
            "database.user": "cdc", "database.password": "cdc",
            "database.server.id": (230_000 + name.bytes().map(u32::from).sum::<u32>()).to_string(),
            "topic.prefix": name, "database.include.list": name,
            "schema.history.internal.kafka.bootstrap.servers": self.servers.bootstrap(),
            "schema.history.internal.kafka.topic": format!("{name}-history"),
            "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
            "retriable.restart.connector.wait.ms": "300", "errors.max.retries": "3",
        });
        for (key, value) in more.as_object().expect("an object") {
            config[key] = value.clone();
        }
        json!({ "name": name, "config": config })
    }

    /// Ids of the rows in the topic of `table`, in order, once there are `count`.
    fn ids(&self, name: &str, table: &str, count: usize) -> Vec<i64> {
        let topic = format!("{name}.{name}.{table}");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let there = topics::list(self.servers.bootstrap()).iter().any(|(known, _)| *known == topic);
            let records = if there { topics::read(self.servers.bootstrap(), &topic) } else { Vec::new() };
            if records.len() >= count {
                let id = |key: &[u8]| serde_json::from_slice::<Value>(key).ok().and_then(|key| key["id"].as_i64());
                return records.iter().filter_map(|record| id(record.key.as_deref()?)).collect();
            }
            assert!(Instant::now() < deadline, "{topic}: {} of {count}\n{}", records.len(), self.daemon.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn wait_log(&self, part: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.daemon.log().contains(part) {
            assert!(Instant::now() < deadline, "the log does not say {part:?}:\n{}", self.daemon.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn what_cannot_be_processed_is_passed_over_when_asked() {
    let mut stage = Stage::new("options-failures");
    stage.sql("CREATE DATABASE passed; CREATE TABLE passed.t (id INT PRIMARY KEY, s VARCHAR(100), v INT NOT NULL);");
    stage.sql("INSERT INTO passed.t VALUES (1, 'a', 1);");
    stage.create("passed", json!({ "event.processing.failure.handling.mode": "warn" }));
    assert_eq!(stage.ids("passed", "t", 1), [1]);
    stage.sql("SET SESSION binlog_row_image=MINIMAL; UPDATE passed.t SET s='b' WHERE id=1;");
    stage.sql("INSERT INTO passed.t VALUES (2, 'c', 1);");
    stage.sql("SET SESSION binlog_format=STATEMENT; INSERT INTO passed.t VALUES (3, 'd', 1);");
    stage.sql("INSERT INTO passed.t VALUES (4, 'e', 1);");
    assert_eq!(stage.ids("passed", "t", 3), [1, 2, 4]);
    for said in ["binlog_row_image=FULL", "binlog_format=ROW", "it is passed over"] {
        stage.wait_log(said);
    }
    stage.daemon.wait_running("passed");
    assert_eq!(stage.daemon.stop(), Some(0));
}

#[test]
fn rows_of_gtid_sources_that_are_left_out_are_not_published() {
    let mut stage = Stage::new("options-gtids");
    let own = stage.sql("SELECT @@server_uuid").trim().to_owned();
    let other = "0aaaaaaa-0000-0000-0000-00000000000a";
    stage.sql("CREATE DATABASE sources; CREATE TABLE sources.t (id INT PRIMARY KEY);");
    stage.sql("INSERT INTO sources.t VALUES (1);");
    stage.create("sources", json!({ "gtid.source.excludes": own, "snapshot.mode": "no_data" }));
    stage.wait_log("Connected to binlog");
    stage.sql("INSERT INTO sources.t VALUES (2);");
    stage.sql(&format!("SET GTID_NEXT='{other}:1'; INSERT INTO sources.t VALUES (3); SET GTID_NEXT=AUTOMATIC;"));
    stage.sql("INSERT INTO sources.t VALUES (4);");
    stage.sql(&format!("SET GTID_NEXT='{other}:2'; INSERT INTO sources.t VALUES (5); SET GTID_NEXT=AUTOMATIC;"));
    assert_eq!(stage.ids("sources", "t", 2), [3, 5]);
    assert_eq!(stage.daemon.stop(), Some(0));
}

#[test]
fn tables_are_read_by_size_and_counted() {
    let mut stage = Stage::new("options-tables");
    stage.sql("CREATE DATABASE sizes; CREATE TABLE sizes.a (id INT PRIMARY KEY); CREATE TABLE sizes.b LIKE sizes.a;");
    let values = |rows: u32| (1..=rows).map(|n| format!("({n})")).collect::<Vec<_>>().join(",");
    stage.sql(&format!("INSERT INTO sizes.a VALUES {};", values(10)));
    stage.sql(&format!("INSERT INTO sizes.b VALUES {}; ANALYZE TABLE sizes.a, sizes.b;", values(500)));
    let order = json!({ "snapshot.tables.order.by.row.count": "descending", "snapshot.fetch.size": "100",
                        "guardrail.collections.max": "1" });
    stage.create("sizes", order);
    stage.wait_log("records for table 'sizes.a'");
    let log = stage.daemon.log();
    let place = |table: &str| log.find(&format!("records for table 'sizes.{table}'"));
    assert!(place("b") < place("a"), "the larger table is read first:\n{log}");
    for said in ["guardrail.collections.max allows 1", "snapshot.fetch.size is set and changes nothing here"] {
        assert!(log.contains(said), "{said}\n{log}");
    }
    stage.daemon.wait_running("sizes");

    stage.create(
        "sizes2",
        json!({ "database.include.list": "sizes", "guardrail.collections.max": "1",
                                   "guardrail.collections.limit.action": "fail" }),
    );
    let trace = stage.daemon.wait_failed("sizes2");
    assert!(trace.contains("2 tables are captured") && trace.contains("guardrail.collections.max"), "{trace}");
    assert_eq!(stage.daemon.stop(), Some(0));
}

#[test]
fn heartbeats_run_their_statement_while_nothing_happens() {
    let mut stage = Stage::new("options-heartbeats");
    stage.sql("CREATE DATABASE beats; CREATE TABLE beats.t (id INT PRIMARY KEY); CREATE TABLE beats.b (id INT PRIMARY KEY, n INT);");
    stage.sql("INSERT INTO beats.b VALUES (1, 0);");
    let action = "UPDATE beats.b SET n = n + 1 WHERE id = 1";
    stage.create(
        "beats",
        json!({ "table.include.list": "beats.t", "heartbeat.interval.ms": "500",
                                  "heartbeat.action.query": action }),
    );
    let deadline = Instant::now() + Duration::from_secs(30);
    while stage.sql("SELECT n FROM beats.b").trim().parse::<u32>().expect("a number") < 3 {
        assert!(Instant::now() < deadline, "the statement is not run\n{}", stage.daemon.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let beats = topics::read(stage.servers.bootstrap(), "__debezium-heartbeat.beats").len();
    assert!(beats >= 3, "{beats} heartbeats");

    // A table that is not there yet may come; a statement that is wrong stays so.
    stage.create(
        "beats2",
        json!({ "database.include.list": "beats", "heartbeat.interval.ms": "300",
                                   "heartbeat.action.query": "UPDATE beats.none SET n = 1" }),
    );
    stage.wait_log("Could not execute heartbeat action (Error: 42S02)");
    stage.daemon.wait_running("beats2");
    stage.create(
        "beats3",
        json!({ "database.include.list": "beats", "heartbeat.interval.ms": "300",
                                   "heartbeat.action.query": "UPDATE what" }),
    );
    let trace = stage.daemon.wait_failed("beats3");
    assert!(trace.contains("(Error: 42000)") && trace.contains("heartbeat.action.query"), "{trace}");
    assert_eq!(stage.daemon.stop(), Some(0));
}
