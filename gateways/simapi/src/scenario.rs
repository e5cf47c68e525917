//! Scenarios: what goes wrong at a front. A front's `scenarios` in the [world file](crate::world) is a list of objects; each
//! has a `kind`, that kind's own parameters, and the common ones that suit it. The file is read again while the library
//! runs: a scenario that is new in it begins to count, one that is gone ends, one that stays as it was goes on.
//!
//! ```json
//! {"kind": "stall", "exchanges": ["DCE"], "after_ms": 500, "for_ms": 3000}
//! ```
//!
//! # Common parameters
//!
//! | name | of | means | default |
//! |---|---|---|---|
//! | `name` | all | tells two that are otherwise alike apart: under a new name it happens anew | none |
//! | `since_ms` | all | what `after_ms` counts from, milliseconds since the epoch, so that it means the same to a worker that is started again | when this process first saw it |
//! | `after_ms` | all | begins so long after `since_ms` | 0 |
//! | `after_ticks` | all | and not before so many ticks were handed over since it was seen | 0 |
//! | `for_ms` | all | lasts so long | as long as it stands in the file |
//! | `times` | all but states | is over after so many drops, refusals, answers, dirty records, or firings, in one process | events 1 without `every_ms`; else without end |
//! | `every_ms` | events | fires again after so long | fires once |
//! | `exchanges`, `instruments` | subscription, stream, dirt | only for these | all |
//! | `rate` | dirt | share of the true records that it befalls, drawn by the world's seed and the record: the same at every front | 1 |
//! | `instead` | dirt | the dirty record replaces the true one | false; true for `disagree` and the wrong days |
//!
//! States, events, beginnings and ends are looked at on a beat of 50 ms.
//!
//! # Kinds
//!
//! | kind | parameters (defaults) | imitates |
//! |---|---|---|
//! | **Connection** | | |
//! | `refused` | | nothing listens: no callback, ever (MARKET 2); a standing connection is cut first. The next registered address that is not refused is taken |
//! | `drop_storm` | `interval_ms` (2), `connects` (false) | the front accepts and closes: `OnFrontDisconnected` 0x1001 each time, no backoff (MARKET 2); with `connects`, `OnFrontConnected` comes before each |
//! | `junk_storm` | `interval_ms` (2), `connects` (false) | the front answers junk: 0x2003, some 500 reconnects a second (MARKET 2) |
//! | `disconnect` (event) | `reason` (4097), `reconnect_ms` (the front's `connect_ms`) | the connection breaks; the library reconnects by itself, the application must log in and subscribe again (MARKET 2). Reasons: 0x1001 read, 0x1002 write, 0x2001 heartbeat timeout, 0x2002 heartbeat send, 0x2003 bad packet, as decimal numbers |
//! | `heartbeat_warning` (event) | `lapse_s` (61) | a silent front: `OnHeartBeatWarning` at 61 s (MARKET 2) |
//! | **Login** | | |
//! | `login_refused` | `error` (3), `text` ("不合法的登录") | `OnRspUserLogin` with an error; the text goes out in GB18030 (MARKET 2, codes) |
//! | `not_initialised` | `text` ("CTP:还没有初始化") | error 7, usual on mornings after a night section: wait (MARKET 2). Use `for_ms` with `since_ms`, or `times` |
//! | `login_silent` | | a login is never answered (MARKET 2, "silent refused states") |
//! | **Subscription** | | |
//! | `ack_late` | `by_ms` (1000) | the answer comes late; ticks come before it |
//! | `ack_missing` | `ticks` (false) | no answer, and with false no tick either: contracts past the 24th stay silent (MARKET 2) |
//! | `subscription_refused` | `error` (16), `text` ("CTP:找不到合约") | the answer carries an error, no tick comes |
//! | **Stream** | | |
//! | `stall` | | the connection stands, nothing comes; with `exchanges`, one front loses one exchange, the usual incident (DESIGN 3); with `instruments`, an acknowledged contract stays silent (MARKET 2) |
//! | **Dirt** | | |
//! | `absent_values` | `value` ("flavour"), `fields` (all) | prices that are not there: DBL_MAX, FLT_MAX, NaN, infinity or zero; SOPT uses 0 where CTP uses DBL_MAX (MARKET 3.3). Legitimate as such: what is absent is none |
//! | `junk_time` | `form` ("nines"), `hours` (5) | `empty_time`, `nines` (99:99:99), `impossible_date` (20260230 in both), `empty_date` (both empty), `empty_action_day` (legitimate), `stale` (so many hours old) (MARKET 3.1, 3.4, 4) |
//! | `backwards_volume` | `lots` (100) | `Volume`, and `Turnover` with it, below what came before (MARKET 4) |
//! | `backwards_turnover` | `percent` (1) | `Turnover` alone falls: legitimate on CZCE (MARKET 3.5) |
//! | `jump` | `percent` (20) | last and level 1 far away (MARKET 4) |
//! | `crossed_book` | | bid above ask (MARKET 4) |
//! | `negative_price` | | last and level 1 with the opposite sign: real for spreads and TAS only (MARKET 3.3, 4) |
//! | `same_second` | `copies` (3) | further *true* snapshots under the same time, volume and price with other sizes: CZCE sends up to four a second without milliseconds (MARKET 3.2). To be forwarded |
//! | `stray_instrument` | `code` | a tick of a contract that nobody asked for (MARKET 4, `unknown_contract`) |
//! | `closing_resend` | `time` ("15:00:00"), `on` ("time") | each contract's closing snapshot again, with a full day's volume, under the next trading day (at night, under the one that has begun) (MARKET 3.6) |
//! | `night_replay` | `records` (100), `on` ("subscription") | a whole night section, from 21:00, again after the login (MARKET 3.6) |
//! | `disagree` | `field` ("last"), `ticks` (1) | this front says another `last`, `level1` or `limits` for the same contract, time and volume (DESIGN 2, `Disagreement`) |
//! | `wrong_action_day` | | at night `ActionDay` is the trading day: DCE (MARKET 3.1). Legitimate; narrow it by `exchanges` |
//! | `wrong_trading_day` | | at night `TradingDay` is the action day: CZCE (MARKET 3.1). Legitimate |
//! | **Harm to its own process** | | |
//! | `abort` (event) | | `abort()` inside the library (MARKET 2) |
//! | `segfault` (event) | | a write to an address that is not mapped (MARKET 2) |
//! | `endless` | `at` ("release"), `spins` (false) | the call at `at` never returns: `release`, `init`, `login`, `subscribe`, or `callback`, where the library's own thread stops; `spins` burns a core meanwhile (MARKET 2, "`Release` that never returns") |
//! | `ignore_term` | `handler` (true) | the library installs a handler for SIGTERM that does nothing, or ignores it; undone at the end |
//! | `fork` (event) | `children` (1), `generations` (0), `hop_ms` (none), `setsid`, `ignores_term`, `closes_descriptors` (false), `lives_ms` (30000) | forked processes, named `simapi-child`, that hold the worker's descriptors; each forks the next of its `generations` at once, or after `hop_ms` and then leaves. At most 512 in all |
//! | `flood` (event) | `stream` ("stdout"), `bytes` (65536) | junk on stdout, stderr or both: control characters, zero bytes, invalid UTF-8, lines of any length |
//! | `leak` | `mib_per_s` (10), `mib_max` (64) | touched memory grows, up to `mib_max`; given back at the end |
//!
//! `on` of `closing_resend` and `night_replay`: with `time`, each contract gets its records once, right behind its next true
//! record; with `subscription`, once after each subscription. `every_ms` makes all of them due again.

