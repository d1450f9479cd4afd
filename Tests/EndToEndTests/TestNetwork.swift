import Foundation

/// A host of its own for tests of filtered networks: a network namespace with servers in it, and a mount namespace in
/// which names have the addresses of those.
///
/// Addresses of 93.184.216.0/24, which are public ones, are answered by servers of this namespace; 10.9.0.0/24 stands
/// for a private network. `python3` of the host serves.
final class TestNetwork {
    let directory: TemporaryDirectory
    /// What `servers.py` was asked for: one line each.
    var requests: [String] {
        ((try? directory.read("requests")) ?? "").split(separator: "\n").map(String.init)
    }

    private static let servers = """
        import http.server, os, socket, struct, sys, threading, time, zipfile
        root = sys.argv[1]
        log = open(root + "/requests", "a", buffering=1)
        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def __init__(self, *rest): super().__init__(*rest, directory=root + "/www")
            def answer(self, body=b""):
                text = ("%s %s host=%s body=%d\\n" % (self.command, self.path, self.headers["Host"], len(body))).encode()
                log.write(text.decode())
                if self.path == "/big":
                    self.send_response(200); self.send_header("Content-Length", str(64 << 20)); self.end_headers()
                    for _ in range(64): self.wfile.write(b"x" * (1 << 20))
                    return
                self.send_response(200); self.send_header("Content-Length", str(len(text))); self.end_headers()
                self.wfile.write(text)
            def do_POST(self):
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16): body += self.rfile.read(size); self.rfile.readline()
                    self.rfile.readline()
                else: body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.answer(body)
            do_PUT = do_POST
            def do_GET(self):
                if self.path.startswith("/to?"):
                    self.send_response(302); self.send_header("Location", self.path[4:]); self.send_header("Content-Length", "0"); self.end_headers()
                    return
                if self.path.startswith("/files/"): return super().do_GET()
                self.answer()
            def log_message(self, *rest): pass
        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024
        os.makedirs(root + "/www/files/simple/tiny", exist_ok=True)
        with zipfile.ZipFile(root + "/www/files/simple/tiny/tiny-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("tiny.py", "value = 42\\n")
            wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
            wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
            wheel.writestr("tiny-1.0.dist-info/RECORD", "")
        with open(root + "/www/files/simple/tiny/index.html", "w") as index:
            index.write("<a href='tiny-1.0-py3-none-any.whl'>tiny-1.0-py3-none-any.whl</a>")
        for port in (80, 443, 8080):
            server = Server(("0.0.0.0", port), Handler)
            if port == 443 and os.path.exists(root + "/tls.pem"):
                import ssl
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(root + "/tls.pem")
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=server.serve_forever, daemon=True).start()
        def echo(connection):
            while data := connection.recv(65536): connection.sendall(data)
            connection.close()
        plain = socket.create_server(("0.0.0.0", 5432), backlog=256)
        def plainly():
            while True: threading.Thread(target=echo, args=(plain.accept()[0],), daemon=True).start()
        threading.Thread(target=plainly, daemon=True).start()
        plain6 = socket.create_server(("::", 5433), family=socket.AF_INET6)
        def plainly6():
            while True: threading.Thread(target=echo, args=(plain6.accept()[0],), daemon=True).start()
        threading.Thread(target=plainly6, daemon=True).start()
        # Keeps its connections, and tells of every byte.
        def listen_on(connection):
            connection.settimeout(1); all = b""
            try:
                while data := connection.recv(65536):
                    all += data
                    if len(all) == len(data): connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
            except OSError: pass
            log.write("raw %r\\n" % all)
        keeping = socket.create_server(("0.0.0.0", 8081), backlog=256)
        def keep():
            while True: threading.Thread(target=listen_on, args=(keeping.accept()[0],), daemon=True).start()
        threading.Thread(target=keep, daemon=True).start()
        # Names whose address changes with each look-up: public first, then private.
        names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); names.bind(("127.0.0.53", 53))
        turns = {}
        def answers(name, kind):
            turn = turns[name, kind] = turns.get((name, kind), -1) + 1
            if kind != 1: return []
            if name == "rebind.example.org": return ["93.184.216.40" if turn == 0 else "127.0.0.1"]
            if name == "mixed.example.org": return ["127.0.0.1", "169.254.169.254", "93.184.216.41"]
            if name == "crowd.example.org": return ["10.9.%d.%d" % (i // 250, i % 250 + 1) for i in range(3000)] + ["93.184.216.43"]
            if name == "tunnel.example.org": return ["93.184.216.42"]
            return None
        def serve_names():
            while True:
                query, sender = names.recvfrom(1500)
                labels, place = [], 12
                while query[place]: labels.append(query[place + 1:place + 1 + query[place]].decode()); place += query[place] + 1
                name, kind = ".".join(labels), struct.unpack(">H", query[place + 1:place + 3])[0]
                log.write("dns %s %d\\n" % (name, kind))
                found = answers(name, kind)
                head = query[:2] + (b"\\x81\\x83" if found is None else b"\\x81\\x80") + struct.pack(">HHHH", 1, len(found or []), 0, 0)
                body = query[12:place + 5]
                for address in found or []: body += b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\1\\0\\4" + socket.inet_aton(address)
                names.sendto(head + body, sender)
        threading.Thread(target=serve_names, daemon=True).start()
        open(root + "/ready", "w").close()
        time.sleep(600)
        """

