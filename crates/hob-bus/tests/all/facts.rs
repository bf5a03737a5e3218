//! Facts are found by whatever somebody knows of them, and go away whole.

use crate::support::{for_each, name, open};
use hob_core::fact::{
    About, Call, CallCause, Delivered, Ending, Fact, FactQuery, Failure, Publication, Refused, SkipReason,
    Skipped, Times, Used, What,
};
use hob_core::id::InvocationId;
use hob_core::limit::FACTS_PER_SEGMENT;
use hob_core::name::{AppName, FunctionName, RevisionNumber, TriggerName};
use hob_core::trace::TraceId;

fn app() -> AppName {
    AppName::new("desk").unwrap()
}

fn trigger() -> TriggerName {
    TriggerName::new("mail").unwrap()
}

fn failure(code: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        message: "it failed".to_owned(),
        hint: None,
        detail: None,
        owner: hob_core::code::Owner::Code,
    }
}

fn call(id: u128, function: &str, cause: CallCause, status: u16) -> What {
    What::Call(Box::new(Call {
        id: InvocationId(id),
        parent: None,
        app: app(),
        revision: RevisionNumber(1),
        function: FunctionName::new(function).unwrap(),
        cause,
        method: "POST".to_owned(),
        path: "/".to_owned(),
        host: None,
        route: None,
        status: Some(status),
        failure: (status == 504).then(|| failure("HOB-0501")),
        times: Times::default(),
        cold: false,
        used: Used::default(),
        instance: None,
        outside: Vec::new(),
        said: None,
    }))
}

/// An event comes, one subscription leaves it out, another has a failed attempt and a good one; a request
/// finds nobody.
fn story() -> Vec<Fact> {
    let trace = Some(TraceId(7));
    let topic = name("orders");
    let event = |attempt| CallCause::Event {
        subscription: trigger(),
        topic: topic.clone(),
        sequence: 3,
        attempt,
        published_ms: 10,
        others: Vec::new(),
    };
    let whats = [
        What::Published(Box::new(Publication {
            topic: topic.clone(),
            sequence: 3,
            id: "e-1".to_owned(),
            source: "/s".to_owned(),
            kind: "t".to_owned(),
            duplicate: false,
            failure: None,
            by: Some(InvocationId(1)),
        })),
        What::Skipped(Box::new(Skipped {
            app: app(),
            subscription: TriggerName::new("other").unwrap(),
            revision: RevisionNumber(1),
            topic: topic.clone(),
            sequence: 3,
            reason: SkipReason::NoTrigger,
        })),
        call(2, "mail", event(1), 504),
        What::Delivered(Box::new(Delivered {
            app: app(),
            subscription: trigger(),
            topic: topic.clone(),
            sequence: 3,
            attempt: 1,
            invocation: Some(InvocationId(2)),
            ending: Ending::Retry { at_ms: 99 },
            failure: None,
        })),
        call(3, "mail", event(2), 200),
        call(1, "shop", CallCause::Request, 200),
    ];
    let mut facts: Vec<Fact> =
        whats.into_iter().zip(10..).map(|(what, time_ms)| Fact { time_ms, trace, what }).collect();
    facts.push(Fact {
        time_ms: 20,
        trace: None,
        what: What::Refused(Box::new(Refused {
            id: InvocationId(9),
            control: false,
            app: None,
            method: "GET".to_owned(),
            path: "/x".to_owned(),
            host: "h".to_owned(),
            failure: failure("HOB-0401"),
        })),
    });
    facts
}

