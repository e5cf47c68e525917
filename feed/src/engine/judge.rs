//! The way of one record through the engine.

use std::sync::atomic::Ordering::Relaxed;

use mdhub_spec::calendar::Phase;
use mdhub_spec::plane::ExchangeVitals;
use mdhub_spec::raw_tick::{RawTick, text};
use mdhub_spec::settings::{ArbitrationMode, Clock, Rule, RuleMode};
use mdhub_spec::tick::{Tick, flags};
use mdhub_spec::time::{NS_PER_MS, Now};

use super::{Admitted, Engine, Outcome, Source};
use crate::arbitrate::{Arrival, Dispute, Verdict};
use crate::cleanse::{Candidate, Circumstances, Judgement, RuleSet, Standing, Subject, rules};
use crate::normalise::{DayRule, normalise};
use crate::quarantine::Inmate;
use crate::vitals::count;

/// A record of a known contract, with all that its judgement asks for.
struct Case<'a> {
    raw: &'a RawTick,
    source: &'a Source,
    vitals: &'a ExchangeVitals,
    /// Of the contract.
    place: u32,
    now: Now,
}

/// Where a tick stands in its day, and when it came; nothing where calendar or clock do not apply.
#[derive(Debug, Clone, Copy)]
struct Moment {
    phase: Option<Phase>,
    received_ms: Option<i64>,
}

impl Engine {
    pub(super) fn judge(&mut self, raw: &RawTick, source: &mut Source, now: Now) -> Outcome {
        let found = self.contracts.find(source.dialect, text(&raw.instrument));
        let Some((place, contract)) = found.and_then(|place| Some((place, self.contracts.get_mut(place)?))) else {
            count(&source.vitals.unknown_contract);
            return self.refuse(&Candidate::Unknown, None, raw, source, now);
        };
        let (exchange, multiplier) = (contract.exchange, contract.listing.multiplier);
        let is_standby =
            self.config.arbitration.mode == ArbitrationMode::PrimaryOnly && contract.primary != Some(source.slot);
        let races = contract.sources.contains(source.slot) && !is_standby;
        let days = DayRule {
            calendar: &self.config.calendar.days,
            always_open: self.config.always_open,
            is_action_day_right: source.is_low_precision,
        };
        let low_precision = if source.is_low_precision { flags::LOW_PRECISION } else { 0 };
        let normalised = normalise(raw, source.dialect, exchange, multiplier, &days, &mut source.dates)
            .map(|tick| Tick { flags: low_precision, ..tick });
        let vitals = source.vitals.exchange(exchange);
        count(&vitals.received);
        match normalised {
            Ok(tick) if races => self.judge_tick(tick, &Case { raw, source, vitals, place, now }),
            Ok(tick) => self.fenced(tick, &Case { raw, source, vitals, place, now }),
            Err(_) if !races => {
                count(&vitals.fenced);
                Outcome::Fenced
            }
            Err(fault) => {
                count(&vitals.rejected);
                self.refuse(&Candidate::Untimed(fault), Some(place), raw, source, now)
            }
        }
    }

    /// What becomes of a record without a contract or a time.
    fn refuse(
        &mut self,
        candidate: &Candidate<'_>,
        place: Option<u32>,
        raw: &RawTick,
        source: &Source,
        now: Now,
    ) -> Outcome {
        match self.rules.judge(candidate, RuleSet::default()) {
            Judgement::Reject(rule) => {
                let mut inmate = Inmate {
                    rule,
                    source: source.slot,
                    exchange: None,
                    read_wall_ns: now.wall_ns,
                    stamp: None,
                    phase: None,
                    last: None,
                    raw: *raw,
                };
                if let Some(contract) = place.and_then(|place| self.contracts.get_mut(place)) {
                    contract.rejected += 1;
                    (inmate.exchange, inmate.last) = (Some(contract.exchange), contract.standing);
                }
                self.rule_vitals.count_rejected(source.slot, rule);
                self.quarantine.put(inmate);
                return Outcome::Rejected(rule);
            }
            Judgement::Shadow(rule) => self.rule_vitals.count_shadowed(rule),
            Judgement::Pass => {}
        }
        self.rule_vitals.count_unpublishable();
        Outcome::Unpublishable
    }

