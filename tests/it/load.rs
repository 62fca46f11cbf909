//! A writer that never pauses: transactions over one and several tables, with inserts, updates, deletes and changes of
//! the key, and a memory of what was committed, per key and in order.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    io::Write,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::invariants::{Change, History};

/// Tables of the load; each has the columns `id` (key), `v` and `body`.
pub const TABLES: [&str; 3] = ["items", "orders", "payments"];
/// Ids of a table lie below.
const IDS: i64 = 900;

/// What was committed.
#[derive(Default)]
pub struct Written {
    /// Per table.
    pub history: BTreeMap<String, History>,
    /// Rows changed.
    pub rows: usize,
    /// Of these in transactions over several tables.
    pub rows_of_several: usize,
    /// Changes of the key.
    pub key_changes: usize,
}

/// A load that runs until it is ended.
pub struct Load {
    stop: Arc<AtomicBool>,
    rows: Arc<AtomicUsize>,
    thread: JoinHandle<Written>,
}

/// A row as records show it.
pub fn row(id: i64, v: u32, body: &str) -> String {
    format!("{{\"id\":{id},\"v\":{v},\"body\":\"{body}\"}}")
}

/// The key as records show it.
pub fn key(id: i64) -> String {
    format!("{{\"id\":{id}}}")
}

/// Statements that make the tables.
pub fn tables(database: &str) -> String {
    let mut sql = format!("CREATE DATABASE IF NOT EXISTS {database} CHARSET utf8mb4; USE {database};");
    for table in TABLES {
        let _ =
            write!(sql, "CREATE TABLE {table} (id BIGINT PRIMARY KEY, v INT NOT NULL, body VARCHAR(200) NOT NULL);");
    }
    sql
}

impl Load {
    /// Starts writing into `database`, about `rate` rows a second. `seed` repeats a run's statements.
    pub fn start(server: &Value, database: &str, rate: usize, seed: u64) -> Load {
        let (stop, rows) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut child = Command::new("mariadb")
            .args(["--no-defaults", "-uroot", "--default-character-set=utf8mb4", "-S"])
            .arg(server["socket"].as_str().expect("a socket"))
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the mariadb client runs: is `make deps` done?");
        let mut writer = Writer { random: StdRng::seed_from_u64(seed), ..Writer::new() };
        let thread = {
            let (stop, rows) = (stop.clone(), rows.clone());
            std::thread::spawn(move || {
                write(&mut child, &mut writer, &stop, &rows, rate);
                writer.written
            })
        };
        Load { stop, rows, thread }
    }

    /// Rows changed so far.
    pub fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Ends it; everything that it tells of is committed.
    pub fn end(self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer")
    }
}

fn write(child: &mut Child, writer: &mut Writer, stop: &AtomicBool, rows: &AtomicUsize, rate: usize) {
    let mut pipe = child.stdin.take().expect("a pipe");
    let began = Instant::now();
    let mut sql = String::new();
    while !stop.load(Ordering::Relaxed) {
        sql.clear();
        for _ in 0..10 {
            writer.transaction(&mut sql);
        }
        pipe.write_all(sql.as_bytes()).expect("the client takes statements");
        pipe.flush().expect("the client takes statements");
        rows.store(writer.written.rows, Ordering::Relaxed);
        let due = Duration::from_secs_f64(writer.written.rows as f64 / rate as f64);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    drop(pipe);
    assert!(child.wait().expect("the client ends").success(), "a statement of the load failed");
}

struct Writer {
    random: StdRng,
    written: Written,
    /// Version of each live row, and of each id the newest version it had.
    live: [BTreeMap<i64, u32>; TABLES.len()],
    newest: [HashMap<i64, u32>; TABLES.len()],
}

impl Writer {
    fn new() -> Self {
        Self {
            random: StdRng::seed_from_u64(0),
            written: Written::default(),
            live: Default::default(),
            newest: Default::default(),
        }
    }

    /// Three rows in ten belong to transactions over several tables.
    fn transaction(&mut self, sql: &mut String) {
        let several = (self.written.rows_of_several as f64) < 0.32 * self.written.rows as f64;
        let before = self.written.rows;
        sql.push_str("BEGIN;\n");
        if several {
            for table in 0..TABLES.len() {
                self.changes(table, 4, sql);
            }
            self.changes(0, 2, sql);
        } else {
            let table = self.random.random_range(0..TABLES.len());
            self.changes(table, 12, sql);
        }
        sql.push_str("COMMIT;\n");
        if several {
            self.written.rows_of_several += self.written.rows - before;
        }
    }

    fn changes(&mut self, table: usize, most: usize, sql: &mut String) {
        for _ in 0..self.random.random_range(1..=most) {
            self.change(table, sql);
        }
    }

    fn change(&mut self, table: usize, sql: &mut String) {
        let id = self.random.random_range(1..IDS);
        let name = TABLES[table];
        let dice = self.random.random_range(0..100);
        self.written.rows += 1;
        let exists = self.live[table].contains_key(&id);
        if exists && dice < 15 {
            let _ = writeln!(sql, "DELETE FROM {name} WHERE id={id};");
            self.gone(table, id);
        } else if exists && dice < 30 {
            let to = self.random.random_range(1..IDS);
            if self.live[table].contains_key(&to) {
                let body = self.put(table, id);
                let _ = writeln!(sql, "UPDATE {name} SET v={}, body='{}' WHERE id={id};", body.0, body.1);
                return;
            }
            self.gone(table, id);
            let body = self.put(table, to);
            let _ = writeln!(sql, "UPDATE {name} SET id={to}, v={}, body='{}' WHERE id={id};", body.0, body.1);
            self.written.key_changes += 1;
        } else {
            let body = self.put(table, id);
            let _ = match exists {
                true => writeln!(sql, "UPDATE {name} SET v={}, body='{}' WHERE id={id};", body.0, body.1),
                false => writeln!(sql, "INSERT INTO {name} VALUES ({id}, {}, '{}');", body.0, body.1),
            };
        }
    }

    fn put(&mut self, table: usize, id: i64) -> (u32, String) {
        let v = self.newest[table].entry(id).or_insert(0);
        *v += 1;
        let v = *v;
        let body = format!("{} {id} in its {v}th form, Übergröße", TABLES[table]);
        self.live[table].insert(id, v);
        self.remember(table, id, Change::Row(row(id, v, &body)));
        (v, body)
    }

    fn gone(&mut self, table: usize, id: i64) {
        self.live[table].remove(&id);
        self.remember(table, id, Change::Gone);
    }

    fn remember(&mut self, table: usize, id: i64, change: Change) {
        let history = self.written.history.entry(TABLES[table].to_owned()).or_default();
        history.entry(key(id)).or_default().push(change);
    }
}
