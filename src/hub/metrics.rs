//! What Prometheus asks for: `GET /metrics`. The families and their units: docs/metrics.md.

mod exposition;

use std::sync::Arc;

use mdhub_alerts::Alerts;
use mdhub_api::{Canary, CanaryState};
use mdhub_feed::{LAG_BUCKETS, bound_us};
use serde_json::Value;
use tokio::sync::watch as tokio_watch;

use crate::logging::Counts;

use super::control::Control;
use super::vitals;
use exposition::{Exposition, Kind};

use Kind::{Counter, Gauge, Histogram};

const US: f64 = 1e-6;

/// A member of a JSON document, the family that it becomes, and what it says.
type Member = (&'static str, &'static str, Kind, &'static str);

/// Of the feed, as `vitals.json` has them.
const FEED: [Member; 16] = [
    ("published", "mdhub_ticks_published_total", Counter, "Ticks published, over all topics"),
    ("peers", "mdhub_subscribers", Gauge, "Subscribers that are connected"),
    ("delivered", "mdhub_ticks_delivered_total", Counter, "Ticks handed to subscribers"),
    ("dropped", "mdhub_ticks_dropped_total", Counter, "Ticks dropped for subscribers that were too slow"),
    ("peers_cut", "mdhub_subscribers_cut_total", Counter, "Subscribers cut for being too slow"),
    (
        "peers_refused",
        "mdhub_connections_refused_total",
        Counter,
        "Connections to the tick socket that broke a rule or limit",
    ),
    ("feed_events_dropped", "mdhub_feed_events_dropped_total", Counter, "News of the feed thread that found no room"),
    ("snapshots", "mdhub_snapshots_sent_total", Counter, "Last ticks sent to those who had just subscribed"),
    ("waiting_bytes", "mdhub_subscriber_backlog_bytes", Gauge, "Bytes that wait for subscribers, over all of them"),
    ("subscriptions", "mdhub_subscriptions", Gauge, "Subscriptions of all subscribers"),
    ("tokens_refused", "mdhub_tokens_refused_total", Counter, "Subscribers refused for their token"),
    ("demands", "mdhub_contracts_on_demand", Gauge, "Contracts that are wanted because somebody subscribed them"),
    ("demands_refused", "mdhub_demands_refused_total", Counter, "Contracts on demand beyond the limit"),
    ("waits", "mdhub_feed_waits_total", Counter, "Times that the feed thread waited for something to do"),
    ("reads", "mdhub_feed_reads_total", Counter, "Reads from tick pipes"),
    ("writes", "mdhub_feed_writes_total", Counter, "Writes to subscribers' sockets"),
];

/// Of each account's source, as `vitals.json` has them.
const SOURCE: [Member; 14] = [
    ("received", "mdhub_source_ticks_received_total", Counter, "Ticks that came from the source"),
    (
        "forwarded",
        "mdhub_source_ticks_won_total",
        Counter,
        "Ticks of the source that were published: it brought them first",
    ),
    ("duplicate", "mdhub_source_ticks_duplicate_total", Counter, "Copies of what another source had brought first"),
    ("late", "mdhub_source_ticks_late_total", Counter, "Ticks behind what was published already"),
    ("late_unique", "mdhub_source_ticks_late_unique_total", Counter, "Late ticks that no other source had brought"),
    ("redeemed", "mdhub_source_ticks_redeemed_total", Counter, "Doubted ticks that another source confirmed"),
    ("rejected", "mdhub_source_ticks_rejected_total", Counter, "Ticks that a cleansing rule rejected"),
    ("replayed", "mdhub_source_ticks_replayed_total", Counter, "Ticks that the source had sent before"),
    ("disagreed", "mdhub_source_ticks_disagreed_total", Counter, "Ticks that say otherwise than another source's copy"),
    ("fenced", "mdhub_source_ticks_fenced_total", Counter, "Ticks of a source that is kept out for its rubbish"),
    ("unknown_contract", "mdhub_source_ticks_unknown_contract_total", Counter, "Ticks of no contract that is wanted"),
    (
        "unique_saves",
        "mdhub_source_ticks_saved_total",
        Counter,
        "Published ticks that nobody but this source has brought",
    ),
    ("outvoted", "mdhub_source_outvoted_total", Counter, "Times that it alone showed a tick otherwise than two others"),
    (
        "ring_dropped",
        "mdhub_gateway_ring_dropped_total",
        Counter,
        "Ticks that its process dropped because the hub did not read",
    ),
];

/// Of alerts.
const ALERTS: [Member; 7] = [
    ("channels", "mdhub_alert_channels", Gauge, "Ways to tell people; with none nobody is told"),
    ("open", "mdhub_alerts_open", Gauge, "Incidents that are not over"),
    ("delivered", "mdhub_alerts_delivered_total", Counter, "Messages delivered, over all channels"),
    ("failed", "mdhub_alerts_failed_total", Counter, "Tries to deliver that failed"),
    ("waiting", "mdhub_alerts_waiting", Gauge, "Messages that wait to be delivered"),
    ("given_up", "mdhub_alerts_given_up_total", Counter, "Messages given up for room or age"),
    ("unheard", "mdhub_alerts_unheard_total", Counter, "Errors that found the alerts' queue full"),
];

/// Of the log.
const LOG: [Member; 7] = [
    ("kept", "mdhub_log_lines", Gauge, "Lines that are kept in memory"),
    ("gone", "mdhub_log_lines_gone_total", Counter, "Lines that have left memory for newer ones"),
    ("collapsed", "mdhub_log_lines_collapsed_total", Counter, "Lines of storms that were counted and not written"),
    ("unheard", "mdhub_log_lines_unheard_total", Counter, "Lines that found the log's queue full"),
    ("stderr_dropped", "mdhub_log_stderr_dropped_total", Counter, "Lines that stderr did not take in time"),
    ("file_dropped", "mdhub_log_file_dropped_total", Counter, "Lines that the file did not take in time"),
    ("file_failed", "mdhub_log_file_failed_total", Counter, "Times that the file could not be written"),
];

const PHASES: [&str; 9] =
    ["Stopped", "Starting", "Connecting", "Healthy", "Degraded", "Unhealthy", "CoolingDown", "Blocked", "Stopping"];
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];
const DESIRED: [&str; 4] = ["unread", "fresh", "stale", "suspicious"];

