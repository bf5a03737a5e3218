//! What a function did wrong by itself: it crashed, ended with a failure, or answered with an error status.
//!
//! **How.** In this order, since each tells more than the next: a variable that it misses; a call that it made and that
//! failed; another function that it called and that failed; what the lines that it printed are a sign of;
//! what it printed; and what its failures have in common.

use super::Cause;
use super::cause::{Around, LINE_CHARS, below, passed_on};
use super::pattern::{distinguishing, missing_variable, symptom, telling};
use super::text::line;
use crate::code::Owner;
use crate::fact::{Call, Failure, Outside};
use crate::wire::Verdict;
use std::collections::BTreeMap;

/// Where lines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The call printed them.
    Printed,
    /// Its instance printed them, in which other calls ran too.
    Meanwhile,
    /// It answered with them.
    Answered,
}

impl Heard {
    pub(super) fn of(around: &Around<'_>) -> Self {
        if around.shared { Self::Meanwhile } else { Self::Printed }
    }
}

/// A function's own failure: with the node's words for it, or a status of 500 and above.
pub(super) fn of_failure(call: &Call, failure: Option<&Failure>, around: &Around<'_>) -> Cause {
    let function = call.function.as_str();
    let ended = ended(call, failure);
    let code = |cause: Cause| match failure {
        Some(failure) if cause.code.is_none() => cause.code(&failure.code),
        _ => cause,
    };
    let env = around.spec.map(|spec| &spec.env);
    let (heard, answer) = (Heard::of(around), answer(around));
    if let Some(cause) = missing(function, &ended, around.printed, env, heard)
        .or_else(|| missing(function, &ended, &answer, env, Heard::Answered))
    {
        return code(cause);
    }
    if let Some(outside) = call.outside.iter().rev().find(|outside| went_wrong(outside)) {
        return code(of_outside(call, &ended, outside));
    }
    if let Some(child) = around.children.iter().rev().find(|child| child.call.failed()) {
        let (who, fix) = below(child);
        let reason = format!("{ended} because of {who}");
        let fix = fix.unwrap_or_else(|| format!("mend `{}`: hob why {}", child.call.function, child.call.id));
        let cause = Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Code);
        return code(passed_on(cause, child));
    }
    if let Some(cause) = by_symptom(function, &ended, around.printed, heard)
        .or_else(|| by_symptom(function, &ended, &answer, Heard::Answered))
    {
        return code(cause.and(&common(around)));
    }
    let answered = quoted(&answer, failure.is_none());
    let reason = format!("{ended}{answered}{}{}", said(around.printed, heard), common(around));
    let logs = format!("hob logs {}/{function}", call.app);
    let hint = failure.filter(|failure| failure.code == "HOB-0506").and_then(|failure| failure.hint.clone());
    let fix = match hint {
        Some(hint) => format!("{hint}, and mend the code of `{function}`")
            .replace("see `", "see what it printed with `"),
        None => format!("mend the code of `{function}`; `{logs}` shows what it printed"),
    };
    let owner = failure.map_or(Owner::Code, |failure| failure.owner);
    code(Cause::new(Verdict::Bad, reason).fix(fix).owner(owner))
}

/// The function refused the request with a status from 400 to 499.
pub(super) fn of_refusal(call: &Call, status: u16, around: &Around<'_>) -> Cause {
    let function = call.function.as_str();
    if let Some(cause) = missing_in_request(function, around.printed) {
        return cause;
    }
    if let Some(outside) = call.outside.iter().rev().find(|outside| went_wrong(outside)) {
        return of_outside(call, &format!("`{function}` answered {status}"), outside);
    }
    let answered = quoted(&answer(around), true);
    let said = said(around.printed, Heard::of(around));
    let reason = format!("`{function}` answered {status} itself{answered}{said}{}", common(around));
    let fix = match status {
        401 | 403 => format!(
            "send what `{function}` wants to see: credentials, a signature, a token; compare it with what was sent"
        ),
        404 | 410 => format!(
            "ask `{function}` for something that it has, or let it have it; the route is right, since `{function}` was called"
        ),
        429 => format!("send less often: `{function}` says that it has had enough"),
        _ => format!("compare what was sent with what `{function}` takes"),
    };
    Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Caller)
}

