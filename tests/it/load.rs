//! A writer that never pauses: transactions over one and several tables, with inserts, updates, deletes and changes of
//! the key, and a memory of what was committed, per key and in order. It outlives its server: each transaction has a
//! number that is committed with it, so that what a lost connection left open is known.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
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

use crate::{
    invariants::{Change, History},
    mysql::sql,
    secrets::ROW,
};

/// Tables of the load; each has the columns `id` (key), `v` and `body`.
pub const TABLES: [&str; 3] = ["items", "orders", "payments"];
/// Ids of a table lie below.
const IDS: i64 = 900;
/// Transactions that a lost connection can leave open, at most: what fits into the pipe to the client.
const OPEN: usize = 5_000;
/// How long a server may be away.
const AWAY: Duration = Duration::from_secs(120);

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
    /// How often the connection was lost.
    pub reconnects: usize,
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

/// Statements that make the tables, and beside their database one for the number of the last transaction.
pub fn tables(database: &str) -> String {
    let mut sql = format!(
        "CREATE DATABASE {database}_load; CREATE TABLE {database}_load.progress (n BIGINT NOT NULL);
         INSERT INTO {database}_load.progress VALUES (0);
         CREATE DATABASE IF NOT EXISTS {database} CHARSET utf8mb4; USE {database};"
    );
    for table in TABLES {
        let _ =
            write!(sql, "CREATE TABLE {table} (id BIGINT PRIMARY KEY, v INT NOT NULL, body VARCHAR(200) NOT NULL);");
    }
    sql
}

/// Rows of one of the tables as the database has them, by key.
pub fn in_database(server: &Value, database: &str, table: &str) -> BTreeMap<String, String> {
    let rows = sql(server, &format!("SELECT id, v, body FROM {database}.{table}"));
    let rows = rows.lines().map(|line| {
        let mut fields = line.split('\t');
        let id = fields.next().and_then(|id| id.parse().ok()).expect("id");
        let v = fields.next().and_then(|v| v.parse().ok()).expect("v");
        (key(id), row(id, v, fields.next().expect("body")))
    });
    rows.collect()
}

