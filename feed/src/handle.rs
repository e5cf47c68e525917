//! The feed from outside: its configuration, and the handle of the running thread.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;

use mdhub_spec::plane::{FeedCommand, FeedVitals};
use mdhub_spec::settings::Publish;
use thiserror::Error;

use crate::engine::EngineConfig;
use crate::latency::LatencyVitals;
use crate::vitals::{LagVitals, RuleVitals};

/// What a feed is made from.
#[derive(Debug, Clone)]
pub struct FeedConfig {
    /// The tick socket.
    pub publish: Publish,
    /// How ticks are judged.
    pub engine: EngineConfig,
}

/// The queue of commands is full, or the feed has ended. Gives the command back.
#[derive(Error)]
#[error("the feed takes no command now: its queue is full or it has ended")]
pub struct FeedBusy(pub FeedCommand);

impl fmt::Debug for FeedBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FeedBusy").field(&self.0).finish()
    }
}

/// The running feed. Dropping it ends the feed within a second.
#[derive(Debug)]
pub struct FeedHandle {
    pub(crate) commands: SyncSender<FeedCommand>,
    pub(crate) wake: Arc<OwnedFd>,
    pub(crate) vitals: Arc<FeedVitals>,
    pub(crate) rule_vitals: Arc<RuleVitals>,
    pub(crate) lag_vitals: Arc<LagVitals>,
    pub(crate) latency: Arc<LatencyVitals>,
    pub(crate) listen_addr: SocketAddr,
    pub(crate) thread: JoinHandle<()>,
}

impl FeedHandle {
    /// Asks for something; never waits.
    ///
    /// # Errors
    /// [`FeedBusy`], with the command, when the queue is full or the feed has ended.
    pub fn send(&self, command: FeedCommand) -> Result<(), FeedBusy> {
        self.commands.try_send(command).map_err(|e| match e {
            TrySendError::Full(command) | TrySendError::Disconnected(command) => FeedBusy(command),
        })?;
        // It can only fail when 2^64 - 2 wakes are pending: then the feed is being woken anyway.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        Ok(())
    }

    /// The feed's counters.
    #[must_use]
    pub const fn vitals(&self) -> &Arc<FeedVitals> {
        &self.vitals
    }

    /// What the cleansing rules did.
    #[must_use]
    pub const fn rule_vitals(&self) -> &Arc<RuleVitals> {
        &self.rule_vitals
    }

    /// How far the sources' copies came in behind the published ones.
    #[must_use]
    pub const fn lag_vitals(&self) -> &Arc<LagVitals> {
        &self.lag_vitals
    }

    /// How long ticks take through the hub.
    #[must_use]
    pub const fn latency(&self) -> &Arc<LatencyVitals> {
        &self.latency
    }

    /// Where subscribers connect, with the port that the system chose.
    #[must_use]
    pub const fn listen_addr(&self) -> SocketAddr {
        self.listen_addr
    }

    /// Waits until the feed has ended: after [`FeedCommand::Shutdown`].
    pub fn join(self) {
        drop(self.commands);
        if self.thread.join().is_err() {
            tracing::error!("the feed thread ended by a panic");
        }
    }
}
