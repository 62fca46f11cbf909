//! The `orders` pipeline on a real Kafka and a real Redis: change events go into the two topics while the pipeline is
//! killed again and again; in the end Redis equals the tables, and each complete order was announced exactly once.
//!
//! The servers are started by the project's launcher. The pipeline runs in processes of its own (this binary, started
//! with `ORDERS_LIVE_CHILD`), so that a kill is a real one. The seed is printed; `ORDERS_LIVE_SEED` repeats it.
//! A harness of its own, for the second role of the binary; a scenario that fails ends it with code 101.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pipelines::{
    orders::{self, Config},
    runtime::{Shutdown, kafka, replay::Replay},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rdkafka::{
    ClientConfig, Message,
    producer::{BaseProducer, Producer},
};
use serde_json::Value;

const ORDERS: usize = 2_500;
const KILLS: usize = 20;
/// Of these, so many between the two halves of a batch.
const KILLS_BETWEEN: usize = 5;
const PARTITIONS: i32 = 3;

#[path = "orders_live/feed.rs"]
mod feed;
#[path = "orders_live/world.rs"]
mod world;

use feed::{Feed, Row, Tables};
use world::{Servers, World, stop};

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
    let only = Replay { filter: Some("InvalidJson".into()), dry_run: false };
    let dry = Replay { dry_run: true, ..only.clone() };
    let mut output = Vec::new();
    let done = orders::replay(&config, &dry, &mut output).expect("dry run");
    assert_eq!((done.matched, done.written, done.passed), (1, 0, 1));
    let done = orders::replay(&config, &only, &mut output).expect("replays");
    assert_eq!((done.matched, done.written), (1, 1));
    world.wait_caught_up(Duration::from_secs(30));
    let done = orders::replay(&config, &only, &mut output).expect("replays");
    // The first is not replayed twice; its second letter is a new one.
    assert_eq!((done.matched, done.written), (1, 1));
    assert!(String::from_utf8_lossy(&output).contains("attempt 2"));
    assert!(!String::from_utf8_lossy(&output).contains("many"), "no row values");
    world.compare(&feed.tables, &announced);
    tell("dead letters: kept, shown, replayed once each");
    running.take().map_or_else(|| panic!("it runs"), stop);
    fs::remove_dir_all(&path).expect("cleans up");
}
