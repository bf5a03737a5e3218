"""Answers whatever the suite of contracts asks for, as an HTTP server on $PORT."""
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = b"y" * 65536


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, pieces):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/hello":
            self.answer(f"GET {path} {query}".strip())
        elif path == "/large":
            self.stream(PIECE for _ in range(128))
        elif path == "/drip":
            self.stream(self.drops())
        elif path == "/pause":
            time.sleep(0.3)
            self.answer("paused")
        elif path == "/slow":
            time.sleep(6)
            self.answer("late")
        elif path == "/crash":
            os._exit(3)
        elif path == "/pid":
            self.answer(str(os.getpid()))
        else:
            self.answer("not here", 404)

    def drops(self):
        while True:
            yield PIECE
            time.sleep(0.01)

    def do_POST(self):
        length = 0
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                length += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            length = len(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(str(length))


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
