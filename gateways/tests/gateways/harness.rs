//! A manager over a scratch directory, programs to start, and waiting with a deadline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mdhub_gateways::manager::{GatewayManager, Launch, Launched, ManagerConfig, StartError};
use mdhub_gateways::program::Library;
use mdhub_spec::account::{AccountId, AccountSettings, MarketDataAccount, Secret};
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{Exit, GatewayView, Incarnation, ProcessView};
use tempfile::TempDir;
use tokio::sync::Notify;

pub(super) const PASSWORD: &str = "hunter2-never-seen";
/// Longer than anything takes on a busy machine.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// The script whose behaviour `ACT` names.
pub(super) fn act() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/act.sh")
}

/// A program of this crate's examples, which cargo builds beside its tests.
pub(super) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this program has a path");
    let path = test.parent().and_then(Path::parent).expect("target/debug/deps").join("examples").join(name);
    assert!(path.is_file(), "{} is not built: run the tests of the whole package", path.display());
    path
}

/// A file that need not be there: where it is not, the test is skipped by name, except in CI.
fn optional(path: PathBuf, made_by: &str) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path);
    }
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    assert!(std::env::var_os("CI").is_none(), "{test}: {} is missing; {made_by} makes it", path.display());
    eprintln!("skipped: {test}: {} is not there; {made_by} makes it", path.display());
    None
}

/// The simulated vendor library, which cargo builds beside its own tests.
pub(super) fn simulated_library() -> Option<PathBuf> {
    let built = program("gateways-worker");
    let dir = built.parent().and_then(Path::parent).expect("target/debug");
    optional(dir.join("libmdhub_simapi.so"), "`cargo build -p mdhub-simapi`")
}

/// The vendor's own library of a flavour.
pub(super) fn vendor_library(kind: Dialect) -> Option<PathBuf> {
    let path = match kind {
        Dialect::Ctp => "vendor/ctp/libthostmduserapi_se.so",
        Dialect::Sopt => "vendor/sopt/libsoptthostmduserapi_se.so",
    };
    optional(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path), "`make vendor`")
}

/// Tests run side by side, and each of their hubs started at another time.
fn epoch() -> u64 {
    static HUBS: AtomicU64 = AtomicU64::new(1);
    (u64::from(std::process::id()) << 32) + HUBS.fetch_add(1, Ordering::Relaxed)
}

/// What one start is to be.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) kind: Dialect,
    pub(super) address: String,
    pub(super) act: &'static str,
    pub(super) library: PathBuf,
    pub(super) sha256: Option<String>,
    pub(super) contracts: Vec<Contract>,
    pub(super) env: BTreeMap<String, String>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            kind: Dialect::Ctp,
            address: "tcp://127.0.0.1:9".into(),
            act: "obey",
            library: "/nonexistent.so".into(),
            sha256: None,
            contracts: Vec::new(),
            env: BTreeMap::new(),
        }
    }
}

pub(super) fn acting(act: &'static str) -> Wanted {
    Wanted { act, ..Wanted::default() }
}

pub(super) struct Hub {
    pub(super) manager: Arc<GatewayManager>,
    pub(super) flow_root: PathBuf,
    pub(super) lock_root: PathBuf,
    pub(super) changes: Arc<AtomicU64>,
    changed: Arc<Notify>,
    epoch: u64,
    counter: AtomicU64,
    _dir: Option<TempDir>,
}

