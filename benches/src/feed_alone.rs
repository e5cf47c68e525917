//! The feed on its own: its one thread, fed through pipes as workers feed it, publishing to whoever connects. What the
//! vendor's library and the workers cost is left out.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mdhub_feed::engine::EngineConfig;
use mdhub_feed::{FeedConfig, FeedHandle};
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::frame;
use mdhub_spec::plane::{FeedCommand, Route, RouteTable, SourceMask, SourceSlot, SourceVitals};
use mdhub_spec::process::Incarnation;
use mdhub_spec::raw_tick::{RawTick, field};
use mdhub_spec::settings::{Endpoint, Publish};
use serde_json::json;

use crate::Failure;
use crate::clock::{mono_ns, paced, real_ns, sleep_until, until};

/// Contracts that tick in turn.
pub(crate) const CONTRACTS: u32 = 1_000;

/// What a worker's pipe holds.
const PIPE_BYTES: usize = 1 << 20;

/// Ticks that are written at once when there is no pace.
const BATCH: u32 = 64;

/// Milliseconds since midnight at which the records begin.
const OPENING_MS: u32 = 9 * 3_600_000;

/// The code of the `i`th contract.
fn code(i: u32) -> String {
    format!("m{:04}-C-{}", 2701 + i % 12, 2000 + i)
}

/// The `i`th contract.
pub(crate) fn contract(i: u32) -> Result<Contract, Failure> {
    format!("{}.DCE", code(i)).parse().map_err(|e: mdhub_spec::contract::ContractError| e.to_string())
}

/// The first record of the `i`th contract, with every number there.
pub(crate) fn record(i: u32) -> RawTick {
    let mut raw = RawTick {
        instrument: field(code(i).as_bytes()),
        trading_day: field(b"20261118"),
        action_day: field(b"20261118"),
        open_interest: 70_000.0.into(),
        last_price: 120.5.into(),
        open_price: 118.0.into(),
        high_price: 125.0.into(),
        low_price: 115.5.into(),
        pre_close: 119.0.into(),
        pre_settlement: 119.5.into(),
        pre_open_interest: 69_000.0.into(),
        limit_up: 180.0.into(),
        limit_down: 60.0.into(),
        average_price: 1_200.0.into(),
        ..RawTick::default()
    };
    for (i, level) in (1..).zip(&mut raw.levels) {
        level.bid_price = (120.5 - f64::from(i) * 0.5).into();
        level.ask_price = (120.5 + f64::from(i) * 0.5).into();
        (level.bid_volume, level.ask_volume) = ((10 * i).into(), (11 * i).into());
    }
    advance(&mut raw, 0);
    raw
}

/// Makes it the contract's `n`th record: a millisecond and a lot later than the last.
pub(crate) fn advance(raw: &mut RawTick, n: u32) {
    let digits = |n: u32| [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
    let of_day = OPENING_MS + n;
    let seconds = of_day / 1_000;
    let [[h1, h2], [m1, m2], [s1, s2]] = [seconds / 3600, seconds / 60 % 60, seconds % 60].map(digits);
    raw.update_time = [h1, h2, b':', m1, m2, b':', s1, s2, 0];
    raw.update_ms = (of_day % 1_000).cast_signed().into();
    raw.volume = (n + 1).cast_signed().into();
    raw.turnover = (f64::from(n + 1) * 1_205.0).into();
}

/// All contracts, which the first `sources` sources may feed.
pub(crate) fn routes(sources: u8) -> Result<RouteTable, Failure> {
    let mask = (0..sources).filter_map(SourceSlot::new).fold(SourceMask::NONE, SourceMask::with);
    let route = |i| Ok(Route { contract: contract(i)?, sources: mask, primary: mask.first() });
    let mut routes: Vec<Route> = (0..CONTRACTS).map(route).collect::<Result<_, Failure>>()?;
    routes.sort_by(|a, b| a.contract.cmp(&b.contract));
    Ok(RouteTable { revision: 1, routes })
}

/// What it is asked to do.
pub(crate) struct Task<'a> {
    /// Where to publish.
    pub(crate) address: &'a str,
    /// How many sources bring the same.
    pub(crate) sources: u8,
    /// Ticks a second of each; 0 is as fast as they are taken.
    pub(crate) rate: u32,
    /// Ticks of each.
    pub(crate) count: u64,
    /// When to begin.
    pub(crate) go_ns: u64,
    /// Where to write what became of them.
    pub(crate) result: &'a Path,
}

