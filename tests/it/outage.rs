//! Servers that go away under load, and the daemon that is told to stop under load: nothing is lost, nothing comes twice,
//! each key keeps its order.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    daemon::Daemon,
    load::{self, Load},
    mysql::sql,
    run::{self, WORKER, wait_for},
    secrets::{ROW, USER},
    servers::Servers,
    topics,
};

/// `afterimage.memory.limit` while the broker is away.
const LIMIT: u64 = 32 << 20;
/// Rows that are written while the broker is away, and bytes of each; their records are many times the limit.
const BULK: usize = 40_000;
const BULK_ROW: usize = 900;

/// A connector in the stream of a database with the load's tables, and the load.
struct Scene<'s> {
    servers: &'s Servers,
    name: &'static str,
    daemon: Daemon,
    load: Load,
    /// Gone after the daemon, which is looked through at its end.
    _folder: tempfile::TempDir,
}

impl<'s> Scene<'s> {
    fn begin(servers: &'s Servers, name: &'static str, server_id: u32, worker: &str, config: &Value) -> Self {
        let mysql = servers.info("mysql8");
        sql(mysql, &load::tables(name));
        let folder = tempfile::tempdir().expect("a folder");
        let daemon = Daemon::start(folder.path(), servers.bootstrap(), name, &format!("{WORKER}{worker}"));
        daemon.create(&run::connector(servers, name, server_id, config));
        wait_for(&daemon, name, "past the snapshot", || {
            daemon.metric("debezium_metrics_SnapshotCompleted") == Some(1.0)
        });
        let seed = rand::random();
        eprintln!("{name}: the load's seed is {seed}");
        let load = Load::start(mysql, name, 2_000, seed);
        let scene = Self { servers, name, daemon, load, _folder: folder };
        scene.wait_delivered(3_000.0);
        scene
    }

    fn metric(&self, name: &str) -> f64 {
        self.daemon.metric(name).unwrap_or_else(|| panic!("no metric {name}\n{}", self.daemon.log()))
    }

    /// Waits for more records to be delivered.
    fn wait_delivered(&self, more: f64) {
        let until = self.metric("afterimage_records_delivered_total") + more;
        wait_for(&self.daemon, self.name, "delivering", || {
            self.daemon.metric("afterimage_records_delivered_total").is_some_and(|records| records >= until)
        });
    }

    /// What `/ready` says the connector waits for, and for how many seconds.
    fn waits(&self) -> Option<(String, f64)> {
        let (code, text) = self.daemon.admin("/ready")?;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((code, &answer["ready"]), (200, &json!(true)), "less than a minute is no reason: {answer}");
        let waiting = &answer["waiting"][self.name];
        Some((waiting["for"].as_str()?.to_owned(), waiting["seconds"].as_f64()?))
    }

    fn states(&self) -> (Value, Value) {
        let (_, status) = self.daemon.get(&format!("/connectors/{}/status", self.name)).expect("a status");
        (status["connector"]["state"].clone(), status["tasks"][0]["state"].clone())
    }

    /// The connection that reads the log.
    fn dump(&self) -> String {
        let threads = format!(
            "SELECT id FROM information_schema.processlist WHERE user='{USER}' AND command LIKE 'Binlog Dump%'"
        );
        sql(self.servers.info("mysql8"), &threads)
    }

    /// Ends the load, waits for everything and checks the topics; no change is there twice.
    fn end(self) {
        self.end_after(0, |_, _| {});
    }

    /// The same where the daemon was killed `kills` times: each time some changes may come again. What `last` does to
    /// the daemon comes before its stop.
    fn end_after(mut self, kills: usize, last: impl FnOnce(&mut Daemon, &str)) {
        let active = "kafka_connect_source_task_source_record_active_count";
        let written = self.load.end();
        run::wait_settled(self.servers, &self.daemon, self.name);
        wait_for(&self.daemon, self.name, "without active records", || self.daemon.metric(active) == Some(0.0));
        assert_eq!(self.daemon.metric("afterimage_batches_in_flight"), Some(0.0));
        last(&mut self.daemon, self.name);
        assert_eq!(self.daemon.stop(), Some(0), "{}", self.daemon.log());
        let summary = run::check(self.servers, self.name, &written, kills);
        eprintln!(
            "{}: {} changes of {} keys, {} connections of the load lost, {} repeats",
            self.name, summary.changes, summary.keys, written.reconnects, summary.repeats
        );
    }
}

