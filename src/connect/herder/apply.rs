//! Bringing a connector to its desired state. Each function holds the connector's slot while it works and reads the
//! desired state anew, so that whichever call is late finds nothing left to do.

use std::{future::Future, sync::Arc};

use engine::{
    error::Failure,
    plugin::{ConnectorPlugin, Control},
};
use serde_json::Value;

use super::{Connector, Herder};
use crate::{
    RawConfig,
    backing::{State, StoredConnector, TargetState},
    lock,
    task::{Start, Task},
};

impl Herder {
    /// Starts all connectors that were read from the config topic.
    pub fn start_all(&self) {
        let all: Vec<_> = lock(&self.inner.connectors).values().cloned().collect();
        let mut waiting = all.len();
        for connector in all {
            waiting -= 1;
            self.later(
                connector,
                move |herder, connector| async move { herder.apply_config(&connector, waiting).await },
            );
        }
    }

    /// Stops all tasks at once and writes their last statuses. Calls are refused from now on.
    pub async fn close(&self) {
        self.inner.closing.store(true, std::sync::atomic::Ordering::SeqCst);
        let all: Vec<_> = lock(&self.inner.connectors).values().cloned().collect();
        let stops = all.iter().map(|connector| async move {
            let mut slot = connector.slot.lock().await;
            self.stop_task(connector, &mut slot).await;
            if connector.desired().is_some() {
                self.board().connector(&connector.name, State::Unassigned, None, self.version(connector).as_deref());
                tracing::info!("Completed shutdown for WorkerConnector{{id={}}}", connector.name);
            }
        });
        futures_util::future::join_all(stops).await;
        self.board().flush(self.inner.shop.worker.flush_timeout).await;
    }

