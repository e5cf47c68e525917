//! The process that runs one account's vendor library and hands its ticks to the hub.
//!
//! | thread | does |
//! |---|---|
//! | main | decides: takes commands and the library's news from one bounded queue, reports to the hub, beats once a second |
//! | commands | reads standard input |
//! | ticks | drains the ring into the tick pipe |
//! | the vendor's | copy what they are given, and return |
//!
//! | module | holds |
//! |---|---|
//! | [`session`] | which subscriptions are asked, answered, due: a pure state |
//! | [`ring`] | the bounded ring between the vendor's thread and the pipe |
//! | `receiver` | the vendor's calls, turned into ticks and events |
//! | `control` | commands in, reports out |
//! | `descriptors` | which descriptor is what, and the tie to the parent |

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, SyncSender, sync_channel};

use mdhub_spec::account::{AccountId, FrontAddress, GatewayKind};
use mdhub_spec::frame::{Command, PROTOCOL_VERSION, Report, Start};
use mdhub_spec::process::Incarnation;
use mdhub_spec::time::Mono;
use zeroize::Zeroize;

use crate::clock;
use crate::vendor::layout::Layout;
use crate::vendor::record::{Answer, Credentials, login_request};
use crate::vendor::{Api, Library, api, spi};
use control::Control;
use descriptors::Descriptors;
use receiver::Receiver;
use ring::TickRing;
use session::Session;

mod control;
mod descriptors;
mod log;
mod receiver;
pub mod ring;
pub mod session;

/// It was asked to stop, or its commands ended.
pub const EXIT_ASKED: i32 = 0;
/// The Start command is missing, or asks for something impossible.
pub const EXIT_START: i32 = 2;
/// The vendor library was refused, or made no API object.
pub const EXIT_LIBRARY: i32 = 3;
/// A pipe to the hub broke.
pub const EXIT_PIPE: i32 = 4;
/// The hub and the worker do not speak the same protocol.
pub const EXIT_PROTOCOL: i32 = 5;
/// The front refused the login.
pub const EXIT_LOGIN: i32 = mdhub_spec::process::EXIT_LOGIN_REFUSED;
/// More news came from the library than could be handled, or mdhub's own code failed in a callback.
pub const EXIT_INTERNAL: i32 = 7;

/// Events that may wait for the main thread. The library's answers to 20,000 subscriptions fit.
const EVENTS_MAX: usize = 32_768;
/// From one heartbeat to the next.
const HEARTBEAT_MS: u64 = 1_000;

/// What `mdhub gateway` was called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerArgs {
    /// Which flavour of library to drive.
    pub kind: GatewayKind,
    /// Whose worker this is.
    pub account: AccountId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The hub's process id; the worker leaves when that is not its parent.
    pub parent_pid: u32,
}

/// What happens to the main thread.
#[derive(Debug)]
pub(crate) enum Event {
    /// The hub says.
    Command(Command),
    /// The hub closed the commands.
    CommandsEnded,
    /// What came was no command.
    BadCommand(String),
    /// The tick pipe broke.
    TickPipeBroken(String),
    /// The connection stands, and the login was sent with this code.
    FrontConnected {
        /// 0 for sent.
        login_sent: i32,
    },
    /// The connection is gone.
    FrontDisconnected(i32),
    /// The front has been silent for that many seconds.
    HeartbeatWarning(i32),
    /// The login's answer.
    Login {
        /// Success or refusal.
        answer: Answer,
        /// `YYYYMMDD`.
        trading_day: String,
    },
    /// An error without a place.
    Error(Answer),
    /// One subscription's answer.
    Subscribed {
        /// Which one.
        symbol: String,
        /// Success or refusal.
        answer: Answer,
    },
}

/// Why a worker leaves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leave {
    code: i32,
    reason: String,
}

