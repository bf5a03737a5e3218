//! The cause of one call's failure or slowness: who is to blame, and what mends it.
//!
//! **How.** What the node itself says of a failure comes first, made more exact by what is known besides: what the
//! function was waiting for, what it printed, how many others were before it. `own` looks into what a function did
//! wrong by itself, `time` into where the time went.

use super::own::Heard;
use super::pattern::Traits;
use super::text::{line, took};
use super::{Cause, circuit, own, time};
use crate::code::Owner;
use crate::fact::{Call, Failure};
use crate::spec::FunctionSpec;
use crate::unit::show_bytes;
use crate::wire::Verdict;

/// Characters of a printed line that are shown.
pub(super) const LINE_CHARS: usize = 120;

/// What is known of a call besides its fact.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// Calls that it made itself, to other functions.
    pub children: &'a [Child],
    /// The function's settings in that revision, where it is kept.
    pub spec: Option<&'a FunctionSpec>,
    /// The last lines that it printed in this call, or that its instance did.
    pub printed: &'a [String],
    /// The lines are the instance's, in which other calls ran too.
    pub shared: bool,
    /// The beginning of what it answered with, where that is known.
    pub answer: Option<&'a str>,
    /// Why instances of the function could not start, the newest first.
    pub start_failures: &'a [Failure],
    /// What broke, where calls are refused because the function fails again and again.
    pub broken: Option<&'a circuit::Broken>,
    /// Attributes of events or requests that failed in the same way, this one too.
    pub failed: &'a [Traits],
    /// The same of those that passed.
    pub passed: &'a [Traits],
}

/// A call that was made by another one.
#[derive(Clone, Debug)]
pub struct Child {
    /// The call.
    pub call: Call,
    /// What its outcome comes from, where it tells something.
    pub cause: Option<Cause>,
}

/// What the outcome of a call comes from.
pub fn of_call(call: &Call, around: &Around<'_>) -> Cause {
    if let Some(failure) = &call.failure {
        return of_failure(call, failure, around);
    }
    match call.status {
        None => time::caller_gone(call, around),
        Some(status) if status >= 500 => own::of_failure(call, None, around),
        Some(status) if status >= 400 => own::of_refusal(call, status, around),
        Some(status) => time::of_success(call, status, around),
    }
}

