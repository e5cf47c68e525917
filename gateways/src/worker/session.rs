//! Which subscriptions are wanted, asked and answered: a pure state. The library forgets all of them whenever its
//! connection goes, so every login asks for all anew.

use std::collections::{BTreeMap, VecDeque};

use mdhub_spec::contract::Contract;
use mdhub_spec::time::Mono;

/// Most contracts in one call. Fronts have been seen to leave contracts silent in larger ones.
pub const BATCH_CONTRACTS: usize = 200;
/// The next batch waits for the last one's answers, but no longer than this.
const ANSWER_WAIT_MS: u64 = 100;
/// A call that was not sent is tried again after this; and an unanswered subscription is asked for again every so often.
const RETRY_MS: u64 = 1_000;
/// An unanswered subscription is asked for so often again.
const RETRIES_MAX: u32 = 3;
/// What late answers change is told no more often than this.
const TELL_AGAIN_MS: u64 = 1_000;
/// Unanswered subscriptions that are named.
const NAMED_MAX: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Due,
    Asked,
    /// Asked, and its time to be answered is up. An answer counts all the same.
    Unanswered,
    Accepted,
    Refused,
}

/// What became of the subscriptions, once each was answered or had its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// How many stand.
    pub accepted: usize,
    /// How many the front refused.
    pub refused: usize,
    /// How many it never answered.
    pub unanswered: usize,
    /// The first few of those.
    pub first: Vec<String>,
}

/// The subscriptions of one worker.
#[derive(Debug)]
pub struct Session {
    wanted: BTreeMap<String, State>,
    due: VecDeque<String>,
    /// Unanswered ones and how often they were asked for again.
    retries: VecDeque<(String, u32)>,
    /// What the front still sends and nobody wants.
    unwanted: Vec<String>,
    asked: usize,
    unanswered: usize,
    answer_ms: u64,
    is_logged_in: bool,
    is_announced: bool,
    has_late_answers: bool,
    announced_at: Mono,
    not_before: Mono,
    answers_by: Mono,
    deadline: Mono,
    retry_at: Mono,
    drop_at: Mono,
}

impl Session {
    /// A session that wants these, not logged in yet. What is not answered `answer_ms` after the last was asked counts as
    /// unanswered.
    #[must_use]
    pub fn new(contracts: Vec<Contract>, answer_ms: u64) -> Self {
        let wanted = contracts.into_iter().map(|c| (c.symbol().to_owned(), State::Due)).collect();
        Self {
            wanted,
            due: VecDeque::new(),
            retries: VecDeque::new(),
            unwanted: Vec::new(),
            asked: 0,
            unanswered: 0,
            answer_ms,
            is_logged_in: false,
            is_announced: false,
            has_late_answers: false,
            announced_at: Mono(0),
            not_before: Mono(0),
            answers_by: Mono(0),
            deadline: Mono(0),
            retry_at: Mono(0),
            drop_at: Mono(0),
        }
    }

    /// The front took the login: everything is to be asked.
    pub fn logged_in(&mut self) {
        self.disconnected();
        self.due = self.wanted.keys().cloned().collect();
        self.is_logged_in = true;
        self.not_before = Mono(0);
    }

    /// The connection is gone: nothing can be asked until the next login.
    pub fn disconnected(&mut self) {
        // A storm of failed attempts is told 500 times a second, and the contracts may be many.
        if !self.is_logged_in {
            return;
        }
        self.wanted.values_mut().for_each(|state| *state = State::Due);
        self.due.clear();
        self.retries.clear();
        self.unwanted.clear();
        (self.asked, self.unanswered) = (0, 0);
        (self.is_logged_in, self.is_announced, self.has_late_answers) = (false, false, false);
    }

    /// Wants these too.
    pub fn add(&mut self, contracts: Vec<Contract>) {
        for contract in contracts {
            let symbol = contract.symbol();
            if !self.wanted.contains_key(symbol) {
                self.wanted.insert(symbol.to_owned(), State::Due);
                self.unwanted.retain(|dropped| dropped != symbol);
                if self.is_logged_in {
                    self.due.push_back(symbol.to_owned());
                }
            }
        }
        self.is_announced = false;
    }

    /// Wants these no more. Those that the front was asked for come from [`Self::next_drop`].
    pub fn remove(&mut self, contracts: &[Contract]) {
        for contract in contracts {
            match self.wanted.remove(contract.symbol()) {
                Some(State::Due) | None => {}
                Some(state) => {
                    self.asked -= usize::from(state == State::Asked);
                    self.unanswered -= usize::from(state == State::Unanswered);
                    self.unwanted.push(contract.symbol().to_owned());
                }
            }
        }
        self.due.retain(|symbol| self.wanted.contains_key(symbol));
        self.is_announced = false;
    }

