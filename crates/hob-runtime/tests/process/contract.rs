//! What every contract promises, for every host that carries it: one suite over the tables.

use crate::support::{Bench, eventually, get, invocation, post, python, shown};
use bytes::Bytes;
use hob_core::fault::Fault;
use hob_core::id::InvocationId;
use hob_runtime::body::empty;
use hob_runtime::contract::CONTRACTS;
use hob_runtime::host::HOSTS;
use hob_runtime::pool::Pool;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::time::Duration;

const SERVER: &str = include_str!("guest/server.py");
const SCRIPT: &str = include_str!("guest/script.sh");
const RUNTIME: &str = include_str!("guest/runtime.py");

/// A guest that can do everything the suite asks for: a host, a contract, a command line, its file.
struct Guest {
    host: &'static str,
    contract: &'static str,
    run: &'static [&'static str],
    file: (&'static str, &'static str),
    needs_python: bool,
    concurrency: u32,
}

const GUESTS: &[Guest] = &[
    Guest {
        host: "process",
        contract: "http",
        run: &["python3", "server.py"],
        file: ("server.py", SERVER),
        needs_python: true,
        concurrency: 4,
    },
    Guest {
        host: "process",
        contract: "functions-framework",
        run: &["python3", "server.py"],
        file: ("server.py", SERVER),
        needs_python: true,
        concurrency: 4,
    },
    Guest {
        host: "process",
        contract: "stdio",
        run: &["sh", "script.sh"],
        file: ("script.sh", SCRIPT),
        needs_python: false,
        concurrency: 4,
    },
    Guest {
        host: "process",
        contract: "lambda",
        run: &["python3", "runtime.py"],
        file: ("runtime.py", RUNTIME),
        needs_python: true,
        concurrency: 1,
    },
    Guest {
        host: "process",
        contract: "lambda",
        run: &["python3", "runtime.py"],
        file: ("runtime.py", RUNTIME),
        needs_python: true,
        concurrency: 4,
    },
];

/// Rows of the tables whose promises are proved by the suite of WASM guests (`tests/wasm`) or of files (`site.rs`).
const PROVED_ELSEWHERE: &[(&str, &str)] = &[
    ("wasm", "wasi-http"),
    ("wasm", "stdio"),
    ("files", "static"),
    ("wasm", "javascript"),
    ("wasm", "spin"),
];

#[test]
fn every_host_and_contract_is_covered() {
    for host in HOSTS {
        assert!(
            GUESTS.iter().any(|guest| guest.host == host.name)
                || PROVED_ELSEWHERE.iter().any(|(name, _)| *name == host.name),
            "no guest for host `{}`",
            host.name
        );
    }
    for contract in CONTRACTS {
        assert!(
            GUESTS.iter().any(|guest| guest.contract == contract.name())
                || PROVED_ELSEWHERE.iter().any(|(_, name)| *name == contract.name()),
            "no guest for contract `{}`",
            contract.name()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_contract_keeps_its_promises() {
    for guest in GUESTS {
        if guest.needs_python && !python() {
            continue;
        }
        println!("{} × {}", guest.host, guest.contract);
        let bench = Bench::open();
        let (name, text) = guest.file;
        let code = bench.code(guest.contract, guest.run, &[(name, text.as_bytes())], |spec| {
            guest.host.clone_into(&mut spec.host);
            spec.timeout_ms = 4000;
            spec.scale.concurrency = guest.concurrency;
        });
        let pool = bench.pool(code).await.unwrap();
        answers(&pool).await;
        large_bodies(&pool).await;
        failures(&pool, guest.contract).await;
        cancelled(&pool).await;
        drained(&pool).await;
    }
}

async fn answers(pool: &Pool) {
    assert_eq!(shown(&get(pool, "/hello?x=1").await), "200 GET /hello x=1");
    assert_eq!(shown(&get(pool, "/missing").await), "404 not here");
    assert_eq!(shown(&post(pool, "/length", b"12345".to_vec()).await), "200 5");
}

/// 8 MiB each way, in pieces and without a declared length.
async fn large_bodies(pool: &Pool) {
    const PIECES: usize = 128;
    let (mut sender, body) = http_body_util::channel::Channel::<Bytes, Fault>::new(1);
    let request =
        http::Request::post("/length").header("host", "localhost").body(body.boxed_unsync()).unwrap();
    let write = async {
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        for _ in 0..PIECES {
            sender.send_data(piece.clone()).await.unwrap();
        }
        drop(sender);
    };
    let (outcome, ()) = tokio::join!(crate::support::send(pool, request), write);
    assert_eq!(shown(&outcome), format!("200 {}", PIECES * (64 << 10)));

    let (status, body) = get(pool, "/large").await.unwrap();
    assert_eq!((status, body.len()), (200, 8 << 20));
}

async fn failures(pool: &Pool, contract: &str) {
    let before = pool.stats();
    let crash = get(pool, "/crash").await;
    let expected = if contract == "stdio" { "HOB-0508" } else { "HOB-0502" };
    assert_eq!(shown(&crash), expected);
    assert_eq!(shown(&get(pool, "/hello").await), "200 GET /hello", "after a crash");
    assert_eq!(shown(&get(pool, "/slow").await), "HOB-0501");
    assert_eq!(shown(&get(pool, "/hello").await), "200 GET /hello", "after a time-out");
    let after = pool.stats();
    assert_eq!((after.calls - before.calls, after.failures - before.failures), (4, 2));
}

/// A caller that goes away gives its place back.
async fn cancelled(pool: &Arc<Pool>) {
    let request = http::Request::get("/slow").header("host", "localhost").body(empty()).unwrap();
    let mut slow = invocation(pool, request);
    // A runtime may still answer it when its time is over: under an id of its own, as in a node.
    Arc::get_mut(&mut slow.context).unwrap().id = InvocationId(0x43);
    let call = pool.call(slow);
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    eventually("the place is free", || pool.stats().running == 0).await;

    let request = http::Request::get("/drip").header("host", "localhost").body(empty()).unwrap();
    let reply = pool.call(invocation(pool, request)).await.unwrap();
    assert_eq!(pool.stats().running, 1, "while the body streams");
    drop(reply);
    eventually("the place is free after half a body", || pool.stats().running == 0).await;
}

/// A stopping pool lets calls finish and takes no new ones.
async fn drained(pool: &Arc<Pool>) {
    let request = http::Request::get("/pause").header("host", "localhost").body(empty()).unwrap();
    let running = crate::support::send(pool, request);
    let stop = async {
        eventually("the call runs", || pool.stats().running == 1).await;
        pool.stop(Duration::from_secs(10)).await;
    };
    let (outcome, ()) = tokio::join!(running, stop);
    assert_eq!(shown(&outcome), "200 paused");
    let refused: Result<_, String> = get(pool, "/hello").await;
    assert_eq!(shown(&refused), "HOB-0509");
    assert_eq!((pool.stats().instances, pool.stats().running), (0, 0));
}
