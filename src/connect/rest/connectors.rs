//! `/connectors` and everything below it.

use axum::{
    extract::Request,
    http::{Method, StatusCode, header},
};
use serde_json::{Map, Value, json};

use super::{
    Api, RestError,
    answer::Answer,
    body,
    route::{self, Route},
};
use crate::{
    RawConfig,
    backing::{Status, TargetState},
    herder::{ConnectorInfo, Herder, HerderError},
    status::ConnectorStatus,
};

pub(super) async fn dispatch(
    api: &Api,
    herder: &Herder,
    route: Route,
    method: &Method,
    request: Request,
) -> Result<Answer, RestError> {
    let is = |wanted: Method| *method == wanted;
    match route {
        Route::Connectors if is(Method::POST) => create(herder, request).await,
        Route::Connectors => Ok(list(herder, &request)),
        Route::Connector(name) if is(Method::DELETE) => {
            herder.delete(&name).await?;
            Ok(Answer::empty(StatusCode::NO_CONTENT))
        }
        Route::Connector(name) => Ok(Answer::json(&info(herder.info(&name)?))),
        Route::Config(name) if is(Method::PUT) => put_config(herder, &name, request).await,
        Route::Config(name) if is(Method::PATCH) => {
            let patch = body::config(body::object(request).await?)?;
            Ok(Answer::json(&info(herder.patch_config(&name, patch).await?)))
        }
        Route::Config(name) => Ok(Answer::json(&herder.info(&name)?.config)),
        Route::Status(name) => {
            let (status, known) = herder.status(&name)?;
            Ok(Answer::json(&state(&name, &status, known)))
        }
        Route::Tasks(name) => Ok(Answer::json(&tasks(&name, herder.info(&name)?.tasks))),
        Route::TaskStatus(name, task) => {
            let status = herder.board().of(&name).and_then(|mut status| status.tasks.remove(&task));
            let unknown = || HerderError::NotFound(format!("No status found for task {name}-{task}"));
            Ok(Answer::json(&task_state(task, &status.ok_or_else(unknown)?)))
        }
        Route::TaskRestart(name, task) => {
            herder.restart_task(&name, task).await?;
            Ok(Answer::empty(StatusCode::NO_CONTENT))
        }
        Route::Pause(name) => target(herder, &name, TargetState::Paused, StatusCode::ACCEPTED).await,
        Route::Resume(name) => target(herder, &name, TargetState::Started, StatusCode::ACCEPTED).await,
        Route::Stop(name) => target(herder, &name, TargetState::Stopped, StatusCode::NO_CONTENT).await,
        Route::Restart(name) => {
            let (tasks, failed) = (body::flag(&request, "includeTasks"), body::flag(&request, "onlyFailed"));
            Ok(match herder.restart(&name, tasks, failed).await? {
                None => Answer::empty(StatusCode::NO_CONTENT),
                Some((plan, known)) => Answer::json(&state(&name, &plan, known)).status(StatusCode::ACCEPTED),
            })
        }
        Route::Topics(name) => {
            if !api.inner.worker.topic_tracking {
                return Err(HerderError::Forbidden("Topic tracking is disabled.".to_owned()).into());
            }
            Ok(Answer::json(&json!({ name.as_str(): {"topics": herder.board().topics(&name)} })))
        }
        Route::TopicsReset(name) => {
            let worker = &api.inner.worker;
            if !worker.topic_tracking {
                return Err(HerderError::Forbidden("Topic tracking is disabled.".to_owned()).into());
            }
            if !worker.topic_tracking_reset {
                return Err(HerderError::Forbidden("Topic tracking reset is disabled.".to_owned()).into());
            }
            herder.board().reset_topics(&name);
            Ok(Answer::empty(StatusCode::ACCEPTED))
        }
        Route::Offsets(name) => offsets(herder, &name, method, request).await,
        // Every other route was answered before it came here.
        _ => Err(RestError::router(StatusCode::NOT_FOUND)),
    }
}

async fn create(herder: &Herder, request: Request) -> Result<Answer, RestError> {
    let base = base_url(&request);
    let creation = body::creation(body::object(request).await?)?;
    body::name_or_error(&creation.name)?;
    let created = herder.create(&creation.name, creation.config, creation.target).await?;
    let location = format!("{base}/connectors/{}", route::encode(&creation.name));
    Ok(Answer::json(&info(created)).status(StatusCode::CREATED).location(location))
}

