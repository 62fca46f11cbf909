//! Rules of the model that no recorded statement shows.

use mysql_ddl::history::{HistoryError, Record};
use mysql_ddl::{ColumnType, Context, Effect, Lexing, Table, TableId, Tables};
use std::sync::Arc;

fn table(ddl: &str) -> Arc<Table> {
    let mut tables = Tables::new(false);
    tables.set_server_charset("utf8mb4");
    tables.apply(ddl, &Context { database: Some("db"), ..Context::default() }).unwrap();
    Arc::clone(tables.iter().next().unwrap())
}

#[test]
fn names_are_the_same_regardless_of_case_where_the_server_says_so() {
    let context = Context { database: Some("Db"), ..Context::default() };
    for (lower_case_names, found) in [(true, true), (false, false)] {
        let mut tables = Tables::new(lower_case_names);
        tables.set_database_charset("DB", "latin1");
        tables.apply("create table Orders (id int, v varchar(3))", &context).unwrap();
        assert_eq!(tables.get(&TableId::new("dB", "ORDERS")).is_some(), found);
        let altered = tables.apply("alter table db.ORDERS add x int", &context).unwrap();
        assert_eq!(matches!(altered.as_slice(), [Effect::Applied(_)]), found);
        let charset = tables.iter().next().unwrap().default_charset.clone();
        assert_eq!(charset.as_deref(), found.then_some("latin1"));
        tables.apply("drop database DB", &context).unwrap();
        assert_eq!(tables.is_empty(), found);
    }
}

#[test]
fn column_names_are_the_same_regardless_of_case() {
    let table = table("create table t (`Größe` int, ID int not null, primary key (id))");
    assert_eq!(table.column_index("GRÖSSE"), None);
    assert_eq!(table.column_index("grÖße"), Some(0));
    assert_eq!(table.primary_key, ["ID"]);
}

#[test]
fn a_name_only_passed_through_has_a_record_without_a_change() {
    let mut tables = Tables::new(false);
    let context = Context { database: Some("d"), ..Context::default() };
    tables.apply("create table a (x int); create table b (y int)", &context).unwrap();
    let effects = tables.apply("rename table a to tmp, b to a, tmp to b", &context).unwrap();
    let [Effect::Applied(records)] = effects.as_slice() else { panic!("{effects:?}") };
    let told: Vec<_> = records.iter().map(|record| (record.ddl.as_str(), record.changes.len())).collect();
    assert_eq!(told, [("rename table a to tmp", 0), ("rename table b to a", 1), ("rename table tmp to b", 1)]);
    assert_eq!(tables.get(&TableId::new("d", "a")).unwrap().columns[0].name, "y");
    assert_eq!(tables.get(&TableId::new("d", "b")).unwrap().columns[0].name, "x");
}

#[test]
fn a_rename_that_fails_leaves_the_model_as_it_was() {
    let mut tables = Tables::new(false);
    let context = Context { database: Some("d"), ..Context::default() };
    tables.apply("create table a (x int); create table b (y int)", &context).unwrap();
    let before = tables.clone();
    let effects = tables.apply("rename table a to c, b to a, nosuch to b", &context).unwrap();
    assert!(matches!(effects.as_slice(), [Effect::Unsure { .. }]));
    assert!(before.iter().eq(tables.iter()));
}

#[test]
fn a_table_handed_out_stays_as_it_was() {
    let mut tables = Tables::new(false);
    let context = Context { database: Some("d"), ..Context::default() };
    tables.apply("create table a (x int)", &context).unwrap();
    let before = Arc::clone(tables.get(&TableId::new("d", "a")).unwrap());
    tables.apply("alter table a add y int", &context).unwrap();
    assert_eq!(before.columns.len(), 1);
    assert_eq!(tables.get(&TableId::new("d", "a")).unwrap().columns.len(), 2);
}

