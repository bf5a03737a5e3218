//! The contract `lambda` beyond what every contract promises: its runtime API, code by code, and its errors.

use crate::support::{Bench, eventually, get, invocation, python, shown};
use hob_core::fault::Fault;
use hob_core::id::InvocationId;
use hob_core::spec::FunctionSpec;
use hob_runtime::body::{empty, full};
use hob_runtime::contract::lambda::{RawCall, RawReply, error_payload, request_id};
use hob_runtime::pool::Pool;
use http_body_util::BodyExt as _;
use std::sync::Arc;

const RUNTIME: &str = include_str!("guest/runtime.py");

/// The pool of a runtime in Python.
async fn runtime(bench: &Bench, text: &str, change: impl FnOnce(&mut FunctionSpec)) -> Arc<Pool> {
    let run = ["python3", "guest.py"];
    let code = bench.code("lambda", &run, &[("guest.py", text.as_bytes())], |spec| {
        spec.scale.concurrency = 1;
        change(spec);
    });
    bench.pool(code).await.unwrap()
}

/// The fault of `GET <path>`.
async fn fault(pool: &Pool, path: &str) -> Fault {
    let request = http::Request::get(path).body(empty()).unwrap();
    pool.call(invocation(pool, request)).await.err().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_runtime_posts_is_answered_by_the_book() {
    if !python() {
        return;
    }
    let bench = Bench::open();
    let pool = runtime(&bench, RUNTIME, |_| {}).await;
    assert_eq!(shown(&get(&pool, "/twice").await), "200 once");
    let failed = fault(&pool, "/fail").await;
    assert_eq!(
        (failed.code().text(), failed.message(), failed.detail_text()),
        ("HOB-0331", "`guest` answered with an error", Some("ValueError: no such thing"))
    );
    let large = fault(&pool, "/toolong").await;
    assert_eq!(large.code().text(), "HOB-0506", "{large}");
    assert!(
        large.to_string().ends_with("(7340032 bytes) exceeded maximum allowed payload size (6291556 bytes)."),
        "{large}"
    );
    assert_eq!(shown(&get(&pool, "/hello").await), "200 GET /hello");
    assert_eq!(pool.stats().starts, 1, "nothing of this ends an instance");
    let printed = || bench.logs.all().into_iter().map(|record| record.text).collect::<Vec<_>>();
    // A strange id, a strange mode, the answer, another answer, an error of a start that is over.
    eventually("the runtime says what it was told", || {
        printed().iter().any(|line| line == "statuses 400 400 202 400 403")
            && printed().iter().any(|line| line == "response 413")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_calls_share_an_instance_that_may_take_them() {
    if !python() {
        return;
    }
    let bench = Bench::open();
    let pool = runtime(&bench, RUNTIME, |spec| (spec.scale.concurrency, spec.scale.max) = (8, 1)).await;
    let pid = get(&pool, "/pid").await;
    let calls = (0..100).map(|number: u8| {
        let pool = Arc::clone(&pool);
        async move {
            let (path, sent, expected) = match number % 3 {
                0 => ("/pid", Vec::new(), None),
                1 => ("/length", vec![0xff; number.into()], Some(number.to_string())),
                _ => ("/pause", Vec::new(), Some("paused".to_owned())),
            };
            let mut call = invocation(&pool, http::Request::post(path).body(full(sent)).unwrap());
            // Everything of a call is known by its id.
            Arc::get_mut(&mut call.context).unwrap().id = InvocationId(number.into());
            let body = pool.call(call).await.unwrap().into_body().collect().await.unwrap().to_bytes();
            expected.is_none_or(|expected| body == expected)
        }
    });
    let outcomes = futures_util::future::join_all(calls).await;
    assert!(outcomes.iter().all(|right| *right), "{outcomes:?}");
    assert_eq!((get(&pool, "/pid").await, pool.stats().starts), (pid, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_says_why() {
    if !python() {
        return;
    }
    let api = "import os, urllib.request as u\napi = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/'\n";
    let error = "u.urlopen(u.Request(api + 'init/error', b'{\"errorType\":\"ImportError\",\"errorMessage\":\"no such module\"}'))\n";
    for (text, code, told) in [
        (format!("{api}{error}import time\ntime.sleep(9)"), "HOB-0330", "ImportError: no such module"),
        ("print('no handler')\nraise SystemExit(7)".to_owned(), "HOB-0308", "exit status 7"),
        ("import time\ntime.sleep(9)".to_owned(), "HOB-0307", "did not ask for an event within 300ms"),
    ] {
        let bench = Bench::open();
        let pool = runtime(&bench, &text, |spec| {
            if code == "HOB-0307" {
                spec.settings.insert("init-timeout".to_owned(), "300ms".into());
            }
        })
        .await;
        let fault = pool.first_instance().await.unwrap_err();
        assert_eq!(fault.code().text(), code, "{fault}");
        assert!(fault.to_string().contains(told), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_call_gets_its_bytes_there_and_back() {
    if !python() {
        return;
    }
    let echo = "import http.client, json, os\nc = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])\nP = '/2018-06-01/runtime/invocation/'\nwhile True:\n    c.request('GET', P + 'next')\n    a = c.getresponse()\n    event = a.read()\n    path = P + a.headers['Lambda-Runtime-Aws-Request-Id']\n    if event == b'fail':\n        c.request('POST', path + '/error', b'{\"errorType\":\"E\"}')\n    elif event == b'exit':\n        os._exit(3)\n    else:\n        told = [a.headers.get('Lambda-Runtime-' + n, '-') for n in ('Aws-Request-Id', 'Invoked-Function-Arn', 'Client-Context', 'Aws-Tenant-Id', 'Trace-Id')]\n        c.request('POST', path + '/response', event + b' ' + ' '.join(told).encode(), {'Content-Type': 'application/unknown'})\n    c.getresponse().read()\n";
    let bench = Bench::open();
    let pool = runtime(&bench, echo, |_| {}).await;
    let call = |event: &'static str, raw| {
        let mut request = http::Request::post("/").body(full(event)).unwrap();
        request.extensions_mut().insert::<RawCall>(raw);
        pool.call(invocation(&pool, request))
    };
    let with = RawCall {
        arn: Some("arn:x".to_owned()),
        client_context: Some("{}".to_owned()),
        tenant: Some("t".to_owned()),
        ..RawCall::default()
    };
    let id = "00000000-0000-0000-0000-000000000042";
    let trace = "Root=1-00000000-000000000000000000000007;Parent=0000000000000001;Sampled=1";
    for (event, raw, failed, expected) in [
        (
            "not JSON",
            RawCall::default(),
            false,
            format!("200 not JSON {id} arn:aws:lambda:us-east-1:000000000000:function:guest - - {trace}"),
        ),
        ("{}", with, false, format!("200 {{}} {id} arn:x {{}} t {trace}")),
        ("fail", RawCall::default(), true, "502 {\"errorType\":\"E\"}".to_owned()),
    ] {
        let reply = call(event, raw).await.unwrap();
        assert_eq!(reply.extensions().get::<RawReply>(), Some(&RawReply { failed }));
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(format!("{status} {}", String::from_utf8_lossy(&body)), expected, "{event}");
    }
    let fault = call("exit", RawCall::default()).await.err().unwrap();
    let context = invocation(&pool, http::Request::get("/").body(empty()).unwrap()).context;
    let told = error_payload(&fault, context.id, pool.code().spec.timeout());
    assert_eq!(request_id(context.id), id);
    assert_eq!(
        told["errorMessage"],
        format!("RequestId: {id} Error: Runtime exited with error: exit status 3")
    );
}

/// Goal: a caller that goes away ends nothing: the runtime finishes, and the instance takes the next call after that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_finishes_what_nobody_waits_for() {
    if !python() {
        return;
    }
    let bench = Bench::bare();
    let pool = runtime(&bench, RUNTIME, |spec| spec.scale.max = 1).await;
    let pid = shown(&get(&pool, "/pid").await);
    // Its answer comes when the file is there.
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let path = format!("/hold?{}", go.display());
    let request = http::Request::get(path).header("host", "localhost").body(empty()).unwrap();
    let mut call = Box::pin(pool.call(invocation(&pool, request)));
    assert!(futures_util::poll!(call.as_mut()).is_pending());
    eventually("the runtime has it", || bench.logs.all().iter().any(|record| record.text == "holds")).await;
    drop(call);
    assert_eq!(pool.stats().running, 1, "it is finished first");
    std::fs::write(&go, "").unwrap();
    assert_eq!(shown(&get(&pool, "/pid").await), pid);
    assert_eq!(pool.stats().starts, 1);
    // What Lambda writes of each of the three calls; only the first one tells of the start.
    let lines = |word: &str| {
        let all = bench.logs.all().into_iter().map(|record| record.text);
        all.filter(|text| text.starts_with(word)).collect::<Vec<_>>()
    };
    eventually("all three are reported", || lines("REPORT RequestId: ").len() == 3).await;
    assert_eq!((lines("START RequestId: ").len(), lines("END RequestId: ").len()), (3, 3));
    let reports = lines("REPORT RequestId: ");
    assert!(reports[0].contains("Init Duration: ") && !reports[1].contains("Init Duration: "), "{reports:?}");
    assert!(reports.iter().all(|line| line.contains("Memory Size: ") && line.contains("Max Memory Used: ")));
}

/// Answers every event with what `ANSWER` says in Python.
fn answers(answer: &str, then: &str) -> String {
    format!(
        "import http.client, os, time\nc = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])\nP = '/2018-06-01/runtime/invocation/'\nwhile True:\n    c.request('GET', P + 'next')\n    a = c.getresponse()\n    a.read()\n    c.request('POST', P + a.headers['Lambda-Runtime-Aws-Request-Id'] + '/response', str({answer}).encode())\n    c.getresponse().read()\n{then}"
    )
}

async fn raw(pool: &Pool) -> String {
    let mut request = http::Request::post("/").body(full("{}")).unwrap();
    request.extensions_mut().insert(RawCall::default());
    let reply = pool.call(invocation(pool, request)).await.unwrap();
    String::from_utf8(reply.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Goal: a call that comes to a runtime which has answered and never asks again is not lost with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_no_runtime_has_taken_goes_to_another_instance() {
    if !python() {
        return;
    }
    // It looks for a file of the machine.
    let bench = Bench::bare();
    let go = bench.folder.path().join("go");
    let then = format!(
        "    while not os.path.exists({:?}):\n        time.sleep(0.005)\n    os._exit(1)\n",
        go.display()
    );
    let pool = runtime(&bench, &answers("os.getpid()", &then), |spec| spec.scale.max = 1).await;
    let first = raw(&pool).await;
    let goes = async {
        eventually("the instance has the second call", || {
            bench.logs.all().iter().filter(|record| record.text.starts_with("START RequestId: ")).count() == 2
        })
        .await;
        std::fs::write(&go, "").unwrap();
    };
    let (second, ()) = futures_util::future::join(raw(&pool), goes).await;
    assert_ne!(first, second);
    assert_eq!((pool.stats().calls, pool.stats().failures, pool.stats().starts), (2, 0, 2));
}

/// Processes of this machine with that text in their environment, and whether each stands still.
fn stopped(mark: &str) -> Vec<bool> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let has = environment.split(|byte| *byte == 0).any(|one| one.ends_with(mark.as_bytes()));
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok().filter(|_| has)?;
        Some(stat.rsplit_once(") ")?.1.starts_with('T'))
    });
    processes.collect()
}

/// Goal: an instance without calls stands still, the next call has it go on, and it ends all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_stands_still_between_calls() {
    if !python() {
        return;
    }
    for bench in [Bench::bare(), Bench::open()] {
        let answer = "os.environ['AWS_LAMBDA_LOG_STREAM_NAME']";
        let pool = runtime(&bench, &answers(answer, ""), |spec| spec.scale.max = 1).await;
        let mark = raw(&pool).await;
        for _ in 0..2 {
            eventually("it stands still", || stopped(&mark) == [true]).await;
            assert_eq!(raw(&pool).await, mark);
        }
        eventually("it stands still once more", || stopped(&mark) == [true]).await;
        assert_eq!(pool.stats().starts, 1);
        pool.stop(std::time::Duration::from_secs(9)).await;
        eventually("it has ended", || stopped(&mark).is_empty()).await;
    }
}
