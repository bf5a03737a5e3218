//! The story of an asynchronous call: accepted, made, and its result sent to whoever wants it.

use super::own::call_failure;
use super::text::{count, line, time, took_ms};
use super::tree::{place, tree};
use super::{Cause, event};
use crate::code::{Code, Owner};
use crate::fact::{Fact, Failure};
use crate::name::AppName;
use crate::subscription::Whereabouts;
use crate::wire::{DeadLetter, Story, Verdict};

/// What is known of an asynchronous call.
#[derive(Clone, Debug)]
pub struct AsyncEvidence<'a> {
    /// The app.
    pub app: &'a AppName,
    /// The function; empty: it is not known any more.
    pub function: &'a str,
    /// When it was accepted, milliseconds since the Unix epoch; `None`: there is no such call.
    pub accepted_ms: Option<u64>,
    /// Where it is.
    pub place: Whereabouts,
    /// Attempts that are made.
    pub attempts: u32,
    /// The cause of the last failed attempt.
    pub failure: Option<Cause>,
    /// How it ended.
    pub end: Option<AsyncEnd>,
    /// Its dead letter, when it was given up.
    pub letter: Option<DeadLetter>,
    /// What became of its result, when that is to be sent somewhere.
    pub callback: Option<Callback>,
    /// The facts of its trace and its own.
    pub facts: &'a [Fact],
}

/// How an asynchronous call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsyncEnd {
    /// It was given up.
    pub failed: bool,
    /// Attempts that were made.
    pub attempts: u32,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// When, milliseconds since the Unix epoch.
    pub ended_ms: u64,
}

/// What became of a result that is to be sent somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Where it goes.
    pub url: String,
    /// Where it is in the subscription that sends results.
    pub place: Whereabouts,
    /// How the last attempt to send it failed, in one line with its code.
    pub failure: Option<String>,
    /// It was given up.
    pub dead: bool,
}

/// The story of an asynchronous call.
pub fn story(id: &str, evidence: &AsyncEvidence<'_>) -> Story {
    let mut story = of_call(evidence).story(format!("asynchronous call {id}"));
    story.path = tree(evidence.facts);
    story.trace = evidence.facts.iter().find_map(|fact| fact.trace).map(|trace| trace.to_string());
    if let Some(letter) = &evidence.letter {
        story.next.push(format!("hob dlq show {} {}", letter.topic, letter.sequence));
    }
    if !evidence.function.is_empty() {
        story.next.push(format!("hob logs {}/{}", evidence.app, evidence.function));
    }
    story.next.extend(story.trace.as_ref().map(|trace| format!("hob trace {trace}")));
    story
}

fn of_call(evidence: &AsyncEvidence<'_>) -> Cause {
    let (app, function) = (evidence.app, evidence.function);
    let call = format!("the asynchronous call of `{function}`");
    let Some(accepted_ms) = evidence.accepted_ms else {
        return Cause::new(
            Verdict::Unknown,
            format!("there is no such asynchronous call of app `{app}`, or not any more"),
        )
        .fix("use the address in `Location` of the answer to the call; results are kept for a day")
        .owner(Owner::Caller)
        .code(Code::AsyncCallNotFound.text());
    };
    if let Some(letter) = &evidence.letter {
        return given_up(&call, letter, evidence);
    }
    if let Some(cause) = evidence.callback.as_ref().and_then(|callback| not_told(function, callback)) {
        return cause;
    }
    if let Some(end) = &evidence.end {
        let after = took_ms(end.ended_ms.saturating_sub(accepted_ms));
        let status = end.status.map(|status| format!(" with {status}")).unwrap_or_default();
        let attempts = count(u64::from(end.attempts), "attempt");
        if end.failed {
            let why =
                evidence.failure.as_ref().map(|cause| format!(": {}", cause.reason)).unwrap_or_default();
            let cause = Cause::new(Verdict::Bad, format!("{call} was given up after {attempts}{why}"));
            let fix = evidence.failure.as_ref().and_then(|cause| cause.fix.clone());
            return cause
                .fix(fix.unwrap_or_else(|| format!("mend `{function}`, then call again")))
                .owner(Owner::Code);
        }
        let told = evidence
            .callback
            .as_ref()
            .map(|callback| format!(", and its result was sent to {}", callback.url));
        let reason = format!(
            "{call} ended{status}, {after} after it was accepted, with {attempts}{}",
            told.unwrap_or_default()
        );
        return Cause::new(Verdict::Good, reason);
    }
    waiting(&call, evidence)
}

