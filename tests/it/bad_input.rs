//! What a person does wrong, and what the world does: each gives one clear error that says what to do, with the right
//! exit code, answer or state, while others run on and no offset moves.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, free_port},
    mysql::sql,
    secrets::{PASSWORD, ROW, USER},
    servers::Servers,
    topics,
};

const WORKER: &str = "key.converter.schemas.enable=false\nvalue.converter.schemas.enable=false\n\
                      session.timeout.ms=6000\nheartbeat.interval.ms=2000\n";

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

/// The daemon's last words, without the log lines before it.
fn last_words(log: &str) -> &str {
    log.find("afterimage: ").and_then(|at| log.get(at..)).unwrap_or_else(|| panic!("no error is told:\n{log}"))
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    let servers = Servers::shared();
    let folder = tempfile::tempdir().expect("a folder");
    let dir = |name: &str| folder.path().join(name);
    let away = format!("127.0.0.1:{}", free_port());
    let mut unreachable = Daemon::spawn(&dir("away"), &away, "bad-away", "");
    let began = Instant::now();

    let mut first = Daemon::start(&dir("first"), servers.bootstrap(), "bad-first", WORKER);
    let state = format!("afterimage.state.dir={}\n", dir("first").join("state").display());
    let mut second = Daemon::spawn(&dir("second"), servers.bootstrap(), "bad-second", &state);
    let (code, log) = second.ended(Duration::from_secs(30));
    assert_eq!(code, Some(3), "{log}");
    says(last_words(&log), &["first/state/connect", &first.pid().to_string(), "afterimage.state.dir"]);

    let mut member = Daemon::spawn(&dir("member"), servers.bootstrap(), "bad-first", WORKER);
    let (code, log) = member.ended(Duration::from_secs(60));
    assert_eq!(code, Some(3), "{log}");
    says(last_words(&log), &["bad-first", "group.id"]);
    assert!(matches!(first.get("/connectors"), Some((200, _))), "the first member goes on");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    for key in ["listeners", "afterimage.admin.listeners"] {
        let line = format!("{key}=http://127.0.0.1:{port}\n");
        let mut daemon = Daemon::spawn(&dir(key), servers.bootstrap(), "bad-port", &line);
        let (code, log) = daemon.ended(Duration::from_secs(30));
        assert_eq!(code, Some(3), "{log}");
        says(last_words(&log), &[key, &port.to_string(), "in use"]);
    }

    std::fs::write(dir("file"), "not a folder").expect("a file");
    let line = format!("afterimage.state.dir={}\n", dir("file").display());
    let mut daemon = Daemon::spawn(&dir("unwritable"), servers.bootstrap(), "bad-file", &line);
    let (code, log) = daemon.ended(Duration::from_secs(30));
    assert_eq!(code, Some(1), "{log}");
    says(last_words(&log), &["state folder", "file", "afterimage.state.dir"]);

    let mut daemon = Daemon::spawn(&dir("wrong"), servers.bootstrap(), "bad-key", "offset.flush.interval.ms=soon\n");
    let (code, log) = daemon.ended(Duration::from_secs(30));
    assert_eq!(code, Some(3), "{log}");
    says(last_words(&log), &["offset.flush.interval.ms", "soon"]);

    let (code, text) = first.send_text("POST", "/connectors", Some("{\"name\": \"broken\", \"config\": {".into()));
    assert_eq!(code, 400, "a broken body is the client's fault: {text}");
    says(&text, &["\"error_code\":400", "\"message\""]);
    assert_eq!(first.get("/connectors"), Some((200, json!([]))));
    assert_eq!(first.stop(), Some(0));

    let (code, log) = unreachable.ended(Duration::from_secs(90));
    assert_eq!(code, Some(1), "{log}");
    assert!(began.elapsed() >= Duration::from_secs(55), "a broker is given a minute: {:?}", began.elapsed());
    says(last_words(&log), &[&away, "bootstrap.servers"]);
}

/// A daemon with a connector that must run on whatever others do.
struct Stage {
    servers: Servers,
    daemon: Daemon,
}

