//! What every request passes, whatever it asks for.
//!
//! | file | is about |
//! |---|---|
//! | `address` | where a request comes from, and what it is addressed to |
//! | `answered` | that an answer is whole only once its last byte is handed over |
//! | `body` | bodies of requests: how long, how slow |
//! | `path` | paths that try to be something else |
//! | `request_id` | the name of a request in the log and in problems |

mod address;
mod answered;
mod body;
mod path;
mod request_id;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use mdhub_spec::settings::{Http, Network};
use tracing::Instrument as _;

use crate::actor::{Client, Peer};
use crate::problem::{self, Problem};
use crate::tally::Tally;
use address::Hosts;
use answered::Answered;
use request_id::Ids;

pub(crate) use body::{short as short_body, whole as whole_body};

/// What an answer says to browsers unless its handler has said otherwise.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Of a path, so much is in the log.
const PATH_SHOWN_MAX: usize = 100;

/// Paths that anybody may ask for by any name: they say one word, and load balancers know no other.
const FOR_ANY_HOST: [&str; 2] = ["/health", "/ready"];

/// What the door knows.
pub(crate) struct Door {
    hosts: Hosts,
    proxies: Vec<Network>,
    ids: Ids,
    misdirected: Tally,
    foreign: Tally,
}

impl Door {
    /// For a hub that listens at `bound`.
    pub(crate) fn new(http: &Http, bound: IpAddr) -> Arc<Self> {
        Arc::new(Self {
            hosts: Hosts::new(http, bound),
            proxies: http.trusted_proxies.clone(),
            ids: Ids::new(),
            misdirected: Tally::new("requests at the control port for hosts that http.allowed_hosts does not name"),
            foreign: Tally::new("requests at the control port from pages of other sites"),
        })
    }

    /// Whether a request may go on.
    fn judge(&self, request: &Request, client: &Client) -> Result<(), Problem> {
        let path = request.uri().path();
        if !path::is_plain(path) {
            return Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"));
        }
        let authority = address::authority(request);
        if !FOR_ANY_HOST.contains(&path) && !self.hosts.is_ours(authority) {
            self.misdirected.count(client.from);
            let why = format!(
                "the hub does not answer for host {authority:?}: http.allowed_hosts in its settings names those it does"
            );
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, why));
        }
        if changes_something(request) {
            address::is_no_other_site(request.headers(), client.is_tls, authority).map_err(|why| {
                self.foreign.count(client.from);
                Problem::new(StatusCode::FORBIDDEN, why)
            })?;
        }
        Ok(())
    }
}

/// Whether a request is more than a look: it changes something, or opens a WebSocket, which other sites may do.
fn changes_something(request: &Request) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD) || request.headers().contains_key(header::UPGRADE)
}

/// Whether a request that a cookie lets in was made by a page of the hub's own: browsers send cookies with others' requests, too.
pub(crate) fn is_own_page(request: &Request) -> Result<(), &'static str> {
    // An Origin that is there was found to be the hub's.
    let headers = request.headers();
    let is_own = headers.contains_key(header::ORIGIN) || address::fetch_site(headers) == Some("same-origin");
    if is_own || !changes_something(request) {
        return Ok(());
    }
    Err("with a cookie this needs the header Origin, or Sec-Fetch-Site: same-origin; scripts use HTTP Basic")
}

/// Tells the connection that a request on it is being answered, until the answer is whole. The outermost of all.
pub(crate) async fn progress(ConnectInfo(peer): ConnectInfo<Peer>, request: Request, next: Next) -> Response {
    let answering = peer.progress.answer();
    let response = next.run(request).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        answering.upgraded();
    }
    response.map(|body| Answered::body(body, answering))
}

/// Lets a request in or not, and sees to its answer.
pub(crate) async fn enter(
    State(door): State<Arc<Door>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = door.ids.of(request.headers());
    let (from, is_tls) = address::client(peer.address.ip(), request.headers(), &door.proxies);
    let client = Client { from, is_tls, progress: peer.progress };
    let path = request.uri().path();
    let is_api = path == "/api" || path.starts_with("/api/");
    let shown: String = path.chars().take(PATH_SHOWN_MAX).collect();
    let span = tracing::info_span!("request", id, method = %request.method(), path = shown);
    let response = async {
        match door.judge(&request, &client) {
            Ok(()) => {
                request.extensions_mut().insert(client);
                next.run(request).await
            }
            Err(problem) => problem.into_response(),
        }
    };
    let mut response = problem::told(response.instrument(span).await, &id).await;
    dress(response.headers_mut(), is_api, &id);
    response
}

fn dress(headers: &mut HeaderMap, is_api: bool, id: &str) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(request_id::HEADER, id);
    }
}
