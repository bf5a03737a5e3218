//! How many bytes each app keeps on disk: the artifacts of its kept revisions, and topics.

use crate::bus::Bus;
use crate::live::{Live, LiveApp};
use hob_core::digest::Digest;
use hob_core::fault::Result;
use hob_core::name::{AppName, TopicName};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Bytes by app; `None`: those of topics that no app has.
///
/// # Errors
/// `HOB-06xx` when the log cannot be asked.
pub(super) async fn bytes(live: &Live, bus: &Bus) -> Result<BTreeMap<Option<AppName>, u64>> {
    let table = Arc::clone(&live.load());
    let mut apps: Vec<&Arc<LiveApp>> = table.apps().values().collect();
    apps.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut bytes: BTreeMap<Option<AppName>, u64> =
        apps.iter().map(|app| (Some(app.name.clone()), artifacts(app))).collect();
    let owners = owners(&apps);
    for (topic, state) in bus.log().topics().await? {
        let owner = owners.get(&topic).map(|app| (*app).clone());
        *bytes.entry(owner).or_default() += state.bytes;
    }
    bytes.retain(|_, bytes| *bytes > 0);
    Ok(bytes)
}

/// Each artifact counts once for an app, however many revisions and functions need it.
fn artifacts(app: &LiveApp) -> u64 {
    let files = app.kept.values().flat_map(|revision| revision.spec.functions.values());
    let files: HashMap<Digest, u64> =
        files.flat_map(|function| function.package.values()).map(|file| (file.digest, file.size)).collect();
    files.values().sum()
}

/// Whose each topic is: the app that says what it keeps, or whose dead letters are in it, or the one for
/// which the node made it. Of several the first by name.
fn owners<'a>(apps: &[&'a Arc<LiveApp>]) -> HashMap<TopicName, &'a AppName> {
    let mut owners = HashMap::new();
    for app in apps {
        let triggers = &app.current.spec.triggers;
        let letters = triggers.deliveries().map(|delivery| delivery.dead_letter.clone());
        let own = ["schedules", "calls", "results"].map(|kind| TopicName::own(kind, &app.name));
        let own_letters = own.clone().map(|topic| topic.dead());
        for topic in triggers.topics.keys().cloned().chain(letters).chain(own).chain(own_letters) {
            owners.entry(topic).or_insert(&app.name);
        }
    }
    owners
}
