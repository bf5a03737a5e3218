//! What was done to apps, and which revision answers because of it.
//!
//! **Why.** "It does not do what I deployed" has a cause that no call shows: somebody went back, or the deploy failed
//! and the revision before goes on.

use super::cause::{plain, start};
use super::text::{count, time};
use super::tree::step;
use super::{Cause, tree};
use crate::code::Owner;
use crate::fact::{Change, Changed, Fact, Failure, What};
use crate::name::{AppName, RevisionNumber};
use crate::wire::{Story, Verdict};

/// Changes that a path shows.
const SHOWN: usize = 8;
/// A change that is this little younger than a call may have been made before it, milliseconds.
const CLOSE_MS: u64 = 1000;

/// Why a revision answers that somebody may not expect, as the changes of its app (oldest first) tell: the newest one
/// before `at_ms` was a rollback, or a deploy that failed.
pub fn surprise(changes: &[Fact], answering: RevisionNumber, at_ms: u64) -> Option<Cause> {
    let (when, changed) = newest(changes, at_ms.saturating_add(CLOSE_MS))?;
    if changed.to != Some(answering) {
        return None;
    }
    let app = &changed.app;
    match (&changed.failure, changed.change) {
        (Some(failure), Change::Deploy) => {
            let cause = of_failure(app, failure);
            let reason = format!(
                "revision {answering} of {app} goes on, since the deploy at {} failed: {}",
                time(when),
                cause.reason
            );
            Some(Cause { verdict: Verdict::Good, reason, fix: cause.fix.map(then_deploy), ..cause })
        }
        (None, Change::Rollback) => {
            let from = changed.from.map(|from| format!(" from revision {from}")).unwrap_or_default();
            let reason = format!(
                "revision {answering} of {app} answers, since it was rolled back{from} at {}",
                time(when)
            );
            let forward = match changed.from {
                Some(from) => format!("go forward again: hob rollback {app} --to {from}"),
                None => "go forward again: hob deploy".to_owned(),
            };
            Some(Cause::new(Verdict::Good, reason).fix(forward).owner(Owner::Caller))
        }
        _ => None,
    }
}

/// Why an app is not there: it was removed, or was never deployed with success. `None`: nothing is known of it.
pub fn absent(app: &AppName, changes: &[Fact]) -> Option<Cause> {
    let (when, changed) = newest(changes, u64::MAX)?;
    if let Some(failure) = changed.failure.as_ref().filter(|_| changed.change == Change::Deploy) {
        let cause = of_failure(app, failure);
        let reason =
            format!("there is no app `{app}`, since its deploy at {} failed: {}", time(when), cause.reason);
        return Some(Cause { reason, fix: cause.fix.map(then_deploy), ..cause });
    }
    (changed.change == Change::Remove && changed.failure.is_none()).then(|| {
        Cause::new(Verdict::Skipped, format!("app `{app}` was removed at {}", time(when)))
            .fix(format!("deploy it again: hob deploy, in the folder of `{app}`"))
            .owner(Owner::Caller)
    })
}

/// The newest change before a time after which another revision may answer.
fn newest(changes: &[Fact], before_ms: u64) -> Option<(u64, &Changed)> {
    let mut told = changes.iter().rev().filter(|fact| fact.time_ms <= before_ms);
    told.find_map(|fact| match &fact.what {
        What::Changed(changed) if changed.change.switches() => Some((fact.time_ms, &**changed)),
        _ => None,
    })
}

/// Why a deploy failed; of a program that did not start, what it printed.
pub(super) fn of_failure(app: &AppName, failure: &Failure) -> Cause {
    let function = failure.message.strip_prefix('`').and_then(|rest| Some(rest.split_once('`')?.0));
    match (failure.code.as_str(), function) {
        ("HOB-0307" | "HOB-0308", Some(function)) => start(function, app.as_str(), failure, &[], None),
        _ => plain(failure),
    }
}

pub(super) fn then_deploy(fix: String) -> String {
    if fix.contains("hob deploy") { fix } else { format!("{fix}; then `hob deploy`") }
}

/// What is known of an app.
#[derive(Clone, Debug, Default)]
pub struct AppEvidence<'a> {
    /// The revision that takes new requests; `None`: there is no such app.
    pub current: Option<RevisionNumber>,
    /// What was done to it, oldest first.
    pub changes: &'a [Fact],
    /// The cause of the newest failed call of one of its functions.
    pub failed: Option<Cause>,
    /// Its calls since the node started, exactly, in the current revision.
    pub calls: u64,
    /// Now, milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// How an app is; `None` when nothing is known of it.
pub fn app(app: &AppName, evidence: &AppEvidence<'_>) -> Option<Story> {
    let cause = match evidence.current {
        None => absent(app, evidence.changes)?,
        Some(current) => present(app, current, evidence),
    };
    let mut story = cause.story(format!("app {app}"));
    story.path = evidence.changes.iter().rev().take(SHOWN).rev().map(step).collect();
    if evidence.current.is_some() {
        story.next = vec![format!("hob show {app}"), format!("hob logs {app}")];
    }
    Some(story)
}

fn present(app: &AppName, current: RevisionNumber, evidence: &AppEvidence<'_>) -> Cause {
    if let Some(cause) = surprise(evidence.changes, current, evidence.now_ms) {
        return cause;
    }
    let calls = count(evidence.calls, "call");
    if let Some(failed) = &evidence.failed {
        let more = format!("; that is the newest failure of {calls} in {app} revision {current}");
        return failed.clone().and(&more);
    }
    let since = newest(evidence.changes, u64::MAX)
        .map(|(when, changed)| format!("; {} at {}", tree::change(changed).0, time(when)));
    let since = since.unwrap_or_default();
    Cause::new(
        Verdict::Good,
        format!("app `{app}` answers with revision {current}, and of {calls} none failed lately{since}"),
    )
}

#[cfg(test)]
mod tests;