/// It has not ended.
fn waiting(call: &str, evidence: &AsyncEvidence<'_>) -> Cause {
    let (app, function) = (evidence.app, evidence.function);
    let waits = |reason: String| Cause::new(Verdict::Waiting, reason);
    match evidence.place {
        Whereabouts::Flying { .. } if evidence.failure.as_ref().is_some_and(event::is_no_place) => {
            let failure = evidence.failure.clone().unwrap_or_else(|| waits(String::new()));
            failure.and(&format!("; {call} asks for a place again now"))
        }
        Whereabouts::Flying { attempt } => {
            waits(format!("{call} is being made now (attempt {attempt} of {})", evidence.attempts))
                .fix(format!("wait, or see what it does: hob logs {app}/{function}"))
                .owner(Owner::Code)
        }
        Whereabouts::Waiting { due_ms, failures } => {
            let due = time(due_ms);
            let put_back = evidence.failure.as_ref().is_some_and(event::is_no_place);
            let attempts = if failures == 0 || put_back {
                format!("that counts as no attempt of {call}, and it is tried again at {due}")
            } else {
                format!("{failures} of {} attempts of {call} failed, the next one is at {due}", evidence.attempts)
            };
            match &evidence.failure {
                Some(failure) => Cause {
                    verdict: Verdict::Waiting,
                    reason: format!("{}; {attempts}", failure.reason),
                    ..failure.clone()
                },
                None => waits(attempts).fix(format!("hob logs {app}/{function}")).owner(Owner::Code),
            }
        }
        Whereabouts::Settled | Whereabouts::Burying => {
            waits(format!("{call} has ended, and its result is not kept any more"))
                .fix("results are kept for a day, the newest 100,000 of an app; read them earlier, or have them sent with `Hob-Callback-Url`")
                .owner(Owner::Caller)
        }
        _ => waits(format!("{call} waits for its turn: others of the app are made first"))
            .fix(format!("raise `scale.max` or `scale.concurrency` of `{function}`, or make it faster"))
            .owner(Owner::Limit),
    }
}

fn given_up(call: &str, letter: &DeadLetter, evidence: &AsyncEvidence<'_>) -> Cause {
    let kept = place(&letter.topic, letter.sequence);
    let attempts = count(u64::from(letter.attempts), "failed attempt");
    let answer =
        letter.answer.as_deref().map(|answer| format!("the last answer was `{}`", line(answer, 120)));
    let why = evidence.failure.as_ref().map(|failure| failure.reason.clone()).or(answer).unwrap_or_default();
    let mend = evidence.failure.as_ref().and_then(|failure| failure.fix.clone());
    let mend = mend.unwrap_or_else(|| format!("mend `{}`", evidence.function));
    Cause {
        verdict: Verdict::Bad,
        reason: format!("{call} was given up after {attempts}: {why}; it is kept as {kept}"),
        fix: Some(format!("{mend}; then hob dlq redrive {} {}", letter.topic, letter.sequence)),
        owner: evidence.failure.as_ref().map_or(Some(Owner::Code), |failure| failure.owner),
        code: letter.code.clone(),
        root: None,
    }
}

/// Its result could not be sent; `None` when it was, or nobody has tried yet.
fn not_told(function: &str, callback: &Callback) -> Option<Cause> {
    let text = callback.failure.as_deref()?;
    if callback.place == Whereabouts::Settled && !callback.dead {
        return None;
    }
    let url = &callback.url;
    let (code, message) = match text.split_once(' ') {
        Some((code, message)) if code.starts_with("HOB-") => (Some(code.trim_end_matches(':')), message),
        _ => (None, text),
    };
    let to = address(url);
    let (what, fix) = match code {
        Some("HOB-0507") => (
            message.to_owned(),
            format!(
                "add `\"{to}\"` to `egress` of `[functions.{function}]` in `hob.toml`, then `hob deploy`"
            ),
        ),
        code => {
            let failure = Failure {
                code: code.unwrap_or_default().to_owned(),
                message: message.to_owned(),
                hint: None,
                detail: None,
                owner: Owner::Dependency,
            };
            call_failure(function, &to, &failure)
        }
    };
    let again = match callback.place {
        Whereabouts::Waiting { due_ms, .. } => format!("; it is tried again at {}", time(due_ms)),
        _ if callback.dead => "; it was given up".to_owned(),
        _ => String::new(),
    };
    let reason = format!(
        "the result of the asynchronous call of `{function}` does not reach its callback address {url}: {what}{again}"
    );
    let owner = if code == Some("HOB-0507") { Owner::Limit } else { Owner::Dependency };
    let cause = Cause::new(Verdict::Bad, reason).fix(fix).owner(owner);
    Some(match code {
        Some(code) => cause.code(code),
        None => cause,
    })
}

/// Host and port of a URL, as an `egress` list has them.
fn address(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let has_port =
        authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    if has_port { authority.to_owned() } else { format!("{authority}:{port}") }
}

#[cfg(test)]
mod tests;
