//! What one peer says, from its first byte on. Takes bytes in any chunks, gives events in order, keeps no more than one
//! unfinished frame.

use super::command::{self, Command};
use super::fault::{Fault, quoted};
use super::frame::{self, Frame};
use super::greeting::{self, GREETING_BYTES, Mechanism, Offer};

/// Something that a peer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// Its greeting was good, and names this mechanism.
    Greeted(Mechanism),
    /// It says who it is: to be welcomed, or refused by an error.
    Hello {
        /// Whatever it calls itself.
        name: &'a [u8],
        /// Its token.
        password: &'a [u8],
    },
    /// Its READY was good: it is to be answered with ours, and is a subscriber from now on.
    Ready,
    /// It wants topics that begin so.
    Subscribe(&'a [u8]),
    /// It wants them no more.
    Cancel(&'a [u8]),
    /// It asks for a PONG with this context.
    Ping {
        /// It promises to be heard again within so many milliseconds; 0 promises nothing.
        ttl_ms: u64,
        /// To be echoed.
        context: &'a [u8],
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    /// READY is expected, or INITIATE.
    Ready(Mechanism),
    Hello,
    Open,
}

/// The inbound half of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    offer: Offer,
    stage: Stage,
    knows_heartbeats: bool,
    /// Whole frames so far, the greeting among them.
    frames: u64,
    /// The head of a greeting or frame whose rest has not come yet.
    unfinished: Vec<u8>,
}

impl Session {
    pub(crate) const fn new(offer: Offer) -> Self {
        Self { offer, stage: Stage::Greeting, knows_heartbeats: false, frames: 0, unfinished: Vec::new() }
    }

    /// The mechanisms that the peer may choose from.
    pub(crate) const fn offer(&self) -> Offer {
        self.offer
    }

    /// Whether a PING would be understood.
    pub(crate) const fn knows_heartbeats(&self) -> bool {
        self.knows_heartbeats
    }

    /// Whole frames so far, the greeting among them.
    pub(crate) const fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether a frame has begun whose rest has not come.
    pub(crate) const fn is_in_a_frame(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// Bytes that wait for the rest of their frame.
    pub(crate) const fn held_bytes(&self) -> usize {
        self.unfinished.len()
    }

    /// Whether the handshake is done.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Takes what came, and hands every event in it to `on_event`.
    ///
    /// # Errors
    /// The first fault, from the peer's bytes or from `on_event`; the session is not to be used after it.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.unfinished.is_empty() {
            let used = self.consume(bytes, on_event)?;
            self.unfinished.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.unfinished);
        joined.extend_from_slice(bytes);
        let used = self.consume(&joined, on_event)?;
        if used < joined.len() {
            joined.drain(..used);
            self.unfinished = joined;
        }
        Ok(())
    }

    /// Reads all that is complete; how many bytes that was.
    fn consume(
        &mut self,
        bytes: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        let mut used = 0;
        if self.stage == Stage::Greeting {
            let Some(greeted) = greeting::parse(bytes, self.offer)? else { return Ok(0) };
            self.knows_heartbeats = greeted.knows_heartbeats;
            self.stage = match greeted.mechanism {
                Mechanism::Null => Stage::Ready(Mechanism::Null),
                Mechanism::Plain => Stage::Hello,
            };
            on_event(Event::Greeted(greeted.mechanism))?;
            self.frames += 1;
            used = GREETING_BYTES;
        }
        while let Some((frame, size)) = frame::first(&bytes[used..])? {
            used += size;
            self.frames += 1;
            if self.stage == Stage::Open {
                Self::traffic(frame, on_event)?;
            } else {
                self.handshake(frame, on_event)?;
            }
        }
        Ok(used)
    }

    fn handshake(
        &mut self,
        frame: Frame<'_>,
        on_event: &mut impl FnMut(Event<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Frame::Command(body) = frame else { return Err(Fault::EarlyMessage) };
        match (self.stage, command::parse(body)?) {
            (Stage::Hello, Command::Hello(data)) => {
                let (name, password) = command::name_and_password(data)?;
                self.stage = Stage::Ready(Mechanism::Plain);
                on_event(Event::Hello { name, password })
            }
            (Stage::Ready(Mechanism::Null), Command::Ready(properties))
            | (Stage::Ready(Mechanism::Plain), Command::Initiate(properties)) => {
                command::check_ready(properties)?;
                self.stage = Stage::Open;
                on_event(Event::Ready)
            }
            (_, Command::Error(reason)) => Err(Fault::Refused(quoted(reason))),
            // A command has a name: it was read.
            (_, _) => Err(Fault::NotReady(quoted(&body[1..=usize::from(body[0])]))),
        }
    }

    /// Messages that are no subscription, and commands that a publisher does not know, are ignored: 29/PUBSUB.
    fn traffic(frame: Frame<'_>, on_event: &mut impl FnMut(Event<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        match frame {
            Frame::Message([1, prefix @ ..]) => on_event(Event::Subscribe(prefix)),
            Frame::Message([0, prefix @ ..]) => on_event(Event::Cancel(prefix)),
            Frame::Message(_) => Ok(()),
            Frame::Command(body) => match command::parse(body)? {
                Command::Subscribe(prefix) => on_event(Event::Subscribe(prefix)),
                Command::Cancel(prefix) => on_event(Event::Cancel(prefix)),
                Command::Ping { ttl_ms, context } => on_event(Event::Ping { ttl_ms, context }),
                Command::Error(reason) => Err(Fault::Refused(quoted(reason))),
                Command::Ready(_) | Command::Hello(_) | Command::Initiate(_) | Command::Other(_) => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::zmtp::frame::BODY_BYTES_MAX;

    const NULL: Offer = Offer::Only(Mechanism::Null);

    /// Flags and a long length.
    const HEADER_BYTES_MAX: usize = 9;

    fn opening() -> Vec<u8> {
        let mut bytes = greeting::greeting(Mechanism::Null).to_vec();
        bytes.extend(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB");
        bytes
    }

    fn traffic() -> Vec<u8> {
        let mut bytes = opening();
        bytes.extend(b"\x00\x03\x01rb\x00\x01\x01\x04\x0c\x09SUBSCRIBEag\x04\x09\x06CANCELag\x00\x03\x00rb");
        bytes.extend(b"\x04\x0a\x04PING\x00\x0abeat"[..].iter().take(12));
        bytes.extend(b"\x00\x02hi\x04\x05\x04WHAT");
        frame::put_part(&mut bytes, &[1; 300], true);
        bytes
    }

    /// Events as text, and how it ended, when `bytes` come in chunks that end at `cuts`.
    fn said(bytes: &[u8], cuts: &[Index]) -> (Vec<String>, Result<(), Fault>) {
        let mut ends: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut session = Session::new(NULL);
        let mut events = Vec::new();
        let mut from = 0;
        for end in ends {
            let outcome = session.receive(&bytes[from..end], &mut |event| {
                events.push(format!("{event:?}"));
                Ok(())
            });
            if outcome.is_err() {
                return (events, outcome);
            }
            assert!(session.unfinished.len() < BODY_BYTES_MAX + HEADER_BYTES_MAX);
            from = end;
        }
        (events, Ok(()))
    }

    #[test]
    fn a_whole_conversation() {
        let (events, outcome) = said(&traffic(), &[]);
        assert_eq!(outcome, Ok(()));
        let expected = [
            Event::Greeted(Mechanism::Null),
            Event::Ready,
            Event::Subscribe(b"rb"),
            Event::Subscribe(b""),
            Event::Subscribe(b"ag"),
            Event::Cancel(b"ag"),
            Event::Cancel(b"rb"),
            Event::Ping { ttl_ms: 1000, context: b"bea" },
            Event::Subscribe(&[1; 299]),
        ];
        assert_eq!(events, expected.map(|e| format!("{e:?}")));
    }

    #[test]
    fn nothing_but_ready_opens_a_session() {
        let greeting = greeting::greeting(Mechanism::Null).to_vec();
        for (after, fault) in [
            (&b"\x00\x01\x01"[..], Fault::EarlyMessage),
            (b"\x04\x0a\x09SUBSCRIBE", Fault::NotReady("\"SUBSCRIBE\"".into())),
            (b"\x04\x08\x05HELLO\0\0", Fault::NotReady("\"HELLO\"".into())),
            (b"\x04\x09\x08INITIATE", Fault::NotReady("\"INITIATE\"".into())),
            (b"\x04\x09\x05ERROR\x02no", Fault::Refused("\"no\"".into())),
            (b"\x04\x06\x05READY", Fault::SocketType("not given".into())),
        ] {
            let (events, outcome) = said(&[&greeting, after].concat(), &[]);
            assert_eq!((events.len(), outcome), (1, Err(fault)));
        }
    }

    #[test]
    fn plain_says_hello_before_it_is_opened() {
        let greeting = greeting::greeting(Mechanism::Plain).to_vec();
        let hello = b"\x04\x0d\x05HELLO\x01a\x04pass";
        let initiate = b"\x04\x1c\x08INITIATE\x0bSocket-Type\0\0\0\x03SUB";
        let run = |bytes: &[u8]| {
            let mut events = Vec::new();
            let outcome = Session::new(Offer::Either).receive(bytes, &mut |event| {
                events.push(format!("{event:?}"));
                Ok(())
            });
            (events, outcome)
        };
        let expected = [
            Event::Greeted(Mechanism::Plain),
            Event::Hello { name: b"a", password: b"pass" },
            Event::Ready,
            Event::Subscribe(b"rb"),
        ];
        let (events, outcome) = run(&[&greeting, &hello[..], initiate, b"\0\x03\x01rb"].concat());
        assert_eq!((events, outcome), (expected.map(|e| format!("{e:?}")).into(), Ok(())));
        for (after, name) in [(&initiate[..], "\"INITIATE\""), (b"\x04\x06\x05READY", "\"READY\"")] {
            assert_eq!(run(&[&greeting, after].concat()).1, Err(Fault::NotReady(name.into())));
            assert_eq!(run(&[&greeting, &hello[..], &hello[..]].concat()).1, Err(Fault::NotReady("\"HELLO\"".into())));
        }
    }

    #[test]
    fn what_the_caller_refuses_ends_the_session() {
        let mut session = Session::new(NULL);
        let outcome = session.receive(&traffic(), &mut |event| match event {
            Event::Subscribe(_) => Err(Fault::PeerSubscriptions),
            _ => Ok(()),
        });
        assert_eq!(outcome, Err(Fault::PeerSubscriptions));
    }

    /// xorshift64*: the same in every run.
    struct Noise(u64);

    impl Noise {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
        }
    }

    /// A hundred frames, of which some are mutated and some are random.
    fn hundred_frames(noise: &mut Noise, out: &mut Vec<u8>) {
        for _ in 0..100 {
            let from = out.len();
            match noise.below(6) {
                0 => frame::put_part(out, b"\x01rb2701.SHFE", true),
                1 => frame::put_part(out, b"\x00rb2701.SHFE", noise.below(2) == 0),
                2 => frame::put_command(out, b"\x09SUBSCRIBErb"),
                3 => frame::put_command(out, b"\x04PING\0\x0abeat"),
                4 => {
                    let mut body: Vec<u8> = (0..1 + noise.below(40)).map(|_| noise.below(256) as u8).collect();
                    // Now and then its name has a length that nobody chose.
                    body[0] = if noise.below(100) == 0 { body[0] } else { 1.min(body.len() - 1) as u8 };
                    frame::put_command(out, &body);
                }
                _ => {
                    let length = if noise.below(500) == 0 { 1 << noise.below(63) } else { noise.below(600) };
                    out.extend([&[2], &(length as u64).to_be_bytes()[..]].concat());
                    out.extend(std::iter::repeat_n(1, length.min(600)));
                }
            }
            if noise.below(60) == 0 {
                let at = from + noise.below(out.len() - from);
                out[at] = noise.below(256) as u8;
            }
        }
    }

    /// Peers that send frames until they are sent away; then the next one comes.
    #[test]
    fn a_million_random_and_mutated_frames_are_read_or_refused() {
        let (mut noise, mut frames, mut faults, mut events) = (Noise(0x6d64_6875_6221), 0, 0u32, 0u32);
        let mut session = Session::new(NULL);
        let mut bytes = opening();
        while frames < 1_000_000 {
            hundred_frames(&mut noise, &mut bytes);
            frames += 100;
            let mut left = &bytes[..];
            while !left.is_empty() {
                let (chunk, rest) = left.split_at(left.len().min(1 + noise.below(2_000)));
                left = rest;
                let outcome = session.receive(chunk, &mut |_| {
                    events += 1;
                    Ok(())
                });
                assert!(session.unfinished.len() < BODY_BYTES_MAX + HEADER_BYTES_MAX);
                if outcome.is_err() {
                    faults += 1;
                    session = Session::new(NULL);
                    left = &[];
                }
            }
            bytes.clear();
            if session.stage == Stage::Greeting {
                bytes = opening();
            }
        }
        assert!(faults > 1_000 && events > 100_000, "{faults} faults, {events} events: this says little");
    }

    proptest! {
        #[test]
        fn how_bytes_are_chunked_changes_nothing(cuts in proptest::collection::vec(any::<Index>(), 0..20)) {
            prop_assert_eq!(said(&traffic(), &cuts), said(&traffic(), &[]));
        }

        #[test]
        fn mutated_conversations_are_read_alike_however_they_come(
            mutations in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
            cuts in proptest::collection::vec(any::<Index>(), 0..20),
        ) {
            let mut bytes = traffic();
            for (at, value) in mutations {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            prop_assert_eq!(said(&bytes, &cuts), said(&bytes, &[]));
        }

        #[test]
        fn random_traffic_never_makes_it_fall(
            noise in proptest::collection::vec(any::<u8>(), 0..6000),
            cuts in proptest::collection::vec(any::<Index>(), 0..20),
        ) {
            let bytes = [opening(), noise].concat();
            prop_assert_eq!(said(&bytes, &cuts), said(&bytes, &[]));
        }
    }
}
