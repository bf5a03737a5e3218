//! One of a thing for each space of a node, for the entrances that all spaces share.
//!
//! **Why.** Gateway, dashboard and Lambda API are one listener each, and have to find out whose a request is. What they find
//! is one space's object, which leads nowhere else.
//!
//! **How.** Read without a lock; spaces come and go by a new map.

use arc_swap::ArcSwap;
use hob_core::name::SpaceName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What each space has one of.
pub(crate) struct PerSpace<T> {
    default: Arc<T>,
    named: ArcSwap<BTreeMap<SpaceName, Arc<T>>>,
}

impl<T> PerSpace<T> {
    /// That of `default`.
    pub(crate) fn new(default: Arc<T>) -> Arc<Self> {
        Arc::new(Self { default, named: ArcSwap::default() })
    }

    /// From now on this is the one of a space; `None`: it has none any more.
    pub(crate) fn show(&self, space: &SpaceName, one: Option<Arc<T>>) {
        self.named.rcu(|named| {
            let mut named = BTreeMap::clone(named);
            match &one {
                Some(one) => drop(named.insert(space.clone(), Arc::clone(one))),
                None => drop(named.remove(space)),
            }
            named
        });
    }

    /// That of `default`.
    pub(crate) fn default(&self) -> &Arc<T> {
        &self.default
    }

    /// Whether there is no space but `default`.
    pub(crate) fn is_alone(&self) -> bool {
        self.named.load().is_empty()
    }

    /// That of a space beside `default`.
    pub(crate) fn named(&self, space: &str) -> Option<Arc<T>> {
        self.named.load().get(space).cloned()
    }

    /// The first that is meant; that of `default` when none is.
    pub(crate) fn meant(&self, is_meant: impl Fn(&T) -> bool) -> Arc<T> {
        let named = self.named.load();
        Arc::clone(named.values().find(|one| is_meant(one)).unwrap_or(&self.default))
    }
}
