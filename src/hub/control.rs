//! The join of planner, processes and feed: the only code that carries out a plan.
//!
//! Two kinds of key run through the controller's queue. [`Key::Hub`] plans for everything, makes routes and statuses true,
//! and asks for the accounts that have something to do. [`Key::Account`] plans anew and carries out its own account's
//! action, so that a slow one never holds up another. Every run starts from what is there now; the reason for a wake-up
//! does not matter.

mod failovers;
mod holdings;
mod news;
mod subscriptions;
mod ticks;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use mdhub_feed::FeedHandle;
use mdhub_gateways::manager::{GatewayManager, Launch};
use mdhub_reconciler::controller::{self, Requeue, Retry, Watch};
use mdhub_reconciler::plan::{Action, Observed, Plan, Subscribed, plan};
use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::{FeedCommand, Route, RouteTable, SourceMask, SourceSlot, SourceVitals};
use mdhub_spec::ports::SetAside;
use mdhub_spec::process::{GatewayView, Incarnation};
use mdhub_spec::time::{Mono, Now};
use serde_json::Value;
use tokio::sync::{Notify, watch as tokio_watch};
use tracing::{error, info, warn};

use crate::clock;
use crate::settings_file::LoadedSettings;

use super::coverage::Coverage;
use super::deliveries::{self, Garbage};
use super::desired::{Configured, DesiredState, in_force};
use super::hooks::{self, Act};
use super::market::{self, Market};
use super::outbox::Outbox;
use super::pipes::Pipes;
use super::reload;
use super::slots::Slots;
use super::status;
use super::watch::StandingCell;
use super::watchdog::ControlBeat;
use failovers::Pending;
#[cfg(test)]
pub(crate) use holdings::Told as ToldContracts;
pub(crate) use holdings::{Holder, Holdings};
use news::Told;

/// What the controller's queue holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// Everything.
    Hub,
    /// One account's processes.
    Account(AccountId),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub => f.write_str("hub"),
            Self::Account(id) => id.fmt(f),
        }
    }
}

/// The controller's queue.
pub(crate) type Queue = mdhub_reconciler::controller::Queue<Key>;

/// Everything is looked at again at least this often, whatever was or was not heard.
const RESYNC_MS: u64 = 1_000;

/// A longer pause between two looks means that the hub itself stood still.
const STANDSTILL_MS: u64 = 3_000;

/// The feed takes commands within microseconds; if its queue is full for this long it is wedged.
const FEED_TRIES_MAX: u32 = 200;
const FEED_RETRY: Duration = Duration::from_millis(10);

/// Everything that changes while the hub runs. One lock, never held across an await.
#[derive(Default)]
struct State {
    desired: Option<Arc<DesiredState>>,
    slots: Slots,
    pipes: Pipes,
    vitals: BTreeMap<AccountId, Arc<SourceVitals>>,
    routed: BTreeMap<Contract, (SourceMask, Option<SourceSlot>)>,
    routes_revision: u64,
    told: Told,
    garbage: Garbage,
    /// Processes that were ended for being sick.
    ended_sick: BTreeSet<Incarnation>,
    /// What subscribers ask for beyond the settings.
    demanded: Arc<BTreeSet<Contract>>,
    /// What each worker was last told to subscribe.
    subscribed: BTreeMap<AccountId, Subscribed>,
    assigned: holdings::Assigned,
    coverage: Coverage,
    /// Failovers whose first tick is yet to come.
    pending: Vec<Pending>,
    /// What each worker was last told of its session.
    sessions: BTreeMap<AccountId, (Incarnation, bool)>,
    market: Market,
    /// When that was looked up, milliseconds since the epoch.
    market_at_ms: i64,
    looked_at: Mono,
    watching_since: Mono,
    ledger: status::Ledger,
    /// How the settings in force stand to their file.
    settings_stand: reload::Standing,
}

/// Runs the controller until the hub is told to end, and waits for what is under way then.
pub(crate) async fn run(control: Arc<Control>, mut stopped: tokio_watch::Receiver<bool>) {
    let (queue, beat, settings) = (control.queue.clone(), control.beat.clone(), control.settings());
    let watch = Watch {
        run_max: move || Duration::from_millis(settings.borrow().settings.health.hub.run_ms_max),
        beat: {
            let beat = beat.clone();
            move || beat.beat()
        },
    };
    let reconcile = move |key: Key| {
        let control = control.clone();
        async move {
            match key {
                Key::Hub => control.look_at_everything().await.map(Requeue::After),
                Key::Account(id) => control.look_at(&id).await.map(|()| Requeue::WhenAsked),
            }
        }
    };
    let ended = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    controller::run(queue, Retry::default(), watch, reconcile, ended).await;
    beat.over();
}

