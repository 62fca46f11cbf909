//! One connector's failure or slowness is its own: the others go on as if alone.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    daemon::Daemon,
    mysql::sql,
    run::{self, WORKER, wait_for},
    secrets::ROW,
    servers::Servers,
    topics,
};

const GOOD: &str = "isogood";
const BAD: &str = "isobad";
/// Rows of one backlog of the good connector.
const BACKLOG: usize = 50_000;
const ROUNDS: usize = 3;

/// A port that takes connections and never answers.
fn tarpit() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let held: Vec<_> = listener.incoming().collect();
        drop(held);
    });
    port
}

/// What the bad connector does while the good one works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// Nothing: it is stopped.
    Nothing,
    /// It waits for a broker that never answers, with everything it may hold.
    Slow,
    /// It fails and is restarted, again and again.
    Failing,
}

struct Scene<'s> {
    servers: &'s Servers,
    daemon: Daemon,
    written: usize,
    tarpit: u16,
}

impl Scene<'_> {
    fn put(&self, path: &str, body: Option<&Value>) {
        let (code, answer) = self.daemon.send("PUT", path, body);
        assert!(code < 300, "PUT {path}: {code} {answer}");
    }

    fn metric(&self, name: &str, connector: &str) -> f64 {
        self.daemon.metric_of(name, connector).unwrap_or_default()
    }

    fn beside(&self, what: Beside) {
        if what == Beside::Nothing {
            self.put(&format!("/connectors/{BAD}/stop"), None);
            wait_for(&self.daemon, BAD, "stopped", || {
                let (_, status) = self.daemon.get(&format!("/connectors/{BAD}/status")).unwrap_or_default();
                status["connector"]["state"] == "STOPPED"
            });
            return;
        }
        let config = match what {
            Beside::Failing => json!({ "producer.override.max.block.ms": "600" }),
            _ => json!({}),
        };
        let mut body = bad(self.servers, self.tarpit, &config)["config"].take();
        body["name"] = json!(BAD);
        self.put(&format!("/connectors/{BAD}/config"), Some(&body));
        self.put(&format!("/connectors/{BAD}/resume"), None);
        let restarts = self.metric("afterimage_task_restarts_total", BAD);
        wait_for(&self.daemon, BAD, "in the way", || match what {
            Beside::Failing => self.metric("afterimage_task_restarts_total", BAD) >= restarts + 2.0,
            _ => {
                let (_, text) = self.daemon.admin("/ready").unwrap_or_default();
                let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                let waiting = &answer["waiting"][BAD];
                waiting["for"] == "kafka" && waiting["seconds"].as_f64().is_some_and(|seconds| seconds > 1.0)
            }
        });
    }

    /// Rows a second at which the good connector works off a backlog.
    fn drain(&mut self) -> f64 {
        self.put(&format!("/connectors/{GOOD}/pause"), None);
        let first = self.written + 1;
        self.written += BACKLOG;
        sql(
            self.servers.info("mysql8"),
            &format!(
                "INSERT INTO {GOOD}.t SELECT n + {first}, '{ROW}' FROM {GOOD}_load.numbers WHERE n < {BACKLOG} ORDER BY n"
            ),
        );
        let before = self.metric("afterimage_records_delivered_total", GOOD);
        let wanted = before + BACKLOG as f64;
        self.put(&format!("/connectors/{GOOD}/resume"), None);
        let began = Instant::now();
        wait_for(&self.daemon, GOOD, "through its backlog", || {
            self.metric("afterimage_records_delivered_total", GOOD) >= wanted
        });
        BACKLOG as f64 / began.elapsed().as_secs_f64()
    }
}

