//! Who may ask: HTTP Basic, for scripts. A browser is not asked for a password.

mod guesses;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::actor::{Actor, Peer};
use crate::password::Administrator;
use crate::problem::Problem;
use crate::tally::Tally;
use guesses::Guesses;

/// A right password is not hashed again for so long.
const KNOWN_FOR: Duration = Duration::from_mins(1);
/// Headers that are known at once: those of one administrator's scripts.
const KNOWN_MAX: usize = 16;
/// Longest header that is looked at, bytes.
const HEADER_BYTES_MAX: usize = 1_024;

/// Keeps strangers out.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Inner>);

struct Inner {
    administrator: watch::Receiver<Arc<Administrator>>,
    /// Digests of headers that were right together with the hash that they were right for, with when.
    known: Mutex<HashMap<[u8; 32], Instant>>,
    guesses: Guesses,
    wrong: Tally,
}

impl Guard {
    pub(crate) fn new(administrator: watch::Receiver<Arc<Administrator>>) -> Self {
        let wrong = Tally::new("wrong names or passwords at the control port");
        Self(Arc::new(Inner { administrator, known: Mutex::default(), guesses: Guesses::new(), wrong }))
    }

    fn is_known(&self, digest: &[u8; 32]) -> bool {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(digest).is_some_and(|at| at.elapsed() < KNOWN_FOR)
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, at| at.elapsed() < KNOWN_FOR);
        if known.len() < KNOWN_MAX {
            known.insert(digest, Instant::now());
        }
    }

    async fn judge(&self, given: &[u8], from: IpAddr) -> Result<String, Problem> {
        let (user, password) = basic(given).ok_or_else(wrong)?;
        let administrator = self.0.administrator.borrow().clone();
        let digest: [u8; 32] = Sha256::new().chain_update(administrator.hash()).chain_update(given).finalize().into();
        if self.is_known(&digest) {
            return Ok(user);
        }
        self.check(administrator, user.clone(), password, from, || self.is_known(&digest)).await?;
        self.remember(digest);
        Ok(user)
    }

    /// Whether it is they, in turn. Whoever is wrong waits for the answer; `is_known` may save the work meanwhile.
    async fn check(
        &self,
        administrator: Arc<Administrator>,
        user: String,
        password: String,
        from: IpAddr,
        is_known: impl Fn() -> bool,
    ) -> Result<(), Problem> {
        let Some(turn) = self.0.guesses.turn(from).await else {
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many passwords are being checked: try again"));
        };
        if is_known() {
            return Ok(());
        }
        let is_right = tokio::task::spawn_blocking(move || administrator.is(&user, &password)).await.unwrap_or(false);
        if is_right {
            turn.right();
            return Ok(());
        }
        let delay = turn.wrong();
        self.0.wrong.count(from);
        tokio::time::sleep(delay).await;
        Err(wrong())
    }
}

fn wrong() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "name and password of the administrator, by HTTP Basic")
}

/// Lets a request through, or answers it.
pub(crate) async fn admit(
    State(guard): State<Guard>,
    ConnectInfo(Peer { address: from, .. }): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    match guard.judge(&given, from.ip()).await {
        Ok(name) => {
            let actor = Actor { name, from };
            tracing::debug!(name = actor.name, from = %actor.from, method = %request.method(), path = request.uri().path());
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Name and password of a header.
fn basic(header: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(header.get(..header.len().min(HEADER_BYTES_MAX))?).ok()?;
    let (scheme, credentials) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || header.len() > HEADER_BYTES_MAX {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (user, password) = credentials.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
