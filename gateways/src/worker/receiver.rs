//! The vendor's calls, turned into ticks and events. Runs on the vendor's threads: nothing here waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use super::Event;
use super::ring::TickRing;
use crate::clock;
use crate::vendor::layout::Layout;
use crate::vendor::{Spi, record};

/// Receives what the library tells.
pub(crate) struct Receiver {
    layout: &'static Layout,
    ring: Arc<TickRing>,
    events: SyncSender<Event>,
    events_lost: AtomicU64,
}

impl Receiver {
    pub(super) const fn new(layout: &'static Layout, ring: Arc<TickRing>, events: SyncSender<Event>) -> Self {
        Self { layout, ring, events, events_lost: AtomicU64::new(0) }
    }

    /// Events that found the queue full.
    pub(super) fn events_lost(&self) -> u64 {
        self.events_lost.load(Ordering::Relaxed)
    }

    fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            self.events_lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Spi for Receiver {
    fn front_connected(&self) {
        self.tell(Event::FrontConnected);
    }

    fn front_disconnected(&self, reason: i32) {
        self.tell(Event::FrontDisconnected(reason));
    }

    fn heartbeat_warning(&self, lapse_s: i32) {
        self.tell(Event::HeartbeatWarning(lapse_s));
    }

    fn rsp_login(&self, login: Option<&[u8]>, info: Option<&[u8]>) {
        let trading_day = login.map(record::login_trading_day).unwrap_or_default();
        self.tell(Event::Login { answer: record::answer(info), trading_day });
    }

    fn rsp_error(&self, info: Option<&[u8]>) {
        self.tell(Event::Error(record::answer(info)));
    }

    fn rsp_subscribe(&self, instrument: Option<&[u8]>, info: Option<&[u8]>) {
        let symbol = instrument.map(|field| record::instrument(self.layout, field)).unwrap_or_default();
        self.tell(Event::Subscribed { symbol, answer: record::answer(info) });
    }

    fn depth(&self, record: &[u8]) {
        let now = clock::now();
        let mut tick = record::raw_tick(self.layout, record);
        tick.ingress_mono_ns = now.mono.0.into();
        tick.ingress_real_ns = now.wall_ns.into();
        self.ring.push(tick);
    }
}
