//! `mdhub describe`: what a hub is at, why, and what comes next. It reads what the hub writes into its data directory, and the
//! database's events; it asks the hub nothing, so that it also works when the hub does not answer.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use mdhub_spec::ports::Event;
use serde_json::{Value, json};

use crate::cli::DescribeArgs;
use crate::{Failure, accounts, clock, say};

/// Events that are asked for: those of one account are among them.
const EVENTS_READ: u32 = 1_000;

/// Describes every account, or one.
///
/// # Errors
/// When there is nothing to describe.
pub(crate) async fn run(args: &DescribeArgs) -> Result<(), Failure> {
    let directory = &args.store.place.data_dir;
    let status = read(directory, "status.json")?;
    let vitals = read(directory, "vitals.json").unwrap_or_default();
    let known: Vec<String> =
        status["accounts"].as_object().map(|accounts| accounts.keys().cloned().collect()).unwrap_or_default();
    let chosen: Vec<String> = match &args.id {
        Some(id) if status["accounts"].get(id.as_str()).is_some() => vec![id.to_string()],
        Some(id) => return Err(unknown(id.as_str(), &known)),
        None => known,
    };
    if args.json {
        let of = |part: &Value| -> serde_json::Map<String, Value> {
            chosen.iter().map(|id| (id.clone(), part["accounts"][id].clone())).collect()
        };
        let mut document = status.clone();
        document["accounts"] = json!(of(&status));
        document["vitals"] = json!(of(&vitals));
        return say(document);
    }
    let now_ms = clock::now().wall_ms();
    let mut text = String::new();
    head(&mut text, directory, &status, now_ms);
    for id in &chosen {
        account(&mut text, id, &status, &vitals["accounts"][id], now_ms);
    }
    match events(args).await {
        Ok(found) => last_events(&mut text, &found, args, now_ms),
        Err(why) => line(&mut text, format_args!("\nEvents: not read: {why}")),
    }
    say(text.trim_end())
}

