//! Settings that change while the hub runs: on SIGHUP, and when the settings file or one that it names has changed.
//!
//! A file that is wrong changes nothing. Of one that is right, everything is put in force that can be while ticks flow; the
//! rest stays as it was at the start, and is named.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mdhub_spec::calendar::MarketCalendar;
use mdhub_spec::plane::{FeedCommand, TickRules};
use mdhub_spec::settings::{Cleansing, Logging, Publish, Settings};
use serde_json::{Value, json};
use tokio::signal::unix::Signal;
use tokio::sync::watch as tokio_watch;
use tracing::{error, info, warn};

use crate::logging::LogFilter;
use crate::settings_file::LoadedSettings;
use crate::{clock, logging, settings_file};

use super::control::Control;
use super::outbox::Outbox;

/// How often it is looked whether a file has changed. One that has is read when two looks in a row find it the same, so that
/// half a file is not judged.
const LOOK: Duration = Duration::from_millis(500);

/// How the settings in force stand to the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// Since when these are in force, milliseconds since the epoch.
    pub(crate) since_ms: i64,
    /// What is wrong with the file, where it was refused.
    pub(crate) refused: Option<String>,
    /// What stands in the file and waits for a restart, by the fields' paths.
    pub(crate) restart_needed: Vec<String>,
}

impl Standing {
    /// For the status file.
    pub(crate) fn shown(&self) -> Value {
        json!({"since_ms": self.since_ms, "refused": self.refused, "restart_needed": self.restart_needed})
    }
}

/// What tells one state of the files from another: where, which, how long, and when it was changed.
type Signature = BTreeMap<PathBuf, Option<(u64, u64, u64, i64, i64)>>;

/// Puts changed settings in force.
pub(crate) struct Reload {
    file: PathBuf,
    /// As the hub was started.
    started: Arc<LoadedSettings>,
    control: Arc<Control>,
    outbox: Outbox,
    filter: LogFilter,
    standing: Standing,
}

impl Reload {
    /// `None` for a hub without a settings file.
    pub(crate) fn new(control: &Arc<Control>, outbox: &Outbox, filter: LogFilter) -> Option<Self> {
        let started = control.settings().borrow().clone();
        let standing = Standing { since_ms: clock::now().wall_ms(), ..Standing::default() };
        control.settings_stand(standing.clone());
        let file = started.file.clone()?;
        Some(Self { file, started, control: control.clone(), outbox: outbox.clone(), filter, standing })
    }

    /// Runs until the hub ends.
    pub(crate) async fn run(mut self, mut hangups: Signal, mut stopped: tokio_watch::Receiver<bool>) {
        let mut read = self.signature();
        let mut seen = read.clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {
                    let now = self.signature();
                    let is_settled = std::mem::replace(&mut seen, now.clone()) == now;
                    if is_settled && now != read && self.reload().await {
                        read = now;
                    }
                }
                _ = hangups.recv() => {
                    info!(file = %self.file.display(), "SIGHUP: the settings are read again");
                    read = self.signature();
                    if !self.reload().await {
                        read.clear();
                    }
                }
                () = async { drop(stopped.wait_for(|stop| *stop).await) } => return,
            }
        }
    }

    fn signature(&self) -> Signature {
        let directory = self.file.parent().unwrap_or(Path::new(""));
        let settings = self.control.settings().borrow().clone();
        let files = settings.settings.contracts.files.iter().map(|name| directory.join(name));
        let of = |path: &Path| {
            let found = std::fs::metadata(path).ok()?;
            Some((
                found.dev(),
                found.ino(),
                found.len(),
                found.mtime_nsec() + found.mtime() * 1_000_000_000,
                found.ctime(),
            ))
        };
        files.chain([self.file.clone()]).map(|path| (path.clone(), of(&path))).collect()
    }

    /// Reads the file, and puts in force what it says. Says whether that is done with: else it is tried again.
    async fn reload(&mut self) -> bool {
        let loaded = settings_file::load(&self.file).and_then(|loaded| {
            logging::filter(&loaded.settings.logging).map_err(|e| format!("{}: {e}", self.file.display()))?;
            Ok(loaded)
        });
        match loaded {
            Ok(loaded) => match self.put_in_force(loaded).await {
                Ok(()) => true,
                Err(why) => {
                    warn!(why, "the changed settings are not in force yet; it is tried again");
                    false
                }
            },
            Err(why) => {
                self.refuse(why);
                true
            }
        }
    }

    fn refuse(&mut self, why: String) {
        if self.standing.refused.as_ref() == Some(&why) {
            return;
        }
        let message = format!("the settings file is refused, and the settings stay as they were: {why}");
        error!("{message}");
        self.outbox.hub_event(None, "SettingsRefused", message);
        self.standing.refused = Some(why);
        self.control.settings_stand(self.standing.clone());
    }

    async fn put_in_force(&mut self, given: LoadedSettings) -> Result<(), String> {
        let before = self.control.settings().borrow().clone();
        let now = LoadedSettings {
            settings: in_force(&self.started.settings, &given.settings),
            libraries: self.started.libraries.clone(),
            ..given.clone()
        };
        let restart_needed = changed(&now.settings, &given.settings);
        let mut fields = changed(&before.settings, &now.settings);
        if before.contracts != now.contracts && !fields.iter().any(|field| field.starts_with("contracts")) {
            fields.push("contracts.files".to_owned());
        }
        self.tell_feed(&before.settings, &now.settings).await?;
        if before.settings.logging != now.settings.logging {
            self.filter.set(&now.settings.logging)?;
        }
        if !fields.is_empty() {
            self.control.settings_changed(now);
            let message = format!("changed settings are in force: {}", fields.join(", "));
            info!("{message}");
            self.outbox.hub_event(None, "SettingsReloaded", message);
            self.standing.since_ms = clock::now().wall_ms();
        } else if self.standing.refused.is_some() {
            info!("the settings file is right again, and says what is in force");
            self.outbox.hub_event(None, "SettingsReloaded", "the settings file says what is in force".to_owned());
        }
        self.standing.refused = None;
        if self.standing.restart_needed != restart_needed && !restart_needed.is_empty() {
            let message = format!("these settings wait for a restart of the hub: {}", restart_needed.join(", "));
            warn!("{message}");
            self.outbox.hub_event(None, "RestartNeeded", message);
        }
        self.standing.restart_needed = restart_needed;
        self.control.settings_stand(self.standing.clone());
        Ok(())
    }

    async fn tell_feed(&self, before: &Settings, now: &Settings) -> Result<(), String> {
        if (&before.cleansing, &before.calendar) != (&now.cleansing, &now.calendar) {
            let rules = TickRules {
                cleansing: now.cleansing.clone(),
                calendar: MarketCalendar::of(&now.calendar),
                always_open: now.calendar.always_open,
            };
            self.control.ask_feed(FeedCommand::Rules(Box::new(rules))).await?;
        }
        if before.publish != now.publish {
            self.control.ask_feed(FeedCommand::Publish(Arc::new(now.publish.clone()))).await?;
        }
        Ok(())
    }
}

