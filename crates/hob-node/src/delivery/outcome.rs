//! What an answer to a delivery means: done, again, later, or never.
//!
//! **How.** One table, which `docs/guides/events.md` shows. It is Knative's (eventing, delivery contract)
//! with the difference that an answer which says that the node itself is full costs no attempt; nor does it that the
//! space has as many calls as it may ([`no_place`]).

use crate::bus::dead::Failure;
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::BUDGET_RETRY_MAX;
use hob_core::subscription::Outcome;
use hob_core::unit::millis;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

/// Judges an answer. `code` is there when Hob answered in the function's place.
pub(super) fn judge(status: StatusCode, code: Option<Code>, after_ms: Option<u64>) -> Outcome {
    match (code, status.as_u16()) {
        (Some(Code::QueueFull | Code::QueueTimeout | Code::CircuitOpen | Code::Stopping), _) => {
            Outcome::Overloaded { after_ms }
        }
        // It may be raised long before it begins anew.
        (Some(Code::BudgetSpent), _) => {
            let most_ms = millis(BUDGET_RETRY_MAX);
            Outcome::Overloaded { after_ms: Some(after_ms.map_or(most_ms, |ms| ms.min(most_ms))) }
        }
        // What is missing or too large stays so, however often it is tried.
        (Some(Code::FunctionNotFound | Code::AppNotFound | Code::BodyTooLarge | Code::LoopTooDeep), _) => {
            Outcome::Rejected
        }
        (Some(_), _) => Outcome::Retry { after_ms },
        (None, 200..=299) => Outcome::Done,
        (None, 404 | 408 | 409 | 425 | 429 | 500..) => Outcome::Retry { after_ms },
        (None, _) => Outcome::Rejected,
    }
}

/// What it means that the space has no place for the call: it asks again soon, however often it has, and that counts as no
/// attempt. It has waited in its place before, so asking costs little.
pub(super) fn no_place(fault: &Fault) -> Outcome {
    Outcome::Later { after_ms: fault.retry_after_s().map_or(1000, |seconds| u64::from(seconds) * 1000) }
}

/// What it means that the node could not keep what follows from a success: where its disk or its files are
/// the reason, the function is not to blame, and the attempt does not count.
pub(super) fn not_kept(fault: &Fault) -> Outcome {
    let after_ms = fault.retry_after_s().map(|seconds| u64::from(seconds) * 1000);
    match fault.code() {
        Code::StoreIo | Code::StoreFull | Code::TopicFull | Code::LogReadOnly | Code::IngressFull => {
            Outcome::Overloaded { after_ms }
        }
        _ => Outcome::Retry { after_ms },
    }
}

/// `Retry-After` in milliseconds, if it is a number of seconds (RFC 9110, 10.2.3).
pub(super) fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    seconds.checked_mul(1000)
}

/// The code with which Hob answered in the function's place; a function cannot set that header.
pub(super) fn code_of(headers: &HeaderMap) -> Option<Code> {
    Code::parse(headers.get(crate::problem::HOB_ERROR)?.to_str().ok()?)
}

/// What is kept of a failed attempt.
pub(super) fn failure(
    status: StatusCode,
    headers: &HeaderMap,
    answer: &[u8],
    destination: String,
) -> Failure {
    let invocation = headers.get(crate::gateway::forward::INVOCATION_ID);
    let (code, text) = (code_of(headers), String::from_utf8_lossy(answer));
    // Of Hob's own answer the first line says what happened; the others are for the caller of a request.
    let text = if code.is_some() { text.lines().next().unwrap_or_default() } else { &*text };
    Failure {
        code: code.map(|code| code.text().to_owned()),
        status: Some(status.as_u16()),
        answer: Some(text.to_owned()).filter(|answer| !answer.is_empty()),
        invocation: invocation.and_then(|id| id.to_str().ok()).map(str::to_owned),
        destination: Some(destination),
    }
}

#[cfg(test)]
mod tests {
    use super::{judge, no_place, not_kept};
    use hob_core::code::Code;
    use hob_core::fault::Fault;
    use hob_core::subscription::Outcome;
    use http::StatusCode;

    #[test]
    fn answers_mean_what_the_table_says() {
        let (again, later) =
            (Outcome::Retry { after_ms: Some(7) }, Outcome::Overloaded { after_ms: Some(7) });
        for (status, code, expected) in [
            (200, None, Outcome::Done),
            (202, None, Outcome::Done),
            (299, None, Outcome::Done),
            (301, None, Outcome::Rejected),
            (400, None, Outcome::Rejected),
            (404, None, again),
            (408, None, again),
            (409, None, again),
            (410, None, Outcome::Rejected),
            (413, None, Outcome::Rejected),
            (429, None, again),
            (500, None, again),
            (503, None, again),
            (599, None, again),
            (503, Some(Code::QueueFull), later),
            (503, Some(Code::CircuitOpen), later),
            (503, Some(Code::Stopping), later),
            (503, Some(Code::BudgetSpent), later),
            (504, Some(Code::CallTimeout), again),
            (502, Some(Code::Crashed), again),
            (502, Some(Code::StartExit), again),
            (404, Some(Code::FunctionNotFound), Outcome::Rejected),
            (413, Some(Code::BodyTooLarge), Outcome::Rejected),
        ] {
            let found = judge(StatusCode::from_u16(status).unwrap(), code, Some(7));
            assert_eq!(found, expected, "{status} {code:?}");
        }
    }

    #[test]
    fn what_waits_for_its_space_asks_again_soon() {
        for (fault, after_ms) in [
            (Fault::new(Code::SpaceCalls, "x").retry_after(1), 1000),
            (Fault::new(Code::SpaceRate, "x").retry_after(3), 3000),
            (Fault::new(Code::SpaceCalls, "x"), 1000),
        ] {
            assert_eq!(no_place(&fault), Outcome::Later { after_ms }, "{fault}");
        }
    }

    #[test]
    fn what_the_disk_refuses_costs_no_attempt() {
        for (code, counts) in [
            (Code::StoreFull, false),
            (Code::LogReadOnly, false),
            (Code::StoreIo, false),
            (Code::Internal, true),
        ] {
            let found = not_kept(&Fault::new(code, "x"));
            assert_eq!(matches!(found, Outcome::Retry { .. }), counts, "{code}");
        }
    }
}
