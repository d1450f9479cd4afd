import Foundation
import Testing

extension EndToEnd {
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
                Sandbox.prelude + """
                    s = socket.socket(); s.settimeout(5)
                    print(attempt(lambda: s.connect(("\(address)", 9))))
                    """
            let result = try Cloche.run("exec", "--policy", "online", "--", "python3", "-c", code)
            return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        @Test(
            "private, link-local and metadata addresses are closed",
            arguments: ["10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"])
        func closed(_ address: String) throws {
            #expect(try connect(address) == "EACCES")
        }

        @Test(
            "the host's own addresses are closed",
            .enabled(if: hostAddress != nil, "this host has no address of its own"))
        func host() throws {
            #expect(try connect(try #require(Self.hostAddress)) == "EACCES")
        }

        @Test("loopback is the sandbox's own") func loopback() throws {
            #expect(try connect("127.0.0.1") == "ECONNREFUSED")
        }
    }
}
