//! News of the hub itself, in band: topics that begin with `_hub.`, for whoever subscribes them by a prefix that begins with
//! `_hub`. Each payload is a MessagePack map; unknown keys are to be ignored, and `v` is 1.

use serde::Serialize;

use crate::zmtp::{Server, TopicId};

/// Version of these payloads.
const VERSION: u8 = 1;

/// `_hub.heartbeat`, once a second: the feed thread goes round.
#[derive(Debug, Serialize)]
pub(super) struct Heartbeat<'a> {
    /// Ticks published since the hub started.
    pub(super) published: u64,
    /// Subscribers that are connected.
    pub(super) peers: u64,
    /// Accounts whose processes' ticks are read, sorted.
    pub(super) sources: &'a [&'a str],
}

/// `_hub.source`: a source has come or gone.
#[derive(Debug, Serialize)]
pub(super) struct SourceChange<'a> {
    /// The account.
    pub(super) source: &'a str,
    /// Which life of its process.
    pub(super) incarnation: String,
    /// `attached`: its ticks are read. `ended`: its process is gone, or sent what is no tick. `detached`: it is not read
    /// any more.
    pub(super) state: &'static str,
    /// What it sent that is no tick.
    pub(super) why: Option<&'a str>,
}

/// `_hub.contract`: what became of a subscription to a contract that nobody feeds.
#[derive(Debug, Serialize)]
pub(super) struct ContractChange<'a> {
    /// What was subscribed.
    pub(super) vt_symbol: &'a str,
    /// `demanded`: it is asked for upstream. `refused`: a limit or the settings forbid that. `unknown`: no such contract
    /// can be. `dropped`: nobody has wanted it for a while.
    pub(super) state: &'static str,
    /// Why it was refused or is unknown.
    pub(super) why: Option<&'a str>,
    /// The most similar name that there are ticks of.
    pub(super) nearest: Option<&'a str>,
}

/// What every payload has besides.
#[derive(Serialize)]
struct Enveloped<'a, T> {
    v: u8,
    /// The hub's start; compare for equality only.
    epoch: u64,
    /// When it was sent, nanoseconds since the epoch, `CLOCK_REALTIME`.
    egress_ns: u64,
    #[serde(flatten)]
    news: &'a T,
}

/// The topics.
#[derive(Debug)]
pub(super) struct Bulletin {
    epoch: u64,
    heartbeat: TopicId,
    source: TopicId,
    contract: TopicId,
}

impl Bulletin {
    pub(super) fn new(server: &mut Server, epoch: u64) -> Self {
        Self {
            epoch,
            heartbeat: server.topic("_hub.heartbeat"),
            source: server.topic("_hub.source"),
            contract: server.topic("_hub.contract"),
        }
    }

    pub(super) fn heartbeat(&self, server: &mut Server, news: &Heartbeat<'_>, egress_ns: u64) {
        self.announce(server, self.heartbeat, news, egress_ns);
    }

    pub(super) fn source(&self, server: &mut Server, news: &SourceChange<'_>, egress_ns: u64) {
        self.announce(server, self.source, news, egress_ns);
    }

    pub(super) fn contract(&self, server: &mut Server, news: &ContractChange<'_>, egress_ns: u64) {
        self.announce(server, self.contract, news, egress_ns);
    }

    fn announce(&self, server: &mut Server, topic: TopicId, news: &impl Serialize, egress_ns: u64) {
        let payload = Enveloped { v: VERSION, epoch: self.epoch, egress_ns, news };
        match rmp_serde::to_vec_named(&payload) {
            Ok(payload) => server.announce(topic, &payload),
            Err(error) => tracing::warn!(%error, "news of the hub cannot be written"),
        }
    }
}
