//! What each step of a tick's way costs on one core, without any system call: nanoseconds a tick.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mdhub_feed::arbitrate::{Arbiter, Arrival, Known, Stamps, View};
use mdhub_feed::cleanse::{Candidate, Circumstances, RuleSet, Rules, Standing, Thresholds};
use mdhub_feed::encode::{ContractFields, Envelope, SourceFields, encode};
use mdhub_feed::engine::{Engine, EngineConfig, Outcome, Source};
use mdhub_feed::normalise::{DateCache, DayRule, normalise};
use mdhub_feed::tid::Identity;
use mdhub_feed::zmtp::{Server, ServerConfig};
use mdhub_spec::calendar::MarketCalendar;
use mdhub_spec::contract::Exchange;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::frame;
use mdhub_spec::plane::{FeedVitals, SourceSlot, SourceVitals};
use mdhub_spec::raw_tick::RawTick;
use mdhub_spec::settings::{Cleansing, Endpoint, Publish};
use mdhub_spec::tick::Tick;
use mdhub_spec::time::{Mono, Now};
use rustix::event::epoll;

use crate::clock::{mono_ns, until};
use crate::feed_alone::{CONTRACTS, advance, contract, record, routes};
use crate::report::median;
use crate::zmtp_client::ZmtpClient;
use crate::{Effort, Failure};

/// Prefixes that one subscriber may have.
const SUBSCRIPTIONS: usize = 3_000;

/// A step, and what it costs.
pub(crate) struct Cost {
    pub(crate) step: &'static str,
    pub(crate) ns: f64,
}

/// Measures every step.
pub(crate) fn measure(effort: &Effort) -> Result<Vec<Cost>, Failure> {
    let Some(slot) = SourceSlot::new(0) else { return Err("no slot".into()) };
    let bench = Bench { calls: effort.micro_calls, repeats: effort.repeats };
    let mut raws: Vec<RawTick> = (0..CONTRACTS).map(record).collect();
    let tick = tick(&raws[0])?;
    let mut frames = Vec::new();
    raws.iter().for_each(|raw| frame::put_tick(&mut frames, raw));
    Ok(vec![
        bench.time("decode: a frame of the pipe, read in place", |n| decode(&frames, n)),
        bench_normalise(&bench, &raws),
        bench_cleanse(&bench, &tick)?,
        bench_tid(&bench, &tick)?,
        bench_arbitrate(&bench, slot),
        bench_encode(&bench, &tick)?,
        bench_match(&bench)?,
        bench_engine(&bench, &mut raws)?,
    ])
}

struct Bench {
    calls: u32,
    repeats: usize,
}

impl Bench {
    /// The median over the repeats of the time of one call. Each is given a number that no other was given.
    fn time(&self, step: &'static str, mut call: impl FnMut(u32)) -> Cost {
        let mut next = 0;
        let mut once = || {
            let start = mono_ns();
            for _ in 0..self.calls {
                call(next);
                next += 1;
            }
            (mono_ns() - start) as f64 / f64::from(self.calls)
        };
        once();
        Cost { step, ns: median(&(0..self.repeats).map(|_| once()).collect::<Vec<_>>()) }
    }
}

/// The records of [`crate::feed_alone`], whichever their day.
fn days(calendar: &MarketCalendar) -> DayRule<'_> {
    DayRule { calendar: &calendar.days, always_open: true, is_action_day_right: false }
}

fn tick(raw: &RawTick) -> Result<Tick, Failure> {
    let calendar = MarketCalendar::shipped();
    normalise(raw, Dialect::Ctp, Exchange::Dce, Some(10.0), &days(&calendar), &mut DateCache::default())
        .map_err(|fault| format!("{fault:?}"))
}

fn decode(frames: &[u8], n: u32) {
    let at = (n % CONTRACTS) as usize * frame::TICK_FRAME_BYTES;
    let frame = &frames[at..at + frame::TICK_FRAME_BYTES];
    let length = frame.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let raw = RawTick::from_wire(&frame[frame::HEADER_BYTES..]);
    black_box((length, raw.map(|raw| (raw.volume.get(), raw.last_price.get()))));
}

fn bench_normalise(bench: &Bench, raws: &[RawTick]) -> Cost {
    let (calendar, mut cache) = (MarketCalendar::shipped(), DateCache::default());
    bench.time("normalise", |n| {
        let raw = black_box(&raws[(n % CONTRACTS) as usize]);
        let _ = black_box(normalise(raw, Dialect::Ctp, Exchange::Dce, Some(10.0), &days(&calendar), &mut cache));
    })
}

fn bench_cleanse(bench: &Bench, tick: &Tick) -> Result<Cost, Failure> {
    let settings = Cleansing::default();
    let (rules, thresholds) = (Rules::from(&settings), Thresholds::from(&settings));
    let listing = MarketCalendar::shipped().listing(&contract(0)?);
    let last = Standing::from(tick);
    let circumstances = Circumstances {
        tick,
        exchange: Exchange::Dce,
        listing: &listing,
        phase: None,
        received_ms: Some(tick.exchange_time_ms),
        last: Some(&last),
        limits: (tick.limit_down, tick.limit_up),
        thresholds: &thresholds,
    };
    Ok(bench.time("cleanse: every rule on a tick that passes", |_| {
        black_box(rules.judge(black_box(&Candidate::Timed(&circumstances)), RuleSet::default()));
    }))
}

