//! Marks of how something went: a colour, and always a word beside it.

use hob_core::code::Owner;
use hob_core::fact::Call;
use hob_core::wire::Verdict;
use maud::{Markup, html};

/// The class that colours a verdict.
pub(in crate::dashboard) const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Waiting => "wait",
        Verdict::Skipped => "skip-mark",
        Verdict::Bad => "bad",
        Verdict::Unknown => "unknown",
    }
}

/// The word for a verdict.
pub(in crate::dashboard) const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Waiting => "waiting",
        Verdict::Skipped => "left out",
        Verdict::Bad => "failed",
        Verdict::Unknown => "unknown",
    }
}

/// A word with the colour of a verdict.
pub(in crate::dashboard) fn mark(verdict: Verdict, text: &str) -> Markup {
    html! { span class={ "mark " (class(verdict)) } { (text) } }
}

/// The status of a call's answer.
pub(in crate::dashboard) fn status(call: &Call) -> Markup {
    let verdict = of_call(call);
    let text = match (&call.failure, call.status) {
        (Some(failure), _) => failure.code.clone(),
        (None, Some(status)) => status.to_string(),
        (None, None) => "no answer".to_owned(),
    };
    mark(verdict, &text)
}

/// How a call went.
pub(in crate::dashboard) fn of_call(call: &Call) -> Verdict {
    match call.status {
        _ if call.failed() => Verdict::Bad,
        Some(400..500) => Verdict::Skipped,
        _ => Verdict::Good,
    }
}

/// Who has to act, in words.
pub(in crate::dashboard) const fn owner(owner: Owner) -> &'static str {
    match owner {
        Owner::Platform => "the platform",
        Owner::Code => "the function's code",
        Owner::Limit => "a limit of the function",
        Owner::Dependency => "a service it depends on",
        Owner::Caller => "the caller",
    }
}
