//! A shop that never closes: orders and lines inserted, changed and deleted in MySQL, with a memory of what every order
//! wanted and had, so that it can be said which orders could ever have been complete.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::mysql::sql;

/// A row of `orders`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub customer: i64,
    pub payment: i64,
    pub wanted: i64,
}

/// Both tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    pub orders: BTreeMap<String, Order>,
    /// By order: product by line.
    pub lines: BTreeMap<String, BTreeMap<String, String>>,
}

/// What an order wanted and had in all its time.
///
/// The order is in one partition and each of its lines in one of its own, and partitions are not ordered against each
/// other: a reader may meet any state of the order together with any state of each line. So its lines never sufficed
/// when all the lines it ever had, or all the products on them, are fewer than the fewest it ever wanted.
#[derive(Debug, Clone, Default)]
pub struct Past {
    wanted_least: Option<i64>,
    lines: BTreeSet<String>,
    products: BTreeSet<String>,
    /// Whether they sufficed in the tables at one moment.
    pub sufficed: bool,
}

impl Past {
    /// Whether no reader of the topics can have found it complete.
    pub fn never_sufficed(&self) -> bool {
        let had_most = self.lines.len().min(self.products.len()) as i64;
        self.wanted_least.is_none_or(|wanted| had_most < wanted)
    }
}

impl Tables {
    /// What the server holds now.
    pub fn read(server: &Value) -> Tables {
        let mut tables = Tables::default();
        let orders = sql(server, "SELECT id, customer_id, payment_method_id, num_products FROM project_db.orders");
        for line in orders.lines() {
            let mut words = line.split('\t');
            let id = words.next().expect("id").to_owned();
            let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
            tables.orders.insert(id, Order { customer: number(), payment: number(), wanted: number() });
        }
        let lines = sql(server, "SELECT order_id, id, product_id FROM project_db.order_details");
        for line in lines.lines() {
            let words: Vec<&str> = line.split('\t').collect();
            let of = tables.lines.entry(words[0].to_owned()).or_default();
            of.insert(words[1].to_owned(), words[2].to_owned());
        }
        tables
    }

    /// Number of distinct products among the lines of an order.
    fn had(&self, order: &str) -> i64 {
        let products: BTreeSet<&String> = self.lines.get(order).into_iter().flat_map(BTreeMap::values).collect();
        products.len() as i64
    }

    /// Orders that have all their products.
    pub fn complete(&self) -> BTreeSet<String> {
        self.orders.iter().filter(|(id, order)| self.had(id) >= order.wanted).map(|(id, _)| id.clone()).collect()
    }

    fn put_line(&mut self, order: &str, line: &str, product: &str) {
        self.lines.entry(order.to_owned()).or_default().insert(line.to_owned(), product.to_owned());
    }

    fn remove_line(&mut self, order: &str, line: &str) {
        if let Some(lines) = self.lines.get_mut(order) {
            lines.remove(line);
            if lines.is_empty() {
                self.lines.remove(order);
            }
        }
    }
}

/// What was written.
pub struct Written {
    pub tables: Tables,
    pub past: BTreeMap<String, Past>,
    /// Transactions by kind.
    pub kinds: BTreeMap<&'static str, usize>,
}

/// A shop that is open until it is closed.
pub struct Shop {
    close: Arc<AtomicBool>,
    deletes: Arc<AtomicBool>,
    thread: JoinHandle<Written>,
}

