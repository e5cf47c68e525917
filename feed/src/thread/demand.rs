//! Subscriptions to contracts that nobody feeds, and what is asked for upstream because of them.
//!
//! Only whole names of contracts count, only such as their exchange could have, and only so many: a peer can make the hub
//! subscribe little, slowly, and nothing for ever. That a subscriber has left is found by looking once a second, so that
//! nothing is lost when a message is.

mod grammar;
mod nearest;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use mdhub_spec::contract::Contract;
use mdhub_spec::plane::RouteTable;
use mdhub_spec::product::Products;
use mdhub_spec::settings::{DemandPolicy, Publish};
use mdhub_spec::time::Mono;

use crate::zmtp::{Named, PeerRef, Server};

/// Most contracts that one peer may ask for.
pub(super) const PEER_DEMANDS_MAX: u32 = 200;
/// Most contracts that all of them together may.
pub(super) const DEMANDS_MAX: usize = 1_000;
/// Most contracts that are newly asked for upstream at once; then one each [`ASK_EVERY_MS`].
const ASKED_AT_ONCE: u64 = 20;
/// 20 a second.
const ASK_EVERY_MS: u64 = 50;
/// How often it is looked whether subscribers are still there.
const LOOK_EVERY_MS: u64 = 1_000;
/// Most notices in [`LOOK_EVERY_MS`].
const NOTICES_MAX: usize = 20;
/// Subscriptions looked at in one turn after the routes have changed.
const PLACES_A_TURN: usize = 256;
/// Without a route table for so long, no contract is fed: the subscribers of before a restart come back sooner than that.
const ROUTES_WITHIN_MS: u64 = 5_000;

/// What is known of subscribers; the server knows it.
pub(super) trait Audience {
    /// Whether this peer is there and subscribes this very name.
    fn subscribes(&self, peer: PeerRef, name: &str) -> bool;
    /// Some peer that subscribes this very name; one with a token, if only such count.
    fn subscriber(&self, name: &str, needs_token: bool) -> Option<PeerRef>;
    /// Subscriptions that look like contracts, at so many places from `from` on; `None` at the end.
    fn named(&self, from: usize, places: usize) -> Option<Vec<Named>>;
    /// Names of topics before and behind this one.
    fn around(&self, name: &str, reach: usize) -> Vec<&str>;
}

impl Audience for Server {
    fn subscribes(&self, peer: PeerRef, name: &str) -> bool {
        self.subscribes(peer, name)
    }

    fn subscriber(&self, name: &str, needs_token: bool) -> Option<PeerRef> {
        self.subscriber(name, needs_token)
    }

    fn named(&self, from: usize, places: usize) -> Option<Vec<Named>> {
        self.named(from, places)
    }

    fn around(&self, name: &str, reach: usize) -> Vec<&str> {
        self.around(name, reach)
    }
}

/// What became of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Demanded,
    Refused,
    Unknown,
    Dropped,
}

/// For `_hub.contract`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) why: Option<String>,
    pub(super) nearest: Option<String>,
}

/// A contract that somebody wants.
#[derive(Debug)]
struct Wanted {
    /// Who it is counted for.
    by: PeerRef,
    /// Whether it is asked for upstream; else it waits for its turn.
    is_asked: bool,
    /// Since when nobody subscribes it.
    left_at: Option<Mono>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Demands {
    policy: DemandPolicy,
    linger_ms: u64,
    products: Products,
    routes: Arc<RouteTable>,
    /// From then on what is not routed is not fed.
    routed_from: Mono,
    wanted: BTreeMap<Contract, Wanted>,
    waiting: VecDeque<Contract>,
    by_peer: HashMap<PeerRef, u32>,
    /// The instant at which [`ASKED_AT_ONCE`] may be asked for again.
    ask_whole_at: Mono,
    look_at: Mono,
    /// Where the look at all subscriptions stands; `None` when none is due.
    place: Option<usize>,
    notices: Vec<Notice>,
    noticed: usize,
    refused: u64,
    is_changed: bool,
}

impl Demands {
    pub(super) fn new(publish: &Publish, products: Products, now: Mono) -> Self {
        Self {
            policy: publish.demand,
            linger_ms: publish.demand_linger_ms,
            products,
            routes: Arc::default(),
            routed_from: now.plus_ms(ROUTES_WITHIN_MS),
            wanted: BTreeMap::new(),
            waiting: VecDeque::new(),
            by_peer: HashMap::new(),
            ask_whole_at: now,
            look_at: now,
            place: Some(0),
            notices: Vec::new(),
            noticed: 0,
            refused: 0,
            is_changed: false,
        }
    }