/// The lines of the answer, unless they are markup for a browser.
fn answer(around: &Around<'_>) -> Vec<String> {
    let text = around.answer.filter(|text| !text.trim_start().starts_with('<')).unwrap_or_default();
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// What was answered, behind the status.
fn quoted(answer: &[String], shown: bool) -> String {
    let first = answer.first().filter(|_| shown).map(|text| line(text, LINE_CHARS));
    first.map(|text| format!(": `{text}`")).unwrap_or_default()
}

/// How a call ended, as the beginning of a sentence.
fn ended(call: &Call, failure: Option<&Failure>) -> String {
    let function = &call.function;
    let Some(failure) = failure else {
        return format!("`{function}` answered {}", call.status.unwrap_or_default());
    };
    let detail = failure.detail.as_deref().map(|detail| format!(": {}", line(detail, LINE_CHARS)));
    let means = number_behind(&failure.message, "by signal ").and_then(signal);
    let means = means.or_else(|| number_behind(&failure.message, "exit code ").and_then(exit));
    let means = means.map(|means| format!(" ({means})")).unwrap_or_default();
    // The head of an answer was there, and then the function failed.
    let broke = call.status.map(|status| format!(", in the middle of its answer with {status}"));
    format!("{}{means}{}{}", failure.message, detail.unwrap_or_default(), broke.unwrap_or_default())
}

fn number_behind(text: &str, words: &str) -> Option<i32> {
    let (_, rest) = text.split_once(words)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What a signal means for a program that was ended by it (signal(7)).
fn signal(number: i32) -> Option<&'static str> {
    Some(match number {
        4 => "an illegal instruction",
        6 => "it aborted itself",
        7 => "an access that the hardware refuses",
        8 => "an arithmetic fault, such as a division by zero",
        9 => "it was killed: by somebody, or by the machine because memory was short",
        11 => "an access to memory that it does not have",
        13 => "it wrote to somebody who had gone",
        15 => "it was asked to end",
        24 => "it used too much processor time",
        25 => "it wrote too large a file",
        _ => return None,
    })
}

/// What an exit code means by convention of shells.
fn exit(code: i32) -> Option<&'static str> {
    Some(match code {
        126 => "a command may not be executed",
        127 => "a command was not found",
        137 => "it was killed: by somebody, or because memory was short",
        139 => "an access to memory that it does not have",
        _ => return None,
    })
}

fn went_wrong(outside: &Outside) -> bool {
    outside.failure.is_some() || outside.status.is_some_and(|status| status >= 400)
}

/// A call that the function made and that did not go well.
fn of_outside(call: &Call, ended: &str, outside: &Outside) -> Cause {
    let (function, to) = (&call.function, &outside.to);
    let Some(failure) = &outside.failure else {
        let theirs = outside.status.unwrap_or_default();
        let fix = match theirs {
            401 | 403 => {
                format!("give `{function}` credentials in `env` that `{to}` takes, then `hob deploy`")
            }
            404 | 410 => format!("correct the path that `{function}` asks `{to}` for"),
            429 => format!(
                "call `{to}` less often (`rate` of the trigger, `scale.max` of `{function}`), or get a higher quota there"
            ),
            400..500 => format!("compare what `{function}` sends with what `{to}` takes"),
            _ => format!("see what is wrong with `{to}`, or let `{function}` do without it"),
        };
        let reason = format!("{ended} after `{to}`, which it called, had answered {theirs}");
        return Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Dependency);
    };
    let (what, fix) = call_failure(function.as_str(), to, failure);
    let reason = match to.strip_prefix("bus.internal/") {
        Some(topic) => {
            format!("{ended} after an event that it published to `{topic}` was not accepted: {what}")
        }
        None => format!("{ended} after its call to `{to}` had failed: {what}"),
    };
    Cause::new(Verdict::Bad, reason).fix(fix).owner(failure.owner).code(&failure.code)
}

