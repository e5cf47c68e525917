//! A login test by hand: every step from the file to the first tick, told as it happens.
//!
//! The vendor's library runs in a throw-away worker process, since it may crash. Whoever asks gets the steps through a
//! closure, and a verdict at the end; there is a deadline to all of it.

use std::fmt;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mdhub_spec::account::{FrontAddress, GatewayKind, Secret};
use mdhub_spec::contract::Contract;
use mdhub_spec::frame::{Limits, PROTOCOL_VERSION, Report, Start};
use mdhub_spec::process::{EXIT_INTERNAL, EXIT_LIBRARY, EXIT_LOGIN_REFUSED, EXIT_NO_FRONT, EXIT_UNANSWERED};
use mdhub_spec::time::Mono;

use crate::clock;
use crate::manager::children::Children;
use crate::program::Library;
use crate::vendor::library;
use child::{Child, News};

mod child;

/// No front can be reached by TCP, and none answered the library.
pub const EXIT_UNREACHABLE: i32 = 20;
/// Logged in and subscribed, but no tick came: the market may be closed.
pub const EXIT_NO_TICK: i32 = 21;
/// The deadline came first.
pub const EXIT_DEADLINE: i32 = 22;
/// The front refused every contract.
pub const EXIT_CONTRACTS_REFUSED: i32 = 23;

/// A TCP connection is waited for so long.
const TCP_WAIT: Duration = Duration::from_secs(3);
/// The first tick is waited for so long after the subscription.
const TICK_WAIT_MS: u64 = 10_000;
/// How often it is looked whether anybody still wants to know.
const LOOK: Duration = Duration::from_millis(200);
/// What nobody chose as a password.
const WRONG_PASSWORD: &str = "mdhub-wrong-password";

/// What is tried.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The program whose command `gateway` is a worker.
    pub program: PathBuf,
    /// Which program drives it.
    pub kind: GatewayKind,
    /// What the worker loads.
    pub library: Library,
    /// Login name at the broker.
    pub user_id: String,
    /// Password.
    pub password: Secret,
    /// The broker's code.
    pub broker_id: String,
    /// Fronts. All are tried by TCP; the first that can be reached gets the login.
    pub md_address: Vec<FrontAddress>,
    /// What to subscribe; nothing is a test of the login alone.
    pub contracts: Vec<Contract>,
    /// Whether to log in a second time with a wrong password. Brokers count those.
    pub check_password: bool,
    /// All of it takes no longer than this.
    pub deadline_ms: u64,
    /// Where the worker's flow directory is made, and removed again.
    pub scratch_dir: PathBuf,
}

/// One step, when it had happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds since the beginning.
    pub at_ms: u64,
    /// Whether it is as it should be.
    pub is_good: bool,
    /// What happened; its `Display` is for people.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "their Display says it")]
pub enum What {
    LibraryFound { path: PathBuf, sha256: String },
    EnvironmentFound { path: PathBuf },
    LibraryMissing { path: PathBuf, why: String },
    Resolved { address: FrontAddress, to: Vec<SocketAddr> },
    Unresolved { address: FrontAddress, why: String },
    Reachable { address: FrontAddress },
    Unreachable { address: FrontAddress, why: String },
    LibraryLoaded { version: String, known: bool },
    FrontConnected,
    FrontDisconnected { reason: i32 },
    LoggedIn { trading_day: String },
    LoginRefused { code: i32, message: String },
    ContractRefused { symbol: String, code: i32, message: String },
    Subscribed { accepted: u32, asked: usize },
    Unanswered { count: u32, first: Vec<String> },
    FirstTick { symbol: String, last_price: String },
    NoTick { waited_ms: u64 },
    PasswordChecked,
    PasswordNotChecked,
    PasswordUnknown { why: String },
    WorkerLeft { why: String },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LibraryFound { path, sha256 } => write!(f, "library {} found, sha256 {sha256}", path.display()),
            Self::EnvironmentFound { path } => write!(f, "vnpy's environment {} found", path.display()),
            Self::LibraryMissing { path, why } => write!(f, "library {}: {why}", path.display()),
            Self::Resolved { address, to } => {
                let to: Vec<String> = to.iter().map(SocketAddr::to_string).collect();
                write!(f, "front {address} is {}", to.join(", "))
            }
            Self::Unresolved { address, why } => write!(f, "front {address} has no address: {why}"),
            Self::Reachable { address } => write!(f, "front {address} is reached by TCP"),
            Self::Unreachable { address, why } => write!(f, "front {address} is not reached by TCP: {why}"),
            Self::LibraryLoaded { version, known: true } => write!(f, "library loaded, version {version:?}"),
            Self::LibraryLoaded { version, known: false } => {
                write!(f, "library loaded, version {version:?}, with which mdhub was not tested")
            }
            Self::FrontConnected => f.write_str("front connected"),
            Self::FrontDisconnected { reason } => write!(f, "front disconnected, reason {reason:#06x}"),
            Self::LoggedIn { trading_day } => write!(f, "login accepted, trading day {trading_day}"),
            Self::LoginRefused { code, message } => write!(f, "login refused, code {code}: {message}"),
            Self::ContractRefused { symbol, code, message } => write!(f, "{symbol} refused, code {code}: {message}"),
            Self::Subscribed { accepted, asked } => write!(f, "{accepted} of {asked} contracts subscribed"),
            Self::Unanswered { count, first } => write!(f, "{count} contracts unanswered: {}", first.join(", ")),
            Self::FirstTick { symbol, last_price } => write!(f, "first tick: {symbol}, last {last_price}"),
            Self::NoTick { waited_ms } => write!(f, "no tick within {} s (market closed?)", waited_ms / 1000),
            Self::PasswordChecked => f.write_str("a wrong password is refused: this front checks it"),
            Self::PasswordNotChecked => f.write_str(
                "a wrong password is accepted, too: this front checks none, so the login proves nothing of it",
            ),
            Self::PasswordUnknown { why } => write!(f, "whether the front checks passwords stays open: {why}"),
            Self::WorkerLeft { why } => f.write_str(why),
        }
    }
}

