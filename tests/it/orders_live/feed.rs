//! Change events as the daemon would write them, in all forms, and the tables that they tell of.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::{Rng, rngs::StdRng};
use rdkafka::producer::{BaseProducer, BaseRecord};
use serde_json::{Value, json};

use super::PARTITIONS;

/// The two tables, and what can be said of every order's past.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) orders: BTreeMap<String, Row>,
    /// line -> (order, product)
    pub(super) lines: BTreeMap<String, (String, String)>,
    pub(super) past: BTreeMap<String, Past>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Row {
    pub(super) customer: i64,
    pub(super) payment: i64,
    pub(super) wanted: i64,
}

/// Partitions are not ordered against each other: any state of an order can be met together with any state of each of
/// its lines. So it can be found complete when the fewest products it ever wanted are no more than all the lines it
/// ever had, nor than all the products on them.
#[derive(Default)]
pub(super) struct Past {
    wanted_min: Option<i64>,
    lines: BTreeSet<String>,
    products: BTreeSet<String>,
}

impl Tables {
    pub(super) fn products(&self, order: &str) -> BTreeSet<&str> {
        self.lines.values().filter(|(of, _)| of == order).map(|(_, product)| product.as_str()).collect()
    }

    pub(super) fn note(&mut self, order: &str) {
        let wanted = self.orders.get(order).map(|row| row.wanted);
        let past = self.past.entry(order.to_owned()).or_default();
        for (line, (_, product)) in self.lines.iter().filter(|(_, (of, _))| of == order) {
            past.lines.insert(line.clone());
            past.products.insert(product.clone());
        }
        past.wanted_min = [past.wanted_min, wanted].into_iter().flatten().min();
    }

    pub(super) fn complete(&self, order: &str) -> bool {
        self.orders.get(order).is_some_and(|row| i64::try_from(self.products(order).len()).expect("few") >= row.wanted)
    }

    pub(super) fn never_sufficed(&self, order: &str) -> bool {
        let Some(past) = self.past.get(order) else { return true };
        let had = i64::try_from(past.lines.len().min(past.products.len())).expect("few");
        past.wanted_min.is_none_or(|wanted| had < wanted)
    }
}

/// Writes change events as the daemon would, in all forms, and keeps the tables.
pub(super) struct Feed {
    pub(super) rng: StdRng,
    pub(super) producer: BaseProducer,
    pub(super) prefix: String,
    pub(super) tables: Tables,
    pub(super) deleted: Vec<String>,
}

impl Feed {
    pub(super) fn topic(&self, table: &str) -> String {
        format!("{}.{table}", self.prefix)
    }

    pub(super) fn send(&self, topic: &str, key: Option<&str>, value: Option<&str>) {
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

    pub(super) fn upsert(&mut self, table: &str, before: Option<Value>, after: Value) {
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

    pub(super) fn delete(&mut self, table: &str, before: Value) {
        let key = json!({"id": before["id"]}).to_string();
        let topic = self.topic(table);
        if self.rng.random_bool(0.8) {
            let value = json!({"before": before, "after": null, "source": {}, "op": "d", "ts_ms": 1});
            self.send(&topic, Some(&key), Some(&value.to_string()));
        }
        self.send(&topic, Some(&key), None);
    }

    pub(super) fn order_row(id: &str, row: &Row) -> Value {
        json!({"id": id, "customer_id": row.customer, "store_id": 7, "payment_method_id": row.payment,
               "num_products": row.wanted, "timestamp": 1_736_265_600_000_i64})
    }

    pub(super) fn line_row(id: &str, (order, product): &(String, String)) -> Value {
        json!({"id": id, "order_id": order, "product_id": product, "quantity": 1, "price": 9.99})
    }

    pub(super) fn put_order(&mut self, id: &str, row: Row) {
        let before = self.tables.orders.insert(id.to_owned(), row.clone()).map(|old| Self::order_row(id, &old));
        self.upsert("orders", before, Self::order_row(id, &row));
        self.tables.note(id);
    }

    pub(super) fn put_line(&mut self, id: &str, order: &str, product: &str) {
        let line = (order.to_owned(), product.to_owned());
        let before = self.tables.lines.insert(id.to_owned(), line.clone());
        self.upsert("order_details", before.as_ref().map(|old| Self::line_row(id, old)), Self::line_row(id, &line));
        self.tables.note(order);
    }

    pub(super) fn random_row(&mut self, wanted: i64) -> Row {
        Row { customer: self.rng.random_range(1..1000), payment: self.rng.random_range(1..5), wanted }
    }

    /// One order with its lines, in some order, often with one line too few.
    pub(super) fn order(&mut self, n: usize) {
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

    pub(super) fn pick<T: Clone>(rng: &mut StdRng, of: &BTreeMap<String, T>) -> Option<(String, T)> {
        let index = rng.random_range(0..of.len().max(1));
        of.iter().nth(index).map(|(key, value)| (key.clone(), value.clone()))
    }

    pub(super) fn change(&mut self) {
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
