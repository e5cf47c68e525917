//! The process that runs one account's vendor library and hands its ticks to the hub.
//!
//! | thread | does |
//! |---|---|
//! | main | decides: takes commands and the library's news from one bounded queue, reports to the hub, beats once a second |
//! | commands | reads standard input |
//! | ticks | drains the ring into the tick pipe |
//! | printed | reads what the library prints |
//! | term | waits for TERM |
//! | the vendor's | copy what they are given, and return |
//!
//! No thread but `ticks` ever waits for the hub, and none of the vendor's for anything.
//!
//! | module | holds |
//! |---|---|
//! | `main_loop` | the main thread |
//! | `watchdog` | when to give up: a pure state |
//! | [`session`] | which subscriptions are asked, answered, due: a pure state |
//! | `login` | when a login may be sent: a pure state |
//! | `fronts` | which of the fronts is used |
//! | [`ring`] | the bounded ring between the vendor's thread and the pipe |
//! | `receiver` | the vendor's calls, turned into ticks and events |
//! | `control`, `words` | commands in, reports out, fit to be read |
//! | `descriptors`, `log`, `printed`, `term` | the process: descriptors, the tie to the parent, text, TERM |

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, SyncSender, sync_channel};

use mdhub_spec::account::{AccountId, FrontAddress};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::frame::{Command, PROTOCOL_VERSION, Report, Start};
use mdhub_spec::process::Incarnation;
pub use mdhub_spec::process::{
    EXIT_ASKED, EXIT_INTERNAL, EXIT_LIBRARY, EXIT_LOGIN_REFUSED, EXIT_PIPE, EXIT_PROTOCOL, EXIT_START,
};
use zeroize::Zeroize;

use crate::vendor::layout::Layout;
use crate::vendor::record::{Answer, Credentials, login_request};
use crate::vendor::{Api, Library, api, spi};
use control::Control;
use descriptors::{Descriptors, TickPipe};
use fronts::Fronts;
use main_loop::{Connection, Worker};
use receiver::Receiver;
use ring::TickRing;

mod control;
mod descriptors;
mod fronts;
mod log;
mod login;
mod main_loop;
mod printed;
mod receiver;
pub mod ring;
pub mod session;
mod term;
mod watchdog;
mod words;

/// Events that may wait for the main thread. The library's answers to 20,000 subscriptions fit.
const EVENTS_MAX: usize = 32_768;

/// What `mdhub gateway` was called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerArgs {
    /// Which flavour of library to drive.
    pub dialect: Dialect,
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
    /// TERM came.
    Term,
    /// The connection stands.
    FrontConnected,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    let (ticks, printed) = (descriptors.ticks, descriptors.printed);
    let Err(leave) = serve(&args, &mut control, ticks, printed);
    log::info(&format!("leaves with exit code {}: {}", leave.code, leave.reason));
    control.send_last(Report::Bye { code: leave.code, reason: leave.reason });
    api::exit_now(leave.code)
}

fn serve(
    args: &WorkerArgs,
    control: &mut Control,
    ticks: TickPipe,
    printed: std::io::PipeReader,
) -> Result<Infallible, Leave> {
    let (events, inbox) = sync_channel(EVENTS_MAX);
    take_term(&events)?;
    control.send(Report::Hello {
        protocol_version: PROTOCOL_VERSION,
        account: args.account.clone(),
        incarnation: args.incarnation,
    })?;
    spawn("printed", move || printed::read(printed))?;
    spawn("commands", {
        let events = events.clone();
        move || control::read_commands(&events)
    })?;
    let mut start = wait_for_start(&inbox)?;
    let ring = Arc::new(TickRing::new());
    ring.write_to(ticks, events.clone()).map_err(|e| Leave::new(EXIT_INTERNAL, format!("thread: {e}")))?;
    let connection = connect(args.dialect, &mut start, control, Arc::clone(&ring), events)?;
    Worker::new(control, connection, ring, *start).run(&inbox)
}

/// Takes TERM over before anything that could be in its way.
fn take_term(events: &SyncSender<Event>) -> Result<(), Leave> {
    let failed = |why: String| Leave::new(EXIT_INTERNAL, format!("TERM cannot be taken over: {why}"));
    let (ready, is_ready) = sync_channel(1);
    let events = events.clone();
    spawn("term", move || term::wait(&events, &ready))?;
    is_ready.recv().map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))
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
        Ok(Event::Term) => Err(Leave::new(EXIT_ASKED, "asked to leave by TERM")),
        Ok(Event::BadCommand(why)) => Err(Leave::new(EXIT_PROTOCOL, why)),
        Ok(Event::CommandsEnded) | Err(_) => Err(Leave::new(EXIT_PIPE, "the hub closed the commands")),
        Ok(other) => Err(Leave::new(EXIT_START, format!("the first command must be Start, not {other:?}"))),
    }
}

/// Loads the library and lets it connect. Everything is checked before the library sees it.
fn connect(
    dialect: Dialect,
    start: &mut Start,
    control: &mut Control,
    ring: Arc<TickRing>,
    events: SyncSender<Event>,
) -> Result<Connection, Leave> {
    let bad_start = |why: String| Leave::new(EXIT_START, why);
    let addresses: Vec<FrontAddress> = start
        .md_address
        .iter()
        .map(|address| address.parse().map_err(|e| bad_start(format!("{e}"))))
        .collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        return Err(bad_start("md_address is empty: at least one tcp://HOST:PORT is needed".into()));
    }
    let (broker_id, user_id, password) = (&start.broker_id, &start.user_id, &start.password);
    let login = login_request(Credentials { broker_id, user_id, password }).map_err(bad_start)?;
    start.password.zeroize();
    let layout = Layout::of(dialect);
    let library = Library::load(Path::new(&start.library), start.library_sha256.as_deref(), layout)
        .map_err(|e| Leave::new(EXIT_LIBRARY, e.to_string()))?;
    let known = library.is_known();
    control.send(Report::LibraryLoaded { version: library.version().to_owned(), known })?;
    log::info(&format!("library {} loaded, version {:?}", start.library, library.version()));
    if !known {
        log::warn(&format!("mdhub was not tested with version {:?} of the library", library.version()));
    }
    let flow_dir = Path::new(&start.flow_dir);
    let api = Api::create(&library, flow_dir).map_err(|e| Leave::new(EXIT_LIBRARY, e))?;
    let receiver = Arc::new(Receiver::new(layout, ring, events));
    api.register_spi(&library, Arc::clone(&receiver) as Arc<dyn spi::Spi>);
    let fronts = Fronts::choose(addresses, flow_dir).ok_or_else(|| bad_start("md_address is empty".into()))?;
    let Some(front) = fronts.chosen() else { return Err(bad_start("md_address is empty".into())) };
    api.register_front(front).map_err(bad_start)?;
    log::info(&format!("front {front} registered, one of {}", start.md_address.len()));
    api.init();
    Ok(Connection { api, receiver, login, fronts })
}
