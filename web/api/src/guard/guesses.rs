//! Passwords that wait to be checked: who comes first, who waits longer, who is turned away.
//!
//! Checking takes tens of milliseconds and much memory, so at most two are checked at once. One of the two is for addresses that have
//! not been wrong lately: however many guess from elsewhere, the administrator comes in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::limited::share_of;

/// Passwords of one address that are in line at once; its others wait for these.
const OF_ONE: usize = 4;
/// Requests of one address that wait; more are turned away.
const WAITING_OF_ONE: usize = 128;
/// Requests that wait in all.
const WAITING: usize = 512;
/// A wrong password costs whoever sent it so long, twice as long the next time, and so on.
const DELAY_MIN: Duration = Duration::from_millis(500);
const DELAY_MAX: Duration = Duration::from_secs(4);
/// An address that was wrong is not trusted for so long.
const MEMORY: Duration = Duration::from_mins(5);
/// Addresses that are remembered.
const ADDRESSES: usize = 1_024;

/// Who is checked next.
#[derive(Debug)]
pub(super) struct Guesses {
    addresses: Mutex<HashMap<IpAddr, Arc<Address>>>,
    waiting: Arc<Semaphore>,
    /// For those that have not been wrong.
    clean: Arc<Semaphore>,
    /// For everybody.
    shared: Arc<Semaphore>,
}

/// What is known of one address.
#[derive(Debug)]
struct Address {
    line: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    wrong: Mutex<Wrong>,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    times: u32,
    at: Instant,
}

impl Address {
    fn new() -> Self {
        let wrong = Mutex::new(Wrong { times: 0, at: Instant::now() });
        Self { line: Arc::new(Semaphore::new(OF_ONE)), waiting: Arc::new(Semaphore::new(WAITING_OF_ONE)), wrong }
    }

    fn wrong(&self) -> MutexGuard<'_, Wrong> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_clean(&self) -> bool {
        let wrong = self.wrong();
        wrong.times == 0 || wrong.at.elapsed() >= MEMORY
    }
}

/// The right to check one password now.
pub(super) struct Turn {
    address: Arc<Address>,
    _line: Option<OwnedSemaphorePermit>,
    _hashing: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// It was right.
    pub(super) fn right(self) {
        self.address.wrong().times = 0;
    }

    /// It was wrong: how long the answer is to wait. The turn is over before.
    pub(super) fn wrong(self) -> Duration {
        let mut wrong = self.address.wrong();
        let times = if wrong.at.elapsed() < MEMORY { wrong.times } else { 0 };
        *wrong = Wrong { times: times.saturating_add(1), at: Instant::now() };
        DELAY_MIN.saturating_mul(1 << times.min(8)).min(DELAY_MAX)
    }
}

impl Guesses {
    pub(super) fn new() -> Self {
        let places = |n| Arc::new(Semaphore::new(n));
        Self { addresses: Mutex::default(), waiting: places(WAITING), clean: places(1), shared: places(1) }
    }

    /// Waits for a turn; `None` when too many wait.
    pub(super) async fn turn(&self, peer: IpAddr) -> Option<Turn> {
        let address = self.address(share_of(peer));
        let _waits = Arc::clone(&self.waiting).try_acquire_owned().ok()?;
        let _waits_here = Arc::clone(&address.waiting).try_acquire_owned().ok()?;
        // None of these is ever closed.
        let line = Arc::clone(&address.line).acquire_owned().await.ok();
        let hashing = if address.is_clean() {
            tokio::select! {
                turn = Arc::clone(&self.clean).acquire_owned() => turn,
                turn = Arc::clone(&self.shared).acquire_owned() => turn,
            }
        } else {
            Arc::clone(&self.shared).acquire_owned().await
        };
        Some(Turn { address, _line: line, _hashing: hashing.ok() })
    }

    fn address(&self, peer: IpAddr) -> Arc<Address> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = addresses.get(&peer) {
            return Arc::clone(known);
        }
        if addresses.len() >= ADDRESSES {
            addresses.retain(|_, of| Arc::strong_count(of) > 1 || !of.is_clean());
            let idle = addresses.iter().filter(|(_, of)| Arc::strong_count(of) == 1);
            if addresses.len() >= ADDRESSES
                && let Some(oldest) = idle.min_by_key(|(_, of)| of.wrong().at).map(|(peer, _)| *peer)
            {
                addresses.remove(&oldest);
            }
        }
        let new = Arc::new(Address::new());
        // All that are remembered wait at this moment: this one is not.
        if addresses.len() < ADDRESSES {
            addresses.insert(peer, Arc::clone(&new));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + n).into())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_was_wrong_waits_behind_and_longer_each_time() {
        let guesses = Guesses::new();
        let mut delays = Vec::new();
        for _ in 0..5 {
            delays.push(guesses.turn(peer(1)).await.expect("a turn").wrong().as_millis());
        }
        assert_eq!(delays, [500, 1_000, 2_000, 4_000, 4_000]);
        let held = guesses.turn(peer(1)).await.expect("a turn");
        let next = tokio::time::timeout(Duration::from_secs(1), guesses.turn(peer(1))).await;
        assert!(next.is_err(), "the other place is not for it");
        let clean = tokio::time::timeout(Duration::from_secs(1), guesses.turn(peer(2))).await;
        clean.expect("a place of their own").expect("a turn").right();
        held.right();
        assert_eq!(guesses.turn(peer(1)).await.expect("a turn").wrong().as_millis(), 500, "a right one clears it");
        tokio::time::advance(MEMORY).await;
        assert_eq!(guesses.turn(peer(1)).await.expect("a turn").wrong().as_millis(), 500, "so does time");
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_are_remembered_and_requests_that_wait_have_limits() {
        let guesses = Arc::new(Guesses::new());
        for n in 0..3_000 {
            guesses.turn(peer(n)).await.expect("a turn").wrong();
        }
        assert!(guesses.addresses.lock().expect("sound").len() <= ADDRESSES);
        let _first = guesses.turn(peer(9_001)).await;
        let _second = guesses.turn(peer(9_002)).await;
        let waiting: Vec<_> = (0..WAITING_OF_ONE + 5)
            .map(|_| {
                let guesses = Arc::clone(&guesses);
                tokio::spawn(async move { tokio::time::timeout(MEMORY, guesses.turn(peer(7))).await })
            })
            .collect();
        let mut turned_away = 0;
        for one in waiting {
            turned_away += usize::from(matches!(one.await, Ok(Ok(None))));
        }
        assert_eq!(turned_away, 5);
    }
}
