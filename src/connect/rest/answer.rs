//! Answers: status, JSON, and the few headers that clients look at.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use serde_json::json;

use super::RestError;
use crate::access::REFUSED;

/// An answer before it is sent.
pub(super) struct Answer {
    status: StatusCode,
    pub(super) body: Vec<u8>,
    kind: Option<&'static str>,
    location: Option<String>,
    allow: Option<&'static str>,
}

impl Answer {
    /// A body-less answer.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, body: Vec::new(), kind: None, location: None, allow: None }
    }

    /// 200 with JSON.
    pub(super) fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self { body, kind: Some("application/json"), ..Self::empty(StatusCode::OK) },
            Err(error) => RestError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into(),
        }
    }

    /// The answer to OPTIONS: the methods, in the header and as text.
    pub(super) fn options(methods: &'static str) -> Self {
        let body = methods.replace(',', ", ").into_bytes();
        Self { body, kind: Some("text/plain"), allow: Some(methods), ..Self::empty(StatusCode::OK) }
    }

    /// The answer to somebody who may not: text, under the type that the resource would have had.
    pub(super) fn refused(kind: &'static str) -> Self {
        Self { body: REFUSED.into(), kind: Some(kind), ..Self::empty(StatusCode::UNAUTHORIZED) }
    }

    /// Another status.
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A `Location` header.
    pub(super) fn location(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }

    /// As HTTP; a HEAD request gets no body but its length.
    pub(super) fn into_response(self, head: bool) -> Response {
        let length = self.body.len();
        let mut response = Response::new(if head { Body::empty() } else { Body::from(self.body) });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(kind) = self.kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(location) = self.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            headers.insert(header::LOCATION, location);
        }
        if self.status != StatusCode::NO_CONTENT {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

impl From<RestError> for Answer {
    fn from(error: RestError) -> Self {
        Self::json(&json!({"error_code": error.status.as_u16(), "message": error.message})).status(error.status)
    }
}
