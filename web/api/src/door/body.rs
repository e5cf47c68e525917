//! Bodies of requests: how long, how slow.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;

use crate::actor::Client;
use crate::problem::Problem;

/// Longest body that is used.
const BYTES_MAX: usize = 256 * 1024;
/// Longest body of a stranger's: many of them may wait at once.
const STRANGERS_BYTES_MAX: usize = 4 * 1024;
/// Longest body that is at least read to its end, so that its sender gets to see the answer.
const SWALLOWED_MAX: usize = 4 * 1024 * 1024;
/// A body is whole within this.
const WITHIN: Duration = Duration::from_secs(10);

/// Hands a request on once its body is here, whole.
pub(crate) async fn whole(client: Extension<Client>, request: Request, next: Next) -> Response {
    within(BYTES_MAX, client, request, next).await
}

/// The same for one that anybody may send.
pub(crate) async fn short(client: Extension<Client>, request: Request, next: Next) -> Response {
    within(STRANGERS_BYTES_MAX, client, request, next).await
}

async fn within(bytes_max: usize, Extension(client): Extension<Client>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let gives_way = client.progress.give_way();
    let read = timeout(WITHIN, read(body, bytes_max)).await;
    drop(gives_way);
    let body = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(problem)) => return problem.into_response(),
        Err(_) => {
            let late = format!("the request's body was not whole within {} s", WITHIN.as_secs());
            return Problem::new(StatusCode::REQUEST_TIMEOUT, late).into_response();
        }
    };
    next.run(Request::from_parts(head, Body::from(body))).await
}

async fn read(mut body: Body, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let too_long = || {
        let allowed = format!("the request's body is too long: at most {bytes_max} bytes are allowed");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, allowed)
    };
    if body.size_hint().lower() > SWALLOWED_MAX as u64 {
        return Err(too_long());
    }
    let (mut bytes, mut seen) = (Vec::new(), 0);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let broken = |e| Problem::new(StatusCode::BAD_REQUEST, format!("the request's body cannot be read: {e}"));
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        seen += data.len();
        if seen > SWALLOWED_MAX {
            return Err(too_long());
        }
        if seen <= bytes_max {
            bytes.extend_from_slice(&data);
        }
    }
    if seen > bytes_max { Err(too_long()) } else { Ok(bytes) }
}