    /// Runs `apply` after the call that caused it was answered.
    pub(super) fn later<F>(&self, connector: Arc<Connector>, apply: impl FnOnce(Herder, Arc<Connector>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(apply(self.clone(), connector));
    }

    fn closing(&self) -> bool {
        self.inner.closing.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn version(&self, connector: &Connector) -> Option<String> {
        let desired = connector.desired()?;
        Some(self.plugin(&desired.config)?.version().to_owned())
    }

    /// A new or changed configuration, or the worker's start: everything is built anew.
    pub(super) async fn apply_config(&self, connector: &Arc<Connector>, waiting: usize) {
        let mut slot = connector.slot.lock().await;
        if slot.is_some() {
            self.board().connector(&connector.name, State::Unassigned, None, self.version(connector).as_deref());
            self.stop_task(connector, &mut slot).await;
        }
        self.start(connector, &mut slot, waiting).await;
    }

    /// A changed target state.
    pub(super) async fn apply_target(&self, connector: &Arc<Connector>) {
        let mut slot = connector.slot.lock().await;
        let Some(desired) = connector.desired() else { return };
        let version = self.version(connector);
        let board = self.board();
        let failed = board
            .of(&connector.name)
            .and_then(|status| status.connector)
            .is_some_and(|status| status.state == State::Failed);
        let (control, state) = match desired.target {
            TargetState::Stopped => {
                self.stop_task(connector, &mut slot).await;
                board.remove_task(&connector.name, 0);
                board.connector(&connector.name, State::Stopped, None, version.as_deref());
                return;
            }
            TargetState::Started => (Control::Run, State::Running),
            TargetState::Paused => (Control::Pause, State::Paused),
        };
        let Some(task) = slot.as_ref() else {
            match desired.target {
                TargetState::Started => self.start(connector, &mut slot, 0).await,
                _ if failed => {}
                _ => board.connector(&connector.name, state, None, version.as_deref()),
            }
            return;
        };
        if !failed {
            board.connector(&connector.name, state, None, version.as_deref());
        }
        if !task.ended() {
            task.control(control);
            let tasks = board.of(&connector.name).map(|status| status.tasks).unwrap_or_default();
            // A task that has not started yet reports its state itself.
            if tasks.get(&0).is_some_and(|status| matches!(status.state, State::Running | State::Paused)) {
                board.task(&connector.name, 0, state, None, version.as_deref());
            }
        }
    }

    /// A restart of the instance, the task, or both.
    pub(super) async fn apply_restart(&self, connector: &Arc<Connector>, instance: bool, task: bool) {
        let mut slot = connector.slot.lock().await;
        let Some(desired) = connector.desired() else { return };
        let (board, version) = (self.board(), self.version(connector));
        let failed = board
            .of(&connector.name)
            .and_then(|status| status.connector)
            .is_some_and(|status| status.state == State::Failed);
        if instance {
            board.connector(&connector.name, State::Restarting, None, version.as_deref());
        }
        if task && slot.is_some() {
            self.stop_task(connector, &mut slot).await;
            board.task(&connector.name, 0, State::Restarting, None, version.as_deref());
        }
        if slot.is_none() && (task || failed || desired.target == TargetState::Started) {
            self.start(connector, &mut slot, 0).await;
        } else if instance {
            let state = match desired.target {
                TargetState::Started => State::Running,
                TargetState::Paused => State::Paused,
                TargetState::Stopped => State::Stopped,
            };
            board.connector(&connector.name, state, None, version.as_deref());
        }
    }

    /// A deletion: everything stops, statuses and active topics go. Created again meanwhile, it stays.
    pub(super) async fn apply_delete(&self, connector: &Arc<Connector>) {
        let mut slot = connector.slot.lock().await;
        if connector.desired().is_some() {
            return;
        }
        self.stop_task(connector, &mut slot).await;
        let mut all = lock(&self.inner.connectors);
        if lock(&connector.desired).is_none() {
            self.board().remove_connector(&connector.name);
            all.remove(&connector.name);
        }
    }

    /// Ends what runs; its status becomes UNASSIGNED.
    async fn stop_task(&self, connector: &Connector, slot: &mut Option<Task>) {
        let Some(task) = slot.take() else { return };
        tracing::info!(connector = connector.name, "Stopping task {}-0", connector.name);
        let timeout = self.inner.shop.worker.shutdown_timeout;
        // A little more than the task was told, so that its own orderly end comes first.
        task.stop(&connector.name, timeout + timeout / 10, &connector.incarnation).await;
        self.board().task(&connector.name, 0, State::Unassigned, None, self.version(connector).as_deref());
    }

    /// Starts a connector whose slot is empty, as its target state says.
    async fn start(&self, connector: &Arc<Connector>, slot: &mut Option<Task>, waiting: usize) {
        let Some(desired) = connector.desired() else { return };
        if self.closing() {
            return;
        }
        let (name, board) = (connector.name.as_str(), self.board());
        tracing::info!(connector = name, "Starting connector {name}");
        let plugin = match self.ready(&desired) {
            Ok(plugin) => plugin,
            Err(failure) => {
                tracing::error!(connector = name, "Failed to start connector {name}: {failure}");
                let version = self.version(connector);
                board.connector(name, State::Failed, Some(failure.trace()), version.as_deref());
                return;
            }
        };
        let version = Some(plugin.version());
        let control = match desired.target {
            TargetState::Started => Control::Run,
            TargetState::Paused if desired.tasks.as_ref().is_some_and(|tasks| !tasks.is_empty()) => Control::Pause,
            TargetState::Paused => return board.connector(name, State::Paused, None, version),
            TargetState::Stopped => return board.connector(name, State::Stopped, None, version),
        };
        let state = if control == Control::Run { State::Running } else { State::Paused };
        board.connector(name, state, None, version);
        let (class, version) = (plugin.class(), plugin.version());
        tracing::info!(connector = name, "Instantiated connector {name} with version {version} of type class {class}");
        tracing::info!(connector = name, "Finished creating connector {name}");
        let tasks = vec![task_config(&desired.config, &*plugin)];
        if desired.tasks.as_ref() != Some(&tasks) {
            // The record serves a way back to Java workers and `GET tasks`; the task itself does not read it.
            match self.inner.shop.services.configs().put_tasks(name, &tasks).await {
                Ok(()) => tracing::info!(connector = name, "Tasks [{name}-0] configs updated"),
                Err(error) => tracing::warn!(connector = name, "could not write the task configuration: {error}"),
            }
            connector.change(|desired| desired.tasks = Some(tasks));
        }
        let start = Start {
            connector: name.to_owned(),
            plugin,
            config: desired.config,
            control,
            incarnation: connector.incarnation.clone(),
            waiting,
        };
        let task = Task::start(self.inner.shop.clone(), start);
        *lock(&connector.metrics) = Some(task.metrics.clone());
        *slot = Some(task);
    }

    /// What the connector instance checks before it makes tasks.
    fn ready(&self, desired: &StoredConnector) -> Result<Arc<dyn ConnectorPlugin>, Failure> {
        let class = crate::text(&desired.config, "connector.class").unwrap_or_default();
        let plugin = self.inner.validator.plugin(class).ok_or_else(|| {
            let text = self.inner.validator.unknown_class(class);
            Failure::new(text)
        })?;
        let resolved = self.inner.shop.worker.providers.resolve_config(&desired.config);
        let config = resolved.map_err(|e| Failure::new(e.to_string()))?;
        let tasks_max = config.get("tasks.max").map_or(Ok(1), |text| text.trim().parse::<i32>());
        if !tasks_max.is_ok_and(|n| n >= 1) {
            return Err(Failure::new("tasks.max must be a whole number of at least 1"));
        }
        Ok(plugin)
    }
}

/// What the `task-` record holds: the connector's configuration and the task's class.
fn task_config(config: &RawConfig, plugin: &dyn ConnectorPlugin) -> RawConfig {
    let mut task = config.clone();
    task.insert("task.class".to_owned(), Value::String(plugin.task_class().to_owned()));
    task
}
