//! The first 64 bytes of a connection: signature, version, mechanism.

use super::fault::{Fault, quoted};

/// Size of a greeting.
pub(crate) const GREETING_BYTES: usize = 64;

const MECHANISM_AT: usize = 12;
const MECHANISM_END: usize = 32;
const AS_SERVER_AT: usize = 32;

/// How a peer proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// It does not.
    Null,
    /// By name and password: 24/ZMTP-PLAIN.
    Plain,
}

/// Which mechanisms a server takes. Both ends of a connection have to name the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// This one.
    Only(Mechanism),
    /// Whichever the peer names: the server names it after the peer.
    Either,
}

impl Offer {
    const fn takes(self, mechanism: Mechanism) -> bool {
        match (self, mechanism) {
            (Self::Either, _)
            | (Self::Only(Mechanism::Null), Mechanism::Null)
            | (Self::Only(Mechanism::Plain), Mechanism::Plain) => true,
            (Self::Only(_), _) => false,
        }
    }

    /// For the log.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Only(Mechanism::Null) => "NULL",
            Self::Only(Mechanism::Plain) => "PLAIN",
            Self::Either => "NULL or PLAIN",
        }
    }
}

/// What a peer's greeting says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Greeted {
    /// How it proves who it is.
    pub(crate) mechanism: Mechanism,
    /// Whether it knows ZMTP 3.1, and so the commands PING and PONG.
    pub(crate) knows_heartbeats: bool,
}

impl Mechanism {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Null => b"NULL",
            Self::Plain => b"PLAIN",
        }
    }

    fn parse(padded: &[u8], offer: Offer) -> Result<Self, Fault> {
        let end = padded.iter().position(|b| *b == 0).unwrap_or(padded.len());
        let (name, padding) = padded.split_at(end);
        let known = [Self::Null, Self::Plain].into_iter().find(|m| m.name() == name);
        known
            .filter(|m| offer.takes(*m) && padding.iter().all(|b| *b == 0))
            .ok_or_else(|| Fault::Mechanism(quoted(name), offer.as_str()))
    }
}

/// The server's own greeting: version 3.1.
pub(crate) fn greeting(mechanism: Mechanism) -> [u8; GREETING_BYTES] {
    let mut out = [0; GREETING_BYTES];
    out[0] = 0xff;
    out[9] = 0x7f;
    out[10] = 3;
    out[11] = 1;
    let name = mechanism.name();
    out[MECHANISM_AT..MECHANISM_AT + name.len()].copy_from_slice(name);
    out[AS_SERVER_AT] = u8::from(mechanism == Mechanism::Plain);
    out
}

/// How much of the greeting a server sends unasked: all of it, or, while it waits for the peer's mechanism, signature and
/// version, which every peer answers.
pub(crate) fn opening(offer: Offer) -> ([u8; GREETING_BYTES], usize) {
    match offer {
        Offer::Only(mechanism) => (greeting(mechanism), GREETING_BYTES),
        Offer::Either => (greeting(Mechanism::Null), MECHANISM_AT),
    }
}

/// The rest of it.
pub(crate) fn rest(offer: Offer, mechanism: Mechanism) -> Vec<u8> {
    match offer {
        Offer::Only(_) => Vec::new(),
        Offer::Either => greeting(mechanism)[MECHANISM_AT..].to_vec(),
    }
}

/// Reads a peer's greeting at the head of `bytes`; `None` while it is incomplete.
///
/// # Errors
/// As soon as a byte is there that no greeting has: the first such byte decides, however the bytes come in.
pub(crate) fn parse(bytes: &[u8], offer: Offer) -> Result<Option<Greeted>, Fault> {
    if bytes.first().is_some_and(|b| *b != 0xff) || bytes.get(9).is_some_and(|b| *b != 0x7f) {
        return Err(Fault::Signature);
    }
    if let Some(major) = bytes.get(10).filter(|major| **major < 3) {
        return Err(Fault::Version(*major));
    }
    let Some(padded) = bytes.get(MECHANISM_AT..MECHANISM_END) else { return Ok(None) };
    let mechanism = Mechanism::parse(padded, offer)?;
    let knows_heartbeats = bytes[10] > 3 || bytes[11] > 0;
    Ok((bytes.len() >= GREETING_BYTES).then_some(Greeted { mechanism, knows_heartbeats }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NULL: Offer = Offer::Only(Mechanism::Null);
    const PLAIN: Offer = Offer::Only(Mechanism::Plain);

    fn with(at: usize, value: u8) -> [u8; GREETING_BYTES] {
        let mut bytes = greeting(Mechanism::Null);
        bytes[at] = value;
        bytes
    }

    #[test]
    fn golden_bytes_of_the_servers_greeting() {
        let mut expected = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1];
        expected.extend(b"NULL");
        expected.resize(64, 0);
        assert_eq!(greeting(Mechanism::Null).to_vec(), expected);
        expected[12..17].copy_from_slice(b"PLAIN");
        expected[32] = 1;
        assert_eq!(greeting(Mechanism::Plain).to_vec(), expected);
        let (bytes, sent) = opening(Offer::Either);
        assert_eq!([&bytes[..sent], &rest(Offer::Either, Mechanism::Plain)].concat(), expected);
        assert_eq!((opening(PLAIN).1, rest(PLAIN, Mechanism::Plain).len()), (GREETING_BYTES, 0));
    }

    #[test]
    fn versions_from_3_0_on_are_taken_and_padding_means_nothing() {
        for (good, knows_heartbeats) in [
            (with(11, 0), false),
            (with(11, 1), true),
            (with(11, 9), true),
            (with(10, 4), true),
            (with(8, 1), true),
            (with(4, 0xee), true),
            (with(63, 7), true),
        ] {
            let greeted = Greeted { mechanism: Mechanism::Null, knows_heartbeats };
            assert_eq!(parse(&good, NULL), Ok(Some(greeted)));
        }
    }

    #[test]
    fn what_is_no_greeting_is_refused_at_its_first_wrong_byte() {
        assert_eq!(parse(b"GET / HTTP/1.1", NULL), Err(Fault::Signature));
        assert_eq!(parse(&with(9, 0)[..10], NULL), Err(Fault::Signature));
        assert_eq!(parse(&with(10, 1)[..11], NULL), Err(Fault::Version(1)));
        let plain = greeting(Mechanism::Plain);
        assert_eq!(parse(&plain[..32], NULL), Err(Fault::Mechanism("\"PLAIN\"".into(), "NULL")));
        assert_eq!(parse(&with(63, 0), PLAIN), Err(Fault::Mechanism("\"NULL\"".into(), "PLAIN")));
        assert!(parse(&with(17, b'X'), Offer::Either).is_err());
    }

    #[test]
    fn whoever_offers_both_takes_what_the_peer_names() {
        for mechanism in [Mechanism::Null, Mechanism::Plain] {
            let greeted = Greeted { mechanism, knows_heartbeats: true };
            assert_eq!(parse(&greeting(mechanism), Offer::Either), Ok(Some(greeted)));
        }
    }

    #[test]
    fn an_incomplete_greeting_waits() {
        let whole = greeting(Mechanism::Null);
        for n in 0..GREETING_BYTES {
            assert_eq!(parse(&whole[..n], NULL), Ok(None), "{n} bytes");
        }
    }
}