/// Why a call outside failed, and what mends that.
pub(super) fn call_failure(function: &str, to: &str, failure: &Failure) -> (String, String) {
    let detail = failure.detail.as_deref().unwrap_or_default();
    let more = if detail.is_empty() { String::new() } else { format!(": {}", line(detail, LINE_CHARS)) };
    let what = format!("{}{more}", failure.message);
    let lower = what.to_ascii_lowercase();
    let fix = if lower.contains("certificate") {
        format!(
            "mend the certificate of `{to}` (its name, its dates, who signed it), or call it by the name that the certificate is for"
        )
    } else if let Some(hint) = &failure.hint {
        hint.clone()
    } else if lower.contains("was not found") {
        format!("correct the host name of `{to}` in `{function}`, or its entry in the DNS")
    } else if lower.contains("cannot connect") {
        format!("start what should listen at `{to}`, or correct the address and port in `{function}`")
    } else {
        format!("see whether `{to}` is up and can be reached from this machine")
    };
    (what, fix)
}

/// An environment variable that the program asks for and does not have.
pub(super) fn missing(
    function: &str,
    ended: &str,
    printed: &[String],
    env: Option<&BTreeMap<String, String>>,
    heard: Heard,
) -> Option<Cause> {
    let name = missing_variable(printed)?;
    if let Some(of_request) = missing_in_request(function, printed) {
        return Some(of_request);
    }
    if env.is_some_and(|env| env.contains_key(&name)) {
        return None;
    }
    let says = printed.iter().rev().find(|line| line.contains(&name)).cloned();
    let said = said(&says.into_iter().collect::<Vec<_>>(), heard);
    let reason =
        format!("`{function}` misses the environment variable `{name}`: {}{said}", without(ended, function));
    let fix = format!("set `{name}` in `env` of `[functions.{function}]` in `hob.toml`, then `hob deploy`");
    Some(Cause::new(Verdict::Bad, reason).fix(fix).owner(Owner::Code))
}

/// The end of a sentence whose beginning names the function.
fn without(ended: &str, function: &str) -> String {
    ended
        .strip_prefix(&format!("`{function}` "))
        .map_or_else(|| ended.to_owned(), |rest| format!("it {rest}"))
}

/// A variable that a contract makes of the request (CGI, RFC 3875, 4.1.18): the request lacks what it is made of.
fn missing_in_request(function: &str, printed: &[String]) -> Option<Cause> {
    let name = missing_variable(printed)?;
    let header = name.strip_prefix("HTTP_")?.to_ascii_lowercase().replace('_', "-");
    let (what, fix) = match header.strip_prefix("ce-") {
        Some(attribute) => {
            (format!("the event has no `{attribute}`"), format!("publish events with `{attribute}`"))
        }
        None => {
            (format!("the request has no header `{header}`"), format!("send `{header}` with the request"))
        }
    };
    let said = printed.iter().rev().find(|line| line.contains(&name)).map_or("", String::as_str);
    let reason = format!("{what}, which `{function}` needs; it printed `{}`", line(said, LINE_CHARS));
    Some(
        Cause::new(Verdict::Bad, reason)
            .fix(format!("{fix}, or let `{function}` do without it"))
            .owner(Owner::Caller),
    )
}

/// What the printed lines are a sign of.
pub(super) fn by_symptom(function: &str, ended: &str, printed: &[String], heard: Heard) -> Option<Cause> {
    let (symptom, told) = symptom(printed)?;
    let said = said(&[told.to_owned()], heard);
    let reason = format!("{ended}: {}{said}", symptom.what);
    Some(Cause::new(Verdict::Bad, reason).fix(symptom.fix.replace("{f}", function)).owner(symptom.owner))
}

/// What was printed, as the end of a sentence.
pub(super) fn said(printed: &[String], heard: Heard) -> String {
    let who = match heard {
        Heard::Printed => "; it printed",
        Heard::Meanwhile => "; its instance printed meanwhile",
        Heard::Answered => ", with",
    };
    telling(printed).map(|text| format!("{who} `{}`", line(&text, LINE_CHARS))).unwrap_or_default()
}

/// What failed calls have in common, as the end of a sentence.
fn common(around: &Around<'_>) -> String {
    let Some((name, value)) = distinguishing(around.failed, around.passed) else { return String::new() };
    let (failed, passed, value) = (around.failed.len(), around.passed.len(), line(&value, 60));
    match failed {
        1 => format!("; it has {name} `{value}`, and none of {passed} that passed has"),
        _ => format!("; all {failed} failures have {name} `{value}`, and none of {passed} that passed has"),
    }
}
