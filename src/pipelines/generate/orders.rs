//! Orders and their lines in MySQL: a stock to take a snapshot of, then live inserts, updates and deletes.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use mysql_async::{Conn, TxOpts, Value, prelude::Queryable};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::runtime::{
    Error, Shutdown,
    mysql::connect,
    output::{Out, say},
    settings::MysqlSettings,
};

const TABLES: &str = include_str!("../../../deploy/sql/orders/0001_project_db.sql");
/// Rows of one insert statement.
const ROWS_MAX: usize = 1_000;
/// Lines of an order, on average.
const LINES_MAX: usize = 100;
/// Live orders that later changes choose from.
const REMEMBERED_MAX: usize = 5_000;

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct OrdersLoad {
    /// Orders inserted at once, in large statements.
    pub orders: usize,
    /// Lines inserted with them, shared out at random.
    pub lines: usize,
    /// Share of orders (0 to 1) that never get all their lines.
    pub incomplete: f64,
    /// Live changes after that: transactions per second, 0 for none.
    pub rate: f64,
    /// How many live transactions; `None` until shutdown.
    pub changes: Option<u64>,
    /// Same seed, same data (and so the same ids: once per database); `None` for a new one.
    pub seed: Option<u64>,
}

impl Default for OrdersLoad {
    fn default() -> Self {
        Self { orders: 25_000, lines: 47_000, incomplete: 0.05, rate: 0.0, changes: None, seed: None }
    }
}

/// What was generated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Generated {
    /// Orders inserted.
    pub orders: u64,
    /// Lines inserted.
    pub lines: u64,
    /// Rows updated.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
}

#[derive(Debug, Clone)]
struct Order {
    id: String,
    wanted: i32,
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    id: String,
    product: String,
}

struct Maker {
    rng: StdRng,
    products: Vec<String>,
}

impl Maker {
    fn new(seed: u64) -> Self {
        // Products are the same for every seed: a shop has one catalogue.
        let mut catalogue = StdRng::seed_from_u64(0);
        let products = (0..500).map(|_| id(&mut catalogue)).collect();
        Self { rng: StdRng::seed_from_u64(seed), products }
    }

    fn order(&mut self, lines: usize, complete: bool) -> Order {
        let mut chosen: Vec<String> = Vec::with_capacity(lines);
        while chosen.len() < lines {
            let Some(product) = self.product() else { break };
            if !chosen.contains(&product) || chosen.len() >= self.products.len() {
                chosen.push(product);
            }
        }
        let missing = if complete && lines > 0 { 0 } else { self.rng.random_range(1..=2) };
        let lines: Vec<Line> = chosen.into_iter().map(|product| Line { id: id(&mut self.rng), product }).collect();
        Order { id: id(&mut self.rng), wanted: i32::try_from(lines.len()).unwrap_or(i32::MAX) + missing, lines }
    }

    fn product(&mut self) -> Option<String> {
        let index = self.rng.random_range(0..self.products.len().max(1));
        self.products.get(index).cloned()
    }

    fn order_row(&mut self, order: &Order) -> Vec<Value> {
        vec![
            order.id.as_str().into(),
            self.rng.random_range(1..=5_000).into(),
            self.rng.random_range(1..=50).into(),
            self.rng.random_range(1..=4).into(),
            order.wanted.into(),
        ]
    }

    fn line_row(&mut self, order: &str, line: &Line) -> Vec<Value> {
        let cents = self.rng.random_range(99..=99_999);
        vec![
            line.id.as_str().into(),
            order.into(),
            line.product.as_str().into(),
            self.rng.random_range(1..=9).into(),
            format!("{}.{:02}", cents / 100, cents % 100).into(),
        ]
    }
}

fn id(rng: &mut StdRng) -> String {
    uuid::Builder::from_random_bytes(rng.random()).into_uuid().to_string()
}

const ORDERS: &str = "INSERT INTO orders (id, customer_id, store_id, payment_method_id, num_products) VALUES ";
const LINES: &str = "INSERT INTO order_details (id, order_id, product_id, quantity, price) VALUES ";

/// MySQL's code for a key that is taken.
const DUPLICATE: u16 = 1062;

async fn insert<Q: Queryable>(connection: &mut Q, statement: &str, rows: Vec<Vec<Value>>) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = format!("{statement}{}", vec!["(?,?,?,?,?)"; rows.len()].join(","));
    connection.exec_drop(text, rows.into_iter().flatten().collect::<Vec<Value>>()).await.map_err(|error| match error {
        mysql_async::Error::Server(server) if server.code == DUPLICATE => {
            Error::Database("rows of this seed are already there: choose another seed, or empty the tables".into())
        }
        other => other.into(),
    })
}

