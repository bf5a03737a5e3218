//! OpenTelemetry's own SDK in a function, and its own messages in a collector: what goes in comes out, in one trace.
//!
//! **How.** `tests/clients/otlp` holds a function that knows nothing of Hob, and a receiver that takes only fields that
//! the official messages have.

use super::clients::{PYTHON, packages_of};
use super::support::{Node, Serving, answer, eventually, write};
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

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so, as tests themselves may")]
fn the_sdk_of_a_function_and_a_collector_meet_in_one_trace() {
    let packages = match packages_of(&PYTHON, PACKAGES) {
        Ok(packages) => packages,
        Err(why) => {
            return println!("skipped the_sdk_of_a_function_and_a_collector_meet_in_one_trace: {why}");
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
    let node =
        Node { serving: Serving::start(home.path(), &["serve", "--data", "data", "--otlp", &otlp]), home };
    node.ok(&["deploy", "app"]);

    let trace = "0af7651916cd43dd8448eb211c80319c";
    let traced = format!("traceparent: 00-{trace}-b7ad6b7169203331-01\r\nconnection: close\r\n\r\n");
    let (status, _) = node.serving.send(&format!("GET /cart/7 HTTP/1.1\r\nhost: localhost\r\n{traced}"));
    assert_eq!(status, 200);
    // What the function told is in the node's own trace and log.
    eventually("the function's spans are kept", || {
        let tree = node.ok(&["trace", trace]);
        (tree.contains("reckon") && tree.contains("SELECT")).then_some(())
    });
    let logs = node.ok(&["logs", "shop/cart", "--trace", trace, "--level", "warn", "-o", "json"]);
    let line: Value = serde_json::from_str(logs.lines().next().unwrap()).unwrap();
    assert_eq!((&line["text"], &line["stream"]), (&"reckoned slowly".into(), &"otlp".into()), "{line}");
    assert_eq!(line["fields"]["items"], "3");

    node.ok(&["send", "orders", "{}", "--type", "order.placed"]);
    let attempts = |span: &Value| span["attributes"]["hob.attempt"].is_number();
    let seen = eventually("three attempts are exported", || {
        Some(receiver.seen()).filter(|seen| those(seen, "spans", attempts).len() == 3)
    });
    let seen = eventually("the spans of the request are exported", || {
        let seen = if those(&seen, "spans", |span| span["name"] == "SELECT").len() > 3 {
            seen.clone()
        } else {
            receiver.seen()
        };
        (those(&seen, "spans", |span| span["name"] == "SELECT").len() > 3
            && !those(&seen, "logs", |log| log["text"] == "reckoned slowly").is_empty())
        .then_some(seen)
    });
    assert_eq!(seen["wrong"], Value::Array(Vec::new()), "only fields that the official messages have");

    // Metrics come at the end of the node at the latest.
    let Node { serving, home: _home } = node;
    serving.signal("TERM");
    assert_eq!(serving.wait().0, 0);
    let last = receiver.seen();
    assert_eq!(last["wrong"], Value::Array(Vec::new()));
    for (name, kind, unit) in [
        ("hob_calls", "sum", ""),
        ("hob_call_duration", "histogram", "s"),
        ("hob_topic_size", "gauge", "By"),
        ("hob_export_items", "sum", ""),
    ] {
        let found = those(&last, "metrics", |metric| metric["name"] == name);
        assert!(!found.is_empty(), "{name} is not in {:#}", last["metrics"]);
        assert_eq!((&found[0]["kind"], &found[0]["unit"]), (&kind.into(), &unit.into()), "{name}");
    }

    // The request, with the function's own spans in it.
    let of_trace = |name: &str| {
        let found = those(&seen, "spans", |span| span["trace"] == trace && span["name"] == name);
        assert_eq!(found.len(), 1, "{name} in {:#}", seen["spans"]);
        found[0]
    };
    let (call, work, select) = (of_trace("GET /cart/{id}"), of_trace("reckon"), of_trace("SELECT"));
    assert_eq!(
        (&call["parent"], &work["parent"], &select["parent"]),
        (&"b7ad6b7169203331".into(), &call["span"], &work["span"])
    );
    assert_eq!((&call["kind"], &work["kind"], &select["kind"]), (&2.into(), &1.into(), &3.into()));
    assert_eq!(
        (&select["status"], &select["attributes"]["exception.type"]),
        (&2.into(), &"ValueError".into())
    );
    assert_eq!(
        (&call["who"]["service.name"], &work["who"]["service.name"]),
        (&"shop/cart".into(), &"shop/cart".into())
    );
    let log = those(&seen, "logs", |log| log["text"] == "reckoned slowly" && log["trace"] == trace)[0];
    assert_eq!((&log["span"], &log["severity"], &log["word"]), (&work["span"], &13.into(), &"WARN".into()));

    // The event: three attempts in one wait, each linked to the one before.
    let mut attempts = those(&seen, "spans", attempts);
    attempts.sort_by_key(|span| span["attributes"]["hob.attempt"].as_u64());
    let wait = those(&seen, "spans", |span| span["name"] == "wait in orders");
    assert_eq!(wait.len(), 1);
    assert!(attempts.iter().all(|span| span["parent"] == wait[0]["span"] && span["kind"] == 5));
    let links: Vec<&Value> = attempts.iter().map(|span| &span["links"][0]).collect();
    assert_eq!(links, [&Value::Null, &attempts[0]["span"], &attempts[1]["span"]]);
    assert!(!those(&seen, "logs", |log| log["event"] == "hob.delivered").is_empty(), "retries are events");
}
