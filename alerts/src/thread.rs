//! The thread that hears, decides, hands out, and writes down what waits.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, io};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use url::Url;

use crate::channel::{Channel, ChannelError, ping};
use crate::desk::{Desk, Pace};
use crate::ear::Ear;
use crate::message::Message;
use crate::outbox::Outbox;
use crate::report::Report;

/// Reports that may wait; beyond it they are counted and lost.
const WAITING_MAX: usize = 4_096;
/// The desk is asked at least so often.
const BEAT: Duration = Duration::from_millis(250);
/// The file is written at most so often while only reports come.
const SAVE_SPACING_MS: i64 = 1_000;
/// From one ping of the deadman to the next.
const PING_SPACING_MS: i64 = 60_000;

/// What arrives at the thread.
pub(crate) enum Input {
    Report(Report),
    Settled { channel: String, generation: u64, result: Result<(), ChannelError> },
    Configure(Box<Config>),
    Stop,
}

/// Where reports go.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    sender: SyncSender<Input>,
    lost: Arc<AtomicU64>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Input")
    }
}

impl Sink {
    pub(crate) fn new(room: usize) -> (Self, Receiver<Input>) {
        let (sender, receiver) = sync_channel(room);
        (Self { sender, lost: Arc::default() }, receiver)
    }

