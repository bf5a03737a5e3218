//! Threats by events, and by what costs.

use crate::arena::{Arena, Outcome, judge};
use crate::stage::eventually;

/// Events around the poisonous one.
const EVENTS: u64 = 200;
const ATTEMPTS: u64 = 3;

const WORK: &str = "data=$(cat)
case $data in *poison*) echo attempt >&2; exit 1 ;; esac
";

/// T23: a poisonous event holds nobody up, and ends in the dead-letter queue after its attempts.
pub(crate) fn poison(arena: &Arena) -> Outcome {
    let manifest = "[functions.work]\nrun = [\"sh\", \"work.sh\"]\ncontract = \"stdio\"\nprivate = true\n
[[on]]\nname = \"work\"\ntopic = \"jobs\"\ncall = \"work\"\nretry = { attempts = 3, backoff = \"10ms..20ms\" }\n";
    arena.stage.deploy("mill", manifest, &[("work.sh", WORK)]);
    let control = arena.stage.path("data/control.sock");
    let control = control.display().to_string();
    arena.python(PUBLISH, &[&control, &EVENTS.to_string()]);
    let number = |pointer: &str| arena.stage.number(&["sub", "show", "work"], pointer).unwrap_or_default();
    eventually("all others are delivered", || {
        (number("/delivered") == EVENTS && number("/dead") == 1).then_some(())
    });
    let logs = arena.stage.ok(&["logs", "mill"]);
    let attempts = logs.lines().filter(|line| line.ends_with("attempt")).count() as u64;
    let (delivered, dead) = (number("/delivered"), number("/dead"));
    let figures = format!("{delivered}/{EVENTS} others delivered, {dead} dead after {attempts} attempts");
    judge(attempts == ATTEMPTS, figures)
}

const PUBLISH: &str = "import http.client, json, socket, sys
control, count = sys.argv[2], int(sys.argv[3])
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(control)
c = Unix('localhost')
for i in range(count + 1):
    data = 'poison' if i == count // 2 else 'fine'
    event = {'specversion': '1.0', 'id': 'e-%d' % i, 'source': '/test', 'type': 'job', 'data': data}
    c.request('POST', '/v1/topics/jobs/events', json.dumps(event), {'content-type': 'application/cloudevents+json'})
    r = c.getresponse()
    body = r.read()
    assert r.status < 300, (r.status, body)
";

const ECHO: &str = "cat >/dev/null
echo turn >&2
printf 'Content-Type: text/plain\\r\\nce-specversion: 1.0\\r\\nce-id: %s-\\r\\nce-source: /echo\\r\\nce-type: again\\r\\n%s\\r\\n' \"$HTTP_CE_ID\" \"$FORGED\"
";

/// T24: a chain of events ends.
pub(crate) fn circle(arena: &Arena) -> Outcome {
    turns(arena, "")
}

/// T25: it ends as soon when the function forges everything that might say how long it is.
pub(crate) fn forged(arena: &Arena) -> Outcome {
    let forged = [
        "ce-hops: 0",
        "ce-hobhops: 0",
        "hob-hops: 0",
        "ce-hobdepth: 0",
        "hob-depth: 0",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ];
    turns(arena, &forged.map(|line| format!("{line}\\r\\n")).concat())
}

/// The call that nothing caused, and sixteen that were.
const TURNS: usize = 1 + 16;

fn turns(arena: &Arena, forged: &str) -> Outcome {
    let echo =
        ECHO.replace("%s\\r\\n' \"$HTTP_CE_ID\" \"$FORGED\"", &format!("{forged}\\r\\n' \"$HTTP_CE_ID\""));
    let manifest = "[functions.echo]\nrun = [\"sh\", \"echo.sh\"]\ncontract = \"stdio\"\nprivate = true\n
[[on]]\nname = \"circle\"\ntopic = \"round\"\ncall = \"echo\"\n";
    arena.stage.deploy("desk", manifest, &[("echo.sh", &echo)]);
    arena.stage.ok(&["send", "round", "--id", "r-1", "--type", "x"]);
    eventually("the chain stops", || {
        let (code, letters, _) = arena.stage.hob(&["dlq", "ls", "round", "-o", "name"]);
        (code == 0 && !letters.is_empty()).then_some(())
    });
    let turns = || arena.stage.ok(&["logs", "desk"]).lines().filter(|line| line.ends_with("turn")).count();
    eventually("all turns are logged", || (turns() >= TURNS).then_some(()));
    let turns = turns();
    let why = arena.stage.ok(&["why", "round.dead/1"]);
    let first = why.lines().next().unwrap_or_default().to_owned();
    judge(
        turns == TURNS && first.contains("chain"),
        format!("stopped after {turns} turns of {TURNS}: {first}"),
    )
}

