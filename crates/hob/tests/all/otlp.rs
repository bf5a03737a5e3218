//! OpenTelemetry's own SDK in a function, and its own messages in a collector: what goes in comes out, in one trace.
//!
//! **How.** `tests/clients/otlp` holds a function that knows nothing of Hob, and a receiver that takes only fields that
//! the official messages have.

use super::clients::{PYTHON, packages_of};
use super::skip::skip;
use super::support::{INSTALLED, Node, Serving, answer, eventually, write};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PACKAGES: &[&str] = &["opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2"];

const MANIFEST: &str = r#"
app = "shop"

[functions.cart]
run = ["python3", "function.py"]
files = ["function.py"]
route = "/cart/{id}"
scale = { max = 1 }

[topics.orders]

[[on]]
name = "mail"
topic = "orders"
call = "cart"
retry = { attempts = 3, backoff = "10ms..20ms" }
"#;

/// A running receiver.
struct Receiver {
    child: Child,
    port: u16,
}

impl Receiver {
    fn start(packages: &Path, folder: &Path) -> Self {
        let mut child = Command::new("python3")
            .arg(folder.join("receiver.py"))
            .env("PYTHONPATH", packages)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap() }
    }

    fn seen(&self) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"GET /seen HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        serde_json::from_str(&answer(&mut stream).1).unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The items of a list for which something holds.
fn those<'a>(seen: &'a Value, list: &str, holds: impl Fn(&Value) -> bool) -> Vec<&'a Value> {
    seen[list].as_array().unwrap().iter().filter(|item| holds(item)).collect()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn the_sdk_of_a_function_and_a_collector_meet_in_one_trace() {
    let Some((node, receiver)) = instrumented("the_sdk_of_a_function_and_a_collector_meet_in_one_trace")
    else {
        return;
    };
    let traced = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\nconnection: close\r\n\r\n");
    let (status, _) = node.serving.send(&format!("GET /cart/7 HTTP/1.1\r\nhost: localhost\r\n{traced}"));
    assert_eq!(status, 200);
    // What the function told is in the node's own trace and log.
    let tree = node.ok(&["trace", TRACE]);
    assert!(tree.contains("reckon") && tree.contains("SELECT"), "{tree}");
    let logs = node.ok(&["logs", "shop/cart", "--trace", TRACE, "--level", "warn", "-o", "json"]);
    let line: Value = serde_json::from_str(logs.lines().next().unwrap()).unwrap();
    assert_eq!((&line["text"], &line["stream"]), (&"reckoned slowly".into(), &"otlp".into()), "{line}");
    assert_eq!(line["fields"]["items"], "3");
    node.ok(&["send", "orders", "{}", "--type", "order.placed"]);
    eventually("the event is settled", || {
        let sub: Value = serde_json::from_str(&node.ok(&["sub", "show", "mail", "-o", "json"])).unwrap();
        (sub["lag"] == 0).then_some(())
    });

    // A node that ends sends what waits.
    let Node { serving, home: _home } = node;
    serving.signal("TERM");
    assert_eq!(serving.wait().0, 0);
    let seen = receiver.seen();
    assert_eq!(seen["wrong"], Value::Array(Vec::new()), "only fields that the official messages have");
    a_request_holds_the_spans_of_its_function(&seen);
    attempts_are_linked_in_one_wait(&seen);
    for (name, kind, unit) in [
        ("hob_calls", "sum", ""),
        ("hob_call_duration", "histogram", "s"),
        ("hob_topic_size", "gauge", "By"),
        ("hob_export_items", "sum", ""),
    ] {
        let found = those(&seen, "metrics", |metric| metric["name"] == name);
        assert!(!found.is_empty(), "{name} is not in {:#}", seen["metrics"]);
        assert_eq!((&found[0]["kind"], &found[0]["unit"]), (&kind.into(), &unit.into()), "{name}");
    }
}

/// A node that exports to a receiver, with the instrumented function; `None` where the packages cannot be had.
fn instrumented(test: &str) -> Option<(Node, Receiver)> {
    let packages = match packages_of(&PYTHON, PACKAGES) {
        Ok(packages) => packages,
        Err(why) => {
            skip(test, why);
            return None;
        }
    };
    let home = tempfile::tempdir().unwrap();
    let manifest = MANIFEST.replace("scale =", &format!("env = {{ PYTHONPATH = {packages:?} }}\nscale ="));
    write(
        home.path(),
        &[
            ("app/function.py", include_bytes!("../clients/otlp/function.py")),
            ("app/hob.toml", manifest.as_bytes()),
            ("receiver.py", include_bytes!("../clients/otlp/receiver.py")),
        ],
    );
    let receiver = Receiver::start(&packages, home.path());
    let otlp = format!("http://127.0.0.1:{}", receiver.port);
    let serving =
        Serving::start(home.path(), &["serve", "--data", "data", "--otlp", &otlp, "--readable", INSTALLED]);
    let node = Node { serving, home };
    node.ok(&["deploy", "app"]);
    Some((node, receiver))
}

fn a_request_holds_the_spans_of_its_function(seen: &Value) {
    let of_trace = |name: &str| {
        let found = those(seen, "spans", |span| span["trace"] == TRACE && span["name"] == name);
        assert_eq!(found.len(), 1, "{name} in {:#}", seen["spans"]);
        found[0]
    };
    let (call, work, select) = (of_trace("GET /cart/{id}"), of_trace("reckon"), of_trace("SELECT"));
    assert_eq!(call["parent"], "b7ad6b7169203331");
    assert_eq!((&work["parent"], &select["parent"]), (&call["span"], &work["span"]));
    for (span, kind, status) in [(call, 2, 0), (work, 1, 0), (select, 3, 2)] {
        assert_eq!((&span["kind"], &span["status"]), (&kind.into(), &status.into()), "{span}");
        assert_eq!(span["who"]["service.name"], "shop/cart");
    }
    assert_eq!(select["attributes"]["exception.type"], "ValueError");
    let log = those(seen, "logs", |log| log["text"] == "reckoned slowly" && log["trace"] == TRACE)[0];
    assert_eq!((&log["span"], &log["severity"], &log["word"]), (&work["span"], &13.into(), &"WARN".into()));
}

fn attempts_are_linked_in_one_wait(seen: &Value) {
    let mut attempts = those(seen, "spans", |span| span["attributes"]["hob.attempt"].is_number());
    attempts.sort_by_key(|span| span["attributes"]["hob.attempt"].as_u64());
    assert_eq!(attempts.len(), 3);
    let wait = those(seen, "spans", |span| span["name"] == "wait in orders");
    assert_eq!(wait.len(), 1);
    assert!(attempts.iter().all(|span| span["parent"] == wait[0]["span"] && span["kind"] == 5));
    let links: Vec<&Value> = attempts.iter().map(|span| &span["links"][0]).collect();
    assert_eq!(links, [&Value::Null, &attempts[0]["span"], &attempts[1]["span"]]);
    assert!(!those(seen, "logs", |log| log["event"] == "hob.delivered").is_empty(), "retries are events");
}
