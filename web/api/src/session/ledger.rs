//! Who is logged in, until when. A function of its arguments: what time it is comes in.

use std::collections::HashMap;

use mdhub_spec::time::{Mono, Now};
use serde::{Deserialize, Serialize};

/// Logins at once; a new one ends the oldest.
const SESSIONS_MAX: usize = 64;

/// A digest: of a session's id, or of the password's hash that it was opened with.
pub(crate) type Digest = [u8; 32];

/// How long a login lasts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetimes {
    /// Without a request, milliseconds.
    pub(super) idle_ms: u64,
    /// In all, milliseconds.
    pub(super) max_ms: u64,
}

#[derive(Debug)]
struct Session {
    name: String,
    of: Digest,
    began: Mono,
    /// How old it was when this hub began, milliseconds.
    aged_ms: u64,
    used: Mono,
}

/// A login as it is written down, so that it outlives a hub. Whoever reads it cannot log in with it.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    id: Digest,
    name: String,
    of: Digest,
    /// Milliseconds since the epoch, as the next.
    began_ms: i64,
    used_ms: i64,
}

impl Session {
    fn left_ms(&self, Lifetimes { idle_ms, max_ms }: Lifetimes, now: Mono) -> u64 {
        let age_ms = now.ms_since(self.began).saturating_add(self.aged_ms);
        idle_ms.saturating_sub(now.ms_since(self.used)).min(max_ms.saturating_sub(age_ms))
    }
}

/// A login that holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// Whose it is.
    pub(crate) name: String,
    /// It ends in so many milliseconds, unless it is used.
    pub(crate) left_ms: u64,
}

/// The logins. Of each id only the digest is kept.
#[derive(Debug)]
pub(super) struct Ledger {
    lifetimes: Lifetimes,
    sessions: HashMap<Digest, Session>,
}

impl Ledger {
    pub(super) fn new(lifetimes: Lifetimes) -> Self {
        Self { lifetimes, sessions: HashMap::new() }
    }

    fn left_ms(&self, session: &Session, now: Mono) -> u64 {
        session.left_ms(self.lifetimes, now)
    }

    /// Begins a login with the password whose hash has the digest `of`; says how long it lasts, milliseconds.
    pub(super) fn open(&mut self, id: Digest, name: &str, of: Digest, now: Mono) -> u64 {
        let Self { lifetimes: lifetimes @ Lifetimes { idle_ms, max_ms }, .. } = *self;
        self.sessions.retain(|_, s| s.of == of && s.left_ms(lifetimes, now) > 0);
        while self.sessions.len() >= SESSIONS_MAX {
            let age_ms = |s: &Session| now.ms_since(s.began).saturating_add(s.aged_ms);
            let oldest = self.sessions.iter().max_by_key(|(_, s)| age_ms(s)).map(|(id, _)| *id);
            let Some(oldest) = oldest else { break };
            self.sessions.remove(&oldest);
        }
        self.sessions.insert(id, Session { name: name.to_owned(), of, began: now, aged_ms: 0, used: now });
        idle_ms.min(max_ms)
    }

    /// The login with this id, which is used now; none is left when the password is another one by now.
    pub(super) fn used(&mut self, id: &Digest, of: &Digest, now: Mono) -> Option<Open> {
        let session = self.sessions.get(id)?;
        if session.of != *of || self.left_ms(session, now) == 0 {
            self.sessions.remove(id);
            return None;
        }
        let session = self.sessions.get_mut(id)?;
        session.used = now;
        let name = session.name.clone();
        let left_ms = self.sessions.get(id).map_or(0, |session| self.left_ms(session, now));
        Some(Open { name, left_ms })
    }

    /// Whether there is a login with this id; this is no use of it.
    pub(super) fn holds(&self, id: &Digest, of: &Digest, now: Mono) -> bool {
        self.sessions.get(id).is_some_and(|session| session.of == *of && self.left_ms(session, now) > 0)
    }

    /// All of them, to be written down.
    pub(super) fn written(&self, now: Now) -> String {
        let at_ms = |mono: Mono| now.wall_ms().saturating_sub_unsigned(now.mono.ms_since(mono));
        let all = self.sessions.iter().map(|(id, s)| Written {
            id: *id,
            name: s.name.clone(),
            of: s.of,
            began_ms: at_ms(s.began).saturating_sub_unsigned(s.aged_ms),
            used_ms: at_ms(s.used),
        });
        serde_json::to_string(&all.collect::<Vec<_>>()).unwrap_or_default()
    }

    /// Takes back what a hub before this one has written. One that is over by now, or is from the future, as when the clock was set
    /// back, is left out; so is what cannot be read.
    pub(super) fn take_back(&mut self, text: &str, now: Now) {
        let read: Vec<Written> = serde_json::from_str(text).unwrap_or_default();
        for Written { id, name, of, began_ms, used_ms } in read.into_iter().take(SESSIONS_MAX) {
            let since = |ms: i64| u64::try_from(now.wall_ms().saturating_sub(ms)).ok();
            let (Some(aged_ms), Some(idle_ms)) = (since(began_ms), since(used_ms)) else { continue };
            if aged_ms < self.lifetimes.max_ms && idle_ms < self.lifetimes.idle_ms {
                self.sessions.insert(id, Session { name, of, began: now.mono, aged_ms, used: now.mono });
            }
        }
    }