impl Hub {
    pub(super) fn new(program: PathBuf) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let hub = Self::at(dir.path(), program);
        Self { _dir: Some(dir), ..hub }
    }

    /// One whose files are in `dir`, where another hub's were before.
    pub(super) fn at(dir: &Path, program: PathBuf) -> Self {
        let (flow_root, lock_root) = (dir.join("flow"), dir.join("lock"));
        let (changed, changes) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
        let config = ManagerConfig {
            program,
            flow_root: flow_root.clone(),
            lock_root: lock_root.clone(),
            takes_in_children: false,
        };
        let (ring, count) = (Arc::clone(&changed), Arc::clone(&changes));
        let manager = GatewayManager::new(
            config,
            Arc::new(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                ring.notify_waiters();
            }),
        );
        let manager = manager.expect("inside a runtime");
        Self { manager, flow_root, lock_root, changes, changed, epoch: epoch(), counter: AtomicU64::new(0), _dir: None }
    }

    pub(super) fn launch(&self, id: &str, wanted: &Wanted) -> Launch {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed) + 1;
        let json = format!(r#"{{"user_id":"u","broker_id":"b","md_address":"{}","library":"l"}}"#, wanted.address);
        let account = MarketDataAccount {
            id: id.parse().expect("a slug"),
            gateway: wanted.kind.into(),
            settings: AccountSettings::from_json(&json).expect("valid settings"),
            password: Secret::new(PASSWORD.into()),
            priority: 1,
            is_enabled: true,
            suspended: false,
            restart_generation: 4,
            generation: 1,
            description: String::new(),
            created_at_ms: 0,
            updated_at_ms: 0,
        };
        let mut env = wanted.env.clone();
        env.insert("ACT".into(), wanted.act.into());
        Launch {
            after: self.view(&account.id).last_incarnation(),
            account,
            incarnation: Incarnation { epoch: self.epoch, counter },
            library: Library { path: wanted.library.clone(), sha256: wanted.sha256.clone(), env, vnpy_class: None },
            contracts: wanted.contracts.clone(),
        }
    }

    pub(super) async fn start(&self, id: &str, wanted: &Wanted) -> Result<(Launched, Incarnation), StartError> {
        let launch = self.launch(id, wanted);
        let incarnation = launch.incarnation;
        self.manager.start(launch).await.map(|launched| (launched, incarnation))
    }

    pub(super) fn view(&self, id: &AccountId) -> GatewayView {
        self.manager.observe().remove(id).unwrap_or_default()
    }

    /// Waits until `found` finds something in the account's view.
    pub(super) async fn until<T>(&self, id: &str, what: &str, found: impl Fn(&GatewayView) -> Option<T>) -> T {
        let id = id.parse().expect("a slug");
        let search = async {
            loop {
                if let Some(found) = found(&self.view(&id)) {
                    return found;
                }
                // A change may be told between the look and the wait: so the wait is short.
                let _ = tokio::time::timeout(Duration::from_millis(20), self.changed.notified()).await;
            }
        };
        let found = tokio::time::timeout(SOON, search).await;
        found.unwrap_or_else(|_| panic!("{what}: not within {SOON:?}; {:#?}", self.view(&id)))
    }

    pub(super) async fn exit(&self, id: &str, incarnation: Incarnation) -> Exit {
        self.until(id, "exit", |view| view.exits.iter().find(|e| e.incarnation == incarnation).cloned()).await
    }

    pub(super) async fn process(&self, id: &str, what: &str, is: impl Fn(&ProcessView) -> bool) -> ProcessView {
        self.until(id, what, |view| view.process.clone().filter(|process| is(process))).await
    }

    /// Ends the process whatever it is, and gives its exit.
    pub(super) async fn kill(&self, id: &str, incarnation: Incarnation) -> Exit {
        // It may be gone already.
        let _ = self.manager.kill(&id.parse().expect("a slug"), incarnation);
        self.exit(id, incarnation).await
    }
}

/// Process ids of the members of a group that are not dead.
pub(super) fn living(pgid: u32) -> Vec<u32> {
    let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_member = |pid: u32| {
        let stat = stat(pid);
        let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
        fields.first() != Some(&"Z") && fields.get(2).and_then(|g| g.parse().ok()) == Some(pgid)
    };
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| is_member(*pid)).collect()
}

/// Something that only this test's processes have on their command line: a time to sleep.
pub(super) fn mark() -> String {
    format!("7{:07}{:04}", std::process::id(), epoch() % 10_000)
}

/// Process ids of those that sleep for so long.
pub(super) fn sleeping(mark: &str) -> Vec<u32> {
    let sleeps = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|argument| argument.ends_with(mark.as_bytes()))
    };
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| sleeps(*pid)).collect()
}

/// Whether a process is there at all, be it dead and not reaped.
pub(super) fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Whether a process runs a program of this name.
pub(super) fn is_named(pid: u32, name: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
}

/// Whether a process is stopped by a signal.
pub(super) fn is_stopped(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

/// Waits until `holds`.
pub(super) async fn wait_until(what: &str, within: Duration, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(within, wait).await.is_ok(), "{what}: not within {within:?}");
}
