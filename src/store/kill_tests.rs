//! What `save` has confirmed survives the end of the process, however it comes.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use engine::port::{CheckpointStore, SavedCheckpoint};
use model::OffsetMap;

use crate::{Limits, Store};

const DIR: &str = "AFTERIMAGE_STORE_KILL_TEST_DIR";

fn partition() -> OffsetMap {
    OffsetMap::from_iter([("server".to_owned(), "srv".into())])
}

fn checkpoint(n: u64) -> SavedCheckpoint {
    let offset = OffsetMap::from_iter([("pos".to_owned(), n.into())]);
    SavedCheckpoint { offset, published_at: Some((0, n as i64)), cluster: None }
}

fn saved(dir: &Path) -> u64 {
    let store = Store::open(dir, Limits::default()).unwrap_or_else(|e| panic!("{e}"));
    let found = store.load("c", &partition()).unwrap_or_else(|e| panic!("{e}"));
    let Some(found) = found else { return 0 };
    let n = found.offset.get("pos").and_then(serde_json::Value::as_u64).unwrap_or_default();
    assert_eq!(found, checkpoint(n));
    n
}

/// The child of the test below: saves until it is killed. Run as a test without the variable it has nothing to do.
#[test]
fn child_saves_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let first = saved(Path::new(&dir)) + 1;
    let store = Store::open(Path::new(&dir), Limits::default()).unwrap_or_else(|e| panic!("{e}"));
    let mut out = std::io::stdout();
    for n in first.. {
        store.save("c", &partition(), &checkpoint(n)).unwrap_or_else(|e| panic!("{e}"));
        writeln!(out, "\nsaved {n}").unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn a_killed_process_loses_nothing_confirmed_and_frees_the_folder() {
    let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let program = std::env::current_exe().unwrap_or_else(|e| panic!("{e}"));
    let mut before = 0;
    for round in 1..=5_u64 {
        let mut child = Command::new(&program)
            .args(["--exact", "kill_tests::child_saves_until_killed", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{e}"));
        let lines = BufReader::new(child.stdout.take().unwrap_or_else(|| panic!("no output"))).lines();
        let numbers = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("saved ")?.parse::<u64>().ok());
        let confirmed = numbers.take(7 * round as usize).last().unwrap_or_default();
        child.kill().and_then(|()| child.wait()).unwrap_or_else(|e| panic!("{e}"));
        let after = saved(dir.path());
        assert!(confirmed >= before + 7 * round && after >= confirmed, "round {round}: {before} {confirmed} {after}");
        before = after;
    }
}
