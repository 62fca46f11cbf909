//! A standalone worker: connectors from the command line, offsets in the file that Connect's standalone worker uses.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{daemon::Daemon, mysql::sql, servers::Servers, topics};

fn ids(bootstrap: &str, topic: &str) -> Vec<i64> {
    let key = |record: &topics::Record| serde_json::from_slice::<Value>(record.key.as_deref().unwrap_or_default());
    let records = topics::read(bootstrap, topic);
    records.iter().map(|record| key(record).ok().and_then(|key| key["id"].as_i64()).expect("a key")).collect()
}

fn wait_ids(daemon: &Daemon, bootstrap: &str, topic: &str, wanted: &[i64]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while ids(bootstrap, topic) != wanted {
        assert!(Instant::now() < deadline, "{topic}: {:?}, not {wanted:?}\n{}", ids(bootstrap, topic), daemon.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_standalone_worker_keeps_its_offsets_in_connects_file() {
    let servers = Servers::shared();
    let (mysql, bootstrap) = (servers.info("mysql8"), servers.bootstrap());
    sql(
        mysql,
        "CREATE DATABASE alone; CREATE TABLE alone.t (id INT PRIMARY KEY); INSERT INTO alone.t VALUES (1), (2);",
    );
    let connector = json!({ "name": "alone", "config": {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector", "tasks.max": "1",
        "database.hostname": "127.0.0.1", "database.port": servers.port("mysql8").to_string(),
        "database.user": "cdc", "database.password": "cdc", "database.server.id": "184455",
        "topic.prefix": "alone", "database.include.list": "alone",
        "schema.history.internal.kafka.bootstrap.servers": bootstrap,
        "schema.history.internal.kafka.topic": "alone-history",
        "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
    }});
    let before: Vec<String> = topics::list(bootstrap).into_iter().map(|(name, _)| name).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let mut daemon = Daemon::start_standalone(folder.path(), bootstrap, &[connector]);
    daemon.wait_running("alone");
    let topic = "alone.alone.t";
    sql(mysql, "INSERT INTO alone.t VALUES (3)");
    wait_ids(&daemon, bootstrap, topic, &[1, 2, 3]);
    assert_eq!(daemon.stop(), Some(0));

    // Java's HashMap with the connector's key; nothing of the worker's own is in Kafka.
    let bytes = std::fs::read(folder.path().join("offsets")).expect("the offset file");
    assert!(bytes.starts_with(b"\xac\xed\0\x05sr\0\x11java.util.HashMap"));
    let key = br#"["alone",{"server":"alone"}]"#;
    assert!(bytes.windows(key.len()).any(|window| window == key), "{:?}", String::from_utf8_lossy(&bytes));
    let new = topics::list(bootstrap).into_iter().map(|(name, _)| name).filter(|name| !before.contains(name));
    let mut new: Vec<String> = new.filter(|name| name.starts_with("alone") || name.starts_with("connect-")).collect();
    new.sort();
    assert_eq!(new, ["alone", "alone-history", "alone.alone.t"]);

    sql(mysql, "INSERT INTO alone.t VALUES (4)");
    daemon.restart();
    wait_ids(&daemon, bootstrap, topic, &[1, 2, 3, 4]);

    // A kill loses nothing, and what the file had settled is not read again.
    let position = |daemon: &Daemon| daemon.get("/connectors/alone/offsets").expect("offsets").1;
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut last = position(&daemon);
    loop {
        std::thread::sleep(Duration::from_millis(1500));
        let now = position(&daemon);
        if now == last {
            break;
        }
        assert!(Instant::now() < deadline, "the offset does not settle: {now}");
        last = now;
    }
    daemon.kill();
    sql(mysql, "INSERT INTO alone.t VALUES (5)");
    daemon.restart();
    wait_ids(&daemon, bootstrap, topic, &[1, 2, 3, 4, 5]);

    // Offsets are deleted in the file too: all rows are read again.
    daemon.wait_running("alone");
    assert_eq!(daemon.send("PUT", "/connectors/alone/stop", None).0, 204);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (code, answer) = daemon.send("DELETE", "/connectors/alone/offsets", None);
        if code == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "{answer}");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(position(&daemon), json!({ "offsets": [] }));
    // Target states are in memory: the connector of the command line runs again.
    assert_eq!(daemon.stop(), Some(0));
    daemon.restart();
    wait_ids(&daemon, bootstrap, topic, &[1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);
    assert_eq!(daemon.stop(), Some(0));
}