/// Creates database and tables where absent, inserts the stock, then changes it live. Tells its progress to `out`.
///
/// # Errors
/// Refused settings, a server that cannot be reached, or a statement it refuses.
pub async fn orders(
    settings: &MysqlSettings,
    load: &OrdersLoad,
    shutdown: &Shutdown,
    out: Out<'_>,
) -> Result<Generated, Error> {
    if !(0.0..=1.0).contains(&load.incomplete) {
        return Err(Error::Config("incomplete: a share between 0 and 1".into()));
    }
    if !load.rate.is_finite() || load.rate < 0.0 {
        return Err(Error::Config("rate: changes per second, 0 or more".into()));
    }
    if load.lines > load.orders.saturating_mul(LINES_MAX) {
        return Err(Error::Config(format!("lines: at most {LINES_MAX} for each order")));
    }
    let mut connection = connect(settings).await?;
    for statement in TABLES.split(';').map(without_comments).filter(|statement| !statement.is_empty()) {
        connection.query_drop(statement).await?;
    }
    let seed = load.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    say(&mut *out, format_args!("seed {seed}"))?;
    let mut shop = Shop { maker: Maker::new(seed), load, done: Generated::default(), recent: VecDeque::new() };
    shop.stock(&mut connection, shutdown, &mut *out).await?;
    if load.rate > 0.0 {
        shop.live(&mut connection, shutdown, out).await?;
    }
    connection.disconnect().await?;
    Ok(shop.done)
}

fn without_comments(statement: &str) -> String {
    let lines: Vec<&str> = statement.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    lines.join("\n").trim().to_owned()
}

/// A load under way.
struct Shop<'a> {
    maker: Maker,
    load: &'a OrdersLoad,
    done: Generated,
    /// Orders that later changes choose from, the newest last.
    recent: VecDeque<Order>,
}

