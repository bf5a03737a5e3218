//! `hob bench` and `hob top` with a real node: what they measure, and what they say when that cannot be done.
//!
//! No figure is tested for its size: machines are shared.

use super::support::{Node, PATIENCE, command, eventually, write};
use serde_json::Value;
use std::io::Read;
use std::process::{Child, Stdio};
use std::time::Instant;

/// A function that answers, one that fails by its path, one that is private, and one with an instance that stays.
const SHOP: &str = r#"app = "shop"

[functions.price]
run = ["python3", "price.py"]
contract = "http"
route = "/price/*"

[functions.tax]
run = ["wc", "-c"]
contract = "stdio"
private = true

[functions.stock]
run = ["python3", "price.py"]
contract = "http"
private = true
scale = { min = 1, max = 1 }
"#;

const PRICE: &[u8] = br#"import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Price(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        if self.path.endswith("/crash"):
            os._exit(3)
        self.send_response(500 if self.path.endswith("/fail") else 200)
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"7\r\n")
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()
    def log_message(self, *words):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Price).serve_forever()
"#;

fn shop() -> Node {
    let node = Node::start();
    write(node.home.path(), &[("shop/hob.toml", SHOP.as_bytes()), ("shop/price.py", PRICE)]);
    node.ok(&["deploy", "shop"]);
    node
}

fn bench(node: &Node, args: &[&str]) -> (i32, Value) {
    let warmup = if args.contains(&"--warmup") { "" } else { "--warmup=0s" };
    let words = [&["bench", "-o", "json", warmup], args].concat();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let outcome = node.hob(&words);
    let report = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{args:?}: {outcome:?}"));
    (outcome.code, report)
}

