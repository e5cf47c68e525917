//! A worker on the C library, started by the manager, and a front that does what the test says.

use std::collections::BTreeMap;
use std::time::Duration;

use mdhub_gateways::manager::Launched;
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::frame;
use mdhub_spec::process::{FrontState, Incarnation, ProcessView};
use mdhub_spec::raw_tick::RawTick;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use super::harness::{Hub, PASSWORD, Wanted, program};
use super::library::{Call, Script, VARIABLE, compiled, hex};

pub(super) const ID: &str = "independent";
pub(super) const KINDS: [Dialect; 2] = [Dialect::Ctp, Dialect::Sopt];
pub(super) const TRADING_DAY: &str = "20240415";
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) struct Scene {
    pub(super) hub: Hub,
    pub(super) life: Incarnation,
    pub(super) ticks: Ticks,
    pub(super) script: Script,
}

/// The answer to a login that is taken.
pub(super) fn login_taken() -> String {
    format!("OnRspUserLogin TradingDay={} 0: 1 1", hex(TRADING_DAY.as_bytes()))
}

/// The answer to a subscription that is taken.
pub(super) fn taken(symbol: &str) -> String {
    format!("OnRspSubMarketData InstrumentID={} 0: 0 1", hex(symbol.as_bytes()))
}

impl Scene {
    /// A worker whose library was told to connect, and has not yet.
    pub(super) async fn started<S: AsRef<str>>(kind: Dialect, contracts: &[S]) -> Self {
        let (hub, script) = (Hub::new(program("gateways-worker")), Script::new());
        let contracts: Vec<Contract> = contracts.iter().map(|c| c.as_ref().parse().expect("a contract")).collect();
        let env = BTreeMap::from([(VARIABLE.to_owned(), script.dir().display().to_string())]);
        let wanted = Wanted { kind, library: compiled().to_owned(), contracts, env, ..Wanted::default() };
        let (Launched { ticks, .. }, life) = hub.start(ID, &wanted).await.expect("starts");
        let ticks = Ticks { pipe: Receiver::from_owned_fd(ticks).expect("a pipe"), buffer: Vec::new() };
        let scene = Self { hub, life, ticks, script };
        scene.called("Init", 1).await;
        scene.run(&[format!("password {}", hex(PASSWORD.as_bytes()))]).await;
        scene
    }

    /// A worker that is logged in and has been granted all that it asked for.
    pub(super) async fn ready<S: AsRef<str>>(kind: Dialect, contracts: &[S]) -> Self {
        let scene = Self::started(kind, contracts).await;
        scene.run(&["OnFrontConnected".to_owned(), login_taken()]).await;
        scene.grant(0, contracts.len()).await;
        scene
    }

    /// Waits until `count` contracts were asked for in subscriptions after the first `skipped`, takes them, and waits for
    /// the worker to be ready. Returns the subscriptions.
    pub(super) async fn grant(&self, skipped: usize, count: usize) -> Vec<Vec<String>> {
        let asked = self.asked(skipped, count).await;
        let answers: Vec<String> = asked.iter().flatten().map(|symbol| taken(symbol)).collect();
        self.run(&answers).await;
        self.hub.process(ID, "ready", |p| p.ready_at.is_some()).await;
        asked
    }

    /// The instruments of each subscription after the first `skipped`, once `count` contracts were asked for in them.
    pub(super) async fn asked(&self, skipped: usize, count: usize) -> Vec<Vec<String>> {
        let instruments = |call: Call| call.arguments[2..].to_vec();
        self.until("subscriptions", |script| {
            let calls = script.journal().into_iter().filter(|call| call.name == "SubscribeMarketData");
            let asked: Vec<_> = calls.skip(skipped).map(instruments).collect();
            (asked.iter().map(Vec::len).sum::<usize>() >= count).then_some(asked)
        })
        .await
    }

    /// Every call of a name, once there have been `times`.
    pub(super) async fn called(&self, name: &str, times: usize) -> Vec<Call> {
        self.until(name, |script| {
            let calls: Vec<_> = script.journal().into_iter().filter(|call| call.name == name).collect();
            (calls.len() >= times).then_some(calls)
        })
        .await
    }

    /// Lets the library do this, and waits until it has.
    pub(super) async fn run<S: AsRef<str>>(&self, lines: &[S]) {
        let line = self.script.add(lines).to_string();
        let is_last = |call: &Call| call.name == "done" && call.arguments == [line.as_str()];
        self.until("the script", |script| script.journal().iter().any(is_last).then_some(())).await;
    }

    async fn until<T>(&self, what: &str, found: impl Fn(&Script) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = found(&self.script) {
                    return found;
                }
                let view = self.hub.view(&ID.parse().expect("a slug"));
                assert!(view.process.is_some(), "{what}: the worker is gone: {:#?}", view.exits);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, search).await;
        found.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}; {:#?}", self.script.journal()))
    }

    /// Waits for a heartbeat that the worker sends from now on: so it lives, and has done what it had to do.
    pub(super) async fn beat(&self) -> ProcessView {
        let before = self.hub.process(ID, "running", |_| true).await.heartbeat_at;
        self.hub.process(ID, "a heartbeat", |p| p.heartbeat_at > before).await
    }

    /// Waits until the hub sees the front so.
    pub(super) async fn front(&self, front: FrontState) -> ProcessView {
        self.hub.process(ID, &format!("{front:?}"), |p| p.front == front).await
    }

    /// Sees to it that a tick still passes.
    pub(super) async fn lives(&mut self, number: i32) {
        self.run(&[format!("flood alive {number} 1")]).await;
        assert_eq!(self.ticks.read(1).await[0].volume.get(), number);
    }
}

/// The reading end of a worker's tick pipe.
pub(super) struct Ticks {
    pipe: Receiver,
    buffer: Vec<u8>,
}

impl Ticks {
    /// The next ticks, at least one.
    pub(super) async fn some(&mut self) -> Vec<RawTick> {
        let (mut ticks, mut taken) = (Vec::new(), 0);
        while ticks.is_empty() {
            self.buffer.reserve(256 * 1024);
            let read = tokio::time::timeout(DEADLINE, self.pipe.read_buf(&mut self.buffer)).await;
            assert_ne!(read.expect("a tick").expect("readable"), 0, "the worker is gone");
            while let Some(frame) = frame::first(&self.buffer[taken..]).expect("a frame") {
                ticks.push(*frame::tick(&frame).expect("a tick"));
                taken += frame.stream_bytes();
            }
        }
        self.buffer.drain(..taken);
        ticks
    }

    /// The next `count` ticks, when no more than these are sent.
    pub(super) async fn read(&mut self, count: usize) -> Vec<RawTick> {
        let mut ticks = Vec::new();
        while ticks.len() < count {
            ticks.extend(self.some().await);
        }
        assert_eq!(ticks.len(), count, "more ticks than were sent");
        ticks
    }
}
