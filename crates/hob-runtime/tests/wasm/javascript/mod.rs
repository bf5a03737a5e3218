//! Contract `javascript`: modules as people write them for Workers, in the real runtime.

mod web;

use crate::support::{Bench, Function, Settings, get};
use hob_core::code::Code;
use hob_core::fact::CallCause;
use hob_core::fault::{Fault, Result};
use hob_core::name::{TopicName, TriggerName};
use hob_runtime::body::{Body, empty, full};
use hob_runtime::contract::lambda::{BatchCall, BatchItem};
use hob_runtime::unit::Instance;
use http_body_util::BodyExt as _;
use std::sync::Arc;
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
    for bench in Bench::both() {
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
}

/// The older form of Workers: a script with listeners, and its environment among the globals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_listens_answers_requests() {
    let bench = Bench::open();
    let source = "addEventListener('fetch', (event) => event.respondWith(answer(event.request)));
        async function answer(request) { return new Response(`${LANG} ${new URL(request.url).search}`); }";
    let settings = Settings { env: &[("LANG", "en")], ..settings() };
    let function = bench.ready(source.as_bytes(), &settings).await.unwrap();
    assert_eq!(function.call(get()).await, Ok((200, "en ?q=1".to_owned())), "{}", bench.logs.text());
}

/// What cannot run is refused before anything is switched, by file and line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_at_the_deploy() {
    let bench = Bench::open();
    for (source, code, at, says) in [
        (
            "const a = 1;\nexport default { fetch( { }",
            "HOB-0340",
            "worker.js:2",
            "cannot be evaluated: SyntaxError",
        ),
        ("\n\nthrow new RangeError('no');\nexport default {}", "HOB-0340", "worker.js:3", "RangeError: no"),
        ("import a from './a.js';\nexport default a", "HOB-0340", "worker.js:1", "imports `./a.js`"),
        ("export default {}", "HOB-0341", "worker.js", "no function `fetch`, `scheduled` or `queue`"),
        ("module.exports = {}", "HOB-0341", "worker.js", "exports nothing as default"),
        (
            "setTimeout(() => {}, 1);\nexport default { fetch() {} }",
            "HOB-0340",
            "worker.js:1",
            "a timer is not possible",
        ),
        (
            "await fetch('http://a/');\nexport default { fetch() {} }",
            "HOB-0340",
            "worker.js:1",
            "fetch() is not possible",
        ),
        ("for (;;) {}\nexport default { fetch() {} }", "HOB-0340", "worker.js", "is not evaluated within"),
    ] {
        let fault = worker(&bench, source).await.err().unwrap_or_else(|| panic!("{source} is ready"));
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

/// Whoever exhausts the stack, the memory or the time loses the instance, and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_without_end_is_ended() {
    for bench in Bench::both() {
        let source = "const f = () => 1 + f();
        export default {
            async fetch(request) {
                switch (new URL(request.url).pathname) {
                    case '/deep': return new Response(`${f()}`);
                    case '/large': { const all = []; for (;;) all.push(new Uint8Array(1 << 20).fill(1)); }
                    case '/loop': for (;;) {}
                    default: return new Response('fine');
                }
            }
        }";
        let settings = Settings { timeout: Duration::from_secs(1), ..settings() };
        let function = bench.ready(source.as_bytes(), &settings).await.unwrap();
        for (path, expected) in [
            ("/deep", Err("HOB-0502")),
            ("/large", Err("HOB-0505")),
            ("/loop", Err("HOB-0501")),
            ("/fine", Ok((200, "fine"))),
        ] {
            let answer = function.call(request("GET", path, empty())).await;
            let expected = expected.map(|(status, text)| (status, text.to_owned())).map_err(str::to_owned);
            assert_eq!(answer, expected, "{path}: {}", bench.logs.text());
        }
    }
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

/// Requests go where those of every guest go: to the node, which knows other functions and the egress list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_goes_through_the_node() {
    for bench in Bench::both() {
        let source = "export default {
        async fetch(request) {
            const url = 'http://other.app.internal/x';
            switch (new URL(request.url).pathname) {
                case '/get': { const r = await fetch(url); return Response.json([r.status, await r.text(), r.url]); }
                case '/post': { const r = await fetch(url, { method: 'POST', body: 'b', headers: { a: '1' } }); return new Response(r.body, r); }
                case '/stream': { const r = await fetch(url, { method: 'POST', body: request.body }); return new Response(await r.text()); }
                case '/pass': return fetch(url);
                case '/forward': return fetch(url, request);
                case '/many': { const all = await Promise.all([1, 2, 3].map(() => fetch(url))); return new Response(all.map((r) => r.status).join()); }
                case '/abort': return fetch(url, { signal: AbortSignal.abort(new Error('enough')) });
                case '/protocol': return fetch('ftp://other/');
                case '/caught': try { return await fetch(url); } catch (error) { return new Response(`${error}`); }
            }
        }
    }";
        let function = worker(&bench, source).await.unwrap();
        let instance = function.instance().await.unwrap();
        for (method, path, expected) in [
            ("GET", "/get", Ok((200, "[200,\"other\",\"http://other.app.internal/x\"]".to_owned()))),
            ("GET", "/post", Ok((200, "other".to_owned()))),
            ("POST", "/stream", Ok((200, "other".to_owned()))),
            ("GET", "/pass", Ok((200, "other".to_owned()))),
            ("POST", "/forward", Ok((200, "other".to_owned()))),
            ("GET", "/many", Ok((200, "200,200,200".to_owned()))),
            ("GET", "/abort", Err("HOB-0342".to_owned())),
            ("GET", "/protocol", Err("HOB-0342".to_owned())),
        ] {
            let body = if method == "POST" { full("sent") } else { empty() };
            let answer = function.call_in(&*instance, request(method, path, body)).await;
            assert_eq!(answer, expected, "{path}: {}", bench.logs.text());
        }
        *bench.world.answer.lock().unwrap() = Some(Err(Fault::new(Code::EgressDenied, "no")));
        let answer = function.call_in(&*instance, request("GET", "/caught", empty())).await;
        let (status, text) = answer.unwrap();
        assert!(status == 200 && text.starts_with("TypeError: fetch failed: "), "{text}");
        let seen = bench.world.seen.lock().unwrap();
        assert!(
            seen.len() == 9 && seen.iter().all(|(uri, _)| uri == "http://other.app.internal/x"),
            "{seen:?}"
        );
    }
}

