//! The one thread that makes processes, and what they are given.
//!
//! A worker asks the kernel to kill it when its parent dies, and by "parent" the kernel means the *thread* that made it.
//! So one thread makes them all, and lives as long as the manager. Between its tasks it looks after the hub's children.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use mdhub_spec::account::GatewayKind;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{PidfdFlags, pidfd_open};
use tokio::sync::oneshot;

use super::children::{Children, MadeChild};
use super::limits;
use super::line::Line;
use super::lock::{AccountLock, LOCK_DESCRIPTOR, Record};
use super::procfs::{Born, INCARNATION_VARIABLE};
use crate::program::{self, Library, Worker};

/// Room in a tick pipe.
const TICK_PIPE_BYTES: usize = 1024 * 1024;
/// Starts that may wait for the thread.
const REQUESTS_MAX: usize = 64;
/// What a worker keeps of the hub's environment, where it is set: locale and time zone.
const KEPT_ENV: [&str; 3] = ["LANG", "LC_ALL", "TZ"];
/// From one look after the children to the next, at most.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// A process to make. It holds no secret.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) program: PathBuf,
    pub(super) worker: Worker,
    pub(super) library: Library,
    pub(super) flow_dir: PathBuf,
    pub(super) lock_root: PathBuf,
}

/// A made process and the hub's ends of its pipes, each non-blocking.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) child: MadeChild,
    /// It, and all that will come of it.
    pub(super) line: Line,
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
    pub(super) fn new(children: Arc<Children>) -> io::Result<Self> {
        let (requests, inbox) = sync_channel(REQUESTS_MAX);
        std::thread::Builder::new().name("spawner".into()).spawn(move || serve(&inbox, &children))?;
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

fn serve(inbox: &Receiver<(Request, Reply)>, children: &Arc<Children>) {
    loop {
        match inbox.recv_timeout(LOOK_AFTER) {
            Ok((request, reply)) => {
                if let Err(Ok(unwanted)) = reply.send(spawn(&request, children)) {
                    // Nobody waits any more: without its pipes it would leave by itself, but it is not left to that.
                    unwanted.child.end();
                }
            }
            Err(RecvTimeoutError::Timeout) => children.look_after(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn spawn(request: &Request, children: &Arc<Children>) -> Result<Spawned, String> {
    if request.worker.kind == GatewayKind::Vnpy {
        request.library.look()?;
    }
    make_flow_dir(&request.flow_dir).map_err(|e| format!("flow directory {}: {e}", request.flow_dir.display()))?;
    let lock = AccountLock::take(&request.lock_root, &request.worker.account)?;
    lock.record(Record::of(request.worker.incarnation, None).as_ref());
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|e| format!("pipe: {e}"));
    let (commands_in, commands) = pipe()?;
    let (ticks, ticks_out) = pipe()?;
    let (stderr, stderr_out) = pipe()?;
    let (control, control_out) = pipe()?;
    if let Err(e) = fcntl_setpipe_size(&ticks, TICK_PIPE_BYTES) {
        tracing::warn!(account = %request.worker.account, "tick pipe keeps its default size, {TICK_PIPE_BYTES} bytes refused: {e}");
    }
    for end in [&commands, &ticks, &stderr, &control] {
        rustix::io::ioctl_fionbio(end, true).map_err(|e| format!("pipe: {e}"))?;
    }
    let mut command = command(request);
    command.stdin(Stdio::from(commands_in)).stdout(Stdio::from(ticks_out)).stderr(Stdio::from(stderr_out));
    let lock_for_worker = lock.for_worker().map_err(|e| format!("lock: {e}"))?;
    command
        .fd_mappings(vec![
            FdMapping { parent_fd: control_out, child_fd: 3 },
            FdMapping { parent_fd: lock_for_worker, child_fd: LOCK_DESCRIPTOR },
        ])
        .map_err(|e| format!("descriptors: {e}"))?;
    let file_id = lock.file_id().map_err(|e| format!("lock: {e}"))?;
    let child = children
        .make(request.worker.incarnation, || command.spawn())
        .map_err(|e| format!("{}: {e}", request.program.display()))?;
    let leader = Born::now(child.pid());
    lock.record(Record::of(request.worker.incarnation, leader).as_ref());
    let watched = limits::apply(child.pid())
        .and_then(|()| pidfd_open(child.pid(), PidfdFlags::empty()).map_err(|e| format!("pidfd: {e}")));
    let pidfd = match watched {
        Ok(pidfd) => pidfd,
        Err(why) => {
            child.end();
            return Err(why);
        }
    };
    let line = Line {
        incarnation: request.worker.incarnation,
        leader,
        is_leader_ours: true,
        lock: file_id,
        lock_path: lock.path().to_owned(),
        is_below: children.takes_in(),
        known: BTreeSet::new(),
        is_fleeing: false,
    };
    Ok(Spawned { child, line, pidfd, commands, ticks, stderr, control })
}

fn command(request: &Request) -> Command {
    let mut command = program::command(&request.program, &request.library, &request.worker);
    let kept = KEPT_ENV.into_iter().filter(|name| !request.library.env.contains_key(*name));
    command
        .envs(kept.filter_map(|name| Some((name, std::env::var_os(name)?))))
        .env(INCARNATION_VARIABLE, request.worker.incarnation.to_string())
        .current_dir(&request.flow_dir);
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
