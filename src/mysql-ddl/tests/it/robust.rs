//! No text whatever makes the parser panic, loop or take more than linear time.

use mysql_ddl::history::Record;
use mysql_ddl::{Certainty, Context, Effect, Lexing, Tables, ignore, parse};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/ddl")
}

static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut files: Vec<PathBuf> =
        fs::read_dir(fixtures().join("corpus")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(fixtures().join("oddities.sql"));
    files.sort();
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts.flat_map(|text| text.split("\n;;\n").map(str::to_owned).collect::<Vec<_>>()).collect()
});

/// Applies a text under every mode and checks what has to hold whatever it says.
fn check(ddl: &str) {
    ignore::is_ignored(ddl);
    for (ansi_quotes, no_backslash_escapes) in [(false, false), (true, false), (false, true), (true, true)] {
        let lexing = Lexing { ansi_quotes, no_backslash_escapes };
        match parse(ddl, lexing) {
            Ok(statements) => {
                for statement in statements {
                    assert!(ddl.get(statement.range.clone()).is_some(), "{statement:?}");
                }
            }
            Err(error) => assert!(error.offset <= ddl.len()),
        }
        let mut tables = Tables::new(ansi_quotes);
        let context = Context { database: Some("db"), lexing };
        for known in ["create table t (id int primary key, a int, b varchar(10), c text)", ddl, ddl] {
            let _ = tables.apply(known, &context);
        }
        for table in tables.iter() {
            for column in &table.columns {
                column.option_values(no_backslash_escapes);
                column.column_type();
            }
        }
    }
}

/// Why a text is not understood, in all words that reach logs.
fn reasons(ddl: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    match parse(ddl, Lexing::default()) {
        Err(error) => reasons.push(error.to_string()),
        Ok(statements) => {
            for statement in statements {
                if let Certainty::Unsure { reason, .. } = statement.certainty {
                    reasons.push(reason);
                }
            }
        }
    }
    let context = Context { database: Some("db"), lexing: Lexing::default() };
    let mut tables = Tables::new(false);
    for known in ["create table t (id int primary key, a int, b varchar(10), c text)", ddl] {
        match tables.apply(known, &context) {
            Err(error) => reasons.push(error.to_string()),
            Ok(effects) => {
                for effect in effects {
                    if let Effect::Unsure { reason, .. } = effect {
                        reasons.push(reason);
                    }
                }
            }
        }
    }
    reasons
}

#[test]
fn no_reason_quotes_a_literal() {
    let mut seen = 0;
    for ddl in CORPUS.iter().filter(|ddl| ddl.len() < 300 && ddl.contains('\'')) {
        let parts = ddl.split('\'').enumerate().map(|(n, part)| if n % 2 == 1 { "planted" } else { part });
        let ddl = parts.collect::<Vec<_>>().join("'");
        let words: Vec<&str> = ddl.split_whitespace().collect();
        for left_out in 0..words.len() {
            let rest = words.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, word)| *word);
            for reason in reasons(&rest.collect::<Vec<_>>().join(" ")) {
                assert!(!reason.contains("planted"), "{reason:?} of {ddl} without {:?}", words[left_out]);
                seen += usize::from(reason.contains("a string"));
            }
        }
    }
    assert!(seen > 10, "strings are among what is not understood: {seen}");
}

#[test]
fn every_prefix_and_suffix_of_the_corpus() {
    for ddl in CORPUS.iter().filter(|ddl| ddl.len() < 400) {
        for (at, _) in ddl.char_indices() {
            let _ = parse(&ddl[..at], Lexing::default());
            let _ = parse(&ddl[at..], Lexing::default());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutations_of_the_corpus(
        first in any::<prop::sample::Index>(),
        second in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 4),
        insert in prop::sample::select(vec![
            "", "(", ")", ",", ";", "'", "\"", "`", "/*", "*/", "/*!50000 ", "--", "#", "\\", "\0", "é", "😀", ".", "@",
            "=", "-", "0x", "b'", " primary key ", " default ", " after ", " not ", " table ", " if exists ", "1e", "_utf8",
        ]),
    ) {
        let chars = |index: prop::sample::Index| CORPUS[index.index(CORPUS.len())].chars().collect::<Vec<char>>();
        let (a, b) = (chars(first), chars(second));
        let cut = |n: usize, of: &[char]| cuts[n].index(of.len() + 1);
        let mut text: String = a[..cut(0, &a)].iter().collect();
        text.push_str(insert);
        text.extend(&b[cut(1, &b)..]);
        check(&text);
        // Without a piece of the middle.
        let (from, to) = (cut(2, &a), cut(3, &a));
        let mut text: String = a[..from.min(to)].iter().collect();
        text.push_str(insert);
        text.extend(&a[from.max(to)..]);
        check(&text);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        check(&text);
        let _ = Record::parse(&text);
    }
}

/// Repeated pieces, 200 kB each: linear work takes milliseconds, anything quadratic minutes.
#[test]
fn time_is_linear_in_the_length() {
    let pieces = [
        "(", ")", "/*!", "/*! */", "/*", "*/", "'", "''", "`a`", "\"", ",", ";", "x", "x ", ".", "a.", "table ",
        "table a,", "to,", "to a,", "create ", "@", "1", "1.", "0x", "-- \n", "#\n", "\\", "rename ", "b'", "é",
    ];
    let frames = [
        ("", ""),
        ("create table t (a int default (", "), b int)"),
        ("create table t (a int, b enum('", "'))"),
        ("create table t (", ")"),
        ("alter table t add ", ""),
        ("alter table t ", ""),
        ("rename table ", ""),
        ("drop table ", ""),
        ("set ", ""),
        ("create trigger ", ""),
    ];
    for (before, after) in frames {
        for piece in pieces {
            let text = format!("{before}{}{after}", piece.repeat(200_000 / piece.len()));
            in_time(&text, piece);
        }
    }
    let listed = |head: &str, item: &dyn Fn(usize) -> String, count: usize, tail: &str| {
        format!("{head}{}{tail}", (0..count).map(item).collect::<Vec<_>>().join(","))
    };
    in_time(&listed("drop table ", &|n| format!("t{n}"), 30_000, ""), "drop");
    in_time(&listed("create table t (", &|n| format!("c{n} int unique"), 4_000, ")"), "columns");
    in_time(&listed("create table t (a int, ", &|n| format!("unique (c{n})"), 20_000, ")"), "keys");
    in_time(&listed("alter table t ", &|n| format!("add c{n} int first"), 20_000, ""), "adds");
    in_time(&listed("rename table ", &|n| format!("t{n} to u{n}"), 20_000, ""), "renames");
    in_time(&listed("create table t (a int, primary key (", &|_| "a".to_owned(), 50_000, "))"), "key columns");
}

fn in_time(text: &str, what: &str) {
    let start = Instant::now();
    let mut tables = Tables::new(false);
    let context = Context { database: Some("db"), ..Context::default() };
    let _ = tables.apply("create table t (id int primary key)", &context);
    let _ = tables.apply(text, &context);
    ignore::is_ignored(text);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(4), "{what:?} in {:?}: {took:?}", text.chars().take(30).collect::<String>());
}
