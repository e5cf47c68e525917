//! What goes wrong, and how soon it is made good: seen by a subscriber.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};

use crate::clock::{exists, kill, mono_ns, passed, real_ns, until};
use crate::hub::{Driver, Hub, Plan, account};
use crate::report::median;
use crate::zmtp_client::ZmtpClient;
use crate::{Effort, Failure, payload};

const CONTRACTS: u32 = 200;
const INTERVAL_MS: u32 = 100;
const TICKS_PER_SECOND: u32 = CONTRACTS * 1_000 / INTERVAL_MS;

/// A standby that is not heard within this has not stood in.
const STANDBY_S_MAX: f64 = 5.0;

/// What is read after an incident.
const AFTERMATH_S: f64 = 2.0;

/// The tape and the subscriber are compared so far from their ends.
const MARGIN_NS: u64 = 500_000_000;

const MS_PER_DAY: u64 = 86_400_000;
const BEIJING_MS: u64 = 8 * 3_600_000;

/// `kill -9` of the primary's worker, in both modes, and a front that goes away.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    /// Ticks that the surviving source was given and that were never published.
    pub(crate) lost: u64,
    /// Ticks that were compared.
    pub(crate) compared: u64,
    /// Holes in `seq`.
    pub(crate) gaps: u64,
    /// From the kill until the dead process is collected, ms.
    pub(crate) death_ms: Vec<f64>,
    /// From the kill to the standby's first tick, in mode `primary_only`, ms.
    pub(crate) failover_ms: Vec<f64>,
    /// From the last tick of a front that goes away until the hub has written that down, ms.
    pub(crate) front_loss_ms: Vec<f64>,
    /// From there to the standby's first tick, in mode `primary_only`, ms; infinite when none came.
    pub(crate) front_failover_ms: Vec<f64>,
}

/// A snapshot by what every front says alike: code, milliseconds since Beijing's midnight, volume.
type Key = (String, u64, u64);

/// What a subscriber knows.
#[derive(Default)]
struct Diary {
    seen: HashSet<Key>,
    last_seq: HashMap<String, u64>,
    gaps: u64,
}

impl Diary {
    fn note(&mut self, payload: &[u8]) {
        let (Some(vt_symbol), Some(ms), Some(volume), Some(seq)) = (
            payload::vt_symbol(payload),
            payload::exchange_time_ms(payload),
            payload::volume(payload),
            payload::seq(payload),
        ) else {
            return;
        };
        if !payload::is_snapshot(payload) {
            let before = self.last_seq.insert(vt_symbol.to_owned(), seq);
            self.gaps += u64::from(before.is_some_and(|before| seq != before + 1));
        }
        let code = vt_symbol.trim_end_matches(".DCE").to_owned();
        self.seen.insert((code, (ms + BEIJING_MS) % MS_PER_DAY, volume));
    }
}

/// Measures all of it.
pub(crate) fn measure(effort: &Effort) -> Result<Incidents, Failure> {
    let mut found = Incidents::default();
    for repeat in 1..=effort.repeats {
        eprintln!("  incidents, repeat {repeat} of {}", effort.repeats);
        kill_primary(&mut found)?;
        kill_in_primary_only(&mut found).map_err(|e| format!("kill -9: {e}"))?;
        lose_front(&mut found).map_err(|e| format!("front loss: {e}"))?;
    }
    Ok(found)
}

impl Incidents {
    /// Of death, failover, front loss, and failover after it.
    pub(crate) fn medians(&self) -> [f64; 4] {
        [&self.death_ms, &self.failover_ms, &self.front_loss_ms, &self.front_failover_ms].map(|all| median(all))
    }
}

/// Two fronts; the second one is later, so that the first one's copies win.
fn plan(settings: &'static str) -> Plan {
    Plan {
        fronts: vec![json!({}), json!({"delay_ms": 1.0, "tape": "tape"})],
        contracts: CONTRACTS,
        interval_ms: INTERVAL_MS,
        settings,
        driver: Driver::Native,
    }
}

