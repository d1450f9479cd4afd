import Glibc
import LinuxSystem
import SystemPackage

extension RunCgroup {
    /// Whose processes are ended.
    package enum KillScope: Sendable, Hashable {
        /// Those in the steps' groups.
        case steps
        /// Those in all groups of the run, its supervisor included: for whoever cleans up after a lost supervisor.
        case everything
    }

    /// Kills all processes in the run's groups, however fast they multiply, and returns when none is left there.
    ///
    /// Where the caller itself is in one of these groups, it leaves first. Killed processes still have to be reaped by
    /// their parents. Fails when some are left after a few seconds, such as those that wait for a dead file server.
    package func kill(_ scope: KillScope = .steps) throws(CgroupError) {
        try leaveIfInside(scope)
        do throws(SyscallError) {
            for hierarchy in hierarchies where hierarchy.canKill {
                for leaf in leaves(of: hierarchy, scope) { try Self.killAtOnce(leaf) }
            }
            // Also where that worked: a process is in a tree of version 1 alone when its launcher died half-way.
            try CgroupSweep(hierarchies: hierarchies, scope: scope).run()
        } catch {
            throw CgroupError(
                "kill processes in control group", path, reason: "\(error)", errno: error.errno,
                hint: error.errno == .timedOut ? "look with `cat \(path)/*/cgroup.procs` at what is left" : nil)
        }
    }

    /// Removes the groups; processes that are just ending are waited for, for a fraction of a second.
    ///
    /// Where the caller itself is in one of the groups, it leaves first. Groups that are gone already are no error.
    /// Fails with EBUSY while processes are in them: `kill()` comes before.
    package func remove() throws(CgroupError) {
        try leaveIfInside(.everything)
        for hierarchy in hierarchies {
            do throws(SyscallError) {
                try Self.remove(hierarchy)
            } catch {
                throw CgroupError(
                    "remove control group", hierarchy.run.path.string, reason: "\(error)", errno: error.errno,
                    hint: error.errno == .resourceBusy ? "processes are still in it" : nil)
            }
        }
    }

    private static func remove(_ hierarchy: RunHierarchy) throws(SyscallError) {
        var rounds = 0
        while true {
            do throws(SyscallError) {
                return try hierarchy.remove()
            } catch let error where error.errno == .resourceBusy && rounds < 200 {
                rounds += 1
                Waiting.pause()
            }
        }
    }

    private var path: String { hierarchies.first?.run.path.string ?? "none" }

    private func leaves(of hierarchy: RunHierarchy, _ scope: KillScope) -> [CgroupDirectory] {
        scope == .steps ? [hierarchy.steps] : hierarchy.leaves
    }

    private func leaveIfInside(_ scope: KillScope) throws(CgroupError) {
        let own = getpid()
        for hierarchy in hierarchies {
            for leaf in leaves(of: hierarchy, scope) {
                // A list that cannot be read belongs to a group that is gone.
                if let processes = try? leaf.processes(), processes.contains(own) { return try leave() }
            }
        }
    }

    private static func killAtOnce(_ leaf: CgroupDirectory) throws(SyscallError) {
        let events: CgroupFile
        do throws(SyscallError) {
            events = try leaf.file("cgroup.events", O_RDONLY)
            try leaf.write("cgroup.kill", "1")
        } catch let error where error.isOfMissingGroup {
            // Only an empty group can have been removed.
            return
        }
        for _ in 0..<50 {
            if CgroupMetric.Source("cgroup.events", "populated").value(in: try events.read()) == 0 { return }
            Waiting.change(of: events)
        }
        throw SyscallError("kill", leaf.path.string, errno: .timedOut)
    }
}
