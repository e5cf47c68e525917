//! First arrival wins: which copy of a snapshot is published, and which is not.
//!
//! Per contract: a ring of the last [`RING`] published `tid`s and a watermark, (exchange time, volume) of the latest
//! published tick in lexicographic order. In the ring: a duplicate. Not ahead of the watermark: late. Otherwise it is
//! published at once. In-order beats complete, and nothing is held back.
//!
//! # Ticks that share time and volume
//!
//! CZCE sends up to four ticks a second without milliseconds, and many keep the volume, so (time, volume) cannot order
//! them. A source's own order can: a tick with exactly the watermark's time and volume is published when its source has
//! already brought the latest published tick, because then it comes after it there. So does the source that opened the
//! second, until another one overtakes it, which it can do only by bringing that same latest tick itself or a larger
//! volume. From any other source its place is unknown, and it is late: until a source brings it whose order is known, which
//! redeems it. One that has brought it before the latest published tick cannot, since there it comes before it. On the other
//! exchanges, where time and volume name a snapshot, the same rule keeps a front that shows it otherwise from publishing it
//! a second time.
//!
//! # `late` or `late_unique`
//!
//! A late tick that was brought before, whether it was published or late itself, is [`Verdict::Late`]; the first copy of
//! one that was never brought is [`Verdict::LateUnique`]: lost to subscribers. The ring is too short to know that of a
//! copy that comes many ticks behind, so every `tid` is also kept in [`Known`], a memory that all contracts share. A copy
//! that has left even that counts as unique. So published + late_unique - redeemed = what the sources brought between them.
//!
//! # Disagreement
//!
//! On exchanges with milliseconds, time and volume name a snapshot. A copy of a recent one that shows another last price or
//! first level than what another source has brought is [`Verdict::Disagreement`]: one of the two is wrong, and the later one
//! is not published. Which of them is wrong can be told when three sources have shown it, and two
//! agree. What is absent is no statement and contradicts nothing ([`View`]): a copy that says less than the published one is
//! late, and the first that says all of it and more is published as well, while nothing newer is. [`Statics`] does the same
//! for a day's limits and yesterday's settlement.

mod known;
mod passed;
mod ring;
mod statics;
mod view;

use mdhub_spec::contract::Exchange;
use mdhub_spec::plane::{SourceMask, SourceSlot};

pub use known::Known;
use ring::{Entry, Ring};
pub use statics::{Dissent, Statics};
pub use view::View;

/// How many published `tid`s a contract remembers.
pub const RING: usize = 32;

/// What arbitration needs of a tick.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its identity.
    pub tid: u64,
    /// Last price and first level.
    pub view: View,
    /// Exchange time, ms since the epoch.
    pub exchange_time_ms: i64,
    /// Lots since the start of the trading day.
    pub volume: i64,
    /// Who brought it.
    pub source: SourceSlot,
    /// Receipt in the worker, nanoseconds of `CLOCK_MONOTONIC`.
    pub ingress_mono_ns: u64,
}

/// What becomes of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the first of its kind and in order: publish it.
    Forward,
    /// The same, though another source's copy of it was [`Self::LateUnique`], since its place was not known there.
    Redeem,
    /// A copy of one of the last published ticks.
    Duplicate {
        /// How much later than the published copy its worker received it, ns; 0 if it was not later.
        lag_ns: u64,
    },
    /// Not ahead of the watermark; brought before.
    Late,
    /// Not ahead of the watermark, and never brought before.
    LateUnique,
    /// Another source has shown this snapshot otherwise.
    Disagreement,
}

/// How fine an exchange's times are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamps {
    /// To the second, and several snapshots in one: CZCE.
    Seconds,
    /// One for each snapshot.
    Milliseconds,
}

impl From<Exchange> for Stamps {
    fn from(exchange: Exchange) -> Self {
        if exchange == Exchange::Czce { Self::Seconds } else { Self::Milliseconds }
    }
}

