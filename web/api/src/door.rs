//! What every request passes, whatever it asks for.
//!
//! | file | is about |
//! |---|---|
//! | `answered` | that an answer is whole only once its last byte is handed over |

mod answered;

use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use crate::actor::Peer;
use crate::problem;
use answered::Answered;

/// Tells the connection that a request on it is being answered, until the answer is whole. The outermost of all.
pub(crate) async fn progress(ConnectInfo(peer): ConnectInfo<Peer>, request: Request, next: Next) -> Response {
    let answering = peer.progress.answer();
    let response = next.run(request).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        answering.upgraded();
    }
    response.map(|body| Answered::body(body, answering))
}

/// Lets a request in, and sees to its answer.
pub(crate) async fn enter(request: Request, next: Next) -> Response {
    problem::told(next.run(request).await).await
}
