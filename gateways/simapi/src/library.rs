//! The library's own thread: it connects, answers requests, hands over records, and plays what goes wrong.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{mono_ns, real_ns};
use crate::date::{beijing_ms_of_day, date_text, time_text, trading_day};
use crate::dirt::{Handed, TRUE};
use crate::feed::{Feed, Link};
use crate::harm::{self, TermIgnored};
use crate::inbox::{Asked, Ending, Request};
use crate::journal::Journal;
use crate::play::{Answer, Login, Play};
use crate::record::{self, Depth, RspInfo, User};
use crate::scenario::{Kind, Place};
use crate::session::{Endless, Shared};
use crate::watch::{BEAT_NS, Watch};
use crate::world::{Front, World};

/// Records that are handed over before requests are looked at again.
const BATCH: usize = 256;

/// The vendor's reason where the other side closed.
const READ_FAILED: i32 = 0x1001;

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

/// An address that the client registered.
struct Registered {
    address: String,
    /// `None` where nothing listens.
    front: Option<Front>,
    play: Play,
}

/// An answer to a subscription that comes later.
struct LateAnswer {
    due_ns: i64,
    code: Vec<u8>,
    is_last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// The next try is due then, nanoseconds since the epoch.
    Down(i64),
    Up,
}

/// What the library's thread owns.
pub(crate) struct Library {
    shared: Arc<Shared>,
    world: World,
    watch: Option<Watch>,
    next_beat_ns: i64,
    addresses: Vec<Registered>,
    /// Which of them is talked to.
    at: usize,
    line: Line,
    feed: Feed,
    journal: Option<Journal>,
    tape: Option<Journal>,
    user: Option<User>,
    late: Vec<LateAnswer>,
    term: Option<TermIgnored>,
    leaked: Vec<Vec<u8>>,
    depth: Depth,
}

impl Library {
    /// Of an API object that was told to begin.
    pub(crate) fn new(
        shared: Arc<Shared>,
        world: World,
        path: Option<&Path>,
        addresses: Vec<String>,
        feed: Feed,
    ) -> Self {
        let play = || Play::new(world.seed, shared.flavour);
        let addresses =
            addresses.into_iter().map(|address| Registered { address, front: None, play: play() }).collect();
        let mut library = Self {
            shared: Arc::clone(&shared),
            watch: path.map(Watch::new),
            world,
            next_beat_ns: i64::MAX,
            addresses,
            at: 0,
            line: Line::Down(0),
            feed,
            journal: None,
            tape: None,
            user: None,
            late: Vec::new(),
            term: None,
            leaked: Vec::new(),
            depth: Depth::default(),
        };
        let now_ns = real_ns();
        library.take_world(now_ns);
        library.beat(now_ns);
        library.line = Line::Down(now_ns + library.connect_ns());
        library.say_where_nothing_listens();
        library
    }

    fn say_where_nothing_listens(&self) {
        if self.addresses.iter().all(|r| r.front.is_none()) {
            let registered: Vec<&str> = self.addresses.iter().map(|r| r.address.as_str()).collect();
            let known: Vec<&String> = self.world.fronts.keys().collect();
            eprintln!("mdhub-sim: nothing listens at {registered:?}: the world has {known:?}");
        }
    }

    /// Runs until the client lets go.
    pub(crate) fn run(mut self) {
        let mut requests = VecDeque::new();
        while self.turn(&mut requests).is_ok() {}
        self.write_out();
    }

    fn turn(&mut self, requests: &mut VecDeque<Request>) -> Result<(), Ending> {
        self.shared.inbox.wait(self.patience(), requests)?;
        if self.next_beat_ns <= real_ns() {
            self.beat(real_ns());
        }
        self.keep_line(real_ns());
        while let Some(request) = requests.pop_front() {
            self.answer(request);
        }
        self.answer_late(real_ns());
        self.hand_over();
        self.happen(real_ns());
        if self.flush_due_ns().is_some_and(|due| self.feed.is_over() || due <= mono_ns()) {
            self.write_out();
        }
        Ok(())
    }

