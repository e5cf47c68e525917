//! How long to wait after exits.

use std::collections::BTreeSet;

use mdhub_spec::process::{EXIT_LOGIN_REFUSED, Exit, ExitReason, FrontState, Incarnation};
use mdhub_spec::time::Mono;

use super::state::{DesiredAccount, Policy};

const REFUSED: ExitReason = ExitReason::Code(EXIT_LOGIN_REFUSED);

/// What the exits ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    /// How many exits in a row nobody wanted, the last one included.
    pub(super) exits: u32,
    /// No start before this.
    pub(super) until: Mono,
}

/// Whether `exit` came of what the account asks for now: an edit and a restart by hand begin anew.
pub(super) fn fits(account: &DesiredAccount, exit: &Exit) -> bool {
    exit.fingerprint == account.fingerprint && exit.restart_generation == account.restart_generation
}

/// Whether the hub ended it because it had fallen silent.
pub(super) fn was_silent(policy: &Policy, exit: &Exit) -> bool {
    exit.asked && exit.at >= exit.heard_at.plus_ms(policy.silence_ms)
}

/// Whether nobody wanted this end: it left by itself, or was ended for being sick.
pub(super) fn is_unwanted(policy: &Policy, ended_sick: &BTreeSet<Incarnation>, exit: &Exit) -> bool {
    !exit.asked || was_silent(policy, exit) || ended_sick.contains(&exit.incarnation)
}

/// The backoff after `exits` (oldest first), or `None` when the last one asks for none.
///
/// The row of exits ends at one that was wanted (a person stopped it), at one of another fingerprint or
/// `restart_generation`, and behind one that had been stable.
pub(super) fn after(
    policy: &Policy,
    account: &DesiredAccount,
    ended_sick: &BTreeSet<Incarnation>,
    exits: &[Exit],
) -> Option<Backoff> {
    let unwanted = |exit: &&Exit| fits(account, exit) && is_unwanted(policy, ended_sick, exit);
    let stable = |exit: &Exit| exit.ready_at.is_some_and(|ready_at| exit.at >= ready_at.plus_ms(policy.stable_ms));
    let last = exits.last().filter(unwanted)?;
    let mut row = 0;
    for exit in exits.iter().rev().take_while(unwanted) {
        row += 1;
        if stable(exit) {
            break;
        }
    }
    let least_ms = if last.reason == REFUSED { policy.login_backoff_min_ms } else { 0 };
    let delay_ms = delay_ms(policy, row).max(least_ms);
    let jitter_ms = delay_ms.saturating_mul(u64::from(last.jitter_permille)) / 4_000;
    Some(Backoff { exits: row, until: last.at.plus_ms(delay_ms.saturating_add(jitter_ms)) })
}

/// The refusal that no retry can help: the last two exits, one login each, were refused for good.
pub(super) fn refused_for_good<'a>(
    account: &DesiredAccount,
    codes: &BTreeSet<i32>,
    exits: &'a [Exit],
) -> Option<(i32, &'a str)> {
    let refusal = |exit: &'a Exit| match &exit.front {
        FrontState::Refused { code, message } if fits(account, exit) && codes.contains(code) => {
            Some((*code, message.as_str()))
        }
        _ => None,
    };
    let [.., before, last] = exits else { return None };
    refusal(before).and(refusal(last))
}

/// How many unwanted exits of what the account asks for now lie within the window, and when the oldest of them leaves it.
pub(super) fn crashes(
    policy: &Policy,
    account: &DesiredAccount,
    ended_sick: &BTreeSet<Incarnation>,
    exits: &[Exit],
    now: Mono,
) -> (u32, Option<Mono>) {
    let leaves = |exit: &Exit| exit.at.plus_ms(policy.crash_window_ms);
    let within = exits.iter().filter(|e| fits(account, e) && is_unwanted(policy, ended_sick, e) && leaves(e) > now);
    let leaving: Vec<Mono> = within.map(leaves).collect();
    (u32::try_from(leaving.len()).unwrap_or(u32::MAX), leaving.into_iter().min())
}

/// The delay after the `row`th exit, without jitter.
fn delay_ms(policy: &Policy, row: u32) -> u64 {
    let doubled = 2_u64.saturating_pow(row.saturating_sub(1));
    policy.backoff_min_ms.saturating_mul(doubled).min(policy.backoff_max_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_from_its_least_to_its_most() {
        let policy = Policy::default();
        let delays: Vec<u64> = [1, 2, 3, 4, 5, 6, 7, 8, 1_000].map(|row| delay_ms(&policy, row)).into();
        assert_eq!(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    }
}
