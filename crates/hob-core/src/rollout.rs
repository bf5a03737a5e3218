//! How an app moves to a revision and back, as pure decisions.
//!
//! **Why.** A revision is the whole app, so a switch has to be decided as a whole too: the number,
//! the way back, and which old revisions go. The node carries a [`Plan`] out in one transaction.
//!
//! **How.** An app's [`Record`] holds the current revision and the `path` that led to it. Deploying
//! puts the current revision on the path and goes to a new number. Rolling back goes to the end of
//! the path and takes it off, so that rolling back twice goes further back. Rolling back to a chosen
//! revision cuts the path there if it lies on it, and otherwise is a step forward on the path.
//!
//! ```text
//! deploy 1, 2, 3     path 1 2   current 3
//! rollback           path 1     current 2
//! deploy             path 1 2   current 4      (3 is kept, but no longer on the way back)
//! rollback to 3      path 1 2 4 current 3
//! rollback to 1      path       current 1
//! ```
//!
//! **Invariants**, exercised in `tests`:
//! 1. A number is never used twice as long as the app exists.
//! 2. The current revision and the one that a rollback goes to are always kept.
//! 3. At most [`REVISIONS_KEPT_MAX`] revisions are kept, and besides those that somebody has pinned.
//!
//! **Not here:** routes, artifacts and instances, which can all refuse a deploy before its plan is
//! carried out.

use crate::code::Code;
use crate::digest::Digest;
use crate::fault::{Fault, Result};
use crate::limit::REVISIONS_KEPT_MAX;
use crate::name::{AppName, RevisionNumber};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is stored about an app besides its revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The revision that takes new requests.
    pub current: RevisionNumber,
    /// The number of the next deploy.
    pub next_number: RevisionNumber,
    /// The kept revisions that led to the current one, the nearest last.
    pub path: Vec<RevisionNumber>,
    /// Revisions that are kept whatever else is, because something names them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pinned: BTreeSet<RevisionNumber>,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A revision with this content.
    Deploy(Digest),
    /// The revision before the current one, or a chosen one.
    Rollback(Option<RevisionNumber>),
    /// No app of that name any more.
    Remove,
}

/// What has to happen for it, all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: this revision is current and is what was asked for.
    Unchanged(RevisionNumber),
    /// The app moves to `record.current`.
    Switch {
        /// The app's next record.
        record: Record,
        /// The revision that was current until now.
        previous: Option<RevisionNumber>,
        /// Whether `record.current` is a new revision (else it is a kept one).
        new: bool,
        /// Revisions that are kept no longer, in order.
        drop: Vec<RevisionNumber>,
    },
    /// The record and all these revisions go.
    Remove(Vec<RevisionNumber>),
}

/// Decides what a request means for an app in the given state: its record, if it exists, and the
/// content of its kept revisions.
///
/// # Errors
/// `HOB-0351` when the app does not exist and the request needs it, `HOB-0352` when the chosen
/// revision is not kept, `HOB-0355` when there is nothing before the current revision.
pub fn plan(
    app: &AppName,
    record: Option<&Record>,
    kept: &BTreeMap<RevisionNumber, Digest>,
    request: Request,
) -> Result<Plan> {
    if let Some(record) = record {
        assert!(kept.contains_key(&record.current), "the current revision is always kept");
        assert!(kept.keys().all(|number| *number < record.next_number), "numbers are never used twice");
    }
    match request {
        Request::Deploy(digest) => Ok(deploy(record, kept, digest)),
        Request::Rollback(to) => rollback(app, existing(app, record)?, kept, to),
        Request::Remove => existing(app, record).map(|_| Plan::Remove(kept.keys().copied().collect())),
    }
}

