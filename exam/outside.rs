//! Faults of systems that functions call, and of functions that call each other.

use crate::stage::{Fault, Group, Question, Stage, ask};

const APP: &str = r#"
[functions.asks]
run = ["sh", "asks.sh"]
contract = "stdio"
route = "/asks/*"
timeout = "2s"
egress = ["127.0.0.2:%PORT%", "127.0.0.2:9", "no-such-host.invalid:80"]

[functions.walled]
run = ["curl", "-fsS", "http://example.com/"]
contract = "stdio"
route = "/walled"
egress = []

[functions.inward]
run = ["curl", "-fsS", "http://127.0.0.2:%PORT%/"]
contract = "stdio"
route = "/inward"

[functions.secure]
run = ["python3", "-c", "import os, urllib.request; urllib.request.urlopen('https://127.0.0.2:%SECURE%/')"]
contract = "stdio"
route = "/secure"

[functions.typo]
run = ["curl", "-fsS", "http://nme.world.internal/"]
contract = "stdio"
route = "/typo"

[functions.name]
run = ["sh", "-c", "echo Hob"]
contract = "stdio"
private = true

[functions.deep]
run = ["curl", "-fsS", "http://deep.world.internal/"]
contract = "stdio"
route = "/deep"
timeout = "60s"
scale = { max = 40 }

[functions.front]
run = ["curl", "-fsS", "http://middle.world.internal/"]
contract = "stdio"
route = "/front"

[functions.middle]
run = ["curl", "-fsS", "http://back.world.internal/"]
contract = "stdio"
private = true

[functions.back]
run = ["python3", "-c", "import os; os.environ['DATABASE_URL']"]
contract = "stdio"
private = true

[functions.publishes]
run = ["sh", "publishes.sh"]
contract = "stdio"
route = "/publishes"

[functions.lags]
run = ["curl", "-fsS", "http://127.0.0.2:%PORT%/late"]
contract = "stdio"
route = "/lags"
egress = ["127.0.0.2:%PORT%"]
"#;

/// Asks what its own path says; ends with a failure when that fails.
const ASKS: &str = "case $PATH_INFO in
*/gone) exec curl -fsS http://127.0.0.2:9/ ;;
*/unnamed) exec curl -fsS http://no-such-host.invalid/ ;;
*/caught) curl -fsS http://127.0.0.2:%PORT%/busy || printf 'Status: 500\\r\\n\\r\\nsorry' ;;
*) exec curl -fsS \"http://127.0.0.2:%PORT%/${PATH_INFO#/asks/}\" ;;
esac
";

const PUBLISHES: &str = "code=$(curl -sS -o /dev/null -w '%{http_code}' -H 'content-type: text/plain' \
-d 'no event' http://bus.internal/orders)
[ \"$code\" = 202 ] || { echo \"the bus said $code\" >&2; exit 1; }
";

/// A system outside: silent, busy, throttling, late, or well.
const WORLD: &str = r#"
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class World(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/silent":
            time.sleep(60)
        if self.path == "/late":
            time.sleep(1.2)
        self.send_response({"/busy": 503, "/throttled": 429}.get(self.path, 200))
        self.end_headers()
    def log_message(self, *arguments):
        pass

server = ThreadingHTTPServer(("127.0.0.2", 0), World)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// One that speaks TLS, with a certificate that nobody has signed.
pub(crate) const SECURE: &str = r#"
import os, socket, ssl, subprocess, tempfile, threading
folder = tempfile.mkdtemp()
key, certificate = folder + "/key", folder + "/certificate"
subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.2",
    "-addext", "subjectAltName=IP:127.0.0.2", "-keyout", key, "-out", certificate], check=True, capture_output=True)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