impl Leave {
    fn new(code: i32, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// Runs a worker on the descriptors 0 to 3 of this process, as [`mdhub_spec::frame`] describes them.
///
/// Returns an exit code only when the descriptors are not those of a worker. Otherwise the process ends here, without
/// exit handlers: the vendor's threads still run, its `Release` may never return, and its destructors abort beneath them.
#[must_use]
pub fn run(args: WorkerArgs) -> i32 {
    let descriptors = match Descriptors::take(args.parent_pid) {
        Ok(descriptors) => descriptors,
        Err(why) => {
            log::error(&format!("this is no worker's environment: {why}"));
            return EXIT_PIPE;
        }
    };
    let mut control = Control::new(descriptors.control);
    let Err(leave) = serve(&args, &mut control, descriptors.ticks);
    log::info(&format!("leaves with exit code {}: {}", leave.code, leave.reason));
    // The pipe may be what broke, and then nobody listens.
    let _ = control.send(&Report::Bye { code: leave.code, reason: leave.reason });
    api::exit_now(leave.code)
}

fn serve(args: &WorkerArgs, control: &mut Control, ticks: std::fs::File) -> Result<Infallible, Leave> {
    let (events, inbox) = sync_channel(EVENTS_MAX);
    control.send(&Report::Hello {
        protocol_version: PROTOCOL_VERSION,
        account: args.account.clone(),
        incarnation: args.incarnation,
    })?;
    spawn("commands", {
        let events = events.clone();
        move || control::read_commands(&events)
    })?;
    let mut start = wait_for_start(&inbox)?;
    let ring = Arc::new(TickRing::new());
    ring.write_to(ticks, events.clone()).map_err(|e| Leave::new(EXIT_INTERNAL, format!("thread: {e}")))?;
    let (api, receiver) = connect(args.kind, &mut start, control, Arc::clone(&ring), events)?;
    let session = Session::new(start.contracts);
    Worker { control, api, receiver, ring, session, heartbeat_at: Mono(0), answers_known: true }.run(&inbox)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Leave> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map(|_| ()).map_err(|e| Leave::new(EXIT_INTERNAL, format!("thread {name}: {e}")))
}

fn wait_for_start(inbox: &Inbox<Event>) -> Result<Box<Start>, Leave> {
    match inbox.recv() {
        Ok(Event::Command(Command::Start(start))) if start.protocol_version == PROTOCOL_VERSION => Ok(start),
        Ok(Event::Command(Command::Start(start))) => Err(Leave::new(
            EXIT_PROTOCOL,
            format!("the hub speaks protocol {}, this worker {PROTOCOL_VERSION}", start.protocol_version),
        )),
        Ok(Event::Command(Command::Stop)) => Err(Leave::new(EXIT_ASKED, "asked to stop")),
        Ok(Event::BadCommand(why)) => Err(Leave::new(EXIT_PROTOCOL, why)),
        Ok(Event::CommandsEnded) | Err(_) => Err(Leave::new(EXIT_ASKED, "the hub closed the commands")),
        Ok(other) => Err(Leave::new(EXIT_START, format!("the first command must be Start, not {other:?}"))),
    }
}

/// Loads the library and lets it connect. Everything is checked before the library sees it.
fn connect(
    kind: GatewayKind,
    start: &mut Start,
    control: &mut Control,
    ring: Arc<TickRing>,
    events: SyncSender<Event>,
) -> Result<(Arc<Api>, Arc<Receiver>), Leave> {
    let bad_start = |why: String| Leave::new(EXIT_START, why);
    let fronts: Vec<FrontAddress> = start
        .md_address
        .iter()
        .map(|address| address.parse().map_err(|e| bad_start(format!("{e}"))))
        .collect::<Result<_, _>>()?;
    if fronts.is_empty() {
        return Err(bad_start("md_address is empty: at least one tcp://HOST:PORT is needed".into()));
    }
    let (broker_id, user_id, password) = (&start.broker_id, &start.user_id, &start.password);
    let login = login_request(Credentials { broker_id, user_id, password }).map_err(bad_start)?;
    start.password.zeroize();
    let layout = Layout::of(kind);
    let library = Library::load(Path::new(&start.library), start.library_sha256.as_deref(), layout)
        .map_err(|e| Leave::new(EXIT_LIBRARY, e.to_string()))?;
    control.send(&Report::LibraryLoaded { version: library.version().to_owned(), known: library.is_known() })?;
    log::info(&format!("library {} loaded, version {:?}", start.library, library.version()));
    let made = Api::create(&library, Path::new(&start.flow_dir)).map_err(|e| Leave::new(EXIT_LIBRARY, e))?;
    let api = Arc::new(made);
    let receiver = Arc::new(Receiver::new(layout, Arc::clone(&api), login, ring, events));
    api.register_spi(&library, Arc::clone(&receiver) as Arc<dyn spi::Spi>);
    for front in &fronts {
        api.register_front(front).map_err(bad_start)?;
        log::info(&format!("front {front} registered"));
    }
    api.init();
    Ok((api, receiver))
}

/// The main thread's belongings.
struct Worker<'a> {
    control: &'a mut Control,
    api: Arc<Api>,
    receiver: Arc<Receiver>,
    ring: Arc<TickRing>,
    session: Session,
    heartbeat_at: Mono,
    answers_known: bool,
}

impl Worker<'_> {
    fn run(mut self, inbox: &Inbox<Event>) -> Result<Infallible, Leave> {
        loop {
            let now = clock::mono();
            self.beat(now)?;
            self.subscribe_due(now);
            if let Some(accepted) = self.session.newly_ready() {
                log::info(&format!("ready: {accepted} subscriptions accepted"));
                self.control.send(&Report::Ready { accepted })?;
            }
            let wake_at = self.session.wake_at().map_or(self.heartbeat_at, |at| at.min(self.heartbeat_at));
            match inbox.recv_timeout(now.until(wake_at)) {
                Ok(event) => self.handle(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Leave::new(EXIT_INTERNAL, "every source of events is gone"));
                }
            }
        }
    }

    fn beat(&mut self, now: Mono) -> Result<(), Leave> {
        if now < self.heartbeat_at {
            return Ok(());
        }
        self.heartbeat_at = now.plus_ms(HEARTBEAT_MS);
        if spi::panics() > 0 {
            return Err(Leave::new(EXIT_INTERNAL, "mdhub's own code panicked in a callback"));
        }
        let lost = self.receiver.events_lost();
        if lost > 0 {
            return Err(Leave::new(EXIT_INTERNAL, format!("{lost} events of the library found the queue full")));
        }
        self.control.send(&Report::Heartbeat { received: self.ring.received(), ring_dropped: self.ring.dropped() })
    }

    fn subscribe_due(&mut self, now: Mono) {
        let Some(batch) = self.session.next_batch(now) else { return };
        let code = self.api.subscribe(&batch);
        if code != 0 {
            log::warn(&format!("subscribing {} contracts was not sent, code {code}; it is tried again", batch.len()));
            self.session.put_back(batch, now);
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), Leave> {
        match event {
            Event::Command(command) => self.obey(command),
            Event::CommandsEnded => Err(Leave::new(EXIT_ASKED, "the hub closed the commands")),
            Event::BadCommand(why) => Err(Leave::new(EXIT_PROTOCOL, why)),
            Event::TickPipeBroken(why) => Err(Leave::new(EXIT_PIPE, format!("tick pipe: {why}"))),
            Event::FrontConnected { login_sent } => {
                log::info("front connected");
                self.control.send(&Report::FrontConnected)?;
                if login_sent == 0 {
                    return Ok(());
                }
                Err(Leave::new(EXIT_LOGIN, format!("the login could not be sent, code {login_sent}")))
            }
            Event::FrontDisconnected(reason) => {
                log::warn(&format!("front disconnected, reason {reason:#06x}"));
                self.session.disconnected();
                self.control.send(&Report::FrontDisconnected { reason })
            }
            Event::HeartbeatWarning(lapse_s) => {
                log::warn(&format!("the front has been silent for {lapse_s} s"));
                Ok(())
            }
            Event::Login { answer, trading_day } => self.logged_in(answer, trading_day),
            Event::Error(answer) => {
                log::warn(&format!("the front reports error {}: {}", answer.code, answer.message));
                Ok(())
            }
            Event::Subscribed { symbol, answer } => self.subscribed(symbol, answer),
        }
    }

    fn obey(&mut self, command: Command) -> Result<(), Leave> {
        match command {
            Command::Start(_) => return Err(Leave::new(EXIT_START, "Start came a second time")),
            Command::Subscribe(contracts) => self.session.add(contracts),
            Command::Unsubscribe(contracts) => {
                let gone = self.session.remove(&contracts);
                if !gone.is_empty() {
                    let code = self.api.unsubscribe(&gone);
                    log::info(&format!("{} contracts dropped, code {code}", gone.len()));
                }
            }
            Command::Stop => return Err(Leave::new(EXIT_ASKED, "asked to stop")),
        }
        Ok(())
    }

    fn logged_in(&mut self, answer: Answer, trading_day: String) -> Result<(), Leave> {
        if answer.is_refusal() {
            let Answer { code, message } = answer;
            let reason = format!("the front refused the login, code {code}: {message}");
            self.control.send(&Report::LoginRefused { code, message })?;
            return Err(Leave::new(EXIT_LOGIN, reason));
        }
        log::info(&format!("logged in, trading day {trading_day}"));
        self.session.logged_in();
        self.control.send(&Report::LoggedIn { trading_day })
    }

    fn subscribed(&mut self, symbol: String, answer: Answer) -> Result<(), Leave> {
        if !self.session.answered(&symbol, !answer.is_refusal()) {
            if std::mem::take(&mut self.answers_known) {
                log::warn(&format!("the front answers a subscription of {symbol:?} that nobody asked for"));
            }
            return Ok(());
        }
        let refused = answer.is_refusal().then_some((answer.code, answer.message));
        if let Some((code, message)) = &refused {
            log::warn(&format!("subscription of {symbol} refused, code {code}: {message}"));
        }
        self.control.send(&Report::SubscribeAck { symbol, refused })
    }
}
