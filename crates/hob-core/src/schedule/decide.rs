//! Which runs of a schedule to begin now, which are left out, and when to ask again.
//!
//! **Why.** A node sleeps, restarts, and has its clock set. Whatever happens, a run is not begun before its
//! time and not twice, and what becomes of those that were missed is the owner's choice.
//!
//! **How.** The [`State`] holds one moment: everything that was due until then is decided. [`decide`] takes
//! the runs that became due after it, up to now, decides each of them once, and moves the moment on to the
//! last of them. That gives these rules:
//!
//! - *Jitter.* A run begins at its due time and a delay that follows from the schedule's seed and the due
//!   time, so that a restart finds the same. The delay is shorter than the time to the next run: order stays.
//! - *Late.* A run that could begin at most [`SCHEDULE_LATE_MAX`] ago is on time; one before that is missed.
//! - *The clock jumps forward:* the same as a pause of the node; [`Missed`] says what becomes of the runs.
//! - *The clock jumps back:* nothing is due until it is again past the last decided run. Those are not begun
//!   again, also if the clock was wrong when they were.
//! - *Paused.* Runs are left out and never made up for. [`State::resume`] decides all that was due during the
//!   pause, also when the node was down.
//! - *Overlap* is looked at last. While a run has not ended, [`Overlap::Skip`] leaves out all others. While
//!   none is running, it lets all made-up runs of a decision through (the caller begins them one after
//!   another), and a run on time only if it is the first: beside others it would overlap with them.
//!
//! **Exactly once** needs the caller: it stores the new state together with the runs, or gives each run an
//! identity of the schedule's name and [`Fire::due_ms`]. When a state is lost after its runs began, the same
//! due times may be decided again.
//!
//! The work is bounded, however long the pause was: it is looked at from its end, at most
//! [`MISSED_RUNS_MAX`] runs are begun, and at most [`SKIPPED_RUNS_COUNTED_MAX`] are counted.
//!
//! **Not here:** a run that somebody asks for by hand; it has no due time.

use super::Schedule;
use crate::limit::{MISSED_RUNS_MAX, SCHEDULE_JITTER_CEILING, SCHEDULE_LATE_MAX, SKIPPED_RUNS_COUNTED_MAX};
use crate::random::mix;
use crate::unit::millis;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What becomes of runs whose time passed while the node or its clock was not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// Nothing.
    Skip,
    /// One run for all of them: the newest, unless another run is on time now.
    #[default]
    Once,
    /// Each of them, the oldest first; of more than [`MISSED_RUNS_MAX`] the newest.
    All,
}

/// What becomes of a run that is due while an earlier one has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// It is begun when the earlier ones have ended: the caller keeps those in line.
    Queue,
    /// It is begun beside them.
    Allow,
}

/// What the owner of a schedule chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// For runs that were missed.
    pub missed: Missed,
    /// For runs that overlap.
    pub overlap: Overlap,
    /// The longest delay of a run, at most [`SCHEDULE_JITTER_CEILING`]; zero for none.
    pub jitter: Duration,
    /// What tells this schedule's delays from those of others: [`seed`] of its name.
    pub seed: u64,
}

/// What is stored of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// When the schedule was created. It has no run until then.
    pub anchor_ms: u64,
    /// Everything that was due until then is decided; `None` before the first decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ms: Option<u64>,
    /// Runs are left out.
    #[serde(default)]
    pub paused: bool,
}

impl State {
    /// The state of a schedule that is created now.
    pub fn new(now_ms: u64) -> State {
        State { anchor_ms: now_ms, last_ms: None, paused: false }
    }

    /// The same, with its runs left out from now on. Decide what is due first.
    #[must_use]
    pub fn pause(self) -> State {
        State { paused: true, ..self }
    }

