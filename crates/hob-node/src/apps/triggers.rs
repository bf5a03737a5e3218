//! Where triggers begin: stored with the revision that brings them, in the same commit.
//!
//! **Why.** A subscription that begins "now" begins with the deploy that brings it: not with the moment at
//! which somebody gets round to it, when events may have passed.
//!
//! **How.** A trigger is there as long as a kept revision has it. What comes with a commit gets a first
//! position, what goes with it loses its own.

use super::Apps;
use crate::bus::position::{self, Key, positions, schedules};
use crate::clock::now_ms;
use crate::live::LiveApp;
use hob_core::fault::Result;
use hob_core::name::{AppName, TopicName};
use hob_core::port::{Expect, Write};
use hob_core::spec::AppSpec;
use hob_core::subscription::Snapshot;
use hob_core::trigger::StartAt;
use std::collections::BTreeMap;

/// What a trigger of some kept revision is.
#[derive(Clone, PartialEq, Eq)]
enum Trigger {
    /// It has a position in this topic, and begins there.
    Position(TopicName, StartAt),
    /// It has runs.
    Runs,
}

/// Every trigger of these revisions, by the key under which it is stored.
fn triggers<'a>(app: &AppName, specs: impl Iterator<Item = &'a AppSpec>) -> BTreeMap<String, Trigger> {
    let mut found = BTreeMap::new();
    for spec in specs {
        for (name, subscription) in &spec.triggers.subscriptions {
            let (topic, start) = (subscription.topic.clone(), subscription.start);
            found.insert(Key::new(app, name).position(&topic), Trigger::Position(topic, start));
        }
        for name in spec.triggers.schedules.keys() {
            let (key, topic) = (Key::new(app, name), TopicName::own("schedules", app));
            found.insert(key.position(&topic), Trigger::Position(topic, StartAt::Now));
            found.insert(key.schedule(), Trigger::Runs);
        }
    }
    found
}

/// The writes for an app that keeps these revisions from now on.
///
/// # Errors
/// Those of the log and the store.
pub(super) async fn writes<'a>(
    apps: &Apps,
    app: &AppName,
    before: Option<&LiveApp>,
    after: impl Iterator<Item = &'a AppSpec>,
) -> Result<Vec<Write>> {
    let kept = before.into_iter().flat_map(|app| app.kept.values().map(|revision| &*revision.spec));
    let (before, after) = (triggers(app, kept), triggers(app, after));
    let mut writes = Vec::new();
    for (key, trigger) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
        // Something that was there before the revisions that are kept goes on where it was.
        if apps.state.get(key).await?.is_some() {
            continue;
        }
        writes.push(match trigger {
            Trigger::Position(topic, start) => {
                let from = apps.bus.start(topic, *start).await?;
                position::write(key.clone(), &Snapshot::first(from, now_ms()), None)?
            }
            Trigger::Runs => position::write(key.clone(), &position::Runs::new(now_ms()), None)?,
        });
    }
    let gone = before.into_keys().filter(|key| !after.contains_key(key));
    writes.extend(gone.map(|key| Write { key, expect: Expect::Any, value: None }));
    Ok(writes)
}

/// The writes for an app that is removed: nothing stays of its triggers.
///
/// # Errors
/// Those of the store.
pub(super) async fn remove(apps: &Apps, app: &AppName) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    for prefix in [positions(app), schedules(app)] {
        let keys = apps.state.scan(&prefix).await?.into_iter().map(|(key, _)| key);
        writes.extend(keys.map(|key| Write { key, expect: Expect::Any, value: None }));
    }
    Ok(writes)
}

/// Empties the topics that only the removed app had.
pub(super) async fn empty_topics(apps: &Apps, app: &AppName) {
    for kind in ["schedules", "calls", "results"] {
        let topic = TopicName::own(kind, app);
        let emptied = async {
            match apps.bus.log().topic(&topic).await? {
                Some(state) => apps.bus.log().trim(&topic, state.next).await,
                None => Ok(0),
            }
        };
        if let Err(fault) = emptied.await {
            tracing::warn!(%fault, %topic, "what a removed app has left is removed at the next start");
        }
    }
}
