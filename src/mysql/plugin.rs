//! The connector as the worker lists, validates and runs it.

use engine::{
    config::ConfigDef,
    driver,
    error::{Failure, TaskError},
    plugin::{ConfigErrors, ConfigMap, ConnectorPlugin, TaskContext},
};
use futures_util::future::BoxFuture;
use model::{OffsetMap, Position};

use crate::{
    client::Client,
    config::{self, MySqlConfig},
    connector::{MySqlSource, REPORTED_VERSION},
    position::MySqlPosition,
    server::Server,
};

/// `io.debezium.connector.mysql.MySqlConnector`.
#[derive(Debug, Default, Clone, Copy)]
pub struct MySqlPlugin;

impl ConnectorPlugin for MySqlPlugin {
    fn class(&self) -> &'static str {
        "io.debezium.connector.mysql.MySqlConnector"
    }

    fn version(&self) -> &'static str {
        REPORTED_VERSION
    }

    fn task_class(&self) -> &'static str {
        "io.debezium.connector.mysql.MySqlConnectorTask"
    }

    fn config(&self) -> &'static ConfigDef {
        &config::DEF
    }

    fn check(&self, config: &ConfigMap) -> ConfigErrors {
        config::check(config)
    }

    fn check_connection<'a>(&'a self, config: &'a ConfigMap) -> BoxFuture<'a, ConfigErrors> {
        Box::pin(async move {
            let parsed = match MySqlConfig::parse(config) {
                Ok(parsed) => parsed,
                Err(errors) => return errors,
            };
            let server = Server::new(&parsed);
            let limit = parsed.connection.validation_timeout;
            let test = async {
                let mut client = Client::connect(&server).await?;
                let version = client.first::<String>("SELECT version()").await;
                client.close().await;
                version
            };
            let problem = match tokio::time::timeout(limit, test).await {
                Ok(Ok(_)) => return ConfigErrors::new(),
                Ok(Err(error)) => format!("Unable to connect: {error}"),
                Err(_) => format!("Connection validation timed out after {} ms", limit.as_millis()),
            };
            vec![("database.hostname".to_owned(), problem)]
        })
    }

    fn partition(&self, config: &ConfigMap) -> OffsetMap {
        let prefix = config.get("topic.prefix").map(|prefix| prefix.trim()).unwrap_or_default();
        let mut partition = OffsetMap::new();
        partition.insert("server".into(), prefix.into());
        partition
    }

    fn check_offset(&self, partition: &OffsetMap, offset: Option<&OffsetMap>) -> Result<(), String> {
        if !(partition.len() == 1 && partition.get("server").is_some_and(serde_json::Value::is_string)) {
            return Err("the partition of a MySQL connector is {\"server\":\"<topic.prefix>\"}".to_owned());
        }
        match offset {
            Some(offset) => MySqlPosition::from_offset(offset).map(drop).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    fn run(&self, task: TaskContext) -> BoxFuture<'static, Result<(), TaskError>> {
        let partition = self.partition(&task.config);
        Box::pin(async move {
            let config = MySqlConfig::parse(&task.config).map_err(|errors| {
                let mut failure =
                    Failure::new("Error configuring an instance of MySqlConnectorTask; check the logs for details");
                failure.causes = errors.into_iter().map(|(_, problem)| problem).collect();
                TaskError::Definite(failure)
            })?;
            let history = task.history.open(&task.connector, &task.config)?;
            let source =
                MySqlSource::new(config, partition.clone(), history, task.records.clone(), task.metrics.clone());
            driver::run(source, partition, task).await
        })
    }
}