/// How it ended: 0, or an `EXIT_` code of this module or of [`mdhub_spec::process`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The code.
    pub code: i32,
    /// A sentence.
    pub reason: String,
}

impl Verdict {
    fn new(code: i32, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// Tries all of it, and tells each step as it happens. Blocks, at most a little longer than the deadline, or than anybody wants it.
///
/// In a hub it is [`crate::manager::GatewayManager::probe`], since the hub ends children that it knows nothing of.
pub fn run(probe: &Probe, is_wanted: &dyn Fn() -> bool, tell: &mut dyn FnMut(Step)) -> Verdict {
    match Children::new(false) {
        Ok(children) => run_among(&children, probe, is_wanted, tell),
        Err(e) => Verdict::new(EXIT_INTERNAL, e.to_string()),
    }
}

/// The same among the children of a process that looks after them.
pub(crate) fn run_among(
    children: &Arc<Children>,
    probe: &Probe,
    is_wanted: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Step),
) -> Verdict {
    let began = clock::mono();
    let mut trial = Trial { children, probe, began, deadline: began.plus_ms(probe.deadline_ms), is_wanted, tell };
    trial.run().unwrap_or_else(|verdict| verdict)
}

struct Trial<'a> {
    children: &'a Arc<Children>,
    probe: &'a Probe,
    began: Mono,
    deadline: Mono,
    is_wanted: &'a dyn Fn() -> bool,
    tell: &'a mut dyn FnMut(Step),
}

