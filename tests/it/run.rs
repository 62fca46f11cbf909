//! A connector whose database is under load: how it is made, when it has everything, and what its topics must hold in
//! the end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    daemon::Daemon,
    invariants::{self, Summary},
    load,
    mysql::sql,
    secrets::{PASSWORD, USER},
    servers::Servers,
    topics,
};

/// Lines of a worker file: records as the checker reads them.
pub const WORKER: &str = "key.converter.schemas.enable=false\nvalue.converter.schemas.enable=false\n";

/// The body that creates a connector on the database, with the topic prefix, of its own name. `more` adds to its
/// configuration; nulls take away.
pub fn connector(servers: &Servers, name: &str, server_id: u32, more: &Value) -> Value {
    let mut config = json!({
        "connector.class": "io.debezium.connector.mysql.MySqlConnector", "tasks.max": "1",
        "database.hostname": "127.0.0.1", "database.port": servers.port("mysql8").to_string(),
        "database.user": USER, "database.password": PASSWORD, "database.server.id": server_id.to_string(),
        "topic.prefix": name, "database.include.list": name,
        "schema.history.internal.kafka.bootstrap.servers": servers.bootstrap(),
        "schema.history.internal.kafka.topic": format!("{name}-history"),
        "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(config.as_object_mut().and_then(|config| config.shift_remove(key))),
            value => config[key] = value.clone(),
        }
    }
    json!({ "name": name, "config": config })
}

/// Asks again until `ready`; tells what the connector said last when that takes too long.
pub fn wait_for(daemon: &Daemon, name: &str, what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !ready() {
        if Instant::now() > deadline {
            let (_, status) = daemon.get(&format!("/connectors/{name}/status")).unwrap_or_default();
            panic!("{name} is not {what} after 120 s: {status}\n{}", daemon.log());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The last transaction number of the only source in a GTID set.
pub fn last_number(gtids: &str) -> Option<u64> {
    gtids.trim().rsplit(['-', ':']).next().and_then(|number| number.parse().ok())
}

/// The offset that answers show.
pub fn offset(daemon: &Daemon, name: &str) -> Value {
    let (_, offsets) = daemon.get(&format!("/connectors/{name}/offsets")).unwrap_or_default();
    offsets["offsets"][0]["offset"].clone()
}

/// Waits until the connector is in the stream and its position is committed.
pub fn wait_streaming(daemon: &Daemon, name: &str) {
    wait_for(daemon, name, "in the stream", || {
        let offset = offset(daemon, name);
        offset.is_object() && offset.get("snapshot").is_none()
    });
}

/// Waits until everything the server has executed up to now is delivered and committed.
pub fn wait_settled(servers: &Servers, daemon: &Daemon, name: &str) {
    let executed = last_number(&sql(servers.info("mysql8"), "SELECT @@GLOBAL.gtid_executed"));
    assert!(executed.is_some(), "transactions have numbers");
    wait_for(daemon, name, "at the end of the log", || {
        offset(daemon, name)["gtids"].as_str().and_then(last_number) >= executed
    });
}

/// Checks the load's topics against what was committed, with the final state as the database has it. Each key may be
/// shown again once per restart; without restarts there is no repeat.
pub fn check(servers: &Servers, name: &str, written: &load::Written, restarts: usize) -> Summary {
    let mut all = Summary::default();
    for (table, history) in &written.history {
        let topic = format!("{name}.{name}.{table}");
        let records = topics::read(servers.bootstrap(), &topic);
        let observed = invariants::observed(&records).unwrap_or_else(|violation| panic!("{topic}: {violation:?}"));
        let summary = invariants::check(history, &observed, restarts, false);
        let summary = summary.unwrap_or_else(|violation| panic!("{topic}: {violation:?}"));
        assert!(summary.changes > 200, "{topic}: {summary:?}");
        let state = load::in_database(servers.info("mysql8"), name, table);
        assert_eq!(invariants::final_state(&observed), state, "{topic}: the final state");
        all.keys += summary.keys;
        all.changes += summary.changes;
        all.repeats += summary.repeats;
    }
    all
}
