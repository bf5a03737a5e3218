//! Functions of AWS Lambda with the official clients of its runtime API: `awslambdaric` (PyPI) and the crates
//! `lambda_runtime`, `lambda_http` and `lambda-extension`.
//!
//! **How.** The same questions to a function of each: parse, fail, be late, 5 MiB both ways, bytes, cookies, end,
//! a hundred calls at a time. The packages stay in the target folder, for the next run; the Rust function is a
//! workspace of its own (`tests/lambda`). What cannot be installed here is skipped by name.
//!
//! **Not here:** the runtime API code by code (`hob-runtime`), the shapes of events field by field.

use super::clients::{PYTHON, packages_of};
use super::examples::on_path;
use super::support::{Node, PATIENCE, eventually, write};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FUNCTION: &[u8] = include_bytes!("../clients/lambda.py");
const MIB: usize = 1 << 20;

/// What is asked of a function of an app, and how its answer begins; `…` at the end stands for any text.
type Exchange<'a> = (&'a str, &'a str, &'a str, Vec<u8>, &'a str);

/// One request; status and headers as text, and the body.
fn ask(node: &Node, host: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(node.serving.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}.localhost\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n").unwrap();
    stream.write_all(body).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
    let body = bytes.split_off((end + 4).min(bytes.len()));
    (String::from_utf8_lossy(&bytes).to_ascii_lowercase(), body)
}

/// The questions that both functions answer alike.
fn questions() -> Vec<Exchange<'static>> {
    let text = "content-type: text/plain\r\n";
    let octets = "content-type: application/octet-stream\r\n";
    let bytes: Vec<u8> = (0..=255).cycle().take(5 * MIB).collect();
    vec![
        ("POST", "/length", text, vec![b'x'; 5 * MIB], "200 5242880"),
        ("POST", "/length", octets, bytes, "200 5242880"),
        ("GET", "/nowhere", "", Vec::new(), "404 not here"),
        ("GET", "/cookies", "cookie: x=1; y=2\r\n", Vec::new(), "200 x=1; y=2"),
        ("GET", "/fail", "", Vec::new(), "502 hob-0331: `guest` answered with an error\n…"),
        ("GET", "/sleep", "", Vec::new(), "504 hob-0501: …"),
        ("GET", "/exit", "", Vec::new(), "502 hob-0502: `guest` ended with exit code 3\n…"),
        ("GET", "/length", "", Vec::new(), "200 0"),
    ]
}

/// Asks everything and a hundred things at a time; `app` has a function `guest`.
fn examine(node: &Node, app: &str) {
    // First: after calls that ran to their deadline, a queue would take too many for too late.
    at_once(node, app);
    for (method, path, headers, body, expected) in questions() {
        let (head, answer) = ask(node, app, method, path, headers, &body);
        let status = head.split(' ').nth(1).unwrap_or_default();
        let found = format!("{status} {}", String::from_utf8_lossy(&answer).to_lowercase());
        let same =
            expected.strip_suffix('…').map_or_else(|| found == expected, |begin| found.starts_with(begin));
        assert!(same, "{app} {path}: {found:.300}, not {expected}\n{head}");
        if path == "/cookies" {
            assert!(head.contains("set-cookie: a=1; path=/") && head.contains("set-cookie: b=2"), "{head}");
        }
    }
    let (head, answer) = ask(node, app, "GET", "/large", "", &[]);
    assert_eq!(answer.len(), 5 * MIB, "{head}");
    let (head, answer) = ask(node, app, "GET", "/bytes", "", &[]);
    assert_eq!(answer, (0..=255).collect::<Vec<u8>>(), "{head}");
    // The error's own words are the owner's to read.
    let said = node.ok(&["logs", &format!("{app}/guest")]);
    assert!(said.contains("no such thing"), "{said}");
    let why = node.ok(&["why", &format!("{app}/guest")]);
    assert!(why.contains("HOB-05") || why.contains("HOB-03"), "{why}");
}