impl Trial<'_> {
    fn say(&mut self, is_good: bool, what: What) {
        let at_ms = clock::mono().ms_since(self.began);
        (self.tell)(Step { at_ms, is_good, what });
    }

    fn run(&mut self) -> Result<Verdict, Verdict> {
        self.find_library()?;
        let (front, is_reached) = self.first_reachable().ok_or_else(|| {
            Verdict::new(mdhub_spec::process::EXIT_START, "md_address is empty: at least one tcp://HOST:PORT is needed")
        })?;
        self.still_tries()?;
        let password = self.probe.password.reveal().to_owned();
        let verdict = self.log_in(&front, password, &self.probe.contracts.clone());
        if verdict.code == EXIT_NO_FRONT && !is_reached {
            return Err(Verdict::new(
                EXIT_UNREACHABLE,
                format!("front {front} is not reached by TCP, nor by the library"),
            ));
        }
        if self.probe.check_password && [0, EXIT_NO_TICK].contains(&verdict.code) {
            self.check_password(&front);
        }
        Ok(verdict)
    }

    /// Looks whether there is what the worker is to load.
    fn find_library(&mut self) -> Result<(), Verdict> {
        let Library { path, vnpy_class, .. } = self.probe.library.clone();
        if vnpy_class.is_some() {
            return match self.probe.library.look() {
                Ok(()) => {
                    self.say(true, What::EnvironmentFound { path });
                    Ok(())
                }
                Err(why) => self.is_missing(What::LibraryMissing { path, why }),
            };
        }
        match library::sha256(&path) {
            Ok(sha256) => {
                self.say(true, What::LibraryFound { path, sha256 });
                Ok(())
            }
            Err(e) => self.is_missing(What::LibraryMissing { path, why: e.to_string() }),
        }
    }

    fn is_missing(&mut self, missing: What) -> Result<(), Verdict> {
        let verdict = Verdict::new(EXIT_LIBRARY, missing.to_string());
        self.say(false, missing);
        Err(verdict)
    }

    /// Fails once nobody waits any more, or the deadline has come.
    fn still_tries(&self) -> Result<(), Verdict> {
        if !(self.is_wanted)() {
            return Err(Verdict::new(EXIT_DEADLINE, "nobody waits for it any more"));
        }
        if clock::mono() >= self.deadline {
            return Err(Verdict::new(EXIT_DEADLINE, format!("not done within {} ms", self.probe.deadline_ms)));
        }
        Ok(())
    }

    fn first_reachable(&mut self) -> Option<(FrontAddress, bool)> {
        let mut first = None;
        for address in self.probe.md_address.clone() {
            if self.still_tries().is_err() {
                break;
            }
            let reached = match resolve(&address) {
                Ok(to) => {
                    self.say(true, What::Resolved { address: address.clone(), to: to.clone() });
                    reach(&to, self.deadline)
                }
                Err(why) => {
                    self.say(false, What::Unresolved { address, why });
                    continue;
                }
            };
            match reached {
                Ok(()) => {
                    self.say(true, What::Reachable { address: address.clone() });
                    first.get_or_insert(address);
                }
                Err(why) => self.say(false, What::Unreachable { address, why }),
            }
        }
        // The library may know a way that this test does not: it has the last word.
        first.map(|address| (address, true)).or_else(|| self.probe.md_address.first().map(|a| (a.clone(), false)))
    }

    /// A second login with a wrong password, of which only the answer counts.
    fn check_password(&mut self, front: &FrontAddress) {
        let Self { children, probe, began, deadline, is_wanted, .. } = *self;
        let mut quiet = Trial { children, probe, began, deadline, is_wanted, tell: &mut |_| () };
        let verdict = quiet.log_in(front, WRONG_PASSWORD.to_owned(), &[]);
        match verdict.code {
            0 => self.say(false, What::PasswordNotChecked),
            EXIT_LOGIN_REFUSED => self.say(true, What::PasswordChecked),
            _ => self.say(false, What::PasswordUnknown { why: verdict.reason }),
        }
    }

    fn log_in(&mut self, front: &FrontAddress, password: String, contracts: &[Contract]) -> Verdict {
        let start = self.start(front, password, contracts);
        let mut child = match Child::spawn(self.children, self.probe, start) {
            Ok(child) => child,
            Err(why) => return Verdict::new(EXIT_INTERNAL, format!("{}: {why}", self.probe.program.display())),
        };
        self.follow(&mut child, contracts)
    }

    fn start(&self, front: &FrontAddress, password: String, contracts: &[Contract]) -> Start {
        let left_ms = self.deadline.ms_since(clock::mono());
        let limits = Limits {
            front_timeout_ms: left_ms.min(12_000),
            disconnects_max: 5,
            login_timeout_ms: left_ms.min(10_000),
            subscribe_timeout_ms: left_ms.min(5_000),
            ..Limits::default()
        };
        let (gateway_class, connect) = self.probe.library.class_and_connect();
        Start {
            protocol_version: PROTOCOL_VERSION,
            user_id: self.probe.user_id.clone(),
            password,
            broker_id: self.probe.broker_id.clone(),
            md_address: vec![front.as_str().to_owned()],
            library: self.probe.library.absolute().display().to_string(),
            library_sha256: self.probe.library.sha256.clone(),
            // The process has a directory of its own for it.
            flow_dir: String::new(),
            contracts: contracts.to_vec(),
            limits,
            session_open: false,
            gateway_class,
            connect,
        }
    }

    /// Takes the worker's news until there is a verdict.
    fn follow(&mut self, child: &mut Child, contracts: &[Contract]) -> Verdict {
        let mut ready_at: Option<Mono> = None;
        let mut tick: Option<What> = None;
        loop {
            // A tick may come before the report that the subscriptions stand: it is kept for then.
            if ready_at.is_some()
                && let Some(tick) = tick.take()
            {
                self.say(true, tick);
                return Verdict::new(0, "login, subscription and ticks work");
            }
            let tick_by = ready_at.map_or(self.deadline, |at| at.plus_ms(TICK_WAIT_MS)).min(self.deadline);
            let left = clock::mono().until(tick_by);
            let news = child.next(left.min(LOOK));
            match news {
                None if left > LOOK => {
                    if !(self.is_wanted)() {
                        return Verdict::new(EXIT_DEADLINE, "nobody waits for it any more");
                    }
                }
                Some(News::Tick { symbol, last_price }) => {
                    tick = tick.or(Some(What::FirstTick { symbol, last_price }));
                }
                Some(News::Report(report)) => {
                    if let Some(verdict) = self.take(report, contracts, &mut ready_at) {
                        return verdict;
                    }
                }
                Some(News::Ended { how, stderr }) => {
                    let why = format!("the worker process ended without a word: {how}; its last lines: {stderr}");
                    self.say(false, What::WorkerLeft { why: why.clone() });
                    return Verdict::new(EXIT_INTERNAL, why);
                }
                None if ready_at.is_some() => {
                    let no_tick = What::NoTick { waited_ms: clock::mono().ms_since(ready_at.unwrap_or_default()) };
                    let verdict = Verdict::new(EXIT_NO_TICK, format!("login works; {no_tick}"));
                    self.say(false, no_tick);
                    return verdict;
                }
                None => {
                    let text = format!("not done within {} ms", self.probe.deadline_ms);
                    return Verdict::new(EXIT_DEADLINE, text);
                }
            }
        }
    }

    /// Tells a report; gives the verdict where it is one.
    fn take(&mut self, report: Report, contracts: &[Contract], ready_at: &mut Option<Mono>) -> Option<Verdict> {
        match report {
            Report::LibraryLoaded { version, known } => self.say(known, What::LibraryLoaded { version, known }),
            Report::FrontConnected => self.say(true, What::FrontConnected),
            Report::FrontDisconnected { reason } => self.say(false, What::FrontDisconnected { reason }),
            Report::LoggedIn { trading_day } => {
                self.say(true, What::LoggedIn { trading_day });
                return contracts.is_empty().then(|| Verdict::new(0, "login works"));
            }
            Report::LoginRefused { code, message } => {
                let refused = What::LoginRefused { code, message };
                let verdict = Verdict::new(EXIT_LOGIN_REFUSED, refused.to_string());
                self.say(false, refused);
                return Some(verdict);
            }
            Report::SubscribeAck { symbol, refused: Some((code, message)) } => {
                self.say(false, What::ContractRefused { symbol, code, message });
            }
            Report::Ready { accepted } => {
                let asked = contracts.len();
                self.say(accepted as usize == asked, What::Subscribed { accepted, asked });
                if accepted == 0 {
                    return Some(Verdict::new(EXIT_CONTRACTS_REFUSED, "login works; no contract was subscribed"));
                }
                ready_at.get_or_insert(clock::mono());
            }
            Report::Unanswered { count, first } => self.say(count == 0, What::Unanswered { count, first }),
            Report::Bye { code, reason } => {
                let why = if code == EXIT_UNANSWERED { format!("login works; {reason}") } else { reason };
                self.say(false, What::WorkerLeft { why: why.clone() });
                return Some(Verdict::new(code, why));
            }
            Report::Hello { .. } | Report::Heartbeat { .. } | Report::SubscribeAck { refused: None, .. } => {}
        }
        None
    }
}

/// What a front's name stands for.
fn resolve(address: &FrontAddress) -> Result<Vec<SocketAddr>, String> {
    let place = address.as_str().trim_start_matches("tcp://");
    let found: Vec<SocketAddr> = place.to_socket_addrs().map_err(|e| e.to_string())?.collect();
    if found.is_empty() { Err("the name has none".to_owned()) } else { Ok(found) }
}

/// Whether a TCP connection to any of these can be made before the deadline.
fn reach(addresses: &[SocketAddr], deadline: Mono) -> Result<(), String> {
    let mut last = String::new();
    for address in addresses {
        let wait = clock::mono().until(deadline).min(TCP_WAIT);
        if wait.is_zero() {
            return Err("the deadline came first".to_owned());
        }
        match TcpStream::connect_timeout(address, wait) {
            Ok(_) => return Ok(()),
            Err(e) => last = e.to_string(),
        }
    }
    Err(last)
}
