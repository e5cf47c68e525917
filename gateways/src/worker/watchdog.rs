//! When a worker gives up: a pure state. Each limit has an exit code of its own, and words with numbers in them.

use std::collections::VecDeque;

use mdhub_spec::frame::Limits;
use mdhub_spec::process::{
    EXIT_DISCONNECTS, EXIT_LOGIN_UNANSWERED, EXIT_NO_FRONT, EXIT_OVERFLOW, EXIT_SILENT, EXIT_UNANSWERED,
};
use mdhub_spec::time::Mono;

use super::Leave;
use super::session::Settled;

/// Lost connections that are remembered at most, whatever the limit says.
const LOSSES_MAX: usize = 10_000;
/// A worker that had a tick so recently leaves its front in good standing.
const WELL_MS: u64 = 10_000;

/// How far the connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Front {
    Down { since: Mono },
    Connected { since: Mono },
    LoggedIn,
}

/// What is watched.
#[derive(Debug)]
pub(super) struct Watchdog {
    limits: Limits,
    front: Front,
    /// When connections were lost, newest last; as many as are too many.
    losses: VecDeque<Mono>,
    lost: u64,
    last_reason: Option<i32>,
    session_open_since: Option<Mono>,
    /// When at least one subscription came to stand.
    subscribed_since: Option<Mono>,
    received: u64,
    /// When ticks were last seen to have come.
    ticked_at: Option<Mono>,
    dropped: u64,
    overflow_beats: u32,
}

impl Watchdog {
    /// Begins to watch when the library begins to connect.
    #[must_use]
    pub(super) fn new(limits: Limits, session_open: bool, now: Mono) -> Self {
        Self {
            limits,
            front: Front::Down { since: now },
            losses: VecDeque::new(),
            lost: 0,
            last_reason: None,
            session_open_since: session_open.then_some(now),
            subscribed_since: None,
            received: 0,
            ticked_at: None,
            dropped: 0,
            overflow_beats: 0,
        }
    }

    /// The front took the connection.
    pub(super) fn connected(&mut self, now: Mono) {
        self.front = Front::Connected { since: now };
    }