    /// The same, with its runs begun again: those after `now_ms`. Does nothing to one that is not paused.
    #[must_use]
    pub fn resume(self, now_ms: u64) -> State {
        let last_ms = if self.paused { Some(self.decided_until().max(now_ms)) } else { self.last_ms };
        State { paused: false, last_ms, ..self }
    }

    fn decided_until(&self) -> u64 {
        self.last_ms.unwrap_or(self.anchor_ms).max(self.anchor_ms)
    }
}

/// A run to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fire {
    /// When it was due by the expression, without the delay of the jitter.
    pub due_ms: u64,
    /// It was missed and is made up for.
    pub made_up: bool,
}

/// Why runs are left out.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// They were missed, and the policy is not to make up for them.
    Missed,
    /// They were missed, and more than [`MISSED_RUNS_MAX`] are not made up for.
    TooMany,
    /// An earlier run has not ended.
    Overlap,
    /// The schedule is paused.
    Paused,
}

/// Runs that are left out for the same reason, without one that is begun between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Why.
    pub reason: Reason,
    /// When the first of them was due.
    pub first_ms: u64,
    /// When the last of them was due.
    pub last_ms: u64,
    /// How many.
    pub count: u64,
    /// There were more than were counted.
    pub more: bool,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Runs to begin, in the order of their due times.
    pub fire: Vec<Fire>,
    /// Runs that are left out, in the same order.
    pub skipped: Vec<Skipped>,
    /// What to store; the same as before when nothing was due.
    pub state: State,
    /// When to ask again; `None` when there will be no run any more. Ask earlier when the clock was set: a
    /// timer that does not see that should ask each minute.
    pub wake_ms: Option<u64>,
}

/// A number for [`Rules::seed`] that differs from name to name (FNV-1a, 64 bits).
pub fn seed(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Decides all runs that are due at `now_ms` and were not decided before. `running` says whether a run of
/// the schedule has begun and not ended.
pub fn decide(schedule: &Schedule, rules: &Rules, state: &State, now_ms: u64, running: bool) -> Decision {
    let runs = Runs { schedule, rules, anchor_ms: state.anchor_ms };
    let from_ms = state.decided_until();
    let mut decision = Decision { fire: Vec::new(), skipped: Vec::new(), state: *state, wake_ms: None };
    if let Some(newest_ms) = runs.newest_ripe(now_ms).filter(|newest_ms| *newest_ms > from_ms) {
        decision.state.last_ms = Some(newest_ms);
        if state.paused {
            decision.skip(Reason::Paused, &runs, from_ms, newest_ms);
        } else {
            let on_time_ms = runs.on_time(from_ms, newest_ms, now_ms);
            let missed_until_ms = match on_time_ms.first() {
                Some(first_ms) => runs.before(*first_ms),
                None => Some(newest_ms),
            };
            if let Some(until_ms) = missed_until_ms.filter(|until_ms| *until_ms > from_ms) {
                decision.missed(&runs, from_ms, until_ms, on_time_ms.is_empty());
            }
            decision.fire.extend(on_time_ms.into_iter().map(|due_ms| Fire { due_ms, made_up: false }));
            if rules.overlap == Overlap::Skip {
                decision.leave_out_overlapping(running);
            }
        }
    }
    let next_ms = schedule.next_after(decision.state.decided_until(), state.anchor_ms);
    decision.wake_ms = next_ms.map(|due_ms| runs.ripe_at(due_ms));
    decision
}

impl Decision {
    fn missed(&mut self, runs: &Runs<'_>, from_ms: u64, until_ms: u64, alone: bool) {
        let (count_max, reason) = match runs.rules.missed {
            Missed::Skip => (0, Reason::Missed),
            Missed::Once => (usize::from(alone), Reason::Missed),
            Missed::All => (MISSED_RUNS_MAX, Reason::TooMany),
        };
        let mut made_up_ms = Vec::new();
        let mut rest_ms = Some(until_ms);
        while let Some(due_ms) = rest_ms.filter(|due_ms| *due_ms > from_ms && made_up_ms.len() < count_max) {
            made_up_ms.push(due_ms);
            rest_ms = runs.before(due_ms);
        }
        if let Some(until_ms) = rest_ms.filter(|until_ms| *until_ms > from_ms) {
            self.skip(reason, runs, from_ms, until_ms);
        }
        self.fire.extend(made_up_ms.into_iter().rev().map(|due_ms| Fire { due_ms, made_up: true }));
    }

    /// Leaves out all runs after `from_ms` up to `until_ms`, at which one is due.
    fn skip(&mut self, reason: Reason, runs: &Runs<'_>, from_ms: u64, until_ms: u64) {
        let mut skipped = Skipped { reason, first_ms: until_ms, last_ms: until_ms, count: 0, more: false };
        let mut at_ms = from_ms;
        while let Some(due_ms) = runs.after(at_ms).filter(|due_ms| *due_ms <= until_ms) {
            if skipped.count == SKIPPED_RUNS_COUNTED_MAX {
                skipped.more = true;
                break;
            }
            skipped.first_ms = skipped.first_ms.min(due_ms);
            skipped.count += 1;
            at_ms = due_ms;
        }
        self.skipped.push(skipped);
    }

    fn leave_out_overlapping(&mut self, running: bool) {
        let mut busy = running;
        let mut left_out: Option<Skipped> = None;
        self.fire.retain(|fire| {
            let kept = !busy || (fire.made_up && !running);
            busy = true;
            if !kept {
                let (reason, due_ms) = (Reason::Overlap, fire.due_ms);
                let new = Skipped { reason, first_ms: due_ms, last_ms: due_ms, count: 0, more: false };
                let skipped = left_out.get_or_insert(new);
                skipped.last_ms = due_ms;
                skipped.count += 1;
            }
            kept
        });
        self.skipped.extend(left_out);
    }
}

/// The runs of one schedule with their delays.
struct Runs<'a> {
    schedule: &'a Schedule,
    rules: &'a Rules,
    anchor_ms: u64,
}

