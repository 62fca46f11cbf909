//! How many records a second the producer brings to a broker, and at what CPU cost:
//! `produce_rate BOOTSTRAP TOPIC [RECORDS] [VALUE_BYTES] [KEY=VALUE producer settings..]`.
#![allow(clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use engine::{batch::Ack, budget::Permit, port::Sink};
use kafka::{
    producer::KafkaSink,
    settings::{Role, Settings},
};
use model::Seq;
use record::RecordBuffer;
use tokio::sync::mpsc::channel;

const BATCH: u64 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let servers = args.next().ok_or("BOOTSTRAP is missing")?;
    let topic: Arc<str> = args.next().ok_or("TOPIC is missing")?.into();
    let records: u64 = args.next().map_or(Ok(1_000_000), |n| n.parse())?;
    let size: usize = args.next().map_or(Ok(500), |n| n.parse())?;
    let mut java: BTreeMap<String, String> = [("bootstrap.servers".to_owned(), servers)].into();
    java.extend(args.filter_map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))));
    let settings = Settings::translate(Role::Producer, &java).map_err(|problems| format!("{problems:?}"))?;
    let mut sink = KafkaSink::new(settings, 64 << 20, None, Arc::new(AtomicBool::new(false)))?;
    let (to, mut settled) = channel(4096);

    let row: String = (0..).map(|n| format!("\"column_{n}\":{},", n * 7919)).take(size / 8).collect();
    let mut value = row.into_bytes();
    value.truncate(size);
    let mut buffer = RecordBuffer::default();
    let start_batch = |buffer: &mut RecordBuffer, first: u64| {
        buffer.clear();
        for n in first..first + BATCH {
            let key = format!("{{\"id\":{n}}}");
            buffer.push(&topic, None, Some(key.as_bytes()), Some(&value), &[]);
        }
    };
    // The topic and the connections are there before the clock starts.
    start_batch(&mut buffer, 0);
    sink.produce(&buffer, Ack::new(Seq(0), to.clone(), Permit::none(), None))?;
    sink.flush(Duration::from_secs(10));
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    let mut delivered = 0;
    for seq in 1..=records / BATCH {
        start_batch(&mut buffer, seq * BATCH);
        sink.produce(&buffer, Ack::new(Seq(seq), to.clone(), Permit::none(), None))?;
        while let Ok(settled) = settled.try_recv() {
            settled.result?;
            delivered += BATCH;
        }
    }
    sink.flush(Duration::from_secs(60));
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    while let Ok(settled) = settled.try_recv() {
        settled.result?;
        delivered += BATCH;
    }
    let sent = delivered - BATCH;
    println!(
        "{sent} records of {size} B in {elapsed:.2} s: {:.0} records/s, {:.2} us CPU a record",
        sent as f64 / elapsed,
        cpu * 1e6 / sent as f64
    );
    Ok(())
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) / 100.0)
}
