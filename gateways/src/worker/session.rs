//! Which subscriptions are wanted, asked and answered: a pure state. The library forgets all of them whenever its
//! connection goes, so every login asks for all anew.

use std::collections::{BTreeMap, VecDeque};

use mdhub_spec::contract::Contract;
use mdhub_spec::time::Mono;

/// Most contracts in one call. Fronts have been seen to leave contracts silent in larger ones.
pub const BATCH_CONTRACTS: usize = 200;
/// The next batch waits for the last one's answers, but no longer than this.
const ANSWER_WAIT_MS: u64 = 100;
/// A call that was not sent is tried again after this.
const RETRY_MS: u64 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Due,
    Asked,
    Accepted,
    Refused,
}

/// The subscriptions of one worker.
#[derive(Debug)]
pub struct Session {
    wanted: BTreeMap<String, State>,
    due: VecDeque<String>,
    asked: usize,
    is_logged_in: bool,
    is_announced: bool,
    not_before: Mono,
    answers_by: Mono,
}

impl Session {
    /// A session that wants these, not logged in yet.
    #[must_use]
    pub fn new(contracts: Vec<Contract>) -> Self {
        let wanted = contracts.into_iter().map(|c| (c.symbol().to_owned(), State::Due)).collect();
        Self {
            wanted,
            due: VecDeque::new(),
            asked: 0,
            is_logged_in: false,
            is_announced: false,
            not_before: Mono(0),
            answers_by: Mono(0),
        }
    }

    /// The front took the login: everything is to be asked.
    pub fn logged_in(&mut self) {
        self.wanted.values_mut().for_each(|state| *state = State::Due);
        self.due = self.wanted.keys().cloned().collect();
        self.asked = 0;
        self.is_logged_in = true;
        self.is_announced = false;
        self.not_before = Mono(0);
    }

    /// The connection is gone: nothing can be asked until the next login.
    pub fn disconnected(&mut self) {
        self.wanted.values_mut().for_each(|state| *state = State::Due);
        self.due.clear();
        self.asked = 0;
        self.is_logged_in = false;
        self.is_announced = false;
    }

    /// Wants these too.
    pub fn add(&mut self, contracts: Vec<Contract>) {
        for contract in contracts {
            let symbol = contract.symbol();
            if !self.wanted.contains_key(symbol) {
                self.wanted.insert(symbol.to_owned(), State::Due);
                if self.is_logged_in {
                    self.due.push_back(symbol.to_owned());
                }
            }
        }
        self.is_announced = false;
    }

    /// Wants these no more; returns those that the front was asked for.
    pub fn remove(&mut self, contracts: &[Contract]) -> Vec<String> {
        let mut gone = Vec::new();
        for contract in contracts {
            match self.wanted.remove(contract.symbol()) {
                Some(State::Due) | None => {}
                Some(state) => {
                    self.asked -= usize::from(state == State::Asked);
                    gone.push(contract.symbol().to_owned());
                }
            }
        }
        self.due.retain(|symbol| self.wanted.contains_key(symbol));
        self.is_announced = false;
        gone
    }

