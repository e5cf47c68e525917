//! What the client's threads leave for the library's own: requests, and the wish to end.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::User;

/// Requests that may wait.
const REQUESTS_MAX: usize = 1_000;

/// Which call a list of instruments came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `SubscribeMarketData`
    Subscribe,
    /// `UnSubscribeMarketData`
    Unsubscribe,
    /// `SubscribeForQuoteRsp`
    SubscribeForQuote,
    /// `UnSubscribeForQuoteRsp`
    UnsubscribeForQuote,
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// `ReqUserLogin`
    Login(User, i32),
    /// `ReqUserLogout`
    Logout(i32),
    /// One of the four calls with a list of instruments.
    Instruments(Asked, Vec<Vec<u8>>),
}

#[derive(Debug, Default)]
struct State {
    is_connected: bool,
    is_ending: bool,
    has_ended: bool,
    requests: VecDeque<Request>,
}

/// The place where the threads meet.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

/// Why [`Inbox::wait`] came back without requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending;

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request; returns what the vendor's call returns: 0, -1 without a connection, -2 with too many waiting.
    pub(crate) fn ask(&self, request: Request) -> i32 {
        let mut state = self.state();
        if !state.is_connected {
            return -1;
        }
        if state.requests.len() == REQUESTS_MAX {
            return -2;
        }
        state.requests.push_back(request);
        drop(state);
        self.changed.notify_all();
        0
    }

    /// From here on requests are taken.
    pub(crate) fn connect(&self) {
        let mut state = self.state();
        state.is_connected = !state.is_ending;
    }

    /// From here on none is, and those that wait are forgotten.
    pub(crate) fn disconnect(&self) {
        let mut state = self.state();
        state.is_connected = false;
        state.requests.clear();
    }

    /// Tells the library's thread to end.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.is_ending = true;
        state.is_connected = false;
        drop(state);
        self.changed.notify_all();
    }

    /// Says that the library's thread calls nobody any more, or never ran.
    pub(crate) fn ended(&self) {
        self.state().has_ended = true;
        self.changed.notify_all();
    }

    /// Waits until [`Inbox::ended`].
    pub(crate) fn wait_for_the_end(&self) {
        let state = self.state();
        drop(self.changed.wait_while(state, |s| !s.has_ended).unwrap_or_else(PoisonError::into_inner));
    }

    /// Moves the waiting requests to `taken`; without any, waits for up to `patience`, or for ever.
    pub(crate) fn wait(&self, patience: Option<Duration>, taken: &mut VecDeque<Request>) -> Result<(), Ending> {
        let idle = |s: &mut State| !s.is_ending && s.requests.is_empty();
        let state = self.state();
        let mut state = match patience {
            Some(Duration::ZERO) => state,
            Some(patience) => {
                let waited = self.changed.wait_timeout_while(state, patience, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
        };
        std::mem::swap(&mut state.requests, taken);
        if state.is_ending { Err(Ending) } else { Ok(()) }
    }
}
