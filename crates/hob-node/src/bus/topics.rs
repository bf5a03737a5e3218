//! What topics keep: the settings that apps ask for, and who still waits for which events.

use super::position::Key;
use crate::sync::lock;
use hob_core::fault::Result;
use hob_core::limit::{ASYNC_RESULT_KEPT, ASYNC_RESULTS_MAX, DEDUP_WINDOW_CEILING};
use hob_core::name::TopicName;
use hob_core::port::{Log, TopicSettings};
use hob_core::spec::AppSpec;
use hob_core::trigger::TopicSpec;
use hob_core::unit::millis;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;

/// What is known of all topics of a node.
#[derive(Default)]
pub(super) struct Topics {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// What apps say, joined.
    specs: BTreeMap<TopicName, TopicSpec>,
    /// Topics that hold what was given up.
    letters: HashSet<TopicName>,
    /// Topics whose settings the log has.
    told: HashSet<TopicName>,
    /// Before which sequence each subscription has settled everything.
    cursors: HashMap<TopicName, HashMap<Key, u64>>,
    /// Whether every subscription is in `cursors`.
    complete: bool,
}

impl Topics {
    /// Tells the log the settings of a topic before its first record; false when it has them.
    pub(super) async fn prepare(&self, log: &dyn Log, topic: &TopicName) -> Result<bool> {
        let settings = {
            let known = lock(&self.known);
            if known.told.contains(topic) {
                return Ok(false);
            }
            known.settings(topic)
        };
        log.configure(topic, settings).await?;
        Ok(lock(&self.known).told.insert(topic.clone()))
    }

    /// Whether something was published in it since the start.
    pub(super) fn is_known(&self, topic: &TopicName) -> bool {
        lock(&self.known).told.contains(topic)
    }

    pub(super) fn settings(&self, topic: &TopicName) -> TopicSettings {
        lock(&self.known).settings(topic)
    }

    /// Takes over what all apps say, and tells the log what has changed.
    pub(super) async fn configure<'a>(
        &self,
        log: &dyn Log,
        specs: impl Iterator<Item = &'a AppSpec>,
    ) -> Result<()> {
        let mut joined: BTreeMap<TopicName, TopicSpec> = BTreeMap::new();
        let mut letters = HashSet::new();
        for spec in specs {
            for (topic, spec) in &spec.triggers.topics {
                joined.entry(topic.clone()).and_modify(|known| *known = known.joined(*spec)).or_insert(*spec);
            }
            letters.extend(spec.triggers.deliveries().map(|delivery| delivery.dead_letter.clone()));
        }
        let changed: Vec<(TopicName, TopicSettings)> = {
            let mut known = lock(&self.known);
            let before = std::mem::replace(&mut known.specs, joined);
            known.letters.extend(letters);
            let topics: HashSet<&TopicName> = before.keys().chain(known.specs.keys()).collect();
            let changed = topics
                .into_iter()
                .filter(|topic| before.get(*topic) != known.specs.get(*topic) && known.told.contains(*topic));
            changed.map(|topic| (topic.clone(), known.settings(topic))).collect()
        };
        for (topic, settings) in changed {
            log.configure(&topic, settings).await?;
        }
        Ok(())
    }

    /// Remembers how far a subscription is; returns what the log may be told.
    pub(super) fn settled(&self, topic: &TopicName, who: &Key, sequence: Option<u64>) -> Option<u64> {
        let mut known = lock(&self.known);
        match sequence {
            Some(sequence) => {
                known.cursors.entry(topic.clone()).or_default().insert(who.clone(), sequence);
            }
            None => {
                if let Some(cursors) = known.cursors.get_mut(topic) {
                    cursors.remove(who);
                }
            }
        }
        known.settled(topic)
    }

    pub(super) fn settled_now(&self, topic: &TopicName) -> Option<u64> {
        lock(&self.known).settled(topic)
    }

    pub(super) fn everybody_is_known(&self) {
        lock(&self.known).complete = true;
    }
}

impl Known {
    fn settings(&self, topic: &TopicName) -> TopicSettings {
        self.specs.get(topic).copied().unwrap_or_else(|| default_of(topic)).into()
    }

    /// Before which sequence nobody waits; `None` while that is not known.
    fn settled(&self, topic: &TopicName) -> Option<u64> {
        if !self.complete {
            return None;
        }
        let cursors = self.cursors.get(topic).into_iter().flat_map(HashMap::values);
        // Dead letters wait for people, and are trimmed when these have dealt with them.
        let dead = self.letters.contains(topic) || topic.as_str().ends_with(".dead");
        let letters = dead.then_some(0);
        Some(cursors.copied().chain(letters).min().unwrap_or(u64::MAX))
    }
}

/// What a topic keeps of which no app says anything.
fn default_of(topic: &TopicName) -> TopicSpec {
    let default = TopicSpec::default();
    match topic.as_str().split('.').collect::<Vec<_>>()[..] {
        // A result can be found as long as both the call and the result are there.
        ["hob", "calls" | "results", _] => TopicSpec {
            age_ms: millis(ASYNC_RESULT_KEPT),
            events: Some(ASYNC_RESULTS_MAX as u64),
            dedup_ms: millis(DEDUP_WINDOW_CEILING),
            ..default
        },
        // A run is published once, and a call has one result, however often the node is killed around it.
        ["hob", "schedules", _] => TopicSpec { dedup_ms: millis(DEDUP_WINDOW_CEILING), ..default },
        _ => default,
    }
}
