//! How tick pipes end, and that the feed goes on.

use mdhub_spec::dialect::Dialect;
use mdhub_spec::frame;
use mdhub_spec::plane::{FeedCommand, PipeEnd};

use crate::rig::{Rig, config, eventually, record, slots};
use crate::subscriber::Subscriber;

#[test]
fn a_dead_workers_last_ticks_are_published_before_its_pipe_ends() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let subscriber = Subscriber::start(rig.feed().listen_addr(), 500);
    let mut front = rig.ctp(0);
    for i in 0..500 {
        front.send(&record("IF2612", i, 1));
    }
    // It dies in the middle of a frame.
    front.write(&[0x76, 1, 0]);
    let incarnation = front.incarnation;
    drop(front);
    assert_eq!(rig.end_of(incarnation), PipeEnd::Drained);
    assert_eq!(rig.published(), 500);
    assert_eq!(subscriber.ticks().len(), 500);
}

#[test]
fn a_bad_frame_ends_its_own_source_and_the_ticks_before_it_count() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0, 1]))]);
    let subscriber = Subscriber::start(rig.feed().listen_addr(), 2);
    let (mut sound, broken) = (rig.ctp(0), rig.ctp(1));
    let mut bytes = Vec::new();
    frame::put_tick(&mut bytes, &record("IF2612", 1, 1));
    bytes.extend([0x17; 300]);
    broken.write(&bytes);
    let end = rig.end_of(broken.incarnation);
    assert!(matches!(&end, PipeEnd::BadFrame(why) if why.contains("frame length")), "{end:?}");
    assert!(broken.is_cut());
    sound.deliver(&record("IF2612", 3, 1));
    let sources: Vec<_> = subscriber.ticks().iter().map(|t| t.text("source").to_owned()).collect();
    assert_eq!(sources, ["ctp-1", "ctp-0"]);
}

#[test]
fn random_bytes_on_any_number_of_pipes_leave_the_feed_alive() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let mut draw = crate::day::Draw(3);
    for _ in 0..50 {
        let noise = rig.ctp(1);
        let bytes: Vec<u8> = (0..2_000).map(|_| draw.below(256) as u8).collect();
        noise.write(&bytes);
        let incarnation = noise.incarnation;
        drop(noise);
        // A length that is possible by chance is a torn frame at the end.
        assert_ne!(rig.end_of(incarnation), PipeEnd::Detached);
    }
    rig.ctp(0).deliver(&record("IF2612", 1, 1));
    eventually("the tick is published", || rig.published() == 1);
}

#[test]
fn a_detached_pipe_is_not_read_any_more() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let mut front = rig.ctp(0);
    front.deliver(&record("IF2612", 1, 1));
    rig.feed().send(FeedCommand::Detach { incarnation: front.incarnation }).expect("room");
    assert_eq!(rig.end_of(front.incarnation), PipeEnd::Detached);
    assert!(front.is_cut());
    assert_eq!(rig.published(), 1);
}

#[test]
fn more_pipes_than_there_can_be_are_refused_and_say_so() {
    let mut rig = Rig::start(config());
    let fronts: Vec<_> = (0..129).map(|i| rig.attach((i % 64) as u8, "ctp-main", Dialect::Ctp)).collect();
    assert_eq!(rig.end_of(fronts[128].incarnation), PipeEnd::Detached);
}
