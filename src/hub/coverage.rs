//! Contract by contract: what running sources do not bring though others do. Told again once; if that does not help, others
//! are to bring it.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::plane::{SourceMask, SourceSlot};
use mdhub_spec::process::Incarnation;
use mdhub_spec::time::Mono;

/// A contract that ticks once in a while says little: so many looks must have found it with others, and not here.
const LOOKS_MIN: u32 = 3;

/// A process that is ready, and what it has subscribed.
#[derive(Debug, Clone)]
pub(crate) struct Holder<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) incarnation: Incarnation,
    pub(crate) slot: SourceSlot,
    /// Of the contracts it has those of this dialect.
    pub(crate) dialect: Dialect,
    pub(crate) contracts: &'a BTreeSet<Contract>,
}

/// A contract that a process does not bring.
#[derive(Debug, Clone, Copy)]
struct Lack {
    /// Since others were first seen to bring it, or since it was told again.
    since: Mono,
    /// Looks since then in which others had brought it.
    looks: u32,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Noticed,
    ToldAgain,
    /// Others are to bring it.
    GivenUp,
}

/// What came of a look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Whom to tell again.
    pub(crate) tell_again: BTreeMap<(AccountId, Incarnation), Vec<Contract>>,
    /// What was given up just now.
    pub(crate) given_up: BTreeMap<AccountId, Vec<Contract>>,
}

/// All that is lacking.
#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeMap<(Incarnation, Contract), (AccountId, Lack)>);

impl Holder<'_> {
    fn has(&self, contract: &Contract) -> bool {
        self.dialect.serves(contract.exchange()) && self.contracts.contains(contract)
    }
}

