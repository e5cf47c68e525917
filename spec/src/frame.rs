//! The protocol between the hub and its workers.
//!
//! A frame is `u32 length | u8 kind | body`, little endian; `length` counts kind and body. The body of a tick is a
//! [`RawTick`]; every other body is a MessagePack map.
//!
//! | descriptor of the worker | direction | carries |
//! |---|---|---|
//! | 0 | hub to worker | [`Command`]s; its end of file tells the worker to leave |
//! | 1 | worker to hub | ticks, nothing else; read by the feed |
//! | 2 | worker to hub | plain log text |
//! | 3 | worker to hub | [`Report`]s; read by the gateway manager |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::AccountId;
use crate::contract::Contract;
use crate::process::Incarnation;
use crate::raw_tick::{RAW_TICK_BYTES, RawTick};

mod limits;

pub use limits::Limits;

/// Raised whenever a frame changes its meaning. A worker of another version is not used.
///
/// 2: Start carries limits and whether the session is open; the command Session; the report Unanswered; Ready no longer
/// waits for ever.
pub const PROTOCOL_VERSION: u32 = 2;

/// Bytes before a frame's body: length and kind.
pub const HEADER_BYTES: usize = 5;

/// Largest `length` of a frame. A larger one is a broken stream.
pub const FRAME_LENGTH_MAX: usize = 4 * 1024 * 1024;

/// Kind of a tick frame.
pub const KIND_TICK: u8 = 1;
/// Kind of a frame that carries a [`Report`].
pub const KIND_REPORT: u8 = 2;
/// Kind of a frame that carries a [`Command`].
pub const KIND_COMMAND: u8 = 3;

/// Bytes of a whole tick frame.
pub const TICK_FRAME_BYTES: usize = HEADER_BYTES + RAW_TICK_BYTES;

/// What the hub tells a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// First of all: connect with this.
    Start(Box<Start>),
    /// Subscribe these too.
    Subscribe(Vec<Contract>),
    /// Drop these.
    Unsubscribe(Vec<Contract>),
    /// The session of what is subscribed has opened or closed: silence counts while it is open.
    Session {
        /// Whether any contract's market is open.
        open: bool,
    },
    /// Say Bye and leave.
    Stop,
}

/// All that a worker needs to know. Secrets come this way, never by argument or environment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The hub's [`PROTOCOL_VERSION`].
    pub protocol_version: u32,
    /// Login name.
    pub user_id: String,
    /// Password, in clear.
    pub password: String,
    /// The broker's code.
    pub broker_id: String,
    /// Fronts, each `tcp://HOST:PORT`. A worker uses one of them, and the account's next one the next: the vendor's library
    /// would connect to all at once and keep whichever answers first.
    pub md_address: Vec<String>,
    /// Path of the vendor library, or of vnpy's environment.
    pub library: String,
    /// Its SHA-256 in lower-case hex, checked before it is loaded.
    pub library_sha256: Option<String>,
    /// The worker's own directory for the library's flow files; exists.
    pub flow_dir: String,
    /// What to subscribe once logged in.
    pub contracts: Vec<Contract>,
    /// When to give up.
    #[serde(default)]
    pub limits: Limits,
    /// Whether the session is open: see [`Command::Session`].
    #[serde(default)]
    pub session_open: bool,
    /// For a worker of kind `vnpy`, whose `library` is its environment: the gateway's class, `MODULE.CLASS`.
    #[serde(default)]
    pub gateway_class: String,
    /// For such a worker: what the class's `connect` is given beside the account's own fields.
    #[serde(default)]
    pub connect: BTreeMap<String, String>,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start")
            .field("user_id", &self.user_id)
            .field("md_address", &self.md_address)
            .field("library", &self.library)
            .field("contracts", &self.contracts.len())
            .finish_non_exhaustive()
    }
}

