"""Sends events from outside, as programs do: send.py URL-OF-THE-NODE."""
import sys

import requests
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from events import cases, raw, write

url = sys.argv[1]
session = requests.Session()
session.trust_env = False

for name, mode, header in [("binary", "binary", None), ("raw", "binary", raw), ("structured", "structured", None)]:
    for event in cases("/python/" + name):
        headers, body = write(event, mode, header) if header else write(event, mode)
        answer = session.post(url + "/events", data=body, headers=headers, timeout=30)
        assert answer.status_code == 202, (name, event, answer.status_code, answer.text)

# As the SDK and the client do it when nobody helps them.
for name, attributes, data in [
    ("words", {"comment": "two words"}, {}),
    ("latin", {"comment": "café"}, {}),
    ("quoted", {"datacontenttype": "text/plain"}, "text"),
]:
    headers, body = to_binary(CloudEvent({"id": name, "source": "/python", "type": "alone", **attributes}, data))
    answer = session.post(url + "/alone", data=body, headers=headers, timeout=30)
    print(name, answer.status_code, answer.headers.get("hob-error", ""))
