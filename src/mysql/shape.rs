//! What the records of a captured table look like: topic, key, row, source block, and how each cell is read.
//!
//! Made once per version of a table from the table model and the configuration; never looks at a row.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use engine::error::TaskError;
use model::{CellDecoder, TableId, TableVersion, WireColumn};
use mysql_ddl::{Column, Table};
use mysql_protocol::{column::ColumnType, packet::result::ColumnDefinition};
use record::{
    CapturedTable, FieldShape, KeyField, KeyShape, Mapper, Schema, SourceShape, TableShape, Type, Value, envelope,
    naming::SchemaNames,
};

use crate::{
    config::{ColumnRule, MySqlConfig},
    types::{Mapping, log_decoder, map, raw_decoder, result_decoder},
};

/// Numbers of table versions.
static VERSIONS: AtomicU64 = AtomicU64::new(1);

/// Makes captured tables.
#[derive(Debug)]
pub(crate) struct ShapeBuilder {
    config: Arc<MySqlConfig>,
    source: Arc<SourceShape>,
}

impl ShapeBuilder {
    /// A builder for a connector with this configuration and source block.
    pub(crate) fn new(config: Arc<MySqlConfig>, source: Arc<SourceShape>) -> Self {
        Self { config, source }
    }

    /// The table as rows of the log have it; `wire` are the types of the TABLE_MAP event.
    ///
    /// # Errors
    /// A column that records need has a type that is not supported, or the log has other types than the model.
    pub(crate) fn for_log(&self, id: &TableId, table: &Table, wire: &[ColumnType]) -> Result<CapturedTable, TaskError> {
        if wire.len() != table.columns.len() {
            let (model, rows) = (table.columns.len(), wire.len());
            return Err(TaskError::definite(format!(
                "table {id} has {model} columns in the schema history and {rows} in the binary log"
            )));
        }
        let layout = Layout::new(&self.config, id, table);
        let decoders = table.columns.iter().zip(wire).enumerate().map(|(index, (column, wire))| {
            if !layout.uses(index) {
                return Ok(raw_decoder());
            }
            log_decoder(column, *wire, &self.config.values).map_err(|error| of_table(id, &error))
        });
        let decoders: Vec<Box<dyn CellDecoder>> = decoders.collect::<Result<_, _>>()?;
        let columns = wire_columns(table.columns.iter().map(|column| column.name.as_str()), decoders);
        self.captured(id, table, &layout, columns, &|index| Some(index))
    }

    /// The table as rows of a snapshot have it; `sent` are the columns of the result, matched by name.
    ///
    /// # Errors
    /// As [`ShapeBuilder::for_log`]; or the result lacks a column that records need.
    pub(crate) fn for_snapshot(
        &self,
        id: &TableId,
        table: &Table,
        sent: &[ColumnDefinition],
    ) -> Result<CapturedTable, TaskError> {
        let layout = Layout::new(&self.config, id, table);
        let mut places = vec![None; table.columns.len()];
        let mut decoders = Vec::with_capacity(sent.len());
        for (place, definition) in sent.iter().enumerate() {
            let index = table.column_index(&definition.name);
            if let Some(slot) = index.and_then(|index| places.get_mut(index)) {
                *slot = Some(place);
            }
            let column = index.filter(|index| layout.uses(*index)).and_then(|index| table.columns.get(index));
            decoders.push(match column {
                None => raw_decoder(),
                Some(column) => {
                    result_decoder(column, definition, &self.config.values).map_err(|error| of_table(id, &error))?
                }
            });
        }
        let columns = wire_columns(sent.iter().map(|definition| definition.name.as_str()), decoders);
        self.captured(id, table, &layout, columns, &|index| places.get(index).copied().flatten())
    }

    /// The table without rows at hand: for records that have none.
    ///
    /// # Errors
    /// A column that records need has a type that is not supported.
    pub(crate) fn without_rows(&self, id: &TableId, table: &Table) -> Result<CapturedTable, TaskError> {
        let layout = Layout::new(&self.config, id, table);
        let decoders = table.columns.iter().map(|_| raw_decoder()).collect();
        let columns = wire_columns(table.columns.iter().map(|column| column.name.as_str()), decoders);
        self.captured(id, table, &layout, columns, &|index| Some(index))
    }

    /// Puts it together; `place` gives the cell of a column of the model.
    fn captured(
        &self,
        id: &TableId,
        table: &Table,
        layout: &Layout,
        columns: Box<[WireColumn]>,
        place: &dyn Fn(usize) -> Option<usize>,
    ) -> Result<CapturedTable, TaskError> {
        let naming = &self.config.naming;
        let topic = naming.topics.table(id);
        let names = SchemaNames::new(&topic, naming.schemas);
        let field = |index: &usize, in_key: bool| -> Result<FieldShape, TaskError> {
            let missing = |name: &str| {
                TaskError::definite(format!(
                    "column {name} of table {id} is not in the result of \
                     snapshot.select.statement.overrides.{id}; select it, or leave it out with column.exclude.list"
                ))
            };
            let column = table.columns.get(*index).ok_or_else(|| missing("?"))?;
            let cell = place(*index).ok_or_else(|| missing(&column.name))?;
            self.field(id, column, cell, in_key)
        };
        let row_fields: Vec<FieldShape> =
            layout.row.iter().map(|index| field(index, false)).collect::<Result<_, _>>()?;
        let mut key_fields: Vec<KeyField> =
            layout.key.iter().map(|index| field(index, true).map(KeyField::Column)).collect::<Result<_, _>>()?;
        if let Some((name, value)) = naming.topics.key_field(id) {
            let schema = Arc::new(Schema::new(Type::String));
            key_fields.push(KeyField::Constant { name, schema, value: Value::text(value) });
        }
        let row =
            row_fields.iter().fold(Schema::new(Type::Struct).named(names.value, None).optional(true), |row, field| {
                row.field(field.name.clone(), field.schema.clone())
            });
        let row = Arc::new(row);
        let key = (!key_fields.is_empty())
            .then(|| KeyShape { schema: Arc::new(key_schema(names.key, &key_fields)), fields: key_fields });
        let shape = TableShape {
            topic: topic.into(),
            key,
            envelope: Arc::new(envelope::envelope_schema(names.envelope, &row, &self.source.schema)),
            row,
            fields: row_fields,
            source: self.source.clone(),
        };
        let number = VERSIONS.fetch_add(1, Ordering::Relaxed);
        Ok(CapturedTable::new(TableVersion { id: id.clone(), number, columns }, shape))
    }

