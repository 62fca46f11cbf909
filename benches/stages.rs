//! The first stages of the pipeline on recorded bytes: frame (events out of a file, checksums compared) and assemble
//! (the cells of every row found). `cargo bench --bench stages`: events, rows and nanoseconds of each.
//! Encoding is measured by `cargo run --release -p record --example encode_rate`, the whole by the bench `pipeline`.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{collections::HashMap, error::Error, fs, path::Path, time::Instant};

use mysql_protocol::{column::ColumnType, event::EventBody, file::FileReader, rows::RowCells};

/// Times each file is read.
const ROUNDS: u32 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto-fixtures/mysql/8.0.15");
    println!("{:<16} {:>8} {:>8} {:>12} {:>16}", "file", "events", "rows", "ns an event", "frame+cells MB/s");
    for case in ["numeric", "text", "temporal", "json", "transactions"] {
        let bytes = fs::read(folder.join(case).join("wire.bin"))?;
        let (mut events, mut rows) = (0u64, 0u64);
        let mut cells = RowCells::default();
        let mut types: HashMap<u64, Vec<ColumnType>> = HashMap::new();
        let started = Instant::now();
        for _ in 0..ROUNDS {
            let mut reader = FileReader::new(1 << 30);
            reader.feed(&bytes);
            while let Some(event) = reader.poll()? {
                events += 1;
                match &event.event.body {
                    EventBody::TableMap(map) => map.columns(types.entry(map.table_id).or_default())?,
                    EventBody::Rows(event) => {
                        let Some(columns) = types.get(&event.table_id) else { continue };
                        let mut walk = event.reader(columns)?;
                        while walk.next_row(&mut cells)? {
                            rows += 1;
                        }
                    }
                    _ => {}
                }
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let megabytes = bytes.len() as f64 * f64::from(ROUNDS) / 1e6;
        println!(
            "{case:<16} {:>8} {:>8} {:>12.0} {:>16.0}",
            events / u64::from(ROUNDS),
            rows / u64::from(ROUNDS),
            seconds * 1e9 / events as f64,
            megabytes / seconds
        );
    }
    Ok(())
}