/// What of `given` can be in force in a hub that was `started` so. A section that is not named here is in force whole.
fn in_force(started: &Settings, given: &Settings) -> Settings {
    let publish = &given.publish;
    Settings {
        database: started.database.clone(),
        http: started.http.clone(),
        arbitration: started.arbitration,
        libraries: started.libraries.clone(),
        publish: Publish {
            tokens: publish.tokens.clone(),
            anonymous: publish.anonymous,
            allow: publish.allow.clone(),
            demand: publish.demand,
            demand_linger_ms: publish.demand_linger_ms,
            ..started.publish.clone()
        },
        cleansing: Cleansing { quarantine_max: started.cleansing.quarantine_max, ..given.cleansing.clone() },
        logging: Logging { filter: given.logging.filter.clone(), ..started.logging.clone() },
        ..given.clone()
    }
}

/// The paths of the fields in which two settings differ.
fn changed(a: &Settings, b: &Settings) -> Vec<String> {
    let mut paths = BTreeSet::new();
    differ("", &json!(a), &json!(b), &mut paths);
    paths.into_iter().collect()
}

fn differ(path: &str, a: &Value, b: &Value, paths: &mut BTreeSet<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()) {
                let deeper = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differ(&deeper, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), paths);
            }
        }
        (a, b) if a == b => {}
        _ => {
            paths.insert(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rest: &str) -> Settings {
        Settings::parse("m.yaml", &format!("apiVersion: mdhub/v1\nkind: Hub\n{rest}")).expect("valid")
    }

    #[test]
    fn what_can_change_while_it_runs_is_in_force_and_the_rest_waits_for_a_restart() {
        let started = settings("");
        for (rest, hot, cold) in [
            ("", &[][..], &[][..]),
            (
                "cleansing: {rules: {jump: on}, ahead_ms_max: 500}",
                &["cleansing.ahead_ms_max", "cleansing.rules.jump"],
                &[],
            ),
            ("cleansing: {quarantine_max: 500}", &[], &["cleansing.quarantine_max"]),
            ("calendar: {always_open: true}", &["calendar.always_open"], &[]),
            (
                "health: {cool_down_ms: 1, hub: {run_ms_max: 5000}}",
                &["health.cool_down_ms", "health.hub.run_ms_max"],
                &[],
            ),
            (
                "contracts: {list: [rb2701.SHFE]}\ncanaries: {list: [rb2701.SHFE]}",
                &["canaries.list", "contracts.list"],
                &[],
            ),
            ("logging: {filter: debug, format: json}", &["logging.filter"], &["logging.format"]),
            ("logging: {file: {keep: 1}}", &[], &["logging.file"]),
            ("publish: {anonymous: true, peers_max: 7}", &["publish.anonymous"], &["publish.peers_max"]),
            ("http: {listen: '127.0.0.1:1'}", &[], &["http.listen"]),
            ("database: {url: 'sqlite://x'}", &[], &["database.url"]),
            ("arbitration: {mode: primary_only}", &[], &["arbitration.mode"]),
            ("libraries: {ctp: {path: a}}", &[], &["libraries.ctp"]),
        ] {
            let given = settings(rest);
            let now = in_force(&started, &given);
            assert_eq!(changed(&started, &now), hot, "{rest}");
            assert_eq!(changed(&now, &given), cold, "{rest}");
        }
    }
}
