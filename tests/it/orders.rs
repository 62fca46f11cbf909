//! The `orders` pipeline behind the real daemon, on real servers: 25,000 orders with 47,000 lines are in MySQL before
//! the start, a shop goes on changing them, and daemon and pipeline are killed again and again. In the end Redis equals
//! the tables and every complete order was announced exactly once.

mod cache;
mod pipeline;
mod shop;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use serde_json::{Value, json};

use cache::Cache;
use pipeline::Pipeline;
use shop::{Shop, Tables, Written};

use crate::{
    daemon::Daemon,
    mysql::sql,
    servers::{Servers, afterimage, root},
    topics,
};

const ORDERS: usize = 25_000;
const LINES: usize = 47_000;
/// Kills of the pipeline; of these between Redis, which has an order's message, and Kafka, which has not.
const KILLS: usize = 20;
const KILLS_BETWEEN: usize = 5;
/// Kills of the daemon; of these inside the snapshot.
const DAEMON_KILLS: usize = 5;
const DAEMON_KILLS_IN_SNAPSHOT: usize = 2;
const CONNECTOR: &str = "mysql-source-connector";
const TABLES: [(&str, &str); 2] = [
    ("mysql.project_db.orders", "order-consumer-group"),
    ("mysql.project_db.order_details", "order-details-consumer-group"),
];
const READY: &str = "order_ready_for_checking";

struct Scene {
    servers: Servers,
    daemon: Daemon,
    pipeline: Pipeline,
    cache: Cache,
    random: StdRng,
    begun: Instant,
    /// Deletes began: the daemon is past its snapshot.
    streaming: bool,
}

impl Scene {
    /// Servers, tables, and both processes, the pipeline first.
    fn set(seed: u64) -> Scene {
        let begun = Instant::now();
        let servers = Servers::start(&["mysql8", "kafka", "redis"], &[]);
        let mysql = servers.info("mysql8");
        let file = |path: &str| std::fs::read_to_string(root().join(path)).expect("a file of the project");
        sql(mysql, &file("deploy/compose/mysql-init.sql"));
        generate(mysql, seed);
        let daemon = Daemon::spawn(&servers.dir().join("daemon"), servers.bootstrap(), "connect", "");
        let pipeline = Pipeline::start(&servers.dir().join("pipeline"), &servers, daemon.rest_port());
        let cache = Cache::new(servers.port("redis"));
        let random = StdRng::seed_from_u64(seed);
        let scene = Scene { daemon, pipeline, cache, random, begun, streaming: false, servers };
        scene.tell("servers and tables are there");
        scene
    }

    fn tell(&self, what: &str) {
        eprintln!("orders: {:5.1} s: {what}", self.begun.elapsed().as_secs_f32());
    }

