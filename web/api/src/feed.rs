//! What the feed tells when it is asked: who is connected, which ticks were rejected, and which were published lately.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::{PeerStatus, QuarantineReport, Quarantined, SourceSlot, Standing};
use mdhub_spec::raw_tick::{RawTick, text};
use mdhub_spec::settings::{Rule, Token};
use mdhub_spec::time::NS_PER_MS;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use utoipa::{IntoParams, ToSchema};

use crate::Sources;
use crate::actor::Client;
use crate::contracts::ContractTable;
use crate::guard::{self, Guard};
use crate::problem::{Problem, ProblemDetails};
use crate::tally::Tally;

/// Rejected ticks of one answer: at most, and unless asked otherwise.
const REJECTED_MAX: usize = 500;
const REJECTED: usize = 100;
/// Published ticks of one answer: at most, and unless asked otherwise.
const TICKS_MAX: usize = 1_000;

/// The feed, as far as it can be asked. `None` is a feed that does not answer in time.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Who is connected.
    async fn peers(&self) -> Option<Vec<PeerStatus>>;

    /// Ticks that were rejected lately, newest first.
    async fn quarantine(
        &self,
        rule: Option<Rule>,
        source: Option<SourceSlot>,
        contract: Option<Contract>,
        limit: usize,
    ) -> Option<QuarantineReport>;

    /// Ticks of a contract with a greater `seq`, or its newest, as JSON.
    async fn recent(
        &self,
        vt_symbol: String,
        epoch: Option<u64>,
        after_seq: Option<u64>,
        limit: usize,
    ) -> Option<Recent>;

    /// What comes of every contract that is wanted.
    async fn contracts(&self) -> Option<Arc<ContractTable>>;

    /// Whose place among the sources this is.
    fn account(&self, slot: SourceSlot) -> Option<AccountId>;

    /// The place of an account, while it has one.
    fn slot(&self, account: &AccountId) -> Option<SourceSlot>;

    /// Who may read ticks without being the administrator.
    fn tokens(&self) -> Vec<Token>;
}

/// Ticks that were published lately.
#[derive(Debug, Clone, PartialEq)]
pub enum Recent {
    /// They.
    Ticks {
        /// The present epoch.
        epoch: u64,
        /// In the order of their `seq`, without a gap.
        items: Vec<Value>,
    },
    /// What was asked for is of another epoch, or has left the log.
    Gone {
        /// The present epoch.
        epoch: u64,
        /// The smallest `seq` that is still there.
        oldest_seq: u64,
    },
    /// No tick of this contract was published since the hub started.
    Unknown,
    /// One of them cannot be shown.
    Unreadable,
}

/// For the administrator.
pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/subscribers", get(subscribers)).route("/quarantine", get(quarantine))
}

/// For the administrator, and for whoever has a publish token.
pub(crate) fn tick_routes(guard: &Guard, feed: &Arc<dyn Feed>) -> Router<Sources> {
    let readers =
        Readers { guard: guard.clone(), feed: Arc::clone(feed), wrong: Tally::new("wrong tokens at the control port") };
    Router::new().route("/ticks/{vt_symbol}", get(ticks).layer(middleware::from_fn_with_state(readers, admit_reader)))
}

/// Keeps out who may not read ticks.
#[derive(Clone)]
struct Readers {
    guard: Guard,
    feed: Arc<dyn Feed>,
    wrong: Tally,
}

async fn admit_reader(
    State(Readers { guard, feed, wrong }): State<Readers>,
    client: Extension<Client>,
    request: Request,
    next: Next,
) -> Response {
    let Some(token) = bearer(request.headers()) else {
        return guard::admit(State(guard), client, request, next).await;
    };
    let digest = Sha256::digest(token);
    // Every one is compared, and each in constant time.
    let is_known = feed.tokens().iter().fold(false, |known, t| known | bool::from(digest.ct_eq(&t.sha256.0)));
    if is_known {
        return next.run(request).await;
    }
    wrong.count(client.from);
    Problem::new(StatusCode::UNAUTHORIZED, "the token is none of publish.tokens").into_response()
}

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let given = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = given.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

pub(crate) fn no_answer() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the feed does not answer in time: try again")
}

fn bad(why: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, why)
}

pub(crate) fn asked<T>(wanted: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    wanted.map(|Query(wanted)| wanted).map_err(|e| bad(e.body_text()))
}

pub(crate) fn within(limit: Option<usize>, usual: usize, most: usize) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(usual);
    if (1..=most).contains(&limit) {
        return Ok(limit);
    }
    Err(bad(format!("limit: {limit} is not allowed: 1 to {most}")))
}

/// Subscribers of the tick socket.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Subscribers {
    items: Vec<Subscriber>,
}