/// What a worker tells the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Its first word.
    Hello {
        /// The worker's [`PROTOCOL_VERSION`].
        protocol_version: u32,
        /// Whose worker it is.
        account: AccountId,
        /// Which life.
        incarnation: Incarnation,
    },
    /// The vendor library was loaded.
    LibraryLoaded {
        /// As the library names itself; empty where it does not.
        version: String,
        /// Whether mdhub was tested with it.
        known: bool,
    },
    /// The front took the connection.
    FrontConnected,
    /// The front went away.
    FrontDisconnected {
        /// The vendor's code.
        reason: i32,
    },
    /// The front took the login.
    LoggedIn {
        /// `YYYYMMDD`, unchecked.
        trading_day: String,
    },
    /// The front refused the login.
    LoginRefused {
        /// The vendor's code.
        code: i32,
        /// The broker's words.
        message: String,
    },
    /// The front answered one subscription.
    SubscribeAck {
        /// Which one, as the front names it.
        symbol: String,
        /// The vendor's code and words where it was refused.
        refused: Option<(i32, String)>,
    },
    /// Every contract's subscription was answered, or its time to be answered is up.
    Ready {
        /// How many were accepted.
        accepted: u32,
    },
    /// So many subscriptions stay without an answer. Follows a Ready wherever there are any, and comes again when the number
    /// changes, down to 0.
    Unanswered {
        /// How many.
        count: u32,
        /// The first few of them.
        first: Vec<String>,
    },
    /// Once a second.
    Heartbeat {
        /// Ticks that the vendor gave, so far.
        received: u64,
        /// Ticks that the ring dropped, oldest first, because the hub did not read.
        ring_dropped: u64,
    },
    /// Its last word.
    Bye {
        /// The exit code that follows.
        code: i32,
        /// Why, in a sentence.
        reason: String,
    },
}

/// Why a byte stream is no stream of frames.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A length of nothing, or beyond [`FRAME_LENGTH_MAX`].
    #[error("frame length {0}: allowed are 1 to {FRAME_LENGTH_MAX}")]
    Length(usize),
    /// A kind that does not belong on this descriptor.
    #[error("frame kind {found}: {expected} is expected here")]
    Kind {
        /// What came.
        found: u8,
        /// What belongs here.
        expected: u8,
    },
    /// A body that does not decode.
    #[error("frame body: {0}")]
    Body(String),
}

/// One frame at the head of a buffer, borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// One of the `KIND_` constants, unchecked.
    pub kind: u8,
    /// What follows the kind.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// Bytes that this frame takes in its stream.
    #[must_use]
    pub const fn stream_bytes(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }
}

/// The frame at the head of `bytes`; `None` while it is incomplete.
///
/// # Errors
/// [`FrameError::Length`] as soon as the length is impossible, before any of the body has come.
pub fn first(bytes: &[u8]) -> Result<Option<Frame<'_>>, FrameError> {
    let Some((head, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*head) as usize;
    if length == 0 || length > FRAME_LENGTH_MAX {
        return Err(FrameError::Length(length));
    }
    Ok(rest.get(..length).and_then(<[u8]>::split_first).map(|(kind, body)| Frame { kind: *kind, body }))
}

fn put(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    let length = u32::try_from(body.len() + 1).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(body);
}

/// Appends a tick frame.
pub fn put_tick(out: &mut Vec<u8>, tick: &RawTick) {
    put(out, KIND_TICK, tick.wire());
}

/// Reads the tick of a frame, in place.
///
/// # Errors
/// When the frame is of another kind, or its body is not a record's size.
pub fn tick<'a>(frame: &Frame<'a>) -> Result<&'a RawTick, FrameError> {
    of_kind(frame, KIND_TICK)?;
    RawTick::from_wire(frame.body)
        .ok_or_else(|| FrameError::Body(format!("{} bytes: a tick has {RAW_TICK_BYTES}", frame.body.len())))
}

