//! The corpus against what the real Debezium made of it: the statements as the binlog holds them go in, and the
//! history documents have to come out byte for byte, apart from the differences listed here.

use mysql_ddl::history::Record;
use mysql_ddl::{Context, Effect, Lexing, TableId, Tables, ignore};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/ddl")
}

fn documents(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let mut documents = Vec::new();
    let mut document = String::new();
    for line in text.lines() {
        document.push_str(line);
        if line == "}" {
            documents.push(std::mem::take(&mut document));
        } else {
            document.push('\n');
        }
    }
    assert!(document.is_empty(), "{}: cut off", path.display());
    documents
}

/// The batch output of the client: newline, tab and backslash are escaped.
fn unescape(text: &str) -> String {
    let mut chars = text.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => plain.push('\n'),
                Some('t') => plain.push('\t'),
                Some('0') => plain.push('\0'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            (other, false) => plain.push(other),
        }
    }
    plain
}

fn lexing(file: &str) -> Lexing {
    Lexing { ansi_quotes: file == "ansi", no_backslash_escapes: file == "noescape" }
}

/// Plays one file and reports every document that differs.
fn play(server: &str, file: &str) -> Vec<String> {
    let folder = fixtures().join("recorded").join(server);
    // What the connector found before it began to stream is not told by the binlog.
    let mut recorded: VecDeque<String> = documents(&folder.join(format!("{file}.json")))
        .into_iter()
        .filter(|document| !Record::parse(document).unwrap().position.contains_key("snapshot"))
        .collect();
    let mut tables = Tables::new(false);
    tables.set_server_charset(if server == "mysql-5.7.22" { "latin1" } else { "utf8mb4" });
    let mut differences = Vec::new();
    for line in fs::read_to_string(folder.join(format!("{file}.binlog"))).unwrap().lines() {
        let (database, ddl) = line.split_once('\t').unwrap();
        let ddl = unescape(ddl);
        if ignore::is_ignored(&ddl) {
            continue;
        }
        let context = Context { database: Some(database), lexing: lexing(file) };
        let effects = match tables.apply(&ddl, &context) {
            Ok(effects) => effects,
            Err(error) => {
                differences.push(format!("{ddl}\n  does not parse: {error}"));
                continue;
            }
        };
        for effect in effects {
            let changes = match effect {
                Effect::Applied(changes) => changes,
                Effect::Truncated(_) => continue,
                Effect::Unsure { reason, .. } => {
                    differences.push(format!("{ddl}\n  unsure: {reason}"));
                    continue;
                }
            };
            for change in changes {
                let ours = |theirs: &Record| Record {
                    database: Some(change.database.clone()),
                    ddl: Some(change.ddl.clone()),
                    changes: change.changes.clone(),
                    ..theirs.clone()
                };
                let same = |theirs: &String| Record::parse(theirs).unwrap().ddl.as_deref() == Some(&change.ddl);
                let Some(at) = recorded.iter().take(3).position(same) else {
                    differences.push(format!("{ddl}\n  Debezium has no document {:?}", change.ddl));
                    continue;
                };
                let skipped = recorded.drain(..at).map(|theirs| Record::parse(&theirs).unwrap().ddl);
                differences.extend(skipped.map(|theirs| format!("only Debezium has {theirs:?}")));
                let theirs = recorded.pop_front().unwrap();
                let parsed = Record::parse(&theirs).unwrap();
                assert_eq!(parsed.to_pretty(), theirs, "a document does not survive reading and writing");
                let ours = ours(&parsed).to_pretty();
                if ours != theirs {
                    differences.push(difference(&ddl, &ours, &theirs));
                    // What differs once is told once: go on from where Debezium is.
                    if !parsed.changes.is_empty() {
                        tables.apply_record(&parsed).unwrap();
                    }
                }
            }
        }
    }
    differences
        .extend(recorded.iter().map(|theirs| format!("only Debezium has {:?}", Record::parse(theirs).unwrap().ddl)));
    differences
}

fn difference(ddl: &str, ours: &str, theirs: &str) -> String {
    let mut lines = format!("{ddl}\n");
    let differing = ours.lines().zip(theirs.lines()).enumerate().filter(|(_, (our, their))| our != their);
    for (n, (our, their)) in differing.take(4) {
        lines.push_str(&format!("  line {n}\n    ours   {}\n    theirs {}\n", our.trim(), their.trim()));
    }
    lines
}

