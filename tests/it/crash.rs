//! `kill -9` under load: inside the snapshot of a large table, and with batches that are not delivered yet.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use engine::port::CheckpointStore;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rdkafka::{Message, message::Headers};
use serde_json::{Value, json};
use store::{Limits, Store};

use crate::{
    daemon::Daemon,
    invariants::{self, Change, History},
    load::{self, Load},
    mysql::sql,
    run::{self, last_number},
    servers::Servers,
    topics,
};

const BIG: i64 = 2_000_000;
const KILLS_IN_SNAPSHOT: usize = 5;
const KILLS_IN_STREAM: usize = 15;
const ROWS: usize = 100_000;
const DB: &str = "crash";
const NAME: &str = "crash";

/// One life of the daemon: when it began, and the last transaction that the position stored before covers.
struct Life {
    began_ms: u128,
    done: Option<u64>,
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis()
}

/// The checkpoint that a killed daemon has left.
fn stored(dir: &Path) -> Option<Value> {
    let store = Store::open(&dir.join("state/connect"), Limits::default()).expect("the state folder is free");
    let partition = json!({ "server": NAME });
    let partition = partition.as_object().expect("an object");
    let saved = store.load(NAME, partition).expect("a readable checkpoint");
    saved.map(|saved| Value::Object(saved.offset))
}

fn life(dir: &Path) -> Life {
    let offset = stored(dir).filter(|offset| offset.get("snapshot").is_none());
    let done = offset.and_then(|offset| last_number(offset["gtids"].as_str()?));
    Life { began_ms: now_ms(), done }
}

fn connector(servers: &Servers) -> Value {
    run::connector(servers, NAME, 184_099, &json!({ "retriable.restart.connector.wait.ms": "500" }))
}

/// A table of two million rows: `id`, 0 and `row-<id>`.
fn big_table(server: &Value) {
    let mut text = load::tables(DB);
    text.push_str("CREATE TABLE big (id BIGINT PRIMARY KEY, v INT NOT NULL, body VARCHAR(200) NOT NULL);\n");
    text.push_str("INSERT INTO big VALUES (1, 0, 'row-1');\n");
    let mut rows = 1;
    while rows < BIG {
        let more = rows.min(BIG - rows).min(250_000);
        let _ =
            writeln!(text, "INSERT INTO big SELECT id+{rows}, 0, CONCAT('row-', id+{rows}) FROM big WHERE id<={more};");
        rows += more;
    }
    sql(server, &text);
}