/// The process: the feed thread, and a thread for each source.
pub(crate) fn serve(task: &Task<'_>) -> Result<(), Failure> {
    let listen = Endpoint(task.address.parse().map_err(|_| format!("{}: no address", task.address))?);
    let config = FeedConfig {
        publish: Publish { listen, ..Publish::default() },
        engine: EngineConfig { always_open: true, ..EngineConfig::new(real_ns()) },
    };
    let feed = mdhub_feed::spawn(config, Box::new(|_| true)).map_err(|e| e.to_string())?;
    feed.send(FeedCommand::Routes(Arc::new(routes(task.sources)?))).map_err(|e| e.to_string())?;
    let sources = (0..task.sources).map(|i| attach(&feed, i)).collect::<Result<Vec<_>, Failure>>()?;
    sleep_until(task.go_ns);
    let start = mono_ns();
    let vitals = Arc::clone(feed.vitals());
    std::thread::scope(|scope| {
        for pipe in sources.iter() {
            scope.spawn(|| write(pipe, task.rate, task.count));
        }
        let done = until(60, "the feed", || (vitals.published.load(Relaxed) >= task.count).then(mono_ns));
        let elapsed_ns = done.unwrap_or_else(|_| mono_ns()) - start;
        let (published, dropped) = (vitals.published.load(Relaxed), vitals.dropped.load(Relaxed));
        let text = json!({"published": published, "dropped": dropped, "elapsed_ns": elapsed_ns}).to_string();
        let draft = task.result.with_extension("draft");
        fs::write(&draft, text).and_then(|()| fs::rename(&draft, task.result)).map_err(|e| e.to_string())
    })?;
    // Whoever started this ends it, once the subscribers have everything.
    sleep_until(real_ns() + 60_000_000_000);
    Ok(())
}

/// The writing end of a new source's pipe.
fn attach(feed: &FeedHandle, index: u8) -> Result<OwnedFd, Failure> {
    let failed = |e: rustix::io::Errno| format!("a pipe: {e}");
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).map_err(failed)?;
    rustix::pipe::fcntl_setpipe_size(&writer, PIPE_BYTES).map_err(failed)?;
    let account = format!("bench-{index}").parse().map_err(|_| "an account's name")?;
    let command = FeedCommand::Attach {
        incarnation: Incarnation { epoch: 1, counter: index.into() },
        account,
        slot: SourceSlot::new(index).ok_or("no such slot")?,
        dialect: Dialect::Ctp,
        is_low_precision: false,
        ticks: reader,
        vitals: Arc::new(SourceVitals::default()),
    };
    feed.send(command).map_err(|e| e.to_string())?;
    Ok(writer)
}

/// Writes `count` records, contract after contract.
fn write(pipe: &OwnedFd, rate: u32, count: u64) -> Result<(), Failure> {
    let batch = if rate == 0 { BATCH } else { (rate / 1_000).max(1) };
    let mut records: Vec<RawTick> = (0..CONTRACTS).map(record).collect();
    let (mut next, mut left, mut frames) = (0u32, count, Vec::new());
    paced(rate / batch, count.div_ceil(batch.into()), || {
        frames.clear();
        for _ in 0..left.min(batch.into()) {
            let raw = &mut records[(next % CONTRACTS) as usize];
            advance(raw, next / CONTRACTS);
            (raw.ingress_mono_ns, raw.ingress_real_ns) = (mono_ns().into(), real_ns().into());
            frame::put_tick(&mut frames, raw);
            next += 1;
            left -= 1;
        }
        let mut rest = &frames[..];
        while !rest.is_empty() {
            let size = rustix::io::write(pipe, rest).map_err(|e| format!("the feed has closed a pipe: {e}"))?;
            rest = &rest[size..];
        }
        Ok(())
    })
}