impl Shop {
    /// Begins to write, about `rate` transactions a second, to tables that hold `stock`. Deletes nothing until told
    /// to: a row that goes while nobody reads the log between two tries of a snapshot is in no topic.
    pub fn open(server: &Value, stock: Tables, rate: f64, seed: u64) -> Shop {
        let (close, deletes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut client = Command::new("mariadb")
            .args(["--no-defaults", "-uroot", "--default-character-set=utf8mb4", "-S"])
            .arg(server["socket"].as_str().expect("a socket"))
            .arg("project_db")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the mariadb client runs: is `make deps` done?");
        let mut writer = Writer {
            random: StdRng::seed_from_u64(seed),
            ids: stock.orders.keys().cloned().collect(),
            gone: Vec::new(),
            written: Written { tables: stock, past: BTreeMap::new(), kinds: BTreeMap::new() },
            touched: BTreeSet::new(),
            sql: String::new(),
        };
        for id in writer.ids.clone() {
            writer.touched.insert(id);
        }
        writer.note();
        let thread = {
            let (close, deletes) = (close.clone(), deletes.clone());
            std::thread::spawn(move || {
                writer.work(&mut client, &close, &deletes, rate);
                writer.written
            })
        };
        Shop { close, deletes, thread }
    }

    /// From now on it also deletes.
    pub fn delete_too(&self) {
        self.deletes.store(true, Ordering::Relaxed);
    }

    /// Ends it; everything that it tells of is committed.
    pub fn close(self) -> Written {
        self.close.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer")
    }
}

struct Writer {
    random: StdRng,
    written: Written,
    /// Orders to choose from, and deleted ones.
    ids: Vec<String>,
    gone: Vec<String>,
    touched: BTreeSet<String>,
    sql: String,
}

impl Writer {
    fn work(&mut self, client: &mut Child, close: &AtomicBool, deletes: &AtomicBool, rate: f64) {
        let mut pipe = client.stdin.take().expect("a pipe");
        let began = Instant::now();
        let mut transactions = 0;
        while !close.load(Ordering::Relaxed) {
            self.sql.clear();
            self.sql.push_str("BEGIN;\n");
            let kind = self.transaction(deletes.load(Ordering::Relaxed));
            *self.written.kinds.entry(kind).or_default() += 1;
            self.sql.push_str("COMMIT;\n");
            pipe.write_all(self.sql.as_bytes()).expect("the client takes statements");
            pipe.flush().expect("the client takes statements");
            self.note();
            transactions += 1;
            let due = Duration::from_secs_f64(f64::from(transactions) / rate);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        drop(pipe);
        assert!(client.wait().expect("the client ends").success(), "a statement of the shop failed");
    }

    /// Remembers what the orders of the last transaction want and have now.
    fn note(&mut self) {
        let Written { tables, past, .. } = &mut self.written;
        for id in std::mem::take(&mut self.touched) {
            let (had, wanted) = (tables.had(&id), tables.orders.get(&id).map(|order| order.wanted));
            let past = past.entry(id.clone()).or_default();
            for (line, product) in tables.lines.get(&id).into_iter().flatten() {
                past.lines.insert(line.clone());
                past.products.insert(product.clone());
            }
            past.wanted_least = [past.wanted_least, wanted].into_iter().flatten().min();
            past.sufficed |= wanted.is_some_and(|wanted| had >= wanted);
        }
    }

    fn transaction(&mut self, deletes: bool) -> &'static str {
        let dice = self.random.random_range(0..if deletes { 100 } else { 75 });
        match dice {
            0..30 => {
                let id = self.new_id();
                self.insert_order(id)
            }
            30..45 => self.update_order(0, "another customer"),
            45..51 => self.update_order(-1, "one product fewer"),
            51..56 => self.update_order(1, "one product more"),
            56..66 => self.add_line(),
            66..75 => self.other_product(),
            75..82 => self.delete_line(),
            82..86 => self.line_with_another_key(),
            86..90 => self.line_of_another_order(),
            90..96 => self.delete_order(),
            _ => match self.gone.is_empty() {
                true => self.delete_order(),
                false => {
                    let index = self.random.random_range(0..self.gone.len());
                    let id = self.gone.swap_remove(index);
                    self.insert_order(id);
                    "the same id again"
                }
            },
        }
    }

    fn new_id(&mut self) -> String {
        let (high, low): (u64, u64) = (self.random.random(), self.random.random());
        let text = format!("{high:016x}{low:016x}");
        format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
    }

    fn product(&mut self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.random.random_range(0..40))
    }

    /// Mostly recent orders, whose earlier changes may still be on their way.
    fn pick(&mut self) -> String {
        let first = if self.random.random_bool(0.7) { self.ids.len().saturating_sub(200) } else { 0 };
        let index = self.random.random_range(first..self.ids.len());
        self.ids[index].clone()
    }

    fn pick_line(&mut self) -> Option<(String, String)> {
        for _ in 0..20 {
            let order = self.pick();
            if let Some(lines) = self.written.tables.lines.get(&order) {
                let index = self.random.random_range(0..lines.len());
                let line = lines.keys().nth(index).expect("a line").clone();
                return Some((order, line));
            }
        }
        None
    }

