//! A rule that rejects much of what every source sends is more likely wrong than all of them: it falls to shadow by itself.

use mdhub_spec::plane::{SOURCES_MAX, SourceSlot};
use mdhub_spec::settings::{Cleansing, Rule};
use mdhub_spec::time::Mono;

use super::RuleSet;

/// A source with fewer ticks in a window has no vote.
const TICKS_MIN: u32 = 50;
/// A fallen rule rises after so many windows in a row in which it would have rejected less.
const CALM_WINDOWS: u8 = 6;
const RULES: usize = Rule::ALL.len();

/// A rule that fell to shadow, or rose again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fall {
    /// Which one.
    pub rule: Rule,
    /// Whether it fell.
    pub is_fallen: bool,
}

#[derive(Debug, Clone, Copy)]
struct Tally {
    ticks: u32,
    against: [u32; RULES],
}

const NOTHING: Tally = Tally { ticks: 0, against: [0; RULES] };

/// Watches the rules.
#[derive(Debug)]
pub struct Falls {
    began: Mono,
    window_ms: u64,
    percent: u64,
    tallies: Box<[Tally; SOURCES_MAX]>,
    fallen: RuleSet,
    calm: [u8; RULES],
}

/// Whether it may fall. What has no contract or no time cannot be published anyway, a replay is known by other signs
/// ([`Doubts`](super::Doubts)), and a disagreement is about one source by nature.
const fn may_fall(rule: Rule) -> bool {
    !matches!(
        rule,
        Rule::UnknownContract | Rule::NoTime | Rule::BadTime | Rule::BadDate | Rule::Replayed | Rule::Disagreement
    )
}

impl Falls {
    /// By these settings.
    #[must_use]
    pub fn new(settings: &Cleansing) -> Self {
        Self {
            began: Mono::default(),
            window_ms: settings.window_ms,
            percent: settings.fall_percent,
            tallies: Box::new([NOTHING; SOURCES_MAX]),
            fallen: RuleSet::default(),
            calm: [0; RULES],
        }
    }

    /// The rules that have fallen.
    #[must_use]
    pub const fn fallen(&self) -> RuleSet {
        self.fallen
    }

    /// Counts a tick and the rule that is against it, in whatever mode.
    pub fn note(&mut self, source: SourceSlot, against: Option<Rule>) {
        let tally = &mut self.tallies[source.index()];
        tally.ticks = tally.ticks.saturating_add(1);
        if let Some(rule) = against {
            tally.against[rule as usize] += 1;
        }
    }

    /// At the end of a window, the rules that fall or rise.
    pub fn look(&mut self, now: Mono, tell: &mut dyn FnMut(Fall)) {
        if now.ms_since(self.began) < self.window_ms {
            return;
        }
        // The first window after a pause is longer than one: its counts are of the pause's ends.
        self.began = now;
        for rule in Rule::ALL.into_iter().filter(|rule| may_fall(*rule)) {
            let mut voters = self.tallies.iter().filter(|tally| tally.ticks >= TICKS_MIN).peekable();
            if voters.peek().is_none() {
                continue;
            }
            let is_much = |t: &Tally| u64::from(t.against[rule as usize]) * 100 > u64::from(t.ticks) * self.percent;
            let is_too_much = voters.all(is_much);
            let calm = &mut self.calm[rule as usize];
            *calm = if is_too_much { 0 } else { calm.saturating_add(1) };
            let was_fallen = self.fallen.contains(rule);
            if is_too_much && !was_fallen {
                self.fallen = self.fallen.with(rule);
                tell(Fall { rule, is_fallen: true });
            } else if was_fallen && *calm >= CALM_WINDOWS {
                self.fallen = self.fallen.without(rule);
                tell(Fall { rule, is_fallen: false });
            }
        }
        *self.tallies = [NOTHING; SOURCES_MAX];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(index: u8) -> SourceSlot {
        SourceSlot::new(index).expect("a slot")
    }

    /// A window in which each source's ticks are condemned by `rule` to these percent; what changed.
    fn window(falls: &mut Falls, number: u64, rule: Rule, percents: &[u32]) -> Vec<Fall> {
        for (source, percent) in percents.iter().enumerate() {
            for i in 0..100 {
                falls.note(slot(source as u8), (i < *percent).then_some(rule));
            }
        }
        let mut found = Vec::new();
        falls.look(Mono((number + 1) * 10_000_000_000), &mut |fall| found.push(fall));
        found
    }

    #[test]
    fn a_rule_falls_only_when_it_rejects_much_of_every_source() {
        for (rule, percents, falls) in [
            (Rule::VolumeBackwards, &[21, 100][..], true),
            (Rule::VolumeBackwards, &[21], true),
            (Rule::VolumeBackwards, &[20, 100], false),
            (Rule::OutOfSession, &[50, 50, 50], true),
            (Rule::Replayed, &[100, 100], false),
            (Rule::BadTime, &[100, 100], false),
        ] {
            let mut watch = Falls::new(&Cleansing::default());
            let found = window(&mut watch, 0, rule, percents);
            assert_eq!(!found.is_empty(), falls, "{rule:?} {percents:?}");
            assert_eq!(watch.fallen().contains(rule), falls);
        }
    }

    #[test]
    fn it_rises_after_a_minute_of_calm() {
        let mut watch = Falls::new(&Cleansing::default());
        let rule = Rule::Absurd;
        assert_eq!(window(&mut watch, 0, rule, &[90]), [Fall { rule, is_fallen: true }]);
        for number in 1..6 {
            assert_eq!(window(&mut watch, number, rule, &[5]), []);
        }
        assert_eq!(window(&mut watch, 6, rule, &[5]), [Fall { rule, is_fallen: false }]);
    }

    #[test]
    fn a_few_ticks_have_no_vote() {
        let mut watch = Falls::new(&Cleansing::default());
        for _ in 0..49 {
            watch.note(slot(0), Some(Rule::Absurd));
        }
        watch.look(Mono(20_000_000_000), &mut |fall| panic!("{fall:?}"));
    }
}