/// A snapshot that was shown in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispute {
    /// Those who showed what was published.
    pub agree: SourceMask,
    /// Those who showed something else, all the same.
    pub dissent: SourceMask,
}

impl Dispute {
    /// The one that is wrong, when three or more have shown it and all but one agree.
    #[must_use]
    pub fn outvoted(&self) -> Option<SourceSlot> {
        // Who has shown both has no vote for the first.
        let agree = self.agree.minus(self.dissent);
        match (agree.len(), self.dissent.len()) {
            (2.., 1) => self.dissent.first(),
            (1, 2..) => agree.first(),
            _ => None,
        }
    }
}

/// The dispute about one snapshot; the latest one of the contract.
#[derive(Debug, Clone, Copy)]
struct Case {
    key: (i64, i64),
    /// The published copy that is contradicted.
    against: u64,
    view: View,
    dispute: Dispute,
}

/// One contract's state.
#[derive(Debug, Clone)]
pub struct Arbiter {
    stamps: Stamps,
    /// Made with the first tick.
    ring: Option<Box<Ring>>,
    watermark: (i64, i64),
    /// The sources that have brought the latest published tick.
    in_step: SourceMask,
    case: Option<Case>,
}

impl Arbiter {
    /// Of a contract whose exchange stamps so.
    #[must_use]
    pub const fn new(stamps: Stamps) -> Self {
        Self { stamps, ring: None, watermark: (i64::MIN, i64::MIN), in_step: SourceMask::NONE, case: None }
    }

    /// Judges one tick of this contract, and remembers it. `saved` hears of each tick, as it leaves the ring, that nobody
    /// but this source has brought.
    pub fn judge(&mut self, arrival: &Arrival, known: &mut Known, saved: &mut dyn FnMut(SourceSlot)) -> Verdict {
        let key = (arrival.exchange_time_ms, arrival.volume);
        if let Some(ring) = &mut self.ring
            && let Some((entry, is_latest)) = ring.find(arrival.tid)
        {
            entry.sources = entry.sources.with(arrival.source);
            let verdict = Verdict::Duplicate { lag_ns: arrival.ingress_mono_ns.saturating_sub(entry.ingress_mono_ns) };
            if let Some(case) = &mut self.case
                && case.against == arrival.tid
            {
                case.dispute.agree = entry.sources;
            }
            if is_latest {
                self.in_step = self.in_step.with(arrival.source);
            }
            return verdict;
        }
        if let Some(verdict) = self.of_another_view(arrival, key, known, saved) {
            return verdict;
        }
        let is_new = known.insert(arrival.tid);
        if key > self.watermark {
            self.publish(arrival, key, SourceMask::NONE, saved);
            return Verdict::Forward;
        }
        if key == self.watermark {
            let passed = self.ring.as_ref().and_then(|ring| ring.passed.by(key, arrival.tid));
            if self.in_step.contains(arrival.source) {
                match passed {
                    None if is_new => {
                        self.publish(arrival, key, SourceMask::NONE, saved);
                        return Verdict::Forward;
                    }
                    Some(by) if !by.contains(arrival.source) => {
                        self.publish(arrival, key, by, saved);
                        return Verdict::Redeem;
                    }
                    _ => {}
                }
            }
            if let Some(ring) = &mut self.ring {
                ring.passed.note(key, arrival.tid, arrival.source);
            }
        }
        if is_new { Verdict::LateUnique } else { Verdict::Late }
    }