/// Resident memory of a process, bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Watches the most that a process has resident.
struct Peak {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Peak {
    fn watch(pid: u32) -> Self {
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, seen) = (stop.clone(), most.clone());
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                seen.fetch_max(resident(pid), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { stop, most, thread }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watcher");
        self.most.load(Ordering::Relaxed)
    }
}

/// Waits until buffers are full, so that nothing is read any more, and looks at what is said meanwhile.
fn check_blocked(scene: &Scene<'_>, at_least: Duration) {
    let (began, written) = (Instant::now(), scene.load.rows());
    let (mut read, mut since) = (scene.metric("afterimage_rows_read_total"), Instant::now());
    while since.elapsed() < Duration::from_secs(2) || began.elapsed() < at_least {
        assert!(began.elapsed() < Duration::from_secs(60), "the reader never stops, though the broker is away");
        std::thread::sleep(Duration::from_millis(100));
        let now = scene.metric("afterimage_rows_read_total");
        if now != read {
            (read, since) = (now, Instant::now());
        }
    }
    assert!(scene.load.rows() > written + 1_000, "the load goes on");
    assert_eq!(scene.states(), (json!("RUNNING"), json!("RUNNING")));
    let (whom, seconds) = scene.waits().expect("the connector waits");
    assert!(whom == "kafka" && seconds >= 2.0, "{whom} {seconds}");
    assert!(scene.metric("afterimage_batches_in_flight") > 0.0);
    assert!(scene.metric("afterimage_in_flight_bytes") > 0.0);
    assert!(scene.metric("kafka_connect_source_task_source_record_active_count") > 0.0);
    assert_eq!(scene.metric("afterimage_source_connected"), 1.0);
}

/// Every row of the bulk once.
fn check_bulk(servers: &Servers, name: &str) {
    let topic = format!("{name}.{name}.bulk");
    let mut seen = HashSet::new();
    topics::scan(servers.bootstrap(), &topic, |message| {
        let key = String::from_utf8_lossy(rdkafka::Message::key(message).expect("a key")).into_owned();
        assert!(seen.insert(key.clone()), "row {key} is there twice");
    });
    assert_eq!(seen.len(), BULK, "{topic}");
}

#[test]
fn a_broker_that_is_away_costs_no_memory_and_no_record() {
    let servers = Servers::disturbed();
    let name = "awaybroker";
    let worker = format!("afterimage.memory.limit={LIMIT}\n");
    let scene = Scene::begin(&servers, name, 184_401, &worker, &json!({}));
    let mysql = servers.info("mysql8");
    sql(
        mysql,
        &format!(
            "CREATE TABLE {name}_load.numbers (n INT PRIMARY KEY); SET cte_max_recursion_depth={BULK};
             INSERT INTO {name}_load.numbers WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < {BULK})
             SELECT n FROM r; CREATE TABLE {name}.bulk (id INT PRIMARY KEY, body VARCHAR(1000) NOT NULL);"
        ),
    );
    let (dump, base) = (scene.dump(), resident(scene.daemon.pid()));
    let peak = Peak::watch(scene.daemon.pid());

    servers.tell("pause", "kafka");
    let bulk = format!("INSERT INTO {name}.bulk SELECT n, RPAD('{ROW}', {BULK_ROW}, 'x') FROM {name}_load.numbers");
    sql(mysql, &bulk);
    check_blocked(&scene, Duration::from_secs(8));
    servers.tell("resume", "kafka");
    scene.wait_delivered(BULK as f64 + 1_000.0);

    servers.tell("kill", "kafka");
    check_blocked(&scene, Duration::from_secs(5));
    servers.tell("start", "kafka");
    scene.wait_delivered(5_000.0);
    wait_for(&scene.daemon, name, "said to wait no more", || scene.waits().is_none_or(|(_, seconds)| seconds < 1.0));

