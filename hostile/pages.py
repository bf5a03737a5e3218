"""Signs in to the dashboard, walks all its pages, and looks at each as a browser's parser does: what a stranger has said must
be text there, and nothing else. The second word is the link, the third how many payloads there are, the rest paths to begin with."""
import html.parser, http.client, json, re, sys, urllib.parse

link, count, starts = urllib.parse.urlsplit(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
PAGES_MAX = 400
POLICY = {"default-src": "'none'", "style-src": "'self'", "script-src": "'self'", "img-src": "'self'", "connect-src": "'self'",
          "form-action": "'self'", "frame-ancestors": "'none'", "base-uri": "'none'"}
ADDRESSES = {"href", "src", "action", "formaction", "data", "srcdoc", "xlink:href", "poster", "background"}
FOREIGN = {"iframe", "object", "embed", "base", "meta-refresh", "svg-owned", "x-owned", "math", "template", "noscript", "frame"}
wrong, seen, cookie = [], set(), None


def get(path, accept="text/html"):
    c = http.client.HTTPConnection(link.hostname, link.port, timeout=10)
    headers = {"host": f"{link.hostname}:{link.port}", "accept": accept}
    if cookie:
        headers["cookie"] = cookie
    c.request("GET", path, headers=headers)
    r = c.getresponse()
    return r, c


class Page(html.parser.HTMLParser):
    def __init__(self, at):
        super().__init__(convert_charrefs=True)
        self.at, self.links, self.text, self.script = at, [], [], False

    def bad(self, what):
        wrong.append(f"{self.at}: {what}")

    def handle_starttag(self, tag, attributes):
        if tag in FOREIGN or "owned" in tag or not re.fullmatch("[a-z][a-z0-9]*", tag):
            self.bad(f"an element <{tag}>")
        values = dict(attributes)
        if tag == "script":
            self.script = True
            if not re.fullmatch(r"/[a-z0-9._/-]+(\?[a-z0-9=]+)?", values.get("src") or ""):
                self.bad("a script that is not the dashboard's own file")
        if tag == "meta" and "http-equiv" in values:
            self.bad("a page that says headers")
        for name, value in attributes:
            if name.startswith("on") or "owned" in name:
                self.bad(f"an attribute {name}")
            plain = re.sub(r"[\s\0-\x20]", "", value or "").lower()
            if name in ADDRESSES and not (plain == "" or plain.startswith(("/", "#", "?", "http://", "https://"))):
                self.bad(f"{name}={value!r}")
            if name in ADDRESSES and plain.startswith("//"):
                self.bad(f"{name}={value!r}")
            self.count(value or "")
            if tag == "a" and name == "href" and (value or "").startswith("/"):
                self.links.append(value)

    def handle_endtag(self, tag):
        self.script = self.script and tag != "script"

    def handle_data(self, data):
        if self.script and data.strip():
            self.bad("a script in the page")
        self.count(data)

    def handle_comment(self, data):
        if "owned" in data:
            self.bad("a payload in a comment")

    def count(self, text):
        seen.update(re.findall(r"owned\((\d+)\)", text))


def look(path):
    r, c = get(path)
    body = r.read().decode()
    policy = dict(part.strip().split(" ", 1) for part in (r.getheader("content-security-policy") or "").split(";") if part.strip())
    if policy != POLICY:
        wrong.append(f"{path}: content-security-policy {policy}")
    if r.getheader("x-content-type-options") != "nosniff" or r.getheader("x-frame-options") != "DENY":
        wrong.append(f"{path}: its headers")
    if any("owned" in value for name, value in r.getheaders() if name != "location"):
        wrong.append(f"{path}: a payload in a header")
    page = Page(path)
    page.feed(body)
    page.close()
    return page.links


def kind(path):
    """What two pages have in common that show the same kind of thing; few of each are looked at."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "*", urllib.parse.urlsplit(path).path) + "?" + ",".join(
        sorted(urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)))


def live(path):
    """The parts of a page that are sent when they change, for a moment."""
    r, c = get("/live?at=" + urllib.parse.quote(path, safe=""), "text/event-stream")
    c.sock.settimeout(1)
    told = b""
    try:
        while len(told) < 1 << 20:
            more = r.read1(65536)
            if not more:
                break
            told += more
    except OSError:
        pass
    c.close()
    lines = [line[5:].strip() for line in told.decode("utf-8", "replace").splitlines() if line.startswith("data:")]
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            value = line
        page = Page("live " + path)
        page.feed("".join(strings(value)))
        page.close()
    return len(lines)


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


r, c = get(link.path + "?" + link.query)
r.read()
cookie = r.getheader("set-cookie").split(";")[0]
waiting, known, kinds, done = list(starts) + ["/"], set(), {}, 0
while waiting and done < PAGES_MAX:
    path = waiting.pop(0).split("#")[0]
    if path in known:
        continue
    known.add(path)
    kinds[kind(path)] = kinds.get(kind(path), 0) + 1
    if path not in starts and kinds[kind(path)] > 4 or path.startswith(("/sign-out", "/asset")):
        continue
    done += 1
    waiting += look(path)
parts = sum(live(path) for path in ("/", "/logs", "/requests", "/topics/evil", "/top"))
print(json.dumps({"pages": done, "parts": parts, "seen": len(seen), "wrong": wrong}))
