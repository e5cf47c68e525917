//! Which account has which bit in the route table. An account keeps its slot while it is enabled or still delivers.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_spec::account::AccountId;
use mdhub_spec::plane::{SOURCES_MAX, SourceSlot};

/// The accounts' slots.
#[derive(Debug, Default)]
pub(crate) struct Slots(BTreeMap<AccountId, SourceSlot>);

impl Slots {
    /// Gives every account of `wanted` a slot, as long as there are any; takes the slots of those that are neither wanted
    /// nor `busy` (with a process or an unread pipe).
    pub(crate) fn assign(&mut self, wanted: &BTreeSet<AccountId>, busy: &BTreeSet<AccountId>) {
        self.0.retain(|id, _| wanted.contains(id) || busy.contains(id));
        for id in wanted {
            if !self.0.contains_key(id)
                && let Some(free) = self.free()
            {
                self.0.insert(id.clone(), free);
            }
        }
    }

    /// The account's slot; `None` when all [`SOURCES_MAX`] were taken.
    pub(crate) fn get(&self, id: &AccountId) -> Option<SourceSlot> {
        self.0.get(id).copied()
    }

    /// All that are taken.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&AccountId, SourceSlot)> {
        self.0.iter().map(|(id, slot)| (id, *slot))
    }

    fn free(&self) -> Option<SourceSlot> {
        let taken: BTreeSet<SourceSlot> = self.0.values().copied().collect();
        (0..SOURCES_MAX).filter_map(|i| SourceSlot::new(u8::try_from(i).ok()?)).find(|slot| !taken.contains(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: impl IntoIterator<Item = String>) -> BTreeSet<AccountId> {
        names.into_iter().map(|n| n.parse().expect("a slug")).collect()
    }

    #[test]
    fn a_slot_stays_while_its_account_is_wanted_or_busy_and_is_then_used_again() {
        let (a, b) = (ids(["a".into()]), ids(["b".into()]));
        let mut slots = Slots::default();
        slots.assign(&a, &BTreeSet::new());
        let first = slots.get(&"a".parse().expect("a slug"));
        slots.assign(&b, &a);
        assert_eq!(slots.get(&"a".parse().expect("a slug")), first);
        assert_ne!(slots.get(&"b".parse().expect("a slug")), first);
        slots.assign(&b, &BTreeSet::new());
        slots.assign(&ids(["b".into(), "c".into()]), &BTreeSet::new());
        assert_eq!(slots.get(&"c".parse().expect("a slug")), first);
    }

    #[test]
    fn the_sixty_fifth_account_has_none() {
        let mut slots = Slots::default();
        let all = ids((0..=SOURCES_MAX).map(|i| format!("a{i:02}")));
        slots.assign(&all, &BTreeSet::new());
        assert_eq!(all.iter().filter(|id| slots.get(id).is_none()).count(), 1);
    }
}
