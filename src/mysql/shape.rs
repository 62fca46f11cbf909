//! placeholder while types land
use std::sync::Arc;
use engine::error::TaskError;
use model::TableId;
use mysql_ddl::Table;
use mysql_protocol::{column::ColumnType, packet::result::ColumnDefinition};
use record::{CapturedTable, RecordSettings, SourceShape};
use crate::config::MySqlConfig;
pub(crate) struct ShapeBuilder;
impl ShapeBuilder {
    pub(crate) fn new(_c: Arc<MySqlConfig>, _s: Arc<SourceShape>, _r: Arc<RecordSettings>) -> Self { Self }
    pub(crate) fn for_log(&mut self, _id: &TableId, _t: &Table, _w: &[ColumnType]) -> Result<CapturedTable, TaskError> { Err(TaskError::definite("x")) }
    pub(crate) fn for_snapshot(&mut self, _id: &TableId, _t: &Table, _w: &[ColumnDefinition]) -> Result<CapturedTable, TaskError> { Err(TaskError::definite("x")) }
    pub(crate) fn without_rows(&mut self, _id: &TableId, _t: &Table) -> Result<CapturedTable, TaskError> { Err(TaskError::definite("x")) }
}
pub(crate) struct TopicNames { pub schema_changes: Arc<str>, pub transactions: Arc<str>, pub heartbeats: Arc<str> }
impl MySqlConfig { pub(crate) fn topic_names(&self) -> TopicNames { TopicNames { schema_changes: self.prefix.clone(), transactions: format!("{}.transaction", self.prefix).into(), heartbeats: format!("__debezium-heartbeat.{}", self.prefix).into() } } }