#[test]
fn types_are_what_they_mean_and_not_what_they_are_called() {
    let table = table(
        "create table t (a int4 zerofill, b national char varying(3), c long varbinary, d double precision, \
         e datetime(3), f enum('it''s', 'a,b', 'c\\nd'), g serial, h geomcollection)",
    );
    let types: Vec<_> = table.columns.iter().map(|column| column.column_type().unwrap()).collect();
    use ColumnType::*;
    assert_eq!(types, [Int, NVarChar, MediumBlob, Double, DateTime, Enum, BigInt, GeometryCollection]);
    let unsigned: Vec<_> = table.columns.iter().map(mysql_ddl::Column::is_unsigned).collect();
    assert_eq!(unsigned, [true, false, false, false, false, false, true, false]);
    assert_eq!(table.columns[4].fraction_digits(), 3);
    assert_eq!(table.columns[5].option_values(false), ["it's", "a,b", "c\nd"]);
    assert_eq!(table.columns[5].option_values(true), ["it's", "a,b", "c\\nd"]);
}

#[test]
fn a_string_under_no_backslash_escapes_ends_at_its_quote() {
    let mut tables = Tables::new(false);
    let ddl = r"create table t (a varchar(3) default '\', b int)";
    let lexing = Lexing { no_backslash_escapes: true, ..Lexing::default() };
    tables.apply(ddl, &Context { database: Some("d"), lexing }).unwrap();
    assert_eq!(tables.iter().next().unwrap().columns.len(), 2);
    assert!(tables.apply(ddl, &Context { database: Some("d"), ..Context::default() }).is_err());
}

#[test]
fn quoted_ids_come_back() {
    for (database, table) in [("a", "b"), ("a.b", "c\"d"), ("\"", "\".\""), ("é", "😀")] {
        let id = TableId::new(database, table);
        assert_eq!(TableId::from_quoted(&id.quoted()), Some(id));
    }
    for broken in ["", "a.b", "\"a\"", "\"a\".\"b", "\"a\".\"b\"x", "\"a\".\"b\".\"c\""] {
        assert_eq!(TableId::from_quoted(broken), None, "{broken}");
    }
}

#[test]
fn control_characters_are_written_as_the_java_writer_does() {
    let record = Record {
        source: serde_json::Map::new(),
        position: serde_json::Map::new(),
        ts_ms: -1,
        database: None,
        schema: None,
        ddl: Some("\u{1a}\u{7f}\t\"\\/é".to_owned()),
        changes: Vec::new(),
    };
    let line =
        "{\"source\":{},\"position\":{},\"ts_ms\":-1,\"ddl\":\"\\u001A\u{7f}\\t\\\"\\\\/é\",\"tableChanges\":[]}";
    assert_eq!(record.to_line(), line);
    assert_eq!(Record::parse(&record.to_pretty()).unwrap(), record);
    assert!(record.to_pretty().starts_with("{\n  \"source\" : { },\n  \"position\" : { },\n  \"ts_ms\" : -1,\n"));
}

#[test]
fn documents_that_are_none_are_refused() {
    let whole = r#"{"source":{},"position":{},"tableChanges":[{"type":"CREATE","id":"\"a\".\"b\"","table":{"columns":[{"name":"x","jdbcType":4,"typeName":"INT","position":1}]}}]}"#;
    assert_eq!(Record::parse(whole).unwrap().changes.len(), 1);
    assert!(matches!(Record::parse("{"), Err(HistoryError::Json(_))));
    assert!(matches!(Record::parse("[]"), Err(HistoryError::Json(_))));
    for (from, to) in [
        ("\"source\":{}", "\"source\":1"),
        ("\"position\":{},", ""),
        ("CREATE", "FROB"),
        ("\\\"a\\\".", ""),
        ("\"columns\"", "\"cols\""),
        (":4", ":\"4\""),
        (":4", ":99999999999"),
        ("\"name\":\"x\",", ""),
        (",\"position\":1", ""),
    ] {
        let broken = whole.replace(from, to);
        assert_ne!(broken, whole);
        assert!(matches!(Record::parse(&broken), Err(HistoryError::Member(_))), "{broken}");
    }
}