/// Plays the documents of a snapshot: each holds the statement the connector made of the server's answer.
fn play_snapshot(server: &str) -> Vec<String> {
    let folder = fixtures().join("recorded").join(server);
    let mut tables = Tables::new(false);
    let mut differences = Vec::new();
    let documents = documents(&folder.join("snapshot.json"));
    assert!(documents.len() > 100);
    for theirs in documents {
        let parsed = Record::parse(&theirs).unwrap();
        let ddl = parsed.ddl.clone().unwrap();
        let context = Context { database: parsed.database.as_deref(), lexing: Lexing::default() };
        let effects = tables.apply(&ddl, &context).unwrap();
        let [Effect::Applied(changes)] = effects.as_slice() else { panic!("{ddl}: {effects:?}") };
        let [change] = changes.as_slice() else { panic!("{ddl}: {changes:?}") };
        let ours = Record {
            database: Some(change.database.clone()),
            ddl: Some(change.ddl.clone()),
            changes: change.changes.clone(),
            ..parsed
        };
        let ours = ours.to_pretty();
        if ours != theirs {
            differences.push(difference(&ddl, &ours, &theirs));
        }
    }
    differences
}

/// A start from the history has the tables that the live model had.
#[test]
fn the_history_brings_back_the_model() {
    let mut restored = 0;
    for (server, file) in [("mysql-8.0.15", "alter"), ("mysql-8.0.15", "rename_drop"), ("mysql-8.0.15", "charset")]
        .into_iter()
        .chain(["ansi", "create", "defaults", "names", "types", "noescape"].map(|file| ("mysql-5.7.22", file)))
    {
        let path = fixtures().join("recorded").join(server).join(format!("{file}.binlog"));
        let (mut live, mut recovered) = (Tables::new(false), Tables::new(false));
        for line in fs::read_to_string(path).unwrap().lines() {
            let (database, ddl) = line.split_once('\t').unwrap();
            let context = Context { database: Some(database), lexing: lexing(file) };
            for effect in live.apply(&unescape(ddl), &context).unwrap() {
                let Effect::Applied(changes) = effect else { continue };
                for change in changes {
                    let record = Record {
                        source: serde_json::Map::new(),
                        position: serde_json::Map::new(),
                        ts_ms: 1,
                        database: Some(change.database),
                        schema: None,
                        ddl: Some(change.ddl),
                        changes: change.changes,
                    };
                    assert_eq!(Record::parse(&record.to_line()).unwrap(), record);
                    recovered.apply_record(&record).unwrap();
                }
            }
        }
        assert!(live.iter().eq(recovered.iter()), "{server} {file}");
        restored += live.len();
    }
    assert!(restored > 100, "{restored}");
}

/// A start from Debezium's own history has the tables Debezium had.
#[test]
fn the_history_of_debezium_is_read() {
    for server in ["mysql-8.0.15", "mysql-5.7.22"] {
        for file in ["alter", "rename_drop", "create", "types", "mysqldump", "comments", "other", "snapshot"] {
            let mut tables = Tables::new(false);
            for document in documents(&fixtures().join("recorded").join(server).join(format!("{file}.json"))) {
                let record = Record::parse(&document).unwrap();
                for effect in tables.apply_record(&record).unwrap() {
                    assert!(!matches!(effect, Effect::Unsure { .. }), "{server} {file}: {effect:?}");
                }
                for change in &record.changes {
                    assert_eq!(tables.get(&change.id), change.table.as_ref());
                }
            }
            assert!(!tables.is_empty());
            // Renamed by ALTER TABLE, which Debezium records under the new name alone.
            let gone = ["t2", "t3", "t4"].map(|name| TableId::new("ddl_alter", name));
            assert!(file != "alter" || gone.iter().all(|id| tables.get(id).is_none()));
        }
    }
}

/// Every document is Debezium's byte for byte, but for those of `differences.txt`; README.md there gives the reasons.
#[test]
fn the_corpus_gives_the_recorded_documents() {
    let mut report = String::new();
    for server in ["mysql-8.0.15", "mysql-5.7.22"] {
        let mut files: Vec<String> = fs::read_dir(fixtures().join("corpus"))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert!(files.len() >= 12);
        for file in files {
            for difference in play(server, &file) {
                report.push_str(&format!("== {server} {file}: {}\n", difference.trim_end()));
            }
        }
        for difference in play_snapshot(server) {
            report.push_str(&format!("== {server} snapshot: {}\n", difference.trim_end()));
        }
    }
    let expected = fixtures().join("differences.txt");
    if std::env::var_os("UPDATE_DIFFERENCES").is_some() {
        fs::write(&expected, &report).unwrap();
    }
    assert!(fs::read_to_string(expected).unwrap() == report, "differences.txt is not what is found:\n{report}");
}
