//! Whom a failed or slow call is blamed on, in tables.

use super::{Around, Child, of_call};
use crate::code::Owner;
use crate::fact::{Call, Failure, Outside, Times, Used};
use crate::limit::CALL_DEPTH_MAX;
use crate::spec::FunctionSpec;
use crate::why::Cause;
use crate::why::sample::{Expected, SECOND, call, check, child, failed, failure, lines, outside, spec};
use crate::wire::Verdict::{Bad, Good};

/// A call, the lines that it printed, and what is expected.
type Row<'a> = (&'a str, Call, &'a str, Expected<'a>);

fn told(call: &Call, printed: &str) -> Cause {
    let (printed, spec) = (lines(printed), spec());
    of_call(
        call,
        &Around { printed: &printed, spec: Some(&spec), answer: call.said.as_deref(), ..Around::default() },
    )
}

fn check_rows(rows: &[Row<'_>]) {
    for (name, call, printed, expected) in rows {
        check(name, &told(call, printed), *expected);
    }
}

fn timed(call: Call, times: Times) -> Call {
    Call { times, ..call }
}

fn with(call: Call, outside: Outside) -> Call {
    Call { outside: vec![outside], ..call }
}

fn refused(code: &str, message: &str, detail: &str) -> Outside {
    let detail = Some(detail.to_owned()).filter(|detail| !detail.is_empty());
    Outside { failure: Some(Failure { detail, ..failure(code, message) }), ..outside(None, Some(10)) }
}

/// A function that may use a quarter of a processor, and did so for so many milliseconds of two seconds.
#[test]
fn a_limit_of_processors_is_blamed_where_it_was_reached() {
    let spec = FunctionSpec { cpu_milli: Some(250), ..spec() };
    let long = Times { total_us: 2 * SECOND, answer_us: 2 * SECOND, ..Times::default() };
    let spent = |call, cpu_ms: u64| {
        let used = Used { cpu_us: Some(cpu_ms * 1000), ..Used::default() };
        Call { used, ..timed(call, long) }
    };
    for (name, call, expected) in [
        (
            "late",
            spent(failed("HOB-0501", "late"), 490),
            (
                Bad,
                &["`timeout` is 2s", "all the processor time", "0.25 processors"][..],
                &["`cpu` of `f`"][..],
            ),
        ),
        (
            "late, and nobody knows",
            timed(failed("HOB-0501", "late"), long),
            (Bad, &["`timeout` is 2s, its `cpu` 0.25"], &["its `timeout` or its `cpu`"]),
        ),
        (
            "slow",
            spent(call(Some(200)), 490),
            (Good, &["slow because of its limit", "0.25"], &["`cpu` of `f`"]),
        ),
        ("waits", spent(call(Some(200)), 100), (Good, &["its own code took"], &["profile"])),
    ] {
        check(name, &of_call(&call, &Around { spec: Some(&spec), ..Around::default() }), expected);
    }
}

#[test]
fn failures_that_hob_tells_are_made_more_exact() {
    let long = Times { total_us: 2 * SECOND, answer_us: 2 * SECOND, ..Times::default() };
    let queued = Times { queue_us: 2 * SECOND, ..long };
    let late = || timed(failed("HOB-0501", "late"), long);
    check_rows(&[
        (
            "slow by itself",
            late(),
            "row 7 is next",
            (Bad, &["`f` ran for 2.00 s", "`timeout` is 2s", "row 7 is next"], &["`timeout`"]),
        ),
        (
            "waits outside",
            with(late(), outside(None, None)),
            "",
            (Bad, &["waited", "`db.example:5432`", "did not answer"], &["db.example"]),
        ),
        (
            "queued",
            timed(late(), queued),
            "",
            (Bad, &["waited 2.00 s", "for an instance of `f`", "1 instance"], &["`scale.max`"]),
        ),
        (
            "queue full",
            failed("HOB-0503", "10000 calls wait"),
            "",
            (Bad, &["10000 calls wait", "1 instance"], &["`scale.max`"]),
        ),
        ("memory", failed("HOB-0505", "much"), "", (Bad, &["more memory", "64 MiB"], &["`memory` of `f`"])),
        ("body", failed("HOB-0405", "the body has 2 KiB"), "", (Bad, &["2 KiB", "`f`"], &["`body` of `f`"])),
        (
            "budget",
            failed("HOB-0511", "function `f` has spent its budget"),
            "",
            (Bad, &["budget"], &["`budget` of `f`", "hob deploy"]),
        ),
        (
            "the app's",
            failed("HOB-0511", "app `shop` has spent its budget"),
            "",
            (Bad, &["budget"], &["`[budget]` of app `shop`"]),
        ),
        (
            "unknown code",
            failed("HOB-0901", "a fault"),
            "",
            (Bad, &["a fault"], &["docs/errors/HOB-0901.md"]),
        ),
        (
            "signal",
            failed("HOB-0502", "`f` was ended by signal 9"),
            "",
            (Bad, &["signal 9", "memory was short"], &["`f`"]),
        ),
        (
            "exit code",
            failed("HOB-0508", "`f` ended with exit code 127"),
            "",
            (Bad, &["127", "not found"], &["`f`"]),
        ),
        ("nobody waited", timed(call(None), long), "", (Bad, &["the caller went away"], &["wait longer"])),
        (
            "nobody waited, for one outside",
            with(timed(call(None), long), outside(None, None)),
            "",
            (Bad, &["went away", "db.example"], &["db.example"]),
        ),
    ]);
}

#[test]
fn a_functions_own_failure_is_read_from_what_it_did_and_said() {
    let exit = || failed("HOB-0508", "`f` ended with exit code 1");
    let said = |status, said: &str| Call { said: Some(said.to_owned()), ..call(Some(status)) };
    check_rows(&[
        (
            "variable",
            exit(),
            "KeyError: 'API_KEY'",
            (Bad, &["misses", "`API_KEY`", "exit code 1"], &["`API_KEY`", "[functions.f]"]),
        ),
        (
            "one that is set",
            exit(),
            "KeyError: 'SET' is required",
            (Bad, &["exit code 1", "required"], &["mend the code"]),
        ),
        ("header", exit(), "KeyError: 'HTTP_X_USER'", (Bad, &["no header `x-user`"], &["send `x-user`"])),
        (
            "attribute",
            exit(),
            "KeyError: 'HTTP_CE_SUBJECT'",
            (Bad, &["the event has no `subject`"], &["publish"]),
        ),
        (
            "sign",
            exit(),
            "Error: connect ECONNREFUSED 127.0.0.1:5432",
            (Bad, &["takes no connections", "ECONNREFUSED"], &["start that system"]),
        ),
        ("line", exit(), "ValueError: bad", (Bad, &["exit code 1", "ValueError: bad"], &["hob logs shop/f"])),
        ("answer", said(500, "no paper"), "", (Bad, &["answered 500", "no paper"], &["`f`"])),
        ("variable in the answer", said(500, "KeyError: 'API_KEY'"), "", (Bad, &["`API_KEY`"], &["env"])),
        (
            "in the middle",
            Call { status: Some(200), ..exit() },
            "",
            (Bad, &["exit code 1", "in the middle of its answer with 200"], &["`f`"]),
        ),
        ("markup", said(500, "<!DOCTYPE html><html>"), "", (Bad, &["`f` answered 500"], &["`f`"])),
        (
            "refusal",
            said(422, "no such order"),
            "",
            (Bad, &["answered 422 itself", "no such order"], &["compare"]),
        ),
        ("credentials", call(Some(401)), "", (Bad, &["answered 401 itself"], &["credentials"])),
        ("not there", call(Some(404)), "", (Bad, &["answered 404 itself"], &["the route is right"])),
        ("too often", call(Some(429)), "", (Bad, &["answered 429 itself"], &["less often"])),
    ]);
}

#[test]
fn what_it_called_is_blamed_before_what_it_printed() {
    let exit = || failed("HOB-0508", "`f` ended with exit code 1");
    let printed = "requests.exceptions.HTTPError: 502";
    check_rows(&[
        (
            "status",
            with(exit(), outside(Some(503), Some(1))),
            printed,
            (Bad, &["db.example:5432", "503"], &["db.example"]),
        ),
        (
            "its own 500",
            with(call(Some(500)), outside(Some(503), Some(1))),
            "",
            (Bad, &["answered 500 after", "503"], &["db.example"]),
        ),
        ("quota", with(exit(), outside(Some(429), Some(1))), printed, (Bad, &["429"], &["less often"])),
        (
            "credentials",
            with(exit(), outside(Some(403), Some(1))),
            printed,
            (Bad, &["403"], &["credentials"]),
        ),
        ("path", with(exit(), outside(Some(404), Some(1))), printed, (Bad, &["404"], &["path"])),
        (
            "name",
            with(exit(), refused("HOB-0510", "the name `db` was not found", "")),
            printed,
            (Bad, &["was not found"], &["host name"]),
        ),
        (
            "closed",
            with(exit(), refused("HOB-0510", "cannot connect to `db`", "refused")),
            printed,
            (Bad, &["cannot connect"], &["start what should listen"]),
        ),
        (
            "certificate",
            with(exit(), refused("HOB-0510", "bad", "invalid peer certificate: Expired")),
            printed,
            (Bad, &["certificate: Expired"], &["mend the certificate"]),
        ),
        (
            "nothing wrong there",
            with(exit(), outside(Some(200), Some(1))),
            "ValueError: bad",
            (Bad, &["ValueError: bad"], &["mend the code"]),
        ),
    ]);
    let bus = Outside { to: "bus.internal/orders".to_owned(), ..refused("HOB-0801", "no event", "") };
    check("bus", &told(&with(exit(), bus), ""), (Bad, &["published to `orders`", "no event"], &[]));
}

#[test]
fn a_failure_is_told_where_it_began() {
    let spec = spec();
    let of = |name: &str, call: &Call, below: Vec<Child>, printed: &str| {
        let (call, printed) = (child(name, call.clone()), lines(printed));
        let around = Around { children: &below, printed: &printed, spec: Some(&spec), ..Around::default() };
        Child { cause: Some(of_call(&call, &around)), call }
    };
    let exit = failed("HOB-0508", "`x` ended with exit code 1");
    let back = of("back", &exit, Vec::new(), "KeyError: 'API_KEY'");
    let middle = of("middle", &exit, vec![back], "curl: (22) 500");
    let around =
        |below: &[Child]| of_call(&call(Some(502)), &Around { children: below, ..Around::default() });
    let cause = around(std::slice::from_ref(&middle));
    check(
        "two further on",
        &cause,
        (Bad, &["`f` answered 502", "further down", "`back` misses", "`API_KEY`"], &["[functions.back]"]),
    );
    assert_eq!(cause.owner, Some(Owner::Code));
    // However deep, it is told once.
    let mut deep = middle;
    for _ in 0..CALL_DEPTH_MAX {
        deep = of("middle", &exit, vec![deep], "");
    }
    let reason = around(&[deep]).reason;
    assert_eq!(
        (reason.matches("API_KEY").count(), reason.matches("further down").count()),
        (2, 1),
        "{reason}"
    );
}

#[test]
fn a_slow_call_says_where_its_time_went() {
    let all = Times { total_us: SECOND, answer_us: SECOND, ..Times::default() };
    let slow = |times| timed(call(Some(200)), times);
    check_rows(&[
        ("fast", call(Some(200)), "", (Good, &["answered 200 after 1.0 ms"], &[])),
        (
            "queue",
            slow(Times { queue_us: 900_000, ..all }),
            "",
            (Good, &["queueing", "900 ms of 1.00 s"], &["`scale.max`"]),
        ),
        (
            "start",
            slow(Times { start_us: 900_000, ..all }),
            "",
            (Good, &["cold start", "900 ms of 1.00 s"], &["`scale.min"]),
        ),
        (
            "outside",
            with(slow(all), outside(Some(200), Some(900_000))),
            "",
            (Good, &["because of `db.example:5432`"], &["db.example"]),
        ),
        ("own code", slow(all), "", (Good, &["own code took 1.00 s of 1.00 s"], &["profile `f`"])),
        (
            "a short start",
            slow(Times { total_us: 200_000, start_us: 150_000, ..all }),
            "",
            (Good, &["cold start"], &["`scale.min"]),
        ),
        (
            "a short wait for itself",
            slow(Times { total_us: 200_000, ..all }),
            "",
            (Good, &["answered 200"], &[]),
        ),
    ]);
    let below = [Child { call: child("b", slow(all)), cause: None }];
    let cause = of_call(&slow(all), &Around { children: &below, ..Around::default() });
    check("another function", &cause, (Good, &["because of function `b`"], &["hob why"]));
}

#[test]
fn a_program_that_does_not_start_is_told_by_what_it_printed() {
    let ended = failed("HOB-0308", "`f` ended with exit code 1 before it was ready");
    let with = |hint: &str| {
        [Failure { hint: Some(hint.to_owned()), ..failure("HOB-0308", "`f` ended before it was ready") }]
    };
    for (name, hint, expected) in [
        (
            "variable",
            "run it by hand; it printed:\nKeyError: 'API_KEY'",
            (Bad, &["misses", "`API_KEY`"][..], &["hob deploy"][..]),
        ),
        (
            "port",
            "run it by hand; it printed:\nOSError: Address already in use",
            (Bad, &["port", "taken"], &["`PORT`"]),
        ),
        (
            "line",
            "run it by hand; it printed:\nno licence",
            (Bad, &["could not be started", "no licence"], &["hob logs shop/f"]),
        ),
    ] {
        let start_failures = with(hint);
        let cause = of_call(&ended, &Around { start_failures: &start_failures, ..Around::default() });
        check(name, &cause, expected);
    }
    let late = Failure {
        hint: Some("listen on `$PORT`; it printed:\nhello".to_owned()),
        ..failure("HOB-0307", "`f` did not listen")
    };
    let call = Call { failure: Some(late), ..call(None) };
    check(
        "late",
        &of_call(&call, &Around::default()),
        (Bad, &["did not listen", "hello"], &["listen on `$PORT`"]),
    );
}

#[test]
fn what_failures_have_in_common_is_said() {
    let traits = |text: &str| [("path".to_owned(), text.to_owned())].into();
    let (failed, passed) = ([traits("/7"), traits("/7")], [traits("/1")]);
    let around = Around { failed: &failed, passed: &passed, ..Around::default() };
    check("two", &of_call(&call(Some(500)), &around), (Bad, &["all 2 failures have path `/7`"], &[]));
    let around = Around { failed: &failed[..1], ..around };
    check("one", &of_call(&call(Some(500)), &around), (Bad, &["it has path `/7`"], &[]));
    let around = Around { passed: &[], ..around };
    assert_eq!(of_call(&call(Some(500)), &around).reason, "`f` answered 500");
}
