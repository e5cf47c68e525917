//! Who may ask: HTTP Basic, for scripts. A browser is not asked for a password.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::actor::{Actor, Peer};
use crate::password::Administrator;
use crate::problem::Problem;

/// A right password is not hashed again for so long.
const KNOWN_FOR: Duration = Duration::from_mins(1);
/// Headers that are known at once: those of one administrator's scripts.
const KNOWN_MAX: usize = 16;
/// Passwords that are hashed at once; each takes 19 MiB and a core for some tens of milliseconds.
const HASHED_AT_ONCE: usize = 2;
/// Requests that wait for that; more are turned away.
const WAITING_MAX: usize = 32;
/// A wrong password costs whoever sent it so long.
const WRONG_DELAY: Duration = Duration::from_millis(500);
/// Longest header that is looked at, bytes.
const HEADER_BYTES_MAX: usize = 1_024;

/// Keeps strangers out.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Inner>);

struct Inner {
    administrator: watch::Receiver<Arc<Administrator>>,
    /// Digests of headers that were right together with the hash that they were right for, with when.
    known: Mutex<HashMap<[u8; 32], Instant>>,
    hashing: Semaphore,
    waiting: Semaphore,
}

impl Guard {
    pub(crate) fn new(administrator: watch::Receiver<Arc<Administrator>>) -> Self {
        let (hashing, waiting) = (Semaphore::new(HASHED_AT_ONCE), Semaphore::new(WAITING_MAX));
        Self(Arc::new(Inner { administrator, known: Mutex::default(), hashing, waiting }))
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

    async fn judge(&self, given: &[u8]) -> Result<String, Problem> {
        let wrong = || Problem::new(StatusCode::UNAUTHORIZED, "name and password of the administrator, by HTTP Basic");
        let (user, password) = basic(given).ok_or_else(wrong)?;
        let administrator = self.0.administrator.borrow().clone();
        let digest: [u8; 32] = Sha256::new().chain_update(administrator.hash()).chain_update(given).finalize().into();
        if self.is_known(&digest) {
            return Ok(user);
        }
        // Whoever guesses fills this, and the administrator whose scripts are known goes on all the same.
        let busy = |_| Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many passwords are being checked: try again");
        let _waits = self.0.waiting.try_acquire().map_err(busy)?;
        let name = user.clone();
        let is_right = {
            // It is never closed.
            let _hashes = self.0.hashing.acquire().await.ok();
            tokio::task::spawn_blocking(move || administrator.is(&user, &password)).await.unwrap_or(false)
        };
        if is_right {
            self.remember(digest);
            return Ok(name);
        }
        tracing::warn!("a wrong name or password at the control port");
        tokio::time::sleep(WRONG_DELAY).await;
        Err(wrong())
    }
}

/// Lets a request through, or answers it.
pub(crate) async fn admit(
    State(guard): State<Guard>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    match guard.judge(&given).await {
        Ok(name) => {
            request.extensions_mut().insert(Actor { name, from });
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