#[test]
fn a_load_test_counts_what_comes_back() {
    let node = shop();
    let cases: [(&[&str], i32, u64, u64); 6] = [
        (&["shop/price", "-n", "50"], 0, 50, 0),
        (&["shop/price", "-n", "20", "-c", "50", "-X", "POST", "-d", "body", "-H", "x-a: b"], 0, 20, 0),
        (&["shop/price/fail", "-n", "5"], 1, 5, 5),
        (&["shop/price", "--path", "/fail", "-n", "5"], 1, 5, 5),
        (&["/price/x", "-n", "5"], 0, 5, 0),
        (&["shop/tax", "-n", "5", "-c", "2", "-d", "apple"], 0, 5, 0),
    ];
    for (args, code, answers, failed) in cases {
        let (found, report) = bench(&node, args);
        assert_eq!(
            (found, report["answers"].as_u64(), report["failed"].as_u64()),
            (code, Some(answers), Some(failed)),
            "{args:?}: {report}"
        );
        assert_eq!(report["latency"]["count"], answers, "{args:?}");
        let bytes = report["body_bytes"].as_u64().unwrap();
        assert!(bytes > 0 && report["requests_per_second"].as_f64().unwrap() > 0.0, "{args:?}: {report}");
    }
    let (_, report) = bench(&node, &["shop/price", "-n", "9"]);
    let split = |of: &str| report[of]["count"].as_u64().unwrap();
    assert_eq!(split("cold") + split("warm"), 9, "the node says of each call whether it waited for a start");
    let phases: Vec<&str> =
        report["phases"].as_array().unwrap().iter().map(|one| one["phase"].as_str().unwrap()).collect();
    assert!(["queue", "start", "run"].iter().all(|wanted| phases.contains(wanted)), "{phases:?}");

    let (code, report) = bench(&node, &["shop/price", "--rate", "100", "--duration", "500ms"]);
    let answers = report["answers"].as_u64().unwrap();
    assert!(code == 0 && (1..=51).contains(&answers), "a rate is not exceeded: {answers}");
    assert_eq!(report["client"]["rate"], 100.0);

    let text = node.ok(&["bench", "shop/price", "-n", "20", "-c", "4", "--warmup", "0s"]);
    for part in [
        "shop/price  http://price--shop.localhost:",
        "4 connections, closed loop",
        "requests/s",
        "p99.9",
        "client",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn cold_calls_find_no_instance() {
    let node = shop();
    let (code, report) = bench_cold(&node, "shop/price");
    assert_eq!(
        (code, report["answers"].as_u64(), report["failed"].as_u64()),
        (0, Some(6), Some(0)),
        "{report}"
    );
    assert_eq!(
        (report["cold"]["count"].as_u64(), report["warm"]["count"].as_u64()),
        (Some(3), Some(3)),
        "{report}"
    );
    let kept = node.hob(&["bench", "shop/stock", "--cold", "1"]);
    assert!(kept.code != 0 && kept.stderr.contains("1 instance stays of `stock`"), "{kept:?}");
    let bare = node.hob(&["bench", "/price/", "--cold"]);
    assert!(bare.code == 2 && bare.stderr.contains("names no function"), "{bare:?}");
}

fn bench_cold(node: &Node, target: &str) -> (i32, Value) {
    let outcome = node.hob(&["bench", target, "--cold", "3", "-o", "json"]);
    (outcome.code, serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}")))
}

#[test]
fn revisions_take_turns() {
    let node = shop();
    let slow = String::from_utf8_lossy(PRICE).replace(
        "        self.send_header",
        "        import time; time.sleep(0.03)\n        self.send_header",
    );
    write(node.home.path(), &[("shop/price.py", slow.as_bytes())]);
    node.ok(&["deploy", "shop"]);
    let compare = |duration| {
        bench(&node, &["shop/price", "--compare", "1,2", "--warmup", "1s", "--duration", duration, "-c", "2"])
    };
    // On a machine that is at work a turn may end before anything was answered, and few say nothing: the longer one will.
    let (code, report) = Some(compare("4s"))
        .filter(|(_, report)| report["compared"].as_array().is_some_and(|numbers| !numbers.is_empty()))
        .unwrap_or_else(|| compare("30s"));
    assert_eq!(
        (code, report["old"]["revision"].as_u64(), report["new"]["revision"].as_u64()),
        (0, Some(1), Some(2)),
        "{report}"
    );
    // Revision 2 sleeps for 30 ms in each call: no machine is so busy that it does not show.
    let median = report["compared"].as_array().unwrap().iter().find(|one| one["number"] == "p50");
    let median = median.unwrap_or_else(|| panic!("{report}"));
    assert!(median["new_is"] == "slower" && median["low"].as_f64().unwrap() > 1.0, "{report}");

    for (args, says) in [
        (&["shop/price", "--compare", "1,9"][..], "revision 9"),
        (&["shop/tax", "--compare", "1,2"], "no route leads to `tax`"),
        (
            &["shop/price/x", "--path", "/other", "--compare", "1,2"],
            "no route leads to `price` by `GET /other`",
        ),
        (&["/price/x", "--compare", "1,2"], "names no function to compare"),
    ] {
        let outcome = node.hob(&[&["bench"], args].concat());
        assert!(outcome.code != 0 && outcome.stderr.contains(says), "{args:?}: {outcome:?}");
    }
}

#[test]
fn what_cannot_be_measured_is_said_with_the_nearest_name() {
    let node = shop();
    for (args, code, says) in [
        (&["shop/prize"][..], 3, "did you mean `shop/price`?"),
        (&["shob/price"], 3, "did you mean `shop`?"),
        (&["shop"], 2, "names no function"),
        (&["shop/price", "--rate", "0"], 2, "no number of calls"),
        (&["shop/price", "-c", "0"], 2, "not a number from 1"),
        (&["shop/price", "-n", "5", "--duration", "1s"], 2, "cannot be used with"),
        (&["https://shop.example/"], 2, "needs TLS"),
    ] {
        let outcome = node.hob(&[&["bench"], args].concat());
        assert_eq!(outcome.code, code, "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains(says), "{args:?}: {}", outcome.stderr);
    }
}

#[test]
fn a_node_that_goes_and_a_person_who_has_seen_enough_end_it_with_what_there_is() {
    let node = shop();
    let begin = |node: &Node| -> Child {
        let mut hob = command(node.home.path());
        hob.env("HOB_DATA", node.home.path().join("data"));
        hob.args(["bench", "shop/price", "--duration", "10m", "--warmup", "0s", "-c", "2", "-o", "json"]);
        hob.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let called = |node: &Node| {
        let calls = || {
            let apps: Value = serde_json::from_str(&node.ok(&["ls", "-o", "json"])).unwrap();
            let functions = apps[0]["functions"].as_array().unwrap().clone();
            functions.iter().map(|function| function["calls"].as_u64().unwrap()).sum::<u64>()
        };
        let before = calls();
        // So many of two connections that some are answered.
        eventually("calls", || (calls() > before + 4).then_some(()));
    };
    let end = |mut child: Child| -> (i32, Value, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = child.wait().unwrap().code().unwrap();
        (code, serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout} {stderr}")), stderr)
    };
    let begun = Instant::now();
    let child = begin(&node);
    called(&node);
    let signalled =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let (code, report, _) = end(child);
    assert_eq!(
        (code, report["interrupted"].as_bool(), report["gone"].as_bool()),
        (0, Some(true), Some(false)),
        "{report}"
    );
    assert!(report["answers"].as_u64().unwrap() > 0, "{report}");

    let child = begin(&node);
    called(&node);
    node.serving.signal("KILL");
    let (code, report, stderr) = end(child);
    assert_eq!((code, report["gone"].as_bool()), (1, Some(true)), "{report}");
    assert!(report["answers"].as_u64().unwrap() > 0 && report["failed"].as_u64().unwrap() > 0, "{report}");
    assert!(stderr.contains("nobody answered any more"), "{stderr}");
    assert!(begun.elapsed() < PATIENCE, "it does not wait for the ten minutes to be over");
}

#[test]
fn top_shows_what_runs() {
    let node = shop();
    let mut load = command(node.home.path());
    load.env("HOB_DATA", node.home.path().join("data"));
    load.args(["bench", "shop/price", "--duration", "10m", "-c", "2", "-q", "-o", "json"]);
    let mut load = load.stdout(Stdio::null()).spawn().unwrap();
    let report = eventually("calls", || {
        let report: Value =
            serde_json::from_str(&node.ok(&["top", "-o", "json", "--window", "500ms"])).unwrap();
        let row = report["rows"].as_array().unwrap().iter().find(|row| row["function"] == "price").unwrap();
        (row["calls_per_second"].as_f64().unwrap() > 0.0 && row["p99_ms"].is_number()).then(|| report.clone())
    });
    assert_eq!(
        (&report["rows"][0]["function"], report["functions"].as_u64()),
        (&"price".into(), Some(3)),
        "the busiest is first: {report}"
    );
    let price = &report["rows"][0];
    assert!(
        price["instances"].as_u64().unwrap() > 0 && price["memory_bytes"].as_u64().unwrap() > 1 << 20,
        "{report}"
    );
    assert!(report["span_ms"].as_u64().unwrap() >= 500 && report["cpus"].as_u64().unwrap() > 0, "{report}");
    let text = node.ok(&["top", "-n", "1", "--sort", "name"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0].starts_with("3 functions, over 1.")), (5, true), "{text}");
    assert!(lines[3].starts_with("FUNCTION") && lines[4].starts_with("shop/price"), "{text}");
    drop(load.kill());
    drop(load.wait());

    let unknown = node.hob(&["top", "--app", "shob"]);
    assert_eq!((unknown.code, unknown.stderr.contains("HOB-0351")), (3, true), "{unknown:?}");
    let idle = node.ok(&["top", "--once", "-o", "name"]);
    assert_eq!(idle.lines().count(), 3, "{idle}");
}

/// Runs a command on a terminal of its own until it has shown a whole screen, presses keys, and waits for its end.
const TERMINAL: &[u8] = br#"import os, pty, signal, sys, termios

pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[3], sys.argv[3:])
seen = b""
while not all(word in seen for word in sys.argv[2].encode().split(b",")):
    seen += os.read(terminal, 65536)
if sys.argv[1] == "SIGTERM":
    os.kill(pid, signal.SIGTERM)
else:
    os.write(terminal, sys.argv[1].encode())
try:
    while more := os.read(terminal, 65536):
        seen += more
except OSError:
    pass
sys.stdout.buffer.write(seen)
if termios.tcgetattr(terminal)[3] & (termios.ICANON | termios.ECHO) == termios.ICANON | termios.ECHO:
    print("line editing and echo are back", file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[test]
fn top_lives_on_a_terminal_and_leaves_it_as_it_was() {
    let node = shop();
    write(node.home.path(), &[("terminal.py", TERMINAL)]);
    let (enter, leave) = ("\u{1b}[?1049h\u{1b}[?25l", "\u{1b}[?25h\u{1b}[?1049l");
    for (words, keys, command) in [
        ("over ,quit,shop/price", "nq", &["top"][..]),
        ("over ,quit,shop/price", "SIGTERM", &["top"]),
        ("shop/price,requests/s", "SIGTERM", &["bench", "shop/price", "--duration", "1h", "--warmup", "0s"]),
    ] {
        let mut python = std::process::Command::new("python3");
        python.arg(node.home.path().join("terminal.py")).args([keys, words, env!("CARGO_BIN_EXE_hob")]);
        python.args(command).env("HOB_DATA", node.home.path().join("data")).env("NO_COLOR", "1");
        let shown = super::support::finish(&mut python);
        assert_eq!(shown.code, 0, "{shown:?}");
        assert!(shown.stdout.starts_with(enter) && shown.stdout.contains(leave), "{shown:?}");
        let after = shown.stdout.rsplit(leave).next().unwrap();
        assert!(command[0] == "bench" || after.trim().is_empty(), "{shown:?}");
        assert!(!shown.stdout.contains("\u{1b}[1m"), "no colour is wanted: {shown:?}");
        assert!(shown.stderr.contains("line editing and echo are back"), "{shown:?}");
    }
}
