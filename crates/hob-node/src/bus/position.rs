//! Where subscriptions and schedules are stored: keys and values of the control state.
//!
//! ```text
//! subscriptions/<app>/<name>/<topic>     a subscription::Snapshot
//! schedules/<app>/<name>                 [`Runs`]
//! dead-letters/<topic>                   which letters are dealt with
//! ```
//!
//! The topic is part of a subscription's key: when a revision gives the same name another topic, both
//! positions are kept as long as both revisions are.

use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, TopicName, TriggerName};
use hob_core::port::{Entry, Expect, State, Write};
use hob_core::schedule;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One subscription or schedule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// The app.
    pub(crate) app: AppName,
    /// Its name there.
    pub(crate) name: TriggerName,
}

impl Key {
    pub(crate) fn new(app: &AppName, name: &TriggerName) -> Self {
        Self { app: app.clone(), name: name.clone() }
    }

    /// Where its position in a topic is stored.
    pub(crate) fn position(&self, topic: &TopicName) -> String {
        format!("{}{}/{topic}", positions(&self.app), self.name)
    }

    /// Where the runs of a schedule are stored.
    pub(crate) fn schedule(&self) -> String {
        format!("{}{}", schedules(&self.app), self.name)
    }
}

/// What is stored of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Runs {
    /// What was decided.
    pub(crate) state: schedule::State,
    /// Runs so far, and when the last one began.
    pub(crate) fired: u64,
    pub(crate) fired_ms: Option<u64>,
    /// Runs left out so far, why the last one was, and when it was due.
    pub(crate) skipped: u64,
    pub(crate) last_skipped: Option<(schedule::Reason, u64)>,
}

impl Runs {
    /// Of a schedule that is created now.
    pub(crate) fn new(now_ms: u64) -> Self {
        let state = schedule::State::new(now_ms);
        Self { state, fired: 0, fired_ms: None, skipped: 0, last_skipped: None }
    }
}

/// What the keys of an app's positions begin with.
pub(crate) fn positions(app: &AppName) -> String {
    format!("subscriptions/{app}/")
}

/// What the keys of an app's schedules begin with.
pub(crate) fn schedules(app: &AppName) -> String {
    format!("schedules/{app}/")
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.name)
    }
}

/// Where it is stored which letters of a topic are dealt with.
pub(super) fn letters(topic: &TopicName) -> String {
    format!("dead-letters/{topic}")
}

/// A value with the version of its entry; `None`: there is none.
///
/// # Errors
/// `HOB-0602` for a value that cannot be understood, and those of the store.
pub(crate) async fn load<T: DeserializeOwned>(state: &dyn State, key: &str) -> Result<Option<(T, u64)>> {
    let Some(Entry { version, value }) = state.get(key).await? else { return Ok(None) };
    read(key, &value).map(|value| Some((value, version)))
}

/// A stored value.
///
/// # Errors
/// `HOB-0602` for one that cannot be understood.
pub(crate) fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T> {
    serde_json::from_slice(value).map_err(|error| {
        Fault::new(Code::StoreCorrupt, format!("the record `{key}` cannot be understood"))
            .hint("start the version of Hob that wrote it, or restore the data folder from a backup")
            .detail(error)
    })
}

/// The write of a value over the version that is known; `None`: it must not be there yet.
pub(crate) fn write(key: String, value: &impl Serialize, version: Option<u64>) -> Result<Write> {
    let value = serde_json::to_vec(value).map_err(Fault::internal)?;
    let expect = version.map_or(Expect::Absent, Expect::Version);
    Ok(Write { key, expect, value: Some(value) })
}
