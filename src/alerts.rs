//! Whom the hub tells of errors, from settings and environment; and `mdhub alert test`.

use std::io::Read as _;
use std::sync::Arc;

use mdhub_alerts::{Alerts, Channel, Config, Kind, Message, Pace, Surroundings, Waiting, channels, web_url};
use mdhub_spec::settings;
use tokio::sync::watch as tokio_watch;
use tracing::warn;

use crate::cli::AlertArgs;
use crate::data_dir::DataDir;
use crate::settings_file::LoadedSettings;
use crate::{Failure, clock, say, settings_file};

/// Names the mail server, its user and password.
const SMTP_URL: &str = "MDHUB_SMTP_URL";
/// The same in a file, which no other process of this user sees by chance.
const SMTP_URL_FILE: &str = "MDHUB_SMTP_URL_FILE";
/// Longest file that names a server, bytes.
const FILE_BYTES_MAX: u64 = 4_096;

/// Starts the thread that tells people.
///
/// # Errors
/// When there is no thread to be had.
pub(crate) fn start(
    waiting: Waiting,
    settings: &settings::Alerts,
    data: &DataDir,
    in_session: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<Alerts, Failure> {
    let now_ms = Arc::new(|| clock::now().wall_ms());
    let surroundings = Surroundings { file: data.path("alerts.json"), now_ms, in_session: Arc::new(in_session) };
    waiting.start(config(settings), surroundings).map_err(|e| format!("the alerts' thread does not start: {e}"))
}

/// Puts changed settings in force, until the hub ends.
pub(crate) async fn follow(
    alerts: Arc<Alerts>,
    mut settings: tokio_watch::Receiver<Arc<LoadedSettings>>,
    mut stopped: tokio_watch::Receiver<bool>,
) {
    let mut before = settings.borrow().settings.alerts.clone();
    loop {
        tokio::select! {
            changed = settings.changed() => if changed.is_err() { return },
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let now = settings.borrow_and_update().settings.alerts.clone();
        if now != before {
            alerts.configure(config(&now));
            before = now;
        }
    }
}

/// What the settings ask for. What is wrong with one channel keeps no other from being used: it is logged.
fn config(alerts: &settings::Alerts) -> Config {
    let deadman = alerts.deadman_url.as_deref().map(web_url).transpose();
    Config {
        channels: usable(alerts, |why| warn!("{why}; nobody is told that way")),
        pace: Pace {
            gather_ms: ms(alerts.gather_ms),
            repeat_ms: ms(alerts.repeat_ms),
            per_hour_max: usize::try_from(alerts.per_hour_max).unwrap_or(usize::MAX),
        },
        deadman: deadman.unwrap_or_else(|why| {
            warn!("alerts.deadman_url: {why}; nobody outside is told that the hub lives");
            None
        }),
    }
}

fn ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn usable(alerts: &settings::Alerts, mut complain: impl FnMut(String)) -> Vec<Channel> {
    let smtp_url = smtp_url().unwrap_or_else(|why| {
        complain(why);
        None
    });
    let made = channels(alerts, smtp_url.as_deref());
    made.into_iter().filter_map(|channel| channel.map_err(|why| complain(why.to_string())).ok()).collect()
}

fn smtp_url() -> Result<Option<String>, Failure> {
    let Ok(path) = std::env::var(SMTP_URL_FILE) else { return Ok(std::env::var(SMTP_URL).ok()) };
    let failed = |e: std::io::Error| format!("{SMTP_URL_FILE}: {path}: {e}");
    let mut text = String::new();
    std::fs::File::open(&path).map_err(failed)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text.trim().to_owned()))
}

/// `mdhub alert test`: one message over each channel, and what became of it.
///
/// # Errors
/// When one is not delivered, or there is nobody to tell.
pub(crate) fn test(args: &AlertArgs) -> Result<(), Failure> {
    let loaded = settings_file::load(&args.config)?;
    let mut faults = Vec::new();
    let channels = usable(&loaded.settings.alerts, |why| faults.push(why));
    if channels.is_empty() && faults.is_empty() {
        return Err(format!(
            "{}: nobody is told of errors: set alerts.mail_to and {SMTP_URL}, or alerts.webhooks",
            args.config.display()
        ));
    }
    let at_ms = clock::now().wall_ms();
    let message = Message {
        kind: Kind::Test,
        account: None,
        cause: "test".into(),
        subject: "a test of the alerts".into(),
        body: "Somebody ran `mdhub alert test`. Nothing is wrong.".into(),
        at_ms,
        count: 1,
    };
    for channel in channels {
        match channel.deliver(&message, at_ms) {
            Ok(()) => say(format_args!("{}: delivered", channel.name()))?,
            Err(why) => faults.push(format!("{}: {why}", channel.name())),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\nmdhub: ")) }
}
