//! What reads the bytes of clients and uploads, for fuzzers; see [`hob_core::fuzz`].

use crate::control::query::pairs;
use crate::gateway::routing;
use crate::wire::{frames, head};
use crate::{archive, calls, dashboard, proxy};
use hob_core::fuzz::Target;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// The parsers of this crate.
pub const TARGETS: &[Target] = &[
    ("http_head", head::fuzz),
    ("http2_frames", frames::fuzz),
    ("authority", authority),
    ("zip", zip),
    ("stored_call", calls::message::fuzz),
    ("callback", calls::fuzz),
    ("proxy_credentials", proxy::fuzz),
    ("control_query", query),
    ("dashboard_form", dashboard::fuzz),
];

/// The parsers of this crate and of those below it.
pub fn all() -> impl Iterator<Item = Target> {
    let below = [hob_core::fuzz::TARGETS, hob_bus::fuzz::TARGETS, hob_runtime::fuzz::TARGETS, TARGETS];
    below.into_iter().flatten().copied()
}

fn authority(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let host: Cow<'_, str> = routing::host_name(&text);
    assert!(head::is_authority(bytes) || host.len() <= text.len());
}

/// What stands behind `?` names each thing once.
fn query(bytes: &[u8]) {
    let Ok(pairs) = pairs(&String::from_utf8_lossy(bytes)) else { return };
    let names: BTreeSet<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), pairs.len(), "a name is given twice");
}

/// Whatever an archive says, nothing appears beside the folder.
fn zip(bytes: &[u8]) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let home = std::env::temp_dir().join(format!("hob-fuzz-{}-{number}", std::process::id()));
    let (file, folder) = (home.join("f.zip"), home.join("out"));
    if std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, bytes)).is_err() {
        return;
    }
    let _ = archive::unpack(&file, &folder);
    let beside = std::fs::read_dir(&home).map_or(0, Iterator::count);
    // What stays behind is a folder of `/tmp`.
    let _ = std::fs::remove_dir_all(&home);
    assert_eq!(beside, 2, "something has appeared beside the folder");
}

hob_core::drive_targets!();
