//! Records of the schema-change topic (MySQL and MariaDB).

use std::sync::Arc;

use model::TableId;

use crate::{
    Schema, Type, Value,
    envelope::{optional, required},
};

/// What happened to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Created, or read by a snapshot.
    Create,
    /// Altered or renamed.
    Alter,
    /// Dropped.
    Drop,
}

impl ChangeKind {
    /// The text of `type`.
    pub fn text(self) -> &'static str {
        match self {
            ChangeKind::Create => "CREATE",
            ChangeKind::Alter => "ALTER",
            ChangeKind::Drop => "DROP",
        }
    }
}

/// One entry of `tableChanges`.
#[derive(Debug, Clone)]
pub struct TableChange<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// The table, under its new name after a rename.
    pub id: &'a TableId,
    /// The table afterwards; `None` for a drop.
    pub table: Option<TableDescription<'a>>,
}

/// A table of the schema model.
#[derive(Debug, Clone, Default)]
pub struct TableDescription<'a> {
    /// `defaultCharsetName`.
    pub charset: Option<&'a str>,
    /// `primaryKeyColumnNames`.
    pub primary_key: Vec<&'a str>,
    /// `columns`.
    pub columns: Vec<ColumnDescription<'a>>,
    /// `comment`.
    pub comment: Option<&'a str>,
}

/// A column of the schema model.
#[derive(Debug, Clone, Default)]
pub struct ColumnDescription<'a> {
    /// `name`.
    pub name: &'a str,
    /// `jdbcType`, a code of `java.sql.Types`.
    pub jdbc_type: i32,
    /// `nativeType`.
    pub native_type: Option<i32>,
    /// `typeName`.
    pub type_name: &'a str,
    /// `typeExpression`.
    pub type_expression: Option<&'a str>,
    /// `charsetName`.
    pub charset: Option<&'a str>,
    /// `length`.
    pub length: Option<i32>,
    /// `scale`.
    pub scale: Option<i32>,
    /// `position`, 1-based.
    pub position: i32,
    /// `optional`.
    pub optional: Option<bool>,
    /// `autoIncremented`.
    pub auto_incremented: Option<bool>,
    /// `generated`.
    pub generated: Option<bool>,
    /// `comment`.
    pub comment: Option<&'a str>,
    /// `defaultValueExpression`.
    pub default_expression: Option<&'a str>,
    /// `enumValues`, options quoted as in the DDL.
    pub enum_values: Option<Vec<&'a str>>,
}

/// One record of the topic.
#[derive(Debug, Clone)]
pub struct SchemaChange<'a> {
    /// The source block, from [`crate::SourceShape::value`].
    pub source: Value,
    /// The connector's clock, milliseconds.
    pub ts_ms: i64,
    /// `databaseName`, also the key; `""` for a statement about none.
    pub database: &'a str,
    /// `ddl`.
    pub ddl: &'a str,
    /// `tableChanges`.
    pub tables: &'a [TableChange<'a>],
}

/// Schemas of the topic's records, made once per connector.
#[derive(Debug, Clone)]
pub struct SchemaChangeSchemas {
    /// `SchemaChangeKey`.
    pub key: Arc<Schema>,
    /// `SchemaChangeValue`.
    pub value: Arc<Schema>,
}

impl SchemaChangeSchemas {
    /// Schemas for a connector kind (`mysql`, `mariadb`) and its source block.
    pub fn new(connector: &str, source: &Arc<Schema>) -> Self {
        let name = |part: &str| format!("io.debezium.connector.{connector}.{part}");
        let key = required(Type::Struct)
            .named(name("SchemaChangeKey"), Some(1))
            .field("databaseName", required(Type::String));
        let value = required(Type::Struct)
            .named(name("SchemaChangeValue"), Some(1))
            .field("source", source.clone())
            .field("ts_ms", required(Type::Int64))
            .field("databaseName", optional(Type::String))
            .field("schemaName", optional(Type::String))
            .field("ddl", optional(Type::String))
            .field("tableChanges", Schema::array(change_schema()));
        Self { key: key.into(), value: value.into() }
    }

    /// Key and value of a record.
    pub fn record(&self, change: &SchemaChange<'_>) -> [(Arc<Schema>, Value); 2] {
        let fields = vec![
            change.source.clone(),
            Value::Int(change.ts_ms),
            Value::text(change.database),
            Value::Null,
            Value::text(change.ddl),
            Value::Array(change.tables.iter().map(TableChange::value).collect()),
        ];
        [
            (self.key.clone(), Value::Struct(vec![Value::text(change.database)])),
            (self.value.clone(), Value::Struct(fields)),
        ]
    }
}

fn change_schema() -> Schema {
    required(Type::Struct)
        .named("io.debezium.connector.schema.Change", Some(1))
        .field("type", required(Type::String))
        .field("id", required(Type::String))
        .field("table", table_schema())
}

fn table_schema() -> Schema {
    optional(Type::Struct)
        .named("io.debezium.connector.schema.Table", Some(1))
        .field("defaultCharsetName", optional(Type::String))
        .field("primaryKeyColumnNames", Schema::array(required(Type::String)).optional(true))
        .field("columns", Schema::array(column_schema()))
        .field("comment", optional(Type::String))
}

fn column_schema() -> Schema {
    required(Type::Struct)
        .named("io.debezium.connector.schema.Column", Some(1))
        .field("name", required(Type::String))
        .field("jdbcType", required(Type::Int32))
        .field("nativeType", optional(Type::Int32))
        .field("typeName", required(Type::String))
        .field("typeExpression", optional(Type::String))
        .field("charsetName", optional(Type::String))
        .field("length", optional(Type::Int32))
        .field("scale", optional(Type::Int32))
        .field("position", required(Type::Int32))
        .field("optional", optional(Type::Boolean))
        .field("autoIncremented", optional(Type::Boolean))
        .field("generated", optional(Type::Boolean))
        .field("comment", optional(Type::String))
        .field("defaultValueExpression", optional(Type::String))
        .field("enumValues", Schema::array(required(Type::String)).optional(true))
}

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::text)
}

fn number(n: Option<i32>) -> Value {
    n.map_or(Value::Null, |n| Value::Int(i64::from(n)))
}

fn texts(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|text| Value::text(*text)).collect())
}

impl TableChange<'_> {
    fn value(&self) -> Value {
        let table = self.table.as_ref().map_or(Value::Null, TableDescription::value);
        Value::Struct(vec![Value::text(self.kind.text()), Value::text(self.id.double_quoted()), table])
    }
}

impl TableDescription<'_> {
    fn value(&self) -> Value {
        Value::Struct(vec![
            text(self.charset),
            texts(&self.primary_key),
            Value::Array(self.columns.iter().map(ColumnDescription::value).collect()),
            text(self.comment),
        ])
    }
}

impl ColumnDescription<'_> {
    fn value(&self) -> Value {
        let flag = |flag: Option<bool>| flag.map_or(Value::Null, Value::Bool);
        Value::Struct(vec![
            Value::text(self.name),
            Value::Int(i64::from(self.jdbc_type)),
            number(self.native_type),
            Value::text(self.type_name),
            text(self.type_expression),
            text(self.charset),
            number(self.length),
            number(self.scale),
            Value::Int(i64::from(self.position)),
            flag(self.optional),
            flag(self.auto_incremented),
            flag(self.generated),
            text(self.comment),
            text(self.default_expression),
            self.enum_values.as_deref().map_or(Value::Null, texts),
        ])
    }
}
