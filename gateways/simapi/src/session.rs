//! The library behind one API object: its thread connects, answers requests and hands over records. Every callback
//! comes from that thread, never from within the client's call.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::{mono_ns, real_ns};
use crate::date::{DateText, beijing_ms_of_day, date_text, time_text, trading_day};
use crate::feed::{Feed, Link};
use crate::flavour::Flavour;
use crate::inbox::{Asked, Ending, Inbox, Request};
use crate::journal::Journal;
use crate::record::{self, Depth, RspInfo, User};
use crate::spi::Spi;
use crate::world::{Front, World};

/// Records that are handed over before requests are looked at again.
const BATCH: usize = 256;

/// A front's words, GB18030.
mod words {
    /// "Correct".
    pub(super) const FINE: &[u8] = b"\xd5\xfd\xc8\xb7";
    /// "CTP: instrument not found".
    pub(super) const INSTRUMENT_NOT_FOUND: &[u8] = b"CTP:\xd5\xd2\xb2\xbb\xb5\xbd\xba\xcf\xd4\xbc";
    /// "CTP: not logged in yet".
    pub(super) const NOT_LOGGED_IN: &[u8] = b"CTP:\xbb\xb9\xc3\xbb\xd3\xd0\xb5\xc7\xc2\xbc";
}

/// The vendor's codes.
const NOT_LOGGED_IN: i32 = 6;
const INSTRUMENT_NOT_FOUND: i32 = 16;

#[derive(Debug)]
struct Shared {
    flavour: Flavour,
    spi: Spi,
    inbox: Inbox,
    /// Of the login.
    trading_day: OnceLock<DateText>,
}

/// What waits for `Init`, and the thread that it starts.
#[derive(Debug)]
struct Start {
    world: World,
    feed: Option<Feed>,
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
    /// Opens the world's market.
    ///
    /// # Errors
    /// Names the file of a replay, its line and its column.
    pub(crate) fn new(world: World, flavour: Flavour) -> Result<Self, String> {
        let feed = Some(Feed::open(&world, flavour)?);
        let shared = Shared { flavour, spi: Spi::new(flavour), inbox: Inbox::default(), trading_day: OnceLock::new() };
        let start = Mutex::new(Start { world, feed, fronts: Vec::new(), thread: None });
        Ok(Self { shared: Arc::new(shared), start })
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
        let Some(feed) = start.feed.take() else { return };
        match self.connect(&start.world, &start.fronts, feed) {
            Ok(thread) => start.thread = Some(thread),
            Err(why) => eprintln!("mdhub-sim: {why}"),
        }
    }

    fn connect(&self, world: &World, fronts: &[String], mut feed: Feed) -> Result<JoinHandle<()>, String> {
        let front = world.front(fronts).ok_or_else(|| {
            let known: Vec<&String> = world.fronts.keys().collect();
            format!("nothing listens at {fronts:?}: the world has {known:?}")
        })?;
        let journal = front.journal.as_deref().map(Journal::open).transpose()?;
        feed.put_behind(Link::new(world.seed, &front));
        let library = Library { shared: Arc::clone(&self.shared), feed, journal, user: None, depth: Depth::default() };
        let thread = thread::Builder::new().name("mdhub-sim".to_owned()).spawn(move || library.run(&front));
        thread.map_err(|e| format!("its thread does not start: {e}"))
    }

    /// Leaves a request to the thread; the vendor's return code.
    pub(crate) fn ask(&self, request: Request) -> i32 {
        self.shared.inbox.ask(request)
    }

    /// The trading day of the login, empty before one.
    pub(crate) fn trading_day(&self) -> &DateText {
        self.shared.trading_day.get().unwrap_or(&[0; 9])
    }

    /// Ends the thread and waits for it: no callback comes afterwards. On that very thread it only asks it to end.
    pub(crate) fn release(&self) {
        self.shared.inbox.end();
        let thread = self.start().thread.take();
        if let Some(thread) = thread.filter(|t| t.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            eprintln!("mdhub-sim: the library's thread had panicked");
        }
        self.shared.inbox.ended();
    }

    /// What `Join` does, as a function that does not need the API object any more: waits for its release.
    pub(crate) fn joiner(&self) -> impl FnOnce() + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.inbox.wait_for_the_end()
    }
}

