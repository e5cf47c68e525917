//! Counters for people and scripts: `vitals.json` in the data directory, rewritten every second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mdhub_alerts::Alerts;
use mdhub_spec::account::AccountId;
use mdhub_spec::plane::{FeedVitals, SourceVitals};
use mdhub_spec::settings::Rule;
use serde_json::{Map, Value, json};
use tokio::sync::watch as tokio_watch;
use tracing::warn;

use crate::data_dir::DataDir;
use crate::logging::Counts;

use super::control::Control;

const EVERY: Duration = Duration::from_secs(1);

/// Writes until the hub ends.
pub(crate) async fn run(
    data: DataDir,
    control: Arc<Control>,
    alerts: Arc<Alerts>,
    log: Counts,
    mut stopped: tokio_watch::Receiver<bool>,
) {
    let mut failing = false;
    loop {
        let text = text(&control, &alerts, &log);
        let data = data.clone();
        // A disk that hangs holds up this task alone, and none of the threads that steer.
        let written = tokio::task::spawn_blocking(move || data.replace("vitals.json", &text)).await;
        let failure = written.map_err(std::io::Error::other).flatten().err();
        if let (Some(error), false) = (&failure, failing) {
            warn!(%error, "vitals.json cannot be written; everything else goes on");
        }
        failing = failure.is_some();
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// Writes once, at the end.
pub(crate) fn write(data: &DataDir, control: &Control, alerts: &Alerts, log: &Counts) {
    if let Err(error) = data.replace("vitals.json", &text(control, alerts, log)) {
        warn!(%error, "the last vitals.json cannot be written");
    }
}

fn text(control: &Control, alerts: &Alerts, log: &Counts) -> String {
    all(control, alerts, log).to_string()
}

/// Every counter.
pub(crate) fn all(control: &Control, alerts: &Alerts, log: &Counts) -> Value {
    let accounts: Map<String, Value> = control
        .source_vitals()
        .into_iter()
        .map(|(id, vitals)| (id.to_string(), source(control, &id, &vitals)))
        .collect();
    let rules = control.feed().rule_vitals();
    let mut all = feed(control.feed().vitals());
    let others = [
        ("accounts", json!(accounts)),
        ("rejected_by_rule", json!(by_rule(|rule| rules.rejected(rule)))),
        ("shadowed_by_rule", json!(by_rule(|rule| rules.shadowed(rule)))),
        ("unpublishable", json!(rules.unpublishable())),
        ("doubted", json!(rules.doubted())),
        ("outbox", json!({"dropped": control.events_dropped()})),
        ("alerts", alerts_of(alerts)),
        ("log", log.shown()),
        ("desired", json!(format!("{:?}", control.standing().get()))),
    ];
    all.extend(others.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(all)
}

/// The counters of one account; null where there are none.
pub(crate) fn of_account(control: &Control, id: &str) -> Value {
    let vitals = control.source_vitals();
    vitals
        .iter()
        .find(|(known, _)| known.as_str() == id)
        .map_or(Value::Null, |(id, vitals)| source(control, id, vitals))
}

fn alerts_of(alerts: &Alerts) -> Value {
    let vitals = alerts.vitals();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    json!({
        "channels": read(&vitals.channels),
        "open": read(&vitals.open),
        "delivered": read(&vitals.delivered),
        "failed": read(&vitals.failed),
        "waiting": read(&vitals.waiting),
        "given_up": read(&vitals.given_up),
        "unheard": alerts.lost(),
    })
}

/// Every counter of the feed thread: one that is new does not compile until it is here.
pub(super) fn feed(vitals: &FeedVitals) -> Map<String, Value> {
    let FeedVitals {
        beat_mono_ns: _,
        published,
        peers,
        delivered,
        dropped,
        peers_cut,
        peers_refused,
        events_dropped,
        snapshots,
        waiting_bytes,
        subscriptions,
        tokens_refused,
        demands,
        demands_refused,
        waits,
        reads,
        writes,
    } = vitals;
    let counters = [
        ("published", published),
        ("peers", peers),
        ("delivered", delivered),
        ("dropped", dropped),
        ("peers_cut", peers_cut),
        ("peers_refused", peers_refused),
        ("feed_events_dropped", events_dropped),
        ("snapshots", snapshots),
        ("waiting_bytes", waiting_bytes),
        ("subscriptions", subscriptions),
        ("tokens_refused", tokens_refused),
        ("demands", demands),
        ("demands_refused", demands_refused),
        ("waits", waits),
        ("reads", reads),
        ("writes", writes),
    ];
    counters.into_iter().map(|(name, counter)| (name.to_owned(), counter.load(Ordering::Relaxed).into())).collect()
}

fn by_rule(count: impl Fn(Rule) -> u64) -> Value {
    Rule::ALL.into_iter().map(|rule| json!({"rule": rule, "ticks": count(rule)})).collect()
}

fn source(control: &Control, id: &AccountId, vitals: &SourceVitals) -> Value {
    let (slot, lags) = (control.slot(id), control.feed().lag_vitals());
    let lag_us = |percent| lags.percentile_us(slot?, percent);
    json!({
        "unique_saves": slot.map(|slot| lags.saves(slot)),
        "outvoted": slot.map(|slot| lags.outvoted(slot)),
        "lag_histogram_us": slot.map(|slot| lags.histogram(slot)),
        "rejected_by_rule": slot.map(|slot| by_rule(|rule| control.feed().rule_vitals().rejected_of(slot, rule))),
        "lag_us_p50": lag_us(50),
        "lag_us_p99": lag_us(99),
        "received": vitals.total(|e| &e.received),
        "forwarded": vitals.total(|e| &e.forwarded),
        "duplicate": vitals.total(|e| &e.duplicate),
        "late": vitals.total(|e| &e.late),
        "late_unique": vitals.total(|e| &e.late_unique),
        "redeemed": vitals.total(|e| &e.redeemed),
        "rejected": vitals.total(|e| &e.rejected),
        "replayed": vitals.total(|e| &e.replayed),
        "disagreed": vitals.total(|e| &e.disagreed),
        "fenced": vitals.total(|e| &e.fenced),
        "unknown_contract": vitals.unknown_contract.load(Ordering::Relaxed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_of_the_feed_is_shown_under_its_name() {
        let vitals = FeedVitals::default();
        let own = [
            ("published", &vitals.published),
            ("peers", &vitals.peers),
            ("delivered", &vitals.delivered),
            ("dropped", &vitals.dropped),
            ("peers_cut", &vitals.peers_cut),
            ("peers_refused", &vitals.peers_refused),
            ("feed_events_dropped", &vitals.events_dropped),
            ("snapshots", &vitals.snapshots),
            ("waiting_bytes", &vitals.waiting_bytes),
            ("subscriptions", &vitals.subscriptions),
            ("tokens_refused", &vitals.tokens_refused),
            ("demands", &vitals.demands),
            ("demands_refused", &vitals.demands_refused),
            ("waits", &vitals.waits),
            ("reads", &vitals.reads),
            ("writes", &vitals.writes),
        ];
        for (n, (_, counter)) in (1..).zip(own) {
            counter.store(n, Ordering::Relaxed);
        }
        let shown = feed(&vitals);
        assert_eq!(shown.len(), own.len());
        for (n, (name, _)) in (1u64..).zip(own) {
            assert_eq!(shown.get(name), Some(&json!(n)), "{name}");
        }
    }
}
