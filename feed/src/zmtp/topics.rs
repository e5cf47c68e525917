//! Topics, and for each the peers that want it, found anew only after subscriptions have changed.

use std::collections::HashMap;
use std::sync::Arc;

use super::frame;
use super::subscriptions::Subscriptions;

/// A topic of one server; dense, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u32);

#[derive(Debug)]
struct Topic {
    name: Arc<[u8]>,
    /// Its frame, ready to be copied before every payload.
    head: Box<[u8]>,
    peers: Vec<u32>,
    /// The generation of the subscriptions that `peers` is of; 0 for none yet.
    generation: u64,
}

/// Every topic that there ever was: as many as contracts.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    topics: Vec<Topic>,
    ids: HashMap<Arc<[u8]>, TopicId>,
}

impl Topics {
    /// The topic of this name; made when it is new.
    pub(crate) fn id(&mut self, name: &[u8]) -> TopicId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = TopicId(u32::try_from(self.topics.len()).unwrap_or(u32::MAX));
        let name: Arc<[u8]> = Arc::from(name);
        let mut head = Vec::new();
        frame::put_part(&mut head, &name, false);
        self.ids.insert(Arc::clone(&name), id);
        self.topics.push(Topic { name, head: head.into_boxed_slice(), peers: Vec::new(), generation: 0 });
        id
    }

    /// A topic's frame, and the peers that want it; `None` for an id of another server.
    pub(crate) fn audience(&mut self, id: TopicId, subscriptions: &Subscriptions) -> Option<(&[u8], &[u32])> {
        let topic = self.topics.get_mut(id.0 as usize)?;
        if topic.generation != subscriptions.generation() {
            subscriptions.matching(&topic.name, &mut topic.peers);
            topic.generation = subscriptions.generation();
        }
        Some((&topic.head, &topic.peers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dense_and_a_name_keeps_its_own() {
        let mut topics = Topics::default();
        assert_eq!([topics.id(b"a"), topics.id(b"b"), topics.id(b"a")], [TopicId(0), TopicId(1), TopicId(0)]);
    }

    #[test]
    fn an_audience_follows_every_change_of_the_subscriptions() {
        let (mut topics, mut subscriptions) = (Topics::default(), Subscriptions::new());
        let id = topics.id(b"rb2701.SHFE");
        assert_eq!(topics.audience(id, &subscriptions), Some((&b"\x01\x0brb2701.SHFE"[..], &[][..])));
        subscriptions.subscribe(4, b"rb").expect("within limits");
        assert_eq!(topics.audience(id, &subscriptions).map(|a| a.1), Some(&[4][..]));
        subscriptions.cancel(4, b"rb");
        assert_eq!(topics.audience(id, &subscriptions).map(|a| a.1), Some(&[][..]));
        assert_eq!(topics.audience(TopicId(9), &subscriptions), None);
    }
}
