//! Who answers a request, in a table.

use super::{RouteAnswer, RouteEvidence, route};
use crate::code::Code;
use crate::name::RevisionNumber;
use crate::why::Cause;
use crate::why::sample::{Expected, app, check_story, function, topic};
use crate::wire::Verdict::{Bad, Good};

fn by(route: Option<&str>, shadowed: &[(&str, &str)]) -> RouteAnswer {
    RouteAnswer::Function {
        app: app("shop"),
        revision: RevisionNumber(3),
        function: function("one"),
        route: route.map(str::to_owned),
        shadowed: shadowed.iter().map(|(route, name)| ((*route).to_owned(), function(name))).collect(),
    }
}

fn nobody(code: Code, message: &str, hint: Option<&str>, absent: Option<Cause>) -> RouteAnswer {
    RouteAnswer::Nobody {
        code,
        message: message.to_owned(),
        hint: hint.map(str::to_owned),
        app: None,
        routes: vec!["GET /items".to_owned()],
        absent,
    }
}

#[test]
fn a_request_is_told_who_answers_it_and_why_not_another() {
    let none = RouteEvidence::default;
    let failed = || RouteEvidence {
        failed: Some((Cause::new(Bad, "`one` answered 500").fix("mend `one`"), 2, 5)),
        ..none()
    };
    let surprise = || RouteEvidence {
        surprise: Some(Cause::new(Good, "it was rolled back").fix("hob rollback")),
        ..none()
    };
    let upgrade = || RouteEvidence { upgrade: Some("a WebSocket is asked for".to_owned()), ..none() };
    let gone = Cause::new(Bad, "app `shop` was removed").fix("hob deploy");
    let rows: Vec<(&str, RouteAnswer, RouteEvidence<'_>, Expected<'_>)> = vec![
        (
            "well",
            by(Some("GET /x"), &[]),
            none(),
            (Good, &["`one` of shop revision 3", "route `GET /x`"], &[]),
        ),
        ("address", by(None, &[]), none(), (Good, &["by its own address"], &[])),
        (
            "shadowed",
            by(Some("GET /{id}"), &[("GET /*", "list")]),
            none(),
            (Good, &["`GET /*` of `list`", "more exact"], &["`list`"]),
        ),
        (
            "failed",
            by(Some("GET /x"), &[]),
            failed(),
            (Bad, &["answered 500", "2 of 5 such requests were so"], &["mend `one`"]),
        ),
        (
            "rolled back",
            by(Some("GET /x"), &[]),
            surprise(),
            (Good, &["rolled back", "route `GET /x`"], &["hob rollback"]),
        ),
        ("WebSocket", by(Some("GET /x"), &[]), upgrade(), (Bad, &["WebSocket"], &["contract = \"http\""])),
        (
            "events",
            RouteAnswer::Events { app: app("shop"), topic: topic("orders"), route: "/e".to_owned() },
            none(),
            (Good, &["publishes to topic `orders`"], &["hob why --topic orders"]),
        ),
        (
            "bad events",
            RouteAnswer::Events { app: app("shop"), topic: topic("orders"), route: "/e".to_owned() },
            failed(),
            (Bad, &["answered 500", "`orders`"], &[]),
        ),
        ("call", RouteAnswer::Call, none(), (Good, &["asynchronous call"], &["hob why ID"])),
        (
            "options",
            RouteAnswer::Options { app: app("shop"), allowed: "GET".to_owned() },
            none(),
            (Good, &["Allow: GET"], &["CORS"]),
        ),
        (
            "method",
            RouteAnswer::Method { app: app("shop"), allowed: "GET, HEAD".to_owned() },
            none(),
            (Bad, &["not for method PUT", "GET, HEAD"], &["add PUT"]),
        ),
        (
            "private",
            RouteAnswer::Private { app: app("shop"), function: function("one") },
            none(),
            (Bad, &["is private"], &["private = true", "http://one.shop.internal/"]),
        ),
        (
            "no route",
            nobody(Code::RouteNotFound, "no route matches", Some("the nearest"), None),
            none(),
            (Bad, &["no route matches", "`GET /items`"], &["the nearest"]),
        ),
        (
            "no host",
            nobody(Code::HostUnknown, "no app", None, Some(gone)),
            none(),
            (Bad, &["was removed"], &["hob deploy"]),
        ),
    ];
    for (name, answer, evidence, expected) in rows {
        check_story(name, &route("PUT http://shop/x", &answer, &evidence), expected);
    }
}