impl Stage {
    fn config(&self, name: &str, more: Value) -> Value {
        let mut config = json!({
            "connector.class": "io.debezium.connector.mysql.MySqlConnector", "tasks.max": "1",
            "database.hostname": "127.0.0.1", "database.port": self.servers.port("mysql8").to_string(),
            "database.user": USER, "database.password": PASSWORD,
            "database.server.id": (190_000 + name.bytes().map(u32::from).sum::<u32>()).to_string(),
            "topic.prefix": name, "database.include.list": name,
            "schema.history.internal.kafka.bootstrap.servers": self.servers.bootstrap(),
            "schema.history.internal.kafka.topic": format!("{name}-history"),
            "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
            "retriable.restart.connector.wait.ms": "300", "errors.max.retries": "3",
        });
        for (key, value) in more.as_object().expect("an object") {
            match value {
                Value::Null => drop(config.as_object_mut().expect("an object").shift_remove(key)),
                value => config[key] = value.clone(),
            }
        }
        json!({ "name": name, "config": config })
    }

    fn sql(&self, text: &str) -> String {
        sql(self.servers.info("mysql8"), text)
    }

    /// A database with a row, and a connector that reads it.
    fn running(&self, name: &str, more: Value) {
        self.sql(&format!("CREATE DATABASE {name}; CREATE TABLE {name}.t (id INT PRIMARY KEY, s VARCHAR(100));"));
        self.sql(&format!("INSERT INTO {name}.t VALUES (1, '{ROW}');"));
        self.daemon.create(&self.config(name, more));
        self.wait_rows(name, 1);
    }

