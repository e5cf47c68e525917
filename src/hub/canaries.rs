//! Looks at the canaries four times a second: for the dashboard's numbers, and for the minutes that it shows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mdhub_api::{Canary, CanarySource, CanaryState};
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::ContractTicks;
use mdhub_spec::time::{Mono, Now};
use tokio::sync::watch as tokio_watch;
use tokio::task::JoinSet;

use crate::clock;

use super::contracts::Sections;
use super::control::Control;
use super::heartbeat::Heartbeat;
use super::{deliveries, queries};

/// From one look to the next.
const EVERY: Duration = Duration::from_millis(250);
/// Looks that a rate is made of: those of one second.
const LOOKS: usize = 5;

/// What is remembered of a canary.
#[derive(Debug, Default)]
struct Memory {
    heartbeat: Heartbeat,
    /// How many ticks had been published, oldest first.
    counts: VecDeque<(Mono, u64)>,
}

/// Begins to look, until the hub ends.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    control: &Arc<Control>,
    stopped: &tokio_watch::Receiver<bool>,
) -> tokio_watch::Receiver<Arc<Vec<Canary>>> {
    let (canaries, watched) = tokio_watch::channel(Arc::default());
    tasks.spawn(run(control.clone(), canaries, stopped.clone()));
    watched
}

async fn run(
    control: Arc<Control>,
    canaries: tokio_watch::Sender<Arc<Vec<Canary>>>,
    mut stopped: tokio_watch::Receiver<bool>,
) {
    let mut known: BTreeMap<Contract, Memory> = BTreeMap::new();
    loop {
        let listed: Arc<[Contract]> = control.settings().borrow().settings.canaries.list.clone().into();
        known.retain(|contract, _| listed.contains(contract));
        // What a feed that does not answer leaves out is no silence of a canary's.
        if let Some(ticks) = queries::ticks_of(&control, &listed).await {
            canaries.send_replace(Arc::new(looked_at(&control, &mut known, &listed, &ticks, clock::now())));
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

fn looked_at(
    control: &Control,
    known: &mut BTreeMap<Contract, Memory>,
    listed: &[Contract],
    ticks: &[Option<ContractTicks>],
    now: Now,
) -> Vec<Canary> {
    let configured = control.configured();
    let silence_ms = control.settings().borrow().settings.health.canary_silence_ms;
    let mut sections = Sections::of(&configured, now);
    let last: Vec<_> = control.source_vitals().into_iter().map(|(id, of)| (id, deliveries::last_ticks(&of))).collect();
    let one = |(contract, ticks): (&Contract, &Option<ContractTicks>)| {
        let memory = known.entry(contract.clone()).or_default();
        let is_closed = sections.is_closed(contract);
        let last_tick = ticks.and_then(|ticks| Some((ticks.seq, ticks.published_at?)));
        memory.heartbeat.look(now, !is_closed, last_tick);
        let last_tick_age_ms = last_tick.map(|(_, at)| now.mono.ms_since(at));
        let state = match last_tick_age_ms {
            Some(age_ms) if age_ms <= silence_ms => CanaryState::Active,
            _ if is_closed => CanaryState::Closed,
            _ => CanaryState::Stale,
        };
        let exchange = contract.exchange();
        let sources = last.iter().filter_map(|(id, of)| {
            Some(CanarySource { account: id.clone(), age_ms: now.mono.ms_since(*of.get(&exchange)?) })
        });
        Canary {
            vt_symbol: contract.clone(),
            exchange: exchange.to_string(),
            state,
            last_price: ticks.and_then(|ticks| ticks.last_price),
            last_tick_age_ms,
            ticks_per_s: memory.per_s(now.mono, ticks.map_or(0, |ticks| ticks.seq)),
            sources: sources.collect(),
            minutes: memory.heartbeat.minutes(),
        }
    };
    listed.iter().zip(ticks).map(one).collect()
}

impl Memory {
    /// Takes note of how many ticks there were, and says how many came in the last second.
    fn per_s(&mut self, at: Mono, seq: u64) -> f64 {
        if self.counts.len() == LOOKS {
            self.counts.pop_front();
        }
        self.counts.push_back((at, seq));
        let Some((from, before)) = self.counts.front() else { return 0.0 };
        let ms = at.ms_since(*from).max(1);
        (seq.saturating_sub(*before) as f64 * 10_000.0 / ms as f64).round() / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canarys_rate_is_that_of_the_last_second() {
        let mut memory = Memory::default();
        let rates: Vec<f64> =
            (0..12_u64).map(|n| memory.per_s(Mono(1).plus_ms(n * 250), if n < 6 { n } else { 5 })).collect();
        assert_eq!(rates, [0.0, 4.0, 4.0, 4.0, 4.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0]);
    }
}
