//! Faults of requests: nobody answers, somebody else does, or the function fails.

use crate::stage::{Fault, Group, Question, Stage, ask};

const APP: &str = r#"
[functions.list]
run = ["sh", "say.sh", "list"]
contract = "stdio"
route = ["GET /items", "GET /items/*"]

[functions.one]
run = ["sh", "say.sh", "one"]
contract = "stdio"
route = "GET /items/{id}"

[functions.hidden]
run = ["sh", "say.sh", "hidden"]
contract = "stdio"
private = true

[functions.price]
run = ["sh", "price.sh"]
contract = "stdio"
route = "/price/*"

[functions.slow]
run = ["sh", "-c", "echo counting the stars >&2; sleep 20"]
contract = "stdio"
route = "/slow"
timeout = "1s"

[functions.small]
run = ["wc", "-c"]
contract = "stdio"
route = "/small"
body = "1 KiB"

[functions.odd]
run = ["printf", 'Status: banana\n\n']
contract = "stdio"
route = "/odd"

[functions.mute]
run = ["python3", "mute.py"]
contract = "http"
route = "/mute"

[functions.dies]
run = ["sh", "-c", "kill -SEGV $$"]
contract = "stdio"
route = "/dies"

[functions.greedy]
run = ["python3", "-c", "x = bytearray(1 << 29); import time; time.sleep(20)"]
contract = "stdio"
route = "/greedy"
memory = "64 MiB"

[functions.traps]
run = "traps.wasm"
host = "wasm"
contract = "stdio"
route = "/traps"

[functions.hungry]
run = "hungry.wasm"
host = "wasm"
contract = "stdio"
route = "/hungry"
memory = "2 MiB"

[functions.mailer]
run = ["python3", "-c", "import os; print(os.environ['SMTP_PASSWORD'])"]
contract = "stdio"
route = "/mail"

[functions.pay]
run = ["python3", "pay.py"]
contract = "http"
route = "/pay"
scale = { concurrency = 10 }

[functions.hook]
run = ["sh", "hook.sh"]
contract = "stdio"
route = "/hook"

[functions.talks]
run = ["printf", 'Status: 500\r\nContent-Type: text/plain\r\n\r\nno paper in tray 2']
contract = "stdio"
route = "/talks"

[functions.module]
run = ["python3", "-c", "import stripe"]
contract = "stdio"
route = "/module"

[[on]]
route = "/events"
publish = "parcels"
"#;

const SAY: &str = "echo \"$1\"\n";
const PRICE: &str = "case $PATH_INFO in
*/7) printf 'Status: 500\\r\\nContent-Type: text/plain\\r\\n\\r\\nno price' ;;
*) echo 12 ;;
esac
";
const MUTE: &str = "import os, socket
server = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
while True:
    connection, _ = server.accept()
    connection.recv(4096)
    connection.close()
";
/// Answers 500 itself, with the reason on its standard error.
const PAY: &str = "import os, traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Pay(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            os.environ['STRIPE_KEY']
        except KeyError:
            traceback.print_exc()
            self.send_error(500)
    def log_message(self, *arguments):
        pass
ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Pay).serve_forever()
";
const HOOK: &str =
    "[ -n \"$HTTP_X_SIGNATURE\" ] || { printf 'Status: 401\\r\\n\\r\\nno signature'; exit; }\n";
const TRAPS: &str = "(module (memory (export \"memory\") 1) (func (export \"_start\") unreachable))";
const HUNGRY: &str = "(module (memory (export \"memory\") 1) (func (export \"_start\")
  (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable))";

pub(crate) static GROUP: Group = Group { name: "requests", prepare, faults: FAULTS };

fn prepare(stage: &mut Stage) {
    stage.deploy(
        "shop",
        APP,
        &[
            ("say.sh", SAY),
            ("price.sh", PRICE),
            ("mute.py", MUTE),
            ("pay.py", PAY),
            ("hook.sh", HOOK),
            ("traps.wasm", TRAPS),
            ("hungry.wasm", HUNGRY),
        ],
    );
}

/// Sees a request fail, and asks by its id and by its route.
fn both(stage: &Stage, request: &str, status: u16) -> Vec<Question> {
    let id = stage.seen("shop", request, status);
    let method = request.split(' ').next().unwrap_or_default();
    let path = request.rsplit(' ').next().unwrap_or_default();
    vec![ask(&[&id]), ask(&["--route", &format!("{method} http://shop.localhost{path}")])]
}