    fn wait_rows(&self, name: &str, rows: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let topic = format!("{name}.{name}.t");
        while topics::list(self.servers.bootstrap()).iter().all(|(name, _)| *name != topic)
            || topics::read(self.servers.bootstrap(), &topic).len() < rows
        {
            assert!(Instant::now() < deadline, "{topic} has no {rows} records\n{}", self.daemon.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The task fails and says all of `parts`.
    fn fails(&self, name: &str, parts: &[&str]) {
        let trace = self.daemon.wait_failed(name);
        says(&trace, parts);
    }

    fn offset(&self, name: &str) -> Value {
        self.daemon.get(&format!("/connectors/{name}/offsets")).unwrap_or_default().1
    }

    /// Waits for the offset of what was read so far to be committed.
    fn settled_offset(&self, name: &str) -> Value {
        let executed = self.sql("SELECT @@GLOBAL.gtid_executed");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let offset = self.offset(name);
            let position = &offset["offsets"][0]["offset"];
            // What a snapshot commits before its end names the same GTIDs.
            if position["gtids"] == executed.trim() && position.get("snapshot").is_none() {
                return offset;
            }
            assert!(Instant::now() < deadline, "{name} commits no offset up to {executed}: {offset}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn restart(&self, name: &str) {
        let (code, answer) = self.daemon.send("POST", &format!("/connectors/{name}/tasks/0/restart"), None);
        assert_eq!(code, 204, "{answer}");
    }
}

#[test]
fn a_connector_that_cannot_run_says_why_and_moves_no_offset() {
    let servers = Servers::start(&["mysql8", "kafka"], &["kafka.auto.create.topics.enable=false"]);
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(folder.path(), servers.bootstrap(), "bad", WORKER);
    let mut stage = Stage { servers, daemon };
    stage.running("good", json!({}));

    // A topic that nobody creates: judged after a minute, at the end.
    stage.sql("CREATE DATABASE nowhere; CREATE TABLE nowhere.t (id INT PRIMARY KEY, s VARCHAR(100));");
    stage.sql(&format!("INSERT INTO nowhere.t VALUES (1, '{ROW}');"));
    let none = json!({ "topic.creation.default.partitions": null, "topic.creation.default.replication.factor": null,
                       "include.schema.changes": "false" });
    stage.daemon.create(&stage.config("nowhere", none));

    wrong_password(&stage);
    missing_privilege(&stage);
    statements_and_partial_rows(&stage);
    settings_at_the_start(&stage);
    purged_position(&stage);

    stage.sql("CREATE DATABASE nothing;");
    stage.daemon.create(&stage.config("nothing", json!({ "table.include.list": "empty.no_such_table" })));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !stage.daemon.log().contains("nothing is captured") {
        assert!(Instant::now() < deadline, "no warning about a list that matches nothing");
        std::thread::sleep(Duration::from_millis(100));
    }
    stage.daemon.wait_running("nothing");

    stage.fails("nowhere", &["nowhere.nowhere.t", "topic.creation.default.partitions"]);
    assert_eq!(stage.offset("nowhere"), json!({ "offsets": [] }), "nothing was delivered");

    // All the while:
    stage.daemon.wait_running("good");
    stage.sql(&format!("INSERT INTO good.t VALUES (99, '{ROW}');"));
    stage.wait_rows("good", 2);
    assert!(stage.daemon.admin("/metrics").is_some_and(|(code, _)| code == 200));
    assert!(stage.daemon.get("/connectors?expand=status").is_some_and(|(code, _)| code == 200));
    assert_eq!(stage.daemon.stop(), Some(0));
}

fn wrong_password(stage: &Stage) {
    stage.sql(&format!("CREATE USER login@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO login@'%';"));
    let wrong = stage.config("login", json!({ "database.user": "login", "database.password": format!("{PASSWORD}x") }));
    let (code, answer) = stage.daemon.send("POST", "/connectors", Some(&wrong));
    assert_eq!(code, 400, "{answer}");
    let text = answer.to_string();
    says(&text, &["login", "database.password"]);

    // Changed while it runs.
    stage.running("login", json!({ "database.user": "login" }));
    let before = stage.settled_offset("login");
    stage.sql("ALTER USER login@'%' IDENTIFIED BY 'another';");
    let ids = stage.sql("SELECT id FROM information_schema.processlist WHERE user='login'");
    stage.sql(&ids.lines().map(|id| format!("KILL {id};")).collect::<String>());
    stage.fails("login", &["Failed to authenticate", "login", "database.password"]);
    assert_eq!(stage.offset("login"), before);
    stage.sql(&format!("ALTER USER login@'%' IDENTIFIED BY '{PASSWORD}'; INSERT INTO login.t VALUES (2, '{ROW}');"));
    stage.restart("login");
    stage.wait_rows("login", 2);
}

fn missing_privilege(stage: &Stage) {
    stage.sql(&format!(
        "CREATE DATABASE poor; CREATE TABLE poor.t (id INT PRIMARY KEY); CREATE USER poor@'%' IDENTIFIED BY '{PASSWORD}'; \
         GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION CLIENT ON *.* TO poor@'%';"
    ));
    let body = stage.config("poor", json!({ "database.user": "poor" }));
    let (code, answer) = stage.daemon.send("POST", "/connectors", Some(&body));
    assert_eq!(code, 201, "{answer}");
    stage.fails("poor", &["privilege", "'poor'", "REPLICATION SLAVE", "GRANT"]);
    stage.sql("GRANT REPLICATION SLAVE ON *.* TO poor@'%';");
    stage.restart("poor");
    stage.daemon.wait_running("poor");
}

/// A session that logs statements, or parts of rows only.
fn statements_and_partial_rows(stage: &Stage) {
    let write = |stage: &Stage, set: &str, statement: &str| {
        stage.sql(&format!("SET SESSION {set}; {statement};"));
    };
    for (name, set, parts) in [
        ("stmt", "binlog_format=STATEMENT", ["binlog_format=ROW", "statement", "binlog.0"]),
        ("image", "binlog_row_image=MINIMAL", ["binlog_row_image=FULL", "image.t", "binlog.0"]),
    ] {
        stage.running(name, json!({}));
        let before = stage.settled_offset(name);
        write(stage, set, &format!("UPDATE {name}.t SET s='{ROW} changed' WHERE id=1"));
        stage.fails(name, &parts);
        assert_eq!(stage.offset(name), before, "{name}: an offset moved past what was not read");
        assert_eq!(topics::read(stage.servers.bootstrap(), &format!("{name}.{name}.t")).len(), 1);
        stage.restart(name);
        stage.fails(name, &parts);
        assert_eq!(stage.offset(name), before);
    }
    stage.daemon.wait_running("good");
}

/// The same as the server's own setting, seen when a task starts.
fn settings_at_the_start(stage: &Stage) {
    for (variable, wrong, right) in [("binlog_format", "STATEMENT", "ROW"), ("binlog_row_image", "MINIMAL", "FULL")] {
        let before = stage.settled_offset("login");
        stage.sql(&format!("SET GLOBAL {variable}={wrong}"));
        stage.restart("login");
        stage.fails("login", &[variable, &format!("{variable}={right}")]);
        assert_eq!(stage.offset("login"), before);
        stage.sql(&format!("SET GLOBAL {variable}={right}"));
        stage.restart("login");
        stage.daemon.wait_running("login");
    }
}

fn purged_position(stage: &Stage) {
    stage.running("purged", json!({}));
    stage.settled_offset("purged");
    let (code, _) = stage.daemon.send("PUT", "/connectors/purged/stop", None);
    assert_eq!(code, 204);
    let before = stage.offset("purged");
    stage.sql(&format!(
        "INSERT INTO purged.t VALUES (2, '{ROW}'); FLUSH LOGS; INSERT INTO purged.t VALUES (3, '{ROW}');"
    ));
    let newest = stage.sql("SHOW MASTER STATUS");
    let newest = newest.split('\t').next().expect("a file");
    // The others must have read on before their files go.
    stage.settled_offset("good");
    stage.sql(&format!("PURGE BINARY LOGS TO '{newest}'"));
    let (code, _) = stage.daemon.send("PUT", "/connectors/purged/resume", None);
    assert_eq!(code, 202);
    stage.fails("purged", &["no longer available", "purged", "DELETE its offsets"]);
    assert_eq!(stage.offset("purged"), before);
}

/// A small file system, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir_all(at).expect("a folder");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(at).status();
        assert!(status.is_ok_and(|status| status.success()), "mounting a small file system needs root");
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_connectors_and_loses_nothing() {
    let servers = Servers::shared();
    let folder = tempfile::tempdir().expect("a folder");
    let disk = SmallDisk::mount(&folder.path().join("disk"));
    let line = format!("{WORKER}afterimage.state.dir={}\n", disk.0.join("state").display());
    let daemon = Daemon::start(folder.path(), servers.bootstrap(), "full", &line);
    let mysql = servers.info("mysql8");
    sql(mysql, "CREATE DATABASE fulldisk; CREATE TABLE fulldisk.t (id INT PRIMARY KEY, s VARCHAR(100));");
    let body = json!({ "name": "fulldisk", "config": {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector", "tasks.max": "1",
        "database.hostname": "127.0.0.1", "database.port": servers.port("mysql8").to_string(),
        "database.user": USER, "database.password": PASSWORD, "database.server.id": "184321",
        "topic.prefix": "fulldisk", "database.include.list": "fulldisk",
        "schema.history.internal.kafka.bootstrap.servers": servers.bootstrap(),
        "schema.history.internal.kafka.topic": "fulldisk-history",
        "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
    }});
    let mut daemon = daemon;
    daemon.create(&body);
    sql(mysql, "INSERT INTO fulldisk.t VALUES (0, 'before')");
    let fill = disk.0.join("fill");
    let mut filled = Command::new("dd")
        .args(["if=/dev/zero", "bs=4k", "status=none"])
        .arg(format!("of={}", fill.display()))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("dd");
    assert!(!filled.wait().expect("dd ends").success(), "the disk is full");
    // The log that the store writes has some room left in its last block.
    let mut rows = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    let trace = loop {
        rows += 1;
        sql(mysql, &format!("INSERT INTO fulldisk.t VALUES ({rows}, 'while full')"));
        let (_, status) = daemon.get("/connectors/fulldisk/status").unwrap_or_default();
        if status["tasks"][0]["state"] == "FAILED" {
            break status["tasks"][0]["trace"].to_string();
        }
        assert!(Instant::now() < deadline, "the task does not fail on a full disk: {status}");
        std::thread::sleep(Duration::from_millis(100));
    };
    says(&trace, &["disk", "full", "state", "free space"]);
    std::fs::remove_file(&fill).expect("room again");
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
    daemon.restart();
    let (_, status) = daemon.get("/connectors/fulldisk/status").unwrap_or_default();
    if status["tasks"][0]["state"] != "RUNNING" {
        daemon.wait_running("fulldisk");
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let keys: std::collections::BTreeSet<_> =
            topics::read(servers.bootstrap(), "fulldisk.fulldisk.t").into_iter().map(|record| record.key).collect();
        if keys.len() == rows + 1 {
            return;
        }
        assert!(Instant::now() < deadline, "{} of {} rows\n{}", keys.len(), rows + 1, daemon.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}
