//! The ticks that were rejected lately: which rule, from whom, the vendor's record, and what it was compared with.

use mdhub_spec::calendar::Phase;
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::plane::{QuarantineQuery, QuarantineReport, Quarantined, SourceSlot};
use mdhub_spec::raw_tick::{RawTick, text};
use mdhub_spec::settings::Rule;

use crate::cleanse::Standing;

/// Most ticks in one answer.
pub const ANSWER_MAX: usize = 10_000;
/// Most contracts in one answer.
const CONTRACTS_MAX: usize = 100;

/// A rejected tick, and the state that condemned it.
#[derive(Debug, Clone, Copy)]
pub struct Inmate {
    /// By which rule.
    pub rule: Rule,
    /// Who brought it.
    pub source: SourceSlot,
    /// Of which exchange; `None` where nobody asked for the contract.
    pub exchange: Option<Exchange>,
    /// When it was read, nanoseconds since the epoch, `CLOCK_REALTIME`.
    pub read_wall_ns: u64,
    /// Its exchange time, ms since the epoch, and trading day.
    pub stamp: Option<(i64, u32)>,
    /// What its product did at that time.
    pub phase: Option<Phase>,
    /// The contract's last published tick.
    pub last: Option<Standing>,
    /// The vendor's record.
    pub raw: RawTick,
}

/// The last so many of them; a new one takes the place of the oldest. All memory is reserved at the start.
#[derive(Debug)]
pub struct Quarantine {
    ring: Vec<Inmate>,
    max: usize,
    total: u64,
}

impl Quarantine {
    /// With room for `max`.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { ring: Vec::with_capacity(max), max: max.max(1), total: 0 }
    }

    /// Puts one in.
    pub fn put(&mut self, inmate: Inmate) {
        if self.ring.len() < self.max {
            self.ring.push(inmate);
        } else {
            let oldest = usize::try_from(self.total % self.max as u64).unwrap_or_default();
            self.ring[oldest] = inmate;
        }
        self.total += 1;
    }

    /// Ticks ever put in.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Inmate> {
        let newest = usize::try_from(self.total % self.max as u64).unwrap_or_default();
        let (before, behind) = self.ring.split_at(newest.min(self.ring.len()));
        before.iter().rev().chain(behind.iter().rev())
    }

    /// Answers a question; `by_contract` gives the counters of the contracts. This allocates, and is for people.
    pub fn answer(&self, query: QuarantineQuery, by_contract: impl Iterator<Item = (Contract, u64)>) {
        let wanted = |inmate: &&Inmate| {
            query.rule.is_none_or(|rule| inmate.rule == rule)
                && query.source.is_none_or(|source| inmate.source == source)
                && query.contract.as_ref().is_none_or(|contract| {
                    inmate.exchange == Some(contract.exchange())
                        && text(&inmate.raw.instrument) == contract.symbol().as_bytes()
                })
        };
        let ticks = self.iter().filter(wanted).take(query.limit.min(ANSWER_MAX)).map(Quarantined::from).collect();
        let mut by_contract: Vec<(Contract, u64)> = by_contract.collect();
        by_contract.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        by_contract.truncate(CONTRACTS_MAX);
        query.reply.send(QuarantineReport { ticks, kept: self.ring.len(), total: self.total, by_contract });
    }
}

impl From<&Inmate> for Quarantined {
    fn from(inmate: &Inmate) -> Self {
        let symbol = std::str::from_utf8(text(&inmate.raw.instrument)).ok();
        let contract = symbol.zip(inmate.exchange).and_then(|(symbol, exchange)| Contract::new(symbol, exchange).ok());
        Self {
            rule: inmate.rule,
            source: inmate.source,
            contract,
            reason: reason(inmate),
            read_wall_ns: inmate.read_wall_ns,
            exchange_time_ms: inmate.stamp.map(|(ms, _)| ms),
            last: inmate.last,
            raw: Box::new(inmate.raw),
        }
    }
}

/// What was compared with what.
fn reason(inmate: &Inmate) -> String {
    let raw = &inmate.raw;
    let written = |field: &[u8]| String::from_utf8_lossy(text(field)).into_owned();
    let (time_ms, day) = inmate.stamp.unwrap_or_default();
    let received_ms = (raw.ingress_real_ns.get() / 1_000_000).cast_signed();
    let of_last = |show: &dyn Fn(&Standing) -> String| inmate.last.as_ref().map_or_else(|| "nothing".to_owned(), show);
    match inmate.rule {
        Rule::UnknownContract => format!("nobody asked for {:?}", written(&raw.instrument)),
        Rule::NoTime => "UpdateTime is empty".into(),
        Rule::BadTime => {
            format!("UpdateTime {:?} and UpdateMillisec {} are no time", written(&raw.update_time), raw.update_ms.get())
        }
        Rule::BadDate => format!(
            "TradingDay {:?} and ActionDay {:?} give no date",
            written(&raw.trading_day),
            written(&raw.action_day)
        ),
        Rule::TradingDayBackwards => {
            format!("trading day {day} comes after {}", of_last(&|last| last.trading_day.to_string()))
        }
        Rule::OutOfSession if inmate.phase == Some(Phase::PostClose) => {
            format!("at {} the product has closed, and there is no settlement in it", written(&raw.update_time))
        }
        Rule::OutOfSession => format!("at {} the product is closed", written(&raw.update_time)),
        Rule::ClockSkew => format!("it is {} ms ahead of its receipt", time_ms.saturating_sub(received_ms)),
        Rule::Replayed => format!("it was received {} ms after its time", received_ms.saturating_sub(time_ms)),
        Rule::VolumeBackwards => {
            format!("volume {} comes after {}", raw.volume.get(), of_last(&|last| last.volume.to_string()))
        }
        Rule::TurnoverBackwards => {
            format!("turnover {} comes after {}", raw.turnover.get(), of_last(&|last| last.turnover.to_string()))
        }
        Rule::Jump => {
            format!("last price {} comes after {}", raw.last_price.get(), of_last(&|last| last.last_price.to_string()))
        }
        Rule::PriceNotPositive => format!("{}: this product's are above zero", prices(raw)),
        Rule::OffTickSize => format!("{}: one is between two steps", prices(raw)),
        Rule::CrossedBook => format!("{}: the bid is above the ask", prices(raw)),
        Rule::BeyondLimits => format!("{}: one is beyond the limits, {}", prices(raw), limits(raw)),
        Rule::Absurd => format!(
            "{}, volume {}, turnover {}, open interest {}: one of them cannot be",
            prices(raw),
            raw.volume.get(),
            raw.turnover.get(),
            raw.open_interest.get()
        ),
        Rule::Disagreement => {
            format!("another source showed it otherwise: here {}, limits {}", prices(raw), limits(raw))
        }
    }
}

