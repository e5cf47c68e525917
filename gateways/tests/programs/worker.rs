//! A worker as the hub runs it, for the tests of this crate: `gateways-worker gateway KIND --account ID ...`.

use std::process::ExitCode;

use mdhub_gateways::worker::{self, WorkerArgs};
use mdhub_spec::account::GatewayKind;

fn args(given: &[String]) -> Option<WorkerArgs> {
    let value = |name: &str| given.iter().skip_while(|a| *a != name).nth(1).cloned();
    Some(WorkerArgs {
        dialect: given.get(2)?.parse::<GatewayKind>().ok()?.dialect()?,
        account: value("--account")?.parse().ok()?,
        incarnation: value("--incarnation")?.parse().ok()?,
        parent_pid: value("--parent-pid")?.parse().ok()?,
    })
}

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().collect();
    match args(&given) {
        Some(args) => ExitCode::from(u8::try_from(worker::run(args)).unwrap_or(u8::MAX)),
        None => {
            eprintln!("usage: gateways-worker gateway KIND --account ID --incarnation E.N --parent-pid P");
            ExitCode::from(64)
        }
    }
}