static FAULTS: &[Fault] = &[
    Fault {
        name: "a route is misspelt",
        inject: |stage| both(stage, "GET /itmes", 404),
        cause: &["no route", "`/itmes`"],
        fix: &["/items"],
    },
    Fault {
        name: "a method has no route",
        inject: |stage| both(stage, "DELETE /items", 405),
        cause: &["/items", "DELETE"],
        fix: &["GET"],
    },
    Fault {
        name: "a route is shadowed by a more exact one",
        inject: |stage| {
            let answer = stage.request("GET /items/7", "shop.localhost", &[], "");
            assert_eq!(answer.body.trim(), "one");
            vec![ask(&["--route", "GET http://shop.localhost/items/7"]), ask(&[&answer.id])]
        },
        cause: &["`one`", "`GET /items/{id}`", "`GET /items/*`", "`list`", "more exact"],
        fix: &["route", "`list`"],
    },
    Fault {
        name: "a host name is unknown",
        inject: |stage| {
            let answer = stage.request("GET /items", "shpo.localhost", &[], "");
            assert_eq!(answer.status, 404);
            vec![ask(&[&answer.id]), ask(&["--route", "http://shpo.localhost/items"])]
        },
        cause: &["no app", "`shpo.localhost`"],
        fix: &["shop.localhost"],
    },
    Fault {
        name: "a private function is called from outside",
        inject: |stage| {
            let answer = stage.request("GET /", "hidden--shop.localhost", &[], "");
            assert_eq!(answer.status, 404);
            vec![ask(&[&answer.id]), ask(&["--route", "http://hidden--shop.localhost/"])]
        },
        cause: &["`hidden`", "private"],
        fix: &["private = true", "http://hidden.shop.internal/"],
    },
    Fault {
        name: "a function fails for one path only",
        inject: |stage| {
            for path in ["/price/1", "/price/2", "/price/3"] {
                stage.seen("shop", &format!("GET {path}"), 200);
            }
            let mut questions = both(stage, "GET /price/7", 500);
            questions.push(ask(&["--function", "shop/price"]));
            questions
        },
        cause: &["`price`", "500", "path `/price/7`"],
        fix: &["`price`"],
    },
    Fault {
        name: "a function is too slow by itself",
        inject: |stage| both(stage, "GET /slow", 504),
        cause: &["`slow`", "1s", "counting the stars"],
        fix: &["`timeout`"],
    },
    Fault {
        name: "a body is over the limit",
        inject: |stage| {
            let answer = stage.request("POST /small", "shop.localhost", &[], &"x".repeat(2000));
            assert_eq!(answer.status, 413);
            vec![ask(&[&answer.id]), ask(&["--route", "POST http://shop.localhost/small"])]
        },
        cause: &["body", "1 KiB"],
        fix: &["`body`", "small"],
    },
    Fault {
        name: "an answer is malformed",
        inject: |stage| both(stage, "GET /odd", 502),
        cause: &["`odd`", "not valid", "`Status`"],
        fix: &["print"],
    },
    Fault {
        name: "a server closes without an answer",
        inject: |stage| both(stage, "GET /mute", 502),
        cause: &["`mute`", "closed the connection"],
        fix: &["hob logs shop/mute"],
    },
    Fault {
        name: "a program crashes",
        inject: |stage| both(stage, "GET /dies", 502),
        cause: &["`dies`", "signal 11"],
        fix: &["`dies`"],
    },
    Fault {
        name: "a component crashes",
        inject: |stage| both(stage, "GET /traps", 502),
        cause: &["`traps`", "unreachable"],
        fix: &["`traps`"],
    },
    Fault {
        name: "a program needs too much memory",
        inject: |stage| both(stage, "GET /greedy", 502),
        cause: &["`greedy`", "memory", "64 MiB"],
        fix: &["`memory`", "greedy"],
    },
    Fault {
        name: "a component needs too much memory",
        inject: |stage| both(stage, "GET /hungry", 502),
        cause: &["`hungry`", "memory", "2 MiB"],
        fix: &["`memory`", "hungry"],
    },
    Fault {
        name: "an environment variable is missing, and the program ends",
        inject: |stage| both(stage, "GET /mail", 500),
        cause: &["`mailer`", "`SMTP_PASSWORD`"],
        fix: &["`SMTP_PASSWORD`", "`env`", "hob deploy"],
    },
    Fault {
        name: "an environment variable is missing, and the function answers 500",
        inject: |stage| both(stage, "GET /pay", 500),
        cause: &["`pay`", "`STRIPE_KEY`"],
        fix: &["`STRIPE_KEY`", "`env`"],
    },
    Fault {
        name: "a function answers 500, and says why in its answer alone",
        inject: |stage| both(stage, "GET /talks", 500),
        cause: &["`talks`", "500", "no paper in tray 2"],
        fix: &["`talks`"],
    },
    Fault {
        name: "a request lacks what the function asks for",
        inject: |stage| both(stage, "POST /hook", 401),
        cause: &["`hook`", "401", "no signature"],
        fix: &["sent"],
    },
    Fault {
        name: "a package is not installed",
        inject: |stage| both(stage, "GET /module", 500),
        cause: &["`module`", "stripe"],
        fix: &["`files`"],
    },
    Fault {
        name: "an event route gets no event",
        inject: |stage| {
            let answer = stage.request("POST /events", "shop.localhost", &[], "no event");
            assert_eq!(answer.status, 400);
            vec![ask(&[&answer.id]), ask(&["--route", "POST http://shop.localhost/events"])]
        },
        cause: &["carries no CloudEvent", "`parcels`"],
        fix: &["ce-"],
    },
    Fault {
        name: "an event is too large",
        inject: |stage| {
            let head = ["ce-specversion: 1.0", "ce-id: l-1", "ce-source: /x", "ce-type: x"];
            let answer = stage.request("POST /events", "shop.localhost", &head, &"x".repeat(1_200_000));
            assert_eq!(answer.status, 413);
            vec![ask(&[&answer.id]), ask(&["l-1"])]
        },
        cause: &["`l-1`", "not accepted", "`parcels`", "limit"],
        fix: &["`dataref`"],
    },
    Fault {
        name: "a failure is known by its code alone",
        inject: |stage| {
            stage.seen("shop", "GET /slow", 504);
            vec![ask(&["HOB-0501"])]
        },
        cause: &["did not answer before its deadline", "`slow`"],
        fix: &["`timeout`"],
    },
];