fn kill_primary(found: &mut Incidents) -> Result<(), Failure> {
    let hub = Hub::start(&plan(""))?;
    let mut client = ZmtpClient::subscribe(hub.address(), b"")?;
    let mut diary = Diary::default();
    let (pid, tape) = (hub.worker(1)?, hub.path("tape"));
    until(20, "both fronts' ticks", || {
        let came = client.read(|payload| diary.note(payload)).ok()?;
        (came && fs::metadata(&tape).is_ok_and(|m| m.len() > 0)).then_some(())
    })?;
    let (from_ns, start) = (mono_ns(), real_ns());
    let (mut watch, mut payloads) = (None, Vec::new());
    // What is on its way when the time is over is read, too; it is looked into later.
    let mut received_ns = 0;
    while received_ns < start + ((1.0 + AFTERMATH_S) * 1e9) as u64 {
        client.read(|payload| {
            received_ns = payload::ingress_ns(payload).unwrap_or_default();
            payloads.push(payload.to_vec());
        })?;
        if passed(start, 3.0 * (1.0 + AFTERMATH_S)) {
            return Err("the ticks have stopped".into());
        }
        if watch.is_none() && passed(start, 1.0) {
            watch = Some(std::thread::spawn(move || {
                let killed = mono_ns();
                kill(pid)?;
                until(10, "the hub to collect the dead worker", || (!exists(pid)).then(mono_ns)).map(|now| now - killed)
            }));
        }
    }
    let until_ns = from_ns + (received_ns - start);
    payloads.iter().for_each(|payload| diary.note(payload));
    let watch = watch.ok_or("no tick came for a second")?;
    found.death_ms.push(watch.join().map_err(|_| "a thread panicked")?? as f64 / 1e6);
    // The tape is written some moments later.
    let span = from_ns + MARGIN_NS..until_ns - MARGIN_NS;
    let handed_over = until(5, "the surviving front's tape", || taped(&tape, &span))?;
    found.compared += handed_over.len() as u64;
    found.lost += handed_over.iter().filter(|key| !diary.seen.contains(*key)).count() as u64;
    found.gaps += diary.gaps;
    Ok(())
}

/// What a front handed over in a span of time, once its tape goes beyond that.
fn taped(path: &Path, span: &Range<u64>) -> Option<Vec<Key>> {
    let text = fs::read_to_string(path).ok()?;
    let lines: Vec<_> = text.lines().filter_map(taped_key).collect();
    lines.last().filter(|(at_ns, _)| *at_ns >= span.end)?;
    Some(lines.into_iter().filter(|(at_ns, _)| span.contains(at_ns)).map(|(_, key)| key).collect())
}

/// `index,mono_ns,kind,instrument,TradingDay,ActionDay,UpdateTime,UpdateMillisec,Volume,...`
fn taped_key(line: &str) -> Option<(u64, Key)> {
    let columns: Vec<&str> = line.split(',').collect();
    let [_, at_ns, _, code, _, _, time, ms, volume, ..] = columns[..] else { return None };
    let seconds = time.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<u64>().ok()?))?;
    Some((at_ns.parse().ok()?, (code.to_owned(), seconds * 1_000 + ms.parse::<u64>().ok()?, volume.parse().ok()?)))
}

/// What a standby takes to stand in.
struct Failover {
    /// From the harm to the standby's first tick.
    from_harm_ms: f64,
    /// From the primary's last tick to the standby's first; infinite when it never came.
    from_last_ms: f64,
    /// When the primary's last tick was received, nanoseconds since the epoch.
    last_ns: u64,
}

/// A hub in mode `primary_only` whose primary alone is heard, for long enough that its status is written down.
fn settled(client: &mut Option<ZmtpClient>) -> Result<Hub, Failure> {
    let hub = Hub::start(&plan("arbitration: {mode: primary_only}\n"))?;
    let client = client.insert(ZmtpClient::subscribe(hub.address(), b"")?);
    let (tape, standby) = (hub.path("tape"), account(2));
    // While the workers start, whoever is there first may stand in for the primary.
    let mut primary = 0;
    until(20, "the primary's ticks alone", || {
        client.read(|p| primary = if payload::source(p) == Some(&standby) { 0 } else { primary + 1 }).ok()?;
        (primary > TICKS_PER_SECOND && fs::metadata(&tape).is_ok_and(|m| m.len() > 0)).then_some(())
    })?;
    Ok(hub)
}