    /// The connection is gone, or an attempt at one failed: the vendor calls both the same.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn disconnected(&mut self, reason: i32, now: Mono) -> Result<(), Leave> {
        // An attempt that fails does not begin the wait for a front anew.
        if !matches!(self.front, Front::Down { .. }) {
            self.front = Front::Down { since: now };
        }
        self.subscribed_since = None;
        (self.lost, self.last_reason) = (self.lost + 1, Some(reason));
        let most = usize::try_from(self.limits.disconnects_max).unwrap_or(LOSSES_MAX).min(LOSSES_MAX);
        self.losses.push_back(now);
        if self.losses.len() <= most {
            return Ok(());
        }
        let Some(first) = self.losses.pop_front() else { return Ok(()) };
        let took_ms = now.ms_since(first);
        if took_ms > self.limits.disconnects_window_ms {
            return Ok(());
        }
        let text = format!(
            "the front's connection was lost {} times within {}, the last time for {}; at most {most} within {} are borne",
            most + 1,
            seconds(took_ms),
            reason_words(reason),
            seconds(self.limits.disconnects_window_ms),
        );
        Err(Leave::new(EXIT_DISCONNECTS, text))
    }

    /// The front took the login.
    pub(super) fn logged_in(&mut self) {
        self.front = Front::LoggedIn;
    }

    /// Every subscription was answered or counts as unanswered.
    ///
    /// # Errors
    /// When there are some, not one was answered, and no tick came either.
    pub(super) fn settled(&mut self, settled: &Settled, received: u64, now: Mono) -> Result<(), Leave> {
        self.look(received, now);
        let Settled { accepted, refused, unanswered, first } = settled;
        if *unanswered > 0 && accepted + refused == 0 && self.ticked_at.is_none() {
            let text = format!(
                "logged in, but none of {unanswered} subscriptions was answered within {}: {}",
                seconds(self.limits.subscribe_timeout_ms),
                shown(first, *unanswered),
            );
            return Err(Leave::new(EXIT_UNANSWERED, text));
        }
        let stands = *accepted > 0;
        self.subscribed_since = stands.then(|| self.subscribed_since.unwrap_or(now));
        Ok(())
    }

    /// The session opened or closed.
    pub(super) fn session(&mut self, open: bool, now: Mono) {
        self.session_open_since = open.then(|| self.session_open_since.unwrap_or(now));
    }

    /// Once a second: `dropped` ticks so far found the ring full.
    ///
    /// # Errors
    /// When some did in too many consecutive seconds.
    pub(super) fn beat(&mut self, dropped: u64) -> Result<(), Leave> {
        self.overflow_beats = if dropped > self.dropped { self.overflow_beats + 1 } else { 0 };
        self.dropped = dropped;
        if self.overflow_beats < self.limits.overflow_beats_max.max(1) {
            return Ok(());
        }
        let beats = self.overflow_beats;
        let text = format!(
            "the ring dropped ticks in each of {beats} consecutive seconds, {dropped} in all: the hub does not keep up"
        );
        Err(Leave::new(EXIT_OVERFLOW, text))
    }

    /// Whether something has lasted too long, with `received` ticks so far.
    ///
    /// # Errors
    /// When it has.
    pub(super) fn check(&mut self, received: u64, now: Mono) -> Result<(), Leave> {
        self.look(received, now);
        let limits = &self.limits;
        match self.front {
            Front::Down { since } if now >= since.plus_ms(limits.front_timeout_ms) => {
                let tried = match (self.lost, self.last_reason) {
                    (0, _) | (_, None) => "the library said nothing at all".to_owned(),
                    (lost, Some(reason)) => format!("{lost} attempts failed, the last for {}", reason_words(reason)),
                };
                let text = format!("no front answered within {}; {tried}", seconds(limits.front_timeout_ms));
                Err(Leave::new(EXIT_NO_FRONT, text))
            }
            Front::Connected { since } if now >= since.plus_ms(limits.login_timeout_ms) => {
                let limit = seconds(limits.login_timeout_ms);
                Err(Leave::new(EXIT_LOGIN_UNANSWERED, format!("the front has not answered the login within {limit}")))
            }
            Front::LoggedIn if self.silent_at().is_some_and(|at| now >= at) => {
                let limit = seconds(limits.silent_ms);
                let ever =
                    if received == 0 { "ever since the subscription".to_owned() } else { format!("after {received}") };
                let text = format!("not one tick came for {limit} in an open session, {ever}");
                Err(Leave::new(EXIT_SILENT, text))
            }
            _ => Ok(()),
        }
    }

    /// When [`Self::check`] is due again, at the latest.
    #[must_use]
    pub(super) fn wake_at(&self) -> Option<Mono> {
        match self.front {
            Front::Down { since } => Some(since.plus_ms(self.limits.front_timeout_ms)),
            Front::Connected { since } => Some(since.plus_ms(self.limits.login_timeout_ms)),
            Front::LoggedIn => self.silent_at(),
        }
    }

    /// Whether the front gives no reason to try another one next time: logged in, with a tick just now.
    #[must_use]
    pub(super) fn is_well(&mut self, received: u64, now: Mono) -> bool {
        self.look(received, now);
        self.front == Front::LoggedIn && self.ticked_at.is_some_and(|at| now < at.plus_ms(WELL_MS))
    }

    fn look(&mut self, received: u64, now: Mono) {
        if received > self.received {
            (self.received, self.ticked_at) = (received, Some(now));
        }
    }

    /// When it will have been silent for too long: counted from the last of tick, subscription and opening.
    fn silent_at(&self) -> Option<Mono> {
        let since = self.session_open_since?.max(self.subscribed_since?);
        Some(self.ticked_at.map_or(since, |at| at.max(since)).plus_ms(self.limits.silent_ms))
    }
}

