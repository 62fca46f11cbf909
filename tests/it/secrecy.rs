//! Secrets and row values in every place where they are handled: good rows, rows that fail, definitions, refused
//! requests, broken bodies. The daemon's harness looks at all answers, the log at TRACE and the state folder; here are the
//! occasions, and the internal topics.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    daemon::Daemon,
    mysql::sql,
    run::{self, WORKER},
    secrets::{self, DDL, May, PASSWORD, PROVIDED, ROW, USER},
    servers::Servers,
    topics,
};

const GROUP: &str = "secrecy";
const CLASS: &str = "io.debezium.connector.mysql.MySqlConnector";

struct Stage<'s> {
    servers: &'s Servers,
    daemon: Daemon,
    server_id: u32,
}

impl Stage<'_> {
    fn sql(&self, text: &str) {
        sql(self.servers.info("mysql8"), text);
    }

    /// A database whose table has a row, and its connector's configuration with secrets in all its parts.
    fn connector(&mut self, name: &str, more: &Value) -> Value {
        self.sql(&format!(
            "CREATE DATABASE {name}; CREATE TABLE {name}.t (k VARCHAR(100) PRIMARY KEY, s LONGTEXT, j JSON);
             INSERT INTO {name}.t VALUES ('{ROW} as a key', '{ROW}', '{{\"a\": \"{ROW}\"}}');"
        ));
        self.server_id += 1;
        let mut config = json!({
            "database.ssl.truststore.password": PASSWORD, "database.ssl.keystore.password": PASSWORD,
            "producer.override.ssl.truststore.password": PASSWORD, "producer.override.ssl.key.password": PASSWORD,
            "schema.history.internal.producer.ssl.truststore.password": PASSWORD,
            "schema.history.internal.consumer.ssl.keystore.password": PASSWORD,
            "admin.override.ssl.truststore.password": PASSWORD,
            "producer.override.sasl.jaas.config": jaas(),
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        run::connector(self.servers, name, self.server_id, &config)
    }

    fn wait_records(&self, topic: &str, count: i64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while topics::list(self.servers.bootstrap()).iter().all(|(name, _)| name != topic)
            || topics::count(self.servers.bootstrap(), topic) < count
        {
            assert!(Instant::now() < deadline, "{topic} has no {count} records\n{}", self.daemon.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Looks at everything that is said of a connector.
    fn look(&self, name: &str) {
        for path in ["", "/status", "/config", "/tasks", "/tasks/0/status", "/topics", "/offsets"] {
            let answer = self.daemon.get(&format!("/connectors/{name}{path}"));
            assert!(answer.is_some_and(|(code, _)| code == 200), "{name}{path}");
        }
        let (code, _) = self.daemon.admin(&format!("/api/connectors/{name}/progress")).expect("progress");
        assert_eq!(code, 200);
    }

    fn fails(&self, name: &str, says: &str) {
        let trace = self.daemon.wait_failed(name);
        assert!(trace.contains(says), "{says:?} is missing in {trace}");
        self.look(name);
    }
}

fn jaas() -> String {
    format!("org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"{PASSWORD}\";")
}

#[test]
fn secrets_and_row_values_are_seen_nowhere_else() {
    let servers = Servers::shared();
    let folder = tempfile::tempdir().expect("a folder");
    let provided = folder.path().join("secrets.properties");
    std::fs::write(&provided, format!("password={PROVIDED}\n")).expect("the file of secrets");
    let worker = format!(
        "{WORKER}afterimage.memory.limit=536870912\nconfig.providers=file\nproducer.ssl.truststore.password={PASSWORD}\nssl.key.password={PASSWORD}\n\
         config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n"
    );
    let daemon = Daemon::start(folder.path(), servers.bootstrap(), GROUP, &worker);
    let mut stage = Stage { servers, daemon, server_id: 184_600 };
    stage.sql(&format!("CREATE USER provided@'%' IDENTIFIED BY '{PROVIDED}'; GRANT ALL ON *.* TO provided@'%'"));

    good_rows_and_definitions(&mut stage, &provided.display().to_string());
    rows_that_fail(&mut stage);
    refused_requests(&mut stage);

    let (code, metrics) = stage.daemon.admin("/metrics").expect("metrics");
    assert!(code == 200 && metrics.contains("secretgood"), "{metrics}");
    for query in ["status", "info"] {
        assert!(stage.daemon.get(&format!("/connectors?expand={query}")).is_some_and(|(code, _)| code == 200));
    }
    assert_eq!(stage.daemon.stop(), Some(0), "{}", stage.daemon.log());

    // A password that the connector's record shows must be there; so the places looked at are the right ones.
    let config = everything(servers, &format!("{GROUP}-configs"));
    assert!(secrets::find(May::Nothing, &config).is_some(), "the config topic holds configurations");
    secrets::check("the config topic", May::Password, &config);
    for topic in ["offsets", "status"] {
        let records = everything(servers, &format!("{GROUP}-{topic}"));
        assert!(!records.is_empty());
        secrets::check(&format!("the {topic} topic"), May::Nothing, &records);
    }
    let history = everything(servers, "secretgood-history");
    assert!(String::from_utf8_lossy(&history).contains(DDL), "definitions are what a schema history is for");
    secrets::check("the schema history", May::Schemas, &history);
    let rows = everything(servers, "secretgood.secretgood.t");
    assert!(String::from_utf8_lossy(&rows).contains(ROW), "row values are what a data topic is for");
    secrets::check_files("the state folder", May::Schemas, &folder.path().join("state"));
    let log = stage.daemon.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is at its finest");
}

/// Keys and values of all records of a topic.
fn everything(servers: &Servers, topic: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for record in topics::read(servers.bootstrap(), topic) {
        all.extend(record.key.unwrap_or_default());
        all.push(b'\n');
        all.extend(record.value.unwrap_or_default());
        all.push(b'\n');
    }
    all
}

/// Rows, their duplicates, statements that are understood and that are not, in captured and in other databases.
fn good_rows_and_definitions(stage: &mut Stage<'_>, secrets: &str) {
    let name = "secretgood";
    let password = format!("${{file:{secrets}:password}}");
    // The heartbeat's statement fails from the second time on, and the server quotes the value.
    let query = "INSERT INTO secretbeat.t SELECT k FROM secretgood.t LIMIT 1";
    let more = json!({ "database.user": "provided", "database.password": password, "heartbeat.interval.ms": "200",
                       "heartbeat.action.query": query });
    stage.sql("CREATE DATABASE secretbeat; CREATE TABLE secretbeat.t (k VARCHAR(100) PRIMARY KEY)");
    let body = stage.connector(name, &more);
    stage.daemon.create(&body);
    stage.wait_records("secretgood.secretgood.t", 1);
    stage.sql(&format!(
        "USE {name}; INSERT INTO t VALUES ('{ROW} 2', '{ROW}', NULL); UPDATE t SET s='{ROW} once more' WHERE k='{ROW} 2';
         UPDATE t SET k='{ROW} 3' WHERE k='{ROW} 2'; DELETE FROM t WHERE k='{ROW} 3';
         CREATE TABLE nokey (s VARCHAR(100)); INSERT INTO nokey VALUES ('{ROW}'), ('{ROW}');
         ALTER TABLE t ADD d VARCHAR(60) DEFAULT '{DDL}' COMMENT '{DDL}';
         ALTER TABLE t ADD CONSTRAINT c CHECK (d <> '{DDL} \\'x\\'');
         CREATE VIEW v AS SELECT * FROM t WHERE s='{DDL}'; CREATE TABLE other LIKE t;
         CREATE PROCEDURE p() UPDATE t SET s='{DDL}' WHERE k='{DDL}';
         CREATE TRIGGER g BEFORE INSERT ON nokey FOR EACH ROW SET NEW.s = CONCAT('{DDL}', NEW.s);
         CREATE TABLE parts (s VARCHAR(60)) PARTITION BY LIST COLUMNS (s) (PARTITION p0 VALUES IN ('{DDL}'));
         ALTER TABLE parts ADD PARTITION (PARTITION p1 VALUES IN ('{DDL} 1'));
         CREATE TABLE made (a VARCHAR(60), b VARCHAR(99) GENERATED ALWAYS AS (CONCAT(a, '{DDL}')) VIRTUAL);
         INSERT INTO t (k) VALUES ('{ROW} 4');
         CREATE DATABASE secretnone; CREATE TABLE secretnone.x (s VARCHAR(60) DEFAULT '{DDL}') COMMENT='{DDL}';"
    ));
    stage.wait_records("secretgood.secretgood.t", 9);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !stage.daemon.log().contains("server error 1062, whose text quotes values") {
        assert!(Instant::now() < deadline, "the second heartbeat's statement does not fail");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (_, config) = stage.daemon.get(&format!("/connectors/{name}/config")).expect("a configuration");
    assert_eq!(config["database.password"], password, "a placeholder stays one");
    stage.look(name);
}

/// Rows that cannot become records.
fn rows_that_fail(stage: &mut Stage<'_>) {
    for (name, statements, says) in [
        ("secretsize", format!("INSERT INTO t VALUES ('large', RPAD('{ROW}', 3000000, 'x'), NULL)"), "RecordTooLarge"),
        (
            "secretpart",
            format!("SET SESSION binlog_row_image=MINIMAL; UPDATE t SET s='{ROW} of a part'"),
            "binlog_row_image",
        ),
        (
            "secretstatement",
            format!("SET SESSION binlog_format=STATEMENT; UPDATE t SET s='{ROW} of a statement'"),
            "binlog_format",
        ),
    ] {
        let body = stage.connector(name, &json!({}));
        stage.daemon.create(&body);
        stage.wait_records(&format!("{name}.{name}.t"), 1);
        stage.sql(&format!("USE {name}; {statements};"));
        stage.fails(name, says);
    }
    // A row that its connector's memory cannot hold.
    let name = "secretmemory";
    let body = stage.connector(name, &json!({}));
    stage.daemon.create(&body);
    stage.wait_records(&format!("{name}.{name}.t"), 1);
    stage.sql(&format!("INSERT INTO {name}.t VALUES ('huge', RPAD('{ROW}', 60000000, 'x'), NULL);"));
    stage.fails(name, "afterimage.memory.limit");
}

/// What people send in and is not taken.
fn refused_requests(stage: &mut Stage<'_>) {
    let good = stage.connector("secretrefused", &json!({}));
    let refused = |stage: &Stage<'_>, change: &Value| {
        let mut body = good.clone();
        for (key, value) in change.as_object().into_iter().flatten() {
            body["config"][key] = value.clone();
        }
        let (code, answer) = stage.daemon.send("POST", "/connectors", Some(&body));
        if code == 201 {
            // Only its task finds what is wrong.
            stage.daemon.wait_failed("secretrefused");
            stage.look("secretrefused");
            let (code, answer) = stage.daemon.send("DELETE", "/connectors/secretrefused", None);
            assert_eq!(code, 204, "{answer}");
        } else {
            assert!((400..=500).contains(&code), "{change}: {code} {answer}");
        }
        // Validation shows values, but none that is secret.
        let mut config = body["config"].take();
        config["name"] = json!("secretrefused");
        let path = format!("/connector-plugins/{CLASS}/config/validate");
        stage.daemon.send("PUT", &path, Some(&config));
    };
    for change in [
        json!({ "database.user": "nobody" }),
        json!({ "database.password": format!("{PASSWORD} and more") }),
        json!({ "database.port": "port" }),
        json!({ "snapshot.mode": "sometimes" }),
        json!({ "producer.override.sasl.jaas.config": format!("PlainLoginModule password=\"{PASSWORD}"),
                "producer.override.security.protocol": "SASL_PLAINTEXT" }),
        json!({ "producer.override.security.protocol": "SASL_PLAINTEXT", "producer.override.sasl.mechanism": "NONE" }),
        json!({ "producer.override.ssl.keystore.key": PASSWORD, "producer.override.security.protocol": "SSL" }),
        json!({ "producer.override.ssl.truststore.location": "/nowhere.jks", "producer.override.security.protocol": "SSL" }),
        json!({ "database.ssl.mode": "verify_ca", "database.ssl.truststore": "/nowhere.jks" }),
        json!({ "database.password": { "secret": PASSWORD } }),
        json!({ "database.password": format!("${{file:/nowhere:{PASSWORD}}}"), "tasks.max": PASSWORD.len() }),
    ] {
        refused(stage, &change);
    }
    for body in [
        format!("{{\"name\": \"x\", \"config\": {{\"database.password\": \"{PASSWORD}"),
        format!("{{\"name\": \"x\", \"config\": {{\"database.password\": {PASSWORD}}}}}"),
        format!("{{\"name\": \"x\", \"config\": \"{PASSWORD}\"}}"),
        format!("{{\"name\": {{\"{PASSWORD}\": 1}}, \"config\": {{}}}}"),
        format!("[\"{PASSWORD}\"]"),
        format!("\"{PASSWORD}\""),
    ] {
        let (code, answer) = stage.daemon.send_text("POST", "/connectors", Some(body));
        assert!((400..=500).contains(&code), "a broken body: {code} {answer}");
    }
    // A patch that makes it wrong.
    let (code, answer) =
        stage.daemon.send("PATCH", "/connectors/secretgood/config", Some(&json!({ "tasks.max": "x" })));
    assert_eq!(code, 400, "{answer}");
    assert!(stage.daemon.get(&format!("/connectors/{USER}")).is_some_and(|(code, _)| code == 404));
}
