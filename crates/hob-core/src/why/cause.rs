//! The cause of one call's failure or slowness: who is to blame, and what mends it.
//!
//! **How.** What the node itself says of a failure comes first, made more exact by what is known besides: what the
//! function was waiting for, what it printed, how many others were before it. A function's own failure is
//! told by what it printed and by what failed calls have in common.

use super::Cause;
use super::pattern::{Traits, distinguishing, missing_variable};
use super::text::{line, took, took_ms};
use crate::code::Owner;
use crate::fact::{Call, CallCause, Failure, Outside};
use crate::limit::FACTS_SLOW_CALL;
use crate::spec::FunctionSpec;
use crate::unit::{micros, show_bytes, show_duration};
use crate::wire::Verdict;

/// Characters of a printed line that are shown.
const LINE_CHARS: usize = 160;

/// What is known of a call besides its fact.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// Calls that it made itself, to other functions.
    pub children: &'a [&'a Call],
    /// The function's settings in that revision, where it is kept.
    pub spec: Option<&'a FunctionSpec>,
    /// The last lines that it printed in this call, or that its instance did.
    pub printed: &'a [String],
    /// The beginning of what it answered with, where that is known.
    pub answer: Option<&'a str>,
    /// Why instances of the function could not start, the newest first.
    pub start_failures: &'a [Failure],
    /// Attributes of events or requests that failed in the same way, this one too.
    pub failed: &'a [Traits],
    /// The same of those that passed.
    pub passed: &'a [Traits],
}

/// What the outcome of a call comes from.
pub fn of_call(call: &Call, around: &Around<'_>) -> Cause {
    if let Some(failure) = &call.failure {
        return of_failure(call, failure, around);
    }
    match call.status {
        None => Cause::new(
            Verdict::Bad,
            format!(
                "the caller went away after {}, before `{}` had answered",
                took(call.times.total_us),
                call.function
            ),
        )
        .fix("wait longer on the caller's side, or make the function faster")
        .owner(Owner::Caller),
        Some(status) if status >= 400 => of_status(call, status, around),
        Some(status) => of_success(call, status, around),
    }
}

fn of_failure(call: &Call, failure: &Failure, around: &Around<'_>) -> Cause {
    let function = &call.function;
    match failure.code.as_str() {
        "HOB-0501" => return of_timeout(call, failure, around),
        "HOB-0307" | "HOB-0308" => return of_start(call, failure, around),
        "HOB-0508" | "HOB-0502" => {
            if let Some(cause) = of_printed(call, &failure.message, around) {
                return cause.code(&failure.code);
            }
        }
        "HOB-0503" | "HOB-0504" => {
            let places = around.spec.map(places).unwrap_or_default();
            let reason = format!("{}; {places}", failure.message);
            let reason = reason.trim_end_matches("; ").to_owned();
            let fix = format!("raise `scale.max` or `scale.concurrency` of `{function}`, or make it faster");
            let fix = failure.hint.clone().unwrap_or(fix);
            return Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Limit).code(&failure.code);
        }
        "HOB-0505" => {
            let limit = around.spec.map(|spec| show_bytes(spec.memory_bytes));
            let limit = limit.map(|limit| format!(" (its limit is {limit})")).unwrap_or_default();
            let reason =
                format!("`{function}` needed more memory than it may have{limit}: {}", failure.message);
            let fix = failure
                .hint
                .clone()
                .unwrap_or_else(|| format!("raise `memory` of `{function}`, or use less"));
            return Cause::new(Verdict::Bad, reason).fix(fix).owner(failure.owner).code(&failure.code);
        }
        _ => {}
    }
    plain(failure)
}

/// What the node says itself.
pub fn plain(failure: &Failure) -> Cause {
    let detail =
        failure.detail.as_ref().map(|detail| format!(": {}", line(detail, LINE_CHARS))).unwrap_or_default();
    let cause = Cause::new(Verdict::Bad, format!("{}{detail}", failure.message))
        .owner(failure.owner)
        .code(&failure.code);
    match &failure.hint {
        Some(hint) => cause.fix(hint.clone()),
        None => cause.fix(format!("see docs/errors/{}.md", failure.code)),
    }
}