impl Runs<'_> {
    fn after(&self, due_ms: u64) -> Option<u64> {
        self.schedule.next_after(due_ms, self.anchor_ms)
    }

    fn before(&self, due_ms: u64) -> Option<u64> {
        self.schedule.last_until(due_ms.checked_sub(1)?, self.anchor_ms)
    }

    /// When a due run may begin.
    fn ripe_at(&self, due_ms: u64) -> u64 {
        let jitter = self.rules.jitter.min(SCHEDULE_JITTER_CEILING);
        let longest_ms = millis(jitter);
        if longest_ms == 0 {
            return due_ms;
        }
        let next_ms = self.after(due_ms).unwrap_or(u64::MAX);
        let delays = (longest_ms + 1).min(next_ms - due_ms);
        due_ms.saturating_add(mix(self.rules.seed ^ due_ms) % delays)
    }

    /// The newest run that may have begun at `now_ms`. Only one can be due and wait for its delay, since no
    /// delay is as long as the time to the next run.
    fn newest_ripe(&self, now_ms: u64) -> Option<u64> {
        let newest_ms = self.schedule.last_until(now_ms, self.anchor_ms)?;
        if self.ripe_at(newest_ms) <= now_ms { Some(newest_ms) } else { self.before(newest_ms) }
    }

    /// The runs after `from_ms` up to `newest_ms` that are not late, in order. They are few: no schedule is
    /// due more often than each second.
    fn on_time(&self, from_ms: u64, newest_ms: u64, now_ms: u64) -> Vec<u64> {
        let late_ms = millis(SCHEDULE_LATE_MAX);
        let mut found = Vec::new();
        let mut at_ms = Some(newest_ms);
        while let Some(due_ms) = at_ms.filter(|due_ms| *due_ms > from_ms) {
            if now_ms - self.ripe_at(due_ms) > late_ms {
                break;
            }
            found.push(due_ms);
            at_ms = self.before(due_ms);
        }
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests;
