//! Contract `javascript`: modules as people write them for Workers, in the real runtime.

mod web;

use crate::support::{Bench, Function, Settings, get};
use hob_runtime::body::{Body, empty, full};
use hob_core::fault::Result;
use std::time::Duration;

fn settings() -> Settings {
    Settings { contract: "javascript", file: "worker.js", memory_bytes: 64 << 20, ..Settings::default() }
}

async fn worker(bench: &Bench, source: &str) -> Result<Function> {
    bench.ready(source.as_bytes(), &settings()).await
}

fn request(method: &str, path: &str, body: Body) -> http::Request<Body> {
    http::Request::builder().method(method).uri(path).header("host", "hello.example").body(body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_answers_requests() {
    let bench = Bench::open();
    let source = "export default {
        async fetch(request, env, ctx) {
            const url = new URL(request.url);
            return new Response(`${request.method} ${url.pathname}${url.search} ${await request.text()} ${env.LANG}`,
                { status: 201, headers: { 'x-own': 'yes' } });
        }
    }";
    let settings = Settings { env: &[("LANG", "en")], ..settings() };
    let function = bench.ready(source.as_bytes(), &settings).await.unwrap();
    let instance = function.instance().await.unwrap();
    for _ in 0..3 {
        let answer = function.call_in(&*instance, request("POST", "/a?b=c", full("body"))).await;
        assert_eq!(answer, Ok((201, "POST /a?b=c body en".to_owned())), "{}", bench.logs.text());
        let answer = function.call_in(&*instance, get()).await;
        assert_eq!(answer, Ok((201, "GET /?q=1  en".to_owned())), "{}", bench.logs.text());
    }
}

/// What cannot run is refused before anything is switched, by file and line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_at_the_deploy() {
    let bench = Bench::open();
    for (source, code, at, says) in [
        ("const a = 1;\nexport default { fetch( { }", "HOB-0340", "worker.js:2", "cannot be evaluated: SyntaxError"),
        ("\n\nthrow new RangeError('no');\nexport default {}", "HOB-0340", "worker.js:3", "RangeError: no"),
        ("import a from './a.js';\nexport default a", "HOB-0340", "worker.js:1", "imports `./a.js`"),
        ("export default {}", "HOB-0341", "worker.js", "no function `fetch`, `scheduled` or `queue`"),
        ("module.exports = {}", "HOB-0341", "worker.js", "exports nothing as default"),
        ("setTimeout(() => {}, 1);\nexport default { fetch() {} }", "HOB-0340", "worker.js:1", "a timer is not possible"),
        ("await fetch('http://a/');\nexport default { fetch() {} }", "HOB-0340", "worker.js:1", "fetch() is not possible"),
        ("for (;;) {}\nexport default { fetch() {} }", "HOB-0503", "", "did not answer within"),
    ] {
        let settings = Settings { timeout: Duration::from_secs(1), ..settings() };
        let fault = bench.ready(source.as_bytes(), &settings).await.err().unwrap_or_else(|| panic!("{source} is ready"));
        let found = (fault.code().text(), fault.place().unwrap_or_default());
        assert_eq!(found, (code, at), "{source}: {fault}");
        assert!(fault.message().contains(says), "{source}: {fault}");
    }
}

/// A failure is one call's; the instance goes on, and the log has the stack by file and line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_throws_fails_one_call() {
    let bench = Bench::open();
    let source = "let calls = 0;
        export default {
            async fetch(request) {
                calls += 1;
                switch (new URL(request.url).pathname) {
                    case '/throw':
                        const nobody = null;
                        return nobody.name;
                    case '/later': await scheduler.wait(1); throw new Error('late', { cause: 'why' });
                    case '/nothing': return;
                    case '/broken': return new Response(new ReadableStream({ pull() { throw new Error('midway') } }));
                    default: return new Response(`${calls}`);
                }
            }
        }";
    let function = worker(&bench, source).await.unwrap();
    let instance = function.instance().await.unwrap();
    for (path, expected, says) in [
        ("/throw", "HOB-0342", "    at fetch (worker.js:8:"),
        ("/later", "HOB-0342", "Error: late"),
        ("/nothing", "HOB-0342", "TypeError: `fetch` returned nothing that is no Response"),
        ("/broken", "HOB-0506", "midway"),
    ] {
        let answer = function.call_in(&*instance, request("GET", path, empty())).await;
        assert_eq!(answer, Err(expected.to_owned()), "{path}: {}", bench.logs.text());
        assert!(bench.logs.text().contains(says), "{path}: {}", bench.logs.text());
    }
    let answer = function.call_in(&*instance, get()).await;
    assert_eq!(answer, Ok((200, "5".to_owned())), "{}", bench.logs.text());
}

/// Calls of one instance wait for each other without one ending before its time, and finish what they left to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_share_an_instance() {
    let bench = Bench::open();
    let source = "const door = Promise.withResolvers();
        export default {
            async fetch(request, env, ctx) {
                const path = new URL(request.url).pathname;
                if (path === '/wait') return new Response(await door.promise);
                ctx.waitUntil(scheduler.wait(20).then(() => console.log('done after the answer')));
                door.resolve('opened');
                return new Response('opens');
            }
        }";
    let function = worker(&bench, source).await.unwrap();
    let instance = function.instance().await.unwrap();
    let waits = || function.call_in(&*instance, request("GET", "/wait", empty()));
    let opens = async {
        tokio::task::yield_now().await;
        function.call_in(&*instance, request("GET", "/open", empty())).await
    };
    let (one, other, opened) = tokio::join!(waits(), waits(), opens);
    for (answer, expected) in [(one, "opened"), (other, "opened"), (opened, "opens")] {
        assert_eq!(answer, Ok((200, expected.to_owned())), "{}", bench.logs.text());
    }
    bench.eventually(|| bench.logs.text().contains("Stdout done after the answer")).await;
}