    /// A column's field. In keys column rules do not count: a key holds the value itself.
    fn field(&self, id: &TableId, column: &Column, cell: usize, in_key: bool) -> Result<FieldShape, TaskError> {
        let Mapping { mut schema, write, fallback } =
            map(column, &self.config.values).map_err(|error| of_table(id, &error))?;
        let rule = if in_key { None } else { self.config.rules.rule(id, &column.name, &column.type_name) };
        let mapper = rule.map_or(Mapper::None, |rule| apply(rule, column, self.config.events.comments, &mut schema));
        if let Some(comment) = column.comment.as_deref().filter(|_| self.config.events.comments) {
            schema.doc = Some(comment.into());
        }
        let name = self.config.naming.fields.field_name(&column.name).as_ref().into();
        Ok(FieldShape { name, column: cell, schema: Arc::new(schema), write, mapper, fallback })
    }
}

/// Which columns of a table its records need, as indexes into the model.
struct Layout {
    row: Vec<usize>,
    key: Vec<usize>,
}

impl Layout {
    fn new(config: &MySqlConfig, id: &TableId, table: &Table) -> Self {
        let names = || table.columns.iter().map(|column| column.name.as_str());
        let row =
            names().enumerate().filter(|(_, name)| config.columns.keeps(id, name)).map(|(index, _)| index).collect();
        let primary = || table.primary_key.iter().filter_map(|name| table.column_index(name)).collect();
        let key = config.keys.of(id, names()).unwrap_or_else(primary);
        Self { row, key }
    }

    fn uses(&self, index: usize) -> bool {
        self.row.contains(&index) || self.key.contains(&index)
    }
}

fn of_table(id: &TableId, error: &dyn std::fmt::Display) -> TaskError {
    TaskError::definite(format!("table {id}: {error}"))
}

fn wire_columns<'n>(names: impl Iterator<Item = &'n str>, decoders: Vec<Box<dyn CellDecoder>>) -> Box<[WireColumn]> {
    names.zip(decoders).map(|(name, decoder)| WireColumn { name: name.into(), decoder }).collect()
}

fn key_schema(name: Arc<str>, fields: &[KeyField]) -> Schema {
    fields.iter().fold(Schema::new(Type::Struct).named(name, None), |schema, field| match field {
        KeyField::Column(field) => schema.field(field.name.clone(), field.schema.clone()),
        KeyField::Constant { name, schema: constant, .. } => schema.field(name.clone(), constant.clone()),
    })
}

/// Adds a rule's parameters to a schema and gives what it does to values.
fn apply(rule: &ColumnRule, column: &Column, comments: bool, schema: &mut Schema) -> Mapper {
    // CHAR, VARCHAR, NCHAR, NVARCHAR of java.sql.Types; TEXT, ENUM and SET are among them.
    let is_text = matches!(column.jdbc_type, 1 | 12 | -15 | -9);
    let mut parameter = |name: &str, value: String| schema.parameters.push((name.into(), value.into()));
    match rule {
        ColumnRule::Truncate(limit) => {
            let can_be_longer = column.length.is_none_or(|length| i64::from(length) > i64::from(*limit));
            if !can_be_longer {
                return Mapper::None;
            }
            parameter("truncateLength", limit.to_string());
            Mapper::Truncate(*limit)
        }
        ColumnRule::Mask(mask) => {
            parameter("masked", "true".to_owned());
            if is_text { Mapper::Mask(mask.clone()) } else { Mapper::None }
        }
        ColumnRule::Hash { algorithm, salt, plain } => {
            parameter("masked", "true".to_owned());
            let length = column.length.and_then(|length| u32::try_from(length).ok());
            if !is_text {
                return Mapper::None;
            }
            Mapper::Hash { algorithm: algorithm.clone(), salt: salt.clone(), plain: *plain, length }
        }
        ColumnRule::PropagateSourceType => {
            parameter("__debezium.source.column.type", column.type_name.to_uppercase());
            if let Some(length) = column.length {
                parameter("__debezium.source.column.length", length.to_string());
            }
            if let Some(scale) = column.scale {
                parameter("__debezium.source.column.scale", scale.to_string());
            }
            if let Some(comment) = column.comment.as_ref().filter(|_| comments) {
                parameter("__debezium.source.column.comment", comment.clone());
            }
            parameter("__debezium.source.column.name", column.name.clone());
            Mapper::None
        }
    }
}

/// Names of the topics that are no table's.
pub(crate) struct TopicNames {
    pub(crate) schema_changes: Arc<str>,
    pub(crate) transactions: Arc<str>,
    pub(crate) heartbeats: Arc<str>,
}

impl MySqlConfig {
    pub(crate) fn topic_names(&self) -> TopicNames {
        let topics = &self.naming.topics;
        TopicNames {
            schema_changes: topics.schema_changes().into(),
            transactions: topics.transactions().into(),
            heartbeats: topics.heartbeats().into(),
        }
    }
}
