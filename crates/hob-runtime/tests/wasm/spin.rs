//! Contract `spin`: components of Spin's SDKs, what they import and what triggers them.
//!
//! **How.** `built/spin*.wasm` are made by the SDKs of that number from `guests/spin/*`; what no SDK can be built for
//! here is component text.

use crate::support::{Bench, Function, Outcome, Settings, get, guest_path};
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::spec::FunctionSpec;
use hob_runtime::body::{Body, full};
use hob_runtime::contract;
use hob_runtime::host;
use http_body_util::BodyExt as _;
use serde_json::json;
use std::sync::Arc;

/// Guests that answer requests, alike but for the generation of their SDK.
const HTTP: [&str; 3] = ["built/spin2.wasm", "built/spin3.wasm", "built/spin7.wasm"];

fn read(name: &str) -> Vec<u8> {
    std::fs::read(guest_path(name)).unwrap()
}

async fn ready(bench: &Bench, file: &str) -> Function {
    let settings =
        Settings { contract: "spin", env: &[("SPIN_VARIABLE_TOKEN", "secret")], ..Settings::default() };
    let variables = |spec: &mut FunctionSpec| {
        spec.settings.insert("variables".to_owned(), json!({ "greeting": "hi", "token": "of the manifest" }));
    };
    bench.ready_with(&read(file), &settings, variables).await.unwrap()
}

fn request(path: &str) -> http::Request<Body> {
    let mut request = get();
    *request.uri_mut() = path.parse().unwrap();
    request
}

async fn text(function: &Function, path: &str) -> String {
    shown(function.call(request(path)).await)
}

fn shown(outcome: Outcome) -> String {
    match outcome {
        Ok((status, body)) => format!("{status} {body}"),
        Err(code) => code,
    }
}

