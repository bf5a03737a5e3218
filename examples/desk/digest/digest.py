"""Digest: what came in since the last digest, in a few lines. Run once for each call.

A schedule calls it at night. It asks `stats` by name for the counts, prints the digest where logs
go, and answers with an event, `desk.digest`, which the platform publishes. It keeps nothing: the
last digest comes back from `stats`, which has subscribed to it.
"""

import json
import os
import sys
import urllib.request
from collections import Counter

SHOWN = 5


def digest(counts):
    """The text, and the counts up to which it tells."""
    kinds = counts["kinds"]
    fresh = Counter(kinds) - Counter((counts["digest"] or {}).get("kinds"))
    most = fresh.most_common(SHOWN)
    parts = [f"{count} {kind}" for kind, count in most]
    if len(fresh) > len(most):
        rest = fresh.total() - sum(count for _, count in most)
        parts.append(f"{rest} of other kinds")
    told = ": " + ", ".join(parts) if parts else ""
    webhooks = "webhook" if fresh.total() == 1 else "webhooks"
    text = f"{fresh.total()} {webhooks} came in since the last digest{told}"
    return {"text": text, "kinds": kinds}


def main():
    with urllib.request.urlopen("http://stats.desk.internal/counts", timeout=10) as answer:
        told = digest(json.load(answer))
    print(told["text"], file=sys.stderr)
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": os.environ["HTTP_CE_ID"],
        "ce-source": "/desk/digest",
        "ce-type": "desk.digest",
    }
    for name, value in headers.items():
        print(f"{name}: {value}")
    print()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
