//! Goal: the most exact route answers, whatever the order, and every bad route is explained.
//! Method: routes, requests and answers as text.

use super::{Address, Match, Pattern, Table, address};
use crate::name::{AppName, FunctionName, RevisionNumber};
use crate::spec::RouteSpec;

/// `routes` are `function: route` lines; a request is `METHOD host path`.
fn table(routes: &str) -> Result<Table, crate::fault::Fault> {
    let routes: Vec<RouteSpec> = routes
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (function, route) = line.split_once(": ").unwrap();
            RouteSpec { route: route.to_owned(), function: FunctionName::new(function).unwrap() }
        })
        .collect();
    Table::new(&routes, &[])
}

fn check(routes: &str, cases: &[(&str, &str)]) {
    let table = table(routes).unwrap();
    for (request, expected) in cases {
        let words: Vec<&str> = request.split(' ').collect();
        let (custom, host) = match words[1].strip_prefix("custom:") {
            Some(host) => (true, host),
            None => (false, words[1]),
        };
        let answer = match table.find(words[0], host, custom, words[2]) {
            Match::Function { function, path } => format!("{function} {path}"),
            Match::Events { topic, written } => format!("{topic} {written}"),
            Match::Method { allowed } => format!("allow {}", allowed.join(",")),
            Match::Nothing { nearest: Some(route) } => format!("nothing, near {route}"),
            Match::Nothing { nearest: None } => "nothing".to_owned(),
        };
        assert_eq!(&answer, expected, "{request}");
    }
}

