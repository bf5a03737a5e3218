//! What programs print is the log of the call in which they print it, wherever that can be known.

use crate::support::{Bench, eventually, invocation, python};
use hob_core::id::InvocationId;
use hob_core::log_line::Level;
use hob_core::port::LogRecord;
use hob_core::trace::TraceContext;
use hob_runtime::body::{empty, full};
use hob_runtime::pool::Pool;
use http_body_util::BodyExt as _;
use std::sync::Arc;

/// Prints before and after its answer. `/meet/<n>` prints when as many calls as `n` have come, without a
/// name and then with the trace of the call.
const SERVER: &str = r#"
import json, os, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

met = {}
lock = threading.Lock()

def say(text, stream=sys.stderr):
    stream.write(text + "\n")
    stream.flush()

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        _, what, word = self.path.split("/")
        if what == "meet":
            with lock:
                barrier = met.setdefault(word, threading.Barrier(int(word)))
            barrier.wait()
            trace = self.headers["traceparent"].split("-")[1]
            say("unnamed")
            say(json.dumps({"level": "warn", "msg": "named", "trace_id": trace}))
            barrier.wait()
        else:
            say(f"INFO:root:{word}", sys.stdout)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()
        if what == "say":
            say(f"after {word}")

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// The n-th call, to its end.
async fn call(pool: &Pool, number: u128, path: &str, body: &str) -> Option<u16> {
    let trace = TraceContext { trace_id: number << 64, span_id: 7, flags: 1 };
    let request =
        http::Request::get(path).header("host", "localhost").header("traceparent", trace.to_string());
    let mut invocation = invocation(pool, request.body(empty()).unwrap());
    *invocation.request.body_mut() = full(body.to_owned());
    let context = Arc::get_mut(&mut invocation.context).unwrap();
    (context.id, context.trace) = (InvocationId(number), trace);
    let reply = pool.call(invocation).await.ok()?;
    let status = reply.status().as_u16();
    reply.into_body().collect().await.ok()?;
    Some(status)
}

/// `text of n`, or `text of nobody`; with its level.
fn shown(record: &LogRecord) -> String {
    let of = record.invocation.map_or_else(|| "nobody".to_owned(), |id| id.0.to_string());
    let level = record.level.map_or("", Level::word);
    assert_eq!(record.invocation.map(|id| id.0 << 64), record.trace.map(|id| id.0), "{record:?}");
    format!("{level} {} of {of}", record.text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_prints_for_the_call_that_runs_in_it() {
    if !python() {
        return;
    }
    for concurrency in [1, 4] {
        let bench = Bench::open();
        let pool =
            bench.server(SERVER, |spec| (spec.scale.concurrency, spec.scale.max) = (concurrency, 1)).await;
        // One after the other: what is printed after an answer is still the call's.
        for number in 1..=20_u128 {
            assert_eq!(call(&pool, number, &format!("/say/{number}"), "").await, Some(200));
            eventually("both lines are there", || bench.logs.all().len() as u128 == 2 * number).await;
        }
        let lines: Vec<String> = bench.logs.all().iter().map(shown).collect();
        for number in 1..=20 {
            for expected in
                [format!("info INFO:root:{number} of {number}"), format!(" after {number} of {number}")]
            {
                assert!(lines.contains(&expected), "{concurrency}: `{expected}` is not in {lines:#?}");
            }
        }
        // At once they can be told apart by what they say only.
        if concurrency > 1 {
            let (one, two) = tokio::join!(call(&pool, 31, "/meet/2", ""), call(&pool, 32, "/meet/2", ""));
            assert_eq!((one, two), (Some(200), Some(200)));
            eventually("four more lines", || bench.logs.all().len() == 44).await;
            let mut lines: Vec<String> = bench.logs.all()[40..].iter().map(shown).collect();
            lines.sort();
            let expected =
                [" unnamed of nobody", " unnamed of nobody", "warn named of 31", "warn named of 32"];
            assert_eq!(lines, expected);
        }
    }
}

/// Many calls as quickly as they go, none of which may be taken for another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_is_taken_for_that_of_another_call() {
    if !python() {
        return;
    }
    let bench = Bench::open();
    let pool = bench.server(SERVER, |spec| (spec.scale.concurrency, spec.scale.max) = (1, 1)).await;
    for number in 1..=300 {
        assert_eq!(call(&pool, number, &format!("/only/{number}"), "").await, Some(200));
    }
    eventually("every line is there", || bench.logs.all().len() == 300).await;
    for (number, record) in (1..).zip(bench.logs.all()) {
        assert_eq!(shown(&record), format!("info INFO:root:{number} of {number}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_per_call_prints_for_its_call() {
    let bench = Bench::open();
    let script = r#"echo "{\"severity\":\"ERROR\",\"message\":\"no $(cat)\",\"at\":3}" >&2; exit 3"#;
    let pool = bench.script(script, |_| {}).await;
    for number in 1..=3 {
        assert_eq!(call(&pool, number, "/", "bread").await, None);
    }
    eventually("every line is there", || bench.logs.all().len() == 3).await;
    let records = bench.logs.all();
    let lines: Vec<String> = records.iter().map(shown).collect();
    assert_eq!(lines, ["error no bread of 1", "error no bread of 2", "error no bread of 3"]);
    assert_eq!(records[0].fields["at"], "3");
}
