//! The only place that spawns and signals processes.
//!
//! One process for each account, in a group of its own. The manager starts it, watches it, and knows when it is gone:
//! the whole group, not just its leader. *When* to start and to end one is the reconciler's decision; each of its actions
//! names the incarnation that it was computed for, and a mismatch is refused.
//!
//! | module | holds |
//! |---|---|
//! | `spawner` | the one thread that makes processes, and what they are given |
//! | `state` | what is known of every account; fences; reports applied |
//! | `supervise` | one task for each process, from its first report until nothing of it lives |
//! | `commands` | what a process is told, bounded, with a deadline |
//! | `stderr` | its log lines, bounded |
//! | `limits` | what it may use up |
//! | `lock` | one lock for each account, that its processes hold |
//! | `line` | a process and all that comes of it: found wherever it went, and ended |
//! | `children` | the hub's children, made and taken in |
//! | `leftover` | what a killed hub left behind |
//! | `procfs`, `signal` | the edges to `/proc` and to other processes |

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::contract::Contract;
use mdhub_spec::frame::{self, Command, Limits, PROTOCOL_VERSION, Start};
use mdhub_spec::process::{GatewayView, Incarnation};
use rustix::process::Signal;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::clock;
use crate::probe::{self, Probe, Step, Verdict};
use crate::program::{Library, Worker};
use children::Children;
use spawner::{Request, Spawned, Spawner};
use state::{Launching, State};

pub(crate) mod children;
mod commands;
mod leftover;
pub(crate) mod limits;
mod line;
mod lock;
pub(crate) mod procfs;
mod signal;
mod spawner;
mod state;
mod stderr;
mod supervise;

/// From the command Stop to TERM.
const STOP_WAIT: Duration = Duration::from_millis(500);
/// A process ends a moment after its tick pipe. One that lives for this long without one is killed.
const TICKLESS_WAIT: Duration = Duration::from_secs(2);
/// Contracts in one command: their names fit into a frame whatever they are.
const CONTRACTS_MAX: usize = 10_000;
/// After KILL, shutdown waits this long for the kernel to end what is left.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// Where the manager finds things.
#[derive(Debug, Clone)]
pub struct ManagerConfig {
    /// The program whose command `gateway` is a worker: the hub's own.
    pub program: PathBuf,
    /// Holds one flow directory for each account.
    pub flow_root: PathBuf,
    /// Holds one lock for each account. Hubs that share it never run two processes for one account. What it holds is of no
    /// use after a restart of the machine.
    pub lock_root: PathBuf,
    /// Whether this process is a hub: it then takes in, as a subreaper, whatever its workers leave behind, and reaps every
    /// child that the manager did not make. At most one manager of a process may.
    pub takes_in_children: bool,
}

/// One start.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Whose process.
    pub account: MarketDataAccount,
    /// Which life it begins.
    pub incarnation: Incarnation,
    /// The fence: the last incarnation that the caller knew of.
    pub after: Option<Incarnation>,
    /// What the worker loads.
    pub library: Library,
    /// What it subscribes.
    pub contracts: Vec<Contract>,
}

/// A started process.
#[derive(Debug)]
pub struct Launched {
    /// Its process id and process group.
    pub pid: u32,
    /// The reading end of its tick pipe, non-blocking.
    pub ticks: OwnedFd,
}

/// An action that does not fit what is there. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The manager shuts down.
    #[error("account {0}: the gateway manager is shutting down, nothing is started any more")]
    Closing(AccountId),
    /// There is a process already.
    #[error("account {account}: incarnation {found} still exists, a second process is never started")]
    Exists {
        /// Whose.
        account: AccountId,
        /// The one that exists.
        found: Incarnation,
    },
    /// Another incarnation came in between, or the given one was used.
    #[error("account {account}: the start was meant to follow {}, but the last incarnation was {}", shown(*.after), shown(*.found))]
    After {
        /// Whose.
        account: AccountId,
        /// What the caller knew.
        after: Option<Incarnation>,
        /// What there was.
        found: Option<Incarnation>,
    },
    /// No process, or another one than the caller meant.
    #[error("account {account}: incarnation {given} is not running, {} is", shown(*.found))]
    NotRunning {
        /// Whose.
        account: AccountId,
        /// Which one was meant.
        given: Incarnation,
        /// Which one is there.
        found: Option<Incarnation>,
    },
    /// It does not take commands, and was killed for it.
    #[error("account {account}: incarnation {incarnation} is killed: {why}")]
    Deaf {
        /// Whose.
        account: AccountId,
        /// Which one.
        incarnation: Incarnation,
        /// How that showed.
        why: String,
    },
}