fn bench_tid(bench: &Bench, tick: &Tick) -> Result<Cost, Failure> {
    let mut identity = Identity::new(&contract(0)?.vt_symbol());
    Ok(bench.time("tid", |_| {
        black_box(identity.tid(black_box(tick)));
    }))
}

fn bench_arbitrate(bench: &Bench, slot: SourceSlot) -> Cost {
    let (mut arbiter, mut known) = (Arbiter::new(Stamps::Milliseconds), Known::default());
    let other = SourceSlot::new(1).unwrap_or(slot);
    bench.time("arbitrate: a first copy, and the other source's", |n| {
        let n = u64::from(n);
        let arrival = Arrival {
            tid: n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            view: View { last: 1, book: 1 },
            exchange_time_ms: n.cast_signed(),
            volume: n.cast_signed(),
            source: slot,
            ingress_mono_ns: n,
        };
        black_box(arbiter.judge(&arrival, &mut known, &mut |_| {}));
        black_box(arbiter.judge(&Arrival { source: other, ..arrival }, &mut known, &mut |_| {}));
    })
}

fn bench_encode(bench: &Bench, tick: &Tick) -> Result<Cost, Failure> {
    let account = "bench".parse().map_err(|_| "an account's name")?;
    let (contract, source) = (ContractFields::new(&contract(0)?), SourceFields::new(&account, Dialect::Ctp));
    let mut out = Vec::with_capacity(2_048);
    Ok(bench.time("encode", |n| {
        let envelope = Envelope { seq: n.into(), epoch: 1, tid: 2, last_volume: 3, egress_ns: 4 };
        encode(&mut out, &contract, &source, black_box(tick), &envelope);
        black_box(&out);
    }))
}

/// One subscriber with many prefixes, none of which matches, and many topics.
fn bench_match(bench: &Bench) -> Result<Cost, Failure> {
    let publish = Publish { listen: Endpoint(SocketAddr::from(([127, 0, 0, 1], 0))), ..Publish::default() };
    let vitals = Arc::new(FeedVitals::default());
    let mut server = Server::bind(ServerConfig::from(&publish), Arc::clone(&vitals)).map_err(|e| e.to_string())?;
    let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| e.to_string())?);
    server.register(Arc::clone(&epoll), 0).map_err(|e| e.to_string())?;
    let address = server.local_addr().to_string();
    let subscriber = std::thread::spawn(move || {
        let mut client = ZmtpClient::subscribe(&address, b"rb0")?;
        (1..SUBSCRIPTIONS).try_for_each(|i| client.also(format!("rb{i}").as_bytes()))?;
        Ok::<_, Failure>(client)
    });
    let mut events = Vec::with_capacity(16);
    until(20, "the subscriptions", || {
        events.clear();
        let timeout = rustix::time::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        epoll::wait(&*epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)).ok()?;
        let now = Mono(mono_ns());
        events.iter().for_each(|event| server.ready(event.data.u64(), event.flags, now));
        server.tend(now);
        (vitals.subscriptions.load(Relaxed) >= SUBSCRIPTIONS as u64).then_some(())
    })?;
    let _client = subscriber.join().map_err(|_| "a thread panicked")??;
    let topics =
        (0..CONTRACTS).map(|i| Ok(server.topic(&contract(i)?.vt_symbol()))).collect::<Result<Vec<_>, Failure>>()?;
    let payload = [7; crate::PAYLOAD_BYTES];
    Ok(bench.time("match: a topic against 3,000 prefixes of a subscriber", |n| {
        server.publish(topics[(n % CONTRACTS) as usize], black_box(&payload));
    }))
}

/// Everything between pipe and socket.
fn bench_engine(bench: &Bench, raws: &mut [RawTick]) -> Result<Cost, Failure> {
    let publish = Publish { listen: Endpoint(SocketAddr::from(([127, 0, 0, 1], 0))), ..Publish::default() };
    let mut server =
        Server::bind(ServerConfig::from(&publish), Arc::new(FeedVitals::default())).map_err(|e| e.to_string())?;
    let mut engine = Engine::new(EngineConfig { always_open: true, ..EngineConfig::new(1) });
    engine.route(Arc::new(routes(2)?), &mut |name| server.topic(name));
    let account = "bench".parse().map_err(|_| "an account's name")?;
    let slots = [0, 1].map(SourceSlot::new).into_iter().flatten();
    let mut sources: Vec<Source> =
        slots.map(|slot| Source::new(&account, slot, Dialect::Ctp, Arc::new(SourceVitals::default()))).collect();
    let mut published = 0;
    let cost = bench.time("engine: both copies of a tick in, one payload out", |n| {
        let raw = &mut raws[(n % CONTRACTS) as usize];
        advance(raw, n / CONTRACTS);
        let now = Now { mono: Mono(u64::from(n) * 1_000), wall_ns: u64::from(n) * 1_000 };
        for source in &mut sources {
            if let Outcome::Forward(admitted) = engine.admit(raw, source, now) {
                published += u32::from(black_box(engine.payload(&admitted, source, now.wall_ns)).is_some());
            }
        }
    });
    let expected = bench.calls * (bench.repeats as u32 + 1);
    if published == expected { Ok(cost) } else { Err(format!("{published} of {expected} ticks were published")) }
}