    /// Judges a copy of a recent snapshot that others have brought, and that it shows otherwise.
    fn of_another_view(
        &mut self,
        arrival: &Arrival,
        key: (i64, i64),
        known: &mut Known,
        saved: &mut dyn FnMut(SourceSlot),
    ) -> Option<Verdict> {
        if key > self.watermark || self.stamps == Stamps::Seconds {
            return None;
        }
        let entry = self.ring.as_mut()?.fullest_of_key(key)?;
        let is_own = entry.sources.minus(SourceMask::NONE.with(arrival.source)).is_empty();
        if entry.view == arrival.view || is_own {
            return None;
        }
        if entry.view.contradicts(arrival.view) {
            self.case = Some(contest(self.case, entry, arrival));
            return Some(Verdict::Disagreement);
        }
        let (says_more, says_all) = (!entry.view.covers(arrival.view), arrival.view.covers(entry.view));
        let is_new = known.insert(arrival.tid) && says_more;
        if is_new && says_all && key == self.watermark {
            // It has brought the snapshot too: the lesser copy is nobody's save.
            entry.sources = entry.sources.with(arrival.source);
            self.publish(arrival, key, SourceMask::NONE, saved);
            return Some(Verdict::Forward);
        }
        Some(if is_new { Verdict::LateUnique } else { Verdict::Late })
    }

    /// The latest dispute, if it is about a snapshot of this time and volume.
    #[must_use]
    pub fn dispute(&self, exchange_time_ms: i64, volume: i64) -> Option<Dispute> {
        self.case.filter(|case| case.key == (exchange_time_ms, volume)).map(|case| case.dispute)
    }

    /// Forgets the watermark: what it was made of has turned out to be wrong.
    pub const fn rebase(&mut self) {
        self.watermark = (i64::MIN, i64::MIN);
    }

    /// `others` have brought it before, when its place was not known; where they are now is not known either.
    fn publish(&mut self, arrival: &Arrival, key: (i64, i64), others: SourceMask, saved: &mut dyn FnMut(SourceSlot)) {
        let ring = self.ring.get_or_insert_default();
        let sources = others.with(arrival.source);
        let entry =
            Entry { tid: arrival.tid, ingress_mono_ns: arrival.ingress_mono_ns, key, view: arrival.view, sources };
        if let Some(leaves) = ring.put(entry)
            && leaves.sources.len() == 1
            && let Some(source) = leaves.sources.first()
        {
            saved(source);
        }
        self.watermark = key;
        self.in_step = SourceMask::NONE.with(arrival.source);
    }
}