fn read(directory: &Path, name: &str) -> Result<Value, Failure> {
    let path = directory.join(name);
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("{}: {e}; --data-dir names the directory of a hub that has run", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

fn unknown(id: &str, known: &[String]) -> Failure {
    let all = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    format!("account {id:?} is not known to the hub; it knows: {all}")
}

async fn events(args: &DescribeArgs) -> Result<Vec<Event>, Failure> {
    let (_, store) = accounts::open_place(args.store.config.as_deref(), &args.store.place, false).await?;
    store.events(EVENTS_READ).await.map_err(|e| e.to_string())
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{words}");
}

fn head(text: &mut String, directory: &Path, status: &Value, now_ms: i64) {
    let pid = read(directory, "run.json").ok().and_then(|run| run["pid"].as_u64());
    let lives = pid.filter(|pid| holds_lock(directory, *pid));
    match lives {
        Some(pid) => line(text, format_args!("Hub         runs, process {pid}")),
        None => line(text, format_args!("Hub         does not run here; this is what it said last")),
    }
    let desired = &status["desired"];
    let since = ago(&desired["since_ms"], now_ms);
    line(text, format_args!("Desired     {}{since}: {}", word(&desired["state"]), word(&desired["message"])));
    let settings = &status["settings"];
    if let Some(why) = settings["refused"].as_str() {
        line(text, format_args!("Settings    refused, those before are in force: {why}"));
    }
    let waiting = words(&settings["restart_needed"]);
    if !waiting.is_empty() {
        line(text, format_args!("Settings    wait for a restart of the hub: {}", waiting.join(", ")));
    }
    let silent = words(&status["silent_markets"]);
    if !silent.is_empty() {
        line(text, format_args!("Markets     silent as a whole, so restarts are held back: {}", silent.join(", ")));
    }
}

/// Whether this process holds the directory: another may have the number of a hub that has ended.
fn holds_lock(directory: &Path, pid: u64) -> bool {
    let lock = std::fs::metadata(directory.join("hub.lock"));
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    lock.is_ok_and(|lock| is_locked_by(&locks, lock.ino(), pid))
}

/// `locks` as the kernel lists them: number, FLOCK, ADVISORY, WRITE, process, device:inode, range.
fn is_locked_by(locks: &str, inode: u64, pid: u64) -> bool {
    let (pid, inode) = (pid.to_string(), inode.to_string());
    locks.lines().any(|lock| {
        let words: Vec<&str> = lock.split_whitespace().collect();
        matches!(words[..], [_, "FLOCK", _, "WRITE", holder, file, ..]
            if holder == pid && file.rsplit(':').next() == Some(inode.as_str()))
    })
}

fn account(text: &mut String, id: &str, status: &Value, vitals: &Value, now_ms: i64) {
    let account = &status["accounts"][id];
    line(text, format_args!("\n{id}"));
    line(text, format_args!("  Phase       {}: {}", word(&account["phase"]), word(&account["why"])));
    let (wanted, seen) = (word(&account["generation"]), word(&account["observed_generation"]));
    let is_behind = if wanted == seen { "" } else { ", a change is on its way" };
    line(text, format_args!("  Generation  {wanted}, observed {seen}{is_behind}"));
    match account["pid"].as_u64() {
        Some(pid) => line(
            text,
            format_args!(
                "  Process     {pid}, incarnation {}, {} contracts acknowledged",
                word(&account["incarnation"]),
                word(&account["acknowledged"])
            ),
        ),
        None => line(text, format_args!("  Process     none")),
    }
    line(text, format_args!("  Routes      {}", routes(id, &status["routes"])));
    let exchanges = exchanges(&account["exchanges"], now_ms);
    if !exchanges.is_empty() {
        line(text, format_args!("  Exchanges   {exchanges}"));
    }
    if vitals.is_object() {
        let of = |name: &str| word(&vitals[name]);
        line(
            text,
            format_args!(
                "  Ticks       received {}, first of their kind {}, duplicate {}, late {}, rejected {}",
                of("received"),
                of("forwarded"),
                of("duplicate"),
                of("late"),
                of("rejected")
            ),
        );
    }
    for condition in account["conditions"].as_array().into_iter().flatten() {
        let since = ago(&condition["since_ms"], now_ms);
        let (kind, value) = (word(&condition["type"]), word(&condition["status"]));
        let (reason, message) = (word(&condition["reason"]), word(&condition["message"]));
        line(text, format_args!("  Condition   {kind} {value}{since}: {reason}: {message}"));
    }
    let exit = &account["last_exit"];
    if exit.is_object() {
        let bye = exit["bye"].as_str().map(|bye| format!(": {bye}")).unwrap_or_default();
        let asked = if exit["asked"] == true { ", as asked" } else { "" };
        let (incarnation, reason) = (word(&exit["incarnation"]), word(&exit["reason"]));
        line(text, format_args!("  Last exit   incarnation {incarnation}{asked}: {reason}{bye}"));
    }
}

fn routes(id: &str, routes: &Value) -> String {
    let sources = routes.as_object().into_iter().flatten().map(|(_, ids)| words(ids));
    let (mut feeds, mut first) = (0, 0);
    for ids in sources {
        feeds += usize::from(ids.contains(&id));
        first += usize::from(ids.first() == Some(&id));
    }
    format!("may feed {feeds} contracts, the primary of {first}")
}

fn exchanges(exchanges: &Value, now_ms: i64) -> String {
    let one = |(name, of): (&String, &Value)| match of["silent_since_ms"].as_i64() {
        Some(since_ms) => format!("{name} silent for {}", age(now_ms - since_ms)),
        None => format!("{name} ticks"),
    };
    exchanges.as_object().into_iter().flatten().map(one).collect::<Vec<_>>().join(", ")
}

fn last_events(text: &mut String, events: &[Event], args: &DescribeArgs, now_ms: i64) {
    let mut found: Vec<&Event> = events.iter().filter(|event| args.id.is_none() || event.account == args.id).collect();
    found.sort_by_key(|event| event.at_ms);
    line(text, format_args!("\nEvents"));
    for event in found.iter().skip(found.len().saturating_sub(args.events)) {
        let of = event.account.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
        let age = age(now_ms - event.at_ms);
        line(text, format_args!("  {age} ago{of} {} by {}: {}", event.reason, event.actor, event.message));
    }
}

/// A value of the documents as people write it.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(word) => word.clone(),
        other => other.to_string(),
    }
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn ago(since_ms: &Value, now_ms: i64) -> String {
    since_ms.as_i64().map(|since_ms| format!(" for {}", age(now_ms - since_ms))).unwrap_or_default()
}

/// A length of time in the largest unit that leaves two digits or more, as `90 s` or `25 h`.
fn age(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_described_with_its_reasons() {
        let status = json!({
            "accounts": {"ctp-main": {
                "phase": "Degraded", "why": "DCE is silent", "generation": 4, "observed_generation": 3, "pid": 4711,
                "incarnation": "9.2", "acknowledged": 8,
                "exchanges": {"DCE": {"silent_since_ms": 60_000}, "SHFE": {"silent_since_ms": null}},
                "conditions": [{"type": "CanaryFresh", "status": "False", "reason": "Silent", "message": "no tick of DCE",
                    "since_ms": 50_000}],
                "last_exit": {"incarnation": "9.1", "reason": "signal 9", "asked": false, "bye": null},
            }},
            "routes": {"a.SHFE": ["ctp-main", "b"], "b.SHFE": ["b", "ctp-main"], "c.DCE": ["b"]},
        });
        let mut text = String::new();
        account(&mut text, "ctp-main", &status, &json!({"received": 9, "forwarded": 5}), 200_000);
        let expected = "
ctp-main
  Phase       Degraded: DCE is silent
  Generation  4, observed 3, a change is on its way
  Process     4711, incarnation 9.2, 8 contracts acknowledged
  Routes      may feed 2 contracts, the primary of 1
  Exchanges   DCE silent for 2 min, SHFE ticks
  Ticks       received 9, first of their kind 5, duplicate -, late -, rejected -
  Condition   CanaryFresh False for 2 min: Silent: no tick of DCE
  Last exit   incarnation 9.1: signal 9
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_hub_runs_where_its_process_holds_the_directorys_lock() {
        let locks = "1: POSIX  ADVISORY  WRITE 70 08:01:900 0 EOF\n2: FLOCK  ADVISORY  WRITE 71 00:2f:900 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 72 00:2f:900 0 EOF\n3: FLOCK  ADVISORY  READ  73 00:2f:900 0 EOF\n";
        for (inode, pid, expected) in
            [(900, 71, true), (900, 70, false), (900, 72, false), (900, 73, false), (901, 71, false), (900, 7, false)]
        {
            assert_eq!(is_locked_by(locks, inode, pid), expected, "{inode} {pid}");
        }
    }

    #[test]
    fn ages_have_the_unit_that_people_use() {
        let ages = [-5, 99_999, 100_000, 5_999_000, 6_000_000, 172_800_000].map(age);
        assert_eq!(ages, ["0 s", "99 s", "1 min", "99 min", "1 h", "2 d"]);
    }
}
