//! Joins the crates into a running hub.
//!
//! ```text
//! store -> watch -> desired --+                        +-> gateways (start, TERM, KILL)
//!                             +-> control: plan -------+-> feed (attach, routes)
//! gateways, feed -> observed -+                        +-> statuses, events
//! ```

mod canaries;
mod contracts;
mod control;
mod coverage;
mod dashboard;
mod deliveries;
mod desired;
mod heartbeat;
mod hooks;
mod last;
mod late;
mod logins;
mod market;
mod metrics;
mod outbox;
mod pipes;
mod queries;
mod rates;
mod ready;
mod reload;
mod slots;
mod status;
mod trials;
mod vitals;
mod watch;
mod watchdog;

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mdhub_alerts::Alerts;
use mdhub_alerts::Waiting;
use mdhub_api::Canary;
use mdhub_api::password::Administrator;
use mdhub_feed::engine::EngineConfig;
use mdhub_feed::{FeedConfig, FeedHandle};
use mdhub_gateways::manager::{GatewayManager, ManagerConfig};
use mdhub_spec::calendar::MarketCalendar;
use mdhub_spec::plane::{FeedCommand, FeedEvent};
use mdhub_spec::ports::AccountStore;
use mdhub_spec::settings::Endpoint;
use mdhub_spec::time::Mono;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch as tokio_watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::cli::RunArgs;
use crate::clock;
use crate::data_dir::DataDir;
use crate::settings_file::{self, LoadedSettings};
use crate::{Failure, admin, alerts, logging, say};

use self::control::{Control, Key};
use self::metrics::Metrics;
use self::outbox::Outbox;
use self::watchdog::{Watchdog, Watched};

/// Feed events that may wait for control. A lost one is made good by the feed's report a second later.
const FEED_EVENTS_WAITING_MAX: usize = 1_024;

/// Descriptors that the hub allows itself: ten thousand subscribers, and much to spare.
const DESCRIPTORS_MAX: u64 = 65_536;

/// At the hub's end, what has no part in the workers' end has so long.
const CLOSING: Duration = Duration::from_secs(5);

/// Where a running hub answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) zmq: Endpoint,
}

/// `mdhub run`.
///
/// # Errors
/// Why the hub did not start.
pub(crate) async fn run_from_file(args: RunArgs) -> Result<(), Failure> {
    let loaded = settings_file::load(&args.config)?;
    let data = DataDir::open(&args.place)?;
    let lock = data.lock()?;
    run(loaded, data, lock, |at| {
        say(format_args!("health  http://{}/health\nticks   {}", at.http, String::from(at.zmq)))
    })
    .await
}

