import Foundation
import Testing

extension EndToEndBeside {
    @Suite(
        "The outbound network", .enabled(if: Cloche.isBuilt && Cloche.isRoot, "the programs are not built, or no root"))
    struct Network {
        /// An address of this host's own, not of its loopback device.
        private static let hostAddress: String? = {
            let run = try? StartedCommand("/usr/sbin/ip", ["-4", "-o", "addr", "show", "scope", "global"]).wait(
                timeout: 10)
            return run?.output.split(separator: " ").first { $0.contains("/") }?.split(separator: "/").first.map(
                String.init)
        }()

        private func connect(_ address: String) throws -> String {
            let code =
                EndToEnd.Sandbox.prelude + """
                    s = socket.socket(); s.settimeout(5)
                    print(attempt(lambda: s.connect(("\(address)", 9))))
                    """
            let result = try Cloche.run("exec", "--policy", "online", "--", "python3", "-c", code)
            return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        @Test(
            "private, link-local and metadata addresses are closed",
            arguments: ["10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "169.254.1.1"])
        func closed(_ address: String) throws {
            #expect(try connect(address) == "EACCES")
        }

        @Test("of the gateway's address the resolver alone is there")
        func gateway() throws {
            let code =
                EndToEnd.Sandbox.prelude + """
                    def connect(kind, port):
                        s = socket.socket(socket.AF_INET, kind); s.settimeout(5); s.connect(("169.254.1.1", port))
                    for port in (53, 80): print(attempt(lambda: connect(socket.SOCK_DGRAM, port)))
                    print(attempt(lambda: connect(socket.SOCK_STREAM, 22)))
                    """
            let result = try Cloche.run("exec", "--policy", "online", "--", "python3", "-c", code)
            #expect(result.output == "ok\nEACCES\nEACCES\n", "\(result.output)\(result.errors)")
        }

        @Test(
            "the host's own addresses are closed",
            .enabled(if: hostAddress != nil, "this host has no address of its own"))
        func host() throws {
            #expect(try connect(try #require(Self.hostAddress)) == "EACCES")
        }

        @Test("the host's network is open where a policy says so, and only there")
        func hostNetwork() throws {
            let policy = try PolicyFile("extends: default\nnetwork: host\n")
            let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(server) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let port = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(server, address, length) == 0 && listen(server, 1) == 0
                        && getsockname(server, address, &length) == 0
                }
            }
            try #require(port)
            let code =
                EndToEnd.Sandbox.prelude
                + "print(attempt(lambda: socket.create_connection(('127.0.0.1', \(UInt16(bigEndian: address.sin_port))), 5)))"
            #expect(try policy.exec("--", "python3", "-c", code).output == "ok\n")
            #expect(try Cloche.run("exec", "--", "python3", "-c", code).output == "ECONNREFUSED\n")
        }

        @Test("loopback is the sandbox's own") func loopback() throws {
            #expect(try connect("127.0.0.1") == "ECONNREFUSED")
        }
    }
}
