//! Who may ask: whoever is logged in, and HTTP Basic, for scripts. A browser is not asked for a password.
//!
//! | file | is about |
//! |---|---|
//! | `guesses` | passwords that wait to be checked |

mod guesses;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::actor::{Actor, Client};
use crate::door;
use crate::limited::progress::Progress;
use crate::password::Administrator;
use crate::problem::Problem;
use crate::session::ledger::Digest;
use crate::session::{Key, Sessions};
use crate::tally::Tally;
use guesses::Guesses;

/// A right password is not hashed again for so long.
const KNOWN_FOR: Duration = Duration::from_mins(1);
/// Headers that are known at once: those of one administrator's scripts.
const KNOWN_MAX: usize = 16;
/// How often it is looked whether those who have a WebSocket may still have it.
const LOOK: Duration = Duration::from_secs(1);
/// Longest header that is looked at, bytes.
const HEADER_BYTES_MAX: usize = 1_024;

/// Keeps strangers out.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Inner>);

struct Inner {
    administrator: watch::Receiver<Arc<Administrator>>,
    sessions: Sessions,
    /// Digests of headers that were right together with the hash that they were right for, with when.
    known: Mutex<HashMap<Digest, Instant>>,
    guesses: Guesses,
    wrong: Tally,
    forged: Tally,
}

impl Guard {
    pub(crate) fn new(administrator: watch::Receiver<Arc<Administrator>>, sessions: Sessions) -> Self {
        let wrong = Tally::new("wrong names or passwords at the control port");
        let forged = Tally::new("cookies at the control port that name no login, or one that is over");
        let (known, guesses) = (Mutex::default(), Guesses::new());
        Self(Arc::new(Inner { administrator, sessions, known, guesses, wrong, forged }))
    }

    /// The logins.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// Of the password's hash: a login holds only as long as it is the same.
    pub(crate) fn administrators_digest(&self) -> Digest {
        digest_of(&self.0.administrator.borrow())
    }

    fn is_known(&self, digest: &Digest) -> bool {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(digest).is_some_and(|at| at.elapsed() < KNOWN_FOR)
    }

    fn remember(&self, digest: Digest) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, at| at.elapsed() < KNOWN_FOR);
        if known.len() < KNOWN_MAX {
            known.insert(digest, Instant::now());
        }
    }

    /// Closes a WebSocket once whoever opened it would not be let in any more: their login has ended, or the password with the
    /// digest `of` is another one.
    async fn close_in_time(self, session: Option<Key>, of: Digest, connection: Weak<Progress>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(connection) = connection.upgrade() else { return };
            let holds = session.is_none_or(|key| self.0.sessions.holds(&key, &of));
            if !holds || self.administrators_digest() != of {
                connection.close();
                return;
            }
        }
    }

    /// Whoever is let in with this request.
    async fn judge(
        &self,
        headers: &HeaderMap,
        is_own_page: Result<(), &str>,
        client: &Client,
    ) -> Result<Actor, Problem> {
        let from = client.from;
        if let Some(given) = headers.get(header::AUTHORIZATION) {
            return Ok(Actor { name: self.basic(given.as_bytes(), client).await?, from, session: None });
        }
        let (found, is_named) = self.0.sessions.find(headers, &self.administrators_digest());
        match found {
            Some((key, open)) => {
                is_own_page.map_err(|why| Problem::new(StatusCode::FORBIDDEN, why))?;
                Ok(Actor { name: open.name, from, session: Some(key) })
            }
            None => {
                if is_named {
                    self.0.forged.count(from);
                }
                Err(wrong())
            }
        }
    }

    async fn basic(&self, given: &[u8], client: &Client) -> Result<String, Problem> {
        let (user, password) = basic(given).ok_or_else(wrong)?;
        let administrator = self.0.administrator.borrow().clone();
        let digest: Digest = Sha256::new().chain_update(administrator.hash()).chain_update(given).finalize().into();
        if self.is_known(&digest) {
            return Ok(user);
        }
        self.check(administrator, user.clone(), password, client, || self.is_known(&digest)).await?;
        self.remember(digest);
        Ok(user)
    }

    /// Checks who wants to log in; gives the digest of the hash that the password was right for.
    pub(crate) async fn log_in(&self, user: &str, password: String, client: &Client) -> Result<Digest, Problem> {
        let administrator = self.0.administrator.borrow().clone();
        let of = digest_of(&administrator);
        self.check(administrator, user.to_owned(), password, client, || false).await?;
        Ok(of)
    }

    /// Whether it is they, in turn. Whoever is wrong waits for the answer; `is_known` may save the work meanwhile.
    async fn check(
        &self,
        administrator: Arc<Administrator>,
        user: String,
        password: String,
        client: &Client,
        is_known: impl Fn() -> bool,
    ) -> Result<(), Problem> {
        // A stranger's connection keeps nobody else's out.
        let _gives_way = client.progress.give_way();
        let Some(turn) = self.0.guesses.turn(client.from).await else {
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
        self.0.wrong.count(client.from);
        tokio::time::sleep(delay).await;
        Err(wrong())
    }
}

fn digest_of(administrator: &Administrator) -> Digest {
    Sha256::digest(administrator.hash()).into()
}

fn wrong() -> Problem {
    let how = "name and password of the administrator: log in at /api/session, or send them by HTTP Basic";
    Problem::new(StatusCode::UNAUTHORIZED, how)
}

/// Lets a request through, or answers it.
pub(crate) async fn admit(
    State(guard): State<Guard>,
    Extension(client): Extension<Client>,
    mut request: Request,
    next: Next,
) -> Response {
    let (is_own_page, of) = (door::is_own_page(&request), guard.administrators_digest());
    match guard.judge(request.headers(), is_own_page, &client).await {
        Ok(actor) => {
            tracing::debug!(name = actor.name, from = %actor.from, "let in");
            request.extensions_mut().insert(actor.clone());
            let response = next.run(request).await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                tokio::spawn(guard.close_in_time(actor.session, of, Arc::downgrade(&client.progress)));
            }
            response
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
