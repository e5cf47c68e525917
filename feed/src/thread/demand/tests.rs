use std::collections::BTreeSet;

use mdhub_spec::plane::{Route, SourceMask};

use super::*;

/// Subscribers without a server: (peer, name, has a token).
#[derive(Default)]
struct Fake {
    subscriptions: BTreeSet<(u32, String, bool)>,
    topics: BTreeSet<String>,
}

fn peer(number: u32) -> PeerRef {
    PeerRef::for_tests(number)
}

impl Audience for Fake {
    fn subscribes(&self, of: PeerRef, name: &str) -> bool {
        self.subscriptions.iter().any(|(p, n, _)| peer(*p) == of && n == name)
    }

    fn subscriber(&self, name: &str, needs_token: bool) -> Option<PeerRef> {
        let found = self.subscriptions.iter().find(|(_, n, token)| n == name && (*token || !needs_token));
        found.map(|(p, ..)| peer(*p))
    }

    fn named(&self, from: usize, places: usize) -> Option<Vec<Named>> {
        let some: Vec<Named> = self.subscriptions.iter().skip(from).take(places).map(named).collect();
        (!some.is_empty()).then_some(some)
    }

    fn around(&self, name: &str, reach: usize) -> Vec<&str> {
        let behind = self.topics.range(name.to_owned()..).take(reach);
        self.topics.range(..name.to_owned()).rev().take(reach).chain(behind).map(String::as_str).collect()
    }
}

fn named((number, name, has_token): &(u32, String, bool)) -> Named {
    Named { name: name.clone(), peer: peer(*number), has_token: *has_token }
}

const START: Mono = Mono(9_000_000_000);

struct Fixture {
    demands: Demands,
    fake: Fake,
    now: Mono,
}

impl Fixture {
    fn new(policy: DemandPolicy) -> Self {
        let publish = Publish { demand: policy, demand_linger_ms: 60_000, ..Publish::default() };
        let mut demands = Demands::new(&publish, Products::shipped(), START);
        demands.set_routes(routes(&["rb2701.SHFE"]), START);
        let topics = ["rb2701.SHFE", "rb2705.SHFE", "MA701.CZCE"].map(String::from).into();
        let fake = Fake { topics, ..Fake::default() };
        demands.tend(&fake, START);
        Self { demands, fake, now: START }
    }

    fn subscribe(&mut self, peer: u32, name: &str, has_token: bool) {
        let subscription = (peer, name.to_owned(), has_token);
        self.demands.subscribed(&named(&subscription), &self.fake, self.now);
        self.fake.subscriptions.insert(subscription);
    }

    fn leave(&mut self, peer: u32) {
        self.fake.subscriptions.retain(|(p, ..)| *p != peer);
    }

    fn after_ms(&mut self, ms: u64) -> Vec<String> {
        let until = self.now.plus_ms(ms);
        while self.now < until {
            self.now = until.min(self.now.plus_ms(50));
            self.demands.tend(&self.fake, self.now);
        }
        self.asked()
    }

    fn asked(&self) -> Vec<String> {
        self.demands.asked().map(Contract::vt_symbol).collect()
    }

    fn notices(&mut self) -> Vec<(State, String)> {
        self.demands.take_notices().into_iter().map(|n| (n.state, n.name)).collect()
    }
}

fn routes(contracts: &[&str]) -> Arc<RouteTable> {
    let route = |c: &&str| Route { contract: c.parse().expect("a contract"), sources: SourceMask::NONE, primary: None };
    let mut routes: Vec<Route> = contracts.iter().map(route).collect();
    routes.sort_by(|a, b| a.contract.cmp(&b.contract));
    Arc::new(RouteTable { revision: 1, routes })
}

#[test]
fn a_contract_that_nobody_feeds_is_asked_for_until_its_last_subscriber_is_long_gone() {
    let mut f = Fixture::new(DemandPolicy::All);
    f.subscribe(1, "rb2701.SHFE", false);
    f.subscribe(1, "ag2702.SHFE", false);
    f.subscribe(2, "ag2702.SHFE", false);
    assert_eq!(f.after_ms(50), ["ag2702.SHFE"]);
    assert!(f.demands.take_changed() && !f.demands.take_changed());
    f.demands.set_routes(routes(&["rb2701.SHFE", "ag2702.SHFE"]), f.now);
    f.leave(1);
    assert_eq!(f.after_ms(120_000), ["ag2702.SHFE"], "the other one still wants it");
    f.leave(2);
    assert_eq!(f.after_ms(30_000), ["ag2702.SHFE"]);
    f.subscribe(3, "ag2702.SHFE", false);
    assert_eq!(f.after_ms(120_000), ["ag2702.SHFE"], "somebody came back in time");
    f.leave(3);
    assert!(f.after_ms(62_000).is_empty());
    assert!(f.demands.take_changed() && f.demands.by_peer.is_empty());
    let name = "ag2702.SHFE".to_owned();
    assert_eq!(f.notices(), [(State::Demanded, name.clone()), (State::Dropped, name)]);
}

