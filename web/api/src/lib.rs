//! The control port.
//!
//! | path | answers |
//! |---|---|
//! | `GET /health` | whether the hub is well; open to everybody |
//! | `GET /ready` | whether the hub does its work; open to everybody |
//! | `GET /metrics` | counters of everything, for Prometheus; open to everybody |
//! | `POST /api/session`, `GET`, `DELETE` | logs in; shows the login; ends it |
//! | `GET /api/accounts`, `POST`, `GET /api/accounts/{id}`, `PUT`, `DELETE`, `POST .../start`, `stop`, `restart` | desired state |
//! | `POST /api/accounts/parse`, `POST /api/accounts/confirm-empty` | reads vnpy's files; confirms that there are to be no accounts |
//! | `POST /api/accounts/validate` | tries a login, step by step |
//! | `GET /api/events` | what happened |
//! | `GET /api/openapi.json`, `GET /docs` | all of this as a document, and Swagger UI; open to everybody |
//! | `GET /api/subscribers`, `GET /api/quarantine` | who subscribes; which ticks were rejected |
//! | `GET /api/canaries` | how the canaries tick, and did in the last half hour |
//! | `GET /api/contracts` | which contracts are wanted, who brings them, what is missing |
//! | `GET /api/ticks/{vt_symbol}` | the last ticks, to fill a gap; also for whoever has a publish token |
//! | `GET /api/gateways`, `GET /api/gateways/{id}` | what every account is at, and its counters |
//! | everything else | the dashboard; open to everybody, since its pages hold nothing but themselves |
//!
//! Everything under `/api` is for the administrator: by a login, or by HTTP Basic. Errors are problem details (RFC 9457).
//!
//! | file | is about |
//! |---|---|
//! | `limited` | connections: how many, how silent |
//! | `door` | what every request passes |
//! | `guard` | who may ask |
//! | `session` | logins |
//! | `health` | how the hub is, in a word |
//! | `password` | the administrator's password: made, hashed, checked |
//! | `actor` | who asks, and from where |
//! | `accounts` | desired state |
//! | `events` | what happened |
//! | `canaries` | how the canaries tick |
//! | `contracts` | which contracts are wanted, and what comes of them |
//! | `feed` | what the feed tells when it is asked |
//! | `gateways` | what every account is at |
//! | `live` | what changes, as it changes |
//! | `openapi` | the API's document |
//! | `logs` | the log's newest lines |
//! | `metrics` | what Prometheus asks for |
//! | `pages` | the dashboard's files |
//! | `problem` | errors |
//! | `tally` | what strangers do again and again, in the log |

mod accounts;
mod actor;
mod canaries;
mod contracts;
mod door;
mod events;
mod feed;
mod gateways;
mod guard;
mod health;
mod limited;
mod live;
mod logs;
mod metrics;
mod openapi;
mod pages;
pub mod password;
mod problem;
mod session;
mod tally;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::{Extension, Router, middleware};
use mdhub_spec::ports::{AccountStore, Event};
use mdhub_spec::settings::Http;
use mdhub_spec::time::Now;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};

pub use accounts::trial::{NoTrial, Outcome, TrialStep, Trials};
use actor::Peer;
pub use canaries::{Canary, CanarySource, CanaryState, Minute, MinuteState};
pub use contracts::{ContractRow, ContractState, ContractTable};
use door::Door;
pub use feed::{Feed, Recent};
use guard::Guard;
use limited::Limited;
use live::{Live, News};
pub use logs::{LiveLine, LogLevel, LogLine, LogSource};
pub use pages::Pages;
use password::Administrator;
use problem::Problem;
use session::Sessions;

/// What is under way when the hub ends has this long: a client that never finishes its request does not hold the hub up.
const CLOSING: Duration = Duration::from_secs(1);

/// Shorter answers are sent as they are.
const COMPRESSED_BYTES_MIN: u64 = 1_024;

/// Says whether the hub is well; the error is a sentence for people.
pub type HealthProbe = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What time it is.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// The counters of an account, by its id; null where there are none.
pub type Counters = Arc<dyn Fn(&str) -> Value + Send + Sync>;

