//! `afterimage offsets`: a connector's positions, in Kafka and in the local checkpoint.

use std::{path::Path, time::Duration};

use ::connect::worker::WorkerConfig;
use engine::{
    error::TaskError,
    plugin::{ConfigMap, ConnectorPlugin},
    port::{CheckpointStore, OffsetTopic, SavedCheckpoint},
};
use kafka::{
    client::worker_client,
    cluster::Cluster,
    config_topic::ConfigTopic,
    offsets::OffsetStore,
    settings::{Problem, Role},
    topics::{LogClients, LogTopic},
};
use model::OffsetMap;
use mysql::MySqlPlugin;
use serde_json::{Value, json};
use store::{Limits, Store, StoreErrorKind};

use crate::{
    Failed,
    args::{OffsetsAction, OffsetsFrom},
};

/// How long a broker may take to answer.
const REACH: Duration = Duration::from_secs(30);

impl From<TaskError> for Failed {
    fn from(error: TaskError) -> Self {
        Failed::new(1, error.to_string())
    }
}

fn refused(problems: Vec<Problem>) -> Failed {
    Failed::new(3, problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// Everything a position can be in.
struct Places {
    offsets: OffsetStore,
    configs: ConfigTopic,
    cluster: Option<String>,
    store: Result<Store, String>,
}

impl Places {
    async fn open(worker: &Path) -> Result<Self, Failed> {
        let worker =
            WorkerConfig::load(worker).map_err(|error| Failed::new(error.exit_code(), error.to_string()))?.config;
        if let Some(file) = &worker.offset_file {
            let text = format!(
                "this worker file is for standalone mode, whose offsets are in the file {}: see them by GET \
                 /connectors/NAME/offsets of the running worker, and change them by PATCH or DELETE there",
                file.display()
            );
            return Err(Failed::new(2, text));
        }
        let raw = &worker.raw;
        let admin = worker_client(Role::Admin, raw, "afterimage-offsets", &[]).map_err(refused)?;
        let cluster = tokio::task::spawn_blocking(move || Cluster::open(&admin)?.reach(REACH))
            .await
            .map_err(|error| Failed::new(1, error.to_string()))??;
        let log = |prefix: &str| {
            Ok::<_, Vec<Problem>>((
                LogTopic::of_worker(raw, prefix)?,
                LogClients::of_worker(raw, "afterimage-offsets")?,
            ))
        };
        let (topic, clients) = log("offset.storage").map_err(refused)?;
        let offsets = OffsetStore::open(topic, clients).await?;
        let (topic, clients) = log("config.storage").map_err(refused)?;
        let configs = ConfigTopic::open(topic, clients).await?;
        let store = Store::open(&worker.state_dir.join("connect"), Limits::default()).map_err(|error| {
            let hint = if error.kind == StoreErrorKind::InUse { " (the daemon runs)" } else { "" };
            format!("{error}{hint}")
        });
        Ok(Self { offsets, configs, cluster, store })
    }

    /// The partition a connector's positions are kept under: by its configuration, else the only one Kafka knows.
    async fn partition(&self, connector: &str) -> Result<OffsetMap, Failed> {
        let state = self.configs.snapshot();
        if let Some(properties) = state.connector(connector).and_then(|known| known.properties.as_ref()) {
            let config: ConfigMap =
                properties.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
            return Ok(MySqlPlugin.partition(&config));
        }
        let mut listed = self.offsets.list(connector).await?.into_iter();
        match (listed.next(), listed.next()) {
            (Some((partition, _)), None) => Ok(partition),
            (None, _) => {
                Err(Failed::new(1, format!("no connector is called {connector}, and Kafka holds no position of one")))
            }
            _ => Err(Failed::new(
                1,
                format!("Kafka holds positions of several partitions of {connector}; its configuration is gone"),
            )),
        }
    }
}

/// Runs the command.
pub(crate) fn run(action: &OffsetsAction) -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::new(1, format!("no threads could be started: {error}")))?
        .block_on(async {
            match action {
                OffsetsAction::Show { connector, worker } => show(connector, worker).await,
                OffsetsAction::Set { connector, from, worker } => set(connector, *from, worker).await,
            }
        })
}

async fn show(connector: &str, worker: &Path) -> Result<(), Failed> {
    let places = Places::open(worker).await?;
    let partition = places.partition(connector).await?;
    let kafka = places.offsets.read(connector, &partition).await?;
    let checkpoint = match &places.store {
        Ok(store) => match store.load(connector, &partition)? {
            Some(saved) => {
                json!({ "offset": saved.offset, "published_at": saved.published_at, "cluster": saved.cluster })
            }
            None => Value::Null,
        },
        Err(reason) => json!({ "unreadable": reason }),
    };
    let shown = json!({
        "connector": connector,
        "partition": partition,
        "kafka": kafka.map(|stored| json!({ "offset": stored.offset, "at": stored.at })),
        "checkpoint": checkpoint,
    });
    println!("{shown:#}");
    Ok(())
}

async fn set(connector: &str, from: OffsetsFrom, worker: &Path) -> Result<(), Failed> {
    let places = Places::open(worker).await?;
    let partition = places.partition(connector).await?;
    let store = places.store.map_err(|reason| {
        Failed::new(3, format!("{reason}\nstop the daemon first: it would go on from the position it has in memory"))
    })?;
    match from {
        OffsetsFrom::Kafka => {
            store.remove(connector, &partition)?;
            println!("{connector}: the local checkpoint is forgotten; Kafka's position holds");
        }
        OffsetsFrom::Cache => {
            let Some(saved) = store.load(connector, &partition)? else {
                return Err(Failed::new(1, format!("{connector} has no local checkpoint")));
            };
            let at = places.offsets.write(connector, &partition, Some(&saved.offset)).await?;
            let saved = SavedCheckpoint { published_at: Some(at), cluster: places.cluster, ..saved };
            store.save(connector, &partition, &saved)?;
            println!(
                "{connector}: Kafka has the position of the local checkpoint now: {}",
                Value::Object(saved.offset)
            );
        }
    }
    Ok(())
}
