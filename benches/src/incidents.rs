//! What goes wrong, and how soon it is made good: seen by a subscriber.

use std::collections::{HashMap, HashSet};
use std::fs;

use serde_json::json;

use crate::clock::{exists, kill, mono_ns, passed, real_ns, until};
use crate::hub::{Hub, Plan, account};
use crate::report::median;
use crate::zmtp_client::ZmtpClient;
use crate::{Effort, Failure, payload};

const CONTRACTS: u32 = 200;
const INTERVAL_MS: u32 = 100;

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
    /// From the last tick of a front that goes away to the standby's first, in mode `primary_only`, ms.
    pub(crate) front_loss_ms: Vec<f64>,
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
        found.failover_ms.push(failover(&mut |hub| kill(hub.worker(1)?))?.0);
        let gone = json!({"scenarios": [{"kind": "refused"}]});
        found.front_loss_ms.push(failover(&mut |hub| hub.change_front(1, gone.clone()))?.1);
    }
    Ok(found)
}

impl Incidents {
    pub(crate) fn medians(&self) -> [f64; 3] {
        [&self.death_ms, &self.failover_ms, &self.front_loss_ms].map(|all| median(all))
    }
}

/// Two fronts; the second one is later, so that the first one's copies win.
fn plan(settings: &'static str) -> Plan {
    Plan {
        fronts: vec![json!({}), json!({"delay_ms": 1.0, "tape": "tape"})],
        contracts: CONTRACTS,
        interval_ms: INTERVAL_MS,
        settings,
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
    let from_ns = mono_ns();
    let start = real_ns();
    let mut watch = None;
    while !passed(start, 1.0 + AFTERMATH_S) {
        client.read(|payload| diary.note(payload))?;
        if watch.is_none() && passed(start, 1.0) {
            watch = Some(std::thread::spawn(move || {
                let killed = mono_ns();
                kill(pid)?;
                until(10, "the hub to collect the dead worker", || (!exists(pid)).then(mono_ns)).map(|now| now - killed)
            }));
        }
    }
    let until_ns = mono_ns();
    let watch = watch.ok_or("no tick came for a second")?;
    found.death_ms.push(watch.join().map_err(|_| "a thread panicked")?? as f64 / 1e6);
    let handed_over = taped(&tape, from_ns + MARGIN_NS, until_ns - MARGIN_NS)?;
    found.compared += handed_over.len() as u64;
    found.lost += handed_over.iter().filter(|key| !diary.seen.contains(*key)).count() as u64;
    found.gaps += diary.gaps;
    Ok(())
}

/// What a front handed over between two instants.
fn taped(path: &std::path::Path, from_ns: u64, until_ns: u64) -> Result<Vec<Key>, Failure> {
    let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    let mut keys = Vec::new();
    let mut last_ns = 0;
    for line in text.lines() {
        let Some((at_ns, key)) = taped_key(line) else { continue };
        last_ns = at_ns;
        if (from_ns..until_ns).contains(&at_ns) {
            keys.push(key);
        }
    }
    if last_ns < until_ns || keys.is_empty() {
        return Err(format!("the surviving front's tape has {} ticks and ends before its time", keys.len()));
    }
    Ok(keys)
}

/// `index,mono_ns,kind,instrument,TradingDay,ActionDay,UpdateTime,UpdateMillisec,Volume,...`
fn taped_key(line: &str) -> Option<(u64, Key)> {
    let columns: Vec<&str> = line.split(',').collect();
    let [_, at_ns, _, code, _, _, time, ms, volume, ..] = columns[..] else { return None };
    let seconds = time.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<u64>().ok()?))?;
    Some((at_ns.parse().ok()?, (code.to_owned(), seconds * 1_000 + ms.parse::<u64>().ok()?, volume.parse().ok()?)))
}

/// What the standby takes to be heard after `harm`, in mode `primary_only`: from the harm, and from the primary's last tick;
/// milliseconds.
fn failover(harm: &mut dyn FnMut(&mut Hub) -> Result<(), Failure>) -> Result<(f64, f64), Failure> {
    let mut hub = Hub::start(&plan("arbitration: {mode: primary_only}\n"))?;
    let mut client = ZmtpClient::subscribe(hub.address(), b"")?;
    let (tape, standby) = (hub.path("tape"), account(2));
    // While the workers start, whoever is there first may stand in for the primary.
    let mut primary = 0;
    until(20, "the primary's ticks alone", || {
        client.read(|p| primary = if payload::source(p) == Some(&standby) { 0 } else { primary + 1 }).ok()?;
        (primary > 2 * CONTRACTS && fs::metadata(&tape).is_ok_and(|m| m.len() > 0)).then_some(())
    })?;
    let harmed_ns = real_ns();
    harm(&mut hub)?;
    let mut last_ns = harmed_ns;
    let heard_ns = until(10, "the standby's first tick", || {
        let mut heard = None;
        client
            .read(|p| {
                if payload::source(p) == Some(&standby) {
                    heard = heard.or_else(|| Some(real_ns()));
                } else if heard.is_none() {
                    last_ns = payload::ingress_ns(p).unwrap_or(last_ns);
                }
            })
            .ok()?;
        heard
    })?;
    Ok(((heard_ns - harmed_ns) as f64 / 1e6, heard_ns.saturating_sub(last_ns) as f64 / 1e6))
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
