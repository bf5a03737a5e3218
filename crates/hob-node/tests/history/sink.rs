//! The app under test: a function that writes down what it gets before it answers.

use crate::history::{ATTEMPTS, Line};
use crate::support::App;
use hob_core::digest::Digest;
use std::path::Path;

/// The app.
pub(crate) const APP: &str = "desk";
/// The topic of its events.
pub(crate) const TOPIC: &str = "orders";
/// The subscription that gets all events, in order of their keys.
pub(crate) const ALL: &str = "desk/all";
/// The one that gets those of client 1.
pub(crate) const SOME: &str = "desk/some";
/// What ids of client 1 begin with.
pub(crate) const SOME_PREFIX: &str = "c1-";
/// The schedule.
pub(crate) const TICK: &str = "desk/tick";
/// What the sink calls the subscription of asynchronous calls.
pub(crate) const CALLS: &str = "calls";

/// One write with `O_APPEND` makes the line whole, whatever happens to this process.
pub(crate) const SINK: &str = r#"
import asyncio, hashlib, os, time

out = os.open(os.environ["SINK"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

def handle(headers, body):
    checksum = hashlib.sha256(body).hexdigest()
    attempt = int(headers.get("hob-attempt", "0"))
    call = headers.get("hob-call-id")
    kind = headers.get("ce-type", "")
    if not call and not kind:
        return 200, b"hello"
    status = 500 if kind == "poison" or (kind == "once" and attempt == 1) else 200
    fields = [call or headers["ce-id"], attempt, "calls" if call else headers["hob-subscription"],
        headers.get("hob-sequence", 0), headers.get("ce-partitionkey", ""), checksum, int(time.time() * 1000), status]
    os.write(out, ("\t".join(str(field) for field in fields) + "\n").encode())
    return status, checksum.encode()

class Http(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.rest = transport, b""

    def data_received(self, data):
        self.rest += data
        while True:
            end = self.rest.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self.rest[:end].decode("latin-1").split("\r\n")[1:]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self.rest) < whole:
                return
            body, self.rest = self.rest[end + 4:whole], self.rest[whole:]
            status, answer = handle(headers, body)
            head = "HTTP/1.1 %d .\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % (status, len(answer))
            self.transport.write(head.encode() + answer)

async def main():
    server = await asyncio.get_running_loop().create_server(Http, "127.0.0.1", int(os.environ["PORT"]), backlog=512)
    await server.serve_forever()

asyncio.run(main())
"#;

/// The app, whose sink writes into this file.
pub(crate) fn app(file: &Path) -> App {
    let retry = format!("retry = {{ attempts = {ATTEMPTS}, backoff = \"10ms..20ms\" }}");
    let on = format!(
        r#"
[[on]]
name = "all"
topic = "{TOPIC}"
call = "sink"
start = "beginning"
order-by = "partitionkey"
concurrency = 32
{retry}

[[on]]
name = "some"
topic = "{TOPIC}"
call = "sink"
start = "beginning"
where = {{ prefix = {{ id = "{SOME_PREFIX}" }} }}
{retry}

[[on]]
name = "tick"
schedule = "@every 1s"
call = "sink"

[[on]]
route = "/in"
publish = "{TOPIC}"

[topics.{TOPIC}]
dedup = "24h"
"#
    );
    App::new(APP)
        .function("sink", "http", "python3", SINK, &["/*"])
        .change("sink", |sink| {
            (sink.scale.max, sink.scale.concurrency) = (1, 256);
            sink.asynchronous.retry.backoff_min_ms = 10;
        })
        .env("SINK", file.to_str().unwrap())
        .on(&on)
}

/// The digest as the sink writes it.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string().trim_start_matches("sha256:").to_owned()
}

/// What the sink has written.
pub(crate) fn lines(file: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| read(line).unwrap_or_else(|| panic!("the sink wrote `{line}`"))).collect()
}

fn read(line: &str) -> Option<Line> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [id, attempt, subscription, sequence, key, checksum, wall_ms, status] = fields[..] else {
        return None;
    };
    Some(Line {
        id: id.into(),
        attempt: attempt.parse().ok()?,
        subscription: subscription.into(),
        sequence: sequence.parse().ok()?,
        key: key.into(),
        checksum: checksum.into(),
        wall_ms: wall_ms.parse().ok()?,
        status: status.parse().ok()?,
    })
}