/// A connector whose producer talks to nobody.
fn bad(servers: &Servers, tarpit: u16, more: &Value) -> Value {
    let mut config = json!({ "producer.override.bootstrap.servers": format!("127.0.0.1:{tarpit}"),
                             "retriable.restart.connector.wait.ms": "2000" });
    for (key, value) in more.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    run::connector(servers, BAD, 184_502, &config)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn a_slow_and_a_failing_connector_leave_the_others_alone() {
    let servers = Servers::shared();
    let mysql = servers.info("mysql8");
    for name in [GOOD, BAD] {
        sql(
            mysql,
            &format!(
                "CREATE DATABASE {name}; CREATE TABLE {name}.t (id INT PRIMARY KEY, s VARCHAR(100)); CREATE DATABASE {name}_load;
                 CREATE TABLE {name}_load.numbers (n INT PRIMARY KEY); SET cte_max_recursion_depth={BACKLOG};
                 INSERT INTO {name}_load.numbers
                 WITH RECURSIVE r AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM r WHERE n < {BACKLOG} - 1) SELECT n FROM r;"
            ),
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let worker = format!("{WORKER}afterimage.shutdown.timeout.ms=1000\nafterimage.memory.limit=33554432\n");
    let daemon = Daemon::start(folder.path(), servers.bootstrap(), "isolation", &worker);
    daemon.create(&run::connector(servers, GOOD, 184_501, &json!({})));
    // Past its snapshot, so that what it does later takes no lock.
    daemon.create(&run::connector(servers, BAD, 184_502, &json!({})));
    sql(mysql, &format!("CREATE TABLE {BAD}_load.started (n INT)"));
    run::wait_streaming(&daemon, BAD);
    let mut scene = Scene { servers, daemon, written: 0, tarpit: tarpit() };
    scene.beside(Beside::Nothing);
    // More than the bad one may hold, and the first thing it finds at each start.
    sql(mysql, &format!("INSERT INTO {BAD}.t SELECT n, '{ROW}' FROM {BAD}_load.numbers"));
    scene.drain();

    let modes = [Beside::Nothing, Beside::Slow, Beside::Failing];
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (mode, rates) in modes.into_iter().zip(&mut rates) {
            scene.beside(mode);
            rates.push(scene.drain());
            let (_, status) = scene.daemon.get(&format!("/connectors/{GOOD}/status")).expect("a status");
            assert_eq!(status["tasks"][0]["state"], "RUNNING");
        }
    }
    // What else runs on the machine may slow any round down; a neighbour in the way would slow down all of its own.
    let best = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
    let [alone, slow, failing] = [median(rates[0].clone()), best(&rates[1]), best(&rates[2])];
    eprintln!(
        "beside nothing {alone:.0} rows/s, beside a slow connector {:.2} of it, beside a failing one {:.2}",
        slow / alone,
        failing / alone
    );
    assert!(slow / alone >= 0.6 && failing / alone >= 0.6, "rows/s: alone {alone}, slow {slow}, failing {failing}");

    // Who waits does so without work.
    scene.beside(Beside::Slow);
    let cpu = |scene: &Scene<'_>| scene.daemon.metric("process_cpu_seconds_total").expect("CPU time");
    let (before, began) = (cpu(&scene), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let share = (cpu(&scene) - before) / began.elapsed().as_secs_f64();
    eprintln!("waiting takes {share:.2} of a core");
    assert!(share < 0.25, "a blocked connector takes {share:.2} of a core");

    // A password that does not hold any more ends one connector, not the others.
    refused(&scene);
    scene.drain();
    assert_eq!(scene.daemon.stop(), Some(0), "{}", scene.daemon.log());
    let keys: std::collections::BTreeSet<_> =
        topics::read(servers.bootstrap(), &format!("{GOOD}.{GOOD}.t")).into_iter().map(|record| record.key).collect();
    assert_eq!(keys.len(), scene.written, "every row of every backlog");
}

/// The bad connector's user loses its password.
fn refused(scene: &Scene<'_>) {
    let mysql = scene.servers.info("mysql8");
    sql(mysql, "CREATE USER isolated@'%' IDENTIFIED BY 'first'; GRANT ALL ON *.* TO isolated@'%'");
    let login = json!({ "database.user": "isolated", "database.password": "first" });
    let mut body = bad(scene.servers, scene.tarpit, &login)["config"].take();
    body["name"] = json!(BAD);
    scene.put(&format!("/connectors/{BAD}/config"), Some(&body));
    wait_for(&scene.daemon, BAD, "logged in", || {
        sql(mysql, "SELECT COUNT(*) FROM information_schema.processlist WHERE user='isolated'").trim() != "0"
    });
    sql(mysql, "ALTER USER isolated@'%' IDENTIFIED BY 'second'");
    let ids = sql(mysql, "SELECT id FROM information_schema.processlist WHERE user='isolated'");
    sql(mysql, &ids.lines().map(|id| format!("KILL {id};")).collect::<String>());
    let (code, answer) = scene.daemon.send("POST", &format!("/connectors/{BAD}/tasks/0/restart"), None);
    assert_eq!(code, 204, "{answer}");
    let trace = scene.daemon.wait_failed(BAD);
    assert!(trace.contains("Failed to authenticate"), "{trace}");
}
