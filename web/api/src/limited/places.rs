//! How many connections there may be, and who gives way.
//!
//! A newcomer always gets a place as long as somebody only waits: whoever has waited longest without asking anything, or without
//! having shown who they are, gives way, of the newcomer's own address first. So half-open connections push out one another, and
//! somebody who asks at once is answered.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::progress::Progress;

/// How many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at once.
    pub(super) connections: usize,
    /// Of one address.
    pub(super) of_one: usize,
    /// More of them, for addresses that have next to none.
    pub(super) reserved: usize,
}

/// Whoever has fewer connections than this may have one that is reserved.
const FEW: usize = 4;

/// Whose share it is: an address, or the network that one line of IPv6 gets.
pub(crate) fn share_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// Somebody who holds a place.
#[derive(Debug)]
struct Holder {
    peer: IpAddr,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Held {
    by: BTreeMap<u64, Holder>,
    next: u64,
}

/// The places.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    held: Mutex<Held>,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Admit,
    InPlaceOf(u64),
    Refuse,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, held: Mutex::default() })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `peer`. `has_share` is false for a proxy, which stands for many.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, has_share: bool, progress: &Arc<Progress>) -> Option<Place> {
        let peer = share_of(peer);
        let mut held = self.held();
        loop {
            let all: Vec<_> = held.by.iter().map(|(n, of)| (*n, of.peer, of.progress.waits_since())).collect();
            match verdict(&all, peer, has_share, self.limits) {
                Verdict::Admit => break,
                Verdict::Refuse => return None,
                Verdict::InPlaceOf(n) => {
                    // One that got a request at this very moment stays, and is not chosen again.
                    if held.by.get(&n).is_some_and(|of| of.progress.evict()) {
                        held.by.remove(&n);
                    }
                }
            }
        }
        let number = held.next;
        held.next += 1;
        held.by.insert(number, Holder { peer, progress: Arc::clone(progress) });
        drop(held);
        Some(Place { of: Arc::clone(self), number })
    }
}

/// `held`: number, address, and since when it only waits.
fn verdict(held: &[(u64, IpAddr, Option<Instant>)], peer: IpAddr, has_share: bool, limits: Limits) -> Verdict {
    let of = |whose: IpAddr| held.iter().filter(move |(_, peer, _)| *peer == whose);
    let longest_waiting = |whose: IpAddr| {
        of(whose).filter_map(|(n, _, since)| since.map(|since| (since, *n))).min().map(|(_, number)| number)
    };
    let own = of(peer).count();
    if has_share && own >= limits.of_one {
        return longest_waiting(peer).map_or(Verdict::Refuse, Verdict::InPlaceOf);
    }
    if held.len() < limits.connections {
        return Verdict::Admit;
    }
    let mut counts = BTreeMap::new();
    for (_, peer, _) in held {
        *counts.entry(*peer).or_insert(0) += 1;
    }
    let waiting = held.iter().filter(|(_, _, since)| since.is_some()).map(|(_, peer, _)| *peer);
    if let Some(most) = waiting.max_by_key(|peer| counts.get(peer)) {
        return longest_waiting(most).map_or(Verdict::Refuse, Verdict::InPlaceOf);
    }
    if own < FEW && held.len() < limits.connections + limits.reserved { Verdict::Admit } else { Verdict::Refuse }
}

/// One place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Arc<Places>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.held().by.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: Limits = Limits { connections: 4, of_one: 3, reserved: 2 };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn whoever_waited_longest_gives_way_and_whoever_is_answered_never_does() {
        let began = Instant::now();
        let waits = |n: u64, peer: u8, for_s: u64| (n, address(peer), Some(began - Duration::from_secs(for_s)));
        let answers = |n: u64, peer: u8| (n, address(peer), None);
        let table: [(&str, Vec<_>, u8, Verdict); 8] = [
            ("there is room", vec![waits(1, 1, 5)], 2, Verdict::Admit),
            ("own share is used up", vec![waits(1, 1, 5), waits(2, 1, 9), answers(3, 1)], 1, Verdict::InPlaceOf(2)),
            ("own share is used up", vec![answers(1, 1), answers(2, 1), answers(3, 1)], 1, Verdict::Refuse),
            ("another's share is", vec![answers(1, 1), answers(2, 1), answers(3, 1)], 2, Verdict::Admit),
            (
                "all is full: of those who have most",
                vec![waits(1, 1, 90), waits(2, 2, 5), waits(3, 2, 6), answers(4, 3)],
                4,
                Verdict::InPlaceOf(3),
            ),
            ("all is busy", vec![answers(1, 1), answers(2, 1), answers(3, 1), answers(4, 2)], 3, Verdict::Admit),
            (
                "the reserve is used up too",
                vec![answers(1, 1), answers(2, 1), answers(3, 1), answers(4, 2), answers(5, 3), answers(6, 4)],
                5,
                Verdict::Refuse,
            ),
            ("who has much", vec![answers(1, 1), answers(2, 1), answers(3, 1), answers(4, 2)], 1, Verdict::Refuse),
        ];
        for (case, held, newcomer, expected) in table {
            assert_eq!(verdict(&held, address(newcomer), true, LIMITS), expected, "{case}: {held:?}");
        }
        let own = vec![answers(1, 1), answers(2, 1), answers(3, 1)];
        assert_eq!(verdict(&own, address(1), false, LIMITS), Verdict::Admit, "a proxy stands for many");
    }

    #[test]
    fn one_line_of_ipv6_has_one_share() {
        let share = |text: &str| share_of(text.parse().expect("an address"));
        assert_eq!(share("2001:db8::1"), share("2001:db8::ffff:1"));
        assert_ne!(share("2001:db8::1"), share("2001:db8:0:1::1"));
        assert_eq!(share("::ffff:10.1.2.3"), share("10.1.2.3"));
        assert_ne!(share("10.1.2.3"), share("10.1.2.4"));
    }
}