async fn put_config(herder: &Herder, name: &str, request: Request) -> Result<Answer, RestError> {
    let base = base_url(&request);
    let config = body::config(body::object(request).await?)?;
    body::name_or_error(name)?;
    let (put, created) = herder.put_config(name, config).await?;
    let answer = Answer::json(&info(put));
    Ok(match created {
        true => answer.status(StatusCode::CREATED).location(format!("{base}/connectors/{}", route::encode(name))),
        false => answer,
    })
}

async fn target(herder: &Herder, name: &str, target: TargetState, status: StatusCode) -> Result<Answer, RestError> {
    herder.set_target(name, target).await?;
    Ok(Answer::empty(status))
}

async fn offsets(herder: &Herder, name: &str, method: &Method, request: Request) -> Result<Answer, RestError> {
    // Connect's text for a connector that does not confirm the change itself, as Debezium's MySQL connector does not.
    let message = |done: &str| {
        Answer::json(&json!({
            "message": format!(
                "The Connect framework-managed offsets for this connector have been {done} successfully. However, if this \
                 connector manages offsets externally, they will need to be manually {done} in the system that the \
                 connector uses."
            ),
        }))
    };
    if *method == Method::PATCH {
        let changes = body::offsets(body::object(request).await?)?;
        herder.alter_offsets(name, changes).await?;
        return Ok(message("altered"));
    }
    if *method == Method::DELETE {
        herder.reset_offsets(name).await?;
        return Ok(message("reset"));
    }
    let offsets = herder.offsets(name).await?.into_iter();
    let offsets: Vec<_> =
        offsets.map(|(partition, offset)| json!({"partition": partition, "offset": offset})).collect();
    Ok(Answer::json(&json!({ "offsets": offsets })))
}

fn list(herder: &Herder, request: &Request) -> Answer {
    let expand = body::query(request, "expand");
    let names = herder.names();
    if expand.is_empty() {
        return Answer::json(&names);
    }
    let mut all = Map::new();
    for name in names {
        let mut entry = Map::new();
        if expand.iter().any(|what| what == "status") {
            // A connector that has no status yet is left out.
            let Ok((status, known)) = herder.status(&name) else { continue };
            entry.insert("status".to_owned(), state(&name, &status, known));
        }
        if expand.iter().any(|what| what == "info") {
            let Ok(found) = herder.info(&name) else { continue };
            entry.insert("info".to_owned(), info(found));
        }
        all.insert(name, Value::Object(entry));
    }
    Answer::json(&all)
}

fn kind(known: bool) -> &'static str {
    if known { "source" } else { "unknown" }
}

/// ConnectorInfo.
fn info(info: ConnectorInfo) -> Value {
    let tasks: Vec<_> = (0..info.tasks.len()).map(|task| json!({"connector": info.name, "task": task})).collect();
    json!({"name": info.name, "config": info.config, "tasks": tasks, "type": kind(info.known)})
}

/// TaskInfos.
fn tasks(name: &str, tasks: Vec<RawConfig>) -> Vec<Value> {
    let task = |(number, config)| json!({"id": {"connector": name, "task": number}, "config": config});
    tasks.into_iter().enumerate().map(task).collect()
}

fn worker_state(status: &Status) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("state".to_owned(), status.state.word().into());
    map.insert("worker_id".to_owned(), status.worker_id.clone().into());
    map.insert("version".to_owned(), status.version.clone().into());
    if let Some(trace) = status.trace.as_ref().filter(|trace| !trace.is_empty()) {
        map.insert("trace".to_owned(), trace.clone().into());
    }
    map
}

fn task_state(task: u32, status: &Status) -> Value {
    let mut map = Map::new();
    map.insert("id".to_owned(), task.into());
    map.extend(worker_state(status));
    Value::Object(map)
}

/// StateInfo.
fn state(name: &str, status: &ConnectorStatus, known: bool) -> Value {
    let tasks: Vec<_> = status.tasks.iter().map(|(task, status)| task_state(*task, status)).collect();
    json!({
        "name": name,
        "connector": status.connector.as_ref().map(worker_state),
        "tasks": tasks,
        "type": kind(known),
    })
}

/// The URL the client used, up to the path.
fn base_url(request: &Request) -> String {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().authority().map(|authority| authority.as_str())).unwrap_or("localhost:8083");
    format!("http://{host}")
}