/// A hundred calls at a time.
fn at_once(node: &Node, app: &str) {
    std::thread::scope(|scope| {
        let calls: Vec<_> =
            (0..100).map(|_| scope.spawn(|| ask(node, app, "GET", "/pause", "", &[]))).collect();
        for call in calls {
            let (head, answer) = call.join().unwrap();
            let pid = String::from_utf8_lossy(&answer).parse::<u32>();
            assert!(head.starts_with("http/1.1 200") && pid.is_ok(), "{app}: {head} {answer:?}");
        }
    });
}

#[test]
fn functions_with_the_official_python_client_run_as_they_are() {
    let packages = match packages_of(&PYTHON, &["awslambdaric==4.2.2"]) {
        Ok(packages) => packages,
        Err(why) => return println!("skipped functions_with_the_official_python_client: {why}"),
    };
    let node = Node::start();
    for (app, concurrency) in [("one", 1), ("several", 8)] {
        let manifest = format!(
            "app = \"{app}\"\n[functions.guest]\nrun = [\"python3\", \"-m\", \"awslambdaric\", \"lambda.handler\"]\ncontract = \"lambda\"\nfiles = [\"lambda.py\"]\ntimeout = \"15s\"\nbody = \"8 MiB\"\nscale = {{ max = 2, concurrency = {concurrency} }}\nenv = {{ PYTHONPATH = {packages:?} }}\n[functions.guest.lambda]\nhandler = \"lambda.handler\"\nruntime = \"python3.12\"\n"
        );
        write(node.home.path(), &[("lambda.py", FUNCTION), ("hob.toml", manifest.as_bytes())]);
        node.ok(&["deploy", "."]);
        if app == "several" {
            at_once(&node, app);
            continue;
        }
        examine(&node, app);
        let (head, answer) = ask(&node, app, "GET", "/hello?x=1&x=2", "", &[]);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer, serde_json::json!({ "method": "GET", "query": { "x": "1,2" } }), "{head}");
        let (_, answer) = ask(&node, app, "GET", "/context", "", &[]);
        assert_eq!(String::from_utf8_lossy(&answer), r#"["guest", "512", true, 36]"#);
        let (_, answer) = ask(&node, app, "GET", "/toolarge", "", &[]);
        assert!(String::from_utf8_lossy(&answer).starts_with("HOB-0506"), "{answer:?}");
    }
}

/// The Rust function, built before or now; or why there is none.
fn rust_guest() -> Result<PathBuf, String> {
    if !on_path("cargo") {
        return Err("this machine has no `cargo`".to_owned());
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lambda-guest");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lambda/Cargo.toml");
    let mut build = Command::new("cargo");
    build
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target);
    let built = build.env_remove("RUSTFLAGS").stdin(Stdio::null()).output().unwrap();
    if !built.status.success() {
        return Err(format!("`cargo` cannot build it here: {}", String::from_utf8_lossy(&built.stderr)));
    }
    Ok(target.join("debug/guest"))
}

/// The manifest of a function whose program is the Rust function.
fn rust_manifest(app: &str, handler: &str, more: &str) -> String {
    format!(
        "app = \"{app}\"\n[functions.guest]\nrun = \"bootstrap\"\nfiles = [\"extensions/*\"]\ntimeout = \"15s\"\nbody = \"8 MiB\"\n{more}\n[functions.guest.lambda]\nhandler = \"{handler}\"\n"
    )
}

