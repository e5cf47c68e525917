//! The throw-away worker: one process in a group of its own, with a flow directory that goes with it.

use std::fs::DirBuilder;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use mdhub_spec::frame::{self, FrameError, Report, Start};
use mdhub_spec::process::Incarnation;
use mdhub_spec::raw_tick::text;
use rustix::process::Signal;
use zeroize::{Zeroize as _, Zeroizing};

use super::Probe;
use crate::clock;
use crate::manager::children::{Children, MadeChild};
use crate::manager::limits;
use crate::program::{self, Worker};

/// What the account of a throw-away worker is called.
const PROBED: &str = "probe";
/// News that may wait.
const NEWS_MAX: usize = 1024;
/// Bytes of the log's end that are kept.
const LOG_BYTES_MAX: usize = 2_000;

/// Tells the workers of one process apart. No hub has epoch 0.
static MADE: AtomicU64 = AtomicU64::new(0);

/// What a worker says.
#[derive(Debug)]
pub(super) enum News {
    /// A report.
    Report(Report),
    /// Its first tick.
    Tick {
        /// As the front names it.
        symbol: String,
        /// As it came.
        last_price: String,
    },
    /// It is gone, or broke the protocol.
    Ended {
        /// Its exit status.
        how: String,
        /// The end of its log.
        stderr: String,
    },
}

/// A worker process. Dropping it ends its group and removes its directory.
pub(super) struct Child {
    /// Until it is reaped.
    process: Option<MadeChild>,
    /// Its end tells the worker to leave.
    commands: PipeWriter,
    news: Receiver<Option<News>>,
    log: Option<std::thread::JoinHandle<String>>,
    flow_dir: PathBuf,
}

impl Child {
    /// Starts a worker, and tells it `start` with a flow directory of its own.
    pub(super) fn spawn(children: &Arc<Children>, probe: &Probe, mut start: Start) -> io::Result<Self> {
        let flow_dir = make_flow_dir(&probe.scratch_dir)?;
        start.flow_dir = flow_dir.display().to_string();
        let mut frame = Zeroizing::new(Vec::new());
        let mut command = frame::Command::Start(Box::new(start));
        let put = frame::put_command(&mut frame, &command).map_err(io::Error::other);
        if let frame::Command::Start(start) = &mut command {
            start.password.zeroize();
        }
        let (commands_in, commands) = io::pipe()?;
        let (ticks, ticks_out) = io::pipe()?;
        let (stderr, stderr_out) = io::pipe()?;
        let (reports, reports_out) = io::pipe()?;
        let incarnation = Incarnation { epoch: 0, counter: MADE.fetch_add(1, Ordering::Relaxed) + 1 };
        let account = PROBED.parse().map_err(io::Error::other)?;
        let worker = Worker { kind: probe.kind, account, incarnation };
        let mut command = program::command(&probe.program, &probe.library, &worker);
        command.current_dir(&flow_dir);
        command.stdin(Stdio::from(commands_in)).stdout(Stdio::from(ticks_out)).stderr(Stdio::from(stderr_out));
        let report = FdMapping { parent_fd: OwnedFd::from(reports_out), child_fd: 3 };
        command.fd_mappings(vec![report]).map_err(io::Error::other)?;
        let process = children.make(incarnation, || command.spawn())?;
        let limited = limits::apply(process.pid()).map_err(io::Error::other);
        // Its ends of the pipes are held by the command: without them the pipes end with the process.
        drop(command);
        let (sender, news) = sync_channel(NEWS_MAX);
        let ticks_sender = sender.clone();
        std::thread::spawn(move || read_ticks(ticks, &ticks_sender));
        std::thread::spawn(move || {
            read_reports(reports, &sender);
            let _ = sender.send(None);
        });
        let log = Some(std::thread::spawn(move || read_log(stderr)));
        let mut child = Self { process: Some(process), commands, news, log, flow_dir };
        limited?;
        put?;
        child.commands.write_all(&frame)?;
        Ok(child)
    }

    /// What it says next; `None` when it says nothing for so long.
    pub(super) fn next(&mut self, patience: Duration) -> Option<News> {
        match self.news.recv_timeout(patience).ok()? {
            Some(news) => Some(news),
            None => {
                let status = self.end().unwrap_or_else(|| Err(io::Error::other("it was reaped before")));
                let how = status.map_or_else(|e| e.to_string(), |status| status.to_string());
                let stderr = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
                Some(News::Ended { how, stderr })
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the probe ends the process that it made")]
    fn end(&mut self) -> Option<io::Result<ExitStatus>> {
        let process = self.process.take()?;
        // The leader is not reaped before, so the group's number is its own. An empty group is no failure.
        let _ = rustix::process::kill_process_group(process.pid(), Signal::KILL);
        Some(process.reap())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.end();
        let _ = std::fs::remove_dir_all(&self.flow_dir);
    }
}

fn make_flow_dir(scratch_dir: &Path) -> io::Result<PathBuf> {
    let name = format!("mdhub-probe-{}-{}", std::process::id(), clock::mono().0);
    let path = std::path::absolute(scratch_dir)?.join(name);
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

fn read_reports(mut pipe: PipeReader, news: &SyncSender<Option<News>>) {
    let (mut buffer, mut chunk) = (Vec::new(), [0; 8192]);
    while let Ok(read @ 1..) = pipe.read(&mut chunk) {
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        loop {
            let report = match frame::first(&buffer) {
                Ok(None) => break,
                Ok(Some(frame)) => frame::report(&frame).map(|report| (report, frame.stream_bytes())),
                Err(e) => Err(e),
            };
            let Ok((report, taken)): Result<_, FrameError> = report else { return };
            buffer.drain(..taken);
            if news.send(Some(News::Report(report))).is_err() {
                return;
            }
        }
    }
}

/// Tells the first tick, and reads the others away.
fn read_ticks(mut pipe: PipeReader, news: &SyncSender<Option<News>>) {
    let (mut buffer, mut chunk) = (Vec::new(), [0; 65_536]);
    let mut is_told = false;
    while let Ok(read @ 1..) = pipe.read(&mut chunk) {
        if is_told {
            continue;
        }
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if let Ok(Some(frame)) = frame::first(&buffer)
            && let Ok(tick) = frame::tick(&frame)
        {
            let symbol = String::from_utf8_lossy(text(&tick.instrument)).into_owned();
            let last = tick.last_price.get();
            let last_price = if last.abs() < 1e300 { last.to_string() } else { "none".to_owned() };
            is_told = true;
            if news.send(Some(News::Tick { symbol, last_price })).is_err() {
                return;
            }
        }
    }
}

/// The end of the log.
fn read_log(mut pipe: PipeReader) -> String {
    let (mut end, mut chunk) = (Vec::new(), [0; 8192]);
    while let Ok(read @ 1..) = pipe.read(&mut chunk) {
        end.extend_from_slice(chunk.get(..read).unwrap_or_default());
        end.drain(..end.len().saturating_sub(LOG_BYTES_MAX));
    }
    String::from_utf8_lossy(&end).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
