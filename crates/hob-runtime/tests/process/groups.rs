//! Programs in control groups: what the kernel holds where a watch would be late, and what it forgets nobody of.

use crate::hostile::HOSTILE;
use crate::skip::tell;
use crate::support::{Bench, eventually, get, invocation, is_running, python, shown, this_test};
use hob_core::code::Code;
use hob_runtime::body::empty;

/// Whether the kernel holds the memory of programs here; says that the test is skipped when not.
fn held() -> bool {
    let why = hob_runtime::cgroup::examine().err();
    why.iter().for_each(|why| {
        tell(&this_test(), format_args!("no control group holds memory on this machine: {why}"))
    });
    why.is_none()
}

const BURST: &str = "kept = b'x' * (96 << 20)\nprint('escaped')\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_over_before_a_watch_looks_is_held() {
    if !held() || !python() {
        return;
    }
    let forks = HOSTILE.iter().find(|hostile| hostile.name == "fork bomb").unwrap().file.1;
    for bench in [Bench::bare(), Bench::open()] {
        for (what, run, text, expected) in [
            ("a burst", &["python3", "guest.py"][..], BURST, "HOB-0505"),
            ("a burst of a child", &["sh", "-c", "python3 guest.py; echo done"], BURST, "HOB-0505"),
            ("forks", &["python3", "guest.py"], forks, "200 contained"),
        ] {
            let code = bench.code("stdio", run, &[("guest.py", text.as_bytes())], |spec| {
                spec.memory_bytes = 64 << 20;
                spec.scale.concurrency = 1;
            });
            let pool = bench.pool(code).await.unwrap();
            assert_eq!(shown(&get(&pool, "/").await), expected, "{what}");
        }
    }
}

/// Until it has had so much processor time, and how long that took.
const COMPUTES: &str = r"
import time
begun = time.monotonic()
while time.process_time() < 0.3:
    pass
print(int((time.monotonic() - begun) * 1000))
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_processors_are_had_than_the_limit_says() {
    let shared = |offer: String| offer.split([' ', ',', ';']).any(|word| word == "cpu");
    if !held() || !hob_runtime::cgroup::examine().is_ok_and(shared) || !python() {
        return;
    }
    for bench in [Bench::bare(), Bench::open()] {
        let run = ["python3", "guest.py"];
        let code = bench.code("stdio", &run, &[("guest.py", COMPUTES.as_bytes())], |spec| {
            spec.cpu_milli = Some(200);
        });
        let pool = bench.pool(code).await.unwrap();
        let answer = shown(&get(&pool, "/").await);
        let took_ms: u64 = answer.strip_prefix("200 ").and_then(|ms| ms.parse().ok()).expect(&answer);
        // Fifteen periods of 20 ms each; in the first one it was already running, and processors keep some for later.
        assert!(took_ms > 1000, "{took_ms} ms");
    }
}

/// A child that is born shares the node's memory for a moment: whoever is ended for want of memory then, it is not the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_little_memory_to_be_born_is_one_failed_call() {
    if !held() {
        return;
    }
    for bench in [Bench::bare(), Bench::open()] {
        for kib in [1024, 1536, 2048, 4096] {
            let pool = bench.script("echo fine", |spec| spec.memory_bytes = kib << 10).await;
            let request = http::Request::get("/").header("host", "localhost").body(empty()).unwrap();
            let code = pool
                .call(invocation(&pool, request))
                .await
                .map_err(|fault| (fault.code(), fault.to_string()));
            // A shell that is ended while it starts has crashed, where it could not even ask for memory.
            let expected = [Code::MemoryLimit, Code::Crashed];
            assert!(
                code.as_ref().map_or_else(|(code, _)| expected.contains(code), |_| true),
                "{kib} KiB: {:?}",
                code.err()
            );
        }
        let pool = bench.script("echo fine", |_| {}).await;
        assert_eq!(shown(&get(&pool, "/").await), "200 fine");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_ends_with_all_that_hide_and_counts_them() {
    if !held() {
        return;
    }
    let bench = Bench::bare();
    // Neither its session nor its environment says whose it is.
    let daemon = "env -i setsid sleep 7351 >/dev/null 2>&1 </dev/null & sleep 0.1; echo fine";
    let pool = bench.script(daemon, |_| {}).await;
    assert_eq!(shown(&get(&pool, "/").await), "200 fine");
    eventually("nothing is left of the daemon", || !is_running("sleep 7351")).await;

    let mut spent = Vec::new();
    for work in ["", "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done;"] {
        // Nobody waits for the child, which is killed with its parent.
        let script = format!(
            "({work} echo > done; exec sleep 600) & while [ ! -e done ]; do sleep 0.02; done; echo fine"
        );
        let pool = bench.script(&script, |_| {}).await;
        assert_eq!(shown(&get(&pool, "/").await), "200 fine");
        spent.push(pool.stats().cpu_us);
    }
    assert!(spent[1] > spent[0], "{spent:?}");
}
