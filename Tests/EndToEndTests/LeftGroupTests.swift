import Foundation
import Testing

extension EndToEnd {
    /// Control groups of sandboxes that were killed, where they cannot be looked for.
    @Suite(
        "Left control groups", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "following processes that are not dumpable needs root"),
        .enabled(if: FileManager.default.isExecutableFile(atPath: FaultyLaunch.strace), "strace(1) is not installed"))
    struct LeftGroups {
        @Test("a sandbox that was killed is not forgotten by a command that cannot look for its groups")
        func register() throws {
            let name = UUID().uuidString.lowercased()
            let file = try Cloche.home.get() + "/sandboxes/" + name
            _ = try Cloche.run("exec", "--env-var", "A=1", "--", "true")
            try Data().write(to: URL(filePath: file))
            _ = try StartedCommand(
                FaultyLaunch.strace,
                [
                    "-D", "-q", "-o", "/dev/null", "-P", "/proc/self/mountinfo", "-e", "inject=openat2:error=EPERM",
                    try Cloche.program(), "exec", "--env-var", "A=1", "--", "true",
                ], environment: ["CLOCHE_HOME": try Cloche.home.get()]
            ).wait(timeout: 30)
            #expect(FileManager.default.fileExists(atPath: file))
            #expect(try Cloche.run("exec", "--env-var", "A=1", "--", "true").status == 0)
            #expect(!FileManager.default.fileExists(atPath: file))
        }

        @Test(
            "a tree of control groups that cannot be looked through is told by doctor, and what is left there is not forgotten"
        )
        func unseenTree() throws {
            let lines = try String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8).split(separator: "\n")
            let own = lines.map { $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false) }
            let pids = own.first { $0.count == 3 && $0[1] == "pids" }.map { "/sys/fs/cgroup/pids" + $0[2] }
            let unified = own.first { $0.count == 3 && $0[0] == "0" }.map { "/sys/fs/cgroup" + $0[2] }
            let place = try #require(pids ?? unified)
            let path = place.count > 1 && place.hasSuffix("/") ? String(place.dropLast()) : place
            // The first time it is opened to try what can be done there.
            func run(_ arguments: String...) throws -> CommandResult {
                try StartedCommand(
                    FaultyLaunch.strace,
                    [
                        "-D", "-q", "-o", "/dev/null", "-P", path, "-e", "inject=openat2:error=EACCES:when=2+",
                        try Cloche.program(),
                    ] + arguments, environment: ["CLOCHE_HOME": try Cloche.home.get()]
                ).wait(timeout: 60)
            }
            let told = try run("system", "doctor")
            #expect(told.output.contains("left groups") && told.output.contains("not removed there"), "\(told.output)")
            #expect(told.errors.contains("left groups: "), "\(told.errors)")
            #expect(try !Cloche.run("system", "doctor").output.contains("left groups"))
            let name = UUID().uuidString.lowercased()
            let file = try Cloche.home.get() + "/sandboxes/" + name
            try Data().write(to: URL(filePath: file))
            _ = try run("exec", "--env-var", "A=1", "--", "true")
            #expect(FileManager.default.fileExists(atPath: file))
            #expect(try Cloche.run("exec", "--env-var", "A=1", "--", "true").status == 0)
            #expect(!FileManager.default.fileExists(atPath: file))
        }
    }
}
