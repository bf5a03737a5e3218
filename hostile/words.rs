//! Threats by what functions and events say: headers, lines.

use crate::arena::{Arena, Outcome, guest, judge};
use crate::stage::eventually;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Values that functions try whose answers are refused at once.
const VALUES: u64 = 400;
/// The same where each costs a process, or a connection that is closed.
const VALUES_SLOW: u64 = 40;
/// Asks them all, and reads what comes.
const ASK: &str = include_str!("words.py");
/// More lines than all of them log.
const LINES_MAX: &str = "100000";

/// Whose values go through the shim of the JavaScript runtime.
const JS: &str = "export default {
  async fetch(request) {
    const value = await request.text();
    if (request.headers.has('x-injected')) console.log('INJECTED');
    console.log('line ' + value);
    return new Response('said', { headers: { 'x-value': value } });
  }
}
";

/// A server that writes its answers byte by byte, as no library would.
const RAW: &str = r#"
import os, socket, threading
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
def serve(connection):
    reader = connection.makefile("rb")
    while reader.readline():
        length = 0
        while (line := reader.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        value = reader.read(length)
        print("line " + value.decode(), flush=True)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx-value: " + value + b"\r\n\r\nsaid")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

/// A program that is run for each call.
const PRINTS: &str = "cat >value
{ printf 'line '; cat value; echo; } >&2
printf 'content-type: text/plain\\r\\nx-value: '
cat value
printf '\\r\\n\\r\\nsaid'
";

/// A custom runtime of AWS Lambda, whose answers are JSON: everywhere that a header may come from.
const ANSWERS: &str = r#"
import base64, http.client, json, os
api, path = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"]), "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", path + "next")
    got = api.getresponse()
    event, id = json.loads(got.read()), got.headers["lambda-runtime-aws-request-id"]
    value = event.get("body") or ""
    value = base64.b64decode(value).decode() if event.get("isBase64Encoded") else value
    print("line " + value, flush=True)
    ways = {"headers": {"x-value": value}}, {"multiValueHeaders": {"x-value": [value]}}, {"cookies": ["a=" + value]}
    way = ways[len(value) % 3]
    api.request("POST", path + id + "/response", json.dumps({"statusCode": 200, "body": "said", **way}))
    api.getresponse().read()
"#;

/// What guests of WASI put into a field themselves, past every shim.
const BYTES: &[&str] = &[
    "a\r\nx-injected: 1",
    "a\nx-injected: 1",
    "a\rx-injected: 1",
    "a\0x-injected: 1",
    "\u{1b}[2J",
    "a\u{7f}",
];

/// A guest that answers with this value in a field.
fn field(value: &str) -> String {
    let mut handler = "(local $f i32) (local.set $f (call $fields))".to_owned();
    for (at, byte) in value.bytes().enumerate() {
        // Writing to a text never fails.
        let _ = write!(handler, " (i32.store8 (i32.const {}) (i32.const {byte}))", 65536 + at);
    }
    let length = value.len();
    let append = "(call $append (local.get $f) (i32.const 3072) (i32.const 6) (i32.const 65536)";
    let _ = write!(handler, " {append} (i32.const {length}) (i32.const 64))");
    guest(&format!("{handler} (call $answer (local.get $out) (local.get $f) (i32.const 200))"))
}

/// The app of all of them.
fn says(arena: &Arena) {
    let mut manifest = "[functions.js]\nrun = \"says.js\"\nroute = \"/js\"
[functions.raw]\nrun = [\"python3\", \"raw.py\"]\ncontract = \"http\"\nroute = \"/raw\"
[functions.stdio]\nrun = [\"sh\", \"prints.sh\"]\ncontract = \"stdio\"\nroute = \"/stdio\"
[functions.lambda]\nrun = [\"python3\", \"answers.py\"]\ncontract = \"lambda\"\nroute = \"/lambda\"
[[on]]\nname = \"said\"\ntopic = \"said\"\ncall = \"js\"\nretry = { attempts = 1 }\n"
        .to_owned();
    let mut guests = Vec::new();
    for (number, value) in BYTES.iter().enumerate() {
        let file = format!("w{number}.wasm");
        let _ = write!(
            manifest,
            "[functions.w{number}]\nrun = \"{file}\"\nhost = \"wasm\"\ncontract = \"wasi-http\"\nroute = \"/w{number}\"\n"
        );
        guests.push((file, field(value)));
    }
    let mut files = vec![("says.js", JS), ("raw.py", RAW), ("prints.sh", PRINTS), ("answers.py", ANSWERS)];
    files.extend(guests.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    arena.stage.deploy("says", &manifest, &files);
}

/// Publishes events whose attributes would be headers of their own, and waits until they are delivered; how many were taken.
fn attributes(arena: &Arena) -> u64 {
    let mut accepted = 0;
    for evil in ["a\r\nx-injected: 1", "a\nx-injected: 1", "%0d%0ax-injected: 1", "é\u{2028}x-injected: 1"] {
        let set = format!("evil={evil}");
        accepted += u64::from(arena.stage.hob(&["send", "said", "x", "--type", "t", "--set", &set]).0 == 0);
    }
    let settled = || {
        let number = |pointer: &str| arena.stage.number(&["sub", "show", "said"], pointer);
        (number("/delivered")? + number("/dead")? >= accepted).then_some(())
    };
    eventually("the events are delivered", settled);
    accepted
}

/// What goes before what a script prints behind the end of a line: it passes for nothing that the function says by itself.
const GOES_ON: &str = "\u{21b3} ";

/// What a function has logged itself: in JavaScript by `console.log`, else as lines.
fn logged(arena: &Arena, function: &str) -> Vec<String> {
    let said = arena.stage.ok(&["logs", &format!("says/{function}"), "--tail", LINES_MAX, "-o", "json"]);
    let records = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let own = |record: &Value| {
        let text = record["text"].as_str().unwrap_or_default();
        let of_lambda = ["START ", "END ", "REPORT "].iter().any(|word| text.starts_with(word));
        let by_console = function != "js" || (record["level"] == "info" && !text.starts_with(GOES_ON));
        record["stream"] != "platform" && !of_lambda && by_console
    };
    records.filter(own).map(|record| record["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// T12: nothing that is said becomes a header or a line of its own.
pub(crate) fn inject(arena: &Arena) -> Outcome {
    says(arena);
    let kinds = json!([
        ["js", VALUES, true],
        ["lambda", VALUES, true],
        ["raw", VALUES_SLOW, false],
        ["stdio", VALUES_SLOW, false]
    ]);
    let told: Value = serde_json::from_str(&arena.python(ASK, &[&kinds.to_string()])).unwrap();
    let mut wrong = Vec::new();
    for (number, value) in BYTES.iter().enumerate() {
        let head =
            arena.stage.request(&format!("GET /w{number}"), "says.localhost", &[], "").head.to_lowercase();
        if !head.starts_with("http/1.1 200") || head.contains("x-injected") || head.contains("x-name") {
            wrong.push(format!("a guest's {value:?}: {head:?}"));
        }
    }
    let accepted = attributes(arena);
    let (mut lines, mut escapes) = (0, 0);
    for (kind, of_kind) in told.as_object().unwrap() {
        wrong.extend(
            of_kind["wrong"].as_array().unwrap().iter().filter_map(|what| Some(what.as_str()?.to_owned())),
        );
        let number = |name: &str| usize::try_from(of_kind[name].as_u64().unwrap()).unwrap();
        // A call of `console.log` is a record whatever it says, and what goes on; a program's line is one, and so is an event's call.
        let expected =
            if kind == "js" { number("calls") + usize::try_from(accepted).unwrap() } else { number("lines") };
        let records = eventually("all is logged", || {
            Some(logged(arena, kind)).filter(|records| records.len() >= expected)
        });
        if records.len() != expected
            || (kind == "js" && !records.iter().all(|text| text.starts_with("line ")))
        {
            wrong.push(format!("{kind}: {} records of {expected}", records.len()));
        }
        lines += records.len();
    }
    for format in ["json", "wide"] {
        let said = arena.stage.ok(&["logs", "says", "--tail", LINES_MAX, "-o", format]);
        escapes += said.matches(['\u{1b}', '\0', '\r']).count();
        wrong.extend(said.contains("INJECTED").then(|| "an event's attribute became a header".to_owned()));
    }
    let statuses: Vec<String> =
        told.as_object().unwrap().iter().map(|(kind, told)| format!("{kind} {}", told["statuses"])).collect();
    let figures = format!(
        "answers of functions by status: {}; {} guests, {accepted} attributes; {lines} records, none too many, escapes in logs {escapes}{}",
        statuses.join(", "),
        BYTES.len(),
        wrong.iter().take(4).map(|what| format!(" [{what}]")).collect::<String>()
    );
    judge(wrong.is_empty() && escapes == 0, figures)
}

/// Lines that the flood has, of 100 bytes each.
const LINES: u64 = 500_000;
/// How much the node may grow by, MiB.
const GROWTH_MIB: u64 = 32;

/// T28: a flood of lines is dropped and counted.
pub(crate) fn flood(arena: &Arena) -> Outcome {
    let script = format!(
        "yes {} | head -n {LINES}; printf 'Content-Type: text/plain\\r\\n\\r\\ndone' >&3\n",
        "x".repeat(99)
    );
    let script = format!("exec 3>&1 1>&2\n{script}");
    let manifest = "[functions.f]\nrun = [\"sh\", \"flood.sh\"]\ncontract = \"stdio\"\nroute = \"/\"\ntimeout = \"120s\"\n";
    arena.stage.deploy("flood", manifest, &[("flood.sh", &script)]);
    let before = arena.memory();
    let (answer, beside) = arena.beside(|| arena.stage.request("GET /", "flood.localhost", &[], ""));
    let grown = arena.memory().saturating_sub(before);
    let control = arena.stage.path("data/control.sock");
    let metrics = std::process::Command::new("curl")
        .args(["-s", "--unix-socket"])
        .arg(control)
        .arg("http://localhost/metrics")
        .output()
        .unwrap();
    let metrics = String::from_utf8(metrics.stdout).unwrap();
    let count = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name) && line.contains("\"flood\""));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    let dropped = count("hob_log_lines_dropped");
    let right = answer.body.contains("done") && dropped > 0.0 && grown <= GROWTH_MIB && beside.errors == 0;
    judge(right, format!("{dropped} of {LINES} lines dropped and counted, node +{grown} MiB; {beside}"))
}