    fn wait(&mut self, what: &str, seconds: u64, mut there: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while !there(self) {
            assert!(
                Instant::now() < deadline,
                "not {what} within {seconds} s; status {:?}\nthe pipeline's log:\n{}\nthe daemon's:\n{}",
                self.pipeline.status(),
                self.pipeline.log(),
                self.daemon.log(),
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The file that users post, with the ports of this run.
    fn post_connector(&self) {
        let text = std::fs::read_to_string(root().join("examples/mysql-src-connector.json")).expect("the file");
        let text = text
            .replace("\"3306\"", &format!("\"{}\"", self.servers.port("mysql8")))
            .replace("127.0.0.1:9092", self.servers.bootstrap());
        self.daemon.create(&serde_json::from_str(&text).expect("JSON"));
    }

    fn kill_daemon(&mut self, in_snapshot: bool) {
        if in_snapshot {
            let rows = self.random.random_range(1..15_000) as f64;
            self.wait("inside the snapshot", 60, |scene| {
                scene.daemon.metric("afterimage_snapshot_running") == Some(1.0)
                    && scene.daemon.metric("debezium_metrics_RowsScanned").is_some_and(|scanned| scanned > rows)
            });
        } else {
            self.wait("delivering changes of the log", 60, |scene| {
                scene.daemon.metric("afterimage_batches_in_flight").is_some_and(|batches| batches > 0.0)
            });
        }
        self.daemon.kill();
        self.daemon.restart();
        assert!(!in_snapshot || !self.in_stream(), "the daemon was not inside the snapshot any more");
    }

    /// Kills the pipeline when Redis holds a message whose transaction cannot be committed any more: the broker stands
    /// still. Returns whether that message had indeed not reached readers.
    fn kill_between(&mut self) -> bool {
        let mut claimed = BTreeSet::new();
        self.wait("between Redis and Kafka", 60, |scene| {
            scene.servers.tell("pause", "kafka");
            for _ in 0..20 {
                let before = scene.cache.claimed();
                std::thread::sleep(Duration::from_millis(30));
                claimed = scene.cache.claimed().intersection(&before).cloned().collect();
                if !claimed.is_empty() {
                    return true;
                }
            }
            scene.servers.tell("resume", "kafka");
            std::thread::sleep(Duration::from_millis(200));
            false
        });
        self.pipeline.kill();
        self.servers.tell("resume", "kafka");
        let announced = announced(self.servers.bootstrap());
        claimed.iter().any(|order| !announced.contains_key(order))
    }

    /// Kills both again and again.
    fn kill(&mut self, shop: &Shop) {
        let (mut kills, mut between, mut daemon_kills) = (0, 0, 0);
        while kills < KILLS || between < KILLS_BETWEEN {
            // At once, one after the other: the snapshot takes only seconds.
            while daemon_kills < DAEMON_KILLS_IN_SNAPSHOT {
                self.kill_daemon(true);
                daemon_kills += 1;
            }
            if !self.streaming {
                self.streaming = self.in_stream();
                if self.streaming {
                    shop.delete_too();
                    self.tell("the snapshot is complete");
                }
            } else if daemon_kills < DAEMON_KILLS && kills * DAEMON_KILLS / KILLS > daemon_kills - 1 {
                self.kill_daemon(false);
                daemon_kills += 1;
            }
            self.wait("working", 60, |scene| scene.pipeline.works());
            if self.streaming && between * KILLS < kills * KILLS_BETWEEN {
                between += usize::from(self.kill_between());
            } else {
                let moment = self.random.random_range(0..700);
                std::thread::sleep(Duration::from_millis(moment));
                self.pipeline.kill();
            }
            kills += 1;
            assert!(kills < 3 * KILLS, "{between} of {kills} kills came between Redis and Kafka");
            self.pipeline.restart();
        }
        assert_eq!(daemon_kills, DAEMON_KILLS);
        self.tell(&format!(
            "{kills} kills of the pipeline, {between} between Redis and Kafka; {daemon_kills} of the daemon"
        ));
    }

    /// Whether the stored position is one of the log.
    fn in_stream(&self) -> bool {
        let (_, offsets) = self.daemon.get(&format!("/connectors/{CONNECTOR}/offsets")).unwrap_or_default();
        let offset = &offsets["offsets"][0]["offset"];
        offset.is_object() && offset.get("snapshot").is_none()
    }

    /// Waits until the daemon is at the end of the log, and the pipeline at the ends of the topics.
    fn settle(&mut self, seconds: u64) {
        let executed = sql(self.servers.info("mysql8"), "SELECT @@GLOBAL.gtid_executed");
        self.wait("at the end of the log", seconds, |scene| {
            let (_, offsets) = scene.daemon.get(&format!("/connectors/{CONNECTOR}/offsets")).unwrap_or_default();
            offsets["offsets"][0]["offset"]["gtids"] == executed.trim()
        });
        self.wait("at the ends of the topics", seconds, |scene| {
            scene.pipeline.ready()
                && TABLES.iter().all(|(topic, group)| lag(scene.servers.bootstrap(), topic, group) == 0)
        });
    }

    /// Redis equals the tables, and nothing was announced beside `announced`.
    fn compare(&self, what: &str, tables: &Tables, told: &BTreeMap<String, Vec<Value>>) {
        let differences = self.cache.differences(tables, &told.keys().cloned().collect());
        assert!(differences.is_empty(), "{what}: {} differences, first {:?}", differences.len(), &differences[..1]);
        let now = announced(self.servers.bootstrap());
        let more: Vec<&String> = now.iter().filter(|(id, all)| told.get(*id) != Some(all)).map(|(id, _)| id).collect();
        assert!(more.is_empty() && now.len() == told.len(), "{what}: announced anew: {more:?}");
        self.tell(what);
    }
}

/// The stock, made by the command that people have for it.
fn generate(mysql: &Value, seed: u64) {
    let url = format!("mysql://admin:admin@127.0.0.1:{}/project_db", mysql["port"]);
    let output = Command::new(afterimage())
        .args(["generate", "orders", "--mysql", &url, "--seed", &seed.to_string()])
        .args(["--count", &ORDERS.to_string(), "--lines", &LINES.to_string()])
        .output()
        .expect("the generator runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counts = sql(mysql, "USE project_db; SELECT COUNT(*) FROM orders; SELECT COUNT(*) FROM order_details");
    assert_eq!(counts, format!("{ORDERS}\n{LINES}\n"));
}

/// Records that a group has not processed.
fn lag(bootstrap: &str, topic: &str, group: &str) -> i64 {
    let within = Duration::from_secs(20);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, 2);
    let committed = consumer.committed_offsets(list, within).expect("offsets");
    let lags = committed.elements().into_iter().map(|element| {
        let (low, end) = consumer.fetch_watermarks(topic, element.partition(), within).expect("ends");
        end - if let Offset::Offset(offset) = element.offset() { offset } else { low }
    });
    lags.sum()
}

/// Messages by order.
fn announced(bootstrap: &str) -> BTreeMap<String, Vec<Value>> {
    let mut by_order: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    topics::scan(bootstrap, READY, |message| {
        let value: Value = serde_json::from_slice(message.payload().expect("a value")).expect("JSON");
        let key = String::from_utf8_lossy(message.key().expect("a key")).into_owned();
        assert_eq!(value["order_id"], *key, "key and value are about one order");
        by_order.entry(key).or_default().push(value);
    });
    by_order
}

/// Each order was announced as often as it should be.
fn check_announced(scene: &Scene, written: &Written, told: &BTreeMap<String, Vec<Value>>) {
    let complete = written.tables.complete();
    let (mut never, mut otherwise, mut only_in_view) = (0, 0, 0);
    let missing: Vec<&String> = complete.iter().filter(|id| !told.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} complete orders were not announced, first {:?}", missing.len(), missing.first());
    for (id, past) in &written.past {
        let messages = told.get(id).map_or(&[][..], Vec::as_slice);
        assert!(messages.len() <= 1, "{id} was announced {} times: {messages:?}", messages.len());
        never += usize::from(past.never_sufficed());
        otherwise += usize::from(!past.never_sufficed() && !complete.contains(id));
        only_in_view += usize::from(!messages.is_empty() && !past.sufficed);
        for message in messages {
            assert!(!past.never_sufficed(), "{id} never had its products, and was announced: {message}");
            let products: Vec<&str> =
                message["products"].as_array().expect("products").iter().filter_map(Value::as_str).collect();
            let members: Vec<&String> = message.as_object().expect("an object").keys().collect();
            assert_eq!(members, ["order_id", "customer_id", "payment_method_id", "num_products", "products"]);
            assert!(
                products.is_sorted() && products.len() as i64 >= message["num_products"].as_i64().expect("a number")
            );
        }
    }
    let unknown: Vec<&String> = told.keys().filter(|id| !written.past.contains_key(*id)).collect();
    assert!(unknown.is_empty(), "announced, but never in the tables: {unknown:?}");
    assert!(complete.len() > ORDERS / 2 && never > ORDERS / 50 && otherwise > 50, "a one-sided load");
    scene.tell(&format!(
        "{} orders complete, {never} never, {otherwise} at times: {} announced, each once, {only_in_view} of them complete \
         only as the two topics met",
        complete.len(),
        told.len()
    ));
}

/// What people look at with Kafka's own tools.
fn check_tools(scene: &mut Scene) {
    let kafka = scene.servers.info("kafka");
    let jars = format!("{}/*", kafka["jars"].as_str().expect("a folder"));
    let java = |class: &str, more: &[&str]| {
        let mut command = Command::new("java");
        command.args([
            "-Xmx128m",
            "-XX:+UseSerialGC",
            "-cp",
            &jars,
            class,
            "--bootstrap-server",
            scene.servers.bootstrap(),
        ]);
        let output = command.args(more).output().expect("java runs");
        assert!(output.status.success(), "{class}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let groups = java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", &["--describe", "--all-groups"]);
    let ends = java("org.apache.kafka.tools.GetOffsetShell", &["--topic-partitions", "mysql.project_db.*"]);
    for (topic, group) in TABLES {
        for partition in 0..3 {
            let end =
                ends.lines().find_map(|line| line.strip_prefix(&format!("{topic}:{partition}:"))).expect("an end");
            let row = groups.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let row = row.into_iter().find(|row| row.len() > 5 && row[..3] == [group, topic, &partition.to_string()]);
            let row = row.unwrap_or_else(|| panic!("{group} is not at {topic}/{partition}:\n{groups}"));
            assert_eq!(row[3..6], [end, end, "0"], "committed, end and lag of {topic}/{partition}");
        }
    }
    let (code, status) = scene.daemon.get(&format!("/connectors/{CONNECTOR}/status")).expect("an answer");
    assert_eq!(
        (code, &status["connector"]["state"], &status["tasks"][0]["state"]),
        (200, &json!("RUNNING"), &json!("RUNNING"))
    );
    let key = json!([CONNECTOR, {"server": "mysql"}]).to_string();
    let records = topics::read(scene.servers.bootstrap(), "connect-offsets");
    let last = records.iter().rfind(|record| record.key.as_deref() == Some(key.as_bytes())).expect("a position");
    let position: Value = serde_json::from_slice(last.value.as_deref().expect("a position")).expect("JSON");
    let executed = sql(scene.servers.info("mysql8"), "SELECT @@GLOBAL.gtid_executed");
    assert_eq!(position["gtids"], executed.trim(), "the last position in connect-offsets");
    scene.tell("Kafka's tools show no lag, connect-offsets the end of the log");
}

/// Stop, DELETE /offsets, resume: everything comes again.
fn new_snapshot(scene: &mut Scene) {
    let path = |what: &str| format!("/connectors/{CONNECTOR}/{what}");
    let ends = |scene: &Scene| TABLES.map(|(topic, _)| end(scene.servers.bootstrap(), topic));
    let before = ends(scene);
    assert_eq!(scene.daemon.send("PUT", &path("stop"), None).0, 204);
    scene.wait("stopped", 30, |scene| {
        scene.daemon.get(&path("status")).is_some_and(|(_, status)| status["connector"]["state"] == "STOPPED")
    });
    let (code, answer) = scene.daemon.send("DELETE", &path("offsets"), None);
    assert_eq!(code, 200, "{answer}");
    assert_eq!(scene.daemon.send("PUT", &path("resume"), None).0, 202);
    scene.wait("in the stream again", 60, |scene| scene.in_stream());
    scene.settle(60);
    let rows: i64 = ends(scene).iter().zip(before).map(|(after, before)| after - before).sum();
    assert!(rows > (ORDERS + LINES) as i64, "a new snapshot wrote {rows} records");
}

fn end(bootstrap: &str, topic: &str) -> i64 {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("a consumer");
    let ends = (0..3).map(|n| consumer.fetch_watermarks(topic, n, Duration::from_secs(20)).expect("ends").1);
    ends.sum()
}

#[test]
fn every_complete_order_is_announced_once_whatever_is_killed() {
    let seed = std::env::var("ORDERS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("ORDERS_SEED={seed} repeats the statements and the moments of this run");
    let mut scene = Scene::set(seed);
    let stock = Tables::read(scene.servers.info("mysql8"));
    let shop = Shop::open(scene.servers.info("mysql8"), stock, 120.0, seed);
    scene.wait("serving", 60, |scene| matches!(scene.daemon.get("/connectors"), Some((200, _))));
    scene.post_connector();
    scene.kill(&shop);
    let written = shop.close();
    scene.tell(&format!("the shop is closed: {:?}", written.kinds));
    assert_eq!(written.tables, Tables::read(scene.servers.info("mysql8")), "the memory of the tables");
    scene.settle(90);
    let told = announced(scene.servers.bootstrap());
    check_announced(&scene, &written, &told);
    scene.compare("Redis equals the tables", &written.tables, &told);
    assert_eq!(end(scene.servers.bootstrap(), "dl-orders"), 0, "no record was refused");
    check_tools(&mut scene);

    // A second run adds nothing.
    assert_eq!(scene.pipeline.stop(), Some(0), "{}", scene.pipeline.log());
    assert_eq!(scene.daemon.stop(), Some(0), "{}", scene.daemon.log());
    scene.daemon.restart();
    scene.pipeline.restart();
    scene.wait("working", 60, |scene| scene.pipeline.works());
    scene.settle(60);
    scene.compare("a second run added nothing", &written.tables, &told);

    // A Redis that comes back empty is filled again.
    let answer = scene.servers.tell("restart", "redis");
    assert!(answer.get("error").is_none(), "{answer}");
    let keys = scene.cache.size();
    assert!(keys < ORDERS, "Redis came back with {keys} keys");
    scene.wait("filled again", 120, |scene| scene.pipeline.ready() && scene.cache.size() > ORDERS);
    scene.settle(60);
    scene.compare("an empty Redis was filled again, and nothing sent again", &written.tables, &told);

    new_snapshot(&mut scene);
    scene.compare("a new snapshot changed nothing, and nothing was sent again", &written.tables, &told);

    // An announced order stays what it is when it loses a line, and when it wants more.
    let lines = &written.tables.lines;
    let order = written.tables.complete().into_iter().find(|id| lines.contains_key(id)).expect("an order with lines");
    let lines = format!("DELETE FROM order_details WHERE order_id='{order}'");
    let row = format!("UPDATE orders SET num_products=9 WHERE id='{order}'");
    sql(scene.servers.info("mysql8"), &format!("USE project_db; {lines}; {row}"));
    scene.settle(30);
    assert_eq!(scene.cache.get(&format!("order_status:{order}")).as_deref(), Some("checking"));
    assert_eq!(announced(scene.servers.bootstrap()), told, "nothing is announced for a line that went");

    // The words that people follow, and the commands beside `run`.
    let story = std::fs::read_to_string(scene.servers.dir().join("pipeline/logs/real-time.log")).expect("the story");
    for words in [
        "Connected to Kafka: mysql.project_db.orders",
        "Subscribed to topic(s): ['mysql.project_db.order_details']",
        "Processing message from partition 0, offset ",
        ": Saved to Redis",
        ": Waiting for ",
        "Processing order_detail for order: ",
        " received for order ",
        " COMPLETE!",
    ] {
        assert!(story.contains(words), "the story does not tell {words:?}");
    }
    let sample = scene.pipeline.command(&["test"]);
    assert!(
        sample.status.success(),
        "{}{}",
        String::from_utf8_lossy(&sample.stdout),
        String::from_utf8_lossy(&sample.stderr)
    );
    let status = scene.pipeline.command(&["status"]);
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(text.contains("RUNNING") && text.contains("caught up") && text.contains("lag 0"), "{text}");
    assert_eq!(scene.pipeline.stop(), Some(0), "{}", scene.pipeline.log());
    scene.tell("done");
}
