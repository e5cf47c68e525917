//! A hub that does nothing but run one worker: `gateways-hub hold|cycle PROGRAM FLOW_ROOT LIBRARY`.
//!
//! `hold` prints the worker's process id, and waits to be killed. `cycle` starts and kills fifty in turn, and prints its
//! own descriptors after the second and after the last, and the children that it has left.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mdhub_gateways::manager::{GatewayManager, Launch, Launched, Library, ManagerConfig};
use mdhub_spec::account::{AccountSettings, GatewayKind, MarketDataAccount, Secret};
use mdhub_spec::process::Incarnation;

type Failure = Box<dyn std::error::Error>;

fn account() -> Result<MarketDataAccount, Failure> {
    Ok(MarketDataAccount {
        id: "ctp-main".parse()?,
        gateway: GatewayKind::Ctp,
        settings: AccountSettings::from_json(r#"{"md_address":"tcp://127.0.0.1:1","library":"none"}"#)?,
        password: Secret::default(),
        priority: 1,
        is_enabled: true,
        suspended: false,
        restart_generation: 0,
        generation: 1,
        description: String::new(),
        created_at_ms: 0,
        updated_at_ms: 0,
    })
}

/// No two hubs start at the same time.
fn incarnation(counter: u64) -> Incarnation {
    Incarnation { epoch: u64::from(std::process::id()), counter }
}

async fn start(manager: &GatewayManager, counter: u64, library: &str) -> Result<Launched, Failure> {
    let env = std::env::vars().filter(|(name, _)| name == "ACT").collect::<BTreeMap<_, _>>();
    let launch = Launch {
        account: account()?,
        incarnation: incarnation(counter),
        after: (counter > 1).then(|| incarnation(counter - 1)),
        library: Library { path: library.into(), sha256: None, env },
        contracts: Vec::new(),
    };
    Ok(manager.start(launch).await?)
}

fn descriptors() -> Result<usize, Failure> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

fn children() -> Result<usize, Failure> {
    let mut count = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        count += std::fs::read_to_string(task?.path().join("children"))?.split_whitespace().count();
    }
    Ok(count)
}

async fn cycle(manager: &GatewayManager, library: &str) -> Result<(), Failure> {
    let id = account()?.id;
    let mut before = 0;
    for counter in 1..=50 {
        drop(start(manager, counter, library).await?);
        manager.kill(&id, incarnation(counter))?;
        while manager.observe().get(&id).is_some_and(|view| view.process.is_some()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if counter == 2 {
            before = descriptors()?;
        }
    }
    println!("{before} {} {}", descriptors()?, children()?);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    let [_, mode, program, flow_root, library] = args.as_slice() else {
        return Err("usage: gateways-hub hold|cycle PROGRAM FLOW_ROOT LIBRARY".into());
    };
    let flow_root = Path::new(flow_root);
    let config = ManagerConfig {
        program: Path::new(program).into(),
        flow_root: flow_root.into(),
        lock_root: flow_root.join("lock"),
        takes_in_children: true,
    };
    let manager = GatewayManager::new(config, Arc::new(|_| ()))?;
    if mode == "cycle" {
        return cycle(&manager, library).await;
    }
    let launched = start(&manager, 1, library).await?;
    println!("{}", launched.pid);
    std::future::pending().await
}
