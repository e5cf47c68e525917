//! What the sources deliver, as the planner wants to know it: when each last brought a tick of each exchange, and which
//! processes send mostly rubbish.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;

use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Exchange;
use mdhub_spec::plane::SourceVitals;
use mdhub_spec::process::{GatewayView, Incarnation};
use mdhub_spec::time::Mono;

/// Rubbish is judged over the last seconds.
const WINDOW_MS: u64 = 10_000;
/// From one sample to the next, at least.
const SAMPLE_MS: u64 = 1_000;
/// Fewer ticks in the window say nothing.
const TICKS_MIN: u64 = 50;
/// More than this share of the ticks rejected: garbage.
const REJECTED_PERCENT_MAX: u64 = 50;

/// When a source last brought a tick of each exchange.
pub(crate) fn last_ticks(vitals: &SourceVitals) -> BTreeMap<Exchange, Mono> {
    let last = |exchange: Exchange| Mono(vitals.exchange(exchange).last_tick_mono_ns.load(Relaxed));
    Exchange::ALL.into_iter().map(|exchange| (exchange, last(exchange))).filter(|(_, at)| at.0 > 0).collect()
}

/// No more than this share rejected, over a whole window: it has recovered.
const REJECTED_PERCENT_CLEAN: u64 = 10;
/// As many ticks at least.
const CLEAN_TICKS_MIN: u64 = 10;

/// Counters of one process at one instant.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Mono,
    judged: u64,
    rejected: u64,
}

/// Which running processes send mostly rubbish. One whose ticks are still judged, since nobody else has them, may recover.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    samples: BTreeMap<Incarnation, VecDeque<Sample>>,
    since: BTreeMap<Incarnation, Mono>,
}

impl Garbage {
    /// Looks at every running process; `counters` gives how many of an account's ticks were judged, and how many rejected.
    pub(crate) fn look(
        &mut self,
        views: &BTreeMap<AccountId, GatewayView>,
        counters: impl Fn(&AccountId) -> Option<(u64, u64)>,
        now: Mono,
    ) {
        let running: BTreeMap<Incarnation, &AccountId> =
            views.iter().filter_map(|(id, view)| Some((view.process.as_ref()?.incarnation, id))).collect();
        self.samples.retain(|incarnation, _| running.contains_key(incarnation));
        // The last ticks of an ended one may still be on their way.
        let ended = |i: &Incarnation| views.values().flat_map(|v| &v.exits).any(|exit| exit.incarnation == *i);
        self.since.retain(|incarnation, _| running.contains_key(incarnation) || ended(incarnation));
        for (incarnation, id) in running {
            let Some((judged, rejected)) = counters(id) else { continue };
            let samples = self.samples.entry(incarnation).or_default();
            if samples.back().is_some_and(|last| now.ms_since(last.at) < SAMPLE_MS) {
                continue;
            }
            samples.push_back(Sample { at: now, judged, rejected });
            while samples.front().is_some_and(|first| now.ms_since(first.at) > WINDOW_MS) {
                samples.pop_front();
            }
            if is_garbage(samples) {
                self.since.entry(incarnation).or_insert(now);
            } else if is_clean(samples) {
                self.since.remove(&incarnation);
            }
        }
    }

    /// They, since when.
    pub(crate) const fn since(&self) -> &BTreeMap<Incarnation, Mono> {
        &self.since
    }
}

/// Ticks judged and rejected within the window, and its length.
fn within(samples: &VecDeque<Sample>) -> (u64, u64, u64) {
    let (Some(first), Some(last)) = (samples.front(), samples.back()) else { return (0, 0, 0) };
    (last.judged - first.judged, last.rejected - first.rejected, last.at.ms_since(first.at))
}

fn is_garbage(samples: &VecDeque<Sample>) -> bool {
    let (judged, rejected, _) = within(samples);
    judged >= TICKS_MIN && rejected * 100 > judged * REJECTED_PERCENT_MAX
}

fn is_clean(samples: &VecDeque<Sample>) -> bool {
    let (judged, rejected, length_ms) = within(samples);
    length_ms + SAMPLE_MS >= WINDOW_MS && judged >= CLEAN_TICKS_MIN && rejected * 100 <= judged * REJECTED_PERCENT_CLEAN
}

#[cfg(test)]
mod tests {
    use mdhub_spec::account::Fingerprint;
    use mdhub_spec::process::{Ending, FrontState, ProcessView};

    use super::*;

    fn running(counter: u64) -> BTreeMap<AccountId, GatewayView> {
        let process = ProcessView {
            incarnation: Incarnation { epoch: 1, counter },
            pid: 1,
            fingerprint: Fingerprint(1),
            restart_generation: 0,
            started_at: Mono(0),
            ending: Ending::No,
            hello_at: None,
            protocol_mismatch: None,
            front: FrontState::Connecting,
            ready_at: None,
            heartbeat_at: None,
            acknowledged: 0,
            refused: BTreeMap::new(),
            unanswered: 0,
            ring_dropped: 0,
            log_lines_dropped: 0,
            ticks_ended_at: None,
        };
        BTreeMap::from([("a".parse().expect("a slug"), GatewayView { process: Some(process), exits: vec![] })])
    }

    const fn at(seconds: u64) -> Mono {
        Mono(0).plus_ms(seconds * 1_000)
    }

    #[test]
    fn mostly_rejected_for_a_while_is_garbage_and_a_new_process_begins_anew() {
        let mut garbage = Garbage::default();
        for second in 0..5 {
            garbage.look(&running(1), |_| Some((second * 20, second * 11)), at(second));
        }
        assert_eq!(garbage.since().values().copied().collect::<Vec<_>>(), [at(3)]);
        garbage.look(&running(2), |_| Some((100, 55)), at(5));
        assert!(garbage.since().is_empty());
    }

    #[test]
    fn what_sends_good_ticks_again_recovers_and_what_is_not_judged_does_not() {
        let mut garbage = Garbage::default();
        let look = |garbage: &mut Garbage, from: u64, to: u64, counters: &dyn Fn(u64) -> (u64, u64)| {
            (from..to).for_each(|s| garbage.look(&running(1), |_| Some(counters(s)), at(s)));
        };
        look(&mut garbage, 0, 10, &|s| (s * 20, s * 20));
        assert_eq!(garbage.since().len(), 1);
        look(&mut garbage, 10, 40, &|_| (180, 180));
        assert_eq!(garbage.since().len(), 1, "left out, nothing of it is judged");
        look(&mut garbage, 40, 52, &|s| (180 + (s - 39) * 20, 180));
        assert!(garbage.since().is_empty());
    }

    #[test]
    fn a_burst_of_rubbish_a_few_ticks_and_an_old_window_are_none() {
        let mut garbage = Garbage::default();
        for second in 0..60 {
            // Rubbish once in the beginning, good ticks ever since.
            garbage.look(&running(1), |_| Some((second * 20, second.min(1) * 9)), at(second));
            // Rubbish only, but hardly any.
            garbage.look(&running(1), |_| Some((second * 20, second.min(1) * 9)), at(second));
        }
        assert!(garbage.since().is_empty());
        let mut few = Garbage::default();
        for second in 0..60 {
            few.look(&running(1), |_| Some((second * 4, second * 4)), at(second));
        }
        assert!(few.since().is_empty());
    }
}