/// Runs a hub until it is told to end. It holds `_lock`, that of its data directory, all the while.
///
/// # Errors
/// Why the hub did not start.
pub(crate) async fn run(
    loaded: LoadedSettings,
    data: DataDir,
    _lock: File,
    started: impl FnOnce(&Addresses) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let reports = Waiting::default();
    let log = logging::start(&loaded.settings.logging, data.path("log"), reports.ear())?;
    let mut ends = Ends::listen()?;
    prepare_process();
    let database = data.database_url(loaded.settings.database.url.as_deref());
    let last = last::LastDesired::new(&data)?;
    let administrator = admin::read_or_make(&data)?;
    let hangups = hangups(&loaded)?;
    let store = tokio::select! {
        store = late::open(&data, &database, &last) => store?,
        // Another program may lock the database for long.
        signal = ends.first() => {
            info!(signal, "the hub ends before it was up");
            return Ok(());
        }
    };
    let http = bind(loaded.settings.http.listen).await?;
    let epoch = clock::now().wall_ns;
    let (feed, feed_events) = start_feed(&loaded, epoch)?;
    let at = Addresses { http: http.1, zmq: Endpoint(feed.listen_addr()) };
    announce(&data, &at, epoch, &database);
    let feed = Arc::new(feed);
    let queue = control::Queue::default();
    let manager = start_manager(&data, &queue)?;
    manager.set_limits(loaded.settings.health.worker);
    let outbox = outbox::start(store.clone());
    let control = Arc::new(Control::new(epoch, &loaded, feed.clone(), manager.clone(), outbox.clone(), queue.clone()));

    let alerts = Arc::new(alerts::start(reports, &loaded.settings.alerts, &data, control.in_session())?);
    let (stop, stopped) = tokio_watch::channel(false);
    let listener = tokio::spawn(pipes::listen(feed_events, control.clone()));
    let controller = tokio::spawn(control::run(control.clone(), stopped.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(watch::Watch::new(store.clone(), control.clone(), last, outbox.clone()).run(stopped.clone()));
    tasks.spawn(status::run(data.clone(), control.documents(), stopped.clone()));
    tasks.spawn(vitals::run(data.clone(), control.clone(), alerts.clone(), log.counts(), stopped.clone()));
    tasks.spawn(alerts::follow(alerts.clone(), control.settings(), stopped.clone()));
    tasks.spawn(hooks::wedge_feed(feed.clone(), stopped.clone()));
    tasks.spawn(control.clone().check_coverage(stopped.clone()));
    if let (Some(reload), Some(hangups)) = (reload::Reload::new(&control, &outbox, log.filter()), hangups) {
        tasks.spawn(reload.run(hangups, stopped.clone()));
    }
    let people = (administrator.subscribe(), logins::keep(&mut tasks, &data, &stopped));
    let shown = Shown::begin(&mut tasks, &control, &stopped, store.clone(), people, alerts.clone());
    let shown = shown.beside(&feed, &control, &log, &outbox, epoch, &data);
    tasks.spawn(serve(http.0, shown, stopped.clone()));
    tasks.spawn(admin::follow(data.clone(), administrator, stopped));
    let _watchdog = start_watchdog(&feed, &control, &outbox)?;

    info!(epoch, http = %at.http, ticks = %String::from(at.zmq), contracts = loaded.contracts.len(), "the hub is up");
    if let Err(why) = started(&at) {
        warn!("{why}; everything else goes on");
    }

    let signal = ends.first().await;
    info!(signal, "the hub ends; a second signal ends it at once");
    let grace = Duration::from_millis(control.settings().borrow().settings.health.term_grace_ms);
    let _ = stop.send(true);
    let running = Running { controller, tasks, manager, outbox };
    running.end(grace, ends).await;
    vitals::write(&data, &control, &alerts, &log.counts());
    let alerts = Arc::into_inner(alerts);
    let _ = feed.send(FeedCommand::Shutdown);
    listener.abort();
    let _ = listener.await;
    drop(control);
    join(feed).await;
    info!("the hub has ended");
    if let Some(alerts) = alerts {
        let _ = tokio::task::spawn_blocking(move || alerts.stop()).await;
    }
    Ok(())
}

/// Subscribers get what waits for them, and a proper goodbye, before the process ends.
async fn join(feed: Arc<FeedHandle>) {
    match Arc::into_inner(feed) {
        Some(feed) => drop(tokio::task::spawn_blocking(move || feed.join()).await),
        None => warn!("the feed is still held: subscribers may miss what waits for them"),
    }
}

/// What runs until the hub ends.
struct Running {
    controller: JoinHandle<()>,
    tasks: JoinSet<()>,
    manager: Arc<GatewayManager>,
    outbox: Outbox,
}

impl Running {
    /// Waits until all of it has ended. A second signal ends the workers by KILL, and waits for nothing else.
    async fn end(self, grace: Duration, mut ends: Ends) {
        let Self { controller, tasks, manager, outbox } = self;
        let ending = async {
            // A run that hangs does not keep the workers from ending: nothing starts once they do.
            let _ = timeout(grace, controller).await;
            manager.shutdown(grace).await;
            let _ = timeout(CLOSING, tasks.join_all()).await;
            outbox.close().await;
        };
        tokio::select! {
            () = ending => {}
            second = ends.first() => {
                error!(signal = second, "ended at once");
                manager.shutdown(Duration::ZERO).await;
            }
        }
    }
}

/// What the process as a whole is allowed, before it holds a secret.
fn prepare_process() {
    guard_memory();
    allow_descriptors();
}

/// The hub holds passwords: it leaves no core dump, and no other program of its user may read its memory.
fn guard_memory() {
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        warn!(%error, "the limit of core dumps stays as it is");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        warn!(%error, "the hub's memory stays open to its user's programs");
    }
}

/// Raises the soft limit of descriptors, 1024 by habit, as far as it may be: subscribers that use it up would keep workers
/// from being started.
fn allow_descriptors() {
    let given = getrlimit(Resource::Nofile);
    let wanted = given.maximum.map_or(DESCRIPTORS_MAX, |most| most.min(DESCRIPTORS_MAX));
    if given.current.is_some_and(|now| now < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..given })
    {
        warn!(%error, allowed = given.current, "the limit of open descriptors stays as it is");
    }
}

