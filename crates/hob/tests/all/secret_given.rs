//! Secrets by host and contract: each way in which code runs is given those that it names, no others, and the next value
//! without a deploy.
//!
//! **How.** Every kind of function is there twice: one names the secret, its deaf neighbour does not. What cannot be had on
//! this machine is skipped by name.

use super::clients::{JAVASCRIPT, PYTHON, packages_of};
use super::skip::skip;
use super::support::{Node, eventually, write};

const FIRST: &str = "first-5d1c/8+a2=f4";
const SECOND: &str = "second-b28d/4+f6=a7";

const HTTP: &str = r#"
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get("SONG", "nothing").encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler).serve_forever()
"#;

const BOOTSTRAP: &str = r#"
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def ask(method, path, body=None):
    api.request(method, "/2018-06-01/runtime/invocation/" + path, body)
    answer = api.getresponse()
    return answer.headers, answer.read()
while True:
    headers, _ = ask("GET", "next")
    answer = {"statusCode": 200, "body": os.environ.get("SONG", "nothing")}
    ask("POST", headers["Lambda-Runtime-Aws-Request-Id"] + "/response", json.dumps(answer))
"#;

const SCRIPT: &str =
    "export default { async fetch(request, env) { return new Response(env.SONG ?? \"nothing\"); } };\n";

const FRAMEWORK_PYTHON: &str = "import functions_framework, os\n@functions_framework.http\ndef sing(request):\n    return os.environ.get(\"SONG\", \"nothing\")\n";
const FRAMEWORK_NODE: &str = "require('@google-cloud/functions-framework').http('sing', (request, response) => response.send(process.env.SONG ?? 'nothing'));\n";

/// A preview 1 command that prints its environment.
const WAGI: &str = r#"(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 32) "content-type: text/plain\n\n")
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 65536) (i32.const 131072)))
    (i32.store (i32.const 8) (i32.const 32)) (i32.store (i32.const 12) (i32.const 26))
    (i32.store (i32.const 16) (i32.const 131072)) (i32.store (i32.const 20) (i32.load (i32.const 4)))
    ;; Of several pieces only the first may be written.
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 24)))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))"#;

const TEXT_02: &str = include_str!("../../../hob-runtime/tests/guests/http02.wat");
const TEXT_03: &str = include_str!("../../../hob-runtime/tests/guests/hello03.wat");

/// A function that writes the value of each variable into a stream, a line for each.
const EACH: &str = r#"
    (func $each (param $stream i32)
      (local $at i32) (local $left i32)
      (call $environment (i32.const 96))
      (i32.store8 (i32.const 112) (i32.const 10))
      (local.set $at (i32.load (i32.const 96)))
      (local.set $left (i32.load (i32.const 100)))
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (if (i32.load offset=12 (local.get $at)) (then
          (call $put (local.get $stream) (i32.load offset=8 (local.get $at)) (i32.load offset=12 (local.get $at)) (i32.const 4096))))
        (call $put (local.get $stream) (i32.const 112) (i32.const 1) (i32.const 4096))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next))))"#;

/// The text with something before each of these places.
fn with(text: &str, before: &[(&str, &str)]) -> Vec<u8> {
    let mut text = text.to_owned();
    for (place, more) in before {
        assert!(text.contains(place), "the guest has `{place}`");
        text = text.replacen(place, &format!("{more}{place}"), 1);
    }
    wat::parse_str(&text).unwrap()
}

const ENVIRONMENT: &str = "(import \"wasi:cli/environment@0.3.0\" (instance $environment (export \"get-environment\" (func (result (list (tuple string string)))))))\n";

/// A WASI 0.2 component that answers with the values of its variables.
fn component_02() -> Vec<u8> {
    let handle = r#"
    (func (export "handle") (param $request i32) (param $out i32)
      (local $stream i32)
      (local.set $stream (call $begin (local.get $out) (call $fields) (i32.const 200)))
      (call $each (local.get $stream))
      (call $end (local.get $stream)))"#;
    let each = EACH.replace("$environment", "$variables");
    with(TEXT_02, &[("    ;;GUEST", &format!("{each}{handle}\n"))])
}