    fn insert_line(&mut self, order: &str) {
        let (line, product) = (self.new_id(), self.product());
        let _ = writeln!(self.sql, "INSERT INTO order_details VALUES ('{line}','{order}','{product}',1,9.99);");
        self.written.tables.put_line(order, &line, &product);
        self.touched.insert(order.to_owned());
    }

    fn insert_order(&mut self, id: String) -> &'static str {
        let wanted = self.random.random_range(1..=4);
        let (customer, payment) = (self.random.random_range(1..5_000), self.random.random_range(1..5));
        let row = format!(
            "INSERT INTO orders (id, customer_id, store_id, payment_method_id, num_products) \
             VALUES ('{id}',{customer},7,{payment},{wanted});\n"
        );
        let order_first = self.random.random_bool(0.6);
        if order_first {
            self.sql.push_str(&row);
        }
        let lines = if self.random.random_bool(0.3) { wanted - 1 } else { wanted + self.random.random_range(0..2) };
        for _ in 0..lines {
            self.insert_line(&id);
        }
        if !order_first {
            self.sql.push_str(&row);
        }
        self.written.tables.orders.insert(id.clone(), Order { customer, payment, wanted });
        self.touched.insert(id.clone());
        self.ids.push(id);
        "a new order"
    }

    fn update_order(&mut self, change: i64, kind: &'static str) -> &'static str {
        let id = self.pick();
        let customer = self.random.random_range(1..5_000);
        let order = self.written.tables.orders.get_mut(&id).expect("an order");
        order.wanted = (order.wanted + change).max(1);
        order.customer = customer;
        let wanted = order.wanted;
        let _ = writeln!(self.sql, "UPDATE orders SET customer_id={customer}, num_products={wanted} WHERE id='{id}';");
        self.touched.insert(id);
        kind
    }

    fn add_line(&mut self) -> &'static str {
        let order = self.pick();
        self.insert_line(&order);
        "one more line"
    }

    fn other_product(&mut self) -> &'static str {
        if let Some((order, line)) = self.pick_line() {
            let product = self.product();
            let _ = writeln!(self.sql, "UPDATE order_details SET product_id='{product}' WHERE id='{line}';");
            self.written.tables.put_line(&order, &line, &product);
            self.touched.insert(order);
        }
        "another product"
    }

    fn delete_line(&mut self) -> &'static str {
        if let Some((order, line)) = self.pick_line() {
            let _ = writeln!(self.sql, "DELETE FROM order_details WHERE id='{line}';");
            self.written.tables.remove_line(&order, &line);
            self.touched.insert(order);
        }
        "a line deleted"
    }

    fn line_with_another_key(&mut self) -> &'static str {
        if let Some((order, line)) = self.pick_line() {
            let new = self.new_id();
            let _ = writeln!(self.sql, "UPDATE order_details SET id='{new}' WHERE id='{line}';");
            let product = self.written.tables.lines[&order][&line].clone();
            self.written.tables.remove_line(&order, &line);
            self.written.tables.put_line(&order, &new, &product);
            self.touched.insert(order);
        }
        "a line's key"
    }

    fn line_of_another_order(&mut self) -> &'static str {
        if let Some((order, line)) = self.pick_line() {
            let to = self.pick();
            let _ = writeln!(self.sql, "UPDATE order_details SET order_id='{to}' WHERE id='{line}';");
            let product = self.written.tables.lines[&order][&line].clone();
            self.written.tables.remove_line(&order, &line);
            self.written.tables.put_line(&to, &line, &product);
            self.touched.extend([order, to]);
        }
        "a line of another order"
    }

    fn delete_order(&mut self) -> &'static str {
        let id = self.pick();
        let _ = writeln!(self.sql, "DELETE FROM orders WHERE id='{id}';");
        self.written.tables.orders.remove(&id);
        if self.random.random_bool(0.6) {
            let _ = writeln!(self.sql, "DELETE FROM order_details WHERE order_id='{id}';");
            self.written.tables.lines.remove(&id);
        } else {
            // Lines that stay, and one that comes later.
            self.insert_line(&id);
        }
        self.ids.retain(|other| *other != id);
        self.touched.insert(id.clone());
        self.gone.push(id);
        "an order deleted"
    }
}