/// A call with this cause.
async fn caused(
    function: &Function,
    instance: &dyn Instance,
    cause: CallCause,
    body: &'static str,
) -> (u16, String) {
    let mut invocation = function.invocation(request("POST", "/", full(body)));
    Arc::get_mut(&mut invocation.context).unwrap().origin.cause = cause;
    let headers = invocation.request.headers_mut();
    for (name, value) in [
        ("ce-id", "7"),
        ("ce-source", "/shop"),
        ("ce-type", "order.placed"),
        ("ce-specversion", "1.0"),
        ("ce-time", "2026-11-26T09:00:00Z"),
        ("ce-subject", "nightly"),
        ("ce-schedule", "0 3 * * *"),
        ("content-type", "application/json"),
        ("hob-topic", "orders"),
        ("hob-attempt", "2"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    // Nobody from outside says what a call is.
    headers.insert("hob-javascript", "check".parse().unwrap());
    let reply = instance.call(invocation).await.unwrap();
    let (status, after) = (reply.status().as_u16(), reply.headers().get("retry-after").cloned());
    let text = String::from_utf8_lossy(&reply.into_body().collect().await.unwrap().to_bytes()).into_owned();
    (status, after.map_or(text, |after| after.to_str().unwrap().to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_and_topics_have_handlers_of_their_own() {
    let bench = Bench::open();
    let event = || CallCause::Event {
        subscription: TriggerName::new("s").unwrap(),
        topic: TopicName::new("orders").unwrap(),
        sequence: 1,
        attempt: 2,
        published_ms: 0,
        others: Vec::new(),
    };
    let schedule = || CallCause::Schedule {
        schedule: TriggerName::new("nightly").unwrap(),
        sequence: 1,
        attempt: 1,
        published_ms: 0,
    };
    let handlers = "export default {
        fetch(request) { return new Response(`fetch ${request.headers.get('ce-type')} ${request.headers.get('hob-javascript')}`) },
        async scheduled(event, env, ctx) {
            console.log(event.cron, new Date(event.scheduledTime).toISOString(), event.data.a);
            if (event.data.a === 2) { event.noRetry(); throw new Error('never again'); }
        },
        async queue(batch) {
            const [m] = batch.messages;
            console.log(batch.queue, m.id, m.timestamp.getTime(), m.attempts, m.body.a, m.event.type);
            if (m.body.a === 2) m.retry({ delaySeconds: 30 });
            if (m.body.a === 3) { batch.retryAll(); batch.ackAll(); }
        }
    }";
    let function = worker(&bench, handlers).await.unwrap();
    let instance = function.instance().await.unwrap();
    for (cause, body, expected, says) in [
        (schedule(), "{\"a\":1}", (204, ""), "0 3 * * * 2026-11-26T09:00:00.000Z 1"),
        (schedule(), "{\"a\":2}", (422, "never again"), "Error: never again"),
        (event(), "{\"a\":1}", (204, ""), "orders 7 1795683600000 2 1 order.placed"),
        (event(), "{\"a\":2}", (503, "30"), ""),
        (event(), "{\"a\":3}", (204, ""), ""),
        (CallCause::Request, "{}", (200, "fetch order.placed null"), ""),
    ] {
        let (status, text) = caused(&function, &*instance, cause, body).await;
        assert_eq!((status, text.as_str()), expected, "{body}: {}", bench.logs.text());
        assert!(bench.logs.text().contains(says), "{says}: {}", bench.logs.text());
    }
    // Without them, `fetch` gets the event as every function does.
    let alone = "export default request => new Response(request.headers.get('ce-type'))";
    let function = worker(&bench, alone).await.unwrap();
    let instance = function.instance().await.unwrap();
    for cause in [schedule(), event()] {
        assert_eq!(caused(&function, &*instance, cause, "{}").await, (200, "order.placed".to_owned()));
    }
}

/// Each message of a batch is taken or wanted again by itself, if the subscription lets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_one_call_of_queue() {
    let bench = Bench::open();
    let gathered = "export default { async queue(batch) {
        console.log(batch.messages.map((m) => `${m.id}:${m.attempts}:${m.body}`).join());
        for (const m of batch.messages) if (m.body === 'again') m.retry({ delaySeconds: 5 }); else m.ack();
        if (batch.messages.some((m) => m.body === 'throw')) throw new Error('halfway');
    } }";
    let function = worker(&bench, gathered).await.unwrap();
    let instance = function.instance().await.unwrap();
    for (partial, bodies, expected) in [
        ("true", ["a", "b"], Ok((204, ""))),
        ("true", ["again", "b"], Ok((200, "{\"batchItemFailures\":[{\"itemIdentifier\":\"0\"}]}"))),
        ("true", ["again", "throw"], Ok((200, "{\"batchItemFailures\":[{\"itemIdentifier\":\"0\"}]}"))),
        ("true", ["again", "again"], Ok((503, "the message is to be delivered again"))),
        ("false", ["again", "b"], Ok((503, "the message is to be delivered again"))),
        ("false", ["a", "throw"], Err("HOB-0342")),
    ] {
        let each = bodies.iter().enumerate();
        let events: Vec<String> = each
            .map(|(id, body)| {
                format!(r#"{{"id":"{id}","source":"/s","type":"t","specversion":"1.0","data":"{body}"}}"#)
            })
            .collect();
        let mut invocation =
            function.invocation(request("POST", "/", full(format!("[{}]", events.join(",")))));
        Arc::get_mut(&mut invocation.context).unwrap().origin.cause = CallCause::Event {
            subscription: TriggerName::new("s").unwrap(),
            topic: TopicName::new("orders").unwrap(),
            sequence: 1,
            attempt: 3,
            published_ms: 0,
            others: vec![2],
        };
        let headers = invocation.request.headers_mut();
        headers.insert("content-type", "application/cloudevents-batch+json; charset=utf-8".parse().unwrap());
        headers.insert("hob-batch-partial", partial.parse().unwrap());
        let items = [1, 2].map(|sequence| BatchItem { sequence, attempt: 3, published_ms: 0 });
        invocation.request.extensions_mut().insert(BatchCall { items: items.into() });
        let found = match instance.call(invocation).await {
            Ok(reply) => {
                let status = reply.status().as_u16();
                let bytes = reply.into_body().collect().await.unwrap().to_bytes();
                Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
            }
            Err(fault) => Err(fault.code().text()),
        };
        assert_eq!(
            found.as_ref().map(|(status, text)| (*status, text.as_str())).map_err(|code| *code),
            expected,
            "{bodies:?}: {}",
            bench.logs.text()
        );
        assert!(
            bench.logs.text().contains(&format!("0:3:{},1:3:{}", bodies[0], bodies[1])),
            "{}",
            bench.logs.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typescript_loses_its_types() {
    for bench in Bench::both() {
        let source = "import type { Env } from './env';
        interface Greeting { hello: string }
        enum Tone { Low = 1, High }
        class Greeter { constructor(private readonly name: string) {} greet(): Greeting { return { hello: this.name }; } }
        export default {
            async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
                const tone = Tone.High as number;
                return Response.json({ ...new Greeter('you').greet(), tone }) satisfies Response;
            },
        } satisfies ExportedHandler<Env>;";
        let settings = || Settings { file: "worker.ts", ..settings() };
        let function = bench.ready(source.as_bytes(), &settings()).await.unwrap();
        let expected = Ok((200, "{\"hello\":\"you\",\"tone\":2}".to_owned()));
        assert_eq!(function.call(get()).await, expected, "{}", bench.logs.text());
        let fault = bench
            .ready(b"const a: number = 1;\nexport default {{ fetch() {} }", &settings())
            .await
            .err()
            .unwrap();
        assert_eq!((fault.code().text(), fault.place()), ("HOB-0340", Some("worker.ts:2")), "{fault}");
    }
}

/// More fields than a map of them can hold are refused before there is a map. A text has `content-type` besides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_headers_are_refused() {
    for bench in Bench::both() {
        let source = "export default {
            async fetch(request) {
                const count = Number(new URL(request.url).pathname.slice(1));
                const all = Array.from({ length: count }, (_, at) => [`a${at}`, 'b']);
                try { return new Response('made', { headers: all }); } catch (error) { return new Response(`${error}`); }
            }
        }";
        let function = worker(&bench, source).await.unwrap();
        let instance = function.instance().await.unwrap();
        for (count, expected) in
            [(24_577, Err("HOB-0342")), (512, Err("HOB-0342")), (511, Ok((200, "made".to_owned())))]
        {
            let answer = function.call_in(&*instance, request("GET", &format!("/{count}"), empty())).await;
            assert_eq!(answer, expected.map_err(str::to_owned), "{count}: {}", bench.logs.text());
        }
    }
}

/// Where the node itself fails in the middle of a guest's work, the instance has ended and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_whose_task_panics_has_ended() {
    let bench = Bench::open();
    let function =
        worker(&bench, "export default { fetch() { console.log('a'); return new Response('b'); } }").await;
    let function = function.unwrap();
    let instance = function.instance().await.unwrap();
    let logs = Arc::clone(&bench.logs);
    // From here on whoever writes a line panics.
    let broken = move || {
        let _held = logs.0.lock().unwrap();
        panic!("a test");
    };
    assert!(std::thread::spawn(broken).join().is_err());
    let answer = function.call_in(&*instance, get()).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), instance.ended()).await;
    bench.logs.0.clear_poison();
    assert_eq!(answer, Err("HOB-0502".to_owned()), "{}", bench.logs.text());
    assert_eq!(ended.unwrap().map(|fault| fault.code()), Some(Code::Crashed));
}

/// What the runtime imports is there for it, and for no other component.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_components_do_not_get_what_the_runtime_imports() {
    let bench = Bench::open();
    let component = "(component
        (import \"hob:javascript/host@1.0.0\" (instance (export \"wake\" (func (param \"id\" u32)))))
        (instance $i) (export \"wasi:http/handler@0.3.0\" (instance $i)))";
    let fault = bench.ready(component.as_bytes(), &Settings::default()).await.err().unwrap();
    assert_eq!(fault.code(), Code::ImportMissing, "{fault}");
    assert!(fault.message().contains("`hob:javascript/host@1.0.0`"), "{fault}");
}