#[test]
fn nobody_is_judged_before_it_is_known_what_is_fed() {
    let publish = Publish::default();
    let mut f = Fixture::new(DemandPolicy::All);
    f.demands = Demands::new(&publish, Products::shipped(), START);
    f.subscribe(1, "rb2701.SHFE", false);
    f.subscribe(1, "ag2702.SHFE", false);
    f.subscribe(1, "nonsense.X", false);
    assert!(f.after_ms(4_000).is_empty());
    f.demands.set_routes(routes(&["rb2701.SHFE"]), f.now);
    assert_eq!(f.after_ms(200), ["ag2702.SHFE"]);
    assert_eq!(f.notices(), [(State::Unknown, "nonsense.X".into()), (State::Demanded, "ag2702.SHFE".into())]);
    let mut f = Fixture::new(DemandPolicy::All);
    f.demands = Demands::new(&publish, Products::shipped(), START);
    f.subscribe(1, "ag2702.SHFE", false);
    assert_eq!(f.after_ms(6_000), ["ag2702.SHFE"], "a hub without contracts has no table");
}

#[test]
fn a_contract_that_is_no_longer_fed_is_asked_for() {
    let mut f = Fixture::new(DemandPolicy::All);
    f.subscribe(1, "rb2701.SHFE", false);
    assert!(f.after_ms(2_000).is_empty());
    f.demands.set_routes(routes(&["MA701.CZCE"]), f.now);
    assert_eq!(f.after_ms(200), ["rb2701.SHFE"]);
}

#[test]
fn the_policy_says_whose_subscriptions_count() {
    for (policy, has_token, expected) in [
        (DemandPolicy::Off, true, 0),
        (DemandPolicy::Authenticated, false, 0),
        (DemandPolicy::Authenticated, true, 1),
        (DemandPolicy::All, false, 1),
    ] {
        let mut f = Fixture::new(policy);
        f.subscribe(1, "ag2702.SHFE", has_token);
        assert_eq!(f.after_ms(2_000).len(), expected, "{policy:?} {has_token}");
        assert_eq!(f.demands.take_refused() as usize, 1 - expected);
    }
    let mut f = Fixture::new(DemandPolicy::Authenticated);
    f.subscribe(1, "ag2702.SHFE", true);
    f.after_ms(100);
    f.leave(1);
    f.subscribe(2, "ag2702.SHFE", false);
    assert!(f.after_ms(70_000).is_empty(), "one without a token keeps nothing alive");
}

fn many(f: &mut Fixture, peer: u32, from: usize, count: usize) {
    for n in from..from + count {
        f.subscribe(peer, &format!("cu2{:03}{}{}.SHFE", 701 + n % 12, ['C', 'P'][n / 12 % 2], 1_000 + n), false);
    }
}

#[test]
fn one_peer_may_ask_for_200_and_all_for_1000_and_20_a_second() {
    let mut f = Fixture::new(DemandPolicy::All);
    many(&mut f, 0, 0, 50_000);
    assert_eq!((f.demands.wanted.len(), f.demands.take_refused()), (200, 49_800));
    f.demands.tend(&f.fake, f.now);
    assert_eq!(f.asked().len(), 20);
    assert_eq!(f.after_ms(1_000).len(), 40);
    assert_eq!(f.after_ms(8_000).len(), 200);
    for peer in 1..8 {
        many(&mut f, peer, 60_000 + 1_000 * peer as usize, 200);
    }
    assert_eq!(f.demands.wanted.len(), DEMANDS_MAX);
    // A lingering one gives way to one that is wanted.
    f.leave(0);
    f.after_ms(2_000);
    f.subscribe(9, "ag2702.SHFE", false);
    assert_eq!(f.demands.wanted.len(), DEMANDS_MAX);
    assert!(f.after_ms(60_000).contains(&"ag2702.SHFE".to_owned()));
    for peer in 1..10 {
        f.leave(peer);
    }
    f.after_ms(70_000);
    assert_eq!((f.demands.wanted.len(), f.demands.by_peer.len(), f.demands.waiting.len()), (0, 0, 0));
}

#[test]
fn notices_are_few_and_name_what_was_meant() {
    let mut f = Fixture::new(DemandPolicy::All);
    for (name, nearest) in [
        ("RB2701.SHFE", Some("rb2701.SHFE")),
        ("rb2701.shfe", Some("rb2701.SHFE")),
        ("rb2701.SHEF", Some("rb2701.SHFE")),
        ("ma2701.CZCE", Some("MA701.CZCE")),
        ("zzzzzzzzzzzz.GFEX", None),
    ] {
        f.subscribe(1, name, false);
        let notices = f.demands.take_notices();
        assert_eq!(notices.len(), 1, "{name}");
        assert_eq!((notices[0].state, notices[0].nearest.as_deref()), (State::Unknown, nearest), "{name}");
        assert!(notices[0].why.is_some());
    }
    for n in 0..1_000 {
        f.subscribe(1, &format!("x{n}.SHFE"), false);
    }
    assert_eq!(f.demands.take_notices().len(), NOTICES_MAX - 5);
    f.after_ms(2_000);
    f.subscribe(1, "y.SHFE", false);
    assert_eq!(f.demands.take_notices().len(), 1, "the next second has room again");
}
