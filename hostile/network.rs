//! Threats by addresses and by bytes: what leads inside, and what two programs read in two ways.

use crate::arena::{Arena, Outcome, judge};
use serde_json::Value;

/// Addresses that lead inside, with `$` for the port of a trap.
const FORMS: &str = include_str!("../crates/hob-node/tests/all/ssrf/forms.txt");
/// Forms that there have to be.
const FORMS_MIN: usize = 40;
/// Requests that two programs could read in two ways; see there.
const PAYLOADS: &str = include_str!("../crates/hob-node/tests/all/smuggle/payloads.txt");
const ECHO: &str = include_str!("../crates/hob-node/tests/all/smuggle/echo.py");

const GUEST: &str = "export default {
  async fetch(request) {
    const told = [];
    for (const url of await request.json()) {
      try {
        const answer = await fetch(url, { redirect: 'manual' });
        told.push([`reached ${answer.status} ${await answer.text()}`]);
      } catch (error) {
        told.push([`${error} ${error.cause ?? ''}`]);
      }
    }
    return Response.json(told);
  }
}
";

/// Asks each address of the proxy in both ways, since a library would not send most of them, and connects to it itself.
const CHILD: &str = r##"
import base64, errno, http.server, json, os, re, socket, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
secret = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
def ask(request):
    with socket.create_connection((proxy.hostname, proxy.port), timeout=60) as stream:
        stream.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {secret}\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got and (more := stream.recv(65536)):
            got += more
    head = got.decode("latin-1").split("\r\n")
    code = [line[11:] for line in head if line.lower().startswith("hob-error: ")]
    return f"{head[0]} {code}"
def connect(place):
    host, port = place.rsplit(":", 1) if re.search(r":\d+$", place) else (place, "80")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), 5) as s:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            said = s.recv(100)
        return f"reached {said}" if said else "closed"
    except socket.gaierror:
        return "no such name"
    except TimeoutError:
        return "silence"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
class Ask(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer([])
    def do_POST(self):
        told = []
        for url in json.loads(self.rfile.read(int(self.headers["content-length"]))):
            place = url.split("://")[1].split("/")[0].split("#")[0].rsplit("@")[-1]
            whole = place if re.search(r":\d+$", place) else place + ":443"
            told.append([ask("GET " + url), ask("CONNECT " + whole), connect(place)])
        self.answer(told)
    def answer(self, told):
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ask).serve_forever()
"##;

/// Sets a trap at every address of the machine, has each function ask each address, and says what came of it and how often
/// the trap was reached.
///
/// A denial is one in words: the node's own code, or what the node says of something that is no address; of a connection,
/// that the machine of the walls has no way there. What nobody answers is none.
const ASK: &str = r#"
import http.client, json, re, socket, sys, threading
port, forms, own = int(sys.argv[1]), sys.argv[2].split(), sys.argv[3].split()
try:
    trap = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
except OSError:
    trap = socket.create_server(("0.0.0.0", 0))
came = []
def serve():
    while True:
        s, peer = trap.accept()
        came.append(peer)
        try:
            s.recv(4096)
            s.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nreached")
        except OSError:
            pass
        s.close()
threading.Thread(target=serve, daemon=True).start()
here = str(trap.getsockname()[1])
with socket.create_connection(("127.0.0.1", here), 10) as s:
    s.sendall(b"x")
    if b"reached" not in s.recv(100):
        sys.exit("the trap is none")
came.clear()
urls = [form.replace("$", here) for form in forms]
urls += [f"http://{host}:{socket_of_its_own}/" for socket_of_its_own in own for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]")]
# By a fetch, by the proxy in two ways, by a connection.
DENIED = {"/guest": [r"HTTP request denied"],
          "/child": [r" 403 .*'HOB-0507'| 400 .*'HOB-0406'"] * 2 + [r"^(ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|EINVAL|closed|no such name)"]}
# What is no address to a `fetch`.
ODD = {"%25": r"Invalid URL", "@127": r"the URL holds credentials"}
out, wrong = [], []
for path, ways in DENIED.items():
    told = []
    # A few at a time: each may take as long as it takes to give up.
    for at in range(0, len(urls), 10):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=100)
        c.request("POST", path, json.dumps(urls[at:at + 10]), {"host": "ssrf.localhost"})
        told += json.loads(c.getresponse().read())
    asked = denied = 0
    for url, of_url in zip(urls, told, strict=True):
        for number, (way, said) in enumerate(zip(ways, of_url, strict=True)):
            asked += 1
            odd = [words for part, words in ODD.items() if part in url and path == "/guest"]
            denied += (right := any(re.search(words, said) for words in [way, *odd]))
            wrong += [] if right else [f"{path[1:]} {('', '', 'itself ')[number]}{url}: {said}"]
    out.append("%s %d/%d" % (path[1:], denied, asked))
