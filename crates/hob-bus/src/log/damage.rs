//! What is done when a segment turns out to be damaged.
//!
//! **How.** A copy of the file as it was found goes to `quarantine/`, once; the file itself stays, since
//! what is valid in it is still read. Which sequences are lost is written down in the topic's folder, so
//! that it is told after a restart too.

use super::Shared;
use super::disk::read_full;
use super::note::{DAMAGE, Found, encode_damage, replace};
use super::topic::{Topic, segment_path};
use hob_core::port::Damage;
use std::io;
use std::path::PathBuf;
use std::sync::PoisonError;

/// Sequences that are lost, first and last; `last` is less when only bytes between records are damaged.
pub(super) type Lost = (u64, u64);

/// Tells a topic that in its segment `base` these are lost. Never fails: what is found is kept in memory
/// where it cannot be written down.
pub(super) fn report(shared: &Shared, topic: &Topic, base: u64, lost: &[Lost]) {
    let _front = topic.front.lock().unwrap_or_else(PoisonError::into_inner);
    let mut list = topic.state().damage.clone();
    if add(shared, topic, &mut list, base, lost) {
        topic.state().damage = list;
    }
}

/// Adds what is not yet known to a list and writes it down; returns whether there was anything.
pub(super) fn add(shared: &Shared, topic: &Topic, list: &mut Vec<Found>, base: u64, lost: &[Lost]) -> bool {
    let known = |list: &[Found], (first, last): Lost| {
        list.iter().any(|(of, damage)| *of == base && damage.first <= first && damage.last >= last)
    };
    let new: Vec<Lost> = lost.iter().copied().filter(|lost| !known(list, *lost)).collect();
    if new.is_empty() {
        return false;
    }
    let before = list.iter().find(|(of, _)| *of == base).map(|(_, damage)| damage.file.clone());
    let file = before.unwrap_or_else(|| quarantine(shared, topic, base));
    for (first, last) in new {
        // What was found when reading began in the middle is part of what is found now.
        list.retain(|(of, damage)| *of != base || damage.first < first || damage.last > last);
        list.push((base, Damage { first, last, file: file.clone() }));
    }
    list.sort_by_key(|(of, damage)| (*of, damage.first));
    // A full disk is no reason to keep quiet: it is told from memory until the node is restarted, and
    // then found again.
    let _ = replace(&*shared.disk, &topic.folder, DAMAGE, &encode_damage(list));
    true
}

/// Copies a segment; returns where the copy is, or the original where there is none or none can be made.
fn quarantine(shared: &Shared, topic: &Topic, base: u64) -> PathBuf {
    let original = segment_path(&topic.folder, base);
    let copy = shared.quarantine.join(format!("{}-{base:020}-{}.log", topic.name, (shared.clock)()));
    match copy_file(shared, &original, &copy) {
        Ok(()) => copy,
        Err(_) => {
            let _ = shared.disk.remove(&copy);
            original
        }
    }
}

fn copy_file(shared: &Shared, from: &std::path::Path, to: &std::path::Path) -> io::Result<()> {
    let from = shared.disk.open(from, false)?;
    shared.disk.make_folder(&shared.quarantine)?;
    let to = shared.disk.open(to, true)?;
    let (mut buffer, mut at) = (vec![0; 1 << 20], 0);
    loop {
        let length = read_full(&*from, &mut buffer, at)?;
        if length == 0 {
            break;
        }
        to.write_at(&buffer[..length], at)?;
        at += length as u64;
    }
    to.sync()?;
    shared.disk.sync_folder(&shared.quarantine)
}
