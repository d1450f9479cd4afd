import Cgroups
package import Isolation
import LinuxSystem
import SandboxLaunch
import SeccompFilters

extension SandboxSupervisor {
    /// Does some of what every supervisor does, for nobody: the first use of many types is a long search, which a process
    /// that is forked from this one has behind it.
    ///
    /// Nothing of it is seen outside of this process.
    package static func warmUp(_ sandbox: SandboxSpec, on stage: StageSpec, _ identity: IdentityMap) {
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
        _ = CgroupHost.probe(mountInfo: noGroups, membership: "1:memory:/\n0::/\n")
        let limits = sandbox.policy.limits
        let view = ResourceView(limits: limits, host: .probe(for: limits), seed: "a")
        let planned = Stage(spec: stage, facts: .probe(), bindKinds: [], network: nil, view: view, ownsDevices: true)
        let planner = SandboxPlanner(stage: planned, identity: identity, enforcement: [])
        _ = try? planner.launchPlan(sandbox, number: 0).block(placements: [(0, 0)], initDescriptor: 0)
        let filter = FilterCode(bytes: [], needsListener: false, answered: nil)
        _ = try? planner.commandPlan(sandbox, filter: filter, initFilter: filter).block()
        _ = SandboxReport(setup: LaunchError(step: "a", reason: "b")).verdict(of: "a", under: sandbox.policy)
    }

    /// A table of mounts as they are read, with control groups where there can be none.
    private static let noGroups = """
        1 1 0:1 / / rw - ext4 a rw
        2 1 0:2 / /proc/none rw - cgroup a rw,memory
        3 1 0:3 / /proc/none rw - cgroup2 a rw

        """
}
