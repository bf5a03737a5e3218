//! Threats to who looks: scripts in names, lines, events, answers and addresses, on the dashboard's pages.
//!
//! **Not here:** a browser that runs them, which `crates/hob/tests/all/browser.rs` has where the machine has one.

use crate::arena::{Arena, Outcome, judge};
use crate::stage::eventually;
use serde_json::Value;
use std::fmt::Write as _;

const PAGES: &str = include_str!("pages.py");

/// What would run, or be an element, if it were not text: `$` is a number by which each is found again.
const PAYLOADS: &[&str] = &[
    "<script>owned($)</script>",
    "</script><script>owned($)</script>",
    "<ScRiPt>owned($)</sCrIpT>",
    "<script src=//evil.example/owned($)></script>",
    "<img src=x onerror=owned($)>",
    "<img/src=x/onerror=owned($)>",
    "<svg onload=owned($)>",
    "<svg><script>owned($)</script></svg>",
    "<svg><animate onbegin=owned($) attributeName=x>",
    "<body onload=owned($)>",
    "<iframe srcdoc='<script>owned($)</script>'>",
    "<iframe src=javascript:owned($)>",
    "<object data=javascript:owned($)>",
    "<embed src=javascript:owned($)>",
    "<a href=javascript:owned($)>x</a>",
    "<a href='java\tscript:owned($)'>x</a>",
    "<form action=javascript:owned($)><button>x</button></form>",
    "<button formaction=javascript:owned($)>x</button>",
    "<input autofocus onfocus=owned($)>",
    "<details open ontoggle=owned($)>",
    "<video><source onerror=owned($)></video>",
    "<audio src=x onerror=owned($)>",
    "<marquee onstart=owned($)>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=owned($)>",
    "<noscript><p title='</noscript><img src=x onerror=owned($)>'>",
    "<template><script>owned($)</script></template>",
    "<base href=//evil.example/owned($)/>",
    "<meta http-equiv=refresh content='0;url=javascript:owned($)'>",
    "<link rel=stylesheet href=//evil.example/owned($).css>",
    "<style>@import '//evil.example/owned($)';</style>",
    "<style onload=owned($)></style>",
    "\"><script>owned($)</script>",
    "'><script>owned($)</script>",
    "\" onmouseover=owned($) x=\"",
    "' onmouseover=owned($) x='",
    "` onmouseover=owned($) x=`",
    "--><script>owned($)</script><!--",
    "]]><script>owned($)</script>",
    "</textarea><script>owned($)</script>",
    "</title><script>owned($)</script>",
    "</pre></main><script>owned($)</script>",
    "<x-owned onclick=owned($)>x</x-owned>",
    "<<script>owned($)//<</script>",
    "<script\n>owned($)</script\n>",
    "&lt;script&gt;owned($)&lt;/script&gt;",
    "&#60;script&#62;owned($)&#60;/script&#62;",
    "\\u003cscript\\u003eowned($)\\u003c/script\\u003e",
    "{{constructor.constructor('owned($)')()}}",
    "${owned($)}",
    "<plaintext>owned($)",
    "<xmp><script>owned($)</script></xmp>",
    "javascript:owned($)",
];

/// Writes each to its log, and has them in its answer and its failure.
const GUEST: &str = r#"
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
payloads = json.load(open("payloads.json"))
class Guest(BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        for line in payloads:
            print(line.replace("\n", " "), flush=True)
            print(json.dumps({"level": "error", "msg": line, line: line}), flush=True)
        body = "\n".join(payloads).encode()
        self.send_response(500)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *arguments):
        pass
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Guest).serve_forever()
"#;

const MANIFEST: &str =
    "[functions.f]\nrun = [\"python3\", \"guest.py\"]\ncontract = \"http\"\nroute = \"/*\"\n
[[on]]\nname = \"s\"\ntopic = \"evil\"\ncall = \"f\"\nretry = { attempts = 1 }\n";

/// Publishes each as data, subject, type and attribute of an event, as far as that may be.
const PUBLISH: &str = "import http.client, json, socket, sys
control, payloads = sys.argv[2], json.loads(sys.argv[3])
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(control)
c, taken = Unix('localhost'), 0
for i, payload in enumerate(payloads):
    plain = payload.replace('\\n', ' ').replace('\\t', ' ')
    event = {'specversion': '1.0', 'id': plain, 'source': '/%d' % i, 'type': plain, 'subject': plain, 'evil': plain, 'data': payload}
    c.request('POST', '/v1/topics/evil/events', json.dumps(event), {'content-type': 'application/cloudevents+json'})
    r = c.getresponse()
    r.read()
    taken += r.status < 300
print(taken)
";

/// The payloads with their numbers.
fn payloads() -> Vec<String> {
    PAYLOADS.iter().enumerate().map(|(number, text)| text.replace('$', &number.to_string())).collect()
}

/// As a value of a query.
fn coded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut coded, byte| {
        // Writing to a text never fails.
        let _ = write!(coded, "%{byte:02X}");
        coded
    })
}

/// T20: what strangers say is text on every page.
pub(crate) fn scripts(arena: &Arena) -> Outcome {
    let (stage, payloads) = (&arena.stage, payloads());
    let list = serde_json::to_string(&payloads).unwrap();
    stage.deploy("evil", MANIFEST, &[("guest.py", GUEST), ("payloads.json", &list)]);
    let control = stage.path("data/control.sock").display().to_string();
    let taken = arena.python(PUBLISH, &[&control, &list]);
    for payload in &payloads {
        let path = format!("GET /{}?q={}", coded(payload), coded(payload));
        let line = payload.replace(['\n', '\t'], " ");
        let own = [format!("user-agent: {line}"), format!("referer: {line}"), format!("x-evil: {line}")];
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        stage.request(&path, "evil.localhost", &own, "");
    }
    let dead = || {
        let number = |pointer: &str| stage.number(&["sub", "show", "s"], pointer);
        (number("/dead")? >= taken.parse().unwrap()).then_some(())
    };
    eventually("the events are given up", dead);
    let link = stage.ok(&["dashboard"]);
    let mut starts = vec![
        "/logs?app=evil".to_owned(),
        "/requests".to_owned(),
        "/topics/evil".to_owned(),
        "/dead-letters/evil.dead".to_owned(),
        "/apps/evil/functions/f".to_owned(),
    ];
    starts.extend((1..=payloads.len()).map(|number| format!("/topics/evil/{number}")));
    for payload in &payloads {
        let text = coded(payload);
        starts.extend([
            format!("/why?ask={text}"),
            format!("/logs?app=evil&text={text}"),
            format!("/{text}"),
        ]);
    }
    let count = payloads.len().to_string();
    let mut arguments = vec![link.trim(), &count];
    arguments.extend(starts.iter().map(String::as_str));
    let told: Value = serde_json::from_str(&arena.python(PAGES, &arguments)).unwrap();
    let wrong = told["wrong"].as_array().unwrap();
    let number = |name: &str| told[name].as_u64().unwrap_or_default();
    let (pages, parts, seen) = (number("pages"), number("parts"), number("seen"));
    let figures = format!(
        "{}/{} payloads only text ({seen} shown), {taken} as events, on {pages} pages and {parts} live parts; strict policy on all{}",
        if wrong.is_empty() { payloads.len() } else { 0 },
        payloads.len(),
        wrong.iter().take(3).map(|line| format!(" [{line}]")).collect::<String>(),
    );
    judge(wrong.is_empty() && seen == payloads.len() as u64 && pages > 200 && parts > 0, figures)
}