/// Polls the metrics until `ready` accepts them.
fn wait_for(daemon: &Daemon, what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !ready() {
        if Instant::now() > deadline {
            let (_, status) = daemon.get("/connectors/crash/status").unwrap_or_default();
            panic!("not {what} after 120 s: {status}\n{}", daemon.log());
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn killed_again_and_again_nothing_is_lost() {
    let servers = Servers::start(&["mysql8", "kafka"], &[]);
    let mysql = servers.info("mysql8");
    let seed = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("CRASH_SEED={seed} repeats the statements and the moments of this run");
    let mut random = StdRng::seed_from_u64(seed);
    big_table(mysql);
    let load = Load::start(mysql, DB, 2_500, seed);

    let dir = tempfile::tempdir().expect("a folder");
    let worker = "key.converter.schemas.enable=false\nvalue.converter.schemas.enable=false\n";
    let mut lives = vec![Life { began_ms: now_ms(), done: None }];
    let mut daemon = Daemon::start(dir.path(), servers.bootstrap(), "crash", worker);
    daemon.create(&connector(&servers));

    for kill in 0..KILLS_IN_SNAPSHOT {
        let rows = random.random_range(5_000..120_000) as f64;
        wait_for(&daemon, "far enough in the snapshot", || {
            daemon.metric_of("debezium_metrics_RowsScanned", "crash.big").is_some_and(|scanned| scanned > rows)
                && daemon.metric("afterimage_batches_in_flight").is_some_and(|batches| batches > 0.0)
        });
        assert_eq!(daemon.metric("afterimage_snapshot_running"), Some(1.0), "kill {kill} is inside the snapshot");
        daemon.kill();
        lives.push(life(dir.path()));
        assert_eq!(lives[kill + 1].done, None, "a position inside a snapshot is not one to go on from");
        daemon.restart();
    }
    // Only a stored position after the snapshot makes what follows a life in the stream.
    run::wait_streaming(&daemon, NAME);
    let mut advanced = 0;
    for kill in 0..KILLS_IN_STREAM {
        // The first kills come at once, while the backlog is worked off; later ones let it go on for a while.
        let more = random.random_range(0..6_000) as f64;
        let mut until = None;
        wait_for(&daemon, "delivering", || {
            let records = daemon.metric("afterimage_records_delivered_total").unwrap_or_default();
            records > *until.get_or_insert(records + more)
        });
        assert_eq!(daemon.metric("afterimage_snapshot_running"), Some(0.0), "kill {kill} is in the stream");
        let paused = kill % 3 == 2;
        if paused {
            servers.tell("pause", "kafka");
        }
        wait_for(&daemon, "with batches in flight", || {
            daemon.metric("afterimage_batches_in_flight").is_some_and(|batches| batches > 0.0)
        });
        daemon.kill();
        if paused {
            servers.tell("resume", "kafka");
        }
        let next = life(dir.path());
        let before = lives.last().and_then(|life| life.done);
        assert!(next.done >= before, "the stored position went back from {before:?} to {:?}", next.done);
        advanced += usize::from(next.done > before);
        lives.push(next);
        daemon.restart();
    }
    assert!(advanced >= KILLS_IN_STREAM / 2, "most lives got somewhere: {advanced}");
    wait_for(&daemon, "past enough load", || load.rows() >= ROWS * 105 / 100);
    let written = load.end();
    let executed = sql(mysql, "SELECT @@GLOBAL.gtid_executed");
    wait_for(&daemon, "at the end of the log", || {
        let (_, offsets) = daemon.get("/connectors/crash/offsets").unwrap_or_default();
        offsets["offsets"][0]["offset"]["gtids"] == executed.trim()
    });
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());

    let share = written.rows_of_several as f64 / written.rows as f64;
    assert!(written.rows >= ROWS && share >= 0.3 && written.key_changes > 1_000, "{} rows", written.rows);
    let repeated = check_load(&servers, &written, &lives);
    check_big(&servers);
    eprintln!(
        "{} row changes, {:.0} % in transactions over several tables, {} changes of the key; {} kills, {advanced} of {} in the \
         stream after progress; {repeated} records repeated",
        written.rows,
        share * 100.0,
        written.key_changes,
        lives.len() - 1,
        KILLS_IN_STREAM
    );
}

/// Order, completeness and final state per key; what is repeated was not covered by the position stored.
fn check_load(servers: &Servers, written: &load::Written, lives: &[Life]) -> usize {
    let mut repeated = 0;
    for (table, history) in &written.history {
        let topic = format!("{NAME}.{DB}.{table}");
        let records = topics::read(servers.bootstrap(), &topic);
        let observed = invariants::observed(&records).unwrap_or_else(|violation| panic!("{topic}: {violation:?}"));
        let kills = lives.len() - 1;
        let summary = invariants::check(history, &observed, kills, true);
        let summary = summary.unwrap_or_else(|violation| panic!("{topic}: {violation:?}"));
        assert!(summary.changes > 1000, "{topic}: {summary:?}");
        assert_eq!(
            invariants::final_state(&observed),
            load::in_database(servers.info("mysql8"), DB, table),
            "{topic}: the final state"
        );
        repeated += summary.repeats;
        for record in &records {
            let Some(value) = &record.value else { continue };
            let value: Value = serde_json::from_slice(value).expect("JSON");
            if value["op"] == "r" {
                continue;
            }
            let header = record.headers.iter().find(|(name, _)| name == "__debezium.context.runId");
            let run = header.and_then(|(_, value)| value.clone()).expect("a run id");
            let life = life_of(&String::from_utf8_lossy(&run), lives);
            let number = value["source"]["gtid"].as_str().and_then(last_number).expect("a GTID");
            assert!(
                life.done.is_none_or(|done| number > done),
                "{topic}, offset {}: transaction {number} was repeated, though the position stored covered {:?}",
                record.offset,
                life.done
            );
        }
    }
    repeated
}

/// Run ids are time-ordered: their first 48 bits are the milliseconds at which the run began.
fn life_of<'l>(run: &str, lives: &'l [Life]) -> &'l Life {
    let digits: String = run.chars().filter(char::is_ascii_hexdigit).take(12).collect();
    let at = u128::from_str_radix(&digits, 16).expect("a time-ordered UUID");
    lives.iter().rev().find(|life| life.began_ms <= at).expect("a run began after the daemon")
}

/// Every row of the large table is in its topic, as it is in the table.
fn check_big(servers: &Servers) {
    let count =
        sql(servers.info("mysql8"), &format!("SELECT COUNT(*) FROM {DB}.big WHERE v=0 AND body=CONCAT('row-', id)"));
    assert_eq!(count.trim(), BIG.to_string(), "the table itself");
    let mut seen = vec![false; BIG as usize + 1];
    topics::scan(servers.bootstrap(), &format!("{NAME}.{DB}.big"), |message| {
        let key = String::from_utf8_lossy(message.key().expect("a key"));
        let digits = key.trim_start_matches("{\"id\":").trim_end_matches('}');
        let id: i64 = digits.parse().unwrap_or_else(|_| panic!("key {key}"));
        let value = message.payload().expect("a value");
        let row = load::row(id, 0, &format!("row-{id}"));
        let expected = format!("{{\"before\":null,\"after\":{row},\"source\":");
        assert!(value.starts_with(expected.as_bytes()), "row {id}: {}", String::from_utf8_lossy(value));
        assert!(message.headers().is_some_and(|headers| headers.count() > 0), "row {id} has headers");
        seen[id as usize] = true;
    });
    let missing = seen.iter().skip(1).filter(|seen| !**seen).count();
    assert_eq!(missing, 0, "{missing} rows of the large table are not in its topic");
}

/// What the checker is fed with can fail: a lost change is found.
#[test]
fn a_lost_change_would_be_found() {
    let rows = |numbers: &[u32]| numbers.iter().map(|n| Change::Row(n.to_string())).collect::<Vec<_>>();
    let committed = History::from([("k".to_owned(), rows(&[1, 2, 3]))]);
    let lost = History::from([("k".to_owned(), rows(&[1, 3]))]);
    assert!(invariants::check(&committed, &lost, 20, true).is_err());
}
