//! `mdhub demo`: a whole hub on SQLite with three simulated accounts. The gateways are the native ones; only the vendor
//! library is simulated, and its market never closes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mdhub_spec::account::{AccountSettings, GatewayKind, MarketDataAccount, Secret};
use mdhub_spec::contract::{Contract, ContractError};
use mdhub_spec::ports::{AccountStore, StoreError};
use mdhub_spec::settings::{Library, Settings};
use serde_json::json;

use crate::cli::{DemoArgs, PlaceArgs};
use crate::data_dir::DataDir;
use crate::settings_file::{self, LoadedSettings};
use crate::{Failure, accounts, admin, hub, say};

/// The name under which the demo's accounts know the simulated library.
const LIBRARY: &str = "sim";

/// Everything that is not said here or below is as in any hub.
const HEAD: &str = "apiVersion: mdhub/v1\nkind: Hub\n";

/// The liveliest of each exchange.
const CANARIES: [&str; 8] = [
    "rb2701.SHFE",
    "m2705.DCE",
    "MA701.CZCE",
    "IF2612.CFFEX",
    "sc2701.INE",
    "lc2701.GFEX",
    "510050.SSE",
    "159919.SZSE",
];

/// Something of every exchange.
const CONTRACTS: [&str; 14] = [
    "rb2701.SHFE",
    "au2702.SHFE",
    "cu2701.SHFE",
    "ag2702.SHFE",
    "m2705.DCE",
    "i2701.DCE",
    "MA701.CZCE",
    "CF701.CZCE",
    "IF2612.CFFEX",
    "sc2701.INE",
    "lc2701.GFEX",
    "10009123.SSE",
    "510050.SSE",
    "159919.SZSE",
];

/// One simulated account and the front that it talks to.
struct Simulated {
    id: &'static str,
    gateway: GatewayKind,
    priority: u32,
    front: &'static str,
    delay_ms: f64,
    loss_share: u32,
}

/// Each front is a little late in its own way and loses another one in a hundred ticks, so that there is a race to watch.
const ACCOUNTS: [Simulated; 3] = [
    Simulated {
        id: "ctp-main",
        gateway: GatewayKind::Ctp,
        priority: 1,
        front: "tcp://ctp-main.sim:41213",
        delay_ms: 0.3,
        loss_share: 0,
    },
    Simulated {
        id: "ctp-backup",
        gateway: GatewayKind::Ctp,
        priority: 2,
        front: "tcp://ctp-backup.sim:41213",
        delay_ms: 0.9,
        loss_share: 1,
    },
    Simulated {
        id: "sopt-main",
        gateway: GatewayKind::Sopt,
        priority: 1,
        front: "tcp://sopt-main.sim:41213",
        delay_ms: 0.3,
        loss_share: 2,
    },
];

/// Runs the demo until it is told to end.
///
/// # Errors
/// Why it did not start.
pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let place = PlaceArgs { data_dir: args.data_dir.clone(), database_url: None, secret_key_file: None };
    let data = DataDir::open(&place)?;
    // Before anything is written: a hub that runs here must not get back what was deleted in it.
    let lock = data.lock()?;
    let loaded = settings(&data, &args)?;
    // Accounts that exist are left as they are: what was switched off stays off at the next start.
    let store = accounts::open(&data, &data.database_url(None)).await?;
    for simulated in &ACCOUNTS {
        add(&*store, simulated).await?;
    }
    drop(store);
    let place = data.clone();
    hub::run(loaded, data, lock, |at| {
        let zmq = String::from(at.zmq);
        // Here alone it is printed: it guards three simulated accounts.
        let password = admin::initial_password(&place).unwrap_or_else(|| "the password that you gave it".to_owned());
        say(format_args!(
            "mdhub demo: three simulated accounts, a market that never closes. Ctrl-C ends it.\n\n\
             look    http://{http}/    login: admin {password}\n\
             health  http://{http}/health\n\
             ticks   {zmq}\n\
             listen  mdhub subscribe rb2701.SHFE --zmq {zmq}\n\
             steer   mdhub account list --data-dir {directory}\n\
             why     mdhub describe --data-dir {directory}",
            http = at.http,
            directory = args.data_dir.display(),
        ))
    })
    .await
}

fn settings(data: &DataDir, args: &DemoArgs) -> Result<LoadedSettings, Failure> {
    data.replace("world.json", &world().to_string())
        .map_err(|e| format!("{}: {e}", data.path("world.json").display()))?;
    let world = data.path("world.json").display().to_string();
    let library = Library {
        path: simulated_library()?.display().to_string(),
        sha256: None,
        env: BTreeMap::from([("SIMAPI_WORLD".to_owned(), world)]),
        gateway_class: None,
        serves: None,
        connect: BTreeMap::new(),
    };
    let list = CONTRACTS.iter().map(|c| c.parse::<Contract>().map_err(|e| e.to_string())).collect::<Result<_, _>>()?;
    let canaries = CANARIES.iter().map(|c| c.parse().map_err(|e: ContractError| e.to_string()));
    let mut settings = Settings::parse("the demo's settings", HEAD).map_err(|e| e.to_string())?;
    settings.http.listen = args.http;
    settings.http.dashboard.clone_from(&args.dashboard);
    settings.publish.listen = args.zmq;
    settings.contracts.list = list;
    settings.canaries.list = canaries.collect::<Result<_, _>>()?;
    settings.calendar.always_open = true;
    settings.libraries = BTreeMap::from([(LIBRARY.to_owned(), library)]);
    settings_file::resolve(settings, Path::new(""))
}

/// The fronts of the simulated market.
fn world() -> serde_json::Value {
    let fronts: serde_json::Map<String, serde_json::Value> = ACCOUNTS
        .iter()
        .map(|a| {
            let front = json!({"delay_ms": a.delay_ms, "loss_rate": 0.01, "loss_share": a.loss_share});
            (a.front.to_owned(), front)
        })
        .collect();
    json!({"seed": 1, "market": {"kind": "synthetic", "interval_ms": 500, "levels": 5}, "fronts": fronts})
}

/// The simulated library lies beside this program.
fn simulated_library() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe().map_err(|e| format!("this program's own path is not known: {e}"))?;
    let path = program.with_file_name("libmdhub_simapi.so");
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!(
            "{}: the simulated vendor library is not there; build it: cargo build -p mdhub-simapi (with --release for a release build)",
            path.display()
        ))
    }
}

async fn add(store: &dyn AccountStore, simulated: &Simulated) -> Result<(), Failure> {
    let settings = json!({"md_address": simulated.front, "library": LIBRARY, "user_id": "demo", "broker_id": "9999"});
    let account = MarketDataAccount {
        id: simulated.id.parse().map_err(|e: mdhub_spec::account::AccountError| e.to_string())?,
        gateway: simulated.gateway,
        settings: AccountSettings::from_json(&settings.to_string()).map_err(|e| e.to_string())?,
        password: Secret::new("demo".into()),
        priority: simulated.priority,
        is_enabled: true,
        suspended: false,
        restart_generation: 0,
        generation: 0,
        description: "simulated".into(),
        created_at_ms: 0,
        updated_at_ms: 0,
    };
    match store.insert(account).await {
        Ok(_) | Err(StoreError::Taken(_)) => Ok(()),
        Err(e) => Err(e.to_string()),
    }
}
