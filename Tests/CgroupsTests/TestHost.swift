import Cgroups
import Glibc
import Isolation
import LinuxSystem
import SystemPackage
import Testing

/// This machine, or the part of it that some other kind of machine would have.
struct TestHost: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let host: CgroupHost
    /// The run that one test uses.
    let run = uuid()

    /// The machine as it is, and without each of the two generations where it has both.
    static let all: [TestHost] = {
        guard let mounts = try? Syscall.readFile("/proc/self/mountinfo", limit: 16 << 20) else { return [] }
        let lines = String(decoding: mounts, as: UTF8.self).split(separator: "\n")
        func host(_ description: String, without type: String) -> TestHost {
            let mountInfo = lines.filter { !$0.contains(" - \(type) ") }.joined(separator: "\n")
            // Read anew, since looking at one host may move this process into a leaf.
            let membership = (try? Syscall.readFile("/proc/self/cgroup", limit: 1 << 20)) ?? []
            return TestHost(
                testDescription: description,
                host: CgroupHost.probe(mountInfo: mountInfo, membership: String(decoding: membership, as: UTF8.self)))
        }
        let hosts = [
            host("this machine", without: "nothing"), host("version 1 alone", without: "cgroup2"),
            host("version 2 alone", without: "cgroup"),
        ]
        return hosts.filter { host in host.host.hierarchies.contains { !$0.usable.isEmpty } }
    }()

    static let isUsable = !all.isEmpty
    static let withMemory = all.filter { $0.host.hierarchy(for: .memory) != nil }
    static let withPids = all.filter { $0.host.hierarchy(for: .pids) != nil }
    static let withProcessors = all.filter { $0.host.hierarchy(for: .cpu) != nil }

    /// Lends the groups of a run; whatever `body` does, afterwards its processes are ended and its groups are gone.
    func withRun(_ limits: ResourceLimits, _ body: (borrowing RunCgroup) throws -> Void) throws {
        let group = try RunCgroup.create(host, run: run, limits: limits)
        var failure: (any Error)?
        do { try body(group) } catch { failure = error }
        try group.kill()
        try group.remove()
        #expect(left().isEmpty)
        if let failure { throw failure }
    }

    /// The directories of the run's groups that are there.
    func left() -> [FilePath] {
        host.hierarchies.map { $0.parent.appending("cloche-" + run) }.filter { Syscall.exists($0) }
    }

    private static func uuid() -> String {
        let digits = (0..<32).map { _ in "0123456789abcdef".randomElement() ?? "0" }
        let parts = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }
        return parts.joined(separator: "-")
    }
}
