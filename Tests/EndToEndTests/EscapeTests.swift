import Foundation
import Testing

extension EndToEnd {
    /// What `cloche-prove` tries inside; see `cloche-prove list`.
    @Suite("Ways out", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Escapes {
        /// The results of `cloche-prove`, by test.
        private static func results(_ output: String) -> [String: String] {
            let lines = output.split(separator: "\n").map { $0.split(separator: "\t", maxSplits: 2) }
            return Dictionary(
                lines.filter { $0.count == 3 }.map { (String($0[1]), "\($0[0]): \($0[2])") }, uniquingKeysWith: { $1 })
        }

        private static func program() throws -> String {
            try Cloche.program().replacingOccurrences(
                of: "/cloche", with: "/cloche-prove", options: [.backwards, .anchored])
        }

        private static func project() throws -> TemporaryDirectory {
            let directory = try TemporaryDirectory()
            try FileManager.default.copyItem(atPath: program(), toPath: directory.path + "/cloche-prove")
            return directory
        }

        @Test("every way that is known is closed, in a sandbox of each policy", arguments: ["default", "strict"])
        func all(_ policy: String) throws {
            let directory = try Self.project()
            let result = try Cloche.run(
                "exec", "--policy", policy, "--project", directory.path, "--", "/project-dir/cloche-prove", "all")
            let results = Self.results(result.output)
            #expect(results.count > 120, "\(result.errors)")
            let open = results.filter { $0.value.hasPrefix("open") }
            #expect(open.isEmpty, "\(open)")
            let skipped = results.count { $0.value.hasPrefix("skipped") }
            #expect(skipped < 10)
        }

        @Test("doctor --prove tries them on this host and says how many are closed")
        func doctor() throws {
            let result = try Cloche.run("system", "doctor", "--prove", "--json")
            let escapes = try result.value("escapes") as? [[String: Any]] ?? []
            #expect(escapes.count > 120)
            #expect(escapes.allSatisfy { $0["result"] as? String != "open" }, "\(escapes)")
            #expect(try Cloche.run("system", "doctor", "--prove").output.contains("ways out of a sandbox"))
        }

        /// Without a control, a test that can never find anything open would not be noticed.
        @Test(
            "the same tests find ways out of a sandbox without filter, masks and limits",
            .enabled(
                if: Cloche.isRoot && FileManager.default.isExecutableFile(atPath: "/usr/bin/bwrap"),
                "bubblewrap is not installed, or this is not root"))
        func control() throws {
            let directory = try Self.project()
            let result = try StartedCommand(
                "/usr/bin/bwrap",
                [
                    "--unshare-all", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL", "--new-session",
                    "--ro-bind",
                    "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", directory.path,
                    "/mnt",
                    "/mnt/cloche-prove", "calls.clone3", "calls.splice", "calls.keyrings", "calls.tiocsti",
                    "calls.unshare", "calls.ptrace", "calls.chmod-setuid", "init.read", "network.vsock",
                    "network.netlink", "files.masks",
                ]
            ).wait(timeout: 30)
            let results = Self.results(result.output)
            #expect(results.count == 11, "\(result.output) \(result.errors)")
            #expect(results.values.allSatisfy { $0.hasPrefix("open") }, "\(results)")
        }

        @Test(
            "and out of one of runc, without a filter",
            .enabled(
                if: Cloche.isRoot && FileManager.default.isExecutableFile(atPath: "/usr/sbin/runc"),
                "runc is not installed, or this is not root"))
        func otherControl() throws {
            let directory = try Self.project()
            for name in ["rootfs/mnt", "rootfs/tmp", "state"] {
                try FileManager.default.createDirectory(
                    atPath: "\(directory.path)/\(name)", withIntermediateDirectories: true)
            }
            try FileManager.default.moveItem(
                atPath: directory.path + "/cloche-prove", toPath: directory.path + "/rootfs/mnt/cloche-prove")
            let runc = "/usr/sbin/runc"
            #expect(try StartedCommand(runc, ["spec"], directory: directory.path).wait(timeout: 10).status == 0)
            let file = URL(filePath: directory.path + "/config.json")
            var spec = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any] ?? [:]
            var process = spec["process"] as? [String: Any] ?? [:]
            process["terminal"] = false
            process["user"] = ["uid": 1000, "gid": 1000]
            process["capabilities"] = [String: Any]()
            process["args"] = [
                "/mnt/cloche-prove", "calls.clone3", "calls.splice", "calls.keyrings", "calls.unshare", "calls.ptrace",
                "init.read", "network.vsock", "network.netlink",
            ]
            spec["process"] = process
            try JSONSerialization.data(withJSONObject: spec).write(to: file)
            let name = "cloche-control-\(UUID().uuidString.prefix(8))"
            let result = try StartedCommand(
                runc, ["--root", directory.path + "/state", "run", name], directory: directory.path
            ).wait(timeout: 30)
            let results = Self.results(result.output)
            #expect(results.count == 8, "\(result.output) \(result.errors)")
            #expect(results.values.allSatisfy { $0.hasPrefix("open") }, "\(results)")
        }

        @Test("what uses up the kernel's objects stops at the sandbox's share")
        func exhaustion() throws {
            let directory = try Self.project()
            for name in ["signals", "queues", "inotify", "watches", "descriptors", "zombies"] {
                let result = try Cloche.run(
                    "exec", "--project", directory.path, "--", "/project-dir/cloche-prove", "resource.\(name)")
                #expect(result.status == 3, "\(name): \(result.output) \(result.errors)")
            }
            let signals = try Cloche.run(
                "exec", "--project", directory.path, "--", "/project-dir/cloche-prove", "resource.signals")
            #expect((signals.output.split(separator: " ").first.flatMap { Int($0) } ?? .max) <= 4096)
        }

        @Test("outside of a sandbox nothing is tried")
        func outside() throws {
            #expect(try StartedCommand(Self.program(), ["all"]).wait(timeout: 10).status == 70)
        }
    }
}
