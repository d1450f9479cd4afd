import Foundation
import Testing

extension EndToEndBeside {
    @Suite(
        "The filtered network", .enabled(if: Cloche.isBuilt && Cloche.isRoot, "the programs are not built, or no root"),
        .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/python3"), "the servers need python3"))
    struct FilteredNetwork {
        private let network: TestNetwork

        init() throws { network = try TestNetwork() }

        /// What Python makes of a plain request through the proxy variables: the body, or the status and its body.
        private func fetch(_ url: String, _ allowed: String...) throws -> String {
            let code = """
                import urllib.request, urllib.error
                try: print(urllib.request.urlopen("\(url)", timeout=20).read().decode().strip())
                except urllib.error.HTTPError as error: print(error.code, error.read().decode().strip())
                except OSError as error: print("failed", error)
                """
            let result = try network.exec(allowed, "python3", "-c", code)
            #expect(result.status == 0, "\(result.errors)")
            return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        /// What Python makes of a connection that knows of no proxy.
        private func plain(_ host: String, _ port: Int, _ allowed: String...) throws -> String {
            let code = """
                import socket
                try:
                    s = socket.create_connection(("\(host)", \(port)), 20)
                    s.sendall(b"ping"); print(s.recv(4))
                except OSError as error: print(type(error).__name__, error.errno)
                """
            return try network.exec(allowed, "python3", "-c", code).output.trimmingCharacters(
                in: .whitespacesAndNewlines)
        }

        @Test func `a name that a rule names is reached, by variables and without them`() throws {
            #expect(
                try fetch("http://data.example.org/x", "data.example.org:80") == "GET /x host=data.example.org body=0")
            #expect(
                try fetch("http://DATA.example.org.:8080/", "data.example.org:8080")
                    == "GET / host=data.example.org:8080 body=0")
            #expect(try plain("data.example.org", 5432, "data.example.org:5432") == "b'ping'")
            #expect(try plain("10.9.0.7", 5432, "10.9.0.0/24:5432") == "b'ping'")
            #expect(try plain("2001:db8:9::7", 5433, "[2001:db8:9::]/48:5433") == "b'ping'")
            #expect(try plain("2001:db8:a::7", 5433, "[2001:db8:9::]/48:5433") == "OSError 101")
        }

        @Test func `the answer says which rule is missing`() throws {
            let name = try fetch("http://evil.example.net/", "data.example.org:80")
            #expect(name.hasPrefix("403 cloche: no rule of `network.allow` names `evil.example.net:80`"), "\(name)")
            let port = try fetch("http://data.example.org:8080/", "data.example.org:80")
            #expect(
                port.hasPrefix("403 cloche: rules of `network.allow` name `data.example.org` with the port 80"),
                "\(port)")
            let address = try fetch("http://93.184.216.34/", "data.example.org:80")
            #expect(address.hasPrefix("403 cloche: no rule of `network.allow` names the address"), "\(address)")
            #expect(!network.requests.contains { $0.hasPrefix("GET") || $0.contains("evil") })
        }

        @Test func `stars end at dots`() throws {
            let rule = "*.example.com:80"
            #expect(try fetch("http://a.example.com/", rule).hasPrefix("GET"))
            #expect(try fetch("http://b.a.example.com/", rule).hasPrefix("GET"))
            #expect(try fetch("http://example.com/", rule).hasPrefix("403"))
            #expect(try fetch("http://badexample.com/", rule).hasPrefix("403"))
        }