/// A WASI 0.3 component that prints the values of its variables.
fn component_03() -> Vec<u8> {
    // The guest's own allocator is none: what the host gives lies in a page of its own.
    let lower = r#"(core module $bump
    (import "guest" "memory" (memory 1))
    (global $next (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (if (i32.eqz (global.get $next))
        (then (global.set $next (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))))
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $bump (instantiate $bump (with "guest" (instance (export "memory" (memory 0))))))
  (alias core export $bump "realloc" (core func $realloc))
  (core func $env (canon lower (func $environment "get-environment") (memory 0) (realloc $realloc)))
  "#;
    let told = "(func (export \"handle\") (param $request i32) (result i32) (local $e i32)";
    with(
        TEXT_03,
        &[
            // Before the other lowered functions, whose numbers do not change: they have names.
            ("(import \"wasi:cli/stderr@0.2.0\"", ENVIRONMENT),
            ("(core func $get-stderr", lower),
            (
                "(import \"host\" \"get-stderr\"",
                "(import \"host\" \"environment\" (func $environment (param i32)))\n",
            ),
            (told, EACH),
            ("(call $drop-stream (local.get $e))", "(call $each (local.get $e))\n"),
            ("(export \"get-stderr\" (func $get-stderr))", "(export \"environment\" (func $env)) "),
        ],
    )
}

/// A kind of function: its name, its lines in the manifest, and its file.
struct Kind {
    name: &'static str,
    lines: String,
    file: (&'static str, Vec<u8>),
    /// The secret that it names.
    secret: &'static str,
}

fn kind(
    name: &'static str,
    run: &str,
    contract: &str,
    file: &'static str,
    bytes: impl Into<Vec<u8>>,
) -> Kind {
    let lines = format!("run = {run}\ncontract = \"{contract}\"\nfiles = [{file:?}]\n");
    Kind { name, lines, file: (file, bytes.into()), secret: "SONG" }
}

/// Every kind that there is here, and what is not.
fn kinds() -> (Vec<Kind>, Vec<String>) {
    let mut skipped = Vec::new();
    let spin = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hello/spin/hello.wasm"));
    let mut kinds = vec![
        kind("http", r#"["python3", "serve.py"]"#, "http", "serve.py", HTTP),
        kind(
            "stdio",
            r#"["sh", "stdio.sh"]"#,
            "stdio",
            "stdio.sh",
            "cat > /dev/null; echo \"${SONG:-nothing}\"\n",
        ),
        kind("lambda", r#"["python3", "bootstrap.py"]"#, "lambda", "bootstrap.py", BOOTSTRAP),
        kind("framework", r#"["python3", "frame.py"]"#, "functions-framework", "frame.py", HTTP),
        kind("wasi-two", r#""two.wasm""#, "wasi-http", "two.wasm", component_02()),
        kind("wasi-three", r#""three.wasm""#, "wasi-http", "three.wasm", component_03()),
        kind("wagi", r#""wagi.wasm""#, "stdio", "wagi.wasm", wat::parse_str(WAGI).unwrap()),
        kind("javascript", r#""song.js""#, "javascript", "song.js", SCRIPT),
        Kind { secret: "GREETING", ..kind("spin", r#""spin.wasm""#, "spin", "spin.wasm", spin.unwrap()) },
    ];
    match packages_of(&PYTHON, &["functions-framework==3.10.2"]) {
        Ok(folder) => {
            let mut python =
                kind("python", r#""main.py""#, "functions-framework", "main.py", FRAMEWORK_PYTHON);
            python.lines += &format!(
                "env = {{ PYTHONPATH = {folder:?} }}\nfunctions-framework = {{ target = \"sing\" }}\n"
            );
            kinds.push(python);
        }
        Err(why) => skipped.push(format!("the framework for Python: {why}")),
    }
    match packages_of(&JAVASCRIPT, &["@google-cloud/functions-framework@5.0.5"]) {
        Ok(folder) => {
            let main = folder.join("@google-cloud/functions-framework/build/src/main.js");
            let run = format!("[\"node\", {main:?}, \"--source=index.js\"]");
            let mut node = kind("node", &run, "functions-framework", "index.js", FRAMEWORK_NODE);
            node.lines += &format!(
                "env = {{ NODE_PATH = {folder:?} }}\nfunctions-framework = {{ target = \"sing\" }}\n"
            );
            kinds.push(node);
        }
        Err(why) => skipped.push(format!("the framework for Node: {why}")),
    }
    (kinds, skipped)
}

#[test]
fn every_kind_of_function_is_given_what_it_names_and_the_next_value_without_a_deploy() {
    let (kinds, skipped) = kinds();
    skipped.iter().for_each(|what| skip("every_kind_of_function", what));
    let node = Node::with_packages(&["--dashboard", "none"]);
    let home = node.home.path();
    let mut manifest = "app = \"choir\"\n".to_owned();
    for Kind { name, lines, file: (file, bytes), secret } in &kinds {
        write(home, &[(&format!("choir/{file}"), bytes)]);
        for (deaf, secrets) in [("", format!("secrets = [\"{secret}\"]\n")), ("-deaf", String::new())] {
            manifest += &format!("[functions.{name}{deaf}]\nroute = \"/{name}{deaf}\"\n{lines}{secrets}");
        }
    }
    write(
        home,
        &[
            ("choir/hob.toml", manifest.as_bytes()),
            ("first", FIRST.as_bytes()),
            ("second", SECOND.as_bytes()),
        ],
    );
    for secret in ["SONG", "GREETING"] {
        node.ok(&["secret", "set", "choir", secret, "--from-file", "first"]);
    }
    node.ok(&["deploy", "choir"]);
    // What is given is told by the answer; of a component that answers always the same by what it prints.
    let check = |value: &str, other: &str| {
        for Kind { name, .. } in &kinds {
            let (status, said) = node.serving.get(&format!("/{name}"));
            assert_eq!(status, 200, "{name}: {said}");
            let (_, deaf) = node.serving.get(&format!("/{name}-deaf"));
            assert!(!deaf.contains(FIRST) && !deaf.contains(SECOND), "{name}: its neighbour has it: {deaf}");
            if *name == "wasi-three" {
                eventually("the component prints its secret", || {
                    let logs = node.ok(&["logs", "choir/wasi-three"]);
                    logs.contains("[secret ").then_some(())
                });
                let logs = node.ok(&["logs", "choir/wasi-three-deaf"]);
                assert!(!logs.contains("[secret"), "{logs}");
                continue;
            }
            assert!(said.contains(value) && !said.contains(other), "{name} is given `{value}`: {said}");
        }
    };
    check(FIRST, SECOND);
    for secret in ["SONG", "GREETING"] {
        node.ok(&["secret", "rotate", "choir", secret, "--from-file", "second"]);
    }
    check(SECOND, FIRST);
    let shown = node.ok(&["show", "choir"]);
    assert!(!shown.contains("revision 2"), "no deploy: {shown}");
    let logs = node.ok(&["logs", "--tail", "1000", "-o", "json"]);
    assert!(!logs.contains(FIRST) && !logs.contains(SECOND), "{logs}");

    // A folder of files runs nothing that could be given something.
    let site =
        "app = \"site\"\n[functions.pages]\nrun = \"site\"\nroute = \"/site/*\"\nsecrets = [\"SONG\"]\n";
    write(home, &[("pages/hob.toml", site.as_bytes()), ("pages/site/index.html", b"<p>hello")]);
    let refused = node.hob(&["deploy", "pages"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    for word in ["HOB-0103", "pages", "SONG", "hob.toml:5"] {
        assert!(refused.stderr.contains(word), "`{word}` in {}", refused.stderr);
    }
}
