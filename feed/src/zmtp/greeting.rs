//! The first 64 bytes of a connection: signature, version, mechanism.

use super::fault::{Fault, quoted};

/// Size of a greeting.
pub(crate) const GREETING_BYTES: usize = 64;

const MECHANISM_AT: usize = 12;
const MECHANISM_END: usize = 32;

/// How a peer proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// It does not.
    Null,
}

impl Mechanism {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Null => b"NULL",
        }
    }

    fn parse(padded: &[u8]) -> Result<Self, Fault> {
        let end = padded.iter().position(|b| *b == 0).unwrap_or(padded.len());
        let (name, padding) = padded.split_at(end);
        if name == Self::Null.name() && padding.iter().all(|b| *b == 0) {
            Ok(Self::Null)
        } else {
            Err(Fault::Mechanism(quoted(name)))
        }
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
    out
}

/// Reads a peer's greeting at the head of `bytes`; `None` while it is incomplete.
///
/// # Errors
/// As soon as a byte is there that no greeting has: the first such byte decides, however the bytes come in.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Mechanism>, Fault> {
    if bytes.first().is_some_and(|b| *b != 0xff) || bytes.get(9).is_some_and(|b| *b != 0x7f) {
        return Err(Fault::Signature);
    }
    if let Some(major) = bytes.get(10).filter(|major| **major < 3) {
        return Err(Fault::Version(*major));
    }
    let Some(padded) = bytes.get(MECHANISM_AT..MECHANISM_END) else { return Ok(None) };
    let mechanism = Mechanism::parse(padded)?;
    Ok((bytes.len() >= GREETING_BYTES).then_some(mechanism))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn versions_from_3_0_on_are_taken_and_padding_means_nothing() {
        for good in [with(11, 0), with(11, 1), with(11, 9), with(10, 4), with(8, 1), with(4, 0xee), with(63, 7)] {
            assert_eq!(parse(&good), Ok(Some(Mechanism::Null)));
        }
    }

    #[test]
    fn what_is_no_greeting_is_refused_at_its_first_wrong_byte() {
        assert_eq!(parse(b"GET / HTTP/1.1"), Err(Fault::Signature));
        assert_eq!(parse(&with(9, 0)[..10]), Err(Fault::Signature));
        assert_eq!(parse(&with(10, 1)[..11]), Err(Fault::Version(1)));
        let mut plain = greeting(Mechanism::Null);
        plain[12..17].copy_from_slice(b"PLAIN");
        assert_eq!(parse(&plain[..32]), Err(Fault::Mechanism("\"PLAIN\"".into())));
        assert!(parse(&with(17, b'X')).is_err());
    }

    #[test]
    fn an_incomplete_greeting_waits() {
        let whole = greeting(Mechanism::Null);
        for n in 0..GREETING_BYTES {
            assert_eq!(parse(&whole[..n]), Ok(None), "{n} bytes");
        }
    }
}
