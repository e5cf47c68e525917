//! Ticks as fast as they come, from one thread and from several.

use std::collections::BTreeMap;

use mdhub_gateways::worker::ring::RING_TICKS;
use mdhub_spec::raw_tick::text;

use super::scene::{ID, KINDS, Scene};

const CONTRACTS: [&str; 1] = ["10007001.SSE"];

#[tokio::test]
async fn a_hundred_thousand_ticks_at_full_speed_arrive_in_order_and_whole() {
    const TICKS: i32 = 100_000;
    const PORTION: i32 = 2_000;
    // The library never waits within what the ring can hold, so that a slow machine loses nothing either.
    const AHEAD: i32 = 7 * PORTION;
    for kind in KINDS {
        let mut scene = Scene::ready(kind, &CONTRACTS).await;
        assert!(usize::try_from(AHEAD).is_ok_and(|ahead| ahead < RING_TICKS));
        let (mut let_go, mut read) = (0, 0);
        while read < TICKS {
            while let_go < TICKS && let_go + PORTION <= read + AHEAD {
                scene.script.add(&[format!("flood rb2701 {let_go} {PORTION}")]);
                let_go += PORTION;
            }
            for tick in scene.ticks.some().await {
                assert_eq!((text(&tick.instrument), tick.volume.get()), (&b"rb2701"[..], read), "{kind}");
                read += 1;
            }
        }
        assert_eq!(scene.beat().await.ring_dropped, 0);
        scene.hub.kill(ID, scene.life).await;
    }
}

#[tokio::test]
async fn callbacks_from_several_threads_at_once_keep_each_threads_order() {
    const THREADS: i32 = 5;
    const EACH: i32 = 3_000;
    for kind in KINDS {
        let mut scene = Scene::ready(kind, &CONTRACTS).await;
        scene.script.add(&[format!("storm {THREADS} {EACH}")]);
        let mut next = BTreeMap::new();
        for tick in scene.ticks.read(usize::try_from(THREADS * EACH).expect("positive")).await {
            let expected = next.entry(text(&tick.instrument).to_vec()).or_insert(0);
            assert_eq!(tick.volume.get(), *expected, "{kind}");
            *expected += 1;
        }
        let all = (0..THREADS).map(|n| (format!("storm{n}").into_bytes(), EACH)).collect();
        assert_eq!(next, all);
        assert_eq!(scene.beat().await.ring_dropped, 0);
        scene.hub.kill(ID, scene.life).await;
    }
}
