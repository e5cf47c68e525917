//! Once warm, a tick's way takes no memory: not for a first copy, not for a second, not for a bad one.

#[cfg(test)]
#[expect(dead_code, reason = "written for the publisher's tests, which use all of it")]
#[path = "zmtp_server/client.rs"]
mod client;
#[cfg(test)]
#[expect(dead_code, reason = "written for the tests of the whole feed, which use all of it")]
#[path = "feed_thread/rig.rs"]
mod rig;

#[cfg(test)]
mod tests {
    use std::alloc::System;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::atomic::Ordering::Relaxed;

    use mdhub_spec::raw_tick::{RawTick, field};
    use mdhub_spec::settings::Rule;
    use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

    use super::client;
    use super::rig::{Front, Rig, config, record, slots};

    #[global_allocator]
    static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    /// A subscriber to everything that reads into a fixed buffer.
    struct Reader {
        stream: TcpStream,
        buffer: Box<[u8]>,
    }

    impl Reader {
        fn connect(address: SocketAddr) -> Self {
            let stream = TcpStream::connect(address).expect("connects");
            let mut reader = Self { stream, buffer: vec![0; 64 * 1024].into() };
            reader.send(&client::greeting(3, 1, b"NULL"));
            reader.skip(64);
            reader.send(&client::ready("SUB"));
            reader.skip(27);
            reader.send(&client::command("SUBSCRIBE", b""));
            reader.send(&client::ping(0, b"sync"));
            reader.skip(11);
            reader
        }

        fn send(&mut self, bytes: &[u8]) {
            self.stream.write_all(bytes).expect("sends");
        }

        fn skip(&mut self, bytes: usize) {
            self.stream.read_exact(&mut self.buffer[..bytes]).expect("the server answers");
        }

        /// Something of the last tick, and whatever else is there.
        fn read_some(&mut self) {
            assert!(self.stream.read(&mut self.buffer).expect("a tick comes") > 0);
        }
    }

    /// Every fate of a tick, for some seconds of the market.
    fn deliver(fronts: &mut [Front; 2], reader: &mut Reader, seconds: std::ops::Range<u32>) {
        for second in seconds {
            for instrument in ["IF2612", "MA705", "rb2701"] {
                let raw = record(instrument, second, second.cast_signed());
                fronts[0].deliver(&raw);
                fronts[1].deliver(&raw);
                reader.read_some();
            }
            fronts[1].deliver(&record("IF2612", second - 1, 9_999));
            fronts[0].deliver(&record("IF2612", second - 1, 9_999));
            fronts[0].deliver(&record("au2702", second, 1));
            fronts[0].deliver(&RawTick { update_time: field(b"99:99:99"), ..record("IF2612", second, 1) });
            fronts[0].deliver(&RawTick { update_time: field(b"12:10:00"), ..record("IF2612", second, 1) });
            // Later than the last tick, and of less volume.
            fronts[0].deliver(&RawTick { update_ms: 500.into(), ..record("rb2701", second, 0) });
        }
    }

    #[test]
    fn a_warm_feed_allocates_nothing_for_a_tick() {
        // So few that old ones make room for new ones.
        let mut config = config();
        config.engine.cleansing.quarantine_max = 500;
        let mut rig = Rig::start(config);
        let both = slots(&[0, 1]);
        rig.route(&[("IF2612.CFFEX", both), ("MA705.CZCE", both), ("rb2701.SHFE", both)]);
        let mut fronts = [rig.ctp(0), rig.ctp(1)];
        let mut reader = Reader::connect(rig.feed().listen_addr());
        deliver(&mut fronts, &mut reader, 1..200);
        while rig.events.try_recv().is_ok() {}

        let region = Region::new(ALLOCATOR);
        deliver(&mut fronts, &mut reader, 200..1_200);
        let change = region.change();
        deliver(&mut fronts, &mut reader, 1_200..1_201);

        // What the feed reports once a second, to control and in band, is not on a tick's way.
        let reports = rig.events.try_iter().count() + 1;
        let allocations = change.allocations + change.reallocations;
        assert!(allocations <= 32 * reports, "{change:?}, and {reports} reports");
        assert!(allocations < 500, "{change:?}: too many to tell whether each tick takes some");
        assert_eq!(rig.published(), 3 * 1_200);
        assert_eq!(rig.feed().vitals().delivered.load(Relaxed), 3 * 1_200);
        let late_unique = fronts[1].vitals.total(|e| &e.late_unique);
        assert_eq!((late_unique, fronts[0].vitals.total(|e| &e.late)), (1_200, 1_200));
        let rejected = |rule| rig.feed().rule_vitals().rejected(rule);
        let of_every_kind = [Rule::UnknownContract, Rule::BadTime, Rule::OutOfSession, Rule::VolumeBackwards];
        assert_eq!(of_every_kind.map(rejected), [1_200; 4]);
    }
}
