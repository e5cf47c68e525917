//! A hub that does nothing but run workers: `gateways-hub hold|cycle|load PROGRAM DIR LIBRARY`, with its files in DIR.
//!
//! `hold` prints the process id of one worker, and waits to be killed. `cycle` starts and kills one, `CYCLES` times, and
//! prints what the first tenth and all of them have cost. `load` starts and ends four at once, again and again, until it is
//! killed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mdhub_gateways::manager::{GatewayManager, Launch, Launched, ManagerConfig};
use mdhub_gateways::program::Library;
use mdhub_spec::account::{AccountId, AccountSettings, GatewayKind, MarketDataAccount, Secret};
use mdhub_spec::process::Incarnation;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What tells the scripts what to do.
const PASSED_ON: [&str; 4] = ["ACT", "MARK", "PROOF", "SIMAPI_WORLD"];

/// One hub.
struct Hub {
    manager: Arc<GatewayManager>,
    library: String,
    launches: AtomicU64,
}

fn account(id: &str) -> Result<MarketDataAccount, Failure> {
    Ok(MarketDataAccount {
        id: id.parse()?,
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

impl Hub {
    async fn start(&self, id: &str) -> Result<(Launched, Incarnation), Failure> {
        let env = std::env::vars().filter(|(name, _)| PASSED_ON.contains(&name.as_str())).collect::<BTreeMap<_, _>>();
        let account = account(id)?;
        // No two hubs start at the same time.
        let epoch = u64::from(std::process::id());
        let incarnation = Incarnation { epoch, counter: self.launches.fetch_add(1, Ordering::Relaxed) + 1 };
        let launch = Launch {
            after: self.manager.observe().remove(&account.id).and_then(|view| view.last_incarnation()),
            account,
            incarnation,
            library: Library { path: (&self.library).into(), sha256: None, env, vnpy_class: None },
            contracts: Vec::new(),
        };
        Ok((self.manager.start(launch).await?, incarnation))
    }

    /// Waits until an account has no process.
    async fn free(&self, id: &AccountId) {
        while self.manager.observe().get(id).is_some_and(|view| view.process.is_some()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn end(&self, id: &str, incarnation: Incarnation) -> Result<(), Failure> {
        let id: AccountId = id.parse()?;
        self.manager.kill(&id, incarnation)?;
        tokio::time::timeout(Duration::from_secs(20), self.free(&id)).await?;
        Ok(())
    }

    async fn cycle(&self) -> Result<(), Failure> {
        let cycles: u64 = std::env::var("CYCLES")?.parse()?;
        for cycle in 1..=cycles {
            let (_, incarnation) = self.start("ctp-main").await?;
            self.end("ctp-main", incarnation).await?;
            if cycle == cycles / 10 {
                println!("{}", Cost::at_rest().await?);
            }
        }
        println!("{}", Cost::at_rest().await?);
        Ok(())
    }

    async fn load(self: Arc<Self>, id: String) -> Result<(), Failure> {
        loop {
            self.free(&id.parse()?).await;
            let (_, incarnation) = self.start(&id).await?;
            tokio::time::sleep(Duration::from_millis(30)).await;
            self.end(&id, incarnation).await?;
        }
    }
}

/// What a hub takes up.
struct Cost {
    descriptors: usize,
    threads: usize,
    children: usize,
    resident_kib: u64,
}

impl Cost {
    /// The least of a second and a half: what an end leaves to others to tidy up takes a moment.
    async fn at_rest() -> Result<Self, Failure> {
        let mut least = Self::now()?;
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let now = Self::now()?;
            least = Self {
                descriptors: least.descriptors.min(now.descriptors),
                threads: least.threads.min(now.threads),
                children: least.children.min(now.children),
                resident_kib: least.resident_kib.min(now.resident_kib),
            };
        }
        Ok(least)
    }

    fn now() -> Result<Self, Failure> {
        let mut children = 0;
        for task in std::fs::read_dir("/proc/self/task")? {
            children += std::fs::read_to_string(task?.path().join("children"))?.split_whitespace().count();
        }
        let status = std::fs::read_to_string("/proc/self/status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(Self {
            descriptors: std::fs::read_dir("/proc/self/fd")?.count(),
            threads: std::fs::read_dir("/proc/self/task")?.count(),
            children,
            resident_kib: resident.trim().trim_end_matches(" kB").parse()?,
        })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.descriptors, self.threads, self.children, self.resident_kib)
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    let [_, mode, program, dir, library] = args.as_slice() else {
        return Err("usage: gateways-hub hold|cycle|load PROGRAM DIR LIBRARY".into());
    };
    let dir = Path::new(dir);
    let config = ManagerConfig {
        program: Path::new(program).into(),
        flow_root: dir.join("flow"),
        lock_root: dir.join("lock"),
        takes_in_children: true,
    };
    let manager = GatewayManager::new(config, Arc::new(|_| ()))?;
    let hub = Arc::new(Hub { manager, library: library.clone(), launches: AtomicU64::new(0) });
    match mode.as_str() {
        "hold" => {
            hub.free(&"ctp-main".parse()?).await;
            let (launched, _) = hub.start("ctp-main").await?;
            println!("{}", launched.pid);
            std::future::pending().await
        }
        "cycle" => hub.cycle().await,
        "load" => {
            let loads = (0..4).map(|n| tokio::spawn(Arc::clone(&hub).load(format!("load-{n}"))));
            for load in loads.collect::<Vec<_>>() {
                load.await??;
            }
            Ok(())
        }
        other => Err(format!("{other}: hold, cycle or load").into()),
    }
}
