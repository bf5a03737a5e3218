"""Has functions of every kind put values into a header of their answer, and reads the bytes that come to a client.

The last argument is a list of kinds, each with how many values it gets and whether a line end may be among them: what a
program writes onto a wire itself (`http`, `stdio`) ends a header with it, and so says a header of its own. Its answers with
a bare line feed are only looked at for bytes that two readers could read in two ways. Prints what came of each kind, and
how many lines each was to log.
"""
import json, random, re, socket, sys

PORT, KINDS = int(sys.argv[1]), json.loads(sys.argv[2])
BITS = ["\r", "\0", "\x1b[2J", "x-injected: 1", " ", "\t", "\u2028", "\x85", "a", ":", '{"a":1}', "\x7f", "é", "\x0b"]
ENDS = ["\r\n", "\n"]
# Together with a name that must not become a header's.
BEFORE = ["\r", "\0", "\r\r", "\r ", "\x0b", "\u2028", "\x85"]
# What no head has but its own line ends.
UNCLEAN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|(?<!\r)\n|\r(?!\n)")
pick = random.Random(7)


def answer(kind, value):
    body = value.encode()
    with socket.create_connection(("127.0.0.1", PORT), 60) as s:
        s.sendall(b"POST /%s HTTP/1.1\r\nhost: says.localhost\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
                  % (kind.encode(), len(body), body))
        got = b""
        while b"\r\n\r\n" not in got and (more := s.recv(65536)):
            got += more
    return got.partition(b"\r\n\r\n")[0]


def values(count, ends):
    for _ in range(count):
        before = pick.choice(BEFORE + ENDS if ends else BEFORE)
        bits = BITS + ENDS if ends else BITS
        yield "".join(pick.choice(bits) for _ in range(pick.randint(1, 8))) + before + "x-injected: 1"


told = {}
for kind, count, ends in KINDS:
    own = [(value, True) for value in values(count, ends)]
    own += [] if ends else [("a\nx-own: 1", False), ("a\n\tb", False), ("a\n b", False), ("\na: \rb", False)]
    statuses, wrong, lines = {}, [], 0
    for value, judged in own:
        lines += value.count("\n") + 1
        head = answer(kind, value)
        status = head[9:12].decode("latin-1")
        statuses[status] = statuses.get(status, 0) + 1
        names = [line.split(b":")[0].strip().lower() for line in re.split(rb"[\r\n]+", head)[1:]]
        refused = status == "502" and re.search(rb"\r\nhob-error: HOB-\d{4}", head)
        if judged and b"x-injected" in names:
            wrong.append(f"{kind}: {value!r} became a header")
        if UNCLEAN.search(head.replace(b"\r\n", b"")):
            wrong.append(f"{kind}: {value!r} left {head!r}")
        if status != "200" and not refused:
            wrong.append(f"{kind}: {value!r} was answered with {head!r}")
    told[kind] = {"calls": len(own), "lines": lines, "statuses": statuses, "wrong": wrong[:2], "wrongs": len(wrong)}
print(json.dumps(told))
