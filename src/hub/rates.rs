//! How fast everything goes: counted four times a second, over the last second, for all who watch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mdhub_alerts::Vitals as AlertVitals;
use mdhub_api::Canary;
use mdhub_feed::Latencies;
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Exchange;
use mdhub_spec::plane::SourceVitals;
use mdhub_spec::time::{Mono, Now};
use serde_json::{Value, json};
use tokio::sync::watch as tokio_watch;
use tokio::task::JoinSet;

use crate::clock;

use super::control::Control;

/// From one count to the next.
const EVERY: Duration = Duration::from_millis(250);
/// Counts that a rate is made of: those of one second.
const COUNTS: usize = 5;
/// Those that percentiles are made of: of ten seconds, since a quiet market has few ticks.
const LATENCY_COUNTS: usize = 41;

/// What was counted at one instant.
#[derive(Debug, Clone, Default)]
struct Count {
    at: Mono,
    published: u64,
    delivered: u64,
    dropped: u64,
    received: BTreeMap<AccountId, u64>,
}

/// The last counts, oldest first.
#[derive(Debug, Default)]
struct Counts(VecDeque<Count>);

impl Counts {
    fn push(&mut self, count: Count) {
        if self.0.len() == COUNTS {
            self.0.pop_front();
        }
        self.0.push_back(count);
    }

    /// By how much a counter has grown in a second; 0 before there are two counts.
    fn per_s(&self, of: impl Fn(&Count) -> Option<u64>) -> f64 {
        let mut known = self.0.iter().filter_map(|count| Some((count.at, of(count)?)));
        let (Some((from, before)), Some((to, now))) = (known.next(), known.next_back()) else { return 0.0 };
        let ms = to.ms_since(from).max(1);
        let per_s = now.saturating_sub(before) as f64 * 1_000.0 / ms as f64;
        (per_s * 10.0).round() / 10.0
    }
}

/// How long ticks took through the hub, at the last looks.
#[derive(Debug, Default)]
struct Through(VecDeque<Latencies>);

impl Through {
    /// Those of the last ten seconds.
    fn lately(&mut self, now: Latencies) -> Latencies {
        if self.0.len() == LATENCY_COUNTS {
            self.0.pop_front();
        }
        self.0.push_back(now);
        now.since(self.0.front().unwrap_or(&now))
    }
}

/// Begins to count, until the hub ends.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    control: &Arc<Control>,
    canaries: tokio_watch::Receiver<Arc<Vec<Canary>>>,
    alerts: Arc<AlertVitals>,
    stopped: &tokio_watch::Receiver<bool>,
) -> tokio_watch::Receiver<Arc<Value>> {
    let (rates, watched) = tokio_watch::channel(Arc::new(Value::Null));
    tasks.spawn(run(control.clone(), canaries, alerts, rates, stopped.clone()));
    watched
}

