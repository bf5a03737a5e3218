//! A call that was not let in, since its function fails again and again: what broke, since when, and when it is tried next.
//!
//! **Why.** The refusal itself says only that there were failures. What has to be mended is why the instances before it ended,
//! which is in their facts and in what they printed.

use super::cause::{self, Around, plain};
use super::change::then_deploy;
use super::text::time;
use super::{Cause, own};
use crate::fact::{Call, Fact, Failure, InstanceStep, What};
use crate::name::RevisionNumber;
use crate::wire::Verdict;

/// What is known of the circuit of a function at a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broken {
    /// When calls began to be refused, milliseconds since the Unix epoch; `None`: nobody remembers.
    pub since_ms: Option<u64>,
    /// Why the newest instance before the call ended, or did not start.
    pub failure: Option<Failure>,
    /// That instance.
    pub instance: Option<u64>,
    /// What it printed last.
    pub printed: Vec<String>,
    /// What becomes of it.
    pub next: Next,
}

/// What becomes of a function whose circuit was open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// Nobody knows: its revision is gone.
    #[default]
    Unknown,
    /// Refused until then, milliseconds since the Unix epoch.
    Paused(u64),
    /// The pause is over: the next call or start shows whether it works, or one does so now.
    Probed,
    /// It works again since then, milliseconds since the Unix epoch.
    Works(u64),
}

/// What the facts of a function's instances (oldest first) say of a call that was refused at `at_ms`.
pub fn broken(instances: &[Fact], revision: RevisionNumber, at_ms: u64) -> Broken {
    let mut broken = Broken::default();
    for fact in instances {
        let What::Instance(one) = &fact.what else { continue };
        if one.revision != revision {
            continue;
        }
        let before = fact.time_ms <= at_ms;
        match one.step {
            InstanceStep::CircuitClosed if before => broken = Broken::default(),
            InstanceStep::CircuitClosed => {
                broken.next = Next::Works(fact.time_ms);
                break;
            }
            InstanceStep::CircuitOpened if before => drop(broken.since_ms.get_or_insert(fact.time_ms)),
            InstanceStep::StartFailed | InstanceStep::Ended if before && one.failure.is_some() => {
                broken.failure.clone_from(&one.failure);
                broken.instance = Some(one.instance);
            }
            _ => {}
        }
    }
    broken
}

/// The cause of a refusal.
pub(super) fn of_refusal(call: &Call, refusal: &Failure, around: &Around<'_>) -> Cause {
    let Some((broken, failure)) = around.broken.and_then(|broken| Some((broken, broken.failure.as_ref()?)))
    else {
        return plain(refusal);
    };
    let function = &call.function;
    let deeper = match failure.code.as_str() {
        "HOB-0307" | "HOB-0308" => {
            let env = around.spec.map(|spec| &spec.env);
            cause::start(function.as_str(), call.app.as_str(), failure, &broken.printed, env)
        }
        _ => {
            let own = Call { status: None, outside: Vec::new(), ..call.clone() };
            let around = Around { printed: &broken.printed, spec: around.spec, ..Around::default() };
            own::of_failure(&own, Some(failure), &around)
        }
    };
    let since = broken.since_ms.map(|since_ms| format!(" since {}", time(since_ms))).unwrap_or_default();
    let next = match broken.next {
        Next::Unknown => String::new(),
        Next::Paused(until_ms) => format!(" until {}", time(until_ms)),
        Next::Probed => ", and the next one tries again".to_owned(),
        Next::Works(since_ms) => format!(", and it works again since {}", time(since_ms)),
    };
    // What broke is a sentence of its own, which begins with the function.
    let reason = format!("calls are refused{since}{next}: {}", deeper.reason);
    Cause { verdict: Verdict::Bad, reason, fix: deeper.fix.map(then_deploy), ..deeper }.code(&refusal.code)
}

