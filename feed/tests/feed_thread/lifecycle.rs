//! The thread itself: its beat, its reports, its end.

use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mdhub_spec::dialect::Dialect;
use mdhub_spec::plane::{FeedCommand, FeedEvent, PipeEnd, SourceSlot};
use mdhub_spec::settings::{Endpoint, Publish};

use crate::client::Client;
use crate::rig::{Rig, config, eventually, record, slots};

#[test]
fn an_idle_feed_beats_and_reports_its_pipes() {
    let mut rig = Rig::start(config());
    let fronts = [rig.ctp(0), rig.ctp(1)];
    let beat = || rig.feed().vitals().beat_mono_ns.load(Relaxed);
    let before = beat();
    let expected = FeedEvent::Attached(fronts.iter().map(|front| front.incarnation).collect());
    let mut reports = 0;
    while reports < 2 {
        let event = rig.events.recv_timeout(Duration::from_secs(10)).expect("a report in time");
        reports += usize::from(event == expected);
    }
    assert!(beat() > before);
}

#[test]
fn an_event_that_finds_no_room_is_counted() {
    let feed = mdhub_feed::spawn(config(), Box::new(|_| false)).expect("starts");
    eventually("a lost event is counted", || feed.vitals().events_dropped.load(Relaxed) > 0);
    feed.send(FeedCommand::Shutdown).expect("room");
    feed.join();
}

#[test]
fn a_second_pipe_of_the_same_incarnation_is_not_read() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let mut front = rig.ctp(0);
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
    let command = FeedCommand::Attach {
        incarnation: front.incarnation,
        account: "ctp-0".parse().expect("an id"),
        slot: SourceSlot::new(0).expect("a slot"),
        dialect: Dialect::Ctp,
        is_low_precision: false,
        ticks: reader,
        vitals: std::sync::Arc::clone(&front.vitals),
    };
    rig.feed().send(command).expect("room");
    front.deliver(&record("IF2612", 1, 1));
    assert_eq!(rustix::io::write(&writer, b"x"), Err(rustix::io::Errno::PIPE), "its reading end is closed");
    let incarnation = front.incarnation;
    drop(front);
    assert_eq!(rig.end_of(incarnation), PipeEnd::Drained);
}

#[test]
fn shutdown_sends_what_waits_closes_everything_and_refuses_commands() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let address = rig.feed().listen_addr();
    let mut client = Client::connect(address);
    client.subscribe("");
    rig.ctp(0).deliver(&record("IF2612", 1, 1));
    rig.feed().send(FeedCommand::Shutdown).expect("room");
    assert_eq!(client.message()[0], b"IF2612.CFFEX");
    assert!(client.closed().is_empty());
    eventually("the port is free", || TcpStream::connect(address).is_err());
    eventually("commands come back", || {
        rig.feed().send(FeedCommand::Shutdown).is_err_and(|busy| matches!(busy.0, FeedCommand::Shutdown))
    });
    rig.feed.take().expect("not taken").join();
}

#[test]
fn a_feed_whose_handle_is_gone_ends() {
    let mut rig = Rig::start(config());
    let address = rig.feed().listen_addr();
    drop(rig.feed.take());
    eventually("the port is free", || TcpStream::connect(address).is_err());
}

#[test]
fn a_taken_port_is_refused_with_its_address() {
    let rig = Rig::start(config());
    let taken = Publish { listen: Endpoint(rig.feed().listen_addr()), ..Publish::default() };
    let second = mdhub_feed::spawn(mdhub_feed::FeedConfig { publish: taken, ..config() }, Box::new(|_| true));
    let error = second.map(|_| ()).expect_err("the port is taken").to_string();
    assert!(error.contains(&rig.feed().listen_addr().to_string()), "{error}");
}