/// One connection to the tick socket.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Subscriber {
    /// Where it comes from.
    #[schema(value_type = String)]
    address: SocketAddr,
    /// The name of its token; null when it gave none.
    token: Option<String>,
    /// How long it is connected, milliseconds.
    connected_ms: u64,
    /// How long ago it was last heard or took something, milliseconds.
    idle_ms: u64,
    /// Different prefixes that it subscribed.
    subscriptions: usize,
    /// Some of them, sixteen at most; the empty one is everything.
    topics: Vec<String>,
    /// Ticks put into its buffer, snapshots included.
    delivered: u64,
    /// Ticks dropped for it.
    dropped: u64,
    /// Bytes that wait for it.
    waiting_bytes: usize,
}

impl From<PeerStatus> for Subscriber {
    fn from(peer: PeerStatus) -> Self {
        Self {
            address: peer.address,
            token: peer.token.as_deref().map(str::to_owned),
            connected_ms: peer.connected_ms,
            idle_ms: peer.idle_ms,
            subscriptions: peer.subscriptions,
            topics: peer.topics,
            delivered: peer.delivered,
            dropped: peer.dropped,
            waiting_bytes: peer.waiting_bytes,
        }
    }
}

/// Who subscribes, what was sent, what waits.
#[utoipa::path(get, path = "/api/subscribers", tag = "ticks", responses(
    (status = 200, body = Subscribers),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the feed does not answer"),
))]
pub(crate) async fn subscribers(State(sources): State<Sources>) -> Result<Json<Subscribers>, Problem> {
    let peers = sources.feed.peers().await.ok_or_else(no_answer)?;
    Ok(Json(Subscribers { items: peers.into_iter().map(Subscriber::from).collect() }))
}

/// Which rejected ticks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Rejected {
    /// Only those that this rule rejected.
    #[param(value_type = Option<String>)]
    rule: Option<Rule>,
    /// Only those of this account.
    #[param(value_type = Option<String>)]
    source: Option<AccountId>,
    /// Only those of this contract.
    #[param(value_type = Option<String>)]
    vt_symbol: Option<Contract>,
    /// At most so many.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<usize>,
}

/// Ticks that were rejected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quarantine {
    /// Newest first.
    items: Vec<RejectedTick>,
    /// Ticks that are kept now, whatever was asked for.
    kept: usize,
    /// Ticks ever rejected since the hub started.
    total: u64,
    /// The contracts with the most of them.
    by_contract: Vec<RejectedOf>,
}

/// A tick that was rejected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectedTick {
    /// By which rule.
    #[schema(value_type = String)]
    rule: Rule,
    /// Who brought it; null where the account is gone.
    #[schema(value_type = Option<String>)]
    source: Option<AccountId>,
    /// Of which contract; null when nobody asked for it.
    #[schema(value_type = Option<String>)]
    vt_symbol: Option<Contract>,
    /// Why, with the values that were compared.
    reason: String,
    /// When it was read, milliseconds since the epoch.
    read_at_ms: u64,
    /// Its exchange time, milliseconds since the epoch, where it has one.
    exchange_time_ms: Option<i64>,
    /// The contract's last published tick by then; null before there was one.
    last: Option<Compared>,
    /// The vendor's record.
    raw: Value,
}

/// A published tick that a later one was compared with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Compared {
    /// Its exchange time, milliseconds since the epoch.
    exchange_time_ms: i64,
    /// `YYYYMMDD`.
    trading_day: u32,
    /// Lots since the trading day began.
    volume: i64,
    /// Currency since the trading day began, where it had one.
    turnover: Option<f64>,
    /// Where it had one.
    last_price: Option<f64>,
}

impl From<Standing> for Compared {
    fn from(last: Standing) -> Self {
        let Standing { exchange_time_ms, trading_day, volume, turnover, last_price } = last;
        let present = |value: f64| value.is_finite().then_some(value);
        Self { exchange_time_ms, trading_day, volume, turnover: present(turnover), last_price: present(last_price) }
    }
}

/// How many were rejected of a contract.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectedOf {
    /// Which.
    #[schema(value_type = String)]
    vt_symbol: Contract,
    /// How many, since the hub started.
    count: u64,
}