fn deploy(record: Option<&Record>, kept: &BTreeMap<RevisionNumber, Digest>, digest: Digest) -> Plan {
    let Some(record) = record else {
        let record = Record {
            current: RevisionNumber(1),
            next_number: RevisionNumber(2),
            path: Vec::new(),
            pinned: BTreeSet::new(),
        };
        return Plan::Switch { record, previous: None, new: true, drop: Vec::new() };
    };
    if kept.get(&record.current) == Some(&digest) {
        return Plan::Unchanged(record.current);
    }
    // The oldest go first. The current one stays: it is where the next rollback leads.
    let free = kept.keys().copied().filter(|number| !record.pinned.contains(number));
    let surplus = (free.clone().count() + 1).saturating_sub(REVISIONS_KEPT_MAX);
    let drop: Vec<RevisionNumber> = free.filter(|number| *number != record.current).take(surplus).collect();
    let mut path = record.path.clone();
    path.push(record.current);
    path.retain(|number| !drop.contains(number));
    let number = record.next_number;
    let next = Record {
        current: number,
        next_number: RevisionNumber(number.0 + 1),
        path,
        pinned: record.pinned.clone(),
    };
    Plan::Switch { record: next, previous: Some(record.current), new: true, drop }
}

fn rollback(
    app: &AppName,
    record: &Record,
    kept: &BTreeMap<RevisionNumber, Digest>,
    to: Option<RevisionNumber>,
) -> Result<Plan> {
    let target = match to.or_else(|| record.path.last().copied()) {
        Some(target) => target,
        None => {
            let message = format!("app `{app}` has no revision before {}", record.current);
            let hint = format!("choose one of `hob show {app}` with `hob rollback {app} --to <number>`");
            return Err(Fault::new(Code::NothingToRollBack, message).hint(hint));
        }
    };
    if !kept.contains_key(&target) {
        return Err(revision_not_found(app, target, kept.keys().copied()));
    }
    if target == record.current {
        return Ok(Plan::Unchanged(target));
    }
    let mut path = record.path.clone();
    match path.iter().rposition(|number| *number == target) {
        Some(place) => path.truncate(place),
        None => path.push(record.current),
    }
    let next = Record { current: target, path, ..record.clone() };
    Ok(Plan::Switch { record: next, previous: Some(record.current), new: false, drop: Vec::new() })
}

fn existing<'a>(app: &AppName, record: Option<&'a Record>) -> Result<&'a Record> {
    record.ok_or_else(|| app_not_found(app))
}

/// The error for an app that does not exist.
pub fn app_not_found(app: &AppName) -> Fault {
    Fault::new(Code::AppNotFound, format!("there is no app `{app}`")).hint("list the apps with `hob ls`")
}

