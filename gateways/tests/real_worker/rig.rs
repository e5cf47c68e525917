//! One worker process, what it is told, and all that it says.

use std::collections::BTreeMap;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt as _, FdMapping};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::frame::{self, Limits, PROTOCOL_VERSION, Report, Start};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

pub(super) const PASSWORD: &str = "hunter2-never-seen";
/// Longer than anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(90);

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

pub(super) fn simulated_library() -> Option<PathBuf> {
    let built = program("gateways-worker");
    let dir = built.parent().and_then(Path::parent).expect("target/debug");
    optional(dir.join("libmdhub_simapi.so"), "`cargo build -p mdhub-simapi`")
}

pub(super) fn vendor_library(kind: Dialect) -> Option<PathBuf> {
    let path = match kind {
        Dialect::Ctp => "vendor/ctp/libthostmduserapi_se.so",
        Dialect::Sopt => "vendor/sopt/libsoptthostmduserapi_se.so",
    };
    optional(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path), "`make vendor`")
}

/// Limits that end nothing by themselves within a test.
pub(super) const PATIENT: Limits = Limits {
    front_timeout_ms: 300_000,
    disconnects_max: 10_000,
    disconnects_window_ms: 300_000,
    login_timeout_ms: 300_000,
    subscribe_timeout_ms: 300_000,
    silent_ms: 300_000,
    overflow_beats_max: 1_000,
    report_timeout_ms: 300_000,
};

/// What one worker is to be.
pub(super) struct Wanted {
    pub(super) kind: Dialect,
    pub(super) start: Start,
    pub(super) env: BTreeMap<String, String>,
    /// Bytes of the report pipe.
    pub(super) report_pipe_bytes: usize,
    /// Whether the hub reads ticks and reports.
    pub(super) reads_ticks: bool,
    pub(super) reads_reports: bool,
    dir: TempDir,
}

impl Wanted {
    pub(super) fn new(kind: Dialect, library: &Path, addresses: &[String]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let flow_dir = dir.path().join("flow");
        std::fs::create_dir(&flow_dir).expect("made");
        let start = Start {
            protocol_version: PROTOCOL_VERSION,
            user_id: "u".into(),
            password: PASSWORD.into(),
            broker_id: "b".into(),
            md_address: addresses.to_vec(),
            library: library.display().to_string(),
            library_sha256: None,
            flow_dir: flow_dir.display().to_string(),
            contracts: Vec::new(),
            limits: PATIENT,
            session_open: false,
            gateway_class: String::new(),
            connect: BTreeMap::new(),
        };
        let env = BTreeMap::new();
        Self { kind, start, env, report_pipe_bytes: 65_536, reads_ticks: true, reads_reports: true, dir }
    }

    /// On the simulated library, with the world's `fronts` in JSON; `None` where it is not built.
    pub(super) fn simulated(fronts: &str, codes: &[&str]) -> Option<Self> {
        let mut wanted = Self::new(Dialect::Ctp, &simulated_library()?, &["tcp://front.sim:1".to_owned()]);
        wanted.start.contracts = codes.iter().map(|c| c.parse().expect("valid")).collect();
        wanted.env.insert("SIMAPI_WORLD".into(), wanted.world_file().display().to_string());
        wanted.set_world(50, fronts);
        Some(wanted)
    }

    fn world_file(&self) -> PathBuf {
        self.dir.path().join("world.json")
    }

