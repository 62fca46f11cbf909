//! Arrows point one way: the dependencies between the crates of `src/`, compared with the list below. A new arrow is
//! a deliberate line here.

use std::{collections::BTreeMap, process::Command};

/// Crate, and those of ours it may use. In layer order, like the workspace's members.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("tls", &[]),
    ("mysql-protocol", &[]),
    ("mysql-ddl", &[]),
    ("record", &["model"]),
    ("engine", &["model", "record"]),
    ("sim", &["engine", "model"]),
    ("mysql", &["engine", "model", "mysql-ddl", "mysql-protocol", "record", "tls"]),
    ("kafka", &["engine", "model", "record", "tls"]),
    ("store", &["engine", "model"]),
    ("connect", &["engine", "kafka", "model", "record", "store", "tls"]),
    ("pipelines", &["kafka", "model", "record", "store"]),
    (
        "cli",
        &[
            "connect",
            "engine",
            "kafka",
            "model",
            "mysql",
            "mysql-ddl",
            "mysql-protocol",
            "pipelines",
            "record",
            "store",
        ],
    ),
    ("afterimage", &["cli"]),
];

/// Crates that must stay free of C++, sockets and runtimes, and what they must not reach by any path.
const FREE_OF: &[(&str, &[&str])] = &[
    ("model", &["tokio", "rdkafka", "rocksdb"]),
    ("tls", &["tokio", "rdkafka", "rocksdb"]),
    ("mysql-protocol", &["tokio", "rdkafka", "rocksdb", "tracing"]),
    ("mysql-ddl", &["tokio", "rdkafka", "rocksdb", "tracing"]),
    ("record", &["tokio", "rdkafka", "rocksdb"]),
    ("engine", &["rdkafka", "rocksdb", "mysql_async"]),
    ("sim", &["rdkafka", "rocksdb", "mysql_async"]),
    ("afterimage", &["sim"]),
];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

#[test]
fn dependencies_follow_the_list() {
    let metadata: serde_json::Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"]))
            .expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut found = BTreeMap::new();
    for package in packages {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        // Tests may reach further: only what is linked into the product counts.
        let mut ours: Vec<&str> = dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| names.contains(name))
            .collect();
        ours.sort_unstable();
        found.insert(package["name"].as_str().expect("name"), ours);
    }
    for (name, allowed) in ARROWS {
        let ours = found.remove(name).unwrap_or_else(|| panic!("crate {name} is listed but not in the workspace"));
        let extra: Vec<_> = ours.iter().filter(|ours| !allowed.contains(ours)).collect();
        assert!(extra.is_empty(), "{name} may not depend on {extra:?}");
    }
    assert!(found.is_empty(), "crates without a place in the layers: {found:?}");
}

#[test]
fn pure_crates_reach_no_io() {
    for (name, forbidden) in FREE_OF {
        let tree = cargo(&["tree", "-p", name, "-e", "normal", "--prefix", "none", "--locked", "--offline"]);
        for line in tree.lines() {
            let dependency = line.split(' ').next().unwrap_or_default();
            assert!(!forbidden.contains(&dependency), "{name} reaches {dependency}");
        }
    }
}

#[test]
fn members_are_listed_in_layer_order() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).expect("Cargo.toml");
    let members: Vec<&str> =
        manifest.lines().filter_map(|line| line.trim().strip_prefix("\"src/")?.strip_suffix("\",")).collect();
    let order: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).filter(|name| *name != "afterimage").collect();
    assert_eq!(members, order);
}
