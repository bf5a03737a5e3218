//! Threats by addresses and by bytes: what leads inside, and what two programs read in two ways.

use crate::arena::{Arena, Outcome, judge};

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
        told.push(`${answer.status} ${await answer.text()}`);
      } catch (error) {
        told.push(`refused ${error}`);
      }
    }
    return Response.json(told);
  }
}
";

/// Asks each address through what the environment offers, and by a connection of its own.
const CHILD: &str = r#"
import http.server, json, os, re, socket, urllib.request
class Ask(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer([])
    def do_POST(self):
        told = []
        for url in json.loads(self.rfile.read(int(self.headers["content-length"]))):
            try:
                told.append(str(urllib.request.urlopen(url, timeout=20).read(100)))
            except Exception as error:
                told.append("refused " + str(error))
            try:
                plain = url.split("://")[1].split("/")[0].rsplit("@")[-1]
                host, port = plain.rsplit(":", 1) if re.search(r":\d+$", plain) else (plain, "80")
                with socket.create_connection((host.strip("[]"), int(port)), 2) as s:
                    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    told.append(str(s.recv(100)))
            except Exception as error:
                told.append("refused " + str(error))
        self.answer(told)
    def answer(self, told):
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ask).serve_forever()
"#;

/// Sets a trap on loopback, has each function ask each address, and says what was denied and how often the trap was reached.
const ASK: &str = r#"
import http.client, json, socket, sys, threading
port, forms = int(sys.argv[1]), sys.argv[2].split()
trap = socket.create_server(("127.0.0.1", 0))
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
urls = [form.replace("$", str(trap.getsockname()[1])) for form in forms]
out = []
for path in "/guest", "/child":
    told = []
    # A few at a time: each may take as long as it takes to give up.
    for at in range(0, len(urls), 10):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=100)
        c.request("POST", path, json.dumps(urls[at:at + 10]), {"host": "ssrf.localhost"})
        r = c.getresponse()
        told += json.loads(r.read())
    denied = sum("reached" not in one and "200" not in one[:4] for one in told)
    out.append("%s %d/%d" % (path[1:], denied, len(told)))
print(", ".join(out) + ", trap reached %d times" % len(came))
"#;

/// T10: no form of an address leads inside.
pub(crate) fn ssrf(arena: &Arena) -> Outcome {
    let manifest = "[functions.guest]\nrun = \"guest.js\"\nroute = \"/guest\"\ntimeout = \"90s\"\n
[functions.child]\nrun = [\"python3\", \"child.py\"]\ncontract = \"http\"\nroute = \"/child\"\ntimeout = \"90s\"\n";
    arena.stage.deploy("ssrf", manifest, &[("guest.js", GUEST), ("child.py", CHILD)]);
    let (said, beside) = arena.beside(|| arena.python(ASK, &[FORMS]));
    let forms = FORMS.split_whitespace().count();
    let right = said == format!("guest {forms}/{forms}, child {0}/{0}, trap reached 0 times", 2 * forms);
    if !right && arena.stage.ok(&["doctor"]).contains("child processes: no walls") {
        return Outcome::Skipped(format!("without walls a child connects as it likes: {said}"));
    }
    judge(right && forms >= FORMS_MIN && beside.errors == 0, format!("denied by {said}; {beside}"))
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
