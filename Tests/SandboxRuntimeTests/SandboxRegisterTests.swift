import Cgroups
import Foundation
import Isolation
import LinuxSystem
import SandboxRuntime
import SystemPackage
import Testing

@Suite struct SandboxRegisterTests {
    @Test(
        "the name of a sandbox that could not be started is kept as long as one of its groups is in use",
        .enabled(if: geteuid() == 0, "making control groups needs root"))
    func abandoned() throws {
        let store = "/tmp/cloche-register-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: store) }
        let name = UUID().uuidString.lowercased()
        let register = SandboxRegister(FilePath(store))
        try register.add(name)
        let process = try ProcessHandle(opening: try Self.occupant(ofGroups: name))
        register.abandon(name)
        #expect(FileManager.default.fileExists(atPath: store + "/sandboxes/" + name))
        try process.signal(SIGKILL)
        _ = try process.wait()
        register.abandon(name)
        #expect(!FileManager.default.fileExists(atPath: store + "/sandboxes/" + name))
        #expect(!CgroupHost.probe().removeStale(alive: { $0 != name }).removed.contains(name))
    }

    /// Starts a process in a group of the run; the groups that it is not in are gone when this returns.
    private static func occupant(ofGroups run: String) throws -> pid_t {
        let group = try RunCgroup.create(run: run, limits: ResourceLimits())
        let list = try #require(group.stepsEntry.allLists.first, "this host has no control groups")
        let ready = try Syscall.pipe()
        let process = try HostProcess.spawn(
            "/bin/sh", ["sh", "-c", "echo 0 >&3; echo >&4; exec 3>&- sleep 60"],
            descriptors: [(list, 3), (ready.writing.number, 4)])
        _ = try Syscall.read(ready.reading.number, upTo: 1)
        return process
    }
}
