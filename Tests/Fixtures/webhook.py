"""A server for tests that is told of events, on loopback: the path says how it misbehaves.

usage: webhook.py LOG [PORT]
The line of output is its port. What it is told goes to the file LOG, a line of JSON each. It ends when its standard input
does.
"""

import http.server
import json
import sys
import threading
import time

log = open(sys.argv[1], "a", buffering=1)
counts = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        fields = {name.lower(): value for name, value in self.headers.items()}
        log.write(json.dumps({"path": self.path, "fields": fields, "body": body.decode("latin-1")}) + "\n")
        counts[self.path] = counts.get(self.path, 0) + 1
        if self.path.startswith("/once") and counts[self.path] == 1:
            return self.answer(500, b"not now")
        if self.path.startswith("/refuse"):
            return self.answer(400, b"never\x1b[31m of this kind")
        if self.path.startswith("/elsewhere"):
            return self.answer(302, b"", [("Location", "/stolen")])
        if self.path.startswith("/slow"):
            time.sleep(20)
        if self.path.startswith("/endless"):
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                return
        self.answer(200, b"thanks")

    do_GET = do_POST

    def answer(self, status, text, fields=()):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


server = Server(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