/// What the port shows, and to whom.
#[derive(Clone)]
pub struct Sources {
    /// What time it is.
    pub clock: Clock,
    /// Section `http` of the settings.
    pub http: Http,
    /// Whether the hub is well.
    pub health: HealthProbe,
    /// Whether it does its work.
    pub ready: HealthProbe,
    /// The document of `status.json`, whenever it changes.
    pub status: watch::Receiver<Arc<Value>>,
    /// Counters beside it.
    pub counters: Counters,
    /// The log.
    pub logs: LogSource,
    /// What the hub writes down, as it happens.
    pub events: broadcast::Sender<Event>,
    /// How fast everything goes, four times a second at most.
    pub rates: watch::Receiver<Arc<Value>>,
    /// The canaries, four times a second at most.
    pub canaries: watch::Receiver<Arc<Vec<Canary>>>,
    /// The feed, as far as it can be asked.
    pub feed: Arc<dyn Feed>,
    /// Who tries accounts.
    pub trials: Arc<dyn Trials>,
    /// What Prometheus asks for, in its text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The dashboard.
    pub pages: Arc<Pages>,
    /// Where the desired state lives.
    pub store: Arc<dyn AccountStore>,
    /// The logins, as text, whenever one begins or ends: no secret, but nobody else's business. At first those that another hub has left.
    pub logins: watch::Sender<String>,
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
    let (live, news) = (Live::new(), News::of(&sources));
    let ending = live.clone();
    let stop = async move {
        shutdown.await;
        ending.end();
        let _ = told.send(true);
    };
    let late = async {
        let _ = closing.wait_for(|is_told| *is_told).await;
        tokio::time::sleep(CLOSING).await;
    };
    let telling = async {
        news.keep(&live).await;
        std::future::pending().await
    };
    let bound = listener.local_addr()?.ip();
    let listener = Limited::new(listener, sources.http.trusted_proxies.clone());
    let service = router(sources, bound, &live).into_make_service_with_connect_info::<Peer>();
    tokio::select! {
        served = axum::serve(listener, service).with_graceful_shutdown(stop) => served,
        () = late => Ok(()),
        never = telling => never,
    }
}

fn router(sources: Sources, bound: IpAddr, live: &Arc<Live>) -> Router {
    let door = Door::new(&sources.http, bound);
    let guard = Guard::new(
        sources.administrator.clone(),
        Sessions::new(&sources.http, sources.clock.clone(), sources.logins.clone()),
    );
    let api = Router::new()
        .merge(accounts::routes())
        .merge(canaries::routes())
        .merge(contracts::routes())
        .merge(events::routes())
        .merge(feed::routes())
        .merge(gateways::routes())
        .merge(logs::routes())
        .fallback(nothing_there)
        .layer(middleware::from_fn(door::whole_body))
        .layer(middleware::from_fn_with_state(guard.clone(), guard::admit))
        .merge(session::routes(&guard))
        .merge(feed::tick_routes(&guard, &sources.feed));
    let live = live::routes().layer(Extension(live.clone())).layer(middleware::from_fn_with_state(guard, guard::admit));
    Router::new()
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
        .merge(live)
        .nest("/api", api)
        .fallback(pages::answer)
        .layer(middleware::from_fn_with_state(door, door::enter))
        .layer(compression())
        .layer(middleware::from_fn(door::progress))
        .with_state(sources)
}

/// Shortens what is worth it. A stream's lines would wait for the next ones.
fn compression() -> CompressionLayer<impl tower_http::compression::Predicate> {
    let is_worth_it = SizeAbove::new(COMPRESSED_BYTES_MIN)
        .and(NotForContentType::const_new("application/x-ndjson"))
        .and(NotForContentType::SSE)
        .and(NotForContentType::IMAGES);
    CompressionLayer::new().compress_when(is_worth_it)
}

async fn nothing_there() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path")
}

#[cfg(test)]
mod tests;
