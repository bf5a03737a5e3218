//! The stories of calls: what surprises although it went well, and which call of a trace tells most.

use super::{CallEvidence, refused, story, telling, trace};
use crate::fact::{Call, CallCause, Change, Changed, Fact, Refused, Times, What};
use crate::id::InvocationId;
use crate::name::RevisionNumber;
use crate::trace::TraceId;
use crate::why::sample::{app, call, check_story, child, fact, failed, failure, function, topic, trigger};
use crate::wire::Verdict::{Bad, Good};

fn of(call: &Call) -> Fact {
    fact(1000, What::Call(Box::new(call.clone())))
}

#[test]
fn a_call_that_went_well_says_what_may_surprise() {
    let rolled = Changed {
        id: None,
        app: app("shop"),
        function: None,
        change: Change::Rollback,
        from: Some(RevisionNumber(2)),
        to: Some(RevisionNumber(1)),
        failure: None,
        took_ms: 1,
    };
    let changes = [fact(900, What::Changed(Box::new(rolled)))];
    let shadowed = [("GET /*".to_owned(), function("list"))];
    let one = Call { route: Some("/{id}".to_owned()), ..call(Some(200)) };
    let published_ms = 0;
    let cause = CallCause::Event {
        subscription: trigger("letters"),
        topic: topic("orders"),
        sequence: 7,
        attempt: 1,
        published_ms,
        others: Vec::new(),
    };
    let event = Call { cause, ..call(Some(200)) };
    let newer = CallEvidence { current: Some(RevisionNumber(2)), ..CallEvidence::default() };
    let rolled = CallEvidence { changes: &changes, ..CallEvidence::default() };
    let exact = CallEvidence { shadowed: &shadowed, ..CallEvidence::default() };
    check_story(
        "rolled back",
        &story(&of(&one), &one, &rolled),
        (Good, &["rolled back", "answered 200"], &["hob rollback shop --to 2"]),
    );
    check_story(
        "shadowed",
        &story(&of(&one), &one, &exact),
        (Good, &["`GET /{id}`", "`GET /*` of `list`"], &["`list`"]),
    );
    check_story("older", &story(&of(&one), &one, &newer), (Good, &["revision 2 takes new requests"], &[]));
    let told = story(&of(&event), &event, &newer);
    check_story("an event's", &told, (Good, &["stays with the revision", "waited 1.00 s in the topic"], &[]));
    assert!(told.next.contains(&"hob why orders/7".to_owned()), "{:?}", told.next);
    let slow = |total_us| Times { start_us: total_us - 1, answer_us: total_us, total_us, ..Times::default() };
    let quick = Call { times: slow(200_000), ..one.clone() };
    let told = story(&of(&quick), &quick, &rolled);
    check_story("a little slow", &told, (Good, &["rolled back", "cold start"], &["hob rollback"]));
    let long = Call { times: slow(900_000), ..one };
    let told = story(&of(&long), &long, &rolled);
    check_story("slow", &told, (Good, &["slow because of a cold start", "rolled back"], &["`scale.min"]));
    let bad = failed("HOB-0508", "exit");
    let told = story(&of(&bad), &bad, &rolled);
    check_story("a failure comes first", &told, (Bad, &["exit"], &[]));
    assert!(told.path[0].text.contains("rolled back"), "{:?}", told.path);
}

#[test]
fn the_call_of_a_trace_that_tells_most_is_told() {
    let parent = Call { times: Times { total_us: 9, ..call(None).times }, ..failed("HOB-0508", "exit") };
    let below = child("b", failed("HOB-0501", "late"));
    let good = Call { id: InvocationId(9), ..call(Some(200)) };
    let facts = [of(&good), fact(1001, of(&below).what), of(&parent)];
    assert_eq!(telling(&facts).map(|(_, call)| call.id), Some(parent.id));
    assert_eq!(telling(&facts[..1]).map(|(_, call)| call.id), Some(good.id));
    let told = trace(TraceId(1), &facts, &CallEvidence::default()).unwrap();
    assert!(told.subject.starts_with("trace ") && told.path.len() == 2, "{told:?}");
    assert!(told.reason.ends_with("2 calls of the trace failed"), "{}", told.reason);
    assert_eq!(trace(TraceId(1), &[], &CallEvidence::default()), None);
}

#[test]
fn a_refused_request_is_told_as_it_was_or_as_it_is_now() {
    let refusal = Refused {
        id: InvocationId(7),
        control: false,
        app: None,
        method: "GET".to_owned(),
        path: "/x".to_owned(),
        host: "shop.localhost".to_owned(),
        failure: failure("HOB-0406", "two lengths"),
    };
    let at = fact(1, What::Refused(Box::new(refusal.clone())));
    let told = refused(&at, &refusal, None);
    check_story("as it was", &told, (Bad, &["two lengths"], &["docs/errors/HOB-0406.md"]));
    assert_eq!(told.next, ["hob why --route \"GET http://shop.localhost/x\""]);
    let now = crate::why::Cause::new(Bad, "it is private").fix("take that out");
    check_story("as it is", &refused(&at, &refusal, Some(now)), (Bad, &["private"], &["take that out"]));
}
