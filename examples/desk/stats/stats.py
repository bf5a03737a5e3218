"""Stats: keeps count of what came in, and shows it. A web server on `$PORT`, standard library only.

It gets events: those of GitHub, and what the other functions said of them (`desk.triaged`,
`desk.summarised`, `desk.noted`, `desk.digest`). An event can be delivered more than once, after a
failure or a restart of the platform, so each is known by source and id and counts once. What is
said of an event may come before the event itself: both are put together by its id.

People read the page at `/` and the numbers at `/counts`. Everything is in the memory of this one
instance and begins at zero with a new revision.
"""

import json
import os
import threading
from collections import Counter, OrderedDict, deque
from datetime import datetime, timezone
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

LATEST_SHOWN = 50
# What is known of this many events at most is put together, and this many are known again.
ITEMS_KEPT = 1000
SEEN_KEPT = 100_000
NOTES_KEPT = 50
BODY_BYTES_MAX = 1 << 20

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Desk:
    """What came in since the start. One lock; every method is short."""

    def __init__(self):
        self.lock = threading.Lock()
        self.since = datetime.now(timezone.utc)
        self.seen = Recent(SEEN_KEPT)
        self.again = 0
        self.kinds = Counter()
        self.answers = Counter()
        self.labels = Counter()
        self.high = 0
        self.items = Recent(ITEMS_KEPT)
        self.latest = deque(maxlen=LATEST_SHOWN)
        self.notes = Recent(NOTES_KEPT)
        self.digest = None

    def take(self, event):
        """Counts an event, unless it was counted before; returns whether it was."""
        with self.lock:
            key = (event.source, event.id)
            if key in self.seen:
                self.again += 1
                return False
            # Before it is noted as seen it is understood: what fails here can come again.
            take = {
                "desk.triaged": self.triaged,
                "desk.summarised": self.summarised,
                "desk.noted": self.noted,
                "desk.digest": self.digested,
            }.get(event.type)
            if take:
                take(event)
                self.answers[event.type] += 1
            elif event.type.startswith("com.github."):
                self.delivered(event)
            else:
                raise ValueError(f"`{event.type}` is not a type that is counted")
            self.seen.put(key, None)
            return True

    def delivered(self, event):
        # `com.github.issues.opened`: the third word is the kind.
        kind = event.type.split(".")[2]
        action = text(event.json(), "action").replace("_", " ")
        self.kinds[kind] += 1
        item = self.item(event.id)
        item |= {"event": kind, "action": action, "source": event.source, "at": datetime.now(timezone.utc)}
        self.latest.appendleft(item)

    def triaged(self, event):
        verdict = event.json()
        self.labels[text(verdict, "label")] += 1
        self.high += verdict.get("priority") == "high"
        self.item(event.id).update(verdict)

    def summarised(self, event):
        self.item(event.id)["summary"] = text(event.json(), "summary")

    def noted(self, event):
        self.notes.put((event.partition, event.subject), event.data.decode())

    def digested(self, event):
        self.digest = event.json() | {"at": datetime.now(timezone.utc)}

    def item(self, id):
        """What is known of an event of GitHub."""
        if id not in self.items:
            self.items.put(id, {})
        return self.items[id]

    def page(self):
        """The page, as HTML."""
        with self.lock:
            kinds = self.kinds.most_common()
            labels = self.labels.most_common()
            latest = [dict(item) for item in self.latest]
            high, releases, digest = self.high, len(self.notes), self.digest
        return render(self.since, kinds, labels, latest, high, releases, digest)

    def counts(self):
        """The numbers, as JSON: what was published is what is counted here, or a dead letter."""
        with self.lock:
            digest = self.digest and {name: self.digest[name] for name in ("text", "kinds")}
            counts = {
                "webhooks": self.kinds.total(),
                "kinds": self.kinds,
                "answers": self.answers,
                "urgent": self.high,
                "again": self.again,
                "digest": digest,
            }
            return json.dumps(counts)

    def notes_text(self):
        """The notes of all releases, the newest first."""
        with self.lock:
            return "\n".join(reversed(self.notes.values()))


