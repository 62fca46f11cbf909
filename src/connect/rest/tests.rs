//! The API over backings in memory, with a plugin that does what its configuration says.

use std::{sync::Arc, time::Duration};

use axum::{body::to_bytes, http::Request};
use engine::{
    config::{Check, ConfigDef, ConfigOption, ConfigType, Importance, Width},
    error::TaskError,
    plugin::{ConfigErrors, ConfigMap, ConnectorPlugin, Control, TaskContext},
};
use futures_util::future::{BoxFuture, FutureExt};
use model::OffsetMap;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::{memory::InMemory, properties, validate::Validator, worker::WorkerConfig};

/// A connector class with the name of a real one, whose task behaves as `fake` says.
pub(crate) struct Fake;

static OPTIONS: ConfigDef = ConfigDef {
    options: &[
        ConfigOption::new("topic.prefix", ConfigType::String, "Name of the source.")
            .form("Topic prefix", "MySQL", 1, Width::Medium, Importance::High)
            .checks(&[Check::Required]),
        ConfigOption::new("database.hostname", ConfigType::String, "Host.").form(
            "Hostname",
            "MySQL",
            2,
            Width::Medium,
            Importance::High,
        ),
        ConfigOption::new("database.password", ConfigType::Password, "Password.").form(
            "Password",
            "MySQL",
            5,
            Width::Short,
            Importance::High,
        ),
        ConfigOption::new("fake", ConfigType::String, "Behaviour."),
        ConfigOption::new("errors.max.retries", ConfigType::Int, "Retries."),
        ConfigOption::new("retriable.restart.connector.wait.ms", ConfigType::Long, "Pause."),
    ],
    unlisted: &[],
};

impl ConnectorPlugin for Fake {
    fn class(&self) -> &'static str {
        "io.debezium.connector.mysql.MySqlConnector"
    }
    fn version(&self) -> &'static str {
        "3.6.1.Final"
    }
    fn task_class(&self) -> &'static str {
        "io.debezium.connector.mysql.MySqlConnectorTask"
    }
    fn config(&self) -> &'static ConfigDef {
        &OPTIONS
    }
    fn check(&self, _: &ConfigMap) -> ConfigErrors {
        Vec::new()
    }
    fn check_connection<'a>(&'a self, config: &'a ConfigMap) -> BoxFuture<'a, ConfigErrors> {
        let away = config.get("fake").is_some_and(|fake| fake == "away");
        let errors = if away {
            vec![("database.hostname".to_owned(), "Unable to connect: no route".to_owned())]
        } else {
            vec![]
        };
        futures_util::future::ready(errors).boxed()
    }
    fn partition(&self, config: &ConfigMap) -> OffsetMap {
        let server = config.get("topic.prefix").cloned().unwrap_or_default();
        OffsetMap::from_iter([("server".to_owned(), Value::String(server))])
    }
    fn check_offset(&self, partition: &OffsetMap, _: Option<&OffsetMap>) -> Result<(), String> {
        if partition.contains_key("server") { Ok(()) } else { Err("the partition needs 'server'".to_owned()) }
    }
    fn run(&self, task: TaskContext) -> BoxFuture<'static, Result<(), TaskError>> {
        async move {
            let mut control = task.control;
            let fake = task.config.get("fake").map(String::as_str).unwrap_or_default();
            match fake {
                "panic" => panic!("the fake breaks down"),
                "definite" => return Err(TaskError::definite("binlog_format is STATEMENT")),
                "transient" => return Err(TaskError::transient("connection lost")),
                _ => {}
            }
            (task.topic_used)(&format!("{}.db.t", task.config["topic.prefix"]));
            let partition = OffsetMap::from_iter([("server".to_owned(), task.config["topic.prefix"].clone().into())]);
            let offset =
                OffsetMap::from_iter([("file".to_owned(), "binlog.000001".into()), ("pos".to_owned(), 4.into())]);
            task.offsets.write(&task.connector, &partition, Some(&offset)).await?;
            task.metrics.rows_read.add(7);
            (task.started)();
            if fake == "deaf" {
                futures_util::future::pending::<()>().await;
            }
            while *control.borrow() != Control::Stop {
                if control.changed().await.is_err() {
                    break;
                }
            }
            Ok(())
        }
        .boxed()
    }
}