#[test]
fn the_most_exact_path_wins() {
    check(
        "rest: /*
         files: /files/*
         file: /files/{name}
         index: /files
         readme: /files/readme.md
         slash: /files/
         deep: /a/{x}/c
         wide: /a/b/d",
        &[
            ("GET x /", "rest /*"),
            ("GET x /other", "rest /*"),
            ("GET x /files", "index /files"),
            ("GET x /files/", "slash /files/"),
            ("GET x /files/readme.md", "readme /files/readme.md"),
            ("GET x /files/other", "file /files/{name}"),
            ("GET x /files/a/b", "files /files/*"),
            ("GET x /files/readme.md/x", "files /files/*"),
            ("GET x /a/b/c", "deep /a/{x}/c"),
            ("GET x /a/b/d", "wide /a/b/d"),
            ("GET x /a/b/e", "rest /*"),
            ("GET x /a//c", "rest /*"),
            ("GET x /Files", "rest /*"),
        ],
    );
    check("f: /files/*", &[("GET x /files", "f /files/*"), ("GET x /files2", "nothing, near /files/*")]);
    check("f: /", &[("GET x /", "f /"), ("OPTIONS x *", "nothing"), ("GET x ", "nothing")]);
}

#[test]
fn methods_choose_among_routes_of_a_path() {
    check(
        "read: GET /orders/{id}
         write: POST,PUT /orders/{id}
         head: HEAD /page
         page: GET /page
         any: /any
         only: DELETE /any
         rest: PATCH /*",
        &[
            ("GET x /orders/1", "read /orders/{id}"),
            ("HEAD x /orders/1", "read /orders/{id}"),
            ("PUT x /orders/1", "write /orders/{id}"),
            ("PATCH x /orders/1", "rest /*"),
            ("DELETE x /orders/1", "allow GET,HEAD,PATCH,POST,PUT"),
            ("HEAD x /page", "head /page"),
            ("DELETE x /any", "only /any"),
            ("GET x /any", "any /any"),
            ("GET x /none", "allow PATCH"),
        ],
    );
}

#[test]
fn hosts_go_before_no_host() {
    check(
        "own: /*
         shop: shop.example.com/*
         wild: *.example.com/*
         deep: *.eu.example.com/cart
         post: POST Shop.Example.COM/cart",
        &[
            ("GET desk.localhost /cart", "own /*"),
            ("GET shop.example.com /cart", "shop /*"),
            ("POST shop.example.com /cart", "post /cart"),
            ("GET a.example.com /cart", "wild /*"),
            ("GET a.eu.example.com /cart", "deep /cart"),
            ("GET a.eu.example.com /x", "wild /*"),
            ("GET custom:other.org /cart", "nothing"),
            ("GET custom:example.com /cart", "nothing"),
        ],
    );
    let table = table("a: x.org/a\nb: x.org/b\nc: *.x.org/c\nd: /d").unwrap();
    assert_eq!(table.hosts().collect::<Vec<_>>(), ["x.org", "*.x.org"]);
}

#[test]
fn a_miss_names_the_nearest_route() {
    check(
        "u: GET /users/{id}
         w: /webhooks/github
         c: shop.org/cart",
        &[
            ("GET x /user/12345678", "nothing, near GET /users/{id}"),
            ("POST x /webhook/github", "nothing, near /webhooks/github"),
            ("GET x /something/else", "nothing"),
            ("GET x /card", "nothing"),
            ("GET custom:shop.org /card", "nothing, near shop.org/cart"),
        ],
    );
}

#[test]
fn two_functions_cannot_claim_one_place() {
    for (routes, message) in [
        ("a: /x\nb: /x", "functions `a` and `b` both claim `/x`"),
        (
            "a: GET /x/{id}\nb: POST,GET /x/{name}",
            "functions `a` and `b` both claim `GET /x/{id}` and `POST,GET /x/{name}`, which are the same",
        ),
        (
            "a: s.org/*\nb: S.org/*",
            "functions `a` and `b` both claim `s.org/*` and `S.org/*`, which are the same",
        ),
    ] {
        let fault = table(routes).unwrap_err();
        assert_eq!((fault.code().text(), fault.message()), ("HOB-0106", message));
        let hint = "change or remove the route of `b`, or give each its own methods";
        assert_eq!(fault.hint_text(), Some(hint));
    }
    for fine in
        ["a: /x\nb: GET /x", "a: GET /x\nb: POST /x", "a: /x\na: /x", "a: /x\nb: /x/", "a: /x\nb: s.org/x"]
    {
        assert!(table(fine).is_ok(), "{fine}");
    }
    let many = "a: /x\n".repeat(crate::limit::ROUTES_PER_APP_MAX + 1);
    assert_eq!(table(&many).unwrap_err().code().text(), "HOB-0109");
}

#[test]
fn reads_what_people_write() {
    for (text, methods, host, path) in [
        ("/", "", None, "/"),
        ("  POST   /github ", "POST", None, "/github"),
        ("PUT,GET,PUT api.example.com/v1/{id}/*", "GET,PUT", Some("api.example.com"), "/v1/{id}/*"),
        ("*.Example.com/*", "", Some("*.example.com"), "/*"),
        ("M-SEARCH /caf%C3%A9", "M-SEARCH", None, "/caf%C3%A9"),
    ] {
        let pattern = Pattern::parse(text).unwrap();
        assert_eq!(
            (pattern.methods.join(",").as_str(), pattern.host.as_deref(), pattern.path.as_str()),
            (methods, host, path),
            "{text}"
        );
    }
}

#[test]
fn explains_what_it_refuses() {
    const FORM: &str = "write `[METHOD[,METHOD]] [host]/path`, such as `GET,POST /orders/{id}`";
    for (text, message, hint) in [
        ("", "route `` is empty", FORM),
        ("GET", "route `GET` has no path", "write `GET/*`"),
        ("shop.org", "route `shop.org` has no path", "write `shop.org/*`"),
        ("get /x", "route `get /x` has the method `get`", "write `GET`"),
        ("GET, POST /x", "route `GET, POST /x` has 3 words, two are the most", FORM),
        ("GET,,PUT /x", "route `GET,,PUT /x` has an empty method", FORM),
        ("G3T /x", "route `G3T /x` has `G3T` where a method belongs", FORM),
        ("a:80/x", "route `a:80/x` has a port in the host `a:80`", "leave the port out"),
        (
            "*.*.org/x",
            "route `*.*.org/x` has `*.*.org` where a host name belongs",
            "write a name such as `shop.example.com` or `*.example.com`, in its ASCII form",
        ),
        ("/a//b", "route `/a//b` has an empty segment (`//`)", FORM),
        ("/a/../b", "route `/a/../b` has the segment `..`, which no request can have", FORM),
        ("/*/b", "route `/*/b` has `*` before the end", "write `{name}` for one segment"),
        (
            "/a*",
            "route `/a*` has `a*`: `{name}` and `*` stand for a whole segment",
            "write `/{name}/` for one segment or `/*` at the end for any rest",
        ),
        ("/{}", "route `/{}` has `{}`", "write a name of letters, digits, `_` and `-`, such as `{id}`"),
        ("/{a}/{a}", "route `/{a}/{a}` has `{a}` twice", "give each segment a name of its own"),
        ("/café", "route `/café` has `é`", "write `%C3%A9`"),
        ("/a?b=c", "route `/a?b=c` has `?`, which a path cannot have", FORM),
    ] {
        let fault = Pattern::parse(text).unwrap_err();
        assert_eq!(
            (fault.code().text(), fault.message(), fault.hint_text()),
            ("HOB-0105", message, Some(hint)),
            "{text}"
        );
    }
    let fault = Pattern::parse(&"/x".repeat(2000)).unwrap_err();
    assert!(fault.message().ends_with("…` has 4000 bytes, the limit is 1024"), "{}", fault.message());
}

#[test]
fn addresses_below_the_domain() {
    let app = |name: &str| AppName::new(name).unwrap();
    let function = |name: &str| FunctionName::new(name).unwrap();
    for (host, expected) in [
        ("desk.localhost", Address::App(app("desk"))),
        ("stats--desk.localhost", Address::Function(function("stats"), app("desk"))),
        ("rev-12--desk.localhost", Address::Revision(RevisionNumber(12), app("desk"))),
        ("rev-012--desk.localhost", Address::Other),
        ("rev-99999999999--desk.localhost", Address::Other),
        ("rev-x--desk.localhost", Address::Function(function("rev-x"), app("desk"))),
        ("localhost", Address::Other),
        (".localhost", Address::Other),
        ("a.b.localhost", Address::Other),
        ("a--b--c.localhost", Address::Other),
        ("desklocalhost", Address::Other),
        ("127.0.0.1", Address::Other),
        ("desk.example.com", Address::Other),
    ] {
        assert_eq!(address(host, "localhost"), expected, "{host}");
    }
}
