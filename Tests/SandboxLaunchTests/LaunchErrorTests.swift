import LinuxSystem
import SandboxLaunch
import SystemPackage
import Testing

struct LaunchErrorTests {
    @Test func `a failure is one sentence`() {
        let error = LaunchError(step: "mount proc at `/new/proc`", reason: "mount: Operation not permitted")
        #expect("\(error)" == "failed to mount proc at `/new/proc`: mount: Operation not permitted")
    }

    @Test func `a failed call keeps its name, its object and its number`() {
        let error = LaunchError(
            step: "open `/data`", SyscallError("openat2", "/data", errno: .noSuchFileOrDirectory))
        #expect(error.call == "openat2")
        #expect(error.object == "/data")
        #expect(error.errno == .noSuchFileOrDirectory)
        #expect("\(error)" == "failed to open `/data`: openat2 `/data`: No such file or directory")
        #expect(error.remedy == nil)
    }

    @Test func `a call that fails during a step becomes its reason`() throws {
        let error = #expect(throws: LaunchError.self) {
            try LaunchError.during("make room") { () throws(SyscallError) in
                throw SyscallError("mkdir", "/a", errno: .noSpace)
            }
        }
        #expect(error?.step == "make room")
        #expect(error?.errno == .noSpace)
        #expect(try LaunchError.during("add") { () throws(SyscallError) in 1 + 1 } == 2)
    }
}
