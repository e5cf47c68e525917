//! Who is logged in, until when. A function of its arguments: what time it is comes in.

use std::collections::HashMap;

use mdhub_spec::time::Mono;

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
    used: Mono,
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
        let idle = self.lifetimes.idle_ms.saturating_sub(now.ms_since(session.used));
        idle.min(self.lifetimes.max_ms.saturating_sub(now.ms_since(session.began)))
    }

    /// Begins a login with the password whose hash has the digest `of`; says how long it lasts, milliseconds.
    pub(super) fn open(&mut self, id: Digest, name: &str, of: Digest, now: Mono) -> u64 {
        let Self { lifetimes: Lifetimes { idle_ms, max_ms }, .. } = *self;
        self.sessions.retain(|_, s| s.of == of && now.ms_since(s.used) < idle_ms && now.ms_since(s.began) < max_ms);
        while self.sessions.len() >= SESSIONS_MAX {
            let Some(oldest) = self.sessions.iter().min_by_key(|(_, s)| s.began).map(|(id, _)| *id) else { break };
            self.sessions.remove(&oldest);
        }
        self.sessions.insert(id, Session { name: name.to_owned(), of, began: now, used: now });
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