class Recent(OrderedDict):
    """The last `most` entries."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def put(self, key, value):
        self[key] = value
        self.move_to_end(key)
        if len(self) > self.most:
            self.popitem(last=False)


class Event:
    """A CloudEvent as it is delivered: attributes in `ce-` headers, data as body."""

    def __init__(self, headers, data):
        attribute = lambda name: unquote(headers.get(f"ce-{name}", ""))
        self.id, self.source, self.type = attribute("id"), attribute("source"), attribute("type")
        self.subject, self.partition = attribute("subject"), attribute("partitionkey")
        self.data = data
        if not (self.id and self.source and self.type):
            raise ValueError("this is no event: `ce-id`, `ce-source` and `ce-type` are needed")

    def json(self):
        value = json.loads(self.data)
        if not isinstance(value, dict):
            raise ValueError(f"the data of `{self.type}` is no JSON object")
        return value


def text(fields, name):
    """A field as text; what is missing or null is empty."""
    value = fields.get(name)
    return "" if value is None else str(value)


def render(since, kinds, labels, latest, high, releases, digest):
    """The page from the counts: plain HTML, readable without colour, script or style."""
    total = sum(count for _, count in kinds)
    return PAGE.format(
        total=total,
        events="webhook" if total == 1 else "webhooks",
        kinds=len(kinds),
        high=high,
        releases=releases,
        since=moment(since),
        bars=bars(kinds) or '<tr><td colspan="3">Nothing yet</td></tr>',
        labels="".join(f"<li>{badge(label)} <b>{count}</b></li>" for label, count in labels),
        latest="".join(map(row, latest)) or "<li>Nothing yet</li>",
        digest=f'{escape(text(digest, "text"))} <small>{moment(digest["at"])}</small>' if digest else "None yet",
    )


def bars(kinds):
    """One row for each kind, with a bar in proportion to the largest."""
    most = max((count for _, count in kinds), default=1)
    return "".join(
        f'<tr><th scope="row">{escape(kind)}</th><td class="count">{count}</td>'
        f'<td class="bar" aria-hidden="true"><i style="width:{100 * count / most:.1f}%"></i></td></tr>'
        for kind, count in kinds
    )


def row(item):
    """One of the latest events, with what was said of it so far."""
    urgent = '<span class="high">high</span> ' if item.get("priority") == "high" else ""
    label = f'{badge(item["label"])} ' if item.get("label") else ""
    reason = f' · {escape(item["reason"])}' if item.get("reason") else ""
    summary = item.get("summary") or f'{item["event"]} {item["action"]} at {item["source"]}'
    return (
        f"<li><p>{escape(summary)}</p>"
        f'<small>{urgent}{label}<code>{escape(item["event"])}</code> {moment(item["at"])}{reason}</small></li>'
    )


def badge(label):
    """A label, in a colour that is always the same for it."""
    hue = sum(label.encode()) * 47 % 360
    return f'<span class="badge" style="--hue:{hue}">{escape(label)}</span>'


def moment(at):
    return f'<time datetime="{at.isoformat(timespec="seconds")}">{at:%H:%M:%S} UTC</time>'


class Handler(BaseHTTPRequestHandler):
    """HTTP, kept alive."""

    protocol_version = "HTTP/1.1"
    # Head and body go out in one piece: apart, the second waits for the other side's acknowledgement
    # of the first, which takes its 40 ms.
    wbufsize = -1
    desk = Desk()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/":
            self.answer(200, "text/html; charset=utf-8", self.desk.page())
        elif path == "/counts":
            self.answer(200, "application/json", self.desk.counts())
        elif path == "/notes" and self.from_function():
            self.answer(200, "text/markdown; charset=utf-8", self.desk.notes_text())
        else:
            self.answer(404, "text/plain; charset=utf-8", "There is nothing here\n")

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            self.answer(413, "text/plain; charset=utf-8", "An event has a length, of 1 MiB at most\n")
            return
        body = self.rfile.read(int(length))
        if self.path != "/" or not self.from_function():
            self.answer(404, "text/plain; charset=utf-8", "There is nothing here\n")
            return
        try:
            counted = self.desk.take(Event(self.headers, body))
        except (ValueError, IndexError, TypeError) as error:
            # 400 says that trying again is of no use.
            self.answer(400, "text/plain; charset=utf-8", f"{error}\n")
        else:
            self.answer(200, "text/plain; charset=utf-8", "counted\n" if counted else "counted before\n")

    def from_function(self):
        """Whether the platform delivers or a function calls: nobody else can use names below `.internal`."""
        return self.headers.get("host", "").endswith(".internal")

    def answer(self, status, kind, body):
        content = body.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.send_header("cache-control", "no-store")
        self.send_header("content-security-policy", PAGE_POLICY)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Quiet: the platform records every call."""


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{total} {events} · Front desk</title>
<style>
:root {{ --ink: light-dark(#1d2430, #e6e9ef); --soft: light-dark(#5b6472, #9aa4b2);
  --paper: light-dark(#f6f7f9, #12161c); --card: light-dark(#fff, #1a2028);
  --line: light-dark(#dfe3e8, #2c3440); --bar: light-dark(#3b6fd4, #6d9bf1);
  --alarm: light-dark(#a8231c, #ff9c93); color-scheme: light dark }}
* {{ box-sizing: border-box }}
body {{ margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif }}
header, main, footer {{ max-width: 72rem; margin: 0 auto; padding: 1rem 1.25rem }}
h1 {{ margin: 1rem 0 0; font-size: 1.75rem }} h2 {{ margin: 0 0 .75rem; font-size: 1.1rem }}
header p, small, footer {{ color: var(--soft) }} header p {{ margin: .25rem 0 0 }}
dl {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem; margin: 0 0 1rem }}
section, dl div {{ background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem 1.25rem }}
dl div {{ display: flex; flex-direction: column-reverse }}
dt {{ color: var(--soft) }} dd {{ margin: 0; font-size: 2rem; font-weight: 650; line-height: 1.2 }}
.digest {{ margin-bottom: 1rem }} .digest p {{ margin: 0; overflow-wrap: anywhere }}
.halves {{ display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: 1rem; align-items: start }}
@media (max-width: 48rem) {{ .halves {{ grid-template-columns: minmax(0, 1fr) }} }}
table {{ width: 100%; border-collapse: collapse }}
th {{ text-align: left; font-weight: 500; padding: .15rem .5rem .15rem 0; overflow-wrap: anywhere }}
.count {{ text-align: right; font-variant-numeric: tabular-nums; padding: 0 .75rem }}
.bar {{ width: 38% }} .bar i {{ display: block; height: .6rem; border-radius: .3rem; background: var(--bar); min-width: 2px }}
ul, ol {{ list-style: none; margin: 0; padding: 0 }}
.labels {{ display: flex; flex-wrap: wrap; gap: .4rem 1rem; margin-bottom: 1rem }}
.latest li {{ padding: .6rem 0; border-top: 1px solid var(--line) }} .latest p {{ margin: 0; overflow-wrap: anywhere }}
.badge {{ padding: .05rem .5rem; border-radius: 1rem; font-size: .85rem; font-weight: 550;
  color: light-dark(hsl(var(--hue) 60% 25%), hsl(var(--hue) 70% 82%));
  background: light-dark(hsl(var(--hue) 70% 92%), hsl(var(--hue) 35% 22%)) }}
.high {{ color: var(--alarm); font-weight: 650 }} .high::before {{ content: "▲ " }}
a {{ color: inherit }} code {{ font-size: .85rem }}
</style>
</head>
<body>
<header>
<h1>Front desk</h1>
<p>What came in from GitHub since {since}</p>
</header>
<main aria-live="off">
<dl>
<div><dt>{events}</dt><dd id="total">{total}</dd></div>
<div><dt>kinds</dt><dd id="kinds">{kinds}</dd></div>
<div><dt>urgent</dt><dd>{high}</dd></div>
<div><dt><a href="/notes">release notes</a></dt><dd>{releases}</dd></div>
</dl>
<section class="digest" aria-labelledby="digest">
<h2 id="digest">Last digest</h2>
<p>{digest}</p>
</section>
<div class="halves">
<section aria-labelledby="by-kind">
<h2 id="by-kind">By kind</h2>
<table>
<thead hidden><tr><th scope="col">kind</th><th scope="col">count</th><th></th></tr></thead>
<tbody>{bars}</tbody>
</table>
</section>
<section aria-labelledby="latest">
<h2 id="latest">Latest</h2>
<ul class="labels" aria-label="Counts by label">{labels}</ul>
<ol class="latest">{latest}</ol>
</section>
</div>
</main>
<footer>Kept in memory by one instance: a new revision begins at zero.</footer>
<script>
// Brings the page up to date while somebody looks at it and selects nothing.
setInterval(async () => {{
  if (document.hidden || String(getSelection())) return;
  const answer = await fetch("/", {{ cache: "no-store" }}).catch(() => null);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("main").replaceWith(fresh.querySelector("main"));
  document.title = fresh.title;
}}, 3000);
</script>
</body>
</html>
"""


class Server(ThreadingHTTPServer):
    """A thread for each connection, and room for a burst of them."""

    request_queue_size = 1024
    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
