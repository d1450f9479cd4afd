import Foundation
import Testing

extension EndToEndBeside {
    @Suite(
        "Attacks on a filtered network",
        .enabled(if: Cloche.isBuilt && Cloche.isRoot, "the programs are not built, or no root"),
        .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/python3"), "the servers need python3"))
    struct NetworkAttacks {
        private let network: TestNetwork

        init() throws { network = try TestNetwork() }

        @Test func `where a host redirects to is decided on anew`() throws {
            let code = """
                import os, urllib.request, urllib.error
                for name in ("no_proxy", "NO_PROXY"): del os.environ[name]
                for place in ("http://data.example.org/there", "http://evil.example.net/", "http://169.254.169.254/latest/",
                              "http://127.0.0.1:8080/", "http://private.example.org/", "http://[::ffff:10.9.0.7]/"):
                    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": "http://127.0.0.1:3128"}))
                    try: print(opener.open("http://data.example.org/to?" + place, timeout=20).read().decode().strip())
                    except urllib.error.HTTPError as error: print(error.code)
                """
            let result = try network.exec(
                ["data.example.org:80", "private.example.org:80"], "python3", "-c", code)
            #expect(
                result.output == "GET /there host=data.example.org body=0\n403\n403\n403\n403\n403\n",
                "\(result.output)\(result.errors)")
        }

        @Test func `a crowd of private addresses hides no public one, and opens none of theirs`() throws {
            let code = """
                import urllib.request, urllib.error
                try: print(urllib.request.urlopen("http://crowd.example.org/", timeout=30).status)
                except urllib.error.HTTPError as error: print(error.code, error.read().decode()[:60])
                """
            let result = try network.exec(["crowd.example.org:80"], "python3", "-c", code)
            // The answer of thousands of records does not fit into a datagram; what was read of it is private.
            #expect(
                result.output.hasPrefix("403 ") || result.output.hasPrefix("504 "), "\(result.output)\(result.errors)")
            #expect(!network.requests.contains { $0.hasPrefix("GET") })
        }

        @Test func `a thousand connections at once all get their answer`() throws {
            let code = """
                import resource, selectors, socket
                resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
                for wave in range(2):
                    chosen, answers = selectors.DefaultSelector(), []
                    for number in range(1000):
                        s = socket.socket(); s.setblocking(False)
                        s.connect_ex(("127.0.0.1", 3128)); chosen.register(s, selectors.EVENT_WRITE, b"")
                    while chosen.get_map():
                        ready = chosen.select(30)
                        if not ready: break
                        for key, mask in ready:
                            s = key.fileobj
                            if mask & selectors.EVENT_WRITE:
                                s.send(b"GET http://data.example.org/%d HTTP/1.0\\r\\n\\r\\n" % wave)
                                chosen.modify(s, selectors.EVENT_READ, b""); continue
                            part = s.recv(65536)
                            if part: chosen.modify(s, selectors.EVENT_READ, key.data + part)
                            else: answers.append(key.data[:12]); chosen.unregister(s); s.close()
                    print(len(answers), set(answers))
                """
            let result = try network.exec(["data.example.org:80"], "python3", "-c", code)
            let line = "1000 {b'HTTP/1.1 200'}\n"
            #expect(result.output == line + line, "\(result.output)\(result.errors)")
        }

        @Test("requests that two readers could read differently get to nobody")
        func smuggling() throws {
            let code = """
                import socket
                line = b"POST http://data.example.org/ HTTP/1.1\\r\\n"
                for head in (
                    b"Content-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n", b"Content-Length: 5\\r\\nContent-Length: 6\\r\\n",
                    b"Content-Length: +5\\r\\n", b"Content-Length: 0x5\\r\\n", b"Content-Length: 5, 5\\r\\n",
                    b"Transfer-Encoding: chunked, identity\\r\\n", b"Transfer-Encoding: xchunked\\r\\n",
                    b"Transfer-Encoding:\\x0bchunked\\r\\n", b"Transfer-Encoding : chunked\\r\\n", b" folded: x\\r\\n",
                    b"X: a\\r\\n folded\\r\\n", b"X: a\\nContent-Length: 5\\r\\n", b"X: a\\rb\\r\\n", b"X\\0: a\\r\\n",
                    b"Connection: content-length\\r\\nContent-Length: 5\\r\\n", b": x\\r\\n",
                ):
                    s = socket.create_connection(("127.0.0.1", 3128), 20)
                    s.sendall(line + head + b"\\r\\nGET http://data.example.org/smuggled HTTP/1.1\\r\\n\\r\\n")
                    s.shutdown(socket.SHUT_WR)
                    answer = b""
                    while part := s.recv(65536): answer += part
                    print(answer[9:12].decode(), end=" ")
                """
            let result = try network.exec(["data.example.org:80"], "python3", "-c", code)
            let codes = result.output.split(separator: " ").map(String.init)
            #expect(
                codes.count == 16 && codes.allSatisfy { ["400", "501"].contains($0) },
                "\(result.output)\(result.errors)")
            #expect(
                !network.requests.contains { $0.hasPrefix("POST") || $0.contains("smuggled") }, "\(network.requests)")
        }
    }
}