use encoding_rs::GB18030;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Processes that one `fork` may make.
const PROCESSES_MAX: u32 = 512;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// When, and to whom.
    pub when: When,
    /// What.
    pub kind: Kind,
}

/// The common parameters.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Tells it from another that is alike.
    pub name: Option<String>,
    /// Milliseconds since the epoch; `None`: when it was first seen.
    pub since_ms: Option<i64>,
    /// Begins so long after that, milliseconds.
    pub after_ms: u64,
    /// Begins after so many ticks.
    pub after_ticks: u64,
    /// Lasts so long, milliseconds.
    pub for_ms: Option<u64>,
    /// An event fires again after so long, milliseconds.
    pub every_ms: Option<u64>,
    /// Is over after so many.
    pub times: Option<u64>,
    /// Names as in a vt_symbol; empty: all.
    pub exchanges: Vec<String>,
    /// Codes; empty: all.
    pub instruments: Vec<String>,
    /// Share of the records, 0 to 1.
    pub rate: Option<f64>,
    /// Whether the true record is left out.
    pub instead: Option<bool>,
}

const WHEN_KEYS: [&str; 11] = [
    "name",
    "since_ms",
    "after_ms",
    "after_ticks",
    "for_ms",
    "every_ms",
    "times",
    "exchanges",
    "instruments",
    "rate",
    "instead",
];

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $name:literal $class:ident { $($field:ident: $type:ty = $default:expr),* })*) => {
        /// What goes wrong; the module's table tells of each kind and parameter.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "the module's table has them")]
        pub enum Kind { $($variant($variant)),* }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Deserialize)]
            #[serde(default, deny_unknown_fields)]
            pub struct $variant {
                $(#[doc = concat!("`", stringify!($field), "` in the module's table.")] pub $field: $type),*
            }

            impl Default for $variant {
                fn default() -> Self {
                    Self { $($field: $default),* }
                }
            }
        )*

        impl Kind {
            /// Every kind's name.
            pub const NAMES: &[&str] = &[$($name),*];

            fn read(name: &str, parameters: Value) -> Result<Self, String> {
                match name {
                    $($name => serde_path_to_error::deserialize(parameters).map(Self::$variant).map_err(|e| format!("{name}.{e}")),)*
                    _ => Err(format!("kind is {name:?}: allowed are {:?}", Self::NAMES)),
                }
            }

            /// Its name in the world file.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),* }
            }

            /// What it is.
            #[must_use]
            pub const fn class(&self) -> Class {
                match self { $(Self::$variant(_) => Class::$class),* }
            }
        }
    };
}

