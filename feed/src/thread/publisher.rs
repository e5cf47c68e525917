//! What the feed does for subscribers beside ticks: answers, demands, news.

use std::sync::atomic::Ordering::Relaxed;

use mdhub_spec::account::AccountId;
use mdhub_spec::plane::{FeedEvent, RecentQuery, RecentTicks};
use mdhub_spec::process::Incarnation;
use mdhub_spec::settings::Publish;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;

use super::bulletin::{ContractChange, Heartbeat, SourceChange};
use super::demand::State;
use super::{Feed, HEARD_A_ROUND};
use crate::clock::real_ns;
use crate::vitals::count;
use crate::zmtp::Access;

impl Feed {
    /// Lets some subscribers have their turn, and looks at what they subscribed.
    pub(super) fn listen(&mut self, ready: &mut Vec<epoll::Event>) {
        count(&self.vitals.waits);
        if let Err(errno) = epoll::wait(&*self.peers, spare_capacity(ready), Some(&Timespec::default())) {
            if errno != Errno::INTR {
                tracing::error!("the feed cannot hear its subscribers: {errno}");
            }
            return;
        }
        // Whoever talks all the time is always ready, and in the same order.
        let first = self.heard % ready.len().max(1);
        let mut may_be_heard = HEARD_A_ROUND;
        for event in ready[first..].iter().chain(&ready[..first]) {
            let mut flags = event.flags;
            if may_be_heard == 0 {
                flags &= EventFlags::OUT;
            } else if flags != EventFlags::OUT {
                may_be_heard -= 1;
                self.heard = self.heard.wrapping_add(1);
            }
            if !flags.is_empty() {
                self.server.ready(event.data.u64(), flags, self.now);
            }
        }
        ready.clear();
        self.take_named();
    }

    /// Looks at what was subscribed lately; whether there was anything.
    pub(super) fn take_named(&mut self) -> bool {
        let Self { server, demands, now, .. } = self;
        let named = server.take_named();
        for named in &named {
            demands.subscribed(named, server, *now);
        }
        !named.is_empty()
    }

    /// From now on this says who may subscribe and whose subscriptions ask for contracts.
    pub(super) fn admission(&mut self, publish: &Publish) {
        self.server.set_access(Access::from(publish));
        self.demands.set_policy(publish);
        tracing::info!(tokens = publish.tokens.len(), anonymous = publish.anonymous, "who may subscribe has changed");
    }

    /// Ticks that somebody missed.
    pub(super) fn answer(&self, query: RecentQuery) {
        let RecentQuery { vt_symbol, epoch, after_seq, limit, reply } = query;
        // Another epoch's numbers mean nothing here: everything that there is may be news.
        let is_of_now = epoch.is_none_or(|epoch| epoch == self.epoch);
        let found = match self.server.find(&vt_symbol) {
            None => RecentTicks::Unknown,
            Some(topic) if is_of_now => match after_seq {
                Some(after_seq) => self.recent.after(topic, after_seq, limit, self.epoch),
                None => self.recent.newest(topic, limit),
            },
            Some(topic) => self.recent.gone(topic, self.epoch),
        };
        reply.send(found);
    }

    /// Tells control what is asked for, and subscribers what became of what they asked for.
    pub(super) fn demands(&mut self) {
        let Self { demands, vitals, .. } = self;
        vitals.demands_refused.fetch_add(demands.take_refused(), Relaxed);
        if demands.take_changed() {
            self.tell_demands();
        }
        let notices = self.demands.take_notices();
        for notice in &notices {
            let state = match notice.state {
                State::Demanded => "demanded",
                State::Refused => "refused",
                State::Unknown => "unknown",
                State::Dropped => "dropped",
            };
            let (vt_symbol, nearest) = (notice.name.as_str(), notice.nearest.as_deref());
            let news = ContractChange { vt_symbol, state, why: notice.why.as_deref(), nearest };
            self.bulletin.contract(&mut self.server, &news, real_ns());
        }
        if !notices.is_empty() {
            self.server.flush(self.now);
        }
    }

    fn tell_demands(&mut self) {
        let asked: Vec<_> = self.demands.asked().cloned().collect();
        self.vitals.demands.store(asked.len() as u64, Relaxed);
        self.demanded = !asked.is_empty();
        self.tell(FeedEvent::Demands(asked));
    }

    /// Says that the thread goes round.
    pub(super) fn heartbeat(&mut self) {
        if self.demanded || self.demands.asked().next().is_some() {
            self.tell_demands();
        }
        let Self { pipes, vitals, bulletin, server, .. } = self;
        let mut sources: Vec<&str> = pipes.iter().flatten().map(|attached| attached.account.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        let (published, peers) = (vitals.published.load(Relaxed), vitals.peers.load(Relaxed));
        bulletin.heartbeat(server, &Heartbeat { published, peers, sources: &sources }, real_ns());
        server.flush(self.now);
    }

    pub(super) fn announce_source(
        &mut self,
        account: &AccountId,
        incarnation: Incarnation,
        state: &'static str,
        why: Option<&str>,
    ) {
        let (source, incarnation) = (account.as_str(), incarnation.to_string());
        self.bulletin.source(&mut self.server, &SourceChange { source, incarnation, state, why }, real_ns());
        self.server.flush(self.now);
    }
}
