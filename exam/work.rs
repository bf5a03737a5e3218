//! Faults of places and time: queues, cold starts, asynchronous calls.

use crate::outside::SECURE;
use crate::stage::{Answer, Fault, Group, Stage, ask, eventually};

const APP: &str = r#"
[functions.one]
run = ["sh", "-c", "sleep 0.7"]
contract = "stdio"
route = "/one"
scale = { max = 1 }

[functions.hurried]
run = ["sh", "-c", "sleep 1"]
contract = "stdio"
route = "/hurried"
timeout = "3s"
scale = { max = 1 }

[functions.cold]
run = ["python3", "cold.py"]
contract = "http"
route = "/cold"
scale = { idle = "1s" }

[functions.heavy]
run = ["python3", "-c", "import time; time.sleep(0.8)"]
contract = "stdio"
route = "/heavy"

[functions.later]
run = ["sh", "later.sh"]
contract = "stdio"
route = "/later/*"
timeout = "60s"
egress = []
scale = { max = 3 }
[functions.later.async]
attempts = 2
backoff = "10ms..20ms"

[functions.reports]
run = ["true"]
contract = "stdio"
route = "/reports"
egress = ["127.0.0.2:%SECURE%"]

[functions.thrifty]
run = ["true"]
contract = "stdio"
route = "/thrifty"
budget = { invocations = 2, per = "day", stop = true }

[[on]]
name = "spends"
topic = "bills"
call = "thrifty"

[functions.fragile]
run = ["python3", "fragile.py"]
contract = "http"
route = "/fragile"
"#;

const COLD: &str = "import os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Cold(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
time.sleep(0.8)
ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Cold).serve_forever()
";

const LATER: &str = "case $PATH_INFO in
*/fail) echo 'ValueError: no cat in the picture' >&2; exit 1 ;;
*/wait) until %GO%; do sleep 0.05; done ;;
esac
echo done
";

/// Starts as long as its licence is there, and ends with each call.
const FRAGILE: &str = "import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
if not os.path.exists('%FOLDER%/licence'):
    sys.exit('LicenceError: the licence is not valid any more')
class Fragile(BaseHTTPRequestHandler):
    def do_GET(self):
        os._exit(3)
HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Fragile).serve_forever()
";

pub(crate) static GROUP: Group = Group { name: "work", prepare, faults: FAULTS };

fn prepare(stage: &mut Stage) {
    let secure = stage.run("python3", SECURE);
    let folder = stage.path("").display().to_string();
    let go = stage.may_go();
    let put =
        |text: &str| text.replace("%FOLDER%/", &folder).replace("%SECURE%", &secure).replace("%GO%", &go);
    std::fs::write(stage.path("licence"), "valid").unwrap();
    std::fs::write(stage.path("port"), &secure).unwrap();
    let files = [("cold.py", COLD), ("later.sh", &put(LATER)), ("fragile.py", &put(FRAGILE))];
    stage.deploy("work", &put(APP), &files);
}

/// Several requests at once; the answers, in the order in which they ended.
fn together(stage: &Stage, request: &str, count: usize) -> Vec<Answer> {
    let answers = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let answer = stage.request(request, "work.localhost", &[], "");
                answers.lock().unwrap().push(answer);
            });
        }
    });
    answers.into_inner().unwrap()
}

/// An asynchronous call: its id, and how it is.
fn later(stage: &Stage, request: &str, headers: &[&str]) -> (String, String) {
    let asked = [&["prefer: respond-async"], headers].concat();
    let answer = stage.request(request, "work.localhost", &asked, "");
    assert_eq!(answer.status, 202, "{answer:?}");
    (answer.header("hob-call-id").unwrap().to_owned(), answer.id)
}

/// Waits until an asynchronous call is so.
fn ends(stage: &Stage, call: &str, state: &str) {
    eventually(state, || {
        let answer = stage.request(&format!("GET /.well-known/hob/calls/{call}"), "work.localhost", &[], "");
        answer.body.contains(&format!("\"state\":\"{state}\"")).then_some(())
    });
}

/// Waits until a result was not taken by whoever was to get it.
fn not_taken(stage: &Stage, call: &str) {
    ends(stage, call, "done");
    eventually("the result is not taken", || {
        let facts = stage.why(&ask(&[call]));
        facts.contains("hob-callbacks").then_some(()).or_else(|| facts.contains("callback").then_some(()))
    });
}