#[test]
fn facts_are_found_by_whatever_is_known() {
    let function = |name| About::Function(app(), FunctionName::new(name).unwrap());
    let of = |about| FactQuery::newest(about, 100);
    let table: Vec<(FactQuery, &[u64])> = vec![
        (of(About::Everything), &[10, 11, 12, 13, 14, 15, 20]),
        (FactQuery::newest(About::Everything, 2), &[15, 20]),
        (FactQuery { since_ms: 12, until_ms: 15, ..of(About::Everything) }, &[12, 13, 14]),
        (FactQuery { kinds: vec!["call", "run"], ..of(About::Everything) }, &[12, 14, 15]),
        (FactQuery { failed: true, ..of(About::Everything) }, &[12, 13, 20]),
        (FactQuery { failed: true, ..of(function("mail")) }, &[12]),
        (of(About::Trace(TraceId(7))), &[10, 11, 12, 13, 14, 15]),
        (of(About::Invocation(InvocationId(2))), &[12, 13]),
        (of(About::Invocation(InvocationId(1))), &[10, 15]),
        (of(About::Event(name("orders"), 3)), &[10, 11, 12, 13, 14]),
        (of(About::Event(name("orders"), 4)), &[]),
        (of(About::EventId("e-1".to_owned())), &[10]),
        (of(About::Topic(name("orders"))), &[10]),
        (of(About::App(app())), &[12, 13, 14, 15]),
        (of(function("mail")), &[12, 14]),
        (of(About::Trigger(app(), trigger())), &[12, 13, 14]),
        (of(About::Code("HOB-0401".to_owned())), &[20]),
    ];
    for_each(async |row, settings| {
        let engine = open(row, settings);
        engine.facts.append(story()).await.unwrap();
        let check = async |facts: &dyn hob_core::port::Facts, when: &str| {
            for (query, expected) in &table {
                let found: Vec<u64> =
                    facts.find(query.clone()).await.unwrap().iter().map(|fact| fact.time_ms).collect();
                assert_eq!(found, *expected, "{} {when}: {query:?}", row.name);
            }
            assert_eq!(facts.find(of(About::Trace(TraceId(7)))).await.unwrap(), story()[..6], "{when}");
        };
        check(&*engine.facts, "at once").await;
        drop(engine);
        if row.durable {
            check(&*open(row, settings).facts, "after a restart").await;
        }
    });
}

#[test]
fn old_segments_go_whole_and_damaged_ones_are_set_aside() {
    let day = 24 * 3_600_000;
    let fact = |time_ms| Fact { time_ms, ..story().remove(6) };
    for_each(async |row, settings| {
        let engine = open(row, settings);
        for time_ms in [1, 2 * day, 4 * day] {
            engine.facts.append(vec![fact(time_ms), fact(time_ms + 1)]).await.unwrap();
        }
        assert_eq!(engine.facts.size().await.unwrap().0, 6);
        assert_eq!(engine.facts.trim(day, u64::MAX).await.unwrap(), 2, "{}: by age", row.name);
        assert_eq!(engine.facts.trim(0, 1).await.unwrap(), 2, "{}: by size, but for the newest", row.name);
        assert_eq!(engine.facts.size().await.unwrap().0, 2);
        drop(engine);
        if row.durable {
            let file = settings.data.join("facts/00000003.db");
            std::fs::write(&file, b"not a database at all").unwrap();
            let engine = open(row, settings);
            engine.facts.append(vec![fact(5 * day)]).await.unwrap();
            assert_eq!(engine.facts.size().await.unwrap().0, 1);
            assert!(file.with_extension("damaged").exists());
        }
    });
}

#[test]
fn a_full_segment_is_followed_by_another() {
    for_each(async |row, settings| {
        let engine = open(row, settings);
        let full = if row.durable { FACTS_PER_SEGMENT } else { FACTS_PER_SEGMENT / 10 };
        let fact = story().remove(6);
        for _ in 0..10 {
            let batch = (0..full / 10).map(|_| fact.clone()).collect();
            engine.facts.append(batch).await.unwrap();
        }
        engine.facts.append(vec![fact]).await.unwrap();
        assert_eq!(engine.facts.trim(0, 1).await.unwrap(), full, "{}", row.name);
        assert_eq!(engine.facts.size().await.unwrap().0, 1);
    });
}
