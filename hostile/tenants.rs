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
port, token, mark = int(sys.argv[2]), sys.argv[3], sys.argv[4]
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
names = {"app": "shop", "function": "f", "topic": "orders", "space": "other", "name": "shop", "subscription": "shop/s"}
asked = crossed = 0
wrong = []
for path, methods in document["paths"].items():
    for method in methods:
        if method not in ("get", "put", "post", "delete", "patch"):
            continue
        real = path
        for part in [p for p in path.replace("}", "{").split("{")[1::2]]:
            real = real.replace("{" + part + "}", names.get(part.lstrip("*"), "1"))
        for way, extra in (("named", {"hob-space": "other"}), ("own", {})):
            status, text = ask(method.upper(), real, extra)
            asked += 1
            # The document itself and the version are nobody's.
            if mark in text or (way == "named" and status < 400):
                crossed += 1
                wrong.append((way, method, path, status))
print(asked, crossed, wrong[:4])
"#;

/// T21: no operation crosses from one space into another.
pub(crate) fn cross(arena: &Arena) -> Outcome {
    let stage = &arena.stage;
    let manifest = |mark: &str| {
        format!(
            "[functions.f]\nrun = [\"sh\", \"f.sh\"]\ncontract = \"stdio\"\nroute = \"/\"\nenv = {{ MARK = \"{mark}\" }}\n
[[on]]\nname = \"s\"\ntopic = \"orders\"\ncall = \"f\"\n"
        )
    };
    let script = "cat; echo \"$MARK\" >&2; printf 'Content-Type: text/plain\\r\\n\\r\\n%s' \"$MARK\"\n";
    for space in ["mine", "other"] {
        stage.ok(&["space", "create", space]);
        let mark = if space == "other" { MARK } else { "harmless" };
        stage.write("shop", &manifest(mark), &[("f.sh", script)]);
        stage.ok(&["deploy", "shop", "--space", space]);
        stage.ok(&["send", "orders", mark, "--id", mark, "--type", "t", "--space", space]);
        stage.ok(&["call", "shop/f", "--space", space]);
    }
    let seen = || stage.ok(&["logs", "shop", "--space", "other"]).contains(MARK).then_some(());
    eventually("the other's function has said something", seen);
    let token = stage.ok(&["token", "create", "t", "--scope", SCOPES, "--space", "mine"]);
    let said = arena.python(CROSS, &[&arena.control, token.trim(), MARK]);
    let numbers: Vec<&str> = said.split(' ').take(2).collect();
    judge(numbers.get(1) == Some(&"0"), format!("requests of a tenant, crossings: {said}"))
}

/// T27: the guests of two spaces run in two processes.
pub(crate) fn apart(arena: &Arena) -> Outcome {
    let stage = &arena.stage;
    let good = "(call $answer (local.get $out) (call $fields) (i32.const 200))";
    let guest = crate::arena::guest(good);
    for space in ["one", "two"] {
        stage.ok(&["space", "create", space]);
        let manifest =
            "[functions.f]\nrun = \"f.wasm\"\nhost = \"wasm\"\ncontract = \"wasi-http\"\nroute = \"/\"\n";
        stage.write("apart", manifest, &[("f.wasm", &guest)]);
        stage.ok(&["deploy", "apart", "--space", space]);
        let answer = stage.request("GET /", &format!("apart.{space}.localhost"), &[], "");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let list = Command::new("ps").args(["-eo", "ppid,args"]).output().unwrap();
    let node = stage.node.as_ref().unwrap().id().to_string();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let workers =
        list.lines().filter(|line| line.trim().starts_with(&node) && line.contains("worker")).count();
    judge(workers >= 2, format!("two spaces with guests have {workers} processes for them"))
}
