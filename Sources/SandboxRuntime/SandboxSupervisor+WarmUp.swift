import Cgroups
import LinuxSystem
import SandboxLaunch

extension SandboxSupervisor {
    /// Does some of what every supervisor does, for nobody: the first use of many types is a long search, which a process
    /// that is forked from this one has behind it.
    ///
    /// Nothing of it is seen outside of this process.
    package static func warmUp(_ stage: StageSpec) {
        // A supervisor for which one of these fails says so.
        _ = try? loadInitProgram()
        let loop = EventLoop()
        loop.watch(0) {}
        loop.unwatch(0)
        loop.cancelTimer(loop.after(1) {})
        var tail = OutputTail()
        tail.append(Array("a\n".utf8))
        _ = tail.complaint
        _ = stage.sources
        _ = CgroupHost.probe(mountInfo: "1 1 0:1 / / rw - ext4 a rw\n", membership: "0::/\n")
        // What a plan's strings are found by when it is flattened.
        var strings: [[UInt8]: UInt32] = [:]
        strings[[0]] = 0
    }
}