#[cfg(test)]
mod tests {
    use super::{Broken, Next, broken};
    use crate::fact::{Fact, Failure, InstanceChanged, InstanceStep, What};
    use crate::name::RevisionNumber;
    use crate::why::cause::{Around, of_call};
    use crate::why::sample::{app, check, fact, failed, failure, function, lines};
    use crate::wire::Verdict::Bad;

    fn step(time_ms: u64, instance: u64, step: InstanceStep, why: Option<&str>) -> Fact {
        let changed = InstanceChanged {
            app: app("shop"),
            revision: RevisionNumber(1),
            function: function("f"),
            instance,
            step,
            failure: why.map(|why| failure("HOB-0502", why)),
            start_us: 0,
            instances: 0,
        };
        fact(time_ms, What::Instance(Box::new(changed)))
    }

    #[test]
    fn what_broke_is_the_last_failure_before_the_call_and_it_lasts_since_the_first_refusal() {
        use InstanceStep::{CircuitClosed, CircuitOpened, CircuitProbed, Ended};
        let facts = [
            step(1000, 1, Ended, Some("an old one")),
            step(1000, 0, CircuitOpened, None),
            step(2000, 0, CircuitClosed, None),
            step(3000, 2, Ended, Some("one")),
            step(3100, 0, CircuitOpened, None),
            step(4000, 0, CircuitProbed, None),
            step(4100, 3, Ended, Some("two")),
            step(4100, 0, CircuitOpened, None),
            step(6000, 4, Ended, Some("three")),
            step(9000, 0, CircuitClosed, None),
        ];
        for (at_ms, until, since_ms, instance, next) in [
            (3500, 8, Some(3100), Some(2), Next::Unknown),
            (4200, 8, Some(3100), Some(3), Next::Unknown),
            (4200, 10, Some(3100), Some(3), Next::Works(9000)),
            (2500, 3, None, None, Next::Unknown),
        ] {
            let found = broken(&facts[..until], RevisionNumber(1), at_ms);
            assert_eq!((found.since_ms, found.instance, found.next), (since_ms, instance, next), "{at_ms}");
        }
        assert_eq!(broken(&facts, RevisionNumber(2), 9999), Broken::default());
    }

    #[test]
    fn a_refusal_says_what_broke_since_when_and_when_it_is_tried_next() {
        let refused = failed("HOB-0515", "`f` failed 5 times in a row");
        let known = Broken {
            since_ms: Some(3_600_000),
            failure: Some(failure("HOB-0502", "`f` ended with exit code 1")),
            instance: Some(3),
            printed: lines("KeyError: 'API_KEY'"),
            next: Next::Unknown,
        };
        let start = Failure {
            hint: Some("it printed:\nKeyError: 'PORT_X'".to_owned()),
            ..failure("HOB-0308", "`f` ended before it was ready")
        };
        for (name, broken, reason, fix) in [
            (
                "paused",
                Broken { next: Next::Paused(7_200_000), ..known.clone() },
                &["refused since 1970-01-01T01:00:00", "`API_KEY`", "until 1970-01-01T02:00:00"][..],
                "hob deploy",
            ),
            (
                "probed",
                Broken { next: Next::Probed, ..known.clone() },
                &["`API_KEY`", "the next one tries"],
                "`env`",
            ),
            (
                "works",
                Broken { next: Next::Works(7_200_000), ..known.clone() },
                &["works again since 1970-01-01T02"],
                "",
            ),
            (
                "a start",
                Broken { failure: Some(start), printed: Vec::new(), ..known.clone() },
                &["`PORT_X`"],
                "`env`",
            ),
            (
                "nothing printed",
                Broken { printed: Vec::new(), ..known },
                &["ended with exit code 1"],
                "hob logs",
            ),
            ("nothing is known", Broken::default(), &["failed 5 times in a row"], ""),
        ] {
            let cause = of_call(&refused, &Around { broken: Some(&broken), ..Around::default() });
            assert_eq!(cause.code.as_deref(), Some("HOB-0515"), "{name}");
            check(name, &cause, (Bad, reason, &[fix]));
        }
    }
}