/// A call with a context of its own: its route.
async fn by_route(function: &Function, route: &str, request: http::Request<Body>) -> String {
    let mut invocation = function.invocation(request);
    let context = Arc::get_mut(&mut invocation.context).unwrap();
    context.route = Some(route.to_owned());
    context.peer = Some("192.0.2.7:4711".parse().unwrap());
    let reply = function.instance().await.unwrap().call(invocation).await.unwrap();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_of_every_generation_get_their_variables_and_an_error_for_what_is_not_there() {
    for bench in Bench::both() {
        for file in HTTP {
            let function = ready(&bench, file).await;
            for (path, expected) in [
                ("/variable?greeting", "200 Ok(\"hi\")"),
                ("/variable?token", "200 Ok(\"secret\")"),
                ("/variable?other", "200 Err(Error::Undefined(\"no variable `other`\"))"),
                (
                    "/variable?Greeting",
                    "200 Err(Error::InvalidName(\"`Greeting` is no name of a variable\"))",
                ),
                ("/store?default", "200 Error::NoSuchStore"),
                ("/sqlite?default", "200 Error::NoSuchDatabase"),
            ] {
                assert_eq!(text(&function, path).await, expected, "{file} {path}\n{}", bench.logs.text());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_say_which_route_they_came_by_and_no_caller_can() {
    let bench = Bench::open();
    for file in HTTP {
        let function = ready(&bench, file).await;
        let mut request = request("/foo/42/bar?a=b");
        for name in ["spin-path-info", "spin-client-addr", "spin-path-match-role", "spin-other"] {
            request.headers_mut().insert(name, "forged".parse().unwrap());
        }
        let expected = "spin-base-path: /\nspin-client-addr: 192.0.2.7:4711\nspin-component-route: /foo/:userid\n\
             spin-full-url: http://localhost/foo/42/bar?a=b\nspin-matched-route: /foo/:userid/...\nspin-other: forged\n\
             spin-path-info: /bar\nspin-path-match-userid: 42\nspin-raw-component-route: /foo/:userid/...\n";
        assert_eq!(by_route(&function, "/foo/{userid}/*", request).await, expected, "{file}");
        assert_eq!(text(&function, "/.well-known/spin/health").await, "200 OK", "{file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_reach_the_other_functions_of_the_app_by_the_names_that_spin_gives_them() {
    for bench in Bench::both() {
        for file in HTTP {
            let function = ready(&bench, file).await;
            for (to, seen) in [
                ("http://worker.spin.internal/x?y", "http://worker.test.internal/x?y"),
                ("http://self/x", "http://self.internal/x"),
                ("http://example.com/", "http://example.com/"),
            ] {
                let answer = text(&function, &format!("/call?{to}")).await;
                assert!(answer.starts_with("200 200") && answer.ends_with("other"), "{file} {to}: {answer}");
                assert_eq!(bench.world.seen.lock().unwrap().last().unwrap().0, seen, "{file}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_redis_are_the_data_of_events() {
    for file in ["built/spin3redis.wasm", "built/spin7redis.wasm"] {
        let bench = Bench::open();
        let function = ready(&bench, file).await;
        let event = |headers: &[(&str, &str)], body: &str| {
            let mut request = http::Request::post("/").header("host", "localhost");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(full(body.to_owned())).unwrap()
        };
        let binary = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];
        let structured = [("content-type", "application/cloudevents+json")];
        let whole = |data| {
            format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"{data}"}}"#)
        };
        for (headers, body, expected) in [
            (&binary[..], "a".to_owned(), "204 "),
            (&structured[..], whole("YQ=="), "204 "),
            (&[][..], "a".to_owned(), "204 "),
            // What the guest fails at.
            (&binary[..], "fail".to_owned(), "HOB-0506"),
            (&structured[..], whole("ZmFpbA=="), "HOB-0506"),
            (&[][..], "fail".to_owned(), "HOB-0506"),
        ] {
            assert_eq!(shown(function.call(event(headers, &body)).await), expected, "{file} {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_of_cron_are_runs_of_schedules() {
    for bench in Bench::both() {
        let function = ready(&bench, "spin/cron.wat").await;
        for (time, expected) in [("2026-11-26T09:00:00Z", "204 "), ("2026-11-26T09:00:01Z", "HOB-0506")] {
            let headers = [
                ("ce-specversion", "1.0"),
                ("ce-id", "1"),
                ("ce-source", "/s"),
                ("ce-type", "t"),
                ("ce-time", time),
            ];
            let request = headers
                .into_iter()
                .fold(http::Request::post("/"), |request, (name, value)| request.header(name, value));
            let outcome = function.call(request.header("host", "localhost").body(full("")).unwrap()).await;
            assert_eq!(shown(outcome), expected, "{time}\n{}", bench.logs.text());
        }
    }
}

/// Adapters of 2023 and SDKs that were made for a draft beside the release import drafts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drafts_of_wasi_are_the_release() {
    let bench = Bench::open();
    let function = ready(&bench, "spin/drafts.wat").await;
    assert_eq!(text(&function, "/").await, "204 ", "{}", bench.logs.text());
}

/// What the SDK of generation 6 makes exports a draft as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_handler_of_the_last_draft_answers_requests() {
    let bench = Bench::open();
    let function = ready(&bench, "built/spin6.wasm").await;
    assert_eq!(text(&function, "/a").await, "200 GET /a\n", "{}", bench.logs.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_of_spin_1_answer_whole_requests_and_send_whole_calls() {
    for bench in Bench::both() {
        let function = ready(&bench, "spin/legacy.wat").await;
        assert_eq!(text(&function, "/a?b=c").await, "200 /a?b=c");
        let call =
            |to: &'static str| http::Request::post("/").header("host", "localhost").body(full(to)).unwrap();
        let refused = |code| Err(Fault::new(code, "no"));
        for (answer, to, expected) in [
            (Ok(201), "http://worker.spin.internal/", "201 other"),
            (refused(Code::EgressDenied), "http://example.com/", "500 1"),
            (refused(Code::QueueFull), "http://example.com/", "500 5"),
            (refused(Code::DependencyFailed), "http://example.com/", "500 3"),
            (Ok(200), "no address", "500 2"),
        ] {
            *bench.world.answer.lock().unwrap() = Some(answer);
            assert_eq!(shown(function.call(call(to)).await), expected, "{to}\n{}", bench.logs.text());
        }
        let other = http::Request::builder().method("PURGE").uri("/").header("host", "localhost");
        assert_eq!(shown(function.call(other.body(full("")).unwrap()).await), "HOB-0402");
    }
}

#[test]
fn components_of_spin_are_recognised_and_others_are_as_before() {
    for (file, contract, what) in [
        ("built/spin2.wasm", "spin", "Spin component, WASI 0.2 HTTP component"),
        ("built/spin3.wasm", "spin", "Spin component, WASI 0.2 HTTP component"),
        ("built/spin6.wasm", "wasi-http", "WASI 0.3 HTTP component"),
        ("built/spin7.wasm", "spin", "Spin component, WASI 0.3 HTTP component"),
        ("built/spin3redis.wasm", "spin", "Spin component, Redis trigger of Spin"),
        ("built/spin7redis.wasm", "spin", "Spin component, Redis trigger of Spin"),
        ("spin/cron.wat", "spin", "Spin component, cron trigger of Spin"),
        ("spin/drafts.wat", "spin", "Spin component, cron trigger of Spin"),
        ("spin/legacy.wat", "spin", "Spin component, HTTP trigger of Spin 1"),
        ("built/hello-rust-spin-sdk7.wasm", "wasi-http", "WASI 0.3 HTTP component"),
        ("built/hello-rust-p2-unknown.wasm", "wasi-http", "WASI 0.2 HTTP component"),
        ("built/cgi-c-p1.wasm", "stdio", "WASI preview 1 command module"),
    ] {
        let found = host::detect(&guest_path(file), file, host::Wanted::default()).unwrap().unwrap();
        assert_eq!((found.contract, found.what.as_str()), (contract, what), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_said() {
    let bench = Bench::open();
    let spec = |settings: serde_json::Value| {
        let settings = settings.as_object().unwrap().clone();
        let mut code = bench.code(b"", &Settings { contract: "spin", ..Settings::default() });
        Arc::get_mut(&mut code).unwrap().spec.settings = settings;
        code
    };
    for (settings, expected) in [
        (json!({ "variables": { "a": "b" } }), None),
        (json!({ "variable": {} }), Some("HOB-0102")),
        (json!({ "variables": [] }), Some("HOB-0103")),
        (json!({ "variables": { "a": 1 } }), Some("HOB-0103")),
        (json!({ "variables": { "A": "b" } }), Some("HOB-0103")),
    ] {
        let checked = contract::find("spin").unwrap().check(&spec(settings.clone()).spec);
        assert_eq!(checked.err().map(|fault| fault.code().text()), expected, "{settings}");
    }
    // What Hob does not have is said at deploy, and is no fault.
    for (file, said) in [("built/spin7.wasm", true), ("built/spin7redis.wasm", false)] {
        let bench = Bench::open();
        let code = bench.code(&read(file), &Settings { contract: "spin", ..Settings::default() });
        let steps = std::sync::Mutex::new(Vec::new());
        bench.host.prepare(&code, &|progress| steps.lock().unwrap().push(progress.step)).await.unwrap();
        let steps = steps.into_inner().unwrap();
        let note = steps.iter().find(|step| step.starts_with("imports "));
        assert_eq!(note.is_some_and(|note| note.contains("key-value stores")), said, "{file}: {steps:?}");
        assert_eq!(bench.logs.text().contains("imports "), said, "{file}: {}", bench.logs.text());
    }
    let wrong = bench
        .ready(&read("built/cgi-c-p1.wasm"), &Settings { contract: "spin", ..Settings::default() })
        .await;
    assert_eq!(wrong.err().map(|fault| fault.code().text()), Some("HOB-0301"));
}
