//! A table that is copied at each change, at a price that hardly grows with it.
//!
//! **Why.** Calls read the live table without a lock, so a change makes a new one. Copied as a whole, ten
//! thousand deploys would copy ten thousand apps ten thousand times.
//!
//! **How.** The entries are spread over a fixed number of parts by the hash of their key. A change shares all parts but
//! one with the table before it. In a part the entries are in the order of their hashes, which stand beside
//! them: a look-up touches no key but the one that it finds.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Parts of a table: a change costs as many pointers, and the entries of one of them.
const PARTS: usize = 256;

/// What has a key.
pub(super) trait Keyed {
    /// The key; no two entries of a table have the same.
    fn key(&self) -> &str;
}

/// Entries whose hashes have the same remainder, with these hashes.
type Part<T> = Arc<Vec<(u64, T)>>;

/// The entries. A clone shares all of them.
#[derive(Clone)]
pub(super) struct Spread<T> {
    hasher: RandomState,
    /// `None`: there is no entry at all.
    parts: Option<Arc<[Part<T>]>>,
    count: usize,
}

impl<T> Default for Spread<T> {
    fn default() -> Self {
        Self { hasher: RandomState::new(), parts: None, count: 0 }
    }
}

impl<T: Keyed + Clone> Spread<T> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The entry with this key.
    pub(super) fn get(&self, key: &str) -> Option<&T> {
        let parts = self.parts.as_ref()?;
        let hash = self.hasher.hash_one(key);
        let part = &parts[place(hash)];
        let from = part.partition_point(|(other, _)| *other < hash);
        let same = part[from..].iter().take_while(|(other, _)| *other == hash);
        same.map(|(_, entry)| entry).find(|entry| entry.key() == key)
    }

    /// All entries, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().flat_map(|parts| parts.iter()).flat_map(|part| part.iter()).map(|(_, entry)| entry)
    }

    /// The table with this entry, in place of the one with the same key.
    pub(super) fn with(&self, entry: T) -> Self {
        let hash = self.hasher.hash_one(entry.key());
        self.changed(hash, |part| {
            part.retain(|(_, other)| other.key() != entry.key());
            let at = part.partition_point(|(other, _)| *other < hash);
            part.insert(at, (hash, entry));
        })
    }

    /// The table without the entry that has this key.
    pub(super) fn without(&self, key: &str) -> Self {
        self.changed(self.hasher.hash_one(key), |part| part.retain(|(_, entry)| entry.key() != key))
    }

    fn changed(&self, hash: u64, change: impl FnOnce(&mut Vec<(u64, T)>)) -> Self {
        let mut parts: Vec<Part<T>> = match &self.parts {
            Some(parts) => parts.to_vec(),
            None => vec![Arc::default(); PARTS],
        };
        let part = &mut parts[place(hash)];
        let mut fresh = Vec::clone(part);
        change(&mut fresh);
        let count = self.count + fresh.len() - part.len();
        *part = Arc::new(fresh);
        Self { hasher: self.hasher.clone(), parts: Some(parts.into()), count }
    }

    /// The table of all these entries; of several with the same key, the last one.
    pub(super) fn of(entries: impl Iterator<Item = T>) -> Self {
        let hasher = RandomState::new();
        let mut parts: Vec<Vec<(u64, T)>> = vec![Vec::new(); PARTS];
        for entry in entries {
            let hash = hasher.hash_one(entry.key());
            let part = &mut parts[place(hash)];
            part.retain(|(_, other)| other.key() != entry.key());
            part.push((hash, entry));
        }
        let count = parts.iter().map(Vec::len).sum();
        let parts = parts.into_iter().map(|mut part| {
            part.sort_unstable_by_key(|(hash, _)| *hash);
            Arc::new(part)
        });
        Self { hasher, parts: (count > 0).then(|| parts.collect()), count }
    }

    /// Parts that are not the same as in another table.
    #[cfg(test)]
    pub(super) fn parts_unlike(&self, other: &Self) -> usize {
        let (Some(own), Some(other)) = (&self.parts, &other.parts) else { return PARTS };
        own.iter().zip(other.iter()).filter(|(one, other)| !Arc::ptr_eq(one, other)).count()
    }
}

/// The part in which a hash belongs.
fn place(hash: u64) -> usize {
    usize::try_from(hash % PARTS as u64).expect("a remainder is below the number of parts")
}

#[cfg(test)]
mod tests {
    use super::{Keyed, Spread};
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, PartialEq)]
    struct Entry(String, u32);

    impl Keyed for Entry {
        fn key(&self) -> &str {
            &self.0
        }
    }

    #[test]
    fn it_holds_what_a_plain_map_holds_and_a_change_copies_one_part() {
        let mut random = hob_core::random::Random(7);
        let (mut plain, mut spread) = (BTreeMap::new(), Spread::default());
        for step in 0..5000_u32 {
            let key = format!("app-{}", random.below(2000));
            let before = spread.clone();
            if random.below(4) == 0 {
                plain.remove(&key);
                spread = spread.without(&key);
            } else {
                plain.insert(key.clone(), step);
                spread = spread.with(Entry(key.clone(), step));
            }
            assert_eq!(spread.len(), plain.len());
            assert_eq!(spread.get(&key).map(|entry| entry.1), plain.get(&key).copied());
            assert!(step == 0 || spread.parts_unlike(&before) == 1);
        }
        let all: BTreeMap<String, u32> = spread.iter().cloned().map(|Entry(key, step)| (key, step)).collect();
        assert_eq!(all, plain);
        let at_once = Spread::of(spread.iter().cloned());
        for (key, step) in &plain {
            assert_eq!(at_once.get(key), Some(&Entry(key.clone(), *step)));
        }
        assert_eq!((at_once.len(), at_once.get("nobody")), (plain.len(), None));
    }
}
