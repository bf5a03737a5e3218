//! What may be unpacked, judged by names alone before anything is written.
//!
//! **Why.** A name that was never written can do no harm. A link is harmless too as long as nothing lies below it:
//! a file below a link would be written wherever that leads.
//!
//! **Not here:** what only the bytes tell: sizes, sums, and where links lead.

use super::{ARCHIVE_DEPTH_MAX, Entry, FOLDER, KIND, LINK, PACKAGE_FILES_MAX, PATH_BYTES_MAX, PLAIN, Why};
use std::collections::HashSet;

/// Whether an entry may be unpacked at all.
pub(super) fn check(entry: &Entry) -> Result<(), Why> {
    let name = entry.name.strip_suffix('/').unwrap_or(&entry.name);
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let strange = |c: char| c == '\\' || c.is_control();
    if !name.split('/').all(plain) || name.len() > PATH_BYTES_MAX || name.contains(strange) {
        return Err(Why::Refused(format!("holds the path `{}`", entry.name.escape_debug())));
    }
    if name.split('/').count() > ARCHIVE_DEPTH_MAX {
        let shown: String = name.chars().take(32).collect();
        return Err(Why::Refused(format!(
            "has more than {ARCHIVE_DEPTH_MAX} folders in each other: `{shown}…`"
        )));
    }
    if !matches!(entry.mode & KIND, FOLDER | LINK | PLAIN) {
        return Err(Why::Refused(format!("holds `{name}`, which is no file")));
    }
    if entry.encrypted() {
        return Err(Why::Refused(format!("holds `{name}`, which is encrypted")));
    }
    match entry.method {
        0 | 8 => Ok(()),
        other => Err(Why::Refused(format!("compresses `{name}` by method {other}; deflate (8) is known"))),
    }
}

/// Whether all entries together may be: no name twice, nothing below a file or a link, not too many folders.
pub(super) fn plan(entries: &[Entry]) -> Result<(), Why> {
    let (mut leaves, mut folders) = (HashSet::new(), HashSet::new());
    for entry in entries {
        let name = entry.name.trim_end_matches('/');
        if entry.mode & KIND == FOLDER {
            folders.insert(name);
        } else if !leaves.insert(name) {
            return Err(Why::Refused(format!("holds `{name}` twice")));
        }
        folders.extend(name.match_indices('/').map(|(end, _)| &name[..end]));
        if folders.len() > PACKAGE_FILES_MAX {
            return Err(Why::Refused(format!("has more than {PACKAGE_FILES_MAX} folders")));
        }
    }
    // Of several the same one is told each time.
    match leaves.intersection(&folders).min() {
        Some(name) => Err(Why::Refused(format!("holds `{name}` as a file or link and as a folder"))),
        None => Ok(()),
    }
}

/// Whether a link leads to a place inside by its text alone; other links on the way are followed later.
pub(super) fn stays_inside(name: &str, target: &str) -> bool {
    let mut depth = name.matches('/').count();
    let mut steps = target.split('/').filter(|step| !matches!(*step, "" | "."));
    let inside = steps.all(|step| {
        let next = if step == ".." { depth.checked_sub(1) } else { Some(depth + 1) };
        next.inspect(|next| depth = *next).is_some()
    });
    inside && !target.is_empty() && !target.starts_with('/') && !target.contains('\0')
}
