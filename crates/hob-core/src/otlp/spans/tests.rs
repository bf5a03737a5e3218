//! Facts and the spans that they are, as a tree in text.

use super::{Spans, told};
use crate::fact::{Fact, What};
use crate::otlp::{self, Kind, Span, event};
use crate::trace::{SpanId, TraceId};
use serde_json::{Value as Json, json};

/// A call in trace 1 at 1000 ms that took 80 ms, with changes.
fn call(change: Json) -> Fact {
    let mut fact = json!({
        "time_ms": 1000, "trace": "00000000000000000000000000000001", "fact": "call",
        "id": "00000000000000000000000000000011", "app": "shop", "revision": 3, "function": "cart",
        "cause": { "by": "request" }, "method": "GET", "path": "/cart/7", "route": "/cart/{id}", "status": 200,
        "times": { "queue_us": 53, "start_us": 0, "answer_us": 60_000, "total_us": 80_000 },
        "used": { "memory_bytes": 1, "bytes_in": 0, "bytes_out": 5 },
    });
    fact.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(fact).unwrap()
}

fn event_call(id: u32, attempt: u32, status: u16) -> Fact {
    call(json!({
        "id": format!("{id:032x}"), "status": status, "parent": "0000000000000005", "route": null,
        "cause": { "by": "event", "subscription": "mail", "topic": "orders", "sequence": 9, "attempt": attempt, "published_ms": 400 },
    }))
}

/// One line for each span: start and end in ms, kind, name, parent, links, failure.
fn shown(spans: &mut Spans, fact: &Fact) -> Vec<String> {
    let all = spans.of(fact);
    let names: Vec<(SpanId, String)> = all.iter().map(|(_, span)| (span.span, span.name.clone())).collect();
    let name_of = |id: SpanId| {
        names
            .iter()
            .find(|(known, _)| *known == id)
            .map_or_else(|| format!("{:x}", id.0), |(_, name)| name.clone())
    };
    let line = |(who, span): &(otlp::Attributes, Span)| {
        let ms = |ns: u64| ns / 1_000_000;
        let parent = span.parent.map(|parent| format!(" in [{}]", name_of(parent))).unwrap_or_default();
        let links: String = span.links.iter().map(|(_, id, _)| format!(" after {:x}", id.0)).collect();
        let failed = span.failed.as_ref().map(|why| format!(" failed: {why}")).unwrap_or_default();
        let who = who[0].1.shown();
        format!(
            "{}..{} {who} {} [{}]{parent}{links}{failed}",
            ms(span.start_ns),
            ms(span.end_ns),
            span.kind.word(),
            span.name
        )
    };
    all.iter().map(line).collect()
}

