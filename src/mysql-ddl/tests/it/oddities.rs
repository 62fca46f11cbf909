//! Statements that no recorded server takes: other versions, MariaDB, nonsense. What comes of each is in
//! `oddities.txt` and is reviewed there.

use mysql_ddl::{Column, Context, DefaultText, Effect, Tables};
use std::fmt::Write;
use std::fs;
use std::path::Path;

fn column(column: &Column, key: &[String]) -> String {
    let mut text = format!("{} {}", column.name, column.type_name);
    match (column.length, column.scale) {
        (Some(length), Some(scale)) => write!(text, "({length},{scale})").unwrap(),
        (Some(length), None) => write!(text, "({length})").unwrap(),
        _ => {}
    }
    if let Some(charset) = &column.charset {
        write!(text, " {charset}").unwrap();
    }
    if !column.optional {
        text.push_str(" not null");
    }
    if let DefaultText::Text(default) = &column.default {
        write!(text, " default <{default}>").unwrap();
    }
    if column.default == DefaultText::Null && !column.optional {
        text.push_str(" default null");
    }
    if column.auto_incremented {
        text.push_str(" auto");
    }
    if let Some(place) = key.iter().position(|name| *name == column.name) {
        write!(text, " key {}", place + 1).unwrap();
    }
    assert!(column.column_type().is_some(), "{text}");
    text
}

fn told(tables: &mut Tables, ddl: &str) -> String {
    let context = Context { database: Some("db"), ..Context::default() };
    let effects = match tables.apply(ddl, &context) {
        Ok(effects) => effects,
        Err(error) => {
            let touched: Vec<String> = error.tables.iter().map(ToString::to_string).collect();
            return format!("  error: {error}; tables [{}]\n", touched.join(", "));
        }
    };
    let mut text = String::new();
    for effect in effects {
        match effect {
            Effect::Applied(changes) => {
                for change in changes {
                    if change.changes.is_empty() {
                        writeln!(text, "  no change in {}", change.database).unwrap();
                    }
                    for table in change.changes {
                        write!(text, "  {:?} {}", table.kind, table.id).unwrap();
                        if let Some(previous) = table.previous_id {
                            write!(text, " from {previous}").unwrap();
                        }
                        if let Some(table) = table.table {
                            let columns: Vec<String> =
                                table.columns.iter().map(|c| column(c, &table.primary_key)).collect();
                            write!(text, ": {}", columns.join(" | ")).unwrap();
                        }
                        text.push('\n');
                    }
                }
            }
            Effect::Truncated(id) => writeln!(text, "  truncated {id}").unwrap(),
            Effect::Unsure { reason, tables, .. } => {
                let tables: Vec<String> = tables.iter().map(ToString::to_string).collect();
                writeln!(text, "  unsure: {reason}; tables [{}]", tables.join(", ")).unwrap();
            }
        }
    }
    if text.is_empty() { "  nothing\n".to_owned() } else { text }
}

#[test]
fn oddities_come_out_as_reviewed() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/ddl");
    let mut tables = Tables::new(false);
    tables.set_server_charset("utf8mb4");
    let mut report = String::new();
    for ddl in fs::read_to_string(fixtures.join("oddities.sql")).unwrap().split("\n;;\n") {
        writeln!(report, "{}\n{}", ddl.trim_end(), told(&mut tables, ddl)).unwrap();
    }
    let expected = fixtures.join("oddities.txt");
    if std::env::var_os("UPDATE_ODDITIES").is_some() {
        fs::write(&expected, &report).unwrap();
    }
    assert!(fs::read_to_string(expected).unwrap() == report, "oddities.txt is not what is found:\n{report}");
}
