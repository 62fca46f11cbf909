//! A connector moves from the real Debezium to us and back: same group, same three topics, same schema history. The
//! stored offset and the history of the one are all that the other needs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, request},
    mysql::sql,
    secrets::{PASSWORD, USER},
    servers::Servers,
    topics,
};

const NAME: &str = "takeover";
const TOPIC: &str = "takeover.takeover.items";
/// Rows of a transaction that is being published while its publisher goes.
const LARGE: i64 = 150_000;
/// Rows of it that are published by then, at least.
const BEGUN: i64 = 10_000;

struct Scene {
    servers: Servers,
    next: i64,
    begun: Instant,
}

impl Scene {
    fn sql(&self, text: &str) -> String {
        sql(self.servers.info("mysql8"), &format!("USE takeover;{text}"))
    }

    /// A transaction of several events of several rows each.
    fn small(&mut self) {
        let first = self.next;
        self.next += 5;
        self.sql(&format!(
            "BEGIN; INSERT INTO items (id) VALUES ({first}),({}),({}); INSERT INTO items (id) VALUES ({}),({}); COMMIT",
            first + 1,
            first + 2,
            first + 3,
            first + 4
        ));
    }

    fn large(&mut self) {
        let first = self.next;
        self.next += LARGE;
        self.sql(&format!("INSERT INTO items (id) SELECT n + {first} FROM numbers WHERE n < {LARGE}"));
    }

    /// Records of the topic so far.
    fn published(&self) -> i64 {
        topics::count(self.servers.bootstrap(), TOPIC)
    }

    fn wait(&self, what: &str, records: i64) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.published() < records {
            assert!(Instant::now() < deadline, "{what}: {} of {records} records came", self.published());
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("takeover: {what} after {:.1} s", self.begun.elapsed().as_secs_f32());
    }

    /// The newest stored offset of the connector.
    fn offset(&self) -> Value {
        let key = json!([NAME, {"server": "takeover"}]).to_string();
        let records = topics::read(self.servers.bootstrap(), "takeover-offsets");
        let ours: Vec<_> = records.iter().filter(|record| record.key.as_deref() == Some(key.as_bytes())).collect();
        let partition = ours.last().expect("an offset is stored").partition;
        assert!(ours.iter().all(|record| record.partition == partition), "offsets of one key are in one partition");
        let value = ours.last().and_then(|record| record.value.as_deref()).expect("an offset");
        serde_json::from_slice(value).expect("JSON")
    }

    fn start_connect(&self) {
        let answer = self.servers.tell("start", "connect");
        assert!(answer.get("error").is_none(), "{answer}");
        self.wait_connect();
    }

    fn wait_connect(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = request(self.servers.port("connect"), "GET", &format!("/connectors/{NAME}/status"), None);
            let (_, status) = answer.unwrap_or((0, Value::Null));
            assert_ne!(status["tasks"][0]["state"], "FAILED", "{}", status["tasks"][0]["trace"]);
            if status["tasks"][0]["state"] == "RUNNING" {
                return;
            }
            assert!(Instant::now() < deadline, "Kafka Connect does not run the connector: {status}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn start_daemon(&self, round: u32) -> Daemon {
        let dir = self.servers.dir().join(format!("daemon-{round}"));
        let daemon = Daemon::start(&dir, self.servers.bootstrap(), "takeover", "");
        daemon.wait_running(NAME);
        daemon
    }
}

/// The members of an offset that stands inside a transaction, and of one that stands between two.
fn check_offset(offset: &Value) {
    let members: Vec<&str> = offset.as_object().expect("an object").keys().map(String::as_str).collect();
    for needed in ["ts_sec", "file", "pos", "gtids", "server_id"] {
        assert!(members.contains(&needed), "{needed} is missing in {offset}");
    }
    let inside = ["event", "row"];
    let known =
        |member: &&str| ["ts_sec", "file", "pos", "gtids", "server_id"].contains(member) || inside.contains(member);
    assert!(members.iter().all(known), "{offset} has members that Debezium's offsets have not");
    assert!(offset["file"].is_string() && offset["gtids"].is_string(), "{offset}");
    for number in members.iter().filter(|member| !["file", "gtids"].contains(member)) {
        assert!(offset[number].is_u64(), "{number} of {offset} is a number");
    }
}

#[test]
fn a_connector_moves_from_debezium_to_us_and_back() {
    let servers = Servers::start(
        &["mysql8", "kafka", "connect"],
        &[
            "connect.group.id=takeover",
            "connect.config.storage.topic=takeover-configs",
            "connect.offset.storage.topic=takeover-offsets",
            "connect.status.storage.topic=takeover-status",
            "connect.offset.flush.interval.ms=500",
            "connect.exactly.once.source.support=disabled",
        ],
    );
    let mut scene = Scene { servers, next: 1, begun: Instant::now() };
    sql(
        scene.servers.info("mysql8"),
        "CREATE DATABASE takeover; USE takeover; CREATE TABLE items (id INT PRIMARY KEY, v VARCHAR(20) DEFAULT 'v');
         CREATE TABLE numbers (n INT PRIMARY KEY); SET SESSION cte_max_recursion_depth = 1000000;",
    );
    scene.sql(&format!(
        "SET SESSION cte_max_recursion_depth = 1000000; INSERT INTO numbers
         WITH RECURSIVE r AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM r WHERE n < {LARGE}) SELECT n FROM r"
    ));
    scene.small();
    let mysql = scene.servers.info("mysql8");
    let body = json!({"name": NAME, "config": {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector", "tasks.max": "1",
        "database.hostname": mysql["host"], "database.port": scene.servers.port("mysql8").to_string(),
        "database.user": USER, "database.password": PASSWORD, "database.server.id": "5601", "topic.prefix": "takeover",
        "table.include.list": "takeover.items", "poll.interval.ms": "20",
        "schema.history.internal.kafka.bootstrap.servers": scene.servers.bootstrap(),
        "schema.history.internal.kafka.topic": "takeover-history",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "false",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
    }});
    let created = request(scene.servers.port("connect"), "POST", "/connectors", Some(&body)).expect("an answer");
    assert_eq!(created.0, 201, "{}", created.1);
    scene.wait_connect();
    scene.wait("Debezium's snapshot", 5);