/// The case with this dissenter in it: a new one, unless it is about the same snapshot and the same other view.
fn contest(case: Option<Case>, entry: &Entry, arrival: &Arrival) -> Case {
    let same = case.filter(|case| case.key == entry.key && case.view == arrival.view);
    let dissent = same.map_or(SourceMask::NONE, |case| case.dispute.dissent).with(arrival.source);
    let dispute = Dispute { agree: entry.sources, dissent };
    Case { key: entry.key, against: entry.tid, view: arrival.view, dispute }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Disagreement, Forward, Late, LateUnique, Redeem};
    use super::*;

    fn slot(index: u8) -> SourceSlot {
        SourceSlot::new(index).expect("a slot")
    }

    fn mask(slots: &[u8]) -> SourceMask {
        slots.iter().fold(SourceMask::NONE, |mask, index| mask.with(slot(*index)))
    }

    /// Judges (source, tid, time, volume) one after another, each 100 ns after the last.
    fn verdicts(arrivals: &[(u8, u64, i64, i64)]) -> Vec<Verdict> {
        judged(&mut Arbiter::new(Stamps::Seconds), arrivals)
    }

    fn judged(arbiter: &mut Arbiter, arrivals: &[(u8, u64, i64, i64)]) -> Vec<Verdict> {
        let mut known = Known::default();
        let judge = |(i, &(source, tid, exchange_time_ms, volume)): (usize, &(u8, u64, i64, i64))| {
            let (source, view) = (slot(source), View { last: tid as u32, book: 1 });
            let arrival = Arrival { tid, view, exchange_time_ms, volume, source, ingress_mono_ns: 100 * i as u64 };
            arbiter.judge(&arrival, &mut known, &mut |_| ())
        };
        arrivals.iter().enumerate().map(judge).collect()
    }

    const fn duplicate(lag: u64) -> Verdict {
        Verdict::Duplicate { lag_ns: 100 * lag }
    }

    #[test]
    fn the_first_copy_goes_out_and_a_later_one_is_timed_against_it() {
        let found = verdicts(&[(0, 1, 10, 5), (1, 2, 20, 5), (1, 1, 10, 5), (0, 2, 20, 5), (0, 3, 20, 6)]);
        assert_eq!(found, [Forward, Forward, duplicate(2), duplicate(2), Forward]);
    }

    #[test]
    fn behind_the_watermark_is_late_and_unique_only_once() {
        let found = verdicts(&[(0, 1, 10, 5), (0, 3, 30, 6), (1, 2, 20, 5), (0, 2, 20, 5), (1, 2, 20, 5)]);
        assert_eq!(found, [Forward, Forward, LateUnique, Late, Late]);
    }

    #[test]
    fn a_copy_older_than_the_ring_is_late_and_not_unique() {
        let mut arrivals: Vec<_> = (1..=40).map(|i: u64| (0, i, i.cast_signed(), 0)).collect();
        arrivals.extend([(1, 9, 9, 0), (1, 8, 8, 0), (1, 100, 8, 0)]);
        let found = verdicts(&arrivals);
        assert!(found[..40].iter().all(|v| *v == Forward));
        assert_eq!(found[40..], [duplicate(32), Late, LateUnique]);
    }

    #[test]
    fn a_new_trading_day_starts_its_volume_anew() {
        assert_eq!(verdicts(&[(0, 1, 10, 9_000), (0, 2, 20, 3), (1, 3, 19, 9_001)]), [Forward, Forward, LateUnique]);
    }

    #[test]
    fn within_one_second_volume_orders() {
        let found = verdicts(&[(0, 1, 10, 5), (1, 3, 10, 7), (0, 2, 10, 6)]);
        assert_eq!(found, [Forward, Forward, LateUnique]);
    }

    #[test]
    fn within_one_second_and_volume_the_source_that_opened_it_is_followed() {
        let found = verdicts(&[(0, 1, 10, 5), (1, 2, 10, 5), (0, 3, 10, 5), (1, 3, 10, 5)]);
        assert_eq!(found, [Forward, LateUnique, Forward, duplicate(1)]);
    }

    #[test]
    fn a_source_that_has_caught_up_with_the_latest_may_overtake() {
        let found = verdicts(&[(0, 1, 10, 5), (1, 1, 10, 5), (1, 2, 10, 5), (0, 2, 10, 5), (0, 3, 10, 5)]);
        assert_eq!(found, [Forward, duplicate(1), Forward, duplicate(1), Forward]);
    }

    #[test]
    fn a_book_that_turns_back_within_the_second_does_not_put_its_source_out_of_step() {
        let found = verdicts(&[(0, 1, 10, 5), (0, 2, 10, 5), (0, 1, 10, 5), (0, 3, 10, 5)]);
        assert_eq!(found, [Forward, Forward, duplicate(2), Forward]);
    }

    #[test]
    fn what_came_out_of_place_is_redeemed_by_the_source_that_brings_it_in_its_place() {
        let found = verdicts(&[(0, 1, 10, 5), (1, 2, 10, 5), (0, 2, 10, 5), (1, 2, 10, 5), (0, 3, 11, 5)]);
        assert_eq!(found, [Forward, LateUnique, Redeem, duplicate(1), Forward]);
        // The other one has brought a whole second before its place is known.
        let ahead = [(0, 1, 10, 5), (1, 2, 10, 5), (1, 3, 10, 5), (0, 2, 10, 5), (1, 4, 10, 5), (0, 3, 10, 5)];
        assert_eq!(verdicts(&ahead), [Forward, LateUnique, LateUnique, Redeem, LateUnique, Redeem]);
    }

    #[test]
    fn nobody_redeems_what_it_has_brought_before_the_latest_itself() {
        let again = [(0, 1, 10, 5), (1, 2, 10, 5), (1, 1, 10, 5), (1, 2, 10, 5), (0, 2, 10, 5)];
        assert_eq!(verdicts(&again), [Forward, LateUnique, duplicate(2), Late, Redeem]);
        // One that was published is never published again, however many of one second have come since.
        let mut many: Vec<_> = (1..=40).map(|tid| (0, tid, 10, 5)).collect();
        many.extend([(0, 1, 10, 5), (1, 40, 10, 5), (1, 2, 10, 5)]);
        assert_eq!(verdicts(&many)[40..], [Late, duplicate(2), Late]);
    }

    #[test]
    fn where_time_and_volume_name_a_snapshot_another_view_of_it_is_a_disagreement() {
        let mut arbiter = Arbiter::new(Stamps::Milliseconds);
        let found = judged(&mut arbiter, &[(0, 1, 10, 5), (1, 2, 10, 5), (0, 3, 11, 6), (1, 4, 10, 5), (2, 4, 10, 5)]);
        assert_eq!(found, [Forward, Disagreement, Forward, Disagreement, Disagreement]);
        assert_eq!(verdicts(&[(0, 1, 10, 5), (1, 2, 10, 5)]), [Forward, LateUnique], "not where seconds are shared");
    }

    #[test]
    fn a_source_disagrees_with_itself_only_where_another_one_has_confirmed_the_first_view() {
        let alone = judged(&mut Arbiter::new(Stamps::Milliseconds), &[(0, 1, 10, 5), (0, 2, 10, 5), (1, 2, 10, 5)]);
        assert_eq!(alone, [Forward, Forward, duplicate(1)]);
        let mut arbiter = Arbiter::new(Stamps::Milliseconds);
        let confirmed = judged(&mut arbiter, &[(0, 1, 10, 5), (1, 1, 10, 5), (1, 2, 10, 5)]);
        assert_eq!(confirmed, [Forward, duplicate(1), Disagreement]);
        assert_eq!(arbiter.dispute(10, 5).and_then(|dispute| dispute.outvoted()), None, "two cannot vote");
    }

    /// Judges (source, last price, first level) of one snapshot, one after another; 0 is absent. Then the next snapshot, if
    /// there is one, and those behind it.
    fn of_views(before: &[(u8, u32, u32)], after: &[(u8, u32, u32)]) -> Vec<Verdict> {
        let (mut arbiter, mut known) = (Arbiter::new(Stamps::Milliseconds), Known::default());
        let mut judge = |source: u8, last: u32, book: u32, exchange_time_ms: i64| {
            let tid = (exchange_time_ms.unsigned_abs() << 32) | (u64::from(last) << 16) | u64::from(book);
            let (source, view) = (slot(source), View { last, book });
            let arrival = Arrival { tid, view, exchange_time_ms, volume: 5, source, ingress_mono_ns: 0 };
            arbiter.judge(&arrival, &mut known, &mut |_| ())
        };
        let mut found: Vec<_> = before.iter().map(|&(source, last, book)| judge(source, last, book, 10)).collect();
        if !after.is_empty() {
            assert_eq!(judge(9, 1, 1, 11), Forward);
        }
        found.extend(after.iter().map(|&(source, last, book)| judge(source, last, book, 10)));
        found
    }

    #[test]
    fn what_is_absent_contradicts_nothing_and_the_copy_that_says_more_is_published() {
        const COPY: Verdict = duplicate(0);
        for (what, copies, expected) in [
            ("nothing, then all", &[(0, 0, 0), (1, 7, 8)][..], &[Forward, Forward][..]),
            ("all, then nothing", &[(0, 7, 8), (1, 0, 0)], &[Forward, Late]),
            ("no last price, then all", &[(0, 0, 8), (1, 7, 8)], &[Forward, Forward]),
            ("no book, then all", &[(0, 7, 0), (1, 7, 8)], &[Forward, Forward]),
            ("all, then no book", &[(0, 7, 8), (1, 7, 0)], &[Forward, Late]),
            ("one has the price, one the book", &[(0, 7, 0), (1, 0, 8)], &[Forward, LateUnique]),
            ("another price, beside no book", &[(0, 7, 0), (1, 6, 8)], &[Forward, Disagreement]),
            ("another book, as with one empty side", &[(0, 7, 8), (1, 7, 9)], &[Forward, Disagreement]),
            ("all is published once", &[(0, 0, 0), (1, 7, 8), (0, 7, 8), (2, 0, 0)], &[Forward, Forward, COPY, COPY]),
            ("the fullest counts", &[(0, 0, 0), (1, 7, 8), (2, 7, 9)], &[Forward, Forward, Disagreement]),
            ("step by step", &[(0, 0, 0), (1, 0, 8), (2, 7, 8)], &[Forward, Forward, Forward]),
        ] {
            assert_eq!(of_views(copies, &[]), expected, "{what}");
        }
        assert_eq!(of_views(&[(0, 0, 0)], &[(1, 7, 8), (2, 7, 8)]), [Forward, LateUnique, Late], "never out of order");
    }

    #[test]
    fn the_wrong_one_is_named_only_when_three_have_shown_the_snapshot() {
        for (arrivals, agree, dissent, outvoted) in [
            (&[(0, 1, 10, 5), (1, 2, 10, 5)][..], &[0][..], &[1][..], None),
            (&[(0, 1, 10, 5), (1, 2, 10, 5), (2, 1, 10, 5)], &[0, 2], &[1], Some(1)),
            (&[(0, 1, 10, 5), (2, 1, 10, 5), (1, 2, 10, 5)], &[0, 2], &[1], Some(1)),
            (&[(0, 1, 10, 5), (1, 2, 10, 5), (2, 2, 10, 5)], &[0], &[1, 2], Some(0)),
            (&[(0, 1, 10, 5), (1, 2, 10, 5), (2, 3, 10, 5)], &[0], &[2], None),
            (&[(0, 1, 10, 5), (3, 1, 10, 5), (1, 2, 10, 5), (2, 2, 10, 5)], &[0, 3], &[1, 2], None),
        ] {
            let mut arbiter = Arbiter::new(Stamps::Milliseconds);
            judged(&mut arbiter, arrivals);
            let dispute = arbiter.dispute(10, 5).expect("a dispute");
            assert_eq!((dispute.agree, dispute.dissent), (mask(agree), mask(dissent)), "{arrivals:?}");
            assert_eq!(dispute.outvoted(), outvoted.map(slot), "{arrivals:?}");
            assert_eq!(arbiter.dispute(10, 6), None);
        }
    }

    #[test]
    fn what_one_source_alone_has_brought_is_its_save_once_the_ring_has_passed_over_it() {
        let (mut arbiter, mut known, mut saves) = (Arbiter::new(Stamps::Milliseconds), Known::default(), Vec::new());
        for i in 0..40u32 {
            for source in (0..2).filter(|source| *source == 0 || i % 4 != 0) {
                let time = i64::from(i);
                let arrival = Arrival {
                    tid: (i + 1).into(),
                    view: View { last: i + 1, book: 1 },
                    exchange_time_ms: time,
                    volume: time,
                    source: slot(source),
                    ingress_mono_ns: 0,
                };
                arbiter.judge(&arrival, &mut known, &mut |source| saves.push(source));
            }
        }
        assert_eq!(saves, [slot(0), slot(0)], "of the first eight, 0 and 4");
    }

    #[test]
    fn a_forgotten_watermark_lets_earlier_ticks_pass() {
        let mut arbiter = Arbiter::new(Stamps::Milliseconds);
        assert_eq!(judged(&mut arbiter, &[(0, 1, 9_000, 5)]), [Forward]);
        arbiter.rebase();
        assert_eq!(judged(&mut arbiter, &[(0, 2, 10, 5), (1, 2, 10, 5)]), [Forward, duplicate(1)]);
    }
}
