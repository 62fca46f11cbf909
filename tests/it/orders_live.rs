//! The `orders` pipeline on a real Kafka and a real Redis: change events go into the two topics while the pipeline is
//! killed again and again; in the end Redis equals the tables, and each complete order was announced exactly once.
//!
//! The servers are started by the project's launcher. The pipeline runs in processes of its own (this binary, started
//! with `ORDERS_LIVE_CHILD`), so that a kill is a real one. The seed is printed; `ORDERS_LIVE_SEED` repeats it.
//! A harness of its own, for the second role of the binary; a scenario that fails ends it with code 101.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pipelines::{
    orders::{self, Config},
    runtime::{Shutdown, kafka},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rdkafka::{
    ClientConfig, Message,
    consumer::BaseConsumer,
    producer::{BaseProducer, BaseRecord, Producer},
};
use redis::Commands;
use serde_json::{Value, json};

const ORDERS: usize = 2_500;
const KILLS: usize = 20;
/// Of these, so many between the two halves of a batch.
const KILLS_BETWEEN: usize = 5;
const PARTITIONS: i32 = 3;

fn main() -> ExitCode {
    if std::env::var_os("ORDERS_LIVE_CHILD").is_some() {
        return child();
    }
    // What test runners ask for.
    if std::env::args().any(|argument| argument == "--list") {
        tell("orders_live: test");
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    scenario();
    tell(&format!("test orders_live ... ok ({:.0} s)", began.elapsed().as_secs_f64()));
    ExitCode::SUCCESS
}

fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn wait(time: Duration) {
    thread::park_timeout(time);
}

/// The pipeline's process. With `ORDERS_LIVE_DIE=n` it kills itself when Redis has, and Kafka has not, the n-th batch
/// that completes orders.
fn child() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter("warn,pipelines=debug,afterimage::story=warn")
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let config = std::env::var("ORDERS_LIVE_CHILD").expect("configuration");
    let config = Config::load(&config, std::iter::empty()).expect("a valid configuration");
    let left = std::env::var("ORDERS_LIVE_DIE").ok().and_then(|n| n.parse::<usize>().ok());
    let left = std::sync::atomic::AtomicUsize::new(left.unwrap_or(usize::MAX));
    let hook: orders::AfterRedis = Arc::new(move |claims| {
        if claims > 0 && left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let _ = Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
    let result = runtime.block_on(async {
        let shutdown = Shutdown::new();
        let trigger = shutdown.clone();
        tokio::spawn(async move {
            let mut terminate =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signals");
            terminate.recv().await;
            trigger.trigger();
        });
        orders::run_with(config, shutdown, Some(hook)).await
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Real servers, stopped when this is dropped.
struct Servers {
    launcher: Option<Child>,
    kafka: String,
    redis: String,
    /// URL of a database to generate into.
    mysql: String,
}

impl Servers {
    fn start(folder: &Path) -> Self {
        let given = ["ORDERS_LIVE_KAFKA", "ORDERS_LIVE_REDIS", "ORDERS_LIVE_MYSQL"].map(std::env::var);
        if let [Ok(kafka), Ok(redis), Ok(mysql)] = given {
            return Self { launcher: None, kafka, redis, mysql };
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut launcher = Command::new(root.join("tests/servers/servers"))
            .args(["run", "--dir"])
            .arg(folder)
            .args(["kafka", "redis", "mysql8"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the launcher starts");
        let mut line = String::new();
        BufReader::new(launcher.stdout.take().expect("its output")).read_line(&mut line).expect("its answer");
        let servers: Value = serde_json::from_str(&line).expect("one line of JSON: the servers did not start");
        let text = |server: &str, name: &str| servers[server][name].as_str().expect("an address").to_owned();
        Self {
            kafka: text("kafka", "bootstrap"),
            redis: text("redis", "url").trim_end_matches('/').to_owned(),
            mysql: format!("mysql://cdc:cdc@127.0.0.1:{}/pipelines_generated", servers["mysql8"]["port"]),
            launcher: Some(launcher),
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some(mut launcher) = self.launcher.take() {
            drop(launcher.stdin.take());
            let _ = launcher.wait();
        }
    }
}

/// The pipeline's process, killed when a failing test forgets it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The two tables, and what can be said of every order's past.
#[derive(Default)]
struct Tables {
    orders: BTreeMap<String, Row>,
    /// line -> (order, product)
    lines: BTreeMap<String, (String, String)>,
    past: BTreeMap<String, Past>,
}

#[derive(Clone, PartialEq, Debug)]
struct Row {
    customer: i64,
    payment: i64,
    wanted: i64,
}

/// The two topics are not ordered against each other: an order can be found complete when the fewest products it ever
/// wanted are no more than the most it ever had.
#[derive(Default)]
struct Past {
    wanted_min: Option<i64>,
    had_max: i64,
}

impl Tables {
    fn products(&self, order: &str) -> BTreeSet<&str> {
        self.lines.values().filter(|(of, _)| of == order).map(|(_, product)| product.as_str()).collect()
    }

    fn note(&mut self, order: &str) {
        let had = i64::try_from(self.products(order).len()).expect("few");
        let wanted = self.orders.get(order).map(|row| row.wanted);
        let past = self.past.entry(order.to_owned()).or_default();
        past.had_max = past.had_max.max(had);
        past.wanted_min = [past.wanted_min, wanted].into_iter().flatten().min();
    }

    fn complete(&self, order: &str) -> bool {
        self.orders.get(order).is_some_and(|row| i64::try_from(self.products(order).len()).expect("few") >= row.wanted)
    }

    fn never_sufficed(&self, order: &str) -> bool {
        self.past.get(order).is_none_or(|past| past.wanted_min.is_none_or(|wanted| past.had_max < wanted))
    }
}

/// Writes change events as the daemon would, in all forms, and keeps the tables.
struct Feed {
    rng: StdRng,
    producer: BaseProducer,
    prefix: String,
    tables: Tables,
    deleted: Vec<String>,
}

impl Feed {
    fn topic(&self, table: &str) -> String {
        format!("{}.{table}", self.prefix)
    }

    fn send(&self, topic: &str, key: Option<&str>, value: Option<&str>) {
        let mut record: BaseRecord<'_, str, str> = BaseRecord::to(topic);
        if let Some(key) = key {
            record = record.key(key);
        }
        if let Some(value) = value {
            record = record.payload(value);
        }
        // The forms of a key differ in bytes; a row stays in one partition all the same.
        let mut id: Value = serde_json::from_str(key.expect("a key")).expect("JSON");
        if let Some(payload) = id.get_mut("payload") {
            id = payload.take();
        }
        let id = id["id"].as_str().expect("an id");
        let partition = id.bytes().fold(7_i32, |hash, byte| (hash * 31 + i32::from(byte)) % 10_007) % PARTITIONS;
        self.producer.send(record.partition(partition)).map_err(|(error, _)| error).expect("queued");
        self.producer.poll(Duration::ZERO);
    }

    fn upsert(&mut self, table: &str, before: Option<Value>, after: Value) {
        let key = json!({"id": after["id"]});
        let op = if before.is_some() { "u" } else { ["c", "r"][self.rng.random_range(0..2)] };
        let envelope = json!({"before": before, "after": after, "source": {"version": "3.6.1.Final", "db": "project_db",
                              "table": table}, "transaction": null, "op": op, "ts_ms": 1});
        let (key, value) = match self.rng.random_range(0..4) {
            0 => (
                json!({"schema": {"type": "struct"}, "payload": key}),
                json!({"schema": {"type": "struct", "fields": []}, "payload": envelope}),
            ),
            1 => (key, after),
            _ => (key, envelope),
        };
        self.send(&self.topic(table), Some(&key.to_string()), Some(&value.to_string()));
    }

    fn delete(&mut self, table: &str, before: Value) {
        let key = json!({"id": before["id"]}).to_string();
        let topic = self.topic(table);
        if self.rng.random_bool(0.8) {
            let value = json!({"before": before, "after": null, "source": {}, "op": "d", "ts_ms": 1});
            self.send(&topic, Some(&key), Some(&value.to_string()));
        }
        self.send(&topic, Some(&key), None);
    }

    fn order_row(id: &str, row: &Row) -> Value {
        json!({"id": id, "customer_id": row.customer, "store_id": 7, "payment_method_id": row.payment,
               "num_products": row.wanted, "timestamp": 1_736_265_600_000_i64})
    }

    fn line_row(id: &str, (order, product): &(String, String)) -> Value {
        json!({"id": id, "order_id": order, "product_id": product, "quantity": 1, "price": 9.99})
    }

    fn put_order(&mut self, id: &str, row: Row) {
        let before = self.tables.orders.insert(id.to_owned(), row.clone()).map(|old| Self::order_row(id, &old));
        self.upsert("orders", before, Self::order_row(id, &row));
        self.tables.note(id);
    }

    fn put_line(&mut self, id: &str, order: &str, product: &str) {
        let line = (order.to_owned(), product.to_owned());
        let before = self.tables.lines.insert(id.to_owned(), line.clone());
        self.upsert("order_details", before.as_ref().map(|old| Self::line_row(id, old)), Self::line_row(id, &line));
        self.tables.note(order);
    }

    fn random_row(&mut self, wanted: i64) -> Row {
        Row { customer: self.rng.random_range(1..1000), payment: self.rng.random_range(1..5), wanted }
    }

    /// One order with its lines, in some order, often with one line too few.
    fn order(&mut self, n: usize) {
        let id = if !self.deleted.is_empty() && self.rng.random_bool(0.1) {
            // The same id again.
            self.deleted.remove(0)
        } else {
            format!("order-{n}")
        };
        let wanted = self.rng.random_range(1..5_i64);
        let row = self.random_row(wanted);
        let order_first = self.rng.random_bool(0.6);
        if order_first {
            self.put_order(&id, row.clone());
        }
        let lines = if self.rng.random_bool(0.25) { wanted - 1 } else { wanted };
        for k in 0..lines {
            self.put_line(&format!("line-{n}-{k}"), &id, &format!("product-{k}"));
            if self.rng.random_bool(0.1) {
                // The same product in a second line.
                self.put_line(&format!("line-{n}-{k}-again"), &id, &format!("product-{k}"));
            }
        }
        if !order_first {
            self.put_order(&id, row);
        }
    }

    fn pick<T: Clone>(rng: &mut StdRng, of: &BTreeMap<String, T>) -> Option<(String, T)> {
        let index = rng.random_range(0..of.len().max(1));
        of.iter().nth(index).map(|(key, value)| (key.clone(), value.clone()))
    }

    fn change(&mut self) {
        let Some((id, row)) = Self::pick(&mut self.rng, &self.tables.orders) else { return };
        match self.rng.random_range(0..10) {
            0 | 1 => {
                let new = self.random_row(row.wanted);
                self.put_order(&id, new);
            }
            2 => self.put_order(&id, Row { wanted: (row.wanted - 1).max(1), ..row }),
            3 => self.put_order(&id, Row { wanted: row.wanted + 1, ..row }),
            4 => {
                self.tables.orders.remove(&id);
                self.delete("orders", Self::order_row(&id, &row));
                if self.rng.random_bool(0.5) {
                    let lines: Vec<(String, (String, String))> = self
                        .tables
                        .lines
                        .iter()
                        .filter(|(_, (of, _))| *of == id)
                        .map(|(line, row)| (line.clone(), row.clone()))
                        .collect();
                    for (line, row) in lines {
                        self.tables.lines.remove(&line);
                        self.delete("order_details", Self::line_row(&line, &row));
                    }
                } else if self.rng.random_bool(0.5) {
                    // A line that comes after its order went.
                    let n: u32 = self.rng.random();
                    self.put_line(&format!("late-{n}"), &id, "product-late");
                }
                self.deleted.push(id);
            }
            5 | 6 => {
                if let Some((line, row)) = Self::pick(&mut self.rng, &self.tables.lines) {
                    self.tables.lines.remove(&line);
                    self.delete("order_details", Self::line_row(&line, &row));
                }
            }
            7 => {
                if let Some((line, (_, product))) = Self::pick(&mut self.rng, &self.tables.lines) {
                    self.put_line(&line, &id, &product);
                }
            }
            8 => {
                if let Some((line, (order, _))) = Self::pick(&mut self.rng, &self.tables.lines) {
                    let product = format!("product-{}", self.rng.random_range(0..6));
                    self.put_line(&line, &order, &product);
                }
            }
            _ => {
                // The line's key changes: a delete and a create.
                if let Some((line, row)) = Self::pick(&mut self.rng, &self.tables.lines) {
                    self.tables.lines.remove(&line);
                    self.delete("order_details", Self::line_row(&line, &row));
                    self.put_line(&format!("{line}+"), &row.0, &row.1);
                }
            }
        }
    }
}

struct World {
    servers: Servers,
    folder: PathBuf,
    prefix: String,
    client: ClientConfig,
}

impl World {
    fn config(&self, instance: &str) -> String {
        let (folder, prefix) = (self.folder.display(), &self.prefix);
        format!(
            "instance = '{instance}'\nstate_dir = '{folder}/state'\nworkers = 3\nbatch_changes_max = 200\n\
             [input]\norders_topic = '{prefix}.orders'\norder_details_topic = '{prefix}.order_details'\n\
             orders_group = '{prefix}-orders'\norder_details_group = '{prefix}-details'\n\
             [output]\nready_topic = '{prefix}.ready'\ndead_letter_topic = '{prefix}.dl'\n\
             [http]\nlisten = ''\n[log]\nfile = '{folder}/logs/{instance}.log'\n\
             [kafka]\nbootstrap_servers = '{}'\n[redis]\nurl = '{}/8'\nbookkeeping_db = 9\n[connect]\nurl = ''\n",
            self.servers.kafka, self.servers.redis
        )
    }

    fn spawn(&self, instance: &str, die: Option<usize>) -> Process {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(format!("pipeline-{instance}.log")))
            .expect("log");
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.env("ORDERS_LIVE_CHILD", self.config(instance)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        if let Some(die) = die {
            command.env("ORDERS_LIVE_DIE", die.to_string());
        }
        Process(command.spawn().expect("starts"))
    }

    fn redis(&self) -> redis::Connection {
        redis::Client::open(format!("{}/8", self.servers.redis)).expect("URL").get_connection().expect("Redis")
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// Waits until both groups have committed the ends of their topics.
    fn wait_caught_up(&self, within: Duration) {
        let deadline = Instant::now() + within;
        for (topic, group) in [("orders", "orders"), ("order_details", "details")] {
            let consumer: BaseConsumer = self
                .client
                .clone()
                .set("group.id", format!("{}-{group}", self.prefix))
                .set("isolation.level", "read_committed")
                .create()
                .expect("consumer");
            let topic = self.topic(topic);
            loop {
                let ends = kafka::ends(&consumer, &topic).expect("ends");
                let lag: i64 = ends
                    .iter()
                    .map(|(p, (_, end))| end - kafka::committed(&consumer, &topic, *p).expect("committed").unwrap_or(0))
                    .sum();
                if lag == 0 {
                    break;
                }
                assert!(Instant::now() < deadline, "{topic}: lag {lag} remains; see {}", self.folder.display());
                wait(Duration::from_millis(200));
            }
        }
    }

    fn records(&self, topic: &str) -> Vec<rdkafka::message::OwnedMessage> {
        let topic = self.topic(topic);
        let ends = kafka::ends(&kafka::reader(&self.client, "read_committed").expect("reader"), &topic).expect("ends");
        let from = ends.iter().map(|(partition, (low, _))| (*partition, *low)).collect();
        let mut all = Vec::new();
        kafka::read_to_end(
            &self.client,
            &topic,
            &from,
            || true,
            |message| {
                all.push(message.detach());
                Ok(())
            },
        )
        .expect("reads");
        all
    }

    /// Announcements by order.
    fn announced(&self) -> BTreeMap<String, Vec<Value>> {
        let mut by_order: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for message in self.records("ready") {
            let value: Value = serde_json::from_slice(message.payload().expect("a value")).expect("JSON");
            let key = String::from_utf8(message.key().expect("a key").to_vec()).expect("text");
            assert_eq!(value["order_id"], json!(key));
            by_order.entry(key).or_default().push(value);
        }
        by_order
    }

    /// Redis equals the tables.
    fn compare(&self, tables: &Tables, announced: &BTreeMap<String, Vec<Value>>) {
        let mut redis = self.redis();
        let keys: BTreeSet<String> = redis.keys("*").expect("keys");
        let mut expected = BTreeSet::new();
        for (id, row) in &tables.orders {
            let info: BTreeMap<String, String> = redis.hgetall(format!("order_info:{id}")).expect("hash");
            let want =
                [("customer_id", row.customer), ("num_products", row.wanted), ("payment_method_id", row.payment)];
            let want: BTreeMap<String, String> = want.map(|(k, v)| (k.to_owned(), v.to_string())).into();
            assert_eq!(info, want, "order_info:{id}");
            expected.extend([format!("order_info:{id}"), format!("order:{id}")]);
            let status: Option<String> = redis.get(format!("order_status:{id}")).expect("status");
            assert_eq!(status.as_deref(), announced.contains_key(id).then_some("checking"), "order_status:{id}");
            if status.is_some() {
                expected.insert(format!("order_status:{id}"));
            }
        }
        // Lines show unless their order was deleted.
        let ids: BTreeSet<&String> = tables.past.keys().collect();
        for id in ids {
            let products: BTreeSet<String> = redis.smembers(format!("ordered_products:{id}")).expect("set");
            let mut list: Vec<String> = redis.lrange(format!("order:{id}:products"), 0, -1).expect("list");
            list.sort();
            let want: BTreeSet<String> = if tables.orders.contains_key(id) {
                tables.products(id).into_iter().map(str::to_owned).collect()
            } else {
                BTreeSet::new()
            };
            assert_eq!(products, want, "ordered_products:{id}");
            assert_eq!(list, want.iter().cloned().collect::<Vec<_>>(), "order:{id}:products");
            if !want.is_empty() {
                expected.extend([format!("ordered_products:{id}"), format!("order:{id}:products")]);
            }
        }
        assert_eq!(keys, expected, "no other keys");
    }
}

fn stop(mut process: Process) {
    let child = &mut process.0;
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match child.try_wait().expect("waits") {
            Some(status) => {
                assert!(status.success(), "the pipeline ended with {status}");
                return;
            }
            None if Instant::now() > deadline => {
                let _ = child.kill();
                panic!("the pipeline does not stop");
            }
            None => wait(Duration::from_millis(50)),
        }
    }
}

/// The generator's tables hold what it says, complete and incomplete orders as asked for.
fn generated(world: &World) {
    let settings =
        pipelines::runtime::settings::MysqlSettings { url: world.servers.mysql.as_str().into(), ..Default::default() };
    let load = pipelines::generate::OrdersLoad {
        orders: 2_500,
        lines: 4_700,
        rate: 2_000.0,
        changes: Some(300),
        ..Default::default()
    };
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(async {
        use mysql_async::prelude::Queryable;
        let (options, database) = settings.options().expect("a valid URL");
        let mut connection = mysql_async::Conn::new(options).await.expect("MySQL");
        connection.query_drop(format!("DROP DATABASE IF EXISTS {database}")).await.expect("drops");
        let mut output = Vec::new();
        let made =
            pipelines::generate::orders(&settings, &load, &Shutdown::new(), &mut output).await.expect("generates");
        let query = format!(
            "SELECT (SELECT COUNT(*) FROM {database}.orders), (SELECT COUNT(*) FROM {database}.order_details), \
             (SELECT COUNT(*) FROM {database}.orders o WHERE o.num_products <= \
              (SELECT COUNT(DISTINCT d.product_id) FROM {database}.order_details d WHERE d.order_id = o.id))"
        );
        let (orders, lines, complete): (u64, u64, u64) =
            connection.query_first(query).await.expect("counts").expect("a row");
        assert_eq!(made.orders + made.lines - made.deletes, orders + lines, "rows as told");
        assert!(made.orders > 2_550 && made.lines > 4_800 && made.updates > 20 && made.deletes > 0, "{made:?}");
        assert!(complete * 10 > orders * 8 && complete < orders, "{complete} of {orders} complete");
        let output = String::from_utf8(output).expect("text");
        assert!(output.contains("2500 orders with 4700 lines inserted"), "{output}");
        connection.query_drop(format!("DROP DATABASE {database}")).await.expect("drops");
        connection.disconnect().await.expect("leaves");
    });
    tell("generator: tables as told");
}

fn scenario() {
    let folder = tempfile::Builder::new().prefix("orders-live").tempdir().expect("folder");
    // Kept when something fails, for its logs.
    let path = folder.keep();
    let servers = Servers::start(&path.join("servers"));
    let seed = std::env::var("ORDERS_LIVE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        u64::from(std::process::id()) ^ u64::from(std::time::UNIX_EPOCH.elapsed().map_or(0, |t| t.subsec_nanos()))
    });
    tell(&format!("seed {seed}, files in {}", path.display()));
    let prefix = format!("pipelines-{seed:x}");
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &servers.kafka);
    let world = World { servers, folder: path.clone(), prefix: prefix.clone(), client };
    generated(&world);
    for db in [8, 9] {
        let mut redis = world.redis();
        let _: () = redis::pipe().cmd("SELECT").arg(db).cmd("FLUSHDB").exec(&mut redis).expect("empties");
    }
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let names = [world.topic("orders"), world.topic("order_details")];
    let plans: Vec<kafka::TopicPlan<'_>> = names
        .iter()
        .map(|name| kafka::TopicPlan { name, partitions: PARTITIONS, replication: 1, settings: &[] })
        .collect();
    runtime.block_on(kafka::create_topics(&world.client, &plans)).expect("topics");
    let producer: BaseProducer =
        world.client.clone().set("enable.idempotence", "true").set("linger.ms", "1").create().expect("producer");
    let mut feed =
        Feed { rng: StdRng::seed_from_u64(seed), producer, prefix, tables: Tables::default(), deleted: Vec::new() };

    // A stock before the first start, then changes as long as the kills go on.
    for n in 0..ORDERS / 2 {
        feed.order(n);
    }
    let stop_feeding = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop_feeding);
    let feeder = thread::spawn(move || {
        let mut n = ORDERS / 2;
        while n < ORDERS || !stopped.load(Ordering::SeqCst) {
            if feed.rng.random_bool(0.4) {
                feed.order(n);
                n += 1;
            } else {
                feed.change();
            }
            wait(Duration::from_millis(if n < ORDERS { 4 } else { 20 }));
        }
        feed.producer.flush(Duration::from_secs(10)).expect("delivered");
        feed
    });
    let mut rng = StdRng::seed_from_u64(seed ^ 1);
    let second = world.spawn("second", None);
    for kill in 0..KILLS {
        let between = kill % (KILLS / KILLS_BETWEEN) == 1;
        let mut process = world.spawn("first", between.then(|| rng.random_range(1..4)));
        let child = &mut process.0;
        if between {
            let deadline = Instant::now() + Duration::from_secs(60);
            while child.try_wait().expect("waits").is_none() {
                assert!(Instant::now() < deadline, "no batch completed an order");
                wait(Duration::from_millis(20));
            }
        } else {
            wait(Duration::from_millis(rng.random_range(400..3_000)));
            child.kill().expect("killed");
            child.wait().expect("waits");
        }
    }
    tell(&format!("{KILLS} kills, {KILLS_BETWEEN} of them between Redis and Kafka"));
    stop_feeding.store(true, Ordering::SeqCst);
    let mut feed = feeder.join().expect("the feed ends");
    let first = world.spawn("first", None);
    world.wait_caught_up(Duration::from_secs(120));
    let tables = &feed.tables;
    let announced = world.announced();
    let mut counts = [0_usize; 3];
    let ids: BTreeSet<&String> = tables.past.keys().chain(announced.keys()).collect();
    for id in ids {
        let messages = announced.get(id).map_or(0, Vec::len);
        assert!(messages <= 1, "{id} was announced {messages} times");
        if tables.complete(id) {
            assert_eq!(messages, 1, "{id} is complete");
            counts[0] += 1;
        } else if tables.never_sufficed(id) {
            assert_eq!(messages, 0, "{id} never had its products");
            counts[1] += 1;
        } else {
            counts[2] += 1;
        }
    }
    for (id, messages) in &announced {
        for message in messages {
            let products: Vec<&str> =
                message["products"].as_array().expect("products").iter().filter_map(Value::as_str).collect();
            assert!(
                products.is_sorted() && products.len() as i64 >= message["num_products"].as_i64().expect("number"),
                "{id}"
            );
            assert!(message["customer_id"].is_i64() && message["payment_method_id"].is_i64(), "{id}");
        }
    }
    assert!(counts[0] > ORDERS / 3 && counts[1] > ORDERS / 10, "the feed was too one-sided: {counts:?}");
    world.compare(tables, &announced);
    tell(&format!(
        "{} orders complete, {} never, {} in between: each announced as it should be",
        counts[0], counts[1], counts[2]
    ));

    // A second run adds nothing.
    stop(first);
    stop(second);
    let total = |announced: &BTreeMap<String, Vec<Value>>| announced.values().map(Vec::len).sum::<usize>();
    let mut running = Some(world.spawn("first", None));
    wait(Duration::from_secs(5));
    world.wait_caught_up(Duration::from_secs(30));
    assert_eq!(total(&world.announced()), total(&announced));
    tell("a second run added nothing");

    // Redis is emptied while the pipeline runs, then while it is stopped, then loses only the keys people read.
    for case in ["running", "stopped", "data only"] {
        let mut redis = world.redis();
        let keys: usize = redis::cmd("DBSIZE").query(&mut redis).expect("size");
        if case == "stopped"
            && let Some(process) = running.take()
        {
            stop(process);
        }
        match case {
            "data only" => redis::cmd("FLUSHDB").exec(&mut redis).expect("emptied"),
            _ => {
                for db in [8, 9] {
                    redis::pipe().cmd("SELECT").arg(db).cmd("FLUSHDB").exec(&mut redis).expect("emptied");
                }
            }
        }
        running.get_or_insert_with(|| world.spawn("first", None));
        let deadline = Instant::now() + Duration::from_secs(90);
        let mut redis = world.redis();
        while redis::cmd("DBSIZE").query::<usize>(&mut redis).expect("size") != keys {
            assert!(Instant::now() < deadline, "{case}: Redis is not filled again; see {}", path.display());
            wait(Duration::from_millis(200));
        }
        world.wait_caught_up(Duration::from_secs(90));
        assert_eq!(total(&world.announced()), total(&announced), "{case}: announced again");
        world.compare(tables, &announced);
        tell(&format!("Redis emptied ({case}): filled again, nothing announced twice"));
    }

    // What cannot be read is kept, and taken back in when asked.
    let topic = world.topic("orders");
    feed.send(&topic, Some("{\"id\":\"bad\"}"), Some("{\"after\": broken"));
    feed.send(&topic, Some("{\"id\":\"bad\"}"), Some("{\"id\":\"bad\",\"num_products\":\"many\"}"));
    feed.put_order("order-after-the-bad", Row { customer: 1, payment: 2, wanted: 1 });
    feed.producer.flush(Duration::from_secs(10)).expect("delivered");
    world.wait_caught_up(Duration::from_secs(30));
    let letters = world.records("dl");
    let classes: Vec<Option<&str>> =
        letters.iter().map(|l| kafka::header(l.headers(), pipelines::runtime::deadletter::CLASS)).collect();
    assert_eq!(classes.len(), 2, "{classes:?}");
    assert!(classes.contains(&Some("InvalidJson")) && classes.contains(&Some("InvalidValue")));
    let config = Config::load(&world.config("first"), std::iter::empty()).expect("valid");
    let only = orders::Replay { class: Some("InvalidJson".into()), ..orders::Replay::default() };
    let dry = orders::Replay { dry_run: true, ..only.clone() };
    let mut output = Vec::new();
    let done = runtime.block_on(orders::replay(&config, &dry, &mut output)).expect("dry run");
    assert_eq!((done.matched, done.written, done.passed), (1, 0, 1));
    let done = runtime.block_on(orders::replay(&config, &only, &mut output)).expect("replays");
    assert_eq!((done.matched, done.written), (1, 1));
    world.wait_caught_up(Duration::from_secs(30));
    let done = runtime.block_on(orders::replay(&config, &only, &mut output)).expect("replays");
    // The first is not replayed twice; its second letter is a new one.
    assert_eq!((done.matched, done.written), (1, 1));
    assert!(String::from_utf8_lossy(&output).contains("attempt 2"));
    assert!(!String::from_utf8_lossy(&output).contains("many"), "no row values");
    world.compare(&feed.tables, &announced);
    tell("dead letters: kept, shown, replayed once each");
    running.take().map_or_else(|| panic!("it runs"), stop);
    fs::remove_dir_all(&path).expect("cleans up");
}
