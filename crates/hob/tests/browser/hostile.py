#!/usr/bin/env python3
"""A guest that wants to be more than text: in its log, its answers, its headers and what it serves."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MARKUP = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>\u202e&quot;\"'"


class Guest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        print(MARKUP, flush=True)
        event = self.headers.get("ce-id") is not None
        if self.path == "/cookies":
            body = json.dumps(self.headers.get_all("cookie") or []).encode()
        elif self.path.startswith("/attack"):
            board = self.path.split("?", 1)[1]
            body = open("attack.html").read().replace("BOARD", board).encode()
        else:
            body = MARKUP.encode()
        self.send_response(500 if event else 200)
        self.send_header("content-type", "text/html; charset=utf-8" if self.path != "/cookies" else "application/json")
        self.send_header("x-evil", MARKUP.encode("ascii", "replace").decode())
        self.send_header("set-cookie", "hob-dashboard-" + os.environ.get("BOARD", "1") + "=mine; Path=/")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Guest).serve_forever()
