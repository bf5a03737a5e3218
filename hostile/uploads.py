"""Uploads through the surfaces of a node: archives to its AWS Lambda API, packages and bodies to its control API, bodies
to its functions. The first word says which; results are JSON on standard output."""
import base64, datetime, hashlib, hmac, http.client, json, os, struct, sys, threading, time, zlib

gateway, what, lambda_port, control, key, secret, token, data, folder = sys.argv[1:10]
REGION, PATH = "us-east-1", "/2015-03-31/functions"


def hashed(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signed(body):
    """Headers of a request that is signed (Signature Version 4)."""
    host, now = "127.0.0.1:" + lambda_port, datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    names = "host;x-amz-date"
    canonical = "\n".join(["POST", PATH, "", f"host:{host}", f"x-amz-date:{now}", "", names, hashlib.sha256(body).hexdigest()])
    scope = f"{now[:8]}/{REGION}/lambda/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    own = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        own = hashed(own, part)
    signature = hmac.new(own, to_sign.encode(), hashlib.sha256).hexdigest()
    return {
        "host": host,
        "x-amz-date": now,
        "content-type": "application/json",
        "authorization": f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}",
    }


def answer(port, method, path, body, headers):
    c = http.client.HTTPConnection("127.0.0.1", int(port), timeout=120)
    try:
        c.request(method, path, body, headers)
        r = c.getresponse()
        return r.status, r.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error)


def create(name, archive):
    """CreateFunction with this archive."""
    code = {"ZipFile": base64.b64encode(archive).decode()}
    body = {"FunctionName": name, "Role": "arn:aws:iam::000000000000:role/any", "Runtime": "provided.al2023", "Handler": "x", "Code": code}
    body = json.dumps(body).encode()
    return answer(lambda_port, "POST", PATH, body, signed(body))


def operator(method, path, body=b"", headers={}):
    own = {"host": "127.0.0.1", "authorization": "Bearer " + token, "content-type": "application/json"}
    return answer(control, method, path, body, own | headers)


def zeros(packed, count):
    """So many MiB of zeros, deflated; made of the same block again and again."""
    block = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = block.compress(bytes(1 << 20)) + block.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    head, tail = (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", bytes(8)) if packed == "gzip" else (b"", b"")
    return head + one * count + last.flush() + tail


def archive(entries, claimed=None):
    """A zip archive of `(name, deflated bytes, size)`."""
    out, directory = bytearray(), bytearray()
    for name, packed, size in entries:
        fields = struct.pack("<HHHHIIIHH", 20, 0, 8, 0, 0, len(packed), size, len(name), 0)
        directory += struct.pack("<IH", 0x02014b50, 0x0314) + fields + struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, len(out)) + name
        out += struct.pack("<I", 0x04034b50) + fields + name + packed
    count = min(len(entries), 0xffff)
    large = b""
    if len(entries) > 0xffff:
        large = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, len(entries), len(entries), len(directory), len(out))
        large += struct.pack("<IIQI", 0x07064b50, 0, len(out) + len(directory), 1)
    end = struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, count, count, len(directory), len(out), 0)
    return bytes(out + directory + large + end)


def archives():
    """Every archive of the folder, and what became of each."""
    told = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            told.append((name, *create("a" + name, file.read())))
    print(json.dumps(told))


# Paths of packages, each of which must not be taken.
PATHS = ["../escaped", "a/../../escaped", "/tmp/hob-escaped", "..", ".", "", "./a", "a//b", "a/", "a/./b", "a\0b", "a\nb",
         "\x1b[2J", "n" * 300, "p/" * 600 + "f", "../../../../etc/cron.d/hob"]


def packages():
    """Deploys the app `quiet` again, each time with a file at another hostile path; then with the bytes of a bomb."""
    spec = json.loads(operator("GET", "/v1/apps/quiet/revisions/1")[1])["spec"]
    told = []
    for path in PATHS:
        spec_now = json.loads(json.dumps(spec))
        for function in spec_now["functions"].values():
            function["package"][path] = next(iter(function["package"].values()))
        status, said = operator("POST", "/v1/apps/packages/revisions", json.dumps(dict(spec_now, app="packages")).encode())
        told.append((path[:20], status, said[-900:]))
    print(json.dumps(told))


class Disk(threading.Thread):
    """The most that the node's folder has held."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.over = 0, False
        self.begun = self.now()

    def now(self):
        total = 0
        for at, _, files in os.walk(data):
            for name in files:
                try:
                    total += os.lstat(os.path.join(at, name)).st_blocks * 512
                except OSError:
                    pass
        return total

    def run(self):
        while not self.over:
            self.most = max(self.most, self.now() - self.begun)
            time.sleep(0.01)


def bombs():
    """What grows when it is unpacked, everywhere where something is uploaded; status of each, seconds, and disk."""
    gz, deflated = zeros("gzip", 10 << 10), zeros("", 4000)
    nested = archive([(b"z", zeros("", 60), 60 << 20)])
    for level in range(5):
        inner = zlib.compressobj(9, zlib.DEFLATED, -15)
        nested = archive([(b"%d.zip" % n, inner.copy().compress(nested) + inner.copy().flush(), len(nested)) for n in range(4)])
    disk = Disk()
    disk.start()
    small = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    kinds = {"content-encoding": "gzip"}
    event = {"content-type": "application/cloudevents+json", "content-encoding": "gzip"}
    tries = [
        ("4 GB of zeros in an archive", lambda: create("zeros", archive([(b"bootstrap", deflated, 4000 << 20)]))),
        ("the same that claims to be small", lambda: create("claims", archive([(b"bootstrap", deflated, 100)]))),
        ("archives in archives", lambda: create("nested", nested)),
        ("200,000 entries", lambda: create("entries", archive([(b"%d" % n, small, 0) for n in range(200_000)]))),
        ("10 GiB of gzip to a function", lambda: answer(gateway, "POST", "/", gz, {"host": "count.localhost"} | kinds)),
        ("10 GiB of zstd, by its name, to a function", lambda: answer(gateway, "POST", "/", gz, {"host": "count.localhost", "content-encoding": "zstd"})),
        ("10 GiB of gzip to a deploy", lambda: operator("POST", "/v1/apps/x/revisions", gz, kinds)),
        ("10 GiB of gzip as an event", lambda: operator("POST", "/v1/topics/x/events", gz[:200_000], event)),
    ]
    told = []
    for name, act in tries:
        began = time.monotonic()
        status, said = act()
        told.append((name, status, said[:300], time.monotonic() - began))
    disk.over = True
    disk.join()
    print(json.dumps({"told": told, "sent": len(gz), "disk": disk.most}))


{"archives": archives, "packages": packages, "bombs": bombs}[what]()
