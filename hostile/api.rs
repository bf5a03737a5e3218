//! Threats to what operators use: the control API, TLS, uploads, and connections that last.

use crate::arena::{Arena, Outcome, TOKEN, judge};
use crate::stage::Stage;
use std::process::Command;

/// Asks every operation of the document in every way that has no right to an answer, and once with the token.
const STRANGER: &str = r#"
import http.client, json, sys
port, token = int(sys.argv[2]), sys.argv[3]
def ask(method, path, headers):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    c.putrequest(method, path, skip_host=True)
    for name, value in headers.items():
        c.putheader(name, value)
    c.putheader("content-length", "2")
    c.endheaders(b"{}")
    r = c.getresponse()
    # Whoever is let in may get what is no JSON, or never ends.
    said = r.read() if r.status >= 400 else b"{}"
    return r.status, json.loads(said).get("code")
right = {"host": "127.0.0.1", "authorization": "Bearer " + token}
c = http.client.HTTPConnection("127.0.0.1", port)
c.request("GET", "/v1/openapi.json", headers=right)
document = json.loads(c.getresponse().read())
# Each has a refusal of its own: nobody known, from where nobody may ask, and no request at all.
unknown, elsewhere, malformed = [(401, "HOB-0701")], [(403, "HOB-0702")], [(400, "HOB-0406")]
# Who guesses waits.
guessed = unknown + [(429, "HOB-0725")]
ways = {
    "no token": ({"host": "127.0.0.1"}, unknown),
    "wrong token": ({"host": "127.0.0.1", "authorization": "Bearer " + token[:-1] + "x"}, guessed),
    "token of another scheme": ({"host": "127.0.0.1", "authorization": "Basic " + token}, unknown),
    "token in the query": ({"host": "127.0.0.1"}, unknown),
    "web page": (dict(right, origin="https://evil.example"), elsewhere),
    "rebound name": (dict(right, host="evil.example"), elsewhere),
    "no host": ({"authorization": "Bearer " + token}, malformed),
}
wrong, asked = [], 0
for path, methods in document["paths"].items():
    for method in methods:
        if method not in ("get", "put", "post", "delete", "patch"):
            continue
        real = path.replace("{", "").replace("}", "")
        for way, (headers, refusal) in ways.items():
            told = ask(method.upper(), real + ("?token=" + token if "query" in way else ""), headers)
            asked += 1
            if told not in refusal:
                wrong.append((way, method, path, *told))
print(asked, len(wrong), wrong[:4])
"#;

/// Requests that there have to be: seven ways of some sixty operations.
const STRANGERS_MIN: u64 = 350;

/// T19: nobody uses the control API without a right to it.
pub(crate) fn strangers(arena: &Arena) -> Outcome {
    let said = arena.python(STRANGER, &[&arena.control, TOKEN]);
    let mut numbers = said.split(' ').map_while(|word| word.parse::<u64>().ok());
    let (asked, wrong) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(1));
    let right = wrong == 0 && asked >= STRANGERS_MIN;
    judge(right, format!("requests without a right, and those without the refusal that is theirs: {said}"))
}

/// Tries old protocols and weak ciphers.
const OLD: &str = r#"
import socket, ssl, sys, warnings
warnings.simplefilter("ignore")
port = int(sys.argv[2])
def shake(low, high, ciphers="ALL:COMPLEMENTOFALL:@SECLEVEL=0"):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    try:
        c.set_ciphers(ciphers)
        c.minimum_version, c.maximum_version = low, high
        with socket.create_connection(("127.0.0.1", port), 10) as s, c.wrap_socket(s) as t:
            return t.version()
    except (ssl.SSLError, OSError, ValueError) as error:
        return None
V = ssl.TLSVersion
old = [shake(v, v) for v in (V.TLSv1, V.TLSv1_1)]
weak = [shake(V.TLSv1_2, V.TLSv1_2, c + ":@SECLEVEL=0") for c in ("NULL", "RC4", "3DES", "aNULL", "EXPORT", "AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "CAMELLIA128-SHA")]
new = [shake(v, v) for v in (V.TLSv1_2, V.TLSv1_3)]
print(sum(x is not None for x in old), sum(x is not None for x in weak), ",".join(map(str, new)))
"#;

/// T31: old protocols and weak ciphers are refused.
pub(crate) fn tls(arena: &Arena) -> Outcome {
    let home = arena.stage.path("");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"])
        .args(["-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .current_dir(&home)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        let why = "there is no `openssl` that makes a certificate".to_owned();
        let all = std::env::var("HOB_CLIENTS").is_ok_and(|wanted| wanted == "all");
        return if all { Outcome::Broken(why) } else { Outcome::Skipped(why) };
    }
    let path = |file: &str| home.join(file).display().to_string();
    let secure = Stage::start_with(&["--tls-cert", &path("cert.pem"), "--tls-key", &path("key.pem")]);
    let port = secure.address.rsplit(':').next().unwrap();
    let said = arena.python(OLD, &[port]);
    let right = said == "0 0 TLSv1.2,TLSv1.3";
    judge(right, format!("old protocols, weak ciphers, good protocols accepted: {said}"))
}

const SOCKETS: &str = r#"
import os, socket, base64, hashlib, time, threading
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(os.environ["PORT"])))
s.listen(64)
def serve(c):
    head = b""
    while b"\r\n\r\n" not in head:
        more = c.recv(4096)
        if not more:
            return
        head += more
    key = [l.split(b": ")[1] for l in head.split(b"\r\n") if l.lower().startswith(b"sec-websocket-key")]
    if not key:
        c.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        return
    accept = base64.b64encode(hashlib.sha1(key[0].strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: " + accept + b"\r\n\r\n")
    time.sleep(20)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"#;

/// Opens WebSockets whose server reads nothing, and sends frames without end.
const FRAMES: &str = r#"
import socket, sys, time
port = int(sys.argv[1])
sent = opened = 0
held = []
for i in range(20):
    s = socket.create_connection(("127.0.0.1", port), 30)
    s.sendall(b"GET /ws HTTP/1.1\r\nhost: sockets.localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    answer = s.recv(4096)
    opened += answer.startswith(b"HTTP/1.1 101")
    if not answer.startswith(b"HTTP/1.1 101"):
        sys.exit(repr(answer))
    s.setblocking(False)
    held.append(s)
end = time.time() + 3
chunk = b"\x82\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0" + b"x" * 65536
while time.time() < end:
    for s in held:
        try:
            sent += s.send(chunk)
        except BlockingIOError:
            pass
        except OSError:
            pass
    time.sleep(0.001)
print(opened, sent >> 10)
"#;

/// T18: WebSockets that send without end to who reads nothing.
pub(crate) fn sockets(arena: &Arena) -> Outcome {
    let manifest = "[functions.f]\nrun = [\"python3\", \"ws.py\"]\ncontract = \"http\"\nroute = \"/*\"\n";
    arena.stage.deploy("sockets", manifest, &[("ws.py", SOCKETS)]);
    arena.stage.seen("sockets", "GET /", 200);
    let before = arena.memory();
    let (said, beside) = arena.beside(|| arena.python(FRAMES, &[]));
    let grown = arena.memory().saturating_sub(before);
    let right = said.starts_with("20 ") && beside.errors == 0 && grown <= 32;
    judge(right, format!("sockets open, KiB taken of endless frames: {said}; node +{grown} MiB; {beside}"))
}
