//! Threats by clients of the gateway.

use crate::arena::{Arena, Outcome, guest, judge};
use serde_json::Value;

/// Opens connections from many addresses of the loopback network, says what `KIND` says, and holds them.
const CONNECTIONS: &str = r#"
import json, resource, socket, sys, time
port, kind, count, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
said = {
    "idle": b"",
    "head": b"GET / HTTP/1.1\r\nhost: quiet.localhost\r\nx-a: ",
    "body": b"POST / HTTP/1.1\r\nhost: quiet.localhost\r\ncontent-length: 1000000\r\n\r\nx",
    "read": b"GET / HTTP/1.1\r\nhost: quiet.localhost\r\n\r\n" * 20,
}
kinds = list(said) if kind == "all" else [kind]
held = []
opened = 0
# What this user may open, where that is less.
count = min(count, hard - 100)
for i in range(count):
    try:
        s = socket.create_connection(("127.0.0.1", port), 5, ("127.0.%d.%d" % (1 + i // 100 % 250, 1 + i % 100), 0))
    except OSError:
        continue
    opened += 1
    s.setblocking(False)
    try:
        s.send(said[kinds[i % len(kinds)]])
    except OSError:
        pass
    held.append((kinds[i % len(kinds)], s))
end = time.time() + seconds
while time.time() < end:
    for _, s in held:
        try:
            if kind != "idle":
                s.send(b"x")
        except OSError:
            pass
    time.sleep(0.2)
closed = dict.fromkeys(kinds, 0)
for what, s in held:
    try:
        while True:
            if s.recv(65536) == b"":
                closed[what] += 1
                break
    except BlockingIOError:
        pass
    except OSError:
        closed[what] += 1
print(json.dumps({"asked": count, "opened": opened, "closed": closed}))
"#;

/// Connections without which it was no attack.
const OPENED_MIN: u64 = 900;

/// How many connections were opened, how many of each kind the node has closed, and both in words.
fn connections(said: &str) -> (u64, Vec<u64>, String) {
    let told: Value = serde_json::from_str(said).unwrap();
    let (asked, opened) = (told["asked"].as_u64().unwrap(), told["opened"].as_u64().unwrap());
    let closed = told["closed"].as_object().unwrap();
    let words: Vec<String> = closed.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let text = format!("opened {opened}/{asked}, closed by the node: {}", words.join(", "));
    // Where many cannot even connect, nothing is said of those who could.
    let opened = if 10 * opened >= 9 * asked { opened } else { 0 };
    (opened, closed.values().filter_map(Value::as_u64).collect(), text)
}

/// T9: idle connections keep nobody out.
pub(crate) fn idle(arena: &Arena) -> Outcome {
    let (said, beside) = arena.beside(|| arena.python(CONNECTIONS, &["idle", "10000", "2"]));
    let (opened, closed, said) = connections(&said);
    // Who comes when there is no room is closed at once: a node that closed everybody would be asked for nothing here.
    let right = opened >= OPENED_MIN && 2 * closed.iter().sum::<u64>() <= opened && beside.errors == 0;
    judge(right, format!("idle connections {said}; {beside}"))
}

/// T13: slow heads, bodies and readers.
pub(crate) fn slow(arena: &Arena) -> Outcome {
    let (said, beside) = arena.beside(|| arena.python(CONNECTIONS, &["all", "1000", "12"]));
    let (opened, closed, said) = connections(&said);
    // Of each of the four kinds nine of ten at least.
    let right = opened >= OPENED_MIN && closed.iter().all(|of_kind| 40 * of_kind >= 9 * opened);
    judge(right && beside.errors == 0, format!("slow connections {said}; {beside}"))
}

/// Sends without end until the node has enough.
const ENDLESS: &str = r#"
import socket, sys
port, kind = int(sys.argv[1]), sys.argv[2]
s = socket.create_connection(("127.0.0.1", port), 30)
chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
piece = {"body": chunk, "head": b"x-a: " + b"x" * 4096 + b"\r\n", "url": b"x" * 4096}[kind]
s.sendall({"body": b"POST / HTTP/1.1\r\nhost: quiet.localhost\r\ntransfer-encoding: chunked\r\n\r\n",
           "head": b"GET / HTTP/1.1\r\nhost: quiet.localhost\r\n", "url": b"GET /"}[kind])
sent = 0
try:
    while sent < 10 << 30:
        s.sendall(piece)
        sent += len(piece)
except OSError:
    pass
try:
    answer = s.recv(65536).decode("latin-1")
except OSError:
    answer = ""
print(sent >> 10, answer.split("\r\n")[0].replace(" ", "_") or "closed")
"#;
/// What is taken of who sends without end, KiB: what is read after the answer, and what the sockets of both ends hold.
const ENDLESS_KIB_MAX: u64 = 64 << 10;

/// T14: bodies, heads and addresses without end.
pub(crate) fn endless(arena: &Arena) -> Outcome {
    let before = arena.memory();
    let kinds = ["body", "head", "url"];
    let attack = || kinds.map(|kind| arena.python(ENDLESS, &[kind]));
    let (said, beside) = arena.beside(attack);
    let grown = arena.memory().saturating_sub(before);
    let taken = said.iter().filter_map(|said| said.split(' ').next()?.parse::<u64>().ok());
    let right = taken.max().is_some_and(|most| most <= ENDLESS_KIB_MAX) && beside.errors == 0 && grown <= 64;
    let said: Vec<String> = kinds.iter().zip(&said).map(|(kind, said)| format!("{kind} {said}")).collect();
    judge(right, format!("KiB taken, answer: {}; node +{grown} MiB; {beside}", said.join(", ")))
}

/// Floods of HTTP/2, each by a few connections for a while; what the node did to them.
const FLOODS: &str = r#"
import socket, struct, sys, time
port, kind, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
# :method GET, :scheme http, :path /, :authority quiet.localhost (RFC 7541, literal without indexing)
head = b"\x82\x86\x84\x01\x0fquiet.localhost"
sent = closed = 0
def open():
    s = socket.create_connection(("127.0.0.1", port), 5)
    s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
    s.setblocking(False)
    return s
end = time.time() + seconds
while time.time() < end:
    s = open()
    stream = 1
    try:
        if kind == "continuation":
            s.sendall(frame(1, 0, 1, head))
        if kind == "data":
            s.sendall(frame(1, 4, 1, b"\x83" + head[1:]))
        while time.time() < end:
            if kind == "reset":
                batch = b""
                for _ in range(50):
                    batch += frame(1, 5, stream, head) + frame(3, 0, stream, b"\0\0\0\x08")
                    stream += 2
            elif kind == "continuation":
                batch = frame(9, 0, 1, b"\0\x01a\x01b" * 100) * 10
            elif kind == "data":
                batch = frame(0, 0, 1) * 100
            elif kind == "settings":
                batch = frame(4, 0, 0, b"\0\x04\0\0\xff\xff") * 100
            elif kind == "ping":
                batch = frame(6, 0, 0, b"12345678") * 100
            else:
                # HPACK bomb: a large entry of the dynamic table, named again and again.
                big = b"\x40\x01a\x7f\xe1\x1e" + b"x" * 4000
                batch = frame(1, 5, stream, head + (big if stream == 1 else b"") + b"\xbe" * 4000)
                stream += 2
            view = memoryview(batch)
            while view and time.time() < end:
                try:
                    done = s.send(view)
                    view = view[done:]
                except BlockingIOError:
                    time.sleep(0.001)
                try:
                    if s.recv(65536) == b"":
                        raise ConnectionError
                except BlockingIOError:
                    pass
            sent += 1
    except (ConnectionError, OSError):
        closed += 1
    s.close()
print(sent, closed)
"#;

/// How long each flood lasts, seconds.
const FLOOD_S: &str = "5";
/// The same on a quiet machine, as `reference/reliability.md` asks: three minutes together.
const FLOOD_STRICT_S: &str = "30";

/// T17: six floods of HTTP/2.
pub(crate) fn floods(arena: &Arena) -> Outcome {
    let before = arena.memory();
    let kinds = ["reset", "continuation", "data", "settings", "ping", "hpack"];
    let seconds = if arena.strict { FLOOD_STRICT_S } else { FLOOD_S };
    let (said, beside) = arena.beside(|| kinds.map(|kind| arena.python(FLOODS, &[kind, seconds])));
    let grown = arena.memory().saturating_sub(before);
    // Whoever sends a flood loses his connection, again and again.
    let ended = said.iter().all(|said| said.split(' ').nth(1).is_some_and(|closed| closed != "0"));
    let said = kinds.iter().zip(&said).map(|(kind, said)| format!("{kind} {}", said.replacen(' ', "/", 1)));
    let figures = format!(
        "batches sent/connections closed in {seconds} s each: {}; node +{grown} MiB; {beside}",
        said.collect::<Vec<_>>().join(", ")
    );
    judge(ended && beside.errors == 0 && grown <= 64, figures)
}

/// Calls from many connections at once for a while.
const NOISE: &str = r#"
import http.client, sys, threading, time
port, clients, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
end = time.time() + seconds
done = [0] * clients
def call(i):
    c = http.client.HTTPConnection("127.0.0.1", port)
    while time.time() < end:
        c.request("GET", "/", headers={"host": "noise.localhost"})
        c.getresponse().read()
        done[i] += 1
threads = [threading.Thread(target=call, args=(i,)) for i in range(clients)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sum(done))
"#;

/// T26: who calls far more takes nothing from who calls little.
pub(crate) fn noise(arena: &Arena) -> Outcome {
    let busy = "(local $n i32) (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $l (i32.lt_u (local.get $n) (i32.const 3000000)))) (call $answer (local.get $out) (call $fields) (i32.const 200))";
    arena.stage.deploy(
        "noise",
        "[functions.f]\nrun = \"f.wasm\"\nhost = \"wasm\"\ncontract = \"wasi-http\"\nroute = \"/\"\n",
        &[("f.wasm", &guest(busy))],
    );
    let (calls, beside) = arena.beside(|| arena.python(NOISE, &["64", "4"]));
    judge(beside.errors == 0, format!("64 clients made {calls} calls; {beside}"))
}
