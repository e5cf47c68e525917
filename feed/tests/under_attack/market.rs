//! A feed with a front and a healthy subscriber, and what an attack costs them.

use std::alloc::System;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mdhub_feed::FeedConfig;
use mdhub_spec::raw_tick::RawTick;
use mdhub_spec::settings::Publish;
use mdhub_spec::time::Mono;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::ClockId;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use crate::attacker::Attacker;
use crate::client::Client;
use crate::rig::{Front, Rig, config, record, slots};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Who measures the whole process is alone in it.
static ALONE: Mutex<()> = Mutex::new(());

/// What the healthy one subscribes; each is good for two snapshots a second through the morning.
const HEALTHY: [&str; 4] = ["IF2612", "IF2701", "IF2703", "IF2706"];
/// Quiet and attacked in turns, so many of each.
const ROUNDS: usize = 5;
/// Ticks of one of them: the p99 is the third of the worst.
const TICKS: usize = 300;
/// Twice the quiet p99 is wanted; machines are noisy: ten times that.
const RATIO_MAX: u64 = 20;
/// With two cores and three threads that never rest, a p99 is a few time slices of the system, whoever is attacked: 3 to
/// 4 ms each. Below this nothing can be told.
const NOISE_US: u64 = 20_000;

#[expect(clippy::disallowed_methods, reason = "latencies are differences of the clock")]
pub(crate) fn mono() -> Mono {
    let t = rustix::time::clock_gettime(ClockId::Monotonic);
    Mono(t.tv_sec.unsigned_abs() * 1_000_000_000 + t.tv_nsec.unsigned_abs())
}

/// Bytes that the process has allocated and not freed.
pub(crate) fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Descriptors that the process has open.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("it is there").count()
}

/// Waits for its turn, and allows as many descriptors as may be.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    let given = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: given.maximum, ..given }).expect("raises the soft limit");
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The `n`th snapshot of a contract that ticks twice a second.
pub(crate) fn snapshot(instrument: &str, n: u32) -> RawTick {
    RawTick { update_ms: (n % 2 * 500).cast_signed().into(), ..record(instrument, n / 2, n.cast_signed() + 1) }
}

pub(crate) fn config_with(change: impl FnOnce(&mut Publish)) -> FeedConfig {
    let mut config = config();
    change(&mut config.publish);
    config
}

pub(crate) struct Market {
    pub(crate) rig: Rig,
    pub(crate) front: Front,
    healthy: Client,
    ticks: usize,
    alone: MutexGuard<'static, ()>,
}

/// What an attack cost.
#[derive(Debug)]
pub(crate) struct Cost {
    /// What the attacker did.
    pub(crate) acts: u64,
    /// Most bytes that were alive beyond those before it.
    pub(crate) bytes: usize,
    /// Most descriptors beyond those before it; the attacker's own are among them.
    pub(crate) descriptors: usize,
}

impl Market {
    /// Beside the healthy one's contracts there are so many others, each with a last tick.
    pub(crate) fn open(config: FeedConfig, others: u32, connect: impl FnOnce(std::net::SocketAddr) -> Client) -> Self {
        let alone = alone();
        let mut rig = Rig::start(config);
        let others: Vec<String> = (0..others).map(|n| format!("cu2701C{}", 10_000 + n)).collect();
        let names = HEALTHY.map(|name| format!("{name}.CFFEX")).into_iter();
        let names: Vec<String> = names.chain(others.iter().map(|name| format!("{name}.SHFE"))).collect();
        let routes: Vec<_> = names.iter().map(|name| (name.as_str(), slots(&[0]))).collect();
        rig.route(&routes);
        let mut front = rig.ctp(0);
        for name in &others {
            front.send(&snapshot(name, 0));
        }
        let mut healthy = connect(rig.feed().listen_addr());
        healthy.subscribe("IF");
        Self { rig, front, healthy, ticks: 0, alone }
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.rig.feed().listen_addr()
    }

    /// From a worker's pipe to the healthy subscriber: the p99 of some ticks, microseconds. Every one comes, in order.
    fn p99_us(&mut self) -> u64 {
        let mut latencies: Vec<u64> = (0..TICKS)
            .map(|_| {
                let (instrument, n) = (HEALTHY[self.ticks % 4], (self.ticks / 4) as u32);
                self.ticks += 1;
                let began = mono();
                self.front.send(&snapshot(instrument, n));
                let message = self.healthy.message();
                let took_us = (mono().0 - began.0) / 1_000;
                assert_eq!(message[0], format!("{instrument}.CFFEX").into_bytes(), "tick {}", self.ticks);
                took_us
            })
            .collect();
        latencies.sort_unstable();
        latencies[TICKS * 99 / 100 - 1]
    }

    /// Measures the healthy one quiet and attacked in turns, and compares the medians of the p99s.
    pub(crate) fn attacked(&mut self, what: &str, act: impl FnMut() -> u64 + Send + 'static) -> Cost {
        let attacker = Attacker::new(act);
        self.p99_us();
        let before = (live_bytes(), descriptors());
        let neighbour = Attacker::new(|| (0..100_000).map(std::hint::black_box).max().unwrap_or_default());
        let (mut rounds, mut most) = ([[0; 3]; ROUNDS], before);
        for [quiet, busy, attacked] in &mut rounds {
            *quiet = self.p99_us();
            *busy = neighbour.during(|| self.p99_us());
            *attacked = attacker.during(|| {
                let p99_us = self.p99_us();
                most = (most.0.max(live_bytes()), most.1.max(descriptors()));
                p99_us
            });
            most = (most.0.max(live_bytes()), most.1.max(descriptors()));
        }
        let acts = attacker.acts();
        drop(attacker);
        let [quiet_us, busy_us, attacked_us] = [0, 1, 2].map(|kind| {
            let mut p99s = rounds.map(|round| round[kind]);
            p99s.sort_unstable();
            p99s[ROUNDS / 2].max(1)
        });
        let cost = Cost { acts, bytes: most.0 - before.0, descriptors: most.1.saturating_sub(before.1) };
        let times = |than: u64| attacked_us as f64 / than as f64;
        println!(
            "{what}: p99 {quiet_us} us quiet, {busy_us} us beside a busy process, {attacked_us} us attacked: {:.1} and {:.1} times; {cost:?}",
            times(quiet_us),
            times(busy_us)
        );
        let base_us = quiet_us.max(busy_us);
        assert!(attacked_us <= NOISE_US.max(base_us * RATIO_MAX), "{what}: p99 {base_us} us became {attacked_us} us");
        self.healthy.sync();
        assert_eq!(self.rig.feed().vitals().dropped.load(Relaxed), 0, "{what}: somebody lost ticks");
        cost
    }

    /// Ends the feed: what is left of the process then is what leaked.
    pub(crate) fn close(self) -> MutexGuard<'static, ()> {
        let Self { rig, front, healthy, alone, .. } = self;
        drop((rig, front, healthy));
        alone
    }
}