#[test]
fn calls_are_trees_of_spans() {
    let failure = json!({ "code": "HOB-0501", "message": "too slow", "owner": "limit" });
    for (change, expected) in [
        (json!({}), vec!["1000..1080 shop/cart server [GET /cart/{id}]"]),
        (
            json!({ "route": null, "parent": "00000000000000aa" }),
            vec!["1000..1080 shop/cart server [GET cart] in [aa]"],
        ),
        (
            json!({ "cold": true, "times": { "queue_us": 10_000, "start_us": 30_000, "load_us": 20_000, "connect_us": 5000, "answer_us": 60_000, "total_us": 80_000 } }),
            vec![
                "1000..1080 shop/cart server [GET /cart/{id}]",
                "1000..1010 hob internal [wait for an instance] in [GET /cart/{id}]",
                "1010..1040 hob internal [start an instance] in [GET /cart/{id}]",
                "1010..1030 hob internal [load the code] in [start an instance]",
                "1035..1040 hob internal [wait until it takes connections] in [start an instance]",
            ],
        ),
        (
            json!({ "outside": [
                { "to": "api.example.com:443", "after_us": 5000, "took_us": 7000, "status": 503 },
                { "to": "[::1]:80", "after_us": 20_000, "failure": failure },
            ] }),
            vec![
                "1000..1080 shop/cart server [GET /cart/{id}]",
                "1005..1012 shop/cart client [call api.example.com:443] in [GET /cart/{id}]",
                "1020..1080 shop/cart client [call [::1]:80] in [GET /cart/{id}] failed: too slow",
            ],
        ),
        (
            json!({ "status": 504, "failure": failure }),
            vec!["1000..1080 shop/cart server [GET /cart/{id}] failed: too slow"],
        ),
        (
            json!({ "status": null }),
            vec![
                "1000..1080 shop/cart server [GET /cart/{id}] failed: the caller went before there was an answer",
            ],
        ),
        (json!({ "status": 404 }), vec!["1000..1080 shop/cart server [GET /cart/{id}]"]),
        (
            json!({ "cause": { "by": "schedule", "schedule": "nightly", "sequence": 2, "attempt": 1, "published_ms": 990 } }),
            vec![
                "1000..1080 shop/cart internal [run nightly] in [wait in hob.schedules.shop]",
                "990..1000 hob internal [wait in hob.schedules.shop]",
            ],
        ),
        (
            json!({ "cause": { "by": "replay", "topic": "orders", "sequence": 2 } }),
            vec!["1000..1080 shop/cart consumer [process orders]"],
        ),
    ] {
        assert_eq!(shown(&mut Spans::default(), &call(change.clone())), expected, "{change}");
    }
}

#[test]
fn attempts_are_linked_and_share_the_wait_in_their_topic() {
    let mut spans = Spans::default();
    let wait = spans.of(&event_call(0x10, 1, 500))[1].1.clone();
    assert_eq!(
        (wait.name.as_str(), wait.parent, wait.start_ns),
        ("wait in orders", Some(SpanId(5)), 400_000_000)
    );
    let parent = format!("{:x}", wait.span.0);
    for (id, attempt, status, link, failed) in [
        (0x11, 2, 503, " after 10", " failed: the function answered 503"),
        (0x12, 3, 200, " after 11", ""),
        // It is settled: nothing comes before a new first attempt, and an old number is no attempt before.
        (0x13, 2, 500, "", " failed: the function answered 500"),
    ] {
        let expected = format!("1000..1080 shop/cart consumer [process orders] in [{parent}]{link}{failed}");
        assert_eq!(shown(&mut spans, &event_call(id, attempt, status)), [expected]);
    }
}

#[test]
fn spans_say_what_the_conventions_name() {
    let said = |fact: &Fact| -> String {
        let (_, span) = Spans::default().of(fact).remove(0);
        let said = span.attributes.iter().map(|(name, value)| format!("{name}={}", value.shown()));
        said.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        said(&call(
            json!({ "host": "shop.localhost", "instance": 4, "status": 502, "failure": { "code": "HOB-0502", "message": "m", "owner": "code" } })
        )),
        "faas.trigger=http faas.invocation_id=00000000000000000000000000000011 faas.coldstart=false \
         http.request.method=GET url.path=/cart/7 hob.app=shop hob.function=cart hob.revision=3 hob.cause=request \
         faas.instance=4 server.address=shop.localhost http.route=/cart/{id} http.response.status_code=502 \
         http.response.body.size=5 error.type=HOB-0502 hob.owner=code"
    );
    assert!(said(&event_call(1, 2, 200)).ends_with(
        "hob.cause=event http.response.status_code=200 http.response.body.size=5 messaging.system=hob \
         messaging.operation.type=process messaging.operation.name=process messaging.destination.name=orders \
         messaging.message.id=9 messaging.consumer.group.name=mail hob.attempt=2"
    ));
}