/// The error for a revision that an app does not keep.
pub fn revision_not_found(
    app: &AppName,
    number: RevisionNumber,
    kept: impl Iterator<Item = RevisionNumber>,
) -> Fault {
    let kept: Vec<String> = kept.map(|number| number.to_string()).collect();
    Fault::new(Code::RevisionNotFound, format!("app `{app}` has no revision {number}"))
        .hint(format!("these are kept: {}", kept.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{Plan, Record, Request, plan};
    use crate::digest::Digest;
    use crate::limit::REVISIONS_KEPT_MAX;
    use crate::name::{AppName, RevisionNumber};
    use std::collections::BTreeMap;

    /// Plays a story on one app and writes down where it is after each line.
    fn check(story: &[(&str, &str)]) {
        let app = AppName::new("desk").unwrap();
        let mut record: Option<Record> = None;
        let mut kept: BTreeMap<RevisionNumber, Digest> = BTreeMap::new();
        for (step, (line, expected)) in story.iter().enumerate() {
            let outcome = match plan(&app, record.as_ref(), &kept, request(line)) {
                Ok(plan) => carry_out(plan, request(line), &mut record, &mut kept),
                Err(fault) => fault.code().to_string(),
            };
            assert_eq!(&outcome, expected, "step {step}: {line}");
        }
    }

    fn request(line: &str) -> Request {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("deploy", content) => Request::Deploy(Digest::of(content.as_bytes())),
            ("rollback", to) => Request::Rollback(to.parse().ok().map(RevisionNumber)),
            _ => Request::Remove,
        }
    }

    fn carry_out(
        plan: Plan,
        request: Request,
        record: &mut Option<Record>,
        kept: &mut BTreeMap<RevisionNumber, Digest>,
    ) -> String {
        match plan {
            Plan::Unchanged(number) => return format!("unchanged {number}"),
            Plan::Remove(drop) => {
                drop.iter().for_each(|number| assert!(kept.remove(number).is_some()));
                *record = None;
                return format!("removed {}", drop.len());
            }
            Plan::Switch { record: next, previous, new, drop } => {
                assert_eq!(previous, record.as_ref().map(|record| record.current));
                assert_eq!(new, !kept.contains_key(&next.current));
                drop.iter().for_each(|number| assert!(kept.remove(number).is_some()));
                if let (true, Request::Deploy(digest)) = (new, request) {
                    kept.insert(next.current, digest);
                }
                *record = Some(next);
            }
        }
        let record = record.as_ref().expect("a switch leaves a record");
        assert!(kept.len() <= REVISIONS_KEPT_MAX, "too many revisions are kept");
        for number in record.path.iter().chain([&record.current]) {
            assert!(kept.contains_key(number), "{number} is on the path and not kept");
        }
        let path: Vec<String> = record.path.iter().map(ToString::to_string).collect();
        format!("[{}] {}", path.join(" "), record.current)
    }

    #[test]
    fn going_back_twice_goes_further_back_and_a_deploy_takes_the_next_number() {
        check(&[
            ("rollback", "HOB-0351"),
            ("remove", "HOB-0351"),
            ("deploy a", "[] 1"),
            ("rollback", "HOB-0355"),
            ("deploy b", "[1] 2"),
            ("deploy c", "[1 2] 3"),
            ("rollback", "[1] 2"),
            ("deploy d", "[1 2] 4"),
            ("rollback 3", "[1 2 4] 3"),
            ("rollback 9", "HOB-0352"),
            ("rollback 1", "[] 1"),
            ("rollback", "HOB-0355"),
            ("remove", "removed 4"),
            ("deploy a", "[] 1"),
        ]);
    }

    #[test]
    fn equal_content_is_a_new_revision_only_when_it_is_not_current() {
        check(&[
            ("deploy a", "[] 1"),
            ("deploy a", "unchanged 1"),
            ("deploy b", "[1] 2"),
            ("deploy a", "[1 2] 3"),
            ("rollback 3", "unchanged 3"),
        ]);
    }

    #[test]
    fn the_oldest_revisions_go_but_never_the_way_back() {
        let app = AppName::new("desk").unwrap();
        let full = u32::try_from(REVISIONS_KEPT_MAX).unwrap();
        let kept: BTreeMap<_, _> =
            (1..=full).map(|n| (RevisionNumber(n), Digest::of(&n.to_be_bytes()))).collect();
        for (current, path, pinned, dropped, next_path) in [
            (full, vec![1, 2, full - 1], vec![], vec![1], vec![2, full - 1, full]),
            // After a rollback to the oldest revision, that one is the way back of the next deploy.
            (1, vec![], vec![], vec![2], vec![1]),
            // What is pinned stays, and takes nobody's place.
            (full, vec![1, 2], vec![1, 3], vec![], vec![1, 2, full]),
        ] {
            let numbers = |list: Vec<u32>| list.into_iter().map(RevisionNumber).collect::<Vec<_>>();
            let record = Record {
                current: RevisionNumber(current),
                next_number: RevisionNumber(full + 1),
                path: numbers(path),
                pinned: numbers(pinned.clone()).into_iter().collect(),
            };
            let next = Record {
                current: RevisionNumber(full + 1),
                next_number: RevisionNumber(full + 2),
                path: numbers(next_path),
                pinned: record.pinned.clone(),
            };
            assert_eq!(
                plan(&app, Some(&record), &kept, Request::Deploy(Digest::of(b"new"))).unwrap(),
                Plan::Switch {
                    record: next,
                    previous: Some(RevisionNumber(current)),
                    new: true,
                    drop: numbers(dropped),
                }
            );
        }
    }
}