const WORKER: &str = "bootstrap.servers=localhost:9092\ngroup.id=g\nkey.converter=JsonConverter\n\
    value.converter=JsonConverter\nvalue.converter.schemas.enable=false\noffset.storage.topic=o\nconfig.storage.topic=c\n\
    status.storage.topic=s\nlisteners=http://127.0.0.1:0\nafterimage.shutdown.timeout.ms=300\n\
    rest.advertised.host.name=w1\nrest.advertised.port=8083\n";

pub(crate) struct Harness {
    pub(crate) api: Api,
    pub(crate) memory: InMemory,
    pub(crate) herder: Herder,
}

pub(crate) async fn harness_on(memory: InMemory, more: &str) -> Harness {
    let map = properties::parse(&format!("{WORKER}{more}")).unwrap();
    let worker = Arc::new(WorkerConfig::from_map(map).unwrap().config);
    let validator = Arc::new(Validator::new(worker.clone(), vec![Arc::new(Fake)], Arc::new(|_, _| Vec::new())));
    let api = Api::new(worker.clone(), validator.clone(), Loggers::new(tracing::Level::INFO));
    let services = Arc::new(memory.clone());
    let herder = Herder::open(worker, "w1:8083".to_owned(), services, validator).await.unwrap();
    herder.start_all();
    api.ready(herder.clone(), Some("cluster".to_owned()));
    Harness { api, memory, herder }
}

pub(crate) async fn harness() -> Harness {
    harness_on(InMemory::default(), "").await
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
    fn message(&self) -> String {
        let json = self.json();
        assert_eq!(json["error_code"], self.status, "{}", self.text);
        json["message"].as_str().unwrap().to_owned()
    }
}

impl Harness {
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("Host", "localhost:8083");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.header("Content-Length", body.len());
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.api.router(Paths::All).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Reply { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers: &[_] = if body.is_empty() { &[] } else { &[("Content-Type", "application/json")] };
        self.send(method, path, headers, &body).await
    }

    pub(crate) async fn create(&self, name: &str, fake: &str) -> Reply {
        let config = json!({
            "connector.class": "io.debezium.connector.mysql.MySqlConnector",
            "topic.prefix": name,
            "tasks.max": 1,
            "fake": fake,
            "errors.max.retries": 2,
            "retriable.restart.connector.wait.ms": "5",
        });
        self.call("POST", "/connectors", &json!({"name": name, "config": config})).await
    }

