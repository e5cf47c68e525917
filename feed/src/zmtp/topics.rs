//! Topics in the order of their names; for each, which subscribed prefixes it has, and its last payload.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::frame;
use super::subscriptions::Subscriptions;

/// What is kept of a topic grows by this much, so that a payload that is a little longer than any before costs no memory.
const LAST_BYTES_STEP: usize = 1024;

/// A topic of one server; dense, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u32);

#[derive(Debug)]
pub(crate) struct Topic {
    name: Arc<[u8]>,
    /// Its frame, ready to be copied before every payload.
    pub(crate) head: Box<[u8]>,
    /// The subscribed prefixes that it has.
    pub(crate) prefixes: Vec<u32>,
    /// The shape of the subscriptions that `prefixes` is of; 0 for none yet.
    shape: u64,
    /// Its last payload; empty when there was none.
    pub(crate) last: Vec<u8>,
    /// The server's number of the message that published it last.
    pub(crate) published: u64,
}

impl Topic {
    /// Keeps `payload` as the last one.
    pub(crate) fn keep(&mut self, payload: &[u8]) {
        self.last.clear();
        if self.last.capacity() < payload.len() {
            self.last.reserve_exact(payload.len().next_multiple_of(LAST_BYTES_STEP));
        }
        self.last.extend_from_slice(payload);
    }
}

/// Every topic that there ever was: as many as contracts.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    topics: Vec<Topic>,
    order: BTreeMap<Arc<[u8]>, TopicId>,
}

impl Topics {
    /// The topic of this name; made when it is new.
    pub(crate) fn id(&mut self, name: &[u8]) -> TopicId {
        if let Some(id) = self.order.get(name) {
            return *id;
        }
        let id = TopicId(u32::try_from(self.topics.len()).unwrap_or(u32::MAX));
        let name: Arc<[u8]> = Arc::from(name);
        let mut head = Vec::new();
        frame::put_part(&mut head, &name, false);
        self.order.insert(Arc::clone(&name), id);
        let (head, prefixes, last) = (head.into_boxed_slice(), Vec::new(), Vec::new());
        self.topics.push(Topic { name, head, prefixes, shape: 0, last, published: 0 });
        id
    }

    /// The topic of this name, if there is one.
    pub(crate) fn find(&self, name: &[u8]) -> Option<TopicId> {
        self.order.get(name).copied()
    }

    /// A topic; `None` for an id of another server.
    pub(crate) fn get(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(id.0 as usize)
    }

    /// A topic that knows its prefixes as they are now; `None` for an id of another server.
    pub(crate) fn matched(&mut self, id: TopicId, subscriptions: &Subscriptions) -> Option<&mut Topic> {
        let topic = self.topics.get_mut(id.0 as usize)?;
        if topic.shape != subscriptions.shape() {
            subscriptions.matching(&topic.name, &mut topic.prefixes);
            topic.shape = subscriptions.shape();
        }
        Some(topic)
    }

    /// The topics that begin with `prefix` and come behind `after`, by name.
    pub(crate) fn behind<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a Arc<[u8]>, TopicId)> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let names = self.order.range::<[u8], _>((from, Bound::Unbounded)).map(|(name, id)| (name, *id));
        names.take_while(move |(name, _)| name.starts_with(prefix))
    }

    /// Up to `reach` names on either side of where `name` is or would be.
    pub(crate) fn around(&self, name: &[u8], reach: usize) -> impl Iterator<Item = &[u8]> + use<'_> {
        let before = self.order.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(name))).rev().take(reach);
        let behind = self.order.range::<[u8], _>((Bound::Included(name), Bound::Unbounded)).take(reach);
        before.chain(behind).map(|(name, _)| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(topics: &mut Topics, id: TopicId, subscriptions: &Subscriptions) -> Vec<u32> {
        let topic = topics.matched(id, subscriptions).expect("a topic");
        topic.prefixes.iter().flat_map(|place| subscriptions.peers_of(*place)).copied().collect()
    }

    #[test]
    fn ids_are_dense_and_a_name_keeps_its_own() {
        let mut topics = Topics::default();
        assert_eq!([topics.id(b"a"), topics.id(b"b"), topics.id(b"a")], [TopicId(0), TopicId(1), TopicId(0)]);
        assert_eq!((topics.find(b"b"), topics.find(b"c")), (Some(TopicId(1)), None));
    }

    #[test]
    fn an_audience_follows_every_change_of_the_subscriptions() {
        let (mut topics, mut subscriptions) = (Topics::default(), Subscriptions::new());
        let id = topics.id(b"rb2701.SHFE");
        assert!(peers(&mut topics, id, &subscriptions).is_empty());
        for peer in [4, 5] {
            subscriptions.subscribe(peer, b"rb").expect("within limits");
        }
        assert_eq!(peers(&mut topics, id, &subscriptions), [4, 5]);
        subscriptions.cancel(4, b"rb");
        assert_eq!(peers(&mut topics, id, &subscriptions), [5]);
        assert!(subscriptions.forget(5, &mut 1));
        subscriptions.subscribe(6, b"x").expect("within limits");
        assert!(peers(&mut topics, id, &subscriptions).is_empty());
        assert_eq!(topics.get(id).map(|t| &*t.head), Some(&b"\x01\x0brb2701.SHFE"[..]));
        assert!(topics.matched(TopicId(9), &subscriptions).is_none());
    }

    #[test]
    fn topics_of_a_prefix_come_in_order_from_any_of_them_on() {
        let mut topics = Topics::default();
        for name in ["ru1", "rb2", "s", "rb1", "rb", "ra"] {
            topics.id(name.as_bytes());
        }
        let names = |prefix: &str, after: Option<&str>| -> Vec<String> {
            let found = topics.behind(prefix.as_bytes(), after.map(str::as_bytes));
            found.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
        };
        assert_eq!(names("rb", None), ["rb", "rb1", "rb2"]);
        assert_eq!(names("rb", Some("rb1")), ["rb2"]);
        assert_eq!(names("", Some("rb2")), ["ru1", "s"]);
        assert!(names("rc", None).is_empty());
        let around: Vec<&[u8]> = topics.around(b"rb15", 2).collect();
        assert_eq!(around, [&b"rb1"[..], b"rb", b"rb2", b"ru1"]);
    }

    #[test]
    fn a_payload_a_little_longer_takes_no_memory() {
        let mut topics = Topics::default();
        let id = topics.id(b"a");
        let subscriptions = Subscriptions::new();
        let topic = topics.matched(id, &subscriptions).expect("a topic");
        topic.keep(&[1; 700]);
        let before = topic.last.as_ptr();
        topic.keep(&[2; 1000]);
        assert_eq!((topic.last.as_ptr(), topic.last.as_slice()), (before, &[2; 1000][..]));
    }
}