/// Ticks that were rejected, why, and as the vendor wrote them.
#[utoipa::path(get, path = "/api/quarantine", tag = "ticks", params(Rejected), responses(
    (status = 200, body = Quarantine),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "a parameter is wrong or unknown"),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "there is no source of that name"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the feed does not answer"),
))]
pub(crate) async fn quarantine(
    State(sources): State<Sources>,
    wanted: Result<Query<Rejected>, QueryRejection>,
) -> Result<Json<Quarantine>, Problem> {
    let Rejected { rule, source, vt_symbol, limit } = asked(wanted)?;
    let limit = within(limit, REJECTED, REJECTED_MAX)?;
    let slot = match source {
        Some(id) => {
            let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("source {id}: there is none of that name"));
            Some(sources.feed.slot(&id).ok_or_else(unknown)?)
        }
        None => None,
    };
    let report = sources.feed.quarantine(rule, slot, vt_symbol, limit).await.ok_or_else(no_answer)?;
    let items = report.ticks.iter().map(|tick| rejected(tick, &*sources.feed)).collect();
    let by_contract =
        report.by_contract.into_iter().map(|(vt_symbol, count)| RejectedOf { vt_symbol, count }).collect();
    Ok(Json(Quarantine { items, kept: report.kept, total: report.total, by_contract }))
}

fn rejected(tick: &Quarantined, feed: &dyn Feed) -> RejectedTick {
    RejectedTick {
        rule: tick.rule,
        source: feed.account(tick.source),
        vt_symbol: tick.contract.clone(),
        reason: tick.reason.clone(),
        read_at_ms: tick.read_wall_ns / NS_PER_MS,
        exchange_time_ms: tick.exchange_time_ms,
        last: tick.last.map(Compared::from),
        raw: raw(&tick.raw),
    }
}

/// A record as the vendor wrote it.
fn raw(raw: &RawTick) -> Value {
    let text = |field: &[u8]| String::from_utf8_lossy(text(field)).into_owned();
    let levels: Vec<Value> = raw
        .levels
        .iter()
        .map(|level| {
            json!({
                "bid_price": level.bid_price.get(), "bid_volume": level.bid_volume.get(),
                "ask_price": level.ask_price.get(), "ask_volume": level.ask_volume.get(),
            })
        })
        .collect();
    json!({
        "instrument": text(&raw.instrument), "exchange": text(&raw.exchange), "trading_day": text(&raw.trading_day),
        "action_day": text(&raw.action_day), "update_time": text(&raw.update_time), "update_ms": raw.update_ms.get(),
        "volume": raw.volume.get(), "turnover": raw.turnover.get(), "open_interest": raw.open_interest.get(),
        "last_price": raw.last_price.get(), "limit_up": raw.limit_up.get(), "limit_down": raw.limit_down.get(),
        "pre_settlement": raw.pre_settlement.get(), "levels": levels,
    })
}

/// From where on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// That `after_seq` is of; the present one where it is left out.
    epoch: Option<u64>,
    /// Those with a greater `seq`; the newest where it is left out.
    after_seq: Option<u64>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<usize>,
}

/// Ticks that were published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ticks {
    /// Of these numbers: the hub's start.
    epoch: String,
    /// In the order of their `seq`, without a gap; the fields of a tick's payload.
    items: Vec<Value>,
}

/// The last ticks of a contract, to fill a gap.
#[utoipa::path(get, path = "/api/ticks/{vt_symbol}", tag = "ticks", params(("vt_symbol" = String, Path), After),
    security(("session" = []), ("basic" = []), ("token" = [])), responses(
    (status = 200, body = Ticks),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "the contract or a parameter is wrong"),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "no tick of it was published"),
    (status = 410, body = ProblemDetails, content_type = "application/problem+json", description = "of another epoch, or no longer there: with the present epoch and oldest_seq"),
    (status = 500, body = ProblemDetails, content_type = "application/problem+json", description = "one of the ticks cannot be read again"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the feed does not answer"),
))]
pub(crate) async fn ticks(
    State(sources): State<Sources>,
    Path(vt_symbol): Path<String>,
    wanted: Result<Query<After>, QueryRejection>,
) -> Result<Json<Ticks>, Problem> {
    let After { epoch, after_seq, limit } = asked(wanted)?;
    let limit = within(limit, TICKS_MAX, TICKS_MAX)?;
    let contract: Contract = vt_symbol.parse().map_err(|e: mdhub_spec::contract::ContractError| bad(e.to_string()))?;
    let found = sources.feed.recent(contract.vt_symbol(), epoch, after_seq, limit).await;
    match found.ok_or_else(no_answer)? {
        Recent::Ticks { epoch, items } => Ok(Json(Ticks { epoch: epoch.to_string(), items })),
        Recent::Unreadable => {
            tracing::error!(%contract, "a tick that was published cannot be read again");
            let why = format!("{contract}: a tick that was published cannot be read again; subscribers got it");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why))
        }
        Recent::Gone { epoch, oldest_seq } => {
            let why = "it is of another epoch, or what comes after after_seq has left the log";
            Err(Problem::new(StatusCode::GONE, why).with("epoch", epoch.to_string()).with("oldest_seq", oldest_seq))
        }
        Recent::Unknown => {
            let why = format!("{contract}: no tick of it was published since the hub started");
            Err(Problem::new(StatusCode::NOT_FOUND, why))
        }
    }
}
