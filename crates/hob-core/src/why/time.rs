//! Where the time of a call went: in a queue, in a start, in what it called, or in its own code.

use super::Cause;
use super::cause::{Around, Child, below, passed_on, places};
use super::own::{Heard, said};
use super::text::{took, took_ms};
use crate::code::Owner;
use crate::fact::{Call, CallCause, Failure, Outside};
use crate::limit::FACTS_SLOW_CALL;
use crate::unit::{micros, show_duration, show_processors};
use crate::wire::Verdict;

/// A call that took longer is asked where its time went, microseconds.
pub(super) const NOTABLE_US: u64 = 100_000;

/// From this part of the processor time that a limit gives a call counts as held back by it: periods begin when they like.
const HELD_BACK_PERCENT: u64 = 80;

/// Nothing came before the deadline: whom the function was waiting for is to blame.
pub(super) fn over(call: &Call, failure: &Failure, around: &Around<'_>) -> Cause {
    let (function, total) = (&call.function, call.times.total_us);
    let cpu = around.spec.and_then(|spec| spec.cpu_milli).map(|milli| show_processors(milli.into()));
    let also = cpu.as_ref().map(|cpu| format!(", its `cpu` {cpu}")).unwrap_or_default();
    let limit = around
        .spec
        .map(|spec| format!(" (its `timeout` is {}{also})", show_duration(spec.timeout())))
        .unwrap_or_default();
    let bad = |reason: String, fix: String, owner| {
        Cause::new(Verdict::Bad, reason).fix(fix).owner(owner).code(&failure.code)
    };
    if let Some(outside) = waited_for(call) {
        let ended =
            if outside.took_us.is_none() { "which did not answer" } else { "which answered too late" };
        let reason = format!(
            "`{function}` did not answer in time{limit}: it waited {} of {} for `{}`, {ended}",
            took(spent(call, outside)),
            took(total),
            outside.to
        );
        let fix = format!(
            "see whether `{}` is up and fast; give that call a shorter time-out of its own, or raise `timeout` of `{function}`",
            outside.to
        );
        return bad(reason, fix, Owner::Dependency);
    }
    if let Some(child) = slow_child(call, around) {
        let (who, fix) = below(child);
        let spent = took(child.call.times.total_us);
        let reason = format!(
            "`{function}` did not answer in time{limit}: it waited {spent} of {} for {who}",
            took(total)
        );
        let fix = fix.unwrap_or_else(|| {
            format!("find out why `{}` is slow: hob why {}", child.call.function, child.call.id)
        });
        return passed_on(bad(reason, fix, Owner::Code), child);
    }
    if call.times.queue_us * 2 > total {
        let places = around.spec.map(|spec| format!("; {}", places(spec))).unwrap_or_default();
        let reason = format!(
            "the call waited {} of {} for an instance of `{function}`, and its deadline passed meanwhile{limit}{places}",
            took(call.times.queue_us),
            took(total)
        );
        return bad(reason, more_places(call), Owner::Limit);
    }
    if let Some(most) = held_back(call, around) {
        let reason = format!(
            "`{function}` did not answer in time{limit}: it had used all the processor time that it may have, {most}"
        );
        return bad(reason, more_processors(call), Owner::Limit);
    }
    let said = said(around.printed, Heard::of(around)).replace("; it printed", "; it last printed");
    let reason =
        format!("`{function}` ran for {} and did not answer before its deadline{limit}{said}", took(total));
    // What a program spent that was ended is not always known.
    let cpu = if cpu.is_some() { " or its `cpu`" } else { "" };
    let fix = format!(
        "make `{function}` faster, or raise its `timeout`{cpu}; `hob logs {}/{function}` shows how far it came",
        call.app
    );
    bad(reason, fix, failure.owner)
}

fn more_places(call: &Call) -> String {
    let function = &call.function;
    format!("raise `scale.max` or `scale.concurrency` of `{function}`, or make it faster")
}

fn more_processors(call: &Call) -> String {
    format!("raise `cpu` of `{}` in `hob.toml`, or make it faster", call.function)
}

/// What its limit of processors is, where a call has used nearly all that this gave it.
fn held_back(call: &Call, around: &Around<'_>) -> Option<String> {
    let milli = u64::from(around.spec?.cpu_milli?);
    let given_us = call.times.total_us.saturating_sub(call.times.queue_us).saturating_mul(milli) / 1000;
    let most = show_processors(milli);
    (call.used.cpu_us?.saturating_mul(100) >= given_us.saturating_mul(HELD_BACK_PERCENT))
        .then(|| format!("that of {most} {}", if milli == 1000 { "processor" } else { "processors" }))
}

/// Nobody waited for the answer any more.
pub(super) fn caller_gone(call: &Call, around: &Around<'_>) -> Cause {
    let (function, total) = (&call.function, took(call.times.total_us));
    let begin = format!("the caller went away after {total}, before `{function}` had answered");
    let gone = |reason, owner| Cause::new(Verdict::Bad, reason).owner(owner);
    if let Some(outside) = waited_for(call) {
        let reason = format!("{begin}: it waited for `{}`, which did not answer", outside.to);
        let fix =
            format!("see whether `{}` is up and fast, or give that call a shorter time-out", outside.to);
        return gone(reason, Owner::Dependency).fix(fix);
    }
    if let Some(child) = slow_child(call, around) {
        let (who, fix) = below(child);
        let cause = gone(format!("{begin}: it waited for {who}"), Owner::Code);
        return passed_on(cause.fix(fix.unwrap_or_else(|| "make that function faster".to_owned())), child);
    }
    gone(begin, Owner::Caller).fix(format!("wait longer on the caller's side, or make `{function}` faster"))
}