fn shown(incarnation: Option<Incarnation>) -> String {
    incarnation.map_or_else(|| "none".to_owned(), |i| i.to_string())
}

/// Why there is no process.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StartError {
    /// The start did not fit; nothing was done.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It was tried and failed; recorded as an exit, so that backoff applies.
    #[error("account {account}: not started: {why}")]
    NotStarted {
        /// Whose.
        account: AccountId,
        /// What failed.
        why: String,
    },
}

/// Called after every observed change of an account.
type Changed = Arc<dyn Fn(&AccountId) + Send + Sync>;

/// Supervises every gateway process.
pub struct GatewayManager {
    config: ManagerConfig,
    /// When a worker gives up; those that are started from now on get it.
    limits: Mutex<Limits>,
    spawner: Spawner,
    shared: Arc<Shared>,
}

/// What the manager and its tasks share.
struct Shared {
    /// Everything that is known. Never held across an await.
    state: Mutex<State>,
    changed: Changed,
    children: Arc<Children>,
    /// Rung whenever a process is gone.
    gone: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves values, not invariants, behind: each write is a single assignment or push.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, id: &AccountId) {
        (self.changed)(id);
    }
}

impl GatewayManager {
    /// A manager without processes of its own. Call it inside a tokio runtime, which must have its I/O and time drivers.
    ///
    /// What a killed hub left behind under the same `lock_root` is ended in the background; until it is gone, it is its
    /// account's process.
    ///
    /// `changed` is called after every observed change, from any thread, and must return at once.
    ///
    /// # Errors
    /// When there is no runtime, a path of `config` cannot be made absolute, the locks cannot be looked at, or the spawning
    /// thread cannot be made.
    pub fn new(config: ManagerConfig, changed: Changed) -> io::Result<Arc<Self>> {
        Handle::try_current().map_err(io::Error::other)?;
        let config = ManagerConfig {
            program: std::path::absolute(config.program)?,
            flow_root: std::path::absolute(config.flow_root)?,
            lock_root: std::path::absolute(config.lock_root)?,
            ..config
        };
        let children = Children::new(config.takes_in_children)?;
        let spawner = Spawner::new(Arc::clone(&children))?;
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { state, changed, children, gone: Notify::new() });
        for leftover in leftover::find(&config.lock_root)? {
            shared.state().left_over(&leftover, clock::mono());
            tokio::spawn(leftover::end(Arc::clone(&shared), leftover));
        }
        Ok(Arc::new(Self { config, limits: Mutex::default(), spawner, shared }))
    }

    /// Tries a login in a throw-away worker, beside the accounts' own processes: none of what [`Self::observe`] tells knows of
    /// it. Blocks. The thread that calls must live until this returns: the worker goes with it.
    pub fn probe(&self, probe: &Probe, is_wanted: &dyn Fn() -> bool, tell: &mut dyn FnMut(Step)) -> Verdict {
        probe::run_among(&self.shared.children, probe, is_wanted, tell)
    }

    /// Workers that are started from now on give up at these limits.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Starts a process. It goes on even if the returned future is dropped.
    ///
    /// # Errors
    /// [`StartError::Refused`] when a process exists or the last incarnation is not `launch.after`;
    /// [`StartError::NotStarted`] when it was tried and failed.
    pub async fn start(&self, launch: Launch) -> Result<Launched, StartError> {
        let launching = Launching {
            account: launch.account.id.clone(),
            incarnation: launch.incarnation,
            fingerprint: launch.account.fingerprint(),
            restart_generation: launch.account.restart_generation,
            started_at: clock::mono(),
        };
        self.shared.state().reserve(&launching, launch.after)?;
        // Without a Start no process is made: nobody would supervise it.
        let asked = self.request(&launch).map(|(request, start)| (start, self.spawner.spawn(request)));
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(async move {
            let made = match asked {
                Ok((start, spawned)) => spawned.await.map(|spawned| (start, spawned)),
                Err(why) => Err(why),
            };
            shared.begin(launching, made)
        });
        let account = launch.account.id;
        task.await.unwrap_or_else(|e| Err(StartError::NotStarted { account, why: e.to_string() }))
    }

    /// What the spawner needs, and the frame that carries the rest, secrets among it.
    fn request(&self, launch: &Launch) -> Result<(Request, Zeroizing<Vec<u8>>), String> {
        let account = &launch.account;
        let flow_dir = self.config.flow_root.join(account.id.as_str());
        let settings = &account.settings;
        let mut frame = Zeroizing::new(Vec::new());
        let (gateway_class, connect) = launch.library.class_and_connect();
        let start = Start {
            protocol_version: PROTOCOL_VERSION,
            user_id: settings.user_id.clone(),
            password: account.password.reveal().to_owned(),
            broker_id: settings.broker_id.clone(),
            md_address: settings.md_address.iter().map(|a| a.as_str().to_owned()).collect(),
            library: launch.library.absolute().to_string_lossy().into_owned(),
            library_sha256: launch.library.sha256.clone(),
            flow_dir: flow_dir.to_string_lossy().into_owned(),
            contracts: launch.contracts.clone(),
            limits: *self.limits.lock().unwrap_or_else(PoisonError::into_inner),
            session_open: false,
            gateway_class,
            connect,
        };
        let mut command = Command::Start(Box::new(start));
        let put = frame::put_command(&mut frame, &command).map_err(|e| format!("the Start command: {e}"));
        if let Command::Start(start) = &mut command {
            zeroize::Zeroize::zeroize(&mut start.password);
        }
        let request = Request {
            program: self.config.program.clone(),
            worker: Worker { kind: account.gateway, account: account.id.clone(), incarnation: launch.incarnation },
            library: launch.library.clone(),
            flow_dir,
            lock_root: self.config.lock_root.clone(),
        };
        put.map(|()| (request, frame))
    }

    /// Subscribes further contracts.
    ///
    /// # Errors
    /// [`Refused::NotRunning`] when that incarnation is not the one that exists; [`Refused::Deaf`] when it takes no commands.
    pub fn subscribe(&self, id: &AccountId, incarnation: Incarnation, contracts: &[Contract]) -> Result<(), Refused> {
        contracts.chunks(CONTRACTS_MAX).try_for_each(|c| self.command(id, incarnation, &Command::Subscribe(c.to_vec())))
    }

    /// Drops contracts.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub fn unsubscribe(&self, id: &AccountId, incarnation: Incarnation, contracts: &[Contract]) -> Result<(), Refused> {
        contracts
            .chunks(CONTRACTS_MAX)
            .try_for_each(|c| self.command(id, incarnation, &Command::Unsubscribe(c.to_vec())))
    }

    /// Tells whether the session of what is subscribed is open: silence counts while it is.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub fn session(&self, id: &AccountId, incarnation: Incarnation, open: bool) -> Result<(), Refused> {
        self.command(id, incarnation, &Command::Session { open })
    }

    /// Asks a process to leave: the command Stop, so that a healthy one hands over its last ticks and says Bye, and a moment
    /// later TERM to its whole group.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub fn stop(&self, id: &AccountId, incarnation: Incarnation) -> Result<(), Refused> {
        self.command(id, incarnation, &Command::Stop)?;
        self.shared.state().asked_to_leave(id, incarnation, clock::mono());
        self.shared.changed(id);
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        tokio::spawn(async move {
            tokio::time::sleep(STOP_WAIT).await;
            // By then it may be gone, and that is what was wanted.
            let _ = shared.state().signal(&id, incarnation, Signal::TERM, clock::mono());
        });
        Ok(())
    }

    fn command(&self, id: &AccountId, incarnation: Incarnation, command: &Command) -> Result<(), Refused> {
        let mut frame = Zeroizing::new(Vec::new());
        if let Err(e) = frame::put_command(&mut frame, command) {
            tracing::error!(account = %id, %incarnation, "a command cannot be said: {e}");
            return Ok(());
        }
        self.shared.state().command(id, incarnation, frame, clock::mono()).inspect_err(|_| self.shared.changed(id))
    }

    /// The feed has read a process's tick pipe to its end. A process that lives on after that is of no use: it is killed
    /// after a moment, and its exit counts for the backoff.
    pub fn ticks_ended(&self, incarnation: Incarnation) {
        let Some(id) = self.shared.state().ticks_ended(incarnation, clock::mono()) else { return };
        self.shared.changed(&id);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            tokio::time::sleep(TICKLESS_WAIT).await;
            let why = "its tick pipe has ended, and it lives on";
            shared.state().kill_unasked(&id, incarnation, Some(why), clock::mono());
            shared.changed(&id);
        });
    }

    /// Asks a process's whole group to leave: TERM.
    ///
    /// # Errors
    /// [`Refused::NotRunning`] when that incarnation is not the one that exists.
    pub fn terminate(&self, id: &AccountId, incarnation: Incarnation) -> Result<(), Refused> {
        self.signal(id, incarnation, Signal::TERM)
    }

    /// Ends a process's whole group: KILL.
    ///
    /// # Errors
    /// [`Refused::NotRunning`] when that incarnation is not the one that exists.
    pub fn kill(&self, id: &AccountId, incarnation: Incarnation) -> Result<(), Refused> {
        self.signal(id, incarnation, Signal::KILL)
    }

    /// Ends a process that broke the protocol: KILL. Unlike [`Self::kill`] nobody asked for its end, so its exit counts
    /// for the backoff; `why` stands among its last lines.
    pub fn condemn(&self, id: &AccountId, incarnation: Incarnation, why: &str) {
        self.shared.state().kill_unasked(id, incarnation, Some(why), clock::mono());
        self.shared.changed(id);
    }

    fn signal(&self, id: &AccountId, incarnation: Incarnation, signal: Signal) -> Result<(), Refused> {
        self.shared.state().signal(id, incarnation, signal, clock::mono())?;
        self.shared.changed(id);
        Ok(())
    }

    /// All that is known, of every account that ever had a process.
    #[must_use]
    pub fn observe(&self) -> BTreeMap<AccountId, GatewayView> {
        self.shared.state().observe()
    }

    /// Ends every process: TERM, and KILL after `grace`. Returns when every group is empty and every process reaped.
    /// Nothing is started afterwards.
    pub async fn shutdown(&self, grace: Duration) {
        self.shared.state().close();
        for (signal, wait) in [(Signal::TERM, grace), (Signal::KILL, KILL_WAIT)] {
            for id in self.shared.state().signal_all(signal, clock::mono()) {
                self.shared.changed(&id);
            }
            if tokio::time::timeout(wait, self.all_gone(signal)).await.is_ok() {
                return;
            }
        }
        tracing::error!("gateway processes outlived KILL; they are left to the kernel");
    }

    async fn all_gone(&self, signal: Signal) {
        loop {
            let gone = self.shared.gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            // A start that was under way when the doors closed shows up late.
            self.shared.state().signal_unasked(signal, clock::mono());
            if self.shared.state().is_idle() {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(100), gone).await;
        }
    }
}

impl Shared {
    /// Records the outcome of a start, and begins to supervise.
    fn begin(
        self: Arc<Self>,
        launching: Launching,
        made: Result<(Zeroizing<Vec<u8>>, Spawned), String>,
    ) -> Result<Launched, StartError> {
        let id = launching.account.clone();
        let outcome = match made {
            Ok((start, spawned)) => supervise::begin(&self, &launching, start, spawned),
            Err(why) => Err(why),
        };
        let outcome = outcome.map_err(|why| {
            self.state().not_started(&launching, &why, clock::mono());
            self.gone.notify_waiters();
            tracing::error!(account = %id, incarnation = %launching.incarnation, "gateway not started: {why}");
            StartError::NotStarted { account: id.clone(), why }
        });
        self.changed(&id);
        outcome
    }
}