/// Appends a frame with a command.
///
/// # Errors
/// [`FrameError::Body`] when it does not encode or is beyond [`FRAME_LENGTH_MAX`].
pub fn put_command(out: &mut Vec<u8>, command: &Command) -> Result<(), FrameError> {
    put_message(out, KIND_COMMAND, command)
}

/// Reads a frame's command.
///
/// # Errors
/// When the frame is of another kind or does not decode.
pub fn command(frame: &Frame<'_>) -> Result<Command, FrameError> {
    message(frame, KIND_COMMAND)
}

/// Appends a frame with a report.
///
/// # Errors
/// [`FrameError::Body`] when it does not encode or is beyond [`FRAME_LENGTH_MAX`].
pub fn put_report(out: &mut Vec<u8>, report: &Report) -> Result<(), FrameError> {
    put_message(out, KIND_REPORT, report)
}

/// Reads a frame's report.
///
/// # Errors
/// When the frame is of another kind or does not decode.
pub fn report(frame: &Frame<'_>) -> Result<Report, FrameError> {
    message(frame, KIND_REPORT)
}

fn put_message<T: Serialize>(out: &mut Vec<u8>, kind: u8, message: &T) -> Result<(), FrameError> {
    let body = rmp_serde::to_vec_named(message).map_err(|e| FrameError::Body(e.to_string()))?;
    if body.len() >= FRAME_LENGTH_MAX {
        return Err(FrameError::Length(body.len() + 1));
    }
    put(out, kind, &body);
    Ok(())
}

fn message<T: for<'de> Deserialize<'de>>(frame: &Frame<'_>, kind: u8) -> Result<T, FrameError> {
    of_kind(frame, kind)?;
    rmp_serde::from_slice(frame.body).map_err(|e| FrameError::Body(e.to_string()))
}