    /// Notes that a source that may not feed the contract is alive, if its tick is good.
    fn fenced(&mut self, mut tick: Tick, case: &Case<'_>) -> Outcome {
        let moment = self.moment(&mut tick, case);
        count(&case.vitals.fenced);
        let pardoned = self.contracts.get(case.place).map(|contract| self.doubts.pardoned(contract.listing.product));
        if let Some(Judgement::Pass | Judgement::Shadow(_)) =
            self.weigh(&tick, case, moment, pardoned.unwrap_or_default())
        {
            self.brought(case);
        }
        Outcome::Fenced
    }

    /// Notes that the source delivers.
    fn brought(&mut self, case: &Case<'_>) {
        case.vitals.last_tick_mono_ns.store(case.now.mono.0, Relaxed);
        if let Some(contract) = self.contracts.get_mut(case.place) {
            contract.brought = contract.brought.with(case.source.slot);
            contract.lately.note(case.source.slot, case.now.mono);
        }
    }

    fn judge_tick(&mut self, mut tick: Tick, case: &Case<'_>) -> Outcome {
        let moment = self.moment(&mut tick, case);
        let mut pardoned = RuleSet::default();
        let judgement = loop {
            let Some(judgement) = self.weigh(&tick, case, moment, pardoned) else { return Outcome::Unpublishable };
            match judgement {
                Judgement::Reject(rule) if self.pardons(rule, &tick, case) => pardoned = pardoned.with(rule),
                judgement => break judgement,
            }
        };
        let against = match judgement {
            Judgement::Pass => None,
            Judgement::Shadow(rule) | Judgement::Reject(rule) => Some(rule),
        };
        // What only looks on anyway cannot fall.
        let of_falls =
            against.filter(|rule| matches!(judgement, Judgement::Reject(_)) || self.falls.fallen().contains(*rule));
        self.falls.note(case.source.slot, of_falls);
        if let Judgement::Reject(rule) = judgement {
            return self.reject(rule, tick, case, moment);
        }
        // A rule that fell because calendar or clock are wrong is still against them.
        if let Some(rule @ (Rule::OutOfSession | Rule::ClockSkew)) = of_falls {
            pardoned = pardoned.with(rule);
        }
        self.believe(&mut tick, case, moment, pardoned);
        if let Some(rule) = against {
            self.rule_vitals.count_shadowed(rule);
        }
        self.brought(case);
        if self.contradicts_the_day(&tick, case) {
            return self.reject(Rule::Disagreement, tick, case, moment);
        }
        self.race(tick, case, moment, against)
    }

    /// Asks calendar and clock, and flags the tick by what the calendar says.
    fn moment(&mut self, tick: &mut Tick, case: &Case<'_>) -> Moment {
        let config = &self.config;
        if config.always_open {
            return Moment { phase: None, received_ms: None };
        }
        let Some(listing) = self.contracts.get(case.place).map(|contract| contract.listing) else {
            return Moment { phase: None, received_ms: None };
        };
        let product = listing.product;
        let phase = self.sections.get_mut(product.index()).map(|section| {
            if !section.holds(tick.exchange_time_ms) {
                let margin_ms = self.thresholds.session_margin_ms;
                *section = config.calendar.section_near(product, tick.exchange_time_ms, margin_ms);
            }
            section.phase
        });
        // Whoever sees this may be told; ticks flow all the same.
        if self.sections.get(product.index()).is_some_and(|section| section.trading_day > self.valid_until) {
            tick.flags |= flags::CALENDAR_DOUBT;
            self.news.calendar_ended(config.calendar.days.valid_until());
        }
        match phase {
            Some(Phase::Auction) => tick.flags |= flags::AUCTION,
            Some(Phase::PostClose) if rules::settles(tick, listing.kind) => tick.flags |= flags::POST_CLOSE,
            _ => {}
        }
        let is_live = case.source.clock == Clock::Live && config.cleansing.clock == Clock::Live;
        let received_ns = if tick.ingress_real_ns == 0 { case.now.wall_ns } else { tick.ingress_real_ns };
        Moment { phase, received_ms: is_live.then(|| (received_ns / NS_PER_MS).cast_signed()) }
    }