    pub(crate) fn report(&self, report: Report) {
        if self.sender.try_send(Input::Report(report)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[cfg(test)]
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// What [`Alerts`] work with; may be replaced while they run.
#[derive(Debug)]
pub struct Config {
    /// Whom to tell.
    pub channels: Vec<Channel>,
    /// How often.
    pub pace: Pace,
    /// Asked for once a minute while a session is open.
    pub deadman: Option<Url>,
}

/// What it asks of the world.
pub struct Surroundings {
    /// The file that holds what waits.
    pub file: PathBuf,
    /// Milliseconds since the epoch, `CLOCK_REALTIME`.
    pub now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Whether any market is open.
    pub in_session: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Counters; only the thread writes them.
#[derive(Debug, Default)]
pub struct Vitals {
    /// Channels that there are; with none nobody is told of anything.
    pub channels: AtomicU64,
    /// Incidents that are not over.
    pub open: AtomicU64,
    /// Messages that were delivered, counted for each channel.
    pub delivered: AtomicU64,
    /// Tries that failed.
    pub failed: AtomicU64,
    /// Messages that wait, over all channels.
    pub waiting: AtomicU64,
    /// Messages that were given up for room or age.
    pub given_up: AtomicU64,
}

/// Alerts that are not told yet: reports wait.
#[derive(Debug)]
pub struct Waiting {
    sink: Sink,
    inbox: Receiver<Input>,
}

impl Default for Waiting {
    fn default() -> Self {
        let (sink, inbox) = Sink::new(WAITING_MAX);
        Self { sink, inbox }
    }
}

impl Waiting {
    /// The layer that hears the log.
    #[must_use]
    pub fn ear(&self) -> Ear {
        Ear::new(self.sink.clone())
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(self, config: Config, surroundings: Surroundings) -> io::Result<Alerts> {
        let Self { sink, inbox } = self;
        let vitals = Arc::<Vitals>::default();
        let (to_us, counters) = (sink.sender.clone(), Arc::clone(&vitals));
        let run = move || Desks::new(to_us, counters, surroundings, config).run(&inbox);
        let thread = std::thread::Builder::new().name("alerts".into()).spawn(run)?;
        Ok(Alerts { sink, vitals, thread })
    }
}

/// The way to the thread that tells people.
#[derive(Debug)]
pub struct Alerts {
    sink: Sink,
    vitals: Arc<Vitals>,
    thread: JoinHandle<()>,
}

impl Alerts {
    /// Replaces whom to tell, and how often. What waits for a channel that stays is kept.
    pub fn configure(&self, config: Config) {
        // Only a thread that has ended, or stands still with a full queue, does not take it.
        if self.sink.sender.try_send(Input::Configure(Box::new(config))).is_err() {
            warn!("the alerts stay configured as they were: their queue is full");
        }
    }

    /// Counters.
    #[must_use]
    pub fn vitals(&self) -> Arc<Vitals> {
        Arc::clone(&self.vitals)
    }

    /// Reports that found the queue full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sink.lost.load(Ordering::Relaxed)
    }

    /// Writes down what waits, and ends. A delivery that is under way is not waited for.
    pub fn stop(self) {
        let _ = self.sink.sender.send(Input::Stop);
        let _ = self.thread.join();
    }
}

/// What outlives the hub.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    desk: Desk,
    outboxes: BTreeMap<String, Outbox>,
}

struct Desks {
    kept: Kept,
    to_us: SyncSender<Input>,
    vitals: Arc<Vitals>,
    surroundings: Surroundings,
    pace: Pace,
    /// By channel: takes one message at a time.
    carriers: BTreeMap<String, SyncSender<Message>>,
    /// Channels whose last try failed.
    failing: BTreeMap<String, ()>,
    /// Which set of carriers is at work: what former ones say comes too late.
    generation: u64,
    deadman: Option<SyncSender<()>>,
    pinged_ms: i64,
    saved_ms: i64,
    /// Something changed since it was written down.
    is_dirty: bool,
    cannot_write: bool,
}

impl Desks {
    fn new(to_us: SyncSender<Input>, vitals: Arc<Vitals>, surroundings: Surroundings, config: Config) -> Self {
        let kept = read(&surroundings.file);
        let mut desks = Self {
            kept,
            to_us,
            vitals,
            surroundings,
            pace: config.pace,
            carriers: BTreeMap::new(),
            failing: BTreeMap::new(),
            generation: 0,
            deadman: None,
            pinged_ms: 0,
            saved_ms: 0,
            is_dirty: false,
            cannot_write: false,
        };
        desks.configure(config);
        desks
    }

    fn run(mut self, inbox: &Receiver<Input>) {
        loop {
            let mut input = match inbox.recv_timeout(BEAT) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let now_ms = (self.surroundings.now_ms)();
            let mut is_ending = false;
            while let Some(next) = input {
                is_ending |= self.take(next, now_ms);
                input = inbox.try_recv().ok();
            }
            self.round(now_ms);
            if is_ending {
                self.save(now_ms);
                break;
            }
        }
    }

    /// Whether that was the last.
    fn take(&mut self, input: Input, now_ms: i64) -> bool {
        self.is_dirty = true;
        match input {
            Input::Report(report) => self.kept.desk.hear(report, now_ms),
            Input::Settled { channel, generation, result } if generation == self.generation => {
                self.settle(&channel, result, now_ms);
            }
            Input::Settled { .. } => {}
            Input::Configure(config) => self.configure(*config),
            Input::Stop => return true,
        }
        false
    }

    fn settle(&mut self, channel: &str, result: Result<(), ChannelError>, now_ms: i64) {
        let Some(outbox) = self.kept.outboxes.get_mut(channel) else { return };
        outbox.settle(result.is_ok(), now_ms);
        let counter = if result.is_ok() { &self.vitals.delivered } else { &self.vitals.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(()) if self.failing.remove(channel).is_some() => info!(channel, "alerts are delivered again"),
            Ok(()) => {}
            Err(error) if self.failing.insert(channel.to_owned(), ()).is_none() => {
                warn!(channel, %error, waiting = outbox.waiting(), "an alert is not delivered; it waits and is tried again");
            }
            Err(_) => {}
        }
        // A message that is written down as waiting though it was delivered would be told twice.
        self.save(now_ms);
    }

    fn round(&mut self, now_ms: i64) {
        let in_session = (self.surroundings.in_session)();
        for message in self.kept.desk.due(now_ms, in_session, self.pace) {
            self.is_dirty = true;
            self.kept.outboxes.values_mut().for_each(|outbox| outbox.add(message.clone()));
            self.save(now_ms);
        }
        for (channel, outbox) in &mut self.kept.outboxes {
            let Some(carrier) = self.carriers.get(channel) else { continue };
            if let Some(message) = outbox.take(now_ms)
                && carrier.try_send(message).is_err()
            {
                outbox.settle(false, now_ms);
            }
        }
        if in_session && now_ms - self.pinged_ms >= PING_SPACING_MS {
            self.pinged_ms = now_ms;
            // One that still hangs in the last ping gets no further one.
            if let Some(deadman) = &self.deadman {
                let _ = deadman.try_send(());
            }
        }
        self.count();
        if self.is_dirty && now_ms - self.saved_ms >= SAVE_SPACING_MS {
            self.save(now_ms);
        }
    }

    fn count(&self) {
        let outboxes = || self.kept.outboxes.values();
        let sum = |each: fn(&Outbox) -> u64| outboxes().map(each).sum();
        self.vitals.channels.store(self.carriers.len() as u64, Ordering::Relaxed);
        self.vitals.open.store(self.kept.desk.open() as u64, Ordering::Relaxed);
        self.vitals.waiting.store(sum(|outbox| outbox.waiting() as u64), Ordering::Relaxed);
        self.vitals.given_up.store(sum(Outbox::given_up), Ordering::Relaxed);
    }

    fn configure(&mut self, config: Config) {
        let Config { channels, pace, deadman } = config;
        self.pace = pace;
        self.generation += 1;
        self.carriers.clear();
        let mut before = std::mem::take(&mut self.kept.outboxes);
        for channel in channels {
            let name = channel.name().to_owned();
            let mut outbox = before.remove(&name).unwrap_or_default();
            outbox.try_anew();
            self.kept.outboxes.insert(name.clone(), outbox);
            match self.carrier(channel) {
                Ok(carrier) => drop(self.carriers.insert(name, carrier)),
                Err(error) => warn!(channel = name, %error, "no thread for these alerts: they wait"),
            }
        }
        for (channel, outbox) in before.iter().filter(|(_, outbox)| outbox.waiting() > 0) {
            warn!(channel, waiting = outbox.waiting(), "these alerts are given up: their channel is gone");
        }
        self.deadman = deadman.and_then(|url| pinger(url).ok());
        if self.carriers.is_empty() {
            warn!(
                "AlertsDisabled: nobody is told of errors; set alerts.mail_to and MDHUB_SMTP_URL, or alerts.webhooks"
            );
        }
        self.is_dirty = true;
    }

    /// A thread that delivers over one channel.
    fn carrier(&self, channel: Channel) -> io::Result<SyncSender<Message>> {
        let (sender, messages) = sync_channel::<Message>(1);
        let (to_us, generation) = (self.to_us.clone(), self.generation);
        let clock = Arc::clone(&self.surroundings.now_ms);
        std::thread::Builder::new().name("alert".into()).spawn(move || {
            for message in messages {
                let result = channel.deliver(&message, clock());
                let channel = channel.name().to_owned();
                if to_us.send(Input::Settled { channel, generation, result }).is_err() {
                    return;
                }
            }
        })?;
        Ok(sender)
    }

    fn save(&mut self, now_ms: i64) {
        let written = serde_json::to_vec(&self.kept).map_err(io::Error::other).and_then(|text| {
            let fresh = self.surroundings.file.with_extension("json.new");
            write_private(&fresh, &text)?;
            fs::rename(&fresh, &self.surroundings.file)
        });
        self.is_dirty = false;
        self.saved_ms = now_ms;
        match written {
            Err(error) if !self.cannot_write => {
                self.cannot_write = true;
                warn!(file = %self.surroundings.file.display(), %error, "alerts that wait are not written down; they are told all the same");
            }
            result => self.cannot_write = result.is_err(),
        }
    }
}

/// What a former hub left; a file that cannot be understood is set aside.
fn read(file: &Path) -> Kept {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Kept::default(),
        Err(error) => {
            warn!(file = %file.display(), %error, "alerts of a former hub cannot be read");
            return Kept::default();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        let aside = file.with_extension("json.bad");
        warn!(file = %file.display(), aside = %aside.display(), %error, "alerts of a former hub are not understood: set aside");
        let _ = fs::rename(file, aside);
        Kept::default()
    })
}

fn write_private(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(file)?;
    file.write_all(text)
}

/// A thread that asks for `url` whenever it is told to.
fn pinger(url: Url) -> io::Result<SyncSender<()>> {
    let (sender, pings) = sync_channel(1);
    std::thread::Builder::new().name("deadman".into()).spawn(move || {
        let mut is_failing = false;
        for () in pings {
            let result = ping(&url);
            if let (Err(error), false) = (&result, is_failing) {
                warn!(%error, "alerts.deadman_url does not answer; it is asked again every minute");
            }
            is_failing = result.is_err();
        }
    })?;
    Ok(sender)
}