/// Harms the primary, and waits for the standby's first tick.
fn failover(
    hub: &mut Hub,
    client: &mut ZmtpClient,
    harm: impl FnOnce(&mut Hub) -> Result<(), Failure>,
) -> Result<Failover, Failure> {
    let standby = account(2);
    let harmed_ns = real_ns();
    harm(hub)?;
    let (mut last_ns, mut heard_ns) = (harmed_ns, None);
    while heard_ns.is_none() && !passed(harmed_ns, STANDBY_S_MAX) {
        client.read(|p| {
            if payload::source(p) == Some(&standby) {
                heard_ns = heard_ns.or_else(|| Some(real_ns()));
            } else if heard_ns.is_none() {
                last_ns = payload::ingress_ns(p).unwrap_or(last_ns);
            }
        })?;
    }
    let since = |from: u64| heard_ns.map_or(f64::INFINITY, |heard| heard.saturating_sub(from) as f64 / 1e6);
    Ok(Failover { from_harm_ms: since(harmed_ns), from_last_ms: since(last_ns), last_ns })
}

fn kill_in_primary_only(found: &mut Incidents) -> Result<(), Failure> {
    let mut client = None;
    let mut hub = settled(&mut client)?;
    let client = client.as_mut().ok_or("no client")?;
    let pid = hub.worker(1)?;
    found.failover_ms.push(failover(&mut hub, client, |_| kill(pid))?.from_harm_ms);
    Ok(())
}

fn lose_front(found: &mut Incidents) -> Result<(), Failure> {
    let mut client = None;
    let mut hub = settled(&mut client)?;
    let client = client.as_mut().ok_or("no client")?;
    let status = hub.path("data/status.json");
    let noticed = std::thread::spawn(move || {
        until(10, "the hub to write down that a front is gone", || is_front_gone(&status)?.then(real_ns))
    });
    let gone = json!({"scenarios": [{"kind": "refused"}]});
    let after = failover(&mut hub, client, |hub| hub.change_front(1, gone))?;
    let noticed_ns = noticed.join().map_err(|_| "a thread panicked")??;
    found.front_loss_ms.push(noticed_ns.saturating_sub(after.last_ns) as f64 / 1e6);
    found.front_failover_ms.push(after.from_last_ms);
    Ok(())
}

/// What `status.json` says of the primary's front.
fn is_front_gone(status: &Path) -> Option<bool> {
    let status: Value = serde_json::from_str(&fs::read_to_string(status).ok()?).ok()?;
    let conditions = status["accounts"][account(1)]["conditions"].as_array()?;
    Some(conditions.iter().any(|c| c["type"] == "FrontConnected" && c["status"] == "False"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tape_and_the_payload_of_it_have_one_key() {
        let line = "7,123,true,m2705,20261118,20261118,09:30:01,500,70000,1.0,2.0,3.0,4.0,5,6.0,7";
        let expected = ("m2705".to_owned(), ((9 * 60 + 30) * 60 + 1) * 1_000 + 500, 70_000);
        assert_eq!(taped_key(line), Some((123, expected.clone())));
        assert_eq!(
            taped_key("index,mono_ns,kind,instrument,TradingDay,ActionDay,UpdateTime,UpdateMillisec,Volume"),
            None
        );
        // 2026-11-18 09:30:01.500 in Beijing.
        let mut payload = b"\xa8datetime\xd7\xff".to_vec();
        payload.extend(((500_000_000u64 << 34) | 1_794_965_401).to_be_bytes());
        payload.extend(b"\xa6volume\xce\0\x01\x11\x70\xa9vt_symbol\xa9m2705.DCE\xa3seq\x05\xa5flags\0");
        let mut diary = Diary::default();
        diary.note(&payload);
        assert!(diary.seen.contains(&expected), "{:?}", diary.seen);
        let at = payload.len() - 8;
        payload[at] = 7;
        diary.note(&payload);
        assert_eq!(diary.gaps, 1);
    }
}