    /// What to subscribe now: at most [`BATCH_CONTRACTS`], and only once the last batch was answered or its time is up.
    pub fn next_batch(&mut self, now: Mono) -> Option<Vec<String>> {
        if self.due.is_empty() || now < self.wake_at()? {
            return None;
        }
        let batch: Vec<String> = self.due.drain(..self.due.len().min(BATCH_CONTRACTS)).collect();
        for symbol in &batch {
            self.set(symbol, State::Asked);
        }
        self.asked += batch.len();
        self.answers_by = now.plus_ms(ANSWER_WAIT_MS);
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

    /// The front answered one; false when nobody asked for it.
    pub fn answered(&mut self, symbol: &str, is_accepted: bool) -> bool {
        let Some(state) = self.wanted.get_mut(symbol).filter(|state| **state != State::Due) else { return false };
        self.asked -= usize::from(*state == State::Asked);
        *state = if is_accepted { State::Accepted } else { State::Refused };
        true
    }

    /// How many were accepted, once for each time that every subscription has come to be answered.
    pub fn newly_ready(&mut self) -> Option<u32> {
        let is_ready = self.is_logged_in && self.due.is_empty() && self.asked == 0;
        if !is_ready || std::mem::replace(&mut self.is_announced, true) {
            return None;
        }
        let accepted = self.wanted.values().filter(|state| **state == State::Accepted).count();
        Some(u32::try_from(accepted).unwrap_or(u32::MAX))
    }

    /// When the next batch may go, if one is due.
    #[must_use]
    pub fn wake_at(&self) -> Option<Mono> {
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
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn contracts(count: usize) -> Vec<Contract> {
        (0..count).map(|n| format!("x{n:04}.SHFE").parse().expect("valid")).collect()
    }

    fn answer_all(session: &mut Session, batch: &[String]) {
        batch.iter().for_each(|symbol| assert!(session.answered(symbol, true)));
    }

    #[test]
    fn nothing_is_asked_before_the_login_and_all_of_it_in_batches_after() {
        let mut session = Session::new(contracts(450));
        assert_eq!(session.next_batch(Mono(0)), None);
        assert_eq!(session.newly_ready(), None);
        session.logged_in();
        let mut sizes = Vec::new();
        while let Some(batch) = session.next_batch(Mono(0)) {
            assert_eq!(session.newly_ready(), None);
            answer_all(&mut session, &batch);
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [200, 200, 50]);
        assert_eq!((session.newly_ready(), session.newly_ready()), (Some(450), None));
    }

    #[test]
    fn an_unanswered_batch_holds_the_next_one_back_but_not_for_ever() {
        let mut session = Session::new(contracts(300));
        session.logged_in();
        let first = session.next_batch(Mono(0)).expect("due");
        assert_eq!(session.wake_at(), Some(Mono(100 * MS)));
        assert_eq!(session.next_batch(Mono(99 * MS)), None);
        assert_eq!(session.next_batch(Mono(100 * MS)).map(|b| b.len()), Some(100));
        answer_all(&mut session, &first);
        assert_eq!(session.newly_ready(), None);
    }

    #[test]
    fn a_refused_subscription_is_an_answer_and_not_an_acceptance() {
        let mut session = Session::new(contracts(2));
        session.logged_in();
        session.next_batch(Mono(0));
        assert!(session.answered("x0000", true) && session.answered("x0001", false));
        assert!(!session.answered("ghost", true));
        assert_eq!(session.newly_ready(), Some(1));
    }

    #[test]
    fn a_new_login_asks_for_everything_again() {
        let mut session = Session::new(contracts(3));
        for _ in 0..2 {
            session.logged_in();
            let batch = session.next_batch(Mono(0)).expect("due");
            assert_eq!(batch.len(), 3);
            answer_all(&mut session, &batch);
            assert_eq!(session.newly_ready(), Some(3));
            session.disconnected();
            assert!(!session.answered("x0000", true), "an answer of the old connection");
            assert_eq!((session.next_batch(Mono(0)), session.newly_ready()), (None, None));
        }
    }

    #[test]
    fn what_could_not_be_sent_is_tried_again_a_second_later() {
        let mut session = Session::new(contracts(2));
        session.logged_in();
        let batch = session.next_batch(Mono(0)).expect("due");
        session.put_back(batch.clone(), Mono(0));
        assert_eq!((session.next_batch(Mono(999 * MS)), session.newly_ready()), (None, None));
        assert_eq!(session.next_batch(Mono(1000 * MS)), Some(batch));
    }

    #[test]
    fn additions_and_removals_are_told_when_they_are_settled() {
        let mut session = Session::new(contracts(2));
        session.logged_in();
        let batch = session.next_batch(Mono(0)).expect("due");
        answer_all(&mut session, &batch);
        assert_eq!(session.newly_ready(), Some(2));
        session.add(contracts(3));
        assert_eq!(session.next_batch(Mono(0)), Some(vec!["x0002".to_owned()]));
        assert_eq!(session.remove(&contracts(4)), ["x0000", "x0001", "x0002"]);
        assert_eq!(session.newly_ready(), Some(0));
    }

    #[test]
    fn a_worker_without_contracts_is_ready_at_its_login() {
        let mut session = Session::new(Vec::new());
        session.logged_in();
        assert_eq!(session.newly_ready(), Some(0));
    }
}
