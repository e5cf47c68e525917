//! What the hub tells a worker: a short queue, and a deadline for each command.
//!
//! A worker that does not read is stopped, wedged or malicious. It is not waited for: no command may be lost in silence, and
//! none may pile up.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Commands that may wait. Each is at most a frame.
const WAITING_MAX: usize = 64;
/// For one command to be taken, whole. A worker has nothing to do that lasts so long.
const DEADLINE: Duration = Duration::from_secs(5);

/// One encoded command. The first one carries the password.
pub(super) type Frame = Zeroizing<Vec<u8>>;

/// Where commands are put.
#[derive(Debug, Clone)]
pub(super) struct Commands(mpsc::Sender<Frame>);

/// Where they wait.
pub(super) struct Waiting(mpsc::Receiver<Frame>);

pub(super) fn queue() -> (Commands, Waiting) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Commands(sender), Waiting(receiver))
}

impl Commands {
    /// Takes a command, or says why the worker is to be ended.
    pub(super) fn put(&self, frame: Frame) -> Result<(), String> {
        match self.0.try_send(frame) {
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(format!("it does not read its commands: {WAITING_MAX} of them wait"))
            }
            // The writer is gone because the pipe broke, so the worker is about to be.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }
}

impl Waiting {
    /// Writes what comes, and holds the pipe open until the worker is gone: its end would tell the worker to leave. Returns
    /// why the worker is to be ended, if it does not read.
    pub(super) async fn write_to(mut self, mut pipe: pipe::Sender) -> Option<String> {
        while let Some(frame) = self.0.recv().await {
            match tokio::time::timeout(DEADLINE, pipe.write_all(&frame)).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    tracing::debug!("a gateway left before it read its commands: {e}");
                    return None;
                }
                Err(_) => {
                    return Some(format!("it does not read its commands: one waits for {} s", DEADLINE.as_secs()));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_takes_so_many_and_no_more() {
        let (commands, waiting) = queue();
        for _ in 0..WAITING_MAX {
            assert_eq!(commands.put(Frame::default()), Ok(()));
        }
        assert!(commands.put(Frame::default()).is_err_and(|why| why.contains("64 of them wait")));
        drop(waiting);
        assert_eq!(commands.put(Frame::default()), Ok(()), "its worker is gone: nobody is to blame");
    }
}