print(json.dumps({"said": ", ".join(out), "urls": len(urls), "came": len(came), "wrong": wrong}))
"#;

/// T10: no form of an address leads inside.
pub(crate) fn ssrf(arena: &Arena) -> Outcome {
    let manifest = "[functions.guest]\nrun = \"guest.js\"\nroute = \"/guest\"\ntimeout = \"90s\"\n
[functions.child]\nrun = [\"python3\", \"child.py\"]\ncontract = \"http\"\nroute = \"/child\"\ntimeout = \"90s\"\n";
    arena.stage.deploy("ssrf", manifest, &[("guest.js", GUEST), ("child.py", CHILD)]);
    let own = format!("{} {}", arena.port(), arena.control);
    let (said, beside) = arena.beside(|| arena.python(ASK, &[FORMS, &own]));
    let told: Value = serde_json::from_str(&said).unwrap();
    let (wrong, came) = (told["wrong"].as_array().unwrap(), told["came"].as_u64().unwrap());
    let figures = format!(
        "{} addresses denied in words: {}; trap reached {came} times; {beside}{}",
        told["urls"],
        told["said"].as_str().unwrap(),
        wrong.iter().take(4).map(|what| format!(" [{what}]")).collect::<String>()
    );
    // Without walls a child connects as it likes; what it asks the proxy for, and a guest, have other walls.
    let connected = |what: &Value| what.as_str().is_some_and(|text| text.starts_with("child itself "));
    if !wrong.is_empty() && wrong.iter().all(connected) {
        return arena.lacking(&["walls"], &figures);
    }
    let right = wrong.is_empty() && came == 0 && FORMS.split_whitespace().count() >= FORMS_MIN;
    judge(right && beside.errors == 0, figures)
}

/// Sends each payload with a request behind it, and looks at what the function saw.
const SMUGGLE: &str = r#"
import http.client, json, re, socket, sys
port, payloads = int(sys.argv[1]), open(sys.argv[2]).read()
def unescape(text):
    text = re.sub(r"\{((?:[^{}])*)\*(\d+)\}", lambda m: m.group(1) * int(m.group(2)), text)
    out = bytearray()
    i = 0
    while i < len(text):
        c = text[i]
        if c != "\\":
            out += c.encode()
            i += 1
            continue
        e = text[i + 1]
        if e == "x":
            out.append(int(text[i + 2:i + 4], 16))
            i += 4
        else:
            out += {"r": b"\r", "n": b"\n", "t": b"\t"}.get(e, e.encode())
            i += 2
    return bytes(out)
def log():
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    c.request("GET", "/log", headers={"host": "echo.localhost"})
    return json.loads(c.getresponse().read())
sent = desync = 0
wrong = []
log()
for text in payloads.splitlines():
    if not text or text.startswith('#'):
        continue
    what, expected, payload = text.split("\t")
    s = socket.create_connection(("127.0.0.1", port), 30)
    s.sendall(unescape(payload) + b"GET /after HTTP/1.1\r\nHost: echo.localhost\r\nConnection: close\r\n\r\n")
    s.shutdown(socket.SHUT_WR)
    try:
        while s.recv(65536):
            pass
    except OSError:
        pass
    seen = log()
    lines = [entry["line"] for entry in seen]
    bad = any("smuggled" in l or l.startswith("MALFORMED") for l in lines) or len(lines) > 2
    bad = bad or (expected == "R" and bool(lines))
    sent += 1
    desync += bad
    if bad:
        wrong.append(what)
print(sent, desync, wrong[:3])
"#;

/// T11: what two programs could read in two ways is refused, or read in one.
pub(crate) fn smuggle(arena: &Arena) -> Outcome {
    let manifest =
        "[functions.echo]\nrun = [\"python3\", \"echo.py\"]\ncontract = \"http\"\nroute = \"/*\"\n";
    arena.stage.deploy("echo", manifest, &[("echo.py", ECHO)]);
    let file = arena.stage.path("payloads");
    std::fs::write(&file, PAYLOADS).unwrap();
    let said = arena.python(SMUGGLE, &[&file.display().to_string()]);
    let mut numbers = said.split(' ').filter_map(|word| word.parse::<u32>().ok());
    let (sent, desync) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(1));
    judge(sent >= 150 && desync == 0, format!("payloads, desyncs: {said}"))
}
