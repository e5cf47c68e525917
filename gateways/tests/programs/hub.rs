//! A hub that does nothing but run one worker, for the test that kills it: `gateways-hub PROGRAM FLOW_ROOT`. Prints the
//! worker's process id, and waits to be killed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mdhub_gateways::manager::{GatewayManager, Launch, Library, ManagerConfig};
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

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(program), Some(flow_root)) = (args.next(), args.next()) else {
        return Err("usage: gateways-hub PROGRAM FLOW_ROOT".into());
    };
    let manager = GatewayManager::new(ManagerConfig { program, flow_root }, Arc::new(|_| ()))?;
    let env = std::env::vars().filter(|(name, _)| name == "ACT").collect::<BTreeMap<_, _>>();
    let launched = manager
        .start(Launch {
            account: account()?,
            incarnation: Incarnation { epoch: 1, counter: 1 },
            after: None,
            library: Library { path: "/none".into(), sha256: None, env },
            contracts: Vec::new(),
        })
        .await?;
    println!("{}", launched.pid);
    std::future::pending().await
}
