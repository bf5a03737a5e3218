//! Which topics there are.

use super::disk::Disk;
use super::load::load;
use super::read::first_time;
use super::topic::Topic;
use super::{Shared, io_fault};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::TOPICS_MAX;
use hob_core::name::TopicName;
use hob_core::port::TopicState;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};

/// The topics that have a folder.
///
/// # Errors
/// `HOB-0601` when the folder cannot be read.
pub(super) fn list(disk: &dyn Disk, folder: &Path) -> Result<BTreeMap<TopicName, Arc<Topic>>> {
    let names = disk.list(folder).map_err(|error| io_fault("read", folder, &error))?;
    let known = names.into_iter().filter_map(|(name, _)| TopicName::new(&name).ok());
    let topic = |name: TopicName| {
        let path = folder.join(name.as_str());
        (name.clone(), Arc::new(Topic::new(name, path, true)))
    };
    Ok(known.map(topic).collect())
}

impl Shared {
    /// The topic of that name, if it was ever touched.
    pub(super) fn topic(&self, name: &TopicName) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The topic of that name, new if need be.
    ///
    /// # Errors
    /// `HOB-0804` when there are as many as there may be.
    pub(super) fn topic_or_new(&self, name: &TopicName) -> Result<Arc<Topic>> {
        if let Some(topic) = self.topic(name) {
            return Ok(topic);
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topics.len() >= TOPICS_MAX && !topics.contains_key(name) {
            let message = format!("topic `{name}` would be one more than the limit of {TOPICS_MAX}");
            return Err(Fault::new(Code::TopicFull, message).hint("publish into fewer topics"));
        }
        let new = || Arc::new(Topic::new(name.clone(), self.topics_folder.join(name.as_str()), false));
        Ok(Arc::clone(topics.entry(name.clone()).or_insert_with(new)))
    }
}

/// What is known of a topic; `None` when there is nothing of it.
pub(super) fn describe(shared: &Shared, topic: &Topic) -> Result<Option<TopicState>> {
    load(shared, topic)?;
    let (first, known) = {
        let state = topic.state();
        (state.first, state.first >= state.next || state.oldest.is_some_and(|(of, _)| of == state.first))
    };
    if !known {
        let oldest = first_time(shared, topic, first)?;
        topic.state().oldest = oldest.map(|(_, time)| (first, time));
    }
    let state = topic.state();
    if !state.exists {
        return Ok(None);
    }
    let kept = state.first < state.next;
    Ok(Some(TopicState {
        first: state.first,
        next: state.next,
        bytes: state.bytes(),
        oldest_ms: state.oldest.filter(|_| kept).map(|(_, time)| time),
        newest_ms: state.newest_ms.filter(|_| kept),
        damage: state.damage.iter().map(|(_, damage)| damage.clone()).collect(),
    }))
}
