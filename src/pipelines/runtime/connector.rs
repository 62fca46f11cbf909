//! A pipeline's connector at the daemon: created from a template when absent and asked for, else left alone.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::{Error, Shutdown, settings::ConnectSettings};

/// What was found or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is there, and was left alone.
    Existing,
    /// It was created.
    Created,
    /// It is absent, and creating it was not asked for.
    Absent,
    /// There is no address to ask.
    NotAsked,
    /// Nobody answered, or a daemon that is starting or sharing its work out anew: ask again. Says which.
    Unanswered(String),
}

fn client() -> Result<reqwest::Client, Error> {
    reqwest::Client::builder().timeout(Duration::from_secs(90)).build().map_err(|e| Error::Connect(e.to_string()))
}

/// The connector's name and its file, as configured or built in.
///
/// # Errors
/// [`Error::Config`] for a file that cannot be read or has no name.
pub fn template(settings: &ConnectSettings, built_in: &str) -> Result<(String, Value), Error> {
    let text = match &settings.template {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| Error::Config(format!("connect.template: cannot read {}: {e}", path.display())))?,
        None => built_in.to_owned(),
    };
    let template: Value = serde_json::from_str(&text)
        .map_err(|e| Error::Config(format!("connect.template: not JSON (line {})", e.line())))?;
    let name = template
        .get("name")
        .and_then(Value::as_str)
        .ok_or_else(|| Error::Config("connect.template: it has no \"name\"".into()))?
        .to_owned();
    Ok((name, template))
}

/// Looks for the connector of a template (`{"name":..,"config":{..}}`), and creates it when the settings say so.
///
/// # Errors
/// [`Error::Connect`] when the daemon refuses, with its own text.
pub async fn ensure(settings: &ConnectSettings, built_in: &str) -> Result<(String, Found), Error> {
    let (name, template) = template(settings, built_in)?;
    if settings.url.is_empty() {
        return Ok((name, Found::NotAsked));
    }
    let base = settings.url.trim_end_matches('/');
    let unanswered = |e: reqwest::Error| Found::Unanswered(format!("no answer from {base}: {}", e.without_url()));
    let client = client()?;
    let answer = match client.get(format!("{base}/connectors/{name}")).send().await {
        Ok(answer) => answer,
        Err(error) => return Ok((name, unanswered(error))),
    };
    match answer.status() {
        status if status.is_success() => return Ok((name, Found::Existing)),
        StatusCode::NOT_FOUND if !settings.create => return Ok((name, Found::Absent)),
        StatusCode::NOT_FOUND => {}
        status if is_passing(status) => {
            return Ok((name, Found::Unanswered(format!("{base} is not ready yet ({status})"))));
        }
        status => return Err(Error::Connect(format!("{base} answered {status} about connector {name}"))),
    }
    let answer = match client.post(format!("{base}/connectors")).json(&template).send().await {
        Ok(answer) => answer,
        Err(error) => return Ok((name, unanswered(error))),
    };
    match answer.status() {
        status if status.is_success() => Ok((name, Found::Created)),
        // Created by somebody else meanwhile, or not ready: the next question tells.
        status if is_passing(status) => {
            Ok((name, Found::Unanswered(format!("{base} did not take the connector ({status})"))))
        }
        status => {
            let body: Value = answer.json().await.unwrap_or(Value::Null);
            let text = body.get("message").and_then(Value::as_str).unwrap_or("no reason given").to_owned();
            Err(Error::Connect(format!("{base} refused connector {name} ({status}): {text}")))
        }
    }
}

/// What a worker answers while it starts or its group changes.
fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::CONFLICT || status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::GATEWAY_TIMEOUT
}

/// As [`ensure`], waiting for the daemon; `None` when asked to stop. Says what it waits for and what it found.
pub async fn ensure_patiently(
    settings: &ConnectSettings,
    built_in: &str,
    shutdown: &Shutdown,
) -> Result<Option<(String, Found)>, Error> {
    let mut told = false;
    loop {
        let (name, found) = ensure(settings, built_in).await?;
        match &found {
            Found::Existing => tracing::info!(connector = %name, "the connector exists and is left alone"),
            Found::Created => tracing::info!(connector = %name, "the connector was created"),
            Found::Absent => tracing::info!(
                connector = %name,
                url = %settings.url,
                "the connector is not there yet: post its file to /connectors"
            ),
            Found::NotAsked => {}
            Found::Unanswered(reason) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(%reason, "waiting for the daemon");
                }
            }
        }
        if !matches!(found, Found::Unanswered(_)) {
            return Ok(Some((name, found)));
        }
        tokio::select! {
            () = shutdown.wait() => return Ok(None),
            () = tokio::time::sleep(Duration::from_secs(3)) => {}
        }
    }
}

/// The state of a connector and of its tasks in one line.
///
/// # Errors
/// [`Error::Connect`] when the daemon does not answer or does not know it.
pub async fn state(settings: &ConnectSettings, name: &str) -> Result<String, Error> {
    let base = settings.url.trim_end_matches('/');
    let answer = client()?
        .get(format!("{base}/connectors/{name}/status"))
        .send()
        .await
        .map_err(|e| Error::Connect(format!("no answer from {base}: {}", e.without_url())))?;
    if !answer.status().is_success() {
        return Err(Error::Connect(format!("{base} answered {} about connector {name}", answer.status())));
    }
    let body: Value = answer.json().await.map_err(|e| Error::Connect(e.without_url().to_string()))?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("?").to_owned();
    let tasks: Vec<String> = body
        .get("tasks")
        .and_then(Value::as_array)
        .map(|tasks| tasks.iter().map(|task| text(task.get("state"))).collect())
        .unwrap_or_default();
    Ok(format!("{} (tasks: {})", text(body.get("connector").and_then(|c| c.get("state"))), tasks.join(", ")))
}
