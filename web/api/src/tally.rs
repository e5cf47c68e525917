//! What strangers cause again and again costs the log one line at first, and one a minute from then on.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between two lines.
const EVERY: Duration = Duration::from_mins(1);

/// Counts one kind of thing that strangers do.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    what: &'static str,
    open: Arc<Mutex<Option<Minute>>>,
}

/// What was counted since the last line.
#[derive(Debug, Default)]
struct Minute {
    count: u64,
    last: Option<IpAddr>,
}

impl Tally {
    /// `what` happened, in the plural.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, open: Arc::default() }
    }

    /// It has happened, by whoever is at `peer`.
    pub(crate) fn count(&self, peer: IpAddr) {
        if self.is_first(peer) {
            tracing::warn!(%peer, "{}", self.what);
            let tally = self.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(EVERY).await;
                    let Some((count, last)) = tally.close() else { return };
                    tracing::warn!(count, last_peer = %last, "{}, so many in the last minute", tally.what);
                }
            });
        }
    }

    /// Counts; says whether it is to be told at once.
    fn is_first(&self, peer: IpAddr) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *open {
            None => {
                *open = Some(Minute::default());
                true
            }
            Some(minute) => {
                minute.count += 1;
                minute.last = Some(peer);
                false
            }
        }
    }

    /// Ends a minute: what was counted in it. After one without anything the next is told at once again.
    fn close(&self) -> Option<(u64, IpAddr)> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let told = open.take().and_then(|minute| minute.last.map(|last| (minute.count, last)));
        *open = told.is_some().then(Minute::default);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_by_their_number() {
        let tally = Tally::new("guesses");
        let peer = |last| IpAddr::from([10, 0, 0, last]);
        assert!(tally.is_first(peer(1)));
        for n in 0..999 {
            assert!(!tally.is_first(peer(if n == 998 { 3 } else { 2 })));
        }
        assert_eq!(tally.close(), Some((999, peer(3))));
        assert!(!tally.is_first(peer(1)), "the next minute begins");
        assert_eq!(tally.close(), Some((1, peer(1))));
        assert_eq!(tally.close(), None, "a quiet minute");
        assert!(tally.is_first(peer(1)));
    }
}