subprocess.run(["rm", "-rf", folder])
server = socket.create_server(("127.0.0.2", 0))
print(server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    try:
        context.wrap_socket(connection, server_side=True).close()
    except OSError:
        connection.close()
"#;

pub(crate) static GROUP: Group = Group { name: "outside", prepare, faults: FAULTS };

fn prepare(stage: &mut Stage) {
    let (port, secure) = (stage.run("python3", WORLD), stage.run("python3", SECURE));
    let put = |text: &str| text.replace("%PORT%", &port).replace("%SECURE%", &secure);
    stage.deploy("world", &put(APP), &[("asks.sh", &put(ASKS)), ("publishes.sh", PUBLISHES)]);
}

/// Sees a request fail, and asks by its id and by its function.
fn both(stage: &Stage, request: &str, status: u16, function: &str) -> Vec<Question> {
    let id = stage.seen("world", request, status);
    vec![ask(&[&id]), ask(&["--function", &format!("world/{function}")])]
}

static FAULTS: &[Fault] = &[
    Fault {
        name: "a system that is called never answers",
        inject: |stage| both(stage, "GET /asks/silent", 504, "asks"),
        cause: &["`asks`", "it waited", "`127.0.0.2:", "did not answer"],
        fix: &["127.0.0.2:", "`timeout`"],
    },
    Fault {
        name: "a system that is called answers 503",
        inject: |stage| both(stage, "GET /asks/busy", 500, "asks"),
        cause: &["`asks`", "`127.0.0.2:", "503"],
        fix: &["127.0.0.2:"],
    },
    Fault {
        name: "a system that is called answers 503, and the function makes 500 of it",
        inject: |stage| both(stage, "GET /asks/caught", 500, "asks"),
        cause: &["`asks`", "`127.0.0.2:", "503"],
        fix: &["127.0.0.2:"],
    },
    Fault {
        name: "a system that is called has had enough",
        inject: |stage| both(stage, "GET /asks/throttled", 500, "asks"),
        cause: &["`asks`", "`127.0.0.2:", "429"],
        fix: &["less often"],
    },
    Fault {
        name: "a system that is called is not there",
        inject: |stage| both(stage, "GET /asks/gone", 500, "asks"),
        cause: &["`asks`", "`127.0.0.2:9`", "cannot connect"],
        fix: &["`127.0.0.2:9`"],
    },
    Fault {
        name: "a system that is called has another name",
        inject: |stage| both(stage, "GET /asks/unnamed", 500, "asks"),
        cause: &["`asks`", "no-such-host.invalid", "was not found"],
        fix: &["no-such-host.invalid", "name"],
    },
    Fault {
        name: "a certificate is wrong",
        inject: |stage| both(stage, "GET /secure", 500, "secure"),
        cause: &["`secure`", "certificate"],
        fix: &["certificate"],
    },
    Fault {
        name: "egress is denied",
        inject: |stage| both(stage, "GET /walled", 500, "walled"),
        cause: &["`walled`", "`example.com:80`", "may not reach"],
        fix: &["\"example.com:80\"", "`egress`"],
    },
    Fault {
        name: "egress to an inner address is denied",
        inject: |stage| both(stage, "GET /inward", 500, "inward"),
        cause: &["`inward`", "`127.0.0.2:", "may not reach"],
        fix: &["`egress`"],
    },
    Fault {
        name: "a function is called by a wrong name",
        inject: |stage| both(stage, "GET /typo", 500, "typo"),
        cause: &["`typo`", "no function `nme`"],
        fix: &["`name`"],
    },
    Fault {
        name: "functions call themselves too deep",
        inject: |stage| {
            let answer = stage.request("GET /deep", "world.localhost", &[], "");
            assert_eq!(answer.status, 500);
            vec![ask(&[&answer.id])]
        },
        cause: &["`deep`", "16"],
        fix: &["circle"],
    },
    Fault {
        name: "a function fails two calls further on",
        inject: |stage| {
            let id = stage.seen("world", "GET /front", 500);
            vec![
                ask(&[&id]),
                ask(&["--function", "front"]),
                ask(&["--route", "http://world.localhost/front"]),
            ]
        },
        cause: &["`front`", "`back`", "`DATABASE_URL`"],
        fix: &["`DATABASE_URL`", "[functions.back]"],
    },
    Fault {
        name: "a function publishes what is no event",
        inject: |stage| both(stage, "GET /publishes", 500, "publishes"),
        cause: &["`publishes`", "`orders`", "not accepted"],
        fix: &["ce-"],
    },
    Fault {
        name: "it is slow because of a system that is called",
        inject: |stage| vec![ask(&[&stage.seen("world", "GET /lags", 200)]), ask(&["--function", "lags"])],
        cause: &["slow because of `127.0.0.2:"],
        fix: &["127.0.0.2:"],
    },
];
