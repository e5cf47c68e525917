//! What waits for one channel. It is written down with the desk, so that a hub that is killed tells what it had to tell.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::message::Message;

/// Messages that wait for one channel; the oldest goes first, counted.
const WAITING_MAX: usize = 200;
/// From one failed try to the next: doubled each time.
const PAUSE_MIN_MS: i64 = 1_000;
const PAUSE_MAX_MS: i64 = 300_000;
/// What nobody could be told for so long is news no more.
const TOO_OLD_MS: i64 = 86_400_000;

/// The messages for one channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outbox {
    waiting: VecDeque<Message>,
    /// Messages that were given up, so far.
    #[serde(default)]
    given_up: u64,
    /// Failed tries in a row. What was tried by a former hub is tried anew.
    #[serde(skip)]
    failures: u32,
    #[serde(skip)]
    next_try_ms: i64,
    /// The first is being delivered.
    #[serde(skip)]
    is_under_way: bool,
}

impl Outbox {
    pub(crate) fn add(&mut self, message: Message) {
        if self.waiting.len() >= WAITING_MAX {
            // The first may be under way; whoever delivers it has a copy.
            let oldest = usize::from(self.is_under_way);
            self.waiting.remove(oldest);
            self.given_up += 1;
        }
        self.waiting.push_back(message);
    }

    /// The next message to be tried, if it is time; from now on it is under way.
    pub(crate) fn take(&mut self, now_ms: i64) -> Option<Message> {
        if self.is_under_way || now_ms < self.next_try_ms {
            return None;
        }
        while self.waiting.front().is_some_and(|message| now_ms - message.at_ms >= TOO_OLD_MS) {
            self.waiting.pop_front();
            self.given_up += 1;
        }
        let message = self.waiting.front()?.clone();
        self.is_under_way = true;
        Some(message)
    }

    /// What became of the message that was under way.
    pub(crate) fn settle(&mut self, delivered: bool, now_ms: i64) {
        self.is_under_way = false;
        if delivered {
            self.waiting.pop_front();
            self.failures = 0;
            self.next_try_ms = now_ms;
        } else {
            let pause_ms = PAUSE_MIN_MS.saturating_mul(1 << self.failures.min(20)).min(PAUSE_MAX_MS);
            self.failures += 1;
            self.next_try_ms = now_ms + pause_ms;
        }
    }

    /// Forgets a try that nobody will speak of any more.
    pub(crate) const fn try_anew(&mut self) {
        self.is_under_way = false;
        self.next_try_ms = 0;
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) const fn given_up(&self) -> u64 {
        self.given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Kind;

    fn message(n: i64) -> Message {
        let (cause, subject, body) = (String::new(), n.to_string(), String::new());
        Message { kind: Kind::Raised, account: None, cause, subject, body, at_ms: 0, count: 1 }
    }

    #[test]
    fn a_message_stays_until_it_is_delivered_and_tries_grow_rarer() {
        let mut outbox = Outbox::default();
        outbox.add(message(1));
        let mut tries = Vec::new();
        let mut now_ms = 0;
        while tries.len() < 11 {
            if outbox.take(now_ms).is_some() {
                assert_eq!(outbox.take(now_ms), None, "it is under way");
                outbox.settle(false, now_ms);
                tries.push(now_ms);
            }
            now_ms += 500;
        }
        let pauses: Vec<i64> = tries.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        outbox.take(now_ms + PAUSE_MAX_MS).expect("tried again");
        outbox.settle(true, now_ms + PAUSE_MAX_MS);
        assert_eq!((outbox.waiting(), outbox.given_up()), (0, 0));
    }

    #[test]
    fn it_has_a_limit_and_gives_up_its_oldest_counted() {
        let mut outbox = Outbox::default();
        outbox.add(message(0));
        assert!(outbox.take(0).is_some());
        (1..500).for_each(|n| outbox.add(message(n)));
        assert_eq!((outbox.waiting(), outbox.given_up()), (WAITING_MAX, 300));
        outbox.settle(true, 0);
        assert_eq!(outbox.take(0).map(|m| m.subject).as_deref(), Some("301"), "the one under way was kept until then");
    }

    #[test]
    fn a_day_old_message_is_no_news() {
        let mut outbox = Outbox::default();
        outbox.add(message(0));
        assert_eq!(outbox.take(TOO_OLD_MS), None);
        assert_eq!((outbox.waiting(), outbox.given_up()), (0, 1));
    }

    #[test]
    fn what_was_under_way_when_the_hub_was_killed_is_delivered_by_the_next() {
        let mut outbox = Outbox::default();
        outbox.add(message(1));
        assert!(outbox.take(0).is_some());
        outbox.settle(false, 0);
        assert!(outbox.take(5_000).is_some());
        let text = serde_json::to_string(&outbox).expect("written");
        let mut read: Outbox = serde_json::from_str(&text).expect("read");
        assert_eq!(read.take(0).map(|m| m.subject).as_deref(), Some("1"));
    }
}
