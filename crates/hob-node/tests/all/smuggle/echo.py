# Speaks HTTP/1.1 strictly and plainly, keeps what it saw, and tells it at /log: any disagreement about where a
# request ends shows here as a request that nobody sent, or as bytes that are none.
import json, os, socket, threading

seen, lock = [], threading.Lock()


class Malformed(Exception):
    pass


class Gone(Exception):
    pass


def line(stream):
    got = stream.readline(1 << 20)
    if not got.endswith(b"\n"):
        raise Gone()
    if not got.endswith(b"\r\n") or b"\r" in got[:-2] or b"\0" in got:
        raise Malformed(repr(got[:200]))
    return got[:-2]


def exactly(stream, count):
    got = stream.read(count)
    if len(got) < count:
        raise Gone()
    return got


def fields(stream):
    found = []
    while text := line(stream):
        name, colon, value = text.partition(b":")
        if not colon or not name or name.strip() != name or name[:1] in b" \t":
            raise Malformed(repr(text))
        found.append((name.decode("latin-1").lower(), value.strip().decode("latin-1")))
    return found


def chunks(stream):
    body = b""
    while True:
        size = line(stream)
        if not size or any(digit not in b"0123456789abcdefABCDEF" for digit in size):
            raise Malformed("chunk " + repr(size))
        if int(size, 16) == 0:
            fields(stream)
            return body
        body += exactly(stream, int(size, 16))
        if exactly(stream, 2) != b"\r\n":
            raise Malformed("no line end behind a chunk")


def request(stream):
    first = line(stream)
    words = first.split(b" ")
    if len(words) != 3 or words[2] != b"HTTP/1.1":
        raise Malformed(repr(first))
    headers = fields(stream)
    names = [name for name, _ in headers]
    lengths = [value for name, value in headers if name == "content-length"]
    codings = [value for name, value in headers if name == "transfer-encoding"]
    if names.count("host") != 1 or len(lengths) + len(codings) > 1:
        raise Malformed(repr(headers))
    entry = {"line": first.decode("latin-1"), "names": sorted(set(names)), "body": None}
    # What has begun is told even if it does not come to its end.
    if not first.startswith(b"GET /log "):
        with lock:
            seen.append(entry)
    if codings and codings != ["chunked"]:
        raise Malformed(repr(codings))
    body = chunks(stream) if codings else exactly(stream, int(lengths[0]) if lengths else 0)
    entry["body"] = len(body)
    return words[0], entry


def serve(connection):
    stream = connection.makefile("rb")
    try:
        while stream.peek(1):
            method, entry = request(stream)
            told = entry
            if entry["line"].startswith("GET /log "):
                with lock:
                    told, seen[:] = list(seen), []
            body = json.dumps(told).encode()
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
            connection.sendall(head + (b"" if method == b"HEAD" else body))
    except Malformed as why:
        with lock:
            seen.append({"line": "MALFORMED " + str(why), "names": [], "body": None})
    except (Gone, OSError):
        pass
    finally:
        connection.close()


listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=512)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
