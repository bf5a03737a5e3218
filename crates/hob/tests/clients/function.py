"""A function with the official SDK: answers events with events, and publishes some when asked."""
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from cloudevents.http import from_http

from events import cases, read, write


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        """The last part of the path is the mode of the answer; `alone` leaves the SDK alone."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        mode = self.path.split("/")[-1]
        event = (from_http if mode == "alone" else read)(dict(self.headers), body)
        event["via"] = "python"
        self.answer(*write(event, "structured" if mode == "alone" else mode))

    def do_GET(self):
        """`requests` takes the way to the bus from `http_proxy`."""
        for mode in ["binary", "structured"]:
            for event in cases("/python/" + mode):
                headers, body = write(event, mode)
                requests.post("http://bus.internal/inside", data=body, headers=headers, timeout=30).raise_for_status()
        self.answer({}, b"published")

    def answer(self, headers, body):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