        @Test(
            "names do not lead to private, link-local or own addresses unless a rule names those",
            arguments: [
                ("inside.example.org", "127.0.0.1"), ("private.example.org", "10.9.0.7"),
                ("metadata.example.org", "169.254.169.254"), ("own.example.org", "93.184.216.99"),
            ])
        func special(name: String, address: String) throws {
            let refused = try fetch("http://\(name)/", "\(name):80")
            #expect(
                refused.hasPrefix("403") && refused.contains("has the address \(address), which is not public"),
                "\(refused)")
            #expect(try fetch("http://\(name)/", "\(name):80", "\(address):81").hasPrefix("403"))
            #expect(try fetch("http://\(name)/", "\(name):80", "\(address):80").hasPrefix("GET"))
        }

        @Test func `a name that changes its address is connected to at the one that was checked`() throws {
            // The second look-up, which is what an attacker waits for, says 127.0.0.1.
            let code = """
                import time, urllib.request, urllib.error
                for turn in range(3):
                    try: print(urllib.request.urlopen("http://rebind.example.org/", timeout=20).status)
                    except urllib.error.HTTPError as error: print(error.code)
                    time.sleep(5.5)
                """
            let result = try network.exec(["rebind.example.org:80"], "python3", "-c", code)
            #expect(result.output == "200\n200\n403\n", "\(result.output)\(result.errors)")
            // Of several addresses only the public one.
            #expect(try fetch("http://mixed.example.org/", "mixed.example.org:80").hasPrefix("GET"))
        }

        @Test(
            "other ways to write an address are refused",
            arguments: [
                "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "0x7f.1", "[::ffff:127.0.0.1]",
                "[::1]",
            ])
        func tricks(host: String) throws {
            let code = """
                import socket
                s = socket.create_connection(("127.0.0.1", 3128), 20)
                s.sendall(b"GET http://\(host)/ HTTP/1.1\\r\\nHost: data.example.org\\r\\n\\r\\n")
                print(s.recv(4096).split(b"\\r\\n")[0].decode())
                """
            let result = try network.exec(["data.example.org:80", "10.9.0.0/24:80"], "python3", "-c", code)
            #expect(result.output == "HTTP/1.1 403 Forbidden\n", "\(result.output)\(result.errors)")
        }

        @Test func `a second request on a connection is not carried to the host of the first`() throws {
            let code = """
                import socket
                for body in (b"", b"Content-Length: 3\\r\\n\\r\\nabc", b"Transfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n0\\r\\n\\r\\n"):
                    s = socket.create_connection(("127.0.0.1", 3128), 20)
                    first = b"POST http://data.example.org/one HTTP/1.1\\r\\nHost: a\\r\\n" + (body or b"\\r\\n")
                    s.sendall(first + b"GET http://evil.example.net/two HTTP/1.1\\r\\nHost: evil.example.net\\r\\n\\r\\n")
                    answer = b""
                    while part := s.recv(65536): answer += part
                    print(answer.count(b"HTTP/1.1"), b"evil" in answer)
                """
            let result = try network.exec(["data.example.org:80"], "python3", "-c", code)
            #expect(result.output == "1 False\n1 False\n1 False\n", "\(result.output)\(result.errors)")
            #expect(
                network.requests.filter { !$0.hasPrefix("dns") } == [
                    "POST /one host=data.example.org body=0", "POST /one host=data.example.org body=3",
                    "POST /one host=data.example.org body=3",
                ])
        }

        @Test func `a host that keeps its connection open sees no byte beyond the first request`() throws {
            let code = """
                import socket, time
                for body in (b"Content-Length: 3\\r\\n\\r\\nabc", b"Transfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n0\\r\\n\\r\\n"):
                    for pause in (0, 0.3):
                        s = socket.create_connection(("127.0.0.1", 3128), 20)
                        s.sendall(b"POST http://data.example.org:8081/one HTTP/1.1\\r\\n" + body)
                        time.sleep(pause)
                        s.sendall(b"GET http://evil.example.net/two HTTP/1.1\\r\\n\\r\\n")
                        answer = b""
                        while part := s.recv(65536): answer += part
                        print(answer.count(b"HTTP/1.1"), b"Connection: close" in answer)
                time.sleep(1.5)
                """
            let result = try network.exec(["data.example.org:8081"], "python3", "-c", code)
            #expect(result.output == String(repeating: "1 True\n", count: 4), "\(result.output)\(result.errors)")
            let raw = network.requests.filter { $0.hasPrefix("raw") }
            #expect(raw.count == 4 && raw.allSatisfy { $0.contains("POST /one") && !$0.contains("two") }, "\(raw)")
        }

        @Test func `names of others do not exist, and are not asked for outside`() throws {
            let code = """
                import socket
                for name in ("tunnel.example.org", "secret.evil.example.net", "localhost"):
                    try: print(name, socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
                    except OSError as error: print(name, error.errno)
                """
            let result = try network.exec(["tunnel.example.org:80"], "python3", "-c", code)
            #expect(
                result.output == "tunnel.example.org 198.18.0.1\nsecret.evil.example.net -2\nlocalhost 127.0.0.1\n",
                "\(result.output)")
            #expect(!network.requests.contains { $0.contains("secret") })
            #expect(network.requests.contains("dns tunnel.example.org 1"))
        }

        @Test func `past the proxy there is nothing, and the verdict says so`() throws {
            let allowed = ["data.example.org:80"]
            let raw = try network.exec(
                allowed, "python3", "-c", "import socket; socket.create_connection(('93.184.216.34', 80), 9)")
            #expect(raw.status == 1)
            #expect(
                raw.errors.contains("Network is unreachable") && raw.errors.contains("no rule of `network.allow`"),
                "\(raw.errors)")
            let byName = try network.exec(
                allowed, "python3", "-c", "import urllib.request; urllib.request.urlopen('http://evil.example.net/')")
            #expect(byName.errors.contains("refused it a connection to `evil.example.net:80`"), "\(byName.errors)")
            #expect(byName.errors.contains("add `evil.example.net:80` to `network.allow`"), "\(byName.errors)")
            let looked = try network.exec(
                allowed, "python3", "-c", "import socket; socket.create_connection(('evil.example.net', 80), 9)")
            #expect(looked.errors.contains("refused it the address of `evil.example.net`"), "\(looked.errors)")
            // The ports of the host's own loopback are not those of the sandbox's.
            #expect(try plain("127.0.0.1", 80, "data.example.org:80").hasPrefix("ConnectionResetError"))
            #expect(try plain("127.0.0.1", 8080, "data.example.org:80").hasPrefix("ConnectionRefusedError"))
        }

        @Test func `SOCKS is spoken on the same port, with names and addresses`() throws {
            let code = """
                import socket
                def ask(kind, host, port):
                    s = socket.create_connection(("127.0.0.1", 3128), 20)
                    s.sendall(b"\\5\\1\\0"); s.recv(2)
                    s.sendall(b"\\5\\1\\0" + kind + host + port.to_bytes(2, "big"))
                    code = s.recv(10)[1]
                    if code == 0: s.sendall(b"ping"); return s.recv(4)
                    return code
                print(ask(b"\\3", b"\\x10data.example.org", 5432), ask(b"\\3", b"\\x10data.example.org", 80))
                print(ask(b"\\1", bytes([10, 9, 0, 7]), 5432), ask(b"\\1", bytes([10, 8, 0, 7]), 5432))
                """
            let result = try network.exec(["data.example.org:5432", "10.9.0.0/24:5432"], "python3", "-c", code)
            #expect(result.output == "b'ping' 2\nb'ping' 2\n", "\(result.output)\(result.errors)")
        }

        @Test func `floods and silence cost the one who makes them`() throws {
            let code = """
                import socket, time
                silent = [socket.create_connection(("127.0.0.1", 3128), 20) for _ in range(300)]
                for s in silent[:128]: s.sendall(b"GET http://data.example.org/ HT")
                for s in silent[128:250]: s.close()
                import os
                start = time.time()
                for _ in range(20):
                    s = socket.create_connection(("127.0.0.1", 3128), 20)
                    s.sendall(os.urandom(3000)); s.close()
                s = socket.create_connection(("127.0.0.1", 3128), 20)
                s.sendall(b"GET http://data.example.org/ok HTTP/1.0\\r\\n\\r\\n")
                print(s.recv(100)[:12], time.time() - start < 10)
                print(silent[0].recv(100)[:12])
                """
            let result = try network.exec(["data.example.org:80"], "python3", "-c", code)
            #expect(result.output == "b'HTTP/1.1 200' True\nb'HTTP/1.1 408'\n", "\(result.output)\(result.errors)")
        }

        @Test func `a run keeps a ledger, and shows it`() throws {
            let project = try TestProject([
                .init(
                    file: "get.py",
                    text: """
                        import urllib.request, urllib.error
                        print(urllib.request.urlopen("http://data.example.org/x").read())
                        try: urllib.request.urlopen("http://evil.example.net/")
                        except urllib.error.HTTPError as error: print(error.code)
                        """),
                .init(file: "none.py", text: "print(1)\n", after: [0]),
            ])
            let policy = try TestNetwork.policy(["data.example.org:80"])
            let job = try network.cloche(
                ["job", "create", "main.orchest", "--name", project.name, "--policy", policy.name], in: project.path)
            defer { _ = try? project.cloche("rm", project.name, "--yes") }
            #expect(job.status == 0, "\(job.errors)")
            let shown = try project.cloche("show", "\(project.name)/0")
            #expect(shown.output.contains("data.example.org:80 allowed"), "\(shown.output)")
            #expect(shown.output.contains("evil.example.net:80 refused: no rule"), "\(shown.output)")
            let document = try project.cloche("show", "\(project.name)/0/get", "--json")
            // In the order in which connections ended, which is not that in which they began.
            let entries = try document.value("network") as? [[String: Any]] ?? []
            let allowed = try #require(entries.first { $0["host"] as? String == "data.example.org" })
            #expect(allowed["address"] as? String == "93.184.216.34")
            #expect(allowed["rule"] as? String == "data.example.org:80")
            #expect(allowed["received_bytes"] as? Int ?? 0 > 30)
            #expect(allowed["step"] as? String == TestProject.uuid(0))
            let refused = try #require(entries.first { $0["host"] as? String == "evil.example.net" })
            #expect(refused["verdict"] as? String == "refused")
            let other = try project.cloche("show", "\(project.name)/0/none", "--json")
            #expect(try (other.value("network") as? [Any])?.isEmpty == true)
        }

        @Test func `the process of the proxy has nothing but its connections`() throws {
            let policy = try TestNetwork.policy(["data.example.org:80"])
            let command = try network.start(
                [try Cloche.program(), "exec", "--policy", policy.name, "--", "sleep", "30"],
                environment: ["CLOCHE_HOME": try Cloche.home.get()])
            defer { _ = command.wait(timeout: 10) }
            func status(_ process: Int) -> String {
                (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
            }
            func children(_ process: Int) -> [Int] {
                ((try? String(contentsOfFile: "/proc/\(process)/task/\(process)/children", encoding: .utf8)) ?? "")
                    .split(separator: " ").compactMap { Int($0) }.flatMap { [$0] + children($0) }
            }
            // Of the command's processes the one with a filter that is not in a process namespace of its own.
            var proxy: Int?
            let found = eventually(within: 20) {
                proxy = children(Int(command.pid)).first {
                    status($0).contains("Seccomp:\t2") && !status($0).contains(#/NSpid:\t\d+\t\d+/#)
                }
                return proxy != nil
            }
            try #require(found)
            let process = try #require(proxy)
            let text = status(process)
            #expect(text.contains("CapEff:\t0000000000000000") && text.contains("CapPrm:\t0000000000000000"))
            #expect(text.contains("NoNewPrivs:\t1"))
            // What it does is charged to the command.
            let groups = try String(contentsOfFile: "/proc/\(process)/cgroup", encoding: .utf8)
            #expect(groups.contains("/cloche-"), "\(groups)")
            #expect(!text.contains(#/Uid:\t0\t/#))
            let root = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/root")
            #expect(root.isEmpty, "\(root)")
            let files = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/fd/\($0)")
            }
            #expect(
                files.allSatisfy { $0.hasPrefix("socket:") || $0 == "anon_inode:[eventpoll]" || $0.hasSuffix("/null") },
                "\(files)")
            let supervisor = text.split(separator: "\n").first { $0.hasPrefix("PPid") }?.split(separator: "\t").last
            kill(try #require(supervisor.flatMap { pid_t($0) }), SIGKILL)
            #expect(eventually { kill(pid_t(process), 0) != 0 })
        }
    }
}
