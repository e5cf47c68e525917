//! The library behind one API object, as the client's threads see it: what they ask is left to the
//! [library's own thread](crate::library), from which every callback comes, never from within the client's call.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use crate::date::DateText;
use crate::feed::Feed;
use crate::flavour::Flavour;
use crate::harm;
use crate::inbox::{Asked, Inbox, Request};
use crate::library::Library;
use crate::scenario::Place;
use crate::spi::Spi;
use crate::world::World;

/// What the client's threads and the library's share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) flavour: Flavour,
    pub(crate) spi: Spi,
    pub(crate) inbox: Inbox,
    /// Of the login.
    pub(crate) trading_day: OnceLock<DateText>,
    pub(crate) endless: Endless,
}

/// Calls of the client that never return: 0 for one that does, 1 for one that rests, 2 for one that spins.
#[derive(Debug, Default)]
pub(crate) struct Endless {
    init: AtomicU8,
    login: AtomicU8,
    subscribe: AtomicU8,
    release: AtomicU8,
}

impl Endless {
    /// The places, without the library's own thread.
    pub(crate) const PLACES: [Place; 4] = [Place::Init, Place::Login, Place::Subscribe, Place::Release];

    const fn at(&self, place: Place) -> Option<&AtomicU8> {
        match place {
            Place::Init => Some(&self.init),
            Place::Login => Some(&self.login),
            Place::Subscribe => Some(&self.subscribe),
            Place::Release => Some(&self.release),
            Place::Callback => None,
        }
    }

    /// `spins` is `None` for a call that returns.
    pub(crate) fn set(&self, place: Place, spins: Option<bool>) {
        if let Some(call) = self.at(place) {
            call.store(spins.map_or(0, |spins| 1 + u8::from(spins)), Ordering::Release);
        }
    }

    fn pass(&self, place: Place) {
        match self.at(place).map_or(0, |call| call.load(Ordering::Acquire)) {
            0 => {}
            how => harm::stop_here(how == 2),
        }
    }
}

/// What waits for `Init`, and the thread that it starts.
#[derive(Debug)]
struct Start {
    /// The world, where its file is, and its market.
    world: Option<(World, Option<PathBuf>, Feed)>,
    fronts: Vec<String>,
    thread: Option<JoinHandle<()>>,
}

/// One API object's library.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    start: Mutex<Start>,
}

impl Session {
    /// Opens the world's market; a world from a file is looked at again while the library runs.
    ///
    /// # Errors
    /// Names the file of a replay, its line and its column.
    pub(crate) fn new(world: World, path: Option<PathBuf>, flavour: Flavour) -> Result<Self, String> {
        let feed = Feed::open(&world, flavour)?;
        let shared = Shared {
            flavour,
            spi: Spi::new(flavour),
            inbox: Inbox::default(),
            trading_day: OnceLock::new(),
            endless: Endless::default(),
        };
        let start = Start { world: Some((world, path, feed)), fronts: Vec::new(), thread: None };
        Ok(Self { shared: Arc::new(shared), start: Mutex::new(start) })
    }

    fn start(&self) -> MutexGuard<'_, Start> {
        self.start.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn spi(&self) -> &Spi {
        &self.shared.spi
    }

    pub(crate) fn register_front(&self, address: String) {
        self.start().fronts.push(address);
    }

    /// Starts the thread. Where nothing listens, no callback ever comes, as with the vendor's library.
    pub(crate) fn init(&self) {
        let mut start = self.start();
        let Some((world, path, feed)) = start.world.take() else { return };
        let library = Library::new(Arc::clone(&self.shared), world, path.as_deref(), start.fronts.clone(), feed);
        match thread::Builder::new().name("mdhub-sim".to_owned()).spawn(move || library.run()) {
            Ok(thread) => start.thread = Some(thread),
            Err(e) => eprintln!("mdhub-sim: its thread does not start: {e}"),
        }
        drop(start);
        self.shared.endless.pass(Place::Init);
    }

    /// Leaves a request to the thread; the vendor's return code.
    pub(crate) fn ask(&self, request: Request) -> i32 {
        match &request {
            Request::Login(..) => self.shared.endless.pass(Place::Login),
            Request::Instruments(Asked::Subscribe, _) => self.shared.endless.pass(Place::Subscribe),
            _ => {}
        }
        self.shared.inbox.ask(request)
    }

    /// The trading day of the login, empty before one.
    pub(crate) fn trading_day(&self) -> &DateText {
        self.shared.trading_day.get().unwrap_or(&[0; 9])
    }

    /// Ends the thread and waits for it: no callback comes afterwards. On that very thread it only asks it to end.
    pub(crate) fn release(&self) {
        self.shared.endless.pass(Place::Release);
        self.shared.inbox.end();
        let thread = self.start().thread.take();
        if let Some(thread) = thread {
            if thread.thread().id() == thread::current().id() {
                // It is in a callback, and may have others in mind.
                self.shared.spi.register(std::ptr::null_mut());
            } else if thread.join().is_err() {
                eprintln!("mdhub-sim: the library's thread had panicked");
            }
        }
        self.shared.inbox.ended();
    }

    /// What `Join` does, as a function that does not need the API object any more: waits for its release.
    pub(crate) fn joiner(&self) -> impl FnOnce() + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.inbox.wait_for_the_end()
    }
}
