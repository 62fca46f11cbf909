//! `/admin/loggers`.

use axum::extract::Request;
use serde_json::{Map, Value, json};

use super::{Api, RestError, StatusCode, answer::Answer, body};
use crate::logging::LoggerLevel;

fn level(level: &LoggerLevel) -> Value {
    json!({"level": level.level, "last_modified": level.last_modified})
}

impl Api {
    pub(super) fn loggers(&self) -> Answer {
        let all: Map<_, _> =
            self.inner.loggers.all().iter().map(|(name, found)| (name.clone(), level(found))).collect();
        Answer::json(&all)
    }

    pub(super) fn logger(&self, name: &str) -> Result<Answer, RestError> {
        let found = self.inner.loggers.get(name);
        let unknown = || RestError::new(StatusCode::NOT_FOUND, format!("Logger {name} not found."));
        Ok(Answer::json(&level(&found.ok_or_else(unknown)?)))
    }

    pub(super) async fn set_logger(&self, name: &str, request: Request) -> Result<Answer, RestError> {
        let cluster = body::query(&request, "scope").first().is_some_and(|scope| scope.eq_ignore_ascii_case("cluster"));
        let body = body::object(request).await?;
        let missing = || RestError::bad("Desired 'level' parameter was not specified in request.");
        let level = body.get("level").and_then(Value::as_str).ok_or_else(missing)?;
        let unknown = || RestError::new(StatusCode::NOT_FOUND, format!("invalid log level '{level}'."));
        let changed = self.inner.loggers.set(name, level).ok_or_else(unknown)?;
        // One worker is the whole cluster; nothing has to be written for others.
        Ok(if cluster { Answer::empty(StatusCode::NO_CONTENT) } else { Answer::json(&changed) })
    }
}