    /// What the rules say, but for those that are pardoned.
    fn weigh(&self, tick: &Tick, case: &Case<'_>, moment: Moment, pardoned: RuleSet) -> Option<Judgement> {
        let contract = self.contracts.get(case.place)?;
        let circumstances = Circumstances {
            tick,
            exchange: contract.exchange,
            listing: &contract.listing,
            phase: moment.phase,
            received_ms: moment.received_ms,
            last: contract.standing.as_ref(),
            limits: contract.statics.limits(tick),
            thresholds: &self.thresholds,
        };
        Some(self.rules.judge(&Candidate::Timed(&circumstances), pardoned))
    }

    /// Whether what the rule goes by is less to be believed than the tick.
    fn pardons(&mut self, rule: Rule, tick: &Tick, case: &Case<'_>) -> bool {
        let Some(contract) = self.contracts.get_mut(case.place) else { return false };
        let subject = match rule {
            Rule::OutOfSession => Subject::Sections(contract.listing.product),
            Rule::ClockSkew | Rule::Replayed => Subject::Clock,
            Rule::TradingDayBackwards | Rule::VolumeBackwards | Rule::TurnoverBackwards => {
                let insists = contract.defiance.insists(tick);
                if insists {
                    contract.standing = None;
                    contract.arbiter.rebase();
                }
                return insists;
            }
            _ => return false,
        };
        let edge = self.doubts.condemned(subject, case.source.slot, tick.exchange_time_ms, case.now.mono);
        if let Some(edge) = edge {
            self.news.doubt(name(subject, &self.config.calendar.products), edge);
        }
        self.doubts.is_on(subject)
    }

    /// Notes that the tick is believed: by calendar and clock, or against them.
    fn believe(&mut self, tick: &mut Tick, case: &Case<'_>, moment: Moment, pardoned: RuleSet) {
        let Some(contract) = self.contracts.get_mut(case.place) else { return };
        contract.defiance.end();
        let sections = Subject::Sections(contract.listing.product);
        let doubts_sections = pardoned.contains(Rule::OutOfSession);
        let doubts_clock = pardoned.contains(Rule::ClockSkew) || pardoned.contains(Rule::Replayed);
        if doubts_sections || doubts_clock {
            tick.flags |= flags::CALENDAR_DOUBT;
            self.rule_vitals.count_doubted();
        }
        for (subject, applies) in [
            (sections, moment.phase.is_some() && !doubts_sections),
            (Subject::Clock, moment.received_ms.is_some() && !doubts_clock),
        ] {
            if applies && let Some(edge) = self.doubts.passed(subject, case.source.slot, case.now.mono) {
                self.news.doubt(name(subject, &self.config.calendar.products), edge);
            }
        }
    }

    /// Whether the day's limits, or yesterday's settlement, are others than those of the other sources.
    fn contradicts_the_day(&mut self, tick: &Tick, case: &Case<'_>) -> bool {
        let Some(contract) = self.contracts.get_mut(case.place) else { return false };
        let mode = self.rules.mode(Rule::Disagreement, Some(contract.exchange));
        if mode == RuleMode::Off {
            return false;
        }
        let Some(dissent) = contract.statics.judge(tick, case.source.slot, contract.sources) else { return false };
        if mode == RuleMode::Shadow {
            self.rule_vitals.count_shadowed(Rule::Disagreement);
            return false;
        }
        self.dispute(Dispute { agree: dissent.agree, dissent: dissent.dissent }, case);
        true
    }

    /// Tells of a dispute; the one who is alone against two or more is named.
    fn dispute(&mut self, dispute: Dispute, case: &Case<'_>) {
        let Some(contract) = self.contracts.get(case.place) else { return };
        self.news.disagreed(&contract.contract, dispute, case.now.mono);
        if let Some(outvoted) = dispute.outvoted() {
            self.lag_vitals.count_outvoted(outvoted);
        }
    }