    /// Ends one.
    pub(super) fn close(&mut self, id: &Digest) {
        self.sessions.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Digest = [7; 32];

    fn id(n: u8) -> Digest {
        [n; 32]
    }

    fn at(ms: u64) -> Mono {
        Mono(1_000_000_000).plus_ms(ms)
    }

    fn ledger() -> Ledger {
        Ledger::new(Lifetimes { idle_ms: 100, max_ms: 250 })
    }

    #[test]
    fn a_login_ends_when_it_is_not_used_and_after_its_time_in_any_case() {
        let mut ledger = ledger();
        assert_eq!(ledger.open(id(1), "admin", OF, at(0)), 100);
        for (ms, left_ms) in [(99, Some(100)), (198, Some(52)), (249, Some(1)), (250, None), (251, None)] {
            let found = ledger.used(&id(1), &OF, at(ms));
            assert_eq!(found.map(|open| open.left_ms), left_ms, "{ms}");
        }
        ledger.open(id(2), "admin", OF, at(300));
        assert_eq!(ledger.used(&id(2), &OF, at(400)), None, "100 ms without a request");
    }

    #[test]
    fn an_id_that_was_never_given_or_was_logged_out_or_of_another_password_is_nobodys() {
        let mut ledger = ledger();
        ledger.open(id(1), "admin", OF, at(0));
        assert_eq!(ledger.used(&id(2), &OF, at(1)), None);
        assert!(ledger.used(&id(1), &OF, at(1)).is_some_and(|open| open.name == "admin"));
        assert_eq!(ledger.used(&id(1), &[8; 32], at(2)), None, "the password is another one");
        assert_eq!(ledger.used(&id(1), &OF, at(3)), None, "and it stays ended");
        ledger.open(id(3), "admin", OF, at(4));
        assert!(ledger.holds(&id(3), &OF, at(5)) && !ledger.holds(&id(3), &[8; 32], at(5)));
        assert!(!ledger.holds(&id(3), &OF, at(104)), "to look is no use");
        ledger.close(&id(3));
        assert!(!ledger.holds(&id(3), &OF, at(5)));
        assert_eq!(ledger.used(&id(3), &OF, at(5)), None);
    }

    fn now(ms: u64, wall_ms: u64) -> Now {
        Now { mono: at(ms), wall_ns: wall_ms * 1_000_000 }
    }

    #[test]
    fn a_login_outlives_its_hub_but_not_its_time() {
        let mut before = ledger();
        before.open(id(1), "admin", OF, at(0));
        before.open(id(2), "admin", OF, at(40));
        before.used(&id(1), &OF, at(60));
        let written = before.written(now(60, 1_000_060));
        assert!(!written.contains("admin-password"));
        // The machine was started anew: its clocks begin again. Fifty milliseconds are gone.
        let (mut after, then) = (ledger(), Now { mono: Mono(5_000_000), wall_ns: 1_000_110_000_000 });
        after.take_back(&written, then);
        let left_ms = |after: &mut Ledger, n| after.used(&id(n), &OF, then.mono).map(|open| open.left_ms);
        assert_eq!((left_ms(&mut after, 1), left_ms(&mut after, 2)), (Some(100), Some(100)));
        assert!(after.used(&id(1), &OF, then.mono.plus_ms(99)).is_some());
        assert_eq!(after.used(&id(1), &OF, then.mono.plus_ms(141)), None, "250 ms since it began");
        let mut late = ledger();
        late.take_back(&written, now(0, 1_000_150));
        assert_eq!(late.sessions.len(), 1, "one was used 90 ms ago, the other 110");
        late.take_back(&written, now(0, 900_000));
        late.take_back("no JSON", now(0, 1_000_060));
        assert_eq!(late.sessions.len(), 1, "from the future, or not to be read");
    }

    #[test]
    fn of_too_many_the_oldest_ends_and_what_is_over_takes_no_place() {
        let mut ledger = ledger();
        for n in 0..64 {
            ledger.open(id(n), "admin", OF, at(u64::from(n)));
        }
        assert!(ledger.used(&id(0), &OF, at(64)).is_some());
        ledger.open(id(64), "admin", OF, at(64));
        assert_eq!(ledger.sessions.len(), SESSIONS_MAX);
        assert_eq!(ledger.used(&id(0), &OF, at(65)), None, "the oldest, though it was used last");
        assert!(ledger.used(&id(1), &OF, at(65)).is_some());
        ledger.open(id(65), "admin", OF, at(1_000));
        assert_eq!(ledger.sessions.len(), 1);
    }
}