/// What the library's thread owns.
struct Library {
    shared: Arc<Shared>,
    feed: Feed,
    journal: Option<Journal>,
    user: Option<User>,
    depth: Depth,
}

impl Library {
    fn run(mut self, front: &Front) {
        let mut requests = VecDeque::new();
        let connects_in = Duration::from_millis(u64::from(front.connect_ms));
        // No request is taken before the connection: this wait ends by its time or by the end.
        if self.shared.inbox.wait(Some(connects_in), &mut requests).is_ok() {
            self.shared.inbox.connect();
            self.shared.spi.front_connected();
            while self.turn(&mut requests).is_ok() {}
        }
        self.with_journal(Journal::flush);
    }

    fn turn(&mut self, requests: &mut VecDeque<Request>) -> Result<(), Ending> {
        self.shared.inbox.wait(self.patience(), requests)?;
        while let Some(request) = requests.pop_front() {
            self.answer(request);
        }
        self.hand_over();
        let flush_due_ns = self.journal.as_ref().and_then(Journal::flush_due_ns);
        if flush_due_ns.is_some_and(|due| self.feed.is_over() || due <= mono_ns()) {
            self.with_journal(Journal::flush);
        }
        Ok(())
    }

    /// How long there is nothing to do; `None`: until a request comes.
    fn patience(&self) -> Option<Duration> {
        let feed_ns = self.feed.due_ns().map(|due| due - real_ns());
        let flush_ns = self.journal.as_ref().and_then(Journal::flush_due_ns).map(|due| due - mono_ns());
        let wait_ns = [feed_ns, flush_ns].into_iter().flatten().min()?;
        Some(Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(0)))
    }

    fn answer(&mut self, request: Request) {
        let Shared { flavour, spi, trading_day: login_day, .. } = &*self.shared;
        match request {
            Request::Login(user, request_id) => {
                let ms = real_ns() / 1_000_000;
                let day = *login_day.get_or_init(|| date_text(trading_day(ms)));
                let mut field = record::rsp_user_login(*flavour, &user, day, time_text(beijing_ms_of_day(ms)));
                self.user = Some(user);
                spi.login_answer(&mut field, &mut fine(), request_id);
            }
            Request::Logout(request_id) => {
                self.feed.unsubscribe_all();
                match self.user.take() {
                    Some(user) => spi.logout_answer(&mut record::user_logout(&user), &mut fine(), request_id),
                    None => spi.logout_answer(&mut record::UserLogout::default(), &mut not_logged_in(), request_id),
                }
            }
            Request::Instruments(asked, codes) => self.answer_instruments(asked, &codes),
        }
    }

    fn answer_instruments(&mut self, asked: Asked, codes: &[Vec<u8>]) {
        let now_ns = real_ns();
        for (i, code) in codes.iter().enumerate() {
            let mut info = match asked {
                _ if self.user.is_none() => not_logged_in(),
                Asked::Subscribe if !self.feed.subscribe(code, now_ns) => {
                    record::rsp_info(INSTRUMENT_NOT_FOUND, words::INSTRUMENT_NOT_FOUND)
                }
                Asked::Unsubscribe => {
                    self.feed.unsubscribe(code);
                    fine()
                }
                _ => fine(),
            };
            let mut field = record::specific_instrument(self.shared.flavour, code);
            self.shared.spi.instrument_answer(asked, &mut field, &mut info, i + 1 == codes.len());
        }
    }

    fn hand_over(&mut self) {
        for _ in 0..BATCH {
            let Some(due) = self.feed.next(real_ns()) else { return };
            record::put_depth(&mut self.depth, self.shared.flavour, due.code, due.snapshot);
            let index = due.index;
            self.with_journal(|journal| journal.note(index, mono_ns()));
            self.shared.spi.depth(&mut self.depth);
        }
    }

    fn with_journal(&mut self, act: impl FnOnce(&mut Journal) -> Result<(), String>) {
        if let Some(Err(why)) = self.journal.as_mut().map(act) {
            eprintln!("mdhub-sim: {why}");
            self.journal = None;
        }
    }
}

fn fine() -> RspInfo {
    record::rsp_info(0, words::FINE)
}

fn not_logged_in() -> RspInfo {
    record::rsp_info(NOT_LOGGED_IN, words::NOT_LOGGED_IN)
}