async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let refused = |e: std::io::Error| {
        format!(
            "http.listen: {listen}: {e}; choose another address (the demo's --http, the settings file's http.listen)"
        )
    };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

fn start_feed(loaded: &LoadedSettings, epoch: u64) -> Result<(FeedHandle, mpsc::Receiver<FeedEvent>), Failure> {
    let (sender, receiver) = mpsc::channel(FEED_EVENTS_WAITING_MAX);
    let config = FeedConfig {
        publish: loaded.settings.publish.clone(),
        engine: EngineConfig {
            cleansing: loaded.settings.cleansing.clone(),
            arbitration: loaded.settings.arbitration,
            calendar: MarketCalendar::of(&loaded.settings.calendar),
            always_open: loaded.settings.calendar.always_open,
            epoch,
        },
    };
    let feed = mdhub_feed::spawn(config, Box::new(move |event| sender.try_send(event).is_ok()))
        .map_err(|e| format!("publish.listen: {}: {e}", String::from(loaded.settings.publish.listen)))?;
    Ok((feed, receiver))
}

fn start_manager(data: &DataDir, queue: &control::Queue) -> Result<Arc<GatewayManager>, Failure> {
    let program = std::env::current_exe().map_err(|e| format!("this program's own path is not known: {e}"))?;
    let config =
        ManagerConfig { program, flow_root: data.path("flow"), lock_root: data.path("lock"), takes_in_children: true };
    let lock_root = config.lock_root.clone();
    let queue = queue.clone();
    let changed = move |_: &_| {
        if !hooks::misses_events() {
            queue.wake(Key::Hub);
        }
    };
    GatewayManager::new(config, Arc::new(changed))
        .map_err(|e| format!("the gateway manager does not start: {e} (its locks are in {})", lock_root.display()))
}

/// What the hub cannot do without, by its beats.
fn beats(feed: &FeedHandle, control: &Control) -> Vec<Watched> {
    let (vitals, loop_) = (feed.vitals().clone(), control.beat().clone());
    let feed = move || Some(Mono(vitals.beat_mono_ns.load(Ordering::Relaxed)));
    vec![
        Watched { name: "the feed thread", beat: Box::new(feed) },
        Watched { name: "the control loop", beat: Box::new(move || loop_.last()) },
    ]
}

/// Answers at the control port until the hub ends.
async fn serve(listener: TcpListener, sources: mdhub_api::Sources, stopped: tokio_watch::Receiver<bool>) {
    if let Err(error) = mdhub_api::serve(listener, sources, ended(stopped)).await {
        error!(%error, "the control port answers no more; everything else goes on");
    }
}

/// What the control port shows, as it changes.
struct Shown {
    rates: tokio_watch::Receiver<Arc<Value>>,
    canaries: tokio_watch::Receiver<Arc<Vec<Canary>>>,
    store: Arc<dyn AccountStore>,
    administrator: tokio_watch::Receiver<Arc<Administrator>>,
    alerts: Arc<Alerts>,
    logins: tokio_watch::Sender<String>,
}