/// Sorts of kinds: which common parameters suit them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Holds while it lasts.
    State,
    /// Counts what it does while it lasts.
    Counted,
    /// Fires.
    Event,
    /// Befalls subscriptions.
    Subscription,
    /// Holds ticks back.
    Stream,
    /// Dirties records.
    Dirt,
    /// A batch of records for each contract.
    Batch,
}

kinds! {
    /// Nothing listens.
    Refused "refused" State {}
    /// Accept and close.
    DropStorm "drop_storm" Counted { interval_ms: f64 = 2.0, connects: bool = false }
    /// Junk for an answer.
    JunkStorm "junk_storm" Counted { interval_ms: f64 = 2.0, connects: bool = false }
    /// The connection breaks.
    Disconnect "disconnect" Event { reason: i32 = 0x1001, reconnect_ms: Option<u64> = None }
    /// The front is silent.
    HeartbeatWarning "heartbeat_warning" Event { lapse_s: i32 = 61 }
    /// A login is refused.
    LoginRefused "login_refused" Counted { error: i32 = 3, text: String = "不合法的登录".to_owned() }
    /// The front is not ready.
    NotInitialised "not_initialised" Counted { text: String = "CTP:还没有初始化".to_owned() }
    /// A login is not answered.
    LoginSilent "login_silent" Counted {}
    /// An answer is late.
    AckLate "ack_late" Subscription { by_ms: u64 = 1_000 }
    /// An answer is missing.
    AckMissing "ack_missing" Subscription { ticks: bool = false }
    /// An answer refuses.
    SubscriptionRefused "subscription_refused" Subscription { error: i32 = 16, text: String = "CTP:找不到合约".to_owned() }
    /// No tick.
    Stall "stall" Stream {}
    /// Prices are absent.
    AbsentValues "absent_values" Dirt { value: AbsentValue = AbsentValue::Flavour, fields: Vec<Field> = Vec::new() }
    /// Times are junk.
    JunkTime "junk_time" Dirt { form: TimeForm = TimeForm::Nines, hours: u32 = 5 }
    /// Volume falls.
    BackwardsVolume "backwards_volume" Dirt { lots: i32 = 100 }
    /// Turnover falls.
    BackwardsTurnover "backwards_turnover" Dirt { percent: f64 = 1.0 }
    /// Prices jump.
    Jump "jump" Dirt { percent: f64 = 20.0 }
    /// Bid above ask.
    CrossedBook "crossed_book" Dirt {}
    /// Prices change sign.
    NegativePrice "negative_price" Dirt {}
    /// Several under one time.
    SameSecond "same_second" Dirt { copies: u32 = 3 }
    /// A contract that nobody asked for.
    StrayInstrument "stray_instrument" Dirt { code: String = "zz9901".to_owned() }
    /// Closing snapshots again.
    ClosingResend "closing_resend" Batch { time: String = "15:00:00".to_owned(), on: Moment = Moment::Time }
    /// A night again.
    NightReplay "night_replay" Batch { records: u32 = 100, on: Moment = Moment::Subscription }
    /// Another value than elsewhere.
    Disagree "disagree" Dirt { field: Disputed = Disputed::Last, ticks: i32 = 1 }
    /// Dalian's night.
    WrongActionDay "wrong_action_day" Dirt {}
    /// Zhengzhou's night.
    WrongTradingDay "wrong_trading_day" Dirt {}
    /// The process aborts.
    Abort "abort" Event {}
    /// The process writes where nothing is.
    Segfault "segfault" Event {}
    /// A call never returns.
    Endless "endless" State { at: Place = Place::Release, spins: bool = false }
    /// SIGTERM does nothing.
    IgnoreTerm "ignore_term" State { handler: bool = true }
    /// Processes are forked.
    Fork "fork" Event {
        children: u32 = 1, generations: u32 = 0, hop_ms: Option<u64> = None, setsid: bool = false, ignores_term: bool = false,
        closes_descriptors: bool = false, lives_ms: u64 = 30_000
    }
    /// Junk is printed.
    Flood "flood" Event { stream: Stream = Stream::Stdout, bytes: u32 = 65_536 }
    /// Memory grows.
    Leak "leak" State { mib_per_s: f64 = 10.0, mib_max: u32 = 64 }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident),* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
            #[serde(rename_all = "snake_case")]
            #[expect(missing_docs, reason = "the module's table has them")]
            pub enum $name { $($variant),* }
        )*
    };
}