/// T32: a budget that stops, stops.
pub(crate) fn wallet(arena: &Arena) -> Outcome {
    let manifest = "[functions.f]\nrun = [\"true\"]\ncontract = \"stdio\"\nroute = \"/\"\nbudget = { invocations = 50, per = \"day\", stop = true }\n";
    arena.stage.deploy("thrifty", manifest, &[]);
    let call = |_| arena.stage.request("GET /", "thrifty.localhost", &[], "").status;
    let statuses: Vec<u16> = (0..100).map(call).collect();
    let (done, stopped) = (statuses.iter().filter(|status| **status < 300).count(), statuses.last().copied());
    judge(
        done == 50 && stopped != Some(200),
        format!("{done} of 100 calls done with a budget of 50; then {stopped:?}"),
    )
}

/// Posts what GitHub would and what it would not, and counts what became of it.
const HOOKS: &str = r#"
import hashlib, hmac, http.client, json, sys, uuid
port, secret = int(sys.argv[1]), b"It's a Secret to Everybody"
def sign(body, key=secret, kind="sha256"):
    return kind + "=" + hmac.new(key, body, kind).hexdigest()
def post(body, signature, delivery=None, event="issues"):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    own = {"host": "desk.localhost", "content-type": "application/json", "x-github-event": event,
           "x-github-delivery": delivery or str(uuid.uuid4())}
    if signature is not None:
        own["x-hub-signature-256"] = signature
    c.request("POST", "/github", body, own)
    r = c.getresponse()
    text = r.read()
    return r.status, json.loads(text) if r.status == 200 else {}
body = json.dumps({"action": "opened", "issue": {"number": 1, "title": "x"}, "repository": {"full_name": "octo/repo"}}).encode()
good = sign(body)
forged = [(body, "sha256=" + "0" * 64), (body, sign(body, b"another")), (body, sign(body, b"")), (body, sign(body + b" ")),
          (body + b" ", good), (body[:-1], good), (body, good[:-1]), (body, good + "0"), (body, good[7:]), (body, good.upper()),
          (body, "sha1=" + sign(body, kind="sha1")[5:]), (body, sign(body, kind="sha512")), (body, "sha256="), (body, ""),
          (body, None), (b"", sign(body)), (body, good + ", " + good), (body, "sha256=" + "x" * 64)]
refused = [post(body, signature)[0] in (400, 401) for body, signature in forged]
delivery = str(uuid.uuid4())
first = post(body, good, delivery)
again = [post(body, good, delivery) for _ in range(20)]
same = [told.get("published", {}) for _, told in again]
one = first[0] == 200 and all(p.get("duplicate") and p.get("sequence") == first[1]["published"]["sequence"] for p in same)
print(sum(refused), len(forged), int(one), [i for i, right in enumerate(refused) if not right])
"#;

/// T29: what claims to be a web hook and is none is refused by the function that checks, and what is repeated is one event.
pub(crate) fn hooks(arena: &Arena) -> Outcome {
    arena.stage.ok(&["deploy", concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/desk")]);
    let said = arena.python(HOOKS, &[]);
    let numbers: Vec<&str> = said.split(' ').take(3).collect();
    let topics = arena.stage.number(&["topic", "show", "github"], "/events");
    let right = numbers.first() == numbers.get(1)
        && numbers.get(2) == Some(&"1")
        && topics.is_none_or(|events| events == 1);
    judge(
        right,
        format!(
            "by the desk's own function: forged refused of all, a delivery repeated 20 times is one event: {said}; event \
             routes check no credentials, and GitHub signs no time: a delivery that is repeated after `dedup` is a new event"
        ),
    )
}