impl Load {
    /// Starts writing into `database`, about `rate` rows a second. `seed` repeats a run's statements.
    pub fn start(server: &Value, database: &str, rate: usize, seed: u64) -> Load {
        let (stop, rows) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let target =
            Target { socket: server["socket"].as_str().expect("a socket").to_owned(), database: database.to_owned() };
        let mut writer = Writer { random: StdRng::seed_from_u64(seed), ..Writer::new(database) };
        let thread = {
            let (stop, rows) = (stop.clone(), rows.clone());
            std::thread::spawn(move || {
                write(&target, &mut writer, &stop, &rows, rate);
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

/// Where the load goes.
struct Target {
    socket: String,
    database: String,
}

impl Target {
    fn client(&self) -> Command {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--skip-reconnect", "-uroot", "-N", "--default-character-set=utf8mb4", "-S"]);
        client.arg(&self.socket).arg(&self.database);
        client
    }

    fn connect(&self) -> Session {
        let mut client = self.client();
        client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
        Session(client.spawn().expect("the mariadb client runs: is `make deps` done?"))
    }

    /// The number of the last transaction that was committed, once the server answers.
    fn committed(&self) -> u64 {
        let deadline = Instant::now() + AWAY;
        loop {
            let query = format!("SELECT n FROM {}_load.progress", self.database);
            let answer = self.client().args(["-e", &query]).stderr(Stdio::null()).output().expect("the client runs");
            if answer.status.success() {
                return String::from_utf8_lossy(&answer.stdout).trim().parse().expect("a number");
            }
            assert!(Instant::now() < deadline, "the server of the load is away for {AWAY:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A running client.
struct Session(Child);

impl Session {
    /// Whether it took the statements, which says nothing about the server.
    fn send(&mut self, sql: &str) -> bool {
        let pipe = self.0.stdin.as_mut().expect("a pipe");
        pipe.write_all(sql.as_bytes()).and_then(|()| pipe.flush()).is_ok()
    }

    /// Ends it; whether the server has executed everything.
    fn end(&mut self) -> bool {
        drop(self.0.stdin.take());
        self.0.wait().expect("the client ends").success()
    }
}

fn write(target: &Target, writer: &mut Writer, stop: &AtomicBool, rows: &AtomicUsize, rate: usize) {
    let mut client = target.connect();
    let began = Instant::now();
    let mut sql = String::new();
    loop {
        let ending = stop.load(Ordering::Relaxed);
        let taken = if ending {
            client.end()
        } else {
            sql.clear();
            for _ in 0..10 {
                writer.transaction(&mut sql);
            }
            client.send(&sql)
        };
        if !taken {
            client.end();
            let committed = target.committed();
            writer.roll_back_to(committed);
            writer.written.reconnects += 1;
            client = target.connect();
        } else if ending {
            return;
        }
        rows.store(writer.written.rows, Ordering::Relaxed);
        let due = Duration::from_secs_f64(writer.written.rows as f64 / rate as f64);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
}

struct Writer {
    random: StdRng,
    written: Written,
    /// Version of each live row, and of each id the newest version it had.
    live: [BTreeMap<i64, u32>; TABLES.len()],
    newest: [HashMap<i64, u32>; TABLES.len()],
    database: String,
    number: u64,
    /// The last transactions, which a lost connection may leave uncommitted.
    open: VecDeque<Transaction>,
}

/// A transaction, and what takes it back.
#[derive(Default)]
struct Transaction {
    number: u64,
    rows: usize,
    several: bool,
    key_changes: usize,
    undo: Vec<Undo>,
}

/// A row's versions before a change.
struct Undo {
    table: usize,
    id: i64,
    live: Option<u32>,
    newest: Option<u32>,
}

impl Writer {
    fn new(database: &str) -> Self {
        Self {
            random: StdRng::seed_from_u64(0),
            written: Written::default(),
            live: Default::default(),
            newest: Default::default(),
            database: database.to_owned(),
            number: 0,
            open: VecDeque::new(),
        }
    }

    /// Three rows in ten belong to transactions over several tables.
    fn transaction(&mut self, sql: &mut String) {
        let several = (self.written.rows_of_several as f64) < 0.32 * self.written.rows as f64;
        let (rows, key_changes) = (self.written.rows, self.written.key_changes);
        self.number += 1;
        self.open.truncate(OPEN - 1);
        self.open.push_front(Transaction { number: self.number, several, ..Transaction::default() });
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
        let _ = writeln!(sql, "UPDATE {}_load.progress SET n={};", self.database, self.number);
        sql.push_str("COMMIT;\n");
        let rows = self.written.rows - rows;
        if several {
            self.written.rows_of_several += rows;
        }
        if let Some(open) = self.open.front_mut() {
            (open.rows, open.key_changes) = (rows, self.written.key_changes - key_changes);
        }
    }

    /// Forgets what the server did not commit.
    fn roll_back_to(&mut self, committed: u64) {
        while self.number > committed {
            let transaction = self.open.pop_front().expect("no more transactions are open than the pipe holds");
            for undo in transaction.undo.into_iter().rev() {
                let Undo { table, id, live, newest } = undo;
                match live {
                    Some(v) => drop(self.live[table].insert(id, v)),
                    None => drop(self.live[table].remove(&id)),
                }
                match newest {
                    Some(v) => drop(self.newest[table].insert(id, v)),
                    None => drop(self.newest[table].remove(&id)),
                }
                let history = self.written.history.entry(TABLES[table].to_owned()).or_default();
                history.get_mut(&key(id)).and_then(Vec::pop).expect("the change is remembered");
                history.retain(|_, changes| !changes.is_empty());
            }
            self.written.rows -= transaction.rows;
            self.written.key_changes -= transaction.key_changes;
            if transaction.several {
                self.written.rows_of_several -= transaction.rows;
            }
            self.number -= 1;
            assert_eq!(transaction.number, self.number + 1, "transactions are numbered one by one");
        }
        assert_eq!(self.number, committed, "the server knows only what was sent");
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
        self.note(table, id);
        let v = self.newest[table].entry(id).or_insert(0);
        *v += 1;
        let v = *v;
        let body = format!("{ROW}: {} {id} in its {v}th form, Übergröße", TABLES[table]);
        self.live[table].insert(id, v);
        self.remember(table, id, Change::Row(row(id, v, &body)));
        (v, body)
    }

    fn gone(&mut self, table: usize, id: i64) {
        self.note(table, id);
        self.live[table].remove(&id);
        self.remember(table, id, Change::Gone);
    }

    /// Keeps what takes the next change of a row back.
    fn note(&mut self, table: usize, id: i64) {
        let undo =
            Undo { table, id, live: self.live[table].get(&id).copied(), newest: self.newest[table].get(&id).copied() };
        if let Some(open) = self.open.front_mut() {
            open.undo.push(undo);
        }
    }

    fn remember(&mut self, table: usize, id: i64, change: Change) {
        let history = self.written.history.entry(TABLES[table].to_owned()).or_default();
        history.entry(key(id)).or_default().push(change);
    }
}