/// A call to the world outside that took most of the time, or was not over.
fn waited_for(call: &Call) -> Option<&Outside> {
    let total = call.times.total_us;
    let long = call.outside.iter().filter(|outside| spent(call, outside) * 2 > total);
    long.max_by_key(|outside| spent(call, outside))
}

fn spent(call: &Call, outside: &Outside) -> u64 {
    outside.took_us.unwrap_or_else(|| call.times.total_us.saturating_sub(outside.after_us))
}

fn slow_child<'a>(call: &Call, around: &Around<'a>) -> Option<&'a Child> {
    let total = call.times.total_us;
    around
        .children
        .iter()
        .filter(|child| child.call.times.total_us * 2 > total)
        .max_by_key(|child| child.call.times.total_us)
}

/// It went well; if it was slow, where the time went.
pub(super) fn of_success(call: &Call, status: u16, around: &Around<'_>) -> Cause {
    let (function, total) = (&call.function, call.times.total_us);
    let well = format!(
        "`{function}` of {} revision {} answered {status} after {}",
        call.app,
        call.revision,
        took(call.times.answer_us)
    );
    if total < NOTABLE_US {
        return Cause::new(Verdict::Good, well);
    }
    let slow = |reason: String, owner| Cause::new(Verdict::Good, reason).owner(owner);
    if call.times.queue_us * 2 > total {
        let places = around.spec.map(|spec| format!("; {}", places(spec))).unwrap_or_default();
        let reason = format!(
            "slow because of queueing: it waited {} of {} for an instance of `{function}`{places}",
            took(call.times.queue_us),
            took(total)
        );
        return slow(reason, Owner::Limit).fix(more_places(call));
    }
    if call.times.start_us * 2 > total {
        let reason = format!(
            "slow because of a cold start: starting an instance of `{function}` took {} of {}",
            took(call.times.start_us),
            took(total)
        );
        let fix = format!(
            "keep one running with `scale.min = 1` of `{function}`, keep it longer with `scale.idle`, or let it start faster"
        );
        return slow(reason, Owner::Limit).fix(fix);
    }
    if let Some(outside) = waited_for(call) {
        let reason = format!(
            "slow because of `{}`: `{function}` waited {} of {} for it",
            outside.to,
            took(spent(call, outside)),
            took(total)
        );
        return slow(reason, Owner::Dependency)
            .fix(format!("see why `{}` is slow, or keep what it answers", outside.to));
    }
    if let Some(child) = slow_child(call, around) {
        let spent = took(child.call.times.total_us);
        let name = &child.call.function;
        let deeper = child.cause.as_ref().filter(|cause| cause.fix.is_some());
        let why = deeper.map(|cause| {
            let reason = cause.root.as_ref().map_or(&cause.reason, |root| &root.reason);
            format!("; that was {reason}")
        });
        let reason = format!(
            "slow because of function `{name}`, which `{function}` called and which took {spent} of {}{}",
            took(total),
            why.unwrap_or_default()
        );
        let fix = deeper.and_then(|cause| cause.fix.clone());
        let cause = slow(reason, Owner::Code)
            .fix(fix.unwrap_or_else(|| format!("see why that was slow: hob why {}", child.call.id)));
        return passed_on(cause, child);
    }
    if total < micros(FACTS_SLOW_CALL) {
        Cause::new(Verdict::Good, well)
    } else {
        slow_itself(call, status, around)
    }
}

/// Nothing else took long.
fn slow_itself(call: &Call, status: u16, around: &Around<'_>) -> Cause {
    let function = &call.function;
    let slow = |reason: String, owner| Cause::new(Verdict::Good, reason).owner(owner);
    if let Some(most) = held_back(call, around) {
        let reason = format!(
            "slow because of its limit: `{function}` used all the processor time that it may have, {most}, for {}",
            took(own(call))
        );
        return slow(reason, Owner::Limit).fix(more_processors(call));
    }
    let reason = format!(
        "`{function}` answered {status}; its own code took {} of {}",
        took(own(call)),
        took(call.times.total_us)
    );
    slow(reason, Owner::Code).fix(format!("profile `{function}`; nothing outside of its code took long"))
}

/// What is left for the function's own code.
fn own(call: &Call) -> u64 {
    let outside: u64 = call.outside.iter().filter_map(|outside| outside.took_us).sum();
    call.times.total_us.saturating_sub(call.times.queue_us + call.times.start_us + outside)
}

/// How late an event's first attempt was; `None` when it was not.
pub(super) fn of_delay(call: &Call, time_ms: u64) -> Option<String> {
    let CallCause::Event { published_ms, attempt: 1, .. } = &call.cause else { return None };
    let waited = time_ms.saturating_sub(*published_ms);
    (waited >= 1000).then(|| format!("it waited {} in the topic first", took_ms(waited)))
}