/// The first few of so many.
pub(super) fn shown(first: &[String], count: usize) -> String {
    let more = count.saturating_sub(first.len());
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// The vendor's reason for a lost connection. The codes are those of its headers.
pub(super) fn reason_words(reason: i32) -> String {
    let words = match reason {
        0x1001 => "the network could not be read",
        0x1002 => "the network could not be written",
        0x2001 => "no heartbeat came in time",
        0x2002 => "a heartbeat could not be sent",
        0x2003 => "what came was no packet",
        _ => "a reason that is not documented",
    };
    format!("reason {reason:#06x}, {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        front_timeout_ms: 30_000,
        disconnects_max: 3,
        disconnects_window_ms: 1_000,
        login_timeout_ms: 10_000,
        subscribe_timeout_ms: 5_000,
        silent_ms: 60_000,
        overflow_beats_max: 3,
        report_timeout_ms: 5_000,
    };

    fn at(ms: u64) -> Mono {
        Mono(7_000_000_000).plus_ms(ms)
    }

    fn watchdog(session_open: bool) -> Watchdog {
        Watchdog::new(LIMITS, session_open, at(0))
    }

    fn settled(accepted: usize, refused: usize, unanswered: usize) -> Settled {
        Settled { accepted, refused, unanswered, first: vec!["a".into(); unanswered.min(2)] }
    }

    /// Logged in at 0 with one subscription that stands.
    fn subscribed(session_open: bool) -> Watchdog {
        let mut dog = watchdog(session_open);
        dog.connected(at(0));
        dog.logged_in();
        dog.settled(&settled(1, 0, 0), 0, at(0)).expect("stands");
        dog
    }

    fn leaves(outcome: Result<(), Leave>, code: i32, parts: &[&str]) {
        let leave = outcome.expect_err("leaves");
        assert_eq!(leave.code, code, "{leave:?}");
        for part in parts {
            assert!(leave.reason.contains(part), "{part:?} is not in {:?}", leave.reason);
        }
    }

    #[test]
    fn silence_of_the_library_is_borne_for_so_long_and_attempts_that_fail_do_not_begin_it_anew() {
        let mut dog = watchdog(true);
        assert_eq!(dog.wake_at(), Some(at(30_000)));
        assert_eq!(dog.check(0, at(29_999)), Ok(()));
        leaves(dog.check(0, at(30_000)), EXIT_NO_FRONT, &["within 30.0 s", "said nothing at all"]);
        for ms in [10_000, 20_000] {
            dog.disconnected(0x1001, at(ms)).expect("borne");
        }
        leaves(dog.check(0, at(30_000)), EXIT_NO_FRONT, &["2 attempts failed", "0x1001", "could not be read"]);
    }

    #[test]
    fn a_connection_that_is_lost_begins_the_wait_for_a_front() {
        let mut dog = subscribed(false);
        dog.disconnected(0x2001, at(500_000)).expect("borne");
        assert_eq!(dog.check(0, at(529_999)), Ok(()));
        leaves(dog.check(0, at(530_000)), EXIT_NO_FRONT, &["0x2001"]);
    }

    #[test]
    fn a_storm_is_more_losses_than_the_limit_within_the_window() {
        for (every_ms, is_storm) in [(2, true), (333, true), (334, false), (5_000, false)] {
            let mut dog = watchdog(true);
            let outcomes: Vec<_> = (0..20).map(|n| dog.disconnected(0x2003, at(n * every_ms))).collect();
            let first = outcomes.iter().position(Result::is_err);
            assert_eq!(first, is_storm.then_some(3), "every {every_ms} ms");
            assert!(dog.losses.len() <= 3);
        }
        let mut dog = watchdog(true);
        (0..3).for_each(|n| dog.disconnected(0x2003, at(n * 100)).expect("borne"));
        let storm = dog.disconnected(0x2003, at(300));
        leaves(storm, EXIT_DISCONNECTS, &["4 times within 0.3 s", "0x2003", "no packet", "at most 3 within 1.0 s"]);
    }

    #[test]
    fn a_limit_of_no_disconnects_ends_at_the_first() {
        let mut dog = Watchdog::new(Limits { disconnects_max: 0, ..LIMITS }, true, at(0));
        leaves(dog.disconnected(0x1001, at(1)), EXIT_DISCONNECTS, &["1 times"]);
    }

    #[test]
    fn a_login_is_waited_for_from_the_connection_on() {
        let mut dog = watchdog(true);
        dog.connected(at(20_000));
        assert_eq!((dog.check(0, at(29_999)), dog.wake_at()), (Ok(()), Some(at(30_000))));
        leaves(dog.check(0, at(30_000)), EXIT_LOGIN_UNANSWERED, &["the login", "10.0 s"]);
        dog.logged_in();
        assert_eq!((dog.check(0, at(999_000)), dog.wake_at()), (Ok(()), None));
    }

    #[test]
    fn unanswered_subscriptions_end_it_only_where_nothing_else_speaks_for_the_front() {
        for (counts, received, leaves_) in [
            ((0, 0, 9), 0, true),
            ((1, 0, 9), 0, false),
            ((0, 1, 9), 0, false),
            ((0, 0, 9), 1, false),
            ((0, 3, 0), 0, false),
            ((0, 0, 0), 0, false),
        ] {
            let mut dog = watchdog(true);
            dog.connected(at(0));
            dog.logged_in();
            let outcome = dog.settled(&settled(counts.0, counts.1, counts.2), received, at(1));
            assert_eq!(outcome.is_err(), leaves_, "{counts:?} {received}");
            if leaves_ {
                leaves(outcome, EXIT_UNANSWERED, &["none of 9", "5.0 s", "a, a and 7 more"]);
            }
        }
    }

    #[test]
    fn silence_counts_in_an_open_session_from_the_last_of_tick_subscription_and_opening() {
        let mut dog = subscribed(true);
        assert_eq!(dog.wake_at(), Some(at(60_000)));
        leaves(dog.check(0, at(60_000)), EXIT_SILENT, &["60.0 s", "ever since the subscription"]);
        assert_eq!(dog.check(5, at(60_000)), Ok(()), "ticks came");
        assert_eq!(dog.wake_at(), Some(at(120_000)));
        leaves(dog.check(5, at(120_000)), EXIT_SILENT, &["after 5"]);
        dog.session(false, at(121_000));
        assert_eq!((dog.check(5, at(900_000)), dog.wake_at()), (Ok(()), None));
        dog.session(true, at(900_000));
        dog.session(true, at(910_000));
        assert_eq!(dog.wake_at(), Some(at(960_000)), "open since it first was said");
    }

    #[test]
    fn nothing_is_silent_without_a_subscription_that_stands() {
        let mut dog = watchdog(true);
        dog.connected(at(0));
        dog.logged_in();
        dog.settled(&settled(0, 3, 0), 0, at(0)).expect("answered");
        assert_eq!(dog.check(0, at(900_000)), Ok(()));
        let mut lost = subscribed(true);
        lost.disconnected(0x1001, at(1)).expect("borne");
        lost.connected(at(2));
        lost.logged_in();
        assert_eq!(lost.check(0, at(900_000)), Ok(()), "a new login has nothing subscribed yet");
    }

    #[test]
    fn only_sustained_overflow_ends_it() {
        let mut dog = watchdog(true);
        for dropped in [1, 2, 2, 3, 4] {
            assert_eq!(dog.beat(dropped), Ok(()));
        }
        leaves(dog.beat(5), EXIT_OVERFLOW, &["each of 3 consecutive seconds", "5 in all"]);
    }

    #[test]
    fn a_front_is_well_while_it_ticks() {
        let mut dog = subscribed(false);
        assert!(!dog.is_well(0, at(1)));
        assert!(dog.is_well(1, at(2)) && dog.is_well(1, at(10_001)));
        assert!(!dog.is_well(1, at(10_002)));
        dog.disconnected(0x1001, at(10_003)).expect("borne");
        assert!(!dog.is_well(2, at(10_004)));
    }
}
