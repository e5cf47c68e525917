//! Which tick pipes the feed still reads. Edges tell at once; a full report each second makes a lost edge good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mdhub_spec::plane::{FeedEvent, PipeEnd};
use mdhub_spec::process::Incarnation;
use tokio::sync::mpsc;

use super::control::Control;

/// A pipe that two reports in a row do not name is gone: the first may have been on its way when the pipe was attached.
const REPORTS_MISSED_MAX: u8 = 2;

/// The pipes that the feed is thought to read.
#[derive(Debug, Default)]
pub(crate) struct Pipes(BTreeMap<Incarnation, u8>);

impl Pipes {
    /// This pipe was handed over.
    pub(crate) fn attached(&mut self, incarnation: Incarnation) {
        self.0.insert(incarnation, 0);
    }

    /// This pipe is done with. Says whether it was known.
    pub(crate) fn ended(&mut self, incarnation: Incarnation) -> bool {
        self.0.remove(&incarnation).is_some()
    }

    /// The feed reads these. Gives those that have ended unheard.
    pub(crate) fn report(&mut self, read: &[Incarnation]) -> Vec<Incarnation> {
        let ended = self.0.extract_if(.., |incarnation, missed| {
            *missed = if read.contains(incarnation) { 0 } else { *missed + 1 };
            *missed >= REPORTS_MISSED_MAX
        });
        ended.map(|(incarnation, _)| incarnation).collect()
    }

    /// All of them.
    pub(crate) fn all(&self) -> BTreeSet<Incarnation> {
        self.0.keys().copied().collect()
    }
}

/// Hands the feed's events to control until the feed is gone.
pub(crate) async fn listen(mut events: mpsc::Receiver<FeedEvent>, control: Arc<Control>) {
    while let Some(event) = events.recv().await {
        match event {
            FeedEvent::PipeEnded { incarnation, end } => {
                let broken = match end {
                    PipeEnd::BadFrame(why) => Some(why),
                    PipeEnd::Drained | PipeEnd::Detached => None,
                };
                control.pipe_ended(incarnation, broken);
            }
            FeedEvent::Attached(read) => control.pipes_reported(&read),
            FeedEvent::Demands(contracts) => control.demanded(contracts),
            of_ticks => control.tell_of_ticks(of_ticks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missing_report_is_a_race_two_are_an_end() {
        let (a, b) = (Incarnation { epoch: 1, counter: 1 }, Incarnation { epoch: 1, counter: 2 });
        let mut pipes = Pipes::default();
        pipes.attached(a);
        pipes.attached(b);
        assert_eq!(pipes.report(&[a]), []);
        assert_eq!(pipes.report(&[a, b]), [], "b was only on its way");
        assert_eq!(pipes.report(&[a]), []);
        assert_eq!(pipes.report(&[a]), [b]);
        assert_eq!(pipes.all(), BTreeSet::from([a]));
        assert!(pipes.ended(a) && !pipes.ended(a));
    }
}
