//! All of 3,000 callers who come at once to a function without an instance are answered.

use super::skip::skip;
use super::support::{Node, write};
use std::process::Command;

/// Opens all connections and sends all requests before it reads an answer; prints how often each status came.
const CALLERS: &str = r#"
import collections, resource, socket, sys
count = int(sys.argv[2])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
host, port = sys.argv[1].removeprefix("http://").split(":")
request = f"GET {sys.argv[3]} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
callers = []
for _ in range(count):
    caller = socket.create_connection((host, int(port)), timeout=100)
    caller.sendall(request)
    callers.append(caller)
seen = collections.Counter()
for caller in callers:
    answer = b""
    while part := caller.recv(65536):
        answer += part
    seen[answer[9:12].decode()] += 1
print(" ".join(f"{status}:{times}" for status, times in sorted(seen.items())))
"#;

/// Any HTTP server; the longer queue is what a burst needs of it.
const SERVER: &[u8] = br#"
import http.server, os
class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
Server(("127.0.0.1", int(os.environ["PORT"])), Hello).serve_forever()
"#;

const MANIFEST: &[u8] = br#"app = "burst"

[functions.component]
run = "hello.wasm"
route = "/component"

[functions.child]
run = ["python3", "server.py"]
route = "/child"
files = ["server.py"]
scale = { max = 2, concurrency = 40, idle = "100ms" }
"#;

#[test]
fn three_thousand_callers_of_a_cold_function_are_all_answered() {
    if Command::new("python3").arg("--version").output().is_err() {
        return skip("three_thousand_callers", "this machine has no `python3`");
    }
    let node = Node::start();
    let component = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hello/rust/hello.wasm");
    let component = std::fs::read(component).unwrap();
    let files: &[(&str, &[u8])] =
        &[("burst/hob.toml", MANIFEST), ("burst/server.py", SERVER), ("burst/hello.wasm", &component)];
    write(node.home.path(), files);
    node.ok(&["deploy", "burst"]);
    let instances = || {
        let shown: serde_json::Value =
            serde_json::from_str(&node.ok(&["show", "burst", "-o", "json"])).unwrap();
        let functions = shown["functions"].as_array().unwrap().clone();
        functions.iter().map(|function| function["instances"].as_u64().unwrap()).sum::<u64>()
    };
    // The deploy has started one instance, to see that it can.
    super::support::eventually("it is cold again", || (instances() == 0).then_some(()));
    for path in ["/component", "/child"] {
        let callers = Command::new("python3").args(["-c", CALLERS, &node.serving.url, "3000", path]).output();
        let callers = callers.unwrap();
        let seen = String::from_utf8_lossy(&callers.stdout);
        assert_eq!(seen.trim(), "200:3000", "{path}: {}", String::from_utf8_lossy(&callers.stderr));
    }
}