words! {
    /// What stands for an absent price: `flavour` is DBL_MAX for CTP and 0 for SOPT.
    AbsentValue { Flavour, DblMax, FltMax, Nan, Infinity, Zero }
    /// Groups of prices; `limits` and `book` are both sides, `book` loses its sizes too.
    Field { Last, Open, High, Low, Close, Settlement, PreClose, PreSettlement, Limits, Book, Average }
    /// How a time is junk.
    TimeForm { EmptyTime, Nines, ImpossibleDate, EmptyDate, EmptyActionDay, Stale }
    /// When a batch is due.
    Moment { Time, Subscription }
    /// What two fronts disagree about.
    Disputed { Last, Level1, Limits }
    /// A call that never returns.
    Place { Init, Login, Subscribe, Callback, Release }
    /// Where junk goes.
    Stream { Stdout, Stderr, Both }
}

impl<'de> Deserialize<'de> for Scenario {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut kind = Map::deserialize(deserializer)?;
        let Some(Value::String(name)) = kind.remove("kind") else {
            return Err(D::Error::custom(format!("kind is missing: allowed are {:?}", Kind::NAMES)));
        };
        let when: Map<String, Value> = WHEN_KEYS.iter().filter_map(|key| kind.remove_entry(*key)).collect();
        let when: When = serde_path_to_error::deserialize(Value::Object(when))
            .map_err(|e| D::Error::custom(format!("{name}.{e}")))?;
        let kind = Kind::read(&name, Value::Object(kind)).map_err(D::Error::custom)?;
        let scenario = Self { when, kind };
        scenario.check().map_err(|e| D::Error::custom(format!("{name}.{e}")))?;
        Ok(scenario)
    }
}

