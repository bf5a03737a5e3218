//! What is said of functions, codes and unknown things, in tables.

use super::{FunctionEvidence, code, function, no_such, unknown};
use crate::code::Code;
use crate::fact::{Fact, InstanceChanged, InstanceStep, What};
use crate::name::RevisionNumber;
use crate::why::Cause;
use crate::why::sample::{self, Expected, app, call, check_story, fact, failed, failure};
use crate::wire::Verdict::{Bad, Good, Skipped, Unknown};

fn started(revision: u32) -> Fact {
    let instance = InstanceChanged {
        app: app("shop"),
        revision: RevisionNumber(revision),
        function: sample::function("f"),
        instance: 1,
        step: InstanceStep::StartFailed,
        failure: Some(failure("HOB-0308", "`f` ended before it was ready")),
        start_us: 0,
        instances: 0,
    };
    fact(1000, What::Instance(Box::new(instance)))
}

#[test]
fn a_function_says_how_it_does() {
    let of = |call| fact(2000, What::Call(Box::new(call)));
    let (good, bad) = (of(call(Some(200))), of(failed("HOB-0508", "exit")));
    let broken = || Some(Cause::new(Bad, "`f` answered 500").fix("mend `f`"));
    let slow = || Some(Cause::new(Good, "slow because of a cold start").fix("`scale.min`"));
    let leads = ["route `/x`".to_owned()];
    let base =
        FunctionEvidence { current: Some(RevisionNumber(1)), leads: &leads, ..FunctionEvidence::default() };
    let rows: Vec<(&str, Vec<Fact>, FunctionEvidence<'_>, Expected<'_>)> = vec![
        ("well", vec![good.clone()], base.clone(), (Good, &["none of its 1 call failed"], &[])),
        (
            "failing",
            vec![good.clone(), bad.clone()],
            FunctionEvidence { failed: broken(), ..base.clone() },
            (Bad, &["answered 500", "1 call of `f` failed"], &["mend `f`"]),
        ),
        (
            "slow",
            vec![good.clone()],
            FunctionEvidence { slow: slow(), ..base.clone() },
            (Good, &["cold start", "the slowest call"], &["`scale.min`"]),
        ),
        (
            "does not start",
            vec![started(1)],
            base.clone(),
            (Bad, &["could not be started"], &["hob logs shop/f"]),
        ),
        ("of a revision that never was", vec![started(2), good], base.clone(), (Good, &["none of its"], &[])),
        (
            "not called",
            vec![],
            base.clone(),
            (Skipped, &["nobody has called `f`", "route `/x`"], &["hob why --route"]),
        ),
        (
            "out of reach",
            vec![],
            FunctionEvidence { leads: &[], ..base.clone() },
            (Skipped, &["nothing calls `f`"], &["`route`"]),
        ),
    ];
    for (name, facts, evidence, expected) in rows {
        let evidence = FunctionEvidence { facts: &facts, ..evidence };
        check_story(name, &function(&app("shop"), &sample::function("f"), &evidence), expected);
    }
}

#[test]
fn what_nobody_knows_is_said_with_the_nearest() {
    let id = "016f5e66e80070008000000000000001";
    check_story(
        "sampled",
        &unknown(id, Some(2000), 1000, None),
        (Unknown, &["went well and fast"], &["always kept"]),
    );
    check_story("long ago", &unknown(id, Some(500), 1000, None), (Unknown, &["longer ago"], &["14 days"]));
    check_story(
        "near",
        &unknown("nighly", None, 0, Some("nightly")),
        (Unknown, &["`nighly`, only `nightly`"], &["hob why nightly"]),
    );
    let other = "4bf92f3577b34da6a3ce929d0e0e4736";
    check_story(
        "a trace",
        &unknown(other, None, 0, None),
        (Unknown, &["no request, call or trace"], &["14 days"]),
    );
    check_story("nothing", &unknown("x", None, 0, None), (Unknown, &["nothing called `x`"], &["topic/17"]));
    let near = no_such("function", Code::FunctionNotFound, "mian", Some("main"));
    check_story("function", &near, (Unknown, &["no function `mian`"], &["hob why --function main"]));
    let none = no_such("schedule", Code::ScheduleNotFound, "x", None);
    check_story("schedule", &none, (Unknown, &["no schedule `x`"], &["hob cron ls"]));
    let seen = [fact(1, What::Call(Box::new(failed("HOB-0501", "late"))))];
    let last = Cause::new(Bad, "`f` ran for 2 s").fix("`timeout`");
    check_story(
        "code",
        &code(Code::CallTimeout, &seen, Some(&last)),
        (Bad, &["HOB-0501 means", "once", "`f` ran"], &["`timeout`"]),
    );
    check_story(
        "unseen",
        &code(Code::CallTimeout, &[], None),
        (Unknown, &["not happened"], &["docs/errors/HOB-0501.md"]),
    );
}
