//! The worker on the simulated vendor library, through the manager, down to the bytes of its tick pipe.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::time::Duration;

use mdhub_gateways::worker::EXIT_PIPE;
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::frame;
use mdhub_spec::process::{ExitReason, FrontState};
use mdhub_spec::raw_tick::{RawTick, text};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use super::harness::{Hub, Wanted, program, simulated_library};

const ID: &str = "sim";

/// A market that is always open, and what is wanted of it.
fn simulated(hub: &Hub, kind: Dialect, codes: &[&str], front: &str) -> Option<Wanted> {
    let library = simulated_library()?;
    let address = "tcp://front.sim:41213".to_owned();
    let world = format!(
        r#"{{"seed":1,"market":{{"kind":"synthetic","interval_ms":100,"levels":5}},"fronts":{{"{address}":{front}}}}}"#
    );
    let path = hub.flow_root.with_file_name("world.json");
    std::fs::write(&path, world).expect("written");
    let env = BTreeMap::from([("SIMAPI_WORLD".to_owned(), path.display().to_string())]);
    let contracts = codes.iter().map(|c| c.parse().expect("valid")).collect::<Vec<Contract>>();
    Some(Wanted { kind, address, library, contracts, env, ..Wanted::default() })
}

/// Reads ticks until `enough`.
async fn ticks(pipe: OwnedFd, mut enough: impl FnMut(&RawTick) -> bool) {
    let mut pipe = Receiver::from_owned_fd(pipe).expect("a pipe");
    let mut buffer = Vec::new();
    let read = async {
        loop {
            assert_ne!(pipe.read_buf(&mut buffer).await.expect("readable"), 0, "the worker is gone");
            while let Some(frame) = frame::first(&buffer).expect("a frame") {
                let (tick, taken) = (*frame::tick(&frame).expect("a tick"), frame.stream_bytes());
                if enough(&tick) {
                    return;
                }
                buffer.drain(..taken);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("enough ticks within 30 s");
}

#[tokio::test]
async fn both_flavours_come_to_be_ready_and_their_ticks_decode() {
    for (kind, codes) in [
        (Dialect::Ctp, &["rb2701.SHFE", "m2705.DCE", "MA701.CZCE", "IF2612.CFFEX"][..]),
        (Dialect::Sopt, &["10009123.SSE", "159919.SZSE"][..]),
    ] {
        let hub = Hub::new(program("gateways-worker"));
        let Some(wanted) = simulated(&hub, kind, codes, "{}") else { return };
        let (launched, life) = hub.start(ID, &wanted).await.expect("starts");
        let ready = hub.process(ID, "ready", |p| p.ready_at.is_some()).await;
        assert!(matches!(&ready.front, FrontState::LoggedIn { trading_day } if trading_day.len() == 8), "{ready:?}");
        assert_eq!(ready.acknowledged as usize, codes.len());
        let mut missing: BTreeSet<&str> = wanted.contracts.iter().map(Contract::symbol).collect();
        let (mut last_mono, mut last_of_first) = (0, None);
        ticks(launched.ticks, |tick| {
            let symbol = std::str::from_utf8(text(&tick.instrument)).expect("a symbol");
            assert!(wanted.contracts.iter().any(|c| c.symbol() == symbol), "{symbol}");
            assert!(tick.last_price.get() > 0.0 && tick.levels[0].bid_volume.get() >= 0, "{tick:?}");
            assert_eq!((text(&tick.update_time).len(), text(&tick.trading_day).len()), (8, 8));
            assert!(tick.ingress_mono_ns.get() >= last_mono && tick.ingress_real_ns.get() > 1_600_000_000_000_000_000);
            last_mono = tick.ingress_mono_ns.get();
            // The line of a first tick follows the write that carried it: it is out when a later write is.
            let is_later = last_of_first.is_some_and(|at: u64| last_mono > at + 1_000_000_000);
            missing.remove(symbol);
            if missing.is_empty() && last_of_first.is_none() {
                last_of_first = Some(last_mono);
            }
            is_later
        })
        .await;
        let exit = hub.kill(ID, life).await;
        for contract in &wanted.contracts {
            let first = format!("info first tick {} ", contract.symbol());
            assert_eq!(exit.stderr.iter().filter(|line| line.starts_with(&first)).count(), 1, "{:?}", exit.stderr);
        }
    }
}

#[tokio::test]
async fn when_the_hub_stops_reading_ticks_the_worker_leaves() {
    let hub = Hub::new(program("gateways-worker"));
    let Some(wanted) = simulated(&hub, Dialect::Ctp, &["rb2701.SHFE"], "{}") else { return };
    let (launched, life) = hub.start(ID, &wanted).await.expect("starts");
    drop(launched);
    let exit = hub.exit(ID, life).await;
    assert_eq!(exit.reason, ExitReason::Code(EXIT_PIPE));
    assert!(exit.bye.as_ref().is_some_and(|bye| bye.contains("tick pipe")), "{:?}", exit.bye);
}
