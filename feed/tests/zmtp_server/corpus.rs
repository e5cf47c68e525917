//! Recorded and invented conversations, one a file in `tests/zmtp_corpus`: as they are, in pieces, mutated, and sent to a
//! server. `good_` is understood to its end, `torn_` waits for more, `bad_` is sent away.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use mdhub_feed::zmtp::{Heard, heard};

use crate::client::Client;
use crate::hub::{Hub, config};

/// The largest frame of a peer with its header.
const HELD_BYTES_MAX: usize = 4096 + 9;
/// Conversations that are made of those in the corpus; each has some five frames.
const MUTANTS: usize = 30_000;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zmtp_corpus");
    let files = std::fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("a file"));
    let mut found: Vec<_> = files
        .map(|file| {
            (file.file_name().into_string().expect("a name"), std::fs::read(file.path()).expect("it can be read"))
        })
        .collect();
    found.sort();
    assert!(found.len() >= 30, "only {} files", found.len());
    found
}

/// What is to be the same however the bytes come.
fn meaning(heard: &Heard) -> (&[String], Option<&str>, bool) {
    (&heard.said, heard.fault.as_deref(), heard.is_torn)
}

fn in_pieces(name: &str, bytes: &[u8], chunk_bytes: usize) -> Heard {
    let (whole, pieces) = (heard(bytes, 0), heard(bytes, chunk_bytes));
    assert_eq!(meaning(&whole), meaning(&pieces), "{name}, {chunk_bytes} bytes at a time: {bytes:02x?}");
    assert!(pieces.held_bytes_max < HELD_BYTES_MAX, "{name}: {} bytes were held", pieces.held_bytes_max);
    whole
}

#[test]
fn each_conversation_ends_as_its_name_says_however_it_comes() {
    for (name, bytes) in corpus() {
        for chunk_bytes in [1, 2, 3, 7, 64, 1_000] {
            let heard = in_pieces(&name, &bytes, chunk_bytes);
            let ends = match (&heard.fault, heard.is_torn) {
                (Some(_), _) => "bad",
                (None, true) => "torn",
                (None, false) => "good",
            };
            assert_eq!(Some(ends), name.split('_').next(), "{name}: {heard:?}");
        }
    }
}

/// SplitMix64: the same in every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 1) as usize % end.max(1)
    }
}

/// One conversation and the tail of another, with some bytes changed, left out or repeated.
fn mutant(corpus: &[(String, Vec<u8>)], noise: &mut Noise) -> Vec<u8> {
    let mut bytes = corpus[noise.below(corpus.len())].1.clone();
    let other = &corpus[noise.below(corpus.len())].1;
    match noise.below(3) {
        0 => bytes.extend(&other[noise.below(other.len())..]),
        1 => bytes.extend(&other[64.min(other.len())..]),
        _ => {}
    }
    for _ in 0..noise.below(4) {
        let at = noise.below(bytes.len());
        match noise.below(4) {
            0 => bytes[at] = noise.below(256) as u8,
            1 => bytes[at] ^= 1 << noise.below(8),
            2 => drop(bytes.drain(at..bytes.len().min(at + 1 + noise.below(9)))),
            _ => bytes.extend_from_within(at..bytes.len().min(at + 1 + noise.below(64))),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[test]
fn mutants_of_them_mean_the_same_however_they_come() {
    let (corpus, mut noise) = (corpus(), Noise(7));
    let (mut faults, mut said) = (0, 0);
    for n in 0..MUTANTS {
        let bytes = mutant(&corpus, &mut noise);
        let heard = in_pieces(&format!("mutant {n}"), &bytes, 1 + noise.below(100));
        faults += usize::from(heard.fault.is_some());
        said += heard.said.len();
    }
    assert!(faults > MUTANTS / 10 && faults < MUTANTS && said > MUTANTS, "{faults} faults, {said} events");
}

#[test]
fn a_server_outlives_all_of_them() {
    let hub = Hub::start(config());
    let mut healthy = Client::connect(hub.address);
    healthy.subscribe("healthy");
    let (corpus, mut noise) = (corpus(), Noise(11));
    let mutants: Vec<Vec<u8>> = (0..500).map(|_| mutant(&corpus, &mut noise)).collect();
    let mut bad = 0;
    for (n, bytes) in corpus.iter().map(|(_, bytes)| bytes).chain(&mutants).enumerate() {
        let mut client = Client::dial(hub.address);
        client.try_send(bytes);
        // No frame swallows all of this, and none begins so: it ends every connection.
        client.try_send(&[0xff; 4_200]);
        client.closed();
        client.abort();
        bad += 1;
        hub.publish("healthy", &n.to_be_bytes());
        assert_eq!(healthy.message()[1], n.to_be_bytes());
    }
    hub.wait_for("peers", |v| &v.peers, 1);
    assert_eq!((hub.vitals.peers_refused.load(Relaxed), hub.vitals.dropped.load(Relaxed)), (bad, 0));
}