/// Nothing came before the deadline: whom the function was waiting for is to blame.
fn of_timeout(call: &Call, failure: &Failure, around: &Around<'_>) -> Cause {
    let (function, total) = (&call.function, call.times.total_us);
    let limit = around
        .spec
        .map(|spec| format!(" (its `timeout` is {})", show_duration(spec.timeout())))
        .unwrap_or_default();
    if let Some(outside) = waited_for(call) {
        let spent = outside.took_us.unwrap_or_else(|| total.saturating_sub(outside.after_us));
        let ended =
            if outside.took_us.is_none() { "which did not answer" } else { "which answered too late" };
        let reason = format!(
            "`{function}` did not answer in time{limit}: it waited {} of {} for `{}`, {ended}",
            took(spent),
            took(total),
            outside.to
        );
        let fix = format!(
            "see whether `{}` is up and fast; give that call a shorter time-out of its own, or raise `timeout` of `{function}`",
            outside.to
        );
        return Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Dependency).code(&failure.code);
    }
    let slow = around.children.iter().find(|child| child.failed() || child.times.total_us * 2 > total);
    if let Some(child) = slow {
        let reason = format!(
            "`{function}` did not answer in time{limit}: it waited {} of {} for function `{}`, which it called",
            took(child.times.total_us),
            took(total),
            child.function
        );
        let fix = format!("find out why `{}` is slow: hob why {}", child.function, child.id);
        return Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Code).code(&failure.code);
    }
    if call.times.queue_us * 2 > total {
        let reason = format!(
            "the call waited {} of {} for an instance of `{function}`, and its deadline passed meanwhile{limit}",
            took(call.times.queue_us),
            took(total)
        );
        let fix = format!("raise `scale.max` or `scale.concurrency` of `{function}`");
        return Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Limit).code(&failure.code);
    }
    let printed = around
        .printed
        .last()
        .map(|text| format!("; it last printed `{}`", line(text, 80)))
        .unwrap_or_default();
    let reason = format!(
        "`{function}` ran for {} and did not answer before its deadline{limit}{printed}",
        took(total)
    );
    let fix = format!(
        "make `{function}` faster, or raise its `timeout`; `hob logs {}/{function}` shows how far it came",
        call.app
    );
    Cause::new(Verdict::Bad, reason).fix(fix).owner(failure.owner).code(&failure.code)
}

/// A call to the world outside that took most of the time, or was not over.
fn waited_for(call: &Call) -> Option<&Outside> {
    let total = call.times.total_us;
    let spent = |outside: &Outside| outside.took_us.unwrap_or_else(|| total.saturating_sub(outside.after_us));
    call.outside.iter().filter(|outside| spent(outside) * 2 > total).max_by_key(|outside| spent(outside))
}

/// The program did not come up.
fn of_start(call: &Call, failure: &Failure, around: &Around<'_>) -> Cause {
    let function = &call.function;
    let told = around.start_failures.first().unwrap_or(failure);
    let printed: Vec<String> = [told.hint.as_deref(), told.detail.as_deref()]
        .into_iter()
        .flatten()
        .flat_map(str::lines)
        .map(str::to_owned)
        .chain(around.printed.iter().cloned())
        .collect();
    if let Some(cause) = missing(function.as_str(), &printed, around) {
        return cause.code(&failure.code);
    }
    let said = printed.iter().rev().find(|line| !line.trim().is_empty());
    let said = said.map(|text| format!("; it printed `{}`", line(text, LINE_CHARS))).unwrap_or_default();
    let reason = format!("`{function}` could not be started: {}{said}", told.message);
    let fix = format!("mend what the program says: hob logs {}/{function}", call.app);
    Cause::new(Verdict::Bad, reason).fix(fix).owner(failure.owner).code(&failure.code)
}

/// What the function printed tells more than how it ended.
fn of_printed(call: &Call, ended: &str, around: &Around<'_>) -> Option<Cause> {
    if let Some(cause) = missing(call.function.as_str(), around.printed, around) {
        return Some(cause);
    }
    let said = around.printed.iter().rev().find(|line| !line.trim().is_empty())?;
    let reason = format!("{ended}; it printed `{}`", line(said, LINE_CHARS));
    let fix = format!("mend the code of `{}`{}", call.function, common(around));
    Some(Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Code))
}