    /// Counts a rejected tick and keeps it. One that is only not news may still be the newest that is known.
    fn reject(&mut self, rule: Rule, tick: Tick, case: &Case<'_>, moment: Moment) -> Outcome {
        let is_sound = rule == Rule::Replayed
            && matches!(
                self.weigh(&tick, case, moment, RuleSet::default().with(rule)),
                Some(Judgement::Pass | Judgement::Shadow(_))
            );
        let Some(contract) = self.contracts.get_mut(case.place) else { return Outcome::Unpublishable };
        contract.rejected += 1;
        self.quarantine.put(Inmate {
            rule,
            source: case.source.slot,
            exchange: Some(contract.exchange),
            read_wall_ns: case.now.wall_ns,
            stamp: Some((tick.exchange_time_ms, tick.trading_day)),
            phase: moment.phase,
            last: contract.standing,
            raw: *case.raw,
        });
        self.rule_vitals.count_rejected(case.source.slot, rule);
        count(match rule {
            Rule::Replayed => &case.vitals.replayed,
            Rule::Disagreement => &case.vitals.disagreed,
            _ => &case.vitals.rejected,
        });
        if is_sound && tick.exchange_time_ms > contract.snapshot_time_ms {
            contract.snapshot_time_ms = tick.exchange_time_ms;
            let tid = contract.identity.tid(&tick);
            let tick = Tick { flags: tick.flags | flags::SNAPSHOT, ..tick };
            return Outcome::SnapshotOnly(
                Admitted { place: case.place, tid, tick, shadowed: None, is_news: false },
                rule,
            );
        }
        Outcome::Rejected(rule)
    }

    /// The first copy wins.
    fn race(&mut self, tick: Tick, case: &Case<'_>, moment: Moment, shadowed: Option<Rule>) -> Outcome {
        let Case { vitals, source, place, .. } = *case;
        let Some(contract) = self.contracts.get_mut(place) else { return Outcome::Unpublishable };
        let tid = contract.identity.tid(&tick);
        let arrival = Arrival {
            tid,
            view: contract.identity.view(),
            exchange_time_ms: tick.exchange_time_ms,
            volume: tick.volume,
            source: source.slot,
            ingress_mono_ns: tick.ingress_mono_ns,
        };
        let lag_vitals = &self.lag_vitals;
        let verdict = contract.arbiter.judge(&arrival, &mut self.known, &mut |source| lag_vitals.count_save(source));
        if verdict == Verdict::Redeem {
            count(&vitals.redeemed);
        }
        match verdict {
            Verdict::Forward | Verdict::Redeem => {
                count(&vitals.forwarded);
                contract.standing = Some(Standing::from(&tick));
                contract.snapshot_time_ms = tick.exchange_time_ms;
                (contract.winner, contract.published_at) = (Some(source.slot), case.now.mono);
                contract.last_price = tick.last_price;
                Outcome::Forward(Admitted { place, tid, tick, shadowed, is_news: true })
            }
            Verdict::Duplicate { lag_ns } => {
                count(&vitals.duplicate);
                contract.duplicate += 1;
                lag_vitals.record(source.slot, lag_ns);
                let dispute = contract.arbiter.dispute(tick.exchange_time_ms, tick.volume);
                if let Some(dispute) = dispute.filter(|dispute| dispute.agree.len() == 2) {
                    self.dispute(dispute, case);
                }
                Outcome::Duplicate { lag_ns }
            }
            Verdict::Late => {
                count(&vitals.late);
                Outcome::Late
            }
            Verdict::LateUnique => {
                count(&vitals.late_unique);
                Outcome::LateUnique
            }
            Verdict::Disagreement => {
                let exchange = contract.exchange;
                let dispute = contract.arbiter.dispute(tick.exchange_time_ms, tick.volume);
                match self.rules.mode(Rule::Disagreement, Some(exchange)) {
                    RuleMode::On => {
                        if let Some(dispute) = dispute {
                            self.dispute(dispute, case);
                        }
                        return self.reject(Rule::Disagreement, tick, case, moment);
                    }
                    RuleMode::Shadow => self.rule_vitals.count_shadowed(Rule::Disagreement),
                    RuleMode::Off => {}
                }
                count(&vitals.late);
                Outcome::Late
            }
        }
    }
}

pub(super) fn name(subject: Subject, products: &mdhub_spec::product::Products) -> Option<&str> {
    match subject {
        Subject::Clock => None,
        Subject::Sections(product) => Some(products.name(product)),
    }
}
