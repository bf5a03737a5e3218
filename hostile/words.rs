//! Threats by what functions and events say: headers, lines.

use crate::arena::{Arena, Outcome, judge};
use crate::stage::eventually;

/// Values that functions and senders try.
const VALUES: usize = 400;

const SAYS: &str = "export default {
  async fetch(request) {
    const value = await request.text();
    if (request.headers.has('x-injected')) console.log('INJECTED');
    console.log('line ' + value);
    return new Response('said', { headers: { 'x-value': value } });
  }
}
";

/// Sends values with every control character to the function, and looks at what comes back.
const SAY: &str = r#"
import http.client, random, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
pick = random.Random(7)
bits = ["\r\n", "\n", "\r", "\0", "\x1b[2J", "x-injected: 1", " ", "\t", "\u2028", "\x85", "a", ":", "{\"a\":1}", "\x7f", "é"]
extra = refused = 0
c = http.client.HTTPConnection("127.0.0.1", port)
for i in range(count):
    value = "".join(pick.choice(bits) for _ in range(pick.randint(1, 8))) + "\r\nx-injected: 1"
    c.request("POST", "/", value.encode(), {"host": "says.localhost"})
    r = c.getresponse()
    body = r.read()
    extra += r.getheader("x-injected") is not None
    refused += r.status >= 500
print(extra, refused)
"#;

/// T12: nothing that is said becomes a header or a line of its own.
pub(crate) fn inject(arena: &Arena) -> Outcome {
    let manifest = "[functions.f]\nrun = \"says.js\"\nroute = \"/\"\n[[on]]\nname = \"said\"\ntopic = \"said\"\ncall = \"f\"\nretry = { attempts = 1 }\n";
    arena.stage.deploy("says", manifest, &[("says.js", SAYS)]);
    let said = arena.python(SAY, &[&VALUES.to_string()]);
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
    let logs = arena.stage.ok(&["logs", "says", "-o", "json"]);
    let injected = logs.matches("\"INJECTED\"").count();
    let escapes = logs.matches('\u{1b}').count();
    let terminal = arena.stage.ok(&["logs", "says"]).matches('\u{1b}').count();
    let right = said.starts_with("0 ") && injected == 0 && escapes + terminal == 0;
    judge(
        right,
        format!(
            "{VALUES} values and {accepted} attributes: extra headers and refused values {said}, injected into functions {injected}, escapes in logs {}",
            escapes + terminal
        ),
    )
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
