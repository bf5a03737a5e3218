//! Threats by one tenant of a node to another.

use crate::arena::{Arena, Outcome, judge};
use crate::stage::eventually;
use std::process::Command;

/// All that a tenant may have.
const SCOPES: &str = "deploy,observe,operate,invoke,publish,secrets";
/// What the other tenant must not see.
const MARK: &str = "mark-of-the-other";

/// Asks every operation as a tenant: in the other's space by name, and in the own one for what is the other's.
const CROSS: &str = r#"
import http.client, json, sys
port, token, mark, other = int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
def ask(method, path, extra):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
    headers = {"host": "127.0.0.1", "authorization": "Bearer " + token, "content-type": "application/json"}
    headers.update(extra)
    text = b""
    try:
        c.request(method, path, body, headers)
        r = c.getresponse()
        while more := r.read1(65536):
            text += more
    except TimeoutError:
        pass
    return r.status, text.decode("latin-1")
document = json.loads(ask("GET", "/v1/openapi.json", {})[1])
names = {"app": "shop", "function": "f", "topic": "orders", "space": other, "name": "shop", "subscription": "shop/s"}
asked = crossed = 0
wrong = []
for path, methods in document["paths"].items():
    for method in methods:
        if method not in ("get", "put", "post", "delete", "patch"):
            continue
        real = path
        for part in [p for p in path.replace("}", "{").split("{")[1::2]]:
            real = real.replace("{" + part + "}", names.get(part.lstrip("*"), "1"))
        for way, extra in (("named", {"hob-space": other}), ("own", {})):
            status, text = ask(method.upper(), real, extra)
            asked += 1
            # Who names the other's space is refused, also for what is not there; in the own one it may be named in a path.
            refused = status == 403 and any(code in text for code in ('"HOB-0723"', '"HOB-0722"'))
            alien = way == "named" or "{space}" in path
            if mark in text or status >= 500 or (alien and not refused):
                crossed += 1
                wrong.append((way, method, path, status))
print(asked, crossed, wrong[:4])
"#;

/// Pairs of spaces that are tried.
const PAIRS: u64 = 4;

/// The names of the next pair: one is the other and more, or both are words that things in them have, too.
fn pair(seed: u64) -> (String, String) {
    // Any numbers will do, as long as they are the same in every run.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + u8::try_from(state % 26).unwrap())
    };
    let word: String = (0..4).map(|_| letter()).collect();
    match seed % 4 {
        0 => (word.clone(), format!("{word}-shop")),
        1 => (format!("{word}-shop"), word),
        2 => ("shop".to_owned(), "orders".to_owned()),
        _ => (format!("{word}1"), format!("{word}2")),
    }
}

/// T21: no operation crosses from one space into another.
pub(crate) fn cross(arena: &Arena) -> Outcome {
    let (mut asked, mut crossed, mut wrong) = (0, 0, String::new());
    for (mine, other) in (0..PAIRS).map(pair) {
        let said = crossing(arena, &mine, &other);
        let mut numbers = said.split(' ').map_while(|word| word.parse::<u64>().ok());
        asked += numbers.next().unwrap_or_default();
        crossed += numbers.next().unwrap_or(1);
        let rest = said.splitn(3, ' ').nth(2).unwrap_or(&said);
        if rest != "[]" {
            wrong = format!(" `{mine}` → `{other}`: {rest}");
        }
    }
    let figures = format!("{crossed} crossings in {asked} requests between {PAIRS} pairs of spaces{wrong}");
    judge(crossed == 0 && asked >= 100 * PAIRS, figures)
}