/// Where the numbers come from.
pub(super) struct Metrics {
    pub(super) control: Arc<Control>,
    pub(super) alerts: Arc<Alerts>,
    pub(super) log: Counts,
    pub(super) canaries: tokio_watch::Receiver<Arc<Vec<Canary>>>,
    /// The hub's start, nanoseconds since the epoch.
    pub(super) epoch: u64,
}

impl Metrics {
    /// All families.
    pub(super) fn text(&self) -> String {
        let Self { control, alerts, log, canaries, epoch } = self;
        let vitals = vitals::all(control, alerts, log);
        let status = control.documents().borrow().clone();
        let mut to = Exposition::default();
        hub(&mut to, *epoch, &vitals, &status);
        members(&mut to, &FEED, &vitals);
        latency(&mut to, control);
        sources(&mut to, &vitals["accounts"], &status["accounts"]);
        gateways(&mut to, &status["accounts"]);
        watched(&mut to, &canaries.borrow(), &status);
        members(&mut to, &ALERTS, &vitals["alerts"]);
        members(&mut to, &LOG, &vitals["log"]);
        to.finish()
    }
}

/// Families of one number each; what is null has none.
fn members(to: &mut Exposition, members: &[Member], of: &Value) {
    for &(member, name, kind, help) in members {
        if let Some(value) = of[member].as_u64() {
            to.family(name, kind, help);
            to.sample(name, &[], value);
        }
    }
}

/// One sample for each of the states that there are: 1 for the one that holds.
fn states(to: &mut Exposition, name: &str, labels: &[(&str, &str)], label: &str, all: &[&str], is: Option<&str>) {
    for state in all {
        to.sample(name, &[labels, &[(label, state)]].concat(), u8::from(is == Some(state)));
    }
}