    private static let hosts = """
        127.0.0.1 localhost inside.example.org
        93.184.216.34 data.example.org
        93.184.216.35 a.example.com b.a.example.com example.com badexample.com
        10.9.0.7 private.example.org db.example.org
        169.254.169.254 metadata.example.org
        93.184.216.99 own.example.org

        """

    private static let script = """
        set -e
        ip link set lo up
        for network in 93.184.216.0/24 10.9.0.0/24 169.254.169.254/32; do ip route add local $network dev lo; done
        ip address add 93.184.216.99/32 dev lo
        ip -6 route add local 2001:db8:9::/48 dev lo
        mount --bind "$0/hosts" /etc/hosts
        mount --bind "$0/resolv.conf" /etc/resolv.conf
        /usr/bin/setpriv --pdeathsig KILL /usr/bin/python3 "$0/servers.py" "$0" & server=$!
        trap 'kill $server' EXIT
        until [ -e "$0/ready" ]; do kill -0 $server; sleep 0.02; done
        code=0; "$@" || code=$?
        exit $code
        """

    /// A key and a certificate for `data.example.org`, signed by an authority of their own, whose certificate is
    /// `authority.pem` in the directory.
    private static let certificates = """
        set -e; cd "$0"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
            -keyout authority.key -out authority.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=data.example.org -keyout tls.key -out tls.csr
        printf 'subjectAltName=DNS:data.example.org\nauthorityKeyIdentifier=keyid\n' > tls.extensions
        openssl x509 -req -in tls.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
            -extfile tls.extensions -out tls.crt
        cat tls.key tls.crt > tls.pem; chmod 0644 authority.pem
        """

    /// With `tls`, port 443 speaks it.
    init(tls: Bool = false) throws {
        directory = try TemporaryDirectory()
        chmod(directory.path, 0o755)
        try directory.write(Self.servers, to: "servers.py")
        try directory.write(Self.hosts, to: "hosts")
        try directory.write("nameserver 127.0.0.53\n", to: "resolv.conf")
        try directory.write("a file\n", to: "www/files/a.txt")
        guard tls else { return }
        let made = try StartedCommand("/bin/sh", ["-c", Self.certificates, directory.path]).wait(timeout: 30)
        guard made.status == 0 else { throw TestFailure("no certificate was made: \(made.errors)") }
    }

    /// Runs `cloche` with this host around it.
    func cloche(_ arguments: [String], in place: String = "/", timeout: Double = 120) throws -> CommandResult {
        try start([try Cloche.program()] + arguments, environment: ["CLOCHE_HOME": try Cloche.home.get()], in: place)
            .wait(timeout: timeout)
    }

    /// Starts a command of the host with this host around it.
    func start(_ command: [String], environment: [String: String], in place: String = "/") throws -> StartedCommand {
        try? FileManager.default.removeItem(atPath: directory.path + "/ready")
        return try StartedCommand(
            "/usr/bin/unshare",
            ["--net", "--mount", "--propagation", "private", "/bin/sh", "-c", Self.script, directory.path] + command,
            environment: environment, directory: place)
    }

    /// Runs a program under a policy that allows those hosts.
    func exec(_ allowed: [String], _ command: String..., options: [String] = []) throws -> CommandResult {
        let policy = try Self.policy(allowed)
        return try cloche(["exec", "--policy", policy.name] + options + ["--"] + command)
    }

    static func policy(_ allowed: [String]) throws -> PolicyFile {
        let list = allowed.map { "'\($0)'" }.joined(separator: ", ")
        return try PolicyFile("extends: default\nnetwork: {mode: filtered, allow: [\(list)]}\n")
    }
}
