//! From a line of the log to a post, over real sockets.

#![expect(clippy::disallowed_methods, reason = "tests wait for what other threads do, with a deadline")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mdhub_alerts::{Alerts, Config, Ear, Pace, Surroundings, Waiting, channels};
use mdhub_spec::settings::{Alerts as Settings, Webhook, WebhookKind};
use tracing_subscriber::layer::SubscriberExt as _;

/// A receiver of posts on this machine: keeps their bodies, and answers with a status that may be changed.
struct Receiver {
    url: String,
    bodies: Arc<Mutex<Vec<String>>>,
    status: Arc<AtomicU64>,
}

impl Receiver {
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook?key=secret", listener.local_addr().expect("bound"));
        let (bodies, status) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(AtomicU64::new(200)));
        let (kept, answer) = (Arc::clone(&bodies), Arc::clone(&status));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let status = answer.load(Ordering::Relaxed);
                if let Some(body) = receive(stream, status)
                    && status == 200
                {
                    kept.lock().expect("kept").push(body);
                }
            }
        });
        Self { url, bodies, status }
    }

    fn wait_for(&self, count: usize) -> Vec<serde_json::Value> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let bodies = self.bodies.lock().expect("kept").clone();
            if bodies.len() >= count {
                return bodies.iter().map(|body| serde_json::from_str(body).expect("JSON")).collect();
            }
            assert!(Instant::now() < deadline, "{} of {count} posts came", bodies.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn receive(mut stream: TcpStream, status: u64) -> Option<String> {
    let (mut text, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).ok().filter(|n| *n > 0)?;
        text.extend_from_slice(&chunk[..read]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok())?;
        if body.len() >= length {
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).ok()?;
            return Some(body.to_owned());
        }
    }
}

struct Place {
    dir: tempfile::TempDir,
    receiver: Receiver,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let receiver = Receiver::listen();
        fs::write(dir.path().join("url"), &receiver.url).expect("written");
        Self { dir, receiver }
    }

    fn config(&self) -> Config {
        let webhook = Webhook {
            name: "ops".into(),
            kind: WebhookKind::Generic,
            url_file: self.dir.path().join("url").display().to_string(),
            secret_file: None,
        };
        let settings = Settings { webhooks: vec![webhook], ..Settings::default() };
        let made = channels(&settings, None);
        let channels = made.into_iter().collect::<Result<_, _>>().expect("channels");
        Config { channels, pace: Pace { gather_ms: 50, repeat_ms: 3_600_000, per_hour_max: 20 }, deadman: None }
    }

    fn start(&self, waiting: Waiting) -> Alerts {
        let began = Instant::now();
        let now_ms = Arc::new(move || i64::try_from(began.elapsed().as_millis()).expect("short"));
        let surroundings =
            Surroundings { file: self.dir.path().join("alerts.json"), now_ms, in_session: Arc::new(|| true) };
        waiting.start(self.config(), surroundings).expect("a thread")
    }
}

fn speak(ear: Ear, what: impl FnOnce()) {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(ear), what);
}

#[test]
fn what_was_logged_before_the_start_is_told_and_an_end_follows_it() {
    let place = Place::new();
    let waiting = Waiting::default();
    let ear = waiting.ear();
    speak(ear.clone(), || tracing::error!(target: "mdhub::hub", account = %"ctp-a", incident = "Blocked", "refused"));
    let alerts = place.start(waiting);
    let posts = place.receiver.wait_for(1);
    assert_eq!(posts[0]["alert"]["subject"], "ctp-a: Blocked");
    assert_eq!(posts[0]["alert"]["kind"], "raised");
    speak(ear.clone(), || tracing::info!(target: "mdhub::hub", account = %"ctp-a", recovers = "*", "well"));
    assert_eq!(place.receiver.wait_for(2)[1]["alert"]["kind"], "recovered");
    alerts.stop();
}

#[test]
fn what_a_dead_receiver_did_not_take_is_delivered_by_the_next_hub_and_nothing_twice() {
    let place = Place::new();
    let waiting = Waiting::default();
    let ear = waiting.ear();
    let alerts = place.start(waiting);
    speak(ear.clone(), || tracing::error!(target: "mdhub::hub", incident = "first", "delivered"));
    place.receiver.wait_for(1);
    place.receiver.status.store(503, Ordering::Relaxed);
    speak(ear.clone(), || tracing::error!(target: "mdhub::hub", incident = "second", "not delivered"));
    let vitals = alerts.vitals();
    let deadline = Instant::now() + Duration::from_secs(30);
    while vitals.failed.load(Ordering::Relaxed) == 0 {
        assert!(Instant::now() < deadline, "no try failed");
        std::thread::sleep(Duration::from_millis(20));
    }
    alerts.stop();
    let kept = fs::read_to_string(place.dir.path().join("alerts.json")).expect("written");
    assert!(kept.contains("not delivered") && !kept.contains("secret"), "{kept}");
    place.receiver.status.store(200, Ordering::Relaxed);
    let waiting = Waiting::default();
    let ear = waiting.ear();
    let next = place.start(waiting);
    // The same again is no news: the incident was told.
    speak(ear.clone(), || tracing::error!(target: "mdhub::hub", incident = "second", "not delivered"));
    speak(ear.clone(), || tracing::error!(target: "mdhub::hub", incident = "third", "new"));
    let posts = place.receiver.wait_for(3);
    let subjects: Vec<&str> = posts.iter().filter_map(|post| post["alert"]["subject"].as_str()).collect();
    assert_eq!(subjects, ["first", "second", "third"]);
    next.stop();
}

#[test]
fn a_file_that_is_not_understood_is_set_aside() {
    let place = Place::new();
    fs::write(place.dir.path().join("alerts.json"), "{]").expect("written");
    let waiting = Waiting::default();
    let ear = waiting.ear();
    speak(ear.clone(), || tracing::error!(target: "mdhub::hub", incident = "first", "told"));
    let alerts = place.start(waiting);
    place.receiver.wait_for(1);
    alerts.stop();
    assert_eq!(fs::read_to_string(place.dir.path().join("alerts.json.bad")).expect("aside"), "{]");
}

#[test]
fn channels_that_are_replaced_keep_what_waits_for_them() {
    let place = Place::new();
    place.receiver.status.store(500, Ordering::Relaxed);
    let waiting = Waiting::default();
    let ear = waiting.ear();
    let alerts = place.start(waiting);
    speak(ear.clone(), || tracing::error!(target: "mdhub::hub", incident = "first", "waits"));
    let vitals = alerts.vitals();
    let deadline = Instant::now() + Duration::from_secs(30);
    while vitals.failed.load(Ordering::Relaxed) == 0 {
        assert!(Instant::now() < deadline, "no try failed");
        std::thread::sleep(Duration::from_millis(20));
    }
    place.receiver.status.store(200, Ordering::Relaxed);
    alerts.configure(place.config());
    assert_eq!(place.receiver.wait_for(1)[0]["alert"]["subject"], "first");
    alerts.stop();
}
