//! `GET /ws`: what the hub is at, as it changes. First a snapshot, then events, each with the next revision; whoever is too slow gets
//! a fresh snapshot, never a silent hole. The hub's state is compared once, and written as JSON once, for all clients.
//! The messages: docs/live.md.
//!
//! | file | is about |
//! |---|---|
//! | `board` | the state, and what to tell of its changes |
//! | `client` | one client |
//! | `asked` | what clients may say |

mod asked;
mod board;
mod client;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Utf8Bytes, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use mdhub_spec::ports::{AccountStore, Event};
use serde_json::Value;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::Sources;
use crate::problem::Problem;
use board::Board;
use client::{Client, MESSAGE_BYTES_MAX};

/// Clients at once.
const CLIENTS_MAX: usize = 256;
/// Events that may wait for a client; who has not taken them by then gets a snapshot.
const WAITING_MAX: usize = 64;
/// Between two looks at what every account is at.
const STATUS_EVERY: Duration = Duration::from_millis(50);
/// How often the database is asked for what others have written down.
const EVENTS_EVERY: Duration = Duration::from_secs(1);
/// So many of the newest events are asked for.
const EVENTS_READ: u32 = 50;
/// Written at once.
const BUFFER_BYTES: usize = 16 * 1024;
/// Of a message that waits to be written to a client, so much; a longer one is an error.
const WRITE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What all clients share.
pub(crate) struct Live {
    board: Mutex<Board>,
    casts: Mutex<Option<broadcast::Sender<Utf8Bytes>>>,
    places: Arc<Semaphore>,
}

impl Live {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            board: Mutex::default(),
            casts: Mutex::new(Some(broadcast::Sender::new(WAITING_MAX))),
            places: Arc::new(Semaphore::new(CLIENTS_MAX)),
        })
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn casts(&self) -> Option<broadcast::Sender<Utf8Bytes>> {
        self.casts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The state, and every event after it; `None` once the hub ends.
    fn join(&self) -> Option<(Utf8Bytes, broadcast::Receiver<Utf8Bytes>)> {
        let casts = self.casts()?;
        // Nothing is told while the board is held.
        let mut board = self.board();
        let events = casts.subscribe();
        Some((board.snapshot(), events))
    }

    /// Tells every client of what `change` did to the board.
    fn tell<I: IntoIterator<Item = Utf8Bytes>>(&self, change: impl FnOnce(&mut Board) -> I) {
        let Some(casts) = self.casts() else { return };
        let mut board = self.board();
        for text in change(&mut board) {
            // Where there is no client, nobody is told.
            let _ = casts.send(text);
        }
    }

    /// Clients are told that the hub ends.
    pub(crate) fn end(&self) {
        self.casts.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn has_clients(&self) -> bool {
        self.places.available_permits() < CLIENTS_MAX
    }
}

/// Where the news comes from.
pub(crate) struct News {
    status: watch::Receiver<Arc<Value>>,
    rates: watch::Receiver<Arc<Value>>,
    events: broadcast::Receiver<Event>,
    store: Arc<dyn AccountStore>,
}

impl News {
    pub(crate) fn of(sources: &Sources) -> Self {
        let Sources { status, rates, events, store, .. } = sources;
        Self { status: status.clone(), rates: rates.clone(), events: events.subscribe(), store: store.clone() }
    }

    /// Keeps the board, until the hub ends.
    pub(crate) async fn keep(self, live: &Live) {
        let Self { status, rates, events, store } = self;
        let is_seeded = AtomicBool::new(false);
        tokio::select! {
            () = follow(status, rates, events, &is_seeded, live) => {}
            () = read(&*store, &is_seeded, live) => {}
        }
    }
}

async fn follow(
    mut status: watch::Receiver<Arc<Value>>,
    mut rates: watch::Receiver<Arc<Value>>,
    mut events: broadcast::Receiver<Event>,
    is_seeded: &AtomicBool,
    live: &Live,
) {
    status.mark_changed();
    rates.mark_changed();
    let mut due_at = Instant::now();
    loop {
        let due = async {
            sleep_until(due_at).await;
            status.changed().await
        };
        tokio::select! {
            changed = due => {
                if changed.is_err() { return }
                due_at = Instant::now() + STATUS_EVERY;
                let document = status.borrow_and_update().clone();
                live.tell(|board| board.status(&document));
            }
            changed = rates.changed() => {
                if changed.is_err() { return }
                let rates = rates.borrow_and_update().clone();
                live.tell(|board| board.rates(&rates));
            }
            event = events.recv() => match event {
                Ok(event) => live.tell(|board| [board.event(event)]),
                // What was missed is in the database.
                Err(broadcast::error::RecvError::Lagged(_)) => is_seeded.store(false, Ordering::Relaxed),
                Err(broadcast::error::RecvError::Closed) => return,
            },
        }
    }
}

/// Asks the database for what others have written down. One that is away, or slow, keeps nothing else from being told.
async fn read(store: &dyn AccountStore, is_seeded: &AtomicBool, live: &Live) {
    loop {
        let is_first = !is_seeded.swap(true, Ordering::Relaxed);
        if is_first || live.has_clients() {
            match store.events(EVENTS_READ).await {
                Ok(newest) => live.tell(|board| board.read(newest, is_first)),
                Err(_) if is_first => is_seeded.store(false, Ordering::Relaxed),
                Err(_) => {}
            }
        }
        sleep(EVENTS_EVERY).await;
    }
}

pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/ws", get(open))
}

async fn open(
    State(Sources { logs, .. }): State<Sources>,
    Extension(live): Extension<Arc<Live>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let Ok(place) = live.places.clone().try_acquire_owned() else {
        let why = format!("there are {CLIENTS_MAX} clients already: try again later");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why));
    };
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .read_buffer_size(MESSAGE_BYTES_MAX)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BYTES_MAX);
    Ok(upgrade.on_upgrade(async move |socket| {
        Client::new(socket, live, logs).run().await;
        drop(place);
    }))
}