/// Carries out plans.
pub(crate) struct Control {
    epoch: u64,
    started_at: Mono,
    configured: RwLock<Arc<Configured>>,
    /// As they are in force.
    settings: tokio_watch::Sender<Arc<LoadedSettings>>,
    beat: Arc<ControlBeat>,
    feed: Arc<FeedHandle>,
    manager: Arc<GatewayManager>,
    outbox: Outbox,
    queue: Queue,
    launches: AtomicU64,
    standing: StandingCell,
    /// The market's `runs`.
    in_session: Arc<AtomicBool>,
    state: Mutex<State>,
    /// What the status file says.
    documents: tokio_watch::Sender<Arc<Value>>,
    /// Wakes whoever waits for a failover's first tick.
    failed_over: Notify,
    /// Route tables reach the feed in the order of their revisions.
    routing: tokio::sync::Mutex<()>,
}

impl Control {
    pub(crate) fn new(
        epoch: u64,
        loaded: &LoadedSettings,
        feed: Arc<FeedHandle>,
        manager: Arc<GatewayManager>,
        outbox: Outbox,
        queue: Queue,
    ) -> Self {
        let now = clock::now().mono;
        let state = State { looked_at: now, watching_since: now, ..State::default() };
        Self {
            epoch,
            started_at: now,
            configured: RwLock::new(Arc::new(Configured::from(loaded))),
            settings: tokio_watch::Sender::new(Arc::new(loaded.clone())),
            beat: Arc::default(),
            feed,
            manager,
            outbox,
            queue,
            launches: AtomicU64::new(0),
            standing: StandingCell::default(),
            in_session: Arc::default(),
            state: Mutex::new(state),
            documents: tokio_watch::Sender::new(Arc::new(status::nothing())),
            failed_over: Notify::new(),
            routing: tokio::sync::Mutex::new(()),
        }
    }

    /// The hub's start, nanoseconds since the epoch; the payloads' `epoch`.
    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the status file is to say, whenever it changes.
    pub(crate) fn documents(&self) -> tokio_watch::Receiver<Arc<Value>> {
        self.documents.subscribe()
    }

    /// The settings in force, whenever they change.
    pub(crate) fn settings(&self) -> tokio_watch::Receiver<Arc<LoadedSettings>> {
        self.settings.subscribe()
    }

    /// The beat of the control loop.
    pub(crate) fn beat(&self) -> &Arc<ControlBeat> {
        &self.beat
    }