fn prices(raw: &RawTick) -> String {
    let first = &raw.levels[0];
    format!(
        "last price {}, bid {} x {}, ask {} x {}",
        raw.last_price.get(),
        first.bid_price.get(),
        first.bid_volume.get(),
        first.ask_price.get(),
        first.ask_volume.get()
    )
}

fn limits(raw: &RawTick) -> String {
    format!("{} and {}", raw.limit_down.get(), raw.limit_up.get())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use mdhub_spec::plane::Reply;
    use mdhub_spec::raw_tick::field;

    use super::*;

    fn inmate(number: i32, rule: Rule) -> Inmate {
        Inmate {
            rule,
            source: SourceSlot::new((number % 3) as u8).expect("a slot"),
            exchange: (rule != Rule::UnknownContract).then_some(Exchange::Shfe),
            read_wall_ns: 0,
            stamp: Some((number.into(), 20_261_118)),
            phase: None,
            last: Some(Standing {
                exchange_time_ms: 0,
                trading_day: 20_261_119,
                volume: 77,
                turnover: 88.0,
                last_price: 99.0,
            }),
            raw: RawTick {
                instrument: field(if number % 2 == 0 { b"rb2701" } else { b"au2702" }),
                volume: number.into(),
                ..RawTick::default()
            },
        }
    }

    fn asked(quarantine: &Quarantine, edit: impl FnOnce(&mut QuarantineQuery)) -> QuarantineReport {
        let (sender, receiver) = channel();
        let reply = Reply::new(move |report| sender.send(report).expect("waits"));
        let mut query = QuarantineQuery { rule: None, source: None, contract: None, limit: 1_000, reply };
        edit(&mut query);
        quarantine.answer(query, std::iter::empty());
        receiver.recv().expect("an answer")
    }

    #[test]
    fn the_last_ones_are_kept_and_the_newest_comes_first() {
        for count in [0, 1, 9, 10, 11, 25, 30] {
            let mut quarantine = Quarantine::new(10);
            (0..count).for_each(|i| quarantine.put(inmate(i, Rule::Absurd)));
            let report = asked(&quarantine, |_| ());
            let volumes: Vec<i32> = report.ticks.iter().map(|tick| tick.raw.volume.get()).collect();
            assert_eq!(volumes, (0..count).rev().take(10).collect::<Vec<_>>(), "of {count}");
            assert_eq!((report.kept, report.total), (volumes.len(), count.unsigned_abs().into()));
        }
    }

    #[test]
    fn a_question_names_rule_source_contract_and_limit() {
        let mut quarantine = Quarantine::new(100);
        (0..60).for_each(|i| quarantine.put(inmate(i, if i < 30 { Rule::Jump } else { Rule::Absurd })));
        let counts = [
            asked(&quarantine, |q| q.rule = Some(Rule::Jump)),
            asked(&quarantine, |q| q.source = SourceSlot::new(2)),
            asked(&quarantine, |q| q.contract = Some("rb2701.SHFE".parse().expect("a contract"))),
            asked(&quarantine, |q| q.contract = Some("rb2701.DCE".parse().expect("a contract"))),
            asked(&quarantine, |q| q.limit = 7),
        ];
        assert_eq!(counts.map(|report| report.ticks.len()), [30, 20, 30, 0, 7]);
    }

    #[test]
    fn every_rule_says_what_it_compared() {
        for rule in Rule::ALL {
            let found = Quarantined::from(&inmate(5, rule));
            let parts: &[&str] = match rule {
                Rule::TradingDayBackwards => &["20261118", "20261119"],
                Rule::VolumeBackwards => &["volume 5", "77"],
                Rule::TurnoverBackwards => &["88"],
                Rule::Jump => &["99"],
                Rule::UnknownContract => &["au2702"],
                Rule::OutOfSession => &["closed"],
                _ => &[],
            };
            assert!(!found.reason.is_empty());
            assert!(parts.iter().all(|part| found.reason.contains(part)), "{rule:?}: {}", found.reason);
            let contract = (rule != Rule::UnknownContract).then(|| "au2702.SHFE".parse().expect("a contract"));
            assert_eq!(found.contract, contract);
            assert_eq!(found.last.map(|last| last.volume), Some(77), "what it was compared with");
        }
    }
}
