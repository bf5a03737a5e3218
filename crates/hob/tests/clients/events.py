"""Events of the official SDK as HTTP messages, with what the SDK leaves to its users."""
import base64
import json
import pathlib
from urllib.parse import quote, unquote

from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http


def cases(source):
    """The events of the test, made by the SDK."""
    for case in json.loads((pathlib.Path(__file__).parent / "cases.json").read_text(encoding="utf-8")):
        data = base64.b64decode(case["base64"]) if "base64" in case else case.get("data")
        yield CloudEvent({**case["attributes"], "id": case["id"], "source": source}, data)


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


def encoded(value):
    """A value as a header: the SDK gives numbers, and text with spaces and beyond ASCII, as they are."""
    return quote(text(value), safe="/:;,=+@()")


def raw(value):
    """The same not encoded, for a receiver that reads UTF-8."""
    return text(value).encode("utf-8")


def read(headers, body):
    """The event of a request. The SDK does not decode values of headers."""
    decoded = {name: unquote(value) if name.lower().startswith("ce-") else value for name, value in headers.items()}
    return from_http(decoded, body)


def write(event, mode, header=encoded):
    """Headers and body. In binary mode the SDK makes JSON of text, whatever its type."""
    if mode == "structured":
        return to_structured(event)
    is_json = "json" in event.get("datacontenttype", "json")
    headers, body = to_binary(event, data_marshaller=None if is_json else lambda data: data)
    return {name: header(value) if name.startswith("ce-") else value for name, value in headers.items()}, body
