//! The servers, the pipeline's processes, and what can be seen of either.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use pipelines::runtime::kafka;
use rdkafka::{ClientConfig, Message, consumer::BaseConsumer};
use redis::Commands;
use serde_json::{Value, json};

use super::{feed::Tables, wait};

/// Real servers, stopped when this is dropped.
pub(super) struct Servers {
    pub(super) launcher: Option<Child>,
    pub(super) kafka: String,
    pub(super) redis: String,
    /// URL of a database to generate into.
    pub(super) mysql: String,
}

impl Servers {
    pub(super) fn start(folder: &Path) -> Self {
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
pub(super) struct Process(pub(super) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) struct World {
    pub(super) servers: Servers,
    pub(super) folder: PathBuf,
    pub(super) prefix: String,
    pub(super) client: ClientConfig,
}

impl World {
    pub(super) fn config(&self, instance: &str) -> String {
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

    pub(super) fn spawn(&self, instance: &str, die: Option<usize>) -> Process {
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

    pub(super) fn redis(&self) -> redis::Connection {
        redis::Client::open(format!("{}/8", self.servers.redis)).expect("URL").get_connection().expect("Redis")
    }

    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// Waits until both groups have committed the ends of their topics.
    pub(super) fn wait_caught_up(&self, within: Duration) {
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

    pub(super) fn records(&self, topic: &str) -> Vec<rdkafka::message::OwnedMessage> {
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
    pub(super) fn announced(&self) -> BTreeMap<String, Vec<Value>> {
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
    pub(super) fn compare(&self, tables: &Tables, announced: &BTreeMap<String, Vec<Value>>) {
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

pub(super) fn stop(mut process: Process) {
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
