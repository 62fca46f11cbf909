//! What a run of this pipeline knows about itself: that of every pipeline, and how many orders it announced.

use serde_json::Value;

use super::change::Table;
use crate::runtime::{
    http::Report,
    metrics::Page,
    progress::{self, Count},
};

const TABLES: &[&str] = &[Table::Orders.name(), Table::Details.name()];

#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) run: progress::Progress,
    /// Orders announced.
    pub(crate) completed: Count,
}

impl Progress {
    pub(crate) fn new(ready_lag_max: i64) -> Self {
        Self { run: progress::Progress::new(TABLES, ready_lag_max), completed: Count::default() }
    }
}

impl Report for Progress {
    fn ready(&self) -> (bool, Value) {
        self.run.ready()
    }

    fn status(&self) -> Value {
        let mut status = self.run.describe();
        if let Value::Object(members) = &mut status {
            members.insert("orders_completed".into(), self.completed.get().into());
        }
        status
    }

    fn metrics(&self) -> String {
        let mut page = Page::default();
        self.run.metrics(&mut page);
        let name = "afterimage_pipeline_orders_completed_total";
        page.metric(name, "counter", "Orders announced.", [(vec![], self.completed.get())]);
        page.finish()
    }

    fn page(&self) -> &'static str {
        include_str!("page.html")
    }
}
