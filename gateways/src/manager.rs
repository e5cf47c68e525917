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
//! | `supervise` | one task for each process, from its first report to its empty group |
//! | `stderr` | its log lines, bounded |
//! | `group` | who is in a process group |

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::contract::Contract;
use mdhub_spec::frame::{self, Command, PROTOCOL_VERSION, Start};
use mdhub_spec::process::{GatewayView, Incarnation};
use rustix::process::Signal;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::clock;
use spawner::{Request, Spawned, Spawner};
use state::{Launching, State};

mod group;
mod spawner;
mod state;
mod stderr;
mod supervise;

/// After KILL, shutdown waits this long for the kernel to end what is left.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// Where the manager finds things.
#[derive(Debug, Clone)]
pub struct ManagerConfig {
    /// The program whose command `gateway` is a worker: the hub's own.
    pub program: PathBuf,
    /// Holds one flow directory for each account.
    pub flow_root: PathBuf,
}

/// A vendor library, as the settings describe it.
#[derive(Debug, Clone)]
pub struct Library {
    /// Path of the shared object.
    pub path: PathBuf,
    /// Its SHA-256, checked by the worker before it is loaded.
    pub sha256: Option<String>,
    /// Environment variables of workers that load it.
    pub env: BTreeMap<String, String>,
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
    spawner: Spawner,
    shared: Arc<Shared>,
}

/// What the manager and its tasks share.
struct Shared {
    /// Everything that is known. Never held across an await.
    state: Mutex<State>,
    changed: Changed,
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
    /// A manager without processes. Call it inside a tokio runtime, which must have its I/O and time drivers.
    ///
    /// `changed` is called after every observed change, from any thread, and must return at once.
    ///
    /// # Errors
    /// When there is no runtime, a path of `config` cannot be made absolute, or the spawning thread cannot be made.
    pub fn new(config: ManagerConfig, changed: Changed) -> io::Result<Arc<Self>> {
        Handle::try_current().map_err(io::Error::other)?;
        let config = ManagerConfig {
            program: std::path::absolute(config.program)?,
            flow_root: std::path::absolute(config.flow_root)?,
        };
        let shared = Arc::new(Shared { state: Mutex::new(State::default()), changed, gone: Notify::new() });
        Ok(Arc::new(Self { config, spawner: Spawner::new()?, shared }))
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
        let (request, start) = self.request(&launch);
        let (spawned, shared) = (self.spawner.spawn(request), Arc::clone(&self.shared));
        let task = tokio::spawn(async move {
            let made = match (start, spawned.await) {
                (Ok(start), Ok(spawned)) => Ok((start, spawned)),
                (Err(why), _) | (_, Err(why)) => Err(why),
            };
            shared.begin(launching, made)
        });
        let account = launch.account.id;
        task.await.unwrap_or_else(|e| Err(StartError::NotStarted { account, why: e.to_string() }))
    }

    /// What the spawner needs, and the frame that carries the rest, secrets among it.
    fn request(&self, launch: &Launch) -> (Request, Result<Zeroizing<Vec<u8>>, String>) {
        let account = &launch.account;
        let flow_dir = self.config.flow_root.join(account.id.as_str());
        let settings = &account.settings;
        let mut frame = Zeroizing::new(Vec::new());
        let library = std::path::absolute(&launch.library.path).unwrap_or_else(|_| launch.library.path.clone());
        let start = Start {
            protocol_version: PROTOCOL_VERSION,
            user_id: settings.user_id.clone(),
            password: account.password.reveal().to_owned(),
            broker_id: settings.broker_id.clone(),
            md_address: settings.md_address.iter().map(|a| a.as_str().to_owned()).collect(),
            library: library.to_string_lossy().into_owned(),
            library_sha256: launch.library.sha256.clone(),
            flow_dir: flow_dir.to_string_lossy().into_owned(),
            contracts: launch.contracts.clone(),
            limits: frame::Limits::default(),
            session_open: false,
        };
        let mut command = Command::Start(Box::new(start));
        let put = frame::put_command(&mut frame, &command).map_err(|e| format!("the Start command: {e}"));
        if let Command::Start(start) = &mut command {
            zeroize::Zeroize::zeroize(&mut start.password);
        }
        let request = Request {
            program: self.config.program.clone(),
            kind: account.gateway,
            account: account.id.clone(),
            incarnation: launch.incarnation,
            env: launch.library.env.clone(),
            flow_dir,
        };
        (request, put.map(|()| frame))
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
