//! The one thread that makes processes, and what they are given.
//!
//! A worker asks the kernel to kill it when its parent dies, and by "parent" the kernel means the *thread* that made it.
//! So one thread makes them all, and lives as long as the manager.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use command_fds::{CommandFdExt as _, FdMapping};
use mdhub_spec::account::{AccountId, GatewayKind};
use mdhub_spec::process::Incarnation;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::oneshot;

/// Room in a tick pipe.
const TICK_PIPE_BYTES: usize = 1024 * 1024;
/// Starts that may wait for the thread.
const REQUESTS_MAX: usize = 64;
/// What a worker keeps of the hub's environment, where it is set: locale and time zone.
const KEPT_ENV: [&str; 3] = ["LANG", "LC_ALL", "TZ"];

/// A process to make. It holds no secret.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) program: PathBuf,
    pub(super) kind: GatewayKind,
    pub(super) account: AccountId,
    pub(super) incarnation: Incarnation,
    pub(super) env: BTreeMap<String, String>,
    pub(super) flow_dir: PathBuf,
}

/// A made process and the hub's ends of its pipes, each non-blocking.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) child: Child,
    pub(super) pid: Pid,
    /// Readable once the process is dead.
    pub(super) pidfd: OwnedFd,
    pub(super) commands: OwnedFd,
    pub(super) ticks: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) control: OwnedFd,
}

type Reply = oneshot::Sender<Result<Spawned, String>>;

/// A handle on the thread, which ends when the handle is dropped.
pub(super) struct Spawner {
    requests: SyncSender<(Request, Reply)>,
}

impl Spawner {
    pub(super) fn new() -> io::Result<Self> {
        let (requests, inbox) = sync_channel(REQUESTS_MAX);
        std::thread::Builder::new().name("spawner".into()).spawn(move || serve(&inbox))?;
        Ok(Self { requests })
    }

    /// Hands a request to the thread at once; the answer comes from the returned future.
    pub(super) fn spawn(&self, request: Request) -> impl Future<Output = Result<Spawned, String>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.try_send((request, reply)).map_err(|e| format!("spawner thread: {e}"));
        async move {
            sent?;
            answer.await.map_err(|_| "the spawner thread is gone".to_owned())?
        }
    }
}

fn serve(inbox: &Receiver<(Request, Reply)>) {
    while let Ok((request, reply)) = inbox.recv() {
        let spawned = spawn(&request);
        if let Err(Ok(mut unwanted)) = reply.send(spawned) {
            // Nobody waits any more: without its pipes it would leave by itself, but it is not left to that.
            end(&mut unwanted.child);
        }
    }
}

fn spawn(request: &Request) -> Result<Spawned, String> {
    make_flow_dir(&request.flow_dir).map_err(|e| format!("flow directory {}: {e}", request.flow_dir.display()))?;
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|e| format!("pipe: {e}"));
    let (commands_in, commands) = pipe()?;
    let (ticks, ticks_out) = pipe()?;
    let (stderr, stderr_out) = pipe()?;
    let (control, control_out) = pipe()?;
    if let Err(e) = fcntl_setpipe_size(&ticks, TICK_PIPE_BYTES) {
        tracing::warn!(account = %request.account, "tick pipe keeps its default size, {TICK_PIPE_BYTES} bytes refused: {e}");
    }
    for end in [&commands, &ticks, &stderr, &control] {
        rustix::io::ioctl_fionbio(end, true).map_err(|e| format!("pipe: {e}"))?;
    }
    let mut command = command(request);
    command.stdin(Stdio::from(commands_in)).stdout(Stdio::from(ticks_out)).stderr(Stdio::from(stderr_out));
    command
        .fd_mappings(vec![FdMapping { parent_fd: control_out, child_fd: 3 }])
        .map_err(|e| format!("descriptors: {e}"))?;
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", request.program.display()))?;
    let pidfd = pid_of(&child).and_then(|pid| Ok((pid, pidfd_open(pid, PidfdFlags::empty())?)));
    match pidfd {
        Ok((pid, pidfd)) => Ok(Spawned { child, pid, pidfd, commands, ticks, stderr, control }),
        Err(e) => {
            end(&mut child);
            Err(format!("pidfd: {e}"))
        }
    }
}

fn pid_of(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("impossible process id"))
}

/// Kills and reaps a process that nobody supervises.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[expect(clippy::disallowed_methods, reason = "the one place that makes processes")]
fn command(request: &Request) -> Command {
    let mut command = Command::new(&request.program);
    command
        .args(["gateway", request.kind.as_str(), "--account", request.account.as_str()])
        .args(["--incarnation", &request.incarnation.to_string()])
        .args(["--parent-pid", &std::process::id().to_string()])
        .env_clear()
        .envs(KEPT_ENV.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs(&request.env)
        .current_dir(&request.flow_dir)
        .process_group(0);
    command
}

/// Makes the account's own directory: the library's files name the account's front and user.
fn make_flow_dir(path: &Path) -> io::Result<()> {
    if let Some(root) = path.parent() {
        std::fs::create_dir_all(root)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}
