//! The control port.
//!
//! This release answers `GET /health` and nothing else: the REST interface, its authentication and the live stream come
//! with their own release.

mod limited;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use limited::Limited;

/// What is under way when the hub ends has this long: a client that never finishes its request does not hold the hub up.
const CLOSING: Duration = Duration::from_secs(1);

/// Says whether the hub is well; the error is a sentence for people.
pub type HealthProbe = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Answers on `listener` until `shutdown` resolves, then finishes what is under way, for a second at most.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    health: HealthProbe,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (told, mut closing) = watch::channel(false);
    let stop = async move {
        shutdown.await;
        let _ = told.send(true);
    };
    let late = async {
        let _ = closing.wait_for(|is_told| *is_told).await;
        tokio::time::sleep(CLOSING).await;
    };
    tokio::select! {
        served = axum::serve(Limited::new(listener), router(health)).with_graceful_shutdown(stop) => served,
        () = late => Ok(()),
    }
}

fn router(health: HealthProbe) -> Router {
    Router::new().route("/health", get(health_answer)).with_state(health)
}

/// 200 `{"status":"ok"}`, or 503 with the reason.
async fn health_answer(State(health): State<HealthProbe>) -> Response {
    match health() {
        Ok(()) => Json(json!({"status": "ok"})).into_response(),
        Err(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "stale", "reason": reason}))).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// One request over a real socket: status line and body.
    async fn get(health: HealthProbe, path: &str) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(serve(listener, health, std::future::pending()));
        let mut client = TcpStream::connect(address).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.expect("writes");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("reads");
        server.abort();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn health_is_ok_while_the_hub_is_well() {
        let (status, body) = get(Arc::new(|| Ok(())), "/health").await;
        assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", r#"{"status":"ok"}"#));
    }

    #[tokio::test]
    async fn health_is_503_with_the_reason_when_it_is_not() {
        let (status, body) = get(Arc::new(|| Err("the feed thread is silent for 12 s".into())), "/health").await;
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
        assert!(body.contains("the feed thread is silent for 12 s"), "{body}");
    }

    #[tokio::test]
    async fn a_request_that_is_never_finished_does_not_hold_up_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, Arc::new(|| Ok(())), async { drop(ended.await) }));
        let mut half = TcpStream::connect(address).await.expect("connects");
        half.write_all(b"GET /hea").await.expect("writes");
        // Connections are taken in order: once the second is answered, the first was taken.
        let mut whole = TcpStream::connect(address).await.expect("connects");
        whole.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("writes");
        assert!(whole.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0));
        drop(end);
        let served = tokio::time::timeout(CLOSING * 10, server).await;
        assert!(served.is_ok_and(|joined| joined.is_ok_and(|served| served.is_ok())));
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        let (status, _) = get(Arc::new(|| Ok(())), "/api/accounts").await;
        assert_eq!(status, "HTTP/1.1 404 Not Found");
    }
}
