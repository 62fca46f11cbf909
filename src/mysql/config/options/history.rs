//! Options of the group `History Storage`.

use engine::config::{
    Check::{Boolean, ClassName},
    ConfigOption, ConfigType as T, Importance as I, Width as W,
};

const GROUP: &str = "History Storage";

/// The rows.
pub(super) const OPTIONS: &[ConfigOption] = &[
    ConfigOption::new(
        "schema.history.internal",
        T::Class,
        "Storage of the history of table structures; io.debezium.storage.kafka.history.KafkaSchemaHistory.",
    )
    .default("io.debezium.storage.kafka.history.KafkaSchemaHistory")
    .form("Database schema history class", GROUP, 1, W::Long, I::Low)
    .checks(&[ClassName]),
    ConfigOption::new(
        "schema.history.internal.skip.unparseable.ddl",
        T::Boolean,
        "Whether a statement that cannot be understood is passed over instead of stopping the connector.",
    )
    .default("false")
    .form("Skip DDL statements that cannot be parsed", GROUP, 2, W::Short, I::Low)
    .checks(&[Boolean]),
    ConfigOption::new(
        "schema.history.internal.store.only.captured.tables.ddl",
        T::Boolean,
        "Whether only statements that touch captured tables are kept in the history.",
    )
    .default("false")
    .form(
        "Store only DDL that modifies tables that are captured based on include/exclude lists",
        GROUP,
        3,
        W::Short,
        I::Low,
    )
    .checks(&[Boolean]),
    ConfigOption::new(
        "schema.history.internal.store.only.captured.databases.ddl",
        T::Boolean,
        "Whether only statements of databases with captured tables are kept in the history.",
    )
    .default("false")
    .form(
        "Store only DDL that modifies tables of databases that are captured based on include/exclude lists",
        GROUP,
        4,
        W::Short,
        I::Low,
    )
    .checks(&[Boolean]),
];
