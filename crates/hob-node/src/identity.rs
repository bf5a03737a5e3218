//! New ids: UUID version 7 (RFC 9562, 5.7) for invocations, and the spans that belong to them.
//!
//! **How.** The low 64 bits of such an id are random, so they serve as the call's span id; a call that
//! comes without a trace begins one that has the call's own id. One draw of randomness makes all three.

use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::trace::{SpanId, TraceContext};
use ring::rand::{SecureRandom, SystemRandom};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::{NoContext, Timestamp, Uuid};

/// An id that no other call has.
pub(crate) fn invocation() -> InvocationId {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Without a shared counter: ids of one millisecond are in no order, and no call waits for a lock.
    let timestamp = Timestamp::from_unix(NoContext, now.as_secs(), now.subsec_nanos());
    InvocationId(Uuid::new_v7(timestamp).as_u128())
}

/// The trace of the call `id`, which continues its caller's, if that is known.
pub(crate) fn trace(id: InvocationId, caller: Option<TraceContext>) -> TraceContext {
    let SpanId(span_id) = id.into();
    caller.unwrap_or(TraceContext { trace_id: id.0, span_id, flags: 1 }).child(span_id)
}

/// A text of 128 random bits that nobody can guess.
pub(crate) fn secret() -> String {
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    format!("{}{}", first.simple(), second.simple())
}

/// So many random hexadecimal digits, four bits each.
///
/// # Errors
/// `HOB-0901` when the system has no randomness to give.
pub(crate) fn random(digits: usize) -> Result<String> {
    let mut bytes = vec![0; digits.div_ceil(2)];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Fault::internal("the system gives no random bytes"))?;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    Ok(text)
}

/// Whether two secrets are equal, in a time that depends on their lengths only.
pub(crate) fn same_secret(given: &[u8], expected: &[u8]) -> bool {
    let difference = given.iter().zip(expected).fold(0u8, |all, (a, b)| all | (a ^ b));
    given.len() == expected.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::{invocation, same_secret, trace};
    use hob_core::trace::TraceContext;

    #[test]
    fn a_call_continues_its_callers_trace_or_begins_one() {
        let (first, second) = (invocation(), invocation());
        assert_ne!(first, second);
        let root = trace(first, None);
        assert_eq!(root.trace_id, first.0);
        let child = trace(second, Some(root));
        assert_eq!((child.trace_id, child.flags), (root.trace_id, root.flags));
        assert_ne!(child.span_id, root.span_id);
        assert!(TraceContext::parse(&root.to_string()).is_some());
    }

    #[test]
    fn secrets_are_equal_only_as_a_whole() {
        for (given, expected, same) in
            [("a", "a", true), ("", "", true), ("a", "ab", false), ("b", "a", false)]
        {
            assert_eq!(same_secret(given.as_bytes(), expected.as_bytes()), same, "{given} {expected}");
        }
    }
}