/// Asks everything of one space as the other; how much was asked and what has crossed.
fn crossing(arena: &Arena, mine: &str, other: &str) -> String {
    let stage = &arena.stage;
    let manifest = |mark: &str| {
        format!(
            "[functions.f]\nrun = [\"sh\", \"f.sh\"]\ncontract = \"stdio\"\nroute = \"/\"\nenv = {{ MARK = \"{mark}\" }}\n
[[on]]\nname = \"s\"\ntopic = \"orders\"\ncall = \"f\"\n"
        )
    };
    let script = "cat; echo \"$MARK\" >&2; printf 'Content-Type: text/plain\\r\\n\\r\\n%s' \"$MARK\"\n";
    for space in [mine, other] {
        stage.ok(&["space", "create", space]);
        let mark = if space == other { MARK } else { "harmless" };
        stage.write("shop", &manifest(mark), &[("f.sh", script)]);
        stage.ok(&["deploy", "shop", "--space", space]);
        stage.ok(&["send", "orders", mark, "--id", mark, "--type", "t", "--space", space]);
        stage.ok(&["call", "shop/f", "--space", space]);
    }
    let seen = || stage.ok(&["logs", "shop", "--space", other]).contains(MARK).then_some(());
    eventually("the other's function has said something", seen);
    let token = stage.ok(&["token", "create", "t", "--scope", SCOPES, "--space", mine]);
    let said = arena.python(CROSS, &[&arena.control, token.trim(), MARK, other]);
    // What is the other's is as it was.
    stage.ok(&["sub", "show", "shop/s", "--space", other]);
    assert!(stage.ok(&["call", "shop/f", "--space", other]).contains(MARK));
    assert!(stage.ok(&["topic", "tail", "orders", "--space", other, "-o", "json"]).contains(MARK));
    said
}

const CAPTURED: &str = include_str!("captured.py");
/// Actions that the issue asks for.
const ACTIONS_MIN: u64 = 60;

/// Two spaces, each with a guest that answers; who asks each.
fn two_spaces(arena: &Arena) -> impl Fn() {
    let stage = &arena.stage;
    let guest = crate::arena::guest("(call $answer (local.get $out) (call $fields) (i32.const 200))");
    for space in ["one", "two"] {
        stage.ok(&["space", "create", space]);
        let manifest =
            "[functions.f]\nrun = \"f.wasm\"\nhost = \"wasm\"\ncontract = \"wasi-http\"\nroute = \"/\"\n";
        stage.write("apart", manifest, &[("f.wasm", &guest)]);
        stage.ok(&["deploy", "apart", "--space", space]);
    }
    move || {
        for space in ["one", "two"] {
            let answer = stage.request("GET /", &format!("apart.{space}.localhost"), &[], "");
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}

/// T3: who has taken a worker over can do nothing with it.
pub(crate) fn captured(arena: &Arena) -> Outcome {
    let ask = two_spaces(arena);
    ask();
    let node = arena.stage.node.as_ref().unwrap().id().to_string();
    let (said, beside) = arena.beside(|| arena.python(CAPTURED, &[&node]));
    if let Some(why) = said.strip_prefix("skip: ") {
        return Outcome::Skipped(why.to_owned());
    }
    // They go on as if nothing were.
    ask();
    let mut numbers = said.split(' ').map_while(|word| word.parse::<u64>().ok());
    let mut next = || numbers.next().unwrap_or_default();
    let (actions, workers, denied, tried) = (next(), next(), next(), next());
    let others = said.splitn(5, ' ').nth(4).unwrap_or_default();
    let right =
        actions >= ACTIONS_MIN && workers >= 2 && denied == tried && others == "[]" && beside.errors == 0;
    let figures = format!(
        "{denied}/{tried} forbidden actions denied: {actions} in each of {workers} workers; {beside}"
    );
    judge(right, if others == "[]" { figures } else { format!("{figures} {others}") })
}

/// T27: the guests of two spaces run in two processes.
pub(crate) fn apart(arena: &Arena) -> Outcome {
    two_spaces(arena)();
    let list = Command::new("ps").args(["-eo", "ppid,args"]).output().unwrap();
    let node = arena.stage.node.as_ref().unwrap().id().to_string();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let workers =
        list.lines().filter(|line| line.trim().starts_with(&node) && line.contains("worker")).count();
    judge(workers >= 2, format!("two spaces with guests have {workers} processes for them"))
}