    let most = peak.end();
    let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    eprintln!(
        "{name}: {:.1} MiB resident under load, {:.1} at most, limit {:.1}",
        megabytes(base),
        megabytes(most),
        megabytes(LIMIT)
    );
    assert!(most <= base + LIMIT, "{most} bytes resident, {base} before, limit {LIMIT}");
    assert_eq!(scene.dump(), dump, "the connection to the database survives");
    assert_eq!(scene.metric("afterimage_source_disconnects_total"), 0.0);
    assert_eq!(scene.metric("afterimage_task_restarts_total"), 0.0);
    scene.end();
    check_bulk(&servers, name);
}

#[test]
fn a_database_that_goes_away_is_read_on_from_where_it_was() {
    let servers = Servers::disturbed();
    let name = "awaydatabase";
    let wait = json!({ "retriable.restart.connector.wait.ms": "300" });
    let scene = Scene::begin(&servers, name, 184_402, "", &wait);
    for (round, how) in ["stop", "kill"].into_iter().enumerate() {
        let restarts = scene.metric("afterimage_task_restarts_total");
        servers.tell(how, "mysql8");
        wait_for(&scene.daemon, name, "restarted", || {
            scene.metric("afterimage_task_restarts_total") >= restarts + 2.0
                && scene.waits().is_some_and(|(whom, _)| whom == "restart")
        });
        assert_eq!(scene.states(), (json!("RUNNING"), json!("RUNNING")), "a restart is nobody's business");
        servers.tell("start", "mysql8");
        scene.wait_delivered(4_000.0);
        assert_ne!(scene.waits().map(|(whom, _)| whom).as_deref(), Some("restart"), "round {round}");
    }
    scene.end();
}

#[test]
fn a_daemon_told_to_stop_under_load_repeats_nothing() {
    let servers = Servers::shared();
    let name = "stopped";
    let mut scene = Scene::begin(servers, name, 184_403, "", &json!({}));
    for round in 0..5 {
        let began = Instant::now();
        assert_eq!(scene.daemon.stop(), Some(0), "round {round}\n{}", scene.daemon.log());
        assert!(began.elapsed() < Duration::from_secs(10), "a stop takes {:?}", began.elapsed());
        scene.daemon.restart();
        wait_for(&scene.daemon, name, "delivering", || {
            scene.daemon.metric("afterimage_records_delivered_total").is_some_and(|records| records > 1_500.0)
        });
    }
    scene.end();
}

/// Sends a request and kills the daemon a moment later, whatever it is doing about it; starts it again.
fn killed_within(daemon: &mut Daemon, method: &str, path: &str, most_ms: u64) {
    let wait = Duration::from_millis(rand::random_range(0..most_ms));
    std::thread::scope(|scope| {
        let asker = &*daemon;
        scope.spawn(move || asker.ask(method, path));
        std::thread::sleep(wait);
        asker.kill_now();
    });
    daemon.reap();
    daemon.restart();
}

#[test]
fn killed_inside_restarts_and_deletions_everything_goes_on() {
    let servers = Servers::shared();
    let (name, kills) = ("midway", 5);
    let mut scene = Scene::begin(servers, name, 184_404, "", &json!({}));
    for _ in 0..kills {
        killed_within(&mut scene.daemon, "POST", &format!("/connectors/{name}/tasks/0/restart"), 400);
        wait_for(&scene.daemon, name, "delivering", || {
            scene.daemon.metric("afterimage_records_delivered_total").is_some_and(|records| records > 1_000.0)
        });
    }
    scene.end_after(kills, |daemon, name| {
        killed_within(daemon, "DELETE", &format!("/connectors/{name}"), 60);
        // It is there as a whole, or gone as a whole.
        if daemon.get(&format!("/connectors/{name}")).is_some_and(|(code, _)| code == 200) {
            daemon.wait_running(name);
            let (code, answer) = daemon.send("DELETE", &format!("/connectors/{name}"), None);
            assert_eq!(code, 204, "{answer}");
        }
        wait_for(daemon, name, "gone", || {
            daemon.get(&format!("/connectors/{name}/status")).is_some_and(|(code, _)| code == 404)
        });
        assert_eq!(daemon.get("/connectors"), Some((200, json!([]))));
    });
}