    pub(super) fn configured(&self) -> Arc<Configured> {
        self.configured.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these settings are in force, as far as control goes by them.
    pub(crate) fn settings_changed(&self, loaded: LoadedSettings) {
        let configured = Arc::new(Configured::from(&loaded));
        self.manager.set_limits(loaded.settings.health.worker);
        *self.configured.write().unwrap_or_else(PoisonError::into_inner) = configured.clone();
        self.settings.send_replace(Arc::new(loaded));
        let mut state = self.state();
        (state.market, state.market_at_ms) = (Market::default(), 0);
        state.demanded = Arc::new(state.demanded.difference(&configured.contracts).cloned().collect());
        if let Some(before) = state.desired.clone() {
            let contracts = self.wanted_contracts(&state.demanded);
            let accounts = before.accounts.values().cloned().collect();
            let desired =
                DesiredState::new(&configured, &state.slots, accounts, Some(&before)).with_contracts(contracts);
            state.desired = Some(Arc::new(desired));
        }
        drop(state);
        self.queue.wake(Key::Hub);
    }

    /// How the settings in force stand to their file, for the status.
    pub(crate) fn settings_stand(&self, standing: reload::Standing) {
        self.state().settings_stand = standing;
        self.queue.wake(Key::Hub);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A complete read of the accounts: from now on this is desired.
    pub(crate) fn accounts_changed(&self, accounts: Vec<MarketDataAccount>, set_aside: &[SetAside]) {
        let before = self.state().desired.clone();
        let accounts = in_force(accounts, set_aside, before.as_deref());
        // One that is out of the pool needs no place among the sources.
        let wanted: BTreeSet<AccountId> = accounts.iter().filter(|a| a.is_enabled).map(|a| a.id.clone()).collect();
        let views = self.manager.observe();
        let mut state = self.state();
        let unread = state.pipes.all();
        let delivers = |(_, view): &(&AccountId, &GatewayView)| {
            view.process.is_some() || view.last_incarnation().is_some_and(|i| unread.contains(&i))
        };
        let busy = views.iter().filter(delivers).map(|(id, _)| id.clone()).collect();
        state.slots.assign(&wanted, &busy);
        // Of accounts that are gone nothing is kept longer than the manager keeps it.
        state.vitals.retain(|id, _| busy.contains(id) || accounts.iter().any(|a| a.id == *id));
        state.told.forget(|id| views.contains_key(id));
        state.sessions.retain(|id, _| views.contains_key(id));
        state.subscribed.retain(|id, _| views.contains_key(id));
        let contracts = self.wanted_contracts(&state.demanded);
        let before = state.desired.clone();
        let desired =
            DesiredState::new(&self.configured(), &state.slots, accounts, before.as_deref()).with_contracts(contracts);
        state.desired = Some(Arc::new(desired));
        drop(state);
        self.told();
    }

    /// Something was told: it is looked at everything. What goes by this and is missed, the next look finds.
    fn told(&self) {
        if !hooks::misses_events() {
            self.queue.wake(Key::Hub);
        }
    }

    /// The accounts that are in force; none before the first read.
    pub(crate) fn accounts_in_force(&self) -> Vec<MarketDataAccount> {
        let desired = self.state().desired.clone();
        desired.map(|desired| desired.accounts.values().cloned().collect()).unwrap_or_default()
    }

    /// How the desired state stands to the database.
    pub(crate) fn standing(&self) -> &StandingCell {
        &self.standing
    }

    /// The feed is done with a pipe. One that held what is no tick ends its worker, and only that one.
    pub(crate) fn pipe_ended(&self, incarnation: Incarnation, broken: Option<String>) {
        if hooks::misses_events() {
            return;
        }
        self.state().pipes.ended(incarnation);
        self.manager.ticks_ended(incarnation);
        if let Some(why) = broken {
            let views = self.manager.observe();
            let whose = views.iter().find(|(_, v)| v.process.as_ref().is_some_and(|p| p.incarnation == incarnation));
            if let Some((id, _)) = whose {
                error!(account = %id, %incarnation, why, "the tick pipe is broken; its worker is ended");
                self.outbox.hub_event(Some(id), "TickPipeBroken", format!("the tick pipe is broken: {why}"));
                self.manager.condemn(id, incarnation, &format!("its tick pipe is broken: {why}"));
            }
        }
        self.told();
    }

    /// The feed's full report.
    pub(crate) fn pipes_reported(&self, read: &[Incarnation]) {
        let ended = self.state().pipes.report(read);
        for incarnation in &ended {
            self.manager.ticks_ended(*incarnation);
        }
        if !ended.is_empty() {
            self.told();
        }
    }

    /// Counters of every source there was.
    pub(crate) fn source_vitals(&self) -> BTreeMap<AccountId, Arc<SourceVitals>> {
        self.state().vitals.clone()
    }

    /// Whether any gateway is to run now. Without a lock, so that whoever asks never waits for a run.
    pub(crate) fn in_session(&self) -> impl Fn() -> bool + use<> {
        let in_session = self.in_session.clone();
        move || in_session.load(Ordering::Relaxed)
    }

    /// Who makes processes.
    pub(crate) fn manager(&self) -> &Arc<GatewayManager> {
        &self.manager
    }

    /// The feed, for its counters.
    pub(crate) fn feed(&self) -> &FeedHandle {
        &self.feed
    }

    /// The account's place in the feed's tables, while it has one.
    pub(crate) fn slot(&self, id: &AccountId) -> Option<SourceSlot> {
        self.state().slots.get(id)
    }

    /// Events that were lost because the database was away for too long.
    pub(crate) fn events_dropped(&self) -> u64 {
        self.outbox.dropped()
    }

    /// Desired and observed state, and the plan for them; `None` before the accounts were read once.
    fn plan(&self) -> Option<(Arc<DesiredState>, Observed, Plan)> {
        let gateways = hooks::observed(self.manager.observe());
        let now = clock::now();
        let mut state = self.state();
        if now.mono.ms_since(state.looked_at) > STANDSTILL_MS {
            state.watching_since = now.mono;
        }
        state.looked_at = now.mono;
        let desired = state.desired.clone()?;
        self.look_at_the_market(&mut state, now);
        let observed = self.observed(&mut state, &desired, gateways, now.mono);
        drop(state);
        let plan = plan(&desired.desired, &observed, now);
        Some((desired, observed, plan))
    }

    fn look_at_the_market(&self, state: &mut State, now: Now) {
        let configured = self.configured();
        if configured.always_open {
            let watched = configured.canaries.iter().map(|canary| (canary.exchange(), self.started_at));
            state.market = Market { open: watched.collect(), runs: true, ..Market::default() };
        } else if configured.is_replay {
            state.market = Market { runs: true, ..Market::default() };
        } else if !(state.market_at_ms..state.market.until_ms).contains(&now.wall_ms()) {
            // Also when the wall clock was set back.
            state.market = market::at(&configured.calendar, configured.contracts.iter(), &configured.canaries, now);
            state.market_at_ms = now.wall_ms();
            if let Some(message) = state.market.calendar_ends().filter(|_| state.told.is_new_day(state.market.today)) {
                error!("{message}");
                self.outbox.hub_event(None, "CalendarEnds", message);
            }
        }
        self.in_session.store(state.market.runs, Ordering::Relaxed);
    }

    /// Tells each worker whether silence counts.
    fn tell_sessions(&self, observed: &Observed) {
        for (id, view) in &observed.gateways {
            let Some(process) = view.process.as_ref().filter(|p| p.hello_at.is_some()) else { continue };
            let mut state = self.state();
            let desired = state.desired.clone();
            let dialect = desired.as_ref().and_then(|desired| desired.dialect(id));
            let is_open = dialect.is_some_and(|dialect| observed.open.keys().any(|exchange| dialect.serves(*exchange)));
            if state.sessions.insert(id.clone(), (process.incarnation, is_open)) == Some((process.incarnation, is_open))
            {
                continue;
            }
            drop(state);
            // One that takes no commands is cut by the manager.
            if let Err(refused) = self.manager.session(id, process.incarnation, is_open) {
                warn!("{refused}");
            }
        }
    }

    /// All that the planner wants to know of what is there.
    fn observed(
        &self,
        state: &mut State,
        desired: &DesiredState,
        gateways: BTreeMap<AccountId, GatewayView>,
        now: Mono,
    ) -> Observed {
        let State { vitals, garbage, ended_sick, .. } = state;
        let judged = |of: &SourceVitals| of.total(|e| &e.received).saturating_sub(of.total(|e| &e.fenced));
        let counters = |id: &AccountId| vitals.get(id).map(|of| (judged(of), of.total(|e| &e.rejected)));
        garbage.look(&gateways, counters, now);
        let is_known = |i: &Incarnation| {
            let mut views = gateways.values();
            views.any(|v| v.process.iter().any(|p| p.incarnation == *i) || v.exits.iter().any(|e| e.incarnation == *i))
        };
        ended_sick.retain(is_known);
        Observed {
            attached: state.pipes.all(),
            watching_since: state.watching_since,
            open: state.market.open.clone(),
            closed: state.market.closed.clone(),
            deliveries: state.vitals.iter().map(|(id, of)| (id.clone(), deliveries::last_ticks(of))).collect(),
            garbage: state.garbage.since().clone(),
            ended_sick: state.ended_sick.clone(),
            subscribed: state.subscribed.clone(),
            fails: Self::fails(state, desired, &gateways),
            gateways,
        }
    }

    async fn look_at_everything(&self) -> Result<Duration, String> {
        let resync = Duration::from_millis(RESYNC_MS);
        hooks::wedge_control();
        let Some((desired, observed, plan)) = self.plan() else { return Ok(resync) };
        let now = clock::now();
        self.tell(&observed, &plan, now.mono);
        let document = self.document(&desired, &observed, &plan, now);
        self.documents.send_if_modified(|last| {
            let is_new = **last != document;
            *last = Arc::new(document);
            is_new
        });
        self.tell_sessions(&observed);
        self.tell_subscriptions(&desired, &observed, &plan);
        // First of all: a feed that takes no commands does not keep a process from being ended.
        for action in &plan.actions {
            self.queue.wake(Key::Account(action.account().clone()));
        }
        self.route().await?;
        for incarnation in &plan.detach {
            self.ask_feed(FeedCommand::Detach { incarnation: *incarnation }).await?;
        }
        let now = clock::now().mono;
        Ok(plan.wake_at.map_or(resync, |at| now.until(at)).min(resync))
    }

    fn document(&self, desired: &DesiredState, observed: &Observed, plan: &Plan, now: Now) -> Value {
        let mut state = self.state();
        state.ledger.note(desired, observed, plan, now);
        state.assigned = holdings::assigned(desired, plan);
        let accounts = state.ledger.accounts(desired, observed, plan);
        let (settings, sections) = (state.settings_stand.shown(), state.market.shown());
        drop(state);
        status::document(self.epoch, &accounts, plan, &self.standing.shown(), &settings, &sections)
    }

    async fn look_at(&self, id: &AccountId) -> Result<(), String> {
        hooks::hang(id).await;
        let Some((desired, _, plan)) = self.plan() else { return Ok(()) };
        for action in plan.actions.iter().filter(|a| a.account() == id).cloned() {
            match action {
                Action::Start { account, after } => self.launch(&desired, &plan, &account, after).await?,
                Action::Terminate { account, incarnation, is_sick } => {
                    info!(%account, %incarnation, is_sick, "asked to leave");
                    if is_sick {
                        self.state().ended_sick.insert(incarnation);
                    }
                    self.manager.stop(&account, incarnation).map_err(|e| e.to_string())?;
                    hooks::acted(Act::Term);
                }
                Action::Kill { account, incarnation } => {
                    warn!(%account, %incarnation, "KILL: it did not leave in time");
                    self.manager.kill(&account, incarnation).map_err(|e| e.to_string())?;
                    hooks::acted(Act::Kill);
                }
            }
        }
        self.queue.wake(Key::Hub);
        Ok(())
    }

    async fn launch(
        &self,
        desired: &DesiredState,
        plan: &Plan,
        id: &AccountId,
        after: Option<Incarnation>,
    ) -> Result<(), String> {
        let account = desired.accounts.get(id).ok_or("the account is gone")?.clone();
        let library = self.configured().libraries.get(&account.settings.library).ok_or("the library is gone")?.clone();
        let (dialect, is_low_precision) = (library.dialect(account.gateway)?, library.is_low_precision());
        let wanted = subscriptions::wanted(desired, plan, id).ok_or("the account is to subscribe nothing")?;
        let contracts = wanted.iter().filter(|contract| dialect.serves(contract.exchange())).cloned().collect();
        let incarnation = Incarnation { epoch: self.epoch, counter: self.launches.fetch_add(1, Ordering::Relaxed) + 1 };
        let generation = account.generation;
        let launch = Launch { account, incarnation, after, library, contracts };
        let launched = self.manager.start(launch).await.map_err(|e| format!("not started: {e}"))?;
        hooks::acted(Act::Spawn);
        info!(account = %id, %incarnation, generation, pid = launched.pid, "started");
        self.outbox.hub_event(Some(id), "ProcessStarted", format!("started as process {}", launched.pid));
        let (slot, vitals) = {
            let mut state = self.state();
            state.pipes.attached(incarnation);
            let grown_at = clock::now().mono;
            let subscribed = Subscribed { incarnation, contracts: wanted, grown_at };
            state.subscribed.insert(id.clone(), subscribed);
            (state.slots.get(id), state.vitals.entry(id.clone()).or_default().clone())
        };
        let slot = slot.ok_or("the account has no slot")?;
        // Its routes stand before its first tick can come.
        self.route().await?;
        let (account, ticks) = (id.clone(), launched.ticks);
        self.ask_feed(FeedCommand::Attach { incarnation, account, slot, dialect, is_low_precision, ticks, vitals })
            .await
    }

    /// Makes the feed's route table what the plan says, if it is not. The plan is made in this table's turn: one made
    /// before would take back what another turn has just given.
    async fn route(&self) -> Result<(), String> {
        let _in_order = self.routing.lock().await;
        let Some((_, _, plan)) = self.plan() else { return Ok(()) };
        let table = {
            let mut state = self.state();
            let routed: BTreeMap<Contract, (SourceMask, Option<SourceSlot>)> = plan
                .routes
                .iter()
                .map(|(contract, ids)| {
                    let mut slots = ids.iter().filter_map(|id| state.slots.get(id)).peekable();
                    // By priority: the first one is the primary.
                    let primary = slots.peek().copied();
                    (contract.clone(), (slots.fold(SourceMask::NONE, SourceMask::with), primary))
                })
                .collect();
            if routed == state.routed {
                return Ok(());
            }
            state.routed = routed;
            state.routes_revision += 1;
            let routes = state.routed.iter().map(|(contract, (sources, primary))| Route {
                contract: contract.clone(),
                sources: *sources,
                primary: *primary,
            });
            Arc::new(RouteTable { revision: state.routes_revision, routes: routes.collect() })
        };
        self.ask_feed(FeedCommand::Routes(table)).await.inspect_err(|_| self.state().routed.clear())?;
        hooks::acted(Act::Routes);
        Ok(())
    }

    pub(crate) async fn ask_feed(&self, mut command: FeedCommand) -> Result<(), String> {
        for _ in 0..FEED_TRIES_MAX {
            match self.feed.send(command) {
                Ok(()) => return Ok(()),
                Err(busy) => command = busy.0,
            }
            tokio::time::sleep(FEED_RETRY).await;
        }
        Err("the feed takes no commands".into())
    }
}