static FAULTS: &[Fault] = &[
    Fault {
        name: "it is slow because of queueing",
        inject: |stage| {
            let answers = together(stage, "GET /one", 3);
            let last = answers.last().unwrap();
            assert_eq!(last.status, 200);
            vec![ask(&[&last.id]), ask(&["--function", "one"])]
        },
        cause: &["queueing", "`one`", "1 instance"],
        fix: &["`scale.max`"],
    },
    Fault {
        name: "a deadline passes in the queue",
        inject: |stage| {
            let answers = together(stage, "GET /hurried", 6);
            let late = answers.iter().find(|answer| answer.status == 504).unwrap();
            vec![ask(&[&late.id]), ask(&["--function", "hurried"])]
        },
        cause: &["waited", "for an instance of `hurried`", "deadline"],
        fix: &["`scale.max`"],
    },
    Fault {
        name: "it is slow because of a cold start",
        inject: |stage| {
            eventually("no instance is left", || {
                let text = stage.ok(&["show", "work", "-o", "json"]);
                let app: serde_json::Value = serde_json::from_str(&text).unwrap();
                let functions = app["functions"].as_array().unwrap();
                let cold = functions.iter().find(|function| function["function"] == "cold").unwrap();
                (cold["instances"] == 0).then_some(())
            });
            vec![ask(&[&stage.seen("work", "GET /cold", 200)]), ask(&["--function", "cold"])]
        },
        cause: &["cold start", "`cold`"],
        fix: &["`scale.min"],
    },
    Fault {
        name: "it is slow by its own code",
        inject: |stage| vec![ask(&[&stage.seen("work", "GET /heavy", 200)]), ask(&["--function", "heavy"])],
        cause: &["`heavy`", "own code took"],
        fix: &["profile `heavy`"],
    },
    Fault {
        name: "an instance cannot be started any more",
        inject: |stage| {
            std::fs::remove_file(stage.path("licence")).unwrap();
            stage.seen("work", "GET /fragile", 502);
            let id = eventually("it does not start", || {
                let answer = stage.request("GET /fragile", "work.localhost", &[], "");
                answer.body.contains("HOB-0308").then_some(answer.id)
            });
            vec![ask(&[&id]), ask(&["--function", "fragile"]), ask(&["HOB-0308"])]
        },
        cause: &["`fragile`", "the licence is not valid any more"],
        fix: &["hob logs work/fragile"],
    },
    Fault {
        name: "calls are refused, since every start fails",
        inject: |stage| {
            let id = eventually("the circuit opens", || {
                let answer = stage.request("GET /fragile", "work.localhost", &[], "");
                answer.body.contains("HOB-0515").then_some(answer.id)
            });
            vec![ask(&[&id]), ask(&["--function", "fragile"])]
        },
        cause: &["calls are refused since", "`fragile`", "the licence is not valid any more"],
        fix: &["hob logs work/fragile"],
    },
    Fault {
        name: "a budget is spent",
        inject: |stage| {
            stage.seen("work", "GET /thrifty", 200);
            stage.seen("work", "GET /thrifty", 200);
            let id = stage.seen("work", "GET /thrifty", 503);
            stage.ok(&["send", "bills", "--id", "b-1", "--type", "x"]);
            eventually("the event waits", || {
                (stage.number(&["sub", "show", "spends"], "/waiting")? == 1).then_some(())
            });
            let (call, _) = later(stage, "POST /thrifty", &[]);
            eventually("the call waits", || stage.why(&ask(&[&call])).contains("again").then_some(()));
            let route = ask(&["--route", "GET http://work.localhost/thrifty"]);
            vec![ask(&[&id]), route, ask(&["--function", "thrifty"]), ask(&["b-1"]), ask(&[&call])]
        },
        cause: &["`thrifty`", "has spent its budget"],
        fix: &["`budget` of `thrifty`", "hob deploy", "it begins anew"],
    },
    Fault {
        name: "an asynchronous call has failed",
        inject: |stage| {
            let (call, request) = later(stage, "POST /later/fail", &[]);
            ends(stage, &call, "failed");
            vec![ask(&[&call]), ask(&[&request])]
        },
        cause: &["asynchronous call", "2 failed attempts", "no cat in the picture"],
        fix: &["`later`", "hob dlq redrive hob.calls.work.dead"],
    },
    Fault {
        name: "a callback address is refused by egress",
        inject: |stage| {
            let (call, request) =
                later(stage, "POST /later/x", &["hob-callback-url: http://127.0.0.2:9/told"]);
            not_taken(stage, &call);
            vec![ask(&[&call]), ask(&[&request])]
        },
        cause: &["callback", "http://127.0.0.2:9/told", "may not reach"],
        fix: &["\"127.0.0.2:9\"", "`egress`"],
    },
    Fault {
        name: "the certificate of a callback address is wrong",
        inject: |stage| {
            let port = std::fs::read_to_string(stage.path("port")).unwrap();
            let (call, request) =
                later(stage, "POST /reports", &[&format!("hob-callback-url: https://127.0.0.2:{port}/told")]);
            not_taken(stage, &call);
            vec![ask(&[&call]), ask(&[&request])]
        },
        cause: &["callback", "https://127.0.0.2:", "certificate"],
        fix: &["certificate"],
    },
    Fault {
        name: "an asynchronous call runs for long",
        inject: |stage| {
            let (call, request) = later(stage, "POST /later/wait", &[]);
            ends(stage, &call, "pending");
            eventually("it runs", || stage.why(&ask(&[&call])).contains("now").then_some(()));
            vec![ask(&[&call]), ask(&[&request])]
        },
        cause: &["asynchronous call", "`later`", "now"],
        fix: &["hob logs work/later"],
    },
];
