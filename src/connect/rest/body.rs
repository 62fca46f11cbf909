//! Reading requests: content types, queries, bodies. Scalars of configurations become strings, as in Connect.

use axum::{
    body::to_bytes,
    extract::Request,
    http::{StatusCode, header},
};
use serde_json::{Map, Value};

use super::{BODY_LIMIT, RestError, route};
use crate::{RawConfig, backing::TargetState, herder::HerderError};

/// Refuses a body that is not JSON and a client that does not take JSON.
pub(super) fn acceptable(request: &Request) -> Result<(), RestError> {
    let headers = request.headers();
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    let json = |kind: &str| {
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    };
    let media = match kind {
        Some(kind) => json(kind),
        None => !has_body,
    };
    // A client that asks for a resource says nothing about bodies by a Content-Type of its own habit.
    if !media && (has_body || !matches!(request.method().as_str(), "GET" | "HEAD")) {
        return Err(RestError::router(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let takes = |accept: &str| {
        accept.split(',').any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let never = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            !never && ["*/*", "application/*", "application/json", "*"].contains(&kind.as_str())
        })
    };
    let mut accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).peekable();
    if accepts.peek().is_some() && !accepts.any(takes) {
        return Err(RestError::router(StatusCode::NOT_ACCEPTABLE));
    }
    Ok(())
}

/// Values of a query parameter, in order.
pub(super) fn query(request: &Request, name: &str) -> Vec<String> {
    let query = request.uri().query().unwrap_or_default();
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(key, _)| *key == name).filter_map(|(_, value)| route::decode(&value.replace('+', " "))).collect()
}

/// A boolean parameter: `true` in any case is true, everything else false.
pub(super) fn flag(request: &Request, name: &str) -> bool {
    query(request, name).first().is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Reads a JSON body.
pub(super) async fn json(request: Request) -> Result<Value, RestError> {
    let bytes = to_bytes(request.into_body(), BODY_LIMIT)
        .await
        .map_err(|_| RestError::bad(format!("the body could not be read, or is larger than {BODY_LIMIT} bytes")))?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(RestError::bad("the request needs a JSON body"));
    }
    // The parser's text names line and column, never the content.
    serde_json::from_slice(&bytes).map_err(|error| RestError::bad(format!("the body is not valid JSON: {error}")))
}

/// Reads an object.
pub(super) async fn object(request: Request) -> Result<Map<String, Value>, RestError> {
    match json(request).await? {
        Value::Object(map) => Ok(map),
        _ => Err(RestError::bad("the body must be a JSON object")),
    }
}

/// A configuration: strings and nulls stay, other scalars become strings.
pub(super) fn config(map: Map<String, Value>) -> Result<RawConfig, RestError> {
    map.into_iter()
        .map(|(key, value)| match value {
            Value::Null | Value::String(_) => Ok((key, value)),
            Value::Bool(value) => Ok((key, Value::String(value.to_string()))),
            Value::Number(value) => Ok((key, Value::String(value.to_string()))),
            Value::Array(_) | Value::Object(_) => {
                Err(RestError::bad(format!("the value of {key} must be a string, a number or a boolean")))
            }
        })
        .collect()
}

/// The body of `POST /connectors`.
pub(super) struct Creation {
    pub(super) name: String,
    pub(super) config: RawConfig,
    pub(super) target: Option<TargetState>,
}

/// Reads the body of `POST /connectors`.
pub(super) fn creation(mut body: Map<String, Value>) -> Result<Creation, RestError> {
    if let Some(key) = body.keys().find(|key| !["name", "config", "initial_state"].contains(&key.as_str())) {
        return Err(RestError::bad(format!(
            "unknown property '{key}': a connector is created from 'name', 'config' and 'initial_state'"
        )));
    }
    let name = match body.remove("name") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(name)) => name.trim().to_owned(),
        Some(_) => return Err(RestError::bad("'name' must be a string")),
    };
    let config = match body.remove("config") {
        Some(Value::Object(map)) => self::config(map)?,
        None | Some(Value::Null) => return Err(RestError::bad("'config' is missing: the connector's settings")),
        Some(_) => return Err(RestError::bad("'config' must be a JSON object")),
    };
    let target = match body.remove("initial_state") {
        None | Some(Value::Null) => None,
        Some(Value::String(word)) => match word.to_ascii_uppercase().as_str() {
            "RUNNING" => Some(TargetState::Started),
            "PAUSED" => Some(TargetState::Paused),
            "STOPPED" => Some(TargetState::Stopped),
            _ => return Err(RestError::bad("'initial_state' must be one of RUNNING, PAUSED, STOPPED")),
        },
        Some(_) => return Err(RestError::bad("'initial_state' must be one of RUNNING, PAUSED, STOPPED")),
    };
    Ok(Creation { name, config, target })
}

/// Reads the body of `PATCH offsets`.
pub(super) fn offsets(mut body: Map<String, Value>) -> Result<Vec<crate::herder::OffsetChange>, RestError> {
    let missing = || RestError::bad("Partitions / offsets need to be provided for an alter offsets request");
    if let Some(key) = body.keys().find(|key| *key != "offsets") {
        return Err(RestError::bad(format!("unknown property '{key}': the body has only 'offsets'")));
    }
    let items = match body.remove("offsets") {
        Some(Value::Array(items)) if !items.is_empty() => items,
        None | Some(Value::Null | Value::Array(_)) => return Err(missing()),
        Some(_) => return Err(RestError::bad("'offsets' must be a list")),
    };
    items
        .into_iter()
        .map(|item| {
            let Value::Object(mut item) = item else {
                return Err(RestError::bad("each item of 'offsets' must be an object with 'partition' and 'offset'"));
            };
            let partition = match item.remove("partition") {
                Some(Value::Object(partition)) => partition,
                _ => return Err(RestError::bad("'partition' must be an object")),
            };
            let offset = match item.remove("offset") {
                None | Some(Value::Null) => None,
                Some(Value::Object(offset)) => Some(offset),
                Some(_) => return Err(RestError::bad("'offset' must be an object or null")),
            };
            match item.keys().next() {
                Some(key) => Err(RestError::bad(format!("unknown property '{key}' in an item of 'offsets'"))),
                None => Ok((partition, offset)),
            }
        })
        .collect()
}

/// A new name for an empty one is not made up: validation reports it.
pub(super) fn name_or_error(name: &str) -> Result<(), HerderError> {
    if name.is_empty() {
        return Err(HerderError::Invalid(
            crate::validate::ValidationError::Errors(vec![
                "Invalid value  for configuration name: String may not be empty".to_owned(),
            ])
            .to_string(),
        ));
    }
    Ok(())
}
