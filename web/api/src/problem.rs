//! Errors as problem details, RFC 9457.

use axum::body::{Body, to_bytes};
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// Of somebody else's words for an error, so much is read.
const FOREIGN_BYTES_MAX: usize = 16 * 1024;

/// An answer that says what is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    more: Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), more: Map::new() }
    }

    /// The same, with a member of its own.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    fn body(&self) -> String {
        let Self { status, detail, more } = self;
        let title = status.canonical_reason().unwrap_or("Error");
        json!(ProblemDetails { kind: "about:blank", title, status: status.as_u16(), detail, more }).to_string()
    }
}

/// What is wrong, as RFC 9457 says it; some problems have members of their own.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemDetails<'a> {
    /// Always `about:blank`: `status` says which kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// What is wrong with which value, and what is allowed.
    detail: &'a str,
    /// `request_id`, by which the log's lines about it are found; with 422 `errors`, each with `field` and `message`.
    #[serde(flatten)]
    more: &'a Map<String, Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "application/problem+json")], self.body()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A body that is not the JSON document that it ought to be.
impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let (status, message) = (rejection.status(), rejection.body_text());
        let problem = Self::new(status, message.clone());
        if status != StatusCode::UNPROCESSABLE_ENTITY {
            return problem;
        }
        // `...: FIELD: what is wrong`, where it is not the document as a whole.
        let field = message.split(": ").nth(1).filter(|field| !field.contains(' ')).unwrap_or_default();
        problem.with("errors", json!([{"field": field, "message": message}]))
    }
}

/// What a client is told: its request's id in every problem, and the framework's own errors, which are plain text or nothing, as
/// problems too.
pub(crate) async fn told(response: Response, request_id: &str) -> Response {
    let (mut head, body) = response.into_parts();
    let status = head.status;
    let known = head.extensions.remove::<Problem>();
    let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let is_foreign = kind.is_empty() || kind.starts_with(b"text/plain");
    let problem = match known {
        Some(problem) => problem,
        None if is_foreign && (status.is_client_error() || status.is_server_error()) => {
            let words = to_bytes(body, FOREIGN_BYTES_MAX).await.unwrap_or_default();
            Problem::new(status, said(status, &String::from_utf8_lossy(&words)))
        }
        None => return Response::from_parts(head, body),
    };
    let (told, body) = problem.with("request_id", request_id).into_response().into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.extend(told.headers);
    Response::from_parts(head, Body::new(body))
}

fn said(status: StatusCode, words: &str) -> String {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            "this path does not know the method; header Allow names those it knows".into()
        }
        _ if words.is_empty() => status.canonical_reason().unwrap_or("Error").to_owned(),
        _ => words.to_owned(),
    }
}
