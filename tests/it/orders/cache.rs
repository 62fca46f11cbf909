//! What people and the pipeline itself keep in Redis, read as any client would.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use redis::{Commands, Connection, FromRedisValue};

use super::shop::Tables;

/// Read at once; Redis answers them in one round trip.
const AT_ONCE: usize = 2_000;

/// Both databases of a Redis server.
pub struct Cache {
    port: u16,
}

impl Cache {
    /// Of the server at that port.
    pub fn new(port: u16) -> Cache {
        Cache { port }
    }

    fn open(&self, database: u8) -> Connection {
        let url = format!("redis://127.0.0.1:{}/{database}", self.port);
        redis::Client::open(url).expect("a URL").get_connection().expect("Redis answers")
    }

    /// Number of the keys that people see.
    pub fn size(&self) -> usize {
        redis::cmd("DBSIZE").query(&mut self.open(0)).expect("DBSIZE")
    }

    /// Orders whose message was claimed in Redis while its transaction is not known to be committed.
    pub fn claimed(&self) -> BTreeSet<String> {
        let mut book = self.open(1);
        let outboxes: Vec<String> = book.keys("afterimage:orders:outbox:*").expect("KEYS");
        let mut orders = BTreeSet::new();
        for outbox in outboxes {
            let claims: Vec<String> = book.hvals(outbox).expect("HVALS");
            for claim in claims {
                let parts: Vec<String> = serde_json::from_str(&claim).expect("a claim");
                orders.extend(parts.into_iter().next());
            }
        }
        orders
    }

    /// One key's text.
    pub fn get(&self, key: &str) -> Option<String> {
        self.open(0).get(key).expect("GET")
    }

    fn all<T: FromRedisValue>(&self, command: &[&str], keys: &[String]) -> Vec<T> {
        let mut connection = self.open(0);
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(AT_ONCE) {
            let mut pipe = redis::pipe();
            for key in keys {
                pipe.cmd(command[0]).arg(key).arg(&command[1..]);
            }
            found.extend(pipe.query::<Vec<T>>(&mut connection).expect("answers"));
        }
        found
    }

    /// What is not as the tables and the announcements say, one line each; `announced` are orders.
    pub fn differences(&self, tables: &Tables, announced: &BTreeSet<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut expected = BTreeSet::new();
        let ids: Vec<String> = tables.orders.keys().cloned().collect();
        let keys =
            |prefix: &str, suffix: &str| ids.iter().map(|id| format!("{prefix}:{id}{suffix}")).collect::<Vec<_>>();

        let infos: Vec<HashMap<String, String>> = self.all(&["HGETALL"], &keys("order_info", ""));
        let statuses: Vec<Option<String>> = self.all(&["GET"], &keys("order_status", ""));
        let rows: Vec<Option<String>> = self.all(&["GET"], &keys("order", ""));
        for (((id, info), status), row) in ids.iter().zip(infos).zip(statuses).zip(rows) {
            let order = &tables.orders[id];
            let want =
                [("customer_id", order.customer), ("payment_method_id", order.payment), ("num_products", order.wanted)];
            let want: HashMap<String, String> = want.map(|(name, n)| (name.to_owned(), n.to_string())).into();
            if info != want {
                wrong.push(format!("order_info:{id} is {info:?} and not {want:?}"));
            }
            let told = announced.contains(id);
            if status.as_deref() != told.then_some("checking") {
                wrong.push(format!("order_status:{id} is {status:?}, announced: {told}"));
            }
            let row: serde_json::Value =
                row.as_deref().and_then(|row| serde_json::from_str(row).ok()).unwrap_or_default();
            if row["num_products"] != order.wanted || row["customer_id"] != order.customer || row["id"] != **id {
                wrong.push(format!("order:{id} is {row} and not {order:?}"));
            }
            expected.extend([format!("order_info:{id}"), format!("order:{id}")]);
            expected.extend(told.then(|| format!("order_status:{id}")));
        }
        let sets: Vec<BTreeSet<String>> = self.all(&["SMEMBERS"], &keys("ordered_products", ""));
        let lists: Vec<Vec<String>> = self.all(&["LRANGE", "0", "-1"], &keys("order", ":products"));
        let none = BTreeMap::new();
        for ((id, set), mut list) in ids.iter().zip(sets).zip(lists) {
            let want: BTreeSet<String> = tables.lines.get(id).unwrap_or(&none).values().cloned().collect();
            list.sort();
            if set != want {
                wrong.push(format!("ordered_products:{id} is {set:?} and not {want:?}"));
            }
            if list != want.iter().cloned().collect::<Vec<_>>() {
                wrong.push(format!("order:{id}:products is {list:?} and not {want:?}"));
            }
            if !want.is_empty() {
                expected.extend([format!("ordered_products:{id}"), format!("order:{id}:products")]);
            }
        }
        // Lines whose order was deleted recreate nothing; and nothing else lies beside the keys people know.
        let keys: BTreeSet<String> = self.open(0).keys("*").expect("KEYS");
        wrong.extend(keys.difference(&expected).map(|key| format!("{key} should not be there")));
        wrong.extend(expected.difference(&keys).map(|key| format!("{key} is missing")));
        wrong
    }
}