#[test]
fn other_facts_are_spans_or_events() {
    let fact = |what: Json| -> Fact {
        let mut fact = json!({ "time_ms": 1000, "trace": "00000000000000000000000000000001" });
        fact.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        serde_json::from_value(fact).unwrap()
    };
    let failure = json!({ "code": "HOB-0401", "message": "no route", "owner": "caller" });
    let id = "00000000000000000000000000000011";
    for (what, spans, text) in [
        (
            json!({ "fact": "refused", "id": id, "method": "GET", "path": "/x", "host": "h", "failure": failure }),
            vec!["1000..1000 hob server [GET] failed: no route"],
            None,
        ),
        (
            json!({ "fact": "published", "topic": "orders", "sequence": 9, "id": "e", "source": "/s", "type": "t", "by": id }),
            vec!["1000..1000 hob producer [publish orders] in [11]"],
            None,
        ),
        (
            json!({ "fact": "skipped", "app": "shop", "subscription": "mail", "revision": 1, "topic": "orders", "sequence": 9,
                "reason": { "because": "seek", "from": 1 } }),
            vec![],
            None,
        ),
        (
            json!({ "fact": "delivered", "app": "shop", "subscription": "mail", "topic": "orders", "sequence": 9, "attempt": 2,
                "ending": { "then": "dead", "reason": "attempts", "topic": "orders.dead" } }),
            vec![],
            Some("ERROR event 9 of `orders` for `mail` was given up (attempts): see `orders.dead`"),
        ),
        (
            json!({ "fact": "run", "app": "shop", "schedule": "nightly", "decision": { "decided": "left-out", "reason": "overlap", "runs": 2, "last_ms": 5 } }),
            vec![],
            Some("WARN schedule `shop/nightly` left out 2 runs (overlap)"),
        ),
        (
            json!({ "fact": "changed", "app": "shop", "change": "deploy", "from": 1, "to": 2, "took_ms": 5 }),
            vec![],
            Some("INFO deploy of app `shop` to revision 2"),
        ),
        (
            json!({ "fact": "instance", "app": "shop", "revision": 1, "function": "cart", "instance": 4, "step": "start-failed",
                "failure": failure, "instances": 0 }),
            vec![],
            Some("ERROR instance 4 start-failed: no route"),
        ),
        (
            json!({ "fact": "alert", "alert": "errors", "on": true, "text": "5 % of 10 calls" }),
            vec![],
            Some("ERROR alert `errors` is on: 5 % of 10 calls"),
        ),
    ] {
        let fact = fact(what);
        assert_eq!(shown(&mut Spans::default(), &fact), spans, "{fact:?}");
        let said = event(&fact).map(|(_, log)| format!("{} {}", log.severity_text, log.body.shown()));
        assert_eq!(said.as_deref(), text, "{fact:?}");
    }
}

#[test]
fn spans_of_guests_come_out_as_they_went_in() {
    let inside = Span {
        parent: Some(SpanId(2)),
        name: "SELECT\u{7}".to_owned(),
        kind: Kind::Client,
        attributes: vec![("db.rows".into(), 3_u32.into())],
        events: vec![("exception".to_owned(), 0, vec![("exception.message".into(), "gone".into())])],
        failed: Some(String::new()),
        ..super::empty(TraceId(1), SpanId(3), 1_000_000_000, 500)
    };
    let (app, function) =
        (crate::name::AppName::new("shop").unwrap(), crate::name::FunctionName::new("cart").unwrap());
    let fact = told(&inside, "psycopg", &app, &function);
    let What::Span(span) = &fact.what else { panic!("{fact:?}") };
    assert_eq!((span.app.as_str(), span.function.as_str(), span.took_us), ("shop", "cart", 500));
    let (who, outside) = Spans::default().of(&fact).remove(0);
    assert_eq!(who[0].1, "shop/cart".into());
    let expected = Span {
        name: "SELECT\\x07".to_owned(),
        attributes: vec![
            ("db.rows".into(), "3".into()),
            ("exception.message".into(), "gone".into()),
            ("otel.scope.name".into(), "psycopg".into()),
        ],
        events: Vec::new(),
        failed: Some("gone".to_owned()),
        ..inside
    };
    assert_eq!(outside, expected);
}