    /// From now on this policy is in force.
    pub(super) fn set_policy(&mut self, publish: &Publish) {
        self.policy = publish.demand;
        self.linger_ms = publish.demand_linger_ms;
        self.place = Some(0);
    }

    /// From now on these products are known.
    pub(super) fn set_products(&mut self, products: Products) {
        self.products = products;
    }

    /// From now on this table says what is fed.
    pub(super) fn set_routes(&mut self, routes: Arc<RouteTable>, now: Mono) {
        let contracts = |table: &RouteTable| table.routes.len();
        let same = contracts(&self.routes) == contracts(&routes)
            && self.routes.routes.iter().zip(&routes.routes).all(|(a, b)| a.contract == b.contract);
        if !same || now < self.routed_from {
            self.place = Some(0);
        }
        self.routed_from = self.routed_from.min(now);
        self.routes = routes;
    }

    /// Contracts that are asked for upstream, sorted.
    pub(super) fn asked(&self) -> impl Iterator<Item = &Contract> {
        self.wanted.iter().filter(|(_, wanted)| wanted.is_asked).map(|(contract, _)| contract)
    }

    /// Whether [`Demands::asked`] has changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// Subscriptions that were refused since the last call.
    pub(super) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// What subscribers are to be told.
    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Somebody subscribed what looks like a contract.
    pub(super) fn subscribed(&mut self, named: &Named, audience: &impl Audience, now: Mono) {
        if now < self.routed_from {
            return;
        }
        let name = named.name.as_str();
        let contract = match name.parse::<Contract>() {
            Ok(contract) => contract,
            Err(error) => return self.refuse(name, State::Unknown, &error.to_string(), audience),
        };
        if let Some(wanted) = self.wanted.get_mut(&contract) {
            wanted.left_at = None;
            return;
        }
        if self.routes.routes.binary_search_by(|route| route.contract.cmp(&contract)).is_ok() {
            return;
        }
        if let Err(why) = grammar::check(&contract, &self.products) {
            return self.refuse(name, State::Unknown, &why, audience);
        }
        let allowed = match self.policy {
            DemandPolicy::All => Ok(()),
            DemandPolicy::Authenticated if named.has_token => Ok(()),
            DemandPolicy::Authenticated => Err("publish.demand asks for a token".to_owned()),
            DemandPolicy::Off => Err("publish.demand is off".to_owned()),
        };
        if let Err(why) = allowed.and_then(|()| self.room(named.peer)) {
            return self.refuse(name, State::Refused, &why, audience);
        }
        *self.by_peer.entry(named.peer).or_default() += 1;
        self.wanted.insert(contract.clone(), Wanted { by: named.peer, is_asked: false, left_at: None });
        self.waiting.push_back(contract);
    }

    /// Makes sure that there is a place for one more of this peer.
    fn room(&mut self, peer: PeerRef) -> Result<(), String> {
        if self.by_peer.get(&peer).is_some_and(|demands| *demands >= PEER_DEMANDS_MAX) {
            return Err(format!("one subscriber may ask for {PEER_DEMANDS_MAX} contracts that nobody feeds"));
        }
        if self.wanted.len() >= DEMANDS_MAX {
            // Nobody wants it any more: it only lingers.
            let lingers = self.wanted.iter().filter_map(|(contract, wanted)| Some((wanted.left_at?, contract)));
            let Some((_, oldest)) = lingers.min() else {
                return Err(format!("all subscribers may ask for {DEMANDS_MAX} contracts that nobody feeds"));
            };
            let oldest = oldest.clone();
            self.forget(&oldest);
        }
        Ok(())
    }