impl Coverage {
    /// Looks at what was brought since the last look. Silence counts from `silence_ms` on.
    pub(crate) fn look<'a>(
        &mut self,
        brought: impl Iterator<Item = (&'a Contract, SourceMask)>,
        holders: &[Holder<'_>],
        silence_ms: u64,
        now: Mono,
    ) -> Found {
        let holds = |(incarnation, contract): &(Incarnation, Contract)| {
            holders.iter().any(|h| h.incarnation == *incarnation && h.has(contract))
        };
        self.0.retain(|lacking, _| holds(lacking));
        let mut found = Found::default();
        for (contract, sources) in brought.filter(|(_, sources)| !sources.is_empty()) {
            for holder in holders.iter().filter(|h| h.has(contract)) {
                let key = (holder.incarnation, contract.clone());
                if sources.contains(holder.slot) {
                    self.0.remove(&key);
                    continue;
                }
                let new = Lack { since: now, looks: 0, stage: Stage::Noticed };
                let (_, lack) = self.0.entry(key).or_insert_with(|| (holder.account.clone(), new));
                lack.looks += 1;
                if lack.looks < LOOKS_MIN || now.ms_since(lack.since) < silence_ms {
                    continue;
                }
                match lack.stage {
                    Stage::Noticed => {
                        *lack = Lack { since: now, looks: 0, stage: Stage::ToldAgain };
                        let whom = (holder.account.clone(), holder.incarnation);
                        found.tell_again.entry(whom).or_default().push(contract.clone());
                    }
                    Stage::ToldAgain => {
                        lack.stage = Stage::GivenUp;
                        found.given_up.entry(holder.account.clone()).or_default().push(contract.clone());
                    }
                    Stage::GivenUp => {}
                }
            }
        }
        found
    }

    /// What each account's process has subscribed and does not bring.
    pub(crate) fn given_up(&self) -> BTreeMap<AccountId, BTreeSet<Contract>> {
        let mut all: BTreeMap<AccountId, BTreeSet<Contract>> = BTreeMap::new();
        for ((_, contract), (account, lack)) in &self.0 {
            if lack.stage == Stage::GivenUp {
                all.entry(account.clone()).or_default().insert(contract.clone());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE_MS: u64 = 30_000;

    fn contract(name: &str) -> Contract {
        name.parse().expect("a contract")
    }

    fn id(name: &str) -> AccountId {
        name.parse().expect("a slug")
    }

    const fn life(counter: u64) -> Incarnation {
        Incarnation { epoch: 1, counter }
    }

    fn mask(slots: &[u8]) -> SourceMask {
        slots.iter().filter_map(|slot| SourceSlot::new(*slot)).fold(SourceMask::NONE, SourceMask::with)
    }

    /// Two sources in slots 0 and 1; `brings` says who has brought `rb2701` and `au2702` at each look, five seconds apart.
    struct Desk {
        coverage: Coverage,
        ids: [AccountId; 2],
        dialects: [Dialect; 2],
        contracts: BTreeSet<Contract>,
        lives: [u64; 2],
        seconds: u64,
    }

    impl Desk {
        fn new() -> Self {
            let contracts = BTreeSet::from([contract("au2702.SHFE"), contract("rb2701.SHFE")]);
            let dialects = [Dialect::Ctp; 2];
            Self {
                coverage: Coverage::default(),
                ids: [id("a"), id("b")],
                dialects,
                contracts,
                lives: [1, 2],
                seconds: 0,
            }
        }

        fn look(&mut self, rb: &[u8], au: &[u8]) -> Found {
            self.seconds += 5;
            let holders: Vec<Holder<'_>> = (0..2_u8)
                .map(|slot| Holder {
                    account: &self.ids[usize::from(slot)],
                    incarnation: life(self.lives[usize::from(slot)]),
                    slot: SourceSlot::new(slot).expect("a slot"),
                    dialect: self.dialects[usize::from(slot)],
                    contracts: &self.contracts,
                })
                .collect();
            let (one, other) = (contract("rb2701.SHFE"), contract("au2702.SHFE"));
            let brought = [(&one, mask(rb)), (&other, mask(au))];
            self.coverage.look(brought.into_iter(), &holders, SILENCE_MS, Mono(0).plus_ms(self.seconds * 1_000))
        }
    }

    #[test]
    fn what_others_bring_and_one_does_not_is_told_again_once_and_then_given_up_until_it_comes() {
        let mut desk = Desk::new();
        for _ in 0..6 {
            assert_eq!(desk.look(&[0, 1], &[0]), Found::default());
        }
        let found = desk.look(&[0, 1], &[0]);
        assert_eq!(found.tell_again, [((id("b"), life(2)), vec![contract("au2702.SHFE")])].into(), "after 30 s");
        for _ in 0..5 {
            assert_eq!(desk.look(&[0, 1], &[0]), Found::default());
        }
        let found = desk.look(&[0, 1], &[0]);
        assert_eq!(found.given_up, [(id("b"), vec![contract("au2702.SHFE")])].into(), "after 30 s more");
        assert_eq!(desk.look(&[0, 1], &[0]), Found::default(), "once");
        assert_eq!(desk.coverage.given_up(), [(id("b"), [contract("au2702.SHFE")].into())].into());
        assert_eq!(desk.look(&[0], &[1]), Found::default());
        assert_eq!(desk.coverage.given_up(), BTreeMap::new(), "it came");
    }

    #[test]
    fn what_nobody_brings_and_what_hardly_ever_ticks_is_no_lack() {
        let mut desk = Desk::new();
        for look in 0..60 {
            // One tick in five minutes, then no more.
            let au: &[u8] = if look == 0 || look == 59 { &[0] } else { &[] };
            assert_eq!(desk.look(&[0, 1], au), Found::default());
        }
    }

    #[test]
    fn a_source_of_another_dialect_lacks_nothing() {
        let mut desk = Desk::new();
        desk.dialects[1] = Dialect::Sopt;
        for _ in 0..30 {
            assert_eq!(desk.look(&[0], &[0]), Found::default());
        }
    }

    #[test]
    fn a_new_process_and_a_contract_that_was_dropped_begin_anew() {
        let mut desk = Desk::new();
        (0..20).for_each(|_| drop(desk.look(&[0, 1], &[0])));
        assert_eq!(desk.coverage.given_up().len(), 1);
        desk.lives[1] = 3;
        assert_eq!(desk.look(&[0, 1], &[0]), Found::default());
        assert_eq!(desk.coverage.given_up(), BTreeMap::new());
        (0..20).for_each(|_| drop(desk.look(&[0, 1], &[0])));
        desk.contracts.remove(&contract("au2702.SHFE"));
        desk.look(&[0, 1], &[0]);
        assert_eq!(desk.coverage.given_up(), BTreeMap::new());
    }
}
