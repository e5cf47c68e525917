//! Who may subscribe: tokens, addresses, and how often somebody may guess.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use mdhub_spec::settings::{Network, Publish};
use mdhub_spec::time::Mono;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::greeting::{Mechanism, Offer};

/// Wrong tokens that an address may give at once.
const GUESSES_AT_ONCE: u32 = 10;
/// It may give one more after so long.
const GUESS_EVERY_MS: u64 = 1_000;
/// Most addresses that are remembered for their guesses.
const GUESSERS_MAX: usize = 1_024;

/// A token: its name, and the SHA-256 of its text.
pub(crate) type Token = (Arc<str>, [u8; 32]);

/// Of the settings' section `publish`, what says who may subscribe.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    tokens: Vec<Token>,
    anonymous: bool,
    allow: Vec<Network>,
}

impl From<&Publish> for Access {
    fn from(publish: &Publish) -> Self {
        Self {
            tokens: publish.tokens.iter().map(|t| (t.name.as_str().into(), t.sha256.0)).collect(),
            anonymous: publish.anonymous,
            allow: publish.allow.clone(),
        }
    }
}

impl Access {
    /// Whether somebody at `address` may connect at all.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(address))
    }

    /// The mechanisms that a peer may choose from.
    pub(crate) const fn offer(&self) -> Offer {
        match (self.tokens.is_empty(), self.anonymous) {
            (true, _) => Offer::Only(Mechanism::Null),
            (false, true) => Offer::Either,
            (false, false) => Offer::Only(Mechanism::Plain),
        }
    }

    /// The token of this text. Looks at every one to its end, so that the time taken tells nothing of how near it came.
    pub(crate) fn token(&self, password: &[u8]) -> Option<Token> {
        let given: [u8; 32] = Sha256::digest(password).into();
        let mut found = None;
        for token in &self.tokens {
            if bool::from(token.1.ct_eq(&given)) {
                found = Some(token);
            }
        }
        found.cloned()
    }

    /// Whether who came in by this token, or by none, may stay.
    pub(crate) fn keeps(&self, token: Option<&Token>, address: IpAddr) -> bool {
        let is_known = match token {
            Some(token) => self.tokens.contains(token),
            None => self.tokens.is_empty() || self.anonymous,
        };
        is_known && self.allows(address)
    }
}

/// How many wrong tokens each address may still give. The right one is never counted, and who is in stays in.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    /// The instant at which all guesses are there again.
    whole_at: HashMap<IpAddr, Mono>,
}

/// Addresses that one person easily has many of count as one: an IPv6 network of 64 bits.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

impl Guesses {
    /// Whether a token from there is looked at.
    pub(crate) fn may(&self, address: IpAddr, now: Mono) -> bool {
        let at_once = u64::from(GUESSES_AT_ONCE - 1) * GUESS_EVERY_MS;
        self.whole_at.get(&neighbourhood(address)).is_none_or(|at| *at <= now.plus_ms(at_once))
    }

    /// A wrong one came from there.
    pub(crate) fn wrong(&mut self, address: IpAddr, now: Mono) {
        let address = neighbourhood(address);
        if self.whole_at.len() >= GUESSERS_MAX && !self.whole_at.contains_key(&address) {
            self.whole_at.retain(|_, at| *at > now);
            // Whoever has most guesses left is forgotten.
            if self.whole_at.len() >= GUESSERS_MAX
                && let Some(least) = self.whole_at.iter().min_by_key(|(_, at)| **at).map(|(address, _)| *address)
            {
                self.whole_at.remove(&least);
            }
        }
        let at = self.whole_at.entry(address).or_insert(now);
        *at = (*at).max(now).plus_ms(GUESS_EVERY_MS);
    }
}

#[cfg(test)]
mod tests {
    use mdhub_spec::settings;

    use super::*;

    fn token(name: &str, password: &str) -> settings::Token {
        settings::Token { name: name.into(), sha256: settings::Sha256(Sha256::digest(password).into()) }
    }

    fn access(tokens: &[(&str, &str)], anonymous: bool) -> Access {
        let tokens = tokens.iter().map(|(name, password)| token(name, password)).collect();
        Access::from(&Publish { tokens, anonymous, ..Publish::default() })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_token_is_known_by_its_digest_and_offers_follow_from_the_settings() {
        let two = access(&[("desk", "secret"), ("ops", "other")], false);
        assert_eq!(two.token(b"other").as_ref().map(|t| &*t.0), Some("ops"));
        assert_eq!(two.token(b"secret "), None);
        assert_eq!(access(&[], false).token(b""), None);
        let offers = [access(&[], false), access(&[], true), two, access(&[("a", "b")], true)].map(|a| a.offer());
        let null = Offer::Only(Mechanism::Null);
        assert_eq!(offers, [null, null, Offer::Only(Mechanism::Plain), Offer::Either]);
    }

    #[test]
    fn who_stays_when_the_tokens_change() {
        let before = access(&[("desk", "secret")], true);
        let desk = before.token(b"secret");
        let here = address("127.0.0.1");
        assert!(before.keeps(desk.as_ref(), here) && before.keeps(None, here));
        let renewed = access(&[("desk", "another")], false);
        assert!(!renewed.keeps(desk.as_ref(), here) && !renewed.keeps(None, here));
        assert!(!access(&[], false).keeps(desk.as_ref(), here) && access(&[], false).keeps(None, here));
        let elsewhere = Access { allow: vec!["10.0.0.0/8".to_owned().try_into().expect("a network")], ..before };
        assert!(!elsewhere.keeps(None, here) && elsewhere.keeps(None, address("::ffff:10.1.1.1")));
    }

    #[test]
    fn ten_wrong_tokens_at_once_then_one_a_second_for_each_address() {
        let (mut guesses, start) = (Guesses::default(), Mono(7_000_000_000));
        let tried = |guesses: &mut Guesses, from: &str, now| {
            let mut tried = 0;
            while guesses.may(address(from), now) {
                guesses.wrong(address(from), now);
                tried += 1;
            }
            tried
        };
        assert_eq!(tried(&mut guesses, "10.0.0.1", start), 10);
        assert_eq!(tried(&mut guesses, "10.0.0.1", start.plus_ms(999)), 0);
        assert_eq!(tried(&mut guesses, "10.0.0.1", start.plus_ms(3_000)), 3);
        assert_eq!(tried(&mut guesses, "10.0.0.2", start), 10);
        assert_eq!(tried(&mut guesses, "2001:db8::1", start), 10);
        assert_eq!(tried(&mut guesses, "2001:db8::ffff:1", start), 0);
        assert_eq!(tried(&mut guesses, "10.0.0.1", start.plus_ms(60_000)), 10);
    }

    #[test]
    fn no_more_addresses_are_remembered_than_the_limit_and_the_worst_stay() {
        let (mut guesses, start) = (Guesses::default(), Mono(7_000_000_000));
        for _ in 0..10 {
            guesses.wrong(address("10.0.0.1"), start);
        }
        for n in 0..3 * GUESSERS_MAX as u32 {
            guesses.wrong(IpAddr::V4((0x0b00_0000 + n).into()), start);
        }
        assert_eq!(guesses.whole_at.len(), GUESSERS_MAX);
        assert!(!guesses.may(address("10.0.0.1"), start));
    }
}