    /// Waits until a connector's and its task's states are these.
    pub(crate) async fn wait(&self, name: &str, states: (&str, Option<&str>)) -> Value {
        let mut status = Value::Null;
        for _ in 0..400 {
            let reply = self.get(&format!("/connectors/{name}/status")).await;
            if reply.status == 200 {
                status = reply.json();
                let seen = (status["connector"]["state"].as_str().unwrap(), status["tasks"][0]["state"].as_str());
                if seen == states {
                    return status;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} did not become {states:?}: {status}");
    }
}

#[tokio::test]
async fn a_connector_lives_from_create_to_delete() {
    let h = harness().await;
    let created = h.create("inv", "").await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(created.headers["location"], "http://localhost:8083/connectors/inv");
    assert_eq!(
        created.text,
        "{\"name\":\"inv\",\"config\":{\"connector.class\":\"io.debezium.connector.mysql.MySqlConnector\",\
         \"topic.prefix\":\"inv\",\"tasks.max\":\"1\",\"fake\":\"\",\"errors.max.retries\":\"2\",\
         \"retriable.restart.connector.wait.ms\":\"5\",\"name\":\"inv\"},\"tasks\":[],\"type\":\"source\"}"
    );
    let status = h.wait("inv", ("RUNNING", Some("RUNNING"))).await;
    assert_eq!(
        status.to_string(),
        "{\"name\":\"inv\",\"connector\":{\"state\":\"RUNNING\",\"worker_id\":\"w1:8083\",\"version\":\"3.6.1.Final\"},\
         \"tasks\":[{\"id\":0,\"state\":\"RUNNING\",\"worker_id\":\"w1:8083\",\"version\":\"3.6.1.Final\"}],\
         \"type\":\"source\"}"
    );
    assert_eq!(h.create("inv", "").await.message(), "Connector inv already exists");
    assert_eq!(h.get("/connectors/").await.json(), json!(["inv"]));
    let all = h.get("/connectors?expand=status&expand=info").await.json();
    assert_eq!(all["inv"]["info"]["tasks"], json!([{"connector": "inv", "task": 0}]));
    assert_eq!(h.get("/connectors?expand=info,status").await.json(), json!({"inv": {}}));
    let tasks = h.get("/connectors/inv/tasks").await.json();
    assert_eq!(tasks[0]["config"]["task.class"], "io.debezium.connector.mysql.MySqlConnectorTask");
    assert_eq!(h.get("/connectors/inv/topics").await.json(), json!({"inv": {"topics": ["inv.db.t"]}}));
    assert_eq!(h.call("PUT", "/connectors/inv/topics/reset", &Value::Null).await.status, 202);
    assert_eq!(h.get("/connectors/inv/topics").await.json(), json!({"inv": {"topics": []}}));

    assert_eq!(h.call("PUT", "/connectors/inv/pause", &Value::Null).await.status, 202);
    h.wait("inv", ("PAUSED", Some("PAUSED"))).await;
    assert_eq!(h.call("PUT", "/connectors/inv/resume", &Value::Null).await.status, 202);
    h.wait("inv", ("RUNNING", Some("RUNNING"))).await;

    let offsets = json!({"offsets": [{"partition": {"server": "inv"}, "offset": {"file": "binlog.000001", "pos": 4}}]});
    assert_eq!(h.get("/connectors/inv/offsets").await.json(), offsets);
    let refused = h.call("DELETE", "/connectors/inv/offsets", &Value::Null).await;
    assert_eq!(refused.status, 400);
    assert!(refused.message().starts_with("Connectors must be in the STOPPED state before"));
    assert_eq!(h.call("PUT", "/connectors/inv/stop", &Value::Null).await.status, 204);
    h.wait("inv", ("STOPPED", None)).await;
    let big = json!({"offsets": [{"partition": {"server": "inv"}, "offset": {"pos": 9_007_199_254_740_993_i64}}]});
    let altered = h.call("PATCH", "/connectors/inv/offsets", &big).await;
    assert!(altered.text.contains("have been altered successfully"), "{}", altered.text);
    assert_eq!(h.get("/connectors/inv/offsets").await.json(), big);
    let nested = json!({"offsets": [{"partition": {"server": "inv"}, "offset": {"a": {}}}]});
    let nested = h.call("PATCH", "/connectors/inv/offsets", &nested).await;
    assert_eq!(nested.message(), "Offsets may only contain primitive types as values, but field a contains MAP");
    let refused =
        h.call("PATCH", "/connectors/inv/offsets", &json!({"offsets": [{"partition": {}, "offset": null}]})).await;
    assert_eq!((refused.status, refused.message().as_str()), (500, "the partition needs 'server'"));
    for _ in 0..2 {
        let reset = h.call("DELETE", "/connectors/inv/offsets", &Value::Null).await;
        assert!(reset.status == 200 && reset.text.contains("have been reset successfully"), "{}", reset.text);
    }
    assert_eq!(h.get("/connectors/inv/offsets").await.json(), json!({"offsets": []}));

    assert_eq!(h.call("DELETE", "/connectors/inv", &Value::Null).await.status, 204);
    for _ in 0..100 {
        if h.get("/connectors/inv/status").await.status == 404 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(h.get("/connectors/inv/status").await.message(), "No status found for connector inv");
    let log = crate::lock(&h.memory.0.log).clone();
    let expected = [
        "connector-inv",
        "commit-inv 1",
        "target-state-inv PAUSED",
        "target-state-inv STARTED",
        "commit-inv 0",
        "target-state-inv STOPPED",
        "checkpoint-inv{\"server\":\"inv\"} removed",
        "checkpoint-inv{\"server\":\"inv\"} removed",
        "connector-inv tombstone",
    ];
    assert_eq!(log, expected);
}

#[tokio::test]
async fn configurations_change_by_put_and_patch() {
    let h = harness().await;
    let config = json!({"connector.class": "MySqlConnector", "topic.prefix": "a b"});
    let created = h.call("PUT", "/connectors/a%20b/config", &config).await;
    assert_eq!(
        (created.status, &created.headers["location"]),
        (201, &HeaderValue::from_static("http://localhost:8083/connectors/a%20b"))
    );
    h.wait("a%20b", ("RUNNING", Some("RUNNING"))).await;
    let updated = h.call("PUT", "/connectors/a%20b/config", &config).await;
    assert_eq!(updated.status, 200);
    let patched = h.call("PATCH", "/connectors/a%20b/config", &json!({"x": 1.5, "topic.prefix": "p"})).await;
    assert_eq!(
        patched.json()["config"],
        json!({"connector.class": "MySqlConnector", "topic.prefix": "p", "name": "a b", "x": "1.5"})
    );
    let patched = h.call("PATCH", "/connectors/a%20b/config", &json!({"x": null})).await;
    assert_eq!(patched.json()["config"].get("x"), None);
    let renamed = h.call("PATCH", "/connectors/a%20b/config", &json!({"name": "c"})).await;
    assert_eq!(renamed.message(), "Connector name configuration (c) doesn't match connector name in the URL (a b)");
    let refused = h.call("PATCH", "/connectors/a%20b/config", &json!({"topic.prefix": null, "tasks.max": "0"})).await;
    assert_eq!(
        refused.message(),
        "Connector configuration is invalid and contains the following 2 error(s):\n\
         Invalid value 0 for configuration tasks.max: Value must be at least 1\n\
         The 'topic.prefix' value is invalid: A value is required\n\
         You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"
    );
    let away = h.call("PATCH", "/connectors/a%20b/config", &json!({"fake": "away"})).await;
    assert!(away.message().contains("Unable to connect: no route"));
    h.wait("a%20b", ("RUNNING", Some("RUNNING"))).await;
}

#[tokio::test]
async fn failures_stay_with_their_connector() {
    let h = harness().await;
    for fake in ["", "panic", "definite", "transient", "deaf"] {
        assert_eq!(h.create(&format!("c{fake}"), fake).await.status, 201);
    }
    let failed = h.wait("cpanic", ("RUNNING", Some("FAILED"))).await;
    assert!(
        failed["tasks"][0]["trace"].as_str().unwrap().contains("broke down on a fault of this program"),
        "{failed}"
    );
    let failed = h.wait("cdefinite", ("RUNNING", Some("FAILED"))).await;
    assert_eq!(
        failed["tasks"][0]["trace"],
        "org.apache.kafka.connect.errors.ConnectException: binlog_format is STATEMENT\n"
    );
    let failed = h.wait("ctransient", ("RUNNING", Some("FAILED"))).await;
    let trace = failed["tasks"][0]["trace"].as_str().unwrap();
    assert!(trace.starts_with("org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event producer. This connector will be stopped.\nCaused by: "), "{trace}");
    let view = h.herder.view().into_iter().find(|view| view.name == "ctransient").unwrap();
    assert_eq!(view.metrics.unwrap().restarts.get(), 2);
    h.wait("c", ("RUNNING", Some("RUNNING"))).await;

    // A failed task ignores pause and resume, and is revived by a restart only.
    h.call("PUT", "/connectors/cdefinite/pause", &Value::Null).await;
    h.wait("cdefinite", ("PAUSED", Some("FAILED"))).await;
    h.call("PUT", "/connectors/cdefinite/resume", &Value::Null).await;
    h.wait("cdefinite", ("RUNNING", Some("FAILED"))).await;
    let plan = h.call("POST", "/connectors/cdefinite/restart?includeTasks=True&onlyFailed=true", &Value::Null).await;
    assert_eq!(plan.status, 202);
    assert_eq!(plan.json()["connector"]["state"], "RUNNING");
    assert_eq!(plan.json()["tasks"][0]["state"], "RESTARTING");
    assert!(plan.json()["tasks"][0]["trace"].is_string());
    assert_eq!(h.call("POST", "/connectors/c/restart", &Value::Null).await.status, 204);
    assert_eq!(h.call("POST", "/connectors/c/tasks/0/restart", &Value::Null).await.status, 204);
    h.wait("c", ("RUNNING", Some("RUNNING"))).await;
    assert_eq!(h.call("POST", "/connectors/c/tasks/1/restart", &Value::Null).await.message(), "Unknown task: c-1");

    // A task that does not end is abandoned, and the others end in order.
    h.wait("cdeaf", ("RUNNING", Some("RUNNING"))).await;
    tokio::time::timeout(Duration::from_secs(5), h.herder.close()).await.unwrap();
    let stored = crate::lock(&h.memory.0.statuses).clone();
    assert_eq!(stored.connectors["c"].state, crate::backing::State::Unassigned);
    assert_eq!(stored.tasks[&("c".to_owned(), 0)].state, crate::backing::State::Unassigned);
    assert_eq!(h.create("late", "").await.status, 409);
}

#[tokio::test]
async fn target_states_survive_a_restart_and_failed_does_not() {
    let memory = InMemory::default();
    let first = harness_on(memory.clone(), "").await;
    for name in ["run", "pause", "stop"] {
        assert_eq!(first.create(name, "").await.status, 201);
        first.wait(name, ("RUNNING", Some("RUNNING"))).await;
    }
    first.call("PUT", "/connectors/pause/pause", &Value::Null).await;
    first.call("PUT", "/connectors/stop/stop", &Value::Null).await;
    first.wait("pause", ("PAUSED", Some("PAUSED"))).await;
    first.wait("stop", ("STOPPED", None)).await;
    first.herder.close().await;
    let commits = crate::lock(&memory.0.log).iter().filter(|key| key.starts_with("commit-run")).count();
    let second = harness_on(memory.clone(), "").await;
    second.wait("run", ("RUNNING", Some("RUNNING"))).await;
    second.wait("pause", ("PAUSED", Some("PAUSED"))).await;
    second.wait("stop", ("STOPPED", None)).await;
    let again = crate::lock(&memory.0.log).iter().filter(|key| key.starts_with("commit-run")).count();
    assert_eq!(commits, again, "task configurations are written only when they differ");
    let created = second
        .call(
            "POST",
            "/connectors",
            &json!({"name": "p2", "initial_state": "stopped", "config": {
        "connector.class": "MySqlConnector", "topic.prefix": "p2"}}),
        )
        .await;
    assert_eq!(created.status, 201, "{}", created.text);
    second.wait("p2", ("STOPPED", None)).await;
}

#[tokio::test]
async fn nothing_is_answered_as_done_that_kafka_does_not_have() {
    let h = harness().await;
    h.memory.0.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(h.create("a", "").await.message(), "Kafka is away");
    assert_eq!(h.get("/connectors").await.text, "[]");
    h.memory.0.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(h.create("a", "").await.status, 201);
    h.memory.0.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(h.call("DELETE", "/connectors/a", &Value::Null).await.status, 500);
    assert_eq!(h.get("/connectors").await.text, "[\"a\"]");
}

#[tokio::test]
async fn secrets_are_shown_only_in_the_connectors_own_configuration() {
    let h = harness().await;
    let config = json!({"name": "s", "connector.class": "MySqlConnector", "topic.prefix": "s",
        "database.password": "planted-secret", "producer.override.ssl.key.password": "planted-secret"});
    let infos = h.call("PUT", "/connector-plugins/MySqlConnector/config/validate", &config).await;
    assert_eq!(infos.status, 200);
    assert!(!infos.text.contains("planted-secret"), "{}", infos.text);
    let no_class = json!({"database.password": "planted-secret", "foo": "bar"});
    let refused = h.call("PUT", "/connector-plugins/MySqlConnector/config/validate", &no_class).await;
    assert_eq!(refused.message(), "Connector config {database.password=[hidden], foo=bar} contains no connector type");
    h.call("PUT", "/connectors/s/config", &config).await;
    h.wait("s", ("RUNNING", Some("RUNNING"))).await;
    assert_eq!(h.get("/connectors/s/config").await.json()["database.password"], "planted-secret");
    let metrics = crate::admin::router(h.api.clone(), None);
    let request = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
    let body = to_bytes(metrics.oneshot(request).await.unwrap().into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(!text.contains("planted-secret"));
    for line in [
        "afterimage_rows_read_total{connector=\"s\"} 7\n",
        "kafka_connect_connector_task_status{connector=\"s\",task=\"0\",status=\"running\"} 1\n",
        "debezium_metrics_MilliSecondsBehindSource{context=\"streaming\",name=\"s\",server=\"s\",plugin=\"mysql\"} -1\n",
        "# TYPE process_resident_memory_bytes gauge\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

mod transcripts;

/// What Kafka Connect 4.3.0 answers, recorded with its basic-auth extension, CORS and response headers.
#[tokio::test]
async fn users_headers_and_origins_are_connects() {
    let dir = tempfile::tempdir().unwrap();
    let (file, jaas) = (dir.path().join("users"), dir.path().join("jaas"));
    std::fs::write(&file, "alice=alice-secret\n").unwrap();
    let module = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule";
    std::fs::write(&jaas, format!("KafkaConnect {{ {module} required file=\"{}\"; }};", file.display())).unwrap();
    let more = format!(
        "rest.extension.classes=org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension\n\
         afterimage.auth.login.config={}\nresponse.http.headers.config=set X-Frame-Options: DENY\n\
         access.control.allow.origin=http://a.b\n",
        jaas.display()
    );
    let h = harness_on(InMemory::default(), &more).await;
    let refused = "User cannot access the resource.";
    let right = ("Authorization", "Basic YWxpY2U6YWxpY2Utc2VjcmV0");
    for (method, path, headers, status, kind, text) in [
        ("GET", "/", vec![], 401, "application/json", refused),
        ("GET", "/health", vec![], 401, "application/json", refused),
        ("GET", "/admin/loggers", vec![], 401, "application/json", refused),
        ("GET", "/connectors", vec![("Authorization", "Basic eDp5")], 401, "application/json", refused),
        ("OPTIONS", "/connectors", vec![], 401, "text/plain", refused),
        ("HEAD", "/connectors", vec![], 401, "application/json", ""),
        ("GET", "/connectors", vec![right], 200, "application/json", "[]"),
        ("GET", "/nothing", vec![], 404, "application/json", r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#),
        (
            "PUT",
            "/connectors",
            vec![],
            405,
            "application/json",
            r#"{"error_code":405,"message":"HTTP 405 Method Not Allowed"}"#,
        ),
        (
            "GET",
            "/connectors",
            vec![("Accept", "text/html")],
            406,
            "application/json",
            r#"{"error_code":406,"message":"HTTP 406 Not Acceptable"}"#,
        ),
        (
            "PUT",
            "/connectors/x/fence",
            vec![],
            400,
            "application/json",
            r#"{"error_code":400,"message":"Internal request missing required signature"}"#,
        ),
    ] {
        let reply = h.send(method, path, &headers, "").await;
        assert_eq!((reply.status, reply.text.as_str()), (status, text), "{method} {path}");
        let header = |name: &str| reply.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("content-type").as_deref(), Some(kind), "{method} {path}");
        assert_eq!(header("x-frame-options").as_deref(), Some("DENY"));
        assert_eq!(header("vary").as_deref(), Some("Origin"));
        assert_eq!(header("www-authenticate"), None);
    }
    let reply = h.send("GET", "/", &[("Origin", "http://a.b")], "").await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.headers["access-control-allow-origin"], "http://a.b");

    // The admin port asks only when told to, and so that a browser asks its user.
    let users = crate::access::Users::open(jaas.to_str(), "").unwrap();
    for (users, headers, status) in
        [(None, vec![], 200), (Some(users.clone()), vec![], 401), (Some(users), vec![right], 200)]
    {
        let mut request = axum::http::Request::builder().uri("/health");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let router = crate::admin::router(h.api.clone(), users);
        let response = router.oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
    }
}
