"""A registry for tests, on loopback: the name of a repository says how it misbehaves.

usage: registry.py LOG [CERTIFICATE KEY]    (HTTPS with these)
The line of output is its port and that of a second server, which takes the same requests as another host would. What is
asked goes to the file LOG, a line each. It ends when its standard input does.
"""

import base64
import hashlib
import http.server
import io
import json
import os
import ssl
import sys
import tarfile
import threading
import time

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PASSWORD = "hunter2-canary"
BASIC = "Basic " + base64.b64encode(f"reader:{PASSWORD}".encode()).decode()
counts = {}


class Log:
    """What was asked, for everybody to read."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1)

    def append(self, line):
        self.file.write(line + "\n")


log = Log(sys.argv[1])


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, text in [("bin/sh", b"#!"), ("etc/passwd", b"root:x:0:0::/root:/bin/sh\n")]:
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            entry.mode = 0o755
            archive.addfile(entry, io.BytesIO(text))
        # What no server and no pipe holds in one piece.
        entry = tarfile.TarInfo("data")
        entry.size = 400_000
        archive.addfile(entry, io.BytesIO(hashlib.shake_256(b"data").digest(400_000)))
    return file.getvalue()


LAYER = layer()
CONFIG = json.dumps(
    {"os": "linux", "config": {"Env": ["PATH=/bin"]}, "rootfs": {"type": "layers", "diff_ids": [digest(LAYER)]}}
).encode()


def descriptor(data, **more):
    return {"digest": digest(data), "size": len(data), **more}


def image(**more):
    return json.dumps(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG), "layers": [descriptor(LAYER)], **more}
    ).encode()


IMAGE = image()


def platform(architecture, data, system="linux"):
    return descriptor(data, mediaType=MANIFEST, platform={"os": system, "architecture": architecture})


def index(*entries):
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


HOST = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
LIST = index(platform("s390x", b"other"), platform(HOST, IMAGE), platform("unknown", b"signature", "unknown"))
DOCUMENTS = {
    "foreign": index(platform("s390x", b"a"), platform("riscv64", b"b")),
    "nested": index(platform(HOST, LIST)),
    "both": json.dumps({**json.loads(LIST), **json.loads(IMAGE)}).encode(),
    "first-version": json.dumps({"schemaVersion": 1, "fsLayers": [], "history": []}).encode(),
    "negative": image(layers=[{"digest": digest(LAYER), "size": -1}]),
    "enormous": image(layers=[{"digest": digest(LAYER), "size": 1 << 60}] * 9),
    "many-layers": image(layers=[descriptor(LAYER)] * 513),
    "no-sha256": image(layers=[{"digest": "md5:0", "size": 1}]),
    "climbing": image(layers=[{"digest": "sha256:../../../../etc/passwd", "size": 1}]),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def send(self, status, body=b"", length=None, **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        if self.command != "HEAD":
            self.wfile.write(body)

    def redirect(self, place):
        self.send(307, Location=place)

    def endless(self):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(b"x" * 65536)

    @property
    def here(self):
        return f"{SCHEME}://127.0.0.1:{self.server.server_port}"

    @property
    def elsewhere(self):
        return f"{SCHEME}://127.0.0.1:{OTHER.server_port}"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        try:
            self.answer()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            log.append("cut off")
        except Exception as error:
            log.append(f"failed: {error!r}")
            raise

    def answer(self):
        path, _, query = self.path.partition("?")
        sent = self.headers.get("Authorization", "")
        who = "other " if self.server is OTHER else ""
        span = f" {self.headers['Range']}" if "Range" in self.headers else ""
        log.append(f"{who}{self.command} {self.path}{span} {sent}".strip())
        if path == "/v2/":
            return self.send(200, b"{}")
        if path == "/token":
            return self.token(query)
        repository, kind, name = path.removeprefix("/v2/").rsplit("/", 2)
        counts[path] = counts.get(path, 0) + 1
        if self.refuse(repository, kind, sent):
            return None
        if kind == "manifests":
            return self.manifest(repository, name)
        if name == digest(CONFIG):
            return self.send(200, CONFIG)
        return self.blob(repository)

    def token(self, query):
        if "poisoned" in query:
            return self.send(200, json.dumps({"token": "x\r\nEvil: yes"}).encode())
        if "tokenless" in query:
            return self.send(200, b"[" * 100_000)
        return self.send(200, json.dumps({"token": "given"}).encode())

    def refuse(self, repository, kind, sent):
        """Whether the request was refused."""
        realm = f'{self.here}/token'
        if repository == "realm-file":
            realm = "file:///etc/passwd"
        if repository == "realm-inside":
            realm = "http://10.1.2.3/token"
        bearer = f'Bearer realm="{realm}",service="a b&c",scope="repository:other:push,delete"'
        wants = {
            "token": "Bearer given", "token-loop": "nothing", "poisoned": "nothing", "tokenless": "nothing",
            "realm-file": "nothing", "realm-inside": "nothing",
        }
        if repository in wants and sent != wants[repository]:
            self.send(401, WWW_Authenticate=bearer)
            return True
        if repository in ("private", "moved-private") and self.server is not OTHER and sent != BASIC:
            self.send(401, WWW_Authenticate='Basic realm="lab"')
            return True
        if repository == "missing":
            text = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "gone\u001b[2J\u202e away"}]}
            self.send(404, json.dumps(text).encode())
            return True
        if repository == "refusal-without-end" and kind == "manifests":
            self.send_response(404)
            self.end_headers()
            self.close_connection = True
            while True:
                self.wfile.write(b"x" * 65536)
        if repository == "busy" and counts[self.path.partition("?")[0]] == 1:
            self.send(503)
            return True
        return False

    def manifest(self, repository, name):
        match repository:
            case "heads":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: %s\r\n" % (b"x" * 60000) * 20)
                return None
            case "no-http":
                return self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n" * 100)
            case "document-without-end":
                return self.endless()
            case "long-document":
                return self.send(200, b" " * (5 << 20))
            case "to-file":
                return self.redirect("file:///etc/passwd")
            case "to-itself":
                return self.redirect(self.path)
            case "to-inside":
                return self.redirect("http://192.168.1.1/v2/")
            case "to-nobody":
                return self.redirect("http://127.0.0.1:1/v2/")
            case "to-link":
                return self.redirect("http://169.254.169.254/latest/meta-data/")
            case "to-http":
                return self.redirect(f"http://127.0.0.1:{self.server.server_port}/v2/")
            case "to-user":
                return self.redirect("http://reader:secret@127.0.0.1/v2/")
            case "look":
                look()
        document = DOCUMENTS.get(repository, IMAGE if repository == "plain" else LIST)
        for known in (document, IMAGE, LIST):
            if name == digest(known):
                return self.send(200, known)
        if name == digest(b"other"):
            return self.send(404)
        return self.send(200, document, Docker_Content_Digest=digest(document))

    def blob(self, repository):
        match repository:
            case "without-end":
                return self.endless()
            case "changed":
                return self.send(200, LAYER[:1000] + b"!" + LAYER[1001:])
            case "short":
                return self.send(200, LAYER[:-1000])
            case "long":
                return self.send(200, LAYER + b"more")
            case "moved" | "moved-private" if self.server is not OTHER:
                return self.redirect(f"{self.elsewhere}{self.path}?key=secret")
            case "slow":
                self.send_response(200)
                self.send_header("Content-Length", str(len(LAYER)))
                self.end_headers()
                for byte in LAYER:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.05)
            case "stalling" if counts[self.path] == 1:
                self.send(200, LAYER[:200_000], length=len(LAYER))
                self.wfile.flush()
                time.sleep(600)
            case "breaking" | "stalling" | "breaking-whole":
                start = int(self.headers.get("Range", "bytes=0-")[6:-1])
                if start == 0 and counts[self.path] == 1:
                    return self.send(200, LAYER[:200_000], length=len(LAYER))
                if repository == "breaking-whole":
                    return self.send(200, LAYER)
                fields = {"Content_Range": f"bytes {start}-{len(LAYER) - 1}/{len(LAYER)}"}
                return self.send(206, LAYER[start:], **fields)
        return self.send(200, LAYER)


def look():
    """What can be seen of the process that asks, by everybody on this machine."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                words = file.read().replace(b"\0", b" ").decode(errors="replace")
            with open(f"/proc/{process}/status") as file:
                status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        except OSError:
            continue
        if PASSWORD in words or BASIC[6:] in words:
            log.append(f"leak: {words}")
        if status["Name"] == "curl" and "--config -" in words:
            log.append(f"curl user={status['Uid'].split()[1]} nnp={status['NoNewPrivs']} caps={status['CapEff']}")


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *arguments: None
    if SCHEME == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[2:4])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


SCHEME = "https" if len(sys.argv) > 3 else "http"
OTHER = None
FIRST = serve()
OTHER = serve()
print(FIRST.server_port, OTHER.server_port, flush=True)
sys.stdin.read()