/// An environment variable that the program asks for and does not have.
fn missing(function: &str, printed: &[String], around: &Around<'_>) -> Option<Cause> {
    let name = missing_variable(printed)?;
    if let Some(of_request) = missing_in_request(function, &name, printed) {
        return Some(of_request);
    }
    if around.spec.is_some_and(|spec| spec.env.contains_key(&name)) {
        return None;
    }
    let said = printed.iter().rev().find(|line| line.contains(&name)).map_or("", String::as_str);
    let reason = format!(
        "`{function}` misses the environment variable `{name}`; it printed `{}`",
        line(said, LINE_CHARS)
    );
    let fix = format!("set `{name}` in `env` of function `{function}` in `hob.toml`, then `hob deploy`");
    Some(Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Code))
}

/// A variable that a contract makes of the request (CGI, RFC 3875, 4.1.18): the request lacks what it is made of.
fn missing_in_request(function: &str, name: &str, printed: &[String]) -> Option<Cause> {
    let header = name.strip_prefix("HTTP_")?.to_ascii_lowercase().replace('_', "-");
    let (what, fix) = match header.strip_prefix("ce-") {
        Some(attribute) => {
            (format!("the event has no `{attribute}`"), format!("publish events with `{attribute}`"))
        }
        None => {
            (format!("the request has no header `{header}`"), format!("send `{header}` with the request"))
        }
    };
    let said = printed.iter().rev().find(|line| line.contains(name)).map_or("", String::as_str);
    let reason = format!("{what}, which `{function}` needs; it printed `{}`", line(said, LINE_CHARS));
    Some(
        Cause::new(Verdict::Bad, reason)
            .fix(format!("{fix}, or let `{function}` do without it"))
            .owner(Owner::Caller),
    )
}

/// What failed calls have in common, as the end of a sentence.
fn common(around: &Around<'_>) -> String {
    distinguishing(around.failed, around.passed)
        .map(|(name, value)| {
            let failed = super::text::count(around.failed.len() as u64, "failure");
            format!(
                "; all {failed} have {name} `{}`, and none of {} that passed",
                line(&value, 60),
                around.passed.len()
            )
        })
        .unwrap_or_default()
}

/// The function answered with an error itself.
fn of_status(call: &Call, status: u16, around: &Around<'_>) -> Cause {
    let function = &call.function;
    let failed_outside = call
        .outside
        .iter()
        .rev()
        .find(|outside| outside.failure.is_some() || outside.status.is_some_and(|status| status >= 500));
    if let Some(outside) = failed_outside {
        return of_outside(call, status, outside);
    }
    if let Some(child) = around.children.iter().rev().find(|child| child.failed()) {
        let why = child.failure.as_ref().map_or_else(
            || child.status.map(|status| format!("status {status}")).unwrap_or_default(),
            |failure| format!("{} {}", failure.code, failure.message),
        );
        let reason = format!(
            "`{function}` answered {status} after function `{}`, which it called, had failed: {why}",
            child.function
        );
        let fix = format!("mend `{}`: hob why {}", child.function, child.id);
        return Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Code);
    }
    if status >= 500
        && let Some(cause) = missing(function.as_str(), around.printed, around)
    {
        return cause;
    }
    let said = around.printed.iter().rev().find(|line| !line.trim().is_empty());
    let said = said.map(|text| format!("; it printed `{}`", line(text, LINE_CHARS))).unwrap_or_default();
    let answered = around.answer.map(|text| line(text, LINE_CHARS)).filter(|text| !text.is_empty());
    let answered = answered.map(|text| format!(": `{text}`")).unwrap_or_default();
    let common = common(around);
    let reason = format!("`{function}` answered {status} itself{answered}{said}{common}");
    if status < 500 {
        let fix =
            format!("the function refuses the request: compare what was sent with what `{function}` takes");
        return Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Caller);
    }
    let fix =
        format!("mend the code of `{function}`; `hob logs {}/{function}` shows what it printed", call.app);
    Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Code)
}

