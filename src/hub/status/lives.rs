//! The lives of accounts' processes, by the wall clock.

use std::collections::{BTreeMap, VecDeque};

use mdhub_spec::account::AccountId;
use mdhub_spec::process::{Exit, GatewayView, Incarnation};
use mdhub_spec::time::{Mono, Now};
use serde_json::{Value, json};

/// So many of an account's are kept.
const LIVES_MAX: usize = 10;

/// One life.
#[derive(Debug)]
struct Life {
    incarnation: Incarnation,
    started_ms: i64,
    /// When its end was seen, and what is told of it.
    ended: Option<(i64, Value)>,
}

/// The lives of one account's processes, oldest first.
#[derive(Debug, Default)]
struct Lives {
    kept: VecDeque<Life>,
    ended: u64,
}

/// Those of all accounts. An instant is turned into one of the wall clock once, so that it stays what it was when that clock is set.
#[derive(Debug, Default)]
pub(super) struct Register(BTreeMap<AccountId, Lives>);

impl Register {
    /// Takes note of what is there at `now`, and forgets the accounts that are not.
    pub(super) fn note(&mut self, gateways: &BTreeMap<AccountId, GatewayView>, now: Now) {
        self.0.retain(|id, _| gateways.contains_key(id));
        for (id, view) in gateways {
            let lives = self.0.entry(id.clone()).or_default();
            for exit in &view.exits {
                let at_ms = wall_ms(exit.at, now);
                let life = lives.of(exit.incarnation, exit.started_at, now);
                if let Some(life) = life.filter(|life| life.ended.is_none()) {
                    life.ended = Some((at_ms, told(exit)));
                    lives.ended += 1;
                }
            }
            if let Some(process) = &view.process {
                lives.of(process.incarnation, process.started_at, now);
            }
        }
    }

    /// When the account's running process was started, milliseconds since the epoch.
    pub(super) fn started_ms(&self, id: &AccountId) -> Option<i64> {
        self.0.get(id)?.kept.back().filter(|life| life.ended.is_none()).map(|life| life.started_ms)
    }

    /// How many of its processes have ended since the hub's start.
    pub(super) fn ended(&self, id: &AccountId) -> u64 {
        self.0.get(id).map_or(0, |lives| lives.ended)
    }

    /// Its lives, newest first.
    pub(super) fn of(&self, id: &AccountId) -> Value {
        let kept = self.0.get(id).into_iter().flat_map(|lives| lives.kept.iter().rev());
        kept.map(|life| {
            let mut value = life.ended.as_ref().map_or_else(|| json!({}), |(_, exit)| exit.clone());
            value["incarnation"] = life.incarnation.to_string().into();
            value["started_at_ms"] = life.started_ms.into();
            value["ended_at_ms"] = json!(life.ended.as_ref().map(|(at_ms, _)| at_ms));
            value
        })
        .collect()
    }
}

impl Lives {
    /// The life of that name, which begins now if it is newer than all; `None` where it was forgotten.
    fn of(&mut self, incarnation: Incarnation, started_at: Mono, now: Now) -> Option<&mut Life> {
        if self.kept.back().is_none_or(|newest| newest.incarnation < incarnation) {
            if self.kept.len() == LIVES_MAX {
                self.kept.pop_front();
            }
            self.kept.push_back(Life { incarnation, started_ms: wall_ms(started_at, now), ended: None });
        }
        self.kept.iter_mut().rev().find(|life| life.incarnation == incarnation)
    }
}

fn wall_ms(at: Mono, now: Now) -> i64 {
    now.wall_ms().saturating_sub_unsigned(now.mono.ms_since(at))
}

/// How a life ended.
pub(super) fn told(exit: &Exit) -> Value {
    json!({
        "incarnation": exit.incarnation.to_string(),
        "reason": exit.reason.to_string(),
        "asked": exit.asked,
        "bye": exit.bye,
        "stderr": exit.stderr,
    })
}

#[cfg(test)]
mod tests {
    use mdhub_spec::account::Fingerprint;
    use mdhub_spec::process::{ExitReason, FrontState};

    use super::*;

    fn life(counter: u64, from_ms: u64, to_ms: u64) -> Exit {
        Exit {
            incarnation: Incarnation { epoch: 7, counter },
            fingerprint: Fingerprint(1),
            restart_generation: 0,
            reason: ExitReason::Signal(9),
            started_at: Mono(0).plus_ms(from_ms),
            ready_at: None,
            heard_at: Mono(0).plus_ms(to_ms),
            protocol_mismatch: None,
            front: FrontState::default(),
            at: Mono(0).plus_ms(to_ms),
            asked: false,
            jitter_permille: 0,
            bye: None,
            stderr: vec!["last words".into()],
        }
    }

    fn now(ms: u64, wall_ms: u64) -> Now {
        Now { mono: Mono(0).plus_ms(ms), wall_ns: wall_ms * 1_000_000 }
    }

    #[test]
    fn every_end_counts_once_and_keeps_its_time_when_the_clock_is_set() {
        let id: AccountId = "ctp-a".parse().expect("an id");
        let mut register = Register::default();
        let view = |exits: Vec<Exit>| BTreeMap::from([(id.clone(), GatewayView { process: None, exits })]);
        register.note(&view(vec![life(1, 0, 1_000)]), now(2_000, 1_000_000));
        // Each look shows the former ends again, here after the clock was set an hour ahead.
        for _ in 0..3 {
            register.note(&view(vec![life(1, 0, 1_000), life(2, 2_500, 3_000)]), now(4_000, 4_600_000));
        }
        assert_eq!((register.ended(&id), register.started_ms(&id)), (2, None));
        let lives = register.of(&id);
        assert_eq!(lives[0]["ended_at_ms"], 4_599_000);
        assert_eq!((&lives[1]["started_at_ms"], &lives[1]["ended_at_ms"]), (&998_000.into(), &999_000.into()));
        assert_eq!(
            (&lives[1]["reason"], &lives[1]["stderr"][0]),
            (&json!(ExitReason::Signal(9).to_string()), &json!("last words"))
        );
    }

    #[test]
    fn the_past_is_bounded_and_leaves_with_its_account() {
        let id: AccountId = "ctp-a".parse().expect("an id");
        let mut register = Register::default();
        for n in 1..=40 {
            let exits = vec![life(n, n * 10, n * 10 + 5)];
            register.note(&BTreeMap::from([(id.clone(), GatewayView { process: None, exits })]), now(1_000, 1_000_000));
        }
        assert_eq!((register.ended(&id), register.of(&id).as_array().map(Vec::len)), (40, Some(LIVES_MAX)));
        register.note(&BTreeMap::new(), now(1_000, 1_000_000));
        assert_eq!((register.ended(&id), register.0.len()), (0, 0));
    }
}
