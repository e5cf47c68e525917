//! The control port.
//!
//! | path | answers |
//! |---|---|
//! | `GET /health` | whether the hub is well; open to everybody |
//! | `GET /api/gateways`, `GET /api/gateways/{id}` | what every account is at, and its counters; with the administrator's name and password |
//!
//! Errors are problem details (RFC 9457). Changing anything over HTTP comes with its own release.
//!
//! | file | is about |
//! |---|---|
//! | `limited` | connections: how many, how silent |
//! | `door` | what every request passes |
//! | `guard` | who may ask |
//! | `password` | the administrator's password: made, hashed, checked |
//! | `actor` | who asks, and from where |
//! | `gateways` | the answers |
//! | `problem` | errors |
//! | `tally` | what strangers do again and again, in the log |

mod actor;
mod door;
mod gateways;
mod guard;
mod limited;
pub mod password;
mod problem;
mod tally;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use mdhub_spec::ports::AccountStore;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use actor::Peer;
use guard::Guard;
use limited::Limited;
use password::Administrator;
use problem::Problem;

/// What is under way when the hub ends has this long: a client that never finishes its request does not hold the hub up.
const CLOSING: Duration = Duration::from_secs(1);

/// Says whether the hub is well; the error is a sentence for people.
pub type HealthProbe = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The counters of an account, by its id; null where there are none.
pub type Counters = Arc<dyn Fn(&str) -> Value + Send + Sync>;

/// What the port shows, and to whom.
#[derive(Clone)]
pub struct Sources {
    /// Whether the hub is well.
    pub health: HealthProbe,
    /// The document of `status.json`, whenever it changes.
    pub status: watch::Receiver<Arc<Value>>,
    /// Counters beside it.
    pub counters: Counters,
    /// Where the desired state lives.
    pub store: Arc<dyn AccountStore>,
    /// Who may see them; may change at any time.
    pub administrator: watch::Receiver<Arc<Administrator>>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// Answers on `listener` until `shutdown` resolves, then finishes what is under way, for a second at most.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    sources: Sources,
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
        served = axum::serve(Limited::new(listener, Vec::new()), router(sources).into_make_service_with_connect_info::<Peer>()).with_graceful_shutdown(stop) => served,
        () = late => Ok(()),
    }
}

fn router(sources: Sources) -> Router {
    let guard = Guard::new(sources.administrator.clone());
    let api = Router::new()
        .merge(gateways::routes())
        .fallback(nothing_there)
        .layer(middleware::from_fn_with_state(guard, guard::admit));
    Router::new()
        .route("/health", get(health))
        .nest("/api", api)
        .fallback(nothing_there)
        .layer(middleware::from_fn(door::enter))
        .layer(middleware::from_fn(door::progress))
        .with_state(sources)
}

async fn nothing_there() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// 200 `{"status":"ok"}`, or 503 with the reason.
async fn health(State(sources): State<Sources>) -> Response {
    match (sources.health)() {
        Ok(()) => Json(json!({"status": "ok"})).into_response(),
        Err(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "stale", "reason": reason}))).into_response()
        }
    }
}

#[cfg(test)]
mod tests;