    /// Asks for what waits, gives up what nobody wants, and looks at all subscriptions after the routes have changed. When
    /// it is to be called again; at once means in the next turn.
    pub(super) fn tend(&mut self, audience: &impl Audience, now: Mono) -> Option<Mono> {
        if now < self.routed_from {
            return Some(self.routed_from);
        }
        if let Some(place) = self.place {
            let named = audience.named(place, PLACES_A_TURN);
            self.place = named.as_ref().map(|_| place + PLACES_A_TURN);
            for named in named.iter().flatten() {
                self.subscribed(named, audience, now);
            }
        }
        self.ask(now);
        if now >= self.look_at {
            self.look_at = now.plus_ms(LOOK_EVERY_MS);
            self.noticed = 0;
            self.look(audience, now);
        }
        if self.place.is_some() {
            return Some(now);
        }
        (!self.waiting.is_empty()).then(|| now.plus_ms(ASK_EVERY_MS))
    }

    /// Asks for what waits, as many as may be.
    fn ask(&mut self, now: Mono) {
        while self.ask_whole_at <= now.plus_ms((ASKED_AT_ONCE - 1) * ASK_EVERY_MS) {
            let Some(contract) = self.waiting.pop_front() else { return };
            let Some(wanted) = self.wanted.get_mut(&contract).filter(|wanted| !wanted.is_asked) else { continue };
            wanted.is_asked = true;
            self.is_changed = true;
            self.ask_whole_at = self.ask_whole_at.max(now).plus_ms(ASK_EVERY_MS);
            self.notice(contract.vt_symbol(), State::Demanded, None, None);
        }
    }

    /// Finds out which contracts are still wanted.
    fn look(&mut self, audience: &impl Audience, now: Mono) {
        let needs_token = self.policy == DemandPolicy::Authenticated;
        let mut over = Vec::new();
        for (contract, wanted) in &mut self.wanted {
            let name = contract.vt_symbol();
            if self.policy != DemandPolicy::Off {
                if audience.subscribes(wanted.by, &name) {
                    wanted.left_at = None;
                    continue;
                }
                if let Some(heir) = audience.subscriber(&name, needs_token) {
                    move_count(&mut self.by_peer, wanted.by, Some(heir));
                    (wanted.by, wanted.left_at) = (heir, None);
                    continue;
                }
            }
            let left_at = *wanted.left_at.get_or_insert(now);
            if !wanted.is_asked || now.ms_since(left_at) >= self.linger_ms {
                over.push(contract.clone());
            }
        }
        for contract in over {
            self.forget(&contract);
        }
    }

    fn forget(&mut self, contract: &Contract) {
        let Some(wanted) = self.wanted.remove(contract) else { return };
        move_count(&mut self.by_peer, wanted.by, None);
        if wanted.is_asked {
            self.is_changed = true;
            self.notice(contract.vt_symbol(), State::Dropped, None, None);
        } else {
            self.waiting.retain(|waiting| waiting != contract);
        }
    }

    fn refuse(&mut self, name: &str, state: State, why: &str, audience: &impl Audience) {
        self.refused += 1;
        if self.noticed < NOTICES_MAX {
            self.notice(name.to_owned(), state, Some(why.to_owned()), nearest::to(name, audience));
        }
    }

    fn notice(&mut self, name: String, state: State, why: Option<String>, nearest: Option<String>) {
        if self.noticed < NOTICES_MAX {
            self.noticed += 1;
            self.notices.push(Notice { name, state, why, nearest });
        }
    }
}

/// One demand is counted for another peer from now on, or for none.
fn move_count(by_peer: &mut HashMap<PeerRef, u32>, from: PeerRef, to: Option<PeerRef>) {
    if let Some(demands) = by_peer.get_mut(&from) {
        *demands -= 1;
        if *demands == 0 {
            by_peer.remove(&from);
        }
    }
    if let Some(to) = to {
        *by_peer.entry(to).or_default() += 1;
    }
}

#[cfg(test)]
mod tests;