    /// What to subscribe now: at most [`BATCH_CONTRACTS`], and only once the last batch was answered or its time is up.
    pub fn next_batch(&mut self, now: Mono) -> Option<Vec<String>> {
        if now < self.batch_at()? {
            return None;
        }
        let batch: Vec<String> = self.due.drain(..self.due.len().min(BATCH_CONTRACTS)).collect();
        for symbol in &batch {
            self.set(symbol, State::Asked);
        }
        self.asked += batch.len();
        self.answers_by = now.plus_ms(ANSWER_WAIT_MS);
        self.deadline = now.plus_ms(self.answer_ms);
        Some(batch)
    }

    /// A batch that could not be sent: it is due again, later.
    pub fn put_back(&mut self, batch: Vec<String>, now: Mono) {
        self.asked = self.asked.saturating_sub(batch.len());
        for symbol in batch.into_iter().rev() {
            self.set(&symbol, State::Due);
            self.due.push_front(symbol);
        }
        self.not_before = now.plus_ms(RETRY_MS);
    }

    /// What to drop now.
    pub fn next_drop(&mut self, now: Mono) -> Option<Vec<String>> {
        if self.unwanted.is_empty() || now < self.drop_at {
            return None;
        }
        Some(self.unwanted.drain(..self.unwanted.len().min(BATCH_CONTRACTS)).collect())
    }

    /// A drop that could not be sent: it is due again, later.
    pub fn put_back_drop(&mut self, drop: Vec<String>, now: Mono) {
        self.unwanted.extend(drop);
        self.drop_at = now.plus_ms(RETRY_MS);
    }

    /// An unanswered subscription to ask for again, alone: a list may have been what the front did not like.
    pub fn next_retry(&mut self, now: Mono) -> Option<String> {
        if now < self.retry_at {
            return None;
        }
        while let Some((symbol, tries)) = self.retries.pop_front() {
            if self.wanted.get(&symbol) == Some(&State::Unanswered) {
                self.retry_at = now.plus_ms(RETRY_MS);
                if tries + 1 < RETRIES_MAX {
                    self.retries.push_back((symbol.clone(), tries + 1));
                }
                return Some(symbol);
            }
        }
        None
    }

    /// The front answered one; false when nobody asked for it.
    pub fn answered(&mut self, symbol: &str, is_accepted: bool) -> bool {
        let Some(state) = self.wanted.get_mut(symbol).filter(|state| **state != State::Due) else { return false };
        self.asked -= usize::from(*state == State::Asked);
        if *state == State::Unanswered {
            self.unanswered -= 1;
            self.has_late_answers = true;
        }
        *state = if is_accepted { State::Accepted } else { State::Refused };
        true
    }

    /// What became of the subscriptions: once for each time that every one has come to be answered or had its time, and
    /// again when late answers have changed it.
    pub fn newly_settled(&mut self, now: Mono) -> Option<Settled> {
        if !self.is_logged_in || !self.due.is_empty() || (self.asked > 0 && now < self.deadline) {
            return None;
        }
        self.give_up_waiting(now);
        let is_late = self.has_late_answers && now >= self.announced_at.plus_ms(TELL_AGAIN_MS);
        if self.is_announced && !is_late {
            return None;
        }
        (self.is_announced, self.has_late_answers, self.announced_at) = (true, false, now);
        let count = |wanted: State| self.wanted.values().filter(|state| **state == wanted).count();
        let unanswered = self.wanted.iter().filter(|(_, state)| **state == State::Unanswered);
        Some(Settled {
            accepted: count(State::Accepted),
            refused: count(State::Refused),
            unanswered: self.unanswered,
            first: unanswered.take(NAMED_MAX).map(|(symbol, _)| symbol.clone()).collect(),
        })
    }

    /// What is asked and has had its time counts as unanswered.
    fn give_up_waiting(&mut self, now: Mono) {
        if self.asked == 0 {
            return;
        }
        for (symbol, state) in self.wanted.iter_mut().filter(|(_, state)| **state == State::Asked) {
            *state = State::Unanswered;
            self.retries.push_back((symbol.clone(), 0));
        }
        self.unanswered += std::mem::take(&mut self.asked);
        self.retry_at = now.plus_ms(RETRY_MS);
        self.is_announced = false;
    }

    /// When there is something to do next.
    #[must_use]
    pub fn wake_at(&self) -> Option<Mono> {
        let settles = (self.is_logged_in && self.due.is_empty() && self.asked > 0).then_some(self.deadline);
        let retry = (!self.retries.is_empty()).then_some(self.retry_at);
        let drop = (!self.unwanted.is_empty()).then_some(self.drop_at);
        let late = self.has_late_answers.then(|| self.announced_at.plus_ms(TELL_AGAIN_MS));
        [self.batch_at(), settles, retry, drop, late].into_iter().flatten().min()
    }

    /// When the next batch may go, if one is due.
    fn batch_at(&self) -> Option<Mono> {
        let after_answers = if self.asked == 0 { Mono(0) } else { self.answers_by };
        (!self.due.is_empty()).then(|| after_answers.max(self.not_before))
    }

    fn set(&mut self, symbol: &str, state: State) {
        if let Some(place) = self.wanted.get_mut(symbol) {
            *place = state;
        }
    }
}

#[cfg(test)]
mod tests;