fn hub(to: &mut Exposition, epoch: u64, vitals: &Value, status: &Value) {
    to.family("mdhub_build_info", Gauge, "Always 1; its label is the hub's version");
    to.sample("mdhub_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    to.family("mdhub_start_time_seconds", Gauge, "The hub's start, seconds since the epoch");
    to.sample("mdhub_start_time_seconds", &[], epoch as f64 / 1e9);
    to.family("mdhub_desired_state", Gauge, "How the desired state stands to the database: 1 for the state that holds");
    states(to, "mdhub_desired_state", &[], "state", &DESIRED, status["desired"]["state"].as_str());
    to.family(
        "mdhub_settings_refused",
        Gauge,
        "1 while the settings file was refused and the settings before it are in force",
    );
    to.sample("mdhub_settings_refused", &[], u8::from(status["settings"]["refused"].is_string()));
    to.family("mdhub_settings_restart_needed", Gauge, "Fields of the settings file that wait for a restart");
    let waiting = status["settings"]["restart_needed"].as_array().map_or(0, Vec::len);
    to.sample("mdhub_settings_restart_needed", &[], waiting);
    to.family(
        "mdhub_events_dropped_total",
        Counter,
        "Events that the database did not take in time and that were lost",
    );
    to.sample("mdhub_events_dropped_total", &[], vitals["outbox"]["dropped"].as_u64().unwrap_or_default());
    to.family("mdhub_ticks_unpublishable_total", Counter, "Ticks that could not be written as a payload");
    to.sample("mdhub_ticks_unpublishable_total", &[], vitals["unpublishable"].as_u64().unwrap_or_default());
    to.family("mdhub_ticks_doubted_total", Counter, "Ticks that waited for another source to confirm them");
    to.sample("mdhub_ticks_doubted_total", &[], vitals["doubted"].as_u64().unwrap_or_default());
    for (member, name, help) in [
        ("rejected_by_rule", "mdhub_ticks_rejected_total", "Ticks rejected, by cleansing rule"),
        ("shadowed_by_rule", "mdhub_ticks_shadowed_total", "Ticks that a rule in shadow mode would have rejected"),
    ] {
        to.family(name, Counter, help);
        for (rule, ticks) in by_rule(&vitals[member]) {
            to.sample(name, &[("rule", rule)], ticks);
        }
    }
}

fn by_rule(of: &Value) -> impl Iterator<Item = (&str, u64)> {
    of.as_array().into_iter().flatten().filter_map(|row| Some((row["rule"].as_str()?, row["ticks"].as_u64()?)))
}

fn latency(to: &mut Exposition, control: &Control) {
    let name = "mdhub_tick_latency_seconds";
    let read = control.feed().latency().read();
    to.family(name, Histogram, "From the worker's receipt of a tick to its hand-over to the publisher");
    // The last bucket has no bound.
    let bounded = read.buckets.iter().enumerate().take(read.buckets.len() - 1);
    let mut buckets: Vec<(f64, u64)> = bounded.map(|(i, ticks)| (bound_us(i) as f64 * US, *ticks)).collect();
    buckets.push((f64::INFINITY, read.buckets[read.buckets.len() - 1]));
    to.buckets(name, &[], buckets.into_iter());
    to.sample(&format!("{name}_sum"), &[], read.sum_us as f64 * US);
}

fn sources(to: &mut Exposition, vitals: &Value, status: &Value) {
    let all = || vitals.as_object().into_iter().flatten();
    for &(member, name, kind, help) in &SOURCE {
        to.family(name, kind, help);
        for (id, of) in all() {
            let value = of[member].as_u64().or_else(|| status[id][member].as_u64());
            if let Some(value) = value {
                to.sample(name, &[("account", id)], value);
            }
        }
    }
    let name = "mdhub_source_rejected_by_rule_total";
    to.family(name, Counter, "Ticks of a source that were rejected, by cleansing rule");
    for (id, of) in all() {
        for (rule, ticks) in by_rule(&of["rejected_by_rule"]) {
            to.sample(name, &[("account", id), ("rule", rule)], ticks);
        }
    }
    let name = "mdhub_source_lag_seconds";
    to.family(name, Histogram, "How far a source's copies came in behind the published ones");
    for (id, of) in all() {
        let Some(buckets) = of["lag_histogram_us"].as_array() else { continue };
        let bound = |i: usize| if i + 1 == LAG_BUCKETS { f64::INFINITY } else { (1_u64 << i) as f64 * US };
        to.buckets(
            name,
            &[("account", id)],
            buckets.iter().enumerate().map(|(i, n)| (bound(i), n.as_u64().unwrap_or(0))),
        );
    }
}

fn gateways(to: &mut Exposition, status: &Value) {
    let all = || status.as_object().into_iter().flatten();
    to.family("mdhub_gateway_desired", Gauge, "1 for an account whose process is meant to run");
    for (id, of) in all() {
        let is_desired = of["is_enabled"] == true && of["suspended"] == false;
        let kind = of["kind"].as_str().unwrap_or_default();
        to.sample("mdhub_gateway_desired", &[("account", id), ("kind", kind)], u8::from(is_desired));
    }
    to.family("mdhub_gateway_phase", Gauge, "1 for the phase that an account is in");
    for (id, of) in all() {
        let kind = of["kind"].as_str().unwrap_or_default();
        states(to, "mdhub_gateway_phase", &[("account", id), ("kind", kind)], "phase", &PHASES, of["phase"].as_str());
    }
    to.family("mdhub_gateway_condition", Gauge, "1 for the status that a condition of an account has");
    for (id, of) in all() {
        for condition in of["conditions"].as_array().into_iter().flatten() {
            let Some(kind) = condition["type"].as_str() else { continue };
            let labels = [("account", id.as_str()), ("condition", kind)];
            states(to, "mdhub_gateway_condition", &labels, "status", &STATUSES, condition["status"].as_str());
        }
    }
    for (member, name, kind, help) in [
        (
            "restarts",
            "mdhub_gateway_restarts_total",
            Counter,
            "Processes of an account that have ended since the hub's start",
        ),
        (
            "acknowledged",
            "mdhub_gateway_contracts_acknowledged",
            Gauge,
            "Contracts that an account's front has accepted",
        ),
        (
            "unanswered",
            "mdhub_gateway_contracts_unanswered",
            Gauge,
            "Subscriptions that an account's front has not answered",
        ),
    ] {
        to.family(name, kind, help);
        for (id, of) in all() {
            if let Some(value) = of[member].as_u64() {
                to.sample(name, &[("account", id)], value);
            }
        }
    }
    to.family(
        "mdhub_gateway_start_time_seconds",
        Gauge,
        "Start of an account's running process, seconds since the epoch",
    );
    for (id, of) in all() {
        if let Some(ms) = of["started_at_ms"].as_i64() {
            to.sample("mdhub_gateway_start_time_seconds", &[("account", id)], ms as f64 / 1e3);
        }
    }
}

fn watched(to: &mut Exposition, canaries: &[Canary], status: &Value) {
    to.family("mdhub_canary_stale", Gauge, "1 for a canary that is in its section and does not tick");
    for canary in canaries {
        let labels = [("vt_symbol", canary.vt_symbol.vt_symbol()), ("exchange", canary.exchange.clone())];
        let labels = labels.each_ref().map(|(label, text)| (*label, text.as_str()));
        to.sample("mdhub_canary_stale", &labels, u8::from(canary.state == CanaryState::Stale));
    }
    to.family("mdhub_canary_last_tick_age_seconds", Gauge, "How long ago a canary's last tick was published");
    for canary in canaries {
        let Some(ms) = canary.last_tick_age_ms else { continue };
        let symbol = canary.vt_symbol.vt_symbol();
        let labels = [("vt_symbol", symbol.as_str()), ("exchange", canary.exchange.as_str())];
        to.sample("mdhub_canary_last_tick_age_seconds", &labels, ms as f64 / 1e3);
    }
    let name = "mdhub_market_silent";
    to.family(name, Gauge, "1 for a kind whose sources are all silent at once");
    let silent = status["silent_markets"].as_array().cloned().unwrap_or_default();
    let accounts = status["accounts"].as_object().into_iter().flatten();
    let mut kinds: Vec<&str> = accounts.filter_map(|(_, of)| of["kind"].as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        to.sample(name, &[("kind", kind)], u8::from(silent.iter().any(|one| one == kind)));
    }
}

#[cfg(test)]
mod tests {
    use mdhub_spec::plane::FeedVitals;

    use super::*;

    #[test]
    fn every_counter_of_the_feed_is_a_family() {
        let known: Vec<&str> = FEED.iter().map(|(member, ..)| *member).collect();
        let shown = vitals::feed(&FeedVitals::default());
        assert!(shown.keys().all(|name| known.contains(&name.as_str())), "{shown:?}");
        assert_eq!(shown.len(), known.len());
    }

    #[test]
    fn counters_end_in_total_and_nothing_else_does() {
        for (_, name, kind, help) in [&FEED[..], &SOURCE, &ALERTS, &LOG].concat() {
            assert_eq!(name.ends_with("_total"), kind == Counter, "{name}");
            assert!(name.starts_with("mdhub_") && help.len() > 10, "{name}");
        }
    }

    #[test]
    fn an_account_with_a_hostile_name_has_one_line_a_number() {
        let id = "a\"} 1\nmdhub_evil 1";
        let status = serde_json::json!({id: {"phase": "Healthy", "restarts": 2, "kind": "ctp", "is_enabled": true, "suspended": false,
            "conditions": [{"type": "Ready", "status": "Unknown"}]}});
        let mut to = Exposition::default();
        gateways(&mut to, &status);
        let text = to.finish();
        assert!(!text.lines().any(|line| line.starts_with("mdhub_evil")), "{text}");
        assert!(text.contains("mdhub_gateway_restarts_total{account=\"a\\\"} 1\\nmdhub_evil 1\"} 2"), "{text}");
        assert!(
            text.contains("condition=\"Ready\",status=\"Unknown\"} 1") && text.contains("phase=\"Healthy\"} 1"),
            "{text}"
        );
    }
}