#[test]
fn functions_with_the_official_crates_run_as_they_are() {
    let guest = match rust_guest() {
        Ok(guest) => std::fs::read(guest).unwrap(),
        Err(why) => return println!("skipped functions_with_the_official_crates: {why}"),
    };
    let node = Node::start();
    let deploy = |app: &str, manifest: &str| {
        let file = |name: &str| format!("{app}/{name}");
        write(
            node.home.path(),
            &[
                (&file("bootstrap"), &guest),
                (&file("extensions/watcher"), &guest),
                (&file("hob.toml"), manifest.as_bytes()),
            ],
        );
        node.ok(&["deploy", app]);
    };
    deploy("web", &rust_manifest("web", "web", "scale = { max = 2 }"));
    examine(&node, "web");
    let (_, answer) = ask(&node, "web", "GET", "/hello?x=1&x=2", "", &[]);
    assert_eq!(String::from_utf8_lossy(&answer), r#"GET ["1,2"]"#);
    let (_, answer) =
        ask(&node, "web", "POST", "/json", "content-type: application/json\r\n", br#"{"a":"b"}"#);
    assert_eq!(String::from_utf8_lossy(&answer), "\"b\"");
    let (head, _) = ask(&node, "web", "GET", "/panic", "", &[]);
    assert!(head.starts_with("http/1.1 502"), "{head}");
    ask(&node, "web", "GET", "/say", "", &[]);
    // The extension heard of calls, and was told of them and of what the function printed.
    for told in ["watcher: invoke ", "watcher: start ", "watcher: report ", "watcher: function said said by"]
    {
        eventually(told, || node.ok(&["logs", "web/guest"]).contains(told).then_some(()));
    }
    node.ok(&["rm", "web", "--yes"]);
    eventually("the extension is told of the end", || {
        node.hob(&["logs", "web/guest"]).stdout.contains("watcher: shutdown SPINDOWN").then_some(())
    });

    deploy("several", &rust_manifest("several", "several", "scale = { max = 1, concurrency = 16 }"));
    at_once(&node, "several");

    deploy("words", &rust_manifest("words", "stream", ""));
    let (head, answer) = ask(&node, "words", "GET", "/", "", &[]);
    assert!(head.contains("content-type: text/x-words") && head.contains("set-cookie: seen=1"), "{head}");
    let answer = String::from_utf8_lossy(&answer).replace("\r\n", "\n");
    let words: String = answer.lines().skip(1).step_by(2).collect();
    assert_eq!(words, "Hello from a stream", "{answer}");

    events(&node, &guest);
}

/// What a topic delivers, read by the types of the crate `aws_lambda_events`.
fn events(node: &Node, guest: &[u8]) {
    let mut manifest = "app = \"events\"\n".to_owned();
    for handler in ["sqs", "sns", "s3", "dynamodb", "eventbridge"] {
        manifest += &format!(
            "[functions.{handler}]\nrun = \"bootstrap\"\nprivate = true\n[functions.{handler}.lambda]\nhandler = \"{handler}\"\nevent = \"{handler}\"\n[[on]]\nname = \"{handler}\"\ntopic = \"things\"\ncall = \"{handler}\"\nretry = {{ attempts = 1 }}\n"
        );
    }
    write(node.home.path(), &[("events/bootstrap", guest), ("events/hob.toml", manifest.as_bytes())]);
    node.ok(&["deploy", "events"]);
    node.ok(&[
        "send",
        "things",
        r#"{"key":"a b","bucket":"photos"}"#,
        "--type",
        "thing.made",
        "--subject",
        "first",
    ]);
    for (function, said) in [
        ("sqs", r#"sqs ["{\"key\":\"a b\",\"bucket\":\"photos\"}","aws:sqs","1"]"#),
        ("sns", r#"sns ["{\"key\":\"a b\",\"bucket\":\"photos\"}","aws:sns","first"]"#),
        ("s3", r#"s3 ["photos","ObjectCreated:Put","a+b"]"#),
        ("dynamodb", r#"dynamodb ["INSERT",1,2]"#),
        ("eventbridge", r#"eventbridge ["thing.made","#),
    ] {
        eventually(function, || {
            node.hob(&["logs", &format!("events/{function}")]).stdout.contains(said).then_some(())
        });
    }
}