    // Debezium streams, and stops at rest behind a statement and a transaction.
    scene.small();
    scene.sql("ALTER TABLE items ADD COLUMN debezium INT DEFAULT 1");
    scene.small();
    scene.wait("Debezium's stream", 15);
    scene.servers.tell("stop", "connect");
    let theirs = scene.offset();
    check_offset(&theirs);

    // We go on from its offset and its history; changes made meanwhile are there.
    scene.small();
    let mut daemon = scene.start_daemon(1);
    scene.wait("changes made while nobody ran", 20);
    scene.sql("ALTER TABLE items ADD COLUMN afterimage INT DEFAULT 2");
    scene.small();
    scene.wait("our stream", 25);
    assert_eq!(daemon.stop(), Some(0));
    let ours = scene.offset();
    assert_ne!(ours, theirs);
    check_offset(&ours);

    // Debezium goes on from ours, and is killed inside a transaction.
    scene.small();
    scene.start_connect();
    scene.wait("Debezium after us", 30);
    assert_eq!(scene.published(), 30, "nothing is published twice when its publisher stops at rest");
    scene.large();
    scene.wait("a part of the first large transaction", 30 + BEGUN);
    scene.servers.tell("kill", "connect");
    let inside = scene.offset();
    assert!(inside["event"].is_u64(), "{inside} stands inside the transaction");
    assert!(scene.published() < 30 + LARGE);

    // We finish that transaction, and stop inside the next.
    let mut daemon = scene.start_daemon(2);
    let repeated = || scene.published() - 30 - LARGE;
    scene.wait("the rest of the first large transaction", 30 + LARGE);
    scene.sql("INSERT INTO items (id) VALUES (0)");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !topics::last(scene.servers.bootstrap(), TOPIC).contains("\"after\":{\"id\":0,") {
        assert!(Instant::now() < deadline, "the transaction after the large one is not published");
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = repeated() + 30 + LARGE;
    scene.large();
    scene.wait("a part of the second large transaction", before + BEGUN);
    assert_eq!(daemon.stop(), Some(0));
    let inside = scene.offset();
    check_offset(&inside);
    assert!(inside["event"].is_u64(), "{inside} stands inside the transaction");
    let at_stop = scene.published();
    assert!(at_stop < before + LARGE, "the stop came inside the transaction");

    // Debezium finishes that one without repeating a row.
    scene.small();
    scene.start_connect();
    scene.wait("Debezium after our stop inside a transaction", before + LARGE + 5);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(scene.published(), before + LARGE + 5, "nothing is missing and nothing published twice");
    check_order(&scene);
}

/// All rows, in the order of their numbers; one step back, where Debezium was killed.
fn check_order(scene: &Scene) {
    let records = topics::read(scene.servers.bootstrap(), TOPIC);
    let (mut reached, mut back) = (0i64, 0);
    let mut previous = 0i64;
    for record in &records {
        let value: Value = serde_json::from_slice(record.value.as_deref().expect("a row")).expect("JSON");
        let id = value["after"]["id"].as_i64().expect("id");
        if id == 0 {
            continue;
        }
        assert!(id <= reached + 1, "rows {} to {} are missing", reached + 1, id - 1);
        back += i32::from(id <= previous);
        (previous, reached) = (id, reached.max(id));
        let columns: Vec<&str> = value["after"].as_object().expect("a row").keys().map(String::as_str).collect();
        let wanted = match id {
            1..=10 => &["id", "v"][..],
            11..=20 => &["id", "v", "debezium"],
            _ => &["id", "v", "debezium", "afterimage"],
        };
        assert_eq!(columns, wanted, "row {id} has the columns of its time");
    }
    assert_eq!(reached, scene.next - 1);
    assert!(back <= 1, "the reader went back {back} times");
}
