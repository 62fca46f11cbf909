use std::{sync::Mutex, time::Instant};

use super::*;
use crate::{memory::InMemory, worker::WorkerConfig};

fn worker(more: &str) -> ReadWorker {
    let text = format!(
        "group.id=g\nkey.converter=JsonConverter\nvalue.converter=JsonConverter\noffset.storage.topic=o\n\
         config.storage.topic=c\nstatus.storage.topic=s\nlisteners=http://127.0.0.1:0\n\
         afterimage.admin.listeners=http://127.0.0.1:0\n{more}"
    );
    WorkerConfig::from_map(properties::parse(&text).unwrap()).unwrap()
}

fn daemon(more: &str, files: Vec<PathBuf>) -> Daemon {
    Daemon {
        worker: worker(more),
        plugins: vec![Arc::new(crate::rest::tests::Fake)],
        cluster: Arc::new(InMemory::default()),
        loggers: Loggers::new(tracing::Level::INFO),
        connector_files: files,
    }
}

#[tokio::test]
async fn runs_connectors_of_the_command_line_and_stops_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = vec![
        file(
            "a.json",
            "{\"name\":\"a\",\"connector.class\":\"MySqlConnector\",\"topic.prefix\":\"a\",\"tasks.max\":1}",
        ),
        file(
            "b.json",
            "{\"name\":\"b\",\"initial_state\":\"paused\",\"config\":{\"connector.class\":\"MySql\",\"topic.prefix\":\"b\"}}",
        ),
        file("c.properties", "name=c\nconnector.class = MySqlConnector \ntopic.prefix=c\n"),
    ];
    let memory = InMemory::default();
    let mut daemon = daemon("", files);
    daemon.cluster = Arc::new(memory.clone());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (watch, statuses) = (memory.clone(), seen.clone());
    let shutdown = async move {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let running: Vec<_> = crate::lock(&watch.0.statuses)
                .tasks
                .iter()
                .filter(|(_, status)| status.state == crate::backing::State::Running)
                .map(|((name, _), _)| name.clone())
                .collect();
            if running.len() == 2 || Instant::now() > until {
                *crate::lock(&statuses) = running;
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert_eq!(daemon.run(shutdown).await, Ok(()));
    assert_eq!(*crate::lock(&seen), ["a", "c"]);
    let stored = crate::lock(&memory.0.connectors).clone();
    assert_eq!(stored["b"].target, TargetState::Paused);
    assert_eq!(stored["c"].config["connector.class"], "MySqlConnector");
    let statuses = crate::lock(&memory.0.statuses).clone();
    assert!(
        statuses.connectors.values().all(|status| status.state == crate::backing::State::Unassigned),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (key, more) in [
        ("listeners", format!("listeners=http://127.0.0.1:{port}")),
        ("afterimage.admin.listeners", format!("afterimage.admin.listeners=http://127.0.0.1:{port}")),
    ] {
        let error = daemon(&more, Vec::new()).run(std::future::pending()).await.unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let text = error.to_string();
        assert!(
            text.contains(&format!("port {port}")) && text.ends_with(&format!("another port with {key}")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn broken_connector_files_are_refused_with_their_name() {
    let dir = tempfile::tempdir().unwrap();
    for (text, part) in [
        ("{\"name\":", "is not valid JSON"),
        ("{\"connector.class\":\"MySqlConnector\"}", "has no 'name'"),
        ("{\"name\":\"x\",\"y\":[]}", "the value of y must be"),
        ("name=x\nconnector.class=Foo\n", "Failed to find any class"),
        ("name=x\nconnector.class=MySqlConnector\n", "The 'topic.prefix' value is invalid: A value is required"),
    ] {
        let path = dir.path().join("x.json");
        std::fs::write(&path, text).unwrap();
        let error = daemon("", vec![path.clone()]).run(std::future::pending()).await.unwrap_err();
        let shown = error.to_string();
        assert!(error.exit_code() == 3 && shown.contains(part) && shown.contains("x.json"), "{shown}");
    }
}
