//! The last published ticks of all topics, as they were sent, in one ring of bytes: whoever missed some asks for them.
//!
//! A record is `place of the topic's record before + 1 | seq | length | payload`; places are positions in all that was ever
//! written, so that a record is there while the ring has not been written over it since. Appending copies the payload and
//! takes no memory.

use std::collections::VecDeque;

use mdhub_spec::plane::RecentTicks;

use crate::zmtp::TopicId;

/// Of a record, before its payload.
const HEADER_BYTES: usize = 20;

/// Most records that one question follows: a topic's records are anywhere in the ring, and the thread has ticks to read.
const STEPS_MAX: usize = 16_384;
/// Most ticks in one answer, whatever was asked.
const TICKS_MAX: usize = 1_000;

/// Where a topic's last record is: its place + 1, and its `seq`.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    link: u64,
    seq: u64,
}

/// The ring.
#[derive(Debug)]
pub(crate) struct Recent {
    ring: Box<[u8]>,
    /// Bytes ever written.
    written: u64,
    topics: Vec<Last>,
}

/// A record's header.
#[derive(Debug, Clone, Copy)]
struct Header {
    before: u64,
    seq: u64,
    length: usize,
}

impl Recent {
    /// With room for so many bytes; the system gives memory as they are used.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { ring: vec![0; bytes].into_boxed_slice(), written: 0, topics: Vec::new() }
    }

    /// Makes room for a topic. For changes of routes, not for ticks: it may allocate.
    pub(crate) fn expect(&mut self, topic: TopicId) {
        let needed = topic.0 as usize + 1;
        if self.topics.len() < needed {
            self.topics.resize(needed, Last::default());
        }
    }

    /// Keeps a tick that was just published. Nothing is kept of a topic that was not expected.
    pub(crate) fn append(&mut self, topic: TopicId, seq: u64, payload: &[u8]) {
        let Some(last) = self.topics.get_mut(topic.0 as usize) else { return };
        let Ok(length) = u32::try_from(payload.len()) else { return };
        if HEADER_BYTES + payload.len() > self.ring.len() {
            return;
        }
        // A contract whose numbers begin anew has no past.
        let before = if last.seq.wrapping_add(1) == seq { last.link } else { 0 };
        *last = Last { link: self.written + 1, seq };
        self.write(&before.to_le_bytes());
        self.write(&seq.to_le_bytes());
        self.write(&length.to_le_bytes());
        self.write(payload);
    }

    /// The topic's ticks with a `seq` greater than `after_seq`, the oldest first, at most `limit`.
    pub(crate) fn after(&self, topic: TopicId, after_seq: u64, limit: usize, epoch: u64) -> RecentTicks {
        let Some(last) = self.topics.get(topic.0 as usize).filter(|last| last.link > 0) else {
            return RecentTicks::Unknown;
        };
        let limit = limit.min(TICKS_MAX);
        let mut found: VecDeque<(u64, Header)> = VecDeque::new();
        let (mut link, mut oldest_seq) = (last.link, last.seq + 1);
        for _ in 0..STEPS_MAX {
            if oldest_seq <= after_seq.saturating_add(1) {
                break;
            }
            let Some(header) = self.header(link) else { break };
            oldest_seq = header.seq;
            found.push_back((link, header));
            if found.len() > limit {
                found.pop_front();
            }
            link = header.before;
        }
        if oldest_seq > after_seq.saturating_add(1) || after_seq > last.seq {
            return RecentTicks::Gone { epoch, oldest_seq };
        }
        RecentTicks::Ticks(found.iter().rev().map(|(link, header)| self.payload(*link, header)).collect())
    }

    /// The topic's newest ticks, the oldest of them first, at most `limit`; fewer where the others have left the log.
    pub(crate) fn newest(&self, topic: TopicId, limit: usize) -> RecentTicks {
        let Some(last) = self.topics.get(topic.0 as usize).filter(|last| last.link > 0) else {
            return RecentTicks::Unknown;
        };
        let (mut link, mut found) = (last.link, Vec::new());
        while found.len() < limit.min(TICKS_MAX) {
            let Some(header) = self.header(link) else { break };
            found.push(self.payload(link, &header));
            link = header.before;
        }
        found.reverse();
        RecentTicks::Ticks(found)
    }

    /// The answer to whoever asks by another epoch's numbers.
    pub(crate) fn gone(&self, topic: TopicId, epoch: u64) -> RecentTicks {
        match self.after(topic, 0, 0, epoch) {
            RecentTicks::Ticks(_) => RecentTicks::Gone { epoch, oldest_seq: 1 },
            gone => gone,
        }
    }

    /// The record behind a link, while it is there.
    fn header(&self, link: u64) -> Option<Header> {
        let place = link.checked_sub(1)?;
        if self.written - place > self.ring.len() as u64 {
            return None;
        }
        let number = |at: u64| {
            let mut bytes = [0; 8];
            self.read(at, &mut bytes);
            u64::from_le_bytes(bytes)
        };
        let mut length = [0; 4];
        self.read(place + 16, &mut length);
        Some(Header { before: number(place), seq: number(place + 8), length: u32::from_le_bytes(length) as usize })
    }

    fn payload(&self, link: u64, header: &Header) -> Vec<u8> {
        let mut payload = vec![0; header.length];
        self.read(link - 1 + HEADER_BYTES as u64, &mut payload);
        payload
    }

    fn at(&self, place: u64) -> usize {
        (place % self.ring.len() as u64) as usize
    }

    fn write(&mut self, bytes: &[u8]) {
        let at = self.at(self.written);
        let (until_end, rest) = bytes.split_at(bytes.len().min(self.ring.len() - at));
        self.ring[at..][..until_end.len()].copy_from_slice(until_end);
        self.ring[..rest.len()].copy_from_slice(rest);
        self.written += bytes.len() as u64;
    }

    fn read(&self, place: u64, bytes: &mut [u8]) {
        let at = self.at(place);
        let cut = bytes.len().min(self.ring.len() - at);
        let (until_end, rest) = bytes.split_at_mut(cut);
        until_end.copy_from_slice(&self.ring[at..][..cut]);
        rest.copy_from_slice(&self.ring[..rest.len()]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EPOCH: u64 = 77;

    fn recent(bytes: usize, topics: u32) -> Recent {
        let mut recent = Recent::new(bytes);
        recent.expect(TopicId(topics - 1));
        recent
    }

    fn gone(oldest_seq: u64) -> RecentTicks {
        RecentTicks::Gone { epoch: EPOCH, oldest_seq }
    }

    fn ticks(payloads: &[&[u8]]) -> RecentTicks {
        RecentTicks::Ticks(payloads.iter().map(|p| p.to_vec()).collect())
    }

    #[test]
    fn what_comes_after_a_number_is_given_oldest_first_and_up_to_the_limit() {
        let mut log = recent(1000, 2);
        for seq in 1..=5 {
            log.append(TopicId(0), seq, &[seq as u8; 3]);
            log.append(TopicId(1), seq, b"other");
        }
        assert_eq!(log.after(TopicId(0), 3, 9, EPOCH), ticks(&[&[4; 3], &[5; 3]]));
        assert_eq!(log.after(TopicId(0), 1, 2, EPOCH), ticks(&[&[2; 3], &[3; 3]]));
        assert_eq!(log.after(TopicId(0), 5, 9, EPOCH), ticks(&[]));
        assert_eq!(log.after(TopicId(0), 6, 9, EPOCH), gone(6), "nobody has been sent that");
        assert_eq!(log.after(TopicId(7), 0, 9, EPOCH), RecentTicks::Unknown);
        assert_eq!(recent(100, 1).after(TopicId(0), 0, 9, EPOCH), RecentTicks::Unknown);
    }

    #[test]
    fn what_has_left_the_log_is_gone_and_a_number_that_begins_anew_has_no_past() {
        let mut log = recent(100, 1);
        for seq in 1..=10 {
            log.append(TopicId(0), seq, &[seq as u8; 5]);
        }
        assert_eq!(log.after(TopicId(0), 0, 9, EPOCH), gone(7));
        assert_eq!(log.after(TopicId(0), 6, 1, EPOCH), ticks(&[&[7; 5]]));
        log.append(TopicId(0), 1, b"anew");
        assert_eq!(log.after(TopicId(0), 0, 9, EPOCH), ticks(&[b"anew"]));
    }

    #[test]
    fn the_newest_are_given_oldest_first_as_far_back_as_the_log_goes() {
        let mut log = recent(100, 1);
        for seq in 1..=10 {
            log.append(TopicId(0), seq, &[seq as u8; 5]);
        }
        assert_eq!(log.newest(TopicId(0), 2), ticks(&[&[9; 5], &[10; 5]]));
        assert_eq!(log.newest(TopicId(0), 9), ticks(&[&[7; 5], &[8; 5], &[9; 5], &[10; 5]]), "the others have left");
        assert_eq!(log.newest(TopicId(7), 9), RecentTicks::Unknown);
        let mut log = recent(1 << 20, 1);
        (1..=3_000).for_each(|seq| log.append(TopicId(0), seq, b"x"));
        let RecentTicks::Ticks(found) = log.newest(TopicId(0), usize::MAX) else { panic!("they are there") };
        assert_eq!(found.len(), TICKS_MAX);
    }

    #[test]
    fn a_payload_larger_than_the_log_is_not_kept_and_no_answer_is_without_bound() {
        let mut log = recent(100, 1);
        log.append(TopicId(0), 1, &[1; 81]);
        assert_eq!(log.after(TopicId(0), 0, 9, EPOCH), RecentTicks::Unknown);
        let mut log = recent(1 << 20, 1);
        for seq in 1..=20_000 {
            log.append(TopicId(0), seq, b"x");
        }
        assert_eq!(log.after(TopicId(0), 0, 9, EPOCH), gone(20_001 - STEPS_MAX as u64));
        let RecentTicks::Ticks(found) = log.after(TopicId(0), 15_000, usize::MAX, EPOCH) else {
            panic!("they are there")
        };
        assert_eq!(found.len(), TICKS_MAX);
        assert_eq!(log.after(TopicId(0), 15_000, 0, EPOCH), ticks(&[]), "none at all were asked for");
    }

    #[test]
    fn numbers_of_another_epoch_are_answered_with_no_tick() {
        let mut log = recent(1000, 1);
        for seq in 1..=5 {
            log.append(TopicId(0), seq, b"x");
        }
        assert_eq!(log.gone(TopicId(0), EPOCH), gone(1));
        assert_eq!(log.gone(TopicId(7), EPOCH), RecentTicks::Unknown);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_list(
            bytes in 64..2_000usize,
            steps in proptest::collection::vec((0..4u32, 0..120usize), 1..200),
            after in 0..60u64,
        ) {
            let mut log = recent(bytes, 4);
            let mut list: Vec<(u32, u64, Vec<u8>)> = Vec::new();
            for (n, (topic, length)) in steps.into_iter().enumerate() {
                let seq = list.iter().filter(|(t, ..)| *t == topic).count() as u64 + 1;
                let payload = vec![n as u8; length];
                if HEADER_BYTES + length > bytes {
                    continue;
                }
                log.append(TopicId(topic), seq, &payload);
                list.push((topic, seq, payload));
            }
            // What fits into the ring, counted from the end.
            let mut free = bytes;
            let kept = list.iter().rev().take_while(|(.., p)| {
                let size = HEADER_BYTES + p.len();
                let fits = size <= free;
                free = free.saturating_sub(if fits { size } else { free });
                fits
            }).count();
            let kept = &list[list.len() - kept..];
            for topic in 0..4 {
                let last = list.iter().filter(|(t, ..)| *t == topic).map(|(_, seq, _)| *seq).max();
                let oldest = kept.iter().filter(|(t, ..)| *t == topic).map(|(_, seq, _)| *seq).min();
                let found = log.after(TopicId(topic), after, 1_000, EPOCH);
                let expected = match last {
                    None => RecentTicks::Unknown,
                    Some(last) if after > last || oldest.unwrap_or(last + 1) > after + 1 => gone(oldest.unwrap_or(last + 1).max(if after > last { last + 1 } else { 0 })),
                    Some(_) => {
                        let own = kept.iter().filter(|(t, seq, _)| *t == topic && *seq > after);
                        RecentTicks::Ticks(own.map(|(.., p)| p.clone()).collect())
                    }
                };
                prop_assert_eq!(found, expected);
            }
        }
    }
}