const fn of_kind(frame: &Frame<'_>, expected: u8) -> Result<(), FrameError> {
    if frame.kind == expected { Ok(()) } else { Err(FrameError::Kind { found: frame.kind, expected }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello() -> Report {
        Report::Hello {
            protocol_version: PROTOCOL_VERSION,
            account: "ctp-main".parse().expect("a slug"),
            incarnation: Incarnation { epoch: 7, counter: 2 },
        }
    }

    fn start() -> Start {
        Start {
            protocol_version: PROTOCOL_VERSION,
            user_id: "u".into(),
            password: "hunter2".into(),
            broker_id: String::new(),
            md_address: vec!["tcp://a:1".into()],
            library: "l".into(),
            library_sha256: None,
            flow_dir: String::new(),
            contracts: vec!["m2705.DCE".parse().expect("a contract")],
            limits: Limits::default(),
            session_open: true,
            gateway_class: String::new(),
            connect: BTreeMap::new(),
        }
    }

    #[test]
    fn golden_bytes_of_a_hello() {
        let mut out = Vec::new();
        put_report(&mut out, &hello()).expect("encodes");
        let mut expected = vec![75, 0, 0, 0, KIND_REPORT, 0x81, 0xa5];
        expected.extend(b"Hello");
        expected.push(0x83);
        expected.push(0xb0);
        expected.extend(b"protocol_version");
        expected.push(2);
        expected.push(0xa7);
        expected.extend(b"account");
        expected.push(0xa8);
        expected.extend(b"ctp-main");
        expected.push(0xab);
        expected.extend(b"incarnation");
        expected.push(0x82);
        expected.push(0xa5);
        expected.extend(b"epoch");
        expected.push(7);
        expected.push(0xa7);
        expected.extend(b"counter");
        expected.push(2);
        expected[0] = u8::try_from(expected.len() - 4).expect("short");
        assert_eq!(out, expected);
    }

    #[test]
    fn golden_bytes_of_a_command() {
        let mut out = Vec::new();
        put_command(&mut out, &Command::Subscribe(vec!["m2705.DCE".parse().expect("a contract")])).expect("encodes");
        let mut expected = vec![23, 0, 0, 0, KIND_COMMAND, 0x81, 0xa9];
        expected.extend(b"Subscribe");
        expected.extend([0x91, 0xa9]);
        expected.extend(b"m2705.DCE");
        assert_eq!(out, expected);
        out.clear();
        put_command(&mut out, &Command::Stop).expect("encodes");
        assert_eq!(out, [6, 0, 0, 0, KIND_COMMAND, 0xa4, b'S', b't', b'o', b'p']);
        out.clear();
        put_command(&mut out, &Command::Session { open: true }).expect("encodes");
        assert_eq!(
            out,
            [&[17, 0, 0, 0, KIND_COMMAND, 0x81, 0xa7][..], b"Session", &[0x81, 0xa4], b"open", &[0xc3]].concat()
        );
    }

    #[test]
    fn golden_bytes_of_an_unanswered_subscription() {
        let mut out = Vec::new();
        put_report(&mut out, &Report::Unanswered { count: 1, first: vec!["rb2701".into()] }).expect("encodes");
        let body: [&[u8]; 7] =
            [&[0x81, 0xaa], b"Unanswered", &[0x82, 0xa5], b"count", &[1, 0xa5], b"first", &[0x91, 0xa6]];
        let body = [&body.concat(), &b"rb2701"[..]].concat();
        assert_eq!(out, [&[u8::try_from(body.len() + 1).expect("short"), 0, 0, 0, KIND_REPORT][..], &body].concat());
    }

    #[test]
    fn a_start_carries_its_fields_by_name_in_this_order() {
        let mut out = Vec::new();
        put_command(&mut out, &Command::Start(Box::new(start()))).expect("encodes");
        let text = String::from_utf8_lossy(&out).into_owned();
        let fields = "Start protocol_version user_id password broker_id md_address library library_sha256 flow_dir contracts \
            limits front_timeout_ms disconnects_max disconnects_window_ms login_timeout_ms subscribe_timeout_ms silent_ms \
            overflow_beats_max report_timeout_ms session_open gateway_class connect";
        let mut from = 0;
        for field in fields.split_whitespace() {
            let at = text[from..].find(field).unwrap_or_else(|| panic!("{field} is not where it was: {text:?}"));
            from += at + field.len();
        }
        let frame = first(&out).expect("a frame").expect("complete");
        assert_eq!(command(&frame), Ok(Command::Start(Box::new(start()))));
    }

    #[test]
    fn a_tick_comes_back_in_place_and_nothing_else_passes_as_one() {
        let mut out = Vec::new();
        put_tick(&mut out, &RawTick { volume: 9.into(), ..RawTick::default() });
        assert_eq!(out.len(), TICK_FRAME_BYTES);
        let frame = first(&out).expect("a frame").expect("complete");
        assert_eq!(tick(&frame).map(|t| t.volume.get()), Ok(9));
        assert_eq!(frame.stream_bytes(), out.len());
        assert_eq!(report(&frame), Err(FrameError::Kind { found: KIND_TICK, expected: KIND_REPORT }));
        assert!(matches!(tick(&Frame { kind: KIND_TICK, body: &[0; 3] }), Err(FrameError::Body(_))));
    }

    #[test]
    fn impossible_lengths_are_refused_at_once_and_short_input_waits() {
        assert_eq!(first(&[0, 0, 0, 0]), Err(FrameError::Length(0)));
        assert_eq!(first(&[255; 4]), Err(FrameError::Length(u32::MAX as usize)));
        assert_eq!(first(&[3, 0, 0]), Ok(None));
        assert_eq!(first(&[3, 0, 0, 0, 1, 9]), Ok(None));
    }

    #[test]
    fn a_start_never_prints_its_password() {
        assert!(!format!("{:?}", start()).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_fall(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(frame)) = first(&bytes) {
                prop_assert!(frame.stream_bytes() <= bytes.len());
                let _ = (tick(&frame), report(&frame), command(&frame));
            }
        }
    }
}
