//! When a login may be sent: a pure state. Fronts refuse more than one a second from a session.

use mdhub_spec::time::Mono;

/// From one login to the next.
const SPACING_MS: u64 = 1_000;

/// Paces logins across reconnects.
#[derive(Debug, Default)]
pub(super) struct LoginPace {
    is_wanted: bool,
    not_before: Mono,
}

impl LoginPace {
    /// A connection stands, and wants a login.
    pub(super) fn connected(&mut self) {
        self.is_wanted = true;
    }

    /// There is no connection to log in on.
    pub(super) fn disconnected(&mut self) {
        self.is_wanted = false;
    }

    /// When the next login is to be sent, if one is.
    pub(super) fn due_at(&self) -> Option<Mono> {
        self.is_wanted.then_some(self.not_before)
    }

    /// A login went out at `now`, or could not: then it stays due.
    pub(super) fn tried(&mut self, is_sent: bool, now: Mono) {
        self.not_before = now.plus_ms(SPACING_MS);
        self.is_wanted = !is_sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_often_the_front_comes_back_there_is_one_login_a_second() {
        let (mut pace, mut sent) = (LoginPace::default(), Vec::new());
        for ms in (0..5_000).step_by(2) {
            let now = Mono(0).plus_ms(ms);
            if ms % 4 == 0 {
                pace.connected()
            } else {
                pace.disconnected()
            }
            if pace.due_at().is_some_and(|at| at <= now) {
                pace.tried(true, now);
                sent.push(ms);
            }
        }
        assert_eq!(sent, [0, 1_000, 2_000, 3_000, 4_000]);
    }

    #[test]
    fn what_was_not_sent_stays_due_and_what_was_does_not() {
        let mut pace = LoginPace::default();
        assert_eq!(pace.due_at(), None);
        pace.connected();
        pace.tried(false, Mono(5));
        assert_eq!(pace.due_at(), Some(Mono(5).plus_ms(1_000)));
        pace.tried(true, Mono(6));
        assert_eq!(pace.due_at(), None);
    }
}