impl Shown {
    /// Begins to look at what is to be shown.
    fn begin(
        tasks: &mut JoinSet<()>,
        control: &Arc<Control>,
        stopped: &tokio_watch::Receiver<bool>,
        store: Arc<dyn AccountStore>,
        (administrator, logins): (tokio_watch::Receiver<Arc<Administrator>>, tokio_watch::Sender<String>),
        alerts: Arc<Alerts>,
    ) -> Self {
        let canaries = canaries::start(tasks, control, stopped);
        let rates = rates::start(tasks, control, canaries.clone(), alerts.vitals(), stopped);
        Self { rates, canaries, store, administrator, alerts, logins }
    }

    /// With what it shows when it is asked.
    fn beside(
        self,
        feed: &FeedHandle,
        control: &Arc<Control>,
        log: &logging::Log,
        outbox: &Outbox,
        epoch: u64,
        data: &DataDir,
    ) -> mdhub_api::Sources {
        let counted = control.clone();
        let Self { rates, canaries, store, administrator, alerts, logins } = self;
        let metrics =
            Metrics { control: control.clone(), alerts, log: log.counts(), canaries: canaries.clone(), epoch };
        mdhub_api::Sources {
            clock: Arc::new(clock::now),
            http: control.settings().borrow().settings.http.clone(),
            health: health(feed, control),
            ready: ready::probe(health(feed, control), control.documents()),
            status: control.documents(),
            counters: Arc::new(move |id| vitals::of_account(&counted, id)),
            logs: log.source(),
            feed: Arc::new(queries::Queries::new(control.clone())),
            trials: Arc::new(trials::Trial::new(control, data)),
            metrics: Arc::new(move || metrics.text()),
            pages: Arc::new(dashboard::pages(control.settings().borrow().settings.http.dashboard.as_deref())),
            events: outbox.live(),
            rates,
            canaries,
            store,
            logins,
            administrator,
        }
    }
}

/// Well is a hub whose beats are younger than half of what the watchdog allows.
fn health(feed: &FeedHandle, control: &Control) -> mdhub_api::HealthProbe {
    let (watched, settings) = (beats(feed, control), control.settings());
    Arc::new(move || {
        let (now, limit_ms) = (clock::now().mono, settings.borrow().settings.health.hub.still_ms_max / 2);
        for Watched { name, beat } in &watched {
            let age_ms = beat().map_or(0, |at| now.ms_since(at));
            if age_ms > limit_ms {
                return Err(format!("{name} stands still for {age_ms} ms"));
            }
        }
        Ok(())
    })
}

fn start_watchdog(feed: &FeedHandle, control: &Control, outbox: &Outbox) -> Result<Watchdog, Failure> {
    let settings = control.settings();
    let limit_ms = move || settings.borrow().settings.health.hub.still_ms_max;
    watchdog::start(beats(feed, control), limit_ms, outbox.clone())
}

/// The signal that has the settings read again, for a hub that has a settings file. Without one it ends the hub, as it ends
/// any program of a terminal that is closed.
fn hangups(loaded: &LoadedSettings) -> Result<Option<Signal>, Failure> {
    let listen = || signal(SignalKind::hangup()).map_err(|e| format!("signals cannot be heard: {e}"));
    loaded.file.is_some().then(listen).transpose()
}

/// Writes down where the hub answers, for scripts that start it on free ports. On a full disk nothing stands there: what the
/// hub before wrote would lead them astray.
fn announce(data: &DataDir, at: &Addresses, epoch: u64, database: &str) {
    let text = json!({
        "pid": std::process::id(), "http": format!("http://{}", at.http), "zmq": String::from(at.zmq),
        "epoch": epoch.to_string(), "database": mdhub_store::shown(database),
    });
    if let Err(error) = data.replace("run.json", &text.to_string()) {
        let _ = std::fs::remove_file(data.path("run.json"));
        warn!(%error, "run.json cannot be written: commands do not find this hub's ports; everything else goes on");
    }
}

/// Resolves once the hub is told to end.
async fn ended(mut stopped: tokio_watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// The signals that end a hub.
struct Ends {
    term: Signal,
    int: Signal,
}

impl Ends {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|e| format!("signals cannot be heard: {e}"));
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    async fn first(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "TERM",
            _ = self.int.recv() => "INT",
        }
    }
}