    pub(super) fn set_world(&self, interval_ms: u32, fronts: &str) {
        let market = format!(r#"{{"kind":"synthetic","interval_ms":{interval_ms}}}"#);
        std::fs::write(self.world_file(), format!(r#"{{"market":{market},"fronts":{fronts}}}"#)).expect("written");
    }

    #[expect(clippy::disallowed_methods, reason = "the test is the hub")]
    pub(super) fn start(&self) -> Worker {
        let pipe = || std::io::pipe().expect("a pipe");
        let ((commands_in, commands), (ticks, ticks_out), (stderr, stderr_out)) = (pipe(), pipe(), pipe());
        let (reports, reports_out) = pipe();
        rustix::pipe::fcntl_setpipe_size(&reports_out, self.report_pipe_bytes).expect("a pipe");
        let mut command = Command::new(program("gateways-worker"));
        command
            .args(["gateway", self.kind.as_str(), "--account", "ctp-main", "--incarnation", "1.1"])
            .args(["--parent-pid", &std::process::id().to_string()])
            .env_clear()
            .envs(&self.env)
            .current_dir(self.dir.path())
            .stdin(Stdio::from(commands_in))
            .stdout(Stdio::from(ticks_out))
            .stderr(Stdio::from(stderr_out))
            .fd_mappings(vec![FdMapping { parent_fd: OwnedFd::from(reports_out), child_fd: 3 }])
            .expect("descriptors");
        let child = Spawner::spawn(command);
        let (events, inbox) = channel();
        let mut unread: Vec<PipeReader> = Vec::new();
        let started = Instant::now();
        if self.reads_reports {
            std::thread::spawn(move || read_reports(reports, &events, started));
        } else {
            unread.push(reports);
        }
        let ticks = if self.reads_ticks {
            Some(std::thread::spawn(move || read_ticks(ticks)))
        } else {
            unread.push(ticks);
            None
        };
        let text = std::thread::spawn(move || read_text(stderr));
        let mut worker = Worker {
            child,
            commands: Some(commands),
            inbox,
            seen: Vec::new(),
            ticks,
            text: Some(text),
            unread,
            started,
        };
        worker.tell(&frame::Command::Start(Box::new(self.start.clone())));
        worker
    }
}

/// Children go with the thread that made them, so one thread makes them all and lives as long as the tests.
struct Spawner(Sender<(Command, Sender<Child>)>);

impl Spawner {
    fn spawn(command: Command) -> Child {
        static SPAWNER: std::sync::OnceLock<std::sync::Mutex<Spawner>> = std::sync::OnceLock::new();
        let make = || {
            let (requests, inbox) = channel::<(Command, Sender<Child>)>();
            std::thread::spawn(move || {
                for (mut command, reply) in inbox {
                    reply.send(command.spawn().expect("starts")).expect("waited for");
                }
            });
            std::sync::Mutex::new(Self(requests))
        };
        let (reply, child) = channel();
        SPAWNER.get_or_init(make).lock().expect("not poisoned").0.send((command, reply)).expect("lives");
        child.recv().expect("started")
    }
}

fn read_reports(mut pipe: PipeReader, events: &Sender<(Duration, Report)>, started: Instant) {
    let (mut buffer, mut chunk) = (Vec::new(), [0; 8192]);
    while let Ok(read @ 1..) = pipe.read(&mut chunk) {
        buffer.extend_from_slice(&chunk[..read]);
        while let Some(frame) = frame::first(&buffer).expect("frames") {
            let (report, taken) = (frame::report(&frame).expect("a report"), frame.stream_bytes());
            buffer.drain(..taken);
            let _ = events.send((now(started), report));
        }
    }
}

fn read_ticks(mut pipe: PipeReader) -> usize {
    let mut bytes = 0;
    let mut chunk = [0; 65_536];
    while let Ok(read @ 1..) = pipe.read(&mut chunk) {
        bytes += read;
    }
    bytes / frame::TICK_FRAME_BYTES
}

fn read_text(mut pipe: PipeReader) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn now(started: Instant) -> Duration {
    started.elapsed()
}

/// A running worker. Killed when dropped.
pub(super) struct Worker {
    child: Child,
    commands: Option<PipeWriter>,
    inbox: Receiver<(Duration, Report)>,
    /// Every report so far, and when it came.
    pub(super) seen: Vec<(Duration, Report)>,
    ticks: Option<JoinHandle<usize>>,
    text: Option<JoinHandle<String>>,
    unread: Vec<PipeReader>,
    started: Instant,
}

/// How a worker ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    /// From the start.
    pub(super) took: Duration,
    pub(super) reports: Vec<(Duration, Report)>,
    pub(super) bye: String,
    pub(super) stderr: String,
    pub(super) ticks: usize,
}

impl End {
    /// That it left with this code, within this time, saying all of this.
    pub(super) fn left(&self, code: i32, within_s: u64, parts: &[&str]) {
        assert_eq!((self.code, self.signal), (Some(code), None), "{self:#?}");
        for part in parts {
            assert!(self.bye.contains(part), "{part:?} is not in the Bye: {self:#?}");
        }
        assert!(self.took < Duration::from_secs(within_s), "{self:#?}");
        let said =
            self.reports.iter().find_map(|(_, r)| if let Report::Bye { code, .. } = r { Some(*code) } else { None });
        assert_eq!(said, Some(code), "the code that it says");
        assert!(!self.stderr.contains(PASSWORD) && !format!("{:?}", self.reports).contains(PASSWORD));
    }

    pub(super) fn count(&self, is: impl Fn(&Report) -> bool) -> usize {
        self.reports.iter().filter(|(_, report)| is(report)).count()
    }
}

impl Worker {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn tell(&mut self, command: &frame::Command) {
        let mut bytes = Vec::new();
        frame::put_command(&mut bytes, command).expect("encodes");
        // It may have left already.
        let _ = self.commands.as_mut().expect("open").write_all(&bytes);
    }

    pub(super) fn close_commands(&mut self) {
        self.commands = None;
    }

    #[expect(clippy::disallowed_methods, reason = "the test is the hub")]
    pub(super) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("positive");
        rustix::process::kill_process(pid, signal).expect("lives");
    }

    /// Waits for a report that `is` it, among those that come from now on.
    pub(super) fn until(&mut self, what: &str, is: impl Fn(&Report) -> bool) -> Duration {
        let began = now(self.started);
        loop {
            match self.inbox.recv_timeout((began + PATIENCE).saturating_sub(now(self.started))) {
                Ok((at, report)) => {
                    let found = is(&report);
                    self.seen.push((at, report));
                    if found {
                        return at;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("{what}: not within {PATIENCE:?}; {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => panic!("{what}: it left; {:#?}", self.seen),
            }
        }
    }

    /// Waits for it to leave by itself.
    pub(super) fn end(mut self) -> End {
        let deadline = now(self.started) + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(now(self.started) < deadline, "it does not leave; {:#?}", self.seen);
            std::thread::park_timeout(Duration::from_millis(5));
        };
        let took = now(self.started);
        self.unread.clear();
        // Ends with the worker's own end of the pipe.
        while let Ok(report) = self.inbox.recv() {
            self.seen.push(report);
        }
        let bye = |(_, report): &(Duration, Report)| {
            if let Report::Bye { reason, .. } = report { Some(reason.clone()) } else { None }
        };
        End {
            code: status.code(),
            signal: status.signal(),
            took,
            bye: self.seen.iter().find_map(bye).unwrap_or_default(),
            reports: std::mem::take(&mut self.seen),
            stderr: self.text.take().map(|text| text.join().expect("read")).unwrap_or_default(),
            ticks: self.ticks.take().map(|ticks| ticks.join().expect("read")).unwrap_or_default(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