fn of_failure(call: &Call, failure: &Failure, around: &Around<'_>) -> Cause {
    let function = &call.function;
    let blame = |reason: String, fix: String, owner| {
        Cause::new(Verdict::Bad, reason).fix(fix).owner(owner).code(&failure.code)
    };
    match failure.code.as_str() {
        "HOB-0501" => time::over(call, failure, around),
        "HOB-0307" | "HOB-0308" => of_start(call, failure, around),
        "HOB-0502" | "HOB-0506" | "HOB-0508" => own::of_failure(call, Some(failure), around),
        "HOB-0503" | "HOB-0504" => {
            let places = around.spec.map(places).unwrap_or_default();
            let reason = format!("{}; {places}", failure.message).trim_end_matches("; ").to_owned();
            let fix = format!("raise `scale.max` or `scale.concurrency` of `{function}`, or make it faster");
            blame(reason, fix, Owner::Limit)
        }
        "HOB-0505" => {
            let limit = around.spec.map(|spec| show_bytes(spec.memory_bytes));
            let limit = limit.map(|limit| format!(": its limit is {limit}")).unwrap_or_default();
            let reason = format!("`{function}` needed more memory than it may have{limit}");
            blame(
                reason,
                format!("raise `memory` of `{function}` in `hob.toml`, or let it use less"),
                failure.owner,
            )
        }
        "HOB-0511" => {
            let budget = if failure.message.starts_with("app ") {
                format!("`[budget]` of app `{}`", call.app)
            } else {
                format!("`budget` of `{function}`")
            };
            let anew = failure.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            let fix = format!("raise {budget} in `hob.toml`, then `hob deploy`{anew}");
            blame(format!("{}, and it stops then", failure.message), fix, failure.owner)
        }
        "HOB-0515" => circuit::of_refusal(call, failure, around),
        "HOB-0405" => {
            let fix = format!("send less, or raise `body` of `{function}` in `hob.toml`");
            blame(format!("{}, which `{function}` sets", failure.message), fix, failure.owner)
        }
        _ => plain(failure),
    }
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

/// The program did not come up.
fn of_start(call: &Call, failure: &Failure, around: &Around<'_>) -> Cause {
    let told = around.start_failures.first().unwrap_or(failure);
    let spec = around.spec.map(|spec| &spec.env);
    start(call.function.as_str(), call.app.as_str(), told, around.printed, spec).code(&failure.code)
}

/// Why a program did not come up: what it printed tells more than that it ended.
pub(super) fn start(
    function: &str,
    app: &str,
    told: &Failure,
    printed: &[String],
    env: Option<&std::collections::BTreeMap<String, String>>,
) -> Cause {
    let own = [told.hint.as_deref(), told.detail.as_deref()];
    // The node's words before it: `run it by hand to see why; it printed: …`.
    let said =
        own.into_iter().flatten().map(|text| text.split_once("it printed:").map_or(text, |(_, said)| said));
    let printed: Vec<String> =
        printed.iter().map(String::as_str).chain(said.flat_map(str::lines)).map(str::to_owned).collect();
    let ended = format!("`{function}` could not be started");
    if let Some(cause) = own::missing(function, &ended, &printed, env, Heard::Printed) {
        return cause.code(&told.code);
    }
    let why = told.message.trim_start_matches(&format!("`{function}` ")).to_owned();
    if let Some(cause) = own::by_symptom(function, &ended, &printed, Heard::Printed) {
        return cause.code(&told.code);
    }
    let said = own::said(&printed, Heard::Printed);
    let advice = told.hint.as_deref().filter(|_| told.code == "HOB-0307");
    let advice = advice.and_then(|hint| hint.split("; it printed").next()).map(|hint| format!("{hint}; "));
    let advice = advice.unwrap_or_default();
    let fix = format!("{advice}mend what `{function}` says when it starts: hob logs {app}/{function}");
    Cause::new(Verdict::Bad, format!("{ended}: it {why}{said}")).fix(fix).owner(told.owner).code(&told.code)
}

/// How many calls a function takes at a time, in words.
pub(super) fn places(spec: &FunctionSpec) -> String {
    let (max, each) = (spec.scale.max, spec.scale.concurrency);
    let instances = super::text::count(u64::from(max), "instance");
    format!(
        "it has at most {instances} with {} at a time each, and all were busy",
        super::text::count(u64::from(each), "call")
    )
}

/// A function that was called and is to blame, in words: it, or one further down.
pub(super) fn below(child: &Child) -> (String, Option<String>) {
    let Some(cause) = &child.cause else {
        let why = child.call.status.map(|status| format!("it answered {status}"));
        let why = why.unwrap_or_else(|| format!("it took {}", took(child.call.times.total_us)));
        return (format!("function `{}`, which it called: {why}", child.call.function), None);
    };
    let root = match &cause.root {
        Some(root) => format!("a function further down: {}", root.reason),
        None => format!("function `{}`, which it called: {}", child.call.function, cause.reason),
    };
    (root, cause.fix.clone())
}

/// A cause that began in a function that was called.
pub(super) fn passed_on(mut cause: Cause, child: &Child) -> Cause {
    let Some(below) = &child.cause else { return cause };
    let root = super::Root { function: child.call.function.to_string(), reason: below.reason.clone() };
    cause.root = Some(below.root.clone().unwrap_or(root));
    cause.owner = below.owner.or(cause.owner);
    cause.code = below.code.clone().or(cause.code);
    cause
}

/// A call that took longer is asked where its time went, microseconds.
pub const NOTABLE_US: u64 = time::NOTABLE_US;

/// How late an event's first attempt was, as a cause; `None` when it was not.
pub fn of_delay(call: &Call, time_ms: u64) -> Option<String> {
    time::of_delay(call, time_ms)
}

#[cfg(test)]
mod tests;