    /// How long there is nothing to do; `None`: until a request comes.
    fn patience(&self) -> Option<Duration> {
        let line_ns = match self.line {
            Line::Down(try_ns) if self.is_listening() => Some(try_ns),
            _ => None,
        };
        let beat_ns = self.watch.as_ref().map(|_| self.next_beat_ns);
        let late_ns = self.late.iter().map(|late| late.due_ns).min();
        let due_ns = [self.feed.due_ns(), line_ns, beat_ns, late_ns].into_iter().flatten().min();
        let real_ns = due_ns.map(|due| due - real_ns());
        let flush_ns = self.flush_due_ns().map(|due| due - mono_ns());
        let wait_ns = [real_ns, flush_ns].into_iter().flatten().min()?;
        Some(Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(0)))
    }

    fn flush_due_ns(&self) -> Option<i64> {
        [&self.journal, &self.tape].into_iter().flatten().filter_map(Journal::flush_due_ns).min()
    }

    fn write_out(&mut self) {
        with(&mut self.journal, Journal::flush);
        with(&mut self.tape, Journal::flush);
    }

    /// Looks at the world file, and at what lasts.
    fn beat(&mut self, now_ns: i64) {
        self.next_beat_ns = now_ns + BEAT_NS;
        if let Some(world) = self.watch.as_mut().and_then(|watch| watch.look(now_ns)) {
            if (world.seed, &world.market) != (self.world.seed, &self.world.market) {
                eprintln!("mdhub-sim: seed and market have changed: they count for a process that begins anew");
            }
            self.world.fronts = world.fronts;
            self.take_world(now_ns);
        }
        let Some(Registered { play, .. }) = self.addresses.get(self.at) else { return };
        for place in Endless::PLACES {
            self.shared.endless.set(place, play.endless(place, now_ns));
        }
        let (ignores, leaked, spins) =
            (play.ignores_term(now_ns), play.leaked(now_ns), play.endless(Place::Callback, now_ns));
        if self.term.as_ref().map(|term| term.handler) != ignores {
            // What stood there before comes back first.
            self.term = None;
            self.term = ignores.map(TermIgnored::new);
        }
        harm::leak(&mut self.leaked, leaked);
        if let Some(spins) = spins {
            self.stop_here(spins);
        }
    }

    fn stop_here(&mut self, spins: bool) -> ! {
        self.write_out();
        harm::stop_here(spins)
    }

    /// Puts the world's fronts into force.
    fn take_world(&mut self, now_ns: i64) {
        for Registered { address, front, play } in &mut self.addresses {
            *front = self.world.front(address);
            play.set(front.as_ref().map_or(&[], |f| &f.scenarios), now_ns);
        }
        self.choose(now_ns);
    }

    /// Stays with the address if something listens there, else takes the first at which something does.
    fn choose(&mut self, now_ns: i64) {
        let listens = |r: &Registered| r.front.is_some() && !r.play.is_refused(now_ns);
        let stays = self.line == Line::Up && self.addresses.get(self.at).is_some_and(listens);
        if !stays {
            let found = self.addresses.iter().position(listens);
            let listed = || self.addresses.iter().position(|r| r.front.is_some());
            let at = found.or_else(listed).unwrap_or(0);
            if self.line == Line::Up {
                self.cut(READ_FAILED, now_ns + self.connect_ns());
            }
            self.at = at;
        }
        let Some(front) = self.addresses.get(self.at).and_then(|r| r.front.as_ref()) else { return };
        self.feed.put_behind(Link::new(self.world.seed, front));
        reopen(&mut self.journal, front.journal.as_deref());
        reopen(&mut self.tape, front.tape.as_deref());
    }

    /// Whether something listens at the address that is talked to.
    fn is_listening(&self) -> bool {
        let listens = |r: &Registered| r.front.is_some() && !r.play.is_refused(real_ns());
        self.addresses.get(self.at).is_some_and(listens)
    }

    fn connect_ns(&self) -> i64 {
        let front = self.addresses.get(self.at).and_then(|r| r.front.as_ref());
        i64::from(front.map_or(0, |f| f.connect_ms)) * 1_000_000
    }

    /// Connects, and breaks connections.
    fn keep_line(&mut self, now_ns: i64) {
        if !self.is_listening() {
            self.choose(now_ns);
        }
        let is_listening = self.is_listening();
        let Some(Registered { play, .. }) = self.addresses.get_mut(self.at) else { return };
        match self.line {
            Line::Up if play.is_stormy(now_ns) => self.cut(READ_FAILED, now_ns),
            Line::Down(try_ns) if is_listening && try_ns <= now_ns => {
                let Some(storm) = play.storm(now_ns) else {
                    self.line = Line::Up;
                    self.shared.inbox.connect();
                    self.shared.spi.front_connected();
                    return;
                };
                if storm.connects {
                    self.shared.inbox.connect();
                    self.shared.spi.front_connected();
                    self.shared.inbox.disconnect();
                }
                self.shared.spi.front_disconnected(storm.reason);
                self.line = Line::Down(now_ns + storm.interval_ns);
            }
            _ => {}
        }
    }

    /// The connection breaks; the next try is due at `try_ns`. Whoever comes back must log in and subscribe again.
    fn cut(&mut self, reason: i32, try_ns: i64) {
        self.line = Line::Down(try_ns);
        self.shared.inbox.disconnect();
        self.feed.unsubscribe_all();
        self.user = None;
        self.late.clear();
        self.shared.spi.front_disconnected(reason);
    }

    /// Lets the events happen that are due.
    fn happen(&mut self, now_ns: i64) {
        while let Some(Registered { play, .. }) = self.addresses.get_mut(self.at) {
            let Some(event) = play.event(self.line == Line::Up, now_ns) else { return };
            match event {
                Kind::Disconnect(cut) => {
                    let again_ns = cut.reconnect_ms.map_or_else(|| self.connect_ns(), |ms| ms as i64 * 1_000_000);
                    self.cut(cut.reason, now_ns + again_ns);
                }
                Kind::HeartbeatWarning(warning) => self.shared.spi.heart_beat_warning(warning.lapse_s),
                Kind::Abort(_) => {
                    self.write_out();
                    harm::abort()
                }
                Kind::Segfault(_) => {
                    self.write_out();
                    harm::segfault();
                }
                Kind::Fork(fork) => harm::fork(&fork),
                Kind::Flood(flood) => harm::flood(&flood),
                _ => {}
            }
        }
    }

    fn answer(&mut self, request: Request) {
        // What was asked before the connection broke is not answered.
        if self.line != Line::Up {
            return;
        }
        match request {
            Request::Login(user, request_id) => self.answer_login(user, request_id),
            Request::Logout(request_id) => {
                self.feed.unsubscribe_all();
                let spi = &self.shared.spi;
                match self.user.take() {
                    Some(user) => spi.logout_answer(&mut record::user_logout(&user), &mut fine(), request_id),
                    None => spi.logout_answer(&mut record::UserLogout::default(), &mut not_logged_in(), request_id),
                }
            }
            Request::Instruments(asked, codes) => self.answer_instruments(asked, &codes),
        }
    }

    fn answer_login(&mut self, user: User, request_id: i32) {
        let Shared { flavour, spi, trading_day: login_day, .. } = &*self.shared;
        let now_ns = real_ns();
        let login = self.addresses.get_mut(self.at).map_or(Login::Silent, |r| r.play.login(now_ns));
        match login {
            Login::Silent => {}
            Login::Refused(error, text) => {
                let mut field = record::rsp_user_login(*flavour, &user, [0; 9], [0; 9]);
                spi.login_answer(&mut field, &mut record::rsp_info(error, &text), request_id);
            }
            Login::Granted => {
                let ms = (now_ns + self.feed.ahead_ns()) / 1_000_000;
                let day = *login_day.get_or_init(|| date_text(trading_day(ms)));
                let mut field = record::rsp_user_login(*flavour, &user, day, time_text(beijing_ms_of_day(ms)));
                self.user = Some(user);
                spi.login_answer(&mut field, &mut fine(), request_id);
            }
        }
    }

    fn answer_instruments(&mut self, asked: Asked, codes: &[Vec<u8>]) {
        // One moment for all of them: each one's last snapshot comes before anybody's next.
        let now_ns = real_ns();
        for (i, code) in codes.iter().enumerate() {
            let is_last = i + 1 == codes.len();
            let info = match asked {
                _ if self.user.is_none() => Some(not_logged_in()),
                Asked::Subscribe => self.subscribe(code, is_last, now_ns),
                Asked::Unsubscribe => {
                    self.feed.unsubscribe(code);
                    Some(fine())
                }
                _ => Some(fine()),
            };
            if let Some(mut info) = info {
                let mut field = record::specific_instrument(self.shared.flavour, code);
                self.shared.spi.instrument_answer(asked, &mut field, &mut info, is_last);
            }
        }
    }

    /// The answer, if it comes now.
    fn subscribe(&mut self, code: &[u8], is_last: bool, now_ns: i64) -> Option<RspInfo> {
        let answer = self.addresses.get_mut(self.at).map_or(Answer::Now, |r| r.play.subscription(code, now_ns));
        let is_known = match &answer {
            Answer::Refused(error, text) => return Some(record::rsp_info(*error, text)),
            Answer::Never { ticks: false } => return None,
            _ => self.feed.subscribe(code, now_ns),
        };
        match answer {
            Answer::Never { .. } => None,
            _ if !is_known => Some(record::rsp_info(INSTRUMENT_NOT_FOUND, words::INSTRUMENT_NOT_FOUND)),
            Answer::Late(by_ns) => {
                self.late.push(LateAnswer { due_ns: now_ns + by_ns, code: code.to_vec(), is_last });
                None
            }
            _ => Some(fine()),
        }
    }

    fn answer_late(&mut self, now_ns: i64) {
        for late in self.late.extract_if(.., |late| late.due_ns <= now_ns) {
            let mut field = record::specific_instrument(self.shared.flavour, &late.code);
            self.shared.spi.instrument_answer(Asked::Subscribe, &mut field, &mut fine(), late.is_last);
        }
    }

    fn hand_over(&mut self) {
        for _ in 0..BATCH {
            let now_ns = real_ns();
            let Some(due) = self.feed.next(now_ns) else { return };
            let Some(Registered { play, .. }) = self.addresses.get_mut(self.at) else { return };
            let (index, flavour) = (due.index, self.shared.flavour);
            let handed = play.hand_over(index, due.code, due.snapshot, now_ns);
            for Handed { kind, stray, snapshot } in &handed {
                let code = stray.as_deref().unwrap_or(due.code);
                record::put_depth(&mut self.depth, flavour, code, snapshot);
                if *kind == TRUE {
                    with(&mut self.journal, |journal| journal.note(index, mono_ns()));
                }
                with(&mut self.tape, |tape| tape.note_whole(index, mono_ns(), kind, code, snapshot));
                self.shared.spi.depth(&mut self.depth);
            }
            play.reuse(handed);
            if !play.is_quiet() {
                if let Some(spins) = play.endless(Place::Callback, now_ns) {
                    self.stop_here(spins);
                }
                self.happen(now_ns);
            }
        }
    }
}

/// Does something with a journal, if there is one; it ends where that fails.
fn with(journal: &mut Option<Journal>, act: impl FnOnce(&mut Journal) -> Result<(), String>) {
    if let Some(Err(why)) = journal.as_mut().map(act) {
        eprintln!("mdhub-sim: {why}");
        *journal = None;
    }
}

/// Changes to another file, if it is another one.
fn reopen(journal: &mut Option<Journal>, path: Option<&Path>) {
    if journal.as_ref().map(Journal::path) == path {
        return;
    }
    with(journal, Journal::flush);
    *journal = path.and_then(|path| Journal::open(path).inspect_err(|why| eprintln!("mdhub-sim: {why}")).ok());
}

fn fine() -> RspInfo {
    record::rsp_info(0, words::FINE)
}

fn not_logged_in() -> RspInfo {
    record::rsp_info(NOT_LOGGED_IN, words::NOT_LOGGED_IN)
}
