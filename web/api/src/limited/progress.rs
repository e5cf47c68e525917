//! What a connection is at: it waits for a request, or a request on it is being answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use tokio::time::Instant;

/// Shared by a connection, the requests on it, and whoever gives out places.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    answering: u32,
    /// Requests whose senders have not shown yet who they are, or have not sent all of it.
    giving_way: u32,
    /// Rises with each answer that is whole.
    answered: u64,
    /// Since when nothing is being answered.
    waits_since: Instant,
    /// It is a WebSocket by now: whoever has it cares for its silence.
    is_upgraded: bool,
    is_evicted: bool,
    /// Of the task that waits for the client to say something.
    reader: Option<Waker>,
}

impl State {
    fn gives_way(&self) -> bool {
        (self.answering == 0 || self.giving_way > 0) && !self.is_upgraded
    }
}

fn close(mut state: MutexGuard<'_, State>) {
    state.is_evicted = true;
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// What a reader of the connection finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// A request is due; so many were answered before.
    Waits { answered: u64 },
    /// A request is being answered, or it is a WebSocket.
    Answers,
    /// Its place was given to somebody else.
    Evicted,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            answering: 0,
            giving_way: 0,
            answered: 0,
            waits_since: Instant::now(),
            is_upgraded: false,
            is_evicted: false,
            reader: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands; the reader is woken when it is evicted.
    pub(super) fn look(&self, cx: &Context<'_>) -> Standing {
        let mut state = self.state();
        if state.is_evicted {
            return Standing::Evicted;
        }
        match &mut state.reader {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        if state.answering > 0 || state.is_upgraded {
            return Standing::Answers;
        }
        Standing::Waits { answered: state.answered }
    }

    /// Since when it waits; `None` while a request is being answered that does not give way.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        state.gives_way().then_some(state.waits_since)
    }

    /// Closes the connection, whatever it is at.
    pub(crate) fn close(&self) {
        close(self.state());
    }

    /// Closes the connection, unless a request has come meanwhile. Says whether it did.
    pub(super) fn evict(&self) -> bool {
        let state = self.state();
        let gives_way = state.gives_way();
        if gives_way {
            close(state);
        }
        gives_way
    }

    /// Until what is returned is dropped, the request that is being answered gives way to other connections like one that has
    /// not come yet.
    pub(crate) fn give_way(self: &Arc<Self>) -> GivingWay {
        let mut state = self.state();
        state.giving_way += 1;
        state.waits_since = Instant::now();
        drop(state);
        GivingWay(Arc::clone(self))
    }

    /// A request is being answered from now on, until what is returned is dropped.
    pub(crate) fn answer(self: &Arc<Self>) -> Answering {
        self.state().answering += 1;
        Answering(Arc::clone(self))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Progress>);

impl Answering {
    /// The connection is a WebSocket from now on.
    pub(crate) fn upgraded(&self) {
        self.0.state().is_upgraded = true;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.answering -= 1;
        state.answered += 1;
        state.waits_since = Instant::now();
    }
}

/// A request that gives way.
#[derive(Debug)]
pub(crate) struct GivingWay(Arc<Progress>);

impl Drop for GivingWay {
    fn drop(&mut self) {
        self.0.state().giving_way -= 1;
    }
}