impl Scenario {
    /// # Errors
    /// Names the parameter, its value and what is allowed.
    fn check(&self) -> Result<(), String> {
        let Self { when, kind } = self;
        let class = kind.class();
        let is_dirt = class == Class::Dirt;
        let narrows = is_dirt || matches!(class, Class::Subscription | Class::Stream | Class::Batch);
        let unfit = |name: &str, kinds: &str| Err(format!("{name} does not suit this kind: allowed in {kinds}"));
        if !narrows && when.exchanges.len() + when.instruments.len() > 0 {
            return unfit("exchanges or instruments", "those of subscriptions, stream and dirt");
        }
        if when.every_ms.is_some() && !matches!(class, Class::Event | Class::Batch) {
            return unfit("every_ms", "events and batches");
        }
        if when.times.is_some() && matches!(class, Class::State | Class::Stream) {
            return unfit("times", "all but states");
        }
        if !is_dirt && (when.rate.is_some() || when.instead.is_some()) {
            return unfit("rate or instead", "dirt");
        }
        let within = |name: &str, value: f64, from: f64, to: f64| {
            let fits = (from..=to).contains(&value);
            if fits { Ok(()) } else { Err(format!("{name} is {value}: allowed are {from} to {to}")) }
        };
        within("rate", when.rate.unwrap_or(1.0), 0.0, 1.0)?;
        within("every_ms", when.every_ms.unwrap_or(50) as f64, 50.0, 1e9)?;
        match kind {
            Kind::DropStorm(DropStorm { interval_ms, .. }) | Kind::JunkStorm(JunkStorm { interval_ms, .. }) => {
                within("interval_ms", *interval_ms, 0.1, 60_000.0)
            }
            Kind::AckLate(late) => within("by_ms", late.by_ms as f64, 0.0, 600_000.0),
            Kind::JunkTime(time) => within("hours", f64::from(time.hours), 1.0, 10_000.0),
            Kind::SameSecond(same) => within("copies", f64::from(same.copies), 1.0, 100.0),
            Kind::NightReplay(replay) => within("records", f64::from(replay.records), 1.0, 14_400.0),
            Kind::ClosingResend(resend) if resend.time.len() > 8 => {
                Err(format!("time is {:?}: allowed are up to 8 bytes", resend.time))
            }
            Kind::Fork(fork) => {
                within("lives_ms", fork.lives_ms as f64, 1.0, 600_000.0)?;
                within("hop_ms", fork.hop_ms.unwrap_or(0) as f64, 0.0, 600_000.0)?;
                let processes = fork.children.saturating_mul(fork.generations.saturating_add(1));
                within("children * (generations + 1)", f64::from(processes), 1.0, f64::from(PROCESSES_MAX))
            }
            Kind::Flood(flood) => within("bytes", f64::from(flood.bytes), 1.0, f64::from(64 << 20)),
            Kind::Leak(leak) => {
                within("mib_per_s", leak.mib_per_s, 0.1, 10_000.0)?;
                within("mib_max", f64::from(leak.mib_max), 1.0, 1_024.0)
            }
            _ => Ok(()),
        }
    }

    /// Whether true records are left out for its dirty ones.
    #[must_use]
    pub fn replaces(&self) -> bool {
        let default = matches!(self.kind, Kind::Disagree(_) | Kind::WrongActionDay(_) | Kind::WrongTradingDay(_));
        self.when.instead.unwrap_or(default)
    }
}

impl Kind {
    /// When a batch is due.
    #[must_use]
    pub const fn moment(&self) -> Option<Moment> {
        match self {
            Self::ClosingResend(resend) => Some(resend.on),
            Self::NightReplay(replay) => Some(replay.on),
            _ => None,
        }
    }
}

/// A front's words as they go out.
#[must_use]
pub fn gb18030(text: &str) -> Vec<u8> {
    GB18030.encode(text).0.into_owned()
}