fn of_outside(call: &Call, status: u16, outside: &Outside) -> Cause {
    let (function, to) = (&call.function, &outside.to);
    let Some(failure) = &outside.failure else {
        let theirs = outside.status.unwrap_or_default();
        let reason =
            format!("`{function}` answered {status} after `{to}`, which it called, had answered {theirs}");
        let fix = format!("see what is wrong with `{to}`, or let `{function}` do without it");
        return Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Dependency);
    };
    let detail = failure.detail.as_deref().unwrap_or_default();
    let more = if detail.is_empty() { String::new() } else { format!(": {}", line(detail, LINE_CHARS)) };
    let reason = format!(
        "`{function}` answered {status} after its call to `{to}` had failed: {}{more}",
        failure.message
    );
    let fix = match (&failure.hint, detail.to_ascii_lowercase().contains("certificate")) {
        (Some(hint), _) => hint.clone(),
        (None, true) => {
            format!("mend the certificate of `{to}`, or call it by the name that its certificate is for")
        }
        (None, false) => format!("see whether `{to}` is up and can be reached from this machine"),
    };
    Cause::new(Verdict::Bad, reason).fix(fix).owner(failure.owner).code(&failure.code)
}

/// It went well; if it was slow, where the time went.
fn of_success(call: &Call, status: u16, around: &Around<'_>) -> Cause {
    let (function, total) = (&call.function, call.times.total_us);
    let well = format!(
        "`{function}` of {} revision {} answered {status} after {}",
        call.app,
        call.revision,
        took(call.times.answer_us)
    );
    if total < micros(FACTS_SLOW_CALL) {
        return Cause::new(Verdict::Good, well);
    }
    let slow = |reason: String, owner| Cause::new(Verdict::Good, reason).owner(owner);
    if call.times.queue_us * 2 > total {
        let places = around.spec.map(|spec| format!(": {}", places(spec))).unwrap_or_default();
        let reason = format!(
            "slow because of queueing: it waited {} of {} for an instance of `{function}`{places}",
            took(call.times.queue_us),
            took(total)
        );
        let fix = format!("raise `scale.max` or `scale.concurrency` of `{function}`, or make it faster");
        return slow(reason, Owner::Limit).fix(fix);
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
        let spent = outside.took_us.unwrap_or_else(|| total.saturating_sub(outside.after_us));
        let reason = format!(
            "slow because of `{}`: `{function}` waited {} of {} for it",
            outside.to,
            took(spent),
            took(total)
        );
        return slow(reason, Owner::Dependency)
            .fix(format!("see why `{}` is slow, or keep what it answers", outside.to));
    }
    if let Some(child) = around.children.iter().find(|child| child.times.total_us * 2 > total) {
        let spent = took(child.times.total_us);
        let reason = format!(
            "slow because of function `{}`, which it called and which took {spent} of {}",
            child.function,
            took(total)
        );
        return slow(reason, Owner::Code).fix(format!("see why that was slow: hob why {}", child.id));
    }
    let reason =
        format!("`{function}` answered {status}; its own code took {} of {}", took(own(call)), took(total));
    slow(reason, Owner::Code).fix(format!("profile `{function}`; nothing outside of its code took long"))
}

/// What is left for the function's own code.
fn own(call: &Call) -> u64 {
    let outside: u64 = call.outside.iter().filter_map(|outside| outside.took_us).sum();
    call.times.total_us.saturating_sub(call.times.queue_us + call.times.start_us + outside)
}

/// How many calls a function takes at a time, in words.
fn places(spec: &FunctionSpec) -> String {
    let (max, each) = (spec.scale.max, spec.scale.concurrency);
    let instances = super::text::count(u64::from(max), "instance");
    format!(
        "it has at most {instances} with {} at a time each, and all were busy",
        super::text::count(u64::from(each), "call")
    )
}

/// How late an event's first attempt was, as a cause; `None` when it was not.
pub fn of_delay(call: &Call, time_ms: u64) -> Option<String> {
    let CallCause::Event { published_ms, attempt: 1, .. } = &call.cause else { return None };
    let waited = time_ms.saturating_sub(*published_ms);
    (waited >= 1000).then(|| format!("it waited {} in the topic first", took_ms(waited)))
}
