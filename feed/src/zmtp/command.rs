//! Commands: `name length | name | data`.

use super::fault::{Fault, quoted};
use super::frame;

/// Longest context of a PING that is echoed; more is cut off, as libzmq does.
const CONTEXT_BYTES_MAX: usize = 16;

/// A command of a peer, borrowed from its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// Its handshake; [`socket_type`] reads the properties.
    Ready(&'a [u8]),
    /// PLAIN's first: [`name_and_password`] reads it.
    Hello(&'a [u8]),
    /// PLAIN's READY of a peer.
    Initiate(&'a [u8]),
    /// It gives up, for this reason.
    Error(&'a [u8]),
    /// It wants topics that begin so.
    Subscribe(&'a [u8]),
    /// It wants them no more.
    Cancel(&'a [u8]),
    /// It asks for a sign of life.
    Ping {
        /// It promises to be heard again within so many milliseconds; 0 promises nothing.
        ttl_ms: u64,
        /// To be echoed.
        context: &'a [u8],
    },
    /// Any other, by name.
    Other(&'a [u8]),
}

/// Reads a command frame's body.
///
/// # Errors
/// When it has no name, or a PING no time to live.
pub(crate) fn parse(body: &[u8]) -> Result<Command<'_>, Fault> {
    let (&length, rest) = body.split_first().ok_or(Fault::CommandName)?;
    let (name, data) = rest.split_at_checked(usize::from(length)).ok_or(Fault::CommandName)?;
    Ok(match name {
        b"" => return Err(Fault::CommandName),
        b"READY" => Command::Ready(data),
        b"HELLO" => Command::Hello(data),
        b"INITIATE" => Command::Initiate(data),
        b"ERROR" => Command::Error(data.split_first().map_or(data, |(_, reason)| reason)),
        b"SUBSCRIBE" => Command::Subscribe(data),
        b"CANCEL" => Command::Cancel(data),
        b"PING" => {
            let (ttl_ds, context) = data.split_first_chunk::<2>().ok_or(Fault::Ping)?;
            let context = context.get(..CONTEXT_BYTES_MAX).unwrap_or(context);
            Command::Ping { ttl_ms: u64::from(u16::from_be_bytes(*ttl_ds)) * 100, context }
        }
        other => Command::Other(other),
    })
}

/// Checks a READY's properties: well-formed, and a socket type that may subscribe.
///
/// # Errors
/// [`Fault::Metadata`] or [`Fault::SocketType`].
pub(crate) fn check_ready(mut data: &[u8]) -> Result<(), Fault> {
    let mut socket_type = None;
    while let Some((&name_length, rest)) = data.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(name_length)).ok_or(Fault::Metadata)?;
        let (value_length, rest) = rest.split_first_chunk::<4>().ok_or(Fault::Metadata)?;
        let value_length = usize::try_from(u32::from_be_bytes(*value_length)).map_err(|_| Fault::Metadata)?;
        let (value, rest) = rest.split_at_checked(value_length).ok_or(Fault::Metadata)?;
        if name.is_empty() {
            return Err(Fault::Metadata);
        }
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            socket_type = Some(value);
        }
        data = rest;
    }
    match socket_type {
        Some(b"SUB" | b"XSUB") => Ok(()),
        other => Err(Fault::SocketType(other.map_or_else(|| "not given".to_owned(), quoted))),
    }
}

/// Reads a HELLO: name and password.
///
/// # Errors
/// [`Fault::Hello`] when it is not two texts, each behind its length.
pub(crate) fn name_and_password(data: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let (name, rest) = text(data).ok_or(Fault::Hello)?;
    let (password, rest) = text(rest).ok_or(Fault::Hello)?;
    if rest.is_empty() { Ok((name, password)) } else { Err(Fault::Hello) }
}

/// A text behind its length, and what follows it.
fn text(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// Appends a WELCOME: the password was right.
pub(crate) fn put_welcome(out: &mut Vec<u8>) {
    frame::put_command(out, b"\x07WELCOME");
}

/// Appends what tells a PLAIN peer that its password is wrong: an ERROR as libzmq spells it. Its source says `"\x05ERROR"`,
/// where the escape swallows the E, so that neither end of it knows ERROR by the name that 24/ZMTP-PLAIN gives it. 400 is
/// what its clients show as the status of the event.
pub(crate) fn put_wrong_password(out: &mut Vec<u8>) {
    frame::put_command(out, b"\x5eRROR\x03400");
}

/// Appends a PING that promises nothing and has no context.
pub(crate) fn put_ping(out: &mut Vec<u8>) {
    frame::put_command(out, b"\x04PING\0\0");
}

/// Appends the server's READY.
pub(crate) fn put_ready(out: &mut Vec<u8>) {
    frame::put_command(out, b"\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB");
}

/// Appends a PONG.
pub(crate) fn put_pong(out: &mut Vec<u8>, context: &[u8]) {
    let mut body = [0; 5 + CONTEXT_BYTES_MAX];
    let kept = context.len().min(CONTEXT_BYTES_MAX);
    body[..5].copy_from_slice(b"\x04PONG");
    body[5..5 + kept].copy_from_slice(&context[..kept]);
    frame::put_command(out, &body[..5 + kept]);
}

/// Appends an ERROR; the reason's first 255 bytes.
pub(crate) fn put_error(out: &mut Vec<u8>, reason: &[u8]) {
    let kept = u8::try_from(reason.len()).unwrap_or(u8::MAX);
    let mut body = b"\x05ERROR".to_vec();
    body.push(kept);
    body.extend_from_slice(&reason[..usize::from(kept)]);
    frame::put_command(out, &body);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes_of_the_servers_commands() {
        let mut out = Vec::new();
        put_ready(&mut out);
        assert_eq!(out, b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB");
        out.clear();
        put_pong(&mut out, b"abc");
        assert_eq!(out, b"\x04\x08\x04PONGabc");
        out.clear();
        put_error(&mut out, b"no");
        assert_eq!(out, b"\x04\x09\x05ERROR\x02no");
        out.clear();
        put_welcome(&mut out);
        put_ping(&mut out);
        put_wrong_password(&mut out);
        assert_eq!(out, b"\x04\x08\x07WELCOME\x04\x07\x04PING\0\0\x04\x09^RROR\x03400");
    }

    #[test]
    fn every_command_is_read() {
        for (body, expected) in [
            (&b"\x05READYxyz"[..], Command::Ready(b"xyz")),
            (b"\x05HELLO\x01a\x00", Command::Hello(b"\x01a\x00")),
            (b"\x08INITIATE", Command::Initiate(b"")),
            (b"\x05ERROR\x02no", Command::Error(b"no")),
            (b"\x09SUBSCRIBErb", Command::Subscribe(b"rb")),
            (b"\x09SUBSCRIBE", Command::Subscribe(b"")),
            (b"\x06CANCELrb", Command::Cancel(b"rb")),
            (b"\x04PING\x00\x1e", Command::Ping { ttl_ms: 3000, context: b"" }),
            (b"\x04PING\x00\x00hello", Command::Ping { ttl_ms: 0, context: b"hello" }),
            (b"\x04PING\xff\xff0123456789abcdefgh", Command::Ping { ttl_ms: 6_553_500, context: b"0123456789abcdef" }),
            (b"\x04PONGx", Command::Other(b"PONG")),
            (b"\x05readyx", Command::Other(b"ready")),
        ] {
            assert_eq!(parse(body), Ok(expected));
        }
    }

    #[test]
    fn a_command_without_its_parts_is_refused() {
        for (body, fault) in
            [(&b""[..], Fault::CommandName), (b"\x00x", Fault::CommandName), (b"\x05REA", Fault::CommandName)]
        {
            assert_eq!(parse(body), Err(fault));
        }
        assert_eq!(parse(b"\x04PING\x00"), Err(Fault::Ping));
    }

    #[test]
    fn only_sub_and_xsub_may_subscribe() {
        assert_eq!(check_ready(b"\x0bSocket-Type\0\0\0\x03SUB"), Ok(()));
        assert_eq!(check_ready(b"\x08Identity\0\0\0\0\x0bsocket-TYPE\0\0\0\x04XSUB"), Ok(()));
        assert_eq!(check_ready(b"\x0bSocket-Type\0\0\0\x04PULL"), Err(Fault::SocketType("\"PULL\"".into())));
        assert_eq!(check_ready(b""), Err(Fault::SocketType("not given".into())));
        for malformed in [&b"\x0bSocket"[..], b"\x01a\0\0\0", b"\x01a\xff\xff\xff\xffx", b"\0\0\0\0\0"] {
            assert_eq!(check_ready(malformed), Err(Fault::Metadata));
        }
    }

    #[test]
    fn a_hello_is_two_texts_and_nothing_else() {
        assert_eq!(name_and_password(b"\x04desk\x03key"), Ok((&b"desk"[..], &b"key"[..])));
        assert_eq!(name_and_password(b"\0\0"), Ok((&b""[..], &b""[..])));
        for malformed in [&b""[..], b"\x04desk", b"\x05desk", b"\x04desk\x04key", b"\0\0\0"] {
            assert_eq!(name_and_password(malformed), Err(Fault::Hello));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_fall(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (parse(&bytes), check_ready(&bytes), name_and_password(&bytes));
        }
    }
}
