//! Errors as problem details, RFC 9457.

use axum::body::{Body, to_bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Of somebody else's words for an error, so much is read.
const FOREIGN_BYTES_MAX: usize = 16 * 1024;

/// An answer that says what is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail } = self;
        let title = status.canonical_reason().unwrap_or("Error");
        let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

/// The framework's own errors, which are plain text or nothing, as problems too; whatever else is left as it is.
pub(crate) async fn told(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let is_foreign = kind.is_empty() || kind.starts_with(b"text/plain");
    if !(status.is_client_error() || status.is_server_error()) || !is_foreign {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let words = to_bytes(body, FOREIGN_BYTES_MAX).await.unwrap_or_default();
    let words = String::from_utf8_lossy(&words).into_owned();
    let said = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            "this path does not know the method; the header Allow has those it knows".into()
        }
        _ if words.is_empty() => status.canonical_reason().unwrap_or("Error").to_owned(),
        _ => words,
    };
    let (problem, body) = Problem::new(status, said).into_response().into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.extend(problem.headers);
    Response::from_parts(head, Body::new(body))
}