async fn run(
    control: Arc<Control>,
    canaries: tokio_watch::Receiver<Arc<Vec<Canary>>>,
    alerts: Arc<AlertVitals>,
    rates: tokio_watch::Sender<Arc<Value>>,
    mut stopped: tokio_watch::Receiver<bool>,
) {
    let (mut counts, mut through) = (Counts::default(), Through::default());
    loop {
        let now = clock::now();
        let sources = control.source_vitals();
        counts.push(count(&control, &sources, now.mono));
        let canaries = canaries.borrow().clone();
        let latency = through.lately(control.feed().latency().read());
        rates.send_replace(Arc::new(shown(&control, &sources, &counts, &latency, (&canaries, &alerts), now)));
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

fn count(control: &Control, sources: &BTreeMap<AccountId, Arc<SourceVitals>>, at: Mono) -> Count {
    let feed = control.feed().vitals();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Count {
        at,
        published: read(&feed.published),
        delivered: read(&feed.delivered),
        dropped: read(&feed.dropped),
        received: sources.iter().map(|(id, of)| (id.clone(), of.total(|e| &e.received))).collect(),
    }
}

fn shown(
    control: &Control,
    sources: &BTreeMap<AccountId, Arc<SourceVitals>>,
    counts: &Counts,
    latency: &Latencies,
    (canaries, alerts): (&[Canary], &AlertVitals),
    now: Now,
) -> Value {
    let accounts: BTreeMap<&str, Value> =
        sources.iter().map(|(id, of)| (id.as_str(), account(control, id, of, counts, now.mono))).collect();
    let feed = control.feed().vitals();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    json!({
        "at_ms": now.wall_ms(),
        "hub": {
            "ticks_per_s": counts.per_s(|count| Some(count.published)),
            "published": read(&feed.published),
            "subscribers": read(&feed.peers),
            "delivered_per_s": counts.per_s(|count| Some(count.delivered)),
            "dropped_per_s": counts.per_s(|count| Some(count.dropped)),
            "latency_us_p50": latency.percentile_us(50),
            "latency_us_p99": latency.percentile_us(99),
            "alerts_open": read(&alerts.open),
            "alerts_waiting": read(&alerts.waiting),
        },
        "accounts": accounts,
        "canaries": canaries.iter().map(canary).collect::<Vec<Value>>(),
    })
}

fn account(control: &Control, id: &AccountId, of: &SourceVitals, counts: &Counts, now: Mono) -> Value {
    let (slot, lags) = (control.slot(id), control.feed().lag_vitals());
    let lag_us = |percent| lags.percentile_us(slot?, percent);
    let (forwarded, duplicate) = (of.total(|e| &e.forwarded), of.total(|e| &e.duplicate));
    let raced = forwarded + duplicate;
    json!({
        "ticks_per_s": counts.per_s(|count| count.received.get(id).copied()),
        "win_share": (raced > 0).then(|| (forwarded as f64 / raced as f64 * 1_000.0).round() / 1_000.0),
        "lag_us_p50": lag_us(50),
        "lag_us_p99": lag_us(99),
        "received": of.total(|e| &e.received),
        "forwarded": forwarded,
        "duplicate": duplicate,
        "late": of.total(|e| &e.late),
        "rejected": of.total(|e| &e.rejected),
        "last_tick_age_ms": last_tick(of).map(|at| now.ms_since(at)),
    })
}

/// When a source brought its last tick, whichever exchange's.
fn last_tick(of: &SourceVitals) -> Option<Mono> {
    let last = |exchange: Exchange| of.exchange(exchange).last_tick_mono_ns.load(Ordering::Relaxed);
    Exchange::ALL.into_iter().map(last).max().filter(|ns| *ns > 0).map(Mono)
}

/// The canaries, without their past.
fn canary(of: &Canary) -> Value {
    let by_account: BTreeMap<&str, u64> = of.sources.iter().map(|s| (s.account.as_str(), s.age_ms)).collect();
    json!({
        "vt_symbol": of.vt_symbol,
        "exchange": of.exchange,
        "last_price": of.last_price,
        "last_tick_age_ms": of.last_tick_age_ms,
        "ticks_per_s": of.ticks_per_s,
        "by_account": by_account,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_second_and_a_counter_that_is_new_has_none() {
        let (mut counts, id) = (Counts::default(), "ctp-a".parse::<AccountId>().expect("an id"));
        assert_eq!(counts.per_s(|count| Some(count.published)), 0.0);
        for n in 0..20_u64 {
            let received = if n >= 18 { BTreeMap::from([(id.clone(), n * 10)]) } else { BTreeMap::new() };
            let published = if n < 10 { n * 1_000 } else { 10_000 + n };
            counts.push(Count { at: Mono(1).plus_ms(n * 250), published, received, ..Count::default() });
        }
        assert_eq!(counts.per_s(|count| Some(count.published)), 4.0);
        assert_eq!(counts.per_s(|count| count.received.get(&id).copied()), 40.0);
    }
}