impl Shop<'_> {
    async fn stock(&mut self, connection: &mut Conn, shutdown: &Shutdown, out: Out<'_>) -> Result<(), Error> {
        let counts = share_out(self.load.orders, self.load.lines, &mut self.maker.rng);
        let began = Instant::now();
        let mut told = began;
        for part in counts.chunks(ROWS_MAX) {
            if shutdown.is_triggered() {
                return Ok(());
            }
            let orders: Vec<Order> = part
                .iter()
                .map(|lines| {
                    let complete = !self.maker.rng.random_bool(self.load.incomplete);
                    self.maker.order(*lines, complete)
                })
                .collect();
            let order_rows: Vec<Vec<Value>> = orders.iter().map(|order| self.maker.order_row(order)).collect();
            let mut line_rows = Vec::new();
            for order in &orders {
                for line in &order.lines {
                    line_rows.push(self.maker.line_row(&order.id, line));
                }
            }
            self.done.orders += u64::try_from(order_rows.len()).unwrap_or(0);
            self.done.lines += u64::try_from(line_rows.len()).unwrap_or(0);
            let mut transaction = connection.start_transaction(TxOpts::default()).await?;
            insert(&mut transaction, ORDERS, order_rows).await?;
            for rows in line_rows.chunks(ROWS_MAX) {
                insert(&mut transaction, LINES, rows.to_vec()).await?;
            }
            transaction.commit().await?;
            for order in orders {
                self.remember(order);
            }
            if told.elapsed() > Duration::from_secs(1) {
                told = Instant::now();
                say(
                    &mut *out,
                    format_args!(
                        "{} of {} orders, {} of {} lines",
                        self.done.orders, self.load.orders, self.done.lines, self.load.lines
                    ),
                )?;
            }
        }
        if self.load.orders > 0 {
            say(
                &mut *out,
                format_args!(
                    "{} orders with {} lines inserted in {:.1} s",
                    self.done.orders,
                    self.done.lines,
                    began.elapsed().as_secs_f64()
                ),
            )?;
        }
        Ok(())
    }

    async fn live(&mut self, connection: &mut Conn, shutdown: &Shutdown, out: Out<'_>) -> Result<(), Error> {
        let period = Duration::try_from_secs_f64(1.0 / self.load.rate).unwrap_or(Duration::from_secs(3_600));
        let mut ticks = tokio::time::interval(period.max(Duration::from_micros(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        let mut told = Instant::now();
        let mut count = 0_u64;
        while self.load.changes.is_none_or(|changes| count < changes) {
            tokio::select! {
                biased;
                () = shutdown.wait() => break,
                _ = ticks.tick() => {}
            }
            self.change(connection).await?;
            count += 1;
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                say(
                    &mut *out,
                    format_args!(
                        "{count} live changes: {} orders, {} lines, {} updates, {} deletes in all",
                        self.done.orders, self.done.lines, self.done.updates, self.done.deletes
                    ),
                )?;
            }
        }
        say(&mut *out, format_args!("{count} live changes done"))
    }

    /// One live transaction: mostly new orders, some updates, few deletes.
    async fn change(&mut self, connection: &mut Conn) -> Result<(), Error> {
        let kind = self.maker.rng.random_range(0..100_u32);
        let chosen = self.maker.rng.random_range(0..self.recent.len().max(1));
        let mut transaction = connection.start_transaction(TxOpts::default()).await?;
        match (kind, self.recent.get_mut(chosen)) {
            (0..=54, _) | (_, None) => {
                let lines = self.maker.rng.random_range(1..=4);
                let complete = !self.maker.rng.random_bool(self.load.incomplete);
                let order = self.maker.order(lines, complete);
                let order_row = self.maker.order_row(&order);
                let line_rows: Vec<Vec<Value>> =
                    order.lines.iter().map(|line| self.maker.line_row(&order.id, line)).collect();
                self.done.orders += 1;
                self.done.lines += u64::try_from(line_rows.len()).unwrap_or(0);
                // Lines may well be written first: there is no foreign key.
                if self.maker.rng.random_bool(0.3) {
                    insert(&mut transaction, LINES, line_rows).await?;
                    insert(&mut transaction, ORDERS, vec![order_row]).await?;
                } else {
                    insert(&mut transaction, ORDERS, vec![order_row]).await?;
                    insert(&mut transaction, LINES, line_rows).await?;
                }
                transaction.commit().await?;
                self.remember(order);
                return Ok(());
            }
            (55..=69, Some(order)) => {
                let (customer, payment) = (self.maker.rng.random_range(1..=5_000), self.maker.rng.random_range(1..=4));
                transaction
                    .exec_drop(
                        "UPDATE orders SET customer_id = ?, payment_method_id = ? WHERE id = ?",
                        (customer, payment, order.id.as_str()),
                    )
                    .await?;
                self.done.updates += 1;
            }
            (70..=75, Some(order)) => {
                // Fewer wanted may complete it; never below one.
                order.wanted = (order.wanted - 1).max(1);
                transaction
                    .exec_drop("UPDATE orders SET num_products = ? WHERE id = ?", (order.wanted, order.id.as_str()))
                    .await?;
                self.done.updates += 1;
            }
            (76..=84, Some(order)) => {
                // A missing line arrives.
                if let Some(product) = self.maker.product() {
                    let line = Line { id: id(&mut self.maker.rng), product };
                    let row = self.maker.line_row(&order.id, &line);
                    insert(&mut transaction, LINES, vec![row]).await?;
                    order.lines.push(line);
                    self.done.lines += 1;
                }
            }
            (85..=90, Some(order)) => {
                if let (Some(line), Some(product)) = (order.lines.first_mut(), self.maker.product()) {
                    line.product.clone_from(&product);
                    transaction
                        .exec_drop(
                            "UPDATE order_details SET product_id = ?, quantity = quantity + 1 WHERE id = ?",
                            (product, line.id.as_str()),
                        )
                        .await?;
                    self.done.updates += 1;
                }
            }
            (91..=96, Some(order)) => {
                if let Some(line) = order.lines.pop() {
                    transaction.exec_drop("DELETE FROM order_details WHERE id = ?", (line.id,)).await?;
                    self.done.deletes += 1;
                }
            }
            (_, Some(order)) => {
                transaction.exec_drop("DELETE FROM orders WHERE id = ?", (order.id.as_str(),)).await?;
                transaction.exec_drop("DELETE FROM order_details WHERE order_id = ?", (order.id.as_str(),)).await?;
                self.done.deletes += 1 + u64::try_from(order.lines.len()).unwrap_or(0);
                self.recent.remove(chosen);
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    fn remember(&mut self, order: Order) {
        if self.recent.len() >= REMEMBERED_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(order);
    }
}

/// How many lines each order gets: evenly, and the rest at random.
fn share_out(orders: usize, lines: usize, rng: &mut StdRng) -> Vec<usize> {
    let each = lines.checked_div(orders).unwrap_or(0);
    let mut counts = vec![each; orders];
    let mut rest = lines.saturating_sub(each.saturating_mul(orders));
    while rest > 0 && !counts.is_empty() {
        let index = rng.random_range(0..counts.len());
        if let Some(count) = counts.get_mut(index) {
            *count += 1;
        }
        rest -= 1;
    }
    counts.shuffle(rng);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_are_shared_out() {
        let mut rng = StdRng::seed_from_u64(7);
        for (orders, lines) in [(25_000, 47_000), (10, 3), (3, 0), (1, 9)] {
            let counts = share_out(orders, lines, &mut rng);
            assert_eq!((counts.len(), counts.iter().sum::<usize>()), (orders, lines));
        }
        assert!(share_out(0, 5, &mut rng).is_empty());
    }

    #[test]
    fn one_seed_gives_one_load() {
        let make = |seed| {
            let mut maker = Maker::new(seed);
            (0..50).map(|n| format!("{:?}", maker.order(n % 4, n % 5 != 0))).collect::<Vec<_>>()
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }

    #[test]
    fn complete_means_enough_distinct_products() {
        let mut maker = Maker::new(3);
        for lines in 0..6 {
            for complete in [true, false] {
                let order = maker.order(lines, complete);
                let mut distinct: Vec<&str> = order.lines.iter().map(|line| line.product.as_str()).collect();
                distinct.sort_unstable();
                distinct.dedup();
                let enough = i32::try_from(distinct.len()).expect("small") >= order.wanted;
                assert_eq!(enough, complete && lines > 0);
            }
        }
    }

    #[test]
    fn the_tables_are_two_statements() {
        let statements: Vec<String> =
            TABLES.split(';').map(without_comments).filter(|statement| !statement.is_empty()).collect();
        assert_eq!(statements.len(), 2);
        assert!(statements.iter().all(|statement| statement.starts_with("CREATE TABLE IF NOT EXISTS")));
    }
}
