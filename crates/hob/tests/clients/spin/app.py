# A component of Spin in Python, with its SDK: answers by path.
import json
from urllib.parse import parse_qs

from spin_sdk import http
from spin_sdk.http import Request, Response
from spin_sdk.wit.imports import wasi_clocks_monotonic_clock_0_3_0 as clock


def answer(body, status=200, media="text/plain"):
    return Response(status, {"content-type": media}, body if isinstance(body, bytes) else body.encode())


class HttpHandler(http.Handler):
    async def handle_request(self, request: Request) -> Response:
        path, _, query = request.uri.partition("?")
        body = request.body or b""
        if path.startswith("/parse/"):
            try:
                told = json.loads(body)
            except ValueError:
                return answer("bad json", 400)
            told = {"id": path.removeprefix("/parse/"), "q": parse_qs(query)["q"][0], "a": told["a"]}
            return answer(json.dumps(told), media="application/json")
        if path == "/fail":
            raise ValueError("no such thing")
        if path == "/sleep":
            await clock.wait_for(30_000_000_000)
        if path == "/length":
            return answer(str(len(body)))
        if path == "/large":
            return answer(b"x" * (5 << 20))
        if path == "/bytes":
            return answer(body, media="application/octet-stream")
        return answer(path)
